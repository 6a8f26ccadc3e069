/*
 * wc_limit.c: speed-of-light probe: words separated by white space, counted, in the order of their bytes.
 *
 *     cc -O3 -march=native -o wc_limit wc_limit.c
 *     wc_limit FILE OUT [-w WORKERS] [-p RANGES]      RANGES: a power of two; 2048 for many different words
 *
 * Map. A worker reads 128 KB, finds the starts and ends of words 64 bytes at a time, and takes 128 words at a time:
 * loads and hashes all, asks for the memory of all their entries, then looks all up. When its table is full it is
 * emptied into streams of records, one to a range of keys; the borders of the ranges come from a sample.
 *
 *     entry     0                  22 23 24     31          record     len | count or 255, count | key
 *              | key, zeros         |len| count |           long       255 | 0 | count | len | key
 *
 * Reduce. A worker takes the next range, adds up its records in a small table, sorts, and writes: a range's offset is
 * known once the sizes of all earlier ones are; until then its text waits in a ring of buffers.
 */
#include "probe.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum {
	KEY = 23,
	BATCH = 128,
	SLOTS = 1 << 21,
	FULL = (int)(SLOTS * 0.6),
	LONG_SLOTS = 1 << 14,
	LONG_BYTES = 64 * LONG_SLOTS,
	CHUNK = 128 << 10,
	BEHIND = 4096, /* read after a chunk, for the word that continues there */
	SEGMENT = 4096,
	BLOCK = 8192,
	RING = 64
};

#define ALWAYS static inline __attribute__((always_inline))
#define RARELY(condition) __builtin_expect(condition, 0)

typedef unsigned __int128 prefix; /* the first 16 bytes of a key, big endian */

struct entry {
	uint8_t key[KEY], len;
	uint64_t count;
};

struct long_entry {
	uint64_t hash, at, len, count; /* at: in the bytes of long keys, in the reduce an address */
};

/* A worker's shared memory, in blocks that belong to streams. Offsets count from its base; 0 is none. */
struct arena {
	char *base;
	uint64_t used, capacity;
};

struct block {
	uint64_t next, used;
};

struct stream {
	uint64_t at, end;     /* in the last block: the next record, and where it is full */
	uint64_t last, first; /* blocks */
	uint64_t records, longs;
};

struct common {
	_Atomic uint64_t next_byte;
	char apart[56];
	_Atomic uint64_t next_range;
	_Atomic unsigned arrived;
};

static unsigned workers = 2;
static uint32_t ranges = 1024;
static struct common *common;
static struct arena *arenas;
static struct stream **streams;      /* [worker][range] */
static _Atomic uint64_t *text_sizes; /* of each range's text, plus 1 */
static prefix *splitters;            /* the last one is above everything */

/* ------------------------------------------------------------------------------------------------------- keys */

ALWAYS __m256i load_key(const char *from, uint32_t len)
{
	return _mm256_mask_set1_epi8(_mm256_maskz_loadu_epi8(_bzhi_u32(0xffffffffu, len), from), 1u << KEY, (char)len);
}

ALWAYS uint64_t hash_key(__m256i key)
{
	const __m128i low = _mm256_castsi256_si128(key), high = _mm256_extracti128_si256(key, 1);
	const __m128i mix = _mm_set_epi64x((long long)0xa0761d6478bd642f, (long long)0xe7037ed1a0b428db);
	__m128i hash = _mm_aesenc_si128(_mm_xor_si128(low, mix), high);
	hash = _mm_aesenc_si128(_mm_aesenc_si128(hash, mix), low);
	return (uint64_t)_mm_cvtsi128_si64(hash);
}

static uint64_t hash_long(const char *key, uint64_t len)
{
	__m128i hash = _mm_set_epi64x((long long)len, (long long)0x9e3779b97f4a7c15);
	for (uint64_t i = 0; i + 16 <= len; i += 16)
		hash = _mm_aesenc_si128(hash, _mm_loadu_si128((const void *)(key + i)));
	hash = _mm_aesenc_si128(hash, _mm_loadu_si128((const void *)(key + len - 16)));
	hash = _mm_aesenc_si128(hash, hash);
	return (uint64_t)_mm_cvtsi128_si64(_mm_aesenc_si128(hash, hash));
}

/* Are key and length the same? The upper 8 bytes of `key` are not part of it. */
ALWAYS int is_same(const struct entry *entry, __m256i key)
{
	const __m128i low = _mm256_castsi256_si128(key);
	const __m128i middle = _mm_alignr_epi8(_mm256_extracti128_si256(key, 1), low, 8);
	const __m128i there = _mm_loadu_si128((const void *)entry);
	const __m128i behind = _mm_loadu_si128((const void *)((const char *)entry + 8));
	const __m128i differ = _mm_ternarylogic_epi64(_mm_xor_si128(there, low), behind, middle, 0xf6);
	return _mm_testz_si128(differ, differ);
}

ALWAYS prefix first_16(const void *from)
{
	return (prefix)first_8(from) << 64 | first_8((const char *)from + 8);
}

/* One step of the search for a range: the splitters at or below the key's prefix are counted, without a branch. */
ALWAYS uint32_t search_step(uint32_t at, uint32_t half, uint64_t high, uint64_t low)
{
	const prefix splitter = splitters[at + half - 1];
	const uint64_t its_high = (uint64_t)(splitter >> 64), its_low = (uint64_t)splitter;
	uint32_t above = (uint32_t)(its_high < high) | ((uint32_t)(its_high == high) & (uint32_t)(its_low <= low));
	__asm__("" : "+r"(above));
	return at + (half & -above);
}

static uint32_t range_of(prefix key)
{
	uint32_t at = 0;
	for (uint32_t half = ranges / 2; half; half /= 2)
		at = search_step(at, half, (uint64_t)(key >> 64), (uint64_t)key);
	return at;
}

/* ---------------------------------------------------------------------------------------------------- streams */

static __attribute__((noinline)) void add_block(unsigned worker, struct stream *stream, uint64_t room)
{
	struct arena *arena = &arenas[worker];
	const uint64_t wanted = (room + sizeof(struct block) + 64 + 63) & ~63ull;
	const uint64_t bytes = wanted > BLOCK ? wanted : BLOCK, start = arena->used;
	if (start + bytes > arena->capacity)
		die("the arena is full");
	arena->used += bytes;
	if (stream->first) {
		struct block *last = (struct block *)(arena->base + stream->last);
		last->used = stream->at - stream->last - sizeof *last;
		last->next = start;
	} else {
		stream->first = start;
	}
	stream->last = start;
	stream->at = start + sizeof(struct block);
	stream->end = start + bytes - 64;
}

ALWAYS void put_short(unsigned worker, uint32_t range, const struct entry *entry)
{
	struct stream *stream = &streams[worker][range];
	if (RARELY(stream->at + 48 > stream->end))
		add_block(worker, stream, 48);
	char *to = arenas[worker].base + stream->at;
	uint64_t head = 2;
	to[0] = (char)entry->len;
	to[1] = (char)entry->count;
	if (RARELY(entry->count >= 255)) {
		to[1] = (char)255;
		memcpy(to + 2, &entry->count, 8);
		head = 10;
	}
	_mm256_storeu_si256((void *)(to + head), _mm256_load_si256((const void *)entry));
	stream->at += head + entry->len;
	stream->records++;
}

static void put_long(unsigned worker, const char *key, uint64_t len, uint64_t count)
{
	struct stream *stream = &streams[worker][range_of(first_16(key))];
	if (stream->at + len + 24 > stream->end)
		add_block(worker, stream, len + 24);
	char *to = arenas[worker].base + stream->at;
	to[0] = (char)255;
	to[1] = 0;
	memcpy(to + 2, &count, 8);
	memcpy(to + 10, &len, 8);
	memcpy(to + 18, key, len);
	stream->at += 18 + len;
	stream->longs++;
}

/* -------------------------------------------------------------------------------------------------------- map */

struct mapping {
	unsigned worker;
	int fd;
	uint64_t size; /* of the file */
	struct entry *table;
	uint64_t used;
	struct long_entry *longs;
	char *long_keys;
	uint64_t longs_used, long_bytes;
	char *text; /* 64 bytes can be read before it, and after what is held */
	uint64_t capacity, held;
	/* words of a segment: starts[0 .. start_count), ends[0 .. end_count); an end without start goes to ends[-1] */
	uint32_t *starts, *ends;
	int64_t start_count, end_count;
	__m512i counting; /* bytes 0 to 63 */
};

static void flush_longs(struct mapping *mapping)
{
	for (unsigned i = 0; i < LONG_SLOTS; i++) {
		const struct long_entry *entry = &mapping->longs[i];
		if (entry->count)
			put_long(mapping->worker, mapping->long_keys + entry->at, entry->len, entry->count);
	}
	memset(mapping->longs, 0, LONG_SLOTS * sizeof *mapping->longs);
	mapping->longs_used = mapping->long_bytes = 0;
}

static __attribute__((noinline)) void add_long(struct mapping *mapping, const char *key, uint64_t len)
{
	if (len > LONG_BYTES / 4) {
		put_long(mapping->worker, key, len, 1);
		return;
	}
	if (mapping->longs_used >= LONG_SLOTS * 3 / 4 || mapping->long_bytes + len > LONG_BYTES)
		flush_longs(mapping);
	const uint64_t hash = hash_long(key, len);
	for (uint64_t i = hash;; i++) {
		struct long_entry *entry = &mapping->longs[i % LONG_SLOTS];
		if (!entry->count) {
			*entry = (struct long_entry){hash, mapping->long_bytes, len, 1};
			memcpy(mapping->long_keys + mapping->long_bytes, key, len);
			mapping->long_bytes += len;
			mapping->longs_used++;
			return;
		}
		if (entry->hash == hash && entry->len == len && !memcmp(mapping->long_keys + entry->at, key, len)) {
			entry->count++;
			return;
		}
	}
}

/* Writes some entries to their streams: their ranges are searched side by side. */
static inline void flush_some(const struct mapping *mapping, const uint32_t *at, uint32_t count)
{
	uint64_t high[64], low[64];
	uint32_t range[64];
	for (uint32_t i = 0; i < count; i++) {
		const prefix key = first_16(mapping->table[at[i]].key);
		high[i] = (uint64_t)(key >> 64);
		low[i] = (uint64_t)key;
		range[i] = 0;
	}
	for (uint32_t half = ranges / 2; half; half /= 2)
		for (uint32_t i = 0; i < count; i++)
			range[i] = search_step(range[i], half, high[i], low[i]);
	for (uint32_t i = 0; i < count; i++)
		__builtin_prefetch(arenas[mapping->worker].base + streams[mapping->worker][range[i]].at, 1);
	for (uint32_t i = 0; i < count; i++)
		put_short(mapping->worker, range[i], &mapping->table[at[i]]);
}

static __attribute__((noinline)) void flush_table(struct mapping *mapping)
{
	uint32_t at[65], count = 0;
	for (uint32_t i = 0; i < SLOTS; i++) {
		at[count] = i;
		count += mapping->table[i].len != 0;
		if (count == 64) {
			flush_some(mapping, at, count);
			count = 0;
		}
	}
	flush_some(mapping, at, count);
	memset(mapping->table, 0, SLOTS * sizeof *mapping->table);
	mapping->used = 0;
}

static __attribute__((noinline)) void count_words(struct mapping *mapping, const uint32_t *starts, const uint32_t *ends,
						  uint32_t count)
{
	_Alignas(64) __m256i keys[BATCH];
	uint64_t hashes[BATCH];
	struct entry *table = mapping->table;
	for (uint32_t done = 0; done < count; done += BATCH) {
		const uint32_t some = count - done < BATCH ? count - done : BATCH;
		uint32_t shorts = 0;
		if (mapping->used + BATCH > FULL)
			flush_table(mapping);
		for (uint32_t i = 0; i < some; i++) {
			const uint32_t start = starts[done + i], len = ends[done + i] - start;
			if (RARELY(len > KEY)) {
				add_long(mapping, mapping->text + start, len);
				continue;
			}
			keys[shorts] = load_key(mapping->text + start, len);
			hashes[shorts] = hash_key(keys[shorts]) % SLOTS;
			__builtin_prefetch(&table[hashes[shorts]], 1);
			shorts++;
		}
		for (uint32_t i = 0; i < shorts; i++) {
			const __m256i key = keys[i];
			uint64_t at = hashes[i];
			while (RARELY(!is_same(&table[at], key))) {
				if (!table[at].len) {
					_mm256_store_si256((void *)&table[at], key);
					mapping->used++;
					break;
				}
				at = (at + 1) % SLOTS;
			}
			table[at].count++;
		}
	}
}

static int is_space(unsigned char byte)
{
	return byte == ' ' || (byte >= 9 && byte <= 13);
}

ALWAYS uint64_t spaces_of(const char *text)
{
	const __m512i bytes = _mm512_loadu_si512(text);
	return _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(' ')) |
	       _mm512_cmplt_epu8_mask(_mm512_sub_epi8(bytes, _mm512_set1_epi8(9)), _mm512_set1_epi8(5));
}

/* Writes the places of the set bits, counted from `base`; returns how many they are. */
ALWAYS int64_t put_places(uint32_t *to, uint64_t bits, uint32_t base, __m512i counting)
{
	const __m512i places = _mm512_maskz_compress_epi8(bits, counting), from = _mm512_set1_epi32((int)base);
	const int64_t count = __builtin_popcountll(bits);
	_mm512_storeu_si512(to, _mm512_add_epi32(from, _mm512_cvtepu8_epi32(_mm512_castsi512_si128(places))));
	if (RARELY(count > 16)) {
		const __m128i second = _mm512_extracti32x4_epi32(places, 1),
			      third = _mm512_extracti32x4_epi32(places, 2);
		_mm512_storeu_si512(to + 16, _mm512_add_epi32(from, _mm512_cvtepu8_epi32(second)));
		_mm512_storeu_si512(to + 32, _mm512_add_epi32(from, _mm512_cvtepu8_epi32(third)));
	}
	return count;
}

/* Counts the whole words of `limit` bytes of text; one that is still open at the end is left in starts[0]. */
static inline void scan(struct mapping *mapping, uint64_t limit, uint64_t before_is_space)
{
	uint64_t before = before_is_space;
	mapping->start_count = 0;
	mapping->end_count = before ? 0 : -1;
	for (uint64_t segment = 0; segment < limit; segment += SEGMENT) {
		const uint64_t stop = segment + SEGMENT < limit ? segment + SEGMENT : limit;
		int64_t starts = mapping->start_count, ends = mapping->end_count;
		for (uint64_t at = segment; at < stop; at += 64) {
			const uint64_t spaces = spaces_of(mapping->text + at), shifted = spaces << 1 | before;
			before = spaces >> 63;
			starts += put_places(mapping->starts + starts, ~spaces & shifted, (uint32_t)at,
					     mapping->counting);
			ends += put_places(mapping->ends + ends, spaces & ~shifted, (uint32_t)at, mapping->counting);
		}
		if (ends > 0)
			count_words(mapping, mapping->starts, mapping->ends, (uint32_t)ends);
		if (ends >= 0 && starts > ends)
			mapping->starts[0] = mapping->starts[ends];
		mapping->start_count = ends >= 0 && starts > ends;
		mapping->end_count = ends >= 0 ? 0 : ends;
	}
}

/* The word that was open at the end of a chunk: its end is searched for after the chunk, as far as needed. */
static void count_open_word(struct mapping *mapping, uint64_t offset)
{
	const uint32_t start = mapping->starts[0];
	uint64_t end = start;
	for (;;) {
		while (end < mapping->held && !is_space((unsigned char)mapping->text[end]))
			end++;
		const uint64_t left = mapping->size - offset - mapping->held;
		if (end < mapping->held || !left)
			break;
		const uint64_t more = mapping->held < left ? mapping->held : left;
		if (mapping->held + more > mapping->capacity) {
			mapping->capacity = 2 * (mapping->held + more);
			char *larger = 64 + (char *)map_memory(mapping->capacity + 256, 0, 0);
			memcpy(larger, mapping->text, mapping->held);
			mapping->text = larger;
		}
		read_at(mapping->fd, mapping->text + mapping->held, more, offset + mapping->held);
		mapping->held += more;
	}
	if (end - start > KEY)
		add_long(mapping, mapping->text + start, end - start);
	else
		count_words(mapping, &start, &(uint32_t){(uint32_t)end}, 1);
}

static void map_chunk(struct mapping *mapping, uint64_t offset)
{
	const uint64_t left = mapping->size - offset;
	char before = ' ';
	mapping->held = left < CHUNK + BEHIND ? left : CHUNK + BEHIND;
	read_at(mapping->fd, mapping->text, mapping->held, offset);
	if (offset)
		read_at(mapping->fd, &before, 1, offset - 1);
	memset(mapping->text + mapping->held, ' ', 128);
	scan(mapping, mapping->held < CHUNK ? mapping->held : CHUNK, (uint64_t)is_space((unsigned char)before));
	if (mapping->start_count)
		count_open_word(mapping, offset);
}

static void map_all(unsigned worker, int fd, uint64_t size)
{
	struct mapping mapping = {.worker = worker, .fd = fd, .size = size, .capacity = CHUNK + 2 * BEHIND};
	char counting[64];
	for (int i = 0; i < 64; i++)
		counting[i] = (char)i;
	mapping.counting = _mm512_loadu_si512(counting);
	mapping.table = map_memory(SLOTS * sizeof *mapping.table, 0, 1);
	mapping.longs = map_memory(LONG_SLOTS * sizeof *mapping.longs, 0, 0);
	mapping.long_keys = map_memory(LONG_BYTES + 64, 0, 0);
	mapping.text = 64 + (char *)map_memory(mapping.capacity + 256, 0, 0);
	mapping.starts = map_memory((SEGMENT + 128) * sizeof *mapping.starts, 0, 0);
	mapping.ends = 64 + (uint32_t *)map_memory((SEGMENT + 256) * sizeof *mapping.ends, 0, 0);
	for (;;) {
		const uint64_t offset = atomic_fetch_add(&common->next_byte, CHUNK);
		if (offset >= size)
			break;
		map_chunk(&mapping, offset);
	}
	flush_table(&mapping);
	flush_longs(&mapping);
	for (uint32_t range = 0; range < ranges; range++) {
		const struct stream *stream = &streams[worker][range];
		if (stream->first) {
			struct block *last = (struct block *)(arenas[worker].base + stream->last);
			*last = (struct block){.used = stream->at - stream->last - sizeof *last};
		}
	}
}

/* ----------------------------------------------------------------------------------------------------- reduce */

#define IS_LONG 0x80000000u

/* A range's text that waits for its offset. */
struct waiting {
	char *text;
	uint64_t capacity, size;
	uint32_t range;
};

struct reducing {
	struct entry *table;
	uint64_t mask, capacity, used;
	struct long_entry *longs;
	uint64_t long_mask, long_capacity, longs_used;
	uint32_t *order; /* indexes of entries, with IS_LONG of long ones */
	uint64_t *packed, *spare;
	uint64_t order_capacity;
	struct waiting ring[RING];
	uint32_t head, tail; /* of the ring */
	uint32_t ranges_known;
	uint64_t offset; /* of range `ranges_known` */
	int fd;
};

static void add_to_long(struct reducing *reducing, const char *key, uint64_t len, uint64_t count)
{
	const uint64_t hash = hash_long(key, len);
	for (uint64_t i = hash;; i++) {
		struct long_entry *entry = &reducing->longs[i & reducing->long_mask];
		if (!entry->count) {
			*entry = (struct long_entry){hash, (uint64_t)(uintptr_t)key, len, count};
			reducing->longs_used++;
			return;
		}
		if (entry->hash == hash && entry->len == len && !memcmp((char *)(uintptr_t)entry->at, key, len)) {
			entry->count += count;
			return;
		}
	}
}

ALWAYS void add_to_short(struct reducing *reducing, __m256i key, uint64_t count)
{
	uint64_t at = hash_key(key) & reducing->mask;
	while (!is_same(&reducing->table[at], key)) {
		if (!reducing->table[at].len) {
			_mm256_store_si256((void *)&reducing->table[at], key);
			reducing->table[at].count = 0;
			reducing->used++;
			break;
		}
		at = (at + 1) & reducing->mask;
	}
	reducing->table[at].count += count;
}

/* Adds the records of a block; returns the bytes of its long keys. */
static uint64_t add_block_of(struct reducing *reducing, const struct block *block)
{
	const char *at = (const char *)(block + 1), *const end = at + block->used;
	uint64_t long_bytes = 0;
	while (at < end) {
		const uint8_t len = (uint8_t)at[0];
		uint64_t count = (uint8_t)at[1], head = 2;
		if (RARELY(len == 255)) {
			uint64_t long_len;
			memcpy(&count, at + 2, 8);
			memcpy(&long_len, at + 10, 8);
			add_to_long(reducing, at + 18, long_len, count);
			long_bytes += long_len;
			at += 18 + long_len;
			continue;
		}
		if (RARELY(count == 255)) {
			memcpy(&count, at + 2, 8);
			head = 10;
		}
		add_to_short(reducing, load_key(at + head, len), count);
		at += head + len;
	}
	return long_bytes;
}

static void make_tables(struct reducing *reducing, uint64_t records, uint64_t longs)
{
	uint64_t entries = 1024, long_entries = 64;
	while (entries < records + records / 4)
		entries *= 2;
	while (long_entries < 2 * longs)
		long_entries *= 2;
	if (entries > reducing->capacity) {
		if (reducing->table)
			munmap(reducing->table, reducing->capacity * sizeof *reducing->table);
		reducing->table = map_memory(entries * sizeof *reducing->table, 0, 0);
		reducing->capacity = entries;
	}
	if (long_entries > reducing->long_capacity) {
		free(reducing->longs);
		reducing->longs = malloc(long_entries * sizeof *reducing->longs);
		reducing->long_capacity = long_entries;
	}
	memset(reducing->table, 0, entries * sizeof *reducing->table);
	memset(reducing->longs, 0, long_entries * sizeof *reducing->longs);
	reducing->mask = entries - 1;
	reducing->long_mask = long_entries - 1;
	reducing->used = reducing->longs_used = 0;
}

/* Lists the entries; returns their number. */
static uint32_t list_entries(struct reducing *reducing)
{
	const uint64_t count = reducing->used + reducing->longs_used;
	if (count + 1 > reducing->order_capacity) {
		reducing->order_capacity = 2 * count + 1024;
		free(reducing->order);
		free(reducing->packed);
		free(reducing->spare);
		reducing->order = malloc(reducing->order_capacity * sizeof *reducing->order);
		reducing->packed = malloc(reducing->order_capacity * sizeof *reducing->packed);
		reducing->spare = malloc((reducing->order_capacity + 16) * sizeof *reducing->spare);
	}
	uint32_t found = 0;
	for (uint64_t i = 0; found < reducing->used; i++) {
		reducing->order[found] = (uint32_t)i;
		found += reducing->table[i].len != 0;
	}
	for (uint64_t i = 0; found < count; i++)
		if (reducing->longs[i].count)
			reducing->order[found++] = (uint32_t)i | IS_LONG;
	return found;
}

ALWAYS const char *key_at(const struct reducing *reducing, uint32_t index, uint64_t *ret_len)
{
	if (index & IS_LONG) {
		const struct long_entry *entry = &reducing->longs[index & ~IS_LONG];
		*ret_len = entry->len;
		return (const char *)(uintptr_t)entry->at;
	}
	*ret_len = reducing->table[index].len;
	return (const char *)reducing->table[index].key;
}

/* 8 bytes of the key from `depth` on, zeros after its end. */
ALWAYS uint64_t bytes_at(const struct reducing *reducing, uint32_t index, uint64_t depth)
{
	uint64_t len;
	const char *key = key_at(reducing, index, &len);
	if (depth >= len)
		return 0;
	const uint64_t word = first_8(key + depth), left = len - depth;
	return left < 8 ? word & ~(~0ull >> (8 * left)) : word;
}

static int compare(const struct reducing *reducing, uint32_t a, uint32_t b, uint64_t depth)
{
	uint64_t a_len, b_len;
	const char *a_key = key_at(reducing, a, &a_len), *b_key = key_at(reducing, b, &b_len);
	const uint64_t least = a_len < b_len ? a_len : b_len, from = depth < least ? depth : least;
	const int differ = memcmp(a_key + from, b_key + from, least - from);
	return differ ? differ : (a_len > b_len) - (a_len < b_len);
}

static void insertion_sort(const struct reducing *reducing, uint32_t *order, uint32_t count, uint64_t depth)
{
	for (uint32_t i = 1; i < count; i++) {
		const uint32_t item = order[i];
		uint32_t j = i;
		for (; j && compare(reducing, order[j - 1], item, depth) > 0; j--)
			order[j] = order[j - 1];
		order[j] = item;
	}
}

static uint64_t longest_of(const struct reducing *reducing, const uint32_t *order, uint32_t count)
{
	uint64_t longest = 0, len;
	for (uint32_t i = 0; i < count; i++) {
		key_at(reducing, order[i], &len);
		longest = len > longest ? len : longest;
	}
	return longest;
}

/* Sorts by 8 bytes at a time: as many of them as fit above an index in 64 bits, then what is equal by what follows. */
static void sort_order(const struct reducing *reducing, uint32_t *order, uint32_t count, uint64_t depth)
{
	uint64_t *const packed = reducing->packed + (order - reducing->order);
	uint64_t least = 0, most = 0;
	for (; count > 12; depth += 8) {
		least = UINT64_MAX, most = 0;
		for (uint32_t i = 0; i < count; i++) {
			packed[i] = bytes_at(reducing, order[i], depth);
			least = packed[i] < least ? packed[i] : least;
			most = packed[i] > most ? packed[i] : most;
		}
		if (least != most || longest_of(reducing, order, count) <= depth + 8)
			break;
	}
	if (count <= 12 || least == most) {
		insertion_sort(reducing, order, count, depth);
		return;
	}
	const int shift = __builtin_clzll(most - least);
	const uint64_t index = (1ull << (32 - __builtin_clz(count - 1))) - 1;
	uint32_t *const before = malloc(count * sizeof *before);
	memcpy(before, order, count * sizeof *before);
	for (uint32_t i = 0; i < count; i++)
		packed[i] = (((packed[i] - least) << shift) & ~index) | i;
	sort_u64(packed, count, 60, reducing->spare);
	for (uint32_t i = 0; i < count; i++)
		order[i] = before[packed[i] & index];
	uint32_t equal = 0; /* pairs of borders, over `before` */
	for (uint32_t i = 0, j; i < count; i = j) {
		for (j = i + 1; j < count && (packed[j] | index) == (packed[i] | index); j++)
			;
		if (j - i > 1) {
			before[equal++] = i;
			before[equal++] = j;
		}
	}
	for (uint32_t i = 0; i < equal; i += 2)
		sort_order(reducing, order + before[i], before[i + 1] - before[i], depth);
	free(before);
}

ALWAYS char *put_number(char *to, uint64_t number)
{
	char digits[24];
	int at = 24;
	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	memcpy(to, digits + at, (size_t)(24 - at));
	return to + 24 - at;
}

static void format(struct reducing *reducing, struct waiting *waiting, uint32_t count, uint64_t long_bytes)
{
	const uint64_t most = count * (uint64_t)(KEY + 24) + long_bytes + 128;
	if (most > waiting->capacity) {
		if (waiting->text)
			munmap(waiting->text, waiting->capacity);
		waiting->capacity = 2 * most;
		waiting->text = map_memory(waiting->capacity, 0, 0);
	}
	char *to = waiting->text;
	for (uint32_t i = 0; i < count; i++) {
		const uint32_t index = reducing->order[i];
		uint64_t number;
		if (index & IS_LONG) {
			const struct long_entry *entry = &reducing->longs[index & ~IS_LONG];
			memcpy(to, (const char *)(uintptr_t)entry->at, entry->len);
			to += entry->len;
			number = entry->count;
		} else {
			const struct entry *entry = &reducing->table[index];
			_mm256_storeu_si256((void *)to, _mm256_load_si256((const void *)entry));
			to += entry->len;
			number = entry->count;
		}
		*to++ = '\t';
		to = put_number(to, number);
		*to++ = '\n';
	}
	waiting->size = (uint64_t)(to - waiting->text);
}

/* Writes the texts whose offsets are known; `all`: waits for them. Else only as many as make room for one more. */
static void drain(struct reducing *reducing, int all)
{
	while (reducing->tail != reducing->head) {
		const struct waiting *waiting = &reducing->ring[reducing->tail % RING];
		while (reducing->ranges_known < waiting->range) {
			const uint64_t size =
				atomic_load_explicit(&text_sizes[reducing->ranges_known], memory_order_acquire);
			if (!size)
				break;
			reducing->offset += size - 1;
			reducing->ranges_known++;
		}
		if (reducing->ranges_known == waiting->range) {
			write_at(reducing->fd, waiting->text, waiting->size, reducing->offset);
			reducing->tail++;
		} else if (all || reducing->head - reducing->tail == RING) {
			sched_yield();
		} else {
			return;
		}
	}
}

static void reduce_range(struct reducing *reducing, uint32_t range)
{
	uint64_t records = 0, longs = 0, long_bytes = 0;
	for (unsigned worker = 0; worker < workers; worker++) {
		records += streams[worker][range].records;
		longs += streams[worker][range].longs;
	}
	make_tables(reducing, records, longs);
	for (unsigned worker = 0; worker < workers; worker++) {
		const char *base = arenas[worker].base;
		for (uint64_t at = streams[worker][range].first; at; at = ((const struct block *)(base + at))->next)
			long_bytes += add_block_of(reducing, (const struct block *)(base + at));
	}
	const uint32_t count = list_entries(reducing);
	sort_order(reducing, reducing->order, count, 0);
	struct waiting *waiting = &reducing->ring[reducing->head++ % RING];
	format(reducing, waiting, count, long_bytes);
	waiting->range = range;
	atomic_store_explicit(&text_sizes[range], waiting->size + 1, memory_order_release);
	drain(reducing, 0);
}

static void reduce_all(int fd)
{
	struct reducing reducing = {.fd = fd};
	for (;;) {
		const uint64_t range = atomic_fetch_add(&common->next_range, 1);
		if (range >= ranges)
			break;
		reduce_range(&reducing, (uint32_t)range);
	}
	drain(&reducing, 1);
}

/* ------------------------------------------------------------------------------------------------------- main */

static int by_prefix(const void *a, const void *b)
{
	const prefix x = *(const prefix *)a, y = *(const prefix *)b;
	return (x > y) - (x < y);
}

/* The words of a piece that were not seen before. */
static uint64_t sample_piece(const char *piece, int64_t size, uint8_t *seen, prefix *keys, uint64_t count,
			     uint64_t most)
{
	int64_t at = 0;
	while (at < size && !is_space((unsigned char)piece[at]))
		at++;
	while (at < size) {
		while (at < size && is_space((unsigned char)piece[at]))
			at++;
		const int64_t start = at;
		while (at < size && !is_space((unsigned char)piece[at]))
			at++;
		const uint64_t len = (uint64_t)(at - start);
		if (!len || at == size)
			continue;
		const uint64_t hash =
			len > KEY ? hash_long(piece + start, len) : hash_key(load_key(piece + start, (uint32_t)len));
		if (seen[hash & 0xfffff] || count == most)
			continue;
		char first[16] = {0};
		memcpy(first, piece + start, len < 16 ? len : 16);
		seen[hash & 0xfffff] = 1;
		keys[count++] = first_16(first);
	}
	return count;
}

/* Splitters from the different words of a megabyte. */
static void sample(int fd, uint64_t size)
{
	enum { PIECES = 64, PIECE = 16384, MOST = 400000 };
	prefix *keys = malloc(MOST * sizeof *keys);
	uint8_t *seen = calloc(1 << 20, 1);
	char *piece = malloc(PIECE + 64);
	uint64_t count = 0;
	for (uint64_t i = 0; i < PIECES; i++) {
		const ssize_t got = pread(fd, piece, PIECE, (off_t)(i * (size / PIECES)));
		if (got < 0)
			die("pread");
		memset(piece + got, 0, 64);
		count = sample_piece(piece, got, seen, keys, count, MOST);
	}
	qsort(keys, count, sizeof *keys, by_prefix);
	for (uint64_t i = 0; i + 1 < ranges; i++)
		splitters[i] = count ? keys[(i + 1) * count / ranges] : 0;
	splitters[ranges - 1] = ~(prefix)0;
	free(keys);
	free(seen);
	free(piece);
}

static void make_common(void)
{
	common = map_memory(sizeof *common, 1, 0);
	splitters = map_memory(ranges * sizeof *splitters, 1, 0);
	text_sizes = map_memory((ranges + 1) * sizeof *text_sizes, 1, 0);
	arenas = map_memory(workers * sizeof *arenas, 1, 0);
	streams = map_memory(workers * sizeof *streams, 1, 0);
	for (unsigned worker = 0; worker < workers; worker++) {
		const uint64_t capacity = 16ull << 30;
		streams[worker] = map_memory(ranges * sizeof **streams, 1, 0);
		arenas[worker] = (struct arena){map_memory(capacity, 1, 0), 64, capacity};
	}
}

static void work(unsigned worker, int in, uint64_t size, int out)
{
	map_all(worker, in, size);
	atomic_fetch_add(&common->arrived, 1);
	while (atomic_load(&common->arrived) < workers)
		usleep(50);
	reduce_all(out);
	_exit(0);
}

int main(int argc, char **argv)
{
	for (int option; (option = getopt(argc, argv, "w:p:")) > 0;) {
		const unsigned long value = option == '?' ? 0 : strtoul(optarg, NULL, 10);
		if (option == 'w' && value)
			workers = (unsigned)value;
		else if (option == 'p' && value && !(value & (value - 1)))
			ranges = (uint32_t)value;
		else
			return 2;
	}
	if (argc - optind != 2)
		return 2;
	const int in = open(argv[optind], O_RDONLY), out = open(argv[optind + 1], O_RDWR | O_CREAT, 0644);
	struct stat is;
	if (in < 0 || out < 0 || fstat(in, &is) < 0)
		die("open");
	make_common();
	sample(in, (uint64_t)is.st_size);
	for (unsigned worker = 0; worker < workers; worker++)
		if (fork() == 0)
			work(worker, in, (uint64_t)is.st_size, out);
	int how, failed = 0;
	while (wait(&how) > 0)
		failed |= how;
	uint64_t bytes = 0;
	for (uint32_t range = 0; range < ranges; range++)
		bytes += text_sizes[range] - 1;
	if (failed || ftruncate(out, (off_t)bytes) < 0)
		die("failed");
	return 0;
}
