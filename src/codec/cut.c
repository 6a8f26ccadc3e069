/*
 * cut.c: see cut.h.
 */
#include "codec/cut.h"

#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>

#include "codec/bzip2.h"

enum {
	WINDOW_BYTES = 256 << 10,
	TRIED_BYTES = 32 << 10,   /* of what may be a member */
	STEPS_MOST = 1 << 20,     /* of a walk */
	IN_VAIN_MOST = 256 << 20, /* bytes searched without a find */
	INDEX_MEMORY = 16 << 20,  /* of an xz file of a million blocks */
	LEAST_MEMBER = 18
};

struct cutter {
	const pj__extent *extent;
	uint64_t step;
	pj__codec codec;
	pj__codec_take *take;
	void *arg;
	uint64_t *memory;
	uint64_t last;   /* byte of the last place */
	uint64_t window; /* offset of what is in `bytes` */
	size_t held;
	unsigned char bytes[WINDOW_BYTES];
};

static pj_status found(struct cutter *cutter, uint64_t place, pj_error *error)
{
	cutter->last = pj__codec_byte(cutter->codec, place);
	return cutter->take(cutter->arg, place, error);
}

/* The bytes at an offset, up to `size`, of which *ret_got are there. */
static pj_status look(struct cutter *cutter, uint64_t offset, size_t size, size_t *ret_got, pj_error *error)
{
	return pj__extent_read(cutter->extent, (char *)cutter->bytes, size, offset, ret_got, error);
}

static uint32_t little(const unsigned char *at, unsigned bytes)
{
	uint32_t value = 0;
	for (unsigned i = 0; i < bytes; i++)
		value |= (uint32_t)at[i] << (8 * i);
	return value;
}

/* --------------------------------------------------------------------------------- walks, from length to length */

/* Finds the end of the unit that begins at *at, moving it there; false: it cannot be told. */
typedef pj_status walk_unit(struct cutter *cutter, uint64_t *at, unsigned *steps, bool *ret_good, pj_error *error);

static pj_status walk(struct cutter *cutter, walk_unit *next, pj_error *error)
{
	unsigned steps = 0;
	bool good = true;
	pj_status status = PJ_OK;
	for (uint64_t at = 0; !status && good && at < cutter->extent->size && steps < STEPS_MOST; steps++) {
		if (at - cutter->last >= cutter->step)
			status = found(cutter, at, error);
		if (!status)
			status = next(cutter, &at, &steps, &good, error);
	}
	return status;
}

/* A member of bgzf: its header has a field BC, six bytes long and alone, that holds the member's length less 1. */
static bool is_bgzf(const unsigned char *header, size_t size)
{
	return size >= LEAST_MEMBER && memcmp(header, "\x1f\x8b\x08\x04", 4) == 0 &&
	       memcmp(header + 10, "\x06\0BC\x02\0", 6) == 0;
}

static pj_status walk_bgzf(struct cutter *cutter, uint64_t *at, unsigned *steps, bool *ret_good, pj_error *error)
{
	size_t got;
	(void)steps;
	const pj_status status = look(cutter, *at, LEAST_MEMBER, &got, error);
	*ret_good = !status && is_bgzf(cutter->bytes, got);
	*at += *ret_good ? little(cutter->bytes + 16, 2) + 1 : 0;
	return status;
}

/* RFC 8878: a frame is a header, blocks that tell their lengths, and four bytes of checksum if the header says so. */
static pj_status walk_zstd(struct cutter *cutter, uint64_t *at, unsigned *steps, bool *ret_good, pj_error *error)
{
	static const unsigned char content_bytes[] = {0, 2, 4, 8}, dictionary_bytes[] = {0, 1, 2, 4};
	size_t got;
	const unsigned char *bytes = cutter->bytes;
	pj_status status = look(cutter, *at, 18, &got, error);
	*ret_good = false;
	if (status || got < 9)
		return status;
	const uint32_t magic = little(bytes, 4);
	if (magic >> 4 == 0x184d2a5) {
		*at += 8 + (uint64_t)little(bytes + 4, 4);
		*ret_good = true;
		return PJ_OK;
	}
	if (magic != 0xfd2fb528)
		return PJ_OK;
	const uint64_t memory = pj__zstd_memory((const char *)bytes, got) + WINDOW_BYTES;
	*cutter->memory = memory > *cutter->memory ? memory : *cutter->memory;
	const unsigned flags = bytes[4];
	const bool single = flags >> 5 & 1;
	uint64_t next = *at + 5 + !single + dictionary_bytes[flags & 3] +
			(single && !(flags >> 6) ? 1 : content_bytes[flags >> 6]);
	for (bool last = false; !last; ++*steps) {
		status = look(cutter, next, 3, &got, error);
		if (status || got < 3 || *steps >= STEPS_MOST)
			return status;
		const uint32_t head = little(bytes, 3);
		last = head & 1;
		next += 3 + ((head >> 1 & 3) == 1 ? 1 : head >> 3); /* one byte that is repeated, or so many */
	}
	*at = next + (flags >> 2 & 1 ? 4 : 0);
	*ret_good = true;
	return PJ_OK;
}

/* A frame of lz4 is a header, blocks behind four bytes that tell their lengths, and perhaps checksums. */
static pj_status walk_lz4(struct cutter *cutter, uint64_t *at, unsigned *steps, bool *ret_good, pj_error *error)
{
	size_t got;
	const unsigned char *bytes = cutter->bytes;
	pj_status status = look(cutter, *at, 8, &got, error);
	*ret_good = false;
	if (status || got < 8)
		return status;
	const uint32_t magic = little(bytes, 4);
	if (magic >> 4 == 0x184d2a5) {
		*at += 8 + (uint64_t)little(bytes + 4, 4);
		*ret_good = true;
		return PJ_OK;
	}
	if (magic != 0x184d2204)
		return PJ_OK;
	const unsigned flags = bytes[4];
	uint64_t next = *at + 4 + 2 + (flags & 8 ? 8 : 0) + (flags & 1 ? 4 : 0) + 1;
	for (uint32_t length = 1; length; ++*steps) {
		status = look(cutter, next, 4, &got, error);
		if (status || got < 4 || *steps >= STEPS_MOST)
			return status;
		length = little(bytes, 4) & 0x7fffffff;
		next += 4 + (uint64_t)length + (length && flags & 16 ? 4 : 0);
	}
	*at = next + (flags & 4 ? 4 : 0);
	*ret_good = true;
	return PJ_OK;
}

/* ------------------------------------------------------------------------------------------------------- searches */

/*
 * Finds the first place at or behind an offset, in what the cutter holds. False: there is none that is whole; what it
 * begins with is looked at again with more behind it.
 */
typedef bool search_window(struct cutter *cutter, uint64_t *ret_place);

/* Is a member likely to begin at `at`? Its data must be such as can be decoded. */
static bool is_member(const unsigned char *at, size_t size)
{
	unsigned char text[4096];
	const bool looks = size >= LEAST_MEMBER && at[0] == 0x1f && at[1] == 0x8b && at[2] == 8 && !(at[3] & 0xe0) &&
			   (at[8] == 0 || at[8] == 2 || at[8] == 4) && (at[9] <= 13 || at[9] == 255);
	z_stream stream = {.next_in = (const Bytef *)at, .avail_in = (uInt)(size < TRIED_BYTES ? size : TRIED_BYTES)};
	if (!looks || inflateInit2(&stream, 15 + 16) != Z_OK)
		return false;
	int result = Z_OK;
	while (result == Z_OK) {
		stream.next_out = text;
		stream.avail_out = sizeof text;
		result = inflate(&stream, Z_NO_FLUSH);
	}
	inflateEnd(&stream);
	return result == Z_STREAM_END || result == Z_BUF_ERROR; /* it has ended well, or goes on */
}

static bool search_members(struct cutter *cutter, uint64_t *ret_place)
{
	const unsigned char *const end = cutter->bytes + cutter->held;
	const bool is_last = cutter->window + cutter->held >= cutter->extent->size;
	for (const unsigned char *at = cutter->bytes; (at = memchr(at, 0x1f, (size_t)(end - at))); at++) {
		if (!is_last && end - at < TRIED_BYTES)
			return false;
		*ret_place = cutter->window + (uint64_t)(at - cutter->bytes);
		if (is_member(at, (size_t)(end - at)))
			return true;
	}
	return false;
}

/* What follows a block's magic: a checksum, a bit that is 0, and 24 that are less than a block is long. */
static bool search_blocks(struct cutter *cutter, uint64_t *ret_place)
{
	uint64_t window = 0;
	for (size_t i = 0; i + 8 < cutter->held; i++) {
		window = window << 8 | cutter->bytes[i];
		const int behind = i < 6 ? -1 : pj__bzip2_find(window, pj__bzip2_block);
		if (behind < 0)
			continue;
		uint64_t next = 0;
		for (size_t more = 1; more <= 8; more++)
			next = next << 8 | cutter->bytes[i + more];
		/* the bits behind the magic, of which `behind` have come */
		next = behind ? window << (64 - behind) | next >> behind : next;
		*ret_place = 8 * (cutter->window + i + 1) - (uint64_t)behind - 48;
		if (!(next >> 31 & 1) && (next >> 7 & 0xffffff) < 900000)
			return true;
	}
	return false;
}

static pj_status search(struct cutter *cutter, search_window *find, size_t overlap, pj_error *error)
{
	uint64_t in_vain = 0, at = cutter->step;
	pj_status status = PJ_OK;
	while (!status && at < cutter->extent->size && in_vain < IN_VAIN_MOST) {
		cutter->window = at;
		status = look(cutter, at, WINDOW_BYTES, &cutter->held, error);
		if (status)
			break;
		uint64_t place;
		if (find(cutter, &place)) {
			status = found(cutter, place, error);
			at = cutter->last + cutter->step;
			in_vain = 0;
		} else if (cutter->held < WINDOW_BYTES) {
			break;
		} else {
			at += WINDOW_BYTES - overlap;
			in_vain += WINDOW_BYTES;
		}
	}
	return status;
}

/* ------------------------------------------------------------------------------------------------------------- xz */

/* Reads the indexes at the end of each stream; NULL: the file is damaged, or has too many blocks. */
static pj_status read_index(struct cutter *cutter, lzma_index **ret_index, pj_error *error)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	*ret_index = NULL;
	if (lzma_file_info_decoder(&stream, ret_index, INDEX_MEMORY, cutter->extent->size) != LZMA_OK)
		return pj__no_memory(error, 1 << 16);
	lzma_ret result = LZMA_OK;
	pj_status status = PJ_OK;
	uint64_t at = 0;
	while (!status && result == LZMA_OK) {
		size_t got = 0;
		if (!stream.avail_in) {
			status = look(cutter, at, 4096, &got, error);
			stream.next_in = cutter->bytes;
			stream.avail_in = got;
			at += got;
		}
		result = status ? LZMA_OK : lzma_code(&stream, LZMA_RUN);
		if (result == LZMA_SEEK_NEEDED) {
			at = stream.seek_pos;
			stream.avail_in = 0;
			result = LZMA_OK;
		}
	}
	lzma_end(&stream);
	if (result != LZMA_STREAM_END)
		*ret_index = NULL;
	return status;
}

/* All streams must have the same kind of checksum: a decoder that begins later takes it from the first one. */
static pj_status take_blocks(struct cutter *cutter, lzma_index *index, pj_error *error)
{
	const uint32_t checks = lzma_index_checks(index);
	lzma_index_iter block;
	pj_status status = PJ_OK;
	lzma_index_iter_init(&block, index);
	while (!(checks & (checks - 1)) && !status && !lzma_index_iter_next(&block, LZMA_INDEX_ITER_NONEMPTY_BLOCK))
		if (block.block.compressed_file_offset - cutter->last >= cutter->step)
			status = found(cutter, block.block.compressed_file_offset, error);
	return status;
}

static pj_status cut_xz(struct cutter *cutter, pj_error *error)
{
	lzma_index *index;
	pj_status status = read_index(cutter, &index, error);
	if (!status && index)
		status = take_blocks(cutter, index, error);
	lzma_index_end(index, NULL);
	return status;
}

/* ------------------------------------------------------------------------------------------------------------ all */

static pj_status cut(struct cutter *cutter, pj_error *error)
{
	size_t got;
	switch (cutter->codec) {
	case PJ__CODEC_GZIP: {
		const pj_status status = look(cutter, 0, LEAST_MEMBER, &got, error);
		if (status)
			return status;
		return is_bgzf(cutter->bytes, got) ? walk(cutter, walk_bgzf, error)
						   : search(cutter, search_members, TRIED_BYTES, error);
	}
	case PJ__CODEC_BZIP2:
		return search(cutter, search_blocks, 16, error);
	case PJ__CODEC_XZ:
		return cut_xz(cutter, error);
	case PJ__CODEC_ZSTD:
		return walk(cutter, walk_zstd, error);
	case PJ__CODEC_LZ4:
		return walk(cutter, walk_lz4, error);
	case PJ__CODEC_NONE:
		break;
	}
	return PJ_OK;
}

pj_status pj__codec_cut(pj__codec codec, const pj__extent *extent, uint64_t step_bytes, pj__codec_take *take, void *arg,
			uint64_t *memory, pj_error *error)
{
	struct cutter *cutter = calloc(1, sizeof *cutter);
	if (!cutter)
		return pj__no_memory(error, sizeof *cutter);
	cutter->extent = extent;
	cutter->step = step_bytes ? step_bytes : 1;
	cutter->codec = codec;
	cutter->take = take;
	cutter->arg = arg;
	cutter->memory = memory;
	const pj_status status = cut(cutter, error);
	free(cutter);
	return status;
}
