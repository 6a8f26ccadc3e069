/*
 * test_manager.c: shared dicts and lists do what ordinary ones do, in every process, and full memory is a status.
 * Deaths in the middle of calls are in test_manager_kill.c.
 */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <papjuice/lock.h>
#include <papjuice/pool.h>
#include <papjuice/process.h>

#include "base/io.h"
#include "mp/object.h"

static pj_manager *create(size_t bytes)
{
	pj_manager *manager = NULL;
	pj_error error;
	assert_int_equal(pj_manager_create(bytes, &manager, &error), PJ_OK);
	return manager;
}

static pj_dict make_dict(pj_manager *manager)
{
	pj_dict dict;
	assert_int_equal(pj_manager_dict(manager, &dict, NULL), PJ_OK);
	return dict;
}

static pj_list make_list(pj_manager *manager)
{
	pj_list list;
	assert_int_equal(pj_manager_list(manager, &list, NULL), PJ_OK);
	return list;
}

static void check_roots(pj_manager *manager, const uint64_t *roots, size_t count)
{
	pj_error error;
	if (pj__manager_check(manager, roots, count, &error))
		fail_msg("%s", error.what);
}

static void ok(pj_status status)
{
	assert_int_equal(status, PJ_OK);
}

static pj_bytes text(const char *string)
{
	return pj_bytes_of(string);
}

static void same_value(pj_dict dict, pj_bytes key, pj_bytes value)
{
	pj_buffer buffer = {0};
	ok(pj_dict_get(dict, key, &buffer, NULL));
	assert_true(pj_bytes_equal((pj_bytes){buffer.ptr, buffer.len}, value));
	pj_buffer_free(&buffer);
}

static void a_dict_keeps_what_it_is_given(void **state)
{
	(void)state;
	pj_manager *manager = create(1 << 20);
	pj_dict dict = make_dict(manager);
	char long_text[5000];
	memset(long_text, 'x', sizeof long_text);
	const size_t sizes[] = {0, 1, 7, 8, 9, 15, 16, 17, 100, 5000};
	for (size_t k = 0; k < 10; k++)
		for (size_t v = 0; v < 10; v++)
			ok(pj_dict_set(dict, (pj_bytes){long_text, sizes[k]}, (pj_bytes){long_text, sizes[v]}, NULL));
	for (size_t v = 0; v < 10; v++)
		for (size_t k = 0; k < 10; k++)
			ok(pj_dict_set(dict, (pj_bytes){long_text, sizes[k]},
				       (pj_bytes){long_text, sizes[(v + k) % 10]}, NULL));
	for (size_t k = 0; k < 10; k++)
		same_value(dict, (pj_bytes){long_text, sizes[k]}, (pj_bytes){long_text, sizes[(9 + k) % 10]});
	size_t count;
	ok(pj_dict_count(dict, &count, NULL));
	assert_int_equal(count, 10);

	const pj_bytes with_nul = {"a\0b", 3}, other_nul = {"a\0c", 3};
	ok(pj_dict_set(dict, with_nul, text("1"), NULL));
	bool there = true;
	ok(pj_dict_contains(dict, other_nul, &there, NULL));
	assert_false(there);
	ok(pj_dict_contains(dict, with_nul, &there, NULL));
	assert_true(there);
	pj_buffer buffer = {0};
	pj_error error = {.status = PJ_OK};
	assert_int_equal(pj_dict_get(dict, text("absent"), &buffer, &error), PJ_ERR_NOT_FOUND);
	assert_non_null(strstr(error.what, "absent"));
	assert_null(buffer.ptr);
	ok(pj_dict_pop(dict, with_nul, &buffer, NULL));
	assert_int_equal(buffer.len, 1);
	assert_int_equal(pj_dict_pop(dict, with_nul, &buffer, NULL), PJ_ERR_NOT_FOUND);
	assert_int_equal(pj_dict_remove(dict, with_nul, NULL), PJ_ERR_NOT_FOUND);
	pj_buffer_free(&buffer);
	check_roots(manager, &dict.offset, 1);
	ok(pj_dict_destroy(dict, NULL));
	assert_int_equal(pj_manager_used(manager), 0);
	check_roots(manager, NULL, 0);
	pj_manager_destroy(manager);
	pj_manager_destroy(NULL);
}

static void a_dict_grows_and_keeps_the_order(void **state)
{
	(void)state;
	enum { COUNT = 50000 };
	pj_manager *manager = create(32 << 20);
	pj_dict dict = make_dict(manager);
	char key[32];
	for (int i = 0; i < COUNT; i++) {
		const int length = snprintf(key, sizeof key, "a key of number %d", i * 7);
		ok(pj_dict_set_i64(dict, (pj_bytes){key, (size_t)length}, i, NULL));
	}
	for (int i = 0; i < COUNT; i += 2) {
		const int length = snprintf(key, sizeof key, "a key of number %d", i * 7);
		ok(pj_dict_remove(dict, (pj_bytes){key, (size_t)length}, NULL));
	}
	check_roots(manager, &dict.offset, 1);
	pj_items *items;
	ok(pj_dict_items(dict, &items, NULL));
	assert_int_equal(items->count, COUNT / 2);
	uint64_t cursor = 0;
	pj_item walked;
	for (size_t i = 0; i < items->count; i++) {
		const int length = snprintf(key, sizeof key, "a key of number %d", (int)(2 * i + 1) * 7);
		assert_true(pj_bytes_equal(items->items[i].key, (pj_bytes){key, (size_t)length}));
		assert_int_equal(items->items[i].kind, PJ_BYTES);
		int64_t value;
		memcpy(&value, items->items[i].value.ptr, sizeof value);
		assert_int_equal(value, 2 * i + 1);
		assert_true(pj_dict_walk(dict, &cursor, &walked));
		assert_true(pj_bytes_equal(walked.key, items->items[i].key));
		assert_true(pj_bytes_equal(walked.value, items->items[i].value));
	}
	assert_false(pj_dict_walk(dict, &cursor, &walked));
	pj_items_destroy(items);
	pj_items_destroy(NULL);
	pj_manager_destroy(manager);
}

static void numbers_are_added(void **state)
{
	(void)state;
	pj_manager *manager = create(1 << 20);
	pj_dict dict = make_dict(manager);
	int64_t value = 0;
	ok(pj_dict_add_i64(dict, text("Java"), 3, &value, NULL));
	assert_int_equal(value, 3);
	ok(pj_dict_add_i64(dict, text("Java"), -5, &value, NULL));
	assert_int_equal(value, -2);
	ok(pj_dict_add_i64(dict, text("Java"), 1, NULL, NULL));
	ok(pj_dict_get_i64(dict, text("Java"), &value, NULL));
	assert_int_equal(value, -1);
	same_value(dict, text("Java"), (pj_bytes){(const char *)&value, sizeof value});
	ok(pj_dict_set_i64(dict, text("Java"), INT64_MAX, NULL));
	assert_int_equal(pj_dict_add_i64(dict, text("Java"), 1, &value, NULL), PJ_ERR_USAGE);
	ok(pj_dict_get_i64(dict, text("Java"), &value, NULL));
	assert_true(value == INT64_MAX);
	ok(pj_dict_set(dict, text("Lisp"), text("four"), NULL));
	assert_int_equal(pj_dict_get_i64(dict, text("Lisp"), &value, NULL), PJ_ERR_USAGE);
	assert_int_equal(pj_dict_add_i64(dict, text("Lisp"), 1, NULL, NULL), PJ_ERR_USAGE);
	assert_int_equal(pj_dict_get_i64(dict, text("Cobol"), &value, NULL), PJ_ERR_NOT_FOUND);
	check_roots(manager, &dict.offset, 1);
	pj_manager_destroy(manager);
}

static void same_element(pj_list list, size_t index, pj_bytes value)
{
	pj_buffer buffer = {0};
	ok(pj_list_get(list, index, &buffer, NULL));
	assert_true(pj_bytes_equal((pj_bytes){buffer.ptr, buffer.len}, value));
	pj_buffer_free(&buffer);
}

static void a_list_keeps_what_it_is_given(void **state)
{
	(void)state;
	pj_manager *manager = create(1 << 20);
	pj_list list = make_list(manager);
	pj_buffer buffer = {0};
	size_t count;
	assert_int_equal(pj_list_pop(list, &buffer, NULL), PJ_ERR_NOT_FOUND);
	assert_int_equal(pj_list_get(list, 0, &buffer, NULL), PJ_ERR_NOT_FOUND);
	ok(pj_list_append(list, text("zero"), NULL));
	const pj_bytes more[] = {text("one"), text("the second element"), text(""), text("four is the last one")};
	ok(pj_list_extend(list, more, 4, NULL));
	ok(pj_list_extend(list, NULL, 0, NULL));
	ok(pj_list_count(list, &count, NULL));
	assert_int_equal(count, 5);
	for (size_t i = 0; i < 4; i++)
		same_element(list, i + 1, more[i]);
	ok(pj_list_set(list, 2, text("2"), NULL));
	ok(pj_list_set(list, 0, text("element zero, longer"), NULL));
	same_element(list, 0, text("element zero, longer"));
	same_element(list, 2, text("2"));
	assert_int_equal(pj_list_set(list, 5, text("x"), NULL), PJ_ERR_NOT_FOUND);
	ok(pj_list_pop(list, &buffer, NULL));
	assert_true(pj_bytes_equal((pj_bytes){buffer.ptr, buffer.len}, more[3]));
	ok(pj_list_pop(list, NULL, NULL));
	pj_items *items;
	ok(pj_list_items(list, &items, NULL));
	assert_int_equal(items->count, 3);
	assert_true(pj_bytes_equal(items->items[0].value, text("element zero, longer")));
	pj_items_destroy(items);
	uint64_t cursor = 0;
	pj_bytes value;
	for (count = 0; pj_list_walk(list, &cursor, &value); count++)
		same_element(list, count, value);
	assert_int_equal(count, 3);
	for (int i = 0; i < 5000; i++)
		ok(pj_list_append(list, (pj_bytes){(const char *)&i, sizeof i}, NULL));
	const int wanted = 4999;
	same_element(list, 5002, (pj_bytes){(const char *)&wanted, sizeof wanted});
	check_roots(manager, &list.offset, 1);
	ok(pj_list_destroy(list, NULL));
	assert_int_equal(pj_list_count(list, &count, NULL), PJ_ERR_NOT_FOUND);
	assert_int_equal(pj_manager_used(manager), 0);
	pj_buffer_free(&buffer);
	pj_manager_destroy(manager);
}

static void dicts_and_lists_can_be_values(void **state)
{
	(void)state;
	pj_manager *manager = create(1 << 20);
	pj_dict dict = make_dict(manager), inner, again;
	pj_list list, same;
	ok(pj_dict_dict(dict, text("inner dict"), &inner, NULL));
	ok(pj_dict_list(inner, text("values"), &list, NULL));
	ok(pj_list_append(list, text("a value of some length"), NULL));
	ok(pj_dict_dict(dict, text("inner dict"), &again, NULL));
	ok(pj_dict_list(again, text("values"), &same, NULL));
	same_element(same, 0, text("a value of some length")); /* changed in place, seen by everybody */
	assert_int_equal(pj_dict_list(dict, text("inner dict"), &same, NULL), PJ_ERR_USAGE);
	pj_buffer buffer = {0};
	assert_int_equal(pj_dict_get(dict, text("inner dict"), &buffer, NULL), PJ_ERR_USAGE);
	assert_int_equal(pj_dict_destroy(inner, NULL), PJ_ERR_USAGE);
	assert_int_equal(pj_list_destroy(list, NULL), PJ_ERR_USAGE);
	pj_items *items;
	ok(pj_dict_items(dict, &items, NULL));
	assert_int_equal(items->items[0].kind, PJ_DICT);
	size_t count = 0;
	ok(pj_dict_count(items->items[0].dict, &count, NULL));
	assert_int_equal(count, 1);
	pj_items_destroy(items);
	check_roots(manager, &dict.offset, 1);

	ok(pj_dict_set(dict, text("inner dict"), text("bytes now"), NULL)); /* all that was in it is removed */
	assert_int_equal(pj_dict_count(inner, &count, NULL), PJ_ERR_NOT_FOUND);
	assert_int_equal(pj_list_append(list, text("x"), NULL), PJ_ERR_NOT_FOUND);
	uint64_t cursor = 0;
	pj_bytes value;
	assert_false(pj_list_walk(list, &cursor, &value));
	check_roots(manager, &dict.offset, 1);
	pj_list fresh; /* lies where an old one was: old handles are told apart all the same */
	ok(pj_dict_list(dict, text("list"), &fresh, NULL));
	pj_dict fresh_dict;
	ok(pj_dict_dict(dict, text("dict"), &fresh_dict, NULL));
	assert_int_equal(pj_list_append(list, text("x"), NULL), PJ_ERR_NOT_FOUND);
	assert_int_equal(pj_dict_count(inner, &count, NULL), PJ_ERR_NOT_FOUND);
	ok(pj_list_append(fresh, text("x"), NULL));
	pj_buffer_free(&buffer);
	check_roots(manager, &dict.offset, 1);
	ok(pj_dict_destroy(dict, NULL));
	assert_int_equal(pj_manager_used(manager), 0);
	const pj_dict none = {0};
	const pj_dict wild = {manager, 17, 1}, far = {manager, UINT64_MAX - 15, 1};
	assert_int_equal(pj_dict_count(none, &count, NULL), PJ_ERR_USAGE);
	assert_int_equal(pj_dict_set(none, text("x"), text("x"), NULL), PJ_ERR_USAGE);
	assert_int_equal(pj_dict_count(wild, &count, NULL), PJ_ERR_NOT_FOUND);
	assert_int_equal(pj_dict_count(far, &count, NULL), PJ_ERR_NOT_FOUND);
	pj_manager_destroy(manager);
}

static void fill(pj_dict dict)
{
	char key[64];
	pj_error error = {.status = PJ_OK};
	pj_status status = PJ_OK;
	for (int i = 0; !status; i++) {
		const int length = snprintf(key, sizeof key, "number %d of many", i);
		pj_list list;
		if (i % 3)
			status =
				pj_dict_set(dict, (pj_bytes){key, (size_t)length}, (pj_bytes){key, sizeof key}, &error);
		else
			status = pj_dict_list(dict, (pj_bytes){key, (size_t)length}, &list, &error);
		if (!status && i % 3 == 0)
			status = pj_list_append(list, (pj_bytes){key, 20}, &error);
	}
	assert_int_equal(status, PJ_ERR_MEMORY);
	assert_int_equal(error.status, PJ_ERR_MEMORY);
}

static void full_memory_is_a_status(void **state)
{
	(void)state;
	pj_manager *manager = create(256 << 10);
	pj_dict dict = make_dict(manager);
	size_t counts[6];
	for (int round = 0; round < 6; round++) {
		fill(dict);
		check_roots(manager, &dict.offset, 1);
		ok(pj_dict_count(dict, &counts[round], NULL));
		pj_items *items;
		ok(pj_dict_items(dict, &items, NULL)); /* all there, all readable */
		assert_int_equal(items->count, counts[round]);
		for (size_t i = (size_t)round % 2; i < items->count; i += round < 3 ? 2 : 1)
			ok(pj_dict_remove(dict, items->items[i].key, NULL));
		check_roots(manager, &dict.offset, 1);
		pj_items_destroy(items);
	}
	assert_in_range(counts[3], counts[0] * 9 / 10, counts[0] * 2);
	assert_in_range(counts[5], counts[0] / 3, counts[0] * 2); /* memory that was freed is used again */

	/* An extension that does not fit leaves nothing; one that does, after it, is complete. */
	pj_list list = make_list(manager);
	pj_bytes many[100];
	char bytes[4096];
	memset(bytes, 'b', sizeof bytes);
	for (size_t i = 0; i < 100; i++)
		many[i] = (pj_bytes){bytes, sizeof bytes};
	ok(pj_list_append(list, text("first"), NULL));
	const size_t used = pj_manager_used(manager);
	assert_int_equal(pj_list_extend(list, many, 100, NULL), PJ_ERR_MEMORY);
	size_t count;
	ok(pj_list_count(list, &count, NULL));
	assert_int_equal(count, 1);
	assert_in_range(pj_manager_used(manager), used, used + 100 * 20); /* the room for cells may stay */
	ok(pj_list_extend(list, many, 5, NULL));
	const uint64_t roots[] = {dict.offset, list.offset};
	check_roots(manager, roots, 2);
	assert_int_equal(pj_list_extend(list, many, SIZE_MAX / 2, NULL), PJ_ERR_MEMORY);
	assert_int_equal(pj_list_append(list, (pj_bytes){bytes, SIZE_MAX / 2}, NULL), PJ_ERR_MEMORY);
	check_roots(manager, roots, 2);
	assert_true(pj_manager_used(manager) <= pj_manager_capacity(manager));
	pj_manager_destroy(manager);
	assert_int_equal(pj_manager_create(1000, &manager, NULL), PJ_ERR_USAGE);
}

/* Random calls, held against plain arrays. */
enum { MODEL_KEYS = 60, MODEL_LONGEST = 40 };

struct model {
	int kind[MODEL_KEYS];   /* -1: not there */
	int length[MODEL_KEYS]; /* of the bytes, or of the list */
	char stamp[MODEL_KEYS]; /* first byte */
};

static void model_step(pj_dict dict, struct model *model, unsigned *seed)
{
	const int k = rand_r(seed) % MODEL_KEYS, action = rand_r(seed) % 8;
	char name[40], bytes[MODEL_LONGEST];
	const int name_length = snprintf(name, sizeof name, "%s%d", k % 2 ? "key " : "a longer key for all this ", k);
	const pj_bytes key = {name, (size_t)name_length};
	const pj_bytes value = {bytes, (size_t)(rand_r(seed) % MODEL_LONGEST)};
	memset(bytes, rand_r(seed) % 26 + 'a', sizeof bytes);
	pj_list list;
	if (action < 3) {
		ok(pj_dict_set(dict, key, value, NULL));
		model->kind[k] = PJ_BYTES;
		model->length[k] = (int)value.len;
		model->stamp[k] = bytes[0];
	} else if (action < 5) {
		const pj_status status = pj_dict_remove(dict, key, NULL);
		assert_int_equal(status, model->kind[k] < 0 ? PJ_ERR_NOT_FOUND : PJ_OK);
		model->kind[k] = -1;
	} else {
		const pj_status status = pj_dict_list(dict, key, &list, NULL);
		assert_int_equal(status, model->kind[k] == PJ_BYTES ? PJ_ERR_USAGE : PJ_OK);
		if (status)
			return;
		model->length[k] = model->kind[k] < 0 ? 0 : model->length[k];
		model->kind[k] = PJ_LIST;
		if (action == 5) {
			ok(pj_list_append(list, value, NULL));
			model->length[k]++;
		} else if (action == 6) {
			const pj_bytes two[] = {value, value};
			ok(pj_list_extend(list, two, 2, NULL));
			model->length[k] += 2;
		} else if (model->length[k]) {
			ok(pj_list_pop(list, NULL, NULL));
			model->length[k]--;
		}
	}
}

static void model_compare(pj_dict dict, const struct model *model)
{
	size_t expected = 0, count;
	char name[40];
	pj_buffer buffer = {0};
	for (int k = 0; k < MODEL_KEYS; k++) {
		const int length =
			snprintf(name, sizeof name, "%s%d", k % 2 ? "key " : "a longer key for all this ", k);
		const pj_bytes key = {name, (size_t)length};
		bool there;
		ok(pj_dict_contains(dict, key, &there, NULL));
		assert_int_equal(there, model->kind[k] >= 0);
		expected += there;
		if (model->kind[k] == PJ_BYTES) {
			ok(pj_dict_get(dict, key, &buffer, NULL));
			assert_int_equal(buffer.len, model->length[k]);
			assert_true(!buffer.len || buffer.ptr[buffer.len - 1] == model->stamp[k]);
		} else if (model->kind[k] == PJ_LIST) {
			pj_list list;
			ok(pj_dict_list(dict, key, &list, NULL));
			ok(pj_list_count(list, &count, NULL));
			assert_int_equal(count, model->length[k]);
		}
	}
	ok(pj_dict_count(dict, &count, NULL));
	assert_int_equal(count, expected);
	pj_buffer_free(&buffer);
}

static void random_calls_agree_with_a_model(void **state)
{
	(void)state;
	pj_manager *manager = create(1 << 20);
	for (unsigned seed = 1; seed <= 4; seed++) {
		pj_dict dict = make_dict(manager);
		struct model model;
		unsigned random = seed;
		for (int k = 0; k < MODEL_KEYS; k++)
			model.kind[k] = -1;
		for (int i = 0; i < 20000; i++) {
			model_step(dict, &model, &random);
			if (i % 500 == 0) {
				model_compare(dict, &model);
				check_roots(manager, &dict.offset, 1);
			}
		}
		ok(pj_dict_destroy(dict, NULL));
		assert_int_equal(pj_manager_used(manager), 0);
	}
	pj_manager_destroy(manager);
}

struct shared {
	pj_manager *manager;
	pj_dict dict;
	pj_lock *lock; /* NULL: do without */
	int number;
	volatile bool *go;
};

static int add_and_nest(void *arg)
{
	const struct shared *shared = arg;
	pj_dict inner; /* made here, seen by all */
	pj_list list;
	if (pj_dict_dict(shared->dict, text("made by a process"), &inner, NULL) ||
	    pj_dict_list(inner, text("numbers"), &list, NULL))
		return 1;
	for (int i = 0; i < 1000; i++)
		if (pj_dict_add_i64(shared->dict, text("count"), 1, NULL, NULL) ||
		    pj_list_append(list, (pj_bytes){(const char *)&i, sizeof i}, NULL))
			return 2;
	return 0;
}

static void run_processes(int count, pj_process_main *run, struct shared *shared, size_t step)
{
	pj_process *processes[16];
	for (int i = 0; i < count; i++)
		ok(pj_process_start(run, (char *)shared + (size_t)i * step, &processes[i], NULL));
	for (int i = 0; i < count; i++) {
		pj_ending ending;
		ok(pj_process_join(processes[i], &ending, NULL));
		assert_int_equal(ending.exit_code, 0);
		pj_process_destroy(processes[i]);
	}
}

static void sixteen_processes_at_once(void **state)
{
	(void)state;
	struct shared shared = {.manager = create(4 << 20)};
	shared.dict = make_dict(shared.manager);
	run_processes(16, add_and_nest, &shared, 0);
	int64_t value;
	ok(pj_dict_get_i64(shared.dict, text("count"), &value, NULL));
	assert_int_equal(value, 16000);
	pj_dict inner;
	pj_list list;
	size_t count;
	ok(pj_dict_dict(shared.dict, text("made by a process"), &inner, NULL));
	ok(pj_dict_list(inner, text("numbers"), &list, NULL));
	ok(pj_list_count(list, &count, NULL));
	assert_int_equal(count, 16000);
	check_roots(shared.manager, &shared.dict.offset, 1);
	pj_manager_destroy(shared.manager);
}

/* A handle that travels as the item of a pool. */
static pj_status append_to(pj_bytes item, pj_reply *result, void *arg)
{
	pj_list list;
	(void)arg;
	memcpy(&list, item.ptr, sizeof list);
	const pj_status status = pj_list_append(list, text("from a pool"), NULL);
	return status ? pj_reply_fail(result, "%s", pj_status_name(status)) : PJ_OK;
}

static void handles_travel(void **state)
{
	(void)state;
	pj_manager *manager = create(1 << 20);
	pj_pool *pool;
	ok(pj_pool_create(3, &pool, NULL));
	pj_list list = make_list(manager); /* younger than the pool: the manager alone has to be older */
	pj_bytes items[10];
	for (size_t i = 0; i < 10; i++)
		items[i] = (pj_bytes){(const char *)&list, sizeof list};
	pj_results *results;
	ok(pj_pool_map(pool, append_to, NULL, items, 10, 1, &results, NULL));
	pj_results_destroy(results);
	pj_pool_destroy(pool);
	size_t count;
	ok(pj_list_count(list, &count, NULL));
	assert_int_equal(count, 10);
	pj_manager_destroy(manager);
}

static int walk_all(void *arg)
{
	const struct shared *shared = arg;
	uint64_t cursor = 0, bytes = 0;
	pj_item item;
	while (pj_dict_walk(shared->dict, &cursor, &item)) {
		uint64_t at = 0;
		pj_bytes value;
		while (item.kind == PJ_LIST && pj_list_walk(item.list, &at, &value))
			bytes += value.len + (uint64_t)(value.ptr[value.len - 1] - 'a');
	}
	return bytes == 3000 * 20 ? 0 : 1;
}

static void many_walk_without_a_lock(void **state)
{
	(void)state;
	struct shared shared = {.manager = create(4 << 20)};
	shared.dict = make_dict(shared.manager);
	for (int i = 0; i < 3000; i++) {
		pj_list list;
		const int key = i % 100;
		ok(pj_dict_list(shared.dict, (pj_bytes){(const char *)&key, sizeof key}, &list, NULL));
		ok(pj_list_append(list, text("aaaaaaaaaaaaaaaaaaaa"), NULL));
	}
	run_processes(8, walk_all, &shared, 0);
	pj_manager_destroy(shared.manager);
}

/*
 * The classic failure. Each stream has ten thousand values, and adds each to the values of its word: get, extend, set.
 * The calls are atomic, their sequence is not.
 */
enum { STREAMS = 3, VALUES = 10000 };

static const char *const words[] = {"Java", "Hadoop", "RDBMS", "Prolog", "Lisp", "Pascal"};

static int get_extend_set(void *arg)
{
	const struct shared *shared = arg;
	pj_buffer values = {0};
	while (!*shared->go)
		sched_yield();
	for (int i = 0; i < VALUES; i++) {
		const pj_bytes word = text(words[i % 6]);
		if (shared->lock && pj_lock_acquire(shared->lock, NULL, NULL))
			return 1;
		if (pj_dict_get(shared->dict, word, &values, NULL))
			values.len = 0;
		if (values.room < values.len + 1)
			values.ptr = realloc(values.ptr, values.room = 2 * values.room + 64);
		values.ptr[values.len++] = (char)('0' + shared->number);
		if (i % 100 == 0)
			sched_yield();
		if (pj_dict_set(shared->dict, word, (pj_bytes){values.ptr, values.len}, NULL))
			return 2;
		if (shared->lock && pj_lock_release(shared->lock, NULL))
			return 3;
	}
	pj_buffer_free(&values);
	return 0;
}

/* Runs the streams; returns how many values were lost. */
static int64_t merge_streams(bool with_lock)
{
	struct shared shared[STREAMS] = {{.manager = create(8 << 20)}};
	shared[0].dict = make_dict(shared[0].manager);
	if (with_lock)
		ok(pj_lock_create(&shared[0].lock, NULL));
	void *page;
	ok(pj__map_shared(4096, &page, NULL));
	shared[0].go = page;
	for (int i = 1; i < STREAMS; i++) {
		shared[i] = shared[0];
		shared[i].number = i;
	}
	pj_process *processes[STREAMS];
	for (int i = 0; i < STREAMS; i++)
		ok(pj_process_start(get_extend_set, &shared[i], &processes[i], NULL));
	*shared[0].go = true;
	for (int i = 0; i < STREAMS; i++) {
		pj_ending ending;
		ok(pj_process_join(processes[i], &ending, NULL));
		assert_int_equal(ending.exit_code, 0);
		pj_process_destroy(processes[i]);
	}
	int64_t values = 0;
	pj_items *items;
	ok(pj_dict_items(shared[0].dict, &items, NULL));
	for (size_t i = 0; i < items->count; i++)
		values += (int64_t)items->items[i].value.len;
	pj_items_destroy(items);
	check_roots(shared[0].manager, &shared[0].dict.offset, 1);
	pj_lock_destroy(shared[0].lock);
	pj_manager_destroy(shared[0].manager);
	munmap(page, 4096);
	return (int64_t)STREAMS * VALUES - values;
}

static void without_the_lock_values_are_lost(void **state)
{
	(void)state;
	int64_t lost = 0;
	for (int i = 0; i < 20 && !lost; i++)
		lost = merge_streams(false);
	assert_true(lost > 0); /* else the next test would show nothing */
}

static void with_the_lock_none_is(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(merge_streams(true), 0);
}

int main(void)
{
	alarm(60);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_dict_keeps_what_it_is_given),
		cmocka_unit_test(a_dict_grows_and_keeps_the_order),
		cmocka_unit_test(numbers_are_added),
		cmocka_unit_test(a_list_keeps_what_it_is_given),
		cmocka_unit_test(dicts_and_lists_can_be_values),
		cmocka_unit_test(full_memory_is_a_status),
		cmocka_unit_test(random_calls_agree_with_a_model),
		cmocka_unit_test(sixteen_processes_at_once),
		cmocka_unit_test(handles_travel),
		cmocka_unit_test(many_walk_without_a_lock),
		cmocka_unit_test(without_the_lock_values_are_lost),
		cmocka_unit_test(with_the_lock_none_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
