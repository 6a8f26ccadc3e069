/*
 * lock.c: see papjuice/lock.h. A mutex in a mapping of its own.
 */
#include <papjuice/lock.h>
#include <sys/mman.h>

#include "base/io.h"
#include "mp/mutex.h"

struct pj_lock {
	pthread_mutex_t mutex;
};

pj_status pj_lock_create(pj_lock **ret_lock, pj_error *error)
{
	void *address = NULL;
	pj_status status = pj__map_shared(sizeof(pj_lock), &address, error);
	if (status)
		return status;
	pj_lock *lock = address;
	status = pj__mutex_init(&lock->mutex, error);
	if (status) {
		munmap(address, sizeof *lock);
		return status;
	}
	*ret_lock = lock;
	return PJ_OK;
}

void pj_lock_destroy(pj_lock *lock)
{
	if (!lock)
		return;
	/* A lock that is held hangs in this thread's list of robust mutexes; it has to go first. */
	pj__mutex_unlock(&lock->mutex);
	munmap(lock, sizeof *lock);
}

static pj_status acquire(pj_lock *lock, int64_t timeout_ms, pj_status busy, bool *ret_owner_died, pj_error *error)
{
	bool owner_died;
	const int failed = pj__mutex_lock(&lock->mutex, timeout_ms, &owner_died);
	switch (failed) {
	case 0:
		if (ret_owner_died)
			*ret_owner_died = owner_died;
		return PJ_OK;
	case EBUSY:
	case ETIMEDOUT:
		return pj__fail(error, busy, 0, NULL, "the lock is held by another");
	case EDEADLK:
		return pj__fail(error, PJ_ERR_USAGE, failed, NULL, "the lock is held by this thread already");
	default:
		return pj__fail(error, PJ_ERR_INTERNAL, failed, NULL, "cannot acquire a lock");
	}
}

pj_status pj_lock_acquire(pj_lock *lock, bool *ret_owner_died, pj_error *error)
{
	return acquire(lock, -1, PJ_ERR_INTERNAL, ret_owner_died, error);
}

pj_status pj_lock_try_acquire(pj_lock *lock, bool *ret_owner_died, pj_error *error)
{
	return acquire(lock, 0, PJ_ERR_BUSY, ret_owner_died, error);
}

pj_status pj_lock_acquire_timed(pj_lock *lock, int64_t timeout_ms, bool *ret_owner_died, pj_error *error)
{
	return acquire(lock, timeout_ms, PJ_ERR_TIMEOUT, ret_owner_died, error);
}

pj_status pj_lock_release(pj_lock *lock, pj_error *error)
{
	const int failed = pj__mutex_unlock(&lock->mutex);
	if (failed)
		return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "the lock is not held by this thread");
	return PJ_OK;
}
