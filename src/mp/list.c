/*
 * list.c: the shared list, see papjuice/manager.h: an array of cells that grows. What makes its calls atomic is in
 * region.h; how extending by many elements is, in object.h.
 */
#include "mp/object.h"

static pj__cell *cells_of(const pj__region *region, const pj__object *list)
{
	return pj__at(region, list->table);
}

/* Sees to it that there is room for `count` more cells. A transaction of its own. False: there is none. */
static bool make_room(pj__region *region, pj__object *list, size_t count)
{
	if (count <= list->room - list->used)
		return true;
	const uint64_t needed = list->used + count;
	const uint64_t wanted = needed < 2 * list->room ? 2 * list->room : needed < 2 ? 2 : needed;
	if (wanted > region->size / sizeof(pj__cell))
		return false;
	const uint64_t room = pj__block_size((size_t)wanted * sizeof(pj__cell)) / sizeof(pj__cell);
	const uint64_t table = pj__alloc(region, (size_t)room * sizeof(pj__cell));
	if (!table) {
		pj__rollback(region);
		return false;
	}
	const uint64_t old_table = list->table, old_room = list->room;
	if (list->used)
		memcpy(pj__at(region, table), pj__at(region, old_table), (size_t)list->used * sizeof(pj__cell));
	pj__change(region, &list->table, table);
	pj__change(region, &list->room, room);
	if (old_table)
		pj__free(region, old_table, (size_t)old_room * sizeof(pj__cell));
	pj__commit(region);
	return true;
}

static pj_status enter(pj_list list, pj__object **ret_object, pj_error *error)
{
	return pj__enter(list.manager, PJ_LIST, list.offset, list.serial, ret_object, error);
}

/* Enters and finds a cell; PJ_ERR_NOT_FOUND: nothing is held. */
static pj_status enter_at(pj_list list, size_t index, pj__object **ret_object, pj__cell **ret_cell, pj_error *error)
{
	pj_status status = enter(list, ret_object, error);
	if (status)
		return status;
	if (index < (*ret_object)->count) {
		*ret_cell = &cells_of(list.manager->region, *ret_object)[index];
		return PJ_OK;
	}
	status = pj__fail(error, PJ_ERR_NOT_FOUND, 0, NULL, "the list has no element %zu", index);
	return pj__leave(list.manager, status);
}

pj_status pj_list_append(pj_list list, pj_bytes value, pj_error *error)
{
	pj__object *object;
	pj_status status = enter(list, &object, error);
	if (status)
		return status;
	pj__region *region = list.manager->region;
	pj__cell cell;
	if (make_room(region, object, 1) && pj__cell_make(region, value, &cell)) {
		cells_of(region, object)[object->used] = cell; /* beyond `used` nobody looks */
		pj__change(region, &object->used, object->used + 1);
		pj__change(region, &object->count, object->count + 1);
	} else {
		status = pj__manager_full(list.manager, error);
	}
	return pj__leave(list.manager, status);
}

pj_status pj_list_extend(pj_list list, const pj_bytes *values, size_t count, pj_error *error)
{
	pj__object *object;
	pj_status status = enter(list, &object, error);
	if (status)
		return status;
	pj__region *region = list.manager->region;
	bool fits = make_room(region, object, count);
	pj__change(region, &region->extending, pj__offset_of(region, object));
	pj__commit(region);
	for (size_t i = 0; i < count && fits; i++) {
		pj__cell cell;
		fits = pj__cell_make(region, values[i], &cell);
		if (!fits)
			break;
		cells_of(region, object)[object->used] = cell;
		pj__change(region, &object->used, object->used + 1);
		pj__commit(region);
	}
	if (fits) {
		pj__change(region, &object->count, object->used);
		pj__change(region, &region->extending, 0);
	} else {
		status = pj__manager_full(list.manager, error); /* leaving frees the cells, as after a death */
	}
	return pj__leave(list.manager, status);
}

pj_status pj_list_get(pj_list list, size_t index, pj_buffer *value, pj_error *error)
{
	pj__object *object;
	pj__cell *cell;
	pj_status status = enter_at(list, index, &object, &cell, error);
	if (status)
		return status;
	if (!pj__copy_out(pj__cell_bytes(list.manager->region, cell), value))
		status = pj__no_memory(error, pj__cell_len(cell));
	return pj__leave(list.manager, status);
}

pj_status pj_list_set(pj_list list, size_t index, pj_bytes value, pj_error *error)
{
	pj__object *object;
	pj__cell *place, cell;
	pj_status status = enter_at(list, index, &object, &place, error);
	if (status)
		return status;
	pj__region *region = list.manager->region;
	if (pj__cell_make(region, value, &cell)) {
		const pj__cell old = *place;
		pj__cell_change(region, place, cell);
		pj__cell_free(region, old);
	} else {
		status = pj__manager_full(list.manager, error);
	}
	return pj__leave(list.manager, status);
}

pj_status pj_list_count(pj_list list, size_t *ret_count, pj_error *error)
{
	pj__object *object;
	const pj_status status = enter(list, &object, error);
	if (status)
		return status;
	*ret_count = (size_t)object->count;
	return pj__leave(list.manager, PJ_OK);
}

pj_status pj_list_pop(pj_list list, pj_buffer *value, pj_error *error)
{
	pj__object *object;
	pj_status status = enter(list, &object, error);
	if (status)
		return status;
	pj__region *region = list.manager->region;
	if (!object->count) {
		status = pj__fail(error, PJ_ERR_NOT_FOUND, 0, NULL, "the list is empty");
		return pj__leave(list.manager, status);
	}
	const pj__cell last = cells_of(region, object)[object->count - 1];
	if (value && !pj__copy_out(pj__cell_bytes(region, &cells_of(region, object)[object->count - 1]), value)) {
		status = pj__no_memory(error, pj__cell_len(&last));
	} else {
		pj__change(region, &object->count, object->count - 1);
		pj__change(region, &object->used, object->used - 1);
		pj__cell_free(region, last);
	}
	return pj__leave(list.manager, status);
}

pj_status pj_list_items(pj_list list, pj_items **ret_items, pj_error *error)
{
	pj__object *object;
	pj_status status = enter(list, &object, error);
	if (status)
		return status;
	const pj__cell *cells = cells_of(list.manager->region, object);
	size_t bytes = 0;
	pj_item *copies;
	char *to;
	for (uint64_t i = 0; i < object->count; i++)
		bytes += pj__cell_len(&cells[i]);
	pj_items *items = pj__items_make((size_t)object->count, bytes, &copies, &to);
	if (items) {
		for (uint64_t i = 0; i < object->count; i++) {
			pj__item_fill(list.manager, &copies[i], NULL, &cells[i]);
			pj__item_copy(&copies[i], &to);
		}
		*ret_items = items;
	} else {
		status = pj__no_memory(error, bytes);
	}
	return pj__leave(list.manager, status);
}

bool pj_list_walk(pj_list list, uint64_t *cursor, pj_bytes *ret_value)
{
	const pj__object *object = pj__object_find(list.manager, PJ_LIST, list.offset, list.serial);
	if (!object || *cursor >= object->count)
		return false;
	*ret_value = pj__cell_bytes(list.manager->region, &cells_of(list.manager->region, object)[(*cursor)++]);
	return true;
}

pj_status pj_list_destroy(pj_list list, pj_error *error)
{
	pj__object *object;
	pj_status status = enter(list, &object, error);
	if (status)
		return status;
	if (object->head & PJ__HEAD_NESTED)
		status = pj__fail(error, PJ_ERR_USAGE, 0, NULL, "the list is the value of a key: remove that");
	else
		pj__object_remove(list.manager->region, object);
	return pj__leave(list.manager, status);
}
