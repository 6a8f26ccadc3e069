/*
 * test_combine.c: from emitted pairs to runs and back. What the combiner and the gatherer write, in however many blobs
 * and buckets, comes to what one state for each key, or one list of values, comes to; with the loops for every
 * instruction set that this processor has.
 */
#include "testing.h"

#include "shuffle/combine.h"
#include "shuffle/groups.h"
#include "shuffle/long_keys.h"
#include "shuffle/writer.h"

enum { KEYS = 900 };

/* The plain way: a state for each key. */
struct reference {
	const pj_aggregate *aggregate;
	_Alignas(16) char states[KEYS][PJ_STATE_BYTES_MAX];
	bool used[KEYS];
};

/* An emitting task with its writer, and where it writes. */
struct emitting {
	pj__task *task;
	pj__writer *writer;
	pj__partition partition;
	pj__store store;
	int fd;
};

/* Key `number`: every other one is long; some are prefixes of each other, one is empty. */
static pj_bytes make_key(char *to, size_t number)
{
	if (number == 0)
		return (pj_bytes){to, 0};
	if (number % 2)
		return (pj_bytes){to, (size_t)sprintf(to, "%zu", number * 31 % 977)};
	return (pj_bytes){to, (size_t)sprintf(to, "a long key, longer than a slot: %zu", number * 31 % 977)};
}

static void begin(struct emitting *emitting, const pj_aggregate *aggregate, size_t memory, uint32_t parts)
{
	uint64_t random = 99;
	char bytes[64];
	pj_text sample = {0};
	pj_error error;
	const pj__table_terms terms = {.bytes = memory, .thrifty = parts > 1, .seed = 1234};
	for (size_t i = 0; i < 64; i++)
		pj__sample_add(&sample, make_key(bytes, random_below(&random, KEYS)));
	*emitting = (struct emitting){.task = pj__task_holder(sizeof *emitting->task), .fd = open_memory_file()};
	pj__store_init(&emitting->store, (int[PJ__STORES]){emitting->fd, -1}, (uint64_t[PJ__STORES]){0, 0}, UINT64_MAX,
		       ".");
	assert_non_null(emitting->task);
	assert_good(pj__partition_init(&emitting->partition, parts, 7, pj__text_all(&sample), false, &error), error);
	pj__text_fini(&sample);
	pj__task_init(emitting->task, PJ_NUMBER_I64);
	assert_good(aggregate && aggregate->exact
			    ? pj__combiner_create(emitting->task, aggregate, NULL, &emitting->store, &terms,
						  &emitting->writer, &error)
			    : pj__gatherer_create(emitting->task, aggregate, &emitting->store, memory,
						  &emitting->writer, &error),
		    error);
	emitting->writer->partition = &emitting->partition;
}

static void end(struct emitting *emitting)
{
	emitting->writer->destroy(emitting->writer);
	pj__partition_fini(&emitting->partition);
	free(emitting->task);
	pj__store_fini(&emitting->store);
	close(emitting->fd);
}

static void flush(struct emitting *emitting)
{
	pj__task_flush(emitting->task);
	emitting->writer->flush(emitting->writer);
	if (emitting->task->status)
		fail_with(__FILE__, __LINE__, "flush", emitting->task->status, &emitting->task->error);
}

/* All blobs of the writer, first to last; to be freed. */
static pj__run *open_runs(const struct emitting *emitting)
{
	const pj__writer *writer = emitting->writer;
	pj__run *runs = calloc(emitting->store.runs[PJ__IN_MEMORY] + 1, sizeof *runs);
	uint64_t at = emitting->store.end[PJ__IN_MEMORY], pairs = 0;
	pj_error error;
	for (size_t i = emitting->store.runs[PJ__IN_MEMORY]; i-- > 0;) {
		assert_good(pj__run_open(&runs[i], emitting->fd, at, emitting->partition.buckets, &error), error);
		at = runs[i].offset;
		pairs += runs[i].pairs;
	}
	assert_int_equal(at, 0);
	assert_int_equal(writer->run_bytes, emitting->store.end[PJ__IN_MEMORY]);
	assert_int_equal(writer->run_pairs, pairs);
	return runs;
}

/* The segments of all runs for one bucket; to be freed. */
static pj__segment *segments_of(const pj__run *runs, size_t count, uint32_t bucket)
{
	pj__segment *segments = calloc(count + 1, sizeof *segments);
	pj_error error;
	for (size_t i = 0; i < count; i++)
		assert_good(pj__run_segments(&runs[i], bucket, 1, &segments[i], &error), error);
	return segments;
}

static struct reference *reference_create(const pj_aggregate *aggregate)
{
	struct reference *reference = aligned_alloc(16, (sizeof *reference + 15) / 16 * 16);
	memset(reference, 0, sizeof *reference);
	reference->aggregate = aggregate;
	for (size_t i = 0; i < KEYS; i++)
		pj__state_init(aggregate, NULL, reference->states[i]);
	return reference;
}

/* Emits a value of the kind that the aggregate takes, in one of the ways there are. */
static void emit_number(struct emitting *emitting, struct reference *reference, size_t key, int64_t value, int way)
{
	const pj_aggregate *aggregate = reference->aggregate;
	pj_task *face = &emitting->task->face;
	char bytes[64], text[32];
	const pj_bytes name = make_key(bytes, key), as_text = {text, (size_t)sprintf(text, "%lld", (long long)value)};
	reference->used[key] = true;
	if (aggregate->usual_bytes && key % 7)
		way = 0; /* most keys get numbers only */
	if (aggregate->takes == PJ_TAKES_BYTES) {
		aggregate->add_bytes(reference->states[key], as_text, NULL);
		if (way == 1)
			pj_emit(face, name, as_text);
		else
			pj_emit_i64(face, name, value);
	} else if (aggregate->takes == PJ_TAKES_F64) {
		aggregate->add_f64(reference->states[key], (double)value, NULL);
		if (way == 1)
			pj_emit(face, name, as_text);
		else if (way == 2)
			pj_emit_i64(face, name, value);
		else
			pj_emit_f64(face, name, (double)value);
	} else {
		if (way == 1 && aggregate->add_bytes)
			aggregate->add_bytes(reference->states[key], as_text, NULL);
		else
			aggregate->add_i64(reference->states[key], value, NULL);
		if (way == 1)
			pj_emit(face, name, as_text);
		else
			pj_emit_i64(face, name, value);
	}
}

/* The result of a state, or the status of what it came to. */
static pj_status finish(const pj_aggregate *aggregate, const void *state, pj_text *text)
{
	pj__text_reset(text);
	return aggregate->finish(state, text, NULL);
}

static void check_key(struct reference *reference, pj_bytes key, const void *state)
{
	char bytes[64];
	pj_text expected = {0}, got = {0};
	size_t i = 0;
	while (i < KEYS && (!reference->used[i] || !pj_bytes_equal(make_key(bytes, i), key)))
		i++;
	if (i >= KEYS) {
		fail_msg("a key comes twice, or is none of ours");
		return;
	}
	reference->used[i] = false;
	assert_int_equal(finish(reference->aggregate, state, &got),
			 finish(reference->aggregate, reference->states[i], &expected));
	assert_true(pj_bytes_equal(pj__text_all(&got), pj__text_all(&expected)));
	pj__text_fini(&expected);
	pj__text_fini(&got);
}

static void check_combined(struct emitting *emitting, struct reference *reference)
{
	pj__run *runs = open_runs(emitting);
	pj__combined combined;
	pj_error error;
	assert_good(pj__combined_init(&combined, reference->aggregate, NULL, 77, &error), error);
	for (uint32_t bucket = 0; bucket < emitting->partition.buckets; bucket++) {
		pj__segment *segments = segments_of(runs, emitting->store.runs[PJ__IN_MEMORY], bucket);
		assert_good(pj__combined_load(&combined, runs, segments, emitting->store.runs[PJ__IN_MEMORY], &error),
			    error);
		for (size_t i = 0; i < combined.count; i++) {
			const pj_bytes key = pj__combined_key(&combined, i);
			assert_int_equal(pj__partition_bucket(&emitting->partition, key), bucket);
			if (i)
				assert_true(pj_bytes_compare(pj__combined_key(&combined, i - 1), key) < 0);
			check_key(reference, key, pj__combined_state(&combined, i));
		}
		free(segments);
	}
	for (size_t i = 0; i < KEYS; i++)
		assert_false(reference->used[i]);
	pj__combined_fini(&combined);
	free(runs);
}

/* Counts as bytes, and so takes any value: an aggregate of a user's own, with an odd size and an init. */
static void count_init(void *state, void *arg)
{
	(void)arg;
	memcpy(state, "\3start", 6);
}

static void count_add(void *state, pj_bytes value, void *arg)
{
	(void)arg;
	char *bytes = state;
	bytes[0] = (char)(bytes[0] + 1);
	for (size_t i = 0; i < value.len; i++)
		bytes[6] = (char)(bytes[6] + value.ptr[i]);
}

static void count_merge(void *state, const void *other, void *arg)
{
	(void)arg;
	char *to = state;
	const char *from = other;
	assert_memory_equal(from + 1, "start", 5);
	to[0] = (char)(to[0] + from[0] - 3);
	to[6] = (char)(to[6] + from[6]);
}

static pj_status count_finish(const void *state, pj_text *text, void *arg)
{
	(void)arg;
	pj_text_bytes(text, (pj_bytes){state, 7});
	return PJ_OK;
}

static const pj_aggregate count_bytes = {.name = "count bytes",
					 .takes = PJ_TAKES_BYTES,
					 .exact = true,
					 .state_bytes = 7,
					 .init = count_init,
					 .add_bytes = count_add,
					 .merge = count_merge,
					 .finish = count_finish};

/*
 * Counts values, and in what is zero for most keys those that come as bytes: states are kept short while they can be.
 */
static void two_counts_add(void *state, int64_t value, void *arg)
{
	(void)value;
	(void)arg;
	uint64_t count;
	memcpy(&count, state, sizeof count);
	count++;
	memcpy(state, &count, sizeof count);
}

static void two_counts_add_bytes(void *state, pj_bytes value, void *arg)
{
	(void)value;
	(void)arg;
	uint64_t counts[3];
	memcpy(counts, state, sizeof counts);
	counts[0]++;
	counts[2]++;
	memcpy(state, counts, sizeof counts);
}

static void two_counts_merge(void *state, const void *other, void *arg)
{
	(void)arg;
	uint64_t count, more[3], behind;
	memcpy(&count, state, sizeof count);
	memcpy(more, other, sizeof more);
	count += more[0];
	memcpy(state, &count, sizeof count);
	if (!more[2])
		return; /* what is behind may not be there */
	memcpy(&behind, (char *)state + 16, sizeof behind);
	behind += more[2];
	memcpy((char *)state + 16, &behind, sizeof behind);
}

static pj_status two_counts_finish(const void *state, pj_text *text, void *arg)
{
	(void)arg;
	uint64_t counts[3];
	memcpy(counts, state, sizeof counts);
	pj_text_i64(text, (int64_t)counts[0]);
	pj__text_byte(text, '/');
	pj_text_i64(text, (int64_t)counts[2]);
	return counts[1] ? PJ_ERR_USER : PJ_OK;
}

static const pj_aggregate two_counts = {.name = "two counts",
					.takes = PJ_TAKES_I64,
					.exact = true,
					.state_bytes = 24,
					.usual_bytes = 8,
					.add_i64 = two_counts_add,
					.add_bytes = two_counts_add_bytes,
					.merge = two_counts_merge,
					.finish = two_counts_finish};

/* Values: small ones; or so large that sums of 64 bits overflow, back and forth. */
static int64_t make_value(uint64_t *random, bool huge)
{
	if (!huge)
		return (int64_t)random_below(random, 2001) - 1000;
	static const int64_t edges[] = {INT64_MAX, INT64_MIN, INT64_MAX - 1, -1, 1, INT64_MIN + 1, 0};
	return edges[random_below(random, sizeof edges / sizeof *edges)];
}

static void every_aggregate_comes_to_the_same(void **state)
{
	(void)state;
	static const pj_aggregate *const aggregates[] = {&pj_sum_i64, &pj_min_i64,  &pj_max_i64,
							 &pj_sum_f64, &pj_min_f64,  &pj_max_f64,
							 &pj_count,   &count_bytes, &two_counts};
	uint64_t random = 1;
	for (size_t a = 0; a < sizeof aggregates / sizeof *aggregates; a++) {
		for (int huge = 0; huge < 2; huge++) {
			struct emitting emitting;
			struct reference *reference = reference_create(aggregates[a]);
			begin(&emitting, aggregates[a], 1 << 20, 1 + (uint32_t)a % 3);
			for (int i = 0; i < 6000; i++) {
				emit_number(&emitting, reference, random_below(&random, KEYS),
					    make_value(&random, huge), (int)random_below(&random, 8));
				if (i % 1500 == 1499)
					flush(&emitting);
			}
			assert_int_equal(emitting.writer->pairs, 6000);
			assert_int_equal(emitting.store.runs[PJ__IN_MEMORY], 4);
			check_combined(&emitting, reference);
			end(&emitting);
			free(reference);
		}
	}
}

/* 2^63 is no int64_t, but sums may pass it on their way; only the last word counts, and it is an error or the truth. */
static void sums_are_judged_at_the_end(void **state)
{
	(void)state;
	for (int times = 1; times <= 3; times++) {
		struct emitting emitting;
		struct reference *reference = reference_create(&pj_sum_i64);
		pj_text text = {0};
		begin(&emitting, &pj_sum_i64, 1 << 20, 1);
		for (int i = 0; i < 1000 * times; i++) {
			emit_number(&emitting, reference, 1, INT64_MAX, 0);
			emit_number(&emitting, reference, 2, INT64_MAX, 0);
			emit_number(&emitting, reference, 3, INT64_MIN, 0);
		}
		for (int i = 0; i < 1000 * times; i++)
			emit_number(&emitting, reference, 2, -INT64_MAX, i % 2);
		emit_number(&emitting, reference, 2, 42, 0);
		flush(&emitting);
		assert_int_not_equal(finish(&pj_sum_i64, reference->states[1], &text), PJ_OK);
		assert_int_equal(finish(&pj_sum_i64, reference->states[2], &text), PJ_OK);
		assert_true(pj_bytes_equal(pj__text_all(&text), pj_bytes_of("42")));
		check_combined(&emitting, reference);
		end(&emitting);
		free(reference);
		pj__text_fini(&text);
	}
}

/* A table that is full is written and emptied by itself, as often as it takes. */
static void a_full_table_writes_itself(void **state)
{
	(void)state;
	struct emitting emitting;
	uint64_t sums = 0;
	pj_error error;
	char bytes[64];
	begin(&emitting, &pj_sum_i64, 32 * 1024, 1);
	for (size_t i = 0; i < 40000; i++)
		pj_emit_i64(&emitting.task->face, (pj_bytes){bytes, (size_t)sprintf(bytes, "%zu", i)}, 1);
	flush(&emitting);
	assert_true(emitting.store.runs[PJ__IN_MEMORY] >= 8);
	pj__run *runs = open_runs(&emitting);
	pj__combined combined;
	assert_good(pj__combined_init(&combined, &pj_sum_i64, NULL, 1, &error), error);
	for (uint32_t bucket = 0; bucket < emitting.partition.buckets; bucket++) {
		pj__segment *segments = segments_of(runs, emitting.store.runs[PJ__IN_MEMORY], bucket);
		assert_good(pj__combined_load(&combined, runs, segments, emitting.store.runs[PJ__IN_MEMORY], &error),
			    error);
		sums += combined.count;
		free(segments);
	}
	assert_int_equal(sums, 40000);
	pj__combined_fini(&combined);
	free(runs);
	end(&emitting);
}

/* Every value of every key, in the order of emission, over blobs of all sizes. */
static void gathered_values_stay_in_order(void **state)
{
	(void)state;
	static const size_t memories[] = {0, 5000, 1 << 20};
	for (size_t m = 0; m < sizeof memories / sizeof *memories; m++) {
		uint64_t random = m;
		struct emitting emitting;
		size_t emitted[KEYS] = {0}, *numbers[KEYS];
		char bytes[64], text[32];
		begin(&emitting, NULL, memories[m], 2);
		for (size_t i = 0; i < KEYS; i++)
			numbers[i] = calloc(200, sizeof **numbers);
		const size_t pairs = m ? 5000 : 300;
		for (size_t i = 0; i < pairs; i++) {
			const size_t key =
				random_below(&random, 2) ? random_below(&random, KEYS) : random_below(&random, 30);
			const pj_bytes name = make_key(bytes, key);
			if (i % 3)
				pj_emit_i64(&emitting.task->face, name, (int64_t)i);
			else
				pj_emit(&emitting.task->face, name, (pj_bytes){text, (size_t)sprintf(text, "%zu", i)});
			assert_true(emitted[key] < 200);
			numbers[key][emitted[key]++] = i;
		}
		flush(&emitting);
		assert_int_equal(emitting.writer->pairs, pairs);
		pj__run *runs = open_runs(&emitting);
		pj__groups groups;
		pj_error error;
		size_t seen = 0;
		pj__groups_init(&groups, emitting.task, NULL, 0);
		for (uint32_t bucket = 0; bucket < emitting.partition.buckets; bucket++) {
			pj__segment *segments = segments_of(runs, emitting.store.runs[PJ__IN_MEMORY], bucket);
			bool more = true;
			pj_bytes key;
			assert_good(
				pj__groups_begin(&groups, runs, segments, emitting.store.runs[PJ__IN_MEMORY], &error),
				error);
			for (;;) {
				int64_t number;
				size_t i = 0, at = 0;
				assert_good(pj__groups_next(&groups, &more, &key, &error), error);
				if (!more)
					break;
				while (i < KEYS && !pj_bytes_equal(make_key(bytes, i), key))
					i++;
				assert_true(i < KEYS);
				assert_int_equal(pj__partition_bucket(&emitting.partition, key), bucket);
				while (pj_next_i64(&groups.values, &number))
					assert_int_equal(number, numbers[i][at++]);
				assert_int_equal(at, emitted[i]);
				seen += at;
			}
			free(segments);
		}
		assert_int_equal(seen, pairs);
		pj__groups_fini(&groups);
		for (size_t i = 0; i < KEYS; i++)
			free(numbers[i]);
		free(runs);
		end(&emitting);
	}
}

/* For an aggregate that is not exact the gatherer keeps numbers as they are. */
static void gathered_numbers_keep_their_bits(void **state)
{
	(void)state;
	pj_aggregate careful = pj_sum_f64;
	struct emitting emitting;
	pj_error error;
	careful.exact = false;
	begin(&emitting, &careful, 1 << 20, 1);
	pj_emit_f64(&emitting.task->face, pj_bytes_of("k"), 0.1);
	pj_emit(&emitting.task->face, pj_bytes_of("k"), pj_bytes_of("1e300"));
	pj_emit_i64(&emitting.task->face, pj_bytes_of("k"), -7);
	pj_emit_f64(&emitting.task->face, pj_bytes_of("k longer than any slot could hold"), -0.0);
	flush(&emitting);
	pj__run *runs = open_runs(&emitting);
	static const double expected[] = {0.1, 1e300, -7, -0.0};
	size_t seen = 0;
	for (uint32_t bucket = 0; bucket < emitting.partition.buckets; bucket++) {
		pj__segment *segments = segments_of(runs, 1, bucket);
		pj__merge merge;
		bool more = true;
		pj__merge_init(&merge);
		assert_good(pj__merge_add(&merge, runs, segments, &error), error);
		assert_good(pj__merge_start(&merge, 0, &error), error);
		for (;;) {
			assert_good(pj__merge_next(&merge, &more, &error), error);
			if (!more)
				break;
			assert_int_equal(merge.value.len, sizeof(double));
			assert_memory_equal(merge.value.ptr, &expected[seen++], sizeof(double));
		}
		pj__merge_fini(&merge);
		free(segments);
	}
	assert_int_equal(seen, 4);
	free(runs);
	end(&emitting);
}

static void nothing_is_written_for_nothing(void **state)
{
	(void)state;
	static const pj_aggregate *const kinds[] = {&pj_sum_i64, NULL};
	for (int k = 0; k < 2; k++) {
		struct emitting emitting;
		begin(&emitting, kinds[k], 1 << 20, 1);
		flush(&emitting);
		assert_int_equal(emitting.store.end[PJ__IN_MEMORY], 0);
		pj_emit_i64(&emitting.task->face, pj_bytes_of("forgotten"), 1);
		pj__task_flush(emitting.task);
		assert_int_equal(emitting.writer->pairs, 1);
		emitting.writer->reset(emitting.writer);
		assert_int_equal(emitting.writer->pairs, 0);
		flush(&emitting);
		assert_int_equal(emitting.store.end[PJ__IN_MEMORY], 0);
		assert_int_equal(emitting.store.runs[PJ__IN_MEMORY], 0);
		end(&emitting);
	}
}

static void failures_stop_the_task(void **state)
{
	(void)state;
	static const pj_aggregate *const kinds[] = {&pj_sum_i64, &pj_max_f64, NULL};
	for (int k = 0; k < 3; k++) {
		struct emitting emitting;
		begin(&emitting, kinds[k], 1 << 20, 1);
		if (kinds[k]) {
			pj_emit(&emitting.task->face, pj_bytes_of("k"), pj_bytes_of("12 apples"));
			assert_int_equal(emitting.task->status, PJ_ERR_RECORD);
			assert_non_null(strstr(emitting.task->error.reason, "12 apples"));
			emitting.task->status = PJ_OK;
		}
		emitting.store.file[PJ__IN_MEMORY] = -1;
		pj_emit_i64(&emitting.task->face, pj_bytes_of("k"), 1);
		pj__task_flush(emitting.task);
		emitting.writer->flush(emitting.writer);
		assert_int_equal(emitting.task->status, PJ_ERR_OUTPUT);
		assert_int_equal(emitting.store.runs[PJ__IN_MEMORY], 0);
		/* what comes now is dropped */
		for (int i = 0; i < 1000; i++) {
			pj_emit_i64(&emitting.task->face, pj_bytes_of("k"), 1);
			pj_emit(&emitting.task->face, pj_bytes_of("a key that is too long for a slot"),
				pj_bytes_of("1"));
		}
		pj__task_flush(emitting.task);
		emitting.writer->flush(emitting.writer);
		assert_int_equal(emitting.store.end[PJ__IN_MEMORY], 0);
		end(&emitting);
	}
}

/* A run whose checksums are right and whose states are not. */
static void stored_states_of_a_wrong_size(void **state)
{
	(void)state;
	static const pj_aggregate *const kinds[] = {&pj_sum_i64, &pj_min_i64, &pj_sum_f64, &count_bytes};
	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		const size_t right = kinds[k]->state_bytes;
		for (size_t wrong = 0; wrong < 12; wrong++) {
			if (kinds[k] == &pj_sum_i64 ? wrong <= 8 : wrong == right)
				continue;
			const int fd = open_memory_file();
			char data[64];
			const char *stop =
				pj__put_record(data, pj_bytes_of("k"), (pj_bytes){"xxxxxxxxxxxxxxxx", wrong});
			pj__segment segment = {.bytes = (uint64_t)(stop - data), .pairs = 1};
			segment.checksum = pj__segment_checksum(&segment, data);
			const pj__run run = {.fd = fd, .bytes = segment.bytes, .index = segment.bytes, .buckets = 1};
			pj__combined combined;
			pj_error error;
			assert_int_equal(pwrite(fd, data, segment.bytes, 0), segment.bytes);
			assert_good(pj__combined_init(&combined, kinds[k], NULL, 1, &error), error);
			assert_fails(pj__combined_load(&combined, &run, &segment, 1, &error), PJ_ERR_CORRUPT, error);
			pj__combined_fini(&combined);
			close(fd);
		}
	}
}

/* More records than the index says would fill the table beyond its room: a search in it would have no end. */
static void more_records_than_said(void **state)
{
	(void)state;
	static const pj_aggregate *const kinds[] = {&pj_sum_i64, &pj_min_i64, &two_counts};
	enum { RECORDS = 3000 };
	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		const int fd = open_memory_file();
		char *data = malloc(RECORDS * 64), *to = data, key[24], zeros[32] = "";
		for (int i = 0; i < RECORDS; i++)
			to = pj__put_record(to, (pj_bytes){key, (size_t)sprintf(key, "%d", i)},
					    (pj_bytes){zeros, kinds[k] == &pj_sum_i64 ? 0 : kinds[k]->state_bytes});
		pj__segment segment = {.bytes = (uint64_t)(to - data), .pairs = 3};
		segment.checksum = pj__segment_checksum(&segment, data);
		const pj__run run = {.fd = fd, .bytes = segment.bytes, .index = segment.bytes, .buckets = 1};
		pj__combined combined;
		pj_error error;
		assert_int_equal(pwrite(fd, data, segment.bytes, 0), segment.bytes);
		assert_good(pj__combined_init(&combined, kinds[k], NULL, 1, &error), error);
		assert_fails(pj__combined_load(&combined, &run, &segment, 1, &error), PJ_ERR_CORRUPT, error);
		pj__combined_fini(&combined);
		free(data);
		close(fd);
	}
}

/* Looks up long keys that differ in one byte each, under their own hashes or all under one. */
static void find_like_keys(pj__table *table, const pj_bytes *keys, size_t count, bool same_hash)
{
	const pj__combine_kernel *kernel = pj__combine_usable();
	uint64_t hashes[PJ__LONG_AT_ONCE];
	char *entries[PJ__LONG_AT_ONCE], *again[PJ__LONG_AT_ONCE];
	bool fresh[PJ__LONG_AT_ONCE];
	pj__table_clear(table);
	kernel->look_ahead_long(table, keys, count, hashes);
	for (size_t i = 0; i < count; i++) {
		assert_true(hashes[i] == kernel->hash_long(table->seed, keys[i]));
		assert_true(i == 0 || hashes[i] != hashes[0]);
		hashes[i] = same_hash ? 7 : hashes[i];
	}
	assert_true(kernel->find_long(table, keys, hashes, count, entries, fresh));
	assert_int_equal(table->count, count);
	for (size_t i = 0; i < count; i++) {
		const pj_bytes there = pj__entry_key(table, entries[i]);
		assert_true(fresh[i]);
		assert_int_equal(there.len, keys[i].len);
		assert_memory_equal(there.ptr, keys[i].ptr, there.len);
	}
	assert_true(kernel->find_long(table, keys, hashes, count, again, fresh));
	for (size_t i = 0; i < count; i++) {
		assert_false(fresh[i]);
		assert_ptr_equal(again[i], entries[i]);
	}
}

/* A byte behind the key, or one before its end that is passed over, would be seen. */
static void long_keys_of_every_length(void **state)
{
	(void)state;
	enum { LEN_MOST = 300, LIKE = 40 };
	static char bytes[LIKE][LEN_MOST + 1];
	pj__table table;
	pj_error error;
	assert_good(pj__table_init(&table, 40, 256, 256, 1, &error), error);
	for (size_t len = PJ_SLOT_KEY_BYTES + 1; len <= LEN_MOST; len++) {
		pj_bytes keys[LIKE];
		for (size_t i = 0; i < LIKE; i++) {
			memset(bytes[i], 'k', len);
			bytes[i][len] = (char)('A' + i);
			if (i)
				bytes[i][i < LIKE - 1 ? (i * 7919 + len) % len : len - 1] = (char)i;
			keys[i] = (pj_bytes){bytes[i], len};
		}
		find_like_keys(&table, keys, LIKE, false);
		find_like_keys(&table, keys, LIKE, true);
	}
	pj__table_fini(&table);
}

static void narrow_sums_come_back(void **state)
{
	(void)state;
	uint64_t random = 3;
	for (int i = 0; i < 100000; i++) {
		const int64_t value = (int64_t)(random_bits(&random) >> random_below(&random, 64)) * (i % 2 ? 1 : -1);
		char bytes[8];
		const size_t len = pj__put_narrow(bytes, value);
		assert_true(len <= 8 && (len == 0) == (value == 0));
		assert_true(pj__get_narrow((pj_bytes){bytes, len}) == value);
	}
	char bytes[8];
	assert_int_equal(pj__put_narrow(bytes, INT64_MIN), 8);
	assert_true(pj__get_narrow((pj_bytes){bytes, 8}) == INT64_MIN);
}

int main(void)
{
	alarm(60);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_aggregate_comes_to_the_same),
		cmocka_unit_test(sums_are_judged_at_the_end),
		cmocka_unit_test(a_full_table_writes_itself),
		cmocka_unit_test(gathered_values_stay_in_order),
		cmocka_unit_test(gathered_numbers_keep_their_bits),
		cmocka_unit_test(nothing_is_written_for_nothing),
		cmocka_unit_test(failures_stop_the_task),
		cmocka_unit_test(stored_states_of_a_wrong_size),
		cmocka_unit_test(more_records_than_said),
		cmocka_unit_test(long_keys_of_every_length),
		cmocka_unit_test(narrow_sums_come_back),
	};
	return run_for_every_isa(tests, NULL, NULL);
}
