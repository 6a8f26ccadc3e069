/*
 * warmest.c: the three highest temperatures of each year, from lines of year, tab, temperature. Secondary sort: the
 * whole line is the key; its beginning, the year, makes the group; and the order within the group is that of the
 * temperatures. So the reducer takes the first three, and a year's values need not be held in memory.
 *
 *     papjuice run warmest.c temperatures.tsv
 */
#include <papjuice.h>

static size_t year_of(pj_bytes line, void *arg)
{
	const char *tab = line.len ? memchr(line.ptr, '\t', line.len) : NULL;
	return tab ? (size_t)(tab - line.ptr) : line.len;
}

static int64_t temperature_of(pj_bytes line)
{
	const size_t year = year_of(line, NULL);
	int64_t temperature = 0;
	if (year < line.len)
		pj_parse_i64((pj_bytes){line.ptr + year + 1, line.len - year - 1}, &temperature);
	return temperature;
}

/* Years in order, and in a year the highest temperature first. It is also called with years alone. */
static int warmest_first(pj_bytes a, pj_bytes b, void *arg)
{
	const int years = pj_bytes_compare((pj_bytes){a.ptr, year_of(a, arg)}, (pj_bytes){b.ptr, year_of(b, arg)});
	const int64_t x = temperature_of(a), y = temperature_of(b);
	return years ? years : (x < y) - (x > y);
}

static pj_status emit_line(pj_task *task, pj_bytes line, void *arg)
{
	int64_t unused;
	const size_t year = year_of(line, arg);
	if (year == line.len || !pj_parse_i64((pj_bytes){line.ptr + year + 1, line.len - year - 1}, &unused))
		return pj_task_fail(task, PJ_ERR_RECORD, line.ptr, "the line is not a year, a tab and a whole number");
	pj_emit(task, line, pj_bytes_of(""));
	return PJ_OK;
}

/* The key is the first one of its group; each value has its own. */
static pj_status take_three(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	pj_bytes value;
	for (int i = 0; i < 3 && pj_next_value(values, &value); i++)
		pj_emit_i64(task, (pj_bytes){key.ptr, year_of(key, arg)}, temperature_of(pj_value_key(values)));
	return PJ_OK;
}

PJ_PROGRAM(
	.name    = "warmest",
	.summary = "the three highest temperatures of each year",
	.mapper  = { .line = emit_line },
	.keys    = { .group = year_of, .compare = warmest_first },
	.reducer = { .general = take_three },
)
