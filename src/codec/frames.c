/*
 * frames.c: the units of gzip, Zstandard and lz4, whose libraries decode them whole, one after another.
 */
#include <lz4frame.h>
#include <stdlib.h>
#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "codec/unit.h"

enum { WHOLE_MEMBERS = 15 + 16 /* the largest window, and gzip's header and trailer */ };

/* A unit begins with whatever follows; what it is, its header tells. */
static pj_status at_once(pj__decoder *decoder, pj__flow *flow, bool *ret_done, pj_error *error)
{
	(void)decoder, (void)error;
	*ret_done = flow->in_len > 0;
	return PJ_OK;
}

/* ----------------------------------------------------------------------------------------------------------- gzip */

static pj_status gzip_open(pj__decoder *decoder, const char *head, size_t head_len, pj_error *error)
{
	(void)head, (void)head_len;
	z_stream *stream = calloc(1, sizeof *stream);
	decoder->own = stream;
	if (!stream || inflateInit2(stream, WHOLE_MEMBERS) != Z_OK)
		return pj__no_memory(error, sizeof *stream);
	return PJ_OK;
}

static void gzip_close(pj__decoder *decoder)
{
	if (decoder->own)
		inflateEnd(decoder->own);
	free(decoder->own);
}

static pj_status gzip_between(pj__decoder *decoder, pj__flow *flow, bool *ret_done, pj_error *error)
{
	while (decoder->units && flow->in_len && !*flow->in)
		pj__flow_take(flow, 1);
	*ret_done = flow->in_len > 0;
	if (*ret_done && inflateReset(decoder->own) != Z_OK)
		return pj__decoder_refuse(decoder, "its decoder cannot be used again", error);
	return PJ_OK;
}

static pj_status gzip_inside(pj__decoder *decoder, pj__flow *flow, bool *ret_done, pj_error *error)
{
	z_stream *stream = decoder->own;
	const uInt in = flow->in_len < UINT32_MAX ? (uInt)flow->in_len : UINT32_MAX,
		   out = flow->out_len < UINT32_MAX ? (uInt)flow->out_len : UINT32_MAX;
	stream->next_in = (const Bytef *)flow->in;
	stream->avail_in = in;
	stream->next_out = (Bytef *)flow->out;
	stream->avail_out = out;
	const int result = inflate(stream, Z_NO_FLUSH);
	pj__flow_take(flow, in - stream->avail_in);
	pj__flow_give(flow, out - stream->avail_out);
	*ret_done = result == Z_STREAM_END;
	if (result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR)
		return PJ_OK;
	if (result == Z_MEM_ERROR)
		return pj__no_memory(error, 1 << 15);
	return pj__decoder_refuse(decoder, stream->msg ? stream->msg : "wrong data", error);
}

const pj__unit_kind pj__gzip_members = {gzip_open, gzip_close, gzip_between, gzip_inside, NULL};

/* ----------------------------------------------------------------------------------------------------------- zstd */

/* The largest window of which no more than `memory` is used, as a power of 2. */
static int window_log(uint64_t memory)
{
	const ZSTD_bounds bounds = ZSTD_dParam_getBounds(ZSTD_d_windowLogMax);
	int log = bounds.lowerBound;
	while (log < bounds.upperBound && (!memory || (uint64_t)1 << (log + 1) <= memory))
		log++;
	return log;
}

static pj_status zstd_open(pj__decoder *decoder, const char *head, size_t head_len, pj_error *error)
{
	(void)head, (void)head_len;
	ZSTD_DCtx *context = ZSTD_createDCtx();
	decoder->own = context;
	if (!context ||
	    ZSTD_isError(ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, window_log(decoder->limits.memory))))
		return pj__no_memory(error, 1 << 17);
	return PJ_OK;
}

static void zstd_close(pj__decoder *decoder)
{
	ZSTD_freeDCtx(decoder->own);
}

static pj_status zstd_inside(pj__decoder *decoder, pj__flow *flow, bool *ret_done, pj_error *error)
{
	size_t result, moved;
	do {
		ZSTD_inBuffer in = {flow->in, flow->in_len, 0};
		ZSTD_outBuffer out = {flow->out, flow->out_len, 0};
		result = ZSTD_decompressStream(decoder->own, &out, &in);
		moved = in.pos + out.pos;
		pj__flow_take(flow, in.pos);
		pj__flow_give(flow, out.pos);
	} while (!ZSTD_isError(result) && result && moved && flow->in_len && flow->out_len);
	*ret_done = !result;
	if (!ZSTD_isError(result))
		return PJ_OK;
	switch (ZSTD_getErrorCode(result)) {
	case ZSTD_error_frameParameter_windowTooLarge:
		return pj__decoder_too_large(decoder, decoder->limits.memory + 1, error);
	case ZSTD_error_memory_allocation:
		return pj__no_memory(error, decoder->limits.memory);
	default:
		return pj__decoder_refuse(decoder, ZSTD_getErrorName(result), error);
	}
}

const pj__unit_kind pj__zstd_frames = {zstd_open, zstd_close, at_once, zstd_inside, NULL};

/* ------------------------------------------------------------------------------------------------------------ lz4 */

static pj_status lz4_open(pj__decoder *decoder, const char *head, size_t head_len, pj_error *error)
{
	(void)head, (void)head_len;
	LZ4F_dctx *context = NULL;
	if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)))
		return pj__no_memory(error, 1 << 16);
	decoder->own = context;
	return PJ_OK;
}

static void lz4_close(pj__decoder *decoder)
{
	/* Its result is a stage, not a failure. */
	(void)LZ4F_freeDecompressionContext(decoder->own);
}

static pj_status lz4_inside(pj__decoder *decoder, pj__flow *flow, bool *ret_done, pj_error *error)
{
	size_t result, in, out;
	do {
		in = flow->in_len, out = flow->out_len;
		result = LZ4F_decompress(decoder->own, flow->out, &out, flow->in, &in, NULL);
		if (LZ4F_isError(result))
			return pj__decoder_refuse(decoder, LZ4F_getErrorName(result), error);
		pj__flow_take(flow, in);
		pj__flow_give(flow, out);
	} while (result && (in || out) && flow->in_len && flow->out_len);
	*ret_done = !result;
	return PJ_OK;
}

const pj__unit_kind pj__lz4_frames = {lz4_open, lz4_close, at_once, lz4_inside, NULL};
