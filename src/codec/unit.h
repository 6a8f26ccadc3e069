/*
 * unit.h: what a format brings to a decoder: between two units, and inside of one.
 */
#ifndef PJ_CODEC_UNIT_H
#define PJ_CODEC_UNIT_H

#include "codec/decoder.h"

typedef struct pj__unit_kind {
	/* Begins where the decoder says. */
	pj_status (*open)(pj__decoder *decoder, const char *head, size_t head_len, pj_error *error);
	void (*close)(pj__decoder *decoder);
	/* Passes over what is no unit; *ret_done: a unit begins here. */
	pj_status (*between)(pj__decoder *decoder, pj__flow *flow, bool *ret_done, pj_error *error);
	/* Decodes, as far as input and room reach; *ret_done: the unit has ended. */
	pj_status (*inside)(pj__decoder *decoder, pj__flow *flow, bool *ret_done, pj_error *error);
	/* May the input end here, between two units? NULL: it may. */
	bool (*may_end)(const pj__decoder *decoder);
} pj__unit_kind;

struct pj__decoder {
	const pj__unit_kind *kind;
	void *own; /* of the kind */
	pj__codec codec;
	const char *name;
	pj__decoder_limits limits;
	uint64_t first;        /* byte with which it began */
	uint64_t taken, given; /* bytes in, counted from the beginning of the input, and out */
	uint64_t place;        /* of the last unit */
	uint64_t units;
	bool is_inside;
};

extern const pj__unit_kind pj__gzip_members, pj__zstd_frames, pj__lz4_frames, pj__bzip2_blocks, pj__xz_blocks;

/* The data is wrong, in the words of its library. */
pj_status pj__decoder_refuse(const pj__decoder *decoder, const char *why, pj_error *error);

/* A unit needs more memory than it may. */
pj_status pj__decoder_too_large(const pj__decoder *decoder, uint64_t bytes, pj_error *error);

/* Takes bytes from a flow, once they are used. */
static inline void pj__flow_take(pj__flow *flow, size_t bytes)
{
	flow->in += bytes;
	flow->in_len -= bytes;
}

static inline void pj__flow_give(pj__flow *flow, size_t bytes)
{
	flow->out += bytes;
	flow->out_len -= bytes;
}

#endif
