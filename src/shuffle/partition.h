/*
 * partition.h: which bucket a key belongs to.
 *
 * Pairs are gathered in buckets, numbered from 0:
 *
 *     bucket = part * ranges + range
 *
 * A part is what becomes one part file: part = XXH3-64(key, seed 0) modulo parts. For one output there is one part. A
 * range is a range of keys within its part, by splitters: it keeps what is reduced at a time in the cache, gives the
 * workers equal shares, and puts a part's keys in order, range after range, without a merge of everything. Ranges are
 * decided by a key's first 16 bytes. Where the splitters come from does not show in the output.
 */
#ifndef PJ_SHUFFLE_PARTITION_H
#define PJ_SHUFFLE_PARTITION_H

#include "base/error.h"

/* The first 16 bytes of a key, zero bytes where it has ended; their order is (high, low). */
typedef struct pj__splitter {
	uint64_t high, low;
} pj__splitter;

typedef struct pj__partition {
	uint32_t parts, ranges, buckets;
	pj__splitter *splitters; /* ranges - 1, ascending: keys >= splitters[i] lie in a range > i */
} pj__partition;

/* The 16 bytes of a key. */
pj__splitter pj__splitter_of(pj_bytes key);

static inline int pj__splitter_less(pj__splitter a, pj__splitter b)
{
	return a.high < b.high || (a.high == b.high && a.low < b.low);
}

/*
 * Makes a partition of `parts` x at most `ranges` buckets. The splitters are taken from `sample`, `count` splitters of
 * sampled keys, which is sorted in place; equal splitters are merged, and without a sample there is one range.
 */
PJ_MUST_USE pj_status pj__partition_init(pj__partition *partition, uint32_t parts, uint32_t ranges,
					 pj__splitter *sample, size_t count, pj_error *error);

/* Makes a partition of given splitters, ascending and distinct, which are copied: count + 1 ranges. */
PJ_MUST_USE pj_status pj__partition_load(pj__partition *partition, uint32_t parts, const pj__splitter *splitters,
					 size_t count, pj_error *error);
void pj__partition_fini(pj__partition *partition);

/*
 * The ranges of `count` keys at once, by their first 16 bytes: many searches side by side, none of which can be
 * predicted, cost little more than one.
 */
void pj__partition_ranges(const pj__partition *partition, const pj__splitter *keys, size_t count, uint32_t *ranges);

/* The bucket of a key, and the part alone. */
uint32_t pj__partition_bucket(const pj__partition *partition, pj_bytes key);
uint32_t pj__partition_part(const pj__partition *partition, pj_bytes key);

#endif
