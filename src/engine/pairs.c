/*
 * pairs.c: see pairs.h.
 */
#include "engine/pairs.h"

#include <stdlib.h>

pj_bytes pj__pair_key(const pj__pairs *pairs, const pj__pair *pair)
{
	return (pj_bytes){pairs->bytes.data + pair->at, pair->key_len};
}

static pj_bytes value_of(const pj__pairs *pairs, const pj__pair *pair)
{
	return (pj_bytes){pairs->bytes.data + pair->at + pair->key_len, pair->value_len};
}

pj_bytes pj__pairs_group(const pj__pairs *pairs, pj_bytes key)
{
	const size_t len = pairs->keys->group ? pairs->keys->group(key, pairs->keys->arg) : key.len;
	return (pj_bytes){key.ptr, len < key.len ? len : key.len};
}

int pj__pairs_compare(const pj__pairs *pairs, pj_bytes a, pj_bytes b)
{
	return pairs->keys->compare ? pairs->keys->compare(a, b, pairs->keys->arg) : pj_bytes_compare(a, b);
}

static int compare_groups(const pj__pairs *pairs, const pj__pair *a, const pj__pair *b)
{
	return pj__pairs_compare(pairs, pj__pairs_group(pairs, pj__pair_key(pairs, a)),
				 pj__pairs_group(pairs, pj__pair_key(pairs, b)));
}

/* By file, group, key, and value if that is wanted. */
static int compare_pairs(const pj__pairs *pairs, const pj__pair *a, const pj__pair *b)
{
	if (a->file != b->file)
		return a->file < b->file ? -1 : 1;
	const int groups = pairs->keys->group ? compare_groups(pairs, a, b) : 0;
	if (groups)
		return groups;
	const int whole = pj__pairs_compare(pairs, pj__pair_key(pairs, a), pj__pair_key(pairs, b));
	if (whole || !pairs->keys->sort_values)
		return whole;
	return pj_bytes_compare(value_of(pairs, a), value_of(pairs, b));
}

const pj__pair *pj__pairs_take(pj__pairs *pairs, pj_bytes *ret_value)
{
	if (pairs->next == pairs->end) {
		pairs->taken = pairs->first;
		return NULL;
	}
	const pj__pair *pair = &pairs->at[pairs->next];
	pairs->taken = pairs->next++;
	*ret_value = value_of(pairs, pair);
	return pair;
}

static int next_value(pj_values *values, pj_bytes *ret_value)
{
	return pj__pairs_take((pj__pairs *)values, ret_value) != NULL;
}

static pj_bytes key_of_value(const pj_values *values)
{
	const pj__pairs *pairs = (const pj__pairs *)values;
	return pj__pair_key(pairs, &pairs->at[pairs->taken]);
}

void pj__pairs_init(pj__pairs *pairs, const pj_keys *keys, pj__task *task)
{
	*pairs = (pj__pairs){.values = {next_value, task, key_of_value}, .keys = keys};
}

void pj__pairs_fini(pj__pairs *pairs)
{
	pj__text_fini(&pairs->bytes);
	free(pairs->at);
	*pairs = (pj__pairs){0};
}

bool pj__pairs_add(pj__pairs *pairs, pj_bytes key, pj_bytes value, bool is_number)
{
	if (pairs->count == pairs->capacity) {
		const size_t capacity = pairs->capacity ? pairs->capacity * 2 : 1024;
		pj__pair *grown = reallocarray(pairs->at, capacity, sizeof *grown);
		if (!grown)
			return false;
		pairs->at = grown;
		pairs->capacity = capacity;
	}
	pairs->at[pairs->count] =
		(pj__pair){.at = pairs->bytes.len, .key_len = key.len, .value_len = value.len, .is_number = is_number};
	pj_text_bytes(&pairs->bytes, key);
	pj_text_bytes(&pairs->bytes, value);
	pairs->count += !pairs->bytes.failed;
	return !pairs->bytes.failed;
}

void pj__pairs_cut(pj__pairs *pairs, size_t count)
{
	if (count < pairs->count)
		pairs->bytes.len = pairs->at[count].at;
	pairs->bytes.failed = false;
	pairs->count = count;
}

/* qsort may not be asked: an order that contradicts itself can lead it out of the array. */
static void merge_sort(const pj__pairs *pairs, pj__pair *at, size_t count, pj__pair *scratch)
{
	if (count < 2)
		return;
	const size_t half = count / 2;
	merge_sort(pairs, at, half, scratch);
	merge_sort(pairs, at + half, count - half, scratch);
	memcpy(scratch, at, half * sizeof *at);
	for (size_t left = 0, right = half, to = 0; left < half;)
		at[to++] = right < count && compare_pairs(pairs, &at[right], &scratch[left]) < 0 ? at[right++]
												 : scratch[left++];
}

bool pj__pairs_sort(pj__pairs *pairs)
{
	pj__pair *scratch = calloc(pairs->count / 2 + 1, sizeof *scratch);
	if (!scratch)
		return false;
	merge_sort(pairs, pairs->at, pairs->count, scratch);
	free(scratch);
	return true;
}

bool pj__pairs_next(pj__pairs *pairs, uint32_t file, pj_bytes *ret_key)
{
	if (pairs->end == pairs->count || pairs->at[pairs->end].file != file)
		return false;
	const pj__pair *first = &pairs->at[pairs->end];
	pairs->first = pairs->next = pairs->taken = pairs->end;
	do
		pairs->end++;
	while (pairs->end < pairs->count && pairs->at[pairs->end].file == file &&
	       compare_groups(pairs, first, &pairs->at[pairs->end]) == 0);
	*ret_key = pj__pair_key(pairs, first);
	return true;
}
