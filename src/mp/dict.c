/*
 * dict.c: the shared dict, see papjuice/manager.h. What makes its calls atomic is in region.h.
 *
 * The table of a dict is one block: entries in the order of insertion, then slots, a hash table with open addressing
 * over them (the layout of Python's dict since 3.6, after Raymond Hettinger's proposal on python-dev, December 2012):
 *
 *   | entry 0 | entry 1 | ... used | free ... |  slot 0 | slot 1 | ... | slot room-1 |
 *
 *   entry   hash, key cell, value cell
 *   slot    0: empty, else | number of the entry + 1, 32 bits | upper half of its hash, 32 bits |
 *
 * A search compares the half hash in the slot first, so that it touches one entry, the right one, nearly always. A
 * removed entry keeps its slot and its place, marked.
 *
 * When the entries are used up, the table is built anew without the removed ones, aside, of the size that fits, and put
 * in place with a handful of changes: growing needs no more journal than any other call. If the size would be the same,
 * or there is no memory for another table, the removed entries are taken out in place, one step to a transaction:
 *
 *   | a | b | c | (to) . . | (from) d | x | e | ... used |      x: removed
 *
 * The entry at `from` is copied to `to`, which nobody needs any more, then both move on; the order of the two lets the
 * step be repeated after a death. In the end the slots are made anew from the entries, which can be repeated, too.
 * While the region says that a dict is being compacted, nobody looks into it before that is finished.
 */
#include <xxhash.h>

#include "mp/object.h"

enum { SMALLEST_SLOTS = 8 };

static pj__entry *entries_of(const pj__region *region, const pj__object *dict)
{
	return pj__at(region, dict->table);
}

static uint64_t *slots_of(pj__entry *entries, uint64_t slots)
{
	return (uint64_t *)(entries + pj__dict_entries(slots));
}

static bool is_there(const pj__entry *entry)
{
	return pj__cell_kind(&entry->value) != PJ__REMOVED;
}

static uint64_t hash_of(const pj__region *region, pj_bytes key)
{
	return XXH3_64bits_withSeed(key.ptr, key.len, region->seed);
}

/* The entry of a key, or NULL. */
static pj__entry *find(const pj__region *region, const pj__object *dict, pj_bytes key, uint64_t hash)
{
	if (!dict->room)
		return NULL;
	pj__entry *entries = entries_of(region, dict);
	const uint64_t *slots = slots_of(entries, dict->room), mask = dict->room - 1;
	for (uint64_t at = hash & mask; slots[at]; at = (at + 1) & mask) {
		if (slots[at] >> 32 != hash >> 32)
			continue;
		pj__entry *entry = &entries[(uint32_t)slots[at] - 1];
		if (entry->hash == hash && is_there(entry) && pj_bytes_equal(pj__cell_bytes(region, &entry->key), key))
			return entry;
	}
	return NULL;
}

/* The slot for an entry that is not in the table yet. */
static uint64_t *empty_slot(uint64_t *slots, uint64_t room, uint64_t hash)
{
	uint64_t at = hash & (room - 1);
	while (slots[at])
		at = (at + 1) & (room - 1);
	return &slots[at];
}

static uint64_t slot_value(uint64_t hash, uint64_t number)
{
	return hash >> 32 << 32 | (number + 1);
}

static void fill_slots(const pj__entry *entries, uint64_t count, uint64_t *slots, uint64_t room)
{
	memset(slots, 0, (size_t)room * sizeof *slots);
	for (uint64_t i = 0; i < count; i++)
		*empty_slot(slots, room, entries[i].hash) = slot_value(entries[i].hash, i);
}

void pj__dict_compact(pj__region *region)
{
	pj__object *dict = pj__at(region, region->compacting);
	pj__entry *entries = entries_of(region, dict);
	while (region->compact_from < dict->used) {
		const uint64_t from = region->compact_from, to = region->compact_to;
		if (is_there(&entries[from])) {
			if (from != to)
				entries[to] = entries[from];
			pj__change(region, &region->compact_to, to + 1);
		}
		pj__change(region, &region->compact_from, from + 1);
		pj__commit(region);
	}
	fill_slots(entries, region->compact_to, slots_of(entries, dict->room), dict->room);
	pj__change(region, &dict->used, region->compact_to);
	pj__change(region, &region->compacting, 0);
	pj__commit(region);
}

static bool compact(pj__region *region, pj__object *dict)
{
	if (dict->count == dict->used)
		return false;
	pj__change(region, &region->compact_from, 0);
	pj__change(region, &region->compact_to, 0);
	pj__change(region, &region->compacting, pj__offset_of(region, dict));
	pj__commit(region);
	pj__dict_compact(region);
	return true;
}

/* Makes room for half as many keys again, or a little at least. Transactions of its own. False: no room. */
static bool grow(pj__region *region, pj__object *dict)
{
	const uint64_t needed = dict->count + dict->count / 2 + 1;
	uint64_t room = SMALLEST_SLOTS, used = 0;
	while (pj__dict_entries(room) < needed)
		room *= 2;
	if (room == dict->room || room > UINT32_MAX)
		return compact(region, dict);
	const uint64_t table = pj__alloc(region, (size_t)pj__dict_table_size(room));
	if (!table) {
		pj__rollback(region);
		return compact(region, dict);
	}
	pj__entry *entries = pj__at(region, table);
	const pj__entry *old = entries_of(region, dict);
	for (uint64_t i = 0; i < dict->used; i++)
		if (is_there(&old[i]))
			entries[used++] = old[i];
	fill_slots(entries, used, slots_of(entries, room), room);
	const uint64_t old_table = dict->table, old_room = dict->room;
	pj__change(region, &dict->table, table);
	pj__change(region, &dict->used, used);
	pj__change(region, &dict->room, room);
	if (old_table)
		pj__free(region, old_table, (size_t)pj__dict_table_size(old_room));
	pj__commit(region);
	return true;
}

/* Sees to it that one more entry fits, before the transaction of the call begins. */
static bool make_room(pj__region *region, pj__object *dict)
{
	return dict->used < pj__dict_entries(dict->room) || grow(region, dict);
}

/* Inserts a key that is not there, with a value cell that was made in this transaction; there is room. */
static bool insert(pj__region *region, pj__object *dict, pj_bytes key, uint64_t hash, pj__cell value)
{
	pj__cell key_cell;
	if (!pj__cell_make(region, key, &key_cell))
		return false;
	pj__entry *entries = entries_of(region, dict);
	/* beyond `used` nobody looks */
	entries[dict->used] = (pj__entry){hash, key_cell, value};
	pj__change(region, empty_slot(slots_of(entries, dict->room), dict->room, hash), slot_value(hash, dict->used));
	pj__change(region, &dict->used, dict->used + 1);
	pj__change(region, &dict->count, dict->count + 1);
	return true;
}

static void remove_entry(pj__region *region, pj__object *dict, pj__entry *entry)
{
	const pj__entry was = *entry;
	pj__change(region, &entry->value.meta, (uint64_t)PJ__REMOVED << 56);
	pj__change(region, &dict->count, dict->count - 1);
	pj__cell_free(region, was.key);
	pj__cell_free(region, was.value);
}

static pj_status enter(pj_dict dict, pj__object **ret_object, pj_error *error)
{
	return pj__enter(dict.manager, PJ_DICT, dict.offset, dict.serial, ret_object, error);
}

/* Enters and looks for a key; *hash and *entry (NULL: not there) are set. */
static pj_status enter_and_find(pj_dict dict, pj_bytes key, pj__object **ret_object, uint64_t *ret_hash,
				pj__entry **ret_entry, pj_error *error)
{
	if (PJ_UNLIKELY(!dict.manager))
		return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "this is no dict of a manager");
	const pj__region *region = dict.manager->region;
	*ret_hash = hash_of(region, key); /* before the lock: the seed never changes */
	const pj_status status = enter(dict, ret_object, error);
	if (!status)
		*ret_entry = find(region, *ret_object, key, *ret_hash);
	return status;
}

static pj_status no_such_key(pj_bytes key, pj_error *error)
{
	return pj__fail(error, PJ_ERR_NOT_FOUND, 0, NULL, "the dict has no key \"%.*s\"",
			key.len < 100 ? (int)key.len : 100, key.len ? key.ptr : "");
}

static pj_status not_of_kind(pj_bytes key, const char *kind, pj_error *error)
{
	return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "the value of \"%.*s\" is no %s",
			key.len < 100 ? (int)key.len : 100, key.len ? key.ptr : "", kind);
}

/* `entry` is the key's, or NULL. */
static bool set(pj__region *region, pj__object *dict, pj__entry *entry, pj_bytes key, uint64_t hash, pj_bytes value)
{
	pj__cell cell;
	if (!entry)
		return make_room(region, dict) && pj__cell_make(region, value, &cell) &&
		       insert(region, dict, key, hash, cell);
	if (!pj__cell_make(region, value, &cell))
		return false;
	const pj__cell old = entry->value;
	pj__cell_change(region, &entry->value, cell);
	pj__cell_free(region, old);
	return true;
}

pj_status pj_dict_set(pj_dict dict, pj_bytes key, pj_bytes value, pj_error *error)
{
	pj__object *object;
	pj__entry *entry;
	uint64_t hash;
	pj_status status = enter_and_find(dict, key, &object, &hash, &entry, error);
	if (status)
		return status;
	pj__region *region = dict.manager->region;
	const bool done = set(region, object, entry, key, hash, value) ||
			  (pj__sweep(region) && set(region, object, entry, key, hash, value));
	return pj__leave(dict.manager, done ? PJ_OK : pj__manager_full(dict.manager, error));
}

/* get, pop and remove: `buffer` NULL: the value is not wanted. */
static pj_status take(pj_dict dict, pj_bytes key, pj_buffer *buffer, bool removing, pj_error *error)
{
	pj__object *object;
	pj__entry *entry;
	uint64_t hash;
	pj_status status = enter_and_find(dict, key, &object, &hash, &entry, error);
	if (status)
		return status;
	pj__region *region = dict.manager->region;
	if (!entry)
		status = no_such_key(key, error);
	else if (buffer && pj__cell_kind(&entry->value) != PJ_BYTES)
		status = not_of_kind(key, "bytes", error);
	else if (buffer && !pj__copy_out(pj__cell_bytes(region, &entry->value), buffer))
		status = pj__no_memory(error, pj__cell_len(&entry->value));
	else if (removing)
		remove_entry(region, object, entry);
	return pj__leave(dict.manager, status);
}

pj_status pj_dict_get(pj_dict dict, pj_bytes key, pj_buffer *value, pj_error *error)
{
	return take(dict, key, value, false, error);
}

pj_status pj_dict_remove(pj_dict dict, pj_bytes key, pj_error *error)
{
	return take(dict, key, NULL, true, error);
}

pj_status pj_dict_pop(pj_dict dict, pj_bytes key, pj_buffer *value, pj_error *error)
{
	return take(dict, key, value, true, error);
}

pj_status pj_dict_contains(pj_dict dict, pj_bytes key, bool *ret_contains, pj_error *error)
{
	pj__object *object;
	pj__entry *entry;
	uint64_t hash;
	const pj_status status = enter_and_find(dict, key, &object, &hash, &entry, error);
	if (status)
		return status;
	*ret_contains = entry != NULL;
	return pj__leave(dict.manager, PJ_OK);
}

pj_status pj_dict_count(pj_dict dict, size_t *ret_count, pj_error *error)
{
	pj__object *object;
	const pj_status status = enter(dict, &object, error);
	if (status)
		return status;
	*ret_count = (size_t)object->count;
	return pj__leave(dict.manager, PJ_OK);
}

static bool is_number(const pj__entry *entry)
{
	return entry->value.meta == sizeof(int64_t); /* bytes, of that length: they lie in the cell */
}

pj_status pj_dict_set_i64(pj_dict dict, pj_bytes key, int64_t value, pj_error *error)
{
	return pj_dict_set(dict, key, (pj_bytes){(const char *)&value, sizeof value}, error);
}

pj_status pj_dict_get_i64(pj_dict dict, pj_bytes key, int64_t *ret_value, pj_error *error)
{
	pj__object *object;
	pj__entry *entry;
	uint64_t hash;
	pj_status status = enter_and_find(dict, key, &object, &hash, &entry, error);
	if (status)
		return status;
	if (!entry)
		status = no_such_key(key, error);
	else if (!is_number(entry))
		status = not_of_kind(key, "number of 8 bytes", error);
	else
		*ret_value = (int64_t)entry->value.word;
	return pj__leave(dict.manager, status);
}

pj_status pj_dict_add_i64(pj_dict dict, pj_bytes key, int64_t addend, int64_t *ret_sum, pj_error *error)
{
	pj__object *object;
	pj__entry *entry;
	uint64_t hash;
	int64_t sum = addend;
	pj_status status = enter_and_find(dict, key, &object, &hash, &entry, error);
	if (status)
		return status;
	pj__region *region = dict.manager->region;
	if (!entry) {
		const pj__cell cell = {(uint64_t)addend, sizeof addend};
		if (!make_room(region, object) || !insert(region, object, key, hash, cell))
			status = pj__manager_full(dict.manager, error);
	} else if (!is_number(entry)) {
		status = not_of_kind(key, "number of 8 bytes", error);
	} else if (__builtin_add_overflow((int64_t)entry->value.word, addend, &sum)) {
		status = pj__fail(error, PJ_ERR_USAGE, 0, NULL, "the sum does not fit 64 bits");
	} else {
		pj__change(region, &entry->value.word, (uint64_t)sum);
	}
	if (!status && ret_sum)
		*ret_sum = sum;
	return pj__leave(dict.manager, status);
}

/* Inserts a key whose value is a new object; NULL: no room. */
static const pj__object *insert_nested(pj__region *region, pj__object *dict, pj_bytes key, uint64_t hash, pj_kind kind)
{
	const pj__object *value = make_room(region, dict) ? pj__object_make(region, kind, true) : NULL;
	if (!value)
		return NULL;
	const pj__cell cell = {pj__offset_of(region, value), (uint64_t)kind << 56};
	return insert(region, dict, key, hash, cell) ? value : NULL;
}

/* Gets or makes the object that is the value of a key. */
static pj_status nested(pj_dict dict, pj_bytes key, pj_kind kind, uint64_t *ret_offset, uint64_t *ret_serial,
			pj_error *error)
{
	pj__object *object;
	pj__entry *entry;
	uint64_t hash;
	pj_status status = enter_and_find(dict, key, &object, &hash, &entry, error);
	if (status)
		return status;
	pj__region *region = dict.manager->region;
	const pj__object *value = NULL;
	if (entry && pj__cell_kind(&entry->value) != (unsigned)kind) {
		status = not_of_kind(key, kind == PJ_LIST ? "list" : "dict", error);
	} else if (entry) {
		value = pj__at(region, entry->value.word);
	} else {
		value = insert_nested(region, object, key, hash, kind);
		if (!value && pj__sweep(region))
			value = insert_nested(region, object, key, hash, kind);
		if (!value)
			status = pj__manager_full(dict.manager, error);
	}
	if (!status) {
		*ret_offset = pj__offset_of(region, value);
		*ret_serial = pj__object_serial(value);
	}
	return pj__leave(dict.manager, status);
}

pj_status pj_dict_list(pj_dict dict, pj_bytes key, pj_list *ret_list, pj_error *error)
{
	pj_list list = {.manager = dict.manager};
	const pj_status status = nested(dict, key, PJ_LIST, &list.offset, &list.serial, error);
	if (!status)
		*ret_list = list;
	return status;
}

pj_status pj_dict_dict(pj_dict dict, pj_bytes key, pj_dict *ret_dict, pj_error *error)
{
	pj_dict value = {.manager = dict.manager};
	const pj_status status = nested(dict, key, PJ_DICT, &value.offset, &value.serial, error);
	if (!status)
		*ret_dict = value;
	return status;
}

static bool next(pj_manager *manager, const pj__object *dict, uint64_t *cursor, pj_item *item)
{
	const pj__entry *entries = entries_of(manager->region, dict);
	while (*cursor < dict->used) {
		const pj__entry *entry = &entries[(*cursor)++];
		if (is_there(entry)) {
			pj__item_fill(manager, item, &entry->key, &entry->value);
			return true;
		}
	}
	return false;
}

pj_status pj_dict_items(pj_dict dict, pj_items **ret_items, pj_error *error)
{
	pj__object *object;
	pj_status status = enter(dict, &object, error);
	if (status)
		return status;
	size_t bytes = 0;
	pj_item item, *copies;
	char *to;
	for (uint64_t cursor = 0; next(dict.manager, object, &cursor, &item);)
		bytes += item.key.len + item.value.len;
	pj_items *items = pj__items_make((size_t)object->count, bytes, &copies, &to);
	if (items) {
		for (uint64_t cursor = 0; next(dict.manager, object, &cursor, copies); copies++)
			pj__item_copy(copies, &to);
		*ret_items = items;
	} else {
		status = pj__no_memory(error, bytes);
	}
	return pj__leave(dict.manager, status);
}

bool pj_dict_walk(pj_dict dict, uint64_t *cursor, pj_item *ret_item)
{
	const pj__object *object = pj__object_find(dict.manager, PJ_DICT, dict.offset, dict.serial);
	return object && next(dict.manager, object, cursor, ret_item);
}

pj_status pj_dict_destroy(pj_dict dict, pj_error *error)
{
	pj__object *object;
	pj_status status = enter(dict, &object, error);
	if (status)
		return status;
	if (object->head & PJ__HEAD_NESTED)
		status = pj__fail(error, PJ_ERR_USAGE, 0, NULL, "the dict is the value of a key: remove that");
	else
		pj__object_remove(dict.manager->region, object);
	return pj__leave(dict.manager, status);
}
