/*
 * test_program.c: plug-ins and sources. What a plug-in is comes through a probe whole, or as an error that names what
 * it did; a source is compiled when it has to be, by any number of processes at once, and never half.
 *
 * The plug-ins here define pj_plugin_job() by hand and call nothing: they are loaded by this program, which does not
 * export the library's functions. Whole jobs as plug-ins are run in tests/system.
 */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/machine.h"
#include "program/program.h"

static char folder[] = "/tmp/papjuice-test-XXXXXX";
static char include_folder[4096];

/* ----------------------------------------------------------------------------------------------------- surroundings */

/* include/ of the source tree, looked for from the working folder and from this program upwards. */
static bool find_includes(const char *from)
{
	char path[3000];
	if (!realpath(from, path))
		return false;
	for (char *slash = path + strlen(path); slash; slash = strrchr(path, '/')) {
		*slash = 0;
		snprintf(include_folder, sizeof include_folder, "%s/include/papjuice.h", path);
		if (access(include_folder, R_OK) == 0) {
			*strrchr(include_folder, '/') = 0;
			return true;
		}
	}
	return false;
}

static int prepare(void **state)
{
	(void)state;
	if (!mkdtemp(folder) || (!find_includes("/proc/self/exe") && !find_includes(".")))
		return 1;
	char cache[128];
	snprintf(cache, sizeof cache, "%s/cache", folder);
	return mkdir(cache, 0700) < 0 || setenv("XDG_CACHE_HOME", cache, 1) < 0;
}

static void remove_tree(const char *path)
{
	DIR *const opened = opendir(path);
	const struct dirent *entry;
	while (opened && (entry = readdir(opened))) {
		char inner[4096];
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
		if (unlink(inner) < 0)
			remove_tree(inner);
	}
	if (opened)
		closedir(opened);
	rmdir(path);
}

static int clean(void **state)
{
	(void)state;
	remove_tree(folder);
	return 0;
}

/* Writes a file of the test's folder; returns its path, which lives until the next but three calls. */
static const char *write_file(const char *name, const char *text)
{
	static char paths[4][512];
	static unsigned turn;
	char *const path = paths[turn++ % 4];
	snprintf(path, 512, "%s/%s", folder, name);
	FILE *const file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	return path;
}

#define JOB_HEAD                                                                                                       \
	"#include <papjuice/job.h>\n"                                                                                  \
	"static pj_status map(pj_task *task, pj_bytes text, void *arg)\n"                                              \
	"{\n\t(void)task; (void)text; (void)arg;\n\treturn PJ_OK;\n}\n"
#define JOB_TAIL                                                                                                       \
	"PJ_API const pj_job *pj_plugin_job(void);\n"                                                                  \
	"const pj_job *pj_plugin_job(void) { return &job; }\n"
#define SIMPLE_JOB(name)                                                                                               \
	JOB_HEAD "static const pj_job job = {.abi = PJ_ABI, .name = \"" name "\", .mapper = {.text = map}};\n" JOB_TAIL

static pj_status open_program(const char *path, pj_program **program, bool *compiled, pj_error *error)
{
	const pj_program_options options = {.include_folder = include_folder};
	return pj_program_open(path, &options, program, compiled, error);
}

/* Opens the program, checks the name of its job and whether it was compiled now, and closes it. */
static void expect_job(const char *path, const char *name, bool compiled)
{
	pj_program *program = NULL;
	bool was_compiled = !compiled;
	pj_error error;
	if (open_program(path, &program, &was_compiled, &error)) {
		char line[4096];
		fail_msg("%s", pj_error_format(&error, line, sizeof line));
	}
	assert_string_equal(pj_program_job(program)->name, name);
	assert_int_equal(was_compiled, compiled);
	pj_program_close(program);
}

/* Opening fails with this status, and the line of the error holds all of the words. */
static void expect_error(const char *path, pj_status status, const char *first, const char *second)
{
	pj_program *program = NULL;
	bool compiled = false;
	pj_error error = {0};
	char line[4096];
	assert_int_equal(open_program(path, &program, &compiled, &error), status);
	assert_null(program);
	assert_int_equal(error.status, status);
	pj_error_format(&error, line, sizeof line);
	if (!strstr(line, first) || !strstr(line, second))
		fail_msg("\"%s\" lacks \"%s\" or \"%s\"", line, first, second);
	assert_string_not_equal(error.hint, "");
}

/* ------------------------------------------------------------------------------------------------------ description */

static pj_status map_text(pj_task *task, pj_bytes text, void *arg)
{
	(void)task;
	(void)text;
	(void)arg;
	return PJ_OK;
}

static void add(void *sum, int64_t value, void *arg)
{
	(void)sum;
	(void)value;
	(void)arg;
}

static pj_status finish(const void *sum, pj_text *text, void *arg)
{
	(void)sum;
	(void)text;
	(void)arg;
	return PJ_OK;
}

static pj_status begin(pj_task *task, void *arg)
{
	return map_text(task, (pj_bytes){NULL, 0}, arg);
}

static pj_status configure(pj_job *job, const char *const *values, pj_error *error)
{
	(void)job;
	(void)values;
	(void)error;
	return PJ_OK;
}

static const pj_aggregate own_sum = {
	.name = "own", .takes = PJ_TAKES_I64, .exact = false, .state_bytes = 40, .add_i64 = add, .finish = finish};
static const pj_job_option some_options[] = {{"top", 't', "K", "10", "how many"},
					     {"flag", 0, NULL, NULL, NULL},
					     {.name = "e", .value = "X", .many = true, .operand = true},
					     {0}};
static const char *const some_paths[] = {"a", "", "b c\n"};
static const pj_bytes some_memory[] = {{"x\0y", 3}, {NULL, 0}, {"z", 1}};

static int compare_keys(pj_bytes a, pj_bytes b, void *arg)
{
	(void)arg;
	return pj_bytes_compare(b, a);
}

static size_t group_keys(pj_bytes key, void *arg)
{
	(void)arg;
	return key.len / 2;
}

static const pj_job full_job = {
	.abi = PJ_ABI,
	.name = "full",
	.summary = NULL,
	.input = {.paths = some_paths, .path_count = 3, .memory = some_memory, .memory_count = 3},
	.mapper = {.line = map_text, .begin = begin},
	.sorter = PJ_SORTER_SHARED,
	.reducer = {.aggregate = &own_sum},
	.keys = {.compare = compare_keys, .group = group_keys, .sort_values = true},
	.output = {.path = "out", .columns = PJ_VALUE_ONLY, .escape = true},
	.map_only = true,
	.counts_lines = true,
	.begins_empty = true,
	.input_count = 6,
	.may_replace_input = true,
	.options = some_options,
	.configure = configure,
};

static void a_description_is_whole(void **state)
{
	(void)state;
	pj_text text = {0};
	pj__described *described = NULL;
	pj_error error;
	assert_int_equal(pj__describe(&full_job, &text, &error), PJ_OK);
	assert_int_equal(pj__described_create(pj__text_all(&text), "x", &described, &error), PJ_OK);
	pj__text_fini(&text); /* it has a copy */
	const pj_job *const job = pj__described_job(described);
	assert_int_equal(job->abi, PJ_ABI);
	assert_string_equal(job->name, "full");
	assert_null(job->summary);
	assert_int_equal(job->input.path_count, 3);
	assert_string_equal(job->input.paths[0], "a");
	assert_string_equal(job->input.paths[1], "");
	assert_string_equal(job->input.paths[2], "b c\n");
	assert_int_equal(job->input.memory_count, 3);
	assert_true(pj_bytes_equal(job->input.memory[0], some_memory[0]));
	assert_true(pj_bytes_equal(job->input.memory[1], some_memory[1]));
	assert_true(pj_bytes_equal(job->input.memory[2], some_memory[2]));
	assert_true(!job->mapper.text && job->mapper.line && job->mapper.begin && !job->mapper.end);
	assert_int_equal(job->sorter, PJ_SORTER_SHARED);
	const pj_aggregate *const sum = job->reducer.aggregate;
	assert_non_null(sum);
	assert_true(!job->reducer.general && sum != &own_sum && !strcmp(sum->name, "own"));
	assert_true(sum->takes == PJ_TAKES_I64 && !sum->exact && sum->state_bytes == 40);
	assert_true(sum->add_i64 && !sum->add_f64 && !sum->add_bytes && !sum->add_many_i64 && !sum->init);
	assert_true(!sum->merge && sum->finish);
	assert_string_equal(job->output.path, "out");
	assert_true(job->output.columns == PJ_VALUE_ONLY && job->output.escape && !job->output.overwrite);
	assert_true(job->map_only && !job->input.read && !job->output.pair);
	assert_string_equal(job->options[0].name, "top");
	assert_int_equal(job->options[0].letter, 't');
	assert_string_equal(job->options[0].value, "K");
	assert_string_equal(job->options[0].initial, "10");
	assert_string_equal(job->options[0].help, "how many");
	assert_true(job->options[1].letter == 0 && !job->options[1].value && !job->options[1].help);
	assert_true(!job->options[1].many && !job->options[1].operand);
	assert_true(job->options[2].many && job->options[2].operand);
	assert_null(job->options[3].name);
	assert_true(job->counts_lines && job->begins_empty && job->input_count == 6 && job->may_replace_input);
	assert_true(job->keys.compare && job->keys.group && !job->keys.part && job->keys.sort_values);
	assert_true(job->keys.compare != compare_keys && !job->reducer.combine);
	assert_true(pj__described_configures(described));
	pj__described_destroy(described);
}

static void built_in_aggregates_are_themselves(void **state)
{
	(void)state;
	static const pj_aggregate *const all[] = {&pj_sum_i64, &pj_min_i64, &pj_max_i64, &pj_sum_f64,
						  &pj_min_f64, &pj_max_f64, &pj_count};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		const pj_job job = {
			.abi = PJ_ABI, .name = "x", .mapper = {.text = map_text}, .reducer = {.aggregate = all[i]}};
		pj_text text = {0};
		pj__described *described = NULL;
		assert_int_equal(pj__describe(&job, &text, NULL), PJ_OK);
		assert_int_equal(pj__described_create(pj__text_all(&text), "x", &described, NULL), PJ_OK);
		assert_ptr_equal(pj__described_job(described)->reducer.aggregate, all[i]);
		assert_false(pj__described_configures(described));
		pj__described_destroy(described);
		pj__text_fini(&text);
	}
}

static pj_status read_nothing(void *arg, char *to, size_t size, size_t *got)
{
	(void)arg;
	(void)to;
	(void)size;
	*got = 0;
	return PJ_OK;
}

static pj_status take_pair(void *arg, pj_bytes key, pj_bytes value)
{
	(void)arg;
	(void)key;
	(void)value;
	return PJ_OK;
}

static bool find_none(const pj_result *result, const char *const *values)
{
	(void)result;
	(void)values;
	return false;
}

static void functions_of_the_leader_are_refused(void **state)
{
	(void)state;
	pj_job job = full_job;
	pj_text text = {0};
	pj_error error;
	job.input.read = read_nothing;
	assert_int_equal(pj__describe(&job, &text, &error), PJ_ERR_USER);
	assert_non_null(strstr(error.reason, "input function"));
	job = full_job;
	job.output.pair = take_pair;
	assert_int_equal(pj__describe(&job, &text, &error), PJ_ERR_USER);
	assert_non_null(strstr(error.reason, "output function"));
	job = full_job;
	job.answer = find_none;
	assert_int_equal(pj__describe(&job, &text, &error), PJ_ERR_USER);
	assert_non_null(strstr(error.reason, "answer function"));
	pj__text_fini(&text);
}

static void damaged_descriptions_do_no_harm(void **state)
{
	(void)state;
	pj_text text = {0};
	pj__described *described = NULL;
	assert_int_equal(pj__describe(&full_job, &text, NULL), PJ_OK);
	for (size_t len = 0; len < text.len; len++)
		assert_int_equal(pj__described_create((pj_bytes){text.data, len}, "x", &described, NULL), PJ_ERR_USER);
	size_t refused = 0;
	for (size_t at = 0; at < text.len; at++) {
		for (unsigned flip = 1; flip < 256; flip += 127) {
			text.data[at] = (char)(text.data[at] ^ (int)flip);
			pj_error error;
			if (pj__described_create(pj__text_all(&text), "x", &described, &error) == PJ_OK)
				pj__described_destroy(described);
			else
				refused++;
			text.data[at] = (char)(text.data[at] ^ (int)flip);
		}
	}
	assert_true(refused > text.len); /* every length, count and string's end is looked at */
	assert_int_equal(pj__described_create(pj__text_all(&text), "x", &described, NULL), PJ_OK);
	pj__described_destroy(described);
	pj__text_fini(&text);
}

/* ------------------------------------------------------------------------------------------------ sources and probe */

static void a_source_is_compiled_once(void **state)
{
	(void)state;
	const char *const path = write_file("once.c", SIMPLE_JOB("once"));
	expect_job(path, "once", true);
	expect_job(path, "once", false);
	/* the same bytes elsewhere are the same; other bytes are not; nor is another compiler */
	expect_job(write_file("copy.c", SIMPLE_JOB("once")), "once", false);
	expect_job(write_file("once.c", SIMPLE_JOB("two")), "two", true);
	expect_job(write_file("once.c", SIMPLE_JOB("once")), "once", false);
	assert_int_equal(setenv("CC", "cc -DOTHER", 1), 0);
	expect_job(path, "once", true);
	expect_job(path, "once", false);
	assert_int_equal(unsetenv("CC"), 0);
}

static void a_header_of_its_own_counts(void **state)
{
	(void)state;
	write_file("name.h", "#define NAME \"first\"\n");
	const char *const path =
		write_file("with_header.c", JOB_HEAD "#include \"name.h\"\n"
						     "static const pj_job job = {.abi = PJ_ABI, .name = NAME, "
						     ".mapper = {.text = map}};\n" JOB_TAIL);
	expect_job(path, "first", true);
	expect_job(path, "first", false);
	write_file("name.h", "#define NAME \"second\"\n");
	expect_job(path, "second", true);
	write_file("name.h", "#define NAME \"first\"\n");
	expect_job(path, "first", false);
}

static void odd_names_are_names(void **state)
{
	(void)state;
	static const char *const names[] = {"a b.c",       "it's.c", "$(touch x);`y`.c", "-o.c", "\"q\"\\.c",
					    "new\nline.c", "\xff.c"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char text[1024];
		snprintf(text, sizeof text, "%s/* %zu */\n", SIMPLE_JOB("odd"), i);
		expect_job(write_file(names[i], text), "odd", true);
	}
}

static void what_does_not_compile_is_told(void **state)
{
	(void)state;
	expect_error(write_file("bad.c", "#include <papjuice.h>\nint x = ;\n"), PJ_ERR_USER, "does not compile",
		     "bad.c:2:9: error: expected expression");
	expect_error(write_file("missing.c", "#include \"none.h\"\n"), PJ_ERR_USER, "does not compile", "none.h");
	assert_int_equal(setenv("CC", "no-such-compiler -x", 1), 0);
	expect_error(write_file("good.c", SIMPLE_JOB("x")), PJ_ERR_USER, "no C compiler", "no-such-compiler");
	assert_int_equal(setenv("CC", "false", 1), 0);
	expect_error(write_file("good.c", SIMPLE_JOB("x")), PJ_ERR_USER, "does not compile", "said nothing");
	assert_int_equal(unsetenv("CC"), 0);
}

static void collect(void *arg, pj_bytes text)
{
	snprintf(arg, 2048, "%.*s", (int)text.len, text.ptr);
}

static void warnings_are_handed_on(void **state)
{
	(void)state;
	char said[2048] = "";
	const pj_program_options options = {include_folder, collect, said};
	pj_program *program = NULL;
	const char *const path = write_file("warns.c", "#warning \"mind the gap\"\n" SIMPLE_JOB("warns"));
	assert_int_equal(pj_program_open(path, &options, &program, NULL, NULL), PJ_OK);
	assert_non_null(strstr(said, "mind the gap"));
	pj_program_close(program);
}

static void files_that_are_not_there(void **state)
{
	(void)state;
	char path[256];
	snprintf(path, sizeof path, "%s/none.so", folder);
	expect_error(path, PJ_ERR_INPUT, "none.so", "No such file");
	snprintf(path, sizeof path, "%s/none.c", folder);
	expect_error(path, PJ_ERR_INPUT, "none.c", "No such file");
	expect_error(folder, PJ_ERR_INPUT, folder, "directory");
}

static void bad_plug_ins_are_told_apart(void **state)
{
	(void)state;
	expect_error(write_file("text.so", "no object\n"), PJ_ERR_USER, "cannot load", "text.so");
	expect_error(write_file("none.c", "int nothing;\n"), PJ_ERR_USER, "not a plug-in", "none.c");
	expect_error(write_file("null.c", "const void *pj_plugin_job(void) { return 0; }\n"), PJ_ERR_USER,
		     "cannot be used", "no job");
	expect_error(write_file("abi.c", JOB_HEAD "static const pj_job job = {.abi = 99, .name = \"x\"};\n" JOB_TAIL),
		     PJ_ERR_USER, "cannot be used", "version 99");
	expect_error(write_file("name.c", JOB_HEAD "static const pj_job job = {.abi = PJ_ABI};\n" JOB_TAIL),
		     PJ_ERR_USER, "cannot be used", "no name");
	expect_error(write_file("undefined.c", "void gone(void);\nvoid pj_plugin_job(void) { gone(); }\n"), PJ_ERR_USER,
		     "cannot load", "gone");
}

static void deaths_while_loading_are_told(void **state)
{
	(void)state;
	expect_error(
		write_file("crash.c", "#include <stdlib.h>\n__attribute__((constructor)) void f(void) { abort(); }\n"),
		PJ_ERR_USER, "crashed while it was loaded", "SIGABRT");
	expect_error(write_file("crash2.c", "#include <signal.h>\nvoid pj_plugin_job(void) { raise(SIGSEGV); }\n"),
		     PJ_ERR_USER, "crashed while it was loaded", "SIGSEGV");
	expect_error(
		write_file("exit.c", "#include <stdlib.h>\n__attribute__((constructor)) void f(void) { exit(3); }\n"),
		PJ_ERR_USER, "ended its process", "exit code 3");
}

static void a_hang_has_its_limit(void **state)
{
	(void)state;
	/* with a process of its own that holds the pipe, too */
	const char *const path = write_file("hang.c", "#include <unistd.h>\n"
						      "void pj_plugin_job(void) { if (!fork()) { alarm(1); pause(); }"
						      " for (;;) pause(); }\n");
	char object[256];
	snprintf(object, sizeof object, "%s/hang.so", folder);
	const char *const argv[] = {"/usr/bin/cc", "-shared", "-fPIC", "-o", object, path, NULL};
	pj_text said = {0};
	bool ok = false;
	assert_int_equal(pj__run_command(argv, NULL, &said, &ok, NULL), PJ_OK);
	assert_true(ok);
	pj__text_fini(&said);
	struct pj__object loaded = {.path = object};
	assert_int_equal(stat(object, &loaded.seen), 0);
	pj__described *described = NULL;
	pj_error error = {0};
	const uint64_t start_ns = pj__now_ns();
	assert_int_equal(pj__probe(&loaded, "hang.so", NULL, 200, &described, &error), PJ_ERR_USER);
	const uint64_t passed_ms = (pj__now_ns() - start_ns) / 1000000u;
	assert_non_null(strstr(error.what, "hangs"));
	assert_true(passed_ms >= 200 && passed_ms < 2000);
	/* an object that was changed since it was looked at is not loaded */
	loaded.seen.st_mtim.tv_nsec ^= 1;
	assert_int_equal(pj__probe(&loaded, "hang.so", NULL, 5000, &described, &error), PJ_ERR_USER);
	assert_non_null(strstr(error.what, "replaced"));
}

static void what_a_constructor_prints_is_no_data(void **state)
{
	(void)state;
	const char *const path = write_file("prints.c", "#include <stdio.h>\n" JOB_HEAD
							"__attribute__((constructor)) static void f(void)\n"
							"{ printf(\"noise\\n\"); fflush(stdout); }\n"
							"static const pj_job job = {.abi = PJ_ABI, .name = \"p\", "
							".mapper = {.text = map}};\n" JOB_TAIL);
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	fflush(stdout);
	const int kept_output = dup(STDOUT_FILENO), kept_errors = dup(STDERR_FILENO);
	const int nothing = open("/dev/null", O_WRONLY);
	dup2(ends[1], STDOUT_FILENO);
	dup2(nothing, STDERR_FILENO);
	pj_program *program = NULL;
	const pj_status status = open_program(path, &program, NULL, NULL);
	dup2(kept_output, STDOUT_FILENO);
	dup2(kept_errors, STDERR_FILENO);
	close(kept_output);
	close(kept_errors);
	close(nothing);
	close(ends[1]);
	char byte;
	assert_int_equal(read(ends[0], &byte, 1), 0);
	close(ends[0]);
	assert_int_equal(status, PJ_OK);
	pj_program_close(program);
}

static void configure_is_asked_in_a_child(void **state)
{
	(void)state;
	static const char source[] = JOB_HEAD
		"#include <string.h>\n"
		"static pj_status general(pj_task *task, pj_bytes key, pj_values *values, void *arg)\n"
		"{\n\t(void)task; (void)key; (void)values; (void)arg;\n\treturn PJ_OK;\n}\n"
		"static pj_status configure(pj_job *job, const char *const *values, pj_error *error)\n"
		"{\n"
		"\tif (!strcmp(values[0], \"bad\")) {\n"
		"\t\tstrcpy(error->reason, \"--kind bad is too bad\");\n"
		"\t\treturn PJ_ERR_USAGE;\n"
		"\t}\n"
		"\tif (!strcmp(values[0], \"crash\"))\n\t\t__builtin_trap();\n"
		"\tif (!strcmp(values[0], \"keys\"))\n\t\tjob->output.columns = PJ_KEY_ONLY;\n"
		"\tif (values[1])\n\t\tjob->reducer.general = general;\n"
		"\treturn PJ_OK;\n"
		"}\n"
		"static const pj_job_option options[] = {{\"kind\", 0, \"K\", \"none\", 0}, {\"r\"}, {0}};\n"
		"static const pj_job job = {.abi = PJ_ABI, .name = \"c\", .mapper = {.text = map}, .options = options,"
		" .configure = configure};\n" JOB_TAIL;
	pj_program *program = NULL;
	assert_int_equal(open_program(write_file("configure.c", source), &program, NULL, NULL), PJ_OK);
	const pj_job *const described = pj_program_job(program);
	assert_non_null(described->configure);
	pj_error error = {0};
	pj_job job = *described;
	assert_int_equal(job.configure(&job, (const char *const[]){"keys", ""}, &error), PJ_OK);
	assert_true(job.output.columns == PJ_KEY_ONLY && job.reducer.general && job.load && job.load_arg);
	job = *described;
	assert_int_equal(job.configure(&job, (const char *const[]){"none", NULL}, &error), PJ_OK);
	assert_true(job.output.columns == PJ_KEY_AND_VALUE && !job.reducer.general);
	job = *described;
	assert_int_equal(job.configure(&job, (const char *const[]){"bad", NULL}, &error), PJ_ERR_USAGE);
	assert_string_equal(error.reason, "--kind bad is too bad");
	assert_int_equal(error.status, PJ_ERR_USAGE);
	assert_int_equal(job.configure(&job, (const char *const[]){"crash", NULL}, &error), PJ_ERR_USER);
	assert_true(error.signal == SIGILL || error.signal == SIGTRAP);
	/* in a worker the real one is called */
	const pj_job *real = NULL;
	assert_int_equal(described->load(described->load_arg, &real, &error), PJ_OK);
	assert_true(real != described && !strcmp(real->name, "c") && real->configure && !real->load);
	pj_program_close(program);
}

/* ------------------------------------------------------------------------------------------------------------ cache */

static size_t count_files(const char *path, const char *beginning)
{
	DIR *const opened = opendir(path);
	assert_non_null(opened);
	size_t count = 0;
	const struct dirent *entry;
	while ((entry = readdir(opened)))
		count += entry->d_name[0] != '.' && !strncmp(entry->d_name, beginning, strlen(beginning));
	closedir(opened);
	return count;
}

static void many_compile_at_once(void **state)
{
	(void)state;
	enum { PROCESSES = 8 };
	const char *const path = write_file("crowd.c", SIMPLE_JOB("crowd"));
	pid_t pids[PROCESSES];
	for (int i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			pj_program *program = NULL;
			const pj_job *real = NULL;
			if (open_program(path, &program, NULL, NULL))
				_exit(1);
			const pj_job *const job = pj_program_job(program);
			/* what another process puts there meanwhile must not look like a replacement */
			usleep(100000);
			_exit(job->load(job->load_arg, &real, NULL) || strcmp(real->name, "crowd") ? 2 : 0);
		}
	}
	for (int i = 0; i < PROCESSES; i++) {
		int how = -1;
		assert_int_equal(waitpid(pids[i], &how, 0), pids[i]);
		assert_int_equal(how, 0);
	}
	char cache[256];
	snprintf(cache, sizeof cache, "%s/cache/papjuice", folder);
	assert_int_equal(count_files(cache, "tmp-"), 0);
	expect_job(path, "crowd", false);
}

/* The only object of a cache of its own; to be freed. */
static char *only_object(const char *cache)
{
	DIR *const opened = opendir(cache);
	assert_non_null(opened);
	char *path = NULL;
	const struct dirent *entry;
	while ((entry = readdir(opened)))
		if (entry->d_name[0] != '.') {
			assert_null(path);
			assert_true(asprintf(&path, "%s/%s", cache, entry->d_name) > 0);
		}
	closedir(opened);
	assert_non_null(path);
	return path;
}

static void damage_is_healed(void **state)
{
	(void)state;
	char home[256], cache[300];
	snprintf(home, sizeof home, "%s/other", folder);
	snprintf(cache, sizeof cache, "%s/papjuice", home);
	char *const before = strdup(getenv("XDG_CACHE_HOME"));
	assert_int_equal(setenv("XDG_CACHE_HOME", home, 1), 0);
	const char *const path = write_file("heal.c", SIMPLE_JOB("heal"));
	expect_job(path, "heal", true);
	char *const object = only_object(cache);
	struct stat seen;
	assert_int_equal(stat(cache, &seen), 0);
	assert_int_equal(seen.st_mode & 07777, 0700);
	assert_int_equal(truncate(object, 100), 0);
	expect_job(path, "heal", true);
	expect_job(path, "heal", false);
	/* what was left half long ago, and what was not used for long, goes when something is compiled */
	const struct timespec old[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000}};
	char unfinished[400];
	snprintf(unfinished, sizeof unfinished, "%s/tmp-abcdef", cache);
	assert_int_equal(close(open(unfinished, O_CREAT | O_WRONLY, 0600)), 0);
	assert_int_equal(utimensat(AT_FDCWD, unfinished, old, 0), 0);
	assert_int_equal(utimensat(AT_FDCWD, object, old, 0), 0);
	expect_job(write_file("heal2.c", SIMPLE_JOB("heal2")), "heal2", true);
	assert_int_equal(access(unfinished, F_OK), -1);
	assert_int_equal(access(object, F_OK), -1);
	assert_int_equal(setenv("XDG_CACHE_HOME", before, 1), 0);
	free(before);
	free(object);
}

static void a_cache_that_others_may_write_is_not_used(void **state)
{
	(void)state;
	char home[256], cache[300], temp[256];
	snprintf(home, sizeof home, "%s/open", folder);
	snprintf(cache, sizeof cache, "%s/papjuice", home);
	snprintf(temp, sizeof temp, "%s/temp", folder);
	assert_int_equal(mkdir(home, 0700) | mkdir(cache, 0700) | mkdir(temp, 0700), 0);
	assert_int_equal(chmod(cache, 0777), 0);
	char *const before = strdup(getenv("XDG_CACHE_HOME"));
	assert_int_equal(setenv("XDG_CACHE_HOME", home, 1) | setenv("TMPDIR", temp, 1), 0);
	const char *const path = write_file("open.c", SIMPLE_JOB("open"));
	pj_program *program = NULL;
	bool compiled = false;
	assert_int_equal(open_program(path, &program, &compiled, NULL), PJ_OK);
	assert_true(compiled);
	assert_int_equal(count_files(cache, ""), 0);
	assert_int_equal(count_files(temp, "papjuice-"), 1);
	const pj_job *real = NULL;
	assert_int_equal(pj_program_job(program)->load(pj_program_job(program)->load_arg, &real, NULL), PJ_OK);
	pj_program_close(program);
	assert_int_equal(count_files(temp, ""), 0);
	/* neither a cache nor a temporary folder */
	assert_int_equal(setenv("TMPDIR", "/dev/null/none", 1), 0);
	expect_error(path, PJ_ERR_OUTPUT, "/dev/null/none", "Not a directory");
	assert_int_equal(setenv("XDG_CACHE_HOME", before, 1) | unsetenv("TMPDIR"), 0);
	free(before);
}

static void closed_standard_descriptors_do_no_harm(void **state)
{
	(void)state;
	const char *const path = write_file("closed.c", SIMPLE_JOB("closed"));
	const pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		for (int fd = 0; fd <= 2; fd++)
			close(fd);
		pj_program *program = NULL;
		_exit(open_program(path, &program, NULL, NULL) || strcmp(pj_program_job(program)->name, "closed"));
	}
	int how = -1;
	assert_int_equal(waitpid(pid, &how, 0), pid);
	assert_int_equal(how, 0);
}

int main(void)
{
	alarm(110);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_description_is_whole),
		cmocka_unit_test(built_in_aggregates_are_themselves),
		cmocka_unit_test(functions_of_the_leader_are_refused),
		cmocka_unit_test(damaged_descriptions_do_no_harm),
		cmocka_unit_test(a_source_is_compiled_once),
		cmocka_unit_test(a_header_of_its_own_counts),
		cmocka_unit_test(odd_names_are_names),
		cmocka_unit_test(what_does_not_compile_is_told),
		cmocka_unit_test(warnings_are_handed_on),
		cmocka_unit_test(files_that_are_not_there),
		cmocka_unit_test(bad_plug_ins_are_told_apart),
		cmocka_unit_test(deaths_while_loading_are_told),
		cmocka_unit_test(a_hang_has_its_limit),
		cmocka_unit_test(what_a_constructor_prints_is_no_data),
		cmocka_unit_test(configure_is_asked_in_a_child),
		cmocka_unit_test(many_compile_at_once),
		cmocka_unit_test(damage_is_healed),
		cmocka_unit_test(a_cache_that_others_may_write_is_not_used),
		cmocka_unit_test(closed_standard_descriptors_do_no_harm),
	};
	return cmocka_run_group_tests(tests, prepare, clean);
}
