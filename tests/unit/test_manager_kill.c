/*
 * test_manager_kill.c: calls of the manager are atomic, also when their caller is killed in the middle.
 *
 * Two ways. Exhaustive: a process makes one call under a debugger's eye, instruction by instruction; after each one, a
 * copy of the shared memory is put in order as the next holder of the lock would do it, checked to the last block, and
 * must show the state before the call or the one after it, and the one after it from some moment on. Random: processes
 * hammer a dict and a list and are killed, two hundred times.
 */
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <papjuice/process.h>

#include "base/io.h"
#include "mp/object.h"

enum { SMALL = 64 << 10 };

/* Instrumented code has several times the instructions: less is looked at. */
#if defined(__SANITIZE_ADDRESS__)
#define INSTRUMENTED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define INSTRUMENTED 1
#endif
#endif
#ifndef INSTRUMENTED
#define INSTRUMENTED 0
#endif

static void ok(pj_status status)
{
	assert_int_equal(status, PJ_OK);
}

static pj_bytes text(const char *string)
{
	return pj_bytes_of(string);
}

/* ---- every instruction ---- */

static const char long_value[] = "a value that is too long for a cell";
static const char other_value[] = "another one, longer than a cell";

struct scene {
	const char *name;
	int prepare; /* entries that are there before */
	pj_status (*call)(pj_manager *manager, pj_dict dict, pj_list list);
};

static char *entry_name(char *name, int i)
{
	snprintf(name, 48, i % 2 ? "k%d" : "a key of some length %d", i);
	return name;
}

static pj_status set_new(pj_manager *manager, pj_dict dict, pj_list list)
{
	(void)manager, (void)list;
	return pj_dict_set(dict, text("a new key, long enough"), text(long_value), NULL);
}

static pj_status set_old(pj_manager *manager, pj_dict dict, pj_list list)
{
	(void)manager, (void)list;
	return pj_dict_set(dict, text("k1"), text(other_value), NULL);
}

static pj_status set_over_nested(pj_manager *manager, pj_dict dict, pj_list list)
{
	(void)manager, (void)list;
	return pj_dict_set(dict, text("nested"), text(other_value), NULL);
}

static pj_status add_number(pj_manager *manager, pj_dict dict, pj_list list)
{
	(void)manager, (void)list;
	return pj_dict_add_i64(dict, text("number"), 5, NULL, NULL);
}

static pj_status remove_key(pj_manager *manager, pj_dict dict, pj_list list)
{
	(void)manager, (void)list;
	return pj_dict_remove(dict, text("a key of some length 2"), NULL);
}

static pj_status remove_nested(pj_manager *manager, pj_dict dict, pj_list list)
{
	(void)manager, (void)list;
	return pj_dict_remove(dict, text("nested"), NULL);
}

static pj_status nest_list(pj_manager *manager, pj_dict dict, pj_list list)
{
	pj_list nested;
	(void)manager, (void)list;
	return pj_dict_list(dict, text("a new list to be made"), &nested, NULL);
}

static pj_status append_one(pj_manager *manager, pj_dict dict, pj_list list)
{
	(void)manager, (void)dict;
	return pj_list_append(list, text(other_value), NULL);
}

static pj_status extend_by_five(pj_manager *manager, pj_dict dict, pj_list list)
{
	const pj_bytes values[] = {text(other_value), text("short"), text(long_value), text(""), text(other_value)};
	(void)manager, (void)dict;
	return pj_list_extend(list, values, 5, NULL);
}

static pj_status replace_element(pj_manager *manager, pj_dict dict, pj_list list)
{
	(void)manager, (void)dict;
	return pj_list_set(list, 1, text(other_value), NULL);
}

static pj_status pop_element(pj_manager *manager, pj_dict dict, pj_list list)
{
	(void)manager, (void)dict;
	return pj_list_pop(list, NULL, NULL);
}

/* For full memory: does not fit, or fits after a sweep. */
static pj_status set_huge(pj_manager *manager, pj_dict dict, pj_list list)
{
	static char huge[4000];
	(void)manager, (void)list;
	return pj_dict_set(dict, text("huge"), (pj_bytes){huge, sizeof huge}, NULL);
}

/* All that can be seen of the two, as one number. */
static uint64_t digest_bytes(uint64_t digest, pj_bytes bytes)
{
	for (size_t i = 0; i < bytes.len; i++)
		digest = (digest ^ (unsigned char)bytes.ptr[i]) * UINT64_C(0x100000001b3);
	return (digest ^ bytes.len ^ 0x9e37) * UINT64_C(0x100000001b3);
}

static uint64_t digest_list(uint64_t digest, pj_list list)
{
	uint64_t cursor = 0;
	pj_bytes value;
	while (pj_list_walk(list, &cursor, &value))
		digest = digest_bytes(digest, value);
	return digest;
}

static uint64_t digest_dict(uint64_t digest, pj_dict dict)
{
	uint64_t cursor = 0;
	pj_item item;
	while (pj_dict_walk(dict, &cursor, &item)) {
		digest = digest_bytes(digest, item.key) + (uint64_t)item.kind;
		digest = digest_bytes(digest, item.value);
		if (item.kind == PJ_LIST)
			digest = digest_list(digest, item.list);
		else if (item.kind == PJ_DICT)
			digest = digest_dict(digest, item.dict);
	}
	return digest;
}

struct stage {
	pj_manager *manager, *copy;
	pj_dict dict;
	pj_list list;
	uint64_t highest; /* what lies above was never used */
};

/* What the next holder of the lock would find: the copy is put in order and checked. */
static uint64_t digest_after_death(struct stage *stage, uint64_t step)
{
	pj__region *copy = stage->copy->region;
	if (stage->manager->region->bump > stage->highest)
		stage->highest = stage->manager->region->bump;
	memcpy(copy, stage->manager->region, stage->highest);
	memset(&copy->mutex, 0, sizeof copy->mutex); /* its holder's death is the kernel's part */
	ok(pj__mutex_init(&copy->mutex, NULL));
	pj__rollback(copy);
	ok(pj__enter_region(stage->copy, NULL));
	pj__leave(stage->copy, PJ_OK); /* tidies up */
	const uint64_t roots[] = {stage->dict.offset, stage->list.offset};
	pj_error error;
	if (pj__manager_check(stage->copy, roots, 2, &error))
		fail_msg("instruction %llu: %s", (unsigned long long)step, error.what);
	pj_dict dict = stage->dict;
	pj_list list = stage->list;
	dict.manager = list.manager = stage->copy;
	return digest_list(digest_dict(1, dict), list);
}

static void prepare(struct stage *stage, int entries)
{
	char name[48];
	ok(pj_manager_create(SMALL, &stage->manager, NULL));
	ok(pj_manager_create(SMALL, &stage->copy, NULL));
	ok(pj_manager_dict(stage->manager, &stage->dict, NULL));
	ok(pj_manager_list(stage->manager, &stage->list, NULL));
	pj_dict nested, inner;
	pj_list inner_list;
	ok(pj_dict_dict(stage->dict, text("nested"), &nested, NULL));
	ok(pj_dict_dict(nested, text("a dict inside"), &inner, NULL));
	ok(pj_dict_list(nested, text("a list inside"), &inner_list, NULL));
	ok(pj_dict_set(inner, text("x"), text(long_value), NULL));
	ok(pj_list_append(inner_list, text(long_value), NULL));
	ok(pj_list_append(inner_list, text("short"), NULL));
	ok(pj_dict_list(inner, text("gone"), &inner_list, NULL));
	ok(pj_dict_remove(inner, text("gone"), NULL)); /* leaves a free object */
	for (int i = 0; i < entries; i++) {
		ok(pj_dict_set(stage->dict, text(entry_name(name, i)), text(long_value), NULL));
		ok(pj_list_append(stage->list, text(i % 2 ? long_value : "short"), NULL));
	}
}

/* Fills the memory, then frees most blocks: room, but in pieces. */
static void fragment(struct stage *stage)
{
	static const char filler[1000];
	char name[48];
	int i = 0;
	for (; i < 5000; i++) {
		snprintf(name, sizeof name, "filler number %d", i);
		if (pj_dict_set(stage->dict, text(name), (pj_bytes){filler, i % 2 ? 1000 : 500}, NULL))
			break;
	}
	while (pj_list_append(stage->list, (pj_bytes){filler, 30}, NULL) == PJ_OK)
		;
	for (int k = i - 1; k > 0; k -= k > i / 2 ? 1 : 2) {
		snprintf(name, sizeof name, "filler number %d", k);
		ok(pj_dict_remove(stage->dict, text(name), NULL));
	}
}

/* Fills the entries with removed ones, so that the next new key needs a compaction. */
static void litter(struct stage *stage)
{
	const pj__object *dict = pj__at(stage->manager->region, stage->dict.offset);
	while (dict->used < pj__dict_entries(dict->room) || dict->count * 2 > dict->used) {
		ok(pj_dict_set(stage->dict, text("comes"), text("goes"), NULL));
		ok(pj_dict_remove(stage->dict, text("comes"), NULL));
	}
}

static bool stopped_at_a_step(pid_t child, int *status)
{
	while (waitpid(child, status, 0) < 0)
		;
	return WIFSTOPPED(*status);
}

/* Follows the call, looking after each `stride`th instruction. Returns the number of instructions. */
static uint64_t follow(struct stage *stage, const struct scene *scene, uint64_t stride)
{
	const uint64_t before = digest_after_death(stage, 0);
	cpu_set_t all, one; /* on one processor the two take turns without waking each other up: five times as fast */
	sched_getaffinity(0, sizeof all, &all);
	CPU_ZERO(&one);
	CPU_SET((unsigned)sched_getcpu(), &one);
	sched_setaffinity(0, sizeof one, &one);
	const pid_t child = fork();
	if (child == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit((int)scene->call(stage->manager, stage->dict, stage->list));
	}
	int status;
	uint64_t steps = 0, changed_at = 0, now, after = before;
	while (stopped_at_a_step(child, &status)) {
		if (steps++ % stride == 0) {
			now = digest_after_death(stage, steps);
			if (now != after && changed_at)
				fail_msg("%s: a second change at instruction %llu", scene->name,
					 (unsigned long long)steps);
			if (now != after)
				changed_at = steps;
			after = now;
		}
		if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL)) {
			kill(child, SIGKILL);
			waitpid(child, &status, 0);
			return 0; /* not allowed here */
		}
	}
	sched_setaffinity(0, sizeof all, &all);
	assert_true(WIFEXITED(status));
	const uint64_t end = digest_after_death(stage, steps);
	if (WEXITSTATUS(status) == PJ_OK)
		assert_true(end != before && (end == after || stride > 1));
	else
		assert_true(end == before && after == before);
	return steps;
}

static void skip_without_ptrace(void)
{
	print_message("skip: a process cannot be traced here\n");
	skip();
}

static void killed_at_every_instruction(void **state)
{
	(void)state;
	static const struct scene scenes[] = {
		{"set a new key", 2, set_new},
		{"set a new key, the table grows", 4, set_new},
		{"set an old key", 4, set_old},
		{"set in the place of a dict", 4, set_over_nested},
		{"add to a number", 2, add_number},
		{"remove a key", 4, remove_key},
		{"remove a dict with content", 2, remove_nested},
		{"make a list", 3, nest_list},
		{"append", 3, append_one},
		{"append, the list grows", 4, append_one},
		{"extend", 4, extend_by_five},
		{"replace an element", 4, replace_element},
		{"pop", 4, pop_element},
	};
	for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i += INSTRUMENTED ? 3 : 1) {
		struct stage stage = {0};
		prepare(&stage, scenes[i].prepare);
		const uint64_t steps = follow(&stage, &scenes[i], INSTRUMENTED ? 7 : 1);
		pj_manager_destroy(stage.manager);
		pj_manager_destroy(stage.copy);
		if (!steps)
			skip_without_ptrace();
	}
}

/* The large works: memory swept up, a dict compacted in place. Not each of their many instructions is looked at. */
static void killed_in_large_works(void **state)
{
	(void)state;
	static const struct scene scenes[] = {
		{"set something huge, memory is swept up", 4, set_huge},
		{"set a new key, removed ones are taken out", 9, set_new},
		{"extend in full memory", 4, extend_by_five},
	};
	if (INSTRUMENTED) {
		print_message("skip: a sanitizer makes too many instructions of each\n");
		skip();
	}
	for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++) {
		struct stage stage = {0};
		prepare(&stage, scenes[i].prepare);
		if (i == 1)
			litter(&stage);
		else
			fragment(&stage);
		const uint64_t lists = stage.manager->region->lists;
		const uint64_t steps = follow(&stage, &scenes[i], i == 1 ? 1 : 7);
		if (i == 0 && steps)
			assert_int_not_equal(stage.manager->region->lists, lists); /* it was swept up */
		pj_manager_destroy(stage.manager);
		pj_manager_destroy(stage.copy);
		if (!steps)
			skip_without_ptrace();
	}
}

/* ---- two hundred kills ---- */

enum { WORKERS = 6, KILLS = 200, KEYS = 40 };

/* Written by the workers outside of the manager: how many calls began and were done, over all lives of a worker. */
struct tally {
	uint64_t adds_begun, adds_done, extends_begun, extends_done;
};

struct hammer {
	pj_manager *manager;
	pj_dict dict;
	pj_list list;
	struct tally *tally;
	unsigned seed;
};

/* Values have one byte over and over, and lists three equal elements in a row: a torn one would be seen. */
static int hammer(void *arg)
{
	const struct hammer *my = arg;
	unsigned seed = my->seed;
	char bytes[200], name[48];
	for (;;) {
		const pj_bytes key = text(entry_name(name, rand_r(&seed) % KEYS));
		memset(bytes, rand_r(&seed) % 256, sizeof bytes);
		const pj_bytes value = {bytes, (size_t)(rand_r(&seed) % (int)sizeof bytes)};
		const pj_bytes three[] = {value, value, value};
		pj_list nested;
		pj_dict dict;
		switch (rand_r(&seed) % 8) {
		case 0:
		case 1:
			(void)pj_dict_set(my->dict, key, value, NULL);
			break;
		case 2:
			(void)pj_dict_remove(my->dict, key, NULL);
			break;
		case 3:
			if (pj_dict_list(my->dict, key, &nested, NULL) == PJ_OK)
				(void)pj_list_extend(nested, three, 3, NULL);
			break;
		case 4:
			if (pj_dict_dict(my->dict, key, &dict, NULL) == PJ_OK)
				(void)pj_dict_set(dict, value, value, NULL);
			break;
		case 5:
			my->tally->extends_begun++;
			if (pj_list_extend(my->list, three, 3, NULL))
				my->tally->extends_begun--;
			else
				my->tally->extends_done++;
			break;
		default:
			my->tally->adds_begun++;
			if (pj_dict_add_i64(my->dict, text("count"), 1, NULL, NULL))
				return 1;
			my->tally->adds_done++;
		}
	}
}

static void same_bytes(pj_bytes value)
{
	for (size_t i = 1; i < value.len; i++)
		assert_int_equal(value.ptr[i], value.ptr[0]);
}

static void groups_of_three(pj_list list)
{
	pj_items *items;
	if (pj_list_items(list, &items, NULL))
		return; /* it was removed meanwhile */
	assert_int_equal(items->count % 3, 0);
	for (size_t i = 0; i < items->count; i++) {
		same_bytes(items->items[i].value);
		assert_true(pj_bytes_equal(items->items[i].value, items->items[i - i % 3].value));
	}
	pj_items_destroy(items);
}

/* Each value is whole, while the others work on. */
static void look_at_values(const struct hammer *my)
{
	pj_items *items;
	ok(pj_dict_items(my->dict, &items, NULL));
	for (size_t i = 0; i < items->count; i++) {
		const pj_item *item = &items->items[i];
		if (item->kind == PJ_LIST)
			groups_of_three(item->list);
		else if (item->kind == PJ_BYTES && !pj_bytes_equal(item->key, text("count")))
			same_bytes(item->value);
	}
	pj_items_destroy(items);
	groups_of_three(my->list);
}

static void check_now(const struct hammer *my)
{
	const uint64_t roots[] = {my->dict.offset, my->list.offset};
	pj_error error;
	if (pj__manager_check(my->manager, roots, 2, &error))
		fail_msg("%s", error.what);
}

static void two_hundred_kills(void **state)
{
	(void)state;
	struct hammer my[WORKERS] = {{.seed = 0}};
	pj_process *workers[WORKERS];
	void *tallies;
	ok(pj__map_shared(WORKERS * sizeof(struct tally), &tallies, NULL));
	ok(pj_manager_create(8 << 20, &my[0].manager, NULL));
	ok(pj_manager_dict(my[0].manager, &my[0].dict, NULL));
	ok(pj_manager_list(my[0].manager, &my[0].list, NULL));
	unsigned seed = 7;
	for (int i = 0; i < WORKERS; i++) {
		my[i] = my[0];
		my[i].tally = (struct tally *)tallies + i;
		my[i].seed = (unsigned)rand_r(&seed);
		ok(pj_process_start(hammer, &my[i], &workers[i], NULL));
	}
	for (int kills = 0; kills < KILLS; kills++) {
		const int i = rand_r(&seed) % WORKERS;
		usleep((unsigned)(rand_r(&seed) % 3000));
		pj_process_kill(workers[i]);
		pj_ending ending;
		ok(pj_process_join(workers[i], &ending, NULL));
		assert_int_equal(ending.signal, SIGKILL);
		pj_process_destroy(workers[i]);
		my[i].seed = (unsigned)rand_r(&seed);
		ok(pj_process_start(hammer, &my[i], &workers[i], NULL));
		if (kills % 20 == 0) {
			check_now(my);
			look_at_values(my);
		}
	}
	for (int i = 0; i < WORKERS; i++)
		pj_process_destroy(workers[i]);
	check_now(my);
	look_at_values(my);
	struct tally all = {0};
	for (int i = 0; i < WORKERS; i++) {
		all.adds_begun += my[i].tally->adds_begun;
		all.adds_done += my[i].tally->adds_done;
		all.extends_begun += my[i].tally->extends_begun;
		all.extends_done += my[i].tally->extends_done;
	}
	int64_t adds;
	size_t elements;
	ok(pj_dict_get_i64(my[0].dict, text("count"), &adds, NULL));
	ok(pj_list_count(my[0].list, &elements, NULL));
	assert_in_range(adds, all.adds_done, all.adds_begun);
	assert_in_range(elements / 3, all.extends_done, all.extends_begun);
	assert_true(pj_manager_deaths(my[0].manager) > 0); /* some died inside a call, or this showed nothing */
	pj_manager_destroy(my[0].manager);
	munmap(tallies, WORKERS * sizeof(struct tally));
}

int main(void)
{
	alarm(110); /* a busy machine takes its time over each of the many steps */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_at_every_instruction),
		cmocka_unit_test(killed_in_large_works),
		cmocka_unit_test(two_hundred_kills),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
