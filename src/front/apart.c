/*
 * apart.c: a run in a child process.
 *
 * The engine `reference` runs user code in the process that calls pj_run. When that code is a plug-in, whose crashes
 * are not to be ours, this process is a child of the command line, which waits, hands signals on and tells how it
 * ended. It notes in a page that both share that the run has come to its end: user code may call exit(0).
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "front/front.h"

/* `wish`: the signal that asked us to end the run before, 0: none. */
static pj_status killed(int signal, int wish, pj_error *error)
{
	if (wish)
		signal = wish;
	/* it had no handler yet, or none any more: an end as good as that of the handler */
	const bool asked = signal == SIGINT || signal == SIGTERM || signal == SIGHUP;
	pj__front_fail(error, asked ? PJ_ERR_INTERRUPTED : PJ_ERR_CRASH,
		       asked ? "the run was stopped" : "the process that ran the job was killed", NULL,
		       asked ? NULL : "with --engine local a crash costs one attempt of a task");
	error->reason[0] = 0;
	error->signal = signal;
	return error->status;
}

static pj_status system_failed(const char *what, int errnum, pj_error *error)
{
	pj__front_fail(error, PJ_ERR_RESOURCE, what, NULL, NULL);
	error->reason[0] = 0;
	error->errnum = errnum;
	return PJ_ERR_RESOURCE;
}

/* User code has ended the process; with which code does not matter, as nothing of the run is done. */
static pj_status ended_early(int code, pj_error *error)
{
	char reason[48];
	snprintf(reason, sizeof reason, "it called exit(%d)", code);
	return pj__front_fail(error, PJ_ERR_USER, "the user's code ended the process that ran the job", reason,
			      "return a pj_status instead; with --engine local it costs one attempt of a task");
}

/* A page that a child shares; NULL, with errno: there is none. */
static volatile bool *share_flag(void)
{
	void *const page = mmap(NULL, sizeof(bool), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return page == MAP_FAILED ? NULL : page;
}

/* Runs the body in a child. *ret_done is set when it has returned. */
static pj_status run_in_child(int (*body)(void *arg), void *arg, volatile bool *ret_done, int *ret_code,
			      pj_error *error)
{
	const pid_t parent = getpid();
	sigset_t ours, before;
	sigemptyset(&ours);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGTERM);
	sigaddset(&ours, SIGHUP);
	/* held back until each side has its handlers, so that none is lost */
	sigprocmask(SIG_BLOCK, &ours, &before);
	fflush(NULL);
	const pid_t child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(128 + SIGKILL);
		sigprocmask(SIG_SETMASK, &before, NULL);
		const int code = body(arg);
		fflush(NULL);
		*ret_done = true;
		_exit(code);
	}
	if (child < 0) {
		const int saved = errno;
		sigprocmask(SIG_SETMASK, &before, NULL);
		return system_failed("cannot start a process", saved, error);
	}
	struct pj__signals signals;
	const volatile sig_atomic_t *const wish = pj__signals_forward(&signals, child);
	sigprocmask(SIG_SETMASK, &before, NULL);
	int how = 0;
	pid_t reaped;
	while ((reaped = waitpid(child, &how, 0)) < 0 && errno == EINTR)
		;
	const int wait_errno = errno;
	pj__signals_restore(&signals);
	/* with SIGCHLD ignored nobody can tell how it ended */
	if (reaped < 0)
		return system_failed("the end of the process that ran the job is not known", wait_errno, error);
	if (WIFSIGNALED(how))
		return killed(WTERMSIG(how), *wish, error);
	*ret_code = WEXITSTATUS(how);
	/* a second signal, or the end of our patience, ends it with a code of its own */
	const bool was_stopped = *wish && *ret_code;
	return *ret_done || was_stopped ? PJ_OK : ended_early(*ret_code, error);
}

pj_status pj__run_apart(int (*body)(void *arg), void *arg, int *ret_code, pj_error *error)
{
	volatile bool *const done = share_flag();
	if (!done)
		return system_failed("cannot start a process", errno, error);
	const pj_status status = run_in_child(body, arg, done, ret_code, error);
	munmap((void *)(uintptr_t)done, sizeof *done);
	return status;
}
