/*
 * number.h: integers and doubles as decimal text, and back. No locale.
 */
#ifndef PJ_BASE_NUMBER_H
#define PJ_BASE_NUMBER_H

#include <papjuice/bytes.h>
#include <stdbool.h>

/* Room that the longest text of a number needs, in bytes; none writes a NUL. */
enum { PJ__I64_CHARS = 20, PJ__F64_CHARS = 32 };

/* Writes `value` to `to` and returns the number of bytes. */
size_t pj__format_i64(char *to, int64_t value);

/*
 * The decimal with the fewest digits that strtod reads back as the same double: 100000, 0.0001, 1.5e-05; "nan", "inf",
 * "-inf". With an exponent, of two digits or more, where its size is below 10^-4 or from 10^16 on.
 */
size_t pj__format_f64(char *to, double value);

/* Reads the whole of `text` as an optional sign and decimal digits. False: it is not that, or does not fit. */
bool pj__parse_i64(pj_bytes text, int64_t *ret_value);

/* Reads the whole of `text` as a decimal number (sign, digits, point, exponent) or nan, inf. Overflow is inf. */
bool pj__parse_f64(pj_bytes text, double *ret_value);

#endif
