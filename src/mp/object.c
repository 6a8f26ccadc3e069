/*
 * object.c: see object.h.
 */
#include "mp/object.h"

bool pj__cell_make(pj__region *region, pj_bytes bytes, pj__cell *ret_cell)
{
	pj__cell cell = {0, bytes.len};
	if (bytes.len >> 56)
		return false;
	if (bytes.len <= PJ__INLINE) {
		if (bytes.len)
			memcpy(&cell.word, bytes.ptr, bytes.len);
	} else {
		cell.word = pj__alloc(region, bytes.len);
		if (!cell.word)
			return false;
		memcpy(pj__at(region, cell.word), bytes.ptr, bytes.len);
	}
	*ret_cell = cell;
	return true;
}

void pj__cell_free(pj__region *region, pj__cell cell)
{
	const unsigned kind = pj__cell_kind(&cell);
	if (kind == PJ_LIST || kind == PJ_DICT)
		pj__object_remove(region, pj__at(region, cell.word));
	else if (kind == PJ_BYTES && pj__cell_len(&cell) > PJ__INLINE)
		pj__free(region, cell.word, pj__cell_len(&cell));
}

pj__object *pj__object_make(pj__region *region, pj_kind kind, bool nested)
{
	const uint64_t head = (uint64_t)kind | (nested ? PJ__HEAD_NESTED : 0);
	if (region->objects_free) {
		pj__object *object = pj__at(region, region->objects_free);
		pj__change(region, &region->objects_free, object->link);
		pj__change(region, &region->in_use, region->in_use + sizeof *object);
		pj__change(region, &object->link, 0);
		pj__change(region, &object->head, (pj__object_serial(object) + 1) << 8 | head);
		return object;
	}
	const uint64_t offset = pj__alloc(region, sizeof(pj__object));
	if (!offset)
		return NULL;
	pj__object *object = pj__at(region, offset);
	*object = (pj__object){.head = UINT64_C(1) << 8 | head};
	return object;
}

void pj__object_remove(pj__region *region, pj__object *object)
{
	pj__change(region, &object->head, object->head | PJ__HEAD_GARBAGE);
	pj__change(region, &object->link, region->garbage);
	pj__change(region, &region->garbage, pj__offset_of(region, object));
}

/* Frees the last entry or cell of a piece of garbage; the object's own table and itself when there is none left. */
static void free_a_piece(pj__region *region, pj__object *object)
{
	const bool dict = (object->head & PJ__HEAD_KIND) == PJ_DICT;
	if (object->used) {
		const uint64_t last = object->used - 1;
		pj__change(region, &object->used, last);
		if (dict) {
			const pj__entry *entry = (const pj__entry *)pj__at(region, object->table) + last;
			if (pj__cell_kind(&entry->value) != PJ__REMOVED) {
				pj__cell_free(region, entry->key);
				pj__cell_free(region, entry->value);
			}
		} else {
			pj__cell_free(region, ((const pj__cell *)pj__at(region, object->table))[last]);
		}
		return;
	}
	/* An entry that was an object is garbage itself, on top of this one, and comes first. So this one is on top. */
	pj__change(region, &region->garbage, object->link);
	pj__change(region, &object->link, region->objects_free);
	pj__change(region, &region->objects_free, pj__offset_of(region, object));
	pj__change(region, &region->in_use, region->in_use - sizeof *object);
	pj__change(region, &object->head, object->head & ~(uint64_t)0xff);
	pj__change(region, &object->count, 0);
	if (object->table)
		pj__free(region, object->table,
			 dict ? pj__dict_table_size(object->room) : object->room * sizeof(pj__cell));
	pj__change(region, &object->table, 0);
	pj__change(region, &object->room, 0);
}

/* Finishes, or undoes, what takes more than one transaction. */
static void tidy(pj__region *region)
{
	while (PJ_UNLIKELY(region->extending)) {
		pj__object *list = pj__at(region, region->extending);
		if (list->used > list->count) {
			const pj__cell *cells = pj__at(region, list->table);
			pj__change(region, &list->used, list->used - 1);
			pj__cell_free(region, cells[list->used]);
		} else {
			pj__change(region, &region->extending, 0);
		}
		pj__commit(region);
	}
	if (PJ_UNLIKELY(region->compacting))
		pj__dict_compact(region);
	while (PJ_UNLIKELY(region->garbage)) {
		free_a_piece(region, pj__at(region, region->garbage));
		pj__commit(region);
	}
}

pj_status pj__enter_region(pj_manager *manager, pj_error *error)
{
	pj__region *region = manager->region;
	bool owner_died;
	const int failed = pj__mutex_lock(&region->mutex, -1, &owner_died);
	if (PJ_UNLIKELY(failed))
		return pj__fail(error, PJ_ERR_INTERNAL, failed, NULL, "cannot enter a manager's memory");
	if (PJ_UNLIKELY(owner_died)) {
		pj__rollback(region);
		tidy(region);
		region->deaths++;
	}
	return PJ_OK;
}

pj__object *pj__object_find(const pj_manager *manager, pj_kind kind, uint64_t offset, uint64_t serial)
{
	const pj__region *region = manager->region;
	if (offset < region->begin || offset % 16 || offset > region->size - sizeof(pj__object))
		return NULL;
	pj__object *object = pj__at(region, offset);
	const uint64_t flags = PJ__HEAD_GARBAGE | PJ__HEAD_KIND;
	return object->head >> 8 == serial && (object->head & flags) == (uint64_t)kind ? object : NULL;
}

pj_status pj__enter(pj_manager *manager, pj_kind kind, uint64_t offset, uint64_t serial, pj__object **ret_object,
		    pj_error *error)
{
	if (PJ_UNLIKELY(!manager))
		return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "this is no dict or list of a manager");
	const pj_status status = pj__enter_region(manager, error);
	if (PJ_UNLIKELY(status))
		return status;
	pj__object *object = pj__object_find(manager, kind, offset, serial);
	if (PJ_UNLIKELY(!object)) {
		pj__mutex_unlock(&manager->region->mutex);
		return pj__fail(error, PJ_ERR_NOT_FOUND, 0, NULL, "the %s was removed",
				kind == PJ_DICT ? "dict" : "list");
	}
	*ret_object = object;
	return PJ_OK;
}

pj_status pj__leave(pj_manager *manager, pj_status status)
{
	pj__region *region = manager->region;
	if (status)
		pj__rollback(region);
	else
		pj__commit(region);
	tidy(region);
	pj__mutex_unlock(&region->mutex);
	return status;
}
