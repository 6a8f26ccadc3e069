/*
 * decoder.c: see decoder.h. What all formats have in common; frames.c, bzip2.c and xz.c have the rest.
 */
#include "codec/decoder.h"

#include <stdlib.h>

#include "codec/unit.h"

static const pj__unit_kind *kind_of(pj__codec codec)
{
	switch (codec) {
	case PJ__CODEC_GZIP:
		return &pj__gzip_members;
	case PJ__CODEC_BZIP2:
		return &pj__bzip2_blocks;
	case PJ__CODEC_XZ:
		return &pj__xz_blocks;
	case PJ__CODEC_ZSTD:
		return &pj__zstd_frames;
	case PJ__CODEC_LZ4:
		return &pj__lz4_frames;
	case PJ__CODEC_NONE:
		break;
	}
	return NULL;
}

pj_status pj__decoder_create(pj__codec codec, const char *name, pj__decoder_limits limits, uint64_t place,
			     const char *head, size_t head_len, pj__decoder **ret_decoder, pj_error *error)
{
	pj__decoder *decoder = calloc(1, sizeof *decoder);
	if (!decoder)
		return pj__no_memory(error, sizeof *decoder);
	decoder->kind = kind_of(codec);
	decoder->codec = codec;
	decoder->name = name;
	decoder->limits = limits;
	decoder->place = place;
	decoder->first = decoder->taken = pj__codec_byte(codec, place);
	const pj_status status = decoder->kind->open(decoder, head, head_len, error);
	if (status)
		pj__decoder_destroy(decoder);
	else
		*ret_decoder = decoder;
	return status;
}

void pj__decoder_destroy(pj__decoder *decoder)
{
	if (!decoder)
		return;
	decoder->kind->close(decoder);
	free(decoder);
}

uint64_t pj__decoder_place(const pj__decoder *decoder)
{
	return decoder->place;
}

pj_status pj__decoder_refuse(const pj__decoder *decoder, const char *why, pj_error *error)
{
	pj__fail(error, PJ_ERR_INPUT, 0, decoder->name, "cannot decode the input");
	pj__error_reason(error, "%s: %s (the offset is that of compressed bytes)", pj__codec_name(decoder->codec), why);
	pj__error_at(error, NULL, -1, (int64_t)decoder->taken);
	pj__error_hint(error, "%s tells whether it is damaged", pj__codec_tester(decoder->codec));
	return PJ_ERR_INPUT;
}

pj_status pj__decoder_too_large(const pj__decoder *decoder, uint64_t bytes, pj_error *error)
{
	pj__fail(error, PJ_ERR_MEMORY, 0, decoder->name, "cannot decode the input");
	pj__error_reason(error, "%s: its decoder needs %llu bytes of memory, and may have %llu",
			 pj__codec_name(decoder->codec), (unsigned long long)bytes,
			 (unsigned long long)decoder->limits.memory);
	pj__error_at(error, NULL, -1, (int64_t)decoder->taken);
	pj__error_hint(error, "more --memory, or decompress it on the way: ... | papjuice ... -");
	return PJ_ERR_MEMORY;
}

static pj_status check_ratio(const pj__decoder *decoder, pj_error *error)
{
	const uint64_t read = decoder->taken - decoder->first;
	if (decoder->given <= decoder->limits.free || decoder->given / decoder->limits.ratio <= read)
		return PJ_OK;
	pj__fail(error, PJ_ERR_INPUT, 0, decoder->name, "the input looks like a decompression bomb");
	pj__error_reason(error, "%s: %llu bytes were decoded from %llu", pj__codec_name(decoder->codec),
			 (unsigned long long)decoder->given, (unsigned long long)read);
	pj__error_at(error, NULL, -1, (int64_t)decoder->taken);
	pj__error_hint(error, "if all of it is wanted, decompress it on the way: ... | papjuice ... -");
	return PJ_ERR_INPUT;
}

pj_status pj__decoder_step(pj__decoder *decoder, pj__flow *flow, pj__decoded *ret_decoded, pj_error *error)
{
	for (;;) {
		const char *const in = flow->in, *const out = flow->out;
		bool done = false;
		const pj_status status = decoder->is_inside ? decoder->kind->inside(decoder, flow, &done, error)
							    : decoder->kind->between(decoder, flow, &done, error);
		decoder->taken += (uint64_t)(flow->in - in);
		decoder->given += (uint64_t)(flow->out - out);
		if (status)
			return status;
		if (done)
			decoder->is_inside = !decoder->is_inside;
		if (done && decoder->is_inside) {
			/* Bits are counted by their own kind. */
			if (decoder->codec != PJ__CODEC_BZIP2)
				decoder->place = decoder->taken;
			decoder->units++;
			*ret_decoded = PJ__DECODED_BORDER;
			return PJ_OK;
		}
		if (done)
			continue;
		*ret_decoded = PJ__DECODED_SOME;
		if (flow->in_len || !flow->in_ends || (decoder->is_inside && !flow->out_len))
			return check_ratio(decoder, error);
		if (decoder->is_inside || (decoder->kind->may_end && !decoder->kind->may_end(decoder)))
			return pj__decoder_refuse(decoder, "it is cut off", error);
		*ret_decoded = PJ__DECODED_ALL;
		return PJ_OK;
	}
}
