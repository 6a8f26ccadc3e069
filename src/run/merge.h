/*
 * merge.h: many sorted segments as one sorted stream of pairs.
 *
 * In order: init, add each segment in plan order, start, then next until it says 0, fini. Equal keys come in the order
 * in which their segments were added, and within a segment as they stand: that is the plan order.
 *
 * A tournament tree of losers (Knuth, volume 3, 5.4.1) over cursors. Each cursor reads its segment through a buffer, so
 * that a segment, and the values of one key, may be larger than memory; the checksum of a raw one is judged at its end.
 * Of all records that are too long for that (cursor.h) one is in memory at a time.
 */
#ifndef PJ_RUN_MERGE_H
#define PJ_RUN_MERGE_H

#include "base/space.h"
#include "run/cursor.h"

enum { PJ__MERGE_SHARED = PJ__UNPACKER_SCRATCH };

typedef struct pj__merge {
	pj__cursor *cursors;
	size_t count, capacity;
	uint32_t *losers; /* losers[0]: the winner; [1 .. count): the inner nodes */
	char *scratch;    /* for the readers of packed segments: PJ__MERGE_SHARED bytes */
	char *blocks;     /* to compare keys that are not in memory; NULL: there will be none */
	pj__space record; /* the long record that was loaded last, its key at the front */
	bool started;
	const pj_keys *keys; /* by which the segments are sorted (keys.h); NULL: by bytes. To be set before all else */
	pj_bytes key, value; /* of the pair at hand ... */
	bool waits;          /* ... which is long, and not loaded: there is but the beginning of its key */
	pj_status status;    /* of comparing keys */
	pj_error error;
} pj__merge;

void pj__merge_init(pj__merge *merge);
void pj__merge_fini(pj__merge *merge);

/* Adds a segment, sorted by key, of a run whose file stays open. Empty segments are passed over. */
PJ_MUST_USE pj_status pj__merge_add(pj__merge *merge, const pj__run *run, const pj__segment *segment, pj_error *error);

/*
 * The memory that a segment takes in a merge by `keys` at least, its longest record included, if that is known and has
 * to be there.
 */
size_t pj__merge_least(const pj_keys *keys, const pj__segment *segment);

/* The memory that all of them take together, besides. */
size_t pj__merge_shared(const pj_keys *keys, const pj__segment *segments, size_t count);

/* Begins to read; all buffers together take about `memory_bytes`, or what they need at least if that is more. */
PJ_MUST_USE pj_status pj__merge_start(pj__merge *merge, size_t memory_bytes, pj_error *error);

/*
 * Steps to the next pair: *ret_more = false behind the last one. merge->key and value live until the next call, but
 * those of a long record until the next one is loaded.
 */
PJ_MUST_USE pj_status pj__merge_next(pj__merge *merge, bool *ret_more, pj_error *error);

/*
 * The same, but a long record is not loaded: then merge->waits, and the one that was loaded before stays. A second call
 * passes over it.
 */
PJ_MUST_USE pj_status pj__merge_step(pj__merge *merge, bool *ret_more, pj_error *error);

/* Is the key of the pair at hand, which waits, this one? */
PJ_MUST_USE pj_status pj__merge_is_key(pj__merge *merge, pj_bytes key, bool *ret_is, pj_error *error);

/*
 * Loads the pair at hand, if it waits. The key goes to where that of the last long record was: if it is the same one,
 * nothing about it changes.
 */
PJ_MUST_USE pj_status pj__merge_load(pj__merge *merge, pj_error *error);

#endif
