/*
 * test_transform.c: fields, pairs, key transforms and numbers (papjuice/task.h): what is done inline, many bytes at a
 * time, against the plain twins and against loops over bytes; on random text, and text made to lead astray.
 */
#include "testing.h"

#include <ctype.h>

#include "base/task.h"

enum { TEXT_BYTES = 2000 };

static pj__task *task;
static char *buffer; /* the task's text, with its padding and nothing behind */
static uint64_t random_state = 1;

static int begin(void **state)
{
	(void)state;
	task = pj__task_holder(sizeof *task);
	assert_non_null(task);
	pj__task_init(task, PJ_NUMBER_I64);
	return 0;
}

static int end(void **state)
{
	(void)state;
	pj__task_fini(task);
	free(task);
	free(buffer);
	buffer = NULL;
	return 0;
}

static unsigned char any_byte(const char *liked)
{
	const size_t count = strlen(liked);
	const size_t choice = random_below(&random_state, count + 2);
	return choice < count ? (unsigned char)liked[choice] : (unsigned char)random_bits(&random_state);
}

/* Text of `len` bytes, many of them among `liked`, as are those in the padding behind it. */
static pj_bytes set_text(size_t len, const char *liked)
{
	free(buffer);
	buffer = malloc(len + PJ_TEXT_PADDING);
	assert_non_null(buffer);
	for (size_t i = 0; i < len + PJ_TEXT_PADDING; i++)
		buffer[i] = (char)any_byte(liked);
	pj__task_set_text(task, (pj_bytes){buffer, len}, "file", 0);
	return (pj_bytes){buffer, len};
}

static void assert_same(pj_bytes a, pj_bytes b)
{
	assert_ptr_equal(a.ptr, b.ptr);
	assert_int_equal(a.len, b.len);
}

/* ------------------------------------------------------------------------------------------------ fields and pairs */

static void compare_fields(pj_bytes text, char separator)
{
	pj_bytes rest = text, plain_rest = text, field, plain_field;
	while (pj_next_field_plain(&plain_rest, separator, &plain_field)) {
		assert_int_equal(pj_next_field(&task->face, &rest, separator, &field), 1);
		assert_same(field, plain_field);
		assert_same(rest, plain_rest);
	}
	assert_int_equal(pj_next_field(&task->face, &rest, separator, &field), 0);
}

static void compare_pairs(pj_bytes text, char separator)
{
	pj_bytes rest = text, plain_rest = text, key, value, plain_key, plain_value;
	while (pj_next_pair_plain(&plain_rest, separator, &plain_key, &plain_value)) {
		assert_int_equal(pj_next_pair(&task->face, &rest, separator, &key, &value), 1);
		assert_same(key, plain_key);
		assert_same(value, plain_value);
		assert_same(rest, plain_rest);
	}
	assert_int_equal(rest.len, 0);
	assert_int_equal(pj_next_pair(&task->face, &rest, separator, &key, &value), 0);
}

/* From texts that are all separators to such as have fields and lines beyond every window. */
static void fields_and_pairs_are_those_of_the_plain_loops(void **state)
{
	(void)state;
	static const char *const kinds[] = {";",
					    ";\n",
					    ";abcdefgh\n",
					    ";abcdefghijklmnopqrstuvwxyz0123456789",
					    "\nabcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
					    "x",
					    "\n"};
	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		for (int round = 0; round < 60; round++) {
			const pj_bytes text =
				set_text(random_below(&random_state, round % 3 ? 200 : TEXT_BYTES), kinds[k]);
			compare_fields(text, ';');
			compare_pairs(text, ';');
			compare_pairs(text, '\0');
			for (int part = 0; part < 20; part++) {
				const size_t from = random_below(&random_state, text.len + 1);
				const pj_bytes some = {text.ptr + from,
						       random_below(&random_state, text.len - from + 1)};
				compare_fields(some, part % 2 ? ';' : '\n');
				compare_pairs(some, ';');
			}
		}
	}
}

/* Every length of key and value around the windows of 32, 96 and 128 bytes, at the end of the text and before. */
static void pairs_of_every_length(void **state)
{
	(void)state;
	for (size_t key = 0; key < 140; key++) {
		for (size_t value = 0; value < 140; value += 1 + value / 40) {
			for (size_t behind = 0; behind < 300; behind += 99) {
				set_text(key + value + 2 + behind, "");
				memset(buffer, 'k', key);
				buffer[key] = ';';
				memset(buffer + key + 1, 'v', value);
				buffer[key + 1 + value] = '\n';
				compare_pairs((pj_bytes){buffer, key + value + 2 + behind}, ';');
				compare_fields((pj_bytes){buffer, key + value + 1}, ';');
				compare_pairs((pj_bytes){buffer, key + value + 1}, ';');
			}
		}
	}
}

static void other_bytes_have_fields_and_pairs_too(void **state)
{
	(void)state;
	set_text(100, ";\n");
	for (size_t len = 0; len < 200; len++) {
		char *own = malloc(len + 1); /* nothing behind it may be read */
		for (size_t i = 0; i < len; i++)
			own[i] = (char)any_byte(";\nabcd");
		compare_fields((pj_bytes){own, len}, ';');
		compare_pairs((pj_bytes){own, len}, ';');
		free(own);
	}
	pj_bytes nothing = {NULL, 0}, field;
	assert_int_equal(pj_next_field(&task->face, &nothing, ';', &field), 0);
	assert_int_equal(pj_next_pair(&task->face, &nothing, ';', &field, &field), 0);
}

/* ------------------------------------------------------------------------------------------------------- transforms */

static char plain_case(char c, bool lower)
{
	const unsigned char byte = (unsigned char)c;
	return (char)(byte >= 128 ? byte : lower ? tolower(byte) : toupper(byte));
}

static pj_bytes change(pj_bytes text, bool lower)
{
	return lower ? pj_lower(&task->face, text) : pj_upper(&task->face, text);
}

static void check_case(pj_bytes text, bool lower)
{
	char *const before = malloc(text.len + 1);
	memcpy(before, text.ptr, text.len);
	pj_bytes made = change(text, lower);
	for (int twin = 0; twin < 2; twin++) {
		assert_int_equal(made.len, text.len);
		assert_true(text.len == 0 || made.ptr != text.ptr);
		for (size_t i = 0; i < text.len; i++)
			assert_int_equal(made.ptr[i], plain_case(before[i], lower));
		made = pj_change_case(&task->face, text, lower);
	}
	assert_memory_equal(before, text.ptr, text.len);
	free(before);
}

static void case_is_changed_as_by_the_plain_loop(void **state)
{
	(void)state;
	for (int lower = 0; lower < 2; lower++) {
		const pj_bytes text = set_text(TEXT_BYTES, "AZaz@[`{");
		for (size_t len = 0; len < 300; len++) {
			check_case((pj_bytes){text.ptr + random_below(&random_state, TEXT_BYTES - len), len}, lower);
			check_case((pj_bytes){text.ptr + TEXT_BYTES - len, len}, lower);
			char *own = malloc(len + 1);
			memcpy(own, text.ptr, len);
			check_case((pj_bytes){own, len}, lower);
			free(own);
		}
		for (int byte = 0; byte < 256; byte++) {
			buffer[0] = (char)byte;
			check_case((pj_bytes){buffer, 1}, lower);
		}
		check_case(text, lower);
	}
}

/* What a transform made can be transformed again, whole or in part, short or long. */
static void transforms_can_follow_each_other(void **state)
{
	(void)state;
	for (size_t len = 2; len < 200; len++) {
		const pj_bytes text = set_text(len, "AZaz ");
		for (size_t cut = 0; cut < len; cut += 1 + len / 9) {
			pj_bytes made = pj_upper(&task->face, text);
			made = (pj_bytes){made.ptr + cut, made.len - cut};
			made = pj_lower(&task->face, made);
			assert_int_equal(made.len, len - cut);
			for (size_t i = 0; i < made.len; i++)
				assert_int_equal(made.ptr[i], plain_case(plain_case(text.ptr[cut + i], false), true));
		}
	}
}

static pj_bytes emitted_key;
static char emitted_bytes[512];

static void keep_long(pj_task *face, pj_bytes key, uint64_t value)
{
	(void)face;
	(void)value;
	memcpy(emitted_bytes, key.ptr, key.len);
	emitted_key = (pj_bytes){emitted_bytes, key.len};
}

/* A transformed key comes into the slot as any other does: the bytes behind it are zero. */
static void transformed_keys_are_emitted(void **state)
{
	(void)state;
	task->face.emit_long = keep_long;
	for (size_t len = 0; len < 100; len++) {
		const pj_bytes text = set_text(len, "ABCxyz");
		task->face.next_slot = task->slots;
		memset(task->slots, 0xee, sizeof task->slots);
		pj_emit_i64(&task->face, pj_lower(&task->face, text), 7);
		if (len <= PJ_SLOT_KEY_BYTES) {
			assert_int_equal(task->face.next_slot - task->slots, 1);
			assert_int_equal(task->slots[0].value, 7);
			for (size_t i = len; i < PJ_SLOT_KEY_BYTES; i++)
				assert_int_equal(task->slots[0].key[i], 0);
			emitted_key = pj__slot_key(task->slots);
		}
		assert_int_equal(emitted_key.len, len);
		for (size_t i = 0; i < len; i++)
			assert_int_equal(emitted_key.ptr[i], plain_case(text.ptr[i], true));
	}
}

static bool among(char byte, const char *set, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (set[i] == byte)
			return true;
	return false;
}

static void ends_are_stripped(void **state)
{
	(void)state;
	static const char spaces[] = " \t\n\v\f\r", punctuation[] = ".,!\0\xff(";
	const pj_byte_set set = pj_byte_set_of((pj_bytes){punctuation, sizeof punctuation - 1});
	const pj_byte_set none = {{0}}, white = pj_byte_set_of(pj_bytes_of(spaces));
	for (int byte = 0; byte < 256; byte++) {
		assert_int_equal(pj_byte_set_has(&set, (unsigned char)byte),
				 among((char)byte, punctuation, sizeof punctuation - 1));
		assert_int_equal(pj_byte_set_has(&white, (unsigned char)byte), pj_is_space((unsigned char)byte));
		assert_int_equal(pj_byte_set_has(&none, (unsigned char)byte), 0);
	}
	for (int round = 0; round < 3000; round++) {
		const bool of_set = round % 2;
		const pj_bytes text = set_text(random_below(&random_state, 12), of_set ? ".,!(ab" : " \t\n\v\f\rab");
		size_t from = 0, to = text.len;
		while (from < to &&
		       among(text.ptr[from], of_set ? punctuation : spaces, of_set ? sizeof punctuation - 1 : 6))
			from++;
		while (to > from &&
		       among(text.ptr[to - 1], of_set ? punctuation : spaces, of_set ? sizeof punctuation - 1 : 6))
			to--;
		const pj_bytes stripped = of_set ? pj_strip_set(text, &set) : pj_strip(text);
		assert_int_equal(stripped.len, to - from);
		assert_true(stripped.len == 0 || stripped.ptr == text.ptr + from);
		assert_same(pj_strip_set(text, &none), text);
	}
	assert_int_equal(pj_strip((pj_bytes){NULL, 0}).len, 0);
	assert_int_equal(pj_strip_set((pj_bytes){NULL, 0}, &set).len, 0);
}

static void no_memory_for_a_long_key_fails_the_task(void **state)
{
	(void)state;
	const char byte = 'A';
	/* no such text exists: the room for it is asked for before it is read */
	const pj_bytes made = pj_lower(&task->face, (pj_bytes){&byte, SIZE_MAX / 4});
	assert_int_equal(made.len, 0);
	assert_int_equal(task->status, PJ_ERR_MEMORY);
}

static void numbers_are_read_whole(void **state)
{
	(void)state;
	int64_t integer = 5;
	double real = 5;
	assert_int_equal(pj_parse_i64(pj_bytes_of("-9223372036854775808"), &integer), 1);
	assert_true(integer == INT64_MIN);
	assert_int_equal(pj_parse_i64(pj_bytes_of("9223372036854775808"), &integer), 0);
	assert_int_equal(pj_parse_i64(pj_bytes_of("1 "), &integer), 0);
	assert_int_equal(pj_parse_i64(pj_bytes_of(""), &integer), 0);
	assert_true(integer == INT64_MIN); /* left as it was */
	assert_int_equal(pj_parse_f64(pj_bytes_of("-1.25e2"), &real), 1);
	assert_true(real == -125);
	assert_int_equal(pj_parse_f64(pj_bytes_of("1.25.2"), &real), 0);
	assert_true(real == -125);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(fields_and_pairs_are_those_of_the_plain_loops, begin, end),
		cmocka_unit_test_setup_teardown(pairs_of_every_length, begin, end),
		cmocka_unit_test_setup_teardown(other_bytes_have_fields_and_pairs_too, begin, end),
		cmocka_unit_test_setup_teardown(case_is_changed_as_by_the_plain_loop, begin, end),
		cmocka_unit_test_setup_teardown(transforms_can_follow_each_other, begin, end),
		cmocka_unit_test_setup_teardown(transformed_keys_are_emitted, begin, end),
		cmocka_unit_test_setup_teardown(ends_are_stripped, begin, end),
		cmocka_unit_test_setup_teardown(no_memory_for_a_long_key_fails_the_task, begin, end),
		cmocka_unit_test(numbers_are_read_whole),
	};
	return cmocka_run_group_tests_name("transform", tests, NULL, NULL);
}
