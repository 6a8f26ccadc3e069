/*
 * region.c: see region.h.
 */
#include "mp/region.h"

#include <sys/random.h>
#include <unistd.h>

#include "base/machine.h"

enum { GRAIN = 16, LINEAR = 4 /* classes 16, 32, 48, 64 */ };

static unsigned power_below(uint64_t value)
{
	return 63 - (unsigned)__builtin_clzll(value);
}

unsigned pj__class_of(uint64_t size)
{
	if (size <= 64)
		return size ? (unsigned)((size - 1) / GRAIN) : 0;
	const unsigned power = power_below(size - 1); /* 2^power < size <= 2^(power + 1) */
	return LINEAR + (power - 6) * 4 + (unsigned)((size - 1) >> (power - 2) & 3);
}

uint64_t pj__class_size(unsigned class)
{
	if (class < LINEAR)
		return (class + 1) * (uint64_t)GRAIN;
	const unsigned power = 6 + (class - LINEAR) / 4;
	return (UINT64_C(1) << power) + ((class - LINEAR) % 4 + 1) * (UINT64_C(1) << (power - 2));
}

size_t pj__block_size(size_t size)
{
	return (size_t)pj__class_size(pj__class_of(size));
}

void pj__rollback(pj__region *region)
{
	for (uint64_t i = region->journal_count; i-- > 0;) {
		const pj__journal_entry *entry = &region->journal[i];
		*(uint64_t *)pj__at(region, entry->offset) = entry->old;
	}
	pj__commit(region);
}

pj_status pj__region_init(void *address, size_t size, pj_error *error)
{
	pj__region *region = address;
	region->version = PJ__REGION_VERSION;
	region->size = size / GRAIN * GRAIN;
	region->begin = (sizeof *region + 63) / 64 * 64;
	region->bump = region->begin;
	if (getrandom(&region->seed, sizeof region->seed, GRND_NONBLOCK) != sizeof region->seed)
		region->seed = pj__now_ns() * UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)getpid();
	return pj__mutex_init(&region->mutex, error);
}

unsigned pj__class_within(uint64_t size)
{
	const unsigned class = pj__class_of(size);
	return pj__class_size(class) > size ? class - 1 : class;
}

/* The word of a free block that names the next one. */
static uint64_t *link_of(const pj__region *region, uint64_t offset)
{
	return (uint64_t *)pj__at(region, offset) + region->lists;
}

static void push(pj__region *region, uint64_t offset, unsigned class)
{
	uint64_t *head = &region->heads[region->lists][class];
	pj__change(region, link_of(region, offset), *head);
	pj__change(region, head, offset);
}

static uint64_t pop(pj__region *region, unsigned class)
{
	uint64_t *head = &region->heads[region->lists][class];
	const uint64_t offset = *head, *link = link_of(region, offset);
	pj__note(region, link); /* the user of the block will overwrite it */
	pj__change(region, head, *link);
	return offset;
}

/* A block of a class: from its list, from the end, or cut from a larger one, the rest of which goes to the lists. */
static uint64_t find_block(pj__region *region, unsigned class)
{
	const uint64_t *heads = region->heads[region->lists], size = pj__class_size(class);
	if (heads[class])
		return pop(region, class);
	if (size <= region->size - region->bump) {
		const uint64_t offset = region->bump;
		pj__change(region, &region->bump, offset + size);
		return offset;
	}
	unsigned larger = class + 1;
	while (larger < PJ__CLASSES && !heads[larger])
		larger++;
	if (larger == PJ__CLASSES)
		return 0;
	const uint64_t offset = pop(region, larger), end = offset + pj__class_size(larger);
	for (uint64_t at = offset + size; at < end;) {
		const unsigned rest = pj__class_within(end - at);
		push(region, at, rest);
		at += pj__class_size(rest);
	}
	return offset;
}

uint64_t pj__alloc(pj__region *region, size_t size)
{
	if (size > region->size)
		return 0;
	const unsigned class = pj__class_of(size);
	const bool full = pj__class_size(class) > region->size - region->bump;
	/* Much was freed after all memory had been used: joined now, it serves better than in small pieces. */
	if (PJ_UNLIKELY(full && region->freed > region->size / PJ__SWEEP_PART && !region->journal_count))
		pj__sweep(region);
	uint64_t offset = find_block(region, class);
	if (PJ_UNLIKELY(!offset) && !region->journal_count && pj__sweep(region))
		offset = find_block(region, class);
	if (offset)
		pj__change(region, &region->in_use, region->in_use + pj__class_size(class));
	return offset;
}

void pj__free(pj__region *region, uint64_t offset, size_t size)
{
	const unsigned class = pj__class_of(size);
	push(region, offset, class);
	pj__change(region, &region->in_use, region->in_use - pj__class_size(class));
	region->freed += pj__class_size(class);
}
