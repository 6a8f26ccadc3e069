/*
 * session.c: see papjuice/session.h. A leader whose workers stay from run to run (local.h: the message BEGIN).
 */
#include <papjuice/session.h>
#include <stdlib.h>

#include "base/machine.h"
#include "engine/leader.h"

struct pj_session {
	struct leader leader;
	pj__setup *setups;
	pj__plan *plans;
	size_t count, settled, planned;
};

static pj_status refuse(const char *what, pj_error *error)
{
	return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "a session cannot %s", what);
}

static pj_status prepare(pj_session *session, const pj_job *jobs, const pj_options *options, pj_error *error)
{
	for (size_t i = 0; i < session->count; i++) {
		pj__setup *setup = &session->setups[i];
		pj_status status = pj__setup_init(setup, &jobs[i], options, error);
		session->settled += !status;
		setup->stands = true;
		if (!status && setup->options.sorter != PJ_SORTER_PLEX && setup->options.sorter != PJ_SORTER_TOTAL)
			status = refuse("use another sorter than plex or total", error);
		if (!status)
			status = pj__plan_init(&session->plans[i], setup, false, error);
		if (status)
			return status;
		session->planned++;
		session->plans[i].refers = false; /* an input may come to be another one between two runs */
		if (!status)
			status = pj__count_lines(setup, &session->plans[i], error);
		if (status)
			return status;
		if (session->plans[i].sources.has_stream)
			return refuse("read a stream: it can be read only once", error);
	}
	return PJ_OK;
}

/* Workers decode; what a run compresses, the leader does. */
static pj__codec_share share_codecs(const pj_session *session)
{
	pj__codec_share share = {0};
	for (size_t i = 0; i < session->planned; i++) {
		const uint64_t decoder = session->plans[i].sources.decoder_bytes,
			       encoder = pj__encoder_memory(session->setups[i].options.output.compression);
		share.worker = decoder > share.worker ? decoder : share.worker;
		share.leader = encoder > share.leader ? encoder : share.leader;
	}
	return share;
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
	session->leader.local.board = session->leader.local.direct = -1; /* closing them must not close another's */
	session->setups = calloc(count, sizeof *session->setups);
	session->plans = calloc(count, sizeof *session->plans);
	const pj__sink any = {.kind = PJ__SINK_STREAM}; /* each run has its own */
	pj_status status = session->setups && session->plans ? prepare(session, jobs, options, error)
							     : pj__no_memory(error, count * sizeof *session->plans);
	if (!status)
		status = pj__leader_open(&session->leader, session->setups, session->plans,
					 session->setups[0].options.workers, share_codecs(session),
					 pj__temp_folder(session->setups[0].options.temp, &any), error);
	session->leader.local.stays = true;
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
	pj__leader_close(&session->leader);
	for (size_t i = 0; i < session->planned; i++)
		pj__plan_fini(&session->plans[i]);
	for (size_t i = 0; i < session->settled; i++)
		pj__setup_fini(&session->setups[i]);
	free(session->plans);
	free(session->setups);
	free(session);
}

static pj_status run_job(pj_session *session, size_t index, pj_bytes params, pj__run_state *run, pj_error *error)
{
	struct leader *leader = &session->leader;
	pj__bad bad;
	pj__plan_part(run->plan, run->setup, run->sink->kind == PJ__SINK_FOLDER);
	pj_status status = pj__run_refuse_own_input(run, error);
	if (!status)
		status = pj__bad_open(&bad, &run->setup->options, run->plan, run->sink, error);
	if (status)
		return status;
	run->bad = &bad;
	status = pj__leader_begin(leader, run, (uint32_t)index, &params, error);
	if (!status)
		status = pj__leader_phases(leader, error);
	if (status)
		pj__leader_stop(leader);
	else
		status = pj__run_commit(run, error);
	pj__bad_tell(&bad, run->result);
	pj__bad_close(&bad);
	run->bad = NULL;
	leader->run = NULL; /* it ends with its caller */
	return status;
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
	pj__sink sink;
	pj__run_state run = {.setup = &session->setups[index],
			     .plan = &session->plans[index],
			     .sink = &sink,
			     .result = result,
			     .started_ns = pj__now_ns()};
	pj_status status = pj__sink_open_until(&sink, output ? output : &run.setup->options.output,
					       run.setup->options.stop, error);
	if (status)
		return status;
	result->inputs = run.plan->sources.count;
	status = run_job(session, index, params, &run, error);
	pj__run_tell_tally(&run);
	pj__sink_close(&sink);
	result->total_seconds = (double)(pj__now_ns() - run.started_ns) * 1e-9;
	return status;
}
