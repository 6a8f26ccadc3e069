/*
 * schedule.c: see schedule.h.
 */
#include "job/schedule.h"

#include <assert.h>
#include <stdlib.h>

#include "base/grow.h"

pj_status pj__schedule_init(pj__schedule *schedule, unsigned slots, size_t tasks, pj_error *error)
{
	*schedule = (pj__schedule){.slot_count = slots};
	schedule->slots = calloc(slots, sizeof *schedule->slots);
	if (!schedule->slots)
		return pj__no_memory(error, slots * sizeof *schedule->slots);
	for (unsigned i = 0; i < slots; i++)
		schedule->slots[i].running = -1;
	return pj__schedule_add(schedule, tasks, error);
}

void pj__schedule_fini(pj__schedule *schedule)
{
	for (unsigned i = 0; i < schedule->slot_count && schedule->slots; i++)
		free(schedule->slots[i].held);
	free(schedule->slots);
	free(schedule->tasks);
	*schedule = (pj__schedule){0};
}

pj_status pj__schedule_add(pj__schedule *schedule, size_t tasks, pj_error *error)
{
	const size_t count = schedule->count + tasks;
	const pj_status status = pj__grow(&schedule->tasks, &schedule->capacity, count, sizeof *schedule->tasks, error);
	if (status)
		return status;
	for (size_t i = schedule->count; i < count; i++)
		schedule->tasks[i] = (pj__task_entry){.state = PJ__TASK_WAITING};
	schedule->count = count;
	return PJ_OK;
}

int64_t pj__schedule_peek(pj__schedule *schedule)
{
	while (schedule->next < schedule->count && schedule->tasks[schedule->next].state != PJ__TASK_WAITING)
		schedule->next++;
	return schedule->next < schedule->count ? (int64_t)schedule->next : -1;
}

int64_t pj__schedule_take(pj__schedule *schedule, unsigned slot, bool *ret_alone)
{
	assert(schedule->slots[slot].running < 0);
	const int64_t task = pj__schedule_peek(schedule);
	if (task < 0)
		return -1;
	pj__task_entry *entry = &schedule->tasks[task];
	entry->state = PJ__TASK_RUNNING;
	entry->slot = (uint16_t)slot;
	*ret_alone = entry->alone;
	schedule->slots[slot].running = task;
	schedule->attempts++;
	return task;
}

pj_status pj__schedule_hold(pj__schedule *schedule, unsigned slot, pj_error *error)
{
	pj__slot_entry *entry = &schedule->slots[slot];
	if (entry->running < 0)
		return pj__fail(error, PJ_ERR_INTERNAL, 0, NULL, "a worker finished a task that it did not have");
	const pj_status status = pj__grow(&entry->held, &entry->capacity, entry->count + 1, sizeof *entry->held, error);
	if (status)
		return status;
	entry->held[entry->count++] = (uint32_t)entry->running;
	schedule->tasks[entry->running].state = PJ__TASK_HELD;
	entry->running = -1;
	return PJ_OK;
}

static void finish(pj__schedule *schedule, uint32_t task)
{
	assert(schedule->tasks[task].state == PJ__TASK_HELD);
	schedule->tasks[task].state = PJ__TASK_DONE;
	schedule->done++;
}

void pj__schedule_publish(pj__schedule *schedule, unsigned slot)
{
	pj__slot_entry *entry = &schedule->slots[slot];
	for (size_t i = 0; i < entry->count; i++)
		finish(schedule, entry->held[i]);
	entry->count = 0;
}

void pj__schedule_publish_one(pj__schedule *schedule, unsigned slot, size_t task)
{
	pj__slot_entry *entry = &schedule->slots[slot];
	for (size_t i = 0; i < entry->count; i++) {
		if (entry->held[i] != task)
			continue;
		finish(schedule, entry->held[i]);
		entry->held[i] = entry->held[--entry->count];
		return;
	}
}

static void wait_again(pj__schedule *schedule, size_t task)
{
	pj__task_entry *entry = &schedule->tasks[task];
	entry->state = PJ__TASK_WAITING;
	entry->alone = true;
	if (task < schedule->next)
		schedule->next = task;
}

int64_t pj__schedule_lose(pj__schedule *schedule, unsigned slot, bool refused)
{
	pj__slot_entry *entry = &schedule->slots[slot];
	const int64_t running = entry->running;
	for (size_t i = 0; i < entry->count; i++)
		wait_again(schedule, entry->held[i]);
	if (running >= 0) {
		wait_again(schedule, (size_t)running);
		if (refused)
			schedule->tasks[running].refusals++;
		else
			schedule->tasks[running].crashes++;
	}
	entry->count = 0;
	entry->running = -1;
	return running;
}
