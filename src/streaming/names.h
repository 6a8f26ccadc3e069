/*
 * names.h: old and new names of properties.
 */
#ifndef PJ_STREAMING_NAMES_H
#define PJ_STREAMING_NAMES_H

/* The new name of an old one, the old one of a new one; NULL: it has only one. */
const char *pj__other_name(const char *name);

#endif
