/*
 * long_keys.h: pairs whose keys are too long for a slot, gathered so that they can be looked up side by side.
 *
 * What a task's slots are for short keys. A key is copied, as its owner may change it at once; it is hashed while it is
 * in the first cache, and the memory of its entry is asked for long before it is needed.
 */
#ifndef PJ_SHUFFLE_LONG_KEYS_H
#define PJ_SHUFFLE_LONG_KEYS_H

#include "shuffle/table.h"

enum {
	PJ__LONG_AT_ONCE = 64,
	PJ__LONG_BYTES = 8192,   /* room for the keys */
	PJ__LONG_KEY_MOST = 1024 /* longer ones are better looked up one by one */
};

typedef struct pj__long_keys {
	size_t count, used;
	pj_bytes key[PJ__LONG_AT_ONCE];
	uint64_t hash[PJ__LONG_AT_ONCE];
	uint64_t value[PJ__LONG_AT_ONCE];
	char bytes[PJ__LONG_BYTES];
} pj__long_keys;

/* True if a key (of at most PJ__LONG_KEY_MOST bytes) still fits. */
static inline bool pj__long_keys_fit(const pj__long_keys *keys, size_t len)
{
	return keys->count < PJ__LONG_AT_ONCE && keys->used + len <= PJ__LONG_BYTES;
}

/* Adds a pair, whose key must fit. */
static inline void pj__long_keys_add(pj__long_keys *keys, const pj__table *table, pj_bytes key, uint64_t value)
{
	char *const copy = keys->bytes + keys->used;
	uint64_t hash;
	if (PJ_LIKELY(key.len <= PJ__STEPS_BYTES)) {
		hash = pj__hash_and_copy(table->seed, key, copy);
	} else {
		hash = pj__long_hash(table, key);
		memcpy(copy, key.ptr, key.len);
	}
	pj__table_prefetch(table, hash);
	keys->key[keys->count] = (pj_bytes){copy, key.len};
	keys->hash[keys->count] = hash;
	keys->value[keys->count] = value;
	keys->used += key.len;
	keys->count++;
}

static inline void pj__long_keys_clear(pj__long_keys *keys)
{
	keys->count = keys->used = 0;
}

#endif
