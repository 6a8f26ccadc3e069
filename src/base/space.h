/*
 * space.h: large memory that is reserved whole and touched only as far as it is used.
 *
 * What malloc does when a large block grows (copies, holes, memory that never goes back) is unpredictable, and a
 * memory budget needs predictable sizes. A space has its size from the start; pages come when they are written to, and
 * go back at the end.
 */
#ifndef PJ_BASE_SPACE_H
#define PJ_BASE_SPACE_H

#include "base/error.h"

typedef struct pj__space {
	char *at;
	size_t bytes;
} pj__space;

/* Maps `bytes` of zeroed memory, in huge pages if it is large and there are some; NULL: no memory. munmap it. */
char *pj__map_private(size_t bytes);

/* Makes room for at least `bytes`. What is in the space is lost if it was smaller. */
PJ_MUST_USE pj_status pj__space_need(pj__space *space, size_t bytes, pj_error *error);

/* The same, but the first `keep` bytes are kept. */
PJ_MUST_USE pj_status pj__space_grow(pj__space *space, size_t bytes, size_t keep, pj_error *error);

/* Gives the memory back; the space is empty and can be used again. */
void pj__space_fini(pj__space *space);

#endif
