/*
 * conformance.h: what every engine must do. A test program that includes it runs each engine of the table through the
 * same jobs, from outside, by pj_run. What is right is written down for a small input; for a large one it is what the
 * table's first engine gives. What an engine cannot do it must refuse, before the output is touched.
 */
#ifndef PJ_TESTS_CONFORMANCE_H
#define PJ_TESTS_CONFORMANCE_H

#include "testing.h"

#include <papjuice/job.h>
#include <papjuice/session.h>
#include <sys/stat.h>

#include "engine/engine.h"

enum { CONFORMANCE_PARTS = 3, CONFORMANCE_ROOM = 1 << 20, CONFORMANCE_LINES = 5000 };

/* --------------------------------------------------------------------------------------------------------- jobs */

/* "key value": the value as a number. */
static pj_status emit_number(pj_task *task, pj_bytes line, void *arg)
{
	pj_bytes key, value = {NULL, 0};
	int64_t number = 0;
	(void)arg;
	if (!pj_next_word(task, &line, &key) || !pj_next_word(task, &line, &value))
		return PJ_OK;
	for (size_t i = 0; i < value.len; i++)
		number = number * 10 + (value.ptr[i] - '0');
	pj_emit_i64(task, key, number);
	return PJ_OK;
}

static pj_status emit_text(pj_task *task, pj_bytes line, void *arg)
{
	pj_bytes key, value;
	(void)arg;
	if (pj_next_word(task, &line, &key) && pj_next_word(task, &line, &value))
		pj_emit(task, key, value);
	return PJ_OK;
}

/* Fails at the key "c", late in the input. */
static pj_status emit_or_fail(pj_task *task, pj_bytes line, void *arg)
{
	return line.len && *line.ptr == 'c' ? PJ_ERR_USER : emit_text(task, line, arg);
}

/* All values of a key in their order, joined by commas. */
static pj_status join_values(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	static char joined[CONFORMANCE_ROOM];
	size_t len = 0;
	pj_bytes value;
	(void)arg;
	while (pj_next_value(values, &value) && len + value.len + 1 < sizeof joined) {
		memcpy(joined + len, value.ptr, value.len);
		len += value.len;
		joined[len++] = ',';
	}
	pj_emit(task, key, (pj_bytes){joined, len});
	return PJ_OK;
}

static int descending(pj_bytes a, pj_bytes b, void *arg)
{
	(void)arg;
	return pj_bytes_compare(b, a);
}

static size_t first_byte(pj_bytes key, void *arg)
{
	(void)arg;
	return key.len < 1 ? key.len : 1;
}

#define CONFORMANCE_JOB .abi = PJ_ABI, .name = "conformance"
static const pj_job sums = {CONFORMANCE_JOB, .mapper = {.line = emit_number}, .reducer = {.aggregate = &pj_sum_i64}};
static const pj_job joins = {CONFORMANCE_JOB, .mapper = {.line = emit_text}, .reducer = {.general = join_values}};
static const pj_job sorts = {CONFORMANCE_JOB, .mapper = {.line = emit_text}};
static const pj_job maps = {CONFORMANCE_JOB, .mapper = {.line = emit_text}, .map_only = true};
static const pj_job fails = {CONFORMANCE_JOB, .mapper = {.line = emit_or_fail}};
static const pj_job reversed = {CONFORMANCE_JOB, .mapper = {.line = emit_text}, .reducer = {.general = join_values},
				.keys = {.compare = descending}};
static const pj_job grouped = {CONFORMANCE_JOB, .mapper = {.line = emit_text}, .reducer = {.general = join_values},
			       .keys = {.group = first_byte, .sort_values = true}};

/* What is asked of the engines, what it needs, and what comes out of small_text. */
struct demand {
	const char *name;
	const pj_job *job;
	unsigned needs; /* PJ__CAN_... */
	pj_sorter sorter;
	pj_parts parts;
	bool down;                             /* the largest value first */
	const char *file;                      /* the output as a file ... */
	const char *folder[CONFORMANCE_PARTS]; /* ... and as part files; NULL: not written down */
};

static const char small_text[] = "bb 1\na 2\nba 30\nbb 4\nc 50\na 6\n";
static const struct demand demands[] = {
	{.name = "an aggregate", .job = &sums, .file = "a\t8\nba\t30\nbb\t5\nc\t50\n"},
	{.name = "a general reducer", .job = &joins, .file = "a\t2,6,\nba\t30,\nbb\t1,4,\nc\t50,\n"},
	{.name = "no reducer", .job = &sorts, .file = "a\t2\na\t6\nba\t30\nbb\t1\nbb\t4\nc\t50\n"},
	{.name = "only a mapper", .job = &maps, .file = "bb\t1\na\t2\nba\t30\nbb\t4\nc\t50\na\t6\n"},
	{.name = "a group by the first byte", .job = &grouped, .file = "a\t2,6,\nba\t30,1,4,\nc\t50,\n"},
	{.name = "an order of its own",
	 .job = &reversed,
	 .needs = PJ__CAN_RANGE,
	 .file = "c\t50,\nbb\t1,4,\nba\t30,\na\t2,6,\n",
	 .folder = {"c\t50,\n", "bb\t1,4,\nba\t30,\n", "a\t2,6,\n"}},
	{.name = "ranges",
	 .job = &joins,
	 .needs = PJ__CAN_RANGE,
	 .parts = PJ_PARTS_RANGES,
	 .file = "a\t2,6,\nba\t30,\nbb\t1,4,\nc\t50,\n",
	 .folder = {"a\t2,6,\n", "ba\t30,\n", "bb\t1,4,\nc\t50,\n"}},
	{.name = "ranges as they were spelled",
	 .job = &sums,
	 .needs = PJ__CAN_RANGE,
	 .sorter = PJ_SORTER_TOTAL,
	 .file = "a\t8\nba\t30\nbb\t5\nc\t50\n",
	 .folder = {"a\t8\n", "ba\t30\n", "bb\t5\nc\t50\n"}},
#if !defined(__SANITIZE_THREAD__) /* it sees one process: a mutex that others lock and unlock confuses it */
	{.name = "the sorter shared",
	 .job = &sums,
	 .needs = PJ__CAN_SHARE,
	 .sorter = PJ_SORTER_SHARED,
	 .file = "a\t8\nba\t30\nbb\t5\nc\t50\n"},
#endif
	{.name = "the largest first",
	 .job = &sums,
	 .needs = PJ__CAN_ORDER,
	 .down = true,
	 .file = "c\t50\nba\t30\na\t8\nbb\t5\n"},
};

/* -------------------------------------------------------------------------------------------------------- runs */

static char conformance_folder[] = "/tmp/papjuice-engines-XXXXXX";

static void path_of(const char *name, char *path, size_t size)
{
	snprintf(path, size, "%s/%s", conformance_folder, name);
}

/* The bytes of a file, to be freed; it is removed. */
static char *take_file(const char *path)
{
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	char *bytes = calloc(1, CONFORMANCE_ROOM);
	assert_non_null(bytes);
	assert_true(fread(bytes, 1, CONFORMANCE_ROOM - 1, file) < CONFORMANCE_ROOM - 1);
	fclose(file);
	assert_int_equal(unlink(path), 0);
	return bytes;
}

static pj_options options_of(const pj__engine *engine, const struct demand *demand, const pj_bytes *text)
{
	return (pj_options){.input = {.memory = text, .memory_count = 1},
			    .output.order = demand->down ? PJ_BY_VALUE_DOWN : PJ_BY_KEY,
			    .engine = engine->name,
			    .sorter = demand->sorter,
			    .parts = demand->parts,
			    .partitions = CONFORMANCE_PARTS,
			    .split_bytes = text->len / 4 + 1,
			    .workers = 3,
			    .attempts = 1};
}

/* The output as one file; NULL: the engine refuses, as it may, and there is no output. */
static char *run_to_file(const pj__engine *engine, const struct demand *demand, pj_bytes text)
{
	char path[64];
	pj_error error;
	pj_options options = options_of(engine, demand, &text);
	path_of("file", path, sizeof path);
	options.output.path = path;
	if (demand->needs & ~engine->can) {
		assert_fails(pj_run(demand->job, &options, NULL, &error), PJ_ERR_USAGE, error);
		assert_true(error.hint[0] && access(path, F_OK) < 0);
		return NULL;
	}
	assert_good(pj_run(demand->job, &options, NULL, &error), error);
	return take_file(path);
}

/* The output as part files, each after its number; NULL as above. */
static char *run_to_folder(const pj__engine *engine, const struct demand *demand, pj_bytes text)
{
	char folder[64], path[128], *all = calloc(1, 2 * CONFORMANCE_ROOM);
	pj_error error;
	pj_options options = options_of(engine, demand, &text);
	path_of("folder/", folder, sizeof folder);
	options.output.path = folder;
	assert_non_null(all);
	if (demand->needs & ~engine->can) {
		assert_fails(pj_run(demand->job, &options, NULL, &error), PJ_ERR_USAGE, error);
		assert_true(access(folder, F_OK) < 0);
		free(all);
		return NULL;
	}
	assert_good(pj_run(demand->job, &options, NULL, &error), error);
	for (int i = 0;; i++) {
		snprintf(path, sizeof path, "%spart-%05d", folder, i);
		if (access(path, F_OK) < 0)
			break;
		char *bytes = take_file(path);
		snprintf(all + strlen(all), 2 * CONFORMANCE_ROOM - strlen(all), "[%d]\n%s", i, bytes);
		free(bytes);
	}
	snprintf(path, sizeof path, "%s_SUCCESS", folder);
	assert_int_equal(unlink(path) | rmdir(folder), 0);
	return all;
}

/* The two are the same, if the engine has given anything. */
static void assert_gives(const pj__engine *engine, const struct demand *demand, char *got, const char *expected)
{
	if (got && strcmp(got, expected) != 0)
		print_error("the engine %s, %s\n", engine->name, demand->name);
	if (got)
		assert_string_equal(got, expected);
	free(got);
}

#define for_every(engine_, demand_)                                                                                    \
	for (const pj__engine *const *at_ = pj__engines, *engine_ = *at_; engine_; engine_ = *++at_)                   \
		for (const struct demand *demand_ = demands; demand_ < demands + sizeof demands / sizeof *demands;     \
		     demand_++)

/* ------------------------------------------------------------------------------------------------------- tests */

static void a_small_input_gives_what_is_written_down(void **state)
{
	(void)state;
	const pj_bytes text = pj_bytes_of(small_text);
	for_every(engine, demand)
	{
		char parts[256] = "";
		assert_gives(engine, demand, run_to_file(engine, demand, text), demand->file);
		for (int i = 0; i < CONFORMANCE_PARTS && demand->folder[0]; i++)
			snprintf(parts + strlen(parts), sizeof parts - strlen(parts), "[%d]\n%s", i, demand->folder[i]);
		if (demand->folder[0])
			assert_gives(engine, demand, run_to_folder(engine, demand, text), parts);
	}
}

static void a_large_input_gives_what_the_first_engine_gives(void **state)
{
	(void)state;
	static char text[32 * CONFORMANCE_LINES];
	uint64_t dice = 7;
	size_t len = 0;
	for (int i = 0; i < CONFORMANCE_LINES; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "%zx %d\n", random_below(&dice, 900), i);
	for_every(engine, demand)
	{
		char *file = run_to_file(pj__engines[0], demand, (pj_bytes){text, len});
		char *folder = run_to_folder(pj__engines[0], demand, (pj_bytes){text, len});
		assert_true(strlen(file) > 1000 && strlen(folder) > 1000);
		assert_gives(engine, demand, run_to_file(engine, demand, (pj_bytes){text, len}), file);
		assert_gives(engine, demand, run_to_folder(engine, demand, (pj_bytes){text, len}), folder);
		free(file);
		free(folder);
	}
}

static void little_input_and_one_key(void **state)
{
	(void)state;
	static const struct demand one = {.name = "one line", .job = &sums};
	static const char empty[] = "[0]\n[1]\n[2]\n";
	for_every(engine, demand)
	{
		char *folder = demand->job->map_only || demand->down
				       ? NULL
				       : run_to_folder(engine, demand, pj_bytes_of("\n\n"));
		assert_gives(engine, demand, run_to_file(engine, demand, pj_bytes_of("")), "");
		assert_gives(engine, demand, folder, empty);
		assert_gives(engine, &one, run_to_file(engine, &one, pj_bytes_of("k 7")), "k\t7\n");
		assert_gives(engine, &one, run_to_file(engine, &one, pj_bytes_of("k 1\nk 2\nk 3\nk 4\n")), "k\t10\n");
	}
}

/* A function that gives the text, and one that takes the results as text. */
struct ends {
	pj_bytes rest;
	char results[256];
};

static pj_status give(void *arg, char *to, size_t size, size_t *got)
{
	struct ends *ends = arg;
	*got = ends->rest.len < size ? ends->rest.len : size;
	memcpy(to, ends->rest.ptr, *got);
	ends->rest = (pj_bytes){ends->rest.ptr + *got, ends->rest.len - *got};
	return PJ_OK;
}

static pj_status take_result(void *arg, pj_bytes key, pj_bytes value)
{
	struct ends *ends = arg;
	const size_t len = strlen(ends->results);
	snprintf(ends->results + len, sizeof ends->results - len, "%.*s\t%.*s\n", (int)key.len, key.ptr, (int)value.len,
		 value.ptr);
	return PJ_OK;
}

static void functions_and_streams(void **state)
{
	(void)state;
	for_every(engine, demand)
	{
		const bool can = (PJ__CAN_CALL | PJ__CAN_STREAM | demand->needs) & ~engine->can ? false : true;
		struct ends ends = {.rest = pj_bytes_of(small_text)};
		pj_error error;
		pj_options options = options_of(engine, demand, &ends.rest);
		options.input = (pj_input){.read = give, .arg = &ends};
		options.output = (pj_output){.pair = take_result, .arg = &ends, .order = options.output.order};
		assert_int_equal(pj_run(demand->job, &options, NULL, &error), can ? PJ_OK : PJ_ERR_USAGE);
		assert_string_equal(ends.results, can ? demand->file : "");
	}
}

static void a_failure_leaves_the_old_output(void **state)
{
	(void)state;
	const pj_bytes text = pj_bytes_of(small_text);
	static const struct demand demand = {.name = "a failure", .job = &fails};
	for (const pj__engine *const *engine = pj__engines; *engine; engine++) {
		char path[64];
		pj_error error;
		pj_options options = options_of(*engine, &demand, &text);
		path_of("old", path, sizeof path);
		FILE *file = fopen(path, "w");
		assert_non_null(file);
		assert_true(fputs("old", file) >= 0 && fclose(file) == 0);
		options.output.path = path;
		options.output.overwrite = true;
		assert_fails(pj_run(&fails, &options, NULL, &error), PJ_ERR_USER, error);
		assert_string_equal(error.phase, "map");
		char *old = take_file(path);
		assert_string_equal(old, "old");
		free(old);
		assert_int_equal(rmdir(conformance_folder), 0); /* nothing else is left */
		assert_int_equal(mkdir(conformance_folder, 0700), 0);
	}
}

static void a_stop_is_obeyed(void **state)
{
	(void)state;
	static const volatile sig_atomic_t stop = SIGTERM;
	const pj_bytes text = pj_bytes_of(small_text);
	for (const pj__engine *const *engine = pj__engines; *engine; engine++) {
		char path[64];
		pj_error error;
		pj_options options = options_of(*engine, &demands[0], &text);
		path_of("stopped", path, sizeof path);
		options.output.path = path;
		options.stop = &stop;
		assert_fails(pj_run(demands[0].job, &options, NULL, &error), PJ_ERR_INTERRUPTED, error);
		assert_true(access(path, F_OK) < 0);
	}
}

static void sessions(void **state)
{
	(void)state;
	const pj_bytes text = pj_bytes_of(small_text);
	for (const pj__engine *const *engine = pj__engines; *engine; engine++) {
		const bool can = ((*engine)->can & PJ__CAN_STAY) != 0;
		pj_error error;
		pj_session *session = NULL;
		pj_options options = options_of(*engine, &demands[0], &text);
		assert_int_equal(pj_session_open(&sums, 1, &options, &session, &error), can ? PJ_OK : PJ_ERR_USAGE);
		for (int i = 0; i < 3 && can; i++) {
			struct ends ends = {.rest = {NULL, 0}};
			const pj_output output = {.pair = take_result, .arg = &ends};
			assert_good(pj_session_run(session, 0, (pj_bytes){NULL, 0}, &output, NULL, &error), error);
			assert_string_equal(ends.results, demands[0].file);
		}
		pj_session_close(session);
	}
}

static void an_unknown_engine_is_refused(void **state)
{
	(void)state;
	const pj_bytes text = pj_bytes_of(small_text);
	const pj__engine nobody = {.name = "nobody"};
	pj_engine_facts facts;
	pj_error error;
	const pj_options options = options_of(&nobody, &demands[0], &text);
	assert_fails(pj_run(&sums, &options, NULL, &error), PJ_ERR_USAGE, error);
	assert_false(pj_engine_of(&sums, &options, &facts));
	for (const pj__engine *const *engine = pj__engines; *engine; engine++) {
		const pj_options good = options_of(*engine, &demands[0], &text);
		assert_non_null(strstr(error.hint, (*engine)->name));
		assert_true(pj_engine_of(&sums, &good, &facts));
		assert_string_equal(facts.name, (*engine)->name);
		assert_int_equal(facts.in_caller, ((*engine)->can & PJ__IS_IN_CALLER) != 0);
	}
}

static inline int run_conformance(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_input_gives_what_is_written_down),
		cmocka_unit_test(a_large_input_gives_what_the_first_engine_gives),
		cmocka_unit_test(little_input_and_one_key),
		cmocka_unit_test(functions_and_streams),
		cmocka_unit_test(a_failure_leaves_the_old_output),
		cmocka_unit_test(a_stop_is_obeyed),
		cmocka_unit_test(sessions),
		cmocka_unit_test(an_unknown_engine_is_refused),
	};
	alarm(110);
	if (!mkdtemp(conformance_folder))
		return 1;
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(conformance_folder);
	return failed;
}

#endif
