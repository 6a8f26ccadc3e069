/*
 * main.c: pj_main, the whole command line of a job.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "front/front.h"

/* What runs, as the functions below hand it on. */
struct run {
	const pj_job *job;
	const char *program;
	struct pj__settings settings;
};

/*
 * A program may be started with a standard descriptor closed. The next file to be opened would get its number, and data
 * or messages would end in it. Opened the wrong way round, /dev/null holds the place and still fails when it is used.
 */
static unsigned hold_standard_places(void)
{
	unsigned held = 0;
	for (int fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
			continue;
		const int got = open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
		if (got == fd)
			held |= 1u << fd;
		else if (got >= 0)
			close(got);
	}
	return held;
}

static void free_standard_places(unsigned held)
{
	for (int fd = 0; fd <= 2; fd++)
		if (held & 1u << fd)
			close(fd);
}

static bool to_standard_output(const struct run *run)
{
	const pj_output *const own = &run->job->output, *const given = &run->settings.run.output;
	const char *const path = given->path ? given->path : own->path;
	return !(given->path ? NULL : own->pair) && (!path || !strcmp(path, "-"));
}

static bool has_own_input(const pj_job *job)
{
	return job->input.path_count || job->input.memory_count || job->input.read;
}

/* Does user code run in the process that calls pj_run? */
static bool runs_in_caller(const struct run *run)
{
	pj_engine_facts engine;
	return pj_engine_of(run->job, &run->settings.run, &engine) && engine.in_caller;
}

/* Standard input where no input is named. False: it is a terminal. */
static bool settle_inputs(struct run *run)
{
	struct pj__settings *const settings = &run->settings;
	if (settings->run.input.path_count || has_own_input(run->job))
		return true;
	if (isatty(STDIN_FILENO))
		return false;
	settings->paths[settings->run.input.path_count++] = "-";
	return true;
}

void pj__outcome_left_out(void *arg, const pj_bad_record *record)
{
	struct pj__outcome *const outcome = arg;
	const size_t count = outcome->left_out_count;
	struct pj__left_out *more = outcome->left_out;
	if ((count & (count - 1)) == 0) /* room for the next power of two */
		more = realloc(outcome->left_out, (count ? 2 * count : 1) * sizeof *more);
	char *const file = more ? strdup(record->file) : NULL, *const reason = file ? strdup(record->reason) : NULL;
	if (more)
		outcome->left_out = more;
	if (!reason) {
		free(file);
		outcome->left_out_lost = true;
		return;
	}
	more[outcome->left_out_count++] =
		(struct pj__left_out){file, reason, record->offset, record->record, record->bytes};
}

void pj__outcome_free(struct pj__outcome *outcome)
{
	for (size_t i = 0; outcome && i < outcome->left_out_count; i++) {
		free(outcome->left_out[i].file);
		free(outcome->left_out[i].reason);
	}
	if (outcome)
		free(outcome->left_out);
	free(outcome);
}

/* The bad records, the first ones by name. */
static void print_left_out(const struct run *run, const struct pj__outcome *outcome)
{
	enum { NAMED = 20 };
	const size_t count = outcome->left_out_count;
	for (size_t i = 0; i < count && i < NAMED; i++) {
		const struct pj__left_out *const one = &outcome->left_out[i];
		char line[32] = ""; /* not counted, where the run was stopped or the input is gone */
		if (one->record)
			snprintf(line, sizeof line, " line %llu:", (unsigned long long)one->record);
		pj__print_note(run->program, "bad record: %s:%llu:%s %s", one->file, (unsigned long long)one->offset,
			       line, one->reason);
	}
	if (count > NAMED || outcome->left_out_lost)
		pj__print_note(run->program, "and more of them: --stats FILE lists all there is memory for");
	if (count && !outcome->error.status)
		pj__print_note(run->program, "%llu bad record%s left out", (unsigned long long)outcome->result.skipped,
			       outcome->result.skipped == 1 ? " was" : "s were");
}

/* What is worth a line after a run that went well. */
static void print_notes(const struct run *run, const pj_result *result)
{
	if (result->inputs_grown)
		pj__print_note(run->program, "%llu input%s grew meanwhile: read as far as planned",
			       (unsigned long long)result->inputs_grown, result->inputs_grown == 1 ? "" : "s");
	for (size_t i = 0; i < result->counter_count; i++)
		pj__print_note(run->program, "counter %s, %s: %lld", result->counter[i].group, result->counter[i].name,
			       (long long)result->counter[i].value);
	if (result->counters_lost)
		pj__print_note(run->program, "more than %d counters: the others are left out", PJ_COUNTERS_MAX);
	if (result->failures)
		pj__print_note(run->program, "%llu attempt%s failed and %s done again; the first: %s task %lld: %s",
			       (unsigned long long)result->failures, result->failures == 1 ? "" : "s",
			       result->failures == 1 ? "was" : "were", result->failure[0].phase,
			       (long long)result->failure[0].task, result->failure[0].reason);
}

/* Statistics and message at the end of a run. Returns the exit code. */
static int finish(const struct run *run, struct pj__outcome *outcome)
{
	pj_error *const error = &outcome->error;
	/* the reader of our output has gone, as in `| head`: no message, and the code that a shell expects */
	const bool reader_gone = error->status == PJ_ERR_OUTPUT && error->errnum == EPIPE && to_standard_output(run);
	outcome->exit_code = reader_gone ? 128 + SIGPIPE : error->status ? pj_error_exit_code(error) : 0;
	pj_error stats_error;
	if (pj__stats_write(outcome, &stats_error)) {
		pj__print_error(run->program, &stats_error);
		if (!outcome->exit_code)
			outcome->exit_code = pj_error_exit_code(&stats_error);
	}
	if (!outcome->exit_code && run->job->answer && !run->job->answer(&outcome->result, run->settings.values))
		outcome->exit_code = 1;
	if (!run->settings.quiet)
		print_left_out(run, outcome);
	if (!error->status && !run->settings.quiet)
		print_notes(run, &outcome->result);
	if (error->status && !reader_gone)
		pj__print_error(run->program, error);
	return outcome->exit_code;
}

/* The run, in this process. `arg` is a struct run. */
static int run_here(void *arg)
{
	struct run *const run = arg;
	struct pj__outcome *const outcome = calloc(1, sizeof *outcome);
	if (!outcome) {
		pj_error error = {.status = PJ_OK};
		pj__front_fail(&error, PJ_ERR_MEMORY, "cannot start the run", NULL, NULL);
		pj__print_error(run->program, &error);
		return pj_error_exit_code(&error);
	}
	outcome->job = run->job;
	outcome->settings = &run->settings;
	struct pj__progress progress;
	pj__progress_init(&progress, STDERR_FILENO, run->settings.progress, run->settings.quiet);
	/* results and progress on one terminal would be drawn over each other */
	if (run->settings.progress == PJ__PROGRESS_AUTO && to_standard_output(run) && isatty(STDOUT_FILENO))
		progress.enabled = false;
	if (progress.enabled) {
		run->settings.run.progress = pj__progress_show;
		run->settings.run.progress_arg = &progress;
	}
	run->settings.run.bad_record = pj__outcome_left_out;
	run->settings.run.bad_record_arg = outcome;
	struct pj__signals signals;
	/* a plug-in's run by such an engine is a child of ours, and our parent's patience is limited */
	run->settings.run.stop = pj__signals_catch(&signals, runs_in_caller(run) && !run->job->load);
	if (pj_run(run->job, &run->settings.run, &outcome->result, &outcome->error) == PJ_OK)
		outcome->error.status = PJ_OK;
	pj__progress_erase(&progress);
	const int code = finish(run, outcome);
	pj__signals_restore(&signals);
	pj__outcome_free(outcome);
	return code;
}

/* The run in a child process; if that is killed, what it could not do at its end is done here. */
static int run_apart(struct run *run)
{
	struct pj__outcome *const outcome = calloc(1, sizeof *outcome);
	pj_error error = {.status = PJ_OK};
	int code = 0;
	const pj_status status = outcome ? pj__run_apart(run_here, run, &code, &error)
					 : pj__front_fail(&error, PJ_ERR_MEMORY, "cannot start the run", NULL, NULL);
	if (!status) {
		pj__outcome_free(outcome);
		return code;
	}
	if (!outcome) {
		pj__print_error(run->program, &error);
		return pj_error_exit_code(&error);
	}
	outcome->job = run->job;
	outcome->settings = &run->settings;
	outcome->error = error;
	code = finish(run, outcome);
	pj__outcome_free(outcome);
	return code;
}

static int run_job(struct run *run)
{
	pj_error error = {.status = PJ_OK};
	if (!settle_inputs(run)) {
		pj__usage_lines(stderr, run->job, run->program);
		return 2;
	}
	if (pj__stats_check(&run->settings, &error)) {
		pj__print_error(run->program, &error);
		return pj_error_exit_code(&error);
	}
	return run->job->load && runs_in_caller(run) ? run_apart(run) : run_here(run);
}

static int print_version(const struct run *run)
{
	char name[64];
	pj__message_name(run->program, name, sizeof name);
	if (strcmp(name, "papjuice") != 0)
		printf("%s (papjuice %s)\n", name, PJ_VERSION);
	else
		printf("papjuice %s\n", PJ_VERSION);
	return pj__flush_output(run->program);
}

static int act(struct run *run)
{
	switch (run->settings.action) {
	case PJ__ACTION_VERSION:
		return print_version(run);
	case PJ__ACTION_SHORT_HELP:
		pj__help_short(stdout, run->job, run->program);
		return pj__flush_output(run->program);
	case PJ__ACTION_HELP:
		pj__help_full(stdout, run->job, run->program);
		return pj__flush_output(run->program);
	default:
		return run_job(run);
	}
}

/* The name that the help shows: "papjuice wordcount" as it is, a program by its file's name. */
static const char *shown_name(int argc, char **argv, char *name, size_t size)
{
	const char *const given = argc > 0 && argv[0] && *argv[0] ? argv[0] : "papjuice";
	if (!strncmp(given, "papjuice ", 9))
		return given;
	return pj__message_name(given, name, size);
}

int pj_main(const pj_job *job, int argc, char **argv)
{
	char name[64];
	struct run run = {.job = job, .program = shown_name(argc, argv, name, sizeof name)};
	const unsigned held = hold_standard_places();
	pj_error error = {.status = PJ_OK};
	pj_status status = PJ_OK;
	if (!job || job->abi != PJ_ABI)
		status = pj__front_fail(&error, PJ_ERR_USER, "the job was built for another version of PapJuice", NULL,
					"build it again with the headers of version " PJ_VERSION);
	else
		status = pj__settings_read(&run.settings, job, run.program, argc, argv, &error);
	int code;
	if (status) {
		pj__print_error(run.program, &error);
		code = pj_error_exit_code(&error);
	} else {
		code = act(&run);
		pj__settings_fini(&run.settings);
	}
	free_standard_places(held);
	return code;
}
