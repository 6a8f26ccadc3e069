/*
 * temp_space.c: how much space the temporary folder should have had, when it has none left.
 *
 * It can only be estimated. While there is a map, what there is of runs, on disk and in memory, is so much for the
 * share of the input that was mapped; all of the input makes as much more, and none of that finds room in memory. Then
 * the reduce needs space for what it sorts in pieces and for parts, before that of the runs comes back; results in
 * another order than that of keys lie there as a whole, and are merged from there to there. What was free was not
 * enough, so it is more than that in any case.
 */
#include <sys/stat.h>

#include "engine/leader.h"

/* How many times what runs take is needed in all: runs, as much of sorted pieces, and parts, which are not packed. */
static const double times = 3.75, times_ordered = 7;

static uint64_t allocated(int fd)
{
	struct stat is;
	return fd >= 0 && fstat(fd, &is) == 0 ? (uint64_t)is.st_blocks * 512 : 0;
}

/* Bytes that workers' files take, of one kind. */
static uint64_t bytes_of_files(const struct leader *leader, int where)
{
	uint64_t bytes = 0;
	for (unsigned i = 0; i < leader->local.workers; i++)
		bytes += allocated(leader->local.files[i][where]);
	return bytes;
}

/* How much of the input was mapped, from 0 to 1; 0: nobody knows how much there will be. */
static double share_mapped(const struct leader *leader)
{
	const pj__sources *sources = &leader->run->plan->sources;
	double bytes = (double)leader->result->input_bytes;
	for (unsigned i = 0; i < leader->local.workers; i++)
		bytes += (double)leader->slots[i].pending.bytes;
	return sources->has_stream || !sources->bytes ? 0 : bytes / (double)sources->bytes;
}

/* By how much at least what was free must be multiplied: parts may be larger than what they are made of. */
static double margin(const struct leader *leader)
{
	const pj__schedule *schedule = &leader->schedule;
	if (leader->phase != PJ__PHASE_REDUCE || !schedule->count)
		return 1.25;
	return 2.25 - (double)schedule->done / (double)schedule->count;
}

void pj__leader_need(const struct leader *leader, pj_error *why)
{
	const pj__local *local = &leader->local;
	if (why->status != PJ_ERR_OUTPUT || strncmp(why->file, local->temp, sizeof why->file - 1) != 0)
		return;
	if (why->errnum != ENOSPC && why->errnum != EDQUOT) {
		pj__error_hint(why, "--temp names another folder");
		return;
	}
	const uint64_t mib = 1 << 20, free = local->temp_free;
	const double share = share_mapped(leader), memory = (double)bytes_of_files(leader, PJ__IN_MEMORY);
	double need = 0;
	if (leader->phase == PJ__PHASE_REDUCE)
		need = (double)leader->result->run_bytes;
	else if (share > 0)
		need = ((double)bytes_of_files(leader, PJ__ON_DISK) + memory) / share - memory;
	need *= local->brief.ordered ? times_ordered : times;
	if (leader->run->plan->refers) /* then parts are much more than runs */
		need += (double)leader->run->plan->sources.bytes;
	if (need > 0 && need < (double)free * margin(leader))
		need = (double)free * margin(leader);
	pj__error_hint(
		why, "--temp names another folder: %s %llu MiB are needed there, %llu MiB were free; or more --memory",
		need > 0 ? "about" : "more than",
		(unsigned long long)((need > 0 ? need : (double)free) / (double)mib) + 1,
		(unsigned long long)(free / mib));
}
