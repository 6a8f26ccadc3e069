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

/* In this process: where there is no pool, or where some splits were too much for several of its workers. */
static pj_status count_here(const pj__run_state *run, const size_t *indexes, size_t count, pj_error *error)
{
	pj_status status = PJ_OK;
	for (size_t i = 0; i < count && !status; i++) {
		struct count found = {0};
		status = pj__stopped(run, error);
		if (!status)
			status = count_split(run->plan, indexes[i], &found, error);
		if (!status)
			number_next(run->plan, indexes[i], &found);
	}
	return status;
}

/*
 * Counts in some splits, all of which go on. Only our own code is at work in the pool: if a split was too much for
 * several workers, somebody else has killed them.
 */
static pj_status count_round(const pj__run_state *run, pj_pool *pool, const size_t *indexes, size_t count,
			     pj_error *error)
{
	pj__plan *plan = run->plan;
	if (!pool)
		return count_here(run, indexes, count, error);
	pj_bytes items[ROUND] = {{NULL, 0}};
	pj_results *results;
	for (size_t i = 0; i < count; i++)
		items[i] = (pj_bytes){(const char *)&indexes[i], sizeof indexes[i]};
	pj_status status = pj_pool_map(pool, count_item, plan, items, count, 1, &results, error);
	if (status == PJ_ERR_CRASH)
		return count_here(run, indexes, count, error);
	if (status)
		return status;
	for (size_t i = 0; i < count && !status; i++)
		status = take_result(plan, indexes[i], results->items[i], error);
	pj_results_destroy(results);
	return status;
}

static pj_status count_all(const pj__run_state *run, pj_pool *pool, pj_error *error)
{
	size_t indexes[ROUND], count = 0;
	pj_status status = PJ_OK;
	for (size_t i = 0; i < run->plan->split_count && !status; i++) {
		if (goes_on(run, i))
			indexes[count++] = i;
		if (count == ROUND || (count && i + 1 == run->plan->split_count)) {
			status = pj__stopped(run, error);
			if (!status)
				status = count_round(run, pool, indexes, count, error);
			count = 0;
		}
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
	const size_t workers = setup->options.workers < count ? setup->options.workers : count;
	if (workers > 1)
		status = pj_pool_create((unsigned)workers, &pool, error);
	if (!status)
		status = count_all(&run, pool, error);
	pj_pool_destroy(pool);
	if (status)
		pj__error_at(error, "plan", -1, -1);
	return status;
}
