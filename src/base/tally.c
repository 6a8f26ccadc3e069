/*
 * tally.c: see tally.h.
 */
#include "base/tally.h"

#include <stdlib.h>
#include <string.h>

static void cut_name(char *to, size_t size, pj_bytes name)
{
	const size_t len = name.len < size - 1 ? name.len : size - 1;
	memset(to, 0, size);
	if (len)
		memcpy(to, name.ptr, len);
}

static int compare(const pj_counter *a, const pj_counter *b)
{
	const int groups = strcmp(a->group, b->group);
	return groups ? groups : strcmp(a->name, b->name);
}

static int64_t add_bounded(int64_t a, int64_t b)
{
	int64_t sum;
	return __builtin_add_overflow(a, b, &sum) ? (a < 0 ? INT64_MIN : INT64_MAX) : sum;
}

static void add(pj__tally *tally, const pj_counter *counter)
{
	size_t at = 0;
	while (at < tally->count && compare(&tally->counter[at], counter) < 0)
		at++;
	if (at < tally->count && compare(&tally->counter[at], counter) == 0) {
		tally->counter[at].value = add_bounded(tally->counter[at].value, counter->value);
		return;
	}
	if (tally->count == PJ_COUNTERS_MAX) {
		tally->lost++;
		return;
	}
	memmove(&tally->counter[at + 1], &tally->counter[at], (tally->count - at) * sizeof *tally->counter);
	tally->counter[at] = *counter;
	tally->count++;
}

void pj__tally_count(pj__tally *tally, pj_bytes group, pj_bytes name, int64_t amount)
{
	pj_counter counter = {.value = amount};
	cut_name(counter.group, sizeof counter.group, group);
	cut_name(counter.name, sizeof counter.name, name);
	add(tally, &counter);
}

void pj__tally_merge(pj__tally *tally, const pj__tally *other)
{
	tally->programs += other->programs;
	tally->seconds += other->seconds;
	tally->lost += other->lost;
	if (tally->peak_bytes < other->peak_bytes)
		tally->peak_bytes = other->peak_bytes;
	for (size_t i = 0; i < other->count; i++)
		add(tally, &other->counter[i]);
}

pj_status pj__tally_add(pj__tally **tally, const pj__tally *other, pj_error *error)
{
	if (!other)
		return PJ_OK;
	if (!*tally)
		*tally = calloc(1, sizeof **tally);
	if (!*tally)
		return pj__no_memory(error, sizeof **tally);
	pj__tally_merge(*tally, other);
	return PJ_OK;
}
