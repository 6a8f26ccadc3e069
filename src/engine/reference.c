/*
 * reference.c: the engine that says what is right.
 *
 * In this process: every map task in order; every pair that they emit in one list (pairs.h); each pair given to its
 * part file; the list sorted; the reducer called for each group. Nothing here is shared with the other engines except
 * the reading of the input, the sample of keys that decides about ranges, the meaning of a reducer, and the sink: what
 * the other engines do is held against this, byte for byte.
 */
#include <stdlib.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/io.h"
#include "base/machine.h"
#include "engine/pairs.h"
#include "engine/sample.h"
#include "engine/surroundings.h"
#include "input/spool.h"
#include "job/map.h"
#include "job/reduce.h"
#include "output/order.h"
#include "reduce/aggregate.h"
#include "shuffle/writer.h"

enum { WRITE_BYTES = 1 << 20, WAIT_MS = 100, LOOK_EVERY = 4096 };

struct reference {
	pj__run_state *run;
	pj__setup setup;   /* with the user's code loaded */
	const pj_job *job; /* of it */
	pid_t pid;         /* of the run: a process that user code forks is another one */
	pj__task task;
	pj__whereabouts here;
	pj__pairs pairs;
	uint32_t files;    /* part files */
	pj_bytes *borders; /* parts by ranges: file i has the keys from borders[i] on; NULL: by hash or partitioner */
	pj_text sample;    /* in which borders stand */
	bool ordered;      /* results stay in the part, as records, until all are there */
	pj__pour pour;
	pj__part part;
	pj__surroundings surroundings;               /* in which each task begins */
	_Alignas(16) char state[PJ_STATE_BYTES_MAX]; /* of the aggregate at hand */
};

/* ----------------------------------------------------------------------------------------------- taking pairs */

static void add_pair(struct reference *reference, pj_bytes key, pj_bytes value, bool is_number)
{
	pj_error error;
	if (reference->task.status || pj__pairs_add(&reference->pairs, key, value, is_number))
		return;
	pj__no_memory(&error, key.len + value.len);
	pj__error_hint(&error, "--engine local needs less memory");
	pj__task_failed(&reference->task, PJ_ERR_MEMORY, &error);
}

static void add_number(pj_task *face, pj_bytes key, uint64_t number)
{
	add_pair(((pj__task *)face)->taker, key, (pj_bytes){(const char *)&number, sizeof number}, true);
}

/* A text that is to be a number is read now, while it is known which record it comes from. */
static void take_text(pj__task *task, pj_bytes key, pj_bytes value)
{
	struct reference *reference = task->taker;
	const pj_aggregate *aggregate = reference->job->reducer.aggregate;
	uint64_t number;
	if (!aggregate || aggregate->add_bytes)
		add_pair(reference, key, value, false);
	else if (pj__read_number(task, aggregate->takes, value, &number))
		add_number(&task->face, key, number);
}

static void take_numbers(pj_task *face)
{
	pj__task *task = (pj__task *)face;
	const size_t count = pj__task_batch(task);
	pj__task_empty_batch(task);
	for (size_t i = 0; i < count; i++)
		add_number(face, pj__slot_key(&task->slots[i]), task->slots[i].value);
}

static void take_long_number(pj_task *face, pj_bytes key, uint64_t number)
{
	pj__task_flush((pj__task *)face); /* in the order of emission */
	add_number(face, key, number);
}

static void attach(struct reference *reference)
{
	pj__task *task = &reference->task;
	const pj_aggregate *aggregate = reference->job->reducer.aggregate;
	const bool numbers = aggregate && aggregate->takes != PJ_TAKES_BYTES;
	const pj__run_state *run = reference->run;
	pj__task_init(task, numbers && aggregate->takes == PJ_TAKES_F64 ? PJ_NUMBER_F64 : PJ_NUMBER_I64);
	pj__pairs_init(&reference->pairs, &reference->job->keys, task);
	task->params = run->params ? *run->params : run->setup->options.params;
	task->part_of.map_tasks = run->plan->task_count;
	task->part_of.parts = reference->job->map_only ? 0 : reference->files;
	if (reference->job->map_only) {
		pj__emit_to_part(task, &reference->part);
		return;
	}
	static const pj__target texts = {.pair = take_text},
				all = {.pair = take_text, .batch = take_numbers, .number = take_long_number};
	pj__task_attach(task, numbers ? &all : &texts, reference);
}

/* ------------------------------------------------------------------------------------------------------ the map */

/* User code may have changed the state of the process, and its folder, from which names of inputs may count. */
static void restore(const struct reference *reference)
{
	pj__surroundings_restore(&reference->surroundings);
	if (reference->run->plan->sources.folder)
		(void)!fchdir(reference->run->plan->sources.folder);
}

/* What a try of a task has counted counts if the try was good. */
static void settle_tally(struct reference *reference, pj_status status)
{
	pj__task *task = &reference->task;
	if (!status && task->tally)
		pj__tally_merge(&reference->run->tally, task->tally);
	free(task->tally);
	task->tally = NULL;
}

/* User code has forked, and this is the copy: what it would write is the run's, so it ends. */
static void end_copies(const struct reference *reference)
{
	if (getpid() != reference->pid)
		_exit(0);
}

/* Tries a task once, record by record and without those left out: it is taken whole, or not at all. */
static pj_status try_task(struct reference *reference, pj__mapping *mapping, size_t index, pj_error *error)
{
	const pj__plan *plan = reference->run->plan;
	const pj__split *splits = plan->splits + plan->first[index];
	const size_t split_count = plan->first[index + 1] - plan->first[index], pairs = reference->pairs.count,
		     part_len = reference->part.bytes.len;
	const uint64_t part_pairs = reference->part.pairs;
	pj__task *task = &reference->task;
	size_t count;
	pj__record_at *list = pj__bad_list(reference->run->bad, splits, split_count, &count);
	if (count && !list)
		return pj__no_memory(error, count * sizeof *list);
	mapping->care = (pj__care){true, list, count};
	restore(reference);
	const pj_status status = pj__map_task(mapping, index, splits, split_count, error);
	end_copies(reference);
	if (status) {
		task->status = PJ_OK;
		task->face.next_slot = task->slots;
		pj__pairs_cut(&reference->pairs, pairs);
		reference->part.bytes.len = part_len;
		reference->part.pairs = part_pairs;
	}
	settle_tally(reference, status);
	free(list);
	return status;
}

/* Tries a task until it is good, leaving out what fails it twice. */
static pj_status map_without_bad(struct reference *reference, pj__mapping *mapping, size_t index, pj_error *error)
{
	pj_error why;
	pj_status status;
	while ((status = try_task(reference, mapping, index, &why)) != PJ_OK) {
		const pj__record_at at = {.source = mapping->here->source, .offset = mapping->here->offset};
		const bool accused = mapping->here->at == PJ__AT_RECORD && pj__bad_may_be_record(status);
		pj__verdict verdict = PJ__IS_TOO_MUCH;
		if (accused)
			status = pj__bad_accuse(reference->run->bad, index, at, &why, &verdict, &why);
		if (accused && status)
			break;
		if (verdict == PJ__IS_TOO_MUCH) {
			status = why.status;
			break;
		}
	}
	if (status && error)
		*error = why;
	return status;
}

/* Writes what the part holds. */
static pj_status write_part(struct reference *reference, pj_error *error)
{
	return reference->ordered ? PJ_OK : pj__pour_write(&reference->pour, &reference->part, error);
}

static pj_status map_one(struct reference *reference, pj__mapping *mapping, size_t index, pj_error *error)
{
	const pj__plan *plan = reference->run->plan;
	pj_result *result = reference->run->result;
	const pj__split *splits = plan->splits + plan->first[index];
	const size_t split_count = plan->first[index + 1] - plan->first[index];
	pj_status status = pj__stopped(reference->run, error);
	restore(reference);
	if (!status)
		status = pj__bad_may_skip(reference->run->bad)
				 ? map_without_bad(reference, mapping, index, error)
				 : pj__map_task(mapping, index, splits, split_count, error);
	end_copies(reference);
	if (status == PJ_ERR_RECORD && error && error->offset >= 0)
		pj__bad_place(reference->run->bad, index,
			      (pj__record_at){(uint64_t)error->offset, mapping->here->source}, true, error);
	result->records += mapping->records;
	result->input_bytes += mapping->bytes;
	result->map_pairs = reference->pairs.count;
	result->map_tasks++;
	result->attempts++;
	restore(reference);
	if (!status && reference->job->map_only && !reference->ordered) {
		status = pj__pour_begin(&reference->pour, index, error);
		if (!status)
			status = write_part(reference, error);
		status = pj__pour_end(&reference->pour, status, error);
	}
	pj__error_at(status ? error : NULL, "map", (int64_t)index, -1);
	pj__tell_progress(reference->run, "map", result->input_bytes,
			  plan->sources.decoder_bytes ? 0 : plan->sources.bytes, 0);
	return status;
}

static pj_status add_split(void *arg, pj__split split, pj_error *error)
{
	return pj__plan_add(arg, split, error);
}

/* Maps the plan's tasks, and those of a stream as they come. */
static pj_status map_tasks(struct reference *reference, pj__spool *spool, pj_error *error)
{
	pj__plan *plan = reference->run->plan;
	pj__mapping mapping;
	pj_status status =
		pj__mapping_init(&mapping, reference->job, &reference->task, &plan->sources, &reference->here, error);
	mapping.reader.max_record = reference->setup.options.max_record;
	for (size_t done = 0; !status;) {
		if (done < plan->task_count)
			status = map_one(reference, &mapping, done++, error);
		else if (pj__spool_ended(spool))
			break;
		else if (pj__spool_wait(spool, WAIT_MS))
			status = pj__spool_step(spool, add_split, plan, error);
		if (!status)
			status = pj__stopped(reference->run, error);
	}
	pj__mapping_fini(&mapping);
	return status;
}

/* ----------------------------------------------------------------------------------------------- the part files */

static int by_bytes(const void *a, const void *b)
{
	return pj_bytes_compare(*(const pj_bytes *)a, *(const pj_bytes *)b);
}

/* The keys of the sample in order: the quantiles are where files begin. Without any all is in the first. */
static pj_status find_borders(struct reference *reference, pj_error *error)
{
	const size_t files = reference->files;
	const char *at = reference->sample.data, *end = at + reference->sample.len;
	size_t count = 0;
	pj_bytes value, *keys = reallocarray(NULL, reference->sample.len + 1, sizeof *keys);
	reference->borders = calloc(files, sizeof *reference->borders);
	if (!keys || !reference->borders) {
		free(keys);
		return pj__no_memory(error, reference->sample.len * sizeof *keys);
	}
	while (at && at < end)
		at = pj__get_record(at, end, &keys[count++], &value, NULL);
	if (!reference->job->keys.compare) /* else the sample is in the job's order */
		qsort(keys, count, sizeof *keys, by_bytes);
	for (size_t i = 1; i < files && count; i++)
		reference->borders[i] = keys[(size_t)((__uint128_t)i * count / files)];
	if (!count)
		reference->files = 1;
	free(keys);
	return PJ_OK;
}

static pj_status take_sample(struct reference *reference, pj_error *error)
{
	const pj__plan *plan = reference->run->plan;
	if (!plan->files)
		return PJ_OK;
	pj_status status = PJ_OK;
	if (plan->task_count)
		status = pj__sample(&reference->setup, reference->task.params, plan, &reference->here,
				    pj__plan_first_streamed(plan), (pj__care){0}, &reference->sample, error);
	return status ? status : find_borders(reference, error);
}

/* The last file that begins at or before the key. */
static uint32_t file_by_range(const struct reference *reference, pj_bytes key)
{
	uint32_t least = 0, most = reference->files - 1;
	while (least < most) {
		const uint32_t middle = most - (most - least) / 2;
		if (pj__pairs_compare(&reference->pairs, reference->borders[middle], key) <= 0)
			least = middle;
		else
			most = middle - 1;
	}
	return least;
}

static uint32_t file_by_partitioner(struct reference *reference, pj_bytes key)
{
	const pj_keys *keys = &reference->job->keys;
	const uint64_t file = keys->part(key, reference->files, keys->arg);
	if (file < reference->files)
		return (uint32_t)file;
	pj_task_fail(&reference->task.face, PJ_ERR_USER, NULL,
		     "the partitioner put the key \"%.*s\" into part %llu of %u, which are numbered from 0",
		     key.len < 100 ? (int)key.len : 100, key.len ? key.ptr : "", (unsigned long long)file,
		     reference->files);
	return 0;
}

static uint32_t file_of(struct reference *reference, pj_bytes key)
{
	key = pj__pairs_group(&reference->pairs, key);
	if (reference->files == 1)
		return 0;
	if (reference->borders)
		return file_by_range(reference, key);
	return reference->job->keys.part ? file_by_partitioner(reference, key)
					 : (uint32_t)(XXH3_64bits(key.ptr, key.len) % reference->files);
}

static pj_status sort_pairs(struct reference *reference, pj_error *error)
{
	pj__pairs *pairs = &reference->pairs;
	for (size_t i = 0; i < pairs->count; i++)
		pairs->at[i].file = file_of(reference, pj__pair_key(pairs, &pairs->at[i]));
	const bool sorted = pj__pairs_sort(pairs);
	end_copies(reference);
	if (!sorted)
		return pj__no_memory(error, pairs->count * sizeof *pairs->at);
	return pj__task_outcome(&reference->task, NULL, PJ_OK, "partitioner", error);
}

/* --------------------------------------------------------------------------------------------------- the reduce */

/* An aggregate: a new state, to which the values are added one after another. */
static void add_values(struct reference *reference)
{
	const pj_aggregate *aggregate = reference->job->reducer.aggregate;
	void *arg = reference->job->reducer.arg, *state = reference->state;
	const pj__pair *pair;
	pj_bytes value;
	memset(state, 0, aggregate->state_bytes);
	if (aggregate->init)
		aggregate->init(state, arg);
	while ((pair = pj__pairs_take(&reference->pairs, &value)) != NULL) {
		int64_t integer;
		double number;
		if (!pair->is_number) {
			aggregate->add_bytes(state, value, arg);
		} else if (aggregate->takes == PJ_TAKES_I64) {
			memcpy(&integer, value.ptr, sizeof integer);
			aggregate->add_i64(state, integer, arg);
		} else {
			memcpy(&number, value.ptr, sizeof number);
			aggregate->add_f64(state, number, arg);
		}
	}
}

static pj_status reduce_group(struct reference *reference, pj__reduce *reduce, pj_bytes key, pj_error *error)
{
	if (!reference->job->reducer.aggregate)
		return pj__reduce_group(reduce, key, &reference->pairs.values, error);
	add_values(reference);
	return pj__reduce_state(reduce, key, reference->state, error);
}

static pj_status reduce_file(struct reference *reference, pj__reduce *reduce, uint32_t file, pj_error *error)
{
	restore(reference);
	pj_status status = reference->ordered ? PJ_OK : pj__pour_begin(&reference->pour, file, error);
	pj_bytes key;
	reference->task.index = file;
	while (!status && pj__pairs_next(&reference->pairs, file, &key)) {
		status = reduce_group(reference, reduce, key, error);
		end_copies(reference);
		if (!status && reference->part.bytes.len >= WRITE_BYTES)
			status = write_part(reference, error);
		if (!status && reduce->groups % LOOK_EVERY == 0)
			status = pj__stopped(reference->run, error);
	}
	if (!status)
		status = pj__reduce_end(reduce, error);
	end_copies(reference);
	if (!status)
		status = write_part(reference, error);
	status = pj__pour_end(&reference->pour, status, error);
	pj__error_at(status ? error : NULL, "reduce", file, -1);
	return status;
}

static pj_status reduce_all(struct reference *reference, pj_error *error)
{
	const uint32_t files = pj__plan_files(reference->run->plan);
	pj__reduce reduce;
	pj_status status = sort_pairs(reference, error);
	pj__reduce_init(&reduce, reference->job, &reference->task, &reference->part, &reference->here);
	for (uint32_t file = 0; file < files && !status; file++)
		status = reduce_file(reference, &reduce, file, error);
	reference->run->result->distinct_keys = reduce.groups;
	reference->run->result->reduce_tasks = files;
	pj__reduce_fini(&reduce);
	return status;
}

/* Everything is in the part, as records: puts it in order and writes it. */
static pj_status pour_ordered(struct reference *reference, pj_error *error)
{
	pj__sink *sink = reference->run->sink;
	pj_status status = pj__part_order(&reference->part, &sink->output, error);
	pj__part text = {.columns = sink->output.columns,
			 .escape = sink->output.escape,
			 .as_records = sink->kind == PJ__SINK_FUNCTION};
	if (!status)
		status = pj__pour_begin(&reference->pour, 0, error);
	if (!status)
		status = pj__part_copy(&text, pj__text_all(&reference->part.bytes), error);
	if (!status)
		status = pj__pour_write(&reference->pour, &text, error);
	status = pj__pour_end(&reference->pour, status, error);
	pj__text_fini(&text.bytes);
	return status;
}

/* ------------------------------------------------------------------------------------------------------ the run */

static pj_status map_all(struct reference *reference, pj_error *error)
{
	pj__plan *plan = reference->run->plan;
	pj__spool spool;
	pj_status status = pj__spool_init(&spool, &plan->sources, plan->split_bytes, NULL, error);
	if (status)
		return status;
	status = map_tasks(reference, &spool, error);
	restore(reference);
	if (!status && !reference->job->map_only)
		status = take_sample(reference, error);
	pj__spool_fini(&spool);
	return status;
}

static pj_status map_and_reduce(struct reference *reference, pj_error *error)
{
	pj_result *result = reference->run->result;
	const uint64_t begun = pj__now_ns();
	attach(reference);
	pj_status status = map_all(reference, error);
	const uint64_t mapped = pj__now_ns();
	result->map_seconds = (double)(mapped - begun) * 1e-9;
	if (!status && !reference->job->map_only)
		status = reduce_all(reference, error);
	if (!status && reference->ordered)
		status = pour_ordered(reference, error);
	result->reduce_seconds = (double)(pj__now_ns() - mapped) * 1e-9;
	result->output_pairs = reference->part.pairs;
	result->output_bytes = reference->pour.bytes;
	if (reference->task.tally)
		pj__tally_merge(&reference->run->tally, reference->task.tally);
	return status;
}

static pj_status run_reference(void *opened, pj__run_state *run, pj_error *error)
{
	const pj_output *output = &run->sink->output;
	struct reference *reference = pj__task_holder(sizeof *reference);
	(void)opened;
	if (!reference)
		return pj__no_memory(error, sizeof *reference);
	reference->run = run;
	reference->pid = getpid();
	reference->setup = *run->setup;
	reference->job = &reference->setup.job;
	reference->files = pj__plan_files(run->plan);
	reference->ordered = pj__is_ordered(output);
	reference->part = (pj__part){.columns = output->columns,
				     .escape = output->escape,
				     .as_records = run->sink->kind == PJ__SINK_FUNCTION || reference->ordered};
	pj__pour_init(&reference->pour, run->sink);
	run->result->workers = run->result->workers_used = 1;
	run->result->partitions = reference->files;
	pj_status status = pj__setup_load(&reference->setup, error);
	const bool is_loaded = !status && run->setup->job.load;
	pj__surroundings_remember(&reference->surroundings);
	if (!status)
		status = map_and_reduce(reference, error);
	restore(reference);
	run->result->peak_bytes = pj__memory_of(getpid());
	if (is_loaded)
		pj__setup_fini(&reference->setup);
	pj__pairs_fini(&reference->pairs);
	pj__text_fini(&reference->sample);
	free(reference->borders);
	pj__text_fini(&reference->part.bytes);
	pj__task_fini(&reference->task);
	free(reference);
	return status;
}

/* There is nothing to keep between runs: the engine is its own mark of being open. */
static pj_status open_reference(const pj__engine_terms *terms, void **ret_opened, pj_error *error)
{
	static const char mark;
	(void)terms, (void)error;
	*ret_opened = (void *)(uintptr_t)&mark;
	return PJ_OK;
}

static void close_reference(void *opened)
{
	(void)opened;
}

const pj__engine pj__engine_reference = {
	.name = "reference",
	.can = PJ__CAN_STREAM | PJ__CAN_CALL | PJ__CAN_SHARE | PJ__CAN_RANGE | PJ__CAN_ORDER | PJ__CAN_SKIP |
	       PJ__IS_IN_CALLER,
	.storage = &pj__storage_files,
	.open = open_reference,
	.run = run_reference,
	.close = close_reference,
};
