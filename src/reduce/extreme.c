/*
 * extreme.c: pj_min_i64, pj_max_i64, pj_min_f64, pj_max_f64.
 *
 * All four are one: a value is turned into a rank, an unsigned number, the state is the highest rank so far, and the
 * rank is turned back at the end. A state of zero bytes is below every rank, or equal to the lowest one.
 *
 *     integers, max   the value with its sign bit turned over: order of int64 as order of uint64
 *     doubles, max    the bits of the double: if negative, all turned over, else the sign bit. So
 *                     -inf < ... < -0 < +0 < ... < +inf, and all ones, which only a NaN has, for every NaN
 *     min             the complement of the rank for max; for a NaN all ones again, so that it wins here, too
 */
#include <math.h>
#include <papjuice/reducer.h>

static const uint64_t sign_bit = (uint64_t)1 << 63, nan_rank = UINT64_MAX;

static void raise_to(void *state, uint64_t rank)
{
	uint64_t *const highest = state;
	if (rank > *highest)
		*highest = rank;
}

static void merge(void *state, const void *other, void *arg)
{
	(void)arg;
	raise_to(state, *(const uint64_t *)other);
}

/* ------------------------------------------------------------------------------------------------- integers */

static uint64_t rank_of_i64(int64_t value)
{
	return (uint64_t)value ^ sign_bit;
}

static void max_add_i64(void *state, int64_t value, void *arg)
{
	(void)arg;
	raise_to(state, rank_of_i64(value));
}

static void min_add_i64(void *state, int64_t value, void *arg)
{
	(void)arg;
	raise_to(state, ~rank_of_i64(value));
}

static void max_add_many_i64(void *const *states, const int64_t *values, size_t count, void *arg)
{
	(void)arg;
	for (size_t i = 0; i < count; i++)
		raise_to(states[i], rank_of_i64(values[i]));
}

static void min_add_many_i64(void *const *states, const int64_t *values, size_t count, void *arg)
{
	(void)arg;
	for (size_t i = 0; i < count; i++)
		raise_to(states[i], ~rank_of_i64(values[i]));
}

static pj_status max_finish_i64(const void *state, pj_text *text, void *arg)
{
	(void)arg;
	pj_text_i64(text, (int64_t)(*(const uint64_t *)state ^ sign_bit));
	return PJ_OK;
}

static pj_status min_finish_i64(const void *state, pj_text *text, void *arg)
{
	(void)arg;
	pj_text_i64(text, (int64_t)(~*(const uint64_t *)state ^ sign_bit));
	return PJ_OK;
}

/* -------------------------------------------------------------------------------------------------- doubles */

/* Of a value that is not NaN. */
static uint64_t rank_of_f64(double value)
{
	uint64_t bits;
	memcpy(&bits, &value, sizeof bits);
	return bits & sign_bit ? ~bits : bits | sign_bit;
}

static void write_rank(pj_text *text, uint64_t rank)
{
	const uint64_t bits = rank & sign_bit ? rank ^ sign_bit : ~rank;
	double value;
	memcpy(&value, &bits, sizeof value);
	pj_text_f64(text, value);
}

static void max_add_f64(void *state, double value, void *arg)
{
	(void)arg;
	raise_to(state, isnan(value) ? nan_rank : rank_of_f64(value));
}

static void min_add_f64(void *state, double value, void *arg)
{
	(void)arg;
	raise_to(state, isnan(value) ? nan_rank : ~rank_of_f64(value));
}

/* The rank of a NaN is turned back to a NaN by the rule for all others. */
static pj_status max_finish_f64(const void *state, pj_text *text, void *arg)
{
	(void)arg;
	write_rank(text, *(const uint64_t *)state);
	return PJ_OK;
}

static pj_status min_finish_f64(const void *state, pj_text *text, void *arg)
{
	(void)arg;
	write_rank(text, ~*(const uint64_t *)state);
	return PJ_OK;
}

const pj_aggregate pj_max_i64 = {
	.name = "max_i64",
	.takes = PJ_TAKES_I64,
	.exact = true,
	.state_bytes = sizeof(uint64_t),
	.add_i64 = max_add_i64,
	.add_many_i64 = max_add_many_i64,
	.merge = merge,
	.finish = max_finish_i64,
};

const pj_aggregate pj_min_i64 = {
	.name = "min_i64",
	.takes = PJ_TAKES_I64,
	.exact = true,
	.state_bytes = sizeof(uint64_t),
	.add_i64 = min_add_i64,
	.add_many_i64 = min_add_many_i64,
	.merge = merge,
	.finish = min_finish_i64,
};

const pj_aggregate pj_max_f64 = {
	.name = "max_f64",
	.takes = PJ_TAKES_F64,
	.exact = true,
	.state_bytes = sizeof(uint64_t),
	.add_f64 = max_add_f64,
	.merge = merge,
	.finish = max_finish_f64,
};

const pj_aggregate pj_min_f64 = {
	.name = "min_f64",
	.takes = PJ_TAKES_F64,
	.exact = true,
	.state_bytes = sizeof(uint64_t),
	.add_f64 = min_add_f64,
	.merge = merge,
	.finish = min_finish_f64,
};
