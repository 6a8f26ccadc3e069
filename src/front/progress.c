/*
 * progress.c: how far the run is, as one line on standard error.
 *
 *     map     [=========>          ]  46%  1.9 GB/s  3 s left  2 workers  1 retry
 *
 * On a terminal the line is drawn over itself, at most ten times a second, from the first half second on, and taken
 * away at the end. Elsewhere (--progress always) it is a line of its own every few seconds and at the start of a phase.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "front/front.h"

enum { BAR = 20 };

static const double first_seconds = 0.5, terminal_seconds = 0.1, plain_seconds = 3, rate_seconds = 0.25;

void pj__progress_init(struct pj__progress *progress, int fd, enum pj__progress_when when, bool quiet)
{
	const char *const kind = getenv("TERM");
	*progress = (struct pj__progress){.fd = fd};
	progress->terminal = isatty(fd) && kind && *kind && strcmp(kind, "dumb");
	progress->enabled =
		!quiet && (when == PJ__PROGRESS_ALWAYS || (when == PJ__PROGRESS_AUTO && progress->terminal));
	if (when == PJ__PROGRESS_AUTO)
		progress->next = first_seconds;
}

/* -------------------------------------------------------------------------------------------------- the line's text */

struct line {
	char *text;
	size_t size, len;
};

static void add(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct line *line, const char *format, ...)
{
	const size_t room = line->size - line->len;
	va_list args;
	va_start(args, format);
	const int wanted = vsnprintf(line->text + line->len, room, format, args);
	va_end(args);
	line->len += wanted < 0 ? 0 : (size_t)wanted < room ? (size_t)wanted : room - 1;
}

static void add_bytes(struct line *line, double bytes)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
	size_t unit = 0;
	for (; bytes >= 999.5 && unit + 1 < sizeof units / sizeof *units; unit++)
		bytes /= 1000;
	add(line, bytes < 9.95 && unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

static void add_left(struct line *line, double seconds)
{
	const unsigned long s = (unsigned long)(seconds + 0.999);
	if (s >= 3600)
		add(line, "  %lu:%02lu:%02lu left", s / 3600, s / 60 % 60, s % 60);
	else if (s >= 60)
		add(line, "  %lu:%02lu left", s / 60, s % 60);
	else
		add(line, "  %lu s left", s);
}

static void add_bar(struct line *line, double part)
{
	char bar[BAR + 1];
	const size_t full = (size_t)(part * BAR);
	memset(bar, ' ', BAR);
	memset(bar, '=', full);
	if (full < BAR)
		bar[full] = '>';
	bar[BAR] = 0;
	add(line, " [%s] %3u%%", bar, (unsigned)(part * 100));
}

size_t pj__progress_line(const struct pj__progress *progress, const pj_progress *now, char *text, size_t size)
{
	struct line line = {text, size, 0};
	const bool bytes = !strcmp(now->phase, "map");
	add(&line, "%-7s", now->phase);
	if (now->total) {
		/* input that grew: more may be done than was planned */
		const double part = now->done < now->total ? (double)now->done / (double)now->total : 1;
		add_bar(&line, part);
	} else if (bytes) {
		add(&line, " ");
		add_bytes(&line, (double)now->done);
	}
	if (bytes && progress->rate > 0) {
		add(&line, "  ");
		add_bytes(&line, progress->rate);
		add(&line, "/s");
	} else if (!bytes && now->total) {
		add(&line, "  %llu/%llu tasks", (unsigned long long)now->done, (unsigned long long)now->total);
	}
	if (now->done < now->total && progress->rate > 0)
		add_left(&line, (double)(now->total - now->done) / progress->rate);
	add(&line, "  %u worker%s", now->workers, now->workers == 1 ? "" : "s");
	if (now->retries)
		add(&line, "  %llu %s", (unsigned long long)now->retries, now->retries == 1 ? "retry" : "retries");
	return line.len;
}

/* ---------------------------------------------------------------------------------------------------------- drawing */

static unsigned columns(int fd)
{
	struct winsize window;
	return ioctl(fd, TIOCGWINSZ, &window) == 0 && window.ws_col > 1 ? window.ws_col : 80;
}

static void put(int fd, const char *text, size_t len)
{
	/* a run does not fail because a line cannot be shown */
	const ssize_t written = write(fd, text, len);
	(void)written;
}

static void draw(struct pj__progress *progress, const pj_progress *now)
{
	static const char start[] = "\r", end[] = "\033[K";
	char text[256];
	size_t len = 0;
	if (progress->terminal) {
		memcpy(text, start, sizeof start - 1);
		len = sizeof start - 1;
	}
	const size_t used = pj__progress_line(progress, now, text + len, sizeof text - 16);
	if (progress->terminal) {
		/* a full row would wrap */
		const unsigned width = columns(progress->fd) - 1;
		len += used < width ? used : width;
		memcpy(text + len, end, sizeof end - 1);
		len += sizeof end - 1;
		progress->shown = true;
	} else {
		len += used;
		text[len++] = '\n';
	}
	put(progress->fd, text, len);
}

/* The rate of this phase, smoothed, with the last second or so weighing most. */
static void measure(struct pj__progress *progress, const pj_progress *now)
{
	const double passed = now->seconds - progress->rate_seconds;
	if (passed < rate_seconds)
		return;
	const double more = now->done > progress->rate_done ? (double)(now->done - progress->rate_done) : 0;
	const double latest = more / passed;
	progress->rate = progress->rate > 0 ? 0.75 * progress->rate + 0.25 * latest : latest;
	progress->rate_seconds = now->seconds;
	progress->rate_done = now->done;
}

void pj__progress_show(void *arg, const pj_progress *now)
{
	struct pj__progress *const progress = arg;
	if (!progress->enabled)
		return;
	if (strcmp(progress->phase, now->phase) != 0) {
		snprintf(progress->phase, sizeof progress->phase, "%s", now->phase);
		progress->rate = 0;
		progress->rate_seconds = now->seconds;
		progress->rate_done = now->done;
		if (!progress->terminal)
			progress->next = now->seconds;
	}
	measure(progress, now);
	if (now->seconds < progress->next)
		return;
	progress->next = now->seconds + (progress->terminal ? terminal_seconds : plain_seconds);
	draw(progress, now);
}

void pj__progress_erase(struct pj__progress *progress)
{
	static const char erase[] = "\r\033[K";
	if (progress->shown)
		put(progress->fd, erase, sizeof erase - 1);
	progress->shown = false;
}
