/*
 * stats.c: --stats, the numbers of a run as one JSON object. `papjuice help statistics` lists what is in it.
 *
 * Names of files may hold any bytes and JSON only UTF-8: what is not UTF-8 is written as \xNN, so that the object can
 * always be read. The file is written after the run; before it, it is made sure that it probably can be.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "front/front.h"

/* ------------------------------------------------------------------------------------------------------------ check */

static pj_status stats_failed(const char *what, const char *path, int errnum, pj_error *error)
{
	pj__front_fail(error, PJ_ERR_OUTPUT, what, "", "name another file with --stats");
	error->errnum = errnum;
	snprintf(error->file, sizeof error->file, "%s", path);
	return PJ_ERR_OUTPUT;
}

static bool same_file(const struct stat *a, const char *path)
{
	struct stat b;
	return stat(path, &b) == 0 && a->st_dev == b.st_dev && a->st_ino == b.st_ino;
}

/* Would two paths name one file, if both were written? Whether it exists or not, and however they are spelled. */
static bool same_target(const char *a, const char *b)
{
	struct stat there;
	if (!strcmp(a, b) || (stat(a, &there) == 0 && same_file(&there, b)))
		return true;
	const char *const slash_a = strrchr(a, '/'), *const slash_b = strrchr(b, '/');
	if (strcmp(slash_a ? slash_a + 1 : a, slash_b ? slash_b + 1 : b) != 0)
		return false;
	char *const folder_a = slash_a ? strndup(a, (size_t)(slash_a - a) + 1) : NULL;
	char *const folder_b = slash_b ? strndup(b, (size_t)(slash_b - b) + 1) : NULL;
	const bool same = stat(folder_a ? folder_a : ".", &there) == 0 && same_file(&there, folder_b ? folder_b : ".");
	free(folder_a);
	free(folder_b);
	return same;
}

/* An existing file that the statistics would replace. */
static pj_status check_existing(const struct pj__settings *settings, const struct stat *there, pj_error *error)
{
	const pj_options *const run = &settings->run;
	if (S_ISDIR(there->st_mode))
		return stats_failed("cannot write the statistics", settings->stats, EISDIR, error);
	if (faccessat(AT_FDCWD, settings->stats, W_OK, AT_EACCESS) < 0)
		return stats_failed("cannot write the statistics", settings->stats, errno, error);
	if (!S_ISREG(there->st_mode))
		return PJ_OK;
	for (size_t i = 0; i < run->input.path_count; i++)
		if (same_file(there, run->input.paths[i]))
			return pj__front_fail(error, PJ_ERR_USAGE, "the statistics would replace an input",
					      settings->stats, "name another file with --stats");
	return PJ_OK;
}

/* Is it the path of a regular file, one that exists or will? */
static bool is_file(const char *path)
{
	struct stat there;
	return path && strcmp(path, "-") != 0 && (stat(path, &there) != 0 || S_ISREG(there.st_mode));
}

/* Is it the folder itself, or a file right in it? */
static bool is_in_folder(const char *file, const char *folder)
{
	struct stat there;
	char *const name = strdup(folder), *const copy = strdup(file);
	for (size_t len = name ? strlen(name) : 0; len > 1 && name[len - 1] == '/'; len--)
		name[len - 1] = 0;
	const bool is = name && copy &&
			(same_target(file, name) || (stat(dirname(copy), &there) == 0 && same_file(&there, name)));
	free(name);
	free(copy);
	return is;
}

/* Statistics have a file of their own: the other would be lost without a word. */
static pj_status check_others(const struct pj__settings *settings, pj_error *error)
{
	const char *const stats = settings->stats, *const bad = settings->run.bad_records;
	const char *const output = settings->run.output.path;
	const size_t len = output ? strlen(output) : 0;
	const bool to_folder = len && output[len - 1] == '/';
	if (is_file(stats) && len &&
	    (to_folder ? is_in_folder(stats, output) : is_file(output) && same_target(stats, output)))
		return pj__front_fail(error, PJ_ERR_USAGE, "the statistics would replace the output", stats,
				      "name another file with --stats");
	if (is_file(stats) && is_file(bad) && same_target(stats, bad))
		return pj__front_fail(error, PJ_ERR_USAGE, "the statistics would replace the bad records", stats,
				      "name another file with --stats");
	return PJ_OK;
}

pj_status pj__stats_check(const struct pj__settings *settings, pj_error *error)
{
	const char *const path = settings->stats;
	const pj_status status = check_others(settings, error);
	if (status || !path || !strcmp(path, "-"))
		return status;
	struct stat there;
	if (stat(path, &there) == 0)
		return check_existing(settings, &there, error);
	if (errno != ENOENT)
		return stats_failed("cannot write the statistics", path, errno, error);
	if (lstat(path, &there) == 0)
		return stats_failed("the file of the statistics is a symbolic link to nothing", path, ENOENT, error);
	char *const copy = strdup(path);
	if (!copy)
		return pj__front_fail(error, PJ_ERR_MEMORY, "cannot check the statistics' file", NULL, NULL);
	const int failed = faccessat(AT_FDCWD, dirname(copy), W_OK | X_OK, AT_EACCESS) < 0 ? errno : 0;
	free(copy);
	return failed ? stats_failed("cannot write the statistics", path, failed, error) : PJ_OK;
}

/* ------------------------------------------------------------------------------------------------------------- text */

/* Length of the UTF-8 character at `at`, of `left` bytes; 0: it is none. The table of RFC 3629. */
static size_t utf8_len(const unsigned char *at, size_t left)
{
	static const struct {
		unsigned char first, last, low, high; /* of the first byte, of the second */
		size_t len;
	} forms[] = {{0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
		     {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
		     {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		const size_t len = forms[i].len;
		if (*at < forms[i].first || *at > forms[i].last)
			continue;
		if (len > left || (len > 1 && (at[1] < forms[i].low || at[1] > forms[i].high)))
			return 0;
		for (size_t j = 2; j < len; j++)
			if ((at[j] & 0xc0) != 0x80)
				return 0;
		return len;
	}
	return 0;
}

/* A string, or null. */
static json_t *text(const char *bytes)
{
	if (!bytes)
		return json_null();
	size_t left = strlen(bytes), used = 0;
	char *const valid = malloc(left * 4 + 1);
	if (!valid)
		return NULL;
	while (left) {
		const size_t len = utf8_len((const unsigned char *)bytes, left);
		const size_t taken = len ? len : 1;
		if (len)
			memcpy(valid + used, bytes, len);
		else
			snprintf(valid + used, 5, "\\x%02x", (unsigned char)*bytes);
		used += len ? len : 4;
		bytes += taken;
		left -= taken;
	}
	json_t *const made = json_stringn(valid, used);
	free(valid);
	return made;
}

static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)value);
}

/* Microseconds are enough, and are kept from looking like noise. */
static json_t *seconds(double value)
{
	return json_real((double)(int64_t)(value * 1e6 + 0.5) / 1e6);
}

/* NULL, if anything could not be put into it. */
static json_t *whole(json_t *made, int failed)
{
	if (!failed)
		return made;
	json_decref(made);
	return NULL;
}

static json_t *of_error(const pj_error *error)
{
	if (!error->status)
		return json_null();
	char line[4096];
	pj_error_format(error, line, sizeof line);
	json_t *const made = json_object();
	/* a value that is NULL, memory being short, makes the set fail, and the whole is checked at the end */
	int failed = json_object_set_new(made, "status", text(pj_status_name(error->status)));
	failed |= json_object_set_new(made, "message", text(line));
	failed |= json_object_set_new(made, "hint", error->hint[0] ? text(error->hint) : json_null());
	failed |= json_object_set_new(made, "what", text(error->what));
	failed |= json_object_set_new(made, "file", error->file[0] ? text(error->file) : json_null());
	failed |= json_object_set_new(made, "offset", error->offset < 0 ? json_null() : json_integer(error->offset));
	failed |= json_object_set_new(made, "record", error->record ? number(error->record) : json_null());
	failed |= json_object_set_new(made, "phase", error->phase[0] ? text(error->phase) : json_null());
	failed |= json_object_set_new(made, "task", error->task < 0 ? json_null() : json_integer(error->task));
	failed |= json_object_set_new(made, "attempt", error->attempt ? json_integer(error->attempt) : json_null());
	failed |= json_object_set_new(made, "said", error->said[0] ? text(error->said) : json_null());
	failed |= json_object_set_new(made, "errno", json_integer(error->errnum));
	failed |= json_object_set_new(made, "signal", json_integer(error->signal));
	return whole(made, failed);
}

/* The value of an option of the run. Unless 0 is a value like others, it means: left to the run. That is null. */
static json_t *of_option(const struct pj__option *option, const void *field)
{
	if (option->type == PJ__PATH || option->type == PJ__FOLDER || option->type == PJ__NAME)
		return text(*(const char *const *)field);
	const uint64_t value = pj__value_number(option, field);
	if (option->type == PJ__FLAG)
		return json_boolean(value);
	const bool may_be_0 = option->type == PJ__SECONDS || (option->type == PJ__COUNT && !option->least);
	if (option->type != PJ__WORD)
		return value || may_be_0 ? number(value) : json_null();
	if (!value)
		return text(option->none);
	const char *word = option->choices;
	for (uint64_t left = value - option->least; left; left--)
		word += strcspn(word, " ") + 1;
	return json_stringn(word, strcspn(word, " "));
}

/* What the run was asked to do, with what it decided itself filled in. */
static struct pj__settings decided(const struct pj__outcome *outcome)
{
	struct pj__settings shown = *outcome->settings;
	pj_options *const run = &shown.run;
	pj_engine_facts engine = {.name = run->engine};
	(void)pj_engine_of(outcome->job, run, &engine);
	run->engine = engine.name;
	if (!run->sorter)
		run->sorter = outcome->job->sorter ? outcome->job->sorter : PJ_SORTER_PLEX;
	if (!run->output.path)
		run->output.path = "-";
	if (!run->split_bytes)
		run->split_bytes = outcome->result.plan.split_bytes;
	return shown;
}

static json_t *of_options(const struct pj__outcome *outcome)
{
	const struct pj__settings shown = decided(outcome);
	json_t *const made = json_object(), *const inputs = json_array(), *const own = json_object();
	int failed = 0;
	for (size_t i = 0; i < shown.run.input.path_count; i++)
		failed |= json_array_append_new(inputs, text(shown.run.input.paths[i]));
	for (size_t i = 0; i < pj__own_count(outcome->job); i++) {
		const bool is_flag = !outcome->job->options[i].value;
		json_t *const value = is_flag ? json_boolean(shown.values[i] != NULL) : text(shown.values[i]);
		failed |= json_object_set_new(own, outcome->job->options[i].name, value);
	}
	failed |= json_object_set_new(made, "inputs", inputs);
	for (const struct pj__option *option = pj__options; option->name; option++)
		if (option->stats)
			failed |= json_object_set_new(made, option->stats,
						      of_option(option, (const char *)&shown + option->at));
	failed |= json_object_set_new(made, "job", own);
	return whole(made, failed);
}

/* What the plan decided; null: the run failed before it. */
static json_t *of_plan(const pj_result *result)
{
	const pj_plan_facts *const plan = &result->plan;
	if (!plan->split_bytes)
		return json_null();
	return json_pack("{s:I, s:I, s:I, s:b}", "split_bytes", (json_int_t)plan->split_bytes, "part_files",
			 (json_int_t)plan->part_files, "ranges", (json_int_t)plan->ranges, "in_place", plan->in_place);
}

static json_t *of_counters(const pj_result *result)
{
	const struct {
		const char *name;
		uint64_t value;
	} counters[] = {
		{"inputs", result->inputs},
		{"input_bytes", result->input_bytes},
		{"records", result->records},
		{"map_tasks", result->map_tasks},
		{"reduce_tasks", result->reduce_tasks},
		{"map_pairs", result->map_pairs},
		{"run_pairs", result->run_pairs},
		{"run_bytes", result->run_bytes},
		{"distinct_keys", result->distinct_keys},
		{"output_pairs", result->output_pairs},
		{"output_bytes", result->output_bytes},
		{"attempts", result->attempts},
		{"failures", result->failures},
		{"skipped", result->skipped},
		{"inputs_grown", result->inputs_grown},
	};
	json_t *const made = json_object();
	int failed = 0;
	for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
		failed |= json_object_set_new(made, counters[i].name, number(counters[i].value));
	return whole(made, failed);
}

/* Groups of the user's counters, each with its names. */
static json_t *of_user_counters(const pj_result *result)
{
	json_t *const made = json_object();
	int failed = 0;
	for (size_t i = 0; i < result->counter_count; i++) {
		const pj_counter *const counter = &result->counter[i];
		json_t *const name = text(counter->group);
		const char *const group = json_string_value(name);
		if (group && !json_object_get(made, group))
			failed |= json_object_set_new(made, group, json_object());
		json_t *const key = text(counter->name);
		failed |= !group || !json_string_value(key) ||
			  json_object_set_new(json_object_get(made, group), json_string_value(key),
					      json_integer(counter->value));
		json_decref(name);
		json_decref(key);
	}
	return whole(made, failed);
}

static json_t *of_programs(const pj_result *result)
{
	return json_pack("{s:o, s:o, s:o}", "count", number(result->programs), "seconds",
			 seconds(result->program_seconds), "peak_bytes", number(result->program_peak_bytes));
}

static json_t *of_memory(const pj_result *result)
{
	return json_pack("{s:o, s:o, s:o, s:o}", "peak_bytes", number(result->peak_bytes), "memory_bytes",
			 number(result->memory_bytes), "spilled_bytes", number(result->spilled_bytes), "merge_passes",
			 number(result->merge_passes));
}

static json_t *of_seconds(const pj_result *result)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "plan", seconds(result->plan_seconds), "map",
			 seconds(result->map_seconds), "merge", seconds(result->merge_seconds), "reduce",
			 seconds(result->reduce_seconds), "commit", seconds(result->commit_seconds), "total",
			 seconds(result->total_seconds));
}

static json_t *of_failures(const pj_result *result)
{
	json_t *const made = json_array();
	int failed = 0;
	for (size_t i = 0; i < PJ_FAILURES_MAX && i < result->failures; i++) {
		const pj_failure *const failure = &result->failure[i];
		json_t *const one = json_object();
		failed |= json_object_set_new(one, "phase", text(failure->phase));
		failed |=
			json_object_set_new(one, "task", failure->task < 0 ? json_null() : json_integer(failure->task));
		failed |= json_object_set_new(one, "attempt", json_integer(failure->attempt));
		failed |= json_object_set_new(one, "kind", text(failure->kind));
		failed |= json_object_set_new(one, "offset",
					      failure->offset < 0 ? json_null() : json_integer(failure->offset));
		failed |= json_object_set_new(one, "knows_record", json_boolean(failure->knows_record));
		failed |= json_object_set_new(one, "reason", text(failure->reason));
		failed |= json_array_append_new(made, one);
	}
	return whole(made, failed);
}

static json_t *of_left_out(const struct pj__outcome *outcome)
{
	json_t *const made = json_array();
	int failed = 0;
	for (size_t i = 0; i < outcome->left_out_count; i++) {
		const struct pj__left_out *const record = &outcome->left_out[i];
		json_t *const one = json_object();
		failed |= json_object_set_new(one, "file", text(record->file));
		failed |= json_object_set_new(one, "offset", number(record->offset));
		failed |= json_object_set_new(one, "record", record->record ? number(record->record) : json_null());
		failed |= json_object_set_new(one, "bytes", number(record->bytes));
		failed |= json_object_set_new(one, "reason", text(record->reason));
		failed |= json_array_append_new(made, one);
	}
	return whole(made, failed);
}

char *pj__stats_text(const struct pj__outcome *outcome)
{
	const pj_result *const result = &outcome->result;
	json_t *const made = json_object();
	int failed = json_object_set_new(made, "papjuice", text(PJ_VERSION));
	failed |= json_object_set_new(made, "job", text(outcome->job->name));
	failed |= json_object_set_new(made, "status", text(pj_status_name(outcome->error.status)));
	failed |= json_object_set_new(made, "exit_code", json_integer(outcome->exit_code));
	failed |= json_object_set_new(made, "error", of_error(&outcome->error));
	failed |= json_object_set_new(made, "options", of_options(outcome));
	failed |= json_object_set_new(made, "workers", number(result->workers));
	failed |= json_object_set_new(made, "workers_used", number(result->workers_used));
	failed |= json_object_set_new(made, "partitions", number(result->partitions));
	failed |= json_object_set_new(made, "plan", of_plan(result));
	failed |= json_object_set_new(made, "counters", of_counters(result));
	failed |= json_object_set_new(made, "seconds", of_seconds(result));
	failed |= json_object_set_new(made, "memory", of_memory(result));
	failed |= json_object_set_new(made, "programs", of_programs(result));
	failed |= json_object_set_new(made, "user_counters", of_user_counters(result));
	failed |= json_object_set_new(made, "failures", of_failures(result));
	failed |= json_object_set_new(made, "bad_records", of_left_out(outcome));
	char *const dumped = failed ? NULL : json_dumps(made, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
	json_decref(made);
	return dumped;
}

/* ------------------------------------------------------------------------------------------------------------ write */

static int write_all(int fd, const char *from, size_t size)
{
	while (size) {
		const ssize_t n = write(fd, from, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : EIO;
		from += n;
		size -= (size_t)n;
	}
	return 0;
}

pj_status pj__stats_write(const struct pj__outcome *outcome, pj_error *error)
{
	const char *const path = outcome->settings->stats;
	if (!path)
		return PJ_OK;
	char *const dumped = pj__stats_text(outcome);
	if (!dumped)
		return pj__front_fail(error, PJ_ERR_MEMORY, "cannot write the statistics", NULL, NULL);
	const bool to_stderr = !strcmp(path, "-");
	const size_t len = strlen(dumped);
	dumped[len] = '\n'; /* in place of the NUL: from here on the length counts */
	const int fd =
		to_stderr ? STDERR_FILENO : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
	int failed = fd < 0 ? errno : write_all(fd, dumped, len + 1);
	if (fd >= 0 && !to_stderr && close(fd) < 0 && !failed && errno != EINTR)
		failed = errno;
	free(dumped);
	return failed ? stats_failed("cannot write the statistics", path, failed, error) : PJ_OK;
}
