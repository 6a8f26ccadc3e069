/*
 * job.h: a job is five components, input, mapper, sorter, reducer and output; pj_run runs it.
 *
 *     const pj_job job = { .abi = PJ_ABI, .name = "wordcount",
 *                          .mapper = { .text = count_words }, .reducer = { .aggregate = &pj_sum_i64 } };
 *     const char *paths[] = { "book.txt" };
 *     const pj_options options = { .input = { .paths = paths, .path_count = 1 }, .output = { .path = "counts.tsv" } };
 *     pj_result result;
 *     pj_error error;
 *     if (pj_run(&job, &options, &result, &error))
 *             ...
 *
 * A field left out (zero) has the default. What the job leaves out of input, sorter and output, the options may give;
 * what both give, the options decide.
 *
 * The output bytes are a function of the input bytes, the job, the number of partitions and the split size: never of
 * the number of workers, of timing, retries or crashes, provided the user's code is deterministic.
 *
 * Several runs may go on in one process, one after another or from several threads: there is no global state. A run
 * forks its workers from the calling thread, which must live until it ends; it waits for its own children only, and
 * installs no signal handler. User code runs in the workers (with the engine `reference`, in the calling process).
 */
#ifndef PAPJUICE_JOB_H
#define PAPJUICE_JOB_H

#include <papjuice/command.h>
#include <papjuice/keys.h>
#include <papjuice/reducer.h>
#include <papjuice/task.h>
#include <signal.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the binary interface between the engine and user code; it is in every plug-in. */
#define PJ_ABI 1u

/* Lines of a file that are one map task: those whose first byte is one of `length` bytes from `start` on. */
typedef struct pj_piece {
	size_t path; /* index in `paths` */
	uint64_t start, length;
} pj_piece;

/* Where records come from: paths, or bytes in memory, or a function; several together are read in this order. */
typedef struct pj_input {
	/* Files, folders (recursive, sorted by name, names that begin with '.' or '_' skipped), globs, "@list", "-". */
	const char *const *paths;
	size_t path_count;
	/*
	 * Optional: the map tasks, in plan order, instead of those that the plan would cut; one of no bytes is a task
	 * without a line, and there may be none. Each path is a file then, and there is no other input; a compressed
	 * one is one piece, of all its bytes.
	 */
	const pj_piece *pieces;
	size_t piece_count;
	/* Each is one input of its own, called "memory:0" and so on; the bytes must live until the run ends. */
	const pj_bytes *memory;
	size_t memory_count;
	/*
	 * Called in the calling process until it sets *got to 0: puts up to `size` bytes to `to`. It may block. A
	 * failure ends the run.
	 */
	pj_status (*read)(void *arg, char *to, size_t size, size_t *got);
	void *arg;
} pj_input;

/*
 * What is done with records. One of `text` (pieces of whole lines, some 128 KB, the last newline included), `line`
 * (each line without its newline) and `command` (a program, command.h). `begin` and `end` are optional and called
 * around each map task; a program has none.
 */
typedef struct pj_mapper {
	pj_status (*text)(pj_task *task, pj_bytes text, void *arg);
	pj_status (*line)(pj_task *task, pj_bytes line, void *arg);
	pj_status (*begin)(pj_task *task, void *arg);
	pj_status (*end)(pj_task *task, void *arg);
	void *arg;
	const pj_command *command;
} pj_mapper;

/*
 * How pairs are brought together. Both give the same result. `map_only` needs no sorter.
 *
 * Two values are older spellings of other questions: SIMPLE asks for the engine `reference` (pj_options.engine), TOTAL
 * for parts that are ranges (pj_parts).
 */
typedef enum pj_sorter {
	PJ_SORTER_DEFAULT, /* plex */
	PJ_SORTER_SIMPLE,  /* plex, and the engine `reference`, unless the options name another engine */
	PJ_SORTER_PLEX,    /* tables or runs of each worker, brought together partition by partition without locks */
	PJ_SORTER_SHARED,  /* one shared dict in shared memory, merged by worker processes under its lock */
	PJ_SORTER_TOTAL    /* plex, and parts that are ranges, unless `parts` says otherwise */
} pj_sorter;

/* Which part file of a folder a key goes to. In a file or stream it does not show. */
typedef enum pj_parts {
	PJ_PARTS_DEFAULT, /* hash; ranges for a job with an order of its own and no partitioner (keys.h) */
	PJ_PARTS_HASH,    /* its hash decides; or the job's partitioner */
	PJ_PARTS_RANGES   /* where it stands among the keys of a sample: the files are one sorted sequence */
} pj_parts;

/* What is written of a pair. */
typedef enum pj_columns {
	PJ_KEY_AND_VALUE, /* key, tab, value, newline */
	PJ_KEY_ONLY,      /* key, newline */
	PJ_VALUE_ONLY     /* value, newline */
} pj_columns;

/* In which order results come. */
typedef enum pj_order {
	PJ_BY_KEY,       /* key order */
	PJ_BY_VALUE_DOWN /* the largest number first, ties in key order; values that are not numbers come last */
} pj_order;

/*
 * How an output is compressed, with the usual level of gzip, bzip2 or zstd. The part files of a folder are called
 * part-00000.gz and so on, and are compressed by the workers; a file, whose name is as given, and a stream are
 * compressed by the calling process while it writes them.
 */
typedef enum pj_compression { PJ_PLAIN, PJ_GZ, PJ_BZ2, PJ_ZST } pj_compression;

/* Where results go: `pair` if it is given, else `path`. */
typedef struct pj_output {
	/* "-" or NULL: standard output; ending in '/': a folder of part files; else: a file. */
	const char *path;
	/* Called in the calling process for each result, in output order; the bytes live for the call. */
	pj_status (*pair)(void *arg, pj_bytes key, pj_bytes value);
	void *arg;
	pj_columns columns;
	pj_order order;             /* PJ_BY_VALUE_DOWN: into a folder there is one part file */
	uint64_t limit;             /* only so many results, the first ones in order; 0: all */
	bool overwrite;             /* an output that exists is replaced, at the end, by one rename */
	bool escape;                /* tab, newline and backslash in keys and values are written \t \n \\ */
	pj_compression compression; /* not used by `pair` */
} pj_output;

/* An option of the job's own, for the command line. */
typedef struct pj_job_option {
	const char *name;    /* without the dashes */
	char letter;         /* 0: none */
	const char *value;   /* what stands for its value in the help; NULL: a flag */
	const char *initial; /* value when it is not given; NULL: none */
	const char *help;
	bool many;    /* it may be given several times: its value is all of theirs, joined by newlines */
	bool operand; /* where it is not given, the first argument that is not an option is its value */
} pj_job_option;

typedef struct pj_job pj_job;
typedef struct pj_result pj_result;

struct pj_job {
	uint32_t abi;        /* PJ_ABI */
	const char *name;    /* a word: [A-Za-z0-9_.-]+ */
	const char *summary; /* one line for the help, or NULL */
	pj_input input;
	pj_mapper mapper;
	pj_sorter sorter;
	pj_parts parts;
	pj_reducer reducer;
	pj_output output;
	pj_keys keys;         /* their order, groups and parts, where those are not the usual ones */
	bool map_only;        /* what mappers emit is the output, in plan order; `sorter` and `reducer` are not used */
	bool counts_lines;    /* pj_task_line tells the numbers of lines: files are read once more, before the map */
	bool begins_empty;    /* the first map task, even if it is the only one, has no text: `begin` and `end` alone */
	uint32_t input_count; /* so many inputs are needed, no more and no less; 0: any number */
	bool may_replace_input; /* with `overwrite` the output may be a file that is read: replaced at the end */
	/*
	 * pj_task_place tells offsets in the text of compressed inputs as well: those that are cut into pieces are read
	 * once more, before the map. Otherwise (and without counts_lines) theirs are counted from the piece's start.
	 */
	bool tells_places;
	/* The job's own options, ended by one whose name is NULL; or NULL. */
	const pj_job_option *options;
	/* Letters that no common option has here: the tool that the job replaces has other options of these names. */
	const char *reserved;
	/*
	 * Optional: settles a copy of the job by the values of its options, in the order of the table (a flag: "" or
	 * NULL). Called before the run, in the calling process, whose memory the workers inherit; of a job with `load`
	 * in each worker as well. It may be called in several threads at a time, for one copy each.
	 */
	pj_status (*configure)(pj_job *job, const char *const *values, pj_error *error);
	/* Optional: gives back what `configure` got for the copy. A worker that ends does not call it. */
	void (*release)(pj_job *job);
	/*
	 * Optional, for pj_main: whether the answer of a run that went well is yes; no is exit code 1. `values` are
	 * those of the job's options. A plug-in can't have it: it would run in the calling process.
	 */
	bool (*answer)(const pj_result *result, const char *const *values);
	/*
	 * Optional: the user's code is not in this process. Called once in each worker, where it returns the real job;
	 * the one at hand only describes it. See program.h.
	 */
	pj_status (*load)(void *arg, const pj_job **ret_job, pj_error *error);
	void *load_arg;
};

/* What a run tells while it goes on. */
typedef struct pj_progress {
	const char *phase;    /* "map", "merge", "reduce" */
	uint64_t done, total; /* bytes of input in "map" (total 0: not known), else tasks */
	uint64_t records;     /* mapped so far */
	double seconds;       /* since the start */
	unsigned workers;
	uint64_t retries;
} pj_progress;

/* A record that was left out. The names live for the call that tells of it. */
typedef struct pj_bad_record {
	const char *file;
	uint64_t offset, record, bytes; /* record: its number in the file, from 1; 0: it cannot be counted */
	const char *reason;             /* of its last failure */
} pj_bad_record;

/* Defaults and bounds of options; those of the split size are with the plan, which tells what it decided (below). */
enum { PJ_ATTEMPTS_USUAL = 4, PJ_MAX_RECORD_USUAL = 1 << 30, PJ_PARTITIONS_MAX = 65536, PJ_WORKERS_MAX = 1024 };

/* How a job is run. */
typedef struct pj_options {
	pj_input input;
	pj_output output;
	pj_sorter sorter;
	unsigned workers;    /* 0: as many as there are processors */
	uint64_t partitions; /* 0: chosen by the size of the input */
	/*
	 * Input per map task. 0: a 64th of it, at least 256 KiB (2 MiB for a mapper that is a program) and at most
	 * 16 MiB; 16 MiB where the input is a stream.
	 */
	uint64_t split_bytes;
	unsigned attempts;   /* tries per task before the run fails, two where user code refuses it; 0: the usual */
	unsigned timeout_ms; /* an attempt without progress for so long is killed and tried again; 0: never */
	/*
	 * Bytes that PapJuice itself may use for pairs, in all processes together; more goes to files in `temp`. At
	 * most 2^62. 0: half of what is available when the run begins. Not used by the engine `reference` and the
	 * sorter `shared`, which keep everything in memory.
	 */
	uint64_t memory;
	/* Folder for temporary files; NULL: $TMPDIR, else beside the output, for streams and functions /var/tmp. */
	const char *temp;
	/*
	 * Up to so many records that kill or fail their task twice are left out, those and no others; a job that meets
	 * more of them fails. The bytes of those left out go to the file `bad_records` (NULL: nowhere), which appears
	 * at the end, as an output does. A record of more than `max_record` bytes is bad as well; 0: the usual.
	 */
	uint64_t skip_bad, max_record;
	const char *bad_records;
	/* Called in the calling process at the end, also of a run that failed, for each of them in order. */
	void (*bad_record)(void *arg, const pj_bad_record *record);
	void *bad_record_arg;
	pj_bytes params;           /* handed to every task */
	const char *const *values; /* of the job's own options; NULL: their initial values */
	/* Called in the calling process some ten times a second. */
	void (*progress)(void *arg, const pj_progress *progress);
	void *progress_arg;
	/* Becomes the number of a signal when the run is to stop (set by the caller's handler); NULL: not used. */
	const volatile sig_atomic_t *stop;
	/*
	 * Which engine runs the tasks: "local", worker processes on this machine, or "reference", one task after
	 * another in the calling process, in the plainest code. The result is the same. NULL: "local", unless a sorter
	 * asks for the reference.
	 */
	const char *engine;
	pj_parts parts;
} pj_options;

/* What a caller may want to know of an engine. */
typedef struct pj_engine_facts {
	const char *name;
	bool in_caller; /* user code runs in the process that calls pj_run */
} pj_engine_facts;

/* Tells which engine will run a job with these options. False: there is none of that name. */
PJ_API bool pj_engine_of(const pj_job *job, const pj_options *options, pj_engine_facts *ret_facts);

/* One failed attempt. */
typedef struct pj_failure {
	char phase[16];
	char kind[16]; /* "signal", "timeout", "memory", "exit", "error" */
	int64_t task;
	int attempt;
	bool knows_record; /* the record in work is the one at `offset`; else it is near there */
	int64_t offset;    /* in the input; -1: not known */
	char reason[256];  /* with the input's name */
} pj_failure;

enum { PJ_FAILURES_MAX = 64 };

/*
 * What the plan of a run decided; all 0: the run failed before it. `ranges` and `in_place` decide only how much is done
 * at a time: they depend on the memory budget, and don't show in the output.
 */
typedef struct pj_plan_facts {
	uint64_t split_bytes; /* input per map task, at most */
	uint64_t part_files;  /* that reduced pairs are parted into; 1 for a file or stream; `map_only`: 0 */
	uint64_t ranges;      /* of keys, which are reduced apart: the number that is aimed at */
	bool in_place;        /* pairs are places in the inputs, not copies: these fit into half of the budget */
} pj_plan_facts;

/* What a run did. Counts of what failed attempts did are not in it. */
struct pj_result {
	uint64_t inputs, input_bytes, records; /* records: lines */
	uint64_t map_tasks, reduce_tasks, partitions;
	uint64_t map_pairs;            /* pairs emitted by mappers */
	uint64_t run_pairs, run_bytes; /* pairs and bytes in published runs */
	uint64_t distinct_keys;        /* groups reduced */
	uint64_t output_pairs, output_bytes;
	uint64_t attempts, failures;
	uint64_t skipped;      /* bad records that were left out */
	unsigned workers;      /* worker processes at a time */
	unsigned workers_used; /* of these, how many had a task published */
	double plan_seconds, map_seconds, merge_seconds, reduce_seconds, commit_seconds, total_seconds;
	uint64_t peak_bytes;                 /* memory of all processes together, at its highest (sampled) */
	uint64_t memory_bytes;               /* the budget */
	uint64_t spilled_bytes;              /* of runs and parts that were written to disk */
	uint64_t merge_passes;               /* over spilled pairs, besides the one that reduces them */
	uint64_t inputs_grown;               /* inputs that grew after they were planned */
	pj_failure failure[PJ_FAILURES_MAX]; /* the first ones */
	/* Of programs (command.h): how many were started, their processor time, the most memory that one had. */
	uint64_t programs;
	double program_seconds;
	uint64_t program_peak_bytes;
	pj_counter counter[PJ_COUNTERS_MAX]; /* in the order of group and name */
	size_t counter_count;
	uint64_t counters_lost; /* amounts added to counters beyond these */
	pj_plan_facts plan;
};

/*
 * Runs `job` as `options` say (NULL: defaults) and waits for its end. *ret_result (NULL: not wanted) is set in any
 * case, to what was done so far. PJ_OK: the whole output is there. Otherwise *error tells why, an output that stood
 * there before is untouched, and no process, file or shared memory of the run is left. (Standard output and a `pair`
 * function are streams: they may have got a beginning, of whole parts; a compressed one any beginning.)
 */
PJ_API PJ_MUST_USE pj_status pj_run(const pj_job *job, const pj_options *options, pj_result *ret_result,
				    pj_error *error);

#ifdef __cplusplus
}
#endif
#endif
