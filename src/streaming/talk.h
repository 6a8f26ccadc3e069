/*
 * talk.h: how records become what a program reads, and what it writes becomes pairs: separators, binary forms, Java's
 * classes of keys and values as far as they show.
 */
#ifndef PJ_STREAMING_TALK_H
#define PJ_STREAMING_TALK_H

#include <papjuice/job.h>

#include "streaming/classes.h"
#include "streaming/fields.h"
#include "streaming/typed.h"

/* The records of the input. */
typedef struct pj__records {
	pj__class format; /* PJ__TEXT_INPUT, PJ__KEY_VALUE_INPUT or PJ__NLINE_INPUT */
	char separator;   /* between key and value of PJ__KEY_VALUE_INPUT */
	uint64_t longest; /* longer lines are left out */
} pj__records;

/* A record; the key of a line is its offset, if `has_offset`, which pj__record_offset tells. */
typedef struct pj__record {
	bool has_offset;
	pj_bytes key, value;
} pj__record;

static inline uint64_t pj__record_offset(const pj_task *task, const pj__record *record)
{
	return pj_task_place(task, record->value.ptr).offset;
}

/*
 * Hands on the records of a line of the input, which are several if it holds a CR, to `each`, until that fails. The
 * address of `line` is one that pj_task_place knows.
 */
pj_status pj__records_each(const pj__records *records, const pj_task *task, pj_bytes line,
			   pj_status (*each)(void *arg, pj_task *task, const pj__record *record), void *arg);

/* One program's side, or a native mapper's or reducer's. */
typedef struct pj__talk {
	/* what it reads: a mapper records, the others pairs of the form that the map's output has */
	pj__form in;
	pj_bytes in_separator;
	const pj__records *records;
	bool ignores_key; /* of a record */
	pj__form pairs;
	/* what it writes */
	pj__form out;
	pj_bytes out_separator;
	unsigned key_fields;
	bool is_final; /* it is the output: key, `final_separator`, value become one text */
	pj_bytes final_separator;
	/* memory that is used again */
	pj_text line;
	pj_text *to; /* where a record is being written */
} pj__talk;

/* pj_command.write of a mapper, and of a combiner or reducer; pj_command.read. `arg` is the pj__talk. */
pj_status pj__talk_write_line(void *arg, pj_task *task, pj_bytes key, pj_bytes line, pj_text *to);
pj_status pj__talk_write_pair(void *arg, pj_task *task, pj_bytes key, pj_bytes value, pj_text *to);
pj_status pj__talk_read(void *arg, pj_task *task, pj_bytes bytes, bool is_end, size_t *ret_used);

/* Emits a line as one that a program has written, and a pair of the form `out`. */
void pj__talk_emit_line(pj__talk *talk, pj_task *task, pj_bytes line);
void pj__talk_emit(pj__talk *talk, pj_task *task, pj_bytes key, pj_bytes value);

void pj__talk_fini(pj__talk *talk);

#endif
