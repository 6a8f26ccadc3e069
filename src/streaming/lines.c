/*
 * lines.c: see lines.h.
 */
#include "streaming/lines.h"

#include <stdlib.h>

/* The words of a command, one after another, each ended by NUL, to `to`; returns how many. */
static size_t split(const char *command, char *to)
{
	size_t count = 0;
	char quote = 0;
	const char *start = command;
	for (const char *at = command;; at++) {
		const bool is_quote = quote ? *at == quote : *at == '\'' || *at == '"';
		if (*at && !is_quote && (*at != ' ' || quote))
			continue;
		if (at > start) {
			memcpy(to, start, (size_t)(at - start));
			to += at - start;
			*to++ = 0;
			count++;
		}
		if (!*at)
			return count;
		if (is_quote)
			quote = quote ? 0 : *at;
		start = at + 1;
	}
}

pj_status pj__command_words(const char *command, char ***ret_words, pj_error *error)
{
	/* each word takes a byte of its own, and no two of them are shorter together than the command */
	const size_t len = strlen(command), most = len + 2;
	const size_t bytes = most * sizeof(char *) + 2 * len + 2;
	char **const words = malloc(bytes);
	if (!words)
		return pj__no_memory(error, bytes);
	char *at = (char *)(words + most);
	const size_t count = split(command, at);
	if (!count) {
		free(words);
		return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "the command is empty");
	}
	for (size_t i = 0; i < count; i++, at += strlen(at) + 1)
		words[i] = at;
	words[count] = NULL;
	*ret_words = words;
	return PJ_OK;
}

bool pj__next_line_of(pj_bytes *rest, bool is_end, pj_bytes *ret_line)
{
	if (!rest->len)
		return false;
	const char *const newline = memchr(rest->ptr, '\n', rest->len);
	const size_t until = newline ? (size_t)(newline - rest->ptr) : rest->len;
	const char *const cr = until ? memchr(rest->ptr, '\r', until) : NULL;
	if (!cr && !newline && !is_end)
		return false;
	const size_t len = cr ? (size_t)(cr - rest->ptr) : until;
	/* after a CR, the LF that belongs to it may still be to come */
	if (cr && len + 1 == rest->len && !is_end)
		return false;
	const size_t both = cr && newline == cr + 1, ended = cr || newline;
	*ret_line = (pj_bytes){rest->ptr, len};
	*rest = (pj_bytes){rest->ptr + len + ended + both, rest->len - len - ended - both};
	return true;
}

void pj__cut_line(pj_bytes line, pj_bytes separator, unsigned count, pj_bytes *ret_key, pj_bytes *ret_value)
{
	const char *at = line.ptr, *const end = line.ptr + line.len, *hit = NULL;
	for (unsigned i = 0; i < count; i++) {
		const size_t left = (size_t)(end - at);
		hit = !left                ? NULL
		      : separator.len == 1 ? memchr(at, *separator.ptr, left)
					   : memmem(at, left, separator.ptr, separator.len);
		if (!hit)
			break;
		at = hit + separator.len;
	}
	*ret_key = (pj_bytes){line.ptr, hit ? (size_t)(hit - line.ptr) : line.len};
	*ret_value = hit ? (pj_bytes){at, (size_t)(end - at)} : (pj_bytes){"", 0};
}
