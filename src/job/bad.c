/*
 * bad.c: see bad.h.
 */
#include "job/bad.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/grow.h"
#include "base/io.h"

enum { FAILURES_MOST = 2, PIECE = 64 << 10 };

/* ------------------------------------------------------------------------------------------------- opening, closing */

/* The file for the records' bytes must be one, and another one than the output and the inputs. */
static pj_status check_sink(const pj__bad *bad, const pj__sink *output, pj_error *error)
{
	const pj__sink *sink = &bad->sink;
	if (sink->kind != PJ__SINK_FILE)
		return pj__fail(error, PJ_ERR_USAGE, 0, bad->options->bad_records, "bad records need a file");
	const size_t len = output->path ? strlen(output->path) : 0;
	/* a folder that is replaced is replaced with all that is in it */
	bool same = len && strncmp(output->path, sink->path, len) == 0 &&
		    (!sink->path[len] || sink->path[len] == '/' || sink->path[len - 1] == '/');
	for (size_t i = 0; sink->exists && i < bad->plan->sources.count; i++)
		same |= bad->plan->sources.at[i].inode == sink->inode &&
			bad->plan->sources.at[i].device == sink->device;
	if (!same)
		return PJ_OK;
	pj__fail(error, PJ_ERR_EXISTS, 0, sink->path, "the file for bad records is also an input or the output");
	pj__error_hint(error, "choose another path with --bad-records");
	return PJ_ERR_EXISTS;
}

pj_status pj__bad_open(pj__bad *bad, const pj_options *options, const pj__plan *plan, const pj__sink *output,
		       pj_error *error)
{
	*bad = (pj__bad){.options = options, .plan = plan, .kept = -1, .temp = pj__temp_folder(options->temp, output)};
	if (!options->bad_records)
		return PJ_OK;
	const pj_output file = {.path = options->bad_records, .overwrite = options->output.overwrite};
	pj_status status = pj__sink_open(&bad->sink, &file, error);
	if (status)
		return status;
	status = check_sink(bad, output, error);
	if (status)
		pj__sink_close(&bad->sink);
	else
		pj__park_position(bad->sink.fd);
	bad->has_sink = !status;
	return status;
}

void pj__bad_close(pj__bad *bad)
{
	if (bad->has_sink)
		pj__sink_close(&bad->sink);
	pj__close(&bad->kept);
	free(bad->at);
	*bad = (pj__bad){.kept = -1};
}

/* --------------------------------------------------------------------------------------------------------- numbers */

/* Counts lines of a source from `start` on, where `before` lines precede the first one, to the one at `offset`. */
static pj_status count_to(const pj__bad *bad, pj__split from, uint64_t offset, uint64_t *ret_number, pj_error *error)
{
	pj__reader reader;
	uint64_t lines = 0, bytes;
	pj__split split = from;
	split.end = offset + 1;
	pj_status status = pj__reader_init(&reader, &bad->plan->sources, 0, error);
	reader.stop = bad->options->stop;
	if (!status)
		status = pj__reader_count_lines(&reader, split, &lines, &bytes, error);
	pj__reader_fini(&reader);
	if (!status)
		*ret_number = from.lines + lines;
	return status;
}

/* Where to begin to count: of a stream, what lies before the split may be gone, but is counted. */
static pj__split counted_from(const pj__plan *plan, size_t task, pj__record_at at)
{
	const pj__split begin = {.source = (uint32_t)at.source};
	return task < plan->task_count && pj__plan_is_streamed(plan, task) ? plan->splits[plan->first[task]] : begin;
}

/*
 * Where in the text of a compressed source a task's piece of it begins: what stands before it is decoded, if that was
 * not done before the map.
 */
static pj_status find_origin(const pj__bad *bad, pj__reader *reader, size_t task, uint64_t source, uint64_t *ret_origin)
{
	const pj__plan *plan = bad->plan;
	size_t i = plan->first[task];
	uint64_t origin = 0, lines, bytes;
	pj_status status = PJ_OK;
	while (i + 1 < plan->first[task + 1] && plan->splits[i].source != source)
		i++;
	if (!plan->splits[i].origin)
		for (; i > 0 && plan->splits[i - 1].source == source && !status; i--, origin += bytes)
			status = pj__reader_count_lines(reader, plan->splits[i - 1], &lines, &bytes, NULL);
	*ret_origin = origin;
	return status;
}

static pj_status pass_over(void *found, pj_bytes piece, pj_error *error)
{
	(void)piece;
	(void)error;
	*(bool *)found = true;
	return PJ_OK;
}

/* Of a compressed source: the error's offset, until now one of the task's piece, becomes one of the whole text. */
static void place_packed(const pj__bad *bad, size_t task, pj__record_at at, bool is_record, pj_error *error)
{
	pj__reader reader;
	uint64_t origin = 0, lines = 0;
	bool found = !is_record;
	pj_status status = pj__reader_init(&reader, &bad->plan->sources, 0, NULL);
	reader.stop = bad->options->stop;
	if (!status)
		status = find_origin(bad, &reader, task, at.source, &origin);
	if (!status && is_record)
		status = pj__reader_record(&reader, (uint32_t)at.source, origin + at.offset, &lines, pass_over, &found,
					   NULL);
	pj__reader_fini(&reader);
	error->offset = found && !status ? (int64_t)(origin + at.offset) : -1;
	if (found && is_record && !status)
		error->record = lines + 1;
}

void pj__bad_place(const pj__bad *bad, size_t task, pj__record_at at, bool is_record, pj_error *error)
{
	const pj__plan *plan = bad->plan;
	uint64_t number;
	if (!error || at.source >= plan->sources.count)
		return;
	if (task < plan->task_count && pj__source_is_packed(&plan->sources.at[at.source]))
		place_packed(bad, task, at, is_record, error);
	else if (is_record && !count_to(bad, counted_from(plan, task, at), at.offset, &number, NULL))
		error->record = number;
}

/* ----------------------------------------------------------------------------------------------------------- bytes */

static pj_status keep_piece(void *arg, pj_bytes piece, pj_error *error)
{
	pj__bad *bad = arg;
	pj__bad_record *record = &bad->at[bad->count - 1];
	record->bytes += piece.len;
	if (!bad->has_sink)
		return PJ_OK;
	const pj_status status =
		pj__pwrite_checked(bad->kept, bad->temp, piece.ptr, piece.len, (off_t)bad->kept_end, error);
	bad->kept_end += status ? 0 : piece.len;
	return status;
}

/* Keeps the bytes of the last record of the list, while they can still be read. */
static pj_status keep(pj__bad *bad, pj_error *error)
{
	pj__bad_record *record = &bad->at[bad->count - 1];
	const pj__sources *sources = &bad->plan->sources;
	pj_status status = PJ_OK;
	if (bad->has_sink && bad->kept < 0)
		status = pj__temp_file(bad->temp, &bad->kept, error);
	if (status)
		return status;
	pj__reader reader;
	uint64_t lines = 0;
	record->kept = bad->kept_end;
	record->bytes = 0;
	status = pj__reader_init(&reader, sources, 0, error);
	reader.stop = bad->options->stop;
	if (!status)
		status = pj__reader_record(&reader, (uint32_t)record->at.source, record->at.offset, &lines, keep_piece,
					   bad, error);
	pj__reader_fini(&reader);
	if (!status && pj__source_is_packed(&sources->at[record->at.source]))
		record->number = lines + 1;
	if (!status && sources->at[record->at.source].kind == PJ__SOURCE_STREAM)
		status = count_to(bad, counted_from(bad->plan, record->task, record->at), record->at.offset,
				  &record->number, error);
	return status;
}

/* Copies a record's bytes to the file; *offset moves past them and the newline that ends them. */
static pj_status write_record(pj__bad *bad, const pj__bad_record *record, uint64_t *offset, pj_error *error)
{
	char piece[PIECE];
	char last = '\n';
	for (uint64_t done = 0; done < record->bytes;) {
		const size_t step = record->bytes - done < PIECE ? (size_t)(record->bytes - done) : PIECE;
		pj_status status =
			pj__pread_exactly(bad->kept, bad->temp, piece, step, (off_t)(record->kept + done), error);
		if (!status)
			status = pj__pwrite_checked(bad->sink.fd, bad->sink.path, piece, step, (off_t)*offset, error);
		if (status)
			return status;
		done += step;
		*offset += step;
		last = piece[step - 1];
	}
	if (last == '\n')
		return PJ_OK;
	return pj__pwrite_checked(bad->sink.fd, bad->sink.path, "\n", 1, (off_t)(*offset)++, error);
}

/* --------------------------------------------------------------------------------------------------------- accusing */

/* The accused record, moved to the end of the list. */
static pj_status find(pj__bad *bad, size_t task, pj__record_at at, pj_error *error)
{
	pj__bad_record found = {.at = at, .task = task};
	size_t i = 0;
	while (i < bad->count && (bad->at[i].at.offset != at.offset || bad->at[i].at.source != at.source))
		i++;
	if (i < bad->count) {
		found = bad->at[i];
		bad->at[i] = bad->at[bad->count - 1];
	} else {
		const pj_status status = pj__grow(&bad->at, &bad->capacity, bad->count + 1, sizeof *bad->at, error);
		if (status)
			return status;
		bad->count++;
	}
	bad->at[bad->count - 1] = found;
	return PJ_OK;
}

bool pj__bad_may_be_record(pj_status status)
{
	switch (status) {
	case PJ_ERR_INPUT:
	case PJ_ERR_CHANGED:
	case PJ_ERR_OUTPUT:
	case PJ_ERR_EXISTS:
	case PJ_ERR_USAGE:
		return false;
	default:
		return true;
	}
}

pj_status pj__bad_accuse(pj__bad *bad, size_t task, pj__record_at at, const pj_error *why, pj__verdict *ret_verdict,
			 pj_error *error)
{
	pj_status status = find(bad, task, at, error);
	if (status)
		return status;
	pj__bad_record *record = &bad->at[bad->count - 1];
	pj_error shown = *why; /* where it happened is told beside it */
	char line[1024];
	shown.file[0] = shown.phase[0] = 0;
	snprintf(record->reason, sizeof record->reason, "%.*s", (int)sizeof record->reason - 1,
		 pj_error_format(&shown, line, sizeof line));
	*ret_verdict = PJ__IS_SUSPECT;
	if (++record->failures < FAILURES_MOST)
		return PJ_OK;
	*ret_verdict = bad->left_out < bad->options->skip_bad ? PJ__IS_LEFT_OUT : PJ__IS_TOO_MUCH;
	record->left_out = true;
	bad->left_out += *ret_verdict == PJ__IS_LEFT_OUT;
	return keep(bad, error);
}

/* Borders of a compressed source are not places in its text: there all of its records are looked at. */
static bool lies_in(const pj__bad *bad, const pj__split *splits, size_t count, pj__record_at at)
{
	const bool packed = pj__source_is_packed(&bad->plan->sources.at[at.source]);
	for (size_t i = 0; i < count; i++)
		if (splits[i].source == at.source &&
		    (packed || (at.offset >= splits[i].start && at.offset < splits[i].end)))
			return true;
	return false;
}

pj__record_at *pj__bad_list(const pj__bad *bad, const pj__split *splits, size_t split_count, size_t *ret_count)
{
	pj__record_at *list = bad->count ? calloc(bad->count, sizeof *list) : NULL;
	size_t count = 0;
	for (size_t i = 0; i < bad->count; i++) {
		if (!bad->at[i].left_out || (splits && !lies_in(bad, splits, split_count, bad->at[i].at)))
			continue;
		if (list)
			list[count] = bad->at[i].at;
		count++;
	}
	*ret_count = count;
	return list;
}

/* ---------------------------------------------------------------------------------------------------------- the end */

static int in_input_order(const void *a, const void *b)
{
	const pj__bad_record *x = a, *y = b;
	if (x->left_out != y->left_out)
		return x->left_out ? -1 : 1;
	if (x->at.source != y->at.source)
		return x->at.source < y->at.source ? -1 : 1;
	return (x->at.offset > y->at.offset) - (x->at.offset < y->at.offset);
}

/* Puts what was left out to the front, in order. Returns how many these are. */
static size_t sort_left_out(pj__bad *bad)
{
	size_t count = 0;
	if (bad->count)
		qsort(bad->at, bad->count, sizeof *bad->at, in_input_order);
	while (count < bad->count && bad->at[count].left_out)
		count++;
	return count;
}

pj_status pj__bad_write(pj__bad *bad, pj_error *error)
{
	const size_t count = bad->has_sink ? sort_left_out(bad) : 0;
	pj_status status = PJ_OK;
	uint64_t offset = 0;
	for (size_t i = 0; i < count && !status; i++)
		status = write_record(bad, &bad->at[i], &offset, error);
	return status;
}

pj_status pj__bad_commit(pj__bad *bad, pj_error *error)
{
	const pj_status status = bad->has_sink ? pj__sink_commit(&bad->sink, error) : PJ_OK;
	if (status)
		pj__error_hint(error, "the output is there, and complete: only the file of bad records is missing");
	return status;
}

void pj__bad_tell(pj__bad *bad, pj_result *result)
{
	const pj__sources *sources = &bad->plan->sources;
	const size_t count = sort_left_out(bad);
	pj__split from = {.source = UINT32_MAX};
	result->skipped = bad->left_out;
	for (size_t i = 0; i < count && bad->options->bad_record; i++) {
		pj__bad_record *record = &bad->at[i];
		/* Lines of a file are counted from one record to the next: its offset is not the first byte's. */
		if (from.source != record->at.source)
			from = (pj__split){.source = (uint32_t)record->at.source};
		if (!record->number && !pj__source_is_packed(&sources->at[record->at.source]) &&
		    count_to(bad, from, record->at.offset, &record->number, NULL) == PJ_OK) {
			from.start = record->at.offset;
			from.lines = record->number - 1;
		}
		const pj_bad_record told = {.file = sources->at[record->at.source].name,
					    .offset = record->at.offset,
					    .record = record->number,
					    .bytes = record->bytes,
					    .reason = record->reason};
		bad->options->bad_record(bad->options->bad_record_arg, &told);
	}
}
