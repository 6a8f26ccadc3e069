/*
 * shared.c: see shared.h.
 *
 * The map publishes runs as for any sorter. Then the workers, which are forked anew so that they have the shared
 * memory, take published runs and merge them into one dict:
 *
 *     exact aggregates      key -> state; get, merge, set, under the lock, so that no update is lost
 *     everything else       key -> list of values, each behind (order of its run, number in the run), by which the plan
 *                           order is restored before the reduce
 *
 * Then nobody writes any more, and each worker walks the dict for the keys of its buckets, sorts and reduces them. A
 * worker that dies while it merges has merged half a run: the leader throws the dict away and begins the merge again.
 */
#include "engine/shared.h"

#include <papjuice/lock.h>
#include <papjuice/manager.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/grow.h"
#include "run/sort.h"

struct pj__shared_dict {
	pj_manager *manager;
	pj_dict dict;
	pj_lock *lock;
};

/* Before each value in a list. */
struct order {
	uint64_t run, number;
};

pj_status pj__shared_create(size_t bytes, struct pj__shared_dict **ret_shared, pj_error *error)
{
	struct pj__shared_dict *shared = calloc(1, sizeof *shared);
	if (!shared)
		return pj__no_memory(error, sizeof *shared);
	pj_status status = pj_manager_create(bytes, &shared->manager, error);
	if (!status)
		status = pj_manager_dict(shared->manager, &shared->dict, error);
	if (!status)
		status = pj_lock_create(&shared->lock, error);
	if (status)
		pj__shared_destroy(shared);
	else
		*ret_shared = shared;
	return status;
}

void pj__shared_destroy(struct pj__shared_dict *shared)
{
	if (!shared)
		return;
	pj_lock_destroy(shared->lock);
	pj_manager_destroy(shared->manager);
	free(shared);
}

/* ------------------------------------------------------------------------------------------------------- the merge */

static pj_status merge_state(struct worker *worker, pj_bytes key, pj_bytes stored, pj_buffer *room, pj_error *error)
{
	const pj_reducer *reducer = &worker->setup.job.reducer;
	const struct pj__shared_dict *shared = worker->local->shared;
	_Alignas(16) char state[PJ_STATE_BYTES_MAX];
	bool died;
	pj_status status = pj_lock_acquire(shared->lock, &died, error);
	if (status)
		return status;
	status = pj_dict_get(shared->dict, key, room, error);
	if (status == PJ_ERR_NOT_FOUND) {
		pj__state_init(reducer->aggregate, reducer->arg, state);
		status = PJ_OK;
	} else if (!status) {
		memcpy(state, room->ptr, room->len);
	}
	if (!status && !pj__state_merge_stored(reducer->aggregate, reducer->arg, state, stored))
		status = pj__fail(error, PJ_ERR_CORRUPT, 0, NULL, "a stored state has the wrong size");
	if (!status)
		status = pj_dict_set(shared->dict, key, (pj_bytes){state, reducer->aggregate->state_bytes}, error);
	PJ_FAULT("merge");
	const pj_status released = pj_lock_release(shared->lock, status ? NULL : error);
	return status ? status : released;
}

static pj_status merge_value(struct worker *worker, pj_bytes key, pj_bytes value, struct order order, pj_buffer *room,
			     pj_error *error)
{
	pj_list list;
	const size_t bytes = sizeof order + value.len;
	if (room->room < bytes) {
		char *grown = realloc(room->ptr, bytes * 2);
		if (!grown)
			return pj__no_memory(error, bytes * 2);
		room->ptr = grown;
		room->room = bytes * 2;
	}
	memcpy(room->ptr, &order, sizeof order);
	if (value.len)
		memcpy(room->ptr + sizeof order, value.ptr, value.len);
	/* Two calls, each atomic: the list is there, or it is made, and then it grows. No lock is needed. */
	pj_status status = pj_dict_list(worker->local->shared->dict, key, &list, error);
	if (!status)
		status = pj_list_append(list, (pj_bytes){room->ptr, bytes}, error);
	return status;
}

static pj_status merge_segment(struct worker *worker, size_t index, const pj__segment *segment, uint64_t *number,
			       pj_buffer *room, pj_error *error)
{
	const pj__run *run = &worker->runs[index];
	char *data = malloc(segment->bytes + 1);
	if (!data)
		return pj__no_memory(error, segment->bytes);
	pj_status status = pj__run_read(run, segment, data, error);
	const char *at = data, *end = data + segment->bytes;
	while (!status && at < end) {
		pj_bytes key, value;
		at = pj__get_record(at, end, &key, &value, NULL);
		if (!at) {
			status = pj__run_corrupt(run, segment->offset, "a record is cut off", error);
			break;
		}
		++*worker->reduce_task.progress;
		status = pj__setup_combines(&worker->setup)
				 ? merge_state(worker, key, value, room, error)
				 : merge_value(worker, key, value, (struct order){index, (*number)++}, room, error);
	}
	free(data);
	return status;
}

pj_status pj__shared_merge(struct worker *worker, uint32_t first, uint32_t count, pj_error *error)
{
	const uint32_t buckets = worker->partition.buckets;
	pj__segment *segments = calloc(buckets, sizeof *segments);
	pj_buffer room = {0};
	pj_status status = segments ? PJ_OK : pj__no_memory(error, buckets * sizeof *segments);
	worker->reduce_task.progress = &pj__page_of(worker->local, worker->slot)->here.progress;
	for (uint32_t i = first; i < first + count && !status; i++) {
		uint64_t number = 0;
		status = pj__run_segments(&worker->runs[i], 0, buckets, segments, error);
		for (uint32_t b = 0; b < buckets && !status; b++)
			if (segments[b].bytes)
				status = merge_segment(worker, i, &segments[b], &number, &room, error);
	}
	pj_buffer_free(&room);
	free(segments);
	return status;
}

/* ------------------------------------------------------------------------------------------------------ the reduce */

/* A list's values, put back in plan order. */
struct ordered {
	pj_values values; /* first */
	pj_bytes key;
	pj_bytes *elements;
	size_t count, capacity, next;
};

static int next_ordered(pj_values *values, pj_bytes *ret_value)
{
	struct ordered *ordered = (struct ordered *)values;
	if (ordered->next == ordered->count)
		return 0;
	const pj_bytes element = ordered->elements[ordered->next++];
	*ret_value = (pj_bytes){element.ptr + sizeof(struct order), element.len - sizeof(struct order)};
	return 1;
}

static pj_bytes key_of(const pj_values *values)
{
	return ((const struct ordered *)values)->key;
}

static int by_order(const void *a, const void *b)
{
	struct order x, y;
	memcpy(&x, ((const pj_bytes *)a)->ptr, sizeof x);
	memcpy(&y, ((const pj_bytes *)b)->ptr, sizeof y);
	if (x.run != y.run)
		return x.run < y.run ? -1 : 1;
	return (x.number > y.number) - (x.number < y.number);
}

static pj_status take_elements(struct ordered *ordered, pj_list list, pj_error *error)
{
	uint64_t cursor = 0;
	pj_bytes element;
	ordered->count = ordered->next = 0;
	while (pj_list_walk(list, &cursor, &element)) {
		const pj_status status = pj__grow(&ordered->elements, &ordered->capacity, ordered->count + 1,
						  sizeof *ordered->elements, error);
		if (status)
			return status;
		ordered->elements[ordered->count++] = element;
	}
	qsort(ordered->elements, ordered->count, sizeof *ordered->elements, by_order);
	return PJ_OK;
}

static pj_status reduce_item(struct worker *worker, const pj_item *item, struct ordered *ordered, pj_error *error)
{
	if (pj__setup_combines(&worker->setup)) {
		_Alignas(16) char state[PJ_STATE_BYTES_MAX];
		memcpy(state, item->value.ptr, item->value.len);
		return pj__reduce_state(&worker->reduce, item->key, state, error);
	}
	ordered->key = item->key;
	const pj_status status = take_elements(ordered, item->list, error);
	return status ? status : pj__reduce_group(&worker->reduce, item->key, &ordered->values, error);
}

/* The dict's entries that lie in the buckets, in the order of bucket and key. */
struct chosen {
	uint32_t bucket;
	pj_item item;
};

static int by_bucket_and_key(const void *a, const void *b)
{
	const struct chosen *x = a, *y = b;
	if (x->bucket != y->bucket)
		return x->bucket < y->bucket ? -1 : 1;
	return pj_bytes_compare(x->item.key, y->item.key);
}

static pj_status choose(struct worker *worker, uint32_t first, uint32_t count, struct chosen **ret_chosen,
			size_t *ret_count, pj_error *error)
{
	struct chosen *chosen = NULL;
	size_t found = 0, capacity = 0;
	uint64_t cursor = 0;
	pj_item item;
	while (pj_dict_walk(worker->local->shared->dict, &cursor, &item)) {
		const uint32_t bucket = pj__partition_bucket(&worker->partition, item.key);
		if (bucket - first >= count)
			continue;
		const pj_status status = pj__grow(&chosen, &capacity, found + 1, sizeof *chosen, error);
		if (status) {
			free(chosen);
			return status;
		}
		chosen[found++] = (struct chosen){bucket, item};
	}
	if (worker->task.status) {
		free(chosen);
		if (error)
			*error = worker->task.error;
		return worker->task.status;
	}
	if (found)
		qsort(chosen, found, sizeof *chosen, by_bucket_and_key);
	*ret_chosen = chosen;
	*ret_count = found;
	return PJ_OK;
}

pj_status pj__shared_reduce(struct worker *worker, uint32_t first, uint32_t count, pj_error *error)
{
	struct ordered ordered = {.values = {next_ordered, &worker->reduce_task, key_of}};
	struct chosen *chosen = NULL;
	size_t found = 0;
	pj_status status = choose(worker, first, count, &chosen, &found, error);
	for (size_t i = 0; i < found && !status; i++)
		status = reduce_item(worker, &chosen[i].item, &ordered, error);
	free(ordered.elements);
	free(chosen);
	return status;
}
