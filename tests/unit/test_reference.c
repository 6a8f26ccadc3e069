/*
 * test_reference.c: the reference itself (engine/reference.c) and its list of pairs (engine/pairs.c), against what is
 * worked out here by other means: a naive sort of lines, sums in a table, the definition of hash parts and of ranges.
 * What is common to all engines is in conformance.h.
 */
#include "testing.h"

#include <papjuice/job.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/text.h"
#include "engine/pairs.h"

enum { KEYS = 40, PAIRS = 3000, ROOM = 1 << 20 };

/* --------------------------------------------------------------------------------------------- the list of pairs */

static size_t first_byte(pj_bytes key, void *arg)
{
	(void)key, (void)arg;
	return 1;
}

static int last_byte_down(pj_bytes a, pj_bytes b, void *arg)
{
	(void)arg;
	return (int)(unsigned char)b.ptr[b.len - 1] - (int)(unsigned char)a.ptr[a.len - 1];
}

/* Everything in the list, as "file key: value value, ..." */
static void tell(pj__pairs *pairs, char *text, size_t size)
{
	pj_bytes key, value;
	*text = 0;
	for (uint32_t file = 0; file < 3; file++) {
		while (pj__pairs_next(pairs, file, &key)) {
			snprintf(text + strlen(text), size - strlen(text), "%u %.*s:", file, (int)key.len, key.ptr);
			while (pj_next_value(&pairs->values, &value)) {
				const pj_bytes own = pj_value_key(&pairs->values);
				snprintf(text + strlen(text), size - strlen(text), " %.*s=%.*s", (int)own.len, own.ptr,
					 (int)value.len, value.ptr);
			}
			snprintf(text + strlen(text), size - strlen(text), ", ");
		}
	}
}

static void check_list(const pj_keys *keys, const char *expected)
{
	static const char *const given[][2] = {{"b1", "x"}, {"a2", "z"}, {"b1", "w"}, {"a1", "y"}, {"b2", "v"}};
	char got[256];
	pj__task *task = pj__task_holder(sizeof *task);
	assert_non_null(task);
	pj__task_init(task, PJ_NUMBER_I64);
	pj__pairs pairs;
	pj__pairs_init(&pairs, keys, task);
	for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
		assert_true(pj__pairs_add(&pairs, pj_bytes_of(given[i][0]), pj_bytes_of(given[i][1]), false));
		pairs.at[i].file = given[i][0][0] == 'b' ? 2 : 0;
	}
	assert_true(pj__pairs_sort(&pairs));
	tell(&pairs, got, sizeof got);
	assert_string_equal(got, expected);
	pj__pairs_fini(&pairs);
	pj__task_fini(task);
	free(task);
}

static void pairs_come_by_file_group_key_and_emission(void **state)
{
	(void)state;
	const pj_keys plain = {0}, values = {.sort_values = true}, group = {.group = first_byte},
		      order = {.compare = last_byte_down};
	check_list(&plain, "0 a1: a1=y, 0 a2: a2=z, 2 b1: b1=x b1=w, 2 b2: b2=v, ");
	check_list(&values, "0 a1: a1=y, 0 a2: a2=z, 2 b1: b1=w b1=x, 2 b2: b2=v, ");
	check_list(&group, "0 a1: a1=y a2=z, 2 b1: b1=x b1=w b2=v, ");
	check_list(&order, "0 a2: a2=z, 0 a1: a1=y, 2 b2: b2=v, 2 b1: b1=x b1=w, ");
}

static void pairs_that_are_cut_were_never_there(void **state)
{
	(void)state;
	const pj_keys keys = {0};
	pj__pairs pairs;
	pj__pairs_init(&pairs, &keys, NULL);
	assert_true(pj__pairs_add(&pairs, pj_bytes_of("one"), pj_bytes_of("1"), false));
	for (int i = 0; i < 5000; i++)
		assert_true(pj__pairs_add(&pairs, pj_bytes_of("other"), pj_bytes_of("2"), true));
	pj__pairs_cut(&pairs, 1);
	assert_int_equal(pairs.count, 1);
	assert_true(pj__pairs_add(&pairs, pj_bytes_of("two"), pj_bytes_of(""), false));
	assert_true(pj__pairs_sort(&pairs));
	pj_bytes key, value;
	assert_true(pj__pairs_next(&pairs, 0, &key));
	assert_true(pj_bytes_equal(key, pj_bytes_of("one")));
	assert_true(pj__pairs_next(&pairs, 0, &key));
	assert_true(pj_bytes_equal(key, pj_bytes_of("two")));
	const pj__pair *pair = pj__pairs_take(&pairs, &value);
	assert_true(pair && !pair->is_number && !value.len);
	assert_null(pj__pairs_take(&pairs, &value));
	assert_false(pj__pairs_next(&pairs, 0, &key));
	pj__pairs_fini(&pairs);
}

/* --------------------------------------------------------------------------------------------------- part files */

static pj_status emit_line(pj_task *task, pj_bytes line, void *arg)
{
	(void)arg;
	pj_emit_i64(task, line, 1);
	return PJ_OK;
}

static const pj_job counts = {
	.abi = PJ_ABI, .name = "counts", .mapper = {.line = emit_line}, .reducer = {.aggregate = &pj_sum_i64}};

struct input {
	char text[PAIRS * 8];
	unsigned times[KEYS]; /* of each key, which are in order */
};

static void name_key(unsigned key, char *name)
{
	snprintf(name, 8, "key%02u", key);
}

static void make_input(struct input *input)
{
	uint64_t dice = 3;
	size_t len = 0;
	*input = (struct input){0};
	for (int i = 0; i < PAIRS; i++) {
		/* some keys are frequent, the last ones rare */
		const unsigned key = (unsigned)random_below(&dice, 1 + random_below(&dice, KEYS));
		char name[8];
		name_key(key, name);
		input->times[key]++;
		len += (size_t)snprintf(input->text + len, sizeof input->text - len, "%s\n", name);
	}
}

static void check_parts(const struct input *input, pj_parts parts, uint32_t count,
			uint32_t (*part_of)(const struct input *, unsigned key, uint32_t count))
{
	char folder[] = "/tmp/papjuice-reference-XXXXXX", to[64], path[128], expected[64 * KEYS], got[64 * KEYS];
	assert_non_null(mkdtemp(folder));
	snprintf(to, sizeof to, "%s/out/", folder);
	const pj_bytes text = pj_bytes_of(input->text);
	const pj_options options = {.input = {.memory = &text, .memory_count = 1},
				    .output.path = to,
				    .engine = "reference",
				    .parts = parts,
				    .partitions = count};
	pj_result result;
	pj_error error;
	assert_good(pj_run(&counts, &options, &result, &error), error);
	assert_int_equal(result.map_pairs, PAIRS);
	assert_int_equal(result.records, PAIRS);
	assert_int_equal(result.workers, 1);
	for (uint32_t part = 0; part < count; part++) {
		*expected = 0;
		for (unsigned key = 0; key < KEYS; key++) {
			char name[8];
			name_key(key, name);
			if (input->times[key] && part_of(input, key, count) == part)
				snprintf(expected + strlen(expected), sizeof expected - strlen(expected), "%s\t%u\n",
					 name, input->times[key]);
		}
		snprintf(path, sizeof path, "%spart-%05u", to, part);
		FILE *file = fopen(path, "r");
		assert_non_null(file);
		got[fread(got, 1, sizeof got - 1, file)] = 0;
		fclose(file);
		assert_string_equal(got, expected);
		assert_int_equal(unlink(path), 0);
	}
	snprintf(path, sizeof path, "%s_SUCCESS", to);
	assert_int_equal(unlink(path) | rmdir(to) | rmdir(folder), 0);
}

static uint32_t by_hash(const struct input *input, unsigned key, uint32_t count)
{
	char name[8];
	(void)input;
	name_key(key, name);
	return (uint32_t)(XXH3_64bits(name, strlen(name)) % count);
}

/*
 * An input this small is its own sample, and of a job that combines each key is in it once: of n keys, file i begins
 * with key i * n / files.
 */
static uint32_t by_range(const struct input *input, unsigned key, uint32_t count)
{
	uint32_t keys = 0, rank = 0, part = 0;
	for (unsigned i = 0; i < KEYS; i++) {
		keys += input->times[i] > 0;
		rank += i < key && input->times[i] > 0;
	}
	for (uint32_t i = 1; i < count; i++)
		if (i * keys / count <= rank)
			part = i;
	return part;
}

static void part_files_are_by_hash_or_by_ranges(void **state)
{
	(void)state;
	struct input *input = malloc(sizeof *input);
	assert_non_null(input);
	make_input(input);
	static const uint32_t counts_of[] = {1, 2, 3, 7, 39, 40, 41, 100};
	for (size_t i = 0; i < sizeof counts_of / sizeof *counts_of; i++) {
		check_parts(input, PJ_PARTS_HASH, counts_of[i], by_hash);
		check_parts(input, PJ_PARTS_DEFAULT, counts_of[i], by_hash);
		check_parts(input, PJ_PARTS_RANGES, counts_of[i], by_range);
	}
	free(input);
}

/* ------------------------------------------------------------------------------------------------------ records */

static pj_status fail_at_b(pj_task *task, pj_bytes line, void *arg)
{
	/* what it emits before it fails must not stay */
	pj_emit(task, line, pj_bytes_of("seen"));
	return pj_bytes_equal(line, pj_bytes_of("b")) ? PJ_ERR_USER : emit_line(task, line, arg);
}

static pj_status take_pair(void *arg, pj_bytes key, pj_bytes value)
{
	pj_text *text = arg;
	pj_text_bytes(text, key);
	pj__text_byte(text, '=');
	pj_text_bytes(text, value);
	pj__text_byte(text, ';');
	return PJ_OK;
}

static void a_record_that_fails_leaves_nothing(void **state)
{
	(void)state;
	const pj_job job = {.abi = PJ_ABI, .name = "fails", .mapper = {.line = fail_at_b}};
	const pj_bytes text = pj_bytes_of("a\nb\nc\nb\n");
	pj_text results = {0};
	pj_result result;
	pj_error error;
	pj_options options = {.input = {.memory = &text, .memory_count = 1},
			      .output = {.pair = take_pair, .arg = &results},
			      .engine = "reference",
			      .skip_bad = 2};
	assert_good(pj_run(&job, &options, &result, &error), error);
	pj__text_byte(&results, 0);
	assert_string_equal(results.data, "a=seen;a=1;c=seen;c=1;");
	assert_int_equal(result.skipped, 2);
	options.skip_bad = 1;
	pj__text_reset(&results);
	assert_int_not_equal(pj_run(&job, &options, &result, &error), PJ_OK);
	assert_int_equal(results.len, 0);
	pj__text_fini(&results);
}

int main(void)
{
	alarm(110);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs_come_by_file_group_key_and_emission),
		cmocka_unit_test(pairs_that_are_cut_were_never_there),
		cmocka_unit_test(part_files_are_by_hash_or_by_ranges),
		cmocka_unit_test(a_record_that_fails_leaves_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
