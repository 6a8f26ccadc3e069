/*
 * chains.c: see chains.h.
 *
 * The room behind the items, 16 bytes for each, holds
 *
 *     next            4 bytes for each item
 *     heads           16 bytes for each key, of which there may be a quarter as many as items
 *     slots           a hash table of keys, 8 bytes each, at most half as many as items; later room for the sort
 */
#include "shuffle/chains.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/verify.h"

enum { SAMPLED = 1024, SAMPLE_SLOTS = 4096, COUNT_LEAST = 4 * SAMPLED, AGAIN_LEAST = 16, LENGTH_LEAST = 16, AHEAD = 4 };
#define NONE UINT32_MAX

/* A slot of the hash table: the upper half of the key's hash, and its head; empty: 0. */
struct slot {
	uint32_t hash, head; /* head + 1 */
};

struct maker {
	pj__key_of *key_of;
	const void *context;
	const pj__item *items;
	uint32_t *next;
	pj__item *heads; /* `at`: the first item of the key, and in the upper half the last one */
	size_t head_count, head_most;
	struct slot *slots;
	size_t mask, slots_most;
};

static uint64_t hash_of(const struct maker *maker, size_t item)
{
	const pj_bytes key = maker->key_of(maker->context, maker->items[item].at);
	return XXH3_64bits(key.ptr, key.len);
}

/*
 * Of some items: how many have a key that was there already? None, if the keys are short: eight bytes of
 * them are sorted faster than a hash is made.
 */
static size_t count_again(const struct maker *maker, size_t count)
{
	uint64_t seen[SAMPLE_SLOTS] = {0};
	size_t again = 0, bytes = 0;
	for (size_t i = 0; i < SAMPLED; i++) {
		/* As good as random: evenly spread ones could all miss what comes back in a rhythm. */
		const size_t item = (size_t)(XXH64_avalanche(i) % count);
		const uint64_t hash = hash_of(maker, item) | 1;
		bytes += maker->key_of(maker->context, maker->items[item].at).len;
		size_t at = (hash >> 32) % SAMPLE_SLOTS;
		while (seen[at] && seen[at] != hash)
			at = (at + 1) % SAMPLE_SLOTS;
		again += seen[at] == hash;
		seen[at] = hash;
	}
	return bytes < SAMPLED * LENGTH_LEAST ? 0 : again;
}

/* Makes the table four times as large. */
static void grow(struct maker *maker)
{
	const size_t before = maker->mask + 1;
	size_t size = before * 4;
	while (size > maker->slots_most)
		size /= 2;
	/* From the heads, whose hashes are taken again: that is rare. */
	maker->mask = size - 1;
	memset(maker->slots, 0, size * sizeof *maker->slots);
	for (size_t i = 0; i < maker->head_count; i++) {
		const uint64_t hash = hash_of(maker, (uint32_t)maker->heads[i].at);
		size_t at = hash & maker->mask;
		while (maker->slots[at].head)
			at = (at + 1) & maker->mask;
		maker->slots[at] = (struct slot){(uint32_t)(hash >> 32), (uint32_t)i + 1};
	}
}

static bool is_key_of(const struct maker *maker, uint32_t head, size_t item)
{
	const pj_bytes key = maker->key_of(maker->context, maker->items[item].at);
	const uint64_t first = (uint32_t)maker->heads[head].at;
	return pj_bytes_equal(maker->key_of(maker->context, maker->items[first].at), key);
}

/* Links an item to its key's last one, or makes it a head. */
static void link_item(struct maker *maker, size_t item)
{
	const uint64_t hash = hash_of(maker, item);
	size_t at = hash & maker->mask;
	maker->next[item] = NONE;
	for (; maker->slots[at].head; at = (at + 1) & maker->mask) {
		const uint32_t head = maker->slots[at].head - 1;
		if (maker->slots[at].hash != (uint32_t)(hash >> 32) || !is_key_of(maker, head, item))
			continue;
		maker->next[maker->heads[head].at >> 32] = (uint32_t)item;
		maker->heads[head].at = (uint64_t)item << 32 | (uint32_t)maker->heads[head].at;
		return;
	}
	maker->slots[at] = (struct slot){(uint32_t)(hash >> 32), (uint32_t)maker->head_count + 1};
	maker->heads[maker->head_count++] = (pj__item){maker->items[item].prefix, (uint64_t)item << 32 | item};
}

/* False: there are more different keys than were expected. */
static bool link_all(struct maker *maker, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (maker->head_count == maker->head_most)
			return false;
		if (maker->head_count > maker->mask / 2) {
			if ((maker->mask + 1) * 2 > maker->slots_most)
				return false;
			grow(maker);
		}
		link_item(maker, i);
	}
	return true;
}

static pj_bytes key_of_head(const void *context, uint64_t at)
{
	const struct maker *maker = context;
	return maker->key_of(maker->context, maker->items[at].at);
}

bool pj__chains_make(pj__chains *chains, pj__item *items, size_t count, pj__key_of *key_of, const void *context)
{
	chains->next = NULL;
	if (count < COUNT_LEAST || count >= NONE)
		return false;
	struct maker maker = {.key_of = key_of, .context = context, .items = items, .mask = COUNT_LEAST / 4 - 1};
	/*
	 * Of S items drawn from D keys that are about as frequent, S * S / 2 D have been there. With a quarter as many
	 * keys as items, at most, it pays.
	 */
	const size_t again = count_again(&maker, count), expected = 2 * (size_t)SAMPLED * SAMPLED / count;
	if (again < (expected > AGAIN_LEAST ? expected : AGAIN_LEAST))
		return false;
	maker.next = (uint32_t *)(void *)(items + count);
	maker.heads = items + count + (count + 3) / 4;
	maker.head_most = count / 4;
	maker.slots = (struct slot *)(void *)(maker.heads + maker.head_most);
	maker.slots_most = count / 2;
	memset(maker.slots, 0, (maker.mask + 1) * sizeof *maker.slots);
	if (!link_all(&maker, count))
		return false;
	PJ_VERIFY(maker.head_count && maker.head_count <= maker.head_most && maker.mask < maker.slots_most);
	for (size_t i = 0; i < maker.head_count; i++)
		maker.heads[i].at = (uint32_t)maker.heads[i].at;
	pj__sort(maker.heads, maker.head_count, (pj__item *)(void *)maker.slots, key_of_head, &maker);
	*chains = (pj__chains){
		.items = items, .next = maker.next, .heads = maker.heads, .count = maker.head_count, .link = NONE};
	return true;
}

bool pj__chains_step(pj__chains *chains, uint64_t *ret_at)
{
	uint32_t item = chains->link;
	chains->fresh = item == NONE;
	if (chains->fresh) {
		if (chains->at == chains->count)
			return false;
		if (chains->at + AHEAD < chains->count) {
			const uint64_t later = chains->items[chains->heads[chains->at + AHEAD].at].at;
			__builtin_prefetch((const char *)(uintptr_t)later);
		}
		item = (uint32_t)chains->heads[chains->at++].at;
	}
	chains->link = chains->next[item];
	if (chains->link != NONE)
		__builtin_prefetch((const char *)(uintptr_t)chains->items[chains->link].at);
	*ret_at = chains->items[item].at;
	return true;
}
