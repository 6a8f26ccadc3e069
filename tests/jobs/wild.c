/*
 * wild.c: a word count that does to its process, at the word "!", what a wild mapper may do by accident.
 *
 *     --how HOW      scribble, unmap, close, babble, chdir, mask, locale, print, fork, orphan, exit, longjmp, allocate
 *     --once FILE    only if FILE is not there; it is made first
 *
 * What ends the process ends it there; else the word is counted as any other.
 */
#include <fcntl.h>
#include <locale.h>
#include <papjuice.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *how, *once;
static jmp_buf gone;

struct range {
	char *from, *to;
};

/* What this process may write, as /proc/self/maps lists it, but for the stack it stands on. */
static size_t find_writable(struct range *ranges, size_t most)
{
	FILE *file = fopen("/proc/self/maps", "re");
	char line[512], rights[8];
	unsigned long from, to;
	size_t count = 0;
	while (file && count < most && fgets(line, sizeof line, file)) {
		const int is_stack = strstr(line, "[stack]") != NULL;
		if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) == 3 && rights[1] == 'w' && !is_stack)
			ranges[count++] = (struct range){(char *)from, (char *)to};
	}
	if (file)
		fclose(file);
	return count;
}

static void scribble(void)
{
	struct range ranges[1000]; /* on the stack, which is spared until all else is done */
	const size_t count = find_writable(ranges, 1000);
	for (size_t i = count; i-- > 0;)
		for (volatile char *at = ranges[i].from; at < (volatile char *)ranges[i].to; at++)
			*at = (char)0x5a;
}

static void unmap(void)
{
	struct range ranges[1000];
	const size_t count = find_writable(ranges, 1000);
	for (size_t i = 0; i < count; i++)
		munmap(ranges[i].from, (size_t)(ranges[i].to - ranges[i].from));
}

static void set_trap(void)
{
	if (setjmp(gone))
		abort();
}

static void allocate(void)
{
	enum { MUCH = 16 << 20 };
	for (;;)
		memset(malloc(MUCH), 1, MUCH);
}

static void print_everywhere(void)
{
	char byte;
	printf("printed by user code\n");
	fflush(stdout);
	for (int fd = 0; fd <= 2; fd++)
		(void)!write(fd, "written by user code\n", 21);
	(void)!read(0, &byte, 1);
}

/* To every descriptor there is, but for standard error; in odd lengths, and as many bytes as a message may have. */
static void babble(void)
{
	static char noise[40000];
	for (size_t i = 0; i < sizeof noise; i++)
		noise[i] = (char)(i * 151 >> 3);
	for (int fd = 3; fd < 1024; fd++)
		for (size_t size = 1; size < sizeof noise; size = 3 * size + 2)
			(void)!write(fd, noise, size);
}

static void block_signals(void)
{
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_IGN);
}

static void leave_orphan(void)
{
	if (fork() == 0)
		for (;;)
			pause();
}

static void use_locale(void)
{
	setlocale(LC_ALL, "de_DE.UTF-8");
	setlocale(LC_ALL, "");
}

static void run_wild(void)
{
	const struct {
		const char *name;
		void (*act)(void);
	} acts[] = {
		{"scribble", scribble},      {"unmap", unmap},         {"mask", block_signals}, {"locale", use_locale},
		{"print", print_everywhere}, {"orphan", leave_orphan}, {"allocate", allocate},  {"babble", babble}};
	for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
		if (!strcmp(how, acts[i].name))
			acts[i].act();
	if (!strcmp(how, "close"))
		for (int fd = 0; fd < 1024; fd++)
			close(fd);
	if (!strcmp(how, "chdir"))
		(void)!chdir("/proc");
	if (!strcmp(how, "fork"))
		(void)fork(); /* and both go on */
	if (!strcmp(how, "exit"))
		exit(0);
	if (!strcmp(how, "longjmp"))
		longjmp(gone, 1);
}

static void meet(void)
{
	if (*once) {
		const int fd = open(once, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
		if (fd < 0)
			return;
		close(fd);
	}
	run_wild();
}

static pj_status map(pj_task *task, pj_bytes text, void *arg)
{
	pj_bytes word;
	(void)arg;
	set_trap();
	while (pj_next_word(task, &text, &word)) {
		if (word.len == 1 && *word.ptr == '!')
			meet();
		pj_emit_i64(task, word, 1);
	}
	return PJ_OK;
}

static pj_status configure(pj_job *job, const char *const *values, pj_error *error)
{
	(void)error;
	how = values[0];
	once = values[1] ? values[1] : "";
	job->map_only = values[2] != NULL;
	return PJ_OK;
}

static const pj_job_option options[] = {
	{"how", 0, "HOW", "", "what it does"},
	{"once", 0, "FILE", NULL, "only the first time"},
	{"map", 0, NULL, NULL, "map only"},
	{NULL},
};

PJ_PROGRAM(.name = "wild", .mapper = {.text = map}, .reducer = {.aggregate = &pj_sum_i64}, .options = options,
	   .configure = configure)
