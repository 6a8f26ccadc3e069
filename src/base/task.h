/*
 * task.h: the inside of a pj_task.
 *
 * Three rooms meet in it and know nothing of each other: the reader (input) says where the text lies, the scanner
 * (input) fills the indexes that the face reads, and the code that takes the pairs (shuffle, job, engine) attaches a
 * target. The first failure of a task is kept in `error`.
 *
 *     pj_emit_i64, short key    a slot of the batch; when that is full: target->batch
 *     pj_emit_i64, long key     target->number
 *     pj_emit                   what is in the batch first, then target->pair
 *     pj_emit_pieces            the same with target->pieces, or, put together, with target->pair
 */
#ifndef PJ_BASE_TASK_H
#define PJ_BASE_TASK_H

#include <papjuice/reducer.h>
#include <papjuice/task.h>

#include <stdbool.h>

#include "base/error.h"
#include "base/tally.h"

enum {
	PJ__BATCH = 128,        /* slots: enough to hide memory behind prefetching (performance.md, 4) */
	PJ__WINDOW_BYTES = 4096 /* text indexed at a time: text and index stay in the first cache */
};

/* Positions found in one window; room for every byte being one, and for a vector's worth of overshoot. */
typedef struct pj__index {
	uint32_t at[PJ__WINDOW_BYTES + 128];
	const char *next; /* the next window starts here */
	const char *open; /* words: start of a word that goes on behind the window, or NULL */
} pj__index;

/* What a task is a part of: a program is told (papjuice/command.h, pj_attempt). */
typedef struct pj__assignment {
	unsigned attempt;
	bool is_sample;
	uint64_t map_tasks, parts;
	const char *file; /* of its first split ... */
	uint64_t start, length;
} pj__assignment;

typedef struct pj__task pj__task;

/*
 * Where the pairs of a task go: one constant of each kind. The functions find what is theirs in task->taker.
 */
typedef struct pj__target {
	void (*pair)(pj__task *task, pj_bytes key, pj_bytes value);
	/* A value in pieces; NULL: it is put together, and goes to `pair`. */
	void (*pieces)(pj__task *task, pj_bytes key, pj_next_piece *next, void *arg);
	/* The slots that are filled, and a number whose key is too long for one; NULL: decimal text, to `pair`. */
	void (*batch)(pj_task *face);
	void (*number)(pj_task *face, pj_bytes key, uint64_t value);
} pj__target;

struct pj__task {
	pj_task face; /* first: a pj_task * is a pj__task * */
	_Alignas(64) pj_slot slots[PJ__BATCH];
	pj__index words, lines;
	pj__index cuts, cut_lines; /* of pairs; there is no other window than the one at hand */
	const void *scan_kernel;   /* the scanner's loops */

	const pj__target *target;
	void *taker;    /* the object behind the target */
	bool in_pieces; /* a value's pieces are being taken: nothing may be emitted meanwhile */

	uint64_t index;
	pj__assignment part_of;
	pj__tally *tally; /* what was counted since it was told; NULL: nothing. Owned */
	pj_bytes params;
	const char *file;                  /* the input of `face.text` ... */
	uint64_t file_offset;              /* ... and where in it the text begins */
	uint64_t input;                    /* its number */
	uint64_t position;                 /* of the text in the view of all inputs (input/view.h) */
	void (*text_ends)(pj__task *task); /* called before the text is gone; NULL: nobody needs to know */
	uint64_t first_line;               /* number of the text's first line; 0: lines are not counted */
	const char *line_at;               /* an address in the text ... */
	uint64_t line_number;              /* ... and the number of its line */
	uint64_t (*count_newlines)(const char *at, const char *end);
	const void *inputs; /* those of the run, and how one is called */
	const char *(*input_name)(const void *inputs, uint64_t number);
	volatile uint64_t *progress; /* counted up whenever something was done; never NULL */
	volatile uint64_t *reached;  /* how far in the file the scanner has read; never NULL */
	uint64_t nobody_watches;     /* what these point to when nobody does */

	char *long_scratch; /* a transformed key that is too long for the face */
	size_t long_scratch_bytes;

	pj_status status; /* the first failure, or PJ_OK */
	pj_error error;
};

/* Zeroed memory for a struct that holds a task, aligned for it; to be freed. NULL: there is none. */
void *pj__task_holder(size_t bytes);

/* Makes an empty task whose batch is empty and whose text is none. `number` is what its slots hold. */
void pj__task_init(pj__task *task, pj_number number);

/* Lets the pairs go to a target, whose functions find `taker` in the task. Others may be attached later. */
void pj__task_attach(pj__task *task, const pj__target *target, void *taker);

/* Gives back what the task has got; the task itself is the caller's. */
void pj__task_fini(pj__task *task);

/* Sets the text that the mapper is about to get: 64 bytes behind it must be readable. */
void pj__task_set_text(pj__task *task, pj_bytes text, const char *file, uint64_t file_offset);

/* Tells the number of the first line of the text that was set, from 1. */
void pj__task_set_line(pj__task *task, uint64_t number);

/* Keeps the first failure of the task. `error` may be NULL (the status says it all). */
void pj__task_failed(pj__task *task, pj_status status, const pj_error *error);

/* The task's tally, to add to; NULL: there is no memory, and the task has failed. */
pj__tally *pj__task_tally(pj__task *task);

/* Hands what is in the batch to the taker. */
static inline void pj__task_flush(pj__task *task)
{
	if (task->face.next_slot != task->slots)
		task->face.batch_full(&task->face);
}

/* How many bytes can be read from an address on, as far as the task knows: 0 if it is not in its text. */
static inline size_t pj__readable_bytes(const pj_task *face, const char *at)
{
	const size_t before = (size_t)((uintptr_t)at - (uintptr_t)face->readable);
	return before < face->readable_len ? face->readable_len - before + 32 : 0;
}

static inline pj_bytes pj__slot_key(const pj_slot *slot)
{
	return (pj_bytes){slot->key, (size_t)slot->key_tag - 1};
}

/* The slots that are filled, and their emptying. */
static inline size_t pj__task_batch(const pj__task *task)
{
	return (size_t)(task->face.next_slot - task->slots);
}

static inline void pj__task_empty_batch(pj__task *task)
{
	task->face.next_slot = task->slots;
	++*task->progress;
}

/*
 * The values of a key, wherever they come from: `next` takes the next one, `key` tells the key of the one at hand. It
 * is the first field of what else the source needs to know.
 */
struct pj_values {
	int (*next)(struct pj_values *values, pj_bytes *ret_value);
	pj__task *task; /* to which a failure is told */
	pj_bytes (*key)(const struct pj_values *values);
};

#endif
