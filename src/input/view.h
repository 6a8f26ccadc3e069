/*
 * view.h: the inputs of a run as one range of addresses, as the page cache has them.
 *
 *     | a a a a . | b . . . . | c c c |         each file begins at a page; a key in one of them has a position here
 *
 * A run that only puts the lines of its inputs in order need not copy them: its pairs hold positions (shuffle/
 * reference.h), and whoever needs the bytes looks here. Nothing of it counts as memory of the run: the kernel may take
 * each page away, and reads it anew.
 */
#ifndef PJ_INPUT_VIEW_H
#define PJ_INPUT_VIEW_H

#include "input/source.h"

/* Inputs that are together larger than this have no view. */
#define PJ__VIEW_MOST ((uint64_t)1 << 46)

typedef struct pj__view {
	char *at;
	uint64_t bytes;
} pj__view;

/*
 * Gives every source its place in a view. False: there is none, because one of them is no file, or they are too many or
 * too large.
 */
bool pj__view_place(pj__sources *sources);

/*
 * Maps the view, read only; pj__view_close gives it back, also after a failure. When bytes are touched that cannot be
 * read any more (the file was made shorter, the disk fails), `lost` is called, within a signal handler, with the source
 * and must not return. There may be one view at a time in a process.
 */
PJ_MUST_USE pj_status pj__view_open(pj__view *view, const pj__sources *sources,
				    void (*lost)(void *arg, const pj__source *source), void *arg, pj_error *error);
void pj__view_close(pj__view *view);

#endif
