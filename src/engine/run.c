/*
 * run.c: pj_run, what every run does around its engine (engine.h): settle, choose, open, plan, (engine), commit.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/machine.h"
#include "engine/engine.h"

pj_status pj__stopped(const pj__run_state *run, pj_error *error)
{
	return pj__stopped_by(run->setup->options.stop, error);
}

static double seconds_since(uint64_t start_ns)
{
	return (double)(pj__now_ns() - start_ns) * 1e-9;
}

void pj__run_tell(const pj__run_state *run)
{
	const pj__tally *tally = &run->tally;
	pj_result *result = run->result;
	result->programs = tally->programs;
	result->program_seconds = tally->seconds;
	result->program_peak_bytes = tally->peak_bytes;
	result->counters_lost = tally->lost;
	result->counter_count = tally->count;
	memcpy(result->counter, tally->counter, tally->count * sizeof *tally->counter);
	result->total_seconds = seconds_since(run->started_ns);
}

void pj__tell_progress(const pj__run_state *run, const char *phase, uint64_t done, uint64_t total, uint64_t retries)
{
	const pj_options *options = &run->setup->options;
	if (!options->progress)
		return;
	const pj_progress progress = {
		.phase = phase,
		.done = done,
		.total = total,
		.records = run->result->records,
		.seconds = seconds_since(run->started_ns),
		.workers = run->result->workers,
		.retries = retries,
	};
	options->progress(options->progress_arg, &progress);
}

/* Is it a file of this folder? */
static bool lies_within(const pj__source *source, const char *folder)
{
	char name[64];
	snprintf(name, sizeof name, "/proc/self/fd/%d", source->fd);
	char *path = source->inode ? realpath(source->fd >= 0 ? name : source->name, NULL) : NULL;
	const size_t len = strlen(folder);
	const bool within = path && strncmp(path, folder, len) == 0 && path[len] == '/';
	free(path);
	return within;
}

pj_status pj__run_refuse_own_input(const pj__run_state *run, pj_error *error)
{
	const bool is_file = run->sink->kind == PJ__SINK_FILE;
	if (!run->sink->exists || (is_file && run->setup->job.may_replace_input))
		return PJ_OK;
	for (size_t i = 0; i < run->plan->sources.count; i++) {
		const pj__source *source = &run->plan->sources.at[i];
		const bool same = source->inode == run->sink->inode && source->device == run->sink->device;
		if (same || (run->sink->kind == PJ__SINK_FOLDER && lies_within(source, run->sink->path))) {
			pj__fail(error, PJ_ERR_EXISTS, 0, run->sink->path, "the output is also an input");
			pj__error_hint(error, "choose another path with -o");
			return PJ_ERR_EXISTS;
		}
	}
	return PJ_OK;
}

static pj_status commit(pj__run_state *run, pj_error *error)
{
	const uint64_t begun = pj__now_ns();
	const pj__storage *storage = run->setup->storage;
	pj_status status = storage->check_inputs(&run->plan->sources, &run->result->inputs_grown, error);
	if (!status)
		status = pj__stopped(run, error);
	if (!status)
		status = pj__bad_write(run->bad, error);
	if (!status)
		status = storage->commit_output(run->sink, error);
	if (!status)
		status = pj__bad_commit(run->bad, error);
	run->result->commit_seconds = seconds_since(begun);
	return status;
}

pj_status pj__engine_open(const pj__engine *engine, const pj__engine_terms *terms, void **ret_opened, pj_error *error)
{
	pj_status status = PJ_OK;
	for (size_t i = 0; i < terms->count && !status; i++)
		status = pj__commands_guard(terms->setups[i].commands, error);
	return status ? status : engine->open(terms, ret_opened, error);
}

/* Runs by an engine that is opened for nothing else. */
static pj_status run_once(const pj__engine *engine, pj__run_state *run, pj_error *error)
{
	const pj__engine_terms terms = {run->setup, run->plan, 1, run->sink};
	void *opened;
	pj_status status = pj__engine_open(engine, &terms, &opened, error);
	if (status)
		return status;
	status = engine->run(opened, run, error);
	engine->close(opened);
	return status;
}

pj_status pj__run_by(const pj__engine *engine, void *opened, pj__run_state *run, pj_error *error)
{
	pj__bad bad;
	pj_status status = pj__bad_open(&bad, &run->setup->options, run->plan, run->sink, error);
	if (status)
		return status;
	run->bad = &bad;
	status = opened ? engine->run(opened, run, error) : run_once(engine, run, error);
	if (!status)
		status = commit(run, error);
	pj__bad_tell(&bad, run->result);
	pj__bad_close(&bad);
	run->bad = NULL;
	return status;
}

static pj_status run_planned(const pj__engine *engine, pj__run_state *run, pj_error *error)
{
	run->result->inputs = run->plan->sources.count;
	run->result->plan_seconds = seconds_since(run->started_ns);
	pj_status status = pj__engine_fit(engine, run->plan, error);
	run->result->plan = pj__plan_facts(run->plan, run->setup);
	if (!status)
		status = pj__run_refuse_own_input(run, error);
	if (!status)
		status = pj__count_lines(run->setup, run->plan, error);
	return status ? status : pj__run_by(engine, NULL, run, error);
}

static pj_status run_settled(pj__setup *setup, pj__run_state *run, pj_error *error)
{
	const pj__engine *engine;
	pj__sink sink;
	pj__plan plan;
	pj_status status = pj__engine_choose(setup, &engine, error);
	if (!status)
		status = setup->storage->open_output(&sink, &setup->options.output, setup->options.stop, error);
	if (status)
		return status;
	status = pj__plan_init(&plan, setup, sink.kind == PJ__SINK_FOLDER, error);
	if (!status) {
		run->sink = &sink;
		run->plan = &plan;
		status = run_planned(engine, run, error);
		pj__plan_fini(&plan);
	}
	setup->storage->close_output(&sink);
	run->sink = NULL;
	run->plan = NULL;
	return status;
}

pj_status pj_run(const pj_job *job, const pj_options *options, pj_result *ret_result, pj_error *error)
{
	pj_result *result = ret_result, unwanted;
	if (!result)
		result = &unwanted;
	memset(result, 0, sizeof *result);
	pj__setup setup;
	pj__run_state run = {.setup = &setup, .result = result, .started_ns = pj__now_ns()};
	pj_status status = pj__setup_init(&setup, job, options, error);
	if (!status) {
		status = run_settled(&setup, &run, error);
		pj__setup_fini(&setup);
	}
	pj__run_tell(&run);
	return status;
}
