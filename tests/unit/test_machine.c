/*
 * test_machine.c: what the limits of control groups leave, seen in trees of files that look like those of the kernel.
 */
#include "testing.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cgroup.h"
#include "base/machine.h"
#include "base/private.h"

static char root[] = "/tmp/papjuice-test-XXXXXX";

/* Writes a file below the root, and the folders in which it lies. */
static void put(const char *path, const char *text)
{
	char whole[512];
	snprintf(whole, sizeof whole, "%s%s", root, path);
	for (char *slash = whole + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = 0;
		mkdir(whole, 0700);
		*slash = '/';
	}
	FILE *file = fopen(whole, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static int make_root(void **state)
{
	(void)state;
	memcpy(strrchr(root, '-') + 1, "XXXXXX", 6);
	return !mkdtemp(root);
}

static int remove_root(void **state)
{
	(void)state;
	return pj__remove_tree(AT_FDCWD, root);
}

static const char mounts_2[] = "22 1 8:1 / / rw - ext4 /dev/root rw\n"
			       "26 22 0:24 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

static void the_own_group_and_those_above_it(void **state)
{
	(void)state;
	put("/proc/self/cgroup", "0::/user.slice/run-1.scope\n");
	assert_int_equal(pj__cgroup_memory_left(root), UINT64_MAX);
	put("/proc/self/mountinfo", mounts_2);
	assert_int_equal(pj__cgroup_memory_left(root), UINT64_MAX);
	put("/sys/fs/cgroup/user.slice/run-1.scope/memory.max", "max\n");
	put("/sys/fs/cgroup/user.slice/run-1.scope/memory.current", "1000\n");
	assert_int_equal(pj__cgroup_memory_left(root), UINT64_MAX);
	put("/sys/fs/cgroup/user.slice/run-1.scope/memory.max", "8000\n");
	assert_int_equal(pj__cgroup_memory_left(root), 7000);
	put("/sys/fs/cgroup/user.slice/run-1.scope/memory.stat", "anon 100\nactive_file 5\ninactive_file 300\n");
	assert_int_equal(pj__cgroup_memory_left(root), 7305);
	put("/sys/fs/cgroup/user.slice/memory.max", "9000\n");
	put("/sys/fs/cgroup/user.slice/memory.current", "5000\n");
	put("/sys/fs/cgroup/user.slice/memory.stat", "inactive_file 300\n");
	assert_int_equal(pj__cgroup_memory_left(root), 4300);
	put("/sys/fs/cgroup/memory.max", "2000\n");
	put("/sys/fs/cgroup/memory.current", "3000\n"); /* the limit was lowered */
	assert_int_equal(pj__cgroup_memory_left(root), 0);
	put("/sys/fs/cgroup/memory.stat", "inactive_file 9999\n"); /* read a moment later: more than is used */
	assert_int_equal(pj__cgroup_memory_left(root), 2000);
}

static void inside_of_a_container(void **state)
{
	(void)state;
	/* with a name space of groups: the own group is the root */
	put("/proc/self/cgroup", "0::/\n");
	put("/proc/self/mountinfo", mounts_2);
	put("/sys/fs/cgroup/memory.max", "4000\n");
	put("/sys/fs/cgroup/memory.current", "1000\n");
	assert_int_equal(pj__cgroup_memory_left(root), 3000);
	/* without: the name is that outside, and the mount begins there */
	put("/proc/self/cgroup", "0::/docker/abc/inner\n");
	put("/proc/self/mountinfo", "26 22 0:24 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n");
	assert_int_equal(pj__cgroup_memory_left(root), 3000);
	put("/sys/fs/cgroup/inner/memory.max", "400\n");
	put("/sys/fs/cgroup/inner/memory.current", "100\n");
	assert_int_equal(pj__cgroup_memory_left(root), 300);
	/* a name that is not below the mount: no more than a beginning in common */
	put("/proc/self/cgroup", "0::/docker/abcdef\n");
	assert_int_equal(pj__cgroup_memory_left(root), 3000);
	put("/proc/self/mountinfo", "26 22 0:24 / /a\\040b rw - cgroup2 none rw\n");
	put("/proc/self/cgroup", "0::/x:y\n");
	put("/a b/x:y/memory.max", "50\n");
	put("/a b/x:y/memory.current", "8\n");
	assert_int_equal(pj__cgroup_memory_left(root), 42);
}

static void version_1(void **state)
{
	(void)state;
	put("/proc/self/cgroup", "5:devices:/\n4:cpu,memory:/job\n0::/\n");
	put("/proc/self/mountinfo", "31 23 0:28 / /cg/dev rw - cgroup cgroup rw,devices\n"
				    "35 23 0:32 / /cg/memory rw,relatime - cgroup cgroup rw,cpu,memory\n"
				    "41 23 0:38 / /cg/unified rw - cgroup2 cgroup2 rw\n");
	put("/cg/memory/memory.limit_in_bytes", "9223372036854771712\n");
	put("/cg/memory/memory.usage_in_bytes", "700\n");
	put("/cg/memory/job/memory.limit_in_bytes", "9223372036854771712\n");
	put("/cg/memory/job/memory.usage_in_bytes", "500\n");
	assert_int_equal(pj__cgroup_memory_left(root), UINT64_MAX);
	put("/cg/memory/job/memory.limit_in_bytes", "600\n");
	put("/cg/memory/job/memory.stat", "inactive_file 1\ntotal_inactive_file 15\ntotal_active_file 5\n");
	assert_int_equal(pj__cgroup_memory_left(root), 120);
	put("/cg/memory/memory.limit_in_bytes", "710\n");
	assert_int_equal(pj__cgroup_memory_left(root), 10);
}

static void the_machine_and_the_group(void **state)
{
	(void)state;
	assert_int_equal(pj__memory_available_under(root), UINT64_MAX);
	put("/proc/meminfo", "MemTotal:  900 kB\nMemAvailable:  100 kB\nSwapFree:  20 kB\n");
	assert_int_equal(pj__memory_available_under(root), 120 * 1024);
	put("/proc/self/cgroup", "0::/\n");
	put("/proc/self/mountinfo", mounts_2);
	put("/sys/fs/cgroup/memory.max", "65536\n");
	put("/sys/fs/cgroup/memory.current", "4096\n");
	assert_int_equal(pj__memory_available_under(root), 61440);
	put("/sys/fs/cgroup/memory.max", "1048576\n");
	assert_int_equal(pj__memory_available_under(root), 120 * 1024);
	assert_true(pj__memory_available() > 0);
}

static void strange_files_are_no_limit(void **state)
{
	(void)state;
	static const char *const groups[] = {"", "\n", ":::\n", "0::", "0::/a/../b\n", "nonsense\n", "4:memory\n"};
	static const char *const mounts[] = {"", " - \n", "a b c d\n", "1 2 3 / /x - \n", "1 2 3 / /x - cgroup2\n"};
	char *long_line = malloc(20001);
	memset(long_line, 'a', 20000);
	memcpy(long_line, "0::/", 4);
	long_line[20000] = 0;
	for (size_t i = 0; i < sizeof mounts / sizeof *mounts; i++) {
		put("/proc/self/mountinfo", i ? mounts[i] : long_line);
		for (size_t j = 0; j < sizeof groups / sizeof *groups; j++) {
			put("/proc/self/cgroup", j ? groups[j] : long_line);
			assert_int_equal(pj__cgroup_memory_left(root), UINT64_MAX);
		}
	}
	put("/proc/self/mountinfo", mounts_2);
	for (size_t j = 0; j < sizeof groups / sizeof *groups; j++) {
		put("/proc/self/cgroup", groups[j]);
		assert_int_equal(pj__cgroup_memory_left(root), UINT64_MAX);
	}
	free(long_line);
}

int main(void)
{
	alarm(60);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_own_group_and_those_above_it, make_root, remove_root),
		cmocka_unit_test_setup_teardown(inside_of_a_container, make_root, remove_root),
		cmocka_unit_test_setup_teardown(version_1, make_root, remove_root),
		cmocka_unit_test_setup_teardown(the_machine_and_the_group, make_root, remove_root),
		cmocka_unit_test_setup_teardown(strange_files_are_no_limit, make_root, remove_root),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
