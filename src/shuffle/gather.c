/*
 * gather.c: the writer that keeps every pair (writer.h).
 *
 * Some pairs are staged as records, so that their buckets are looked for side by side while they are in the processor's
 * first cache. From there each record goes to the end of its bucket's stream: a chain of chunks of one large space. A
 * flush writes the streams, bucket after bucket, as the segments of a blob; a record may lie across two chunks, as they
 * lie behind one another in the file.
 *
 *     stream 0   [chunk 3] -> [chunk 7] -> ...        segment 0
 *     stream 1   [chunk 0] -> [chunk 5] -> ...        segment 1
 *
 * Within a bucket the records stay in the order of emission: they are sorted where they are reduced, in cache.
 */
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/io.h"
#include "base/space.h"
#include "reduce/aggregate.h"
#include "shuffle/reference.h"
#include "shuffle/writer.h"

enum {
	CHUNK_LEAST = 256,
	CHUNK_MOST = 16 << 10,
	STAGED_MOST = 64,      /* records */
	STAGE_BYTES = 8 << 10, /* of all of them; a longer record is not staged */
	STEP = 32              /* bytes that are copied at a time */
};

#define NONE UINT32_MAX /* no chunk */

struct stream {
	char *to, *end;       /* in the last chunk */
	uint32_t first, last; /* chunks; NONE: it is empty */
	uint64_t bytes, pairs, longest;
};

struct gatherer {
	pj__writer writer; /* first: a pj__writer * is a struct gatherer * */
	const pj_aggregate *aggregate;
	bool numbers; /* values are stored as the 64 bits they are */
	bool refers;  /* values are dropped, and keys that stand in the text are stored as references */
	size_t hold_bytes;
	pj__window *window; /* of a user's combiner, through which pairs come then; or NULL */
	pj__space chunks;
	size_t chunk_bytes;
	uint32_t chunk_count, used;
	uint32_t *next; /* of each chunk; NONE: it is the last of its stream */
	struct stream *streams;
	pj__segment *segments;
	uint32_t buckets; /* for which there are streams and segments; 0: none yet */
	uint64_t held;    /* pairs in all streams */
	size_t staged, staged_bytes;
	pj__lead leads[STAGED_MOST];
	uint32_t starts[STAGED_MOST + 1]; /* of the staged records; one ends where the next begins */
	pj_bytes keys[STAGED_MOST];       /* in the stage; of references: in the text */
	char stage[STAGE_BYTES + STEP];
	struct iovec *pieces;
	pj__space blob; /* what goes to disk is packed from there */
};

static void fail(struct gatherer *gatherer, pj_status status, const pj_error *error)
{
	if (status)
		pj__task_failed(gatherer->writer.task, status, error);
}

static void empty_streams(struct gatherer *gatherer)
{
	gatherer->used = 0;
	gatherer->held = 0;
	for (uint32_t b = 0; b < gatherer->buckets; b++)
		gatherer->streams[b] = (struct stream){.first = NONE, .last = NONE};
}

/* Makes `bytes` of chunks, as large as so many streams allow. */
static pj_status make_chunks(struct gatherer *gatherer, size_t bytes, pj_error *error)
{
	size_t chunk = CHUNK_MOST;
	while (chunk > CHUNK_LEAST && bytes / chunk < 8 * (size_t)gatherer->buckets)
		chunk /= 2;
	/* One more for each stream, and room for the longest record that is staged, however little is to be held. */
	const size_t count = bytes / chunk + gatherer->buckets + STAGE_BYTES / 4 / chunk + 2;
	if (count >= NONE)
		return pj__no_memory(error, bytes);
	free(gatherer->next);
	free(gatherer->pieces);
	gatherer->chunk_bytes = chunk;
	gatherer->chunk_count = (uint32_t)count;
	gatherer->next = malloc(count * sizeof *gatherer->next);
	gatherer->pieces = malloc(count * sizeof *gatherer->pieces);
	if (!gatherer->next || !gatherer->pieces)
		return pj__no_memory(error, count * sizeof *gatherer->pieces);
	return pj__space_need(&gatherer->chunks, count * chunk, error);
}

/* The partition is known when the first pair comes. */
static pj_status make_streams(struct gatherer *gatherer, pj_error *error)
{
	const uint32_t buckets = gatherer->writer.partition->buckets;
	gatherer->streams = calloc(buckets, sizeof *gatherer->streams);
	gatherer->segments = calloc(buckets, sizeof *gatherer->segments);
	if (!gatherer->streams || !gatherer->segments)
		return pj__no_memory(error, buckets * sizeof *gatherer->streams);
	gatherer->buckets = buckets;
	empty_streams(gatherer);
	return make_chunks(gatherer, gatherer->hold_bytes, error);
}

static void write_streams(struct gatherer *gatherer);

/* Are there chunks for one more record? One more than it fills, as it begins within one. */
static inline bool is_room(const struct gatherer *gatherer, size_t bytes)
{
	return bytes / gatherer->chunk_bytes + 2 <= gatherer->chunk_count - gatherer->used;
}

/* Makes room for one more record, which is not longer than all that may be held. False: the task has failed. */
static bool make_room(struct gatherer *gatherer, size_t bytes)
{
	pj_error error;
	write_streams(gatherer);
	if (!gatherer->writer.task->status && !is_room(gatherer, bytes))
		fail(gatherer, pj__no_memory(&error, bytes), &error);
	return !gatherer->writer.task->status;
}

static void add_chunk(struct gatherer *gatherer, struct stream *stream)
{
	const uint32_t chunk = gatherer->used++;
	gatherer->next[chunk] = NONE;
	if (stream->last == NONE)
		stream->first = chunk;
	else
		gatherer->next[stream->last] = chunk;
	stream->last = chunk;
	stream->to = gatherer->chunks.at + chunk * gatherer->chunk_bytes;
	stream->end = stream->to + gatherer->chunk_bytes;
}

/* Appends bytes that may go over the end of the chunk. */
static void append(struct gatherer *gatherer, struct stream *stream, pj_bytes bytes)
{
	while (bytes.len) {
		if (stream->to == stream->end)
			add_chunk(gatherer, stream);
		const size_t room = (size_t)(stream->end - stream->to), step = bytes.len < room ? bytes.len : room;
		memcpy(stream->to, bytes.ptr, step);
		stream->to += step;
		bytes = (pj_bytes){bytes.ptr + step, bytes.len - step};
	}
}

/* Counts a record of a stream; NULL: the task has failed. */
static struct stream *stream_for(struct gatherer *gatherer, uint32_t bucket, size_t bytes)
{
	if (PJ_UNLIKELY(!is_room(gatherer, bytes)) && !make_room(gatherer, bytes))
		return NULL;
	struct stream *stream = &gatherer->streams[bucket];
	stream->bytes += bytes;
	stream->pairs++;
	stream->longest = stream->longest > bytes ? stream->longest : bytes;
	gatherer->held++;
	return stream;
}

/* The buckets of what is staged. */
static void find_buckets(const struct gatherer *gatherer, size_t count, uint32_t *buckets)
{
	const pj__partition *partition = gatherer->writer.partition;
	if (pj__partition_asks(partition)) {
		for (size_t i = 0; i < count; i++)
			buckets[i] = pj__partition_bucket(partition, gatherer->keys[i]);
		return;
	}
	pj__partition_ranges(partition, gatherer->leads, count, buckets);
	for (size_t i = 0; i < count; i++) {
		buckets[i] = pj__partition_part(partition, gatherer->keys[i]) * partition->ranges +
			     pj__partition_refine(partition, gatherer->keys[i], buckets[i]);
		/* Where it goes was written to long ago: its cache lines are asked for now. As a number: an empty
		 * stream has no memory, and nothing may be added to a null pointer. */
		const uintptr_t to = (uintptr_t)gatherer->streams[buckets[i]].to;
		__builtin_prefetch((const void *)to, 1);
		__builtin_prefetch((const void *)(to + 64), 1);
	}
}

/* Finds the buckets of what is staged, and moves it there. */
static void unstage(struct gatherer *gatherer)
{
	const size_t count = gatherer->staged;
	uint32_t buckets[STAGED_MOST];
	gatherer->staged = gatherer->staged_bytes = 0;
	find_buckets(gatherer, count, buckets);
	for (size_t i = 0; i < count; i++) {
		const char *from = gatherer->stage + gatherer->starts[i];
		const size_t bytes = gatherer->starts[i + 1] - gatherer->starts[i];
		struct stream *stream = stream_for(gatherer, buckets[i], bytes);
		if (!stream)
			return;
		if (PJ_UNLIKELY(bytes + STEP > (size_t)(stream->end - stream->to))) {
			append(gatherer, stream, (pj_bytes){from, bytes});
			continue;
		}
		/* What overshoots is overwritten by the next record of the stream. */
		for (size_t done = 0; done < bytes; done += STEP)
			memcpy(stream->to + done, from + done, STEP);
		stream->to += bytes;
	}
}

/* A record that is longer than all that may be held goes to disk from where it is, behind what was gathered. */
static void write_long(struct gatherer *gatherer, pj_bytes key, pj_bytes value)
{
	pj_error error;
	write_streams(gatherer);
	if (gatherer->writer.task->status)
		return;
	memset(gatherer->segments, 0, gatherer->buckets * sizeof *gatherer->segments);
	fail(gatherer, pj__writer_put_record(&gatherer->writer, key, value, gatherer->segments, &error), &error);
}

static void append_long(struct gatherer *gatherer, pj_bytes key, pj_bytes value, size_t bytes)
{
	char head[PJ__RECORD_HEAD_MAX];
	const char *end = pj__put_varint(pj__put_varint(head, key.len), value.len);
	struct stream *stream = stream_for(gatherer, pj__partition_bucket(gatherer->writer.partition, key), bytes);
	if (!stream)
		return;
	append(gatherer, stream, (pj_bytes){head, (size_t)(end - head)});
	append(gatherer, stream, key);
	append(gatherer, stream, value);
}

/* A long record goes to its stream at once. */
static void take_long(struct gatherer *gatherer, pj_bytes key, pj_bytes value, size_t bytes)
{
	unstage(gatherer);
	if (!gatherer->writer.task->status && bytes > gatherer->hold_bytes && bytes > PJ__BLOCK_BYTES)
		write_long(gatherer, key, value);
	else if (!gatherer->writer.task->status)
		append_long(gatherer, key, value, bytes);
}

/* Stages a record, whose stored key may be another one than that which leads it to its bucket. Returns its body. */
static const char *stage(struct gatherer *gatherer, pj_bytes lead, pj_bytes key, pj_bytes value, size_t bytes)
{
	if (bytes > STAGE_BYTES - gatherer->staged_bytes || gatherer->staged == STAGED_MOST)
		unstage(gatherer);
	const size_t i = gatherer->staged++;
	const char *end = pj__put_record(gatherer->stage + gatherer->staged_bytes, key, value);
	gatherer->leads[i] = pj__lead_of(lead);
	gatherer->keys[i] = lead;
	gatherer->starts[i] = (uint32_t)gatherer->staged_bytes;
	gatherer->staged_bytes += bytes;
	gatherer->starts[i + 1] = (uint32_t)gatherer->staged_bytes;
	return end - key.len - value.len;
}

/* Stages a reference, if the key stands in the text and is worth it. */
static bool refer(struct gatherer *gatherer, pj_bytes key)
{
	const pj__task *task = gatherer->writer.task;
	const uintptr_t text = (uintptr_t)task->face.text, at = (uintptr_t)key.ptr;
	if (key.len < PJ__REFERENCE_LEAST || key.len > PJ__REFERENCE_MOST || at < text ||
	    at - text > task->face.text_len || key.len > task->face.text_len - (at - text))
		return false;
	const uint64_t word = pj__reference(task->position + (at - text), key.len);
	const pj_bytes none = {NULL, 0}, value = {(const char *)&word, sizeof word};
	(void)stage(gatherer, key, none, value, pj__record_bytes(0, sizeof word));
	return true;
}

/* The keys of references are gone with the text: their buckets must be known before. */
static void text_ends(pj__task *task)
{
	struct gatherer *gatherer = task->taker;
	if (!task->status && gatherer->staged)
		unstage(gatherer);
}

static void take(struct gatherer *gatherer, pj_bytes key, pj_bytes value)
{
	pj__task *task = gatherer->writer.task;
	pj_error error;
	++*task->progress;
	if (PJ_UNLIKELY(!gatherer->buckets) && !task->status)
		fail(gatherer, make_streams(gatherer, &error), &error);
	if (task->status)
		return;
	gatherer->writer.pairs++;
	if (gatherer->refers && refer(gatherer, key))
		return;
	if (gatherer->refers)
		value.len = 0;
	const size_t bytes = pj__record_bytes(key.len, value.len);
	if (PJ_UNLIKELY(bytes > STAGE_BYTES / 4)) {
		take_long(gatherer, key, value, bytes);
		return;
	}
	const char *body = stage(gatherer, key, key, value, bytes);
	gatherer->keys[gatherer->staged - 1].ptr = body;
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

/* A pair on its way to the combiner. */
static void take_to_window(pj__task *task, pj_bytes key, pj_bytes value)
{
	struct gatherer *gatherer = task->taker;
	++*task->progress;
	gatherer->writer.pairs++;
	pj__window_take(gatherer->window, key, value);
}

/* A pair from there, which is not one that was emitted. */
static void take_from_window(void *arg, pj_bytes key, pj_bytes value)
{
	struct gatherer *gatherer = arg;
	const uint64_t pairs = gatherer->writer.pairs;
	take(gatherer, key, value);
	gatherer->writer.pairs = pairs;
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

static const pj__target text_target = {.pair = take_pair};
static const pj__target number_target = {.pair = take_pair, .batch = take_numbers, .number = take_number};
static const pj__target window_target = {.pair = take_to_window};

/* ------------------------------------------------------------------------------------------------ writing a blob */

/* Lists the pieces of all streams, and sets their segments. Returns the number of pieces; *ret_bytes: of all. */
static size_t list_pieces(struct gatherer *gatherer, uint64_t *ret_bytes)
{
	size_t count = 0;
	*ret_bytes = 0;
	for (uint32_t b = 0; b < gatherer->buckets; b++) {
		const struct stream *stream = &gatherer->streams[b];
		gatherer->segments[b] = (pj__segment){.offset = *ret_bytes,
						      .bytes = stream->bytes,
						      .pairs = stream->pairs,
						      .longest = stream->longest};
		for (uint32_t chunk = stream->first; chunk != NONE; chunk = gatherer->next[chunk]) {
			char *at = gatherer->chunks.at + chunk * gatherer->chunk_bytes;
			const size_t used = chunk == stream->last ? (size_t)(stream->to - at) : gatherer->chunk_bytes;
			gatherer->pieces[count++] = (struct iovec){at, used};
		}
		*ret_bytes += stream->bytes;
	}
	return count;
}

/* The pieces behind one another, for what packs them. */
static pj_status write_to_disk(struct gatherer *gatherer, size_t count, uint64_t bytes, pj_error *error)
{
	const pj_status status = pj__space_need(&gatherer->blob, bytes, error);
	if (status)
		return status;
	char *to = gatherer->blob.at;
	for (size_t i = 0; i < count; i++) {
		memcpy(to, gatherer->pieces[i].iov_base, gatherer->pieces[i].iov_len);
		to += gatherer->pieces[i].iov_len;
	}
	return pj__writer_put_blob(&gatherer->writer, gatherer->blob.at, bytes, gatherer->segments, error);
}

static void write_streams(struct gatherer *gatherer)
{
	pj__writer *writer = &gatherer->writer;
	pj_error error;
	uint64_t bytes;
	if (writer->task->status || !gatherer->held)
		return;
	const size_t count = list_pieces(gatherer, &bytes);
	const pj_status status =
		pj__store_is_in_memory(writer->store, bytes, gatherer->buckets)
			? pj__writer_put_pieces(writer, gatherer->pieces, count, gatherer->segments, &error)
			: write_to_disk(gatherer, count, bytes, &error);
	fail(gatherer, status, &error);
	empty_streams(gatherer);
}

static void flush(pj__writer *writer)
{
	struct gatherer *gatherer = (struct gatherer *)writer;
	if (gatherer->window)
		pj__window_end_task(gatherer->window);
	if (writer->task->status || !gatherer->buckets)
		return;
	unstage(gatherer);
	write_streams(gatherer);
}

/* The next pair makes them anew. */
static void drop_streams(struct gatherer *gatherer)
{
	gatherer->staged = gatherer->staged_bytes = 0;
	empty_streams(gatherer);
	free(gatherer->streams);
	free(gatherer->segments);
	gatherer->streams = NULL;
	gatherer->segments = NULL;
	gatherer->buckets = 0;
}

static void relieve(pj__writer *writer)
{
	struct gatherer *gatherer = (struct gatherer *)writer;
	flush(writer);
	drop_streams(gatherer);
	pj__space_fini(&gatherer->chunks);
	pj__space_fini(&gatherer->blob);
}

static void reset(pj__writer *writer)
{
	/* The next run may have another partition. */
	drop_streams((struct gatherer *)writer);
	writer->pairs = writer->run_pairs = writer->run_bytes = 0;
}

static void destroy(pj__writer *writer)
{
	struct gatherer *gatherer = (struct gatherer *)writer;
	pj__window_destroy(gatherer->window);
	pj__space_fini(&gatherer->chunks);
	pj__space_fini(&gatherer->blob);
	free(gatherer->next);
	free(gatherer->pieces);
	free(gatherer->streams);
	free(gatherer->segments);
	free(gatherer);
}

pj_status pj__gatherer_create(pj__task *task, const pj_aggregate *aggregate, pj__store *store, size_t hold_bytes,
			      pj__writer **ret_writer, pj_error *error)
{
	struct gatherer *gatherer = calloc(1, sizeof *gatherer);
	if (!gatherer)
		return pj__no_memory(error, sizeof *gatherer);
	gatherer->aggregate = aggregate;
	gatherer->numbers = pj__takes_numbers(aggregate);
	gatherer->hold_bytes = hold_bytes;
	gatherer->writer = (pj__writer){
		.task = task, .store = store, .flush = flush, .relieve = relieve, .reset = reset, .destroy = destroy};
	task->face.number = pj__number_of(aggregate);
	pj__task_attach(task, gatherer->numbers ? &number_target : &text_target, gatherer);
	*ret_writer = &gatherer->writer;
	return PJ_OK;
}

void pj__gatherer_refer(pj__writer *writer)
{
	((struct gatherer *)writer)->refers = true;
	writer->task->text_ends = text_ends;
}

pj_status pj__gatherer_combine(pj__writer *writer, const pj_reducer *reducer, const pj_keys *keys, pj_error *error)
{
	struct gatherer *gatherer = (struct gatherer *)writer;
	const pj_status status =
		pj__window_create(reducer, keys, writer->task, take_from_window, gatherer, &gatherer->window, error);
	if (status)
		return status;
	/* What goes to disk is held twice, so half of it is enough to give. */
	const size_t given = pj__window_memory(reducer) / 2, most = gatherer->hold_bytes;
	gatherer->hold_bytes = most > 2 * given ? most - given : most / 2;
	pj__task_attach(writer->task, &window_target, gatherer);
	return PJ_OK;
}
