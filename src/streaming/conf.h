/*
 * conf.h: the configuration of a job: named properties, many of which have an old name and a new one.
 */
#ifndef PJ_STREAMING_CONF_H
#define PJ_STREAMING_CONF_H

#include "base/text.h"

/* A property; both strings are owned by the configuration. */
typedef struct pj__property {
	char *name, *value;
} pj__property;

/* {0} is empty; in the order in which names were first set. */
typedef struct pj__conf {
	pj__property *at;
	size_t count, capacity;
} pj__conf;

/* Sets a property under its old and its new name. The strings are copied. */
PJ_MUST_USE pj_status pj__conf_set(pj__conf *conf, const char *name, const char *value, pj_error *error);

/* The same, from "NAME=VALUE" split at the first '='. *ret_is_pair: whether there is a '='. */
PJ_MUST_USE pj_status pj__conf_set_pair(pj__conf *conf, const char *pair, bool *ret_is_pair, pj_error *error);

/* Reads a file of <property><name/><value/></property>. PJ_ERR_INPUT: it is missing, or something else. */
PJ_MUST_USE pj_status pj__conf_read(pj__conf *conf, const char *path, pj_error *error);

/* The value as it was set, or NULL. */
const char *pj__conf_get(const pj__conf *conf, const char *name);

/*
 * The value with each ${NAME} replaced by that property's value, else by the variable of the environment that
 * ${env.NAME} names, to `to`. Unknown names stay as they are.
 */
void pj__conf_expand(const pj__conf *conf, const char *value, pj_text *to);

/* As a boolean: "true" or "false", in any case; else `otherwise`. */
bool pj__conf_bool(const pj__conf *conf, const char *name, bool otherwise);

/* As a number from `least` to `most`. PJ_ERR_USAGE: it is anything else. */
PJ_MUST_USE pj_status pj__conf_number(const pj__conf *conf, const char *name, int64_t least, int64_t most,
				      int64_t otherwise, int64_t *ret_number, pj_error *error);

void pj__conf_fini(pj__conf *conf);

#endif
