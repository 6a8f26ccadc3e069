/*
 * pool_worker.c: the worker's side of a pool, see pool.h. All that it allocates is kept from chunk to chunk.
 */
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/io.h"
#include "base/machine.h"
#include "mp/pool.h"

struct pj_reply {
	pj__parcel parcel;
	char reason[200];
};

struct worker {
	int channel;
	const struct pj__pool_slot *slot;
	pj_reply result;
	char *bytes; /* the unpacked items */
	size_t bytes_room;
	pj_bytes *items;
	size_t items_room;
	_Alignas(16) char message[PJ__MESSAGE_MAX];
	_Alignas(16) char reply[PJ__MESSAGE_MAX];
};

pj_status pj_reply_append(pj_reply *result, pj_bytes bytes)
{
	pj__parcel_put(&result->parcel, bytes);
	return result->parcel.failed ? PJ_ERR_MEMORY : PJ_OK;
}

pj_status pj_reply_fail(pj_reply *result, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(result->reason, sizeof result->reason, format, args);
	va_end(args);
	return PJ_ERR_USER;
}

/* Makes *memory hold at least `count` things of `size` bytes; what it held is lost. */
static int make_room(void **memory, size_t *room, size_t count, size_t size)
{
	if (count <= *room)
		return 0;
	free(*memory);
	*room = 0;
	*memory = reallocarray(NULL, count, size);
	if (!*memory)
		return ENOMEM;
	*room = count;
	return 0;
}

static int unpack(struct worker *worker, const pj__pool_task *task, size_t inside_size)
{
	if (!pj__label_valid(&task->items, inside_size))
		return EBADMSG;
	void *bytes = worker->bytes, *items = worker->items;
	int failed = make_room(&bytes, &worker->bytes_room, pj__label_size(&task->items), 1);
	if (!failed)
		failed = make_room(&items, &worker->items_room, (size_t)task->items.count, sizeof(pj_bytes));
	worker->bytes = bytes;
	worker->items = items;
	return failed ? failed : pj__parcel_open(&task->items, task + 1, worker->slot->files.items, bytes, items);
}

/* Calls the function for one item. Returns an errno of ours; what the function says goes to the reply. */
static int work_on(struct worker *worker, const pj__pool_task *task, size_t i, pj__pool_reply *reply)
{
	if (task->timed)
		atomic_store_explicit(&worker->slot->progress->began_ns, pj__now_ns(), memory_order_relaxed);
	atomic_store_explicit(&worker->slot->progress->index, task->first + i, memory_order_release);
	atomic_signal_fence(memory_order_seq_cst); /* stored before the function can kill this process */
	worker->result.reason[0] = 0;
	const pj_status status = task->function(worker->items[i], &worker->result, task->arg);
	pj__parcel_end_string(&worker->result.parcel);
	const int failed = worker->result.parcel.failed;
	if (status && !failed) {
		reply->status = PJ_ERR_USER;
		reply->failed = task->first + i;
		if (worker->result.reason[0])
			memcpy(reply->reason, worker->result.reason, sizeof reply->reason);
		else
			snprintf(reply->reason, sizeof reply->reason, "the function returned %s (%s)",
				 pj_status_name(status), pj_status_text(status));
	}
	return failed;
}

/* Does a chunk and fills worker->reply; returns the size of the reply. */
static size_t do_chunk(struct worker *worker, const pj__pool_task *task, size_t inside_size)
{
	pj__pool_reply *reply = (pj__pool_reply *)(void *)worker->reply;
	char *inside = worker->reply + sizeof *reply;
	*reply = (pj__pool_reply){.first = task->first, .failed = task->first};
	pj__parcel_begin(&worker->result.parcel, worker->slot->files.results);
	int failed = unpack(worker, task, inside_size);
	size_t i = 0;
	for (; i < task->items.count && !failed && !reply->status; i++)
		failed = work_on(worker, task, i, reply);
	fflush(stdout);
	if (!failed && !reply->status)
		failed = pj__parcel_finish(&worker->result.parcel, inside, PJ__MESSAGE_MAX - sizeof *reply,
					   &reply->results);
	if (failed) {
		*reply = (pj__pool_reply){.first = task->first, .status = PJ_ERR_MEMORY, .errnum = failed};
		reply->failed = i ? task->first + i - 1 : task->first;
	}
	if (reply->status)
		reply->results = (pj__label){0};
	return sizeof *reply + (reply->results.in_file ? 0 : pj__label_size(&reply->results));
}

int pj__pool_work(int channel, const struct pj__pool_slot *slot)
{
	struct worker *worker = calloc(1, sizeof *worker);
	if (!worker || pj__parcel_init(&worker->result.parcel, NULL))
		return 1;
	worker->channel = channel;
	worker->slot = slot;
	for (;;) {
		size_t size;
		if (pj__channel_receive(channel, worker->message, -1, &size))
			return 0; /* the leader is gone */
		const pj__pool_task *task = (const pj__pool_task *)(const void *)worker->message;
		if (size < sizeof *task)
			return 1;
		if (!task->function)
			return 0;
		const size_t inside_size = task->items.in_file ? 0 : size - sizeof *task;
		if (pj__channel_send(channel, worker->reply, do_chunk(worker, task, inside_size)))
			return 0;
	}
}
