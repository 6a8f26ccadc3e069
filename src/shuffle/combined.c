/*
 * combined.c: what the combiner's runs come to (combine.h).
 */
#include <stdlib.h>

#include "base/isa.h"
#include "shuffle/combine.h"

const pj__combine_kernel *pj__combine_usable(void)
{
	switch (pj__isa_usable()) {
#if defined(__x86_64__)
	case PJ__ISA_AVX512:
		return &pj__combine_avx512;
	case PJ__ISA_AVX2:
		return &pj__combine_avx2;
#endif
	default:
		return &pj__combine_plain;
	}
}

/* ------------------------------------------------------------------------------------------------ loading a bucket */

static pj__combined *combined_of(pj_task *face)
{
	return ((pj__task *)face)->taker;
}

/* A sum does not fit 64 bits: the bucket is loaded again, with wide sums. */
static void give_up_narrow(void *arg, char *entry)
{
	(void)entry;
	((pj__combined *)arg)->overflowed = true;
}

/* In the value of a slot that says where a stored state lies: it is a whole one, though the usual ones are shorter. */
#define IS_WHOLE (UINT64_C(1) << 63)

/* A value of the segment: a partial sum, or where the stored state lies. */
static void merge_value(pj__combined *combined, void *state, uint64_t value)
{
	const pj_aggregate *aggregate = combined->aggregate;
	if (pj__is_narrow(aggregate)) {
		aggregate->add_i64(state, (int64_t)value, combined->arg);
		return;
	}
	const char *const from = (const char *)(uintptr_t)(value & ~IS_WHOLE);
	if (value & IS_WHOLE) {
		_Alignas(16) char stored[PJ_STATE_BYTES_MAX]; /* stored states lie anywhere */
		memcpy(stored, from, aggregate->state_bytes);
		aggregate->merge(state, stored, combined->arg);
	} else {
		/* behind usual_bytes there are zeros */
		memcpy(combined->state, from, pj__usual_bytes(aggregate));
		aggregate->merge(state, combined->state, combined->arg);
	}
}

static void merge_batch(pj_task *face)
{
	pj__combined *combined = combined_of(face);
	pj__task *task = combined->task;
	const pj__combine_kernel *loops = combined->kernel;
	size_t positions[PJ__BATCH];
	void *states[PJ__BATCH];
	const size_t count = pj__task_batch(task);
	pj__task_empty_batch(task);
	loops->look_ahead(combined->table, task->slots, count, positions);
	if (combined->narrow && pj__is_narrow(combined->aggregate)) {
		loops->add_sums(combined->table, task->slots, count, positions, give_up_narrow, combined);
		return;
	}
	loops->find_states(combined->table, task->slots, count, positions, states, combined->aggregate->init,
			   combined->arg);
	for (size_t i = 0; i < count; i++)
		merge_value(combined, states[i], task->slots[i].value);
}

static void merge_long(pj_task *face, pj_bytes key, uint64_t value)
{
	pj__combined *combined = combined_of(face);
	bool fresh;
	char *entry = pj__table_find_bytes(combined->table, key, &fresh);
	if (!entry) {
		pj_error error;
		pj__task_failed(combined->task, pj__no_memory(&error, key.len), &error);
	} else if (combined->narrow && pj__is_narrow(combined->aggregate)) {
		int64_t sum;
		memcpy(&sum, pj__entry_state(entry), sizeof sum);
		combined->overflowed |= __builtin_add_overflow(sum, (int64_t)value, &sum);
		memcpy(pj__entry_state(entry), &sum, sizeof sum);
	} else {
		if (fresh && combined->aggregate->init)
			combined->aggregate->init(pj__entry_state(entry), combined->arg);
		merge_value(combined, pj__entry_state(entry), value);
	}
}

pj_status pj__combined_init(pj__combined *combined, const pj_aggregate *aggregate, void *arg, uint64_t seed,
			    pj_error *error)
{
	*combined = (pj__combined){.aggregate = aggregate, .arg = arg, .kernel = pj__combine_usable()};
	combined->task = pj__task_holder(sizeof *combined->task);
	if (!combined->task)
		return pj__no_memory(error, sizeof *combined->task);
	pj__task_init(combined->task, PJ_NUMBER_I64);
	static const pj__target target = {.batch = merge_batch, .number = merge_long};
	pj__task_attach(combined->task, &target, combined);
	const size_t narrow = pj__is_narrow(aggregate) ? sizeof(int64_t) : pj__usual_bytes(aggregate);
	pj_status status = pj__table_init(&combined->narrow_table, narrow, 64, SIZE_MAX / 4096, seed, error);
	if (!status)
		status =
			pj__table_init(&combined->wide_table, aggregate->state_bytes, 64, SIZE_MAX / 4096, seed, error);
	combined->narrow_table.hash = combined->wide_table.hash = combined->kernel->hash;
	return status;
}

void pj__combined_fini(pj__combined *combined)
{
	pj__table_fini(&combined->narrow_table);
	pj__table_fini(&combined->wide_table);
	free(combined->task);
	free(combined->items);
	free(combined->segment);
	*combined = (pj__combined){0};
}

void pj__combined_relieve(pj__combined *combined)
{
	pj__table_relieve(&combined->narrow_table);
	pj__table_relieve(&combined->wide_table);
	free(combined->items);
	free(combined->segment);
	combined->items = NULL;
	combined->segment = NULL;
	combined->count = combined->capacity = combined->segment_capacity = 0;
}

/* Emits the records of the segment at hand into the table, as a mapper emits pairs. */
static pj_status add_segment(pj__combined *combined, const pj__run *run, const pj__segment *segment, pj_error *error)
{
	const char *at = combined->segment, *end = at + segment->bytes;
	const bool partial_sums = pj__is_narrow(combined->aggregate);
	const size_t whole = combined->aggregate->state_bytes, usual = pj__usual_bytes(combined->aggregate);
	pj__task *task = combined->task;
	pj_bytes key, stored;
	uint64_t records = 0;
	pj__task_set_text(task, (pj_bytes){at, segment->bytes}, "", 0);
	while (at < end) {
		const char *next = pj__get_record(at, end, &key, &stored, NULL);
		if (!next)
			return pj__run_corrupt(run, segment->offset, "a record is cut off", error);
		/* The table has room for as many as were told. */
		if (++records > segment->pairs)
			return pj__run_corrupt(run, segment->offset, "there are more pairs than said", error);
		if (partial_sums ? stored.len > 8 : stored.len != usual && stored.len != whole)
			return pj__run_corrupt(run, segment->offset, "a stored state has the wrong size", error);
		uint64_t value = (uint64_t)(uintptr_t)stored.ptr;
		if (partial_sums) {
			value = (uint64_t)pj__get_narrow(stored);
		} else if (stored.len != usual) {
			value |= IS_WHOLE;
			if (combined->narrow) {
				combined->overflowed = true;
				break;
			}
		}
		pj_emit_slot(&task->face, key, value);
		at = next;
	}
	pj__task_flush(task); /* before the segment's memory is used again */
	if (task->status && error)
		*error = task->error;
	return task->status;
}

static pj_bytes key_of_item(const void *context, uint64_t at)
{
	return pj__entry_key(context, (const char *)(uintptr_t)at);
}

static pj_status sort_keys(pj__combined *combined, pj_error *error)
{
	const pj__table *table = combined->table;
	if (combined->capacity < table->count) {
		free(combined->items);
		combined->capacity = table->count + table->count / 2;
		/* the second half is room for the sort */
		combined->items = reallocarray(NULL, combined->capacity, 2 * sizeof *combined->items);
		if (!combined->items) {
			combined->capacity = 0;
			return pj__no_memory(error, table->count * 2 * sizeof *combined->items);
		}
	}
	combined->count = 0;
	if (!table->count)
		return PJ_OK; /* there may be no memory at all */
	for (size_t i = 0; combined->count < table->count; i++) {
		const char *entry = pj__entry(table, i, table->stride);
		if (pj__entry_tag(entry))
			combined->items[combined->count++] =
				(pj__item){pj__prefix(pj__entry_key(table, entry), 0), (uintptr_t)entry};
	}
	pj__sort(combined->items, combined->count, combined->items + combined->capacity, key_of_item, table);
	return PJ_OK;
}

static pj_status load_into(pj__combined *combined, bool narrow, const pj__run *runs, const pj__segment *segments,
			   size_t count, uint64_t pairs, pj_error *error)
{
	combined->narrow = narrow;
	combined->overflowed = false;
	combined->table = narrow ? &combined->narrow_table : &combined->wide_table;
	pj_status status = pj__table_reset(combined->table, pairs, error);
	for (size_t i = 0; i < count && !status && !combined->overflowed; i++) {
		if (!segments[i].bytes)
			continue;
		status = pj__run_read(&runs[i], &segments[i], combined->segment, error);
		if (!status)
			status = add_segment(combined, &runs[i], &segments[i], error);
	}
	return status;
}

uint64_t pj__combined_bytes(const pj__combined *combined, const pj__segment *segments, size_t count)
{
	uint64_t bytes = 0, pairs = 0, largest = 0;
	bool wide = false;
	for (size_t i = 0; i < count; i++) {
		pairs += segments[i].pairs;
		bytes += segments[i].bytes;
		wide |= segments[i].longest >= combined->aggregate->state_bytes;
		largest = segments[i].bytes > largest ? segments[i].bytes : largest;
	}
	/* Where whole states may turn up the bucket is loaded again with those. */
	const size_t stride = wide ? combined->wide_table.stride : combined->narrow_table.stride;
	/* table, filled to a third at least; an item and its room; keys, if they are long */
	return pairs * (stride * 3 + 2 * sizeof *combined->items) + bytes + largest;
}

pj_status pj__combined_load(pj__combined *combined, const pj__run *runs, const pj__segment *segments, size_t count,
			    pj_error *error)
{
	uint64_t pairs = 0, largest = 0;
	for (size_t i = 0; i < count; i++) {
		pairs += segments[i].pairs;
		largest = segments[i].bytes > largest ? segments[i].bytes : largest;
	}
	if (combined->segment_capacity < largest + PJ_TEXT_PADDING) {
		free(combined->segment);
		combined->segment_capacity = 0;
		combined->segment = calloc(largest + PJ_TEXT_PADDING, 1);
		if (!combined->segment)
			return pj__no_memory(error, largest);
		combined->segment_capacity = largest + PJ_TEXT_PADDING;
	}
	const bool narrow = pj__is_narrow(combined->aggregate) || combined->aggregate->usual_bytes;
	pj_status status = load_into(combined, narrow, runs, segments, count, pairs, error);
	if (!status && combined->overflowed)
		status = load_into(combined, false, runs, segments, count, pairs, error);
	return status ? status : sort_keys(combined, error);
}

pj_bytes pj__combined_key(const pj__combined *combined, size_t index)
{
	return key_of_item(combined->table, combined->items[index].at);
}

const void *pj__combined_state(pj__combined *combined, size_t index)
{
	char *state = pj__entry_state((char *)(uintptr_t)combined->items[index].at);
	if (!combined->narrow)
		return state;
	if (!pj__is_narrow(combined->aggregate))
		return memcpy(combined->state, state, pj__usual_bytes(combined->aggregate)); /* the rest is zero */
	int64_t sum;
	memcpy(&sum, state, sizeof sum);
	pj__state_init(combined->aggregate, combined->arg, combined->state);
	combined->aggregate->add_i64(combined->state, sum, combined->arg);
	return combined->state;
}
