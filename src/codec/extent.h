/*
 * extent.h: compressed bytes that can be read at any offset: of a file or in memory.
 */
#ifndef PJ_CODEC_EXTENT_H
#define PJ_CODEC_EXTENT_H

#include "base/error.h"

typedef struct pj__extent {
	const char *name;   /* for errors */
	int fd;             /* used if memory.ptr is NULL */
	uint64_t base;      /* offset in the file of the first byte */
	uint64_t size;      /* bytes there are */
	const char *memory; /* NULL: a file */
} pj__extent;

/* Reads up to `size` bytes at `offset`; fewer only at the end. A file that has become shorter is PJ_ERR_CHANGED. */
PJ_MUST_USE pj_status pj__extent_read(const pj__extent *extent, char *to, size_t size, uint64_t offset, size_t *ret_got,
				      pj_error *error);

#endif
