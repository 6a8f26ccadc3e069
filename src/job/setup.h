/*
 * setup.h: a job and its options, checked and with every default filled in. Settling starts no process and opens no
 * file.
 *
 * This is the one place where defaults are decided, with two exceptions: the plan decides what follows from the size of
 * the input (plan.h), and a task has a time limit by default only on the command line (front/table.c). Defaults that
 * are numbers have names in papjuice/job.h, which the help and --stats use as well.
 */
#ifndef PJ_JOB_SETUP_H
#define PJ_JOB_SETUP_H

#include <papjuice/job.h>

#include "base/error.h"
#include "job/commands.h"
#include "job/storage.h"

typedef struct pj__setup {
	pj_job job;                 /* a copy, configured by the values of its own options */
	pj_options options;         /* settled; no field is left to a default */
	const pj__storage *storage; /* of the engine; until that is chosen, files */
	pj__commands *commands;     /* the programs among the job's functions; NULL: there are none */
	bool stands;                /* the input is read again and again: no file of it is made a stream (plan.h) */
	uint64_t available;         /* memory that could be had, if that was looked at; else 0 */
} pj__setup;

/* Checks the job, calls its `configure`, and settles the options (NULL: defaults). */
PJ_MUST_USE pj_status pj__setup_init(pj__setup *setup, const pj_job *job, const pj_options *options, pj_error *error);

/* Gives back what the job's `configure` got. The setup is not used any more. */
void pj__setup_fini(pj__setup *setup);

/* In a worker: takes the user's code, if it is not in this process yet, into setup->job. */
PJ_MUST_USE pj_status pj__setup_load(pj__setup *setup, pj_error *error);

/* The name of the engine that a job with these options (NULL: defaults) is to be run by. */
const char *pj__engine_wanted(const pj_job *job, const pj_options *options);

/* Are part files ranges of keys? */
static inline bool pj__setup_has_ranges(const pj__setup *setup)
{
	return setup->options.parts == PJ_PARTS_RANGES && !setup->job.map_only;
}

/* What the job decides about its keys, all of it; NULL: nothing. */
const pj_keys *pj__setup_keys(const pj__setup *setup);

/* The same, where it is about the order of pairs or their groups; NULL: those are the usual ones. */
const pj_keys *pj__setup_order(const pj__setup *setup);

/* Is a part reduced as a whole, by one process? */
static inline bool pj__setup_reduces_whole(const pj__setup *setup)
{
	return !setup->job.map_only && (setup->job.reducer.begin || setup->job.reducer.end);
}

/* Does the job combine pairs before the reduce? */
bool pj__setup_combines(const pj__setup *setup);

#endif
