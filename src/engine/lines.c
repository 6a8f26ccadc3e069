/*
 * lines.c: the numbers of lines, for jobs that ask for them (pj_job.counts_lines).
 *
 * A worker sees its split only, and cannot tell how many lines stand before it. So the newlines of files that are cut
 * into several splits are counted first, by a pool of processes, split by split; streams are counted while they are
 * spooled. The input is read twice, but the counting runs at the speed of memory, and what it has read is cached.
 *
 * Compressed inputs that are cut are decoded twice, also for jobs that want to know places in their text.
 */
#include <papjuice/pool.h>
#include <stdlib.h>

#include "base/machine.h"
#include "engine/engine.h"

enum { ROUND = 16 }; /* splits counted between two looks at whether the run is to stop */

struct count {
	uint64_t lines, bytes;
};

/* Is there a next split of the same file, which must know? */
static bool goes_on(const pj__run_state *run, size_t index)
{
	const pj__plan *plan = run->plan;
	return index + 1 < plan->split_count && plan->splits[index + 1].start > 0 &&
	       (run->setup->job.counts_lines || pj__source_is_packed(&plan->sources.at[plan->splits[index].source]));
}

static pj_status count_split(const pj__plan *plan, size_t index, struct count *ret_count, pj_error *error)
{
	pj__reader reader;
	pj_status status = pj__reader_init(&reader, &plan->sources, 0, error);
	if (!status)
		status = pj__reader_count_lines(&reader, plan->splits[index], &ret_count->lines, &ret_count->bytes,
						error);
	pj__reader_fini(&reader);
	return status;
}

/* In a process of the pool: the count, or the error, which is longer. */
static pj_status count_item(pj_bytes item, pj_reply *reply, void *arg)
{
	const pj__plan *plan = arg;
	size_t index;
	struct count count = {0};
	pj_error error;
	memcpy(&index, item.ptr, sizeof index);
	if (count_split(plan, index, &count, &error))
		return pj_reply_append(reply, (pj_bytes){(const char *)&error, sizeof error});
	return pj_reply_append(reply, (pj_bytes){(const char *)&count, sizeof count});
}

/* Numbers a split by the one before it. */
static void number_next(pj__plan *plan, size_t index, const struct count *count)
{
	const pj__split *split = &plan->splits[index];
	plan->splits[index + 1].lines = split->lines + count->lines;
	if (pj__source_is_packed(&plan->sources.at[split->source]))
		plan->splits[index + 1].origin = split->origin + count->bytes;
}

static pj_status take_result(pj__plan *plan, size_t index, pj_bytes result, pj_error *error)
{
	struct count count;
	pj_error failed;
	if (result.len == sizeof count) {
		memcpy(&count, result.ptr, sizeof count);
		number_next(plan, index, &count);
		return PJ_OK;
	}
	memcpy(&failed, result.ptr, sizeof failed);
	if (error)
		*error = failed;
	return failed.status;
}

static pj_status count_one(pj__plan *plan, size_t index, pj_error *error)
{
	struct count count = {0};
	const pj_status status = count_split(plan, index, &count, error);
	if (!status)
		number_next(plan, index, &count);
	return status;
}

/* No code is at work here but ours: if a split was too much for several workers, somebody else has killed them. */
static pj_status count_by_ourselves(pj__plan *plan, const size_t *indexes, size_t count, pj_error *error)
{
	pj_status status = PJ_OK;
	for (size_t i = 0; i < count && !status; i++)
		status = count_one(plan, indexes[i], error);
	return status;
}

/* Counts in some splits, all of which go on, with the pool. */
static pj_status count_round(pj__plan *plan, pj_pool *pool, const size_t *indexes, size_t count, pj_error *error)
{
	pj_bytes items[ROUND] = {{NULL, 0}};
	pj_results *results;
	for (size_t i = 0; i < count; i++)
		items[i] = (pj_bytes){(const char *)&indexes[i], sizeof indexes[i]};
	pj_status status = pj_pool_map(pool, count_item, plan, items, count, 1, &results, error);
	if (status == PJ_ERR_CRASH)
		return count_by_ourselves(plan, indexes, count, error);
	if (status)
		return status;
	for (size_t i = 0; i < count && !status; i++)
		status = take_result(plan, indexes[i], results->items[i], error);
	pj_results_destroy(results);
	return status;
}

static pj_status count_apart(const pj__run_state *run, pj_pool *pool, pj_error *error)
{
	pj__plan *plan = run->plan;
	size_t indexes[ROUND], count = 0;
	pj_status status = PJ_OK;
	for (size_t i = 0; i < plan->split_count && !status; i++) {
		if (goes_on(run, i))
			indexes[count++] = i;
		if (count == ROUND || (count && i + 1 == plan->split_count)) {
			status = pj__stopped(run, error);
			if (!status)
				status = count_round(plan, pool, indexes, count, error);
			count = 0;
		}
	}
	return status;
}

static pj_status count_here(const pj__run_state *run, pj_error *error)
{
	pj_status status = PJ_OK;
	for (size_t i = 0; i < run->plan->split_count && !status; i++) {
		status = pj__stopped(run, error);
		if (!status && goes_on(run, i))
			status = count_one(run->plan, i, error);
	}
	return status;
}

pj_status pj__count_lines(const pj__setup *setup, pj__plan *plan, pj_error *error)
{
	const pj__run_state run = {.setup = setup, .plan = plan};
	pj_pool *pool = NULL;
	size_t count = 0;
	/* A record that is left out must be known by its place, in whichever piece it is met again. */
	const bool wanted = setup->job.counts_lines || setup->job.tells_places || setup->options.skip_bad;
	for (size_t i = 0; wanted && i < plan->split_count; i++)
		count += goes_on(&run, i);
	pj_status status = PJ_OK;
	if (!count)
		return PJ_OK;
	if (setup->options.workers == 1 || count < 2) {
		status = count_here(&run, error);
	} else {
		const unsigned workers = setup->options.workers;
		status = pj_pool_create(workers < count ? workers : (unsigned)count, &pool, error);
		if (!status)
			status = count_apart(&run, pool, error);
		pj_pool_destroy(pool);
	}
	if (status)
		pj__error_at(error, "plan", -1, -1);
	return status;
}
