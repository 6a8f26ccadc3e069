/*
 * schedule.h: the life of tasks and attempts, as a state machine that knows nothing of processes.
 *
 *     waiting --take--> running --held--> held --published--> done
 *        ^                 |                |
 *        +------ lost -----+------ lost ----+
 *
 * An attempt is what a slot's worker has taken since it last published: one task that is running, and tasks that are
 * finished but held (in a table, or as a part that is not written yet). Publishing makes them done, all or one by one.
 * When the worker is lost, all of them wait again; only the one that was running is charged with it. Tasks that were
 * lost are marked to be done alone, each published by itself, so that a guilty one is found.
 */
#ifndef PJ_JOB_SCHEDULE_H
#define PJ_JOB_SCHEDULE_H

#include <stdbool.h>

#include "base/error.h"

typedef enum pj__task_state { PJ__TASK_WAITING, PJ__TASK_RUNNING, PJ__TASK_HELD, PJ__TASK_DONE } pj__task_state;

typedef struct pj__task_entry {
	uint8_t state;              /* pj__task_state */
	uint8_t alone;              /* must be published by itself */
	uint16_t slot;              /* of the worker that runs or holds it */
	uint16_t crashes, refusals; /* times it was charged: its worker died; its code returned an error */
} pj__task_entry;

typedef struct pj__slot_entry {
	int64_t running; /* task, or -1 */
	uint32_t *held;  /* tasks */
	size_t count, capacity;
} pj__slot_entry;

typedef struct pj__schedule {
	pj__task_entry *tasks;
	size_t count, capacity, done;
	size_t next; /* no task before this is waiting */
	pj__slot_entry *slots;
	unsigned slot_count;
	uint64_t attempts; /* tasks taken */
} pj__schedule;

PJ_MUST_USE pj_status pj__schedule_init(pj__schedule *schedule, unsigned slots, size_t tasks, pj_error *error);
void pj__schedule_fini(pj__schedule *schedule);

/* Adds waiting tasks at the end. */
PJ_MUST_USE pj_status pj__schedule_add(pj__schedule *schedule, size_t tasks, pj_error *error);

/* The first waiting task, or -1. Nothing changes. */
int64_t pj__schedule_peek(pj__schedule *schedule);

/* Gives the first waiting task to a slot that runs none. Returns it, or -1; *ret_alone: to be published by itself. */
int64_t pj__schedule_take(pj__schedule *schedule, unsigned slot, bool *ret_alone);

/* The slot's running task is finished, and held. Returns it. */
PJ_MUST_USE pj_status pj__schedule_hold(pj__schedule *schedule, unsigned slot, pj_error *error);

/* All that the slot holds is done; or one task that it holds. */
void pj__schedule_publish(pj__schedule *schedule, unsigned slot);
void pj__schedule_publish_one(pj__schedule *schedule, unsigned slot, size_t task);

/*
 * The slot's worker is lost: all its tasks wait again. Returns the task that was running (-1: none), which is charged
 * with a refusal (its code returned an error) or with a crash.
 */
int64_t pj__schedule_lose(pj__schedule *schedule, unsigned slot, bool refused);

/* True when every task is done. */
static inline bool pj__schedule_finished(const pj__schedule *schedule)
{
	return schedule->done == schedule->count;
}

#endif
