/*
 * split.c: a command line as an argument vector (papjuice/command.h): a shell's quotes, and nothing else of a shell.
 */
#include <papjuice/command.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\n';
}

/* Copies a quoted text, from after its quote on, to *to. Returns what is after the closing quote; NULL: none. */
static const char *copy_quoted(const char *at, char quote, char **to)
{
	for (; *at && *at != quote; at++) {
		if (quote == '"' && *at == '\\' && at[1] && strchr("\"\\$`", at[1]))
			at++;
		*(*to)++ = *at;
	}
	return *at ? at + 1 : NULL;
}

/* Copies a word to *to. Returns what is after it; NULL: a quote is not closed, or a backslash is the last byte. */
static const char *copy_word(const char *at, char **to)
{
	while (at && *at && !is_blank(*at)) {
		if (*at == '\'' || *at == '"') {
			at = copy_quoted(at + 1, *at, to);
		} else if (*at == '\\') {
			if (!at[1])
				return NULL;
			*(*to)++ = at[1];
			at += 2;
		} else {
			*(*to)++ = *at++;
		}
	}
	return at;
}

static pj_status refuse(const char *line, const char *reason, pj_error *error)
{
	pj__fail(error, PJ_ERR_USAGE, 0, NULL, "a command cannot be read: %s", line);
	pj__error_reason(error, "%s", reason);
	pj__error_hint(error, "words are separated by blanks, and quoted as in a shell; nothing is expanded");
	return PJ_ERR_USAGE;
}

pj_status pj_command_split(const char *line, char ***ret_argv, pj_error *error)
{
	/* A word takes two bytes of the line, its blank included, and never grows; so this is room for all. */
	const size_t len = strlen(line), most = len / 2 + 2;
	char **const argv = malloc(most * sizeof *argv + len + 1);
	if (!argv)
		return pj__no_memory(error, most * sizeof *argv + len + 1);
	char *to = (char *)(argv + most);
	size_t count = 0;
	for (const char *at = line;;) {
		while (is_blank(*at))
			at++;
		if (!*at)
			break;
		argv[count++] = to;
		at = copy_word(at, &to);
		if (!at) {
			free(argv);
			return refuse(line, "a quote is not closed, or a backslash stands at the end", error);
		}
		*to++ = 0;
	}
	argv[count] = NULL;
	if (!count || !*argv[0]) {
		free(argv);
		return refuse(line, "it names no program", error);
	}
	*ret_argv = argv;
	return PJ_OK;
}
