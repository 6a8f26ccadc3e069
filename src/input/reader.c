/*
 * reader.c: see reader.h.
 */
#include "input/reader.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"
#include "input/scan.h"

enum { PIECE_BYTES = 128 << 10 };

static pj_status make_room(pj__reader *reader, size_t capacity, pj_error *error)
{
	char *grown =
		capacity < SIZE_MAX - PJ_TEXT_PADDING ? realloc(reader->buffer, capacity + PJ_TEXT_PADDING) : NULL;
	if (!grown)
		return pj__no_memory(error, capacity);
	memset(grown + capacity, 0, PJ_TEXT_PADDING);
	reader->buffer = grown;
	reader->capacity = capacity;
	return PJ_OK;
}

pj_status pj__reader_init(pj__reader *reader, const pj__sources *sources, size_t piece_bytes, pj_error *error)
{
	*reader = (pj__reader){.sources = sources, .fd = -1, .source = UINT32_MAX};
	reader->piece_bytes = piece_bytes ? piece_bytes : PIECE_BYTES;
	return make_room(reader, reader->piece_bytes, error);
}

static void close_source(pj__reader *reader)
{
	if (reader->owns_fd)
		pj__close(&reader->fd); /* read only: nothing can be lost */
	reader->fd = -1;
	reader->owns_fd = false;
	reader->source = UINT32_MAX;
}

void pj__reader_fini(pj__reader *reader)
{
	close_source(reader);
	free(reader->buffer);
	reader->buffer = NULL;
}

static const pj__source *source_of(const pj__reader *reader)
{
	return &reader->sources->at[reader->split.source];
}

static pj_status open_source(pj__reader *reader, uint32_t index, pj_error *error)
{
	if (reader->source == index)
		return PJ_OK;
	close_source(reader);
	const pj__source *source = &reader->sources->at[index];
	if (source->kind == PJ__SOURCE_STREAM)
		reader->fd = source->spool;
	else if (source->kind == PJ__SOURCE_FILE && source->fd >= 0)
		reader->fd = source->fd;
	else if (source->kind == PJ__SOURCE_FILE) {
		reader->fd = open(source->name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (reader->fd < 0)
			return pj__fail(error, pj__status_of_errno(errno, PJ_ERR_INPUT), errno, source->name,
					"cannot read the input");
		reader->owns_fd = true;
	}
	reader->source = index;
	return PJ_OK;
}

/* Puts `size` bytes of the source at `offset` to `to`; there must be as many. */
static pj_status fetch(pj__reader *reader, char *to, size_t size, uint64_t offset, pj_error *error)
{
	const pj__source *source = source_of(reader);
	if (source->kind == PJ__SOURCE_MEMORY) {
		memcpy(to, source->memory.ptr + offset, size);
		return PJ_OK;
	}
	size_t got = 0;
	const int failed = pj__pread_full(reader->fd, to, size, (off_t)(source->base + offset), &got);
	if (failed) {
		pj__fail(error, PJ_ERR_INPUT, failed, source->name, "cannot read the input");
		pj__error_at(error, NULL, -1, (int64_t)offset);
		return PJ_ERR_INPUT;
	}
	if (got < size) {
		pj__fail(error, PJ_ERR_CHANGED, 0, source->name, "the input changed while it was read");
		pj__error_reason(error, "it is shorter than it was");
		pj__error_at(error, NULL, -1, (int64_t)(offset + got));
		return PJ_ERR_CHANGED;
	}
	return PJ_OK;
}

pj_status pj__reader_begin(pj__reader *reader, pj__split split, pj_error *error)
{
	const pj_status status = open_source(reader, split.source, error);
	if (status)
		return status;
	reader->split = split;
	reader->skipping = split.start > 0;
	reader->next = split.start - reader->skipping;
	reader->taken = reader->held = 0;
	reader->last = split.start >= split.end || split.start >= split.limit;
	return PJ_OK;
}

/* Offset in the source of the buffer's first byte. */
static uint64_t buffer_offset(const pj__reader *reader)
{
	return reader->next - reader->held;
}

/* Reads on behind what is held, moving it to the front; grows the buffer when a line fills it. */
static pj_status fill(pj__reader *reader, pj_error *error)
{
	const size_t rest = reader->held - reader->taken;
	if (rest && reader->taken)
		memmove(reader->buffer, reader->buffer + reader->taken, rest);
	reader->held = rest;
	reader->taken = 0;
	if (rest > reader->capacity / 2) {
		const pj_status status = make_room(reader, reader->capacity * 2, error);
		if (status)
			return status;
	}
	size_t want = reader->capacity - rest;
	if (want > reader->split.limit - reader->next)
		want = (size_t)(reader->split.limit - reader->next);
	const pj_status status = fetch(reader, reader->buffer + rest, want, reader->next, error);
	if (status)
		return status;
	if (reader->next == 0) {
		const pj_status refused = pj__refuse_compressed(source_of(reader)->name, reader->buffer, want, error);
		if (refused)
			return refused;
	}
	reader->next += want;
	reader->held += want;
	return PJ_OK;
}

/* Passes over the line that began in an earlier split. True when the first own line is found. */
static bool skip_foreign_line(pj__reader *reader)
{
	/* A line of ours begins at end - 1 at the latest, behind a newline at end - 2. */
	const uint64_t offset = buffer_offset(reader), stop = reader->split.end - 1;
	const size_t own = reader->next > stop ? (size_t)(stop - offset) : reader->held;
	const char *newline = memchr(reader->buffer, '\n', own);
	if (newline) {
		reader->taken = (size_t)(newline + 1 - reader->buffer);
		reader->skipping = false;
		return true;
	}
	reader->last = reader->next >= stop;
	reader->taken = reader->held;
	return false;
}

/* Finds how far whole lines of the split reach in what is held; sets `last` when they are the last ones. */
static size_t end_of_lines(pj__reader *reader)
{
	const char *buffer = reader->buffer;
	const uint64_t offset = buffer_offset(reader);
	if (reader->next >= reader->split.end) {
		const uint64_t border = reader->split.end - 1;
		const size_t from = border > offset + reader->taken ? (size_t)(border - offset) : reader->taken;
		const char *newline = memchr(buffer + from, '\n', reader->held - from);
		if (newline || reader->next >= reader->split.limit) {
			reader->last = true;
			return newline ? (size_t)(newline + 1 - buffer) : reader->held;
		}
	}
	const char *newline = memrchr(buffer + reader->taken, '\n', reader->held - reader->taken);
	return newline ? (size_t)(newline + 1 - buffer) : reader->taken;
}

pj_status pj__reader_next(pj__reader *reader, pj_bytes *ret_piece, uint64_t *ret_offset, pj_error *error)
{
	while (!reader->last) {
		const pj_status status = fill(reader, error);
		if (status)
			return status;
		if (reader->skipping && !skip_foreign_line(reader))
			continue;
		const size_t start = reader->taken, stop = end_of_lines(reader);
		reader->taken = stop;
		if (stop > start) {
			*ret_piece = (pj_bytes){reader->buffer + start, stop - start};
			*ret_offset = buffer_offset(reader) + start;
			return PJ_OK;
		}
	}
	*ret_piece = (pj_bytes){NULL, 0};
	*ret_offset = reader->split.end;
	return PJ_OK;
}

/*
 * The first line of a split at `start` > 0 begins behind the first newline at or after start - 1, so it is preceded by
 * as many lines as there are newlines before start - 1, and one.
 */
pj_status pj__reader_count_lines(pj__reader *reader, pj__split split, uint64_t *ret_lines, pj_error *error)
{
	uint64_t lines = split.start == 0, at = split.start - (split.start > 0);
	pj_status status = open_source(reader, split.source, error);
	reader->split = split;
	while (!status && at < split.end - 1) {
		const uint64_t rest = split.end - 1 - at;
		const size_t size = rest < reader->capacity ? (size_t)rest : reader->capacity;
		status = fetch(reader, reader->buffer, size, at, error);
		if (!status)
			lines += pj__count_newlines(reader->buffer, reader->buffer + size);
		at += size;
	}
	if (!status)
		*ret_lines = lines;
	return status;
}
