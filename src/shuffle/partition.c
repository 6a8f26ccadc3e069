/*
 * partition.c: see partition.h.
 */
#include "shuffle/partition.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "run/sort.h"

void pj__sample_add(pj_text *sample, pj_bytes key)
{
	key.len = key.len < PJ__SPLITTER_MOST ? key.len : PJ__SPLITTER_MOST;
	char *to = pj__text_room(sample, pj__record_bytes(key.len, 0));
	if (to)
		sample->len = (size_t)(pj__put_record(to, key, (pj_bytes){NULL, 0}) - sample->data);
}

static pj_bytes key_at(const void *text, uint64_t at)
{
	pj_bytes key = {NULL, 0}, value;
	const pj_bytes *bytes = text;
	(void)pj__get_record(bytes->ptr + at, bytes->ptr + bytes->len, &key, &value, NULL);
	return key;
}

/* The records of `text` as items, in order, with room for as many behind them. */
static pj_status list_keys(pj_bytes text, pj__item **ret_items, size_t *ret_count, pj_error *error)
{
	const char *at = text.ptr, *end = at + text.len;
	pj_bytes key, value;
	size_t count = 0;
	/* a record has two bytes at least */
	pj__item *items = reallocarray(NULL, text.len / 2 + 1, 2 * sizeof *items);
	if (!items)
		return pj__no_memory(error, text.len * sizeof *items);
	while (at < end) {
		const uint64_t offset = (uint64_t)(at - text.ptr);
		at = pj__get_record(at, end, &key, &value, NULL);
		if (!at || key.len > PJ__SPLITTER_MOST) {
			free(items);
			return pj__fail(error, PJ_ERR_CORRUPT, 0, NULL, "the sample of the keys is damaged");
		}
		items[count++] = (pj__item){pj__prefix(key, 0), offset};
	}
	*ret_items = items;
	*ret_count = count;
	return PJ_OK;
}

pj_status pj__sample_sort(pj_text *sample, const pj_keys *keys, pj_error *error)
{
	const pj_bytes all = pj__text_all(sample);
	pj_text sorted = {0};
	pj__item *items;
	size_t count;
	pj_status status = list_keys(all, &items, &count, error);
	if (status)
		return status;
	for (size_t i = 0; i < count; i++)
		items[i].at += (uintptr_t)all.ptr;
	pj__keys_sort(keys, items, count, items + count, all.ptr + all.len);
	for (size_t i = 0; i < count; i++)
		pj__sample_add(&sorted, key_at(&all, items[i].at - (uintptr_t)all.ptr));
	free(items);
	if (sorted.failed) {
		pj__text_fini(&sorted);
		return pj__no_memory(error, all.len);
	}
	pj__text_fini(sample);
	*sample = sorted;
	return PJ_OK;
}

/* Adds a splitter to the text, unless it is the last one again. */
static void add_splitter(pj__partition *partition, pj_bytes key, pj_bytes *last)
{
	if (partition->ranges > 1 && pj_bytes_equal(key, *last))
		return;
	pj__sample_add(&partition->text, key);
	partition->ranges++;
	*last = key;
}

/* Finds the splitters in the text. */
static pj_status index_splitters(pj__partition *partition, pj_error *error)
{
	const uint32_t count = partition->ranges - 1;
	const pj_bytes text = pj__text_all(&partition->text);
	partition->buckets = partition->parts * partition->ranges;
	partition->splitters = calloc(count + 1, sizeof *partition->splitters);
	partition->leads = calloc(count + 1, sizeof *partition->leads);
	if (!partition->splitters || !partition->leads || partition->text.failed)
		return pj__no_memory(error, count * (sizeof *partition->splitters + sizeof *partition->leads));
	const char *at = text.ptr;
	for (uint32_t i = 0; i < count; i++) {
		pj_bytes value;
		at = pj__get_record(at, text.ptr + text.len, &partition->splitters[i], &value, NULL);
		const pj_bytes splitter = partition->splitters[i];
		partition->leads[i] = pj__lead_of(splitter);
		/* Of a short one with a zero byte at its end the lead is also that of shorter keys. */
		partition->deep |=
			splitter.len > sizeof *partition->leads || (splitter.len && !splitter.ptr[splitter.len - 1]);
	}
	return PJ_OK;
}

/* Takes the quantiles of a sample for splitters; every `finer`-th begins a file (`firsts` NULL: there are none). */
static pj_status split(pj__partition *partition, uint32_t parts, uint32_t ranges, uint32_t finer, pj_bytes sample,
		       bool in_order, uint32_t *firsts, pj_error *error)
{
	pj__item *items;
	size_t count;
	*partition = (pj__partition){.parts = parts, .ranges = 1};
	pj_status status = list_keys(sample, &items, &count, error);
	if (status)
		return status;
	if (!in_order)
		pj__sort(items, count, items + count, key_at, &sample);
	pj_bytes last = {NULL, 0};
	for (uint32_t i = 1; i < ranges; i++) {
		if (count)
			add_splitter(partition, key_at(&sample, items[(size_t)((__uint128_t)i * count / ranges)].at),
				     &last);
		if (firsts && i % finer == 0)
			firsts[i / finer] = count ? partition->ranges - 1 : 1;
	}
	free(items);
	status = index_splitters(partition, error);
	if (status)
		pj__partition_fini(partition);
	return status;
}

pj_status pj__partition_init(pj__partition *partition, uint32_t parts, uint32_t ranges, pj_bytes sample, bool in_order,
			     pj_error *error)
{
	return split(partition, parts, ranges, 1, sample, in_order, NULL, error);
}

pj_status pj__partition_init_files(pj__partition *partition, uint32_t files, uint32_t finer, pj_bytes sample,
				   bool in_order, uint32_t *firsts, pj_error *error)
{
	const pj_status status = split(partition, 1, files * finer, finer, sample, in_order, firsts, error);
	firsts[0] = 0;
	firsts[files] = status ? 0 : partition->ranges;
	return status;
}

pj_status pj__partition_load(pj__partition *partition, uint32_t parts, pj_bytes text, pj_error *error)
{
	pj__item *items;
	size_t count;
	*partition = (pj__partition){.parts = parts};
	pj_status status = list_keys(text, &items, &count, error);
	if (status)
		return status;
	free(items);
	partition->ranges = (uint32_t)count + 1;
	pj_text_bytes(&partition->text, text);
	status = index_splitters(partition, error);
	if (status)
		pj__partition_fini(partition);
	return status;
}

void pj__partition_fini(pj__partition *partition)
{
	pj__text_fini(&partition->text);
	free(partition->splitters);
	free(partition->leads);
	*partition = (pj__partition){0};
}

/* What the user's partitioner says, checked. */
static uint32_t chosen_part(const pj__partition *partition, pj_bytes key)
{
	const uint64_t part = partition->keys->part(key, partition->parts, partition->keys->arg);
	if (part < partition->parts)
		return (uint32_t)part;
	pj_task_fail(&partition->task->face, PJ_ERR_USER, NULL,
		     "the partitioner put the key \"%.*s\" into part %llu of %u, which are numbered from 0",
		     key.len < 100 ? (int)key.len : 100, key.len ? key.ptr : "", (unsigned long long)part,
		     partition->parts);
	return 0;
}

uint32_t pj__partition_part(const pj__partition *partition, pj_bytes key)
{
	if (partition->parts == 1)
		return 0;
	return partition->keys && partition->keys->part ? chosen_part(partition, key)
							: (uint32_t)(XXH3_64bits(key.ptr, key.len) % partition->parts);
}

__extension__ typedef unsigned __int128 wide;

static inline wide wide_of(pj__lead lead)
{
	return (wide)lead.high << 64 | lead.low;
}

void pj__partition_ranges(const pj__partition *partition, const pj__lead *leads, size_t count, uint32_t *ranges)
{
	const pj__lead *splitters = partition->leads;
	memset(ranges, 0, count * sizeof *ranges);
	/* Step by step for all keys: ranges[i] splitters are known to be at or below key i, `rest` more may be. */
	for (uint32_t rest = partition->ranges - 1; rest;) {
		const uint32_t half = rest == 1 ? 1 : rest / 2;
		for (size_t i = 0; i < count; i++) {
			const uint32_t is_below = wide_of(splitters[ranges[i] + half - 1]) <= wide_of(leads[i]);
			ranges[i] += half & -is_below;
		}
		rest -= half;
	}
}

uint32_t pj__partition_refine(const pj__partition *partition, pj_bytes key, uint32_t range)
{
	if (!partition->deep || !range)
		return range;
	const wide lead = wide_of(pj__lead_of(key));
	/* Splitters before `least` are at or below the key; those from `range` on are above it. */
	uint32_t least = 0;
	if (wide_of(partition->leads[range - 1]) != lead)
		return range;
	for (uint32_t above = range - 1; least < above;) {
		const uint32_t middle = least + (above - least) / 2;
		if (wide_of(partition->leads[middle]) < lead)
			least = middle + 1;
		else
			above = middle;
	}
	while (least < range) {
		const uint32_t middle = least + (range - least) / 2;
		if (pj_bytes_compare(partition->splitters[middle], key) <= 0)
			least = middle + 1;
		else
			range = middle;
	}
	return range;
}

/* The range of a key by the user's order: how many splitters are not behind it. */
static uint32_t range_by_order(const pj__partition *partition, pj_bytes key)
{
	uint32_t least = 0, most = partition->ranges - 1;
	while (least < most) {
		const uint32_t middle = least + (most - least) / 2;
		if (pj__keys_compare(partition->keys, partition->splitters[middle], key) <= 0)
			least = middle + 1;
		else
			most = middle;
	}
	return least;
}

uint32_t pj__partition_bucket(const pj__partition *partition, pj_bytes key)
{
	uint32_t range;
	if (partition->keys) {
		key = pj__keys_beginning(partition->keys, key);
		if (partition->keys->compare)
			return pj__partition_part(partition, key) * partition->ranges + range_by_order(partition, key);
	}
	const pj__lead lead = pj__lead_of(key);
	pj__partition_ranges(partition, &lead, 1, &range);
	return pj__partition_part(partition, key) * partition->ranges + pj__partition_refine(partition, key, range);
}
