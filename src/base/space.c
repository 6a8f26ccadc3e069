/*
 * space.c: see space.h.
 */
#include "base/space.h"

#include <string.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20, PAGE = 4096 };

char *pj__map_private(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		return NULL;
	if (bytes >= 4 * (size_t)HUGE_PAGE)
		(void)madvise(at, bytes, MADV_HUGEPAGE); /* a wish: without it the memory is only slower */
	return at;
}

pj_status pj__space_grow(pj__space *space, size_t bytes, size_t keep, pj_error *error)
{
	if (bytes <= space->bytes)
		return PJ_OK;
	if (bytes > SIZE_MAX - PAGE)
		return pj__no_memory(error, bytes);
	const size_t whole = (bytes + PAGE - 1) / PAGE * PAGE;
	if (!keep)
		pj__space_fini(space);
	/* The kernel moves the pages themselves. */
	void *fresh = space->at ? mremap(space->at, space->bytes, whole, MREMAP_MAYMOVE) : pj__map_private(whole);
	if (!fresh || fresh == MAP_FAILED)
		return pj__no_memory(error, bytes);
	*space = (pj__space){fresh, whole};
	return PJ_OK;
}

pj_status pj__space_need(pj__space *space, size_t bytes, pj_error *error)
{
	return pj__space_grow(space, bytes, 0, error);
}

void pj__space_fini(pj__space *space)
{
	if (space->at)
		munmap(space->at, space->bytes);
	*space = (pj__space){NULL, 0};
}
