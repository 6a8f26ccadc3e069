/*
 * gather.c: the writer that keeps every pair (writer.h).
 *
 * Pairs are appended to one buffer as records, in the order of emission, with an item for each: bucket, the first eight
 * bytes of the key, and where the record begins. A flush scatters the items by bucket, sorts each bucket by key
 * (stable, so that the values of a key stay in order), and writes the records in that order as a blob.
 */
#include <stdlib.h>

#include "base/text.h"
#include "run/sort.h"
#include "shuffle/writer.h"

struct gatherer {
	pj__writer writer; /* first: a pj__writer * is a struct gatherer * */
	const pj_aggregate *aggregate;
	bool numbers; /* values are stored as the 64 bits they are */
	size_t hold_bytes;
	pj_text records;
	pj__item *items, *sorted; /* in order of emission; by bucket (and, behind that, room for sorting) */
	uint32_t *buckets;        /* of each item */
	size_t count, capacity, sorted_capacity;
	pj__segment *segments;
	size_t *starts;
	uint32_t bucket_room;
	pj_text blob;
};

static void no_memory(struct gatherer *gatherer, size_t bytes)
{
	pj_error error;
	pj__task_failed(gatherer->writer.task, pj__no_memory(&error, bytes), &error);
}

static bool grow_items(struct gatherer *gatherer)
{
	const size_t capacity = gatherer->capacity ? gatherer->capacity * 2 : 4096;
	pj__item *items = reallocarray(gatherer->items, capacity, sizeof *items);
	if (items)
		gatherer->items = items;
	uint32_t *buckets = reallocarray(gatherer->buckets, capacity, sizeof *buckets);
	if (buckets)
		gatherer->buckets = buckets;
	if (!items || !buckets) {
		no_memory(gatherer, capacity * sizeof *items);
		return false;
	}
	gatherer->capacity = capacity;
	return true;
}

static void flush(pj__writer *writer);

static void take(struct gatherer *gatherer, pj_bytes key, pj_bytes value)
{
	pj__task *task = gatherer->writer.task;
	++*task->progress;
	if (task->status)
		return;
	const size_t held = gatherer->records.len + gatherer->count * sizeof *gatherer->items;
	if (held >= gatherer->hold_bytes && gatherer->count)
		flush(&gatherer->writer);
	if (gatherer->count == gatherer->capacity && !grow_items(gatherer))
		return;
	size_t bytes = pj__record_bytes(key.len, value.len);
	char *to = pj__text_room(&gatherer->records, bytes);
	if (!to) {
		no_memory(gatherer, bytes);
		return;
	}
	pj__put_record(to, key, value);
	gatherer->items[gatherer->count] = (pj__item){pj__prefix(key, 0), gatherer->records.len};
	gatherer->buckets[gatherer->count++] = pj__partition_bucket(gatherer->writer.partition, key);
	gatherer->records.len += bytes;
	gatherer->writer.pairs++;
}

static void take_pair(pj__task *task, pj_bytes key, pj_bytes value)
{
	struct gatherer *gatherer = task->taker;
	uint64_t number;
	if (!gatherer->numbers)
		take(gatherer, key, value);
	else if (pj__read_number(task, gatherer->aggregate->takes, value, &number))
		take(gatherer, key, (pj_bytes){(const char *)&number, sizeof number});
}

static void take_number(pj_task *face, pj_bytes key, uint64_t value)
{
	pj__task *task = (pj__task *)face;
	pj__task_flush(task);
	take(task->taker, key, (pj_bytes){(const char *)&value, sizeof value});
}

static void take_numbers(pj_task *face)
{
	pj__task *task = (pj__task *)face;
	const size_t count = pj__task_batch(task);
	pj__task_empty_batch(task);
	for (size_t i = 0; i < count; i++)
		take(task->taker, pj__slot_key(&task->slots[i]),
		     (pj_bytes){(const char *)&task->slots[i].value, sizeof task->slots[i].value});
}

/* ------------------------------------------------------------------------------------------------ writing a blob */

static bool make_room(struct gatherer *gatherer)
{
	const uint32_t buckets = gatherer->writer.partition->buckets;
	if (gatherer->bucket_room < buckets) {
		free(gatherer->segments);
		free(gatherer->starts);
		gatherer->segments = calloc(buckets, sizeof *gatherer->segments);
		gatherer->starts = calloc((size_t)buckets + 1, sizeof *gatherer->starts);
		gatherer->bucket_room = gatherer->segments && gatherer->starts ? buckets : 0;
	}
	if (gatherer->sorted_capacity < gatherer->count) {
		free(gatherer->sorted);
		gatherer->sorted = reallocarray(NULL, gatherer->count, 2 * sizeof *gatherer->sorted);
		gatherer->sorted_capacity = gatherer->sorted ? gatherer->count : 0;
	}
	if (!gatherer->bucket_room || !gatherer->sorted_capacity) {
		no_memory(gatherer, 2 * gatherer->count * sizeof *gatherer->sorted);
		return false;
	}
	memset(gatherer->segments, 0, buckets * sizeof *gatherer->segments);
	return true;
}

/* Scatters the items by bucket, in order; starts[b] becomes the start of bucket b's. */
static void scatter(struct gatherer *gatherer)
{
	const uint32_t buckets = gatherer->writer.partition->buckets;
	size_t *starts = gatherer->starts;
	memset(starts, 0, ((size_t)buckets + 1) * sizeof *starts);
	for (size_t i = 0; i < gatherer->count; i++)
		starts[gatherer->buckets[i] + 1]++;
	for (uint32_t b = 0; b < buckets; b++)
		starts[b + 1] += starts[b];
	for (size_t i = 0; i < gatherer->count; i++)
		gatherer->sorted[starts[gatherer->buckets[i]]++] = gatherer->items[i];
	/* each start has moved to the next one's place */
	memmove(starts + 1, starts, buckets * sizeof *starts);
	starts[0] = 0;
}

/* The whole record at an offset of the buffer. */
static pj_bytes record_at(const pj_text *records, uint64_t at, pj_bytes *ret_key)
{
	pj_bytes value = {NULL, 0};
	const char *start = records->data + at;
	const char *end = pj__get_record(start, records->data + records->len, ret_key, &value, NULL);
	return (pj_bytes){start, (size_t)(end - start)};
}

static pj_bytes key_of_record(const void *records, uint64_t at)
{
	pj_bytes key;
	record_at(records, at, &key);
	return key;
}

static void flush(pj__writer *writer)
{
	struct gatherer *gatherer = (struct gatherer *)writer;
	if (writer->task->status || !gatherer->count || !make_room(gatherer))
		return;
	scatter(gatherer);
	pj__text_reset(&gatherer->blob);
	const pj_text *records = &gatherer->records;
	for (uint32_t b = 0; b < writer->partition->buckets; b++) {
		const size_t start = gatherer->starts[b], stop = gatherer->starts[b + 1], before = gatherer->blob.len;
		pj__sort(gatherer->sorted + start, stop - start, gatherer->sorted + gatherer->sorted_capacity,
			 key_of_record, records);
		for (size_t i = start; i < stop; i++) {
			pj_bytes key;
			pj_text_bytes(&gatherer->blob, record_at(records, gatherer->sorted[i].at, &key));
		}
		gatherer->segments[b].offset = before;
		gatherer->segments[b].pairs = stop - start;
		gatherer->segments[b].bytes = gatherer->blob.len - before;
	}
	pj_error error;
	if (gatherer->blob.failed) {
		no_memory(gatherer, gatherer->records.len);
	} else {
		const pj_status status = pj__writer_put_blob(writer, gatherer->blob.data, gatherer->blob.len,
							     gatherer->segments, &error);
		if (status)
			pj__task_failed(writer->task, status, &error);
	}
	gatherer->count = 0;
	pj__text_reset(&gatherer->records);
}

static void reset(pj__writer *writer)
{
	struct gatherer *gatherer = (struct gatherer *)writer;
	gatherer->count = 0;
	pj__text_reset(&gatherer->records);
	writer->pairs = writer->runs = writer->run_pairs = writer->run_bytes = 0;
}

static void destroy(pj__writer *writer)
{
	struct gatherer *gatherer = (struct gatherer *)writer;
	pj__text_fini(&gatherer->records);
	pj__text_fini(&gatherer->blob);
	free(gatherer->items);
	free(gatherer->sorted);
	free(gatherer->buckets);
	free(gatherer->segments);
	free(gatherer->starts);
	free(gatherer);
}

pj_status pj__gatherer_create(pj__task *task, const pj_aggregate *aggregate, int fd, size_t hold_bytes,
			      pj__writer **ret_writer, pj_error *error)
{
	struct gatherer *gatherer = calloc(1, sizeof *gatherer);
	if (!gatherer)
		return pj__no_memory(error, sizeof *gatherer);
	gatherer->aggregate = aggregate;
	gatherer->numbers = aggregate && aggregate->takes != PJ_TAKES_BYTES;
	gatherer->hold_bytes = hold_bytes;
	gatherer->writer = (pj__writer){.task = task, .fd = fd, .flush = flush, .reset = reset, .destroy = destroy};
	task->face.number = gatherer->numbers && aggregate->takes == PJ_TAKES_F64 ? PJ_NUMBER_F64 : PJ_NUMBER_I64;
	task->face.batch_full = gatherer->numbers ? take_numbers : pj__task_batch_as_text;
	task->face.emit_long = gatherer->numbers ? take_number : pj__task_long_as_text;
	task->emit = take_pair;
	task->taker = gatherer;
	*ret_writer = &gatherer->writer;
	return PJ_OK;
}
