/*
 * test_session.c: several runs on one pool of workers that stays.
 */
#include <fcntl.h>
#include <papjuice.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

/* Counts words that begin with the letter in the parameters (none: all words). */
static pj_status count_words(pj_task *task, pj_bytes text, void *arg)
{
	const pj_bytes letter = pj_task_params(task);
	pj_bytes word;
	(void)arg;
	if (letter.len && letter.ptr[0] == '!' && getpid() % 2 == 0)
		raise(SIGKILL);
	if (letter.len && letter.ptr[0] == '?')
		return pj_task_fail(task, PJ_ERR_RECORD, text.ptr, "no question");
	while (pj_next_word(task, &text, &word))
		if (!letter.len || word.ptr[0] == letter.ptr[0] || letter.ptr[0] == '!')
			pj_emit_i64(task, word, 1);
	return PJ_OK;
}

static pj_status join(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	pj_bytes value;
	(void)arg;
	char all[256];
	size_t len = 0;
	while (pj_next_value(values, &value))
		len += (size_t)snprintf(all + len, sizeof all - len, "%.*s,", (int)value.len, value.ptr);
	pj_emit(task, key, (pj_bytes){all, len});
	return PJ_OK;
}

static const pj_job jobs[] = {
	{.abi = PJ_ABI, .name = "count", .mapper = {.text = count_words}, .reducer = {.aggregate = &pj_sum_i64}},
	{.abi = PJ_ABI, .name = "join", .mapper = {.text = count_words}, .reducer = {.general = join}},
};

/* The results of a run as text, "key=value ". */
struct seen {
	char text[4096];
	size_t len;
};

static pj_status see(void *arg, pj_bytes key, pj_bytes value)
{
	struct seen *seen = arg;
	const int n = snprintf(seen->text + seen->len, sizeof seen->text - seen->len, "%.*s=%.*s ", (int)key.len,
			       key.ptr, (int)value.len, value.ptr);
	seen->len += (size_t)n;
	return PJ_OK;
}

static const pj_bytes streams[] = {{"bee ant cow\nant\n", 16}, {"ant bat\nbee", 11}, {"cat ant\n", 8}};
static const pj_options options = {.input = {.memory = streams, .memory_count = 3}, .workers = 3, .split_bytes = 4};

static pj_session *open_session(void)
{
	pj_session *session;
	pj_error error;
	assert_int_equal(pj_session_open(jobs, 2, &options, &session, &error), PJ_OK);
	return session;
}

static void expect(pj_session *session, size_t job, const char *params, const char *wanted)
{
	struct seen seen = {.len = 0};
	const pj_output output = {.pair = see, .arg = &seen};
	pj_error error = {0};
	const pj_status status = pj_session_run(session, job, pj_bytes_of(params), &output, NULL, &error);
	if (status)
		print_error("%s: %s\n", error.what, error.reason);
	assert_int_equal(status, PJ_OK);
	assert_string_equal(seen.text, wanted);
}

static void parameters_change_from_run_to_run(void **state)
{
	(void)state;
	pj_session *session = open_session();
	for (int i = 0; i < 20; i++) {
		expect(session, 0, "", "ant=4 bat=1 bee=2 cat=1 cow=1 ");
		expect(session, 0, "b", "bat=1 bee=2 ");
		expect(session, 1, "b", "bat=1, bee=1,1, ");
		expect(session, 0, "c", "cat=1 cow=1 ");
		expect(session, 0, "x", "");
	}
	pj_session_close(session);
}

static void deaths_do_no_harm(void **state)
{
	(void)state;
	pj_session *session = open_session();
	for (int i = 0; i < 5; i++) {
		/* workers with an even pid die; their tasks are done by those that follow */
		struct seen seen = {.len = 0};
		const pj_output output = {.pair = see, .arg = &seen};
		pj_error error;
		const pj_status status = pj_session_run(session, 0, pj_bytes_of("!"), &output, NULL, &error);
		assert_true(status == PJ_OK || status == PJ_ERR_CRASH);
		if (!status)
			assert_string_equal(seen.text, "ant=4 bat=1 bee=2 cat=1 cow=1 ");
		expect(session, 0, "b", "bat=1 bee=2 ");
	}
	pj_session_close(session);
}

static void a_failed_run_can_be_followed_by_a_good_one(void **state)
{
	(void)state;
	pj_session *session = open_session();
	const pj_output output = {.pair = see, .arg = &(struct seen){.len = 0}};
	pj_error error;
	assert_int_equal(pj_session_run(session, 0, pj_bytes_of("?"), &output, NULL, &error), PJ_ERR_RECORD);
	assert_string_equal(error.reason, "no question");
	expect(session, 0, "", "ant=4 bat=1 bee=2 cat=1 cow=1 ");
	assert_int_equal(pj_session_run(session, 2, pj_bytes_of(""), &output, NULL, &error), PJ_ERR_USAGE);
	pj_session_close(session);
}

/* What is configured and not yet released, in all processes. */
static int *configured;

static pj_status configure(pj_job *job, const char *const *values, pj_error *error)
{
	(void)values;
	(void)error;
	job->reducer.arg = malloc(1000);
	__atomic_add_fetch(configured, 1, __ATOMIC_RELAXED);
	return PJ_OK;
}

static void release(pj_job *job)
{
	free(job->reducer.arg);
	__atomic_sub_fetch(configured, 1, __ATOMIC_RELAXED);
}

static pj_job plug_in;

static pj_status load(void *arg, const pj_job **ret_job, pj_error *error)
{
	(void)arg;
	(void)error;
	plug_in = jobs[1];
	plug_in.configure = configure;
	plug_in.release = release;
	*ret_job = &plug_in;
	return PJ_OK;
}

/* Workers that turn from a plug-in to another job give back what it got. */
static void plug_ins_are_released(void **state)
{
	(void)state;
	pj_job both[] = {jobs[0], jobs[1]};
	pj_options one = options;
	pj_session *session;
	pj_error error;
	both[1].load = load;
	one.workers = 1;
	configured = mmap(NULL, sizeof *configured, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(configured != MAP_FAILED);
	assert_int_equal(pj_session_open(both, 2, &one, &session, &error), PJ_OK);
	for (int i = 0; i < 5; i++) {
		expect(session, 1, "b", "bat=1, bee=1,1, ");
		assert_int_equal(*configured, 1);
		expect(session, 0, "b", "bat=1 bee=2 ");
		assert_int_equal(*configured, 0);
	}
	pj_session_close(session);
	munmap(configured, sizeof *configured);
}

static void files_and_folders_appear_as_ever(void **state)
{
	(void)state;
	char folder[] = "/tmp/papjuice-session-XXXXXX", path[64], line[64];
	assert_non_null(mkdtemp(folder));
	pj_session *session = open_session();
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "%s/counts", folder);
		pj_output output = {.path = path, .overwrite = i > 0};
		pj_result result;
		assert_int_equal(pj_session_run(session, 0, pj_bytes_of("b"), &output, &result, NULL), PJ_OK);
		assert_int_equal(result.output_pairs, 2);
		FILE *file = fopen(path, "r");
		assert_non_null(file);
		assert_non_null(fgets(line, sizeof line, file));
		assert_string_equal(line, "bat\t1\n");
		fclose(file);
		snprintf(path, sizeof path, "%s/parts/", folder);
		assert_int_equal(pj_session_run(session, 0, pj_bytes_of("b"), &output, &result, NULL), PJ_OK);
		snprintf(path, sizeof path, "%s/parts/part-00000", folder);
		assert_int_equal(access(path, R_OK), 0);
		output = (pj_output){
			.pair = see, .arg = &(struct seen){.len = 0}, .order = PJ_BY_VALUE_DOWN, .limit = 1};
		assert_int_equal(pj_session_run(session, 0, pj_bytes_of(""), &output, NULL, NULL), PJ_OK);
		assert_string_equal(((struct seen *)output.arg)->text, "ant=4 ");
	}
	pj_session_close(session);
	char command[] = "/bin/rm", flag[] = "-r";
	char *const argv[] = {command, flag, folder, NULL};
	pid_t pid = fork();
	if (!pid) {
		execv(command, argv);
		_exit(1);
	}
}

enum { PARTS = 2, WORDS = 700000 /* so many that a part has several ranges */ };

/* The part files of a folder, one behind another, each with its number before it; to be freed. */
static char *read_parts(const char *folder)
{
	char path[128], *all = calloc(1, 32 * WORDS);
	assert_non_null(all);
	size_t len = 0;
	for (int i = 0; i < PARTS; i++) {
		snprintf(path, sizeof path, "%s/part-%05d", folder, i);
		FILE *file = fopen(path, "r");
		assert_non_null(file);
		len += (size_t)snprintf(all + len, 32, "part %d\n", i);
		len += fread(all + len, 1, 32 * WORDS - len - 64, file);
		fclose(file);
		assert_int_equal(unlink(path), 0);
	}
	snprintf(path, sizeof path, "%s/_SUCCESS", folder);
	assert_int_equal(unlink(path) | rmdir(folder), 0);
	return all;
}

/* The same parts as without a session, whatever ran before: another form of output, other parameters. */
static void assert_parts(pj_sorter sorter, const char *folder, pj_bytes text)
{
	pj_options wanted = {.input = {.memory = &text, .memory_count = 1},
			     .sorter = sorter,
			     .workers = 2,
			     .partitions = PARTS,
			     .split_bytes = 200000,
			     .memory = 64 << 20}; /* small tables: they are emptied after each run */
	pj_session *session;
	pj_error error;
	char path[64], parts[64];
	snprintf(path, sizeof path, "%s/file", folder);
	snprintf(parts, sizeof parts, "%s/parts/", folder);
	const pj_output file = {.path = path, .overwrite = true}, into = {.path = parts};
	assert_int_equal(pj_session_open(jobs, 1, &wanted, &session, &error), PJ_OK);
	static const char *const params[] = {"", "1", "2", ""};
	for (size_t i = 0; i < sizeof params / sizeof *params; i++) {
		wanted.params = pj_bytes_of(params[i]);
		wanted.output = into;
		assert_int_equal(pj_run(&jobs[0], &wanted, NULL, &error), PJ_OK);
		char *alone = read_parts(parts);
		assert_int_equal(pj_session_run(session, 0, wanted.params, &file, NULL, &error), PJ_OK);
		assert_int_equal(pj_session_run(session, 0, wanted.params, &into, NULL, &error), PJ_OK);
		char *together = read_parts(parts);
		assert_string_equal(together, alone);
		free(alone);
		free(together);
	}
	pj_session_close(session);
	assert_int_equal(unlink(path), 0);
}

static void part_files_are_those_of_single_runs(void **state)
{
	(void)state;
	char folder[] = "/tmp/papjuice-session-XXXXXX", *text = malloc(16 * WORDS);
	assert_non_null(text);
	assert_non_null(mkdtemp(folder));
	size_t len = 0;
	for (unsigned i = 0; i < WORDS; i++)
		len += (size_t)snprintf(text + len, 16, "%u\n", i * 7919 % 1000003);
	assert_parts(PJ_SORTER_PLEX, folder, (pj_bytes){text, len});
	assert_parts(PJ_SORTER_TOTAL, folder, (pj_bytes){text, len});
	free(text);
	assert_int_equal(rmdir(folder), 0);
}

static void wrong_use_is_said(void **state)
{
	(void)state;
	pj_session *session;
	pj_error error;
	const char *paths[] = {"-"};
	pj_options wrong = options;
	wrong.sorter = PJ_SORTER_SIMPLE;
	assert_int_equal(pj_session_open(jobs, 1, &wrong, &session, &error), PJ_ERR_USAGE);
	assert_int_equal(pj_session_open(jobs, 0, &options, &session, &error), PJ_ERR_USAGE);
	assert_true(fcntl(0, F_GETFD) >= 0); /* what is not open is not closed */
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	const int saved = dup(0);
	dup2(ends[0], 0);
	wrong = (pj_options){.input = {.paths = paths, .path_count = 1}};
	assert_int_equal(pj_session_open(jobs, 1, &wrong, &session, &error), PJ_ERR_USAGE);
	dup2(saved, 0);
	close(saved);
	close(ends[0]);
	close(ends[1]);
	pj_session_close(NULL);
}

int main(void)
{
	alarm(110);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parameters_change_from_run_to_run),
		cmocka_unit_test(deaths_do_no_harm),
		cmocka_unit_test(plug_ins_are_released),
		cmocka_unit_test(a_failed_run_can_be_followed_by_a_good_one),
		cmocka_unit_test(files_and_folders_appear_as_ever),
		cmocka_unit_test(part_files_are_those_of_single_runs),
		cmocka_unit_test(wrong_use_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
