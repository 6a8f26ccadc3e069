/*
 * fuzz_run.c: the run format. The first byte says which of these:
 *
 *     round trip   the bytes are pairs: the gatherer writes them in blobs, groups read them back; every value of every
 *                  key must come, in the order of emission, and keys in order
 *     damage       such blobs, with bytes changed: the same, or PJ_ERR_CORRUPT
 *     forgery      the bytes are segments, under an index and checksums that fit them: no crash and no endless loop,
 *                  but PJ_ERR_CORRUPT or pairs that are in the bytes
 *
 * and whether in the raw form or in the packed one. Packed, a round trip is one through passes, too; of a forgery the
 * bytes are blocks.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "run/packer.h"
#include "run/passes.h"
#include "shuffle/combine.h"
#include "shuffle/groups.h"
#include "shuffle/writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(condition)                                                                                                \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			abort();                                                                                       \
	} while (0)

enum { PAIRS_MOST = 512 };

struct pair {
	pj_bytes key, value;
	size_t number;
};

struct pairs {
	struct pair at[PAIRS_MOST];
	size_t count;
};

/* Takes pairs from the bytes: two lengths, key, value. */
static void parse(struct pairs *pairs, const uint8_t *at, const uint8_t *end)
{
	for (pairs->count = 0; end - at >= 2 && pairs->count < PAIRS_MOST; pairs->count++) {
		const size_t room = (size_t)(end - at) - 2, key = at[0] < room ? at[0] : room;
		const size_t value = at[1] < room - key ? at[1] : room - key;
		const char *body = (const char *)at + 2;
		pairs->at[pairs->count] = (struct pair){{body, key}, {body + key, value}, pairs->count};
		at += 2 + key + value;
	}
}

static int compare(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	const int order = pj_bytes_compare(x->key, y->key);
	return order ? order : (x->number > y->number) - (x->number < y->number);
}

/* Writes the pairs in blobs of about `hold` bytes. Returns the end of the last; *blobs are how many. */
static uint64_t write_runs(const struct pairs *pairs, pj__partition *partition, int fd, size_t hold, uint64_t *blobs)
{
	pj__task *task = pj__task_holder(sizeof *task);
	pj__writer *writer;
	pj__store store;
	must(task);
	pj__task_init(task, PJ_NUMBER_I64);
	pj__store_init(&store, (int[PJ__STORES]){fd, -1}, (uint64_t[PJ__STORES]){0, 0}, UINT64_MAX, ".");
	must(!pj__gatherer_create(task, NULL, &store, hold, &writer, NULL));
	writer->partition = partition;
	for (size_t i = 0; i < pairs->count; i++)
		pj_emit(&task->face, pairs->at[i].key, pairs->at[i].value);
	pj__task_flush(task);
	writer->flush(writer);
	must(!task->status);
	const uint64_t end = store.end[PJ__IN_MEMORY];
	*blobs = store.runs[PJ__IN_MEMORY];
	writer->destroy(writer);
	pj__store_fini(&store);
	free(task);
	return end;
}

/* Reads all groups of a bucket and holds them against the sorted pairs from *next on. */
static pj_status read_bucket(const pj__run *runs, const pj__segment *segments, size_t count, const struct pairs *sorted,
			     size_t *next)
{
	pj__task *task = pj__task_holder(sizeof *task);
	pj__groups groups;
	pj_bytes key, value;
	bool more = true;
	must(task);
	pj__task_init(task, PJ_NUMBER_I64);
	pj__groups_init(&groups, task, NULL, 0);
	pj_status status = pj__groups_begin(&groups, runs, segments, count, NULL);
	while (!status) {
		status = pj__groups_next(&groups, &more, &key, NULL);
		if (status || !more)
			break;
		while (pj_next_value(&groups.values, &value)) {
			if (!sorted)
				continue;
			must(*next < sorted->count && pj_bytes_equal(key, sorted->at[*next].key));
			must(pj_bytes_equal(value, sorted->at[(*next)++].value));
		}
		status = task->status;
	}
	pj__groups_fini(&groups);
	free(task);
	return status;
}

/* Writes all blobs anew, packed, to another file, which takes the place of the first. Returns the end there. */
static uint64_t pack_runs(int fd, uint64_t end, uint64_t blobs, uint32_t buckets)
{
	const int packed = memfd_create("packed", MFD_CLOEXEC);
	pj__run *runs = calloc(blobs + 1, sizeof *runs);
	pj__segment *segments = calloc(buckets, sizeof *segments);
	pj__packer packer;
	uint64_t to = 0;
	must(packed >= 0 && runs && segments);
	pj__packer_init(&packer);
	for (uint64_t i = blobs; i-- > 0; end = runs[i].offset)
		must(!pj__run_open(&runs[i], fd, end, buckets, NULL));
	for (uint64_t i = 0; i < blobs; i++) {
		char *data = malloc(runs[i].bytes);
		must(data && pread(fd, data, runs[i].bytes, (off_t)runs[i].offset) == (ssize_t)runs[i].bytes);
		must(!pj__run_segments(&runs[i], 0, buckets, segments, NULL));
		must(!pj__packer_put_blob(&packer, packed, to, data, segments, buckets, &to, NULL));
		free(data);
	}
	must(dup3(packed, fd, O_CLOEXEC) == fd);
	pj__packer_fini(&packer);
	close(packed);
	free(runs);
	free(segments);
	return to;
}

/* Reads a bucket's segments as they are, or, in passes with no memory to speak of, what becomes of them. */
static pj_status read_segments(pj__run *runs, pj__segment *segments, size_t count, bool in_passes,
			       const struct pairs *sorted, size_t *next)
{
	if (!in_passes)
		return read_bucket(runs, segments, count, sorted, next);
	const int scratch = memfd_create("scratch", MFD_CLOEXEC);
	uint64_t end = 0, progress = 0;
	unsigned passes;
	must(scratch >= 0);
	pj_status status = pj__merge_passes(NULL, runs, segments, &count, 0, scratch, &end, &progress, &passes, NULL);
	if (!status)
		status = read_bucket(runs, segments, count, sorted, next);
	close(scratch);
	return status;
}

/* Opens the blobs that end at `end` and reads every bucket. */
static pj_status read_runs(int fd, uint64_t end, uint64_t blobs, uint32_t buckets, bool in_passes,
			   const struct pairs *sorted, size_t *next)
{
	pj__run *opened = calloc(blobs + 1, sizeof *opened), *runs = calloc(blobs + 1, sizeof *runs);
	pj__segment *segments = calloc(blobs + 1, sizeof *segments);
	must(opened && runs && segments);
	pj_status status = PJ_OK;
	for (uint64_t i = blobs; i-- > 0 && !status; end = opened[i].offset)
		status = pj__run_open(&opened[i], fd, end, buckets, NULL);
	for (uint32_t bucket = 0; bucket < buckets && !status; bucket++) {
		memcpy(runs, opened, blobs * sizeof *runs); /* passes put others in their place */
		for (uint64_t i = 0; i < blobs && !status; i++)
			status = pj__run_segments(&runs[i], bucket, 1, &segments[i], NULL);
		if (!status)
			status = read_segments(runs, segments, blobs, in_passes, sorted, next);
	}
	free(opened);
	free(runs);
	free(segments);
	return status;
}

static void round_trip(const uint8_t *data, size_t size, int fd, bool damage, bool packed)
{
	struct pairs *pairs = malloc(sizeof *pairs);
	pj_text sample = {0};
	pj__partition partition;
	uint64_t blobs;
	size_t next = 0;
	must(pairs);
	const size_t changes = damage ? (size_t)data[1] * 3 + 3 : 0,
		     used = 2 + (changes < size - 2 ? changes : size - 2);
	parse(pairs, data + used, data + size);
	for (size_t i = 0; i < 4; i++)
		pj__sample_add(&sample, pairs->count ? pairs->at[i * pairs->count / 4].key : (pj_bytes){NULL, 0});
	must(!pj__partition_init(&partition, 1, 4, pj__text_all(&sample), false, NULL));
	pj__text_fini(&sample);
	if (packed) /* passes take sorted segments only */
		qsort(pairs->at, pairs->count, sizeof *pairs->at, compare);
	uint64_t end = write_runs(pairs, &partition, fd, (size_t)data[0] * 16, &blobs);
	if (packed)
		end = pack_runs(fd, end, blobs, partition.buckets);
	qsort(pairs->at, pairs->count, sizeof *pairs->at, compare);
	for (size_t i = 2; damage && end && i + 3 <= used; i += 3) {
		const off_t at = (off_t)((uint64_t)(data[i] | data[i + 1] << 8) % end);
		must(pwrite(fd, &data[i + 2], 1, at) == 1);
	}
	const pj_status status = read_runs(fd, end, blobs, partition.buckets, packed, pairs, &next);
	must(status == PJ_OK ? next == pairs->count : damage && status == PJ_ERR_CORRUPT);
	pj__partition_fini(&partition);
	free(pairs);
}

/* Puts the bytes into the file as they are. */
static void forge_raw(pj__segment *segment, const uint8_t *bytes, size_t size, int fd)
{
	must(pwrite(fd, bytes, size, (off_t)segment->offset) == (ssize_t)size);
	segment->bytes = size;
	segment->checksum = pj__segment_checksum(segment, bytes);
}

/* Puts blocks into the file: of each, two bytes say how many there are raw, one how many are stored. */
static void forge_blocks(pj__segment *segment, const uint8_t *at, size_t size, int fd)
{
	for (const uint8_t *end = at + size; end - at >= 3;) {
		pj__block block = {.raw = at[0] | (uint32_t)at[1] << 8, .stored = at[2]};
		at += 3;
		if (block.stored > end - at)
			block.stored = (uint32_t)(end - at);
		segment->checksum = block.checksum = pj__block_checksum(&block, at, segment->checksum);
		const off_t to = (off_t)(segment->offset + segment->packed);
		must(pwrite(fd, &block, sizeof block, to) == (ssize_t)sizeof block);
		must(pwrite(fd, at, block.stored, to + (off_t)sizeof block) == (ssize_t)block.stored);
		segment->packed += sizeof block + block.stored;
		segment->bytes += block.raw;
		at += block.stored;
	}
}

/* Segments made of the bytes, under entries and checksums that fit them. */
static void forge(const uint8_t *data, size_t size, int fd, bool packed)
{
	pj__segment segments[2] = {{0}};
	const size_t half = (size - 2) / 2;
	uint64_t end;
	pj__run run;
	size_t next = 0;
	for (int i = 0; i < 2; i++) {
		segments[i].offset = i ? segments[0].packed ? segments[0].packed : segments[0].bytes : 0;
		segments[i].pairs = data[1] >> (4 * i) & 15;
		(packed ? forge_blocks : forge_raw)(&segments[i], data + 2 + (i ? half : 0), i ? size - 2 - half : half,
						    fd);
	}
	if (!segments[0].bytes && !segments[1].bytes)
		return; /* no block at all */
	must(!pj__run_finish(fd, 0, segments, 2, &end, NULL));
	const pj_status grouped = read_runs(fd, end, 1, 2, packed, NULL, &next);
	must(grouped == PJ_OK || grouped == PJ_ERR_CORRUPT);
	static const pj_aggregate *const aggregates[] = {&pj_sum_i64, &pj_max_f64, &pj_sum_f64};
	if (pj__run_open(&run, fd, end, 2, NULL) || pj__run_segments(&run, 0, 2, segments, NULL))
		return;
	for (size_t a = 0; a < 3; a++) {
		const pj__run both[2] = {run, run};
		pj__combined combined;
		must(!pj__combined_init(&combined, aggregates[a], NULL, 5, NULL));
		const pj_status status = pj__combined_load(&combined, both, segments, 2, NULL);
		must(status == PJ_OK || status == PJ_ERR_CORRUPT);
		for (size_t i = 0; i < combined.count && !status; i++)
			must(!i ||
			     pj_bytes_compare(pj__combined_key(&combined, i - 1), pj__combined_key(&combined, i)) < 0);
		pj__combined_fini(&combined);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 6)
		return 0;
	const int fd = memfd_create("fuzz", MFD_CLOEXEC);
	must(fd >= 0);
	const bool packed = data[0] / 3 % 2;
	if (data[0] % 3 == 2)
		forge(data, size, fd, packed);
	else
		round_trip(data, size, fd, data[0] % 3 == 1, packed);
	close(fd);
	return 0;
}
