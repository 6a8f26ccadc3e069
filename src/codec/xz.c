/*
 * xz.c: the units of xz, its blocks.
 *
 *     header | block ... block | index | footer | zeros | header ...
 *
 * A decoder that begins in the middle has not seen all blocks that the index lists, so the index is only checked for
 * being whole. The places of blocks come from the index (cut.c); each block has its own checksum.
 */
#include <lzma.h>
#include <stdlib.h>
#include <string.h>

#include "codec/unit.h"

enum state { AT_HEADER, AT_BLOCK, IN_INDEX, AT_FOOTER };

struct xz {
	lzma_stream stream;
	lzma_index *index;
	lzma_stream_flags flags;
	lzma_block block;
	lzma_filter filters[LZMA_FILTERS_MAX + 1];
	enum state state;
	uint64_t zeros;    /* between two streams */
	bool has_block;    /* its header is read */
	size_t have, want; /* in `head`: bytes of a header, a footer, or a block's header */
	uint8_t head[LZMA_BLOCK_HEADER_SIZE_MAX];
};

static pj_status refuse(const pj__decoder *decoder, lzma_ret result, pj_error *error)
{
	switch (result) {
	case LZMA_MEM_ERROR:
		return pj__no_memory(error, 1 << 20);
	case LZMA_FORMAT_ERROR:
		return pj__decoder_refuse(decoder, "what follows is no xz", error);
	case LZMA_OPTIONS_ERROR:
	case LZMA_UNSUPPORTED_CHECK:
		return pj__decoder_refuse(decoder, "it uses what this version of liblzma does not know", error);
	default:
		return pj__decoder_refuse(decoder, "the data or its checksum is wrong", error);
	}
}

static void expect(struct xz *own, enum state state, size_t want)
{
	own->state = state;
	own->have = 0;
	own->want = want;
}

static pj_status open_xz(pj__decoder *decoder, const char *head, size_t head_len, pj_error *error)
{
	struct xz *own = calloc(1, sizeof *own);
	decoder->own = own;
	if (!own)
		return pj__no_memory(error, sizeof *own);
	own->stream = (lzma_stream)LZMA_STREAM_INIT;
	expect(own, AT_HEADER, LZMA_STREAM_HEADER_SIZE);
	if (!decoder->place)
		return PJ_OK;
	expect(own, AT_BLOCK, 0);
	if (head_len < LZMA_STREAM_HEADER_SIZE)
		return refuse(decoder, LZMA_DATA_ERROR, error);
	const lzma_ret result = lzma_stream_header_decode(&own->flags, (const uint8_t *)head);
	return result == LZMA_OK ? PJ_OK : refuse(decoder, result, error);
}

static void close_xz(pj__decoder *decoder)
{
	struct xz *own = decoder->own;
	if (own) {
		lzma_end(&own->stream);
		lzma_index_end(own->index, NULL);
	}
	free(own);
}

/* Collects what is wanted. False: there is not enough yet. */
static bool collect(struct xz *own, pj__flow *flow)
{
	const size_t rest = own->want - own->have, step = rest < flow->in_len ? rest : flow->in_len;
	memcpy(own->head + own->have, flow->in, step);
	own->have += step;
	pj__flow_take(flow, step);
	return own->have == own->want;
}

/* Hands bytes of the flow to the library. */
static lzma_ret code(struct xz *own, pj__flow *flow)
{
	lzma_stream *stream = &own->stream;
	stream->next_in = (const uint8_t *)flow->in;
	stream->avail_in = flow->in_len;
	stream->next_out = (uint8_t *)flow->out;
	stream->avail_out = flow->out_len;
	const lzma_ret result = lzma_code(stream, LZMA_RUN);
	pj__flow_take(flow, flow->in_len - stream->avail_in);
	pj__flow_give(flow, flow->out_len - stream->avail_out);
	return result == LZMA_BUF_ERROR ? LZMA_OK : result;
}

static pj_status read_header(pj__decoder *decoder, pj__flow *flow, pj_error *error)
{
	struct xz *own = decoder->own;
	for (; !own->have && decoder->units && flow->in_len && !*flow->in; own->zeros++)
		pj__flow_take(flow, 1);
	if (flow->in_len && own->zeros % 4)
		return pj__decoder_refuse(decoder, "the zeros between two streams are no multiple of 4", error);
	if (!collect(own, flow))
		return PJ_OK;
	const lzma_ret result = lzma_stream_header_decode(&own->flags, own->head);
	own->zeros = 0;
	expect(own, AT_BLOCK, 0);
	return result == LZMA_OK ? PJ_OK : refuse(decoder, result, error);
}

static pj_status read_footer(pj__decoder *decoder, pj__flow *flow, pj_error *error)
{
	struct xz *own = decoder->own;
	lzma_stream_flags footer;
	if (!collect(own, flow))
		return PJ_OK;
	lzma_ret result = lzma_stream_footer_decode(&footer, own->head);
	if (result == LZMA_OK)
		result = lzma_stream_flags_compare(&own->flags, &footer);
	if (result == LZMA_OK && footer.backward_size != lzma_index_size(own->index))
		result = LZMA_DATA_ERROR;
	lzma_index_end(own->index, NULL);
	own->index = NULL;
	expect(own, AT_HEADER, LZMA_STREAM_HEADER_SIZE);
	return result == LZMA_OK ? PJ_OK : refuse(decoder, result, error);
}

static uint64_t memory_most(const pj__decoder *decoder)
{
	return decoder->limits.memory ? decoder->limits.memory : UINT64_MAX;
}

static pj_status between_blocks(pj__decoder *decoder, pj__flow *flow, bool *ret_done, pj_error *error)
{
	struct xz *own = decoder->own;
	pj_status status = PJ_OK;
	while (flow->in_len && !status && !*ret_done) {
		lzma_ret result = LZMA_OK;
		switch (own->state) {
		case AT_HEADER:
			status = read_header(decoder, flow, error);
			break;
		case AT_BLOCK:
			*ret_done = *flow->in != 0;
			if (*ret_done)
				expect(own, AT_BLOCK, lzma_block_header_size_decode((uint8_t)*flow->in));
			else if ((result = lzma_index_decoder(&own->stream, &own->index, memory_most(decoder))) ==
				 LZMA_OK)
				own->state = IN_INDEX;
			break;
		case IN_INDEX:
			result = code(own, flow);
			if (result == LZMA_STREAM_END) {
				expect(own, AT_FOOTER, LZMA_STREAM_HEADER_SIZE);
				result = LZMA_OK;
			}
			break;
		case AT_FOOTER:
			status = read_footer(decoder, flow, error);
			break;
		}
		if (!status && result != LZMA_OK)
			status = refuse(decoder, result, error);
	}
	return status;
}

static pj_status begin_block(pj__decoder *decoder, pj_error *error)
{
	struct xz *own = decoder->own;
	const uint64_t most = memory_most(decoder);
	own->block = (lzma_block){
		.version = 1, .header_size = (uint32_t)own->want, .check = own->flags.check, .filters = own->filters};
	lzma_ret result = lzma_block_header_decode(&own->block, NULL, own->head);
	if (result != LZMA_OK)
		return refuse(decoder, result, error);
	const uint64_t needed = lzma_raw_decoder_memusage(own->filters);
	if (needed <= most)
		result = lzma_block_decoder(&own->stream, &own->block);
	for (size_t i = 0; own->filters[i].id != LZMA_VLI_UNKNOWN; i++)
		free(own->filters[i].options);
	if (needed > most)
		return pj__decoder_too_large(decoder, needed, error);
	own->has_block = true;
	return result == LZMA_OK ? PJ_OK : refuse(decoder, result, error);
}

static pj_status inside_block(pj__decoder *decoder, pj__flow *flow, bool *ret_done, pj_error *error)
{
	struct xz *own = decoder->own;
	if (!own->has_block) {
		if (!collect(own, flow))
			return PJ_OK;
		const pj_status status = begin_block(decoder, error);
		if (status)
			return status;
	}
	const lzma_ret result = code(own, flow);
	*ret_done = result == LZMA_STREAM_END;
	if (*ret_done) {
		own->has_block = false;
		expect(own, AT_BLOCK, 0);
	}
	return result == LZMA_OK || *ret_done ? PJ_OK : refuse(decoder, result, error);
}

static bool may_end(const pj__decoder *decoder)
{
	const struct xz *own = decoder->own;
	return own->state == AT_HEADER && !own->have && own->zeros % 4 == 0;
}

const pj__unit_kind pj__xz_blocks = {open_xz, close_xz, between_blocks, inside_block, may_end};
