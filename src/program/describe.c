/*
 * describe.c: a job as bytes, and a job that stands in for it.
 *
 * The engine's leader asks of a job which callbacks it has, what kind of reducer, names, options and settings; only
 * workers call the callbacks. So the stand-in has a function that fails wherever the real job has one, and equal values
 * everywhere else. A built-in aggregate (&pj_sum_i64) is itself, as its address is known here.
 *
 * The bytes go from a probe to its parent, two processes of one program, so numbers are stored as they are in memory:
 *
 *     struct fixed
 *     strings, in the order of `walk`: u64 length, the bytes, one NUL. NO_STRING as length: NULL, and nothing follows.
 */
#include <stdlib.h>

#include "program/program.h"

#define DESCRIPTION_MAGIC UINT64_C(0x31736564656a6170)
#define NO_STRING UINT64_MAX

enum { OPTIONS_MAX = 1000, PATHS_MAX = 1000000 };

/* Which functions there are. */
enum {
	HAS_TEXT = 1 << 0,
	HAS_LINE = 1 << 1,
	HAS_BEGIN = 1 << 2,
	HAS_END = 1 << 3,
	HAS_GENERAL = 1 << 4,
	HAS_AGGREGATE = 1 << 5,
	HAS_INIT = 1 << 6,
	HAS_ADD_I64 = 1 << 7,
	HAS_ADD_F64 = 1 << 8,
	HAS_ADD_BYTES = 1 << 9,
	HAS_ADD_MANY_I64 = 1 << 10,
	HAS_MERGE = 1 << 11,
	HAS_FINISH = 1 << 12,
	HAS_CONFIGURE = 1 << 13,
	HAS_COMBINE = 1 << 14,
	HAS_COMPARE = 1 << 15,
	HAS_GROUP = 1 << 16,
	HAS_PART = 1 << 17,
	HAS_REDUCE_BEGIN = 1 << 18,
	HAS_REDUCE_END = 1 << 19,
	HAS_COMBINE_BEGIN = 1 << 20,
	HAS_COMBINE_END = 1 << 21
};

struct fixed {
	uint64_t magic;
	uint64_t state_bytes, option_count, path_count, memory_count, limit;
	uint32_t abi, has;
	int32_t builtin; /* index in `builtins`, or -1 */
	int32_t takes, sorter, columns, order;
	uint32_t input_count;
	uint8_t exact, map_only, overwrite, escape, may_replace_input, counts_lines, begins_empty, tells_places;
	uint8_t sort_values, compression, parts, unused[5];
};

_Static_assert(sizeof(struct fixed) == 96, "no hidden padding: the bytes are compared by the tests");

static const pj_aggregate *const builtins[] = {&pj_sum_i64, &pj_min_i64, &pj_max_i64, &pj_sum_f64,
					       &pj_min_f64, &pj_max_f64, &pj_count};

/* ------------------------------------------------------------------------------------------------------ description */

static void put_bytes(pj_text *text, const char *bytes, size_t len)
{
	const uint64_t stored = bytes ? len : NO_STRING;
	pj_text_bytes(text, (pj_bytes){(const char *)&stored, sizeof stored});
	if (!bytes)
		return;
	pj_text_bytes(text, (pj_bytes){bytes, len});
	pj_text_bytes(text, (pj_bytes){"", 1});
}

static void put_string(pj_text *text, const char *string)
{
	put_bytes(text, string, string ? strlen(string) : 0);
}

static uint32_t functions_of(const pj_job *job)
{
	const pj_mapper *const mapper = &job->mapper;
	const pj_aggregate *const aggregate = job->reducer.aggregate;
	uint32_t has = (mapper->text ? HAS_TEXT : 0u) | (mapper->line ? HAS_LINE : 0u) |
		       (mapper->begin ? HAS_BEGIN : 0u) | (mapper->end ? HAS_END : 0u) |
		       (job->reducer.general ? HAS_GENERAL : 0u) | (job->configure ? HAS_CONFIGURE : 0u) |
		       (job->reducer.combine ? HAS_COMBINE : 0u) | (job->keys.compare ? HAS_COMPARE : 0u) |
		       (job->keys.group ? HAS_GROUP : 0u) | (job->keys.part ? HAS_PART : 0u);
	const pj_reducer *const reducer = &job->reducer;
	has |= (reducer->begin ? HAS_REDUCE_BEGIN : 0u) | (reducer->end ? HAS_REDUCE_END : 0u) |
	       (reducer->combine_begin ? HAS_COMBINE_BEGIN : 0u) | (reducer->combine_end ? HAS_COMBINE_END : 0u);
	if (aggregate)
		has |= HAS_AGGREGATE | (aggregate->init ? HAS_INIT : 0u) | (aggregate->add_i64 ? HAS_ADD_I64 : 0u) |
		       (aggregate->add_f64 ? HAS_ADD_F64 : 0u) | (aggregate->add_bytes ? HAS_ADD_BYTES : 0u) |
		       (aggregate->add_many_i64 ? HAS_ADD_MANY_I64 : 0u) | (aggregate->merge ? HAS_MERGE : 0u) |
		       (aggregate->finish ? HAS_FINISH : 0u);
	return has;
}

static struct fixed fixed_of(const pj_job *job)
{
	const pj_aggregate *const aggregate = job->reducer.aggregate;
	struct fixed fixed = {.magic = DESCRIPTION_MAGIC,
			      .abi = job->abi,
			      .has = functions_of(job),
			      .builtin = -1,
			      .sorter = (int32_t)job->sorter,
			      .parts = (uint8_t)job->parts,
			      .columns = (int32_t)job->output.columns,
			      .order = (int32_t)job->output.order,
			      .limit = job->output.limit,
			      .map_only = job->map_only,
			      .overwrite = job->output.overwrite,
			      .escape = job->output.escape,
			      .compression = (uint8_t)job->output.compression,
			      .input_count = job->input_count,
			      .may_replace_input = job->may_replace_input,
			      .counts_lines = job->counts_lines,
			      .tells_places = job->tells_places,
			      .begins_empty = job->begins_empty,
			      .sort_values = job->keys.sort_values,
			      .path_count = job->input.path_count,
			      .memory_count = job->input.memory_count};
	while (job->options && job->options[fixed.option_count].name)
		fixed.option_count++;
	for (size_t i = 0; i < sizeof builtins / sizeof *builtins; i++)
		if (aggregate == builtins[i])
			fixed.builtin = (int32_t)i;
	if (aggregate) {
		fixed.takes = (int32_t)aggregate->takes;
		fixed.exact = aggregate->exact;
		fixed.state_bytes = aggregate->state_bytes;
	}
	return fixed;
}

static pj_status cannot(const char *what, const char *hint, pj_error *error)
{
	pj__fail(error, PJ_ERR_USER, 0, NULL, "the plug-in's job cannot be used");
	pj__error_reason(error, "%s", what);
	pj__error_hint(error, "%s", hint);
	return PJ_ERR_USER;
}

pj_status pj__describe(const pj_job *job, pj_text *text, pj_error *error)
{
	if (job->input.read)
		return cannot("it has an input function, which would run in the calling process",
			      "name its inputs on the command line, or build the job as a program", error);
	if (job->output.pair)
		return cannot("it has an output function, which would run in the calling process",
			      "name its output on the command line, or build the job as a program", error);
	if (job->answer)
		return cannot("it has an answer function, which would run in the calling process",
			      "build the job as a program", error);
	if (job->mapper.command || job->reducer.command || job->reducer.combine_command)
		return cannot("it names programs, which are started by what the calling process knows",
			      "papjuice run --map and --reduce name programs, or build the job as a program", error);
	const struct fixed fixed = fixed_of(job);
	pj_text_bytes(text, (pj_bytes){(const char *)&fixed, sizeof fixed});
	put_string(text, job->name);
	put_string(text, job->summary);
	put_string(text, job->reserved);
	put_string(text, job->output.path);
	put_string(text, job->reducer.aggregate ? job->reducer.aggregate->name : NULL);
	for (size_t i = 0; i < fixed.option_count; i++) {
		const pj_job_option *const option = &job->options[i];
		put_string(text, option->name);
		put_bytes(text, &option->letter, 1);
		put_string(text, option->value);
		put_string(text, option->initial);
		put_string(text, option->help);
		put_bytes(text, (const char[]){option->many, option->operand}, 2);
	}
	for (size_t i = 0; i < fixed.path_count; i++)
		put_string(text, job->input.paths[i]);
	for (size_t i = 0; i < fixed.memory_count; i++)
		put_bytes(text, job->input.memory[i].ptr ? job->input.memory[i].ptr : "", job->input.memory[i].len);
	return text->failed ? pj__no_memory(error, text->len) : PJ_OK;
}

/* --------------------------------------------------------------------------------------------------------- stand-in */

struct pj__described {
	pj_job job;
	pj_aggregate aggregate;
	pj_job_option *options;
	const char **paths;
	pj_bytes *memory;
	bool configures;
	char *bytes; /* the description: the strings of the job lie here */
};

/* Nobody calls these: the leader looks if there is a function, a worker has the real one. */
static pj_status no_text(pj_task *task, pj_bytes text, void *arg)
{
	(void)text;
	(void)arg;
	return pj_task_fail(task, PJ_ERR_INTERNAL, NULL, "a plug-in's stand-in was called");
}

static pj_status no_edge(pj_task *task, void *arg)
{
	return no_text(task, (pj_bytes){NULL, 0}, arg);
}

static pj_status no_general(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	(void)values;
	return no_text(task, key, arg);
}

static int no_compare(pj_bytes a, pj_bytes b, void *arg)
{
	(void)arg;
	return pj_bytes_compare(a, b);
}

static size_t no_group(pj_bytes key, void *arg)
{
	(void)arg;
	return key.len;
}

static uint64_t no_part(pj_bytes key, uint64_t parts, void *arg)
{
	(void)key;
	(void)arg;
	return parts;
}

static void no_init(void *state, void *arg)
{
	(void)state;
	(void)arg;
}

static void no_add_i64(void *state, int64_t value, void *arg)
{
	(void)state;
	(void)value;
	(void)arg;
}

static void no_add_f64(void *state, double value, void *arg)
{
	(void)state;
	(void)value;
	(void)arg;
}

static void no_add_bytes(void *state, pj_bytes value, void *arg)
{
	(void)state;
	(void)value;
	(void)arg;
}

static void no_add_many_i64(void *const *states, const int64_t *values, size_t count, void *arg)
{
	(void)states;
	(void)values;
	(void)count;
	(void)arg;
}

static void no_merge(void *state, const void *other, void *arg)
{
	(void)state;
	(void)other;
	(void)arg;
}

static pj_status no_finish(const void *state, pj_text *text, void *arg)
{
	(void)state;
	(void)text;
	(void)arg;
	return PJ_ERR_INTERNAL;
}

/* The rest of a description that is being read. Once `bad`, everything read is NULL. */
struct cursor {
	char *at;
	size_t left;
	bool bad;
};

static pj_bytes take_bytes(struct cursor *cursor)
{
	uint64_t len = 0;
	if (cursor->bad || cursor->left < sizeof len) {
		cursor->bad = true;
		return (pj_bytes){NULL, 0};
	}
	memcpy(&len, cursor->at, sizeof len);
	cursor->at += sizeof len;
	cursor->left -= sizeof len;
	if (len == NO_STRING)
		return (pj_bytes){NULL, 0};
	if (len >= cursor->left || cursor->at[len] != 0) {
		cursor->bad = true;
		return (pj_bytes){NULL, 0};
	}
	const pj_bytes taken = {cursor->at, (size_t)len};
	cursor->at += len + 1;
	cursor->left -= (size_t)len + 1;
	return taken;
}

static const char *take_string(struct cursor *cursor)
{
	const pj_bytes taken = take_bytes(cursor);
	if (taken.ptr && strlen(taken.ptr) != taken.len)
		cursor->bad = true;
	return taken.ptr;
}

static void set_functions(pj__described *described, uint32_t has)
{
	pj_mapper *const mapper = &described->job.mapper;
	pj_aggregate *const aggregate = &described->aggregate;
	mapper->text = has & HAS_TEXT ? no_text : NULL;
	mapper->line = has & HAS_LINE ? no_text : NULL;
	mapper->begin = has & HAS_BEGIN ? no_edge : NULL;
	mapper->end = has & HAS_END ? no_edge : NULL;
	described->job.reducer.general = has & HAS_GENERAL ? no_general : NULL;
	described->job.reducer.combine = has & HAS_COMBINE ? no_general : NULL;
	described->job.reducer.begin = has & HAS_REDUCE_BEGIN ? no_edge : NULL;
	described->job.reducer.end = has & HAS_REDUCE_END ? no_edge : NULL;
	described->job.reducer.combine_begin = has & HAS_COMBINE_BEGIN ? no_edge : NULL;
	described->job.reducer.combine_end = has & HAS_COMBINE_END ? no_edge : NULL;
	described->job.keys.compare = has & HAS_COMPARE ? no_compare : NULL;
	described->job.keys.group = has & HAS_GROUP ? no_group : NULL;
	described->job.keys.part = has & HAS_PART ? no_part : NULL;
	aggregate->init = has & HAS_INIT ? no_init : NULL;
	aggregate->add_i64 = has & HAS_ADD_I64 ? no_add_i64 : NULL;
	aggregate->add_f64 = has & HAS_ADD_F64 ? no_add_f64 : NULL;
	aggregate->add_bytes = has & HAS_ADD_BYTES ? no_add_bytes : NULL;
	aggregate->add_many_i64 = has & HAS_ADD_MANY_I64 ? no_add_many_i64 : NULL;
	aggregate->merge = has & HAS_MERGE ? no_merge : NULL;
	aggregate->finish = has & HAS_FINISH ? no_finish : NULL;
}

static void take_lists(pj__described *described, const struct fixed *fixed, struct cursor *cursor)
{
	for (size_t i = 0; i < fixed->option_count; i++) {
		pj_job_option *const option = &described->options[i];
		option->name = take_string(cursor);
		const pj_bytes letter = take_bytes(cursor);
		cursor->bad |= !option->name || letter.len != 1;
		option->letter = cursor->bad ? 0 : letter.ptr[0];
		option->value = take_string(cursor);
		option->initial = take_string(cursor);
		option->help = take_string(cursor);
		const pj_bytes kind = take_bytes(cursor);
		cursor->bad |= kind.len != 2;
		option->many = !cursor->bad && kind.ptr[0];
		option->operand = !cursor->bad && kind.ptr[1];
	}
	for (size_t i = 0; i < fixed->path_count; i++) {
		described->paths[i] = take_string(cursor);
		cursor->bad |= !described->paths[i];
	}
	for (size_t i = 0; i < fixed->memory_count; i++)
		described->memory[i] = take_bytes(cursor);
}

static void fill(pj__described *described, const struct fixed *fixed, struct cursor *cursor)
{
	pj_job *const job = &described->job;
	job->abi = fixed->abi;
	job->name = take_string(cursor);
	job->summary = take_string(cursor);
	job->reserved = take_string(cursor);
	job->output.path = take_string(cursor);
	described->aggregate.name = take_string(cursor);
	take_lists(described, fixed, cursor);
	set_functions(described, fixed->has);
	described->configures = fixed->has & HAS_CONFIGURE;
	described->aggregate.takes = (pj_takes)fixed->takes;
	described->aggregate.exact = fixed->exact;
	described->aggregate.state_bytes = (size_t)fixed->state_bytes;
	if (fixed->has & HAS_AGGREGATE)
		job->reducer.aggregate = fixed->builtin >= 0 ? builtins[fixed->builtin] : &described->aggregate;
	job->sorter = (pj_sorter)fixed->sorter;
	job->parts = (pj_parts)fixed->parts;
	job->map_only = fixed->map_only;
	job->input_count = fixed->input_count;
	job->may_replace_input = fixed->may_replace_input;
	job->counts_lines = fixed->counts_lines;
	job->tells_places = fixed->tells_places;
	job->begins_empty = fixed->begins_empty;
	job->keys.sort_values = fixed->sort_values;
	job->output.columns = (pj_columns)fixed->columns;
	job->output.order = (pj_order)fixed->order;
	job->output.limit = fixed->limit;
	job->output.overwrite = fixed->overwrite;
	job->output.escape = fixed->escape;
	job->output.compression = fixed->compression;
	job->options = fixed->option_count ? described->options : NULL;
	job->input.paths = described->paths;
	job->input.path_count = (size_t)fixed->path_count;
	job->input.memory = described->memory;
	job->input.memory_count = (size_t)fixed->memory_count;
}

static pj_status no_description(const char *name, pj_error *error)
{
	pj__fail(error, PJ_ERR_USER, 0, name, "the plug-in's description of its job is damaged");
	pj__error_hint(error,
		       "look for code that runs while the plug-in is loaded, and writes to memory or descriptors");
	return PJ_ERR_USER;
}

static bool plausible(const struct fixed *fixed)
{
	const int32_t builtin_count = (int32_t)(sizeof builtins / sizeof *builtins);
	return fixed->magic == DESCRIPTION_MAGIC && fixed->option_count <= OPTIONS_MAX &&
	       fixed->path_count <= PATHS_MAX && fixed->memory_count <= PATHS_MAX && fixed->builtin >= -1 &&
	       fixed->builtin < builtin_count;
}

pj_status pj__described_create(pj_bytes description, const char *name, pj__described **ret_described, pj_error *error)
{
	struct fixed fixed;
	if (description.len < sizeof fixed)
		return no_description(name, error);
	memcpy(&fixed, description.ptr, sizeof fixed);
	if (!plausible(&fixed))
		return no_description(name, error);
	pj__described *described = calloc(1, sizeof *described);
	if (!described)
		return pj__no_memory(error, sizeof *described);
	described->bytes = malloc(description.len);
	described->options = calloc((size_t)fixed.option_count + 1, sizeof *described->options);
	described->paths = calloc((size_t)fixed.path_count + 1, sizeof *described->paths);
	described->memory = calloc((size_t)fixed.memory_count + 1, sizeof *described->memory);
	if (!described->bytes || !described->options || !described->paths || !described->memory) {
		pj__described_destroy(described);
		return pj__no_memory(error, description.len);
	}
	memcpy(described->bytes, description.ptr, description.len);
	struct cursor cursor = {described->bytes + sizeof fixed, description.len - sizeof fixed, false};
	fill(described, &fixed, &cursor);
	if (cursor.bad || cursor.left || !described->job.name) {
		pj__described_destroy(described);
		return no_description(name, error);
	}
	*ret_described = described;
	return PJ_OK;
}

pj_job *pj__described_job(pj__described *described)
{
	return &described->job;
}

bool pj__described_configures(const pj__described *described)
{
	return described->configures;
}

void pj__described_destroy(pj__described *described)
{
	if (!described)
		return;
	free(described->bytes);
	free(described->options);
	free(described->paths);
	free(described->memory);
	free(described);
}
