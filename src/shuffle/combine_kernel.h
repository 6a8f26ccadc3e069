/*
 * combine_kernel.h: a batch of slots into the table, compiled for each instruction set (base/isa.h).
 *
 * Two passes. The first hashes every key of the batch and asks for the memory of its entry; the second, some time
 * later, looks each up. A look-up is a load, a comparison of 24 bytes, and an addition: the cache misses of the whole
 * batch overlap, with each other and with whatever is done between the passes.
 *
 * The includer defines COMBINE_KERNEL, the name of the table of functions it makes.
 */
#include "shuffle/combine.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

/* The first 24 bytes of a slot or entry, in whatever form compares best. */
#if defined(__AVX512VBMI2__)

typedef __m256i key_bytes;

static inline key_bytes load_key(const void *from)
{
	return _mm256_loadu_si256((const __m256i *)from);
}

static inline bool is_same_key(key_bytes a, key_bytes b)
{
	return _mm256_mask_cmpneq_epi64_mask(7, a, b) == 0;
}

static inline void store_key(void *to, key_bytes key)
{
	_mm256_mask_storeu_epi64(to, 7, key);
}

#elif defined(__AVX2__)

typedef __m256i key_bytes;

static inline key_bytes load_key(const void *from)
{
	return _mm256_loadu_si256((const __m256i *)from);
}

static inline bool is_same_key(key_bytes a, key_bytes b)
{
	const __m256i of_key = _mm256_set_epi64x(0, -1, -1, -1);
	return _mm256_testz_si256(_mm256_xor_si256(a, b), of_key);
}

static inline void store_key(void *to, key_bytes key)
{
	_mm256_maskstore_epi64(to, _mm256_set_epi64x(0, -1, -1, -1), key);
}

#else

typedef pj__key key_bytes;

static inline key_bytes load_key(const void *from)
{
	pj__key key;
	memcpy(&key, from, sizeof key);
	return key;
}

static inline bool is_same_key(key_bytes a, key_bytes b)
{
	return ((a.word[0] ^ b.word[0]) | (a.word[1] ^ b.word[1]) | (a.word[2] ^ b.word[2])) == 0;
}

static inline void store_key(void *to, key_bytes key)
{
	memcpy(to, &key, sizeof key);
}

#endif

/* The hash of a key: a few rounds of AES are the quickest good mix where there is an instruction for them. */
#if defined(__AES__)

static inline uint64_t hash_slot(uint64_t seed, const void *slot)
{
	const __m128i key = _mm_set1_epi64x((long long)seed);
	const __m128i low = _mm_loadu_si128((const __m128i *)slot);
	const __m128i high = _mm_loadl_epi64((const __m128i *)(const void *)((const char *)slot + 16));
	__m128i mix = _mm_aesenc_si128(_mm_xor_si128(low, key), high);
	mix = _mm_aesenc_si128(mix, key);
	mix = _mm_aesenc_si128(mix, low);
	return (uint64_t)_mm_cvtsi128_si64(mix);
}

static uint64_t hash_key(uint64_t seed, pj__key key)
{
	return hash_slot(seed, &key);
}

#else

static inline uint64_t hash_slot(uint64_t seed, const void *slot)
{
	return pj__plain_hash(seed, pj__key_of_slot(slot));
}

#define hash_key pj__plain_hash

#endif

/* Pass 1. positions[i]: where the search for slot i begins, in bytes from the table's start. */
static void look_ahead(const pj__table *table, const pj_slot *slots, size_t count, size_t *positions)
{
	char *const entries = table->entries;
	const uint64_t mask = table->mask, seed = table->seed;
	const size_t stride = table->stride;
	for (size_t i = 0; i < count; i++) {
		positions[i] = (hash_slot(seed, &slots[i]) & mask) * stride;
		__builtin_prefetch(entries + positions[i], 1);
	}
}

/* Pass 2, for one slot: its entry, which gets the key if it is free. */
static inline char *find(char *entries, size_t end, size_t stride, size_t position, const pj_slot *slot, size_t *added)
{
	const key_bytes key = load_key(slot);
	for (;;) {
		char *const entry = entries + position;
		if (PJ_LIKELY(is_same_key(load_key(entry), key)))
			return entry;
		if (!pj__entry_tag(entry)) {
			store_key(entry, key);
			++*added;
			return entry;
		}
		position += stride;
		position = position == end ? 0 : position;
	}
}

static void add_sums(pj__table *table, const pj_slot *slots, size_t count, const size_t *positions, pj__evict *evict,
		     void *arg)
{
	enum { STRIDE = PJ__KEY_BYTES + sizeof(int64_t) };
	char *const entries = table->entries;
	const size_t end = (table->mask + 1) * STRIDE;
	size_t added = 0;
	for (size_t i = 0; i < count; i++) {
		char *const entry = find(entries, end, STRIDE, positions[i], &slots[i], &added);
		/* A free entry's state is zero, which is an empty sum. */
		int64_t sum;
		memcpy(&sum, pj__entry_state(entry), sizeof sum);
		if (PJ_UNLIKELY(__builtin_add_overflow(sum, (int64_t)slots[i].value, &sum))) {
			evict(arg, entry);
			sum = (int64_t)slots[i].value;
		}
		memcpy(pj__entry_state(entry), &sum, sizeof sum);
	}
	table->count += added;
}

static inline __attribute__((always_inline)) void find_with_stride(pj__table *table, const pj_slot *slots, size_t count,
								   const size_t *positions, size_t stride,
								   void **states, pj__begin *begin, void *arg)
{
	char *const entries = table->entries;
	const size_t end = (table->mask + 1) * stride;
	size_t added = 0;
	for (size_t i = 0; i < count; i++) {
		const size_t before = added;
		states[i] = pj__entry_state(find(entries, end, stride, positions[i], &slots[i], &added));
		if (added != before && begin)
			begin(states[i], arg);
	}
	table->count += added;
}

static void find_states(pj__table *table, const pj_slot *slots, size_t count, const size_t *positions, void **states,
			pj__begin *begin, void *arg)
{
	/* The commonest sizes as constants. */
	if (table->stride == 32)
		find_with_stride(table, slots, count, positions, 32, states, begin, arg);
	else if (table->stride == 64)
		find_with_stride(table, slots, count, positions, 64, states, begin, arg);
	else
		find_with_stride(table, slots, count, positions, table->stride, states, begin, arg);
}

const pj__combine_kernel COMBINE_KERNEL = {hash_key, look_ahead, add_sums, find_states};
