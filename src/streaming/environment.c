/*
 * environment.c: see environment.h.
 */
#include "streaming/environment.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "streaming/names.h"

/* A sample has an id as well, though it is not a task: its name says so. */
static char letter_of(const pj_attempt *attempt)
{
	return attempt->is_sample ? 's' : attempt->role == PJ_ROLE_REDUCE ? 'r' : 'm';
}

void pj__attempt_id(const pj__environment *environment, const pj_attempt *attempt, char *id)
{
	snprintf(id, PJ__ID_BYTES, "attempt_%s_%c_%06" PRIu64 "_%u", environment->stamp, letter_of(attempt),
		 attempt->task, attempt->number);
}

void pj__task_id(const pj__environment *environment, const pj_attempt *attempt, char *id)
{
	snprintf(id, PJ__ID_BYTES, "task_%s_%c_%06" PRIu64, environment->stamp, letter_of(attempt), attempt->task);
}

/* Characters not allowed in a variable's name become underscores. A NULL value: it could not be allocated. */
static void set_variable(pj_start *start, const char *name, const char *value)
{
	char *const safe = strdup(name);
	for (char *at = safe; at && *at; at++) {
		const char byte = *at;
		const bool plain =
			(byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
		*at = plain ? byte : '_';
	}
	if (!safe || *safe)
		pj_start_set(start, safe, value);
	free(safe);
}

/* Under the old and the new name. */
static void set_both(pj_start *start, const char *name, const char *value)
{
	const char *const other = pj__other_name(name);
	set_variable(start, name, value);
	if (other)
		set_variable(start, other, value);
}

static void set_number(pj_start *start, const char *name, uint64_t value)
{
	char text[24];
	snprintf(text, sizeof text, "%" PRIu64, value);
	set_both(start, name, text);
}

static void set_properties(const pj__environment *environment, pj_start *start)
{
	const pj__conf *const conf = environment->conf;
	pj_text value = {0};
	for (size_t i = 0; i < conf->count; i++) {
		pj__text_reset(&value);
		pj__conf_expand(conf, conf->at[i].value, &value);
		if (environment->longest_value >= 0 && value.len > (uint64_t)environment->longest_value)
			value.len = (size_t)environment->longest_value;
		pj__text_byte(&value, 0);
		set_variable(start, conf->at[i].name, value.failed ? NULL : value.data);
	}
	pj__text_fini(&value);
}

/* What a map task reads, in Hadoop's count. */
static void set_input(const pj__environment *environment, const pj_attempt *attempt, pj_start *start)
{
	const pj__files *const files = environment->files;
	if (attempt->task >= files->cut_count)
		return;
	const pj__cut *const cut = &files->cuts[attempt->task];
	char *uri;
	if (asprintf(&uri, "file:%s", files->paths.at[cut->file]) < 0)
		uri = NULL;
	set_both(start, "mapreduce.map.input.file", uri);
	free(uri);
	set_number(start, "mapreduce.map.input.start", cut->start);
	set_number(start, "mapreduce.map.input.length", cut->length);
}

void pj__environment_set(const pj__environment *environment, const pj_attempt *attempt, const char *work,
			 const char *side, pj_start *start)
{
	char id[PJ__ID_BYTES], temp[4096];
	set_properties(environment, start);
	snprintf(id, sizeof id, "job_%s", environment->stamp);
	set_both(start, "mapreduce.job.id", id);
	pj__task_id(environment, attempt, id);
	set_both(start, "mapreduce.task.id", id);
	pj__attempt_id(environment, attempt, id);
	set_both(start, "mapreduce.task.attempt.id", id);
	set_number(start, "mapreduce.task.partition", attempt->task);
	set_both(start, "mapreduce.task.ismap", attempt->role == PJ_ROLE_REDUCE ? "false" : "true");
	set_both(start, "mapreduce.task.output.dir", side);
	set_both(start, "mapreduce.job.local.dir", work);
	set_number(start, "mapreduce.job.maps", environment->maps);
	set_number(start, "mapreduce.job.reduces", environment->reduces);
	if (attempt->role != PJ_ROLE_REDUCE)
		set_input(environment, attempt, start);
	set_variable(start, "HADOOP_ROOT_LOGGER", "");
	set_variable(start, "PWD", work);
	for (size_t i = 0; i < environment->added->count; i++) {
		const char *const pair = environment->added->at[i], *const equals = strchr(pair, '=');
		if (!equals)
			continue;
		char *const name = strndup(pair, (size_t)(equals - pair));
		pj_start_set(start, name, equals + 1);
		free(name);
	}
	snprintf(temp, sizeof temp, "%s/tmp", work);
	set_variable(start, "TMPDIR", temp);
}
