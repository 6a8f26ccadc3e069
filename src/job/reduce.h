/*
 * reduce.h: from the values of a key to results in a part, by whatever reducer the job has.
 *
 * The simple engine and the workers of the local engine come through here, so what a reducer means stands once.
 */
#ifndef PJ_JOB_REDUCE_H
#define PJ_JOB_REDUCE_H

#include "base/task.h"
#include "job/setup.h"
#include "job/whereabouts.h"
#include "output/part.h"

typedef struct pj__reduce {
	const pj_job *job;
	pj__task *task;
	pj__part *part; /* what is emitted goes here */
	pj__whereabouts *here;
	pj_text text; /* the result of an aggregate */
	uint64_t groups;
	bool in_part; /* the reducer's `begin` was called */
	_Alignas(16) char state[PJ_STATE_BYTES_MAX];
} pj__reduce;

/* Makes `task` emit to `part`; `here` is told each key. */
void pj__reduce_init(pj__reduce *reduce, const pj_job *job, pj__task *task, pj__part *part, pj__whereabouts *here);
void pj__reduce_fini(pj__reduce *reduce);

/* One key and its values; numbers for an aggregate are stored as 8 bytes. A failure is in the task, too. */
PJ_MUST_USE pj_status pj__reduce_group(pj__reduce *reduce, pj_bytes key, pj_values *values, pj_error *error);

/* A part has no more groups. A failure is in the task, too. */
PJ_MUST_USE pj_status pj__reduce_end(pj__reduce *reduce, pj_error *error);

/* One key whose values have been combined to a state. */
PJ_MUST_USE pj_status pj__reduce_state(pj__reduce *reduce, pj_bytes key, const void *state, pj_error *error);

/* One key and its values, which are stored states of an exact aggregate (reduce/aggregate.h). */
PJ_MUST_USE pj_status pj__reduce_stored(pj__reduce *reduce, pj_bytes key, pj_values *values, pj_error *error);

/* Makes a task emit straight to a part, as text: for reducers, and for mappers of map-only jobs. */
void pj__emit_to_part(pj__task *task, pj__part *part);

/* The failure that a task or its part remembers, after user code has returned `returned`. */
PJ_MUST_USE pj_status pj__task_outcome(pj__task *task, const pj__part *part, pj_status returned, const char *what,
				       pj_error *error);

#endif
