/*
 * sort.c: see sort.h.
 *
 * A stable radix sort from the most significant byte. Items carry eight bytes of their key. A range of items is
 * scattered by the first byte in which any two of them differ, then each byte's range by itself; a range in which the
 * eight bytes are all the same gets the next eight of its keys. Bytes that all keys share cost nothing, and neither do
 * equal keys: a range whose keys have all ended at the same length is in order as it stands. Small ranges are sorted
 * by insertion.
 *
 * The next eight bytes are zero where a key has ended, so "a" and "a\0" tie there; their lengths decide.
 *
 * The largest range of a scatter is sorted by the loop, the others, none of which holds more than half of the items, by
 * recursion: hostile keys cannot make the stack deeper than the logarithm of their number.
 */
#include "run/sort.h"

enum { SMALL = 24 };

struct sorter {
	pj__key_of *key_of;
	const void *context;
};

/* Order of two items whose keys agree in the first `depth` bytes and whose prefixes begin there. */
static inline bool is_less(const struct sorter *sorter, const pj__item *a, const pj__item *b, size_t depth)
{
	if (a->prefix != b->prefix)
		return a->prefix < b->prefix;
	const pj_bytes x = sorter->key_of(sorter->context, a->at), y = sorter->key_of(sorter->context, b->at);
	const size_t from = depth + 8;
	if (x.len <= from || y.len <= from)
		return x.len < y.len;
	return pj_bytes_compare((pj_bytes){x.ptr + from, x.len - from}, (pj_bytes){y.ptr + from, y.len - from}) < 0;
}

static void insertion_sort(const struct sorter *sorter, pj__item *items, size_t count, size_t depth)
{
	for (size_t i = 1; i < count; i++) {
		const pj__item item = items[i];
		size_t j = i;
		for (; j > 0 && is_less(sorter, &item, &items[j - 1], depth); j--)
			items[j] = items[j - 1];
		items[j] = item;
	}
}

/* Stable, for the rare range of keys that differ in nothing but zero bytes at their ends. */
static void merge_sort(const struct sorter *sorter, pj__item *items, size_t count, pj__item *scratch, size_t depth)
{
	if (count <= SMALL) {
		insertion_sort(sorter, items, count, depth);
		return;
	}
	const size_t half = count / 2;
	merge_sort(sorter, items, half, scratch, depth);
	merge_sort(sorter, items + half, count - half, scratch, depth);
	memcpy(scratch, items, half * sizeof *items);
	size_t left = 0, right = half, to = 0;
	while (left < half)
		items[to++] = right < count && is_less(sorter, &items[right], &scratch[left], depth) ? items[right++]
												     : scratch[left++];
}

/* The shortest and the longest key of a range. */
static void find_lengths(const struct sorter *sorter, const pj__item *items, size_t count, size_t *least, size_t *most)
{
	*least = SIZE_MAX;
	*most = 0;
	for (size_t i = 0; i < count; i++) {
		const size_t len = sorter->key_of(sorter->context, items[i].at).len;
		*least = len < *least ? len : *least;
		*most = len > *most ? len : *most;
	}
}

/* Gives all items the eight bytes of their keys behind `depth`. */
static void load_prefixes(const struct sorter *sorter, pj__item *items, size_t count, size_t depth)
{
	for (size_t i = 0; i < count; i++)
		items[i].prefix = pj__prefix(sorter->key_of(sorter->context, items[i].at), depth);
}

/* Bits in which the prefixes of a range differ. */
static uint64_t differing_bits(const pj__item *items, size_t count)
{
	uint64_t bits = 0;
	for (size_t i = 1; i < count; i++)
		bits |= items[i].prefix ^ items[0].prefix;
	return bits;
}

/* Scatters by one byte of the prefix, stable. starts[b] becomes the start of byte b's range; starts[256] = count. */
static void scatter(pj__item *items, size_t count, pj__item *scratch, unsigned shift, size_t starts[257])
{
	size_t next[256];
	memset(starts, 0, 257 * sizeof *starts);
	for (size_t i = 0; i < count; i++)
		starts[(items[i].prefix >> shift & 0xff) + 1]++;
	for (int b = 0; b < 256; b++) {
		next[b] = starts[b];
		starts[b + 1] += starts[b];
	}
	for (size_t i = 0; i < count; i++)
		scratch[next[items[i].prefix >> shift & 0xff]++] = items[i];
	memcpy(items, scratch, count * sizeof *items);
}

/*
 * Passes over the bytes that all keys of the range share. Returns the bits in which the prefixes then differ, or 0 when
 * the range is in order.
 */
static uint64_t skip_common(const struct sorter *sorter, pj__item *items, size_t count, pj__item *scratch,
			    size_t *depth)
{
	for (;;) {
		const uint64_t bits = differing_bits(items, count);
		if (bits)
			return bits;
		size_t least, most;
		find_lengths(sorter, items, count, &least, &most);
		if (most <= *depth + 8) {
			if (least != most)
				merge_sort(sorter, items, count, scratch, *depth);
			return 0;
		}
		*depth += 8;
		load_prefixes(sorter, items, count, *depth);
	}
}

static void sort_range(const struct sorter *sorter, pj__item *items, size_t count, pj__item *scratch, size_t depth)
{
	while (count > SMALL) {
		const uint64_t bits = skip_common(sorter, items, count, scratch, &depth);
		if (!bits)
			return;
		size_t starts[257];
		scatter(items, count, scratch, (unsigned)(63 - __builtin_clzll(bits)) & ~7u, starts);
		int largest = 0;
		for (int b = 1; b < 256; b++)
			if (starts[b + 1] - starts[b] > starts[largest + 1] - starts[largest])
				largest = b;
		for (int b = 0; b < 256; b++)
			if (b != largest && starts[b + 1] - starts[b] > 1)
				sort_range(sorter, items + starts[b], starts[b + 1] - starts[b], scratch, depth);
		items += starts[largest];
		count = starts[largest + 1] - starts[largest];
	}
	insertion_sort(sorter, items, count, depth);
}

void pj__sort(pj__item *items, size_t count, pj__item *scratch, pj__key_of *key_of, const void *context)
{
	const struct sorter sorter = {key_of, context};
	sort_range(&sorter, items, count, scratch, 0);
}
