/*
 * grow.h: arrays that grow at their end.
 */
#ifndef PJ_BASE_GROW_H
#define PJ_BASE_GROW_H

#include "base/error.h"

/*
 * Makes room for `count` items of `item_bytes` in *array (a pointer to any kind of item, NULL at first), which has room
 * for *capacity: at least doubled, so that growing one by one costs little. On failure nothing has changed. What is new
 * is not initialised.
 */
PJ_MUST_USE pj_status pj__grow(void *array, size_t *capacity, size_t count, size_t item_bytes, pj_error *error);

#endif
