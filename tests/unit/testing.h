/*
 * testing.h: what the tests of the inside of the library share: cmocka with what it needs, failures told in words,
 * numbers that are random and the same each time, memory files.
 */
#ifndef PJ_TESTS_TESTING_H
#define PJ_TESTS_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <papjuice/status.h>

#include "base/isa.h"

/* Sanitizers ask for these: sizes that cannot be had must be an error of ours, not of theirs. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
	return "allocator_may_return_null=1";
}

/* The call must succeed; if it does not, `error` is printed. */
#define assert_good(call, error)                                                                                       \
	do {                                                                                                           \
		const pj_status good_status_ = (call);                                                                 \
		if (good_status_)                                                                                      \
			fail_with(__FILE__, __LINE__, #call, good_status_, &(error));                                  \
	} while (0)

/* The call must fail with `status`, and say so in `error`. */
#define assert_fails(call, status_, error)                                                                             \
	do {                                                                                                           \
		memset(&(error), 0x5a, sizeof(error));                                                                 \
		assert_int_equal((call), (status_));                                                                   \
		assert_int_equal((error).status, (status_));                                                           \
		assert_true((error).what[0]);                                                                          \
	} while (0)

static inline void fail_with(const char *file, int line, const char *call, pj_status status, const pj_error *error)
{
	char text[1024];
	print_error("%s:%d: %s\n\treturned %s: %s\n", file, line, call, pj_status_name(status),
		    pj_error_format(error, text, sizeof text));
	fail();
}

/* SplitMix64 (Steele, Lea, Flood 2014): 64 random bits from a state that is any number. */
static inline uint64_t random_bits(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* A random number below `limit`. */
static inline size_t random_below(uint64_t *state, size_t limit)
{
	return (size_t)((__uint128_t)random_bits(state) * limit >> 64);
}

/* A memory file, to be closed. */
static inline int open_memory_file(void)
{
	const int fd = memfd_create("test", MFD_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static inline void not_on_this_processor(void **state)
{
	(void)state;
	print_message("skip: this processor has not the instructions of %s\n", getenv("PAPJUICE_ISA"));
	skip();
}

/* Runs a group of tests once for each instruction set; returns the number of failures. */
#define run_for_every_isa(tests, set_up, tear_down)                                                                    \
	(run_for_isa("plain", PJ__ISA_PLAIN, tests, set_up, tear_down) +                                               \
	 run_for_isa("avx2", PJ__ISA_AVX2, tests, set_up, tear_down) +                                                 \
	 run_for_isa("avx512", PJ__ISA_AVX512, tests, set_up, tear_down))

#define run_for_isa(name, isa, tests, set_up, tear_down)                                                               \
	(setenv("PAPJUICE_ISA", name, 1) ? 1                                                                           \
	 : pj__isa_usable() == (isa)     ? cmocka_run_group_tests_name(name, tests, set_up, tear_down)                 \
					 : cmocka_run_group_tests_name(name, missing_isa, NULL, NULL))

static const struct CMUnitTest missing_isa[] = {cmocka_unit_test(not_on_this_processor)};

#endif
