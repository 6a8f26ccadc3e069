/*
 * isolation.c: what a worker gives up before user code runs in it, so that whatever that does damages its own attempt
 * only. This is about accidents: user code is trusted.
 *
 * A worker begins with copies of all that the leader has. Of what is mapped shared it keeps its own status page. Its
 * standard input is empty, and what is printed goes to standard error, never among the results. It may take memory, but
 * not all there is; and when the machine has none left, it goes before its leader.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/io.h"
#include "base/machine.h"
#include "engine/worker.h"

/* Sanitizers take terabytes of addresses, which would count. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

enum {
	OOM_SCORE_MORE = 100,
	OOM_SCORE_MOST = 1000
}; /* thousandths of all memory, by which it looks larger to the kernel */

static void give_up_pages(const pj__local *local, unsigned slot)
{
	const size_t before = (size_t)slot * PJ__PAGE_BYTES, end = (size_t)local->workers * PJ__PAGE_BYTES;
	/* The pages are the kernel's own, or larger: then there is nothing that could be unmapped in part. */
	if (sysconf(_SC_PAGESIZE) != PJ__PAGE_BYTES)
		return;
	if (before)
		(void)munmap(local->pages, before);
	if (before + PJ__PAGE_BYTES < end)
		(void)munmap(local->pages + before + PJ__PAGE_BYTES, end - before - PJ__PAGE_BYTES);
}

/* Puts /dev/null in the place of a standard file. */
static void put_nothing(int place, int mode)
{
	const int nothing = open("/dev/null", mode);
	if (nothing >= 0 && nothing != place) {
		(void)dup2(nothing, place);
		(void)close(nothing);
	}
}

/* Whoever started us may have closed standard error; then its place is free, or held by what cannot be written. */
static bool can_write(int fd)
{
	const int flags = fcntl(fd, F_GETFL);
	return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
}

static void replace_standard_files(void)
{
	put_nothing(STDIN_FILENO, O_RDONLY);
	if (!can_write(STDERR_FILENO))
		put_nothing(STDERR_FILENO, O_WRONLY);
	(void)dup2(STDERR_FILENO, STDOUT_FILENO);
	/* In a process group of its own it is in the background: a terminal that minds must not stop it. */
	const struct sigaction ignored = {.sa_handler = SIG_IGN};
	(void)sigaction(SIGTTOU, &ignored, NULL);
}

static void limit_memory(const pj__local *local)
{
	struct rlimit limit;
	const uint64_t now = pj__data_of_self(), most = local->data_most;
	if (IS_SANITIZED || !most || !now || getrlimit(RLIMIT_DATA, &limit) || most > RLIM_INFINITY - now)
		return;
	if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > now + most)
		limit.rlim_cur = now + most;
	(void)setrlimit(RLIMIT_DATA, &limit); /* where it can't be, there is none */
}

/* The kernel looks for the largest process: the leader must not be that. */
static void go_first(void)
{
	char text[16] = "";
	int file = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	if (file >= 0 && read(file, text, sizeof text - 1) > 0) {
		const long more = strtol(text, NULL, 10) + OOM_SCORE_MORE;
		const int len = snprintf(text, sizeof text, "%ld", more < OOM_SCORE_MOST ? more : OOM_SCORE_MOST);
		(void)pj__pwrite_all(file, text, (size_t)len, 0); /* where it can't be, it can't */
	}
	pj__close(&file);
}

void pj__isolate(const pj__local *local, unsigned slot)
{
	int output = local->not_theirs;
	(void)pj__close(&output); /* the leader has it, too: nothing is lost */
	give_up_pages(local, slot);
	replace_standard_files();
	limit_memory(local);
	go_first();
}
