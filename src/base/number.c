/*
 * number.c: see number.h.
 *
 * No locale. A locale can change the decimal point (in some it is several bytes long) and nothing else in the text of
 * a number. So nothing here gives a point to libc or takes one from it: digits and exponent are taken out of what
 * snprintf writes, by themselves, and strtod gets an integer with an exponent, "31415e-4".
 *
 * Shortest text. Every decimal of up to 15 digits survives the way to a normal double and back. So if 15 digits read
 * back as the same double, they are the shortest text followed by zeros, and no shorter one needs to be tried; if they
 * do not, 16 or 17 digits are needed. The promise of 15 digits fails for subnormal doubles: there every length is
 * tried. Integers below 10^15, the most common values by far, need no trial.
 *
 * Parsing (after Clinger, "How to read floating point numbers accurately", 1990): a number whose digits make an integer
 * of up to 2^53 and whose power of ten is at most 22 is the product or quotient of two exact doubles, rounded once. All
 * others go to strtod, which rounds exactly. No double, and no border between two, has more than 767 significant
 * digits: after the 800th it only matters whether any digit is not zero.
 *
 * Both rely on the rounding mode "to nearest" and on doubles that are computed as doubles, as on x86-64 and aarch64.
 */
#include "base/number.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert(FLT_EVAL_METHOD == 0, "doubles must be computed as doubles");

static const char two_digits[200] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
				    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
				    "8081828384858687888990919293949596979899";

/* Writes the digits of `value` so that they end before `end`; returns where they begin. */
static char *digits_before(char *end, uint64_t value)
{
	while (value >= 100) {
		end -= 2;
		memcpy(end, two_digits + 2 * (value % 100), 2);
		value /= 100;
	}
	if (value >= 10) {
		end -= 2;
		memcpy(end, two_digits + 2 * value, 2);
	} else {
		*--end = (char)('0' + value);
	}
	return end;
}

size_t pj__format_i64(char *to, int64_t value)
{
	char buffer[PJ__I64_CHARS], *const end = buffer + sizeof buffer;
	const uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
	char *begin = digits_before(end, magnitude);
	if (value < 0)
		*--begin = '-';
	const size_t len = (size_t)(end - begin);
	memcpy(to, begin, len);
	return len;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* ------------------------------------------------------------------------------------------------- decimals */

enum { DIGITS_MAX = 800 };

/*
 * digits[0].digits[1]... times 10^exponent, at least one digit. Of those that did not fit one bit is kept.
 */
struct decimal {
	int64_t exponent;
	int count;
	bool more; /* a digit that is not zero did not fit */
	char digits[DIGITS_MAX + 1];
};

/* Converts through strtod, as the text "DIGITSeEXPONENT", which needs no decimal point. */
static double decimal_to_double(const struct decimal *decimal)
{
	char text[DIGITS_MAX + 32];
	int len = decimal->count;
	memcpy(text, decimal->digits, (size_t)len);
	if (decimal->more)
		text[len++] = '1';
	/* what is far beyond the ends of the double's range stays beyond them */
	int64_t exponent = decimal->exponent;
	exponent = exponent > 9999 ? 9999 : exponent < -9999 ? -9999 : exponent;
	snprintf(text + len, sizeof text - (size_t)len, "e%d", (int)exponent - (len - 1));
	const int saved = errno;
	const double value = strtod(text, NULL);
	errno = saved;
	return value;
}

/* The first `count` significant digits of `value`, rounded; `value` is finite and above zero. */
static void round_to_digits(struct decimal *decimal, double value, int count)
{
	char text[64];
	snprintf(text, sizeof text, "%.*e", count - 1, value);
	const char *at = text;
	decimal->count = 0;
	decimal->more = false;
	for (; *at != 'e'; at++)
		if (is_digit(*at))
			decimal->digits[decimal->count++] = *at;
	decimal->exponent = strtol(at + 1, NULL, 10);
	while (decimal->count > 1 && decimal->digits[decimal->count - 1] == '0')
		decimal->count--;
}

/* The fewest digits that read back as `value`. */
static void shortest(struct decimal *decimal, double value)
{
	enum { EXACT = 17 }; /* this many digits always suffice */
	for (int count = value < DBL_MIN ? 1 : DBL_DIG; count < EXACT; count++) {
		round_to_digits(decimal, value, count);
		if (decimal_to_double(decimal) == value)
			return;
	}
	round_to_digits(decimal, value, EXACT);
}

/* The digits of an integer below 10^15 are the shortest already, except for zeros at their end. */
static void integer_digits(struct decimal *decimal, uint64_t value)
{
	char buffer[PJ__I64_CHARS], *const end = buffer + sizeof buffer;
	const char *const begin = digits_before(end, value);
	decimal->count = (int)(end - begin);
	decimal->exponent = decimal->count - 1;
	decimal->more = false;
	memcpy(decimal->digits, begin, (size_t)decimal->count);
	while (decimal->count > 1 && decimal->digits[decimal->count - 1] == '0')
		decimal->count--;
}

/* Lays digits out as number.h says. Returns the end. */
static char *lay_out(char *to, const struct decimal *decimal)
{
	const int count = decimal->count, exponent = (int)decimal->exponent;
	if (exponent < -4 || exponent >= 16) {
		*to++ = decimal->digits[0];
		if (count > 1) {
			*to++ = '.';
			memcpy(to, decimal->digits + 1, (size_t)count - 1);
			to += count - 1;
		}
		*to++ = 'e';
		*to++ = exponent < 0 ? '-' : '+';
		const int magnitude = exponent < 0 ? -exponent : exponent;
		if (magnitude >= 100)
			*to++ = (char)('0' + magnitude / 100);
		memcpy(to, two_digits + 2 * (magnitude % 100), 2);
		return to + 2;
	}
	if (exponent < 0) {
		memcpy(to, "0.0000", 6);
		to += 1 - exponent;
		memcpy(to, decimal->digits, (size_t)count);
		return to + count;
	}
	const int whole = exponent + 1;
	if (count <= whole) {
		memcpy(to, decimal->digits, (size_t)count);
		memset(to + count, '0', (size_t)(whole - count));
		return to + whole;
	}
	memcpy(to, decimal->digits, (size_t)whole);
	to[whole] = '.';
	memcpy(to + whole + 1, decimal->digits + whole, (size_t)(count - whole));
	return to + count + 1;
}

static size_t write_word(char *to, const char *word)
{
	const size_t len = strlen(word);
	memcpy(to, word, len);
	return len;
}

size_t pj__format_f64(char *to, double value)
{
	if (isnan(value))
		return write_word(to, "nan");
	if (isinf(value))
		return write_word(to, value < 0 ? "-inf" : "inf");
	char *at = to;
	if (signbit(value))
		*at++ = '-';
	value = fabs(value);
	struct decimal decimal;
	if (value < 1e15 && value == (double)(uint64_t)value)
		integer_digits(&decimal, (uint64_t)value);
	else
		shortest(&decimal, value);
	return (size_t)(lay_out(at, &decimal) - to);
}

/* -------------------------------------------------------------------------------------------------- parsing */

bool pj__parse_i64(pj_bytes text, int64_t *ret_value)
{
	if (!text.len)
		return false;
	const char *at = text.ptr, *const end = at + text.len;
	const bool negative = at < end && *at == '-';
	if (at < end && (*at == '-' || *at == '+'))
		at++;
	if (at == end)
		return false;
	uint64_t magnitude = 0;
	for (; at < end; at++)
		if (!is_digit(*at) || __builtin_mul_overflow(magnitude, 10, &magnitude) ||
		    __builtin_add_overflow(magnitude, (uint64_t)(*at - '0'), &magnitude))
			return false;
	if (magnitude > (uint64_t)INT64_MAX + negative)
		return false;
	*ret_value = (int64_t)(negative ? 0 - magnitude : magnitude);
	return true;
}

/* What an unsigned decimal number in text says: `integer` of its digits while they fit, and all of them. */
struct scan {
	uint64_t integer;  /* of the first 18 significant digits; above 2^53 if there are more */
	int64_t digits;    /* significant digits seen, from the first that is not zero */
	int64_t point;     /* digits of these before the point; below 0: zeros after it */
	int64_t exponent;  /* as written, cut to +-10^17 */
	const char *first; /* the first significant digit, NULL: the number is zero */
};

/* Checks the syntax: digits with at most one point, at least one digit, then perhaps an exponent. */
static bool scan_number(const char *at, const char *end, struct scan *scan)
{
	bool any = false, point = false;
	*scan = (struct scan){0};
	for (; at < end && (is_digit(*at) || (*at == '.' && !point)); at++) {
		if (*at == '.') {
			point = true;
			continue;
		}
		any = true;
		if (!scan->first && *at != '0')
			scan->first = at;
		if (scan->first && ++scan->digits <= 18)
			scan->integer = scan->integer * 10 + (uint64_t)(*at - '0');
		scan->point += scan->first ? !point : -(int64_t)point;
	}
	if (!any)
		return false;
	if (at == end)
		return true;
	if (*at != 'e' && *at != 'E')
		return false;
	at++;
	const bool negative = at < end && *at == '-';
	if (at < end && (*at == '-' || *at == '+'))
		at++;
	if (at == end)
		return false;
	for (; at < end && is_digit(*at); at++)
		if (scan->exponent < 10000000000000000)
			scan->exponent = scan->exponent * 10 + (*at - '0');
	scan->exponent = negative ? -scan->exponent : scan->exponent;
	return at == end;
}

/* The value of a number that scan_number has found right, by strtod. */
static double slow_value(const struct scan *scan, const char *end)
{
	struct decimal decimal = {.exponent = scan->exponent + scan->point - 1};
	for (const char *at = scan->first; at < end && (is_digit(*at) || *at == '.'); at++) {
		if (*at == '.')
			continue;
		if (decimal.count < DIGITS_MAX)
			decimal.digits[decimal.count++] = *at;
		else if (*at != '0')
			decimal.more = true;
	}
	return decimal_to_double(&decimal);
}

static double value_of(const struct scan *scan, const char *end)
{
	static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
					1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
	if (!scan->first)
		return 0;
	const int64_t power = scan->exponent + scan->point - scan->digits;
	if (scan->integer > (uint64_t)1 << 53 || power < -22 || power > 22)
		return slow_value(scan, end);
	const double integer = (double)scan->integer;
	return power < 0 ? integer / powers[-power] : integer * powers[power];
}

/* True if the text is this word of three letters, in ASCII letters of any case. */
static bool is_word(const char *at, const char *end, const char *word)
{
	return end - at == 3 && (at[0] | 0x20) == word[0] && (at[1] | 0x20) == word[1] && (at[2] | 0x20) == word[2];
}

bool pj__parse_f64(pj_bytes text, double *ret_value)
{
	if (!text.len)
		return false;
	const char *at = text.ptr, *const end = at + text.len;
	const bool negative = at < end && *at == '-';
	if (at < end && (*at == '-' || *at == '+'))
		at++;
	struct scan scan;
	double value;
	if (is_word(at, end, "nan"))
		value = NAN;
	else if (is_word(at, end, "inf"))
		value = INFINITY;
	else if (scan_number(at, end, &scan))
		value = value_of(&scan, end);
	else
		return false;
	*ret_value = negative ? -value : value;
	return true;
}
