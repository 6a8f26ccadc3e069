/*
 * test_sort.c: pj__sort against a stable sort with pj_bytes_compare, on keys that are made to be hard.
 */
#include "testing.h"

#include "run/sort.h"

struct keys {
	pj_bytes *at;
	size_t count;
	char *memory;
};

static struct keys keys_create(size_t count, size_t longest)
{
	struct keys keys = {calloc(count + 1, sizeof *keys.at), count, calloc(count + 1, longest + 1)};
	assert_true(keys.at && keys.memory);
	for (size_t i = 0; i < count; i++)
		keys.at[i].ptr = keys.memory + i * longest;
	return keys;
}

static void keys_destroy(struct keys *keys)
{
	free(keys->at);
	free(keys->memory);
}

static char *bytes_of(const struct keys *keys, size_t index)
{
	return keys->memory + (keys->at[index].ptr - keys->memory);
}

static pj_bytes key_of(const void *context, uint64_t at)
{
	return ((const pj_bytes *)context)[at];
}

/* qsort_r: by key, then by number, which is what stable means. */
static int compare(const void *a, const void *b, void *keys)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	const int order = pj_bytes_compare(((const pj_bytes *)keys)[x], ((const pj_bytes *)keys)[y]);
	return order ? order : (x > y) - (x < y);
}

static void check(const struct keys *keys)
{
	const size_t count = keys->count;
	uint64_t *expected = calloc(count + 1, sizeof *expected);
	pj__item *items = calloc(count + 1, sizeof *items), *scratch = calloc(count + 1, sizeof *scratch);
	assert_true(expected && items && scratch);
	for (size_t i = 0; i < count; i++) {
		expected[i] = i;
		items[i] = (pj__item){pj__prefix(keys->at[i], 0), i};
	}
	qsort_r(expected, count, sizeof *expected, compare, keys->at);
	pj__sort(items, count, scratch, key_of, keys->at);
	for (size_t i = 0; i < count; i++)
		if (items[i].at != expected[i])
			fail_msg("of %zu keys, place %zu has key %zu, it should be %zu", count, i, (size_t)items[i].at,
				 (size_t)expected[i]);
	free(expected);
	free(items);
	free(scratch);
}

/* Few different bytes, zero among them, any length: ties, prefixes of each other, zeros at ends. */
static void few_letters(void **state)
{
	(void)state;
	static const char letters[] = {0, 'a', (char)0xff, 1};
	uint64_t random = 1;
	for (int times = 0; times < 400; times++) {
		const size_t longest = random_below(&random, 41), count = random_below(&random, times % 8 ? 200 : 3000);
		const size_t kinds = 1 + random_below(&random, sizeof letters);
		struct keys keys = keys_create(count, 40);
		for (size_t i = 0; i < count; i++) {
			keys.at[i].len = random_below(&random, longest + 1);
			for (size_t b = 0; b < keys.at[i].len; b++)
				bytes_of(&keys, i)[b] = letters[random_below(&random, kinds)];
		}
		check(&keys);
		keys_destroy(&keys);
	}
}

/* A long common prefix, then something: the radix sort has to go deep. */
static void common_prefixes(void **state)
{
	(void)state;
	uint64_t random = 2;
	for (size_t common = 0; common <= 100; common += 1 + random_below(&random, 4)) {
		struct keys keys = keys_create(700, 140);
		for (size_t i = 0; i < keys.count; i++) {
			const size_t tail = random_below(&random, 12);
			char *to = bytes_of(&keys, i);
			memset(to, 'p', common);
			for (size_t b = 0; b < tail; b++)
				to[common + b] = (char)random_below(&random, 3);
			keys.at[i].len = random_below(&random, 50) ? common + tail : random_below(&random, common + 1);
		}
		check(&keys);
		keys_destroy(&keys);
	}
}

/* "a", "a\0", "a\0\0" ... tie in every eight bytes there are; only their lengths part them. */
static void zero_bytes_at_the_end(void **state)
{
	(void)state;
	uint64_t random = 3;
	for (size_t count = 1; count <= 4096; count *= 2) {
		struct keys keys = keys_create(count, 64);
		for (size_t i = 0; i < count; i++) {
			if (random_below(&random, 10))
				bytes_of(&keys, i)[0] = 'a';
			keys.at[i].len = random_below(&random, 41);
		}
		check(&keys);
		keys_destroy(&keys);
	}
}

static void all_equal(void **state)
{
	(void)state;
	for (size_t len = 0; len <= 40; len += 5) {
		struct keys keys = keys_create(3000, 40);
		for (size_t i = 0; i < keys.count; i++) {
			memset(bytes_of(&keys, i), 'e', len);
			keys.at[i].len = len;
		}
		check(&keys);
		keys_destroy(&keys);
	}
}

/* Sorted, reversed, and each a prefix of the next: every count up to 100 and some more. */
static void ordered_keys(void **state)
{
	(void)state;
	for (size_t count = 0; count <= 2000; count = count < 100 ? count + 1 : count * 2) {
		for (int kind = 0; kind < 4; kind++) {
			struct keys keys = keys_create(count, 2048);
			for (size_t i = 0; i < count; i++) {
				const size_t number = kind % 2 ? count - 1 - i : i;
				if (kind < 2) {
					keys.at[i].len = (size_t)sprintf(bytes_of(&keys, i), "%08zu", number);
				} else {
					memset(bytes_of(&keys, i), kind == 2 ? 'x' : 0, number);
					keys.at[i].len = number;
				}
			}
			check(&keys);
			keys_destroy(&keys);
		}
	}
}

/* Each key has a byte more in common with the next: with the smaller part in the loop the stack would overflow. */
static void a_staircase_of_prefixes(void **state)
{
	(void)state;
	const size_t steps = 1500, each = 26;
	struct keys keys = keys_create(steps * each, steps + 1);
	for (size_t i = 0; i < keys.count; i++) {
		const size_t len = i % steps;
		char *to = bytes_of(&keys, i);
		memset(to, 's', len);
		to[len] = (char)('a' + i / steps);
		keys.at[i].len = len + 1;
	}
	check(&keys);
	keys_destroy(&keys);
}

static void random_bytes(void **state)
{
	(void)state;
	uint64_t random = 4;
	struct keys keys = keys_create(50000, 24);
	for (size_t i = 0; i < keys.count; i++) {
		keys.at[i].len = random_below(&random, 25);
		for (size_t b = 0; b < keys.at[i].len; b++)
			bytes_of(&keys, i)[b] = (char)random_bits(&random);
	}
	check(&keys);
	keys_destroy(&keys);
}

int main(void)
{
	alarm(60);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(few_letters),           cmocka_unit_test(common_prefixes),
		cmocka_unit_test(zero_bytes_at_the_end), cmocka_unit_test(all_equal),
		cmocka_unit_test(ordered_keys),          cmocka_unit_test(a_staircase_of_prefixes),
		cmocka_unit_test(random_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
