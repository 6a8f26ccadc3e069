/*
 * local.c: the phases of the local engine (local.h): map, (merge), reduce.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "base/io.h"
#include "base/machine.h"
#include "engine/leader.h"
#include "engine/shared.h"

static pj_status start_workers(struct leader *leader, pj_error *error)
{
	for (unsigned i = 0; i < leader->local.workers; i++)
		leader->slots[i] = (struct slot){.useful = leader->slots[i].useful};
	return pj__dispatcher_create(leader->local.workers, pj__worker_run, &leader->local, &leader->dispatcher, error);
}

static void stop_workers(struct leader *leader)
{
	pj__dispatcher_destroy(leader->dispatcher);
	leader->dispatcher = NULL;
}

/* ---------------------------------------------------------------------------------------------- making and ending */

static pj_status make_files(struct leader *leader, pj_error *error)
{
	pj__local *local = &leader->local;
	for (unsigned i = 0; i < local->workers; i++)
		local->files[i] = -1;
	pj_status status = pj__memory_file("papjuice-board", &local->board, error);
	for (unsigned i = 0; i < local->workers && !status; i++)
		status = pj__memory_file("papjuice-runs", &local->files[i], error);
	if (status == PJ_ERR_RESOURCE)
		pj__error_hint(error, "use fewer workers (-w), or raise the limit of open files (ulimit -n)");
	if (!status) {
		void *pages;
		status = pj__map_shared((size_t)local->workers * PJ__PAGE_BYTES, &pages, error);
		if (!status)
			local->pages = pages;
	}
	return status;
}

/* No more workers than can have work. */
static unsigned count_workers(const pj__run_state *run)
{
	const unsigned wanted = run->setup->options.workers;
	const pj__plan *plan = run->plan;
	const size_t work = plan->task_count > plan->parts ? plan->task_count : plan->parts;
	if (plan->sources.has_stream || work >= wanted)
		return wanted;
	return work ? (unsigned)work : 1;
}

static pj_status begin(struct leader *leader, pj__run_state *run, pj_error *error)
{
	pj__local *local = &leader->local;
	leader->run = run;
	leader->result = run->result;
	leader->spool.sources = NULL;
	local->run = run;
	local->setup = (pj__setup *)run->setup;
	local->workers = count_workers(run);
	local->board = -1;
	local->ordered = pj__is_ordered(&run->sink->output);
	local->files = calloc(local->workers, sizeof *local->files);
	local->ends = calloc(local->workers, sizeof *local->ends);
	leader->slots = calloc(local->workers, sizeof *leader->slots);
	if (!local->files || !local->ends || !leader->slots) {
		local->workers = 0;
		return pj__no_memory(error, run->setup->options.workers * sizeof *leader->slots);
	}
	if (getrandom(&local->seed, sizeof local->seed, 0) != sizeof local->seed)
		return pj__fail(error, PJ_ERR_RESOURCE, errno, NULL, "cannot get a random number");
	run->result->workers = local->workers;
	leader->makes_parts = run->setup->job.map_only;
	leader->buckets = run->plan->parts;
	leader->sampling = run->plan->ranges > 1 && !run->setup->job.map_only ? PJ__SAMPLE_WANTED : PJ__SAMPLE_DONE;
	const pj_status status = make_files(leader, error);
	return status ? status
		      : pj__spool_init(&leader->spool, &run->plan->sources, run->plan->split_bytes, error);
}

static void end(struct leader *leader)
{
	pj__local *local = &leader->local;
	stop_workers(leader);
	for (unsigned i = 0; i < local->workers; i++) {
		leader->result->workers_used += leader->slots[i].useful;
		pj__close(&local->files[i]);
	}
	pj__shared_destroy(local->shared);
	pj__close(&local->board);
	if (local->pages)
		munmap(local->pages, (size_t)local->workers * PJ__PAGE_BYTES);
	pj__spool_fini(&leader->spool);
	pj__schedule_fini(&leader->schedule);
	free(local->files);
	free(local->ends);
	free(leader->slots);
	free(leader->published);
	free(leader->parts);
	free(leader->part_offsets);
	free(leader);
}

/* --------------------------------------------------------------------------------------------------------- phases */

static pj_status map(struct leader *leader, pj_error *error)
{
	pj_status status = pj__schedule_init(&leader->schedule, leader->local.workers, leader->run->plan->task_count,
					     error);
	leader->spool_ended = pj__spool_ended(&leader->spool);
	if (!status && leader->makes_parts)
		status = pj__parts_grow(leader, leader->run->plan->task_count, error);
	if (!status)
		status = pj__leader_run(leader, PJ__PHASE_MAP, error);
	leader->result->map_tasks = leader->schedule.count;
	return status;
}

static int by_order(const void *a, const void *b)
{
	const pj__published *x = a, *y = b;
	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	return (x->end > y->end) - (x->end < y->end);
}

/* Puts the list of runs, in plan order, on the board. */
static pj_status post_runs(struct leader *leader, pj_error *error)
{
	if (leader->published_count)
		qsort(leader->published, leader->published_count, sizeof *leader->published, by_order);
	return pj__leader_post(leader, leader->published, leader->published_count, sizeof *leader->published,
			       &leader->runs, error);
}

/* A new schedule for the next phase, on the same workers. */
static pj_status begin_phase(struct leader *leader, size_t tasks, pj_error *error)
{
	pj__schedule_fini(&leader->schedule);
	return pj__schedule_init(&leader->schedule, leader->local.workers, tasks, error);
}

/* Tries to merge all runs into a dict of `bytes`. *ret_broken: it has failed, and can be tried again. */
static pj_status try_merge(struct leader *leader, size_t bytes, bool *ret_broken, pj_error *error)
{
	stop_workers(leader);
	pj__shared_destroy(leader->local.shared);
	leader->local.shared = NULL;
	leader->merge_broken = false;
	pj_status status = pj__shared_create(bytes, &leader->local.shared, error);
	if (!status)
		status = start_workers(leader, error);
	if (!status)
		status = begin_phase(leader, leader->run_count, error);
	if (!status)
		status = pj__leader_run(leader, PJ__PHASE_MERGE, error);
	*ret_broken = leader->merge_broken;
	return status;
}

static pj_status merge(struct leader *leader, pj_error *error)
{
	const pj_result *result = leader->result;
	const bool combines = pj__setup_combines(leader->run->setup);
	const size_t state = combines ? leader->run->setup->job.reducer.aggregate->state_bytes : 0;
	/* A guess: each pair with its key, value and what the dict puts around them. */
	size_t bytes = (4 << 20) + 2 * result->run_bytes + result->run_pairs * (160 + state);
	unsigned tries = leader->run->setup->options.attempts, growths = 4;
	for (;;) {
		bool broken;
		const pj_status status = try_merge(leader, bytes, &broken, error);
		if (status || !broken)
			return status;
		if (leader->merge_why.status == PJ_ERR_MEMORY && growths-- > 0)
			bytes *= 2;
		else if (--tries == 0 || leader->merge_why.status == PJ_ERR_MEMORY) {
			if (error)
				*error = leader->merge_why;
			return leader->merge_why.status;
		}
	}
}

static pj_status reduce(struct leader *leader, pj_error *error)
{
	const pj__sink_kind kind = leader->run->sink->kind;
	/* Into a folder a task is a part file; else there are some tasks for each worker, to share the work evenly. */
	size_t tasks = kind == PJ__SINK_FOLDER && !leader->local.ordered ? leader->run->plan->parts : 16 * (size_t)leader->local.workers;
	if (tasks > leader->buckets)
		tasks = leader->buckets;
	leader->makes_parts = true;
	leader->result->reduce_tasks = tasks;
	pj_status status = begin_phase(leader, tasks, error);
	if (!status)
		status = pj__parts_grow(leader, tasks, error);
	return status ? status : pj__leader_run(leader, PJ__PHASE_REDUCE, error);
}

static pj_status run_phases(struct leader *leader, pj_error *error)
{
	pj_result *result = leader->result;
	uint64_t begun = pj__now_ns();
	pj_status status = start_workers(leader, error);
	if (!status)
		status = map(leader, error);
	pj__leader_measure(leader);
	result->map_seconds = (double)(pj__now_ns() - begun) * 1e-9;
	if (status || leader->run->setup->job.map_only) {
		result->partitions = result->map_tasks;
		return status;
	}
	result->partitions = leader->buckets;
	begun = pj__now_ns();
	leader->local.reducing = true;
	status = post_runs(leader, error);
	if (!status && leader->run->setup->options.sorter == PJ_SORTER_SHARED)
		status = merge(leader, error);
	result->merge_seconds = (double)(pj__now_ns() - begun) * 1e-9;
	begun = pj__now_ns();
	if (!status)
		status = reduce(leader, error);
	pj__leader_measure(leader);
	result->reduce_seconds = (double)(pj__now_ns() - begun) * 1e-9;
	return status;
}

pj_status pj__engine_local(pj__run_state *run, pj_error *error)
{
	struct leader *leader = calloc(1, sizeof *leader);
	if (!leader)
		return pj__no_memory(error, sizeof *leader);
	pj_status status = begin(leader, run, error);
	if (!status)
		status = run_phases(leader, error);
	if (!status && leader->local.ordered)
		status = pj__parts_pour(leader, error);
	end(leader);
	return status;
}
