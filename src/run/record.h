/*
 * record.h: one pair as it is stored in a run.
 *
 *     +---------+-----------+-----+-------+
 *     | key len | value len | key | value |
 *     +---------+-----------+-----+-------+
 *
 * Lengths are LEB128 varints (seven bits a byte, low bits first, at most ten bytes). docs/formats.md specifies the run.
 */
#ifndef PJ_RUN_RECORD_H
#define PJ_RUN_RECORD_H

#include <papjuice/bytes.h>
#include <stdbool.h>

enum { PJ__VARINT_MAX = 10, PJ__RECORD_HEAD_MAX = 2 * PJ__VARINT_MAX };

static inline char *pj__put_varint(char *to, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		*to++ = (char)(value | 0x80);
	*to++ = (char)value;
	return to;
}

static inline size_t pj__varint_bytes(uint64_t value)
{
	return value < 0x80 ? 1 : (size_t)(63 - __builtin_clzll(value)) / 7 + 1;
}

/* Returns what follows the varint at `at`, or NULL if it does not end before `end` or does not fit 64 bits. */
static inline const char *pj__get_varint(const char *at, const char *end, uint64_t *ret_value)
{
	if (PJ_LIKELY(at < end && (unsigned char)*at < 0x80)) {
		*ret_value = (unsigned char)*at;
		return at + 1;
	}
	uint64_t value = 0;
	for (unsigned shift = 0; at < end && shift < 64; shift += 7) {
		const uint64_t byte = (unsigned char)*at++;
		if (shift == 63 && byte > 1)
			return NULL;
		value |= (byte & 0x7f) << shift;
		if (byte < 0x80) {
			*ret_value = value;
			return at;
		}
	}
	return NULL;
}

static inline size_t pj__record_bytes(size_t key_len, size_t value_len)
{
	return pj__varint_bytes(key_len) + pj__varint_bytes(value_len) + key_len + value_len;
}

/* Writes a record to `to`, which has room for it; returns its end. */
static inline char *pj__put_record(char *to, pj_bytes key, pj_bytes value)
{
	to = pj__put_varint(pj__put_varint(to, key.len), value.len);
	if (key.len)
		memcpy(to, key.ptr, key.len);
	if (value.len)
		memcpy(to + key.len, value.ptr, value.len);
	return to + key.len + value.len;
}

/*
 * Takes the record at `at`. Returns its end, or NULL if the bytes up to `end` hold no whole record; then *ret_needed
 * (NULL: not wanted) is how long the record is, as far as that is known, or 0 if its head is cut off or wrong.
 */
static inline const char *pj__get_record(const char *at, const char *end, pj_bytes *ret_key, pj_bytes *ret_value,
					 size_t *ret_needed)
{
	uint64_t key_len = 0, value_len = 0, both;
	const char *body = pj__get_varint(at, end, &key_len);
	body = body ? pj__get_varint(body, end, &value_len) : NULL;
	if (!body || __builtin_add_overflow(key_len, value_len, &both) || both > (uint64_t)PTRDIFF_MAX) {
		if (ret_needed)
			*ret_needed = 0;
		return NULL;
	}
	if (both > (uint64_t)(end - body)) {
		if (ret_needed)
			*ret_needed = (size_t)(body - at) + (size_t)both;
		return NULL;
	}
	*ret_key = (pj_bytes){body, (size_t)key_len};
	*ret_value = (pj_bytes){body + key_len, (size_t)value_len};
	return body + both;
}

/* The first eight bytes of a key behind `depth`, as a number whose order is theirs; zero bytes where it has ended. */
static inline uint64_t pj__prefix(pj_bytes key, size_t depth)
{
	uint64_t word = 0;
	if (depth < key.len)
		memcpy(&word, key.ptr + depth, key.len - depth < 8 ? key.len - depth : 8);
	return __builtin_bswap64(word);
}

#endif
