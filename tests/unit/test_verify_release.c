/*
 * test_verify_release.c: a release compiles an invariant and does not evaluate it.
 */
#include "testing.h"

#undef NDEBUG
#define NDEBUG
#include "base/verify.h"

static void test_release_does_not_evaluate(void **state)
{
	(void)state;
	int evaluated = 0;
	PJ_VERIFY(++evaluated == 2);
	assert_int_equal(evaluated, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_release_does_not_evaluate)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
