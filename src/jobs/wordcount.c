/*
 * wordcount.c: words separated by ASCII white space, with their counts. Bytes are taken as they are, unless --lower
 * makes the ASCII letters small.
 */
#include "jobs/jobs.h"
#include "jobs/option.h"

static pj_status count_words(pj_task *task, pj_bytes text, void *arg)
{
	(void)arg;
	pj_bytes word;
	while (pj_next_word(task, &text, &word))
		pj_emit_i64(task, word, 1);
	return PJ_OK;
}

static pj_status count_lower(pj_task *task, pj_bytes text, void *arg)
{
	(void)arg;
	pj_bytes word;
	while (pj_next_word(task, &text, &word))
		pj_emit_i64(task, pj_lower(task, word), 1);
	return PJ_OK;
}

enum { LOWER, BY_COUNT, TOP };

static pj_status configure(pj_job *job, const char *const *values, pj_error *error)
{
	int64_t top = 0;
	if (values[LOWER])
		job->mapper.text = count_lower;
	if (values[BY_COUNT])
		job->output.order = PJ_BY_VALUE_DOWN;
	if (values[TOP]) {
		if (!pj_parse_i64(pj_bytes_of(values[TOP]), &top) || top < 1)
			return pj__option_wrong(error, "top", values[TOP], "how many words to write, from 1");
		job->output.order = PJ_BY_VALUE_DOWN;
		job->output.limit = (uint64_t)top;
	}
	return PJ_OK;
}

static const pj_job_option options[] = {
	[LOWER] = {"lower", 0, NULL, NULL, "make ASCII capitals small before counting"},
	[BY_COUNT] = {"by-count", 0, NULL, NULL, "the most frequent words first, ties by key"},
	[TOP] = {"top", 0, "K", NULL, "only the K most frequent words"},
	{NULL},
};

const pj_job pj__job_wordcount = {
	.abi = PJ_ABI,
	.name = "wordcount",
	.summary = "count words, separated by ASCII white space",
	.mapper = {.text = count_words},
	.reducer = {.aggregate = &pj_sum_i64},
	.options = options,
	.configure = configure,
};
