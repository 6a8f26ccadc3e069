/*
 * signals.c: the first signal asks the run to stop, a second one ends the process at once.
 *
 * Handlers can reach static memory only, so this is the one place of the library with a word of state; it means
 * something between pj__signals_catch and pj__signals_restore.
 *
 * `timeout` and some shells send one wish to stop twice within microseconds (to the process, and to its group). A
 * signal that follows the first within a tenth of a second is taken for the same wish.
 */
#include <errno.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "front/front.h"

static const int handled[PJ__SIGNALS_HANDLED] = {SIGINT, SIGTERM, SIGHUP};
/* What they tell, a failed write tells, too: EPIPE, EFBIG. */
static const int ignored[PJ__SIGNALS_IGNORED] = {SIGPIPE, SIGXFSZ};

static volatile sig_atomic_t stop_signal;
static struct timespec first_time;
static volatile pid_t forward_to;

static void on_signal(int signal, siginfo_t *info, void *context)
{
	(void)info;
	(void)context;
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!stop_signal) {
		first_time = now;
		stop_signal = signal;
		return;
	}
	const int64_t passed_ns =
		(int64_t)(now.tv_sec - first_time.tv_sec) * 1000000000 + now.tv_nsec - first_time.tv_nsec;
	if (passed_ns < 100000000)
		return;
	if (isatty(STDERR_FILENO)) {
		static const char erase[] = "\r\033[K";
		const ssize_t written = write(STDERR_FILENO, erase, sizeof erase - 1);
		(void)written;
	}
	/* the workers are killed by the kernel as their leader goes */
	_exit(128 + signal);
}

static void on_forwarded(int signal, siginfo_t *info, void *context)
{
	(void)context;
	const int saved = errno;
	/* what a terminal sends, it sends to the child as well */
	if (info->si_code != SI_KERNEL)
		kill(forward_to, signal);
	errno = saved;
}

static void install(struct pj__signals *signals, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < PJ__SIGNALS_HANDLED; i++) {
		sigaction(handled[i], NULL, &signals->before[i]);
		/* ignored from the start: by nohup, or a shell's background job */
		if (signals->before[i].sa_handler != SIG_IGN)
			sigaction(handled[i], &action, NULL);
	}
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	for (size_t i = 0; i < PJ__SIGNALS_IGNORED; i++)
		sigaction(ignored[i], &ignore, &signals->before[PJ__SIGNALS_HANDLED + i]);
}

const volatile sig_atomic_t *pj__signals_catch(struct pj__signals *signals)
{
	stop_signal = 0;
	install(signals, on_signal);
	return &stop_signal;
}

void pj__signals_forward(struct pj__signals *signals, pid_t child)
{
	forward_to = child;
	install(signals, on_forwarded);
}

void pj__signals_restore(const struct pj__signals *signals)
{
	for (size_t i = 0; i < PJ__SIGNALS_HANDLED; i++)
		sigaction(handled[i], &signals->before[i], NULL);
	for (size_t i = 0; i < PJ__SIGNALS_IGNORED; i++)
		sigaction(ignored[i], &signals->before[PJ__SIGNALS_HANDLED + i], NULL);
}
