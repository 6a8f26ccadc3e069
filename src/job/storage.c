/*
 * storage.c: see storage.h.
 */
#include "job/storage.h"

const pj__storage pj__storage_files = {
	.open_output = pj__sink_open_until,
	.list_inputs = pj__sources_expand,
	.run_folder = pj__temp_folder,
	.check_inputs = pj__sources_check,
	.commit_output = pj__sink_commit,
	.close_output = pj__sink_close,
};
