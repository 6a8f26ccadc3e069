/*
 * status_codes.c: how often each status occurs in access logs. A mapper of lines, and fields.
 *
 *     127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET /index.html HTTP/1.0" 200 2326
 *
 *     papjuice run status_codes.c logs/
 */
#include <papjuice.h>

/* The status is the first field after the request, which is in quotes. */
static pj_status count_status(pj_task *task, pj_bytes line, void *arg)
{
	const char *const start = line.ptr;
	pj_bytes before, request, space, status;
	if (!pj_next_field(task, &line, '"', &before) || !pj_next_field(task, &line, '"', &request) ||
	    !pj_next_field(task, &line, ' ', &space) || !pj_next_field(task, &line, ' ', &status))
		return pj_task_fail(task, PJ_ERR_RECORD, start, "this is not a line of an access log");
	pj_emit_i64(task, status, 1);
	return PJ_OK;
}

PJ_PROGRAM(
	.name    = "status_codes",
	.summary = "count the status codes of access logs",
	.mapper  = { .line = count_status },
	.reducer = { .aggregate = &pj_sum_i64 },
)
