/*
 * signals.c: the first signal asks the run to stop, a second one ends the process at once.
 *
 * Handlers can reach static memory only, so this is the one place of the library with a word of state; it means
 * something between pj__signals_catch and pj__signals_restore.
 *
 * Where user code runs in this very process, or in the one that is waited for (the engine `reference`), nobody looks at
 * the word before that code returns. There patience ends after a while: a timer sends one more signal, which ends that
 * process at once, as any SIGKILL might. The output appears by one rename, so it is the old or the new one, whole; only
 * a private folder may stay, until the next run.
 *
 * `timeout` and some shells send one wish to stop twice within microseconds (to the process, and to its group). A
 * signal that follows the first within a tenth of a second is taken for the same wish.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "front/front.h"

static const int handled[PJ__SIGNALS_HANDLED] = {SIGINT, SIGTERM, SIGHUP};
/* A failed write tells the same: EPIPE, EFBIG. */
static const int ignored[PJ__SIGNALS_IGNORED] = {SIGPIPE, SIGXFSZ};

static volatile sig_atomic_t stop_signal;
static struct timespec first_time;
static volatile pid_t forward_to;
static struct {
	volatile sig_atomic_t is_limited;
	timer_t timer;
} patience;

/* The first signal came: from now on patience is limited. */
static void be_asked(int signal)
{
	static const struct itimerspec limit = {.it_value = {.tv_nsec = 600000000}};
	stop_signal = signal;
	if (patience.is_limited)
		timer_settime(patience.timer, 0, &limit, NULL);
}

static void say(const char *text)
{
	const ssize_t written = write(STDERR_FILENO, text, strlen(text));
	(void)written;
}

static void on_signal(int signal, siginfo_t *info, void *context)
{
	(void)context;
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!stop_signal) {
		first_time = now;
		be_asked(signal);
		return;
	}
	const bool is_timer = info->si_code == SI_TIMER;
	if (is_timer && !patience.is_limited)
		return;
	const int64_t passed_ns =
		(int64_t)(now.tv_sec - first_time.tv_sec) * 1000000000 + now.tv_nsec - first_time.tv_nsec;
	if (passed_ns < 100000000)
		return;
	if (isatty(STDERR_FILENO))
		say("\r\033[K");
	if (is_timer)
		say("papjuice: the run was stopped: the job's code did not return\n"
		    "hint: the output is as it was before, or complete\n");
	/* the workers are killed by the kernel as their leader goes */
	_exit(128 + (is_timer ? stop_signal : signal));
}

static void on_forwarded(int signal, siginfo_t *info, void *context)
{
	(void)context;
	const int saved = errno;
	if (info->si_code == SI_TIMER && patience.is_limited)
		kill(forward_to, SIGKILL);
	else if (!stop_signal)
		be_asked(signal);
	/* what a terminal sends, it sends to the child as well */
	if (info->si_code != SI_KERNEL && info->si_code != SI_TIMER)
		kill(forward_to, signal);
	errno = saved;
}

static void install(struct pj__signals *signals, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};
	sigemptyset(&action.sa_mask);
	stop_signal = 0;
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

/* The timer sends a signal that is handled; if all are ignored, none is needed. Without one there is more patience. */
static void limit_patience(const struct pj__signals *signals)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL};
	for (size_t i = 0; i < PJ__SIGNALS_HANDLED && !event.sigev_signo; i++)
		if (signals->before[i].sa_handler != SIG_IGN)
			event.sigev_signo = handled[i];
	patience.is_limited = event.sigev_signo && timer_create(CLOCK_MONOTONIC, &event, &patience.timer) == 0;
}

const volatile sig_atomic_t *pj__signals_catch(struct pj__signals *signals, bool limits_patience)
{
	install(signals, on_signal);
	if (limits_patience)
		limit_patience(signals);
	return &stop_signal;
}

const volatile sig_atomic_t *pj__signals_forward(struct pj__signals *signals, pid_t child)
{
	forward_to = child;
	install(signals, on_forwarded);
	limit_patience(signals);
	return &stop_signal;
}

void pj__signals_restore(const struct pj__signals *signals)
{
	const bool limited = patience.is_limited;
	patience.is_limited = 0; /* first: a signal that the timer has sent already may still come */
	if (limited)
		timer_delete(patience.timer);
	for (size_t i = 0; i < PJ__SIGNALS_HANDLED; i++)
		sigaction(handled[i], &signals->before[i], NULL);
	for (size_t i = 0; i < PJ__SIGNALS_IGNORED; i++)
		sigaction(ignored[i], &signals->before[PJ__SIGNALS_HANDLED + i], NULL);
}
