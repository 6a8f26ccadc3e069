/*
 * budget.h: who may use how much of the memory of a run.
 *
 * One sum, divided when the run begins; the memory files' share is handed out as it is needed (a lease for each worker,
 * which the leader tells with every message).
 *
 *     memory  =  fixed  +  lists  +  memory files of all  +  workers x (fixed + lists + private)
 *     private    map:     table, long keys, and the blob they are written as     or records, and their blob
 *                reduce:  a bucket and what sorts it, the part that is made, parts that are held
 */
#ifndef PJ_ENGINE_BUDGET_H
#define PJ_ENGINE_BUDGET_H

#include <stdbool.h>

#include "base/error.h"

/* The longest line takes no more than this part of the memory. */
enum { PJ__LONGEST_SHARE = 4 };

typedef struct pj__budget {
	uint64_t memory; /* all of it */
	uint64_t files;  /* memory files of all workers together */
	uint64_t spool;  /* of these, for bytes of streams */
	size_t table;    /* a worker's combining table, and as much again for its long keys */
	size_t gather;   /* records gathered by a worker before they are written */
	size_t reduce;   /* a bucket that is reduced in memory */
	size_t part;     /* bytes of a part before it goes to disk */
	size_t held;     /* bytes of finished parts that a worker holds */
} pj__budget;

/* Bytes of lists whose length is the user's to choose: of tasks in the leader, of buckets in each process. */
typedef struct pj__lists {
	uint64_t leader, worker;
} pj__lists;

/* The lists of a job over so many tasks and buckets at most; `combines`: its pairs are combined before the reduce. */
pj__lists pj__budget_lists(uint64_t tasks, uint64_t buckets, bool combines);

/* What a process takes for decoding and encoding; it is added to the lists. */
typedef struct pj__codec_share {
	uint64_t leader, worker;
} pj__codec_share;

/* Divides `memory` among `workers`. PJ_ERR_MEMORY: it is less than can work; the hint tells how much can. */
PJ_MUST_USE pj_status pj__budget_divide(pj__budget *budget, uint64_t memory, unsigned workers, pj__lists lists,
					pj_error *error);

#endif
