/*
 * chains.h: equal keys of a bucket brought together by hashing, so that only one of each has to be sorted.
 *
 * The words of a text, the addresses of a log: most keys occur again and again, and to sort all their pairs only finds
 * out, eight bytes at a time, that they are equal. Here the pairs of a key are linked, in the order in which they
 * stood, and the first of each key are sorted. A sample tells whether it pays.
 */
#ifndef PJ_SHUFFLE_CHAINS_H
#define PJ_SHUFFLE_CHAINS_H

#include <stdbool.h>

#include "run/sort.h"

typedef struct pj__chains {
	const pj__item *items; /* of the caller */
	const uint32_t *next;  /* of each item: the next one of its key; NULL: there are no chains */
	const pj__item *heads; /* the first of each key, in key order; `at`: which item */
	size_t count, at;      /* heads; the next to be handed out */
	uint32_t link;         /* the next item of the key at hand */
	bool fresh;            /* the last step came to a new key */
} pj__chains;

/*
 * Chains `count` items, behind which there is room for as many, which is used. False, and nothing has changed: it would
 * not pay. The items must stay as they are until the last step.
 */
bool pj__chains_make(pj__chains *chains, pj__item *items, size_t count, pj__key_of *key_of, const void *context);

/* Steps to the next pair, in key order, equal keys in the order in which they stood. False: there is none. */
bool pj__chains_step(pj__chains *chains, uint64_t *ret_at);

#endif
