/*
 * request.c: see request.h. The two halves are read as Hadoop's two parsers read them: the generic one ends at the
 * first word that it does not know; in the streaming half every word that is not an option is a value.
 */
#include "streaming/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/grow.h"

enum takes { FLAG, ONE, MANY };

static const struct {
	const char *name;
	enum takes takes;
} options[PJ__OPT_COUNT] = {
	[PJ__OPT_INPUT] = {"input", MANY},
	[PJ__OPT_OUTPUT] = {"output", ONE},
	[PJ__OPT_MAPPER] = {"mapper", ONE},
	[PJ__OPT_COMBINER] = {"combiner", ONE},
	[PJ__OPT_REDUCER] = {"reducer", ONE},
	[PJ__OPT_FILE] = {"file", MANY},
	[PJ__OPT_INPUTFORMAT] = {"inputformat", ONE},
	[PJ__OPT_OUTPUTFORMAT] = {"outputformat", ONE},
	[PJ__OPT_PARTITIONER] = {"partitioner", ONE},
	[PJ__OPT_REDUCES] = {"numReduceTasks", ONE},
	[PJ__OPT_INPUTREADER] = {"inputreader", ONE},
	[PJ__OPT_CMDENV] = {"cmdenv", ONE},
	[PJ__OPT_JOBCONF] = {"jobconf", ONE},
	[PJ__OPT_IO] = {"io", ONE},
	[PJ__OPT_CACHE_FILE] = {"cacheFile", MANY},
	[PJ__OPT_CACHE_ARCHIVE] = {"cacheArchive", MANY},
	[PJ__OPT_MAPDEBUG] = {"mapdebug", ONE},
	[PJ__OPT_REDUCEDEBUG] = {"reducedebug", ONE},
	[PJ__OPT_CONFSPEC] = {"additionalconfspec", ONE},
	[PJ__OPT_DFS] = {"dfs", ONE},
	[PJ__OPT_LAZY] = {"lazyOutput", FLAG},
	[PJ__OPT_BACKGROUND] = {"background", FLAG},
	[PJ__OPT_VERBOSE] = {"verbose", FLAG},
	[PJ__OPT_DEBUG] = {"debug", FLAG},
	[PJ__OPT_INFO] = {"info", FLAG},
	[PJ__OPT_HELP] = {"help", FLAG},
};

enum generic { CONF, DEFINE, FS, JT, FILES, ARCHIVES, LIBJARS, TOKENS, GENERIC_COUNT };
static const char *const generic_names[GENERIC_COUNT] = {"conf",  "D",        "fs",      "jt",
							 "files", "archives", "libjars", "tokenCacheFile"};

/* ---------------------------------------------------------------------------------------------------------- strings */

pj_status pj__strings_add(pj__strings *strings, const char *text, size_t len, pj_error *error)
{
	char *const copy = strndup(text, len);
	if (!copy)
		return pj__no_memory(error, len + 1);
	const pj_status status =
		pj__grow(&strings->at, &strings->capacity, strings->count + 1, sizeof *strings->at, error);
	if (status)
		free(copy);
	else
		strings->at[strings->count++] = copy;
	return status;
}

pj_status pj__strings_split(pj__strings *strings, const char *list, pj_error *error)
{
	pj_status status = PJ_OK;
	int depth = 0;
	const char *start = list;
	for (const char *at = list; !status; at++) {
		depth += *at == '{';
		depth -= *at == '}' && depth > 0;
		if (*at && (*at != ',' || depth))
			continue;
		if (at > start)
			status = pj__strings_add(strings, start, (size_t)(at - start), error);
		start = at + 1;
		if (!*at)
			break;
	}
	return status;
}

void pj__strings_fini(pj__strings *strings)
{
	for (size_t i = 0; i < strings->count; i++)
		free(strings->at[i]);
	free(strings->at);
	*strings = (pj__strings){0};
}

/* ------------------------------------------------------------------------------------------------- words of a line */

/* The name within "-name" or "--name"; NULL: the word is not an option. */
static const char *name_in(const char *word)
{
	if (word[0] != '-' || !word[1] || !strcmp(word, "--"))
		return NULL;
	return word + 1 + (word[1] == '-');
}

static int find_option(const char *word)
{
	const char *const name = name_in(word);
	for (int i = 0; name && i < PJ__OPT_COUNT; i++)
		if (!strcmp(name, options[i].name))
			return i;
	return -1;
}

/* Finds "-name", "-name=value" and "-Dk=v"; *ret_value is the value in the same word, or NULL. */
static int find_generic(const char *word, const char **ret_value)
{
	const char *const name = name_in(word);
	*ret_value = NULL;
	for (int i = 0; name && i < GENERIC_COUNT; i++) {
		const size_t len = strlen(generic_names[i]);
		if (strncmp(name, generic_names[i], len) != 0)
			continue;
		if (!name[len])
			return i;
		if (name[len] == '=' || i == DEFINE) {
			*ret_value = name + len + (name[len] == '=');
			return i;
		}
	}
	return -1;
}

/* Quotes around all of a value, and none within, are dropped. */
static pj_bytes unquoted(const char *value)
{
	pj_bytes text = pj_bytes_of(value);
	if (text.len > 1 && text.ptr[0] == '"' && text.ptr[text.len - 1] == '"' &&
	    !memchr(text.ptr + 1, '"', text.len - 2))
		text = (pj_bytes){text.ptr + 1, text.len - 2};
	return text;
}

static pj_status refuse(pj_error *error, const char *what, const char *word)
{
	return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "%s%s", what, word);
}

/* -------------------------------------------------------------------------------------------------- generic options */

/* What the generic options say, in the order of the command line. */
struct generics {
	pj__strings values[GENERIC_COUNT];
};

static pj_status read_generics(struct generics *generics, int argc, char **argv, int *ret_used, pj_error *error)
{
	int at = 0;
	pj_status status = PJ_OK;
	while (!status && at < argc) {
		const char *value;
		const int option = find_generic(argv[at], &value);
		if (option < 0)
			break;
		if (!value && at + 1 == argc)
			return refuse(error, "Missing argument for option: ", generic_names[option]);
		at += value ? 1 : 2;
		const pj_bytes text = unquoted(value ? value : argv[at - 1]);
		status = pj__strings_add(&generics->values[option], text.ptr, text.len, error);
	}
	*ret_used = at;
	return status;
}

/* The path of "file:///a/b#link", without scheme and link, to `path`. False: it is elsewhere, or too long. */
static bool local_path(const char *text, char *path, size_t size)
{
	if (!strncmp(text, "file:", 5)) {
		text += 5;
		while (text[0] == '/' && text[1] == '/')
			text++;
	} else if (strstr(text, "://")) {
		return false;
	}
	const size_t len = strcspn(text, "#");
	if (len >= size)
		return false;
	memcpy(path, text, len);
	path[len] = 0;
	return true;
}

static pj_status add_shipped(pj__strings *to, const pj__strings *values, pj_error *error)
{
	/* only the first -files counts, and only the first -archives */
	const size_t before = to->count;
	pj_status status = values->count ? pj__strings_split(to, values->at[0], error) : PJ_OK;
	for (size_t i = before; !status && i < to->count; i++) {
		char path[4096];
		if (!local_path(to->at[i], path, sizeof path))
			status = pj__fail(error, PJ_ERR_INPUT, 0, NULL, "File %s is not on this machine.", to->at[i]);
		else if (access(path, F_OK) < 0)
			status = pj__fail(error, PJ_ERR_INPUT, 0, NULL, "File %s does not exist.", path);
	}
	return status;
}

static pj_status settle_generics(pj__request *request, const struct generics *generics, pj_error *error)
{
	static const struct {
		enum generic option;
		const char *property;
	} plain[] = {{FS, "fs.defaultFS"}, {JT, "yarn.resourcemanager.address"}, {LIBJARS, "tmpjars"}};
	pj_status status = PJ_OK;
	for (size_t i = 0; !status && i < sizeof plain / sizeof *plain; i++)
		if (generics->values[plain[i].option].count)
			status = pj__conf_set(&request->conf, plain[i].property,
					      generics->values[plain[i].option].at[0], error);
	request->ignores_libjars = generics->values[LIBJARS].count > 0;
	for (size_t i = 0; !status && i < generics->values[CONF].count; i++)
		status = pj__conf_read(&request->conf, generics->values[CONF].at[i], error);
	for (size_t i = 0; !status && i < generics->values[DEFINE].count; i++) {
		bool is_pair;
		status = pj__conf_set_pair(&request->conf, generics->values[DEFINE].at[i], &is_pair, error);
	}
	if (!status)
		status = add_shipped(&request->files, &generics->values[FILES], error);
	if (!status)
		status = add_shipped(&request->archives, &generics->values[ARCHIVES], error);
	return status ? status
		      : pj__conf_set(&request->conf, "mapreduce.client.genericoptionsparser.used", "true", error);
}

/* ------------------------------------------------------------------------------------------------ streaming options */

/* Takes the option at argv[*at] with its values. */
static pj_status read_option(pj__request *request, int argc, char **argv, int *at, pj_error *error)
{
	const int option = find_option(argv[*at]);
	if (option < 0)
		return refuse(error, "Unrecognized option: ", argv[*at]);
	request->has[option] = true;
	++*at;
	size_t taken = 0;
	pj_status status = PJ_OK;
	while (!status && *at < argc && find_option(argv[*at]) < 0 &&
	       (options[option].takes == MANY || (options[option].takes == ONE && !taken))) {
		const pj_bytes text = unquoted(argv[*at]);
		status = pj__strings_add(&request->given[option], text.ptr, text.len, error);
		taken++;
		++*at;
	}
	if (!status && !taken && options[option].takes != FLAG)
		return refuse(error, "Missing argument for option: ", options[option].name);
	return status;
}

static pj_status refuse_words(pj__strings *words, pj_error *error)
{
	char list[160] = "";
	for (size_t i = 0, used = 0; i < words->count && used < sizeof list; i++)
		used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", words->at[i]);
	return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "Found %zu unexpected arguments on the command line [%s]",
			words->count, list);
}

static pj_status read_options(pj__request *request, int argc, char **argv, pj_error *error)
{
	pj__strings extra = {0};
	bool only_words = false;
	pj_status status = PJ_OK;
	for (int at = 0; !status && at < argc;) {
		if (!only_words && name_in(argv[at])) {
			status = read_option(request, argc, argv, &at, error);
			continue;
		}
		if (!only_words && !strcmp(argv[at], "--"))
			only_words = true;
		else
			status = pj__strings_add(&extra, argv[at], strlen(argv[at]), error);
		at++;
	}
	if (!status && extra.count)
		status = refuse_words(&extra, error);
	pj__strings_fini(&extra);
	return status;
}

static pj_status settle_options(pj__request *request, pj_error *error)
{
	const char *const confspec = pj__request_value(request, PJ__OPT_CONFSPEC);
	const char *const dfs = pj__request_value(request, PJ__OPT_DFS);
	pj_status status = confspec ? pj__conf_read(&request->conf, confspec, error) : PJ_OK;
	if (!status && dfs)
		status = pj__conf_set(&request->conf, "fs.default.name", dfs, error);
	const pj__strings *const jobconf = &request->given[PJ__OPT_JOBCONF];
	for (size_t i = 0; !status && i < jobconf->count; i++) {
		bool is_pair;
		status = pj__conf_set_pair(&request->conf, jobconf->at[i], &is_pair, error);
		if (!status && !is_pair)
			status = refuse(error, "-jobconf needs NAME=VALUE: ", jobconf->at[i]);
	}
	const pj__strings *const files = &request->given[PJ__OPT_FILE];
	for (size_t i = 0; !status && i < files->count; i++) {
		char path[4096];
		if (!local_path(files->at[i], path, sizeof path) || access(path, F_OK) < 0)
			status = pj__fail(error, PJ_ERR_USAGE, 0, NULL, "File: %s does not exist.", files->at[i]);
		else if (access(path, R_OK) < 0)
			status = pj__fail(error, PJ_ERR_USAGE, 0, NULL, "File: %s is not readable.", files->at[i]);
	}
	return status;
}

pj_status pj__request_read(pj__request *request, int argc, char **argv, pj_error *error)
{
	*request = (pj__request){0};
	struct generics generics = {0};
	int used = 0;
	pj_status status = read_generics(&generics, argc, argv, &used, error);
	if (!status)
		status = settle_generics(request, &generics, error);
	for (int i = 0; i < GENERIC_COUNT; i++)
		pj__strings_fini(&generics.values[i]);
	if (!status)
		status = read_options(request, argc - used, argv + used, error);
	if (status || request->has[PJ__OPT_HELP] || request->has[PJ__OPT_INFO])
		return status;
	status = settle_options(request, error);
	if (!status && !request->given[PJ__OPT_INPUT].count)
		status = refuse(error, "Required argument: -input <name>", "");
	if (!status && !request->given[PJ__OPT_OUTPUT].count)
		status = refuse(error, "Required argument: -output ", "");
	return status;
}

const char *pj__request_value(const pj__request *request, enum pj__streaming_option option)
{
	return request->given[option].count ? request->given[option].at[0] : NULL;
}

void pj__request_fini(pj__request *request)
{
	pj__conf_fini(&request->conf);
	pj__strings_fini(&request->files);
	pj__strings_fini(&request->archives);
	for (int i = 0; i < PJ__OPT_COUNT; i++)
		pj__strings_fini(&request->given[i]);
}
