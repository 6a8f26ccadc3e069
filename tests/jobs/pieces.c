/*
 * pieces.c: words and lines taken from pieces of the text, in ways in which a mapper may do it; map only.
 *
 *     --by fields   the words of each field between '|', each in brackets
 *     --by peek     of each line: the words of its first half (cut anywhere), then those of the whole line
 *     --by lines    the lines of the text's first half, then all lines
 *     --by back     the words of the lines from the last to the first
 */
#include <papjuice.h>

static void emit_words(pj_task *task, pj_bytes piece, const char *what)
{
	pj_bytes word;
	while (pj_next_word(task, &piece, &word))
		pj_emit(task, pj_bytes_of(what), word);
}

static void fields(pj_task *task, pj_bytes text)
{
	pj_bytes line, field;
	while (pj_next_line(task, &text, &line)) {
		while (pj_next_field(task, &line, '|', &field)) {
			pj_emit(task, pj_bytes_of("["), pj_bytes_of(""));
			emit_words(task, field, "field");
		}
	}
}

static void peek(pj_task *task, pj_bytes text)
{
	pj_bytes line;
	while (pj_next_line(task, &text, &line)) {
		emit_words(task, (pj_bytes){line.ptr, line.len / 2}, "half");
		emit_words(task, line, "whole");
	}
}

static void lines(pj_task *task, pj_bytes text)
{
	pj_bytes rest = {text.ptr, text.len / 2}, line;
	while (pj_next_line(task, &rest, &line))
		pj_emit(task, pj_bytes_of("half"), line);
	rest = text;
	while (pj_next_line(task, &rest, &line)) {
		pj_emit(task, pj_bytes_of("whole"), line);
		/* a look at the next line's first bytes; it is read as a whole afterwards */
		pj_bytes cut = {rest.ptr, rest.len < 2 ? rest.len : 2}, begun;
		if (pj_next_line(task, &cut, &begun))
			pj_emit(task, pj_bytes_of("begun"), begun);
	}
}

static void back(pj_task *task, pj_bytes text)
{
	while (text.len) {
		size_t from = text.len - 1;
		while (from && text.ptr[from - 1] != '\n')
			from--;
		emit_words(task, (pj_bytes){text.ptr + from, text.len - from}, "back");
		text.len = from;
	}
}

static pj_status map(pj_task *task, pj_bytes text, void *arg)
{
	const char *by = arg;
	if (strcmp(by, "fields") == 0)
		fields(task, text);
	else if (strcmp(by, "peek") == 0)
		peek(task, text);
	else if (strcmp(by, "lines") == 0)
		lines(task, text);
	else
		back(task, text);
	return PJ_OK;
}

static pj_status configure(pj_job *job, const char *const *values, pj_error *error)
{
	(void)error;
	job->mapper.arg = (void *)values[0];
	return PJ_OK;
}

static const pj_job_option options[] = {{"by", 0, "NAME", "fields", "what to do"}, {NULL}};

PJ_PROGRAM(.name = "pieces", .mapper = {.text = map}, .map_only = true, .options = options, .configure = configure)
