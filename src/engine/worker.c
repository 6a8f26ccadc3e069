/*
 * worker.c: a worker's life: take a message, do what it says, tell how it went (local.h).
 *
 * What a worker builds up (its table, its reader's buffer, the memory of its sorts) stays from task to task. A task
 * that fails ends the worker: it tells why and exits, and everything that it had not published is gone with it.
 */
#include "engine/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/io.h"
#include "base/machine.h"
#include "engine/sample.h"
#include "engine/shared.h"
#include "mp/dispatcher.h"

enum { RELEASE_LEAST = 16 << 10, TIGHT_PART = 32 << 20, MIB = 1 << 20, SEGMENTS_SHARE = 16, LISTS_SHARE = 2 };
static const uint64_t publish_ns = 1000000000; /* what a death can cost at most */

static int tell(const struct worker *worker, const pj__message *message)
{
	return pj__channel_send(worker->channel, message, pj__message_bytes(message));
}

/* -------------------------------------------------------------------------------------------------------- the map */

static pj_bytes params_of(const struct worker *worker)
{
	return worker->brief.params.offset == UINT64_MAX ? worker->setup.options.params : pj__text_all(&worker->params);
}

static pj_status make_gatherer(struct worker *worker, pj_error *error)
{
	const pj_job *job = &worker->setup.job;
	const pj_status status = pj__gatherer_create(&worker->task, job->reducer.aggregate, &worker->store,
						     worker->local->budget.gather, &worker->writer, error);
	if (!status && worker->plan->refers)
		pj__gatherer_refer(worker->writer);
	if (status || !job->reducer.combine)
		return status;
	return pj__gatherer_combine(worker->writer, &job->reducer, pj__setup_order(&worker->setup), error);
}

/* Tells tasks of what they are a part. */
static void assign(const struct worker *worker, pj__task *task, uint64_t attempt)
{
	task->part_of.attempt = (unsigned)attempt;
	task->part_of.map_tasks = worker->plan->task_count;
	task->part_of.parts = worker->setup.job.map_only ? 0 : pj__plan_files(worker->plan);
}

/* The reader has come to a long line, or is done with it. */
static void reader_strained(void *arg, bool is)
{
	struct worker *worker = arg;
	pj_error error;
	const pj_status status = pj__strain(worker, is, &error);
	if (status)
		pj__task_failed(&worker->task, status, &error);
}

/* Makes what maps, if it does not stand from the last run. */
static pj_status begin_mapping(struct worker *worker, pj_error *error)
{
	const pj_job *job = &worker->setup.job;
	pj_status status = PJ_OK;
	worker->published_ns = pj__now_ns();
	worker->pairs_told = 0;
	worker->task.params = params_of(worker);
	if (worker->writer)
		worker->writer->reset(worker->writer);
	if (worker->can_map)
		return PJ_OK;
	pj__task_init(&worker->task, PJ_NUMBER_I64);
	worker->task.params = params_of(worker);
	if (job->map_only)
		pj__emit_to_part(&worker->task, &worker->part);
	else if (pj__setup_combines(&worker->setup))
		status = pj__combiner_create(&worker->task, job->reducer.aggregate, job->reducer.arg, &worker->store,
					     &worker->local->table, &worker->writer, error);
	else
		status = make_gatherer(worker, error);
	if (!status)
		status = pj__mapping_init(&worker->mapping, job, &worker->task, &worker->plan->sources,
					  &pj__page_of(worker->local, worker->slot)->here, error);
	worker->mapping.reader.longest = worker->setup.options.memory / PJ__LONGEST_SHARE;
	worker->mapping.lifeline = worker->channel;
	worker->mapping.reader.max_record = worker->setup.options.max_record;
	worker->mapping.reader.strained = reader_strained;
	worker->mapping.reader.arg = worker;
	worker->mapping.reader.usual = pj__strain_usual(worker);
	worker->can_map = !status;
	return status;
}

static pj_status load_partition(struct worker *worker, pj__on_board list, pj_error *error)
{
	if (worker->partition.buckets)
		return PJ_OK;
	pj_text text = {0};
	char *splitters = pj__text_room(&text, list.count + 1);
	if (!splitters)
		return pj__no_memory(error, list.count);
	pj_status status =
		pj__pread_exactly(worker->local->board, "board", splitters, list.count, (off_t)list.offset, error);
	if (!status)
		status = pj__partition_load(&worker->partition, worker->brief.parts, (pj_bytes){splitters, list.count},
					    error);
	pj__text_fini(&text);
	worker->partition.keys = pj__setup_keys(&worker->setup);
	worker->partition.task = &worker->task;
	if (worker->writer)
		worker->writer->partition = &worker->partition;
	return status;
}

/* Writes what the table holds, and fills the message. */
static pj_status publish(struct worker *worker, pj__message *message, pj_error *error)
{
	pj__writer *writer = worker->writer;
	pj__store *store = &worker->store;
	writer->flush(writer);
	PJ_FAULT("publish");
	if (worker->task.status) {
		if (error)
			*error = worker->task.error;
		return worker->task.status;
	}
	for (int where = 0; where < PJ__STORES; where++) {
		message->did.end[where] = store->end[where];
		message->did.runs[where] = store->runs[where];
		store->runs[where] = 0;
	}
	message->did.counts.run_pairs = writer->run_pairs;
	message->did.counts.run_bytes = writer->run_bytes;
	message->did.counts.spilled = store->spilled - worker->spilled_told;
	worker->spilled_told = store->spilled;
	writer->reset(writer);
	worker->pairs_told = 0;
	worker->published_ns = pj__now_ns();
	return PJ_OK;
}

/* How careful the message wants the worker to be; the list lives until the next message. */
static pj_status load_care(struct worker *worker, const pj__message *message, pj__care *ret_care, pj_error *error)
{
	const pj__on_board list = message->map.left_out;
	const size_t bytes = list.count * sizeof(pj__record_at);
	*ret_care = (pj__care){.is = message->flags & PJ__CAREFUL};
	if (!ret_care->is || !list.count)
		return PJ_OK;
	pj__text_reset(&worker->left_out);
	char *to = pj__text_room(&worker->left_out, bytes);
	if (!to)
		return pj__no_memory(error, bytes);
	ret_care->left_out = (const pj__record_at *)(const void *)to;
	ret_care->count = list.count;
	return pj__pread_exactly(worker->local->board, "board", to, bytes, (off_t)list.offset, error);
}

static pj_status map_task(struct worker *worker, pj__message *message, pj_error *error)
{
	const pj__plan *plan = worker->plan;
	const uint64_t task = message->task;
	const uint32_t flags = message->flags;
	const pj__split given = message->map.split;
	pj_status status = load_partition(worker, message->map.splitters, error);
	if (!status)
		status = load_care(worker, message, &worker->mapping.care, error);
	if (status)
		return status;
	const bool crowded = worker->local->workers > worker->local->processors;
	const uint64_t begun = pj__now_ns(), wanted = crowded ? pj__wanted_ns() : 0;
	pj__held_begin(worker);
	assign(worker, &worker->task, message->attempt);
	if (flags & PJ__SPLIT_GIVEN)
		status = pj__map_task(&worker->mapping, task, &given, 1, error);
	else
		status = pj__map_task(&worker->mapping, task, plan->splits + plan->first[task],
				      plan->first[task + 1] - plan->first[task], error);
	if (status)
		return status;
	*message = (pj__message){.kind = PJ__MAPPED, .task = task};
	message->did.ns = pj__now_ns() - begun;
	message->did.wanted_ns = crowded ? pj__wanted_ns() - wanted : 0;
	message->did.counts = (pj__counts){.records = worker->mapping.records, .bytes = worker->mapping.bytes};
	if (worker->setup.job.map_only) {
		if (worker->part.bytes.failed)
			return pj__no_memory(error, worker->part.bytes.capacity * 2);
		message->did.counts.pairs = worker->part.pairs;
		return pj__held_keep(worker, task, &message->did.counts, error);
	}
	message->did.counts.pairs = worker->writer->pairs - worker->pairs_told;
	worker->pairs_told = worker->writer->pairs;
	const bool held = pj__setup_combines(&worker->setup) && !(flags & PJ__ALONE) &&
			  pj__now_ns() - worker->published_ns < publish_ns;
	if (held)
		return PJ_OK;
	message->flags = PJ__IS_PUBLISHED;
	return publish(worker, message, error);
}

static pj_status sample(struct worker *worker, pj__message *message, pj_error *error)
{
	const bool given = message->flags & PJ__SPLIT_GIVEN;
	const pj__split split = message->map.split;
	pj_text keys = {0};
	pj__care care;
	pj_status status = load_care(worker, message, &care, error);
	if (!status)
		status = pj__sample(&worker->setup, params_of(worker), worker->plan,
				    &pj__page_of(worker->local, worker->slot)->here, given ? &split : NULL, care, &keys,
				    error);
	*message = (pj__message){.kind = PJ__SAMPLED, .did.sample = {worker->store.end[PJ__IN_MEMORY], keys.len}};
	if (!status)
		status = pj__pwrite_checked(worker->store.file[PJ__IN_MEMORY], "sample", keys.data, keys.len,
					    (off_t)message->did.sample.offset, error);
	pj__text_fini(&keys);
	return status;
}

/* ----------------------------------------------------------------------------------------------------- the reduce */

/* Opens all published runs, in the order of the plan. */
static pj_status open_runs(struct worker *worker, pj__on_board list, pj_error *error)
{
	if (worker->runs || !list.count)
		return PJ_OK;
	pj__published *published = malloc(list.count * sizeof *published);
	if (!published)
		return pj__no_memory(error, list.count * sizeof *published);
	pj_status status = pj__pread_exactly(worker->local->board, "board", published, list.count * sizeof *published,
					     (off_t)list.offset, error);
	size_t total = 0;
	for (size_t i = 0; i < list.count && !status; i++)
		total += published[i].runs;
	worker->runs = status ? NULL : calloc(total, sizeof *worker->runs);
	if (!status && !worker->runs)
		status = pj__no_memory(error, total * sizeof *worker->runs);
	for (size_t i = 0; i < list.count && !status; i++) {
		uint64_t end = published[i].end;
		/* found from the last to the first, kept from the first to the last */
		for (uint64_t r = published[i].runs; r > 0 && !status; r--) {
			pj__run *run = &worker->runs[worker->run_count + r - 1];
			status = pj__run_open(run, worker->local->files[published[i].slot][published[i].where], end,
					      worker->partition.buckets, error);
			end = run->offset;
		}
		worker->run_count += published[i].runs;
	}
	free(published);
	return status;
}

/* Reads the index entries of some buckets, bucket by bucket: segments[bucket * runs + run]. */
static pj_status load_segments(struct worker *worker, uint32_t first, uint32_t count, pj_error *error)
{
	const size_t runs = worker->run_count, wanted = runs * count + count;
	if (worker->segment_capacity < wanted) {
		free(worker->segments);
		worker->segments = calloc(wanted, sizeof *worker->segments);
		worker->segment_capacity = worker->segments ? wanted : 0;
		if (!worker->segments)
			return pj__no_memory(error, wanted * sizeof *worker->segments);
	}
	pj__segment *row = worker->segments + runs * count;
	pj_status status = PJ_OK;
	for (size_t r = 0; r < runs && !status; r++) {
		status = pj__run_segments(&worker->runs[r], first, count, row, error);
		for (uint32_t b = 0; b < count && !status; b++)
			worker->segments[b * runs + r] = row[b];
	}
	return status;
}

/* The segments of so many buckets are listed at a time. */
static uint32_t buckets_at_once(const struct worker *worker)
{
	const uint64_t row = (uint64_t)worker->run_count * sizeof *worker->segments;
	const uint64_t most = row ? worker->local->budget.reduce / SEGMENTS_SHARE / row : UINT32_MAX;
	return most < 1 ? 1 : most < UINT32_MAX ? (uint32_t)most : UINT32_MAX;
}

/* Takes what the list of runs, and their segments of a bucket, need from what a bucket may take. */
static pj_status count_lists(struct worker *worker, pj_error *error)
{
	const pj__local *local = worker->local;
	const uint64_t share = local->budget.reduce, all = local->budget.memory;
	const uint64_t row = (uint64_t)worker->run_count * sizeof *worker->segments;
	const uint64_t least = share / SEGMENTS_SHARE, segments = row > least ? row : least;
	const uint64_t lists = segments + worker->run_count * sizeof *worker->runs;
	worker->reduce_bytes = lists < share ? share - lists : 0;
	if (lists <= share / LISTS_SHARE)
		return PJ_OK;
	const uint64_t needed = (uint64_t)((double)all * ((double)lists * LISTS_SHARE / (double)share)) + MIB;
	pj__fail(error, PJ_ERR_MEMORY, 0, NULL, "there are too many runs for the memory budget");
	pj__error_reason(error, "%zu of them, whose list takes %llu KiB in each worker", worker->run_count,
			 (unsigned long long)(lists >> 10));
	pj__error_hint(error, "--memory %lluM is enough; larger splits (--split-size) make fewer runs",
		       (unsigned long long)(needed / MIB));
	return PJ_ERR_MEMORY;
}

static bool has_long_record(const struct worker *worker, const pj__segment *segments)
{
	const size_t usual = pj__strain_usual(worker);
	for (size_t i = 0; i < worker->run_count; i++)
		if (segments[i].longest > usual)
			return true;
	return false;
}

static bool has_reducer(const pj_reducer *reducer)
{
	return reducer->aggregate || reducer->general;
}

/* Without a reducer the pairs themselves are the output. */
static pj_status copy_pairs(struct worker *worker, const pj__segment *segments, pj_error *error)
{
	pj__groups *groups = &worker->groups;
	pj_status status = pj__groups_begin(groups, worker->runs, segments, worker->run_count, error);
	while (!status) {
		bool more, fresh;
		status = pj__groups_pair(groups, &more, &fresh, error);
		if (status || !more)
			break;
		PJ_FAULT("reduce");
		worker->reduce.groups += fresh;
		++*worker->reduce_task.progress;
		pj__part_add(&worker->part, groups->key, groups->value);
	}
	return status;
}

/* The groups of a bucket, one by one. */
static pj_status reduce_groups(struct worker *worker, const pj__segment *segments, pj_error *error)
{
	pj__groups *groups = &worker->groups;
	const bool combines = pj__setup_combines(&worker->setup);
	pj_status status = pj__groups_begin(groups, worker->runs, segments, worker->run_count, error);
	while (!status) {
		pj_bytes key;
		bool more;
		status = pj__groups_next(groups, &more, &key, error);
		if (status || !more)
			break;
		status = combines ? pj__reduce_stored(&worker->reduce, key, &groups->values, error)
				  : pj__reduce_group(&worker->reduce, key, &groups->values, error);
	}
	return status;
}

/* States meet in a table, if it fits into memory, else they are sorted like other pairs. */
static pj_status reduce_combined(struct worker *worker, const pj__segment *segments, pj_error *error)
{
	pj__combined *combined = &worker->combined;
	if (pj__combined_bytes(combined, segments, worker->run_count) > worker->reduce_bytes) {
		pj__combined_relieve(combined);
		return reduce_groups(worker, segments, error);
	}
	pj__groups_relieve(&worker->groups);
	pj_status status = pj__combined_load(combined, worker->runs, segments, worker->run_count, error);
	for (size_t i = 0; i < combined->count && !status; i++)
		status = pj__reduce_state(&worker->reduce, pj__combined_key(combined, i),
					  pj__combined_state(combined, i), error);
	return status;
}

/*
 * An input to which pairs refer cannot be read any more. This happens where a key is touched, never in the middle of
 * another function, so within a signal handler everything may be called.
 */
static void input_lost(void *arg, const pj__source *source)
{
	const struct worker *worker = arg;
	pj__message message = {.kind = PJ__FAILED};
	pj__fail(&message.error, PJ_ERR_CHANGED, 0, source->name, "the input changed while it was read");
	pj__error_reason(&message.error, "it is shorter than it was, or the disk has failed");
	(void)tell(worker, &message);
	_exit(1);
}

static pj_status begin_reducing(struct worker *worker, pj_error *error)
{
	worker->reduce_task.params = params_of(worker);
	worker->groups.memory_bytes = worker->reduce_bytes;
	if (worker->reducing)
		return PJ_OK;
	worker->reducing = true;
	/* Its memory can be used for the reduce; standing workers keep it for the next map, if there is enough. */
	const bool is_tight = worker->local->budget.part < TIGHT_PART;
	if (worker->writer && !worker->local->stays) {
		worker->writer->destroy(worker->writer);
		worker->writer = NULL;
	} else if (worker->writer && is_tight) {
		worker->writer->relieve(worker->writer);
	}
	if (is_tight)
		(void)malloc_trim(0);
	pj__task_init(&worker->reduce_task, PJ_NUMBER_I64);
	worker->reduce_task.params = params_of(worker);
	worker->reduce_task.progress = &pj__page_of(worker->local, worker->slot)->here.progress;
	pj__sources_attach(&worker->plan->sources, &worker->reduce_task);
	pj__reduce_init(&worker->reduce, &worker->setup.job, &worker->reduce_task, &worker->part,
			&pj__page_of(worker->local, worker->slot)->here);
	pj__groups_init(&worker->groups, &worker->reduce_task, &worker->store, worker->reduce_bytes);
	worker->groups.keys = pj__setup_order(&worker->setup);
	if (worker->plan->refers) {
		const pj_status status =
			pj__view_open(&worker->view, &worker->plan->sources, input_lost, worker, error);
		worker->groups.view = worker->view.at;
		return status;
	}
	if (!pj__setup_combines(&worker->setup))
		return PJ_OK;
	return pj__combined_init(&worker->combined, worker->setup.job.reducer.aggregate, worker->setup.job.reducer.arg,
				 worker->local->table.seed, error);
}

/* Buckets whose segments are listed at a time. */
static pj_status reduce_some(struct worker *worker, uint32_t first, uint32_t count, pj_error *error)
{
	pj_status status = load_segments(worker, first, count, error);
	for (uint32_t b = 0; b < count && !status && worker->run_count; b++) {
		const pj__segment *segments = worker->segments + b * worker->run_count;
		status = pj__strain(worker, has_long_record(worker, segments), error);
		if (!status)
			status = pj__setup_combines(&worker->setup)        ? reduce_combined(worker, segments, error)
				 : has_reducer(&worker->setup.job.reducer) ? reduce_groups(worker, segments, error)
									   : copy_pairs(worker, segments, error);
		if (worker->is_strained)
			pj__groups_relieve(&worker->groups);
		if (!status && worker->part.bytes.failed)
			status = pj__no_memory(error, worker->part.bytes.capacity * 2);
		if (!status && worker->reduce_task.status) {
			status = worker->reduce_task.status;
			if (error)
				*error = worker->reduce_task.error;
		}
	}
	return status;
}

static pj_status reduce_buckets(struct worker *worker, uint32_t first, uint32_t count, pj_error *error)
{
	if (worker->local->shared)
		return pj__shared_reduce(worker, first, count, error);
	const uint32_t most = buckets_at_once(worker);
	pj_status status = PJ_OK;
	for (uint32_t done = 0, some; done < count && !status; done += some) {
		some = count - done < most ? count - done : most;
		status = reduce_some(worker, first + done, some, error);
	}
	const pj_status relaxed = pj__strain(worker, false, status ? NULL : error);
	return status ? status : relaxed;
}

static pj_status load_published(struct worker *worker, const pj__message *message, pj_error *error)
{
	pj_status status = load_partition(worker, (pj__on_board){0, message->reduce.splitters}, error);
	return status ? status : open_runs(worker, message->reduce.runs, error);
}

static pj_status reduce_task(struct worker *worker, pj__message *message, pj_error *error)
{
	const uint64_t task = message->task;
	pj_status status = load_published(worker, message, error);
	if (!status)
		status = count_lists(worker, error);
	if (!status)
		status = begin_reducing(worker, error);
	if (status)
		return status;
	pj__held_begin(worker);
	worker->reduce.groups = 0;
	worker->reduce_task.index = task;
	assign(worker, &worker->reduce_task, message->attempt);
	status = reduce_buckets(worker, message->reduce.first, message->reduce.count, error);
	if (!status)
		status = pj__reduce_end(&worker->reduce, error);
	if (status)
		return status;
	worker->reduce.here->at = PJ__AT_NOTHING;
	worker->part_first = message->reduce.first;
	worker->part_count = message->reduce.count;
	*message = (pj__message){.kind = PJ__REDUCED, .task = task};
	message->did.counts = (pj__counts){.groups = worker->reduce.groups};
	return pj__held_keep(worker, task, &message->did.counts, error);
}

/*
 * The part of some buckets is written, and the leader has been told: nobody will ask for their pairs again. Pages that
 * are given back now are at hand for the output. Only space is at stake: what fails is passed over.
 */
static void release_buckets(struct worker *worker)
{
	const uint32_t first = worker->done_first, count = worker->done_count;
	worker->done_count = 0;
	for (size_t r = 0; r < worker->run_count && count && !worker->local->stays; r++) {
		const pj__run *run = &worker->runs[r];
		pj__segment from, to;
		if (run->bytes / run->buckets * count < RELEASE_LEAST || pj__run_segments(run, first, 1, &from, NULL) ||
		    pj__run_segments(run, first + count - 1, 1, &to, NULL))
			continue;
		const uint64_t end = to.offset + (to.packed ? to.packed : to.bytes);
		(void)fallocate(run->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(run->offset + from.offset),
				(off_t)(end - from.offset));
	}
}

static pj_status merge_task(struct worker *worker, pj__message *message, pj_error *error)
{
	pj_status status = load_published(worker, message, error);
	if (!status)
		status = pj__shared_merge(worker, message->reduce.first, message->reduce.count, error);
	message->kind = PJ__MERGED;
	return status;
}

/* ----------------------------------------------------------------------------------------------------- the loop */

static pj_status obey(struct worker *worker, pj__message *message, pj_error *error)
{
	switch (message->kind) {
	case PJ__SAMPLE:
		return sample(worker, message, error);
	case PJ__MAP:
		return map_task(worker, message, error);
	case PJ__PUBLISH:
		*message = (pj__message){.kind = PJ__PUBLISHED};
		return publish(worker, message, error);
	case PJ__MERGE:
		return merge_task(worker, message, error);
	case PJ__REDUCE:
		return reduce_task(worker, message, error);
	case PJ__WRITE:
		return pj__held_write(worker, message, error);
	default:
		return pj__fail(error, PJ_ERR_INTERNAL, 0, NULL, "unknown message %u", message->kind);
	}
}

/* What was counted for the answer that follows. */
static int tell_tally(const struct worker *worker, const pj__message *answer)
{
	pj__task *const task =
		answer->kind == PJ__REDUCED ? (pj__task *)&worker->reduce_task : (pj__task *)&worker->task;
	const bool counts = answer->kind == PJ__MAPPED || answer->kind == PJ__PUBLISHED || answer->kind == PJ__REDUCED;
	if (!counts || !task->tally)
		return 0;
	pj__tally_message *message = calloc(1, sizeof *message);
	if (!message)
		return ENOMEM;
	message->kind = PJ__TALLY;
	message->tally = *task->tally;
	const int failed = pj__channel_send(worker->channel, message,
					    offsetof(pj__tally_message, tally) + pj__tally_bytes(&message->tally));
	free(message);
	free(task->tally);
	task->tally = NULL;
	return failed;
}

/* Gives back what belongs to the last run's job. */
static void forget_job(struct worker *worker)
{
	if (worker->writer)
		worker->writer->destroy(worker->writer);
	worker->writer = NULL;
	if (worker->can_map) {
		pj__mapping_fini(&worker->mapping);
		pj__task_fini(&worker->task);
	}
	if (worker->reducing) {
		pj__combined_fini(&worker->combined);
		pj__groups_fini(&worker->groups);
		pj__view_close(&worker->view);
		pj__reduce_fini(&worker->reduce);
	}
	/* What a plug-in's `configure` got here is ours to give back; the rest was inherited. */
	if (worker->has_setup && worker->local->setups[worker->brief.job].job.load)
		pj__setup_fini(&worker->setup);
	worker->can_map = worker->reducing = worker->has_setup = false;
}

static pj_status load_params(struct worker *worker, pj_error *error)
{
	const pj__on_board params = worker->brief.params;
	if (params.offset == UINT64_MAX)
		return PJ_OK;
	pj__text_reset(&worker->params);
	if (!pj__text_room(&worker->params, params.count + 1))
		return pj__no_memory(error, params.count);
	worker->params.len = params.count;
	return pj__pread_exactly(worker->local->board, "board", worker->params.data, params.count, (off_t)params.offset,
				 error);
}

/* A run begins. What was made for an earlier run of the same job is used again. */
static pj_status begin(struct worker *worker, const pj__brief *brief, pj_error *error)
{
	if (worker->has_setup && worker->brief.job != brief->job)
		forget_job(worker);
	worker->brief = *brief;
	worker->plan = &worker->local->plans[brief->job];
	pj__held_begin_run(worker);
	free(worker->runs);
	worker->runs = NULL;
	worker->run_count = 0;
	pj__partition_fini(&worker->partition);
	pj_status status = load_params(worker, error);
	if (!status && !worker->has_setup) {
		worker->setup = worker->local->setups[brief->job];
		status = pj__setup_load(&worker->setup, error);
		worker->has_setup = !status;
		pj__surroundings_remember(&worker->surroundings);
	}
	return status || brief->reducing ? status : begin_mapping(worker, error);
}

/* An error of a file that lies in the temporary folder names that; the leader tells what is needed there. */
static void name_folder(const struct worker *worker, pj_error *error)
{
	if (error->status != PJ_ERR_OUTPUT ||
	    (strcmp(error->file, PJ__RUN_FILE) != 0 && strcmp(error->file, PJ__PART_FILE) != 0))
		return;
	snprintf(error->file, sizeof error->file, "%s", worker->local->temp);
	error->offset = -1;
}

/* User code may have changed the folder, and names of files may count from there. */
static void come_home(const struct worker *worker)
{
	if (worker->plan->sources.folder)
		(void)!fchdir(worker->plan->sources.folder);
}

int pj__worker_run(void *arg, unsigned slot, int channel)
{
	/* Memory that was used stays: touching fresh memory is dearer than anything the allocator could save. */
	(void)mallopt(M_MMAP_THRESHOLD, PJ__MMAP_THRESHOLD);
	(void)mallopt(M_TRIM_THRESHOLD, INT_MAX);
	const pj__local *local = arg;
	PJ_FAULT("start");
	pj__isolate(local, slot);
	struct worker *worker = pj__task_holder(sizeof *worker);
	pj__message message;
	pj_status status = PJ_ERR_MEMORY;
	pj_error error;
	pj__no_memory(&error, sizeof *worker);
	if (worker) {
		*worker = (struct worker){.local = local, .slot = slot, .channel = channel, .pid = getpid()};
		pj__store_init(&worker->store, local->files[slot], local->ends[slot], 0, local->temp);
		status = begin(worker, &worker->local->brief, &error);
	}
	while (!status) {
		size_t got;
		int deaf;
		status = pj__strain_receive(worker, &deaf, &got, &error);
		if (status)
			break;
		if (deaf && deaf != EPIPE)
			return PJ__EXIT_CUT_OFF;
		if (deaf || !got)
			return 0; /* the leader is gone, or is done with us */
		memset(&message, 0, sizeof message);
		memcpy(&message, worker->buffer, got < sizeof message ? got : sizeof message);
		worker->store.memory_most = message.lease;
		pj__surroundings_restore(&worker->surroundings);
		if (message.kind == PJ__BEGIN) {
			worker->store.end[PJ__IN_MEMORY] = worker->store.end[PJ__ON_DISK] = 0;
			worker->store.passes = 0;
			status = begin(worker, &message.brief, &error);
			continue;
		}
		come_home(worker);
		status = pj__strain_enter(worker, &error);
		if (!status)
			status = obey(worker, &message, &error);
		if (getpid() != worker->pid)
			return 0; /* user code has forked, and this is not the worker */
		int untold = status ? 0 : tell_tally(worker, &message);
		if (!status && !untold)
			untold = tell(worker, &message);
		if (untold)
			return untold == EPIPE ? 0 : PJ__EXIT_CUT_OFF;
		PJ_FAULT("ack");
		if (!status)
			release_buckets(worker);
	}
	if (worker)
		name_folder(worker, &error);
	message = (pj__message){.kind = PJ__FAILED};
	message.error = error;
	const struct worker teller = {.channel = channel};
	const int untold = tell(&teller, &message);
	PJ_FAULT("exit");
	return untold && untold != EPIPE ? PJ__EXIT_CUT_OFF : 1;
}
