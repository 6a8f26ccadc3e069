/*
 * sort.h: puts keys in order.
 *
 * What is sorted are items: the next eight bytes of the key, and where the key can be found. Most items are put in
 * their place by the eight bytes alone, and never look at the key itself.
 */
#ifndef PJ_RUN_SORT_H
#define PJ_RUN_SORT_H

#include "run/record.h"

typedef struct pj__item {
	uint64_t prefix; /* pj__prefix(key, 0) */
	uint64_t at;     /* whatever lets key_of find the key: an address, an offset */
} pj__item;

/* Finds the key of an item; `context` is handed through. */
typedef pj_bytes pj__key_of(const void *context, uint64_t at);

/*
 * Sorts `count` items by key, byte order, equal keys in the order in which they stood (stable). `scratch` has room for
 * as many items. The prefixes are not valid afterwards.
 */
void pj__sort(pj__item *items, size_t count, pj__item *scratch, pj__key_of *key_of, const void *context);

#endif
