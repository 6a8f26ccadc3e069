/*
 * schedule.c: see schedule.h.
 */
#include "mp/schedule.h"

#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/verify.h"

pj_status pj__schedule_init(pj__schedule *schedule, unsigned slots, size_t tasks, pj__tries tries, pj_error *error)
{
	*schedule = (pj__schedule){.slot_count = slots, .tries = tries, .end = SIZE_MAX};
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

static void shift(pj__schedule *schedule, size_t from, size_t by)
{
	for (unsigned i = 0; i < schedule->slot_count; i++) {
		pj__slot_entry *slot = &schedule->slots[i];
		if (slot->running >= (int64_t)from)
			slot->running += (int64_t)by;
		for (size_t k = 0; k < slot->count; k++)
			if (slot->held[k] >= from)
				slot->held[k] += (uint32_t)by;
	}
	if (schedule->end != SIZE_MAX && schedule->end >= from)
		schedule->end += by;
}

pj_status pj__schedule_insert(pj__schedule *schedule, size_t at, pj_error *error)
{
	PJ_VERIFY(at >= schedule->settled && at <= schedule->count);
	const size_t after = schedule->count - at;
	const pj_status status = pj__schedule_add(schedule, 1, error);
	if (status)
		return status;
	pj__task_entry *entry = &schedule->tasks[at];
	memmove(entry + 1, entry, after * sizeof *entry);
	*entry = (pj__task_entry){.state = PJ__TASK_WAITING};
	shift(schedule, at, 1);
	schedule->next = at < schedule->next ? at : schedule->next;
	return PJ_OK;
}

/* Was lack of memory the reason, and is this the last time that the task is tried? */
static bool wants_solitude(const pj__schedule *schedule, const pj__task_entry *entry)
{
	return entry->starved && entry->crashes + 1u >= schedule->tries.system;
}

int64_t pj__schedule_peek(pj__schedule *schedule)
{
	while (schedule->next < schedule->count && schedule->tasks[schedule->next].state != PJ__TASK_WAITING)
		schedule->next++;
	const size_t task = schedule->next;
	if (task >= schedule->count || task >= schedule->end || schedule->solitary ||
	    (schedule->running && wants_solitude(schedule, &schedule->tasks[task])))
		return -1;
	return (int64_t)task;
}

int64_t pj__schedule_take(pj__schedule *schedule, unsigned slot)
{
	PJ_VERIFY(schedule->slots[slot].running < 0);
	const int64_t task = pj__schedule_peek(schedule);
	if (task < 0)
		return -1;
	pj__task_entry *entry = &schedule->tasks[task];
	entry->state = PJ__TASK_RUNNING;
	entry->slot = (uint16_t)slot;
	schedule->solitary = wants_solitude(schedule, entry);
	schedule->slots[slot].running = task;
	schedule->running++;
	schedule->attempts++;
	return task;
}

/* The slot's task runs no more. */
static void stop_running(pj__schedule *schedule, unsigned slot)
{
	schedule->slots[slot].running = -1;
	schedule->running--;
	schedule->solitary = false; /* it was the only one */
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
	stop_running(schedule, slot);
	return PJ_OK;
}

static void finish(pj__schedule *schedule, uint32_t task)
{
	PJ_VERIFY(schedule->tasks[task].state == PJ__TASK_HELD);
	schedule->tasks[task].state = PJ__TASK_DONE;
	schedule->done++;
	while (schedule->settled < schedule->count && schedule->tasks[schedule->settled].state == PJ__TASK_DONE)
		schedule->settled++;
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
	entry->alone |= entry->lost;
	entry->lost = true;
	if (task < schedule->next)
		schedule->next = task;
}

static void charge(pj__task_entry *entry, pj__loss loss)
{
	uint16_t *count = loss == PJ__LOSS_CODE ? &entry->refusals : &entry->crashes;
	*count += *count < UINT16_MAX;
	entry->suspect = entry->alone = true;
	entry->starved |= loss == PJ__LOSS_MEMORY;
}

int64_t pj__schedule_lose(pj__schedule *schedule, unsigned slot, pj__loss loss)
{
	pj__slot_entry *entry = &schedule->slots[slot];
	const int64_t running = entry->running;
	for (size_t i = 0; i < entry->count; i++)
		wait_again(schedule, entry->held[i]);
	entry->count = 0;
	if (running < 0)
		return -1;
	wait_again(schedule, (size_t)running);
	charge(&schedule->tasks[running], loss);
	stop_running(schedule, slot);
	return running;
}

void pj__schedule_forgive(pj__schedule *schedule, size_t task)
{
	pj__task_entry *entry = &schedule->tasks[task];
	entry->crashes = entry->refusals = 0;
	entry->starved = false;
}

bool pj__schedule_is_careful(const pj__schedule *schedule, size_t task)
{
	const pj__task_entry *entry = &schedule->tasks[task];
	return entry->suspect && (schedule->tries.careful || entry->refusals || entry->crashes > 1 ||
				  entry->crashes + 1u >= schedule->tries.system);
}

bool pj__schedule_is_hopeless(const pj__schedule *schedule, size_t task)
{
	const pj__task_entry *entry = &schedule->tasks[task];
	return entry->crashes >= schedule->tries.system || entry->refusals >= schedule->tries.code;
}

bool pj__schedule_give_up(pj__schedule *schedule, size_t task)
{
	if (task >= schedule->end)
		return false;
	schedule->end = task;
	return true;
}
