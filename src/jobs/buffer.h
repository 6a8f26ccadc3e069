/*
 * buffer.h: bytes that a built-in job puts together before it emits them; the memory is used again and again.
 */
#ifndef PJ_JOBS_BUFFER_H
#define PJ_JOBS_BUFFER_H

#include <papjuice/task.h>
#include <stdbool.h>
#include <stdlib.h>

enum { PJ__BUFFER_LEAST = 256, PJ__BUFFER_KEPT = 1 << 20 };

typedef struct pj__buffer {
	char *data; /* to be freed by the owner */
	size_t len, capacity;
} pj__buffer;

/* Room for `more` bytes after what is there; the caller adds to `len` what it used. NULL: the task has failed. */
static inline char *pj__buffer_room(pj__buffer *buffer, pj_task *task, size_t more)
{
	if (PJ_UNLIKELY(!buffer->data || more > buffer->capacity - buffer->len)) {
		const size_t twice = buffer->capacity * 2 + PJ__BUFFER_LEAST, wanted = buffer->len + more;
		const size_t capacity = wanted > twice ? wanted : twice;
		char *const grown = wanted >= more && twice > buffer->capacity ? realloc(buffer->data, capacity) : NULL;
		if (!grown) {
			(void)pj_task_fail(task, PJ_ERR_MEMORY, NULL, "there is no memory for %zu bytes", wanted);
			return NULL;
		}
		buffer->data = grown;
		buffer->capacity = capacity;
	}
	return buffer->data + buffer->len;
}

/* Appends bytes. False: the task has failed. */
static inline bool pj__buffer_add(pj__buffer *buffer, pj_task *task, pj_bytes bytes)
{
	char *const to = pj__buffer_room(buffer, task, bytes.len);
	if (!to)
		return false;
	if (bytes.len)
		memcpy(to, bytes.ptr, bytes.len);
	buffer->len += bytes.len;
	return true;
}

/* Appends a number in decimal. */
static inline bool pj__buffer_add_number(pj__buffer *buffer, pj_task *task, uint64_t number)
{
	char digits[20], *at = digits + sizeof digits;
	do
		*--at = (char)('0' + number % 10);
	while (number /= 10);
	return pj__buffer_add(buffer, task, (pj_bytes){at, (size_t)(digits + sizeof digits - at)});
}

/* To be called when a mapper or reducer is done: gives back what a long record took, for others have to get by. */
static inline void pj__buffer_relax(pj__buffer *buffer)
{
	if (PJ_LIKELY(buffer->capacity <= PJ__BUFFER_KEPT))
		return;
	free(buffer->data);
	*buffer = (pj__buffer){NULL, 0, 0};
}

static inline pj_bytes pj__buffer_all(const pj__buffer *buffer)
{
	return (pj_bytes){buffer->data, buffer->len};
}

#endif
