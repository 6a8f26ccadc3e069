/*
 * private.h: the private folder of a run, and the folders that dead runs left.
 */
#ifndef PJ_BASE_PRIVATE_H
#define PJ_BASE_PRIVATE_H

#include "base/error.h"

/*
 * Makes a folder ".papjuice-..." in `parent` and locks it. *ret_fd is the folder, open and locked until it is closed;
 * *ret_path is its path, to be freed.
 */
PJ_MUST_USE pj_status pj__private_create(const char *parent, int *ret_fd, char **ret_path, pj_error *error);

/*
 * Removes the folder `name` in `parent_fd` and everything in it, following no link. What it may not read or change it
 * makes its own first, as far as it belongs to this user: programs make such folders. Returns 0 or an errno.
 */
int pj__remove_tree(int parent_fd, const char *name);

/* Removes the private folders in `parent` whose owner is dead. What cannot be removed is left alone. */
void pj__private_sweep(const char *parent);

#endif
