/*
 * test_view.c: the inputs as one range of addresses; and a sort whose pairs refer to them, while they are as they were
 * and when they are not.
 */
#include "testing.h"

#include <fcntl.h>
#include <papjuice/job.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/text.h"
#include "input/view.h"

enum { FILES = 3, PAGE = 4096 };
static const size_t sizes[FILES] = {(128 << 10) + 1, 64 << 10, 300001};
static char folder[] = "/tmp/papjuice-view-XXXXXX";
static const char *const paths[FILES] = {"a", "b", "c"};

/* Lines of different lengths in no order. */
static void write_lines(const char *path, size_t size, uint64_t seed)
{
	char *const text = malloc(size);
	assert_non_null(text);
	for (size_t at = 0, left = 0; at < size; at++) {
		left = left ? left - 1 : random_below(&seed, 90);
		text[at] = left ? (char)('a' + random_below(&seed, 3)) : '\n';
	}
	const int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, size), (ssize_t)size);
	close(fd);
	free(text);
}

static int make_files(void **state)
{
	(void)state;
	if (!mkdtemp(folder) || chdir(folder) < 0)
		return 1;
	for (int i = 0; i < FILES; i++)
		write_lines(paths[i], sizes[i], (uint64_t)i);
	return 0;
}

static int remove_files(void **state)
{
	(void)state;
	for (int i = 0; i < FILES; i++)
		(void)unlink(paths[i]);
	return chdir("/") < 0 || rmdir(folder) < 0;
}

static pj_status expand(pj__sources *sources, pj_error *error)
{
	const pj_input input = {.paths = paths, .path_count = FILES};
	return pj__sources_expand(sources, &input, error);
}

static void never(void *arg, const pj__source *source)
{
	(void)arg;
	(void)source;
	abort();
}

static void every_file_begins_at_a_page(void **state)
{
	(void)state;
	pj__sources sources;
	pj__view view;
	pj_error error;
	assert_good(expand(&sources, &error), error);
	assert_true(pj__view_place(&sources));
	assert_good(pj__view_open(&view, &sources, never, NULL, &error), error);
	for (int i = 0; i < FILES; i++) {
		char *const text = malloc(sizes[i]);
		const int fd = open(paths[i], O_RDONLY | O_CLOEXEC);
		assert_true(text && fd >= 0);
		assert_int_equal(sources.at[i].position % PAGE, 0);
		assert_int_equal(read(fd, text, sizes[i]), (ssize_t)sizes[i]);
		assert_memory_equal(view.at + sources.at[i].position, text, sizes[i]);
		close(fd);
		free(text);
	}
	pj__view_close(&view);
	pj__sources_fini(&sources);
}

static void small_files_and_memory_have_no_view(void **state)
{
	(void)state;
	static const pj_bytes memory = {"some\n", 5};
	const pj_input inputs[] = {{.paths = paths, .path_count = FILES}, {.memory = &memory, .memory_count = 1}};
	pj__sources sources;
	pj_error error;
	assert_int_equal(truncate(paths[0], 5) | truncate(paths[2], 5), 0);
	for (int i = 0; i < 2; i++) {
		assert_good(pj__sources_expand(&sources, &inputs[i], &error), error);
		assert_false(pj__view_place(&sources));
		pj__sources_fini(&sources);
	}
	write_lines(paths[0], sizes[0], 0);
	write_lines(paths[2], sizes[2], 2);
}

static void tell_which(void *arg, const pj__source *source)
{
	(void)arg;
	_exit(source->name[0]);
}

/* In a child: touches a byte of the view, or of another mapping of a file whose end was cut off. */
static int touch_lost(bool of_view)
{
	const pid_t child = fork();
	assert_true(child >= 0);
	if (!child) {
		pj__sources sources;
		pj__view view;
		(void)signal(SIGBUS, SIG_DFL); /* not the test library's */
		if (expand(&sources, NULL) || !pj__view_place(&sources) ||
		    pj__view_open(&view, &sources, tell_which, NULL, NULL))
			_exit(1);
		const int fd = open(paths[1], O_RDWR | O_CLOEXEC);
		const char *const other = mmap(NULL, sizes[1], PROT_READ, MAP_SHARED, fd, 0);
		if (fd < 0 || other == MAP_FAILED || ftruncate(fd, 5))
			_exit(1);
		const volatile char *const text = of_view ? view.at + sources.at[1].position : other;
		(void)text[sizes[1] - 1];
		_exit(2);
	}
	int how;
	assert_int_equal(waitpid(child, &how, 0), child);
	write_lines(paths[1], sizes[1], 1);
	return how;
}

static void lost_bytes_are_told(void **state)
{
	(void)state;
	const int how = touch_lost(true);
	assert_true(WIFEXITED(how));
	assert_int_equal(WEXITSTATUS(how), 'b');
}

static void other_bad_addresses_are_deadly(void **state)
{
	(void)state;
	const int how = touch_lost(false);
	assert_true(WIFSIGNALED(how));
	assert_int_equal(WTERMSIG(how), SIGBUS);
}

/* --------------------------------------------------------------------------------------------------------- a sort */

static pj_status emit_lines(pj_task *task, pj_bytes text, void *arg)
{
	(void)arg;
	pj_bytes line;
	while (pj_next_line(task, &text, &line))
		pj_emit(task, line, line); /* no one will see the value */
	return PJ_OK;
}

/* What came out, and when to spoil the input. */
struct outcome {
	size_t count;
	bool in_order;
	pj_text last;
	const char *cut; /* a file that is cut off when the first pair comes; NULL: none */
};

static pj_status take(void *arg, pj_bytes key, pj_bytes value)
{
	struct outcome *const outcome = arg;
	(void)value;
	if (outcome->cut && !outcome->count && truncate(outcome->cut, 1))
		return PJ_ERR_OUTPUT;
	if (outcome->count++)
		outcome->in_order &= pj_bytes_compare(pj__text_all(&outcome->last), key) <= 0;
	pj__text_reset(&outcome->last);
	pj_text_bytes(&outcome->last, key);
	return PJ_OK;
}

static pj_status sort(struct outcome *outcome, uint64_t memory, unsigned workers, pj_result *result, pj_error *error)
{
	static const pj_job job = {.abi = PJ_ABI, .name = "lines", .mapper = {.text = emit_lines}};
	const pj_options options = {.input = {.paths = paths, .path_count = FILES},
				    .output = {.pair = take, .arg = outcome, .columns = PJ_KEY_ONLY},
				    .workers = workers,
				    .memory = memory,
				    .partitions = 40,
				    .split_bytes = 20000};
	outcome->in_order = true;
	const pj_status status = pj_run(&job, &options, result, error);
	pj__text_fini(&outcome->last);
	return status;
}

static void pairs_refer_to_the_inputs(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 3; workers++) {
		struct outcome outcome = {0};
		pj_result result;
		pj_error error;
		assert_good(sort(&outcome, 0, workers, &result, &error), error);
		assert_int_equal(outcome.count, result.records);
		assert_true(outcome.in_order);
		assert_true(result.run_bytes < (sizes[0] + sizes[1] + sizes[2]) / 2);
	}
}

static void an_input_that_is_cut_off_is_told(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 2; workers++) {
		struct outcome outcome = {.cut = paths[2]};
		pj_error error;
		assert_fails(sort(&outcome, 0, workers, NULL, &error), PJ_ERR_CHANGED, error);
		assert_string_equal(error.file, paths[2]);
		write_lines(paths[2], sizes[2], 2);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_file_begins_at_a_page), cmocka_unit_test(small_files_and_memory_have_no_view),
		cmocka_unit_test(lost_bytes_are_told),         cmocka_unit_test(other_bad_addresses_are_deadly),
		cmocka_unit_test(pairs_refer_to_the_inputs),   cmocka_unit_test(an_input_that_is_cut_off_is_told),
	};
	return cmocka_run_group_tests(tests, make_files, remove_files);
}
