/*
 * process.h: run a function in a process of its own.
 *
 * For what a pool can't do: work that shares state with others, through a lock, a manager, or whatever the program has
 * mapped.
 *
 *	static int work(void *arg) { ...; return 0; }
 *
 *	pj_process *process;
 *	pj_process_start(work, &input, &process, &error);
 *	pj_ending ending;
 *	pj_process_join(process, &ending, &error);      ending.exit_code is work's result
 *	pj_process_destroy(process);
 *
 * What fork means: the process starts as a copy of this one. It sees all memory as it was at the start, `arg` and what
 * it points to included, so nothing has to be serialised; what it changes there is seen by itself alone. Of the threads
 * of this process only a copy of the calling one exists in it; a lock that another thread held at that moment (one of a
 * library's own, say) stays held in the copy. Open descriptors are inherited.
 *
 * The process ends with `work`, by _exit: atexit handlers do not run. What it printed on stdout is flushed; what this
 * process had printed there and not flushed before is not printed twice. Signals have their default effect in it.
 *
 * It never outlives its parent: it is killed when the thread that started it ends, however that happens. Keep that
 * thread alive while the process is needed.
 */
#ifndef PAPJUICE_PROCESS_H
#define PAPJUICE_PROCESS_H

#include <papjuice/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pj_process pj_process;

/* What a process runs; its result (0 to 255) becomes the exit code. */
typedef int pj_process_main(void *arg);

/*
 * How a process ended: exactly one of exit_code >= 0 and signal > 0 holds. (Both are "none" when it is not known,
 * because the program around waited for all its children or ignores SIGCHLD.)
 */
typedef struct pj_ending {
	int exit_code; /* -1: it did not exit */
	int signal;    /* the signal that ended it; 0: none did */
} pj_ending;

/*
 * Starts a process that runs main(arg). The caller owns *ret_process and destroys it. PJ_ERR_RESOURCE (processes,
 * descriptors), PJ_ERR_MEMORY. Does not block. Any thread, see above.
 */
PJ_API PJ_MUST_USE pj_status pj_process_start(pj_process_main *main, void *arg, pj_process **ret_process,
					      pj_error *error);

/*
 * Waits for the end of the process; *ret_ending (NULL: not wanted) tells how it came. Can be called again and says the
 * same. PJ_ERR_USAGE: called in another process than the one that started it. One thread at a time.
 */
PJ_API PJ_MUST_USE pj_status pj_process_join(pj_process *process, pj_ending *ret_ending, pj_error *error);

/* The same, waiting at most `timeout_ms` milliseconds (negative: for ever, 0: not at all): else PJ_ERR_TIMEOUT. */
PJ_API PJ_MUST_USE pj_status pj_process_join_timed(pj_process *process, int64_t timeout_ms, pj_ending *ret_ending,
						   pj_error *error);

/*
 * Kills the process (SIGKILL), if it still runs; join then says so. Does not wait. Does nothing in another process than
 * the one that started it.
 */
PJ_API void pj_process_kill(pj_process *process);

/* The process id; it is valid until the process was joined. */
PJ_API int pj_process_id(const pj_process *process);

/* Frees the handle; a process that still runs is killed and waited for. NULL is fine. One thread at a time. */
PJ_API void pj_process_destroy(pj_process *process);

#ifdef __cplusplus
}
#endif
#endif
