/*
 * start.c: see start.h.
 *
 * The child shares our memory until it becomes the program (CLONE_VM and CLONE_VFORK, as posix_spawn does it): a worker
 * has hundreds of megabytes, and to copy its page tables, and then take a fault for each page that is written again,
 * costs more than many a program's whole work. posix_spawn itself cannot be used: the child has to write its group to
 * the leash, ask to die with us, and look if we are still there. It runs on a stack of its own while we stand still,
 * calls nothing but the kernel, and changes nothing but `failed`.
 */
#include "command/start.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/grow.h"
#include "base/io.h"

enum { STACK_BYTES = 256 << 10, PIPE_BYTES = 1 << 20 /* what the kernel allows by default */ };

/* ------------------------------------------------------------------------------------------------ the environment */

/* Puts an owned string (NULL: no memory) in the place of the one with the same name, or at the end. */
static void put_variable(pj_start *start, char *variable)
{
	const size_t name = variable ? strcspn(variable, "=") + 1 : 0;
	if (!variable) {
		start->failed = true;
		return;
	}
	for (size_t i = 0; i < start->count; i++) {
		if (strncmp(start->variables[i], variable, name) != 0)
			continue;
		free(start->variables[i]);
		start->variables[i] = variable;
		return;
	}
	if (pj__grow(&start->variables, &start->capacity, start->count + 2, sizeof *start->variables, NULL)) {
		start->failed = true;
		free(variable);
		return;
	}
	start->variables[start->count++] = variable;
	start->variables[start->count] = NULL;
}

static void put_all(pj_start *start, const char *const *variables)
{
	for (size_t i = 0; variables && variables[i]; i++)
		if (strchr(variables[i], '='))
			put_variable(start, strdup(variables[i]));
}

void pj__start_init(pj_start *start, const char *const *added)
{
	*start = (pj_start){0};
	put_all(start, (const char *const *)environ);
	put_all(start, added);
}

void pj__start_fini(pj_start *start)
{
	for (size_t i = 0; i < start->count; i++)
		free(start->variables[i]);
	free(start->variables);
	free(start->folder);
	*start = (pj_start){0};
}

bool pj_start_set(pj_start *start, const char *name, const char *value)
{
	char *variable;
	if (!name || !value || asprintf(&variable, "%s=%s", name, value) < 0)
		variable = NULL;
	put_variable(start, variable);
	return !start->failed;
}

bool pj_start_folder(pj_start *start, const char *folder)
{
	free(start->folder);
	start->folder = strdup(folder);
	start->failed |= !start->folder;
	return !start->failed;
}

/* --------------------------------------------------------------------------------------------------------- pipes */

/* A pipe whose `ours`-th end does not block. */
static int make_pipe(int ends[2], int ours)
{
	if (pipe2(ends, O_CLOEXEC))
		return errno;
	for (int i = 0; i < 2; i++)
		ends[i] = pj__beyond_standard(ends[i]);
	/* A smaller pipe will do, and is what a user with many large ones gets. */
	(void)fcntl(ends[ours], F_SETPIPE_SZ, PIPE_BYTES);
	if (ends[0] >= 0 && ends[1] >= 0 && fcntl(ends[ours], F_SETFL, O_NONBLOCK) >= 0)
		return 0;
	const int failed = errno;
	for (int i = 0; i < 2; i++)
		if (ends[i] >= 0)
			close(ends[i]);
	ends[0] = ends[1] = -1;
	return failed;
}

void pj__pipes_close(pj__pipes *pipes)
{
	pj__close(&pipes->in);
	pj__close(&pipes->out);
	pj__close(&pipes->err);
}

/* Ends of ours and the child's. */
static pj_status make_pipes(pj__pipes *ours, pj__pipes *its, pj_error *error)
{
	int ends[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}}, failed = 0;
	for (int i = 0; i < 3 && !failed; i++)
		failed = make_pipe(ends[i], i == 0);
	*ours = (pj__pipes){ends[0][1], ends[1][0], ends[2][0]};
	*its = (pj__pipes){ends[0][0], ends[1][1], ends[2][1]};
	if (!failed)
		return PJ_OK;
	pj__pipes_close(ours);
	pj__pipes_close(its);
	return pj__fail(error, pj__status_of_errno(failed, PJ_ERR_RESOURCE), failed, NULL, "cannot make a pipe");
}

/* ------------------------------------------------------------------------------------------------------- the child */

struct launch {
	const char *const *argv;
	const pj_start *start;
	pj__pipes its;
	pj__leashed *entry;
	pid_t parent;
	int failed; /* the child's errno */
	bool in_folder;
};

/* Shares our memory: no library state may be touched. All signals are blocked. */
static int become_program(void *arg)
{
	struct launch *launch = arg;
	const struct sigaction usual = {.sa_handler = SIG_DFL};
	sigset_t none;
	(void)setpgid(0, 0);
	atomic_store(&launch->entry->group, getpid());
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != launch->parent)
		_exit(127);
	for (int number = 1; number < NSIG; number++)
		sigaction(number, &usual, NULL); /* fails for SIGKILL, SIGSTOP and those of the C library */
	if (launch->start->folder && chdir(launch->start->folder)) {
		launch->failed = errno;
		launch->in_folder = true;
		_exit(127);
	}
	if (dup2(launch->its.in, STDIN_FILENO) >= 0 && dup2(launch->its.out, STDOUT_FILENO) >= 0 &&
	    dup2(launch->its.err, STDERR_FILENO) >= 0 && close_range(STDERR_FILENO + 1, ~0u, 0) == 0) {
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		execvpe(launch->argv[0], (char *const *)(uintptr_t)launch->argv, launch->start->variables);
	}
	launch->failed = errno;
	_exit(127);
}

/* Returns the pid, or -1 with errno. */
static pid_t clone_child(struct launch *launch)
{
	sigset_t all, before;
	char *stack = malloc(STACK_BYTES);
	if (!stack)
		return -1;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	const pid_t pid = clone(become_program, (void *)(((uintptr_t)stack + STACK_BYTES) & ~(uintptr_t)63),
				CLONE_VM | CLONE_VFORK | SIGCHLD, launch);
	const int failed = errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	free(stack);
	errno = failed;
	return pid;
}

static pj_status cannot_start(const struct launch *launch, int failed, pj_error *error)
{
	const bool lacks = failed == ENOMEM || failed == EAGAIN || failed == EMFILE || failed == ENFILE;
	const pj_status status = lacks ? PJ_ERR_RESOURCE : PJ_ERR_USER;
	pj__fail(error, status, failed, launch->in_folder ? launch->start->folder : NULL, "cannot start the program %s",
		 launch->argv[0]);
	if (failed == ENOENT && !launch->in_folder)
		pj__error_hint(error, "%s",
			       strchr(launch->argv[0], '/')
				       ? "the path is that of a file that can be run, or of a script whose "
					 "first line names its interpreter"
				       : "a program is looked for in $PATH; one in this folder is called ./NAME");
	return status;
}

pj_status pj__start_program(const char *const *argv, const pj_start *start, pj__leashed *entry, pj__child *ret_child,
			    pj__pipes *ret_pipes, pj_error *error)
{
	struct launch launch = {.argv = argv, .start = start, .entry = entry, .parent = getpid()};
	pj__pipes ours;
	if (start->failed)
		return pj__no_memory(error, start->count * sizeof *start->variables);
	pj_status status = make_pipes(&ours, &launch.its, error);
	if (status)
		return status;
	pj__child child = {.pid = clone_child(&launch), .pidfd = -1};
	const int failed = child.pid < 0 ? errno : launch.failed;
	pj__pipes_close(&launch.its);
	if (!failed)
		child.pidfd = (int)syscall(SYS_pidfd_open, child.pid, 0);
	if (!failed && child.pidfd >= 0) {
		*ret_child = child;
		*ret_pipes = ours;
		return PJ_OK;
	}
	status = failed ? cannot_start(&launch, failed, error)
			: pj__fail(error, pj__status_of_errno(errno, PJ_ERR_RESOURCE), errno, NULL,
				   "cannot watch the program %s", argv[0]);
	pj__leash_kill(entry);
	while (child.pid > 0 && waitpid(child.pid, NULL, 0) < 0 && errno == EINTR)
		;
	pj__pipes_close(&ours);
	return status;
}
