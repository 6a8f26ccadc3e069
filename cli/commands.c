/*
 * commands.c: see commands.h. The job has the commands among its options, so that all of a job's command line, the help
 * included, is pj_main's.
 *
 * Lines go through as they are: the value of a pair begins with the separator, so that key and value are the line
 * again, and a line without one stays without.
 */
#include "commands.h"

#include <papjuice/program.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SAID_MOST = 1 << 20 /* bytes of standard error that a worker's programs may pass on */, FIELDS_MOST = 1000 };

enum { MAP, REDUCE, COMBINE, SHELL, SEP, FIELDS };

static const pj_job_option options[] = {
	[MAP] = {"map", 0, "CMD", NULL, "the mapper: reads lines, writes lines"},
	[REDUCE] = {"reduce", 0, "CMD", NULL, "the reducer: reads lines in key order"},
	[COMBINE] = {"combine", 0, "CMD", NULL, "reduces some of a mapper's lines beforehand"},
	[SHELL] = {"shell", 0, NULL, NULL, "commands are for sh -c, not words"},
	[SEP] = {"sep", 't', "CHAR", NULL, "the byte after the key [tab]"},
	[FIELDS] = {"fields", 0, "N", NULL, "the key is the first N fields; 0: the line [1]"},
	{NULL},
};

/* What `configure` gets for a copy of the job. */
struct own {
	pj_command map, reduce, combine;
	char **argv[3]; /* of these, in this order */
	const char *shell[3][4];
	char separator;
	unsigned fields;
	size_t said;
};

/* Passes a line of standard error on, as far as that goes. In a worker, of which each has its own count. */
static void pass_on(void *arg, const pj_attempt *attempt, pj_bytes line)
{
	static const char end[] = "papjuice: note: more lines of standard error are left out\n";
	struct own *const own = arg;
	char text[4096];
	if (attempt->is_sample || own->said > SAID_MOST)
		return;
	own->said += line.len + 1;
	const bool full = own->said > SAID_MOST;
	size_t len = line.len < sizeof text - 1 ? line.len : sizeof text - 1;
	if (len)
		memcpy(text, line.ptr, len);
	text[len++] = '\n';
	/* in one write; where nobody reads it, it is lost */
	(void)!write(STDERR_FILENO, full ? end : text, full ? sizeof end - 1 : len);
}

static pj_status wrong(pj_error *error, const char *what, const char *reason, const char *hint)
{
	*error = (pj_error){.status = PJ_ERR_USAGE, .task = -1, .offset = -1};
	snprintf(error->what, sizeof error->what, "%s", what);
	snprintf(error->reason, sizeof error->reason, "%s", reason);
	snprintf(error->hint, sizeof error->hint, "%s", hint);
	return PJ_ERR_USAGE;
}

static pj_status no_memory(pj_error *error)
{
	*error = (pj_error){.status = PJ_ERR_MEMORY, .task = -1, .offset = -1};
	return PJ_ERR_MEMORY;
}

/* The `index`-th command, whose text is `line`. */
static pj_status set_command(struct own *own, pj_command *command, size_t index, const char *line, bool by_shell,
			     pj_error *error)
{
	command->said = pass_on;
	command->arg = own;
	if (by_shell) {
		const char *const words[] = {"/bin/sh", "-c", line, NULL};
		memcpy(own->shell[index], words, sizeof words);
		command->argv = own->shell[index];
		return PJ_OK;
	}
	const pj_status status = pj_command_split(line, &own->argv[index], error);
	command->argv = (const char *const *)own->argv[index];
	return status;
}

static void free_own(struct own *own)
{
	for (size_t i = 0; i < sizeof own->argv / sizeof *own->argv; i++)
		free(own->argv[i]);
	free(own);
}

static void release(pj_job *job)
{
	const pj_command *const command = job->mapper.command ? job->mapper.command : job->reducer.command;
	free_own(command->arg);
}

/* The mapper where there is no program: the key of each line. `arg` is a struct own. */
static pj_status split_lines(pj_task *task, pj_bytes text, void *arg)
{
	const struct own *const own = arg;
	pj_bytes line;
	while (pj_next_line(task, &text, &line)) {
		size_t len = own->fields ? 0 : line.len;
		for (unsigned left = own->fields; left; left--) {
			const char *const found =
				len < line.len ? memchr(line.ptr + len, own->separator, line.len - len) : NULL;
			len = found ? (size_t)(found - line.ptr) + (left > 1) : line.len;
		}
		pj_emit(task, (pj_bytes){line.ptr, len}, (pj_bytes){line.ptr + len, line.len - len});
	}
	return PJ_OK;
}

static bool read_separator(const char *text, char *ret_separator)
{
	*ret_separator = !text || !strcmp(text, "\\t") ? '\t' : *text;
	return !text || (text[0] && (!text[1] || !strcmp(text, "\\t")) && *ret_separator != '\n');
}

static bool read_fields(const char *text, unsigned *ret_fields)
{
	int64_t fields = 1;
	if (text && (!pj_parse_i64(pj_bytes_of(text), &fields) || fields < 0 || fields > FIELDS_MOST))
		return false;
	*ret_fields = (unsigned)fields;
	return true;
}

static pj_status set_all(struct own *own, const char *const *values, pj_error *error)
{
	pj_command *const commands[] = {&own->map, &own->reduce, &own->combine};
	pj_status status = PJ_OK;
	if (!read_separator(values[SEP], &own->separator))
		return wrong(error, "bad value for --sep", values[SEP], "one byte, such as ';' or '\\t'");
	if (!read_fields(values[FIELDS], &own->fields))
		return wrong(error, "bad value for --fields", values[FIELDS],
			     "a number up to 1000; 0 is the whole line");
	for (size_t i = 0; i < sizeof commands / sizeof *commands && !status; i++) {
		if (values[i])
			status = set_command(own, commands[i], i, values[i], values[SHELL], error);
		if (!values[REDUCE] || commands[i] == &own->reduce)
			continue;
		commands[i]->separator = (pj_bytes){&own->separator, 1};
		commands[i]->key_fields = own->fields;
		commands[i]->keeps_separator = true;
	}
	return status;
}

static pj_status configure(pj_job *job, const char *const *values, pj_error *error)
{
	if (!values[MAP] && !values[REDUCE])
		return wrong(error, "no program to run", "neither --map nor --reduce is given",
			     "papjuice run --map CMD --reduce CMD; see papjuice help programs");
	if (values[COMBINE] && !values[REDUCE])
		return wrong(error, "a combiner without a reducer", values[COMBINE], "--reduce CMD names the reducer");
	if (!values[REDUCE] && (values[SEP] || values[FIELDS]))
		return wrong(error, "a key without a reducer", values[SEP] ? "--sep" : "--fields",
			     "without --reduce lines go through as they are; --reduce CMD names the reducer");
	struct own *const own = calloc(1, sizeof *own);
	if (!own)
		return no_memory(error);
	const pj_status status = set_all(own, values, error);
	if (status) {
		free_own(own);
		return status;
	}
	if (values[MAP]) {
		job->mapper.command = &own->map;
	} else {
		job->mapper.text = split_lines;
		job->mapper.arg = own;
	}
	job->map_only = !values[REDUCE];
	if (values[REDUCE])
		job->reducer.command = &own->reduce;
	if (values[COMBINE])
		job->reducer.combine_command = &own->combine;
	job->release = release;
	return PJ_OK;
}

static const pj_job job = {
	.abi = PJ_ABI,
	.name = "run",
	.summary = "programs in any language",
	.output = {.columns = PJ_KEY_ONLY},
	.options = options,
	.configure = configure,
};

bool names_commands(int argc, char **argv)
{
	static const char *const names[] = {"--map", "--reduce", "--combine"};
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
			const size_t len = strlen(names[n]);
			if (!strncmp(argv[i], names[n], len) && (!argv[i][len] || argv[i][len] == '='))
				return true;
		}
	return false;
}

int run_commands(int argc, char **argv)
{
	char name[] = "papjuice run --map CMD --reduce CMD"; /* as the help shows it */
	char *const before = argv[0];
	argv[0] = name;
	const int code = pj_main(&job, argc, argv);
	argv[0] = before;
	return code;
}
