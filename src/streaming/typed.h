/*
 * typed.h: the binary forms of keys and values, in which programs and Hadoop exchange data with -io rawbytes and
 * typedbytes.
 *
 *     rawbytes      4 bytes length, big-endian; the bytes
 *     typedbytes    1 byte type; what that type has: 0 bytes, 7 string and from 50 to 200 others: 4 bytes length and
 *                   the bytes; 1 byte, 2 boolean: 1 byte; 3 int, 5 float: 4; 4 long, 6 double: 8; 8 vector: 4 bytes
 *                   count, then that many typed bytes; 9 list: typed bytes up to a marker, 255; 10 map: 4 bytes
 *                   count, then twice that many
 */
#ifndef PJ_STREAMING_TYPED_H
#define PJ_STREAMING_TYPED_H

#include "base/text.h"

/* The form of a program's input or output, and of the keys and values of the job's pairs. */
typedef enum pj__form { PJ__FORM_TEXT, PJ__FORM_KEY_ONLY, PJ__FORM_RAW, PJ__FORM_TYPED } pj__form;

/* What was found at the front of some bytes. */
typedef enum pj__found { PJ__FOUND, PJ__FOUND_PART, PJ__FOUND_NOTHING_SUCH } pj__found;

/* Takes one item from the front of *rest: raw, the bytes without their length; typed, all bytes with the type. */
pj__found pj__raw_take(pj_bytes *rest, pj_bytes *ret_item);
pj__found pj__typed_take(pj_bytes *rest, pj_bytes *ret_item);

/* Append an item. */
void pj__raw_put(pj_bytes bytes, pj_text *to);
void pj__typed_put(pj_bytes bytes, uint8_t type, pj_text *to); /* 0: bytes, 7: string */
void pj__typed_put_long(int64_t value, pj_text *to);
void pj__typed_put_null(pj_text *to); /* as Hadoop writes its NullWritable */

/* Append an item as an output of text shows it: TypedBytesWritable.toString(), BytesWritable.toString(). */
void pj__typed_show(pj_bytes item, pj_text *to);
void pj__raw_show(pj_bytes item, pj_text *to);

#endif
