/*
 * scan.c: see scan.h.
 *
 * The text is classified 64 bytes at a time into a bit mask (1: white space). A border is where the class changes, so
 * the borders of 64 bytes are the set bits of
 *
 *     mask ^ (mask << 1 | class of the byte before)
 *
 * and they alternate: start of a word, end, start, end, ... A word that is still open at the end of a window is carried
 * over as the first start of the next one. Behind the end of the text everything counts as white space, which closes
 * the last word.
 *
 *     text     ..the quick\n       mask   1100010000011      borders  2 5 6 11
 *
 * Positions count from the window's start (or from where the carried word starts), so 32 bits do for texts below 4 GB.
 */
#include "input/scan.h"

/* 64 bytes to a mask of their white space. */
static inline uint64_t space_mask(const char *at)
{
	uint64_t mask = 0;
#if defined(__SSE2__)
	for (int i = 0; i < 4; i++) {
		const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(at + 16 * i));
		const __m128i from_tab = _mm_sub_epi8(bytes, _mm_set1_epi8('\t'));
		const __m128i is_control = _mm_cmpeq_epi8(_mm_min_epu8(from_tab, _mm_set1_epi8(4)), from_tab);
		const __m128i is_space = _mm_or_si128(is_control, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(' ')));
		mask |= (uint64_t)(unsigned)_mm_movemask_epi8(is_space) << (16 * i);
	}
#else
	for (int i = 0; i < 64; i++)
		mask |= (uint64_t)pj_is_space((unsigned char)at[i]) << i;
#endif
	return mask;
}

static inline uint64_t newline_mask(const char *at)
{
	uint64_t mask = 0;
#if defined(__SSE2__)
	for (int i = 0; i < 4; i++) {
		const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(at + 16 * i));
		mask |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\n'))) << (16 * i);
	}
#else
	for (int i = 0; i < 64; i++)
		mask |= (uint64_t)(at[i] == '\n') << i;
#endif
	return mask;
}

/* Appends the positions of the set bits, counted from `base`. Returns the new end. */
static inline uint32_t *put_bits(uint32_t *to, uint64_t bits, uint32_t base)
{
	for (; bits; bits &= bits - 1)
		*to++ = base + (uint32_t)__builtin_ctzll(bits);
	return to;
}

/*
 * Indexes the borders from `window` to `stop`, at most PJ__WINDOW_BYTES; `text_end` is where white space begins for
 * good. Positions count from `base`. Returns the new end of the index.
 */
static uint32_t *index_words(uint32_t *to, const char *base, const char *window, const char *stop, const char *text_end,
			     bool inside)
{
	uint64_t before = !inside;
	for (const char *at = window; at < stop; at += 64) {
		uint64_t mask = space_mask(at);
		if (text_end - at < 64)
			mask |= ~0ull << (text_end - at);
		to = put_bits(to, mask ^ (mask << 1 | before), (uint32_t)(at - base));
		before = mask >> 63;
	}
	return to;
}

static int more_words(pj_task *face, const char *from)
{
	pj__task *task = (pj__task *)face;
	pj__index *index = &task->words;
	const char *const text_end = face->text + face->text_len;
	/* Does the reading go on where the index ended, or was it moved? */
	const bool goes_on = face->word == face->word_end && index->next && (uintptr_t)(from - face->word_taken) <= 1;
	if (!goes_on) {
		index->next = from;
		index->open = NULL;
	}
	while (index->next < text_end) {
		const char *const window = index->next;
		const char *const stop = text_end - window > PJ__WINDOW_BYTES ? window + PJ__WINDOW_BYTES : text_end;
		const char *const base = index->open ? index->open : window;
		uint32_t *to = index->at;
		if (index->open)
			*to++ = 0;
		to = index_words(to, base, window, stop, text_end, index->open != NULL);
		/* A text that ends on a 64-byte border has no bit behind it to close its last word. */
		if (stop == text_end && (to - index->at) % 2)
			*to++ = (uint32_t)(text_end - base);
		index->next = stop;
		index->open = NULL;
		if ((to - index->at) % 2)
			index->open = base + *--to;
		if (to != index->at) {
			face->word_base = base;
			face->word = index->at;
			face->word_end = to;
			return 1;
		}
	}
	face->word = face->word_end = index->at;
	return 0;
}

static int more_lines(pj_task *face, const char *from)
{
	pj__task *task = (pj__task *)face;
	pj__index *index = &task->lines;
	const char *const text_end = face->text + face->text_len;
	const bool goes_on = face->line == face->line_end && index->next && from == face->line_taken;
	if (!goes_on)
		index->next = from;
	while (index->next < text_end) {
		const char *const window = index->next;
		const char *const stop = text_end - window > PJ__WINDOW_BYTES ? window + PJ__WINDOW_BYTES : text_end;
		uint32_t *to = index->at;
		for (const char *at = window; at < stop; at += 64) {
			uint64_t mask = newline_mask(at);
			if (text_end - at < 64)
				mask &= ~(~0ull << (text_end - at));
			to = put_bits(to, mask, (uint32_t)(at - window));
		}
		index->next = stop;
		if (to != index->at) {
			face->line_base = window;
			face->line = index->at;
			face->line_end = to;
			return 1;
		}
	}
	face->line = face->line_end = index->at;
	return 0;
}

void pj__scan_attach(pj__task *task)
{
	task->face.more_words = more_words;
	task->face.more_lines = more_lines;
}
