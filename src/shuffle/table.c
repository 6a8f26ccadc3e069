/*
 * table.c: see table.h.
 *
 * Fresh memory is dear, so entries are kept and emptied by writing zeros, and a table begins small and grows eight
 * times at a time: a small job never pays for a large table. A small table grows early, as its memory costs little, and
 * a key that is found where it is first looked for saves a branch that is foreseen wrongly. Large tables ask for huge
 * pages, which save most misses of the translation cache. A thrifty table grows in smaller steps when it is large: it
 * asks for less memory, and moves its entries more often.
 */
#include "shuffle/table.h"

#include <stdlib.h>
#include <sys/mman.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/space.h"
#include "base/verify.h"

enum {
	LOAD_PERCENT = 60,
	SMALL_LOAD_PERCENT = 30,
	SMALL_BYTES = 2 << 20,
	THRIFTY_BYTES = 8 << 20,
};

static size_t power_of_two(size_t least)
{
	size_t power = 64;
	while (power < least && power <= SIZE_MAX / 4)
		power *= 2;
	return power;
}

/* The product of two words, folded to the mix of its halves. */
static uint64_t fold(uint64_t a, uint64_t b)
{
	const __uint128_t product = (__uint128_t)a * b;
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t pj__plain_hash(uint64_t seed, pj__key key)
{
	const uint64_t first = fold(key.word[0] ^ seed, key.word[1] ^ 0xa0761d6478bd642fu);
	return fold(first ^ key.word[2], seed ^ 0xe7037ed1a0b428dbu);
}

/* Constants: the fraction of pi. */
uint64_t pj__plain_long_hash(uint64_t seed, pj_bytes key)
{
	static const uint64_t pi[2 * PJ__STEPS] = {0x243f6a8885a308d3u, 0x13198a2e03707344u, 0xa4093822299f31d0u,
						   0x082efa98ec4e6c89u, 0x452821e638d01377u, 0xbe5466cf34e90c6cu,
						   0xc0ac29b7c97c50ddu, 0x3f84d5b5b5470917u, 0x9216d5d98979fb1bu,
						   0xd1310ba698dfb5acu, 0x2ffd72dbd01adfb7u, 0xb8e1afed6a267e96u};
	uint64_t mix = key.len;
	if (key.len > (size_t)PJ__STEP * PJ__STEPS)
		return XXH3_64bits_withSeed(key.ptr, key.len, seed);
#pragma GCC unroll 6
	for (size_t i = 0; i < PJ__STEPS; i++) {
		const size_t at = pj__step_at(i, key.len);
		uint64_t word[2];
		memcpy(word, key.ptr + at, sizeof word);
		mix += fold(word[0] ^ (pi[2 * i] + seed), word[1] ^ (pi[2 * i + 1] - seed));
	}
	return fold(mix ^ pi[0], seed ^ pi[1]);
}

static void set_size(pj__table *table, size_t entries)
{
	PJ_VERIFY(entries && !(entries & (entries - 1)));
	const bool small = entries < table->most && entries * table->stride <= SMALL_BYTES;
	const size_t percent = small ? SMALL_LOAD_PERCENT : LOAD_PERCENT;
	table->mask = entries - 1;
	table->limit = entries / 100 * percent + entries % 100 * percent / 100;
}

/* Gives the table new memory of `entries` zeroed entries; the old memory is handed to the caller. */
static pj_status replace(pj__table *table, size_t entries, pj_error *error)
{
	size_t bytes;
	char *fresh = __builtin_mul_overflow(entries, table->stride, &bytes) ? NULL : pj__map_private(bytes);
	if (!fresh)
		return pj__no_memory(error, entries * table->stride);
	table->entries = fresh;
	table->allocated = bytes;
	set_size(table, entries);
	return PJ_OK;
}

pj_status pj__table_init(pj__table *table, size_t state_bytes, size_t least, size_t most, uint64_t seed,
			 pj_error *error)
{
	*table = (pj__table){.seed = seed,
			     .hash = pj__plain_hash,
			     .hash_long = pj__plain_long_hash,
			     .stride = PJ__KEY_BYTES + (state_bytes + 7) / 8 * 8};
	table->most = power_of_two(most);
	return replace(table, power_of_two(least), error);
}

void pj__table_fini(pj__table *table)
{
	if (table->entries)
		munmap(table->entries, table->allocated);
	pj__text_fini(&table->heap);
	*table = (pj__table){0};
}

void pj__table_relieve(pj__table *table)
{
	if (table->entries)
		munmap(table->entries, table->allocated);
	pj__text_fini(&table->heap);
	table->entries = NULL;
	table->allocated = table->count = 0;
}

void pj__table_clear(pj__table *table)
{
	pj__text_reset(&table->heap);
	if (table->count)
		memset(table->entries, 0, (table->mask + 1) * table->stride);
	table->count = 0;
}

pj_status pj__table_reset(pj__table *table, size_t expected, pj_error *error)
{
	const size_t wanted = power_of_two(expected / LOAD_PERCENT * 100 + 128);
	pj_status status = PJ_OK;
	pj__table_clear(table); /* so all of its memory is zero, above the old size, too */
	if (wanted > table->allocated / table->stride) {
		pj__table_relieve(table);
		status = replace(table, wanted, error);
	} else {
		set_size(table, wanted);
	}
	if (table->limit < expected) /* a small table is filled further, as it is known to be enough */
		table->limit = expected;
	return status;
}

static uint64_t entry_hash(const pj__table *table, const char *entry)
{
	pj__key key;
	memcpy(&key, entry, sizeof key);
	return pj__entry_tag(entry) == PJ__TAG_LONG ? key.word[0] : table->hash(table->seed, key);
}

static pj_status grow(pj__table *table, size_t entries, pj_error *error)
{
	char *const old = table->entries;
	const size_t old_bytes = table->allocated, old_entries = table->mask + 1, stride = table->stride;
	const pj_status status = replace(table, entries, error);
	if (status)
		return status;
	for (size_t i = 0; i < old_entries; i++) {
		const char *entry = old + i * stride;
		if (!pj__entry_tag(entry))
			continue;
		size_t index = entry_hash(table, entry) & table->mask;
		while (pj__entry_tag(pj__entry(table, index, stride)))
			index = (index + 1) & table->mask;
		memcpy(pj__entry(table, index, stride), entry, stride);
	}
	PJ_VERIFY(table->count <= table->limit && table->limit < entries);
	munmap(old, old_bytes);
	return PJ_OK;
}

pj_status pj__table_reserve(pj__table *table, size_t more, bool *ret_full, pj_error *error)
{
	*ret_full = table->heap_most && table->heap.len > table->heap_most;
	while (!*ret_full && table->count + more > table->limit) {
		const size_t entries = table->mask + 1;
		if (entries >= table->most) {
			*ret_full = true;
			return PJ_OK;
		}
		const size_t bytes = entries * table->stride;
		const size_t times = !table->thrifty || bytes < THRIFTY_BYTES ? 8 : bytes < 4 * THRIFTY_BYTES ? 4 : 2;
		const pj_status status =
			grow(table, entries * times < table->most ? entries * times : table->most, error);
		if (status)
			return status;
	}
	return PJ_OK;
}

char *pj__table_find_long(pj__table *table, pj_bytes bytes, uint64_t hash, bool *fresh)
{
	size_t index = hash & table->mask;
	for (;;) {
		pj__key there;
		char *entry = pj__table_candidate(table, bytes.len, hash, &index, &there);
		*fresh = !(there.word[2] >> 56);
		if (!*fresh) {
			if (memcmp(table->heap.data + there.word[1], bytes.ptr, bytes.len) == 0)
				return entry;
			continue;
		}
		const pj__key key = {{hash, table->heap.len, (uint64_t)PJ__TAG_LONG << 56 | bytes.len}};
		pj_text_bytes(&table->heap, bytes);
		if (table->heap.failed)
			return NULL;
		PJ_VERIFY(table->count < table->mask); /* else the next search would not end */
		memcpy(entry, &key, sizeof key);
		table->count++;
		return entry;
	}
}

char *pj__table_find_bytes(pj__table *table, pj_bytes bytes, bool *fresh)
{
	if (bytes.len > PJ_SLOT_KEY_BYTES)
		return pj__table_find_long(table, bytes, table->hash_long(table->seed, bytes), fresh);
	const pj__key key = pj__key_of_bytes(bytes);
	return pj__table_find(table, key, table->hash(table->seed, key), table->stride, fresh);
}

pj_bytes pj__entry_key(const pj__table *table, const char *entry)
{
	const unsigned char tag = pj__entry_tag(entry);
	if (tag != PJ__TAG_LONG)
		return (pj_bytes){entry, (size_t)tag - 1};
	pj__key key;
	memcpy(&key, entry, sizeof key);
	return (pj_bytes){table->heap.data + key.word[1], key.word[2] & (((uint64_t)1 << 56) - 1)};
}
