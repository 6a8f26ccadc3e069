/*
 * test_stats.c: the decimals of the job `stats` (packed in 64 bits, and big), and its aggregate: sums that go beyond
 * 128 bits, counts beyond what can be counted, the same bytes in whatever order and grouping.
 */
#include "testing.h"

#include <math.h>

#include "base/text.h"
#include "jobs/decimal.h"
#include "jobs/jobs.h"

static uint64_t random_state = 1;

/* A text with enough to read behind it. */
static pj_bytes padded(const char *text)
{
	static char room[1024];
	memset(room, '7', sizeof room); /* digits, which would be seen */
	memcpy(room, text, strlen(text));
	return (pj_bytes){room, strlen(text)};
}

static int64_t pack(pj_bytes text)
{
	pj__decimal decimal;
	return pj__decimal_read(text, &decimal) ? pj__decimal_pack(&decimal) : 0;
}

/* ----------------------------------------------------------------------------------------------------------- packed */

static void assert_packed(const char *text, int64_t digits, unsigned decimals)
{
	const pj_bytes bytes = padded(text);
	assert_int_equal(pack(bytes) >> PJ__PACKED_SHIFT, digits);
	assert_int_equal(pack(bytes) & 31, decimals + 1);
	const int64_t at_once = pj__pack_short(bytes);
	assert_true(at_once == 0 || at_once == pack(bytes));
	if (strlen(text) <= 16 && !strpbrk(text, "eE"))
		assert_int_equal(at_once, pack(bytes));
}

static void numbers_are_packed(void **state)
{
	(void)state;
	assert_packed("0", 0, 0);
	assert_packed("-0.0", 0, 1);
	assert_packed("-95.7", -957, 1);
	assert_packed("+95.7", 957, 1);
	assert_packed("12345678", 12345678, 0);
	assert_packed("1234567.", 1234567, 0);
	assert_packed(".1234567", 1234567, 7);
	assert_packed("-12345678", -12345678, 0);
	assert_packed("123456789", 123456789, 0);
	assert_packed("9999999999999", 9999999999999, 0);
	assert_packed("9999999999999.", 9999999999999, 0);
	assert_packed("-1234567890123.45", -123456789012345, 2);
	assert_packed(".123456789012345", 123456789012345, 15);
	assert_packed("1.50e-3", 150, 5);
	assert_packed("15e3", 15000, 0);
	assert_packed("1.5E+3", 1500, 0);
	assert_packed("0.000000000000000001", 1, 18);
	assert_packed("00000000000000000000012.5", 125, 1);
	assert_packed("0e12", 0, 0);
	assert_packed("0.12345678901234567", 12345678901234567, 17);
}

static void others_are_not(void **state)
{
	(void)state;
	/* numbers all the same */
	static const char *const large[] = {"10000000000000",
					    "10000000000000.",
					    "10000000000000.5",
					    "-9999999999999999",
					    "0.0000000000000000001",
					    "123456789012345678",
					    "1e13",
					    "1e-19",
					    "1e400",
					    "0e-19"};
	static const char *const wrong[] = {"",
					    "-",
					    "+",
					    ".",
					    "-.",
					    "+.",
					    "1-",
					    "--1",
					    "1..2",
					    "1.2.3",
					    " 1",
					    "1 ",
					    "1/2",
					    "1:2",
					    "1e",
					    "1e+",
					    "e5",
					    "1e5.",
					    "1,5",
					    "nan",
					    "12345678x",
					    "1234567890.12345.",
					    "x23456789",
					    "1\x1f",
					    "1\x0e",
					    "1\x1e",
					    ">5",
					    ("1\xae"
					     "5"),
					    "1_0",
					    "0x10"};
	pj__decimal decimal;
	for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
		assert_true(pj__decimal_read(padded(large[i]), &decimal));
		assert_int_equal(pj__decimal_pack(&decimal), 0);
		assert_int_equal(pj__pack_short(padded(large[i])), 0);
	}
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		assert_false(pj__decimal_read(padded(wrong[i]), &decimal));
		assert_int_equal(pj__pack_short(padded(wrong[i])), 0);
	}
}

/* Whatever the bytes are, the two ways say the same, or the short one leaves it to the other. */
static void both_ways_agree_on_any_bytes(void **state)
{
	(void)state;
	static const char liked[] = "0123456789012345678901234567890123456789...+-eE /:>\x1e\x0e";
	size_t numbers = 0;
	for (int i = 0; i < 400000; i++) {
		char text[32 + PJ_TEXT_PADDING];
		const size_t len = random_below(&random_state, 21);
		for (size_t b = 0; b < sizeof text; b++)
			text[b] = random_below(&random_state, 60)
					  ? liked[random_below(&random_state, i % 2 ? 43 : sizeof liked - 1)]
					  : (char)random_bits(&random_state);
		const pj_bytes bytes = {text, len};
		const int64_t at_once = pj__pack_short(bytes), packed = pack(bytes);
		assert_true(at_once == 0 || at_once == packed);
		const size_t sign = len && (*text == '-' || *text == '+');
		if (packed && len - sign <= 16 && !memchr(text, 'e', len) && !memchr(text, 'E', len)) {
			assert_int_equal(at_once, packed);
			numbers++;
		}
	}
	assert_true(numbers > 20000);
}

/* --------------------------------------------------------------------------------------------------------- big ones */

static pj__big big_of(const char *text)
{
	pj__decimal decimal;
	pj__big big;
	assert_true(pj__decimal_read(pj_bytes_of(text), &decimal));
	pj__big_of_decimal(&decimal, &big);
	return big;
}

static void assert_written(const pj__big *big, unsigned decimals, const char *expected)
{
	pj_text text = {0};
	pj__big_write(big, decimals, &text);
	pj__text_byte(&text, 0);
	assert_string_equal(text.data, expected);
	pj__text_fini(&text);
}

static void big_numbers_are_read_and_written(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		unsigned decimals;
		const char *written; /* NULL: as it is read */
	} cases[] = {
		{"0", 0, "0"},
		{"-0.00", 2, "0.00"},
		{"-12.5", 3, "-12.500"},
		{"123456789012345678901234567890.000000000000000000000000000000000001", 36, NULL},
		{"-999999999999999999999999999999999999.999999999999999999999999999999999999", 36, NULL},
		{"-1e-36", 36, "-0.000000000000000000000000000000000001"},
		{"15e35", 0, "1500000000000000000000000000000000000"},
		{"1.9e-342", 2, "0.00"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const pj__big big = big_of(cases[i].text);
		assert_written(&big, cases[i].decimals, cases[i].written ? cases[i].written : cases[i].text);
	}
	pj__big smallest = big_of("1e-342"), below = big_of("9.9e-343");
	char written[400] = "0.";
	memset(written + 2, '0', 342);
	assert_written(&below, 342, written);
	written[343] = '1';
	assert_written(&smallest, 342, written);
	const char *largest = "17976931348623157";
	memset(written, '0', 309);
	memcpy(written, largest, strlen(largest));
	written[309] = 0;
	const pj__big large = big_of("1.7976931348623157e308");
	assert_written(&large, 0, written);
}

static char *decimal_text(char *to, __int128_t value, int decimals)
{
	char digits[64];
	int count = 0;
	__uint128_t rest = value < 0 ? 0 - (__uint128_t)value : (__uint128_t)value;
	for (; rest || count <= decimals; rest /= 10)
		digits[count++] = (char)('0' + (int)(rest % 10));
	char *at = to;
	if (value < 0)
		*at++ = '-';
	while (count > 0) {
		*at++ = digits[--count];
		if (count == decimals && decimals)
			*at++ = '.';
	}
	*at = 0;
	return to;
}

/* A number of any size up to some 2^120, of either sign. */
static __int128_t any_integer(void)
{
	const __int128_t value =
		(__int128_t)(((__uint128_t)random_bits(&random_state) << 64 | random_bits(&random_state)) >>
			     (8 + random_below(&random_state, 120)));
	return random_bits(&random_state) & 1 ? value : -value;
}

/* Sums and order as in integers of 128 bits, at every place of the point. */
static void big_numbers_add_and_compare(void **state)
{
	(void)state;
	char text[128];
	for (int i = 0; i < 20000; i++) {
		const int decimals = (int)random_below(&random_state, 37);
		const __int128_t a = any_integer(), b = i % 16 ? any_integer() : -a + (i % 3 - 1);
		pj__big x = big_of(decimal_text(text, a, decimals)), y = big_of(decimal_text(text, b, decimals));
		assert_int_equal(pj__big_compare(&x, &y), (a > b) - (a < b));
		pj__big_add(&x, &y);
		assert_written(&x, (unsigned)decimals, decimal_text(text, a + b, decimals));
		pj__big_of_units(a < 0 ? -1 : 0, (__uint128_t)a, &y);
		assert_written(&y, 18, decimal_text(text, a, 18));
	}
	/* beyond 128 bits: 2^145 and -2^145 */
	pj__big up, down;
	pj__big_of_units(1 << 17, 0, &up);
	pj__big_of_units(-(1 << 17), 0, &down);
	assert_written(&up, 18, "44601490397061246283071436.545296723011960832");
	assert_written(&down, 18, "-44601490397061246283071436.545296723011960832");
	pj__big_add(&up, &down);
	assert_written(&up, 18, "0.000000000000000000");
}

static void assert_quotient(const char *text, uint64_t count, double expected)
{
	const pj__big big = big_of(text);
	const double quotient = pj__big_quotient(&big, count);
	assert_memory_equal(&quotient, &expected, sizeof expected);
}

static void quotients_are_rounded_once(void **state)
{
	(void)state;
	assert_quotient("1", 3, 1.0 / 3);
	assert_quotient("-2", 3, -2.0 / 3);
	assert_quotient("0", 7, 0);
	assert_quotient("9007199254740993", 1, 9007199254740992.0); /* half way: to the even one */
	assert_quotient("9007199254740993.000000000000000001", 1, 9007199254740994.0);
	assert_quotient("9007199254740995", 1, 9007199254740996.0);
	assert_quotient("27021597764222979", 3, 9007199254740992.0); /* the same by division */
	assert_quotient("27021597764222979.00000000000000000000000001", 3, 9007199254740994.0);
	assert_quotient("27021597764222978.99999999999999999999999999", 3, 9007199254740992.0);
	assert_quotient("1e308", 10, 1e307);
	assert_quotient("9e-310", 9, 1e-310); /* subnormal */
	assert_quotient("1e-310", 3, 3.33333333333333e-311);
	assert_quotient("1e-323", 2, 5e-324);
	assert_quotient("5e-324", 2, 5e-324); /* 2.5e-324 is nearer to 4.94e-324 than to 0 */
	assert_quotient("5e-324", 3, 0);
	assert_quotient("4e-342", UINT64_C(1) << 40, 0);
	assert_quotient("1.7976931348623157e308", 1, 1.7976931348623157e308);
	assert_quotient("1.8e308", 1, INFINITY);
	char text[64];
	for (int i = 0; i < 3000; i++) { /* integers below 2^53: one division of doubles is exact */
		const int64_t number = (int64_t)(random_bits(&random_state) >> (11 + random_below(&random_state, 40)));
		const uint64_t count = 1 + random_below(&random_state, (size_t)1 << (1 + i % 40));
		snprintf(text, sizeof text, "%lld", (long long)number);
		assert_quotient(text, count, (double)number / (double)count);
	}
}

/* -------------------------------------------------------------------------------------------------------- the state */

enum { VALUES = 60 };

typedef struct state {
	_Alignas(16) char bytes[PJ_STATE_BYTES_MAX];
} state;

static const pj_aggregate *stats(void)
{
	const pj_job *job = pj_builtin_find("stats");
	assert_non_null(job);
	return job->reducer.aggregate;
}

static void add(state *to, const char *text)
{
	const pj_bytes bytes = padded(text);
	const int64_t packed = pack(bytes);
	if (packed)
		stats()->add_i64(to->bytes, packed, NULL);
	else
		stats()->add_bytes(to->bytes, bytes, NULL);
}

static void assert_finished(const state *from, const char *expected)
{
	pj_text text = {0};
	assert_int_equal(stats()->finish(from->bytes, &text, NULL), PJ_OK);
	pj__text_byte(&text, 0);
	assert_string_equal(text.data, expected);
	pj__text_fini(&text);
}

static void sums_go_beyond_128_bits(void **unused)
{
	(void)unused;
	char expected[400], sum[64];
	for (int negative = 0; negative < 2; negative++) {
		state doubled = {{0}}, back = {{0}};
		add(&doubled, negative ? "-9999999999999.999" : "9999999999999.999");
		add(&back, negative ? "9999999999999.998" : "-9999999999999.998");
		for (int i = 0; i < 39; i++) {
			const state once = doubled, once_back = back;
			stats()->merge(doubled.bytes, once.bytes, NULL);
			stats()->merge(back.bytes, once_back.bytes, NULL);
		}
		const __int128_t largest = (__int128_t)9999999999999999 << 39;
		decimal_text(sum, negative ? -largest : largest, 3);
		snprintf(expected, sizeof expected,
			 "%lld\t%s\t%s9999999999999.999\t%s9999999999999.998\t%s9999999999999.999", 1LL << 39, sum,
			 negative ? "-" : "", negative ? "-" : "", negative ? "-" : "");
		assert_finished(&doubled, expected);
		/* and back again: 2^38 of the one, 2^38 of the other */
		state half = {{0}}, half_back = {{0}};
		add(&half, "9999999999999.999");
		add(&half_back, "-9999999999999.998");
		for (int i = 0; i < 38; i++) {
			const state once = half, once_back = half_back;
			stats()->merge(half.bytes, once.bytes, NULL);
			stats()->merge(half_back.bytes, once_back.bytes, NULL);
		}
		stats()->merge(negative ? half.bytes : half_back.bytes, negative ? half_back.bytes : half.bytes, NULL);
		assert_finished(negative ? &half : &half_back,
				"549755813888\t274877906.944\t-9999999999999.998\t0.0005\t9999999999999.999");
	}
}

static void adding_overflows_as_merging_does(void **unused)
{
	(void)unused;
	state many = {{0}}, one = {{0}};
	const int64_t largest = pack(padded("-9999999999999"));
	stats()->add_i64(one.bytes, largest, NULL);
	for (int i = 0; i < 24; i++) { /* 2^24 of them are just below 2^127 units */
		const state once = one;
		stats()->merge(one.bytes, once.bytes, NULL);
	}
	void *to[] = {one.bytes, one.bytes, one.bytes};
	const int64_t values[] = {largest, largest, largest};
	for (int i = 0; i < 400000; i++)
		stats()->add_many_i64(to, values, 3, NULL);
	const int count = (1 << 24) + 1200000;
	char expected[200], sum[64];
	decimal_text(sum, -(__int128_t)9999999999999 * count, 0);
	snprintf(expected, sizeof expected, "%d\t%s\t-9999999999999\t-9999999999999\t-9999999999999", count, sum);
	assert_finished(&one, expected);
	stats()->merge(many.bytes, one.bytes, NULL);
	assert_finished(&many, expected);
}

static void counts_have_an_end(void **unused)
{
	(void)unused;
	state doubled = {{0}};
	pj_text text = {0};
	add(&doubled, "1");
	for (int i = 0; i < 45; i++) {
		const state once = doubled;
		stats()->merge(doubled.bytes, once.bytes, NULL);
		assert_int_equal(stats()->finish(doubled.bytes, &text, NULL), i < 39 ? PJ_OK : PJ_ERR_RECORD);
	}
	pj__text_fini(&text);
}

/* Random numbers of all forms; some partial states, merged in a random order; the same text. */
static void order_and_grouping_do_not_show(void **unused)
{
	(void)unused;
	static const char *const tails[] = {
		"", ".5", ".25", "e-3", "e20", "e-20", "e-40", "e300", "e-300", "0000000000000000", ".000"};
	for (int round = 0; round < 400; round++) {
		const size_t kinds = round % 4 == 0 ? 3 : round % 4 == 1 ? 6 : sizeof tails / sizeof *tails;
		char values[VALUES][40];
		pj_text first = {0};
		const size_t count = 1 + random_below(&random_state, VALUES);
		for (size_t i = 0; i < count; i++)
			snprintf(values[i], sizeof values[i], "%d%s", (int)random_below(&random_state, 20001) - 10000,
				 tails[random_below(&random_state, kinds)]);
		for (int way = 0; way < 5; way++) {
			state parts[4] = {{{0}}};
			pj_text text = {0};
			for (size_t i = count; i > 1; i--) {
				const size_t other = random_below(&random_state, i);
				char swap[40];
				memcpy(swap, values[i - 1], sizeof swap);
				memcpy(values[i - 1], values[other], sizeof swap);
				memcpy(values[other], swap, sizeof swap);
			}
			for (size_t i = 0; i < count; i++)
				add(&parts[way ? random_below(&random_state, 4) : 0], values[i]);
			for (int i = 1; i < 4; i++)
				stats()->merge(parts[0].bytes, parts[i].bytes, NULL);
			assert_int_equal(stats()->finish(parts[0].bytes, &text, NULL), PJ_OK);
			if (!first.len)
				pj_text_bytes(&first, pj__text_all(&text));
			assert_int_equal(text.len, first.len);
			assert_memory_equal(text.data, first.data, text.len);
			pj__text_fini(&text);
		}
		pj__text_fini(&first);
	}
}

/* What is behind usual_bytes is not touched where only packed numbers are. */
static void the_front_is_enough_for_packed_numbers(void **unused)
{
	(void)unused;
	state front = {{0}}, more = {{0}};
	const size_t usual = stats()->usual_bytes;
	memset(front.bytes + usual, 0xaa, sizeof front.bytes - usual);
	const state before = front;
	add(&more, "12.5");
	add(&front, "1.25");
	add(&front, "-7");
	stats()->merge(front.bytes, more.bytes, NULL);
	assert_memory_equal(front.bytes + usual, before.bytes + usual, sizeof front.bytes - usual);
	assert_finished(&front, "3\t6.75\t-7.00\t2.25\t12.50");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_packed),
		cmocka_unit_test(others_are_not),
		cmocka_unit_test(both_ways_agree_on_any_bytes),
		cmocka_unit_test(big_numbers_are_read_and_written),
		cmocka_unit_test(big_numbers_add_and_compare),
		cmocka_unit_test(quotients_are_rounded_once),
		cmocka_unit_test(sums_go_beyond_128_bits),
		cmocka_unit_test(adding_overflows_as_merging_does),
		cmocka_unit_test(counts_have_an_end),
		cmocka_unit_test(order_and_grouping_do_not_show),
		cmocka_unit_test(the_front_is_enough_for_packed_numbers),
	};
	return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
