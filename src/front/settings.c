/*
 * settings.c: argv -> settings, by the table of options.
 *
 * Options may stand before, between and after inputs; "--" ends them; "-" is an input. A value follows its option
 * ("-w 2", "--workers 2") or is part of it ("-w2", "--workers=2"); flags may be joined ("-qw2"). Names are not
 * abbreviated: a script with an abbreviation would break with the next option. The last one of an option counts, unless
 * it is one of the job's that takes many. Where a job's option is an operand and is not given, the first input is its
 * value.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "front/front.h"

struct reader {
	struct pj__settings *settings;
	const pj_job *job;
	const char *program;
	int argc;
	char **argv;
	int at; /* the argument that is being read */
	pj_error *error;
};

/* ------------------------------------------------------------------------------------------- the job's own options */

static bool is_option_name(const char *name)
{
	if (!isalnum((unsigned char)*name))
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && *name != '-' && *name != '_')
			return false;
	return true;
}

/* An author's mistake in the job's table is told at once, rather than when somebody uses the option. */
static pj_status check_own_options(const pj_job *job, pj_error *error)
{
	const size_t own = pj__own_count(job);
	struct pj__known option, other;
	for (size_t i = 0; i < own && pj__known_at(job, i, &option); i++) {
		if (!is_option_name(option.name) || (option.letter && !isalnum((unsigned char)option.letter)))
			return pj__front_fail(
				error, PJ_ERR_USER, "the job declares an option with a bad name",
				*option.name ? option.name : "(empty)",
				"letters, digits and '-' make a name; one letter or digit the short form");
		for (size_t j = 0; j != i && pj__known_at(job, j, &other); j++)
			if (option.letter && option.letter == other.letter)
				return pj__front_fail(error, PJ_ERR_USER, "the job declares the same letter twice",
						      option.name, "it is that of --%s", other.name);
		for (size_t j = 0; pj__known_at(job, j, &other); j++)
			if (j != i && !strcmp(option.name, other.name))
				return pj__front_fail(error, PJ_ERR_USER, "the job declares an option that exists",
						      option.name, "give it another name");
	}
	return PJ_OK;
}

/* --------------------------------------------------------------------------------------------------------- finding */

static bool find_name(const struct reader *reader, const char *name, size_t len, struct pj__known *ret_known)
{
	for (size_t i = 0; pj__known_at(reader->job, i, ret_known); i++)
		if (strlen(ret_known->name) == len && !memcmp(ret_known->name, name, len))
			return true;
	return false;
}

static bool find_letter(const struct reader *reader, char letter, struct pj__known *ret_known)
{
	for (size_t i = 0; pj__known_at(reader->job, i, ret_known); i++)
		if (ret_known->letter == letter || ret_known->other_letter == letter)
			return true;
	return false;
}

enum { NAMES_MAX = 256 };

static pj_status unknown_name(const struct reader *reader, const char *name, size_t len)
{
	char typed[64];
	snprintf(typed, sizeof typed, "%.*s", (int)(len < 63 ? len : 63), name);
	const char *names[NAMES_MAX];
	size_t count = 0;
	struct pj__known known;
	while (count < NAMES_MAX && pj__known_at(reader->job, count, &known))
		names[count++] = known.name;
	const char *const nearest = pj_nearest(typed, names, count);
	char reason[80];
	snprintf(reason, sizeof reason, "--%s", typed);
	if (nearest)
		return pj__front_fail(reader->error, PJ_ERR_USAGE, "unknown option", reason,
				      "the nearest is --%s; all of them: %s --help", nearest, reader->program);
	return pj__front_fail(reader->error, PJ_ERR_USAGE, "unknown option", reason, "all options: %s --help",
			      reader->program);
}

static pj_status unknown_letter(const struct reader *reader, char letter)
{
	const char reason[3] = {'-', letter, 0};
	struct pj__known common;
	for (size_t i = 0; pj__is_reserved(reader->job, letter) && pj__known_at(NULL, i, &common); i++)
		if (common.letter == letter || common.other_letter == letter)
			return pj__front_fail(reader->error, PJ_ERR_USAGE, "unknown option", reason,
					      "the tool that %s replaces has another option of that name; what "
					      "PapJuice calls so is written --%s here",
					      reader->job->name, common.name);
	return pj__front_fail(reader->error, PJ_ERR_USAGE, "unknown option", reason, "all options: %s --help",
			      reader->program);
}

/* --------------------------------------------------------------------------------------------------------- reading */

static pj_status take_own(struct reader *reader, size_t own, const char *value)
{
	struct pj__settings *const settings = reader->settings;
	settings->values[own] = value;
	if (!reader->job->options[own].many)
		return PJ_OK;
	const char *const before = settings->joined[own];
	const size_t size = (before ? strlen(before) + 1 : 0) + strlen(value) + 1;
	char *const joined = malloc(size);
	if (!joined)
		return pj__front_fail(reader->error, PJ_ERR_MEMORY, "cannot read the command line", NULL, NULL);
	snprintf(joined, size, "%s%s%s", before ? before : "", before ? "\n" : "", value);
	free(settings->joined[own]);
	settings->values[own] = settings->joined[own] = joined;
	return PJ_OK;
}

static pj_status take(struct reader *reader, const struct pj__known *known, const char *value)
{
	if (!known->common)
		return take_own(reader, known->own, value);
	if (pj__value_take(known->common, reader->settings, value))
		return PJ_OK;
	char what[64], good[256];
	snprintf(what, sizeof what, "bad value for --%s", known->name);
	return pj__front_fail(reader->error, PJ_ERR_USAGE, what, *value ? value : "(empty)", "--%s %s: %s", known->name,
			      known->value, pj__value_good(known->common, good, sizeof good));
}

/* The argument that follows, as the value of `known`. */
static pj_status take_next(struct reader *reader, const struct pj__known *known)
{
	if (reader->at + 1 >= reader->argc) {
		char names[80];
		pj__option_names(known, names, sizeof names);
		return pj__front_fail(reader->error, PJ_ERR_USAGE, "an option needs a value", names,
				      "all options: %s --help", reader->program);
	}
	return take(reader, known, reader->argv[++reader->at]);
}

static pj_status read_long(struct reader *reader, const char *name)
{
	const char *const equals = strchr(name, '=');
	const size_t len = equals ? (size_t)(equals - name) : strlen(name);
	struct pj__known known;
	if (!find_name(reader, name, len, &known))
		return unknown_name(reader, name, len);
	if (!known.value && equals)
		return pj__front_fail(reader->error, PJ_ERR_USAGE, "an option takes no value", reader->argv[reader->at],
				      "write --%s", known.name);
	if (!known.value)
		return take(reader, &known, "");
	return equals ? take(reader, &known, equals + 1) : take_next(reader, &known);
}

static pj_status read_letters(struct reader *reader, const char *letters)
{
	struct pj__known known;
	/* "-output x": would else write to a file "utput" */
	const size_t len = strcspn(letters, "=");
	if (len > 2 && find_name(reader, letters, len, &known))
		return pj__front_fail(reader->error, PJ_ERR_USAGE, "unknown option", reader->argv[reader->at],
				      "a name has two dashes: --%s", known.name);
	for (; *letters; letters++) {
		if (!find_letter(reader, *letters, &known))
			return unknown_letter(reader, *letters);
		if (known.value)
			return letters[1] ? take(reader, &known, letters + 1) : take_next(reader, &known);
		/* a flag hears that it was typed as a letter: -h is shorter than --help */
		const pj_status status = take(reader, &known, known.common ? "-" : "");
		if (status || reader->settings->action != PJ__ACTION_RUN)
			return status;
	}
	return PJ_OK;
}

/* Makes the first input the value of the option that is an operand, if that was not given. */
static pj_status take_operand(struct reader *reader)
{
	struct pj__settings *const settings = reader->settings;
	const size_t own = pj__own_operand(reader->job);
	size_t *const count = &settings->run.input.path_count;
	if (own == pj__own_count(reader->job) || settings->values[own] || !*count)
		return PJ_OK;
	const char *const first = settings->paths[0];
	memmove(settings->paths, settings->paths + 1, --*count * sizeof *settings->paths);
	return take_own(reader, own, first);
}

static pj_status read_all(struct reader *reader)
{
	struct pj__settings *const settings = reader->settings;
	bool options_end = false;
	for (reader->at = 1; reader->at < reader->argc; reader->at++) {
		const char *const argument = reader->argv[reader->at];
		pj_status status = PJ_OK;
		if (options_end || argument[0] != '-' || !argument[1])
			settings->paths[settings->run.input.path_count++] = argument;
		else if (argument[1] != '-')
			status = read_letters(reader, argument + 1);
		else if (argument[2])
			status = read_long(reader, argument + 2);
		else
			options_end = true;
		/* a request for help is granted, whatever follows it */
		if (status || settings->action != PJ__ACTION_RUN)
			return status;
	}
	return take_operand(reader);
}

static void set_usual(const struct pj__option *option, struct pj__settings *settings)
{
	char text[24];
	pj__value_print(option, option->usual, text, sizeof text);
	pj__value_take(option, settings, text);
}

/* Settings with every default that is a number; of the job's own options, a flag that is not given is NULL. */
static pj_status prepare(struct pj__settings *settings, const pj_job *job, int argc, pj_error *error)
{
	*settings = (struct pj__settings){0};
	for (const struct pj__option *option = pj__options; option->name; option++)
		if (option->usual)
			set_usual(option, settings);
	const size_t own = pj__own_count(job);
	settings->paths = calloc((size_t)(argc > 0 ? argc : 0) + 1, sizeof *settings->paths);
	settings->values = calloc(own + 1, sizeof *settings->values);
	settings->joined = calloc(own + 1, sizeof *settings->joined);
	settings->own = own;
	if (!settings->paths || !settings->values || !settings->joined) {
		pj__settings_fini(settings);
		return pj__front_fail(error, PJ_ERR_MEMORY, "cannot read the command line", NULL, NULL);
	}
	for (size_t i = 0; i < own; i++)
		settings->values[i] = job->options[i].value ? job->options[i].initial : NULL;
	settings->run.input.paths = settings->paths;
	settings->run.values = settings->values;
	return PJ_OK;
}

pj_status pj__settings_read(struct pj__settings *settings, const pj_job *job, const char *program, int argc,
			    char **argv, pj_error *error)
{
	struct reader reader = {settings, job, program, argc, argv, 0, error};
	pj_status status = check_own_options(job, error);
	if (!status)
		status = prepare(settings, job, argc, error);
	if (status)
		return status;
	status = read_all(&reader);
	if (status)
		pj__settings_fini(settings);
	return status;
}

void pj__settings_fini(struct pj__settings *settings)
{
	for (size_t i = 0; settings->joined && i < settings->own; i++)
		free(settings->joined[i]);
	free(settings->joined);
	free(settings->paths);
	free(settings->values);
	*settings = (struct pj__settings){0};
}
