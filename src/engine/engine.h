/*
 * engine.h: what an engine is, and what a run hands to it.
 *
 * An engine runs the tasks of a job: it says who maps and reduces, and where. What comes before and after is the same
 * for all and knows none of them (run.c, session.c):
 *
 *     settle      job/setup.h       the job and its options, checked, every default filled in
 *     choose      engine.c          the engine of the table by its name; what it cannot do is refused
 *     open        job/storage.h     the place of the output
 *     plan        job/plan.h        inputs, splits, map tasks, part files
 *     count       lines.c           the lines before each split, for jobs that number them
 *     run         engine->open, engine->run, engine->close
 *     commit      job/storage.h     the inputs have not changed, so the output appears
 *
 * To add an engine: write a file that defines a `const pj__engine`, declare it below, and add a line to the table in
 * engines.c. It must pass tests/unit/test_engines.c, which runs every engine of the table through the same jobs;
 * tests/unit/test_fake_engine.c is a small example. The bytes of the output, and of each part file, are those of the
 * reference (reference.c): the map tasks of the plan in order, each pair to the part file that partition.h names, and
 * within a part file groups in the order of keys and values in the order of tasks. A sample (sample.h) decides about
 * ranges, so the sample is a part of what a job means, and every engine takes the same.
 */
#ifndef PJ_ENGINE_ENGINE_H
#define PJ_ENGINE_ENGINE_H

#include "job/bad.h"
#include "job/plan.h"
#include "output/sink.h"

/* One run: what the engine gets, and what it fills in. */
typedef struct pj__run_state {
	const pj__setup *setup;
	pj__plan *plan;         /* tasks of a stream are added by the engine (pj__plan_add) */
	pj__sink *sink;         /* open */
	uint32_t job;           /* the index of setup and plan among those that the engine was opened for */
	const pj_bytes *params; /* for every task; NULL: those of the options */
	pj_result *result;
	pj__bad *bad; /* records that are to be left out */
	uint64_t started_ns;
	pj__tally tally; /* of what was published */
} pj__run_state;

/* What an engine can do. A run that needs anything else is refused before its output is opened. */
enum {
	PJ__CAN_STREAM = 1, /* inputs that come once, in order, and whose length nobody knows: pipes */
	PJ__CAN_CALL = 2,   /* functions of the caller as input and as output */
	PJ__CAN_STAY = 4,   /* several jobs and runs between open and close: sessions */
	PJ__CAN_SHARE = 8,  /* the sorter shared */
	PJ__CAN_RANGE = 16, /* part files that are ranges of keys */
	PJ__CAN_REFER = 32, /* pairs that are places in the inputs (shuffle/reference.h), where the plan allows it */
	PJ__CAN_ORDER = 64, /* results in another order than that of keys, or only the first ones */
	PJ__CAN_SKIP = 128, /* records that are left out (run->bad) */
	PJ__IS_IN_CALLER = 256, /* user code runs in the calling process, a task at a time, whatever `workers` says */
};

/* For what an engine is opened: jobs, settled and planned. All of it outlives the opened engine. */
typedef struct pj__engine_terms {
	const pj__setup *setups;
	const pj__plan *plans;
	size_t count;         /* of both */
	const pj__sink *sink; /* of the only run there will be; NULL: a session, and each run has its own */
} pj__engine_terms;

typedef struct pj__engine {
	const char *name;
	unsigned can; /* PJ__CAN_... */
	const pj__storage *storage;
	/*
	 * Gets ready for runs. *ret_opened is handed to the others. On failure it is NULL, and nothing is left. User
	 * code is not called.
	 */
	pj_status (*open)(const pj__engine_terms *terms, void **ret_opened, pj_error *error);
	/*
	 * Maps and reduces, and puts every result into run->sink, but does not commit it. run->result gets the counts,
	 * run->tally the counters of user code, and records that are bad are settled with run->bad. It looks at
	 * pj__stopped often, and calls pj__tell_progress. After a failure the next run must be as good as a first one.
	 */
	pj_status (*run)(void *opened, pj__run_state *run, pj_error *error);
	/* Ends what open began: no process, file or memory of it is left. */
	void (*close)(void *opened);
} pj__engine;

/* The table, ended by NULL (engines.c). The first is what the others are held against. */
extern const pj__engine *const pj__engines[];

/* One process, the calling one, in the plainest code that is correct (reference.c). */
extern const pj__engine pj__engine_reference;

/* Forked workers on this machine (local.c). */
extern const pj__engine pj__engine_local;

/*
 * Finds the engine that the setup names, and lets the setup know what follows from it. PJ_ERR_USAGE: there is none of
 * that name, or it can't do what is asked for; nothing was opened.
 */
PJ_MUST_USE pj_status pj__engine_choose(pj__setup *setup, const pj__engine **ret_engine, pj_error *error);

/* The same for what only the plan shows, which is fitted to the engine. */
PJ_MUST_USE pj_status pj__engine_fit(const pj__engine *engine, pj__plan *plan, pj_error *error);

/* Opens an engine, after what guards the programs of the jobs. */
PJ_MUST_USE pj_status pj__engine_open(const pj__engine *engine, const pj__engine_terms *terms, void **ret_opened,
				      pj_error *error);

/* Refuses an output that is also an input: it would be replaced while it is read. */
PJ_MUST_USE pj_status pj__run_refuse_own_input(const pj__run_state *run, pj_error *error);

/*
 * Runs what is planned by an engine and commits the output: the inputs have not changed, and nobody wants the run to
 * stop. `opened` NULL: the engine is opened for this run alone.
 */
PJ_MUST_USE pj_status pj__run_by(const pj__engine *engine, void *opened, pj__run_state *run, pj_error *error);

/* Puts what was counted, and how long it took, into the result. */
void pj__run_tell(const pj__run_state *run);

/* PJ_ERR_INTERRUPTED if the run is to stop. */
PJ_MUST_USE pj_status pj__stopped(const pj__run_state *run, pj_error *error);

/* Counts lines, so that each split of the plan knows how many stand before its first one. */
PJ_MUST_USE pj_status pj__count_lines(const pj__setup *setup, pj__plan *plan, pj_error *error);

/* Tells the caller how far the run is. */
void pj__tell_progress(const pj__run_state *run, const char *phase, uint64_t done, uint64_t total, uint64_t retries);

#endif
