/*
 * machine.h: what the machine offers this process: processors, memory, clock.
 */
#ifndef PJ_BASE_MACHINE_H
#define PJ_BASE_MACHINE_H

#include <stdint.h>
#include <sys/types.h>

/* Processors this process may use: its affinity mask, cut to the cgroup's quota (v2 cpu.max, v1 cfs); at least 1. */
unsigned pj__processors(void);

/* Bytes of private (anonymous) memory that a process has in use, 0 if that cannot be known. */
uint64_t pj__memory_of(pid_t pid);

/* Bytes of addresses that count as data of this process (RLIMIT_DATA), 0 if that cannot be known. */
uint64_t pj__data_of_self(void);

/*
 * Bytes of memory available now: what the kernel calls available, and free swap, cut to what is left of the limit
 * of the control group and of those above it. UINT64_MAX if that cannot be known.
 */
uint64_t pj__memory_available(void);

/* The same, with `root` before every path that is read: for tests. */
uint64_t pj__memory_available_under(const char *root);

/*
 * Nanoseconds for which this process has run, or waited only for a processor, so far: the rest of its time it was
 * blocked. 0 if that cannot be known.
 */
uint64_t pj__wanted_ns(void);

/* Nanoseconds of the monotonic clock. */
uint64_t pj__now_ns(void);

#endif
