/*
 * option.h: what the built-in jobs have in common when they read the values of their options.
 */
#ifndef PJ_JOBS_OPTION_H
#define PJ_JOBS_OPTION_H

#include <papjuice/job.h>

enum { PJ__COLUMN_BITS = 24, PJ__COLUMN_MOST = (1 << PJ__COLUMN_BITS) - 1 };

/* Says that the value of an option is bad, and what a good one is. Returns PJ_ERR_USAGE. */
pj_status pj__option_wrong(pj_error *error, const char *option, const char *value, const char *good);

/* Reports that memory for the job's own data ran out. Returns PJ_ERR_MEMORY. */
pj_status pj__option_no_memory(pj_error *error);

/* Reads the number of a column, from 1. False: it is none, or larger than any. */
bool pj__option_column(const char *value, unsigned *ret_column);

/* Reads one byte; "\t" and "\0" are written out, as people type them. False: it is none, or ends lines. */
bool pj__option_separator(const char *value, char *ret_separator);

/* Takes the next of several values that were joined (pj_job_option.many) from the front of *rest, which becomes NULL
 * behind the last. False: there was none. */
static inline bool pj__option_next(const char **rest, pj_bytes *ret_value)
{
	if (!*rest)
		return false;
	const char *const newline = strchr(*rest, '\n');
	*ret_value = (pj_bytes){*rest, newline ? (size_t)(newline - *rest) : strlen(*rest)};
	*rest = newline ? newline + 1 : NULL;
	return true;
}

#endif
