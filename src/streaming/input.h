/*
 * input.h: the files that a job reads, and how they are cut for its map tasks, as Hadoop's FileInputFormat does it.
 */
#ifndef PJ_STREAMING_INPUT_H
#define PJ_STREAMING_INPUT_H

#include <papjuice/job.h>

#include "streaming/request.h"

/* One map task's bytes in Hadoop's count: the line that begins at `start` is the previous task's, unless start is 0. */
typedef struct pj__cut {
	size_t file; /* index in the files */
	uint64_t start, length;
} pj__cut;

typedef struct pj__files {
	pj__strings paths; /* absolute */
	uint64_t *sizes;
	size_t size_capacity;
	pj__cut *cuts;    /* in the order of the map tasks: the longest first */
	pj_piece *pieces; /* the same, as the engine counts */
	size_t cut_count, cut_capacity, piece_capacity;
} pj__files;

/* A path without "file:" before it. PJ_ERR_INPUT: it has another scheme. */
PJ_MUST_USE pj_status pj__plain_path(const char *path, const char **ret_path, pj_error *error);

/*
 * Lists the files of the inputs: globs, lists with commas, folders; names that begin with '_' or '.' are left out.
 * PJ_ERR_INPUT: the error's `what` is Hadoop's message. *files is to be given back in any case.
 */
PJ_MUST_USE pj_status pj__files_list(pj__files *files, const pj__strings *inputs, const pj__conf *conf,
				     pj_error *error);

/* How files are cut. */
typedef struct pj__cutting {
	uint64_t lines;                    /* lines per task; 0: cut by size */
	uint64_t maps;                     /* how many tasks are wanted, at least 1 */
	uint64_t least, most;              /* bytes of a task; the last one of a file may have a tenth more */
	const volatile sig_atomic_t *stop; /* NULL, or becomes a signal's number when lines need not be counted */
} pj__cutting;

/* Cuts the files into map tasks. PJ_ERR_INTERRUPTED: stopped. */
PJ_MUST_USE pj_status pj__files_cut(pj__files *files, const pj__cutting *cutting, pj_error *error);

void pj__files_fini(pj__files *files);

#endif
