/*
 * test_pieces.c: values that are emitted in pieces, by mappers and reducers, are what they would be as a whole, with
 * every sorter, output and escape; what goes wrong amid the pieces is told, and the pair is not.
 */
#include "testing.h"

#include <fcntl.h>
#include <papjuice/job.h>
#include <sys/stat.h>

#include "base/text.h"

enum { LINES = 40, LINE_BYTES = 70000 };
/* ThreadSanitizer sees one process: a mutex that others lock and unlock, too, confuses it. */
#if defined(__SANITIZE_THREAD__)
static const pj_sorter sorters[] = {PJ_SORTER_SIMPLE, PJ_SORTER_PLEX, PJ_SORTER_PLEX};
#else
static const pj_sorter sorters[] = {PJ_SORTER_SIMPLE, PJ_SORTER_PLEX, PJ_SORTER_SHARED};
#endif

enum trouble { NONE, FAILS, EMITS };

struct cut {
	pj_task *task;
	pj_bytes rest;
	pj_values *values; /* of a reducer: the pieces are those */
	enum trouble trouble;
};

static int next_cut(void *arg, pj_bytes *ret_piece)
{
	struct cut *cut = arg;
	if (cut->trouble == FAILS && cut->rest.len < 50000) {
		(void)pj_task_fail(cut->task, PJ_ERR_RECORD, NULL, "amid the pieces");
		return 0;
	}
	if (cut->trouble == EMITS)
		pj_emit(cut->task, pj_bytes_of("another"), pj_bytes_of("pair"));
	if (cut->values)
		return pj_next_value(cut->values, ret_piece);
	const size_t step = cut->rest.len < 777 ? cut->rest.len : 777;
	*ret_piece = (pj_bytes){cut->rest.ptr, step};
	cut->rest = (pj_bytes){cut->rest.ptr + step, cut->rest.len - step};
	return step > 0;
}

static pj_bytes key_of(pj_bytes line)
{
	return (pj_bytes){line.ptr, line.len < 3 ? line.len : 3};
}

static pj_status map_whole(pj_task *task, pj_bytes line, void *arg)
{
	(void)arg;
	pj_emit(task, key_of(line), line);
	return PJ_OK;
}

static pj_status map_pieces(pj_task *task, pj_bytes line, void *arg)
{
	pj_emit_pieces(task, key_of(line), next_cut, &(struct cut){task, line, NULL, *(enum trouble *)arg});
	return PJ_OK;
}

static pj_status reduce_whole(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	(void)arg;
	pj_text text = {0};
	pj_bytes value;
	while (pj_next_value(values, &value))
		pj_text_bytes(&text, value);
	pj_emit(task, key, pj__text_all(&text));
	pj__text_fini(&text);
	return PJ_OK;
}

static pj_status reduce_pieces(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	const pj_bytes none = {NULL, 0};
	pj_emit_pieces(task, key, next_cut, &(struct cut){task, none, values, *(enum trouble *)arg});
	return PJ_OK;
}

static pj_job make_job(bool map_in_pieces, bool reduce_in_pieces, bool map_only, enum trouble *trouble)
{
	pj_job job = {.abi = PJ_ABI, .name = "pieces", .map_only = map_only};
	job.mapper.line = map_in_pieces ? map_pieces : map_whole;
	job.reducer.general = map_only ? NULL : reduce_in_pieces ? reduce_pieces : reduce_whole;
	job.mapper.arg = job.reducer.arg = trouble;
	return job;
}

/* Lines with tabs and backslashes, of few keys. */
static char *make_lines(size_t *ret_bytes)
{
	uint64_t random = 5;
	char *text = malloc((size_t)LINES * LINE_BYTES), *to = text;
	for (int i = 0; i < LINES; i++) {
		const size_t len = random_below(&random, LINE_BYTES - 10);
		for (size_t at = 0; at < len; at++)
			*to++ = at < 3 ? "ab"[random_below(&random, 2)] : "word\t\\"[random_below(&random, 6)];
		*to++ = '\n';
	}
	*ret_bytes = (size_t)(to - text);
	return text;
}

static pj_status take_pair(void *arg, pj_bytes key, pj_bytes value)
{
	pj_text_bytes(arg, key);
	pj__text_byte(arg, '=');
	pj_text_bytes(arg, value);
	return PJ_OK;
}

/* The output of a run, as a file or as pairs. */
static pj_text run(const pj_job *job, pj_options options, bool to_file)
{
	static const char path[] = "pieces-out";
	pj_text all = {0};
	pj_result result;
	pj_error error;
	if (to_file) {
		options.output.path = path;
	} else {
		options.output.pair = take_pair;
		options.output.arg = &all;
	}
	options.output.overwrite = true;
	assert_good(pj_run(job, &options, &result, &error), error);
	if (!to_file)
		return all;
	struct stat is;
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && fstat(fd, &is) == 0);
	char *to = pj__text_room(&all, (size_t)is.st_size + 1);
	assert_int_equal(read(fd, to, (size_t)is.st_size), is.st_size);
	all.len = (size_t)is.st_size;
	close(fd);
	unlink(path);
	return all;
}

static void pieces_make_the_whole(void **state)
{
	(void)state;
	enum trouble none = NONE;
	size_t bytes;
	char *lines = make_lines(&bytes);
	const pj_bytes text = {lines, bytes};
	for (int way = 0; way < 24; way++) {
		const bool map_only = way & 1, to_file = way & 2, escape = way & 4;
		const pj_columns columns = (pj_columns)(way / 8);
		pj_options options = {.input = {.memory = &text, .memory_count = 1},
				      .sorter = PJ_SORTER_SIMPLE,
				      .workers = 2,
				      .memory = 20 << 20,
				      .output = {.escape = escape, .columns = columns}};
		const pj_job whole = make_job(false, false, map_only, &none);
		pj_text expected = run(&whole, options, to_file);
		for (int s = 0; s < 3; s++) {
			const pj_job job = make_job(true, true, map_only, &none);
			options.sorter = sorters[s];
			pj_text got = run(&job, options, to_file);
			assert_true(pj_bytes_equal(pj__text_all(&got), pj__text_all(&expected)));
			pj__text_fini(&got);
		}
		pj__text_fini(&expected);
	}
	free(lines);
}

static void trouble_amid_pieces(void **state)
{
	(void)state;
	size_t bytes;
	char *lines = make_lines(&bytes);
	const pj_bytes text = {lines, bytes};
	for (int way = 0; way < 12; way++) {
		enum trouble trouble = way & 1 ? FAILS : EMITS;
		const bool map_only = way & 2;
		const pj_job job = make_job(map_only, true, map_only, &trouble);
		const pj_options options = {.input = {.memory = &text, .memory_count = 1},
					    .sorter = sorters[way / 4],
					    .workers = 1,
					    .output = {.path = "pieces-out"}};
		pj_result result;
		pj_error error;
		assert_fails(pj_run(&job, &options, &result, &error), trouble == FAILS ? PJ_ERR_RECORD : PJ_ERR_USER,
			     error);
		assert_non_null(strstr(error.reason, "amid the pieces"));
		assert_int_equal(access("pieces-out", F_OK), -1);
	}
	free(lines);
}

int main(void)
{
	alarm(60);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_make_the_whole),
		cmocka_unit_test(trouble_amid_pieces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
