/*
 * keys.h: the order and the groups of keys, where a job decides about them (papjuice/keys.h).
 *
 * Pairs are put in order level by level: the beginnings that make a group (if there are such), whole keys, values (if
 * they are to be sorted), and what is equal up to there stays as it stood. Each level is in byte order or in that of
 * the user's function. NULL for a job's keys means that byte order and plan order are all there is: such pairs take the
 * fast paths, and do not come here.
 */
#ifndef PJ_RUN_KEYS_H
#define PJ_RUN_KEYS_H

#include <papjuice/keys.h>

#include "run/sort.h"

/* Do equal bytes, and nothing else, make keys equal and groups? Then keys can be compared by their prefixes first. */
static inline bool pj__keys_are_bytes(const pj_keys *keys)
{
	return !keys || (!keys->compare && !keys->group);
}

/* The part of a key that makes its group: all of it, where the job has no `group`. */
static inline pj_bytes pj__keys_beginning(const pj_keys *keys, pj_bytes key)
{
	const size_t len = keys->group ? keys->group(key, keys->arg) : key.len;
	return (pj_bytes){key.ptr, len < key.len ? len : key.len};
}

/* The order of two keys, or of two beginnings. */
static inline int pj__keys_compare(const pj_keys *keys, pj_bytes a, pj_bytes b)
{
	return keys->compare ? keys->compare(a, b, keys->arg) : pj_bytes_compare(a, b);
}

/* The order of two pairs by all levels. */
int pj__keys_compare_pairs(const pj_keys *keys, pj_bytes key_a, pj_bytes value_a, pj_bytes key_b, pj_bytes value_b);

/*
 * Sorts `count` items by all levels, stable, as pj__sort does by bytes; `scratch` has room for as many. Each item's
 * `at` is the address of a whole record that lies before `end`. However the user's function contradicts itself, it
 * ends, and every item is there once.
 */
void pj__keys_sort(const pj_keys *keys, pj__item *items, size_t count, pj__item *scratch, const char *end);

#endif
