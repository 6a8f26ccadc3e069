/*
 * typed.c: see typed.h.
 */
#include "streaming/typed.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>

#include "streaming/java.h"

enum {
	BYTES,
	BYTE,
	BOOL,
	INT,
	LONG,
	FLOAT,
	DOUBLE,
	STRING,
	VECTOR,
	LIST,
	MAP,
	OTHERS = 50,
	OTHERS_END = 200,
	MARKER = 255
};
enum { DEEPEST = 200 }; /* lists within lists */

static uint32_t get_u32(const char *at)
{
	uint32_t value;
	memcpy(&value, at, sizeof value);
	return be32toh(value);
}

static void put_u32(uint32_t value, pj_text *to)
{
	value = htobe32(value);
	pj_text_bytes(to, (pj_bytes){(const char *)&value, sizeof value});
}

pj__found pj__raw_take(pj_bytes *rest, pj_bytes *ret_item)
{
	if (rest->len < 4)
		return PJ__FOUND_PART;
	const uint32_t len = get_u32(rest->ptr);
	if (len > INT32_MAX)
		return PJ__FOUND_NOTHING_SUCH;
	if (rest->len - 4 < len)
		return PJ__FOUND_PART;
	*ret_item = (pj_bytes){rest->ptr + 4, len};
	*rest = (pj_bytes){rest->ptr + 4 + len, rest->len - 4 - len};
	return PJ__FOUND;
}

static bool has_length(unsigned type)
{
	return type == BYTES || type == STRING || (type >= OTHERS && type <= OTHERS_END);
}

/* The bytes after the type byte, for a type of fixed size; 0: its size varies. */
static size_t fixed_size(unsigned type)
{
	static const uint8_t sizes[] = {[BYTE] = 1, [BOOL] = 1, [INT] = 4, [LONG] = 8, [FLOAT] = 4, [DOUBLE] = 8};
	return type < sizeof sizes ? sizes[type] : 0;
}

/* Skips the item at `at`, which begins before the end; *ret_end is where the next one begins. */
static pj__found pass(const char *at, const char *end, int depth, const char **ret_end);

/* Passes over `count` items, or, if it is UINT64_MAX, over all up to a marker, and that. */
static pj__found pass_many(const char *at, const char *end, uint64_t count, int depth, const char **ret_end)
{
	const bool until_marker = count == UINT64_MAX;
	for (uint64_t i = 0; i < count; i++) {
		if (at == end)
			return PJ__FOUND_PART;
		if (until_marker && (unsigned char)*at == MARKER) {
			at++;
			break;
		}
		const pj__found found = pass(at, end, depth, &at);
		if (found != PJ__FOUND)
			return found;
	}
	*ret_end = at;
	return PJ__FOUND;
}

static pj__found pass(const char *at, const char *end, int depth, const char **ret_end)
{
	const unsigned type = (unsigned char)*at++;
	const size_t left = (size_t)(end - at), fixed = fixed_size(type);
	if (fixed) {
		*ret_end = at + fixed;
		return left >= fixed ? PJ__FOUND : PJ__FOUND_PART;
	}
	if (type == LIST && depth)
		return pass_many(at, end, UINT64_MAX, depth - 1, ret_end);
	if (!depth || (!has_length(type) && type != VECTOR && type != MAP))
		return PJ__FOUND_NOTHING_SUCH;
	if (left < 4)
		return PJ__FOUND_PART;
	const uint32_t count = get_u32(at);
	if (count > INT32_MAX)
		return PJ__FOUND_NOTHING_SUCH;
	if (!has_length(type))
		return pass_many(at + 4, end, type == MAP ? 2 * (uint64_t)count : count, depth - 1, ret_end);
	*ret_end = at + 4 + count;
	return left - 4 >= count ? PJ__FOUND : PJ__FOUND_PART;
}

pj__found pj__typed_take(pj_bytes *rest, pj_bytes *ret_item)
{
	if (!rest->len)
		return PJ__FOUND_PART;
	const char *end;
	const pj__found found = pass(rest->ptr, rest->ptr + rest->len, DEEPEST, &end);
	if (found != PJ__FOUND)
		return found;
	*ret_item = (pj_bytes){rest->ptr, (size_t)(end - rest->ptr)};
	*rest = (pj_bytes){end, rest->len - ret_item->len};
	return PJ__FOUND;
}

void pj__raw_put(pj_bytes bytes, pj_text *to)
{
	put_u32((uint32_t)bytes.len, to);
	pj_text_bytes(to, bytes);
}

void pj__typed_put(pj_bytes bytes, uint8_t type, pj_text *to)
{
	pj__text_byte(to, (char)type);
	pj__raw_put(bytes, to);
}

void pj__typed_put_long(int64_t value, pj_text *to)
{
	const uint64_t big = htobe64((uint64_t)value);
	pj__text_byte(to, LONG);
	pj_text_bytes(to, (pj_bytes){(const char *)&big, sizeof big});
}

void pj__typed_put_null(pj_text *to)
{
	/* a Writable, by the name of its class, which has no bytes of its own */
	static const char name[] = "org.apache.hadoop.io.NullWritable";
	pj__text_byte(to, OTHERS);
	put_u32(4 + sizeof name - 1, to);
	pj__raw_put((pj_bytes){name, sizeof name - 1}, to);
}

/* -------------------------------------------------------------------------------------------------------- as a text */

static void put_hex(pj_bytes bytes, const char *between, pj_text *to)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < bytes.len; i++) {
		const unsigned byte = (unsigned char)bytes.ptr[i];
		if (i)
			pj_text_bytes(to, pj_bytes_of(between));
		pj__text_byte(to, digits[byte >> 4]);
		pj__text_byte(to, digits[byte & 15]);
	}
}

void pj__raw_show(pj_bytes item, pj_text *to)
{
	put_hex(item, " ", to);
}

static void show_float(const char *at, pj_text *to)
{
	const uint32_t bits = get_u32(at);
	float value;
	memcpy(&value, &bits, sizeof value);
	char text[40];
	/* the fewest digits that read back as the same float are, read as a double, what Java would print of it */
	for (int digits = 1; digits <= 9; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, (double)value);
		double read = 0;
		if (!pj_parse_f64(pj_bytes_of(text), &read) || (float)read == value) {
			pj__java_double(read, to);
			return;
		}
	}
	pj__java_double((double)value, to);
}

static const char *show(const char *at, const char *end, pj_text *to);

static const char *show_many(const char *at, const char *end, uint64_t count, bool is_map, pj_text *to)
{
	pj__text_byte(to, is_map ? '{' : '[');
	for (uint64_t i = 0; i < count && at < end && (unsigned char)*at != MARKER; i++) {
		if (i)
			pj_text_bytes(to, is_map && i % 2 ? pj_bytes_of("=") : pj_bytes_of(", "));
		at = show(at, end, to);
	}
	pj__text_byte(to, is_map ? '}' : ']');
	return at < end && count == UINT64_MAX ? at + 1 : at;
}

/* Shows the item at `at`, which is whole; returns its end. */
static const char *show(const char *at, const char *end, pj_text *to)
{
	const unsigned type = (unsigned char)*at++;
	const uint32_t count = end - at >= 4 ? get_u32(at) : 0;
	char text[32];
	uint64_t wide = 0;
	double number;
	if (end - at >= 8)
		memcpy(&wide, at, sizeof wide);
	wide = be64toh(wide);
	memcpy(&number, &wide, sizeof number);
	switch (type) {
	case BYTE:
		snprintf(text, sizeof text, "%d", (signed char)*at);
		pj_text_bytes(to, pj_bytes_of(text));
		return at + 1;
	case BOOL:
		pj_text_bytes(to, *at ? pj_bytes_of("true") : pj_bytes_of("false"));
		return at + 1;
	case INT:
		pj_text_i64(to, (int32_t)count);
		return at + 4;
	case LONG:
		pj_text_i64(to, (int64_t)wide);
		return at + 8;
	case FLOAT:
		show_float(at, to);
		return at + 4;
	case DOUBLE:
		pj__java_double(number, to);
		return at + 8;
	case VECTOR:
	case MAP:
		return show_many(at + 4, end, type == MAP ? 2 * (uint64_t)count : count, type == MAP, to);
	case LIST:
		return show_many(at, end, UINT64_MAX, false, to);
	case STRING:
		pj_text_bytes(to, (pj_bytes){at + 4, count});
		return at + 4 + count;
	default:
		put_hex((pj_bytes){at + 4, count}, "", to);
		return at + 4 + count;
	}
}

void pj__typed_show(pj_bytes item, pj_text *to)
{
	pj_bytes rest = item, whole;
	if (pj__typed_take(&rest, &whole) == PJ__FOUND)
		show(whole.ptr, whole.ptr + whole.len, to);
}
