/*
 * order.h: results in another order than that of keys, or only the first of them.
 *
 * Parts are made as records then (part.h). Each is put in order and cut where it was made; when all are there they are
 * merged, and only now written as the output wants them.
 */
#ifndef PJ_OUTPUT_ORDER_H
#define PJ_OUTPUT_ORDER_H

#include "output/pour.h"

/* Does the output need this? Else parts go straight to where they belong. */
static inline bool pj__is_ordered(const pj_output *output)
{
	return output->order != PJ_BY_KEY || output->limit;
}

/* Puts the records of a part in the output's order and leaves only as many as its limit. */
PJ_MUST_USE pj_status pj__part_order(pj__part *part, const pj_output *output, pj_error *error);

/* An ordered part that lies in a file. */
typedef struct pj__parked {
	int fd;
	uint64_t offset, bytes;
} pj__parked;

/*
 * Merges ordered parts, `count` of them in plan order, into one, which puts away what it cannot hold, and stops if that
 * sets *failed. The merge's buffers take about `memory_bytes`.
 */
PJ_MUST_USE pj_status pj__part_merge(pj__part *to, const pj__parked *parts, size_t count, const pj_output *output,
				     size_t memory_bytes, const pj_status *failed, pj_error *error);

/*
 * Merges ordered parts, `count` of them in plan order, into the sink; `written` becomes what was written, as pairs and
 * bytes. `stopped` (NULL: never) is asked now and then.
 */
PJ_MUST_USE pj_status pj__pour_ordered(pj__sink *sink, const pj__parked *parts, size_t count, size_t memory_bytes,
				       pj_status (*stopped)(void *arg, pj_error *error), void *arg, uint64_t *ret_pairs,
				       uint64_t *ret_bytes, pj_error *error);

#endif
