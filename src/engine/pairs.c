/*
 * pairs.c: see pairs.h.
 */
#include "engine/pairs.h"

#include <stdlib.h>

static pj_bytes beginning_of(const pj_keys *keys, pj_bytes key)
{
	const size_t len = keys->group ? keys->group(key, keys->arg) : key.len;
	return (pj_bytes){key.ptr, len < key.len ? len : key.len};
}

static int compare(const pj_keys *keys, pj_bytes a, pj_bytes b)
{
	return keys->compare ? keys->compare(a, b, keys->arg) : pj_bytes_compare(a, b);
}

static bool are_one_group(const pj_keys *keys, const pj__pair *a, const pj__pair *b)
{
	return compare(keys, beginning_of(keys, a->key), beginning_of(keys, b->key)) == 0;
}

/* By group, key, and value if that is wanted. */
static int compare_pairs(const pj_keys *keys, const pj__pair *a, const pj__pair *b)
{
	const int groups = compare(keys, beginning_of(keys, a->key), beginning_of(keys, b->key));
	if (groups)
		return groups;
	const int whole = compare(keys, a->key, b->key);
	if (whole)
		return whole;
	return keys->sort_values ? pj_bytes_compare(a->value, b->value) : 0;
}

static int next_value(pj_values *values, pj_bytes *ret_value)
{
	pj__pairs *pairs = (pj__pairs *)values;
	while (pairs->next < pairs->count && pairs->at[pairs->next]->file != pairs->file)
		pairs->next++;
	const pj__pair *next = pairs->next < pairs->count ? pairs->at[pairs->next] : NULL;
	const bool is_first = next && next == pairs->first;
	if (!pairs->first || !next || (!is_first && !are_one_group(pairs->keys, next, pairs->first))) {
		pairs->taken = pairs->first;
		return 0;
	}
	pairs->taken = next;
	pairs->next++;
	*ret_value = next->value;
	return 1;
}

static pj_bytes key_of_value(const pj_values *values)
{
	return ((const pj__pairs *)values)->taken->key;
}

void pj__pairs_init(pj__pairs *pairs, const pj_keys *keys, pj__task *task)
{
	*pairs = (pj__pairs){.values = {next_value, task, key_of_value}, .keys = keys};
}

void pj__pairs_fini(pj__pairs *pairs)
{
	for (size_t i = 0; i < pairs->count; i++)
		free(pairs->at[i]);
	free(pairs->at);
	*pairs = (pj__pairs){0};
}

bool pj__pairs_take(pj__pairs *pairs, pj_bytes key, pj_bytes value)
{
	if (pairs->count == pairs->capacity) {
		const size_t capacity = pairs->capacity ? pairs->capacity * 2 : 1024;
		pj__pair **grown = reallocarray(pairs->at, capacity, sizeof *grown);
		if (!grown)
			return false;
		pairs->at = grown;
		pairs->capacity = capacity;
	}
	pj__pair *pair = malloc(sizeof *pair + key.len + value.len);
	if (!pair)
		return false;
	char *bytes = (char *)(pair + 1);
	*pair = (pj__pair){.key = {bytes, key.len}, .value = {bytes + key.len, value.len}};
	if (key.len)
		memcpy(bytes, key.ptr, key.len);
	if (value.len)
		memcpy(bytes + key.len, value.ptr, value.len);
	pairs->at[pairs->count++] = pair;
	return true;
}

/* qsort may not be asked: an order that contradicts itself can lead it out of the array. */
static void merge_sort(const pj_keys *keys, pj__pair **at, size_t count, pj__pair **scratch)
{
	if (count < 2)
		return;
	const size_t half = count / 2;
	merge_sort(keys, at, half, scratch);
	merge_sort(keys, at + half, count - half, scratch);
	memcpy(scratch, at, half * sizeof *at);
	for (size_t left = 0, right = half, to = 0; left < half;)
		at[to++] = right < count && compare_pairs(keys, at[right], scratch[left]) < 0 ? at[right++]
											      : scratch[left++];
}

bool pj__pairs_sort(pj__pairs *pairs)
{
	pj__pair **scratch = calloc(pairs->count + 1, sizeof *scratch);
	if (!scratch)
		return false;
	merge_sort(pairs->keys, pairs->at, pairs->count, scratch);
	free(scratch);
	return true;
}

void pj__pairs_begin(pj__pairs *pairs, uint32_t file)
{
	pairs->file = file;
	pairs->next = 0;
	pairs->first = NULL;
}

bool pj__pairs_next(pj__pairs *pairs, pj_bytes *ret_key)
{
	pj_bytes unused;
	while (next_value(&pairs->values, &unused))
		;
	if (pairs->next == pairs->count)
		return false;
	pairs->first = pairs->taken = pairs->at[pairs->next];
	*ret_key = pairs->first->key;
	return true;
}
