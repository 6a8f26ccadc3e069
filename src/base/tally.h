/*
 * tally.h: counts made by programs and user code while a task runs, carried from the task to the result of the run.
 */
#ifndef PJ_BASE_TALLY_H
#define PJ_BASE_TALLY_H

#include <papjuice/command.h>

#include "base/error.h"

typedef struct pj__tally {
	uint64_t programs, peak_bytes; /* programs that ended; the most memory that one had */
	double seconds;                /* their processor time */
	uint64_t lost;                 /* amounts for which there was no counter left */
	size_t count;
	pj_counter counter[PJ_COUNTERS_MAX]; /* by group and name; the last field, as only `count` are sent */
} pj__tally;

/* The bytes of a tally that are in use. */
static inline size_t pj__tally_bytes(const pj__tally *tally)
{
	return offsetof(pj__tally, counter) + tally->count * sizeof *tally->counter;
}

/* Adds to a counter; a sum that does not fit stays at its bound. */
void pj__tally_count(pj__tally *tally, pj_bytes group, pj_bytes name, int64_t amount);

/* Adds all counts of another tally. */
void pj__tally_merge(pj__tally *tally, const pj__tally *other);

/* Adds `other` (NULL: nothing) to *tally, which is allocated when it is NULL; to be freed. */
PJ_MUST_USE pj_status pj__tally_add(pj__tally **tally, const pj__tally *other, pj_error *error);

#endif
