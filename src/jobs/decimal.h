/*
 * decimal.h: numbers as decimal text, taken exactly, for the job `stats`.
 *
 * Three forms. What a number's text says is a pj__decimal: where its digits are, and how many of them are decimals.
 * Nearly all numbers can be packed into 64 bits, and so go through the slots of a task as integers do:
 *
 *     bit  0         5                                                  63
 *         +---------+----------------------------------------------------+
 *         | d + 1   | digits as a signed integer                         |      value: digits / 10^d
 *         +---------+----------------------------------------------------+
 *
 * d is the number of decimals, 0 to 18; there are at most 17 digits, and the value is below 10^13. So every packed
 * number is a whole multiple of 10^-18, below 2^103 of them. A word of zero is not a number. Two numbers with
 * equally many decimals compare as their integers.
 *
 * All others go to a pj__big, which holds any number below 10^309 to 342 decimals (all those of the texts that are
 * written for a double): digits to the base 10^18, as in a decimal form of the accumulators of doubles (R. Neal, "Fast
 * exact summation using small and large superaccumulators", 2015): adding is integer addition, nothing is ever lost.
 * Decimals after the 342nd, far below the smallest double, are dropped.
 *
 *     limb[0]         [1]           ...        [18]     |    [19]          ...       [36], signed
 *     10^-342 and up  10^-324 and up        10^-18 and up   10^0 and up           10^306 and up
 *
 * Negative numbers are in ten's complement: limbs below the last are 0 to 10^18 - 1, the last one has the sign. So
 * there is one form of each number.
 */
#ifndef PJ_JOBS_DECIMAL_H
#define PJ_JOBS_DECIMAL_H

#include <papjuice/reducer.h>

enum {
	PJ__PACKED_DECIMALS = 18,
	PJ__PACKED_DIGITS = 17,
	PJ__PACKED_WHOLE = 13, /* digits before the point */
	PJ__PACKED_SHIFT = 5,
	PJ__BIG_LIMBS = 37,
	PJ__BIG_ONES = 19, /* the limb of 10^0 */
	PJ__BIG_DECIMALS = 342,
};

typedef struct pj__big {
	int64_t limb[PJ__BIG_LIMBS];
} pj__big;

/* What a number's text says: digits / 10^scale. */
typedef struct pj__decimal {
	const char *first; /* the first digit that is not zero; a point may stand among the digits */
	uint64_t digits;   /* from there on, zeros at the end included; 0: the number is zero */
	int64_t scale;     /* negative: that many zeros follow the digits */
	bool negative;
} pj__decimal;

/*
 * Reads the whole of `text` as a number: an optional sign, digits with at most one point, an exponent. At least one
 * digit; it may be before or after the point. False: it is anything else.
 */
bool pj__decimal_read(pj_bytes text, pj__decimal *ret_decimal);

/* The number of decimals that are written: 2 for 1.50, 4 for 1.5e-3, 0 for 1.5e3. */
static inline uint64_t pj__decimal_places(const pj__decimal *decimal)
{
	return decimal->scale > 0 ? (uint64_t)decimal->scale : 0;
}

/* The number of digits before the point, 0 for a number below 1. */
uint64_t pj__decimal_whole(const pj__decimal *decimal);

/* The packed form; 0 if it has none. */
int64_t pj__decimal_pack(const pj__decimal *decimal);

/* ----------------------------------------------------------------------------------------- packed, from short texts */

/* 10^0 to 10^18. */
extern const int64_t pj__power_of_ten[PJ__PACKED_DECIMALS + 1];

/* True unless each byte is 0 to 9. */
static inline bool pj__not_digits(uint64_t bytes)
{
	return ((bytes + 0x7676767676767676u) | bytes) & 0x8080808080808080u;
}

/* Eight digits, a byte of 0 to 9 for each, the first one in the lowest byte. Steps: 8 digits, 4 pairs, 2 fours, 1. */
static inline uint64_t pj__eight_digits(uint64_t bytes)
{
	const uint64_t pairs = bytes * 10 + (bytes >> 8), keep = 0x000000ff000000ffu;
	return ((pairs & keep) * (100 + (UINT64_C(1000000) << 32)) +
		((pairs >> 16 & keep) * (1 + (UINT64_C(10000) << 32)))) >>
	       32;
}

static inline int64_t pj__packed(uint64_t digits, bool negative, unsigned decimals)
{
	const int64_t value = negative ? -(int64_t)digits : (int64_t)digits;
	return (int64_t)((uint64_t)value << PJ__PACKED_SHIFT) | (decimals + 1);
}

/*
 * The packed form of 9 to 16 digits and point, with 16 bytes readable: two words of what pj__pack_short does with one.
 * 0: there is none.
 */
int64_t pj__pack_longer(const char *at, size_t len, bool negative);

/*
 * The packed form of a number in plain notation of up to 16 digits and point, from `text`, after which 16 bytes must
 * be readable; 0: it is another, or none. What pj__decimal_read and pj__decimal_pack do, a word at a time: the bytes
 * are shifted so that the last one comes last, and those before the point moved up over it.
 *
 *     "-95.7"   ->   0 0 0 0 9 5 . 7   ->   0 0 0 0 0 9 5 7, 1 decimal
 *
 * With '0' taken from each byte, digits are 0 to 9, and a point is the only byte allowed that has bit 4.
 */
static inline __attribute__((always_inline)) int64_t pj__pack_short(pj_bytes text)
{
	const char *at = text.ptr;
	const bool negative = *at == '-';
	const size_t sign = negative | (*at == '+'), len = text.len - sign;
	at += sign;
	if (!PJ_LIKELY(len - 1 < 8)) /* none at all: a large number */
		return len - 1 < 16 ? pj__pack_longer(at, len, negative) : 0;
	uint64_t bytes;
	unsigned decimals = 0;
	memcpy(&bytes, at, sizeof bytes);
	bytes = (bytes ^ 0x3030303030303030u) << (64 - 8 * len);
	const uint64_t marks = bytes & 0x1010101010101010u;
	if (marks) {
		const uint64_t mark = marks & (0 - marks), one = mark >> 4, before = one - 1;
		bytes ^= one * ('.' ^ '0');
		if (PJ_UNLIKELY(bytes & (mark - one) || len == 1)) /* it was another byte, or the point is all */
			return 0;
		bytes = (bytes & before) << 8 | (bytes & ~before);
		decimals = (unsigned)__builtin_clzll(mark) / 8;
	}
	if (PJ_UNLIKELY(pj__not_digits(bytes)))
		return 0;
	return pj__packed(pj__eight_digits(bytes), negative, decimals);
}

/* ------------------------------------------------------------------------------------------------------ big numbers */

/* The number as a big one. Its whole part must have at most 309 digits. */
void pj__big_of_decimal(const pj__decimal *decimal, pj__big *ret_big);

/* `units` of 10^-18, given as high * 2^128 + low (two's complement). */
void pj__big_of_units(int64_t high, __uint128_t low, pj__big *ret_big);

void pj__big_add(pj__big *sum, const pj__big *more);

/* Negative, 0 or positive, as a is less than b, equal or greater. */
int pj__big_compare(const pj__big *a, const pj__big *b);

/* Appends the number with `decimals` decimals (up to 342); further ones must be zeros. */
void pj__big_write(const pj__big *big, unsigned decimals, pj_text *text);

/* The double nearest to big / count. `count` is 1 to 2^40. */
double pj__big_quotient(const pj__big *big, uint64_t count);

#endif
