/*
 * status.h: what a call that can fail returns, and what it can tell about the failure.
 *
 * Law of the interface, for every function of every header: a call that can fail returns pj_status, PJ_OK being 0;
 * results go to pointers, which are set on success and untouched on failure; the last parameter is an optional
 * `pj_error *` owned by the caller (NULL: not wanted), filled on failure and untouched on success. Destroying NULL
 * does nothing. The library never prints and never exits.
 */
#ifndef PAPJUICE_STATUS_H
#define PAPJUICE_STATUS_H

#include <papjuice/bytes.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * One table makes the enum, the names and the exit codes of the command line.
 *      name               number  exit  meaning
 */
#define PJ_STATUS_TABLE(X)                                                                                             \
	X(PJ_OK, 0, 0, "done")                                                                                         \
	X(PJ_NO, 1, 1, "the answer is no")                                                                             \
	X(PJ_ERR_USAGE, 10, 2, "wrong usage")                                                                          \
	X(PJ_ERR_CLOSED, 11, 2, "already closed")                                                                      \
	X(PJ_ERR_INPUT, 20, 3, "an input is missing or unreadable")                                                    \
	X(PJ_ERR_CHANGED, 21, 3, "an input changed while it was read")                                                 \
	X(PJ_ERR_RECORD, 22, 3, "a record is bad")                                                                     \
	X(PJ_ERR_CORRUPT, 23, 3, "stored bytes are corrupt")                                                           \
	X(PJ_ERR_MEMORY, 30, 4, "not enough memory")                                                                   \
	X(PJ_ERR_RESOURCE, 31, 4, "out of processes, descriptors or another resource")                                 \
	X(PJ_ERR_OUTPUT, 32, 4, "the output cannot be written")                                                        \
	X(PJ_ERR_EXISTS, 33, 4, "the output exists")                                                                   \
	X(PJ_ERR_USER, 50, 5, "the user's code failed")                                                                \
	X(PJ_ERR_CRASH, 51, 5, "a process died")                                                                       \
	X(PJ_ERR_TIMEOUT, 52, 5, "no progress for too long")                                                           \
	X(PJ_ERR_INTERNAL, 60, 6, "a fault of PapJuice itself")                                                        \
	X(PJ_ERR_INTERRUPTED, 61, 130, "ended by a signal")                                                            \
	X(PJ_ERR_NOT_FOUND, 70, 1, "not found")                                                                        \
	X(PJ_ERR_BUSY, 71, 1, "held by another")

typedef enum pj_status {
#define PJ_STATUS_ENUM(name, number, code, text) name = number,
	PJ_STATUS_TABLE(PJ_STATUS_ENUM)
#undef PJ_STATUS_ENUM
} pj_status;

/*
 * What is known of a failure: plain data of fixed size, no pointers, so that a worker can send it to its leader as it
 * is. Text fields end with NUL and are cut when too long. Fields that do not apply hold the value that is said.
 */
typedef struct pj_error {
	pj_status status;
	int errnum;       /* errno of the failed system call, 0: none */
	int signal;       /* signal that ended a process or the run, 0: none */
	int attempt;      /* number of the attempt, from 1; 0: none */
	int64_t task;     /* map or reduce task, or index of a pool's item; -1: none */
	int64_t offset;   /* byte offset in `file`; -1: none */
	uint64_t record;  /* number of the record (line) in `file` at `offset`, from 1; 0: not known */
	char phase[16];   /* "plan", "map", "merge", "reduce", "commit", ... or "" */
	char what[256];   /* what failed: "cannot open the input" */
	char file[1024];  /* path, or "" */
	char reason[256]; /* why, in words; "": the text of errnum or signal */
	char hint[256];   /* what to do about it, or "" */
	char said[2048];  /* the last lines that the user's program wrote to standard error (command.h), or "" */
} pj_error;

/* The name of a status ("PJ_ERR_INPUT") and its meaning in words; never NULL. Any thread or process. */
PJ_API const char *pj_status_name(pj_status status);
PJ_API const char *pj_status_text(pj_status status);

/* The exit code of the command line for an error: the table's, or 128 + signal for PJ_ERR_INTERRUPTED. */
PJ_API int pj_error_exit_code(const pj_error *error);

/*
 * Writes `error` as one line without a newline, "WHAT FAILED: PATH:OFFSET: line N: reason (map task 3, attempt 2)",
 * control bytes escaped, to `line` of `size` bytes (always terminated). Returns `line`. Any thread or process.
 */
PJ_API char *pj_error_format(const pj_error *error, char *line, size_t size);

#ifdef __cplusplus
}
#endif
#endif
