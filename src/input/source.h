/*
 * source.h: the inputs of a job as a list of things that can be read, in plan order.
 *
 * A source is a file, bytes in memory, or a stream. Files and memory have a size and are read at any offset, by any
 * worker. A stream (a pipe, a device, a user's function) is read once, by the leader, into a spool (spool.h), from
 * which the workers take it.
 */
#ifndef PJ_INPUT_SOURCE_H
#define PJ_INPUT_SOURCE_H

#include <papjuice/job.h>
#include <sys/types.h>
#include <time.h>

#include "base/task.h"

typedef enum pj__source_kind { PJ__SOURCE_FILE, PJ__SOURCE_MEMORY, PJ__SOURCE_STREAM } pj__source_kind;

typedef struct pj__source {
	pj__source_kind kind;
	char *name;        /* path, or "standard input", "memory:0", "function" */
	int fd;            /* FILE, STREAM: descriptor that is used (standard input is 0); -1: opened by name */
	uint64_t base;     /* FILE: bytes before this are not input (standard input may begin anywhere) */
	uint64_t size;     /* planned bytes; STREAM: what was read so far */
	uint64_t position; /* FILE: its place in the view of all inputs (view.h), if there is one */
	pj_bytes memory;
	dev_t device; /* FILE: what was planned, to notice another or changed file */
	ino_t inode;
	struct timespec modified;
	pj_status (*read)(void *arg, char *to, size_t size, size_t *got); /* STREAM by a function */
	void *arg;
	int spool; /* STREAM: the memory file into which the leader reads it (spool.h) */
} pj__source;

typedef struct pj__sources {
	pj__source *at;
	size_t count, capacity;
	uint64_t bytes; /* of files and memory */
	bool has_stream;
} pj__sources;

/*
 * Expands an input's paths (folders, globs, lists), memory and function to sources. *sources is set to an empty list
 * first; pj__sources_fini gives it back, also after a failure.
 */
PJ_MUST_USE pj_status pj__sources_expand(pj__sources *sources, const pj_input *input, pj_error *error);
void pj__sources_fini(pj__sources *sources);

/* Lets a task tell the names of the inputs; the list must outlive it. */
void pj__sources_attach(const pj__sources *sources, pj__task *task);

/*
 * Looks at every file again after it was read. One that is shorter, rewritten or replaced is PJ_ERR_CHANGED; one that
 * has only grown is counted in *ret_grown.
 */
PJ_MUST_USE pj_status pj__sources_check(const pj__sources *sources, uint64_t *ret_grown, pj_error *error);

/*
 * Refuses compressed bytes by the magic number at the start of an input: nothing here decodes them, and they must never
 * be taken for text.
 */
PJ_MUST_USE pj_status pj__refuse_compressed(const char *name, const char *start, size_t size, pj_error *error);

#endif
