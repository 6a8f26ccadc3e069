/*
 * decimal.c: see decimal.h.
 *
 * From a big number to a double the way goes over text, as pj_parse_f64 rounds exactly. A quotient (a mean) has no end
 * in decimal; so it is worked out to where its digits can decide the rounding, and a digit 1 after that says that more
 * follow. Where is that? A double, or the middle between two, that is at least 2^e is a multiple of 2^(e - 53), which
 * has 53 - e decimals; below the smallest doubles it is 1075.
 */
#include "jobs/decimal.h"

enum {
	LIMB_DIGITS = 18,
	LIMB_BASE_BITS = 60, /* of 10^18, rounded up */
	TOP = PJ__BIG_LIMBS - 1,
	HALF_DECIMALS = 1075, /* of the smallest double's half */
	MORE_LIMBS = (HALF_DECIMALS - PJ__BIG_DECIMALS) / LIMB_DIGITS + 2,
	TEXT_BYTES = (PJ__BIG_LIMBS + MORE_LIMBS) * LIMB_DIGITS + 64,
};

static const int64_t base = 1000000000000000000;

const int64_t pj__power_of_ten[] = {1,
				    10,
				    100,
				    1000,
				    10000,
				    100000,
				    1000000,
				    10000000,
				    100000000,
				    1000000000,
				    10000000000,
				    100000000000,
				    1000000000000,
				    10000000000000,
				    100000000000000,
				    1000000000000000,
				    10000000000000000,
				    100000000000000000,
				    1000000000000000000};

/* ---------------------------------------------------------------------------------------------------------- reading */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads "e" and an integer that fill the text; what is far beyond any use is cut. */
static bool read_exponent(const char *at, const char *end, int64_t *ret_exponent)
{
	const int64_t far = 1000000000000000;
	if (end - at < 2 || (*at != 'e' && *at != 'E'))
		return false;
	at++;
	const bool negative = *at == '-';
	if (negative || *at == '+')
		at++;
	if (at == end)
		return false;
	int64_t exponent = 0;
	for (; at < end && is_digit(*at); at++)
		exponent = exponent < far ? exponent * 10 + (*at - '0') : far;
	*ret_exponent = negative ? -exponent : exponent;
	return at == end;
}

bool pj__decimal_read(pj_bytes text, pj__decimal *ret_decimal)
{
	const char *at = text.ptr, *const end = at + text.len, *point = NULL;
	pj__decimal decimal = {.negative = text.len && *at == '-'};
	bool any = false;
	if (text.len && (*at == '-' || *at == '+'))
		at++;
	for (; at < end && (is_digit(*at) || (*at == '.' && !point)); at++) {
		if (*at == '.') {
			point = at;
			continue;
		}
		any = true;
		if (!decimal.first && *at != '0')
			decimal.first = at;
		decimal.digits += decimal.first != NULL;
	}
	int64_t exponent = 0;
	if (!any || (at < end && !read_exponent(at, end, &exponent)))
		return false;
	decimal.scale = (point ? at - point - 1 : 0) - exponent;
	*ret_decimal = decimal;
	return true;
}

uint64_t pj__decimal_whole(const pj__decimal *decimal)
{
	const int64_t whole = (int64_t)decimal->digits - decimal->scale;
	return decimal->digits && whole > 0 ? (uint64_t)whole : 0;
}

int64_t pj__decimal_pack(const pj__decimal *decimal)
{
	const uint64_t places = pj__decimal_places(decimal), whole = pj__decimal_whole(decimal);
	if (places > PJ__PACKED_DECIMALS || whole > PJ__PACKED_WHOLE || decimal->digits > PJ__PACKED_DIGITS)
		return 0;
	uint64_t digits = 0;
	for (uint64_t taken = 0, i = 0; taken < decimal->digits; i++) {
		if (decimal->first[i] == '.')
			continue;
		digits = digits * 10 + (uint64_t)(decimal->first[i] - '0');
		taken++;
	}
	if (digits && decimal->scale < 0)
		digits *= (uint64_t)pj__power_of_ten[-decimal->scale]; /* whole has shown that it is small */
	return pj__packed(digits, decimal->negative, (unsigned)places);
}

int64_t pj__pack_longer(const char *at, size_t len, bool negative)
{
	const __uint128_t every = ((__uint128_t)0x0101010101010101u << 64) | 0x0101010101010101u;
	__uint128_t bytes;
	unsigned decimals = 0;
	bool wrong = false;
	memcpy(&bytes, at, sizeof bytes);
	bytes = (bytes ^ every * '0') << (128 - 8 * len);
	const __uint128_t marks = bytes & every << 4;
	if (marks) {
		const __uint128_t mark = marks & (0 - marks), one = mark >> 4, before = one - 1;
		bytes ^= one * ('.' ^ '0');
		wrong = (bytes & (mark - one)) != 0;
		bytes = (bytes & before) << 8 | (bytes & ~before);
		decimals = (uint64_t)mark ? 8 + (unsigned)__builtin_clzll((uint64_t)mark) / 8
					  : (unsigned)__builtin_clzll((uint64_t)(mark >> 64)) / 8;
	}
	const uint64_t low = (uint64_t)bytes, high = (uint64_t)(bytes >> 64);
	if (pj__not_digits(low) || pj__not_digits(high) || wrong)
		return 0;
	const uint64_t digits = pj__eight_digits(low) * 100000000 + pj__eight_digits(high);
	if (decimals < PJ__PACKED_DIGITS - PJ__PACKED_WHOLE &&
	    digits >= (uint64_t)pj__power_of_ten[PJ__PACKED_WHOLE + decimals])
		return 0;
	return pj__packed(digits, negative, decimals);
}

/* ------------------------------------------------------------------------------------------------------ big numbers */

static bool is_negative(const pj__big *big)
{
	return big->limb[TOP] < 0;
}

static void negate(pj__big *big)
{
	bool borrow = false;
	for (int i = 0; i < TOP; i++) {
		const int64_t limb = -big->limb[i] - borrow;
		borrow = limb < 0;
		big->limb[i] = borrow ? limb + base : limb;
	}
	big->limb[TOP] = -big->limb[TOP] - borrow;
}

void pj__big_of_decimal(const pj__decimal *decimal, pj__big *ret_big)
{
	*ret_big = (pj__big){0};
	/* of the digit at hand: 10^(place - 342) is its weight */
	int64_t place = (int64_t)decimal->digits - 1 - decimal->scale + PJ__BIG_DECIMALS;
	for (const char *at = decimal->first; place >= 0 && place > PJ__BIG_DECIMALS - 1 - decimal->scale; at++) {
		if (*at == '.')
			continue;
		ret_big->limb[place / LIMB_DIGITS] += (*at - '0') * pj__power_of_ten[place % LIMB_DIGITS];
		place--;
	}
	if (decimal->negative)
		negate(ret_big);
}

void pj__big_of_units(int64_t high, __uint128_t low, pj__big *ret_big)
{
	const bool negative = high < 0;
	if (negative) {
		low = 0 - low;
		high = ~high + (low == 0);
	}
	/* Long division by 10^18; below 2^192 there are at most four limbs. */
	uint64_t word[3] = {(uint64_t)low, (uint64_t)(low >> 64), (uint64_t)high};
	*ret_big = (pj__big){0};
	for (int limb = PJ__BIG_ONES - 1; limb < PJ__BIG_ONES + 3; limb++) {
		uint64_t rest = 0;
		for (int i = 2; i >= 0; i--) {
			const __uint128_t part = (__uint128_t)rest << 64 | word[i];
			word[i] = (uint64_t)(part / (uint64_t)base);
			rest = (uint64_t)(part % (uint64_t)base);
		}
		ret_big->limb[limb] = (int64_t)rest;
	}
	if (negative)
		negate(ret_big);
}

void pj__big_add(pj__big *sum, const pj__big *more)
{
	bool carry = false;
	for (int i = 0; i < TOP; i++) {
		const int64_t limb = sum->limb[i] + more->limb[i] + carry;
		carry = limb >= base;
		sum->limb[i] = carry ? limb - base : limb;
	}
	sum->limb[TOP] += more->limb[TOP] + carry;
}

int pj__big_compare(const pj__big *a, const pj__big *b)
{
	int i = TOP;
	while (i > 0 && a->limb[i] == b->limb[i])
		i--;
	return (a->limb[i] > b->limb[i]) - (a->limb[i] < b->limb[i]);
}

/* ---------------------------------------------------------------------------------------------------------- writing */

/* Writes a limb's 18 digits. */
static char *put_limb(char *to, uint64_t limb)
{
	for (int i = LIMB_DIGITS - 1; i >= 0; i--, limb /= 10)
		to[i] = (char)('0' + limb % 10);
	return to + LIMB_DIGITS;
}

void pj__big_write(const pj__big *big, unsigned decimals, pj_text *text)
{
	char digits[PJ__BIG_LIMBS * LIMB_DIGITS + 8], *at = digits;
	pj__big magnitude = *big;
	if (is_negative(big))
		negate(&magnitude);
	for (int i = TOP; i >= 0; i--)
		at = put_limb(at, (uint64_t)magnitude.limb[i]);
	const char *const point = digits + (PJ__BIG_LIMBS - PJ__BIG_ONES) * LIMB_DIGITS;
	const char *first = digits;
	while (first < point - 1 && *first == '0')
		first++;
	if (is_negative(big))
		pj_text_bytes(text, pj_bytes_of("-"));
	pj_text_bytes(text, (pj_bytes){first, (size_t)(point - first)});
	if (decimals) {
		pj_text_bytes(text, pj_bytes_of("."));
		pj_text_bytes(text, (pj_bytes){point, decimals});
	}
}

/*
 * How many limbs below limb[0] a quotient needs whose highest limb is limb[top]: below 0 when not even all of those are
 * needed.
 */
static int limbs_below(int top)
{
	const int exponent_bits = (PJ__BIG_ONES - top) * LIMB_BASE_BITS; /* it is at least 2^-exponent_bits */
	int decimals = 53 + exponent_bits;
	decimals = decimals < 0 ? 0 : decimals > HALF_DECIMALS ? HALF_DECIMALS : decimals;
	return (decimals + LIMB_DIGITS - 1) / LIMB_DIGITS - PJ__BIG_ONES;
}

double pj__big_quotient(const pj__big *big, uint64_t count)
{
	char digits[TEXT_BYTES], *at = digits;
	pj__big magnitude = *big;
	if (is_negative(big))
		negate(&magnitude);
	uint64_t rest = 0;
	int top = TOP, i;
	/* Long division, from the first limb that is not zero. */
	for (; top > 0 && !magnitude.limb[top]; top--)
		;
	const int below = limbs_below(top - 1); /* the quotient may begin one limb later */
	*at++ = is_negative(big) ? '-' : '0';
	for (i = top; i >= 0 || (i >= -below && rest); i--) {
		if (i < -below)
			break;
		const __uint128_t part =
			(__uint128_t)rest * (uint64_t)base + (uint64_t)(i >= 0 ? magnitude.limb[i] : 0);
		at = put_limb(at, (uint64_t)(part / count));
		rest = (uint64_t)(part % count);
	}
	/* limb[i + 1] was the last one */
	bool more = rest != 0;
	for (int j = i; j >= 0 && !more; j--)
		more = magnitude.limb[j] != 0;
	if (more)
		*at++ = '1';
	const int64_t exponent = (i + 1) * LIMB_DIGITS - PJ__BIG_DECIMALS - (more ? 1 : 0);
	double value = 0;
	*at++ = 'e';
	*at++ = exponent < 0 ? '-' : '+';
	uint64_t size = (uint64_t)(exponent < 0 ? -exponent : exponent);
	at = put_limb(at, size);
	if (!pj_parse_f64((pj_bytes){digits, (size_t)(at - digits)}, &value))
		__builtin_trap(); /* the text was just written */
	return value;
}
