/*
 * join.c: pairs the lines of two inputs that have the same key; what `join` prints for the same options, of inputs that
 * need not be sorted.
 *
 *     line of the first        line of the second        result
 *     b  x1 x2                 b  y                      b x1 x2 y
 *
 * A mapper emits the key, and as value the side that the line is of and its other fields, each after a separator.
 * The values come in plan order, those of the first input before those of the second. They are kept, as each line of
 * the first goes with every one of the second, in this order; but where the first has only one, those of the second
 * just pass by.
 */
#include <stdio.h>

#include "jobs/buffer.h"
#include "jobs/jobs.h"
#include "jobs/option.h"

struct join {
	unsigned columns[2];
	int separator; /* -1: fields are separated by blanks */
	bool unpaired[2];
	bool only_unpaired;
	pj__buffer line;
	pj__buffer kept[2]; /* values: a length, then the bytes */
	size_t kept_count[2];
};

/* ------------------------------------------------------------------------------------------------------- the mapper */

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t';
}

static pj_bytes without_blanks(pj_bytes text)
{
	while (text.len && is_blank(*text.ptr))
		text = (pj_bytes){text.ptr + 1, text.len - 1};
	return text;
}

/* Like pj_next_field where blanks are between: blanks at the end of a line are followed by one more field. */
static bool next_between_blanks(pj_bytes *rest, pj_bytes *ret_field)
{
	if (!rest->ptr)
		return false;
	size_t len = 0;
	while (len < rest->len && !is_blank(rest->ptr[len]))
		len++;
	*ret_field = (pj_bytes){rest->ptr, len};
	*rest = len < rest->len ? without_blanks((pj_bytes){rest->ptr + len, rest->len - len}) : (pj_bytes){NULL, 0};
	return true;
}

/* Finds the key and puts the other fields into the buffer, after the side. False: the task has failed. */
static bool take_apart(struct join *join, pj_task *task, pj_bytes line, int side, pj_bytes *ret_key)
{
	const char byte = (char)side, between = join->separator < 0 ? ' ' : (char)join->separator;
	*ret_key = (pj_bytes){line.ptr, 0};
	join->line.len = 0;
	if (!pj__buffer_add(&join->line, task, (pj_bytes){&byte, 1}))
		return false;
	if (join->separator < 0)
		line = without_blanks(line);
	if (!line.len)
		return true;
	pj_bytes field;
	for (unsigned column = 1;
	     join->separator < 0 ? next_between_blanks(&line, &field) : pj_next_field(task, &line, between, &field);
	     column++) {
		if (column == join->columns[side])
			*ret_key = field;
		else if (!pj__buffer_add(&join->line, task, (pj_bytes){&between, 1}) ||
			 !pj__buffer_add(&join->line, task, field))
			return false;
	}
	return true;
}

static pj_status map_lines(pj_task *task, pj_bytes text, void *arg)
{
	struct join *const join = arg;
	const int side = pj_task_place(task, text.ptr).input != 0;
	pj_bytes line, key;
	while (pj_next_line(task, &text, &line)) {
		if (!take_apart(join, task, line, side, &key))
			return PJ_ERR_MEMORY;
		pj_emit(task, key, pj__buffer_all(&join->line));
	}
	pj__buffer_relax(&join->line);
	return PJ_OK;
}

/* ------------------------------------------------------------------------------------------------------ the reducer */

static pj_status put_result(struct join *join, pj_task *task, pj_bytes key, pj_bytes one, pj_bytes two)
{
	join->line.len = 0;
	if (!pj__buffer_add(&join->line, task, key) || !pj__buffer_add(&join->line, task, one) ||
	    !pj__buffer_add(&join->line, task, two))
		return PJ_ERR_MEMORY;
	pj_emit(task, pj__buffer_all(&join->line), (pj_bytes){NULL, 0});
	return PJ_OK;
}

static bool keep(struct join *join, pj_task *task, int side, pj_bytes fields)
{
	join->kept_count[side]++;
	return pj__buffer_add(&join->kept[side], task, (pj_bytes){(const char *)&fields.len, sizeof fields.len}) &&
	       pj__buffer_add(&join->kept[side], task, fields);
}

static bool next_kept(pj_bytes *rest, pj_bytes *ret_fields)
{
	size_t len;
	if (!rest->len)
		return false;
	memcpy(&len, rest->ptr, sizeof len);
	*ret_fields = (pj_bytes){rest->ptr + sizeof len, len};
	*rest = (pj_bytes){rest->ptr + sizeof len + len, rest->len - sizeof len - len};
	return true;
}

/* Each kept line of the first input with every one of the second; or those of one, where the other has none. */
static pj_status put_kept(struct join *join, pj_task *task, pj_bytes key)
{
	const pj_bytes none = {NULL, 0};
	pj_status status = PJ_OK;
	pj_bytes ones = pj__buffer_all(&join->kept[0]), one = none, two = none;
	if (join->kept_count[1] ? join->only_unpaired : !join->unpaired[0])
		return PJ_OK;
	while (!status && next_kept(&ones, &one)) {
		pj_bytes twos = pj__buffer_all(&join->kept[1]);
		if (!join->kept_count[1])
			status = put_result(join, task, key, one, none);
		while (!status && next_kept(&twos, &two))
			status = put_result(join, task, key, one, two);
	}
	return status;
}

static pj_status join_values(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	struct join *const join = arg;
	pj_bytes value;
	for (int side = 0; side < 2; side++)
		join->kept[side].len = join->kept_count[side] = 0;
	while (pj_next_value(values, &value)) {
		const int side = (unsigned char)*value.ptr;
		const pj_bytes fields = {value.ptr + 1, value.len - 1}, none = {NULL, 0};
		pj_bytes ones = pj__buffer_all(&join->kept[0]), one;
		if (!side || join->kept_count[0] > 1) {
			if (!keep(join, task, side, fields))
				return PJ_ERR_MEMORY;
			continue;
		}
		if (next_kept(&ones, &one)) {
			join->kept_count[1] = 1; /* the only one of the first is paired */
			if (!join->only_unpaired && put_result(join, task, key, one, fields))
				return PJ_ERR_MEMORY;
		} else if (join->unpaired[1] && put_result(join, task, key, none, fields)) {
			return PJ_ERR_MEMORY;
		}
	}
	return put_kept(join, task, key);
}

/* ------------------------------------------------------------------------------------------------------ the options */

enum { KEY1, KEY2, KEYS, SEP, UNPAIRED, ONLY_UNPAIRED };

static const pj_job_option options[] = {
	[KEY1] = {"key1", '1', "COL", "1", "the column of the key in the first input, from 1"},
	[KEY2] = {"key2", '2', "COL", "1", "the same in the second input"},
	[KEYS] = {"key", 'j', "COL", NULL, "the same in both"},
	[SEP] = {"sep", 't', "CHAR", NULL, "the byte between columns, instead of blanks"},
	[UNPAIRED] = {.name = "unpaired",
		      .letter = 'a',
		      .value = "1|2",
		      .help = "also lines of this input that have no pair; repeatable",
		      .many = true},
	[ONLY_UNPAIRED] = {.name = "only-unpaired",
			   .letter = 'v',
			   .value = "1|2",
			   .help = "as --unpaired, and no pairs; repeatable",
			   .many = true},
	{NULL},
};

static void release(pj_job *job)
{
	struct join *const join = job->mapper.arg;
	free(join->line.data);
	free(join->kept[0].data);
	free(join->kept[1].data);
	free(join);
}

/* The columns of the keys: one for both, or one for each. */
static pj_status read_keys(struct join *join, const char *const *values, pj_error *error)
{
	const int of[2] = {KEY1, KEY2};
	for (int side = 0; side < 2; side++) {
		const int option = values[KEYS] ? KEYS : of[side];
		if (values[KEYS] && strcmp(values[of[side]], options[of[side]].initial) != 0) {
			snprintf(error->what, sizeof error->what, "--key and --%s exclude each other",
				 options[of[side]].name);
			snprintf(error->hint, sizeof error->hint, "--key is the column in both inputs");
			return error->status = PJ_ERR_USAGE;
		}
		if (!pj__option_column(values[option], &join->columns[side]))
			return pj__option_wrong(error, options[option].name, values[option],
						"the number of a column, from 1");
	}
	return PJ_OK;
}

/* The inputs whose lines without a pair are wanted. */
static pj_status read_sides(struct join *join, const char *const *values, int option, pj_error *error)
{
	const char *rest = values[option];
	for (pj_bytes side; pj__option_next(&rest, &side);) {
		if (side.len != 1 || (*side.ptr != '1' && *side.ptr != '2'))
			return pj__option_wrong(error, options[option].name, side.ptr,
						"1 for the first input, 2 for the second");
		join->unpaired[*side.ptr - '1'] = true;
	}
	return PJ_OK;
}

static pj_status read_options(struct join *join, const char *const *values, pj_error *error)
{
	char separator;
	if (values[SEP] && !pj__option_separator(values[SEP], &separator))
		return pj__option_wrong(error, "sep", values[SEP], "one byte, for example ';' or '\\t'");
	join->separator = values[SEP] ? (unsigned char)separator : -1;
	join->only_unpaired = values[ONLY_UNPAIRED];
	pj_status status = read_keys(join, values, error);
	if (!status)
		status = read_sides(join, values, UNPAIRED, error);
	return status ? status : read_sides(join, values, ONLY_UNPAIRED, error);
}

static pj_status configure(pj_job *job, const char *const *values, pj_error *error)
{
	struct join *const join = calloc(1, sizeof *join);
	if (!join)
		return pj__option_no_memory(error);
	job->mapper.arg = job->reducer.arg = join;
	const pj_status status = read_options(join, values, error);
	if (status)
		release(job);
	return status;
}

const pj_job pj__job_join = {
	.abi = PJ_ABI,
	.name = "join",
	.summary = "pairs the lines of two inputs by a key",
	.mapper = {.text = map_lines},
	.reducer = {.general = join_values},
	.output = {.columns = PJ_KEY_ONLY},
	.input_count = 2,
	.options = options,
	.reserved = "ow",
	.configure = configure,
	.release = release,
};
