/*
 * fields.c: see fields.h.
 */
#include "streaming/fields.h"

#include "streaming/java.h"

static bool is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

static bool take_number(const char **at, uint32_t *ret_number)
{
	if (!is_digit(**at))
		return false;
	uint32_t number = 0;
	for (; is_digit(**at); ++*at) {
		if (number > (UINT32_MAX - 9) / 10)
			return false;
		number = number * 10 + (uint32_t)(**at - '0');
	}
	*ret_number = number;
	return true;
}

/* F[.C] and the letters after it. */
static bool take_place(const char **at, uint32_t *ret_field, uint32_t *ret_char, pj__field *flags)
{
	if (!take_number(at, ret_field))
		return false;
	if (**at == '.') {
		++*at;
		if (!take_number(at, ret_char))
			return false;
	}
	for (; **at == 'n' || **at == 'r'; ++*at)
		*(**at == 'n' ? &flags->numeric : &flags->reverse) = true;
	return true;
}

/* "2.1nr,3" */
static bool parse_one(const char *text, pj__field *ret_field)
{
	pj__field field = {.begin_char = 1};
	if (!take_place(&text, &field.begin_field, &field.begin_char, &field))
		return false;
	if (*text == ',') {
		text++;
		if (!take_place(&text, &field.end_field, &field.end_char, &field))
			return false;
	}
	*ret_field = field;
	return !*text && field.begin_field > 0 && field.begin_char > 0;
}

static pj_status wrong(const char *text, pj_error *error)
{
	pj__fail(error, PJ_ERR_USAGE, 0, NULL,
		 "Invalid -k argument. Must be of the form "
		 "-k pos1,[pos2], where pos is of the form f[.c]nr");
	pj__error_reason(error, "%s", text);
	return PJ_ERR_USAGE;
}

/* The next word between blanks, to `word`. False: there is none. */
static bool next_word(const char **at, char *word, size_t size)
{
	*at += strspn(*at, " \t\n\r\f");
	const size_t len = strcspn(*at, " \t\n\r\f");
	const size_t kept = len < size ? len : size - 1;
	memcpy(word, *at, kept);
	word[kept] = 0;
	*at += len;
	return len > 0;
}

pj_status pj__fields_parse(pj__fields *fields, const char *options, char separator, pj_error *error)
{
	pj__fields parsed = {.separator = separator};
	bool numeric = false, reverse = false, given = false;
	char word[64];
	for (const char *at = options; next_word(&at, word, sizeof word);) {
		given = true;
		if (!strcmp(word, "-n") || !strcmp(word, "-r") || !strcmp(word, "-nr")) {
			numeric |= word[1] == 'n';
			reverse |= strchr(word, 'r') != NULL;
		} else if (!strncmp(word, "-k", 2)) {
			const bool alone = !word[2];
			if (alone && !next_word(&at, word, sizeof word))
				return wrong(options, error);
			if (parsed.count == PJ__FIELDS_MAX ||
			    !parse_one(alone ? word : word + 2, &parsed.at[parsed.count]))
				return wrong(options, error);
			parsed.count++;
		}
	}
	if (given && !parsed.count)
		parsed.at[parsed.count++] = (pj__field){.begin_field = 1, .begin_char = 1};
	for (size_t i = 0; i < parsed.count; i++)
		if (!parsed.at[i].numeric && !parsed.at[i].reverse) {
			parsed.at[i].numeric = numeric;
			parsed.at[i].reverse = reverse;
		}
	*fields = parsed;
	return PJ_OK;
}

/* The index-th field of a key, from 1; false: it has fewer. */
static bool find_field(char separator, pj_bytes key, uint32_t index, pj_bytes *ret_field)
{
	const char *at = key.ptr, *const end = key.ptr + key.len;
	for (;;) {
		const char *const hit = at < end ? memchr(at, separator, (size_t)(end - at)) : NULL;
		if (--index == 0) {
			*ret_field = (pj_bytes){at, (size_t)((hit ? hit : end) - at)};
			return true;
		}
		if (!hit)
			return false;
		at = hit + 1;
	}
}

bool pj__field_of(const pj__field *field, char separator, pj_bytes key, pj_bytes *ret_part)
{
	pj_bytes first, last;
	if (!key.len || !find_field(separator, key, field->begin_field, &first))
		return false;
	const size_t start = (size_t)(first.ptr - key.ptr) + field->begin_char - 1;
	if (start >= key.len)
		return false;
	size_t end = key.len;
	if (field->end_field && find_field(separator, key, field->end_field, &last)) {
		end = (size_t)(last.ptr - key.ptr) + (field->end_char ? field->end_char : last.len);
		end = end < key.len ? end : key.len;
	}
	*ret_part = (pj_bytes){key.ptr + start, end > start ? end - start : 0};
	return true;
}

/* The hash of a key that is UTF-8. */
static uint32_t hash_clean(const pj__fields *fields, pj_bytes key)
{
	uint32_t hash = 0;
	for (size_t i = 0; i < fields->count; i++) {
		pj_bytes part;
		if (pj__field_of(&fields->at[i], fields->separator, key, &part))
			hash = pj__java_hash_bytes(part, hash);
	}
	return hash;
}

uint32_t pj__fields_hash(const pj__fields *fields, pj_bytes key)
{
	if (!fields->count)
		return pj__java_hash_string(key);
	if (pj__java_is_clean(key))
		return hash_clean(fields, key);
	pj_text clean = {0};
	pj__java_clean(key, &clean);
	const uint32_t hash = hash_clean(fields, pj__text_all(&clean));
	pj__text_fini(&clean);
	return hash;
}

/* A number as the comparator reads it: an optional '-', digits without leading zeros, and those of the fraction. */
struct number {
	bool minus;
	pj_bytes whole, fraction;
};

static pj_bytes take_digits(pj_bytes *rest)
{
	size_t len = 0;
	while (len < rest->len && is_digit(rest->ptr[len]))
		len++;
	const pj_bytes digits = {rest->ptr, len};
	*rest = (pj_bytes){rest->ptr + len, rest->len - len};
	return digits;
}

static struct number read_number(pj_bytes text)
{
	struct number number = {.minus = text.len && text.ptr[0] == '-'};
	text = (pj_bytes){text.ptr + number.minus, text.len - number.minus};
	while (text.len && text.ptr[0] == '0')
		text = (pj_bytes){text.ptr + 1, text.len - 1};
	number.whole = take_digits(&text);
	if (text.len && text.ptr[0] == '.') {
		text = (pj_bytes){text.ptr + 1, text.len - 1};
		number.fraction = take_digits(&text);
		while (number.fraction.len && number.fraction.ptr[number.fraction.len - 1] == '0')
			number.fraction.len--;
	}
	return number;
}

static int compare_numbers(pj_bytes a, pj_bytes b)
{
	const struct number x = read_number(a), y = read_number(b);
	int order = (x.whole.len > y.whole.len) - (x.whole.len < y.whole.len);
	if (!order)
		order = pj_bytes_compare(x.whole, y.whole);
	if (!order)
		order = pj_bytes_compare(x.fraction, y.fraction);
	const bool x_is_zero = !x.whole.len && !x.fraction.len, y_is_zero = !y.whole.len && !y.fraction.len;
	if (x_is_zero && y_is_zero)
		return 0;
	if (x.minus != y.minus)
		return x.minus ? -1 : 1;
	return x.minus ? -order : order;
}

int pj__fields_compare(const pj__fields *fields, pj_bytes a, pj_bytes b)
{
	for (size_t i = 0; i < fields->count; i++) {
		const pj__field *const field = &fields->at[i];
		pj_bytes x, y;
		const bool has_x = pj__field_of(field, fields->separator, a, &x);
		const bool has_y = pj__field_of(field, fields->separator, b, &y);
		int order = (int)has_x - (int)has_y;
		if (has_x && has_y)
			order = field->numeric ? compare_numbers(x, y) : pj_bytes_compare(x, y);
		if (order)
			return field->reverse ? -order : order;
	}
	return fields->count ? 0 : pj_bytes_compare(a, b);
}
