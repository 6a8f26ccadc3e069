/*
 * encoder.c: see encoder.h.
 */
#include "codec/encoder.h"

#include <bzlib.h>
#include <stdlib.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>

/* The levels are those of gzip, bzip2 and zstd when nothing is said. */
enum { PIECE_BYTES = 128 << 10, OUT_BYTES = 64 << 10, WINDOW_AND_GZIP = 15 + 16, BZIP2_LEVEL = 9 };

struct pj__encoder {
	pj_compression compression;
	pj__encoder_put *put;
	void *arg;
	z_stream gzip;
	bz_stream bzip2;
	ZSTD_CCtx *zstd;
	bool is_open; /* of gzip and bzip2: the stream */
	size_t held;
	char piece[PIECE_BYTES], out[OUT_BYTES];
};

const char *pj__compression_name(pj_compression compression)
{
	static const char *const names[] = {"", "gz", "bz2", "zst"};
	return names[compression];
}

uint64_t pj__encoder_memory(pj_compression compression)
{
	static const uint64_t kib = 1024;
	switch (compression) {
	case PJ_GZ:
		return sizeof(pj__encoder) + 272 * kib;
	case PJ_BZ2:
		return sizeof(pj__encoder) + 400 * kib + (uint64_t)8 * 900 * kib;
	case PJ_ZST:
		return sizeof(pj__encoder) + 5120 * kib;
	case PJ_PLAIN:
		break;
	}
	return 0;
}

static pj_status open_stream(pj__encoder *encoder, pj_error *error)
{
	bool good = true;
	if (encoder->compression == PJ_GZ)
		good = deflateInit2(&encoder->gzip, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW_AND_GZIP, 8,
				    Z_DEFAULT_STRATEGY) == Z_OK;
	else if (encoder->compression == PJ_BZ2)
		good = BZ2_bzCompressInit(&encoder->bzip2, BZIP2_LEVEL, 0, 0) == BZ_OK;
	else if (!encoder->zstd)
		good = (encoder->zstd = ZSTD_createCCtx()) &&
		       !ZSTD_isError(ZSTD_CCtx_setParameter(encoder->zstd, ZSTD_c_checksumFlag, 1));
	encoder->is_open = good;
	return good ? PJ_OK : pj__no_memory(error, (size_t)pj__encoder_memory(encoder->compression));
}

static void close_stream(pj__encoder *encoder)
{
	/* What is given back cannot fail; that data was dropped is known. */
	if (encoder->is_open && encoder->compression == PJ_GZ)
		(void)deflateEnd(&encoder->gzip);
	if (encoder->is_open && encoder->compression == PJ_BZ2)
		(void)BZ2_bzCompressEnd(&encoder->bzip2);
	encoder->is_open = false;
}

pj_status pj__encoder_create(pj_compression compression, pj__encoder_put *put, void *arg, pj__encoder **ret_encoder,
			     pj_error *error)
{
	pj__encoder *encoder = calloc(1, sizeof *encoder);
	if (!encoder)
		return pj__no_memory(error, sizeof *encoder);
	encoder->compression = compression;
	encoder->put = put;
	encoder->arg = arg;
	*ret_encoder = encoder;
	return PJ_OK;
}

void pj__encoder_destroy(pj__encoder *encoder)
{
	if (!encoder)
		return;
	close_stream(encoder);
	ZSTD_freeCCtx(encoder->zstd);
	free(encoder);
}

/* One call of a library: *text loses what was taken. *ret_done: nothing is left to be put. */
static pj_status encode_gzip(pj__encoder *encoder, pj_bytes *text, bool last, size_t *ret_out, bool *ret_done)
{
	z_stream *stream = &encoder->gzip;
	stream->next_in = (const Bytef *)text->ptr;
	stream->avail_in = (uInt)text->len;
	stream->next_out = (Bytef *)encoder->out;
	stream->avail_out = OUT_BYTES;
	const int result = deflate(stream, last ? Z_FINISH : Z_NO_FLUSH);
	text->ptr += text->len - stream->avail_in;
	text->len = stream->avail_in;
	*ret_out = OUT_BYTES - stream->avail_out;
	*ret_done = last ? result == Z_STREAM_END : !text->len && stream->avail_out;
	return result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR ? PJ_OK : PJ_ERR_INTERNAL;
}

static pj_status encode_bzip2(pj__encoder *encoder, pj_bytes *text, bool last, size_t *ret_out, bool *ret_done)
{
	bz_stream *stream = &encoder->bzip2;
	stream->next_in = (char *)text->ptr;
	stream->avail_in = (unsigned)text->len;
	stream->next_out = encoder->out;
	stream->avail_out = OUT_BYTES;
	/* To go on without anything to go on with is an error there. */
	const int result = last || text->len ? BZ2_bzCompress(stream, last ? BZ_FINISH : BZ_RUN) : BZ_RUN_OK;
	text->ptr += text->len - stream->avail_in;
	text->len = stream->avail_in;
	*ret_out = OUT_BYTES - stream->avail_out;
	*ret_done = last ? result == BZ_STREAM_END : !text->len;
	return result == BZ_RUN_OK || result == BZ_FINISH_OK || result == BZ_STREAM_END ? PJ_OK : PJ_ERR_INTERNAL;
}

static pj_status encode_zstd(pj__encoder *encoder, pj_bytes *text, bool last, size_t *ret_out, bool *ret_done)
{
	ZSTD_inBuffer in = {text->ptr, text->len, 0};
	ZSTD_outBuffer out = {encoder->out, OUT_BYTES, 0};
	const size_t result = ZSTD_compressStream2(encoder->zstd, &out, &in, last ? ZSTD_e_end : ZSTD_e_continue);
	text->ptr += in.pos;
	text->len -= in.pos;
	*ret_out = out.pos;
	*ret_done = !ZSTD_isError(result) && (last ? !result : !text->len);
	return ZSTD_isError(result) ? PJ_ERR_INTERNAL : PJ_OK;
}

/* Encodes the piece; `last`: and all that is left. */
static pj_status encode(pj__encoder *encoder, bool last, pj_error *error)
{
	pj_bytes text = {encoder->piece, encoder->held};
	pj_status status = encoder->is_open ? PJ_OK : open_stream(encoder, error);
	bool done = false;
	while (!status && !done) {
		size_t out = 0;
		status = encoder->compression == PJ_GZ    ? encode_gzip(encoder, &text, last, &out, &done)
			 : encoder->compression == PJ_BZ2 ? encode_bzip2(encoder, &text, last, &out, &done)
							  : encode_zstd(encoder, &text, last, &out, &done);
		if (status)
			pj__fail(error, status, 0, NULL, "cannot compress the output");
		else if (out)
			status = encoder->put(encoder->arg, (pj_bytes){encoder->out, out}, error);
	}
	encoder->held = 0;
	return status;
}

pj_status pj__encoder_write(pj__encoder *encoder, pj_bytes text, pj_error *error)
{
	pj_status status = PJ_OK;
	while (text.len && !status) {
		const size_t room = PIECE_BYTES - encoder->held, step = text.len < room ? text.len : room;
		memcpy(encoder->piece + encoder->held, text.ptr, step);
		encoder->held += step;
		text.ptr += step;
		text.len -= step;
		if (encoder->held == PIECE_BYTES)
			status = encode(encoder, false, error);
	}
	return status;
}

pj_status pj__encoder_end(pj__encoder *encoder, pj_error *error)
{
	const pj_status status = encode(encoder, true, error);
	close_stream(encoder);
	return status;
}
