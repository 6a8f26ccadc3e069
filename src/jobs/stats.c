/*
 * stats.c: count, sum, smallest, mean and largest of a column of numbers, for each key in another column.
 *
 *     city<TAB>12.5        papjuice stats        city<TAB>2<TAB>20.0<TAB>7.50<TAB>10<TAB>12.5       (but all with
 *     city<TAB>7.50                                                                                  two decimals)
 *
 * Everything is exact until it is written. Numbers with up to 36 decimals and 36 digits before the point are decimals:
 * their sum, minimum and maximum are written exactly, with the largest number of decimals seen. Where a key has a
 * number beyond that, the three are rounded to the nearest double, once, and written as the shortest text that reads
 * back. The mean always is: of the true quotient.
 *
 * The state has two parts. Packed numbers (decimal.h), which is nearly all there are, come as integers and need the
 * front only, which shares a cache line with its key; others come as text and go to the big numbers after it. The
 * engine does not even store those for keys that do not need them (pj_aggregate.usual_bytes).
 *
 *      0        8                24       32       40         48
 *     +--------+----------------+--------+--------+----------+-----------+-----------+-----------+
 *     | tally  | sum, 128 bits  | least  | most   | tally of | sum       | least     | most      |
 *     |        |                | packed | packed | the big  | pj__big   | pj__big   | pj__big   |
 *     +--------+----------------+--------+--------+----------+-----------+-----------+-----------+
 *      `-------------- the front ----------------'
 *
 *     tally    bit 0                    40                45      46                        63
 *             +------------------------+-----------------+-------+---------------------------+
 *             | count of all numbers   | most decimals+1 | is_big | overflows of sum, signed |
 *             +------------------------+-----------------+-------+---------------------------+
 *
 * The sum is in units of 10^-18. A packed number is below 2^103 of them, so 2^40 numbers overflow 128 bits some
 * thousand times at most, for which the tally has room.
 */
#include <limits.h>

#include "jobs/decimal.h"
#include "jobs/jobs.h"
#include "jobs/option.h"

#define COUNT_MOST ((UINT64_C(1) << 40) - 1)
#define IS_BIG (UINT64_C(1) << 45)
#define OVERFLOW_ONE (UINT64_C(1) << 46)

enum {
	PLACES_SHIFT = 40,
	PLACES_MASK = 31,
	OVERFLOW_SHIFT = 46,
	BIG_PLACES_MASK = 0xffff, /* of the big part's tally: most decimals, and ... */
	BIG_IS_LARGE = 1 << 16,   /* ... one number had more than DIGITS_EXACT digits before the point */
	PLACES_EXACT = 36,
	DIGITS_EXACT = 36,
	DIGITS_MOST = 309, /* before the point, of a double */
};

struct stats {
	uint64_t tally;
	uint64_t sum_low, sum_high;
	int64_t least, most;
	uint64_t big_tally;
	pj__big big_sum, big_least, big_most;
};

enum { FRONT_BYTES = 40 };

_Static_assert(offsetof(struct stats, big_tally) == FRONT_BYTES, "the front is what packed numbers need");
_Static_assert(sizeof(struct stats) <= PJ_STATE_BYTES_MAX, "the state is small enough");

/* --------------------------------------------------------------------------------------------------- packed numbers */

/* What a packed number is multiplied by to be in units of 10^-18, by its low bits. */
static const int64_t units[32] = {0,
				  1000000000000000000,
				  100000000000000000,
				  10000000000000000,
				  1000000000000000,
				  100000000000000,
				  10000000000000,
				  1000000000000,
				  100000000000,
				  10000000000,
				  1000000000,
				  100000000,
				  10000000,
				  1000000,
				  100000,
				  10000,
				  1000,
				  100,
				  10,
				  1};

static inline unsigned places_of(int64_t packed)
{
	return (unsigned)packed & PLACES_MASK;
}

static inline __int128_t in_units(int64_t packed)
{
	return (__int128_t)(packed >> PJ__PACKED_SHIFT) * units[places_of(packed)];
}

static void note_places(struct stats *stats, uint64_t places)
{
	if (places > (stats->tally >> PLACES_SHIFT & PLACES_MASK))
		stats->tally = (stats->tally & ~((uint64_t)PLACES_MASK << PLACES_SHIFT)) | places << PLACES_SHIFT;
}

static inline __uint128_t sum_of(const struct stats *stats)
{
	return (__uint128_t)stats->sum_high << 64 | stats->sum_low;
}

static inline void add_to_sum(struct stats *stats, __int128_t more)
{
	__int128_t sum;
	if (PJ_UNLIKELY(__builtin_add_overflow((__int128_t)sum_of(stats), more, &sum)))
		stats->tally += more < 0 ? 0 - OVERFLOW_ONE : OVERFLOW_ONE;
	stats->sum_low = (uint64_t)sum;
	stats->sum_high = (uint64_t)((__uint128_t)sum >> 64);
}

/* The smaller, or larger, of two packed numbers of any decimals; 0 is none. */
static int64_t smaller(int64_t a, int64_t b)
{
	return !a || (b && in_units(b) < in_units(a)) ? b : a;
}

static int64_t larger(int64_t a, int64_t b)
{
	return !a || (b && in_units(b) > in_units(a)) ? b : a;
}

/* The first number of all, or one whose decimals are not as many as those of the extremes. */
static __attribute__((noinline)) void take_extremes(struct stats *stats, int64_t value)
{
	stats->least = smaller(stats->least, value);
	stats->most = larger(stats->most, value);
	note_places(stats, places_of(value));
}

static inline void add(struct stats *stats, int64_t value)
{
	if (PJ_LIKELY((((value ^ stats->least) | (value ^ stats->most)) & PLACES_MASK) == 0)) {
		stats->least = value < stats->least ? value : stats->least;
		stats->most = value > stats->most ? value : stats->most;
	} else {
		take_extremes(stats, value);
	}
	stats->tally++;
	add_to_sum(stats, in_units(value));
}

static void add_packed(void *state, int64_t value, void *arg)
{
	add(state, value);
}

static void add_many_packed(void *const *states, const int64_t *values, size_t count, void *arg)
{
	for (size_t i = 0; i < count; i++)
		add(states[i], values[i]);
}

/* ------------------------------------------------------------------------------------------------------ big numbers */

static void note_big(struct stats *stats, uint64_t tally)
{
	const uint64_t here = stats->big_tally & BIG_PLACES_MASK, there = tally & BIG_PLACES_MASK;
	stats->big_tally = (here > there ? here : there) | ((stats->big_tally | tally) & BIG_IS_LARGE);
}

/* Takes a partial sum and its extremes, `tally` saying what they are made of. */
static void add_big(struct stats *stats, const pj__big *sum, const pj__big *least, const pj__big *most, uint64_t tally)
{
	const bool first = !(stats->tally & IS_BIG);
	stats->tally |= IS_BIG;
	if (first || pj__big_compare(least, &stats->big_least) < 0)
		stats->big_least = *least;
	if (first || pj__big_compare(most, &stats->big_most) > 0)
		stats->big_most = *most;
	pj__big_add(&stats->big_sum, sum);
	note_big(stats, tally);
}

/* A number as text, which the mapper has found right. */
static void add_text(void *state, pj_bytes text, void *arg)
{
	struct stats *const stats = state;
	pj__decimal decimal;
	pj__big big;
	if (!pj__decimal_read(text, &decimal))
		return;
	const uint64_t places = pj__decimal_places(&decimal);
	const bool large = pj__decimal_whole(&decimal) > DIGITS_EXACT;
	pj__big_of_decimal(&decimal, &big);
	stats->tally++;
	add_big(stats, &big, &big, &big,
		(places < BIG_PLACES_MASK ? places : BIG_PLACES_MASK) | (large ? BIG_IS_LARGE : 0u));
}

static void merge(void *state, const void *other, void *arg)
{
	struct stats *const stats = state;
	const struct stats *const more = other;
	const uint64_t count = (stats->tally & COUNT_MOST) + (more->tally & COUNT_MOST);
	/* A count that is full stays full; `finish` refuses it. */
	stats->tally = (stats->tally & ~COUNT_MOST) | (count < COUNT_MOST ? count : COUNT_MOST);
	stats->tally += more->tally >> OVERFLOW_SHIFT << OVERFLOW_SHIFT;
	note_places(stats, more->tally >> PLACES_SHIFT & PLACES_MASK);
	add_to_sum(stats, (__int128_t)sum_of(more));
	stats->least = smaller(stats->least, more->least);
	stats->most = larger(stats->most, more->most);
	if (more->tally & IS_BIG)
		add_big(stats, &more->big_sum, &more->big_least, &more->big_most, more->big_tally);
}

/* ------------------------------------------------------------------------------------------------------- the result */

static void put_tab(pj_text *text)
{
	pj_text_bytes(text, (pj_bytes){"\t", 1});
}

/* Writes value / 10^places. */
static void write_decimal(__int128_t value, unsigned places, pj_text *text)
{
	char digits[64], *const end = digits + sizeof digits, *at = end;
	__uint128_t rest = value < 0 ? 0 - (__uint128_t)value : (__uint128_t)value;
	for (; rest > UINT64_MAX; rest /= 10)
		*--at = (char)('0' + (int)(rest % 10));
	for (uint64_t low = (uint64_t)rest; low; low /= 10)
		*--at = (char)('0' + (int)(low % 10));
	while (end - at <= (ptrdiff_t)places)
		*--at = '0';
	if (value < 0)
		*--at = '-';
	const char *const point = end - places;
	pj_text_bytes(text, (pj_bytes){at, (size_t)(point - at)});
	if (places) {
		pj_text_bytes(text, (pj_bytes){".", 1});
		pj_text_bytes(text, (pj_bytes){point, places});
	}
}

/* The sum of the packed numbers: its 128 bits, signed, and 2^128 for each overflow. */
static void big_of_sum(const struct stats *stats, pj__big *ret_big)
{
	const int64_t sign = (int64_t)stats->sum_high < 0 ? -1 : 0;
	pj__big_of_units(((int64_t)stats->tally >> OVERFLOW_SHIFT) + sign, sum_of(stats), ret_big);
}

/* A quotient that is too small for a double is 0, whatever its sign. */
static void write_double(double value, pj_text *text)
{
	pj_text_f64(text, value < 0 || value > 0 ? value : 0);
}

static double big_mean(const struct stats *stats, const pj__big *sum)
{
	return pj__big_quotient(sum, stats->tally & COUNT_MOST);
}

/* Sum, mean and extremes of packed numbers alone, whose sum fits 128 bits. */
static void write_packed(const struct stats *stats, pj_text *text)
{
	const uint64_t exact = UINT64_C(1) << 53, count = stats->tally & COUNT_MOST;
	const unsigned places = (unsigned)(stats->tally >> PLACES_SHIFT & PLACES_MASK) - 1;
	const __int128_t unit = units[places + 1], sum = (__int128_t)sum_of(stats) / unit;
	uint64_t divisor;
	double mean;
	/* One division of two doubles that are exact is rounded right. */
	if (sum <= (__int128_t)exact && sum >= -(__int128_t)exact &&
	    !__builtin_mul_overflow(count, (uint64_t)pj__power_of_ten[places], &divisor) && divisor <= exact) {
		mean = (double)(int64_t)sum / (double)divisor;
	} else {
		pj__big big;
		big_of_sum(stats, &big);
		mean = big_mean(stats, &big);
	}
	write_decimal(sum, places, text);
	put_tab(text);
	write_decimal(in_units(stats->least) / unit, places, text);
	put_tab(text);
	write_double(mean, text);
	put_tab(text);
	write_decimal(in_units(stats->most) / unit, places, text);
}

static void big_of_packed(int64_t packed, pj__big *ret_big)
{
	const __int128_t value = in_units(packed);
	pj__big_of_units(value < 0 ? -1 : 0, (__uint128_t)value, ret_big);
}

static void write_big(const struct stats *stats, pj_text *text)
{
	pj__big sum, least = stats->big_least, most = stats->big_most, other;
	const bool has_big = stats->tally & IS_BIG;
	big_of_sum(stats, &sum);
	pj__big_add(&sum, &stats->big_sum);
	if (stats->least) {
		big_of_packed(stats->least, &other);
		if (!has_big || pj__big_compare(&other, &least) < 0)
			least = other;
		big_of_packed(stats->most, &other);
		if (!has_big || pj__big_compare(&other, &most) > 0)
			most = other;
	}
	const uint64_t packed_places = stats->tally >> PLACES_SHIFT & PLACES_MASK;
	uint64_t places = stats->big_tally & BIG_PLACES_MASK;
	if (packed_places && packed_places - 1 > places)
		places = packed_places - 1;
	const bool exact = places <= PLACES_EXACT && !(stats->big_tally & BIG_IS_LARGE);
	const pj__big *const numbers[] = {&sum, &least, NULL, &most};
	for (int i = 0; i < 4; i++) {
		if (i)
			put_tab(text);
		if (!numbers[i])
			write_double(big_mean(stats, &sum), text);
		else if (exact)
			pj__big_write(numbers[i], (unsigned)places, text);
		else
			write_double(pj__big_quotient(numbers[i], 1), text);
	}
}

static pj_status finish(const void *state, pj_text *text, void *arg)
{
	const struct stats *const stats = state;
	const uint64_t count = stats->tally & COUNT_MOST;
	if (count == COUNT_MOST)
		return PJ_ERR_RECORD; /* more than the tally can count */
	pj_text_i64(text, (int64_t)count);
	put_tab(text);
	if (stats->tally >> OVERFLOW_SHIFT || stats->tally & IS_BIG)
		write_big(stats, text);
	else
		write_packed(stats, text);
	return PJ_OK;
}

static const pj_aggregate aggregate = {
	.name = "stats",
	.takes = PJ_TAKES_I64,
	.exact = true,
	.state_bytes = sizeof(struct stats),
	.usual_bytes = FRONT_BYTES,
	.add_i64 = add_packed,
	.add_many_i64 = add_many_packed,
	.add_bytes = add_text,
	.merge = merge,
	.finish = finish,
};

/* --------------------------------------------------------------------------------------------------------- the rows */

/* The columns, counted from 1, and the byte between them; handed to the mapper in the bits of its `arg`. */
struct layout {
	unsigned key, value;
	char separator;
};

_Static_assert(sizeof(uintptr_t) * CHAR_BIT >= 2 * PJ__COLUMN_BITS + CHAR_BIT, "a layout fits a pointer");

static void *layout_to_arg(struct layout layout)
{
	return (void *)((uintptr_t)layout.key << (PJ__COLUMN_BITS + CHAR_BIT) | (uintptr_t)layout.value << CHAR_BIT |
			(unsigned char)layout.separator);
}

static struct layout layout_of_arg(const void *arg)
{
	const uintptr_t bits = (uintptr_t)arg;
	return (struct layout){(unsigned)(bits >> (PJ__COLUMN_BITS + CHAR_BIT)),
			       (unsigned)(bits >> CHAR_BIT) & PJ__COLUMN_MOST, (char)(bits & UCHAR_MAX)};
}

/* At most 40 bytes of a field, for a message. */
#define SHOWN(field) (int)((field).len < 40 ? (field).len : 40), (field).len ? (field).ptr : ""

/* A number that pj__pack_short does not take: a long one, one with an exponent, or none. */
static __attribute__((noinline)) pj_status take_slowly(pj_task *task, pj_bytes key, pj_bytes value)
{
	pj__decimal decimal;
	double nearest;
	if (!pj__decimal_read(value, &decimal))
		return pj_task_fail(task, PJ_ERR_RECORD, value.ptr,
				    value.len ? "\"%.*s\" is not a number" : "the number is blank%.*s", SHOWN(value));
	const int64_t packed = pj__decimal_pack(&decimal);
	if (packed) {
		pj_emit_i64(task, key, packed);
		return PJ_OK;
	}
	const uint64_t digits = pj__decimal_whole(&decimal);
	if (digits > DIGITS_MOST ||
	    (digits == DIGITS_MOST && (!pj_parse_f64(value, &nearest) || nearest - nearest != 0)))
		return pj_task_fail(task, PJ_ERR_RECORD, value.ptr,
				    "\"%.*s\" is too large: a number must be below 1.8e308", SHOWN(value));
	pj_emit(task, key, value);
	return PJ_OK;
}

static __attribute__((noinline, cold)) pj_status no_column(pj_task *task, pj_bytes line, unsigned column,
							   unsigned found)
{
	return pj_task_fail(task, PJ_ERR_RECORD, line.ptr, "the line has no column %u, only %u", column, found);
}

/* Finds the two columns. Returns how many columns there are, if not enough, else 0. */
static inline unsigned find_columns(pj_task *task, pj_bytes line, struct layout layout, pj_bytes *ret_key,
				    pj_bytes *ret_value)
{
	const unsigned last = layout.key > layout.value ? layout.key : layout.value;
	pj_bytes field;
	for (unsigned column = 1; column <= last; column++) {
		if (!pj_next_field(task, &line, layout.separator, &field))
			return column - 1;
		if (column == layout.key)
			*ret_key = field;
		if (column == layout.value)
			*ret_value = field;
	}
	return 0;
}

static inline pj_status take(pj_task *task, pj_bytes key, pj_bytes value)
{
	const int64_t packed = pj__pack_short(value);
	if (!PJ_LIKELY(packed))
		return take_slowly(task, key, value);
	pj_emit_i64(task, key, packed);
	return PJ_OK;
}

/* A carriage return at the end of a line belongs to the end of the line. */
static inline pj_bytes without_return(pj_bytes line)
{
	line.len -= line.len && line.ptr[line.len - 1] == '\r';
	return line;
}

/* The line that pj_next_pair has cut in two. */
static pj_bytes whole_line(pj_bytes key, pj_bytes value)
{
	return (pj_bytes){key.ptr, value.ptr ? (size_t)(value.ptr + value.len - key.ptr) : key.len};
}

static pj_status map_row(pj_task *task, pj_bytes line, struct layout layout)
{
	pj_bytes key = {0}, value = {0};
	const unsigned found = find_columns(task, line, layout, &key, &value);
	if (PJ_UNLIKELY(found))
		return no_column(task, line, layout.key > layout.value ? layout.key : layout.value, found);
	return take(task, key, value);
}

static pj_status map_rows(pj_task *task, pj_bytes text, void *arg)
{
	const struct layout layout = layout_of_arg(arg);
	pj_bytes line;
	pj_status status = PJ_OK;
	while (!status && pj_next_line(task, &text, &line))
		status = map_row(task, without_return(line), layout);
	return status;
}

/* Key and number are the first two columns, and most likely the only ones. */
static pj_status map_pairs(pj_task *task, pj_bytes text, void *arg)
{
	const struct layout layout = layout_of_arg(arg);
	pj_bytes key, value;
	pj_status status = PJ_OK;
	while (!status && pj_next_pair(task, &text, layout.separator, &key, &value)) {
		int64_t packed = 0;
		if (PJ_LIKELY(value.len)) {
			value = without_return(value);
			packed = pj__pack_short(value);
		}
		if (PJ_LIKELY(packed))
			pj_emit_i64(task, key, packed);
		else
			status = map_row(task, without_return(whole_line(key, value)), layout);
	}
	return status;
}

/* ------------------------------------------------------------------------------------------------------ the options */

static pj_status configure(pj_job *job, const char *const *values, pj_error *error)
{
	struct layout layout = {0};
	if (!pj__option_column(values[0], &layout.key))
		return pj__option_wrong(error, "key", values[0], "the number of a column, from 1");
	if (!pj__option_column(values[1], &layout.value))
		return pj__option_wrong(error, "value", values[1], "the number of a column, from 1");
	if (!pj__option_separator(values[2], &layout.separator) || layout.separator == '\r')
		return pj__option_wrong(error, "sep", values[2], "one byte, for example ';' or '\\t'");
	job->mapper.arg = layout_to_arg(layout);
	job->mapper.text = layout.key == 1 && layout.value == 2 ? map_pairs : map_rows;
	return PJ_OK;
}

static const pj_job_option options[] = {
	{"key", 'k', "COL", "1", "the column of the key, from 1"},
	{"value", 0, "COL", "2", "the column of the number"},
	{"sep", 't', "CHAR", "\\t", "the byte between columns; '\\t' is a tab"},
	{NULL},
};

const pj_job pj__job_stats = {
	.abi = PJ_ABI,
	.name = "stats",
	.summary = "count, sum, min, mean and max of numbers, by key",
	.mapper = {.text = map_rows},
	.reducer = {.aggregate = &aggregate},
	.options = options,
	.configure = configure,
};
