/*
 * faulty.c: a word count that goes wrong when it meets the word "!", in the mapper, in the reducer or around them.
 *
 *     --how HOW      crash, abort, kill, stop, hang, deaf, exit=N, status=N, fail (with a message), sleep=MS
 *     --at WHERE     map, reduce, begin, end
 *     --once FILE    only if FILE is not there; it is made first
 *     --kind KIND    sum (combined), general, map (map only)
 */
#include <fcntl.h>
#include <papjuice.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static const char *how, *at, *once;

/* N of "NAME=N", or -1. */
static int number_of(const char *name)
{
	const size_t len = strlen(name);
	return strncmp(how, name, len) == 0 && how[len] == '=' ? atoi(how + len + 1) : -1;
}

static int is(const char *name)
{
	return strcmp(how, name) == 0;
}

static void block_signals(void)
{
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
}

static void end_process(void)
{
	if (is("crash"))
		*(volatile int *)(uintptr_t)8 = 1;
	if (is("abort"))
		abort();
	if (is("kill"))
		kill(getpid(), SIGKILL);
	if (is("stop"))
		kill(getpid(), SIGSTOP);
	if (is("deaf"))
		block_signals();
	while (is("hang") || is("deaf"))
		pause();
	if (number_of("exit") >= 0)
		exit(number_of("exit"));
	if (number_of("sleep") >= 0)
		usleep((useconds_t)number_of("sleep") * 1000);
}

/* Does what is to go wrong, if it is to go wrong here. */
static pj_status go_wrong(pj_task *task, const char *where, const char *place)
{
	if (strcmp(where, at) != 0)
		return PJ_OK;
	if (*once) {
		const int fd = open(once, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
		if (fd < 0)
			return PJ_OK;
		close(fd);
	}
	end_process();
	if (is("fail"))
		return pj_task_fail(task, PJ_ERR_RECORD, place, "the word is \"%s\"", "!");
	return number_of("status") >= 0 ? (pj_status)number_of("status") : PJ_OK;
}

static pj_status begin(pj_task *task, void *arg)
{
	return go_wrong(task, "begin", NULL);
}

static pj_status end(pj_task *task, void *arg)
{
	return go_wrong(task, "end", NULL);
}

static pj_status map(pj_task *task, pj_bytes text, void *arg)
{
	pj_bytes word;
	while (pj_next_word(task, &text, &word)) {
		const pj_status status = word.len == 1 && *word.ptr == '!' ? go_wrong(task, "map", word.ptr) : PJ_OK;
		if (status)
			return status;
		pj_emit_i64(task, word, 1);
	}
	return PJ_OK;
}

static pj_status sum(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	int64_t total = 0, value;
	const pj_status status = key.len == 1 && *key.ptr == '!' ? go_wrong(task, "reduce", NULL) : PJ_OK;
	if (status)
		return status;
	while (pj_next_i64(values, &value))
		total += value;
	pj_emit_i64(task, key, total);
	return PJ_OK;
}

static pj_status configure(pj_job *job, const char *const *values, pj_error *error)
{
	(void)error;
	how = values[0];
	at = values[1];
	once = values[2] ? values[2] : "";
	if (strcmp(values[3], "general") == 0)
		job->reducer.general = sum;
	else if (strcmp(values[3], "map") == 0)
		job->map_only = true;
	else
		job->reducer.aggregate = &pj_sum_i64;
	return PJ_OK;
}

static const pj_job_option options[] = {{"how", 0, "HOW", "", "what goes wrong"},
					{"at", 0, "WHERE", "map", "where"},
					{"once", 0, "FILE", NULL, "only the first time"},
					{"kind", 0, "KIND", "sum", "reducer"},
					{NULL}};

PJ_PROGRAM(.name = "faulty", .mapper = {.text = map, .begin = begin, .end = end}, .options = options,
	   .configure = configure)
