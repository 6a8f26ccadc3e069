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
#include "shuffle/long_keys.h"

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

/* ---- long keys: the same, with a pass between the two that finds entries and asks for their keys in the heap ---- */

#if defined(__AVX512VBMI2__)

enum { LONG_AT_A_TIME = 128 };

/* The key, then zeros. */
typedef struct long_key {
	__m512i low, high;
} long_key;

static inline long_key load_long(const char *from, size_t len)
{
	const unsigned low = (unsigned)len, high = low > 64 ? low - 64 : 0; /* of bzhi, 64 and more are all */
	return (long_key){_mm512_maskz_loadu_epi8(_bzhi_u64(~0ull, low), from),
			  _mm512_maskz_loadu_epi8(_bzhi_u64(~0ull, high), from + 64)};
}

/* Four lanes of 16 + 16 bytes get two rounds of AES each, and are mixed into one by three more. */
static inline uint64_t hash_whole(uint64_t seed, const char *key, size_t len)
{
	const __m512i pi = _mm512_set_epi64(0x3f84d5b5b5470917, (long long)0xc0ac29b7c97c50dd,
					    (long long)0xbe5466cf34e90c6c, 0x452821e638d01377, 0x082efa98ec4e6c89,
					    (long long)0xa4093822299f31d0, 0x13198a2e03707344, 0x243f6a8885a308d3);
	const __m512i secret = _mm512_add_epi64(pi, _mm512_set1_epi64((long long)seed));
	const long_key bytes = load_long(key, len);
	__m512i lanes = _mm512_aesenc_epi128(_mm512_xor_si512(bytes.low, secret), bytes.high);
	lanes = _mm512_aesenc_epi128(lanes, secret);
	const __m256i pair = _mm256_aesenc_epi128(_mm512_castsi512_si256(lanes), _mm512_extracti64x4_epi64(lanes, 1));
	__m128i mix = _mm_aesenc_si128(_mm256_castsi256_si128(pair), _mm256_extracti128_si256(pair, 1));
	mix = _mm_aesenc_si128(mix, _mm_set1_epi64x((long long)len));
	mix = _mm_aesenc_si128(mix, _mm512_castsi512_si128(secret));
	return (uint64_t)_mm_cvtsi128_si64(mix);
}

static inline bool is_same_long(const char *a, const char *b, size_t len)
{
	if (PJ_UNLIKELY(len > LONG_AT_A_TIME))
		return memcmp(a, b, len) == 0;
	const long_key x = load_long(a, len), y = load_long(b, len);
	return (_mm512_cmpneq_epi64_mask(x.low, y.low) | _mm512_cmpneq_epi64_mask(x.high, y.high)) == 0;
}

static uint64_t hash_long(uint64_t seed, pj_bytes key)
{
	return PJ_LIKELY(key.len <= LONG_AT_A_TIME) ? hash_whole(seed, key.ptr, key.len)
						    : pj__plain_long_hash(seed, key);
}

#else

static inline bool is_same_long(const char *a, const char *b, size_t len)
{
	uint64_t x[2], y[2], unlike = 0;
	if (PJ_UNLIKELY(len > PJ__STEPS * PJ__STEP))
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

#define hash_long pj__plain_long_hash

#endif

static void look_ahead_long(const pj__table *table, const pj_bytes *keys, size_t count, uint64_t *hashes)
{
	for (size_t i = 0; i < count; i++) {
		hashes[i] = hash_long(table->seed, keys[i]);
		__builtin_prefetch(table->entries + (hashes[i] & table->mask) * table->stride, 1);
	}
}

static bool find_long(pj__table *table, const pj_bytes *keys, const uint64_t *hashes, size_t count, char **entries,
		      bool *fresh)
{
	size_t where[PJ__LONG_AT_ONCE];
	for (size_t i = 0; i < count; i++) {
		size_t index = hashes[i] & table->mask;
		pj__key there;
		entries[i] = pj__table_candidate(table, keys[i].len, hashes[i], &index, &there);
		fresh[i] = !(there.word[2] >> 56);
		where[i] = there.word[1];
		__builtin_prefetch(table->heap.data + where[i]);
		__builtin_prefetch(table->heap.data + where[i] + keys[i].len - 1);
	}
	for (size_t i = 0; i < count; i++) {
		if (PJ_LIKELY(!fresh[i] && is_same_long(table->heap.data + where[i], keys[i].ptr, keys[i].len)))
			continue;
		/* A new key, which an earlier one of these may have brought by now, or one with another's hash. */
		entries[i] = pj__table_find_long(table, keys[i], hashes[i], &fresh[i]);
		if (!entries[i])
			return false;
	}
	return true;
}

const pj__combine_kernel COMBINE_KERNEL = {hash_key,    hash_long,       look_ahead, add_sums,
					   find_states, look_ahead_long, find_long};
