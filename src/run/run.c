/*
 * run.c: see run.h.
 */
#include "run/run.h"

#include <stdbool.h>
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/io.h"
#include "base/verify.h"
#include "run/unpacker.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "runs are stored in little endian");

struct footer {
	uint64_t magic, version, buckets, index, bytes, pairs, reserved, checksum;
};

_Static_assert(sizeof(struct footer) == PJ__FOOTER_BYTES, "docs/formats.md");

static const uint64_t footer_magic = 0x4e55524543554a50; /* "PJUCERUN" */
enum { FORMAT_VERSION = 2 };

uint64_t pj__segment_checksum(const pj__segment *segment, const void *data)
{
	return XXH3_64bits(data, segment->bytes);
}

static uint64_t guard_of(const pj__segment *segment)
{
	return XXH3_64bits(segment, offsetof(pj__segment, guard));
}

static uint64_t footer_checksum(const struct footer *footer)
{
	return XXH3_64bits(footer, offsetof(struct footer, checksum));
}

pj_status pj__run_finish(int fd, uint64_t start, pj__segment *segments, uint32_t buckets, uint64_t *ret_end,
			 pj_error *error)
{
	struct footer footer = {.magic = footer_magic, .version = FORMAT_VERSION, .buckets = buckets};
	for (uint32_t i = 0; i < buckets; i++) {
		const uint64_t stored = segments[i].packed ? segments[i].packed : segments[i].bytes;
		PJ_VERIFY(segments[i].offset >= footer.index); /* ascending, none within another */
		footer.index = segments[i].offset + stored;
		footer.pairs += segments[i].pairs;
		segments[i].guard = guard_of(&segments[i]);
	}
	const size_t index_bytes = buckets * sizeof *segments;
	footer.bytes = footer.index + index_bytes + sizeof footer;
	footer.checksum = footer_checksum(&footer);
	pj_status status =
		pj__pwrite_checked(fd, PJ__RUN_FILE, segments, index_bytes, (off_t)(start + footer.index), error);
	if (!status)
		status = pj__pwrite_checked(fd, PJ__RUN_FILE, &footer, sizeof footer,
					    (off_t)(start + footer.index + index_bytes), error);
	if (!status)
		*ret_end = start + footer.bytes;
	return status;
}

pj_status pj__run_corrupt(const pj__run *run, uint64_t offset, const char *what, pj_error *error)
{
	pj__fail(error, PJ_ERR_CORRUPT, 0, PJ__RUN_FILE, "stored pairs are corrupt");
	pj__error_reason(error, "%s", what);
	pj__error_at(error, NULL, -1, (int64_t)(run->offset + offset));
	return PJ_ERR_CORRUPT;
}

pj_status pj__run_open(pj__run *run, int fd, uint64_t end, uint32_t buckets, pj_error *error)
{
	struct footer footer;
	*run = (pj__run){.fd = fd, .buckets = buckets, .offset = end};
	if (end < sizeof footer)
		return pj__run_corrupt(run, 0, "there is no footer", error);
	const pj_status status =
		pj__pread_exactly(fd, PJ__RUN_FILE, &footer, sizeof footer, (off_t)(end - sizeof footer), error);
	if (status)
		return status;
	if (footer.magic != footer_magic || footer.checksum != footer_checksum(&footer))
		return pj__run_corrupt(run, 0, "the footer is damaged", error);
	if (footer.version != FORMAT_VERSION || footer.buckets != buckets)
		return pj__run_corrupt(run, 0, "the run is of another version or job", error);
	const uint64_t index_bytes = (uint64_t)buckets * sizeof(pj__segment);
	if (footer.bytes > end || footer.bytes < index_bytes + sizeof footer ||
	    footer.index != footer.bytes - index_bytes - sizeof footer)
		return pj__run_corrupt(run, 0, "the footer does not fit the run", error);
	run->offset = end - footer.bytes;
	run->bytes = footer.bytes;
	run->index = run->offset + footer.index;
	run->pairs = footer.pairs;
	return PJ_OK;
}

/* Is the entry what was written, and does what it says lie within the blob? */
static bool fits(const pj__run *run, const pj__segment *segment)
{
	const uint64_t room = run->index - run->offset, stored = segment->packed ? segment->packed : segment->bytes;
	return segment->guard == guard_of(segment) && segment->offset <= room && stored <= room - segment->offset &&
	       segment->bytes / PJ__BLOCK_RATIO <= stored && segment->pairs <= segment->bytes &&
	       segment->longest <= segment->bytes;
}

pj_status pj__run_segments(const pj__run *run, uint32_t first, uint32_t count, pj__segment *segments, pj_error *error)
{
	const off_t at = (off_t)(run->index + first * sizeof *segments);
	const pj_status status =
		pj__pread_exactly(run->fd, PJ__RUN_FILE, segments, count * sizeof *segments, at, error);
	if (status)
		return status;
	for (uint32_t i = 0; i < count; i++)
		if (!fits(run, &segments[i]))
			return pj__run_corrupt(run, (uint64_t)at - run->offset + i * sizeof *segments,
					       "the index is damaged", error);
	return PJ_OK;
}

pj_status pj__run_read(const pj__run *run, const pj__segment *segment, char *to, pj_error *error)
{
	pj__unpacker unpacker;
	size_t got;
	char *scratch = NULL;
	if (segment->packed && !(scratch = malloc(PJ__UNPACKER_SCRATCH)))
		return pj__no_memory(error, PJ__UNPACKER_SCRATCH);
	pj__unpacker_init(&unpacker, run, segment, scratch);
	pj_status status = PJ_OK;
	while (!status && unpacker.read < segment->bytes)
		status = pj__unpacker_read(&unpacker, to + unpacker.read, (size_t)(segment->bytes - unpacker.read),
					   &got, error);
	pj__unpacker_fini(&unpacker);
	free(scratch);
	return status;
}
