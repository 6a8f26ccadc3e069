/*
 * counting.c: counts each line in a counter of its own, then fails on those that begin with '!'.
 */
#include <papjuice.h>

static pj_status count_line(pj_task *task, pj_bytes line, void *arg)
{
	(void)arg;
	pj_task_count(task, pj_bytes_of("lines"), pj_bytes_of("seen"), 1);
	if (line.len && *line.ptr == '!')
		return pj_task_fail(task, PJ_ERR_RECORD, line.ptr, "this line is bad");
	pj_emit_i64(task, line, 1);
	return PJ_OK;
}

PJ_PROGRAM(.name = "counting", .mapper = {.line = count_line}, .reducer = {.aggregate = &pj_sum_i64}, )
