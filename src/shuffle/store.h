/*
 * store.h: where a worker's runs and parts lie: in its memory file while its lease lasts, then on disk.
 *
 * Both files are written behind what is there, with pwrite, and read with pread by any process that has inherited them.
 * In memory runs are raw; on disk they are packed (run/packer.h). A third file, the scratch, is the worker's own: what
 * does not fit into memory while one bucket is reduced.
 */
#ifndef PJ_SHUFFLE_STORE_H
#define PJ_SHUFFLE_STORE_H

#include <stdbool.h>
#include <sys/uio.h>

#include "run/packer.h"

/* The name that errors give to a file of parts. */
#define PJ__PART_FILE "parked part"

enum { PJ__IN_MEMORY, PJ__ON_DISK, PJ__STORES };

typedef struct pj__store {
	int file[PJ__STORES];      /* inherited; on disk: -1 if there is none, see `temp` */
	uint64_t end[PJ__STORES];  /* where the next bytes go */
	uint64_t runs[PJ__STORES]; /* blobs written since the last publication */
	uint64_t memory_most;      /* lease: the memory file may be as long as this */
	const char *temp;          /* folder of the scratch, and of the file on disk */
	int scratch;               /* -1: not opened yet */
	uint64_t scratch_end;
	uint64_t spilled; /* bytes written to disk, the scratch included */
	uint64_t passes;  /* most passes that a bucket's merge took */
	pid_t owner;      /* the process that writes */
	pj__packer packer;
} pj__store;

/* Makes a store of inherited files, whose first `ends` bytes are published. */
void pj__store_init(pj__store *store, const int *files, const uint64_t *ends, uint64_t memory_most, const char *temp);
void pj__store_fini(pj__store *store);

/*
 * Writes a blob's data, whose segments are set but for their checksums (between them there may be gaps), and closes the
 * blob. *ret_bytes: how many it takes.
 */
PJ_MUST_USE pj_status pj__store_blob(pj__store *store, const char *data, size_t bytes, pj__segment *segments,
				     uint32_t buckets, uint64_t *ret_bytes, pj_error *error);

/* Does a blob of so many bytes go to memory? */
bool pj__store_is_in_memory(const pj__store *store, uint64_t bytes, uint32_t buckets);

/*
 * The same as pj__store_blob for one that goes to memory, whose data is in pieces, without gaps: they are changed. A
 * segment may be in several pieces, no piece in several segments.
 */
PJ_MUST_USE pj_status pj__store_pieces(pj__store *store, struct iovec *pieces, size_t count, pj__segment *segments,
				       uint32_t buckets, uint64_t *ret_bytes, pj_error *error);

/*
 * Writes a blob of one record to disk, with no copy of it: for a long one. `segments` is room for those of all buckets.
 */
PJ_MUST_USE pj_status pj__store_record(pj__store *store, pj_bytes key, pj_bytes value, pj__segment *segments,
				       uint32_t bucket, uint32_t buckets, uint64_t *ret_bytes, pj_error *error);

/*
 * Writes bytes for the leader, in memory if they fit: *ret_where, at *ret_offset. `stays`: they are needed until the
 * end of the run; else only until the next ones are parked.
 */
PJ_MUST_USE pj_status pj__store_park(pj__store *store, pj_bytes bytes, bool stays, uint32_t *ret_where,
				     uint64_t *ret_offset, pj_error *error);

/* Writes bytes behind what is on disk. What several calls write lies together, if nothing else is written between. */
PJ_MUST_USE pj_status pj__store_on_disk(pj__store *store, pj_bytes bytes, uint64_t *ret_offset, pj_error *error);

/* Opens the scratch, if it is not open, and empties it. */
PJ_MUST_USE pj_status pj__store_scratch(pj__store *store, pj_error *error);

#endif
