/*
 * part.h: results on their way into an output, as bytes.
 *
 * A part is the output of one or more reduce tasks (or of a map task of a map-only job), whole and in order. Its bytes
 * are lines, or, for an output that is a function, records (run/record.h is for runs; here lengths are 64 bits each).
 */
#ifndef PJ_OUTPUT_PART_H
#define PJ_OUTPUT_PART_H

#include <papjuice/job.h>

#include "base/text.h"

typedef struct pj__part pj__part;

struct pj__part {
	pj_text bytes;
	uint64_t pairs;
	/*
	 * Optional: called when there are `most` bytes, to put them away and empty the text. What fails is for the
	 * callee to remember.
	 */
	void (*overflow)(pj__part *part, void *arg);
	void *arg;
	size_t most;
	bool cuts; /* a long result may be put away in pieces */
	pj_columns columns;
	bool escape;
	bool as_records; /* key length, value length, key, value: for a function, and until the results are in order */
};

/* Appends a result. A lack of memory is remembered in part->bytes.failed. */
void pj__part_add(pj__part *part, pj_bytes key, pj_bytes value);

/* The same for a value in pieces (papjuice/task.h), which is put together only for a part made as records. */
void pj__part_add_pieces(pj__part *part, pj_bytes key, pj_next_piece *next, void *arg);

/* Takes the record at `at`. Returns its end, or NULL if it is not whole before `end`. */
const char *pj__part_take(const char *at, const char *end, pj_bytes *ret_key, pj_bytes *ret_value);

/* How many of the bytes are whole records. */
size_t pj__part_whole(pj_bytes records);

/* Adds all pairs of a part that was made as records. */
PJ_MUST_USE pj_status pj__part_copy(pj__part *to, pj_bytes records, pj_error *error);

/* Hands the pairs of a part that was made as records to a function, one by one. */
PJ_MUST_USE pj_status pj__part_deliver(pj_bytes records, const pj_output *output, pj_error *error);

#endif
