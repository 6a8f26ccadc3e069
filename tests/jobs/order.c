/*
 * order.c: lines of "key<TAB>value", with keys of the job's own order, groups and parts.
 *
 *     --order byte, reverse, case (of no matter), number, wild (it contradicts itself), never (no key equals itself)
 *     --group none, field (up to the first '|'), beyond (more than there is), half (of the key's length)
 *     --part none, first (by the first byte), out (a part that there is not)
 *     --values   in byte order
 *     --by   none, join (each value behind its own key), first, sum (exact), fold (not exact), count (bytes), total (a
 *            general reducer), combined (the same with a combiner), late (a combiner that fails), wide (one that emits
 *            more than it gets)
 */
#include <papjuice.h>
#include <stdlib.h>

struct choice {
	const char *order, *group, *part;
};

static pj_bytes field_of(pj_bytes key)
{
	const char *bar = key.len ? memchr(key.ptr, '|', key.len) : NULL;
	return (pj_bytes){key.ptr, bar ? (size_t)(bar - key.ptr) : key.len};
}

static int lower(char byte)
{
	return byte >= 'A' && byte <= 'Z' ? byte + 32 : (unsigned char)byte;
}

static int compare_case(pj_bytes a, pj_bytes b)
{
	for (size_t i = 0; i < a.len && i < b.len; i++)
		if (lower(a.ptr[i]) != lower(b.ptr[i]))
			return lower(a.ptr[i]) - lower(b.ptr[i]);
	return (a.len > b.len) - (a.len < b.len);
}

static int64_t number_of(pj_bytes key)
{
	int64_t number = 0;
	(void)pj_parse_i64(field_of(key), &number);
	return number;
}

static unsigned mix(pj_bytes key)
{
	unsigned hash = 7;
	for (size_t i = 0; i < key.len; i++)
		hash = (hash ^ (unsigned char)key.ptr[i]) * 16777619u;
	return hash;
}

static int compare(pj_bytes a, pj_bytes b, void *arg)
{
	const char *order = ((const struct choice *)arg)->order;
	if (strcmp(order, "reverse") == 0)
		return pj_bytes_compare(b, a);
	if (strcmp(order, "case") == 0)
		return compare_case(a, b);
	if (strcmp(order, "number") == 0)
		return (number_of(a) > number_of(b)) - (number_of(a) < number_of(b));
	if (strcmp(order, "wild") == 0)
		return (int)((mix(a) * 31 + mix(b)) % 3) - 1;
	return 1;
}

static size_t group(pj_bytes key, void *arg)
{
	const char *by = ((const struct choice *)arg)->group;
	if (strcmp(by, "field") == 0)
		return field_of(key).len;
	return strcmp(by, "beyond") == 0 ? SIZE_MAX : key.len / 2;
}

static uint64_t part(pj_bytes key, uint64_t parts, void *arg)
{
	if (strcmp(((const struct choice *)arg)->part, "out") == 0)
		return parts;
	return key.len ? (uint64_t)lower(key.ptr[0]) % parts : 0;
}

static pj_status emit(pj_task *task, pj_bytes line, void *arg)
{
	pj_bytes key;
	pj_next_field(task, &line, '\t', &key);
	pj_emit(task, key, line.ptr ? line : (pj_bytes){"", 0});
	return PJ_OK;
}

static pj_status join(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	size_t used = 0, size = 256;
	char *all = malloc(size);
	pj_bytes value;
	if (!pj_bytes_equal(pj_value_key(values), key)) {
		free(all);
		return pj_task_fail(task, PJ_ERR_USER, NULL, "the first key is not the reducer's");
	}
	while (all && pj_next_value(values, &value)) {
		const pj_bytes own = pj_value_key(values);
		if (used + own.len + value.len + 2 > size) {
			size = 2 * (used + own.len + value.len + 2);
			char *const grown = realloc(all, size);
			if (!grown)
				free(all);
			all = grown;
			if (!all)
				break;
		}
		memcpy(all + used, own.ptr, own.len);
		all[used + own.len] = '=';
		if (value.len)
			memcpy(all + used + own.len + 1, value.ptr, value.len);
		used += own.len + value.len + 2;
		all[used - 1] = ',';
	}
	if (!all)
		return PJ_ERR_MEMORY;
	if (!pj_bytes_equal(pj_value_key(values), key)) {
		free(all);
		return pj_task_fail(task, PJ_ERR_USER, NULL, "the last key is not the reducer's");
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

static pj_status total(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	int64_t sum = 0, value;
	while (pj_next_i64(values, &value))
		sum += value;
	pj_emit_i64(task, key, sum);
	return PJ_OK;
}

static pj_status late(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	return pj_task_fail(task, PJ_ERR_USER, NULL, "the combiner does not like it");
}

static pj_status wide(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	int64_t value;
	while (pj_next_i64(values, &value))
		for (int i = 0; i < 5; i++)
			pj_emit_i64(task, key, i ? 0 : value);
	return PJ_OK;
}

static void fold_add(void *state, int64_t value, void *arg)
{
	uint64_t *const mixed = state;
	*mixed = (*mixed ^ (uint64_t)value) * 1099511628211u;
}

static pj_status fold_finish(const void *state, pj_text *text, void *arg)
{
	pj_text_i64(text, *(const int64_t *)state);
	return PJ_OK;
}

static const pj_aggregate fold = {
	.name = "fold", .takes = PJ_TAKES_I64, .state_bytes = 8, .add_i64 = fold_add, .finish = fold_finish};

static void choose_reducer(pj_reducer *reducer, const char *by)
{
	*reducer = (pj_reducer){0};
	if (strcmp(by, "join") == 0)
		reducer->general = join;
	else if (strcmp(by, "first") == 0)
		reducer->general = first;
	else if (strcmp(by, "sum") == 0)
		reducer->aggregate = &pj_sum_i64;
	else if (strcmp(by, "fold") == 0)
		reducer->aggregate = &fold;
	else if (strcmp(by, "count") == 0)
		reducer->aggregate = &pj_count;
	else if (strcmp(by, "none") != 0)
		reducer->general = total;
	if (strcmp(by, "combined") == 0)
		reducer->combine = total;
	else if (strcmp(by, "late") == 0)
		reducer->combine = late;
	else if (strcmp(by, "wide") == 0)
		reducer->combine = wide;
}

static pj_status configure(pj_job *job, const char *const *values, pj_error *error)
{
	(void)error;
	struct choice *choice = malloc(sizeof *choice);
	if (!choice)
		return PJ_ERR_MEMORY;
	*choice = (struct choice){values[0], values[1], values[2]};
	job->keys = (pj_keys){.compare = strcmp(values[0], "byte") ? compare : NULL,
			      .group = strcmp(values[1], "none") ? group : NULL,
			      .part = strcmp(values[2], "none") ? part : NULL,
			      .sort_values = values[3] != NULL,
			      .arg = choice};
	choose_reducer(&job->reducer, values[4]);
	return PJ_OK;
}

static void release(pj_job *job)
{
	free(job->keys.arg);
}

static const pj_job_option options[] = {
	{"order", 0, "NAME", "byte", "of keys"}, {"group", 0, "NAME", "none", "of keys"},
	{"part", 0, "NAME", "none", "of keys"},  {"values", 0, NULL, NULL, "in byte order"},
	{"by", 0, "NAME", "none", "reducer"},    {NULL}};

PJ_PROGRAM(.name = "order", .mapper = {.line = emit}, .options = options, .configure = configure, .release = release)
