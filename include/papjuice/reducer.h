/*
 * reducer.h: how the values of one key become results.
 *
 * An aggregate has a state of fixed size into which values are added one by one; it doubles as combiner and is the fast
 * path. A general reducer gets the key and an iterator over its values in plan order: the order of map tasks, within a
 * task the order of emission.
 *
 * An aggregate that declares itself `exact` promises the same result bits in whatever order and grouping values are
 * added and states merged. Only then are values combined before the reduce. Any other aggregate gets every value in
 * plan order, added to one state, and `merge` is never called for it.
 */
#ifndef PAPJUICE_REDUCER_H
#define PAPJUICE_REDUCER_H

#include <papjuice/task.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A text under construction, which the engine owns. What is appended is copied. */
typedef struct pj_text pj_text;

/* Append bytes as they are, and an integer in decimal. */
PJ_API void pj_text_bytes(pj_text *text, pj_bytes bytes);
PJ_API void pj_text_i64(pj_text *text, int64_t value);
/*
 * The decimal with the fewest digits that reads back as the same double: 100000, 0.25, and below 10^-4 or from 10^16 on
 * with an exponent, 1.5e-05, 1e+16; "nan", "inf", "-inf".
 */
PJ_API void pj_text_f64(pj_text *text, double value);

enum { PJ_STATE_BYTES_MAX = 1024 };

typedef enum pj_takes {
	PJ_TAKES_I64,  /* add_i64 */
	PJ_TAKES_F64,  /* add_f64 */
	PJ_TAKES_BYTES /* add_bytes */
} pj_takes;

/*
 * An algebraic reducer. States are plain bytes: they are copied, stored and sent between processes, and may hold no
 * pointer. They are aligned to 8 bytes. `arg` is the reducer's `arg`.
 */
typedef struct pj_aggregate {
	const char *name;
	pj_takes takes;
	bool exact;
	size_t state_bytes; /* 1 to PJ_STATE_BYTES_MAX */
	/*
	 * Optional, 0 or up to state_bytes, of exact aggregates with add_bytes and without init: how much of the state
	 * is in use for most keys. Only add_bytes, and `merge` with a state that has something other than zero after
	 * these bytes, may touch what is after them: the engine keeps it for those keys only.
	 */
	size_t usual_bytes;
	void (*init)(void *state, void *arg);                   /* NULL: all bytes zero */
	void (*add_i64)(void *state, int64_t value, void *arg); /* the one that `takes` names */
	void (*add_f64)(void *state, double value, void *arg);
	/*
	 * An exact aggregate that takes integers or doubles may have it as well, for numbers that do not fit them: it
	 * gets the values that are emitted as bytes, which otherwise are read as numbers.
	 */
	void (*add_bytes)(void *state, pj_bytes value, void *arg);
	/* Optional, for speed: values[i] into states[i], `count` of them, where a state may occur more than once. */
	void (*add_many_i64)(void *const *states, const int64_t *values, size_t count, void *arg);
	void (*merge)(void *state, const void *other, void *arg); /* of exact aggregates */
	/* Appends the result to `text`. A failure (an overflow, say) fails the job and names the key. */
	pj_status (*finish)(const void *state, pj_text *text, void *arg);
} pj_aggregate;

/*
 * The built-in aggregates, all exact.
 *
 * Integer sums are kept in 128 bits, and an overflow of 64 is judged at the end, on the true sum. Sums of doubles are
 * kept in an accumulator wide enough for every double and rounded once, to nearest even (after Neal, "Fast exact
 * summation using small and large superaccumulators", 2015). Of zeros, -0 is the smaller; a NaN among the values makes
 * the result NaN, infinities of both signs make a sum NaN.
 */
PJ_API extern const pj_aggregate pj_sum_i64, pj_min_i64, pj_max_i64, pj_sum_f64, pj_min_f64, pj_max_f64;
PJ_API extern const pj_aggregate pj_count; /* the number of values, whatever they are */

/* The values of one key. */
typedef struct pj_values pj_values;

/*
 * Takes the next value. Returns 1 and sets *ret_value, whose bytes live until the next call; 0 when there are no more.
 * In the reducer's process only.
 */
PJ_API int pj_next_value(pj_values *values, pj_bytes *ret_value);

/* The same for values that are integers, or numbers, as decimal text. A value that is not fails the task: 0. */
PJ_API int pj_next_i64(pj_values *values, int64_t *ret_value);
PJ_API int pj_next_f64(pj_values *values, double *ret_value);

/*
 * The key of the value that was taken last, of the first one before any was taken; after the last one, the reducer's
 * key. It differs from the reducer's key only where the job has `compare` or `group` (keys.h). It lives as long as the
 * value.
 */
PJ_API pj_bytes pj_value_key(const pj_values *values);

/*
 * A general reducer: called once for each key, in key order within its partition; what it emits is the output, in the
 * order in which it is emitted. Values that it does not take are passed over.
 */
typedef pj_status pj_reduce_function(pj_task *task, pj_bytes key, pj_values *values, void *arg);

/*
 * Either, or neither: with neither, the pairs themselves are the output, in key order, values in plan order.
 *
 * A general reducer may have a combiner: it gets a key and some of its values, and emits pairs that stand for them.
 * The reducer's result must be the same whether the combiner was called for all of a key's pairs, for some of them in
 * whatever grouping, or never; a combiner for which that does not hold makes the engines differ (the reference never
 * calls it, which is how to find out). It is called while mapping, for the pairs of one map task, some hundred
 * kilobytes at a time in the order in which they were emitted, and only where keys repeat: that depends on the input
 * and the split size, not on workers or memory. What comes together are equal whole keys, not groups (keys.h).
 */
typedef struct pj_reducer {
	const pj_aggregate *aggregate;
	pj_reduce_function *general;
	pj_reduce_function *combine; /* optional */
	void *arg;
	/*
	 * Optional, of a general reducer: called around the groups of each part that has any; what they emit is output,
	 * too. With one of them a part is reduced as a whole, by one process. To a folder a part is a part file; to a
	 * file or stream the parts are ranges of keys, one after another.
	 */
	pj_status (*begin)(pj_task *task, void *arg);
	pj_status (*end)(pj_task *task, void *arg);
	/*
	 * The same around each lot of pairs that is combined. With one of them a lot is a megabyte or so, and every
	 * pair goes through the combiner once.
	 */
	pj_status (*combine_begin)(pj_task *task, void *arg);
	pj_status (*combine_end)(pj_task *task, void *arg);
	/* Programs (command.h), instead of the functions above. */
	const struct pj_command *command;
	const struct pj_command *combine_command; /* optional */
} pj_reducer;

#ifdef __cplusplus
}
#endif
#endif
