/*
 * mutex.h: a mutex in shared memory that outlives its holder.
 *
 * The one kind of lock in this library: a robust, process-shared, error-checking POSIX mutex. When its holder dies, the
 * kernel hands it to the next one, who is told. (There is no condition variable, semaphore or barrier in shared memory
 * anywhere: they have no such rule, and hang for ever after the death of a waiter.)
 *
 * pj_lock is one of these in a mapping of its own; a manager has one at the start of its region.
 */
#ifndef PJ_MP_MUTEX_H
#define PJ_MP_MUTEX_H

#include <pthread.h>
#include <stdbool.h>

#include "base/error.h"

/* These are enumerators on glibc, which #ifdef would not see: without robust mutexes this must not compile. */
_Static_assert(PTHREAD_MUTEX_ROBUST != PTHREAD_MUTEX_STALLED, "robust mutexes are needed");
_Static_assert(PTHREAD_PROCESS_SHARED != PTHREAD_PROCESS_PRIVATE, "process-shared mutexes are needed");

PJ_MUST_USE pj_status pj__mutex_init(pthread_mutex_t *mutex, pj_error *error);

/*
 * Waits for the mutex: -1 for ever, 0 not at all, else at most `timeout_ms`. Returns 0 or ETIMEDOUT, EBUSY (timeout 0),
 * EDEADLK (this thread holds it). On 0, *owner_died says whether the last holder died while it held the mutex.
 */
int pj__mutex_lock(pthread_mutex_t *mutex, int64_t timeout_ms, bool *owner_died);

/* Returns 0, or EPERM: this thread does not hold it. */
int pj__mutex_unlock(pthread_mutex_t *mutex);

#endif
