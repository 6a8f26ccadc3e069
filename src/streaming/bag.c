/*
 * bag.c: see bag.h. A hash table with open addressing, at most half full.
 */
#include "streaming/bag.h"

#include <stdlib.h>

#include "base/grow.h"

static uint64_t hash_of(pj_bytes key)
{
	uint64_t hash = 14695981039346656037u; /* FNV-1a */
	for (size_t i = 0; i < key.len; i++)
		hash = (hash ^ (unsigned char)key.ptr[i]) * 1099511628211u;
	return hash ^ hash >> 32;
}

/* The slot of `key`, or the empty one where it would be. */
static size_t *find(const pj__bag *bag, pj_bytes key, uint64_t hash)
{
	for (size_t at = hash;; at++) {
		size_t *const slot = &bag->slots[at & (bag->slot_count - 1)];
		if (!*slot)
			return slot;
		const pj__bag_item *const item = &bag->items[*slot - 1];
		if (item->hash == hash && pj_bytes_equal(pj__bag_key(bag, *slot - 1), key))
			return slot;
	}
}

static pj_status make_room(pj__bag *bag, pj_error *error)
{
	if (2 * (bag->count + 1) <= bag->slot_count)
		return PJ_OK;
	const size_t count = bag->slot_count ? 2 * bag->slot_count : 64;
	size_t *const slots = calloc(count, sizeof *slots);
	if (!slots)
		return pj__no_memory(error, count * sizeof *slots);
	free(bag->slots);
	bag->slots = slots;
	bag->slot_count = count;
	for (size_t i = 0; i < bag->count; i++)
		*find(bag, pj__bag_key(bag, i), bag->items[i].hash) = i + 1;
	return PJ_OK;
}

pj_status pj__bag_add(pj__bag *bag, pj_bytes key, int64_t amount, pj_error *error)
{
	const uint64_t hash = hash_of(key);
	pj_status status = make_room(bag, error);
	if (status)
		return status;
	size_t *const slot = find(bag, key, hash);
	if (*slot) {
		int64_t *const count = &bag->items[*slot - 1].count;
		*count = (int64_t)((uint64_t)*count + (uint64_t)amount);
		return PJ_OK;
	}
	status = pj__grow(&bag->items, &bag->capacity, bag->count + 1, sizeof *bag->items, error);
	if (status)
		return status;
	const size_t at = bag->bytes.len;
	pj_text_bytes(&bag->bytes, key);
	if (bag->bytes.failed)
		return pj__no_memory(error, key.len);
	bag->items[bag->count] = (pj__bag_item){at, key.len, hash, amount};
	*slot = ++bag->count;
	return PJ_OK;
}

void pj__bag_fini(pj__bag *bag)
{
	pj__text_fini(&bag->bytes);
	free(bag->items);
	free(bag->slots);
	*bag = (pj__bag){0};
}
