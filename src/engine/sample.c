/*
 * sample.c: see sample.h.
 */
#include "engine/sample.h"

#include <stdlib.h>

enum { PIECES = 64, PIECE = 16 << 10, KEYS_MOST = 1 << 16, SEEN_BITS = 1 << 20 };

struct sampler {
	pj__task task; /* first */
	bool once;     /* each key once */
	pj__splitter *keys;
	size_t count;
	uint64_t seen[SEEN_BITS / 64]; /* keys, by a hash: a collision only makes the sample smaller */
};

static void take(pj__task *task, pj_bytes key, pj_bytes value)
{
	struct sampler *sampler = (struct sampler *)task;
	(void)value;
	if (sampler->count == KEYS_MOST)
		return;
	const pj__splitter first = pj__splitter_of(key);
	if (sampler->once) {
		const uint64_t mixed = (first.high ^ first.low * 0x9e3779b97f4a7c15u) * 0xd6e8feb86659fd93u;
		const uint64_t hash = (mixed ^ mixed >> 32) % SEEN_BITS;
		if (sampler->seen[hash / 64] >> hash % 64 & 1)
			return;
		sampler->seen[hash / 64] |= (uint64_t)1 << hash % 64;
	}
	sampler->keys[sampler->count++] = first;
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
		     const pj__split *given, pj__splitter **ret_sample, size_t *ret_count, pj_error *error)
{
	const pj_aggregate *aggregate = setup->job.reducer.aggregate;
	struct sampler *sampler = pj__task_holder(sizeof *sampler);
	pj__splitter *keys = malloc(KEYS_MOST * sizeof *keys);
	if (!sampler || !keys) {
		free(sampler);
		free(keys);
		return pj__no_memory(error, sizeof *sampler + KEYS_MOST * sizeof *keys);
	}
	pj__task_init(&sampler->task, aggregate && aggregate->takes == PJ_TAKES_F64 ? PJ_NUMBER_F64 : PJ_NUMBER_I64);
	sampler->task.params = params;
	sampler->task.emit = take;
	sampler->task.face.batch_full = take_batch;
	sampler->task.face.emit_long = take_long;
	sampler->once = pj__setup_combines(setup);
	sampler->keys = keys;
	pj__mapping mapping;
	pj_status status = pj__mapping_init(&mapping, &setup->job, &sampler->task, &plan->sources, here, error);
	if (!status && given) {
		sample_split(&mapping, *given);
	} else if (!status) {
		const uint64_t bytes = plan->sources.bytes;
		pj__split split;
		for (uint64_t i = 0; i < PIECES && sampler->count < KEYS_MOST; i++)
			if (piece_at(&plan->sources, (uint64_t)((__uint128_t)bytes * i / PIECES), &split))
				sample_split(&mapping, split);
	}
	pj__mapping_fini(&mapping);
	*ret_sample = keys;
	*ret_count = sampler->count;
	pj__task_fini(&sampler->task);
	free(sampler);
	if (status)
		free(keys);
	return status;
}
