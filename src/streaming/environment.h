/*
 * environment.h: the environment of a program: all properties of the job under their old and new names, with every
 * character other than a letter or digit turned into '_', and the ids of its attempt.
 */
#ifndef PJ_STREAMING_ENVIRONMENT_H
#define PJ_STREAMING_ENVIRONMENT_H

#include <papjuice/command.h>

#include "streaming/input.h"

typedef struct pj__environment {
	const pj__conf *conf;
	const pj__strings *added; /* NAME=VALUE of -cmdenv */
	const pj__files *files;
	const char *stamp; /* of the job's ids: "1700000000000_0001" */
	uint64_t maps, reduces;
	int64_t longest_value; /* longer values are cut to this many bytes; below 0: no limit */
} pj__environment;

enum { PJ__ID_BYTES = 96 };

/* "attempt_STAMP_m_000003_0", and of its task: "task_STAMP_m_000003". A combiner is part of its map task. */
void pj__attempt_id(const pj__environment *environment, const pj_attempt *attempt, char *id);
void pj__task_id(const pj__environment *environment, const pj_attempt *attempt, char *id);

/* Sets all for one start, which will be in the folder `work`. */
void pj__environment_set(const pj__environment *environment, const pj_attempt *attempt, const char *work,
			 const char *side, pj_start *start);

#endif
