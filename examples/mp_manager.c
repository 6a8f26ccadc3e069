/*
 * mp_manager.c: three processes fill one dict of lists and one of counts.
 *
 *	$ mp_manager
 *	Java: 3, from streams 0 1 1
 *	...
 */
#include <papjuice/manager.h>
#include <papjuice/process.h>
#include <stdio.h>

static const char *const streams[3][7] = {
	{"Java", "Hadoop", "RDBMS", "Prolog", "Lisp", "Pascal", NULL},
	{"Java", "Java", "RDBMS", "Prolog", "Prolog", NULL},
	{"Java", "Hadoop", "RDBMS", "Prolog", "Lisp", "Pascal", NULL},
};

struct stream {
	pj_dict counts, origins;
	int number;
};

static int read_stream(void *arg)
{
	const struct stream *stream = arg;
	const char digit = (char)('0' + stream->number);
	for (const char *const *word = streams[stream->number]; *word; word++) {
		const pj_bytes key = pj_bytes_of(*word);
		pj_list origins;
		/* each of these calls is atomic: no lock is needed */
		if (pj_dict_add_i64(stream->counts, key, 1, NULL, NULL) ||
		    pj_dict_list(stream->origins, key, &origins, NULL) ||
		    pj_list_append(origins, (pj_bytes){&digit, 1}, NULL))
			return 1;
	}
	return 0;
}

int main(void)
{
	struct stream all[3];
	pj_process *processes[3];
	pj_manager *manager;
	pj_error error;
	if (pj_manager_create(1 << 20, &manager, &error) || pj_manager_dict(manager, &all[0].counts, &error) ||
	    pj_manager_dict(manager, &all[0].origins, &error))
		return pj_error_exit_code(&error);
	for (int i = 0; i < 3; i++) {
		all[i] = all[0];
		all[i].number = i;
		if (pj_process_start(read_stream, &all[i], &processes[i], &error))
			return pj_error_exit_code(&error);
	}
	for (int i = 0; i < 3; i++) {
		if (pj_process_join(processes[i], NULL, &error))
			return pj_error_exit_code(&error);
		pj_process_destroy(processes[i]);
	}
	/* all writers have ended: walk through it in place */
	pj_item word;
	for (uint64_t cursor = 0; pj_dict_walk(all[0].origins, &cursor, &word);) {
		int64_t count;
		if (pj_dict_get_i64(all[0].counts, word.key, &count, &error))
			return pj_error_exit_code(&error);
		printf("%.*s: %lld, from streams", (int)word.key.len, word.key.ptr, (long long)count);
		pj_bytes origin;
		for (uint64_t at = 0; pj_list_walk(word.list, &at, &origin);)
			printf(" %.*s", (int)origin.len, origin.ptr);
		printf("\n");
	}
	pj_manager_destroy(manager);
	return 0;
}
