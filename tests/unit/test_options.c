/*
 * test_options.c: one table makes the parser, the help, the manual and the completions; what people type is read right,
 * or refused with a message that tells how it is right. Progress and statistics.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "front/front.h"

static pj_status no_map(pj_task *task, pj_bytes text, void *arg)
{
	(void)task;
	(void)text;
	(void)arg;
	return PJ_OK;
}

static const pj_job_option own_options[] = {
	{"top", 't', "K", "10", "how many"},
	{"only", 'o', NULL, NULL, "a flag whose letter a common option has"},
	{"pattern", 0, "TEXT", NULL, "no letter, no default; it's [odd]: \\ and ' are in its help"},
	{0},
};

static const pj_job plain_job = {.abi = PJ_ABI, .name = "plain", .summary = "does nothing", .mapper.text = no_map};
static const pj_job own_job = {
	.abi = PJ_ABI, .name = "own", .summary = "it's a job", .mapper.text = no_map, .options = own_options};

/* ----------------------------------------------------------------------------------------------------------- values */

static void sizes_are_read(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t bytes; /* 0: refused */
	} cases[] = {
		{"1", 1},
		{"4096", 4096},
		{"64K", 65536},
		{"64k", 65536},
		{"16M", 16u << 20},
		{"3G", 3ull << 30},
		{"2T", 2ull << 40},
		{"8191P", 0},
		{"8388607T", 8388607ull << 40},
		{"8388608T", 0},
		{"9223372036854775807", INT64_MAX},
		{"9223372036854775808", 0},
		{"18446744073709551616", 0},
		{"99999999999999999999999", 0},
		{"0", 0},
		{"0K", 0},
		{"", 0},
		{"K", 0},
		{"-1", 0},
		{"+1", 0},
		{" 1", 0},
		{"1 ", 0},
		{"1.5M", 0},
		{"12Q", 0},
		{"1KB", 0},
		{"1MM", 0},
		{"0x10", 0},
		{"ten", 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint64_t bytes = 77;
		const bool good = pj__read_size(cases[i].text, &bytes);
		if (good != (cases[i].bytes != 0) || bytes != (good ? cases[i].bytes : 77))
			fail_msg("\"%s\" is %s, %llu", cases[i].text, good ? "read" : "refused",
				 (unsigned long long)bytes);
	}
}

static void budgets_are_read(void **state)
{
	(void)state;
	uint64_t bytes = 0, half = 0, whole = 0;
	assert_true(pj__read_memory("512M", &bytes) && bytes == 512u << 20);
	assert_true(pj__read_memory("4g", &bytes) && bytes == 4ull << 30);
	assert_true(pj__read_memory("1", &bytes) && bytes == 1);
	assert_true(pj__read_memory("4611686018427387904", &bytes) && bytes == 1ull << 62);
	/* what is available moves meanwhile, but not by half of it */
	assert_true(pj__read_memory("50%", &half) && pj__read_memory("100%", &whole));
	assert_true(whole / 4 < half && half < whole && whole <= 1ull << 62);
	assert_true(pj__read_memory("1%", &bytes) && bytes && bytes < half);
	bytes = 77;
	static const char *const bad[] = {"",
					  "0",
					  "%",
					  "0%",
					  "101%",
					  "50%%",
					  "50 %",
					  "-5%",
					  "5.5%",
					  "50%M",
					  "50M%",
					  "all",
					  "-1",
					  " 1G",
					  "1G ",
					  "1GB",
					  "4611686018427387905",
					  "4194305T",
					  "18446744073709551666%"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (pj__read_memory(bad[i], &bytes) || bytes != 77)
			fail_msg("\"%s\" is taken for %llu bytes", bad[i], (unsigned long long)bytes);
}

static void seconds_are_read(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool good;
		unsigned ms;
	} cases[] = {
		{"0", true, 0},
		{"0.0", true, 0},
		{"600", true, 600000},
		{"0.5", true, 500},
		{".25", true, 250},
		{"1.", true, 1000},
		{"2.0019", true, 2001},
		{"0.0001", true, 1},
		{"2147483", true, 2147483000},
		{"2147484", false, 0},
		{"99999999999999999999", false, 0},
		{"", false, 0},
		{".", false, 0},
		{"1s", false, 0},
		{"-1", false, 0},
		{"1.5.5", false, 0},
		{"nan", false, 0},
		{"1e3", false, 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		unsigned ms = 0;
		const bool good = pj__read_seconds(cases[i].text, &ms);
		if (good != cases[i].good || (good && ms != cases[i].ms))
			fail_msg("\"%s\" is %s, %u ms", cases[i].text, good ? "read" : "refused", ms);
	}
}

static void workers_and_counts_are_read(void **state)
{
	(void)state;
	unsigned workers = 0;
	assert_true(pj__read_workers("1", &workers) && workers == 1);
	assert_true(pj__read_workers("1024", &workers) && workers == 1024);
	assert_true(pj__read_workers("2x", &workers) && workers == 2 * pj_processors());
	assert_true(pj__read_workers("1x", &workers) && workers == pj_processors());
	static const char *const bad[] = {"", "0", "0x", "x", "1025", "-1", "2X", "2xx", "1.5", "1025x", "all", " 1"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (pj__read_workers(bad[i], &workers))
			fail_msg("\"%s\" is taken for %u workers", bad[i], workers);
	uint64_t count = 0;
	assert_true(pj__read_count("7", 7, 9, &count) && count == 7);
	assert_true(pj__read_count("9", 7, 9, &count) && count == 9);
	assert_false(pj__read_count("6", 7, 9, &count) || pj__read_count("10", 7, 9, &count) ||
		     pj__read_count("8 ", 7, 9, &count) || pj__read_count("", 0, 9, &count) ||
		     pj__read_count("18446744073709551617", 0, 9, &count));
}

static void the_name_that_was_meant(void **state)
{
	(void)state;
	static const char *const names[] = {"output", "overwrite", "workers", "split-size", "sorter", "stats", "quiet"};
	static const struct {
		const char *typed, *meant; /* NULL: none */
	} cases[] = {
		{"ouptut", "output"},
		{"outpu", "output"},
		{"output", "output"},
		{"wokers", "workers"},
		{"worker", "workers"},
		{"split", "split-size"},
		{"splitsize", "split-size"},
		{"sortre", "sorter"},
		{"over-write", "overwrite"},
		{"stat", "stats"},
		{"memory", NULL},
		{"x", NULL},
		{"", NULL},
		{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *const nearest = pj_nearest(cases[i].typed, names, sizeof names / sizeof *names);
		const bool same =
			nearest && cases[i].meant ? !strcmp(nearest, cases[i].meant) : nearest == cases[i].meant;
		if (!same)
			fail_msg("\"%s\" is near to %s", cases[i].typed, nearest ? nearest : "nothing");
	}
	assert_null(pj_nearest("output", names, 0));
}

/* --------------------------------------------------------------------------------------------------------- settings */

#define READ(settings, job, error, ...)                                                                                \
	pj__settings_read(settings, job, "papjuice test",                                                              \
			  (int)(sizeof((const char *[]){"papjuice test", __VA_ARGS__}) / sizeof(char *)),              \
			  (char **)(uintptr_t)(const char *[]){"papjuice test", __VA_ARGS__}, error)

static void every_option_arrives(void **state)
{
	(void)state;
	struct pj__settings s;
	pj_error error;
	assert_int_equal(READ(&s, &plain_job, &error, "-o", "out", "a.txt", "--overwrite", "-w3", "--partitions=7",
			      "--split-size", "64K", "--sorter", "shared", "--temp=/t", "--attempts", "2", "-m64M",
			      "--task-timeout=1.5", "--progress", "never", "-q", "--stats", "s.json", "--escape", "-",
			      "b.txt"),
			 PJ_OK);
	assert_int_equal(s.action, PJ__ACTION_RUN);
	assert_string_equal(s.run.output.path, "out");
	assert_true(s.run.output.overwrite && s.run.output.escape && s.quiet);
	assert_int_equal(s.run.workers, 3);
	assert_int_equal(s.run.partitions, 7);
	assert_int_equal(s.run.split_bytes, 65536);
	assert_int_equal(s.run.sorter, PJ_SORTER_SHARED);
	assert_string_equal(s.run.temp, "/t");
	assert_int_equal(s.run.memory, 64 << 20);
	assert_int_equal(s.run.attempts, 2);
	assert_int_equal(s.run.timeout_ms, 1500);
	assert_int_equal(s.progress, PJ__PROGRESS_NEVER);
	assert_string_equal(s.stats, "s.json");
	assert_int_equal(s.run.input.path_count, 3);
	assert_string_equal(s.run.input.paths[0], "a.txt");
	assert_string_equal(s.run.input.paths[1], "-");
	assert_string_equal(s.run.input.paths[2], "b.txt");
	pj__settings_fini(&s);
}

static void defaults_stand(void **state)
{
	(void)state;
	struct pj__settings s;
	pj_error error;
	char *nothing[] = {(char[]){"papjuice test"}, NULL};
	assert_int_equal(pj__settings_read(&s, &plain_job, "papjuice test", 1, nothing, &error), PJ_OK);
	assert_null(s.run.output.path);
	assert_null(s.stats);
	assert_false(s.run.output.overwrite || s.run.output.escape || s.quiet);
	assert_int_equal(s.run.workers, 0);
	assert_int_equal(s.run.partitions, 0);
	assert_int_equal(s.run.split_bytes, 0);
	assert_int_equal(s.run.sorter, PJ_SORTER_DEFAULT);
	assert_int_equal(s.run.attempts, PJ_ATTEMPTS_USUAL);
	assert_int_equal(s.run.max_record, PJ_MAX_RECORD_USUAL);
	assert_int_equal(s.run.memory, 0);
	assert_int_equal(s.run.timeout_ms, 600000); /* 0 would be "never" */
	assert_int_equal(s.progress, PJ__PROGRESS_AUTO);
	assert_int_equal(s.run.input.path_count, 0);
	pj__settings_fini(&s);
	assert_int_equal(pj__settings_read(&s, &plain_job, "papjuice test", 0, nothing + 1, &error), PJ_OK);
	pj__settings_fini(&s);
}

static void forms_of_options(void **state)
{
	(void)state;
	struct pj__settings s;
	pj_error error;
	/* joined letters; the last one counts; -- ends options */
	assert_int_equal(READ(&s, &plain_job, &error, "-w", "2", "-qw5", "-j", "4", "-o-", "--", "-w9", "--help"),
			 PJ_OK);
	assert_int_equal(s.run.workers, 4);
	assert_true(s.quiet);
	assert_string_equal(s.run.output.path, "-");
	assert_int_equal(s.run.input.path_count, 2);
	assert_string_equal(s.run.input.paths[0], "-w9");
	assert_string_equal(s.run.input.paths[1], "--help");
	pj__settings_fini(&s);
	/* a value may look like an option, an empty one after '=' is empty */
	assert_int_equal(READ(&s, &plain_job, &error, "-o", "--help"), PJ_OK);
	assert_string_equal(s.run.output.path, "--help");
	assert_int_equal(s.action, PJ__ACTION_RUN);
	pj__settings_fini(&s);
	/* help is given whatever follows it */
	assert_int_equal(READ(&s, &plain_job, &error, "-qh", "--no-such"), PJ_OK);
	assert_int_equal(s.action, PJ__ACTION_SHORT_HELP);
	pj__settings_fini(&s);
	assert_int_equal(READ(&s, &plain_job, &error, "--help", "--no-such"), PJ_OK);
	assert_int_equal(s.action, PJ__ACTION_HELP);
	pj__settings_fini(&s);
	assert_int_equal(READ(&s, &plain_job, &error, "--version"), PJ_OK);
	assert_int_equal(s.action, PJ__ACTION_VERSION);
	pj__settings_fini(&s);
}

static void options_may_be_given_often(void **state)
{
	(void)state;
	static const pj_job_option table[] = {
		{.name = "word", .letter = 'e', .value = "WORD", .many = true, .operand = true},
		{.name = "more", .letter = 'm', .value = "MORE", .initial = "none", .many = true},
		{NULL}};
	const pj_job job = {.abi = PJ_ABI, .name = "often", .mapper.text = no_map, .options = table};
	struct pj__settings settings;
	pj_error error;
	assert_int_equal(READ(&settings, &job, &error, "a", "-ex", "b", "--word=", "-e", "y z", "-m1"), PJ_OK);
	assert_string_equal(settings.run.values[0], "x\n\ny z");
	assert_string_equal(settings.run.values[1], "1");
	assert_int_equal(settings.run.input.path_count, 2);
	pj__settings_fini(&settings);
	assert_int_equal(READ(&settings, &job, &error, "-w2", "a", "b", "c"), PJ_OK);
	assert_string_equal(settings.run.values[0], "a");
	assert_string_equal(settings.run.values[1], "none");
	assert_int_equal(settings.run.input.path_count, 2);
	assert_string_equal(settings.run.input.paths[0], "b");
	pj__settings_fini(&settings);
	assert_int_equal(READ(&settings, &job, &error, "-w2"), PJ_OK);
	assert_null(settings.run.values[0]);
	pj__settings_fini(&settings);
}

static void own_options_join_the_table(void **state)
{
	(void)state;
	struct pj__settings s;
	pj_error error;
	assert_int_equal(READ(&s, &own_job, &error, "in"), PJ_OK);
	assert_string_equal(s.values[0], "10");
	assert_null(s.values[1]);
	assert_null(s.values[2]);
	pj__settings_fini(&s);
	/* -o is the job's flag: what follows is an input; --output keeps its long form */
	assert_int_equal(READ(&s, &own_job, &error, "-o", "x", "--output", "y", "-t5", "--pattern="), PJ_OK);
	assert_string_equal(s.values[0], "5");
	assert_string_equal(s.values[1], "");
	assert_string_equal(s.values[2], "");
	assert_string_equal(s.run.output.path, "y");
	assert_int_equal(s.run.input.path_count, 1);
	assert_string_equal(s.run.input.paths[0], "x");
	pj__settings_fini(&s);
	assert_int_equal(READ(&s, &own_job, &error, "-ot", "7"), PJ_OK);
	assert_string_equal(s.values[0], "7");
	assert_string_equal(s.values[1], "");
	pj__settings_fini(&s);
}

static void expect_refused(const pj_job *job, const char *first, const char *second, const char *line, const char *hint)
{
	struct pj__settings s;
	pj_error error = {0};
	char *argv[] = {(char[]){"papjuice test"}, strdup(first), second ? strdup(second) : NULL, NULL};
	const pj_status status = pj__settings_read(&s, job, "papjuice test", second ? 3 : 2, argv, &error);
	char text[4096];
	if (status != PJ_ERR_USAGE || error.status != status)
		fail_msg("%s %s: status %s", first, second ? second : "", pj_status_name(status));
	assert_string_equal(pj_error_format(&error, text, sizeof text), line);
	if (!strstr(error.hint, hint))
		fail_msg("%s: the hint is \"%s\", without \"%s\"", first, error.hint, hint);
	assert_int_equal(pj_error_exit_code(&error), 2);
	free(argv[1]);
	free(argv[2]);
}

static void what_is_wrong_is_said(void **state)
{
	(void)state;
	expect_refused(&plain_job, "--ouptut", "x", "unknown option: --ouptut", "the nearest is --output");
	expect_refused(&plain_job, "--zzzzzz", "1G", "unknown option: --zzzzzz", "papjuice test --help");
	expect_refused(&plain_job, "--sort=x", NULL, "unknown option: --sort", "the nearest is --sorter");
	expect_refused(&own_job, "--patern", NULL, "unknown option: --patern", "the nearest is --pattern");
	expect_refused(&plain_job, "-Z", "1G", "unknown option: -Z", "--help");
	expect_refused(&plain_job, "-m", NULL, "an option needs a value: -m, --memory SIZE", "--help");
	expect_refused(&plain_job, "-m", "lots", "bad value for --memory: lots", "50%");
	expect_refused(&plain_job, "-m0", NULL, "bad value for --memory: 0", "512M");
	expect_refused(&plain_job, "--memory=101%", NULL, "bad value for --memory: 101%", "50%");
	expect_refused(&plain_job, "--memory=4194305T", NULL, "bad value for --memory: 4194305T", "50%");
	expect_refused(&plain_job, "--temp", "", "bad value for --temp: (empty)", "a folder");
	expect_refused(&plain_job, "-qz", NULL, "unknown option: -z", "--help");
	expect_refused(&plain_job, "-output", "x", "unknown option: -output", "two dashes: --output");
	expect_refused(&plain_job, "-w", NULL, "an option needs a value: -w, -j, --workers N", "--help");
	expect_refused(&plain_job, "--workers", NULL, "an option needs a value: -w, -j, --workers N", "--help");
	expect_refused(&plain_job, "--workers=", NULL, "bad value for --workers: (empty)", "from 1 to 1024");
	expect_refused(&plain_job, "-w", "0", "bad value for --workers: 0", "2x");
	expect_refused(&plain_job, "-w", "many", "bad value for --workers: many", "--workers N:");
	expect_refused(&plain_job, "-p0", NULL, "bad value for --partitions: 0", "from 1");
	expect_refused(&plain_job, "--split-size", "12Q", "bad value for --split-size: 12Q", "K, M, G or T");
	expect_refused(&plain_job, "--sorter", "bubble", "bad value for --sorter: bubble", "simple plex shared");
	expect_refused(&plain_job, "--sorter", "", "bad value for --sorter: (empty)", "simple plex shared");
	expect_refused(&plain_job, "--sorter", "simple plex", "bad value for --sorter: simple plex", "simple plex");
	expect_refused(&plain_job, "--progress=yes", NULL, "bad value for --progress: yes", "auto always never");
	expect_refused(&plain_job, "--task-timeout", "soon", "bad value for --task-timeout: soon", "seconds");
	expect_refused(&plain_job, "--attempts", "0", "bad value for --attempts: 0", "from 1");
	expect_refused(&plain_job, "-o", "", "bad value for --output: (empty)", "a path");
	expect_refused(&plain_job, "--overwrite=yes", NULL, "an option takes no value: --overwrite=yes", "--overwrite");
	expect_refused(&plain_job, "--\033[31m", NULL, "unknown option: --\\x1b[31m", "--help");
}

static void wrong_tables_are_refused(void **state)
{
	(void)state;
	static const pj_job_option exists[] = {{"output", 0, "X", NULL, ""}, {0}};
	static const pj_job_option twice[] = {{"abc", 0, NULL, NULL, ""}, {"abc", 0, NULL, NULL, ""}, {0}};
	static const pj_job_option letters[] = {{"abc", 'a', NULL, NULL, ""}, {"abd", 'a', NULL, NULL, ""}, {0}};
	static const pj_job_option spaced[] = {{"a b", 0, NULL, NULL, ""}, {0}};
	static const pj_job_option dash[] = {{"-a", 0, NULL, NULL, ""}, {0}};
	static const pj_job_option empty[] = {{"", 0, NULL, NULL, ""}, {0}};
	static const pj_job_option odd[] = {{"abc", '-', NULL, NULL, ""}, {0}};
	static const pj_job_option *const tables[] = {exists, twice, letters, spaced, dash, empty, odd};
	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
		pj_job job = plain_job;
		job.options = tables[i];
		struct pj__settings s;
		pj_error error = {0};
		if (READ(&s, &job, &error, "in") != PJ_ERR_USER || error.status != PJ_ERR_USER)
			fail_msg("table %zu is taken", i);
	}
}

/* ----------------------------------------------------------------------------------------- help and what is printed */

/* What a function prints, to be freed. */
static char *printed(void (*print)(FILE *out, const void *arg), const void *arg)
{
	char *text = NULL;
	size_t size = 0;
	FILE *const out = open_memstream(&text, &size);
	assert_non_null(out);
	print(out, arg);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void print_short(FILE *out, const void *job)
{
	pj__help_short(out, job, "papjuice test");
}

static void print_full(FILE *out, const void *job)
{
	pj__help_full(out, job, "papjuice test");
}

static void print_manual(FILE *out, const void *unused)
{
	(void)unused;
	pj__print_manual(out);
}

static void print_completions(FILE *out, const void *shell)
{
	const pj_job *const jobs[] = {&own_job, &plain_job, NULL};
	assert_true(pj__print_completions(out, shell, jobs));
}

/* Every line at most 80 columns; returns how many there are. */
static size_t check_lines(const char *text)
{
	size_t lines = 0;
	for (; *text; lines++) {
		const size_t len = strcspn(text, "\n");
		if (len > 80)
			fail_msg("%zu columns: %.*s", len, (int)len, text);
		text += len + (text[len] == '\n');
	}
	return lines;
}

static void help_fits_the_screen(void **state)
{
	(void)state;
	char *text = printed(print_short, &plain_job);
	assert_true(check_lines(text) <= 24);
	/* examples come first */
	assert_true(strstr(text, "papjuice test book.txt") < strstr(text, "usage:"));
	free(text);
	text = printed(print_full, &own_job);
	check_lines(text);
	assert_true(strstr(text, "papjuice test book.txt") < strstr(text, "usage:"));
	struct pj__known known;
	for (size_t i = 0; pj__known_at(&own_job, i, &known); i++) {
		char names[128];
		pj__option_names(&known, names, sizeof names);
		assert_non_null(strstr(text, names));
		assert_non_null(strstr(text, known.common ? known.help : "a flag whose letter"));
	}
	/* the letter is the job's, and shown so */
	assert_non_null(strstr(text, "-o, --only"));
	assert_null(strstr(text, "-o, --output"));
	assert_non_null(strstr(text, "    --output PATH"));
	free(text);
}

static void manual_and_completions_have_every_option(void **state)
{
	(void)state;
	char *const manual = printed(print_manual, NULL);
	char *const bash = printed(print_completions, "bash"), *const zsh = printed(print_completions, "zsh"),
		    *const fish = printed(print_completions, "fish");
	struct pj__known known;
	for (size_t i = 0; pj__known_at(NULL, i, &known); i++) {
		char name[64], escaped[128] = "", in_fish[64];
		snprintf(name, sizeof name, "--%s", known.name);
		snprintf(in_fish, sizeof in_fish, "-l %s ", known.name);
		for (size_t at = 0, used = 0; name[at]; at++)
			used += (size_t)snprintf(escaped + used, sizeof escaped - used, name[at] == '-' ? "\\-" : "%c",
						 name[at]);
		assert_non_null(strstr(manual, escaped));
		assert_non_null(strstr(bash, name));
		assert_non_null(strstr(zsh, name));
		assert_non_null(strstr(fish, in_fish));
	}
	assert_non_null(strstr(bash, "own) own='--top --only --pattern'"));
	assert_non_null(strstr(
		zsh, "'--pattern=[no letter, no default; it'\\''s \\[odd\\]\\: \\\\ and '\\'' are in its help]"));
	assert_non_null(strstr(fish, "-n '__fish_seen_subcommand_from own' -s t -l top -x -d 'how many'"));
	assert_non_null(strstr(fish, "'it'\\''s a job'"));
	assert_false(pj__print_completions(stdout, "tcsh", (const pj_job *const[]){NULL}));
	free(manual);
	free(bash);
	free(zsh);
	free(fish);
}

static void messages_are_named(void **state)
{
	(void)state;
	char name[64];
	assert_string_equal(pj__message_name("papjuice wordcount", name, sizeof name), "papjuice");
	assert_string_equal(pj__message_name("papjuice", name, sizeof name), "papjuice");
	assert_string_equal(pj__message_name("papjuice run ./dir/job.so", name, sizeof name), "papjuice");
	assert_string_equal(pj__message_name("./dir/job", name, sizeof name), "job");
	assert_string_equal(pj__message_name("papjuicer", name, sizeof name), "papjuicer");
	assert_string_equal(pj__message_name("", name, sizeof name), "papjuice");
	assert_string_equal(pj__message_name(NULL, name, sizeof name), "papjuice");
}

/* --------------------------------------------------------------------------------------------------------- progress */

static void progress_lines(void **state)
{
	(void)state;
	struct pj__progress progress = {.rate = 1.2e9};
	char line[256];
	const pj_progress map = {.phase = "map", .done = 460000000, .total = 1000000000, .workers = 2, .retries = 1};
	pj__progress_line(&progress, &map, line, sizeof line);
	assert_string_equal(line, "map     [=========>          ]  46%  1.2 GB/s  1 s left  2 workers  1 retry");
	const pj_progress pipe = {.phase = "map", .done = 5230000, .workers = 1};
	pj__progress_line(&progress, &pipe, line, sizeof line);
	assert_string_equal(line, "map     5.2 MB  1.2 GB/s  1 worker");
	progress.rate = 2;
	const pj_progress reduce = {.phase = "reduce", .done = 10, .total = 16000, .workers = 8, .retries = 2};
	pj__progress_line(&progress, &reduce, line, sizeof line);
	assert_string_equal(line,
			    "reduce  [>                   ]   0%  10/16000 tasks  2:13:15 left  8 workers  2 retries");
	const pj_progress minutes = {.phase = "merge", .done = 10, .total = 200, .workers = 8};
	pj__progress_line(&progress, &minutes, line, sizeof line);
	assert_string_equal(line, "merge   [=>                  ]   5%  10/200 tasks  1:35 left  8 workers");
	/* more than all, as of an input that grew; and a line that is too small */
	const pj_progress over = {.phase = "map", .done = 30, .total = 20, .workers = 1};
	pj__progress_line(&progress, &over, line, sizeof line);
	assert_string_equal(line, "map     [====================] 100%  2 B/s  1 worker");
	assert_int_equal(pj__progress_line(&progress, &over, line, 8), 7);
	assert_string_equal(line, "map    ");
}

static void progress_is_plain_where_there_is_no_terminal(void **state)
{
	(void)state;
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	struct pj__progress progress;
	pj__progress_init(&progress, ends[1], PJ__PROGRESS_AUTO, false);
	assert_false(progress.enabled);
	pj__progress_init(&progress, ends[1], PJ__PROGRESS_ALWAYS, true);
	assert_false(progress.enabled);
	pj__progress_init(&progress, ends[1], PJ__PROGRESS_ALWAYS, false);
	assert_true(progress.enabled && !progress.terminal);
	for (int i = 0; i < 70; i++) {
		const pj_progress now = {
			.phase = "map", .done = (uint64_t)i, .total = 100, .seconds = i * 0.1, .workers = 1};
		pj__progress_show(&progress, &now);
	}
	pj__progress_erase(&progress);
	close(ends[1]);
	char text[4096];
	const ssize_t len = read(ends[0], text, sizeof text - 1);
	assert_true(len > 0);
	text[len] = 0;
	close(ends[0]);
	/* at 0, 3 and 6 seconds, and no control code */
	assert_int_equal(check_lines(text), 3);
	assert_null(strpbrk(text, "\r\033"));
	assert_non_null(strstr(text, "  60%  10 B/s"));
}

/* ------------------------------------------------------------------------------------------------------------ stats */

static void statistics_are_json(void **state)
{
	(void)state;
	struct pj__settings s;
	pj_error error;
	assert_int_equal(READ(&s, &own_job, &error, "bad\377\300\200name", "caf\303\251", "--only", "-w2"), PJ_OK);
	struct pj__outcome *const outcome = calloc(1, sizeof *outcome);
	outcome->job = &own_job;
	outcome->settings = &s;
	outcome->exit_code = 5;
	outcome->error = (pj_error){.status = PJ_ERR_CRASH, .task = 3, .offset = -1, .signal = 11, .phase = "map"};
	snprintf(outcome->error.what, sizeof outcome->error.what, "a task failed");
	outcome->result.input_bytes = UINT64_C(1) << 40;
	outcome->result.failures = 1;
	outcome->result.failure[0] = (pj_failure){"map", "signal", 3, 1, true, 77, "signal \x80 11"};
	outcome->result.map_seconds = 1.25;
	outcome->result.memory_bytes = UINT64_C(1) << 62;
	outcome->result.spilled_bytes = 12345;
	outcome->result.merge_passes = 2;
	char *const text = pj__stats_text(outcome);
	assert_non_null(text);
	json_error_t why;
	json_t *const all = json_loads(text, JSON_REJECT_DUPLICATES, &why);
	if (!all)
		fail_msg("%s: %s", why.text, text);
	const char *status, *first, *second, *sorter, *reason, *phase, *only_top, *signal_line;
	json_int_t bytes, task, exit_code, attempt, workers, budget, spilled, passes;
	int only;
	double map;
	assert_int_equal(json_unpack_ex(all, &why, 0,
					"{s:s, s:I, s:{s:s, s:I, s:s}, s:{s:[s,s], s:s, s:I, s:{s:b, s:s, s:n}}, "
					"s:{s:I}, s:{s:f}, s:[{s:s, s:I}], s:{s:I, s:I, s:I}}",
					"status", &status, "exit_code", &exit_code, "error", "phase", &phase, "task",
					&task, "message", &signal_line, "options", "inputs", &first, &second, "sorter",
					&sorter, "workers", &workers, "job", "only", &only, "top", &only_top, "pattern",
					"counters", "input_bytes", &bytes, "seconds", "map", &map, "failures", "reason",
					&reason, "attempt", &attempt, "memory", "memory_bytes", &budget,
					"spilled_bytes", &spilled, "merge_passes", &passes),
			 0);
	assert_string_equal(status, "PJ_ERR_CRASH");
	assert_string_equal(signal_line, "a task failed: signal 11 (SIGSEGV) (map task 3)");
	assert_string_equal(phase, "map");
	assert_string_equal(first, "bad\\xff\\xc0\\x80name");
	assert_string_equal(second, "caf\303\251");
	assert_string_equal(sorter, "plex");
	assert_string_equal(only_top, "10");
	assert_string_equal(reason, "signal \\x80 11");
	assert_true(only && task == 3 && exit_code == 5 && attempt == 1 && workers == 2);
	assert_true(budget == (json_int_t)1 << 62 && spilled == 12345 && passes == 2);
	assert_true(bytes == (json_int_t)1 << 40 && map > 1.2499 && map < 1.2501);
	json_decref(all);
	free(text);
	free(outcome);
	pj__settings_fini(&s);
}

static void statistics_spare_inputs_and_output(void **state)
{
	(void)state;
	char folder[] = "/tmp/papjuice-test-XXXXXX", input[64], missing[64];
	assert_non_null(mkdtemp(folder));
	snprintf(input, sizeof input, "%s/in", folder);
	snprintf(missing, sizeof missing, "%s/none/stats", folder);
	FILE *const file = fopen(input, "w");
	assert_non_null(file);
	assert_int_equal(fclose(file), 0);
	struct pj__settings s;
	pj_error error = {0};
	assert_int_equal(READ(&s, &plain_job, &error, input, "--stats", input), PJ_OK);
	assert_int_equal(pj__stats_check(&s, &error), PJ_ERR_USAGE);
	pj__settings_fini(&s);
	assert_int_equal(READ(&s, &plain_job, &error, "-o", "same", "--stats", "same"), PJ_OK);
	assert_int_equal(pj__stats_check(&s, &error), PJ_ERR_USAGE);
	pj__settings_fini(&s);
	assert_int_equal(READ(&s, &plain_job, &error, input, "--stats", missing), PJ_OK);
	assert_int_equal(pj__stats_check(&s, &error), PJ_ERR_OUTPUT);
	assert_string_equal(error.file, missing);
	pj__settings_fini(&s);
	assert_int_equal(READ(&s, &plain_job, &error, input, "--stats", folder), PJ_OK);
	assert_int_equal(pj__stats_check(&s, &error), PJ_ERR_OUTPUT);
	pj__settings_fini(&s);
	assert_int_equal(READ(&s, &plain_job, &error, input, "--stats", "/dev/null"), PJ_OK);
	assert_int_equal(pj__stats_check(&s, &error), PJ_OK);
	pj__settings_fini(&s);
	unlink(input);
	rmdir(folder);
}

/* ---------------------------------------------------------------------------------------------------------- signals */

static void handlers_are_given_back(void **state)
{
	(void)state;
	struct sigaction ignore = {.sa_handler = SIG_IGN}, before, after;
	sigaction(SIGHUP, &ignore, NULL);
	sigaction(SIGINT, NULL, &before);
	struct pj__signals signals;
	const volatile sig_atomic_t *const stop = pj__signals_catch(&signals, false);
	assert_int_equal(*stop, 0);
	raise(SIGHUP); /* was ignored, and still is */
	assert_int_equal(*stop, 0);
	raise(SIGPIPE);
	raise(SIGTERM);
	assert_int_equal(*stop, SIGTERM);
	raise(SIGTERM); /* within a tenth of a second: the same wish */
	pj__signals_restore(&signals);
	sigaction(SIGINT, NULL, &after);
	assert_true(after.sa_handler == before.sa_handler);
	sigaction(SIGPIPE, NULL, &after);
	assert_true(after.sa_handler == SIG_DFL);
}

static void built_in_jobs_are_found(void **state)
{
	(void)state;
	const pj_job *job;
	const char *before = "";
	size_t count = 0;
	for (; (job = pj_builtin_job(count)); count++) {
		assert_true(strcmp(before, job->name) < 0);
		assert_ptr_equal(pj_builtin_find(job->name), job);
		assert_non_null(job->summary);
		before = job->name;
	}
	assert_true(count >= 1);
	assert_null(pj_builtin_job(count + 1));
	assert_null(pj_builtin_find("no-such-job"));
	assert_non_null(pj_builtin_find("wordcount"));
}

int main(void)
{
	alarm(60);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_read),
		cmocka_unit_test(budgets_are_read),
		cmocka_unit_test(seconds_are_read),
		cmocka_unit_test(workers_and_counts_are_read),
		cmocka_unit_test(the_name_that_was_meant),
		cmocka_unit_test(every_option_arrives),
		cmocka_unit_test(defaults_stand),
		cmocka_unit_test(forms_of_options),
		cmocka_unit_test(options_may_be_given_often),
		cmocka_unit_test(own_options_join_the_table),
		cmocka_unit_test(what_is_wrong_is_said),
		cmocka_unit_test(wrong_tables_are_refused),
		cmocka_unit_test(help_fits_the_screen),
		cmocka_unit_test(manual_and_completions_have_every_option),
		cmocka_unit_test(messages_are_named),
		cmocka_unit_test(progress_lines),
		cmocka_unit_test(progress_is_plain_where_there_is_no_terminal),
		cmocka_unit_test(statistics_are_json),
		cmocka_unit_test(statistics_spare_inputs_and_output),
		cmocka_unit_test(handlers_are_given_back),
		cmocka_unit_test(built_in_jobs_are_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
