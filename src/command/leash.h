/*
 * leash.h: the process groups of all programs that a run has started, so that none outlives it.
 *
 * A program and what it starts are one process group. A process that starts one (a worker, or the calling process with
 * the engine `reference`) has an entry in a table of shared memory, into which the new process itself writes its group
 * before it becomes the program: so there is no moment in which a group runs and is not known. When a worker is dead,
 * its leader sweeps: what it has left is killed. When the leader is dead as well, a guard does it: a small process that
 * does nothing but wait until leader and workers are gone, and then kills what is in the table.
 *
 *     create ... take, (start), release, in any of the processes ... sweep, whenever one of them died ... destroy
 */
#ifndef PJ_COMMAND_LEASH_H
#define PJ_COMMAND_LEASH_H

#include <stdatomic.h>
#include <sys/types.h>

#include "base/error.h"

typedef struct pj__leash pj__leash;

/*
 * An entry is free, or belongs to a process; both fields are lock-free, as their writer may be killed between any two
 * instructions.
 */
typedef struct pj__leashed {
	_Atomic pid_t owner; /* 0: free */
	_Atomic pid_t group; /* 0: nothing runs */
} pj__leashed;

/* Makes an empty leash, and its guard. Processes that are forked afterwards share it. */
PJ_MUST_USE pj_status pj__leash_create(pj__leash **ret_leash, pj_error *error);

/* Kills all that is on it, and ends the guard. In the process that created it; NULL is fine. */
void pj__leash_destroy(pj__leash *leash);

/* An entry of this process's, with no group yet; NULL: there are too many. */
pj__leashed *pj__leash_take(pj__leash *leash);

/* Kills the entry's group, if there is one. Before its first process is reaped, so that its number is still its own. */
void pj__leash_kill(pj__leashed *entry);

/* The group is killed and reaped: the entry is free. */
void pj__leash_release(pj__leashed *entry);

/* Kills what processes have left that are gone. NULL is fine. */
void pj__leash_sweep(pj__leash *leash);

#endif
