/*
 * error.c: see error.h. Statuses come from the one table in status.h.
 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

struct status_row {
	pj_status status;
	int exit_code;
	const char *name, *text;
};

static const struct status_row rows[] = {
#define ROW(status, number, code, text) {status, code, #status, text},
	PJ_STATUS_TABLE(ROW)
#undef ROW
};

static const struct status_row *row_of(pj_status status)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (rows[i].status == status)
			return &rows[i];
	static const struct status_row unknown = {PJ_ERR_INTERNAL, 6, "?", "unknown status"};
	return &unknown;
}

const char *pj_status_name(pj_status status)
{
	return row_of(status)->name;
}

const char *pj_status_text(pj_status status)
{
	return row_of(status)->text;
}

int pj_error_exit_code(const pj_error *error)
{
	if (error->status == PJ_ERR_INTERRUPTED && error->signal)
		return 128 + error->signal;
	return row_of(error->status)->exit_code;
}

pj_status pj__fail(pj_error *error, pj_status status, int errnum, const char *file, const char *what, ...)
{
	if (!error)
		return status;
	const int saved = errno;
	memset(error, 0, sizeof *error);
	error->status = status;
	error->errnum = errnum;
	error->task = error->offset = -1;
	if (file)
		snprintf(error->file, sizeof error->file, "%s", file);
	va_list args;
	va_start(args, what);
	vsnprintf(error->what, sizeof error->what, what, args);
	va_end(args);
	errno = saved;
	return status;
}

pj_error pj__error_bounded(const pj_error *told)
{
	pj_error error = *told;
	error.phase[sizeof error.phase - 1] = error.what[sizeof error.what - 1] = 0;
	error.file[sizeof error.file - 1] = error.reason[sizeof error.reason - 1] = 0;
	error.hint[sizeof error.hint - 1] = error.said[sizeof error.said - 1] = 0;
	return error;
}

pj_status pj__status_of_errno(int errnum, pj_status otherwise)
{
	switch (errnum) {
	case ENOMEM:
		return PJ_ERR_MEMORY;
	case EMFILE:
	case ENFILE:
	case EAGAIN:
		return PJ_ERR_RESOURCE;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return PJ_ERR_OUTPUT;
	default:
		return otherwise;
	}
}

pj_status pj__stopped_by(const volatile sig_atomic_t *stop, pj_error *error)
{
	const int signal = stop ? *stop : 0;
	if (!signal)
		return PJ_OK;
	pj__fail(error, PJ_ERR_INTERRUPTED, 0, NULL, "the run was stopped");
	if (error)
		error->signal = signal;
	return PJ_ERR_INTERRUPTED;
}

void pj__error_reason(pj_error *error, const char *format, ...)
{
	if (!error)
		return;
	va_list args;
	va_start(args, format);
	vsnprintf(error->reason, sizeof error->reason, format, args);
	va_end(args);
}

void pj__error_hint(pj_error *error, const char *format, ...)
{
	if (!error)
		return;
	va_list args;
	va_start(args, format);
	vsnprintf(error->hint, sizeof error->hint, format, args);
	va_end(args);
}

void pj__error_at(pj_error *error, const char *phase, int64_t task, int64_t offset)
{
	if (!error)
		return;
	if (phase)
		snprintf(error->phase, sizeof error->phase, "%s", phase);
	if (task >= 0)
		error->task = task;
	if (offset >= 0)
		error->offset = offset;
}

pj_status pj__no_memory(pj_error *error, size_t bytes)
{
	pj__fail(error, PJ_ERR_MEMORY, ENOMEM, NULL, "cannot get %zu bytes of memory", bytes);
	pj__error_hint(error, "free memory, use fewer workers (-w), or a machine with more");
	return PJ_ERR_MEMORY;
}

/* A writer into a fixed line: what does not fit is left out, the line stays terminated. */
struct line {
	char *at, *end;
};

static void add_escaped(struct line *line, const char *text)
{
	for (; *text; text++) {
		const unsigned char byte = (unsigned char)*text;
		const int control = byte < 0x20 || byte == 0x7f;
		if (line->end - line->at < (control ? 5 : 2))
			return;
		if (control)
			line->at += snprintf(line->at, 5, "\\x%02x", byte);
		else
			*line->at++ = (char)byte;
		*line->at = 0;
	}
}

static void add(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct line *line, const char *format, ...)
{
	char text[128];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	add_escaped(line, text);
}

static void add_reason(struct line *line, const pj_error *error)
{
	if (error->reason[0]) {
		add(line, ": ");
		add_escaped(line, error->reason);
	} else if (error->signal) {
		const char *name = sigabbrev_np(error->signal);
		add(line, ": signal %d (SIG%s)", error->signal, name ? name : "?");
	} else if (error->errnum) {
		add(line, ": %s", strerrordesc_np(error->errnum) ? strerrordesc_np(error->errnum) : "unknown error");
	}
}

char *pj_error_format(const pj_error *error, char *line, size_t size)
{
	if (!size)
		return line;
	struct line out = {line, line + size};
	*line = 0;
	add_escaped(&out, error->what[0] ? error->what : pj_status_text(error->status));
	if (error->file[0]) {
		add(&out, ": ");
		add_escaped(&out, error->file);
		if (error->offset >= 0)
			add(&out, ":%lld", (long long)error->offset);
		if (error->record)
			add(&out, ": line %llu", (unsigned long long)error->record);
	}
	add_reason(&out, error);
	if (error->phase[0] && error->task >= 0) {
		add(&out, " (%s task %lld", error->phase, (long long)error->task);
		if (error->attempt)
			add(&out, ", attempt %d", error->attempt);
		add(&out, ")");
	}
	return line;
}
