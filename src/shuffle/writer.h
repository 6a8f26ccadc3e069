/*
 * writer.h: what takes the pairs that a mapper emits, and writes them as runs.
 *
 * There are two: the combiner (combine.h), for exact aggregates, which keeps a table over many tasks; and the gatherer
 * (gather.c), for everything else, which keeps the pairs of each task. Both fill the task's hooks, write blobs behind
 * one another to the worker's store, and know nothing of tasks being published: that is the leader's.
 */
#ifndef PJ_SHUFFLE_WRITER_H
#define PJ_SHUFFLE_WRITER_H

#include "base/task.h"
#include "shuffle/partition.h"
#include "shuffle/store.h"
#include "shuffle/table.h"
#include "shuffle/window.h"

typedef struct pj__writer pj__writer;

struct pj__writer {
	pj__task *task;
	const pj__partition *partition;
	pj__store *store;              /* where blobs go */
	uint64_t pairs;                /* emitted since the last reset */
	uint64_t run_pairs, run_bytes; /* written since then */
	/* Writes what is held as a blob, if there is anything. A failure is told to the task. */
	void (*flush)(pj__writer *writer);
	/* The same, and gives back what memory can be done without for a while. */
	void (*relieve)(pj__writer *writer);
	/* Forgets what is held and begins to count anew. */
	void (*reset)(pj__writer *writer);
	void (*destroy)(pj__writer *writer);
};

/*
 * A writer for an exact aggregate, with a table of its states that is kept on `terms`. `partition` may be set later,
 * before the first flush.
 */
PJ_MUST_USE pj_status pj__combiner_create(pj__task *task, const pj_aggregate *aggregate, void *arg, pj__store *store,
					  const pj__table_terms *terms, pj__writer **ret_writer, pj_error *error);

/*
 * A writer that keeps every pair. `aggregate` (NULL: none) decides how numbers are stored: as they are for one that
 * takes numbers, else as text. It holds about `hold_bytes` before it writes a blob by itself.
 */
PJ_MUST_USE pj_status pj__gatherer_create(pj__task *task, const pj_aggregate *aggregate, pj__store *store,
					  size_t hold_bytes, pj__writer **ret_writer, pj_error *error);

/*
 * Gives a gatherer that holds nothing the reducer's combiner, for keys in the order of `keys` (NULL: bytes), which must
 * live as long as `reducer`'s arg. It takes some of the memory that the gatherer may use.
 */
PJ_MUST_USE pj_status pj__gatherer_combine(pj__writer *writer, const pj_reducer *reducer, const pj_keys *keys,
					   pj_error *error);

/*
 * Lets a gatherer without an aggregate drop values, and store keys of the task's text as references (reference.h); the
 * task's position and text_ends must be served.
 */
void pj__gatherer_refer(pj__writer *writer);

/*
 * Writes a blob's data, `bytes` of it, whose segments are set but for their checksums (between them there may be gaps),
 * to the store, and counts it. For the two writers.
 */
PJ_MUST_USE pj_status pj__writer_put_blob(pj__writer *writer, const char *data, size_t bytes, pj__segment *segments,
					  pj_error *error);

/* The same for data in pieces (store.h). */
PJ_MUST_USE pj_status pj__writer_put_pieces(pj__writer *writer, struct iovec *pieces, size_t count,
					    pj__segment *segments, pj_error *error);

/* Writes a record that is too long to be held, and counts it. `segments`: room for those of all buckets. */
PJ_MUST_USE pj_status pj__writer_put_record(pj__writer *writer, pj_bytes key, pj_bytes value, pj__segment *segments,
					    pj_error *error);

#endif
