/*
 * pairs.h: every pair of a job with an order or groups of its own (papjuice/keys.h), for the sequential reference.
 *
 * In order: take each pair as it is emitted; sort; begin at each part file and step from group to group of it. The
 * plain meaning of what run/keys.h and shuffle/groups.h do with runs, and none of their code.
 */
#ifndef PJ_ENGINE_PAIRS_H
#define PJ_ENGINE_PAIRS_H

#include <papjuice/keys.h>

#include "base/task.h"

typedef struct pj__pair {
	uint32_t file; /* the part file that it goes to, as the owner says */
	pj_bytes key, value;
} pj__pair;

typedef struct pj__pairs {
	pj_values values; /* first: of the group at hand */
	const pj_keys *keys;
	pj__pair **at; /* each is memory of its own */
	size_t count, capacity;
	/* the groups */
	uint32_t file;
	size_t next;           /* the pair that may come next */
	const pj__pair *first; /* of the group */
	const pj__pair *taken; /* the last one that was taken */
} pj__pairs;

/* `keys` must live as long; failures while values are taken are told to `task`. */
void pj__pairs_init(pj__pairs *pairs, const pj_keys *keys, pj__task *task);
void pj__pairs_fini(pj__pairs *pairs);

/* Adds a copy of a pair. False: there is no memory. */
bool pj__pairs_take(pj__pairs *pairs, pj_bytes key, pj_bytes value);

/* Puts all pairs in order, stable. False: there is no memory. */
bool pj__pairs_sort(pj__pairs *pairs);

/* Begins at the first pair that goes to `file`. */
void pj__pairs_begin(pj__pairs *pairs, uint32_t file);

/* Steps to the file's next group; false: there is none. Its values are pairs->values. */
bool pj__pairs_next(pj__pairs *pairs, pj_bytes *ret_key);

#endif
