/*
 * native.c: see native.h.
 *
 * Without a mapper, lines of text go to the reducers as `cat` would hand them on; Hadoop fails there, since their keys
 * are offsets, and it was promised text.
 */
#include "streaming/native.h"

#include "streaming/aggregate.h"
#include "streaming/java.h"

/* ---------------------------------------------------------------------------------------------------------- mappers */

static pj_bytes offset_of(pj__native *native, const pj_task *task, const pj__record *record)
{
	pj__text_reset(&native->value);
	pj_text_i64(&native->value, (int64_t)pj__record_offset(task, record));
	return pj__text_all(&native->value);
}

static void map_identity(pj__native *native, pj_task *task, const pj__record *record)
{
	if (!record->has_offset)
		pj__talk_emit(&native->map, task, record->key, record->value);
	else if (native->map.is_final)
		pj__talk_emit(&native->map, task, offset_of(native, task, record), record->value);
	else
		pj__talk_emit_line(&native->map, task, record->value);
}

/* What StringTokenizer takes for words. */
static void map_tokens(pj__native *native, pj_task *task, pj_bytes text)
{
	static const char blanks[] = " \t\n\r\f";
	const char *at = text.ptr, *const end = text.ptr + text.len;
	while (at < end) {
		const char *const start = at;
		while (at < end && !memchr(blanks, *at, sizeof blanks - 1))
			at++;
		if (at > start)
			pj__talk_emit(&native->map, task, (pj_bytes){start, (size_t)(at - start)}, pj_bytes_of("1"));
		at += at < end;
	}
}

static pj_status map_record(void *arg, pj_task *task, const pj__record *record)
{
	pj__native *const native = arg;
	if (native->mapper == PJ__TOKEN_COUNT_MAPPER)
		map_tokens(native, task, record->value);
	else if (native->mapper == PJ__INVERSE_MAPPER)
		pj__talk_emit(&native->map, task, record->value,
			      record->has_offset ? offset_of(native, task, record) : record->key);
	else
		map_identity(native, task, record);
	return PJ_OK;
}

static pj_status map_line(pj_task *task, pj_bytes line, void *arg)
{
	pj__native *const native = arg;
	return pj__records_each(native->map.records, task, line, map_record, native);
}

void pj__native_set_mapper(pj__native *native, pj_mapper *mapper)
{
	*mapper = (pj_mapper){.line = map_line, .arg = native};
}

/* --------------------------------------------------------------------------------------------------------- reducers */

static pj_status reduce_identity(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	pj__native *const native = arg;
	pj_bytes value;
	while (pj_next_value(values, &value))
		pj__talk_emit(&native->reduce, task, key, value);
	return PJ_OK;
}

/* The sum of the values, which wraps around as Java's does, in native->value. */
static pj_status sum_longs(pj__native *native, pj_task *task, pj_values *values)
{
	uint64_t sum = 0;
	pj_bytes value;
	while (pj_next_value(values, &value)) {
		int64_t number;
		if (!pj__java_parse_long(value, &number))
			return pj_task_fail(task, PJ_ERR_USER, NULL,
					    "LongSumReducer got a value that is not a number: \"%.*s\"",
					    (int)(value.len < 60 ? value.len : 60), value.len ? value.ptr : "");
		sum += (uint64_t)number;
	}
	pj__text_reset(&native->value);
	pj_text_i64(&native->value, (int64_t)sum);
	return PJ_OK;
}

static pj_status reduce_longs(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	pj__native *const native = arg;
	const pj_status status = sum_longs(native, task, values);
	if (!status)
		pj__talk_emit(&native->reduce, task, key, pj__text_all(&native->value));
	return status;
}

static pj_status combine_longs(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	pj__native *const native = arg;
	const pj_status status = sum_longs(native, task, values);
	if (!status)
		pj_emit(task, key, pj__text_all(&native->value));
	return status;
}

static pj_status fail_with(pj_task *task, const pj_error *error)
{
	return pj_task_fail(task, error->status, NULL, "%s%s%s", error->what, error->reason[0] ? ": " : "",
			    error->reason);
}

/* The text as a Java string has it; in `copy` where it is another one. */
static pj_bytes as_string(pj_bytes text, pj_text *copy)
{
	if (pj__java_is_clean(text))
		return text;
	pj__text_reset(copy);
	pj__java_clean(text, copy);
	return copy->failed ? text : pj__text_all(copy);
}

/* Adds all values to an aggregate, which is to be given back in any case. */
static pj_status gather(pj__native *native, pj_task *task, pj_bytes key, pj_values *values, pj__aggregate *aggregate,
			pj_bytes *ret_id)
{
	pj__aggregation type;
	pj_bytes value;
	pj_error error;
	*aggregate = (pj__aggregate){0};
	if (!pj__aggregate_of(key, &type, ret_id))
		return pj_task_fail(task, PJ_ERR_USER, NULL,
				    "the reducer aggregate wants keys TYPE:ID, and got \"%.*s\"",
				    (int)(key.len < 60 ? key.len : 60), key.len ? key.ptr : "");
	pj__aggregate_init(aggregate, type, native->most_unique);
	while (pj_next_value(values, &value))
		if (pj__aggregate_add(aggregate, as_string(value, &native->string), &error))
			return fail_with(task, &error);
	return PJ_OK;
}

static pj_status reduce_aggregate(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	pj__native *const native = arg;
	pj__aggregate aggregate;
	pj_error error;
	pj_bytes id;
	pj_status status = gather(native, task, key, values, &aggregate, &id);
	pj__text_reset(&native->value);
	if (!status && pj__aggregate_report(&aggregate, &native->value, &error))
		status = fail_with(task, &error);
	if (!status && native->value.failed)
		status = pj_task_fail(task, PJ_ERR_MEMORY, NULL, "a result of aggregate does not fit in memory");
	if (!status)
		pj__talk_emit(&native->reduce, task, as_string(id, &native->string), pj__text_all(&native->value));
	pj__aggregate_fini(&aggregate);
	return status;
}

/* Emits the values that represent all the others; those of a sum of doubles pass unchanged. */
static pj_status combine_aggregate(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	pj__native *const native = arg;
	pj__aggregation type;
	pj__aggregate aggregate;
	pj_bytes id, value;
	if (pj__aggregate_of(key, &type, &id) && type == PJ__DOUBLE_SUM) {
		while (pj_next_value(values, &value))
			pj_emit(task, key, value);
		return PJ_OK;
	}
	const pj_status status = gather(native, task, key, values, &aggregate, &id);
	const size_t count = status ? 0 : pj__aggregate_combined(&aggregate);
	for (size_t i = 0; i < count; i++) {
		pj__text_reset(&native->value);
		pj__aggregate_combined_value(&aggregate, i, &native->value);
		pj_emit(task, key, pj__text_all(&native->value));
	}
	pj__aggregate_fini(&aggregate);
	return status;
}

void pj__native_set_reducer(pj__native *native, pj_reducer *reducer)
{
	*reducer = (pj_reducer){.general = reduce_identity, .arg = native};
	if (native->reducer == PJ__LONG_SUM_REDUCER) {
		reducer->general = reduce_longs;
		reducer->combine = combine_longs;
	} else if (native->reducer == PJ__AGGREGATE_REDUCER) {
		reducer->general = reduce_aggregate;
		reducer->combine = combine_aggregate;
	}
}

void pj__native_fini(pj__native *native)
{
	pj__talk_fini(&native->map);
	pj__talk_fini(&native->reduce);
	pj__text_fini(&native->value);
	pj__text_fini(&native->string);
}
