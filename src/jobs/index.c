/*
 * index.c: the inverted index: each word with all its places, in the order of the input.
 *
 *     word<TAB>file:offset file:offset ...
 *
 * A mapper emits a word with its place: the offset in 8 bytes, and in 4 more the number of the input, unless it is the
 * first. The reducer gets the places in plan order, which is the order of the input, and writes some at a time, for
 * all places of one word may be more than there is memory.
 */
#include "jobs/buffer.h"
#include "jobs/jobs.h"
#include "jobs/option.h"

enum { OFFSET_BYTES = 8, PLACE_BYTES = 12, AT_ONCE = 16 << 10 };

struct index {
	bool lowers;
	pj__buffer buffer;
};

static pj_status map_words(pj_task *task, pj_bytes text, void *arg)
{
	const struct index *const index = arg;
	const char *const start = text.ptr;
	const pj_place here = pj_task_place(task, start);
	const uint32_t input = (uint32_t)here.input;
	char place[PLACE_BYTES];
	memcpy(place + OFFSET_BYTES, &input, sizeof input);
	const size_t len = input ? PLACE_BYTES : OFFSET_BYTES;
	pj_bytes word;
	while (pj_next_word(task, &text, &word)) {
		const uint64_t offset = here.offset + (uint64_t)(word.ptr - start);
		memcpy(place, &offset, sizeof offset);
		pj_emit(task, index->lowers ? pj_lower(task, word) : word, (pj_bytes){place, len});
	}
	return PJ_OK;
}

/* The places of a word, on their way out. */
struct places {
	pj_task *task;
	pj_values *values;
	pj__buffer *buffer;
	bool is_later; /* there were some before */
};

static bool add_place(struct places *places, pj_bytes value)
{
	pj_task *const task = places->task;
	pj__buffer *const buffer = places->buffer;
	uint64_t offset;
	uint32_t input = 0;
	memcpy(&offset, value.ptr, sizeof offset);
	if (value.len == PLACE_BYTES)
		memcpy(&input, value.ptr + OFFSET_BYTES, sizeof input);
	const bool spaced = !places->is_later || pj__buffer_add(buffer, task, (pj_bytes){" ", 1});
	places->is_later = true;
	return spaced && pj__buffer_add(buffer, task, pj_bytes_of(pj_task_input(task, input))) &&
	       pj__buffer_add(buffer, task, (pj_bytes){":", 1}) && pj__buffer_add_number(buffer, task, offset);
}

static int next_places(void *arg, pj_bytes *ret_piece)
{
	struct places *const places = arg;
	pj_bytes value;
	places->buffer->len = 0;
	while (places->buffer->len < AT_ONCE && pj_next_value(places->values, &value))
		if (!add_place(places, value))
			return 0; /* the task has failed */
	*ret_piece = pj__buffer_all(places->buffer);
	return ret_piece->len > 0;
}

static pj_status write_places(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	struct index *const index = arg;
	pj_emit_pieces(task, key, next_places, &(struct places){task, values, &index->buffer, false});
	return PJ_OK;
}

static void release(pj_job *job)
{
	struct index *const index = job->mapper.arg;
	free(index->buffer.data);
	free(index);
}

static pj_status configure(pj_job *job, const char *const *values, pj_error *error)
{
	struct index *const index = calloc(1, sizeof *index);
	if (!index)
		return pj__option_no_memory(error);
	index->lowers = values[0];
	job->mapper.arg = job->reducer.arg = index;
	return PJ_OK;
}

static const pj_job_option options[] = {
	{"lower", 0, NULL, NULL, "make ASCII capitals small"},
	{NULL},
};

const pj_job pj__job_index = {
	.abi = PJ_ABI,
	.name = "index",
	.summary = "words with all their places, file:offset",
	.tells_places = true,
	.mapper = {.text = map_words},
	.reducer = {.general = write_places},
	.options = options,
	.configure = configure,
	.release = release,
};
