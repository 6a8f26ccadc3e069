/*
 * simple.c: the sequential reference.
 *
 * Every map task in order, in this process; every key in one dict with its values in the order in which they came (or,
 * for an aggregate, the state that they have been added to); the keys sorted; the reducer called for each. Where the
 * job has an order or groups of its own for keys, every pair in one list (pairs.h), and that is sorted. Nothing here
 * is shared with the fast path but the reading of the input, the meaning of a reducer and the sink: what the other
 * engines do is held against this.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"
#include "base/machine.h"
#include "engine/pairs.h"
#include "engine/sample.h"
#include "input/spool.h"
#include "job/map.h"
#include "job/reduce.h"
#include "output/order.h"
#include "reduce/aggregate.h"
#include "shuffle/partition.h"
#include "shuffle/writer.h"

enum { WRITE_BYTES = 1 << 20, WAIT_MS = 100 };

/* A key: its state, or its values, each behind its length. */
struct group {
	struct group *next; /* in the same chain of the dict */
	uint64_t hash;
	pj_text values;
	size_t key_len;
	_Alignas(16) char bytes[]; /* state (rounded up to 16), then the key */
};

struct simple {
	pj__run_state *run;
	const pj__setup *setup; /* loaded */
	const pj_job *job;      /* of it */
	pj__task task;
	struct group **chains;
	size_t chain_count, count;
	size_t state_bytes;
	bool lists_pairs; /* in `pairs`, instead of the dict */
	pj__pairs pairs;
	pj__partition partition;
	uint32_t *firsts; /* of the sorter total: the first range of each part file, and the end; else NULL */
	bool ordered;     /* results stay in the part, as records, until all are there */
	pj__pour pour;
	pj__part part;
	pj_text stash; /* where records may be left out: what a task has emitted, until it is known to be good */
};

static pj_bytes key_of(const struct simple *simple, const struct group *group)
{
	return (pj_bytes){group->bytes + simple->state_bytes, group->key_len};
}

/* FNV-1a (Fowler, Noll, Vo). */
static uint64_t hash_of(pj_bytes key)
{
	uint64_t hash = 0xcbf29ce484222325u;
	for (size_t i = 0; i < key.len; i++)
		hash = (hash ^ (unsigned char)key.ptr[i]) * 0x100000001b3u;
	return hash ^ hash >> 32;
}

static bool grow(struct simple *simple)
{
	const size_t count = simple->chain_count ? simple->chain_count * 2 : 1024;
	struct group **chains = calloc(count, sizeof *chains);
	if (!chains)
		return false;
	for (size_t i = 0; i < simple->chain_count; i++) {
		for (struct group *group = simple->chains[i], *next; group; group = next) {
			next = group->next;
			group->next = chains[group->hash & (count - 1)];
			chains[group->hash & (count - 1)] = group;
		}
	}
	free(simple->chains);
	simple->chains = chains;
	simple->chain_count = count;
	return true;
}

static struct group *no_room(struct simple *simple, size_t bytes)
{
	pj_error error;
	pj__no_memory(&error, bytes);
	pj__error_hint(&error, "--sorter plex needs less memory");
	pj__task_failed(&simple->task, PJ_ERR_MEMORY, &error);
	return NULL;
}

/* The group of a key, made if it is new; NULL: the task has failed. */
static struct group *find(struct simple *simple, pj_bytes key)
{
	const uint64_t hash = hash_of(key);
	simple->run->result->map_pairs++;
	if (simple->chain_count)
		for (struct group *group = simple->chains[hash & (simple->chain_count - 1)]; group; group = group->next)
			if (group->hash == hash && pj_bytes_equal(key_of(simple, group), key))
				return group;
	if (simple->count >= simple->chain_count && !grow(simple))
		return no_room(simple, simple->chain_count * 2 * sizeof *simple->chains);
	struct group *group = malloc(sizeof *group + simple->state_bytes + key.len);
	if (!group)
		return no_room(simple, key.len);
	*group = (struct group){.hash = hash, .key_len = key.len};
	if (simple->state_bytes)
		pj__state_init(simple->job->reducer.aggregate, simple->job->reducer.arg, group->bytes);
	if (key.len)
		memcpy(group->bytes + simple->state_bytes, key.ptr, key.len);
	group->next = simple->chains[hash & (simple->chain_count - 1)];
	simple->chains[hash & (simple->chain_count - 1)] = group;
	simple->count++;
	return group;
}

/* Adds a pair to the list. */
static void list_pair(struct simple *simple, pj_bytes key, pj_bytes value)
{
	simple->run->result->map_pairs++;
	if (!simple->task.status && !pj__pairs_take(&simple->pairs, key, value))
		no_room(simple, key.len + value.len);
}

static void list_text(pj__task *task, pj_bytes key, pj_bytes value)
{
	const pj_aggregate *aggregate = ((struct simple *)task->taker)->job->reducer.aggregate;
	uint64_t number;
	if (!aggregate || aggregate->takes == PJ_TAKES_BYTES)
		list_pair(task->taker, key, value);
	else if (pj__read_number(task, aggregate->takes, value, &number))
		list_pair(task->taker, key, (pj_bytes){(const char *)&number, sizeof number});
}

static void take_pair(pj__task *task, pj_bytes key, pj_bytes value)
{
	struct simple *simple = task->taker;
	const pj_aggregate *aggregate = simple->job->reducer.aggregate;
	struct group *group = task->status ? NULL : find(simple, key);
	uint64_t number;
	if (!group)
		return;
	if (!aggregate) {
		pj_text_bytes(&group->values, (pj_bytes){(const char *)&value.len, sizeof value.len});
		pj_text_bytes(&group->values, value);
		if (group->values.failed)
			no_room(simple, group->values.capacity * 2);
	} else if (aggregate->add_bytes) {
		aggregate->add_bytes(group->bytes, value, simple->job->reducer.arg);
	} else if (pj__read_number(task, aggregate->takes, value, &number)) {
		pj__state_add_number(aggregate, simple->job->reducer.arg, group->bytes, number);
	}
}

static void take_number(pj_task *face, pj_bytes key, uint64_t value)
{
	struct simple *simple = ((pj__task *)face)->taker;
	if (simple->lists_pairs) {
		list_pair(simple, key, (pj_bytes){(const char *)&value, sizeof value});
		return;
	}
	struct group *group = simple->task.status ? NULL : find(simple, key);
	if (group)
		pj__state_add_number(simple->job->reducer.aggregate, simple->job->reducer.arg, group->bytes, value);
}

static void take_long_number(pj_task *face, pj_bytes key, uint64_t value)
{
	pj__task_flush((pj__task *)face); /* in the order of emission */
	take_number(face, key, value);
}

static void take_numbers(pj_task *face)
{
	pj__task *task = (pj__task *)face;
	const size_t count = pj__task_batch(task);
	pj__task_empty_batch(task);
	for (size_t i = 0; i < count; i++)
		take_number(face, pj__slot_key(&task->slots[i]), task->slots[i].value);
}

static void attach(struct simple *simple)
{
	pj__task *task = &simple->task;
	const pj_aggregate *aggregate = simple->job->reducer.aggregate;
	const bool numbers = !simple->job->map_only && aggregate && aggregate->takes != PJ_TAKES_BYTES;
	pj__task_init(task, numbers && aggregate->takes == PJ_TAKES_F64 ? PJ_NUMBER_F64 : PJ_NUMBER_I64);
	task->params = simple->run->setup->options.params;
	task->part_of.map_tasks = simple->run->plan->task_count;
	task->part_of.parts = simple->job->map_only ? 0 : pj__plan_files(simple->run->plan);
	if (simple->job->map_only) {
		pj__emit_to_part(task, &simple->part);
		return;
	}
	simple->lists_pairs = pj__setup_order(simple->setup) != NULL;
	pj__pairs_init(&simple->pairs, &simple->job->keys, task);
	simple->state_bytes = aggregate ? (aggregate->state_bytes + 15) / 16 * 16 : 0;
	/* [pairs are listed][values are numbers] */
	static const pj__target targets[2][2] = {
		{{.pair = take_pair}, {.pair = take_pair, .batch = take_numbers, .number = take_long_number}},
		{{.pair = list_text}, {.pair = list_text, .batch = take_numbers, .number = take_long_number}},
	};
	pj__task_attach(task, &targets[simple->lists_pairs][numbers], simple);
}

/* ---------------------------------------------------------------------------------------------- the part files */

static void know_keys(struct simple *simple)
{
	simple->partition.keys = pj__setup_keys(simple->setup);
	simple->partition.task = &simple->task;
}

/* Splits keys among part files: by a hash, or, for the sorter total, by the sample that the other engine takes, too. */
static pj_status make_partition(struct simple *simple, pj__whereabouts *here, pj_error *error)
{
	const pj__plan *plan = simple->run->plan;
	if (!plan->files) {
		const pj_status status =
			pj__partition_init(&simple->partition, plan->parts, 1, (pj_bytes){NULL, 0}, false, error);
		know_keys(simple);
		return status;
	}
	simple->firsts = calloc((size_t)plan->files + 1, sizeof *simple->firsts);
	if (!simple->firsts)
		return pj__no_memory(error, plan->files * sizeof *simple->firsts);
	pj_text sample = {0};
	pj_status status = PJ_OK;
	if (plan->task_count)
		status = pj__sample(simple->setup, simple->task.params, plan, here, pj__plan_first_streamed(plan),
				    (pj__care){0}, &sample, error);
	if (!status)
		status = pj__partition_init_files(&simple->partition, plan->files, 1, pj__text_all(&sample),
						  simple->job->keys.compare != NULL, simple->firsts, error);
	pj__text_fini(&sample);
	know_keys(simple);
	return status;
}

/* Does a key belong to a part file? */
static bool belongs(const struct simple *simple, pj_bytes key, uint32_t file)
{
	const uint32_t bucket = pj__partition_bucket(&simple->partition, key);
	return simple->firsts ? bucket >= simple->firsts[file] && bucket < simple->firsts[file + 1] : bucket == file;
}

/* ------------------------------------------------------------------------------------------------------ the stash */

/* A pair in the stash, before its bytes. */
struct stashed {
	uint64_t number;
	size_t key_len, value_len;
	bool is_number;
};

static void stash(struct simple *simple, const struct stashed *head, pj_bytes key, pj_bytes value)
{
	pj_text_bytes(&simple->stash, (pj_bytes){(const char *)head, sizeof *head});
	pj_text_bytes(&simple->stash, key);
	pj_text_bytes(&simple->stash, value);
	if (simple->stash.failed)
		no_room(simple, simple->stash.capacity * 2);
}

static void stash_number(struct simple *simple, pj_bytes key, uint64_t number)
{
	const struct stashed head = {.number = number, .key_len = key.len, .is_number = true};
	stash(simple, &head, key, (pj_bytes){"", 0});
}

/* A text that is to be a number is read now, while it is known which record it comes from. */
static void stash_pair(pj__task *task, pj_bytes key, pj_bytes value)
{
	struct simple *simple = task->taker;
	const pj_aggregate *aggregate = simple->job->reducer.aggregate;
	const bool reads =
		aggregate && aggregate->takes != PJ_TAKES_BYTES && (simple->lists_pairs || !aggregate->add_bytes);
	const struct stashed head = {.key_len = key.len, .value_len = value.len};
	uint64_t number;
	if (!reads)
		stash(simple, &head, key, value);
	else if (pj__read_number(task, aggregate->takes, value, &number))
		stash_number(simple, key, number);
}

static void stash_numbers(pj_task *face)
{
	pj__task *task = (pj__task *)face;
	const size_t count = pj__task_batch(task);
	pj__task_empty_batch(task);
	for (size_t i = 0; i < count; i++)
		stash_number(task->taker, pj__slot_key(&task->slots[i]), task->slots[i].value);
}

static void stash_long_number(pj_task *face, pj_bytes key, uint64_t value)
{
	pj__task_flush((pj__task *)face);
	stash_number(((pj__task *)face)->taker, key, value);
}

/* What is stashed reaches who would have taken it at once. */
static void take_stash(struct simple *simple)
{
	const char *at = simple->stash.data, *const end = at + simple->stash.len;
	while (at < end) {
		struct stashed head;
		memcpy(&head, at, sizeof head);
		const pj_bytes key = {at + sizeof head, head.key_len};
		const pj_bytes value = {key.ptr + key.len, head.value_len};
		at = value.ptr + value.len;
		if (head.is_number)
			take_number(&simple->task.face, key, head.number);
		else
			simple->task.target->pair(&simple->task, key, value);
	}
	pj__text_reset(&simple->stash);
}

/* Tries a task once, record by record and without those left out: it is taken whole, or not at all. */
static pj_status try_task(struct simple *simple, pj__mapping *mapping, size_t index, pj_error *error)
{
	const pj__plan *plan = simple->run->plan;
	const pj__split *splits = plan->splits + plan->first[index];
	const size_t split_count = plan->first[index + 1] - plan->first[index], part_len = simple->part.bytes.len;
	const uint64_t part_pairs = simple->part.pairs;
	pj__task *task = &simple->task;
	static const pj__target stash_text = {.pair = stash_pair},
				stash_all = {.pair = stash_pair, .batch = stash_numbers, .number = stash_long_number};
	const pj__target *const usual = task->target;
	size_t count;
	pj__record_at *list = pj__bad_list(simple->run->bad, splits, split_count, &count);
	if (count && !list)
		return pj__no_memory(error, count * sizeof *list);
	mapping->care = (pj__care){true, list, count};
	if (!simple->job->map_only)
		pj__task_attach(task, usual->batch ? &stash_all : &stash_text, simple);
	const pj_status status = pj__map_task(mapping, index, splits, split_count, error);
	task->face.next_slot = task->slots; /* after a failure there is something left, which nobody wants */
	if (!simple->job->map_only)
		pj__task_attach(task, usual, simple);
	if (status) {
		task->status = PJ_OK;
		simple->part.bytes.len = part_len;
		simple->part.pairs = part_pairs;
		pj__text_reset(&simple->stash);
	} else {
		take_stash(simple);
	}
	free(list);
	return status ? status : pj__task_outcome(task, NULL, PJ_OK, "mapper", error);
}

/* Tries a task until it is good, leaving out what fails it twice. */
static pj_status map_without_bad(struct simple *simple, pj__mapping *mapping, size_t index, pj_error *error)
{
	pj_error why;
	pj_status status;
	while ((status = try_task(simple, mapping, index, &why)) != PJ_OK) {
		const pj__record_at at = {.source = mapping->here->source, .offset = mapping->here->offset};
		const bool accused = mapping->here->at == PJ__AT_RECORD && pj__bad_may_be_record(status);
		pj__verdict verdict = PJ__IS_TOO_MUCH;
		if (accused)
			status = pj__bad_accuse(simple->run->bad, index, at, &why, &verdict, &why);
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

/* ------------------------------------------------------------------------------------------------------- the map */

static pj_status map_one(struct simple *simple, pj__mapping *mapping, size_t index, pj_error *error)
{
	const pj__plan *plan = simple->run->plan;
	pj_result *result = simple->run->result;
	const pj__split *splits = plan->splits + plan->first[index];
	pj_status status = pj__stopped(simple->run, error);
	if (!status)
		status = pj__bad_may_skip(simple->run->bad)
				 ? map_without_bad(simple, mapping, index, error)
				 : pj__map_task(mapping, index, splits, plan->first[index + 1] - plan->first[index],
						error);
	if (status == PJ_ERR_RECORD && error && error->offset >= 0)
		pj__bad_place(simple->run->bad, index, (pj__record_at){(uint64_t)error->offset, mapping->here->source},
			      true, error);
	result->records += mapping->records;
	result->input_bytes += mapping->bytes;
	result->map_tasks++;
	result->attempts++;
	if (!status && simple->job->map_only && !simple->ordered) {
		status = pj__pour_begin(&simple->pour, index, error);
		if (!status)
			status = pj__pour_write(&simple->pour, &simple->part, error);
		status = pj__pour_end(&simple->pour, status, error);
	}
	pj__error_at(status ? error : NULL, "map", (int64_t)index, -1);
	pj__tell_progress(simple->run, "map", result->input_bytes,
			  plan->sources.decoder_bytes ? 0 : plan->sources.bytes, 0);
	return status;
}

static pj_status add_split(void *arg, pj__split split, pj_error *error)
{
	return pj__plan_add(arg, split, error);
}

static pj_status map_all(struct simple *simple, pj_error *error)
{
	pj__plan *plan = simple->run->plan;
	pj__whereabouts here = {0};
	pj__mapping mapping;
	pj__spool spool;
	pj_status status = pj__spool_init(&spool, &plan->sources, plan->split_bytes, NULL, error);
	if (status)
		return status;
	status = pj__mapping_init(&mapping, simple->job, &simple->task, &plan->sources, &here, error);
	mapping.reader.max_record = simple->setup->options.max_record;
	for (size_t done = 0; !status;) {
		/* A first task may have no text, and the sample is of what comes then. */
		const bool is_parted = simple->partition.buckets;
		if (!is_parted && (plan->split_count || pj__spool_ended(&spool)))
			status = make_partition(simple, &here, error);
		else if (is_parted && done < plan->task_count)
			status = map_one(simple, &mapping, done++, error);
		else if (pj__spool_ended(&spool))
			break;
		else if (pj__spool_wait(&spool, WAIT_MS))
			status = pj__spool_step(&spool, add_split, plan, error);
		if (!status)
			status = pj__stopped(simple->run, error);
	}
	pj__mapping_fini(&mapping);
	pj__spool_fini(&spool);
	return status;
}

/* ---------------------------------------------------------------------------------------------------- the reduce */

/* The values of a group, one behind another. */
struct listed {
	pj_values values; /* first */
	pj_bytes key, rest;
};

static pj_bytes key_of_values(const pj_values *values)
{
	return ((const struct listed *)values)->key;
}

static int next_listed(pj_values *values, pj_bytes *ret_value)
{
	struct listed *listed = (struct listed *)values;
	size_t len;
	if (!listed->rest.len)
		return 0;
	memcpy(&len, listed->rest.ptr, sizeof len);
	*ret_value = (pj_bytes){listed->rest.ptr + sizeof len, len};
	listed->rest = (pj_bytes){listed->rest.ptr + sizeof len + len, listed->rest.len - sizeof len - len};
	return 1;
}

static pj_status reduce_group(struct simple *simple, pj__reduce *reduce, struct group *group, pj_error *error)
{
	const pj_bytes key = key_of(simple, group);
	struct listed listed = {{next_listed, &simple->task, key_of_values}, key, pj__text_all(&group->values)};
	return simple->job->reducer.aggregate ? pj__reduce_state(reduce, key, group->bytes, error)
					      : pj__reduce_group(reduce, key, &listed.values, error);
}

/* qsort_r's comparison; the context tells where keys begin. */
static int by_key(const void *a, const void *b, void *simple)
{
	return pj_bytes_compare(key_of(simple, *(struct group *const *)a), key_of(simple, *(struct group *const *)b));
}

static pj_status write_full(struct simple *simple, pj_error *error)
{
	return simple->part.bytes.len >= WRITE_BYTES && !simple->ordered
		       ? pj__pour_write(&simple->pour, &simple->part, error)
		       : PJ_OK;
}

/* The groups of the dict that belong to a part file, in key order. */
static pj_status reduce_dict(struct simple *simple, pj__reduce *reduce, struct group **groups, uint32_t part,
			     pj_error *error)
{
	pj_status status = PJ_OK;
	for (size_t i = 0; i < simple->count && !status; i++) {
		if (!belongs(simple, key_of(simple, groups[i]), part))
			continue;
		status = reduce_group(simple, reduce, groups[i], error);
		if (!status)
			status = write_full(simple, error);
		if (!status && i % 4096 == 0)
			status = pj__stopped(simple->run, error);
	}
	return status;
}

/* The same of listed pairs. */
static pj_status reduce_list(struct simple *simple, pj__reduce *reduce, uint32_t part, pj_error *error)
{
	pj_status status = PJ_OK;
	pj_bytes key;
	pj__pairs_begin(&simple->pairs, part);
	while (!status && pj__pairs_next(&simple->pairs, &key)) {
		status = pj__reduce_group(reduce, key, &simple->pairs.values, error);
		if (!status)
			status = write_full(simple, error);
		if (!status && reduce->groups % 4096 == 0)
			status = pj__stopped(simple->run, error);
	}
	return status;
}

/* Finds the part file of each pair, and puts all in order. */
static pj_status sort_list(struct simple *simple, uint32_t files, pj_error *error)
{
	for (size_t i = 0; i < simple->pairs.count; i++) {
		pj__pair *pair = simple->pairs.at[i];
		while (pair->file + 1 < files && !belongs(simple, pair->key, pair->file))
			pair->file++;
	}
	if (!pj__pairs_sort(&simple->pairs))
		return pj__no_memory(error, simple->pairs.count * sizeof *simple->pairs.at);
	return pj__task_outcome(&simple->task, NULL, PJ_OK, "partitioner", error);
}

static pj_status reduce_part(struct simple *simple, pj__reduce *reduce, struct group **groups, uint32_t part,
			     pj_error *error)
{
	pj_status status = simple->ordered ? PJ_OK : pj__pour_begin(&simple->pour, part, error);
	simple->task.index = part;
	if (!status)
		status = simple->lists_pairs ? reduce_list(simple, reduce, part, error)
					     : reduce_dict(simple, reduce, groups, part, error);
	if (!status)
		status = pj__task_outcome(&simple->task, NULL, PJ_OK, "partitioner", error);
	if (!status)
		status = pj__reduce_end(reduce, error);
	if (!status && !simple->ordered)
		status = pj__pour_write(&simple->pour, &simple->part, error);
	status = pj__pour_end(&simple->pour, status, error);
	pj__error_at(status ? error : NULL, "reduce", part, -1);
	return status;
}

static pj_status reduce_all(struct simple *simple, pj_error *error)
{
	const uint32_t files = pj__plan_files(simple->run->plan);
	struct group **groups = calloc(simple->count + 1, sizeof *groups);
	pj_status status = groups ? PJ_OK : pj__no_memory(error, simple->count * sizeof *groups);
	if (!status) {
		size_t found = 0;
		for (size_t i = 0; i < simple->chain_count; i++)
			for (struct group *group = simple->chains[i]; group; group = group->next)
				groups[found++] = group;
		qsort_r(groups, found, sizeof *groups, by_key, simple);
		status = sort_list(simple, files, error);
		pj__reduce reduce;
		pj__whereabouts here = {0};
		pj__reduce_init(&reduce, simple->job, &simple->task, &simple->part, &here);
		for (uint32_t file = 0; file < files && !status; file++)
			status = reduce_part(simple, &reduce, groups, file, error);
		simple->run->result->distinct_keys = reduce.groups;
		pj__reduce_fini(&reduce);
	}
	free(groups);
	return status;
}

/* Everything is in the part, as records: puts it in order and writes it. */
static pj_status pour_ordered(struct simple *simple, pj_error *error)
{
	pj__sink *sink = simple->run->sink;
	pj_status status = pj__part_order(&simple->part, &sink->output, error);
	pj__part text = {.columns = sink->output.columns,
			 .escape = sink->output.escape,
			 .as_records = sink->kind == PJ__SINK_FUNCTION};
	if (!status)
		status = pj__pour_begin(&simple->pour, 0, error);
	if (!status)
		status = pj__part_copy(&text, pj__text_all(&simple->part.bytes), error);
	if (!status)
		status = pj__pour_write(&simple->pour, &text, error);
	status = pj__pour_end(&simple->pour, status, error);
	pj__text_fini(&text.bytes);
	return status;
}

static void forget_groups(struct simple *simple)
{
	for (size_t i = 0; i < simple->chain_count; i++) {
		for (struct group *group = simple->chains[i], *next; group; group = next) {
			next = group->next;
			pj__text_fini(&group->values);
			free(group);
		}
	}
	free(simple->chains);
}

/* The memory of this process at its highest. */
static uint64_t peak_bytes(void)
{
	return pj__memory_of(getpid());
}

pj_status pj__engine_simple(pj__run_state *run, pj_error *error)
{
	pj_result *result = run->result;
	struct simple *simple = pj__task_holder(sizeof *simple);
	if (!simple)
		return pj__no_memory(error, sizeof *simple);
	pj__setup loaded = *run->setup;
	pj_status status = pj__setup_load(&loaded, error);
	simple->run = run;
	simple->setup = &loaded;
	simple->job = &loaded.job;
	simple->part = (pj__part){.columns = run->sink->output.columns,
				  .escape = run->sink->output.escape,
				  .as_records = run->sink->kind == PJ__SINK_FUNCTION};
	simple->ordered = pj__is_ordered(&run->sink->output);
	simple->part.as_records |= simple->ordered;
	pj__pour_init(&simple->pour, run->sink);
	result->workers = result->workers_used = 1;
	result->partitions = pj__plan_files(run->plan);
	const uint64_t begun = pj__now_ns();
	if (!status) {
		attach(simple);
		status = map_all(simple, error);
	}
	const uint64_t mapped = pj__now_ns();
	result->map_seconds = (double)(mapped - begun) * 1e-9;
	if (!status && !simple->job->map_only)
		status = reduce_all(simple, error);
	if (!status && simple->ordered)
		status = pour_ordered(simple, error);
	result->reduce_seconds = (double)(pj__now_ns() - mapped) * 1e-9;
	result->reduce_tasks = simple->job->map_only ? 0 : pj__plan_files(run->plan);
	result->output_pairs = simple->part.pairs;
	result->output_bytes = simple->pour.bytes;
	result->peak_bytes = peak_bytes();
	if (simple->task.tally)
		pj__tally_merge(&run->tally, simple->task.tally);
	if (run->setup->job.load && loaded.job.load != run->setup->job.load)
		pj__setup_fini(&loaded);
	forget_groups(simple);
	pj__pairs_fini(&simple->pairs);
	pj__partition_fini(&simple->partition);
	free(simple->firsts);
	pj__text_fini(&simple->part.bytes);
	pj__text_fini(&simple->stash);
	pj__task_fini(&simple->task);
	free(simple);
	return status;
}
