/*
 * worker_parts.c: the part that a worker makes, and the parts that it holds until it is told to write them.
 *
 * What of a part is larger than it may be in memory goes to the worker's file on disk; of a part in another order than
 * that of keys, in ordered chunks, which are merged when it is finished.
 */
#include <fcntl.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/grow.h"
#include "base/io.h"
#include "engine/worker.h"
#include "output/direct.h"

enum { CHUNK_BUFFER = 16 << 10 };

static void part_failed(struct worker *worker, pj_status status, const pj_error *error)
{
	if (status)
		pj__task_failed(worker->setup.job.map_only ? &worker->task : &worker->reduce_task, status, error);
}

/* A part has become larger than it may in memory: what there is of it goes to disk. */
static void spill_part(pj__part *part, void *arg)
{
	struct worker *worker = arg;
	pj_error error;
	uint64_t offset = 0;
	pj_status status = PJ_OK;
	if (part->bytes.failed)
		status = pj__no_memory(&error, part->bytes.capacity * 2);
	if (!status)
		status = pj__store_on_disk(&worker->store, pj__text_all(&part->bytes), &offset, &error);
	part_failed(worker, status, &error);
	++pj__page_of(worker->local, worker->slot)->here.progress;
	if (!worker->part_spilled)
		worker->part_offset = offset;
	worker->part_spilled += part->bytes.len;
	pj__text_reset(&part->bytes);
}

/* Puts what there is of an ordered part in order, and, unless the limit has made it small, to disk. */
static pj_status put_chunk(struct worker *worker, size_t least, pj_error *error)
{
	pj__part *part = &worker->part;
	uint64_t offset;
	pj_status status = pj__part_order(part, &worker->brief.output, error);
	const size_t bytes = part->bytes.len;
	if (status || bytes < least)
		return status;
	status = pj__grow(&worker->chunks, &worker->chunk_capacity, worker->chunk_count + 1, sizeof *worker->chunks,
			  error);
	if (!status)
		status = pj__store_on_disk(&worker->store, pj__text_all(&part->bytes), &offset, error);
	if (!status)
		worker->chunks[worker->chunk_count++] = (pj__parked){worker->store.file[PJ__ON_DISK], offset, bytes};
	pj__text_reset(&part->bytes);
	return status;
}

static void spill_ordered(pj__part *part, void *arg)
{
	struct worker *worker = arg;
	pj_error error;
	part_failed(worker, put_chunk(worker, part->most / 2, &error), &error);
}

void pj__held_begin_run(struct worker *worker)
{
	const pj__brief *brief = &worker->brief;
	pj__part *part = &worker->part;
	part->columns = brief->output.columns;
	part->escape = brief->output.escape;
	part->as_records = brief->ordered || brief->kind == PJ__SINK_FUNCTION;
	part->overflow = brief->ordered ? spill_ordered : spill_part;
	part->arg = worker;
	/* An ordered part is listed and copied when it is put in order. */
	part->most = worker->local->budget.part / (brief->ordered ? 4 : 1);
	part->cuts = !brief->ordered;
	worker->held_count = 0;
	pj__held_begin(worker);
}

/* Merges some chunks of a part into one. */
static pj_status merge_some(struct worker *worker, const pj__parked *chunks, size_t count, pj__parked *ret_chunk,
			    uint64_t *ret_pairs, pj_error *error)
{
	const pj_status *failed = worker->setup.job.map_only ? &worker->task.status : &worker->reduce_task.status;
	pj__part merged = {.as_records = true,
			   .cuts = true,
			   .overflow = spill_part,
			   .arg = worker,
			   .most = worker->local->budget.part / 4};
	worker->part_spilled = worker->part_offset = 0;
	pj_status status = pj__part_merge(&merged, chunks, count, &worker->brief.output, worker->local->budget.part,
					  failed, error);
	if (!status)
		spill_part(&merged, worker);
	pj__text_fini(&merged.bytes);
	if (!status && *failed) {
		status = *failed;
		if (error)
			*error = worker->setup.job.map_only ? worker->task.error : worker->reduce_task.error;
	}
	*ret_chunk = (pj__parked){worker->store.file[PJ__ON_DISK], worker->part_offset, worker->part_spilled};
	*ret_pairs = merged.pairs;
	return status;
}

/* Merges the chunks of an ordered part, as many at a time as memory allows, until there is one: the part. */
static pj_status merge_chunks(struct worker *worker, pj_error *error)
{
	const size_t room = worker->local->budget.part / CHUNK_BUFFER, width = room < 4 ? 4 : room;
	pj_status status = put_chunk(worker, 1, error);
	while (worker->chunk_count > 1 && !status) {
		size_t kept = 0;
		for (size_t i = 0; i < worker->chunk_count && !status; i += width) {
			const size_t rest = worker->chunk_count - i;
			pj__parked merged;
			status = merge_some(worker, worker->chunks + i, rest < width ? rest : width, &merged,
					    &worker->part.pairs, error);
			worker->chunks[kept++] = merged;
		}
		worker->chunk_count = kept;
	}
	worker->part_offset = worker->chunks[0].offset;
	worker->part_spilled = worker->chunks[0].bytes;
	worker->chunk_count = 0;
	return status;
}

void pj__held_begin(struct worker *worker)
{
	worker->chunk_count = 0;
	pj__text_reset(&worker->part.bytes);
	worker->part.pairs = 0;
	worker->part_spilled = 0;
	worker->part_count = 0;
}

pj_status pj__held_keep(struct worker *worker, uint64_t task, pj__counts *counts, pj_error *error)
{
	pj__part *part = &worker->part;
	if (worker->brief.ordered) {
		const pj_status status = worker->chunk_count ? merge_chunks(worker, error)
							     : pj__part_order(part, &worker->brief.output, error);
		if (status)
			return status;
	}
	if (worker->part_spilled && part->bytes.len) {
		uint64_t unused;
		const pj_status status = pj__store_on_disk(&worker->store, pj__text_all(&part->bytes), &unused, error);
		if (status)
			return status;
		worker->part_spilled += part->bytes.len;
		pj__text_reset(&part->bytes);
	}
	const size_t before = worker->held_capacity;
	const pj_status grown =
		pj__grow(&worker->held, &worker->held_capacity, worker->held_count + 1, sizeof *worker->held, error);
	if (grown)
		return grown;
	memset(worker->held + before, 0, (worker->held_capacity - before) * sizeof *worker->held);
	counts->part_pairs = part->pairs;
	counts->part_bytes = worker->part_spilled + part->bytes.len;
	counts->part_memory = part->bytes.len;
	counts->spilled = worker->store.spilled - worker->spilled_told;
	counts->passes = worker->store.passes;
	worker->spilled_told = worker->store.spilled;
	/* The part's memory goes to the list, and that of a part that was written comes back. */
	struct held_part *held = &worker->held[worker->held_count++];
	const pj_text spare = held->bytes;
	*held = (struct held_part){
		task, worker->part_first, worker->part_count, worker->part_spilled, worker->part_offset, part->bytes};
	part->bytes = spare;
	pj__held_begin(worker);
	return PJ_OK;
}

/* Writes a piece of a part: to a part file, or, if there is none, to the output's place. */
static pj_status write_piece(struct worker *worker, pj__part_file *file, pj_bytes piece, uint64_t offset,
			     pj_error *error)
{
	const pj__sink *sink = worker->local->sink;
	++pj__page_of(worker->local, worker->slot)->here.progress;
	if (file)
		return pj__part_file_write(file, piece, error);
	return worker->local->direct >= 0 && offset >= worker->local->direct_from
		       ? pj__direct_write(worker->local->direct, sink->fd, sink->path, &worker->direct_buffer, piece,
					  offset, error)
		       : pj__pwrite_checked(sink->fd, sink->path, piece.ptr, piece.len, (off_t)offset, error);
}

/* Writes a held part to a part file, or, if there is none, to the output from `offset` on. */
static pj_status write_to(struct worker *worker, const struct held_part *held, pj__part_file *file, uint64_t offset,
			  pj_error *error)
{
	enum { PIECE = 256 << 10 };
	const pj_bytes bytes = pj__text_all(&held->bytes);
	pj_status status = PJ_OK;
	if (!held->spilled) {
		/* To compress it takes a while. */
		const size_t most = file && file->encoder ? PIECE : bytes.len;
		for (size_t done = 0; done < bytes.len && !status; done += most) {
			const size_t rest = bytes.len - done;
			const pj_bytes piece = {bytes.ptr + done, rest < most ? rest : most};
			status = write_piece(worker, file, piece, offset + done, error);
		}
		return status;
	}
	char *piece = malloc(PIECE);
	if (!piece)
		return pj__no_memory(error, PIECE);
	for (uint64_t done = 0; done < held->spilled && !status;) {
		const size_t step = held->spilled - done < PIECE ? (size_t)(held->spilled - done) : PIECE;
		status = pj__pread_exactly(worker->store.file[PJ__ON_DISK], PJ__PART_FILE, piece, step,
					   (off_t)(held->offset + done), error);
		if (!status)
			status = write_piece(worker, file, (pj_bytes){piece, step}, offset + done, error);
		PJ_FAULT("output");
		done += step;
	}
	free(piece);
	/* Only space is at stake: where it cannot be given back it is kept. */
	(void)fallocate(worker->store.file[PJ__ON_DISK], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			(off_t)held->offset, (off_t)held->spilled);
	return status;
}

static pj_status write_held(struct worker *worker, const struct held_part *held, pj__message *message, pj_error *error)
{
	const pj__sink *sink = worker->local->sink;
	const bool parks = worker->brief.parks || worker->brief.ordered;
	if (!parks && sink->kind == PJ__SINK_FILE)
		return write_to(worker, held, NULL, message->write.offset, error);
	if (!parks && sink->kind == PJ__SINK_FOLDER) {
		pj__part_file file;
		pj_status status = pj__part_file_open(&file, sink, held->task, error);
		if (status)
			return status;
		status = write_to(worker, held, &file, 0, error);
		return pj__part_file_close(&file, status, error);
	}
	/* The leader takes it from here. */
	if (held->spilled) {
		message->write.where = PJ__ON_DISK;
		message->write.offset = held->offset;
		return PJ_OK;
	}
	return pj__store_park(&worker->store, pj__text_all(&held->bytes), worker->brief.ordered, &message->write.where,
			      &message->write.offset, error);
}

pj_status pj__held_write(struct worker *worker, pj__message *message, pj_error *error)
{
	size_t at = 0;
	while (at < worker->held_count && worker->held[at].task != message->task)
		at++;
	if (at == worker->held_count)
		return pj__fail(error, PJ_ERR_INTERNAL, 0, NULL, "a part to be written is not held");
	const pj_status status = write_held(worker, &worker->held[at], message, error);
	if (status)
		return status;
	PJ_FAULT("output");
	message->kind = PJ__WRITTEN;
	message->write.bytes = worker->held[at].spilled + worker->held[at].bytes.len;
	const struct held_part written = worker->held[at];
	worker->done_first = written.first;
	worker->done_count = written.count;
	worker->held[at] = worker->held[--worker->held_count];
	worker->held[worker->held_count] = written; /* its memory is used again */
	return PJ_OK;
}
