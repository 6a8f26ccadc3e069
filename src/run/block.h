/*
 * block.h: a piece of a packed segment, as it is stored.
 *
 *     +-----------+--------------+----------+--------------+
 *     | raw bytes | stored bytes | checksum | stored bytes |
 *     +-----------+--------------+----------+--------------+
 *          u32          u32          u64
 *
 * What is stored is an LZ4 block (lz4's doc/lz4_Block_format.md), or the raw bytes as they are where that would not be
 * smaller: then both numbers are the same. A block is unpacked by itself: a reader needs the memory of one, not of the
 * segment. The checksum is XXH3-64 of what is stored; its seed is that of both numbers, whose seed in turn is the
 * checksum of the block before. So the last one stands for the whole segment, the order of its blocks included.
 */
#ifndef PJ_RUN_BLOCK_H
#define PJ_RUN_BLOCK_H

#include <stddef.h>
#include <stdint.h>

typedef struct pj__block {
	uint32_t raw, stored;
	uint64_t checksum;
} pj__block;

enum {
	/* Raw bytes of a block at most; LZ4 is at its best with no more (its offsets have 16 bits). */
	PJ__BLOCK_BYTES = 64 << 10,
	/* What packing a block may touch of the memory it is packed to: LZ4 wants more room than is used in the end. */
	PJ__BLOCK_ROOM = (int)sizeof(pj__block) + PJ__BLOCK_BYTES + PJ__BLOCK_BYTES / 255 + 16,
	/* A stored byte stands for no more raw ones than this. */
	PJ__BLOCK_RATIO = 255,
};

/* The checksum of a block whose raw and stored bytes are set; `before`: that of the block before it, at first 0. */
uint64_t pj__block_checksum(const pj__block *block, const void *stored, uint64_t before);

/*
 * Packs 1 to PJ__BLOCK_BYTES bytes to `to`, which has PJ__BLOCK_ROOM; returns the end. *checksum is that of the block
 * before and becomes that of this one.
 */
char *pj__block_pack(char *to, const char *raw, size_t bytes, uint64_t *checksum);

/*
 * Unpacks a block to `to`, which has room for block->raw bytes; `stored` are block->stored bytes. Checks both numbers
 * against each other and the checksum first, for the bytes may be anything. Returns NULL, or what is wrong in words.
 */
const char *pj__block_unpack(char *to, const pj__block *block, const char *stored, uint64_t before);

#endif
