/*
 * command.h: programs in any language as mapper, combiner and reducer, by their standard input and output.
 *
 *     static const char *const map[] = { "python3", "words.py", NULL }, *const reduce[] = { "uniq", "-c", NULL };
 *     static const pj_command mapper = { .argv = map, .separator = { "\t", 1 }, .key_fields = 1 },
 *                             reducer = { .argv = reduce, .joint = { "\t", 1 } };
 *     const pj_job job = { .abi = PJ_ABI, .name = "words", .mapper = { .command = &mapper },
 *                          .reducer = { .command = &reducer }, .output = { .columns = PJ_KEY_ONLY } };
 *
 * One process maps a whole map task, one reduces a whole part: all its groups in key order, a line for each value. A
 * combiner gets a megabyte or so of a map task's pairs, sorted by key; one process for each such lot. A part without a
 * pair has no process and no result.
 *
 * Standard input and output are served in both directions at once, so it does not matter whether a program reads all
 * before it writes, or writes before it reads. It may stop reading, if it then ends with exit code 0. Another exit code
 * fails the attempt (PJ_ERR_USER), and so does a signal (PJ_ERR_CRASH); the error has its last lines of standard error
 * (pj_error.said). A program runs in a process group of its own, which is killed when its attempt ends, however that
 * ends: what it leaves in the background does not outlive it. For `pj_options.timeout_ms` it counts as progress when
 * bytes move, in any direction.
 *
 * Lines of standard error that begin with "reporter:" are Hadoop's protocol: "reporter:counter:GROUP,NAME,AMOUNT" adds
 * to a counter of the result (pj_result.counter), "reporter:status:TEXT" is progress.
 */
#ifndef PAPJUICE_COMMAND_H
#define PAPJUICE_COMMAND_H

#include <papjuice/reducer.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a program is started for. */
typedef enum pj_role { PJ_ROLE_MAP, PJ_ROLE_COMBINE, PJ_ROLE_REDUCE } pj_role;

/* One start of a program. Strings live until the attempt has ended. */
typedef struct pj_attempt {
	pj_role role;
	bool is_sample;         /* a few lines of the input go through the mapper to learn how keys are spread */
	uint64_t task;          /* index of the map task, or of the part */
	unsigned number;        /* 0, and one more for each time that the task was tried before */
	uint64_t map_tasks;     /* of the run, as far as is known (a stream's grow) */
	uint64_t parts;         /* of the run */
	const char *file;       /* the input of the map task's first text, "" if there is none ... */
	uint64_t start, length; /* ... where in it the task begins, and its bytes there */
} pj_attempt;

/* How a program is to be started; filled by pj_command.prepare. Strings are copied by the functions below. */
typedef struct pj_start pj_start;

/*
 * Sets a variable of its environment. False: there is no memory, and the start will fail with that; so it will when the
 * name or the value is NULL, so that a caller who had no memory to make them need not look.
 */
PJ_API bool pj_start_set(pj_start *start, const char *name, const char *value);

/* Sets its working folder, which must exist when `prepare` returns. False as above. */
PJ_API bool pj_start_folder(pj_start *start, const char *folder);

/*
 * A program and how one talks with it. All functions are called in the process that runs the task, and are optional.
 * It must live, with all that it points to, until the run ends.
 */
typedef struct pj_command {
	const char *const *argv; /* ended by NULL; argv[0] is looked for in $PATH if it has no '/'. No shell. */
	/* "NAME=value", ended by NULL: added to the environment of the calling process. NULL: none. */
	const char *const *environment;

	/*
	 * What it reads. By default a mapper gets the lines of the input as they are, each ended by a newline, a
	 * combiner or reducer each pair as a line: key, `joint`, value, newline.
	 */
	pj_bytes joint;
	/*
	 * Instead: appends one record to `to`, as it is to be read. Of a mapper `value` is the line without its
	 * newline, an address that pj_task_place knows, and `key` is empty.
	 */
	pj_status (*write)(void *arg, pj_task *task, pj_bytes key, pj_bytes value, pj_text *to);

	/*
	 * What it writes: lines, the last of which may lack its newline. With `key_fields` = n the key is what stands
	 * before the n-th `separator`, and the value what comes after it; with `keeps_separator` the value begins
	 * with it, so that key and value together are the line again. A line with fewer is a key with an empty value,
	 * and so is every line if n is 0. With `cr_ends` a CR, or CR LF, ends a line as well.
	 */
	pj_bytes separator;
	unsigned key_fields;
	bool keeps_separator;
	bool cr_ends;
	/*
	 * Instead: takes whole records from the beginning of `bytes` and emits them; *ret_used (0 before the call)
	 * becomes how many bytes they were. What is left comes again with more after it. `is_end`: there is no more,
	 * and what is left is lost, or an error.
	 */
	pj_status (*read)(void *arg, pj_task *task, pj_bytes bytes, bool is_end, size_t *ret_used);

	bool may_fail;      /* an exit code other than 0 is not a failure; a death by a signal is */
	const char *prefix; /* of the lines that report; NULL: "reporter:" */

	/* Before each start. A failure fails the attempt. */
	pj_status (*prepare)(void *arg, const pj_attempt *attempt, pj_start *start);
	/*
	 * After each end of a program that went well and whose output was taken; a failure fails the attempt. The
	 * attempt is not yet published: it may be lost, and made again.
	 */
	pj_status (*done)(void *arg, const pj_attempt *attempt);
	/* Each line of its standard error that does not report, without the newline; cut if it is very long. */
	void (*said)(void *arg, const pj_attempt *attempt, pj_bytes line);
	/* "reporter:status:" was followed by this. */
	void (*status)(void *arg, const pj_attempt *attempt, pj_bytes text);
	void *arg;
} pj_command;

/*
 * Splits a command line into an argument vector as a shell does, but expands nothing: blanks separate; '...' keeps all
 * as it is; "..." keeps all but \" \\ \$ \`; a backslash elsewhere keeps the next character. *ret_argv (ended by NULL)
 * is one allocation, to be freed. PJ_ERR_USAGE: a quote that is not closed, a backslash at the end, or no word.
 */
PJ_API PJ_MUST_USE pj_status pj_command_split(const char *line, char ***ret_argv, pj_error *error);

/* One counter that programs have added to. Names are cut to their room. */
typedef struct pj_counter {
	char group[64], name[64];
	int64_t value;
} pj_counter;

enum { PJ_COUNTERS_MAX = 128 };

#ifdef __cplusplus
}
#endif
#endif
