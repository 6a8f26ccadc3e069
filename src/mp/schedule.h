/*
 * schedule.h: the life of tasks and attempts, and who may have which task when: a state machine that knows nothing of
 * processes, nor of time.
 *
 *     waiting --take--> running --hold--> held --publish--> done
 *        ^                 |                |
 *        +----- lose ------+----- lose -----+
 *
 * An attempt is what a slot's worker has taken since it last published: one task that is running, and tasks that are
 * finished but held (in a table, or as a part that is not written yet). Publishing makes them done, all or one by one.
 * When the worker is lost, all of them wait again; only the one that was running is charged with it, and is suspect
 * from then on: it is to be done alone, published by itself, and so are tasks that are lost without guilt for a second
 * time, so that a guilty one is found in any case.
 *
 * A task that the system's failures meet is tried as often as `tries.system` says, the last time solitary (nothing else
 * runs meanwhile) if it was for lack of memory; one that user code refuses, `tries.code` times. Then it is given up,
 * and only tasks before it go on: so the first of several that fail is the one that is told, whatever the timing.
 */
#ifndef PJ_MP_SCHEDULE_H
#define PJ_MP_SCHEDULE_H

#include <stdbool.h>

#include "base/error.h"

typedef enum pj__task_state { PJ__TASK_WAITING, PJ__TASK_RUNNING, PJ__TASK_HELD, PJ__TASK_DONE } pj__task_state;

/* Why a worker was lost, as far as its task's future is concerned. */
typedef enum pj__loss {
	PJ__LOSS_SYSTEM, /* it was killed, or made no progress: it may go well the next time */
	PJ__LOSS_MEMORY, /* the same, for lack of memory */
	PJ__LOSS_CODE    /* its code returned an error, or ended it: trying again tells if that is certain */
} pj__loss;

/* How often a task is tried, by the kind of its failures. */
typedef struct pj__tries {
	unsigned system, code;
	bool careful; /* as soon as a task is suspect */
} pj__tries;

typedef struct pj__task_entry {
	uint8_t state;              /* pj__task_state */
	bool lost;                  /* was lost once */
	bool alone;                 /* must be published by itself */
	bool suspect;               /* was charged once */
	bool starved;               /* was charged for lack of memory */
	uint16_t slot;              /* of the worker that runs or holds it */
	uint16_t crashes, refusals; /* times it was charged: with the system's failures, with the code's */
} pj__task_entry;

typedef struct pj__slot_entry {
	int64_t running; /* task, or -1 */
	uint32_t *held;  /* tasks */
	size_t count, capacity;
} pj__slot_entry;

typedef struct pj__schedule {
	pj__task_entry *tasks;
	size_t count, capacity, done;
	size_t next;    /* no task before this is waiting */
	size_t settled; /* all before this are done */
	size_t end;     /* the first task that is given up; SIZE_MAX: none is */
	pj__tries tries;
	pj__slot_entry *slots;
	unsigned slot_count, running; /* tasks that run */
	bool solitary;                /* one runs, and nothing may run beside it */
	uint64_t attempts;            /* tasks taken */
} pj__schedule;

PJ_MUST_USE pj_status pj__schedule_init(pj__schedule *schedule, unsigned slots, size_t tasks, pj__tries tries,
					pj_error *error);
void pj__schedule_fini(pj__schedule *schedule);

/* Adds waiting tasks at the end. */
PJ_MUST_USE pj_status pj__schedule_add(pj__schedule *schedule, size_t tasks, pj_error *error);

/*
 * Inserts a waiting task that becomes number `at`; it and all that follow had a number less by one. So a task that is
 * several things at once can be divided: those beside the suspect one become tasks of their own.
 */
PJ_MUST_USE pj_status pj__schedule_insert(pj__schedule *schedule, size_t at, pj_error *error);

/* The task that may be taken now, the first that waits; -1: there is none, or it must wait for others to end. */
int64_t pj__schedule_peek(pj__schedule *schedule);

/* Gives that task to a slot that runs none. Returns it, or -1. */
int64_t pj__schedule_take(pj__schedule *schedule, unsigned slot);

/* The slot's running task is finished, and held. Fails if it runs none, or for lack of memory. */
PJ_MUST_USE pj_status pj__schedule_hold(pj__schedule *schedule, unsigned slot, pj_error *error);

/* All that the slot holds is done; or one task that it holds. */
void pj__schedule_publish(pj__schedule *schedule, unsigned slot);
void pj__schedule_publish_one(pj__schedule *schedule, unsigned slot, size_t task);

/* The slot's worker is lost: all its tasks wait again. Returns the task that was running and is charged; -1: none. */
int64_t pj__schedule_lose(pj__schedule *schedule, unsigned slot, pj__loss loss);

/* What a task was charged with is forgotten: its cause is out of the way. It stays suspect. */
void pj__schedule_forgive(pj__schedule *schedule, size_t task);

/*
 * Is a task to be done record by record? That is slow, so one that was met by the system's failure once, which is
 * nobody's guilt as a rule, is not, unless it is its last time.
 */
bool pj__schedule_is_careful(const pj__schedule *schedule, size_t task);

/* Has a task been tried as often as it may? */
bool pj__schedule_is_hopeless(const pj__schedule *schedule, size_t task);

/* Gives a task up: it and those behind it are not given any more. True: no earlier one is given up already. */
bool pj__schedule_give_up(pj__schedule *schedule, size_t task);

/* True when every task is done; or, if one is given up, every task before it. */
static inline bool pj__schedule_finished(const pj__schedule *schedule)
{
	return schedule->settled >= (schedule->end < schedule->count ? schedule->end : schedule->count);
}

#endif
