/*
 * table.c: the common options, as data. The parser with its checks, the help, the manual page, the completions and the
 * options in --stats are made of this table: an option is one entry, and needs no line elsewhere. (A choice that the
 * size of the input or the machine decides is told to --stats by the result of the run: stats.c.)
 *
 * What a type of value looks like, and how it is read and printed, is said in values.c, once for each type.
 */
#include <stddef.h>
#include <string.h>

#include "front/front.h"

/* The place of a field in the settings; TO_RUN: one of pj_options, which a run gets. */
#define AT(field) .at = offsetof(struct pj__settings, field)
#define TO_RUN(field) AT(run.field)

const struct pj__option pj__options[] = {
	{.name = "output",
	 .type = PJ__PATH,
	 TO_RUN(output.path),
	 .stats = "output",
	 .letter = 'o',
	 .value = "PATH",
	 .initial = "-",
	 .help = "where the result goes",
	 .more = "\"-\" is standard output; a path that ends in \"/\" is a folder of part-NNNNN files and _SUCCESS; "
		 "any other path is one file. A file or folder appears when it is complete, by one rename, or not at "
		 "all. One that exists is refused without --overwrite."},
	{.name = "overwrite",
	 .type = PJ__FLAG,
	 TO_RUN(output.overwrite),
	 .stats = "overwrite",
	 .help = "replace an output that exists",
	 .more = "Replaces a regular file, or a folder that holds nothing but part files and _SUCCESS, at the end and "
		 "by one rename; until then the old one stands. Anything else is refused."},
	{.name = "workers",
	 .type = PJ__WORKERS,
	 TO_RUN(workers),
	 .stats = "workers",
	 .letter = 'w',
	 .other_letter = 'j',
	 .value = "N",
	 .initial = "processors",
	 .help = "worker processes; 2x doubles the default",
	 .more = "The processors counted are those this process may use (affinity and cgroup quota). The result does "
		 "not depend on the number of workers."},
	{.name = "memory",
	 .type = PJ__MEMORY,
	 TO_RUN(memory),
	 .stats = "memory",
	 .letter = 'm',
	 .value = "SIZE",
	 .initial = "half of free",
	 .help = "budget for all processes together",
	 .more = "What does not fit goes to files in --temp. K, M, G and T are powers of 1024; 50% is half of the "
		 "memory that is available now, cgroup limits included. The result does not depend on it. The sorter "
		 "shared and the engine reference keep everything in memory."},
	{.name = "partitions",
	 .type = PJ__COUNT,
	 TO_RUN(partitions),
	 .stats = "partitions",
	 .least = 1,
	 .most = PJ_PARTITIONS_MAX,
	 .letter = 'p',
	 .value = "N",
	 .initial = "by size",
	 .help = "reduce tasks, and part files of a folder",
	 .more = "By default the size of the input decides; what was used stands in --stats."},
	{.name = "split-size",
	 .type = PJ__SIZE,
	 TO_RUN(split_bytes),
	 .stats = "split_bytes",
	 .rare = true,
	 .value = "SIZE",
	 .initial = "by size",
	 .help = "input per map task",
	 .more = "By default a 64th of the input, at least 256K (2M for a mapper that is a program) and at most 16M; "
		 "16M where the input is a stream. What was used stands in --stats. K, M, G and T are powers of 1024. "
		 "A record belongs to the split in which it begins, however long it is."},
	{.name = "sorter",
	 .type = PJ__WORD,
	 TO_RUN(sorter),
	 .stats = "sorter",
	 .least = PJ_SORTER_SIMPLE,
	 .value = "NAME",
	 .choices = "simple plex shared total",
	 .initial = "plex",
	 .help = "how pairs are brought together",
	 .more = "plex: tables and runs of each worker, merged partition by partition. shared: one dict in shared "
		 "memory, merged under its lock. Both give the same bytes. Two older names are still known: simple is "
		 "--engine reference, and total is --parts ranges."},
	{.name = "parts",
	 .type = PJ__WORD,
	 TO_RUN(parts),
	 .stats = "parts",
	 .least = PJ_PARTS_HASH,
	 .rare = true,
	 .value = "HOW",
	 .choices = "hash ranges",
	 .initial = "hash",
	 .help = "which part file of a folder a key goes to",
	 .more = "hash: its hash decides. ranges: where it stands among the keys of a sample of the input, so that the "
		 "part files, one after another, are one sorted sequence. In a file or standard output it does not "
		 "show."},
	{.name = "engine",
	 .type = PJ__NAME,
	 TO_RUN(engine),
	 .stats = "engine",
	 .rare = true,
	 .value = "NAME",
	 .choices = "reference local",
	 .initial = "local",
	 .help = "what runs the tasks",
	 .more = "local: worker processes on this machine. reference: one process, one task after another, in the "
		 "plainest code that is right. Both give the same bytes."},
	{.name = "temp",
	 .type = PJ__FOLDER,
	 TO_RUN(temp),
	 .stats = "temp",
	 .value = "DIR",
	 .initial = "$TMPDIR",
	 .help = "folder for temporary files",
	 .more = "Without $TMPDIR: beside the output, and /var/tmp for standard output. An unfinished output always "
		 "lies beside the output."},
	{.name = "attempts",
	 .type = PJ__UNSIGNED,
	 TO_RUN(attempts),
	 .stats = "attempts",
	 .least = 1,
	 .most = 1000,
	 .usual = PJ_ATTEMPTS_USUAL,
	 .value = "N",
	 .help = "tries per task before the job fails",
	 .more = "A task whose worker is killed or makes no progress is tried up to N times; the last time with "
		 "nothing else running, if memory was the reason. A task whose code returns an error or exits is tried "
		 "twice."},
	{.name = "task-timeout",
	 .type = PJ__SECONDS,
	 TO_RUN(timeout_ms),
	 .stats = "timeout_ms",
	 .usual = 600000,
	 .value = "SEC",
	 .help = "time without progress before a task is retried",
	 .more = "An attempt that makes no progress for so long is killed and tried again. 0: never."},
	{.name = "skip-bad",
	 .type = PJ__COUNT,
	 TO_RUN(skip_bad),
	 .stats = "skip_bad",
	 .most = UINT32_MAX,
	 .value = "N",
	 .initial = "0",
	 .help = "leave out up to N records that fail twice",
	 .more = "Records that kill or fail their task twice are left out, these and no others, and are listed at the "
		 "end and in --stats. With more than N the job fails."},
	{.name = "bad-records",
	 .type = PJ__PATH,
	 TO_RUN(bad_records),
	 .stats = "bad_records",
	 .rare = true,
	 .value = "FILE",
	 .help = "keep the bytes of records left out",
	 .more = "As they stand in the input, and in its order. The file appears at the end of the job, as an output "
		 "does."},
	{.name = "max-record",
	 .type = PJ__SIZE,
	 TO_RUN(max_record),
	 .stats = "max_record",
	 .usual = PJ_MAX_RECORD_USUAL,
	 .rare = true,
	 .value = "SIZE",
	 .help = "longest record; a longer one is bad",
	 .more = "Whatever it says, a record must fit into a quarter of --memory."},
	{.name = "progress",
	 .type = PJ__WORD,
	 AT(progress),
	 .least = PJ__PROGRESS_AUTO,
	 .value = "WHEN",
	 .choices = "auto always never",
	 .initial = "auto",
	 .help = "progress on standard error",
	 .more = "auto: when standard error is a terminal. always: also when it is not, as a line every few seconds. "
		 "Shown are phase, percent, rate, time left, workers and retries."},
	{.name = "quiet",
	 .type = PJ__FLAG,
	 AT(quiet),
	 .letter = 'q',
	 .help = "no progress and no notes",
	 .more = "Errors are printed all the same."},
	{.name = "stats",
	 .type = PJ__PATH,
	 AT(stats),
	 .good = "a path, or \"-\" for standard error",
	 .value = "FILE",
	 .help = "write counters, times and memory as JSON",
	 .more = "\"-\" is standard error. The statistics are written whether the job succeeds or fails; a file that "
		 "exists is replaced."},
	{.name = "escape",
	 .type = PJ__FLAG,
	 TO_RUN(output.escape),
	 .stats = "escape",
	 .help = "write tab, newline and backslash escaped",
	 .more = "As \\t, \\n and \\\\. Without it a key or value that holds one of these is written as it is."},
	{.name = "compress",
	 .type = PJ__WORD,
	 TO_RUN(output.compression),
	 .stats = "compress",
	 .least = PJ_GZ,
	 .none = "none",
	 .good = "gz, bz2 or zst",
	 .value = "KIND",
	 .choices = "gz bz2 zst",
	 .help = "compress the output: gz, bz2 or zst",
	 .more = "Part files are called part-00000.gz and so on, and the workers compress them; a file, whose name "
		 "is as given, and standard output are compressed while they are written. Compressed input needs "
		 "no option."},
	{.name = "help",
	 .type = PJ__ACTION,
	 AT(action),
	 .least = PJ__ACTION_HELP,
	 .most = PJ__ACTION_SHORT_HELP,
	 .letter = 'h',
	 .help = "this help; --help tells more",
	 .more = "-h fits on a screen."},
	{.name = "version",
	 .letter = 'V',
	 .type = PJ__ACTION,
	 AT(action),
	 .least = PJ__ACTION_VERSION,
	 .most = PJ__ACTION_VERSION,
	 .help = "print the version",
	 .more = "The first line is the name and the version."},
	{.name = NULL},
};

size_t pj__own_count(const pj_job *job)
{
	size_t count = 0;
	if (job && job->options)
		while (job->options[count].name)
			count++;
	return count;
}

size_t pj__own_operand(const pj_job *job)
{
	size_t index = 0;
	while (index < pj__own_count(job) && !job->options[index].operand)
		index++;
	return index;
}

bool pj__is_reserved(const pj_job *job, char letter)
{
	return letter && job && job->reserved && strchr(job->reserved, letter) != NULL;
}

bool pj__owns_letter(const pj_job *job, char letter)
{
	if (pj__is_reserved(job, letter))
		return true;
	for (size_t i = 0; letter && i < pj__own_count(job); i++)
		if (job->options[i].letter == letter)
			return true;
	return false;
}

bool pj__known_at(const pj_job *job, size_t index, struct pj__known *ret_known)
{
	const size_t own = pj__own_count(job);
	if (index < own) {
		const pj_job_option *const option = &job->options[index];
		*ret_known = (struct pj__known){.name = option->name,
						.letter = option->letter,
						.value = option->value,
						.initial = option->initial,
						.help = option->help ? option->help : "",
						.more = "",
						.own = index};
		return true;
	}
	const struct pj__option *option = pj__options;
	for (index -= own; index && option->name; index--)
		option++;
	if (!option->name)
		return false;
	*ret_known = (struct pj__known){.name = option->name,
					.value = option->value,
					.choices = option->choices,
					.initial = option->initial,
					.help = option->help,
					.more = option->more,
					.completes = pj__completes(option),
					.common = option};
	if (option->usual && pj__value_print(option, option->usual, ret_known->number, sizeof ret_known->number))
		ret_known->initial = ret_known->number;
	if (!pj__owns_letter(job, option->letter))
		ret_known->letter = option->letter;
	if (!pj__owns_letter(job, option->other_letter))
		ret_known->other_letter = option->other_letter;
	return true;
}
