/*
 * lock.h: a lock between processes.
 *
 * Shared state that is changed by a sequence of calls (get, change, set) needs a lock around the sequence: two
 * processes that do it at the same time would lose one of the changes.
 *
 *	pj_lock *lock;
 *	pj_lock_create(&lock, &error);
 *	... start processes that are given `lock` ...
 *
 *	pj_lock_acquire(lock, NULL, NULL);    in each process
 *	... get, change, set ...
 *	pj_lock_release(lock, NULL);
 *
 * A process may die while it holds the lock. Nobody waits for ever then: the next one gets the lock, and `owner_died`
 * tells it that what the lock guards may be half changed. It is told once: who does not ask does not learn it.
 *
 * The lock is not recursive, and it belongs to the thread that acquired it, which alone can release it. The pointer
 * means the same in the process that made the lock and in all that are forked from it later (pj_process, pj_pool,
 * fork). A child that is forked while its parent holds the lock does not hold it. Who waits longest is not served
 * first: those that wait have no order.
 *
 * Memory order is as with any mutex: what was written before a release is seen after the next acquire.
 */
#ifndef PAPJUICE_LOCK_H
#define PAPJUICE_LOCK_H

#include <papjuice/status.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pj_lock pj_lock;

/*
 * Makes a lock that nobody holds. The caller owns *ret_lock and destroys it. PJ_ERR_MEMORY, PJ_ERR_RESOURCE. Does not
 * block; any thread.
 */
PJ_API PJ_MUST_USE pj_status pj_lock_create(pj_lock **ret_lock, pj_error *error);

/*
 * Frees the lock in this process, and releases it first if this thread holds it; processes that inherited it keep
 * theirs. No other thread of this process may be using it. NULL is fine.
 */
PJ_API void pj_lock_destroy(pj_lock *lock);

/*
 * Waits until the lock is this thread's. *ret_owner_died (NULL: not wanted) says whether the last holder died holding
 * it. PJ_ERR_USAGE: this thread holds it already. Any thread of any process that has the lock.
 */
PJ_API PJ_MUST_USE pj_status pj_lock_acquire(pj_lock *lock, bool *ret_owner_died, pj_error *error);

/* The same without waiting: PJ_ERR_BUSY when another holds it. PJ_ERR_USAGE as above. */
PJ_API PJ_MUST_USE pj_status pj_lock_try_acquire(pj_lock *lock, bool *ret_owner_died, pj_error *error);

/* The same, waiting at most `timeout_ms` milliseconds (negative: for ever, 0: not at all): else PJ_ERR_TIMEOUT. */
PJ_API PJ_MUST_USE pj_status pj_lock_acquire_timed(pj_lock *lock, int64_t timeout_ms, bool *ret_owner_died,
						   pj_error *error);

/* Gives the lock back. PJ_ERR_USAGE: this thread does not hold it (nothing happens). Does not block. */
PJ_API pj_status pj_lock_release(pj_lock *lock, pj_error *error);

#ifdef __cplusplus
}
#endif
#endif
