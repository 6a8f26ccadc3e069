/*
 * window.c: see window.h.
 *
 * A look at a window is a sort. If its first pairs show that less than half of them would go, the window stays as it
 * is, and some of the next ones are not looked at: more of them each time, so that a task whose keys do not repeat pays
 * for few sorts.
 */
#include "shuffle/window.h"

#include <stdlib.h>

#include "base/verify.h"
#include "run/keys.h"

enum {
	PASSED_MOST = 15,
	RECORDS_OF_EDGED = 1 << 20, /* of a combiner whose beginning is dear */
	PAIRS_OF_EDGED = 32 << 10
};

/* The pairs that are sorted at a time, and the group among them that the combiner has at hand. */
struct pj__window {
	pj__task task;    /* first; that the combiner emits to */
	pj_values values; /* of the group */
	pj__task *map_task;
	pj_reducer reducer;
	pj__window_put *put;
	void *arg;
	const pj_keys *keys; /* NULL: bytes */
	bool edged;          /* the combiner begins and ends */
	size_t most, most_pairs;
	pj__space records; /* of the window */
	size_t used;
	pj__space items;
	size_t count, next, group_end;
	pj_bytes key;          /* of the value at hand */
	unsigned pass, passed; /* windows not to be looked at: now, and after the last one that was no use */
};

static pj__window *of_values(const pj_values *values)
{
	return (pj__window *)(void *)((char *)(uintptr_t)values - offsetof(struct pj__window, values));
}

static pj_bytes take_record(const pj__window *window, uint64_t at, pj_bytes *ret_value)
{
	pj_bytes key = {NULL, 0};
	*ret_value = key;
	(void)pj__get_record((const char *)(uintptr_t)at, window->records.at + window->used, &key, ret_value, NULL);
	return key;
}

static pj_bytes key_at(const void *window, uint64_t at)
{
	pj_bytes value;
	return take_record(window, at, &value);
}

static int next_value(pj_values *values, pj_bytes *ret_value)
{
	pj__window *window = of_values(values);
	const pj__item *items = (const pj__item *)(void *)window->items.at;
	if (window->next == window->group_end)
		return 0;
	window->key = take_record(window, items[window->next++].at, ret_value);
	++*window->task.progress;
	return 1;
}

static pj_bytes key_of_value(const pj_values *values)
{
	return of_values(values)->key;
}

/* What the combiner emits. */
static void hand_on(pj__task *task, pj_bytes key, pj_bytes value)
{
	const pj__window *window = (const pj__window *)task;
	window->put(window->arg, key, value);
}

static const pj__target target = {.pair = hand_on};

static bool is_edged(const pj_reducer *reducer)
{
	return reducer->combine_begin || reducer->combine_end;
}

size_t pj__window_memory(const pj_reducer *reducer)
{
	return is_edged(reducer) ? RECORDS_OF_EDGED + 2 * PAIRS_OF_EDGED * sizeof(pj__item)
				 : PJ__WINDOW_RECORDS + 2 * PJ__WINDOW_PAIRS * sizeof(pj__item);
}

pj_status pj__window_create(const pj_reducer *reducer, const pj_keys *keys, pj__task *map_task, pj__window_put *put,
			    void *arg, pj__window **ret_window, pj_error *error)
{
	pj__window *window = pj__task_holder(sizeof *window);
	if (!window)
		return pj__no_memory(error, sizeof *window);
	window->edged = is_edged(reducer);
	window->most = window->edged ? RECORDS_OF_EDGED : PJ__WINDOW_RECORDS;
	window->most_pairs = window->edged ? PAIRS_OF_EDGED : PJ__WINDOW_PAIRS;
	pj_status status = pj__space_need(&window->items, 2 * window->most_pairs * sizeof(pj__item), error);
	if (!status)
		status = pj__space_need(&window->records, window->most, error);
	if (status) {
		pj__window_destroy(window);
		return status;
	}
	pj__task_init(&window->task, PJ_NUMBER_I64);
	pj__task_attach(&window->task, &target, NULL);
	window->values = (pj_values){next_value, &window->task, key_of_value};
	window->map_task = map_task;
	window->reducer = *reducer;
	window->put = put;
	window->arg = arg;
	window->keys = keys;
	*ret_window = window;
	return PJ_OK;
}

void pj__window_destroy(pj__window *window)
{
	if (!window)
		return;
	pj__space_fini(&window->items);
	pj__space_fini(&window->records);
	pj__task_fini(&window->task);
	free(window);
}

/* Lists the next pairs from `at` on, sorted; returns where they end. */
static const char *sort_some(pj__window *window, const char *at)
{
	pj__item *items = (pj__item *)(void *)window->items.at;
	const char *const end = window->records.at + window->used;
	pj_bytes key = {NULL, 0}, value;
	for (window->count = 0; at < end && window->count < window->most_pairs; window->count++) {
		const char *next = pj__get_record(at, end, &key, &value, NULL);
		items[window->count] = (pj__item){pj__prefix(key, 0), (uintptr_t)at};
		at = next;
	}
	if (window->keys)
		pj__keys_sort(window->keys, items, window->count, items + window->count, end);
	else
		pj__sort(items, window->count, items + window->count, key_at, window);
	return at;
}

/* Are they one key to the reducer? Then they are equal as a whole, and in the beginnings that make groups. */
static bool are_equal(const pj_keys *keys, pj_bytes a, pj_bytes b)
{
	if (!keys)
		return pj_bytes_equal(a, b);
	return !pj__keys_compare(keys, a, b) &&
	       !pj__keys_compare(keys, pj__keys_beginning(keys, a), pj__keys_beginning(keys, b));
}

/* The end of the group of equal keys that begins at item `first`. */
static size_t end_of_group(const pj__window *window, size_t first)
{
	const pj__item *items = (const pj__item *)(void *)window->items.at;
	const pj_bytes key = key_at(window, items[first].at);
	size_t end = first + 1;
	while (end < window->count && are_equal(window->keys, key, key_at(window, items[end].at)))
		end++;
	return end;
}

static bool pays(const pj__window *window)
{
	size_t groups = 0;
	for (size_t i = 0; i < window->count; groups++)
		i = end_of_group(window, i);
	return groups <= window->count / 2;
}

/* The combiner has returned from one of its functions. */
static void settle(pj__window *window, pj_status returned)
{
	pj__task_flush(&window->task);
	if (returned)
		pj_task_fail(&window->task.face, returned, NULL, "the combiner returned %d (%s)", (int)returned,
			     pj_status_name(returned));
}

/* Calls the combiner for each group of the sorted pairs. A pair that is alone stands for itself, if it may. */
static void combine_groups(pj__window *window)
{
	const pj__item *items = (const pj__item *)(void *)window->items.at;
	pj__task *task = &window->task;
	if (window->reducer.combine_begin)
		settle(window, window->reducer.combine_begin(&task->face, window->reducer.arg));
	for (size_t i = 0; i < window->count && !task->status; i = window->group_end) {
		pj_bytes value;
		const pj_bytes key = take_record(window, items[i].at, &value);
		window->next = i;
		window->group_end = end_of_group(window, i);
		window->key = key;
		if (window->group_end - i == 1 && !window->edged) {
			hand_on(task, key, value);
			continue;
		}
		settle(window, window->reducer.combine(&task->face, key, &window->values, window->reducer.arg));
	}
	if (window->reducer.combine_end && !task->status)
		settle(window, window->reducer.combine_end(&task->face, window->reducer.arg));
}

/* What a reducer may ask of its task is that of the map task. */
static void follow_map_task(pj__window *window)
{
	const pj__task *from = window->map_task;
	window->task.index = from->index;
	window->task.part_of = from->part_of;
	window->task.params = from->params;
	window->task.progress = from->progress;
	window->task.inputs = from->inputs;
	window->task.input_name = from->input_name;
}

/* What it has counted, and its failure, are the map task's. */
static void tell_map_task(pj__window *window)
{
	pj_error error;
	pj_status status = pj__tally_add(&window->map_task->tally, window->task.tally, &error);
	free(window->task.tally);
	window->task.tally = NULL;
	if (!status && window->task.status) {
		status = window->task.status;
		error = window->task.error;
		/* The usual advice, another sorter, would not meet it again. */
		if (!error.hint[0])
			pj__error_hint(&error, "look at the job's combiner, which --engine reference never calls");
	}
	if (status)
		pj__task_failed(window->map_task, status, &error);
}

/* Hands on the records as they came. */
static void pass_on(pj__window *window)
{
	const char *at = window->records.at, *const end = at + window->used;
	pj_bytes key = {NULL, 0}, value = {NULL, 0};
	while (at < end) {
		at = pj__get_record(at, end, &key, &value, NULL);
		window->put(window->arg, key, value);
	}
}

/* Combines the records, if it pays, and hands on what comes of them. */
static void combine(pj__window *window)
{
	const char *const end = window->records.at + window->used;
	follow_map_task(window);
	const char *at = sort_some(window, window->records.at);
	if (!window->edged && !pays(window)) {
		window->passed = 2 * window->passed + 1 < PASSED_MOST ? 2 * window->passed + 1 : PASSED_MOST;
		window->pass = window->passed;
		pass_on(window);
		return;
	}
	window->passed = 0;
	combine_groups(window);
	while (at < end && !window->task.status) {
		at = sort_some(window, at);
		combine_groups(window);
	}
	tell_map_task(window);
}

static void empty(pj__window *window)
{
	if (window->map_task->status || !window->used) {
		window->used = 0;
		return;
	}
	if (window->pass) {
		window->pass--;
		pass_on(window);
	} else {
		combine(window);
	}
	window->used = 0;
}

void pj__window_take(pj__window *window, pj_bytes key, pj_bytes value)
{
	const size_t bytes = pj__record_bytes(key.len, value.len);
	if (bytes > window->most - window->used)
		empty(window);
	if (window->map_task->status)
		return;
	if (bytes > window->most) {
		window->put(window->arg, key, value);
		return;
	}
	PJ_VERIFY(window->used + bytes <= window->most);
	pj__put_record(window->records.at + window->used, key, value);
	window->used += bytes;
}

void pj__window_end_task(pj__window *window)
{
	empty(window);
	window->pass = window->passed = 0;
}
