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
	const char *name;
	const char *packages; /* behind "org.apache.hadoop.", each ended by a blank */
} classes[] = {
	{PJ__USE_MAPPER, PJ__IDENTITY_MAPPER, "IdentityMapper", "mapred.lib. "},
	{PJ__USE_MAPPER, PJ__IDENTITY_MAPPER, "Mapper", "mapreduce. "},
	{PJ__USE_MAPPER, PJ__INVERSE_MAPPER, "InverseMapper", "mapred.lib. mapreduce.lib.map. "},
	{PJ__USE_MAPPER, PJ__TOKEN_COUNT_MAPPER, "TokenCountMapper", "mapred.lib. "},
	{PJ__USE_MAPPER, PJ__TOKEN_COUNT_MAPPER, "TokenCounterMapper", "mapreduce.lib.map. "},
	{PJ__USE_REDUCER, PJ__IDENTITY_REDUCER, "IdentityReducer", "mapred.lib. "},
	{PJ__USE_REDUCER, PJ__IDENTITY_REDUCER, "Reducer", "mapreduce. "},
	{PJ__USE_REDUCER, PJ__LONG_SUM_REDUCER, "LongSumReducer", "mapred.lib. mapreduce.lib.reduce. "},
	{PJ__USE_REDUCER, PJ__AGGREGATE_REDUCER, "ValueAggregatorReducer",
	 "mapred.lib.aggregate. mapreduce.lib.aggregate. "},
	{PJ__USE_REDUCER, PJ__AGGREGATE_REDUCER, "ValueAggregatorCombiner",
	 "mapred.lib.aggregate. mapreduce.lib.aggregate. "},
	{PJ__USE_INPUT_FORMAT, PJ__TEXT_INPUT, "TextInputFormat", "mapred. mapreduce.lib.input. "},
	{PJ__USE_INPUT_FORMAT, PJ__KEY_VALUE_INPUT, "KeyValueTextInputFormat", "mapred. mapreduce.lib.input. "},
	{PJ__USE_INPUT_FORMAT, PJ__NLINE_INPUT, "NLineInputFormat", "mapred.lib. mapreduce.lib.input. "},
	{PJ__USE_OUTPUT_FORMAT, PJ__TEXT_OUTPUT, "TextOutputFormat", "mapred. mapreduce.lib.output. "},
	{PJ__USE_PARTITIONER, PJ__HASH_PARTITIONER, "HashPartitioner", "mapred.lib. mapreduce.lib.partition. "},
	{PJ__USE_PARTITIONER, PJ__FIELD_PARTITIONER, "KeyFieldBasedPartitioner",
	 "mapred.lib. mapreduce.lib.partition. "},
	{PJ__USE_COMPARATOR, PJ__FIELD_COMPARATOR, "KeyFieldBasedComparator", "mapred.lib. mapreduce.lib.partition. "},
	{PJ__USE_COMPARATOR, PJ__TEXT_COMPARATOR, "Text$Comparator", "io. "},
};
enum { CLASSES = sizeof classes / sizeof *classes };

/* Is `name`, a full one, that of the index-th class? */
static bool is_full_name(size_t index, const char *name)
{
	if (strncmp(name, hadoop, sizeof hadoop - 1) != 0)
		return false;
	const char *const package = name + sizeof hadoop - 1;
	const char *const dot = strrchr(package, '.');
	if (!dot || strcmp(dot + 1, classes[index].name) != 0)
		return false;
	const size_t len = (size_t)(dot + 1 - package);
	for (const char *at = classes[index].packages; *at; at = strchr(at, ' ') + 1)
		if (!strncmp(at, package, len) && at[len] == ' ')
			return true;
	return false;
}

static void list_names(pj__class_use use, char *list, size_t size)
{
	size_t used = 0;
	list[0] = 0;
	for (size_t i = 0; i < CLASSES && used < size; i++)
		if (classes[i].use == use)
			used += (size_t)snprintf(list + used, size - used, "%s%s", used ? ", " : "", classes[i].name);
}

pj_status pj__class_find(pj__class_use use, const char *option, const char *name, pj__class *ret_class, pj_error *error)
{
	for (size_t i = 0; i < CLASSES; i++)
		if (classes[i].use == use && (!strcmp(classes[i].name, name) || is_full_name(i, name))) {
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
