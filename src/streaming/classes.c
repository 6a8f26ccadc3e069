/*
 * classes.c: see classes.h.
 */
#include "streaming/classes.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char hadoop[] = "org.apache.hadoop.";

static const struct {
	pj__class_use use;
	pj__class id;
	const char *names; /* after "org.apache.hadoop.", separated by blanks; messages show the first */
} classes[] = {
	{PJ__USE_MAPPER, PJ__IDENTITY_MAPPER, "mapred.lib.IdentityMapper mapreduce.Mapper"},
	{PJ__USE_MAPPER, PJ__INVERSE_MAPPER, "mapred.lib.InverseMapper mapreduce.lib.map.InverseMapper"},
	{PJ__USE_MAPPER, PJ__TOKEN_COUNT_MAPPER, "mapred.lib.TokenCountMapper mapreduce.lib.map.TokenCounterMapper"},
	{PJ__USE_REDUCER, PJ__IDENTITY_REDUCER, "mapred.lib.IdentityReducer mapreduce.Reducer"},
	{PJ__USE_REDUCER, PJ__LONG_SUM_REDUCER, "mapred.lib.LongSumReducer mapreduce.lib.reduce.LongSumReducer"},
	{PJ__USE_REDUCER, PJ__AGGREGATE_REDUCER,
	 "mapred.lib.aggregate.ValueAggregatorReducer mapreduce.lib.aggregate.ValueAggregatorReducer "
	 "mapred.lib.aggregate.ValueAggregatorCombiner mapreduce.lib.aggregate.ValueAggregatorCombiner"},
	{PJ__USE_INPUT_FORMAT, PJ__TEXT_INPUT, "mapred.TextInputFormat mapreduce.lib.input.TextInputFormat"},
	{PJ__USE_INPUT_FORMAT, PJ__KEY_VALUE_INPUT,
	 "mapred.KeyValueTextInputFormat mapreduce.lib.input.KeyValueTextInputFormat"},
	{PJ__USE_INPUT_FORMAT, PJ__NLINE_INPUT, "mapred.lib.NLineInputFormat mapreduce.lib.input.NLineInputFormat"},
	{PJ__USE_OUTPUT_FORMAT, PJ__TEXT_OUTPUT, "mapred.TextOutputFormat mapreduce.lib.output.TextOutputFormat"},
	{PJ__USE_PARTITIONER, PJ__HASH_PARTITIONER,
	 "mapred.lib.HashPartitioner mapreduce.lib.partition.HashPartitioner"},
	{PJ__USE_PARTITIONER, PJ__FIELD_PARTITIONER,
	 "mapred.lib.KeyFieldBasedPartitioner mapreduce.lib.partition.KeyFieldBasedPartitioner"},
	{PJ__USE_COMPARATOR, PJ__FIELD_COMPARATOR,
	 "mapred.lib.KeyFieldBasedComparator mapreduce.lib.partition.KeyFieldBasedComparator"},
	{PJ__USE_COMPARATOR, PJ__TEXT_COMPARATOR, "io.Text$Comparator"},
};
enum { CLASSES = sizeof classes / sizeof *classes };

/* The simple name at the end of the full one that begins at `name`. */
static pj_bytes simple_name(const char *name)
{
	const size_t len = strcspn(name, " ");
	const char *const dot = memrchr(name, '.', len);
	return (pj_bytes){dot + 1, (size_t)(name + len - (dot + 1))};
}

/* Is `name` one of the names, in full or the simple one? */
static bool is_among(const char *names, const char *name)
{
	const bool full = !strncmp(name, hadoop, sizeof hadoop - 1);
	const pj_bytes wanted = pj_bytes_of(full ? name + sizeof hadoop - 1 : name);
	for (const char *at = names; *at; at += strcspn(at, " "), at += *at == ' ')
		if (pj_bytes_equal(wanted, full ? (pj_bytes){at, strcspn(at, " ")} : simple_name(at)))
			return true;
	return false;
}

static void list_names(pj__class_use use, char *list, size_t size)
{
	size_t used = 0;
	list[0] = 0;
	for (size_t i = 0; i < CLASSES && used < size; i++)
		if (classes[i].use == use) {
			const pj_bytes name = simple_name(classes[i].names);
			used += (size_t)snprintf(list + used, size - used, "%s%.*s", used ? ", " : "", (int)name.len,
						 name.ptr);
		}
}

pj_status pj__class_find(pj__class_use use, const char *option, const char *name, pj__class *ret_class, pj_error *error)
{
	for (size_t i = 0; i < CLASSES; i++)
		if (classes[i].use == use && is_among(classes[i].names, name)) {
			*ret_class = classes[i].id;
			return PJ_OK;
		}
	char list[200];
	list_names(use, list, sizeof list);
	pj__fail(error, PJ_ERR_USAGE, 0, NULL, "%s : class not found : %s", option, name);
	pj__error_hint(error, "Java classes are not run; known by name are %s", list);
	return PJ_ERR_USAGE;
}

bool pj__is_class_name(const char *command)
{
	static const char word[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_$";
	const char *last = NULL;
	size_t names = 0;
	for (const char *at = command;; at++) {
		const size_t len = strspn(at, word);
		if (!len || (*at >= '0' && *at <= '9'))
			return false;
		last = at;
		names++;
		at += len;
		if (!*at)
			break;
		if (*at != '.')
			return false;
	}
	return names > 2 && *last >= 'A' && *last <= 'Z' && access(command, F_OK) < 0;
}
