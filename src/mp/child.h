/*
 * child.h: a child process of ours: forked, bound to its parent's life, watched and reaped by descriptor.
 *
 * The dispatcher's workers and pj_process stand on it. What a library in somebody else's program must see to:
 *
 *   - The child dies with its parent: PR_SET_PDEATHSIG. The kernel ties this to the thread that forked, so that thread
 *     has to live as long as the child. A thread or process that ended before the call is seen by looking for it.
 *   - The host's signal handlers never run in the child: all signals are blocked over the fork, the handlers are reset,
 *     then the mask is cleared.
 *   - The child leaves by _exit: no atexit handler of the host runs twice. What the host had in its stdout is dropped
 *     in the child, so that it is not printed twice; what the child prints there is flushed when it ends by itself.
 *   - Its death is seen on a pidfd, which poll can wait for, and it is reaped by that descriptor. Other children of the
 *     host are never waited for. A host that reaps all children (wait(), SIGCHLD ignored) takes the exit status away:
 *     the death is still noticed, its cause is unknown (exit code -1 and signal 0).
 */
#ifndef PJ_MP_CHILD_H
#define PJ_MP_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

typedef struct pj__child {
	pid_t pid;  /* 0: none */
	int pidfd;  /* -1: none; can be read (poll) when the child has ended */
	bool leads; /* a process group of its own, which is killed with it */
} pj__child;

/* No child. */
#define PJ__NO_CHILD ((pj__child){0, -1, false})

/* How a child ended: by exit(exit_code), or by a signal; -1 and 0: unknown, somebody else reaped it. */
typedef struct pj__ending {
	int exit_code; /* -1: not by exit */
	int signal;    /* 0: not by a signal */
} pj__ending;

/* What a child runs; the result (0 to 255) is its exit code. */
typedef int pj__child_main(void *arg);

enum pj__child_signals {
	PJ__SIGNALS_DEFAULT, /* every signal has its default effect */
	/*
	 * SIGINT, SIGTSTP are ignored: the leader decides; and SIGPIPE, SIGXFSZ: a write fails. And the child is in a
	 * process group of its own: what it starts, and leaves there, is killed when it is reaped.
	 */
	PJ__SIGNALS_WORKER
};

/* Forks a child that runs main(arg). On failure (PJ_ERR_RESOURCE, PJ_ERR_MEMORY) there is no child. */
PJ_MUST_USE pj_status pj__child_start(pj__child *ret_child, enum pj__child_signals signals, pj__child_main *main,
				      void *arg, pj_error *error);

/*
 * Reaps the child if it has ended, and waits for that if `wait`. True: it is gone, *ending (may be NULL) is set and
 * *child is none again. False: it lives.
 */
bool pj__child_reap(pj__child *child, bool wait, pj__ending *ending);

/* Sends a signal to the child, if there is one. */
void pj__child_signal(const pj__child *child, int signal);

/* Waits until the child has ended, at most `timeout_ms` (-1: for ever). False: not yet. Does not reap. */
bool pj__child_wait(const pj__child *child, int64_t timeout_ms);

/* Has the thread of the process ended, or begun to? */
bool pj__is_ending(pid_t process, pid_t thread);

/* poll() that goes on after EINTR with the time that is left. Returns as poll does, never EINTR. */
struct pollfd;
int pj__poll(struct pollfd *fds, size_t count, int64_t timeout_ms);

#endif
