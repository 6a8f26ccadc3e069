/*
 * request.h: the command line of Hadoop Streaming: generic options, which come first, then streaming options.
 *
 *     [-conf F] [-D K=V] [-fs U] [-jt U] [-files A,B#LINK] [-archives A] [-libjars A]   then   -input I -output O ...
 */
#ifndef PJ_STREAMING_REQUEST_H
#define PJ_STREAMING_REQUEST_H

#include "streaming/conf.h"

/* Strings one after another, owned. */
typedef struct pj__strings {
	char **at;
	size_t count, capacity;
} pj__strings;

/* Appends a copy of `len` bytes. */
PJ_MUST_USE pj_status pj__strings_add(pj__strings *strings, const char *text, size_t len, pj_error *error);
/* Appends the pieces of `list` between commas; commas within braces do not count. Empty pieces are left out. */
PJ_MUST_USE pj_status pj__strings_split(pj__strings *strings, const char *list, pj_error *error);
void pj__strings_fini(pj__strings *strings);

/* The streaming options that there are. */
enum pj__streaming_option {
	PJ__OPT_INPUT,
	PJ__OPT_OUTPUT,
	PJ__OPT_MAPPER,
	PJ__OPT_COMBINER,
	PJ__OPT_REDUCER,
	PJ__OPT_FILE,
	PJ__OPT_INPUTFORMAT,
	PJ__OPT_OUTPUTFORMAT,
	PJ__OPT_PARTITIONER,
	PJ__OPT_REDUCES,
	PJ__OPT_INPUTREADER,
	PJ__OPT_CMDENV,
	PJ__OPT_JOBCONF,
	PJ__OPT_IO,
	PJ__OPT_CACHE_FILE,
	PJ__OPT_CACHE_ARCHIVE,
	PJ__OPT_MAPDEBUG,
	PJ__OPT_REDUCEDEBUG,
	PJ__OPT_CONFSPEC,
	PJ__OPT_DFS,
	PJ__OPT_LAZY,
	PJ__OPT_BACKGROUND,
	PJ__OPT_VERBOSE,
	PJ__OPT_DEBUG,
	PJ__OPT_INFO,
	PJ__OPT_HELP,
	PJ__OPT_COUNT
};

typedef struct pj__request {
	pj__conf conf;                    /* of -conf, -D and -jobconf, in order of precedence */
	pj__strings files, archives;      /* of -files and -archives: PATH or PATH#LINK */
	pj__strings given[PJ__OPT_COUNT]; /* the values of each streaming option */
	bool has[PJ__OPT_COUNT];          /* whether it was given at all */
	bool ignores_libjars;             /* -libjars was given */
} pj__request;

/*
 * Reads the words after the command's name. PJ_ERR_USAGE and PJ_ERR_INPUT: the error's `what` is Hadoop's message. The
 * request is to be given back in any case.
 */
PJ_MUST_USE pj_status pj__request_read(pj__request *request, int argc, char **argv, pj_error *error);
void pj__request_fini(pj__request *request);

/* The value of an option that takes one: the first that was given; NULL: none was. */
const char *pj__request_value(const pj__request *request, enum pj__streaming_option option);

#endif
