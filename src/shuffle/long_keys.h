/*
 * long_keys.h: pairs whose keys are too long for a slot, gathered so that they can be looked up side by side.
 *
 * What a task's slots are for short keys. A key is copied, as its owner may change it at once.
 */
#ifndef PJ_SHUFFLE_LONG_KEYS_H
#define PJ_SHUFFLE_LONG_KEYS_H

#include "shuffle/table.h"

enum {
	PJ__LONG_AT_ONCE = 64,
	PJ__LONG_BYTES = 8192,    /* room for the keys */
	PJ__LONG_KEY_MOST = 1024, /* longer ones are better looked up one by one */
	PJ__LONG_COPIED = 96      /* bytes that are copied of most keys, whatever their length */
};

typedef struct pj__long_keys {
	size_t count, used;
	pj_bytes key[PJ__LONG_AT_ONCE];
	uint64_t value[PJ__LONG_AT_ONCE];
	char bytes[PJ__LONG_BYTES + PJ__LONG_COPIED];
} pj__long_keys;

/* True if a key (of at most PJ__LONG_KEY_MOST bytes) still fits. */
static inline bool pj__long_keys_fit(const pj__long_keys *keys, size_t len)
{
	return keys->count < PJ__LONG_AT_ONCE && keys->used + len <= PJ__LONG_BYTES;
}

/*
 * Adds a pair, whose key must fit. `readable`: so many bytes can be read from the key's address on. Most keys are
 * copied as if they were all of one length, which makes no branch; what is too much the next key overwrites.
 */
static inline void pj__long_keys_add(pj__long_keys *keys, pj_bytes key, size_t readable, uint64_t value)
{
	char *const copy = keys->bytes + keys->used;
	if (PJ_LIKELY(key.len <= PJ__LONG_COPIED && readable >= PJ__LONG_COPIED))
		memcpy(copy, key.ptr, PJ__LONG_COPIED);
	else
		memcpy(copy, key.ptr, key.len);
	keys->key[keys->count] = (pj_bytes){copy, key.len};
	keys->value[keys->count] = value;
	keys->used += key.len;
	keys->count++;
}

static inline void pj__long_keys_clear(pj__long_keys *keys)
{
	keys->count = keys->used = 0;
}

#endif
