/*
 * worker.h: what a worker has in hand (worker.c: its life; worker_parts.c: parts; long_record.c: long records;
 * isolation.c: what it gives up first; shared.c).
 */
#ifndef PJ_ENGINE_WORKER_H
#define PJ_ENGINE_WORKER_H

#include "base/space.h"
#include "engine/local.h"
#include "engine/surroundings.h"
#include "input/view.h"
#include "job/reduce.h"
#include "mp/dispatcher.h"
#include "output/order.h"
#include "shuffle/combine.h"
#include "shuffle/groups.h"
#include "shuffle/writer.h"

/* A part that is finished and not written. */
struct held_part {
	uint64_t task;
	uint32_t first, count;    /* buckets it was made of; none: of a map task */
	uint64_t spilled, offset; /* bytes of it on disk, and where; then it is there whole */
	pj_text bytes;
};

struct worker {
	const pj__local *local;
	unsigned slot;
	int channel;
	pid_t pid;                     /* a process that user code forks is another */
	pj__surroundings surroundings; /* in which each task begins */
	pj__brief brief;
	const pj__plan *plan;
	pj__setup setup; /* of brief.job, loaded */
	bool has_setup;
	pj_text params;
	bool has_memory;  /* it has private memory, and may use its share of it (long_record.c) */
	bool is_strained; /* ... and that of a long record */
	pj__store store;
	pj__task task;        /* of the map */
	pj__task reduce_task; /* of the merge and the reduce */
	pj__partition partition;
	pj__part part;
	uint64_t part_spilled, part_offset; /* its beginning, on disk */
	uint64_t spilled_told;              /* of store.spilled */
	uint32_t part_first, part_count;    /* the buckets it is made of */
	uint32_t done_first, done_count;    /* buckets whose part was written just now */
	pj__parked *chunks; /* of a part in another order than that of keys: ordered pieces of it, on disk */
	size_t chunk_count, chunk_capacity;
	/* the map */
	bool can_map; /* what follows is made */
	pj__mapping mapping;
	pj_text left_out;   /* records, as the message lists them */
	pj__writer *writer; /* NULL: map-only */
	uint64_t published_ns, pairs_told;
	/* the reduce */
	bool reducing; /* what follows is made */
	pj__reduce reduce;
	pj__combined combined;
	pj__groups groups;
	pj__view view; /* of the inputs, if pairs refer to them */
	pj__run *runs;
	size_t run_count;
	size_t reduce_bytes; /* for a bucket: what the lists of runs and segments leave */
	pj__segment *segments;
	size_t segment_capacity;
	/* finished parts; behind held_count: memory to be used again */
	struct held_part *held;
	size_t held_count, held_capacity;
	pj__space direct_buffer;                   /* for writing past the page cache */
	_Alignas(16) char buffer[PJ__MESSAGE_MAX]; /* of the message at hand */
};

/* Larger blocks than this malloc gets from the kernel, and gives back: touching fresh memory is dear. */
enum { PJ__MMAP_THRESHOLD = 1 << 30 };

/* ---- worker_parts.c ---- */

/* A run begins: parts are made as the brief says, and none is held. */
void pj__held_begin_run(struct worker *worker);

/* Begins an empty part. */
void pj__held_begin(struct worker *worker);

/* Keeps the part that was made, until it is told to be written; counts it. */
PJ_MUST_USE pj_status pj__held_keep(struct worker *worker, uint64_t task, pj__counts *counts, pj_error *error);

/* Writes the held part of the message's task to where the message says; the message becomes the answer. */
PJ_MUST_USE pj_status pj__held_write(struct worker *worker, pj__message *message, pj_error *error);

/* ---- isolation.c ---- */

/* The first act of a worker: gives up what user code must not reach. */
void pj__isolate(const pj__local *local, unsigned slot);

/* ---- long_record.c ---- */

/* Records of up to so many bytes have room in a worker's share, however they are copied. */
size_t pj__strain_usual(const struct worker *worker);

/* Before each task: while another worker deals with a long record, waits, and gives back its own memory first. */
PJ_MUST_USE pj_status pj__strain_enter(struct worker *worker, pj_error *error);

/*
 * Receives the next message to worker->buffer; *ret_deaf, *ret_got: as pj__channel_receive tells. Meanwhile the worker
 * gives back its memory when another one needs it; what can fail is that.
 */
PJ_MUST_USE pj_status pj__strain_receive(struct worker *worker, int *ret_deaf, size_t *ret_got, pj_error *error);

/*
 * The worker wants to take the memory of a longer record, or is done with it. In the first case it gives back what it
 * had gathered, and waits until all others have done that, too; so only between two pairs, or two buckets.
 */
PJ_MUST_USE pj_status pj__strain(struct worker *worker, bool is, pj_error *error);

#endif
