/*
 * sample.c: see sample.h.
 */
#include "engine/sample.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { PIECES = 64, PIECE = 16 << 10, KEYS_MOST = 1 << 16, BYTES_MOST = 4 << 20, SEEN_BITS = 1 << 20 };

struct sampler {
	pj__task task; /* first */
	bool once;     /* each key once */
	pj_text *keys; /* as records without values */
	size_t count;
	uint64_t seen[SEEN_BITS / 64]; /* keys, by a hash: a collision only makes the sample smaller */
};

static bool is_full(const struct sampler *sampler)
{
	return sampler->count == KEYS_MOST || sampler->keys->len > BYTES_MOST || sampler->keys->failed;
}

static void take(pj__task *task, pj_bytes key, pj_bytes value)
{
	struct sampler *sampler = (struct sampler *)task;
	(void)value;
	if (is_full(sampler))
		return;
	key.len = key.len < PJ__SPLITTER_MOST ? key.len : PJ__SPLITTER_MOST;
	if (sampler->once) {
		const uint64_t hash = XXH3_64bits(key.ptr, key.len) % SEEN_BITS;
		if (sampler->seen[hash / 64] >> hash % 64 & 1)
			return;
		sampler->seen[hash / 64] |= (uint64_t)1 << hash % 64;
	}
	pj__sample_add(sampler->keys, key);
	sampler->count++;
}

static void take_batch(pj_task *face)
{
	pj__task *task = (pj__task *)face;
	const size_t count = pj__task_batch(task);
	pj__task_empty_batch(task);
	for (size_t i = 0; i < count; i++)
		take(task, pj__slot_key(&task->slots[i]), (pj_bytes){NULL, 0});
}

static void take_long(pj_task *face, pj_bytes key, uint64_t value)
{
	(void)value;
	take((pj__task *)face, key, (pj_bytes){NULL, 0});
}

/* The piece that lies `at` bytes into all files together. False: there is none. */
static bool piece_at(const pj__sources *sources, uint64_t at, pj__split *ret_split)
{
	for (size_t i = 0; i < sources->count; i++) {
		const pj__source *source = &sources->at[i];
		if (source->kind == PJ__SOURCE_STREAM)
			continue;
		if (at < source->size) {
			const uint64_t end = source->size - at < PIECE ? source->size : at + PIECE;
			*ret_split = (pj__split){(uint32_t)i, at, end, source->size};
			return true;
		}
		at -= source->size;
	}
	return false;
}

static void sample_split(pj__mapping *mapping, pj__split split)
{
	pj_error unwanted;
	if (pj__map_task(mapping, 0, &split, 1, &unwanted)) {
		/* What was found so far will do; the map itself will tell of the failure. */
		mapping->task->status = PJ_OK;
		mapping->task->face.next_slot = mapping->task->slots;
	}
}

pj_status pj__sample(const pj__setup *setup, pj_bytes params, const pj__plan *plan, pj__whereabouts *here,
		     const pj__split *given, pj_text *ret_sample, pj_error *error)
{
	const pj_aggregate *aggregate = setup->job.reducer.aggregate;
	struct sampler *sampler = pj__task_holder(sizeof *sampler);
	if (!sampler)
		return pj__no_memory(error, sizeof *sampler);
	pj__task_init(&sampler->task, aggregate && aggregate->takes == PJ_TAKES_F64 ? PJ_NUMBER_F64 : PJ_NUMBER_I64);
	sampler->task.params = params;
	sampler->task.emit = take;
	sampler->task.face.batch_full = take_batch;
	sampler->task.face.emit_long = take_long;
	sampler->once = pj__setup_combines(setup);
	sampler->keys = ret_sample;
	pj__mapping mapping;
	pj_status status = pj__mapping_init(&mapping, &setup->job, &sampler->task, &plan->sources, here, error);
	if (!status && given) {
		sample_split(&mapping, *given);
	} else if (!status) {
		const uint64_t bytes = plan->sources.bytes;
		pj__split split;
		for (uint64_t i = 0; i < PIECES && !is_full(sampler); i++)
			if (piece_at(&plan->sources, (uint64_t)((__uint128_t)bytes * i / PIECES), &split))
				sample_split(&mapping, split);
	}
	pj__mapping_fini(&mapping);
	pj__task_fini(&sampler->task);
	free(sampler);
	return status;
}
