/*
 * wordcount.c: the words of texts, separated by white space, with their counts. The smallest whole job.
 *
 *     papjuice run wordcount.c book.txt                                        as a source
 *     cc -O2 wordcount.c -o wordcount $(pkg-config --cflags --libs papjuice)   as a program
 *     cc -O2 -shared -fPIC wordcount.c -o wordcount.so $(pkg-config --cflags papjuice)
 *     papjuice run ./wordcount.so book.txt                                     as a plug-in
 */
#include <papjuice.h>

static pj_status count_words(pj_task *task, pj_bytes text, void *arg)
{
	pj_bytes word;
	while (pj_next_word(task, &text, &word))
		pj_emit_i64(task, word, 1);
	return PJ_OK;
}

PJ_PROGRAM(
	.name    = "wordcount",
	.mapper  = { .text = count_words },
	.reducer = { .aggregate = &pj_sum_i64 },
)
