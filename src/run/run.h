/*
 * run.h: the run, pairs of one attempt for every bucket, as bytes in a file.
 *
 *     blob   +-----------+-----------+-----+-------------+--------+
 *            | segment 0 | segment 1 | ... | index       | footer |
 *            +-----------+-----------+-----+-------------+--------+
 *     segment      records, one after another (record.h)
 *     index        for each bucket: offset in the blob, bytes, pairs, checksum (4 x 64 bits)
 *     footer       magic, version, buckets, offset of the index, bytes of the blob, pairs, checksum (8 x 64 bits)
 *
 * All numbers are 64 bits, little endian. A segment's checksum is XXH3-64 of its bytes, seeded with its offset, bytes
 * and pairs, so that it guards the index entry too. Offsets count from the blob's start, never are there pointers: a
 * blob means the same in a memory file, in a spill and in a message. Blobs of one attempt lie one behind another, and
 * are found from the end through their footers.
 */
#ifndef PJ_RUN_RUN_H
#define PJ_RUN_RUN_H

#include <papjuice/bytes.h>

#include "base/error.h"

typedef struct pj__segment {
	uint64_t offset, bytes, pairs, checksum;
} pj__segment;

/* A blob in a file. */
typedef struct pj__run {
	int fd;
	uint64_t offset, bytes; /* of the blob in the file */
	uint64_t index;         /* of the index, in the file */
	uint64_t pairs;
	uint32_t buckets;
} pj__run;

/* The checksum of a segment whose offset, bytes and pairs are set. */
uint64_t pj__segment_checksum(const pj__segment *segment, const void *data);

/*
 * Writes index and footer behind the last segment of a blob that begins at `start` of the file and whose segments are
 * set, ascending. *ret_end is where the blob ends.
 */
PJ_MUST_USE pj_status pj__run_finish(int fd, uint64_t start, pj__segment *segments, uint32_t buckets, uint64_t *ret_end,
				     pj_error *error);

/* Opens the blob that ends at `end` of the file. PJ_ERR_CORRUPT: there is none, or for another number of buckets. */
PJ_MUST_USE pj_status pj__run_open(pj__run *run, int fd, uint64_t end, uint32_t buckets, pj_error *error);

/* Reads `count` index entries from `first` on, and checks that each lies within the blob. */
PJ_MUST_USE pj_status pj__run_segments(const pj__run *run, uint32_t first, uint32_t count, pj__segment *segments,
				       pj_error *error);

/* Reads a whole segment to `to` (segment->bytes) and checks it. */
PJ_MUST_USE pj_status pj__run_read(const pj__run *run, const pj__segment *segment, char *to, pj_error *error);

/* Fills `error` for a segment or record that is not what was written. */
pj_status pj__run_corrupt(const pj__run *run, uint64_t offset, const char *what, pj_error *error);

#endif
