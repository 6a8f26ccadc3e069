/*
 * spool.h: streams, read once by the leader into memory files or to disk, and cut into splits as they come.
 *
 * A split of a stream can be handed out as soon as its last line is complete: when a newline at or behind its last byte
 * has been read, or the end. A stream that begins with the magic number of a compressed format is decoded on the way:
 * its offsets and splits are those of the text. What no unfinished task needs any more is given back.
 */
#ifndef PJ_INPUT_SPOOL_H
#define PJ_INPUT_SPOOL_H

#include "input/reader.h"

typedef struct pj__spool {
	pj__sources *sources;
	uint64_t split_bytes;
	size_t at; /* the source that is being read; sources->count: all are */
	int fd;    /* its descriptor, or -1 */
	bool owns_fd;
	bool on_disk;                /* where the files are */
	uint64_t read;               /* bytes of its text */
	uint64_t raw;                /* bytes of it, as it comes */
	uint64_t start;              /* where its next split begins */
	uint64_t lines, line_offset; /* newlines that are counted, and how far */
	uint64_t lines_before;       /* of these, before start - 1 */
	uint64_t total;              /* bytes of all streams */
	char *buffer;
	/* What may be set after init: memory that a decoder may take, bytes that a decoded line may have (0: any). */
	uint64_t decoder_most, longest;
	uint64_t line; /* where the line begins that has not ended */
	/* of the stream that is being read */
	bool is_known;        /* whether it is compressed: */
	size_t head;          /* until then, bytes in the buffer */
	pj__decoder *decoder; /* or NULL */
	pj__flow flow;        /* from `packed` */
	char *packed;
	bool goes_on; /* the decoder can tell more without being given anything */
	bool decoded; /* all of it */
} pj__spool;

/* Takes a split that is ready. */
typedef pj_status pj__spool_take(void *arg, pj__split split, pj_error *error);

/*
 * Makes the files, which workers forked later inherit: in memory, or, unless `temp` is NULL, in that folder. Without
 * streams this does nothing.
 */
PJ_MUST_USE pj_status pj__spool_init(pj__spool *spool, pj__sources *sources, uint64_t split_bytes, const char *temp,
				     pj_error *error);
void pj__spool_fini(pj__spool *spool);

static inline bool pj__spool_ended(const pj__spool *spool)
{
	return spool->at >= spool->sources->count;
}

/* The descriptor to wait for before the next step; -1: none, step at once. */
int pj__spool_descriptor(const pj__spool *spool);

/* Waits for it. False: nothing came in time, or a signal did. (A pipe may have no writer yet: it must not be read.) */
bool pj__spool_wait(const pj__spool *spool, int timeout_ms);

/* Reads some more and hands out what splits are ready. Blocks, at least a while, if nothing can be read yet. */
PJ_MUST_USE pj_status pj__spool_step(pj__spool *spool, pj__spool_take *take, void *arg, pj_error *error);

/* Gives back the space of a stream's bytes before `offset`. */
void pj__spool_release(pj__spool *spool, uint32_t source, uint64_t offset);

#endif
