/*
 * aggregate.h: the reducer `aggregate` of Hadoop: a key is "TYPE:ID", and TYPE says how its values are aggregated.
 */
#ifndef PJ_STREAMING_AGGREGATE_H
#define PJ_STREAMING_AGGREGATE_H

#include "streaming/bag.h"

typedef enum pj__aggregation {
	PJ__LONG_SUM,
	PJ__LONG_MAX,
	PJ__LONG_MIN,
	PJ__DOUBLE_SUM,
	PJ__STRING_MAX,
	PJ__STRING_MIN,
	PJ__UNIQUE,
	PJ__HISTOGRAM,
	PJ__AGGREGATIONS
} pj__aggregation;

/* What the values of one key have come to. */
typedef struct pj__aggregate {
	pj__aggregation type;
	bool some; /* there was a value */
	int64_t number;
	double sum;
	pj_text text;
	pj__bag bag;
	int64_t most_unique; /* PJ__UNIQUE: no more are counted */
} pj__aggregate;

/* Splits a key into its type and the id after it. False: it does not have the form "TYPE:ID". */
bool pj__aggregate_of(pj_bytes key, pj__aggregation *ret_type, pj_bytes *ret_id);

void pj__aggregate_init(pj__aggregate *aggregate, pj__aggregation type, int64_t most_unique);
void pj__aggregate_fini(pj__aggregate *aggregate);

/* Adds a value. PJ_ERR_USER: the type needs a number and the value is not one. */
PJ_MUST_USE pj_status pj__aggregate_add(pj__aggregate *aggregate, pj_bytes value, pj_error *error);

/* Appends what the output shows. */
PJ_MUST_USE pj_status pj__aggregate_report(const pj__aggregate *aggregate, pj_text *to, pj_error *error);

/*
 * How many values stand for all that were added, and, appended, the index-th of them: what a combiner hands on. A sum
 * of doubles has none: it would depend on how they are brought together.
 */
size_t pj__aggregate_combined(const pj__aggregate *aggregate);
void pj__aggregate_combined_value(const pj__aggregate *aggregate, size_t index, pj_text *to);

#endif
