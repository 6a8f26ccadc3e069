/*
 * aggregate.h: what an aggregate means, for all that make, fill, store and read its states.
 *
 *     init       a state of `state_bytes`, zero except what aggregate->init sets
 *     add        a value: its bytes, or a number, which travels as the 64 bits of an int64_t or a double
 *     store      the state as the value of a record; merge_stored: the way back, into another state
 *     finish     the state as text: job/reduce.c
 *
 * For example, the values 5 and -7 of a key, summed by pj_sum_i64 in two map tasks: one stores the partial sum 5 as the
 * byte 0a, the other -7 as the byte 0d; the reduce begins with a state of zeros, merges both, and finishes "-2".
 *
 * Stored is the state as it is, or its first `usual_bytes` when the rest is zero. pj_sum_i64, whose 128-bit state is
 * rarely needed, is the exception: it is stored as partial sums of 64 bits, zigzag, little endian, without their zero
 * bytes at the end (0 to 8 bytes). States are aligned to 8 bytes, stored ones to nothing.
 */
#ifndef PJ_REDUCE_AGGREGATE_H
#define PJ_REDUCE_AGGREGATE_H

#include "base/task.h"

/* Do its values travel as 64 bits? `aggregate` NULL: there is none, and values are bytes. */
static inline bool pj__takes_numbers(const pj_aggregate *aggregate)
{
	return aggregate && aggregate->takes != PJ_TAKES_BYTES;
}

/* What the slots of a task hold that emits for the aggregate (NULL: none). */
static inline pj_number pj__number_of(const pj_aggregate *aggregate)
{
	return aggregate && aggregate->takes == PJ_TAKES_F64 ? PJ_NUMBER_F64 : PJ_NUMBER_I64;
}

/*
 * Reads a number that was emitted as text. False: it is not what the aggregate takes, and the task has failed.
 * *ret_value are the bits of an int64_t or a double.
 */
bool pj__read_number(pj__task *task, pj_takes takes, pj_bytes value, uint64_t *ret_value);

/* Makes a new state. */
void pj__state_init(const pj_aggregate *aggregate, void *arg, void *state);

/* Adds a number. */
void pj__state_add_number(const pj_aggregate *aggregate, void *arg, void *state, uint64_t number);

/* Adds a value as the shuffle carries it: bytes, or a number's 8. */
void pj__state_add(const pj_aggregate *aggregate, void *arg, void *state, pj_bytes value);

/* Merges a stored state. False: it is damaged. */
bool pj__state_merge_stored(const pj_aggregate *aggregate, void *arg, void *state, pj_bytes stored);

/* The narrow form of a sum of integers. Returns the number of bytes put to `to` (8 of room). */
static inline size_t pj__put_narrow(char *to, int64_t value)
{
	const uint64_t zigzag = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
	memcpy(to, &zigzag, sizeof zigzag);
	return zigzag ? (size_t)(71 - __builtin_clzll(zigzag)) / 8 : 0;
}

static inline int64_t pj__get_narrow(pj_bytes from)
{
	uint64_t zigzag = 0;
	memcpy(&zigzag, from.ptr, from.len < 8 ? from.len : 8);
	return (int64_t)(zigzag >> 1 ^ -(zigzag & 1));
}

/* The bytes of a state that a table keeps for most keys, as long as the rest of it is zero. */
static inline size_t pj__usual_bytes(const pj_aggregate *aggregate)
{
	return aggregate->usual_bytes ? aggregate->usual_bytes : aggregate->state_bytes;
}

static inline bool pj__is_narrow(const pj_aggregate *aggregate)
{
	return aggregate == &pj_sum_i64;
}

#endif
