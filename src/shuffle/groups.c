/*
 * groups.c: see groups.h.
 *
 * A value that was handed out lives until the next one is asked for, so stepping on is put off until then.
 */
#include "shuffle/groups.h"

#include <stdlib.h>

#include "base/fault.h"
#include "base/grow.h"
#include "run/passes.h"
#include "shuffle/reference.h"

/* An item and its room for the sort; pairs whose memory is asked for ahead. */
enum { ITEM_BYTES = 2 * sizeof(pj__item), AHEAD = 24, LEAST_BYTES = 2 * PJ__BLOCK_BYTES };

/* ------------------------------------------------------------------------------------------------- handing out */

/* The pair of an item: a reference, or a record in the data. */
static inline void pair_at(const pj__groups *groups, uint64_t at, pj_bytes *ret_key, pj_bytes *ret_value)
{
	*ret_key = *ret_value = (pj_bytes){NULL, 0};
	if (pj__is_reference(at))
		*ret_key = pj__referred(at);
	else
		(void)pj__get_record((const char *)(uintptr_t)at, groups->data.at + groups->data.bytes, ret_key,
				     ret_value, NULL);
}

static void take_pair(pj__groups *groups, uint64_t at)
{
	pair_at(groups, at, &groups->key, &groups->value);
}

/* Asks for the memory of a pair that will be taken soon. */
static inline void ask_for(uint64_t at)
{
	const pj_bytes key = pj__referred(at);
	__builtin_prefetch(key.ptr);
	__builtin_prefetch(key.ptr + 64);
	if (key.len > 64)
		__builtin_prefetch(key.ptr + key.len - 1);
}

/* Brings the pair at hand of the merge to memory. */
static pj_status load_merged(pj__groups *groups, pj_error *error)
{
	const pj_status status = pj__merge_load(&groups->merge, error);
	groups->key = groups->merge.key;
	groups->value = groups->merge.value;
	return status;
}

/* Steps to the next pair of the merge. A long one of another key waits: the group's key lies where it would go. */
static pj_status step_merge(pj__groups *groups, pj_error *error)
{
	bool loads = true;
	pj_status status = pj__merge_step(&groups->merge, &groups->more, error);
	if (!status && groups->more && groups->merge.waits)
		status = pj__merge_is_key(&groups->merge, groups->group_key, &loads, error);
	return !status && groups->more && loads ? load_merged(groups, error) : status;
}

/* Steps to the next pair. */
static pj_status step(pj__groups *groups, pj_error *error)
{
	if (groups->merging) {
		PJ_FAULT("merge");
		return step_merge(groups, error);
	}
	const pj__item *items = (const pj__item *)(void *)groups->items.at;
	if (groups->chains.next) {
		uint64_t at;
		groups->more = pj__chains_step(&groups->chains, &at);
		if (groups->more)
			take_pair(groups, at);
		return PJ_OK;
	}
	groups->more = groups->at < groups->count;
	if (!groups->more)
		return PJ_OK;
	if (groups->at + AHEAD < groups->count)
		ask_for(items[groups->at + AHEAD].at);
	take_pair(groups, items[groups->at++].at);
	return PJ_OK;
}

/* Does the pair at hand belong to the group at hand? */
static inline bool is_in_group(const pj__groups *groups, bool by_bytes)
{
	if (groups->chains.next)
		return !groups->chains.fresh;
	if (groups->merge.waits)
		return false;
	return by_bytes ? pj_bytes_equal(groups->key, groups->group_key)
			: !pj__keys_compare(groups->keys, pj__keys_beginning(groups->keys, groups->key),
					    groups->beginning);
}

/* Takes the value at hand: it was stepped to, unless it was the first of its group. */
static inline int take_value(pj_values *values, pj_bytes *ret_value, bool by_bytes)
{
	pj__groups *groups = (pj__groups *)values;
	if (!groups->in_group)
		return 0;
	if (!groups->more) {
		pj_error error;
		const pj_status status = step(groups, &error);
		if (status) {
			pj__task_failed(values->task, status, &error);
			groups->in_group = false;
			return 0;
		}
		groups->in_group = groups->more && is_in_group(groups, by_bytes);
		if (!groups->in_group)
			return 0;
	}
	*ret_value = groups->value;
	groups->more = false;
	++*values->task->progress;
	return 1;
}

static int next_value(pj_values *values, pj_bytes *ret_value)
{
	return take_value(values, ret_value, true);
}

static int next_value_of_keys(pj_values *values, pj_bytes *ret_value)
{
	return take_value(values, ret_value, false);
}

static pj_bytes key_of_value(const pj_values *values)
{
	const pj__groups *groups = (const pj__groups *)values;
	return groups->in_group ? groups->key : groups->group_key;
}

/* The pair at hand begins a group: keeps its key. Those in memory and those of long records stay where they are. */
static pj_status keep_key(pj__groups *groups, pj_error *error)
{
	if (groups->merge.waits) {
		const pj_status status = load_merged(groups, error);
		if (status)
			return status;
	}
	groups->group_key = groups->key;
	if (groups->merging && groups->key.ptr != groups->merge.record.at) {
		pj__text_reset(&groups->kept_key);
		pj_text_bytes(&groups->kept_key, groups->key);
		if (groups->kept_key.failed)
			return pj__no_memory(error, groups->key.len);
		groups->group_key = pj__text_all(&groups->kept_key);
	}
	if (groups->keys)
		groups->beginning = pj__keys_beginning(groups->keys, groups->group_key);
	return PJ_OK;
}

pj_status pj__groups_next(pj__groups *groups, bool *ret_more, pj_bytes *ret_key, pj_error *error)
{
	pj_bytes unused;
	while (groups->values.next(&groups->values, &unused))
		;
	if (groups->values.task->status) {
		if (error)
			*error = groups->values.task->error;
		return groups->values.task->status;
	}
	*ret_more = groups->more;
	if (!groups->more)
		return PJ_OK;
	const pj_status status = keep_key(groups, error);
	if (status)
		return status;
	*ret_key = groups->group_key;
	groups->in_group = true;
	return PJ_OK;
}

pj_status pj__groups_pair(pj__groups *groups, bool *ret_more, bool *ret_fresh, pj_error *error)
{
	const bool first = !groups->in_group;
	const pj_status status = first ? PJ_OK : step(groups, error);
	if (status)
		return status;
	*ret_more = groups->in_group = groups->more;
	*ret_fresh = groups->more && (first || !is_in_group(groups, pj__keys_are_bytes(groups->keys)));
	if (groups->more && !*ret_fresh && groups->view)
		groups->key = groups->group_key; /* the same bytes, and at hand */
	return *ret_fresh ? keep_key(groups, error) : PJ_OK;
}

/* ------------------------------------------------------------------------------------------------------ sorting */

static pj_bytes key_at(const void *groups, uint64_t at)
{
	pj_bytes key, value;
	pair_at(groups, at, &key, &value);
	return key;
}

/* The item of a record; if it is a reference its prefix is not known yet. */
static inline pj__item item_of(const pj__groups *groups, const char *record, pj_bytes key, pj_bytes value)
{
	uint64_t word;
	if (!groups->view || key.len || value.len != sizeof word)
		return (pj__item){pj__prefix(key, 0), (uintptr_t)record};
	memcpy(&word, value.ptr, sizeof word);
	word += (uintptr_t)groups->view;
	return (pj__item){0, word};
}

/*
 * Brings together what items refer to, if there is memory for it: it is looked at several times, and each time that it
 * is looked for anywhere in the inputs is dear. Sets the prefixes.
 */
static void fetch_keys(pj__groups *groups, size_t bytes)
{
	pj__item *items = (pj__item *)(void *)groups->items.at;
	const uint64_t used = groups->data.bytes + groups->items.bytes, most = groups->memory_bytes;
	const bool fits = used < most && bytes < most - used;
	char *to = fits && !pj__space_need(&groups->text, bytes, NULL) ? groups->text.at : NULL;
	for (size_t i = 0; i < groups->count; i++) {
		const pj_bytes key = pj__referred(items[i].at);
		if (i + AHEAD < groups->count)
			ask_for(items[i + AHEAD].at);
		if (!key.len)
			continue;
		items[i].prefix = pj__prefix(key, 0);
		if (!to)
			continue;
		memcpy(to, key.ptr, key.len);
		items[i].at = pj__reference((uintptr_t)to, key.len);
		to += key.len;
	}
}

/* Makes items of the whole records among `bytes` bytes of the data, as many as fit. Returns where the last one ends. */
static size_t list_records(pj__groups *groups, size_t bytes, size_t room)
{
	pj__item *items = (pj__item *)(void *)groups->items.at;
	const char *const data = groups->data.at, *const end = data + bytes;
	const char *at = data;
	size_t count = 0, referred = 0;
	while (at < end && count < room) {
		pj_bytes key, value;
		const char *next = pj__get_record(at, end, &key, &value, NULL);
		if (!next)
			break;
		items[count] = item_of(groups, at, key, value);
		referred += pj__referred(items[count++].at).len;
		at = next;
	}
	groups->count = count;
	if (groups->view)
		fetch_keys(groups, referred);
	return (size_t)(at - data);
}

static void sort_items(pj__groups *groups)
{
	pj__item *items = (pj__item *)(void *)groups->items.at;
	if (groups->keys)
		pj__keys_sort(groups->keys, items, groups->count, items + groups->count,
			      groups->data.at + groups->data.bytes);
	else
		pj__sort(items, groups->count, items + groups->count, key_at, groups);
	groups->at = 0;
}

/* The whole bucket, in memory. */
static pj_status load(pj__groups *groups, const pj__run *runs, const pj__segment *segments, size_t count,
		      uint64_t bytes, uint64_t pairs, pj_error *error)
{
	pj_status status = pj__space_need(&groups->data, bytes + bytes / 4, error); /* the next one may be larger */
	if (!status)
		status = pj__space_need(&groups->items, (pairs + pairs / 4 + 1) * ITEM_BYTES, error);
	size_t used = 0;
	for (size_t i = 0; i < count && !status; i++) {
		if (!segments[i].bytes)
			continue;
		status = pj__run_read(&runs[i], &segments[i], groups->data.at + used, error);
		used += segments[i].bytes;
	}
	if (status)
		return status;
	if (list_records(groups, used, pairs) != used || groups->count != pairs)
		return pj__run_corrupt(&runs[0], segments[0].offset, "there are more or fewer pairs than said", error);
	pj__item *items = (pj__item *)(void *)groups->items.at;
	if (groups->keys || !pj__chains_make(&groups->chains, items, pairs, key_at, groups))
		sort_items(groups);
	return PJ_OK;
}

/* ---------------------------------------------------------------------------------------------- more than memory */

/* A bucket on its way through memory, piece by piece, to the scratch. */
struct pieces {
	pj__run *runs;
	pj__segment *segments;
	size_t count, run_capacity, segment_capacity;
	size_t data_bytes, most; /* of a piece: bytes, and items */
	size_t held;             /* bytes in the data */
	char *scratch;           /* of the reader */
};

/* Sorts the whole records that are held, writes them as a run, and moves the rest to the front. */
static pj_status write_piece(pj__groups *groups, struct pieces *pieces, pj_error *error)
{
	pj__store *store = groups->store;
	const size_t listed = list_records(groups, pieces->held, pieces->most);
	if (!groups->count)
		return PJ_OK;
	sort_items(groups);
	pj_status status =
		pj__grow(&pieces->runs, &pieces->run_capacity, pieces->count + 1, sizeof *pieces->runs, error);
	if (!status)
		status = pj__grow(&pieces->segments, &pieces->segment_capacity, pieces->count + 1,
				  sizeof *pieces->segments, error);
	if (!status)
		status = pj__packer_begin(&store->packer, store->scratch, store->scratch_end, error);
	while (!status) {
		status = step(groups, error);
		if (status || !groups->more)
			break;
		status = pj__packer_add(&store->packer, groups->key, groups->value, error);
	}
	pj__run *run = status ? NULL : &pieces->runs[pieces->count];
	if (!status)
		status = pj__packer_finish(&store->packer, run, &pieces->segments[pieces->count], error);
	if (status)
		return status;
	pieces->count++;
	store->scratch_end = run->offset + run->bytes;
	store->spilled += run->bytes;
	pieces->held -= listed;
	memmove(groups->data.at, groups->data.at + listed, pieces->held);
	++*groups->values.task->progress;
	return PJ_OK;
}

/* Makes room for `least` more bytes: writes a piece, or, where a record is longer than the room, makes it larger. */
static pj_status make_room(pj__groups *groups, struct pieces *pieces, size_t least, pj_error *error)
{
	while (pieces->data_bytes - pieces->held < least) {
		const size_t before = pieces->held;
		pj_status status = write_piece(groups, pieces, error);
		if (status)
			return status;
		if (pieces->held < before)
			continue;
		/* no more than the record needs, if its head is there and tells */
		size_t needed = 0;
		pj_bytes key, value;
		(void)pj__get_record(groups->data.at, groups->data.at + before, &key, &value, &needed);
		if (needed < before)
			needed = before;
		if (needed > SIZE_MAX - least)
			return pj__no_memory(error, needed);
		pieces->data_bytes = needed + least;
		status = pj__space_grow(&groups->data, pieces->data_bytes, before, error);
		if (status)
			return status;
	}
	return PJ_OK;
}

static pj_status read_segment(pj__groups *groups, struct pieces *pieces, const pj__run *run, const pj__segment *segment,
			      pj_error *error)
{
	pj__unpacker unpacker;
	pj_status status = PJ_OK;
	pj__unpacker_init(&unpacker, run, segment, pieces->scratch);
	while (!status && unpacker.read < segment->bytes) {
		size_t got = 0;
		status = make_room(groups, pieces, pj__unpacker_least(&unpacker), error);
		if (!status)
			status = pj__unpacker_read(&unpacker, groups->data.at + pieces->held,
						   pieces->data_bytes - pieces->held, &got, error);
		pieces->held += got;
	}
	pj__unpacker_fini(&unpacker);
	return status;
}

/* Writes the bucket to the scratch as sorted pieces. */
static pj_status write_pieces(pj__groups *groups, struct pieces *pieces, const pj__run *runs,
			      const pj__segment *segments, size_t count, pj_error *error)
{
	pj_status status = pj__store_scratch(groups->store, error);
	if (!status)
		status = pj__space_need(&groups->data, pieces->data_bytes, error);
	if (!status)
		status = pj__space_need(&groups->items, pieces->most * ITEM_BYTES, error);
	pieces->scratch = malloc(PJ__UNPACKER_SCRATCH);
	if (!status && !pieces->scratch)
		status = pj__no_memory(error, PJ__UNPACKER_SCRATCH);
	for (size_t i = 0; i < count && !status; i++)
		if (segments[i].bytes)
			status = read_segment(groups, pieces, &runs[i], &segments[i], error);
	while (!status && pieces->held) {
		const size_t before = pieces->held;
		status = write_piece(groups, pieces, error);
		if (!status && pieces->held == before)
			status = pj__run_corrupt(&runs[0], segments[0].offset, "a record is cut off", error);
	}
	free(pieces->scratch);
	return status;
}

static pj_status begin_merge(pj__groups *groups, struct pieces *pieces, pj_error *error)
{
	pj__store *store = groups->store;
	unsigned passes = 0;
	const uint64_t before = store->scratch_end;
	/* The merge has buffers of its own. */
	pj__space_fini(&groups->data);
	pj__space_fini(&groups->items);
	pj__space_fini(&groups->text);
	pj_status status =
		pj__merge_passes(groups->keys, pieces->runs, pieces->segments, &pieces->count, groups->memory_bytes,
				 store->scratch, &store->scratch_end, groups->values.task->progress, &passes, error);
	store->spilled += store->scratch_end - before;
	store->passes = store->passes > passes + 1 ? store->passes : passes + 1;
	for (size_t i = 0; i < pieces->count && !status; i++)
		status = pj__merge_add(&groups->merge, &pieces->runs[i], &pieces->segments[i], error);
	return status ? status : pj__merge_start(&groups->merge, groups->memory_bytes, error);
}

static pj_status sort_in_pieces(pj__groups *groups, const pj__run *runs, const pj__segment *segments, size_t count,
				uint64_t bytes, uint64_t pairs, pj_error *error)
{
	/* As many items as records of the usual length fit. */
	const double share = (double)bytes / ((double)bytes + (double)pairs * ITEM_BYTES);
	size_t data_bytes = (size_t)((double)groups->memory_bytes * share);
	data_bytes = data_bytes < LEAST_BYTES ? LEAST_BYTES : data_bytes;
	struct pieces pieces = {.data_bytes = data_bytes,
				.most = (size_t)((double)data_bytes * (double)pairs / (double)bytes) + 1};
	pj_status status = write_pieces(groups, &pieces, runs, segments, count, error);
	if (!status)
		status = begin_merge(groups, &pieces, error);
	groups->merging = true;
	free(pieces.runs);
	free(pieces.segments);
	return status;
}

/* --------------------------------------------------------------------------------------------------- the groups */

void pj__groups_init(pj__groups *groups, pj__task *task, pj__store *store, size_t memory_bytes)
{
	*groups =
		(pj__groups){.values = {next_value, task, key_of_value}, .store = store, .memory_bytes = memory_bytes};
	pj__merge_init(&groups->merge);
}

void pj__groups_fini(pj__groups *groups)
{
	pj__merge_fini(&groups->merge);
	pj__space_fini(&groups->data);
	pj__space_fini(&groups->items);
	pj__space_fini(&groups->text);
	pj__text_fini(&groups->kept_key);
}

void pj__groups_relieve(pj__groups *groups)
{
	pj__merge_fini(&groups->merge);
	pj__space_fini(&groups->data);
	pj__space_fini(&groups->items);
	pj__space_fini(&groups->text);
	pj__text_fini(&groups->kept_key);
	groups->more = groups->in_group = groups->merging = false;
	groups->chains.next = NULL;
}

pj_status pj__groups_begin(pj__groups *groups, const pj__run *runs, const pj__segment *segments, size_t count,
			   pj_error *error)
{
	uint64_t bytes = 0, pairs = 0;
	for (size_t i = 0; i < count; i++) {
		bytes += segments[i].bytes;
		pairs += segments[i].pairs;
	}
	pj__merge_fini(&groups->merge);
	groups->merge.keys = groups->keys;
	groups->values.next = pj__keys_are_bytes(groups->keys) ? next_value : next_value_of_keys;
	groups->in_group = groups->more = groups->merging = false;
	groups->group_key = (pj_bytes){NULL, 0};
	groups->count = groups->at = 0;
	groups->chains.next = NULL;
	if (!pairs)
		return PJ_OK;
	/* Memory that was touched stays, up to what a bucket may take. */
	if (groups->store && groups->data.bytes + groups->items.bytes + groups->text.bytes > groups->memory_bytes)
		pj__groups_relieve(groups);
	const bool fits = !groups->store ||
			  (bytes < groups->memory_bytes && pairs <= (groups->memory_bytes - bytes) / ITEM_BYTES);
	const pj_status status = fits ? load(groups, runs, segments, count, bytes, pairs, error)
				      : sort_in_pieces(groups, runs, segments, count, bytes, pairs, error);
	return status ? status : step(groups, error);
}
