/*
 * direct.h: a file that is written past the page cache.
 *
 * On its way through the page cache a byte is copied into a page that nobody has touched for long, which costs more
 * than all else that is done with it; the writers of one file take turns at it, for the kernel locks the file; and what
 * others had in the cache is gone. Whole blocks can go from memory to the device instead (open(2), O_DIRECT). A writer
 * then waits for the device, which pays for outputs that the cache could not hold anyway.
 */
#ifndef PJ_OUTPUT_DIRECT_H
#define PJ_OUTPUT_DIRECT_H

#include <papjuice/task.h>

#include "base/space.h"

/* Bytes of the buffer that a writer needs. */
enum { PJ__DIRECT_BUFFER = 1 << 20 };

/*
 * Opens the file of a descriptor once more, for this. -1: the file system does not have it, or keeps the file in blocks
 * that are too large. The caller closes it.
 */
int pj__direct_open(int fd);

/*
 * Writes bytes at `offset` of a file: whole blocks to `direct` (as pj__direct_open returned it, and not -1), what is
 * left at both ends to `plain`, another descriptor of the file; so is all that the file system does not take past the
 * cache. `name` is for errors. The buffer is made if it is not there, and is the caller's.
 */
PJ_MUST_USE pj_status pj__direct_write(int direct, int plain, const char *name, pj__space *buffer, pj_bytes bytes,
				       uint64_t offset, pj_error *error);

#endif
