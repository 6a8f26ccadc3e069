/*
 * bytes.h: a pointer and a length, the one way in which bytes to be read are passed.
 *
 * A pj_bytes is passed by value and owns nothing; who owns the memory is said where the value comes from. The bytes
 * may hold anything, NUL included, and are not terminated. `ptr` may be NULL only when `len` is 0.
 */
#ifndef PAPJUICE_BYTES_H
#define PAPJUICE_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pj_bytes {
	const char *ptr;
	size_t len;
} pj_bytes;

/* Functions that belong to the library's interface; everything else stays inside. */
#define PJ_API __attribute__((visibility("default")))
#define PJ_MUST_USE __attribute__((warn_unused_result))
#define PJ_LIKELY(x) __builtin_expect(!!(x), 1)
#define PJ_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* The bytes of a C string, without its final NUL. The string must outlive the result. */
static inline pj_bytes pj_bytes_of(const char *string)
{
	return (pj_bytes){string, strlen(string)};
}

/* Byte order as in memcmp, a prefix before what it begins: negative, 0 or positive. The order of keys everywhere. */
static inline int pj_bytes_compare(pj_bytes a, pj_bytes b)
{
	const size_t common = a.len < b.len ? a.len : b.len;
	const int order = common ? memcmp(a.ptr, b.ptr, common) : 0;
	return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* 1 if both hold the same bytes, else 0. */
static inline int pj_bytes_equal(pj_bytes a, pj_bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

#ifdef __cplusplus
}
#endif
#endif
