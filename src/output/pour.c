/*
 * pour.c: see pour.h.
 */
#include "output/pour.h"

#include "base/io.h"

void pj__pour_init(pj__pour *pour, pj__sink *sink)
{
	*pour = (pj__pour){.sink = sink, .file = {.fd = -1}};
}

pj_status pj__pour_begin(pj__pour *pour, uint64_t part, pj_error *error)
{
	return pour->sink->kind == PJ__SINK_FOLDER ? pj__part_file_open(&pour->file, pour->sink, part, error) : PJ_OK;
}

static pj_status failed(const pj__pour *pour, int errnum, pj_error *error)
{
	return pj__fail(error, pj__status_of_errno(errnum, PJ_ERR_OUTPUT), errnum, pj__sink_name(pour->sink),
			"cannot write the output");
}

pj_status pj__pour_write(pj__pour *pour, pj__part *part, pj_error *error)
{
	const pj_bytes bytes = pj__text_all(&part->bytes);
	pj_status status = PJ_OK;
	int errnum = 0;
	if (part->bytes.failed)
		return pj__no_memory(error, part->bytes.capacity * 2);
	switch (pour->sink->kind) {
	case PJ__SINK_FILE:
		if (pour->sink->encoder) {
			status = pj__sink_stream(pour->sink, bytes, error);
			break;
		}
		errnum = pj__pwrite_all(pour->sink->fd, bytes.ptr, bytes.len, (off_t)pour->bytes);
		break;
	case PJ__SINK_FOLDER:
		status = pj__part_file_write(&pour->file, bytes, error);
		break;
	case PJ__SINK_STREAM:
		status = pj__sink_stream(pour->sink, bytes, error);
		break;
	case PJ__SINK_FUNCTION:
		status = pj__part_deliver(bytes, &pour->sink->output, error);
		break;
	}
	if (errnum)
		status = failed(pour, errnum, error);
	pour->bytes += bytes.len;
	pj__text_reset(&part->bytes);
	return status;
}

pj_status pj__pour_end(pj__pour *pour, pj_status status, pj_error *error)
{
	return pj__part_file_close(&pour->file, status, error);
}
