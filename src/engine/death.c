/*
 * death.c: what a worker's death means.
 *
 * A worker that is lost, for whatever reason, loses all that it had not published; the task it was working on is
 * charged with the loss. What it had in work stands on its status page. Where records may be left out, one that was in
 * work by itself is accused. When a task is hopeless only those before it go on, so that the run fails with the reason
 * of the first one.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cgroup.h"
#include "engine/leader.h"

enum { MIB = 1 << 20 };

/* What is known of a death. */
struct death {
	pj_error why;
	const char *kind; /* pj_failure.kind */
	pj__loss loss;
	pj__whereabouts here;
	bool careful;   /* it went record by record */
	bool in_record; /* the record at `here` was in work, by itself */
	bool is_placed; /* the place in `why` is that of `here` */
};

/* ---------------------------------------------------------------------------------------------------------- reasons */

/* Has the kernel killed something of ours, one more than we know of, because there was no memory? */
static bool was_oom(struct leader *leader)
{
	const bool is = leader->counts_kills && pj__oom_kills("") > leader->oom_kills;
	leader->oom_kills += is;
	return is;
}

/* The worker told why it ends. */
static void explain_told(struct leader *leader, const struct slot *slot, struct death *death)
{
	death->why = slot->why;
	death->kind = "error";
	death->loss = PJ__LOSS_CODE;
	if (slot->why.status == PJ_ERR_TIMEOUT) {
		death->kind = "timeout";
		death->loss = PJ__LOSS_SYSTEM;
	} else if (slot->why.status == PJ_ERR_CRASH) {
		/* A program of the user's was killed: as if it had been the worker. */
		death->kind = "signal";
		death->loss = PJ__LOSS_SYSTEM;
		if (slot->why.signal == SIGKILL && was_oom(leader)) {
			death->kind = "memory";
			death->loss = PJ__LOSS_MEMORY;
			death->why.status = PJ_ERR_MEMORY;
			pj__error_reason(&death->why, "the kernel killed it (SIGKILL) for lack of memory");
		}
	} else if (slot->why.status == PJ_ERR_RESOURCE) {
		death->loss = PJ__LOSS_SYSTEM;
	} else if (slot->why.status == PJ_ERR_MEMORY && slot->why.errnum == ENOMEM) {
		death->kind = "memory";
		death->loss = PJ__LOSS_MEMORY;
	} else if (slot->why.errnum == EBADF) {
		death->why.status = PJ_ERR_USER;
		pj__error_hint(&death->why, "did the user's code close files that are not its own?");
	}
}

/* It was killed by a signal. */
static void explain_signal(struct leader *leader, const struct slot *slot, int signal, struct death *death)
{
	const uint64_t most = leader->local.data_most;
	death->kind = "signal";
	death->loss = PJ__LOSS_SYSTEM;
	death->why.signal = signal;
	if (signal == SIGKILL && was_oom(leader)) {
		death->kind = "memory";
		death->loss = PJ__LOSS_MEMORY;
		death->why.status = PJ_ERR_MEMORY;
		pj__error_reason(&death->why, "the kernel killed it (SIGKILL) for lack of memory; it had %llu MiB",
				 (unsigned long long)(slot->memory_most / MIB));
		pj__error_hint(&death->why, "the user's code takes it: fewer workers (-w), a smaller --memory, or a "
					    "machine with more");
	} else if (signal == SIGKILL) {
		pj__error_hint(&death->why, "it was killed by hand, or by the user's code: the kernel tells of no lack "
					    "of memory");
	} else if (most && slot->memory_most > most / 4 * 3) {
		death->loss = PJ__LOSS_MEMORY;
		pj__error_hint(&death->why, "it had %llu MiB of memory, and may take %llu: was no more to be had?",
			       (unsigned long long)(slot->memory_most / MIB), (unsigned long long)(most / MIB));
	}
}

static void explain(struct leader *leader, const pj__event *event, struct death *death)
{
	const struct slot *slot = &leader->slots[event->slot];
	pj__fail(&death->why, PJ_ERR_CRASH, 0, NULL, "a worker died");
	if (slot->senseless) {
		death->kind = "error";
		death->loss = PJ__LOSS_CODE;
		pj__error_reason(&death->why, "what it said to its leader makes no sense");
		pj__error_hint(&death->why, "does the user's code write to descriptors that are not its own, or over "
					    "memory?");
	} else if (slot->failed) {
		explain_told(leader, slot, death);
	} else if (event->cut_off || event->exit_code == PJ__EXIT_CUT_OFF) {
		death->kind = "error";
		death->loss = PJ__LOSS_CODE;
		pj__error_reason(&death->why, "the user's code closed the worker's descriptors");
	} else if (event->signal) {
		explain_signal(leader, slot, event->signal, death);
	} else {
		death->kind = "exit";
		death->loss = PJ__LOSS_CODE;
		pj__error_reason(&death->why, "the user's code ended it with exit code %d", event->exit_code);
	}
}

/* ----------------------------------------------------------------------------------------------------------- places */

/* Adds where in the input the worker was, or with which key. */
static void add_place(const struct leader *leader, int64_t task, struct death *death)
{
	const pj__whereabouts *here = &death->here;
	pj_error *why = &death->why;
	pj__error_at(why, pj__phase_name(leader->phase), task, -1);
	if (leader->phase != PJ__PHASE_MAP && here->at == PJ__AT_GROUP) {
		const size_t len = strlen(why->what);
		const int shown = here->key_len < PJ__KEY_SHOWN ? (int)here->key_len : PJ__KEY_SHOWN;
		if (!strstr(why->what, " key \""))
			snprintf(why->what + len, sizeof why->what - len, " at the key \"%.*s\"%s", shown, here->key,
				 here->key_len > PJ__KEY_SHOWN ? " ..." : "");
	}
	if (leader->phase != PJ__PHASE_MAP || task < 0 || here->at == PJ__AT_GROUP ||
	    here->source >= leader->run->plan->sources.count)
		return;
	if (!why->file[0]) {
		snprintf(why->file, sizeof why->file, "%s", leader->run->plan->sources.at[here->source].name);
		why->offset = (int64_t)here->offset;
		death->is_placed = true;
	}
}

/* Adds the number of the record, and what precedes it in a compressed input; only when the error is the last. */
static void complete_place(const struct leader *leader, int64_t task, struct death *death)
{
	pj_error *why = &death->why;
	const bool is_record = death->in_record || (why->status == PJ_ERR_RECORD && death->here.at != PJ__AT_NOTHING);
	if (leader->phase == PJ__PHASE_MAP && task >= 0 && (is_record || death->is_placed) && why->offset >= 0)
		pj__bad_place(leader->run->bad, (size_t)task,
			      (pj__record_at){.source = death->here.source, .offset = (uint64_t)why->offset}, is_record,
			      why);
}

static void note_failure(struct leader *leader, int64_t task, const struct death *death)
{
	pj_result *result = leader->result;
	if (result->failures < PJ_FAILURES_MAX) {
		pj_failure *failure = &result->failure[result->failures];
		char line[512];
		snprintf(failure->phase, sizeof failure->phase, "%s", pj__phase_name(leader->phase));
		snprintf(failure->kind, sizeof failure->kind, "%s", death->kind);
		failure->task = task;
		failure->attempt = death->why.attempt;
		failure->knows_record = death->in_record;
		failure->offset = death->in_record ? (int64_t)death->here.offset : death->why.offset;
		pj_error_format(&death->why, line, sizeof line);
		snprintf(failure->reason, sizeof failure->reason, "%.255s", line);
	}
	result->failures++;
}

/* -------------------------------------------------------------------------------------------------------- decisions */

static pj_status give_up(struct death *death, pj_error *error)
{
	if (error)
		*error = death->why;
	return death->why.status;
}

/* A record was in work by itself: it is accused. *ret_left_out: its task goes on without it. */
static pj_status accuse(struct leader *leader, int64_t task, struct death *death, bool *ret_left_out, pj_error *error)
{
	const pj__record_at at = {.source = death->here.source, .offset = death->here.offset};
	pj__verdict verdict = PJ__IS_SUSPECT;
	*ret_left_out = false;
	if (!death->in_record || !death->careful || !pj__bad_may_skip(leader->run->bad) ||
	    !pj__bad_may_be_record(death->why.status))
		return PJ_OK;
	const pj_status status =
		pj__bad_accuse(leader->run->bad, task < 0 ? 0 : (size_t)task, at, &death->why, &verdict, error);
	*ret_left_out = verdict == PJ__IS_LEFT_OUT;
	if (status || verdict != PJ__IS_TOO_MUCH)
		return status;
	complete_place(leader, task, death);
	pj__error_hint(&death->why, "%llu bad records are left out already, as many as --skip-bad allows",
		       (unsigned long long)leader->run->bad->left_out);
	return give_up(death, error);
}

/*
 * The worker that took the sample is gone: it is taken again. Where the output does not depend on it there is none in
 * the end, or at once if it was user code that failed, and the map will tell what is wrong.
 */
static pj_status lose_sample(struct leader *leader, struct death *death, pj_error *error)
{
	bool left_out;
	leader->sampling = PJ__SAMPLE_WANTED;
	if (!leader->firsts) {
		if (death->loss == PJ__LOSS_CODE || ++leader->samples_lost >= leader->schedule.tries.system)
			leader->sampling = PJ__SAMPLE_DONE;
		return PJ_OK;
	}
	const pj_status status = accuse(leader, -1, death, &left_out, error);
	if (status)
		return status;
	leader->samples_lost = left_out ? 1 : leader->samples_lost + 1;
	return leader->samples_lost < leader->schedule.tries.system ? PJ_OK : give_up(death, error);
}

/* The task that was charged is tried again, or given up; without a task it was an accident, if not one too many. */
static pj_status judge(struct leader *leader, int64_t task, struct death *death, pj_error *error)
{
	const bool told = death->loss == PJ__LOSS_CODE;
	/* what no record can be blamed for, doing it again cannot mend */
	if (told && !pj__bad_may_be_record(death->why.status))
		return give_up(death, error);
	if (task < 0) {
		const unsigned most = 2 * leader->local.workers + leader->run->setup->options.attempts;
		/* An exit without a task is an accident like a signal. */
		const bool is_its_fault = told && death->why.status != PJ_ERR_CRASH;
		return is_its_fault || ++leader->idle_deaths > most ? give_up(death, error) : PJ_OK;
	}
	bool left_out;
	const pj_status status = accuse(leader, task, death, &left_out, error);
	if (status)
		return status;
	if (left_out)
		pj__schedule_forgive(&leader->schedule, (size_t)task);
	if (!pj__schedule_is_hopeless(&leader->schedule, (size_t)task) ||
	    !pj__schedule_give_up(&leader->schedule, (size_t)task))
		return PJ_OK;
	complete_place(leader, task, death);
	leader->doom = death->why;
	return PJ_OK;
}

/* Takes what stands on the page of a dead worker; the next one begins with an empty page. */
static void read_page(struct leader *leader, unsigned slot, struct death *death)
{
	pj__whereabouts *here = &pj__page_of(&leader->local, slot)->here;
	const pj__sources *sources = &leader->run->plan->sources;
	memcpy(&death->here, here, sizeof *here);
	here->at = PJ__AT_NOTHING;
	/* it went on until it was killed */
	if (leader->slots[slot].senseless)
		death->here = (pj__whereabouts){.at = PJ__AT_NOTHING, .source = UINT32_MAX};
	/* user code may have written over it */
	death->in_record = death->here.at == PJ__AT_RECORD && leader->phase == PJ__PHASE_MAP &&
			   death->here.source < sources->count &&
			   (death->here.offset < sources->at[death->here.source].size ||
			    pj__source_is_packed(&sources->at[death->here.source]));
}

pj_status pj__leader_bury(struct leader *leader, const pj__event *event, pj_error *error)
{
	struct slot *slot = &leader->slots[event->slot];
	const bool sampled = leader->sampling == PJ__SAMPLE_RUNNING && leader->sampler == event->slot;
	const int64_t running = leader->schedule.slots[event->slot].running;
	struct death death = {.careful = sampled ? leader->samples_lost > 0
						 : running >= 0 && !leader->run->setup->commands &&
							   pj__schedule_is_careful(&leader->schedule, (size_t)running)};
	explain(leader, event, &death);
	read_page(leader, event->slot, &death);
	const int64_t task = pj__schedule_lose(&leader->schedule, event->slot, death.loss);
	add_place(leader, task, &death);
	if (slot->failed)
		pj__leader_need(leader, &death.why);
	pj__parts_lost(leader, event->slot);
	pj__commands_sweep(leader->run->setup->commands);
	free(slot->tally);
	*slot = (struct slot){.dead = true, .useful = slot->useful, .lease = slot->lease};
	const pj__task_entry *entry = task >= 0 ? &leader->schedule.tasks[task] : NULL;
	death.why.attempt = entry ? entry->crashes + entry->refusals : 0;
	note_failure(leader, task, &death);
	if (sampled)
		return lose_sample(leader, &death, error);
	if (leader->phase == PJ__PHASE_MERGE) {
		leader->merge_broken = true;
		leader->merge_why = death.why;
		return PJ_OK;
	}
	return judge(leader, task, &death, error);
}
