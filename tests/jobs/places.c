/*
 * places.c: where things lie, and in which order they come.
 *
 *     --by join     for each first byte of a word, all words that begin with it, in the order of the input
 *     --by none     the pairs (first two bytes, place), no reducer
 *     --by map      lines and their places, map only
 */
#include <papjuice.h>
#include <stdlib.h>

static pj_status map_words(pj_task *task, pj_bytes text, void *arg)
{
	const int join = strcmp(arg, "join") == 0;
	pj_bytes word;
	while (pj_next_word(task, &text, &word)) {
		if (join)
			pj_emit(task, (pj_bytes){word.ptr, 1}, word);
		else
			pj_emit_i64(task, (pj_bytes){word.ptr, word.len < 2 ? word.len : 2},
				    (int64_t)pj_task_place(task, word.ptr).offset);
	}
	return PJ_OK;
}

static pj_status map_lines(pj_task *task, pj_bytes text, void *arg)
{
	pj_bytes line;
	while (pj_next_line(task, &text, &line))
		pj_emit_i64(task, line, (int64_t)pj_task_place(task, line.ptr).offset);
	return PJ_OK;
}

static pj_status join(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	char *all = NULL;
	size_t used = 0, size = 0;
	pj_bytes value;
	while (pj_next_value(values, &value)) {
		if (used + value.len + 1 > size) {
			size = 2 * (used + value.len + 1);
			char *const grown = realloc(all, size);
			if (!grown) {
				free(all);
				return PJ_ERR_MEMORY;
			}
			all = grown;
		}
		memcpy(all + used, value.ptr, value.len);
		used += value.len;
		all[used++] = ' ';
	}
	pj_emit(task, key, (pj_bytes){all, used});
	free(all);
	return PJ_OK;
}

static pj_status configure(pj_job *job, const char *const *values, pj_error *error)
{
	(void)error;
	job->mapper.arg = (void *)values[0];
	if (strcmp(values[0], "join") == 0)
		job->reducer.general = join;
	if (strcmp(values[0], "map") == 0) {
		job->mapper.text = map_lines;
		job->map_only = true;
	}
	return PJ_OK;
}

static const pj_job_option options[] = {{"by", 0, "NAME", "join", "what to do"}, {NULL}};

PJ_PROGRAM(.name = "places", .mapper = {.text = map_words}, .options = options, .configure = configure)
