/*
 * leaky.c: counts the states of the process in which its tasks begin, and changes all of it in each task.
 *
 *     --in PHASE     map: in the map, with the sum as the reducer; reduce: in the reduce
 */
#include <fenv.h>
#include <papjuice.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

static void on_signal(int number)
{
	(void)number;
}

/* What the task finds: arithmetic as the processor does it now, and what the system tells. */
static void describe(char *text, size_t size)
{
	volatile double one = 1, three = 3, tiny = 5e-324;
	struct sigaction action = {0};
	struct rlimit limit = {0};
	sigset_t mask;
	sigprocmask(SIG_SETMASK, NULL, &mask);
	sigaction(SIGUSR1, NULL, &action);
	getrlimit(RLIMIT_CORE, &limit);
	snprintf(text, size, "%a %d %d %d %d %d %llx", one / three, tiny * one > 0, fetestexcept(FE_DIVBYZERO) != 0,
		 sigismember(&mask, SIGUSR2), action.sa_handler == on_signal, getpriority(PRIO_PROCESS, 0),
		 (unsigned long long)limit.rlim_cur);
}

static void leak(void)
{
	struct rlimit limit;
	sigset_t mask;
	fesetround(FE_UPWARD);
	feraiseexcept(FE_DIVBYZERO);
#if defined(__x86_64__)
	_mm_setcsr(_mm_getcsr() | 0x8040);
#endif
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signal(SIGUSR1, on_signal);
	getrlimit(RLIMIT_CORE, &limit);
	limit.rlim_cur = limit.rlim_cur == 4096 ? 4096 : limit.rlim_cur ? 4096 : 0;
	setrlimit(RLIMIT_CORE, &limit);
}

static pj_status begin(pj_task *task, void *arg)
{
	char text[200];
	(void)arg;
	describe(text, sizeof text);
	pj_emit_i64(task, pj_bytes_of(text), 1);
	leak();
	return PJ_OK;
}

static pj_status map_nothing(pj_task *task, pj_bytes text, void *arg)
{
	(void)task;
	(void)text;
	(void)arg;
	return PJ_OK;
}

static pj_status map_words(pj_task *task, pj_bytes text, void *arg)
{
	pj_bytes word;
	(void)arg;
	leak();
	while (pj_next_word(task, &text, &word))
		pj_emit(task, word, (pj_bytes){"", 0});
	return PJ_OK;
}

static pj_status reduce_nothing(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	(void)task;
	(void)key;
	(void)values;
	(void)arg;
	return PJ_OK;
}

static pj_status configure(pj_job *job, const char *const *values, pj_error *error)
{
	(void)error;
	if (!strcmp(values[0], "map")) {
		job->mapper = (pj_mapper){.begin = begin, .text = map_nothing};
		job->reducer = (pj_reducer){.aggregate = &pj_sum_i64};
	} else {
		job->mapper = (pj_mapper){.text = map_words};
		job->reducer = (pj_reducer){.begin = begin, .general = reduce_nothing};
	}
	return PJ_OK;
}

static const pj_job_option options[] = {{"in", 0, "PHASE", "map", "where"}, {NULL}};

PJ_PROGRAM(.name = "leaky", .mapper = {.text = map_nothing}, .options = options, .configure = configure)
