/*
 * wordcount.c: words separated by ASCII white space, with their counts. Bytes are taken as they are.
 */
#include "jobs/jobs.h"

static pj_status count_words(pj_task *task, pj_bytes text, void *arg)
{
	(void)arg;
	pj_bytes word;
	while (pj_next_word(task, &text, &word))
		pj_emit_i64(task, word, 1);
	return PJ_OK;
}

const pj_job pj__job_wordcount = {
	.abi = PJ_ABI,
	.name = "wordcount",
	.summary = "count words, separated by ASCII white space",
	.mapper = {.text = count_words},
	.reducer = {.aggregate = &pj_sum_i64},
};
