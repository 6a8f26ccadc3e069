/*
 * fault.c: what strikes at the fault points (src/base/fault.h), as PAPJUICE_FAULT in the environment says:
 *
 *     POINT WAY NUMBER once|always FILE
 *
 * When a process passes POINT for the NUMBER-th time, it adds a line to FILE, which tests read, and ends in this WAY: a
 * signal's number, "exit=CODE", "loop", or "note", which is only to add the line, and goes on. With "once" only the
 * process that makes FILE does so. POINT can be "*": any.
 */
#include "base/fault.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fault {
	char point[16], way[16], often[8], file[256];
	unsigned long number;
};

static bool read_fault(struct fault *fault)
{
	const char *text = getenv("PAPJUICE_FAULT");
	return text && sscanf(text, "%15s %15s %lu %7s %255s", fault->point, fault->way, &fault->number, fault->often,
			      fault->file) == 5;
}

/* False: with "once", another process was here before. */
static bool note(const struct fault *fault, const char *point)
{
	const int first = strcmp(fault->often, "once") == 0 ? O_EXCL : 0;
	const int fd = open(fault->file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | first, 0600);
	char line[32];
	if (fd < 0)
		return false;
	const int length = snprintf(line, sizeof line, "%s\n", point);
	const bool noted = write(fd, line, (size_t)length) == length;
	close(fd);
	return noted;
}

void pj__fault(const char *point)
{
	static struct fault fault;
	static unsigned long passed;
	if ((!fault.number && !read_fault(&fault)) ||
	    (strcmp(fault.point, point) != 0 && strcmp(fault.point, "*") != 0))
		return;
	if (++passed < fault.number || (passed > fault.number && strcmp(fault.way, "note") != 0) ||
	    !note(&fault, point))
		return;
	if (strncmp(fault.way, "exit=", 5) == 0)
		_exit(atoi(fault.way + 5));
	if (strcmp(fault.way, "loop") == 0)
		for (volatile unsigned long turns = 0;; turns++)
			;
	if (strcmp(fault.way, "note") != 0)
		(void)raise(atoi(fault.way));
}
