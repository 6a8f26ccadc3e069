/*
 * test_sort_key.c: the keys of the job `sort`: which bytes of a line they are, and that the order of what is written is
 * the order of what was read.
 */
#include "testing.h"

#include "jobs/sort_key.h"

static pj__sort_key read_key(const char *text)
{
	pj__sort_key key;
	assert_true(pj__sort_key_read(pj_bytes_of(text), &key));
	return key;
}

static void assert_found(const char *spec, int separator, const char *line, const char *expected)
{
	const pj__sort_key key = read_key(spec);
	const pj_bytes found = pj__sort_key_find(&key, separator, pj_bytes_of(line));
	assert_int_equal(found.len, strlen(expected));
	assert_memory_equal(found.ptr, expected, found.len);
}

static void keys_are_found(void **state)
{
	(void)state;
	assert_found("1", -1, " a b", " a b");
	assert_found("2", -1, "a  b c", "  b c");
	assert_found("2,2", -1, "a  b c", "  b");
	assert_found("2b,2", -1, "a  b c", "b");
	assert_found("2.2,2.3", -1, "a  bc d", " b");
	assert_found("2.2b,2.3b", -1, "a  bcd e", "cd");
	assert_found("2.2b,2.3", -1, "a  bcd e", "");
	assert_found("3", -1, "a b", "");
	assert_found("2,1", -1, "a b", "");
	assert_found("2", ':', "a:b:c", "b:c");
	assert_found("2,2", ':', "a:b:c", "b");
	assert_found("2,2", ':', "a::c", "");
	assert_found("2,3", ':', "a:b:c:d", "b:c");
	assert_found("1.2,2.1", ':', "ab:cd", "b:c");
	assert_found("1,1", ':', "", "");
	assert_found("18446744073709551616", -1, "a", "");
	assert_found("1,18446744073709551616", -1, "a b", "a b");
	assert_found("1.2,1.18446744073709551615", -1, "abc d", "bc d");
}

static void letters_are_read(void **state)
{
	(void)state;
	pj__sort_key key = read_key("1n,2rb");
	assert_true(key.numeric && key.reverse && key.skips_end_blanks && !key.skips_start_blanks);
	static const char *const bad[] = {"", "0", "1.0", "1,0", "1.", "1,", "1x", "1,2,3", "1 ", "a"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(pj__sort_key_read(pj_bytes_of(bad[i]), &key));
}

typedef char *put(char *to, pj_bytes text);

/* The texts in ascending order: each must be written smaller than the next, and so that neither begins the other. */
static void assert_ascending(put *put_text, const pj_bytes *texts, size_t count)
{
	char written[2][256];
	size_t len[2] = {0, 0};
	for (size_t i = 0; i < count; i++) {
		char *const now = written[i % 2], *const before = written[!(i % 2)];
		char *const end = put_text(now, texts[i]);
		len[i % 2] = (size_t)(end - now);
		assert_true(len[i % 2] <= pj__sort_key_most(texts[i].len));
		if (i)
			assert_true(memcmp(before, now, len[0] < len[1] ? len[0] : len[1]) < 0);
	}
}

static void texts_keep_their_order(void **state)
{
	(void)state;
	static const pj_bytes texts[] = {{"", 0},       {"\0", 1},      {"\0\0", 2}, {"\0\1", 2}, {"\0\xff", 2},
					 {"\1", 1},     {"a", 1},       {"a\0", 2},  {"a\0b", 3}, {"a\1", 2},
					 {"aa", 2},     {"a\xff", 2},   {"b", 1},    {"\xff", 1}, {"\xff\0", 2},
					 {"\xff\1", 2}, {"\xff\xff", 2}};
	assert_ascending(pj__sort_put_bytes, texts, sizeof texts / sizeof *texts);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		char written[64], back[64];
		char *const end = pj__sort_put_bytes(written, texts[i]);
		pj__sort_complement(written, end);
		const pj_bytes complemented = {written, (size_t)(end - written)};
		assert_int_equal(pj__sort_take_complemented(back, complemented) - back, texts[i].len);
		assert_memory_equal(back, texts[i].ptr, texts[i].len);
	}
}

#define ZEROS_62 "00000000000000000000000000000000000000000000000000000000000000"

static void numbers_keep_their_order(void **state)
{
	(void)state;
	static const char *const texts[] = {"-1" ZEROS_62 "0",
					    "-1" ZEROS_62,
					    "-100.5",
					    "-100",
					    "-99.95",
					    "-10",
					    "-9",
					    "-1.01",
					    "-1",
					    "-.5",
					    "-.05",
					    "-." ZEROS_62 "001",
					    "0",
					    "." ZEROS_62 "001",
					    "." ZEROS_62 "01",
					    ".05",
					    ".051",
					    ".5",
					    ".55",
					    "1",
					    "1.001",
					    "1.01",
					    "9",
					    "10",
					    "10.5",
					    "11",
					    "99",
					    "100",
					    "100.01",
					    "1" ZEROS_62,
					    "1" ZEROS_62 "0"};
	pj_bytes bytes[sizeof texts / sizeof *texts];
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		bytes[i] = pj_bytes_of(texts[i]);
	assert_ascending(pj__sort_put_number, bytes, sizeof texts / sizeof *texts);
}

static void equal_numbers_are_written_alike(void **state)
{
	(void)state;
	static const char *const same[][5] = {{"0", "", "-0", "-", "-.00x"},
					      {"1", "01", " \t1.", "1.0", "1e5"},
					      {"-10.5", "-010.50", " -10.5x", "-10.5.5", "-0010.500"},
					      {".05", "0.05", "00.050", ".05 1", ".0500"},
					      {"+1", "x1", "- 1", ".", "--1"}};
	for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
		char first[64], other[64];
		const size_t len = (size_t)(pj__sort_put_number(first, pj_bytes_of(same[i][0])) - first);
		for (size_t j = 1; j < 5; j++) {
			assert_int_equal(pj__sort_put_number(other, pj_bytes_of(same[i][j])) - other, len);
			assert_memory_equal(first, other, len);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_found),
		cmocka_unit_test(letters_are_read),
		cmocka_unit_test(texts_keep_their_order),
		cmocka_unit_test(numbers_keep_their_order),
		cmocka_unit_test(equal_numbers_are_written_alike),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
