/*
 * packer.c: see packer.h.
 */
#include "run/packer.h"

#include <stdlib.h>

#include "base/fault.h"
#include "base/io.h"
#include "base/verify.h"
#include "run/record.h"

void pj__packer_init(pj__packer *packer)
{
	*packer = (pj__packer){.fd = -1};
}

void pj__packer_fini(pj__packer *packer)
{
	free(packer->buffer);
	pj__packer_init(packer);
}

static char *block_of(const pj__packer *packer)
{
	return packer->buffer + PJ__PACKER_PIECE + PJ__BLOCK_ROOM;
}

static pj_status write_held(pj__packer *packer, pj_error *error)
{
	const pj_status status =
		pj__pwrite_checked(packer->fd, PJ__RUN_FILE, packer->buffer, packer->held, (off_t)packer->at, error);
	PJ_FAULT("spill");
	packer->at += packer->held;
	packer->held = 0;
	return status;
}

static pj_status put_block(pj__packer *packer, const char *raw, size_t bytes, pj_error *error)
{
	char *to = packer->buffer + packer->held;
	PJ_VERIFY(bytes && bytes <= PJ__BLOCK_BYTES && packer->held < PJ__PACKER_PIECE);
	const size_t packed = (size_t)(pj__block_pack(to, raw, bytes, &packer->segment.checksum) - to);
	packer->held += packed;
	packer->segment.packed += packed;
	packer->segment.bytes += bytes;
	return packer->held < PJ__PACKER_PIECE ? PJ_OK : write_held(packer, error);
}

pj_status pj__packer_begin(pj__packer *packer, int fd, uint64_t start, pj_error *error)
{
	if (!packer->buffer && !(packer->buffer = malloc(PJ__PACKER_BYTES)))
		return pj__no_memory(error, PJ__PACKER_BYTES);
	*packer = (pj__packer){.buffer = packer->buffer, .fd = fd, .start = start, .at = start};
	return PJ_OK;
}

static pj_status put_segment(pj__packer *packer, const char *data, pj__segment *segment, pj_error *error)
{
	packer->segment = (pj__segment){
		.offset = packer->at + packer->held - packer->start,
		.pairs = segment->pairs,
		.longest = segment->longest,
	};
	pj_status status = PJ_OK;
	for (uint64_t left = segment->bytes; left && !status;) {
		const size_t bytes = left < PJ__BLOCK_BYTES ? (size_t)left : PJ__BLOCK_BYTES;
		status = put_block(packer, data + (segment->bytes - left), bytes, error);
		left -= bytes;
	}
	*segment = packer->segment;
	return status;
}

pj_status pj__packer_put_blob(pj__packer *packer, int fd, uint64_t start, const char *data, pj__segment *segments,
			      uint32_t buckets, uint64_t *ret_end, pj_error *error)
{
	pj_status status = pj__packer_begin(packer, fd, start, error);
	for (uint32_t i = 0; i < buckets && !status; i++)
		status = put_segment(packer, data + segments[i].offset, &segments[i], error);
	if (!status)
		status = write_held(packer, error);
	return status ? status : pj__run_finish(fd, start, segments, buckets, ret_end, error);
}

/* Appends bytes to the block at hand, and to the next ones. */
static pj_status append(pj__packer *packer, const char *bytes, size_t count, pj_error *error)
{
	pj_status status = PJ_OK;
	while (count && !status) {
		const size_t room = PJ__BLOCK_BYTES - packer->filled, part = count < room ? count : room;
		memcpy(block_of(packer) + packer->filled, bytes, part);
		packer->filled += part;
		bytes += part;
		count -= part;
		if (packer->filled == PJ__BLOCK_BYTES) {
			packer->filled = 0;
			status = put_block(packer, block_of(packer), PJ__BLOCK_BYTES, error);
		}
	}
	return status;
}

pj_status pj__packer_add(pj__packer *packer, pj_bytes key, pj_bytes value, pj_error *error)
{
	/* two lengths that are those of objects in memory have a sum */
	const size_t bytes = pj__record_bytes(key.len, value.len);
	packer->segment.pairs++;
	if (packer->segment.longest < bytes)
		packer->segment.longest = bytes;
	if (PJ_LIKELY(bytes <= PJ__BLOCK_BYTES - packer->filled)) {
		char *block = block_of(packer);
		packer->filled = (size_t)(pj__put_record(block + packer->filled, key, value) - block);
		return PJ_OK;
	}
	char head[PJ__RECORD_HEAD_MAX];
	const char *end = pj__put_varint(pj__put_varint(head, key.len), value.len);
	pj_status status = append(packer, head, (size_t)(end - head), error);
	if (!status)
		status = append(packer, key.ptr, key.len, error);
	return status ? status : append(packer, value.ptr, value.len, error);
}

static pj_status write_all(pj__packer *packer, pj_error *error)
{
	pj_status status = PJ_OK;
	if (packer->filled)
		status = put_block(packer, block_of(packer), packer->filled, error);
	packer->filled = 0;
	return status ? status : write_held(packer, error);
}

pj_status pj__packer_put_record(pj__packer *packer, int fd, uint64_t start, pj_bytes key, pj_bytes value,
				pj__segment *segments, uint32_t bucket, uint32_t buckets, uint64_t *ret_end,
				pj_error *error)
{
	pj_status status = pj__packer_begin(packer, fd, start, error);
	if (!status)
		status = pj__packer_add(packer, key, value, error);
	if (!status)
		status = write_all(packer, error);
	if (status)
		return status;
	for (uint32_t i = 0; i < buckets; i++)
		segments[i] = (pj__segment){.offset = i > bucket ? packer->segment.packed : 0};
	segments[bucket] = packer->segment;
	return pj__run_finish(fd, start, segments, buckets, ret_end, error);
}

pj_status pj__packer_finish(pj__packer *packer, pj__run *ret_run, pj__segment *ret_segment, pj_error *error)
{
	uint64_t end;
	pj_status status = write_all(packer, error);
	if (!status)
		status = pj__run_finish(packer->fd, packer->start, &packer->segment, 1, &end, error);
	if (status)
		return status;
	*ret_run = (pj__run){
		.fd = packer->fd,
		.offset = packer->start,
		.bytes = end - packer->start,
		.index = packer->start + packer->segment.packed,
		.pairs = packer->segment.pairs,
		.buckets = 1,
	};
	*ret_segment = packer->segment;
	return PJ_OK;
}
