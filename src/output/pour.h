/*
 * pour.h: writing results into a sink from one process, in order: what the leader and the simple engine do.
 */
#ifndef PJ_OUTPUT_POUR_H
#define PJ_OUTPUT_POUR_H

#include "output/part.h"
#include "output/sink.h"

typedef struct pj__pour {
	pj__sink *sink;
	pj__part_file file; /* FOLDER: the part file at hand */
	uint64_t bytes;     /* written so far, as they were before they were compressed */
} pj__pour;

void pj__pour_init(pj__pour *pour, pj__sink *sink);

/* Begins a part: FOLDER: its file; else nothing. */
PJ_MUST_USE pj_status pj__pour_begin(pj__pour *pour, uint64_t part, pj_error *error);

/* Writes what the part holds so far, and empties it. */
PJ_MUST_USE pj_status pj__pour_write(pj__pour *pour, pj__part *part, pj_error *error);

/* Ends a part; after a failure, `status`, which is returned then, it only closes the file. */
PJ_MUST_USE pj_status pj__pour_end(pj__pour *pour, pj_status status, pj_error *error);

#endif
