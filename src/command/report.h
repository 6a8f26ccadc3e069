/*
 * report.h: what a program tells on its standard error: lines that report by Hadoop's protocol, and others, of which
 * the last ones are kept for the case that it fails.
 */
#ifndef PJ_COMMAND_REPORT_H
#define PJ_COMMAND_REPORT_H

#include <papjuice/bytes.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum pj__report_kind { PJ__REPORT_NONE, PJ__REPORT_COUNTER, PJ__REPORT_STATUS } pj__report_kind;

typedef struct pj__report {
	pj__report_kind kind;
	pj_bytes group, name; /* of a counter */
	int64_t amount;
	pj_bytes text; /* of a status */
} pj__report;

/*
 * Reads a line that begins with `prefix`, then "counter:GROUP,NAME,AMOUNT" or "status:TEXT"; blanks around the
 * parts do not count. Anything else is PJ__REPORT_NONE. The parts lie in the line.
 */
pj__report pj__report_read(pj_bytes line, pj_bytes prefix);

enum { PJ__TAIL_BYTES = 2048, PJ__TAIL_LINES = 20, PJ__TAIL_LINE_BYTES = 512 };

/* The last lines, one after another, each with its newline. */
typedef struct pj__tail {
	char bytes[PJ__TAIL_BYTES];
	size_t len, lines;
} pj__tail;

/* Keeps a line, the end of which is cut off if it is long, and forgets the oldest ones for which there is no room. */
void pj__tail_add(pj__tail *tail, pj_bytes line);

#endif
