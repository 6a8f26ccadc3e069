/*
 * test_pool.c: what a pool promises when all goes well: order, bytes of any size, reuse, closing and joining.
 * Deaths and failures are in test_pool_faults.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <papjuice/pool.h>
#include <papjuice/process.h>

#include "base/machine.h"

static pj_pool *create(unsigned processes)
{
	pj_pool *pool = NULL;
	pj_error error;
	assert_int_equal(pj_pool_create(processes, &pool, &error), PJ_OK);
	return pool;
}

static pj_results *map(pj_pool *pool, pj_pool_function *function, void *arg, const pj_bytes *items, size_t count,
		       size_t chunk)
{
	pj_results *results = NULL;
	pj_error error;
	const pj_status status = pj_pool_map(pool, function, arg, items, count, chunk, &results, &error);
	if (status) {
		char line[512];
		fail_msg("%s", pj_error_format(&error, line, sizeof line));
	}
	assert_int_equal(results->count, count);
	return results;
}

/* Numbers 0 .. count-1 as items; free with free(). */
static pj_bytes *numbers(size_t count, int64_t **ret_numbers)
{
	pj_bytes *items = malloc(count * (sizeof *items + sizeof(int64_t)));
	int64_t *values = (int64_t *)(void *)(items + count);
	for (size_t i = 0; i < count; i++) {
		values[i] = (int64_t)i;
		items[i] = (pj_bytes){(const char *)&values[i], sizeof values[i]};
	}
	if (ret_numbers)
		*ret_numbers = values;
	return items;
}

static int64_t number_of(pj_bytes bytes)
{
	int64_t number;
	assert_int_equal(bytes.len, sizeof number);
	memcpy(&number, bytes.ptr, sizeof number);
	return number;
}

static pj_status square(pj_bytes item, pj_reply *result, void *arg)
{
	int64_t number;
	(void)arg;
	memcpy(&number, item.ptr, sizeof number);
	number *= number;
	return pj_reply_append(result, (pj_bytes){(const char *)&number, sizeof number});
}

static pj_status copy(pj_bytes item, pj_reply *result, void *arg)
{
	(void)arg;
	return pj_reply_append(result, item);
}

static pj_status worker_id(pj_bytes item, pj_reply *result, void *arg)
{
	(void)item;
	const int64_t pid = getpid();
	usleep(*(const unsigned *)arg);
	return pj_reply_append(result, (pj_bytes){(const char *)&pid, sizeof pid});
}

static void results_come_in_the_order_of_the_items(void **state)
{
	(void)state;
	pj_pool *pool = create(4);
	const size_t chunks[] = {0, 1, 3, 1000, 5000};
	pj_bytes *items = numbers(1000, NULL);
	for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
		pj_results *results = map(pool, square, NULL, items, 1000, chunks[c]);
		for (size_t i = 0; i < 1000; i++)
			assert_int_equal(number_of(results->items[i]), i * i);
		pj_results_destroy(results);
	}
	free(items);
	pj_pool_destroy(pool);
}

static void twice_the_processors_is_customary(void **state)
{
	(void)state;
	pj_pool *pool = create(0);
	assert_int_equal(pj_pool_processes(pool), 2 * pj__processors());
	pj_pool_destroy(pool);
	pj_pool_destroy(NULL);
}

static void all_workers_work(void **state)
{
	(void)state;
	unsigned wait_us = 5000; /* older than the pool */
	pj_pool *pool = create(5);
	pj_bytes *items = numbers(20, NULL);
	pj_results *results = map(pool, worker_id, &wait_us, items, 20, 1);
	int64_t seen[20];
	size_t different = 0;
	for (size_t i = 0; i < 20; i++) {
		size_t k = 0;
		const int64_t pid = number_of(results->items[i]);
		assert_int_not_equal(pid, getpid());
		while (k < different && seen[k] != pid)
			k++;
		if (k == different)
			seen[different++] = pid;
	}
	assert_int_equal(different, 5);
	pj_results_destroy(results);
	free(items);
	pj_pool_destroy(pool);
}

static void a_pool_serves_many_maps(void **state)
{
	(void)state;
	pj_pool *pool = create(3);
	pj_bytes *items = numbers(50, NULL);
	pj_results *kept = map(pool, square, NULL, items, 50, 0);
	for (size_t round = 0; round < 200; round++) {
		pj_results *results = map(pool, round % 2 ? square : copy, NULL, items, 1 + round % 50, round % 7);
		const size_t last = round % 50;
		assert_int_equal(number_of(results->items[last]), round % 2 ? last * last : last);
		pj_results_destroy(results);
	}
	free(items);
	pj_pool_destroy(pool);
	assert_int_equal(number_of(kept->items[49]), 49 * 49); /* results outlive their pool */
	pj_results_destroy(kept);
	pj_results_destroy(NULL);
}

/* Item i: size[i] bytes that depend on i. */
static void sizes_come_back(const size_t *sizes, size_t count, size_t chunk)
{
	pj_pool *pool = create(3);
	pj_bytes *items = calloc(count, sizeof *items);
	for (size_t i = 0; i < count; i++) {
		char *bytes = malloc(sizes[i] + 1);
		memset(bytes, (int)('a' + i), sizes[i] + 1);
		items[i] = (pj_bytes){bytes, sizes[i]};
	}
	pj_results *results = map(pool, copy, NULL, items, count, chunk);
	for (size_t i = 0; i < count; i++)
		assert_true(pj_bytes_equal(results->items[i], items[i]));
	pj_results_destroy(results);
	for (size_t i = 0; i < count; i++)
		free((void *)(uintptr_t)items[i].ptr);
	free(items);
	pj_pool_destroy(pool);
}

static void items_are_of_any_size(void **state)
{
	(void)state;
	const size_t around_a_message[] = {0,     1,     32767, 32768,  32769,  32600,  32650,  32680,
					   32700, 32720, 0,     131072, 131073, 262143, 262144, 262145};
	sizes_come_back(around_a_message, sizeof around_a_message / sizeof *around_a_message, 1);
	sizes_come_back(around_a_message, sizeof around_a_message / sizeof *around_a_message, 5);
	const size_t huge[] = {10 << 20, 3, 10 << 20, 0, (10 << 20) + 1, 7};
	sizes_come_back(huge, sizeof huge / sizeof *huge, 0);
	sizes_come_back(huge, sizeof huge / sizeof *huge, 6);
}

static void there_may_be_many_items(void **state)
{
	(void)state;
	enum { COUNT = 100000 };
	pj_pool *pool = create(4);
	pj_bytes *items = numbers(COUNT, NULL);
	pj_results *results = map(pool, square, NULL, items, COUNT, 0);
	for (size_t i = 0; i < COUNT; i++)
		assert_int_equal(number_of(results->items[i]), i * i);
	pj_results_destroy(results);
	results = map(pool, square, NULL, items, COUNT, COUNT); /* all in one chunk */
	assert_int_equal(number_of(results->items[COUNT - 1]), (int64_t)(COUNT - 1) * (COUNT - 1));
	pj_results_destroy(results);
	free(items);
	pj_pool_destroy(pool);
}

static pj_status piecewise(pj_bytes item, pj_reply *result, void *arg)
{
	(void)arg;
	for (size_t i = 0; i < item.len; i++)
		for (int k = 0; k < 1000; k++)
			if (pj_reply_append(result, (pj_bytes){item.ptr + i, 1}))
				return PJ_ERR_MEMORY;
	return PJ_OK;
}

static void results_grow_piece_by_piece(void **state)
{
	(void)state;
	pj_pool *pool = create(2);
	const pj_bytes items[] = {pj_bytes_of("abc"), pj_bytes_of(""), pj_bytes_of("xy")};
	pj_results *results = map(pool, piecewise, NULL, items, 3, 3);
	assert_int_equal(results->items[0].len, 3000);
	assert_int_equal(results->items[0].ptr[2999], 'c');
	assert_int_equal(results->items[1].len, 0);
	assert_int_equal(results->items[2].len, 2000);
	assert_int_equal(results->items[2].ptr[0], 'x');
	pj_results_destroy(results);
	pj_pool_destroy(pool);
}

static void a_closed_pool_refuses_and_can_be_joined(void **state)
{
	(void)state;
	pj_pool *pool = create(4);
	pj_error error = {.status = PJ_OK};
	pj_bytes *items = numbers(4, NULL);
	pj_results_destroy(map(pool, square, NULL, items, 4, 0));
	assert_int_equal(pj_pool_join(pool, &error), PJ_ERR_USAGE); /* not closed yet */
	assert_int_equal(error.status, PJ_ERR_USAGE);
	pj_pool_close(pool);
	pj_pool_close(pool);
	pj_results *results = NULL;
	assert_int_equal(pj_pool_map(pool, square, NULL, items, 4, 0, &results, &error), PJ_ERR_CLOSED);
	assert_int_equal(error.status, PJ_ERR_CLOSED);
	assert_null(results);
	assert_int_equal(pj_pool_join(pool, NULL), PJ_OK);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* all have ended, all are reaped */
	assert_int_equal(pj_pool_join(pool, NULL), PJ_OK);
	free(items);
	pj_pool_destroy(pool);
}

static int ordinary_global;

static pj_status change_global(pj_bytes item, pj_reply *result, void *arg)
{
	(void)item;
	(void)arg;
	ordinary_global++;
	return pj_reply_append(result, (pj_bytes){(const char *)&ordinary_global, sizeof ordinary_global});
}

/* The classic failure: shared state changed from a pool's map. The change is made, in the worker's copy. */
static void what_a_map_changes_is_not_seen_here(void **state)
{
	(void)state;
	ordinary_global = 40;
	pj_pool *pool = create(2);
	pj_bytes *items = numbers(10, NULL);
	pj_results *results = map(pool, change_global, NULL, items, 10, 0);
	int first;
	memcpy(&first, results->items[0].ptr, sizeof first);
	assert_true(first > 40);
	assert_int_equal(ordinary_global, 40);
	pj_results_destroy(results);
	free(items);
	pj_pool_destroy(pool);
}

static pj_status print_item(pj_bytes item, pj_reply *result, void *arg)
{
	(void)result;
	(void)arg;
	printf("%.*s\n", (int)item.len, item.ptr);
	return PJ_OK;
}

static int print_in_a_pool(void *arg)
{
	dup2(*(const int *)arg, 1);
	setvbuf(stdout, NULL, _IOFBF, 4096);
	printf("leader\n");
	pj_pool *pool = NULL;
	pj_results *results = NULL;
	const pj_bytes item = pj_bytes_of("worker");
	if (pj_pool_create(1, &pool, NULL) || pj_pool_map(pool, print_item, NULL, &item, 1, 0, &results, NULL))
		return 1;
	pj_results_destroy(results);
	pj_pool_destroy(pool);
	return 0;
}

static void what_a_worker_prints_comes_once(void **state)
{
	(void)state;
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	pj_process *process;
	assert_int_equal(pj_process_start(print_in_a_pool, &ends[1], &process, NULL), PJ_OK);
	pj_ending ending;
	assert_int_equal(pj_process_join(process, &ending, NULL), PJ_OK);
	assert_int_equal(ending.exit_code, 0);
	pj_process_destroy(process);
	close(ends[1]);
	char text[64] = "";
	assert_int_equal(read(ends[0], text, sizeof text - 1), 14);
	assert_string_equal(text, "worker\nleader\n");
	close(ends[0]);
}

static int use_the_parents_pool(void *arg)
{
	pj_results *results;
	const pj_bytes item = pj_bytes_of("x");
	const int refused = pj_pool_map(arg, copy, NULL, &item, 1, 0, &results, NULL) == PJ_ERR_USAGE;
	pj_pool_close(arg);
	pj_pool_destroy(arg);
	return refused ? 3 : 4;
}

static void a_child_cannot_use_its_parents_pool(void **state)
{
	(void)state;
	pj_pool *pool = create(2);
	pj_process *process;
	assert_int_equal(pj_process_start(use_the_parents_pool, pool, &process, NULL), PJ_OK);
	pj_ending ending;
	assert_int_equal(pj_process_join(process, &ending, NULL), PJ_OK);
	assert_int_equal(ending.exit_code, 3);
	pj_process_destroy(process);
	const pj_bytes item = pj_bytes_of("still here");
	pj_results *results = map(pool, copy, NULL, &item, 1, 0);
	assert_true(pj_bytes_equal(results->items[0], item));
	pj_results_destroy(results);
	pj_pool_destroy(pool);
}

static void wrong_use_is_said(void **state)
{
	(void)state;
	pj_pool *pool = create(1);
	pj_results *results = NULL;
	const pj_bytes item = pj_bytes_of("x");
	assert_int_equal(pj_pool_map(NULL, copy, NULL, &item, 1, 0, &results, NULL), PJ_ERR_USAGE);
	assert_int_equal(pj_pool_map(pool, NULL, NULL, &item, 1, 0, &results, NULL), PJ_ERR_USAGE);
	assert_int_equal(pj_pool_map(pool, copy, NULL, NULL, 1, 0, &results, NULL), PJ_ERR_USAGE);
	assert_int_equal(pj_pool_map(pool, copy, NULL, NULL, 0, 0, &results, NULL), PJ_OK);
	assert_int_equal(results->count, 0);
	pj_results_destroy(results);
	pj_pool_destroy(pool);
}

int main(void)
{
	alarm(60);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(results_come_in_the_order_of_the_items),
		cmocka_unit_test(twice_the_processors_is_customary),
		cmocka_unit_test(all_workers_work),
		cmocka_unit_test(a_pool_serves_many_maps),
		cmocka_unit_test(items_are_of_any_size),
		cmocka_unit_test(there_may_be_many_items),
		cmocka_unit_test(results_grow_piece_by_piece),
		cmocka_unit_test(a_closed_pool_refuses_and_can_be_joined),
		cmocka_unit_test(what_a_map_changes_is_not_seen_here),
		cmocka_unit_test(what_a_worker_prints_comes_once),
		cmocka_unit_test(a_child_cannot_use_its_parents_pool),
		cmocka_unit_test(wrong_use_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
