/*
 * budget.c: see budget.h.
 */
#include "engine/budget.h"

#include "base/verify.h"

static const uint64_t mib = 1 << 20;
/*
 * What a process takes before it does anything, as measured (docs/performance.md): pages of the program's and libc's
 * data, stacks, the reader's buffer, small lists. And the least with which tables, sorts and merges make headway.
 */
static const uint64_t leader_fixed = 4 << 20, worker_fixed = 2 << 20, private_least = 3 << 20, files_least = 1 << 20;
/* Beyond these, more gains nothing (docs/performance.md). */
static const uint64_t table_most = 128 << 20, gather_most = 64 << 20, held_most = 256 << 20, spool_most = 512 << 20;

/*
 * Bytes for a task (its split, its place in the schedule, its runs, twice) and for a bucket: its splitter, and its part
 * in the leader; in a worker its splitter, and where its pairs are gathered, with half-filled chunks, or combined.
 * Short lists lie in what is fixed.
 */
enum { OF_TASK = 160, OF_PART = 256, OF_STREAM = 448, OF_TABLE = 160, LISTS_FIXED = 512 << 10 };

pj__lists pj__budget_lists(uint64_t tasks, uint64_t buckets, bool combines)
{
	const uint64_t leader = tasks * OF_TASK + buckets * OF_PART;
	const uint64_t worker = buckets * (combines ? OF_TABLE : OF_STREAM);
	return (pj__lists){leader > LISTS_FIXED ? leader - LISTS_FIXED : 0,
			   worker > LISTS_FIXED ? worker - LISTS_FIXED : 0};
}

static uint64_t least_of(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

pj_status pj__budget_divide(pj__budget *budget, uint64_t memory, unsigned workers, pj__lists lists, pj_error *error)
{
	const uint64_t fixed = leader_fixed + lists.leader + workers * (worker_fixed + lists.worker);
	const uint64_t least = fixed + workers * (private_least + files_least);
	if (memory < least) {
		pj__fail(error, PJ_ERR_MEMORY, 0, NULL, "the memory budget is too small");
		pj__error_reason(error, "%llu MiB for %u workers", (unsigned long long)(memory / mib), workers);
		pj__error_hint(error, "--memory %lluM is the least for so many%s%s",
			       (unsigned long long)((least + mib - 1) / mib),
			       lists.leader || lists.worker
				       ? " and such long lists of partitions (-p) and splits, and what is compressed"
				       : "",
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
	PJ_VERIFY(fixed + budget->files + private * workers == memory);
	PJ_VERIFY(budget->files >= workers * files_least && budget->spool <= budget->files);
	PJ_VERIFY(budget->table * 2 <= private && budget->gather * 2 <= private);
	PJ_VERIFY(budget->reduce + budget->part + budget->held <= private);
	return PJ_OK;
}
