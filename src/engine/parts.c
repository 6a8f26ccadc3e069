/*
 * parts.c: the parts of the output, brought into order.
 *
 * Workers finish parts in any order and hold them. Into a file a part may be written as soon as the sizes of all
 * earlier ones are known: it has its offset then. A part of a folder is a file of its own. For a stream or a function a
 * part's turn comes when all earlier ones have been written: it is parked in the worker's file, from where the leader
 * takes it.
 *
 *     part       0        1        2        3
 *     size       known    known    ?        known
 *     offset     0        size 0   sum      not yet
 */
#include <fcntl.h>
#include <stdlib.h>

#include "base/grow.h"
#include "base/io.h"
#include "base/machine.h"
#include "base/space.h"
#include "engine/leader.h"
#include "output/part.h"

enum { WRITES_MOST = 16 }; /* that a worker is told of at a time */
static const size_t stream_bytes = 1 << 20;

static bool in_order(const struct leader *leader)
{
	if (leader->local.brief.ordered)
		return false;
	return leader->local.brief.parks || leader->run->sink->kind == PJ__SINK_STREAM ||
	       leader->run->sink->kind == PJ__SINK_FUNCTION;
}

bool pj__parts_are_parked(const struct leader *leader)
{
	return leader->local.brief.ordered || in_order(leader);
}

pj_status pj__parts_grow(struct leader *leader, size_t count, pj_error *error)
{
	const pj_status status = pj__grow(&leader->parts, &leader->part_capacity, count, sizeof *leader->parts, error);
	if (status)
		return status;
	for (; leader->part_count < count; leader->part_count++)
		leader->parts[leader->part_count] = (struct part){.bytes = UINT64_MAX};
	return PJ_OK;
}

void pj__part_settled(struct leader *leader, size_t index)
{
	struct part *part = &leader->parts[index];
	if (part->tally)
		pj__tally_merge(&leader->run->tally, part->tally);
	free(part->tally);
	part->tally = NULL;
}

void pj__parts_forget(struct leader *leader)
{
	for (size_t i = 0; i < leader->part_count; i++)
		free(leader->parts[i].tally);
	leader->part_count = 0;
}

pj_status pj__part_held(struct leader *leader, unsigned slot, size_t index, const pj__counts *counts, pj_error *error)
{
	struct part *part = &leader->parts[index];
	const uint64_t bytes = counts->part_bytes;
	if (part->bytes != UINT64_MAX && part->bytes != bytes) {
		pj__fail(error, PJ_ERR_USER, 0, NULL, "a task that was done again gave another result");
		pj__error_reason(error, "%llu bytes, then %llu", (unsigned long long)part->bytes,
				 (unsigned long long)bytes);
		pj__error_hint(error, "the user's code must be deterministic");
		pj__error_at(error, leader->phase == PJ__PHASE_MAP ? "map" : "reduce", (int64_t)index, -1);
		return PJ_ERR_USER;
	}
	part->bytes = bytes;
	part->slot = slot;
	part->counts = *counts;
	free(part->tally);
	part->tally = leader->slots[slot].tally;
	leader->slots[slot].tally = NULL;
	part->held = true;
	part->told = false;
	leader->slots[slot].waiting++;
	leader->slots[slot].held_bytes += counts->part_memory;
	while (leader->part_sized < leader->part_count && leader->parts[leader->part_sized].bytes != UINT64_MAX) {
		leader->parts[leader->part_sized].offset = leader->part_offset;
		leader->part_offset += leader->parts[leader->part_sized++].bytes;
	}
	pj__parts_pump(leader);
	return PJ_OK;
}

/* Does a part go to a place of its own? */
static bool at_any_time(const struct leader *leader)
{
	return leader->local.brief.ordered ||
	       (leader->run->sink->kind == PJ__SINK_FOLDER && !leader->local.brief.parks);
}

static bool is_ready(const struct leader *leader, size_t index)
{
	const struct part *part = &leader->parts[index];
	if (!part->held || part->told || part->written || leader->slots[part->slot].writing >= WRITES_MOST)
		return false;
	if (in_order(leader))
		return index == leader->part_next;
	return at_any_time(leader) || index < leader->part_sized;
}

/* How many parts could be told to be written now, were they ready: queues are short, and a task must fit, too. */
static size_t room_for_writes(const struct leader *leader)
{
	size_t room = 0;
	for (unsigned i = 0; i < leader->local.workers; i++) {
		const struct slot *slot = &leader->slots[i];
		const unsigned more = slot->writing < WRITES_MOST ? WRITES_MOST - slot->writing : 0;
		room += slot->waiting < more ? slot->waiting : more;
	}
	return room;
}

/* Tells a worker to write a part. False: it cannot be told now; if the worker is gone, its death will be heard of. */
static bool tell_to_write(struct leader *leader, size_t index, uint64_t offset)
{
	struct part *part = &leader->parts[index];
	struct slot *slot = &leader->slots[part->slot];
	pj__message message = {.kind = PJ__WRITE, .task = index};
	message.write.offset = offset;
	message.lease = pj__leader_lease(leader, part->slot);
	if (pj__dispatcher_send(leader->dispatcher, part->slot, &message, pj__message_bytes(&message)))
		return false;
	if (!slot->busy && !slot->writing)
		slot->progress_ns = pj__now_ns();
	slot->waiting--;
	slot->writing++;
	part->told = true;
	return true;
}

void pj__parts_pump(struct leader *leader)
{
	while (leader->part_next < leader->part_count && leader->parts[leader->part_next].written)
		leader->part_next++;
	const bool any_time = at_any_time(leader);
	const size_t end = in_order(leader) ? leader->part_next + 1
			   : any_time       ? leader->part_count
					    : leader->part_sized;
	size_t room = room_for_writes(leader);
	for (size_t i = leader->part_next; i < end && i < leader->part_count && room; i++)
		if (is_ready(leader, i))
			room -= tell_to_write(leader, i, any_time || in_order(leader) ? 0 : leader->parts[i].offset);
}

/*
 * Writes parked bytes to where the output wants them; `file` is that of a part of a folder. *ret_taken: how many; a
 * function gets whole pairs, so it takes those.
 */
static pj_status pass_on(const struct leader *leader, pj__part_file *file, pj_bytes bytes, size_t *ret_taken,
			 pj_error *error)
{
	const pj__sink *sink = leader->run->sink;
	*ret_taken = bytes.len;
	if (sink->kind == PJ__SINK_FUNCTION) {
		bytes.len = *ret_taken = pj__part_whole(bytes);
		return pj__part_deliver(bytes, &sink->output, error);
	}
	if (sink->kind != PJ__SINK_FOLDER)
		return pj__sink_stream(sink, bytes, error);
	return pj__part_file_write(file, bytes, error);
}

/* Passes on `bytes` of a worker's file from `offset` on, a piece at a time. */
static pj_status pass_on_all(struct leader *leader, int from, uint64_t offset, uint64_t bytes, pj__part_file *to,
			     pj_error *error)
{
	pj__space buffer = {0};
	size_t held = 0, room = stream_bytes;
	pj_status status = PJ_OK;
	for (uint64_t done = 0; done < bytes && !status;) {
		if (held > room / 2)
			room *= 2; /* a pair is longer: what is not used of this is never touched */
		status = pj__space_grow(&buffer, room, held, error);
		if (status)
			break;
		size_t step = stream_bytes / 2, taken;
		if (step > bytes - done)
			step = (size_t)(bytes - done);
		status = pj__pread_exactly(from, PJ__PART_FILE, buffer.at + held, step, (off_t)(offset + done), error);
		done += step;
		held += step;
		if (!status)
			status = pass_on(leader, to, (pj_bytes){buffer.at, held}, &taken, error);
		if (status)
			break;
		held -= taken;
		memmove(buffer.at, buffer.at + taken, held);
		status = pj__stopped(leader->run, error);
	}
	pj__space_fini(&buffer);
	return status || !held ? status : pj__fail(error, PJ_ERR_CORRUPT, 0, NULL, "a part is cut off");
}

/* Takes a parked part from a worker's file to the output. */
static pj_status take_parked(struct leader *leader, unsigned slot, const pj__message *message, pj_error *error)
{
	const uint64_t offset = message->write.offset, bytes = message->write.bytes;
	const int from = leader->local.files[slot][message->write.where];
	pj__part_file file = {.fd = -1};
	pj_status status = PJ_OK;
	if (leader->run->sink->kind == PJ__SINK_FOLDER)
		status = pj__part_file_open(&file, leader->run->sink, message->task, error);
	if (!status)
		status = pass_on_all(leader, from, offset, bytes, &file, error);
	status = pj__part_file_close(&file, status, error);
	/* Only memory is at stake: where it cannot be given back it is kept. Standing workers use it again. */
	if (bytes && !leader->local.stays)
		(void)fallocate(from, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes);
	return status;
}

pj_status pj__part_written(struct leader *leader, unsigned slot, const pj__message *message, pj_error *error)
{
	struct part *part = &leader->parts[message->task];
	if (leader->local.brief.ordered) {
		/* It stays parked until all are there. */
		part->parked = (pj__parked){leader->local.files[slot][message->write.where], message->write.offset,
					    message->write.bytes};
	}
	/* What a successor must not write over; in order there is one part at a time, in memory always at one place. */
	uint64_t *end = &leader->local.ends[slot][message->write.where];
	const uint64_t here = message->write.offset + message->write.bytes;
	if ((leader->local.brief.ordered || message->write.where == PJ__ON_DISK) && *end < here)
		*end = here;
	if (in_order(leader)) {
		const pj_status status = take_parked(leader, slot, message, error);
		if (status)
			return status;
	}
	part->written = true;
	part->held = false;
	leader->slots[slot].held_bytes -= part->counts.part_memory;
	leader->slots[slot].writing--;
	leader->slots[slot].progress_ns = pj__now_ns();
	pj__parts_pump(leader);
	return PJ_OK;
}

void pj__parts_lost(struct leader *leader, unsigned slot)
{
	for (size_t i = leader->part_next; i < leader->part_count; i++) {
		struct part *part = &leader->parts[i];
		if (!part->held || part->slot != slot)
			continue;
		part->held = part->told = false;
		free(part->tally);
		part->tally = NULL;
	}
	leader->slots[slot].held_bytes = 0;
	leader->slots[slot].waiting = leader->slots[slot].writing = 0;
}

bool pj__parts_allow(const struct leader *leader, unsigned slot, int64_t task)
{
	/* The first part that is missing may always be made: all others wait for it. */
	return leader->slots[slot].held_bytes < leader->local.budget.held || task <= (int64_t)leader->part_next;
}

static pj_status stopped(void *leader, pj_error *error)
{
	return pj__stopped(((struct leader *)leader)->run, error);
}

pj_status pj__parts_pour(struct leader *leader, pj_error *error)
{
	pj__parked *parked = calloc(leader->part_count + 1, sizeof *parked);
	if (!parked)
		return pj__no_memory(error, leader->part_count * sizeof *parked);
	for (size_t i = 0; i < leader->part_count; i++)
		parked[i] = leader->parts[i].parked;
	const pj_status status =
		pj__pour_ordered(leader->run->sink, parked, leader->part_count, stream_bytes, stopped, leader,
				 &leader->result->output_pairs, &leader->result->output_bytes, error);
	free(parked);
	return status;
}
