/*
 * test_pool_faults.c: deaths and failures in a pool's map: replaced, tried again, named; never a hang (alarm).
 */
#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <papjuice/pool.h>
#include <papjuice/process.h>

#include "base/machine.h"

enum { ITEMS = 200 };

/* What happens to the items; older than the pools, and shared, so that tries can be counted. */
struct plan {
	size_t poison[3]; /* indexes, ITEMS: none */
	unsigned deaths;  /* a poisonous item kills that many times */
	int way;          /* signal; 0: exit(9); -1: a failure; -2: a failure with words; -3: takes too long;
			     -4: closes all descriptors and stays; -5: sends the leader rubbish */
	volatile unsigned calls[ITEMS];
};

static struct plan *plan;
static pj_bytes items[ITEMS];
static uint32_t indexes[ITEMS];

static int setup(void **state)
{
	(void)state;
	plan = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (uint32_t i = 0; i < ITEMS; i++) {
		indexes[i] = i;
		items[i] = (pj_bytes){(const char *)&indexes[i], sizeof indexes[i]};
	}
	return plan == MAP_FAILED;
}

static void set_plan(size_t poison, unsigned deaths, int way)
{
	memset(plan, 0, sizeof *plan);
	plan->poison[0] = poison;
	plan->poison[1] = plan->poison[2] = ITEMS;
	plan->deaths = deaths;
	plan->way = way;
}

static pj_status suffer(pj_reply *result, uint32_t index)
{
	switch (plan->way) {
	case 0:
		_exit(9);
	case -1:
		return PJ_ERR_RECORD;
	case -2:
		return pj_reply_fail(result, "number %u is odd", index);
	case -3:
		usleep(20000000);
		return PJ_OK;
	case -4:
		close_range(3, ~0U, 0);
		usleep(20000000);
		return PJ_OK;
	case -5:
		for (int fd = 3; fd < 64; fd++)
			if (write(fd, "rubbish", 7) == 7)
				usleep(1000);
		return PJ_OK;
	default:
		raise(plan->way);
		return PJ_OK;
	}
}

static pj_status function(pj_bytes item, pj_reply *result, void *arg)
{
	uint32_t index;
	(void)arg;
	memcpy(&index, item.ptr, sizeof index);
	const unsigned call = __atomic_add_fetch(&plan->calls[index], 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 3; i++) {
		if (plan->poison[i] == index && call <= plan->deaths) {
			const pj_status status = suffer(result, index);
			if (status)
				return status;
		}
	}
	return pj_reply_append(result, item);
}

static pj_pool *create(unsigned processes)
{
	pj_pool *pool = NULL;
	assert_int_equal(pj_pool_create(processes, &pool, NULL), PJ_OK);
	return pool;
}

static void expect_all(pj_pool *pool, size_t chunk)
{
	pj_results *results = NULL;
	pj_error error;
	const pj_status status = pj_pool_map(pool, function, NULL, items, ITEMS, chunk, &results, &error);
	if (status) {
		char line[512];
		fail_msg("%s", pj_error_format(&error, line, sizeof line));
	}
	for (size_t i = 0; i < ITEMS; i++)
		assert_true(pj_bytes_equal(results->items[i], items[i]));
	pj_results_destroy(results);
}

static pj_error expect_failure(pj_pool *pool, size_t chunk, pj_status expected)
{
	pj_results *results = NULL;
	pj_error error;
	assert_int_equal(pj_pool_map(pool, function, NULL, items, ITEMS, chunk, &results, &error), expected);
	assert_null(results);
	assert_int_equal(error.status, expected);
	return error;
}

static const size_t chunks[] = {0, 1, 7, ITEMS};

static void a_dead_worker_is_replaced(void **state)
{
	(void)state;
	const int ways[] = {SIGKILL, SIGSEGV, 0, -4};
	pj_pool *pool = create(3);
	for (size_t w = 0; w < 4; w++) {
		for (size_t c = 0; c < 4; c++) {
			set_plan(50, PJ_POOL_TRIES - 1, ways[w]);
			plan->poison[1] = 51; /* neighbours, and the first */
			plan->poison[2] = 0;
			expect_all(pool, chunks[c]);
			assert_int_equal(plan->calls[50], PJ_POOL_TRIES);
		}
	}
	pj_pool_destroy(pool);
}

static void a_poisonous_item_is_named(void **state)
{
	(void)state;
	const int ways[] = {SIGKILL, SIGSEGV, SIGABRT, 0};
	pj_pool *pool = create(3);
	for (size_t w = 0; w < 4; w++) {
		for (size_t c = 0; c < 4; c++) {
			set_plan(123, 1000, ways[w]);
			const pj_error error = expect_failure(pool, chunks[c], PJ_ERR_CRASH);
			assert_int_equal(error.task, 123);
			assert_int_equal(error.signal, ways[w]);
			assert_int_equal(plan->calls[123], PJ_POOL_TRIES);
			char line[256];
			pj_error_format(&error, line, sizeof line);
			assert_non_null(strstr(line, "item 123 killed its worker each time"));
			assert_non_null(strstr(line, ways[w] == SIGSEGV ? "SIGSEGV" : ways[w] ? "SIG" : "code 9"));
		}
	}
	set_plan(ITEMS, 0, 0);
	expect_all(pool, 0); /* the pool serves on */
	pj_pool_destroy(pool);
}

static void a_failure_names_the_item(void **state)
{
	(void)state;
	pj_pool *pool = create(3);
	for (size_t c = 0; c < 4; c++) {
		set_plan(77, 1000, -1);
		pj_error error = expect_failure(pool, chunks[c], PJ_ERR_USER);
		assert_int_equal(error.task, 77);
		assert_non_null(strstr(error.reason, "PJ_ERR_RECORD"));
		set_plan(77, 1000, -2);
		error = expect_failure(pool, chunks[c], PJ_ERR_USER);
		assert_int_equal(error.task, 77);
		assert_string_equal(error.reason, "number 77 is odd");
		assert_int_equal(plan->calls[77], 1); /* a failure is not tried again */
	}
	set_plan(ITEMS, 0, 0);
	expect_all(pool, 0);
	pj_pool_destroy(pool);
}

static void the_lowest_failed_item_is_told(void **state)
{
	(void)state;
	pj_pool *pool = create(4);
	for (int round = 0; round < 30; round++) {
		set_plan(150, 1000, round % 2 ? -1 : SIGKILL);
		plan->poison[1] = 20;
		plan->poison[2] = 21;
		const pj_error error = expect_failure(pool, chunks[round % 4], round % 2 ? PJ_ERR_USER : PJ_ERR_CRASH);
		assert_int_equal(error.task, 20);
	}
	pj_pool_destroy(pool);
}

static void an_item_may_take_its_time_only(void **state)
{
	(void)state;
	pj_pool *pool = create(2);
	pj_pool_set_time_limit(pool, 60);
	set_plan(9, 1, -3);
	expect_all(pool, 10); /* late once, then in time */
	set_plan(9, 1000, -3);
	const pj_error error = expect_failure(pool, 10, PJ_ERR_TIMEOUT);
	assert_int_equal(error.task, 9);
	assert_non_null(strstr(error.reason, "60 ms"));
	set_plan(ITEMS, 0, 0);
	expect_all(pool, 0);
	pj_pool_set_time_limit(pool, 0);
	expect_all(pool, 0);
	pj_pool_destroy(pool);
}

static void a_worker_that_sends_rubbish_is_replaced(void **state)
{
	(void)state;
	pj_pool *pool = create(2);
	set_plan(5, 2, -5);
	expect_all(pool, 3);
	set_plan(5, 1000, -5);
	const pj_error error = expect_failure(pool, 3, PJ_ERR_CRASH);
	assert_in_range(error.task, 3, 5);
	pj_pool_destroy(pool);
}

static pj_status slow(pj_bytes item, pj_reply *result, void *arg)
{
	(void)arg;
	usleep(1000);
	return pj_reply_append(result, item);
}

static int kill_children_of(void *arg)
{
	const int leader = *(const int *)arg;
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/task/%d/children", leader, leader);
	srand(1);
	for (;;) {
		int pids[64], count = 0;
		FILE *file = fopen(path, "re");
		while (file && count < 64 && fscanf(file, "%d", &pids[count]) == 1)
			count += pids[count] != getpid();
		if (file)
			fclose(file);
		if (count)
			kill(pids[rand() % count], SIGKILL);
		usleep(5000);
	}
	return 0;
}

/* Somebody kills workers all the time, at work or idle: results are whole, or the error is a clear one. */
static void random_kills_do_no_harm(void **state)
{
	(void)state;
	pj_pool *pool = create(4);
	int self = getpid(), completed = 0;
	pj_process *killer;
	assert_int_equal(pj_process_start(kill_children_of, &self, &killer, NULL), PJ_OK);
	for (int round = 0; round < 12; round++) {
		pj_results *results = NULL;
		pj_error error;
		const pj_status status =
			pj_pool_map(pool, slow, NULL, items, ITEMS, chunks[round % 3], &results, &error);
		assert_true(status == PJ_OK || status == PJ_ERR_CRASH);
		for (size_t i = 0; results && i < ITEMS; i++)
			assert_true(pj_bytes_equal(results->items[i], items[i]));
		completed += status == PJ_OK;
		pj_results_destroy(results);
	}
	pj_process_destroy(killer);
	assert_in_range(completed, 1, 12); /* the busier the machine, the more kills for each item */
	pj_pool_destroy(pool);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static int count_descriptors(void)
{
	int count = 0;
	DIR *folder = opendir("/proc/self/fd");
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

static void nothing_is_left_behind(void **state)
{
	(void)state;
	const int before = count_descriptors();
	for (int round = 0; round < 5; round++) {
		pj_pool *pool = create(3);
		set_plan(11, 1000, SIGKILL);
		(void)expect_failure(pool, 0, PJ_ERR_CRASH);
		set_plan(11, 1, SIGKILL);
		expect_all(pool, 0);
		pj_pool_close(pool);
		assert_int_equal(pj_pool_join(pool, NULL), PJ_OK);
		pj_pool_destroy(pool);
	}
	assert_int_equal(count_descriptors(), before);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static pj_status whoami(pj_bytes item, pj_reply *result, void *arg)
{
	const int pid = getpid();
	(void)item;
	(void)arg;
	return pj_reply_append(result, (pj_bytes){(const char *)&pid, sizeof pid});
}

/* Workers killed between two maps, or stopped before a join. */
static void an_idle_death_is_noticed(void **state)
{
	(void)state;
	pj_pool *pool = create(1);
	for (int round = 0; round < 20; round++) {
		pj_results *results = NULL;
		assert_int_equal(pj_pool_map(pool, whoami, NULL, items, 1, 0, &results, NULL), PJ_OK);
		int pid;
		memcpy(&pid, results->items[0].ptr, sizeof pid);
		pj_results_destroy(results);
		kill(pid, SIGKILL);
		if (round % 2)
			usleep(2000);
	}
	set_plan(ITEMS, 0, 0);
	expect_all(pool, 0);
	pj_pool_close(pool);
	assert_int_equal(pj_pool_join(pool, NULL), PJ_OK);
	pj_pool_destroy(pool);
}

int main(void)
{
	alarm(60);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_dead_worker_is_replaced),
		cmocka_unit_test(a_poisonous_item_is_named),
		cmocka_unit_test(a_failure_names_the_item),
		cmocka_unit_test(the_lowest_failed_item_is_told),
		cmocka_unit_test(an_item_may_take_its_time_only),
		cmocka_unit_test(a_worker_that_sends_rubbish_is_replaced),
		cmocka_unit_test(random_kills_do_no_harm),
		cmocka_unit_test(nothing_is_left_behind),
		cmocka_unit_test(an_idle_death_is_noticed),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
