/*
 * keys.h: what a job decides about its keys: their order, which of them make a group, which part file they go to, and
 * in which order a key's values come. Secondary sort, in short:
 *
 *     .keys = { .group = length_of_year, .compare = warmest_first }
 *
 * brings all pairs whose keys begin with the same year to one call of the reducer, the warmest first.
 *
 * All of it is optional. Without any of it keys are in byte order, equal keys make a group, and values come in plan
 * order. The functions must depend on nothing but their arguments; they are called in any process, and often. A job
 * that is map only does not use them.
 */
#ifndef PAPJUICE_KEYS_H
#define PAPJUICE_KEYS_H

#include <papjuice/bytes.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pj_keys {
	/*
	 * The order of keys: less than 0 if `a` comes before `b`, more than 0 if after it, 0 if they are equal. It
	 * must be one order of all keys (if a <= b and b <= c then a <= c); one that contradicts itself gives some
	 * order and some groups, no more. Keys that are equal are one group, their pairs in plan order; the reducer
	 * gets the first of the keys. Into a folder, without `part`, ranges of keys become the part files, which are
	 * one sorted sequence, as with PJ_PARTS_RANGES.
	 */
	int (*compare)(pj_bytes a, pj_bytes b, void *arg);
	/*
	 * The length of the key's beginning that makes its group; more than the key's length stands for all of it.
	 * Pairs are in the order of these beginnings, and within a group in that of whole keys; groups whose beginnings
	 * are equal are one. With `compare` both are its order, so it must know beginnings as well. The reducer gets
	 * the first whole key of the group; pj_value_key tells that of each value.
	 */
	size_t (*group)(pj_bytes key, void *arg);
	/*
	 * The part file, from 0 to parts - 1, that a key (with `group`: a beginning) goes to, if there are several. Any
	 * other number fails the task. Keys that are equal must go to the same one, or they meet in different groups.
	 * Within each file keys are in order. Not with PJ_PARTS_RANGES.
	 */
	uint64_t (*part)(pj_bytes key, uint64_t parts, void *arg);
	/*
	 * Values whose keys are equal come in byte order, instead of plan order. For general reducers and for none; an
	 * aggregate has no use for it.
	 */
	bool sort_values;
	void *arg; /* handed to the functions */
} pj_keys;

#ifdef __cplusplus
}
#endif
#endif
