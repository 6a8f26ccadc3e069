/*
 * cursor.c: see cursor.h.
 */
#include "run/cursor.h"

#include <stdlib.h>

#include "base/verify.h"

enum {
	RAW_LEAST = 16 << 10,
	REST_LEAST =
		4 << 10, /* before a block: for what is left of the last record; of one that waits, so much is there */
};

bool pj__cursor_may_wait(const pj_keys *keys, const pj__segment *segment)
{
	return !keys && segment->packed && segment->longest > PJ__CURSOR_LONG;
}

void pj__cursor_init(pj__cursor *cursor, const pj_keys *keys, const pj__run *run, const pj__segment *segment)
{
	*cursor = (pj__cursor){.by_bytes = pj__keys_are_bytes(keys),
			       .may_wait = pj__cursor_may_wait(keys, segment),
			       .capacity = pj__cursor_least(keys, segment)};
	pj__unpacker_init(&cursor->unpacker, run, segment, NULL);
}

void pj__cursor_fini(pj__cursor *cursor)
{
	free(cursor->buffer);
	cursor->buffer = NULL;
	pj__unpacker_fini(&cursor->unpacker);
}

size_t pj__cursor_least(const pj_keys *keys, const pj__segment *segment)
{
	uint64_t least = segment->longest; /* no overflow: it is checked to be at most `bytes` */
	if (pj__cursor_may_wait(keys, segment))
		least = PJ__CURSOR_LONG;
	if (segment->packed)
		least = PJ__BLOCK_BYTES + (least > REST_LEAST ? least : REST_LEAST);
	else if (least < RAW_LEAST)
		least = RAW_LEAST;
	const size_t bytes = (size_t)(segment->bytes < least ? segment->bytes : least);
	/* A record's head must fit, so that its length can be known. */
	return bytes < PJ__RECORD_HEAD_MAX ? PJ__RECORD_HEAD_MAX : bytes;
}

static pj_status corrupt(const pj__cursor *cursor, const char *what, pj_error *error)
{
	return pj__run_corrupt(&cursor->unpacker.run, cursor->unpacker.segment.offset + cursor->unpacker.taken, what,
			       error);
}

/*
 * Reads on; what is left of the last record moves to the front. `needed` bytes of one record must fit (0: not known).
 */
static pj_status fill(pj__cursor *cursor, size_t needed, pj_error *error)
{
	const size_t rest = cursor->held - cursor->at;
	PJ_VERIFY(cursor->at <= cursor->held && cursor->held <= cursor->capacity);
	if (cursor->at)
		memmove(cursor->buffer, cursor->buffer + cursor->at, rest);
	cursor->at = 0;
	cursor->held = rest;
	const uint64_t unread = cursor->unpacker.segment.bytes - cursor->unpacker.read;
	if (!unread || needed > rest + unread || (!needed && rest >= PJ__RECORD_HEAD_MAX))
		return corrupt(cursor, "a record is cut off", error);
	/* A packed segment comes in whole blocks: the record, and what comes with its last piece. */
	const size_t least = pj__unpacker_least(&cursor->unpacker);
	size_t wanted = needed > rest ? needed : rest + 1;
	if (wanted < rest + unread)
		wanted += least - 1;
	if (wanted > cursor->capacity) {
		char *grown = realloc(cursor->buffer, wanted);
		if (!grown)
			return pj__no_memory(error, wanted);
		cursor->buffer = grown;
		cursor->capacity = wanted;
	}
	size_t got;
	const pj_status status =
		pj__unpacker_read(&cursor->unpacker, cursor->buffer + rest, cursor->capacity - rest, &got, error);
	if (!status)
		cursor->held += got;
	return status;
}

/* The record at hand, of `bytes`, is long: it waits, with a good beginning in the buffer. */
static pj_status wait_with(pj__cursor *cursor, size_t bytes, pj_error *error)
{
	pj_status status = PJ_OK;
	uint64_t key_len = 0, value_len = 0;
	if (bytes > cursor->unpacker.segment.longest)
		return corrupt(cursor, "a record is longer than said", error);
	while (!status && cursor->held - cursor->at < REST_LEAST)
		status = fill(cursor, REST_LEAST, error);
	if (status)
		return status;
	const char *const at = cursor->buffer + cursor->at, *const end = cursor->buffer + cursor->held;
	const char *const body = pj__get_varint(pj__get_varint(at, end, &key_len), end, &value_len);
	const size_t there = (size_t)(end - body);
	cursor->key_len = (size_t)key_len;
	cursor->value_len = (size_t)value_len;
	cursor->key = (pj_bytes){body, key_len < there ? (size_t)key_len : there};
	cursor->value = (pj_bytes){NULL, 0};
	cursor->waits = true;
	return PJ_OK;
}

/* Takes the next bytes of the segment; `to` NULL: passes over them. */
static pj_status take(pj__cursor *cursor, char *to, size_t bytes, pj_error *error)
{
	pj_status status = PJ_OK;
	while (bytes && !status) {
		if (cursor->at == cursor->held)
			status = fill(cursor, 0, error);
		const size_t held = cursor->held - cursor->at, step = bytes < held ? bytes : held;
		if (to && step) {
			memcpy(to, cursor->buffer + cursor->at, step);
			to += step;
		}
		cursor->at += step;
		bytes -= step;
	}
	return status;
}

/* Leaves the record that waits; `to`: where its key and value go, or NULL. */
static pj_status leave(pj__cursor *cursor, char *to, pj_error *error)
{
	cursor->waits = false;
	cursor->at = (size_t)(cursor->key.ptr - cursor->buffer);
	return take(cursor, to, cursor->key_len + cursor->value_len, error);
}

pj_status pj__cursor_load(pj__cursor *cursor, char *to, pj_error *error)
{
	const pj_status status = leave(cursor, to, error);
	cursor->key = (pj_bytes){to, cursor->key_len};
	cursor->value = (pj_bytes){to + cursor->key_len, cursor->value_len};
	return status;
}

pj_status pj__cursor_advance(pj__cursor *cursor, pj_error *error)
{
	pj_status status = cursor->waits ? leave(cursor, NULL, error) : PJ_OK;
	if (status)
		return status;
	if (cursor->pairs == cursor->unpacker.segment.pairs) {
		cursor->done = true;
		return cursor->at == cursor->held && cursor->unpacker.read == cursor->unpacker.segment.bytes
			       ? PJ_OK
			       : corrupt(cursor, "there are more bytes than pairs", error);
	}
	while (!status) {
		size_t needed;
		const char *at = cursor->buffer + cursor->at, *end = cursor->buffer + cursor->held;
		const char *next = pj__get_record(at, end, &cursor->key, &cursor->value, &needed);
		const bool is_long = !next && cursor->may_wait && needed > PJ__CURSOR_LONG;
		if (next)
			cursor->at = (size_t)(next - cursor->buffer);
		else
			status = is_long ? wait_with(cursor, needed, error) : fill(cursor, needed, error);
		if ((next || is_long) && !status) {
			cursor->pairs++;
			cursor->prefix = cursor->by_bytes ? pj__prefix(cursor->key, 0) : 0;
			break;
		}
	}
	return status;
}

pj_status pj__cursor_open(pj__cursor *cursor, size_t share, char *scratch, pj_error *error)
{
	const uint64_t bytes = cursor->unpacker.segment.bytes;
	share = share < bytes ? share : (size_t)bytes;
	cursor->capacity = share < cursor->capacity ? cursor->capacity : share;
	cursor->buffer = malloc(cursor->capacity);
	if (!cursor->buffer)
		return pj__no_memory(error, cursor->capacity);
	cursor->unpacker.scratch = scratch;
	return pj__cursor_advance(cursor, error);
}

/* ------------------------------------------------------------------------------------------ keys that are not there */

/* A key, piece after piece. */
struct pieces {
	pj_bytes piece; /* the one at hand */
	size_t left;    /* bytes behind it */
	pj__unpacker unpacker;
	char *block;
};

static struct pieces pieces_of(const pj__cursor *cursor, char *block)
{
	struct pieces pieces = {.piece = cursor->key, .unpacker = cursor->unpacker, .block = block};
	pieces.left = cursor->waits ? cursor->key_len - cursor->key.len : 0;
	return pieces;
}

/* What the cursor has not read yet is read by a copy of its reader. */
static pj_status next_piece(struct pieces *pieces, pj_error *error)
{
	size_t got = 0;
	if (pieces->piece.len || !pieces->left)
		return PJ_OK;
	const pj_status status = pj__unpacker_read(&pieces->unpacker, pieces->block, PJ__BLOCK_BYTES, &got, error);
	if (!status && !got)
		return pj__run_corrupt(&pieces->unpacker.run, pieces->unpacker.segment.offset, "a record is cut off",
				       error);
	got = got < pieces->left ? got : pieces->left;
	pieces->piece = (pj_bytes){pieces->block, got};
	pieces->left -= got;
	return status;
}

static void pass(struct pieces *pieces, size_t bytes)
{
	pieces->piece.ptr += bytes;
	pieces->piece.len -= bytes;
}

pj_status pj__cursor_compare(const pj__cursor *cursor, const pj__cursor *other, pj_bytes bytes, char *blocks,
			     int *ret_order, pj_error *error)
{
	struct pieces a = pieces_of(cursor, blocks), b = {.piece = bytes};
	if (other)
		b = pieces_of(other, blocks + PJ__BLOCK_BYTES);
	for (;;) {
		const size_t both = a.piece.len < b.piece.len ? a.piece.len : b.piece.len;
		const int order = both ? memcmp(a.piece.ptr, b.piece.ptr, both) : 0;
		pass(&a, both);
		pass(&b, both);
		pj_status status = order ? PJ_OK : next_piece(&a, error);
		if (!order && !status)
			status = next_piece(&b, error);
		if (status)
			return status;
		if (order || !a.piece.len || !b.piece.len) {
			*ret_order = order ? order : (a.piece.len > 0) - (b.piece.len > 0);
			return PJ_OK;
		}
	}
}
