/*
 * combine.c: the combiner (writer.h).
 *
 * The combiner gets a batch of slots at a time (combine_kernel.h has the loops). The table stays from task to task;
 * when it is full it is written out as a blob and emptied:
 *
 *     1. the used entries are listed with their buckets, and the bytes of each bucket are summed
 *     2. each record is written to its bucket's place in one buffer, which then is the blob's data
 *
 * A sum of 64-bit integers is kept in 64 bits here. Where one would overflow, the partial sum goes to a list of its own
 * (`overflow`) and the entry begins anew; the reduce adds all partial sums in 128 bits, so the total is exact.
 */
#include "shuffle/combine.h"

#include <malloc.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/isa.h"
#include "base/verify.h"
#include "shuffle/long_keys.h"
#include "shuffle/writer.h"

struct placed {
	uint32_t entry, bucket;
};

/* Entries whose buckets are looked for side by side; bytes between segments, for copies that overshoot. */
enum { PLACED_AT_ONCE = 64, GAP = 32, PREFETCH_BYTES = 64, LONG_SHARE = 4 };

struct combiner {
	pj__writer writer; /* first: a pj__writer * is a combiner * */
	const pj_aggregate *aggregate;
	void *arg;
	bool narrow;
	const pj__combine_kernel *kernel;
	pj__table table;
	pj__long_keys longer; /* pairs that are on their way to the table */
	pj__table whole;      /* states of keys that need more than usual_bytes; made when there is one */
	pj_text overflow;     /* records of partial sums that left the table, and at last of `whole` */
	uint64_t overflowed;  /* their number */
	struct placed *placed;
	size_t placed_capacity;
	pj__segment *segments;
	uint64_t *positions;
	uint32_t buckets; /* for which segments and positions have room */
	pj_text blob;
};

static struct combiner *combiner_of(pj_task *face)
{
	return ((pj__task *)face)->taker;
}

static void failed(struct combiner *combiner, pj_status status, const pj_error *error)
{
	pj__task_failed(combiner->writer.task, status, error);
}

static pj_status make_room(struct combiner *combiner, pj_error *error);
static void flush(pj__writer *writer);

/* Makes room for a batch in one of the tables. False: there is none, and the task has failed. */
static bool reserve(struct combiner *combiner, pj__table *table, size_t more)
{
	pj_error error;
	bool full;
	pj_status status = pj__table_reserve(table, more, &full, &error);
	if (!status && (full || combiner->overflow.len > combiner->table.heap_most)) {
		flush(&combiner->writer);
		return !combiner->writer.task->status;
	}
	if (status)
		failed(combiner, status, &error);
	return !status;
}

/* Keeps a record that is written with the next blob, beside those of the table. */
static void keep_record(struct combiner *combiner, pj_bytes key, pj_bytes stored)
{
	char *to = pj__text_room(&combiner->overflow, pj__record_bytes(key.len, stored.len));
	if (!to) {
		pj_error error;
		failed(combiner, pj__no_memory(&error, key.len), &error);
		return;
	}
	combiner->overflow.len = (size_t)(pj__put_record(to, key, stored) - combiner->overflow.data);
	combiner->overflowed++;
}

/* The entry's partial sum would overflow: it leaves the table. */
static void evict_sum(void *arg, char *entry)
{
	struct combiner *combiner = arg;
	char narrow[8];
	int64_t sum;
	memcpy(&sum, pj__entry_state(entry), sizeof sum);
	keep_record(combiner, pj__entry_key(&combiner->table, entry), (pj_bytes){narrow, pj__put_narrow(narrow, sum)});
}

/* All whole states leave their table. */
static void evict_whole(struct combiner *combiner)
{
	pj__table *table = &combiner->whole;
	for (size_t i = 0, left = table->count; left; i++) {
		char *entry = pj__entry(table, i, table->stride);
		if (!pj__entry_tag(entry))
			continue;
		keep_record(combiner, pj__entry_key(table, entry),
			    (pj_bytes){pj__entry_state(entry), combiner->aggregate->state_bytes});
		left--;
	}
	if (table->count)
		pj__table_clear(table);
}

static void add_narrow(struct combiner *combiner, char *entry, int64_t value)
{
	int64_t sum;
	memcpy(&sum, pj__entry_state(entry), sizeof sum);
	if (__builtin_add_overflow(sum, value, &sum)) {
		evict_sum(combiner, entry);
		sum = value;
	}
	memcpy(pj__entry_state(entry), &sum, sizeof sum);
}

/* values[i] into states[i]. */
static void add_values(const struct combiner *combiner, void *const *states, const uint64_t *values, size_t count)
{
	const pj_aggregate *aggregate = combiner->aggregate;
	if (aggregate->takes == PJ_TAKES_I64 && aggregate->add_many_i64) {
		aggregate->add_many_i64(states, (const int64_t *)values, count, combiner->arg);
		return;
	}
	for (size_t i = 0; i < count; i++)
		pj__state_add_number(aggregate, combiner->arg, states[i], values[i]);
}

static void take_states(struct combiner *combiner, const pj_slot *slots, size_t count, const size_t *positions)
{
	void *states[PJ__BATCH];
	uint64_t values[PJ__BATCH];
	combiner->kernel->find_states(&combiner->table, slots, count, positions, states, combiner->aggregate->init,
				      combiner->arg);
	for (size_t i = 0; i < count; i++)
		values[i] = slots[i].value;
	add_values(combiner, states, values, count);
}

static void batch_full(pj_task *face)
{
	struct combiner *combiner = combiner_of(face);
	pj__task *task = combiner->writer.task;
	size_t positions[PJ__BATCH];
	const size_t count = pj__task_batch(task);
	pj__task_empty_batch(task);
	combiner->writer.pairs += count;
	if (task->status || !reserve(combiner, &combiner->table, count))
		return;
	PJ_FAULT("combine");
	combiner->kernel->look_ahead(&combiner->table, task->slots, count, positions);
	if (combiner->narrow)
		combiner->kernel->add_sums(&combiner->table, task->slots, count, positions, evict_sum, combiner);
	else
		take_states(combiner, task->slots, count, positions);
}

/* The entry of one key of any length, with its state initialised; NULL: the task has failed. */
static char *find_in(struct combiner *combiner, pj__table *table, pj_bytes key)
{
	bool fresh;
	combiner->writer.pairs++;
	++*combiner->writer.task->progress;
	if (combiner->writer.task->status || !reserve(combiner, table, 1))
		return NULL;
	char *entry = pj__table_find_bytes(table, key, &fresh);
	if (!entry) {
		pj_error error;
		failed(combiner, pj__no_memory(&error, key.len), &error);
	} else if (fresh && combiner->aggregate->init && !combiner->narrow) {
		combiner->aggregate->init(pj__entry_state(entry), combiner->arg);
	}
	return entry;
}

/* The table of whole states, made if it is not there; NULL: the task has failed. */
static pj__table *whole_states(struct combiner *combiner)
{
	pj_error error;
	const pj__table *usual = &combiner->table;
	const size_t state = combiner->aggregate->state_bytes;
	if (!combiner->aggregate->usual_bytes)
		return &combiner->table;
	if (!combiner->whole.entries) {
		const pj_status status =
			pj__table_init(&combiner->whole, state, 64,
				       usual->most * usual->stride / (PJ__KEY_BYTES + state) / 8, usual->seed, &error);
		if (status) {
			failed(combiner, status, &error);
			return NULL;
		}
		combiner->whole.hash = usual->hash;
		combiner->whole.hash_long = usual->hash_long;
	}
	return &combiner->whole;
}

/* A key that would take a good part of the table's memory is written at once, with the state of its one value. */
static void write_long(struct combiner *combiner, pj_bytes key, uint64_t number)
{
	const pj_aggregate *aggregate = combiner->aggregate;
	_Alignas(16) char state[PJ_STATE_BYTES_MAX];
	char narrow[8];
	pj_bytes stored = {state, pj__usual_bytes(aggregate)};
	pj_error error;
	combiner->writer.pairs++;
	++*combiner->writer.task->progress;
	if (combiner->writer.task->status)
		return;
	if (combiner->narrow) {
		stored = (pj_bytes){narrow, pj__put_narrow(narrow, (int64_t)number)};
	} else {
		pj__state_init(aggregate, combiner->arg, state);
		pj__state_add_number(aggregate, combiner->arg, state, number);
	}
	pj_status status = make_room(combiner, &error);
	if (!status)
		status = pj__writer_put_record(&combiner->writer, key, stored, combiner->segments, &error);
	if (status)
		failed(combiner, status, &error);
}

static void add_one(struct combiner *combiner, pj_bytes key, uint64_t number)
{
	if (PJ_UNLIKELY(key.len > combiner->table.heap_most / LONG_SHARE && key.len > PJ__BLOCK_BYTES)) {
		write_long(combiner, key, number);
		return;
	}
	char *entry = find_in(combiner, &combiner->table, key);
	if (!entry)
		return;
	if (combiner->narrow)
		add_narrow(combiner, entry, (int64_t)number);
	else
		pj__state_add_number(combiner->aggregate, combiner->arg, pj__entry_state(entry), number);
}

/* Adds the pairs with long keys that were gathered. */
static void add_longer(struct combiner *combiner)
{
	pj__long_keys *longer = &combiner->longer;
	const size_t count = longer->count;
	const pj_aggregate *aggregate = combiner->aggregate;
	char *entries[PJ__LONG_AT_ONCE];
	uint64_t hashes[PJ__LONG_AT_ONCE];
	bool fresh[PJ__LONG_AT_ONCE];
	void *states[PJ__LONG_AT_ONCE];
	pj__long_keys_clear(longer); /* what is in it stays as it is until the end */
	++*combiner->writer.task->progress;
	if (!count || combiner->writer.task->status || !reserve(combiner, &combiner->table, count))
		return;
	combiner->kernel->look_ahead_long(&combiner->table, longer->key, count, hashes);
	if (!combiner->kernel->find_long(&combiner->table, longer->key, hashes, count, entries, fresh)) {
		pj_error error;
		failed(combiner, pj__no_memory(&error, PJ__LONG_BYTES), &error);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		states[i] = pj__entry_state(entries[i]);
		if (combiner->narrow)
			add_narrow(combiner, entries[i], (int64_t)longer->value[i]);
		else if (fresh[i] && aggregate->init)
			aggregate->init(states[i], combiner->arg);
	}
	if (!combiner->narrow)
		add_values(combiner, states, longer->value, count);
}

static void take_long(pj_task *face, pj_bytes key, uint64_t value)
{
	struct combiner *combiner = combiner_of(face);
	if (PJ_UNLIKELY(key.len > PJ__LONG_KEY_MOST)) {
		add_one(combiner, key, value);
		return;
	}
	if (!pj__long_keys_fit(&combiner->longer, key.len))
		add_longer(combiner);
	combiner->writer.pairs++;
	pj__long_keys_add(&combiner->longer, key, pj__readable_bytes(face, key.ptr), value);
}

static void take_text(pj__task *task, pj_bytes key, pj_bytes value)
{
	struct combiner *combiner = task->taker;
	const pj_aggregate *aggregate = combiner->aggregate;
	uint64_t number;
	if (aggregate->add_bytes) {
		pj__table *table = whole_states(combiner);
		char *entry = table ? find_in(combiner, table, key) : NULL;
		if (entry)
			aggregate->add_bytes(pj__entry_state(entry), value, combiner->arg);
	} else if (pj__read_number(task, aggregate->takes, value, &number)) {
		add_one(combiner, key, number);
	}
}

static const pj__target text_target = {.pair = take_text};
static const pj__target number_target = {.pair = take_text, .batch = batch_full, .number = take_long};

/* -------------------------------------------------------------------------------------------------- writing a blob */

/* The stored form of an entry's state; `narrow` is room for it. */
static pj_bytes stored_state(const struct combiner *combiner, char *entry, char narrow[8])
{
	if (!combiner->narrow)
		return (pj_bytes){pj__entry_state(entry), pj__usual_bytes(combiner->aggregate)};
	int64_t sum;
	memcpy(&sum, pj__entry_state(entry), sizeof sum);
	return (pj_bytes){narrow, pj__put_narrow(narrow, sum)};
}

static pj_status make_room(struct combiner *combiner, pj_error *error)
{
	const uint32_t buckets = combiner->writer.partition->buckets;
	if (combiner->buckets < buckets) {
		free(combiner->segments);
		free(combiner->positions);
		combiner->segments = calloc(buckets, sizeof *combiner->segments);
		combiner->positions = calloc(buckets, sizeof *combiner->positions);
		combiner->buckets = combiner->segments && combiner->positions ? buckets : 0;
		if (!combiner->buckets)
			return pj__no_memory(error, buckets * sizeof *combiner->segments);
	}
	if (combiner->placed_capacity < combiner->table.count) {
		free(combiner->placed);
		combiner->placed_capacity = combiner->table.limit + 1;
		combiner->placed = calloc(combiner->placed_capacity, sizeof *combiner->placed);
		if (!combiner->placed) {
			combiner->placed_capacity = 0;
			return pj__no_memory(error, combiner->table.limit * sizeof *combiner->placed);
		}
	}
	memset(combiner->segments, 0, buckets * sizeof *combiner->segments);
	return PJ_OK;
}

static void count_record(struct combiner *combiner, uint32_t bucket, size_t bytes)
{
	pj__segment *segment = &combiner->segments[bucket];
	segment->bytes += bytes;
	segment->pairs++;
	segment->longest = segment->longest > bytes ? segment->longest : bytes;
}

/* A short key stands in its entry with zero bytes behind it, as a lead wants it. */
static inline pj__lead lead_of_entry(const pj__table *table, const char *entry)
{
	if (PJ_UNLIKELY(pj__entry_tag(entry) == PJ__TAG_LONG))
		return pj__lead_of(pj__entry_key(table, entry));
	uint64_t words[2];
	memcpy(words, entry, sizeof words);
	return (pj__lead){__builtin_bswap64(words[0]), __builtin_bswap64(words[1])};
}

/* Finds the buckets of some entries, and counts their records. */
static void place_some(struct combiner *combiner, struct placed *placed, size_t count)
{
	const pj__table *table = &combiner->table;
	const pj__partition *partition = combiner->writer.partition;
	pj__lead leads[PLACED_AT_ONCE] = {{0, 0}};
	uint32_t ranges[PLACED_AT_ONCE];
	char narrow[8];
	for (size_t i = 0; i < count; i++)
		leads[i] = lead_of_entry(table, pj__entry(table, placed[i].entry, table->stride));
	pj__partition_ranges(partition, leads, count, ranges);
	for (size_t i = 0; i < count; i++) {
		char *entry = pj__entry(table, placed[i].entry, table->stride);
		const pj_bytes key = pj__entry_key(table, entry);
		placed[i].bucket = pj__partition_part(partition, key) * partition->ranges +
				   pj__partition_refine(partition, key, ranges[i]);
		count_record(combiner, placed[i].bucket,
			     pj__record_bytes(key.len, stored_state(combiner, entry, narrow).len));
	}
}

/* Step 1: lists the used entries, and sums up the segments. */
static void place_entries(struct combiner *combiner)
{
	const pj__table *table = &combiner->table;
	const size_t count = table->count, stride = table->stride;
	struct placed *placed = combiner->placed;
	size_t found = 0, done = 0;
	const char *tag = table->entries + PJ__KEY_BYTES - 1;
	for (uint32_t i = 0; found < count; i++, tag += stride) {
		placed[found].entry = i;
		found += *tag != 0;
		if (found - done == PLACED_AT_ONCE) {
			place_some(combiner, placed + done, PLACED_AT_ONCE);
			done = found;
		}
	}
	place_some(combiner, placed + done, found - done);
}

/* A bucket has no room for a record of its own: another one was named when the room was counted. */
static void contradiction(struct combiner *combiner)
{
	pj_error error;
	pj__fail(&error, PJ_ERR_USER, 0, NULL, "the job's partitioner contradicts itself");
	pj__error_reason(&error, "it names another part for the same key when it is asked again");
	failed(combiner, PJ_ERR_USER, &error);
}

/* Walks the records that overflowed: step 1 without `blob`, step 2 with it. */
static void walk_overflow(struct combiner *combiner, char *blob)
{
	if (!combiner->overflowed)
		return; /* there may be no memory at all */
	const char *at = combiner->overflow.data, *end = at + combiner->overflow.len;
	pj_bytes key = {0}, value = {0};
	while (at < end) {
		const char *next = pj__get_record(at, end, &key, &value, NULL);
		const uint32_t bucket = pj__partition_bucket(combiner->writer.partition, key);
		const pj__segment *segment = &combiner->segments[bucket];
		uint64_t *position = &combiner->positions[bucket];
		if (!blob) {
			count_record(combiner, bucket, (size_t)(next - at));
		} else if ((size_t)(next - at) > segment->offset + segment->bytes - *position) {
			contradiction(combiner);
			return;
		} else {
			*position = (uint64_t)(pj__put_record(blob + *position, key, value) - blob);
		}
		at = next;
	}
}

/*
 * Writes a record of a short key. Key and partial sum are copied as the whole words they are: what comes behind the
 * record's end is overwritten by the next one, or falls into the gap.
 */
static inline char *put_short(const struct combiner *combiner, char *to, const char *entry)
{
	const size_t key_len = (size_t)pj__entry_tag(entry) - 1;
	char *const body = to + 2;
	size_t stored = pj__usual_bytes(combiner->aggregate);
	to[0] = (char)key_len;
	memcpy(body, entry, PJ__KEY_BYTES);
	if (combiner->narrow) {
		int64_t sum;
		memcpy(&sum, entry + PJ__KEY_BYTES, sizeof sum);
		stored = pj__put_narrow(body + key_len, sum);
	} else {
		memcpy(body + key_len, entry + PJ__KEY_BYTES, stored);
	}
	to[1] = (char)stored;
	return body + key_len + stored;
}

/* Step 2: writes every record to its bucket's place. */
static void fill_blob(struct combiner *combiner, char *blob)
{
	const pj__table *table = &combiner->table;
	const bool two_bytes_say_it = combiner->narrow || pj__usual_bytes(combiner->aggregate) < 0x80;
	char narrow[8];
	for (uint32_t b = 0; b < combiner->writer.partition->buckets; b++)
		combiner->positions[b] = combiner->segments[b].offset;
	for (size_t i = 0; i < table->count; i++) {
		char *entry = pj__entry(table, combiner->placed[i].entry, table->stride);
		uint64_t *position = &combiner->positions[combiner->placed[i].bucket];
		char *to = blob + *position;
		if (PJ_LIKELY(two_bytes_say_it && pj__entry_tag(entry) != PJ__TAG_LONG))
			to = put_short(combiner, to, entry);
		else
			to = pj__put_record(to, pj__entry_key(table, entry), stored_state(combiner, entry, narrow));
		*position = (uint64_t)(to - blob);
		__builtin_prefetch(to + PREFETCH_BYTES, 1); /* too many streams for the processor to foresee */
	}
	walk_overflow(combiner, blob);
	for (uint32_t b = 0; b < combiner->writer.partition->buckets; b++) {
		/* what was counted is what was written */
		PJ_VERIFY(combiner->writer.task->status ||
			  combiner->positions[b] == combiner->segments[b].offset + combiner->segments[b].bytes);
		memset(blob + combiner->positions[b], 0, GAP); /* what overshot, and what the memory held before */
	}
}

/* Gives each segment its place, with a gap behind it. Returns the bytes of all. */
static size_t lay_out(const struct combiner *combiner)
{
	size_t bytes = 0;
	for (uint32_t b = 0; b < combiner->writer.partition->buckets; b++) {
		combiner->segments[b].offset = bytes;
		bytes += combiner->segments[b].bytes + GAP;
	}
	return bytes;
}

static void forget(struct combiner *combiner)
{
	pj__long_keys_clear(&combiner->longer);
	pj__table_clear(&combiner->table);
	if (combiner->whole.count)
		pj__table_clear(&combiner->whole);
	pj__text_reset(&combiner->overflow);
	combiner->overflowed = 0;
}

static void flush(pj__writer *writer)
{
	struct combiner *combiner = (struct combiner *)writer;
	pj_error error;
	add_longer(combiner);
	evict_whole(combiner);
	if (writer->task->status || (!combiner->table.count && !combiner->overflowed))
		return;
	pj_status status = make_room(combiner, &error);
	if (!status) {
		place_entries(combiner);
		walk_overflow(combiner, NULL);
		const size_t bytes = lay_out(combiner);
		pj__text_reset(&combiner->blob);
		char *blob = pj__text_room(&combiner->blob, bytes);
		if (blob)
			fill_blob(combiner, blob);
		if (!blob)
			status = pj__no_memory(&error, bytes);
		else if (!writer->task->status)
			status = pj__writer_put_blob(writer, blob, bytes, combiner->segments, &error);
	}
	if (status)
		failed(combiner, status, &error);
	forget(combiner);
}

/* The table stays: it would have to grow again. */
static void relieve(pj__writer *writer)
{
	struct combiner *combiner = (struct combiner *)writer;
	flush(writer);
	pj__text_fini(&combiner->blob);
	(void)malloc_trim(0);
}

static void reset(pj__writer *writer)
{
	forget((struct combiner *)writer);
	writer->pairs = writer->run_pairs = writer->run_bytes = 0;
}

static void destroy(pj__writer *writer)
{
	struct combiner *combiner = (struct combiner *)writer;
	pj__table_fini(&combiner->table);
	pj__table_fini(&combiner->whole);
	pj__text_fini(&combiner->overflow);
	pj__text_fini(&combiner->blob);
	free(combiner->placed);
	free(combiner->segments);
	free(combiner->positions);
	free(combiner);
}

pj_status pj__combiner_create(pj__task *task, const pj_aggregate *aggregate, void *arg, pj__store *store,
			      const pj__table_terms *terms, pj__writer **ret_writer, pj_error *error)
{
	struct combiner *combiner = calloc(1, sizeof *combiner);
	if (!combiner)
		return pj__no_memory(error, sizeof *combiner);
	*combiner = (struct combiner){
		.aggregate = aggregate, .arg = arg, .narrow = pj__is_narrow(aggregate), .kernel = pj__combine_usable()};
	combiner->writer = (pj__writer){
		.task = task, .store = store, .flush = flush, .relieve = relieve, .reset = reset, .destroy = destroy};
	const size_t state = combiner->narrow ? sizeof(int64_t) : pj__usual_bytes(aggregate);
	/* the largest power of two of entries that fits */
	size_t most = 1024;
	while (most * 2 <= terms->bytes / (PJ__KEY_BYTES + state))
		most *= 2;
	const pj_status status =
		pj__table_init(&combiner->table, state, most < 4096 ? most : 4096, most, terms->seed, error);
	if (status) {
		free(combiner);
		return status;
	}
	combiner->table.hash = combiner->kernel->hash;
	combiner->table.hash_long = combiner->kernel->hash_long;
	combiner->table.thrifty = terms->thrifty;
	combiner->table.heap_most = terms->bytes;
	task->face.number = pj__number_of(aggregate);
	pj__task_attach(task, pj__takes_numbers(aggregate) ? &number_target : &text_target, combiner);
	*ret_writer = &combiner->writer;
	return PJ_OK;
}
