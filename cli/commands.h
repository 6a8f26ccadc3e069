/*
 * commands.h: `papjuice run --map CMD --reduce CMD`: a job whose mapper and reducer are programs.
 */
#ifndef PJ_CLI_COMMANDS_H
#define PJ_CLI_COMMANDS_H

#include <stdbool.h>

/* Does a command line, argv[0] being "run", name programs rather than a job? */
bool names_commands(int argc, char **argv);

/* Runs it, and returns the exit code. */
int run_commands(int argc, char **argv);

#endif
