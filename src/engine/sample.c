/*
 * sample.c: see sample.h.
 */
#include "engine/sample.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "reduce/aggregate.h"

enum {
	PIECES = 64,
	PACKED_PIECES = 8, /* of a compressed input: to begin one is dear, so there are fewer and longer ones */
	PIECE = 16 << 10,
	PIECE_OF_PROGRAM = 4 << 10,
	KEYS_MOST = 1 << 16,
	BYTES_MOST = 1 << 20,
	SEEN_BITS = 1 << 20,
	STREAM_MOST = 1 << 20
};

struct sampler {
	pj__task task;      /* first */
	bool once;          /* each key once */
	const pj_keys *own; /* what the job decides about them */
	pj_text *keys;      /* as records without values */
	size_t count;
	size_t keys_most, bytes_most;  /* up to the end of the piece at hand */
	uint64_t seen[SEEN_BITS / 64]; /* keys, by a hash: a collision only makes the sample smaller */
};

static bool is_full(const struct sampler *sampler)
{
	return sampler->count >= sampler->keys_most || sampler->keys->len > sampler->bytes_most ||
	       sampler->keys->failed;
}

static void take(pj__task *task, pj_bytes key, pj_bytes value)
{
	struct sampler *sampler = (struct sampler *)task;
	(void)value;
	if (is_full(sampler))
		return;
	key = pj__keys_beginning(sampler->own, key);
	/* Half a key may be none: it is not for the user's function to see. */
	if (sampler->own->compare && key.len > PJ__SPLITTER_MOST)
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

/* The split of a compressed source that holds a byte of it, but for what is behind some of its text. */
static pj__split packed_piece(const pj__plan *plan, uint32_t source, uint64_t at)
{
	pj__split piece = {0};
	for (size_t i = 0; i < plan->split_count; i++) {
		const pj__split *split = &plan->splits[i];
		if (split->source == source && pj__codec_byte(plan->sources.at[source].codec, split->start) <= at)
			piece = *split;
	}
	piece.most = (uint64_t)PIECE * (PIECES / PACKED_PIECES);
	return piece;
}

/* The piece that lies `at` bytes into all files together, at most up to `end`. False: there is none. */
static bool piece_at(const pj__plan *plan, uint64_t at, uint64_t end, uint64_t most, pj__split *ret_split)
{
	const uint64_t bytes = end - at < most ? end - at : most;
	for (size_t i = 0; i < plan->sources.count; i++) {
		const pj__source *source = &plan->sources.at[i];
		if (source->kind == PJ__SOURCE_STREAM)
			continue;
		if (at < source->size) {
			const uint64_t rest = source->size - at;
			*ret_split = pj__source_is_packed(source)
					     ? packed_piece(plan, (uint32_t)i, at)
					     : (pj__split){.source = (uint32_t)i,
							   .start = at,
							   .end = at + (bytes < rest ? bytes : rest),
							   .limit = source->size};
			return bytes > 0;
		}
		at -= source->size;
	}
	return false;
}

/* A failure that another try might not meet would make another sample; any other one the map will meet, too. */
static bool may_pass(pj_status status)
{
	switch (status) {
	case PJ_ERR_MEMORY:
	case PJ_ERR_RESOURCE:
	case PJ_ERR_INPUT:
	case PJ_ERR_CRASH: /* a program that was killed */
	case PJ_ERR_TIMEOUT:
	case PJ_ERR_USER:
		return true;
	default:
		return false;
	}
}

static pj_status sample_splits(pj__mapping *mapping, const pj__split *splits, size_t count, pj_error *error)
{
	const pj_status status = pj__map_task(mapping, 0, splits, count, error);
	if (may_pass(status))
		return status;
	if (status) {
		/* What was found so far will do. */
		mapping->task->status = PJ_OK;
		mapping->task->face.next_slot = mapping->task->slots;
	}
	return PJ_OK;
}

static pj_status sample_split(pj__mapping *mapping, pj__split split, pj_error *error)
{
	return sample_splits(mapping, &split, 1, error);
}

/* Of compressed inputs there are fewer pieces, and no two of one split. */
static bool is_again(const pj__split *split, unsigned piece, const pj__split *last)
{
	return split->most && (piece % (PIECES / PACKED_PIECES) ||
			       (split->source == last->source && split->start == last->start && last->most));
}

/*
 * Each piece may bring its share of the keys, and what those before it left: the last ones must not go short. A
 * program, whose start is dear, gets all pieces at once.
 */
static pj_status sample_pieces(pj__mapping *mapping, const pj__plan *plan, struct sampler *sampler, pj_error *error)
{
	const bool at_once = mapping->job->mapper.command;
	const uint64_t bytes = plan->sources.bytes;
	pj__split splits[PIECES], last = {0};
	size_t count = 0;
	for (unsigned i = 0; i < PIECES; i++) {
		const uint64_t at = (uint64_t)((__uint128_t)bytes * i / PIECES),
			       end = (uint64_t)((__uint128_t)bytes * (i + 1) / PIECES);
		if (!piece_at(plan, at, end, at_once ? PIECE_OF_PROGRAM : PIECE, &splits[count]) ||
		    is_again(&splits[count], i, &last))
			continue;
		last = splits[count++];
		if (at_once)
			continue;
		sampler->keys_most = (size_t)KEYS_MOST / PIECES * (i + 1);
		sampler->bytes_most = (size_t)BYTES_MOST / PIECES * (i + 1);
		const pj_status status = sample_split(mapping, last, error);
		if (status)
			return status;
	}
	return at_once && count ? sample_splits(mapping, splits, count, error) : PJ_OK;
}

pj_status pj__sample(const pj__setup *setup, pj_bytes params, const pj__plan *plan, pj__whereabouts *here,
		     const pj__split *given, pj__care care, pj_text *ret_sample, pj_error *error)
{
	const pj_aggregate *aggregate = setup->job.reducer.aggregate;
	struct sampler *sampler = pj__task_holder(sizeof *sampler);
	if (!sampler)
		return pj__no_memory(error, sizeof *sampler);
	pj__task_init(&sampler->task, pj__number_of(aggregate));
	sampler->task.params = params;
	sampler->task.part_of.is_sample = true;
	static const pj__target target = {.pair = take, .batch = take_batch, .number = take_long};
	pj__task_attach(&sampler->task, &target, sampler);
	sampler->once = pj__setup_combines(setup);
	sampler->own = &setup->job.keys;
	sampler->keys = ret_sample;
	sampler->keys_most = KEYS_MOST;
	sampler->bytes_most = BYTES_MOST;
	const pj_keys beginnings = {.compare = setup->job.keys.compare, .arg = setup->job.keys.arg};
	pj__mapping mapping;
	pj_status status = pj__mapping_init(&mapping, &setup->job, &sampler->task, &plan->sources, here, error);
	mapping.reader.longest = setup->options.memory / PJ__LONGEST_SHARE;
	mapping.reader.max_record = setup->options.max_record;
	mapping.care = care;
	mapping.keeps_batch = true; /* a failure drops it: what is left must not depend on the care */
	if (!status && given) {
		pj__split split = *given;
		if (split.end - split.start > STREAM_MOST)
			split.end = split.start + STREAM_MOST;
		status = sample_split(&mapping, split, error);
	} else if (!status) {
		status = sample_pieces(&mapping, plan, sampler, error);
	}
	if (!status && ret_sample->failed)
		status = pj__no_memory(error, BYTES_MOST);
	if (!status && setup->job.keys.compare)
		status = pj__sample_sort(ret_sample, &beginnings, error);
	pj__mapping_fini(&mapping);
	pj__task_fini(&sampler->task);
	free(sampler);
	return status;
}
