/*
 * merge.c: see merge.h.
 */
#include "run/merge.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/grow.h"
#include "base/io.h"

enum { BUFFER_LEAST = 4096, BUFFER_MOST = 1 << 20 };

struct pj__cursor {
	pj__run run;
	pj__segment segment;
	uint64_t read; /* bytes of the segment that were read */
	char *buffer;
	size_t capacity, at, held;
	uint64_t pairs;     /* taken so far */
	XXH3_state_t *hash; /* of what was read */
	bool done;
	uint64_t prefix;
	pj_bytes key, value;
};

void pj__merge_init(pj__merge *merge)
{
	*merge = (pj__merge){0};
}

void pj__merge_fini(pj__merge *merge)
{
	for (size_t i = 0; i < merge->count; i++) {
		free(merge->cursors[i].buffer);
		XXH3_freeState(merge->cursors[i].hash);
	}
	free(merge->cursors);
	free(merge->losers);
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
	merge->cursors[merge->count++] = (pj__cursor){.run = *run, .segment = *segment};
	return PJ_OK;
}

static pj_status corrupt(const pj__cursor *cursor, const char *what, pj_error *error)
{
	return pj__run_corrupt(&cursor->run, cursor->segment.offset + cursor->read, what, error);
}

/*
 * Reads on; what is left of the last record moves to the front. `needed` bytes of one record must fit (0: not known).
 */
static pj_status fill(pj__cursor *cursor, size_t needed, pj_error *error)
{
	const size_t rest = cursor->held - cursor->at;
	memmove(cursor->buffer, cursor->buffer + cursor->at, rest);
	cursor->at = 0;
	cursor->held = rest;
	const uint64_t unread = cursor->segment.bytes - cursor->read;
	if (!unread || needed > rest + unread || (!needed && rest >= PJ__RECORD_HEAD_MAX))
		return corrupt(cursor, "a record is cut off", error);
	if (needed > cursor->capacity) {
		char *grown = realloc(cursor->buffer, needed);
		if (!grown)
			return pj__no_memory(error, needed);
		cursor->buffer = grown;
		cursor->capacity = needed;
	}
	size_t want = cursor->capacity - rest;
	want = want > unread ? (size_t)unread : want;
	const off_t from = (off_t)(cursor->run.offset + cursor->segment.offset + cursor->read);
	const pj_status status =
		pj__pread_exactly(cursor->run.fd, "stored run", cursor->buffer + rest, want, from, error);
	if (status)
		return status;
	if (XXH3_64bits_update(cursor->hash, cursor->buffer + rest, want) != XXH_OK)
		return pj__fail(error, PJ_ERR_INTERNAL, 0, NULL, "cannot hash a stored run");
	cursor->read += want;
	cursor->held += want;
	if (cursor->read == cursor->segment.bytes && XXH3_64bits_digest(cursor->hash) != cursor->segment.checksum)
		return corrupt(cursor, "the checksum does not fit", error);
	return PJ_OK;
}

/* Steps to the cursor's next record, or sets `done`. */
static pj_status advance(pj__cursor *cursor, pj_error *error)
{
	if (cursor->pairs == cursor->segment.pairs) {
		cursor->done = true;
		return cursor->at == cursor->held && cursor->read == cursor->segment.bytes
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
			cursor->prefix = pj__prefix(cursor->key, 0);
			return PJ_OK;
		}
		const pj_status status = fill(cursor, needed, error);
		if (status)
			return status;
	}
}

static pj_status open_cursor(pj__cursor *cursor, size_t buffer_bytes, pj_error *error)
{
	if (buffer_bytes > cursor->segment.bytes)
		buffer_bytes = (size_t)cursor->segment.bytes;
	/* A record's head must fit, so that its length can be known. */
	if (buffer_bytes < PJ__RECORD_HEAD_MAX)
		buffer_bytes = PJ__RECORD_HEAD_MAX;
	cursor->buffer = malloc(buffer_bytes);
	cursor->hash = XXH3_createState();
	if (!cursor->buffer || !cursor->hash)
		return pj__no_memory(error, buffer_bytes);
	cursor->capacity = buffer_bytes;
	const uint64_t seed = XXH3_64bits(&cursor->segment, offsetof(pj__segment, checksum));
	if (XXH3_64bits_reset_withSeed(cursor->hash, seed) != XXH_OK)
		return pj__fail(error, PJ_ERR_INTERNAL, 0, NULL, "cannot hash a stored run");
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
	const int order = pj_bytes_compare(x->key, y->key);
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
	size_t share = memory_bytes / merge->count;
	share = share < BUFFER_LEAST ? BUFFER_LEAST : share > BUFFER_MOST ? BUFFER_MOST : share;
	for (size_t i = 0; i < merge->count; i++) {
		const pj_status status = open_cursor(&merge->cursors[i], share, error);
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
