/*
 * aggregate.c: see aggregate.h.
 */
#include "streaming/aggregate.h"

#include <math.h>
#include <stdlib.h>
#include <strings.h>

#include "streaming/java.h"

bool pj__aggregate_of(pj_bytes key, pj__aggregation *ret_type, pj_bytes *ret_id)
{
	static const char *const names[PJ__AGGREGATIONS] = {
		[PJ__LONG_SUM] = "LongValueSum",     [PJ__LONG_MAX] = "LongValueMax",
		[PJ__LONG_MIN] = "LongValueMin",     [PJ__DOUBLE_SUM] = "DoubleValueSum",
		[PJ__STRING_MAX] = "StringValueMax", [PJ__STRING_MIN] = "StringValueMin",
		[PJ__UNIQUE] = "UniqValueCount",     [PJ__HISTOGRAM] = "ValueHistogram"};
	const char *const colon = key.len ? memchr(key.ptr, ':', key.len) : NULL;
	const size_t len = colon ? (size_t)(colon - key.ptr) : 0;
	for (int i = 0; colon && i < PJ__AGGREGATIONS; i++)
		if (strlen(names[i]) == len && !strncasecmp(key.ptr, names[i], len)) {
			*ret_type = (pj__aggregation)i;
			*ret_id = (pj_bytes){colon + 1, key.len - len - 1};
			return true;
		}
	return false;
}

void pj__aggregate_init(pj__aggregate *aggregate, pj__aggregation type, int64_t most_unique)
{
	*aggregate = (pj__aggregate){.type = type, .most_unique = most_unique};
	aggregate->number = type == PJ__LONG_MAX ? INT64_MIN : type == PJ__LONG_MIN ? INT64_MAX : 0;
}

void pj__aggregate_fini(pj__aggregate *aggregate)
{
	pj__text_fini(&aggregate->text);
	pj__bag_fini(&aggregate->bag);
}

static pj_status no_number(pj_bytes value, pj_error *error)
{
	const int shown = (int)(value.len < 60 ? value.len : 60);
	pj__fail(error, PJ_ERR_USER, 0, NULL, "the reducer aggregate got a value that is not a number");
	pj__error_reason(error, "\"%.*s\"", shown, value.len ? value.ptr : "");
	return PJ_ERR_USER;
}

static pj_status add_long(pj__aggregate *aggregate, pj_bytes value, pj_error *error)
{
	int64_t number;
	if (!pj__java_parse_long(value, &number))
		return no_number(value, error);
	if (aggregate->type == PJ__LONG_SUM)
		aggregate->number = (int64_t)((uint64_t)aggregate->number + (uint64_t)number);
	else if (aggregate->type == PJ__LONG_MAX ? number > aggregate->number : number < aggregate->number)
		aggregate->number = number;
	return PJ_OK;
}

static pj_status add_string(pj__aggregate *aggregate, pj_bytes value, pj_error *error)
{
	const int order = aggregate->some ? pj__java_compare(value, pj__text_all(&aggregate->text)) : 0;
	if (aggregate->some && (aggregate->type == PJ__STRING_MAX ? order <= 0 : order >= 0))
		return PJ_OK;
	pj__text_reset(&aggregate->text);
	pj_text_bytes(&aggregate->text, value);
	return aggregate->text.failed ? pj__no_memory(error, value.len) : PJ_OK;
}

/* "value" or "value TAB count" */
static pj_status add_to_histogram(pj__aggregate *aggregate, pj_bytes value, pj_error *error)
{
	const char *const tab = value.len ? memrchr(value.ptr, '\t', value.len) : NULL;
	int64_t count = 1;
	if (tab && !pj__java_parse_long((pj_bytes){tab + 1, value.len - (size_t)(tab + 1 - value.ptr)}, &count))
		return no_number(value, error);
	return pj__bag_add(&aggregate->bag, (pj_bytes){value.ptr, tab ? (size_t)(tab - value.ptr) : value.len}, count,
			   error);
}

static pj_status add(pj__aggregate *aggregate, pj_bytes value, pj_error *error)
{
	double number;
	switch (aggregate->type) {
	case PJ__DOUBLE_SUM:
		if (!pj__java_parse_double(value, &number))
			return no_number(value, error);
		aggregate->sum += number;
		return PJ_OK;
	case PJ__STRING_MAX:
	case PJ__STRING_MIN:
		return add_string(aggregate, value, error);
	case PJ__UNIQUE:
		if ((int64_t)aggregate->bag.count >= aggregate->most_unique)
			return PJ_OK;
		return pj__bag_add(&aggregate->bag, value, 1, error);
	case PJ__HISTOGRAM:
		return add_to_histogram(aggregate, value, error);
	default:
		return add_long(aggregate, value, error);
	}
}

pj_status pj__aggregate_add(pj__aggregate *aggregate, pj_bytes value, pj_error *error)
{
	const pj_status status = add(aggregate, value, error);
	aggregate->some |= !status;
	return status;
}

static int by_count(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

/* Number of values, least, median, most, average and standard deviation of their counts. */
static pj_status report_histogram(const pj__bag *bag, pj_text *to, pj_error *error)
{
	const size_t count = bag->count;
	int64_t *const counts = malloc((count + 1) * sizeof *counts);
	if (!counts)
		return pj__no_memory(error, (count + 1) * sizeof *counts);
	uint64_t sum = 0;
	for (size_t i = 0; i < count; i++) {
		counts[i] = bag->items[i].count;
		sum += (uint64_t)counts[i];
	}
	qsort(counts, count, sizeof *counts, by_count);
	pj_text_i64(to, (int64_t)count);
	if (count) {
		const int64_t shown[] = {counts[0], counts[count / 2], counts[count - 1]};
		for (int i = 0; i < 3; i++) {
			pj__text_byte(to, '\t');
			pj_text_i64(to, shown[i]);
		}
		const double average = (double)(int64_t)sum / (double)count;
		double deviation = 0;
		for (size_t i = 0; i < count; i++)
			deviation += ((double)counts[i] - average) * ((double)counts[i] - average);
		pj__text_byte(to, '\t');
		pj__java_double(average, to);
		pj__text_byte(to, '\t');
		pj__java_double(sqrt(deviation / (double)count), to);
	}
	free(counts);
	return PJ_OK;
}

pj_status pj__aggregate_report(const pj__aggregate *aggregate, pj_text *to, pj_error *error)
{
	switch (aggregate->type) {
	case PJ__DOUBLE_SUM:
		pj__java_double(aggregate->sum, to);
		return PJ_OK;
	case PJ__STRING_MAX:
	case PJ__STRING_MIN:
		pj_text_bytes(to, pj__text_all(&aggregate->text));
		return PJ_OK;
	case PJ__UNIQUE:
		pj_text_i64(to, (int64_t)aggregate->bag.count);
		return PJ_OK;
	case PJ__HISTOGRAM:
		return report_histogram(&aggregate->bag, to, error);
	default:
		pj_text_i64(to, aggregate->number);
		return PJ_OK;
	}
}

size_t pj__aggregate_combined(const pj__aggregate *aggregate)
{
	switch (aggregate->type) {
	case PJ__DOUBLE_SUM:
		return 0;
	case PJ__UNIQUE:
	case PJ__HISTOGRAM:
		return aggregate->bag.count;
	default:
		return 1;
	}
}

void pj__aggregate_combined_value(const pj__aggregate *aggregate, size_t index, pj_text *to)
{
	switch (aggregate->type) {
	case PJ__UNIQUE:
	case PJ__HISTOGRAM:
		pj_text_bytes(to, pj__bag_key(&aggregate->bag, index));
		if (aggregate->type == PJ__UNIQUE)
			return;
		pj__text_byte(to, '\t');
		pj_text_i64(to, aggregate->bag.items[index].count);
		return;
	case PJ__STRING_MAX:
	case PJ__STRING_MIN:
		pj_text_bytes(to, pj__text_all(&aggregate->text));
		return;
	default:
		pj_text_i64(to, aggregate->number);
	}
}
