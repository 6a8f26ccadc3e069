/*
 * test_lines.c: what a task can tell of its input: the numbers of lines wherever the input comes from and is cut, and
 * the inputs by number. Jobs that need a number of inputs, that begin without text, that get and release something.
 */
#include "testing.h"

#include <papjuice/job.h>

#include "base/text.h"
#include "engine/engine.h"

static const pj_sorter sorters[] = {PJ_SORTER_SIMPLE, PJ_SORTER_PLEX};

/* Results as "key=value;" */
static pj_status take_pair(void *arg, pj_bytes key, pj_bytes value)
{
	pj_text *const text = arg;
	pj_text_bytes(text, key);
	pj__text_byte(text, '=');
	pj_text_bytes(text, value);
	pj__text_byte(text, ';');
	return PJ_OK;
}

struct stream {
	pj_bytes rest;
	size_t step;
};

static pj_status read_stream(void *arg, char *to, size_t size, size_t *got)
{
	struct stream *const stream = arg;
	const size_t most = stream->step < size ? stream->step : size;
	*got = most < stream->rest.len ? most : stream->rest.len;
	if (*got)
		memcpy(to, stream->rest.ptr, *got);
	stream->rest = (pj_bytes){stream->rest.ptr + *got, stream->rest.len - *got};
	return PJ_OK;
}

/* ---------------------------------------------------------------------------------------------------- line numbers */

/* Each line under its number, asked for from its end and from its beginning. */
static pj_status number_lines(pj_task *task, pj_bytes text, void *arg)
{
	(void)arg;
	const char *const start = text.ptr;
	const uint64_t first = pj_task_line(task, start);
	pj_bytes line;
	while (pj_next_line(task, &text, &line)) {
		char number[64];
		const uint64_t at_end = pj_task_line(task, line.ptr + line.len);
		snprintf(number, sizeof number, "%llu", (unsigned long long)pj_task_line(task, line.ptr));
		if (at_end != pj_task_line(task, line.ptr) || pj_task_line(task, start) != first)
			return PJ_ERR_USER;
		pj_emit(task, pj_bytes_of(number), line);
	}
	return pj_task_line(task, NULL) ? PJ_ERR_USER : PJ_OK;
}

static const pj_job numbers = {
	.abi = PJ_ABI, .name = "numbers", .mapper = {.text = number_lines}, .map_only = true, .counts_lines = true};

static void expect_lines(pj_text *expected, pj_bytes text)
{
	pj_bytes line;
	for (int64_t number = 1; pj_next_line_plain(&text, &line); number++) {
		pj_text_i64(expected, number);
		pj__text_byte(expected, '=');
		pj_text_bytes(expected, line);
		pj__text_byte(expected, ';');
	}
}

static void assert_run(const pj_job *job, pj_options options, const pj_text *expected)
{
	pj_text results = {0};
	pj_error error;
	options.output = (pj_output){.pair = take_pair, .arg = &results};
	assert_good(pj_run(job, &options, NULL, &error), error);
	assert_int_equal(results.len, expected->len);
	assert_memory_equal(results.data ? results.data : "", expected->data ? expected->data : "", expected->len);
	pj__text_fini(&results);
}

/* The text in memory twice, then as a stream. */
static void check_numbers(pj_bytes text, uint64_t split_bytes, pj_sorter sorter)
{
	const pj_bytes memory[] = {text, text};
	struct stream stream = {text, 1 + split_bytes % 11};
	pj_text expected = {0};
	for (int i = 0; i < 3; i++)
		expect_lines(&expected, text);
	assert_run(&numbers,
		   (pj_options){.input = {.memory = memory, .memory_count = 2, .read = read_stream, .arg = &stream},
				.split_bytes = split_bytes,
				.sorter = sorter,
				.workers = 2},
		   &expected);
	pj__text_fini(&expected);
}

static void lines_are_numbered_however_they_are_cut(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"", "\n", "\n\n\n", "a", "a\n", "a\nbb\n\nccc\ndddddddddddd\n\n\ne", "\n\nlong line"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		for (uint64_t split_bytes = 1; split_bytes < 12; split_bytes++)
			for (int s = 0; s < 2; s++)
				if (!s || split_bytes % 4 == 3)
					check_numbers(pj_bytes_of(texts[i]), split_bytes, sorters[s]);
}

static void long_texts_are_numbered(void **state)
{
	(void)state;
	enum { SIZE = 600000 };
	uint64_t random = 3;
	char *const text = malloc(SIZE);
	assert_non_null(text);
	for (size_t i = 0; i < SIZE; i++)
		text[i] = random_below(&random, i < SIZE / 2 ? 20 : 50000) ? 'x' : '\n';
	for (int s = 0; s < 2; s++) {
		check_numbers((pj_bytes){text, SIZE}, 3000, sorters[s]);
		check_numbers((pj_bytes){text, SIZE}, 150000, sorters[s]);
	}
	free(text);
}

static pj_status no_numbers(pj_task *task, pj_bytes line, void *arg)
{
	(void)arg;
	return pj_task_line(task, line.ptr) ? PJ_ERR_USER : PJ_OK;
}

static void who_does_not_ask_gets_none(void **state)
{
	(void)state;
	const pj_job job = {.abi = PJ_ABI, .name = "none", .mapper = {.line = no_numbers}, .map_only = true};
	const pj_bytes memory = pj_bytes_of("a\nb\n");
	pj_text expected = {0};
	assert_run(&job, (pj_options){.input = {.memory = &memory, .memory_count = 1}}, &expected);
}

static void an_input_that_is_gone_ends_the_counting(void **state)
{
	(void)state;
	char path[] = "/tmp/papjuice-test-XXXXXX";
	const char *const paths[] = {path};
	for (int s = 0; s < 2; s++) {
		memcpy(path + sizeof path - 7, "XXXXXX", 6);
		const int fd = mkstemp(path);
		assert_true(fd >= 0 && ftruncate(fd, 1 << 20) == 0);
		const pj_options options = {.input = {.paths = paths, .path_count = 1},
					    .split_bytes = 1 << 16,
					    .sorter = sorters[s],
					    .workers = 2};
		pj__setup setup;
		pj__plan plan;
		pj_error error;
		assert_good(pj__setup_init(&setup, &numbers, &options, &error), error);
		assert_good(pj__plan_init(&plan, &setup, false, &error), error);
		assert_int_equal(close(fd) | unlink(path), 0);
		assert_fails(pj__count_lines(&setup, &plan, &error), PJ_ERR_INPUT, error);
		assert_string_equal(error.file, path);
		pj__plan_fini(&plan);
		pj__setup_fini(&setup);
	}
}

/* ---------------------------------------------------------------------------------------------------------- inputs */

static pj_status tell_input(pj_task *task, pj_bytes line, void *arg)
{
	(void)arg;
	const pj_place place = pj_task_place(task, line.ptr);
	if (strcmp(place.file, pj_task_input(task, place.input)) != 0 || pj_task_input(task, 3))
		return PJ_ERR_USER;
	char number[64];
	snprintf(number, sizeof number, "%llu", (unsigned long long)place.input);
	pj_emit(task, line, pj_bytes_of(number));
	return PJ_OK;
}

/* Names for the numbers that are the values. */
static pj_status name_inputs(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	(void)arg;
	int64_t number;
	while (pj_next_i64(values, &number))
		pj_emit(task, key, pj_bytes_of(pj_task_input(task, (uint64_t)number)));
	return PJ_OK;
}

static void inputs_are_known_by_number(void **state)
{
	(void)state;
	const pj_job job = {
		.abi = PJ_ABI, .name = "inputs", .mapper = {.line = tell_input}, .reducer = {.general = name_inputs}};
	const pj_bytes memory[] = {pj_bytes_of("a\nb"), pj_bytes_of(""), pj_bytes_of("b\nc\n")};
	pj_text expected = {0};
	pj_text_bytes(&expected, pj_bytes_of("a=memory:0;b=memory:0;b=memory:2;c=memory:2;"));
	for (int s = 0; s < 2; s++)
		assert_run(&job,
			   (pj_options){
				   .input = {.memory = memory, .memory_count = 3}, .sorter = sorters[s], .workers = 2},
			   &expected);
	pj__text_fini(&expected);
}

static void a_job_may_need_a_number_of_inputs(void **state)
{
	(void)state;
	pj_job job = numbers;
	job.input_count = 2;
	const pj_bytes memory[] = {pj_bytes_of("a\n"), pj_bytes_of("b\n"), pj_bytes_of("c\n")};
	for (size_t count = 1; count <= 3; count++) {
		const pj_options options = {.input = {.memory = memory, .memory_count = count},
					    .output = {.path = "/dev/null"}};
		pj_error error;
		if (count == 2)
			assert_good(pj_run(&job, &options, NULL, &error), error);
		else
			assert_fails(pj_run(&job, &options, NULL, &error), PJ_ERR_USAGE, error);
	}
}

/* ------------------------------------------------------------------------------------------ beginning and releasing */

static pj_status emit_head(pj_task *task, void *arg)
{
	(void)arg;
	if (pj_task_index(task) == 0)
		pj_emit(task, pj_bytes_of("head"), pj_bytes_of(""));
	return PJ_OK;
}

static pj_status emit_line(pj_task *task, pj_bytes line, void *arg)
{
	(void)arg;
	pj_emit(task, line, pj_bytes_of(pj_task_index(task) ? "" : "in the first task"));
	return PJ_OK;
}

static void a_first_task_without_text(void **state)
{
	(void)state;
	static const char *const texts[] = {"", "one\n", "one\ntwo\n"};
	static const char *const expected[] = {"head=;", "head=;one=;", "head=;one=;two=;"};
	for (unsigned i = 0; i < 24; i++) {
		const pj_job job = {.abi = PJ_ABI,
				    .name = "head",
				    .mapper = {.line = emit_line, .begin = emit_head},
				    .map_only = i % 2,
				    .begins_empty = true};
		const pj_bytes memory = pj_bytes_of(texts[i / 8]);
		struct stream stream = {memory, 2};
		pj_options options = {.sorter = sorters[i / 2 % 2], .split_bytes = 3, .workers = 2};
		if (i / 4 % 2)
			options.input = (pj_input){.memory = &memory, .memory_count = 1};
		else
			options.input = (pj_input){.read = read_stream, .arg = &stream};
		pj_text text = {0};
		pj_text_bytes(&text, pj_bytes_of(expected[i / 8]));
		assert_run(&job, options, &text);
		pj__text_fini(&text);
	}
}

static pj_status get_something(pj_job *job, const char *const *values, pj_error *error)
{
	(void)error;
	if (values[0] && !strcmp(values[0], "refuse"))
		return PJ_ERR_USAGE;
	job->mapper.arg = malloc(1);
	if (values[0] && !strcmp(values[0], "spoil"))
		job->name = "not a word";
	return job->mapper.arg ? PJ_OK : PJ_ERR_MEMORY;
}

static int released;

static void release(pj_job *job)
{
	free(job->mapper.arg);
	released++;
}

static void what_was_got_is_released_once(void **state)
{
	(void)state;
	static const pj_job_option own[] = {{.name = "how", .value = "HOW"}, {NULL}};
	const pj_job job = {.abi = PJ_ABI,
			    .name = "gets",
			    .mapper = {.line = emit_line},
			    .options = own,
			    .configure = get_something,
			    .release = release};
	static const struct {
		const char *how;
		int released;
		pj_status status;
	} cases[] = {{NULL, 1, PJ_OK}, {"refuse", 0, PJ_ERR_USAGE}, {"spoil", 1, PJ_ERR_USAGE}};
	const pj_bytes memory = pj_bytes_of("a\n");
	for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
		const pj_options options = {.input = {.memory = &memory, .memory_count = 1},
					    .output = {.path = "/dev/null"},
					    .sorter = sorters[i % 2],
					    .values = (const char *const[]){cases[i / 2].how}};
		released = 0;
		assert_int_equal(pj_run(&job, &options, NULL, NULL), cases[i / 2].status);
		assert_int_equal(released, cases[i / 2].released);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_numbered_however_they_are_cut),
		cmocka_unit_test(long_texts_are_numbered),
		cmocka_unit_test(who_does_not_ask_gets_none),
		cmocka_unit_test(an_input_that_is_gone_ends_the_counting),
		cmocka_unit_test(inputs_are_known_by_number),
		cmocka_unit_test(a_job_may_need_a_number_of_inputs),
		cmocka_unit_test(a_first_task_without_text),
		cmocka_unit_test(what_was_got_is_released_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
