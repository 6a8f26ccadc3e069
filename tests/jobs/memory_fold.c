/*
 * memory_fold.c: lines of a key and a text; a general reducer, for which the order of values matters: a hash over them,
 * their number and their bytes.
 */
#include <papjuice.h>
#include <stdio.h>

static pj_status cut(pj_task *task, pj_bytes line, void *arg)
{
	const char *tab = memchr(line.ptr, '\t', line.len);
	const size_t key = tab ? (size_t)(tab - line.ptr) : line.len, rest = tab ? key + 1 : key;
	(void)arg;
	pj_emit(task, (pj_bytes){line.ptr, key}, (pj_bytes){line.ptr + rest, line.len - rest});
	return PJ_OK;
}

static pj_status fold(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	uint64_t hash = 1469598103934665603u, count = 0, bytes = 0;
	char text[80];
	pj_bytes value;
	(void)arg;
	while (pj_next_value(values, &value)) {
		for (size_t i = 0; i < value.len; i++)
			hash = (hash ^ (unsigned char)value.ptr[i]) * 1099511628211u;
		count++;
		bytes += value.len;
	}
	const int len = snprintf(text, sizeof text, "%016llx %llu %llu", (unsigned long long)hash,
				 (unsigned long long)count, (unsigned long long)bytes);
	pj_emit(task, key, (pj_bytes){text, (size_t)len});
	return PJ_OK;
}

PJ_PROGRAM(.name = "memory_fold", .mapper = {.line = cut}, .reducer = {.general = fold})
