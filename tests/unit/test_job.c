/*
 * test_job.c: pj_run, from outside: every kind of input, mapper, reducer and output through every sorter comes to the
 * same; and a host program keeps its children, its signal handlers, its descriptors and its threads.
 */
#include "testing.h"

#include <dirent.h>
#include <papjuice/job.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "base/text.h"

/* ThreadSanitizer sees one process: a mutex that others lock and unlock, too, confuses it. */
#if defined(__SANITIZE_THREAD__)
enum { SORTERS = 2 };
#else
enum { SORTERS = 3 };
#endif
static const pj_sorter sorters[] = {PJ_SORTER_SIMPLE, PJ_SORTER_PLEX, PJ_SORTER_SHARED};

/* --------------------------------------------------------------------------------------------- mappers and reducers */

static pj_status count_words(pj_task *task, pj_bytes text, void *arg)
{
	(void)arg;
	pj_bytes word;
	while (pj_next_word(task, &text, &word))
		pj_emit_i64(task, word, 1);
	return PJ_OK;
}

/* word -> number of its line */
static pj_status place_words(pj_task *task, pj_bytes line, void *arg)
{
	(void)arg;
	pj_bytes number, word;
	if (!pj_next_word(task, &line, &number))
		return PJ_OK;
	while (pj_next_word(task, &line, &word))
		pj_emit(task, word, number);
	return PJ_OK;
}

/* All values, in their order. */
static pj_status join(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	(void)arg;
	pj_text text = {0};
	pj_bytes value;
	while (pj_next_value(values, &value)) {
		pj_text_bytes(&text, value);
		pj__text_byte(&text, ',');
	}
	pj_emit(task, key, pj__text_all(&text));
	pj__text_fini(&text);
	return PJ_OK;
}

static const pj_job wordcount = {
	.abi = PJ_ABI, .name = "wordcount", .mapper = {.text = count_words}, .reducer = {.aggregate = &pj_sum_i64}};
static const pj_job places = {
	.abi = PJ_ABI, .name = "places", .mapper = {.line = place_words}, .reducer = {.general = join}};

/* ----------------------------------------------------------------------------------------------- inputs and outputs */

/* Results as "key=value;" */
static pj_status take_pair(void *arg, pj_bytes key, pj_bytes value)
{
	pj_text *text = arg;
	pj_text_bytes(text, key);
	pj__text_byte(text, '=');
	pj_text_bytes(text, value);
	pj__text_byte(text, ';');
	return PJ_OK;
}

struct stream {
	pj_bytes rest;
	size_t step, fail_at;
	pj_status failure;
};

static pj_status read_stream(void *arg, char *to, size_t size, size_t *got)
{
	struct stream *stream = arg;
	size_t step = stream->step < size ? stream->step : size;
	step = step < stream->rest.len ? step : stream->rest.len;
	if (stream->failure && stream->rest.len <= stream->fail_at)
		return stream->failure;
	if (step)
		memcpy(to, stream->rest.ptr, step);
	stream->rest = (pj_bytes){stream->rest.ptr + step, stream->rest.len - step};
	*got = step;
	return PJ_OK;
}

/* Lines of a number and words, of `count` lines; to be freed. */
static pj_bytes make_lines(size_t count)
{
	uint64_t random = count;
	pj_text text = {0};
	for (size_t i = 0; i < count; i++) {
		pj_text_i64(&text, (int64_t)i);
		for (size_t words = random_below(&random, 6); words > 0; words--) {
			char word[64];
			const char *form =
				random_below(&random, 5) ? " w" : " a word, and one_that_is_longer_than_any_slot";
			const int len = sprintf(word, "%s%zu", form, random_below(&random, 97));
			pj_text_bytes(&text, (pj_bytes){word, (size_t)len});
		}
		pj__text_byte(&text, '\n');
	}
	return pj__text_all(&text);
}

/* Runs and returns the results. */
static pj_text run(const pj_job *job, pj_options options, pj_result *result)
{
	pj_text results = {0};
	pj_error error;
	options.output.pair = take_pair;
	options.output.arg = &results;
	assert_good(pj_run(job, &options, result, &error), error);
	return results;
}

static void assert_results(pj_text *results, pj_bytes expected)
{
	if (!pj_bytes_equal(pj__text_all(results), expected) && expected.len < 200)
		print_error("%.*s\n", (int)results->len, results->data);
	assert_int_equal(results->len, expected.len);
	assert_memory_equal(results->data, expected.ptr, expected.len);
	pj__text_fini(results);
}

/* --------------------------------------------------------------------------------------------------- the same bytes */

static void all_ways_come_to_the_same(void **state)
{
	(void)state;
	const pj_bytes text = make_lines(1500);
	const pj_bytes halves[] = {text, {NULL, 0}, text};
	pj_job identity = places, mapped = places, careful_job = wordcount;
	pj_aggregate careful = pj_sum_i64;
	identity.reducer = (pj_reducer){.general = NULL};
	mapped.map_only = true;
	careful.exact = false;
	careful_job.reducer.aggregate = &careful;
	const pj_job *const jobs[] = {&wordcount, &places, &identity, &mapped, &careful_job};
	for (size_t j = 0; j < sizeof jobs / sizeof *jobs; j++) {
		pj_options options = {.input = {.memory = halves, .memory_count = 3}, .sorter = PJ_SORTER_SIMPLE};
		pj_result result;
		pj_text expected = run(jobs[j], options, &result);
		assert_int_equal(result.input_bytes, 2 * text.len);
		assert_int_equal(result.records, 3000);
		for (size_t i = 1; i < 12; i++) {
			struct stream stream = {{text.ptr, text.len}, 1 + i * 997, 0, PJ_OK};
			options.sorter = sorters[i % SORTERS];
			options.workers = 1 + (unsigned)i % 4;
			options.split_bytes = i % 3 ? 3000 * i : 0;
			options.partitions = i % 2 ? i : 0;
			options.input = (pj_input){.memory = halves, .memory_count = 3};
			if (i % 4 == 3) /* the second half is a stream */
				options.input = (pj_input){
					.memory = halves, .memory_count = 2, .read = read_stream, .arg = &stream};
			pj_text results = run(jobs[j], options, &result);
			assert_int_equal(result.input_bytes, 2 * text.len);
			assert_int_equal(result.records, 3000);
			assert_int_equal(result.failures, 0);
			assert_results(&results, pj__text_all(&expected));
		}
		pj__text_fini(&expected);
	}
	free((void *)(uintptr_t)text.ptr);
}

static void counts_are_right(void **state)
{
	(void)state;
	const pj_bytes text = pj_bytes_of("to be or not to be\nthat is\n\nthe question");
	for (int s = 0; s < SORTERS; s++) {
		const pj_options options = {
			.input = {.memory = &text, .memory_count = 1}, .sorter = sorters[s], .workers = 2};
		pj_result result;
		pj_text results = run(&wordcount, options, &result);
		assert_results(&results, pj_bytes_of("be=2;is=1;not=1;or=1;question=1;that=1;the=1;to=2;"));
		assert_int_equal(result.inputs, 1);
		assert_int_equal(result.records, 4);
		assert_int_equal(result.map_tasks, 1);
		assert_int_equal(result.map_pairs, 10);
		assert_int_equal(result.distinct_keys, 8);
		assert_int_equal(result.output_pairs, 8);
		assert_true(result.workers >= 1 && result.workers_used >= 1 && result.attempts >= 1);
		assert_true(result.total_seconds > 0 && result.total_seconds < 30);
	}
}

static void empty_inputs_have_no_results(void **state)
{
	(void)state;
	const pj_bytes empty = {NULL, 0};
	for (int s = 0; s < SORTERS; s++) {
		struct stream nothing = {.step = 1};
		const pj_options options = {
			.sorter = sorters[s],
			.input = {.memory = &empty, .memory_count = 1, .read = read_stream, .arg = &nothing}};
		pj_result result;
		pj_text results = run(&wordcount, options, &result);
		assert_results(&results, (pj_bytes){NULL, 0});
		assert_int_equal(result.output_pairs, 0);
	}
}

/* A line of some megabytes among short ones, in splits and steps that are far shorter. */
static void lines_longer_than_splits(void **state)
{
	(void)state;
	enum { LONG = 3 << 20 };
	char *bytes = malloc(LONG + 4);
	memset(bytes, 'x', LONG + 4);
	memcpy(bytes, "a\n", 2);
	memcpy(bytes + LONG + 1, "\nb", 2);
	const pj_bytes text = {bytes, LONG + 3};
	for (int s = 0; s < SORTERS; s++) {
		for (int streamed = 0; streamed < 2; streamed++) {
			struct stream stream = {text, 100000, 0, PJ_OK};
			pj_options options = {.sorter = sorters[s], .split_bytes = 50000, .workers = 2};
			if (streamed)
				options.input = (pj_input){.read = read_stream, .arg = &stream};
			else
				options.input = (pj_input){.memory = &text, .memory_count = 1};
			pj_result result;
			pj_text results = run(&wordcount, options, &result);
			assert_int_equal(result.records, 3);
			assert_int_equal(results.len, 4 + 4 + LONG - 1 + 3);
			assert_memory_equal(results.data, "a=1;b=1;xxx", 11);
			pj__text_fini(&results);
		}
	}
	free(bytes);
}

/* ------------------------------------------------------------------------------------------------------ user's code */

struct numbers {
	double real;
	int64_t integer;
};

static pj_status begin_task(pj_task *task, void *arg)
{
	(void)arg;
	pj_emit(task, pj_bytes_of("begin"), pj_task_params(task));
	/* a key in memory that ends right behind it: nothing may be read there */
	char *exact = malloc(5);
	memcpy(exact, "exact", 5);
	pj_emit_i64(task, (pj_bytes){exact, 5}, (int64_t)pj_task_index(task) * 0 + 1);
	free(exact);
	assert_string_equal(pj_task_place(task, task->readable).file, "");
	return PJ_OK;
}

static pj_status end_task(pj_task *task, void *arg)
{
	(void)arg;
	pj_emit_f64(task, pj_bytes_of("end"), 0.5);
	return PJ_OK;
}

static pj_status emit_line(pj_task *task, pj_bytes line, void *arg)
{
	(void)arg;
	pj_bytes inner = line, found;
	while (pj_next_line(task, &inner, &found)) /* a line of its own, if it is not empty; the next one is not lost */
		pj_emit_i64(task, found, 1);
	assert_string_equal(pj_task_place(task, line.ptr).file, "memory:0");
	return PJ_OK;
}

static void tasks_begin_and_end(void **state)
{
	(void)state;
	const pj_bytes text = pj_bytes_of("x\ny\nx\n\n\nz\nx");
	const pj_job job = {.abi = PJ_ABI,
			    .name = "lines",
			    .mapper = {.line = emit_line, .begin = begin_task, .end = end_task},
			    .reducer = {.general = join}};
	for (int s = 0; s < SORTERS; s++) {
		const pj_options options = {.input = {.memory = &text, .memory_count = 1},
					    .sorter = sorters[s],
					    .split_bytes = 6,
					    .workers = 2,
					    .params = pj_bytes_of("params")};
		pj_result result;
		pj_text results = run(&job, options, &result);
		assert_results(&results,
			       pj_bytes_of("begin=params,params,;end=0.5,0.5,;exact=1,1,;x=1,1,1,;y=1,;z=1,;"));
		assert_int_equal(result.map_tasks, 2);
	}
}

static pj_status emit_numbers(pj_task *task, pj_bytes line, void *arg)
{
	(void)arg;
	pj_emit(task, pj_bytes_of("text"), line);
	pj_emit_i64(task, pj_bytes_of("integer"), 3);
	pj_emit_f64(task, pj_bytes_of("real"), 0.1);
	return PJ_OK;
}

static void numbers_are_converted(void **state)
{
	(void)state;
	const pj_bytes text = pj_bytes_of("1\n-5\n1000000\n");
	const pj_job job = {
		.abi = PJ_ABI, .name = "sum", .mapper = {.line = emit_numbers}, .reducer = {.aggregate = &pj_sum_f64}};
	for (int s = 0; s < SORTERS; s++) {
		const pj_options options = {.input = {.memory = &text, .memory_count = 1}, .sorter = sorters[s]};
		pj_text results = run(&job, options, NULL);
		assert_results(&results, pj_bytes_of("integer=9;real=0.30000000000000004;text=999996;"));
	}
}

enum trouble { RETURNS, FAILS, FAILS_STRANGELY, CRASHES, EXITS, BAD_NUMBER, HANGS };

static pj_status make_trouble(pj_task *task, pj_bytes line, void *arg)
{
	const enum trouble trouble = *(const enum trouble *)arg;
	if (!pj_bytes_equal(line, pj_bytes_of("bad")))
		return PJ_OK;
	switch (trouble) {
	case RETURNS:
		return PJ_ERR_RECORD;
	case FAILS:
		pj_task_fail(task, PJ_ERR_RECORD, line.ptr, "it is %s", "bad");
		return PJ_OK; /* does not hide it */
	case FAILS_STRANGELY:
		return pj_task_fail(task, (pj_status)99, line.ptr, "it is %s", "bad");
	case CRASHES:
		raise(SIGSEGV);
		return PJ_OK;
	case EXITS:
		_exit(3);
	case BAD_NUMBER:
		pj_emit(task, pj_bytes_of("key"), line);
		return PJ_OK;
	default:
		while (pause())
			;
		return PJ_OK;
	}
}

static void trouble_is_told(void **state)
{
	(void)state;
	static const pj_status expected[] = {PJ_ERR_RECORD, PJ_ERR_RECORD, PJ_ERR_USER,   PJ_ERR_CRASH,
					     PJ_ERR_CRASH,  PJ_ERR_RECORD, PJ_ERR_TIMEOUT};
	const pj_bytes text = pj_bytes_of("good\ngood\nbad\ngood\n");
	for (enum trouble trouble = RETURNS; trouble <= HANGS; trouble++) {
		for (int s = 0; s < SORTERS; s++) {
			if (sorters[s] == PJ_SORTER_SIMPLE &&
			    (trouble == CRASHES || trouble == EXITS || trouble == HANGS))
				continue; /* it would be this process that dies */
			pj_text results = {0};
			const pj_job job = {.abi = PJ_ABI,
					    .name = "trouble",
					    .mapper = {.line = make_trouble, .arg = &trouble},
					    .reducer = {.aggregate = &pj_sum_i64}};
			const pj_options options = {.input = {.memory = &text, .memory_count = 1},
						    .sorter = sorters[s],
						    .output = {.pair = take_pair, .arg = &results},
						    .workers = 2,
						    .split_bytes = 5,
						    .attempts = 2,
						    .timeout_ms = 60};
			pj_result result;
			pj_error error;
			assert_fails(pj_run(&job, &options, &result, &error), expected[trouble], error);
			assert_string_equal(error.phase, "map");
			assert_true(error.task >= 0);
			if (trouble == CRASHES)
				assert_int_equal(error.signal, SIGSEGV);
			if (trouble != BAD_NUMBER)
				assert_string_equal(error.file, "memory:0");
			if (trouble == FAILS || trouble == FAILS_STRANGELY) {
				assert_int_equal(error.offset, 10);
				assert_string_equal(error.reason, "it is bad");
			}
			if (sorters[s] != PJ_SORTER_SIMPLE)
				assert_int_equal(result.failures, 2);
			assert_int_equal(results.len, 0);
			pj__text_fini(&results);
		}
	}
}

static void inputs_may_fail(void **state)
{
	(void)state;
	const pj_bytes text = make_lines(2000);
	for (int s = 0; s < SORTERS; s++) {
		for (size_t fail_at = 0; fail_at <= text.len; fail_at += text.len / 2) {
			struct stream stream = {text, 4000, fail_at, PJ_ERR_INPUT};
			pj_text results = {0};
			const pj_options options = {.input = {.read = read_stream, .arg = &stream},
						    .sorter = sorters[s],
						    .output = {.pair = take_pair, .arg = &results},
						    .split_bytes = 3000};
			pj_error error;
			assert_fails(pj_run(&wordcount, &options, NULL, &error), PJ_ERR_INPUT, error);
			assert_string_equal(error.file, "function");
			pj__text_fini(&results);
		}
		const char *paths[] = {"/no/such/file"};
		const pj_options missing = {.input = {.paths = paths, .path_count = 1},
					    .sorter = sorters[s],
					    .output = {.pair = take_pair}};
		pj_error error;
		assert_fails(pj_run(&wordcount, &missing, NULL, &error), PJ_ERR_INPUT, error);
		assert_int_equal(pj_run(&wordcount, &missing, NULL, NULL), PJ_ERR_INPUT);
	}
	free((void *)(uintptr_t)text.ptr);
}

static pj_status refuse_third(void *arg, pj_bytes key, pj_bytes value)
{
	(void)key;
	(void)value;
	return ++*(int *)arg == 3 ? PJ_ERR_OUTPUT : PJ_OK;
}

static void outputs_may_fail(void **state)
{
	(void)state;
	const pj_bytes text = make_lines(500);
	for (int s = 0; s < SORTERS; s++) {
		int pairs = 0;
		const pj_options options = {.input = {.memory = &text, .memory_count = 1},
					    .sorter = sorters[s],
					    .output = {.pair = refuse_third, .arg = &pairs}};
		pj_error error;
		assert_fails(pj_run(&wordcount, &options, NULL, &error), PJ_ERR_OUTPUT, error);
		assert_int_equal(pairs, 3); /* and is asked no more */
	}
	free((void *)(uintptr_t)text.ptr);
}

static pj_status sleep_a_little(pj_task *task, pj_bytes line, void *arg)
{
	(void)task;
	(void)line;
	(void)arg;
	usleep(20000);
	return PJ_OK;
}

static volatile sig_atomic_t stop;

static void stop_now(int signal)
{
	stop = signal;
}

/* Sends a signal to the thread that runs, as the host's handler would get it. */
static void *send_signal(void *arg)
{
	usleep(100000);
	/* its own handler takes it */
	/* NOLINTNEXTLINE(bugprone-bad-signal-to-kill-thread,cert-pos44-c) */
	pthread_kill(*(const pthread_t *)arg, SIGTERM);
	return NULL;
}

static void runs_can_be_stopped(void **state)
{
	(void)state;
	const pj_bytes text = make_lines(1000); /* twenty seconds */
	const pj_job job = {
		.abi = PJ_ABI, .name = "slow", .mapper = {.line = sleep_a_little}, .reducer = {.aggregate = &pj_count}};
	for (int s = 0; s < SORTERS; s++) {
		const struct sigaction stopping = {.sa_handler = stop_now};
		const pthread_t self = pthread_self();
		struct sigaction before;
		pj_text results = {0};
		const pj_options options = {.input = {.memory = &text, .memory_count = 1},
					    .sorter = sorters[s],
					    .output = {.pair = take_pair, .arg = &results},
					    .split_bytes = 100,
					    .stop = &stop};
		pthread_t thread;
		pj_result result;
		pj_error error;
		stop = 0;
		assert_int_equal(sigaction(SIGTERM, &stopping, &before), 0);
		assert_int_equal(pthread_create(&thread, NULL, send_signal, (void *)(uintptr_t)&self), 0);
		assert_fails(pj_run(&job, &options, &result, &error), PJ_ERR_INTERRUPTED, error);
		pthread_join(thread, NULL);
		assert_int_equal(sigaction(SIGTERM, &before, NULL), 0);
		assert_int_equal(error.signal, SIGTERM);
		assert_int_equal(pj_error_exit_code(&error), 128 + SIGTERM);
		assert_true(result.total_seconds < 2);
	}
	free((void *)(uintptr_t)text.ptr);
}

/* ------------------------------------------------------------------------------------------------- the host program */

static size_t count_descriptors(void)
{
	size_t count = 0;
	DIR *opened = opendir("/proc/self/fd");
	assert_non_null(opened);
	while (readdir(opened))
		count++;
	closedir(opened);
	return count;
}

static void descriptors_are_given_back(void **state)
{
	(void)state;
	const pj_bytes text = make_lines(200);
	const size_t before = count_descriptors();
	enum trouble trouble = CRASHES;
	for (int i = 0; i < 50; i++) {
		struct stream stream = {text, 500, 0, i % 5 == 4 ? PJ_ERR_INPUT : PJ_OK};
		pj_text results = {0};
		pj_options options = {.sorter = sorters[i % SORTERS],
				      .workers = 2,
				      .split_bytes = 1000,
				      .attempts = 1,
				      .output = {.pair = take_pair, .arg = &results}};
		options.input = i % 2 ? (pj_input){.memory = &text, .memory_count = 1}
				      : (pj_input){.read = read_stream, .arg = &stream};
		pj_job job = wordcount;
		if (i % 7 == 6 && options.sorter != PJ_SORTER_SIMPLE)
			job.mapper = (pj_mapper){.line = make_trouble, .arg = &trouble};
		(void)(pj_run(&job, &options, NULL, NULL) == PJ_OK); /* some fail: they must leave nothing, either */
		pj__text_fini(&results);
	}
	assert_int_equal(count_descriptors(), before);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left, alive or dead */
	assert_int_equal(errno, ECHILD);
	free((void *)(uintptr_t)text.ptr);
}

static pid_t start_child(int exit_code, int after_ms)
{
	const pid_t child = fork();
	if (!child) {
		usleep((useconds_t)after_ms * 1000);
		_exit(exit_code);
	}
	return child;
}

static void children_of_the_host_are_left_alone(void **state)
{
	(void)state;
	const pj_bytes text = make_lines(1500);
	const pid_t before = start_child(7, 0), during = start_child(8, 20), after = start_child(9, 300);
	for (int i = 0; i < 12; i++) {
		const pj_options options = {.input = {.memory = &text, .memory_count = 1},
					    .sorter = sorters[i % SORTERS],
					    .workers = 2,
					    .split_bytes = 4000};
		pj_text results = run(&wordcount, options, NULL);
		pj__text_fini(&results);
	}
	const pid_t children[] = {before, during, after};
	for (int i = 0; i < 3; i++) {
		int how;
		assert_int_equal(waitpid(children[i], &how, 0), children[i]);
		assert_true(WIFEXITED(how));
		assert_int_equal(WEXITSTATUS(how), 7 + i);
	}
	free((void *)(uintptr_t)text.ptr);
}

static volatile sig_atomic_t alarms;

static void count_alarm(int signal)
{
	(void)signal;
	alarms = alarms + 1;
}

/* A thousand signals a second, and handlers of everything: runs go on, handlers stay. */
static void handlers_of_the_host_stay(void **state)
{
	(void)state;
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD, SIGUSR1, SIGALRM, SIGTSTP};
	enum { SIGNALS = sizeof signals / sizeof *signals };
	const pj_bytes text = make_lines(1500);
	const struct sigaction ours = {.sa_handler = count_alarm}; /* no SA_RESTART */
	struct sigaction before[SIGNALS], now;
	sigset_t mask_before, mask_now;
	for (int i = 0; i < SIGNALS; i++)
		assert_int_equal(sigaction(signals[i], &ours, &before[i]), 0);
	assert_int_equal(sigprocmask(SIG_SETMASK, NULL, &mask_before), 0);
	const struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
	assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
	pj_text expected = {0};
	for (int i = 0; i < 9; i++) {
		struct stream stream = {text, 3000, 0, PJ_OK};
		pj_options options = {.input = {.memory = &text, .memory_count = 1},
				      .sorter = sorters[i % SORTERS],
				      .workers = 2,
				      .split_bytes = 4000};
		if (i % 2)
			options.input = (pj_input){.read = read_stream, .arg = &stream};
		pj_text results = run(&wordcount, options, NULL);
		if (i == 0)
			expected = results;
		else
			assert_results(&results, pj__text_all(&expected));
	}
	assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
	assert_true(alarms > 10);
	for (int i = 0; i < SIGNALS; i++) {
		assert_int_equal(sigaction(signals[i], &before[i], &now), 0);
		assert_ptr_equal(now.sa_handler, count_alarm);
	}
	assert_int_equal(sigprocmask(SIG_SETMASK, NULL, &mask_now), 0);
	for (int signal = 1; signal < 64; signal++)
		assert_int_equal(sigismember(&mask_before, signal), sigismember(&mask_now, signal));
	pj__text_fini(&expected);
	free((void *)(uintptr_t)text.ptr);
	alarm(60);
}

/* A host that wants to hear nothing of its children: their statuses are not to be had, and the runs go on. */
static void a_host_that_ignores_its_children(void **state)
{
	(void)state;
	const pj_bytes text = make_lines(1000);
	const struct sigaction ignoring = {.sa_handler = SIG_IGN};
	struct sigaction before;
	assert_int_equal(sigaction(SIGCHLD, &ignoring, &before), 0);
	for (int s = 1; s < SORTERS; s++) {
		const pj_options options = {.input = {.memory = &text, .memory_count = 1},
					    .sorter = sorters[s],
					    .workers = 2,
					    .split_bytes = 2000};
		pj_result result;
		pj_text results = run(&wordcount, options, &result);
		assert_int_equal(result.records, 1000);
		pj__text_fini(&results);
	}
	assert_int_equal(sigaction(SIGCHLD, &before, NULL), 0);
	free((void *)(uintptr_t)text.ptr);
}

struct thread {
	pthread_t id;
	size_t number, runs;
	bool good;
};

static void *run_often(void *arg)
{
	struct thread *thread = arg;
	const pj_bytes text = make_lines(200 + 50 * thread->number);
	pj_text expected = {0};
	thread->good = true;
	for (size_t i = 0; i < thread->runs; i++) {
		pj_text results = {0};
		const pj_options options = {.input = {.memory = &text, .memory_count = 1},
					    .sorter = sorters[i % SORTERS],
					    .output = {.pair = take_pair, .arg = &results},
					    .workers = 2,
					    .split_bytes = 1000};
		thread->good &= pj_run(&wordcount, &options, NULL, NULL) == PJ_OK;
		if (i == 0) {
			expected = results;
			continue;
		}
		thread->good &= pj_bytes_equal(pj__text_all(&results), pj__text_all(&expected)) && results.len > 0;
		pj__text_fini(&results);
	}
	pj__text_fini(&expected);
	free((void *)(uintptr_t)text.ptr);
	return NULL;
}

static void threads_run_side_by_side(void **state)
{
	(void)state;
#if defined(__SANITIZE_ADDRESS__)
	/* its allocator's locks, held by another thread while one forks, stay locked in the child */
	print_message("skip: AddressSanitizer's allocator does not survive a fork beside other threads\n");
	skip();
#endif
	enum { THREADS = 5 };
	struct thread threads[THREADS];
	const size_t before = count_descriptors();
	for (size_t i = 0; i < THREADS; i++) {
		threads[i] = (struct thread){.number = i, .runs = 7};
		assert_int_equal(pthread_create(&threads[i].id, NULL, run_often, &threads[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i].id, NULL);
	for (size_t i = 0; i < THREADS; i++)
		assert_true(threads[i].good);
	assert_int_equal(count_descriptors(), before);
}

static void tell(void *arg, const pj_progress *progress)
{
	pj_progress *last = arg;
	assert_true(progress->done <= progress->total || !progress->total);
	assert_true(strcmp(progress->phase, "map") != 0 || progress->done >= last->done ||
		    strcmp(last->phase, "map") != 0);
	*last = *progress;
}

static void progress_is_told(void **state)
{
	(void)state;
	const pj_bytes text = make_lines(50);
	const pj_job job = {
		.abi = PJ_ABI, .name = "slow", .mapper = {.line = sleep_a_little}, .reducer = {.aggregate = &pj_count}};
	pj_progress last = {.phase = ""};
	const pj_options options = {.input = {.memory = &text, .memory_count = 1},
				    .workers = 4,
				    .split_bytes = 100,
				    .progress = tell,
				    .progress_arg = &last};
	pj_text results = run(&job, options, NULL);
	assert_true(last.phase[0]);
	assert_true(last.seconds > 0.05 && last.workers == 4);
	pj__text_fini(&results);
	free((void *)(uintptr_t)text.ptr);
}

int main(void)
{
	alarm(60);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_ways_come_to_the_same),
		cmocka_unit_test(counts_are_right),
		cmocka_unit_test(empty_inputs_have_no_results),
		cmocka_unit_test(lines_longer_than_splits),
		cmocka_unit_test(tasks_begin_and_end),
		cmocka_unit_test(numbers_are_converted),
		cmocka_unit_test(trouble_is_told),
		cmocka_unit_test(inputs_may_fail),
		cmocka_unit_test(outputs_may_fail),
		cmocka_unit_test(runs_can_be_stopped),
		cmocka_unit_test(descriptors_are_given_back),
		cmocka_unit_test(children_of_the_host_are_left_alone),
		cmocka_unit_test(handlers_of_the_host_stay),
		cmocka_unit_test(a_host_that_ignores_its_children),
		cmocka_unit_test(threads_run_side_by_side),
		cmocka_unit_test(progress_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
