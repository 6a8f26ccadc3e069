/*
 * map.c: see map.h.
 */
#include "job/map.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/fault.h"
#include "input/scan.h"
#include "job/reduce.h"

static bool is_left_out(const pj__mapping *mapping, uint64_t offset)
{
	for (size_t i = 0; i < mapping->care.count; i++)
		if (mapping->care.left_out[i].offset == offset &&
		    mapping->care.left_out[i].source == mapping->here->source)
			return true;
	return false;
}

/* The reader has come to a record that is too long. True: it is to pass over it. */
static bool passes_over(void *arg, uint64_t offset, uint64_t bytes)
{
	pj__mapping *mapping = arg;
	const bool passes = mapping->care.is && is_left_out(mapping, offset);
	mapping->bytes += passes ? bytes : 0;
	mapping->line += passes;
	return passes;
}

pj_status pj__mapping_init(pj__mapping *mapping, const pj_job *job, pj__task *task, const pj__sources *sources,
			   pj__whereabouts *here, pj_error *error)
{
	*mapping = (pj__mapping){.job = job, .task = task, .here = here};
	pj__scan_attach(task);
	pj__sources_attach(sources, task);
	task->progress = &here->progress;
	const pj_status status = pj__reader_init(&mapping->reader, sources, 0, error);
	mapping->reader.passes_over = passes_over;
	mapping->reader.map = mapping;
	return status;
}

/* The task has no text: where the last one was, other bytes may lie. */
static void forget_text(pj__task *task)
{
	pj__task_set_text(task, (pj_bytes){NULL, 0}, "", 0);
	task->face.readable_len = 0;
}

void pj__mapping_fini(pj__mapping *mapping)
{
	pj__reader_fini(&mapping->reader);
	forget_text(mapping->task);
	mapping->task->progress = mapping->task->reached = &mapping->task->nobody_watches;
}

static pj_status map_lines(pj__mapping *mapping, pj_bytes text, uint64_t offset)
{
	const pj_mapper *mapper = &mapping->job->mapper;
	const char *const begin = text.ptr;
	pj_bytes line;
	mapping->here->at = PJ__AT_RECORD;
	while (pj_next_line(&mapping->task->face, &text, &line)) {
		mapping->here->offset = offset + (uint64_t)(line.ptr - begin);
		const pj_status status = mapper->line(&mapping->task->face, line, mapper->arg);
		if (status || mapping->task->status)
			return status;
	}
	return PJ_OK;
}

/* The task gets a piece of the source at hand, or a record of it. */
static void set_text(const pj__mapping *mapping, pj_bytes text, const char *file, uint64_t offset)
{
	pj__task_set_text(mapping->task, text, file, offset);
	mapping->task->position = mapping->reader.sources->at[mapping->here->source].position + offset;
}

static pj_status map_piece(pj__mapping *mapping, pj_bytes text, const char *file, uint64_t offset)
{
	const pj_mapper *mapper = &mapping->job->mapper;
	pj__task *task = mapping->task;
	set_text(mapping, text, file, offset);
	if (mapping->job->counts_lines)
		pj__task_set_line(task, mapping->line + 1);
	pj_status returned;
	if (mapper->line) {
		returned = map_lines(mapping, text, offset);
	} else {
		mapping->here->offset = offset;
		mapping->here->at = PJ__AT_TEXT;
		task->reached = &mapping->here->offset;
		returned = mapper->text(&task->face, text, mapper->arg);
		task->reached = &task->nobody_watches;
	}
	/* Counted behind the mapper, which has brought the text near. */
	const uint64_t newlines = pj__scan_newlines(task, text);
	mapping->bytes += text.len;
	mapping->line += newlines;
	mapping->records += newlines + (text.ptr[text.len - 1] != '\n');
	if (task->text_ends)
		task->text_ends(task);
	return returned;
}

/* A record by itself, its newline included. */
static pj_status map_record(pj__mapping *mapping, pj_bytes record, const char *file, uint64_t offset)
{
	const pj_mapper *mapper = &mapping->job->mapper;
	pj__task *task = mapping->task;
	const bool ended = record.ptr[record.len - 1] == '\n';
	mapping->here->offset = offset;
	mapping->here->at = PJ__AT_RECORD;
	set_text(mapping, record, file, offset);
	if (mapping->job->counts_lines)
		pj__task_set_line(task, mapping->line);
	++mapping->here->progress;
	const pj_status returned =
		mapper->line ? mapper->line(&task->face, (pj_bytes){record.ptr, record.len - ended}, mapper->arg)
			     : mapper->text(&task->face, record, mapper->arg);
	if (!mapping->keeps_batch)
		pj__task_flush(task);
	if (task->text_ends)
		task->text_ends(task);
	/* without it the failure would be found only later, and another record blamed */
	return mapping->lifeline && fcntl(mapping->lifeline, F_GETFD) < 0 ? PJ_ERR_USER : returned;
}

/* The records of a piece one by one, without those that are left out. */
static pj_status map_carefully(pj__mapping *mapping, pj_bytes text, const char *file, uint64_t offset)
{
	pj_bytes rest = text, line;
	mapping->bytes += text.len;
	while (pj_next_line_plain(&rest, &line)) {
		const uint64_t at = offset + (uint64_t)(line.ptr - text.ptr);
		mapping->line++;
		if (is_left_out(mapping, at))
			continue;
		mapping->records++;
		const pj_status returned =
			map_record(mapping, (pj_bytes){line.ptr, (size_t)(rest.ptr - line.ptr)}, file, at);
		if (returned || mapping->task->status)
			return returned;
	}
	return PJ_OK;
}

/* Tells of what the task is a part. */
static void assign(pj__mapping *mapping, const pj__split *splits, size_t count)
{
	pj__assignment *part_of = &mapping->task->part_of;
	part_of->file = count ? mapping->reader.sources->at[splits->source].name : "";
	part_of->start = count ? splits->start : 0;
	part_of->length = count ? splits->end - splits->start : 0;
}

/* Maps one split. User code's result goes to *ret_returned, the engine's own failures are returned. */
static pj_status map_split(pj__mapping *mapping, pj__split split, pj_status *ret_returned, pj_error *error)
{
	const char *file = mapping->reader.sources->at[split.source].name;
	pj_status status = pj__reader_begin(&mapping->reader, split, error);
	mapping->here->source = split.source;
	mapping->task->input = split.source;
	mapping->line = split.lines;
	while (!status) {
		pj_bytes text;
		uint64_t offset;
		status = pj__reader_next(&mapping->reader, &text, &offset, error);
		if (status == PJ_ERR_RECORD) { /* one that is too long to be read */
			mapping->here->offset = mapping->reader.refused;
			mapping->here->at = PJ__AT_RECORD;
		}
		if (status || !text.len)
			break;
		++mapping->here->progress;
		PJ_FAULT("read");
		*ret_returned = mapping->care.is ? map_carefully(mapping, text, file, offset)
						 : map_piece(mapping, text, file, offset);
		PJ_FAULT("map");
		if (*ret_returned || mapping->task->status)
			break;
		mapping->here->at = PJ__AT_NOTHING;
	}
	return status;
}

pj_status pj__map_task(pj__mapping *mapping, uint64_t index, const pj__split *splits, size_t count, pj_error *error)
{
	pj__task *task = mapping->task;
	const pj_mapper *mapper = &mapping->job->mapper;
	pj_status returned = PJ_OK;
	mapping->records = mapping->bytes = 0;
	task->index = index;
	mapping->here->at = PJ__AT_NOTHING;
	forget_text(task);
	assign(mapping, splits, count);
	if (mapper->begin)
		returned = mapper->begin(&task->face, mapper->arg);
	for (size_t i = 0; i < count && !returned && !task->status; i++) {
		const pj_status status = map_split(mapping, splits[i], &returned, error);
		if (status)
			return status;
	}
	const pj_place last = {task->file, task->file_offset};
	if (mapper->end && !returned && !task->status) {
		forget_text(task);
		returned = mapper->end(&task->face, mapper->arg);
	}
	pj__task_flush(task);
	const pj_status status = pj__task_outcome(task, NULL, returned, "mapper", error);
	if (status && error && !error->file[0] && *last.file) {
		snprintf(error->file, sizeof error->file, "%s", last.file);
		error->offset = (int64_t)last.offset;
	}
	return status;
}
