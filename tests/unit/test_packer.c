/*
 * test_packer.c: runs for the disk. What was packed comes out again, pair by pair and segment by segment; no damage
 * goes unseen; thousands of segments are merged with little memory; and a full disk is an error that names the file.
 */
#include "testing.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

#include "run/merge.h"
#include "run/packer.h"
#include "run/passes.h"

/* Bytes that LZ4 can pack well, a little or not at all. */
static void fill(char *data, size_t bytes, int kind, uint64_t *random)
{
	for (size_t i = 0; i < bytes; i++)
		data[i] = (char)(kind == 0 ? 'x' : kind == 1 ? 'a' + random_below(random, 9) : random_bits(random));
}

static void blocks_of_all_kinds(void **state)
{
	(void)state;
	static const size_t sizes[] = {1, 2, 12, 13, 64, 255, 256, 4096, 65535, PJ__BLOCK_BYTES};
	char *raw = malloc(PJ__BLOCK_BYTES), *back = malloc(PJ__BLOCK_BYTES), *packed = malloc(PJ__BLOCK_ROOM);
	uint64_t random = 1;
	for (size_t i = 0; i < 3 * sizeof sizes / sizeof *sizes; i++) {
		const size_t bytes = sizes[i / 3];
		uint64_t checksum = i;
		pj__block block;
		fill(raw, bytes, i % 3, &random);
		const char *end = pj__block_pack(packed, raw, bytes, &checksum);
		memcpy(&block, packed, sizeof block);
		assert_int_equal(block.raw, bytes);
		assert_ptr_equal(end, packed + sizeof block + block.stored);
		assert_true(block.checksum == checksum);
		assert_true(i % 3 == 2 ? block.stored == bytes : block.stored < bytes || bytes < (i % 3 ? 4096 : 64));
		assert_null(pj__block_unpack(back, &block, packed + sizeof block, i));
		assert_memory_equal(back, raw, bytes);
		assert_non_null(pj__block_unpack(back, &block, packed + sizeof block, i + 1)); /* not the one before */
	}
	free(raw);
	free(back);
	free(packed);
}

/* Blocks that say what cannot be, under a checksum that fits: whatever they are made of, nothing is overrun. */
static void hostile_blocks(void **state)
{
	(void)state;
	static const struct {
		uint32_t raw, stored;
		const char *bytes;
	} hostile[] = {
		{0, 0, ""},
		{0, 1, "x"},
		{1, 0, ""},
		{3, 4, "xxxx"},
		{PJ__BLOCK_BYTES + 1, 4, "xxxx"},
		{UINT32_MAX, 4, "xxxx"},
		{100, 3, "\x1f\xff\xff"},          /* copies from before the beginning */
		{100, 4, "\xff\xff\xff\xff"},      /* the length has no end */
		{100, 7, "\x1fx\1\0\xff\xff\x10"}, /* more than 100 */
		{30, 2, "\x10x"},                  /* fewer than 30 */
		{100, 9, "\x1fx\1\0\x50\x50zzz"},  /* its literals are cut off */
	};
	for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
		pj__block block = {.raw = hostile[i].raw, .stored = hostile[i].stored};
		char *to = malloc(block.raw <= PJ__BLOCK_BYTES ? block.raw : 0), *stored = malloc(block.stored);
		memcpy(stored, hostile[i].bytes, block.stored);
		block.checksum = pj__block_checksum(&block, stored, 5);
		assert_non_null(pj__block_unpack(to, &block, stored, 5));
		free(to);
		free(stored);
	}
}

/* ------------------------------------------------------------------------------------------------------ whole blobs */

static void blobs_come_out_as_they_went_in(void **state)
{
	(void)state;
	enum { SEGMENTS = 14 };
	static const size_t sizes[SEGMENTS] = {0,     1,     100,    65535,  65536, 65537, 0,
					       90000, 20000, 131072, 700000, 3,     50000, 0};
	const int fd = open_memory_file();
	uint64_t random = 2, end = 77, ends[4] = {77};
	pj__packer packer;
	pj_error error;
	char *data = malloc(2000000), *back = malloc(1000000);
	pj__segment raw[SEGMENTS], written[SEGMENTS], read[SEGMENTS];
	pj__packer_init(&packer);
	for (int kind = 0; kind < 3; kind++) {
		uint64_t at = 5;
		for (size_t i = 0; i < SEGMENTS; i++) {
			raw[i] = (pj__segment){.offset = at, .bytes = sizes[i], .pairs = sizes[i] / 2};
			at += sizes[i] + i; /* a gap */
		}
		fill(data, 2000000, kind, &random);
		memcpy(written, raw, sizeof raw);
		assert_good(pj__packer_put_blob(&packer, fd, end, data, written, SEGMENTS, &end, &error), error);
		ends[kind + 1] = end;
		pj__run run;
		assert_good(pj__run_open(&run, fd, end, SEGMENTS, &error), error);
		assert_int_equal(run.offset, ends[kind]);
		assert_good(pj__run_segments(&run, 0, SEGMENTS, read, &error), error);
		assert_memory_equal(read, written, sizeof read);
		for (size_t i = 0; i < SEGMENTS; i++) {
			assert_int_equal(read[i].bytes, raw[i].bytes);
			assert_int_equal(read[i].pairs, raw[i].pairs);
			assert_int_equal(!read[i].packed, !raw[i].bytes);
			assert_good(pj__run_read(&run, &read[i], back, &error), error);
			assert_memory_equal(back, data + raw[i].offset, raw[i].bytes);
		}
		assert_true(run.bytes < (kind == 0 ? 20000u : kind == 1 ? 1000000u : 1200000u));
	}
	assert_good(pj__packer_put_blob(&packer, fd, end, NULL, NULL, 0, &end, &error), error);
	assert_int_equal(end, ends[3] + 64);
	pj__packer_fini(&packer);
	free(data);
	free(back);
	close(fd);
}

/* A segment of two blocks, an empty one, and a small one. Returns the end. */
static uint64_t put_small_blob(int fd, pj__segment segments[3])
{
	enum { PAIRS = 2200 };
	char value[40], *data = malloc(100000), *to = data;
	pj__packer packer;
	pj_error error;
	uint64_t end;
	memset(value, 'v', sizeof value);
	for (int i = 0; i < PAIRS; i++)
		to = pj__put_record(to, pj_bytes_of("key"), (pj_bytes){value, sizeof value});
	memset(segments, 0, 3 * sizeof *segments);
	segments[0] = (pj__segment){.bytes = (uint64_t)(to - data), .pairs = PAIRS};
	segments[2] = (pj__segment){.offset = (uint64_t)(to - data), .bytes = 8, .pairs = 1};
	pj__put_record(to, pj_bytes_of("cat"), pj_bytes_of("333"));
	pj__packer_init(&packer);
	assert_good(pj__packer_put_blob(&packer, fd, 0, data, segments, 3, &end, &error), error);
	pj__packer_fini(&packer);
	free(data);
	return end;
}

/* Reads all of a segment by way of the merge, too. */
static pj_status drain(const pj__run *run, const pj__segment *segment, uint64_t *pairs, pj_error *error)
{
	pj__merge merge;
	bool more = true;
	pj__merge_init(&merge);
	pj_status status = pj__merge_add(&merge, run, segment, error);
	if (!status)
		status = pj__merge_start(&merge, 0, error);
	for (; !status && more; *pairs += !status && more)
		status = pj__merge_next(&merge, &more, error);
	pj__merge_fini(&merge);
	return status;
}

/* Everything of the small blob: true if all could be read, false if it was told that it is corrupt. */
static bool read_all(int fd, uint64_t end, bool merged)
{
	pj__run run;
	pj__segment segments[3];
	pj_error error;
	uint64_t pairs = 0;
	pj_status status = pj__run_open(&run, fd, end, 3, &error);
	if (!status)
		status = pj__run_segments(&run, 0, 3, segments, &error);
	for (int i = 0; i < 3 && !status; i++) {
		char *data = merged ? NULL : malloc(segments[i].bytes);
		status = merged ? drain(&run, &segments[i], &pairs, &error)
				: pj__run_read(&run, &segments[i], data, &error);
		free(data);
	}
	if (status) {
		assert_int_equal(status, PJ_ERR_CORRUPT);
		assert_string_equal(error.file, PJ__RUN_FILE);
		assert_true(error.offset >= 0);
	}
	return !status;
}

static void every_flipped_bit_is_seen(void **state)
{
	(void)state;
	const int fd = open_memory_file();
	pj__segment segments[3];
	const uint64_t end = put_small_blob(fd, segments);
	assert_true(segments[0].bytes > PJ__BLOCK_BYTES && end < 2000);
	assert_true(read_all(fd, end, false) && read_all(fd, end, true));
	for (uint64_t at = 0; at < end; at++) {
		unsigned char was, flipped;
		assert_int_equal(pread(fd, &was, 1, (off_t)at), 1);
		for (int bit = 0; bit < 8; bit++) {
			flipped = was ^ (unsigned char)(1 << bit);
			assert_int_equal(pwrite(fd, &flipped, 1, (off_t)at), 1);
			if (read_all(fd, end, bit % 2))
				fail_msg("bit %d of byte %d", bit, (int)at);
		}
		assert_int_equal(pwrite(fd, &was, 1, (off_t)at), 1);
	}
	assert_true(read_all(fd, end, false));
	close(fd);
}

static void what_was_cut_off_is_missed(void **state)
{
	(void)state;
	const int fd = open_memory_file();
	pj__segment segments[3], read[3];
	char *data = malloc(200000);
	pj__run run;
	pj_error error;
	const uint64_t end = put_small_blob(fd, segments);
	assert_good(pj__run_open(&run, fd, end, 3, &error), error);
	for (uint64_t cut = end; cut-- > 0;) {
		uint64_t pairs = 0;
		assert_int_equal(ftruncate(fd, (off_t)cut), 0);
		assert_false(read_all(fd, end, false));
		assert_false(cut >= 64 && read_all(fd, cut, false));
		if (cut < run.index + sizeof segments)
			assert_fails(pj__run_segments(&run, 0, 3, read, &error), PJ_ERR_CORRUPT, error);
		if (cut < segments[0].packed) {
			assert_fails(pj__run_read(&run, &segments[0], data, &error), PJ_ERR_CORRUPT, error);
			assert_fails(drain(&run, &segments[0], &pairs, &error), PJ_ERR_CORRUPT, error);
		}
	}
	free(data);
	close(fd);
}

/* Entries, under a guard that fits them, whose blocks are not what they say. */
static void entries_that_their_blocks_belie(void **state)
{
	(void)state;
	const int fd = open_memory_file();
	pj__segment segments[3];
	char *data = malloc(200000);
	pj__run run;
	pj_error error;
	const uint64_t end = put_small_blob(fd, segments);
	const pj__segment good = segments[0];
	uint64_t pairs = 0;
	assert_good(pj__run_open(&run, fd, end, 3, &error), error);
	for (int i = 0; i < 11; i++) {
		pj__segment bad = good;
		bad.bytes += (uint64_t[]){1, (uint64_t)-1, 5000, (uint64_t)-30000, 0, 0, 0, 0, 0, 0, 0}[i];
		bad.packed += (uint64_t[]){0, 0, 0, 0, (uint64_t)-1, 1, 17, 100, 0, 0, 0}[i];
		bad.packed = i == 8 ? 16 : i == 9 ? 1 : bad.packed;
		bad.checksum ^= i == 10;
		assert_fails(pj__run_read(&run, &bad, data, &error), PJ_ERR_CORRUPT, error);
		assert_fails(drain(&run, &bad, &pairs, &error), PJ_ERR_CORRUPT, error);
	}
	for (int i = 0; i < 2; i++) { /* no segment that is packed so well */
		pj__segment bad[3] = {{.offset = good.offset}, {.offset = good.offset}, good};
		uint64_t blob_end;
		bad[2].bytes = (uint64_t[]){256 * good.packed, (uint64_t)1 << 60}[i];
		assert_good(pj__run_finish(fd, 0, bad, 3, &blob_end, &error), error);
		assert_good(pj__run_open(&run, fd, blob_end, 3, &error), error);
		assert_good(pj__run_segments(&run, 0, 2, segments, &error), error);
		assert_fails(pj__run_segments(&run, 0, 3, segments, &error), PJ_ERR_CORRUPT, error);
	}
	free(data);
	close(fd);
}

/* ----------------------------------------------------------------------------------------------------- pair by pair */

static void pairs_come_out_as_they_went_in(void **state)
{
	(void)state;
	enum { LONG = 5 << 20, PAIRS = 2000 };
	const int fd = open_memory_file();
	uint64_t random = 3, end = 1000;
	char *value = malloc(LONG);
	pj__packer packer;
	pj_error error;
	fill(value, LONG, 1, &random);
	pj__packer_init(&packer);
	for (int times = 0; times < 4; times++) {
		/* short ones only; some as long as blocks; one huge one; none at all */
		const size_t count = times == 3 ? 0 : PAIRS;
		size_t *lengths = calloc(PAIRS, sizeof *lengths);
		pj__run run, opened;
		pj__segment segment, found;
		pj__merge merge;
		bool more;
		assert_good(pj__packer_begin(&packer, fd, end, &error), error);
		for (size_t i = 0; i < count; i++) {
			char key[8];
			snprintf(key, sizeof key, "%06zu", i);
			lengths[i] = times == 1 && i % 20 == 0 ? random_below(&random, 3 * PJ__BLOCK_BYTES)
				     : times == 2 && i == 700  ? LONG
							       : random_below(&random, 100);
			assert_good(pj__packer_add(&packer, (pj_bytes){key, 6}, (pj_bytes){value, lengths[i]}, &error),
				    error);
		}
		assert_good(pj__packer_finish(&packer, &run, &segment, &error), error);
		assert_int_equal(run.offset, end);
		end = run.offset + run.bytes;
		assert_good(pj__run_open(&opened, fd, end, 1, &error), error);
		assert_true(opened.fd == run.fd && opened.offset == run.offset && opened.bytes == run.bytes);
		assert_true(opened.index == run.index && opened.pairs == run.pairs && opened.buckets == run.buckets);
		assert_good(pj__run_segments(&opened, 0, 1, &found, &error), error);
		assert_memory_equal(&found, &segment, sizeof segment);
		for (size_t memory = 0; memory < 3 << 20; memory += 1 << 20) {
			pj__merge_init(&merge);
			assert_good(pj__merge_add(&merge, &run, &segment, &error), error);
			assert_good(pj__merge_start(&merge, memory, &error), error);
			for (size_t i = 0; i < count; i++) {
				char key[8];
				snprintf(key, sizeof key, "%06zu", i);
				assert_good(pj__merge_next(&merge, &more, &error), error);
				assert_true(more && pj_bytes_equal(merge.key, pj_bytes_of(key)));
				assert_true(pj_bytes_equal(merge.value, (pj_bytes){value, lengths[i]}));
			}
			assert_good(pj__merge_next(&merge, &more, &error), error);
			assert_false(more);
			pj__merge_fini(&merge);
		}
		free(lengths);
	}
	pj__packer_fini(&packer);
	free(value);
	close(fd);
}

/* -------------------------------------------------------------------------------------------------------- in passes */

struct many {
	int fd;
	uint64_t end;
	pj__run *runs;
	pj__segment *segments;
	size_t count;
	uint64_t pairs;
};

/* Segments of 0 to `most` pairs whose values are numbers in plan order: every third is packed, if `packed`, or all. */
static struct many store_many(size_t count, size_t most, size_t value_bytes, bool packed)
{
	struct many many = {.fd = open_memory_file(), .count = count};
	uint64_t random = count;
	pj__packer packer;
	pj_error error;
	char *data = malloc(most * (value_bytes + 32) + 1), value[4096] = {0};
	many.runs = calloc(count + 1, sizeof *many.runs);
	many.segments = calloc(count + 1, sizeof *many.segments);
	pj__packer_init(&packer);
	for (size_t s = 0; s < count; s++) {
		const size_t pairs = random_below(&random, most + 1);
		char *to = data;
		for (size_t i = 0; i < pairs; i++) {
			char key[16];
			snprintf(key, sizeof key, "%04zu", i * 400 / (most + 1));
			memcpy(value, &many.pairs, sizeof many.pairs);
			many.pairs++;
			to = pj__put_record(to, pj_bytes_of(key), (pj_bytes){value, value_bytes});
		}
		pj__segment *segment = &many.segments[s];
		*segment = (pj__segment){.bytes = (uint64_t)(to - data), .pairs = pairs};
		if (packed || s % 3 == 0) {
			assert_good(
				pj__packer_put_blob(&packer, many.fd, many.end, data, segment, 1, &many.end, &error),
				error);
		} else {
			segment->checksum = pj__segment_checksum(segment, data);
			assert_int_equal(pwrite(many.fd, data, segment->bytes, (off_t)many.end), segment->bytes);
			assert_good(pj__run_finish(many.fd, many.end, segment, 1, &many.end, &error), error);
		}
		assert_good(pj__run_open(&many.runs[s], many.fd, many.end, 1, &error), error);
	}
	pj__packer_fini(&packer);
	free(data);
	return many;
}

static void forget(struct many *many)
{
	close(many->fd);
	free(many->runs);
	free(many->segments);
}

/* All pairs come, keys in order, the values of a key in plan order. */
static void check_many(const struct many *many, size_t memory)
{
	char before[16] = "";
	uint64_t number_before = 0, pairs = 0;
	pj__merge merge;
	pj_error error;
	bool more;
	pj__merge_init(&merge);
	for (size_t i = 0; i < many->count; i++)
		assert_good(pj__merge_add(&merge, &many->runs[i], &many->segments[i], &error), error);
	assert_good(pj__merge_start(&merge, memory, &error), error);
	for (;; pairs++) {
		uint64_t number;
		assert_good(pj__merge_next(&merge, &more, &error), error);
		if (!more)
			break;
		memcpy(&number, merge.value.ptr, sizeof number);
		const int order = memcmp(before, merge.key.ptr, 4);
		assert_true(order < 0 || (order == 0 && number_before < number));
		memcpy(before, merge.key.ptr, 4);
		number_before = number;
	}
	assert_int_equal(pairs, many->pairs);
	pj__merge_fini(&merge);
}

static void check_passes(size_t count, size_t most, size_t value_bytes, bool packed, size_t memory, unsigned least,
			 unsigned at_most)
{
	struct many many = store_many(count, most, value_bytes, packed);
	const int scratch = open_memory_file();
	uint64_t end = 10, progress = 0, memory_needed = PJ__MERGE_SHARED;
	unsigned passes = 99;
	pj_error error;
	assert_good(pj__merge_passes(NULL, many.runs, many.segments, &many.count, memory, scratch, &end, &progress,
				     &passes, &error),
		    error);
	assert_in_range(passes, least, at_most);
	assert_int_equal(end == 10, passes == 0);
	assert_int_equal(lseek(scratch, 0, SEEK_END), passes ? end : 0);
	for (size_t i = 0; i < many.count; i++)
		memory_needed += pj__merge_least(NULL, &many.segments[i]);
	assert_true(memory_needed <= memory || many.count <= 2);
	check_many(&many, memory);
	forget(&many);
	close(scratch);
}

static void many_segments_in_few_passes(void **state)
{
	(void)state;
	check_passes(0, 1, 8, false, 0, 0, 0);
	check_passes(1, 100, 8, false, 0, 0, 0);
	check_passes(2, 100, 8, true, 0, 0, 0);
	check_passes(37, 50, 8, false, 0, 5, 6);         /* two at a time, as nothing else is possible */
	check_passes(100, 50, 8, false, 64 << 20, 0, 0); /* all fit */
	check_passes(5000, 20, 8, true, 1 << 20, 1, 1);  /* small ones take little each */
	check_passes(5000, 20, 8, false, 0, 12, 13);
	check_passes(300, 60, 3000, true, 4 << 20, 1, 2); /* longer than blocks */
	check_passes(300, 60, 3000, false, 1 << 20, 2, 4);
}

/* A merge takes the memory of a record from each segment, so long ones make it narrow. */
static void long_records_are_merged_few_at_a_time(void **state)
{
	(void)state;
	enum { SEGMENTS = 24, LONG = 300000, MEMORY = 3 << 19 };
	const int fd = open_memory_file();
	pj__run runs[SEGMENTS];
	pj__segment segments[SEGMENTS];
	pj__packer packer;
	pj__merge merge;
	pj_error error;
	char *value = calloc(LONG, 1);
	uint64_t end = 0, progress = 0;
	size_t count = SEGMENTS;
	unsigned passes;
	bool more;
	pj__packer_init(&packer);
	for (int s = 0; s < SEGMENTS; s++) {
		assert_good(pj__packer_begin(&packer, fd, end, &error), error);
		for (int i = 0; i < 6; i++) {
			value[0] = (char)s;
			const pj_bytes long_or_short = {value, i == 3 ? LONG : 5};
			assert_good(pj__packer_add(&packer, pj_bytes_of("key"), long_or_short, &error), error);
		}
		assert_good(pj__packer_finish(&packer, &runs[s], &segments[s], &error), error);
		assert_int_equal(segments[s].longest, pj__record_bytes(3, LONG));
		end = runs[s].offset + runs[s].bytes;
	}
	assert_good(pj__merge_passes(NULL, runs, segments, &count, MEMORY, fd, &end, &progress, &passes, &error),
		    error);
	assert_in_range(passes, 1, 3);
	size_t needed = pj__merge_shared(NULL, segments, count);
	pj__merge_init(&merge);
	for (size_t s = 0; s < count; s++) {
		needed += pj__merge_least(NULL, &segments[s]);
		assert_int_equal(segments[s].longest, pj__record_bytes(3, LONG));
		assert_good(pj__merge_add(&merge, &runs[s], &segments[s], &error), error);
	}
	assert_in_range(needed, LONG, MEMORY);
	assert_good(pj__merge_start(&merge, MEMORY, &error), error);
	for (int i = 0; i < SEGMENTS * 6; i++) {
		assert_good(pj__merge_next(&merge, &more, &error), error);
		assert_true(more && merge.value.ptr[0] == (char)(i / 6));
		assert_int_equal(merge.value.len, i % 6 == 3 ? LONG : 5);
	}
	pj__merge_fini(&merge);
	pj__packer_fini(&packer);
	free(value);
	close(fd);
}

/* No more is merged than has to be. */
static void a_little_too_much_costs_a_little(void **state)
{
	(void)state;
	struct many many = store_many(60, 200, 500, true);
	const int scratch = open_memory_file();
	uint64_t end = 0, progress = 0, memory = PJ__MERGE_SHARED - 1000, bytes = 0;
	unsigned passes;
	pj_error error;
	for (size_t i = 0; i < many.count; i++) {
		memory += pj__merge_least(NULL, &many.segments[i]);
		bytes += many.segments[i].packed;
	}
	assert_good(pj__merge_passes(NULL, many.runs, many.segments, &many.count, memory, scratch, &end, &progress,
				     &passes, &error),
		    error);
	assert_int_equal(passes, 1);
	assert_true(many.count >= 50 && end < bytes / 5);
	check_many(&many, memory);
	forget(&many);
	close(scratch);
}

/* ------------------------------------------------------------------------------------------------------ a full disk */

static void check_full(int fd, uint64_t start, int errnum)
{
	enum { BYTES = 1 << 20 };
	char *data = malloc(BYTES);
	uint64_t random = 7, end = 5, progress = 0;
	pj__segment segment = {.bytes = BYTES, .pairs = 1};
	pj__run run;
	pj__packer packer;
	pj_error error;
	unsigned passes = 99;
	fill(data, BYTES, 2, &random);
	pj__packer_init(&packer);
	assert_fails(pj__packer_put_blob(&packer, fd, start, data, &segment, 1, &end, &error), PJ_ERR_OUTPUT, error);
	assert_int_equal(error.errnum, errnum);
	assert_string_equal(error.file, PJ__RUN_FILE);
	assert_int_equal(end, 5);
	for (int big = 0; big < 2; big++) { /* shown by a write between, and by the last one */
		assert_good(pj__packer_begin(&packer, fd, start, &error), error);
		pj_status status =
			pj__packer_add(&packer, pj_bytes_of("key"), (pj_bytes){data, big ? BYTES : 9}, &error);
		assert_int_equal(status, big ? PJ_ERR_OUTPUT : PJ_OK);
		if (!status)
			assert_fails(pj__packer_finish(&packer, &run, &segment, &error), PJ_ERR_OUTPUT, error);
		assert_int_equal(error.errnum, errnum);
	}
	/* and it can be used again */
	const int good = open_memory_file();
	segment = (pj__segment){.bytes = BYTES, .pairs = 1};
	assert_good(pj__packer_put_blob(&packer, good, 0, data, &segment, 1, &end, &error), error);
	pj__packer_fini(&packer);
	struct many many = store_many(20, 60, 3000, true);
	end = start;
	assert_fails(
		pj__merge_passes(NULL, many.runs, many.segments, &many.count, 0, fd, &end, &progress, &passes, &error),
		PJ_ERR_OUTPUT, error);
	assert_int_equal(error.errnum, errnum);
	assert_int_equal(end, start);
	forget(&many);
	close(good);
	free(data);
}

static void a_full_disk_is_told(void **state)
{
	(void)state;
	const int full = open("/dev/full", O_RDWR | O_CLOEXEC);
	assert_true(full >= 0);
	check_full(full, 0, ENOSPC);
	close(full);
}

static void a_limit_of_file_size_is_told(void **state)
{
	(void)state;
	enum { LIMIT = 1 << 30 };
	const int fd = open_memory_file();
	struct rlimit was, now;
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct sigaction before;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	now = (struct rlimit){.rlim_cur = LIMIT, .rlim_max = was.rlim_max};
	assert_int_equal(sigaction(SIGXFSZ, &ignore, &before), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &now), 0);
	check_full(fd, LIMIT, EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	assert_int_equal(sigaction(SIGXFSZ, &before, NULL), 0);
	close(fd);
}

int main(void)
{
	alarm(120);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_of_all_kinds),
		cmocka_unit_test(hostile_blocks),
		cmocka_unit_test(blobs_come_out_as_they_went_in),
		cmocka_unit_test(every_flipped_bit_is_seen),
		cmocka_unit_test(what_was_cut_off_is_missed),
		cmocka_unit_test(entries_that_their_blocks_belie),
		cmocka_unit_test(pairs_come_out_as_they_went_in),
		cmocka_unit_test(many_segments_in_few_passes),
		cmocka_unit_test(long_records_are_merged_few_at_a_time),
		cmocka_unit_test(a_little_too_much_costs_a_little),
		cmocka_unit_test(a_full_disk_is_told),
		cmocka_unit_test(a_limit_of_file_size_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
