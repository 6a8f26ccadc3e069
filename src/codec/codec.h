/*
 * codec.h: the compressed formats that are read, and how they are told apart.
 *
 * A compressed input is a sequence of units, each of which can be decoded without those before it: members of gzip,
 * frames of Zstandard and lz4, blocks of bzip2 and xz. Where a unit begins is a place: counted in bits for bzip2, whose
 * blocks begin at any bit, in bytes for all others.
 */
#ifndef PJ_CODEC_CODEC_H
#define PJ_CODEC_CODEC_H

#include <stdbool.h>

#include "base/error.h"

typedef enum pj__codec {
	PJ__CODEC_NONE, /* not compressed, as far as can be told */
	PJ__CODEC_GZIP,
	PJ__CODEC_BZIP2,
	PJ__CODEC_XZ,
	PJ__CODEC_ZSTD,
	PJ__CODEC_LZ4
} pj__codec;

/* So many bytes from the beginning of an input tell its format; and so many what its decoder needs. */
enum { PJ__MAGIC_BYTES = 10, PJ__HEAD_BYTES = 1100 };

/* The format of an input that begins with these bytes. */
pj__codec pj__codec_of(const char *start, size_t size);

/* "gzip", and the command that tests a file of it, "gzip -t". */
const char *pj__codec_name(pj__codec codec);
const char *pj__codec_tester(pj__codec codec);

/* Memory that a decoder takes for an input that begins with these bytes, what is read ahead included. */
uint64_t pj__codec_memory(pj__codec codec, const char *start, size_t size);

/* The same of the frame of Zstandard that begins here. */
uint64_t pj__zstd_memory(const char *start, size_t size);

/* The byte in which a place lies. */
static inline uint64_t pj__codec_byte(pj__codec codec, uint64_t place)
{
	return codec == PJ__CODEC_BZIP2 ? place / 8 : place;
}

#endif
