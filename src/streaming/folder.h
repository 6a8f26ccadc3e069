/*
 * folder.h: the folders of a job's attempts. They lie in one private folder beside the output (base/private.h), which
 * is removed with the job. If the job is killed, the next job that writes beside it removes the folder.
 *
 *     .papjuice-.../files/PROGRAM      copies of shipped programs that may not be executed as they are
 *                   archives/NUMBER/   unpacked
 *                   work/ATTEMPT/      where an attempt runs: links to all that is shipped, and tmp/
 *                   side/ATTEMPT/      files that an attempt leaves for the output
 *                   done/TASK/         side files of successful attempts
 *                   sides/             those of all tasks
 *                   output/            the output: renamed to its name when it is complete
 */
#ifndef PJ_STREAMING_FOLDER_H
#define PJ_STREAMING_FOLDER_H

#include <signal.h>

#include "streaming/request.h"

typedef struct pj__folder {
	char *path; /* absolute; NULL: none was made */
	int fd;     /* of the folder, locked */
	const volatile sig_atomic_t *stop;
	pj__strings links, targets; /* what each attempt's folder has, and where it leads */
} pj__folder;

/*
 * Makes the folder beside `output`, and the folders above that, where they are missing. A signal in *stop (NULL: none)
 * ends what unpacks an archive: PJ_ERR_INTERRUPTED.
 */
PJ_MUST_USE pj_status pj__folder_create(pj__folder *folder, const char *output, const volatile sig_atomic_t *stop,
					pj_error *error);

/* Removes it with all that is in it. {0} is fine. */
void pj__folder_destroy(pj__folder *folder);

/* Ships a file, "PATH" or "PATH#LINK", under its own name or LINK. PJ_ERR_USAGE: LINK leads elsewhere, or is taken. */
PJ_MUST_USE pj_status pj__folder_ship(pj__folder *folder, const char *file, pj_error *error);

/* The same with an archive, which is unpacked: .zip and .jar by unzip, .tar, .tar.gz and .tgz by tar. */
PJ_MUST_USE pj_status pj__folder_ship_archive(pj__folder *folder, const char *archive, pj_error *error);

/*
 * Settles where the program `word` of a command is, which runs in an attempt's folder: what is shipped comes first,
 * then the current folder, then $PATH. *ret_word is to be freed.
 */
PJ_MUST_USE pj_status pj__folder_program(pj__folder *folder, const char *word, char **ret_word, pj_error *error);

/* Makes the two folders of an attempt, anew; their paths are to be freed. */
PJ_MUST_USE pj_status pj__folder_begin(const pj__folder *folder, const char *attempt, char **ret_work, char **ret_side,
				       pj_error *error);

/* After a successful attempt: its side files become those of `task`, and its folders are removed. */
PJ_MUST_USE pj_status pj__folder_done(const pj__folder *folder, const char *attempt, const char *task, pj_error *error);

/*
 * Moves the side files of all tasks into the output; of those with the same name, the last task's is kept.
 * PJ_ERR_OUTPUT: the output already has a file of that name.
 */
PJ_MUST_USE pj_status pj__folder_promote(const pj__folder *folder, const char *output, pj_error *error);

#endif
