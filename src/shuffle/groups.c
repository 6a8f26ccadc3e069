/*
 * groups.c: see groups.h.
 *
 * A value that was handed out lives in the merge until the next one is asked for, so stepping on is put off until then.
 */
#include "shuffle/groups.h"

/* Takes the value at hand: the merge has stepped on to it, unless it was the first of its group. */
static int next_value(pj_values *values, pj_bytes *ret_value)
{
	pj__groups *groups = (pj__groups *)values;
	if (!groups->in_group)
		return 0;
	if (!groups->more) {
		pj_error error;
		const pj_status status = pj__merge_next(&groups->merge, &groups->more, &error);
		if (status) {
			pj__task_failed(values->task, status, &error);
			groups->in_group = false;
			return 0;
		}
		groups->in_group = groups->more && pj_bytes_equal(groups->merge.key, pj__text_all(&groups->key));
		if (!groups->in_group)
			return 0;
	}
	*ret_value = groups->merge.value;
	groups->more = false;
	++*values->task->progress;
	return 1;
}

void pj__groups_init(pj__groups *groups, pj__task *task)
{
	*groups = (pj__groups){.values = {next_value, task}};
	pj__merge_init(&groups->merge);
}

void pj__groups_fini(pj__groups *groups)
{
	pj__merge_fini(&groups->merge);
	pj__text_fini(&groups->key);
}

pj_status pj__groups_begin(pj__groups *groups, const pj__run *runs, const pj__segment *segments, size_t count,
			   size_t memory_bytes, pj_error *error)
{
	pj__merge_fini(&groups->merge);
	groups->in_group = groups->more = false;
	for (size_t i = 0; i < count; i++) {
		const pj_status status = pj__merge_add(&groups->merge, &runs[i], &segments[i], error);
		if (status)
			return status;
	}
	const pj_status status = pj__merge_start(&groups->merge, memory_bytes, error);
	return status ? status : pj__merge_next(&groups->merge, &groups->more, error);
}

pj_status pj__groups_next(pj__groups *groups, bool *ret_more, pj_bytes *ret_key, pj_error *error)
{
	pj_bytes unused;
	while (next_value(&groups->values, &unused))
		;
	if (groups->values.task->status) {
		if (error)
			*error = groups->values.task->error;
		return groups->values.task->status;
	}
	*ret_more = groups->more;
	if (!groups->more)
		return PJ_OK;
	pj__text_reset(&groups->key);
	pj_text_bytes(&groups->key, groups->merge.key);
	if (groups->key.failed)
		return pj__no_memory(error, groups->merge.key.len);
	*ret_key = pj__text_all(&groups->key);
	groups->in_group = true;
	return PJ_OK;
}
