/*
 * region.h: the shared memory of a manager: words that are changed all or not at all, and an allocator.
 *
 * A region is used by one process at a time, the holder of its mutex. The holder may be killed between any two
 * instructions; what it leaves must be sound for the next one. That is done with an undo journal, as in a data base:
 *
 *   begin      the journal is empty
 *   change     (pj__change) the place and the old value of a word are written to the journal, then the count of the
 *              journal goes up, then the word is changed
 *   commit     (pj__commit) the count of the journal becomes 0: one store. This is the moment at which all happens
 *   rollback   (pj__rollback) the words are given their old values, the last one first, then the count becomes 0
 *
 * Who gets the mutex after a death rolls back. It may be killed at that, too: rolling back from the top again gives the
 * same. Why the order of stores is enough: a killed process stops at an instruction, all stores before it were made and
 * none after it; the next holder has them all, because the kernel hands over the mutex with a barrier. So only the
 * compiler must be kept from changing the order, which pj__in_order() does. (Against the loss of power it would not be
 * enough; but then the memory is lost as well.)
 *
 * Bytes in a block that nobody can find yet, because it was allocated in this same transaction, need no journal: they
 * are written before a journalled word makes the block part of something. Freed blocks keep their bytes but for the
 * word that links it, which is journalled. Hence the one rule: within a transaction, allocate before you free. (A block
 * freed and handed out again in one transaction would lose bytes that a rollback needs.)
 *
 * Steps that would need a journal without limit (freeing a large list, extending a list by many elements) are several
 * transactions, with a note in the region of what is under way; see object.h. One transaction changes some 100 words at
 * most, that is two or three allocations of 41 in the worst case; the journal holds PJ__JOURNAL_ROOM.
 *
 * Allocator: sizes are rounded up to a class, 16, 32, 48, 64, then four to each doubling (80, 96, 112, 128, 160, ...),
 * so at most a fifth of a block is waste. Each class has a list of free blocks; else the end of the used part is
 * moved on; else a larger free block is cut. Blocks have no header (who frees knows the size). In full memory all free
 * blocks are swept up now and then: neighbours are joined and the lists made anew, see region_sweep.c.
 *
 *   0                                             begin               bump              size
 *   | pj__region: mutex, roots, heads, journal | 16-aligned blocks ... | never used ... |
 *
 * Offsets from the start of the region stand for pointers; 0 is none.
 */
#ifndef PJ_MP_REGION_H
#define PJ_MP_REGION_H

#include <stdatomic.h>

#include "mp/mutex.h"

enum {
	PJ__REGION_VERSION = 1,
	PJ__LARGEST_BITS = 48,
	PJ__CLASSES = 4 + 4 * (PJ__LARGEST_BITS - 6),
	PJ__JOURNAL_ROOM = 256,
	PJ__SWEEP_PART = 8 /* free blocks are swept up when an eighth of the region was freed, or when nothing fits */
};

typedef struct pj__journal_entry {
	uint64_t offset; /* of the word */
	uint64_t old;
} pj__journal_entry;

typedef struct pj__region {
	uint64_t version;
	uint64_t size;  /* of all */
	uint64_t begin; /* of the blocks */
	uint64_t seed;  /* of the hash */
	pthread_mutex_t mutex;
	uint64_t deaths; /* holders that died */
	uint64_t freed;  /* bytes since the free blocks were swept up, about */

	/* From here on, journalled. */
	uint64_t bump;         /* end of the part that was ever used */
	uint64_t in_use;       /* bytes of blocks that are not free */
	uint64_t objects_free; /* these: see object.h */
	uint64_t garbage;
	uint64_t extending;
	uint64_t compacting, compact_from, compact_to;
	uint64_t lists; /* 0 or 1: which of the two sets of lists is the one in use */
	/* Free blocks. Word 0 of a block is the next one in lists 0, word 1 in lists 1. */
	uint64_t heads[2][PJ__CLASSES];

	uint64_t journal_count;
	pj__journal_entry journal[PJ__JOURNAL_ROOM];
} pj__region;

_Static_assert(sizeof(pj__region) <= 8192, "a region's own part stays small beside 64 KiB");

/* Keeps the compiler from moving stores over this line. */
#define pj__in_order() atomic_signal_fence(memory_order_seq_cst)

/* The memory at an offset. */
static inline void *pj__at(const pj__region *region, uint64_t offset)
{
	return (char *)(uintptr_t)region + offset;
}

static inline uint64_t pj__offset_of(const pj__region *region, const void *address)
{
	return (uint64_t)((const char *)address - (const char *)region);
}

/* Notes the old value of a word that is about to be lost. */
static inline void pj__note(pj__region *region, const uint64_t *word)
{
	const uint64_t count = region->journal_count;
	if (PJ_UNLIKELY(count >= PJ__JOURNAL_ROOM))
		__builtin_trap(); /* a fault in this room; the next holder of the mutex undoes what was begun */
	region->journal[count] = (pj__journal_entry){pj__offset_of(region, word), *word};
	pj__in_order();
	region->journal_count = count + 1;
	pj__in_order();
}

static inline void pj__change(pj__region *region, uint64_t *word, uint64_t value)
{
	pj__note(region, word);
	*word = value;
}

static inline void pj__commit(pj__region *region)
{
	pj__in_order();
	region->journal_count = 0;
	pj__in_order();
}

void pj__rollback(pj__region *region);

/* Makes a region of `size` bytes of zeroes that is mapped at `address`. */
PJ_MUST_USE pj_status pj__region_init(void *address, size_t size, pj_error *error);

/* What a block of `size` bytes (at least 1) really takes. */
size_t pj__block_size(size_t size);

/* The offset of a new block, 0: no room. Part of the transaction. */
uint64_t pj__alloc(pj__region *region, size_t size);

/* The smallest class whose blocks hold `size` bytes, and the size of a class. */
unsigned pj__class_of(uint64_t size);
uint64_t pj__class_size(unsigned class);

/* The largest class that fits in `size` bytes, at least 16. It is more than 4/5 of them. */
unsigned pj__class_within(uint64_t size);

/*
 * Undoes what the current transaction did and joins free blocks that are neighbours, in a transaction of its own. True:
 * it may be worth while to try again from the start. False: nothing was joined. The first allocation of a transaction
 * does this by itself; who makes several, and fails, calls it once and begins anew.
 */
bool pj__sweep(pj__region *region);

/* Frees a block that was allocated with `size`. Part of the transaction; see the rule above. */
void pj__free(pj__region *region, uint64_t offset, size_t size);

#endif
