/*
 * pool_map.c: pj_pool_map, the one loop that spreads the work of user code over processes.
 *
 * The items are cut into chunks, the tasks of a schedule (schedule.h), which says which worker gets which chunk, and
 * how often a chunk is tried. In a circle: give every idle worker a chunk, wait for an event, deal with it:
 *
 *   a reply    its results are copied to memory of ours, the chunk is published
 *   a failure  of an item: its chunk is given up, and with it all later ones. Those before it are finished, as they may
 *              fail too: the error that is told is the one of the lowest item.
 *   a death    the item that was in work is charged. Its chunk is divided, so that the suspect is a task by itself:
 *
 *                 first .. suspect | suspect | suspect .. end of chunk
 *
 *              It is tried PJ_POOL_TRIES times, then given up.
 *   a timeout  a worker whose item has had its time is killed; its death is dealt with as above
 *
 * On failure the workers that are still busy are killed and replaced: afterwards nothing of the map is left.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/grow.h"
#include "base/io.h"
#include "base/machine.h"
#include "mp/pool.h"
#include "mp/schedule.h"

/* A chunk of chosen size: so many for each worker, so many items and bytes at most. */
enum { CHUNKS_PER_WORKER = 4, CHUNK_ITEMS = 4096, CHUNK_BYTES = 1 << 20 };

/* Memory files larger than this are cut down after use. */
enum { FILE_KEPT_BYTES = 1 << 20 };

struct range {
	uint64_t first, count;
};

/* The results: one allocation of bytes for each chunk. */
struct block {
	struct block *next;
	char bytes[];
};

struct results {
	pj_results face;
	struct block *blocks;
	pj_bytes *items;
};

struct map {
	pj_pool *pool;
	pj_pool_function *function;
	void *arg;
	const pj_bytes *items;
	pj__schedule schedule; /* a task: the items of one range */
	struct range *ranges;
	size_t range_count, range_room;
	unsigned idle_deaths; /* of workers that had nothing to do, since the last reply */
	struct results *results;
	pj_error *error; /* of the first item that is given up, or of the map itself */
};

void pj_results_destroy(pj_results *face)
{
	if (!face)
		return;
	struct results *results = (struct results *)face;
	for (struct block *block = results->blocks, *next; block; block = next) {
		next = block->next;
		free(block);
	}
	free(results->items);
	free(results);
}

static pj_status results_create(size_t count, struct results **ret_results, pj_error *error)
{
	struct results *results = calloc(1, sizeof *results);
	if (!results)
		return pj__no_memory(error, sizeof *results);
	results->items = calloc(count ? count : 1, sizeof *results->items);
	if (!results->items) {
		free(results);
		return pj__no_memory(error, count * sizeof *results->items);
	}
	results->face = (pj_results){count, results->items};
	*ret_results = results;
	return PJ_OK;
}

/* Makes room for a range that becomes number `at`. */
static pj_status insert_range(struct map *map, size_t at, struct range range)
{
	const pj_status status =
		pj__grow(&map->ranges, &map->range_room, map->range_count + 1, sizeof *map->ranges, map->error);
	if (status)
		return status;
	memmove(map->ranges + at + 1, map->ranges + at, (map->range_count++ - at) * sizeof *map->ranges);
	map->ranges[at] = range;
	return PJ_OK;
}

/* Cuts the items into chunks of `chunk` items; 0: of a number that is chosen. */
static pj_status plan(struct map *map, uint64_t count, uint64_t chunk)
{
	const uint64_t fair = count / (CHUNKS_PER_WORKER * (uint64_t)map->pool->count) + 1;
	const uint64_t most = chunk ? chunk : fair < CHUNK_ITEMS ? fair : CHUNK_ITEMS;
	pj_status status = PJ_OK;
	for (uint64_t first = 0, size; first < count && !status; first += size) {
		const uint64_t left = count - first, limit = left < most ? left : most;
		size_t bytes = 0;
		for (size = 0; size < limit && (chunk || bytes < CHUNK_BYTES); size++)
			bytes += map->items[first + size].len;
		status = insert_range(map, map->range_count, (struct range){first, size});
	}
	const pj__tries tries = {.system = PJ_POOL_TRIES, .code = 1};
	if (!status)
		status = pj__schedule_init(&map->schedule, map->pool->count, map->range_count, tries, map->error);
	return status;
}

/* Sends a chunk to an idle worker. */
static pj_status hand_out(struct map *map, unsigned index, size_t chunk_index)
{
	const struct range chunk = map->ranges[chunk_index];
	pj_pool *pool = map->pool;
	struct pj__pool_slot *slot = &pool->slots[index];
	_Alignas(16) char message[PJ__MESSAGE_MAX];
	pj__pool_task task = {map->function, map->arg, chunk.first, pool->limit_ns != 0, {0}};
	pj__parcel_begin(&pool->parcel, slot->files.items);
	for (uint64_t i = 0; i < chunk.count; i++) {
		pj__parcel_put(&pool->parcel, map->items[chunk.first + i]);
		pj__parcel_end_string(&pool->parcel);
	}
	const int failed =
		pj__parcel_finish(&pool->parcel, message + sizeof task, sizeof message - sizeof task, &task.items);
	if (failed)
		return pj__fail(map->error, PJ_ERR_MEMORY, failed, NULL, "cannot hand %llu items to a worker",
				(unsigned long long)chunk.count);
	memcpy(message, &task, sizeof task);
	/* Until it has begun, its first item stands as the one in work. */
	slot->began_ns = pool->limit_ns ? pj__now_ns() : 0;
	slot->progress->index = chunk.first;
	slot->progress->began_ns = slot->began_ns;
	const size_t size = sizeof task + (task.items.in_file ? 0 : pj__label_size(&task.items));
	if (pj__dispatcher_send(pool->dispatcher, index, message, size)) {
		/* It died with nothing to do: nobody is charged. */
		slot->state = PJ__POOL_DYING;
		pj__dispatcher_kill(pool->dispatcher, index);
		return PJ_OK;
	}
	pj__schedule_take(&map->schedule, index);
	slot->state = PJ__POOL_BUSY;
	slot->first = chunk.first;
	slot->count = chunk.count;
	return PJ_OK;
}

static pj_status hand_out_all(struct map *map)
{
	pj_status status = PJ_OK;
	for (unsigned i = 0; i < map->pool->count && !status; i++) {
		if (map->pool->slots[i].state != PJ__POOL_IDLE)
			continue;
		const int64_t next = pj__schedule_peek(&map->schedule);
		if (next < 0)
			break;
		status = hand_out(map, i, (size_t)next);
	}
	return status;
}

/* Gives up a chunk, and with it what comes after it, for the sake of an item. False: an earlier one is given up. */
static bool fail_item(struct map *map, int64_t chunk, uint64_t index, pj_status status, const char *what)
{
	if (!pj__schedule_give_up(&map->schedule, (size_t)chunk))
		return false;
	pj__fail(map->error, status, 0, NULL, "item %llu %s", (unsigned long long)index, what);
	pj__error_at(map->error, "pool", (int64_t)index, -1);
	return true;
}

/* The worker has answered. */
static void be_idle(struct map *map, struct pj__pool_slot *slot)
{
	slot->state = PJ__POOL_IDLE;
	map->idle_deaths = 0;
}

/* Kills a worker at its work; its death will charge the item. */
static void condemn(pj_pool *pool, unsigned index)
{
	pool->slots[index].condemned = true;
	pj__dispatcher_kill(pool->dispatcher, index);
}

/* Copies the results of a chunk. What a wild worker sent is recognised here, and the worker killed. */
static pj_status take_results(struct map *map, unsigned index, const pj__pool_reply *reply, size_t inside_size)
{
	struct pj__pool_slot *slot = &map->pool->slots[index];
	struct block *block = NULL;
	int failed = EBADMSG;
	if (reply->results.count == slot->count && pj__label_valid(&reply->results, inside_size)) {
		block = malloc(sizeof *block + pj__label_size(&reply->results));
		if (!block)
			return pj__no_memory(map->error, pj__label_size(&reply->results));
		failed = pj__parcel_open(&reply->results, reply + 1, slot->files.results, block->bytes,
					 map->results->items + slot->first);
	}
	if (failed) {
		free(block);
		condemn(map->pool, index);
		return PJ_OK;
	}
	block->next = map->results->blocks;
	map->results->blocks = block;
	if (pj__label_size(&reply->results) > FILE_KEPT_BYTES && ftruncate(slot->files.results, 0)) {
		/* it stays large for a while: no harm */
	}
	be_idle(map, slot);
	const pj_status status = pj__schedule_hold(&map->schedule, index, map->error);
	pj__schedule_publish(&map->schedule, index);
	return status;
}

static pj_status on_message(struct map *map, const pj__event *event)
{
	struct pj__pool_slot *slot = &map->pool->slots[event->slot];
	const pj__pool_reply *reply = event->message;
	if (slot->state != PJ__POOL_BUSY || slot->condemned)
		return PJ_OK;
	if (event->size < sizeof *reply || reply->first != slot->first || reply->failed - slot->first >= slot->count) {
		condemn(map->pool, event->slot);
		return PJ_OK;
	}
	if (reply->status == PJ_OK)
		return take_results(map, event->slot, reply, event->size - sizeof *reply);
	be_idle(map, slot);
	const int64_t chunk = pj__schedule_lose(&map->schedule, event->slot, PJ__LOSS_CODE);
	if (reply->status == PJ_ERR_USER) {
		if (fail_item(map, chunk, reply->failed, PJ_ERR_USER, "failed"))
			pj__error_reason(map->error, "%.*s", (int)sizeof reply->reason - 1, reply->reason);
	} else if (fail_item(map, chunk, reply->failed, PJ_ERR_MEMORY, "needs more memory than there is")) {
		map->error->errnum = reply->errnum;
	}
	return PJ_OK;
}

/* The item that the dead worker of the slot had in work. */
static uint64_t item_in_work(const struct pj__pool_slot *slot)
{
	const uint64_t index = slot->progress->index;
	return index - slot->first < slot->count ? index : slot->first;
}

/* Makes a chunk that waits two: the second begins with item `first`. Nothing happens if one would be empty. */
static pj_status divide(struct map *map, size_t chunk, uint64_t first, bool second_is_new)
{
	const struct range whole = map->ranges[chunk];
	const uint64_t end = whole.first + whole.count;
	if (first <= whole.first || first >= end)
		return PJ_OK;
	pj_status status = insert_range(map, chunk + 1, (struct range){first, end - first});
	map->ranges[chunk].count -= status ? 0 : end - first;
	return status ? status : pj__schedule_insert(&map->schedule, second_is_new ? chunk + 1 : chunk, map->error);
}

/* A worker died at its work: its item is charged, and a task by itself from now on. */
static pj_status charge(struct map *map, const struct pj__pool_slot *slot, const pj__event *event)
{
	const uint64_t suspect = item_in_work(slot);
	size_t chunk = (size_t)pj__schedule_lose(&map->schedule, event->slot, PJ__LOSS_SYSTEM);
	pj_status status = divide(map, chunk, suspect + 1, true);
	if (!status)
		status = divide(map, chunk, suspect, false);
	chunk += map->ranges[chunk].first < suspect;
	if (status || !pj__schedule_is_hopeless(&map->schedule, chunk))
		return status;
	const char *what = slot->late ? "took too long each time" : "killed its worker each time";
	if (!fail_item(map, (int64_t)chunk, suspect, slot->late ? PJ_ERR_TIMEOUT : PJ_ERR_CRASH, what))
		return PJ_OK;
	map->error->signal = slot->late ? 0 : event->signal;
	map->error->attempt = PJ_POOL_TRIES;
	if (slot->late)
		pj__error_reason(map->error, "the limit is %llu ms",
				 (unsigned long long)map->pool->limit_ns / 1000000u);
	else if (event->exit_code >= 0)
		pj__error_reason(map->error, "it exited with code %d", event->exit_code);
	return PJ_OK;
}

static bool any_lives(const pj_pool *pool)
{
	for (unsigned i = 0; i < pool->count; i++)
		if (pool->slots[i].state != PJ__POOL_DYING)
			return true;
	return false;
}

/* Replaces a dead worker. That may fail for lack of processes: the others go on as long as there are any. */
static pj_status replace(pj_pool *pool, unsigned index, pj_error *error)
{
	struct pj__pool_slot *slot = &pool->slots[index];
	pj_error why;
	const pj_status status = pj__dispatcher_start(pool->dispatcher, index, &why);
	slot->state = status ? PJ__POOL_DYING : PJ__POOL_IDLE;
	slot->condemned = slot->late = false;
	if (!status || any_lives(pool))
		return PJ_OK;
	if (error)
		*error = why;
	return status;
}

static pj_status on_death(struct map *map, const pj__event *event)
{
	pj_pool *pool = map->pool;
	struct pj__pool_slot *slot = &pool->slots[event->slot];
	pj_status status = PJ_OK;
	if (slot->state == PJ__POOL_BUSY) {
		slot->state = PJ__POOL_DYING;
		status = charge(map, slot, event);
	} else if (++map->idle_deaths > 100 + 3 * pool->count) {
		status = pj__fail(map->error, PJ_ERR_CRASH, 0, NULL, "workers die before they are given work");
		if (map->error)
			map->error->signal = event->signal;
	}
	const pj_status replaced = replace(pool, event->slot, status ? NULL : map->error);
	return status ? status : replaced;
}

/* Kills workers whose item has had its time; returns the milliseconds until the next one may be due, -1: never. */
static int enforce_limit(struct map *map)
{
	pj_pool *pool = map->pool;
	if (!pool->limit_ns)
		return -1;
	const uint64_t now_ns = pj__now_ns();
	uint64_t next_ns = UINT64_MAX;
	for (unsigned i = 0; i < pool->count; i++) {
		struct pj__pool_slot *slot = &pool->slots[i];
		if (slot->state != PJ__POOL_BUSY || slot->condemned)
			continue;
		const uint64_t began_ns = slot->progress->began_ns;
		if (began_ns > slot->began_ns && began_ns <= now_ns)
			slot->began_ns = began_ns;
		const uint64_t due_ns = slot->began_ns + pool->limit_ns;
		if (now_ns >= due_ns) {
			slot->late = true;
			condemn(pool, i);
		} else if (due_ns < next_ns) {
			next_ns = due_ns;
		}
	}
	if (next_ns == UINT64_MAX)
		return -1;
	const uint64_t wait_ms = (next_ns - now_ns) / 1000000u + 1;
	return wait_ms < 1000000 ? (int)wait_ms : 1000000;
}

static pj_status run(struct map *map)
{
	pj_status status = PJ_OK;
	while (!status && !pj__schedule_finished(&map->schedule)) {
		pj__event event;
		status = hand_out_all(map);
		if (!status)
			status = pj__dispatcher_wait(map->pool->dispatcher, enforce_limit(map), &event, map->error);
		if (!status && event.kind == PJ__EVENT_MESSAGE)
			status = on_message(map, &event);
		else if (!status && event.kind == PJ__EVENT_DEATH)
			status = on_death(map, &event);
	}
	return status;
}

/* Is there a worker whose death is still to be told? */
static bool any_is_dying(const pj_pool *pool)
{
	for (unsigned i = 0; i < pool->count; i++)
		if (pool->slots[i].state == PJ__POOL_DYING && pj__dispatcher_pid(pool->dispatcher, i))
			return true;
	return false;
}

/* After a map: no worker is busy, none is missing if that can be helped, large files are given back. */
static void settle(pj_pool *pool)
{
	for (unsigned i = 0; i < pool->count; i++) {
		if (pool->slots[i].state == PJ__POOL_BUSY) {
			pool->slots[i].state = PJ__POOL_DYING;
			pj__dispatcher_kill(pool->dispatcher, i);
		}
		const off_t size = lseek(pool->slots[i].files.items, 0, SEEK_END);
		if (size > FILE_KEPT_BYTES && ftruncate(pool->slots[i].files.items, 0)) {
			/* it stays large for a while: no harm */
		}
	}
	while (any_is_dying(pool)) {
		pj__event event;
		if (pj__dispatcher_wait(pool->dispatcher, -1, &event, NULL))
			return;
		if (event.kind == PJ__EVENT_DEATH)
			(void)replace(pool, event.slot, NULL);
	}
}

/* Workers that could not be replaced before are tried again. */
static pj_status revive(pj_pool *pool, pj_error *error)
{
	pj_status status = PJ_OK;
	for (unsigned i = 0; i < pool->count && !status; i++)
		if (pool->slots[i].state == PJ__POOL_DYING && !pj__dispatcher_pid(pool->dispatcher, i))
			status = replace(pool, i, error);
	return status;
}

pj_status pj_pool_map(pj_pool *pool, pj_pool_function *function, void *arg, const pj_bytes *items, size_t count,
		      size_t chunk, pj_results **ret_results, pj_error *error)
{
	if (!pool || !function || (count && !items) || !ret_results)
		return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "a map needs a pool, a function, items and a result");
	if (pool->owner != getpid())
		return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "the pool belongs to another process");
	if (pool->closed)
		return pj__fail(error, PJ_ERR_CLOSED, 0, NULL, "the pool is closed");
	struct map map = {.pool = pool, .function = function, .arg = arg, .items = items};
	pj_error first_error = {.status = PJ_OK};
	map.error = &first_error;
	pj_status status = results_create(count, &map.results, map.error);
	if (!status)
		status = plan(&map, count, chunk);
	if (!status)
		status = revive(pool, map.error);
	if (!status)
		status = run(&map);
	if (!status)
		status = first_error.status; /* of the failed item */
	settle(pool);
	pj__schedule_fini(&map.schedule);
	free(map.ranges);
	if (status) {
		if (map.results)
			pj_results_destroy(&map.results->face);
		if (error)
			*error = first_error;
		return status;
	}
	*ret_results = &map.results->face;
	return PJ_OK;
}
