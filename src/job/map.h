/*
 * map.h: running the mapper over the splits of a task. The one place where user code meets the input.
 */
#ifndef PJ_JOB_MAP_H
#define PJ_JOB_MAP_H

#include "base/task.h"
#include "job/plan.h"

/* Where the mapper is: written before each piece, so that it is known after a death. */
typedef struct pj__whereabouts {
	volatile uint64_t progress; /* counted up whenever something was done */
	volatile uint32_t source;
	volatile uint64_t offset;
} pj__whereabouts;

typedef struct pj__mapping {
	const pj_job *job;
	pj__task *task;
	pj__whereabouts *here;
	pj__reader reader;
	uint64_t records, bytes; /* of the task at hand */
	uint64_t line;           /* lines of the source before the next piece, if they are counted */
} pj__mapping;

PJ_MUST_USE pj_status pj__mapping_init(pj__mapping *mapping, const pj_job *job, pj__task *task,
				       const pj__sources *sources, pj__whereabouts *here, pj_error *error);
void pj__mapping_fini(pj__mapping *mapping);

/*
 * Maps task `index`, whose splits are given; what it emits has reached the task's taker when this returns. On failure
 * the error names the input and the place in it.
 */
PJ_MUST_USE pj_status pj__map_task(pj__mapping *mapping, uint64_t index, const pj__split *splits, size_t count,
				   pj_error *error);

#endif
