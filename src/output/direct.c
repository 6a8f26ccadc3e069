/*
 * direct.c: see direct.h.
 *
 *     bytes      |--|=========|=========|====|-|
 *     blocks   |    |    |    |    |    |    |    |     -- through the cache    == past it, by way of the buffer
 *
 * Memory has to be aligned as the blocks are, and a part's bytes are not: so they are copied, within the processor's
 * cache. Two writers may share a block, each with an end of its part: both go through the page cache there.
 */
#include "output/direct.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

enum { BLOCK = 4096 /* a multiple of what devices ask for */ };

int pj__direct_open(int fd)
{
	char self[64];
	struct stat is;
	/* A neighbour's end, in the cache, would be written back with all of a larger block: over what we wrote. */
	if (fstat(fd, &is) < 0 || is.st_blksize > BLOCK || sysconf(_SC_PAGESIZE) > BLOCK)
		return -1;
	snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	return pj__beyond_standard(open(self, O_WRONLY | O_DIRECT | O_CLOEXEC));
}

pj_status pj__direct_write(int direct, int plain, const char *name, pj__space *buffer, pj_bytes bytes, uint64_t offset,
			   pj_error *error)
{
	const size_t before = (size_t)(-offset % BLOCK);
	pj_status status = PJ_OK;
	if (bytes.len < before + BLOCK)
		return pj__pwrite_checked(plain, name, bytes.ptr, bytes.len, (off_t)offset, error);
	if (!buffer->at)
		status = pj__space_need(buffer, PJ__DIRECT_BUFFER, error);
	if (!status)
		status = pj__pwrite_checked(plain, name, bytes.ptr, before, (off_t)offset, error);
	const size_t end = bytes.len - (bytes.len - before) % BLOCK;
	for (size_t done = before; done < end && !status;) {
		const size_t step = end - done < PJ__DIRECT_BUFFER ? end - done : PJ__DIRECT_BUFFER;
		memcpy(buffer->at, bytes.ptr + done, step);
		const int failed = pj__pwrite_all(direct, buffer->at, step, (off_t)(offset + done));
		/* Blocks may be larger there, or a short write has left no whole one. */
		if (failed == EINVAL || failed == EOPNOTSUPP)
			status = pj__pwrite_checked(plain, name, buffer->at, step, (off_t)(offset + done), error);
		else if (failed)
			status = pj__pwrite_failed(name, step, (off_t)(offset + done), failed, error);
		done += step;
	}
	return status ? status
		      : pj__pwrite_checked(plain, name, bytes.ptr + end, bytes.len - end, (off_t)(offset + end), error);
}
