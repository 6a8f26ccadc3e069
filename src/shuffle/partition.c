/*
 * partition.c: see partition.h.
 */
#include "shuffle/partition.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

pj__splitter pj__splitter_of(pj_bytes key)
{
	uint64_t words[2] = {0, 0};
	if (key.len)
		memcpy(words, key.ptr, key.len < 16 ? key.len : 16);
	return (pj__splitter){__builtin_bswap64(words[0]), __builtin_bswap64(words[1])};
}

static int compare(const void *a, const void *b)
{
	const pj__splitter *x = a, *y = b;
	return pj__splitter_less(*y, *x) - pj__splitter_less(*x, *y);
}

pj_status pj__partition_init(pj__partition *partition, uint32_t parts, uint32_t ranges, pj__splitter *sample,
			     size_t count, pj_error *error)
{
	*partition = (pj__partition){.parts = parts, .ranges = 1, .buckets = parts};
	if (count && ranges > 1) {
		partition->splitters = malloc((ranges - 1) * sizeof *sample);
		if (!partition->splitters)
			return pj__no_memory(error, (ranges - 1) * sizeof *sample);
		qsort(sample, count, sizeof *sample, compare);
		for (uint32_t i = 1; i < ranges; i++) {
			const pj__splitter next = sample[(size_t)((__uint128_t)i * count / ranges)];
			const uint32_t found = partition->ranges - 1;
			if (!found || pj__splitter_less(partition->splitters[found - 1], next)) {
				partition->splitters[found] = next;
				partition->ranges++;
			}
		}
	}
	partition->buckets = parts * partition->ranges;
	return PJ_OK;
}

pj_status pj__partition_load(pj__partition *partition, uint32_t parts, const pj__splitter *splitters, size_t count,
			     pj_error *error)
{
	const uint32_t ranges = (uint32_t)count + 1;
	*partition = (pj__partition){.parts = parts, .ranges = ranges, .buckets = parts * ranges};
	if (!count)
		return PJ_OK;
	partition->splitters = malloc(count * sizeof *splitters);
	if (!partition->splitters)
		return pj__no_memory(error, count * sizeof *splitters);
	memcpy(partition->splitters, splitters, count * sizeof *splitters);
	return PJ_OK;
}

void pj__partition_fini(pj__partition *partition)
{
	free(partition->splitters);
	*partition = (pj__partition){0};
}

uint32_t pj__partition_part(const pj__partition *partition, pj_bytes key)
{
	return partition->parts == 1 ? 0 : (uint32_t)(XXH3_64bits(key.ptr, key.len) % partition->parts);
}

__extension__ typedef unsigned __int128 wide;

static inline wide wide_of(pj__splitter splitter)
{
	return (wide)splitter.high << 64 | splitter.low;
}

void pj__partition_ranges(const pj__partition *partition, const pj__splitter *keys, size_t count, uint32_t *ranges)
{
	const pj__splitter *splitters = partition->splitters;
	memset(ranges, 0, count * sizeof *ranges);
	/* Step by step for all keys: ranges[i] splitters are known to be at or below key i, `rest` more may be. */
	for (uint32_t rest = partition->ranges - 1; rest;) {
		const uint32_t half = rest == 1 ? 1 : rest / 2;
		for (size_t i = 0; i < count; i++) {
			const uint32_t is_below = wide_of(splitters[ranges[i] + half - 1]) <= wide_of(keys[i]);
			ranges[i] += half & -is_below;
		}
		rest -= half;
	}
}

uint32_t pj__partition_bucket(const pj__partition *partition, pj_bytes key)
{
	const pj__splitter first = pj__splitter_of(key);
	uint32_t range;
	pj__partition_ranges(partition, &first, 1, &range);
	return pj__partition_part(partition, key) * partition->ranges + range;
}
