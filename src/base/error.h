/*
 * error.h: filling a pj_error in one call, and passing it up. Open this header first: all of src/base builds on it.
 *
 * src/base is the bottom layer: it knows the system and the public headers, and no other folder of src. error.h:
 * failures. io.h, private.h: files and folders. grow.h, text.h, space.h: memory that grows. machine.h, cgroup.h, isa.h:
 * what the machine has. number.h: numbers as text. tally.h, task.h: the state of a running task.
 *
 * A function that can fail takes the caller's error last and returns its status; results come in ret_ parameters, and
 * descriptors and memory begin empty, so that one exit path can give all of them back:
 *
 *     int fd = -1;
 *     pj_status status = pj__temp_file(folder, &fd, error);
 *     if (!status)
 *             status = pj__pwrite_checked(fd, folder, data, size, 0, error);
 *     pj__close(&fd);
 *     return status;
 *
 * pj__fail() is the one way in which a failure begins: it fills the caller's error (if there is one) and returns the
 * status, so that `return pj__fail(...)` is a line.
 */
#ifndef PJ_BASE_ERROR_H
#define PJ_BASE_ERROR_H

#include <errno.h>
#include <papjuice/status.h>
#include <signal.h>

/*
 * Fills `error` (NULL: nothing) with `status`, errno-style `errnum` (0: none), the file's name (NULL: none) and what
 * failed, after printf. Everything else is reset to "none". Returns `status`. Keeps errno.
 */
pj_status pj__fail(pj_error *error, pj_status status, int errnum, const char *file, const char *what, ...)
	__attribute__((format(printf, 5, 6)));

/* An error that another process has told, its texts ended within their fields whatever they hold. */
pj_error pj__error_bounded(const pj_error *told);

/* The status that fits a failed system call on memory, descriptors or disk, or `otherwise`. */
pj_status pj__status_of_errno(int errnum, pj_status otherwise);

/* PJ_ERR_INTERRUPTED, with the signal, if *stop is one (NULL: it never is). Looked at in all that may take long. */
pj_status pj__stopped_by(const volatile sig_atomic_t *stop, pj_error *error);

/* Add to a filled error, where there is one: the reason in words, a hint, the place. */
void pj__error_reason(pj_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
void pj__error_hint(pj_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
void pj__error_at(pj_error *error, const char *phase, int64_t task, int64_t offset);

/* Out of memory, the most common failure, in its usual words. */
pj_status pj__no_memory(pj_error *error, size_t bytes);

#endif
