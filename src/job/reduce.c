/*
 * reduce.c: see reduce.h.
 */
#include "job/reduce.h"

#include "base/fault.h"
#include "reduce/aggregate.h"
#include "run/keys.h"

static void take(pj__task *task, pj_bytes key, pj_bytes value)
{
	++*task->progress;
	if (PJ_UNLIKELY(task->in_pieces))
		pj_task_fail(&task->face, PJ_ERR_USER, NULL, "a pair was emitted amid the pieces of another one");
	else
		pj__part_add(task->taker, key, value);
}

static void take_pieces(pj__task *task, pj_bytes key, pj_next_piece *next, void *arg)
{
	++*task->progress;
	task->in_pieces = true;
	pj__part_add_pieces(task->taker, key, next, arg);
	task->in_pieces = false;
}

void pj__emit_to_part(pj__task *task, pj__part *part)
{
	static const pj__target target = {.pair = take, .pieces = take_pieces};
	pj__task_attach(task, &target, part);
}

void pj__reduce_init(pj__reduce *reduce, const pj_job *job, pj__task *task, pj__part *part, pj__whereabouts *here)
{
	*reduce = (pj__reduce){.job = job, .task = task, .part = part, .here = here};
	pj__emit_to_part(task, part);
}

void pj__reduce_fini(pj__reduce *reduce)
{
	pj__text_fini(&reduce->text);
}

/* What a user's function returned, as a failure. A "no", a fault of PapJuice, an unknown number are not its to tell. */
static pj_status status_of_user(pj_status returned)
{
	const pj_error told = {.status = returned};
	const int code = pj_error_exit_code(&told);
	return code >= 3 && code <= 5 ? returned : PJ_ERR_USER;
}

pj_status pj__task_outcome(pj__task *task, const pj__part *part, pj_status returned, const char *what, pj_error *error)
{
	if (returned && !task->status) {
		const pj_status status = status_of_user(returned);
		pj_error why;
		pj__fail(&why, status, 0, NULL, "the user's %s failed", what);
		pj__error_reason(&why, "it returned %d (%s)", (int)returned, pj_status_name(returned));
		pj__task_failed(task, status, &why);
	}
	if (part && part->bytes.failed && !task->status) {
		pj_error why;
		pj__task_failed(task, pj__no_memory(&why, part->bytes.capacity * 2), &why);
	}
	if (task->status && error)
		*error = task->error;
	return task->status;
}

/* At most 100 bytes of a key, for a message. */
#define SHOWN(key) (int)((key).len < 100 ? (key).len : 100), (key).len ? (key).ptr : ""

static pj_status finish(pj__reduce *reduce, pj_bytes key, const void *state, pj_error *error)
{
	const pj_aggregate *aggregate = reduce->job->reducer.aggregate;
	pj__text_reset(&reduce->text);
	const pj_status returned = aggregate->finish(state, &reduce->text, reduce->job->reducer.arg);
	if (returned) {
		const pj_status status = status_of_user(returned);
		pj__fail(error, status, 0, NULL, "cannot finish %s of the key \"%.*s\"",
			 aggregate->name ? aggregate->name : "the aggregate", SHOWN(key));
		pj__error_reason(error, "%s",
				 pj__is_narrow(aggregate) ? "the sum does not fit 64 bits" : pj_status_text(status));
		return status;
	}
	if (reduce->text.failed)
		return pj__no_memory(error, reduce->text.capacity * 2);
	pj__part_add(reduce->part, key, pj__text_all(&reduce->text));
	return PJ_OK;
}

pj_status pj__reduce_state(pj__reduce *reduce, pj_bytes key, const void *state, pj_error *error)
{
	reduce->groups++;
	++*reduce->task->progress;
	pj__whereabouts_group(reduce->here, key);
	PJ_FAULT("reduce");
	return finish(reduce, key, state, error);
}

pj_status pj__reduce_stored(pj__reduce *reduce, pj_bytes key, pj_values *values, pj_error *error)
{
	pj_bytes stored;
	pj__whereabouts_group(reduce->here, key);
	pj__state_init(reduce->job->reducer.aggregate, reduce->job->reducer.arg, reduce->state);
	while (pj_next_value(values, &stored))
		if (!pj__state_merge_stored(reduce->job->reducer.aggregate, reduce->job->reducer.arg, reduce->state,
					    stored))
			return pj__fail(error, PJ_ERR_CORRUPT, 0, NULL, "a stored state has the wrong size");
	if (reduce->task->status) {
		if (error)
			*error = reduce->task->error;
		return reduce->task->status;
	}
	return pj__reduce_state(reduce, key, reduce->state, error);
}

static void add_values(pj__reduce *reduce, pj_values *values)
{
	const pj_aggregate *aggregate = reduce->job->reducer.aggregate;
	void *arg = reduce->job->reducer.arg;
	pj_bytes value;
	pj__state_init(aggregate, arg, reduce->state);
	while (pj_next_value(values, &value))
		pj__state_add(aggregate, arg, reduce->state, value);
}

static pj_status call_edge(pj__reduce *reduce, pj_status (*edge)(pj_task *task, void *arg))
{
	const pj_status returned = edge ? edge(&reduce->task->face, reduce->job->reducer.arg) : PJ_OK;
	pj__task_flush(reduce->task);
	return returned;
}

pj_status pj__reduce_end(pj__reduce *reduce, pj_error *error)
{
	if (!reduce->in_part)
		return PJ_OK;
	reduce->in_part = false;
	return pj__task_outcome(reduce->task, reduce->part, call_edge(reduce, reduce->job->reducer.end), "reducer",
				error);
}

pj_status pj__reduce_group(pj__reduce *reduce, pj_bytes key, pj_values *values, pj_error *error)
{
	const pj_reducer *reducer = &reduce->job->reducer;
	pj_status returned = PJ_OK;
	pj_bytes value;
	reduce->groups++;
	pj__whereabouts_group(reduce->here, key);
	PJ_FAULT("reduce");
	if (reducer->general) {
		if (!reduce->in_part)
			returned = call_edge(reduce, reducer->begin);
		reduce->in_part = true;
		if (!returned)
			returned = reducer->general(&reduce->task->face, key, values, reducer->arg);
		pj__task_flush(reduce->task);
	} else if (reducer->aggregate) {
		add_values(reduce, values);
		if (!reduce->task->status)
			return finish(reduce, key, reduce->state, error);
	} else if (pj__keys_are_bytes(&reduce->job->keys)) {
		while (pj_next_value(values, &value))
			pj__part_add(reduce->part, key, value);
	} else {
		while (pj_next_value(values, &value))
			pj__part_add(reduce->part, pj_value_key(values), value);
	}
	return pj__task_outcome(reduce->task, reduce->part, returned, "reducer", error);
}
