/*
 * lines.c: the word count by a mapper on lines, which is called for each line by itself. `make bench` measures what
 * these calls cost; the mapper on pieces of text is examples/wordcount.c.
 */
#include <papjuice.h>

static pj_status count_words(pj_task *task, pj_bytes line, void *arg)
{
	pj_bytes word;
	(void)arg;
	while (pj_next_word(task, &line, &word))
		pj_emit_i64(task, word, 1);
	return PJ_OK;
}

PJ_PROGRAM(
	.name    = "wordcount-lines",
	.mapper  = { .line = count_words },
	.reducer = { .aggregate = &pj_sum_i64 },
)
