/*
 * map.c: see map.h.
 */
#include "job/map.h"

#include <stdio.h>

#include "base/fault.h"
#include "input/scan.h"
#include "job/reduce.h"

pj_status pj__mapping_init(pj__mapping *mapping, const pj_job *job, pj__task *task, const pj__sources *sources,
			   pj__whereabouts *here, pj_error *error)
{
	*mapping = (pj__mapping){.job = job, .task = task, .here = here};
	pj__scan_attach(task);
	pj__sources_attach(sources, task);
	task->progress = &here->progress;
	return pj__reader_init(&mapping->reader, sources, 0, error);
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
	mapping->task->progress = &mapping->task->no_progress_page;
}

static pj_status map_lines(pj__mapping *mapping, pj_bytes text)
{
	pj_bytes line;
	while (pj_next_line(&mapping->task->face, &text, &line)) {
		++mapping->here->progress;
		const pj_status status =
			mapping->job->mapper.line(&mapping->task->face, line, mapping->job->mapper.arg);
		if (status || mapping->task->status)
			return status;
	}
	return PJ_OK;
}

static pj_status map_piece(pj__mapping *mapping, pj_bytes text, const char *file, uint64_t offset)
{
	pj__task_set_text(mapping->task, text, file, offset);
	const pj_mapper *mapper = &mapping->job->mapper;
	if (mapping->job->counts_lines)
		pj__task_set_line(mapping->task, mapping->line + 1);
	const pj_status status =
		mapper->line ? map_lines(mapping, text) : mapper->text(&mapping->task->face, text, mapper->arg);
	/* Counted behind the mapper, which has brought the text near. */
	const uint64_t newlines = pj__scan_newlines(mapping->task, text);
	mapping->bytes += text.len;
	mapping->line += newlines;
	mapping->records += newlines + (text.ptr[text.len - 1] != '\n');
	if (mapping->task->text_ends)
		mapping->task->text_ends(mapping->task);
	return status;
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
		if (status || !text.len)
			break;
		mapping->here->offset = offset;
		++mapping->here->progress;
		mapping->task->position = mapping->reader.sources->at[split.source].position + offset;
		PJ_FAULT("read");
		*ret_returned = map_piece(mapping, text, file, offset);
		PJ_FAULT("map");
		if (*ret_returned || mapping->task->status)
			break;
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
