/*
 * table.c: the built-in jobs by number and by name. A new job is a name here.
 */
#include <string.h>

#include "jobs/jobs.h"

/* In the order of their names. */
static const pj_job *const jobs[] = {
	&pj__job_distinct, &pj__job_grep,  &pj__job_index,     &pj__job_join,
	&pj__job_sort,     &pj__job_stats, &pj__job_wordcount,
};

const pj_job *pj_builtin_job(size_t index)
{
	return index < sizeof jobs / sizeof *jobs ? jobs[index] : NULL;
}

const pj_job *pj_builtin_find(const char *name)
{
	for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++)
		if (!strcmp(jobs[i]->name, name))
			return jobs[i];
	return NULL;
}
