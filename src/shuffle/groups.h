/*
 * groups.h: the pairs of a bucket, key by key, each with its values in plan order.
 *
 * The segments of a bucket are read one behind another, in plan order, and sorted by key, stable. Where keys occur
 * often their pairs are chained first, and only one of each key is sorted. What is larger than the memory that it may
 * take is sorted a piece at a time: the pieces go to the scratch (store.h) and are merged.
 */
#ifndef PJ_SHUFFLE_GROUPS_H
#define PJ_SHUFFLE_GROUPS_H

#include "base/space.h"
#include "base/task.h"
#include "base/text.h"
#include "run/merge.h"
#include "run/sort.h"
#include "shuffle/chains.h"
#include "shuffle/store.h"

typedef struct pj__groups {
	pj_values values; /* first: of the group at hand */
	pj__store *store;
	const pj_keys *keys;   /* order and groups of keys (run/keys.h); NULL: bytes. Set between buckets */
	const char *view;      /* of the inputs, to which records refer (reference.h); NULL: they do not */
	size_t memory_bytes;   /* that a bucket may take */
	pj__space data, items; /* records; an item for each, and room for as many */
	pj__space text;        /* keys that were referred to */
	size_t count, at;      /* items; the next to be handed out */
	pj__chains chains;
	pj__merge merge;
	bool merging;        /* pairs come from the merge */
	pj_bytes key, value; /* of the pair at hand */
	bool more;           /* it was not taken yet */
	bool in_group;       /* ... and belongs to the group at hand: */
	pj_bytes group_key;
	pj_bytes beginning; /* of group_key, where the job has keys of its own */
	pj_text kept_key;   /* of a group that comes from the merge */
} pj__groups;

/* The store (NULL: everything fits into memory) must live as long. */
void pj__groups_init(pj__groups *groups, pj__task *task, pj__store *store, size_t memory_bytes);
void pj__groups_fini(pj__groups *groups);

/* Between two buckets: gives back the memory. */
void pj__groups_relieve(pj__groups *groups);

/* Begins a bucket: segments[i] is that of runs[i], in plan order. */
PJ_MUST_USE pj_status pj__groups_begin(pj__groups *groups, const pj__run *runs, const pj__segment *segments,
				       size_t count, pj_error *error);

/*
 * Steps to the next key, passing over what was not taken of the last one's values. *ret_more = false: there is none.
 * The key lives until the next call; its values are taken from groups->values. A failure while values are taken is told
 * to the task.
 */
PJ_MUST_USE pj_status pj__groups_next(pj__groups *groups, bool *ret_more, pj_bytes *ret_key, pj_error *error);

/*
 * Instead of pj__groups_next, for all of a bucket: steps to the next pair, groups->key and groups->value, which live
 * until the next call. *ret_more = false: there is none; *ret_fresh: its key is another one than the last pair's.
 */
PJ_MUST_USE pj_status pj__groups_pair(pj__groups *groups, bool *ret_more, bool *ret_fresh, pj_error *error);

#endif
