/*
 * test_fake_engine.c: what it takes to add an engine: this file, and a line in the table, which is the one at its end.
 *
 * The engine `backwards` maps the tasks of the plan from the last to the first, in the calling process, each into a
 * list of its own, and reduces the lists together in the order of tasks. It can do little; the rest is refused for it.
 */
#include "conformance.h"
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "engine/pairs.h"
#include "job/map.h"
#include "job/reduce.h"
#include "output/pour.h"
#include "reduce/aggregate.h"
#include "shuffle/writer.h"

struct backwards {
	pj__run_state *run;
	pj__task task;
	pj__pairs *lists; /* of each map task */
	pj__pairs all;
	pj__part part;
	pj__pour pour;
};

static void take(pj__task *task, pj_bytes key, pj_bytes value)
{
	if (!pj__pairs_add(task->taker, key, value, false))
		pj__task_failed(task, PJ_ERR_MEMORY, NULL);
}

static pj_status pour(struct backwards *all, uint64_t number, pj_status status, pj_error *error)
{
	if (!status)
		status = pj__pour_begin(&all->pour, number, error);
	if (!status)
		status = pj__pour_write(&all->pour, &all->part, error);
	return pj__pour_end(&all->pour, status, error);
}

static pj_status map_tasks(struct backwards *all, pj_error *error)
{
	const pj_job *job = &all->run->setup->job;
	const pj__plan *plan = all->run->plan;
	pj__whereabouts here = {0};
	pj__mapping mapping;
	pj_status status = pj__mapping_init(&mapping, job, &all->task, &plan->sources, &here, error);
	for (size_t i = 0; i < plan->task_count && !status; i++) {
		/* what is only mapped is written at once, so its tasks are in order */
		const size_t task = job->map_only ? i : plan->task_count - 1 - i, first = plan->first[task];
		all->task.taker = job->map_only ? (void *)&all->part : &all->lists[task];
		status = pj__stopped(all->run, error);
		if (!status)
			status = pj__map_task(&mapping, task, &plan->splits[first], plan->first[task + 1] - first,
					      error);
		pj__error_at(status ? error : NULL, "map", (int64_t)task, -1);
		if (job->map_only)
			status = pour(all, task, status, error);
	}
	pj__mapping_fini(&mapping);
	return status;
}

/* Brings the lists together: each pair gets its part file, and numbers are read as an aggregate wants them. */
static pj_status gather(struct backwards *all, pj_error *error)
{
	const pj_aggregate *aggregate = all->run->setup->job.reducer.aggregate;
	for (size_t i = 0; i < all->run->plan->task_count; i++) {
		for (size_t j = 0; j < all->lists[i].count; j++) {
			const pj__pair *pair = &all->lists[i].at[j];
			pj_bytes key = pj__pair_key(&all->lists[i], pair), value = {key.ptr + key.len, pair->value_len};
			uint64_t number;
			if (aggregate && pj__read_number(&all->task, aggregate->takes, value, &number))
				value = (pj_bytes){(const char *)&number, sizeof number};
			if (!pj__pairs_add(&all->all, key, value, aggregate != NULL))
				return pj__no_memory(error, key.len + value.len);
			key = pj__pairs_group(&all->all, key);
			all->all.at[all->all.count - 1].file =
				(uint32_t)(XXH3_64bits(key.ptr, key.len) % all->run->plan->parts);
		}
	}
	return pj__pairs_sort(&all->all) ? PJ_OK : pj__no_memory(error, all->all.count);
}

static pj_status reduce_files(struct backwards *all, pj_error *error)
{
	pj__whereabouts here = {0};
	pj__reduce reduce;
	pj_bytes key;
	pj_status status = gather(all, error);
	pj__reduce_init(&reduce, &all->run->setup->job, &all->task, &all->part, &here);
	for (uint32_t file = 0; file < all->run->plan->parts && !status; file++) {
		while (!status && pj__pairs_next(&all->all, file, &key))
			status = pj__reduce_group(&reduce, key, &all->all.values, error);
		status = pour(all, file, status, error);
	}
	pj__reduce_fini(&reduce);
	return status;
}

static pj_status run_backwards(void *opened, pj__run_state *run, pj_error *error)
{
	struct backwards *all = opened;
	const pj_job *job = &run->setup->job;
	all->run = run;
	all->part = (pj__part){.columns = run->sink->output.columns, .escape = run->sink->output.escape};
	pj__pour_init(&all->pour, run->sink);
	pj__task_init(&all->task, PJ_NUMBER_I64);
	pj__emit_to_part(&all->task, &all->part);
	static const pj__target list = {.pair = take};
	if (!job->map_only)
		pj__task_attach(&all->task, &list, all);
	pj__pairs_init(&all->all, &job->keys, &all->task);
	all->lists = calloc(run->plan->task_count + 1, sizeof *all->lists);
	pj_status status = all->lists ? map_tasks(all, error) : pj__no_memory(error, run->plan->task_count);
	return status || job->map_only ? status : reduce_files(all, error);
}

static pj_status open_backwards(const pj__engine_terms *terms, void **ret_opened, pj_error *error)
{
	(void)terms;
	*ret_opened = pj__task_holder(sizeof(struct backwards));
	return *ret_opened ? PJ_OK : pj__no_memory(error, sizeof(struct backwards));
}

static void close_backwards(void *opened)
{
	struct backwards *all = opened;
	for (size_t i = 0; all->lists && i < all->run->plan->task_count; i++)
		pj__pairs_fini(&all->lists[i]);
	free(all->lists);
	pj__pairs_fini(&all->all);
	pj__text_fini(&all->part.bytes);
	pj__task_fini(&all->task);
	free(all);
}

static const pj__engine backwards_engine = {.name = "backwards",
					    .can = PJ__IS_IN_CALLER,
					    .storage = &pj__storage_files,
					    .open = open_backwards,
					    .run = run_backwards,
					    .close = close_backwards};

const pj__engine *const pj__engines[] = {&pj__engine_reference, &pj__engine_local, &backwards_engine, NULL};

int main(void)
{
	return run_conformance();
}
