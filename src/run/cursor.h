/*
 * cursor.h: a sorted segment, record after record, on its way into a merge.
 *
 * A cursor reads through a buffer, which holds the record at hand. Where a long record stands next only its beginning
 * is read: the record waits. Whether its key comes before another one can be told nevertheless, for what is missing is
 * read again, block after block; and only the one whose turn has come is loaded, to memory that all cursors share.
 *
 *     buffer    | head | key ...            | ... a part of it: it waits
 *     shared    | key                          | value            | when its turn has come
 *
 * That takes packed segments of which it is known how long their records are, and keys in byte order. The records of
 * others are in the buffer as a whole, whatever it takes.
 */
#ifndef PJ_RUN_CURSOR_H
#define PJ_RUN_CURSOR_H

#include "run/keys.h"
#include "run/unpacker.h"

/* A longer record waits. */
enum { PJ__CURSOR_LONG = PJ__BLOCK_BYTES };

typedef struct pj__cursor {
	uint64_t prefix;     /* of the key, where keys are bytes; else 0 */
	pj_bytes key, value; /* of the record at hand; of one that waits: the beginning of the key */
	bool by_bytes, done;
	bool may_wait, waits;
	size_t key_len, value_len; /* of a record that waits */
	char *buffer;
	size_t capacity; /* of the buffer; before it is open: the least */
	size_t at, held;
	uint64_t pairs; /* taken so far */
	pj__unpacker unpacker;
} pj__cursor;

/* A cursor for a segment, sorted as `keys` say (NULL: by bytes), of a run whose file stays open. */
void pj__cursor_init(pj__cursor *cursor, const pj_keys *keys, const pj__run *run, const pj__segment *segment);
void pj__cursor_fini(pj__cursor *cursor);

/* Will records of the segment wait, in a merge by such keys? */
bool pj__cursor_may_wait(const pj_keys *keys, const pj__segment *segment);

/* The bytes that a cursor takes for its buffer at least. */
size_t pj__cursor_least(const pj_keys *keys, const pj__segment *segment);

/* Gets memory, `share` bytes or the least, and steps to the first record. `scratch`: as unpacker.h has it. */
PJ_MUST_USE pj_status pj__cursor_open(pj__cursor *cursor, size_t share, char *scratch, pj_error *error);

/* Steps to the next record, or sets `done`. */
PJ_MUST_USE pj_status pj__cursor_advance(pj__cursor *cursor, pj_error *error);

/* Loads the record that waits to `to`, which has room for its key and value. */
PJ_MUST_USE pj_status pj__cursor_load(pj__cursor *cursor, char *to, pj_error *error);

/*
 * The order, in bytes, of the cursor's key and another one: that of a second cursor, or `bytes` where that is NULL. The
 * cursors stay as they are. `blocks` is room for two blocks, which is used if a record waits.
 */
PJ_MUST_USE pj_status pj__cursor_compare(const pj__cursor *cursor, const pj__cursor *other, pj_bytes bytes,
					 char *blocks, int *ret_order, pj_error *error);

#endif
