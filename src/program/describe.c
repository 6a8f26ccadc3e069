/*
 * describe.c: a job as bytes, and a job that stands in for it.
 *
 * The engine's leader asks of a job which callbacks it has, what kind of reducer, names, options and settings; only
 * workers call the callbacks. So the stand-in has a function that fails wherever the real job has one, and equal values
 * everywhere else. A built-in aggregate (&pj_sum_i64) is itself, as its address is known here.
 *
 * What is told of a job, its aggregate and its options stands in three tables below: one line for each field. (What of
 * a job stands in none of them is refused, by pj__describe, or stays in the real job.)
 *
 * The bytes go from a probe to its parent, two processes of one program, so values are stored as they are in memory:
 *
 *     struct head
 *     fields of the job, of its aggregate, of each option, then paths and inputs in memory:
 *         a value: its bytes; a flag or a function: one byte, 0 or 1
 *         a string: u64 length, the bytes, one NUL. NO_STRING as length: NULL, and nothing follows
 */
#include <stddef.h>
#include <stdlib.h>

#include "base/verify.h"
#include "program/program.h"

#define DESCRIPTION_MAGIC UINT64_C(0x32736564656a6170)
#define NO_STRING UINT64_MAX

enum { OPTIONS_MAX = 1000, PATHS_MAX = 1000000 };

struct head {
	uint64_t magic, option_count, path_count, memory_count;
	uint32_t configures, has_aggregate;
	int64_t builtin; /* index in `builtins`, or -1 */
};

static const pj_aggregate *const builtins[] = {&pj_sum_i64, &pj_min_i64, &pj_max_i64, &pj_sum_f64,
					       &pj_min_f64, &pj_max_f64, &pj_count};

/* ---------------------------------------------------------------------------------------------------------- fields */

/* These are never called: the leader looks if there is a function, a worker has the real one. */
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

typedef void any_function(void);

/* Of an aggregate's functions only the address counts, which is not NULL. */
static void no_aggregate(void)
{
	PJ_VERIFY(false);
}

enum kind { END, VALUE, FLAG, STRING, FUNCTION };

struct field {
	enum kind kind;
	size_t at, size;
	any_function *stand_in; /* of a function */
};

#define FIELD(kind, type, name)                                                                                        \
	{                                                                                                              \
		kind, offsetof(type, name), sizeof((type *)NULL)->name, NULL                                           \
	}
#define FUNCTION_FIELD(type, name, stand_in)                                                                           \
	{                                                                                                              \
		FUNCTION, offsetof(type, name), sizeof(any_function *), (any_function *)(stand_in)                     \
	}

static const struct field job_fields[] = {
	FIELD(VALUE, pj_job, abi),
	FIELD(STRING, pj_job, name),
	FIELD(STRING, pj_job, summary),
	FIELD(STRING, pj_job, reserved),
	FUNCTION_FIELD(pj_job, mapper.text, no_text),
	FUNCTION_FIELD(pj_job, mapper.line, no_text),
	FUNCTION_FIELD(pj_job, mapper.begin, no_edge),
	FUNCTION_FIELD(pj_job, mapper.end, no_edge),
	FIELD(VALUE, pj_job, sorter),
	FIELD(VALUE, pj_job, parts),
	FUNCTION_FIELD(pj_job, reducer.general, no_general),
	FUNCTION_FIELD(pj_job, reducer.begin, no_edge),
	FUNCTION_FIELD(pj_job, reducer.end, no_edge),
	FUNCTION_FIELD(pj_job, reducer.combine, no_general),
	FUNCTION_FIELD(pj_job, reducer.combine_begin, no_edge),
	FUNCTION_FIELD(pj_job, reducer.combine_end, no_edge),
	FIELD(STRING, pj_job, output.path),
	FIELD(VALUE, pj_job, output.columns),
	FIELD(VALUE, pj_job, output.order),
	FIELD(VALUE, pj_job, output.limit),
	FIELD(FLAG, pj_job, output.overwrite),
	FIELD(FLAG, pj_job, output.escape),
	FIELD(VALUE, pj_job, output.compression),
	FUNCTION_FIELD(pj_job, keys.compare, no_compare),
	FUNCTION_FIELD(pj_job, keys.group, no_group),
	FUNCTION_FIELD(pj_job, keys.part, no_part),
	FIELD(FLAG, pj_job, keys.sort_values),
	FIELD(FLAG, pj_job, map_only),
	FIELD(FLAG, pj_job, counts_lines),
	FIELD(FLAG, pj_job, begins_empty),
	FIELD(VALUE, pj_job, input_count),
	FIELD(FLAG, pj_job, may_replace_input),
	FIELD(FLAG, pj_job, tells_places),
	{.kind = END},
};

static const struct field aggregate_fields[] = {
	FIELD(STRING, pj_aggregate, name),
	FIELD(VALUE, pj_aggregate, takes),
	FIELD(FLAG, pj_aggregate, exact),
	FIELD(VALUE, pj_aggregate, state_bytes),
	FUNCTION_FIELD(pj_aggregate, init, no_aggregate),
	FUNCTION_FIELD(pj_aggregate, add_i64, no_aggregate),
	FUNCTION_FIELD(pj_aggregate, add_f64, no_aggregate),
	FUNCTION_FIELD(pj_aggregate, add_bytes, no_aggregate),
	FUNCTION_FIELD(pj_aggregate, add_many_i64, no_aggregate),
	FUNCTION_FIELD(pj_aggregate, merge, no_aggregate),
	FUNCTION_FIELD(pj_aggregate, finish, no_aggregate),
	{.kind = END},
};

static const struct field option_fields[] = {
	FIELD(STRING, pj_job_option, name),  FIELD(VALUE, pj_job_option, letter),
	FIELD(STRING, pj_job_option, value), FIELD(STRING, pj_job_option, initial),
	FIELD(STRING, pj_job_option, help),  FIELD(FLAG, pj_job_option, many),
	FIELD(FLAG, pj_job_option, operand), {.kind = END},
};

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

static void put_fields(pj_text *text, const struct field *field, const void *object)
{
	for (; field->kind; field++) {
		const char *const at = (const char *)object + field->at;
		any_function *function;
		if (field->kind == STRING) {
			put_string(text, *(const char *const *)at);
		} else if (field->kind == FUNCTION) {
			memcpy(&function, at, sizeof function);
			pj_text_bytes(text, (pj_bytes){function ? "\1" : "", 1});
		} else {
			pj_text_bytes(text, (pj_bytes){at, field->size});
		}
	}
}

static struct head head_of(const pj_job *job)
{
	const pj_aggregate *const aggregate = job->reducer.aggregate;
	struct head head = {.magic = DESCRIPTION_MAGIC,
			    .path_count = job->input.path_count,
			    .memory_count = job->input.memory_count,
			    .configures = job->configure != NULL,
			    .has_aggregate = aggregate != NULL,
			    .builtin = -1};
	while (job->options && job->options[head.option_count].name)
		head.option_count++;
	for (size_t i = 0; i < sizeof builtins / sizeof *builtins; i++)
		if (aggregate == builtins[i])
			head.builtin = (int64_t)i;
	return head;
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
	const struct head head = head_of(job);
	static const pj_aggregate none = {.name = NULL};
	pj_text_bytes(text, (pj_bytes){(const char *)&head, sizeof head});
	put_fields(text, job_fields, job);
	put_fields(text, aggregate_fields, head.has_aggregate ? job->reducer.aggregate : &none);
	for (size_t i = 0; i < head.option_count; i++)
		put_fields(text, option_fields, &job->options[i]);
	for (size_t i = 0; i < head.path_count; i++)
		put_string(text, job->input.paths[i]);
	for (size_t i = 0; i < head.memory_count; i++)
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

/* Copies the next bytes; there may be too few. */
static void take_value(struct cursor *cursor, void *to, size_t size)
{
	cursor->bad |= cursor->left < size;
	if (cursor->bad)
		return;
	memcpy(to, cursor->at, size);
	cursor->at += size;
	cursor->left -= size;
}

static bool take_flag(struct cursor *cursor)
{
	unsigned char flag = 0;
	take_value(cursor, &flag, 1);
	cursor->bad |= flag > 1;
	return flag;
}

static void take_fields(struct cursor *cursor, const struct field *field, void *object)
{
	for (; field->kind; field++) {
		char *const at = (char *)object + field->at;
		if (field->kind == VALUE)
			take_value(cursor, at, field->size);
		else if (field->kind == FLAG)
			*(bool *)at = take_flag(cursor);
		else if (field->kind == STRING)
			*(const char **)at = take_string(cursor);
		else if (take_flag(cursor))
			memcpy(at, &field->stand_in, sizeof field->stand_in);
	}
}

static void fill(pj__described *described, const struct head *head, struct cursor *cursor)
{
	pj_job *const job = &described->job;
	take_fields(cursor, job_fields, job);
	take_fields(cursor, aggregate_fields, &described->aggregate);
	for (size_t i = 0; i < head->option_count; i++) {
		take_fields(cursor, option_fields, &described->options[i]);
		cursor->bad |= !described->options[i].name;
	}
	for (size_t i = 0; i < head->path_count; i++) {
		described->paths[i] = take_string(cursor);
		cursor->bad |= !described->paths[i];
	}
	for (size_t i = 0; i < head->memory_count; i++)
		described->memory[i] = take_bytes(cursor);
	described->configures = head->configures;
	if (head->has_aggregate)
		job->reducer.aggregate = head->builtin >= 0 ? builtins[head->builtin] : &described->aggregate;
	job->options = head->option_count ? described->options : NULL;
	job->input.paths = described->paths;
	job->input.path_count = (size_t)head->path_count;
	job->input.memory = described->memory;
	job->input.memory_count = (size_t)head->memory_count;
}

static pj_status no_description(const char *name, pj_error *error)
{
	pj__fail(error, PJ_ERR_USER, 0, name, "the plug-in's description of its job is damaged");
	pj__error_hint(error,
		       "look for code that runs while the plug-in is loaded, and writes to memory or descriptors");
	return PJ_ERR_USER;
}

static bool plausible(const struct head *head)
{
	return head->magic == DESCRIPTION_MAGIC && head->option_count <= OPTIONS_MAX && head->path_count <= PATHS_MAX &&
	       head->memory_count <= PATHS_MAX && head->configures <= 1 && head->has_aggregate <= 1 &&
	       head->builtin >= -1 && head->builtin < (int64_t)(sizeof builtins / sizeof *builtins);
}

pj_status pj__described_create(pj_bytes description, const char *name, pj__described **ret_described, pj_error *error)
{
	struct head head;
	if (description.len < sizeof head)
		return no_description(name, error);
	memcpy(&head, description.ptr, sizeof head);
	if (!plausible(&head))
		return no_description(name, error);
	pj__described *described = calloc(1, sizeof *described);
	if (!described)
		return pj__no_memory(error, sizeof *described);
	described->bytes = malloc(description.len);
	described->options = calloc((size_t)head.option_count + 1, sizeof *described->options);
	described->paths = calloc((size_t)head.path_count + 1, sizeof *described->paths);
	described->memory = calloc((size_t)head.memory_count + 1, sizeof *described->memory);
	if (!described->bytes || !described->options || !described->paths || !described->memory) {
		pj__described_destroy(described);
		return pj__no_memory(error, description.len);
	}
	memcpy(described->bytes, description.ptr, description.len);
	struct cursor cursor = {described->bytes + sizeof head, description.len - sizeof head, false};
	fill(described, &head, &cursor);
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
