/*
 * region_sweep.c: joining free blocks, when nothing that is free fits a request, or much was freed.
 *
 * It may be killed like everything else here, and it changes every list of free blocks: far too much for the journal.
 * So it works beside the lists that are in use. There are two sets of heads, and a free block has two words, one for
 * each set; the set in use and its words are only read:
 *
 *   1  a map of the free parts, one bit per 16 bytes, is made in private memory from the lists in use
 *   2  each run of free bits, however many blocks it was, is cut into the largest blocks that fit, which are linked
 *      into the other set; a run that ends at `bump` becomes part of what was never used instead
 *   3  the change of `lists` puts the other set in use: one word, in the journal, and committed at once
 *
 * It has to be a transaction of its own: within another one, what is then allocated and written would cover links of
 * the old lists, to which a rollback would return. (That was a fault once; the test that kills at every step found it.)
 *
 * It costs a pass over the free blocks and the map, so it is done only after a 64th of the region was freed.
 */
#include <stdlib.h>

#include "mp/region.h"

enum { WORTH_IT = 64 /* a part of the region */, BIT_BYTES = 16 };

static uint64_t *link_in(const pj__region *region, uint64_t offset, uint64_t lists)
{
	return (uint64_t *)pj__at(region, offset) + lists;
}

static void set_bits(uint64_t *map, uint64_t from, uint64_t to)
{
	for (; from < to && from % 64; from++)
		map[from / 64] |= UINT64_C(1) << from % 64;
	for (; from + 64 <= to; from += 64)
		map[from / 64] = UINT64_MAX;
	for (; from < to; from++)
		map[from / 64] |= UINT64_C(1) << from % 64;
}

static void draw_map(const pj__region *region, uint64_t *map)
{
	for (unsigned class = 0; class < PJ__CLASSES; class ++) {
		const uint64_t size = pj__class_size(class);
		for (uint64_t at = region->heads[region->lists][class]; at; at = *link_in(region, at, region->lists))
			set_bits(map, at / BIT_BYTES, (at + size) / BIT_BYTES);
	}
}

/* The first bit from `at` on that is `wanted`, or `end`. */
static uint64_t find_bit(const uint64_t *map, uint64_t at, uint64_t end, bool wanted)
{
	while (at < end) {
		const uint64_t word = (wanted ? map[at / 64] : ~map[at / 64]) >> at % 64;
		if (word) {
			at += (uint64_t)__builtin_ctzll(word);
			return at < end ? at : end;
		}
		at = (at / 64 + 1) * 64;
	}
	return end;
}

static void link_run(pj__region *region, uint64_t at, uint64_t end, uint64_t lists)
{
	while (at < end) {
		const unsigned class = pj__class_within(end - at);
		*link_in(region, at, lists) = region->heads[lists][class];
		region->heads[lists][class] = at;
		at += pj__class_size(class);
	}
}

bool pj__sweep(pj__region *region)
{
	pj__rollback(region);
	if (region->freed < region->size / WORTH_IT)
		return false;
	uint64_t *map = calloc((size_t)(region->size / BIT_BYTES / 64 + 1), sizeof *map);
	if (!map)
		return false;
	draw_map(region, map);
	const uint64_t other = 1 - region->lists, end = region->bump / BIT_BYTES;
	memset(region->heads[other], 0, sizeof region->heads[other]);
	uint64_t bump = region->bump;
	for (uint64_t from = find_bit(map, 0, end, true); from < end;) {
		const uint64_t to = find_bit(map, from, end, false);
		if (to == end)
			bump = from * BIT_BYTES;
		else
			link_run(region, from * BIT_BYTES, to * BIT_BYTES, other);
		from = find_bit(map, to, end, true);
	}
	free(map);
	pj__in_order();
	pj__change(region, &region->bump, bump);
	pj__change(region, &region->lists, other);
	pj__commit(region);
	region->freed = 0;
	return true;
}
