/*
 * unpacker.h: the raw bytes of a segment, raw or packed, in pieces as large as the caller likes.
 *
 * In order: init, read until unpacker->read is segment.bytes, fini. Damage is told by the read that comes upon it: in a
 * packed segment at the block that has it, in a raw one at the end, when its checksum can be judged.
 */
#ifndef PJ_RUN_UNPACKER_H
#define PJ_RUN_UNPACKER_H

#include "run/block.h"
#include "run/run.h"

enum {
	/* A packed segment is read through this much memory, which readers may share. */
	PJ__UNPACKER_SCRATCH = PJ__BLOCK_BYTES + (int)sizeof(pj__block),
};

typedef struct pj__unpacker {
	pj__run run;
	pj__segment segment;
	uint64_t read;     /* raw bytes handed out */
	uint64_t taken;    /* stored bytes read from the file */
	char *scratch;     /* not ours */
	pj__block next;    /* of a packed segment: the head of the next block ... */
	uint64_t checksum; /* ... and the checksum of the one before */
	void *hash;        /* of a raw segment that is read in more than one piece: an XXH3_state_t */
} pj__unpacker;

/*
 * Begins to read a segment of a run whose file stays open. `scratch` has PJ__UNPACKER_SCRATCH bytes, belongs to the
 * caller, and holds nothing between two calls; a raw segment needs none (NULL).
 */
void pj__unpacker_init(pj__unpacker *unpacker, const pj__run *run, const pj__segment *segment, char *scratch);
void pj__unpacker_fini(pj__unpacker *unpacker);

/* The room that a read needs at least: a packed segment comes in whole blocks. 0: there is nothing left. */
size_t pj__unpacker_least(const pj__unpacker *unpacker);

/*
 * Reads on to `to`, as much as fits: all `room` bytes of a raw segment, some blocks of a packed one, or what is left.
 * *ret_got is 0 only if nothing is left.
 */
PJ_MUST_USE pj_status pj__unpacker_read(pj__unpacker *unpacker, char *to, size_t room, size_t *ret_got,
					pj_error *error);

#endif
