/*
 * io.h: reads and writes that complete, and the files and memory they work on.
 *
 * Each call goes on after EINTR and short counts. The plain forms return 0 or an errno; the checked forms fill a
 * pj_error with the file's name and the byte offset at which it happened.
 */
#ifndef PJ_BASE_IO_H
#define PJ_BASE_IO_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/error.h"

/* Reads up to `size` bytes at `offset`; fewer only at the end of the file. *got is set; returns 0 or an errno. */
int pj__pread_full(int fd, void *to, size_t size, off_t offset, size_t *got);

/* The same from the current position (pipes): reads until `size`, end of file or error. */
int pj__read_full(int fd, void *to, size_t size, size_t *got);

/* Writes all bytes at `offset`, or at the current position. Returns 0 or an errno. */
int pj__pwrite_all(int fd, const void *from, size_t size, off_t offset);
int pj__write_all(int fd, const void *from, size_t size);

/* Reads exactly `size` bytes at `offset`; the end of the file before that is PJ_ERR_CORRUPT. */
PJ_MUST_USE pj_status pj__pread_exactly(int fd, const char *name, void *to, size_t size, off_t offset, pj_error *error);

/* Writes all bytes at `offset`; a failure is PJ_ERR_MEMORY for a memory file, else PJ_ERR_OUTPUT. */
PJ_MUST_USE pj_status pj__pwrite_checked(int fd, const char *name, const void *from, size_t size, off_t offset,
					 pj_error *error);

/* The error of such a write, which failed with `failed`. */
pj_status pj__pwrite_failed(const char *name, size_t size, off_t offset, int failed, pj_error *error);

/* Writes all pieces in sequence from `offset` on, in as few calls as possible. The pieces are changed. */
PJ_MUST_USE pj_status pj__pwritev_checked(int fd, const char *name, struct iovec *pieces, size_t count, off_t offset,
					  pj_error *error);

/*
 * A new descriptor, moved if it is one of the three standard ones, which may have been closed: code that prints
 * would write to it there, and a child puts other files in its place. Passes -1 and errno on; a failure is -1 as well.
 */
int pj__beyond_standard(int fd);

/*
 * Moves the position of a file that is read and written at offsets past the largest offset: a write to the
 * descriptor by mistake then fails, and does not overwrite its content.
 */
void pj__park_position(int fd);

/*
 * Renames a file or a folder, never over an existing one. Returns 0 or an errno; EEXIST: the new name is taken. On a
 * file system without such a rename (mostly network ones) a file may keep its old name as well: the caller removes
 * that.
 */
int pj__rename_new(int from_folder, const char *from, int to_folder, const char *to);

/* A memory file: no name anywhere, closed on exec, gone with its last descriptor. */
PJ_MUST_USE pj_status pj__memory_file(const char *label, int *ret_fd, pj_error *error);

/*
 * A file without a name in `folder`, for what need not stay: open for reading and writing, closed on exec, gone with
 * its last descriptor, its position parked. Where the file system has no such files, one of a random name that is taken
 * away at once.
 */
PJ_MUST_USE pj_status pj__temp_file(const char *folder, int *ret_fd, pj_error *error);

/*
 * Maps `size` bytes of new shared memory, inherited over fork. The memory is reserved before it is touched, so that a
 * lack of it is PJ_ERR_MEMORY here and never a SIGBUS later. Unmap with munmap(address, size).
 */
PJ_MUST_USE pj_status pj__map_shared(size_t size, void **ret_address, pj_error *error);

/* Closes *fd if it is open and sets it to -1; returns 0 or the errno of close. */
int pj__close(int *fd);

#endif
