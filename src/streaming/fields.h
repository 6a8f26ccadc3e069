/*
 * fields.h: parts of keys, as the options of KeyFieldBasedPartitioner and KeyFieldBasedComparator name them:
 * -kF[.C][n|r]*[,F[.C][n|r]*], -n, -r, -nr; fields and characters from 1, fields between a separator of one byte.
 *
 * What looks odd here is Hadoop's behaviour: unknown words are ignored, a range may be empty, and keys that differ in
 * no named part are equal.
 */
#ifndef PJ_STREAMING_FIELDS_H
#define PJ_STREAMING_FIELDS_H

#include "base/text.h"

enum { PJ__FIELDS_MAX = 32 };

/* One -k. */
typedef struct pj__field {
	uint32_t begin_field, begin_char; /* from 1 */
	uint32_t end_field, end_char;     /* end_field 0: to the end of the key; end_char 0: to the field's end */
	bool numeric, reverse;
} pj__field;

typedef struct pj__fields {
	pj__field at[PJ__FIELDS_MAX];
	size_t count;
	char separator; /* between fields */
} pj__fields;

/* Reads the options; none at all: no field. PJ_ERR_USAGE: a -k that is wrong, or too many. */
PJ_MUST_USE pj_status pj__fields_parse(pj__fields *fields, const char *options, char separator, pj_error *error);

/* The bytes of a key that the field names; false: the key has no such field. */
bool pj__field_of(const pj__field *field, char separator, pj_bytes key, pj_bytes *ret_part);

/* KeyFieldBasedPartitioner: the hash over all named parts; without any field that of the whole key as a string. */
uint32_t pj__fields_hash(const pj__fields *fields, pj_bytes key);

/* KeyFieldBasedComparator: less than 0, 0, more than 0. */
int pj__fields_compare(const pj__fields *fields, pj_bytes a, pj_bytes b);

#endif
