/*
 * inverted_index.c: for each word, the files it occurs in. A general reducer: it gets a key and an iterator over its
 * values, in the order of the input.
 *
 *     papjuice run inverted_index.c texts/
 */
#include <papjuice.h>
#include <stdlib.h>

static pj_status emit_places(pj_task *task, pj_bytes text, void *arg)
{
	pj_bytes word;
	while (pj_next_word(task, &text, &word))
		pj_emit(task, word, pj_bytes_of(pj_task_place(task, word.ptr).file));
	return PJ_OK;
}

/* A text that grows; `failed`: memory ran out. */
struct list {
	char *bytes;
	size_t used, size;
	int failed;
};

static void append(struct list *list, pj_bytes more)
{
	if (list->used + more.len > list->size) {
		const size_t size = 2 * (list->used + more.len);
		char *larger = realloc(list->bytes, size);
		if (!larger) {
			list->failed = 1;
			return;
		}
		list->bytes = larger;
		list->size = size;
	}
	memcpy(list->bytes + list->used, more.ptr, more.len);
	list->used += more.len;
}

/* Values come in the order of the input, so the same files stand together. A value lives until the next one. */
static pj_status join_files(pj_task *task, pj_bytes word, pj_values *values, void *arg)
{
	struct list list = { 0 };
	size_t last = 0; /* where the last file's name begins */
	pj_bytes file;
	while (!list.failed && pj_next_value(values, &file)) {
		if (list.used && pj_bytes_equal(file, (pj_bytes){list.bytes + last, list.used - last}))
			continue;
		if (list.used)
			append(&list, pj_bytes_of(" "));
		last = list.used;
		append(&list, file);
	}
	if (!list.failed)
		pj_emit(task, word, (pj_bytes){list.bytes, list.used});
	free(list.bytes);
	return list.failed ? PJ_ERR_MEMORY : PJ_OK;
}

PJ_PROGRAM(
	.name    = "inverted_index",
	.summary = "list the files that each word occurs in",
	.mapper  = { .text = emit_places },
	.reducer = { .general = join_files },
)
