/*
 * map.h: running the mapper over the splits of a task. The one place where user code meets the input.
 */
#ifndef PJ_JOB_MAP_H
#define PJ_JOB_MAP_H

#include "base/task.h"
#include "job/plan.h"
#include "job/whereabouts.h"

/* A record, by its first byte. */
typedef struct pj__record_at {
	uint64_t offset;
	uint64_t source;
} pj__record_at;

/*
 * Careful: records are mapped one by one, and what each emits is taken before the next, so that the one in work is
 * known; but for those that are left out.
 */
typedef struct pj__care {
	bool is;
	const pj__record_at *left_out;
	size_t count;
} pj__care;

typedef struct pj__mapping {
	const pj_job *job;
	pj__task *task;
	pj__whereabouts *here;
	pj__reader reader;
	uint64_t records, bytes; /* of the task at hand */
	uint64_t line;           /* lines of the source before the next piece, if they are counted */
	/* Set by the owner: */
	pj__care care;
	bool keeps_batch; /* what is emitted may wait, however careful */
	int lifeline;     /* a descriptor that user code must not have closed; 0: none */
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
