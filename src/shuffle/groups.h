/*
 * groups.h: the pairs of a bucket, key by key, each with its values in plan order, read from sorted runs.
 */
#ifndef PJ_SHUFFLE_GROUPS_H
#define PJ_SHUFFLE_GROUPS_H

#include "base/task.h"
#include "base/text.h"
#include "run/merge.h"

typedef struct pj__groups {
	pj_values values; /* first: of the group at hand */
	pj__merge merge;
	pj_text key;   /* of the group at hand */
	bool more;     /* merge.key and merge.value are a pair that was not taken */
	bool in_group; /* ... and it belongs to the group at hand */
} pj__groups;

void pj__groups_init(pj__groups *groups, pj__task *task);
void pj__groups_fini(pj__groups *groups);

/*
 * Begins a bucket: segments[i] is that of runs[i], in plan order. About `memory_bytes` are used for reading.
 */
PJ_MUST_USE pj_status pj__groups_begin(pj__groups *groups, const pj__run *runs, const pj__segment *segments,
				       size_t count, size_t memory_bytes, pj_error *error);

/*
 * Steps to the next key, passing over what was not taken of the last one's values. *ret_more = false: there is none.
 * The key lives until the next call; its values are taken from groups->values. A failure while values are taken is told
 * to the task.
 */
PJ_MUST_USE pj_status pj__groups_next(pj__groups *groups, bool *ret_more, pj_bytes *ret_key, pj_error *error);

#endif
