/*
 * budget.c: see budget.h.
 */
#include "engine/budget.h"

static const uint64_t mib = 1 << 20;
/*
 * What a process takes before it does anything, as measured (docs/performance.md): pages of the program's and libc's
 * data, stacks, the reader's buffer, small lists. And the least with which tables, sorts and merges make headway.
 */
static const uint64_t leader_fixed = 4 << 20, worker_fixed = 2 << 20, private_least = 3 << 20, files_least = 1 << 20;
/* Beyond these, more gains nothing (docs/performance.md). */
static const uint64_t table_most = 128 << 20, gather_most = 64 << 20, held_most = 256 << 20, spool_most = 512 << 20;

static uint64_t least_of(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

pj_status pj__budget_divide(pj__budget *budget, uint64_t memory, unsigned workers, pj_error *error)
{
	const uint64_t fixed = leader_fixed + workers * worker_fixed;
	const uint64_t least = fixed + workers * (private_least + files_least);
	if (memory < least) {
		pj__fail(error, PJ_ERR_MEMORY, 0, NULL, "the memory budget is too small");
		pj__error_reason(error, "%llu MiB for %u workers", (unsigned long long)(memory / mib), workers);
		pj__error_hint(error, "--memory %lluM is the least for so many%s",
			       (unsigned long long)((least + mib - 1) / mib),
			       workers > 1 ? "; fewer workers (-w) need less" : "");
		return PJ_ERR_MEMORY;
	}
	const uint64_t free = memory - fixed, private = free / 8 * 5 / workers;
	*budget = (pj__budget){.memory = memory,
			       .files = free - private * workers,
			       .spool = least_of(free / 8, spool_most),
			       .table = (size_t)least_of(private / 4, table_most),
			       .gather = (size_t)least_of(private / 5 * 2, gather_most),
			       .reduce = (size_t)(private / 2),
			       .part = (size_t)least_of(private / 8, held_most),
			       .held = (size_t)least_of(private / 8, held_most)};
	return PJ_OK;
}
