/*
 * start.h: starting a program: its environment and folder, its three pipes, its process group.
 */
#ifndef PJ_COMMAND_START_H
#define PJ_COMMAND_START_H

#include <papjuice/command.h>

#include "command/leash.h"
#include "mp/child.h"

struct pj_start {
	char **variables; /* "NAME=value", ended by NULL, owned */
	size_t count, capacity;
	char *folder; /* NULL: that of the calling process; owned */
	bool failed;  /* there was no memory */
};

/* Takes the environment of the calling process and what `added` (NULL: nothing; ended by NULL) says. */
void pj__start_init(pj_start *start, const char *const *added);
void pj__start_fini(pj_start *start);

/* Our ends of a program's pipes; they do not block. -1: closed. */
typedef struct pj__pipes {
	int in, out, err; /* its standard input, to be written; its output and errors, to be read */
} pj__pipes;

#define PJ__NO_PIPES ((pj__pipes){-1, -1, -1})

/*
 * Starts argv[0] in a process group of its own, whose number is in the entry, with pipes of the largest size, default
 * signals and no other descriptors. It is killed when the calling thread dies. PJ_ERR_USER: no such program,
 * or it cannot be run; else what pipes and processes lack.
 */
PJ_MUST_USE pj_status pj__start_program(const char *const *argv, const pj_start *start, pj__leashed *entry,
					pj__child *ret_child, pj__pipes *ret_pipes, pj_error *error);

/* Closes the pipes that are open. */
void pj__pipes_close(pj__pipes *pipes);

#endif
