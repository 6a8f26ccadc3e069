/*
 * test_streaming.c: the parts of Hadoop Streaming that need no run: hashes, fields, lines, numbers, binary forms,
 * aggregates, properties and the command line, each against what Hadoop itself gives.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "streaming/aggregate.h"
#include "streaming/classes.h"
#include "streaming/fields.h"
#include "streaming/input.h"
#include "streaming/java.h"
#include "streaming/lines.h"
#include "streaming/names.h"
#include "streaming/request.h"
#include "streaming/typed.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void assert_bytes(pj_bytes got, const char *wanted, size_t len)
{
	assert_int_equal(got.len, len);
	if (len)
		assert_memory_equal(got.ptr, wanted, len);
}

static void assert_text(pj_text *got, const char *wanted)
{
	assert_false(got->failed);
	assert_bytes(pj__text_all(got), wanted, strlen(wanted));
	pj__text_fini(got);
}

/* ---------------------------------------------------------------------------------------------------- hashes, parts */

static void hashes_are_those_of_text(void **state)
{
	(void)state;
	static const struct {
		const char *key;
		int32_t hash;
		int parts[6]; /* of 2, 3, 4, 5, 7 and 10 */
	} known[] = {
		{"", 1, {1, 1, 1, 1, 1, 1}},
		{"a", 128, {0, 2, 0, 3, 2, 8}},
		{"the", 144592, {0, 1, 0, 2, 0, 2}},
		{"hello", 127791473, {1, 2, 1, 3, 5, 3}},
		{"\"word\"", 1974213303, {1, 0, 3, 3, 6, 3}},
		{"null", 4316424, {0, 0, 0, 4, 0, 4}},
		{"\xc3\xa9", -1017, {1, 2, 3, 1, 0, 1}},
		{"zzzzzzzz", 577489921, {1, 1, 1, 1, 0, 1}},
	};
	static const int of[6] = {2, 3, 4, 5, 7, 10};
	for (size_t i = 0; i < COUNT(known); i++) {
		const uint32_t hash = pj__java_hash_bytes(pj_bytes_of(known[i].key), 1);
		assert_int_equal((int32_t)hash, known[i].hash);
		for (int j = 0; j < 6; j++)
			assert_int_equal(pj__java_part(hash, (uint64_t)of[j]), (hash & 0x7fffffff) % (unsigned)of[j]);
		assert_int_equal(pj__java_part(hash, 1), 0);
		if (known[i].key[0] == 't' || known[i].key[0] == 'h' || known[i].key[0] == '"' || !known[i].key[0] ||
		    known[i].key[0] == '\xc3')
			for (int j = 0; j < 6; j++)
				assert_int_equal(pj__java_part(hash, (uint64_t)of[j]), known[i].parts[j]);
	}
}

static void strings_hash_by_units_of_16_bits(void **state)
{
	(void)state;
	assert_int_equal(pj__java_hash_string(pj_bytes_of("")), 0);
	assert_int_equal(pj__java_hash_string(pj_bytes_of("hello")), 99162322);
	assert_int_equal(pj__java_hash_string(pj_bytes_of("\xc3\xa9")), 0xe9);
	/* U+1F600 is D83D DE00 */
	assert_int_equal(pj__java_hash_string(pj_bytes_of("\xf0\x9f\x98\x80")), 31u * 0xd83d + 0xde00);
	/* a byte that is no UTF-8 is U+FFFD; a beginning that is broken off is one, too */
	assert_int_equal(pj__java_hash_string(pj_bytes_of("\xff")), 0xfffd);
	assert_int_equal(pj__java_hash_string(pj_bytes_of("\xe2\x82")), 0xfffd);
}

static void strings_compare_by_units_of_16_bits(void **state)
{
	(void)state;
	assert_true(pj__java_compare(pj_bytes_of("a"), pj_bytes_of("b")) < 0);
	assert_true(pj__java_compare(pj_bytes_of("ab"), pj_bytes_of("a")) > 0);
	assert_int_equal(pj__java_compare(pj_bytes_of("a"), pj_bytes_of("a")), 0);
	/* U+FF61 stands before U+1F600 in bytes, and behind it in Java */
	assert_true(pj__java_compare(pj_bytes_of("\xef\xbd\xa1"), pj_bytes_of("\xf0\x9f\x98\x80")) > 0);
}

static void malformed_bytes_are_replaced(void **state)
{
	(void)state;
	pj_text text = {0};
	assert_false(pj__java_is_clean(pj_bytes_of("a\xff")));
	assert_true(pj__java_is_clean(pj_bytes_of("a\xc3\xa9\xf0\x9f\x98\x80")));
	pj__java_clean(pj_bytes_of("a\xff"
				   "b\xe2\x82z\xc3"),
		       &text);
	assert_text(&text, "a\xef\xbf\xbd"
			   "b\xef\xbf\xbdz\xef\xbf\xbd");
}

static void parts_by_fields_are_hadoops(void **state)
{
	(void)state;
	pj__fields fields;
	pj_error error;
	assert_int_equal(pj__fields_parse(&fields, "-k1,1", '\t', &error), PJ_OK);
	static const struct {
		const char *key;
		int parts[3]; /* of 2, 3 and 10 */
	} known[] = {{"the", {1, 0, 1}}, {"hello", {0, 1, 2}}, {"null", {1, 2, 3}}};
	static const unsigned of[3] = {2, 3, 10};
	for (size_t i = 0; i < COUNT(known); i++)
		for (int j = 0; j < 3; j++)
			assert_int_equal(pj__java_part(pj__fields_hash(&fields, pj_bytes_of(known[i].key)), of[j]),
					 known[i].parts[j]);
	/* only the first field counts; a key without the field, or without bytes, is part 0 */
	assert_int_equal(pj__fields_hash(&fields, pj_bytes_of("the\tx")), pj__fields_hash(&fields, pj_bytes_of("the")));
	assert_int_equal(pj__fields_hash(&fields, pj_bytes_of("")), 0);
	assert_int_equal(pj__fields_parse(&fields, "-k3,3", '\t', &error), PJ_OK);
	assert_int_equal(pj__fields_hash(&fields, pj_bytes_of("a\tb")), 0);
	/* one spec after another goes into the same hash */
	assert_int_equal(pj__fields_parse(&fields, "-k1,1 -k 2,2", '.', &error), PJ_OK);
	assert_int_equal(pj__fields_hash(&fields, pj_bytes_of("ab.cd")), pj__java_hash_bytes(pj_bytes_of("abcd"), 0));
	assert_int_equal(pj__fields_parse(&fields, "", '.', &error), PJ_OK);
	assert_int_equal(pj__fields_hash(&fields, pj_bytes_of("hello")), 99162322);
	assert_int_equal(pj__fields_parse(&fields, "-k1,2", '.', &error), PJ_OK);
	assert_int_equal(pj__fields_hash(&fields, pj_bytes_of("11.12.1.2")),
			 pj__java_hash_bytes(pj_bytes_of("11.12"), 0));
	/* what is no UTF-8 was replaced before */
	assert_int_equal(pj__fields_hash(&fields, pj_bytes_of("\xff")),
			 pj__java_hash_bytes(pj_bytes_of("\xef\xbf\xbd"), 0));
}

static void order_by_fields_is_hadoops(void **state)
{
	(void)state;
	const pj_bytes one = pj_bytes_of("123 -123 005120 123.9 0.01 0.18 010 10.0 4444.1 011 011 234");
	const pj_bytes two = pj_bytes_of("134 -12 005100 123.10 -1.01 0.19 02 10.1 4444");
	static const struct {
		const char *options;
		int first;
	} known[] = {{"-k1,1n", 1},
		     {"-k2,2n", 1},
		     {"-k2.2,2n", 2},
		     {"-k3.4,3n", 2},
		     {"-k3.2,3.3n -k4,4n", 2},
		     {"-k3.2,3.3n -k4,4nr", 1},
		     {"-k2.4,2.4n", 2},
		     {"-k7,7", 1},
		     {"-k7,7n", 2},
		     {"-k8,8n", 1},
		     {"-k9,9", 2},
		     {"-k10,10", 2},
		     {"-k11,11", 2}};
	for (size_t i = 0; i < COUNT(known); i++) {
		pj__fields fields;
		assert_int_equal(pj__fields_parse(&fields, known[i].options, ' ', NULL), PJ_OK);
		const int order = pj__fields_compare(&fields, one, two);
		print_message("%s: %d\n", known[i].options, order);
		assert_int_equal(order < 0 ? 1 : order > 0 ? 2 : 0, known[i].first);
		assert_int_equal(pj__fields_compare(&fields, two, one), -order);
	}
}

static int order_of(const char *options, const char *a, const char *b)
{
	pj__fields fields;
	assert_int_equal(pj__fields_parse(&fields, options, '\t', NULL), PJ_OK);
	const int order = pj__fields_compare(&fields, pj_bytes_of(a), pj_bytes_of(b));
	return (order > 0) - (order < 0);
}

static void order_by_fields_has_no_last_resort(void **state)
{
	(void)state;
	assert_int_equal(order_of("-k1,1", "a\tx", "a\ty"), 0);
	assert_int_equal(order_of("", "a\tx", "a\ty"), -1);
	assert_int_equal(order_of("-r", "a", "b"), 1);
	assert_int_equal(order_of("-nr", "9", "10"), 1);
	assert_int_equal(order_of("-n -k1,1", "9", "10"), -1);
	assert_int_equal(order_of("-n -k1,1r", "9", "10"), -1); /* a flag of its own: the global ones do not count */
	assert_int_equal(order_of("-rn -k1,1", "a", "b"), -1);  /* an unknown word */
	assert_int_equal(order_of("-k2,2", "a", "a\tb"), -1);
	assert_int_equal(order_of("-k2,2r", "a", "a\tb"), 1);
	assert_int_equal(order_of("-n", "-0", "0"), 0);
	assert_int_equal(order_of("-n", "1.50", "1.5"), 0);
	assert_int_equal(order_of("-n", "-2", "-10"), 1);
	pj__fields fields;
	static const char *const wrong[] = {"-k", "-k0", "-kx", "-k1,", "-k1.", "-k1,2x", "-k 1,2,3", "-k1.0"};
	for (size_t i = 0; i < COUNT(wrong); i++)
		assert_int_equal(pj__fields_parse(&fields, wrong[i], '\t', NULL), PJ_ERR_USAGE);
}

/* ------------------------------------------------------------------------------------------------------------ lines */

static void assert_words(const char *command, const char *const *wanted)
{
	char **words;
	assert_int_equal(pj__command_words(command, &words, NULL), PJ_OK);
	size_t i = 0;
	for (; wanted[i]; i++) {
		assert_non_null(words[i]);
		assert_string_equal(words[i], wanted[i]);
	}
	assert_null(words[i]);
	free(words);
}

static void commands_are_split_as_hadoop_does(void **state)
{
	(void)state;
	assert_words("cat", (const char *const[]){"cat", NULL});
	assert_words("  a  b ", (const char *const[]){"a", "b", NULL});
	assert_words("a\"b c\"d", (const char *const[]){"a", "b c", "d", NULL});
	assert_words("sh -c 'a | b'", (const char *const[]){"sh", "-c", "a | b", NULL});
	assert_words("sh -c 'it'\\''s'", (const char *const[]){"sh", "-c", "it", "\\", "s", NULL});
	assert_words("a '' \"\" b", (const char *const[]){"a", "b", NULL});
	assert_words("a\tb", (const char *const[]){"a\tb", NULL});
	assert_words("'a\"b' \"c'd\"", (const char *const[]){"a\"b", "c'd", NULL});
	char **words;
	assert_int_equal(pj__command_words("  ''", &words, NULL), PJ_ERR_USAGE);
}

static void lines_end_at_lf_cr_and_both(void **state)
{
	(void)state;
	static const char *const wanted[] = {"a", "b", "", "c", "", "d"};
	pj_bytes rest = pj_bytes_of("a\nb\r\rc\r\n\nd"), line;
	for (size_t i = 0; i < COUNT(wanted); i++) {
		assert_true(pj__next_line_of(&rest, true, &line));
		assert_bytes(line, wanted[i], strlen(wanted[i]));
	}
	assert_false(pj__next_line_of(&rest, true, &line));
	/* more might come */
	rest = pj_bytes_of("a\r");
	assert_false(pj__next_line_of(&rest, false, &line));
	assert_true(pj__next_line_of(&rest, true, &line));
	assert_bytes(line, "a", 1);
	assert_int_equal(rest.len, 0);
	rest = pj_bytes_of("a");
	assert_false(pj__next_line_of(&rest, false, &line));
}

static void lines_are_cut_at_the_nth_separator(void **state)
{
	(void)state;
	static const struct {
		const char *line, *separator;
		unsigned count;
		const char *key, *value;
	} known[] = {
		{"a\tb\tc", "\t", 1, "a", "b\tc"},
		{"a\tb\tc", "\t", 2, "a\tb", "c"},
		{"a\tb", "\t", 3, "a\tb", ""},
		{"ab", "\t", 1, "ab", ""},
		{"", "\t", 1, "", ""},
		{"\tb", "\t", 1, "", "b"},
		{"11.12.1.2", ".", 4, "11.12.1.2", ""},
		{"1.2.3.4.5", ".", 4, "1.2.3.4", "5"},
		{"a::b::c", "::", 1, "a", "b::c"},
		{"a\tb", "\t", 0, "a\tb", ""},
	};
	for (size_t i = 0; i < COUNT(known); i++) {
		pj_bytes key, value;
		pj__cut_line(pj_bytes_of(known[i].line), pj_bytes_of(known[i].separator), known[i].count, &key, &value);
		assert_bytes(key, known[i].key, strlen(known[i].key));
		assert_bytes(value, known[i].value, strlen(known[i].value));
	}
}

/* --------------------------------------------------------------------------------------------------- numbers, forms */

static void doubles_are_written_as_java_does(void **state)
{
	(void)state;
	static const struct {
		double value;
		const char *text;
	} known[] = {{3, "3.0"},
		     {1e7, "1.0E7"},
		     {9999999, "9999999.0"},
		     {1e-3, "0.001"},
		     {1e-4, "1.0E-4"},
		     {0.25, "0.25"},
		     {123.456, "123.456"},
		     {-1.5, "-1.5"},
		     {0, "0.0"},
		     {-0.0, "-0.0"},
		     {1.25e-5, "1.25E-5"},
		     {123456789.125, "1.23456789125E8"},
		     {0.1 + 0.2, "0.30000000000000004"},
		     {1.7976931348623157e308, "1.7976931348623157E308"},
		     {100, "100.0"}};
	for (size_t i = 0; i < COUNT(known); i++) {
		pj_text text = {0};
		pj__java_double(known[i].value, &text);
		assert_text(&text, known[i].text);
	}
	pj_text text = {0};
	pj__java_double(NAN, &text);
	pj__java_double(-INFINITY, &text);
	assert_text(&text, "NaN-Infinity");
	double value;
	assert_true(pj__java_parse_double(pj_bytes_of(" 1.5e3f "), &value));
	assert_true(value == 1500);
	assert_true(pj__java_parse_double(pj_bytes_of("-Infinity"), &value));
	assert_true(isinf(value) && value < 0);
	assert_false(pj__java_parse_double(pj_bytes_of("inf"), &value));
	assert_false(pj__java_parse_double(pj_bytes_of(""), &value));
	int64_t number;
	assert_true(pj__java_parse_long(pj_bytes_of("-7"), &number));
	assert_int_equal(number, -7);
	assert_false(pj__java_parse_long(pj_bytes_of("7 "), &number));
	assert_false(pj__java_parse_long(pj_bytes_of("9223372036854775808"), &number));
}

static void raw_bytes_come_with_their_length(void **state)
{
	(void)state;
	pj_text text = {0};
	pj__raw_put(pj_bytes_of("ab"), &text);
	pj__raw_put(pj_bytes_of(""), &text);
	assert_bytes(pj__text_all(&text), "\0\0\0\2ab\0\0\0\0", 10);
	pj_bytes rest = pj__text_all(&text), item;
	assert_int_equal(pj__raw_take(&rest, &item), PJ__FOUND);
	assert_bytes(item, "ab", 2);
	assert_int_equal(pj__raw_take(&rest, &item), PJ__FOUND);
	assert_int_equal(item.len, 0);
	for (size_t len = 0; len < 6; len++) {
		rest = (pj_bytes){text.data, len};
		assert_int_equal(pj__raw_take(&rest, &item), PJ__FOUND_PART);
	}
	rest = (pj_bytes){"\xff\0\0\0", 4};
	assert_int_equal(pj__raw_take(&rest, &item), PJ__FOUND_NOTHING_SUCH);
	pj__text_fini(&text);
	pj__raw_show((pj_bytes){"a\n\xff", 3}, &text);
	assert_text(&text, "61 0a ff");
}

/* An item of bytes that C can write down. */
#define ITEM(text)                                                                                                     \
	{                                                                                                              \
		text, sizeof(text) - 1                                                                                 \
	}

static void typed_bytes_are_taken_and_shown(void **state)
{
	(void)state;
	static const struct {
		pj_bytes item;
		const char *shown;
	} known[] = {
		{ITEM("\0\0\0\0\2\x01\xff"), "01ff"},
		{ITEM("\1\xfe"), "-2"},
		{ITEM("\2\1"), "true"},
		{ITEM("\3\xff\xff\xff\xff"), "-1"},
		{ITEM("\4\0\0\0\0\0\0\1\0"), "256"},
		{ITEM("\5\x3f\xc0\0\0"), "1.5"},
		{ITEM("\5\x3d\xcc\xcc\xcd"), "0.1"},
		{ITEM("\6\x40\x08\0\0\0\0\0\0"), "3.0"},
		{ITEM("\7\0\0\0\5hello"), "hello"},
		{ITEM("\x8\0\0\0\2\3\0\0\0\1\7\0\0\0\1x"), "[1, x]"},
		{ITEM("\x9\3\0\0\0\1\2\0\xff"), "[1, false]"},
		{ITEM("\xa\0\0\0\1\7\0\0\0\1k\3\0\0\0\7"), "{k=7}"},
		{ITEM("\x64\0\0\0\1z"), "7a"},
	};
	for (size_t i = 0; i < COUNT(known); i++) {
		char more[64];
		memcpy(more, known[i].item.ptr, known[i].item.len);
		more[known[i].item.len] = 2;
		pj_bytes rest = {more, known[i].item.len + 1}, item;
		assert_int_equal(pj__typed_take(&rest, &item), PJ__FOUND);
		assert_int_equal(item.len, known[i].item.len);
		assert_int_equal(rest.len, 1);
		for (size_t len = 0; len < known[i].item.len; len++) {
			rest = (pj_bytes){more, len};
			assert_int_equal(pj__typed_take(&rest, &item), PJ__FOUND_PART);
		}
		pj_text text = {0};
		pj__typed_show(known[i].item, &text);
		assert_text(&text, known[i].shown);
	}
	pj_bytes item, rest = {"\x0b", 1};
	assert_int_equal(pj__typed_take(&rest, &item), PJ__FOUND_NOTHING_SUCH);
	/* lists without end in lists */
	char deep[1000];
	memset(deep, 9, sizeof deep);
	rest = (pj_bytes){deep, sizeof deep};
	assert_int_equal(pj__typed_take(&rest, &item), PJ__FOUND_NOTHING_SUCH);
	pj_text text = {0};
	pj__typed_put_long(-2, &text);
	pj__typed_put(pj_bytes_of("ab"), 7, &text);
	assert_bytes(pj__text_all(&text), "\4\xff\xff\xff\xff\xff\xff\xff\xfe\7\0\0\0\2ab", 16);
	pj__text_fini(&text);
}

/* ------------------------------------------------------------------------------------------------------- aggregates */

/* The report over values, ended by NULL; and the same when they are combined one half at a time. */
static void assert_report(const char *key, const char *const *values, const char *wanted)
{
	pj__aggregation type;
	pj_bytes id;
	assert_true(pj__aggregate_of(pj_bytes_of(key), &type, &id));
	size_t count = 0;
	while (values[count])
		count++;
	for (size_t cut = 0; cut <= count; cut++) {
		pj__aggregate halves[2], whole;
		pj__aggregate_init(&whole, type, INT64_MAX);
		for (int half = 0; half < 2; half++) {
			pj__aggregate_init(&halves[half], type, INT64_MAX);
			const size_t from = half ? cut : 0, until = half ? count : cut;
			for (size_t i = from; i < until; i++)
				assert_int_equal(pj__aggregate_add(&halves[half], pj_bytes_of(values[i]), NULL), PJ_OK);
			const size_t combined = from < until ? pj__aggregate_combined(&halves[half]) : 0;
			for (size_t i = 0; i < combined; i++) {
				pj_text value = {0};
				pj__aggregate_combined_value(&halves[half], i, &value);
				assert_int_equal(pj__aggregate_add(&whole, pj__text_all(&value), NULL), PJ_OK);
				pj__text_fini(&value);
			}
			for (size_t i = from; !combined && i < until; i++)
				assert_int_equal(pj__aggregate_add(&whole, pj_bytes_of(values[i]), NULL), PJ_OK);
			pj__aggregate_fini(&halves[half]);
		}
		pj_text report = {0};
		assert_int_equal(pj__aggregate_report(&whole, &report, NULL), PJ_OK);
		assert_text(&report, wanted);
		pj__aggregate_fini(&whole);
	}
}

static void aggregates_report_as_hadoops(void **state)
{
	(void)state;
	static const char *const numbers[] = {"3", "-1", "10", NULL};
	assert_report("LongValueSum:a", numbers, "12");
	assert_report("longvaluesum:a", numbers, "12");
	assert_report("LongValueMax:a", numbers, "10");
	assert_report("LongValueMin:a", numbers, "-1");
	assert_report("LongValueSum:a", (const char *const[]){"9223372036854775807", "1", NULL},
		      "-9223372036854775808");
	assert_report("DoubleValueSum:a", (const char *const[]){"1.5", "1.5", NULL}, "3.0");
	assert_report("DoubleValueSum:a", (const char *const[]){"1e7", NULL}, "1.0E7");
	assert_report("StringValueMax:a", numbers, "3");
	assert_report("StringValueMin:a", numbers, "-1");
	assert_report("StringValueMax:a", (const char *const[]){"\xf0\x9f\x98\x80", "\xef\xbd\xa1", NULL},
		      "\xef\xbd\xa1");
	assert_report("UniqValueCount:a", (const char *const[]){"x", "y", "x", "", NULL}, "3");
	assert_report("ValueHistogram:a", (const char *const[]){"x", "y", "x", "z\t5", NULL},
		      "3\t1\t2\t5\t2.6666666666666665\t1.699673171197595");
	static const char *const wrong[] = {"LongValueSum", "Sum:a", ":a", ""};
	for (size_t i = 0; i < COUNT(wrong); i++) {
		pj__aggregation type;
		pj_bytes id;
		assert_false(pj__aggregate_of(pj_bytes_of(wrong[i]), &type, &id));
	}
	pj__aggregate aggregate;
	pj__aggregate_init(&aggregate, PJ__LONG_SUM, INT64_MAX);
	assert_int_equal(pj__aggregate_add(&aggregate, pj_bytes_of("x"), NULL), PJ_ERR_USER);
	pj__aggregate_init(&aggregate, PJ__UNIQUE, 2);
	for (int i = 0; i < 5; i++)
		assert_int_equal(pj__aggregate_add(&aggregate, (pj_bytes){&"abcde"[i], 1}, NULL), PJ_OK);
	pj_text report = {0};
	assert_int_equal(pj__aggregate_report(&aggregate, &report, NULL), PJ_OK);
	assert_text(&report, "2");
	pj__aggregate_fini(&aggregate);
}

static void bags_hold_many(void **state)
{
	(void)state;
	pj__bag bag = {0};
	for (int i = 0; i < 30000; i++) {
		char key[16];
		snprintf(key, sizeof key, "%d", i % 10000);
		assert_int_equal(pj__bag_add(&bag, pj_bytes_of(key), i, NULL), PJ_OK);
	}
	assert_int_equal(bag.count, 10000);
	assert_int_equal(bag.items[7].count, 7 + 10007 + 20007);
	assert_bytes(pj__bag_key(&bag, 9999), "9999", 4);
	pj__bag_fini(&bag);
}

/* ----------------------------------------------------------------------------------------- properties, command line */

static void properties_have_two_names(void **state)
{
	(void)state;
	pj__conf conf = {0};
	assert_int_equal(pj__conf_set(&conf, "mapred.reduce.tasks", "3", NULL), PJ_OK);
	assert_string_equal(pj__conf_get(&conf, "mapreduce.job.reduces"), "3");
	assert_int_equal(pj__conf_set(&conf, "mapreduce.job.reduces", "4", NULL), PJ_OK);
	assert_string_equal(pj__conf_get(&conf, "mapred.reduce.tasks"), "4");
	int64_t number;
	assert_int_equal(pj__conf_number(&conf, "mapred.reduce.tasks", 0, 9, 1, &number, NULL), PJ_OK);
	assert_int_equal(number, 4);
	assert_int_equal(pj__conf_number(&conf, "mapred.reduce.tasks", 0, 3, 1, &number, NULL), PJ_ERR_USAGE);
	assert_int_equal(pj__conf_number(&conf, "another", 0, 3, 1, &number, NULL), PJ_OK);
	assert_int_equal(number, 1);
	assert_int_equal(pj__conf_set(&conf, "a", "<${b}${c}${mapreduce.job.reduces}>", NULL), PJ_OK);
	assert_int_equal(pj__conf_set(&conf, "b", "${b}", NULL), PJ_OK);
	pj_text text = {0};
	pj__conf_expand(&conf, pj__conf_get(&conf, "a"), &text);
	assert_text(&text, "<${b}${c}4>");
	/* one that names itself twice would grow without end */
	assert_int_equal(pj__conf_set(&conf, "d", "${d}${d}", NULL), PJ_OK);
	pj__conf_expand(&conf, "${d}", &text);
	assert_in_range(text.len, 100, 10000);
	pj__text_fini(&text);
	assert_int_equal(pj__conf_set(&conf, "t", "TRUE", NULL), PJ_OK);
	assert_true(pj__conf_bool(&conf, "t", false));
	assert_false(pj__conf_bool(&conf, "a", false));
	assert_null(pj__other_name("another"));
	pj__conf_fini(&conf);
}

static void properties_are_read_from_a_file(void **state)
{
	(void)state;
	char path[] = "/tmp/papjuice-conf-XXXXXX";
	static const char text[] =
		"<?xml version=\"1.0\"?>\n<configuration>\n"
		"<!-- <property><name>x</name><value>1</value></property> -->\n"
		"<property><name> a.b </name><value>1 &lt; 2 &amp; &#233;&#x1F600;</value></property>\n"
		"<property><name>c</name><value><![CDATA[<&>]]></value><final>true</final></property>\n"
		"<property><name>d</name></property>\n</configuration>\n";
	const int fd = mkstemp(path);
	assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
	pj__conf conf = {0};
	assert_int_equal(pj__conf_read(&conf, path, NULL), PJ_OK);
	assert_string_equal(pj__conf_get(&conf, "a.b"), "1 < 2 & \xc3\xa9\xf0\x9f\x98\x80");
	assert_string_equal(pj__conf_get(&conf, "c"), "<&>");
	assert_null(pj__conf_get(&conf, "x"));
	assert_null(pj__conf_get(&conf, "d"));
	assert_int_equal(ftruncate(fd, 10), 0);
	assert_int_equal(pj__conf_read(&conf, path, NULL), PJ_ERR_INPUT);
	close(fd);
	unlink(path);
	assert_int_equal(pj__conf_read(&conf, path, NULL), PJ_ERR_INPUT);
	pj__conf_fini(&conf);
}

/* Reads the words up to a NULL. */
static pj_status read_words(pj__request *request, const char *const *words, pj_error *error)
{
	int count = 0;
	while (words[count])
		count++;
	*error = (pj_error){.status = PJ_OK};
	return pj__request_read(request, count, (char **)words, error);
}

static void command_lines_are_read(void **state)
{
	(void)state;
	pj__request request;
	pj_error error;
	static const char *const words[] = {"-D",
					    "a=1",
					    "-Db=2",
					    "-D",
					    "nothing",
					    "--fs=local",
					    "-files",
					    "/dev/null#x,/etc/passwd",
					    "-input",
					    "i1",
					    "i2",
					    "--input",
					    "i3,{a,b}",
					    "-output",
					    "o",
					    "-mapper",
					    "\"a b\"",
					    "-mapper",
					    "second",
					    "-reducer",
					    "-not-an-option",
					    "-jobconf",
					    "a=2",
					    "-cmdenv",
					    "X=1 2",
					    "-cmdenv",
					    "Y=3",
					    "-lazyOutput",
					    NULL};
	assert_int_equal(read_words(&request, words, &error), PJ_OK);
	assert_string_equal(pj__conf_get(&request.conf, "a"), "2");
	assert_string_equal(pj__conf_get(&request.conf, "b"), "2");
	assert_string_equal(pj__conf_get(&request.conf, "fs.default.name"), "local");
	assert_int_equal(request.files.count, 2);
	assert_string_equal(request.files.at[0], "/dev/null#x");
	assert_int_equal(request.given[PJ__OPT_INPUT].count, 3);
	assert_string_equal(request.given[PJ__OPT_INPUT].at[2], "i3,{a,b}");
	assert_string_equal(pj__request_value(&request, PJ__OPT_MAPPER), "a b");
	assert_string_equal(pj__request_value(&request, PJ__OPT_REDUCER), "-not-an-option");
	assert_int_equal(request.given[PJ__OPT_CMDENV].count, 2);
	assert_true(request.has[PJ__OPT_LAZY]);
	assert_null(pj__request_value(&request, PJ__OPT_COMBINER));
	pj__request_fini(&request);
}

static void wrong_command_lines_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *words[8];
		const char *what;
	} known[] = {
		{{"-input", "i", NULL}, "Required argument: -output "},
		{{"-output", "o", NULL}, "Required argument: -input <name>"},
		{{"-input", "i", "-output", "o", "-D", "a=1", NULL}, "Unrecognized option: -D"},
		{{"-input", "i", "-output", "o", "-foo", NULL}, "Unrecognized option: -foo"},
		{{"-input", "i", "-output", "o", "x", "y", NULL},
		 "Found 2 unexpected arguments on the command line [x, y]"},
		{{"-output", "-input", "i", NULL}, "Missing argument for option: output"},
		{{"-files", "/nowhere/x", "-input", "i", NULL}, "File /nowhere/x does not exist."},
		{{"-input", "i", "-output", "o", "-file", "/nowhere/x", NULL}, "File: /nowhere/x does not exist."},
	};
	for (size_t i = 0; i < COUNT(known); i++) {
		pj__request request;
		pj_error error;
		assert_int_not_equal(read_words(&request, known[i].words, &error), PJ_OK);
		assert_string_equal(error.what, known[i].what);
		pj__request_fini(&request);
	}
	pj__request request;
	pj_error error;
	assert_int_equal(read_words(&request, (const char *const[]){"-help", NULL}, &error), PJ_OK);
	assert_true(request.has[PJ__OPT_HELP]);
	pj__request_fini(&request);
}

static void classes_are_found_by_name(void **state)
{
	(void)state;
	pj__class class;
	pj_error error;
	static const struct {
		pj__class_use use;
		const char *name;
		pj__class id;
	} known[] = {
		{PJ__USE_PARTITIONER, "org.apache.hadoop.mapred.lib.KeyFieldBasedPartitioner", PJ__FIELD_PARTITIONER},
		{PJ__USE_PARTITIONER, "org.apache.hadoop.mapreduce.lib.partition.HashPartitioner",
		 PJ__HASH_PARTITIONER},
		{PJ__USE_INPUT_FORMAT, "KeyValueTextInputFormat", PJ__KEY_VALUE_INPUT},
		{PJ__USE_INPUT_FORMAT, "org.apache.hadoop.mapred.lib.NLineInputFormat", PJ__NLINE_INPUT},
		{PJ__USE_REDUCER, "org.apache.hadoop.mapreduce.lib.reduce.LongSumReducer", PJ__LONG_SUM_REDUCER},
	};
	for (size_t i = 0; i < COUNT(known); i++) {
		assert_int_equal(pj__class_find(known[i].use, "-x", known[i].name, &class, &error), PJ_OK);
		assert_int_equal(class, known[i].id);
	}
	assert_int_equal(pj__class_find(PJ__USE_PARTITIONER, "-partitioner", "org.apache.hadoop.io.HashPartitioner",
					&class, &error),
			 PJ_ERR_USAGE);
	assert_string_equal(error.what, "-partitioner : class not found : org.apache.hadoop.io.HashPartitioner");
	assert_non_null(strstr(error.hint, "KeyFieldBasedPartitioner"));
	assert_true(pj__is_class_name("org.apache.hadoop.mapred.lib.IdentityMapper"));
	static const char *const commands[] = {"cat", "python3 a.b.C", "./a.b.C", "mapper.py", "a.b.c",
					       "A",   "a.B",           "1.2.C"};
	for (size_t i = 0; i < COUNT(commands); i++)
		assert_false(pj__is_class_name(commands[i]));
}

/* Cuts files of these sizes, and looks at the cuts. */
static void assert_cuts(const uint64_t *sizes, size_t files, pj__cutting cutting, const pj__cut *wanted, size_t count)
{
	pj__files list = {.sizes = malloc(files * sizeof *sizes)};
	memcpy(list.sizes, sizes, files * sizeof *sizes);
	for (size_t i = 0; i < files; i++)
		assert_int_equal(pj__strings_add(&list.paths, "/x", 2, NULL), PJ_OK);
	assert_int_equal(pj__files_cut(&list, &cutting, NULL), PJ_OK);
	assert_int_equal(list.cut_count, count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(list.cuts[i].file, wanted[i].file);
		assert_int_equal(list.cuts[i].start, wanted[i].start);
		assert_int_equal(list.cuts[i].length, wanted[i].length);
	}
	/* the pieces of a file are all of it, once */
	uint64_t bytes = 0, all = 0;
	for (size_t i = 0; i < count; i++)
		bytes += list.pieces[i].length;
	for (size_t i = 0; i < files; i++)
		all += sizes[i];
	assert_int_equal(bytes, all);
	pj__files_fini(&list);
}

static void files_are_cut_as_hadoop_does(void **state)
{
	(void)state;
	/* the longest first, equal ones as they stood; an empty file is a task; a tenth more is no piece of its own */
	assert_cuts((const uint64_t[]){10, 0, 105, 250}, 4, (pj__cutting){.maps = 1, .least = 1, .most = 100},
		    (const pj__cut[]){{2, 0, 105}, {3, 0, 100}, {3, 100, 100}, {3, 200, 50}, {0, 0, 10}, {1, 0, 0}}, 6);
	assert_cuts((const uint64_t[]){90}, 1, (pj__cutting){.maps = 3, .least = 1, .most = 1000},
		    (const pj__cut[]){{0, 0, 30}, {0, 30, 30}, {0, 60, 30}}, 3);
	assert_cuts((const uint64_t[]){90}, 1, (pj__cutting){.maps = 3, .least = 50, .most = 1000},
		    (const pj__cut[]){{0, 0, 50}, {0, 50, 40}}, 2);
	assert_cuts((const uint64_t[]){0}, 0, (pj__cutting){.maps = 1, .least = 1, .most = 1}, NULL, 0);
}

static void lists_keep_what_is_in_braces(void **state)
{
	(void)state;
	pj__strings list = {0};
	assert_int_equal(pj__strings_split(&list, "a,{b,c}d,,e", NULL), PJ_OK);
	assert_int_equal(list.count, 3);
	assert_string_equal(list.at[0], "a");
	assert_string_equal(list.at[1], "{b,c}d");
	assert_string_equal(list.at[2], "e");
	pj__strings_fini(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes_are_those_of_text),
		cmocka_unit_test(strings_hash_by_units_of_16_bits),
		cmocka_unit_test(strings_compare_by_units_of_16_bits),
		cmocka_unit_test(malformed_bytes_are_replaced),
		cmocka_unit_test(parts_by_fields_are_hadoops),
		cmocka_unit_test(order_by_fields_is_hadoops),
		cmocka_unit_test(order_by_fields_has_no_last_resort),
		cmocka_unit_test(commands_are_split_as_hadoop_does),
		cmocka_unit_test(lines_end_at_lf_cr_and_both),
		cmocka_unit_test(lines_are_cut_at_the_nth_separator),
		cmocka_unit_test(doubles_are_written_as_java_does),
		cmocka_unit_test(raw_bytes_come_with_their_length),
		cmocka_unit_test(typed_bytes_are_taken_and_shown),
		cmocka_unit_test(aggregates_report_as_hadoops),
		cmocka_unit_test(bags_hold_many),
		cmocka_unit_test(properties_have_two_names),
		cmocka_unit_test(properties_are_read_from_a_file),
		cmocka_unit_test(command_lines_are_read),
		cmocka_unit_test(wrong_command_lines_are_refused),
		cmocka_unit_test(classes_are_found_by_name),
		cmocka_unit_test(files_are_cut_as_hadoop_does),
		cmocka_unit_test(lists_keep_what_is_in_braces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
