/*
 * memory_pairs.c: lines of a key and a text, and no reducer: the pairs come out in the order of keys, and those of one
 * key in the order of the input.
 */
#include <papjuice.h>

static pj_status cut(pj_task *task, pj_bytes line, void *arg)
{
	const char *tab = memchr(line.ptr, '\t', line.len);
	const size_t key = tab ? (size_t)(tab - line.ptr) : line.len, rest = tab ? key + 1 : key;
	(void)arg;
	pj_emit(task, (pj_bytes){line.ptr, key}, (pj_bytes){line.ptr + rest, line.len - rest});
	return PJ_OK;
}

PJ_PROGRAM(.name = "memory_pairs", .mapper = {.line = cut})
