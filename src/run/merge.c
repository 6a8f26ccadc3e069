/*
 * merge.c: see merge.h.
 */
#include "run/merge.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/grow.h"

enum {
	RAW_LEAST = 16 << 10,
	REST_LEAST = 4 << 10, /* before a block: for what is left of the last record */
	BUFFER_MOST = 1 << 20,
};

struct pj__cursor {
	uint64_t prefix; /* of the key, where keys are bytes; else 0 */
	pj_bytes key, value;
	bool by_bytes, done;
	char *buffer;
	size_t capacity, at, held;
	uint64_t pairs; /* taken so far */
	pj__unpacker unpacker;
};

void pj__merge_init(pj__merge *merge)
{
	*merge = (pj__merge){0};
}

void pj__merge_fini(pj__merge *merge)
{
	for (size_t i = 0; i < merge->count; i++) {
		free(merge->cursors[i].buffer);
		pj__unpacker_fini(&merge->cursors[i].unpacker);
	}
	free(merge->cursors);
	free(merge->losers);
	free(merge->scratch);
	*merge = (pj__merge){0};
}

pj_status pj__merge_add(pj__merge *merge, const pj__run *run, const pj__segment *segment, pj_error *error)
{
	if (!segment->bytes)
		return PJ_OK;
	const pj_status status =
		pj__grow(&merge->cursors, &merge->capacity, merge->count + 1, sizeof *merge->cursors, error);
	if (status)
		return status;
	pj__cursor *cursor = &merge->cursors[merge->count];
	*cursor = (pj__cursor){0};
	pj__unpacker_init(&cursor->unpacker, run, segment, NULL);
	merge->count++;
	return PJ_OK;
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

/* Steps to the cursor's next record, or sets `done`. */
static pj_status advance(pj__cursor *cursor, pj_error *error)
{
	if (cursor->pairs == cursor->unpacker.segment.pairs) {
		cursor->done = true;
		return cursor->at == cursor->held && cursor->unpacker.read == cursor->unpacker.segment.bytes
			       ? PJ_OK
			       : corrupt(cursor, "there are more bytes than pairs", error);
	}
	for (;;) {
		size_t needed;
		const char *at = cursor->buffer + cursor->at, *end = cursor->buffer + cursor->held;
		const char *next = pj__get_record(at, end, &cursor->key, &cursor->value, &needed);
		if (next) {
			cursor->at = (size_t)(next - cursor->buffer);
			cursor->pairs++;
			cursor->prefix = cursor->by_bytes ? pj__prefix(cursor->key, 0) : 0;
			return PJ_OK;
		}
		const pj_status status = fill(cursor, needed, error);
		if (status)
			return status;
	}
}

static size_t buffer_least(const pj__segment *segment)
{
	uint64_t least = segment->longest; /* no overflow: it is checked to be at most `bytes` */
	if (segment->packed)
		least = PJ__BLOCK_BYTES + (least > REST_LEAST ? least : REST_LEAST);
	else if (least < RAW_LEAST)
		least = RAW_LEAST;
	const size_t bytes = (size_t)(segment->bytes < least ? segment->bytes : least);
	/* A record's head must fit, so that its length can be known. */
	return bytes < PJ__RECORD_HEAD_MAX ? PJ__RECORD_HEAD_MAX : bytes;
}

size_t pj__merge_least(const pj__segment *segment)
{
	return buffer_least(segment) + sizeof(pj__cursor) + (segment->packed ? 0 : sizeof(XXH3_state_t));
}

/* `share`: of the memory for all buffers */
static pj_status open_cursor(pj__cursor *cursor, size_t share, char *scratch, pj_error *error)
{
	const pj__segment *segment = &cursor->unpacker.segment;
	const size_t least = buffer_least(segment);
	share = share < segment->bytes ? share : (size_t)segment->bytes;
	cursor->capacity = share < least ? least : share;
	cursor->buffer = malloc(cursor->capacity);
	if (!cursor->buffer)
		return pj__no_memory(error, cursor->capacity);
	cursor->unpacker.scratch = scratch;
	return advance(cursor, error);
}

/* Does cursor a come before cursor b? One that is done comes last; equal keys by the order of segments. */
static bool comes_first(const pj__merge *merge, uint32_t a, uint32_t b)
{
	const pj__cursor *x = &merge->cursors[a], *y = &merge->cursors[b];
	if (x->done || y->done)
		return y->done && (!x->done || a < b);
	if (x->prefix != y->prefix)
		return x->prefix < y->prefix;
	const int order = merge->keys ? pj__keys_compare_pairs(merge->keys, x->key, x->value, y->key, y->value)
				      : pj_bytes_compare(x->key, y->key);
	return order ? order < 0 : a < b;
}

/* Plays the tournament of the node's subtree: leaves are nodes count .. 2 count - 1. Returns the winner. */
static uint32_t play(pj__merge *merge, size_t node)
{
	if (node >= merge->count)
		return (uint32_t)(node - merge->count);
	const uint32_t left = play(merge, 2 * node), right = play(merge, 2 * node + 1);
	const bool left_wins = comes_first(merge, left, right);
	merge->losers[node] = left_wins ? right : left;
	return left_wins ? left : right;
}

pj_status pj__merge_start(pj__merge *merge, size_t memory_bytes, pj_error *error)
{
	if (!merge->count)
		return PJ_OK;
	merge->losers = calloc(merge->count, sizeof *merge->losers);
	if (!merge->losers)
		return pj__no_memory(error, merge->count * sizeof *merge->losers);
	merge->scratch = malloc(PJ__MERGE_SHARED);
	if (!merge->scratch)
		return pj__no_memory(error, PJ__MERGE_SHARED);
	const size_t for_buffers = memory_bytes > PJ__MERGE_SHARED ? memory_bytes - PJ__MERGE_SHARED : 0;
	const size_t share = for_buffers / merge->count < BUFFER_MOST ? for_buffers / merge->count : BUFFER_MOST;
	for (size_t i = 0; i < merge->count; i++) {
		merge->cursors[i].by_bytes = pj__keys_are_bytes(merge->keys);
		const pj_status status = open_cursor(&merge->cursors[i], share, merge->scratch, error);
		if (status)
			return status;
	}
	merge->losers[0] = play(merge, 1);
	return PJ_OK;
}

/* The winner has stepped on: let it play against the losers on its way to the root. */
static void replay(pj__merge *merge)
{
	uint32_t winner = merge->losers[0];
	for (size_t node = (winner + merge->count) / 2; node > 0; node /= 2) {
		if (comes_first(merge, merge->losers[node], winner)) {
			const uint32_t loser = winner;
			winner = merge->losers[node];
			merge->losers[node] = loser;
		}
	}
	merge->losers[0] = winner;
}

pj_status pj__merge_next(pj__merge *merge, bool *ret_more, pj_error *error)
{
	*ret_more = false;
	if (!merge->count)
		return PJ_OK;
	if (merge->started) {
		const pj_status status = advance(&merge->cursors[merge->losers[0]], error);
		if (status)
			return status;
		replay(merge);
	}
	merge->started = true;
	const pj__cursor *winner = &merge->cursors[merge->losers[0]];
	if (winner->done)
		return PJ_OK;
	merge->key = winner->key;
	merge->value = winner->value;
	*ret_more = true;
	return PJ_OK;
}
