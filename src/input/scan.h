/*
 * scan.h: the borders of words, the ends of lines and the cuts of pairs, found a window at a time for pj_next_word,
 * pj_next_line and pj_next_pair.
 */
#ifndef PJ_INPUT_SCAN_H
#define PJ_INPUT_SCAN_H

#include "base/task.h"

/* Gives the task the functions that index its text. */
void pj__scan_attach(pj__task *task);

/* Counts the newlines of a text, with the loops that the task was given. */
uint64_t pj__scan_newlines(const pj__task *task, pj_bytes text);

/* The same without a task, of the bytes from `at` to `end`. */
uint64_t pj__count_newlines(const char *at, const char *end);

/* The loops, for each instruction set (base/isa.h). At least 63 bytes behind the text can be read. */
typedef struct pj__scan_kernel {
	/*
	 * Appends to `to` the borders of words from `window` to `stop`, counted from `base`; `text_end` is where white
	 * space begins for good; `inside`: a word goes on from before. Returns the new end; 64 more entries may be
	 * written.
	 */
	uint32_t *(*index_words)(uint32_t *to, const char *base, const char *window, const char *stop,
				 const char *text_end, bool inside);
	/* The same for newlines, counted from `window`. */
	uint32_t *(*index_lines)(uint32_t *to, const char *window, const char *stop, const char *text_end);
	/*
	 * Puts to `cuts` and `ends`, for each line that begins at `window` or behind and ends before `stop`, where its
	 * first separator is, or its newline if there is none, and where its newline is; both counted from `window`.
	 * Returns the number of lines; 64 more entries may be written.
	 */
	size_t (*index_pairs)(uint32_t *cuts, uint32_t *ends, const char *window, const char *stop, char separator);
	/* Reads nothing behind `end`. */
	uint64_t (*count_newlines)(const char *at, const char *end);
} pj__scan_kernel;

extern const pj__scan_kernel pj__scan_plain, pj__scan_avx2, pj__scan_avx512;

#endif
