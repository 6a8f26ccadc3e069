/*
 * text.h: bytes that grow at their end. The public pj_text is this struct.
 *
 * A failed growth is remembered in `failed` and what is appended then is dropped, so that a caller may append many
 * times and check once.
 */
#ifndef PJ_BASE_TEXT_H
#define PJ_BASE_TEXT_H

#include <papjuice/reducer.h>

#include "base/error.h"

struct pj_text {
	char *data;
	size_t len, capacity;
	bool failed;
};

/* Makes room for `more` bytes after the end. Returns where they go, or NULL (and `failed` is set). */
char *pj__text_room(pj_text *text, size_t more);

/* Empties the text and forgets a failure; the memory stays. */
static inline void pj__text_reset(pj_text *text)
{
	text->len = 0;
	text->failed = false;
}

/* Gives the memory back; the text is empty and can be used again. */
void pj__text_fini(pj_text *text);

static inline void pj__text_byte(pj_text *text, char byte)
{
	char *to = text->len < text->capacity ? text->data + text->len : pj__text_room(text, 1);
	if (to) {
		*to = byte;
		text->len++;
	}
}

/* Appends all pieces, as long as there is memory for them. */
void pj__text_pieces(pj_text *text, pj_next_piece *next, void *arg);

static inline pj_bytes pj__text_all(const pj_text *text)
{
	return (pj_bytes){text->data, text->len};
}

#endif
