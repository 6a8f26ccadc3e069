/*
 * test_reader.c: every line is in exactly one split, wherever the borders fall; streams are spooled and cut as files
 * are.
 */
#include "testing.h"

#include <fcntl.h>
#include <pthread.h>
#include <time.h>

#include "input/spool.h"

static char folder[] = "/tmp/papjuice-test-XXXXXX";

static int make_folder(void **state)
{
	(void)state;
	return !mkdtemp(folder);
}

static int remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

static const char *path_of(const char *name)
{
	static char path[sizeof folder + 64];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

static void write_file(const char *path, const void *bytes, size_t size)
{
	const int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), (ssize_t)size);
	close(fd);
}

static void fill(uint64_t *random, char *text, size_t len)
{
	const size_t one_in = 1 + random_below(random, 30);
	for (size_t i = 0; i < len; i++)
		text[i] = random_below(random, one_in) ? (char)('a' + random_below(random, 26)) : '\n';
}

/* Where the lines that begin in [start, end) reach from and to. */
static void owned(pj_bytes text, uint64_t start, uint64_t end, uint64_t *from, uint64_t *to)
{
	uint64_t at = start;
	while (at > 0 && at < text.len && text.ptr[at - 1] != '\n')
		at++;
	*from = *to = at;
	while (*to < end && *to < text.len) {
		const char *newline = memchr(text.ptr + *to, '\n', text.len - *to);
		*to = newline ? (uint64_t)(newline + 1 - text.ptr) : text.len;
	}
	if (*from >= end)
		*to = *from;
}

/* Reads one split and holds it against `text`. Returns its bytes. */
static uint64_t check_split(pj__reader *reader, pj_bytes text, pj__split split)
{
	uint64_t from, to, offset;
	pj_error error;
	pj_bytes piece;
	owned(text, split.start, split.end, &from, &to);
	const uint64_t bytes = to - from;
	assert_good(pj__reader_begin(reader, split, &error), error);
	for (;;) {
		assert_good(pj__reader_next(reader, &piece, &offset, &error), error);
		if (!piece.len)
			break;
		assert_int_equal(offset, from);
		assert_true(from + piece.len <= to);
		assert_memory_equal(piece.ptr, text.ptr + from, piece.len);
		assert_true(piece.ptr[piece.len - 1] == '\n' || from + piece.len == text.len);
		for (size_t i = 0; i < PJ_TEXT_PADDING; i++) /* AddressSanitizer watches */
			(void)*(volatile const char *)(piece.ptr + piece.len + i);
		from += piece.len;
	}
	assert_int_equal(from, to);
	assert_good(pj__reader_next(reader, &piece, &offset, &error), error);
	assert_int_equal(piece.len, 0); /* and stays done */
	return bytes;
}

/* Of memory, which is handed out where it is, and of files. */
static void all_splits_of_small_texts(void **state)
{
	(void)state;
	uint64_t random = 1;
	pj_error error;
	for (int times = 0; times < 800; times++) {
		char bytes[200];
		const pj_bytes text = {bytes, random_below(&random, sizeof bytes)};
		fill(&random, bytes, text.len);
		const char *paths[] = {path_of("small")};
		const bool of_file = times % 2;
		const pj_input input = {
			.memory = &text, .memory_count = !of_file, .paths = paths, .path_count = of_file};
		pj__sources sources;
		pj__reader reader;
		write_file(paths[0], bytes, text.len);
		assert_good(pj__sources_expand(&sources, &input, &error), error);
		assert_good(pj__reader_init(&reader, &sources, 1 + random_below(&random, 40), &error), error);
		for (uint64_t size = 1; size <= text.len + 1; size += 1 + size / 8) {
			uint64_t delivered = 0;
			for (uint64_t start = 0; start < text.len; start += size) {
				const uint64_t end = start + size < text.len ? start + size : text.len;
				delivered += check_split(&reader, text, (pj__split){0, start, end, text.len});
			}
			assert_int_equal(delivered, text.len);
		}
		pj__reader_fini(&reader);
		pj__sources_fini(&sources);
	}
	unlink(path_of("small"));
}

/* Lines longer than many pieces and many splits; of files, by name and from an open one with a beginning. */
static void long_lines_of_files(void **state)
{
	(void)state;
	enum { SIZE = 3 << 20 };
	char *bytes = malloc(SIZE);
	memset(bytes, 'x', SIZE);
	bytes[10] = bytes[11] = bytes[1000000] = bytes[2500000] = '\n';
	write_file(path_of("long"), bytes, SIZE);
	const char *paths[] = {path_of("long")};
	const pj_input input = {.paths = paths, .path_count = 1};
	for (int open_file = 0; open_file < 2; open_file++) {
		const uint64_t base = open_file ? 777 : 0;
		const pj_bytes text = {bytes + base, SIZE - base};
		pj__sources sources;
		pj__reader reader;
		pj_error error;
		uint64_t delivered = 0;
		assert_good(pj__sources_expand(&sources, &input, &error), error);
		if (open_file) {
			sources.at[0].fd = open(paths[0], O_RDONLY | O_CLOEXEC);
			sources.at[0].base = base;
			sources.at[0].size -= base;
		}
		assert_good(pj__reader_init(&reader, &sources, 0, &error), error);
		for (uint64_t start = 0; start < text.len; start += 300000) {
			const uint64_t end = start + 300000 < text.len ? start + 300000 : text.len;
			delivered += check_split(&reader, text, (pj__split){0, start, end, text.len});
		}
		assert_int_equal(delivered, text.len);
		pj__reader_fini(&reader);
		if (open_file)
			assert_true(fcntl(sources.at[0].fd, F_GETFD) >= 0); /* it was not the reader's to close */
		pj__sources_fini(&sources);
	}
	unlink(path_of("long"));
	free(bytes);
}

static void files_that_are_not_what_they_were(void **state)
{
	(void)state;
	const char *paths[] = {path_of("file")};
	const pj_input input = {.paths = paths, .path_count = 1};
	pj__sources sources;
	pj__reader reader;
	pj_error error;
	pj_bytes piece;
	uint64_t offset;
	write_file(paths[0], "one\ntwo\nthree\n", 14);
	assert_good(pj__sources_expand(&sources, &input, &error), error);
	write_file(paths[0], "one\ntwo\n", 8);
	assert_good(pj__reader_init(&reader, &sources, 0, &error), error);
	assert_good(pj__reader_begin(&reader, (pj__split){0, 0, 14, 14}, &error), error);
	assert_fails(pj__reader_next(&reader, &piece, &offset, &error), PJ_ERR_CHANGED, error);
	assert_int_equal(error.offset, 8);
	assert_string_equal(error.file, paths[0]);
	pj__reader_fini(&reader);
	unlink(paths[0]);
	assert_good(pj__reader_init(&reader, &sources, 0, &error), error);
	assert_fails(pj__reader_begin(&reader, (pj__split){0, 0, 14, 14}, &error), PJ_ERR_INPUT, error);
	assert_int_equal(error.errnum, ENOENT);
	pj__reader_fini(&reader);
	pj__sources_fini(&sources);
}

static void hostile_sizes(void **state)
{
	(void)state;
	const pj__sources none = {0};
	pj__reader reader;
	pj_error error;
	assert_fails(pj__reader_init(&reader, &none, SIZE_MAX, &error), PJ_ERR_MEMORY, error);
	pj__reader_fini(&reader);
	assert_fails(pj__reader_init(&reader, &none, SIZE_MAX / 2 - PJ_TEXT_PADDING, &error), PJ_ERR_MEMORY, error);
	pj__reader_fini(&reader);
}

/* -------------------------------------------------------------------------------------------------------- the spool */

struct taking {
	pj_bytes text;
	pj__spool *spool;
	pj__reader reader;
	uint64_t delivered, splits, fail_at;
	uint32_t source;
};

static pj_status take(void *arg, pj__split split, pj_error *error)
{
	struct taking *taking = arg;
	if (++taking->splits == taking->fail_at)
		return pj__fail(error, PJ_ERR_MEMORY, 0, NULL, "no room for a split");
	if (split.source != taking->source) {
		taking->source = split.source;
		taking->delivered = 0;
	}
	assert_true(split.limit <= taking->spool->read);
	taking->delivered += check_split(&taking->reader, taking->text, split);
	pj__spool_release(taking->spool, split.source, split.end - 1);
	return PJ_OK;
}

struct stream {
	pj_bytes rest;
	uint64_t random;
	size_t calls, fail_at, too_much_at;
};

static pj_status read_stream(void *arg, char *to, size_t size, size_t *got)
{
	struct stream *stream = arg;
	const size_t most = stream->rest.len < size ? stream->rest.len : size;
	if (++stream->calls == stream->fail_at)
		return PJ_ERR_USER;
	*got = most ? 1 + random_below(&stream->random, most < 300 ? most : 300) : 0;
	if (*got)
		memcpy(to, stream->rest.ptr, *got);
	stream->rest.ptr += *got;
	stream->rest.len -= *got;
	if (stream->calls == stream->too_much_at)
		*got = size + 1;
	return PJ_OK;
}

/* Spools all of an input; every stream in it has the bytes of `text`. */
static pj_status spool_all(const pj_input *input, pj_bytes text, uint64_t split_bytes, struct taking *taking,
			   pj_error *error)
{
	pj__sources sources;
	pj__spool spool;
	assert_good(pj__sources_expand(&sources, input, error), *error);
	for (size_t i = 1; i < sources.count; i++) /* as the plan does behind a stream */
		sources.at[i].kind = PJ__SOURCE_STREAM;
	taking->text = text;
	taking->spool = &spool;
	taking->delivered = taking->splits = 0;
	taking->source = 0;
	assert_good(pj__reader_init(&taking->reader, &sources, 50, error), *error);
	pj_status status = pj__spool_init(&spool, &sources, split_bytes, NULL, error);
	while (!status && !pj__spool_ended(&spool))
		status = pj__spool_step(&spool, take, taking, error);
	pj__reader_fini(&taking->reader);
	pj__spool_fini(&spool);
	pj__sources_fini(&sources);
	return status;
}

static void streams_are_cut_as_files_are(void **state)
{
	(void)state;
	uint64_t random = 2;
	pj_error error;
	for (int times = 0; times < 300; times++) {
		char bytes[2000];
		struct taking taking = {.fail_at = 0};
		const pj_bytes text = {bytes, random_below(&random, sizeof bytes)};
		fill(&random, bytes, text.len);
		struct stream stream = {.rest = text, .random = times};
		const pj_input input = {.read = read_stream, .arg = &stream};
		const uint64_t split_bytes = times % 7 ? 1 + random_below(&random, 500) : UINT64_MAX;
		assert_good(spool_all(&input, text, split_bytes, &taking, &error), error);
		assert_int_equal(taking.delivered, text.len);
		if (split_bytes < UINT64_MAX)
			assert_int_equal(taking.splits, (text.len + split_bytes - 1) / split_bytes);
	}
}

static void streams_may_fail(void **state)
{
	(void)state;
	char bytes[5000];
	uint64_t random = 3;
	const pj_bytes text = {bytes, sizeof bytes};
	struct taking taking = {.fail_at = 0};
	pj_error error;
	fill(&random, bytes, sizeof bytes);
	struct stream stream = {.rest = text, .fail_at = 3};
	const pj_input input = {.read = read_stream, .arg = &stream};
	assert_fails(spool_all(&input, text, 100, &taking, &error), PJ_ERR_USER, error);
	stream = (struct stream){.rest = text, .too_much_at = 3};
	assert_fails(spool_all(&input, text, 100, &taking, &error), PJ_ERR_USER, error);
	stream = (struct stream){.rest = text};
	taking.fail_at = 5;
	assert_fails(spool_all(&input, text, 100, &taking, &error), PJ_ERR_MEMORY, error);
}

struct late {
	int fd;
	pj_bytes text;
};

static void *write_late(void *arg)
{
	const struct late *late = arg;
	usleep(300000);
	if (write(late->fd, late->text.ptr, late->text.len) != (ssize_t)late->text.len)
		return arg;
	close(late->fd);
	return NULL;
}

/* A descriptor that does not block is waited for, not asked again and again: the processor has better things to do. */
static void waiting_costs_no_time(void **state)
{
	(void)state;
	int ends[2];
	char bytes[300];
	uint64_t random = 4;
	const pj_bytes text = {bytes, sizeof bytes};
	struct taking taking = {.fail_at = 0};
	struct late late = {.text = text};
	struct timespec begin, end;
	pthread_t thread;
	void *failed;
	pj_error error;
	fill(&random, bytes, sizeof bytes);
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
	late.fd = ends[1];
	const char *paths[] = {path};
	const pj_input input = {.paths = paths, .path_count = 1};
	pj__sources sources;
	assert_good(pj__sources_expand(&sources, &input, &error), error);
	sources.at[0].fd = ends[0]; /* as standard input would be */
	pj__spool spool;
	taking.text = text;
	taking.spool = &spool;
	assert_good(pj__reader_init(&taking.reader, &sources, 0, &error), error);
	assert_good(pj__spool_init(&spool, &sources, 1 << 20, NULL, &error), error);
	assert_int_equal(pj__spool_descriptor(&spool), ends[0]);
	assert_int_equal(pthread_create(&thread, NULL, write_late, &late), 0);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
	while (!pj__spool_ended(&spool))
		assert_good(pj__spool_step(&spool, take, &taking, &error), error);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	assert_int_equal(pthread_join(thread, &failed), 0);
	assert_null(failed);
	assert_int_equal(taking.delivered, text.len);
	const int64_t used_us = (end.tv_sec - begin.tv_sec) * 1000000 + (end.tv_nsec - begin.tv_nsec) / 1000;
	if (used_us > 150000)
		fail_msg("waiting 0.3 s took %lld us of the processor", (long long)used_us);
	pj__reader_fini(&taking.reader);
	pj__spool_fini(&spool);
	pj__sources_fini(&sources);
	close(ends[0]);
}

/* Behind a stream bytes in memory are spooled too, empty ones included. */
static void memory_behind_a_stream(void **state)
{
	(void)state;
	write_file(path_of("first"), "one\ntwo\n", 8);
	const char *paths[] = {path_of("first")};
	const pj_bytes text = {"one\ntwo\n", 8}, memory[] = {text, {NULL, 0}, {"", 0}, text};
	struct stream stream = {.rest = text};
	const pj_input input = {.paths = paths,
				.path_count = 1,
				.memory = memory,
				.memory_count = 4,
				.read = read_stream,
				.arg = &stream};
	pj__sources sources;
	pj__spool spool;
	pj_error error;
	struct taking taking = {.text = text, .spool = &spool};
	assert_good(pj__sources_expand(&sources, &input, &error), error);
	assert_int_equal(sources.count, 6);
	for (size_t i = 0; i < sources.count; i++)
		sources.at[i].kind = PJ__SOURCE_STREAM;
	assert_good(pj__reader_init(&taking.reader, &sources, 0, &error), error);
	assert_good(pj__spool_init(&spool, &sources, 5, NULL, &error), error);
	while (!pj__spool_ended(&spool))
		assert_good(pj__spool_step(&spool, take, &taking, &error), error);
	assert_int_equal(spool.total, 32);
	assert_int_equal(taking.splits, 8);
	pj__reader_fini(&taking.reader);
	pj__spool_fini(&spool);
	pj__sources_fini(&sources);
	unlink(path_of("first"));
}

int main(void)
{
	alarm(60);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_splits_of_small_texts),
		cmocka_unit_test(long_lines_of_files),
		cmocka_unit_test(files_that_are_not_what_they_were),
		cmocka_unit_test(hostile_sizes),
		cmocka_unit_test(streams_are_cut_as_files_are),
		cmocka_unit_test(streams_may_fail),
		cmocka_unit_test(waiting_costs_no_time),
		cmocka_unit_test(memory_behind_a_stream),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
