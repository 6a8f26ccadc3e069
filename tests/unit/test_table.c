/*
 * test_table.c: the combining table against a plain list of keys; and which bucket a key falls into.
 */
#include "testing.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "shuffle/partition.h"
#include "shuffle/table.h"

/* Key `number` of a kind: short, of the longest short length, long with a common beginning, with zero bytes, empty. */
static pj_bytes make_key(char *to, size_t number)
{
	size_t len = 0;
	switch (number % 5) {
	case 0:
		len = (size_t)sprintf(to, "%zu", number);
		break;
	case 1:
		len = (size_t)sprintf(to, "%023zu", number);
		break;
	case 2:
		len = (size_t)sprintf(to, "the same beginning of them all %zu", number);
		break;
	case 3:
		len = (size_t)sprintf(to, "%zu", number) + 1 + number % 3; /* with zero bytes behind */
		memset(to + strlen(to), 0, 8);
		break;
	default:
		len = (size_t)sprintf(to, "%024zu", number);
		break;
	}
	return (pj_bytes){to, number ? len : 0};
}

/* The state of a key, a count; short keys are looked up as from a slot, every other time. */
static char *find(pj__table *table, pj_bytes bytes, bool as_slot, bool *fresh)
{
	if (!as_slot || bytes.len > PJ_SLOT_KEY_BYTES)
		return pj__table_find_bytes(table, bytes, fresh);
	pj_slot slot = {.key_tag = (uint8_t)(bytes.len + 1)};
	if (bytes.len)
		memcpy(slot.key, bytes.ptr, bytes.len);
	const pj__key key = pj__key_of_slot(&slot);
	const pj__key same = pj__key_of_bytes(bytes);
	assert_memory_equal(&key, &same, sizeof key);
	return pj__table_find(table, key, table->hash(table->seed, key), table->stride, fresh);
}

static void add_one(pj__table *table, pj_bytes key, bool as_slot, uint64_t expected)
{
	bool full, fresh = expected != 0;
	uint64_t count;
	pj_error error;
	assert_good(pj__table_reserve(table, 1, &full, &error), error);
	assert_false(full);
	char *entry = find(table, key, as_slot, &fresh);
	assert_non_null(entry);
	assert_int_equal(fresh, expected == 0);
	memcpy(&count, pj__entry_state(entry), sizeof count);
	assert_int_equal(count, expected);
	count++;
	memcpy(pj__entry_state(entry), &count, sizeof count);
	assert_true(pj_bytes_equal(pj__entry_key(table, entry), key));
}

/* Goes through all entries: each of the first `keys` keys is there once, and nothing else. */
static void check_entries(const pj__table *table, size_t keys)
{
	size_t found = 0;
	for (size_t i = 0; i <= table->mask; i++)
		found += pj__entry_tag(pj__entry(table, i, table->stride)) != 0;
	assert_int_equal(found, keys);
	assert_int_equal(table->count, keys);
}

static void every_key_has_one_state(void **state)
{
	(void)state;
	static const size_t state_sizes[] = {8, 16, 40, 1024};
	char bytes[80];
	for (size_t s = 0; s < sizeof state_sizes / sizeof *state_sizes; s++) {
		const size_t keys = state_sizes[s] > 100 ? 500 : 20000;
		pj__table table;
		pj_error error;
		assert_good(pj__table_init(&table, state_sizes[s], 1, 1 << 20, s * 77, &error), error);
		for (uint64_t round = 0; round < 3; round++)
			for (size_t i = 0; i < keys; i++)
				add_one(&table, make_key(bytes, i), (i + round) % 2, round);
		check_entries(&table, keys);
		pj__table_clear(&table);
		check_entries(&table, 0);
		for (size_t i = 0; i < keys / 3; i++)
			add_one(&table, make_key(bytes, i), i % 2, 0);
		check_entries(&table, keys / 3);
		pj__table_fini(&table);
		pj__table_fini(&table);
	}
}

/* States begin as zeros, whatever was there before the table was emptied, made larger or smaller. */
static void emptied_tables_are_zero(void **state)
{
	(void)state;
	pj__table table;
	pj_error error;
	char bytes[80], zeros[24] = {0};
	bool fresh;
	assert_good(pj__table_init(&table, 20, 64, 1 << 20, 5, &error), error);
	static const size_t expected[] = {10, 5000, 100, 5000, 0, 40000, 60, 119, 61};
	for (size_t round = 0; round < sizeof expected / sizeof *expected; round++) {
		assert_good(pj__table_reset(&table, expected[round], &error), error);
		check_entries(&table, 0);
		assert_true(table.limit >= expected[round]);
		for (size_t i = 0; i < expected[round]; i++) {
			char *entry = find(&table, make_key(bytes, i), i % 2, &fresh);
			assert_true(fresh);
			assert_memory_equal(pj__entry_state(entry), zeros, 20);
			memset(pj__entry_state(entry), 0xee, table.stride - PJ__KEY_BYTES);
		}
		check_entries(&table, expected[round]);
	}
	pj__table_fini(&table);
}

static void a_table_that_may_not_grow_is_full(void **state)
{
	(void)state;
	pj__table table;
	pj_error error;
	char bytes[80];
	bool full = false, fresh;
	size_t keys = 0;
	assert_good(pj__table_init(&table, 8, 64, 1024, 6, &error), error);
	for (;;) {
		assert_good(pj__table_reserve(&table, 3, &full, &error), error);
		if (full)
			break;
		for (int i = 0; i < 3; i++)
			find(&table, make_key(bytes, keys++), false, &fresh);
	}
	assert_in_range(keys, 300, 1023); /* never without a free entry: a search would have no end */
	check_entries(&table, keys);
	pj__table_clear(&table);
	assert_good(pj__table_reserve(&table, 3, &full, &error), error);
	assert_false(full);
	pj__table_fini(&table);
}

static void hostile_sizes_are_refused(void **state)
{
	(void)state;
	pj__table table;
	pj_error error;
	assert_fails(pj__table_init(&table, 1024, SIZE_MAX, SIZE_MAX, 7, &error), PJ_ERR_MEMORY, error);
	assert_good(pj__table_init(&table, 8, 64, SIZE_MAX, 7, &error), error);
	assert_fails(pj__table_reset(&table, SIZE_MAX / 2, &error), PJ_ERR_MEMORY, error);
	pj__table_fini(&table);
}

/* -------------------------------------------------------------------------------------------------- the partition */

static pj__partition make_partition(uint32_t parts, uint32_t ranges, uint64_t *random, size_t sampled, size_t kinds)
{
	pj__partition partition;
	pj_error error;
	char bytes[80];
	pj_text sample = {0};
	for (size_t i = 0; i < sampled; i++)
		pj__sample_add(&sample, make_key(bytes, random_below(random, kinds)));
	assert_good(pj__partition_init(&partition, parts, ranges, pj__text_all(&sample), false, &error), error);
	pj__text_fini(&sample);
	return partition;
}

/* What the header says, word for word. */
static uint32_t plain_bucket(const pj__partition *partition, pj_bytes key)
{
	uint32_t range = 0;
	for (uint32_t i = 0; i + 1 < partition->ranges; i++)
		if (pj_bytes_compare(partition->splitters[i], key) <= 0)
			range = i + 1;
	return (uint32_t)(XXH3_64bits(key.ptr, key.len) % partition->parts) * partition->ranges + range;
}

static void buckets_are_as_the_header_says(void **state)
{
	(void)state;
	uint64_t random = 8;
	char bytes[80];
	for (int times = 0; times < 60; times++) {
		const uint32_t parts = (uint32_t)random_below(&random, 20) + 1,
			       ranges = (uint32_t)random_below(&random, 40);
		const size_t sampled = times % 5 ? random_below(&random, 300) : 0;
		pj__partition partition = make_partition(parts, ranges, &random, sampled, 1 + times * 3), copy;
		pj_error error;
		assert_int_equal(partition.buckets, partition.parts * partition.ranges);
		assert_in_range(partition.ranges, 1, ranges > 1 && sampled ? ranges : 1);
		for (uint32_t i = 1; i + 1 < partition.ranges; i++)
			assert_true(pj_bytes_compare(partition.splitters[i - 1], partition.splitters[i]) < 0);
		assert_good(pj__partition_load(&copy, parts, pj__text_all(&partition.text), &error), error);
		for (size_t i = 0; i < 400; i++) {
			const pj_bytes key = make_key(bytes, i);
			const uint32_t bucket = pj__partition_bucket(&partition, key);
			assert_int_equal(bucket, plain_bucket(&partition, key));
			assert_int_equal(bucket, pj__partition_bucket(&copy, key));
			assert_int_equal(bucket / partition.ranges, pj__partition_part(&partition, key));
		}
		pj__partition_fini(&copy);
		pj__partition_fini(&partition);
		pj__partition_fini(&partition);
	}
}

/* Keys of few kinds, with beginnings in common and zero bytes at their ends: what leads alone do not tell apart. */
static pj_bytes make_close_key(char *bytes, uint64_t *random)
{
	size_t len = random_below(random, 3) ? random_below(random, 4) : 14 + random_below(random, 8);
	memset(bytes, 'a', len);
	for (size_t i = len < 4 ? 0 : len - 4; i < len; i++)
		bytes[i] = "\0a"[random_below(random, 2)];
	return (pj_bytes){bytes, len};
}

/* Which file a key is in depends on the sample and the number of files, however fine the ranges are. */
static void files_do_not_depend_on_finer_ranges(void **state)
{
	(void)state;
	uint64_t random = 10;
	char bytes[80];
	for (int times = 0; times < 60; times++) {
		enum { FINER = 5 };
		const uint32_t files = 1 + (uint32_t)random_below(&random, 30);
		uint32_t firsts[FINER + 1][32];
		pj__partition partitions[FINER + 1];
		pj_error error;
		pj_text sample = {0};
		for (size_t i = times % 6 ? random_below(&random, 300) : 0; i > 0; i--)
			pj__sample_add(&sample, make_close_key(bytes, &random));
		for (uint32_t finer = 1; finer <= FINER; finer++) {
			pj__partition *partition = &partitions[finer];
			assert_good(pj__partition_init_files(partition, files, finer, pj__text_all(&sample), false,
							     firsts[finer], &error),
				    error);
			assert_int_equal(firsts[finer][0], 0);
			assert_int_equal(firsts[finer][files], partition->buckets);
			for (uint32_t i = 0; i < files; i++)
				assert_true(firsts[finer][i] <= firsts[finer][i + 1]);
		}
		for (size_t i = 0; i < 300; i++) {
			const pj_bytes key = make_close_key(bytes, &random);
			uint32_t file[FINER + 1] = {0};
			for (uint32_t finer = 1; finer <= FINER; finer++) {
				const uint32_t bucket = pj__partition_bucket(&partitions[finer], key);
				assert_int_equal(bucket, plain_bucket(&partitions[finer], key));
				while (firsts[finer][file[finer] + 1] <= bucket)
					file[finer]++;
				assert_int_equal(file[finer], file[1]);
			}
		}
		for (uint32_t finer = 1; finer <= FINER; finer++)
			pj__partition_fini(&partitions[finer]);
		pj__text_fini(&sample);
	}
}

/* Keys in order are in ranges in order: else part after part would not be in key order. */
static void ranges_are_in_key_order(void **state)
{
	(void)state;
	uint64_t random = 9;
	pj__partition partition = make_partition(1, 64, &random, 3000, 4000);
	char first[80], second[80];
	assert_in_range(partition.ranges, 16, 64);
	for (int times = 0; times < 20000; times++) {
		const pj_bytes a = make_key(first, random_below(&random, 5000)),
			       b = make_key(second, random_below(&random, 5000));
		if (pj_bytes_compare(a, b) <= 0)
			assert_true(pj__partition_bucket(&partition, a) <= pj__partition_bucket(&partition, b));
	}
	pj__partition_fini(&partition);
}

static void check_shares(const char *prefix)
{
	enum { KEYS = 100000, RANGES = 16 };
	uint64_t random = 10;
	pj__partition partition;
	pj_error error;
	pj_text sample = {0};
	size_t shares[RANGES] = {0};
	char bytes[80];
	for (size_t i = 0; i < KEYS / 10; i++)
		pj__sample_add(&sample,
			       (pj_bytes){bytes, (size_t)sprintf(bytes, "%s%zu", prefix, random_below(&random, KEYS))});
	assert_good(pj__partition_init(&partition, 1, RANGES, pj__text_all(&sample), false, &error), error);
	assert_int_equal(partition.ranges, RANGES);
	for (size_t i = 0; i < KEYS; i++)
		shares[pj__partition_bucket(&partition,
					    (pj_bytes){bytes, (size_t)sprintf(bytes, "%s%zu", prefix, i)})]++;
	for (size_t i = 0; i < RANGES; i++)
		assert_in_range(shares[i], KEYS / RANGES * 8 / 10, KEYS / RANGES * 12 / 10);
	pj__partition_fini(&partition);
	pj__text_fini(&sample);
}

static void shares_are_even(void **state)
{
	(void)state;
	check_shares("");
}

/* Log lines that begin with the same hour, addresses of the same site. */
static void shares_of_keys_with_one_beginning_are_even(void **state)
{
	(void)state;
	check_shares("https://an.example/of/a/long/beginning/");
}

static void a_damaged_sample_is_refused(void **state)
{
	(void)state;
	pj__partition partition;
	pj_error error;
	static const char cut[] = "\005\000abc";
	assert_int_equal(pj__partition_init(&partition, 1, 4, (pj_bytes){cut, 5}, false, &error), PJ_ERR_CORRUPT);
	assert_int_equal(pj__partition_load(&partition, 1, (pj_bytes){cut, 5}, &error), PJ_ERR_CORRUPT);
}

int main(void)
{
	alarm(60);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_has_one_state),
		cmocka_unit_test(emptied_tables_are_zero),
		cmocka_unit_test(a_table_that_may_not_grow_is_full),
		cmocka_unit_test(hostile_sizes_are_refused),
		cmocka_unit_test(buckets_are_as_the_header_says),
		cmocka_unit_test(files_do_not_depend_on_finer_ranges),
		cmocka_unit_test(ranges_are_in_key_order),
		cmocka_unit_test(shares_are_even),
		cmocka_unit_test(shares_of_keys_with_one_beginning_are_even),
		cmocka_unit_test(a_damaged_sample_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
