/*
 * pattern.h: patterns in the syntax of Perl (PCRE2), and how a line that matches one is found.
 *
 * A line is matched by itself: no pattern sees the newline, or another line. Bytes are bytes, unless the pattern begins
 * with (*UTF); bytes that are not UTF-8 match nothing then.
 *
 * Most lines of most texts don't match, and most patterns contain some bytes that every match must contain. The
 * whole text is searched for these, which is much faster than trying each line.
 */
#ifndef PJ_JOBS_PATTERN_H
#define PJ_JOBS_PATTERN_H

#include <papjuice/task.h>
#include <stdbool.h>

typedef struct pj__pattern pj__pattern;

/* What a match is, beside the pattern itself. */
typedef struct pj__pattern_kind {
	bool ignores_case;
	bool whole_words; /* no word character stands before or after it, as with grep -w */
	bool whole_lines; /* it is the whole line, as with grep -x */
} pj__pattern_kind;

/*
 * Compiles patterns, one a line; a line matches if one of them does. The caller owns *ret_pattern. PJ_ERR_USAGE: one is
 * wrong, and the error says where; PJ_ERR_MEMORY. What was compiled can be used in processes forked later, in one
 * thread of each.
 */
PJ_MUST_USE pj_status pj__pattern_create(const char *text, pj__pattern_kind kind, pj__pattern **ret_pattern,
					 pj_error *error);
void pj__pattern_destroy(pj__pattern *pattern);

/* 1: the line matches; 0: it does not; negative: this cannot be found out, it takes too many steps. */
int pj__pattern_matches(const pj__pattern *pattern, pj_bytes line);

/*
 * The first match in the line, from the byte `from` on, that is not empty: the leftmost one, and of two that begin at
 * the same byte that of the first pattern. Returns as pj__pattern_matches; *ret_match is part of the line.
 */
int pj__pattern_find(const pj__pattern *pattern, pj_bytes line, size_t from, pj_bytes *ret_match);

/*
 * Finds the next line that may match, passing over lines that do not, from the front of *rest, which is cut to what
 * follows it. Returns 0 when there is none; 1: it may match, 2: it does.
 */
int pj__pattern_next(const pj__pattern *pattern, pj_bytes *rest, pj_bytes *ret_line);

/* The longest bytes that whatever matches the pattern must hold; empty: not known. Part of the text. */
pj_bytes pj__pattern_literal(pj_bytes text);

#endif
