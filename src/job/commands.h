/*
 * commands.h: the programs of a job (papjuice/command.h) as its mapper, combiner and reducer.
 *
 * To the rest of the house they are functions like any others: `begin` starts the program, `text` or `general` feeds it
 * and emits what it has written meanwhile, `end` waits for its end.
 */
#ifndef PJ_JOB_COMMANDS_H
#define PJ_JOB_COMMANDS_H

#include <papjuice/job.h>

#include "base/error.h"

typedef struct pj__commands pj__commands;

/*
 * Sets the functions of `job`, which must stay where it is, for the programs that it names. *ret_commands, NULL if it
 * names none, is to be destroyed when all processes that run the job are gone. Processes forked before that may use it.
 * `longest`: bytes that a record a program writes may have.
 */
PJ_MUST_USE pj_status pj__commands_create(pj_job *job, uint64_t longest, unsigned timeout_ms,
					  pj__commands **ret_commands, pj_error *error);

/* Makes the guard, a process: before the engine forks, and before any program starts. NULL is fine. */
PJ_MUST_USE pj_status pj__commands_guard(pj__commands *commands, pj_error *error);

/* Kills what still runs. NULL is fine. */
void pj__commands_destroy(pj__commands *commands);

/* A worker is gone: kills the programs that it has left. NULL is fine. */
void pj__commands_sweep(pj__commands *commands);

#endif
