/*
 * unpacker.c: see unpacker.h.
 *
 * A raw segment that is read at once, as the reduce of combined states does, goes straight to where it is wanted and is
 * hashed there in one call; only one that comes in pieces needs a hash with a memory. A packed one takes a call of the
 * system for each block: with a block the head of the next one is read.
 */
#include "run/unpacker.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/io.h"

void pj__unpacker_init(pj__unpacker *unpacker, const pj__run *run, const pj__segment *segment, char *scratch)
{
	*unpacker = (pj__unpacker){.run = *run, .segment = *segment, .scratch = scratch};
}

void pj__unpacker_fini(pj__unpacker *unpacker)
{
	XXH3_freeState(unpacker->hash);
	unpacker->hash = NULL;
}

size_t pj__unpacker_least(const pj__unpacker *unpacker)
{
	const uint64_t left = unpacker->segment.bytes - unpacker->read,
		       most = unpacker->segment.packed ? PJ__BLOCK_BYTES : 1;
	return (size_t)(left < most ? left : most);
}

static pj_status corrupt(const pj__unpacker *unpacker, const char *what, pj_error *error)
{
	return pj__run_corrupt(&unpacker->run, unpacker->segment.offset + unpacker->taken, what, error);
}

static pj_status take(pj__unpacker *unpacker, char *to, size_t bytes, pj_error *error)
{
	const off_t at = (off_t)(unpacker->run.offset + unpacker->segment.offset + unpacker->taken);
	return pj__pread_exactly(unpacker->run.fd, PJ__RUN_FILE, to, bytes, at, error);
}

/* The checksum of a raw segment: of `bytes` more of it, which end it if `last`. */
static pj_status check_raw(pj__unpacker *unpacker, const char *data, size_t bytes, bool last, pj_error *error)
{
	uint64_t checksum;
	if (last && !unpacker->hash) {
		checksum = XXH3_64bits(data, bytes);
	} else {
		if (!unpacker->hash) {
			unpacker->hash = XXH3_createState();
			if (!unpacker->hash)
				return pj__no_memory(error, sizeof(XXH3_state_t));
			if (XXH3_64bits_reset(unpacker->hash) != XXH_OK)
				return pj__fail(error, PJ_ERR_INTERNAL, 0, NULL, "cannot hash a stored run");
		}
		if (XXH3_64bits_update(unpacker->hash, data, bytes) != XXH_OK)
			return pj__fail(error, PJ_ERR_INTERNAL, 0, NULL, "cannot hash a stored run");
		if (!last)
			return PJ_OK;
		checksum = XXH3_64bits_digest(unpacker->hash);
	}
	return checksum == unpacker->segment.checksum ? PJ_OK : corrupt(unpacker, "the checksum does not fit", error);
}

static pj_status read_raw(pj__unpacker *unpacker, char *to, size_t room, size_t *ret_got, pj_error *error)
{
	const uint64_t left = unpacker->segment.bytes - unpacker->read;
	const size_t bytes = room < left ? room : (size_t)left;
	pj_status status = take(unpacker, to, bytes, error);
	if (!status)
		status = check_raw(unpacker, to, bytes, bytes == left, error);
	if (status)
		return status;
	unpacker->read += bytes;
	unpacker->taken += bytes;
	*ret_got = bytes;
	return PJ_OK;
}

/* Unpacks the next block to `to`, which has room for it. */
static pj_status read_block(pj__unpacker *unpacker, char *to, pj_error *error)
{
	const pj__block block = unpacker->next;
	const uint64_t left = unpacker->segment.packed - unpacker->taken;
	if (block.stored > PJ__BLOCK_BYTES || block.stored > left ||
	    block.raw > unpacker->segment.bytes - unpacker->read)
		return corrupt(unpacker, "a block's head is damaged", error);
	const bool last = block.stored == left;
	if (!last && left - block.stored <= sizeof block)
		return corrupt(unpacker, "a block is cut off", error);
	const size_t bytes = block.stored + (last ? 0 : sizeof block);
	const pj_status status = take(unpacker, unpacker->scratch, bytes, error);
	if (status)
		return status;
	const char *wrong = pj__block_unpack(to, &block, unpacker->scratch, unpacker->checksum);
	if (wrong)
		return corrupt(unpacker, wrong, error);
	if (!last)
		memcpy(&unpacker->next, unpacker->scratch + block.stored, sizeof unpacker->next);
	unpacker->checksum = block.checksum;
	unpacker->taken += bytes;
	unpacker->read += block.raw;
	if (last != (unpacker->read == unpacker->segment.bytes))
		return corrupt(unpacker, "the blocks do not fit the segment", error);
	if (last && unpacker->checksum != unpacker->segment.checksum)
		return corrupt(unpacker, "the checksum does not fit", error);
	return PJ_OK;
}

static pj_status read_packed(pj__unpacker *unpacker, char *to, size_t room, size_t *ret_got, pj_error *error)
{
	pj_status status = PJ_OK;
	const uint64_t before = unpacker->read;
	size_t got = 0;
	if (!unpacker->taken) {
		if (unpacker->segment.packed <= sizeof unpacker->next)
			return corrupt(unpacker, "a block is cut off", error);
		status = take(unpacker, (char *)&unpacker->next, sizeof unpacker->next, error);
		unpacker->taken = sizeof unpacker->next;
	}
	while (!status && unpacker->read < unpacker->segment.bytes && (!got || unpacker->next.raw <= room - got)) {
		status = read_block(unpacker, to + got, error);
		got = (size_t)(unpacker->read - before);
	}
	if (!status)
		*ret_got = got;
	return status;
}

pj_status pj__unpacker_read(pj__unpacker *unpacker, char *to, size_t room, size_t *ret_got, pj_error *error)
{
	if (unpacker->read == unpacker->segment.bytes) {
		*ret_got = 0;
		return PJ_OK;
	}
	return unpacker->segment.packed ? read_packed(unpacker, to, room, ret_got, error)
					: read_raw(unpacker, to, room, ret_got, error);
}
