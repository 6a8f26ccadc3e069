/*
 * passes.h: makes few sorted segments of many, so that one merge can read all that are left.
 *
 * Each segment of a merge takes a buffer; thousands of them would take more memory than there is. So neighbours are
 * merged with neighbours, as many at a time as the memory allows, into runs on disk, until the rest can be merged at
 * once. Neighbours stay neighbours: the plan order of equal keys is kept. No more is merged than has to be: a pass ends
 * as soon as what is left fits.
 */
#ifndef PJ_RUN_PASSES_H
#define PJ_RUN_PASSES_H

#include "run/keys.h"
#include "run/run.h"

/*
 * Merges segments, each sorted as `keys` say (NULL: by bytes), until pj__merge can take those that are left within
 * `memory_bytes` (or two are left, however little memory there is). runs[i] is that of segments[i]; both arrays and
 * *count become those that are left, in plan order and without empty ones. New runs are written to `fd` from *end on,
 * which moves behind them. *progress is counted up with each pair. *ret_passes says how often data was merged to disk:
 * 0 if all fitted. On failure the arrays are not to be used, and *end is behind the last run that is whole.
 */
PJ_MUST_USE pj_status pj__merge_passes(const pj_keys *keys, pj__run *runs, pj__segment *segments, size_t *count,
				       size_t memory_bytes, int fd, uint64_t *end, volatile uint64_t *progress,
				       unsigned *ret_passes, pj_error *error);

#endif
