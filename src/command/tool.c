/*
 * tool.c: see tool.h.
 *
 * Dropped: waiting in poll for POLLIN and POLLOUT. It wakes us for every 4 KiB that a program writes, and, once a pipe
 * was full, for every page that it reads.
 */
#include "command/tool.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/machine.h"

enum {
	READ_BYTES = 256 << 10, /* asked for at a time */
	ROUND_BYTES = 1 << 20,  /* of one pipe, before the other gets its turn */
	LINE_BYTES = 16 << 10,  /* of standard error, that are kept for the line's end */
	NAP_LEAST_NS = 50000,   /* a process that is woken takes about as long */
	NAP_MOST_NS = 4000000,
	SEE_NS = 20000000
};

void pj__tool_init(pj__tool *tool)
{
	*tool = (pj__tool){.child = PJ__NO_CHILD, .pipes = PJ__NO_PIPES};
}

void pj__tool_fini(pj__tool *tool)
{
	pj__tool_abandon(tool);
	pj__text_fini(&tool->out);
	pj__text_fini(&tool->err);
}

pj_status pj__tool_start(pj__tool *tool, const char *const *argv, const pj_start *start, pj__leash *leash,
			 const pj__taker *taker, pj_error *error)
{
	pj__leashed *entry = pj__leash_take(leash);
	if (!entry)
		return pj__fail(error, PJ_ERR_RESOURCE, 0, NULL, "too many programs run");
	struct rusage ours = {0};
	(void)getrusage(RUSAGE_SELF, &ours);
	tool->ours_bytes = (uint64_t)ours.ru_maxrss * 1024;
	const pj_status status = pj__start_program(argv, start, entry, &tool->child, &tool->pipes, error);
	if (status) {
		pj__leash_release(entry);
		return status;
	}
	const int size = fcntl(tool->pipes.in, F_GETPIPE_SZ);
	tool->entry = entry;
	tool->taker = *taker;
	tool->name = argv[0];
	tool->ended = tool->is_cut_off = false;
	tool->moved_ns = pj__now_ns();
	tool->nap_ns = NAP_LEAST_NS;
	tool->moved = 0;
	tool->pipe_bytes = size > 0 ? (uint64_t)size : 4096;
	tool->seen_bytes = tool->seen_ns = 0;
	pj__text_reset(&tool->out);
	pj__text_reset(&tool->err);
	return PJ_OK;
}

/* Looks how much memory the program has, from time to time. */
static void see_memory(pj__tool *tool)
{
	const uint64_t now = pj__now_ns();
	if (now - tool->seen_ns < SEE_NS)
		return;
	const uint64_t bytes = pj__memory_of(tool->child.pid);
	tool->seen_bytes = tool->seen_bytes > bytes ? tool->seen_bytes : bytes;
	tool->seen_ns = now;
}

static void count_moved(pj__tool *tool, size_t bytes)
{
	tool->moved += bytes;
	++**tool->taker.progress;
}

/* ---------------------------------------------------------------------------------------------------- its output */

/* Hands on whole records, and keeps the rest. */
static pj_status take_output(pj__tool *tool, bool is_end, pj_error *error)
{
	size_t used = 0;
	const pj_status status = tool->taker.take(tool->taker.arg, pj__text_all(&tool->out), is_end, &used, error);
	if (used)
		memmove(tool->out.data, tool->out.data + used, tool->out.len - used);
	tool->out.len -= used;
	if (status || tool->out.len <= tool->taker.longest)
		return status;
	pj__fail(error, PJ_ERR_MEMORY, 0, NULL, "%s wrote a line that is too long", tool->name);
	pj__error_reason(error, "it has more than %zu MiB", tool->taker.longest >> 20);
	pj__error_hint(error, "--memory %zuM, or more, has room for it", (tool->taker.longest >> 18) + 16);
	return PJ_ERR_MEMORY;
}

/* Reads from one of the pipes to the end of a text. *ret_got = 0: there is nothing now. At its end it is closed. */
static pj_status read_some(const pj__tool *tool, int *fd, pj_text *to, size_t *ret_got, pj_error *error)
{
	*ret_got = 0;
	char *at = pj__text_room(to, READ_BYTES);
	if (!at)
		return pj__no_memory(error, to->len + READ_BYTES);
	ssize_t got;
	while ((got = read(*fd, at, READ_BYTES)) < 0 && errno == EINTR)
		;
	if (got < 0 && errno != EAGAIN)
		return pj__fail(error, PJ_ERR_RESOURCE, errno, NULL, "cannot read what %s writes", tool->name);
	if (got == 0)
		pj__close(fd);
	*ret_got = got > 0 ? (size_t)got : 0;
	to->len += *ret_got;
	return PJ_OK;
}

static pj_status read_output(pj__tool *tool, pj_error *error)
{
	size_t got = 1;
	pj_status status = PJ_OK;
	for (size_t all = 0; tool->pipes.out >= 0 && got && all < ROUND_BYTES && !status; all += got) {
		status = read_some(tool, &tool->pipes.out, &tool->out, &got, error);
		if (!got)
			break;
		count_moved(tool, got);
		status = status ? status : take_output(tool, false, error);
		/* a short count has emptied the pipe */
		if (got < READ_BYTES)
			break;
	}
	return status;
}

/* Hands on the whole lines of what came on standard error. */
static void take_lines(pj__tool *tool, bool is_end)
{
	pj_bytes rest = pj__text_all(&tool->err);
	for (;;) {
		const char *newline = rest.len ? memchr(rest.ptr, '\n', rest.len) : NULL;
		if (!newline && (!rest.len || (!is_end && rest.len < LINE_BYTES)))
			break;
		const size_t len = newline ? (size_t)(newline - rest.ptr) : rest.len, used = len + (newline != NULL);
		tool->taker.line(tool->taker.arg, (pj_bytes){rest.ptr, len});
		rest = (pj_bytes){rest.ptr + used, rest.len - used};
	}
	if (rest.len && rest.ptr != tool->err.data)
		memmove(tool->err.data, rest.ptr, rest.len);
	tool->err.len = rest.len;
}

static pj_status read_errors(pj__tool *tool, pj_error *error)
{
	size_t got = 1;
	pj_status status = PJ_OK;
	for (size_t all = 0; tool->pipes.err >= 0 && got && all < ROUND_BYTES && !status; all += got) {
		status = read_some(tool, &tool->pipes.err, &tool->err, &got, error);
		if (!got)
			break;
		count_moved(tool, got);
		take_lines(tool, false);
		if (got < READ_BYTES)
			break;
	}
	return status;
}

/* ------------------------------------------------------------------------------------------------------- sleeping */

/* Adjusts the sleep to the speed at which the program reads and writes. */
static void settle_nap(pj__tool *tool)
{
	if (tool->moved > tool->pipe_bytes / 2)
		tool->nap_ns /= 2;
	else if (tool->moved < tool->pipe_bytes / 4)
		tool->nap_ns *= 2;
	tool->nap_ns = tool->nap_ns < NAP_LEAST_NS  ? NAP_LEAST_NS
		       : tool->nap_ns > NAP_MOST_NS ? NAP_MOST_NS
						    : tool->nap_ns;
	tool->moved = 0;
}

/* The program has ended, and what it has left does not: kills it when it has been silent for too long. */
static void lose_patience(pj__tool *tool, uint64_t now)
{
	if (!tool->ended || !tool->taker.patience_ns || now - tool->moved_ns < tool->taker.patience_ns)
		return;
	tool->is_cut_off = true;
	pj__leash_kill(tool->entry);
	pj__close(&tool->pipes.in);
	count_moved(tool, 0);
}

/* Sleeps until something has ended, or there should be something to do. Notes when the program has ended. */
static void nap(pj__tool *tool)
{
	const uint64_t now = pj__now_ns();
	if (tool->moved)
		tool->moved_ns = now;
	struct pollfd fds[] = {{.fd = tool->ended ? -1 : tool->child.pidfd, .events = POLLIN},
			       {.fd = tool->pipes.in},
			       {.fd = tool->pipes.out},
			       {.fd = tool->pipes.err}};
	settle_nap(tool);
	see_memory(tool);
	const struct timespec time = {.tv_nsec = tool->nap_ns};
	/* When it fails it has not slept, and we look once more. */
	if (ppoll(fds, sizeof fds / sizeof *fds, &time, NULL) > 0 && fds[0].revents) {
		tool->ended = true;
		tool->moved_ns = now; /* the silence of what it has left begins here */
		count_moved(tool, 0); /* for the leader, which has a patience of its own */
	}
	lose_patience(tool, now);
}

/* ------------------------------------------------------------------------------------------------------- feeding */

/* Without a handler in the calling process a write to a program that does not read would end us. */
static void hold_sigpipe(sigset_t *ret_before)
{
	sigset_t held;
	sigemptyset(&held);
	sigaddset(&held, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &held, ret_before);
}

static void release_sigpipe(const sigset_t *before)
{
	const struct timespec now = {0};
	sigset_t held;
	sigemptyset(&held);
	sigaddset(&held, SIGPIPE);
	if (!sigismember(before, SIGPIPE))
		while (sigtimedwait(&held, NULL, &now) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, before, NULL);
}

/* Writes what goes into the pipe. A program that does not read any more is none of our business: its exit code is. */
static pj_status write_some(pj__tool *tool, pj_bytes *rest, pj_error *error)
{
	const ssize_t put = write(tool->pipes.in, rest->ptr, rest->len);
	if (put > 0) {
		*rest = (pj_bytes){rest->ptr + put, rest->len - (size_t)put};
		count_moved(tool, (size_t)put);
	} else if (put < 0 && errno == EPIPE) {
		pj__close(&tool->pipes.in);
	} else if (put < 0 && errno != EAGAIN && errno != EINTR) {
		return pj__fail(error, PJ_ERR_RESOURCE, errno, NULL, "cannot write to %s", tool->name);
	}
	return PJ_OK;
}

pj_status pj__tool_feed(pj__tool *tool, pj_bytes bytes, pj_error *error)
{
	pj_status status = PJ_OK;
	sigset_t before;
	hold_sigpipe(&before);
	while (bytes.len && tool->pipes.in >= 0 && !status) {
		const uint64_t moved = tool->moved;
		status = write_some(tool, &bytes, error);
		if (!status)
			status = read_output(tool, error);
		if (!status)
			status = read_errors(tool, error);
		if (!status && bytes.len && tool->moved == moved)
			nap(tool);
	}
	release_sigpipe(&before);
	return status;
}

/* ------------------------------------------------------------------------------------------------------- the end */

static double seconds_of(const struct rusage *usage)
{
	return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) +
	       (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) * 1e-6;
}

/* The group is killed before its first process is reaped. */
static void reap(pj__tool *tool, pj__tool_end *ret_end)
{
	struct rusage usage = {0};
	int how = 0;
	pid_t reaped;
	pj__leash_kill(tool->entry);
	atomic_store(&tool->entry->group, 0); /* its number may be another's as soon as it is reaped */
	while ((reaped = wait4(tool->child.pid, &how, 0, &usage)) < 0 && errno == EINTR)
		;
	pj__leash_release(tool->entry);
	tool->entry = NULL;
	pj__close(&tool->child.pidfd);
	tool->child = PJ__NO_CHILD;
	pj__pipes_close(&tool->pipes);
	const uint64_t most = (uint64_t)usage.ru_maxrss * 1024;
	*ret_end = (pj__tool_end){.exit_code = reaped > 0 && WIFEXITED(how) ? WEXITSTATUS(how) : -1,
				  .signal = reaped > 0 && WIFSIGNALED(how) ? WTERMSIG(how) : 0,
				  .seconds = seconds_of(&usage),
				  .peak_bytes = most > tool->ours_bytes ? most : tool->seen_bytes,
				  .is_cut_off = tool->is_cut_off};
}

/* Until the program has ended and its pipes too; what was written before the rest was cut off is in them, and taken. */
static pj_status take_rest(pj__tool *tool, pj_error *error)
{
	for (;;) {
		const uint64_t moved = tool->moved;
		const bool was_cut_off = tool->is_cut_off;
		pj_status status = read_output(tool, error);
		if (!status)
			status = read_errors(tool, error);
		const bool is_over = tool->ended && tool->pipes.out < 0 && tool->pipes.err < 0;
		if (status || is_over || (tool->moved == moved && was_cut_off))
			return status;
		if (tool->moved == moved)
			nap(tool);
	}
}

pj_status pj__tool_finish(pj__tool *tool, pj__tool_end *ret_end, pj_error *error)
{
	tool->seen_ns = 0;
	see_memory(tool);
	pj__close(&tool->pipes.in);
	pj_status status = take_rest(tool, error);
	if (!status) {
		take_lines(tool, true);
		status = take_output(tool, true, error);
	}
	if (status) {
		pj__tool_abandon(tool);
		return status;
	}
	reap(tool, ret_end);
	return PJ_OK;
}

void pj__tool_abandon(pj__tool *tool)
{
	pj__tool_end unused;
	if (tool->entry)
		reap(tool, &unused);
}
