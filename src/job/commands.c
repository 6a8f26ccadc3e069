/*
 * commands.c: see commands.h.
 *
 * A process maps, combines and reduces one task at a time, so there is one tool for each of the three; a combiner may
 * be at work in the middle of a map, when the mapper's output has filled a window.
 */
#include "job/commands.h"

#include <stdlib.h>

#include "base/task.h"
#include "command/report.h"
#include "command/tool.h"

enum { FEED_BYTES = 256 << 10 /* gathered before they are written */ };

/* A program of the job, and its process at hand. */
struct side {
	const pj_command *command; /* NULL: none */
	pj__commands *commands;
	pj_role role;
	pj__tool tool;
	pj__task *task; /* that it runs for */
	pj_attempt attempt;
	pj_text unsent;
	pj__tail tail;
};

struct pj__commands {
	pj__leash *leash;
	struct side map, combine, reduce;
	bool many_keys; /* of a group: the job has an order or groups of its own */
	size_t longest;
	uint64_t patience_ns; /* tool.h */
};

/* ------------------------------------------------------------------------------------------------ what it writes */

/* Where the key ends: before the n-th separator; the line's end if there are fewer. */
static const char *key_end(const pj_command *command, const char *at, const char *end)
{
	const pj_bytes separator = command->separator;
	for (unsigned left = command->key_fields; left && separator.len; left--) {
		const size_t len = (size_t)(end - at);
		const char *found = separator.len == 1 ? memchr(at, *separator.ptr, len)
						       : memmem(at, len, separator.ptr, separator.len);
		if (!found || left == 1)
			return found ? found : end;
		at = found + separator.len;
	}
	return end;
}

static void emit_line(const struct side *side, const char *at, const char *end)
{
	const pj_command *command = side->command;
	const char *border = command->key_fields ? key_end(command, at, end) : end, *value = border;
	if (border < end && !command->keeps_separator)
		value += command->separator.len;
	pj_emit(&side->task->face, (pj_bytes){at, (size_t)(border - at)}, (pj_bytes){value, (size_t)(end - value)});
}

/* The end of the line at `at`, and in *ret_next where the next one begins; NULL: it has not ended yet. */
static const char *line_end(const struct side *side, const char *at, const char *end, bool is_end,
			    const char **ret_next)
{
	const char *newline = memchr(at, '\n', (size_t)(end - at));
	const char *limit = newline ? newline : end;
	const char *cr = side->command->cr_ends ? memchr(at, '\r', (size_t)(limit - at)) : NULL;
	/* what follows tells if it is a CR LF */
	if (cr && cr + 1 == end && !is_end)
		return NULL;
	*ret_next = cr ? cr + 1 + (cr + 1 == newline) : newline ? newline + 1 : end;
	return cr ? cr : newline ? newline : is_end ? end : NULL;
}

static size_t take_lines(const struct side *side, pj_bytes bytes, bool is_end)
{
	const char *at = bytes.ptr, *const end = at + bytes.len, *next;
	while (at < end && !side->task->status) {
		const char *line = line_end(side, at, end, is_end, &next);
		if (!line)
			break;
		emit_line(side, at, line);
		at = next;
	}
	return (size_t)(at - bytes.ptr);
}

/* The failure that the task remembers. */
static pj_status failure_of(const pj__task *task, pj_error *error)
{
	if (task->status && error)
		*error = task->error;
	return task->status;
}

static pj_status take(void *arg, pj_bytes bytes, bool is_end, size_t *ret_used, pj_error *error)
{
	struct side *side = arg;
	const pj_command *command = side->command;
	pj_status returned = PJ_OK;
	if (!bytes.len && !command->read)
		return PJ_OK;
	if (command->read)
		returned = command->read(command->arg, &side->task->face, bytes, is_end, ret_used);
	else
		*ret_used = take_lines(side, bytes, is_end);
	pj__task_flush(side->task);
	if (returned)
		pj_task_fail(&side->task->face, returned, NULL, "what %s writes cannot be read", command->argv[0]);
	return failure_of(side->task, error);
}

/* A line of its standard error. */
static void hear(void *arg, pj_bytes line)
{
	struct side *side = arg;
	const pj_command *command = side->command;
	const pj__report report = pj__report_read(line, pj_bytes_of(command->prefix ? command->prefix : "reporter:"));
	if (report.kind == PJ__REPORT_COUNTER) {
		pj_task_count(&side->task->face, report.group, report.name, report.amount);
	} else if (report.kind == PJ__REPORT_STATUS) {
		if (command->status)
			command->status(command->arg, &side->attempt, report.text);
	} else {
		pj__tail_add(&side->tail, line);
		if (command->said)
			command->said(command->arg, &side->attempt, line);
	}
}

/* --------------------------------------------------------------------------------------------- beginning and end */

static pj_attempt describe(const struct side *side)
{
	const pj__task *task = side->task;
	const pj__assignment *part_of = &task->part_of;
	return (pj_attempt){.role = side->role,
			    .is_sample = part_of->is_sample,
			    .task = task->index,
			    .number = part_of->attempt,
			    .map_tasks = part_of->map_tasks,
			    .parts = part_of->parts,
			    .file = part_of->file,
			    .start = part_of->start,
			    .length = part_of->length};
}

static pj_status failed(const struct side *side, pj_status status, const pj_error *error)
{
	pj__task_failed(side->task, status, error);
	return status;
}

static pj_status callback_failed(const struct side *side, const char *what)
{
	pj_error error;
	pj__fail(&error, PJ_ERR_USER, 0, NULL, "cannot %s the program %s", what, side->command->argv[0]);
	return failed(side, PJ_ERR_USER, &error);
}

static pj_status begin(struct side *side, pj_task *face)
{
	const pj_command *command = side->command;
	pj_start start;
	pj_error error;
	side->task = (pj__task *)face;
	side->attempt = describe(side);
	side->tail.len = side->tail.lines = 0;
	pj__text_reset(&side->unsent);
	pj__tool_abandon(&side->tool); /* of a sample that failed */
	pj__start_init(&start, command->environment);
	if (command->prepare && command->prepare(command->arg, &side->attempt, &start) && !start.failed) {
		pj__start_fini(&start);
		return callback_failed(side, "prepare");
	}
	const pj__taker taker = {
		take, hear, side, side->commands->longest, &side->task->progress, side->commands->patience_ns};
	const pj_status status =
		pj__tool_start(&side->tool, command->argv, &start, side->commands->leash, &taker, &error);
	pj__start_fini(&start);
	return status ? failed(side, status, &error) : PJ_OK;
}

static const char *name_of(pj_role role)
{
	static const char *const names[] = {"mapper", "combiner", "reducer"};
	return names[role];
}

/* How it ended is a failure: tells why. */
static pj_status ended_badly(const struct side *side, const pj__tool_end *end)
{
	const pj_status status = end->signal ? PJ_ERR_CRASH : PJ_ERR_USER;
	pj_error error;
	pj__fail(&error, status, 0, NULL, "the %s %s failed", name_of(side->role), side->command->argv[0]);
	error.signal = end->signal;
	if (end->exit_code >= 0)
		pj__error_reason(&error, "it ended with exit code %d", end->exit_code);
	else if (!end->signal)
		pj__error_reason(&error, "how it ended is not known: this process does not hear of its children");
	if (end->exit_code == 127)
		pj__error_hint(&error, "a shell ends with 127 when it does not find a command");
	memcpy(error.said, side->tail.bytes, side->tail.len);
	error.said[side->tail.len] = 0;
	return failed(side, status, &error);
}

/* Writes what was gathered. */
static pj_status feed_unsent(struct side *side)
{
	pj_error error;
	pj_status status = PJ_OK;
	if (side->unsent.failed)
		status = pj__no_memory(&error, side->unsent.capacity * 2);
	if (!status)
		status = pj__tool_feed(&side->tool, pj__text_all(&side->unsent), &error);
	pj__text_reset(&side->unsent);
	return status ? failed(side, status, &error) : PJ_OK;
}

static pj_status end(struct side *side)
{
	pj__tool_end end;
	pj_error error;
	pj_status status = feed_unsent(side);
	if (status)
		return status;
	status = pj__tool_finish(&side->tool, &end, &error);
	if (status)
		return failed(side, status, &error);
	pj__tally *tally = pj__task_tally(side->task);
	if (!tally)
		return side->task->status;
	if (end.is_cut_off)
		pj_task_count(&side->task->face, pj_bytes_of("papjuice"),
			      pj_bytes_of("programs whose background processes were ended"), 1);
	tally->programs++;
	tally->seconds += end.seconds;
	if (tally->peak_bytes < end.peak_bytes)
		tally->peak_bytes = end.peak_bytes;
	if (end.exit_code != 0 && !(side->command->may_fail && end.exit_code > 0))
		return ended_badly(side, &end);
	if (side->command->done && side->command->done(side->command->arg, &side->attempt))
		return callback_failed(side, "finish what belongs to");
	return side->task->status;
}

/* -------------------------------------------------------------------------------------------------------- mapping */

static pj_status map_begin(pj_task *task, void *arg)
{
	return begin(&((pj__commands *)arg)->map, task);
}

static pj_status map_end(pj_task *task, void *arg)
{
	(void)task;
	return end(&((pj__commands *)arg)->map);
}

/* The lines as they are. The last one of a file gets the newline that it may lack: another file can follow. */
static pj_status map_text(pj_task *task, pj_bytes text, void *arg)
{
	struct side *side = &((pj__commands *)arg)->map;
	pj_error error;
	(void)task;
	pj_status status = pj__tool_feed(&side->tool, text, &error);
	if (!status && text.ptr[text.len - 1] != '\n')
		status = pj__tool_feed(&side->tool, (pj_bytes){"\n", 1}, &error);
	return status ? failed(side, status, &error) : PJ_OK;
}

/* Each line as the command's function writes it. */
static pj_status map_records(pj_task *task, pj_bytes text, void *arg)
{
	struct side *side = &((pj__commands *)arg)->map;
	const pj_command *command = side->command;
	pj_bytes line;
	while (pj__tool_reads(&side->tool) && pj_next_line(task, &text, &line)) {
		if (command->write(command->arg, task, (pj_bytes){NULL, 0}, line, &side->unsent))
			return callback_failed(side, "write a record to");
		if (side->unsent.len >= FEED_BYTES && feed_unsent(side))
			return side->task->status;
	}
	return PJ_OK;
}

/* -------------------------------------------------------------------------------------------- combining, reducing */

static void write_line(const struct side *side, pj_bytes key, pj_bytes value, pj_text *unsent)
{
	const pj_bytes pieces[] = {key, side->command->joint, value};
	char *to = pj__text_room(unsent, key.len + side->command->joint.len + value.len + 1);
	if (!to)
		return;
	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
		if (pieces[i].len)
			memcpy(to, pieces[i].ptr, pieces[i].len);
		to += pieces[i].len;
	}
	*to++ = '\n';
	unsent->len = (size_t)(to - unsent->data);
}

/* A group, a line for each value. */
static pj_status feed_group(struct side *side, pj_bytes key, pj_values *values)
{
	const pj_command *command = side->command;
	pj_bytes value;
	while (pj__tool_reads(&side->tool) && pj_next_value(values, &value)) {
		if (side->commands->many_keys)
			key = pj_value_key(values);
		if (!command->write)
			write_line(side, key, value, &side->unsent);
		else if (command->write(command->arg, &side->task->face, key, value, &side->unsent))
			return callback_failed(side, "write a record to");
		if (side->unsent.len >= FEED_BYTES && feed_unsent(side))
			return side->task->status;
	}
	return PJ_OK;
}

static pj_status reduce_begin(pj_task *task, void *arg)
{
	return begin(&((pj__commands *)arg)->reduce, task);
}

static pj_status reduce_group(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	(void)task;
	return feed_group(&((pj__commands *)arg)->reduce, key, values);
}

static pj_status reduce_end(pj_task *task, void *arg)
{
	(void)task;
	return end(&((pj__commands *)arg)->reduce);
}

static pj_status combine_begin(pj_task *task, void *arg)
{
	return begin(&((pj__commands *)arg)->combine, task);
}

static pj_status combine_group(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	(void)task;
	return feed_group(&((pj__commands *)arg)->combine, key, values);
}

static pj_status combine_end(pj_task *task, void *arg)
{
	(void)task;
	return end(&((pj__commands *)arg)->combine);
}

/* ----------------------------------------------------------------------------------------------------------- making */

static void init_side(pj__commands *commands, struct side *side, const pj_command *command, pj_role role)
{
	*side = (struct side){.command = command, .commands = commands, .role = role};
	pj__tool_init(&side->tool);
}

static void fini_side(struct side *side)
{
	pj__tool_fini(&side->tool);
	pj__text_fini(&side->unsent);
}

static void set_mapper(pj__commands *commands, pj_mapper *mapper)
{
	mapper->begin = map_begin;
	mapper->text = mapper->command->write ? map_records : map_text;
	mapper->end = map_end;
	mapper->arg = commands;
}

static void set_reducer(pj__commands *commands, pj_reducer *reducer)
{
	reducer->begin = reduce_begin;
	reducer->general = reduce_group;
	reducer->end = reduce_end;
	reducer->arg = commands;
	if (!reducer->combine_command)
		return;
	reducer->combine_begin = combine_begin;
	reducer->combine = combine_group;
	reducer->combine_end = combine_end;
}

static pj_status check(const pj_job *job, pj_error *error)
{
	const pj_mapper *mapper = &job->mapper;
	const pj_reducer *reducer = &job->reducer;
	const pj_command *const commands[] = {mapper->command, reducer->command, reducer->combine_command};
	const char *wrong = NULL;
	if (mapper->command && (mapper->text || mapper->line || mapper->begin || mapper->end))
		wrong = "has a mapper that is a program and a function";
	if (reducer->command && (reducer->aggregate || reducer->general || reducer->combine || reducer->begin ||
				 reducer->end || reducer->combine_begin || reducer->combine_end))
		wrong = "has a reducer that is a program and a function";
	if (reducer->combine_command && !reducer->command)
		wrong = "has a combiner that is a program, and a reducer that is none";
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (commands[i] && (!commands[i]->argv || !commands[i]->argv[0]))
			wrong = "has a program without a name";
	return wrong ? pj__fail(error, PJ_ERR_USAGE, 0, NULL, "the job %s %s", job->name ? job->name : "", wrong)
		     : PJ_OK;
}

pj_status pj__commands_create(pj_job *job, uint64_t longest, unsigned timeout_ms, pj__commands **ret_commands,
			      pj_error *error)
{
	*ret_commands = NULL;
	pj_status status = check(job, error);
	if (status || (!job->mapper.command && !job->reducer.command))
		return status;
	pj__commands *commands = calloc(1, sizeof *commands);
	if (!commands)
		return pj__no_memory(error, sizeof *commands);
	commands->many_keys = job->keys.compare || job->keys.group;
	commands->longest = (size_t)longest;
	commands->patience_ns = (uint64_t)timeout_ms * 750000; /* three quarters: before the leader loses its own */
	init_side(commands, &commands->map, job->mapper.command, PJ_ROLE_MAP);
	init_side(commands, &commands->combine, job->reducer.combine_command, PJ_ROLE_COMBINE);
	init_side(commands, &commands->reduce, job->reducer.command, PJ_ROLE_REDUCE);
	if (job->mapper.command)
		set_mapper(commands, &job->mapper);
	if (job->reducer.command)
		set_reducer(commands, &job->reducer);
	*ret_commands = commands;
	return PJ_OK;
}

pj_status pj__commands_guard(pj__commands *commands, pj_error *error)
{
	return commands && !commands->leash ? pj__leash_create(&commands->leash, error) : PJ_OK;
}

void pj__commands_destroy(pj__commands *commands)
{
	if (!commands)
		return;
	fini_side(&commands->map);
	fini_side(&commands->combine);
	fini_side(&commands->reduce);
	pj__leash_destroy(commands->leash);
	free(commands);
}

void pj__commands_sweep(pj__commands *commands)
{
	if (commands)
		pj__leash_sweep(commands->leash);
}
