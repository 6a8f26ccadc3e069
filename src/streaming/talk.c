/*
 * talk.c: see talk.h.
 */
#include "streaming/talk.h"

#include <endian.h>

#include "streaming/lines.h"

/* ---------------------------------------------------------------------------------------------------------- records */

static pj_status hand_on(const pj__records *records, const pj_task *task, pj_bytes line,
			 pj_status (*each)(void *arg, pj_task *task, const pj__record *record), void *arg)
{
	pj__record record = {.value = line};
	if (line.len >= records->longest)
		return PJ_OK;
	if (records->format == PJ__KEY_VALUE_INPUT) {
		pj__cut_line(line, (pj_bytes){&records->separator, 1}, 1, &record.key, &record.value);
	} else {
		record.has_offset = true;
	}
	return each(arg, (pj_task *)task, &record);
}

/* The line without the mark that begins a file of UTF-8. */
static pj_bytes without_mark(const pj_task *task, pj_bytes line)
{
	static const char mark[] = "\xef\xbb\xbf";
	const size_t len = sizeof mark - 1;
	if (line.len >= len && !memcmp(line.ptr, mark, len) && pj_task_place(task, line.ptr).offset == 0)
		return (pj_bytes){line.ptr + len, line.len - len};
	return line;
}

pj_status pj__records_each(const pj__records *records, const pj_task *task, pj_bytes line,
			   pj_status (*each)(void *arg, pj_task *task, const pj__record *record), void *arg)
{
	pj_bytes rest = without_mark(task, line), piece;
	if (!rest.len || !memchr(rest.ptr, '\r', rest.len))
		return hand_on(records, task, rest, each, arg);
	pj_status status = PJ_OK;
	while (!status && pj__next_line_of(&rest, true, &piece))
		status = hand_on(records, task, piece, each, arg);
	return status;
}

/* --------------------------------------------------------------------------------------------- what a program reads */

/* What a key or value is in Java. */
enum item { TEXT, BYTES, TYPED, NOTHING };

static enum item item_of(pj__form form)
{
	return form == PJ__FORM_RAW ? BYTES : form == PJ__FORM_TYPED ? TYPED : TEXT;
}

static void put_text(enum item item, pj_bytes bytes, pj_text *to)
{
	pj_text_bytes(to, item == NOTHING ? pj_bytes_of("(null)") : bytes);
}

/* WritableUtils.writeVInt, for numbers that are not negative. */
static void put_variable(uint32_t value, pj_text *to)
{
	if (value < 128) {
		pj__text_byte(to, (char)value);
		return;
	}
	int bytes = 1;
	while (bytes < 4 && value >> (8 * bytes))
		bytes++;
	pj__text_byte(to, (char)(-112 - bytes));
	while (bytes--)
		pj__text_byte(to, (char)(value >> (8 * bytes)));
}

/* A value of another type than bytes is written in its Java form, after its length. */
static void put_raw(enum item item, pj_bytes bytes, pj_text *to)
{
	if (item != TEXT) {
		pj__raw_put(item == NOTHING ? pj_bytes_of("") : bytes, to);
		return;
	}
	pj_text whole = {0};
	put_variable((uint32_t)bytes.len, &whole);
	pj_text_bytes(&whole, bytes);
	to->failed |= whole.failed;
	pj__raw_put(pj__text_all(&whole), to);
	pj__text_fini(&whole);
}

static void put_typed(enum item item, pj_bytes bytes, pj_text *to)
{
	if (item == NOTHING)
		pj__typed_put_null(to);
	else if (item == TYPED)
		pj_text_bytes(to, bytes);
	else
		pj__typed_put(bytes, item == TEXT ? 7 : 0, to);
}

static void put_pair(const pj__talk *talk, enum item key_item, pj_bytes key, enum item value_item, pj_bytes value,
		     pj_text *to)
{
	if (talk->in == PJ__FORM_RAW) {
		put_raw(key_item, key, to);
		put_raw(value_item, value, to);
	} else if (talk->in == PJ__FORM_TYPED) {
		put_typed(key_item, key, to);
		put_typed(value_item, value, to);
	} else {
		put_text(key_item, key, to);
		if (talk->in == PJ__FORM_TEXT) {
			pj_text_bytes(to, talk->in_separator);
			put_text(value_item, value, to);
		}
		pj__text_byte(to, '\n');
	}
}

/* The offset of a line, which is a LongWritable. */
static void put_offset(const pj__talk *talk, uint64_t offset, pj_text *to)
{
	const uint64_t big = htobe64(offset);
	if (talk->in == PJ__FORM_RAW)
		pj__raw_put((pj_bytes){(const char *)&big, sizeof big}, to);
	else if (talk->in == PJ__FORM_TYPED)
		pj__typed_put_long((int64_t)offset, to);
	else
		pj_text_i64(to, (int64_t)offset);
}

static pj_status write_record(void *arg, pj_task *task, const pj__record *record)
{
	const pj__talk *const talk = arg;
	pj_text *const to = talk->to;
	(void)task;
	if (talk->ignores_key && (talk->in == PJ__FORM_RAW || talk->in == PJ__FORM_TYPED)) {
		(talk->in == PJ__FORM_RAW ? put_raw : put_typed)(TEXT, record->value, to);
		return PJ_OK;
	}
	if (talk->ignores_key) {
		pj_text_bytes(to, talk->in == PJ__FORM_TEXT ? record->value : pj_bytes_of(""));
		if (talk->in == PJ__FORM_TEXT)
			pj__text_byte(to, '\n');
		return PJ_OK;
	}
	if (!record->has_offset) {
		put_pair(talk, TEXT, record->key, TEXT, record->value, to);
		return PJ_OK;
	}
	put_offset(talk, pj__record_offset(task, record), to);
	if (talk->in == PJ__FORM_RAW) {
		put_raw(TEXT, record->value, to);
	} else if (talk->in == PJ__FORM_TYPED) {
		put_typed(TEXT, record->value, to);
	} else {
		if (talk->in == PJ__FORM_TEXT) {
			pj_text_bytes(to, talk->in_separator);
			pj_text_bytes(to, record->value);
		}
		pj__text_byte(to, '\n');
	}
	return PJ_OK;
}

pj_status pj__talk_write_line(void *arg, pj_task *task, pj_bytes key, pj_bytes line, pj_text *to)
{
	pj__talk *const talk = arg;
	(void)key;
	talk->to = to;
	return pj__records_each(talk->records, task, line, write_record, talk);
}

pj_status pj__talk_write_pair(void *arg, pj_task *task, pj_bytes key, pj_bytes value, pj_text *to)
{
	pj__talk *const talk = arg;
	const enum item item = item_of(talk->pairs);
	(void)task;
	put_pair(talk, item, key, talk->pairs == PJ__FORM_KEY_ONLY ? NOTHING : item, value, to);
	return PJ_OK;
}

/* -------------------------------------------------------------------------------------------- what a program writes */

static void show(pj__form form, pj_bytes bytes, pj_text *to)
{
	if (form == PJ__FORM_RAW)
		pj__raw_show(bytes, to);
	else if (form == PJ__FORM_TYPED)
		pj__typed_show(bytes, to);
	else
		pj_text_bytes(to, bytes);
}

void pj__talk_emit(pj__talk *talk, pj_task *task, pj_bytes key, pj_bytes value)
{
	if (!talk->is_final) {
		pj_emit(task, key, value);
		return;
	}
	pj_text *const line = &talk->line;
	pj__text_reset(line);
	show(talk->out, key, line);
	if (talk->out != PJ__FORM_KEY_ONLY) {
		pj_text_bytes(line, talk->final_separator);
		show(talk->out, value, line);
	}
	if (line->failed)
		(void)pj_task_fail(task, PJ_ERR_MEMORY, NULL, "a line of the output does not fit in memory");
	else
		pj_emit(task, pj__text_all(line), (pj_bytes){"", 0});
}

void pj__talk_emit_line(pj__talk *talk, pj_task *task, pj_bytes line)
{
	pj_bytes key, value;
	if (talk->out == PJ__FORM_KEY_ONLY) {
		pj__talk_emit(talk, task, line, (pj_bytes){"", 0});
		return;
	}
	pj__cut_line(line, talk->out_separator, talk->key_fields, &key, &value);
	/* cut and put together again by the same separator, a line is what it was */
	if (talk->is_final && key.len < line.len && pj_bytes_equal(talk->out_separator, talk->final_separator))
		pj_emit(task, line, (pj_bytes){"", 0});
	else
		pj__talk_emit(talk, task, key, value);
}

static pj_status no_records(pj_task *task, const char *what)
{
	return pj_task_fail(task, PJ_ERR_USER, NULL, "a program's output is %s", what);
}

/* Keys and values with types or lengths. */
static pj_status read_items(pj__talk *talk, pj_task *task, pj_bytes bytes, bool is_end, size_t *ret_used)
{
	const bool raw = talk->out == PJ__FORM_RAW;
	pj_bytes rest = bytes, key, value;
	for (;;) {
		pj__found found = raw ? pj__raw_take(&rest, &key) : pj__typed_take(&rest, &key);
		if (found == PJ__FOUND)
			found = raw ? pj__raw_take(&rest, &value) : pj__typed_take(&rest, &value);
		if (found == PJ__FOUND_NOTHING_SUCH)
			return no_records(task, raw ? "no rawbytes" : "no typedbytes");
		if (found == PJ__FOUND_PART)
			break;
		pj__talk_emit(talk, task, key, value);
		*ret_used = bytes.len - rest.len;
	}
	return is_end && *ret_used < bytes.len ? no_records(task, "cut off in the middle of a record") : PJ_OK;
}

pj_status pj__talk_read(void *arg, pj_task *task, pj_bytes bytes, bool is_end, size_t *ret_used)
{
	pj__talk *const talk = arg;
	if (talk->out == PJ__FORM_RAW || talk->out == PJ__FORM_TYPED)
		return read_items(talk, task, bytes, is_end, ret_used);
	pj_bytes rest = bytes, line;
	while (pj__next_line_of(&rest, is_end, &line))
		pj__talk_emit_line(talk, task, line);
	*ret_used = bytes.len - rest.len;
	return PJ_OK;
}

void pj__talk_fini(pj__talk *talk)
{
	pj__text_fini(&talk->line);
}
