/*
 * grow.c: see grow.h.
 */
#include "base/grow.h"

#include <stdlib.h>

enum { LEAST = 16 };

pj_status pj__grow(void *array, size_t *capacity, size_t count, size_t item_bytes, pj_error *error)
{
	if (count <= *capacity)
		return PJ_OK;
	size_t wanted = *capacity * 2;
	wanted = wanted < count ? count : wanted;
	wanted = wanted < LEAST ? LEAST : wanted;
	void *items;
	memcpy(&items, array, sizeof items); /* `array` points to a pointer of another type */
	void *grown = reallocarray(items, wanted, item_bytes);
	if (!grown)
		return pj__no_memory(error, wanted * item_bytes);
	memcpy(array, &grown, sizeof grown);
	*capacity = wanted;
	/* cppcheck-suppress memleak; the caller's pointer has it */
	return PJ_OK;
}
