/*
 * spool.c: see spool.h.
 */
#include "input/spool.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"
#include "input/scan.h"

enum { STEP_BYTES = 256 << 10, PACKED_BYTES = 64 << 10, WAIT_MS = 100 };
/* What a decoder may take unless it is told: the largest window that zstd takes unasked, and more. */
static const uint64_t decoder_usual = 129 << 20;

/* Goes on to the next stream, from source `at` on. */
static pj_status open_next(pj__spool *spool, pj_error *error)
{
	while (spool->at < spool->sources->count && spool->sources->at[spool->at].kind != PJ__SOURCE_STREAM)
		spool->at++;
	spool->fd = -1;
	spool->owns_fd = false;
	spool->read = spool->raw = spool->start = 0;
	spool->lines = spool->line_offset = spool->lines_before = spool->line = 0;
	spool->is_known = spool->goes_on = spool->decoded = false;
	spool->head = 0;
	if (pj__spool_ended(spool))
		return PJ_OK;
	const pj__source *source = &spool->sources->at[spool->at];
	if (source->read || source->memory.ptr)
		return PJ_OK;
	spool->fd = source->fd;
	if (spool->fd < 0) {
		/* A pipe that nobody has opened to write is waited for outside; inside open() it could not be ended. */
		spool->fd = pj__beyond_standard(open(source->name, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
		spool->owns_fd = true;
	}
	if (spool->fd >= 0)
		return PJ_OK;
	return pj__fail(error, PJ_ERR_INPUT, errno, source->name, "cannot read the input");
}

pj_status pj__spool_init(pj__spool *spool, pj__sources *sources, uint64_t split_bytes, const char *temp,
			 pj_error *error)
{
	*spool = (pj__spool){.sources = sources,
			     .split_bytes = split_bytes,
			     .fd = -1,
			     .on_disk = temp,
			     .decoder_most = decoder_usual};
	pj_status status = PJ_OK;
	for (size_t i = 0; i < sources->count; i++)
		sources->at[i].spool = -1;
	if (!sources->has_stream) {
		spool->at = sources->count;
		return PJ_OK;
	}
	spool->buffer = malloc(STEP_BYTES);
	if (!spool->buffer)
		return pj__no_memory(error, STEP_BYTES);
	for (size_t i = 0; i < sources->count && !status; i++)
		if (sources->at[i].kind == PJ__SOURCE_STREAM)
			status = temp ? pj__temp_file(temp, &sources->at[i].spool, error)
				      : pj__memory_file("papjuice-spool", &sources->at[i].spool, error);
	for (size_t i = 0; i < sources->count && !status; i++)
		if (sources->at[i].kind == PJ__SOURCE_STREAM)
			pj__park_position(sources->at[i].spool);
	if (!status)
		status = open_next(spool, error);
	if (status)
		pj__spool_fini(spool);
	return status;
}

static void close_stream(pj__spool *spool)
{
	if (spool->owns_fd)
		pj__close(&spool->fd); /* read only: nothing can be lost */
	spool->fd = -1;
	pj__decoder_destroy(spool->decoder);
	spool->decoder = NULL;
}

void pj__spool_fini(pj__spool *spool)
{
	close_stream(spool);
	free(spool->buffer);
	free(spool->packed);
	spool->buffer = spool->packed = NULL;
	for (size_t i = 0; spool->sources && i < spool->sources->count; i++)
		if (spool->sources->at[i].kind == PJ__SOURCE_STREAM)
			pj__close(&spool->sources->at[i].spool);
	spool->sources = NULL;
}

bool pj__spool_wait(const pj__spool *spool, int timeout_ms)
{
	struct pollfd ready = {.fd = pj__spool_descriptor(spool), .events = POLLIN};
	return ready.fd < 0 || poll(&ready, 1, timeout_ms) > 0;
}

int pj__spool_descriptor(const pj__spool *spool)
{
	return spool->goes_on ? -1 : spool->fd;
}

/* Reads up to `size` bytes as they are. *got: 0 at the end, SIZE_MAX if there is nothing yet. */
static pj_status read_raw(pj__spool *spool, char *to, size_t size, size_t *got, pj_error *error)
{
	pj__source *source = &spool->sources->at[spool->at];
	if (source->read) {
		*got = 0;
		const pj_status status = source->read(source->arg, to, size, got);
		if (status)
			return pj__fail(error, status, 0, source->name, "the input function failed");
		if (*got > size)
			return pj__fail(error, PJ_ERR_USER, 0, source->name, "the input function returned too much");
		return PJ_OK;
	}
	if (source->memory.ptr) {
		const size_t rest = source->memory.len - spool->raw;
		*got = rest < size ? rest : size;
		memcpy(to, source->memory.ptr + spool->raw, *got);
		return PJ_OK;
	}
	ssize_t n;
	while ((n = read(spool->fd, to, size)) < 0 && errno == EINTR)
		;
	if (n < 0) {
		if (errno == EAGAIN) { /* somebody else's descriptor, which does not block: wait for it, a while */
			struct pollfd waiting = {spool->fd, POLLIN, 0};
			(void)poll(&waiting, 1, WAIT_MS); /* however it ends, the next read will tell */
			*got = SIZE_MAX;
			return PJ_OK;
		}
		pj__fail(error, PJ_ERR_INPUT, errno, source->name, "cannot read the input");
		pj__error_at(error, NULL, -1, (int64_t)spool->raw);
		return PJ_ERR_INPUT;
	}
	*got = (size_t)n;
	return PJ_OK;
}

static pj_status read_counted(pj__spool *spool, char *to, size_t size, size_t *got, pj_error *error)
{
	const pj_status status = read_raw(spool, to, size, got, error);
	if (!status && *got != SIZE_MAX)
		spool->raw += *got;
	return status;
}

/* The stream is compressed: what was read of it is the beginning of what is to be decoded. */
static pj_status begin_decoding(pj__spool *spool, pj__codec codec, bool ended, pj_error *error)
{
	if (!spool->packed)
		spool->packed = malloc(PACKED_BYTES);
	if (!spool->packed)
		return pj__no_memory(error, PACKED_BYTES);
	memcpy(spool->packed, spool->buffer, spool->head);
	spool->flow = (pj__flow){.in = spool->packed, .in_len = spool->head, .in_ends = ended};
	spool->goes_on = true;
	return pj__decoder_create(codec, spool->sources->at[spool->at].name, pj__decoder_limits_of(spool->decoder_most),
				  0, NULL, 0, &spool->decoder, error);
}

/* Reads until the beginning tells what the stream is; *got: bytes of it that are text. */
static pj_status read_head(pj__spool *spool, size_t *got, pj_error *error)
{
	const size_t room = PACKED_BYTES - spool->head;
	const pj_status status = read_counted(spool, spool->buffer + spool->head, room, got, error);
	if (status || *got == SIZE_MAX)
		return status;
	spool->head += *got;
	const bool ended = !*got;
	*got = SIZE_MAX;
	if (!ended && spool->head < PJ__MAGIC_BYTES)
		return PJ_OK;
	const pj__codec codec = pj__codec_of(spool->buffer, spool->head);
	spool->is_known = true;
	if (codec != PJ__CODEC_NONE)
		return begin_decoding(spool, codec, ended, error);
	*got = spool->head;
	return PJ_OK;
}

/* The same of a compressed stream: what is decoded. */
static pj_status decode_some(pj__spool *spool, size_t *got, pj_error *error)
{
	pj__flow *flow = &spool->flow;
	pj__decoded decoded = PJ__DECODED_SOME;
	pj_status status = PJ_OK;
	flow->out = spool->buffer;
	flow->out_len = STEP_BYTES;
	if (!spool->goes_on) {
		flow->in = spool->packed;
		status = read_counted(spool, spool->packed, PACKED_BYTES, got, error);
		if (status || *got == SIZE_MAX)
			return status;
		flow->in_len = *got;
		flow->in_ends = !*got;
	}
	while (!status && !spool->decoded && flow->out_len) {
		status = pj__decoder_step(spool->decoder, flow, &decoded, error);
		spool->decoded = !status && decoded == PJ__DECODED_ALL;
		if (decoded == PJ__DECODED_SOME)
			break;
	}
	spool->goes_on = flow->in_len || flow->in_ends || !flow->out_len;
	*got = STEP_BYTES - flow->out_len;
	if (!*got && !spool->decoded)
		*got = SIZE_MAX;
	return status;
}

static pj_status read_some(pj__spool *spool, size_t *got, pj_error *error)
{
	if (spool->decoder)
		return decode_some(spool, got, error);
	return spool->is_known ? read_counted(spool, spool->buffer, STEP_BYTES, got, error)
			       : read_head(spool, got, error);
}

static pj_status hand_out(pj__spool *spool, uint64_t end, uint64_t limit, pj__spool_take *take, void *arg,
			  pj_error *error)
{
	const uint64_t before = spool->start ? spool->lines_before + 1 : 0;
	const pj__split split = {(uint32_t)spool->at, spool->start, end, limit, before};
	spool->start = end;
	spool->lines_before = spool->lines;
	return take(arg, split, error);
}

/* Counts the newlines before `end`, those of the buffer beginning at offset `before`. Between there are none. */
static void count_lines(pj__spool *spool, uint64_t before, uint64_t end)
{
	if (end <= spool->line_offset)
		return;
	const char *const from = spool->buffer + (spool->line_offset - before);
	spool->lines += pj__count_newlines(from, from + (end - spool->line_offset));
	spool->line_offset = end;
}

/* Looks whether a line that was decoded can still be what somebody means. */
static pj_status check_line(pj__spool *spool, size_t got, pj_error *error)
{
	const char *newline = memrchr(spool->buffer, '\n', got);
	if (newline)
		spool->line = spool->read - got + (uint64_t)(newline + 1 - spool->buffer);
	if (!spool->decoder || !spool->longest || spool->read - spool->line <= spool->longest)
		return PJ_OK;
	pj__fail(error, PJ_ERR_MEMORY, 0, spool->sources->at[spool->at].name,
		 "a line is too long for the memory budget");
	pj__error_reason(error, "it has more than %llu bytes, a quarter of the budget",
			 (unsigned long long)spool->longest);
	pj__error_at(error, NULL, -1, (int64_t)spool->line);
	pj__error_hint(error, "is it a text? If so, more --memory");
	return PJ_ERR_MEMORY;
}

/* Hands out the splits whose last line ends in the `got` bytes that were read last. */
static pj_status cut_ready(pj__spool *spool, size_t got, pj__spool_take *take, void *arg, pj_error *error)
{
	const uint64_t before = spool->read - got;
	for (;;) {
		const uint64_t end = spool->start + spool->split_bytes, last = end - 1;
		if (end < spool->start || last >= spool->read)
			return PJ_OK;
		const size_t from = last > before ? (size_t)(last - before) : 0;
		const char *newline = memchr(spool->buffer + from, '\n', got - from);
		if (!newline)
			return PJ_OK;
		const uint64_t limit = before + (uint64_t)(newline - spool->buffer) + 1;
		count_lines(spool, before, last);
		const pj_status status = hand_out(spool, end, limit, take, arg, error);
		if (status)
			return status;
	}
}

static pj_status end_stream(pj__spool *spool, pj__spool_take *take, void *arg, pj_error *error)
{
	pj_status status = PJ_OK;
	while (spool->start < spool->read && !status) {
		const uint64_t rest = spool->read - spool->start;
		const uint64_t end = spool->start + (rest < spool->split_bytes ? rest : spool->split_bytes);
		status = hand_out(spool, end, spool->read, take, arg, error);
	}
	close_stream(spool);
	spool->at++;
	return status ? status : open_next(spool, error);
}

pj_status pj__spool_step(pj__spool *spool, pj__spool_take *take, void *arg, pj_error *error)
{
	size_t got;
	const pj__source *source = &spool->sources->at[spool->at];
	pj_status status = read_some(spool, &got, error);
	if (status || got == SIZE_MAX)
		return status;
	if (!got)
		return end_stream(spool, take, arg, error);
	status = pj__pwrite_checked(source->spool, source->name, spool->buffer, got, (off_t)spool->read, error);
	if (status)
		return status;
	spool->read += got;
	spool->total += got;
	/* So far: a record of what was handed out may have to be found again. */
	spool->sources->at[spool->at].size = spool->read;
	status = check_line(spool, got, error);
	if (!status)
		status = cut_ready(spool, got, take, arg, error);
	count_lines(spool, spool->read - got, spool->read);
	return status;
}

void pj__spool_release(pj__spool *spool, uint32_t source, uint64_t offset)
{
	/* Only space is at stake: where it cannot be given back it is kept. */
	(void)fallocate(spool->sources->at[source].spool, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)offset);
}
