/*
 * process.c: see papjuice/process.h. A child with a handle that remembers how it ended.
 */
#include <papjuice/process.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "mp/child.h"

struct pj_process {
	pj__child child; /* none: joined */
	pid_t pid;
	pid_t parent; /* the process that started it: a copy of the handle in a child is of no use */
	pj__ending ending;
};

pj_status pj_process_start(pj_process_main *main, void *arg, pj_process **ret_process, pj_error *error)
{
	pj_process *process = malloc(sizeof *process);
	if (!process)
		return pj__no_memory(error, sizeof *process);
	*process = (pj_process){PJ__NO_CHILD, 0, getpid(), {-1, 0}};
	const pj_status status = pj__child_start(&process->child, PJ__SIGNALS_DEFAULT, main, arg, error);
	if (status) {
		free(process);
		return status;
	}
	process->pid = process->child.pid;
	*ret_process = process;
	return PJ_OK;
}

pj_status pj_process_join_timed(pj_process *process, int64_t timeout_ms, pj_ending *ret_ending, pj_error *error)
{
	if (process->parent != getpid())
		return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "only the process that started it can join a process");
	if (process->child.pid && timeout_ms >= 0 && !pj__child_wait(&process->child, timeout_ms))
		return pj__fail(error, PJ_ERR_TIMEOUT, 0, NULL, "process %d still runs", (int)process->pid);
	if (process->child.pid)
		pj__child_reap(&process->child, true, &process->ending);
	if (ret_ending)
		*ret_ending = (pj_ending){process->ending.exit_code, process->ending.signal};
	return PJ_OK;
}

pj_status pj_process_join(pj_process *process, pj_ending *ret_ending, pj_error *error)
{
	return pj_process_join_timed(process, -1, ret_ending, error);
}

void pj_process_kill(pj_process *process)
{
	if (process->parent == getpid())
		pj__child_signal(&process->child, SIGKILL);
}

int pj_process_id(const pj_process *process)
{
	return (int)process->pid;
}

void pj_process_destroy(pj_process *process)
{
	if (!process)
		return;
	if (process->child.pid && process->parent == getpid()) {
		pj__child_signal(&process->child, SIGKILL);
		pj__child_reap(&process->child, true, NULL);
	} else if (process->child.pidfd >= 0) {
		close(process->child.pidfd); /* the copy that a child inherited */
	}
	free(process);
}
