/*
 * whereabouts.h: where a worker is, on a page that its leader can read: after a death it tells what was in work.
 *
 * Written with plain stores and without a lock, by one process; another reads `progress` now and then, and the rest
 * only when that process is gone.
 */
#ifndef PJ_JOB_WHEREABOUTS_H
#define PJ_JOB_WHEREABOUTS_H

#include <papjuice/bytes.h>
#include <string.h>

/* What the user's code has in work. */
typedef enum pj__at_work {
	PJ__AT_NOTHING, /* no record: it begins or ends a task, or is not running */
	PJ__AT_TEXT,    /* a piece of text, read as far as some kilobytes behind `offset` */
	PJ__AT_RECORD,  /* the record that begins at `offset` */
	PJ__AT_GROUP    /* the values of a key */
} pj__at_work;

enum { PJ__KEY_SHOWN = 64 }; /* bytes of a key that are kept */

typedef struct pj__whereabouts {
	volatile uint64_t progress; /* counted up whenever something was done that `offset` does not show */
	volatile uint64_t offset;   /* in the source */
	volatile uint32_t source;
	volatile uint32_t at; /* pj__at_work */
	volatile uint64_t key_len;
	char key[PJ__KEY_SHOWN]; /* its beginning */
} pj__whereabouts;

/* Another number than before, if something was done since. */
static inline uint64_t pj__whereabouts_moved(const pj__whereabouts *here)
{
	return here->progress + here->offset;
}

/* A group is about to be reduced. */
static inline void pj__whereabouts_group(pj__whereabouts *here, pj_bytes key)
{
	if (key.len)
		memcpy(here->key, key.ptr, key.len < PJ__KEY_SHOWN ? key.len : PJ__KEY_SHOWN);
	here->key_len = key.len;
	here->at = PJ__AT_GROUP;
}

#endif
