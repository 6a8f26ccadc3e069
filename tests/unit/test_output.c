/*
 * test_output.c: results as bytes; outputs that appear whole or not at all, and leave nothing else behind; results by
 * value.
 */
#include "testing.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/private.h"
#include "output/direct.h"
#include "output/order.h"

static char folder[] = "/tmp/papjuice-test-XXXXXX";

static int enter_folder(void **state)
{
	(void)state;
	return !mkdtemp(folder) || chdir(folder) < 0;
}

static int leave_folder(void **state)
{
	(void)state;
	return chdir("/") < 0 || pj__remove_tree(AT_FDCWD, folder);
}

/* ------------------------------------------------------------------------------------------------------------ parts */

static void assert_part(pj__part *part, const char *expected, size_t len)
{
	assert_int_equal(part->bytes.len, len);
	assert_memory_equal(part->bytes.data, expected, len);
	pj__text_fini(&part->bytes);
}

static void results_become_lines(void **state)
{
	(void)state;
	const pj_bytes key = {"a\tb\n\\\0c", 7}, value = {"v\\", 2}, none = {NULL, 0};
	pj__part part = {.columns = PJ_KEY_AND_VALUE};
	pj__part_add(&part, key, value);
	pj__part_add(&part, none, none);
	assert_int_equal(part.pairs, 2);
	assert_part(&part, "a\tb\n\\\0c\tv\\\n\t\n", 13);
	part = (pj__part){.columns = PJ_KEY_AND_VALUE, .escape = true};
	pj__part_add(&part, key, value);
	assert_part(&part, "a\\tb\\n\\\\\0c\tv\\\\\n", 15);
	part = (pj__part){.columns = PJ_KEY_ONLY};
	pj__part_add(&part, key, value);
	assert_part(&part, "a\tb\n\\\0c\n", 8);
	part = (pj__part){.columns = PJ_VALUE_ONLY, .escape = true};
	pj__part_add(&part, key, value);
	assert_part(&part, "v\\\\\n", 4);
}

struct delivery {
	size_t count, fail_at;
};

static pj_status deliver(void *arg, pj_bytes key, pj_bytes value)
{
	struct delivery *delivery = arg;
	char bytes[16];
	if (++delivery->count == delivery->fail_at)
		return PJ_ERR_USER;
	assert_true(pj_bytes_equal(key, (pj_bytes){bytes, (size_t)sprintf(bytes, "k%zu", delivery->count)}));
	assert_int_equal(value.len, delivery->count % 3);
	return PJ_OK;
}

static void records_come_back(void **state)
{
	(void)state;
	pj__part part = {.as_records = true, .columns = PJ_KEY_ONLY, .escape = true}, text = {.columns = PJ_KEY_ONLY};
	char bytes[16];
	pj_error error;
	for (size_t i = 1; i <= 10; i++)
		pj__part_add(&part, (pj_bytes){bytes, (size_t)sprintf(bytes, "k%zu", i)}, (pj_bytes){"vvv", i % 3});
	struct delivery delivery = {0};
	const pj_output output = {.pair = deliver, .arg = &delivery};
	const pj_bytes all = pj__text_all(&part.bytes);
	assert_good(pj__part_deliver(all, &output, &error), error);
	assert_int_equal(delivery.count, 10);
	assert_good(pj__part_copy(&text, all, &error), error);
	assert_part(&text, "k1\nk2\nk3\nk4\nk5\nk6\nk7\nk8\nk9\nk10\n", 31);
	delivery = (struct delivery){.fail_at = 4};
	assert_fails(pj__part_deliver(all, &output, &error), PJ_ERR_USER, error);
	assert_int_equal(delivery.count, 4);
	for (size_t cut = 1; cut < 38; cut++) { /* never read behind the end */
		char *exact = malloc(all.len - cut);
		memcpy(exact, all.ptr, all.len - cut);
		pj__part copy = {.as_records = true};
		delivery = (struct delivery){0};
		const pj_status status = pj__part_deliver((pj_bytes){exact, all.len - cut}, &output, NULL);
		assert_int_equal(pj__part_copy(&copy, (pj_bytes){exact, all.len - cut}, NULL), status);
		assert_int_equal(status, cut == 16 + 3 + 1 ? PJ_OK : PJ_ERR_CORRUPT);
		pj__text_fini(&copy.bytes);
		free(exact);
	}
	const uint64_t hostile[][2] = {{UINT64_MAX, 1}, {1, UINT64_MAX}, {1, 0}, {0, 1}, {UINT64_MAX, UINT64_MAX}};
	for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++)
		assert_fails(pj__part_deliver((pj_bytes){(const char *)hostile[i], 16}, &output, &error),
			     PJ_ERR_CORRUPT, error);
	pj__text_fini(&part.bytes);
}

/* ------------------------------------------------------------------------------------------------------------ sinks */

static void write_file(const char *path, const char *text)
{
	const int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0640);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void assert_file(const char *path, const char *text)
{
	char bytes[100] = "";
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, bytes, sizeof bytes), (ssize_t)strlen(text));
	assert_string_equal(bytes, text);
	close(fd);
}

/* What is in a folder, but for "." and "..". */
static size_t count_entries(const char *path)
{
	size_t count = 0;
	DIR *opened = opendir(path);
	assert_non_null(opened);
	while (readdir(opened))
		count++;
	closedir(opened);
	return count - 2;
}

static size_t count_descriptors(void)
{
	return count_entries("/proc/self/fd") - 1;
}

static void assert_refused(const pj_output *output, pj_status status)
{
	pj__sink sink;
	pj_error error;
	const size_t entries = count_entries("."), descriptors = count_descriptors();
	assert_fails(pj__sink_open(&sink, output, &error), status, error);
	assert_int_equal(count_entries("."), entries);
	assert_int_equal(count_descriptors(), descriptors);
}

/* Opens the output, writes "new" where it belongs, commits if `commits`, closes. */
static void make_output(const pj_output *output, bool commits)
{
	pj__sink sink;
	pj_error error;
	const size_t descriptors = count_descriptors();
	assert_good(pj__sink_open(&sink, output, &error), error);
	if (sink.kind == PJ__SINK_FILE) {
		assert_int_equal(pj__pwrite_all(sink.fd, "new", 3, 0), 0);
	} else {
		pj__part_file file;
		assert_good(pj__part_file_open(&file, &sink, 7, &error), error);
		assert_good(pj__part_file_write(&file, pj_bytes_of("of an attempt that died"), &error), error);
		assert_good(pj__part_file_close(&file, PJ_OK, &error), error);
		assert_good(pj__part_file_open(&file, &sink, 7, &error), error);
		assert_good(pj__part_file_write(&file, pj_bytes_of("new"), &error), error);
		assert_good(pj__part_file_close(&file, PJ_OK, &error), error);
	}
	if (commits)
		assert_good(pj__sink_commit(&sink, &error), error);
	pj__sink_close(&sink);
	assert_int_equal(count_descriptors(), descriptors);
}

static void files_appear_at_the_end(void **state)
{
	(void)state;
	const pj_output output = {.path = "file"}, over = {.path = "./file", .overwrite = true};
	struct stat is;
	make_output(&output, false);
	assert_int_equal(access("file", F_OK), -1);
	make_output(&output, true);
	assert_file("file", "new");
	assert_refused(&output, PJ_ERR_EXISTS);
	write_file("file", "old text");
	assert_int_equal(chmod("file", 0604), 0);
	make_output(&over, false);
	assert_file("file", "old text");
	make_output(&over, true);
	assert_file("file", "new");
	assert_int_equal(stat("file", &is), 0);
	assert_int_equal(is.st_mode & 07777, 0604); /* as the old one had */
	assert_int_equal(count_entries("."), 1);
	unlink("file");
}

static void folders_appear_at_the_end(void **state)
{
	(void)state;
	const pj_output output = {.path = "parts/"}, over = {.path = "parts//", .overwrite = true};
	make_output(&output, false);
	assert_int_equal(access("parts", F_OK), -1);
	make_output(&output, true);
	assert_file("parts/part-00007", "new");
	assert_file("parts/_SUCCESS", "");
	assert_int_equal(count_entries("parts"), 2);
	assert_refused(&output, PJ_ERR_EXISTS);
	write_file("parts/part-00007", "old");
	write_file("parts/part-123456", "old");
	make_output(&over, false);
	assert_file("parts/part-00007", "old");
	assert_int_equal(count_entries("parts"), 3);
	make_output(&over, true);
	assert_file("parts/part-00007", "new");
	assert_int_equal(count_entries("parts"), 2);
	assert_int_equal(count_entries("."), 1);
	write_file("parts/mine", "not to be lost");
	assert_refused(&over, PJ_ERR_EXISTS);
	assert_int_equal(rename("parts/mine", "parts/part-"), 0);
	assert_refused(&over, PJ_ERR_EXISTS);
	assert_int_equal(rename("parts/part-", "parts/part-1x"), 0);
	assert_refused(&over, PJ_ERR_EXISTS);
	assert_int_equal(pj__remove_tree(AT_FDCWD, "parts"), 0);
}

static void what_may_not_be_replaced(void **state)
{
	(void)state;
	assert_int_equal(mkdir("folder", 0700), 0);
	write_file("file", "text");
	assert_int_equal(symlink("nowhere/at/all", "dangling"), 0);
	assert_refused(&(pj_output){.path = "folder", .overwrite = true}, PJ_ERR_EXISTS);
	assert_refused(&(pj_output){.path = ".", .overwrite = true}, PJ_ERR_EXISTS);
	assert_refused(&(pj_output){.path = "./", .overwrite = true}, PJ_ERR_EXISTS);
	assert_refused(&(pj_output){.path = "/", .overwrite = true}, PJ_ERR_EXISTS);
	assert_refused(&(pj_output){.path = "file/", .overwrite = true}, PJ_ERR_EXISTS);
	assert_refused(&(pj_output){.path = "dangling"}, PJ_ERR_EXISTS);
	assert_refused(&(pj_output){.path = "dangling", .overwrite = true}, PJ_ERR_EXISTS);
	assert_refused(&(pj_output){.path = "no/such/folder"}, PJ_ERR_OUTPUT);
	assert_refused(&(pj_output){.path = "file/inside"}, PJ_ERR_OUTPUT);
	assert_refused(&(pj_output){.path = ""}, PJ_ERR_USAGE);
	assert_file("file", "text");
	unlink("file");
	unlink("dangling");
	rmdir("folder");
}

static void links_are_followed(void **state)
{
	(void)state;
	const pj_output over = {.path = "link", .overwrite = true};
	struct stat is;
	assert_int_equal(mkdir("elsewhere", 0700), 0);
	write_file("elsewhere/target", "old");
	assert_int_equal(symlink("elsewhere/target", "link"), 0);
	make_output(&over, true);
	assert_file("elsewhere/target", "new");
	assert_int_equal(lstat("link", &is), 0);
	assert_true(S_ISLNK(is.st_mode));
	assert_int_equal(pj__remove_tree(AT_FDCWD, "elsewhere"), 0);
	unlink("link");
}

/* Somebody else makes the output while we work: it is theirs. */
static void outputs_that_appear_meanwhile(void **state)
{
	(void)state;
	for (int to_folder = 0; to_folder < 2; to_folder++) {
		const pj_output output = {.path = to_folder ? "out/" : "out"};
		pj__sink sink;
		pj_error error;
		assert_good(pj__sink_open(&sink, &output, &error), error);
		write_file("out", "of somebody else");
		assert_fails(pj__sink_commit(&sink, &error), PJ_ERR_EXISTS, error);
		pj__sink_close(&sink);
		assert_file("out", "of somebody else");
		unlink("out");
		assert_int_equal(count_entries("."), 0);
	}
}

static void streams_are_written_in_place(void **state)
{
	(void)state;
	static const char *const devices[] = {"/dev/null", "fifo"};
	assert_int_equal(mkfifo("fifo", 0600), 0);
	const int reader = open("fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	for (int i = 0; i < 2; i++) {
		const pj_output output = {.path = devices[i], .overwrite = i == 0};
		pj__sink sink;
		pj_error error;
		struct stat is;
		assert_good(pj__sink_open(&sink, &output, &error), error);
		assert_int_equal(sink.kind, PJ__SINK_STREAM);
		assert_good(pj__sink_stream(&sink, pj_bytes_of("text"), &error), error);
		assert_good(pj__sink_commit(&sink, &error), error);
		pj__sink_close(&sink);
		assert_int_equal(stat(devices[i], &is), 0);
		assert_false(S_ISREG(is.st_mode));
	}
	char text[5] = "";
	assert_int_equal(read(reader, text, 4), 4);
	assert_string_equal(text, "text");
	close(reader);
	unlink("fifo");
	pj__sink sink;
	pj_error error;
	assert_good(pj__sink_open(&sink, &(pj_output){.path = "/dev/full"}, &error), error);
	assert_fails(pj__sink_stream(&sink, pj_bytes_of("text"), &error), PJ_ERR_OUTPUT, error);
	assert_int_equal(error.errnum, ENOSPC);
	pj__sink_close(&sink);
}

static void standard_output_stays_open(void **state)
{
	(void)state;
	const int kept = dup(STDOUT_FILENO), file = open("stdout", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	pj__sink sink;
	pj_error error;
	fflush(stdout);
	assert_int_equal(dup2(file, STDOUT_FILENO), STDOUT_FILENO);
	const pj_status opened = pj__sink_open(&sink, &(pj_output){.path = "-"}, &error);
	const pj_status written = opened ? opened : pj__sink_stream(&sink, pj_bytes_of("one "), &error);
	const pj_status committed = written ? written : pj__sink_commit(&sink, &error);
	pj__sink_close(&sink);
	const ssize_t after = write(STDOUT_FILENO, "two", 3);
	close(STDOUT_FILENO);
	const pj_status closed = pj__sink_open(&sink, &(pj_output){.path = NULL}, &error);
	assert_int_equal(dup2(kept, STDOUT_FILENO), STDOUT_FILENO);
	assert_int_equal(committed, PJ_OK);
	assert_int_equal(after, 3);
	assert_int_equal(closed, PJ_ERR_OUTPUT);
	assert_file("stdout", "one two");
	close(kept);
	close(file);
	unlink("stdout");
}

/* Calls open with ever fewer free descriptors: whatever it runs out of, nothing is left. */
static void descriptors_run_out(void **state)
{
	(void)state;
	static const char *const paths[] = {"file", "parts/", "-"};
	struct rlimit old, few;
	pj_error error;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	const size_t used = count_descriptors();
	const int lowest = dup(STDIN_FILENO); /* the first that is free */
	close(lowest);
	for (int i = 0; i < 3; i++) {
		size_t failures = 0, leftovers = 0, wrong = 0;
		for (rlim_t room = 0; room < 8; room++) {
			pj__sink sink;
			few = (struct rlimit){(rlim_t)lowest + room, old.rlim_max};
			assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
			const pj_status status = pj__sink_open(&sink, &(pj_output){.path = paths[i]}, &error);
			if (!status)
				pj__sink_close(&sink);
			assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
			failures += status != PJ_OK;
			wrong += status && status != PJ_ERR_OUTPUT && status != PJ_ERR_RESOURCE;
			leftovers += count_entries(".");
		}
		assert_true(failures > 0 && failures < 8);
		assert_int_equal(wrong, 0);
		assert_int_equal(leftovers, 0);
	}
	assert_int_equal(count_descriptors(), used);
}

/* No more room on the disk, as far as one process can tell. */
static void the_disk_is_full(void **state)
{
	(void)state;
	const struct sigaction ignoring = {.sa_handler = SIG_IGN};
	struct sigaction before;
	struct rlimit old, small;
	assert_int_equal(sigaction(SIGXFSZ, &ignoring, &before), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = (struct rlimit){1000, old.rlim_max};
	for (int to_folder = 0; to_folder < 2; to_folder++) {
		pj__sink sink;
		pj__pour pour;
		pj_error error;
		pj__part part = {.columns = PJ_KEY_ONLY};
		assert_good(pj__sink_open(&sink, &(pj_output){.path = to_folder ? "out/" : "out"}, &error), error);
		for (int i = 0; i < 300; i++)
			pj__part_add(&part, pj_bytes_of("key"), pj_bytes_of(""));
		pj__pour_init(&pour, &sink);
		assert_good(pj__pour_begin(&pour, 0, &error), error);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
		const pj_status status = pj__pour_write(&pour, &part, &error);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
		assert_int_equal(status, PJ_ERR_OUTPUT);
		assert_int_equal(error.errnum, EFBIG);
		assert_int_equal(pj__pour_end(&pour, status, NULL), status);
		pj__sink_close(&sink);
		pj__text_fini(&part.bytes);
		assert_int_equal(count_entries("."), 0);
	}
	assert_int_equal(sigaction(SIGXFSZ, &before, NULL), 0);
}

/* -------------------------------------------------------------------------------------------------- private folders */

static void abandoned_folders_are_removed(void **state)
{
	(void)state;
	char *path;
	int fd;
	pj_error error;
	assert_int_equal(mkdir(".papjuice-0123456789abcdef", 0700), 0); /* of a dead run */
	assert_int_equal(mkdir(".papjuice-0123456789abcdef/output", 0700), 0);
	write_file(".papjuice-0123456789abcdef/output/part-00000", "half");
	assert_int_equal(symlink("/", ".papjuice-0123456789abcdef/root"), 0); /* not followed */
	assert_int_equal(mkdir(".papjuice-of-somebody", 0700), 0);            /* not one of ours */
	write_file(".papjuice-fedcba9876543210", "a file of that name");
	assert_int_equal(symlink(".papjuice-of-somebody", ".papjuice-aaaaaaaaaaaaaaaa"), 0);
	assert_good(pj__private_create(".", &fd, &path, &error), error);
	pj__private_sweep(".");
	assert_int_equal(access(".papjuice-0123456789abcdef", F_OK), -1);
	assert_int_equal(access(path, F_OK), 0); /* its owner lives */
	assert_int_equal(count_entries("."), 4);
	close(fd);
	pj__private_sweep(".");
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(count_entries("."), 3);
	free(path);
	unlink(".papjuice-aaaaaaaaaaaaaaaa");
	unlink(".papjuice-fedcba9876543210");
	rmdir(".papjuice-of-somebody");
	pj__private_sweep("no such folder");
	assert_fails(pj__private_create("no such folder", &fd, &path, &error), PJ_ERR_OUTPUT, error);
}

static void trees_are_removed_whole(void **state)
{
	(void)state;
	char path[1000] = "deep";
	assert_int_equal(mkdir(path, 0700), 0);
	for (size_t len = strlen(path); len < 80; len += 2) {
		char file[1010];
		snprintf(path + len, sizeof path - len, "/d");
		assert_int_equal(mkdir(path, 0700), 0);
		snprintf(file, sizeof file, "%s/file", path);
		write_file(file, "x");
	}
	assert_int_equal(symlink("/proc", "deep/link"), 0);
	assert_int_equal(pj__remove_tree(AT_FDCWD, "deep"), 0);
	assert_int_equal(count_entries("."), 0);
	assert_int_equal(pj__remove_tree(AT_FDCWD, "deep"), ENOENT);
	write_file("file", "x");
	assert_int_equal(pj__remove_tree(AT_FDCWD, "file"), ENOTDIR);
	unlink("file");
}

/* Writes pieces of all lengths in a random order, as workers write their parts, and compares. */
static void assert_written(int direct, int file, size_t size, uint64_t seed)
{
	enum { PIECES = 60 };
	size_t border[PIECES + 1] = {[PIECES] = size};
	unsigned order[PIECES];
	pj__space buffer = {0};
	char *const text = malloc(size), *const got = malloc(size);
	assert_true(text && got);
	for (size_t i = 0; i < size; i++)
		text[i] = (char)random_below(&seed, 256);
	for (unsigned i = 0; i < PIECES; i++) {
		const size_t left = size - border[i];
		border[i + 1] = i + 1 == PIECES ? size : border[i] + random_below(&seed, i % 3 ? left / 8 + 1 : 5000);
		if (border[i + 1] > size)
			border[i + 1] = size;
		order[i] = i;
	}
	for (unsigned i = PIECES - 1; i > 0; i--) {
		const unsigned other = (unsigned)random_below(&seed, i + 1), kept = order[i];
		order[i] = order[other];
		order[other] = kept;
	}
	for (unsigned i = 0; i < PIECES; i++) {
		const size_t from = border[order[i]];
		const pj_bytes piece = {text + from, border[order[i] + 1] - from};
		assert_int_equal(pj__direct_write(direct, file, "file", &buffer, piece, from, NULL), PJ_OK);
	}
	size_t len;
	assert_int_equal(pj__pread_full(file, got, size, 0, &len), 0);
	assert_int_equal(len, size);
	assert_memory_equal(got, text, size);
	assert_int_equal(lseek(file, 0, SEEK_END), (off_t)size);
	pj__space_fini(&buffer);
	free(text);
	free(got);
}

static void bytes_go_past_the_page_cache(void **state)
{
	pj__space buffer = {0};
	pj_error error;
	(void)state;
	int file = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	assert_true(file >= 0);
	const int input = dup(0);
	assert_true(input > 0 && !close(0));
	int direct = pj__direct_open(file);
	assert_true(direct < 0 || direct > 2);
	assert_int_equal(dup2(input, 0), 0);
	close(input);
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	int refuses = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC); /* EINVAL for what is no number */
	assert_true(refuses >= 0 && full >= 0);
	for (uint64_t seed = 1; seed <= 6; seed++) {
		/* where there is no such thing, or it takes nothing, all goes through the cache */
		assert_written(direct >= 0 && seed % 2 ? direct : refuses, file, 6000000, seed);
		assert_int_equal(ftruncate(file, 0), 0);
	}
	char *const text = calloc(1, 10000);
	assert_non_null(text);
	const pj_bytes bytes = {text, 10000};
	assert_int_equal(pj__direct_write(full, file, "file", &buffer, bytes, 100, &error), PJ_ERR_OUTPUT);
	assert_string_equal(error.file, "file");
	assert_int_equal(error.offset, 4096);
	assert_int_equal(error.errnum, ENOSPC);
	assert_int_equal(pj__direct_write(refuses, full, "file", &buffer, bytes, 100, &error), PJ_ERR_OUTPUT);
	assert_int_equal(error.offset, 100);
	pj__space_fini(&buffer);
	free(text);
	pj__close(&direct);
	pj__close(&refuses);
	pj__close(&full);
	pj__close(&file);
}

/* ------------------------------------------------------------------------------------------------- results by value */

struct expected {
	const char *const *lines;
	size_t count;
};

static pj_status expect(void *arg, pj_bytes key, pj_bytes value)
{
	struct expected *expected = arg;
	char line[64];
	snprintf(line, sizeof line, "%.*s %.*s", (int)key.len, key.ptr, (int)value.len, value.len ? value.ptr : "");
	assert_string_equal(line, expected->lines[expected->count++]);
	return PJ_OK;
}

/* In two parts, in key order each; then as they should come. */
static void the_largest_come_first(void **state)
{
	(void)state;
	static const char *const pairs[] = {"a 5",   "b 9223372036854775807", "c -1",  "d",   "e 1e30", "f 5.5", "g 5",
					    "h nan", "i 9223372036854775806", "j inf", "k x", "l -inf", "m 0"};
	static const char *const sorted[] = {"j inf",
					     "e 1e30",
					     "b 9223372036854775807",
					     "i 9223372036854775806",
					     "f 5.5",
					     "a 5",
					     "g 5",
					     "m 0",
					     "c -1",
					     "l -inf",
					     "d ",
					     "h nan",
					     "k x"};
	enum { COUNT = sizeof pairs / sizeof *pairs };
	for (uint64_t limit = 0; limit <= COUNT + 1; limit++) {
		const int file = open_memory_file();
		struct expected expected = {.lines = sorted};
		const pj_output output = {.pair = expect, .arg = &expected, .order = PJ_BY_VALUE_DOWN, .limit = limit};
		pj__parked parked[3] = {{.fd = file}, {.fd = file}, {.fd = file}};
		pj_error error;
		pj__sink sink;
		uint64_t end = 0, written = 0, bytes = 0;
		assert_true(pj__is_ordered(&output));
		for (size_t p = 0; p < 3; p++) { /* the middle one is empty */
			pj__part part = {.as_records = true};
			for (size_t i = p ? COUNT / 2 : 0; p != 1 && i < (p ? COUNT : COUNT / 2); i++)
				pj__part_add(&part, (pj_bytes){pairs[i], 1},
					     pairs[i][1] ? pj_bytes_of(pairs[i] + 2) : (pj_bytes){NULL, 0});
			assert_good(pj__part_order(&part, &output, &error), error);
			assert_true(!limit || part.pairs <= limit);
			parked[p].offset = end;
			parked[p].bytes = part.bytes.len;
			assert_int_equal(pj__pwrite_all(file, part.bytes.data, part.bytes.len, (off_t)end), 0);
			end += part.bytes.len;
			pj__text_fini(&part.bytes);
		}
		assert_good(pj__sink_open(&sink, &output, &error), error);
		assert_good(pj__pour_ordered(&sink, parked, 3, 1 << 20, NULL, NULL, &written, &bytes, &error), error);
		assert_int_equal(written, limit && limit < COUNT ? limit : COUNT);
		assert_int_equal(expected.count, written);
		if (!limit) { /* a part that is cut off, or not there */
			expected.count = 0;
			parked[2].bytes--;
			assert_fails(pj__pour_ordered(&sink, parked, 3, 1 << 20, NULL, NULL, &written, &bytes, &error),
				     PJ_ERR_CORRUPT, error);
			parked[0].offset = end;
			assert_fails(pj__pour_ordered(&sink, parked, 1, 1 << 20, NULL, NULL, &written, &bytes, &error),
				     PJ_ERR_CORRUPT, error);
		}
		pj__sink_close(&sink);
		close(file);
	}
}

/* Records longer than the merge's buffers. */
static void long_results_by_value(void **state)
{
	(void)state;
	enum { LONG = 700000, PARTS = 3 };
	char *key = malloc(LONG);
	const int file = open_memory_file(), out = open("sorted", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	pj__parked parked[PARTS];
	pj_error error;
	uint64_t end = 0, written, bytes;
	for (size_t p = 0; p < PARTS; p++) {
		pj__part part = {.as_records = true};
		memset(key, 'a' + (int)p, LONG);
		pj__part_add(&part, (pj_bytes){key, LONG - p}, pj_bytes_of("7"));
		pj__part_add(&part, (pj_bytes){key, 2}, pj_bytes_of("6"));
		parked[p] = (pj__parked){file, end, part.bytes.len};
		assert_int_equal(pj__pwrite_all(file, part.bytes.data, part.bytes.len, (off_t)end), 0);
		end += part.bytes.len;
		pj__text_fini(&part.bytes);
	}
	pj__sink sink = {.kind = PJ__SINK_FILE,
			 .fd = out,
			 .private_fd = -1,
			 .output = {.order = PJ_BY_VALUE_DOWN, .columns = PJ_KEY_ONLY}};
	assert_good(pj__pour_ordered(&sink, parked, PARTS, 1 << 20, NULL, NULL, &written, &bytes, &error), error);
	assert_int_equal(written, 2 * PARTS);
	assert_int_equal(bytes, (uint64_t)PARTS * LONG - 3 + PARTS + 3 * PARTS);
	char tail[10] = "";
	assert_int_equal(pread(out, tail, 9, (off_t)bytes - 9), 9);
	assert_string_equal(tail, "aa\nbb\ncc\n");
	close(out);
	close(file);
	unlink("sorted");
	free(key);
}

/* -------------------------------------------------------------------------------------------------- temporary files */

static const char *temp_folder(const char *given, const char *path)
{
	static char found[256];
	const pj_output output = {.path = path};
	pj__sink sink;
	pj_error error;
	assert_good(pj__sink_open(&sink, &output, &error), error);
	snprintf(found, sizeof found, "%s", pj__temp_folder(given, &sink));
	pj__sink_close(&sink);
	return found;
}

static void temporary_files_have_a_folder(void **state)
{
	(void)state;
	const char *const was = getenv("TMPDIR");
	char *const before = was ? strdup(was) : NULL;
	assert_int_equal(setenv("TMPDIR", "/from/environment", 1), 0);
	assert_string_equal(temp_folder("given", "new"), "given");
	assert_string_equal(temp_folder(NULL, "new"), "/from/environment");
	assert_int_equal(setenv("TMPDIR", "", 1), 0);
	assert_string_equal(temp_folder(NULL, "-"), "/var/tmp");
	assert_int_equal(unsetenv("TMPDIR"), 0);
	assert_string_equal(temp_folder(NULL, "new"), folder);
	assert_string_equal(temp_folder(NULL, "new/"), folder);
	assert_string_equal(temp_folder(NULL, "/dev/null"), "/var/tmp");
	assert_string_equal(temp_folder(NULL, NULL), "/var/tmp");
	assert_int_equal(before ? setenv("TMPDIR", before, 1) : 0, 0);
	free(before);
}

int main(void)
{
	alarm(60);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(results_become_lines),
		cmocka_unit_test(records_come_back),
		cmocka_unit_test(files_appear_at_the_end),
		cmocka_unit_test(folders_appear_at_the_end),
		cmocka_unit_test(what_may_not_be_replaced),
		cmocka_unit_test(links_are_followed),
		cmocka_unit_test(outputs_that_appear_meanwhile),
		cmocka_unit_test(streams_are_written_in_place),
		cmocka_unit_test(standard_output_stays_open),
		cmocka_unit_test(descriptors_run_out),
		cmocka_unit_test(the_disk_is_full),
		cmocka_unit_test(abandoned_folders_are_removed),
		cmocka_unit_test(trees_are_removed_whole),
		cmocka_unit_test(bytes_go_past_the_page_cache),
		cmocka_unit_test(the_largest_come_first),
		cmocka_unit_test(long_results_by_value),
		cmocka_unit_test(temporary_files_have_a_folder),
	};
	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
