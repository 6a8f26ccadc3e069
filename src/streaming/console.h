/*
 * console.h: what `papjuice streaming` prints, in Hadoop's form: records "DATE TIME LEVEL logger: text" on standard
 * error.
 */
#ifndef PJ_STREAMING_CONSOLE_H
#define PJ_STREAMING_CONSOLE_H

#include "streaming/job.h"

/* Prints a record; `level` is "INFO", "WARN" or "ERROR", `logger` "mapreduce.Job" or such. */
void pj__console_log(const char *level, const char *logger, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Prints an error in as many records as it has lines. */
void pj__console_error(const pj_error *error, const char *logger);

/*
 * The hint alone, if there is one, in the words of this command line: a hint that names an option of another command is
 * left out.
 */
void pj__console_hint(const pj_error *error, const char *logger);

/* Prints the usage. */
void pj__console_usage(void);

/* How far a job is, when that has changed. A pj_options.progress function; `arg` is a struct pj__shown. */
typedef struct pj__shown {
	int map, reduce; /* per cent; -1: not shown yet */
	bool has_reduce;
} pj__shown;
void pj__console_progress(void *arg, const pj_progress *progress);

/* Prints the counters of a run that has ended. */
void pj__console_counters(const pj_result *result);

#endif
