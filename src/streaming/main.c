/*
 * main.c: pj_streaming, the command line as a whole: `papjuice streaming`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "front/front.h"
#include "streaming/console.h"

/* Hadoop's exit codes. */
enum { DONE = 0, FAILED = 1, NO_INPUT_OR_OUTPUT = 5 };

static const char job_logger[] = "mapreduce.Job", streaming_logger[] = "streaming.StreamJob";

/* Options that are accepted but have no effect. */
static void warn_of_ignored(const pj__request *request)
{
	static const struct {
		enum pj__streaming_option option;
		const char *text;
	} told[] = {
		{PJ__OPT_BACKGROUND, "-background is not done: the job is waited for"},
		{PJ__OPT_MAPDEBUG, "-mapdebug is not done"},
		{PJ__OPT_REDUCEDEBUG, "-reducedebug is not done"},
		{PJ__OPT_FILE, "-file option is deprecated, please use generic option -files instead."},
		{PJ__OPT_JOBCONF, "-jobconf option is deprecated, please use -D instead."},
		{PJ__OPT_DFS, "-dfs option is deprecated, please use -fs instead."},
		{PJ__OPT_CACHE_FILE, "-cacheFile option is deprecated, please use -files instead."},
		{PJ__OPT_CACHE_ARCHIVE, "-cacheArchive option is deprecated, please use -archives instead."},
	};
	for (size_t i = 0; i < sizeof told / sizeof *told; i++)
		if (request->has[told[i].option])
			pj__console_log("WARN", streaming_logger, "%s", told[i].text);
	if (request->ignores_libjars)
		pj__console_log("WARN", streaming_logger, "-libjars is not done: Java classes are not run");
}

/* Prints why the job could not be prepared. Returns the exit code. */
static int refuse(const pj_error *error)
{
	const bool about_files = error->status == PJ_ERR_INPUT || error->status == PJ_ERR_EXISTS;
	char line[4096];
	if (!about_files) {
		pj__console_error(error, streaming_logger);
		return error->status == PJ_ERR_INTERRUPTED ? pj_error_exit_code(error) : FAILED;
	}
	pj__console_log("ERROR", streaming_logger, "Error Launching job : %s",
			pj_error_format(error, line, sizeof line));
	pj__console_hint(error, streaming_logger);
	return NO_INPUT_OR_OUTPUT;
}

/* Failed attempts, as Hadoop reports them. */
static void print_failures(const pj__streaming *streaming, const pj_result *result)
{
	const uint64_t count = result->failures < PJ_FAILURES_MAX ? result->failures : PJ_FAILURES_MAX;
	for (uint64_t i = 0; i < count; i++) {
		const pj_failure *const failure = &result->failure[i];
		pj__console_log("INFO", job_logger, "Task Id : attempt_%s_%c_%06lld_%d, Status : FAILED",
				streaming->stamp, strcmp(failure->phase, "reduce") ? 'm' : 'r',
				(long long)(failure->task < 0 ? 0 : failure->task),
				failure->attempt > 0 ? failure->attempt - 1 : 0);
		fprintf(stderr, "Error: %s\n", failure->reason);
	}
}

static int report(pj__streaming *streaming, const pj_result *result, pj_error *error)
{
	print_failures(streaming, result);
	if (!error->status && pj__streaming_finish(streaming, error) == PJ_OK)
		error->status = PJ_OK;
	if (!error->status) {
		pj__console_log("INFO", job_logger, "Job job_%s completed successfully", streaming->stamp);
		pj__console_counters(result);
		pj__console_log("INFO", streaming_logger, "Output directory: %s",
				pj__request_value(streaming->request, PJ__OPT_OUTPUT));
		return DONE;
	}
	pj__console_log("INFO", job_logger, "Job job_%s failed with state FAILED due to: %s", streaming->stamp,
			error->what);
	pj__console_error(error, streaming_logger);
	pj__console_log("ERROR", streaming_logger, "Job not successful!");
	if (error->status == PJ_ERR_INTERRUPTED)
		return pj_error_exit_code(error);
	return error->status == PJ_ERR_EXISTS ? NO_INPUT_OR_OUTPUT : FAILED;
}

static int run(pj__streaming *streaming)
{
	pj_result *const result = calloc(1, sizeof *result);
	pj_error error = {.status = PJ_OK};
	if (!result) {
		(void)pj__no_memory(&error, sizeof *result);
		return refuse(&error);
	}
	pj__shown shown = {-1, -1, streaming->reduces > 0};
	streaming->options.progress = pj__console_progress;
	streaming->options.progress_arg = &shown;
	pj__console_log("INFO", job_logger, "Running job: job_%s", streaming->stamp);
	if (pj_run(&streaming->job, &streaming->options, result, &error) == PJ_OK)
		error.status = PJ_OK;
	const int code = report(streaming, result, &error);
	free(result);
	return code;
}

/* Runs the job of the words after the command's name (and after "streamjob", if that follows). */
static int stream(int argc, char **argv)
{
	pj__request request;
	pj_error error = {.status = PJ_OK};
	if (pj__request_read(&request, argc, argv, &error)) {
		pj__console_error(&error, streaming_logger);
		fputs("Try -help for more information\n", stderr);
		pj__request_fini(&request);
		return FAILED;
	}
	if (request.has[PJ__OPT_HELP] || request.has[PJ__OPT_INFO]) {
		pj__console_usage();
		pj__request_fini(&request);
		return pj__flush_output("papjuice");
	}
	warn_of_ignored(&request);
	pj__streaming *const streaming = calloc(1, sizeof *streaming);
	int code;
	if (!streaming) {
		(void)pj__no_memory(&error, sizeof *streaming);
		code = refuse(&error);
	} else {
		struct pj__signals signals;
		const volatile sig_atomic_t *const stop = pj__signals_catch(&signals, false);
		code = pj__streaming_init(streaming, &request, stop, &error) ? refuse(&error) : run(streaming);
		pj__streaming_fini(streaming);
		pj__signals_restore(&signals);
		free(streaming);
	}
	pj__request_fini(&request);
	return code;
}

int pj_streaming(int argc, char **argv)
{
	int code;
	if (argc < 2) {
		fputs("No Arguments Given!\n", stderr);
		pj__console_usage();
		(void)pj__flush_output("papjuice");
		return FAILED;
	}
	if (!strcasecmp(argv[1], "dumptb") || !strcasecmp(argv[1], "loadtb")) {
		pj__console_log("ERROR", streaming_logger, "%s is not there: sequence files are not read", argv[1]);
		code = FAILED;
	} else {
		const int words = strcasecmp(argv[1], "streamjob") ? 1 : 2;
		code = stream(argc - words, argv + words);
	}
	if (code)
		fputs("Streaming Command Failed!\n", stderr);
	return code;
}
