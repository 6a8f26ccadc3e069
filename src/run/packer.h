/*
 * packer.h: writes runs for the disk: segments packed in blocks, one write after another, each a large piece.
 *
 * A packer is a buffer of PJ__PACKER_BYTES that lives from run to run. It writes either a whole blob whose segments
 * are at hand (put_blob), or one sorted segment, pair by pair, whose size nobody knows yet (begin, add ..., finish).
 * After a failure the file has some bytes behind `start` that nobody will look for, and the packer may begin anew.
 */
#ifndef PJ_RUN_PACKER_H
#define PJ_RUN_PACKER_H

#include "run/block.h"
#include "run/run.h"

enum {
	PJ__PACKER_PIECE = 256 << 10, /* bytes of a write, at least, but for the last one of a run */
	PJ__PACKER_BYTES = PJ__PACKER_PIECE + PJ__BLOCK_ROOM + PJ__BLOCK_BYTES,
};

typedef struct pj__packer {
	char *buffer;  /* what is to be written, and behind it the raw bytes of the block at hand */
	size_t held;   /* bytes to be written ... */
	uint64_t at;   /* ... to here */
	size_t filled; /* raw bytes */
	int fd;
	uint64_t start;      /* of the blob in the file */
	pj__segment segment; /* the one at hand */
} pj__packer;

void pj__packer_init(pj__packer *packer);
void pj__packer_fini(pj__packer *packer);

/*
 * Packs and writes a blob to `start` of the file. Its segments are raw at `data` (between them there may be gaps), and
 * their offset, bytes, pairs and longest are set; they become those of the packed blob, whose end is *ret_end. On
 * failure they are not to be used.
 */
PJ_MUST_USE pj_status pj__packer_put_blob(pj__packer *packer, int fd, uint64_t start, const char *data,
					  pj__segment *segments, uint32_t buckets, uint64_t *ret_end, pj_error *error);

/* Packs and writes a blob of one record, in bucket `bucket`; segments as above, but there is no need to set them. */
PJ_MUST_USE pj_status pj__packer_put_record(pj__packer *packer, int fd, uint64_t start, pj_bytes key, pj_bytes value,
					    pj__segment *segments, uint32_t bucket, uint32_t buckets, uint64_t *ret_end,
					    pj_error *error);

/* Begins a run of one segment at `start` of the file. */
PJ_MUST_USE pj_status pj__packer_begin(pj__packer *packer, int fd, uint64_t start, pj_error *error);

/* Adds a pair, whose key is not before that of the last one. */
PJ_MUST_USE pj_status pj__packer_add(pj__packer *packer, pj_bytes key, pj_bytes value, pj_error *error);

/* Writes what is left. The run is open in *ret_run, its segment is *ret_segment, and run->offset + bytes is its end. */
PJ_MUST_USE pj_status pj__packer_finish(pj__packer *packer, pj__run *ret_run, pj__segment *ret_segment,
					pj_error *error);

#endif
