/*
 * table.c: see table.h.
 *
 * Fresh memory is dear, so entries are kept and emptied by writing zeros, and a table begins small and grows four times
 * at a time: a small job never pays for a large table. Large tables ask for huge pages, which save most misses of the
 * translation cache.
 */
#include "shuffle/table.h"

#include <stdlib.h>
#include <sys/mman.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { LOAD_PERCENT = 70, HUGE_PAGE = 2 << 20 };

/* Memory of zeros, aligned for huge pages when it is large. */
static char *map_entries(size_t bytes)
{
	void *entries = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (entries == MAP_FAILED)
		return NULL;
	if (bytes >= 4 * (size_t)HUGE_PAGE)
		(void)madvise(entries, bytes, MADV_HUGEPAGE); /* a wish: without it the table is only slower */
	return entries;
}

static size_t power_of_two(size_t least)
{
	size_t power = 64;
	while (power < least && power <= SIZE_MAX / 4)
		power *= 2;
	return power;
}

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

static void set_size(pj__table *table, size_t entries)
{
	table->mask = entries - 1;
	table->limit = entries / 100 * LOAD_PERCENT + entries % 100 * LOAD_PERCENT / 100;
}

/* Gives the table new memory of `entries` zeroed entries; the old memory is handed to the caller. */
static pj_status replace(pj__table *table, size_t entries, pj_error *error)
{
	size_t bytes;
	char *fresh = __builtin_mul_overflow(entries, table->stride, &bytes) ? NULL : map_entries(bytes);
	if (!fresh)
		return pj__no_memory(error, entries * table->stride);
	table->entries = fresh;
	table->allocated = bytes;
	set_size(table, entries);
	return PJ_OK;
}

pj_status pj__table_init(pj__table *table, size_t state_bytes, size_t least, size_t most, uint64_t seed, pj_error *error)
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
	pj__table_clear(table); /* so all of its memory is zero, above the old size, too */
	if (wanted > table->allocated / table->stride) {
		munmap(table->entries, table->allocated);
		table->entries = NULL;
		table->allocated = 0;
		return replace(table, wanted, error);
	}
	set_size(table, wanted);
	return PJ_OK;
}

static uint64_t long_hash(const pj__table *table, pj_bytes key)
{
	return XXH3_64bits_withSeed(key.ptr, key.len, table->seed);
}

static uint64_t entry_hash(const pj__table *table, const char *entry)
{
	if (pj__entry_tag(entry) == PJ__TAG_LONG)
		return long_hash(table, pj__entry_key(table, entry));
	pj__key key;
	memcpy(&key, entry, sizeof key);
	return table->hash(table->seed, key);
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
	*ret_full = false;
	while (table->count + more > table->limit) {
		const size_t entries = table->mask + 1;
		if (entries >= table->most) {
			*ret_full = true;
			return PJ_OK;
		}
		const pj_status status = grow(table, entries * 4 < table->most ? entries * 4 : table->most, error);
		if (status)
			return status;
	}
	return PJ_OK;
}

/* The words of a long key's entry, but for its place in the heap. */
static pj__key long_key(pj_bytes bytes)
{
	pj__key key = {{0, 0, (uint64_t)PJ__TAG_LONG << 56 | bytes.len}};
	memcpy(&key.word[0], bytes.ptr, sizeof key.word[0]);
	return key;
}

char *pj__table_find_bytes(pj__table *table, pj_bytes bytes, bool *fresh)
{
	if (bytes.len <= PJ_SLOT_KEY_BYTES) {
		const pj__key key = pj__key_of_bytes(bytes);
		return pj__table_find(table, key, table->hash(table->seed, key), table->stride, fresh);
	}
	pj__key key = long_key(bytes);
	for (size_t index = long_hash(table, bytes) & table->mask;; index = (index + 1) & table->mask) {
		char *entry = pj__entry(table, index, table->stride);
		pj__key there;
		memcpy(&there, entry, sizeof there);
		if (there.word[2] == key.word[2] && there.word[0] == key.word[0] &&
		    memcmp(table->heap.data + there.word[1], bytes.ptr, bytes.len) == 0) {
			*fresh = false;
			return entry;
		}
		if (there.word[2] >> 56)
			continue;
		key.word[1] = table->heap.len;
		pj_text_bytes(&table->heap, bytes);
		if (table->heap.failed)
			return NULL;
		memcpy(entry, &key, sizeof key);
		table->count++;
		*fresh = true;
		return entry;
	}
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
