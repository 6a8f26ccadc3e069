/*
 * pairs.h: every pair of a job in one list, for the reference.
 *
 * In order: add pairs as they are emitted; give each its part file; sort; step from group to group, file by file. This
 * is the plain meaning of what run/, shuffle/ and their tables do, and none of their code:
 *
 *     added       b 1   a 2   b 3   c 4          part files 0: a b   1: c
 *     sorted      0: a 2 | b 1 | b 3   1: c 4    by file, group, key, (value,) and order of emission
 *     groups      0: a (2), b (1 3)    1: c (4)
 */
#ifndef PJ_ENGINE_PAIRS_H
#define PJ_ENGINE_PAIRS_H

#include <papjuice/keys.h>

#include "base/task.h"
#include "base/text.h"

/* The value of a pair for an aggregate of numbers may be one: the 8 bytes of an int64_t or a double. */
typedef struct pj__pair {
	size_t at; /* in `bytes`: the key, then the value */
	size_t key_len, value_len;
	uint32_t file; /* the part file that it goes to: set by the owner before the sort */
	bool is_number;
} pj__pair;

typedef struct pj__pairs {
	pj_values values; /* first: of the group at hand, for pj_next_value */
	const pj_keys *keys;
	pj_text bytes;
	pj__pair *at;
	size_t count, capacity;
	/* The group at hand is at[first .. end). */
	size_t first, end;
	size_t next;  /* the pair that is taken next */
	size_t taken; /* the last one that was taken; `first` before any was, and after all */
} pj__pairs;

/* What the job decides about its keys must live as long; failures while values are taken are told to `task`. */
void pj__pairs_init(pj__pairs *pairs, const pj_keys *keys, pj__task *task);
void pj__pairs_fini(pj__pairs *pairs);

/* Adds a copy of a pair. False: there is no memory. */
bool pj__pairs_add(pj__pairs *pairs, pj_bytes key, pj_bytes value, bool is_number);

/* Forgets all pairs but the first `count`. */
void pj__pairs_cut(pj__pairs *pairs, size_t count);

pj_bytes pj__pair_key(const pj__pairs *pairs, const pj__pair *pair);

/* The beginning of a key that makes its group, and the order of keys or of beginnings, as the job decides. */
pj_bytes pj__pairs_group(const pj__pairs *pairs, pj_bytes key);
int pj__pairs_compare(const pj__pairs *pairs, pj_bytes a, pj_bytes b);

/* Puts all pairs in order, stable. False: there is no memory. */
bool pj__pairs_sort(pj__pairs *pairs);

/* Steps to the next group, if that belongs to `file`. False: the file has no more. */
bool pj__pairs_next(pj__pairs *pairs, uint32_t file, pj_bytes *ret_key);

/* Takes the next value of the group at hand; NULL: there is none. */
const pj__pair *pj__pairs_take(pj__pairs *pairs, pj_bytes *ret_value);

#endif
