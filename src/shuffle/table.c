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

uint64_t pj__plain_hash(uint64_t seed, pj__key key)
{
	const uint64_t first = pj__fold(key.word[0] ^ seed, key.word[1] ^ 0xa0761d6478bd642fu);
	return pj__fold(first ^ key.word[2], seed ^ 0xe7037ed1a0b428dbu);
}

static void set_size(pj__table *table, size_t entries)
{
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
	*table = (pj__table){.seed = seed, .hash = pj__plain_hash, .stride = PJ__KEY_BYTES + (state_bytes + 7) / 8 * 8};
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
		munmap(table->entries, table->allocated);
		table->entries = NULL;
		table->allocated = 0;
		status = replace(table, wanted, error);
	} else {
		set_size(table, wanted);
	}
	if (table->limit < expected) /* a small table is filled further, as it is known to be enough */
		table->limit = expected;
	return status;
}

uint64_t pj__long_hash(const pj__table *table, pj_bytes key)
{
	char copy[PJ__STEPS_BYTES];
	return key.len <= sizeof copy ? pj__hash_and_copy(table->seed, key, copy)
				      : XXH3_64bits_withSeed(key.ptr, key.len, table->seed);
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

/* True if two long keys hold the same bytes. */
static inline bool same_bytes(const char *a, const char *b, size_t len)
{
	uint64_t x[2], y[2], unlike = 0;
	if (PJ_UNLIKELY(len > PJ__STEPS_BYTES))
		return memcmp(a, b, len) == 0;
#pragma GCC unroll 6
	for (size_t i = 0; i < PJ__STEPS; i++) {
		const size_t at = pj__step_at(i, len);
		memcpy(x, a + at, sizeof x);
		memcpy(y, b + at, sizeof y);
		unlike |= (x[0] ^ y[0]) | (x[1] ^ y[1]);
	}
	return unlike == 0;
}

/*
 * The first entry on the way of a long key that is free, or has its hash and length: most likely it is its own. From
 * `index` on, which is set to the one behind.
 */
static inline char *next_candidate(const pj__table *table, pj_bytes bytes, uint64_t hash, size_t *index,
				   pj__key *ret_there)
{
	const uint64_t last = (uint64_t)PJ__TAG_LONG << 56 | bytes.len;
	for (;;) {
		char *entry = pj__entry(table, *index, table->stride);
		*index = (*index + 1) & table->mask;
		memcpy(ret_there, entry, sizeof *ret_there);
		if ((ret_there->word[0] == hash && ret_there->word[2] == last) || !(ret_there->word[2] >> 56))
			return entry;
	}
}

static char *find_long(pj__table *table, pj_bytes bytes, uint64_t hash, bool *fresh)
{
	size_t index = hash & table->mask;
	for (;;) {
		pj__key there;
		char *entry = next_candidate(table, bytes, hash, &index, &there);
		*fresh = !(there.word[2] >> 56);
		if (!*fresh) {
			if (same_bytes(table->heap.data + there.word[1], bytes.ptr, bytes.len))
				return entry;
			continue;
		}
		const pj__key key = {{hash, table->heap.len, (uint64_t)PJ__TAG_LONG << 56 | bytes.len}};
		pj_text_bytes(&table->heap, bytes);
		if (table->heap.failed)
			return NULL;
		memcpy(entry, &key, sizeof key);
		table->count++;
		return entry;
	}
}

bool pj__table_find_long(pj__table *table, const pj_bytes *keys, const uint64_t *hashes, size_t count, char **entries,
			 bool *fresh)
{
	for (size_t i = 0; i < count; i++) {
		size_t index = hashes[i] & table->mask;
		pj__key there;
		entries[i] = next_candidate(table, keys[i], hashes[i], &index, &there);
		fresh[i] = !(there.word[2] >> 56);
		if (fresh[i])
			continue;
		const char *const stored = table->heap.data + there.word[1];
		__builtin_prefetch(stored);
		__builtin_prefetch(stored + 63);
	}
	for (size_t i = 0; i < count; i++) {
		pj__key there;
		memcpy(&there, entries[i], sizeof there);
		if (PJ_LIKELY(!fresh[i] && same_bytes(table->heap.data + there.word[1], keys[i].ptr, keys[i].len)))
			continue;
		/* A new key, which an earlier one of these may have brought by now, or one with another's hash. */
		entries[i] = find_long(table, keys[i], hashes[i], &fresh[i]);
		if (!entries[i])
			return false;
	}
	return true;
}

char *pj__table_find_bytes(pj__table *table, pj_bytes bytes, bool *fresh)
{
	if (bytes.len > PJ_SLOT_KEY_BYTES)
		return find_long(table, bytes, pj__long_hash(table, bytes), fresh);
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
