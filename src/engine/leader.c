/*
 * leader.c: the leader's loop: give work to who is idle, wait for what happens, act on it, look after who is stuck.
 *
 * The schedule knows which task is where; this file connects it with processes and messages. A worker that is lost, for
 * whatever reason, loses all that it had not published; the task it was working on is charged with the loss, and when
 * one task has been charged too often the run fails with the reason of the last loss.
 */
#include "engine/leader.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/grow.h"
#include "base/io.h"
#include "base/machine.h"

enum { TICK_MS = 100, MEASURE_MS = 20, SENDS_MOST = 100 };
static const uint64_t tick_ns = (uint64_t)TICK_MS * 1000000, measure_ns = (uint64_t)MEASURE_MS * 1000000;

const char *pj__phase_name(pj__phase phase)
{
	static const char *const names[] = {"map", "merge", "reduce"};
	return names[phase];
}

/* ------------------------------------------------------------------------------------------------------ measuring */

void pj__leader_measure(struct leader *leader)
{
	uint64_t bytes = pj__memory_of(getpid());
	for (unsigned i = 0; i < leader->local.workers; i++) {
		const pid_t pid = leader->dispatcher ? pj__dispatcher_pid(leader->dispatcher, i) : 0;
		struct stat is;
		const uint64_t its = pid ? pj__memory_of(pid) : 0;
		bytes += its;
		if (leader->slots[i].memory_most < its)
			leader->slots[i].memory_most = its;
		if (fstat(leader->local.files[i][PJ__IN_MEMORY], &is) == 0)
			bytes += (uint64_t)is.st_blocks * 512;
	}
	for (size_t i = 0; i < leader->run->plan->sources.count && !leader->spool.on_disk; i++) {
		const pj__source *source = &leader->run->plan->sources.at[i];
		struct stat is;
		if (source->kind == PJ__SOURCE_STREAM && fstat(source->spool, &is) == 0)
			bytes += (uint64_t)is.st_blocks * 512;
	}
	if (bytes > leader->result->peak_bytes)
		leader->result->peak_bytes = bytes;
	leader->measured_ns = pj__now_ns();
}

static uint64_t bytes_mapped(const struct leader *leader)
{
	uint64_t bytes = leader->result->input_bytes;
	for (unsigned i = 0; i < leader->local.workers; i++)
		bytes += leader->slots[i].pending.bytes;
	return bytes;
}

static void tell(struct leader *leader)
{
	const bool map = leader->phase == PJ__PHASE_MAP;
	const pj__sources *sources = &leader->run->plan->sources;
	const bool known = leader->spool_ended && !sources->has_stream && !sources->decoder_bytes;
	pj__tell_progress(leader->run, pj__phase_name(leader->phase),
			  map ? bytes_mapped(leader) : leader->schedule.done,
			  map ? (known ? sources->bytes : 0) : leader->schedule.count, leader->result->failures);
	leader->told_ns = pj__now_ns();
}

/* --------------------------------------------------------------------------------------------------- publishing */

static void add_counts(pj__counts *to, const pj__counts *from)
{
	to->records += from->records;
	to->bytes += from->bytes;
	to->pairs += from->pairs;
	to->spilled += from->spilled;
	to->passes = to->passes > from->passes ? to->passes : from->passes;
	to->run_pairs += from->run_pairs;
	to->run_bytes += from->run_bytes;
	to->groups += from->groups;
	to->part_pairs += from->part_pairs;
	to->part_bytes += from->part_bytes;
}

/* What a slot did counts now. */
static void settle_counts(struct leader *leader, struct slot *slot, const pj__counts *counts)
{
	pj_result *result = leader->result;
	result->records += counts->records;
	result->input_bytes += counts->bytes;
	result->map_pairs += counts->pairs;
	result->run_pairs += counts->run_pairs;
	result->run_bytes += counts->run_bytes;
	result->distinct_keys += counts->groups;
	result->output_pairs += counts->part_pairs;
	result->output_bytes += counts->part_bytes;
	result->spilled_bytes += counts->spilled;
	if (result->merge_passes < counts->passes)
		result->merge_passes = counts->passes;
	slot->useful = true;
	/* What was done and is not yet published may be lost, done and lost again, without end. */
	leader->idle_deaths = 0;
}

/* Adds the runs of a slot that end at `end` of one of its files. */
static pj_status add_published(struct leader *leader, unsigned slot, uint32_t where, uint64_t end, uint64_t runs,
			       pj_error *error)
{
	const pj__slot_entry *entry = &leader->schedule.slots[slot];
	leader->local.ends[slot][where] = end;
	if (!runs)
		return PJ_OK;
	const pj_status status = pj__grow(&leader->published, &leader->published_capacity, leader->published_count + 1,
					  sizeof *leader->published, error);
	if (status)
		return status;
	leader->run_count += runs;
	leader->published[leader->published_count++] = (pj__published){
		.order = entry->count ? entry->held[0] : 0, .end = end, .slot = slot, .where = where, .runs = runs};
	return PJ_OK;
}

/* Everything that the slot holds is in runs. */
static pj_status publish(struct leader *leader, unsigned slot, const pj__message *message, pj_error *error)
{
	for (uint32_t where = 0; where < PJ__STORES; where++) {
		const pj_status status =
			add_published(leader, slot, where, message->did.end[where], message->did.runs[where], error);
		if (status)
			return status;
	}
	struct slot *from = &leader->slots[slot];
	settle_counts(leader, from, &from->pending);
	from->pending = (pj__counts){0};
	if (from->tally)
		pj__tally_merge(&leader->run->tally, from->tally);
	free(from->tally);
	from->tally = NULL;
	pj__schedule_publish(&leader->schedule, slot);
	return PJ_OK;
}

/* Gives back spooled bytes that no task needs any more: those of the done tasks at the front. */
static void release_spool(struct leader *leader)
{
	const pj__plan *plan = leader->run->plan;
	const pj__split *last = NULL;
	for (; leader->released < leader->schedule.count; leader->released++) {
		const size_t task = leader->released;
		if (leader->schedule.tasks[task].state != PJ__TASK_DONE)
			break;
		if (pj__plan_is_streamed(plan, task)) {
			last = &plan->splits[plan->first[task]];
			leader->released_bytes += last->end - last->start;
		}
	}
	/* The byte before a split tells whether a line begins there. */
	if (last)
		pj__spool_release(&leader->spool, last->source, last->end - 1);
}

/* Has a task been given up, so that only those before it go on? */
static bool is_doomed(const struct leader *leader)
{
	return leader->schedule.end != SIZE_MAX;
}

/* Is as much spooled and not yet published as may be? */
static bool spool_is_full(const struct leader *leader)
{
	return leader->spool.total - leader->released_bytes > leader->spool_most;
}

/* --------------------------------------------------------------------------------------------------- giving work */

/*
 * How long the slot's memory file may be: a piece is leased whenever less is left than that, or than what a worker
 * gathers before it writes, while there is something left of what all may have together.
 */
uint64_t pj__leader_lease(struct leader *leader, unsigned slot)
{
	const uint64_t files = leader->local.budget.files, piece = files / (4 * (uint64_t)leader->local.workers);
	const uint64_t blob = leader->local.budget.gather / 8 * 9, ahead = blob > piece ? blob : piece;
	uint64_t *lease = &leader->slots[slot].lease;
	while (*lease < leader->local.ends[slot][PJ__IN_MEMORY] + ahead && leader->leased + piece <= files) {
		*lease += piece;
		leader->leased += piece;
	}
	return *lease;
}

static pj_status send(struct leader *leader, unsigned slot, pj__message *message, pj_error *error)
{
	message->lease = pj__leader_lease(leader, slot);
	struct slot *to = &leader->slots[slot];
	if (!to->busy) {
		to->progress_ns = pj__now_ns();
		to->progress = pj__whereabouts_moved(&pj__page_of(&leader->local, slot)->here);
	}
	to->busy = true;
	to->told = message->kind;
	pj_status status = PJ_ERR_BUSY;
	/* Few messages are on their way to a worker, so its queue has room, but the kernel may be short of memory. */
	for (int tries = 0; status == PJ_ERR_BUSY && tries < SENDS_MOST; tries++) {
		if (tries)
			poll(NULL, 0, TICK_MS / 10);
		status = pj__dispatcher_send(leader->dispatcher, slot, message, pj__message_bytes(message));
	}
	if (status == PJ_ERR_BUSY)
		return pj__fail(error, PJ_ERR_RESOURCE, ENOBUFS, NULL, "cannot send to a worker");
	return PJ_OK; /* if the worker is gone, its death will be told */
}

static pj__message make_message(const struct leader *leader, int64_t task)
{
	const pj__plan *plan = leader->run->plan;
	pj__message message = {.task = (uint64_t)task};
	const size_t chunks = leader->schedule.count;
	switch (leader->phase) {
	case PJ__PHASE_MAP:
		message.kind = PJ__MAP;
		message.flags = leader->schedule.tasks[task].alone ? PJ__ALONE : 0;
		message.map.splitters = leader->splitters;
		if (pj__plan_is_streamed(plan, (size_t)task)) {
			message.flags |= PJ__SPLIT_GIVEN;
			message.map.split = plan->splits[plan->first[task]];
		}
		break;
	case PJ__PHASE_MERGE:
	case PJ__PHASE_REDUCE: {
		const uint64_t of = leader->phase == PJ__PHASE_MERGE ? leader->run_count : leader->buckets;
		message.kind = leader->phase == PJ__PHASE_MERGE ? PJ__MERGE : PJ__REDUCE;
		message.reduce.first = (uint32_t)(of * (uint64_t)task / chunks);
		message.reduce.count = (uint32_t)(of * ((uint64_t)task + 1) / chunks) - message.reduce.first;
		if (leader->firsts) {
			message.reduce.first = leader->firsts[task];
			message.reduce.count = leader->firsts[task + 1] - leader->firsts[task];
		}
		message.reduce.runs = leader->runs;
		message.reduce.splitters = leader->splitters.count;
		break;
	}
	}
	return message;
}

/* Nothing waits: let a slot publish what it holds, if nothing can be added to it. */
static pj_status settle_slot(struct leader *leader, unsigned slot, pj_error *error)
{
	const bool holds_runs =
		leader->phase == PJ__PHASE_MAP && !leader->makes_parts && leader->schedule.slots[slot].count > 0;
	if (!holds_runs || (!leader->spool_ended && !spool_is_full(leader) && !is_doomed(leader)))
		return PJ_OK;
	pj__message message = {.kind = PJ__PUBLISH};
	return send(leader, slot, &message, error);
}

/* Sends work; careful: record by record, but for those that are to be left out. */
static pj_status send_carefully(struct leader *leader, unsigned slot, pj__message *message, bool careful,
				pj_error *error)
{
	const pj__plan *plan = leader->run->plan;
	const bool of_task = message->kind == PJ__MAP;
	const size_t first = of_task ? plan->first[message->task] : 0;
	size_t count = 0;
	if (!careful)
		return send(leader, slot, message, error);
	pj__record_at *list = pj__bad_list(leader->run->bad, of_task ? plan->splits + first : NULL,
					   of_task ? plan->first[message->task + 1] - first : 0, &count);
	pj_status status = PJ_OK;
	message->flags |= PJ__CAREFUL;
	if (count && !list)
		status = pj__no_memory(error, count * sizeof *list);
	else if (count)
		status = pj__leader_post(leader, list, count, sizeof *list, &message->map.left_out, error);
	free(list);
	return status ? status : send(leader, slot, message, error);
}

/* Gives the first waiting task to a slot that is idle, starting its worker if it is dead. */
static pj_status give_task(struct leader *leader, unsigned i, pj_error *error)
{
	struct slot *slot = &leader->slots[i];
	if (slot->dead) {
		const pj_status status = pj__dispatcher_start(leader->dispatcher, i, error);
		if (status)
			return status;
		slot->dead = false;
	}
	if (leader->sampling == PJ__SAMPLE_WANTED) {
		const pj__split *split = pj__plan_first_streamed(leader->run->plan);
		pj__message message = {.kind = PJ__SAMPLE, .flags = split ? PJ__SPLIT_GIVEN : 0};
		if (split)
			message.map.split = *split;
		leader->sampling = PJ__SAMPLE_RUNNING;
		leader->sampler = i;
		return send_carefully(leader, i, &message, leader->samples_lost > 0, error);
	}
	const int64_t task = pj__schedule_take(&leader->schedule, i);
	pj__message message = make_message(leader, task);
	message.attempt = leader->schedule.tasks[task].crashes + leader->schedule.tasks[task].refusals;
	/* what an external program has in work nobody knows */
	const bool careful = leader->phase == PJ__PHASE_MAP && !leader->run->setup->commands &&
			     pj__schedule_is_careful(&leader->schedule, (size_t)task);
	return send_carefully(leader, i, &message, careful, error);
}

/*
 * How many workers may be at work at a time. More tables than processors gain nothing: each comes to hold nearly every
 * key, and all are written and reduced. So once every worker has had a task, those go on that keep the processors busy;
 * the more of their time tasks are blocked, the more of them.
 */
static unsigned count_at_work(const struct leader *leader)
{
	const unsigned workers = leader->local.workers, processors = leader->local.processors;
	if (leader->phase != PJ__PHASE_MAP || !pj__setup_combines(leader->run->setup) || !leader->wanted_ns ||
	    workers <= processors)
		return workers;
	const uint64_t enough = (processors * leader->mapped_ns + leader->wanted_ns / 2) / leader->wanted_ns;
	return enough < processors ? processors : enough < workers ? (unsigned)enough : workers;
}

static pj_status give_work(struct leader *leader, pj_error *error)
{
	const unsigned most = count_at_work(leader);
	unsigned busy = 0;
	for (unsigned i = 0; i < leader->local.workers; i++)
		busy += leader->slots[i].busy;
	for (unsigned i = 0; i < leader->local.workers && leader->sampling != PJ__SAMPLE_RUNNING; i++) {
		const struct slot *slot = &leader->slots[i];
		if (slot->busy)
			continue;
		const int64_t next = pj__schedule_peek(&leader->schedule);
		if (next >= 0 && busy >= most)
			break;
		/* A task without text may be there before the text that is the sample. */
		const bool early = leader->sampling == PJ__SAMPLE_WANTED && !leader->spool_ended &&
				   !leader->run->plan->split_count;
		const bool none = next < 0 || early || (leader->makes_parts && !pj__parts_allow(leader, i, next));
		busy += !none;
		const pj_status status = !none        ? give_task(leader, i, error)
					 : slot->dead ? PJ_OK
						      : settle_slot(leader, i, error);
		if (status)
			return status;
	}
	if (leader->makes_parts)
		pj__parts_pump(leader);
	return PJ_OK;
}

/* ----------------------------------------------------------------------------------------------------- messages */

static pj_status did_sample(struct leader *leader, unsigned slot, const pj__message *message, pj_error *error)
{
	const pj__on_board sample = message->did.sample;
	const pj__plan *plan = leader->run->plan;
	pj_text keys = {0};
	char *to = pj__text_room(&keys, sample.count + 1);
	if (!to)
		return pj__no_memory(error, sample.count);
	pj__partition partition;
	pj_status status = pj__pread_exactly(leader->local.files[slot][PJ__IN_MEMORY], "sample", to, sample.count,
					     (off_t)sample.offset, error);
	const pj_bytes text = {to, sample.count};
	const bool in_order = leader->run->setup->job.keys.compare != NULL; /* which is not ours to call */
	if (!status)
		status = plan->files ? pj__partition_init_files(&partition, plan->files, plan->ranges / plan->files,
								text, in_order, leader->firsts, error)
				     : pj__partition_init(&partition, plan->parts, plan->ranges, text, in_order, error);
	pj__text_fini(&keys);
	if (status)
		return status;
	leader->buckets = partition.buckets;
	/* They stand at the front of the board, where room was left for them. */
	leader->splitters = (pj__on_board){0, partition.text.len};
	status = pj__pwrite_checked(leader->local.board, "board", partition.text.data, partition.text.len, 0, error);
	if (leader->local.stays) {
		pj__partition_fini(&leader->kept);
		leader->kept = partition;
		leader->kept_job = leader->local.brief.job;
		leader->kept_ranges = plan->ranges;
	} else {
		pj__partition_fini(&partition);
	}
	return status;
}

/* What a worker says makes no sense: its death follows. */
static pj_status disbelieve(struct leader *leader, unsigned slot)
{
	leader->slots[slot].senseless = true;
	pj__dispatcher_kill(leader->dispatcher, slot);
	return PJ_OK;
}

static pj_status did(struct leader *leader, unsigned slot, const pj__message *message, pj_error *error)
{
	struct slot *from = &leader->slots[slot];
	pj_status status = PJ_OK;
	if (message->kind == PJ__SAMPLED) {
		status = did_sample(leader, slot, message, error);
		if (status == PJ_ERR_CORRUPT)
			return disbelieve(leader, slot);
		leader->sampling = PJ__SAMPLE_DONE;
	}
	from->busy = false;
	if (message->kind == PJ__SAMPLED)
		return status;
	if (message->kind != PJ__PUBLISHED)
		status = pj__schedule_hold(&leader->schedule, slot, error);
	if (status)
		return status;
	switch (message->kind) {
	case PJ__MERGED:
		pj__schedule_publish(&leader->schedule, slot);
		from->useful = true;
		return PJ_OK;
	case PJ__MAPPED:
	case PJ__PUBLISHED:
		if (leader->makes_parts)
			return pj__part_held(leader, slot, message->task, &message->did.counts, error);
		add_counts(&from->pending, &message->did.counts);
		leader->mapped_ns += message->did.ns;
		leader->wanted_ns += message->did.wanted_ns;
		if (message->kind == PJ__PUBLISHED || message->flags & PJ__IS_PUBLISHED)
			status = publish(leader, slot, message, error);
		release_spool(leader);
		return status;
	default:
		return pj__part_held(leader, slot, message->task, &message->did.counts, error);
	}
}

/* What a worker has counted, for its next answer. */
static pj_status hear_tally(struct leader *leader, const pj__event *event, pj_error *error)
{
	const pj__tally_message *message = event->message;
	return pj__tally_add(&leader->slots[event->slot].tally, &message->tally, error);
}

static pj_status hear(struct leader *leader, const pj__event *event, pj_error *error)
{
	pj__message message = {0};
	memcpy(&message, event->message, event->size < sizeof message ? event->size : sizeof message);
	struct slot *slot = &leader->slots[event->slot];
	/* Its death follows: whatever it did is done again. */
	if (slot->failed || slot->senseless)
		return PJ_OK;
	if (!pj__leader_believes(leader, event->slot, event->message, event->size))
		return disbelieve(leader, event->slot);
	if (message.kind == PJ__TALLY)
		return hear_tally(leader, event, error);
	if (message.kind == PJ__FAILED) {
		slot->failed = true;
		slot->why = pj__error_bounded(&message.error);
		return PJ_OK; /* its death follows */
	}
	if (message.kind != PJ__WRITTEN)
		return did(leader, event->slot, &message, error);
	const pj_status status = pj__part_written(leader, event->slot, &message, error);
	if (status)
		return status;
	pj__schedule_publish_one(&leader->schedule, event->slot, message.task);
	settle_counts(leader, slot, &leader->parts[message.task].counts);
	pj__part_settled(leader, message.task);
	if (leader->phase == PJ__PHASE_MAP)
		release_spool(leader);
	return PJ_OK;
}

/* ----------------------------------------------------------------------------------------------------- watching */

static void give_up(const struct leader *leader, struct slot *slot)
{
	const unsigned limit_ms = leader->run->setup->options.timeout_ms;
	slot->failed = true;
	pj__fail(&slot->why, PJ_ERR_TIMEOUT, 0, NULL, "a worker made no progress for %u.%u s", limit_ms / 1000,
		 limit_ms % 1000 / 100);
	pj__error_hint(&slot->why, "--task-timeout sets how long it may take");
}

/* Kills workers that have made no progress for too long, be it with a task or with the writing of parts. */
static void watch(struct leader *leader, uint64_t now)
{
	const uint64_t limit_ns = (uint64_t)leader->run->setup->options.timeout_ms * 1000000;
	for (unsigned i = 0; i < leader->local.workers && limit_ns; i++) {
		struct slot *slot = &leader->slots[i];
		const uint64_t progress = pj__whereabouts_moved(&pj__page_of(&leader->local, i)->here);
		if (!slot->busy && !slot->writing)
			continue;
		if (progress != slot->progress) {
			slot->progress = progress;
			slot->progress_ns = now;
		} else if (now - slot->progress_ns > limit_ns) {
			if (!slot->failed) /* else it has told why it ends, and does not */
				give_up(leader, slot);
			pj__dispatcher_kill(leader->dispatcher, i);
		}
	}
}

/* ------------------------------------------------------------------------------------------------------- the loop */

static pj_status add_task(void *arg, pj__split split, pj_error *error)
{
	struct leader *leader = arg;
	pj_status status = pj__plan_add(leader->run->plan, split, error);
	if (!status)
		status = pj__schedule_add(&leader->schedule, 1, error);
	if (!status && leader->makes_parts)
		status = pj__parts_grow(leader, leader->schedule.count, error);
	return status;
}

/* May more of the streams be read now? */
static bool may_spool(const struct leader *leader)
{
	/* With nothing left to do, what is spooled is one line that has not ended: only more of it can help. */
	return leader->phase == PJ__PHASE_MAP && !leader->spool_ended && !is_doomed(leader) &&
	       (!spool_is_full(leader) || pj__schedule_finished(&leader->schedule));
}

static pj_status spool_some(struct leader *leader, pj_error *error)
{
	const pj_status status = pj__spool_step(&leader->spool, add_task, leader, error);
	leader->spool_ended = pj__spool_ended(&leader->spool);
	return status;
}

static pj_status act(struct leader *leader, const pj__event *event, pj_error *error)
{
	switch (event->kind) {
	case PJ__EVENT_MESSAGE:
		return hear(leader, event, error);
	case PJ__EVENT_DEATH:
		return pj__leader_bury(leader, event, error);
	case PJ__EVENT_READABLE:
		return spool_some(leader, error);
	default:
		return PJ_OK;
	}
}

static pj_status look_after(struct leader *leader, pj_error *error)
{
	const uint64_t now = pj__now_ns();
	const pj_status status = pj__stopped(leader->run, error);
	if (status)
		return status;
	if (now - leader->told_ns >= tick_ns) {
		watch(leader, now);
		tell(leader);
	}
	if (now - leader->measured_ns >= measure_ns) {
		pj__leader_measure(leader);
		if (!leader->counts_kills)
			leader->oom_kills = pj__oom_kills("");
		leader->counts_kills = true;
	}
	return PJ_OK;
}

static bool finished(const struct leader *leader)
{
	const bool all_known = leader->phase != PJ__PHASE_MAP || leader->spool_ended || is_doomed(leader);
	return leader->merge_broken || (pj__schedule_finished(&leader->schedule) && all_known);
}

pj_status pj__leader_run(struct leader *leader, pj__phase phase, pj_error *error)
{
	leader->phase = phase;
	pj_status status = PJ_OK;
	while (!status && !finished(leader)) {
		status = give_work(leader, error);
		if (status)
			break;
		const bool spools = may_spool(leader);
		const int fd = spools ? pj__spool_descriptor(&leader->spool) : -1;
		const bool at_once = spools && fd < 0;
		pj__event event;
		pj__dispatcher_watch(leader->dispatcher, fd);
		status = pj__dispatcher_wait(leader->dispatcher, at_once ? 0 : MEASURE_MS, &event, error);
		if (!status)
			status = act(leader, &event, error);
		if (!status && at_once)
			status = spool_some(leader, error);
		if (!status)
			status = look_after(leader, error);
	}
	pj__dispatcher_watch(leader->dispatcher, -1);
	leader->result->attempts += leader->schedule.attempts;
	if (status || !is_doomed(leader))
		return status;
	if (error)
		*error = leader->doom;
	return leader->doom.status;
}

pj_status pj__leader_post(struct leader *leader, const void *items, size_t count, size_t item_bytes,
			  pj__on_board *ret_list, pj_error *error)
{
	const pj_status status = pj__pwrite_checked(leader->local.board, "board", items, count * item_bytes,
						    (off_t)leader->board_end, error);
	if (status)
		return status;
	*ret_list = (pj__on_board){leader->board_end, count};
	leader->board_end += count * item_bytes;
	return PJ_OK;
}
