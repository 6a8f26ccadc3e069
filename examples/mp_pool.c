/*
 * mp_pool.c: the longest line of each file, the files shared out over twice as many processes as there are processors.
 *
 *	$ mp_pool *.c
 *	  118 mp_lock.c
 *	  ...
 */
#include <papjuice/pool.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* In a worker: the item is the name of a file, the result the length of its longest line. */
static pj_status longest_line(pj_bytes item, pj_reply *result, void *arg)
{
	char name[4096];
	(void)arg;
	snprintf(name, sizeof name, "%.*s", (int)item.len, item.ptr);
	FILE *file = fopen(name, "re");
	if (!file)
		return pj_reply_fail(result, "cannot open %s: %s", name, strerror(errno));
	char *line = NULL;
	size_t room = 0, longest = 0;
	for (ssize_t length; (length = getline(&line, &room, file)) > 0;)
		longest = (size_t)length > longest ? (size_t)length : longest;
	free(line);
	fclose(file);
	return pj_reply_append(result, (pj_bytes){(const char *)&longest, sizeof longest});
}

int main(int argc, char **argv)
{
	const size_t count = argc > 1 ? (size_t)argc - 1 : 0;
	pj_bytes *items = calloc(count + 1, sizeof *items);
	pj_pool *pool = NULL;
	pj_results *results = NULL;
	pj_error error;
	for (size_t i = 0; items && i < count; i++)
		items[i] = pj_bytes_of(argv[i + 1]);
	if (!items || pj_pool_create(0, &pool, &error) ||
	    pj_pool_map(pool, longest_line, NULL, items, count, 0, &results, &error)) {
		char line[1024];
		fprintf(stderr, "%s\n", items ? pj_error_format(&error, line, sizeof line) : "no memory");
		pj_pool_destroy(pool);
		free(items);
		return 1;
	}
	for (size_t i = 0; i < results->count; i++) {
		size_t longest;
		memcpy(&longest, results->items[i].ptr, sizeof longest);
		printf("%5zu %s\n", longest, argv[i + 1]);
	}
	pj_results_destroy(results);
	pj_pool_destroy(pool);
	free(items);
	return 0;
}
