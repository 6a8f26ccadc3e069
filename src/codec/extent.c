/*
 * extent.c: see extent.h.
 */
#include "codec/extent.h"

#include <string.h>

#include "base/io.h"

pj_status pj__extent_read(const pj__extent *extent, char *to, size_t size, uint64_t offset, size_t *ret_got,
			  pj_error *error)
{
	const uint64_t left = offset < extent->size ? extent->size - offset : 0;
	const size_t want = size < left ? size : (size_t)left;
	*ret_got = want;
	if (extent->memory) {
		memcpy(to, extent->memory + (want ? offset : 0), want);
		return PJ_OK;
	}
	const int failed = pj__pread_full(extent->fd, to, want, (off_t)(extent->base + offset), ret_got);
	if (!failed && *ret_got == want)
		return PJ_OK;
	const pj_status status = failed ? PJ_ERR_INPUT : PJ_ERR_CHANGED;
	pj__fail(error, status, failed, extent->name,
		 failed ? "cannot read the input" : "the input changed while it was read");
	if (!failed)
		pj__error_reason(error, "it is shorter than it was");
	pj__error_at(error, NULL, -1, (int64_t)(offset + *ret_got));
	return status;
}
