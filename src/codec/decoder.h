/*
 * decoder.h: compressed bytes in, text out, a piece at a time.
 *
 * In order: create, (step until PJ__DECODED_ALL), destroy. A decoder begins with the first byte of an input, or at a
 * place in it where a unit begins (codec.h), and goes on to the end of the input, from unit to unit. Whenever one
 * begins it says so, so that who cuts an input at places that only look like borders finds out about the others.
 *
 * What comes behind a unit must be another one, or nothing. Zero bytes behind gzip and bzip2 are passed over, as a tape
 * leaves them, and behind xz as its format allows; anything else, the remains of another file for example, is
 * PJ_ERR_INPUT: nothing that was read is left out in silence. So is an input that is cut off, or a checksum that is
 * wrong. The offsets of errors are those of compressed bytes.
 */
#ifndef PJ_CODEC_DECODER_H
#define PJ_CODEC_DECODER_H

#include "codec/codec.h"

typedef struct pj__decoder pj__decoder;

/*
 * What an input may do. More memory is PJ_ERR_MEMORY. A bomb, a small input that decodes to more than anybody wants, is
 * PJ_ERR_INPUT: behind `free` bytes, text may be no more than `ratio` times what it was decoded from.
 */
typedef struct pj__decoder_limits {
	uint64_t memory; /* of the decoder; 0: any */
	uint64_t free, ratio;
} pj__decoder_limits;

/* The usual ones: a ratio that only zeros and their like reach, and only behind a gigabyte. */
static inline pj__decoder_limits pj__decoder_limits_of(uint64_t memory)
{
	return (pj__decoder_limits){memory, (uint64_t)1 << 30, 10000};
}

typedef struct pj__flow {
	const char *in; /* not yet decoded */
	size_t in_len;
	bool in_ends; /* nothing follows them */
	char *out;    /* where text goes */
	size_t out_len;
} pj__flow;

typedef enum pj__decoded {
	PJ__DECODED_SOME,   /* all that is there is decoded, or the room is used up */
	PJ__DECODED_BORDER, /* a unit begins at pj__decoder_place */
	PJ__DECODED_ALL     /* the input has ended, where it may */
} pj__decoded;

/*
 * `name` is for errors and must live as long. `place`: where it begins; unless that is 0, `head` are the first bytes of
 * the input, up to PJ__HEAD_BYTES.
 */
PJ_MUST_USE pj_status pj__decoder_create(pj__codec codec, const char *name, pj__decoder_limits limits, uint64_t place,
					 const char *head, size_t head_len, pj__decoder **ret_decoder, pj_error *error);
void pj__decoder_destroy(pj__decoder *decoder);

/* Decodes on; moves the flow's pointers. After a failure the decoder can only be destroyed. */
PJ_MUST_USE pj_status pj__decoder_step(pj__decoder *decoder, pj__flow *flow, pj__decoded *ret_decoded, pj_error *error);

/* Where the last unit began. */
uint64_t pj__decoder_place(const pj__decoder *decoder);

#endif
