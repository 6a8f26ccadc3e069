/*
 * leader.h: what the leader of the local engine has in hand (local.c: its phases; leader.c: its loop; death.c:
 * what a worker's death means; parts.c: the order of the output).
 */
#ifndef PJ_ENGINE_LEADER_H
#define PJ_ENGINE_LEADER_H

#include "engine/local.h"
#include "input/spool.h"
#include "mp/dispatcher.h"
#include "mp/schedule.h"
#include "output/order.h"

typedef enum pj__phase { PJ__PHASE_MAP, PJ__PHASE_MERGE, PJ__PHASE_REDUCE } pj__phase;

/* Before the map, one worker takes a sample of the keys, if there are to be ranges of them. */
typedef enum pj__sampling { PJ__SAMPLE_DONE, PJ__SAMPLE_WANTED, PJ__SAMPLE_RUNNING } pj__sampling;

/* A worker, as the leader sees it. */
struct slot {
	bool busy;            /* it has a message that it will answer: */
	uint32_t told;        /* ... of this kind */
	bool dead;            /* to be started again when there is work */
	bool useful;          /* a task of it was published */
	pj__counts pending;   /* of what it has not published ... */
	pj__tally *tally;     /* ... and what was counted for it; NULL: nothing */
	uint64_t held_bytes;  /* of parts that are not written */
	unsigned waiting;     /* parts that it holds and was not told to write */
	unsigned writing;     /* parts that it was told to write */
	uint64_t progress;    /* when the leader last looked ... */
	uint64_t progress_ns; /* ... it had moved at this time */
	uint64_t lease;       /* how long its memory file may be */
	uint64_t memory_most; /* that was seen of its process */
	bool failed;          /* it told why it ends: */
	pj_error why;
	bool senseless; /* it said what no worker says, and was killed */
};

/* A part of the output: of a reduce task, or of a map task of a map-only job. */
struct part {
	uint64_t bytes;  /* UINT64_MAX: not known yet */
	uint64_t offset; /* in a file, when all before it are known */
	uint32_t slot;   /* that holds it */
	bool held, told, written;
	pj__counts counts; /* of the attempt that made it */
	pj__tally *tally;  /* the same; NULL: nothing */
	pj__parked parked; /* of an ordered output: where it lies */
};

struct leader {
	pj__local local;
	pj__run_state *run;
	pj_result *result;
	pj__dispatcher *dispatcher;
	pj__schedule schedule;
	pj__phase phase;
	struct slot *slots;
	unsigned idle_deaths; /* of workers that had no task, since something was published */
	pj__spool spool;
	bool spool_ended;
	uint64_t spool_most;     /* bytes of streams that are kept, before tasks are waited for */
	size_t released;         /* tasks at the front that are done ... */
	uint64_t released_bytes; /* ... and the spooled bytes among theirs */
	pj__sampling sampling;
	unsigned sampler;      /* slot that takes the sample */
	unsigned samples_lost; /* workers that died while they took it */
	bool counts_kills;     /* a while after the beginning: */
	uint64_t oom_kills;    /* processes of the control group that the kernel had killed for lack of memory */
	pj_error doom;         /* why the schedule's first hopeless task is one */
	uint32_t *firsts;      /* of the sorter total: the first bucket of each part file, and the end; else NULL */
	bool merge_broken;     /* a worker died while it merged: the dict is worthless */
	pj_error merge_why;
	/* what is on the board */
	uint64_t board_end;
	pj__on_board splitters, runs;
	uint32_t buckets;
	pj__partition kept;             /* of a standing job, for its next run */
	uint32_t kept_job, kept_ranges; /* for which, and how many were wanted */
	pj__published *published;
	size_t published_count, published_capacity;
	uint64_t run_count; /* blobs in all of them */
	/* parts in order */
	bool makes_parts;
	struct part *parts;
	size_t part_count, part_capacity;
	size_t part_sized;             /* parts before this have an offset */
	uint64_t part_offset;          /* of part `part_sized` */
	size_t part_next;              /* the first that is not written */
	uint64_t mapped_ns, wanted_ns; /* of all map tasks so far: their time, and how much wanted a processor */
	uint64_t leased;               /* sum of the slots' leases */
	/* watching */
	uint64_t measured_ns, told_ns;
};

/* ---- local.c ---- */

/*
 * Makes a leader for up to `workers` workers, which run jobs by setups[i] over plans[i]; what does not fit into memory
 * goes to the folder `temp`, whose name must live as long. On failure it must be closed, too.
 */
PJ_MUST_USE pj_status pj__leader_open(struct leader *leader, const pj__setup *setups, const pj__plan *plans,
				      unsigned workers, pj__codec_share codecs, const char *temp, pj_error *error);
void pj__leader_close(struct leader *leader);

/* Begins a run of a job; `params` (NULL: those of the options) go to the workers. */
PJ_MUST_USE pj_status pj__leader_begin(struct leader *leader, pj__run_state *run, uint32_t job, const pj_bytes *params,
				       pj_error *error);

/* Runs it. After a failure the workers must be stopped before the next run. */
PJ_MUST_USE pj_status pj__leader_phases(struct leader *leader, pj_error *error);
void pj__leader_stop(struct leader *leader);

/* ---- leader.c ---- */

/* Runs the schedule's tasks in the phase until all are done. */
PJ_MUST_USE pj_status pj__leader_run(struct leader *leader, pj__phase phase, pj_error *error);

const char *pj__phase_name(pj__phase phase);

/* Leases memory to a slot: returns how long its memory file may be. */
uint64_t pj__leader_lease(struct leader *leader, unsigned slot);

/* Appends a list to the board. */
PJ_MUST_USE pj_status pj__leader_post(struct leader *leader, const void *items, size_t count, size_t item_bytes,
				      pj__on_board *ret_list, pj_error *error);

/* Memory of all processes now; keeps the highest. */
void pj__leader_measure(struct leader *leader);

/* ---- check_message.c ---- */

/* May the slot's worker have sent these `size` bytes, aligned to 16, as things stand? */
bool pj__leader_believes(const struct leader *leader, unsigned slot, const void *said, size_t size);

/* ---- temp_space.c ---- */

/* A worker could not write to the temporary folder: says in `why` how much space is needed there, if that is it. */
void pj__leader_need(const struct leader *leader, pj_error *why);

/* ---- death.c ---- */

/* A worker is gone: charges its task, and decides if the run can go on. */
PJ_MUST_USE pj_status pj__leader_bury(struct leader *leader, const pj__event *event, pj_error *error);

/* ---- parts.c ---- */

/* Makes room for `count` parts. */
PJ_MUST_USE pj_status pj__parts_grow(struct leader *leader, size_t count, pj_error *error);

/* A slot holds a part; `counts` is what its attempt did. */
PJ_MUST_USE pj_status pj__part_held(struct leader *leader, unsigned slot, size_t part, const pj__counts *counts,
				    pj_error *error);

/* Is a part that was written parked in a file of its worker, for the leader to take? */
bool pj__parts_are_parked(const struct leader *leader);

/* Tells workers to write what can be written. */
void pj__parts_pump(struct leader *leader);

/* A slot has written a part; for a stream it lies parked in the slot's file. */
PJ_MUST_USE pj_status pj__part_written(struct leader *leader, unsigned slot, const pj__message *message,
				       pj_error *error);

/* All parts of an ordered output are parked: merges them into the sink. */
PJ_MUST_USE pj_status pj__parts_pour(struct leader *leader, pj_error *error);

/* A part is done: what was counted for it counts. */
void pj__part_settled(struct leader *leader, size_t part);

/* There are no parts any more. */
void pj__parts_forget(struct leader *leader);

/* The parts that a slot held are gone. */
void pj__parts_lost(struct leader *leader, unsigned slot);

/* May the slot take a task, seeing how much it holds? */
bool pj__parts_allow(const struct leader *leader, unsigned slot, int64_t task);

#endif
