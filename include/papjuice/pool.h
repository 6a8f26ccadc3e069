/*
 * pool.h: a pool of processes, and a map over items that uses them all.
 *
 *	static pj_status square(pj_bytes item, pj_reply *result, void *arg)
 *	{
 *		int64_t number;
 *		memcpy(&number, item.ptr, sizeof number);
 *		number *= number;
 *		return pj_reply_append(result, (pj_bytes){(const char *)&number, sizeof number});
 *	}
 *
 *	pj_pool *pool;
 *	pj_pool_create(0, &pool, &error);
 *	pj_results *results;
 *	pj_pool_map(pool, square, NULL, items, count, 0, &results, &error);
 *	... results->items[i] belongs to items[i] ...
 *	pj_results_destroy(results);
 *	pj_pool_destroy(pool);
 *
 * Items and results are bytes, and they are copied, to the process that works and back; of any length. A pointer inside
 * them, like `arg` and the function itself, means something in the workers only if it is older than the pool: the
 * workers are copies (fork) of this process as it was when the pool was created. A plug-in that was loaded later is not
 * there. What the function changes in memory is changed in its worker's copy alone, and is not seen here; to share
 * state, hand a pj_manager's dict or list, or a pj_lock, that was made before the pool.
 *
 * A worker may die: killed by the system or by an error in the function. It is replaced, and the item that it worked on
 * is tried again, on its own, up to PJ_POOL_TRIES times; the other items of its chunk are done again and not charged.
 * An item that kills its worker each time makes the map fail with PJ_ERR_CRASH; the error names the item (`task`) and
 * the signal. A map never hangs because of a death. A function can therefore be called more than once for an item, and
 * what it does besides its result can happen more than once.
 *
 * When items fail, the map fails with the error of the failed item with the lowest index, whatever the timing. After
 * that the function runs nowhere any more (workers still at it are killed and replaced); the pool can be used again.
 *
 * In a worker SIGINT and SIGTSTP are ignored, so that Ctrl-C is this process's to handle; SIGPIPE too. What the
 * function prints on stdout is flushed after each chunk.
 *
 * A pool belongs to the thread that created it, which has to live as long as the pool: the workers are killed by the
 * system when it ends. A child of this process can't use its parent's pool (PJ_ERR_USAGE).
 */
#ifndef PAPJUICE_POOL_H
#define PAPJUICE_POOL_H

#include <papjuice/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How often an item is tried before its worker's death, or the time limit, is taken as the item's fault. */
enum { PJ_POOL_TRIES = 3 };

typedef struct pj_pool pj_pool;

/* What a function gives back for one item: bytes, appended piece by piece. Only valid during the call. */
typedef struct pj_reply pj_reply;

/*
 * The function that is mapped. `item` lives until it returns. PJ_OK, or any other status: the item has failed and with
 * it the map.
 */
typedef pj_status pj_pool_function(pj_bytes item, pj_reply *result, void *arg);

/* The results of a map. Read only; the bytes live until pj_results_destroy. */
typedef struct pj_results {
	size_t count;          /* as many as there were items */
	const pj_bytes *items; /* items[i] is the result of item i, of length 0 if nothing was appended */
} pj_results;

/*
 * Creates a pool of `processes` workers; 0: twice the processors that this process may use. The caller owns *ret_pool
 * and destroys it. PJ_ERR_RESOURCE (processes; descriptors: four for each), PJ_ERR_MEMORY. Does not block.
 */
PJ_API PJ_MUST_USE pj_status pj_pool_create(unsigned processes, pj_pool **ret_pool, pj_error *error);

/* Kills the workers, waits for their end and frees the pool. Results of its maps stay valid. NULL is fine. */
PJ_API void pj_pool_destroy(pj_pool *pool);

/* How many workers the pool has. */
PJ_API unsigned pj_pool_processes(const pj_pool *pool);

/*
 * From now on an item may take `limit_ms` milliseconds; a worker that takes longer is killed, which counts as one of
 * the item's tries, and the map fails with PJ_ERR_TIMEOUT when none is left. 0, the start: no limit.
 */
PJ_API void pj_pool_set_time_limit(pj_pool *pool, uint64_t limit_ms);

/*
 * Calls function(items[i], result, arg) for each of `count` items in the workers, and returns when all are done. Items
 * are handed out in chunks of `chunk` items (0: a fitting number is chosen; larger chunks cost less, smaller ones share
 * out uneven work better). *ret_results is owned by the caller and freed with pj_results_destroy.
 *
 * PJ_ERR_USER: the function returned a failure; `task` of the error is the index of the item, `reason` says more.
 * PJ_ERR_CRASH: an item killed its worker each time; `task` is its index, `signal` the signal (0: it called exit).
 * PJ_ERR_TIMEOUT: an item took too long each time; `task` is its index.
 * PJ_ERR_CLOSED: the pool is closed. PJ_ERR_USAGE: a NULL, or another process. PJ_ERR_MEMORY, PJ_ERR_RESOURCE.
 */
PJ_API PJ_MUST_USE pj_status pj_pool_map(pj_pool *pool, pj_pool_function *function, void *arg, const pj_bytes *items,
					 size_t count, size_t chunk, pj_results **ret_results, pj_error *error);

/* Frees the results of a map. NULL is fine. */
PJ_API void pj_results_destroy(pj_results *results);

/* No more maps: the workers are told to end. Again: nothing happens. Does not block. */
PJ_API void pj_pool_close(pj_pool *pool);

/* Waits until all workers of a closed pool have ended. PJ_ERR_USAGE: it is not closed. */
PJ_API PJ_MUST_USE pj_status pj_pool_join(pj_pool *pool, pj_error *error);

/*
 * In the function: appends bytes to the result of the item. PJ_ERR_MEMORY: no room; the map will fail with that, also
 * if the function returns PJ_OK.
 */
PJ_API pj_status pj_reply_append(pj_reply *result, pj_bytes bytes);

/*
 * In the function: says in words why the item failed; they become the `reason` of the map's error. Returns PJ_ERR_USER,
 * so that `return pj_reply_fail(result, "no such user: %s", name)` is a line.
 */
PJ_API pj_status pj_reply_fail(pj_reply *result, const char *format, ...) __attribute__((format(printf, 2, 3)));

#ifdef __cplusplus
}
#endif
#endif
