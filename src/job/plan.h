/*
 * plan.h: the map tasks of a job, and how its pairs are parted.
 *
 * The plan follows from the input, the job and the settled options; never from the number of workers or from time. What
 * shows in the output, tasks and part files, does not depend on memory. How many ranges are reduced apart does: pairs
 * that stay in the inputs, where `memory` has room for these, are cheap to merge, so that ranges are smaller. And
 * `memory`, unless it is given, is half of what is free when options are settled (setup.c).
 *
 * A task is one or several splits: a large file is cut every `split_bytes`; small files are packed together, in order.
 * Tasks are numbered in the order of the input.
 *
 *     files   |------- a -------|-b-|-c-|---- d ----|
 *     tasks   |  0  |  1  |  2  |   3   |  4  |  5  |
 *
 * The size of splits, unless it is given: a 64th of the input, between 256 KiB (2 MiB for a mapper that is a program)
 * and 16 MiB, so that a small input has work for many workers as well. The tasks of a stream are added while it is read
 * (spool.h).
 *
 * A compressed file is cut at borders of its units, at least split_bytes of compressed bytes apart (codec/cut.h). One
 * that cannot be cut is a single split, unless it is most of the input: then it is made a stream, which the leader
 * decodes while workers map.
 */
#ifndef PJ_JOB_PLAN_H
#define PJ_JOB_PLAN_H

#include "input/reader.h"
#include "job/setup.h"

typedef struct pj__plan {
	pj__sources sources;
	pj__split *splits;
	size_t *first; /* of each task, and the end: indexes in `splits` */
	size_t split_count, split_capacity, task_count, task_capacity;
	uint64_t split_bytes;
	uint32_t parts, ranges; /* partition.h; ranges are a wish */
	bool refers;            /* pairs hold positions in the inputs, which have a view (input/view.h) */
	uint32_t files;         /* part files that share the ranges evenly (PJ_PARTS_RANGES); 0: a file is a part */
} pj__plan;

/*
 * Plans what is known. Sources after the first stream are made streams as well, so that tasks stay in order.
 * `to_folder`: the output has a file for each partition.
 */
PJ_MUST_USE pj_status pj__plan_init(pj__plan *plan, const pj__setup *setup, bool to_folder, pj_error *error);
void pj__plan_fini(pj__plan *plan);

/* How many part files the plan makes of reduced pairs in a folder. */
static inline uint32_t pj__plan_files(const pj__plan *plan)
{
	return plan->files ? plan->files : plan->parts;
}

/* The split with which the input begins, if it is one of a stream; NULL: it begins with files, or nothing has come. */
const pj__split *pj__plan_first_streamed(const pj__plan *plan);

/* Does a task read a stream? */
bool pj__plan_is_streamed(const pj__plan *plan, size_t task);

/* Decides how pairs are parted: again, when the output has changed. */
void pj__plan_part(pj__plan *plan, const pj__setup *setup, bool to_folder);

/* What was decided, for the caller of the run. */
pj_plan_facts pj__plan_facts(const pj__plan *plan, const pj__setup *setup);

/* Adds a task of one split. */
PJ_MUST_USE pj_status pj__plan_add(pj__plan *plan, pj__split split, pj_error *error);

#endif
