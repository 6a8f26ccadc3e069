/*
 * pattern.c: see pattern.h.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "jobs/pattern.h"

#include <ctype.h>
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

#include "jobs/option.h"

struct pj__pattern {
	pcre2_code **codes;
	size_t count;
	pcre2_match_data *match;
	char *literal; /* what every matching line holds; of length 0: not known */
	size_t literal_len;
	bool is_literal; /* a line that holds it matches */
};

/* ------------------------------------------------------------------------------------------------------ the literal */

/* Where a class that begins at `at` ends; NULL: it is not a simple one. */
static const char *class_end(const char *at, const char *end)
{
	at++;
	if (at < end && *at == '^')
		at++;
	if (at < end && *at == ']')
		return NULL;
	for (; at < end && *at != ']'; at++) {
		if (*at == '\\' && (++at == end || *at == 'Q' || *at == 'c'))
			return NULL;
		if (*at != '[')
			continue;
		/* [:alpha:], or else a bracket as any byte, of which there is little need */
		for (at += at + 1 < end && at[1] == ':' ? 2 : 0; at < end && isalpha((unsigned char)*at); at++)
			;
		if (end - at < 2 || at[0] != ':' || *++at != ']')
			return NULL;
	}
	return at < end ? at : NULL;
}

/* Where a quantifier in braces ends; NULL: it is none. */
static const char *braces_end(const char *at, const char *end)
{
	for (at++; at < end && ((*at >= '0' && *at <= '9') || *at == ','); at++)
		;
	return at < end && *at == '}' ? at : NULL;
}

/* Does an escape consist of the backslash and this byte, whatever follows? */
static bool is_whole_escape(char byte)
{
	return !isalnum((unsigned char)byte) || strchr("aefnrtdDwWsSbBAzZhHvVR", byte) != NULL;
}

/*
 * Walks over the text; a literal is what stands together outside of groups and classes, without the byte before a
 * quantifier that may be zero. Whatever is not understood here makes it give up, which costs only time.
 */
pj_bytes pj__pattern_literal(pj_bytes text)
{
	const pj_bytes none = {text.ptr, 0};
	const char *const end = text.ptr + text.len, *start = text.ptr;
	pj_bytes longest = none;
	int depth = 0;
	for (const char *at = text.ptr; at <= end; at++) {
		const char byte = at < end ? *at : '$';
		if (!strchr("\\^$.[|()?*+{", byte) || !byte)
			continue;
		const size_t run = (size_t)(at - start) - (at > start && strchr("?*{", byte) != NULL);
		if (!depth && run > longest.len)
			longest = (pj_bytes){start, run};
		depth += (byte == '(') - (byte == ')');
		if (byte == '[')
			at = class_end(at, end);
		else if (byte == '{')
			at = braces_end(at, end);
		else if (byte == '\\' && (++at == end || !is_whole_escape(*at)))
			return none;
		if (!at || (byte == '|' && !depth) || depth < 0 ||
		    (byte == '(' && at + 1 < end && strchr("?*", at[1]) != NULL))
			return none;
		start = at + 1;
	}
	return longest;
}

static bool is_literal_text(pj_bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (strchr("\\^$.[|()?*+{", text.ptr[i]) != NULL)
			return false;
	return text.len > 0;
}

static pj_status keep_literal(pj__pattern *pattern, pj_bytes text, pj__pattern_kind kind, pj_error *error)
{
	const pj_bytes literal = pj__pattern_literal(text);
	pattern->literal = malloc(literal.len + 1);
	if (!pattern->literal)
		return pj__option_no_memory(error);
	memcpy(pattern->literal, literal.ptr, literal.len);
	pattern->literal_len = literal.len;
	pattern->is_literal = is_literal_text(text) && !kind.whole_words && !kind.whole_lines;
	return PJ_OK;
}

/* -------------------------------------------------------------------------------------------------------- compiling */

static pj_status wrong(pj_bytes text, int code, size_t offset, pj_error *error)
{
	unsigned char reason[128] = "";
	pcre2_get_error_message(code, reason, sizeof reason);
	snprintf(error->what, sizeof error->what, "the pattern is wrong");
	snprintf(error->reason, sizeof error->reason, "%s, at byte %zu of %.*s", (const char *)reason, offset,
		 (int)(text.len < 80 ? text.len : 80), text.ptr);
	snprintf(error->hint, sizeof error->hint, "patterns are those of Perl; \\ takes the meaning from a byte");
	return error->status = PJ_ERR_USAGE;
}

/* Is it one of the words that set options of the whole pattern? (pcre2pattern, "Special start-of-pattern items") */
static bool is_setting(const char *word, size_t len)
{
	static const char *const words[] = {"UTF",
					    "UCP",
					    "NO_AUTO_POSSESS",
					    "NO_DOTSTAR_ANCHOR",
					    "NO_JIT",
					    "NO_START_OPT",
					    "NOTEMPTY",
					    "LIMIT_HEAP",
					    "LIMIT_DEPTH",
					    "LIMIT_MATCH",
					    "CR",
					    "LF",
					    "CRLF",
					    "ANYCRLF",
					    "ANY",
					    "NUL",
					    "BSR_ANYCRLF",
					    "BSR_UNICODE",
					    "NOTEMPTY_ATSTART"};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strlen(words[i]) == len && !memcmp(word, words[i], len))
			return true;
	return false;
}

/* Bytes at the front that set options of the whole pattern, such as (*UTF); nothing may stand before them. */
static size_t settings_length(pj_bytes text)
{
	size_t len = 0;
	while (text.len - len > 2 && !memcmp(text.ptr + len, "(*", 2)) {
		const char *const word = text.ptr + len + 2, *const end = memchr(word, ')', text.len - len - 2);
		const char *const equals = end ? memchr(word, '=', (size_t)(end - word)) : NULL;
		if (!end || !is_setting(word, (size_t)((equals ? equals : end) - word)))
			break;
		len = (size_t)(end - text.ptr) + 1;
	}
	return len;
}

/*
 * The pattern between lookarounds that keep word characters away from its ends; owned, NULL: no memory. A pattern that
 * ends in a comment (of (?x)) needs a newline after it.
 */
static char *between_words(pj_bytes text, bool ends_comment, size_t *ret_len)
{
	static const char before[] = "(?<!\\w)(?:", after[] = ")(?!\\w)";
	const size_t settings = settings_length(text);
	char *const wrapped = malloc(text.len + sizeof before + sizeof after);
	if (!wrapped)
		return NULL;
	char *to = mempcpy(wrapped, text.ptr, settings);
	to = mempcpy(to, before, sizeof before - 1);
	to = mempcpy(to, text.ptr + settings, text.len - settings);
	if (ends_comment)
		*to++ = '\n';
	to = mempcpy(to, after, sizeof after - 1);
	*ret_len = (size_t)(to - wrapped);
	return wrapped;
}

/* Compiles a text; NULL: with *ret_code and *ret_offset why, and where in the text. */
static pcre2_code *compile_text(pj_bytes text, pj__pattern_kind kind, int *ret_code, size_t *ret_offset)
{
	uint32_t options = kind.ignores_case ? PCRE2_CASELESS : 0, all = 0;
	pcre2_compile_context *const context = pcre2_compile_context_create(NULL);
	*ret_code = PCRE2_ERROR_NOMEMORY;
	*ret_offset = 0;
	if (!context)
		return NULL;
	if (kind.whole_lines)
		pcre2_set_compile_extra_options(context, PCRE2_EXTRA_MATCH_LINE);
	PCRE2_SPTR bytes = (PCRE2_SPTR)text.ptr;
	pcre2_code *compiled = pcre2_compile(bytes, text.len, options, ret_code, ret_offset, context);
	/* invalid bytes are allowed for, where the pattern has asked for UTF */
	if (compiled && pcre2_pattern_info(compiled, PCRE2_INFO_ALLOPTIONS, &all) == 0 && all & PCRE2_UTF) {
		pcre2_code_free(compiled);
		options |= PCRE2_MATCH_INVALID_UTF;
		compiled = pcre2_compile(bytes, text.len, options, ret_code, ret_offset, context);
	}
	pcre2_compile_context_free(context);
	return compiled;
}

static pj_status compile(pj__pattern *pattern, pj_bytes text, pj__pattern_kind kind, pj_error *error)
{
	int code;
	size_t offset, len = 0;
	/* by itself first: an error is told of the text that was typed */
	pcre2_code *compiled = compile_text(text, kind, &code, &offset);
	if (!compiled)
		return wrong(text, code, offset, error);
	for (int tries = 0; kind.whole_words && tries < 2; tries++) {
		char *const wrapped = between_words(text, tries, &len);
		pcre2_code_free(compiled);
		if (!wrapped)
			return pj__option_no_memory(error);
		compiled = compile_text((pj_bytes){wrapped, len}, kind, &code, &offset);
		free(wrapped);
		if (compiled)
			break;
	}
	if (!compiled)
		return wrong(text, code, text.len, error);
	/* Without a compiler for this machine, or memory for its code, patterns are interpreted. */
	(void)pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE);
	pattern->codes[pattern->count++] = compiled;
	return PJ_OK;
}

pj_status pj__pattern_create(const char *text, pj__pattern_kind kind, pj__pattern **ret_pattern, pj_error *error)
{
	size_t most = 1;
	for (const char *at = text; *at; at++)
		most += *at == '\n';
	pj__pattern *const pattern = calloc(1, sizeof *pattern);
	if (!pattern)
		return pj__option_no_memory(error);
	pattern->codes = calloc(most, sizeof(pcre2_code *));
	pattern->match = pcre2_match_data_create(1, NULL);
	pj_status status = pattern->codes && pattern->match ? PJ_OK : pj__option_no_memory(error);
	pj_bytes one;
	while (!status && pj__option_next(&text, &one)) {
		status = compile(pattern, one, kind, error);
		if (!status && most == 1 && !kind.ignores_case)
			status = keep_literal(pattern, one, kind, error);
	}
	if (status)
		pj__pattern_destroy(pattern);
	else
		*ret_pattern = pattern;
	return status;
}

void pj__pattern_destroy(pj__pattern *pattern)
{
	if (!pattern)
		return;
	for (size_t i = 0; i < pattern->count; i++)
		pcre2_code_free(pattern->codes[i]);
	pcre2_match_data_free(pattern->match);
	free(pattern->codes);
	free(pattern->literal);
	free(pattern);
}

/* --------------------------------------------------------------------------------------------------------- matching */

/* Tries one pattern from a byte of the line on, with options of PCRE2: 1, 0, or negative. */
static int try_code(const pj__pattern *pattern, size_t i, pj_bytes line, size_t from, uint32_t options)
{
	PCRE2_SPTR text = (PCRE2_SPTR)line.ptr;
	int found = pcre2_match(pattern->codes[i], text, line.len, from, options, pattern->match, NULL);
	/* the compiled code has a stack of fixed size, the interpreter has not */
	if (found == PCRE2_ERROR_JIT_STACKLIMIT)
		found = pcre2_match(pattern->codes[i], text, line.len, from, options | PCRE2_NO_JIT, pattern->match,
				    NULL);
	return found >= 0 ? 1 : found == PCRE2_ERROR_NOMATCH ? 0 : found;
}

int pj__pattern_matches(const pj__pattern *pattern, pj_bytes line)
{
	for (size_t i = 0; i < pattern->count; i++) {
		const int found = try_code(pattern, i, line, 0, 0);
		if (found)
			return found;
	}
	return 0;
}

/* The first match of one pattern that is not empty; an empty one is passed over, with a byte, as by grep -P. */
static int find_one(const pj__pattern *pattern, size_t i, pj_bytes line, size_t from, const size_t **ret_at)
{
	while (from < line.len) {
		const int found = try_code(pattern, i, line, from, 0);
		if (found <= 0)
			return found;
		const size_t *const at = pcre2_get_ovector_pointer(pattern->match);
		*ret_at = at;
		if (at[0] < at[1])
			return 1;
		from = (at[1] > from ? at[1] : from) + 1;
	}
	*ret_at = NULL;
	return 0;
}

int pj__pattern_find(const pj__pattern *pattern, pj_bytes line, size_t from, pj_bytes *ret_match)
{
	int any = 0;
	for (size_t i = 0; i < pattern->count; i++) {
		const size_t *at = NULL;
		const int found = find_one(pattern, i, line, from, &at);
		if (found < 0)
			return found;
		/* \K in a lookahead can put the start after the end */
		if (!at || at[0] >= at[1] || at[0] < from || (any && line.ptr + at[0] >= ret_match->ptr))
			continue;
		*ret_match = (pj_bytes){line.ptr + at[0], at[1] - at[0]};
		any = 1;
	}
	return any;
}

int pj__pattern_next(const pj__pattern *pattern, pj_bytes *rest, pj_bytes *ret_line)
{
	if (!pattern->literal_len)
		return pj_next_line_plain(rest, ret_line);
	const char *const end = rest->ptr + rest->len;
	const char *const hit = rest->len ? memmem(rest->ptr, rest->len, pattern->literal, pattern->literal_len) : NULL;
	if (!hit) {
		*rest = (pj_bytes){end, 0};
		return 0;
	}
	const char *const before = memrchr(rest->ptr, '\n', (size_t)(hit - rest->ptr));
	const char *const start = before ? before + 1 : rest->ptr;
	*rest = (pj_bytes){start, (size_t)(end - start)};
	pj_next_line_plain(rest, ret_line);
	return pattern->is_literal ? 2 : 1;
}
