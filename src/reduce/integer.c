/*
 * integer.c: pj_sum_i64 and pj_count.
 *
 * A sum of 64-bit integers is kept in 128 bits: 2^64 values of 64 bits fit, so that it never overflows on the way, and
 * whether the result fits 64 bits is asked once, of the true sum. The state is the sum, low half first on the machines
 * that we know; zero bytes are zero.
 */
#include <papjuice/reducer.h>

/* States are aligned to 8 bytes, an __int128 would want 16. */
__extension__ typedef __int128 wide __attribute__((aligned(8)));

static void sum_add_i64(void *state, int64_t value, void *arg)
{
	(void)arg;
	*(wide *)state += value;
}

static void sum_add_many_i64(void *const *states, const int64_t *values, size_t count, void *arg)
{
	(void)arg;
	for (size_t i = 0; i < count; i++)
		*(wide *)states[i] += values[i];
}

static void sum_merge(void *state, const void *other, void *arg)
{
	(void)arg;
	*(wide *)state += *(const wide *)other;
}

static pj_status sum_finish(const void *state, pj_text *text, void *arg)
{
	(void)arg;
	const wide sum = *(const wide *)state;
	if (sum < INT64_MIN || sum > INT64_MAX)
		return PJ_ERR_RECORD;
	pj_text_i64(text, (int64_t)sum);
	return PJ_OK;
}

const pj_aggregate pj_sum_i64 = {
	.name = "sum_i64",
	.takes = PJ_TAKES_I64,
	.exact = true,
	.state_bytes = sizeof(wide),
	.add_i64 = sum_add_i64,
	.add_many_i64 = sum_add_many_i64,
	.merge = sum_merge,
	.finish = sum_finish,
};

static void count_add_bytes(void *state, pj_bytes value, void *arg)
{
	(void)value;
	(void)arg;
	++*(uint64_t *)state;
}

static void count_merge(void *state, const void *other, void *arg)
{
	(void)arg;
	*(uint64_t *)state += *(const uint64_t *)other;
}

static pj_status count_finish(const void *state, pj_text *text, void *arg)
{
	(void)arg;
	pj_text_i64(text, (int64_t) * (const uint64_t *)state);
	return PJ_OK;
}

const pj_aggregate pj_count = {
	.name = "count",
	.takes = PJ_TAKES_BYTES,
	.exact = true,
	.state_bytes = sizeof(uint64_t),
	.add_bytes = count_add_bytes,
	.merge = count_merge,
	.finish = count_finish,
};
