/*
 * object.h: what lies in a manager's region: cells and objects, that is dicts and lists.
 *
 * A cell is 16 bytes and stands for a key, a value or an element:
 *
 *   | word, 8 bytes | length, 56 bits | kind, 8 bits |
 *
 *   bytes of up to 8    in the word itself
 *   longer bytes        in a block whose offset is the word
 *   a list, a dict      the word is the offset of the object
 *
 * An object is a header of 48 bytes. What it means depends on its kind:
 *
 *            list                                     dict
 *   head     serial (56 bits), flags and kind (8)     the same
 *   table    block of `room` cells                    block of entries and slots, see dict.c
 *   count    elements                                 keys
 *   used     cells that hold something, >= count      entries that were used, removed ones included
 *   room     cells in the table                       slots
 *   link     next in the list of free objects or of garbage
 *
 * The memory of a header is never used for anything else again, and its serial grows with each use. So a handle
 * (offset, serial) of an object that is gone is recognised for sure. Every object has one owner, the manager's user or
 * the one value that it is: they form trees.
 *
 * Work that takes more than one transaction leaves a note in the region; who comes next finishes it (pj__tidy), be it
 * the one who began or, after a death, another:
 *
 *   garbage     objects that were removed. The removal is complete with the one change that puts the object there; then
 *               its content is freed from the back, one entry to a transaction.
 *   compacting  a dict whose removed entries are taken out in place, see dict.c.
 *   extending   a list that is being extended: cells beyond `count` are filled one by one and become part of the list
 *               with the one change of `count`. After a death they are freed.
 */
#ifndef PJ_MP_OBJECT_H
#define PJ_MP_OBJECT_H

#include <papjuice/manager.h>

#include "mp/region.h"

struct pj_manager {
	pj__region *region;
	size_t size; /* of the mapping */
};

typedef struct pj__cell {
	uint64_t word;
	uint64_t meta;
} pj__cell;

typedef struct pj__object {
	uint64_t head, table, count, used, room, link;
} pj__object;

_Static_assert(sizeof(pj__cell) == 16 && sizeof(pj__object) == 48, "these lie in shared memory");

/* Entry of a dict's table; a removed one has the kind PJ__REMOVED. */
typedef struct pj__entry {
	uint64_t hash;
	pj__cell key, value;
} pj__entry;

enum {
	PJ__INLINE = 8,    /* longest bytes that lie in the cell */
	PJ__REMOVED = 255, /* as the kind of an entry's value */
	/* in the low byte of an object's head */
	PJ__HEAD_KIND = 0x0f,
	PJ__HEAD_NESTED = 0x10, /* it is a value */
	PJ__HEAD_GARBAGE = 0x20
};

static inline unsigned pj__cell_kind(const pj__cell *cell)
{
	return (unsigned)(cell->meta >> 56);
}

static inline size_t pj__cell_len(const pj__cell *cell)
{
	return (size_t)(cell->meta & ((UINT64_C(1) << 56) - 1));
}

/* The bytes of a cell of kind PJ_BYTES, where they lie. */
static inline pj_bytes pj__cell_bytes(const pj__region *region, const pj__cell *cell)
{
	const size_t len = pj__cell_len(cell);
	return (pj_bytes){len <= PJ__INLINE ? (const char *)&cell->word : pj__at(region, cell->word), len};
}

/* Makes a cell of bytes, outside of any table; false: no room. Part of the transaction. */
bool pj__cell_make(pj__region *region, pj_bytes bytes, pj__cell *ret_cell);

/* Puts a cell in the place of another, journalled. */
static inline void pj__cell_change(pj__region *region, pj__cell *place, pj__cell cell)
{
	pj__change(region, &place->word, cell.word);
	pj__change(region, &place->meta, cell.meta);
}

/* Frees what a cell stands for; the cell itself must be out of use. An object becomes garbage. In the transaction. */
void pj__cell_free(pj__region *region, pj__cell cell);

/*
 * Enters the manager's region for a call on the object of a handle: waits for the mutex and, after a death, puts things
 * in order. PJ_ERR_NOT_FOUND: there is no such object; nothing is held then.
 */
PJ_MUST_USE pj_status pj__enter(pj_manager *manager, pj_kind kind, uint64_t offset, uint64_t serial,
				pj__object **ret_object, pj_error *error);
PJ_MUST_USE pj_status pj__enter_region(pj_manager *manager, pj_error *error);

/* Commits (PJ_OK) or rolls back (else), tidies up and leaves. Returns `status`. */
pj_status pj__leave(pj_manager *manager, pj_status status);

/* The object of a handle, without entering: for the walks. NULL: there is none. */
pj__object *pj__object_find(const pj_manager *manager, pj_kind kind, uint64_t offset, uint64_t serial);

/* Makes an object; NULL: no room. In the transaction. */
pj__object *pj__object_make(pj__region *region, pj_kind kind, bool nested);

/* Removes an object: it becomes garbage, its handles mean nothing any more. In the transaction. */
void pj__object_remove(pj__region *region, pj__object *object);

static inline uint64_t pj__object_serial(const pj__object *object)
{
	return object->head >> 8;
}

/* The manager has no room for what was asked. */
pj_status pj__manager_full(const pj_manager *manager, pj_error *error);

/* Fills an item of a value or an element. */
void pj__item_fill(pj_manager *manager, pj_item *item, const pj__cell *key, const pj__cell *value);

/* Copies bytes out to a buffer of the caller; false: it cannot grow. */
bool pj__copy_out(pj_bytes bytes, pj_buffer *buffer);

/* Goes on with the dict that is being compacted, to the end. In transactions of its own. */
void pj__dict_compact(pj__region *region);

/* A new object of items: room for `count` and for `bytes` bytes, which begin at *ret_bytes. */
pj_items *pj__items_make(size_t count, size_t bytes, pj_item **ret_items, char **ret_bytes);

/* Copies the bytes of an item to *bytes, which moves on. */
void pj__item_copy(pj_item *item, char **bytes);

/* Size of a dict's table with so many slots, and how many entries come before the slots. */
static inline uint64_t pj__dict_entries(uint64_t slots)
{
	return slots / 3 * 2 + slots % 3 / 2; /* two thirds: a slot is found soon */
}

static inline uint64_t pj__dict_table_size(uint64_t slots)
{
	return pj__dict_entries(slots) * sizeof(pj__entry) + slots * sizeof(uint64_t);
}

/*
 * Checks the whole region, each block included: everything is in its place once, nothing is lost. For tests. `roots`
 * are the offsets of all dicts and lists that are not values. PJ_ERR_CORRUPT says what is wrong.
 */
PJ_MUST_USE pj_status pj__manager_check(pj_manager *manager, const uint64_t *roots, size_t count, pj_error *error);

#endif
