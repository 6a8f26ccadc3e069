/*
 * scan_kernel.h: the loops of the scanner, compiled for each instruction set (isa.h); scan.c says what they are for.
 *
 * The includer defines SCAN_KERNEL, the name of the table of functions it makes.
 */
#include "input/scan.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

/* ---- 64 bytes to a bit mask: bit i is 1 where byte i is white space, or is `byte` ---- */

#if defined(__AVX512VBMI2__)

static inline uint64_t space_mask(const char *at)
{
	const __m512i bytes = _mm512_loadu_si512(at);
	const __m512i from_tab = _mm512_sub_epi8(bytes, _mm512_set1_epi8('\t'));
	return _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(' ')) |
	       _mm512_cmplt_epu8_mask(from_tab, _mm512_set1_epi8('\r' - '\t' + 1));
}

static inline uint64_t byte_mask(const char *at, char byte)
{
	return _mm512_cmpeq_epi8_mask(_mm512_loadu_si512(at), _mm512_set1_epi8(byte));
}

#elif defined(__AVX2__)

static inline uint64_t space_mask_32(const char *at)
{
	const __m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)at);
	const __m256i from_tab = _mm256_sub_epi8(bytes, _mm256_set1_epi8('\t'));
	const __m256i control = _mm256_cmpeq_epi8(_mm256_min_epu8(from_tab, _mm256_set1_epi8('\r' - '\t')), from_tab);
	return (uint32_t)_mm256_movemask_epi8(
		_mm256_or_si256(control, _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(' '))));
}

static inline uint64_t space_mask(const char *at)
{
	return space_mask_32(at) | space_mask_32(at + 32) << 32;
}

static inline uint64_t byte_mask_32(const char *at, char byte)
{
	const __m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)at);
	return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte)));
}

static inline uint64_t byte_mask(const char *at, char byte)
{
	return byte_mask_32(at, byte) | byte_mask_32(at + 32, byte) << 32;
}

#elif defined(__SSE2__) /* every x86-64 has it */

static inline uint64_t space_mask(const char *at)
{
	uint64_t mask = 0;
	for (int i = 0; i < 4; i++) {
		const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(at + 16 * i));
		const __m128i from_tab = _mm_sub_epi8(bytes, _mm_set1_epi8('\t'));
		const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(from_tab, _mm_set1_epi8('\r' - '\t')), from_tab);
		const __m128i space = _mm_or_si128(control, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(' ')));
		mask |= (uint64_t)(unsigned)_mm_movemask_epi8(space) << (16 * i);
	}
	return mask;
}

static inline uint64_t byte_mask(const char *at, char byte)
{
	uint64_t mask = 0;
	for (int i = 0; i < 4; i++) {
		const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(at + 16 * i));
		mask |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte))) << (16 * i);
	}
	return mask;
}

#else

static inline uint64_t space_mask(const char *at)
{
	uint64_t mask = 0;
	for (int i = 0; i < 64; i++)
		mask |= (uint64_t)pj_is_space((unsigned char)at[i]) << i;
	return mask;
}

static inline uint64_t byte_mask(const char *at, char byte)
{
	uint64_t mask = 0;
	for (int i = 0; i < 64; i++)
		mask |= (uint64_t)(at[i] == byte) << i;
	return mask;
}

#endif

/*
 * ---- appends the positions of a mask's bits, counted from `base`; may write up to 64 entries behind the new end ----
 */

#if defined(__AVX512VBMI2__)

static inline uint32_t *put_bits(uint32_t *to, uint64_t bits, uint32_t base)
{
	static const unsigned char counting[64] __attribute__((aligned(64))) = {
		0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
		22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
		44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
	const __m512i found = _mm512_maskz_compress_epi8(bits, _mm512_load_si512(counting));
	const __m512i bases = _mm512_set1_epi32((int)base);
	const int count = __builtin_popcountll(bits);
	_mm512_storeu_si512(to, _mm512_add_epi32(bases, _mm512_cvtepu8_epi32(_mm512_castsi512_si128(found))));
	_mm512_storeu_si512(to + 16,
			    _mm512_add_epi32(bases, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(found, 1))));
	if (PJ_UNLIKELY(count > 32)) {
		_mm512_storeu_si512(to + 32,
				    _mm512_add_epi32(bases, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(found, 2))));
		_mm512_storeu_si512(to + 48,
				    _mm512_add_epi32(bases, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(found, 3))));
	}
	return to + count;
}

#elif defined(__AVX2__)

static inline uint32_t *put_bits(uint32_t *to, uint64_t bits, uint32_t base)
{
	for (uint32_t i = 0; i < 64; i += 8, bits >>= 8) {
		/* of eight bits: the numbers 0 to 7, of which pext keeps those whose bit is set */
		const uint64_t wide = _pdep_u64(bits & 0xff, 0x0101010101010101u) * 0xff;
		const __m128i found = _mm_cvtsi64_si128((long long)_pext_u64(0x0706050403020100u, wide));
		_mm256_storeu_si256((__m256i *)(void *)to,
				    _mm256_add_epi32(_mm256_cvtepu8_epi32(found), _mm256_set1_epi32((int)(base + i))));
		to += __builtin_popcount((unsigned)(bits & 0xff));
	}
	return to;
}

#else

static inline uint32_t *put_bits(uint32_t *to, uint64_t bits, uint32_t base)
{
	for (; bits; bits &= bits - 1)
		*to++ = base + (uint32_t)__builtin_ctzll(bits);
	return to;
}

#endif

/* The same for a mask that has few bits, as a rule: the branches for four of them are foreseen. */
#if defined(__AVX2__) && !defined(__AVX512VBMI2__)

static inline uint32_t *put_few_bits(uint32_t *to, uint64_t bits, uint32_t base)
{
	uint32_t *const end = to + __builtin_popcountll(bits);
	do {
		for (int i = 0; i < 4; i++, bits &= bits - 1)
			*to++ = base + (uint32_t)_tzcnt_u64(bits);
	} while (to < end);
	return end;
}

#else
#define put_few_bits put_bits
#endif

/* ---- the loops, the same for all ---- */

static uint32_t *index_words(uint32_t *to, const char *base, const char *window, const char *stop, const char *text_end,
			     bool inside)
{
	uint64_t before = !inside;
	for (const char *at = window; at < stop; at += 64) {
		uint64_t mask = space_mask(at);
		if (PJ_UNLIKELY(text_end - at < 64))
			mask |= ~0ull << (text_end - at);
		to = put_bits(to, mask ^ (mask << 1 | before), (uint32_t)(at - base));
		before = mask >> 63;
	}
	return to;
}

static uint32_t *index_lines(uint32_t *to, const char *window, const char *stop, const char *text_end)
{
	for (const char *at = window; at < stop; at += 64) {
		uint64_t mask = byte_mask(at, '\n');
		if (PJ_UNLIKELY(text_end - at < 64))
			mask &= ~(~0ull << (text_end - at));
		to = put_bits(to, mask, (uint32_t)(at - window));
	}
	return to;
}

/*
 * The first mark, separator or newline, of each line: a one that is added where a line begins is carried over all bytes
 * that are no marks; out of the 64 bits, it goes on with the next ones.
 *
 *     text              a b ; 1 ; x \n c ; 2 \n
 *     no mark           1 1 0 1 0 1 0  1 0 1 0
 *     a line begins   + 1 0 0 0 0 0 0  1 0 0 0      carries go to the right
 *                     = 0 0 1 1 0 1 0  0 1 1 0
 *     a mark          & 0 0 1 0 1 0 1  0 1 0 1
 *                     = 0 0 1 0 0 0 0  0 1 0 0
 */
static size_t index_pairs(uint32_t *cuts, uint32_t *ends, const char *window, const char *stop, char separator)
{
	const uint32_t *const first = ends;
	uint64_t begins = 1;
	for (const char *at = window; at < stop; at += 64) {
		uint64_t newlines = byte_mask(at, '\n'), marks = byte_mask(at, separator) | newlines, sum;
		if (PJ_UNLIKELY(stop - at < 64))
			newlines &= ~(~0ull << (stop - at));
		const bool goes_on = __builtin_add_overflow(~marks, newlines << 1 | begins, &sum);
		begins = goes_on | newlines >> 63;
		cuts = put_few_bits(cuts, sum & marks, (uint32_t)(at - window));
		ends = put_few_bits(ends, newlines, (uint32_t)(at - window));
	}
	return (size_t)(ends - first);
}

static uint64_t count_newlines(const char *at, const char *end)
{
	uint64_t count = 0;
	for (; end - at >= 64; at += 64)
		count += (uint64_t)__builtin_popcountll(byte_mask(at, '\n'));
	for (; at < end; at++)
		count += *at == '\n';
	return count;
}

const pj__scan_kernel SCAN_KERNEL = {index_words, index_lines, index_pairs, count_newlines};
