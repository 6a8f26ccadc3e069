/*
 * run.h: the run, pairs of one attempt for every bucket, as bytes in a file.
 *
 *     blob   +-----------+-----------+-----+-------------+--------+
 *            | segment 0 | segment 1 | ... | index       | footer |
 *            +-----------+-----------+-----+-------------+--------+
 *     segment      records, one after another (record.h): raw, or packed in blocks (block.h)
 *     index        for each bucket: offset in the blob, bytes, pairs, packed, longest, checksum, guard (7 x 64 bits)
 *     footer       magic, version, buckets, offset of the index, bytes of the blob, pairs, checksum (8 x 64 bits)
 *
 * All numbers are 64 bits, little endian. Offsets count from the blob's start, never are there pointers: a blob means
 * the same in a memory file, in a spill and in a message. Blobs of one attempt lie one behind another, and are found
 * from the end through their footers. In memory segments are raw, for speed; what goes to disk is packed (packer.h).
 */
#ifndef PJ_RUN_RUN_H
#define PJ_RUN_RUN_H

#include <papjuice/bytes.h>

#include "base/error.h"

/* The name that errors give to a file of runs. */
#define PJ__RUN_FILE "stored run"

enum { PJ__FOOTER_BYTES = 64 }; /* no blob is shorter */

typedef struct pj__segment {
	uint64_t offset, bytes, pairs; /* `bytes`: of the records, however they are stored */
	uint64_t packed;               /* stored bytes, in blocks; 0: the records are stored as they are */
	uint64_t longest;              /* bytes of the longest record; 0: not known */
	uint64_t checksum;             /* of the records; packed: of the last block, which stands for all */
	uint64_t guard;                /* checksum of the six above */
} pj__segment;

/* A blob in a file. */
typedef struct pj__run {
	int fd;
	uint64_t offset, bytes; /* of the blob in the file */
	uint64_t index;         /* of the index, in the file */
	uint64_t pairs;
	uint32_t buckets;
} pj__run;

/* The checksum of a raw segment whose bytes are set. */
uint64_t pj__segment_checksum(const pj__segment *segment, const void *data);

/*
 * Writes index and footer behind the last segment of a blob that begins at `start` of the file and whose segments are
 * set, ascending; their guards are set here. *ret_end is where the blob ends.
 */
PJ_MUST_USE pj_status pj__run_finish(int fd, uint64_t start, pj__segment *segments, uint32_t buckets, uint64_t *ret_end,
				     pj_error *error);

/* Opens the blob that ends at `end` of the file. PJ_ERR_CORRUPT: there is none, or for another number of buckets. */
PJ_MUST_USE pj_status pj__run_open(pj__run *run, int fd, uint64_t end, uint32_t buckets, pj_error *error);

/* Reads `count` index entries from `first` on, and checks each, so that memory for it may be had. */
PJ_MUST_USE pj_status pj__run_segments(const pj__run *run, uint32_t first, uint32_t count, pj__segment *segments,
				       pj_error *error);

/* Reads a whole segment to `to` (segment->bytes), unpacked, and checks it. */
PJ_MUST_USE pj_status pj__run_read(const pj__run *run, const pj__segment *segment, char *to, pj_error *error);

/* Fills `error` for a segment or record that is not what was written. */
pj_status pj__run_corrupt(const pj__run *run, uint64_t offset, const char *what, pj_error *error);

#endif
