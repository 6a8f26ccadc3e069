/*
 * test_schedule.c: whatever happens to the workers, each task is published exactly once, none is lost, no worker is
 * forgotten, and it always ends.
 *
 * A hundred thousand small runs against a simulated clock: workers take tasks and finish, publish, die, are killed for
 * lack of memory or fail when their time has come. How long a thing takes, and what goes wrong, follows from a seed,
 * which a failure prints; $PAPJUICE_SEED repeats it alone.
 */
#include "testing.h"

#include "mp/schedule.h"

enum { SLOTS_MOST = 9, TASKS_MOST = 40, NO_TASK = TASKS_MOST, SEEDS = 100000 };

/* A worker that the simulation has: at work until a moment, or idle. */
struct worker {
	bool alive, busy, publishes;
	uint64_t until;
	int64_t task;
	size_t held[TASKS_MOST], count;
};

struct simulation {
	uint64_t seed, random, now;
	pj__schedule schedule;
	struct worker workers[SLOTS_MOST];
	unsigned slots;
	size_t task_count;
	unsigned published[TASKS_MOST], crashes[TASKS_MOST], refusals[TASKS_MOST];
	bool starved[TASKS_MOST];
	unsigned lost[TASKS_MOST];
	unsigned fault_percent;
	size_t poisoned; /* a task that always fails; NO_TASK: none does */
	pj__loss poison;
	bool combines; /* tasks are held, and published together; else one by one */
	bool doomed;
	size_t doomed_task;
	size_t steps;
};

#define CHECK(simulation, condition)                                                                                   \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			print_error("PAPJUICE_SEED=%llu\n", (unsigned long long)(simulation)->seed);                   \
			assert_true(condition);                                                                        \
		}                                                                                                      \
	} while (0)

static bool happens(struct simulation *sim, unsigned percent)
{
	return random_below(&sim->random, 100) < percent;
}

static void publish_one(struct simulation *sim, size_t task)
{
	sim->published[task]++;
	CHECK(sim, sim->published[task] == 1);
	CHECK(sim, sim->schedule.tasks[task].state == PJ__TASK_DONE);
}

/* What the slot holds is published, together or in some order. */
static void publish(struct simulation *sim, unsigned slot)
{
	struct worker *worker = &sim->workers[slot];
	const size_t first = worker->count ? random_below(&sim->random, worker->count) : 0;
	if (sim->combines)
		pj__schedule_publish(&sim->schedule, slot);
	for (size_t i = 0; i < worker->count; i++) {
		const size_t task = worker->held[(first + i) % worker->count];
		if (!sim->combines)
			pj__schedule_publish_one(&sim->schedule, slot, task);
		publish_one(sim, task);
	}
	worker->count = 0;
}

#define SHIFT(array, at, count) memmove((array) + (at) + 1, (array) + (at), ((count) - (at)) * sizeof *(array))

/* A task comes in at a place: all that the simulation knows of later ones moves on. */
static void insert(struct simulation *sim, size_t at)
{
	const size_t count = sim->task_count++;
	pj_error error;
	assert_good(pj__schedule_insert(&sim->schedule, at, &error), error);
	SHIFT(sim->published, at, count);
	SHIFT(sim->crashes, at, count);
	SHIFT(sim->refusals, at, count);
	SHIFT(sim->starved, at, count);
	SHIFT(sim->lost, at, count);
	sim->published[at] = sim->crashes[at] = sim->refusals[at] = sim->lost[at] = 0;
	sim->starved[at] = false;
	sim->poisoned += sim->poisoned < NO_TASK && sim->poisoned >= at;
	sim->doomed_task += sim->doomed && sim->doomed_task >= at;
	for (unsigned i = 0; i < sim->slots; i++) {
		struct worker *worker = &sim->workers[i];
		worker->task += worker->task >= (int64_t)at;
		for (size_t k = 0; k < worker->count; k++)
			worker->held[k] += worker->held[k] >= at;
	}
}

/* A lost task was more than one thing: what stood before or after the suspect one becomes a task of its own. */
static void divide(struct simulation *sim, size_t task)
{
	if (sim->task_count + 2 > TASKS_MOST || (sim->doomed && task >= sim->doomed_task))
		return;
	if (happens(sim, 50))
		insert(sim, task + 1);
	if (happens(sim, 50))
		insert(sim, task);
}

/* The worker is gone; the task that it ran is charged, those that it held are not. */
static void lose(struct simulation *sim, unsigned slot, pj__loss loss)
{
	struct worker *worker = &sim->workers[slot];
	const int64_t running = worker->busy && !worker->publishes ? worker->task : -1;
	CHECK(sim, pj__schedule_lose(&sim->schedule, slot, loss) == running);
	for (size_t i = 0; i < worker->count; i++)
		sim->lost[worker->held[i]]++;
	*worker = (struct worker){.alive = false};
	if (running < 0)
		return;
	sim->lost[running] += 2;
	sim->refusals[running] += loss == PJ__LOSS_CODE;
	sim->crashes[running] += loss != PJ__LOSS_CODE;
	sim->starved[running] |= loss == PJ__LOSS_MEMORY;
	const bool hopeless = pj__schedule_is_hopeless(&sim->schedule, (size_t)running);
	CHECK(sim, hopeless == (sim->crashes[running] >= sim->schedule.tries.system ||
				sim->refusals[running] >= sim->schedule.tries.code));
	if (hopeless && happens(sim, 30) && running != (int64_t)sim->poisoned) {
		/* as if its bad record had been found */
		pj__schedule_forgive(&sim->schedule, (size_t)running);
		sim->crashes[running] = sim->refusals[running] = 0;
		sim->starved[running] = false;
	} else if (hopeless) {
		const bool first = !sim->doomed || (size_t)running < sim->doomed_task;
		CHECK(sim, pj__schedule_give_up(&sim->schedule, (size_t)running) == first);
		sim->doomed_task = first ? (size_t)running : sim->doomed_task;
		sim->doomed = true;
	}
	if (!hopeless && happens(sim, 30))
		divide(sim, (size_t)running);
}

/* The moment of a worker has come. */
static void end_work(struct simulation *sim, unsigned slot)
{
	struct worker *worker = &sim->workers[slot];
	pj_error error;
	if (!worker->publishes && worker->task == (int64_t)sim->poisoned) {
		lose(sim, slot, sim->poison);
	} else if (happens(sim, sim->fault_percent)) {
		lose(sim, slot, (pj__loss)random_below(&sim->random, 3));
	} else if (worker->publishes) {
		publish(sim, slot);
		worker->busy = worker->publishes = false;
	} else {
		assert_good(pj__schedule_hold(&sim->schedule, slot, &error), error);
		worker->held[worker->count++] = (size_t)worker->task;
		worker->busy = false;
		if (!sim->combines || sim->lost[worker->task] > 1 || happens(sim, 10))
			publish(sim, slot);
	}
}

static bool others_run(const struct simulation *sim, unsigned slot)
{
	for (unsigned i = 0; i < sim->slots; i++)
		if (i != slot && sim->workers[i].busy && !sim->workers[i].publishes)
			return true;
	return false;
}

/* An idle worker gets the next task, or publishes when there is none. A dead one is replaced when there is one. */
static void give_work(struct simulation *sim, unsigned slot)
{
	struct worker *worker = &sim->workers[slot];
	const int64_t next = pj__schedule_peek(&sim->schedule);
	if (next < 0 && (!worker->alive || !worker->count))
		return;
	worker->alive = worker->busy = true;
	worker->publishes = next < 0;
	worker->until = sim->now + 1 + random_below(&sim->random, 20);
	if (next < 0)
		return;
	CHECK(sim, !sim->doomed || (size_t)next < sim->doomed_task);
	CHECK(sim, !sim->published[next]);
	CHECK(sim, pj__schedule_take(&sim->schedule, slot) == next);
	CHECK(sim, sim->schedule.tasks[next].alone == (sim->lost[next] > 1));
	worker->task = next;
	/* the last time after a lack of memory nothing may run beside it */
	const bool alone = sim->starved[next] && sim->crashes[next] + 1 >= sim->schedule.tries.system;
	CHECK(sim, sim->schedule.solitary == alone && (!alone || !others_run(sim, slot)));
}

static uint64_t next_moment(const struct simulation *sim)
{
	uint64_t moment = UINT64_MAX;
	for (unsigned i = 0; i < sim->slots; i++)
		if (sim->workers[i].busy && sim->workers[i].until < moment)
			moment = sim->workers[i].until;
	return moment;
}

static void simulate(struct simulation *sim)
{
	while (!pj__schedule_finished(&sim->schedule)) {
		for (unsigned i = 0; i < sim->slots; i++)
			if (!sim->workers[i].busy)
				give_work(sim, i);
		sim->now = next_moment(sim);
		CHECK(sim, sim->now != UINT64_MAX); /* nobody works, and it is not the end */
		CHECK(sim, ++sim->steps < 100000);
		for (unsigned i = 0; i < sim->slots; i++)
			if (sim->workers[i].busy && sim->workers[i].until == sim->now)
				end_work(sim, i);
	}
}

/* At the end all is published; or what stands before the task that was given up. */
static void check_end(const struct simulation *sim)
{
	const size_t end = sim->doomed ? sim->doomed_task : sim->task_count;
	CHECK(sim, !sim->doomed || sim->schedule.end == end);
	CHECK(sim, sim->doomed || sim->schedule.done == sim->task_count);
	CHECK(sim, sim->poisoned >= sim->task_count || (sim->doomed && sim->doomed_task <= sim->poisoned));
	for (size_t t = 0; t < end; t++)
		CHECK(sim, sim->published[t] == 1);
	unsigned running = 0;
	for (unsigned i = 0; i < sim->slots; i++) {
		const pj__slot_entry *slot = &sim->schedule.slots[i];
		const bool runs = sim->workers[i].busy && !sim->workers[i].publishes;
		running += slot->running >= 0;
		CHECK(sim, runs == (slot->running >= 0) && slot->count == sim->workers[i].count);
	}
	CHECK(sim, sim->schedule.running == running);
}

static void run_seed(uint64_t seed)
{
	struct simulation sim = {.seed = seed, .random = seed};
	pj_error error;
	sim.task_count = random_below(&sim.random, happens(&sim, 90) ? 12 : TASKS_MOST + 1);
	sim.slots = 1 + (unsigned)random_below(&sim.random, SLOTS_MOST);
	sim.fault_percent = (unsigned)random_below(&sim.random, 40);
	sim.combines = happens(&sim, 50);
	sim.poisoned = happens(&sim, 20) && sim.task_count ? random_below(&sim.random, sim.task_count) : NO_TASK;
	sim.poison = (pj__loss)random_below(&sim.random, 3);
	const pj__tries tries = {.system = 1 + (unsigned)random_below(&sim.random, 6),
				 .code = 1 + (unsigned)random_below(&sim.random, 3)};
	const size_t at_first = random_below(&sim.random, sim.task_count + 1);
	assert_good(pj__schedule_init(&sim.schedule, sim.slots, at_first, tries, &error), error);
	assert_good(pj__schedule_add(&sim.schedule, sim.task_count - at_first, &error), error);
	simulate(&sim);
	check_end(&sim);
	pj__schedule_fini(&sim.schedule);
}

static void a_hundred_thousand_seeds(void **state)
{
	(void)state;
	const char *one = getenv("PAPJUICE_SEED");
	if (one)
		run_seed(strtoull(one, NULL, 10));
	for (uint64_t seed = 0; seed < SEEDS && !one; seed++)
		run_seed(seed);
}

static const pj__tries usual = {.system = 4, .code = 2};

static void the_first_waiting_task_comes_first(void **state)
{
	(void)state;
	pj__schedule schedule;
	pj_error error;
	assert_good(pj__schedule_init(&schedule, 2, 5, usual, &error), error);
	for (int64_t t = 0; t < 3; t++) {
		assert_int_equal(pj__schedule_take(&schedule, 0), t);
		assert_false(schedule.tasks[t].alone);
		assert_good(pj__schedule_hold(&schedule, 0, &error), error);
	}
	assert_int_equal(pj__schedule_take(&schedule, 1), 3);
	assert_int_equal(pj__schedule_lose(&schedule, 0, PJ__LOSS_SYSTEM), -1); /* it ran none: nobody is charged */
	for (int64_t t = 0; t < 3; t++)
		assert_false(schedule.tasks[t].suspect);
	assert_int_equal(pj__schedule_take(&schedule, 0), 0); /* before 4, which never ran */
	assert_false(schedule.tasks[0].alone);
	assert_int_equal(pj__schedule_lose(&schedule, 0, PJ__LOSS_CODE), 0);
	assert_int_equal(schedule.tasks[0].refusals, 1);
	assert_true(schedule.tasks[0].suspect && schedule.tasks[0].alone);
	assert_fails(pj__schedule_hold(&schedule, 0, &error), PJ_ERR_INTERNAL, error);
	pj__schedule_fini(&schedule);
}

static void the_last_time_for_lack_of_memory_is_solitary(void **state)
{
	(void)state;
	pj__schedule schedule;
	pj_error error;
	assert_good(pj__schedule_init(&schedule, 3, 4, (pj__tries){.system = 2, .code = 2}, &error), error);
	assert_int_equal(pj__schedule_take(&schedule, 0), 0);
	assert_int_equal(pj__schedule_take(&schedule, 1), 1);
	assert_int_equal(pj__schedule_lose(&schedule, 0, PJ__LOSS_MEMORY), 0);
	assert_int_equal(pj__schedule_peek(&schedule), -1); /* 1 runs */
	assert_good(pj__schedule_hold(&schedule, 1, &error), error);
	assert_int_equal(pj__schedule_take(&schedule, 2), 0);
	assert_int_equal(pj__schedule_peek(&schedule), -1); /* 0 runs, and is not to be disturbed */
	assert_good(pj__schedule_hold(&schedule, 2, &error), error);
	assert_int_equal(pj__schedule_take(&schedule, 0), 2);
	pj__schedule_fini(&schedule);
}

static void no_tasks_are_done_at_once(void **state)
{
	(void)state;
	pj__schedule schedule;
	pj_error error;
	assert_good(pj__schedule_init(&schedule, 3, 0, usual, &error), error);
	assert_true(pj__schedule_finished(&schedule));
	assert_int_equal(pj__schedule_take(&schedule, 2), -1);
	assert_int_equal(pj__schedule_lose(&schedule, 2, PJ__LOSS_SYSTEM), -1);
	pj__schedule_fini(&schedule);
	assert_fails(pj__schedule_init(&schedule, 3, SIZE_MAX / 64, usual, &error), PJ_ERR_MEMORY, error);
	pj__schedule_fini(&schedule);
}

int main(void)
{
	alarm(60);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hundred_thousand_seeds),
		cmocka_unit_test(the_first_waiting_task_comes_first),
		cmocka_unit_test(the_last_time_for_lack_of_memory_is_solitary),
		cmocka_unit_test(no_tasks_are_done_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
