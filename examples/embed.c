/*
 * embed.c: a job inside of another program: input from memory, results to a function, no command line.
 *
 *     cc -O2 embed.c -o embed $(pkg-config --cflags --libs papjuice) && ./embed
 */
#include <papjuice.h>
#include <stdio.h>

static pj_status count_words(pj_task *task, pj_bytes text, void *arg)
{
	pj_bytes word;
	while (pj_next_word(task, &text, &word))
		pj_emit_i64(task, word, 1);
	return PJ_OK;
}

/* Called in this process, in the order of the keys: it may use what belongs to the program. */
static pj_status print_pair(void *arg, pj_bytes key, pj_bytes value)
{
	int *count = arg;
	++*count;
	printf("%.*s occurs %.*s times\n", (int)key.len, key.ptr, (int)value.len, value.ptr);
	return ferror(stdout) ? PJ_ERR_OUTPUT : PJ_OK;
}

int main(void)
{
	const pj_bytes streams[] = {
		pj_bytes_of("Java Hadoop RDBMS Prolog Lisp Pascal"),
		pj_bytes_of("Java Java RDBMS Prolog Prolog"),
		pj_bytes_of("Java Hadoop RDBMS Prolog Lisp Pascal"),
	};
	int count = 0;
	const pj_job job = {
		.abi     = PJ_ABI,
		.name    = "embedded",
		.input   = { .memory = streams, .memory_count = 3 },
		.mapper  = { .text = count_words },
		.reducer = { .aggregate = &pj_sum_i64 },
		.output  = { .pair = print_pair, .arg = &count },
	};
	pj_result result;
	pj_error error;
	if (pj_run(&job, NULL, &result, &error)) {
		char line[1024];
		fprintf(stderr, "embed: %s\n", pj_error_format(&error, line, sizeof line));
		return 1;
	}
	printf("%d words in %.3f seconds\n", count, result.total_seconds);
	return 0;
}
