/*
 * surroundings.h: what user code can change of its process that would be seen by later tasks of the same process.
 *
 * A task's results may depend on the task alone, and not on which tasks its worker did before. So each one begins with
 * what was there after the job was loaded: rounding mode, exceptions and flush-to-zero of the processor, the signal
 * mask, signal handlers, niceness, limits. What the system does not let us set back (a hard limit that was lowered, a
 * niceness that was raised) stays.
 */
#ifndef PJ_ENGINE_SURROUNDINGS_H
#define PJ_ENGINE_SURROUNDINGS_H

#include <fenv.h>
#include <signal.h>
#include <sys/resource.h>

enum { PJ__USUAL_SIGNALS = 32 }; /* the real-time ones come after them */

typedef struct pj__surroundings {
	fenv_t processor;
	sigset_t blocked;
	struct sigaction actions[PJ__USUAL_SIGNALS];
	struct rlimit limits[RLIM_NLIMITS];
	int niceness;
} pj__surroundings;

/* Remembers those of the calling thread and its process. */
void pj__surroundings_remember(pj__surroundings *surroundings);

/* Sets back what is not as it was. */
void pj__surroundings_restore(const pj__surroundings *surroundings);

#endif
