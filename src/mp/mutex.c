/*
 * mutex.c: see mutex.h.
 *
 * A mutex whose holder died is made consistent at once: the state that it guards is the business of whoever is told. If
 * that one dies as well before the call returns, the kernel marks the mutex again and the next one is told.
 */
#include "mp/mutex.h"

#include <time.h>

pj_status pj__mutex_init(pthread_mutex_t *mutex, pj_error *error)
{
	pthread_mutexattr_t kind;
	int failed = pthread_mutexattr_init(&kind);
	if (!failed) {
		failed = pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
		if (!failed)
			failed = pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
		if (!failed)
			failed = pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK);
		if (!failed)
			failed = pthread_mutex_init(mutex, &kind);
		pthread_mutexattr_destroy(&kind);
	}
	if (failed)
		return pj__fail(error, pj__status_of_errno(failed, PJ_ERR_RESOURCE), failed, NULL,
				"cannot make a lock between processes");
	return PJ_OK;
}

int pj__mutex_lock(pthread_mutex_t *mutex, int64_t timeout_ms, bool *owner_died)
{
	int failed;
	if (timeout_ms < 0) {
		failed = pthread_mutex_lock(mutex);
	} else if (timeout_ms == 0) {
		failed = pthread_mutex_trylock(mutex);
	} else {
		struct timespec end;
		clock_gettime(CLOCK_MONOTONIC, &end);
		end.tv_sec += (time_t)(timeout_ms / 1000);
		end.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
		if (end.tv_nsec >= 1000000000) {
			end.tv_sec++;
			end.tv_nsec -= 1000000000;
		}
		failed = pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &end);
	}
	if (failed && failed != EOWNERDEAD)
		return failed;
	if (failed)
		pthread_mutex_consistent(mutex);
	*owner_died = failed == EOWNERDEAD;
	return 0;
}

int pj__mutex_unlock(pthread_mutex_t *mutex)
{
	return pthread_mutex_unlock(mutex);
}
