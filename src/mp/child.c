/*
 * child.c: see child.h.
 */
#include "mp/child.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/machine.h"

/* waitid's P_PIDFD, which older C libraries do not name. */
#define BY_PIDFD ((idtype_t)3)

bool pj__is_ending(pid_t process, pid_t thread)
{
	enum { ENDING = 4 }; /* PF_EXITING, set before the kernel tells anybody of the end */
	char path[64], line[512];
	unsigned flags = 0;
	if (syscall(SYS_tgkill, process, thread, 0) < 0 && errno == ESRCH)
		return true;
	snprintf(path, sizeof path, "/proc/%d/task/%d/stat", (int)process, (int)thread);
	const int file = open(path, O_RDONLY | O_CLOEXEC);
	const ssize_t size = file < 0 ? -1 : read(file, line, sizeof line - 1);
	const int failed = errno;
	if (file >= 0)
		close(file);
	if (size <= 0) /* without /proc all that is known is what tgkill said */
		return failed == ESRCH || (failed == ENOENT && access("/proc/self", F_OK) == 0);
	line[size] = 0;
	/* the name, in parentheses, may hold anything; after it: state, five numbers of groups and terminals, flags */
	const char *rest = strrchr(line, ')');
	if (rest)
		(void)sscanf(rest, ") %*c %*d %*d %*d %*d %*d %u", &flags);
	return flags & ENDING;
}

/* In the child, all signals blocked: none of the host's handlers may be left when the mask opens. */
static void reset_signals(enum pj__child_signals signals)
{
	struct sigaction action = {.sa_handler = SIG_DFL};
	for (int number = 1; number < NSIG; number++)
		sigaction(number, &action, NULL); /* fails for SIGKILL, SIGSTOP and those of the C library */
	if (signals == PJ__SIGNALS_WORKER) {
		action.sa_handler = SIG_IGN;
		sigaction(SIGINT, &action, NULL);
		sigaction(SIGTSTP, &action, NULL);
		sigaction(SIGPIPE, &action, NULL);
		sigaction(SIGXFSZ, &action, NULL); /* a file that may not grow is an errno */
	}
	sigset_t none;
	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
}

pj_status pj__child_start(pj__child *ret_child, enum pj__child_signals signals, pj__child_main *main, void *arg,
			  pj_error *error)
{
	const pid_t parent = getpid(), thread = gettid();
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	const pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent || pj__is_ending(parent, thread))
			_exit(0); /* it ended before the line above, so that no signal will come; or one will */
		if (signals == PJ__SIGNALS_WORKER)
			setpgid(0, 0);
		reset_signals(signals);
		__fpurge(stdout); /* what the parent had not flushed is the parent's to print */
		const int exit_code = main(arg) & 255;
		fflush(stdout);
		_exit(exit_code);
	}
	const int fork_errno = errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return pj__fail(error, pj__status_of_errno(fork_errno, PJ_ERR_RESOURCE), fork_errno, NULL,
				"cannot start a process");
	const int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0) {
		const int saved = errno;
		kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		return pj__fail(error, pj__status_of_errno(saved, PJ_ERR_RESOURCE), saved, NULL,
				"cannot watch a new process");
	}
	*ret_child = (pj__child){pid, pidfd, signals == PJ__SIGNALS_WORKER};
	return PJ_OK;
}

/* The child has ended, or is waited for, and is not reaped: its number is still its own, and its group's. */
static void kill_group(const pj__child *child, bool wait)
{
	siginfo_t info = {0};
	int failed;
	while ((failed = waitid(BY_PIDFD, (id_t)child->pidfd, &info, WEXITED | WNOWAIT | (wait ? 0 : WNOHANG))) < 0 &&
	       errno == EINTR)
		;
	if (failed == 0 && info.si_pid == child->pid)
		kill(-child->pid, SIGKILL);
}

bool pj__child_reap(pj__child *child, bool wait, pj__ending *ending)
{
	pj__ending how = {-1, 0};
	siginfo_t info = {0};
	int failed;
	if (child->leads)
		kill_group(child, wait);
	while ((failed = waitid(BY_PIDFD, (id_t)child->pidfd, &info, WEXITED | (wait ? 0 : WNOHANG))) < 0 &&
	       errno == EINTR)
		;
	if (failed == 0 && info.si_pid == 0)
		return false;
	if (failed == 0 && info.si_code == CLD_EXITED)
		how.exit_code = info.si_status;
	else if (failed == 0)
		how.signal = info.si_status;
	else if (!wait && !pj__child_wait(child, 0))
		return false;
	if (ending)
		*ending = how;
	close(child->pidfd);
	*child = PJ__NO_CHILD;
	return true;
}

void pj__child_signal(const pj__child *child, int signal)
{
	/* by descriptor: should the host have reaped it, its number may be another process by now */
	if (child->pidfd >= 0)
		syscall(SYS_pidfd_send_signal, child->pidfd, signal, NULL, 0);
}

bool pj__child_wait(const pj__child *child, int64_t timeout_ms)
{
	struct pollfd ended = {.fd = child->pidfd, .events = POLLIN};
	return pj__poll(&ended, 1, timeout_ms) > 0;
}

int pj__poll(struct pollfd *fds, size_t count, int64_t timeout_ms)
{
	const uint64_t end_ns = timeout_ms < 0 ? 0 : pj__now_ns() + (uint64_t)timeout_ms * 1000000u;
	for (int64_t left_ms = timeout_ms;;) {
		const int slice_ms = left_ms < 0 ? -1 : left_ms > 1000000000 ? 1000000000 : (int)left_ms;
		const int ready = poll(fds, (nfds_t)count, slice_ms);
		if (ready > 0 || (ready < 0 && errno != EINTR))
			return ready;
		if (timeout_ms < 0)
			continue;
		const uint64_t now_ns = pj__now_ns();
		if (now_ns >= end_ns)
			return 0;
		left_ms = (int64_t)((end_ns - now_ns + 999999u) / 1000000u);
	}
}
