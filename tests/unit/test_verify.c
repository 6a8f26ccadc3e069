/*
 * test_verify.c: a false invariant ends the process and says where it stands.
 */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "testing.h"

#undef NDEBUG
#include "base/verify.h"

static void test_true_goes_on(void **state)
{
	(void)state;
	int evaluated = 0;
	PJ_VERIFY(++evaluated == 1);
	assert_int_equal(evaluated, 1);
}

static void test_false_aborts(void **state)
{
	(void)state;
	int ends[2], status;
	char told[256], expected[256];
	assert_int_equal(pipe(ends), 0);
	const pid_t child = fork();
	assert_true(child >= 0);
	const int line = __LINE__ + 5; /* of the PJ_VERIFY */
	if (!child) {
		const struct rlimit none = {0, 0};
		(void)setrlimit(RLIMIT_CORE, &none);
		if (dup2(ends[1], STDERR_FILENO) >= 0)
			PJ_VERIFY(ends[0] == ends[1]);
		_exit(0);
	}
	close(ends[1]);
	const ssize_t got = read(ends[0], told, sizeof told - 1);
	assert_true(got > 0);
	told[got] = 0;
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	snprintf(expected, sizeof expected, "%s:%d: this must hold: ends[0] == ends[1]\n", __FILE__, line);
	assert_string_equal(told, expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_true_goes_on),
		cmocka_unit_test(test_false_aborts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
