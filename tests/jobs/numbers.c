/*
 * numbers.c: lines of "key<TAB>number", reduced by any of the built-in aggregates, emitted in any of the three ways.
 */
#include <papjuice.h>
#include <stdlib.h>

static const struct {
	const char *name;
	const pj_aggregate *aggregate;
} aggregates[] = {{"sum_i64", &pj_sum_i64}, {"min_i64", &pj_min_i64}, {"max_i64", &pj_max_i64},
		  {"sum_f64", &pj_sum_f64}, {"min_f64", &pj_min_f64}, {"max_f64", &pj_max_f64},
		  {"count", &pj_count}};

static pj_status split(pj_task *task, pj_bytes line, void *arg)
{
	const char *emit = arg;
	char number[400];
	pj_bytes key;
	if (!pj_next_field(task, &line, '\t', &key) || !line.ptr)
		return pj_task_fail(task, PJ_ERR_RECORD, key.ptr, "there is no tab");
	const size_t len = line.len < sizeof number ? line.len : sizeof number - 1;
	memcpy(number, line.ptr, len);
	number[len] = 0;
	if (*emit == 'i')
		pj_emit_i64(task, key, strtoll(number, NULL, 10));
	else if (*emit == 'f')
		pj_emit_f64(task, key, strtod(number, NULL));
	else
		pj_emit(task, key, line);
	return PJ_OK;
}

static pj_status configure(pj_job *job, const char *const *values, pj_error *error)
{
	(void)error;
	job->mapper.arg = (void *)values[1];
	for (size_t i = 0; i < sizeof aggregates / sizeof *aggregates; i++)
		if (strcmp(values[0], aggregates[i].name) == 0)
			job->reducer.aggregate = aggregates[i].aggregate;
	return job->reducer.aggregate ? PJ_OK : PJ_ERR_USAGE;
}

static const pj_job_option options[] = {
	{"by", 0, "NAME", "sum_i64", "aggregate"}, {"emit", 0, "HOW", "text", "text, i64, f64"}, {NULL}};

PJ_PROGRAM(.name = "numbers", .mapper = {.line = split}, .options = options, .configure = configure)
