/*
 * java.c: see java.h.
 */
#include "streaming/java.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { REPLACEMENT = 0xfffd };

uint32_t pj__java_hash_bytes(pj_bytes bytes, uint32_t seed)
{
	uint32_t hash = seed;
	const signed char *const at = (const signed char *)bytes.ptr;
	size_t i = 0;
	/* four at a time, which need not wait for each other */
	for (; i + 4 <= bytes.len; i += 4)
		hash = hash * 923521 + (uint32_t)(at[i] * 29791 + at[i + 1] * 961 + at[i + 2] * 31 + at[i + 3]);
	for (; i < bytes.len; i++)
		hash = 31 * hash + (uint32_t)(int32_t)(signed char)bytes.ptr[i];
	return hash;
}

static bool follows(const unsigned char *at, size_t left, size_t index, unsigned least, unsigned most)
{
	return index < left && at[index] >= least && at[index] <= most;
}

/*
 * Takes a character from the front of *rest. What is malformed is REPLACEMENT, for as many bytes as could have begun a
 * character (the Unicode Standard's "maximal subpart", section 3.9), and *ret_bad is set.
 */
static uint32_t take_char(pj_bytes *rest, bool *ret_bad)
{
	const unsigned char *const at = (const unsigned char *)rest->ptr;
	const unsigned first = at[0];
	uint32_t character = REPLACEMENT;
	size_t used = 1, wanted = 0;
	unsigned least = 0x80, most = 0xbf;
	if (first < 0x80) {
		character = first;
	} else if (first >= 0xc2 && first <= 0xdf) {
		wanted = 1;
	} else if (first >= 0xe0 && first <= 0xef) {
		wanted = 2;
		least = first == 0xe0 ? 0xa0 : 0x80;
		most = first == 0xed ? 0x9f : 0xbf;
	} else if (first >= 0xf0 && first <= 0xf4) {
		wanted = 3;
		least = first == 0xf0 ? 0x90 : 0x80;
		most = first == 0xf4 ? 0x8f : 0xbf;
	}
	uint32_t whole = wanted ? first & (0x3fu >> wanted) : 0;
	while (used <= wanted && follows(at, rest->len, used, least, most)) {
		whole = whole << 6 | (at[used++] & 0x3f);
		least = 0x80;
		most = 0xbf;
	}
	if (wanted && used == wanted + 1)
		character = whole;
	else if (first >= 0x80 && ret_bad)
		*ret_bad = true;
	*rest = (pj_bytes){rest->ptr + used, rest->len - used};
	return character;
}

/* A text's 16-bit units, one after another. */
struct units {
	pj_bytes rest;
	uint32_t low; /* the second half of a pair, 0: none */
};

/* The next unit, or -1 at the end. */
static int32_t next_unit(struct units *units)
{
	if (units->low) {
		const int32_t unit = (int32_t)units->low;
		units->low = 0;
		return unit;
	}
	if (!units->rest.len)
		return -1;
	const uint32_t character = take_char(&units->rest, NULL);
	if (character < 0x10000)
		return (int32_t)character;
	units->low = 0xdc00 + ((character - 0x10000) & 0x3ff);
	return (int32_t)(0xd800 + ((character - 0x10000) >> 10));
}

uint32_t pj__java_hash_string(pj_bytes text)
{
	struct units units = {.rest = text};
	uint32_t hash = 0;
	for (int32_t unit; (unit = next_unit(&units)) >= 0;)
		hash = 31 * hash + (uint32_t)unit;
	return hash;
}

int pj__java_compare(pj_bytes a, pj_bytes b)
{
	struct units of_a = {.rest = a}, of_b = {.rest = b};
	for (;;) {
		const int32_t unit_a = next_unit(&of_a), unit_b = next_unit(&of_b);
		if (unit_a != unit_b)
			return unit_a < unit_b ? -1 : 1;
		if (unit_a < 0)
			return 0;
	}
}

bool pj__java_is_clean(pj_bytes text)
{
	bool bad = false;
	while (text.len && !bad)
		take_char(&text, &bad);
	return !bad;
}

void pj__java_clean(pj_bytes text, pj_text *to)
{
	while (text.len) {
		const char *const from = text.ptr;
		bool bad = false;
		take_char(&text, &bad);
		pj_text_bytes(to, bad ? pj_bytes_of("\xef\xbf\xbd") : (pj_bytes){from, (size_t)(text.ptr - from)});
	}
}

bool pj__java_parse_long(pj_bytes text, int64_t *ret_value)
{
	return pj_parse_i64(text, ret_value);
}

static bool equals(pj_bytes text, const char *word)
{
	return pj_bytes_equal(text, pj_bytes_of(word));
}

bool pj__java_parse_double(pj_bytes text, double *ret_value)
{
	/* String.trim() drops all control characters */
	while (text.len && (unsigned char)text.ptr[0] <= ' ')
		text = (pj_bytes){text.ptr + 1, text.len - 1};
	while (text.len && (unsigned char)text.ptr[text.len - 1] <= ' ')
		text.len--;
	const bool minus = text.len && text.ptr[0] == '-';
	const size_t sign = text.len && (minus || text.ptr[0] == '+');
	const pj_bytes word = {text.ptr + sign, text.len - sign};
	if (equals(word, "Infinity") || equals(word, "NaN")) {
		*ret_value = equals(word, "NaN") ? NAN : minus ? -INFINITY : INFINITY;
		return true;
	}
	if (!word.len || (word.ptr[0] != '.' && (word.ptr[0] < '0' || word.ptr[0] > '9')))
		return false;
	if (strchr("dDfF", text.ptr[text.len - 1]))
		text.len--;
	return pj_parse_f64(text, ret_value);
}

void pj__java_double(double value, pj_text *to)
{
	if (isnan(value) || isinf(value)) {
		pj_text_bytes(to, pj_bytes_of(isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity"));
		return;
	}
	/* the fewest digits that read back the same, as D.DDDe+NN */
	char text[40];
	for (int digits = 0; digits <= 16; digits++) {
		snprintf(text, sizeof text, "%.*e", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	char *const exponent_at = strchr(text, 'e');
	const int exponent = value == 0 ? 0 : (int)strtol(exponent_at + 1, NULL, 10);
	char digits[24], line[64];
	size_t count = 0;
	for (const char *at = text; at < exponent_at; at++)
		if (*at >= '0' && *at <= '9')
			digits[count++] = *at;
	digits[count] = 0;
	const char *const sign = signbit(value) ? "-" : "";
	if (exponent < -3 || exponent >= 7)
		snprintf(line, sizeof line, "%s%c.%sE%d", sign, digits[0], count > 1 ? digits + 1 : "0", exponent);
	else if (exponent < 0)
		snprintf(line, sizeof line, "%s0.%.*s%s", sign, -exponent - 1, "00", digits);
	else if ((size_t)exponent + 1 >= count)
		snprintf(line, sizeof line, "%s%s%.*s.0", sign, digits, (int)((size_t)exponent + 1 - count), "0000000");
	else
		snprintf(line, sizeof line, "%s%.*s.%s", sign, exponent + 1, digits, digits + exponent + 1);
	pj_text_bytes(to, pj_bytes_of(line));
}
