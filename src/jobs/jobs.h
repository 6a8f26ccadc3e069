/*
 * jobs.h: the built-in jobs, each a file of its own, written against the public headers as a user's job is.
 */
#ifndef PJ_JOBS_JOBS_H
#define PJ_JOBS_JOBS_H

#include <papjuice/program.h>

extern const pj_job pj__job_distinct, pj__job_grep, pj__job_index, pj__job_join, pj__job_sort, pj__job_stats,
	pj__job_wordcount;

#endif
