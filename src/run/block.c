/*
 * block.c: see block.h.
 */
#include "run/block.h"

#include <lz4.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

_Static_assert(sizeof(pj__block) == 16, "blocks are stored without gaps");
_Static_assert(PJ__BLOCK_ROOM >= sizeof(pj__block) + LZ4_COMPRESSBOUND(PJ__BLOCK_BYTES), "LZ4 gets the room it wants");

uint64_t pj__block_checksum(const pj__block *block, const void *stored, uint64_t before)
{
	const uint64_t seed = XXH3_64bits_withSeed(block, offsetof(pj__block, checksum), before);
	return XXH3_64bits_withSeed(stored, block->stored, seed);
}

char *pj__block_pack(char *to, const char *raw, size_t bytes, uint64_t *checksum)
{
	char *stored = to + sizeof(pj__block);
	const int packed = LZ4_compress_default(raw, stored, (int)bytes, PJ__BLOCK_ROOM - (int)sizeof(pj__block));
	pj__block block = {.raw = (uint32_t)bytes, .stored = (uint32_t)packed};
	if (packed <= 0 || block.stored >= block.raw) {
		memcpy(stored, raw, bytes);
		block.stored = block.raw;
	}
	*checksum = block.checksum = pj__block_checksum(&block, stored, *checksum);
	memcpy(to, &block, sizeof block);
	return stored + block.stored;
}

const char *pj__block_unpack(char *to, const pj__block *block, const char *stored, uint64_t before)
{
	if (!block->raw || block->raw > PJ__BLOCK_BYTES || !block->stored || block->stored > block->raw)
		return "a block's head is damaged";
	if (block->checksum != pj__block_checksum(block, stored, before))
		return "a block's checksum does not fit";
	if (block->stored == block->raw)
		memcpy(to, stored, block->raw);
	else if (LZ4_decompress_safe(stored, to, (int)block->stored, (int)block->raw) != (int)block->raw)
		return "a block cannot be unpacked";
	return NULL;
}
