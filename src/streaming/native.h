/*
 * native.h: Java mappers and reducers that have a native counterpart, as functions of a job.
 */
#ifndef PJ_STREAMING_NATIVE_H
#define PJ_STREAMING_NATIVE_H

#include "streaming/talk.h"

/* What they need; `arg` of the mapper and of the reducer. */
typedef struct pj__native {
	pj__talk map, reduce;
	pj__class mapper, reducer;
	int64_t most_unique;   /* aggregate.max.num.unique.values */
	pj_text value, string; /* memory that is used again */
} pj__native;

/* The functions for native->mapper and native->reducer. */
void pj__native_set_mapper(pj__native *native, pj_mapper *mapper);
void pj__native_set_reducer(pj__native *native, pj_reducer *reducer);

void pj__native_fini(pj__native *native);

#endif
