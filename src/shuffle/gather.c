/*
 * gather.c: the writer that keeps every pair (writer.h).
 *
 * Pairs are appended to one buffer as records, in the order of emission. A flush finds the buckets of all records, many
 * side by side, and copies each record to its bucket's place in a second buffer, which is the blob's data. Within a
 * bucket the records stay in order: they are sorted where they are reduced, a bucket at a time, in cache.
 */
#include <stdlib.h>

#include "base/space.h"
#include "run/record.h"
#include "shuffle/writer.h"

/* Records whose buckets are looked for side by side; bytes between segments, for copies that overshoot. */
enum { PLACED_AT_ONCE = 64, GAP = 32, STEP = 32, STEPPED_MOST = 512, PREFETCH_BYTES = 64 };

struct gatherer {
	pj__writer writer; /* first: a pj__writer * is a struct gatherer * */
	const pj_aggregate *aggregate;
	bool numbers; /* values are stored as the 64 bits they are */
	size_t hold_bytes;
	pj__space records, placed, blob;
	size_t room;        /* of the records: hold_bytes, or one longer record */
	size_t used, count; /* bytes and number of the records */
	pj__segment *segments;
	uint64_t *positions;
	uint32_t bucket_room;
};

static void fail(struct gatherer *gatherer, pj_status status, const pj_error *error)
{
	if (status)
		pj__task_failed(gatherer->writer.task, status, error);
}

static void flush(pj__writer *writer);

/* Room for one more record; NULL: the task has failed. */
static char *make_room(struct gatherer *gatherer, size_t bytes)
{
	pj_error error;
	flush(&gatherer->writer);
	gatherer->room = gatherer->hold_bytes > bytes ? gatherer->hold_bytes : bytes;
	/* what is copied in steps is read beyond the last record's end */
	fail(gatherer, pj__space_need(&gatherer->records, gatherer->room + STEP, &error), &error);
	return gatherer->writer.task->status ? NULL : gatherer->records.at + gatherer->used;
}

static void take(struct gatherer *gatherer, pj_bytes key, pj_bytes value)
{
	pj__task *task = gatherer->writer.task;
	++*task->progress;
	if (task->status)
		return;
	const size_t bytes = pj__record_bytes(key.len, value.len);
	char *to = gatherer->records.at + gatherer->used;
	if (PJ_UNLIKELY(bytes > gatherer->room - gatherer->used)) {
		to = make_room(gatherer, bytes);
		if (!to)
			return;
	}
	pj__put_record(to, key, value);
	gatherer->used += bytes;
	gatherer->count++;
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

static pj_status make_lists(struct gatherer *gatherer, pj_error *error)
{
	const uint32_t buckets = gatherer->writer.partition->buckets;
	if (gatherer->bucket_room < buckets) {
		free(gatherer->segments);
		free(gatherer->positions);
		gatherer->segments = calloc(buckets, sizeof *gatherer->segments);
		gatherer->positions = calloc(buckets, sizeof *gatherer->positions);
		gatherer->bucket_room = gatherer->segments && gatherer->positions ? buckets : 0;
		if (!gatherer->bucket_room)
			return pj__no_memory(error, buckets * sizeof *gatherer->segments);
	}
	memset(gatherer->segments, 0, buckets * sizeof *gatherer->segments);
	return pj__space_need(&gatherer->placed, gatherer->count * sizeof(uint32_t), error);
}

/* Finds the bucket of each record, and how long each segment is. */
static void place_records(struct gatherer *gatherer)
{
	const pj__partition *partition = gatherer->writer.partition;
	uint32_t *buckets = (uint32_t *)(void *)gatherer->placed.at;
	const char *at = gatherer->records.at, *const end = at + gatherer->used;
	pj_bytes keys[PLACED_AT_ONCE] = {{NULL, 0}}, value;
	pj__lead leads[PLACED_AT_ONCE];
	uint32_t ranges[PLACED_AT_ONCE];
	uint64_t lengths[PLACED_AT_ONCE];
	for (size_t done = 0, some; done < gatherer->count; done += some) {
		some = gatherer->count - done < PLACED_AT_ONCE ? gatherer->count - done : PLACED_AT_ONCE;
		for (size_t i = 0; i < some; i++) {
			const char *next = pj__get_record(at, end, &keys[i], &value, NULL);
			leads[i] = pj__lead_of(keys[i]);
			lengths[i] = (uint64_t)(next - at);
			at = next;
		}
		pj__partition_ranges(partition, leads, some, ranges);
		for (size_t i = 0; i < some; i++) {
			const uint32_t bucket = pj__partition_part(partition, keys[i]) * partition->ranges +
						pj__partition_refine(partition, keys[i], ranges[i]);
			*buckets++ = bucket;
			pj__segment *segment = &gatherer->segments[bucket];
			segment->pairs++;
			segment->bytes += lengths[i];
			segment->longest = segment->longest > lengths[i] ? segment->longest : lengths[i];
		}
	}
}

/* Gives each segment its place, with a gap behind it. Returns the bytes of all. */
static size_t lay_out(struct gatherer *gatherer)
{
	size_t bytes = 0;
	for (uint32_t b = 0; b < gatherer->writer.partition->buckets; b++) {
		gatherer->segments[b].offset = gatherer->positions[b] = bytes;
		bytes += gatherer->segments[b].bytes + GAP;
	}
	return bytes;
}

/* Copies each record to its bucket's place. */
static void fill_blob(struct gatherer *gatherer)
{
	const uint32_t *buckets = (const uint32_t *)(void *)gatherer->placed.at;
	const char *at = gatherer->records.at, *const end = at + gatherer->used;
	char *const blob = gatherer->blob.at;
	pj_bytes key, value;
	while (at < end) {
		uint64_t *position = &gatherer->positions[*buckets++];
		const char *next = pj__get_record(at, end, &key, &value, NULL);
		const size_t bytes = (size_t)(next - at);
		char *to = blob + *position;
		/* What overshoots is overwritten by the next record, or falls into the gap. */
		if (PJ_LIKELY(bytes <= STEPPED_MOST))
			for (size_t done = 0; done < bytes; done += STEP)
				memcpy(to + done, at + done, STEP);
		else
			memcpy(to, at, bytes);
		*position += bytes;
		__builtin_prefetch(to + bytes + PREFETCH_BYTES, 1); /* too many streams for the processor to foresee */
		at = next;
	}
	for (uint32_t b = 0; b < gatherer->writer.partition->buckets; b++)
		memset(blob + gatherer->positions[b], 0, GAP); /* what overshot, and what the memory held before */
}

static void forget(struct gatherer *gatherer)
{
	gatherer->used = gatherer->count = 0;
	gatherer->room = gatherer->records.at ? gatherer->hold_bytes : 0;
}

static void flush(pj__writer *writer)
{
	struct gatherer *gatherer = (struct gatherer *)writer;
	pj_error error;
	if (writer->task->status || !gatherer->count)
		return;
	pj_status status = make_lists(gatherer, &error);
	if (!status) {
		place_records(gatherer);
		const size_t bytes = lay_out(gatherer);
		status = pj__space_need(&gatherer->blob, bytes, &error);
		if (!status) {
			fill_blob(gatherer);
			status = pj__writer_put_blob(writer, gatherer->blob.at, bytes, gatherer->segments, &error);
		}
	}
	fail(gatherer, status, &error);
	forget(gatherer);
}

static void reset(pj__writer *writer)
{
	forget((struct gatherer *)writer);
	writer->pairs = writer->run_pairs = writer->run_bytes = 0;
}

static void destroy(pj__writer *writer)
{
	struct gatherer *gatherer = (struct gatherer *)writer;
	pj__space_fini(&gatherer->records);
	pj__space_fini(&gatherer->placed);
	pj__space_fini(&gatherer->blob);
	free(gatherer->segments);
	free(gatherer->positions);
	free(gatherer);
}

pj_status pj__gatherer_create(pj__task *task, const pj_aggregate *aggregate, pj__store *store, size_t hold_bytes,
			      pj__writer **ret_writer, pj_error *error)
{
	struct gatherer *gatherer = calloc(1, sizeof *gatherer);
	if (!gatherer)
		return pj__no_memory(error, sizeof *gatherer);
	gatherer->aggregate = aggregate;
	gatherer->numbers = aggregate && aggregate->takes != PJ_TAKES_BYTES;
	gatherer->hold_bytes = hold_bytes;
	gatherer->writer =
		(pj__writer){.task = task, .store = store, .flush = flush, .reset = reset, .destroy = destroy};
	task->face.number = gatherer->numbers && aggregate->takes == PJ_TAKES_F64 ? PJ_NUMBER_F64 : PJ_NUMBER_I64;
	task->face.batch_full = gatherer->numbers ? take_numbers : pj__task_batch_as_text;
	task->face.emit_long = gatherer->numbers ? take_number : pj__task_long_as_text;
	task->emit = take_pair;
	task->taker = gatherer;
	*ret_writer = &gatherer->writer;
	return PJ_OK;
}
