/*
 * passes.c: see passes.h.
 */
#include "run/passes.h"

#include "base/verify.h"
#include "run/merge.h"
#include "run/packer.h"

enum { BUFFERS_SHARE = 4 };

struct passes {
	const pj_keys *keys;
	pj__run *runs;
	pj__segment *segments;
	size_t count;
	uint64_t cost;               /* memory that a merge of all takes at least */
	size_t all_memory, a_memory; /* for the buffers of the merge of all, and of one that is written */
	size_t shared;               /* of each merge, besides */
	int fd;
	volatile uint64_t *progress;
	uint64_t *end;
	pj__packer packer;
};

/* How many segments from `first` on to merge into one: as memory allows, and no more than needed to fit all. */
static size_t width_from(const struct passes *passes, size_t first)
{
	if (passes->cost <= passes->all_memory)
		return 1;
	pj__segment merged = {.packed = 1}; /* what becomes of them: it is known how long it is, but not how it packs */
	uint64_t cost = 0;
	size_t width = 0;
	for (; first + width < passes->count; width++) {
		const pj__segment *next = &passes->segments[first + width];
		if (width >= 2 && (cost + pj__merge_least(passes->keys, next) > passes->a_memory ||
				   passes->cost - cost + pj__merge_least(passes->keys, &merged) <= passes->all_memory))
			break;
		cost += pj__merge_least(passes->keys, next);
		merged.bytes += next->bytes;
		if (merged.longest < next->longest)
			merged.longest = next->longest;
	}
	return width;
}

/* Merges neighbours into a run behind the others; *ret_run and *ret_segment are it. */
static pj_status merge_some(struct passes *passes, size_t first, size_t width, pj__run *ret_run,
			    pj__segment *ret_segment, pj_error *error)
{
	pj__merge merge;
	bool more = true;
	pj__merge_init(&merge);
	merge.keys = passes->keys;
	pj_status status = pj__packer_begin(&passes->packer, passes->fd, *passes->end, error);
	for (size_t i = first; i < first + width && !status; i++)
		status = pj__merge_add(&merge, &passes->runs[i], &passes->segments[i], error);
	if (!status)
		status = pj__merge_start(&merge, passes->a_memory + passes->shared, error);
	while (!status) {
		status = pj__merge_next(&merge, &more, error);
		if (status || !more)
			break;
		++*passes->progress;
		status = pj__packer_add(&passes->packer, merge.key, merge.value, error);
	}
	if (!status)
		status = pj__packer_finish(&passes->packer, ret_run, ret_segment, error);
	if (!status)
		*passes->end = ret_run->offset + ret_run->bytes;
	pj__merge_fini(&merge);
	return status;
}

/* One pass over all segments; what it makes of them moves to the front of the arrays. */
static pj_status pass(struct passes *passes, pj_error *error)
{
	size_t kept = 0;
	for (size_t i = 0, width; i < passes->count; i += width) {
		width = width_from(passes, i);
		pj__run run = passes->runs[i];
		pj__segment segment = passes->segments[i];
		if (width > 1) {
			const pj_status status = merge_some(passes, i, width, &run, &segment, error);
			if (status)
				return status;
			for (size_t j = i; j < i + width; j++)
				passes->cost -= pj__merge_least(passes->keys, &passes->segments[j]);
			passes->cost += pj__merge_least(passes->keys, &segment);
		}
		passes->runs[kept] = run;
		passes->segments[kept++] = segment;
	}
	passes->count = kept;
	return PJ_OK;
}

/* No pass may lose a pair or take one twice. */
static uint64_t count_pairs(const struct passes *passes)
{
	uint64_t pairs = 0;
	for (size_t i = 0; i < passes->count; i++)
		pairs += passes->segments[i].pairs;
	return pairs;
}

static size_t less(size_t bytes, size_t by)
{
	return bytes > by ? bytes - by : 0;
}

pj_status pj__merge_passes(const pj_keys *keys, pj__run *runs, pj__segment *segments, size_t *count,
			   size_t memory_bytes, int fd, uint64_t *end, volatile uint64_t *progress,
			   unsigned *ret_passes, pj_error *error)
{
	struct passes passes = {
		.keys = keys, .runs = runs, .segments = segments, .fd = fd, .progress = progress, .end = end};
	passes.shared = pj__merge_shared(keys, segments, *count);
	/* A record that takes nearly all there is must not lead to a merge of two by two. */
	passes.all_memory = less(memory_bytes, passes.shared);
	if (passes.all_memory < memory_bytes / BUFFERS_SHARE && passes.shared > PJ__MERGE_SHARED)
		passes.all_memory = memory_bytes / BUFFERS_SHARE;
	passes.a_memory = less(passes.all_memory, PJ__PACKER_BYTES);
	for (size_t i = 0; i < *count; i++) {
		if (!segments[i].bytes)
			continue;
		runs[passes.count] = runs[i];
		segments[passes.count++] = segments[i];
		passes.cost += pj__merge_least(keys, &segments[i]);
	}
	pj_status status = PJ_OK;
	unsigned done = 0;
	const uint64_t pairs = count_pairs(&passes);
	pj__packer_init(&passes.packer);
	for (; !status && passes.count > 2 && passes.cost > passes.all_memory; done++)
		status = pass(&passes, error);
	pj__packer_fini(&passes.packer);
	if (!status) {
		PJ_VERIFY(count_pairs(&passes) == pairs);
		*count = passes.count;
		*ret_passes = done;
	}
	return status;
}
