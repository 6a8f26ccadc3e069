/*
 * test_number.c: number.h against its own words, "the fewest digits", against libc, and at the borders where a
 * rounding goes the other way.
 */
#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <ftw.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/number.h"

/* xorshift64 (Marsaglia 2003): the same numbers in every run. */
static uint64_t random_bits(void)
{
	static uint64_t state = 88172645463325252u;
	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

static double double_of(uint64_t bits)
{
	double value;
	memcpy(&value, &bits, sizeof value);
	return value;
}

static uint64_t bits_of(double value)
{
	uint64_t bits;
	memcpy(&bits, &value, sizeof bits);
	return bits;
}

/* Parses a copy that ends where its memory ends, so that a sanitizer sees a read behind it. */
static bool parse_f64(const char *text, size_t len, double *ret_value)
{
	char *copy = malloc(len ? len : 1);
	memcpy(copy, text, len);
	const bool good = pj__parse_f64((pj_bytes){copy, len}, ret_value);
	free(copy);
	return good;
}

static bool parse_i64(const char *text, int64_t *ret_value)
{
	const size_t len = strlen(text);
	char *copy = malloc(len ? len : 1);
	memcpy(copy, text, len);
	const bool good = pj__parse_i64((pj_bytes){copy, len}, ret_value);
	free(copy);
	return good;
}

static void check_i64(int64_t value)
{
	char expected[32], text[PJ__I64_CHARS + 1];
	snprintf(expected, sizeof expected, "%lld", (long long)value);
	const size_t len = pj__format_i64(text, value);
	assert_in_range(len, 1, PJ__I64_CHARS);
	text[len] = 0;
	assert_string_equal(text, expected);
	int64_t back = ~value;
	assert_true(parse_i64(text, &back));
	assert_int_equal(back, value);
}

static void integers_are_written_and_read_as_by_libc(void **state)
{
	(void)state;
	const int64_t edges[] = {0, INT64_MAX, INT64_MIN, INT32_MAX, INT32_MIN, UINT32_MAX};
	for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
		check_i64(edges[i]);
	for (int64_t power = 1, i = 0; i < 18; i++, power *= 10)
		for (int64_t near = -2; near <= 2; near++) {
			check_i64(power + near);
			check_i64(-power + near);
		}
	for (int i = 0; i < 100000; i++)
		check_i64((int64_t)random_bits() >> (random_bits() % 64));
}

static void integers_are_read_strictly(void **state)
{
	(void)state;
	const char *const wrong[] = {"",
				     "-",
				     "+",
				     " 1",
				     "1 ",
				     "--1",
				     "+-1",
				     "0x1",
				     "1e3",
				     "1.0",
				     "1_0",
				     "9223372036854775808",
				     "-9223372036854775809",
				     "18446744073709551616",
				     "99999999999999999999999999",
				     "\xd9\xa1"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		int64_t value = 42;
		if (parse_i64(wrong[i], &value))
			fail_msg("\"%s\" was read as %lld", wrong[i], (long long)value);
		assert_int_equal(value, 42);
	}
	int64_t value;
	assert_false(pj__parse_i64((pj_bytes){NULL, 0}, &value));
	assert_false(pj__parse_i64((pj_bytes){"1\0", 2}, &value));
	assert_true(parse_i64("+7", &value));
	assert_int_equal(value, 7);
	assert_true(parse_i64("-0", &value));
	assert_int_equal(value, 0);
	assert_true(parse_i64("0000000000000000000000000000012", &value));
	assert_int_equal(value, 12);
	assert_true(parse_i64("-9223372036854775808", &value));
	assert_true(value == INT64_MIN);
}

/* The definition in number.h, word by word. */
static void check_f64(double value)
{
	char expected[64], text[PJ__F64_CHARS + 1];
	int digits = 0;
	do
		snprintf(expected, sizeof expected, "%.*e", digits++, value);
	while (strtod(expected, NULL) != value);
	const char *const e = strchr(expected, 'e'); /* infinity has none */
	const int exponent = e ? (int)strtol(e + 1, NULL, 10) : 0;
	if (e && exponent >= -4 && exponent < 16)
		snprintf(expected, sizeof expected, "%.*f", digits - 1 > exponent ? digits - 1 - exponent : 0, value);
	const size_t len = pj__format_f64(text, value);
	assert_in_range(len, 1, PJ__F64_CHARS);
	text[len] = 0;
	assert_string_equal(text, expected);
	double back = 42;
	assert_true(parse_f64(text, len, &back));
	assert_true(bits_of(back) == bits_of(value));
}

static void doubles_are_written_shortest(void **state)
{
	(void)state;
	const double edges[] = {0.0,
				-0.0,
				1,
				0.1,
				1.0 / 3,
				100,
				100000,
				123456,
				1e15,
				1e15 - 1,
				1e22,
				1e23,
				9e15,
				0.0001,
				0.00001,
				0.00012,
				5e-324,
				1e-320,
				2e-310,
				123e-9,
				1.5e-5,
				0.5,
				-2.25,
				999999,
				1e16,
				9007199254740993.0,
				1.7976931348623157e308,
				2.2250738585072014e-308,
				2.225073858507201e-308,
				4.35,
				8.41e21,
				2e-44,
				1e14 + 0.5};
	for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
		check_f64(edges[i]);
		check_f64(-edges[i]);
		check_f64(nextafter(edges[i], INFINITY));
		check_f64(nextafter(edges[i], -INFINITY));
	}
	for (int i = 0; i < 8000; i++) {
		const double any = double_of(random_bits());
		if (isfinite(any))
			check_f64(any);
		check_f64(double_of(random_bits() >> (12 + random_bits() % 52))); /* subnormal */
		check_f64((double)((int64_t)random_bits() >> (random_bits() % 63)));
		check_f64((double)((int64_t)random_bits() >> (20 + random_bits() % 40)) / 100);
	}
	for (int exponent = -1074; exponent < 1024; exponent++)
		check_f64(ldexp(1, exponent));
}

static void doubles_are_written_for_readers(void **state)
{
	(void)state;
	const struct {
		double value;
		const char *text;
	} cases[] = {{100000, "100000"},
		     {-1200, "-1200"},
		     {1e15, "1000000000000000"},
		     {9007199254740993.0, "9007199254740992"},
		     {9999999999999998.0, "9999999999999998"},
		     {1e16, "1e+16"},
		     {1.5e300, "1.5e+300"},
		     {1234567890123456.8, "1234567890123456.8"},
		     {0.0001, "0.0001"},
		     {-0.00012345678901234567, "-0.00012345678901234567"},
		     {0.00001, "1e-05"},
		     {0.000025, "2.5e-05"},
		     {5e-324, "5e-324"}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[PJ__F64_CHARS + 1];
		text[pj__format_f64(text, cases[i].value)] = 0;
		assert_string_equal(text, cases[i].text);
		check_f64(cases[i].value);
	}
}

static void special_doubles_have_one_text(void **state)
{
	(void)state;
	const struct {
		double value;
		const char *text;
	} cases[] = {{NAN, "nan"}, {-NAN, "nan"}, {INFINITY, "inf"}, {-INFINITY, "-inf"}, {0.0, "0"}, {-0.0, "-0"}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[PJ__F64_CHARS + 1];
		text[pj__format_f64(text, cases[i].value)] = 0;
		assert_string_equal(text, cases[i].text);
		double back;
		assert_true(parse_f64(text, strlen(text), &back));
		if (isnan(cases[i].value))
			assert_true(isnan(back));
		else
			assert_true(bits_of(back) == bits_of(cases[i].value));
	}
}

static void doubles_are_read_strictly(void **state)
{
	(void)state;
	const char *const wrong[] = {"",      "-",   "+",     ".",        "-.",   "e5",    ".e5",  "1e",
				     "1e+",   "1e-", "1.2.3", " 1",       "1 ",   "0x1p3", "1,5",  "1e5.5",
				     "1e5e5", "++1", "-+1",   "infinity", "nano", "na",    "in",   "nan(1)",
				     "1f",    "1\n", "\v1",   "d1",       "1d3",  "i",     "1e 5", "\xd9\xa1"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		double value = 42;
		if (parse_f64(wrong[i], strlen(wrong[i]), &value))
			fail_msg("\"%s\" was read as %g", wrong[i], value);
		assert_true(value == 42);
	}
	double value = 42;
	assert_false(parse_f64("1\0", 2, &value));
	assert_false(pj__parse_f64((pj_bytes){NULL, 0}, &value));
	/* the text ends where it ends, not where the number does */
	assert_true(parse_f64("12345", 2, &value));
	assert_true(value == 12);
	assert_true(parse_f64("1e55", 3, &value));
	assert_true(value == 1e5);
}

static void check_same_as_libc(const char *text)
{
	double value = 42;
	errno = 0;
	if (!parse_f64(text, strlen(text), &value))
		fail_msg("\"%s\" was not read", text);
	assert_int_equal(errno, 0);
	if (bits_of(value) != bits_of(strtod(text, NULL)))
		fail_msg("\"%s\" was read as %.17g", text, value);
}

static void doubles_are_read_as_by_libc(void **state)
{
	(void)state;
	const char *const cases[] = {"5.",
				     ".5",
				     "-.5e1",
				     "+1",
				     "00012.5000",
				     "0e5",
				     "-0",
				     "0.0e-99999999999",
				     "1e308",
				     "1e309",
				     "-1e309",
				     "1e-324",
				     "3e-324",
				     "2e-324",
				     "1e400",
				     "1e-400",
				     "1E5",
				     "1e+05",
				     "1e-22",
				     "1e22",
				     "1e23",
				     "9007199254740993",
				     "9007199254740992e1",
				     "123456789012345678",
				     "1234567890123456789",
				     "12345678901234567890123",
				     "0.1e23",
				     "4.9406564584124654e-324",
				     "1e99999999999999999999",
				     "1e-99999999999999999999",
				     "0e99999999999999999999",
				     "2.2250738585072011e-308",
				     "2.4703282292062327e-324",
				     "2.4703282292062328e-324",
				     "1.7976931348623158e308",
				     "1.7976931348623159e308",
				     "0.000000000000000000000000000001e30",
				     "100000000000000000000000000000000000000000e-40",
				     "NaN",
				     "INF",
				     "-iNf",
				     "+inf"};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (strcasecmp(cases[i], "nan"))
			check_same_as_libc(cases[i]);
	for (int i = 0; i < 60000; i++) {
		char text[64];
		const unsigned shift = random_bits() % 64;
		const uint64_t whole = random_bits() >> shift, part = random_bits() >> (random_bits() % 64);
		const int exponent = (int)(random_bits() % 660) - 330, small = (int)(random_bits() % 50) - 25;
		const int kind = (int)(random_bits() % 3);
		if (kind == 0)
			snprintf(text, sizeof text, "%llu.%llu", (unsigned long long)whole, (unsigned long long)part);
		else
			snprintf(text, sizeof text, "-%llu.%llue%d", (unsigned long long)whole,
				 (unsigned long long)part, kind == 1 ? exponent : small);
		check_same_as_libc(text);
	}
}

/* Exact decimals of the borders between two doubles, up to 767 digits, and a hair beside them. */
static void borders_between_doubles_are_read_exactly(void **state)
{
	(void)state;
	enum { DIGITS = 1100, ZEROS = 3000 };
	volatile long double more = 1;
	more += DBL_EPSILON / 4;
	if (more == 1) {
		print_message("skip: long doubles are no longer than doubles here (valgrind)\n");
		skip();
	}
	static char text[DIGITS + ZEROS + 64];
	for (int i = 0; i < 400; i++) {
		const uint64_t bits = i < 100 ? random_bits() >> (12 + random_bits() % 50) : random_bits() >> 2;
		const double low = double_of(bits), high = double_of(bits + 1), even = bits & 1 ? high : low;
		const long double border = ((long double)low + (long double)high) / 2; /* has the bits for it */
		snprintf(text, sizeof text, "%.*Le", DIGITS, border);
		double value;
		assert_true(parse_f64(text, strlen(text), &value));
		assert_true(value == even);
		/* 3,000 zeros and a one behind the last digit */
		char exponent[16];
		char *e = strchr(text, 'e');
		snprintf(exponent, sizeof exponent, "%s", e);
		memset(e, '0', ZEROS);
		snprintf(e + ZEROS, 32, "1%s", exponent);
		assert_true(parse_f64(text, strlen(text), &value));
		assert_true(value == high);
	}
}

static void very_long_numbers_are_read(void **state)
{
	(void)state;
	enum { LEN = 100000 };
	char *text = malloc(LEN + 32);
	memset(text, '0', LEN);
	memcpy(text, "0.", 2);
	double value;
	assert_true(parse_f64(text, LEN, &value));
	assert_true(bits_of(value) == 0);
	snprintf(text + LEN, 32, "25e%d", LEN);
	assert_true(parse_f64(text, strlen(text), &value));
	assert_true(value == 25);
	text[0] = '7';
	snprintf(text + LEN, 32, "e-1");
	text[1] = '0';
	assert_true(parse_f64(text, LEN, &value));
	assert_true(isinf(value));
	snprintf(text + LEN, 32, "e-%d", LEN);
	assert_true(parse_f64(text, strlen(text), &value));
	assert_true(value == 0.7);
	free(text);
}

static void write_file(const char *folder, const char *name, const char *text)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *place)
{
	(void)info;
	(void)kind;
	(void)place;
	return remove(path);
}

/* Makes a locale whose decimal point is a comma, in `folder`, from nothing but the C library's own tool. */
static bool make_comma_locale(const char *folder)
{
	write_file(folder, "ascii",
		   "<code_set_name> ANSI_X3.4-1968\n<escape_char> /\nCHARMAP\n"
		   "<U0000>..<U007F> /x00 ASCII\nEND CHARMAP\n");
	write_file(folder, "source",
		   "LC_NUMERIC\ndecimal_point \",\"\nthousands_sep \".\"\ngrouping 3\nEND LC_NUMERIC\n");
	const pid_t child = fork();
	if (child == 0) {
		const int quiet = open("/dev/null", O_WRONLY);
		if (chdir(folder) == 0 && dup2(quiet, 1) >= 0 && dup2(quiet, 2) >= 0)
			execlp("localedef", "localedef", "-c", "--no-archive", "-f", "./ascii", "-i", "./source",
			       "./comma", (char *)NULL);
		_exit(127);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) && WEXITSTATUS(status) != 127; /* 1: with warnings about what is not defined */
}

enum { GOOD = 0, WRONG = 1, NO_LOCALE = 2 };

/* In a child: the locale changes, and the C library keeps the name of its folder for good. */
static int check_with_comma(const char *folder)
{
	setenv("LOCPATH", folder, 1);
	const locale_t comma = newlocale(LC_NUMERIC_MASK, "comma", NULL);
	if (!comma)
		return NO_LOCALE;
	uselocale(comma);
	char probe[16], text[PJ__F64_CHARS + 1];
	snprintf(probe, sizeof probe, "%.1f", 0.5);
	text[pj__format_f64(text, -1.0 / 3)] = 0;
	double value = 0, slow = 0, unused;
	return strcmp(probe, "0,5") == 0 && strcmp(text, "-0.3333333333333333") == 0 && parse_f64("0.25", 4, &value) &&
			       value == 0.25 && parse_f64("0.1234567890123456789", 21, &slow) &&
			       slow == 0.1234567890123456789 && !parse_f64("0,25", 4, &unused)
		       ? GOOD
		       : WRONG;
}

/* Where the decimal point of the locale is a comma, nothing changes. */
static void no_locale(void **state)
{
	(void)state;
	char folder[] = "/tmp/pj-test-locale-XXXXXX";
	assert_non_null(mkdtemp(folder));
	int result = NO_LOCALE;
	if (make_comma_locale(folder)) {
		const pid_t child = fork();
		if (child == 0)
			_exit(check_with_comma(folder));
		assert_int_equal(waitpid(child, &result, 0), child);
		assert_true(WIFEXITED(result));
		result = WEXITSTATUS(result);
	}
	nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	if (result == NO_LOCALE) {
		print_message("skip: no locale with a decimal comma can be made (localedef)\n");
		skip();
	}
	assert_int_equal(result, GOOD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_are_written_and_read_as_by_libc),
		cmocka_unit_test(integers_are_read_strictly),
		cmocka_unit_test(doubles_are_written_shortest),
		cmocka_unit_test(doubles_are_written_for_readers),
		cmocka_unit_test(special_doubles_have_one_text),
		cmocka_unit_test(doubles_are_read_strictly),
		cmocka_unit_test(doubles_are_read_as_by_libc),
		cmocka_unit_test(borders_between_doubles_are_read_exactly),
		cmocka_unit_test(very_long_numbers_are_read),
		cmocka_unit_test(no_locale),
	};
	return cmocka_run_group_tests_name("number", tests, NULL, NULL);
}
