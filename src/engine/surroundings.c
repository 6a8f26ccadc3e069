/*
 * surroundings.c: see surroundings.h.
 */
#include "engine/surroundings.h"

#include <pthread.h>
#include <string.h>

/* The handler of SIGBUS is that of the view of the inputs (input/view.h), which sets it by itself. */
static int is_ours(int number)
{
	return number == SIGBUS || number == SIGKILL || number == SIGSTOP;
}

void pj__surroundings_remember(pj__surroundings *surroundings)
{
	memset(surroundings, 0, sizeof *surroundings);
	(void)fegetenv(&surroundings->processor);
	(void)pthread_sigmask(SIG_SETMASK, NULL, &surroundings->blocked);
	for (int number = 1; number < PJ__USUAL_SIGNALS; number++)
		(void)sigaction(number, NULL, &surroundings->actions[number]);
	for (int which = 0; which < RLIM_NLIMITS; which++)
		(void)getrlimit(which, &surroundings->limits[which]);
	surroundings->niceness = getpriority(PRIO_PROCESS, 0);
}

void pj__surroundings_restore(const pj__surroundings *surroundings)
{
	(void)fesetenv(&surroundings->processor);
	/* handlers first: a signal that was held back until now must find the right one */
	for (int number = 1; number < PJ__USUAL_SIGNALS; number++)
		if (!is_ours(number))
			(void)sigaction(number, &surroundings->actions[number], NULL);
	(void)pthread_sigmask(SIG_SETMASK, &surroundings->blocked, NULL);
	for (int which = 0; which < RLIM_NLIMITS; which++) {
		struct rlimit now;
		if (!getrlimit(which, &now) && now.rlim_cur != surroundings->limits[which].rlim_cur) {
			now.rlim_cur = surroundings->limits[which].rlim_cur;
			(void)setrlimit(which, &now);
		}
	}
	if (getpriority(PRIO_PROCESS, 0) != surroundings->niceness)
		(void)setpriority(PRIO_PROCESS, 0, surroundings->niceness);
}
