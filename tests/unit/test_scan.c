/*
 * test_scan.c: pj_next_word, pj_next_line and pj_next_pair over the index give what the plain loops give, on any text,
 * from any place, in any order, with the loops for every instruction set that this processor has.
 */
#include "testing.h"

#include "input/scan.h"

/* A task over a text that lies at the very end of its memory but for the padding, which holds words. */
struct reading {
	pj__task *task;
	char *memory, *text;
	size_t len;
};

static struct reading *reading;

static int prepare(void **state)
{
	(void)state;
	reading = calloc(1, sizeof *reading);
	if (!reading)
		return 1;
	reading->task = pj__task_holder(sizeof *reading->task);
	return !reading->task;
}

static int clean_up(void **state)
{
	(void)state;
	free(reading->memory);
	free(reading->task);
	free(reading);
	return 0;
}

/* Makes the reading's text of `len` bytes, `shift` bytes behind an aligned address. */
static char *set_text(size_t len, size_t shift)
{
	free(reading->memory);
	reading->memory = malloc(shift + len + PJ_TEXT_PADDING);
	assert_non_null(reading->memory);
	memset(reading->memory, 'x', shift);
	reading->text = reading->memory + shift;
	reading->len = len;
	memset(reading->text + len, 'p', PJ_TEXT_PADDING);
	reading->text[len + 1] = '\n';
	reading->text[len + 9] = ' ';
	return reading->text;
}

static pj_bytes begin(void)
{
	const pj_bytes all = {reading->text, reading->len};
	pj__task_init(reading->task, PJ_NUMBER_I64);
	pj__scan_attach(reading->task);
	pj__task_set_text(reading->task, all, "text", 0);
	return all;
}

/* Kinds of text: how often white space comes, and which. */
static void fill(uint64_t *random, char *text, size_t len)
{
	static const char spaces[] = " \t\n\v\f\r";
	static const char near[] = {8, 14, 31, 33, 0, (char)0x85, (char)0xa0, (char)0xff, (char)0x89, (char)0xa0};
	const size_t kind = random_below(random, 6);
	const size_t one_in = kind == 0   ? 1
			      : kind == 1 ? 2
			      : kind == 2 ? 6
			      : kind == 3 ? 40
			      : kind == 4 ? 3000
					  : 100000;
	for (size_t i = 0; i < len; i++) {
		if (random_below(random, one_in) == 0)
			text[i] = spaces[random_below(random, sizeof spaces - 1)];
		else if (random_below(random, 4) == 0)
			text[i] = near[random_below(random, sizeof near)];
		else
			text[i] = (char)('a' + random_below(random, 26));
	}
}

static void assert_same_bytes(pj_bytes a, pj_bytes b)
{
	assert_ptr_equal(a.ptr, b.ptr);
	assert_int_equal(a.len, b.len);
}

/* One call and its plain twin; they must say the same. Returns what they return. */
static int next_word(pj_bytes *rest, pj_bytes *word)
{
	pj_bytes plain_rest = *rest, plain;
	const int there = pj_next_word(&reading->task->face, rest, word);
	assert_int_equal(there, pj_next_word_plain(&plain_rest, &plain));
	assert_same_bytes(*rest, plain_rest);
	if (there)
		assert_same_bytes(*word, plain);
	return there;
}

static int next_line(pj_bytes *rest, pj_bytes *line)
{
	pj_bytes plain_rest = *rest, plain;
	const int there = pj_next_line(&reading->task->face, rest, line);
	assert_int_equal(there, pj_next_line_plain(&plain_rest, &plain));
	assert_same_bytes(*rest, plain_rest);
	if (there)
		assert_same_bytes(*line, plain);
	return there;
}

static int next_pair(pj_bytes *rest, char separator, pj_bytes *key)
{
	pj_bytes plain_rest = *rest, value, plain_key, plain_value;
	const int there = pj_next_pair(&reading->task->face, rest, separator, key, &value);
	assert_int_equal(there, pj_next_pair_plain(&plain_rest, separator, &plain_key, &plain_value));
	assert_same_bytes(*rest, plain_rest);
	if (there) {
		assert_same_bytes(*key, plain_key);
		assert_same_bytes(value, plain_value);
	}
	return there;
}

/* Words of the whole text; lines of it; words of each line. */
static void read_all_ways(void)
{
	pj_bytes rest = begin(), piece, word;
	while (next_word(&rest, &piece))
		;
	rest = begin();
	while (next_line(&rest, &piece))
		;
	rest = begin();
	while (next_line(&rest, &piece))
		while (next_word(&piece, &word))
			;
}

static void texts_of_every_length(void **state)
{
	(void)state;
	uint64_t random = 1;
	for (size_t len = 0; len <= 300; len++) {
		for (int times = 0; times < 12; times++) {
			fill(&random, set_text(len, random_below(&random, 64)), len);
			read_all_ways();
		}
	}
}

static void texts_around_the_borders_of_windows(void **state)
{
	(void)state;
	static const size_t around[] = {64, 128, 4032, 4096, 4160, 8192, 12288, 16384, 40960};
	uint64_t random = 2;
	for (size_t i = 0; i < sizeof around / sizeof *around; i++) {
		for (int delta = -3; delta <= 3; delta++) {
			for (int times = 0; times < 8; times++) {
				const size_t len = (size_t)((long)around[i] + delta);
				fill(&random, set_text(len, random_below(&random, 64)), len);
				read_all_ways();
			}
		}
	}
}

/* One word that begins before a window's end and is as long as none to three windows. */
static void words_across_windows(void **state)
{
	(void)state;
	for (size_t start = PJ__WINDOW_BYTES - 70; start <= PJ__WINDOW_BYTES + 3; start++) {
		for (size_t windows = 0; windows <= 3; windows++) {
			for (size_t more = 0; more <= 130; more += 13) {
				const size_t len = start + windows * PJ__WINDOW_BYTES + more;
				char *text = set_text(len + (more % 2 ? 5 : 0), start % 64);
				memset(text, ' ', reading->len);
				memset(text + start, 'w', len - start);
				text[start / 2] = 'v';
				read_all_ways();
			}
		}
	}
}

static void every_byte_is_white_space_or_not(void **state)
{
	(void)state;
	char *text = set_text(3 * 256, 0);
	for (int byte = 0; byte < 256; byte++) {
		text[3 * byte] = 'a';
		text[3 * byte + 1] = (char)byte;
		text[3 * byte + 2] = 'b';
	}
	read_all_ways();
	pj_bytes rest = begin(), word;
	size_t words = 0;
	while (next_word(&rest, &word))
		words++;
	assert_int_equal(words, 7); /* six bytes part them */
}

/* Any piece of the text, words and lines mixed, taken up again a byte before or behind, or somewhere else. */
static void wander(uint64_t *random, int steps)
{
	const pj_bytes all = begin();
	pj_bytes rest = all, found = all;
	for (int i = 0; i < steps; i++) {
		const char *const end = all.ptr + all.len;
		switch (random_below(random, 12)) {
		case 0: { /* anywhere */
			const size_t from = random_below(random, all.len + 1);
			rest = (pj_bytes){all.ptr + from, random_below(random, all.len - from + 1)};
			break;
		}
		case 1: /* goes on behind what was cut off, and a byte further */
		case 2: {
			const char *from = rest.ptr + rest.len + random_below(random, 2);
			from = from > end ? end : from;
			rest = (pj_bytes){from, random_below(random, (size_t)(end - from) + 1)};
			break;
		}
		case 3: /* the piece is cut shorter */
			rest.len = random_below(random, rest.len + 1);
			break;
		case 4: /* the same again, to the end of the text */
			rest = (pj_bytes){found.ptr, (size_t)(end - found.ptr)};
			break;
		case 5:
		case 6:
			if (!next_line(&rest, &found))
				found = rest;
			break;
		case 7:
		case 8:
			if (!next_pair(&rest, random_below(random, 9) ? ' ' : 'a', &found))
				found = rest;
			break;
		default:
			if (!next_word(&rest, &found))
				found = rest;
			break;
		}
	}
}

static void any_pieces_in_any_order(void **state)
{
	(void)state;
	uint64_t random = 3;
	for (int times = 0; times < 6000; times++) {
		const size_t len = 1 + random_below(&random, times % 10 ? 60 : 20000);
		fill(&random, set_text(len, random_below(&random, 64)), len);
		wander(&random, 60);
	}
}

/* A mapper of lines may take words and lines from its line; the next line is not touched by that. */
static void lines_inside_lines(void **state)
{
	(void)state;
	uint64_t random = 4;
	for (int times = 0; times < 300; times++) {
		const size_t len = 1 + random_below(&random, 6000);
		fill(&random, set_text(len, 0), len);
		pj_bytes rest = begin(), line, inner, word;
		while (next_line(&rest, &line)) {
			pj_bytes again = line;
			while (next_line(&again, &inner))
				while (next_word(&inner, &word))
					;
		}
	}
}

/* Fields are cut anywhere; the words of each are its own. */
static void words_inside_fields(void **state)
{
	(void)state;
	static const char sample[] = "a,b c,,  ,d e f ,g\n  ,h,\ti,j k";
	memcpy(set_text(sizeof sample - 1, 0), sample, sizeof sample - 1);
	pj_bytes rest = begin(), field, word;
	size_t words = 0;
	while (pj_next_field_plain(&rest, ',', &field))
		while (next_word(&field, &word))
			words++;
	assert_int_equal(words, 11);
}

static void other_bytes_are_read_by_the_plain_loops(void **state)
{
	(void)state;
	memcpy(set_text(11, 0), "one two\nsix", 11);
	pj_bytes all = begin(), word, line;
	char copy[] = "seven\neight nine";
	pj_bytes other = {copy, sizeof copy - 1}, none = {NULL, 0};
	assert_true(next_word(&all, &word));
	assert_true(next_line(&other, &line));
	assert_true(next_word(&other, &word));
	assert_true(next_word(&other, &word));
	assert_false(next_word(&other, &word));
	assert_false(next_word(&none, &word));
	assert_false(next_line(&none, &line));
	assert_true(next_word(&all, &word));
	assert_memory_equal(word.ptr, "two", 3);
}

/* Fields of lines, of the whole text and of other bytes; of every length around what is read at a time. */
static void fields_are_those_of_the_plain_loop(void **state)
{
	(void)state;
	uint64_t random = 6;
	for (int times = 0; times < 4000; times++) {
		const size_t len = random_below(&random, times % 8 ? 100 : 6000),
			     one_in = 1 + random_below(&random, 70);
		char *text = set_text(len, random_below(&random, 64));
		for (size_t i = 0; i < len; i++)
			text[i] = random_below(&random, one_in) ? (char)random_bits(&random) : ',';
		pj_bytes whole = begin();
		const size_t from = random_below(&random, len + 1);
		pj_bytes rest = {whole.ptr + from, random_below(&random, len - from + 1)}, field = rest;
		pj_bytes plain_rest = rest, plain;
		if (times % 5 == 4) /* bytes that are not the task's */
			pj__task_set_text(reading->task, (pj_bytes){"other", 5}, "", 0);
		while (pj_next_field_plain(&plain_rest, ',', &plain)) {
			assert_true(pj_next_field(&reading->task->face, &rest, ',', &field));
			assert_same_bytes(field, plain);
			assert_same_bytes(rest, plain_rest);
		}
		assert_false(pj_next_field(&reading->task->face, &rest, ',', &field));
	}
}

/* Lines with no separator, with one and with many; empty ones, and such as are longer than what is read at a time. */
static void pairs_are_those_of_the_plain_loop(void **state)
{
	(void)state;
	static const char separators[] = {';', '\n', '\0', (char)0xff};
	uint64_t random = 7;
	for (int times = 0; times < 4000; times++) {
		const size_t len = random_below(&random, times % 8 ? 300 : 20000);
		const size_t line = 1 + random_below(&random, times % 3 ? 100 : 6000);
		const size_t field = 1 + random_below(&random, 100);
		const char separator = separators[random_below(&random, sizeof separators)];
		char *text = set_text(len, random_below(&random, 64));
		for (size_t i = 0; i < len; i++)
			text[i] = !random_below(&random, line)    ? '\n'
				  : !random_below(&random, field) ? separator
								  : (char)random_bits(&random);
		pj_bytes rest = begin(), key;
		while (next_pair(&rest, separator, &key))
			;
	}
}

/* A mapper of lines may cut its line in two; other bytes are cut by the plain loop. */
static void pairs_inside_lines(void **state)
{
	(void)state;
	static const char sample[] = "a;b\nc\n;\n\nd;e;f\ng;h";
	memcpy(set_text(sizeof sample - 1, 0), sample, sizeof sample - 1);
	pj_bytes rest = begin(), line, key, other = {sample, sizeof sample - 1};
	while (next_line(&rest, &line))
		while (next_pair(&line, ';', &key))
			;
	while (next_pair(&other, ';', &key))
		;
}

static void newlines_are_counted(void **state)
{
	(void)state;
	uint64_t random = 5;
	for (size_t len = 0; len <= 700; len++) {
		char *text = set_text(len, random_below(&random, 64));
		size_t newlines = 0;
		fill(&random, text, len);
		for (size_t i = 0; i < len; i++)
			newlines += text[i] == '\n';
		const pj_bytes all = begin();
		/* nothing behind the end may count, and nothing there may be read: AddressSanitizer watches */
		char *exact = malloc(len + !len);
		memcpy(exact, text, len);
		assert_int_equal(pj__scan_newlines(reading->task, (pj_bytes){exact, all.len}), newlines);
		free(exact);
	}
}

/* A task that nothing is attached to has no index, and is right all the same. */
static void without_an_index(void **state)
{
	(void)state;
	memcpy(set_text(9, 0), "one two\n3", 9);
	pj_bytes rest = begin(), found;
	pj__task_init(reading->task, PJ_NUMBER_I64);
	assert_true(next_word(&rest, &found));
	assert_true(next_line(&rest, &found));
	assert_true(next_word(&rest, &found));
	assert_false(next_word(&rest, &found));
}

int main(void)
{
	alarm(60);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_of_every_length),
		cmocka_unit_test(texts_around_the_borders_of_windows),
		cmocka_unit_test(words_across_windows),
		cmocka_unit_test(every_byte_is_white_space_or_not),
		cmocka_unit_test(any_pieces_in_any_order),
		cmocka_unit_test(lines_inside_lines),
		cmocka_unit_test(words_inside_fields),
		cmocka_unit_test(other_bytes_are_read_by_the_plain_loops),
		cmocka_unit_test(fields_are_those_of_the_plain_loop),
		cmocka_unit_test(pairs_are_those_of_the_plain_loop),
		cmocka_unit_test(pairs_inside_lines),
		cmocka_unit_test(newlines_are_counted),
		cmocka_unit_test(without_an_index),
	};
	return run_for_every_isa(tests, prepare, clean_up);
}
