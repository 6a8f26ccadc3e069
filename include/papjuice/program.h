/*
 * program.h: a job as a program, as a plug-in and as a source file; and what the program `papjuice` is made of.
 *
 * PJ_PROGRAM makes two things of a job: a `main` that has the whole command line, and an exported entry point with an
 * ABI version, so that the same source is a program (cc job.c $(pkg-config --cflags --libs papjuice)), a plug-in
 * (papjuice run ./job.so) and a source that can be run as it is (papjuice run job.c).
 *
 * The functions of this header print (to standard error, and help to standard output) and handle signals: they are the
 * front of a program. Everything else in the library is silent.
 */
#ifndef PAPJUICE_PROGRAM_H
#define PAPJUICE_PROGRAM_H

#include <papjuice/job.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of PapJuice. */
#define PJ_VERSION "0.1.0"

#define PJ_PROGRAM(...)                                                                                                \
	PJ_API extern const pj_job *pj_plugin_job(void);                                                               \
	const pj_job *pj_plugin_job(void)                                                                              \
	{                                                                                                              \
		static const pj_job job = {.abi = PJ_ABI, __VA_ARGS__};                                                \
		return &job;                                                                                           \
	}                                                                                                              \
	int main(int argc, char **argv)                                                                                \
	{                                                                                                              \
		return pj_main(pj_plugin_job(), argc, argv);                                                           \
	}

/* ------------------------------------------------------------------------------------------------ the command line */

/*
 * Runs `job` as the command line says, with all options, progress, messages and statistics of `papjuice`, and returns
 * the exit code. argv[0] is the name under which the help shows the program; the rest are options and inputs. The
 * strings must live until the call returns, which is when the run has ended.
 *
 * While it runs it handles SIGINT, SIGTERM and SIGHUP (the first ends the run cleanly, a second one at once, by _exit)
 * and ignores SIGPIPE and SIGXFSZ; the handlers are given back. Signals belong to the whole process, so one call at a
 * time.
 */
PJ_API int pj_main(const pj_job *job, int argc, char **argv);

/*
 * Runs a command line of Hadoop Streaming, with argv[0] as its name and the rest as Hadoop's own program takes it, and
 * returns Hadoop's exit code: 0; 1 for a wrong command line or a job that failed; 5 for an input that is missing or an
 * output that exists; 128 + n after signal n. Signals and strings as in pj_main.
 */
PJ_API int pj_streaming(int argc, char **argv);

/*
 * Prints one topic of the manual to standard output and returns the exit code: 0, 2 for a topic that is not known, 4
 * if it cannot be written. `topic` NULL is the overview; the topics are listed there. `detail` is what some topics
 * take ("completions": the shell), else NULL.
 */
PJ_API int pj_help(const char *topic, const char *detail);

/* Prints `error` to standard error, "papjuice: WHAT FAILED: ..." and a hint, and returns its exit code. */
PJ_API int pj_error_report(const pj_error *error);

/*
 * The one of `count` names that `word` is most likely meant to be (fewest letters changed, added, left out or swapped),
 * or NULL when none is near. The result is one of the names.
 */
PJ_API const char *pj_nearest(const char *word, const char *const *names, size_t count);

/* Processors this process may use: its affinity, cut to its cgroup's quota; at least 1. The default of `workers`. */
PJ_API unsigned pj_processors(void);

/*
 * Bytes of memory that can be had now: what the kernel calls available, and free swap, cut to what the limits of the
 * process's cgroup leave. Half of it is the default of `memory`. UINT64_MAX if it cannot be known.
 */
PJ_API uint64_t pj_memory_available(void);

/* --------------------------------------------------------------------------------------------------- built-in jobs */

/* The built-in jobs, in the order of their names: the index-th, or NULL after the last. */
PJ_API const pj_job *pj_builtin_job(size_t index);

/* The built-in job of this name, or NULL. */
PJ_API const pj_job *pj_builtin_find(const char *name);

/* ----------------------------------------------------------------------------------------------- plug-ins, sources */

/* A plug-in or C source that has been looked at. */
typedef struct pj_program pj_program;

typedef struct pj_program_options {
	/* Where papjuice.h lies; NULL: where the compiler finds it. */
	const char *include_folder;
	/* Called with what the compiler printed, warnings and errors, if it ran and printed anything; or NULL. */
	void (*compiler_said)(void *arg, pj_bytes text);
	void *arg;
} pj_program_options;

/*
 * Opens the plug-in (.so) or C source (.c) at `path`. `options` NULL: defaults.
 *
 * A source is compiled first, with $CC or cc, -O2 -std=gnu17, into a cache of the user's ($XDG_CACHE_HOME/papjuice,
 * else ~/.cache/papjuice), unless the same source was compiled before by the same compiler with the same headers;
 * *ret_compiled (NULL: not wanted) tells if the compiler ran. Without a safe and writable cache it goes to a private
 * folder that lives as long as the program.
 *
 * The plug-in is loaded in a child process, never in this one, and given ten seconds to tell what its job is. Blocks
 * meanwhile. PJ_ERR_INPUT: no such file; PJ_ERR_USER: it does not compile, is not a plug-in, has another ABI, or
 * crashes or hangs while it is loaded; PJ_ERR_MEMORY and PJ_ERR_RESOURCE: as they say.
 */
PJ_API PJ_MUST_USE pj_status pj_program_open(const char *path, const pj_program_options *options,
					     pj_program **ret_program, bool *ret_compiled, pj_error *error);

/*
 * The job that describes the plug-in, for pj_run or pj_main; owned by the program, which must outlive the run.
 *
 * It has the real job's names, options, kinds and settings, but its functions only stand in for the real ones: its
 * `load` fetches those, in each worker. Its `configure` asks the real one, in a child process, what becomes of the job;
 * in the workers the real one is called. A plug-in can't have an input function or an output function, as they would
 * have to run in the calling process: PJ_ERR_USER when it is opened.
 *
 * With the engine `reference` user code runs in the process that calls pj_run, so `load` happens there. pj_main runs
 * such a job in a child process.
 */
PJ_API const pj_job *pj_program_job(const pj_program *program);

/* Frees the program; NULL is fine. */
PJ_API void pj_program_close(pj_program *program);

#ifdef __cplusplus
}
#endif
#endif
