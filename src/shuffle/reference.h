/*
 * reference.h: a record that does not hold its key but says where it stands in the inputs.
 *
 * Where values are never seen (a job without a reducer that shows keys only), every value is dropped, so a record with
 * no key but a value can be told from all others. Its value is one number:
 *
 *     bits 0..47    position of the key in the view of the inputs (input/view.h)
 *     bits 48..63   length of the key
 *
 * References are for keys that are longer than what they take, and stand in the text that the mapper was given.
 */
#ifndef PJ_SHUFFLE_REFERENCE_H
#define PJ_SHUFFLE_REFERENCE_H

#include "run/record.h"

enum { PJ__REFERENCE_LEAST = 17, PJ__REFERENCE_MOST = UINT16_MAX, PJ__REFERENCE_SHIFT = 48 };

/* A length, and a position or, in memory, an address. */
static inline uint64_t pj__reference(uint64_t at, size_t len)
{
	return at | (uint64_t)len << PJ__REFERENCE_SHIFT;
}

static inline bool pj__is_reference(uint64_t word)
{
	return word >> PJ__REFERENCE_SHIFT;
}

/* The key behind a reference by address. */
static inline pj_bytes pj__referred(uint64_t word)
{
	const uint64_t address = word & (((uint64_t)1 << PJ__REFERENCE_SHIFT) - 1);
	return (pj_bytes){(const char *)(uintptr_t)address, (size_t)(word >> PJ__REFERENCE_SHIFT)};
}

#endif
