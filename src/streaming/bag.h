/*
 * bag.h: how often each of some byte strings was seen; in the order in which they were first seen.
 */
#ifndef PJ_STREAMING_BAG_H
#define PJ_STREAMING_BAG_H

#include "base/text.h"

typedef struct pj__bag_item {
	size_t at, len; /* of the bytes in pj__bag.bytes */
	uint64_t hash;
	int64_t count;
} pj__bag_item;

/* {0} is empty. */
typedef struct pj__bag {
	pj_text bytes;
	pj__bag_item *items;
	size_t count, capacity;
	size_t *slots; /* index of an item and 1, or 0: empty */
	size_t slot_count;
} pj__bag;

/* Adds to the count of `key`, which wraps around as Java's long does. */
PJ_MUST_USE pj_status pj__bag_add(pj__bag *bag, pj_bytes key, int64_t amount, pj_error *error);

static inline pj_bytes pj__bag_key(const pj__bag *bag, size_t index)
{
	return (pj_bytes){bag->bytes.data + bag->items[index].at, bag->items[index].len};
}

void pj__bag_fini(pj__bag *bag);

#endif
