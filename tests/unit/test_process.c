/*
 * test_process.c: the exit code or the signal comes back; nothing waits for ever, nothing outlives its parent.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <papjuice/process.h>

#include "base/machine.h"

static int give_back(void *arg)
{
	return *(const int *)arg;
}

static int raise_signal(void *arg)
{
	raise(*(const int *)arg);
	return 0;
}

static int stay(void *arg)
{
	(void)arg;
	while (pause())
		;
	return 0;
}

static pj_process *start(pj_process_main *run, void *arg)
{
	pj_process *process = NULL;
	pj_error error;
	assert_int_equal(pj_process_start(run, arg, &process, &error), PJ_OK);
	assert_true(pj_process_id(process) > 0);
	return process;
}

static void exit_codes_come_back(void **state)
{
	(void)state;
	for (int code = 0; code < 256; code += 51) {
		pj_process *process = start(give_back, &code);
		pj_ending ending = {99, 99};
		assert_int_equal(pj_process_join(process, &ending, NULL), PJ_OK);
		assert_int_equal(ending.exit_code, code);
		assert_int_equal(ending.signal, 0);
		ending = (pj_ending){99, 99};
		assert_int_equal(pj_process_join(process, &ending, NULL), PJ_OK); /* again the same */
		assert_int_equal(ending.exit_code, code);
		pj_process_destroy(process);
	}
}

static void signals_come_back(void **state)
{
	(void)state;
	const int signals[] = {SIGKILL, SIGSEGV, SIGABRT, SIGTERM, SIGINT, SIGPIPE};
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		int number = signals[i];
		pj_process *process = start(raise_signal, &number);
		pj_ending ending;
		assert_int_equal(pj_process_join(process, &ending, NULL), PJ_OK);
		assert_int_equal(ending.signal, number);
		assert_int_equal(ending.exit_code, -1);
		pj_process_destroy(process);
	}
}

static void joining_has_a_limit_and_killing_ends_it(void **state)
{
	(void)state;
	pj_process *process = start(stay, NULL);
	pj_error error = {.status = PJ_OK};
	pj_ending ending = {99, 99};
	const uint64_t begin = pj__now_ns();
	assert_int_equal(pj_process_join_timed(process, 50, &ending, &error), PJ_ERR_TIMEOUT);
	assert_true(pj__now_ns() - begin >= 49000000u);
	assert_int_equal(error.status, PJ_ERR_TIMEOUT);
	assert_int_equal(ending.exit_code, 99); /* untouched */
	assert_int_equal(pj_process_join_timed(process, 0, NULL, NULL), PJ_ERR_TIMEOUT);
	pj_process_kill(process);
	assert_int_equal(pj_process_join_timed(process, 5000, &ending, NULL), PJ_OK);
	assert_int_equal(ending.signal, SIGKILL);
	pj_process_kill(process); /* nothing happens */
	pj_process_destroy(process);
	pj_process_destroy(NULL);
}

static void destroying_ends_what_still_runs(void **state)
{
	(void)state;
	pj_process *process = start(stay, NULL);
	const int pid = pj_process_id(process);
	pj_process_destroy(process);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static int change_memory(void *arg)
{
	*(int *)arg = 7;
	return 0;
}

static void memory_is_a_copy(void **state)
{
	(void)state;
	int own = 1;
	int *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pj_process *first = start(change_memory, &own), *second = start(change_memory, shared);
	assert_int_equal(pj_process_join(first, NULL, NULL), PJ_OK);
	assert_int_equal(pj_process_join(second, NULL, NULL), PJ_OK);
	assert_int_equal(own, 1);
	assert_int_equal(*shared, 7);
	pj_process_destroy(first);
	pj_process_destroy(second);
	munmap(shared, sizeof *shared);
}

static int join_the_sibling(void *arg)
{
	pj_process *sibling = arg;
	pj_error error;
	pj_process_kill(sibling); /* does nothing here */
	const int refused = pj_process_join(sibling, NULL, &error) == PJ_ERR_USAGE;
	pj_process_destroy(sibling);
	return refused ? 3 : 4;
}

static void a_copy_of_the_handle_is_of_no_use(void **state)
{
	(void)state;
	pj_process *sibling = start(stay, NULL), *process = start(join_the_sibling, sibling);
	pj_ending ending;
	assert_int_equal(pj_process_join(process, &ending, NULL), PJ_OK);
	assert_int_equal(ending.exit_code, 3);
	assert_int_equal(pj_process_join_timed(sibling, 0, NULL, NULL), PJ_ERR_TIMEOUT); /* it lives */
	pj_process_destroy(process);
	pj_process_destroy(sibling);
}

static int start_and_stay(void *arg)
{
	pj_process *process;
	if (pj_process_start(stay, NULL, &process, NULL))
		return 1;
	*(volatile int *)arg = pj_process_id(process);
	return stay(NULL);
}

/* 'Z' and 'X' are gone as well: who reaps orphans may be slow. */
static int is_running(int pid)
{
	char path[64], state = 'X';
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	FILE *file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		state = 'X';
	fclose(file);
	return state != 'Z' && state != 'X';
}

static void it_dies_with_its_parent(void **state)
{
	(void)state;
	volatile int *pid = mmap(NULL, sizeof *pid, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pj_process *parent = start(start_and_stay, (void *)pid);
	while (!*pid)
		usleep(1000);
	assert_true(is_running(*pid));
	pj_process_kill(parent);
	pj_process_destroy(parent);
	int waited_ms = 0;
	for (; is_running(*pid) && waited_ms < 1000; waited_ms++)
		usleep(1000);
	assert_in_range(waited_ms, 0, 999);
	munmap((void *)pid, sizeof *pid);
}

static void *start_and_end(void *arg)
{
	return pj_process_start(stay, NULL, arg, NULL) ? arg : NULL;
}

/* The thread that starts it ends at once, before or after the new process asks to be told of that. */
static void it_dies_with_its_thread(void **state)
{
	(void)state;
	for (int round = 0; round < 100; round++) {
		pthread_t thread;
		pj_process *process;
		void *failed;
		assert_int_equal(pthread_create(&thread, NULL, start_and_end, &process), 0);
		assert_int_equal(pthread_join(thread, &failed), 0);
		assert_null(failed);
		assert_int_equal(pj_process_join_timed(process, 5000, NULL, NULL), PJ_OK);
		pj_process_destroy(process);
	}
}

static int print_a_line(void *arg)
{
	(void)arg;
	printf("from the process\n");
	return 0;
}

/* In a process of its own, whose stdout is a pipe: each line comes once. */
static int print_around(void *arg)
{
	dup2(*(const int *)arg, 1);
	setvbuf(stdout, NULL, _IOFBF, 4096);
	printf("from the parent\n");
	pj_process *process;
	if (pj_process_start(print_a_line, NULL, &process, NULL) || pj_process_join(process, NULL, NULL))
		return 1;
	pj_process_destroy(process);
	return 0;
}

static void what_is_printed_comes_once(void **state)
{
	(void)state;
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	pj_process *process = start(print_around, &ends[1]);
	assert_int_equal(pj_process_join(process, NULL, NULL), PJ_OK);
	pj_process_destroy(process);
	close(ends[1]);
	char text[256] = "";
	size_t used = 0;
	for (ssize_t got; (got = read(ends[0], text + used, sizeof text - 1 - used)) > 0;)
		used += (size_t)got;
	close(ends[0]);
	assert_string_equal(text, "from the process\nfrom the parent\n");
}

int main(void)
{
	alarm(60);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exit_codes_come_back),
		cmocka_unit_test(signals_come_back),
		cmocka_unit_test(joining_has_a_limit_and_killing_ends_it),
		cmocka_unit_test(destroying_ends_what_still_runs),
		cmocka_unit_test(memory_is_a_copy),
		cmocka_unit_test(a_copy_of_the_handle_is_of_no_use),
		cmocka_unit_test(it_dies_with_its_parent),
		cmocka_unit_test(it_dies_with_its_thread),
		cmocka_unit_test(what_is_printed_comes_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
