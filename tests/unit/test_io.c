/*
 * test_io.c: reading and writing finish what they began, and say what stopped them.
 */
#include "testing.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/io.h"

enum { BYTES = 300000 };

static void fill(char *bytes, size_t size)
{
	uint64_t random = size;
	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)random_bits(&random);
}

static void what_is_written_is_read(void **state)
{
	(void)state;
	char *bytes = malloc(BYTES), *again = malloc(BYTES);
	int fd = open_memory_file();
	size_t got = 7;
	pj_error error;
	fill(bytes, BYTES);
	assert_int_equal(pj__pwrite_all(fd, bytes, BYTES, 1000), 0);
	assert_int_equal(pj__pread_full(fd, again, BYTES, 1000, &got), 0);
	assert_int_equal(got, BYTES);
	assert_memory_equal(bytes, again, BYTES);
	assert_int_equal(pj__pread_full(fd, again, BYTES, 1000 + BYTES - 5, &got), 0);
	assert_int_equal(got, 5);
	assert_int_equal(pj__pread_full(fd, again, BYTES, 1 << 30, &got), 0);
	assert_int_equal(got, 0);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 0); /* the position is not touched */
	assert_int_equal(pj__write_all(fd, "start", 5), 0);
	assert_good(pj__pread_exactly(fd, "name", again, 5, 0, &error), error);
	assert_memory_equal(again, "start", 5);
	assert_good(pj__pwrite_checked(fd, "name", "ab", 2, 1, &error), error);
	assert_good(pj__pread_exactly(fd, "name", again, 5, 0, &error), error);
	assert_memory_equal(again, "sabrt", 5);
	assert_int_equal(pj__close(&fd), 0);
	assert_int_equal(fd, -1);
	assert_int_equal(pj__close(&fd), 0);
	free(bytes);
	free(again);
}

static void ignore(int signal)
{
	(void)signal;
}

/* A child that is slow and keeps interrupting: counts come short, calls with EINTR. */
static pid_t start_peer(int fd, bool writes)
{
	const pid_t parent = getpid(), child = fork();
	if (child)
		return child;
	char *bytes = malloc(BYTES);
	fill(bytes, BYTES);
	for (size_t done = 0; done < BYTES;) {
		const size_t want = 1 + (done * 7919) % 4999, rest = BYTES - done, step = want < rest ? want : rest;
		const ssize_t n = writes ? write(fd, bytes + done, step) : read(fd, bytes + done, step);
		if (n <= 0)
			_exit(1);
		done += (size_t)n;
		kill(parent, SIGUSR1);
	}
	char *expected = malloc(BYTES);
	fill(expected, BYTES);
	const int differs = memcmp(bytes, expected, BYTES);
	free(bytes);
	free(expected);
	_exit(differs ? 2 : 0);
}

static void signals_and_short_counts_do_not_matter(void **state)
{
	(void)state;
	const struct sigaction interrupts = {.sa_handler = ignore}; /* no SA_RESTART */
	struct sigaction old;
	assert_int_equal(sigaction(SIGUSR1, &interrupts, &old), 0);
	for (int reads = 0; reads < 2; reads++) {
		int ends[2], how;
		char *bytes = malloc(BYTES), *expected = malloc(BYTES);
		size_t got = 0;
		fill(expected, BYTES);
		assert_int_equal(pipe(ends), 0);
		const pid_t child = start_peer(ends[reads ? 1 : 0], reads);
		if (reads) {
			close(ends[1]);
			assert_int_equal(pj__read_full(ends[0], bytes, BYTES, &got), 0);
			assert_int_equal(got, BYTES);
			assert_memory_equal(bytes, expected, BYTES);
			assert_int_equal(pj__read_full(ends[0], bytes, BYTES, &got), 0);
			assert_int_equal(got, 0); /* the end */
			close(ends[0]);
		} else {
			close(ends[0]);
			assert_int_equal(pj__write_all(ends[1], expected, BYTES), 0);
			close(ends[1]);
		}
		while (waitpid(child, &how, 0) < 0)
			assert_int_equal(errno, EINTR);
		assert_true(WIFEXITED(how));
		assert_int_equal(WEXITSTATUS(how), 0);
		free(bytes);
		free(expected);
	}
	assert_int_equal(sigaction(SIGUSR1, &old, NULL), 0);
}

static void failures_are_told(void **state)
{
	(void)state;
	const int fd = open_memory_file();
	char bytes[100] = "";
	size_t got;
	pj_error error;
	assert_int_equal(pj__pread_full(-1, bytes, 1, 0, &got), EBADF);
	assert_int_equal(pj__read_full(-1, bytes, 1, &got), EBADF);
	assert_int_equal(pj__write_all(-1, bytes, 1), EBADF);
	assert_int_equal(pj__pwrite_all(-1, bytes, 1, 0), EBADF);
	assert_fails(pj__pread_exactly(-1, "the name", bytes, 1, 12, &error), PJ_ERR_INPUT, error);
	assert_int_equal(error.errnum, EBADF);
	assert_string_equal(error.file, "the name");
	assert_int_equal(error.offset, 12);
	assert_int_equal(pj__pwrite_all(fd, bytes, 50, 0), 0);
	assert_fails(pj__pread_exactly(fd, "short", bytes, 60, 10, &error), PJ_ERR_CORRUPT, error);
	assert_int_equal(error.offset, 50); /* where it ends */
	assert_fails(pj__pread_exactly(fd, "before", bytes, 1, -1, &error), PJ_ERR_INPUT, error);
	assert_fails(pj__pwrite_checked(-1, "out", bytes, 1, 3, &error), PJ_ERR_OUTPUT, error);
	assert_int_equal(error.offset, 3);
	assert_int_equal(pj__pread_exactly(-1, "nobody asks", bytes, 1, 0, NULL), PJ_ERR_INPUT);
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_true(full >= 0);
	assert_fails(pj__pwrite_checked(full, "full", bytes, 1, 0, &error), PJ_ERR_OUTPUT, error);
	assert_int_equal(error.errnum, ENOSPC);
	pj__close(&full);
	close(fd);
}

static void descriptors_run_out(void **state)
{
	(void)state;
	struct rlimit old, none;
	pj_error error;
	int fd = -2;
	void *address = &fd;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){3, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	memset(&error, 0, sizeof error);
	const pj_status file = pj__memory_file("test", &fd, &error);
	const pj_status map = pj__map_shared(4096, &address, NULL);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(file, PJ_ERR_RESOURCE);
	assert_int_equal(error.errnum, EMFILE);
	assert_int_equal(fd, -2); /* untouched */
	assert_int_equal(map, PJ_ERR_RESOURCE);
	assert_ptr_equal(address, &fd);
}

static void shared_memory_is_shared(void **state)
{
	(void)state;
	void *address;
	pj_error error;
	int how;
	assert_good(pj__map_shared(10000, &address, &error), error);
	volatile char *bytes = address;
	assert_int_equal(bytes[9999], 0);
	const pid_t child = fork();
	if (!child) {
		bytes[9999] = 42;
		_exit(0);
	}
	assert_int_equal(waitpid(child, &how, 0), child);
	assert_int_equal(bytes[9999], 42);
	munmap(address, 10000);
}

/*
 * More than there is must be an error, and not the death of whomever the kernel chooses. The limit on files keeps the
 * machine out of danger if it is not: then the error is another one.
 */
static void too_much_shared_memory_is_refused(void **state)
{
	(void)state;
	struct rlimit old, small;
	pj_error error;
	void *address = NULL;
	const struct sigaction ignoring = {.sa_handler = SIG_IGN};
	struct sigaction before;
	assert_int_equal(sigaction(SIGXFSZ, &ignoring, &before), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = (struct rlimit){1 << 20, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	const pj_status file_limit = pj__map_shared(4 << 20, &address, &error);
	const int file_errno = error.errnum;
	const pj_status status = pj__map_shared((size_t)1 << 60, &address, &error);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(sigaction(SIGXFSZ, &before, NULL), 0);
	assert_int_equal(file_limit, PJ_ERR_MEMORY);
	assert_int_equal(file_errno, EFBIG);
	assert_int_equal(status, PJ_ERR_MEMORY);
	assert_int_equal(error.errnum, ENOMEM);
	assert_null(address);
}

static void assert_unnamed(const char *folder)
{
	int fd = -1;
	struct stat is;
	pj_error error;
	char bytes[4] = "";
	assert_good(pj__temp_file(folder, &fd, &error), error);
	assert_int_equal(fstat(fd, &is), 0);
	assert_int_equal(is.st_nlink, 0);
	assert_int_equal(is.st_mode & 0777, 0600);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(pj__pwrite_all(fd, "abc", 3, 5000), 0);
	assert_good(pj__pread_exactly(fd, "temp", bytes, 3, 5000, &error), error);
	assert_memory_equal(bytes, "abc", 3);
	assert_int_equal(rmdir(folder), 0); /* nothing is in it */
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(pj__close(&fd), 0);
}

/* From here on this process lives on a file system that has no files without a name. */
static int forbid_unnamed_files(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_TMPFILE & ~O_DIRECTORY, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {sizeof code / sizeof *code, code};
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void temporary_files_have_no_name(void **state)
{
	(void)state;
	char folder[] = "/tmp/papjuice-test-XXXXXX", missing[64];
	int fd = 7, code;
	pj_error error;
	assert_non_null(mkdtemp(folder));
	assert_unnamed(folder);
	const pid_t child = fork();
	if (!child) {
		if (forbid_unnamed_files())
			_exit(77);
		assert_int_equal(open(folder, O_TMPFILE | O_RDWR, 0600), -1);
		assert_unnamed(folder);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &code, 0), child);
	assert_int_equal(rmdir(folder), 0);
	snprintf(missing, sizeof missing, "%s/none", folder);
	assert_fails(pj__temp_file(missing, &fd, &error), PJ_ERR_OUTPUT, error);
	assert_int_equal(error.errnum, ENOENT);
	assert_string_equal(error.file, missing);
	assert_non_null(strstr(error.hint, "--temp"));
	assert_int_equal(fd, 7);
	if (WIFEXITED(code) && WEXITSTATUS(code) == 77) {
		print_message("skip: system calls cannot be filtered here\n");
		skip();
	}
	assert_int_equal(code, 0);
}

int main(void)
{
	alarm(60);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(signals_and_short_counts_do_not_matter),
		cmocka_unit_test(failures_are_told),
		cmocka_unit_test(descriptors_run_out),
		cmocka_unit_test(temporary_files_have_no_name),
		cmocka_unit_test(shared_memory_is_shared),
		cmocka_unit_test(too_much_shared_memory_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
