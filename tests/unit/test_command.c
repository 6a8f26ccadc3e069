/*
 * test_command.c: command lines as words; what a program tells on standard error; counters; programs at work, fed and
 * read at once; and that none of them outlives whoever started it.
 */
#include "testing.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "base/machine.h"
#include "base/tally.h"
#include "command/report.h"
#include "command/tool.h"

/* ---------------------------------------------------------------------------------------------------------- words */

static void words_are_split(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		const char *words[6];
	} lines[] = {{"cat", {"cat"}},
		     {"  a\tb  c\n", {"a", "b", "c"}},
		     {"awk '{print $1}' \"a b\"", {"awk", "{print $1}", "a b"}},
		     {"a'b c'd \"\" ''", {"ab cd", "", ""}},
		     {"a\\ b \\' \"\\\"\\n\\\\\\$\"", {"a b", "'", "\"\\n\\$"}},
		     {"*.txt $HOME ~ | > ;", {"*.txt", "$HOME", "~", "|", ">", ";"}}};
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		char **argv;
		pj_error error;
		assert_good(pj_command_split(lines[i].line, &argv, &error), error);
		for (size_t w = 0; w < 6 && lines[i].words[w]; w++)
			assert_string_equal(argv[w], lines[i].words[w]);
		free(argv);
	}
}

static void bad_lines_are_refused(void **state)
{
	(void)state;
	static const char *const lines[] = {"", " \t", "a 'b", "a \"b", "a \"b\\\"", "a \\", "'' b"};
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		char **argv;
		pj_error error;
		assert_fails(pj_command_split(lines[i], &argv, &error), PJ_ERR_USAGE, error);
	}
}

/* -------------------------------------------------------------------------------------------------------- reports */

static pj__report read_line(const char *line)
{
	return pj__report_read(pj_bytes_of(line), pj_bytes_of("reporter:"));
}

static void lines_report(void **state)
{
	(void)state;
	const pj__report counter = read_line("reporter:counter: my group ,long words, -12 ");
	assert_int_equal(counter.kind, PJ__REPORT_COUNTER);
	assert_true(pj_bytes_equal(counter.group, pj_bytes_of("my group")));
	assert_true(pj_bytes_equal(counter.name, pj_bytes_of("long words")));
	assert_int_equal(counter.amount, -12);
	const pj__report status = read_line("reporter:status: half, of it ");
	assert_int_equal(status.kind, PJ__REPORT_STATUS);
	assert_true(pj_bytes_equal(status.text, pj_bytes_of("half, of it")));
	static const char *const others[] = {"",
					     "reporter",
					     "reporter:",
					     "Reporter:status:x",
					     "reporter:counter:a,b",
					     "reporter:counter:a,b,c",
					     "reporter:counter:a,b,1,2",
					     "reporter:counter:a,b,99999999999999999999",
					     " reporter:counter:a,b,1"};
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		assert_int_equal(read_line(others[i]).kind, PJ__REPORT_NONE);
	assert_int_equal(pj__report_read(pj_bytes_of("status:x"), (pj_bytes){NULL, 0}).kind, PJ__REPORT_NONE);
}

static void the_tail_keeps_the_last_lines(void **state)
{
	(void)state;
	pj__tail tail = {.len = 0};
	char line[4000];
	for (int i = 0; i < 100; i++) {
		const int len = snprintf(line, sizeof line, "line %d", i);
		pj__tail_add(&tail, (pj_bytes){line, (size_t)len});
	}
	assert_int_equal(tail.lines, PJ__TAIL_LINES);
	assert_memory_equal(tail.bytes, "line 80\n", 8);
	assert_memory_equal(tail.bytes + tail.len - 8, "line 99\n", 8);
	memset(line, 'x', sizeof line);
	for (int i = 0; i < 100; i++) {
		pj__tail_add(&tail, (pj_bytes){line, sizeof line});
		assert_true(tail.len < sizeof tail.bytes);
		assert_int_equal(tail.bytes[tail.len - 1], '\n');
	}
	pj__tail_add(&tail, (pj_bytes){NULL, 0});
	assert_int_equal(tail.bytes[tail.len - 1], '\n');
}

static void counters_are_added(void **state)
{
	(void)state;
	pj__tally *one = NULL, *other = NULL;
	pj_error error;
	const pj__tally empty = {.programs = 1, .seconds = 0.5, .peak_bytes = 7};
	assert_good(pj__tally_add(&one, &empty, &error), error);
	assert_good(pj__tally_add(&other, &empty, &error), error);
	char name[100];
	for (int i = 0; i < PJ_COUNTERS_MAX + 5; i++) {
		const int len = snprintf(name, sizeof name, "%03d", (i * 8) % (PJ_COUNTERS_MAX + 5));
		pj__tally_count(one, pj_bytes_of("g"), (pj_bytes){name, (size_t)len}, i);
	}
	assert_int_equal(one->count, PJ_COUNTERS_MAX);
	assert_int_equal(one->lost, 5);
	for (size_t i = 1; i < one->count; i++)
		assert_true(strcmp(one->counter[i - 1].name, one->counter[i].name) < 0);
	memset(name, 'n', sizeof name);
	pj__tally_count(other, pj_bytes_of("g"), pj_bytes_of("000"), 40);
	pj__tally_count(other, pj_bytes_of("f"), (pj_bytes){name, sizeof name}, INT64_MAX);
	pj__tally_count(other, pj_bytes_of("f"), (pj_bytes){name, sizeof name}, 1);
	assert_int_equal(other->counter[0].value, INT64_MAX);
	assert_int_equal(strlen(other->counter[0].name), sizeof other->counter[0].name - 1);
	assert_good(pj__tally_add(&other, one, &error), error);
	assert_int_equal(other->counter[1].value, 40 + 0);
	assert_int_equal(other->programs, 2);
	assert_int_equal(other->peak_bytes, 7);
	free(one);
	free(other);
}

/* ------------------------------------------------------------------------------------------------ programs at work */

struct fixture {
	pj__leash *leash;
	pj__tool tool;
	pj_text out, lines; /* what it wrote */
	bool ended;
	volatile uint64_t moves, *progress;
	uint64_t patience_ns; /* 0: without end */
};

static pj_status take(void *arg, pj_bytes bytes, bool is_end, size_t *ret_used, pj_error *error)
{
	struct fixture *fixture = arg;
	(void)error;
	pj_text_bytes(&fixture->out, bytes);
	fixture->ended |= is_end;
	*ret_used = bytes.len;
	return PJ_OK;
}

static void hear(void *arg, pj_bytes line)
{
	struct fixture *fixture = arg;
	pj_text_bytes(&fixture->lines, line);
	pj_text_bytes(&fixture->lines, pj_bytes_of("\n"));
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof *fixture);
	pj_error error;
	assert_non_null(fixture);
	assert_good(pj__leash_create(&fixture->leash, &error), error);
	pj__tool_init(&fixture->tool);
	fixture->progress = &fixture->moves;
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	pj__tool_fini(&fixture->tool);
	pj__leash_destroy(fixture->leash);
	pj__text_fini(&fixture->out);
	pj__text_fini(&fixture->lines);
	free(fixture);
	return 0;
}

static pj_status start_argv(struct fixture *fixture, const char *const *argv, pj_error *error)
{
	static const char *const added[] = {"ADDED=by us", NULL};
	const pj__taker taker = {take, hear, fixture, SIZE_MAX, &fixture->progress, fixture->patience_ns};
	pj_start start;
	pj__start_init(&start, added);
	assert_true(pj_start_set(&start, "SET", "a value"));
	assert_true(pj_start_folder(&start, "/"));
	const pj_status status = pj__tool_start(&fixture->tool, argv, &start, fixture->leash, &taker, error);
	pj__start_fini(&start);
	return status;
}

static void start_shell(struct fixture *fixture, const char *line)
{
	const char *const argv[] = {"/bin/sh", "-c", line, NULL};
	pj_error error;
	assert_good(start_argv(fixture, argv, &error), error);
}

static void feed(struct fixture *fixture, pj_bytes bytes)
{
	pj_error error;
	assert_good(pj__tool_feed(&fixture->tool, bytes, &error), error);
}

static pj__tool_end finish(struct fixture *fixture)
{
	pj__tool_end end;
	pj_error error;
	assert_good(pj__tool_finish(&fixture->tool, &end, &error), error);
	assert_true(fixture->ended);
	assert_null(fixture->tool.entry);
	return end;
}

static bool wrote(const pj_text *text, const char *expected)
{
	return pj_bytes_equal(pj__text_all(text), pj_bytes_of(expected));
}

/* Much more than pipes hold goes in and comes out, however the program goes about it. */
static void neither_side_waits_for_the_other(void **state)
{
	struct fixture *fixture = *state;
	static const char *const programs[] = {"cat",
					       "sort | cat",
					       "cat >&2",
					       "dd bs=1M 2>/dev/null",
					       "head -c 9000000 /dev/zero; cat",
					       "cat; head -c 9000000 /dev/zero"};
	static const size_t more[] = {0, 0, 0, 0, 9000000, 9000000};
	enum { LINES = 500000 };
	char *text = malloc(LINES * 16);
	size_t len = 0;
	assert_non_null(text);
	for (int i = 0; i < LINES; i++)
		len += (size_t)sprintf(text + len, "line %08d\n", i);
	for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
		pj__text_reset(&fixture->out);
		pj__text_reset(&fixture->lines);
		start_shell(fixture, programs[i]);
		feed(fixture, (pj_bytes){text, len});
		assert_int_equal(finish(fixture).exit_code, 0);
		const bool to_errors = strstr(programs[i], ">&2") != NULL;
		const pj_text *got = to_errors ? &fixture->lines : &fixture->out;
		assert_int_equal(got->len, len + more[i]);
		assert_memory_equal(got->data + (i == 4 ? more[i] : 0), text, len);
	}
	assert_true(fixture->moves > 0);
	free(text);
}

static void ends_are_told(void **state)
{
	struct fixture *fixture = *state;
	start_shell(fixture, "echo $ADDED, $SET, $PWD; printf oops >&2; exit 7");
	pj__tool_end end = finish(fixture);
	assert_int_equal(end.exit_code, 7);
	assert_int_equal(end.signal, 0);
	assert_true(wrote(&fixture->out, "by us, a value, /\n"));
	assert_true(wrote(&fixture->lines, "oops\n"));
	start_shell(fixture, "kill -USR1 $$");
	end = finish(fixture);
	assert_int_equal(end.exit_code, -1);
	assert_int_equal(end.signal, SIGUSR1);
	start_shell(fixture, "i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done");
	end = finish(fixture);
	assert_true(end.seconds > 0 && end.peak_bytes > 0);
}

/* Signals that we ignore or block, and descriptors of ours, are not the program's. */
static void a_program_starts_clean(void **state)
{
	struct fixture *fixture = *state;
	sigset_t blocked, before;
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct sigaction usual;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaction(SIGPIPE, &ignore, &usual);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	assert_true(dup2(STDERR_FILENO, 77) == 77);
	/* 32 and 33 are the C library's own, which a make that has started us leaves ignored */
	start_shell(fixture, "grep SigBlk /proc/self/status; ls /proc/self/fd | wc -l\n"
			     "echo $(($(sed -n 's/^SigIgn:./0x/p' /proc/self/status) & ~0x180000000))");
	assert_int_equal(finish(fixture).exit_code, 0);
	close(77);
	sigprocmask(SIG_SETMASK, &before, NULL);
	sigaction(SIGPIPE, &usual, NULL);
	/* and one descriptor for the folder that is listed */
	assert_true(wrote(&fixture->out, "SigBlk:\t0000000000000000\n4\n0\n"));
}

static void who_does_not_read_is_not_at_fault(void **state)
{
	struct fixture *fixture = *state;
	char *much = calloc(1, 5 << 20);
	assert_non_null(much);
	static const char *const programs[] = {"exit 0", "exec <&-; sleep 0.05", "head -c 10 >/dev/null"};
	for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
		start_shell(fixture, programs[i]);
		feed(fixture, (pj_bytes){much, 5 << 20});
		assert_false(pj__tool_reads(&fixture->tool));
		assert_int_equal(finish(fixture).exit_code, 0);
	}
	free(much);
}

static bool is_gone(pid_t group)
{
	for (int i = 0; i < 500; i++) {
		if (kill(-group, 0) < 0)
			return true;
		poll(NULL, 0, 10);
	}
	return false;
}

/* The program ends first, and what it has started writes on, on both pipes. */
static void what_runs_in_the_background_is_read(void **state)
{
	struct fixture *fixture = *state;
	start_shell(fixture, "(sleep .2; echo late; sleep .2; echo later; echo said >&2) & echo done");
	const pj__tool_end end = finish(fixture);
	assert_int_equal(end.exit_code, 0);
	assert_false(end.is_cut_off);
	assert_true(wrote(&fixture->out, "done\nlate\nlater\n"));
	assert_true(wrote(&fixture->lines, "said\n"));
}

/* It keeps the pipes open, and reads nothing. */
static void what_runs_in_the_background_ends(void **state)
{
	struct fixture *fixture = *state;
	char *much = calloc(1, 5 << 20);
	assert_non_null(much);
	const uint64_t begun = pj__now_ns();
	fixture->patience_ns = 500000000;
	start_shell(fixture, "sleep 100 & echo done");
	const pid_t group = fixture->tool.child.pid;
	feed(fixture, (pj_bytes){much, 5 << 20});
	const pj__tool_end end = finish(fixture);
	assert_int_equal(end.exit_code, 0);
	assert_true(end.is_cut_off);
	assert_true(wrote(&fixture->out, "done\n"));
	assert_true(is_gone(group));
	assert_true(pj__now_ns() - begun < UINT64_C(50000000000));
	free(much);
}

static void a_program_is_abandoned(void **state)
{
	struct fixture *fixture = *state;
	start_shell(fixture, "trap '' TERM HUP INT; sleep 100 & wait");
	const pid_t group = fixture->tool.child.pid;
	pj__tool_abandon(&fixture->tool);
	assert_true(is_gone(group));
	pj__tool_abandon(&fixture->tool);
}

static void no_program_is_an_error(void **state)
{
	struct fixture *fixture = *state;
	static const char *const names[] = {"no-such-program", "./no-such-program", "/", "/etc/passwd"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const char *const argv[] = {names[i], NULL};
		pj_error error;
		assert_fails(start_argv(fixture, argv, &error), PJ_ERR_USER, error);
		assert_true(error.errnum);
		assert_null(fixture->tool.entry);
	}
}

/* Starts a shell in a process of its own, and tells its group through the pipe. */
static pid_t start_in_child(struct fixture *fixture, pid_t *ret_child)
{
	int ends[2];
	pid_t group = 0;
	assert_int_equal(pipe(ends), 0);
	*ret_child = fork();
	assert_true(*ret_child >= 0);
	if (*ret_child == 0) {
		start_shell(fixture, "trap '' TERM HUP INT; sleep 100 & wait");
		group = fixture->tool.child.pid;
		(void)!write(ends[1], &group, sizeof group);
		for (;;)
			pause();
	}
	assert_int_equal(read(ends[0], &group, sizeof group), sizeof group);
	close(ends[0]);
	close(ends[1]);
	return group;
}

static void the_dead_are_swept(void **state)
{
	struct fixture *fixture = *state;
	pid_t child;
	const pid_t group = start_in_child(fixture, &child);
	pj__leash_sweep(fixture->leash);
	assert_int_equal(kill(-group, 0), 0);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	pj__leash_sweep(fixture->leash);
	assert_true(is_gone(group));
	pj__leash_sweep(NULL);
}

/* The process that made the leash is killed: the guard ends what is on it. */
static void the_guard_ends_what_is_left(void **state)
{
	(void)state;
	int ends[2];
	pid_t group;
	assert_int_equal(pipe(ends), 0);
	const pid_t leader = fork();
	assert_true(leader >= 0);
	if (leader == 0) {
		void *own;
		set_up(&own);
		start_shell(own, "trap '' TERM HUP INT; sleep 100 & wait");
		group = ((struct fixture *)own)->tool.child.pid;
		(void)!write(ends[1], &group, sizeof group);
		for (;;)
			pause();
	}
	assert_int_equal(read(ends[0], &group, sizeof group), sizeof group);
	kill(leader, SIGKILL);
	assert_int_equal(waitpid(leader, NULL, 0), leader);
	assert_true(is_gone(group));
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_split),
		cmocka_unit_test(bad_lines_are_refused),
		cmocka_unit_test(lines_report),
		cmocka_unit_test(the_tail_keeps_the_last_lines),
		cmocka_unit_test(counters_are_added),
		cmocka_unit_test_setup_teardown(neither_side_waits_for_the_other, set_up, tear_down),
		cmocka_unit_test_setup_teardown(ends_are_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_program_starts_clean, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_does_not_read_is_not_at_fault, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_runs_in_the_background_is_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_runs_in_the_background_ends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_program_is_abandoned, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_program_is_an_error, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_dead_are_swept, set_up, tear_down),
		cmocka_unit_test(the_guard_ends_what_is_left),
	};
	return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
