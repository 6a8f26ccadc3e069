/*
 * manager.c: see papjuice/manager.h. The manager's life, and what dicts and lists share in giving bytes out.
 * region.h and object.h explain how calls are atomic.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "base/io.h"
#include "mp/object.h"

enum { SMALLEST_BYTES = 64 * 1024 };

pj_status pj_manager_create(size_t bytes, pj_manager **ret_manager, pj_error *error)
{
	if (bytes < SMALLEST_BYTES || bytes >> PJ__LARGEST_BITS)
		return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "a manager needs at least %d bytes", SMALLEST_BYTES);
	pj_manager *manager = malloc(sizeof *manager);
	if (!manager)
		return pj__no_memory(error, sizeof *manager);
	void *address = NULL;
	pj_status status = pj__map_shared(bytes, &address, error);
	if (!status)
		status = pj__region_init(address, bytes, error);
	if (status) {
		if (address)
			munmap(address, bytes);
		free(manager);
		return status;
	}
	*manager = (pj_manager){address, bytes};
	*ret_manager = manager;
	return PJ_OK;
}

void pj_manager_destroy(pj_manager *manager)
{
	if (!manager)
		return;
	munmap(manager->region, manager->size);
	free(manager);
}

pj_status pj__manager_full(const pj_manager *manager, pj_error *error)
{
	pj__fail(error, PJ_ERR_MEMORY, 0, NULL, "a manager's memory is full");
	pj__error_reason(error, "%zu bytes", pj_manager_capacity(manager));
	pj__error_hint(error, "create the manager with more, or remove something");
	return PJ_ERR_MEMORY;
}

/* A new object that belongs to the manager's user. */
static pj_status make(pj_manager *manager, pj_kind kind, uint64_t *ret_offset, uint64_t *ret_serial, pj_error *error)
{
	if (!manager)
		return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "there is no manager");
	pj_status status = pj__enter_region(manager, error);
	if (status)
		return status;
	const pj__object *object = pj__object_make(manager->region, kind, false);
	if (object) {
		*ret_offset = pj__offset_of(manager->region, object);
		*ret_serial = pj__object_serial(object);
	} else {
		status = pj__manager_full(manager, error);
	}
	return pj__leave(manager, status);
}

pj_status pj_manager_dict(pj_manager *manager, pj_dict *ret_dict, pj_error *error)
{
	pj_dict dict = {.manager = manager};
	const pj_status status = make(manager, PJ_DICT, &dict.offset, &dict.serial, error);
	if (!status)
		*ret_dict = dict;
	return status;
}

pj_status pj_manager_list(pj_manager *manager, pj_list *ret_list, pj_error *error)
{
	pj_list list = {.manager = manager};
	const pj_status status = make(manager, PJ_LIST, &list.offset, &list.serial, error);
	if (!status)
		*ret_list = list;
	return status;
}

size_t pj_manager_used(pj_manager *manager)
{
	if (pj__enter_region(manager, NULL))
		return 0;
	const size_t used = (size_t)manager->region->in_use;
	pj__leave(manager, PJ_OK);
	return used;
}

size_t pj_manager_capacity(const pj_manager *manager)
{
	return (size_t)(manager->region->size - manager->region->begin);
}

uint64_t pj_manager_deaths(pj_manager *manager)
{
	if (pj__enter_region(manager, NULL))
		return 0;
	const uint64_t deaths = manager->region->deaths;
	pj__leave(manager, PJ_OK);
	return deaths;
}

bool pj__copy_out(pj_bytes bytes, pj_buffer *buffer)
{
	if (bytes.len > buffer->room || !buffer->ptr) {
		const size_t room = bytes.len < 64 ? 64 : bytes.len + bytes.len / 4;
		char *ptr = realloc(buffer->ptr, room);
		if (!ptr)
			return false;
		buffer->ptr = ptr;
		buffer->room = room;
	}
	if (bytes.len)
		memcpy(buffer->ptr, bytes.ptr, bytes.len);
	buffer->len = bytes.len;
	return true;
}

void pj_buffer_free(pj_buffer *buffer)
{
	free(buffer->ptr);
	*buffer = (pj_buffer){0};
}

void pj__item_fill(pj_manager *manager, pj_item *item, const pj__cell *key, const pj__cell *value)
{
	const pj__region *region = manager->region;
	*item = (pj_item){.kind = (pj_kind)pj__cell_kind(value)};
	if (key)
		item->key = pj__cell_bytes(region, key);
	if (item->kind == PJ_BYTES) {
		item->value = pj__cell_bytes(region, value);
		return;
	}
	const uint64_t serial = pj__object_serial(pj__at(region, value->word));
	if (item->kind == PJ_LIST)
		item->list = (pj_list){manager, value->word, serial};
	else
		item->dict = (pj_dict){manager, value->word, serial};
}

pj_items *pj__items_make(size_t count, size_t bytes, pj_item **ret_items, char **ret_bytes)
{
	pj_items *items = malloc(sizeof *items + count * sizeof(pj_item) + bytes);
	if (!items)
		return NULL;
	*ret_items = (pj_item *)(void *)(items + 1);
	*ret_bytes = (char *)(*ret_items + count);
	*items = (pj_items){count, *ret_items};
	return items;
}

static void copy_bytes(pj_bytes *what, char **to)
{
	if (what->len)
		memcpy(*to, what->ptr, what->len);
	what->ptr = *to;
	*to += what->len;
}

void pj__item_copy(pj_item *item, char **bytes)
{
	copy_bytes(&item->key, bytes);
	copy_bytes(&item->value, bytes);
}

void pj_items_destroy(pj_items *items)
{
	free(items);
}
