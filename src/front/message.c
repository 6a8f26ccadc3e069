/*
 * message.c: errors, hints and notes, on standard error.
 *
 *     papjuice: cannot open the input: book.txt: No such file or directory
 *     hint: check the path; a name with blanks needs quotes
 *
 * One error, its hint the last line. Every error has a hint: where the place that failed gave none, the status or the
 * errno has one. What comes from data or the command line is escaped by pj_error_format.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "front/front.h"

pj_status pj__front_fail(pj_error *error, pj_status status, const char *what, const char *reason, const char *hint, ...)
{
	if (!error)
		return status;
	*error = (pj_error){.status = status, .task = -1, .offset = -1};
	snprintf(error->what, sizeof error->what, "%s", what);
	snprintf(error->reason, sizeof error->reason, "%s", reason ? reason : pj_status_text(status));
	if (hint) {
		va_list args;
		va_start(args, hint);
		vsnprintf(error->hint, sizeof error->hint, hint, args);
		va_end(args);
	}
	return status;
}

const char *pj__message_name(const char *program, char *name, size_t size)
{
	static const char own[] = "papjuice";
	if (!program || !*program || (!strncmp(program, own, sizeof own - 1) && strchr(" ", program[sizeof own - 1])))
		program = own;
	const char *const slash = strrchr(program, '/');
	snprintf(name, size, "%s", slash && slash[1] ? slash + 1 : program);
	return name;
}

/* What to do about an error whose maker had no better idea. */
static const char *hint_of(const pj_error *error)
{
	switch (error->errnum) {
	case ENOSPC:
	case EDQUOT:
		return "free some space, or name another place with --output or --temp";
	case EACCES:
	case EPERM:
	case EROFS:
		return "the permissions of the path or of a folder above it do not allow it";
	case EMFILE:
	case ENFILE:
		return "allow more open files (ulimit -n), or use fewer workers (-w)";
	}
	switch (error->status) {
	case PJ_ERR_INPUT:
		return error->errnum == ENOENT ? "check the path: a file, a folder, a glob, @LIST or -"
					       : "papjuice help inputs";
	case PJ_ERR_CHANGED:
		return "run it again when nothing writes to the input";
	case PJ_ERR_RECORD:
		return "mend the record, or the code that reads it";
	case PJ_ERR_CORRUPT:
		return "check the disk and the memory of the machine, then run it again";
	case PJ_ERR_MEMORY:
		return "free memory, use fewer workers (-w), or the sorter plex";
	case PJ_ERR_RESOURCE:
		return "raise the limit (ulimit -a), or use fewer workers (-w)";
	case PJ_ERR_OUTPUT:
		return "name another place with -o";
	case PJ_ERR_EXISTS:
		return "--overwrite replaces it when the job is done; or name another place with -o";
	case PJ_ERR_USER:
	case PJ_ERR_CRASH:
		return "look at the job's code; --engine reference runs it in one process, for a debugger";
	case PJ_ERR_TIMEOUT:
		return "--task-timeout SEC gives tasks more time, 0 all they want; smaller tasks: --split-size";
	case PJ_ERR_INTERNAL:
		return "this should not happen: please report it, with the command line";
	case PJ_ERR_INTERRUPTED:
		return "the output is as it was before";
	default:
		return "papjuice help exit-codes";
	}
}

/* What the user's program said last, line by line, control bytes escaped. */
static void print_said(const char *said)
{
	char text[sizeof((pj_error *)NULL)->said * 4];
	pj_error line = {.task = -1, .offset = -1};
	for (size_t len; *said; said += len + (said[len] == '\n')) {
		len = strcspn(said, "\n");
		snprintf(line.file, sizeof line.file, "%.*s", (int)len, said);
		snprintf(line.what, sizeof line.what, "  stderr");
		fprintf(stderr, "%s\n", pj_error_format(&line, text, sizeof text));
	}
}

void pj__print_error(const char *program, const pj_error *error)
{
	char name[64], line[4096], hint[1024];
	pj_error second = {.task = -1, .offset = -1};
	if (!error->hint[0] && error->status == PJ_ERR_USAGE)
		snprintf(second.what, sizeof second.what, "%s --help", program);
	else
		snprintf(second.what, sizeof second.what, "%.255s", error->hint[0] ? error->hint : hint_of(error));
	pj_error_format(error, line, sizeof line);
	pj_error_format(&second, hint, sizeof hint);
	print_said(error->said);
	/* in one write, so that no other process's line comes between */
	fprintf(stderr, "%s: %s\nhint: %s\n", pj__message_name(program, name, sizeof name), line, hint);
}

int pj_error_report(const pj_error *error)
{
	pj__print_error("papjuice", error);
	return pj_error_exit_code(error);
}

void pj__print_note(const char *program, const char *format, ...)
{
	char name[64], line[1024];
	pj_error note = {.task = -1, .offset = -1};
	va_list args;
	va_start(args, format);
	vsnprintf(note.what, sizeof note.what, format, args);
	va_end(args);
	fprintf(stderr, "%s: note: %s\n", pj__message_name(program, name, sizeof name),
		pj_error_format(&note, line, sizeof line));
}

int pj__flush_output(const char *program)
{
	errno = 0;
	const bool failed = ferror(stdout) | (fflush(stdout) != 0);
	if (!failed)
		return 0;
	if (errno == EPIPE)
		return 128 + SIGPIPE;
	pj_error error = {.status = PJ_ERR_OUTPUT, .errnum = errno, .task = -1, .offset = -1};
	snprintf(error.what, sizeof error.what, "cannot write to standard output");
	pj__print_error(program, &error);
	return pj_error_exit_code(&error);
}
