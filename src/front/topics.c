/*
 * topics.c: the texts of the manual, as data. `papjuice help TOPIC`, --help and the manual page are made of these.
 *
 * A paragraph that begins with a tab is a line that is printed as it is.
 */
#include "front/front.h"

const struct pj__command pj__commands[] = {
	{"JOB", "papjuice JOB [options] [INPUT...]", "a built-in job by its name"},
	{"run", "papjuice run JOB [options] [INPUT...]", "a plug-in, a source, or programs"},
	{"streaming", "papjuice streaming [HADOOP'S OPTIONS]", "a Hadoop Streaming job as it is"},
	{"jobs", "papjuice jobs [NAME]", "the built-in jobs, or one of them"},
	{"help", "papjuice help [TOPIC]", "the manual"},
	{NULL, NULL, NULL},
};

static const char *const inputs[] = {
	"An INPUT is a file of any size, a folder, a glob that the shell left alone, @LIST, or \"-\" for standard "
	"input.",
	"A folder means all regular files in it and in its folders, in the order of their names; names that begin with "
	"\".\" or \"_\" are skipped.",
	"@LIST is a file of names, one to a line; @- reads the names from standard input.",
	"Without an INPUT standard input is read, unless it is a terminal.",
	"Bytes are taken as they are: any encoding, NUL bytes, lines of any length; a last line without newline "
	"counts.",
	"Compressed inputs are known by their first bytes, whatever their names: gzip, bzip2, xz, Zstandard and lz4. "
	"They are decoded on the way, on all processors where they can be cut: between the members of a gzip file "
	"(bgzip writes such), the blocks of bzip2 and xz (xz -T), the frames of Zstandard (pzstd) and lz4; files of a "
	"single piece are read side by side. --split-size is then one of compressed bytes.",
	"Zeros after gzip, bzip2 and xz are passed over; any other bytes there, damage, a file that is cut off and a "
	"bomb (after a gigabyte, text of more than 10000 times its compressed bytes) end the run with exit code 3, "
	"and the offset told is that of compressed bytes. What a decoder needs is part of --memory.",
	"An input that grew since the run was planned is read as far as it was planned, and this is said; one that "
	"became shorter or was rewritten ends the run with exit code 3.",
	NULL,
};

static const char *const output[] = {
	"The result is lines of key, tab, value, in the byte order of the keys; of a job that only maps, what was "
	"emitted, in the order of the input. The bytes are the same whatever the number of workers, and whatever was "
	"tried again.",
	"-o FILE writes a file, -o FOLDER/ a folder of part-NNNNN files and an empty _SUCCESS. Either appears by one "
	"rename when it is complete. An output that exists is refused without --overwrite; with it, it stays as it is "
	"until the rename. --overwrite replaces a regular file, or a folder that holds nothing but part files and "
	"_SUCCESS; the target of a symbolic link is replaced, not the link. Devices and FIFOs are written as streams.",
	"To standard output a part is written when it and all earlier parts are done. After a failure a beginning of "
	"whole parts may have been written, and the exit code tells.",
	"--compress gz, bz2 or zst compresses it: part files by the workers, else by one process. The beginning that a "
	"failure may leave on standard output can end anywhere then.",
	"Without --escape, a key or value that holds a tab, newline or backslash is written as it is.",
	NULL,
};

static const char *const exit_codes[] = {
	"\t0      done",
	"\t1      the answer is no: nothing found, a check did not hold",
	"\t2      wrong usage",
	"\t3      an input is missing, unreadable, corrupt or changed; a bad record",
	"\t4      no memory, disk or descriptors; output exists or cannot be written",
	"\t5      the job's code failed: crashed, hung, did not compile",
	"\t6      a fault of PapJuice itself",
	"\t128+n  ended by signal n",
	"A first SIGINT (Ctrl-C) stops the run cleanly, a second one ends it at once. When the reader of standard "
	"output goes away (papjuice ... | head) the run ends without a message, with 141.",
	"A message is one line, \"papjuice: WHAT FAILED: PATH:OFFSET: line N: reason\", and a line with a hint.",
	NULL,
};

static const char *const own_jobs[] = {
	"A job of your own is a dozen lines of C:",
	"\t#include <papjuice.h>",
	"\t",
	"\tstatic pj_status count_words(pj_task *task, pj_bytes text, void *arg)",
	"\t{",
	"\t        pj_bytes word;",
	"\t        while (pj_next_word(task, &text, &word))",
	"\t                pj_emit_i64(task, word, 1);",
	"\t        return PJ_OK;",
	"\t}",
	"\t",
	"\tPJ_PROGRAM(",
	"\t        .name    = \"wordcount\",",
	"\t        .mapper  = { .text = count_words },",
	"\t        .reducer = { .aggregate = &pj_sum_i64 },",
	"\t)",
	"Run the source as it is (papjuice run job.c book.txt): it is compiled with $CC, or cc, into a cache "
	"($XDG_CACHE_HOME/papjuice, else ~/.cache/papjuice), and again when it or the compiler or PapJuice changes.",
	"Or build a plug-in, and run that:",
	"\tcc -O2 -shared -fPIC job.c -o job.so $(pkg-config --cflags papjuice)",
	"\tpapjuice run ./job.so book.txt",
	"Or a program, which has all options of papjuice:",
	"\tcc -O2 job.c -o job $(pkg-config --cflags --libs papjuice)",
	"\t./job book.txt",
	"A job with a \"/\" in its name, or that ends in .so or .c, is a path; others are built-in names. Plug-ins are "
	"code that you trust: they run with your rights, in the worker processes.",
	NULL,
};

static const char *const programs[] = {
	"Programs in any language are mapper and reducer by their standard input and output:",
	"\tpapjuice run --map 'grep -o ERROR:.*' --reduce 'uniq -c' logs/",
	"The mapper gets lines of the input, a process for each map task (some megabytes), and writes lines. What "
	"stands before the first tab of a line is its key (--sep and --fields say otherwise; --fields 0 is the whole "
	"line). The reducer gets the lines, those with equal keys one after another, keys in byte order, a process "
	"for each part of the output (-p); what it writes is the output, as it is. Lines of one key stay in the order "
	"of the input.",
	"Without --reduce the mapper's lines are the output, in the order of the input. Without --map the lines of the "
	"input go to the reducer. --combine CMD is a reducer for some of a mapper's lines, before they are sorted: it "
	"writes lines that stand for what it read.",
	"A command is split into words as by a shell, with its quotes, but nothing is expanded; --shell hands it to "
	"sh -c.",
	"To a file or standard output each part is a range of keys, so all of it is in key order; to a folder a key's "
	"hash decides, and part files are those of -p.",
	"A program may stop reading early. It fails the attempt if it ends with another exit code than 0, or by a "
	"signal; when its task has failed too often, the run ends with exit code 5 and its last lines of standard "
	"error. What it has started may write until the end of the pipes, and is ended then.",
	"Lines \"reporter:counter:GROUP,NAME,AMOUNT\" on standard error add to a counter, which is shown at the end "
	"and in --stats; \"reporter:status:TEXT\" says that it lives. Other lines are passed on, up to 1 MiB for each "
	"worker.",
	NULL,
};

static const char *const streaming[] = {
	"A job of Hadoop Streaming runs here as it is: put \"papjuice streaming\" in the place of \"hadoop jar "
	"hadoop-streaming.jar\", or of \"mapred streaming\":",
	"\tpapjuice streaming -D mapreduce.job.reduces=4 -files map.py,reduce.py \\",
	"\t    -input logs -output counts -mapper 'python3 map.py' -reducer 'python3 reduce.py'",
	"Options, their order, old and new names of properties and exit codes are Hadoop's; each key is in the "
	"part file in which a cluster puts it, and the part files are those of Hadoop, byte by byte, where it does "
	"not leave the order of values open. Values of equal keys come in the order of the input here.",
	"Paths are local ones, with or without file:. Input formats: TextInputFormat, KeyValueTextInputFormat, "
	"NLineInputFormat. Output format: TextOutputFormat. Partitioners: HashPartitioner, "
	"KeyFieldBasedPartitioner. Comparator: KeyFieldBasedComparator. Mappers and reducers that are Java "
	"classes: IdentityMapper, InverseMapper, TokenCountMapper; IdentityReducer, LongSumReducer, and "
	"\"aggregate\". Other classes are refused.",
	"Each attempt runs in a folder of its own, in which there is what -file, -files and -archives name, and "
	"nothing else. What it leaves in the folder $mapreduce_task_output_dir comes into the output if it goes "
	"well.",
	"Options of PapJuice: -D papjuice.workers=N and -D papjuice.memory=SIZE, as --workers and --memory of "
	"other jobs. Exit codes: 0 done, 1 wrong usage or a job that failed, 5 an input is missing or the output "
	"exists.",
	NULL,
};

static const char *const stats[] = {
	"--stats FILE writes one JSON object when the run ends, well or not:",
	"\tpapjuice     the version",
	"\tjob, status, exit_code       wordcount, PJ_OK or PJ_ERR_..., 0",
	"\terror        null, or message, hint, what, file, offset, phase, task ...",
	"\toptions      what the run was asked to do, defaults included",
	"\tworkers, workers_used, partitions",
	"\tplan         what was decided: split_bytes of a map task, part_files,",
	"\t             ranges that are reduced apart, in_place: pairs are places",
	"\t             in the input, which fits into half of --memory; or null",
	"\tcounters     inputs, input_bytes, records, map_pairs, run_pairs, run_bytes,",
	"\t             distinct_keys, output_pairs, output_bytes, map_tasks,",
	"\t             reduce_tasks, attempts, failures, skipped, inputs_grown",
	"\tseconds      plan, map, merge, reduce, commit, total",
	"\tmemory       peak_bytes: all processes together, at the highest;",
	"\t             memory_bytes: the budget; spilled_bytes: written to disk;",
	"\t             merge_passes: over these, besides the one that reduces",
	"\tprograms     count, seconds of processor time, peak_bytes of the largest",
	"\tuser_counters  what programs have counted: by group, then name",
	"\tfailures     the first failed attempts: phase, task, attempt, reason,",
	"\t             kind (signal, timeout, memory, exit, error), offset, and",
	"\t             knows_record: the record in work is the one at this offset",
	"\tbad_records  those that were left out: file, offset, record, bytes, reason",
	"Bytes of names that are not UTF-8 are written \\xNN.",
	NULL,
};

const struct pj__topic pj__topics[] = {
	{"inputs", "what a job reads", inputs},
	{"output", "what a job writes, and when", output},
	{"exit-codes", "exit codes and messages", exit_codes},
	{"own-jobs", "jobs of your own: sources and plug-ins", own_jobs},
	{"programs", "mappers and reducers in any language", programs},
	{"streaming", "Hadoop Streaming jobs", streaming},
	{"statistics", "the statistics of a run", stats},
	{NULL, NULL, NULL},
};
