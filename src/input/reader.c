/*
 * reader.c: see reader.h.
 */
#include "input/reader.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"
#include "input/scan.h"

enum { PIECE_BYTES = 128 << 10, SHRINK_FROM = 4, PACKED_BYTES = 64 << 10 };
static const uint64_t mib = 1 << 20;

static pj_status make_room(pj__reader *reader, size_t capacity, size_t keep, pj_error *error)
{
	if (capacity > SIZE_MAX - PJ_TEXT_PADDING)
		return pj__no_memory(error, capacity);
	const pj_status status = pj__space_grow(&reader->buffer, capacity + PJ_TEXT_PADDING, keep, error);
	if (!status)
		reader->capacity = capacity;
	return status;
}

/* Gives back what a long line needed, but for `keep` bytes and a piece. */
static void shrink(pj__reader *reader, size_t keep)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	if (reader->touched < SHRINK_FROM * reader->piece_bytes || keep > reader->touched / 2)
		return;
	const size_t from = (keep + reader->piece_bytes + PJ_TEXT_PADDING + page - 1) / page * page;
	/* Only memory is at stake. */
	if (from < reader->buffer.bytes)
		(void)madvise(reader->buffer.at + from, reader->buffer.bytes - from, MADV_DONTNEED);
	reader->touched = from;
	if (reader->is_strained)
		reader->strained(reader->arg, reader->is_strained = false);
}

pj_status pj__reader_init(pj__reader *reader, const pj__sources *sources, size_t piece_bytes, pj_error *error)
{
	*reader = (pj__reader){.sources = sources, .fd = -1, .source = UINT32_MAX};
	reader->piece_bytes = piece_bytes ? piece_bytes : PIECE_BYTES;
	return make_room(reader, reader->piece_bytes, 0, error);
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
	pj__decoder_destroy(reader->decoder);
	reader->decoder = NULL;
	pj__space_fini(&reader->packed);
	pj__space_fini(&reader->buffer);
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
	if (source->kind == PJ__SOURCE_STREAM) {
		reader->fd = source->spool;
	} else {
		const pj_status status = pj__source_open(reader->sources, source, &reader->fd, &reader->owns_fd, error);
		if (status)
			return status;
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

/* A decoder for the split; from here on its offsets are those of text. */
static pj_status begin_decoding(pj__reader *reader, pj_error *error)
{
	const pj__source *source = source_of(reader);
	const pj__extent extent = pj__source_extent(source, reader->fd);
	const pj__split *split = &reader->split;
	char head[PJ__HEAD_BYTES];
	size_t got = 0;
	pj_status status = pj__space_grow(&reader->packed, PACKED_BYTES, 0, error);
	if (!status && split->start)
		status = pj__extent_read(&extent, head, sizeof head, 0, &got, error);
	if (!status)
		status = pj__decoder_create(source->codec, source->name,
					    pj__decoder_limits_of(reader->sources->decoder_bytes), split->start, head,
					    got, &reader->decoder, error);
	reader->place = split->end;
	reader->landed = reader->ended = false;
	reader->flow = (pj__flow){.in = reader->packed.at};
	reader->in_next = pj__codec_byte(source->codec, split->start);
	reader->next = 0;
	reader->split.end = split->most ? split->most : UINT64_MAX;
	reader->split.limit = UINT64_MAX;
	return status;
}

pj_status pj__reader_begin(pj__reader *reader, pj__split split, pj_error *error)
{
	const pj_status status = open_source(reader, split.source, error);
	if (status)
		return status;
	reader->split = split;
	reader->skipping = split.start > 0;
	reader->next = split.start - reader->skipping;
	reader->taken = reader->whole = reader->held = 0;
	reader->last = split.start >= split.end || split.start >= split.limit;
	pj__decoder_destroy(reader->decoder);
	reader->decoder = NULL;
	return pj__source_is_packed(source_of(reader)) ? begin_decoding(reader, error) : PJ_OK;
}

/* A unit goes on where one was to begin: what looked like a border is none, and the next split is not what it seems. */
static pj_status misled(const pj__reader *reader, pj_error *error)
{
	pj__fail(error, PJ_ERR_INPUT, 0, source_of(reader)->name, "cannot cut the input");
	pj__error_reason(error, "compressed data in it looks like the beginning of more %s",
			 pj__codec_name(source_of(reader)->codec));
	pj__error_at(error, NULL, -1, (int64_t)pj__codec_byte(source_of(reader)->codec, reader->place));
	pj__error_hint(error, "decompress it on the way: ... | papjuice ... -");
	return PJ_ERR_INPUT;
}

/* The split's own text ends at `offset`, unless it has ended before; the line that begins there is the last one. */
static void end_split(pj__reader *reader, uint64_t offset)
{
	reader->landed = true;
	if (reader->split.end > offset + 1)
		reader->split.end = offset + 1;
}

/* What the decoder has come to, behind `offset` bytes of text. */
static pj_status heed(pj__reader *reader, pj__decoded decoded, uint64_t offset, pj_error *error)
{
	const uint64_t place = pj__decoder_place(reader->decoder);
	if (decoded == PJ__DECODED_BORDER && !reader->landed && place >= reader->place) {
		end_split(reader, offset);
		return place == reader->place ? PJ_OK : misled(reader, error);
	}
	if (decoded != PJ__DECODED_ALL)
		return PJ_OK;
	const uint64_t end = pj__codec_byte(source_of(reader)->codec, reader->place);
	if (!reader->landed && end != source_of(reader)->size)
		return misled(reader, error);
	/* Behind the end there is no byte with which a line could begin. */
	end_split(reader, offset ? offset - 1 : 0);
	reader->split.limit = offset;
	reader->ended = true;
	return PJ_OK;
}

/* Where decoding began at what looked like a border, it may be that which is wrong, and not the file. */
static pj_status doubt(const pj__reader *reader, pj_status status, pj_error *error)
{
	if (status == PJ_ERR_INPUT && reader->split.start && error && !error->hint[0])
		pj__error_hint(error, "if it is sound it cannot be cut: ... | papjuice ... -");
	return status;
}

/* Decodes up to `size` bytes; fewer at the end of the text, or, if it is to stop there, of the split. */
static pj_status decode(pj__reader *reader, char *to, size_t size, bool stops, size_t *ret_got, pj_error *error)
{
	const pj__extent extent = pj__source_extent(source_of(reader), reader->fd);
	pj__flow *flow = &reader->flow;
	pj_status status = PJ_OK;
	flow->out = to;
	flow->out_len = size;
	while (!status && flow->out_len && !reader->ended && !(stops && reader->landed)) {
		pj__decoded decoded;
		if (!flow->in_len && !flow->in_ends) {
			flow->in = reader->packed.at;
			status = pj__extent_read(&extent, reader->packed.at, PACKED_BYTES, reader->in_next,
						 &flow->in_len, error);
			reader->in_next += flow->in_len;
			flow->in_ends = reader->in_next >= extent.size;
		}
		if (!status)
			status = doubt(reader, pj__decoder_step(reader->decoder, flow, &decoded, error), error);
		if (!status)
			status = heed(reader, decoded, reader->next + (size - flow->out_len), error);
	}
	*ret_got = size - flow->out_len;
	return status;
}

/* Puts what follows to `to`, up to `size` bytes: fewer only at the end of a compressed source. */
static pj_status read_on(pj__reader *reader, char *to, size_t size, size_t *ret_got, pj_error *error)
{
	const pj_status status = reader->decoder ? decode(reader, to, size, false, ret_got, error)
						 : fetch(reader, to, size, reader->next, error);
	if (!reader->decoder)
		*ret_got = size;
	reader->next += status ? 0 : *ret_got;
	return status;
}

/* Offset in the source of the buffer's first byte. */
static uint64_t buffer_offset(const pj__reader *reader)
{
	return reader->next - reader->held;
}

/* Bytes from which on a line needs a closer look. */
static uint64_t suspicious(const pj__reader *reader)
{
	const uint64_t most = reader->max_record, longest = reader->longest;
	return most && (!longest || most < longest) ? most : longest;
}

/* A line of more bytes than are suspicious is refused, unless it is passed over. */
static pj_status too_long(pj__reader *reader, uint64_t start, uint64_t length, bool *ret_passes, pj_error *error)
{
	const char *name = source_of(reader)->name;
	*ret_passes = false;
	if (reader->max_record && length > reader->max_record) {
		*ret_passes =
			reader->passes_over && reader->passes_over(reader->map, reader->split.origin + start, length);
		if (*ret_passes)
			return PJ_OK;
		reader->refused = reader->split.origin + start;
		pj__fail(error, PJ_ERR_RECORD, 0, name, "a record is too long");
		pj__error_reason(error, "it has %llu bytes, and may have %llu", (unsigned long long)length,
				 (unsigned long long)reader->max_record);
		pj__error_at(error, NULL, -1, (int64_t)reader->refused);
		pj__error_hint(error, "--max-record sets how long it may be");
		return PJ_ERR_RECORD;
	}
	pj__fail(error, PJ_ERR_MEMORY, 0, name, "a line is too long for the memory budget");
	pj__error_reason(error, "it has %llu bytes, more than a quarter of the budget", (unsigned long long)length);
	pj__error_at(error, NULL, -1, (int64_t)(reader->split.origin + start));
	pj__error_hint(error, "--memory %lluM is enough", (unsigned long long)((length + mib / 4 - 1) / (mib / 4)));
	return PJ_ERR_MEMORY;
}

/*
 * The beginning of a line, `rest` bytes, is in the buffer, and has more than are suspicious. How long it is is found
 * out only now; if it is passed over, the reading goes on behind it.
 */
static pj_status beginning_too_long(pj__reader *reader, size_t rest, pj_error *error)
{
	const uint64_t start = reader->next - rest;
	const char *newline = NULL;
	uint64_t end = reader->next;
	size_t got = 0;
	bool passes;
	while (reader->next < reader->split.limit && !newline) {
		const uint64_t left = reader->split.limit - reader->next;
		const size_t size = left < reader->piece_bytes ? (size_t)left : reader->piece_bytes;
		end = reader->next;
		const pj_status status = read_on(reader, reader->buffer.at, size, &got, error);
		if (status)
			return status;
		newline = memchr(reader->buffer.at, '\n', got);
		end += newline ? (size_t)(newline - reader->buffer.at) : got;
	}
	const pj_status status = too_long(reader, start, end - start, &passes, error);
	/* What stands behind it has been read, and cannot be decoded again. */
	const char *behind = newline ? newline + 1 : reader->buffer.at + got;
	reader->held = (size_t)(reader->buffer.at + got - behind);
	memmove(reader->buffer.at, behind, reader->held);
	memset(reader->buffer.at + reader->held, 0, PJ_TEXT_PADDING);
	reader->last = buffer_offset(reader) >= reader->split.end || buffer_offset(reader) >= reader->split.limit;
	return status;
}

/*
 * Looks for a line of more bytes than are suspicious: the piece is cut before it; if it begins with it, it becomes
 * empty when the line is passed over. *ret_taken: bytes of it that are done with when the piece is.
 */
static pj_status check_lines(pj__reader *reader, pj_bytes *piece, uint64_t offset, size_t *ret_taken, pj_error *error)
{
	const uint64_t most = suspicious(reader);
	const char *at = piece->ptr, *const end = at + piece->len;
	*ret_taken = piece->len;
	while (most && (uint64_t)(end - at) > most) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const size_t length = newline ? (size_t)(newline - at) : (size_t)(end - at);
		if (length > most && at == piece->ptr) {
			bool passes;
			*ret_taken = length + (newline != NULL);
			piece->len = 0;
			const pj_status status = too_long(reader, offset, length, &passes, error);
			if (!passes)
				return status;
			break;
		}
		if (length > most) {
			*ret_taken = piece->len = (size_t)(at - piece->ptr);
			break;
		}
		at += length + (newline != NULL);
	}
	return PJ_OK;
}

/* Reads on behind what is held, moving it to the front; grows the buffer when a line fills it. */
static pj_status fill(pj__reader *reader, pj_error *error)
{
	const size_t rest = reader->held - reader->taken;
	if (rest && reader->taken)
		memmove(reader->buffer.at, reader->buffer.at + reader->taken, rest);
	reader->held = rest;
	reader->taken = 0;
	shrink(reader, rest);
	if (suspicious(reader) && rest > suspicious(reader))
		return beginning_too_long(reader, rest, error);
	if (reader->strained && !reader->is_strained && rest > reader->usual)
		reader->strained(reader->arg, reader->is_strained = true);
	if (rest > reader->capacity / 2) {
		const pj_status status = make_room(reader, reader->capacity * 2, rest, error);
		if (status)
			return status;
	}
	/* No more than an eighth behind a long beginning: what the line does not need is not touched. */
	const size_t step = rest / 8 > reader->piece_bytes ? rest / 8 : reader->piece_bytes;
	size_t want = reader->capacity - rest < step ? reader->capacity - rest : step;
	if (want > reader->split.limit - reader->next)
		want = (size_t)(reader->split.limit - reader->next);
	size_t got = 0;
	const pj_status status = read_on(reader, reader->buffer.at + rest, want, &got, error);
	if (status)
		return status;
	/* It is read beyond the end, but what stands there does not matter. */
	memset(reader->buffer.at + rest + got, 0, PJ_TEXT_PADDING);
	if (reader->touched < rest + got)
		reader->touched = rest + got;
	reader->held += got;
	return PJ_OK;
}

/* Passes over the line that began in an earlier split. True when the first own line is found. */
static bool skip_foreign_line(pj__reader *reader)
{
	/* A line of ours begins at end - 1 at the latest, behind a newline at end - 2. */
	const uint64_t offset = buffer_offset(reader), stop = reader->split.end - 1;
	/* At the end of a compressed source the buffer can begin behind it. */
	const size_t own = offset > stop ? 0 : reader->next > stop ? (size_t)(stop - offset) : reader->held;
	const char *newline = memchr(reader->buffer.at, '\n', own);
	if (newline) {
		reader->taken = (size_t)(newline + 1 - reader->buffer.at);
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
	const char *buffer = reader->buffer.at;
	const uint64_t offset = buffer_offset(reader);
	/* Of a compressed source without text the limit comes before the end. */
	if (reader->next >= reader->split.end || reader->next >= reader->split.limit) {
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

/* Where the line that holds the byte before `at` ends, in a source in memory; `stop` if that is not before it. */
static uint64_t end_of_line(const pj__reader *reader, uint64_t at, uint64_t stop)
{
	const char *memory = source_of(reader)->memory.ptr;
	const char *newline = memchr(memory + at - 1, '\n', (size_t)(stop - at + 1));
	return newline ? (uint64_t)(newline + 1 - memory) : stop;
}

/* Where the piece of a source in memory ends that begins at `next`. */
static uint64_t end_of_piece(const pj__reader *reader)
{
	const pj__split *split = &reader->split;
	const char *memory = source_of(reader)->memory.ptr;
	if (reader->next >= split->end)
		return reader->next;
	if (split->end - reader->next <= reader->piece_bytes)
		return end_of_line(reader, split->end, split->limit);
	const char *newline = memrchr(memory + reader->next, '\n', reader->piece_bytes);
	return newline ? (uint64_t)(newline + 1 - memory)
		       : end_of_line(reader, reader->next + reader->piece_bytes, split->limit);
}

/* A piece at the end of the memory goes to the buffer, where there are readable bytes behind it. */
static pj_status pad(pj__reader *reader, pj_bytes *piece, pj_error *error)
{
	const pj_status status = piece->len > reader->capacity ? make_room(reader, piece->len, 0, error) : PJ_OK;
	if (status)
		return status;
	memcpy(reader->buffer.at, piece->ptr, piece->len);
	memset(reader->buffer.at + piece->len, 0, PJ_TEXT_PADDING);
	if (reader->touched < piece->len)
		reader->touched = piece->len;
	piece->ptr = reader->buffer.at;
	return PJ_OK;
}

/* The next piece of a source in memory: a part of that memory. */
static pj_status next_in_memory(pj__reader *reader, pj_bytes *ret_piece, uint64_t *ret_offset, pj_error *error)
{
	const pj__source *source = source_of(reader);
	pj_status status = PJ_OK;
	if (reader->skipping)
		reader->next = end_of_line(reader, reader->split.start, reader->split.end);
	reader->skipping = false;
	const uint64_t start = reader->next, stop = end_of_piece(reader);
	pj_bytes piece = {source->memory.ptr + start, (size_t)(stop - start)};
	size_t taken = 0;
	reader->last = !piece.len;
	status = check_lines(reader, &piece, start, &taken, error);
	reader->next = start + taken;
	if (!status && reader->strained && (piece.len > reader->usual) != reader->is_strained)
		reader->strained(reader->arg, reader->is_strained = piece.len > reader->usual);
	*ret_piece = piece;
	*ret_offset = start;
	return !status && source->memory.len - (start + piece.len) < PJ_TEXT_PADDING ? pad(reader, ret_piece, error)
										     : status;
}

/* Reads on, and finds how far whole lines of the split reach. */
static pj_status find_lines(pj__reader *reader, pj_error *error)
{
	const pj_status status = fill(reader, error);
	reader->whole = 0;
	if (status || reader->last || (reader->skipping && !skip_foreign_line(reader)))
		return status;
	reader->whole = end_of_lines(reader);
	return PJ_OK;
}

pj_status pj__reader_next(pj__reader *reader, pj_bytes *ret_piece, uint64_t *ret_offset, pj_error *error)
{
	while (!reader->last && !reader->decoder && source_of(reader)->kind == PJ__SOURCE_MEMORY) {
		const pj_status status = next_in_memory(reader, ret_piece, ret_offset, error);
		if (status || (!reader->last && ret_piece->len))
			return status;
	}
	while (reader->taken < reader->whole || !reader->last) {
		if (reader->taken >= reader->whole) {
			const pj_status status = find_lines(reader, error);
			if (status)
				return status;
			if (reader->taken >= reader->whole)
				continue;
		}
		pj_bytes piece = {reader->buffer.at + reader->taken, reader->whole - reader->taken};
		const uint64_t at = buffer_offset(reader) + reader->taken;
		size_t taken;
		const pj_status status = check_lines(reader, &piece, at, &taken, error);
		reader->taken += taken;
		if (!status && !piece.len)
			continue;
		*ret_piece = piece;
		*ret_offset = reader->split.origin + at;
		return status;
	}
	shrink(reader, 0);
	*ret_piece = (pj_bytes){NULL, 0};
	*ret_offset = reader->split.end;
	return PJ_OK;
}

/*
 * The first line of a split at `start` > 0 begins behind the first newline at or after start - 1, so it is preceded by
 * as many lines as there are newlines before start - 1, and one.
 */
static pj_status count_decoded(pj__reader *reader, uint64_t *ret_lines, uint64_t *ret_bytes, pj_error *error)
{
	pj_status status = PJ_OK;
	uint64_t lines = 0;
	while (!status && !reader->landed && !reader->ended) {
		size_t got = 0;
		status = decode(reader, reader->buffer.at, reader->capacity, true, &got, error);
		lines += status ? 0 : pj__count_newlines(reader->buffer.at, reader->buffer.at + got);
		reader->next += got;
	}
	*ret_lines = lines;
	*ret_bytes = reader->next;
	return status;
}

pj_status pj__reader_count_lines(pj__reader *reader, pj__split split, uint64_t *ret_lines, uint64_t *ret_bytes,
				 pj_error *error)
{
	uint64_t lines = 0, at = split.start - (split.start > 0);
	pj_status status = pj__reader_begin(reader, split, error);
	*ret_bytes = split.end - split.start;
	if (!status && reader->decoder)
		status = count_decoded(reader, &lines, ret_bytes, error);
	while (!status && !reader->decoder && at < split.end - 1) {
		const uint64_t rest = split.end - 1 - at;
		const size_t size = rest < reader->capacity ? (size_t)rest : reader->capacity;
		status = pj__stopped_by(reader->stop, error);
		if (!status)
			status = fetch(reader, reader->buffer.at, size, at, error);
		if (!status)
			lines += pj__count_newlines(reader->buffer.at, reader->buffer.at + size);
		at += size;
	}
	*ret_lines = lines + (split.start == 0);
	return status;
}

/* Decodes up to a place in the text of a compressed source, from its beginning, and counts the lines there. */
static pj_status decode_up_to(pj__reader *reader, uint64_t offset, uint64_t *lines, pj_error *error)
{
	while (reader->next < offset && reader->next < reader->split.limit) {
		const uint64_t left = offset - reader->next;
		size_t got;
		pj_status status = pj__stopped_by(reader->stop, error);
		if (!status)
			status = read_on(reader, reader->buffer.at,
					 left < reader->piece_bytes ? (size_t)left : reader->piece_bytes, &got, error);
		if (status)
			return status;
		*lines += pj__count_newlines(reader->buffer.at, reader->buffer.at + got);
	}
	return PJ_OK;
}

pj_status pj__reader_record(pj__reader *reader, uint32_t source, uint64_t offset, uint64_t *ret_lines,
			    pj_status (*take)(void *arg, pj_bytes piece, pj_error *error), void *arg, pj_error *error)
{
	const uint64_t size = pj__source_end(&reader->sources->at[source]);
	const char *newline = NULL;
	pj_status status = pj__reader_begin(reader, (pj__split){.source = source, .end = size, .limit = size}, error);
	*ret_lines = 0;
	if (!status && reader->decoder)
		status = decode_up_to(reader, offset, ret_lines, error);
	reader->next = offset;
	while (!status && !newline && reader->next < reader->split.limit) {
		const uint64_t left = reader->split.limit - reader->next;
		size_t got = left < reader->piece_bytes ? (size_t)left : reader->piece_bytes;
		status = read_on(reader, reader->buffer.at, got, &got, error);
		if (status)
			break;
		newline = memchr(reader->buffer.at, '\n', got);
		if (newline)
			got = (size_t)(newline + 1 - reader->buffer.at);
		status = take(arg, (pj_bytes){reader->buffer.at, got}, error);
	}
	reader->last = true;
	return status;
}
