/*
 * mp_lock.c: four processes add to one number, with a lock; one of them dies while it holds it.
 *
 *	$ mp_lock
 *	a holder of the lock died
 *	300001
 */
#include <papjuice/lock.h>
#include <papjuice/process.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { PROCESSES = 4, TIMES = 100000 };

struct shared {
	pj_lock *lock;
	long number;
	int deaths;
};

static int add(void *arg)
{
	struct shared *shared = arg;
	for (int i = 0; i < TIMES; i++) {
		bool owner_died;
		if (pj_lock_acquire(shared->lock, &owner_died, NULL))
			return 1;
		shared->deaths += owner_died;
		shared->number++;
		if (pj_lock_release(shared->lock, NULL))
			return 1;
	}
	return 0;
}

static int die_holding_it(void *arg)
{
	struct shared *shared = arg;
	if (pj_lock_acquire(shared->lock, NULL, NULL))
		return 1;
	shared->number++;
	abort(); /* this leaves no other process waiting for ever */
}

int main(void)
{
	struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pj_process *processes[PROCESSES];
	pj_error error;
	if (shared == MAP_FAILED || pj_lock_create(&shared->lock, &error))
		return 1;
	for (int i = 0; i < PROCESSES; i++)
		if (pj_process_start(i == 0 ? die_holding_it : add, shared, &processes[i], &error))
			return pj_error_exit_code(&error);
	for (int i = 0; i < PROCESSES; i++) {
		if (pj_process_join(processes[i], NULL, &error))
			return pj_error_exit_code(&error);
		pj_process_destroy(processes[i]);
	}
	bool owner_died; /* if it died last, nobody was told yet */
	if (pj_lock_acquire(shared->lock, &owner_died, &error))
		return pj_error_exit_code(&error);
	shared->deaths += owner_died;
	if (shared->deaths)
		printf("a holder of the lock died\n");
	printf("%ld\n", shared->number);
	pj_lock_destroy(shared->lock);
	return 0;
}
