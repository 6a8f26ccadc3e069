/*
 * talk.h: what a program reads and writes. Encodes records and pairs for its standard input, and decodes pairs from its
 * standard output: separators, binary forms, and the Java classes of keys and values where they are visible.
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

/* A record. With `has_offset` its key is the offset of its line: see pj__record_offset. */
typedef struct pj__record {
	bool has_offset;
	pj_bytes key, value;
} pj__record;

static inline uint64_t pj__record_offset(const pj_task *task, const pj__record *record)
{
	return pj_task_place(task, record->value.ptr).offset;
}

/*
 * Calls `each` for every record of an input line (a CR within it separates records) until a call fails. `line` must
 * point into the task's text, so that pj_task_place can find it.
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
