/*
 * codec.c: see codec.h.
 *
 * Magic numbers and headers: RFC 1952 (gzip), the bzip2 and xz format descriptions, RFC 8878 (zstd), the lz4 frame
 * format.
 */
#include "codec/codec.h"

#include <lzma.h>
#include <stdlib.h>
#include <string.h>

enum { READ_AHEAD = 256 << 10 };
static const uint64_t kib = 1024, mib = 1 << 20;

static bool begins(const char *start, size_t size, const char *magic, size_t len)
{
	return size >= len && memcmp(start, magic, len) == 0;
}

pj__codec pj__codec_of(const char *start, size_t size)
{
	if (begins(start, size, "\x1f\x8b\x08", 3))
		return PJ__CODEC_GZIP;
	if (begins(start, size,
		   "\xfd"
		   "7zXZ\0",
		   6))
		return PJ__CODEC_XZ;
	if (begins(start, size, "\x28\xb5\x2f\xfd", 4))
		return PJ__CODEC_ZSTD;
	if (begins(start, size, "\x04\x22\x4d\x18", 4))
		return PJ__CODEC_LZ4;
	/* Both may begin with a frame that is to be skipped; pzstd's holds four bytes. Alone it tells too little. */
	if (begins(start, size, "\x50\x2a\x4d\x18\x04\0\0\0", 8))
		return PJ__CODEC_ZSTD;
	/* "BZh1" may begin a text; a bzip2 file goes on with the magic of a block or of its end. */
	if (begins(start, size, "BZh", 3) && size >= PJ__MAGIC_BYTES && start[3] >= '1' && start[3] <= '9' &&
	    (memcmp(start + 4, "\x31\x41\x59\x26\x53\x59", 6) == 0 ||
	     memcmp(start + 4, "\x17\x72\x45\x38\x50\x90", 6) == 0))
		return PJ__CODEC_BZIP2;
	return PJ__CODEC_NONE;
}

static const struct {
	const char *name, *tester;
} known[] = {{"", ""},        {"gzip", "gzip -t"},      {"bzip2", "bzip2 -t"},
	     {"xz", "xz -t"}, {"Zstandard", "zstd -t"}, {"lz4", "lz4 -t"}};

const char *pj__codec_name(pj__codec codec)
{
	return known[codec].name;
}

const char *pj__codec_tester(pj__codec codec)
{
	return known[codec].tester;
}

uint64_t pj__zstd_memory(const char *start, size_t size)
{
	static const unsigned char content_bytes[] = {0, 2, 4, 8}, dictionary_bytes[] = {0, 1, 2, 4};
	const unsigned char *at = (const unsigned char *)start;
	uint64_t window = 8 * mib;
	if (size >= 18 && begins(start, size, "\x28\xb5\x2f\xfd", 4)) {
		const unsigned flags = at[4];
		const bool single = flags >> 5 & 1;
		if (!single) {
			const uint64_t base = (uint64_t)1 << (10 + (at[5] >> 3));
			window = base + base / 8 * (at[5] & 7);
		} else {
			const unsigned char *from = at + 5 + dictionary_bytes[flags & 3];
			const unsigned bytes = flags >> 6 ? content_bytes[flags >> 6] : 1;
			window = 0;
			for (unsigned i = 0; i < bytes; i++)
				window |= (uint64_t)from[i] << (8 * i);
			window += bytes == 2 ? 256 : 0;
		}
	}
	/* beside the window two blocks, what is put together of them, and tables */
	return window > UINT64_MAX / 2 ? window : window + 640 * kib;
}

/* Of the first block's filters; a header that cannot be read will fail when it is decoded. */
static uint64_t xz_memory(const char *start, size_t size)
{
	const uint8_t *const header = (const uint8_t *)start + LZMA_STREAM_HEADER_SIZE;
	lzma_filter filters[LZMA_FILTERS_MAX + 1];
	lzma_stream_flags flags;
	if (size <= LZMA_STREAM_HEADER_SIZE || !*header ||
	    size - LZMA_STREAM_HEADER_SIZE < lzma_block_header_size_decode(*header) ||
	    lzma_stream_header_decode(&flags, (const uint8_t *)start) != LZMA_OK)
		return mib;
	lzma_block block = {.version = 1,
			    .header_size = lzma_block_header_size_decode(*header),
			    .check = flags.check,
			    .filters = filters};
	if (lzma_block_header_decode(&block, NULL, header) != LZMA_OK)
		return mib;
	const uint64_t bytes = lzma_raw_decoder_memusage(filters);
	for (size_t i = 0; filters[i].id != LZMA_VLI_UNKNOWN; i++)
		free(filters[i].options);
	return bytes == UINT64_MAX ? mib : bytes;
}

uint64_t pj__codec_memory(pj__codec codec, const char *start, size_t size)
{
	switch (codec) {
	case PJ__CODEC_NONE:
		return 0;
	case PJ__CODEC_GZIP:
		return READ_AHEAD + 48 * kib;
	case PJ__CODEC_BZIP2:
		return READ_AHEAD + 100 * kib +
		       400 * 1000 * (size > 3 && start[3] > '0' ? (uint64_t)(start[3] - '0') : 9);
	case PJ__CODEC_XZ:
		return READ_AHEAD + xz_memory(start, size);
	case PJ__CODEC_ZSTD:
		return READ_AHEAD + pj__zstd_memory(start, size);
	case PJ__CODEC_LZ4: /* two blocks of the largest size, and what linked ones look back at */
		return READ_AHEAD + 8 * mib + 256 * kib;
	}
	return 0;
}
