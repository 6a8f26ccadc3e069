/*
 * option.c: see option.h.
 */
#include "jobs/option.h"

#include <stdio.h>

pj_status pj__option_wrong(pj_error *error, const char *option, const char *value, const char *good)
{
	snprintf(error->what, sizeof error->what, "bad value for --%s", option);
	snprintf(error->reason, sizeof error->reason, "%s", *value ? value : "(empty)");
	snprintf(error->hint, sizeof error->hint, "--%s is %s", option, good);
	return error->status = PJ_ERR_USAGE;
}

pj_status pj__option_no_memory(pj_error *error)
{
	snprintf(error->what, sizeof error->what, "cannot prepare the job");
	return error->status = PJ_ERR_MEMORY;
}

bool pj__option_column(const char *value, unsigned *ret_column)
{
	int64_t column;
	if (!pj_parse_i64(pj_bytes_of(value), &column) || column < 1 || column > PJ__COLUMN_MOST)
		return false;
	*ret_column = (unsigned)column;
	return true;
}

bool pj__option_separator(const char *value, char *ret_separator)
{
	if (!strcmp(value, "\\0")) {
		*ret_separator = 0;
		return true;
	}
	if (!strcmp(value, "\\t"))
		value = "\t";
	*ret_separator = *value;
	return *value && !value[1] && *value != '\n';
}
