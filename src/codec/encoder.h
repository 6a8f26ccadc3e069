/*
 * encoder.h: compressed output.
 *
 * The bytes depend on the text and on the version of the library, not on how the text is cut into pieces: it is
 * gathered and passed on in pieces of one size.
 *
 * In order: create, (write), end, destroy.
 */
#ifndef PJ_CODEC_ENCODER_H
#define PJ_CODEC_ENCODER_H

#include <papjuice/bytes.h>
#include <papjuice/job.h>

#include "base/error.h"

typedef struct pj__encoder pj__encoder;

/* Takes compressed bytes. */
typedef pj_status pj__encoder_put(void *arg, pj_bytes bytes, pj_error *error);

PJ_MUST_USE pj_status pj__encoder_create(pj_compression compression, pj__encoder_put *put, void *arg,
					 pj__encoder **ret_encoder, pj_error *error);
void pj__encoder_destroy(pj__encoder *encoder);

PJ_MUST_USE pj_status pj__encoder_write(pj__encoder *encoder, pj_bytes text, pj_error *error);

/* Puts what is left; of no text, an empty file of the format. The next text begins a new one. */
PJ_MUST_USE pj_status pj__encoder_end(pj__encoder *encoder, pj_error *error);

/* "gz", the end of a file's name; "" if it is not compressed. */
const char *pj__compression_name(pj_compression compression);

/* Memory that an encoder takes. */
uint64_t pj__encoder_memory(pj_compression compression);

#endif
