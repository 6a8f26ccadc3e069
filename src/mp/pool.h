/*
 * pool.h: what the two sides of a pool say to each other. See pool.c (leader) and pool_worker.c.
 *
 * One chunk of items at a time is with a worker:
 *
 *   leader                                              worker
 *     items -> message or `items` file
 *     ------------ pj__pool_task ------------------------->
 *                                                         for each item: its index and time -> start of `items` file
 *                                                         results -> message or `results` file
 *     <----------- pj__pool_reply --------------------------
 *
 * Each worker has two memory files of its own, inherited over the fork and kept by its successor:
 *
 *   items     | pj__pool_progress ... | parcel of items |
 *   results   |         ...           | parcel of results |
 *
 * The progress is how the leader knows, after a death, which item was in work: a write of 16 bytes per item, which
 * costs a few hundred nanoseconds, where a message would cost a wake-up of the leader.
 */
#ifndef PJ_MP_POOL_H
#define PJ_MP_POOL_H

#include <papjuice/pool.h>

#include "mp/dispatcher.h"
#include "mp/parcel.h"

/* A worker's memory files. */
typedef struct pj__pool_files {
	int items, results;
} pj__pool_files;

/* To the worker. A function of NULL: end. The parcel of items follows if it is not in the file. */
typedef struct pj__pool_task {
	pj_pool_function *function;
	void *arg;
	uint64_t first; /* index of the first item */
	pj__label items;
} pj__pool_task;

/* From the worker. The parcel of results follows if it is not in the file. */
typedef struct pj__pool_reply {
	uint64_t first;  /* as in the task */
	uint64_t failed; /* index of the item that failed, with `status` */
	uint32_t status; /* PJ_OK; PJ_ERR_USER: the function failed; PJ_ERR_MEMORY: the worker did */
	int32_t errnum;
	char reason[200];
	pj__label results;
} pj__pool_reply;

/* The item in work, and since when (pj__now_ns). */
typedef struct pj__pool_progress {
	uint64_t index;
	uint64_t began_ns;
} pj__pool_progress;

/* What the leader knows of a worker. */
enum pj__pool_state {
	PJ__POOL_IDLE,
	PJ__POOL_BUSY, /* with the chunk first .. first + count */
	PJ__POOL_DYING /* nothing more is expected of it; its death will be told, or was */
};

struct pj__pool_slot {
	pj__pool_files files;
	enum pj__pool_state state;
	bool condemned; /* killed at its work; what it still sends is not heard */
	bool late;      /* that was because its item took too long */
	uint64_t first, count;
	uint64_t began_ns; /* when its item began, as last seen */
};

struct pj_pool {
	unsigned count; /* of slots */
	struct pj__pool_slot *slots;
	pj__dispatcher *dispatcher;
	pj__parcel parcel; /* in which items are packed */
	pid_t owner;
	uint64_t limit_ns; /* of an item's time; 0: none */
	bool closed;
};

/* What a worker does, until it is told to end. Returns its exit code. */
int pj__pool_work(int channel, const pj__pool_files *files);

#endif
