/*
 * manager_check.c: is everything in a manager's region where it belongs? For tests, and for doubt.
 *
 * A map with one bit per 16 bytes is filled: each object, its table, each long key and value and each free block marks
 * its part. A part that was marked before has two owners; what is not marked in the end, up to `bump`, is lost. Which
 * objects are not values is known to the manager's users alone, so the caller names them.
 */
#include <stdlib.h>

#include "mp/object.h"

struct check {
	const pj__region *region;
	unsigned char *marked; /* one bit for each 16 bytes */
	uint64_t in_use;       /* bytes of what objects own */
	uint64_t free;         /* bytes of free blocks, objects included */
	pj_error *error;
};

static pj_status wrong(struct check *check, const char *what, uint64_t offset)
{
	return pj__fail(check->error, PJ_ERR_CORRUPT, 0, NULL, "a manager's memory: %s at %llu", what,
			(unsigned long long)offset);
}

static pj_status mark(struct check *check, uint64_t offset, uint64_t size, uint64_t *sum)
{
	const uint64_t block = pj__block_size((size_t)size), bump = check->region->bump;
	if (offset < check->region->begin || offset % 16 || block > bump || offset > bump - block)
		return wrong(check, "a block outside", offset);
	for (uint64_t at = offset / 16; at < (offset + block) / 16; at++) {
		if (check->marked[at / 8] & 1u << at % 8)
			return wrong(check, "a block with two owners", offset);
		check->marked[at / 8] |= (unsigned char)(1u << at % 8);
	}
	*sum += block;
	return PJ_OK;
}

static pj_status check_object(struct check *check, uint64_t offset, unsigned kind, bool nested);

static pj_status check_cell(struct check *check, const pj__cell *cell)
{
	const unsigned kind = pj__cell_kind(cell);
	if (kind == PJ_LIST || kind == PJ_DICT)
		return check_object(check, cell->word, kind, true);
	if (kind != PJ_BYTES)
		return wrong(check, "an unknown kind", cell->word);
	const size_t len = pj__cell_len(cell);
	return len <= PJ__INLINE ? PJ_OK : mark(check, cell->word, len, &check->in_use);
}

static pj_status check_list(struct check *check, const pj__object *list)
{
	if (list->count != list->used || list->used > list->room)
		return wrong(check, "a list with wrong counts", pj__offset_of(check->region, list));
	const pj__cell *cells = pj__at(check->region, list->table);
	pj_status status = list->room ? mark(check, list->table, list->room * sizeof *cells, &check->in_use) : PJ_OK;
	for (uint64_t i = 0; i < list->count && !status; i++)
		status = pj__cell_kind(&cells[i]) == PJ_BYTES ? check_cell(check, &cells[i])
							      : wrong(check, "a list's element", i);
	return status;
}

/* Each slot names an entry, each entry is named by one slot that is found from its hash. */
static pj_status check_slots(struct check *check, const pj__object *dict, const pj__entry *entries)
{
	const uint64_t *slots = (const uint64_t *)(entries + pj__dict_entries(dict->room));
	uint64_t named = 0;
	for (uint64_t i = 0; i < dict->room; i++) {
		if (slots[i] && ((uint32_t)slots[i] == 0 || (uint32_t)slots[i] > dict->used))
			return wrong(check, "a slot without entry", i);
		named += slots[i] != 0;
	}
	if (named != dict->used)
		return wrong(check, "a dict whose slots and entries differ", pj__offset_of(check->region, dict));
	for (uint64_t i = 0; i < dict->used; i++) {
		uint64_t at = entries[i].hash & (dict->room - 1);
		while (slots[at] && (uint32_t)slots[at] != i + 1)
			at = (at + 1) & (dict->room - 1);
		if (!slots[at] || slots[at] >> 32 != entries[i].hash >> 32)
			return wrong(check, "an entry that is not found", i);
	}
	return PJ_OK;
}

static pj_status check_dict(struct check *check, const pj__object *dict)
{
	if (!dict->room)
		return dict->count || dict->used ? wrong(check, "a dict without table", dict->table) : PJ_OK;
	if (dict->room & (dict->room - 1) || dict->used > pj__dict_entries(dict->room))
		return wrong(check, "a dict with wrong counts", pj__offset_of(check->region, dict));
	pj_status status = mark(check, dict->table, pj__dict_table_size(dict->room), &check->in_use);
	const pj__entry *entries = pj__at(check->region, dict->table);
	uint64_t count = 0;
	if (!status)
		status = check_slots(check, dict, entries);
	for (uint64_t i = 0; i < dict->used && !status; i++) {
		if (pj__cell_kind(&entries[i].value) == PJ__REMOVED)
			continue;
		count++;
		status = check_cell(check, &entries[i].key);
		if (!status)
			status = check_cell(check, &entries[i].value);
	}
	if (!status && count != dict->count)
		status = wrong(check, "a dict that counts its keys wrongly", pj__offset_of(check->region, dict));
	return status;
}

static pj_status check_object(struct check *check, uint64_t offset, unsigned kind, bool nested)
{
	const pj_status status = mark(check, offset, sizeof(pj__object), &check->in_use);
	if (status)
		return status;
	const pj__object *object = pj__at(check->region, offset);
	if ((object->head & 0xff) != (kind | (nested ? PJ__HEAD_NESTED : 0u)))
		return wrong(check, "an object of another kind", offset);
	return kind == PJ_LIST ? check_list(check, object) : check_dict(check, object);
}

static pj_status check_free(struct check *check)
{
	const pj__region *region = check->region;
	pj_status status = PJ_OK;
	for (unsigned class = 0; class < PJ__CLASSES && !status; class ++) {
		const uint64_t size = pj__class_size(class);
		for (uint64_t at = region->heads[region->lists][class]; at && !status;
		     at = ((const uint64_t *)pj__at(region, at))[region->lists])
			status = mark(check, at, size, &check->free);
	}
	for (uint64_t at = region->objects_free; at && !status;) {
		status = mark(check, at, sizeof(pj__object), &check->free);
		const pj__object *object = pj__at(region, at);
		if (!status && (object->head & 0xff || object->table || object->used || object->count || object->room))
			status = wrong(check, "a free object that is not empty", at);
		at = object->link;
	}
	return status;
}

static pj_status check_all(struct check *check, const uint64_t *roots, size_t count)
{
	const pj__region *region = check->region;
	if (region->version != PJ__REGION_VERSION || region->bump < region->begin || region->bump > region->size)
		return wrong(check, "a spoilt head", 0);
	if (region->journal_count || region->garbage || region->extending || region->compacting)
		return wrong(check, "something unfinished", 0);
	pj_status status = PJ_OK;
	for (size_t i = 0; i < count && !status; i++) {
		const pj__object *root = pj__at(region, roots[i]);
		status = check_object(check, roots[i], (unsigned)root->head & PJ__HEAD_KIND, false);
	}
	if (!status)
		status = check_free(check);
	if (!status && check->in_use != region->in_use)
		status = wrong(check, "a wrong sum of bytes in use", check->in_use);
	if (!status && check->in_use + check->free != region->bump - region->begin)
		status = wrong(check, "lost memory, or unknown roots", check->in_use + check->free);
	return status;
}

pj_status pj__manager_check(pj_manager *manager, const uint64_t *roots, size_t count, pj_error *error)
{
	pj_status status = pj__enter_region(manager, error);
	if (status)
		return status;
	const pj__region *region = manager->region;
	struct check check = {.region = region, .marked = calloc(region->size / 128 + 1, 1), .error = error};
	status = check.marked ? check_all(&check, roots, count) : pj__no_memory(error, (size_t)region->size / 128);
	free(check.marked);
	pj__leave(manager, PJ_OK);
	return status;
}
