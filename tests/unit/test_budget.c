/*
 * test_budget.c: the shares never exceed the memory that is divided, more memory never makes a share smaller, and the
 * least that a refusal names is the least that works.
 */
#include "testing.h"

#include "engine/budget.h"

enum { MIB = 1 << 20, TRIALS = 20000 };

/* What a test divides: the same trial is the same each time. */
struct division {
	uint64_t memory;
	unsigned workers;
	pj__lists lists;
};

static struct division division_of(uint64_t trial)
{
	uint64_t state = trial;
	struct division division = {.workers = 1 + (unsigned)random_below(&state, 64)};
	division.lists = pj__budget_lists(random_below(&state, 100000), random_below(&state, 10000),
					  random_below(&state, 2) == 0);
	division.memory = random_below(&state, (size_t)1 << random_below(&state, 14)) * MIB + random_below(&state, MIB);
	return division;
}

static pj_status divide(pj__budget *budget, struct division division, pj_error *error)
{
	return pj__budget_divide(budget, division.memory, division.workers, division.lists, error);
}

/* What the workers and the memory files may take together, with the lists, leaves room for the processes. */
static void shares_fit_into_the_memory(void **state)
{
	unsigned divided = 0;
	for (uint64_t trial = 0; trial < TRIALS; trial++) {
		const struct division division = division_of(trial);
		pj__budget budget;
		pj_error error = {0};
		if (divide(&budget, division, &error))
			continue;
		divided++;
		const uint64_t lists = division.lists.leader + division.workers * division.lists.worker;
		const uint64_t map = budget.table * 2 > budget.gather * 2 ? budget.table * 2 : budget.gather * 2;
		const uint64_t reduce = budget.reduce + budget.part + budget.held;
		const uint64_t worker = map > reduce ? map : reduce;
		assert_int_equal(budget.memory, division.memory);
		assert_true(lists + budget.files + division.workers * worker <= division.memory);
		assert_true(budget.files >= (uint64_t)division.workers * MIB);
		assert_true(budget.spool <= budget.files);
		assert_true(budget.table && budget.gather && budget.reduce && budget.part && budget.held);
	}
	assert_in_range(divided, TRIALS / 10, TRIALS - TRIALS / 10);
}

static void more_memory_makes_no_share_smaller(void **state)
{
	for (uint64_t trial = 0; trial < TRIALS; trial++) {
		struct division division = division_of(trial);
		pj__budget less, more;
		pj_error error = {0};
		if (divide(&less, division, &error))
			continue;
		division.memory += 1 + trial * 1000;
		assert_good(divide(&more, division, &error), error);
		/* Rounding moves at most some bytes for each worker between the workers' shares and the files'. */
		assert_true(more.files + 64 + division.workers >= less.files && more.spool >= less.spool);
		assert_true(more.table >= less.table && more.gather >= less.gather && more.reduce >= less.reduce);
		assert_true(more.part >= less.part && more.held >= less.held);
	}
}

/* The hint's figure works, and one MiB less does not. */
static void the_hint_names_the_least(void **state)
{
	for (uint64_t trial = 0; trial < TRIALS; trial++) {
		struct division division = division_of(trial);
		pj__budget budget;
		pj_error error = {0};
		division.memory = trial % MIB;
		assert_fails(divide(&budget, division, &error), PJ_ERR_MEMORY, error);
		unsigned long long least;
		assert_int_equal(sscanf(error.hint, "--memory %lluM is the least", &least), 1);
		division.memory = least * MIB;
		assert_good(divide(&budget, division, &error), error);
		division.memory -= MIB;
		assert_fails(divide(&budget, division, &error), PJ_ERR_MEMORY, error);
	}
}

int main(void)
{
	alarm(60);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shares_fit_into_the_memory),
		cmocka_unit_test(more_memory_makes_no_share_smaller),
		cmocka_unit_test(the_hint_names_the_least),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
