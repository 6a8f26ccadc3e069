/*
 * table.c: the common options, as data. The parser, the help, the manual and the completions are made of this table; an
 * option that is not here does not exist, and one that is here is parsed, shown and completed without another line.
 */
#include <string.h>

#include "front/front.h"

#define SORTERS "simple plex shared total"
#define PARTS "hash ranges"
#define PROGRESS_WORDS "auto always never"

static bool take_output(struct pj__settings *settings, const char *value)
{
	settings->run.output.path = value;
	return *value != 0;
}

static bool take_overwrite(struct pj__settings *settings, const char *value)
{
	(void)value;
	return settings->run.output.overwrite = true;
}

static bool take_escape(struct pj__settings *settings, const char *value)
{
	(void)value;
	return settings->run.output.escape = true;
}

static bool take_compress(struct pj__settings *settings, const char *value)
{
	static const pj_compression kinds[] = {PJ_GZ, PJ_BZ2, PJ_ZST};
	const int at = pj__word_index(value, "gz bz2 zst");
	if (at >= 0)
		settings->run.output.compression = kinds[at];
	return at >= 0;
}

static bool take_workers(struct pj__settings *settings, const char *value)
{
	return pj__read_workers(value, &settings->run.workers);
}

static bool take_memory(struct pj__settings *settings, const char *value)
{
	return pj__read_memory(value, &settings->run.memory);
}

static bool take_partitions(struct pj__settings *settings, const char *value)
{
	return pj__read_count(value, 1, 65536, &settings->run.partitions);
}

static bool take_split_size(struct pj__settings *settings, const char *value)
{
	return pj__read_size(value, &settings->run.split_bytes);
}

static bool take_sorter(struct pj__settings *settings, const char *value)
{
	static const pj_sorter sorters[] = {PJ_SORTER_SIMPLE, PJ_SORTER_PLEX, PJ_SORTER_SHARED, PJ_SORTER_TOTAL};
	const int index = pj__word_index(value, SORTERS);
	if (index >= 0)
		settings->run.sorter = sorters[index];
	return index >= 0;
}

/* Whether there is such an engine the run will say. */
static bool take_engine(struct pj__settings *settings, const char *value)
{
	settings->run.engine = value;
	return true;
}

static bool take_parts(struct pj__settings *settings, const char *value)
{
	static const pj_parts parts[] = {PJ_PARTS_HASH, PJ_PARTS_RANGES};
	const int index = pj__word_index(value, PARTS);
	if (index >= 0)
		settings->run.parts = parts[index];
	return index >= 0;
}

static bool take_temp(struct pj__settings *settings, const char *value)
{
	settings->run.temp = value;
	return *value != 0;
}

static bool take_attempts(struct pj__settings *settings, const char *value)
{
	uint64_t attempts;
	if (!pj__read_count(value, 1, 1000, &attempts))
		return false;
	settings->run.attempts = (unsigned)attempts;
	return true;
}

static bool take_task_timeout(struct pj__settings *settings, const char *value)
{
	return pj__read_seconds(value, &settings->run.timeout_ms);
}

static bool take_skip_bad(struct pj__settings *settings, const char *value)
{
	return pj__read_count(value, 0, UINT32_MAX, &settings->run.skip_bad);
}

static bool take_bad_records(struct pj__settings *settings, const char *value)
{
	settings->run.bad_records = value;
	return *value != 0;
}

static bool take_max_record(struct pj__settings *settings, const char *value)
{
	return pj__read_size(value, &settings->run.max_record);
}

static bool take_progress(struct pj__settings *settings, const char *value)
{
	static const enum pj__progress_when when[] = {PJ__PROGRESS_AUTO, PJ__PROGRESS_ALWAYS, PJ__PROGRESS_NEVER};
	const int index = pj__word_index(value, PROGRESS_WORDS);
	if (index >= 0)
		settings->progress = when[index];
	return index >= 0;
}

static bool take_quiet(struct pj__settings *settings, const char *value)
{
	(void)value;
	return settings->quiet = true;
}

static bool take_stats(struct pj__settings *settings, const char *value)
{
	settings->stats = value;
	return *value != 0;
}

static bool take_short_help(struct pj__settings *settings, const char *value)
{
	/* -h and --help are one option in the table; settings.c tells them apart by how they were typed */
	settings->action = *value ? PJ__ACTION_SHORT_HELP : PJ__ACTION_HELP;
	return true;
}

static bool take_version(struct pj__settings *settings, const char *value)
{
	(void)value;
	settings->action = PJ__ACTION_VERSION;
	return true;
}

const struct pj__option pj__options[] = {
	{.name = "output",
	 .letter = 'o',
	 .value = "PATH",
	 .completes = PJ__COMPLETES_FILE,
	 .initial = "-",
	 .take = take_output,
	 .good = "a path",
	 .help = "where the result goes",
	 .more = "\"-\" is standard output; a path that ends in \"/\" is a folder of part-NNNNN files and _SUCCESS; "
		 "any other path is one file. A file or folder appears when it is complete, by one rename, or not at "
		 "all. One that exists is refused without --overwrite."},
	{.name = "overwrite",
	 .take = take_overwrite,
	 .help = "replace an output that exists",
	 .more = "Replaces a regular file, or a folder that holds nothing but part files and _SUCCESS, at the end and "
		 "by one rename; until then the old one stands. Anything else is refused."},
	{.name = "workers",
	 .letter = 'w',
	 .other_letter = 'j',
	 .value = "N",
	 .initial = "processors",
	 .take = take_workers,
	 .good = "a number from 1 to 1024, or 2x for twice the processors",
	 .help = "worker processes; 2x doubles the default",
	 .more = "The processors counted are those this process may use (affinity and cgroup quota). The result does "
		 "not depend on the number of workers."},
	{.name = "memory",
	 .letter = 'm',
	 .value = "SIZE",
	 .initial = "half of free",
	 .take = take_memory,
	 .good = "a number of bytes, with K, M, G or T: 512M, 4G; or a share of what is available: 50%",
	 .help = "budget for all processes together",
	 .more = "What does not fit goes to files in --temp. K, M, G and T are powers of 1024; 50% is half of the "
		 "memory that is available now, cgroup limits included. The result does not depend on it. The sorters "
		 "simple and shared keep everything in memory."},
	{.name = "partitions",
	 .letter = 'p',
	 .value = "N",
	 .initial = "by size",
	 .take = take_partitions,
	 .good = "a number from 1 to 65536",
	 .help = "reduce tasks, and part files of a folder",
	 .more = "By default the size of the input decides."},
	{.name = "split-size",
	 .rare = true,
	 .value = "SIZE",
	 .initial = "16M",
	 .take = take_split_size,
	 .good = "a number of bytes, or with K, M, G or T, powers of 1024: 512K, 16M",
	 .help = "input per map task",
	 .more = "K, M, G and T are powers of 1024. A record belongs to the split in which it begins, however long "
		 "it is."},
	{.name = "sorter",
	 .value = "NAME",
	 .choices = SORTERS,
	 .initial = "plex",
	 .take = take_sorter,
	 .good = "one of: " SORTERS,
	 .help = "how pairs are brought together",
	 .more = "plex: tables and runs of each worker, merged partition by partition. shared: one dict in shared "
		 "memory, merged under its lock. Both give the same bytes. Two older names are still known: simple is "
		 "--engine reference, and total is --parts ranges."},
	{.name = "parts",
	 .rare = true,
	 .value = "HOW",
	 .choices = PARTS,
	 .initial = "hash",
	 .take = take_parts,
	 .good = "one of: " PARTS,
	 .help = "which part file of a folder a key goes to",
	 .more = "hash: its hash decides. ranges: where it stands among the keys of a sample of the input, so that the "
		 "part files, one after another, are one sorted sequence. In a file or standard output it does not "
		 "show."},
	{.name = "engine",
	 .rare = true,
	 .value = "NAME",
	 .choices = "reference local",
	 .initial = "local",
	 .take = take_engine,
	 .help = "who runs the tasks",
	 .more = "local: worker processes on this machine. reference: one process, one task after another, in the "
		 "plainest code that is right. Both give the same bytes."},
	{.name = "temp",
	 .value = "DIR",
	 .completes = PJ__COMPLETES_FOLDER,
	 .initial = "$TMPDIR",
	 .take = take_temp,
	 .good = "a folder",
	 .help = "folder for temporary files",
	 .more = "Without $TMPDIR: beside the output, and /var/tmp for standard output. An unfinished output always "
		 "lies beside the output."},
	{.name = "attempts",
	 .value = "N",
	 .initial = "4",
	 .take = take_attempts,
	 .good = "a number from 1 to 1000",
	 .help = "tries per task before the job fails",
	 .more = "A task is tried again, so often, when its worker is killed or makes no progress; the last time with "
		 "nothing else running, if memory was the reason. When user code returns an error or exits it is tried "
		 "once more."},
	{.name = "task-timeout",
	 .value = "SEC",
	 .initial = "600",
	 .take = take_task_timeout,
	 .good = "seconds, such as 600 or 0.5; 0: never",
	 .help = "time without progress before a task is retried",
	 .more = "An attempt that makes no progress for so long is killed and tried again. 0: never."},
	{.name = "skip-bad",
	 .value = "N",
	 .initial = "0",
	 .take = take_skip_bad,
	 .good = "a number of records",
	 .help = "leave out up to N records that fail twice",
	 .more = "Records that kill or fail their task twice are left out, these and no others, and are listed at the "
		 "end and in --stats. With more than N the job fails."},
	{.name = "bad-records",
	 .rare = true,
	 .value = "FILE",
	 .completes = PJ__COMPLETES_FILE,
	 .take = take_bad_records,
	 .good = "a path",
	 .help = "keep the bytes of records left out",
	 .more = "As they stand in the input, and in its order. The file appears at the end of the job, as an output "
		 "does."},
	{.name = "max-record",
	 .rare = true,
	 .value = "SIZE",
	 .initial = "1G",
	 .take = take_max_record,
	 .good = "a number of bytes, or with K, M, G or T, powers of 1024: 64K, 1G",
	 .help = "longest record; a longer one is bad",
	 .more = "Whatever it says, a record must fit into a quarter of --memory."},
	{.name = "progress",
	 .value = "WHEN",
	 .choices = PROGRESS_WORDS,
	 .initial = "auto",
	 .take = take_progress,
	 .good = "one of: " PROGRESS_WORDS,
	 .help = "progress on standard error",
	 .more = "auto: when standard error is a terminal. always: also when it is not, as a line every few seconds. "
		 "Shown are phase, percent, rate, time left, workers and retries."},
	{.name = "quiet",
	 .letter = 'q',
	 .take = take_quiet,
	 .help = "no progress and no notes",
	 .more = "Errors are printed all the same."},
	{.name = "stats",
	 .value = "FILE",
	 .completes = PJ__COMPLETES_FILE,
	 .take = take_stats,
	 .good = "a path, or \"-\" for standard error",
	 .help = "write counters, times and memory as JSON",
	 .more = "\"-\" is standard error. The statistics are written whether the job succeeds or fails; a file that "
		 "exists is replaced."},
	{.name = "escape",
	 .take = take_escape,
	 .help = "write tab, newline and backslash escaped",
	 .more = "As \\t, \\n and \\\\. Without it a key or value that holds one of these is written as it is."},
	{.name = "compress",
	 .value = "KIND",
	 .choices = "gz bz2 zst",
	 .take = take_compress,
	 .good = "gz, bz2 or zst",
	 .help = "compress the output: gz, bz2 or zst",
	 .more = "Part files are called part-00000.gz and so on, and the workers compress them; a file, whose name "
		 "is as given, and standard output are compressed while they are written. Compressed input needs "
		 "no option."},
	{.name = "help",
	 .letter = 'h',
	 .take = take_short_help,
	 .help = "this help; --help tells more",
	 .more = "-h fits on a screen."},
	{.name = "version",
	 .take = take_version,
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
					.completes = option->completes,
					.common = option};
	if (!pj__owns_letter(job, option->letter))
		ret_known->letter = option->letter;
	if (!pj__owns_letter(job, option->other_letter))
		ret_known->other_letter = option->other_letter;
	return true;
}
