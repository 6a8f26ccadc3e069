/*
 * test_plan.c: a wrong job is refused in clear words, defaults are settled; and the plan cuts every input byte into
 * exactly one split, in order, by the input alone.
 */
#include "testing.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/machine.h"
#include "job/plan.h"

static char folder[] = "/tmp/papjuice-test-XXXXXX";

static pj_status map_text(pj_task *task, pj_bytes text, void *arg)
{
	(void)task;
	(void)text;
	(void)arg;
	return PJ_OK;
}

static pj_status reduce(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	(void)task;
	(void)key;
	(void)values;
	(void)arg;
	return PJ_OK;
}

static const pj_bytes some_text = {"some text\n", 10};
static const pj_options some_input = {.input = {.memory = &some_text, .memory_count = 1}};

static pj_job good_job(void)
{
	return (pj_job){
		.abi = PJ_ABI, .name = "good", .mapper = {.text = map_text}, .reducer = {.aggregate = &pj_count}};
}

/* Refused as wrong usage, with `word` in the message. */
static void assert_refused(const pj_job *job, const pj_options *options, const char *word)
{
	pj__setup setup;
	pj_error error;
	assert_fails(pj__setup_init(&setup, job, options, &error), PJ_ERR_USAGE, error);
	if (!strstr(error.what, word))
		fail_msg("\"%s\" does not say \"%s\"", error.what, word);
}

static void good_jobs_are_taken(void **state)
{
	(void)state;
	pj__setup setup;
	pj_error error;
	pj_job job = good_job();
	assert_good(pj__setup_init(&setup, &job, &some_input, &error), error);
	assert_int_equal(setup.options.sorter, PJ_SORTER_PLEX);
	assert_int_equal(setup.options.workers, pj__processors());
	assert_int_equal(setup.options.attempts, 4);
	assert_true(pj__setup_combines(&setup));
	job.map_only = true;
	assert_good(pj__setup_init(&setup, &job, &some_input, &error), error);
	assert_false(pj__setup_combines(&setup));
	job = good_job();
	job.reducer = (pj_reducer){.general = reduce};
	job.mapper = (pj_mapper){.line = map_text};
	assert_good(pj__setup_init(&setup, &job, &some_input, &error), error);
	assert_false(pj__setup_combines(&setup));
	job.name = "A.word-of_9";
	assert_good(pj__setup_init(&setup, &job, &some_input, &error), error);
}

/* What belongs to this machine is not settled, but started by the engine. */
static void settling_starts_no_process(void **state)
{
	(void)state;
	static const char *const argv[] = {"cat", NULL};
	static const pj_command command = {.argv = argv};
	const pj_job job = {.abi = PJ_ABI, .name = "programs", .mapper.command = &command, .map_only = true};
	pj__setup setup;
	pj_error error;
	assert_good(pj__setup_init(&setup, &job, &some_input, &error), error);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_good(pj__commands_guard(setup.commands, &error), error);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), 0);
	pj__setup_fini(&setup);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void names_are_words(void **state)
{
	(void)state;
	static const char *const wrong[] = {NULL, "", "two words", "a/b", "new\nline", "\xc3\xa4", "a\tb"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		pj_job job = good_job();
		job.name = wrong[i];
		assert_refused(&job, &some_input, "name");
	}
}

static void wrong_components_are_refused(void **state)
{
	(void)state;
	pj_job job = good_job();
	job.mapper.text = NULL;
	assert_refused(&job, &some_input, "mapper");
	job.mapper = (pj_mapper){.text = map_text, .line = map_text};
	assert_refused(&job, &some_input, "mapper");
	job = good_job();
	job.reducer.general = reduce;
	assert_refused(&job, &some_input, "two reducers");
	assert_refused(NULL, &some_input, "no job");
}

static void wrong_aggregates_are_refused(void **state)
{
	(void)state;
	for (int wrong = 0; wrong < 7; wrong++) {
		static const char *const words[] = {"state", "state", "`add`", "`add`", "`add`", "`finish`", "`merge`"};
		pj_job job = good_job();
		pj_aggregate aggregate = pj_sum_i64;
		job.reducer.aggregate = &aggregate;
		switch (wrong) {
		case 0:
			aggregate.state_bytes = 0;
			break;
		case 1:
			aggregate.state_bytes = PJ_STATE_BYTES_MAX + 1;
			break;
		case 2:
			aggregate.add_i64 = NULL;
			break;
		case 3:
			aggregate.takes = PJ_TAKES_F64;
			break;
		case 4:
			aggregate.takes = PJ_TAKES_BYTES;
			break;
		case 5:
			aggregate.finish = NULL;
			break;
		default:
			aggregate.merge = NULL;
			break;
		}
		assert_refused(&job, &some_input, words[wrong]);
	}
}

static pj_status never(pj_job *job, const char *const *values, pj_error *error)
{
	(void)job;
	(void)values;
	(void)error;
	fail_msg("a job of another interface was called");
	return PJ_OK;
}

/* The fields of a job of another interface lie elsewhere: nothing of it may be called. */
static void another_interface_is_refused_first(void **state)
{
	(void)state;
	pj_job job = good_job();
	job.abi = PJ_ABI + 1;
	job.configure = never;
	assert_refused(&job, &some_input, "interface");
}

static void wrong_options_are_refused(void **state)
{
	(void)state;
	const pj_job job = good_job();
	pj_options options = some_input;
	options.sorter = PJ_SORTER_TOTAL + 1;
	assert_refused(&job, &options, "sorter");
	options = some_input;
	options.workers = PJ_WORKERS_MAX + 1;
	assert_refused(&job, &options, "workers");
	options = some_input;
	options.partitions = 65537;
	assert_refused(&job, &options, "partitions");
	options = some_input;
	options.output.columns = PJ_VALUE_ONLY + 1;
	assert_refused(&job, &options, "columns");
	options = some_input;
	options.output.order = PJ_BY_VALUE_DOWN + 1;
	assert_refused(&job, &options, "order");
	assert_refused(&job, NULL, "no input");
	options = (pj_options){.input = {.path_count = 1}};
	assert_refused(&job, &options, "input");
	options = (pj_options){.input = {.memory_count = 1}};
	assert_refused(&job, &options, "input");
	const char *paths[] = {"a", NULL};
	options = (pj_options){.input = {.paths = paths, .path_count = 2}};
	assert_refused(&job, &options, "input");
	const pj_bytes nowhere = {NULL, 5};
	options = (pj_options){.input = {.memory = &nowhere, .memory_count = 1}};
	assert_refused(&job, &options, "input");
}

/* ----------------------------------------------------------------------------------------------- options of the job */

static pj_status configure(pj_job *job, const char *const *values, pj_error *error)
{
	if (!values[0])
		return PJ_ERR_USER; /* and does not say why */
	if (values[0][0] == '!') {
		snprintf(error->hint, sizeof error->hint, "no '!'");
		return PJ_ERR_RECORD;
	}
	job->name = values[0];
	job->map_only = values[1] != NULL;
	return PJ_OK;
}

static void options_of_the_job_settle_it(void **state)
{
	(void)state;
	static const pj_job_option table[] = {
		{.name = "name", .value = "N", .initial = "initial"}, {.name = "flag"}, {NULL}};
	pj_job job = good_job();
	pj__setup setup;
	pj_error error;
	job.options = table;
	job.configure = configure;
	assert_good(pj__setup_init(&setup, &job, &some_input, &error), error);
	assert_string_equal(setup.job.name, "initial");
	assert_false(setup.job.map_only);
	assert_string_equal(job.name, "good"); /* a copy was settled */
	pj_options options = some_input;
	const char *values[] = {"given", ""};
	options.values = values;
	assert_good(pj__setup_init(&setup, &job, &options, &error), error);
	assert_string_equal(setup.job.name, "given");
	assert_true(setup.job.map_only);
	values[0] = NULL;
	assert_fails(pj__setup_init(&setup, &job, &options, &error), PJ_ERR_USER, error);
	assert_non_null(strstr(error.what, "good"));
	values[0] = "!";
	assert_fails(pj__setup_init(&setup, &job, &options, &error), PJ_ERR_RECORD, error);
	assert_string_equal(error.hint, "no '!'");
	values[0] = "not a word";
	assert_refused(&job, &options, "name"); /* what comes out is checked */
}

static pj_status look_at_all(pj_job *job, const char *const *values, pj_error *error)
{
	(void)error;
	for (size_t i = 0; job->options[i].name; i++)
		if (values[i] != job->options[i].initial)
			return PJ_ERR_INTERNAL;
	return PJ_OK;
}

static void jobs_of_many_options(void **state)
{
	(void)state;
	pj_job_option table[201] = {{NULL}};
	pj_job job = good_job();
	pj__setup setup;
	pj_error error;
	job.options = table;
	job.configure = look_at_all;
	for (size_t i = 0; i < 200; i++) {
		assert_good(pj__setup_init(&setup, &job, &some_input, &error), error);
		table[i] = (pj_job_option){.name = "option", .initial = i % 3 ? "initial" : NULL};
	}
}

static const pj_job *loaded;
static pj_status load_status;

static pj_status load(void *arg, const pj_job **ret_job, pj_error *error)
{
	(void)arg;
	(void)error;
	*ret_job = loaded;
	return load_status;
}

static void loaded_jobs_must_be_the_described_ones(void **state)
{
	(void)state;
	pj_job described = good_job(), real = good_job();
	pj__setup setup;
	pj_error error;
	described.load = load;
	loaded = &real;
	real.name = "real";
	assert_good(pj__setup_init(&setup, &described, &some_input, &error), error);
	assert_good(pj__setup_load(&setup, &error), error);
	assert_string_equal(setup.job.name, "real");
	for (int wrong = 0; wrong < 6; wrong++) {
		pj_aggregate careful = pj_count;
		careful.exact = false;
		real = good_job();
		loaded = &real;
		load_status = PJ_OK;
		if (wrong == 0)
			real.map_only = true;
		else if (wrong == 1)
			real.reducer.aggregate = NULL;
		else if (wrong == 2)
			real.reducer.aggregate = &careful;
		else if (wrong == 3)
			real.reducer = (pj_reducer){.general = reduce};
		else if (wrong == 4)
			loaded = NULL;
		else
			load_status = PJ_ERR_USER; /* and does not say why */
		assert_good(pj__setup_init(&setup, &described, &some_input, &error), error);
		assert_fails(pj__setup_load(&setup, &error), PJ_ERR_USER, error);
		assert_non_null(strstr(error.what, "good"));
	}
	load_status = PJ_OK;
}

static void options_decide_over_the_job(void **state)
{
	(void)state;
	pj_job job = good_job();
	pj__setup setup;
	pj_error error;
	const pj_bytes own = {"own", 3};
	job.input = (pj_input){.memory = &own, .memory_count = 1};
	job.sorter = PJ_SORTER_SHARED;
	job.output = (pj_output){.path = "of the job", .columns = PJ_KEY_ONLY, .escape = true, .limit = 7};
	assert_good(pj__setup_init(&setup, &job, NULL, &error), error);
	assert_ptr_equal(setup.options.input.memory, &own);
	assert_int_equal(setup.options.sorter, PJ_SORTER_SHARED);
	assert_string_equal(setup.options.output.path, "of the job");
	assert_int_equal(setup.options.output.columns, PJ_KEY_ONLY);
	assert_int_equal(setup.options.output.limit, 7);
	pj_options options = some_input;
	options.sorter = PJ_SORTER_SIMPLE;
	options.output = (pj_output){.path = "of the options", .columns = PJ_VALUE_ONLY};
	assert_good(pj__setup_init(&setup, &job, &options, &error), error);
	assert_ptr_equal(setup.options.input.memory, &some_text);
	assert_int_equal(setup.options.sorter, PJ_SORTER_PLEX);
	assert_string_equal(setup.options.engine, "reference");
	assert_string_equal(setup.options.output.path, "of the options");
	assert_int_equal(setup.options.output.columns, PJ_VALUE_ONLY);
	assert_true(setup.options.output.escape);
}

/* --------------------------------------------------------------------------------------------------------- the plan */

/* The splits cover every byte of every source once, in order; no task is empty. */
static void check_plan(const pj__plan *plan)
{
	size_t split = 0;
	for (size_t s = 0; s < plan->sources.count; s++) {
		uint64_t at = 0;
		while (at < plan->sources.at[s].size) {
			assert_true(split < plan->split_count);
			const pj__split *next = &plan->splits[split++];
			assert_int_equal(next->source, s);
			assert_int_equal(next->start, at);
			assert_in_range(next->end, at + 1, plan->sources.at[s].size);
			assert_int_equal(next->limit, plan->sources.at[s].size);
			assert_true(next->end - next->start <= plan->split_bytes);
			at = next->end;
		}
	}
	assert_int_equal(split, plan->split_count);
	assert_int_equal(plan->first[0], 0);
	assert_int_equal(plan->first[plan->task_count], plan->split_count);
	for (size_t t = 0; t < plan->task_count; t++) {
		uint64_t bytes = 0;
		assert_true(plan->first[t] < plan->first[t + 1]);
		for (size_t i = plan->first[t]; i < plan->first[t + 1]; i++)
			bytes += plan->splits[i].end - plan->splits[i].start;
		assert_true(bytes <= plan->split_bytes);
	}
}

static void every_byte_is_in_one_split(void **state)
{
	(void)state;
	enum { SOURCES = 12 };
	uint64_t random = 1;
	const pj_job job = good_job();
	for (int times = 0; times < 2000; times++) {
		static char bytes[200];
		pj_bytes memory[SOURCES];
		pj_options options = {.workers = 1 + (unsigned)random_below(&random, 100)};
		options.input.memory = memory;
		options.input.memory_count = random_below(&random, SOURCES + 1);
		options.split_bytes = times % 20 ? 1 + random_below(&random, 120) : times % 40 ? 0 : UINT64_MAX;
		for (size_t i = 0; i < options.input.memory_count; i++)
			memory[i] =
				(pj_bytes){bytes, random_below(&random, 3) ? random_below(&random, sizeof bytes) : 0};
		if (!options.input.memory_count)
			continue;
		pj__setup setup;
		pj__plan plan;
		pj_error error;
		assert_good(pj__setup_init(&setup, &job, &options, &error), error);
		assert_good(pj__plan_init(&plan, &setup, times % 2, &error), error);
		check_plan(&plan);
		pj__plan_fini(&plan);
		pj__plan_fini(&plan);
	}
}

static void small_files_are_packed(void **state)
{
	(void)state;
	enum { FILES = 10000 };
	pj_bytes *memory = calloc(FILES, sizeof *memory);
	const pj_job job = good_job();
	const pj_options options = {.input = {.memory = memory, .memory_count = FILES}, .split_bytes = 1 << 20};
	pj__setup setup;
	pj__plan plan;
	pj_error error;
	for (size_t i = 0; i < FILES; i++)
		memory[i] = some_text;
	assert_good(pj__setup_init(&setup, &job, &options, &error), error);
	assert_good(pj__plan_init(&plan, &setup, false, &error), error);
	check_plan(&plan);
	assert_in_range(plan.task_count, 2, 4);
	pj__plan_fini(&plan);
	free(memory);
}

/* Neither the number of workers nor the sorter changes the plan. */
static void workers_do_not_matter(void **state)
{
	(void)state;
	enum { SIZE = 20 << 20 };
	const pj_bytes large = {mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), SIZE};
	const pj_job job = good_job();
	pj__plan first;
	pj_error error;
	for (unsigned workers = 1; workers <= 512; workers *= 8) {
		const pj_options options = {.input = {.memory = &large, .memory_count = 1},
					    .workers = workers,
					    .sorter = workers % 3 ? PJ_SORTER_SIMPLE : PJ_SORTER_SHARED};
		pj__setup setup;
		pj__plan plan;
		assert_good(pj__setup_init(&setup, &job, &options, &error), error);
		assert_good(pj__plan_init(&plan, &setup, true, &error), error);
		check_plan(&plan);
		if (workers == 1) {
			first = plan;
			continue;
		}
		assert_int_equal(plan.task_count, first.task_count);
		assert_int_equal(plan.parts, first.parts);
		assert_int_equal(plan.ranges, first.ranges);
		for (size_t i = 0; i < plan.split_count; i++) {
			assert_int_equal(plan.splits[i].start, first.splits[i].start);
			assert_int_equal(plan.splits[i].end, first.splits[i].end);
		}
		pj__plan_fini(&plan);
	}
	assert_int_equal(first.task_count, 64);
	pj__plan_fini(&first);
	munmap((void *)(uintptr_t)large.ptr, SIZE);
}

static pj_status no_bytes(void *arg, char *to, size_t size, size_t *got)
{
	(void)arg;
	(void)to;
	(void)size;
	*got = 0;
	return PJ_OK;
}

/* What comes behind a stream is made one, so that tasks are in the order of the input. */
static void streams_come_in_their_place(void **state)
{
	(void)state;
	pj__setup setup;
	pj__plan plan;
	pj_error error;
	char fifo[64];
	assert_non_null(mkdtemp(folder));
	snprintf(fifo, sizeof fifo, "%s/fifo", folder);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	const char *paths[] = {"/proc/self/exe", fifo, "/proc/self/exe"};
	const pj_job job = good_job();
	const pj_options options = {
		.input = {.paths = paths, .path_count = 3, .memory = &some_text, .memory_count = 1, .read = no_bytes}};
	assert_good(pj__setup_init(&setup, &job, &options, &error), error);
	assert_good(pj__plan_init(&plan, &setup, false, &error), error);
	assert_int_equal(plan.sources.count, 5);
	assert_int_equal(plan.sources.at[0].kind, PJ__SOURCE_FILE);
	for (size_t i = 1; i < 5; i++)
		assert_int_equal(plan.sources.at[i].kind, PJ__SOURCE_STREAM);
	const size_t before = plan.task_count;
	assert_true(before > 0);
	for (uint64_t i = 0; i < 100; i++)
		assert_good(pj__plan_add(&plan, (pj__split){1, i, i + 1, i + 1}, &error), error);
	assert_int_equal(plan.task_count, before + 100);
	assert_int_equal(plan.splits[plan.first[before + 50]].start, 50);
	pj__plan_fini(&plan);
	unlink(fifo);
	rmdir(folder);
}

static void missing_inputs_end_the_plan(void **state)
{
	(void)state;
	const char *paths[] = {"/proc/self/exe", "/no/such/file"};
	const pj_job job = good_job();
	const pj_options options = {.input = {.paths = paths, .path_count = 2}};
	pj__setup setup;
	pj__plan plan;
	pj_error error;
	assert_good(pj__setup_init(&setup, &job, &options, &error), error);
	assert_fails(pj__plan_init(&plan, &setup, false, &error), PJ_ERR_INPUT, error);
}

int main(void)
{
	alarm(60);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_jobs_are_taken),
		cmocka_unit_test(settling_starts_no_process),
		cmocka_unit_test(names_are_words),
		cmocka_unit_test(wrong_components_are_refused),
		cmocka_unit_test(wrong_aggregates_are_refused),
		cmocka_unit_test(another_interface_is_refused_first),
		cmocka_unit_test(wrong_options_are_refused),
		cmocka_unit_test(options_of_the_job_settle_it),
		cmocka_unit_test(jobs_of_many_options),
		cmocka_unit_test(loaded_jobs_must_be_the_described_ones),
		cmocka_unit_test(options_decide_over_the_job),
		cmocka_unit_test(every_byte_is_in_one_split),
		cmocka_unit_test(small_files_are_packed),
		cmocka_unit_test(workers_do_not_matter),
		cmocka_unit_test(streams_come_in_their_place),
		cmocka_unit_test(missing_inputs_end_the_plan),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
