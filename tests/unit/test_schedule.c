/*
 * test_schedule.c: whatever happens to the workers, each task is done exactly once and none is lost.
 */
#include "testing.h"

#include "job/schedule.h"

enum { SLOTS_MOST = 9 };

/* What the schedule should believe, kept the plain way: for each task, its state and its slot. */
struct model {
	pj__schedule schedule;
	struct {
		pj__task_state state;
		unsigned slot, crashes, refusals;
		bool lost;
	} tasks[300];
	size_t count, done;
	uint64_t taken;
};

static void check(struct model *model)
{
	pj__schedule *schedule = &model->schedule;
	int64_t first = -1;
	size_t held[SLOTS_MOST] = {0};
	assert_int_equal(schedule->count, model->count);
	assert_int_equal(schedule->done, model->done);
	assert_int_equal(schedule->attempts, model->taken);
	assert_int_equal(pj__schedule_finished(schedule), model->done == model->count);
	for (size_t t = 0; t < model->count; t++) {
		const pj__task_entry *entry = &schedule->tasks[t];
		assert_int_equal(entry->state, model->tasks[t].state);
		assert_int_equal(entry->crashes, model->tasks[t].crashes);
		assert_int_equal(entry->refusals, model->tasks[t].refusals);
		assert_int_equal(entry->alone, model->tasks[t].lost);
		if (entry->state == PJ__TASK_WAITING && first < 0)
			first = (int64_t)t;
		held[model->tasks[t].slot] += entry->state == PJ__TASK_HELD;
	}
	for (unsigned s = 0; s < schedule->slot_count; s++)
		assert_int_equal(schedule->slots[s].count, held[s]);
	assert_int_equal(pj__schedule_peek(schedule), first);
}

static void take(struct model *model, unsigned slot)
{
	bool alone = false;
	if (model->schedule.slots[slot].running >= 0)
		return;
	const int64_t expected = pj__schedule_peek(&model->schedule);
	const int64_t task = pj__schedule_take(&model->schedule, slot, &alone);
	assert_int_equal(task, expected);
	if (task < 0)
		return;
	assert_int_equal(model->tasks[task].state, PJ__TASK_WAITING);
	assert_int_equal(alone, model->tasks[task].lost);
	model->tasks[task].state = PJ__TASK_RUNNING;
	model->tasks[task].slot = slot;
	model->taken++;
}

static void hold(struct model *model, unsigned slot)
{
	const int64_t task = model->schedule.slots[slot].running;
	pj_error error;
	if (task < 0) {
		assert_fails(pj__schedule_hold(&model->schedule, slot, &error), PJ_ERR_INTERNAL, error);
		return;
	}
	assert_good(pj__schedule_hold(&model->schedule, slot, &error), error);
	model->tasks[task].state = PJ__TASK_HELD;
}

/* Publishes all that the slot holds, or the one task. */
static void publish(struct model *model, unsigned slot, int64_t one)
{
	if (one >= 0)
		pj__schedule_publish_one(&model->schedule, slot, (size_t)one);
	else
		pj__schedule_publish(&model->schedule, slot);
	for (size_t t = 0; t < model->count; t++) {
		if (model->tasks[t].state != PJ__TASK_HELD || model->tasks[t].slot != slot ||
		    (one >= 0 && (size_t)one != t))
			continue;
		model->tasks[t].state = PJ__TASK_DONE;
		model->done++;
	}
}

static void lose(struct model *model, unsigned slot, bool refused)
{
	const int64_t running = model->schedule.slots[slot].running;
	assert_int_equal(pj__schedule_lose(&model->schedule, slot, refused), running);
	for (size_t t = 0; t < model->count; t++) {
		if (model->tasks[t].slot != slot ||
		    (model->tasks[t].state != PJ__TASK_HELD && model->tasks[t].state != PJ__TASK_RUNNING))
			continue;
		if ((int64_t)t == running && refused)
			model->tasks[t].refusals++;
		else if ((int64_t)t == running)
			model->tasks[t].crashes++;
		model->tasks[t].state = PJ__TASK_WAITING;
		model->tasks[t].lost = true;
	}
}

static void step(struct model *model, uint64_t *random)
{
	const unsigned slot = (unsigned)random_below(random, model->schedule.slot_count);
	switch (random_below(random, 12)) {
	case 0:
		lose(model, slot, random_below(random, 2));
		break;
	case 1:
		publish(model, slot, -1);
		break;
	case 2: /* one task, of this slot, of another or of none */
	case 3:
		if (model->count)
			publish(model, slot, (int64_t)random_below(random, model->count));
		break;
	case 4:
		if (model->count < 280 && random_below(random, 4) == 0) {
			const size_t more = random_below(random, 20);
			pj_error error;
			assert_good(pj__schedule_add(&model->schedule, more, &error), error);
			model->count += more;
		}
		break;
	case 5:
	case 6:
	case 7:
		hold(model, slot);
		break;
	default:
		take(model, slot);
		break;
	}
}

/* Nothing goes wrong any more: now all must come to an end. */
static void finish(struct model *model)
{
	for (size_t rounds = 0; !pj__schedule_finished(&model->schedule); rounds++) {
		assert_true(rounds <= model->count + 1);
		for (unsigned slot = 0; slot < model->schedule.slot_count; slot++) {
			take(model, slot);
			if (model->schedule.slots[slot].running >= 0)
				hold(model, slot);
			publish(model, slot, -1);
		}
	}
}

static void tens_of_thousands_of_lives(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 10000; seed++) {
		uint64_t random = seed;
		struct model model = {.count = random_below(&random, seed % 50 ? 12 : 200)};
		const unsigned slots = 1 + (unsigned)random_below(&random, SLOTS_MOST);
		pj_error error;
		assert_good(pj__schedule_init(&model.schedule, slots, model.count, &error), error);
		const size_t steps = random_below(&random, 150);
		for (size_t i = 0; i < steps; i++) {
			step(&model, &random);
			if (i % 8 == 0)
				check(&model);
		}
		check(&model);
		finish(&model);
		check(&model);
		for (size_t t = 0; t < model.count; t++)
			assert_int_equal(model.tasks[t].state, PJ__TASK_DONE);
		pj__schedule_fini(&model.schedule);
	}
}

static void the_first_waiting_task_comes_first(void **state)
{
	(void)state;
	pj__schedule schedule;
	pj_error error;
	bool alone;
	assert_good(pj__schedule_init(&schedule, 2, 5, &error), error);
	for (int64_t t = 0; t < 3; t++) {
		assert_int_equal(pj__schedule_take(&schedule, 0, &alone), t);
		assert_false(alone);
		assert_good(pj__schedule_hold(&schedule, 0, &error), error);
	}
	assert_int_equal(pj__schedule_take(&schedule, 1, &alone), 3);
	assert_int_equal(pj__schedule_lose(&schedule, 0, false), -1); /* it ran none: nobody is charged */
	for (int64_t t = 0; t < 3; t++)
		assert_int_equal(schedule.tasks[t].crashes + schedule.tasks[t].refusals, 0);
	assert_int_equal(pj__schedule_take(&schedule, 0, &alone), 0); /* before 4, which never ran */
	assert_true(alone);
	assert_int_equal(pj__schedule_lose(&schedule, 0, true), 0);
	assert_int_equal(schedule.tasks[0].refusals, 1);
	pj__schedule_fini(&schedule);
}

static void no_tasks_are_done_at_once(void **state)
{
	(void)state;
	pj__schedule schedule;
	pj_error error;
	bool alone;
	assert_good(pj__schedule_init(&schedule, 3, 0, &error), error);
	assert_true(pj__schedule_finished(&schedule));
	assert_int_equal(pj__schedule_take(&schedule, 2, &alone), -1);
	assert_int_equal(pj__schedule_lose(&schedule, 2, false), -1);
	pj__schedule_fini(&schedule);
	assert_fails(pj__schedule_init(&schedule, 3, SIZE_MAX / 64, &error), PJ_ERR_MEMORY, error);
	pj__schedule_fini(&schedule);
}

int main(void)
{
	alarm(60);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tens_of_thousands_of_lives),
		cmocka_unit_test(the_first_waiting_task_comes_first),
		cmocka_unit_test(no_tasks_are_done_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
