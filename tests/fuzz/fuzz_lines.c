/*
 * fuzz_lines.c: any bytes, cut into splits of any size and read in pieces of any size: every line is delivered exactly
 * once, in order, and its words and lines are those of the plain loops; also when the bytes come as a stream, a few at
 * a time, and what is done is given back.
 *
 *     input    split size (2 bytes), piece size (2 bytes), bytes a stream gives at a time (1 byte), text
 */
#include <stdlib.h>

#include "input/scan.h"
#include "input/spool.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct reading {
	pj__reader reader;
	pj__task *task;
	pj_bytes text;
	size_t delivered; /* bytes of it */
	pj__spool *spool; /* NULL: bytes in memory */
};

#define must(condition)                                                                                                \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			abort();                                                                                       \
	} while (0)

static void same_words(pj_task *task, pj_bytes line)
{
	pj_bytes plain = line, word, plain_word;
	while (pj_next_word_plain(&plain, &plain_word)) {
		must(pj_next_word(task, &line, &word));
		must(word.ptr == plain_word.ptr && word.len == plain_word.len);
	}
	must(!pj_next_word(task, &line, &word));
}

/* The lines of a piece, with their words; then its words alone. */
static void read_piece(pj__task *task, pj_bytes piece, uint64_t offset)
{
	pj_bytes rest = piece, plain = piece, line, plain_line;
	pj__task_set_text(task, piece, "fuzz", offset);
	while (pj_next_line_plain(&plain, &plain_line)) {
		must(pj_next_line(&task->face, &rest, &line));
		must(line.ptr == plain_line.ptr && line.len == plain_line.len && rest.len == plain.len);
		same_words(&task->face, line);
	}
	must(!pj_next_line(&task->face, &rest, &line));
	pj__task_set_text(task, piece, "fuzz", offset);
	same_words(&task->face, piece);
}

/* Reads a split: what it delivers must be the lines that begin in it, each piece going on where the last one ended. */
static void read_split(struct reading *reading, pj__split split)
{
	pj_bytes piece;
	uint64_t offset;
	must(!pj__reader_begin(&reading->reader, split, NULL));
	for (;;) {
		must(!pj__reader_next(&reading->reader, &piece, &offset, NULL));
		if (!piece.len)
			return;
		const char *text = reading->text.ptr;
		must(offset == reading->delivered && offset + piece.len <= reading->text.len);
		must(offset >= split.start && offset < split.end);
		must(!offset || text[offset - 1] == '\n');
		must(memcmp(piece.ptr, text + offset, piece.len) == 0);
		must(piece.ptr[piece.len - 1] == '\n' || offset + piece.len == reading->text.len);
		/* the last line begins before the split's end */
		const char *newline = memrchr(piece.ptr, '\n', piece.len - 1);
		must(offset + (newline ? (size_t)(newline + 1 - piece.ptr) : 0) < split.end);
		reading->delivered += piece.len;
		read_piece(reading->task, piece, offset);
	}
}

static pj_status take_split(void *arg, pj__split split, pj_error *error)
{
	struct reading *reading = arg;
	(void)error;
	read_split(reading, split);
	pj__spool_release(reading->spool, split.source, split.end - 1);
	return PJ_OK;
}

/* A stream that gives a few bytes at a time. */
struct stream {
	pj_bytes rest;
	size_t step;
};

static pj_status read_stream(void *arg, char *to, size_t size, size_t *got)
{
	struct stream *stream = arg;
	*got = stream->rest.len < stream->step ? stream->rest.len : stream->step;
	must(*got <= size);
	if (*got)
		memcpy(to, stream->rest.ptr, *got);
	stream->rest.ptr += *got;
	stream->rest.len -= *got;
	return PJ_OK;
}

static void read_all(pj_bytes text, const pj_input *input, size_t split_bytes, size_t piece_bytes)
{
	struct reading reading = {.task = pj__task_holder(sizeof *reading.task), .text = text};
	pj__sources sources;
	pj__spool spool;
	must(reading.task && !pj__sources_expand(&sources, input, NULL));
	must(!pj__spool_init(&spool, &sources, split_bytes, NULL, NULL));
	must(!pj__reader_init(&reading.reader, &sources, piece_bytes, NULL));
	pj__task_init(reading.task, PJ_NUMBER_I64);
	pj__scan_attach(reading.task);
	if (input->read) {
		reading.spool = &spool;
		while (!pj__spool_ended(&spool))
			must(!pj__spool_step(&spool, take_split, &reading, NULL));
	} else {
		for (size_t start = 0; start < text.len; start += split_bytes) {
			const size_t end = text.len - start < split_bytes ? text.len : start + split_bytes;
			read_split(&reading, (pj__split){0, start, end, text.len});
		}
	}
	must(reading.delivered == text.len);
	pj__reader_fini(&reading.reader);
	pj__spool_fini(&spool);
	pj__sources_fini(&sources);
	free(reading.task);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 5)
		return 0;
	const size_t split_bytes = (size_t)(data[0] | data[1] << 8) + 1,
		     piece_bytes = (size_t)(data[2] | data[3] << 8) + 1;
	const pj_bytes text = {(const char *)data + 5, size - 5};
	if (text.len / split_bytes > 2000 || pj__codec_of(text.ptr, text.len) != PJ__CODEC_NONE)
		return 0;
	struct stream stream = {text, (size_t)data[4] + 1};
	const pj_input memory = {.memory = &text, .memory_count = 1}, function = {.read = read_stream, .arg = &stream};
	read_all(text, &memory, split_bytes, piece_bytes);
	read_all(text, &function, split_bytes, piece_bytes);
	return 0;
}
