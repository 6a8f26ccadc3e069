/*
 * sort_key.c: see sort_key.h.
 */
#include "jobs/sort_key.h"

#include <stdint.h>

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t';
}

static bool is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

/* ---------------------------------------------------------------------------------------------------------- reading */

/*
 * Takes a number from the front of *text; one that does not fit becomes the largest possible. False: *text does not
 * begin with one.
 */
static bool take_count(pj_bytes *text, size_t *ret_count)
{
	size_t count = 0, used = 0;
	for (; used < text->len && is_digit(text->ptr[used]); used++)
		if (__builtin_mul_overflow(count, 10u, &count) ||
		    __builtin_add_overflow(count, (size_t)(text->ptr[used] - '0'), &count))
			count = SIZE_MAX;
	*text = (pj_bytes){text->ptr + used, text->len - used};
	*ret_count = count;
	return used > 0;
}

/* Takes F[.C][bnr]. *ret_byte stays as it is without a C. */
static bool take_position(pj_bytes *text, size_t *ret_field, size_t *ret_byte, bool *ret_blanks, pj__sort_key *key)
{
	if (!take_count(text, ret_field) || !*ret_field)
		return false;
	if (text->len && *text->ptr == '.') {
		*text = (pj_bytes){text->ptr + 1, text->len - 1};
		if (!take_count(text, ret_byte))
			return false;
	}
	for (; text->len && *text->ptr != ','; *text = (pj_bytes){text->ptr + 1, text->len - 1}) {
		if (*text->ptr == 'b')
			*ret_blanks = true;
		else if (*text->ptr == 'n')
			key->numeric = true;
		else if (*text->ptr == 'r')
			key->reverse = true;
		else
			return false;
	}
	return true;
}

bool pj__sort_key_read(pj_bytes text, pj__sort_key *ret_key)
{
	pj__sort_key key = {.start_byte = 1, .end_field = SIZE_MAX};
	if (!take_position(&text, &key.start_field, &key.start_byte, &key.skips_start_blanks, &key) || !key.start_byte)
		return false;
	key.start_field--;
	key.start_byte--;
	if (text.len) {
		text = (pj_bytes){text.ptr + 1, text.len - 1};
		if (!take_position(&text, &key.end_field, &key.end_byte, &key.skips_end_blanks, &key) || text.len)
			return false;
		key.end_field--;
	}
	*ret_key = key;
	return true;
}

/* ---------------------------------------------------------------------------------------------------------- finding */

/* Skips `count` fields, and the separators after all of them or all but the last. */
static const char *skip_fields(const char *at, const char *end, size_t count, int separator, bool behind_last)
{
	for (; count && at < end; count--) {
		if (separator < 0) {
			while (at < end && is_blank(*at))
				at++;
			while (at < end && !is_blank(*at))
				at++;
			continue;
		}
		const char *const hit = memchr(at, separator, (size_t)(end - at));
		at = !hit ? end : count > 1 || behind_last ? hit + 1 : hit;
	}
	return at;
}

static const char *skip_blanks(const char *at, const char *end)
{
	while (at < end && is_blank(*at))
		at++;
	return at;
}

static const char *skip_bytes(const char *at, const char *end, size_t count)
{
	return count < (size_t)(end - at) ? at + count : end;
}

pj_bytes pj__sort_key_find(const pj__sort_key *key, int separator, pj_bytes line)
{
	if (!line.len)
		return line;
	const char *const end = line.ptr + line.len;
	const char *start = skip_fields(line.ptr, end, key->start_field, separator, true), *stop = end;
	if (key->skips_start_blanks)
		start = skip_blanks(start, end);
	start = skip_bytes(start, end, key->start_byte);
	if (key->end_field != SIZE_MAX && key->end_byte) {
		stop = skip_fields(line.ptr, end, key->end_field, separator, true);
		if (key->skips_end_blanks)
			stop = skip_blanks(stop, end);
		stop = skip_bytes(stop, end, key->end_byte);
	} else if (key->end_field != SIZE_MAX) {
		stop = skip_fields(line.ptr, end, key->end_field + 1, separator, false);
	}
	return (pj_bytes){start, stop > start ? (size_t)(stop - start) : 0};
}

/* ---------------------------------------------------------------------------------------------------------- writing */

char *pj__sort_put_bytes(char *to, pj_bytes text)
{
	for (size_t i = 0; i < text.len; i++) {
		*to++ = text.ptr[i];
		if (!text.ptr[i])
			*to++ = (char)0xff;
	}
	*to++ = 0;
	*to++ = 0;
	return to;
}

void pj__sort_complement(char *from, const char *end)
{
	for (; from < end; from++)
		*from = (char)~*from;
}

char *pj__sort_take_complemented(char *to, pj_bytes written)
{
	for (size_t i = 0; i + 2 < written.len; i++) {
		*to = (char)~written.ptr[i];
		i += !*to++;
	}
	return to;
}

static pj_bytes take_digits(const char **at, const char *end)
{
	const char *const from = *at;
	while (*at < end && is_digit(**at))
		++*at;
	return (pj_bytes){from, (size_t)(*at - from)};
}

/* Takes zeros from the front. Returns how many. */
static size_t drop_zeros(pj_bytes *digits)
{
	size_t zeros = 0;
	while (zeros < digits->len && digits->ptr[zeros] == '0')
		zeros++;
	*digits = (pj_bytes){digits->ptr + zeros, digits->len - zeros};
	return zeros;
}

static void drop_zeros_behind(pj_bytes *digits)
{
	while (digits->len && digits->ptr[digits->len - 1] == '0')
		digits->len--;
}

static char *put_exponent(char *to, size_t before_point, size_t zeros)
{
	if (before_point < 64 && zeros < 64) {
		*to++ = (char)(0x80 + (int)before_point - (int)zeros);
		return to;
	}
	const uint64_t exponent = before_point ? before_point : ~(uint64_t)zeros;
	*to++ = before_point ? (char)0xff : 0;
	for (int shift = 56; shift >= 0; shift -= 8)
		*to++ = (char)(exponent >> shift);
	return to;
}

/* The digits of `whole`, then those of `part`. */
static char *put_digits(char *to, pj_bytes whole, pj_bytes part)
{
	int first = 0;
	bool half = false;
	for (size_t i = 0; i < whole.len + part.len; i++) {
		const int digit = (i < whole.len ? whole.ptr[i] : part.ptr[i - whole.len]) - '0';
		if (half)
			*to++ = (char)(1 + 10 * first + digit);
		first = digit;
		half = !half;
	}
	if (half)
		*to++ = (char)(1 + 10 * first);
	*to++ = 0;
	return to;
}

char *pj__sort_put_number(char *to, pj_bytes text)
{
	const char *const end = text.ptr + text.len, *at = text.len ? skip_blanks(text.ptr, end) : end;
	const bool negative = at < end && *at == '-';
	at += negative;
	pj_bytes whole = take_digits(&at, end), part = {end, 0};
	if (at < end && *at == '.') {
		at++;
		part = take_digits(&at, end);
	}
	drop_zeros(&whole);
	drop_zeros_behind(&part);
	const size_t before_point = whole.len;
	if (!part.len)
		drop_zeros_behind(&whole);
	const size_t zeros = whole.len ? 0 : drop_zeros(&part);
	if (!whole.len && !part.len) {
		*to++ = 2;
		return to;
	}
	*to++ = negative ? 1 : 3;
	char *const from = to;
	to = put_digits(put_exponent(to, before_point, zeros), whole, part);
	if (negative)
		pj__sort_complement(from, to);
	return to;
}
