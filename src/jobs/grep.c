/*
 * grep.c: the lines that match a pattern, in the order of the input; what `grep -P` prints for the same options.
 *
 * It only maps. What is told of whole inputs (--count, --files-with-matches, --files-without-match, --quiet) has a
 * reduce: a mapper emits how many lines of an input it has selected, under the number of the input. So that inputs
 * without any are there as well, the first task, which has no text, emits a zero for each. Where one line is enough, a
 * task looks no further after it.
 */
#include <stdio.h>

#include "jobs/buffer.h"
#include "jobs/jobs.h"
#include "jobs/option.h"
#include "jobs/pattern.h"

struct grep {
	pj__pattern *pattern;
	bool inverts, numbers;
	bool only_matches;                           /* --only-matching: not the lines, what matches in them */
	bool by_input;                               /* something is told of each input, after the map: */
	bool is_quiet, lists_matching, lists_others; /* ... nothing, its name if a line was selected, or if none was */
	bool names, never_names;                     /* neither: if there are several inputs */
	uint64_t input, selected;                    /* by_input: of the input at hand */
	pj__buffer buffer;
};

static bool shows_names(const struct grep *grep, const pj_task *task)
{
	return grep->names || (!grep->never_names && pj_task_input(task, 1));
}

/* Appends the name of an input and a colon. */
static bool put_name(struct grep *grep, pj_task *task, const char *name)
{
	if (!strcmp(name, "standard input"))
		name = "(standard input)";
	return pj__buffer_add(&grep->buffer, task, pj_bytes_of(name)) &&
	       pj__buffer_add(&grep->buffer, task, (pj_bytes){":", 1});
}

/* ------------------------------------------------------------------------------------------------------- the mapper */

/* Emits the line that begins at `start`, or a piece of it, after its name and number if these are asked for. */
static void put_line(struct grep *grep, pj_task *task, const char *start, pj_bytes piece, bool shows_name)
{
	bool good = true;
	grep->buffer.len = 0;
	if (shows_name)
		good = put_name(grep, task, pj_task_place(task, start).file);
	if (good && grep->numbers)
		good = pj__buffer_add_number(&grep->buffer, task, pj_task_line(task, start)) &&
		       pj__buffer_add(&grep->buffer, task, (pj_bytes){":", 1});
	if (good && grep->buffer.len && pj__buffer_add(&grep->buffer, task, piece))
		piece = pj__buffer_all(&grep->buffer);
	pj_emit(task, piece, (pj_bytes){NULL, 0});
	pj__buffer_relax(&grep->buffer);
}

static pj_status too_hard(pj_task *task, pj_bytes line)
{
	return pj_task_fail(task, PJ_ERR_RECORD, line.ptr, "the pattern needs too many steps on this line");
}

static pj_status put_matches(struct grep *grep, pj_task *task, pj_bytes line, bool shows_name)
{
	pj_bytes match = {line.ptr, 0};
	int found;
	while ((found = pj__pattern_find(grep->pattern, line, (size_t)(match.ptr + match.len - line.ptr), &match)) > 0)
		put_line(grep, task, line.ptr, match, shows_name);
	return found < 0 ? too_hard(task, line) : PJ_OK;
}

static pj_status select_line(struct grep *grep, pj_task *task, pj_bytes line, bool shows_name)
{
	if (grep->by_input)
		grep->selected++;
	else if (grep->only_matches)
		return put_matches(grep, task, line, shows_name);
	else
		put_line(grep, task, line.ptr, line, shows_name);
	return PJ_OK;
}

/* Is it known what is asked for of the input at hand? */
static bool knows_enough(const struct grep *grep)
{
	return grep->selected && (grep->is_quiet || grep->lists_matching || grep->lists_others);
}

static pj_status select_matching(struct grep *grep, pj_task *task, pj_bytes text, bool shows_name)
{
	pj_bytes line;
	pj_status status = PJ_OK;
	for (int next; !status && !knows_enough(grep) && (next = pj__pattern_next(grep->pattern, &text, &line)) != 0;) {
		const int matches = next == 2 ? 1 : pj__pattern_matches(grep->pattern, line);
		if (matches < 0)
			return too_hard(task, line);
		if (matches)
			status = select_line(grep, task, line, shows_name);
	}
	return status;
}

static pj_status select_others(struct grep *grep, pj_task *task, pj_bytes text, bool shows_name)
{
	pj_bytes line;
	pj_status status = PJ_OK;
	while (!status && !knows_enough(grep) && pj_next_line(task, &text, &line)) {
		const int matches = pj__pattern_matches(grep->pattern, line);
		if (matches < 0)
			return too_hard(task, line);
		if (!matches)
			status = select_line(grep, task, line, shows_name);
	}
	return status;
}

/* Emits a count under the number of its input, in bytes whose order is that of numbers. */
static void emit_count(pj_task *task, uint64_t input, uint64_t count)
{
	char key[8];
	for (int i = 0; i < 8; i++)
		key[i] = (char)(input >> (56 - 8 * i));
	pj_emit_i64(task, (pj_bytes){key, sizeof key}, (int64_t)count);
}

static void end_input(struct grep *grep, pj_task *task)
{
	if (grep->selected)
		emit_count(task, grep->input, grep->selected);
	grep->selected = 0;
}

static pj_status map_text(pj_task *task, pj_bytes text, void *arg)
{
	struct grep *const grep = arg;
	if (grep->by_input) {
		const uint64_t input = pj_task_place(task, text.ptr).input;
		if (input != grep->input)
			end_input(grep, task);
		grep->input = input;
	}
	const bool shows_name = !grep->by_input && shows_names(grep, task);
	return grep->inverts ? select_others(grep, task, text, shows_name)
			     : select_matching(grep, task, text, shows_name);
}

static pj_status begin_count(pj_task *task, void *arg)
{
	struct grep *const grep = arg;
	grep->selected = 0;
	for (uint64_t input = 0; pj_task_index(task) == 0 && pj_task_input(task, input); input++)
		emit_count(task, input, 0);
	return PJ_OK;
}

static pj_status end_count(pj_task *task, void *arg)
{
	end_input(arg, task);
	return PJ_OK;
}

/* ------------------------------------------------------------------------------------------------------ the reducer */

static pj_status write_count(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	struct grep *const grep = arg;
	uint64_t input = 0, count = 0;
	int64_t value;
	for (size_t i = 0; i < key.len; i++)
		input = input << 8 | (unsigned char)key.ptr[i];
	while (pj_next_i64(values, &value))
		count += (uint64_t)value;
	const bool lists = grep->lists_matching || grep->lists_others;
	if (grep->is_quiet || (lists && grep->lists_matching != (count > 0)))
		return PJ_OK;
	grep->buffer.len = 0;
	if ((lists || shows_names(grep, task)) && !put_name(grep, task, pj_task_input(task, input)))
		return PJ_ERR_MEMORY;
	if (lists)
		grep->buffer.len--; /* the colon */
	else if (!pj__buffer_add_number(&grep->buffer, task, count))
		return PJ_ERR_MEMORY;
	pj_emit(task, pj__buffer_all(&grep->buffer), (pj_bytes){NULL, 0});
	return PJ_OK;
}

/* ------------------------------------------------------------------------------------------------------ the options */

enum {
	REGEXP,
	IGNORE_CASE,
	INVERT,
	WORDS,
	LINES,
	COUNT,
	NUMBERS,
	NAMES,
	NO_NAMES,
	ONLY_MATCHING,
	MATCHING_FILES,
	OTHER_FILES,
	SILENT
};

static const pj_job_option options[] = {
	[REGEXP] = {.name = "regexp",
		    .letter = 'e',
		    .value = "PATTERN",
		    .help = "a pattern, as in Perl; repeatable",
		    .many = true,
		    .operand = true},
	[IGNORE_CASE] = {"ignore-case", 'i', NULL, NULL, "capitals and small letters are alike"},
	[INVERT] = {"invert", 'v', NULL, NULL, "the lines that do not match"},
	[WORDS] = {"word-regexp", 'w', NULL, NULL, "a match is whole words"},
	[LINES] = {"line-regexp", 'x', NULL, NULL, "a match is the whole line"},
	[COUNT] = {"count", 'c', NULL, NULL, "how many lines, for each input"},
	[NUMBERS] = {"line-number", 'n', NULL, NULL, "the number of the line before each"},
	[NAMES] = {"with-filename", 'H', NULL, NULL, "the input before each; default: if several"},
	[NO_NAMES] = {"no-filename", 'h', NULL, NULL, "no inputs before lines"},
	[ONLY_MATCHING] = {"only-matching", 'o', NULL, NULL, "only what matches; exit code 1: nothing printed"},
	[MATCHING_FILES] = {"files-with-matches", 'l', NULL, NULL, "the inputs with a selected line"},
	[OTHER_FILES] = {"files-without-match", 'L', NULL, NULL, "the inputs without one"},
	[SILENT] = {"silent", 'q', NULL, NULL, "print nothing: the exit code tells"},
	{NULL},
};

static void release(pj_job *job)
{
	struct grep *const grep = job->mapper.arg;
	pj__pattern_destroy(grep->pattern);
	free(grep->buffer.data);
	free(grep);
}

/* Is something asked of each input, rather than of each line? */
static bool tells_inputs(const char *const *values)
{
	return values[COUNT] || values[MATCHING_FILES] || values[OTHER_FILES] || values[SILENT];
}

static pj_status configure(pj_job *job, const char *const *values, pj_error *error)
{
	if (!values[REGEXP]) {
		snprintf(error->what, sizeof error->what, "there is no pattern");
		snprintf(error->hint, sizeof error->hint, "it stands before the inputs, or after -e");
		return error->status = PJ_ERR_USAGE;
	}
	if (values[ONLY_MATCHING] && values[INVERT]) {
		snprintf(error->what, sizeof error->what, "--only-matching and --invert exclude each other");
		snprintf(error->hint, sizeof error->hint, "a line that does not match has no part that does");
		return error->status = PJ_ERR_USAGE;
	}
	if (values[MATCHING_FILES] && values[OTHER_FILES]) {
		snprintf(error->what, sizeof error->what, "-l and -L exclude each other");
		snprintf(error->hint, sizeof error->hint, "an input has a selected line, or it has none");
		return error->status = PJ_ERR_USAGE;
	}
	struct grep *const grep = calloc(1, sizeof *grep);
	if (!grep)
		return pj__option_no_memory(error);
	const pj__pattern_kind kind = {values[IGNORE_CASE], values[WORDS], values[LINES]};
	const pj_status status = pj__pattern_create(values[REGEXP], kind, &grep->pattern, error);
	if (status) {
		free(grep);
		return status;
	}
	grep->inverts = values[INVERT];
	grep->only_matches = values[ONLY_MATCHING];
	grep->is_quiet = values[SILENT];
	grep->lists_matching = values[MATCHING_FILES] && !grep->is_quiet;
	grep->lists_others = values[OTHER_FILES] && !grep->is_quiet;
	grep->by_input = tells_inputs(values);
	grep->numbers = values[NUMBERS] && !grep->by_input;
	grep->names = values[NAMES];
	grep->never_names = values[NO_NAMES];
	job->mapper.arg = job->reducer.arg = grep;
	job->counts_lines = grep->numbers;
	if (grep->by_input) {
		job->map_only = false;
		job->begins_empty = true;
		job->mapper.begin = begin_count;
		job->mapper.end = end_count;
		job->reducer.general = write_count;
	}
	return PJ_OK;
}

/* Was a line selected? Where inputs are told, a pair for each of them is emitted in any case. */
static bool found_any(const pj_result *result, const char *const *values)
{
	return tells_inputs(values) ? result->map_pairs > result->inputs : result->output_pairs > 0;
}

const pj_job pj__job_grep = {
	.abi = PJ_ABI,
	.name = "grep",
	.summary = "lines that match a pattern, in input order",
	.mapper = {.text = map_text},
	.output = {.columns = PJ_KEY_ONLY},
	.map_only = true,
	.options = options,
	.reserved = "mp",
	.configure = configure,
	.release = release,
	.answer = found_any,
};
