/*
 * text.c: see text.h.
 */
#include "base/text.h"

#include <stdlib.h>

#include "base/number.h"

char *pj__text_room(pj_text *text, size_t more)
{
	if (text->failed)
		return NULL;
	if (more <= text->capacity - text->len)
		return text->data + text->len;
	size_t needed, doubled = text->capacity * 2;
	if (__builtin_add_overflow(text->len, more, &needed)) {
		text->failed = true;
		return NULL;
	}
	if (doubled < needed)
		doubled = needed;
	if (doubled < 256)
		doubled = 256;
	char *grown = realloc(text->data, doubled);
	if (!grown) {
		text->failed = true;
		return NULL;
	}
	text->data = grown;
	text->capacity = doubled;
	return grown + text->len;
}

void pj__text_fini(pj_text *text)
{
	free(text->data);
	*text = (pj_text){0};
}

void pj_text_bytes(pj_text *text, pj_bytes bytes)
{
	char *to = bytes.len ? pj__text_room(text, bytes.len) : NULL;
	if (!to)
		return;
	memcpy(to, bytes.ptr, bytes.len);
	text->len += bytes.len;
}

void pj__text_pieces(pj_text *text, pj_next_piece *next, void *arg)
{
	pj_bytes piece;
	while (!text->failed && next(arg, &piece))
		pj_text_bytes(text, piece);
}

void pj_text_i64(pj_text *text, int64_t value)
{
	char *to = pj__text_room(text, PJ__I64_CHARS);
	if (to)
		text->len += pj__format_i64(to, value);
}

void pj_text_f64(pj_text *text, double value)
{
	char *to = pj__text_room(text, PJ__F64_CHARS);
	if (to)
		text->len += pj__format_f64(to, value);
}
