/*
 * keys.c: lines of "hex<TAB>hex" are pairs of a key and a value of any bytes; the reducer is chosen by --by:
 *
 *     count   pj_sum_i64 of ones        text    the same, the ones emitted as text
 *     join    a general reducer: all values, each followed by a comma
 *     first   a general reducer that takes the first value only
 *     each    a general reducer that emits each value, as a pair, in all ways there are
 *     none    no reducer
 *     map     map only
 *
 * With --total its own sorter is `total`.
 */
#include <papjuice.h>
#include <stdlib.h>

static size_t decode(pj_bytes hex, char *to)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i + 1 < hex.len; i += 2)
		to[i / 2] =
			(char)((strchr(digits, hex.ptr[i]) - digits) << 4 | (strchr(digits, hex.ptr[i + 1]) - digits));
	return hex.len / 2;
}

static pj_status emit(pj_task *task, pj_bytes line, void *arg)
{
	const char *by = arg;
	pj_bytes key;
	if (!line.len)
		return PJ_OK;
	pj_next_field(task, &line, '\t', &key);
	char *const bytes = malloc(key.len / 2 + line.len / 2 + 1);
	if (!bytes)
		return PJ_ERR_MEMORY;
	const pj_bytes real_key = {bytes, decode(key, bytes)};
	const pj_bytes value = {bytes + real_key.len, line.ptr ? decode(line, bytes + real_key.len) : 0};
	if (strcmp(by, "count") == 0)
		pj_emit_i64(task, real_key, 1);
	else if (strcmp(by, "text") == 0)
		pj_emit(task, real_key, pj_bytes_of("1"));
	else
		pj_emit(task, real_key, value);
	free(bytes);
	return PJ_OK;
}

static pj_status join(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	size_t used = 0, size = 0;
	char *all = NULL;
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
		if (value.len)
			memcpy(all + used, value.ptr, value.len);
		used += value.len;
		all[used++] = ',';
	}
	if (pj_next_value(values, &value)) {
		free(all);
		return pj_task_fail(task, PJ_ERR_USER, NULL, "there was a value behind the last one");
	}
	pj_emit(task, key, (pj_bytes){all, used});
	free(all);
	return PJ_OK;
}

static pj_status first(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	pj_bytes value;
	if (pj_next_value(values, &value))
		pj_emit(task, key, value);
	return PJ_OK;
}

static pj_status each(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	static const char longer[] = "a key that is longer than a slot";
	pj_bytes value;
	for (int64_t i = 0; pj_next_value(values, &value); i++) {
		pj_emit_i64(task, key, i);
		pj_emit(task, key, value);
		pj_emit_f64(task, pj_bytes_of(longer), (double)i + 0.5);
		pj_emit_i64(task, pj_bytes_of(longer), -i);
	}
	return PJ_OK;
}

static pj_status configure(pj_job *job, const char *const *values, pj_error *error)
{
	(void)error;
	const char *by = values[0];
	if (values[1])
		job->sorter = PJ_SORTER_TOTAL;
	job->begins_empty = values[2];
	job->mapper.arg = (void *)by;
	if (strcmp(by, "count") == 0 || strcmp(by, "text") == 0)
		job->reducer.aggregate = &pj_sum_i64;
	else if (strcmp(by, "join") == 0)
		job->reducer.general = join;
	else if (strcmp(by, "first") == 0)
		job->reducer.general = first;
	else if (strcmp(by, "each") == 0)
		job->reducer.general = each;
	else
		job->map_only = strcmp(by, "map") == 0;
	return PJ_OK;
}

static const pj_job_option options[] = {{"by", 0, "NAME", "count", "reducer"},
					{"total", 0, NULL, NULL, "its own sorter is total"},
					{"begins", 0, NULL, NULL, "with an empty task"},
					{NULL}};

PJ_PROGRAM(.name = "keys", .mapper = {.line = emit}, .options = options, .configure = configure)
