/*
 * main.c: the program `papjuice`: its commands. A job's command line is pj_main's, all else is a few lines each. It
 * sees the public headers only.
 *
 *     papjuice JOB ...        a built-in job
 *     papjuice run JOB ...    a built-in job, a plug-in (.so) or a C source (.c)
 *     papjuice run --map CMD --reduce CMD ...    programs in any language (commands.c)
 *     papjuice jobs [NAME]    papjuice help [TOPIC]    papjuice --help    papjuice --version
 */
#include <errno.h>
#include <papjuice/program.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"

enum { NAMES_MAX = 80 };

static int usage_error(const char *what, const char *reason, const char *hint)
{
	pj_error error = {.status = PJ_ERR_USAGE, .task = -1, .offset = -1};
	snprintf(error.what, sizeof error.what, "%s", what);
	snprintf(error.reason, sizeof error.reason, "%s", reason);
	snprintf(error.hint, sizeof error.hint, "%s", hint);
	return pj_error_report(&error);
}

/* `name` is not among the names: says which one is near. */
static int unknown(const char *what, const char *name, const char *const *names, size_t count, const char *see)
{
	char hint[256];
	const char *const nearest = pj_nearest(name, names, count);
	if (nearest)
		snprintf(hint, sizeof hint, "the nearest is %s; all of them: %s", nearest, see);
	else
		snprintf(hint, sizeof hint, "all of them: %s", see);
	return usage_error(what, name, hint);
}

/* What was printed on standard output has to arrive there: the exit code. */
static int flush_output(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	pj_error error = {.status = PJ_ERR_OUTPUT, .errnum = errno, .task = -1, .offset = -1};
	snprintf(error.what, sizeof error.what, "cannot write to standard output");
	return pj_error_report(&error);
}

static size_t add_jobs(const char **names, size_t count)
{
	const pj_job *job;
	for (size_t i = 0; count < NAMES_MAX && (job = pj_builtin_job(i)); i++)
		names[count++] = job->name;
	return count;
}

static int unknown_job(const char *name)
{
	const char *names[NAMES_MAX];
	return unknown("unknown job", name, names, add_jobs(names, 0),
		       "papjuice jobs; a path has a '/', or ends in .so or .c");
}

/* --------------------------------------------------------------------------------------------------------- commands */

/* Runs a job under the name "papjuice NAME"; argv[0] is the job, the rest its options and inputs. */
static int run_job(const pj_job *job, const char *command, int argc, char **argv)
{
	const size_t size = strlen(command) + strlen(argv[0]) + 12;
	char *const whole = malloc(size), *const before = argv[0];
	if (!whole) {
		const pj_error error = {.status = PJ_ERR_MEMORY, .task = -1, .offset = -1};
		return pj_error_report(&error);
	}
	snprintf(whole, size, "papjuice %s%s%s", command, *command ? " " : "", argv[0]);
	argv[0] = whole;
	const int code = pj_main(job, argc, argv);
	argv[0] = before;
	free(whole);
	return code;
}

/* The folder `include` of the place where this program is installed, or was built; NULL: not there. */
static const char *include_folder(char *folder, size_t size)
{
	static const char to_folder[] = "/../include", header[] = "/papjuice.h";
	const ssize_t len = readlink("/proc/self/exe", folder, size);
	if (len <= 0 || (size_t)len >= size)
		return NULL;
	folder[len] = 0;
	char *const slash = strrchr(folder, '/');
	if (!slash || (size_t)(slash - folder) + sizeof to_folder + sizeof header > size)
		return NULL;
	char *const end = slash + sizeof to_folder - 1;
	memcpy(slash, to_folder, sizeof to_folder);
	memcpy(end, header, sizeof header);
	if (access(folder, R_OK) < 0)
		return NULL;
	*end = 0;
	return folder;
}

static void print_compiler(void *arg, pj_bytes text)
{
	(void)arg;
	fwrite(text.ptr, 1, text.len, stderr);
}

/* True if -q or --quiet stands among the options: the note below comes before they are read. */
static int is_quiet(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (!strcmp(argv[i], "-q") || !strcmp(argv[i], "--quiet"))
			return 1;
	return 0;
}

static void print_compiled(const char *path)
{
	pj_error note = {.task = -1, .offset = -1};
	char line[2048];
	snprintf(note.what, sizeof note.what, "compiled");
	snprintf(note.file, sizeof note.file, "%s", path);
	/* escapes what a name may hold */
	fprintf(stderr, "papjuice: note: %s\n", pj_error_format(&note, line, sizeof line));
}

static int run_path(int argc, char **argv)
{
	char folder[4096];
	const pj_program_options options = {.include_folder = include_folder(folder, sizeof folder),
					    .compiler_said = print_compiler};
	pj_program *program = NULL;
	bool compiled = false;
	pj_error error;
	if (pj_program_open(argv[0], &options, &program, &compiled, &error))
		return pj_error_report(&error);
	if (compiled && !is_quiet(argc, argv))
		print_compiled(argv[0]);
	const int code = run_job(pj_program_job(program), "run", argc, argv);
	pj_program_close(program);
	return code;
}

static int ends_in(const char *text, const char *end)
{
	const size_t text_len = strlen(text), end_len = strlen(end);
	return text_len > end_len && !strcmp(text + text_len - end_len, end);
}

static int is_path(const char *job)
{
	return strchr(job, '/') || ends_in(job, ".so") || ends_in(job, ".c");
}

static int run_help(void)
{
	fputs("papjuice run: a job of your own\n"
	      "\n"
	      "  papjuice run --map CMD --reduce CMD [options] [INPUT...]\n"
	      "      programs in any language; either may be left out\n"
	      "  papjuice run job.c [options] [INPUT...]\n"
	      "      a source in C, compiled when it has changed\n"
	      "  papjuice run job.so [options] [INPUT...]\n"
	      "      a plug-in; and a built-in job by its name\n"
	      "\n"
	      "  papjuice run --map 'grep -o ERROR:.*' --reduce 'uniq -c' logs/\n"
	      "  papjuice run examples/wordcount.c book.txt -o counts.tsv\n"
	      "\n"
	      "The options: papjuice run --map CMD -h, papjuice run job.c -h\n"
	      "The manual:  papjuice help programs, papjuice help own-jobs\n",
	      stdout);
	return flush_output();
}

static int command_run(int argc, char **argv)
{
	static const char how[] =
		"papjuice run JOB [options] [INPUT...]; JOB: a name, a plug-in (.so), a source (.c), or --map CMD";
	if (argc < 2)
		return usage_error("no job to run", "JOB is missing", how);
	if (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help"))
		return run_help();
	/* what is a job's name stays one: it may have options of these names */
	if (names_commands(argc, argv) && !pj_builtin_find(argv[1]) && !ends_in(argv[1], ".so") &&
	    !ends_in(argv[1], ".c"))
		return run_commands(argc, argv);
	if (argv[1][0] == '-')
		return usage_error("the job comes first", argv[1], how);
	if (is_path(argv[1]))
		return run_path(argc - 1, argv + 1);
	const pj_job *const job = pj_builtin_find(argv[1]);
	return job ? run_job(job, "run", argc - 1, argv + 1) : unknown_job(argv[1]);
}

static int job_help(const char *name)
{
	const pj_job *const job = pj_builtin_find(name);
	if (!job)
		return unknown_job(name);
	char first[64], help[] = "-h";
	snprintf(first, sizeof first, "%s", name);
	char *const argv[] = {first, help, NULL};
	return run_job(job, "", 2, (char **)argv);
}

static int command_jobs(int argc, char **argv)
{
	if (argc > 2)
		return usage_error("too many arguments", argv[2], "papjuice jobs [NAME]");
	if (argc == 2 && (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help")))
		return pj_help(NULL, NULL);
	return argc == 2 ? job_help(argv[1]) : pj_help("jobs", NULL);
}

static int command_help(int argc, char **argv)
{
	const char *const topic = argc > 1 ? argv[1] : NULL;
	if (argc > 3)
		return usage_error("too many arguments", argv[3], "papjuice help [TOPIC]");
	if (topic && pj_builtin_find(topic))
		return job_help(topic);
	return pj_help(topic, argc > 2 ? argv[2] : NULL);
}

static int command_version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	printf("papjuice %s\n", PJ_VERSION);
	return flush_output();
}

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {{"run", command_run},           {"jobs", command_jobs},   {"streaming", pj_streaming},
		{"help", command_help},         {"--help", command_help}, {"-h", command_help},
		{"--version", command_version}, {"-V", command_version}};

static int unknown_command(const char *name)
{
	if (is_path(name)) {
		char hint[256];
		snprintf(hint, sizeof hint, "a job of your own is run so: papjuice run %s [options] [INPUT...]", name);
		return usage_error("unknown command", name, hint);
	}
	if (!strncmp(name, "--map", 5) || !strncmp(name, "--reduce", 8))
		return usage_error("unknown command", name, "programs are run so: papjuice run --map CMD --reduce CMD");
	const char *names[NAMES_MAX];
	size_t count = 0;
	for (; count < sizeof commands / sizeof *commands; count++)
		names[count] = commands[count].name;
	return unknown("unknown command", name, names, add_jobs(names, count), "papjuice help");
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fputs("usage: papjuice wordcount book.txt                   a built-in job (see papjuice jobs)\n"
		      "       papjuice run --map CMD --reduce CMD logs/     programs in any language\n"
		      "       papjuice run job.c book.txt                   a job of your own, in C\n"
		      "       papjuice streaming -input in -output out ...  a Hadoop Streaming job, as it is\n"
		      "       papjuice help                                 options, topics, more examples\n",
		      stderr);
		return 2;
	}
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	const pj_job *const job = pj_builtin_find(argv[1]);
	return job ? run_job(job, "", argc - 1, argv + 1) : unknown_command(argv[1]);
}
