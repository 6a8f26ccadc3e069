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
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const pj_bytes text = {"bee ant cow\nant\ncat ant\nbee\n", 28};
static const char counted[] = "ant\t3\nbee\t2\ncat\t1\ncow\t1\n";

/* Counts words, and uses the standard files as if they were there. */
static pj_status count_words(pj_task *task, pj_bytes piece, void *arg)
{
	pj_bytes word;
	char byte;
	(void)arg;
	printf("printed\n");
	fflush(stdout);
	for (int fd = 0; fd <= 2; fd++)
		(void)!write(fd, "written\n", 8);
	if (read(STDIN_FILENO, &byte, 1) > 0)
		return PJ_ERR_USER;
	while (pj_next_word(task, &piece, &word))
		pj_emit_i64(task, word, 1);
	return PJ_OK;
}

static const pj_job job = {
	.abi = PJ_ABI, .name = "count", .mapper = {.text = count_words}, .reducer = {.aggregate = &pj_sum_i64}};

/* A run to the file `path`, as a single one or in a session; the exit code of its process. */
static int run_without(unsigned closed, bool stands, const char *path)
{
	const pj_output output = {.path = path, .overwrite = true};
	const pj_options options = {
		.input = {.memory = &text, .memory_count = 1}, .output = output, .workers = 2, .split_bytes = 4};
	pj_session *session;
	for (int fd = 0; fd <= 2; fd++)
		if (closed >> fd & 1)
			close(fd);
	if (!stands)
		return (int)pj_run(&job, &options, NULL, NULL);
	pj_status status = pj_session_open(&job, 1, &options, &session, NULL);
	if (!status)
		status = pj_session_run(session, 0, (pj_bytes){"", 0}, &output, NULL, NULL);
	pj_session_close(status ? NULL : session);
	return (int)status;
}

static void expect_counted(const char *path)
{
	char got[sizeof counted] = "";
	FILE *file = fopen(path, "re");
	assert_non_null(file);
	assert_int_equal(fread(got, 1, sizeof got, file), sizeof counted - 1);
	fclose(file);
	assert_memory_equal(got, counted, sizeof counted - 1);
}

static void results_are_right_whatever_is_closed(void **state)
{
	char folder[] = "/tmp/papjuice-closed-XXXXXX", path[64];
	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/out", folder);
	for (unsigned closed = 0; closed < 8; closed++) {
		for (int stands = 0; stands < 2; stands++) {
			int how;
			fflush(NULL);
			const pid_t child = fork();
			if (child == 0)
				_exit(run_without(closed, stands, path));
			assert_int_equal(waitpid(child, &how, 0), child);
			assert_int_equal(how, 0);
			expect_counted(path);
			unlink(path);
		}
	}
	rmdir(folder);
}

int main(void)
{
	alarm(60);
	const struct CMUnitTest tests[] = {cmocka_unit_test(results_are_right_whatever_is_closed)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
