/*
 * test_reduce.c: the built-in aggregates. Each is exact: whatever the order of adding and the grouping of merging, the
 * bytes of the state are the same, and so is the result, which is compared with one worked out in another way.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/number.h"
#include "base/text.h"
#include "sum_vectors.h"

enum { VECTORS = sizeof sum_vectors / sizeof *sum_vectors };

/* A state with a guard behind it. */
struct state {
	uint64_t word[PJ_STATE_BYTES_MAX / 8 + 1];
};

static uint64_t random_bits(void)
{
	static uint64_t state = 88172645463325252u;
	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

static double double_of(uint64_t bits)
{
	double value;
	memcpy(&value, &bits, sizeof value);
	return value;
}

static uint64_t bits_of(double value)
{
	uint64_t bits;
	memcpy(&bits, &value, sizeof bits);
	return bits;
}

static const uint64_t guard = 0x5aa5c33c0ff0a55a;

static void init(const pj_aggregate *aggregate, struct state *state)
{
	memset(state, 0, sizeof *state);
	state->word[aggregate->state_bytes / 8] = guard;
	if (aggregate->init)
		aggregate->init(state, NULL);
}

/* The result as text, in a buffer that the next call overwrites. */
static const char *finish(const pj_aggregate *aggregate, const struct state *state)
{
	static char result[64];
	pj_text text = {0};
	assert_int_equal(aggregate->finish(state, &text, NULL), PJ_OK);
	assert_true(!text.failed && text.len > 0 && text.len < sizeof result);
	memcpy(result, text.data, text.len);
	result[text.len] = 0;
	pj__text_fini(&text);
	assert_true(state->word[aggregate->state_bytes / 8] == guard);
	return result;
}

static double finish_f64(const pj_aggregate *aggregate, const struct state *state)
{
	double value = 0;
	assert_true(pj__parse_f64(pj_bytes_of(finish(aggregate, state)), &value));
	return value;
}

static void assert_same_state(const pj_aggregate *aggregate, const struct state *a, const struct state *b)
{
	assert_memory_equal(a, b, aggregate->state_bytes);
}

/* One value, given as 64 bits, in the way that the aggregate takes values. */
static void add(const pj_aggregate *aggregate, struct state *state, uint64_t value)
{
	switch (aggregate->takes) {
	case PJ_TAKES_I64:
		aggregate->add_i64(state, (int64_t)value, NULL);
		break;
	case PJ_TAKES_F64:
		aggregate->add_f64(state, double_of(value), NULL);
		break;
	case PJ_TAKES_BYTES:
		aggregate->add_bytes(state, (pj_bytes){(const char *)&value, value % 9}, NULL);
		break;
	}
}

static void shuffle(uint64_t *values, size_t count)
{
	for (size_t i = count; i > 1; i--) {
		const size_t j = random_bits() % i;
		const uint64_t value = values[i - 1];
		values[i - 1] = values[j];
		values[j] = value;
	}
}

/* Adds shuffled values to several states and merges these in a random order and shape. */
static void add_in_groups(const pj_aggregate *aggregate, struct state *ret_state, const uint64_t *values, size_t count)
{
	enum { GROUPS = 5 };
	struct state group[GROUPS];
	for (int i = 0; i < GROUPS; i++)
		init(aggregate, &group[i]);
	uint64_t *mixed = malloc((count + 1) * sizeof *mixed);
	memcpy(mixed, values, count * sizeof *mixed);
	shuffle(mixed, count);
	for (size_t i = 0; i < count; i++)
		add(aggregate, &group[random_bits() % GROUPS], mixed[i]);
	free(mixed);
	for (int left = GROUPS; left > 1; left--) {
		const int to = (int)(random_bits() % (unsigned)left), from = (to + 1) % left;
		aggregate->merge(&group[to], &group[from], NULL);
		group[from] = group[left - 1 == to ? from : left - 1];
		if (left - 1 == to)
			group[from] = group[to];
	}
	*ret_state = group[0];
}

/* The state of `count` values, after it was found that no order and no grouping changes it. */
static void state_of(const pj_aggregate *aggregate, struct state *ret_state, const uint64_t *values, size_t count)
{
	init(aggregate, ret_state);
	for (size_t i = 0; i < count; i++)
		add(aggregate, ret_state, values[i]);
	struct state backwards, grouped;
	init(aggregate, &backwards);
	for (size_t i = count; i > 0; i--)
		add(aggregate, &backwards, values[i - 1]);
	assert_same_state(aggregate, ret_state, &backwards);
	add_in_groups(aggregate, &grouped, values, count);
	assert_same_state(aggregate, ret_state, &grouped);
}

/* ------------------------------------------------------------------------------------------------- integers */

static void every_aggregate_keeps_the_rules(void **unused)
{
	(void)unused;
	const pj_aggregate *const all[] = {&pj_sum_i64, &pj_min_i64, &pj_max_i64, &pj_sum_f64,
					   &pj_min_f64, &pj_max_f64, &pj_count};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		assert_true(all[i]->exact && all[i]->merge && all[i]->finish && all[i]->name);
		assert_in_range(all[i]->state_bytes, 1, PJ_STATE_BYTES_MAX);
		assert_int_equal(all[i]->state_bytes % 8, 0);
		assert_true(all[i]->takes == PJ_TAKES_I64   ? all[i]->add_i64 != NULL
			    : all[i]->takes == PJ_TAKES_F64 ? all[i]->add_f64 != NULL
							    : all[i]->add_bytes != NULL);
		/* states are aligned to 8 bytes and not to more */
		_Alignas(16) uint64_t room[PJ_STATE_BYTES_MAX / 8 + 3] = {0};
		struct state *const state = (struct state *)(void *)(room + 1);
		add(all[i], state, 1);
		all[i]->merge(state, state, NULL);
		pj_text text = {0};
		assert_int_equal(all[i]->finish(state, &text, NULL), PJ_OK);
		assert_true(text.len);
		pj__text_fini(&text);
	}
}

static void integers_are_summed_minimised_and_counted(void **unused)
{
	(void)unused;
	enum { MAX = 50 };
	for (int round = 0; round < 300; round++) {
		uint64_t values[MAX];
		const size_t count = 1 + random_bits() % MAX;
		const unsigned shift = 8 + random_bits() % 56; /* so that the sum of them fits */
		int64_t sum = 0, least = INT64_MAX, most = INT64_MIN;
		for (size_t i = 0; i < count; i++) {
			const int64_t value = (int64_t)random_bits() >> shift;
			values[i] = (uint64_t)value;
			sum += value;
			least = value < least ? value : least;
			most = value > most ? value : most;
		}
		const struct {
			const pj_aggregate *aggregate;
			int64_t result;
		} cases[] = {
			{&pj_sum_i64, sum}, {&pj_min_i64, least}, {&pj_max_i64, most}, {&pj_count, (int64_t)count}};
		for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
			struct state state;
			state_of(cases[i].aggregate, &state, values, count);
			assert_int_equal(strtoll(finish(cases[i].aggregate, &state), NULL, 10), cases[i].result);
		}
	}
}

static void many_integers_at_once_are_the_same(void **unused)
{
	(void)unused;
	enum { STATES = 7, VALUES = 1000 };
	const pj_aggregate *const all[] = {&pj_sum_i64, &pj_min_i64, &pj_max_i64};
	for (size_t a = 0; a < sizeof all / sizeof *all; a++) {
		struct state one[STATES], many[STATES];
		void *states[VALUES];
		int64_t values[VALUES];
		for (int i = 0; i < STATES; i++) {
			init(all[a], &one[i]);
			init(all[a], &many[i]);
		}
		for (int i = 0; i < VALUES; i++) {
			const size_t which = random_bits() % STATES;
			states[i] = &many[which];
			values[i] = (int64_t)random_bits();
			all[a]->add_i64(&one[which], values[i], NULL);
		}
		all[a]->add_many_i64(states, values, VALUES, NULL);
		for (int i = 0; i < STATES; i++)
			assert_same_state(all[a], &one[i], &many[i]);
	}
}

static void overflow_is_judged_on_the_true_sum(void **unused)
{
	(void)unused;
	const uint64_t most = INT64_MAX, least = (uint64_t)INT64_MIN, one = 1, minus = UINT64_MAX;
	struct state state;
	state_of(&pj_sum_i64, &state, (const uint64_t[]){most, most, most, least, least, least, 3, 42}, 8);
	assert_string_equal(finish(&pj_sum_i64, &state), "42");
	state_of(&pj_sum_i64, &state, (const uint64_t[]){most}, 1);
	assert_string_equal(finish(&pj_sum_i64, &state), "9223372036854775807");
	state_of(&pj_sum_i64, &state, (const uint64_t[]){least}, 1);
	assert_string_equal(finish(&pj_sum_i64, &state), "-9223372036854775808");
	pj_text text = {0};
	state_of(&pj_sum_i64, &state, (const uint64_t[]){most, one}, 2);
	assert_int_equal(pj_sum_i64.finish(&state, &text, NULL), PJ_ERR_RECORD);
	state_of(&pj_sum_i64, &state, (const uint64_t[]){least, minus}, 2);
	assert_int_equal(pj_sum_i64.finish(&state, &text, NULL), PJ_ERR_RECORD);
	assert_int_equal(text.len, 0);
	state_of(&pj_min_i64, &state, (const uint64_t[]){most, least, 0}, 3);
	assert_string_equal(finish(&pj_min_i64, &state), "-9223372036854775808");
	state_of(&pj_max_i64, &state, (const uint64_t[]){most, least, 0}, 3);
	assert_string_equal(finish(&pj_max_i64, &state), "9223372036854775807");
	state_of(&pj_min_i64, &state, &most, 1);
	assert_string_equal(finish(&pj_min_i64, &state), "9223372036854775807");
	state_of(&pj_max_i64, &state, &least, 1);
	assert_string_equal(finish(&pj_max_i64, &state), "-9223372036854775808");
}

/* -------------------------------------------------------------------------------------------------- doubles */

static void sums_of_doubles_are_those_of_rational_numbers(void **unused)
{
	(void)unused;
	assert_true(VECTORS > 1000);
	const uint64_t *values = sum_values;
	for (size_t i = 0; i < VECTORS; i++) {
		struct state state;
		state_of(&pj_sum_f64, &state, values, sum_vectors[i].count);
		const double sum = finish_f64(&pj_sum_f64, &state);
		if (bits_of(sum) != sum_vectors[i].sum)
			fail_msg("list %zu of %u values: %.17g instead of %.17g", i, sum_vectors[i].count, sum,
				 double_of(sum_vectors[i].sum));
		values += sum_vectors[i].count;
	}
	assert_true(values == sum_values + sizeof sum_values / sizeof *sum_values);
}

/* What is the same sum has the same bytes, also when other values made it. */
static void equal_sums_have_equal_states(void **unused)
{
	(void)unused;
	for (int round = 0; round < 500; round++) {
		uint64_t values[8];
		for (int i = 0; i < 4; i++) {
			double value = double_of(random_bits());
			value = isfinite(value) ? value : 1.5;
			values[i] = bits_of(value);
			values[i + 4] = bits_of(-value);
		}
		struct state state, empty;
		state_of(&pj_sum_f64, &state, values, 8);
		init(&pj_sum_f64, &empty);
		assert_same_state(&pj_sum_f64, &state, &empty);
		assert_string_equal(finish(&pj_sum_f64, &state), "0");
	}
}

static void extremes_of_doubles_are_right(void **unused)
{
	(void)unused;
	for (int round = 0; round < 2000; round++) {
		uint64_t values[10];
		double least = INFINITY, most = -INFINITY;
		for (int i = 0; i < 10; i++) {
			double value = double_of(random_bits());
			value = isnan(value) ? (double)i : value;
			values[i] = bits_of(value);
			least = value < least ? value : least;
			most = value > most ? value : most;
		}
		struct state state;
		state_of(&pj_min_f64, &state, values, 10);
		assert_true(bits_of(finish_f64(&pj_min_f64, &state)) == bits_of(least));
		state_of(&pj_max_f64, &state, values, 10);
		assert_true(bits_of(finish_f64(&pj_max_f64, &state)) == bits_of(most));
	}
}

static void special_doubles_keep_the_rules(void **unused)
{
	(void)unused;
	const double inf = INFINITY, nan = NAN, big = 1.7976931348623157e308;
	const struct {
		double values[4];
		const char *sum, *least, *most;
	} cases[] = {
		{{0.0, -0.0, 0.0, -0.0}, "0", "-0", "0"},
		{{-0.0, -0.0, -0.0, -0.0}, "0", "-0", "-0"},
		{{0.0, 0.0, 0.0, 0.0}, "0", "0", "0"},
		{{5e-324, -0.0, 0.0, -5e-324}, "0", "-5e-324", "5e-324"},
		{{1, inf, 2, -5}, "inf", "-5", "inf"},
		{{1, -inf, 2, 5}, "-inf", "-inf", "5"},
		{{inf, inf, inf, inf}, "inf", "inf", "inf"},
		{{-inf, -inf, -inf, -inf}, "-inf", "-inf", "-inf"},
		{{inf, 1, -inf, 2}, "nan", "-inf", "inf"},
		{{1, nan, 2, 3}, "nan", "nan", "nan"},
		{{nan, inf, inf, -inf}, "nan", "nan", "nan"},
		{{1, -nan, inf, -inf}, "nan", "nan", "nan"},
		{{nan, -nan, nan, -nan}, "nan", "nan", "nan"},
		{{big, big, 1, 1}, "inf", "1", "1.7976931348623157e+308"},
		{{-big, -big, inf, 1}, "inf", "-1.7976931348623157e+308", "inf"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint64_t values[4];
		memcpy(values, cases[i].values, sizeof values);
		struct state state;
		state_of(&pj_sum_f64, &state, values, 4);
		assert_string_equal(finish(&pj_sum_f64, &state), cases[i].sum);
		state_of(&pj_min_f64, &state, values, 4);
		assert_string_equal(finish(&pj_min_f64, &state), cases[i].least);
		state_of(&pj_max_f64, &state, values, 4);
		assert_string_equal(finish(&pj_max_f64, &state), cases[i].most);
	}
}

/* A million values whose naive sum goes wrong by thousands. */
static void a_long_sum_is_exact(void **unused)
{
	(void)unused;
	struct state state;
	init(&pj_sum_f64, &state);
	for (int i = 0; i < 250000; i++) {
		pj_sum_f64.add_f64(&state, 1e16, NULL);
		pj_sum_f64.add_f64(&state, 0.001953125, NULL);
		pj_sum_f64.add_f64(&state, -1e16, NULL);
		pj_sum_f64.add_f64(&state, 1, NULL);
	}
	assert_string_equal(finish(&pj_sum_f64, &state), "250488.28125");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_aggregate_keeps_the_rules),
		cmocka_unit_test(integers_are_summed_minimised_and_counted),
		cmocka_unit_test(many_integers_at_once_are_the_same),
		cmocka_unit_test(overflow_is_judged_on_the_true_sum),
		cmocka_unit_test(sums_of_doubles_are_those_of_rational_numbers),
		cmocka_unit_test(equal_sums_have_equal_states),
		cmocka_unit_test(extremes_of_doubles_are_right),
		cmocka_unit_test(special_doubles_keep_the_rules),
		cmocka_unit_test(a_long_sum_is_exact),
	};
	return cmocka_run_group_tests_name("reduce", tests, NULL, NULL);
}
