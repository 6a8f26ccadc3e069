/*
 * conf.c: see conf.h.
 */
#include "streaming/conf.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/grow.h"
#include "base/io.h"
#include "streaming/names.h"

static pj__property *find(const pj__conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->count; i++)
		if (!strcmp(conf->at[i].name, name))
			return &conf->at[i];
	return NULL;
}

static pj_status set_one(pj__conf *conf, const char *name, const char *value, pj_error *error)
{
	char *const copy = strdup(value);
	if (!copy)
		return pj__no_memory(error, strlen(value) + 1);
	pj__property *const there = find(conf, name);
	if (there) {
		free(there->value);
		there->value = copy;
		return PJ_OK;
	}
	char *const name_copy = strdup(name);
	pj_status status = name_copy ? PJ_OK : pj__no_memory(error, strlen(name) + 1);
	if (!status)
		status = pj__grow(&conf->at, &conf->capacity, conf->count + 1, sizeof *conf->at, error);
	if (status) {
		free(copy);
		free(name_copy);
		return status;
	}
	pj__property *const added = &conf->at[conf->count++];
	added->name = name_copy;
	added->value = copy;
	return PJ_OK;
}

pj_status pj__conf_set(pj__conf *conf, const char *name, const char *value, pj_error *error)
{
	const char *const other = pj__other_name(name);
	const pj_status status = set_one(conf, name, value, error);
	return status || !other ? status : set_one(conf, other, value, error);
}

pj_status pj__conf_set_pair(pj__conf *conf, const char *pair, bool *ret_is_pair, pj_error *error)
{
	const char *const equals = strchr(pair, '=');
	*ret_is_pair = equals != NULL;
	if (!equals)
		return PJ_OK;
	char *const name = strndup(pair, (size_t)(equals - pair));
	if (!name)
		return pj__no_memory(error, (size_t)(equals - pair) + 1);
	const pj_status status = pj__conf_set(conf, name, equals + 1, error);
	free(name);
	return status;
}

const char *pj__conf_get(const pj__conf *conf, const char *name)
{
	const pj__property *const property = find(conf, name);
	return property ? property->value : NULL;
}

/* The value of what stands between "${" and "}", or NULL. */
static const char *value_of(const pj__conf *conf, const char *name, size_t len)
{
	char copy[256];
	if (len >= sizeof copy)
		return NULL;
	memcpy(copy, name, len);
	copy[len] = 0;
	if (!strncmp(copy, "env.", 4))
		return getenv(copy + 4);
	return pj__conf_get(conf, copy);
}

/* A value may name others, down to as many as Hadoop follows; *left: how many more may be put in, in all. */
static void expand(const pj__conf *conf, const char *value, int depth, int *left, pj_text *to)
{
	for (const char *start; depth && *left && (start = strstr(value, "${"));) {
		const char *const end = strchr(start, '}');
		if (!end)
			break;
		const char *const known = value_of(conf, start + 2, (size_t)(end - start) - 2);
		pj_text_bytes(to, (pj_bytes){value, (size_t)(start - value)});
		--*left;
		if (known)
			expand(conf, known, depth - 1, left, to);
		else
			pj_text_bytes(to, (pj_bytes){start, (size_t)(end - start) + 1});
		value = end + 1;
	}
	pj_text_bytes(to, pj_bytes_of(value));
}

void pj__conf_expand(const pj__conf *conf, const char *value, pj_text *to)
{
	enum { DEEPEST = 20, MOST = 1000 };
	int left = MOST;
	expand(conf, value, DEEPEST, &left, to);
}

bool pj__conf_bool(const pj__conf *conf, const char *name, bool otherwise)
{
	const char *const value = pj__conf_get(conf, name);
	if (value && !strcasecmp(value, "true"))
		return true;
	return value && !strcasecmp(value, "false") ? false : otherwise;
}

pj_status pj__conf_number(const pj__conf *conf, const char *name, int64_t least, int64_t most, int64_t otherwise,
			  int64_t *ret_number, pj_error *error)
{
	const char *const value = pj__conf_get(conf, name);
	int64_t number = otherwise;
	if (value && (!pj_parse_i64(pj_strip(pj_bytes_of(value)), &number) || number < least || number > most)) {
		pj__fail(error, PJ_ERR_USAGE, 0, NULL, "the value of the property %s is not a valid number", name);
		pj__error_reason(error, "%s", value);
		pj__error_hint(error, "it may be from %lld to %lld", (long long)least, (long long)most);
		return PJ_ERR_USAGE;
	}
	*ret_number = number;
	return PJ_OK;
}

void pj__conf_fini(pj__conf *conf)
{
	for (size_t i = 0; i < conf->count; i++) {
		free(conf->at[i].name);
		free(conf->at[i].value);
	}
	free(conf->at);
	*conf = (pj__conf){0};
}

/* -------------------------------------------------------------------------------------------------------- XML files */

/* Appends a character of the text, as UTF-8. */
static void put_char(unsigned long character, pj_text *to)
{
	if (character < 0x80) {
		pj__text_byte(to, (char)character);
		return;
	}
	const int more = character < 0x800 ? 1 : character < 0x10000 ? 2 : 3;
	static const unsigned char first[] = {0, 0xc0, 0xe0, 0xf0};
	pj__text_byte(to, (char)(first[more] | character >> (6 * more)));
	for (int i = more - 1; i >= 0; i--)
		pj__text_byte(to, (char)(0x80 | (character >> (6 * i) & 0x3f)));
}

/* Appends the entity at the front of *rest ("&lt;"), if it is one. */
static bool take_entity(pj_bytes *rest, pj_text *to)
{
	static const struct {
		const char *name;
		char character;
	} known[] = {{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}, {"&apos;", '\''}};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		const size_t len = strlen(known[i].name);
		if (rest->len >= len && !memcmp(rest->ptr, known[i].name, len)) {
			pj__text_byte(to, known[i].character);
			*rest = (pj_bytes){rest->ptr + len, rest->len - len};
			return true;
		}
	}
	/* the file's text is ended by NUL */
	if (rest->len < 4 || rest->ptr[1] != '#')
		return false;
	const bool hex = rest->ptr[2] == 'x';
	char *end;
	const unsigned long character = strtoul(rest->ptr + 2 + hex, &end, hex ? 16 : 10);
	if (*end != ';' || !character || character > 0x10ffff)
		return false;
	put_char(character, to);
	*rest = (pj_bytes){end + 1, rest->len - (size_t)(end + 1 - rest->ptr)};
	return true;
}

/* Appends text as it reads when entities are replaced, CDATA opened, and blanks at its ends are kept. */
static void put_text(pj_bytes text, pj_text *to)
{
	static const char open[] = "<![CDATA[", close[] = "]]>";
	while (text.len) {
		if (text.len > sizeof open && !memcmp(text.ptr, open, sizeof open - 1)) {
			const char *const end = memmem(text.ptr, text.len, close, sizeof close - 1);
			const char *const from = text.ptr + sizeof open - 1, *const until = end ? end : from;
			pj_text_bytes(to, (pj_bytes){from, (size_t)(until - from)});
			const char *const behind = end ? end + sizeof close - 1 : text.ptr + text.len;
			text = (pj_bytes){behind, text.len - (size_t)(behind - text.ptr)};
		} else if (*text.ptr != '&' || !take_entity(&text, to)) {
			pj__text_byte(to, *text.ptr);
			text = (pj_bytes){text.ptr + 1, text.len - 1};
		}
	}
}

/* The text between <NAME> and </NAME> in `within`; *ret_end is after the element. False: there is no such element. */
static bool element(pj_bytes within, const char *name, pj_bytes *ret_text, const char **ret_end)
{
	char open[32], close[32];
	snprintf(open, sizeof open, "<%s>", name);
	snprintf(close, sizeof close, "</%s>", name);
	const char *const start = within.len ? memmem(within.ptr, within.len, open, strlen(open)) : NULL;
	if (!start)
		return false;
	const char *const text = start + strlen(open);
	const char *const end = memmem(text, within.len - (size_t)(text - within.ptr), close, strlen(close));
	if (!end)
		return false;
	*ret_text = (pj_bytes){text, (size_t)(end - text)};
	*ret_end = end + strlen(close);
	return true;
}

/* Turns comments into blanks. */
static void drop_comments(char *text)
{
	for (char *at = text; (at = strstr(at, "<!--"));) {
		char *const close = strstr(at, "-->");
		char *const end = close ? close + 3 : at + strlen(at);
		memset(at, ' ', (size_t)(end - at));
		at = end;
	}
}

static pj_status set_property(pj__conf *conf, pj_bytes property, pj_error *error)
{
	pj_bytes name, value;
	const char *end;
	if (!element(property, "name", &name, &end) || !element(property, "value", &value, &end))
		return PJ_OK;
	pj_text texts[2] = {{0}, {0}};
	put_text(pj_strip(name), &texts[0]);
	put_text(value, &texts[1]);
	for (int i = 0; i < 2; i++)
		pj__text_byte(&texts[i], 0);
	pj_status status = texts[0].failed || texts[1].failed ? pj__no_memory(error, property.len) : PJ_OK;
	if (!status)
		status = pj__conf_set(conf, texts[0].data, texts[1].data, error);
	pj__text_fini(&texts[0]);
	pj__text_fini(&texts[1]);
	return status;
}

static pj_status not_xml(const char *path, pj_error *error)
{
	pj__fail(error, PJ_ERR_INPUT, 0, path, "cannot read the configuration");
	pj__error_reason(error, "it holds no <configuration>");
	return PJ_ERR_INPUT;
}

pj_status pj__conf_read(pj__conf *conf, const char *path, pj_error *error)
{
	enum { STEP_BYTES = 64 << 10, MOST_BYTES = 64 << 20 };
	pj_text text = {0};
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int failed = fd < 0 ? errno : 0;
	for (size_t got = STEP_BYTES; !failed && got == STEP_BYTES;) {
		char *const to = text.len < MOST_BYTES ? pj__text_room(&text, STEP_BYTES + 1) : NULL;
		failed = to ? pj__read_full(fd, to, STEP_BYTES, &got) : ENOMEM;
		text.len += failed ? 0 : got;
	}
	pj__close(&fd); /* read only: nothing can be lost */
	pj_status status = PJ_OK;
	if (failed) {
		status = pj__fail(error, PJ_ERR_INPUT, failed, path, "cannot read the configuration");
	} else {
		pj__text_byte(&text, 0);
		drop_comments(text.data);
		const char *const all = strstr(text.data, "<configuration");
		status = all ? PJ_OK : not_xml(path, error);
		pj_bytes rest = pj_bytes_of(all ? all : ""), property;
		for (const char *end; !status && element(rest, "property", &property, &end);) {
			status = set_property(conf, property, error);
			rest = pj_bytes_of(end);
		}
	}
	pj__text_fini(&text);
	return status;
}
