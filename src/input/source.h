/*
 * source.h: the inputs of a job as a list of things that can be read, in plan order.
 *
 * A source is a file, bytes in memory, or a stream. Files and memory have a size and are read at any offset, by any
 * worker. A stream (a pipe, a device, a user's function) is read once, by the leader, into a spool (spool.h), from
 * which the workers take it.
 *
 * A file or memory that begins with the magic number of a compressed format is decoded by who reads it. Its size and
 * the borders of its splits are those of the compressed bytes (codec.h: places), what is read of it is text.
 */
#ifndef PJ_INPUT_SOURCE_H
#define PJ_INPUT_SOURCE_H

#include <papjuice/job.h>
#include <sys/types.h>
#include <time.h>

#include "base/task.h"
#include "codec/codec.h"
#include "codec/extent.h"

typedef enum pj__source_kind { PJ__SOURCE_FILE, PJ__SOURCE_MEMORY, PJ__SOURCE_STREAM } pj__source_kind;

typedef struct pj__source {
	pj__source_kind kind;
	char *name; /* path, or "standard input", "memory:0", "function" */
	/* FILE, STREAM: descriptor that is used; -1: opened by name. FILE: a copy of standard input, owned. */
	int fd;
	bool standard_input;
	uint64_t base;     /* FILE: bytes before this are not input (standard input may begin anywhere) */
	uint64_t size;     /* planned bytes; STREAM: what was read so far */
	uint64_t position; /* FILE: its place in the view of all inputs (view.h), if there is one */
	pj_bytes memory;
	pj__codec codec; /* FILE, MEMORY; streams are looked at when they are spooled */
	dev_t device;    /* FILE: what was planned, to notice another or changed file */
	ino_t inode;
	struct timespec modified;
	pj_status (*read)(void *arg, char *to, size_t size, size_t *got); /* STREAM by a function */
	void *arg;
	int spool; /* STREAM: the memory file into which the leader reads it (spool.h) */
} pj__source;

typedef struct pj__sources {
	pj__source *at;
	size_t count, capacity;
	uint64_t bytes;         /* of files and memory */
	uint64_t text_bytes;    /* the same, with a guess of what compressed ones decode to */
	uint64_t decoder_bytes; /* memory that one decoder may take: as the largest needs; 0: none is compressed */
	int folder;             /* from which names count, when the run began; 0: it is not known */
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

/* Is a source compressed, and decoded by who reads it? */
static inline bool pj__source_is_packed(const pj__source *source)
{
	return source->kind != PJ__SOURCE_STREAM && source->codec != PJ__CODEC_NONE;
}

/* The place behind all of a source that does not grow: in bits where it is cut between bits. */
static inline uint64_t pj__source_end(const pj__source *source)
{
	return source->size * (pj__source_is_packed(source) && source->codec == PJ__CODEC_BZIP2 ? 8 : 1);
}

/* The bytes of a file, open as `fd`, or memory, as its decoder reads them. */
pj__extent pj__source_extent(const pj__source *source, int fd);

/* Opens a file by its name, unless it has a descriptor. *ret_owned: it is to be closed. */
PJ_MUST_USE pj_status pj__source_open(const pj__sources *sources, const pj__source *source, int *ret_fd,
				      bool *ret_owned, pj_error *error);

#endif
