/*
 * job.h: from a request to a job of the engine, and its run.
 */
#ifndef PJ_STREAMING_JOB_H
#define PJ_STREAMING_JOB_H

#include <papjuice/command.h>

#include "streaming/environment.h"
#include "streaming/folder.h"
#include "streaming/native.h"

typedef struct pj__streaming pj__streaming;

/* A program of the job; callbacks get its address, which is that of `talk`, too. */
typedef struct pj__side {
	pj__talk talk;
	pj__streaming *streaming;
	pj_command command;
	char **words;     /* owned; NULL: no program */
	char *program;    /* the first of them, owned */
	size_t passed_on; /* bytes of standard error, in this process */
} pj__side;

/* It must stay where it is: the job points into it. */
struct pj__streaming {
	const pj__request *request;
	pj__conf *conf; /* the request's */
	pj__files files;
	pj__folder folder;
	pj__environment environment;
	pj__records records;
	pj__fields partition, order;
	bool parts_by_fields;
	pj__native native;
	pj__side map, combine, reduce;
	uint64_t reduces;
	bool lazy, marks_success;
	char *output;   /* absolute, without '/' at the end */
	char *made;     /* where it is made, in the job's folder, with '/' at the end */
	char stamp[40]; /* of ids */
	pj_job job;
	pj_options options;
};

/*
 * Settles everything that can be known before the run. Afterwards pj_run may be called with `job` and `options`, then
 * pj__streaming_finish. To be given back with pj__streaming_fini in any case. PJ_ERR_EXISTS: the output exists;
 * PJ_ERR_INPUT: an input is missing; PJ_ERR_USAGE: something is asked for that there is not. A signal in *stop ends
 * this, and the run, with PJ_ERR_INTERRUPTED.
 */
PJ_MUST_USE pj_status pj__streaming_init(pj__streaming *streaming, pj__request *request,
					 const volatile sig_atomic_t *stop, pj_error *error);

/*
 * After a run that went well: side files go into the output, what is not wanted there goes away, and it gets its name.
 * PJ_ERR_EXISTS: somebody else has made an output meanwhile.
 */
PJ_MUST_USE pj_status pj__streaming_finish(pj__streaming *streaming, pj_error *error);

void pj__streaming_fini(pj__streaming *streaming);

#endif
