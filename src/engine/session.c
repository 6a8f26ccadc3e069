/*
 * session.c: see papjuice/session.h. An engine that stays open from run to run.
 */
#include <papjuice/session.h>
#include <stdlib.h>

#include "base/machine.h"
#include "engine/engine.h"

struct pj_session {
	const pj__engine *engine;
	void *opened; /* the engine; NULL: it is not */
	pj__setup *setups;
	pj__plan *plans;
	size_t count, settled, planned;
};

static pj_status refuse(const char *what, pj_error *error)
{
	return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "a session cannot %s", what);
}

/* All jobs have the engine of the first one: it is the options that name it. */
static pj_status choose(pj_session *session, pj__setup *setup, pj_error *error)
{
	const pj_status status = pj__engine_choose(setup, &session->engine, error);
	if (status)
		return status;
	if (session->engine->can & PJ__CAN_STAY && setup->options.sorter != PJ_SORTER_SHARED &&
	    !strcmp(setup->options.engine, session->setups[0].options.engine))
		return PJ_OK;
	return refuse("use the sorter shared, or an engine that does not stay from run to run", error);
}

static pj_status prepare(pj_session *session, const pj_job *jobs, const pj_options *options, pj_error *error)
{
	for (size_t i = 0; i < session->count; i++) {
		pj__setup *setup = &session->setups[i];
		pj__plan *plan = &session->plans[i];
		pj_status status = pj__setup_init(setup, &jobs[i], options, error);
		session->settled += !status;
		if (!status)
			status = choose(session, setup, error);
		setup->stands = true;
		if (!status)
			status = pj__plan_init(plan, setup, false, error);
		if (status)
			return status;
		session->planned++;
		plan->refers = false; /* an input may come to be another one between two runs */
		status = pj__engine_fit(session->engine, plan, error);
		if (!status)
			status = pj__count_lines(setup, plan, error);
		if (status)
			return status;
		if (plan->sources.has_stream)
			return refuse("read a stream: it can be read only once", error);
	}
	return PJ_OK;
}

pj_status pj_session_open(const pj_job *jobs, size_t count, const pj_options *options, pj_session **ret_session,
			  pj_error *error)
{
	if (!count)
		return refuse("be opened without a job", error);
	pj_session *session = calloc(1, sizeof *session);
	if (!session)
		return pj__no_memory(error, sizeof *session);
	session->count = count;
	session->setups = calloc(count, sizeof *session->setups);
	session->plans = calloc(count, sizeof *session->plans);
	pj_status status = session->setups && session->plans ? prepare(session, jobs, options, error)
							     : pj__no_memory(error, count * sizeof *session->plans);
	const pj__engine_terms terms = {session->setups, session->plans, count, NULL};
	if (!status)
		status = pj__engine_open(session->engine, &terms, &session->opened, error);
	if (status)
		pj_session_close(session);
	else
		*ret_session = session;
	return status;
}

void pj_session_close(pj_session *session)
{
	if (!session)
		return;
	if (session->opened)
		session->engine->close(session->opened);
	for (size_t i = 0; i < session->planned; i++)
		pj__plan_fini(&session->plans[i]);
	for (size_t i = 0; i < session->settled; i++)
		pj__setup_fini(&session->setups[i]);
	free(session->plans);
	free(session->setups);
	free(session);
}

pj_status pj_session_run(pj_session *session, size_t index, pj_bytes params, const pj_output *output,
			 pj_result *ret_result, pj_error *error)
{
	pj_result *result = ret_result, unwanted;
	if (!result)
		result = &unwanted;
	memset(result, 0, sizeof *result);
	if (index >= session->count)
		return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "the session has no job %zu", index);
	const pj__setup *setup = &session->setups[index];
	pj__sink sink;
	pj__run_state run = {.setup = setup,
			     .plan = &session->plans[index],
			     .sink = &sink,
			     .job = (uint32_t)index,
			     .params = &params,
			     .result = result,
			     .started_ns = pj__now_ns()};
	pj_status status = setup->storage->open_output(&sink, output ? output : &setup->options.output,
						       setup->options.stop, error);
	if (status)
		return status;
	result->inputs = run.plan->sources.count;
	pj__plan_part(run.plan, setup, sink.kind == PJ__SINK_FOLDER);
	result->plan = pj__plan_facts(run.plan, setup);
	status = pj__run_refuse_own_input(&run, error);
	if (!status)
		status = pj__run_by(session->engine, session->opened, &run, error);
	setup->storage->close_output(&sink);
	pj__run_tell(&run);
	return status;
}
