/*
 * test_lock.c: the lock keeps processes apart, and the death of its holder stops nobody.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <papjuice/lock.h>
#include <papjuice/process.h>

#include "base/machine.h"

enum { PROCESSES = 8, ROUNDS = 20000 };

struct shared {
	pj_lock *lock;
	volatile long counter;
	volatile int holds;
};

static struct shared *shared_create(void)
{
	struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(shared, MAP_FAILED);
	pj_error error;
	assert_int_equal(pj_lock_create(&shared->lock, &error), PJ_OK);
	return shared;
}

static void shared_destroy(struct shared *shared)
{
	pj_lock_destroy(shared->lock);
	munmap(shared, sizeof *shared);
}

static int count_up(void *arg)
{
	struct shared *shared = arg;
	for (int i = 0; i < ROUNDS; i++) {
		if (pj_lock_acquire(shared->lock, NULL, NULL))
			return 1;
		shared->counter = shared->counter + 1; /* read, add, write: not atomic */
		if (pj_lock_release(shared->lock, NULL))
			return 2;
	}
	return 0;
}

static void no_increment_is_lost(void **state)
{
	(void)state;
	struct shared *shared = shared_create();
	pj_process *processes[PROCESSES];
	for (int i = 0; i < PROCESSES; i++)
		assert_int_equal(pj_process_start(count_up, shared, &processes[i], NULL), PJ_OK);
	for (int i = 0; i < PROCESSES; i++) {
		pj_ending ending;
		assert_int_equal(pj_process_join(processes[i], &ending, NULL), PJ_OK);
		assert_int_equal(ending.exit_code, 0);
		pj_process_destroy(processes[i]);
	}
	assert_int_equal(shared->counter, (long)PROCESSES * ROUNDS);
	shared_destroy(shared);
}

static int hold(void *arg)
{
	struct shared *shared = arg;
	if (pj_lock_acquire(shared->lock, NULL, NULL))
		return 1;
	shared->holds = 1;
	while (pause())
		;
	return 0;
}

static pj_process *start_holder(struct shared *shared)
{
	pj_process *holder;
	shared->holds = 0;
	assert_int_equal(pj_process_start(hold, shared, &holder, NULL), PJ_OK);
	while (!shared->holds)
		usleep(500);
	return holder;
}

static void trying_and_waiting_have_limits(void **state)
{
	(void)state;
	struct shared *shared = shared_create();
	bool owner_died = true;
	assert_int_equal(pj_lock_try_acquire(shared->lock, &owner_died, NULL), PJ_OK);
	assert_false(owner_died);
	assert_int_equal(pj_lock_release(shared->lock, NULL), PJ_OK);

	pj_process *holder = start_holder(shared);
	pj_error error = {.status = PJ_OK};
	owner_died = true;
	assert_int_equal(pj_lock_try_acquire(shared->lock, &owner_died, &error), PJ_ERR_BUSY);
	assert_true(owner_died); /* untouched */
	assert_int_equal(error.status, PJ_ERR_BUSY);
	assert_int_equal(pj_lock_acquire_timed(shared->lock, 0, NULL, NULL), PJ_ERR_TIMEOUT);
	const uint64_t begin = pj__now_ns();
	assert_int_equal(pj_lock_acquire_timed(shared->lock, 60, NULL, NULL), PJ_ERR_TIMEOUT);
	const uint64_t took_ms = (pj__now_ns() - begin) / 1000000u;
	assert_in_range(took_ms, 59, 2000);
	assert_int_equal(pj_lock_release(shared->lock, NULL), PJ_ERR_USAGE); /* held by another */
	pj_process_destroy(holder);
	shared_destroy(shared);
}

static void the_next_holder_is_told_of_a_death(void **state)
{
	(void)state;
	struct shared *shared = shared_create();
	for (int round = 0; round < 3; round++) {
		pj_process *holder = start_holder(shared);
		pj_process_kill(holder);
		bool owner_died = false;
		if (round == 0)
			assert_int_equal(pj_lock_acquire(shared->lock, &owner_died, NULL), PJ_OK);
		else if (round == 1)
			assert_int_equal(pj_lock_acquire_timed(shared->lock, 5000, &owner_died, NULL), PJ_OK);
		else {
			assert_int_equal(pj_process_join(holder, NULL, NULL), PJ_OK);
			assert_int_equal(pj_lock_try_acquire(shared->lock, &owner_died, NULL), PJ_OK);
		}
		assert_true(owner_died);
		assert_int_equal(pj_lock_release(shared->lock, NULL), PJ_OK);
		assert_int_equal(pj_lock_acquire(shared->lock, &owner_died, NULL), PJ_OK);
		assert_false(owner_died); /* told once */
		assert_int_equal(pj_lock_release(shared->lock, NULL), PJ_OK);
		pj_process_destroy(holder);
	}
	shared_destroy(shared);
}

static int wait_and_count(void *arg)
{
	struct shared *shared = arg;
	bool owner_died;
	if (pj_lock_acquire(shared->lock, &owner_died, NULL))
		return 1;
	shared->counter = shared->counter + (owner_died ? 100 : 1);
	return pj_lock_release(shared->lock, NULL) ? 2 : 0;
}

/* All are asleep in the lock when its holder is killed: each gets it, the first one is told. */
static void those_who_wait_wake_up(void **state)
{
	(void)state;
	struct shared *shared = shared_create();
	pj_process *holder = start_holder(shared), *waiting[PROCESSES];
	for (int i = 0; i < PROCESSES; i++)
		assert_int_equal(pj_process_start(wait_and_count, shared, &waiting[i], NULL), PJ_OK);
	usleep(30000);
	pj_process_kill(waiting[0]); /* one of those who wait, too */
	pj_process_kill(holder);
	for (int i = 0; i < PROCESSES; i++) {
		pj_ending ending;
		assert_int_equal(pj_process_join_timed(waiting[i], 5000, &ending, NULL), PJ_OK);
		assert_int_equal(i == 0 ? ending.signal : ending.exit_code, i == 0 ? SIGKILL : 0);
		pj_process_destroy(waiting[i]);
	}
	assert_int_equal(shared->counter, 100 + PROCESSES - 2);
	pj_process_destroy(holder);
	shared_destroy(shared);
}

static void wrong_use_is_said(void **state)
{
	(void)state;
	struct shared *shared = shared_create();
	pj_error error = {.status = PJ_OK};
	assert_int_equal(pj_lock_release(shared->lock, &error), PJ_ERR_USAGE);
	assert_int_equal(error.status, PJ_ERR_USAGE);
	assert_int_equal(pj_lock_acquire(shared->lock, NULL, NULL), PJ_OK);
	assert_int_equal(pj_lock_acquire(shared->lock, NULL, &error), PJ_ERR_USAGE);
	assert_int_equal(pj_lock_acquire_timed(shared->lock, 10, NULL, &error), PJ_ERR_USAGE);
	assert_int_equal(pj_lock_try_acquire(shared->lock, NULL, &error), PJ_ERR_USAGE);
	pj_lock *held;
	assert_int_equal(pj_lock_create(&held, NULL), PJ_OK);
	assert_int_equal(pj_lock_acquire(held, NULL, NULL), PJ_OK);
	pj_lock_destroy(held); /* released first: the next lines would crash otherwise */
	assert_int_equal(pj_lock_release(shared->lock, NULL), PJ_OK);
	pj_lock_destroy(NULL);
	shared_destroy(shared);
}

int main(void)
{
	alarm(60);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_increment_is_lost),
		cmocka_unit_test(trying_and_waiting_have_limits),
		cmocka_unit_test(the_next_holder_is_told_of_a_death),
		cmocka_unit_test(those_who_wait_wake_up),
		cmocka_unit_test(wrong_use_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
