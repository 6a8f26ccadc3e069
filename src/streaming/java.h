/*
 * java.h: what Java does with strings and numbers, where Hadoop's output shows it.
 *
 * A Java string is a sequence of 16-bit units. Here it stays UTF-8, and is read unit by unit; a byte that is no UTF-8
 * is U+FFFD, as Java's decoder has it.
 */
#ifndef PJ_STREAMING_JAVA_H
#define PJ_STREAMING_JAVA_H

#include "base/text.h"

/*
 * Hadoop's hash of bytes: h = 31 h + the byte as a signed number, from `seed` on. With seed 1 that of Text and
 * BytesWritable, with 0 that of KeyFieldBasedPartitioner.
 */
uint32_t pj__java_hash_bytes(pj_bytes bytes, uint32_t seed);

/* String.hashCode(): the same over the 16-bit units, from 0 on. */
uint32_t pj__java_hash_string(pj_bytes text);

/* (hash & Integer.MAX_VALUE) % parts: the part of HashPartitioner and KeyFieldBasedPartitioner. */
static inline uint64_t pj__java_part(uint32_t hash, uint64_t parts)
{
	return parts > 1 ? (hash & INT32_MAX) % parts : 0;
}

/* String.compareTo(): the order of the 16-bit units, which is not that of the bytes beyond U+FFFF. */
int pj__java_compare(pj_bytes a, pj_bytes b);

/* Appends the text with each malformed sequence replaced by U+FFFD. */
void pj__java_clean(pj_bytes text, pj_text *to);

/* True if the bytes are UTF-8 as Java's decoder takes it. */
bool pj__java_is_clean(pj_bytes text);

/* Long.parseLong(): an optional sign and ASCII digits, nothing else. False: it would throw. */
bool pj__java_parse_long(pj_bytes text, int64_t *ret_value);

/* Double.parseDouble(): blanks around are dropped, "NaN", "Infinity", and a final d or f are known. */
bool pj__java_parse_double(pj_bytes text, double *ret_value);

/* Appends Double.toString(): 3.0, 1.0E7, 1.0E-4, NaN, -Infinity. */
void pj__java_double(double value, pj_text *to);

#endif
