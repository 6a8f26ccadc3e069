/*
 * hoard.c: a job that passes its words on (map only), and at the word "!" takes memory without end, shared memory,
 * which RLIMIT_DATA does not count: it ends when the kernel has no more and kills somebody.
 *
 *     --log FILE     gets "+PID" and "-PID" where a map task begins and ends, and "!PID" before memory is taken
 *     --once FILE    only if FILE is not there; it is made first
 */
#include <fcntl.h>
#include <papjuice.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MUCH = 4 << 20, PAUSE_US = 10000 };
static const char *log_path, *once;

static void note(char what)
{
	char line[32];
	const int fd = open(log_path, O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0600);
	const int len = snprintf(line, sizeof line, "%c%d\n", what, (int)getpid());
	(void)!write(fd, line, (size_t)len);
	close(fd);
}

static pj_status begin(pj_task *task, void *arg)
{
	note('+');
	usleep(PAUSE_US);
	return PJ_OK;
}

static pj_status end(pj_task *task, void *arg)
{
	note('-');
	return PJ_OK;
}

static void hoard(void)
{
	const int fd = once ? open(once, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600) : -1;
	if (once && fd < 0)
		return;
	note('!');
	for (;;) {
		char *more = mmap(NULL, MUCH, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (more != MAP_FAILED)
			memset(more, 1, MUCH);
	}
}

static pj_status map(pj_task *task, pj_bytes text, void *arg)
{
	pj_bytes word;
	while (pj_next_word(task, &text, &word)) {
		if (word.len == 1 && *word.ptr == '!')
			hoard();
		pj_emit_i64(task, word, 1);
	}
	return PJ_OK;
}

static pj_status configure(pj_job *job, const char *const *values, pj_error *error)
{
	(void)error;
	log_path = values[0];
	once = values[1];
	job->map_only = true;
	return PJ_OK;
}

static const pj_job_option options[] = {
	{"log", 0, "FILE", "/dev/null", "what happens"},
	{"once", 0, "FILE", NULL, "only the first time"},
	{NULL},
};

PJ_PROGRAM(.name = "hoard", .mapper = {.text = map, .begin = begin, .end = end}, .options = options,
	   .configure = configure)
