/*
 * classes.h: Java classes that have a counterpart here, by their names.
 */
#ifndef PJ_STREAMING_CLASSES_H
#define PJ_STREAMING_CLASSES_H

#include <stdbool.h>

#include "base/error.h"

/* What a class is used as. */
typedef enum pj__class_use {
	PJ__USE_MAPPER,
	PJ__USE_REDUCER,
	PJ__USE_INPUT_FORMAT,
	PJ__USE_OUTPUT_FORMAT,
	PJ__USE_PARTITIONER,
	PJ__USE_COMPARATOR
} pj__class_use;

typedef enum pj__class {
	PJ__NO_CLASS,
	PJ__IDENTITY_MAPPER,
	PJ__INVERSE_MAPPER,
	PJ__TOKEN_COUNT_MAPPER,
	PJ__IDENTITY_REDUCER,
	PJ__LONG_SUM_REDUCER,
	PJ__AGGREGATE_REDUCER,
	PJ__TEXT_INPUT,
	PJ__KEY_VALUE_INPUT,
	PJ__NLINE_INPUT,
	PJ__TEXT_OUTPUT,
	PJ__HASH_PARTITIONER,
	PJ__FIELD_PARTITIONER,
	PJ__FIELD_COMPARATOR,
	PJ__TEXT_COMPARATOR
} pj__class;

/*
 * Finds the class of this use, by its full name in any of Hadoop's packages, or its simple name. PJ_ERR_USAGE:
 * the class is unknown; the error lists the known ones. `option` is the option that gave the name.
 */
PJ_MUST_USE pj_status pj__class_find(pj__class_use use, const char *option, const char *name, pj__class *ret_class,
				     pj_error *error);

/*
 * Tells whether a mapper, combiner or reducer is meant as a Java class: one word of a package's names and a class's, as
 * org.example.Class, and not the name of a file.
 */
bool pj__is_class_name(const char *command);

#endif
