/*
 * pool.h: what the two sides of a pool say to each other. See pool.c (leader) and pool_worker.c.
 *
 * One chunk of items at a time is with a worker:
 *
 *   leader                                              worker
 *     items -> message or `items` file
 *     ------------ pj__pool_task ------------------------->
 *                                                         for each item: its index -> status page
 *                                                         results -> message or `results` file
 *     <----------- pj__pool_reply --------------------------
 *
 * Each worker has two memory files of its own, for the parcels of items and of results, inherited over the fork and
 * kept by its successor. The leader copies results out of the file before it gives the worker another chunk, so that
 * no worker can reach the results of a chunk that is done.
 *
 * Each worker also shares one page with the leader, its status page, and has no other worker's. There it stores which
 * item is in work, and since when if items have a time limit: this is how the leader knows, after a death, which item
 * is to be charged. The leader believes it only as far as it lies within the chunk.
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
	uint64_t timed; /* items have a time limit */
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

/* A status page: the item in work, and since when (pj__now_ns) if it has a time limit. */
typedef struct pj__pool_progress {
	_Atomic uint64_t index;
	_Atomic uint64_t began_ns;
} pj__pool_progress;

/* What the leader knows of a worker. */
enum pj__pool_state {
	PJ__POOL_IDLE,
	PJ__POOL_BUSY, /* with the chunk first .. first + count */
	PJ__POOL_DYING /* nothing more is expected of it; its death will be told, or was */
};

struct pj__pool_slot {
	pj__pool_files files;
	pj__pool_progress *progress; /* the status page */
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
int pj__pool_work(int channel, const struct pj__pool_slot *slot);

#endif
