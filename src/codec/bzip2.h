/*
 * bzip2.h: what marks the blocks of bzip2, which begin at any bit.
 *
 *     "BZh" level | block ... block | end
 *     block       48 bits of magic, 32 of checksum, 1 (0 since 1997), 24 that are less than the block is long, data
 *     end         48 bits of magic, 32 of checksum of all blocks, bits up to a whole byte
 */
#ifndef PJ_CODEC_BZIP2_H
#define PJ_CODEC_BZIP2_H

#include <stdint.h>

static const uint64_t pj__bzip2_block = UINT64_C(0x314159265359), pj__bzip2_end = UINT64_C(0x177245385090);

/*
 * Looks for a magic in the last 64 bits of a stream, to which 8 have just been added. Returns how many bits have come
 * behind it, or -1.
 */
static inline int pj__bzip2_find(uint64_t window, uint64_t magic)
{
	const uint64_t mask = (UINT64_C(1) << 48) - 1;
	for (int behind = 0; behind < 8; behind++)
		if ((window >> behind & mask) == magic)
			return behind;
	return -1;
}

#endif
