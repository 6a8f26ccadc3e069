/*
 * matching_lines.c: the lines that hold a word, in the order of the input. A job that only maps, with an option of its
 * own; the value of the option reaches the mapper as its `arg`.
 *
 *     papjuice run matching_lines.c --word error logs/
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* for memmem */
#endif
#include <papjuice.h>
#include <stdio.h>

static pj_status match(pj_task *task, pj_bytes line, void *arg)
{
	const char *word = arg;
	if (memmem(line.ptr, line.len, word, strlen(word)))
		pj_emit(task, line, pj_bytes_of(""));
	return PJ_OK;
}

static const pj_job_option options[] = {
	{ "word", 'e', "WORD", NULL, "the word that a line must hold" },
	{ NULL }
};

/* Called before the run, in every process, with the values of the options. */
static pj_status configure(pj_job *job, const char *const *values, pj_error *error)
{
	if (!values[0]) {
		snprintf(error->reason, sizeof error->reason, "--word is missing");
		return PJ_ERR_USAGE;
	}
	job->mapper.arg = (void *)values[0];
	return PJ_OK;
}

PJ_PROGRAM(
	.name      = "matching_lines",
	.summary   = "print the lines that hold a word",
	.mapper    = { .line = match },
	.output    = { .columns = PJ_KEY_ONLY },
	.map_only  = true,
	.options   = options,
	.configure = configure,
)
