/*
 * manager.h: dicts and lists that several processes share.
 *
 * They lie in shared memory and are used by all processes directly: there is no server process, nothing is serialised,
 * and a change is seen by everybody at once, also one deep inside (a list that is a value of a dict).
 *
 *	pj_manager *manager;
 *	pj_dict counts;
 *	pj_manager_create(64 << 20, &manager, &error);
 *	pj_manager_dict(manager, &counts, &error);
 *	... start processes; in each of them:
 *	pj_dict_add_i64(counts, pj_bytes_of("Java"), 1, NULL, &error);
 *	... and here, or there:
 *	pj_list words;
 *	pj_dict_list(texts, pj_bytes_of("Java"), &words, &error);     gets or creates the list that is the value
 *	pj_list_append(words, pj_bytes_of("a word"), &error);         everybody sees it
 *
 * Each call is atomic: others see all of what it does or nothing, also when its caller is killed in the middle of it;
 * what it had begun is then undone by the next one who comes. A sequence of calls (get, change, set) is not atomic; it
 * needs a pj_lock around it.
 *
 * A pj_dict or pj_list is a small handle that is passed by value. It is valid in the process that created the manager
 * and in every one forked after that, whichever of them made the dict or list, and however it got there (say as bytes,
 * as the item of a pool). The handle of a dict or list that was removed gives PJ_ERR_NOT_FOUND.
 *
 * Keys, values and elements are bytes; they are copied in and copied out. A dict keeps the order of first insertion. A
 * value is bytes, a list or a dict; the elements of a list are bytes. Counts are kept as 8 bytes (an int64_t in the
 * machine's order): the _i64 functions read and write them, and so can get and set.
 *
 * The memory is fixed when the manager is created, and reserved then. When it is full a call returns PJ_ERR_MEMORY, and
 * nothing has changed; removing things makes room again. (A large dict or list needs one large piece of memory, so it
 * may find none that is large enough though many small ones are free.)
 *
 * All calls may be made by any thread of any process that has the manager, at the same time; each waits for its turn at
 * the manager's one lock, shortly: most calls take well under a microsecond. Statuses that each call can return beside
 * those that are said: PJ_ERR_NOT_FOUND (the dict or list was removed), PJ_ERR_INTERNAL.
 */
#ifndef PAPJUICE_MANAGER_H
#define PAPJUICE_MANAGER_H

#include <papjuice/status.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pj_manager pj_manager;

/* Handles. The fields are the library's. */
typedef struct pj_dict {
	pj_manager *manager;
	uint64_t offset, serial;
} pj_dict;

typedef struct pj_list {
	pj_manager *manager;
	uint64_t offset, serial;
} pj_list;

/*
 * Where bytes are copied out to: memory of the caller that grows as needed and is used again. It starts as
 * `pj_buffer buffer = {0};` and is freed with pj_buffer_free.
 */
typedef struct pj_buffer {
	char *ptr; /* the bytes that were got last */
	size_t len;
	size_t room; /* allocated */
} pj_buffer;

/* Frees the memory of the buffer, which can be used again. */
PJ_API void pj_buffer_free(pj_buffer *buffer);

/* What a value is. */
typedef enum pj_kind { PJ_BYTES = 0, PJ_LIST = 1, PJ_DICT = 2 } pj_kind;

/* One entry of a dict (or element of a list: no key, bytes), as it is given by items and walk. */
typedef struct pj_item {
	pj_bytes key;
	pj_kind kind;
	pj_bytes value; /* of PJ_BYTES */
	pj_list list;   /* of PJ_LIST */
	pj_dict dict;   /* of PJ_DICT */
} pj_item;

/* All entries of a dict or elements of a list at one moment, copied. Read only; freed with pj_items_destroy. */
typedef struct pj_items {
	size_t count;
	const pj_item *items;
} pj_items;

/* ---- the manager ---- */

/*
 * Creates a manager with `bytes` of shared memory (at least 64 KiB, else PJ_ERR_USAGE), which are taken from the system
 * now. The caller owns *ret_manager. PJ_ERR_MEMORY, PJ_ERR_RESOURCE.
 */
PJ_API PJ_MUST_USE pj_status pj_manager_create(size_t bytes, pj_manager **ret_manager, pj_error *error);

/*
 * Frees the manager in this process; processes that inherited it keep it, and the memory goes with the last of them.
 * No other thread of this process may be using it. NULL is fine.
 */
PJ_API void pj_manager_destroy(pj_manager *manager);

/* Makes an empty dict or list. It lives as long as the manager, or until its destroy. PJ_ERR_MEMORY. */
PJ_API PJ_MUST_USE pj_status pj_manager_dict(pj_manager *manager, pj_dict *ret_dict, pj_error *error);
PJ_API PJ_MUST_USE pj_status pj_manager_list(pj_manager *manager, pj_list *ret_list, pj_error *error);

/* Bytes in use and bytes there are, both without the manager's own. */
PJ_API size_t pj_manager_used(pj_manager *manager);
PJ_API size_t pj_manager_capacity(const pj_manager *manager);

/* How often a process died inside a call and its change was undone (or found complete). */
PJ_API uint64_t pj_manager_deaths(pj_manager *manager);

/* ---- dicts ---- */

/* Sets the value of a key, which is inserted if it isn't there. A list or dict that was the value is removed.
 * PJ_ERR_MEMORY. */
PJ_API pj_status pj_dict_set(pj_dict dict, pj_bytes key, pj_bytes value, pj_error *error);

/*
 * Copies the value of a key to *value. PJ_ERR_NOT_FOUND: no such key. PJ_ERR_USAGE: the value is a list or dict.
 * PJ_ERR_MEMORY: the buffer cannot grow.
 */
PJ_API pj_status pj_dict_get(pj_dict dict, pj_bytes key, pj_buffer *value, pj_error *error);

/* Removes a key and its value. PJ_ERR_NOT_FOUND: no such key. */
PJ_API pj_status pj_dict_remove(pj_dict dict, pj_bytes key, pj_error *error);

/* get and remove in one. */
PJ_API pj_status pj_dict_pop(pj_dict dict, pj_bytes key, pj_buffer *value, pj_error *error);

/* Is the key there? */
PJ_API pj_status pj_dict_contains(pj_dict dict, pj_bytes key, bool *ret_contains, pj_error *error);

/* The number of keys. */
PJ_API pj_status pj_dict_count(pj_dict dict, size_t *ret_count, pj_error *error);

/* Values that are numbers. PJ_ERR_USAGE: the value isn't 8 bytes long, or the sum does not fit.
 * add: a key that is not there counts as 0; the sum goes to *ret_sum (NULL: not wanted). */
PJ_API pj_status pj_dict_set_i64(pj_dict dict, pj_bytes key, int64_t value, pj_error *error);
PJ_API pj_status pj_dict_get_i64(pj_dict dict, pj_bytes key, int64_t *ret_value, pj_error *error);
PJ_API pj_status pj_dict_add_i64(pj_dict dict, pj_bytes key, int64_t addend, int64_t *ret_sum, pj_error *error);

/*
 * Gets the list (dict) that is the value of a key; an empty one is made and put there if there is no such key.
 * PJ_ERR_USAGE: the value is something else. PJ_ERR_MEMORY.
 */
PJ_API pj_status pj_dict_list(pj_dict dict, pj_bytes key, pj_list *ret_list, pj_error *error);
PJ_API pj_status pj_dict_dict(pj_dict dict, pj_bytes key, pj_dict *ret_dict, pj_error *error);

/* Copies all entries, in the order of insertion, as they are at one moment. PJ_ERR_MEMORY. */
PJ_API PJ_MUST_USE pj_status pj_dict_items(pj_dict dict, pj_items **ret_items, pj_error *error);

/*
 * Goes through the entries in the order of insertion without a lock and without copying: for when nobody writes to the
 * manager, any number of processes at once. *cursor starts as 0. True: *ret_item is the next entry, its bytes are those
 * in the shared memory. False: there are no more (or the dict was removed).
 */
PJ_API bool pj_dict_walk(pj_dict dict, uint64_t *cursor, pj_item *ret_item);

/* Removes the dict and all that is in it. Not for one that is a value: remove its key instead (PJ_ERR_USAGE). */
PJ_API pj_status pj_dict_destroy(pj_dict dict, pj_error *error);

/* ---- lists ---- */

/* Appends one element, or `count` elements in one step. PJ_ERR_MEMORY. */
PJ_API pj_status pj_list_append(pj_list list, pj_bytes value, pj_error *error);
PJ_API pj_status pj_list_extend(pj_list list, const pj_bytes *values, size_t count, pj_error *error);

/* Copies element `index` (from 0) to *value. PJ_ERR_NOT_FOUND: there are not so many. PJ_ERR_MEMORY. */
PJ_API pj_status pj_list_get(pj_list list, size_t index, pj_buffer *value, pj_error *error);

/* Replaces element `index`. PJ_ERR_NOT_FOUND: there are not so many. PJ_ERR_MEMORY. */
PJ_API pj_status pj_list_set(pj_list list, size_t index, pj_bytes value, pj_error *error);

/* The number of elements. */
PJ_API pj_status pj_list_count(pj_list list, size_t *ret_count, pj_error *error);

/* Removes the last element and copies it to *value (NULL: not wanted). PJ_ERR_NOT_FOUND: the list is empty. */
PJ_API pj_status pj_list_pop(pj_list list, pj_buffer *value, pj_error *error);

/* Copies all elements, as they are at one moment. PJ_ERR_MEMORY. */
PJ_API PJ_MUST_USE pj_status pj_list_items(pj_list list, pj_items **ret_items, pj_error *error);

/* As pj_dict_walk, through the elements. */
PJ_API bool pj_list_walk(pj_list list, uint64_t *cursor, pj_bytes *ret_value);

/* Removes the list and its elements. Not for one that is a value (PJ_ERR_USAGE). */
PJ_API pj_status pj_list_destroy(pj_list list, pj_error *error);

/* Frees what items gave. NULL is fine. */
PJ_API void pj_items_destroy(pj_items *items);

#ifdef __cplusplus
}
#endif
#endif
