/*
 * sum_f64.c: pj_sum_f64, the exact sum of doubles, rounded once.
 *
 * After R. Neal, "Fast exact summation using small and large superaccumulators" (2015), in its plainest form. Every
 * finite double is a whole multiple of 2^-1074, below 2^2098 of them. The state holds the sum in this unit as one wide
 * integer in two's complement, so adding is integer addition: associative, commutative, nothing is ever lost. 2176
 * bits have room for the 2098 of a double, 64 for as many values as can be counted, and the sign.
 *
 *     bit 0                          52                               2097         2175
 *         | subnormals, weight 2^-1074 | ...         normal doubles ... | head room | sign |
 *         `limb[0] 64 bits `limb[1] ...                                   limb[33]        '
 *
 * Infinities and NaN are not numbers to add: one bit each in `special` remembers that they were seen. Equal multisets
 * of values give equal bytes. (Neal keeps his limbs overlapping, so that a carry seldom moves on. That is faster for
 * one long sum; here states are many, stored, merged and compared, and the plain form is four fifths of the size and
 * has one representation of each sum.)
 *
 * A sum of zeros, whatever their signs, is +0, as is every sum that cancels out.
 */
#include <math.h>
#include <papjuice/reducer.h>

enum {
	LIMBS = 34,
	FRACTION_BITS = 52,
	EXPONENT_MAX = 2047, /* the exponent field of infinities and NaN */
};

enum { SEEN_NAN = 1, SEEN_PLUS_INF = 2, SEEN_MINUS_INF = 4 };

typedef struct accumulator {
	uint64_t limb[LIMBS];
	uint64_t special;
} accumulator;

_Static_assert(sizeof(accumulator) == 280 && sizeof(accumulator) <= PJ_STATE_BYTES_MAX, "no padding, and small enough");

/* limb[from...] += high:low, the carry moving on as far as it goes; what leaves the top is the sign's. */
static void add_at(uint64_t *limb, unsigned from, uint64_t low, uint64_t high)
{
	bool carry = __builtin_add_overflow(limb[from], low, &limb[from]);
	const bool first = __builtin_add_overflow(limb[from + 1], high, &limb[from + 1]);
	carry = __builtin_add_overflow(limb[from + 1], (uint64_t)carry, &limb[from + 1]) || first;
	for (unsigned i = from + 2; carry && i < LIMBS; i++)
		carry = ++limb[i] == 0;
}

static void subtract_at(uint64_t *limb, unsigned from, uint64_t low, uint64_t high)
{
	bool borrow = __builtin_sub_overflow(limb[from], low, &limb[from]);
	const bool first = __builtin_sub_overflow(limb[from + 1], high, &limb[from + 1]);
	borrow = __builtin_sub_overflow(limb[from + 1], (uint64_t)borrow, &limb[from + 1]) || first;
	for (unsigned i = from + 2; borrow && i < LIMBS; i++)
		borrow = limb[i]-- == 0;
}

static void add_f64(void *state, double value, void *arg)
{
	(void)arg;
	accumulator *const sum = state;
	uint64_t bits;
	memcpy(&bits, &value, sizeof bits);
	const unsigned exponent = (unsigned)(bits >> FRACTION_BITS) & EXPONENT_MAX;
	const bool negative = bits >> 63;
	uint64_t mantissa = bits & (((uint64_t)1 << FRACTION_BITS) - 1);
	if (PJ_UNLIKELY(exponent == EXPONENT_MAX)) {
		sum->special |= mantissa ? SEEN_NAN : negative ? SEEN_MINUS_INF : SEEN_PLUS_INF;
		return;
	}
	if (exponent)
		mantissa |= (uint64_t)1 << FRACTION_BITS;
	/* the highest is 2045: limbs 31 and 32 */
	const unsigned shift = exponent ? exponent - 1 : 0;
	const unsigned from = shift / 64, by = shift % 64;
	const uint64_t low = mantissa << by, high = by ? mantissa >> (64 - by) : 0;
	if (negative)
		subtract_at(sum->limb, from, low, high);
	else
		add_at(sum->limb, from, low, high);
}

static void merge(void *state, const void *other, void *arg)
{
	(void)arg;
	accumulator *const sum = state;
	const accumulator *const more = other;
	bool carry = false;
	for (unsigned i = 0; i < LIMBS; i++) {
		const bool first = __builtin_add_overflow(sum->limb[i], more->limb[i], &sum->limb[i]);
		carry = __builtin_add_overflow(sum->limb[i], (uint64_t)carry, &sum->limb[i]) || first;
	}
	sum->special |= more->special;
}

/* The 64 bits from bit `at` up. */
static uint64_t bits_from(const uint64_t *limb, unsigned at)
{
	const unsigned i = at / 64, by = at % 64;
	const uint64_t low = limb[i] >> by;
	return by && i + 1 < LIMBS ? low | limb[i + 1] << (64 - by) : low;
}

/* True if one of the bits below bit `at` is set. */
static bool any_below(const uint64_t *limb, unsigned at)
{
	for (unsigned i = 0; i < at / 64; i++)
		if (limb[i])
			return true;
	return at % 64 && limb[at / 64] << (64 - at % 64);
}

/*
 * The bits of the double nearest to `limb` units of 2^-1074, ties to even. The top bit's place gives the exponent, the
 * 53 bits from there down the mantissa; a carry out of the mantissa on rounding up becomes the next exponent, and that
 * of the largest double infinity, by itself.
 */
static uint64_t round_magnitude(const uint64_t *limb)
{
	unsigned i = LIMBS;
	while (i && !limb[i - 1])
		i--;
	if (!i)
		return 0;
	const unsigned top = 64 * i - 1 - (unsigned)__builtin_clzll(limb[i - 1]);
	if (top <= FRACTION_BITS) /* exact: a subnormal, or of the lowest exponent; the field comes by itself */
		return limb[0];
	const unsigned shift = top - FRACTION_BITS;
	if (shift + 1 >= EXPONENT_MAX)
		return (uint64_t)EXPONENT_MAX << FRACTION_BITS;
	const uint64_t mantissa = bits_from(limb, shift) & (((uint64_t)1 << (FRACTION_BITS + 1)) - 1);
	const bool half = bits_from(limb, shift - 1) & 1;
	const bool up = half && ((mantissa & 1) || any_below(limb, shift - 1));
	return ((uint64_t)shift << FRACTION_BITS) + mantissa + up;
}

static double rounded(const accumulator *sum)
{
	if (sum->special & SEEN_NAN || (sum->special & SEEN_PLUS_INF && sum->special & SEEN_MINUS_INF))
		return NAN;
	if (sum->special)
		return sum->special & SEEN_PLUS_INF ? INFINITY : -INFINITY;
	const bool negative = sum->limb[LIMBS - 1] >> 63;
	uint64_t magnitude[LIMBS];
	bool carry = negative;
	for (unsigned i = 0; i < LIMBS; i++) {
		magnitude[i] = (negative ? ~sum->limb[i] : sum->limb[i]) + carry;
		carry = carry && !magnitude[i];
	}
	const uint64_t bits = round_magnitude(magnitude) | (uint64_t)negative << 63;
	double value;
	memcpy(&value, &bits, sizeof value);
	return value;
}

static pj_status finish(const void *state, pj_text *text, void *arg)
{
	(void)arg;
	pj_text_f64(text, rounded(state));
	return PJ_OK;
}

const pj_aggregate pj_sum_f64 = {
	.name = "sum_f64",
	.takes = PJ_TAKES_F64,
	.exact = true,
	.state_bytes = sizeof(accumulator),
	.add_f64 = add_f64,
	.merge = merge,
	.finish = finish,
};
