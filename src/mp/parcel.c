/*
 * parcel.c: see parcel.h.
 */
#include "mp/parcel.h"

#include <stdlib.h>

#include "base/io.h"

/* Bytes gathered before they are written to the file; longer strings are written as they are. */
enum { BUFFER_BYTES = 256 * 1024 };

pj_status pj__parcel_init(pj__parcel *parcel, pj_error *error)
{
	*parcel = (pj__parcel){.file = -1, .buffer = malloc(BUFFER_BYTES)};
	return parcel->buffer ? PJ_OK : pj__no_memory(error, BUFFER_BYTES);
}

void pj__parcel_fini(pj__parcel *parcel)
{
	free(parcel->buffer);
	free(parcel->lengths);
	*parcel = (pj__parcel){.file = -1};
}

void pj__parcel_begin(pj__parcel *parcel, int file)
{
	parcel->file = file;
	parcel->used = parcel->count = 0;
	parcel->flushed = parcel->begun = 0;
	parcel->failed = 0;
}

static void write_out(pj__parcel *parcel, const void *from, size_t size)
{
	if (!parcel->failed && size)
		parcel->failed = pj__pwrite_all(parcel->file, from, size, (off_t)parcel->flushed);
	parcel->flushed += size;
}

static void flush(pj__parcel *parcel)
{
	write_out(parcel, parcel->buffer, parcel->used);
	parcel->used = 0;
}

void pj__parcel_put(pj__parcel *parcel, pj_bytes bytes)
{
	if (parcel->failed || !bytes.len)
		return;
	if (bytes.len > BUFFER_BYTES - parcel->used)
		flush(parcel);
	if (bytes.len > BUFFER_BYTES / 2 && !parcel->used) {
		write_out(parcel, bytes.ptr, bytes.len);
		return;
	}
	memcpy(parcel->buffer + parcel->used, bytes.ptr, bytes.len);
	parcel->used += bytes.len;
}

void pj__parcel_end_string(pj__parcel *parcel)
{
	if (parcel->count == parcel->room) {
		const size_t room = parcel->room ? 2 * parcel->room : 64;
		uint64_t *lengths = realloc(parcel->lengths, room * sizeof *lengths);
		if (!lengths) {
			parcel->failed = ENOMEM;
			return;
		}
		parcel->lengths = lengths;
		parcel->room = room;
	}
	const uint64_t end = parcel->flushed + parcel->used;
	parcel->lengths[parcel->count++] = end - parcel->begun;
	parcel->begun = end;
}

int pj__parcel_finish(pj__parcel *parcel, void *inside, size_t inside_size, pj__label *ret_label)
{
	const size_t lengths_size = parcel->count * sizeof *parcel->lengths;
	*ret_label = (pj__label){.count = parcel->count, .bytes = parcel->flushed + parcel->used};
	if (!parcel->flushed && parcel->used + lengths_size <= inside_size) {
		memcpy(inside, parcel->buffer, parcel->used);
		if (lengths_size)
			memcpy((char *)inside + parcel->used, parcel->lengths, lengths_size);
		return parcel->failed;
	}
	ret_label->in_file = 1;
	flush(parcel);
	write_out(parcel, parcel->lengths, lengths_size);
	return parcel->failed;
}

bool pj__label_valid(const pj__label *label, size_t inside_size)
{
	const uint64_t limit = UINT64_C(1) << 46;
	if (label->count > limit || label->bytes > limit || label->in_file > 1)
		return false;
	return label->in_file || pj__label_size(label) == inside_size;
}

int pj__parcel_open(const pj__label *label, const void *inside, int file, char *to, pj_bytes *strings)
{
	const size_t size = pj__label_size(label);
	if (label->in_file) {
		size_t got;
		const int failed = pj__pread_full(file, to, size, 0, &got);
		if (failed || got < size)
			return failed ? failed : EBADMSG;
	} else if (size) {
		memcpy(to, inside, size);
	}
	uint64_t at = 0;
	for (size_t i = 0; i < label->count; i++) {
		uint64_t length;
		memcpy(&length, to + label->bytes + i * sizeof length, sizeof length);
		if (length > label->bytes - at)
			return EBADMSG;
		strings[i] = (pj_bytes){to + at, (size_t)length};
		at += length;
	}
	return at == label->bytes ? 0 : EBADMSG;
}
