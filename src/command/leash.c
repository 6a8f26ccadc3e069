/*
 * leash.c: see leash.h.
 *
 * The guard waits for the end of a pipe whose other end the leader holds, and with it, by inheritance, every worker;
 * programs do not. A worker dies with its leader, so the pipe ends when nobody is left who could start anything.
 */
#include "command/leash.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/io.h"
#include "mp/child.h"

enum { GUARD_MS = 1000, TRIES_MOST = 10 };
enum { ENTRIES = 4096 }; /* a map and a combiner for each of the workers there may be, and many more */

_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "a killed process must not leave a lock");

struct pj__leash {
	pj__leashed *entries; /* shared */
	int alive;            /* the end of the pipe that tells the guard */
	int ready;            /* while it starts: where it tells that it will outlive us */
	pj__child guard;
};

static void kill_all(const pj__leash *leash)
{
	for (int i = 0; i < ENTRIES; i++)
		pj__leash_kill(&leash->entries[i]);
}

/* In the guard. It has no use for what it has inherited, and must not keep others' pipes open. */
static int guard(void *arg)
{
	const pj__leash *leash = arg;
	char byte;
	size_t got;
	/* it has to outlive the process that forked it, and to ignore signals of its terminal */
	prctl(PR_SET_PDEATHSIG, 0);
	(void)setsid();
	if (dup2(leash->alive, STDIN_FILENO) < 0 || write(leash->ready, "", 1) != 1 || close_range(1, ~0u, 0))
		return 1;
	(void)pj__read_full(STDIN_FILENO, &byte, 1, &got);
	kill_all(leash);
	return 0;
}

static pj_status no_pipe(pj_error *error)
{
	return pj__fail(error, pj__status_of_errno(errno, PJ_ERR_RESOURCE), errno, NULL, "cannot make a pipe");
}

/* Waits until the guard is no longer bound to our life; before that there is nothing to guard. */
static bool stands(const pj__leash *leash, int ready)
{
	struct pollfd fds[] = {{.fd = ready, .events = POLLIN}, {.fd = leash->guard.pidfd, .events = POLLIN}};
	(void)pj__poll(fds, 2, -1);
	return fds[0].revents & POLLIN;
}

static pj_status try_guard(pj__leash *leash, bool *ret_stands, pj_error *error)
{
	int ends[2], ready[2];
	if (pipe2(ends, O_CLOEXEC))
		return no_pipe(error);
	if (pipe2(ready, O_CLOEXEC)) {
		const pj_status status = no_pipe(error);
		close(ends[0]);
		close(ends[1]);
		return status;
	}
	leash->alive = ends[0];
	leash->ready = ready[1] = pj__beyond_standard(ready[1]);
	pj_status status = pj__child_start(&leash->guard, PJ__SIGNALS_WORKER, guard, leash, error);
	close(ends[0]);
	close(ready[1]);
	leash->alive = ends[1];
	*ret_stands = !status && stands(leash, ready[0]);
	close(ready[0]);
	return status;
}

/* What kills workers may kill a guard as well. */
static pj_status start_guard(pj__leash *leash, pj_error *error)
{
	for (int tries = 0; tries < TRIES_MOST; tries++) {
		bool does_stand = false;
		const pj_status status = try_guard(leash, &does_stand, error);
		if (status || does_stand)
			return status;
		pj__close(&leash->alive);
		(void)pj__child_reap(&leash->guard, true, NULL);
	}
	pj__fail(error, PJ_ERR_RESOURCE, 0, NULL, "cannot guard the programs");
	pj__error_reason(error, "the guard ended %d times before it stood", TRIES_MOST);
	return PJ_ERR_RESOURCE;
}

pj_status pj__leash_create(pj__leash **ret_leash, pj_error *error)
{
	pj__leash *leash = malloc(sizeof *leash);
	if (!leash)
		return pj__no_memory(error, sizeof *leash);
	*leash = (pj__leash){.alive = -1, .guard = PJ__NO_CHILD};
	void *entries;
	pj_status status = pj__map_shared(ENTRIES * sizeof *leash->entries, &entries, error);
	if (!status) {
		leash->entries = entries;
		status = start_guard(leash, error);
	}
	if (status)
		pj__leash_destroy(leash);
	else
		*ret_leash = leash;
	return status;
}

void pj__leash_destroy(pj__leash *leash)
{
	if (!leash)
		return;
	if (leash->entries)
		kill_all(leash);
	pj__close(&leash->alive);
	if (leash->guard.pid) {
		/*
		 * A worker may have been killed while it started a program, which holds the pipe until it is on the
		 * leash. The guard waits for that; but not for what a host has forked meanwhile.
		 */
		if (!pj__child_wait(&leash->guard, GUARD_MS))
			pj__child_signal(&leash->guard, SIGKILL);
		(void)pj__child_reap(&leash->guard, true, NULL);
	}
	if (leash->entries)
		munmap(leash->entries, ENTRIES * sizeof *leash->entries);
	free(leash);
}

pj__leashed *pj__leash_take(pj__leash *leash)
{
	const pid_t self = getpid();
	for (int i = 0; i < ENTRIES; i++) {
		pj__leashed *entry = &leash->entries[i];
		pid_t none = 0;
		if (atomic_load(&entry->owner) == 0 && atomic_compare_exchange_strong(&entry->owner, &none, self)) {
			atomic_store(&entry->group, 0);
			return entry;
		}
	}
	return NULL;
}

void pj__leash_kill(pj__leashed *entry)
{
	const pid_t group = atomic_load(&entry->group);
	if (group > 1)
		(void)kill(-group, SIGKILL); /* it may have ended by itself */
}

void pj__leash_release(pj__leashed *entry)
{
	/* in this order: an entry without an owner has no group */
	atomic_store(&entry->group, 0);
	atomic_store(&entry->owner, 0);
}

void pj__leash_sweep(pj__leash *leash)
{
	for (int i = 0; leash && i < ENTRIES; i++) {
		pj__leashed *entry = &leash->entries[i];
		const pid_t owner = atomic_load(&entry->owner);
		if (!owner || kill(owner, 0) == 0 || errno != ESRCH)
			continue;
		pj__leash_kill(entry);
		pj__leash_release(entry);
	}
}
