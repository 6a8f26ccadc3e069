/*
 * part.c: see part.h.
 */
#include "output/part.h"

static void add_escaped(pj_text *text, pj_bytes bytes)
{
	for (size_t i = 0; i < bytes.len; i++) {
		const char byte = bytes.ptr[i];
		const char letter = byte == '\t' ? 't' : byte == '\n' ? 'n' : byte == '\\' ? '\\' : 0;
		if (letter)
			pj__text_byte(text, '\\');
		pj__text_byte(text, letter ? letter : byte);
	}
}

static char *put(char *to, pj_bytes bytes)
{
	if (bytes.len)
		memcpy(to, bytes.ptr, bytes.len);
	return to + bytes.len;
}

static void add_record(pj__part *part, pj_bytes key, pj_bytes value)
{
	const uint64_t lengths[2] = {key.len, value.len};
	pj_text_bytes(&part->bytes, (pj_bytes){(const char *)lengths, sizeof lengths});
	pj_text_bytes(&part->bytes, key);
	pj_text_bytes(&part->bytes, value);
}

static void add_escaped_line(pj__part *part, pj_bytes key, pj_bytes value)
{
	if (part->columns != PJ_VALUE_ONLY)
		add_escaped(&part->bytes, key);
	if (part->columns == PJ_KEY_AND_VALUE)
		pj__text_byte(&part->bytes, '\t');
	if (part->columns != PJ_KEY_ONLY)
		add_escaped(&part->bytes, value);
	pj__text_byte(&part->bytes, '\n');
}

/* The usual line, all of whose room is asked for at once. */
static void add_line(pj__part *part, pj_bytes key, pj_bytes value)
{
	char *to = pj__text_room(&part->bytes, key.len + value.len + 2);
	if (!to)
		return;
	if (part->columns != PJ_VALUE_ONLY)
		to = put(to, key);
	if (part->columns == PJ_KEY_AND_VALUE)
		*to++ = '\t';
	if (part->columns != PJ_KEY_ONLY)
		to = put(to, value);
	*to++ = '\n';
	part->bytes.len = (size_t)(to - part->bytes.data);
}

static void put_away(pj__part *part)
{
	if (PJ_UNLIKELY(part->overflow && part->bytes.len >= part->most))
		part->overflow(part, part->arg);
}

/* What is longer than the part may be in memory is put away piece by piece. */
static void add_pieces(pj__part *part, pj_bytes bytes, bool escape)
{
	while (bytes.len && !part->bytes.failed) {
		const pj_bytes piece = {bytes.ptr, bytes.len < part->most ? bytes.len : part->most};
		if (escape)
			add_escaped(&part->bytes, piece);
		else
			pj_text_bytes(&part->bytes, piece);
		put_away(part);
		bytes = (pj_bytes){bytes.ptr + piece.len, bytes.len - piece.len};
	}
}

static void add_long(pj__part *part, pj_bytes key, pj_bytes value)
{
	const uint64_t lengths[2] = {key.len, value.len};
	const bool escape = part->escape && !part->as_records;
	if (part->as_records)
		pj_text_bytes(&part->bytes, (pj_bytes){(const char *)lengths, sizeof lengths});
	if (part->as_records || part->columns != PJ_VALUE_ONLY)
		add_pieces(part, key, escape);
	if (!part->as_records && part->columns == PJ_KEY_AND_VALUE)
		pj__text_byte(&part->bytes, '\t');
	if (part->as_records || part->columns != PJ_KEY_ONLY)
		add_pieces(part, value, escape);
	if (!part->as_records)
		pj__text_byte(&part->bytes, '\n');
}

/* A key, or some of a value, of a line. */
static void add_piece(pj__part *part, pj_bytes bytes)
{
	if (part->most && bytes.len > part->most) {
		add_pieces(part, bytes, part->escape);
		return;
	}
	if (part->escape)
		add_escaped(&part->bytes, bytes);
	else
		pj_text_bytes(&part->bytes, bytes);
	put_away(part);
}

void pj__part_add(pj__part *part, pj_bytes key, pj_bytes value)
{
	part->pairs++;
	if (PJ_UNLIKELY(part->cuts && key.len + value.len > part->most && part->most))
		add_long(part, key, value);
	else if (part->as_records)
		add_record(part, key, value);
	else if (part->escape)
		add_escaped_line(part, key, value);
	else
		add_line(part, key, value);
	put_away(part);
}

static void add_pieces_whole(pj__part *part, pj_bytes key, pj_next_piece *next, void *arg)
{
	pj_text value = {0};
	pj__text_pieces(&value, next, arg);
	part->bytes.failed |= value.failed;
	pj__part_add(part, key, pj__text_all(&value));
	pj__text_fini(&value);
}

void pj__part_add_pieces(pj__part *part, pj_bytes key, pj_next_piece *next, void *arg)
{
	pj_bytes piece;
	if (part->as_records) {
		add_pieces_whole(part, key, next, arg);
		return;
	}
	part->pairs++;
	if (part->columns != PJ_VALUE_ONLY)
		add_piece(part, key);
	if (part->columns == PJ_KEY_AND_VALUE)
		pj__text_byte(&part->bytes, '\t');
	while (part->columns != PJ_KEY_ONLY && !part->bytes.failed && next(arg, &piece))
		add_piece(part, piece);
	pj__text_byte(&part->bytes, '\n');
	put_away(part);
}

const char *pj__part_take(const char *at, const char *end, pj_bytes *ret_key, pj_bytes *ret_value)
{
	uint64_t lengths[2];
	if ((size_t)(end - at) < sizeof lengths)
		return NULL;
	memcpy(lengths, at, sizeof lengths);
	const char *body = at + sizeof lengths;
	const size_t rest = (size_t)(end - body);
	if (lengths[0] > rest || lengths[1] > rest - lengths[0])
		return NULL;
	*ret_key = (pj_bytes){body, lengths[0]};
	*ret_value = (pj_bytes){body + lengths[0], lengths[1]};
	return body + lengths[0] + lengths[1];
}

size_t pj__part_whole(pj_bytes records)
{
	const char *at = records.ptr, *const end = at + records.len;
	pj_bytes key, value;
	for (const char *next; (next = pj__part_take(at, end, &key, &value));)
		at = next;
	return (size_t)(at - records.ptr);
}

static pj_status cut_off(pj_error *error)
{
	return pj__fail(error, PJ_ERR_CORRUPT, 0, NULL, "a part is cut off");
}

pj_status pj__part_copy(pj__part *to, pj_bytes records, pj_error *error)
{
	const char *at = records.ptr, *end = at + records.len;
	pj_bytes key, value;
	while (at < end) {
		at = pj__part_take(at, end, &key, &value);
		if (!at)
			return cut_off(error);
		pj__part_add(to, key, value);
	}
	return PJ_OK;
}

pj_status pj__part_deliver(pj_bytes records, const pj_output *output, pj_error *error)
{
	const char *at = records.ptr, *end = at + records.len;
	pj_bytes key, value;
	while (at < end) {
		at = pj__part_take(at, end, &key, &value);
		if (!at)
			return cut_off(error);
		const pj_status status = output->pair(output->arg, key, value);
		if (status)
			return pj__fail(error, status, 0, NULL, "the output function failed");
	}
	return PJ_OK;
}
