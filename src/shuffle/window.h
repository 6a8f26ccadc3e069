/*
 * window.h: some pairs of a map task, as a user's combiner gets to see them.
 *
 * Pairs are taken until a window is full, and handed on: sorted and combined if keys repeat, else as they came. A
 * window is so many bytes of records in the order of emission, from the task's first one on; whether it is combined
 * depends on it and on those before it in the task. A combiner that has a beginning and an end (a program) gets larger
 * windows, and all of them, whole. So what is handed on is a function of the task's pairs, whatever
 * memory there is, and whenever who gets it writes it down.
 */
#ifndef PJ_SHUFFLE_WINDOW_H
#define PJ_SHUFFLE_WINDOW_H

#include <papjuice/keys.h>

#include "base/space.h"
#include "base/task.h"

enum {
	PJ__WINDOW_RECORDS = 256 << 10, /* bytes of a window: it is sorted in the cache */
	PJ__WINDOW_PAIRS = 16 << 10     /* pairs that are sorted at a time */
};

typedef struct pj__window pj__window;

/* Gets what a window hands on; `arg` is handed through. */
typedef void pj__window_put(void *arg, pj_bytes key, pj_bytes value);

/*
 * A window for the reducer's combiner. `keys` (NULL: bytes) must live as long; failures are told to `map_task`, whose
 * pairs are combined.
 */
PJ_MUST_USE pj_status pj__window_create(const pj_reducer *reducer, const pj_keys *keys, pj__task *map_task,
					pj__window_put *put, void *arg, pj__window **ret_window, pj_error *error);
void pj__window_destroy(pj__window *window);

/* What a window for the reducer's combiner takes of memory, usually. */
size_t pj__window_memory(const pj_reducer *reducer);

/* Takes a pair, which is copied; hands on those before it if it has no room beside them. */
void pj__window_take(pj__window *window, pj_bytes key, pj_bytes value);

/* Hands on what is left: the next pair begins another map task. */
void pj__window_end_task(pj__window *window);

#endif
