/*
 * test_merge.c: many sorted segments come out as one sorted stream, equal keys in the order of the segments; groups of
 * it, key by key, however much of each is taken; and no damaged segment comes out as anything else.
 */
#include "testing.h"

#include <fcntl.h>

#include "run/packer.h"
#include "shuffle/groups.h"

/* Pairs on their way into a segment, and into what is expected. */
struct pair {
	char key[24], value[16];
	size_t key_len, value_len, number; /* of all pairs, in plan order */
};

struct stored {
	int fd;
	pj__run run;
	pj__segment *segments;
	size_t count;
	struct pair *pairs; /* sorted as they should come out */
	size_t pair_count;
};

static pj_bytes key_of(const struct pair *pair)
{
	return (pj_bytes){pair->key, pair->key_len};
}

static int compare(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	const int order = pj_bytes_compare(key_of(x), key_of(y));
	return order ? order : (x->number > y->number) - (x->number < y->number);
}

/* `segments` of up to `most` pairs each, whose keys are of `kinds` different ones. */
static struct stored store(uint64_t *random, size_t segments, size_t most, size_t kinds)
{
	struct stored stored = {.fd = open_memory_file(), .count = segments};
	stored.segments = calloc(segments + 1, sizeof *stored.segments);
	stored.pairs = calloc(segments * most + 1, sizeof *stored.pairs);
	uint64_t at = 0, end;
	pj_error error;
	for (size_t s = 0; s < segments; s++) {
		const size_t count = random_below(random, 5) ? random_below(random, most + 1) : 0;
		struct pair *pairs = stored.pairs + stored.pair_count;
		for (size_t i = 0; i < count; i++) {
			const size_t kind = random_below(random, kinds);
			pairs[i].key_len = kind ? (size_t)sprintf(pairs[i].key, "%zu", kind * 7919 % 100003) : 0;
			if (kind % 3 == 1)
				pairs[i].key[pairs[i].key_len++] = 0; /* "5" and "5\0" are two keys */
			pairs[i].number = stored.pair_count + i;
			pairs[i].value_len = (size_t)sprintf(pairs[i].value, "%zu", pairs[i].number) % 7;
		}
		qsort(pairs, count, sizeof *pairs, compare);
		char *data = malloc(count * 64 + 1), *to = data;
		for (size_t i = 0; i < count; i++)
			to = pj__put_record(to, key_of(&pairs[i]), (pj_bytes){pairs[i].value, pairs[i].value_len});
		stored.segments[s] = (pj__segment){.offset = at, .bytes = (uint64_t)(to - data), .pairs = count};
		stored.segments[s].checksum = pj__segment_checksum(&stored.segments[s], data);
		assert_int_equal(pwrite(stored.fd, data, stored.segments[s].bytes, (off_t)at), to - data);
		at += stored.segments[s].bytes;
		stored.pair_count += count;
		free(data);
	}
	assert_good(pj__run_finish(stored.fd, 0, stored.segments, (uint32_t)segments, &end, &error), error);
	assert_good(pj__run_open(&stored.run, stored.fd, end, (uint32_t)segments, &error), error);
	qsort(stored.pairs, stored.pair_count, sizeof *stored.pairs, compare);
	return stored;
}

static void forget(struct stored *stored)
{
	close(stored->fd);
	free(stored->segments);
	free(stored->pairs);
}

static void check_merge(const struct stored *stored, size_t memory)
{
	pj__merge merge;
	pj_error error;
	bool more = true;
	pj__merge_init(&merge);
	for (size_t i = 0; i < stored->count; i++)
		assert_good(pj__merge_add(&merge, &stored->run, &stored->segments[i], &error), error);
	assert_good(pj__merge_start(&merge, memory, &error), error);
	for (size_t i = 0; i < stored->pair_count; i++) {
		const struct pair *pair = &stored->pairs[i];
		assert_good(pj__merge_next(&merge, &more, &error), error);
		assert_true(more);
		assert_true(pj_bytes_equal(merge.key, key_of(pair)));
		assert_true(pj_bytes_equal(merge.value, (pj_bytes){pair->value, pair->value_len}));
	}
	assert_good(pj__merge_next(&merge, &more, &error), error);
	assert_false(more);
	pj__merge_fini(&merge);
}

static void pairs_come_in_order(void **state)
{
	(void)state;
	uint64_t random = 1;
	for (size_t segments = 0; segments < 40; segments++) {
		struct stored stored = store(&random, segments, 1 + segments % 5 * 90, 1 + segments % 7 * 40);
		check_merge(&stored, 0);
		check_merge(&stored, 1 << 20);
		forget(&stored);
	}
	struct stored many = store(&random, 700, 20, 3000);
	check_merge(&many, 0);
	forget(&many);
}

static void one_key_in_all(void **state)
{
	(void)state;
	uint64_t random = 2;
	struct stored stored = store(&random, 33, 500, 1);
	check_merge(&stored, 0);
	forget(&stored);
}

/* Records that are longer than every buffer, among short ones. */
static void long_records(void **state)
{
	(void)state;
	enum { LONG = 3 << 20 };
	const int fd = open_memory_file();
	char *value = malloc(LONG), *data = malloc(LONG + 1000), *to = data;
	uint64_t end;
	bool more;
	pj__run run;
	pj__merge merge;
	pj_error error;
	memset(value, 'v', LONG);
	to = pj__put_record(to, pj_bytes_of("a"), pj_bytes_of("short"));
	to = pj__put_record(to, pj_bytes_of("b"), (pj_bytes){value, LONG});
	to = pj__put_record(to, pj_bytes_of("c"), pj_bytes_of("short, too"));
	pj__segment segment = {.bytes = (uint64_t)(to - data), .pairs = 3};
	segment.checksum = pj__segment_checksum(&segment, data);
	assert_int_equal(pwrite(fd, data, segment.bytes, 0), to - data);
	assert_good(pj__run_finish(fd, 0, &segment, 1, &end, &error), error);
	assert_good(pj__run_open(&run, fd, end, 1, &error), error);
	pj__merge_init(&merge);
	for (int i = 0; i < 3; i++)
		assert_good(pj__merge_add(&merge, &run, &segment, &error), error);
	assert_good(pj__merge_start(&merge, 0, &error), error);
	for (int i = 0; i < 9; i++) {
		assert_good(pj__merge_next(&merge, &more, &error), error);
		assert_int_equal(merge.key.ptr[0], 'a' + i / 3);
		assert_int_equal(merge.value.len, i / 3 == 0 ? 5 : i / 3 == 1 ? LONG : 10);
		if (i / 3 == 1)
			assert_memory_equal(merge.value.ptr, value, LONG);
	}
	assert_good(pj__merge_next(&merge, &more, &error), error);
	assert_false(more);
	pj__merge_fini(&merge);
	free(value);
	free(data);
	close(fd);
}

/* Pairs whose keys differ, if at all, far behind what is read of them at first. */
enum { LONG_SEGMENTS = 7, LONG_PAIRS = 9, LONG_MOST = 300000 };

struct long_pairs {
	struct {
		size_t key_len, value_len;
		char last;
	} pair[LONG_SEGMENTS * LONG_PAIRS];
	char *filler; /* LONG_MOST bytes, of which keys and values are made */
	char *room;
	int fd;
	pj__run runs[LONG_SEGMENTS];
	pj__segment segments[LONG_SEGMENTS];
};

/* A key is filler, but for its last byte. It lives until the next one is made. */
static pj_bytes long_key(struct long_pairs *all, size_t i)
{
	const size_t len = all->pair[i].key_len;
	memset(all->room, 'x', len);
	if (len)
		all->room[len - 1] = all->pair[i].last;
	return (pj_bytes){all->room, len};
}

static int compare_long(const void *a, const void *b, void *arg)
{
	struct long_pairs *all = arg;
	const size_t i = *(const size_t *)a, j = *(const size_t *)b;
	char *first = malloc(LONG_MOST);
	const pj_bytes key = long_key(all, i);
	memcpy(first, key.ptr, key.len);
	const int order = pj_bytes_compare((pj_bytes){first, key.len}, long_key(all, j));
	free(first);
	return order ? order : (i > j) - (i < j);
}

/* Writes the pairs as packed segments, each sorted, and sorts all of them. */
static void store_long(struct long_pairs *all, size_t *sorted, uint64_t *random)
{
	static const size_t lengths[] = {0, 5, 70000, 200000, LONG_MOST};
	pj__packer packer;
	pj_error error;
	uint64_t end = 0;
	all->fd = open_memory_file();
	all->filler = malloc(LONG_MOST);
	all->room = malloc(LONG_MOST);
	memset(all->filler, 'v', LONG_MOST);
	pj__packer_init(&packer);
	for (size_t s = 0; s < LONG_SEGMENTS; s++) {
		size_t *const here = sorted + s * LONG_PAIRS;
		for (size_t p = 0; p < LONG_PAIRS; p++) {
			const size_t i = here[p] = s * LONG_PAIRS + p;
			all->pair[i].key_len = lengths[random_below(random, 5)];
			all->pair[i].value_len = lengths[random_below(random, 4)];
			all->pair[i].last = "awxyz"[random_below(random, 5)];
		}
		qsort_r(here, LONG_PAIRS, sizeof *here, compare_long, all);
		assert_good(pj__packer_begin(&packer, all->fd, end, &error), error);
		for (size_t p = 0; p < LONG_PAIRS; p++)
			assert_good(pj__packer_add(&packer, long_key(all, here[p]),
						   (pj_bytes){all->filler, all->pair[here[p]].value_len}, &error),
				    error);
		assert_good(pj__packer_finish(&packer, &all->runs[s], &all->segments[s], &error), error);
		end = all->runs[s].offset + all->runs[s].bytes;
	}
	qsort_r(sorted, (size_t)LONG_SEGMENTS * LONG_PAIRS, sizeof *sorted, compare_long, all);
	pj__packer_fini(&packer);
}

static void forget_long(struct long_pairs *all)
{
	close(all->fd);
	free(all->filler);
	free(all->room);
	free(all);
}

static void long_records_wait(void **state)
{
	(void)state;
	uint64_t random = 7;
	for (int times = 0; times < 12; times++) {
		struct long_pairs *all = calloc(1, sizeof *all);
		size_t sorted[LONG_SEGMENTS * LONG_PAIRS];
		pj__merge merge;
		pj_error error;
		bool more;
		store_long(all, sorted, &random);
		pj__merge_init(&merge);
		for (size_t s = 0; s < LONG_SEGMENTS; s++) {
			assert_true(pj__merge_least(NULL, &all->segments[s]) < 3 * PJ__BLOCK_BYTES);
			assert_good(pj__merge_add(&merge, &all->runs[s], &all->segments[s], &error), error);
		}
		assert_good(pj__merge_start(&merge, 0, &error), error);
		for (size_t i = 0; i < LONG_SEGMENTS * LONG_PAIRS; i++) {
			const pj_bytes value = {all->filler, all->pair[sorted[i]].value_len};
			if (random_below(&random, 5) == 0) { /* without a look at it */
				assert_good(pj__merge_step(&merge, &more, &error), error);
				continue;
			}
			assert_good(pj__merge_next(&merge, &more, &error), error);
			assert_true(more && pj_bytes_equal(merge.key, long_key(all, sorted[i])));
			assert_true(pj_bytes_equal(merge.value, value));
		}
		assert_good(pj__merge_next(&merge, &more, &error), error);
		assert_false(more);
		pj__merge_fini(&merge);
		forget_long(all);
	}
}

/* The reducer's key lives on while values, long and short ones, come and go. */
static void groups_of_long_keys(void **state)
{
	(void)state;
	uint64_t random = 8;
	const int none[PJ__STORES] = {-1, -1};
	const uint64_t ends[PJ__STORES] = {0, 0};
	pj__task *task = pj__task_holder(sizeof *task);
	pj__task_init(task, PJ_NUMBER_I64);
	for (int times = 0; times < 12; times++) {
		struct long_pairs *all = calloc(1, sizeof *all);
		size_t sorted[LONG_SEGMENTS * LONG_PAIRS];
		pj__store on_disk;
		pj__groups groups;
		pj_error error;
		pj_bytes key, value;
		bool more;
		store_long(all, sorted, &random);
		pj__store_init(&on_disk, none, ends, 0, ".");
		pj__groups_init(&groups, task, &on_disk, 300000);
		assert_good(pj__groups_begin(&groups, all->runs, all->segments, LONG_SEGMENTS, &error), error);
		size_t i = 0;
		for (; i < LONG_SEGMENTS * LONG_PAIRS;) {
			assert_good(pj__groups_next(&groups, &more, &key, &error), error);
			assert_true(more && pj_bytes_equal(key, long_key(all, sorted[i])));
			const bool all_of_them = random_below(&random, 2);
			for (; i < LONG_SEGMENTS * LONG_PAIRS && pj_bytes_equal(key, long_key(all, sorted[i])); i++) {
				if (!all_of_them)
					continue;
				assert_true(pj_next_value(&groups.values, &value));
				assert_int_equal(value.len, all->pair[sorted[i]].value_len);
			}
			if (all_of_them)
				assert_false(pj_next_value(&groups.values, &value));
			assert_true(pj_bytes_equal(key, long_key(all, sorted[i - 1])));
		}
		assert_good(pj__groups_next(&groups, &more, &key, &error), error);
		assert_false(more);
		assert_true(on_disk.passes > 0);
		pj__groups_fini(&groups);
		pj__store_fini(&on_disk);
		forget_long(all);
	}
	free(task);
}

/* Merges until an error or the end; returns what came. */
static pj_status drain(const pj__run *run, const pj__segment *segment, size_t *pairs, pj_error *error)
{
	pj__merge merge;
	bool more = true;
	*pairs = 0;
	pj__merge_init(&merge);
	pj_status status = pj__merge_add(&merge, run, segment, error);
	if (!status)
		status = pj__merge_start(&merge, 0, error);
	while (!status && more) {
		status = pj__merge_next(&merge, &more, error);
		*pairs += !status && more;
	}
	pj__merge_fini(&merge);
	return status;
}

/* A segment whose entry and checksum fit each other, but not its records. */
static void hostile_segments(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t len, pairs;
	} hostile[] = {
		{"\1\1ab", 4, 2},       /* fewer pairs than said */
		{"\1\1ab\1\1cd", 8, 1}, /* more */
		{"\1\1ab", 4, 0},       /* any at all */
		{"\1\5ab", 4, 1},       /* cut off */
		{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 13, 1},
		{"\xff\xff\xff\xff\xff\xff\xff\xff\x7f\1x", 11, 1},
		{"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", 22, 1},
		{"\1", 1, 1},
	};
	for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
		const int fd = open_memory_file();
		pj__segment segment = {.bytes = hostile[i].len, .pairs = hostile[i].pairs};
		pj__run run = {.fd = fd, .bytes = hostile[i].len, .index = hostile[i].len, .buckets = 1};
		pj_error error;
		size_t pairs;
		segment.checksum = pj__segment_checksum(&segment, hostile[i].bytes);
		assert_int_equal(pwrite(fd, hostile[i].bytes, hostile[i].len, 0), hostile[i].len);
		assert_fails(drain(&run, &segment, &pairs, &error), PJ_ERR_CORRUPT, error);
		close(fd);
	}
}

static void damage_is_seen(void **state)
{
	(void)state;
	uint64_t random = 3;
	struct stored stored = store(&random, 8, 60, 50);
	for (int times = 0; times < 400; times++) {
		const uint64_t at = random_below(&random, stored.run.index);
		unsigned char was, now;
		size_t reached = 0, pairs, all = 0;
		assert_int_equal(pread(stored.fd, &was, 1, (off_t)at), 1);
		now = was ^ (unsigned char)(1 << random_below(&random, 8));
		assert_int_equal(pwrite(stored.fd, &now, 1, (off_t)at), 1);
		for (size_t i = 0; i < stored.count; i++) {
			pj_error error;
			const pj_status status = drain(&stored.run, &stored.segments[i], &pairs, &error);
			assert_true(status == PJ_OK || status == PJ_ERR_CORRUPT);
			reached += status == PJ_ERR_CORRUPT;
			all += pairs;
		}
		assert_int_equal(reached, 1);
		assert_true(all <= stored.pair_count);
		assert_int_equal(pwrite(stored.fd, &was, 1, (off_t)at), 1);
	}
	forget(&stored);
}

static void a_file_that_cannot_be_read(void **state)
{
	(void)state;
	uint64_t random = 4;
	size_t pairs;
	pj_error error;
	struct stored stored = store(&random, 1, 60, 50);
	while (!stored.segments[0].pairs) {
		forget(&stored);
		stored = store(&random, 1, 60, 50);
	}
	pj__run gone = stored.run;
	gone.fd = -1;
	assert_fails(drain(&gone, &stored.segments[0], &pairs, &error), PJ_ERR_INPUT, error);
	assert_int_equal(ftruncate(stored.fd, 3), 0);
	assert_fails(drain(&stored.run, &stored.segments[0], &pairs, &error), PJ_ERR_CORRUPT, error);
	forget(&stored);
}

/* Groups over all segments as runs of their own; of each key a part of the values is taken, or all, or none. */
static void check_groups(const struct stored *stored, pj__groups *groups, uint64_t *random)
{
	pj__run *runs = calloc(stored->count + 1, sizeof *runs);
	pj_error error;
	bool more;
	pj_bytes key, value;
	for (size_t i = 0; i < stored->count; i++)
		runs[i] = stored->run;
	assert_good(pj__groups_begin(groups, runs, stored->segments, stored->count, &error), error);
	for (size_t i = 0; i < stored->pair_count;) {
		const struct pair *pair = &stored->pairs[i];
		size_t same = 1;
		while (i + same < stored->pair_count && pj_bytes_equal(key_of(pair), key_of(pair + same)))
			same++;
		assert_good(pj__groups_next(groups, &more, &key, &error), error);
		assert_true(more);
		assert_true(pj_bytes_equal(key, key_of(pair)));
		const size_t take = random_below(random, 3) ? same + 1 : random_below(random, same + 1);
		for (size_t v = 0; v < take; v++) {
			assert_int_equal(pj_next_value(&groups->values, &value), v < same);
			if (v < same)
				assert_true(pj_bytes_equal(value, (pj_bytes){pair[v].value, pair[v].value_len}));
			assert_true(pj_bytes_equal(key, key_of(pair))); /* it lives on */
		}
		i += same;
	}
	for (int again = 0; again < 2; again++) {
		assert_good(pj__groups_next(groups, &more, &key, &error), error);
		assert_false(more);
		assert_false(pj_next_value(&groups->values, &value));
	}
	free(runs);
}

static void check_all_groups(pj__store *store_, size_t memory)
{
	uint64_t random = 5;
	pj__task *task = pj__task_holder(sizeof *task);
	pj__groups groups;
	pj__task_init(task, PJ_NUMBER_I64);
	pj__groups_init(&groups, task, store_, memory);
	for (size_t segments = 0; segments < 24; segments++) {
		struct stored stored = store(&random, segments, store_ ? 3000 : 60, 1 + segments * 5);
		check_groups(&stored, &groups, &random);
		forget(&stored);
	}
	assert_int_equal(task->status, PJ_OK);
	pj__groups_fini(&groups);
	free(task);
}

static void groups_are_whole_and_apart(void **state)
{
	(void)state;
	check_all_groups(NULL, 0);
}

/* The same where a bucket does not fit into memory. */
static void groups_of_larger_buckets(void **state)
{
	(void)state;
	const int none[PJ__STORES] = {-1, -1};
	const uint64_t ends[PJ__STORES] = {0, 0};
	pj__store on_disk;
	pj__store_init(&on_disk, none, ends, 0, ".");
	check_all_groups(&on_disk, 100000);
	assert_true(on_disk.spilled > 0);
	assert_true(on_disk.passes > 0);
	pj__store_fini(&on_disk);
}

/* A run of one segment, of 1000 pairs of one key. */
static pj__run store_one_key(int fd, pj__segment *segment)
{
	char data[30000], *to = data;
	for (int i = 0; i < 1000; i++)
		to = pj__put_record(to, pj_bytes_of("key"), pj_bytes_of("twenty bytes of data"));
	*segment = (pj__segment){.bytes = (uint64_t)(to - data), .pairs = 1000};
	segment->checksum = pj__segment_checksum(segment, data);
	assert_int_equal(pwrite(fd, data, segment->bytes, 0), to - data);
	return (pj__run){.fd = fd, .bytes = segment->bytes, .index = segment->bytes, .buckets = 1};
}

static void damage_is_found_before_the_first_group(void **state)
{
	(void)state;
	const int fd = open_memory_file();
	pj__task *task = pj__task_holder(sizeof *task);
	pj__groups groups;
	pj_error error;
	pj__segment segment;
	const pj__run run = store_one_key(fd, &segment);
	pj__task_init(task, PJ_NUMBER_I64);
	pj__groups_init(&groups, task, NULL, 0);
	segment.checksum ^= 1;
	assert_fails(pj__groups_begin(&groups, &run, &segment, 1, &error), PJ_ERR_CORRUPT, error);
	segment.checksum ^= 1;
	segment.pairs = 999;
	assert_fails(pj__groups_begin(&groups, &run, &segment, 1, &error), PJ_ERR_CORRUPT, error);
	pj__groups_fini(&groups);
	free(task);
	close(fd);
}

/* Damage of the scratch, which shows only while the user takes values, is told to the task, and ends the groups. */
static void damage_inside_a_group(void **state)
{
	(void)state;
	const int fd = open_memory_file();
	const int none[PJ__STORES] = {-1, -1};
	const uint64_t ends[PJ__STORES] = {0, 0};
	pj__task *task = pj__task_holder(sizeof *task);
	pj__groups groups;
	pj__store on_disk;
	pj_error error;
	pj_bytes key, value;
	bool more;
	pj__segment segments[100];
	pj__run runs[100];
	size_t taken = 0;
	runs[0] = store_one_key(fd, &segments[0]);
	for (size_t i = 1; i < 100; i++) {
		runs[i] = runs[0];
		segments[i] = segments[0];
	}
	pj__task_init(task, PJ_NUMBER_I64);
	pj__store_init(&on_disk, none, ends, 0, ".");
	pj__groups_init(&groups, task, &on_disk, 1000);
	assert_good(pj__groups_begin(&groups, runs, segments, 100, &error), error);
	/* The first block of each piece was read; the others are damaged, wherever they are. */
	for (uint64_t at = 0; at < on_disk.scratch_end; at += 16)
		assert_int_equal(pwrite(on_disk.scratch, "damage", 6, (off_t)at), 6);
	assert_good(pj__groups_next(&groups, &more, &key, &error), error);
	assert_true(more);
	while (pj_next_value(&groups.values, &value))
		taken++;
	assert_in_range(taken, 1, 99999);
	assert_int_equal(task->status, PJ_ERR_CORRUPT);
	assert_false(pj_next_value(&groups.values, &value));
	assert_fails(pj__groups_next(&groups, &more, &key, &error), PJ_ERR_CORRUPT, error);
	pj__groups_fini(&groups);
	pj__store_fini(&on_disk);
	free(task);
	close(fd);
}

int main(void)
{
	alarm(60);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs_come_in_order),
		cmocka_unit_test(one_key_in_all),
		cmocka_unit_test(long_records),
		cmocka_unit_test(long_records_wait),
		cmocka_unit_test(groups_of_long_keys),
		cmocka_unit_test(hostile_segments),
		cmocka_unit_test(damage_is_seen),
		cmocka_unit_test(a_file_that_cannot_be_read),
		cmocka_unit_test(groups_are_whole_and_apart),
		cmocka_unit_test(groups_of_larger_buckets),
		cmocka_unit_test(damage_is_found_before_the_first_group),
		cmocka_unit_test(damage_inside_a_group),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
