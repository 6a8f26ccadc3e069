/*
 * sort.c: lines in byte order, or by keys; what `LC_ALL=C sort` gives for the same options.
 *
 * The engine sorts by the bytes of keys, so the mapper writes a key whose byte order is what was asked for
 * (sort_key.h). What it emits:
 *
 *     order                             key                                       value
 *     whole lines                       the line                                  -
 *     whole lines, reversed             the line, complemented                    -
 *     by keys, then by whole lines      the keys, then the line                   how long the keys are
 *     by keys, then lines reversed      the keys, then the line, complemented     how long the keys are
 *     by keys alone (-s, -u)            the keys                                  the line
 *
 * So a line is stored once in any case, and a reducer takes it out of the key where it is part of it. Values come in
 * plan order, which makes the last form stable, and its first value the one that -u keeps.
 */
#include <limits.h>

#include "jobs/buffer.h"
#include "jobs/jobs.h"
#include "jobs/option.h"
#include "jobs/sort_key.h"

struct sort {
	pj__sort_key *keys;
	size_t count;
	int separator;
	bool reverse;  /* whole lines, where keys are equal */
	bool by_lines; /* where keys are equal, or there are none, the whole line decides */
	bool unique;
	pj__buffer buffer;
};

/* ------------------------------------------------------------------------------------------------------- the mapper */

static pj_status map_lines(pj_task *task, pj_bytes text, void *arg)
{
	(void)arg;
	pj_bytes line;
	while (pj_next_line(task, &text, &line))
		pj_emit(task, line, (pj_bytes){NULL, 0});
	return PJ_OK;
}

/* Equal lines become one: their number is not looked at. */
static pj_status map_unique_lines(pj_task *task, pj_bytes text, void *arg)
{
	(void)arg;
	pj_bytes line;
	while (pj_next_line(task, &text, &line))
		pj_emit_i64(task, line, 1);
	return PJ_OK;
}

/* Appends a key of the line to the buffer. */
static bool put_key(struct sort *sort, pj_task *task, const pj__sort_key *key, pj_bytes line)
{
	const pj_bytes found = pj__sort_key_find(key, sort->separator, line);
	char *const to = pj__buffer_room(&sort->buffer, task, pj__sort_key_most(found.len));
	if (!to)
		return false;
	char *const end = key->numeric ? pj__sort_put_number(to, found) : pj__sort_put_bytes(to, found);
	if (key->reverse)
		pj__sort_complement(to, end);
	sort->buffer.len += (size_t)(end - to);
	return true;
}

static bool put_line(struct sort *sort, pj_task *task, pj_bytes line)
{
	if (!sort->reverse)
		return pj__buffer_add(&sort->buffer, task, line);
	char *const to = pj__buffer_room(&sort->buffer, task, pj__sort_key_most(line.len));
	if (!to)
		return false;
	char *const end = pj__sort_put_bytes(to, line);
	pj__sort_complement(to, end);
	sort->buffer.len += (size_t)(end - to);
	return true;
}

/* How long the keys are, as a value: nothing, a byte, or all of it. */
static pj_bytes length_value(const size_t *len, char *byte)
{
	*byte = (char)*len;
	if (*len > UCHAR_MAX)
		return (pj_bytes){(const char *)len, sizeof *len};
	return (pj_bytes){byte, *len > 0};
}

static size_t length_of(pj_bytes value)
{
	size_t len = 0;
	if (value.len == sizeof len)
		memcpy(&len, value.ptr, sizeof len);
	else if (value.len)
		len = (unsigned char)*value.ptr;
	return len;
}

static pj_status map_by_keys(pj_task *task, pj_bytes text, void *arg)
{
	struct sort *const sort = arg;
	pj_bytes line;
	while (pj_next_line(task, &text, &line)) {
		sort->buffer.len = 0;
		for (size_t i = 0; i < sort->count; i++)
			if (!put_key(sort, task, &sort->keys[i], line))
				return PJ_ERR_MEMORY;
		if (!sort->by_lines) {
			pj_emit(task, pj__buffer_all(&sort->buffer), line);
			continue;
		}
		const size_t keys = sort->buffer.len;
		char byte;
		if (!put_line(sort, task, line))
			return PJ_ERR_MEMORY;
		pj_emit(task, pj__buffer_all(&sort->buffer), length_value(&keys, &byte));
	}
	pj__buffer_relax(&sort->buffer);
	return PJ_OK;
}

/* ------------------------------------------------------------------------------------------------------ the reducer */

/* The line is in the key, after as many bytes as the values say; they are the same for equal keys. */
static pj_status write_from_key(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	struct sort *const sort = arg;
	pj_bytes value, line = {NULL, 0};
	for (bool first = true; pj_next_value(values, &value); first = false) {
		if (first) {
			const size_t keys = length_of(value);
			line = (pj_bytes){key.ptr + keys, key.len - keys};
		}
		if (first && sort->reverse) {
			sort->buffer.len = 0;
			char *const to = pj__buffer_room(&sort->buffer, task, line.len);
			if (!to)
				return PJ_ERR_MEMORY;
			line = (pj_bytes){to, (size_t)(pj__sort_take_complemented(to, line) - to)};
		}
		pj_emit(task, line, (pj_bytes){NULL, 0});
		if (sort->unique)
			break;
	}
	pj__buffer_relax(&sort->buffer);
	return PJ_OK;
}

static pj_status write_first(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	(void)key;
	(void)arg;
	pj_bytes value;
	if (pj_next_value(values, &value))
		pj_emit(task, value, (pj_bytes){NULL, 0});
	return PJ_OK;
}

/* ------------------------------------------------------------------------------------------------------ the options */

enum { KEY, SEP, BLANKS, NUMERIC, REVERSE, STABLE, UNIQUE };

static const pj_job_option options[] = {
	[KEY] = {.name = "key",
		 .letter = 'k',
		 .value = "F[.C][,F[.C]][bnr]",
		 .help = "sort by these fields, or bytes of them; repeatable",
		 .many = true},
	[SEP] = {"sep", 't', "CHAR", NULL, "the byte between fields, instead of blanks"},
	[BLANKS] = {"ignore-leading-blanks", 'b', NULL, NULL, "blanks before a key do not count"},
	[NUMERIC] = {"numeric", 'n', NULL, NULL, "by the number that a key begins with"},
	[REVERSE] = {"reverse", 'r', NULL, NULL, "the other way round"},
	[STABLE] = {"stable", 's', NULL, NULL, "lines with equal keys in the order of the input"},
	[UNIQUE] = {"unique", 'u', NULL, NULL, "of lines with equal keys only the first"},
	{NULL},
};

/* A key without letters of its own takes those of the whole command, as in GNU sort. */
static void inherit(pj__sort_key *key, const char *const *values)
{
	if (key->numeric || key->reverse || key->skips_start_blanks || key->skips_end_blanks)
		return;
	key->skips_start_blanks = key->skips_end_blanks = values[BLANKS];
	key->numeric = values[NUMERIC];
	key->reverse = values[REVERSE];
}

static pj_status read_keys(struct sort *sort, const char *const *values, pj_error *error)
{
	const char *rest = values[KEY];
	pj_bytes text;
	size_t most = 1;
	for (const char *at = rest; at && *at; at++)
		most += *at == '\n';
	sort->keys = calloc(most, sizeof *sort->keys);
	if (!sort->keys)
		return pj__option_no_memory(error);
	while (pj__option_next(&rest, &text)) {
		pj__sort_key *const key = &sort->keys[sort->count++];
		if (!pj__sort_key_read(text, key))
			return pj__option_wrong(error, "key", text.ptr,
						"as in 2, 2n or 1.3,1.5nr: fields and bytes from 1");
		inherit(key, values);
	}
	if (!sort->count && (values[NUMERIC] || values[BLANKS])) {
		sort->keys[sort->count] = (pj__sort_key){.end_field = SIZE_MAX};
		inherit(&sort->keys[sort->count++], values);
	}
	return PJ_OK;
}

static void choose_form(pj_job *job, struct sort *sort)
{
	job->output.columns = PJ_KEY_ONLY;
	if (!sort->count && !sort->reverse && sort->unique) {
		job->mapper.text = map_unique_lines;
		job->reducer.aggregate = &pj_sum_i64;
	} else if (!sort->by_lines && sort->unique) {
		job->reducer.general = write_first;
	} else if (!sort->by_lines) {
		job->output.columns = PJ_VALUE_ONLY;
	} else if (sort->count || sort->reverse) {
		job->reducer.general = write_from_key;
	} else {
		job->mapper.text = map_lines;
	}
	job->mapper.arg = job->reducer.arg = sort;
}

static void release(pj_job *job)
{
	struct sort *const sort = job->mapper.arg;
	free(sort->keys);
	free(sort->buffer.data);
	free(sort);
}

static pj_status configure(pj_job *job, const char *const *values, pj_error *error)
{
	char separator;
	const bool separated = values[SEP];
	if (separated && !pj__option_separator(values[SEP], &separator))
		return pj__option_wrong(error, "sep", values[SEP], "one byte, for example ';' or '\\t'");
	struct sort *const sort = calloc(1, sizeof *sort);
	if (!sort)
		return pj__option_no_memory(error);
	sort->separator = separated ? (unsigned char)separator : -1;
	sort->reverse = values[REVERSE];
	sort->unique = values[UNIQUE];
	job->mapper.arg = sort;
	const pj_status status = read_keys(sort, values, error);
	if (status) {
		release(job);
		return status;
	}
	sort->by_lines = !sort->count || !(values[STABLE] || sort->unique);
	choose_form(job, sort);
	return PJ_OK;
}

const pj_job pj__job_sort = {
	.abi = PJ_ABI,
	.name = "sort",
	.summary = "lines in byte order, or by keys",
	.mapper = {.text = map_by_keys},
	.output = {.columns = PJ_KEY_ONLY},
	.may_replace_input = true,
	.options = options,
	.reserved = "hmp",
	.configure = configure,
	.release = release,
};
