/*
 * bad.h: records that kill or fail their task: which are accused, which are left out, and what is told of it at the
 * end.
 *
 * Only a record that was in work by itself (map.h: careful) is accused. The second time it is left out, if as many may
 * be; so a worker that was killed for another reason costs no record. What is left out is told in the order of the
 * input, and its bytes go to a file of their own, which appears as an output does, and after it: complete, or not at
 * all.
 *
 * In order: open, (accuse, list), write, commit, close.
 */
#ifndef PJ_JOB_BAD_H
#define PJ_JOB_BAD_H

#include "job/map.h"
#include "output/sink.h"

typedef struct pj__bad_record {
	pj__record_at at;
	size_t task;
	unsigned failures; /* of its task, while it was in work */
	bool left_out;
	uint64_t number;      /* of the record in its input, from 1; 0: not counted yet */
	uint64_t bytes, kept; /* when it is left out: how long it is, and where its bytes are kept */
	char reason[160];     /* of the last failure */
} pj__bad_record;

typedef struct pj__bad {
	const pj_options *options;
	const pj__plan *plan;
	pj__bad_record *at;
	size_t count, capacity;
	uint64_t left_out;
	bool has_sink;
	pj__sink sink; /* for their bytes */
	int kept;      /* where these are, in the order in which they were found; -1: nowhere yet */
	uint64_t kept_end;
	const char *temp;
} pj__bad;

/* What becomes of an accused record. */
typedef enum pj__verdict {
	PJ__IS_SUSPECT,  /* its task is tried again, with it */
	PJ__IS_LEFT_OUT, /* ... without it */
	PJ__IS_TOO_MUCH  /* no more may be left out */
} pj__verdict;

/*
 * Begins for a run to `output`. Where bytes of bad records are to be kept, their file is checked as an output is. On
 * failure nothing need be closed.
 */
PJ_MUST_USE pj_status pj__bad_open(pj__bad *bad, const pj_options *options, const pj__plan *plan,
				   const pj__sink *output, pj_error *error);
void pj__bad_close(pj__bad *bad);

/* May any records be left out? */
static inline bool pj__bad_may_skip(const pj__bad *bad)
{
	return bad->options->skip_bad > 0;
}

/* Can a failure be a record's? That of an input that cannot be read, or of an output, is not. */
bool pj__bad_may_be_record(pj_status status);

/* A record failed its task, as `why` tells. */
PJ_MUST_USE pj_status pj__bad_accuse(pj__bad *bad, size_t task, pj__record_at at, const pj_error *why,
				     pj__verdict *ret_verdict, pj_error *error);

/*
 * The records of some splits (NULL: of all) that are left out, to be freed, or, of a compressed source, all of its
 * records; NULL: none, or, with *ret_count, no memory.
 */
pj__record_at *pj__bad_list(const pj__bad *bad, const pj__split *splits, size_t split_count, size_t *ret_count);

/*
 * The job has done all else: writes the bytes of what was left out. Their file gets its name by the commit, which comes
 * after that of the output: a run without output has no such file.
 */
PJ_MUST_USE pj_status pj__bad_write(pj__bad *bad, pj_error *error);
PJ_MUST_USE pj_status pj__bad_commit(pj__bad *bad, pj_error *error);

/* Tells the caller of the run about every record that was left out, or is one too many, in the order of the input. */
void pj__bad_tell(pj__bad *bad, pj_result *result);

/*
 * Completes an error about a place in the input of a task: by the record's number, if a record begins there, it can be
 * counted, and the run goes on. In a compressed source the place is taken as one of the task's piece, and the error
 * gets that in the whole text.
 */
void pj__bad_place(const pj__bad *bad, size_t task, pj__record_at at, bool is_record, pj_error *error);

#endif
