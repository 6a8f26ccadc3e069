/*
 * check_message.c: may a worker have said this?
 *
 * User code runs in the process that talks to the leader. It may write to the channel by accident, or over what is
 * about to be sent. So nothing that comes from a worker is used before it was held against what that worker was told:
 * its kind, its task, its state, and that what it names lies within the worker's files. A worker that says something
 * else counts as dead (death.c). What a worker has counted cannot be checked, nor can bytes that pass for its results.
 */
#include <sys/stat.h>

#include "engine/leader.h"

/* Do bytes lie within a file of the slot? */
static bool lies_in_file(const struct leader *leader, unsigned slot, uint32_t where, uint64_t offset, uint64_t bytes)
{
	const int fd = leader->local.files[slot][where];
	struct stat is = {0};
	if (fd >= 0 && fstat(fd, &is) < 0)
		return false;
	const uint64_t size = (uint64_t)is.st_size;
	return offset <= size && bytes <= size - offset;
}

/* Runs are appended: they end behind those that are published, and each has a footer at least. */
static bool can_have_published(const struct leader *leader, unsigned slot, const pj__message *message)
{
	for (uint32_t where = 0; where < PJ__STORES; where++) {
		const uint64_t before = leader->local.ends[slot][where], end = message->did.end[where];
		if (end < before || !lies_in_file(leader, slot, where, before, end - before) ||
		    message->did.runs[where] > (end - before) / PJ__FOOTER_BYTES)
			return false;
	}
	return true;
}

static bool is_part(const pj__message *message)
{
	const pj__counts *counts = &message->did.counts;
	return counts->part_bytes <= INT64_MAX && counts->part_memory <= counts->part_bytes;
}

/* The answer that the slot owes. */
static bool is_answer(const struct leader *leader, unsigned slot, const pj__message *message)
{
	const struct slot *from = &leader->slots[slot];
	const int64_t task = leader->schedule.slots[slot].running;
	if (!from->busy || message->kind != pj__answer_to(from->told))
		return false;
	if (message->kind == PJ__SAMPLED)
		return lies_in_file(leader, slot, PJ__IN_MEMORY, message->did.sample.offset, message->did.sample.count);
	if (message->kind == PJ__PUBLISHED)
		return can_have_published(leader, slot, message);
	if (task < 0 || message->task != (uint64_t)task)
		return false;
	if (message->kind == PJ__MAPPED && !leader->makes_parts)
		return !(message->flags & PJ__IS_PUBLISHED) || can_have_published(leader, slot, message);
	return message->kind == PJ__MERGED || is_part(message);
}

/* A part was written by who was told to, as long as it was; where it is parked, there it lies. */
static bool has_written(const struct leader *leader, unsigned slot, const pj__message *message)
{
	if (!leader->makes_parts || message->task >= leader->part_count || message->write.where >= PJ__STORES)
		return false;
	const struct part *part = &leader->parts[message->task];
	if (!part->told || part->written || part->slot != slot || message->write.bytes != part->bytes)
		return false;
	return pj__parts_are_parked(leader)
		       ? lies_in_file(leader, slot, message->write.where, message->write.offset, part->bytes)
		       : message->write.where == PJ__IN_MEMORY;
}

_Static_assert(sizeof(pj__tally_message) <= PJ__MESSAGE_MAX && sizeof(pj__message) <= PJ__MESSAGE_MAX,
	       "what is cut off is not believed");

static bool is_tally(const struct slot *from, const pj__tally_message *message, size_t size)
{
	const pj__tally *tally = &message->tally;
	if (!from->busy || size < offsetof(pj__tally_message, tally.counter) || tally->count > PJ_COUNTERS_MAX ||
	    size != offsetof(pj__tally_message, tally) + pj__tally_bytes(tally))
		return false;
	for (size_t i = 0; i < tally->count; i++) {
		const pj_counter *counter = &tally->counter[i];
		if (!memchr(counter->group, 0, sizeof counter->group) ||
		    !memchr(counter->name, 0, sizeof counter->name))
			return false;
	}
	return tally->seconds >= 0;
}

bool pj__leader_believes(const struct leader *leader, unsigned slot, const void *said, size_t size)
{
	pj__message message = {0};
	memcpy(&message, said, size < sizeof message ? size : sizeof message);
	if (size >= sizeof message.kind && message.kind == PJ__TALLY)
		return is_tally(&leader->slots[slot], said, size);
	if (size != pj__message_bytes(&message))
		return false;
	switch (message.kind) {
	case PJ__FAILED:
		return message.error.status && strcmp(pj_status_name(message.error.status), "?") != 0;
	case PJ__WRITTEN:
		return has_written(leader, slot, &message);
	default:
		return is_answer(leader, slot, &message);
	}
}
