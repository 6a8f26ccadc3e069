/*
 * test_keys.c: orders and groups of a job's own (run/keys.h): sorting and merging by them is stable and loses nothing,
 * whatever the order; what is parted by them is not split; and windows of pairs are combined.
 */
#include "testing.h"

#include <papjuice/job.h>

#include "shuffle/groups.h"
#include "shuffle/partition.h"
#include "shuffle/window.h"

enum { PAIRS = 3000 };

static int lower(char byte)
{
	return byte >= 'A' && byte <= 'Z' ? byte + 32 : (unsigned char)byte;
}

static int by_case(pj_bytes a, pj_bytes b, void *arg)
{
	(void)arg;
	for (size_t i = 0; i < a.len && i < b.len; i++)
		if (lower(a.ptr[i]) != lower(b.ptr[i]))
			return lower(a.ptr[i]) - lower(b.ptr[i]);
	return (a.len > b.len) - (a.len < b.len);
}

static int backwards(pj_bytes a, pj_bytes b, void *arg)
{
	(void)arg;
	return pj_bytes_compare(b, a);
}

/* Contradicts itself: whatever it is asked, the answer is another one. */
static int wild(pj_bytes a, pj_bytes b, void *arg)
{
	(void)a;
	(void)b;
	return (int)random_below(arg, 3) - 1;
}

static size_t first_two(pj_bytes key, void *arg)
{
	(void)key;
	(void)arg;
	return 2; /* or more than there is */
}

static uint64_t random_state = 9;

static const pj_keys orders[] = {
	{.compare = by_case},
	{.compare = backwards},
	{.group = first_two},
	{.sort_values = true},
	{.compare = by_case, .group = first_two},
	{.compare = backwards, .group = first_two, .sort_values = true},
};
enum { ORDERS = sizeof orders / sizeof *orders };

/* Pairs as records, one behind another; the values are their numbers. */
struct records {
	char *data, *end;
	pj__item items[2 * PAIRS];
};

static pj_bytes take(const struct records *records, uint64_t at, pj_bytes *ret_value)
{
	pj_bytes key = {NULL, 0};
	*ret_value = key;
	assert_non_null(pj__get_record((const char *)(uintptr_t)at, records->end, &key, ret_value, NULL));
	return key;
}

static struct records *make_records(uint64_t *random)
{
	static const char letters[] = {'a', 'A', 'b', 'B', 0, (char)0xff};
	struct records *records = calloc(1, sizeof *records);
	char *to = records->data = malloc((size_t)PAIRS * 64);
	for (size_t i = 0; i < PAIRS; i++) {
		char key[12], value[24];
		const size_t len = random_below(random, sizeof key);
		for (size_t k = 0; k < len; k++)
			key[k] = letters[random_below(random, k < 6 ? sizeof letters : 1)];
		const int digits = snprintf(value, sizeof value, "%zu", i * 7919 % 1000);
		records->items[i].at = (uintptr_t)to;
		to = pj__put_record(to, (pj_bytes){key, len}, (pj_bytes){value, (size_t)digits});
	}
	records->end = to;
	return records;
}

static void forget_records(struct records *records)
{
	free(records->data);
	free(records);
}

static int order_of(const pj_keys *keys, const struct records *records, uint64_t a, uint64_t b)
{
	pj_bytes x, y;
	const pj_bytes key_a = take(records, a, &x), key_b = take(records, b, &y);
	return pj__keys_compare_pairs(keys, key_a, x, key_b, y);
}

static void sorting_is_stable(void **state)
{
	(void)state;
	uint64_t random = 1;
	for (size_t o = 0; o < ORDERS; o++) {
		struct records *records = make_records(&random);
		pj__item *items = records->items;
		pj__keys_sort(&orders[o], items, PAIRS, items + PAIRS, records->end);
		for (size_t i = 1; i < PAIRS; i++) {
			const int order = order_of(&orders[o], records, items[i - 1].at, items[i].at);
			assert_true(order < 0 || (order == 0 && items[i - 1].at < items[i].at));
		}
		forget_records(records);
	}
}

static int by_address(const void *a, const void *b)
{
	const pj__item *x = a, *y = b;
	return (x->at > y->at) - (x->at < y->at);
}

static void a_wild_order_loses_nothing(void **state)
{
	(void)state;
	uint64_t random = 2;
	for (int times = 0; times < 20; times++) {
		const pj_keys keys = {.compare = wild, .arg = &random_state, .sort_values = times % 2};
		struct records *records = make_records(&random);
		pj__item *items = records->items;
		pj__keys_sort(&keys, items, PAIRS, items + PAIRS, records->end);
		qsort(items, PAIRS, sizeof *items, by_address);
		const char *at = records->data;
		pj_bytes key, value;
		for (size_t i = 0; i < PAIRS; i++) {
			assert_int_equal(items[i].at, (uintptr_t)at);
			at = pj__get_record(at, records->end, &key, &value, NULL);
		}
		forget_records(records);
	}
}

/* ------------------------------------------------------------------------------------------------------ the groups */

/* The records as a run of several segments, as they stand. */
static pj__run store_records(int fd, const struct records *records, pj__segment *segments, size_t count)
{
	for (size_t s = 0; s < count; s++) {
		const char *from = (const char *)(uintptr_t)records->items[PAIRS * s / count].at;
		const char *to = s + 1 == count ? records->end
						: (const char *)(uintptr_t)records->items[PAIRS * (s + 1) / count].at;
		segments[s] = (pj__segment){.offset = (uint64_t)(from - records->data),
					    .bytes = (uint64_t)(to - from),
					    .pairs = PAIRS * (s + 1) / count - PAIRS * s / count};
		segments[s].checksum = pj__segment_checksum(&segments[s], from);
	}
	const size_t bytes = (size_t)(records->end - records->data);
	assert_int_equal(pwrite(fd, records->data, bytes, 0), bytes);
	return (pj__run){.fd = fd, .bytes = bytes, .index = bytes, .buckets = (uint32_t)count};
}

static bool is_one_group(const pj_keys *keys, pj_bytes a, pj_bytes b)
{
	return !pj__keys_compare(keys, pj__keys_beginning(keys, a), pj__keys_beginning(keys, b));
}

/* Groups over segments against the sorted items; without `exact` only that every pair comes once. */
static void check_groups(const pj_keys *keys, pj__store *store, bool exact, uint64_t *random)
{
	enum { SEGMENTS = 9 };
	const int fd = open_memory_file();
	struct records *records = make_records(random);
	pj__segment segments[SEGMENTS];
	pj__run runs[SEGMENTS];
	pj__task *task = pj__task_holder(sizeof *task);
	pj__groups groups;
	pj_error error;
	pj_bytes group = {NULL, 0}, key, value, expected;
	bool more;
	runs[0] = store_records(fd, records, segments, SEGMENTS);
	for (size_t i = 1; i < SEGMENTS; i++)
		runs[i] = runs[0];
	pj__keys_sort(keys, records->items, PAIRS, records->items + PAIRS, records->end);
	pj__task_init(task, PJ_NUMBER_I64);
	pj__groups_init(&groups, task, store, store ? 4000 : 0);
	groups.keys = keys;
	assert_good(pj__groups_begin(&groups, runs, segments, SEGMENTS, &error), error);
	size_t found = 0;
	for (;;) {
		assert_good(pj__groups_next(&groups, &more, &group, &error), error);
		if (!more)
			break;
		assert_true(pj_bytes_equal(pj_value_key(&groups.values), group));
		const size_t first = found;
		while (pj_next_value(&groups.values, &value)) {
			assert_true(found < PAIRS);
			key = take(records, records->items[found++].at, &expected);
			if (!exact)
				continue;
			assert_true(pj_bytes_equal(pj_value_key(&groups.values), key));
			assert_true(pj_bytes_equal(value, expected));
			assert_true(is_one_group(keys, group, key));
		}
		assert_true(found > first);
		assert_true(pj_bytes_equal(pj_value_key(&groups.values), group));
		if (exact && found < PAIRS)
			assert_false(is_one_group(keys, group, take(records, records->items[found].at, &expected)));
	}
	assert_int_equal(found, PAIRS);
	assert_int_equal(task->status, PJ_OK);
	pj__groups_fini(&groups);
	free(task);
	forget_records(records);
	close(fd);
}

static void groups_by_each_order(void **state)
{
	(void)state;
	uint64_t random = 3;
	const int none[PJ__STORES] = {-1, -1};
	const uint64_t ends[PJ__STORES] = {0, 0};
	for (size_t o = 0; o <= ORDERS; o++) {
		const pj_keys contradiction = {.compare = wild, .arg = &random_state};
		const pj_keys *keys = o < ORDERS ? &orders[o] : &contradiction;
		pj__store on_disk;
		check_groups(keys, NULL, o < ORDERS, &random);
		pj__store_init(&on_disk, none, ends, 0, ".");
		check_groups(keys, &on_disk, o < ORDERS, &random);
		assert_true(on_disk.passes > 0);
		pj__store_fini(&on_disk);
	}
}

/* ------------------------------------------------------------------------------------------------- the partition */

static uint64_t part_by_first(pj_bytes key, uint64_t parts, void *arg)
{
	(void)arg;
	return key.len ? (uint64_t)lower(key.ptr[0]) % parts : 0;
}

static uint64_t part_beyond(pj_bytes key, uint64_t parts, void *arg)
{
	(void)key;
	(void)arg;
	return parts + (uint64_t)1e12;
}

/* What follows in the order has no lesser bucket; what is one group has the same. */
static void ranges_follow_the_order(void **state)
{
	(void)state;
	uint64_t random = 4;
	for (size_t o = 0; o < ORDERS; o++) {
		struct records *records = make_records(&random);
		const pj_keys beginnings = {.compare = orders[o].compare};
		pj_text sample = {0};
		pj__partition partition;
		pj_error error;
		pj_bytes value;
		for (size_t i = 0; i < PAIRS; i += 7)
			pj__sample_add(&sample,
				       pj__keys_beginning(&orders[o], take(records, records->items[i].at, &value)));
		assert_good(pj__sample_sort(&sample, &beginnings, &error), error);
		assert_good(pj__partition_init(&partition, 1, 40, pj__text_all(&sample), true, &error), error);
		partition.keys = &orders[o];
		pj__keys_sort(&orders[o], records->items, PAIRS, records->items + PAIRS, records->end);
		uint32_t last = 0, used = 0;
		for (size_t i = 0; i < PAIRS; i++) {
			const pj_bytes key = take(records, records->items[i].at, &value);
			const uint32_t bucket = pj__partition_bucket(&partition, key);
			assert_true(bucket >= last && bucket < partition.buckets);
			used += bucket != last;
			if (i && is_one_group(&orders[o], key, take(records, records->items[i - 1].at, &value)))
				assert_int_equal(bucket, last);
			last = bucket;
		}
		assert_true(used > 10);
		pj__partition_fini(&partition);
		pj__text_fini(&sample);
		forget_records(records);
	}
}

static void partitioners(void **state)
{
	(void)state;
	const pj_keys good = {.part = part_by_first}, bad = {.part = part_beyond};
	pj__task *task = pj__task_holder(sizeof *task);
	pj__partition partition;
	pj_error error;
	pj__task_init(task, PJ_NUMBER_I64);
	assert_good(pj__partition_init(&partition, 7, 1, (pj_bytes){NULL, 0}, false, &error), error);
	partition.keys = &good;
	partition.task = task;
	assert_int_equal(pj__partition_bucket(&partition, pj_bytes_of("bc")), 'b' % 7);
	assert_int_equal(task->status, PJ_OK);
	partition.keys = &bad;
	assert_int_equal(pj__partition_bucket(&partition, pj_bytes_of("bc")), 0);
	assert_int_equal(task->status, PJ_ERR_USER);
	assert_non_null(strstr(task->error.reason, "\"bc\" into part 1000000000007 of 7"));
	pj__partition_fini(&partition);
	free(task);
}

/* ----------------------------------------------------------------------------------------------------- the window */

static pj_status count_values(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	(void)arg;
	int64_t sum = 0, value;
	while (pj_next_i64(values, &value))
		sum += value;
	pj_emit_i64(task, key, sum);
	return PJ_OK;
}

static pj_status refuse(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	(void)task;
	(void)key;
	(void)values;
	(void)arg;
	return PJ_ERR_RECORD;
}

/* What is handed on: how many pairs, and the sum of their values. */
struct handed {
	uint64_t pairs;
	int64_t sum;
};

static void hand(void *arg, pj_bytes key, pj_bytes value)
{
	struct handed *handed = arg;
	int64_t number;
	(void)key;
	assert_true(pj_parse_i64(value, &number));
	handed->pairs++;
	handed->sum += number;
}

/*
 * Takes `count` pairs of `kinds` keys and ones, and as many bytes as fill the window. Returns how many are handed on.
 */
static uint64_t fill(pj__window *window, struct handed *handed, size_t count, size_t kinds)
{
	char *rest = calloc(1, PJ__WINDOW_RECORDS);
	size_t bytes = 0;
	*handed = (struct handed){0, 0};
	for (size_t i = 0; i < count; i++) {
		char key[8];
		const int len = snprintf(key, sizeof key, "%c%zu", i % 2 ? 'k' : 'K', i * 7919 % kinds);
		pj__window_take(window, (pj_bytes){key, (size_t)len}, pj_bytes_of("1"));
		bytes += pj__record_bytes((size_t)len, 1);
	}
	assert_int_equal(handed->pairs, 0);
	pj__window_take(window, (pj_bytes){rest, PJ__WINDOW_RECORDS - bytes - 10}, pj_bytes_of("0"));
	assert_int_equal(handed->pairs, 0);
	/* Longer than a window: it goes on by itself. */
	pj__window_take(window, (pj_bytes){rest, PJ__WINDOW_RECORDS}, pj_bytes_of("0"));
	free(rest);
	if (handed->pairs > 1) /* else the combiner has refused the others */
		assert_int_equal(handed->sum, count);
	return handed->pairs;
}

static void windows_are_combined_where_it_pays(void **state)
{
	(void)state;
	pj__task *task = pj__task_holder(sizeof *task);
	pj__window *window;
	pj_error error;
	struct handed handed;
	const pj_reducer counts = {.combine = count_values}, refuses = {.combine = refuse};
	pj__task_init(task, PJ_NUMBER_I64);
	assert_good(pj__window_create(&counts, NULL, task, hand, &handed, &window, &error), error);
	assert_int_equal(fill(window, &handed, 1000, 10), 10 + 2);
	assert_int_equal(fill(window, &handed, 900, 800), 900 + 2);
	assert_int_equal(fill(window, &handed, 1000, 10), 1000 + 2); /* one that was no use was before it */
	assert_int_equal(fill(window, &handed, 1000, 10), 10 + 2);
	assert_int_equal(fill(window, &handed, PJ__WINDOW_PAIRS + 5, 10), 10 + 5 + 2);
	assert_int_equal(fill(window, &handed, 900, 800), 900 + 2);
	pj__window_end_task(window);
	assert_int_equal(fill(window, &handed, 1000, 10), 10 + 2);
	pj__window_take(window, pj_bytes_of("k"), pj_bytes_of("1"));
	handed.pairs = 0;
	pj__window_end_task(window);
	assert_int_equal(handed.pairs, 1);
	pj__window_destroy(window);
	assert_good(pj__window_create(&counts, &orders[0], task, hand, &handed, &window, &error), error);
	assert_int_equal(fill(window, &handed, 1000, 5), 5 + 2); /* capitals are of no matter */
	pj__window_destroy(window);
	assert_int_equal(task->status, PJ_OK);
	assert_good(pj__window_create(&refuses, NULL, task, hand, &handed, &window, &error), error);
	fill(window, &handed, 1000, 10);
	assert_int_equal(task->status, PJ_ERR_RECORD);
	assert_non_null(strstr(task->error.hint, "combiner")); /* the sorter simple would not show it */
	pj__window_destroy(window);
	free(task);
}

/* Sums that leave the table early: their keys' parts are asked for twice. */
static pj_status emit_large(pj_task *task, pj_bytes line, void *arg)
{
	(void)arg;
	pj_emit_i64(task, line, INT64_MAX);
	pj_emit_i64(task, line, INT64_MAX);
	pj_emit_i64(task, line, -INT64_MAX);
	return PJ_OK;
}

static uint64_t fickle(pj_bytes key, uint64_t parts, void *arg)
{
	(void)key;
	return ++*(uint64_t *)arg % parts;
}

static void a_partitioner_that_contradicts_itself(void **state)
{
	(void)state;
	uint64_t asked = 0;
	const pj_bytes lines = pj_bytes_of("a\nbb\nccc\n");
	const pj_job job = {.abi = PJ_ABI,
			    .name = "fickle",
			    .mapper = {.line = emit_large},
			    .reducer = {.aggregate = &pj_sum_i64},
			    .keys = {.part = fickle, .arg = &asked}};
	const pj_options options = {.input = {.memory = &lines, .memory_count = 1},
				    .output = {.path = "fickle/"},
				    .workers = 1,
				    .partitions = 2};
	pj_error error;
	assert_fails(pj_run(&job, &options, NULL, &error), PJ_ERR_USER, error);
	assert_non_null(strstr(error.what, "contradicts itself"));
}

int main(void)
{
	alarm(60);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sorting_is_stable),
		cmocka_unit_test(a_wild_order_loses_nothing),
		cmocka_unit_test(groups_by_each_order),
		cmocka_unit_test(ranges_follow_the_order),
		cmocka_unit_test(partitioners),
		cmocka_unit_test(windows_are_combined_where_it_pays),
		cmocka_unit_test(a_partitioner_that_contradicts_itself),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
