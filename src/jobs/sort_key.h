/*
 * sort_key.h: bytes whose order is the order that was asked for.
 *
 * Which bytes of a line are a key is said as in GNU sort: -k F[.C][,F[.C]], fields and bytes from 1. Fields end where a
 * blank (space, tab) follows a byte that is not one, so that the blanks before a field belong to it; or at each
 * separator, if there is one.
 *
 * A key is written so that no written key is the beginning of another. So keys can be concatenated, and a key whose
 * bytes are complemented sorts in reverse.
 *
 *     bytes     each as it is, but 0 as 00 ff; then 00 00
 *
 *     number    sign     01 negative, 02 zero (nothing follows), 03 positive
 *               exponent the digits before the point; or minus the zeros after it, if there are none:
 *                        -64 < e < 64: 80 + e; else 00 or ff, and 8 bytes, the most significant first
 *               digits   two to a byte, 1 + 10 * d + d', without zeros at the two ends; then 00
 *               (of a negative number exponent and digits are complemented)
 */
#ifndef PJ_JOBS_SORT_KEY_H
#define PJ_JOBS_SORT_KEY_H

#include <papjuice/bytes.h>
#include <stdbool.h>

/* One -k. Positions count from 0. */
typedef struct pj__sort_key {
	size_t start_field, start_byte;
	size_t end_field; /* SIZE_MAX: to the end of the line */
	size_t end_byte;  /* bytes of the last field that belong to the key; 0: all of it */
	bool skips_start_blanks, skips_end_blanks;
	bool numeric, reverse;
} pj__sort_key;

/* Reads "F[.C][bnr][,F[.C][bnr]]". False: it is none. */
bool pj__sort_key_read(pj_bytes text, pj__sort_key *ret_key);

/* The bytes of the line that are the key. `separator` is a byte, or -1: fields end at blanks. */
pj_bytes pj__sort_key_find(const pj__sort_key *key, int separator, pj_bytes line);

/* How many bytes a written key has at most, for a text of `len` bytes. */
static inline size_t pj__sort_key_most(size_t len)
{
	return len * 2 + 16;
}

/* Write a text, or the number that it begins with (as sort -n), to `to`. Return the end. */
char *pj__sort_put_bytes(char *to, pj_bytes text);
char *pj__sort_put_number(char *to, pj_bytes text);

/* Complements the bytes from `from` to `end`. */
void pj__sort_complement(char *from, const char *end);

/*
 * Reads back a text that was written and complemented, into `to`, which has room for as many bytes. Returns the text's
 * end in `to`.
 */
char *pj__sort_take_complemented(char *to, pj_bytes written);

#endif
