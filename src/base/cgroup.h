/*
 * cgroup.h: how much memory the control group of this process leaves it.
 */
#ifndef PJ_BASE_CGROUP_H
#define PJ_BASE_CGROUP_H

#include <stdint.h>

/*
 * Bytes that the process may still take before its control group, or one above it, is at its limit; inactive page
 * cache counts as free, as the kernel reclaims it first. UINT64_MAX: there is no limit, or it cannot
 * be known. `root` stands before every path that is read ("" except in tests).
 */
uint64_t pj__cgroup_memory_left(const char *root);

/*
 * How many processes of this process's control group (where that does not count them: of the machine) the kernel has
 * killed for lack of memory so far; 0 if there is no such count.
 */
uint64_t pj__oom_kills(const char *root);

#endif
