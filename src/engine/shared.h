/*
 * shared.h: the sorter `shared`: one dict in shared memory, merged by worker processes under its lock.
 */
#ifndef PJ_ENGINE_SHARED_H
#define PJ_ENGINE_SHARED_H

#include "engine/worker.h"

/* Makes a dict of `bytes`; workers that are to use it are forked afterwards. */
PJ_MUST_USE pj_status pj__shared_create(size_t bytes, struct pj__shared_dict **ret_shared, pj_error *error);
void pj__shared_destroy(struct pj__shared_dict *shared);

/* In a worker: merges some of the published runs into the dict. */
PJ_MUST_USE pj_status pj__shared_merge(struct worker *worker, uint32_t first, uint32_t count, pj_error *error);

/* In a worker: reduces the keys of some buckets, when everything is merged. */
PJ_MUST_USE pj_status pj__shared_reduce(struct worker *worker, uint32_t first, uint32_t count, pj_error *error);

#endif
