/*
 * worker.c: a worker's life: take a message, do what it says, tell how it went (local.h).
 *
 * What a worker builds up (its table, its reader's buffer, the memory of its sorts) stays from task to task. A task
 * that fails ends the worker: it tells why and exits, and everything that it had not published is gone with it.
 */
#include "engine/worker.h"

#include <limits.h>
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/grow.h"
#include "base/io.h"
#include "base/machine.h"
#include "engine/sample.h"
#include "engine/shared.h"
#include "mp/dispatcher.h"
#include "output/order.h"

enum { HOLD_BYTES = 64 << 20, MMAP_THRESHOLD = 1 << 30 };
static const uint64_t publish_ns = 1000000000; /* what a death can cost at most */

/* ------------------------------------------------------------------------------------------------- parts held */

/* Keeps the part that was made, until it is told to be written; counts it. */
static pj_status hold_part(struct worker *worker, uint64_t task, pj__counts *counts, pj_error *error)
{
	if (worker->brief.ordered) {
		const pj_status status = pj__part_order(&worker->part, &worker->brief.output, error);
		if (status)
			return status;
	}
	const size_t before = worker->held_capacity;
	const pj_status grown =
		pj__grow(&worker->held, &worker->held_capacity, worker->held_count + 1, sizeof *worker->held, error);
	if (grown)
		return grown;
	memset(worker->held + before, 0, (worker->held_capacity - before) * sizeof *worker->held);
	counts->part_pairs = worker->part.pairs;
	counts->part_bytes = worker->part.bytes.len;
	/* The part's memory goes to the list, and that of a part that was written comes back. */
	struct held_part *held = &worker->held[worker->held_count++];
	const pj_text spare = held->bytes;
	*held = (struct held_part){task, worker->part.bytes};
	worker->part.bytes = spare;
	pj__text_reset(&worker->part.bytes);
	return PJ_OK;
}

static pj_status write_held(struct worker *worker, const struct held_part *held, pj__message *message, pj_error *error)
{
	const pj__sink *sink = worker->local->sink;
	const bool parks = worker->brief.parks || worker->brief.ordered;
	const pj_bytes bytes = pj__text_all(&held->bytes);
	if (!parks && sink->kind == PJ__SINK_FILE)
		return pj__pwrite_checked(sink->fd, sink->path, bytes.ptr, bytes.len, (off_t)message->write.offset,
					  error);
	if (!parks && sink->kind == PJ__SINK_FOLDER) {
		int fd;
		const pj_status status = pj__sink_part_file(sink, held->task, &fd, error);
		if (status)
			return status;
		const int failed = pj__write_all(fd, bytes.ptr, bytes.len), closed = pj__close(&fd);
		return failed || closed ? pj__fail(error, pj__status_of_errno(failed ? failed : closed, PJ_ERR_OUTPUT),
						   failed ? failed : closed, sink->path, "cannot write the output")
					: PJ_OK;
	}
	/* The leader takes it from here. */
	message->write.offset = worker->end;
	worker->end += bytes.len;
	return pj__pwrite_checked(worker->local->files[worker->slot], "parked part", bytes.ptr, bytes.len,
				  (off_t)message->write.offset, error);
}

static pj_status write_part(struct worker *worker, pj__message *message, pj_error *error)
{
	size_t at = 0;
	while (at < worker->held_count && worker->held[at].task != message->task)
		at++;
	if (at == worker->held_count)
		return pj__fail(error, PJ_ERR_INTERNAL, 0, NULL, "a part to be written is not held");
	const pj_status status = write_held(worker, &worker->held[at], message, error);
	if (status)
		return status;
	message->kind = PJ__WRITTEN;
	message->write.bytes = worker->held[at].bytes.len;
	const struct held_part written = worker->held[at];
	worker->held[at] = worker->held[--worker->held_count];
	worker->held[worker->held_count] = written; /* its memory is used again */
	return PJ_OK;
}

/* -------------------------------------------------------------------------------------------------------- the map */

static pj_bytes params_of(const struct worker *worker)
{
	return worker->brief.params.offset == UINT64_MAX ? worker->setup.options.params : pj__text_all(&worker->params);
}

/* Makes what maps, if it does not stand from the last run. */
static pj_status begin_mapping(struct worker *worker, pj_error *error)
{
	const pj_job *job = &worker->setup.job;
	const int file = worker->local->files[worker->slot];
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
		status = pj__combiner_create(&worker->task, job->reducer.aggregate, job->reducer.arg, file,
					     &worker->local->table, &worker->writer, error);
	else
		status = pj__gatherer_create(&worker->task, job->reducer.aggregate, file, HOLD_BYTES, &worker->writer,
					     error);
	if (!status)
		status = pj__mapping_init(&worker->mapping, job, &worker->task, &worker->plan->sources,
					  &pj__page_of(worker->local, worker->slot)->here, error);
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
	if (worker->writer)
		worker->writer->partition = &worker->partition;
	return status;
}

/* Writes what the table holds, and fills the message. */
static pj_status publish(struct worker *worker, pj__message *message, pj_error *error)
{
	pj__writer *writer = worker->writer;
	writer->end = worker->end;
	writer->flush(writer);
	if (worker->task.status) {
		if (error)
			*error = worker->task.error;
		return worker->task.status;
	}
	message->did.end = worker->end = writer->end;
	message->did.counts.runs = writer->runs;
	message->did.counts.run_pairs = writer->run_pairs;
	message->did.counts.run_bytes = writer->run_bytes;
	writer->reset(writer);
	worker->pairs_told = 0;
	worker->published_ns = pj__now_ns();
	return PJ_OK;
}

static pj_status map_task(struct worker *worker, pj__message *message, pj_error *error)
{
	const pj__plan *plan = worker->plan;
	const uint64_t task = message->task;
	const uint32_t flags = message->flags;
	const pj__split given = message->map.split;
	pj_status status = load_partition(worker, message->map.splitters, error);
	if (status)
		return status;
	const bool crowded = worker->local->workers > worker->local->processors;
	const uint64_t begun = pj__now_ns(), wanted = crowded ? pj__wanted_ns() : 0;
	worker->part.pairs = 0;
	if (worker->writer)
		worker->writer->end = worker->end;
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
		return hold_part(worker, task, &message->did.counts, error);
	}
	/* A full table was written behind what is published; the leader learns of it when the attempt is. */
	worker->end = worker->writer->end;
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
	pj_status status =
		pj__sample(&worker->setup, params_of(worker), worker->plan,
			   &pj__page_of(worker->local, worker->slot)->here, given ? &split : NULL, &keys, error);
	*message = (pj__message){.kind = PJ__SAMPLED, .did.sample = {worker->end, keys.len}};
	if (!status)
		status = pj__pwrite_checked(worker->local->files[worker->slot], "sample", keys.data, keys.len,
					    (off_t)worker->end, error);
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
		for (uint32_t r = published[i].runs; r > 0 && !status; r--) {
			pj__run *run = &worker->runs[worker->run_count + r - 1];
			status = pj__run_open(run, worker->local->files[published[i].slot], end,
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

static pj_status reduce_combined(struct worker *worker, const pj__segment *segments, pj_error *error)
{
	pj__combined *combined = &worker->combined;
	pj_status status = pj__combined_load(combined, worker->runs, segments, worker->run_count, error);
	for (size_t i = 0; i < combined->count && !status; i++)
		status = pj__reduce_state(&worker->reduce, pj__combined_key(combined, i),
					  pj__combined_state(combined, i), error);
	return status;
}

static pj_status reduce_groups(struct worker *worker, const pj__segment *segments, pj_error *error)
{
	pj__groups *groups = &worker->groups;
	pj_status status = pj__groups_begin(groups, worker->runs, segments, worker->run_count, HOLD_BYTES, error);
	while (!status) {
		pj_bytes key;
		bool more;
		status = pj__groups_next(groups, &more, &key, error);
		if (status || !more)
			break;
		status = pj__reduce_group(&worker->reduce, key, &groups->values, error);
	}
	return status;
}

static pj_status begin_reducing(struct worker *worker, pj_error *error)
{
	worker->reduce_task.params = params_of(worker);
	if (worker->reducing)
		return PJ_OK;
	worker->reducing = true;
	if (worker->writer && !worker->local->stays) {
		worker->writer->destroy(worker->writer); /* its memory can be used for the reduce */
		worker->writer = NULL;
	}
	pj__task_init(&worker->reduce_task, PJ_NUMBER_I64);
	worker->reduce_task.params = params_of(worker);
	worker->reduce_task.progress = &pj__page_of(worker->local, worker->slot)->here.progress;
	pj__sources_attach(&worker->plan->sources, &worker->reduce_task);
	pj__reduce_init(&worker->reduce, &worker->setup.job, &worker->reduce_task, &worker->part);
	pj__groups_init(&worker->groups, &worker->reduce_task);
	if (!pj__setup_combines(&worker->setup))
		return PJ_OK;
	return pj__combined_init(&worker->combined, worker->setup.job.reducer.aggregate, worker->setup.job.reducer.arg,
				 worker->local->table.seed, error);
}

static pj_status reduce_buckets(struct worker *worker, uint32_t first, uint32_t count, pj_error *error)
{
	if (worker->local->shared)
		return pj__shared_reduce(worker, first, count, error);
	pj_status status = load_segments(worker, first, count, error);
	for (uint32_t b = 0; b < count && !status && worker->run_count; b++) {
		const pj__segment *segments = worker->segments + b * worker->run_count;
		status = pj__setup_combines(&worker->setup) ? reduce_combined(worker, segments, error)
							    : reduce_groups(worker, segments, error);
		if (!status && worker->part.bytes.failed)
			status = pj__no_memory(error, worker->part.bytes.capacity * 2);
	}
	return status;
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
		status = begin_reducing(worker, error);
	if (status)
		return status;
	worker->part.pairs = worker->reduce.groups = 0;
	worker->reduce_task.index = task;
	status = reduce_buckets(worker, message->reduce.first, message->reduce.count, error);
	if (status)
		return status;
	*message = (pj__message){.kind = PJ__REDUCED, .task = task};
	message->did.counts = (pj__counts){.groups = worker->reduce.groups};
	return hold_part(worker, task, &message->did.counts, error);
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
		return write_part(worker, message, error);
	default:
		return pj__fail(error, PJ_ERR_INTERNAL, 0, NULL, "unknown message %u", message->kind);
	}
}

static int tell(const struct worker *worker, const pj__message *message)
{
	return pj__channel_send(worker->channel, message, pj__message_bytes(message));
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
		pj__reduce_fini(&worker->reduce);
	}
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
	worker->part.columns = brief->output.columns;
	worker->part.escape = brief->output.escape;
	worker->part.as_records = brief->ordered || brief->kind == PJ__SINK_FUNCTION;
	pj__text_reset(&worker->part.bytes);
	worker->held_count = 0;
	free(worker->runs);
	worker->runs = NULL;
	worker->run_count = 0;
	pj__partition_fini(&worker->partition);
	pj_status status = load_params(worker, error);
	if (!status && !worker->has_setup) {
		worker->setup = worker->local->setups[brief->job];
		status = pj__setup_load(&worker->setup, error);
		worker->has_setup = !status;
	}
	return status || brief->reducing ? status : begin_mapping(worker, error);
}

int pj__worker_run(void *arg, unsigned slot, int channel)
{
	/* Memory that was used stays: touching fresh memory is dearer than anything the allocator could save. */
	(void)mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
	(void)mallopt(M_TRIM_THRESHOLD, INT_MAX);
	/* What user code prints must not end up among the results. */
	const pj__local *local = arg;
	if (local->sink && local->sink->kind == PJ__SINK_STREAM && !local->sink->path)
		(void)dup2(STDERR_FILENO, STDOUT_FILENO);
	struct worker *worker = pj__task_holder(sizeof *worker);
	pj__message message;
	pj_status status = PJ_ERR_MEMORY;
	pj_error error;
	pj__no_memory(&error, sizeof *worker);
	if (worker) {
		*worker = (struct worker){.local = local, .slot = slot, .channel = channel};
		worker->end = worker->local->ends[slot];
		status = begin(worker, &worker->local->brief, &error);
	}
	while (!status) {
		size_t got = 0;
		if (pj__channel_receive(channel, worker->buffer, -1, &got) || !got)
			return 0; /* the leader is gone, or is done with us */
		memset(&message, 0, sizeof message);
		memcpy(&message, worker->buffer, got < sizeof message ? got : sizeof message);
		if (message.kind == PJ__BEGIN) {
			worker->end = 0;
			status = begin(worker, &message.brief, &error);
			continue;
		}
		status = obey(worker, &message, &error);
		if (!status && tell(worker, &message))
			return 0;
	}
	message = (pj__message){.kind = PJ__FAILED};
	message.error = error;
	const struct worker teller = {.channel = channel};
	(void)tell(&teller, &message); /* if nobody hears it the leader is gone */
	return 1;
}
