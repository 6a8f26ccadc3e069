/*
 * table.h: the combining table, from keys to states of fixed size.
 *
 * Open addressing with linear probing, a power of two of entries, the key inside the entry:
 *
 *     short key (up to 23 bytes)     0                      22 23 24
 *                                   +-------------------------+--+----------------+
 *                                   | key, then zero bytes    |t | state ...      |      t: length + 1
 *                                   +-------------------------+--+----------------+
 *     long key                       0       8       16     22 23 24
 *                                   +-------+-------+-------+--+----------------+
 *                                   | key's | where | length|t | state ...      |      t: 255
 *                                   | hash  |  in the heap  |  |                |
 *                                   +-------+-------+-------+--+----------------+
 *
 * The first 24 bytes of an entry are those of a pj_slot but for the tag, so that a batch of slots is looked up by
 * comparing three words. A tag of 0 is an entry that is free. The hash is seeded, so that chosen keys cannot be made to
 * collide. An entry is found in two steps, hash and probe, so that a caller can ask for the memory of a whole batch
 * before it touches any of it.
 */
#ifndef PJ_SHUFFLE_TABLE_H
#define PJ_SHUFFLE_TABLE_H

#include <papjuice/task.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/text.h"

enum { PJ__KEY_BYTES = 24, PJ__TAG_LONG = 255 };

typedef struct pj__key {
	uint64_t word[3]; /* the first 24 bytes of an entry */
} pj__key;

typedef uint64_t pj__key_hash(uint64_t seed, pj__key key);
typedef uint64_t pj__long_hash(uint64_t seed, pj_bytes key);

typedef struct pj__table {
	char *entries;
	size_t mask;         /* number of entries - 1 */
	size_t stride;       /* bytes of an entry: 24 and the state's, a multiple of 8 */
	size_t count, limit; /* entries used; how many may be before it must grow or be emptied */
	size_t most;         /* number of entries that it may grow to */
	size_t allocated;    /* bytes at `entries` */
	bool thrifty;        /* memory is dear: it grows in smaller steps; set by the caller */
	uint64_t seed;
	/* Of short and long keys; the plain ones unless the caller sets others, before the first key. */
	pj__key_hash *hash;
	pj__long_hash *hash_long;
	pj_text heap;     /* long keys ... */
	size_t heap_most; /* ... and how many bytes of them make it full; set by the caller */
} pj__table;

/* On what terms a combiner's table is kept. */
typedef struct pj__table_terms {
	size_t bytes; /* the most that its entries may take, and the most of its long keys */
	bool thrifty; /* see above */
	uint64_t seed;
} pj__table_terms;

/*
 * Makes a table for states of `state_bytes`, with at least `least` entries at once and growing to at most `most`, both
 * rounded up to powers of two.
 */
PJ_MUST_USE pj_status pj__table_init(pj__table *table, size_t state_bytes, size_t least, size_t most, uint64_t seed,
				     pj_error *error);
void pj__table_fini(pj__table *table);

/* Empties the table and gives it room for at least `expected` keys, without asking for memory where it has it. */
PJ_MUST_USE pj_status pj__table_reset(pj__table *table, size_t expected, pj_error *error);

/* Gives the memory back; pj__table_reset gets it anew. */
void pj__table_relieve(pj__table *table);

/* Empties the table and leaves it as large as it is. */
void pj__table_clear(pj__table *table);

/*
 * Makes room for `more` new keys. *ret_full: it may not grow any further and must be emptied first.
 */
PJ_MUST_USE pj_status pj__table_reserve(pj__table *table, size_t more, bool *ret_full, pj_error *error);

/* The words of a short key, from a slot or from bytes (at most PJ_SLOT_KEY_BYTES). */
static inline pj__key pj__key_of_slot(const pj_slot *slot)
{
	pj__key key;
	memcpy(&key.word[0], (const char *)slot, 8);
	memcpy(&key.word[1], (const char *)slot + 8, 8);
	memcpy(&key.word[2], (const char *)slot + 16, 8);
	return key;
}

static inline pj__key pj__key_of_bytes(pj_bytes bytes)
{
	pj__key key = {{0, 0, 0}};
	if (bytes.len)
		memcpy(&key, bytes.ptr, bytes.len);
	key.word[2] |= (uint64_t)(bytes.len + 1) << 56;
	return key;
}

/* The plain hash: two products, each folded to the mix of its halves. After Wang Yi's wyhash (public domain). */
uint64_t pj__plain_hash(uint64_t seed, pj__key key);

/* The same of a long key: such products are added up, or XXH3's work if the key is very long. */
uint64_t pj__plain_long_hash(uint64_t seed, pj_bytes key);

static inline char *pj__entry(const pj__table *table, size_t index, size_t stride)
{
	return table->entries + index * stride;
}

static inline unsigned char pj__entry_tag(const char *entry)
{
	return (unsigned char)entry[PJ__KEY_BYTES - 1];
}

static inline char *pj__entry_state(char *entry)
{
	return entry + PJ__KEY_BYTES;
}

/*
 * Finds the entry of a short key, whose hash is at hand; a key that is new gets one, and *fresh is set. There must be
 * room. `stride` is the table's, given so that it can be a constant.
 */
static inline char *pj__table_find(pj__table *table, pj__key key, uint64_t hash, size_t stride, bool *fresh)
{
	for (size_t index = hash & table->mask;; index = (index + 1) & table->mask) {
		char *const entry = pj__entry(table, index, stride);
		pj__key there;
		memcpy(&there, entry, sizeof there);
		if (PJ_LIKELY(((there.word[0] ^ key.word[0]) | (there.word[1] ^ key.word[1]) |
			       (there.word[2] ^ key.word[2])) == 0)) {
			*fresh = false;
			return entry;
		}
		if (!(there.word[2] >> 56)) {
			memcpy(entry, &key, sizeof key);
			table->count++;
			*fresh = true;
			return entry;
		}
	}
}

/* The same for a key of any length; NULL: no memory for a long key. */
char *pj__table_find_bytes(pj__table *table, pj_bytes key, bool *fresh);

/*
 * Keys of 24 to 96 bytes are hashed and compared in six steps of 16 bytes, whatever their length: a step that would go
 * beyond the end is made to end there, so the last bytes may be taken several times. No branch depends on the length,
 * which the processor could not foresee.
 */
enum { PJ__STEP = 16, PJ__STEPS = 6 };

static inline size_t pj__step_at(size_t step, size_t len)
{
	const size_t at = step * PJ__STEP;
	return at + PJ__STEP <= len ? at : len - PJ__STEP;
}

/*
 * The first entry on the way of a long key that is free, or has its hash and length: most likely it is its own. From
 * `index` on, which is set to the one behind. *ret_there: what the entry holds.
 */
static inline char *pj__table_candidate(const pj__table *table, size_t len, uint64_t hash, size_t *index,
					pj__key *ret_there)
{
	const uint64_t last = (uint64_t)PJ__TAG_LONG << 56 | len;
	for (;;) {
		char *const entry = pj__entry(table, *index, table->stride);
		*index = (*index + 1) & table->mask;
		memcpy(ret_there, entry, sizeof *ret_there);
		if ((ret_there->word[0] == hash && ret_there->word[2] == last) || !(ret_there->word[2] >> 56))
			return entry;
	}
}

/* Finds the entry of a long key, whose hash is at hand, or gives it one. NULL: no memory. */
char *pj__table_find_long(pj__table *table, pj_bytes key, uint64_t hash, bool *fresh);

/* The key of an entry; the bytes live until the table changes. */
pj_bytes pj__entry_key(const pj__table *table, const char *entry);

#endif
