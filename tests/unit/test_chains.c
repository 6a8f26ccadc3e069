/*
 * test_chains.c: pj__chains hand out what a stable sort does, whenever they say that it pays.
 */
#include "testing.h"

#include "shuffle/chains.h"

enum { LONGEST = 64 };

struct keys {
	pj_bytes *at;
	size_t count;
	char *memory;
};

/* `kinds` different keys, each as often as chance will have it; long ones begin alike. */
static struct keys make_keys(size_t count, size_t kinds, bool are_long, uint64_t *random)
{
	struct keys keys = {calloc(count + 1, sizeof *keys.at), count, calloc(count + 1, LONGEST)};
	assert_true(keys.at && keys.memory);
	for (size_t i = 0; i < count; i++) {
		char *bytes = keys.memory + i * LONGEST;
		const size_t kind = random_below(random, kinds);
		keys.at[i] = (pj_bytes){bytes,
					(size_t)sprintf(bytes, "%s%zu", are_long ? "keys that begin so, " : "", kind)};
	}
	return keys;
}

static pj_bytes key_of(const void *context, uint64_t at)
{
	return ((const pj_bytes *)context)[at];
}

static int compare(const void *a, const void *b, void *keys)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	const int order = pj_bytes_compare(((const pj_bytes *)keys)[x], ((const pj_bytes *)keys)[y]);
	return order ? order : (x > y) - (x < y);
}

/* Returns whether there were chains. */
static bool check(const struct keys *keys)
{
	const size_t count = keys->count;
	uint64_t *expected = calloc(count + 1, sizeof *expected), at;
	pj__item *items = calloc(2 * count + 1, sizeof *items);
	pj__chains chains;
	assert_true(expected && items);
	for (size_t i = 0; i < count; i++) {
		expected[i] = i;
		items[i] = (pj__item){pj__prefix(keys->at[i], 0), i};
	}
	qsort_r(expected, count, sizeof *expected, compare, keys->at);
	const bool made = pj__chains_make(&chains, items, count, key_of, keys->at);
	assert_int_equal(made, chains.next != NULL);
	for (size_t i = 0; made && i < count; i++) {
		assert_true(pj__chains_step(&chains, &at));
		assert_int_equal(at, expected[i]);
		assert_int_equal(chains.fresh, !i || !pj_bytes_equal(keys->at[at], keys->at[expected[i - 1]]));
	}
	for (int again = 0; again < 2 && made; again++)
		assert_false(pj__chains_step(&chains, &at));
	for (size_t i = 0; i < count; i++)
		assert_int_equal(items[i].at, i); /* they stay as they are */
	free(expected);
	free(items);
	return made;
}

static void chains_are_a_stable_sort(void **state)
{
	(void)state;
	uint64_t random = 1;
	static const size_t counts[] = {4096, 4097, 5003, 20000, 100001}, kinds[] = {1, 2, 100, 500};
	for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
		for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
			struct keys keys = make_keys(counts[c], kinds[k], true, &random);
			assert_true(check(&keys));
			free(keys.at);
			free(keys.memory);
		}
	}
}

static void they_are_not_made_where_they_do_not_pay(void **state)
{
	(void)state;
	static const struct {
		size_t count, kinds;
		bool are_long;
	} cases[] = {{0, 1, true}, {4095, 1, true}, {20000, 10000000, true}, {20000, 19000, true}, {20000, 100, false}};
	uint64_t random = 2;
	for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
		struct keys keys = make_keys(cases[c].count, cases[c].kinds, cases[c].are_long, &random);
		assert_false(check(&keys));
		free(keys.at);
		free(keys.memory);
	}
}

/* The sample sees one key again and again; all the others are different: it is given up, and nothing has changed. */
static void a_sample_may_be_wrong(void **state)
{
	(void)state;
	uint64_t random = 3;
	struct keys keys = make_keys(50000, 1000000000, true, &random);
	for (size_t i = 0; i < keys.count; i += 2)
		keys.at[i] = pj_bytes_of("the key that is everywhere");
	assert_false(check(&keys));
	free(keys.at);
	free(keys.memory);
}

/* Keys that come back in a rhythm. */
static void rhythms_do_not_deceive_the_sample(void **state)
{
	(void)state;
	uint64_t random = 4;
	struct keys keys = make_keys(150000, 1, true, &random);
	for (size_t i = 0; i < keys.count; i++)
		keys.at[i].len =
			(size_t)sprintf((char *)keys.memory + i * LONGEST, "one of five thousand keys, %zu", i % 5000);
	assert_true(check(&keys));
	free(keys.at);
	free(keys.memory);
}

/* Nearly a quarter as many keys as items: the table is full before the room for keys is, whatever its size. */
static void a_full_table_gives_up(void **state)
{
	(void)state;
	uint64_t random = 3;
	for (size_t count = 65536; count <= 131072; count += 21845) {
		struct keys keys = make_keys(count, count * 26 / 100, true, &random);
		(void)check(&keys);
		free(keys.at);
		free(keys.memory);
	}
}

int main(void)
{
	alarm(60);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_table_gives_up),
		cmocka_unit_test(chains_are_a_stable_sort),
		cmocka_unit_test(they_are_not_made_where_they_do_not_pay),
		cmocka_unit_test(a_sample_may_be_wrong),
		cmocka_unit_test(rhythms_do_not_deceive_the_sample),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
