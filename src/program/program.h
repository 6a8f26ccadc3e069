/*
 * program.h: user code that is not linked in: a plug-in, or a C source that becomes one.
 *
 *     open:    a source -> compile.c (with cache.c) -> a shared object
 *              a shared object -> probe.c: a child process loads it and describes its job
 *              the description -> describe.c: a job that stands in for the real one
 *     run:     the stand-in's `configure` probes again, with the values of the job's options; the engine calls its
 *              `load` in each worker, which fetches the real job (program.c)
 *
 * The object is loaded in children only: what its constructors do, and how they crash, is not the calling process's.
 */
#ifndef PJ_PROGRAM_PROGRAM_H
#define PJ_PROGRAM_PROGRAM_H

#include <papjuice/program.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "base/text.h"

/* A shared object on disk, as it was when it was looked at. */
struct pj__object {
	char *path; /* absolute, owned */
	struct stat seen;
};

/* ---------------------------------------------------------------------------------------------- description, probe */

typedef struct pj__described pj__described;

/* Appends a description of `job` to `text`. In the probe, where the job is. */
PJ_MUST_USE pj_status pj__describe(const pj_job *job, pj_text *text, pj_error *error);

/*
 * Makes a job of a description, whose bytes it copies. `name` is the plug-in's, for the error: PJ_ERR_USER if the bytes
 * are not a description (a plug-in may have scribbled over them).
 */
PJ_MUST_USE pj_status pj__described_create(pj_bytes description, const char *name, pj__described **ret_described,
					   pj_error *error);
pj_job *pj__described_job(pj__described *described);

/* True if the real job has a `configure`. */
bool pj__described_configures(const pj__described *described);
void pj__described_destroy(pj__described *described);

/* Loads the object into this process and returns its job, for good. `name` is how the user calls it. */
PJ_MUST_USE pj_status pj__object_load(const struct pj__object *object, const char *name, const pj_job **ret_job,
				      pj_error *error);

enum { PJ__PROBE_TIMEOUT_MS = 10000, PJ__CONFIGURE_TIMEOUT_MS = 60000 };

/*
 * Loads the object into a child, which describes its job: as it is (`values` NULL), or as its `configure` makes it by
 * the values of its options.
 */
PJ_MUST_USE pj_status pj__probe(const struct pj__object *object, const char *name, const char *const *values,
				int timeout_ms, pj__described **ret_described, pj_error *error);

/* ---------------------------------------------------------------------------------------------------------- compile */

/* A command that runs the C compiler: its argument vector, and what makes this compiler different from another. */
struct pj__compiler {
	char *command;         /* $CC or "cc", cut into words; owned */
	char *path;            /* of the program; owned */
	const char *words[16]; /* of the command; words[0] is `path` */
	size_t count;
	struct stat seen;
};

PJ_MUST_USE pj_status pj__compiler_find(struct pj__compiler *compiler, pj_error *error);
void pj__compiler_fini(struct pj__compiler *compiler);

/*
 * Runs argv (argv[0] a path) with standard input empty, and appends what it prints to the texts (`errors` both if
 * `output` is NULL). *ret_ok is if it exited with 0.
 */
PJ_MUST_USE pj_status pj__run_command(const char *const *argv, pj_text *output, pj_text *errors, bool *ret_ok,
				      pj_error *error);

/* The key of what compiling `source` (an absolute path) would give. */
PJ_MUST_USE pj_status pj__compile_key(const struct pj__compiler *compiler, const char *source, const char *name,
				      const char *include_folder, XXH128_hash_t *ret_key, pj_error *error);

/* Compiles `source` to `target`. */
PJ_MUST_USE pj_status pj__compile(const struct pj__compiler *compiler, const char *source, const char *name,
				  const char *target, const pj_program_options *options, pj_error *error);

/* ------------------------------------------------------------------------------------------------------------ cache */

/* A folder for compiled objects: the user's cache, or a private one that goes with the program. */
struct pj__cache {
	char *folder; /* absolute, owned */
	bool temporary;
};

PJ_MUST_USE pj_status pj__cache_open(struct pj__cache *cache, pj_error *error);

/* Removes a temporary folder with all that is in it. */
void pj__cache_fini(struct pj__cache *cache);

/* The path of the object with this key, owned by the caller; NULL: no memory. */
char *pj__cache_path(const struct pj__cache *cache, XXH128_hash_t key);

/* True if there is an object at `path`; it is then marked as used. */
bool pj__cache_has(const char *path);

/* A new, empty file in the cache; *ret_path is owned by the caller. */
PJ_MUST_USE pj_status pj__cache_new_file(const struct pj__cache *cache, char **ret_path, pj_error *error);

/* Gives the file its place, all at once; what stands there already stays, unless `replace`. The file is gone after. */
PJ_MUST_USE pj_status pj__cache_put(const char *file, const char *path, bool replace, pj_error *error);

/* Removes what was left over long ago and what was not used for months. */
void pj__cache_sweep(const struct pj__cache *cache);

#endif
