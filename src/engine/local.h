/*
 * local.h: the local engine, one leader and its workers; what both sides know.
 *
 * The leader (leader.c) forks the workers, hands out tasks, publishes what they finish and puts the output together.
 * A worker (worker.c) maps into a writer of its own, which appends runs to the worker's own files, in memory while its
 * lease lasts and then on disk, and reduces from the runs of all. Nothing is mapped shared but one status page for each
 * worker, so a wild pointer reaches nobody else.
 *
 *     leader                                worker
 *       BEGIN brief -------------------------->    (standing workers) a new run begins; no answer
 *       SAMPLE ------------------------------->    map a little, to learn how keys are spread
 *       <------------------------------ SAMPLED    ... some of them, in the worker's file
 *       MAP task, splits ---------------------->   map a task
 *       <------------------------------- MAPPED    held in the table, or published with runs up to `end`
 *       PUBLISH ------------------------------->   write the table as a run
 *       <---------------------------- PUBLISHED    runs up to `end`
 *       MERGE task ---------------------------->   (sorter shared) merge published runs into the shared dict
 *       <------------------------------- MERGED
 *       REDUCE task, buckets ------------------>   reduce them to a part, which is held
 *       <------------------------------ REDUCED    bytes of the part
 *       WRITE task, offset -------------------->   write the part to where it belongs
 *       <------------------------------ WRITTEN    (a stream's part: where in the worker's file it lies)
 *       <-------------------------------- TALLY    before an answer: what programs and user code have counted for it
 *       <------------------------------- FAILED    at any time, and the worker exits
 *
 * A map task of a map-only job makes a part, too: it is mapped, held and written like a reduced one.
 *
 * What is decided when the workers are running already (splitters, list of runs) is in a memory file, the board, which
 * the leader writes and the workers read.
 */
#ifndef PJ_ENGINE_LOCAL_H
#define PJ_ENGINE_LOCAL_H

#include "engine/budget.h"
#include "engine/engine.h"
#include "job/map.h"
#include "shuffle/partition.h"
#include "shuffle/store.h"
#include "shuffle/table.h"

typedef enum pj__message_kind {
	PJ__BEGIN = 1,
	PJ__SAMPLE,
	PJ__MAP,
	PJ__PUBLISH,
	PJ__MERGE,
	PJ__REDUCE,
	PJ__WRITE,
	PJ__SAMPLED = 101,
	PJ__MAPPED,
	PJ__PUBLISHED,
	PJ__MERGED,
	PJ__REDUCED,
	PJ__WRITTEN,
	PJ__TALLY,
	PJ__FAILED
} pj__message_kind;

/* Counts of what an attempt did; they are added up when it is published. */
typedef struct pj__counts {
	uint64_t records, bytes, pairs, run_pairs, run_bytes, groups, part_pairs, part_bytes, spilled;
	uint64_t passes;      /* the most of any bucket */
	uint64_t part_memory; /* of part_bytes: those that the worker holds in memory */
} pj__counts;

/* A list on the board. */
typedef struct pj__on_board {
	uint64_t offset, count;
} pj__on_board;

/* Where a published run of a worker's file ends, and the order of its pairs. */
typedef struct pj__published {
	uint64_t order;       /* of its first task */
	uint64_t end;         /* in the file: the footer lies before it */
	uint32_t slot, where; /* store.h */
	uint64_t runs;        /* blobs, one behind another, that end there */
} pj__published;

/* What workers must know of the run at hand; standing workers get a new one for each run. */
typedef struct pj__brief {
	uint32_t job;   /* which of the setups and plans */
	uint32_t parts; /* partition.h */
	pj__sink_kind kind;
	bool ordered;        /* parts are records, parked until all are there (output/order.h) */
	bool reducing;       /* the map is over */
	bool parks;          /* workers write no output: every part is parked for the leader */
	pj_output output;    /* columns, escape, order, limit */
	pj__on_board params; /* count: bytes; offset UINT64_MAX: those of the options */
} pj__brief;

typedef struct pj__message {
	uint32_t kind;
	uint32_t flags; /* see below */
	uint64_t task;
	uint64_t lease;   /* to a worker: how long its memory file may be (store.h) */
	uint64_t attempt; /* MAP, REDUCE: how often the task was tried before */
	union {
		struct {                        /* SAMPLE, MAP */
			pj__split split;        /* with PJ__SPLIT_GIVEN: of a stream; else the plan has the splits */
			pj__on_board splitters; /* of MAP */
			pj__on_board left_out;  /* with PJ__CAREFUL: records (job/map.h) */
		} map;
		struct {                       /* MERGE, REDUCE */
			uint32_t first, count; /* buckets; of MERGE: published runs on the board */
			pj__on_board runs;
			uint64_t splitters; /* bytes of them, as MAP told */
		} reduce;
		struct { /* WRITE; WRITTEN */
			uint64_t offset, bytes;
			uint32_t where; /* WRITTEN: in which file a parked part lies */
		} write;
		struct { /* SAMPLED, MAPPED, PUBLISHED, REDUCED */
			pj__counts counts;
			/* PUBLISHED, and MAPPED that is: */
			uint64_t end[PJ__STORES], runs[PJ__STORES];
			uint64_t ns, wanted_ns; /* MAPPED: the task's time, and how much of it wanted a processor */
			pj__on_board sample;    /* SAMPLED: in the worker's file */
		} did;
		pj__brief brief; /* BEGIN */
		pj_error error;  /* FAILED */
	};
} pj__message;

/* The kind of the answer to a message that has one. */
static inline uint32_t pj__answer_to(uint32_t kind)
{
	_Static_assert(PJ__SAMPLED - PJ__SAMPLE == PJ__WRITTEN - PJ__WRITE,
		       "answers come in the order of what is told");
	return kind + (PJ__SAMPLED - PJ__SAMPLE);
}

/* A worker tells what was counted for the answer that follows. */
typedef struct pj__tally_message {
	uint32_t kind; /* PJ__TALLY; where a pj__message has it */
	pj__tally tally;
} pj__tally_message;

/* How much of a message is sent: few need all of it. */
static inline size_t pj__message_bytes(const pj__message *message)
{
	return message->kind == PJ__FAILED || message->kind == PJ__BEGIN
		       ? sizeof *message
		       : offsetof(pj__message, did) + sizeof message->did;
}

enum {
	PJ__SPLIT_GIVEN = 1, /* MAP: the message holds the split */
	PJ__ALONE = 2,       /* MAP: publish with this task */
	PJ__CAREFUL = 8,     /* SAMPLE, MAP: record by record, so that a guilty one is found */
	PJ__IS_PUBLISHED = 4 /* MAPPED: all that was held is in runs up to `end` */
};

/* One to a worker, on a page of its own, written by it and read by the leader. */
typedef struct pj__status_page {
	pj__whereabouts here;
} pj__status_page;

enum { PJ__PAGE_BYTES = 4096 };

/* Exit code of a worker that finds its descriptors closed: it cannot tell. */
enum { PJ__EXIT_CUT_OFF = 119 };

/* What a worker inherits by being forked. The leader changes it only between forks. */
typedef struct pj__local {
	const pj__setup *setups; /* of the jobs that these workers can run ... */
	const pj__plan *plans;   /* ... and what each is to be run on */
	const pj__sink *sink;    /* of a single run; NULL: the brief says that workers park everything */
	pj__brief brief;         /* of the run at hand */
	int not_theirs;          /* the output, where the leader alone writes it: workers close it; -1: they write it */
	bool stays;              /* the workers stand for several runs */
	unsigned workers, processors;
	int (*files)[PJ__STORES];     /* of each slot: its runs and parked parts; on disk: -1 if there can be none */
	uint64_t (*ends)[PJ__STORES]; /* of each slot: bytes of its files that are published */
	int direct;                   /* its file, to be written past the page cache; -1: it is not ... */
	uint64_t direct_from;         /* ... and from which offset on it is */
	const char *temp;             /* folder for what does not fit into memory ... */
	uint64_t temp_free;           /* ... and the bytes that were free there at the beginning */
	pj__budget budget;
	uint64_t data_most; /* bytes that a worker may take beyond what it is born with (RLIMIT_DATA); 0: any number */
	int board;
	char *pages;                    /* PJ__PAGE_BYTES for each slot */
	pj__table_terms table;          /* of each worker's combining table */
	struct pj__shared_dict *shared; /* sorter shared: the dict at hand; else NULL */
} pj__local;

static inline pj__status_page *pj__page_of(const pj__local *local, unsigned slot)
{
	return (pj__status_page *)(void *)(local->pages + (size_t)slot * PJ__PAGE_BYTES);
}

/* A worker's life (worker.c). */
int pj__worker_run(void *local, unsigned slot, int channel);

#endif
