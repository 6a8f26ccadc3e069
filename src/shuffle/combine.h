/*
 * combine.h: the states of an exact aggregate that a bucket's runs come to, and the loops over tables of states, which
 * the combiner (writer.h) uses as well. What a state is, and how it is stored, stands in reduce/aggregate.h.
 */
#ifndef PJ_SHUFFLE_COMBINE_H
#define PJ_SHUFFLE_COMBINE_H

#include "base/task.h"
#include "reduce/aggregate.h"
#include "run/run.h"
#include "run/sort.h"
#include "shuffle/table.h"

struct pj__combine_kernel;

/*
 * What a bucket's pairs have come to: keys with their states, in key order.
 *
 * The records of runs go into the table as slots do in the map: a task of our own batches them. Sums of integers are
 * tried in 64 bits, and where one overflows the bucket is loaded again in 128. So are states with `usual_bytes`: where
 * a whole one turns up the bucket is loaded again with whole states.
 */
typedef struct pj__combined {
	const pj_aggregate *aggregate;
	void *arg;
	const struct pj__combine_kernel *kernel;
	pj__task *task;
	pj__table narrow_table, wide_table, *table; /* the one at hand */
	bool narrow, overflowed;
	pj__item *items; /* `at`: address of the entry */
	size_t count, capacity;
	char *segment; /* room for the largest segment so far */
	size_t segment_capacity;
	_Alignas(16) char state[PJ_STATE_BYTES_MAX]; /* of a narrow entry */
} pj__combined;

PJ_MUST_USE pj_status pj__combined_init(pj__combined *combined, const pj_aggregate *aggregate, void *arg, uint64_t seed,
					pj_error *error);
void pj__combined_fini(pj__combined *combined);

/* Between two buckets: gives back the memory. */
void pj__combined_relieve(pj__combined *combined);

/* Memory that a bucket will take at most, to be loaded. */
uint64_t pj__combined_bytes(const pj__combined *combined, const pj__segment *segments, size_t count);

/*
 * Loads a bucket: segments[i] is that of runs[i], `count` of them. Afterwards items[0 .. count) are the keys in order;
 * key and state are found with pj__combined_key and pj__combined_state.
 */
PJ_MUST_USE pj_status pj__combined_load(pj__combined *combined, const pj__run *runs, const pj__segment *segments,
					size_t count, pj_error *error);

pj_bytes pj__combined_key(const pj__combined *combined, size_t index);
/* The state lives until the next call. */
const void *pj__combined_state(pj__combined *combined, size_t index);

/* The combiner's loops, for each instruction set (base/isa.h). */
typedef void pj__evict(void *arg, char *entry); /* the entry's partial sum must leave: it is about to overflow */
typedef void pj__begin(void *state, void *arg); /* makes a new state */

typedef struct pj__combine_kernel {
	/* That look_ahead and look_ahead_long use: tables must have them, too. */
	pj__key_hash *hash;
	pj__long_hash *hash_long;
	/*
	 * Hashes the keys of at most PJ__BATCH slots, notes where each is to be looked for, and asks for that memory.
	 */
	void (*look_ahead)(const pj__table *table, const pj_slot *slots, size_t count, size_t *positions);
	/* Adds the slots' values to sums of 64 bits. There must be room for as many new keys. */
	void (*add_sums)(pj__table *table, const pj_slot *slots, size_t count, const size_t *positions,
			 pj__evict *evict, void *arg);
	/* Finds the states of the slots' keys; `begin` (NULL: zero will do) is called for new ones. */
	void (*find_states)(pj__table *table, const pj_slot *slots, size_t count, const size_t *positions,
			    void **states, pj__begin *begin, void *arg);
	/* Hashes long keys, and asks for the memory of their entries. */
	void (*look_ahead_long)(const pj__table *table, const pj_bytes *keys, size_t count, uint64_t *hashes);
	/*
	 * Finds their entries; new keys get one, and fresh[i] is set. There must be room for all. False: no memory for
	 * a key.
	 */
	bool (*find_long)(pj__table *table, const pj_bytes *keys, const uint64_t *hashes, size_t count, char **entries,
			  bool *fresh);
} pj__combine_kernel;

/* The loops for the best instruction set that may be used. */
const pj__combine_kernel *pj__combine_usable(void);

extern const pj__combine_kernel pj__combine_plain, pj__combine_avx2, pj__combine_avx512;

#endif
