/*
 * test_source.c: paths, folders, patterns and lists become the right sources in the right order, or an error that names
 * the one at fault; and changed files are noticed.
 */
#include "testing.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "input/source.h"

static char folder[] = "/tmp/papjuice-test-XXXXXX";

static int enter_folder(void **state)
{
	(void)state;
	return !mkdtemp(folder) || chdir(folder) < 0;
}

static void write_bytes(const char *path, const char *bytes, size_t size)
{
	const int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), (ssize_t)size);
	close(fd);
}

static void write_file(const char *path, const char *text)
{
	write_bytes(path, text, strlen(text));
}

/* Files and folders in the working folder, removed one by one at the end. */
static const char *const made[] = {"d/.hidden", "d/_done", "d/a", "d/b/inner", "d/b", "d/c", "d/_skip/x",
				   "d/_skip",   "d/link",  "d",   "a*b",       "x1",  "x2",  "x3",
				   "list",      "-",       "@at", "empty",     "fifo"};

static void make_files(void)
{
	assert_int_equal(mkdir("d", 0700) | mkdir("d/b", 0700) | mkdir("d/_skip", 0700), 0);
	write_file("d/c", "ccc\n");
	write_file("d/a", "a\n");
	write_file("d/b/inner", "in\n");
	write_file("d/.hidden", "no\n");
	write_file("d/_done", "no\n");
	write_file("d/_skip/x", "no\n");
	write_file("x1", "1\n");
	write_file("x2", "22\n");
	write_file("x3", "333\n");
	write_file("a*b", "star\n");
	write_file("-", "minus\n");
	write_file("@at", "at\n");
	write_file("empty", "");
	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_int_equal(symlink("../x3", "d/link"), 0);
}

static int leave_folder(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof made / sizeof *made; i++)
		(void)remove(made[i]);
	return chdir("/") < 0 || rmdir(folder) < 0;
}

static pj_status expand(pj__sources *sources, const char *const *paths, pj_error *error)
{
	pj_input input = {.paths = paths};
	while (paths[input.path_count])
		input.path_count++;
	return pj__sources_expand(sources, &input, error);
}

/* Expands `paths` and holds the names, joined by spaces, against `expected`. */
static void assert_sources(const char *const *paths, const char *expected)
{
	pj__sources sources;
	pj_error error;
	char names[1000] = "";
	size_t used = 0;
	assert_good(expand(&sources, paths, &error), error);
	for (size_t i = 0; i < sources.count; i++)
		used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? " " : "", sources.at[i].name);
	assert_string_equal(names, expected);
	pj__sources_fini(&sources);
}

#define PATHS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void paths_in_their_order(void **state)
{
	(void)state;
	make_files();
	assert_sources(PATHS("x2", "x1", "x2"), "x2 x1 x2");
	assert_sources(PATHS("d"), "d/a d/b/inner d/c d/link");
	assert_sources(PATHS("d/"), "d/a d/b/inner d/c d/link");
	assert_sources(PATHS("d/_skip"), "d/_skip/x"); /* named: not skipped */
	assert_sources(PATHS("x[12]", "x?"), "x1 x2 x1 x2 x3");
	assert_sources(PATHS("*1"), "x1");
	assert_sources(PATHS("a*b"), "a*b"); /* there is such a file: no pattern */
	assert_sources(PATHS("./-", "./@at"), "./- ./@at");
	assert_sources(PATHS("empty"), "empty");
}

static void sizes_and_kinds(void **state)
{
	(void)state;
	pj__sources sources;
	pj_error error;
	assert_good(expand(&sources, PATHS("x3", "fifo", "/dev/null", "empty"), &error), error);
	assert_int_equal(sources.count, 4);
	assert_int_equal(sources.at[0].size, 4);
	assert_int_equal(sources.at[0].kind, PJ__SOURCE_FILE);
	assert_int_equal(sources.at[1].kind, PJ__SOURCE_STREAM);
	assert_int_equal(sources.at[2].kind, PJ__SOURCE_STREAM);
	assert_int_equal(sources.at[3].kind, PJ__SOURCE_FILE);
	assert_int_equal(sources.bytes, 4);
	assert_true(sources.has_stream);
	pj__sources_fini(&sources);
	pj__sources_fini(&sources);
	const pj_bytes memory[] = {{"abc", 3}, {NULL, 0}};
	const pj_input input = {.memory = memory, .memory_count = 2};
	assert_good(pj__sources_expand(&sources, &input, &error), error);
	assert_int_equal(sources.count, 2);
	assert_string_equal(sources.at[1].name, "memory:1");
	assert_int_equal(sources.bytes, 3);
	assert_false(sources.has_stream);
	pj__sources_fini(&sources);
}

static void lists_of_names(void **state)
{
	(void)state;
	static const char with_nul[] = "x1\0x\n2\0x3";
	write_file("list", "x1\n\nx3\nd\nx?");
	assert_sources(PATHS("@list", "x2"), "x1 x3 d/a d/b/inner d/c d/link x1 x2 x3 x2");
	write_file("list", "");
	assert_sources(PATHS("@list", "x2"), "x2");
	write_bytes("list", "x1\0x2\0", 6);
	assert_sources(PATHS("@list"), "x1 x2");
	write_bytes("list", with_nul, sizeof with_nul - 1);
	write_file("x\n2", "newline\n");
	assert_sources(PATHS("@list"), "x1 x\n2 x3");
	assert_int_equal(unlink("x\n2"), 0);
	write_file("list", "@at\n"); /* a list in a list is a file of that name */
	assert_sources(PATHS("@list"), "@at");
}

/* Any byte may stand in a name; none may end the list early. */
static void names_of_any_bytes(void **state)
{
	(void)state;
	char list[2000], *to = list;
	int files = 0;
	for (int byte = 255; byte > 0; byte--) {
		char name[] = {'n', (char)byte, 0};
		if (byte == '\n' || byte == '/')
			continue;
		write_file(name, "x\n");
		to += sprintf(to, "%s\n", name);
		files++;
	}
	write_file("list", list);
	pj__sources sources;
	pj_error error;
	assert_good(expand(&sources, PATHS("@list"), &error), error);
	assert_int_equal(sources.count, files);
	for (int i = 0; i < files; i++)
		assert_int_equal(unlink(sources.at[i].name), 0);
	pj__sources_fini(&sources);
}

static void a_long_list(void **state)
{
	(void)state;
	enum { NAMES = 100000 };
	char *list = malloc(3 * NAMES + 1);
	for (size_t i = 0; i < NAMES; i++)
		memcpy(list + 3 * i, i % 2 ? "x1\n" : "x2\n", 4);
	write_file("list", list);
	pj__sources sources;
	pj_error error;
	assert_good(expand(&sources, PATHS("@list"), &error), error);
	assert_int_equal(sources.count, NAMES);
	assert_int_equal(sources.bytes, NAMES / 2 * 5);
	pj__sources_fini(&sources);
	free(list);
}

static void assert_refused(const char *const *paths, pj_status status, const char *file)
{
	pj__sources sources;
	pj_error error;
	assert_fails(expand(&sources, paths, &error), status, error);
	if (file)
		assert_string_equal(error.file, file);
	pj__sources_fini(&sources);
}

static void what_cannot_be_read(void **state)
{
	(void)state;
	assert_refused(PATHS("x1", "missing"), PJ_ERR_INPUT, "missing");
	assert_refused(PATHS("missing*"), PJ_ERR_INPUT, "missing*");
	assert_refused(PATHS("@missing"), PJ_ERR_INPUT, "missing");
	assert_refused(PATHS("@d"), PJ_ERR_INPUT, "d");
	assert_refused(PATHS(""), PJ_ERR_INPUT, NULL);
	assert_refused(PATHS("@"), PJ_ERR_INPUT, NULL);
	write_file("list", "x1\nnot there\n");
	assert_refused(PATHS("@list"), PJ_ERR_INPUT, "not there");
	assert_int_equal(symlink("nowhere", "d/b/dangling"), 0);
	assert_refused(PATHS("d"), PJ_ERR_INPUT, "d/b/dangling");
	assert_int_equal(unlink("d/b/dangling"), 0);
	assert_int_equal(symlink("..", "d/b/up"), 0);
	assert_refused(PATHS("d"), PJ_ERR_INPUT, "d/b/up");
	assert_int_equal(unlink("d/b/up"), 0);
}

/* Standard input: the rest of a file from where it stands, a stream, closed, twice. */
static void standard_input(void **state)
{
	(void)state;
	const int kept = dup(STDIN_FILENO);
	pj__sources sources;
	pj_error error;
	int fd = open("x3", O_RDONLY);
	assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
	close(fd);
	assert_int_equal(lseek(STDIN_FILENO, 1, SEEK_SET), 1);
	assert_good(expand(&sources, PATHS("-", "x1"), &error), error);
	assert_int_equal(sources.at[0].base, 1);
	assert_int_equal(sources.at[0].size, 3);
	assert_true(sources.at[0].fd > STDERR_FILENO); /* a copy: workers have another standard input */
	pj__sources_fini(&sources);
	assert_int_equal(lseek(STDIN_FILENO, 100, SEEK_SET), 100); /* behind the end */
	assert_good(expand(&sources, PATHS("-"), &error), error);
	assert_int_equal(sources.at[0].size, 0);
	pj__sources_fini(&sources);
	assert_refused(PATHS("-", "-"), PJ_ERR_USAGE, NULL);
	assert_int_equal(lseek(STDIN_FILENO, 0, SEEK_SET), 0);
	fd = open("d", O_RDONLY | O_DIRECTORY);
	assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
	close(fd);
	assert_refused(PATHS("-"), PJ_ERR_INPUT, "standard input");
	close(STDIN_FILENO);
	assert_refused(PATHS("-"), PJ_ERR_INPUT, "standard input");
	assert_int_equal(dup2(kept, STDIN_FILENO), STDIN_FILENO);
	close(kept);
}

/* As somebody who is not root: in a child, since there is no way back. */
static void without_permission(void **state)
{
	(void)state;
	int how;
	if (geteuid() != 0) {
		print_message("skip: only root can become somebody else\n");
		skip();
	}
	assert_int_equal(chmod(folder, 0755), 0);
	assert_int_equal(chmod("x1", 0000) | mkdir("closed", 0000), 0);
	const pid_t child = fork();
	if (!child) {
		pj__sources sources;
		pj_error error;
		if (setgid(65534) || setuid(65534))
			_exit(10);
		if (expand(&sources, PATHS("x1"), &error) != PJ_ERR_INPUT || error.errnum != EACCES)
			_exit(1);
		pj__sources_fini(&sources);
		if (expand(&sources, PATHS("closed"), &error) != PJ_ERR_INPUT || error.errnum != EACCES)
			_exit(2);
		pj__sources_fini(&sources);
		if (expand(&sources, PATHS("@x1"), &error) != PJ_ERR_INPUT || error.errnum != EACCES)
			_exit(3);
		_exit(expand(&sources, PATHS("closed/*"), &error) == PJ_ERR_INPUT ? 0 : 4);
	}
	assert_int_equal(waitpid(child, &how, 0), child);
	assert_int_equal(rmdir("closed") | chmod("x1", 0600), 0);
	assert_true(WIFEXITED(how));
	assert_int_equal(WEXITSTATUS(how), 0);
}

static void changes_are_noticed(void **state)
{
	(void)state;
	static const struct {
		const char *text; /* NULL: removed */
		bool replaced;
		pj_status status;
		uint64_t grown;
	} changes[] = {
		{"before\n", false, PJ_ERR_CHANGED, 0}, /* written again */
		{"before\nand more\n", false, PJ_OK, 1}, {"bef", false, PJ_ERR_CHANGED, 0},
		{"", false, PJ_ERR_CHANGED, 0},          {"before\n", true, PJ_ERR_CHANGED, 0},
		{NULL, false, PJ_ERR_CHANGED, 0},
	};
	const struct timespec old[2] = {{1000, 0}, {1000, 0}};
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		pj__sources sources;
		pj_error error;
		uint64_t grown = 7;
		write_file("x2", "before\n");
		assert_int_equal(utimensat(AT_FDCWD, "x2", old, 0), 0);
		assert_good(expand(&sources, PATHS("x2", "x1"), &error), error);
		assert_good(pj__sources_check(&sources, &grown, &error), error);
		assert_int_equal(grown, 0);
		if (!changes[i].text)
			assert_int_equal(unlink("x2"), 0);
		else if (changes[i].replaced)
			assert_int_equal(rename("x2", "old") | link("old", "x2") | unlink("x2"), 0);
		if (changes[i].text)
			write_file("x2", changes[i].text);
		if (changes[i].status) {
			assert_fails(pj__sources_check(&sources, &grown, &error), changes[i].status, error);
			assert_string_equal(error.file, "x2");
		} else {
			assert_good(pj__sources_check(&sources, &grown, &error), error);
			assert_int_equal(grown, changes[i].grown);
		}
		pj__sources_fini(&sources);
		(void)remove("old");
	}
	write_file("x2", "22\n");
}

int main(void)
{
	alarm(60);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_in_their_order), cmocka_unit_test(sizes_and_kinds),
		cmocka_unit_test(lists_of_names),       cmocka_unit_test(names_of_any_bytes),
		cmocka_unit_test(a_long_list),          cmocka_unit_test(what_cannot_be_read),
		cmocka_unit_test(standard_input),       cmocka_unit_test(without_permission),
		cmocka_unit_test(changes_are_noticed),
	};
	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
