/*
 * tool.h: a program at work: fed, and its output taken, both at once.
 *
 *     start ... feed, feed, ... finish          or abandon, at any time
 *
 * While there is something to be written that does not go into the pipe, output is taken; so neither side ever waits
 * for the other with both pipes full. The pipes are large, and nobody is woken for each few kilobytes of them: when
 * there is nothing to be done we sleep, for as long as a good part of a pipe takes at the program's speed, and what
 * ends the sleep early is the end of a pipe or of the program.
 *
 * When the program has ended, its output is read to the end of the pipes, for what it has started may still write: a
 * shell script with `> >(tee log)` ends before its tee. Then its process group is killed. What holds a pipe open and
 * writes nothing for the time of our patience is killed as well, and that is told.
 */
#ifndef PJ_COMMAND_TOOL_H
#define PJ_COMMAND_TOOL_H

#include "base/text.h"
#include "command/start.h"

/* What takes the output of a program. */
typedef struct pj__taker {
	/*
	 * Takes whole records from the beginning of the output that was not taken yet; *ret_used (0 before) becomes how
	 * many bytes they were. A failure ends the feeding, and is handed on.
	 */
	pj_status (*take)(void *arg, pj_bytes bytes, bool is_end, size_t *ret_used, pj_error *error);
	/* Takes a line of its standard error, without the newline. A very long one comes in pieces. */
	void (*line)(void *arg, pj_bytes line);
	void *arg;
	size_t longest;               /* bytes of output that may come without making a whole record */
	volatile uint64_t **progress; /* counted up when bytes move; *progress may change meanwhile */
	uint64_t patience_ns;         /* with silent processes that the program has left; 0: without end */
} pj__taker;

typedef struct pj__tool {
	pj__child child;
	pj__pipes pipes;
	pj__leashed *entry; /* NULL: nothing runs */
	pj__taker taker;
	const char *name;    /* argv[0] */
	bool ended;          /* the program has; its group may go on */
	bool is_cut_off;     /* ... and was killed, for it kept a pipe open in silence */
	uint64_t moved_ns;   /* when bytes moved the last time */
	pj_text out;         /* not taken yet */
	pj_text err;         /* the beginning of a line */
	int64_t nap_ns;      /* how long to sleep when there is nothing to do */
	uint64_t moved;      /* bytes since the last sleep */
	uint64_t pipe_bytes; /* size of a pipe */
	/* Memory: the kernel's maximum begins with ours, as the child shared it; so it counts only if it is larger. */
	uint64_t ours_bytes, seen_bytes, seen_ns;
} pj__tool;

/* How a program ended. */
typedef struct pj__tool_end {
	int exit_code; /* -1: by a signal, or not known */
	int signal;
	double seconds;      /* of processor time, of it and the children that it waited for */
	uint64_t peak_bytes; /* of memory, of the largest of these; sampled, if it is less than ours */
	bool is_cut_off;     /* processes that it has left kept its output open, and were killed */
} pj__tool_end;

/* Makes a tool that runs nothing; memory that it gets stays for the next program. */
void pj__tool_init(pj__tool *tool);

/* Ends what runs, and gives the memory back. */
void pj__tool_fini(pj__tool *tool);

/* Starts a program; argv must live until it has ended. What runs must be finished or abandoned first. */
PJ_MUST_USE pj_status pj__tool_start(pj__tool *tool, const char *const *argv, const pj_start *start, pj__leash *leash,
				     const pj__taker *taker, pj_error *error);

/* Does the program still read? If not, what it is fed is dropped. */
static inline bool pj__tool_reads(const pj__tool *tool)
{
	return tool->pipes.in >= 0;
}

/* Writes all the bytes to the program, taking output meanwhile. */
PJ_MUST_USE pj_status pj__tool_feed(pj__tool *tool, pj_bytes bytes, pj_error *error);

/* The program gets no more input: takes the rest of its output and waits for its end. */
PJ_MUST_USE pj_status pj__tool_finish(pj__tool *tool, pj__tool_end *ret_end, pj_error *error);

/* Kills what runs, if anything does. */
void pj__tool_abandon(pj__tool *tool);

#endif
