/*
 * merge.h: many sorted segments as one sorted stream of pairs.
 *
 * In order: init, add each segment in plan order, start, then next until it says 0, fini. Equal keys come in the order
 * in which their segments were added, and within a segment as they stand: that is the plan order.
 *
 * A tournament tree of losers (Knuth, volume 3, 5.4.1) over cursors. Each cursor reads its segment through a buffer, so
 * that a segment, and the values of one key, may be larger than memory; the checksum of a raw one is judged at its end.
 */
#ifndef PJ_RUN_MERGE_H
#define PJ_RUN_MERGE_H

#include "run/keys.h"
#include "run/unpacker.h"

enum { PJ__MERGE_SHARED = PJ__UNPACKER_SCRATCH };

typedef struct pj__cursor pj__cursor;

typedef struct pj__merge {
	pj__cursor *cursors;
	size_t count, capacity;
	uint32_t *losers; /* losers[0]: the winner; [1 .. count): the inner nodes */
	char *scratch;    /* for the readers of packed segments: PJ__MERGE_SHARED bytes */
	bool started;
	const pj_keys *keys; /* by which the segments are sorted (keys.h); NULL: by bytes. To be set before the start */
	pj_bytes key, value; /* of the pair at hand */
} pj__merge;

void pj__merge_init(pj__merge *merge);
void pj__merge_fini(pj__merge *merge);

/* Adds a segment, sorted by key, of a run whose file stays open. Empty segments are passed over. */
PJ_MUST_USE pj_status pj__merge_add(pj__merge *merge, const pj__run *run, const pj__segment *segment, pj_error *error);

/*
 * The memory that a segment takes in a merge at least, for its longest record, too, if that is known. All of them
 * together take PJ__MERGE_SHARED bytes more.
 */
size_t pj__merge_least(const pj__segment *segment);

/* Begins to read; all buffers together take about `memory_bytes`, or what they need at least if that is more. */
PJ_MUST_USE pj_status pj__merge_start(pj__merge *merge, size_t memory_bytes, pj_error *error);

/* Steps to the next pair: *ret_more = false behind the last one. merge->key and value live until the next call. */
PJ_MUST_USE pj_status pj__merge_next(pj__merge *merge, bool *ret_more, pj_error *error);

#endif
