/*
 * verify.c: see verify.h. The one file of the library that prints and ends the process: after a bug in PapJuice itself
 * nobody is left to whom an error could be returned.
 */
#include "base/verify.h"

#include <stdlib.h>
#include <unistd.h>

void pj__verify_failed(const char *text, size_t bytes)
{
	/* a message that cannot be written must not keep the process from ending */
	const ssize_t written = write(STDERR_FILENO, text, bytes);
	(void)written;
	abort();
}
