/*
 * test_run.c: records and runs. What was written is read, and no damage goes unseen.
 */
#include "testing.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "run/record.h"
#include "run/run.h"

static void varints_of_all_lengths(void **state)
{
	(void)state;
	for (int bits = 0; bits <= 64; bits++) {
		for (int delta = -1; delta <= 1; delta++) {
			const uint64_t value = (bits == 64 ? 0 : (uint64_t)1 << bits) + (uint64_t)(int64_t)delta;
			char bytes[PJ__VARINT_MAX];
			uint64_t back = ~value;
			const char *end = pj__put_varint(bytes, value);
			const size_t len = (size_t)(end - bytes);
			assert_int_equal(pj__varint_bytes(value), len);
			assert_ptr_equal(pj__get_varint(bytes, end, &back), end);
			assert_true(back == value);
			for (size_t cut = 0; cut < len; cut++)
				assert_null(pj__get_varint(bytes, bytes + cut, &back));
		}
	}
}

static void hostile_varints(void **state)
{
	(void)state;
	uint64_t value;
	char bytes[16];
	memset(bytes, 0xff, sizeof bytes);
	assert_null(pj__get_varint(bytes, bytes + sizeof bytes, &value)); /* no end in ten bytes */
	bytes[9] = 1;
	assert_ptr_equal(pj__get_varint(bytes, bytes + sizeof bytes, &value), bytes + 10);
	assert_true(value == UINT64_MAX);
	bytes[9] = 2; /* 65 bits */
	assert_null(pj__get_varint(bytes, bytes + sizeof bytes, &value));
	bytes[9] = (char)0x81;
	bytes[10] = 0;
	assert_null(pj__get_varint(bytes, bytes + sizeof bytes, &value));
}

static void records_of_many_sizes(void **state)
{
	(void)state;
	static const size_t sizes[] = {0, 1, 7, 127, 128, 16383, 16384, 20000};
	enum { COUNT = sizeof sizes / sizeof *sizes };
	char *source = malloc(20000), *bytes = malloc(40100);
	memset(source, 's', 20000);
	for (size_t i = 0; i < COUNT * COUNT; i++) {
		const pj_bytes key = {source, sizes[i / COUNT]}, value = {source, sizes[i % COUNT]};
		const char *end = pj__put_record(bytes, key, value);
		const size_t len = (size_t)(end - bytes);
		assert_int_equal(len, pj__record_bytes(key.len, value.len));
		pj_bytes key_back = {0}, value_back = {0};
		size_t needed = 9;
		assert_ptr_equal(pj__get_record(bytes, end, &key_back, &value_back, &needed), end);
		assert_true(pj_bytes_equal(key, key_back) && pj_bytes_equal(value, value_back));
		for (size_t cut = len; cut-- > 0 && cut + 50 > len;) {
			assert_null(pj__get_record(bytes, bytes + cut, &key_back, &value_back, &needed));
			assert_true(needed == len || (needed == 0 && cut < PJ__RECORD_HEAD_MAX));
		}
	}
	free(source);
	free(bytes);
}

static void hostile_records(void **state)
{
	(void)state;
	char bytes[2 * PJ__VARINT_MAX + 4];
	pj_bytes key, value;
	size_t needed = 1;
	static const uint64_t lengths[][2] = {
		{UINT64_MAX, 1}, {1, UINT64_MAX}, {UINT64_MAX, UINT64_MAX}, {INT64_MAX, 1}, {(uint64_t)1 << 63, 0}};
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		const char *end = pj__put_varint(pj__put_varint(bytes, lengths[i][0]), lengths[i][1]);
		assert_null(pj__get_record(bytes, end, &key, &value, &needed));
		assert_int_equal(needed, 0);
	}
	const char *end = pj__put_varint(pj__put_varint(bytes, 1000), 1000000);
	assert_null(pj__get_record(bytes, end, &key, &value, &needed));
	assert_int_equal(needed, (size_t)(end - bytes) + 1001000);
}

static void prefixes_are_in_the_order_of_keys(void **state)
{
	(void)state;
	assert_true(pj__prefix(pj_bytes_of("a"), 0) == (uint64_t)'a' << 56);
	assert_true(pj__prefix(pj_bytes_of("12345678b"), 8) == (uint64_t)'b' << 56);
	assert_true(pj__prefix(pj_bytes_of("12345678"), 8) == 0);
	assert_true(pj__prefix((pj_bytes){NULL, 0}, 0) == 0);
	assert_true(pj__prefix(pj_bytes_of("a"), 100) == 0);
	assert_true(pj__prefix(pj_bytes_of("\xff"), 0) > pj__prefix(pj_bytes_of("\x7f zzzzzzz"), 0));
}

/* A blob of three segments: two pairs, none, one. Returns its end. */
static uint64_t put_blob(int fd, uint64_t start, pj__segment segments[3])
{
	char data[64];
	char *first_end = pj__put_record(pj__put_record(data, pj_bytes_of("ant"), pj_bytes_of("1")), pj_bytes_of("bee"),
					 pj_bytes_of("22"));
	char *end = pj__put_record(first_end, pj_bytes_of("cat"), pj_bytes_of("333"));
	segments[0] = (pj__segment){.offset = 0, .bytes = (uint64_t)(first_end - data), .pairs = 2};
	segments[1] = (pj__segment){.offset = segments[0].bytes};
	segments[2] = (pj__segment){.offset = segments[0].bytes, .bytes = (uint64_t)(end - first_end), .pairs = 1};
	for (int i = 0; i < 3; i++)
		segments[i].checksum = pj__segment_checksum(&segments[i], data + segments[i].offset);
	assert_int_equal(pwrite(fd, data, (size_t)(end - data), (off_t)start), end - data);
	uint64_t blob_end = 0;
	pj_error error;
	assert_good(pj__run_finish(fd, start, segments, 3, &blob_end, &error), error);
	return blob_end;
}

static void blobs_are_found_from_the_end(void **state)
{
	(void)state;
	const int fd = open_memory_file();
	pj__segment written[3], read[3];
	uint64_t ends[5], end = 100; /* something lies before the first */
	pj_error error;
	char data[64];
	for (int i = 0; i < 5; i++)
		ends[i] = end = put_blob(fd, end, written);
	for (int i = 4; i >= 0; i--) {
		pj__run run;
		assert_int_equal(end, ends[i]);
		assert_good(pj__run_open(&run, fd, end, 3, &error), error);
		assert_int_equal(run.pairs, 3);
		assert_int_equal(run.bytes, end - run.offset);
		assert_good(pj__run_segments(&run, 0, 3, read, &error), error);
		assert_memory_equal(read, written, sizeof read);
		assert_good(pj__run_segments(&run, 2, 1, read, &error), error);
		assert_memory_equal(read, &written[2], sizeof *read);
		assert_good(pj__run_read(&run, read, data, &error), error);
		assert_memory_equal(data, "\3\3cat333", 8);
		end = run.offset;
	}
	assert_int_equal(end, 100);
	close(fd);
}

/* Everything of a blob: true if all of it could be read, false if an error was told. */
static bool read_all(int fd, uint64_t end)
{
	pj__run run;
	pj__segment segments[3];
	pj_error error;
	char *data;
	pj_status status = pj__run_open(&run, fd, end, 3, &error);
	if (!status)
		status = pj__run_segments(&run, 0, 3, segments, &error);
	for (int i = 0; i < 3 && !status; i++) {
		data = malloc(segments[i].bytes + 1);
		status = pj__run_read(&run, &segments[i], data, &error);
		free(data);
	}
	if (status)
		assert_int_equal(status, PJ_ERR_CORRUPT);
	return !status;
}

/* Each bit of a blob, flipped: there is none whose change goes unseen. */
static void every_flipped_bit_is_seen(void **state)
{
	(void)state;
	const int fd = open_memory_file();
	pj__segment segments[3];
	const uint64_t end = put_blob(fd, 0, segments);
	assert_true(read_all(fd, end));
	for (uint64_t at = 0; at < end; at++) {
		unsigned char was, flipped;
		assert_int_equal(pread(fd, &was, 1, (off_t)at), 1);
		for (int bit = 0; bit < 8; bit++) {
			flipped = was ^ (unsigned char)(1 << bit);
			assert_int_equal(pwrite(fd, &flipped, 1, (off_t)at), 1);
			if (read_all(fd, end))
				fail_msg("bit %d of byte %d", bit, (int)at);
		}
		assert_int_equal(pwrite(fd, &was, 1, (off_t)at), 1);
	}
	assert_true(read_all(fd, end));
	close(fd);
}

static void runs_of_others_are_refused(void **state)
{
	(void)state;
	const int fd = open_memory_file();
	pj__segment segments[3];
	pj__run run;
	pj_error error;
	const uint64_t end = put_blob(fd, 0, segments);
	assert_fails(pj__run_open(&run, fd, end, 2, &error), PJ_ERR_CORRUPT, error);
	assert_fails(pj__run_open(&run, fd, end, 0xffffffff, &error), PJ_ERR_CORRUPT, error);
	assert_fails(pj__run_open(&run, fd, 0, 3, &error), PJ_ERR_CORRUPT, error);
	assert_fails(pj__run_open(&run, fd, 63, 3, &error), PJ_ERR_CORRUPT, error);
	assert_fails(pj__run_open(&run, fd, end - 1, 3, &error), PJ_ERR_CORRUPT, error);
	assert_fails(pj__run_open(&run, fd, end + 1, 3, &error), PJ_ERR_CORRUPT, error);
	assert_fails(pj__run_open(&run, fd, end + 4096, 3, &error), PJ_ERR_CORRUPT, error);
	assert_fails(pj__run_open(&run, fd, UINT64_MAX, 3, &error), PJ_ERR_INPUT, error); /* no offset at all */
	/* a blob whose beginning was cut off */
	char footer[64];
	assert_int_equal(pread(fd, footer, sizeof footer, (off_t)(end - sizeof footer)), (ssize_t)sizeof footer);
	assert_int_equal(pwrite(fd, footer, sizeof footer, 0), (ssize_t)sizeof footer);
	assert_fails(pj__run_open(&run, fd, sizeof footer, 3, &error), PJ_ERR_CORRUPT, error);
	close(fd);
}

static void index_entries_that_do_not_fit_are_refused(void **state)
{
	(void)state;
	const int fd = open_memory_file();
	pj__segment segments[3];
	pj__run run;
	pj_error error;
	const uint64_t end = put_blob(fd, 0, segments);
	assert_good(pj__run_open(&run, fd, end, 3, &error), error);
	const uint64_t room = segments[2].offset + segments[2].bytes;
	const pj__segment hostile[] = {
		{.offset = room + 1},
		{.offset = room, .bytes = 1},
		{.bytes = room + 1},
		{.offset = UINT64_MAX, .bytes = 2},
		{.offset = 1, .bytes = UINT64_MAX},
		{.bytes = 2, .pairs = 3},
		{.pairs = 1},
		{.bytes = 1, .packed = room + 1},
		{.offset = room, .bytes = 1, .packed = 1},
		{.offset = 1, .bytes = 1, .packed = UINT64_MAX},
		{.bytes = 300 * room, .packed = room},
		{.bytes = UINT64_MAX, .packed = room},
		{.bytes = 2, .longest = 3},
		{.guard = 1},
	};
	for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
		pj__segment read[3], entry = hostile[i];
		entry.guard ^= XXH3_64bits(&entry, offsetof(pj__segment, guard));
		assert_int_equal(pwrite(fd, &entry, sizeof entry, (off_t)run.index), sizeof entry);
		assert_fails(pj__run_segments(&run, 0, 3, read, &error), PJ_ERR_CORRUPT, error);
		assert_good(pj__run_segments(&run, 1, 2, read, &error), error);
	}
	close(fd);
}

static void what_cannot_be_written_is_told(void **state)
{
	(void)state;
	pj__segment segments[3] = {{0}};
	uint64_t end = 5;
	pj_error error;
	assert_fails(pj__run_finish(-1, 0, segments, 3, &end, &error), PJ_ERR_OUTPUT, error);
	assert_int_equal(end, 5);
}

int main(void)
{
	alarm(60);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(varints_of_all_lengths),
		cmocka_unit_test(hostile_varints),
		cmocka_unit_test(records_of_many_sizes),
		cmocka_unit_test(hostile_records),
		cmocka_unit_test(prefixes_are_in_the_order_of_keys),
		cmocka_unit_test(blobs_are_found_from_the_end),
		cmocka_unit_test(every_flipped_bit_is_seen),
		cmocka_unit_test(runs_of_others_are_refused),
		cmocka_unit_test(index_entries_that_do_not_fit_are_refused),
		cmocka_unit_test(what_cannot_be_written_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
