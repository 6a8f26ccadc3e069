/*
 * local.c: the phases of the local engine (local.h): map, (merge), reduce.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

#include "base/io.h"
#include "base/machine.h"
#include "engine/leader.h"
#include "engine/shared.h"
#include "output/direct.h"

/* Parts that the leader merges at a time. */
enum { ORDERED_MOST = 256 };
/* This part of the memory for streams may be taken by what decodes them. */
enum { DECODER_SHARE = 4 };

/* ---------------------------------------------------------------------------------------------- making and ending */

static pj_status make_files(struct leader *leader, pj_error *error)
{
	pj__local *local = &leader->local;
	pj_status status = pj__memory_file("papjuice-board", &local->board, error);
	for (unsigned i = 0; i < local->workers && !status; i++)
		status = pj__memory_file("papjuice-runs", &local->files[i][PJ__IN_MEMORY], error);
	/* Where there can be none, a worker that needs it will tell why. */
	for (unsigned i = 0; i < local->workers && !status; i++)
		(void)!pj__temp_file(local->temp, &local->files[i][PJ__ON_DISK], NULL);
	/* Every worker has all of them: one that writes to a wrong descriptor must not reach what others have made. */
	pj__park_position(local->board);
	for (unsigned i = 0; i < local->workers && !status; i++)
		pj__park_position(local->files[i][PJ__IN_MEMORY]);
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

/* A codec that wants more gets an error all the same, and no sum of them overflows. */
#define CODEC_MOST ((uint64_t)1 << 48)

/* How long lists may become: partitions that the user names may be more than any plan makes. */
static pj__lists lists_of(const pj__setup *setup, const pj__plan *plan)
{
	const uint64_t planned = (uint64_t)plan->parts * plan->ranges, wanted = setup->options.partitions;
	const uint64_t buckets = setup->job.map_only ? 0 : planned > wanted ? planned : wanted;
	return pj__budget_lists(plan->task_count, buckets, pj__setup_combines(setup));
}

/*
 * How much memory a worker may take: what all may have by the budget, or half of what there is, if that is more. So
 * user code has room, and code that allocates without end leaves the other half.
 */
static uint64_t most_data(uint64_t budget, uint64_t available)
{
	struct rlimit limit;
	const uint64_t half = (available ? available : pj__memory_available()) / 2;
	uint64_t most = budget > half ? budget : half;
	if (!getrlimit(RLIMIT_DATA, &limit) && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < most)
		most = limit.rlim_cur;
	return most;
}

pj_status pj__leader_open(struct leader *leader, const pj__setup *setups, const pj__plan *plans, unsigned workers,
			  pj__codec_share codecs, const char *temp, pj_error *error)
{
	pj__local *local = &leader->local;
	*leader = (struct leader){.local = {.setups = setups,
					    .plans = plans,
					    .workers = workers,
					    .board = -1,
					    .not_theirs = -1,
					    .direct = -1}};
	local->temp = temp;
	struct statvfs is;
	local->temp_free = statvfs(temp, &is) == 0 ? (uint64_t)is.f_bavail * is.f_frsize : 0;
	local->processors = pj__processors();
	local->table.thrifty = workers > local->processors;
	local->files = calloc(workers, sizeof *local->files);
	local->ends = calloc(workers, sizeof *local->ends);
	leader->slots = calloc(workers, sizeof *leader->slots);
	if (!local->files || !local->ends || !leader->slots) {
		local->workers = 0;
		return pj__no_memory(error, workers * sizeof *leader->slots);
	}
	for (unsigned i = 0; i < workers; i++)
		local->files[i][PJ__IN_MEMORY] = local->files[i][PJ__ON_DISK] = -1;
	/* The sorter shared keeps everything in memory, however little it is told to use. */
	const bool bounded = setups[0].options.sorter != PJ_SORTER_SHARED;
	pj__lists lists = lists_of(&setups[0], &plans[0]);
	lists.leader += codecs.leader < CODEC_MOST ? codecs.leader : CODEC_MOST;
	lists.worker += codecs.worker < CODEC_MOST ? codecs.worker : CODEC_MOST;
	const pj_status status = pj__budget_divide(
		&local->budget, bounded ? setups[0].options.memory : pj__memory_available(), workers, lists, error);
	if (status)
		return status;
	local->table.bytes = local->budget.table;
	local->data_most = most_data(local->budget.memory, setups[0].available);
	if (getrandom(&local->table.seed, sizeof local->table.seed, 0) != sizeof local->table.seed)
		return pj__fail(error, PJ_ERR_RESOURCE, errno, NULL, "cannot get a random number");
	return make_files(leader, error);
}

void pj__leader_close(struct leader *leader)
{
	pj__local *local = &leader->local;
	pj__leader_stop(leader);
	for (unsigned i = 0; i < local->workers; i++) {
		free(leader->slots[i].tally);
		leader->slots[i].tally = NULL;
	}
	for (unsigned i = 0; i < local->workers; i++)
		for (int where = 0; where < PJ__STORES; where++)
			pj__close(&local->files[i][where]);
	pj__shared_destroy(local->shared);
	pj__close(&local->board);
	pj__close(&local->direct);
	if (local->pages)
		munmap(local->pages, (size_t)local->workers * PJ__PAGE_BYTES);
	pj__spool_fini(&leader->spool);
	pj__schedule_fini(&leader->schedule);
	free(local->files);
	free(local->ends);
	free(leader->slots);
	free(leader->published);
	pj__parts_forget(leader);
	free(leader->parts);
	free(leader->firsts);
	pj__partition_fini(&leader->kept);
}

/* Until a sample tells, the one range there is belongs to the first part file. */
static pj_status begin_files(struct leader *leader, uint32_t files, pj_error *error)
{
	free(leader->firsts);
	leader->firsts = NULL;
	leader->samples_lost = 0;
	if (!files)
		return PJ_OK;
	leader->firsts = calloc((size_t)files + 1, sizeof *leader->firsts);
	if (!leader->firsts)
		return pj__no_memory(error, files * sizeof *leader->firsts);
	for (uint32_t i = 1; i <= files; i++)
		leader->firsts[i] = 1;
	return PJ_OK;
}

/* Streams are kept in memory if there is room for a split for each worker and some more, else on disk. */
static pj_status begin_spool(struct leader *leader, pj_error *error)
{
	pj__plan *plan = leader->run->plan;
	pj__budget *budget = &leader->local.budget;
	const uint64_t least = (leader->local.workers + (uint64_t)2) * plan->split_bytes;
	/* Whether a pipe is compressed shows when it is read: its decoder's memory is set aside. */
	const uint64_t decoder = budget->spool / DECODER_SHARE, room = budget->spool - decoder;
	const bool on_disk = plan->sources.has_stream && room < least;
	leader->spool_most = on_disk ? 2 * least : room;
	if (on_disk) {
		budget->files -= decoder;
		budget->spool -= decoder;
	}
	if (plan->sources.has_stream && !on_disk) {
		budget->files -= budget->spool;
		budget->spool = 0;
	}
	const pj_status status = pj__spool_init(&leader->spool, &plan->sources, plan->split_bytes,
						on_disk ? leader->local.temp : NULL, error);
	leader->spool.decoder_most = decoder > plan->sources.decoder_bytes ? decoder : plan->sources.decoder_bytes;
	leader->spool.longest = leader->local.budget.memory / PJ__LONGEST_SHARE;
	return status;
}

pj_status pj__leader_begin(struct leader *leader, pj__run_state *run, uint32_t job, const pj_bytes *params,
			   pj_error *error)
{
	pj__brief *brief = &leader->local.brief;
	const pj_output *output = &run->sink->output;
	leader->run = run;
	leader->result = run->result;
	run->result->workers = leader->local.workers;
	run->result->memory_bytes = leader->local.budget.memory;
	leader->makes_parts = run->setup->job.map_only;
	leader->merge_broken = false;
	leader->idle_deaths = 0;
	leader->counts_kills = false;
	pj__parts_forget(leader);
	leader->released = leader->part_sized = leader->part_next = 0;
	leader->part_offset = leader->board_end = leader->released_bytes = leader->run_count = 0;
	leader->published_count = 0;
	leader->mapped_ns = leader->wanted_ns = 0;
	leader->splitters = (pj__on_board){0, 0};
	leader->buckets = run->plan->parts;
	for (unsigned i = 0; i < leader->local.workers; i++) {
		free(leader->slots[i].tally);
		leader->local.ends[i][PJ__IN_MEMORY] = leader->local.ends[i][PJ__ON_DISK] = 0;
		leader->slots[i] = (struct slot){.dead = leader->slots[i].dead, .lease = leader->slots[i].lease};
	}
	*brief = (pj__brief){.job = job,
			     .parts = run->plan->parts,
			     .kind = run->sink->kind,
			     .ordered = pj__is_ordered(output),
			     .parks = leader->local.stays || run->sink->encoder,
			     .output = *output,
			     .params = {UINT64_MAX, 0}};
	leader->local.not_theirs = brief->parks || brief->kind == PJ__SINK_STREAM ? run->sink->fd : -1;
	if (brief->kind == PJ__SINK_FILE && leader->local.not_theirs < 0)
		pj__park_position(run->sink->fd);
	const bool samples = run->plan->ranges > 1 && !run->setup->job.map_only;
	leader->sampling = samples ? PJ__SAMPLE_WANTED : PJ__SAMPLE_DONE;
	pj_status status = begin_files(leader, run->plan->files, error);
	if (!status)
		status = begin_spool(leader, error);
	if (status)
		return status;
	if (samples && !leader->firsts && leader->kept.ranges > 1 && leader->kept_job == job &&
	    leader->kept_ranges == run->plan->ranges) {
		/* Where they came from does not show: those of the last run will do. */
		leader->sampling = PJ__SAMPLE_DONE;
		leader->buckets = run->plan->parts * leader->kept.ranges;
		status = pj__leader_post(leader, leader->kept.text.data, leader->kept.text.len, 1, &leader->splitters,
					 error);
	} else if (samples) {
		leader->board_end =
			(uint64_t)run->plan->ranges * (PJ__SPLITTER_MOST + PJ__RECORD_HEAD_MAX); /* room in front */
	}
	if (!status && params)
		status = pj__leader_post(leader, params->ptr, params->len, 1, &brief->params, error);
	return status;
}

/* ---------------------------------------------------------------------------------------------- starting workers */

static pj_status start_workers(struct leader *leader, pj_error *error)
{
	for (unsigned i = 0; i < leader->local.workers; i++) {
		free(leader->slots[i].tally);
		leader->slots[i] = (struct slot){.useful = leader->slots[i].useful, .lease = leader->slots[i].lease};
	}
	return pj__dispatcher_create(leader->local.workers, pj__worker_run, &leader->local, &leader->dispatcher, error);
}

void pj__leader_stop(struct leader *leader)
{
	pj__dispatcher_destroy(leader->dispatcher);
	leader->dispatcher = NULL;
	if (leader->local.setups)
		pj__commands_sweep(leader->local.setups[leader->local.brief.job].commands);
}

/* Workers that stand are told of the new run; else they are forked, knowing it. */
static pj_status rouse_workers(struct leader *leader, pj_error *error)
{
	if (!leader->dispatcher)
		return start_workers(leader, error);
	pj__message message = {.kind = PJ__BEGIN};
	message.brief = leader->local.brief;
	for (unsigned i = 0; i < leader->local.workers; i++) {
		if (leader->slots[i].dead)
			continue;
		const pj_status status =
			pj__dispatcher_send(leader->dispatcher, i, &message, pj__message_bytes(&message));
		if (status == PJ_ERR_BUSY)
			return pj__fail(error, PJ_ERR_RESOURCE, ENOBUFS, NULL, "cannot send to a worker");
	}
	return PJ_OK;
}

/* --------------------------------------------------------------------------------------------------------- phases */

/* A map task whose records can be left out has to fail twice with each, after the time when none was named. */
static pj__tries tries_of(const struct leader *leader, bool maps)
{
	enum { CODE = 2, TO_LEAVE_OUT = 3 };
	const unsigned attempts = leader->run->setup->options.attempts;
	pj__tries tries = {.system = attempts, .code = attempts < CODE ? attempts : CODE};
	if (maps && pj__bad_may_skip(leader->run->bad)) {
		tries.system = attempts < TO_LEAVE_OUT ? TO_LEAVE_OUT : attempts;
		tries.code = TO_LEAVE_OUT;
		tries.careful = true;
	}
	return tries;
}

static pj_status map(struct leader *leader, pj_error *error)
{
	pj__schedule_fini(&leader->schedule);
	pj_status status = pj__schedule_init(&leader->schedule, leader->local.workers, leader->run->plan->task_count,
					     tries_of(leader, true), error);
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
	/* of one attempt: what is in memory was written before what is on disk */
	if (x->where != y->where)
		return x->where < y->where ? -1 : 1;
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
	return pj__schedule_init(&leader->schedule, leader->local.workers, tasks, tries_of(leader, false), error);
}

/* Tries to merge all runs into a dict of `bytes`. *ret_broken: it has failed, and can be tried again. */
static pj_status try_merge(struct leader *leader, size_t bytes, bool *ret_broken, pj_error *error)
{
	pj__leader_stop(leader);
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

/* Some tasks for each worker, to share the work evenly, and so many that their parts stay small. */
static size_t count_reduce_tasks(const struct leader *leader)
{
	const uint64_t most = 2 << 20, held = leader->local.budget.part / 2, part_bytes = held < most ? held : most;
	const uint64_t least = 16 * (uint64_t)leader->local.workers;
	if (leader->local.shared)
		return (size_t)least; /* each looks through the whole dict */
	const pj__plan *plan = leader->run->plan;
	const uint64_t parts = (plan->refers ? plan->sources.bytes : leader->result->run_bytes) / part_bytes;
	return (size_t)(parts > least ? parts : least);
}

static pj_status reduce(struct leader *leader, pj_error *error)
{
	const pj__sink_kind kind = leader->run->sink->kind;
	/* Into a folder a task is a part file; else there are some tasks for each worker, to share the work evenly. */
	const bool part_files = kind == PJ__SINK_FOLDER && !leader->local.brief.ordered;
	const bool whole = part_files || pj__setup_reduces_whole(leader->run->setup);
	size_t tasks = whole ? pj__plan_files(leader->run->plan) : count_reduce_tasks(leader);
	if (leader->local.brief.ordered && tasks > ORDERED_MOST && !whole)
		tasks = ORDERED_MOST;
	if (tasks > leader->buckets && !leader->firsts)
		tasks = leader->buckets;
	leader->makes_parts = true;
	leader->result->reduce_tasks = tasks;
	pj_status status = begin_phase(leader, tasks, error);
	if (!status)
		status = pj__parts_grow(leader, tasks, error);
	return status ? status : pj__leader_run(leader, PJ__PHASE_REDUCE, error);
}

static pj_status map_and_reduce(struct leader *leader, pj_error *error)
{
	pj_result *result = leader->result;
	uint64_t begun = pj__now_ns();
	pj_status status = rouse_workers(leader, error);
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
	leader->local.brief.reducing = true;
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

pj_status pj__leader_phases(struct leader *leader, pj_error *error)
{
	pj_status status = map_and_reduce(leader, error);
	if (!status && leader->local.brief.ordered)
		status = pj__parts_pour(leader, error);
	for (unsigned i = 0; i < leader->local.workers; i++)
		leader->result->workers_used += leader->slots[i].useful;
	return status;
}

/* No more workers than can have work. */
static unsigned count_workers(const pj_options *options, const pj__plan *plan)
{
	const unsigned wanted = options->workers;
	const size_t files = pj__plan_files(plan), work = plan->task_count > files ? plan->task_count : files;
	if (plan->sources.has_stream || work >= wanted)
		return wanted;
	return work ? (unsigned)work : 1;
}

/*
 * Who decodes and encodes: workers what is cut and part files, the leader streams and what is written in order. In a
 * session it is the leader that compresses.
 */
static pj__codec_share share_codecs(const pj__engine_terms *terms)
{
	pj__codec_share share = {0};
	for (size_t i = 0; i < terms->count; i++) {
		const pj__sources *sources = &terms->plans[i].sources;
		const pj_output *output = terms->sink ? &terms->sink->output : &terms->setups[i].options.output;
		const bool by_workers = terms->sink && terms->sink->kind == PJ__SINK_FOLDER && !pj__is_ordered(output);
		const uint64_t encoder = pj__encoder_memory(output->compression);
		const uint64_t worker =
			by_workers && encoder > sources->decoder_bytes ? encoder : sources->decoder_bytes;
		const uint64_t leader = (by_workers ? 0 : encoder) + (sources->has_stream ? sources->decoder_bytes : 0);
		share.worker = worker > share.worker ? worker : share.worker;
		share.leader = leader > share.leader ? leader : share.leader;
	}
	return share;
}

enum { KEPT_SHARE = 8 }; /* of the memory; when about so much waits to be written the kernel makes writers wait, too */

/*
 * What fits well into the page cache is written there, where it costs no wait for the device; an output that is larger
 * than the run's memory, or than what the kernel keeps before it makes writers wait, goes past it from there on.
 */
static void write_direct(pj__local *local)
{
	const pj__sink *sink = local->sink;
	const uint64_t kept = pj__memory_available() / KEPT_SHARE;
	if (sink->kind != PJ__SINK_FILE || sink->encoder || local->budget.part < 4 * PJ__DIRECT_BUFFER)
		return;
	local->direct = pj__direct_open(sink->fd);
	if (local->direct >= 0)
		pj__park_position(local->direct);
	local->direct_from = local->budget.memory < kept ? local->budget.memory : kept;
}

static void close_local(void *opened)
{
	pj__leader_close(opened);
	free(opened);
}

static pj_status open_local(const pj__engine_terms *terms, void **ret_opened, pj_error *error)
{
	static const pj__sink any = {.kind = PJ__SINK_STREAM}; /* each run has its own */
	const pj_options *options = &terms->setups[0].options;
	struct leader *leader = calloc(1, sizeof *leader);
	*ret_opened = NULL;
	if (!leader)
		return pj__no_memory(error, sizeof *leader);
	const pj_status status = pj__leader_open(
		leader, terms->setups, terms->plans,
		terms->sink ? count_workers(options, &terms->plans[0]) : options->workers, share_codecs(terms),
		terms->setups[0].storage->run_folder(options->temp, terms->sink ? terms->sink : &any), error);
	leader->local.sink = terms->sink;
	leader->local.stays = !terms->sink;
	if (status) {
		close_local(leader);
		return status;
	}
	if (terms->sink)
		write_direct(&leader->local);
	*ret_opened = leader;
	return PJ_OK;
}

static pj_status run_local(void *opened, pj__run_state *run, pj_error *error)
{
	struct leader *leader = opened;
	pj_status status = pj__leader_begin(leader, run, run->job, run->params, error);
	if (!status)
		status = pj__leader_phases(leader, error);
	if (status)
		pj__leader_stop(leader);
	leader->run = NULL; /* it ends with its caller */
	return status;
}

const pj__engine pj__engine_local = {
	.name = "local",
	.can = PJ__CAN_STREAM | PJ__CAN_CALL | PJ__CAN_STAY | PJ__CAN_SHARE | PJ__CAN_RANGE | PJ__CAN_REFER |
	       PJ__CAN_ORDER | PJ__CAN_SKIP,
	.storage = &pj__storage_files,
	.open = open_local,
	.run = run_local,
	.close = close_local,
};
