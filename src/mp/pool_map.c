/*
 * pool_map.c: pj_pool_map, the one loop that spreads the work of user code over processes.
 *
 * The items are cut into chunks as they are handed out, in order. Each worker has at most one chunk. In a circle: give
 * every idle worker a chunk, wait for an event, deal with it:
 *
 *   a reply    its results are copied to memory of ours, the worker is idle again
 *   a failure  of item i: nothing from item i on is begun any more, `end` = i. What lies before it is finished, as it
 *              may fail too: the error that is told is the one of the lowest item.
 *   a death    the item that was in work is charged. Its chunk goes back in three parts, so that the suspect is alone:
 *
 *                 first .. suspect | suspect | suspect .. end of chunk
 *
 *              Each item is charged at most PJ_POOL_TRIES times, so this ends.
 *   a timeout  a worker whose item has had its time is killed; its death is dealt with as above
 *
 * On failure the workers that are still busy are killed and replaced: afterwards nothing of the map is left.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"
#include "base/machine.h"
#include "mp/pool.h"

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
	uint64_t chunk;      /* 0: chosen */
	uint64_t chunk_most; /* most items in a chunk */
	uint64_t next;       /* items from here on were never handed out */
	uint64_t end;        /* items from here on are of no interest */
	struct range *again; /* chunks that are to be done again: the last one first */
	size_t again_count, again_room;
	uint8_t *tries;       /* of each item */
	unsigned idle_deaths; /* of workers that had nothing to do, since the last reply */
	struct results *results;
	pj_error *error; /* of item `end`, or of the map itself */
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

static pj_status push_again(struct map *map, uint64_t first, uint64_t count)
{
	if (!count)
		return PJ_OK;
	if (map->again_count == map->again_room) {
		const size_t room = map->again_room ? 2 * map->again_room : 16;
		struct range *again = reallocarray(map->again, room, sizeof *again);
		if (!again)
			return pj__no_memory(map->error, room * sizeof *again);
		map->again = again;
		map->again_room = room;
	}
	map->again[map->again_count++] = (struct range){first, count};
	return PJ_OK;
}

/* The next chunk to hand out; false: none. */
static bool take_chunk(struct map *map, struct range *chunk)
{
	while (map->again_count) {
		*chunk = map->again[--map->again_count];
		if (chunk->first < map->end)
			return true;
	}
	if (map->next >= map->end)
		return false;
	const uint64_t left = map->end - map->next, most = left < map->chunk_most ? left : map->chunk_most;
	uint64_t count = most;
	if (!map->chunk) {
		size_t bytes = 0;
		for (count = 0; count < most && bytes < CHUNK_BYTES; count++)
			bytes += map->items[map->next + count].len;
	}
	*chunk = (struct range){map->next, count};
	map->next += count;
	return true;
}

/* Sends a chunk to an idle worker. */
static pj_status hand_out(struct map *map, unsigned index, struct range chunk)
{
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
		return push_again(map, chunk.first, chunk.count);
	}
	slot->state = PJ__POOL_BUSY;
	slot->first = chunk.first;
	slot->count = chunk.count;
	return PJ_OK;
}

static pj_status hand_out_all(struct map *map)
{
	pj_status status = PJ_OK;
	for (unsigned i = 0; i < map->pool->count && !status; i++) {
		struct range chunk;
		if (map->pool->slots[i].state != PJ__POOL_IDLE)
			continue;
		if (!take_chunk(map, &chunk))
			break;
		status = hand_out(map, i, chunk);
	}
	return status;
}

static bool anything_to_wait_for(const struct map *map)
{
	for (size_t i = 0; i < map->again_count; i++)
		if (map->again[i].first < map->end)
			return true;
	for (unsigned i = 0; i < map->pool->count; i++)
		if (map->pool->slots[i].state == PJ__POOL_BUSY && map->pool->slots[i].first < map->end)
			return true;
	return map->next < map->end;
}

/* Item `index` has failed for good: what comes after it does not matter any more. */
static void fail_item(struct map *map, uint64_t index, pj_status status, const char *what)
{
	map->end = index;
	pj__fail(map->error, status, 0, NULL, "item %llu %s", (unsigned long long)index, what);
	pj__error_at(map->error, "pool", (int64_t)index, -1);
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
	return PJ_OK;
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
	if (reply->failed >= map->end)
		return PJ_OK;
	if (reply->status == PJ_ERR_USER) {
		fail_item(map, reply->failed, PJ_ERR_USER, "failed");
		pj__error_reason(map->error, "%.*s", (int)sizeof reply->reason - 1, reply->reason);
	} else {
		fail_item(map, reply->failed, PJ_ERR_MEMORY, "needs more memory than there is");
		if (map->error)
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

/* A worker died at its work: its item is charged, the chunk goes back. */
static pj_status charge(struct map *map, const struct pj__pool_slot *slot, const pj__event *event)
{
	const uint64_t suspect = item_in_work(slot), chunk_end = slot->first + slot->count;
	if (++map->tries[suspect] < PJ_POOL_TRIES) {
		pj_status status = push_again(map, suspect + 1, chunk_end - suspect - 1);
		if (!status)
			status = push_again(map, suspect, 1);
		if (!status)
			status = push_again(map, slot->first, suspect - slot->first);
		return status;
	}
	if (suspect < map->end) {
		if (slot->late)
			fail_item(map, suspect, PJ_ERR_TIMEOUT, "took too long each time");
		else
			fail_item(map, suspect, PJ_ERR_CRASH, "killed its worker each time");
		if (map->error) {
			map->error->signal = slot->late ? 0 : event->signal;
			map->error->attempt = PJ_POOL_TRIES;
		}
		if (slot->late)
			pj__error_reason(map->error, "the limit is %llu ms",
					 (unsigned long long)map->pool->limit_ns / 1000000u);
		else if (event->exit_code >= 0)
			pj__error_reason(map->error, "it exited with code %d", event->exit_code);
	}
	return push_again(map, slot->first, suspect - slot->first);
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
	while (!status && anything_to_wait_for(map)) {
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
	struct map map = {.pool = pool, .function = function, .arg = arg, .items = items, .chunk = chunk, .end = count};
	const uint64_t fair = count / (CHUNKS_PER_WORKER * (uint64_t)pool->count) + 1;
	map.chunk_most = chunk ? chunk : fair < CHUNK_ITEMS ? fair : CHUNK_ITEMS;
	pj_error first_error = {.status = PJ_OK};
	map.error = &first_error;
	pj_status status = results_create(count, &map.results, map.error);
	map.tries = calloc(count ? count : 1, 1);
	if (!status && !map.tries)
		status = pj__no_memory(map.error, count);
	if (!status)
		status = revive(pool, map.error);
	if (!status)
		status = run(&map);
	if (!status)
		status = first_error.status; /* of the failed item */
	settle(pool);
	free(map.tries);
	free(map.again);
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
