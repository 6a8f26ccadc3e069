/*
 * partition.h: which bucket a key belongs to.
 *
 * Pairs are gathered in buckets, numbered from 0:
 *
 *     bucket = part * ranges + range
 *
 * A part is what becomes one part file: part = XXH3-64(key, seed 0) modulo parts. For one output there is one part. A
 * range is a range of keys within its part, by splitters: it keeps what is reduced at a time in the cache, gives the
 * workers equal shares, and puts a part's keys in order, range after range, without a merge of everything. Most keys'
 * ranges are decided by their first 16 bytes, their lead; only where splitters agree in theirs whole keys are compared.
 *
 * Where the splitters come from does not show in the output, unless there is one part, and its ranges become several
 * files that one after another are one sorted sequence (PJ_PARTS_RANGES): then a file begins with every n-th
 * range, and where that is depends on the sample and the number of files alone:
 *
 *     splitters         a        d   d   m             quantiles of the sample; equal ones are merged
 *     ranges        0   |   1    |   2   |   3
 *     files             0        |       |   2         file 1 is empty
 *
 * Where a job decides about its keys (papjuice/keys.h), their beginnings are what is parted, the part is what the
 * user's partitioner says, and ranges are found by the user's order of whole splitters.
 */
#ifndef PJ_SHUFFLE_PARTITION_H
#define PJ_SHUFFLE_PARTITION_H

#include "base/task.h"
#include "base/text.h"
#include "run/keys.h"

/* The first 16 bytes of a key, zero bytes where it has ended; their order is (high, low). */
typedef struct pj__lead {
	uint64_t high, low;
} pj__lead;

enum { PJ__SPLITTER_MOST = 256 /* bytes of a splitter: as many of a key's are looked at */ };

typedef struct pj__partition {
	uint32_t parts, ranges, buckets;
	pj_text text;        /* the splitters, ranges - 1, ascending, as records without values */
	pj_bytes *splitters; /* in `text`: keys >= splitters[i] lie in a range > i */
	pj__lead *leads;     /* of the splitters */
	const pj_keys *keys; /* of the job, set by the owner; NULL: none of its own */
	pj__task *task;      /* to which a partitioner's wrong result is told, if there is a partitioner */
	bool deep;           /* there are splitters that are not decided by their leads */
} pj__partition;

static inline pj__lead pj__lead_of(pj_bytes key)
{
	uint64_t words[2] = {0, 0};
	if (key.len >= sizeof words)
		memcpy(words, key.ptr, sizeof words); /* of a known length: two loads */
	else if (key.len)
		memcpy(words, key.ptr, key.len);
	return (pj__lead){__builtin_bswap64(words[0]), __builtin_bswap64(words[1])};
}

/* Adds a key, cut to PJ__SPLITTER_MOST bytes, to a sample. Without memory it is left out, and sample->failed is set. */
void pj__sample_add(pj_text *sample, pj_bytes key);

/* Puts the keys of a sample in the job's order. PJ_ERR_MEMORY: they stand as they stood. */
PJ_MUST_USE pj_status pj__sample_sort(pj_text *sample, const pj_keys *keys, pj_error *error);

/*
 * Makes a partition of `parts` x at most `ranges` buckets. The splitters are taken from `sample`, keys added by
 * pj__sample_add in any order; `in_order`: they stand in the job's own (pj__sample_sort), and stay so, since only a
 * worker can ask for that. Equal splitters are merged, and without a sample there is one range. PJ_ERR_CORRUPT: it is
 * none.
 */
PJ_MUST_USE pj_status pj__partition_init(pj__partition *partition, uint32_t parts, uint32_t ranges, pj_bytes sample,
					 bool in_order, pj_error *error);

/*
 * The same with one part, whose ranges, at most `finer` to each, make `files` files: file i has the ranges from
 * firsts[i] to firsts[i + 1], which may be none. Of the sample's N keys in order, file i begins with the one at
 * i * N / files, rounded down. `firsts` has room for files + 1.
 */
PJ_MUST_USE pj_status pj__partition_init_files(pj__partition *partition, uint32_t files, uint32_t finer,
					       pj_bytes sample, bool in_order, uint32_t *firsts, pj_error *error);

/* Makes a partition of the splitters of another one, the bytes of its `text`, which are copied. */
PJ_MUST_USE pj_status pj__partition_load(pj__partition *partition, uint32_t parts, pj_bytes text, pj_error *error);
void pj__partition_fini(pj__partition *partition);

/*
 * The ranges of `count` keys at once, as far as their leads decide: many searches side by side, none of which can be
 * predicted, cost little more than one.
 */
void pj__partition_ranges(const pj__partition *partition, const pj__lead *leads, size_t count, uint32_t *ranges);

/* The range of a key, where pj__partition_ranges said `range`: another one only in a deep partition. */
uint32_t pj__partition_refine(const pj__partition *partition, pj_bytes key, uint32_t range);

/* Is the bucket of a key more than its hash and the order of its bytes? Then only pj__partition_bucket knows it. */
static inline bool pj__partition_asks(const pj__partition *partition)
{
	return !pj__keys_are_bytes(partition->keys);
}

/*
 * The bucket of a key, and the part alone (of the beginning, where keys have one). A partitioner that names a part that
 * there is not fails partition->task, and the part is 0.
 */
uint32_t pj__partition_bucket(const pj__partition *partition, pj_bytes key);
uint32_t pj__partition_part(const pj__partition *partition, pj_bytes key);

#endif
