/*
 * distinct.c: the distinct lines, or the distinct keys in a column, in byte order; with --count how often each is
 * there.
 *
 * A count is an exact aggregate, so equal lines meet in the workers' tables, and only one of them goes on from there.
 */
#include "jobs/jobs.h"
#include "jobs/option.h"

static pj_status map_lines(pj_task *task, pj_bytes text, void *arg)
{
	(void)arg;
	pj_bytes line;
	while (pj_next_line(task, &text, &line))
		pj_emit_i64(task, line, 1);
	return PJ_OK;
}

/* The column and the separator, in the bits of `arg`. */
static void *layout_to_arg(unsigned column, char separator)
{
	return (void *)((uintptr_t)column << 8 | (unsigned char)separator);
}

static pj_status map_keys(pj_task *task, pj_bytes text, void *arg)
{
	const uintptr_t layout = (uintptr_t)arg;
	const unsigned wanted = (unsigned)(layout >> 8);
	const char separator = (char)(layout & 0xff);
	pj_bytes line, key = {NULL, 0};
	while (pj_next_line(task, &text, &line)) {
		const char *const start = line.ptr;
		unsigned column = 0;
		while (column < wanted && pj_next_field(task, &line, separator, &key))
			column++;
		if (PJ_UNLIKELY(column < wanted))
			return pj_task_fail(task, PJ_ERR_RECORD, start, "the line has no column %u, only %u", wanted,
					    column);
		pj_emit_i64(task, key, 1);
	}
	return PJ_OK;
}

enum { KEY, SEP, COUNT };

static pj_status configure(pj_job *job, const char *const *values, pj_error *error)
{
	unsigned column;
	char separator;
	if (!pj__option_separator(values[SEP], &separator))
		return pj__option_wrong(error, "sep", values[SEP], "one byte, for example ';' or '\\t'");
	if (values[KEY]) {
		if (!pj__option_column(values[KEY], &column))
			return pj__option_wrong(error, "key", values[KEY], "the number of a column, from 1");
		job->mapper.text = map_keys;
		job->mapper.arg = layout_to_arg(column, separator);
	}
	if (values[COUNT])
		job->output.columns = PJ_KEY_AND_VALUE;
	return PJ_OK;
}

static const pj_job_option options[] = {
	[KEY] = {"key", 'k', "COL", NULL, "the keys in this column, from 1, not whole lines"},
	[SEP] = {"sep", 't', "CHAR", "\\t", "the byte between columns; '\\t' is a tab"},
	[COUNT] = {"count", 'c', NULL, NULL, "write the count of each after it"},
	{NULL},
};

const pj_job pj__job_distinct = {
	.abi = PJ_ABI,
	.name = "distinct",
	.summary = "distinct lines, or keys in a column",
	.mapper = {.text = map_lines},
	.reducer = {.aggregate = &pj_sum_i64},
	.output = {.columns = PJ_KEY_ONLY},
	.options = options,
	.reserved = "w",
	.configure = configure,
};
