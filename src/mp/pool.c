/*
 * pool.c: see papjuice/pool.h. The pool's life; its map is in pool_map.c.
 */
#include "mp/pool.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"
#include "base/machine.h"

/* How long the workers of a closed pool may take to end before they are killed. */
enum { JOIN_MS = 5000 };

static int run_worker(void *arg, unsigned slot, int channel)
{
	pj_pool *pool = arg;
	for (unsigned i = 0; i < pool->count; i++) {
		if (i == slot)
			continue; /* the files of the others are none of its business */
		pj__close(&pool->slots[i].files.items);
		pj__close(&pool->slots[i].files.results);
		munmap(pool->slots[i].progress, sizeof *pool->slots[i].progress);
	}
	return pj__pool_work(channel, &pool->slots[slot]);
}

static pj_status make_files(pj_pool *pool, pj_error *error)
{
	pj_status status = PJ_OK;
	for (unsigned i = 0; i < pool->count; i++)
		pool->slots[i].files = (pj__pool_files){-1, -1};
	for (unsigned i = 0; i < pool->count && !status; i++) {
		status = pj__memory_file("papjuice-items", &pool->slots[i].files.items, error);
		if (!status)
			status = pj__memory_file("papjuice-results", &pool->slots[i].files.results, error);
		void *page = NULL;
		if (!status)
			status = pj__map_shared(sizeof *pool->slots[i].progress, &page, error);
		pool->slots[i].progress = page;
	}
	return status;
}

pj_status pj_pool_create(unsigned processes, pj_pool **ret_pool, pj_error *error)
{
	pj_pool *pool = calloc(1, sizeof *pool);
	if (!pool)
		return pj__no_memory(error, sizeof *pool);
	pool->count = processes ? processes : 2 * pj__processors();
	pool->owner = getpid();
	pj_status status = pj__parcel_init(&pool->parcel, error);
	pool->slots = calloc(pool->count, sizeof *pool->slots);
	if (!status && !pool->slots)
		status = pj__no_memory(error, pool->count * sizeof *pool->slots);
	if (!status)
		status = make_files(pool, error);
	if (!status)
		status = pj__dispatcher_create(pool->count, run_worker, pool, &pool->dispatcher, error);
	if (status) {
		pj_pool_destroy(pool);
		return status;
	}
	*ret_pool = pool;
	return PJ_OK;
}

void pj_pool_destroy(pj_pool *pool)
{
	if (!pool)
		return;
	if (pool->owner == getpid())
		pj__dispatcher_destroy(pool->dispatcher);
	for (unsigned i = 0; pool->slots && i < pool->count; i++) {
		pj__close(&pool->slots[i].files.items);
		pj__close(&pool->slots[i].files.results);
		if (pool->slots[i].progress)
			munmap(pool->slots[i].progress, sizeof *pool->slots[i].progress);
	}
	pj__parcel_fini(&pool->parcel);
	free(pool->slots);
	free(pool);
}

unsigned pj_pool_processes(const pj_pool *pool)
{
	return pool->count;
}

void pj_pool_set_time_limit(pj_pool *pool, uint64_t limit_ms)
{
	pool->limit_ns = limit_ms > UINT64_MAX / 2000000u ? 0 : limit_ms * 1000000u;
}

void pj_pool_close(pj_pool *pool)
{
	if (pool->closed || pool->owner != getpid())
		return;
	pool->closed = true;
	const pj__pool_task end = {.function = NULL};
	for (unsigned i = 0; i < pool->count; i++) {
		/* no map runs, so its queue is empty: what can fail is that it died already */
		if (pj__dispatcher_send(pool->dispatcher, i, &end, sizeof end))
			pj__dispatcher_kill(pool->dispatcher, i);
	}
}

static bool any_lives(const pj_pool *pool)
{
	for (unsigned i = 0; i < pool->count; i++)
		if (pj__dispatcher_pid(pool->dispatcher, i))
			return true;
	return false;
}

pj_status pj_pool_join(pj_pool *pool, pj_error *error)
{
	if (pool->owner != getpid())
		return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "the pool belongs to another process");
	if (!pool->closed)
		return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "a pool has to be closed before it is joined");
	while (any_lives(pool)) {
		pj__event event;
		const pj_status status = pj__dispatcher_wait(pool->dispatcher, JOIN_MS, &event, error);
		if (status)
			return status;
		for (unsigned i = 0; event.kind == PJ__EVENT_TIMEOUT && i < pool->count; i++)
			pj__dispatcher_kill(pool->dispatcher, i); /* stopped by somebody (SIGSTOP) */
	}
	return PJ_OK;
}
