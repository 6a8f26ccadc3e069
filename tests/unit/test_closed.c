/*
 * test_closed.c: the library in a program that has closed standard input, output or error: nothing of ours comes into
 * their places, where user code would read and print.
 */
#include <fcntl.h>
#include <papjuice.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char text[] = "bee ant cow\nant\ncat ant\nbee\n";
static const char counted[] = "ant\t3\nbee\t2\ncat\t1\ncow\t1\n";

/* Uses the standard files as if they were there. True: something was read. */
static bool use_standard_files(void)
{
	char byte;
	printf("printed\n");
	fflush(stdout);
	for (int fd = 0; fd <= 2; fd++)
		(void)!write(fd, "written\n", 8);
	return read(STDIN_FILENO, &byte, 1) > 0;
}

static pj_status emit_words(pj_task *task, pj_bytes piece, void *arg)
{
	pj_bytes word;
	(void)arg;
	if (use_standard_files())
		return PJ_ERR_USER;
	while (pj_next_word(task, &piece, &word))
		pj_emit_i64(task, word, 1);
	return PJ_OK;
}

static pj_status count_values(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	pj_bytes value;
	int64_t count = 0;
	(void)arg;
	if (use_standard_files())
		return PJ_ERR_USER;
	while (pj_next_value(values, &value))
		count++;
	pj_emit_i64(task, key, count);
	return PJ_OK;
}

static const pj_job job = {
	.abi = PJ_ABI, .name = "count", .mapper = {.text = emit_words}, .reducer = {.general = count_values}};

/* How it is run, and what its output is. */
enum way { SINGLE, SEQUENTIAL, SESSION, WAYS };
enum kind { TO_FILE, TO_FOLDER, TO_PIPE, KINDS };
static const char *const names[KINDS] = {"file", "folder/", "pipe"};

/* The exit code of its process. */
static int run_without(unsigned closed, enum way way, const char *path)
{
	const pj_output output = {.path = path, .overwrite = true};
	const char *const input = "input";
	const pj_options options = {.input = {.paths = &input, .path_count = 1},
				    .output = output,
				    .sorter = way == SEQUENTIAL ? PJ_SORTER_SIMPLE : PJ_SORTER_PLEX,
				    .partitions = 1,
				    .workers = 2,
				    .split_bytes = 4};
	pj_session *session;
	for (int fd = 0; fd <= 2; fd++)
		if (closed >> fd & 1)
			close(fd);
	if (way != SESSION)
		return (int)pj_run(&job, &options, NULL, NULL);
	pj_status status = pj_session_open(&job, 1, &options, &session, NULL);
	if (!status)
		status = pj_session_run(session, 0, (pj_bytes){"", 0}, &output, NULL, NULL);
	pj_session_close(status ? NULL : session);
	return (int)status;
}

static void expect_counted(int fd)
{
	char got[sizeof counted] = "";
	assert_int_equal(read(fd, got, sizeof got), sizeof counted - 1);
	assert_memory_equal(got, counted, sizeof counted - 1);
	close(fd);
}

static void expect_run(unsigned closed, enum way way, enum kind kind)
{
	int how, fd = -1;
	if (kind == TO_PIPE) {
		assert_int_equal(mkfifo(names[kind], 0600), 0);
		fd = open(names[kind], O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	}
	fflush(NULL);
	const pid_t child = fork();
	if (child == 0)
		_exit(run_without(closed, way, names[kind]));
	assert_int_equal(waitpid(child, &how, 0), child);
	assert_int_equal(how, 0);
	if (kind != TO_PIPE)
		fd = open(kind == TO_FILE ? names[kind] : "folder/part-00000", O_RDONLY | O_CLOEXEC);
	expect_counted(fd);
	if (kind != TO_FOLDER) {
		assert_int_equal(unlink(names[kind]), 0);
		return;
	}
	unlink("folder/part-00000");
	unlink("folder/_SUCCESS");
	assert_int_equal(rmdir(names[kind]), 0);
}

static void results_are_right_whatever_is_closed(void **state)
{
	char folder[] = "/tmp/papjuice-closed-XXXXXX";
	(void)state;
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chdir(folder), 0);
	FILE *input = fopen("input", "we");
	assert_non_null(input);
	assert_true(fputs(text, input) >= 0 && fclose(input) == 0);
	for (unsigned closed = 0; closed < 8; closed++)
		for (enum way way = 0; way < WAYS; way++)
			for (enum kind kind = 0; kind < KINDS; kind++)
				expect_run(closed, way, kind);
	assert_int_equal(unlink("input"), 0);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
	alarm(60);
	const struct CMUnitTest tests[] = {cmocka_unit_test(results_are_right_whatever_is_closed)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
