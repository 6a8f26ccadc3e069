/*
 * storage.h: where the bytes of a run come from and go to: its inputs, what does not fit into memory, its output.
 *
 * An engine names its storage (engine/engine.h), and the setup hands it to who needs it. There is one, the files of
 * this machine. In the order of a run:
 *
 *     open_output -> list_inputs -> (run_folder) -> check_inputs -> commit_output -> close_output
 */
#ifndef PJ_JOB_STORAGE_H
#define PJ_JOB_STORAGE_H

#include "input/source.h"
#include "output/sink.h"

typedef struct pj__storage {
	/*
	 * Checks that the output can be written, and prepares it where nobody sees it yet. *stop becomes a signal's
	 * number when nothing is to be waited for any more. On failure the sink need not be closed.
	 */
	pj_status (*open_output)(pj__sink *sink, const pj_output *output, const volatile sig_atomic_t *stop,
				 pj_error *error);
	/*
	 * Lists the inputs, each with its size and what is needed to notice that it has changed; pj__source_open opens
	 * them. *sources is set in any case, and must be given back (pj__sources_fini).
	 */
	pj_status (*list_inputs)(pj__sources *sources, const pj_input *input, pj_error *error);
	/* The folder that keeps runs for which there is no memory; `given` by the options, or NULL. */
	const char *(*run_folder)(const char *given, const pj__sink *sink);
	/* Looks at every input again: PJ_ERR_CHANGED, or how many have only grown. */
	pj_status (*check_inputs)(const pj__sources *sources, uint64_t *ret_grown, pj_error *error);
	/* Makes the whole output appear in one step. */
	pj_status (*commit_output)(pj__sink *sink, pj_error *error);
	/* Gives everything back; an output that was not committed leaves no trace. */
	void (*close_output)(pj__sink *sink);
} pj__storage;

/* The files of this machine. */
extern const pj__storage pj__storage_files;

#endif
