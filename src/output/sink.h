/*
 * sink.h: where the output goes, and how it appears: complete, or not at all.
 *
 * There are four kinds:
 *
 *     FILE      bytes go to an unnamed file in the folder of the output (O_TMPFILE; where the file system cannot, a
 *               file in the private folder), which gets its name at the end. Workers write it at offsets.
 *     FOLDER    part files in a private folder beside the output, which is renamed at the end. Workers write the files.
 *     STREAM    standard output, a device or a pipe: the leader writes parts in order; it cannot be taken back.
 *     FUNCTION  the leader hands the pairs to it, in order.
 *
 * A part file can be compressed by who writes it; a file or stream is compressed by the leader, which then writes a
 * file in order, too, for where a part begins is not known before.
 *
 * The private folder is called ".papjuice-" and a random number, and its owner holds a lock (flock) on it. What a
 * killed leader leaves behind is such a folder with a free lock; the next run that writes beside it removes it.
 *
 * In order: open, (use), commit, close. Closing without a commit leaves what stood there before.
 */
#ifndef PJ_OUTPUT_SINK_H
#define PJ_OUTPUT_SINK_H

#include <papjuice/job.h>
#include <sys/stat.h>

#include "base/error.h"
#include "codec/encoder.h"

typedef enum pj__sink_kind { PJ__SINK_FILE, PJ__SINK_FOLDER, PJ__SINK_STREAM, PJ__SINK_FUNCTION } pj__sink_kind;

typedef struct pj__sink {
	pj__sink_kind kind;
	pj_output output; /* as given */
	char *path;       /* of the output, symbolic links followed; NULL: none */
	char *parent;     /* the folder in which it lies */
	char *name;       /* its last component, within `path` */
	int fd;           /* FILE: the unnamed file; STREAM: what is written to; -1: none */
	int private_fd;   /* the private folder, locked; -1: none */
	char *private_path;
	bool keeps_private;                /* it holds what is not ours, and could not be put back */
	bool unnamed;                      /* FILE: fd has no name yet */
	pj__encoder *encoder;              /* FILE, STREAM: of a compressed output; else NULL */
	bool waits;                        /* STREAM: writing may have to wait, for as long as the reader likes */
	const volatile sig_atomic_t *stop; /* becomes a signal's number when nothing is to be waited for; NULL: never */
	bool exists;                       /* something stands at `path`, and is to be replaced */
	mode_t mode;                       /* of the file that is replaced */
	dev_t device;                      /* of the file at `path`, if it exists */
	ino_t inode;
} pj__sink;

/* The name that errors use: the path, or "standard output". */
const char *pj__sink_name(const pj__sink *sink);

/*
 * The folder for temporary files of a run: `given` by its options, else $TMPDIR, else that in which the output will
 * lie; for a stream or function /var/tmp. It belongs to the options, the environment or the sink.
 */
const char *pj__temp_folder(const char *given, const pj__sink *sink);

/*
 * Checks that the output can be written, refuses one that exists (unless `output->overwrite`), and prepares it. On
 * failure the sink need not be closed, and nothing has changed.
 */
PJ_MUST_USE pj_status pj__sink_open(pj__sink *sink, const pj_output *output, pj_error *error);

/* The same; a pipe's reader is waited for, here and when a stream is written, until *stop. */
PJ_MUST_USE pj_status pj__sink_open_until(pj__sink *sink, const pj_output *output, const volatile sig_atomic_t *stop,
					  pj_error *error);

/* A file of a folder, while one process writes it. */
typedef struct pj__part_file {
	const pj__sink *sink;
	int fd;
	pj__encoder *encoder; /* NULL: it is not compressed */
} pj__part_file;

/* FOLDER: makes (or empties) the file of a part and opens it for writing. On failure it need not be closed. */
PJ_MUST_USE pj_status pj__part_file_open(pj__part_file *file, const pj__sink *sink, uint64_t part, pj_error *error);
PJ_MUST_USE pj_status pj__part_file_write(pj__part_file *file, pj_bytes bytes, pj_error *error);

/* Ends the file, unless `status`, which is returned then, says that it is given up. It need not be open. */
PJ_MUST_USE pj_status pj__part_file_close(pj__part_file *file, pj_status status, pj_error *error);

/* STREAM, and FILE if it is written in order: writes bytes. PJ_ERR_INTERRUPTED: *stop came first. */
PJ_MUST_USE pj_status pj__sink_stream(const pj__sink *sink, pj_bytes bytes, pj_error *error);

/* Makes the output appear. Afterwards only close is left to do. */
PJ_MUST_USE pj_status pj__sink_commit(pj__sink *sink, pj_error *error);

/* Gives everything back, and removes what was not committed. */
void pj__sink_close(pj__sink *sink);

#endif
