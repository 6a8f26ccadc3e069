/*
 * fuzz_number.c: any bytes as a number. What is read must be what strtod reads, what is no number must be none for
 * strtod's grammar either, and what was read must survive being written and read again.
 */
#include <math.h>
#include <stdlib.h>

#include "base/number.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A decimal number, nan or inf in strtod's grammar, which has more: blanks, hexadecimal digits, "infinity". */
static bool is_number(const char *text, size_t size)
{
	static const char letters[] = "0123456789+-.eEnNaAiIfF";
	char *end;
	for (size_t i = 0; i < size; i++)
		if (!text[i] || !strchr(letters, text[i]))
			return false;
	strtod(text, &end);
	return size && *end == 0;
}

static uint64_t bits_of(double value)
{
	uint64_t bits;
	memcpy(&bits, &value, sizeof bits);
	return bits;
}

/* The same bits, or both NaN. */
static bool same(double a, double b)
{
	return isnan(a) ? isnan(b) : bits_of(a) == bits_of(b);
}

static void check_text(const char *text, double value)
{
	char again[PJ__F64_CHARS];
	double back;
	const size_t len = pj__format_f64(again, value);
	if (len > sizeof again || !pj__parse_f64((pj_bytes){again, len}, &back))
		abort();
	if (!same(value, back) || !same(value, strtod(text, NULL)))
		abort();
}

static void check_integer(pj_bytes bytes)
{
	int64_t value, back;
	char again[PJ__I64_CHARS];
	if (!pj__parse_i64(bytes, &value))
		return;
	const size_t len = pj__format_i64(again, value);
	if (!pj__parse_i64((pj_bytes){again, len}, &back) || back != value)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* without a NUL behind it for us, with one for strtod */
	char *exact = malloc(size + !size), *text = malloc(size + 1);
	if (size) {
		memcpy(exact, data, size);
		memcpy(text, data, size);
	}
	text[size] = 0;
	double value;
	const bool good = pj__parse_f64((pj_bytes){exact, size}, &value);
	if (good != is_number(text, size))
		abort();
	if (good)
		check_text(text, value);
	check_integer((pj_bytes){exact, size});
	free(exact);
	free(text);
	return 0;
}
