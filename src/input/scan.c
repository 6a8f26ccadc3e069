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
 * Pairs are cut at marks (scan_kernel.h), a window of whole lines at a time: the next one begins where the last whole
 * line ended.
 *
 * Positions count from the window's start (or from where the carried word starts), so 32 bits do for texts below 4 GB.
 */
#include "input/scan.h"

#include "base/isa.h"

static const pj__scan_kernel *kernel(void)
{
	switch (pj__isa_usable()) {
#if defined(__x86_64__)
	case PJ__ISA_AVX512:
		return &pj__scan_avx512;
	case PJ__ISA_AVX2:
		return &pj__scan_avx2;
#endif
	default:
		return &pj__scan_plain;
	}
}

uint64_t pj__scan_newlines(const pj__task *task, pj_bytes text)
{
	return task->count_newlines(text.ptr, text.ptr + text.len);
}

uint64_t pj__count_newlines(const char *at, const char *end)
{
	return kernel()->count_newlines(at, end);
}

/* The next window begins: tells how far the text has been read. */
static void tell_reached(const pj__task *task, const char *window)
{
	*task->reached = task->file_offset + (uint64_t)(window - task->face.readable);
	++*task->progress;
}

static int more_words(pj_task *face, const char *from)
{
	pj__task *task = (pj__task *)face;
	const pj__scan_kernel *scan = task->scan_kernel;
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
		tell_reached(task, window);
		const char *const stop = text_end - window > PJ__WINDOW_BYTES ? window + PJ__WINDOW_BYTES : text_end;
		const char *const base = index->open ? index->open : window;
		uint32_t *to = index->at;
		if (index->open)
			*to++ = 0;
		to = scan->index_words(to, base, window, stop, text_end, index->open != NULL);
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
	const pj__scan_kernel *scan = task->scan_kernel;
	pj__index *index = &task->lines;
	const char *const text_end = face->text + face->text_len;
	const bool goes_on = face->line == face->line_end && index->next && from == face->line_taken;
	if (!goes_on)
		index->next = from;
	while (index->next < text_end) {
		const char *const window = index->next;
		tell_reached(task, window);
		const char *const stop = text_end - window > PJ__WINDOW_BYTES ? window + PJ__WINDOW_BYTES : text_end;
		uint32_t *to = index->at;
		to = scan->index_lines(to, window, stop, text_end);
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

static int more_pairs(pj_task *face, pj_bytes rest, char separator)
{
	pj__task *task = (pj__task *)face;
	const pj__scan_kernel *scan = task->scan_kernel;
	tell_reached(task, rest.ptr);
	const char *const stop = rest.ptr + (rest.len < PJ__WINDOW_BYTES ? rest.len : PJ__WINDOW_BYTES);
	const size_t count = scan->index_pairs(task->cuts.at, task->cut_lines.at, rest.ptr, stop, separator);
	face->cut = task->cuts.at;
	face->cut_end = face->cut + count;
	face->cut_line = task->cut_lines.at;
	face->cut_base = rest.ptr;
	face->separator = (unsigned char)separator;
	return count != 0;
}

void pj__scan_attach(pj__task *task)
{
	const pj__scan_kernel *const loops = kernel();
	task->scan_kernel = loops;
	task->count_newlines = loops->count_newlines;
	task->face.more_words = more_words;
	task->face.more_lines = more_lines;
	task->face.more_pairs = more_pairs;
}
