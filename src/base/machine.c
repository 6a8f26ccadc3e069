/*
 * machine.c: see machine.h. The cgroup files are those of the kernel's admin-guide/cgroup-v2 ("cpu.max") and
 * scheduler/sched-bwc ("cpu.cfs_quota_us"). The quota of the group the process sees as its own is what counts: in a
 * container that is the root of the mounted hierarchy.
 */
#include "base/machine.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/cgroup.h"

static unsigned affinity(void)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
		return (unsigned)CPU_COUNT(&set);
	/* more processors than the fixed set has room for */
	const long online = sysconf(_SC_NPROCESSORS_ONLN);
	return online > 0 ? (unsigned)online : 1;
}

/* Reads up to two numbers of a file; returns how many were there ("max" is none). */
static int read_numbers(const char *path, long long *first, long long *second)
{
	FILE *file = fopen(path, "re");
	if (!file)
		return 0;
	const int count = fscanf(file, "%lld %lld", first, second);
	fclose(file);
	return count > 0 ? count : 0;
}

/* Whole processors of the cgroup's quota, rounded up; 0: no quota. */
static unsigned quota(void)
{
	long long quota_us = 0, period_us = 0, unused = 0;
	if (read_numbers("/sys/fs/cgroup/cpu.max", &quota_us, &period_us) != 2) {
		if (read_numbers("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", &quota_us, &unused) != 1 ||
		    read_numbers("/sys/fs/cgroup/cpu/cpu.cfs_period_us", &period_us, &unused) != 1)
			return 0;
	}
	if (quota_us <= 0 || period_us <= 0)
		return 0;
	return (unsigned)((quota_us + period_us - 1) / period_us);
}

unsigned pj__processors(void)
{
	const unsigned may_use = affinity(), limit = quota();
	return limit && limit < may_use ? limit : may_use;
}

uint64_t pj__memory_of(pid_t pid)
{
	char path[64], line[256];
	unsigned long long kilobytes = 0;
	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	FILE *file = fopen(path, "re");
	while (file && fgets(line, sizeof line, file) && sscanf(line, "RssAnon: %llu kB", &kilobytes) != 1)
		;
	if (file)
		fclose(file);
	return kilobytes * 1024;
}

uint64_t pj__data_of_self(void)
{
	/* the sixth number: pages of data and stack */
	unsigned long long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");
	const bool read = file && fscanf(file, "%*u %*u %*u %*u %*u %llu", &pages) == 1;
	if (file)
		fclose(file);
	return read ? pages * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

uint64_t pj__memory_available_under(const char *root)
{
	char path[4096], line[256];
	unsigned long long kilobytes = 0, swap = 0;
	snprintf(path, sizeof path, "%s/proc/meminfo", root);
	FILE *file = fopen(path, "re");
	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "MemAvailable: %llu kB", &kilobytes) != 1)
			(void)sscanf(line, "SwapFree: %llu kB", &swap);
	if (file)
		fclose(file);
	const uint64_t available = kilobytes ? (kilobytes + swap) * 1024 : UINT64_MAX;
	const uint64_t left = pj__cgroup_memory_left(root);
	return left < available ? left : available;
}

uint64_t pj__memory_available(void)
{
	return pj__memory_available_under("");
}

uint64_t pj__now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t pj__wanted_ns(void)
{
	long long ran = 0, waited = 0;
	/* the kernel's scheduler/sched-stats: time on a processor, time in its queue */
	return read_numbers("/proc/self/schedstat", &ran, &waited) == 2 ? (uint64_t)(ran + waited) : 0;
}
