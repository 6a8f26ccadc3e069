/*
 * error.h: filling a pj_error in one call, and handing it up.
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
