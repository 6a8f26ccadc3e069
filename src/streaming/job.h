/*
 * job.h: Hadoop Streaming on the engine. Open this header first: it is the centre of the folder.
 *
 * src/streaming takes the command line of Hadoop Streaming and runs it as one job of the engine, with the output, exit
 * codes and messages that Hadoop would give. The steps, all called from main.c:
 *
 *     pj__request_read     the command line, into properties and options              request.h, conf.h, names.h
 *     pj__streaming_init   the request, into a pj_job: classes or programs, files      job.h, classes.h, input.h,
 *                          cut into map tasks, folders, environment                    folder.h, environment.h
 *     pj_run               the engine runs the job. It calls back for each program:    talk.h, typed.h, lines.h
 *                          talk.h encodes its input and decodes its output;
 *                          native.h does the work of known Java classes               native.h, aggregate.h
 *     pj__streaming_finish side files into the output, then the output gets its name   folder.h
 *     pj__streaming_fini   removes the folders; in any case
 *
 * For example, `-input in -output out -mapper cat -reducer 'uniq -c'` gives a job with two programs. Each attempt of
 * the map task starts `cat` in its own folder, writes it the lines of its piece of the input, and cuts each line that
 * `cat` prints at the first tab into a pair; each reduce attempt starts `uniq -c`, writes it the sorted pairs as lines,
 * and what that prints becomes out/part-00000.
 */
#ifndef PJ_STREAMING_JOB_H
#define PJ_STREAMING_JOB_H

#include <papjuice/command.h>

#include "streaming/environment.h"
#include "streaming/folder.h"
#include "streaming/native.h"

typedef struct pj__streaming pj__streaming;

/* A program of the job. Callbacks get its address, which is also the address of `talk`. */
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
 * PJ_ERR_INPUT: an input is missing; PJ_ERR_USAGE: the request asks for what is not supported. A signal in *stop ends
 * this, and the run, with PJ_ERR_INTERRUPTED.
 */
PJ_MUST_USE pj_status pj__streaming_init(pj__streaming *streaming, pj__request *request,
					 const volatile sig_atomic_t *stop, pj_error *error);

/*
 * After a successful run: moves side files into the output, removes from it what the job does not want there, and gives
 * it its name. PJ_ERR_EXISTS: another process has made an output meanwhile.
 */
PJ_MUST_USE pj_status pj__streaming_finish(pj__streaming *streaming, pj_error *error);

void pj__streaming_fini(pj__streaming *streaming);

#endif
