/*
 * merge.c: see merge.h.
 */
#include "run/merge.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/grow.h"
#include "base/verify.h"

enum { BUFFER_MOST = 1 << 20 };

void pj__merge_init(pj__merge *merge)
{
	*merge = (pj__merge){0};
}

void pj__merge_fini(pj__merge *merge)
{
	for (size_t i = 0; i < merge->count; i++)
		pj__cursor_fini(&merge->cursors[i]);
	free(merge->cursors);
	free(merge->losers);
	free(merge->scratch);
	free(merge->blocks);
	pj__space_fini(&merge->record);
	*merge = (pj__merge){0};
}

pj_status pj__merge_add(pj__merge *merge, const pj__run *run, const pj__segment *segment, pj_error *error)
{
	if (!segment->bytes)
		return PJ_OK;
	PJ_VERIFY(!merge->losers); /* it has not started */
	const pj_status status =
		pj__grow(&merge->cursors, &merge->capacity, merge->count + 1, sizeof *merge->cursors, error);
	if (status)
		return status;
	pj__cursor_init(&merge->cursors[merge->count++], merge->keys, run, segment);
	return PJ_OK;
}

size_t pj__merge_least(const pj_keys *keys, const pj__segment *segment)
{
	return pj__cursor_least(keys, segment) + sizeof(pj__cursor) + (segment->packed ? 0 : sizeof(XXH3_state_t));
}

size_t pj__merge_shared(const pj_keys *keys, const pj__segment *segments, size_t count)
{
	uint64_t longest = 0;
	for (size_t i = 0; i < count; i++)
		if (pj__cursor_may_wait(keys, &segments[i]) && longest < segments[i].longest)
			longest = segments[i].longest;
	return PJ__MERGE_SHARED + (longest ? 2 * PJ__BLOCK_BYTES + (size_t)longest : 0);
}

/* The order of two cursors' keys by bytes, where it is not known from their prefixes. */
static int compare_keys(pj__merge *merge, const pj__cursor *x, const pj__cursor *y)
{
	int order = 0;
	if (!x->waits && !y->waits)
		return pj_bytes_compare(x->key, y->key);
	if (!merge->status)
		merge->status = pj__cursor_compare(x, y, (pj_bytes){NULL, 0}, merge->blocks, &order, &merge->error);
	return order;
}

/* Does cursor a come before cursor b? One that is done comes last; equal keys by the order of segments. */
static bool comes_first(pj__merge *merge, uint32_t a, uint32_t b)
{
	const pj__cursor *x = &merge->cursors[a], *y = &merge->cursors[b];
	if (x->done || y->done)
		return y->done && (!x->done || a < b);
	if (x->prefix != y->prefix)
		return x->prefix < y->prefix;
	const int order = merge->keys ? pj__keys_compare_pairs(merge->keys, x->key, x->value, y->key, y->value)
				      : compare_keys(merge, x, y);
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

/* What the records that wait need: room for the longest one, whose pages come when it does. */
static pj_status make_room(pj__merge *merge, pj_error *error)
{
	uint64_t longest = 0;
	for (size_t i = 0; i < merge->count; i++) {
		const pj__cursor *cursor = &merge->cursors[i];
		if (cursor->may_wait && longest < cursor->unpacker.segment.longest)
			longest = cursor->unpacker.segment.longest;
	}
	if (!longest)
		return PJ_OK;
	merge->blocks = malloc(2 * PJ__BLOCK_BYTES);
	return merge->blocks ? pj__space_need(&merge->record, (size_t)longest, error)
			     : pj__no_memory(error, 2 * PJ__BLOCK_BYTES);
}

/* What went wrong where keys were compared. */
static pj_status outcome(const pj__merge *merge, pj_error *error)
{
	if (merge->status && error)
		*error = merge->error;
	return merge->status;
}

pj_status pj__merge_start(pj__merge *merge, size_t memory_bytes, pj_error *error)
{
	if (!merge->count)
		return PJ_OK;
	PJ_VERIFY(!merge->losers && merge->count <= UINT32_MAX);
	merge->losers = calloc(merge->count, sizeof *merge->losers);
	if (!merge->losers)
		return pj__no_memory(error, merge->count * sizeof *merge->losers);
	merge->scratch = malloc(PJ__MERGE_SHARED);
	if (!merge->scratch)
		return pj__no_memory(error, PJ__MERGE_SHARED);
	pj_status status = make_room(merge, error);
	const size_t shared = PJ__MERGE_SHARED + merge->record.bytes;
	const size_t for_buffers = memory_bytes > shared ? memory_bytes - shared : 0;
	const size_t share = for_buffers / merge->count < BUFFER_MOST ? for_buffers / merge->count : BUFFER_MOST;
	for (size_t i = 0; i < merge->count && !status; i++)
		status = pj__cursor_open(&merge->cursors[i], share, merge->scratch, error);
	if (status)
		return status;
	merge->losers[0] = play(merge, 1);
	return outcome(merge, error);
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

pj_status pj__merge_step(pj__merge *merge, bool *ret_more, pj_error *error)
{
	*ret_more = false;
	if (!merge->count)
		return PJ_OK;
	if (merge->started) {
		pj_status status = pj__cursor_advance(&merge->cursors[merge->losers[0]], error);
		if (status)
			return status;
		replay(merge);
		status = outcome(merge, error);
		if (status)
			return status;
	}
	merge->started = true;
	const pj__cursor *winner = &merge->cursors[merge->losers[0]];
	if (winner->done)
		return PJ_OK;
	merge->waits = winner->waits;
	merge->key = winner->key;
	merge->value = winner->value;
	*ret_more = true;
	return PJ_OK;
}

pj_status pj__merge_is_key(pj__merge *merge, pj_bytes key, bool *ret_is, pj_error *error)
{
	int order;
	const pj_status status =
		pj__cursor_compare(&merge->cursors[merge->losers[0]], NULL, key, merge->blocks, &order, error);
	if (!status)
		*ret_is = !order;
	return status;
}

pj_status pj__merge_load(pj__merge *merge, pj_error *error)
{
	pj__cursor *winner = &merge->cursors[merge->losers[0]];
	PJ_VERIFY(merge->started && merge->waits == winner->waits);
	PJ_VERIFY(!merge->waits || winner->key_len + winner->value_len <= merge->record.bytes);
	const pj_status status = merge->waits ? pj__cursor_load(winner, merge->record.at, error) : PJ_OK;
	merge->waits = false;
	merge->key = winner->key;
	merge->value = winner->value;
	return status;
}

pj_status pj__merge_next(pj__merge *merge, bool *ret_more, pj_error *error)
{
	const pj_status status = pj__merge_step(merge, ret_more, error);
	return !status && *ret_more ? pj__merge_load(merge, error) : status;
}
