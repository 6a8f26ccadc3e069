/*
 * values.c: numbers, sizes and times as people write them; what an option of each type takes, and how it is printed;
 * the name that was meant.
 *
 * All reading is by hand: strtoull takes signs and blanks and follows the locale, none of which belongs here.
 */
#include <stdlib.h>
#include <string.h>

#include "front/front.h"

/* Reads decimal digits from *text, which moves past them. False: there are none, or the number does not fit. */
static bool read_digits(const char **text, uint64_t *ret_number)
{
	uint64_t number = 0;
	const char *at = *text;
	for (; *at >= '0' && *at <= '9'; at++)
		if (__builtin_mul_overflow(number, 10u, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(*at - '0'), &number))
			return false;
	if (at == *text)
		return false;
	*text = at;
	*ret_number = number;
	return true;
}

bool pj__read_count(const char *text, uint64_t min, uint64_t max, uint64_t *ret_count)
{
	uint64_t count;
	if (!read_digits(&text, &count) || *text || count < min || count > max)
		return false;
	*ret_count = count;
	return true;
}

bool pj__read_size(const char *text, uint64_t *ret_bytes)
{
	static const char units[] = "KMGT";
	uint64_t number;
	if (!read_digits(&text, &number) || !number)
		return false;
	unsigned shift = 0;
	if (*text) {
		const char upper = *text >= 'a' && *text <= 'z' ? (char)(*text - 'a' + 'A') : *text;
		const char *const unit = strchr(units, upper);
		if (!unit || text[1])
			return false;
		shift = 10 * (unsigned)(unit - units + 1);
	}
	/* file offsets are signed: nothing has a larger size */
	if (number > (uint64_t)INT64_MAX >> shift)
		return false;
	*ret_bytes = number << shift;
	return true;
}

bool pj__read_memory(const char *text, uint64_t *ret_bytes)
{
	const uint64_t most = UINT64_C(1) << 62;
	const char *end = text;
	uint64_t bytes;
	if (read_digits(&end, &bytes) && !strcmp(end, "%")) {
		if (!bytes || bytes > 100)
			return false;
		const uint64_t available = pj_memory_available(), known = available < most ? available : most;
		bytes = known / 100 * bytes + known % 100 * bytes / 100;
		*ret_bytes = bytes ? bytes : 1;
		return true;
	}
	if (!pj__read_size(text, &bytes) || bytes > most)
		return false;
	*ret_bytes = bytes;
	return true;
}

bool pj__read_seconds(const char *text, unsigned *ret_ms)
{
	uint64_t whole = 0, ms = 0;
	const bool digits = *text >= '0' && *text <= '9';
	if (digits && !read_digits(&text, &whole))
		return false;
	if (*text == '.') {
		text++;
		const char *const start = text;
		for (uint64_t weight = 100; *text >= '0' && *text <= '9'; text++, weight /= 10)
			ms += weight * (uint64_t)(*text - '0');
		if (text == start && !digits)
			return false;
		/* a time above 0 that rounds to 0 would mean "never" */
		if (!whole && !ms && strspn(start, "0") < (size_t)(text - start))
			ms = 1;
	} else if (!digits) {
		return false;
	}
	if (*text || whole > (INT32_MAX - ms) / 1000)
		return false;
	*ret_ms = (unsigned)(whole * 1000 + ms);
	return true;
}

bool pj__read_workers(const char *text, unsigned *ret_workers)
{
	uint64_t number;
	if (!read_digits(&text, &number) || !number || number > PJ_WORKERS_MAX)
		return false;
	if (*text == 'x' && !text[1]) {
		number *= pj_processors();
		if (number > PJ_WORKERS_MAX)
			return false;
	} else if (*text) {
		return false;
	}
	*ret_workers = (unsigned)number;
	return true;
}

int pj__word_index(const char *word, const char *words)
{
	const size_t len = strlen(word);
	for (int index = 0; *words; index++) {
		const size_t next = strcspn(words, " ");
		if (next == len && !memcmp(word, words, len))
			return index;
		words += next;
		words += strspn(words, " ");
	}
	return -1;
}

/* ------------------------------------------------------------------------------------------------ values of options */

enum pj__completes pj__completes(const struct pj__option *option)
{
	return option->type == PJ__PATH     ? PJ__COMPLETES_FILE
	       : option->type == PJ__FOLDER ? PJ__COMPLETES_FOLDER
					    : PJ__COMPLETES_NOTHING;
}

static bool take_word(const struct pj__option *option, unsigned *field, const char *value)
{
	const int index = pj__word_index(value, option->choices);
	if (index >= 0)
		*field = (unsigned)option->least + (unsigned)index;
	return index >= 0;
}

static bool take_unsigned(const struct pj__option *option, unsigned *field, const char *value)
{
	uint64_t count;
	if (!pj__read_count(value, option->least, option->most, &count))
		return false;
	*field = (unsigned)count;
	return true;
}

bool pj__value_take(const struct pj__option *option, struct pj__settings *settings, const char *value)
{
	void *const field = (char *)settings + option->at;
	switch (option->type) {
	case PJ__FLAG:
		return *(bool *)field = true;
	case PJ__PATH:
	case PJ__FOLDER:
	case PJ__NAME:
		*(const char **)field = value;
		return *value != 0;
	case PJ__WORD:
		return take_word(option, field, value);
	case PJ__COUNT:
		return pj__read_count(value, option->least, option->most, field);
	case PJ__UNSIGNED:
		return take_unsigned(option, field, value);
	case PJ__SIZE:
		return pj__read_size(value, field);
	case PJ__MEMORY:
		return pj__read_memory(value, field);
	case PJ__SECONDS:
		return pj__read_seconds(value, field);
	case PJ__WORKERS:
		return pj__read_workers(value, field);
	case PJ__ACTION:
		*(unsigned *)field = (unsigned)(*value ? option->most : option->least);
		return true;
	}
	return false;
}

uint64_t pj__value_number(const struct pj__option *option, const void *field)
{
	switch (option->type) {
	case PJ__FLAG:
		return *(const bool *)field;
	case PJ__COUNT:
	case PJ__SIZE:
	case PJ__MEMORY:
		return *(const uint64_t *)field;
	default:
		return *(const unsigned *)field;
	}
}

bool pj__value_print(const struct pj__option *option, uint64_t number, char *text, size_t size)
{
	const bool is_size = option->type == PJ__SIZE, is_time = option->type == PJ__SECONDS;
	unsigned unit = 0;
	for (; is_size && unit < 4 && number % 1024 == 0; unit++)
		number /= 1024;
	if (is_time)
		snprintf(text, size, "%.15g", (double)number / 1000);
	else
		snprintf(text, size, "%llu%.1s", (unsigned long long)number, &"\0KMGT"[unit]);
	return is_size || is_time || option->type == PJ__COUNT || option->type == PJ__UNSIGNED;
}

const char *pj__value_good(const struct pj__option *option, char *text, size_t size)
{
	static const char *const good[] = {
		[PJ__PATH] = "a path",
		[PJ__FOLDER] = "a folder",
		[PJ__NAME] = "a name",
		[PJ__SIZE] = "a number of bytes, or with K, M, G or T, powers of 1024: 512K, 16M",
		[PJ__MEMORY] = "a number of bytes, with K, M, G or T: 512M, 4G; or a share of what is available: 50%",
		[PJ__SECONDS] = "seconds, such as 600 or 0.5; 0: never",
		[PJ__WORKERS] = "a number from 1 to 1024, or 2x for twice the processors",
		[PJ__ACTION] = NULL,
	};
	if (option->good || (!option->choices && good[option->type]))
		return option->good ? option->good : good[option->type];
	if (option->choices)
		snprintf(text, size, "one of: %s", option->choices);
	else
		snprintf(text, size, "a number from %llu to %llu", (unsigned long long)option->least,
			 (unsigned long long)option->most);
	return text;
}

/* ------------------------------------------------------------------------------------------------ the nearest name */

enum { NAME_MAX_BYTES = 63 };

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/*
 * Letters to change, add, leave out or swap with their neighbour to make `b` of `a` (Damerau, "A technique for computer
 * detection and correction of spelling errors", 1964, in the restricted form). Three rows of the table are kept.
 */
static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned rows[3][NAME_MAX_BYTES + 1];
	unsigned *two_before = rows[0], *before = rows[1], *row = rows[2];
	for (size_t j = 0; j <= b_len; j++)
		before[j] = (unsigned)j;
	for (size_t i = 1; i <= a_len; i++) {
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b_len; j++) {
			row[j] = least(before[j] + 1, row[j - 1] + 1);
			row[j] = least(row[j], before[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least(row[j], two_before[j - 2] + 1);
		}
		unsigned *const oldest = two_before;
		two_before = before;
		before = row;
		row = oldest;
	}
	return before[b_len];
}

const char *pj_nearest(const char *word, const char *const *names, size_t count)
{
	const size_t word_len = strlen(word);
	if (!word_len || word_len > NAME_MAX_BYTES)
		return NULL;
	const char *nearest = NULL;
	unsigned nearest_distance = ~0u;
	for (size_t i = 0; i < count; i++) {
		const size_t len = strlen(names[i]);
		if (len > NAME_MAX_BYTES)
			continue;
		const bool begun = word_len >= 2 && len > word_len && !memcmp(names[i], word, word_len);
		const unsigned d = begun ? 1 : distance(word, word_len, names[i], len);
		const size_t longer = len > word_len ? len : word_len;
		/* a third of the letters may be wrong, one always, or hardly anything is left of the name */
		if (d > (longer + 2) / 3 || d >= longer)
			continue;
		if (d < nearest_distance) {
			nearest_distance = d;
			nearest = names[i];
		}
	}
	return nearest;
}
