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

static void add_column(pj__part *part, pj_bytes bytes)
{
	if (part->escape)
		add_escaped(&part->bytes, bytes);
	else
		pj_text_bytes(&part->bytes, bytes);
}

void pj__part_add(pj__part *part, pj_bytes key, pj_bytes value)
{
	part->pairs++;
	if (part->as_records) {
		const uint64_t lengths[2] = {key.len, value.len};
		pj_text_bytes(&part->bytes, (pj_bytes){(const char *)lengths, sizeof lengths});
		pj_text_bytes(&part->bytes, key);
		pj_text_bytes(&part->bytes, value);
		return;
	}
	if (part->columns != PJ_VALUE_ONLY)
		add_column(part, key);
	if (part->columns == PJ_KEY_AND_VALUE)
		pj__text_byte(&part->bytes, '\t');
	if (part->columns != PJ_KEY_ONLY)
		add_column(part, value);
	pj__text_byte(&part->bytes, '\n');
}

pj_status pj__part_deliver(pj_bytes records, const pj_output *output, pj_error *error)
{
	const char *at = records.ptr, *end = at + records.len;
	while (at < end) {
		uint64_t lengths[2];
		memcpy(lengths, at, sizeof lengths);
		const char *body = at + sizeof lengths;
		at = body + lengths[0] + lengths[1];
		const pj_status status = output->pair(output->arg, (pj_bytes){body, lengths[0]},
						      (pj_bytes){body + lengths[0], lengths[1]});
		if (status)
			return pj__fail(error, status, 0, NULL, "the output function failed");
	}
	return PJ_OK;
}
