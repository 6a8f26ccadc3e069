/*
 * bzip2.c: the units of bzip2, its blocks.
 *
 * The library decodes streams, so each block is given to it as the beginning of one: a header, then the block's bits,
 * moved to whole bytes. Where a block ends only its decoder knows. So all bits are searched for the magic of what
 * follows it; wherever one is found, what was passed on is decoded: if text comes, the block has ended there, else the
 * bits only looked like a magic, and are part of the block. The library checks each block's checksum; that of a stream
 * is checked here, if it was read from its beginning.
 */
#include "codec/bzip2.h"

#include <bzlib.h>
#include <stdlib.h>
#include <string.h>

#include "codec/unit.h"

enum { STAGE_BYTES = 4096, MAGIC_BYTES = 6, CHECK_BYTES = 4 };

enum state {
	AT_HEADER, /* of a stream */
	AT_MAGIC,
	AT_CHECK /* behind the magic of the end */
};

struct bzip2 {
	bz_stream stream;
	bool is_open;
	enum state state;
	char level;
	bool is_whole; /* the stream was read from its beginning: */
	uint32_t check;
	uint64_t ahead; /* bits that are taken and not used, at the low end */
	unsigned ahead_bits;
	uint64_t bits;   /* used so far: the place in the input */
	uint64_t window; /* the last of these */
	uint64_t block_bytes, block_text;
	uint32_t block_check;
	char stage[STAGE_BYTES];
	size_t staged, passed;
	int behind; /* bits behind the magic that was found; -1: none, the stage is passed on because it is full */
};

/* Uses up to 32 bits. False: they are not there yet. */
static bool use_bits(struct bzip2 *own, pj__flow *flow, unsigned count, uint64_t *ret_bits)
{
	while (own->ahead_bits < count) {
		if (!flow->in_len)
			return false;
		own->ahead = own->ahead << 8 | (unsigned char)*flow->in;
		own->ahead_bits += 8;
		pj__flow_take(flow, 1);
	}
	own->ahead_bits -= count;
	own->bits += count;
	*ret_bits = own->ahead >> own->ahead_bits & ((UINT64_C(1) << count) - 1);
	return true;
}

static pj_status open_blocks(pj__decoder *decoder, const char *head, size_t head_len, pj_error *error)
{
	(void)head, (void)head_len;
	struct bzip2 *own = calloc(1, sizeof *own);
	decoder->own = own;
	if (!own)
		return pj__no_memory(error, sizeof *own);
	own->bits = decoder->place;
	if (!decoder->place)
		return PJ_OK;
	own->state = AT_MAGIC;
	/* Streams behind the first one can have larger blocks than that; this takes them all. */
	own->level = '9';
	own->bits -= decoder->place % 8;
	return PJ_OK;
}

static void close_block(struct bzip2 *own)
{
	if (own->is_open)
		BZ2_bzDecompressEnd(&own->stream);
	own->is_open = false;
}

static void close_blocks(pj__decoder *decoder)
{
	if (decoder->own)
		close_block(decoder->own);
	free(decoder->own);
}

static pj_status begin_block(pj__decoder *decoder, pj_error *error)
{
	static const char magic[] = "\x31\x41\x59\x26\x53\x59";
	struct bzip2 *own = decoder->own;
	own->stream = (bz_stream){0};
	if (BZ2_bzDecompressInit(&own->stream, 0, 0) != BZ_OK)
		return pj__no_memory(error, 1 << 16);
	own->is_open = true;
	memcpy(own->stage, "BZh", 3);
	own->stage[3] = own->level;
	memcpy(own->stage + 4, magic, MAGIC_BYTES);
	own->staged = 4 + MAGIC_BYTES;
	own->passed = 0;
	own->window = 0;
	own->block_bytes = own->block_text = 0;
	own->behind = -1;
	decoder->place = own->bits - 8 * MAGIC_BYTES;
	return PJ_OK;
}

static pj_status end_stream(pj__decoder *decoder, uint64_t check, pj_error *error)
{
	struct bzip2 *own = decoder->own;
	if (own->is_whole && check != own->check)
		return pj__decoder_refuse(decoder, "the checksum of all blocks is wrong", error);
	own->bits += own->ahead_bits; /* up to a whole byte */
	own->ahead_bits = 0;
	own->state = AT_HEADER;
	return PJ_OK;
}

/* The header of a stream, a byte at a time; zeros may come before it, but not before the first one. */
static pj_status read_header(pj__decoder *decoder, pj__flow *flow, bool *ret_done, pj_error *error)
{
	struct bzip2 *own = decoder->own;
	uint64_t byte;
	if (!use_bits(own, flow, 8, &byte))
		return PJ_OK;
	if (!own->staged && !byte && decoder->units)
		return PJ_OK;
	own->stage[own->staged++] = (char)byte;
	const bool is_level = own->staged == 4;
	if (is_level ? byte < '1' || byte > '9' : (char)byte != "BZh"[own->staged - 1])
		return pj__decoder_refuse(decoder, "what follows is no bzip2", error);
	*ret_done = is_level;
	return PJ_OK;
}

static pj_status read_magic(pj__decoder *decoder, uint64_t byte, bool *ret_done, pj_error *error)
{
	struct bzip2 *own = decoder->own;
	own->window = own->window << 8 | byte;
	if (++own->staged < MAGIC_BYTES)
		return PJ_OK;
	const uint64_t magic = own->window & ((UINT64_C(1) << 48) - 1);
	own->staged = 0;
	if (magic == pj__bzip2_block) {
		*ret_done = true;
		return begin_block(decoder, error);
	}
	own->state = AT_CHECK;
	return magic == pj__bzip2_end ? PJ_OK : pj__decoder_refuse(decoder, "no block begins here", error);
}

static pj_status between_blocks(pj__decoder *decoder, pj__flow *flow, bool *ret_done, pj_error *error)
{
	struct bzip2 *own = decoder->own;
	const unsigned skew = (unsigned)(decoder->place % 8);
	pj_status status = PJ_OK;
	uint64_t bits;
	if (!decoder->units && own->bits < decoder->place && !use_bits(own, flow, skew, &bits))
		return PJ_OK;
	while (!status && !*ret_done) {
		if (own->state == AT_HEADER) {
			bool done = false;
			const uint64_t before = own->bits;
			status = read_header(decoder, flow, &done, error);
			if (status || own->bits == before)
				return status;
			if (!done)
				continue;
			own->level = own->stage[3];
			own->staged = 0;
			own->is_whole = true;
			own->check = 0;
			own->state = AT_MAGIC;
		}
		if (!use_bits(own, flow, own->state == AT_MAGIC ? 8 : 8 * CHECK_BYTES, &bits))
			return PJ_OK;
		status = own->state == AT_MAGIC ? read_magic(decoder, bits, ret_done, error)
						: end_stream(decoder, bits, error);
	}
	return status;
}

/* Stages bits until the stage is full, a magic is found, or the input is used up. */
static void stage(struct bzip2 *own, pj__flow *flow)
{
	uint64_t byte;
	while (own->staged < STAGE_BYTES && own->behind < 0 && use_bits(own, flow, 8, &byte)) {
		own->stage[own->staged++] = (char)byte;
		own->window = own->window << 8 | byte;
		if (own->block_bytes < CHECK_BYTES)
			own->block_check = own->block_check << 8 | (uint32_t)byte;
		if (++own->block_bytes <= CHECK_BYTES + MAGIC_BYTES)
			continue;
		own->behind = pj__bzip2_find(own->window, pj__bzip2_block);
		if (own->behind < 0)
			own->behind = pj__bzip2_find(own->window, pj__bzip2_end);
	}
}

/* Passes the stage on. *ret_empty: nothing more comes of it. */
static pj_status pass_on(pj__decoder *decoder, pj__flow *flow, bool *ret_empty, pj_error *error)
{
	struct bzip2 *own = decoder->own;
	bz_stream *stream = &own->stream;
	const unsigned room = flow->out_len < UINT32_MAX ? (unsigned)flow->out_len : UINT32_MAX;
	stream->next_in = own->stage + own->passed;
	stream->avail_in = (unsigned)(own->staged - own->passed);
	stream->next_out = flow->out;
	stream->avail_out = room;
	const int result = BZ2_bzDecompress(stream);
	own->passed = own->staged - stream->avail_in;
	own->block_text += room - stream->avail_out;
	pj__flow_give(flow, room - stream->avail_out);
	*ret_empty = own->passed == own->staged && stream->avail_out > 0;
	if (result == BZ_OK)
		return PJ_OK;
	return result == BZ_MEM_ERROR ? pj__no_memory(error, 4 << 20)
				      : pj__decoder_refuse(decoder, "a block is damaged", error);
}

/* The block has ended before the magic that was found: what came behind its beginning is read again. */
static void end_block(struct bzip2 *own)
{
	const unsigned back = 8 * MAGIC_BYTES + (unsigned)own->behind;
	close_block(own);
	own->check = (own->check << 1 | own->check >> 31) ^ own->block_check;
	/* Fewer than 8 bits are ahead, as many as a byte is short of: together they fit. */
	own->ahead = own->window << own->ahead_bits | (own->ahead & ((UINT64_C(1) << own->ahead_bits) - 1));
	own->ahead_bits += back;
	own->bits -= back;
	own->staged = 0;
	own->state = AT_MAGIC;
}

static pj_status inside_block(pj__decoder *decoder, pj__flow *flow, bool *ret_done, pj_error *error)
{
	struct bzip2 *own = decoder->own;
	for (;;) {
		bool empty = false;
		if (own->passed == own->staged && own->behind < 0)
			own->passed = own->staged = 0;
		if (own->behind < 0)
			stage(own, flow);
		const bool is_full = own->staged == STAGE_BYTES || own->behind >= 0;
		if (!is_full || !flow->out_len)
			return PJ_OK; /* more is wanted, or room */
		const pj_status status = pass_on(decoder, flow, &empty, error);
		if (status)
			return status;
		if (!empty)
			continue;
		if (own->behind >= 0 && own->block_text) {
			*ret_done = true;
			end_block(own);
			return PJ_OK;
		}
		own->behind = -1;
	}
}

static bool may_end(const pj__decoder *decoder)
{
	const struct bzip2 *own = decoder->own;
	return own->state == AT_HEADER && !own->staged;
}

const pj__unit_kind pj__bzip2_blocks = {open_blocks, close_blocks, between_blocks, inside_block, may_end};
