/*
 * engine.h: who runs the tasks, and where.
 */
#ifndef PJ_ENGINE_ENGINE_H
#define PJ_ENGINE_ENGINE_H

#include "job/bad.h"
#include "job/plan.h"
#include "output/sink.h"

/* What an engine gets: everything is settled, the sink is open. */
typedef struct pj__run_state {
	const pj__setup *setup;
	pj__plan *plan;
	pj__sink *sink;
	pj_result *result;
	pj__bad *bad; /* records that are to be left out */
	uint64_t started_ns;
	pj__tally tally; /* of what was published */
} pj__run_state;

/* The sequential reference: one process, the calling one, in the plainest code that is correct. */
PJ_MUST_USE pj_status pj__engine_simple(pj__run_state *run, pj_error *error);

/* Forked workers. */
PJ_MUST_USE pj_status pj__engine_local(pj__run_state *run, pj_error *error);

/* Refuses an output that is also an input: it would be replaced while it is read. */
PJ_MUST_USE pj_status pj__run_refuse_own_input(const pj__run_state *run, pj_error *error);

/* The end of every run: the inputs have not changed, nobody wants it to stop, the output appears. */
PJ_MUST_USE pj_status pj__run_commit(pj__run_state *run, pj_error *error);

/* Puts what was counted into the result. */
void pj__run_tell_tally(const pj__run_state *run);

/* PJ_ERR_INTERRUPTED if the run is to stop. */
PJ_MUST_USE pj_status pj__stopped(const pj__run_state *run, pj_error *error);

/* Counts lines, so that each split of the plan knows how many stand before its first one. */
PJ_MUST_USE pj_status pj__count_lines(const pj__setup *setup, pj__plan *plan, pj_error *error);

/* Tells the caller how far the run is. */
void pj__tell_progress(const pj__run_state *run, const char *phase, uint64_t done, uint64_t total, uint64_t retries);

#endif
