/*
 * program.c: pj_program_open, and what a run does with a program.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/machine.h"
#include "program/program.h"

struct pj_program {
	pid_t opener; /* the process that opened it */
	char *name;   /* as the user wrote it, for messages */
	struct pj__object object;
	struct pj__cache cache; /* of a source */
	pj__described *described;
	struct configured *configured; /* what runs have made of it: they go with the program */
};

struct configured {
	struct configured *next;
	pj__described *described;
};

unsigned pj_processors(void)
{
	return pj__processors();
}

uint64_t pj_memory_available(void)
{
	return pj__memory_available();
}

/* The stand-in's `load`: called in a worker. */
static pj_status load(void *arg, const pj_job **ret_job, pj_error *error)
{
	const pj_program *const program = arg;
	/*
	 * What user code prints is not data. In a process of ours it goes to standard error; the output, opened before,
	 * has a descriptor of its own. (Where the opener itself runs the job, its standard output is its own affair.)
	 */
	if (getpid() != program->opener)
		dup2(STDERR_FILENO, STDOUT_FILENO);
	return pj__object_load(&program->object, program->name, ret_job, error);
}

static pj_status configure(pj_job *job, const char *const *values, pj_error *error);

static pj_job *stand_in(pj_program *program, pj__described *described)
{
	pj_job *const job = pj__described_job(described);
	job->load = load;
	job->load_arg = program;
	job->configure = pj__described_configures(described) ? configure : NULL;
	return job;
}

/* The stand-in's `configure`: called before a run, in the leader. What the real one makes of the job is asked anew. */
static pj_status configure(pj_job *job, const char *const *values, pj_error *error)
{
	pj_program *const program = job->load_arg;
	struct configured *const configured = malloc(sizeof *configured);
	if (!configured)
		return pj__no_memory(error, sizeof *configured);
	const pj_status status = pj__probe(&program->object, program->name, values, PJ__CONFIGURE_TIMEOUT_MS,
					   &configured->described, error);
	if (status) {
		free(configured);
		return status;
	}
	*job = *stand_in(program, configured->described);
	/* runs may begin in several threads; nobody reads the list before all of them have ended */
	configured->next = __atomic_load_n(&program->configured, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&program->configured, &configured->next, configured, true, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED))
		;
	return PJ_OK;
}

static bool is_source(const char *path)
{
	const size_t len = strlen(path);
	return len > 2 && !strcmp(path + len - 2, ".c");
}

/* The absolute path of the file, which must be there and no folder. */
static pj_status find_file(const char *path, char **ret_absolute, pj_error *error)
{
	struct stat seen;
	char *const absolute = realpath(path, NULL);
	int failed = !absolute || stat(absolute, &seen) < 0 ? errno : 0;
	if (!failed && S_ISDIR(seen.st_mode))
		failed = EISDIR;
	if (!failed && access(absolute, R_OK) < 0)
		failed = errno;
	if (!failed) {
		*ret_absolute = absolute;
		return PJ_OK;
	}
	free(absolute);
	pj__fail(error, failed == ENOMEM ? PJ_ERR_MEMORY : PJ_ERR_INPUT, failed, path, "cannot open the job");
	pj__error_hint(error, "a job is a built-in name, or the path of a plug-in (.so) or a C source (.c)");
	return failed == ENOMEM ? PJ_ERR_MEMORY : PJ_ERR_INPUT;
}

static pj_status see_object(struct pj__object *object, const char *name, pj_error *error)
{
	if (stat(object->path, &object->seen) < 0)
		return pj__fail(error, PJ_ERR_INPUT, errno, name, "cannot open the plug-in");
	return PJ_OK;
}

/* ---------------------------------------------------------------------------------------------------------- sources */

struct source {
	pj_program *program;
	const char *path; /* absolute */
	const pj_program_options *options;
	struct pj__compiler compiler;
};

static pj_status find_key(const struct source *source, XXH128_hash_t *ret_key, pj_error *error)
{
	return pj__compile_key(&source->compiler, source->path, source->program->name, source->options->include_folder,
			       ret_key, error);
}

/*
 * Compiles to the place of the key. If the source was changed meanwhile the object may be of either state: done again.
 */
static pj_status compile_source(struct source *source, XXH128_hash_t key, bool replace, pj_error *error)
{
	pj_program *const program = source->program;
	enum { TRIES = 3 };
	for (int tries = 0; tries < TRIES; tries++) {
		char *file = NULL;
		XXH128_hash_t after = key;
		pj_status status = pj__cache_new_file(&program->cache, &file, error);
		if (!status)
			status = pj__compile(&source->compiler, source->path, program->name, file, source->options,
					     error);
		if (!status)
			status = find_key(source, &after, error);
		if (!status && XXH128_isEqual(key, after)) {
			free(program->object.path);
			program->object.path = pj__cache_path(&program->cache, key);
			status = program->object.path ? pj__cache_put(file, program->object.path, replace, error)
						      : pj__no_memory(error, strlen(file));
			free(file);
			return status;
		}
		if (file)
			unlink(file);
		free(file);
		if (status)
			return status;
		key = after;
	}
	pj__fail(error, PJ_ERR_CHANGED, 0, program->name, "the source changes while it is compiled");
	return PJ_ERR_CHANGED;
}

static pj_status probe_object(pj_program *program, pj_error *error)
{
	pj_status status = see_object(&program->object, program->name, error);
	if (!status)
		status = pj__probe(&program->object, program->name, NULL, PJ__PROBE_TIMEOUT_MS, &program->described,
				   error);
	return status;
}

/* An object from the cache, or a new one. One from the cache that is of no use is compiled anew: it may be damaged. */
static pj_status open_source(struct source *source, bool *compiled, pj_error *error)
{
	pj_program *const program = source->program;
	XXH128_hash_t key;
	pj_status status = pj__cache_open(&program->cache, error);
	if (!status)
		status = pj__compiler_find(&source->compiler, error);
	if (!status)
		status = find_key(source, &key, error);
	if (status)
		return status;
	program->object.path = pj__cache_path(&program->cache, key);
	if (!program->object.path)
		return pj__no_memory(error, strlen(program->cache.folder));
	bool damaged = false;
	if (pj__cache_has(program->object.path)) {
		if (probe_object(program, NULL) == PJ_OK)
			return PJ_OK;
		damaged = true;
	}
	pj__cache_sweep(&program->cache);
	*compiled = true;
	status = compile_source(source, key, damaged, error);
	return status ? status : probe_object(program, error);
}

/* ------------------------------------------------------------------------------------------------------------- open */

pj_status pj_program_open(const char *path, const pj_program_options *options, pj_program **ret_program,
			  bool *ret_compiled, pj_error *error)
{
	static const pj_program_options defaults;
	pj_program *program = calloc(1, sizeof *program);
	char *absolute = NULL;
	bool compiled = false;
	pj_status status = PJ_OK;
	if (!program || !(program->name = strdup(path)))
		status = pj__no_memory(error, sizeof *program);
	else
		program->opener = getpid();
	if (!status)
		status = find_file(path, &absolute, error);
	if (!status && is_source(path)) {
		struct source source = {program, absolute, options ? options : &defaults, {0}};
		status = open_source(&source, &compiled, error);
		pj__compiler_fini(&source.compiler);
	} else if (!status) {
		program->object.path = absolute;
		absolute = NULL;
		status = probe_object(program, error);
	}
	free(absolute);
	if (status) {
		pj_program_close(program);
		return status;
	}
	stand_in(program, program->described);
	if (ret_compiled)
		*ret_compiled = compiled;
	*ret_program = program;
	return PJ_OK;
}

const pj_job *pj_program_job(const pj_program *program)
{
	return pj__described_job(program->described);
}

void pj_program_close(pj_program *program)
{
	if (!program)
		return;
	while (program->configured) {
		struct configured *const first = program->configured;
		program->configured = first->next;
		pj__described_destroy(first->described);
		free(first);
	}
	pj__described_destroy(program->described);
	pj__cache_fini(&program->cache);
	free(program->object.path);
	free(program->name);
	free(program);
}
