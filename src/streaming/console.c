/*
 * console.c: see console.h.
 */
#include "streaming/console.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void pj__console_log(const char *level, const char *logger, const char *format, ...)
{
	char text[2048], when[32] = "";
	struct timespec now;
	struct tm local;
	va_list list;
	va_start(list, format);
	vsnprintf(text, sizeof text, format, list);
	va_end(list);
	clock_gettime(CLOCK_REALTIME, &now);
	if (localtime_r(&now.tv_sec, &local))
		strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &local);
	fprintf(stderr, "%s,%03d %s %s: %s\n", when, (int)(now.tv_nsec / 1000000), level, logger, text);
}

void pj__console_error(const pj_error *error, const char *logger)
{
	char line[4096];
	pj__console_log("ERROR", logger, "%s", pj_error_format(error, line, sizeof line));
	pj__console_hint(error, logger);
}

void pj__console_hint(const pj_error *error, const char *logger)
{
	static const char memory[] = "--memory ";
	const size_t len = sizeof memory - 1;
	if (!strncmp(error->hint, memory, len))
		pj__console_log("ERROR", logger, "hint: -D papjuice.memory=%s", error->hint + len);
	else if (error->hint[0] && !strstr(error->hint, "--"))
		pj__console_log("ERROR", logger, "hint: %s", error->hint);
}

void pj__console_usage(void)
{
	fputs("usage: papjuice streaming [generic options] [streaming options]\n"
	      "\n"
	      "  papjuice streaming -input logs -output counts \\\n"
	      "      -mapper 'grep -o ERROR.*' -reducer 'uniq -c' -numReduceTasks 1\n"
	      "\n"
	      "Hadoop's generic options, which come first:\n"
	      "  -D NAME=VALUE           sets a property; -conf FILE reads properties\n"
	      "  -files A,B#LINK         files to be in the folder of each attempt\n"
	      "  -archives A.zip#LINK    archives to be unpacked there\n"
	      "  -fs URI, -jt ADDRESS, -libjars LIST, -tokenCacheFile FILE    without effect\n"
	      "\n"
	      "streaming options:\n"
	      "  -input PATH...          files, folders and globs; may be given several times\n"
	      "  -output FOLDER          where part files go; it must not exist\n"
	      "  -mapper COMMAND         or a class; default IdentityMapper\n"
	      "  -combiner COMMAND       or a class\n"
	      "  -reducer COMMAND        or a class, NONE, or aggregate; default IdentityReducer\n"
	      "  -numReduceTasks N       how many part files\n"
	      "  -file PATH...           files to be in the folder of each attempt\n"
	      "  -cmdenv NAME=VALUE      a variable for the commands\n"
	      "  -inputformat CLASS      TextInputFormat, KeyValueTextInputFormat, NLineInputFormat\n"
	      "  -outputformat CLASS     TextOutputFormat\n"
	      "  -partitioner CLASS      HashPartitioner, KeyFieldBasedPartitioner\n"
	      "  -io FORM                text, rawbytes, typedbytes, keyonlytext\n"
	      "  -lazyOutput             no part file without a record\n"
	      "  -jobconf NAME=VALUE, -additionalconfspec FILE, -dfs URI      as -D, -conf and -fs\n"
	      "  -cacheFile URI#LINK, -cacheArchive URI#LINK                 as -files and -archives\n"
	      "  -inputreader, -mapdebug, -reducedebug, -background, -verbose, -debug\n"
	      "  -info, -help            this text\n"
	      "\n"
	      "PapJuice's own: -D papjuice.workers=N, -D papjuice.memory=SIZE. More: papjuice help streaming\n",
	      stdout);
}

void pj__console_progress(void *arg, const pj_progress *progress)
{
	pj__shown *const shown = arg;
	const bool maps = !strcmp(progress->phase, "map"), reduces = !strcmp(progress->phase, "reduce");
	const int percent = progress->total ? (int)(100.0 * (double)progress->done / (double)progress->total) : 0;
	/* tens are enough */
	const int map = maps ? percent / 10 * 10 : 100, reduce = reduces ? percent / 10 * 10 : 0;
	if (map == shown->map && reduce == shown->reduce)
		return;
	shown->map = map;
	shown->reduce = reduce;
	pj__console_log("INFO", "mapreduce.Job", " map %d%% reduce %d%%", map, shown->has_reduce ? reduce : 0);
}

static void print_counter(const char *name, int64_t value)
{
	fprintf(stderr, "\t\t%s=%" PRId64 "\n", name, value);
}

void pj__console_counters(const pj_result *result)
{
	const struct {
		const char *name;
		uint64_t value;
	} own[] = {
		{"Map input records", result->records},
		{"Map output records", result->map_pairs},
		{"Reduce input groups", result->distinct_keys},
		{"Reduce input records", result->run_pairs},
		{"Reduce output records", result->reduce_tasks ? result->output_pairs : 0},
	};
	enum { OWN = sizeof own / sizeof *own };
	pj__console_log("INFO", "mapreduce.Job", "Counters: %zu", result->counter_count + OWN + 2);
	const char *group = "";
	for (size_t i = 0; i < result->counter_count; i++) {
		const pj_counter *const counter = &result->counter[i];
		if (strcmp(group, counter->group) != 0)
			fprintf(stderr, "\t%s\n", counter->group);
		group = counter->group;
		print_counter(counter->name, counter->value);
	}
	fputs("\tMap-Reduce Framework\n", stderr);
	for (size_t i = 0; i < OWN; i++)
		print_counter(own[i].name, (int64_t)own[i].value);
	fputs("\tFile Input Format Counters \n", stderr);
	print_counter("Bytes Read", (int64_t)result->input_bytes);
	fputs("\tFile Output Format Counters \n", stderr);
	print_counter("Bytes Written", (int64_t)result->output_bytes);
}
