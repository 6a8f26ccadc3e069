/*
 * parcel.h: byte strings on their way to another process.
 *
 * A parcel holds some byte strings, in this form:
 *
 *   | bytes of string 0 | bytes of string 1 | ... | length 0, u64 | length 1, u64 | ... |
 *
 * The lengths come last, so that strings of any size can be written as they come. A small parcel travels inside the
 * message that announces it; a larger one in a memory file that both sides have open, written with pwrite and read with
 * pread: nothing is mapped, so no process can harm what another one has read. A label goes before it either way.
 *
 * Packing, in order: begin, (put, put, ..., end_string)*, finish.
 */
#ifndef PJ_MP_PARCEL_H
#define PJ_MP_PARCEL_H

#include <stdbool.h>

#include "base/error.h"

/* A parcel that is being packed. */
typedef struct pj__parcel {
	int file;     /* the memory file that it may use */
	char *buffer; /* the last bytes; what came before them is in the file */
	size_t used;
	uint64_t flushed; /* bytes in the file */
	uint64_t begun;   /* where the current string began */
	uint64_t *lengths;
	size_t count, room;
	int failed; /* errno of the first failure: sticky */
} pj__parcel;

/* What the receiver has to know. */
typedef struct pj__label {
	uint64_t count; /* strings */
	uint64_t bytes; /* of all strings together, without the lengths */
	uint64_t in_file;
} pj__label;

/* Size of the whole: what pj__parcel_open needs. */
static inline size_t pj__label_size(const pj__label *label)
{
	return (size_t)(label->bytes + label->count * sizeof(uint64_t));
}

/* Allocates what packing needs, once for many parcels; fini frees it. */
PJ_MUST_USE pj_status pj__parcel_init(pj__parcel *parcel, pj_error *error);
void pj__parcel_fini(pj__parcel *parcel);

void pj__parcel_begin(pj__parcel *parcel, int file);
void pj__parcel_put(pj__parcel *parcel, pj_bytes bytes);
void pj__parcel_end_string(pj__parcel *parcel);

/*
 * Ends the parcel: it lies in the first pj__label_size() bytes of `inside` if it fits its `inside_size`, else in the
 * file. Returns 0 or an errno, the one of an earlier failure included.
 */
int pj__parcel_finish(pj__parcel *parcel, void *inside, size_t inside_size, pj__label *ret_label);

/* Is the label believable, given so many bytes inside the message? Asked first: it may come from a wild process. */
bool pj__label_valid(const pj__label *label, size_t inside_size);

/*
 * Unpacks a parcel to `to`, of pj__label_size() bytes; strings[0..count) then point into it. Returns 0 or an errno
 * (EBADMSG: its lengths make no sense).
 */
int pj__parcel_open(const pj__label *label, const void *inside, int file, char *to, pj_bytes *strings);

#endif
