/*
 * test_task.c: the inside of a task (emit in all its forms, places, failures), and the text that grows.
 */
#include "testing.h"

#include <math.h>

#include "base/task.h"
#include "base/text.h"

/* What has been emitted, as "key=value;" in the order in which it came. */
static pj_text log_;
static unsigned batches;

static void log_pair(pj_bytes key, pj_bytes value)
{
	pj_text_bytes(&log_, key);
	pj__text_byte(&log_, '=');
	pj_text_bytes(&log_, value);
	pj__text_byte(&log_, ';');
}

static void take(pj__task *task, pj_bytes key, pj_bytes value)
{
	(void)task;
	log_pair(key, value);
}

static void assert_logged(const char *expected)
{
	assert_int_equal(log_.len, strlen(expected));
	assert_memory_equal(log_.data, expected, log_.len);
	pj__text_reset(&log_);
}

static pj__task *task_create(pj_number number)
{
	pj__task *task = pj__task_holder(sizeof *task);
	assert_non_null(task);
	assert_int_equal((uintptr_t)task % 64, 0);
	pj__task_init(task, number);
	static const pj__target target = {.pair = take};
	pj__task_attach(task, &target, NULL);
	return task;
}

static void pairs_stay_in_order(void **state)
{
	(void)state;
	pj__task *task = task_create(PJ_NUMBER_I64);
	pj_task *face = &task->face;
	const pj_bytes longer = pj_bytes_of("a key of twenty-four ...");
	assert_int_equal(longer.len, PJ_SLOT_KEY_BYTES + 1);
	pj_emit_i64(face, pj_bytes_of("a"), 1);
	pj_emit(face, pj_bytes_of("b"), pj_bytes_of("two"));
	pj_emit_i64(face, longer, -3);
	pj_emit_i64(face, pj_bytes_of("a key of twenty-three ."), 4);
	pj_emit_f64(face, pj_bytes_of("e"), 0.5);
	pj_emit_i64(face, (pj_bytes){NULL, 0}, INT64_MIN);
	pj_emit(face, (pj_bytes){NULL, 0}, (pj_bytes){NULL, 0});
	pj__task_flush(task);
	assert_logged("a=1;b=two;a key of twenty-four ...=-3;a key of twenty-three .=4;e=0.5;"
		      "=-9223372036854775808;=;");
	free(task);
	task = task_create(PJ_NUMBER_F64);
	pj_emit_f64(&task->face, pj_bytes_of("x"), -0.0);
	pj_emit_i64(&task->face, pj_bytes_of("y"), 7);
	pj_emit_f64(&task->face, longer, INFINITY);
	pj_emit_f64(&task->face, pj_bytes_of("z"), NAN);
	pj__task_flush(task);
	assert_logged("x=-0;y=7;a key of twenty-four ...=inf;z=nan;");
	free(task);
}

static void count_batch(pj_task *face)
{
	pj__task *task = (pj__task *)face;
	assert_int_equal(pj__task_batch(task), PJ__BATCH);
	for (size_t i = 0; i < PJ__BATCH; i++) {
		const pj_bytes key = pj__slot_key(&task->slots[i]);
		const size_t len = (batches * PJ__BATCH + i) % (PJ_SLOT_KEY_BYTES + 1);
		assert_int_equal(key.len, len);
		for (size_t b = 0; b < PJ_SLOT_KEY_BYTES; b++)
			assert_int_equal(task->slots[i].key[b], b < len ? 'k' : 0);
		assert_int_equal(task->slots[i].value, batches * PJ__BATCH + i);
	}
	batches++;
	pj__task_empty_batch(task);
}

/* Keys of all short lengths, from the text (read 32 bytes at a time) and from elsewhere (byte for byte). */
static void slots_are_filled_exactly(void **state)
{
	(void)state;
	for (int elsewhere = 0; elsewhere < 2; elsewhere++) {
		pj__task *task = task_create(PJ_NUMBER_I64);
		char *text = malloc(100 + PJ_TEXT_PADDING);
		task->face.batch_full = count_batch;
		memset(text, 'k', 100 + PJ_TEXT_PADDING);
		pj__task_set_text(task, (pj_bytes){text, 100}, "file", 0);
		batches = 0;
		for (size_t i = 0; i < 10 * PJ__BATCH; i++) {
			const size_t len = i % (PJ_SLOT_KEY_BYTES + 1);
			char *own = malloc(len + 1);
			memset(own, 'k', len + 1);
			/* also the last bytes of the text */
			const char *from = elsewhere ? own : text + (i % 3 ? 100 - len : i % 50);
			pj_emit_i64(&task->face, (pj_bytes){from, len}, (int64_t)i);
			free(own);
		}
		assert_int_equal(batches, 10);
		assert_int_equal(pj__task_batch(task), 0);
		assert_int_equal(*task->progress, 10);
		free(text);
		free(task);
	}
}

static void places_are_those_of_the_text(void **state)
{
	(void)state;
	pj__task *task = task_create(PJ_NUMBER_I64);
	const char *text = "0123456789";
	char memory[1 + 10 + PJ_TEXT_PADDING] = "-0123456789", *padded = memory + 1;
	pj_place place = pj_task_place(&task->face, text);
	assert_string_equal(place.file, "");
	pj__task_set_text(task, (pj_bytes){padded, 10}, "some file", 1000);
	place = pj_task_place(&task->face, padded + 10);
	assert_string_equal(place.file, "some file");
	assert_int_equal(place.offset, 1010);
	assert_int_equal(pj_task_place(&task->face, padded).offset, 1000);
	assert_string_equal(pj_task_place(&task->face, padded + 11).file, "");
	assert_string_equal(pj_task_place(&task->face, padded - 1).file, "");
	assert_string_equal(pj_task_place(&task->face, NULL).file, "");
	assert_int_equal(pj_task_place(&task->face, text).offset, 0);
	task->index = 77;
	task->params = pj_bytes_of("settings");
	assert_int_equal(pj_task_index(&task->face), 77);
	assert_ptr_equal(pj_task_params(&task->face).ptr, task->params.ptr);
	free(task);
}

static void the_first_failure_is_kept(void **state)
{
	(void)state;
	pj__task *task = task_create(PJ_NUMBER_I64);
	char text[5 + PJ_TEXT_PADDING] = "abcde";
	pj__task_set_text(task, (pj_bytes){text, 5}, "in.txt", 40);
	assert_int_equal(pj_task_fail(&task->face, PJ_ERR_RECORD, text + 2, "field %d of %s", 3, "it"), PJ_ERR_RECORD);
	assert_int_equal(pj_task_fail(&task->face, PJ_ERR_USER, NULL, "another"), PJ_ERR_USER);
	pj__task_failed(task, PJ_ERR_MEMORY, NULL);
	assert_int_equal(task->status, PJ_ERR_RECORD);
	assert_int_equal(task->error.status, PJ_ERR_RECORD);
	assert_string_equal(task->error.file, "in.txt");
	assert_int_equal(task->error.offset, 42);
	assert_string_equal(task->error.reason, "field 3 of it");
	task->status = PJ_OK;
	/* a failure called a success is one all the same */
	assert_int_equal(pj_task_fail(&task->face, PJ_OK, NULL, "%s", "x"), PJ_ERR_USER);
	assert_int_equal(task->status, PJ_ERR_USER);
	assert_string_equal(task->error.file, "");
	assert_int_equal(task->error.offset, -1);
	free(task);
}

/* Values from a list of strings. */
struct listed {
	pj_values values;
	const char *const *at;
};

static int next_listed(pj_values *values, pj_bytes *ret_value)
{
	struct listed *listed = (struct listed *)values;
	if (!*listed->at)
		return 0;
	*ret_value = pj_bytes_of(*listed->at++);
	return 1;
}

static void values_are_read_as_numbers(void **state)
{
	(void)state;
	pj__task *task = task_create(PJ_NUMBER_I64);
	static const char *const integers[] = {"7", "-9223372036854775808", "1.5", NULL};
	static const char *const reals[] = {"7", "1e-3", "", NULL};
	struct listed listed = {{next_listed, task}, integers};
	int64_t integer = 0;
	double real = 0;
	assert_true(pj_next_i64(&listed.values, &integer));
	assert_int_equal(integer, 7);
	assert_true(pj_next_i64(&listed.values, &integer));
	assert_true(integer == INT64_MIN);
	assert_int_equal(task->status, PJ_OK);
	assert_false(pj_next_i64(&listed.values, &integer));
	assert_int_equal(task->status, PJ_ERR_RECORD);
	assert_non_null(strstr(task->error.reason, "\"1.5\""));
	assert_false(pj_next_i64(&listed.values, &integer)); /* the end */
	task->status = PJ_OK;
	listed.at = reals;
	assert_true(pj_next_f64(&listed.values, &real));
	assert_true(pj_next_f64(&listed.values, &real));
	assert_true(real == 1e-3);
	assert_false(pj_next_f64(&listed.values, &real));
	assert_int_equal(task->status, PJ_ERR_RECORD);
	free(task);
}

static void texts_grow_and_remember(void **state)
{
	(void)state;
	pj_text text = {0};
	for (int i = 0; i < 5000; i++) {
		pj__text_byte(&text, (char)('a' + i % 26));
		pj_text_bytes(&text, (pj_bytes){NULL, 0});
		pj_text_i64(&text, i % 10);
	}
	assert_int_equal(text.len, 10000);
	for (size_t i = 0; i < text.len; i += 2) {
		assert_int_equal(text.data[i], 'a' + (int)(i / 2 % 26));
		assert_int_equal(text.data[i + 1], '0' + (int)(i / 2 % 10));
	}
	const size_t capacity = text.capacity;
	pj__text_reset(&text);
	pj_text_f64(&text, 0.1);
	assert_int_equal(text.len, 3);
	assert_int_equal(text.capacity, capacity);
	/* hostile sizes: they do not wrap around, and what follows is dropped */
	assert_null(pj__text_room(&text, SIZE_MAX));
	assert_true(text.failed);
	pj_text_bytes(&text, pj_bytes_of("dropped"));
	pj__text_byte(&text, 'x');
	assert_null(pj__text_room(&text, 1));
	pj__text_reset(&text);
	assert_false(text.failed);
	assert_null(pj__text_room(&text, SIZE_MAX / 2));
	assert_true(text.failed);
	pj__text_reset(&text);
	pj_text_bytes(&text, pj_bytes_of("again"));
	assert_int_equal(pj__text_all(&text).len, 5);
	pj__text_fini(&text);
	assert_int_equal(text.capacity, 0);
	pj__text_fini(&text);
}

static int forget_log(void **state)
{
	(void)state;
	pj__text_fini(&log_);
	return 0;
}

int main(void)
{
	alarm(60);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs_stay_in_order),          cmocka_unit_test(slots_are_filled_exactly),
		cmocka_unit_test(places_are_those_of_the_text), cmocka_unit_test(the_first_failure_is_kept),
		cmocka_unit_test(values_are_read_as_numbers),   cmocka_unit_test(texts_grow_and_remember),
	};
	return cmocka_run_group_tests(tests, NULL, forget_log);
}
