/*
 * task.c: see task.h (the inside) and papjuice/task.h (the face).
 */
#include "base/task.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/number.h"
#include "base/text.h"
#include "base/verify.h"

#define ONES_8 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff
const unsigned char pj_key_mask[64] __attribute__((aligned(64))) = {ONES_8, ONES_8, ONES_8, ONES_8};

static int no_more(pj_task *face, const char *from)
{
	(void)face;
	(void)from;
	return 0;
}

static int no_more_pairs(pj_task *face, pj_bytes rest, char separator)
{
	(void)face;
	(void)rest;
	(void)separator;
	return 0;
}

void *pj__task_holder(size_t bytes)
{
	const size_t alignment = _Alignof(pj__task), rounded = (bytes + alignment - 1) / alignment * alignment;
	void *holder = aligned_alloc(alignment, rounded);
	return holder ? memset(holder, 0, rounded) : NULL;
}

void pj__task_init(pj__task *task, pj_number number)
{
	memset(task, 0, sizeof *task);
	task->face.next_slot = task->slots;
	task->face.end_slot = task->slots + PJ__BATCH;
	task->face.number = number;
	task->face.more_words = no_more;
	task->face.more_lines = no_more;
	task->face.more_pairs = no_more_pairs;
	task->progress = task->reached = &task->nobody_watches;
	task->file = task->part_of.file = "";
}

void pj__task_fini(pj__task *task)
{
	free(task->tally);
	task->tally = NULL;
	free(task->long_scratch);
	task->long_scratch = NULL;
	task->long_scratch_bytes = 0;
}

void pj__task_set_text(pj__task *task, pj_bytes text, const char *file, uint64_t file_offset)
{
	pj_task *face = &task->face;
	/* Borders are 32 bits wide: a text that is too long for them is read by the plain loops. */
	face->text = text.ptr;
	face->text_len = text.len < UINT32_MAX - 2 * PJ__WINDOW_BYTES ? text.len : 0;
	face->readable = text.ptr;
	face->readable_len = text.len + PJ_TEXT_PADDING - 32;
	face->word = face->word_end = face->line = face->line_end = NULL;
	face->word_taken = face->line_taken = NULL;
	face->cut = face->cut_end = NULL;
	task->words.next = task->lines.next = task->words.open = NULL;
	task->file = file;
	task->file_offset = file_offset;
	task->first_line = 0;
}

void pj__task_failed(pj__task *task, pj_status status, const pj_error *error)
{
	if (task->status)
		return;
	task->status = status;
	if (error)
		task->error = *error;
	else
		pj__fail(&task->error, status, 0, NULL, "%s", pj_status_text(status));
}

void pj_emit(pj_task *face, pj_bytes key, pj_bytes value)
{
	pj__task *task = (pj__task *)face;
	pj__task_flush(task); /* pairs stay in the order in which they were emitted */
	task->target->pair(task, key, value);
}

/* Puts the value together, for a target that wants it whole. */
static void emit_whole(pj__task *task, pj_bytes key, pj_next_piece *next, void *arg)
{
	pj_text value = {0};
	pj_error error;
	pj__text_pieces(&value, next, arg);
	if (value.failed)
		pj__task_failed(task, pj__no_memory(&error, value.capacity * 2), &error);
	if (!task->status)
		task->target->pair(task, key, pj__text_all(&value));
	pj__text_fini(&value);
}

void pj_emit_pieces(pj_task *face, pj_bytes key, pj_next_piece *next, void *arg)
{
	pj__task *task = (pj__task *)face;
	pj__task_flush(task);
	(task->target->pieces ? task->target->pieces : emit_whole)(task, key, next, arg);
}

static pj_bytes number_text(char *to, uint64_t value, pj_number number)
{
	double real;
	memcpy(&real, &value, sizeof real);
	return (pj_bytes){to, number == PJ_NUMBER_I64 ? pj__format_i64(to, (int64_t)value) : pj__format_f64(to, real)};
}

void pj_emit_converted(pj_task *face, pj_bytes key, uint64_t value, pj_number number)
{
	char text[PJ__F64_CHARS];
	pj_emit(face, key, number_text(text, value, number));
}

/* The batch of a task whose values are text (no reducer over numbers). */
static void batch_as_text(pj_task *face)
{
	pj__task *task = (pj__task *)face;
	const size_t count = pj__task_batch(task);
	pj__task_empty_batch(task);
	for (size_t i = 0; i < count; i++) {
		const pj_slot *slot = &task->slots[i];
		char text[PJ__F64_CHARS];
		task->target->pair(task, pj__slot_key(slot), number_text(text, slot->value, (pj_number)face->number));
	}
}

static void number_as_text(pj_task *face, pj_bytes key, uint64_t value)
{
	pj_emit_converted(face, key, value, (pj_number)face->number);
}

void pj__task_attach(pj__task *task, const pj__target *target, void *taker)
{
	PJ_VERIFY(task->face.next_slot == task->slots); /* what the last target has not got would go to this one */
	PJ_VERIFY(!target->batch == !target->number);
	task->target = target;
	task->taker = taker;
	task->face.batch_full = target->batch ? target->batch : batch_as_text;
	task->face.emit_long = target->number ? target->number : number_as_text;
}

static bool is_in_text(const pj__task *task, const char *at)
{
	const char *text = task->face.readable;
	if (!at || !text)
		return false;
	return (uintptr_t)(at - text) <= task->face.readable_len - (PJ_TEXT_PADDING - 32);
}

pj_place pj_task_place(const pj_task *face, const char *at)
{
	const pj__task *task = (const pj__task *)face;
	if (!is_in_text(task, at))
		return (pj_place){"", 0, 0};
	return (pj_place){task->file, task->file_offset + (uint64_t)(at - face->readable), task->input};
}

void pj__task_set_line(pj__task *task, uint64_t number)
{
	task->first_line = task->line_number = number;
	task->line_at = task->face.readable;
}

uint64_t pj_task_line(pj_task *face, const char *at)
{
	pj__task *task = (pj__task *)face;
	if (!task->first_line || !is_in_text(task, at))
		return 0;
	if (at < task->line_at)
		pj__task_set_line(task, task->first_line);
	task->line_number += task->count_newlines(task->line_at, at);
	task->line_at = at;
	return task->line_number;
}

const char *pj_task_input(const pj_task *face, uint64_t number)
{
	const pj__task *task = (const pj__task *)face;
	return task->input_name ? task->input_name(task->inputs, number) : NULL;
}

pj_bytes pj_task_params(const pj_task *face)
{
	return ((const pj__task *)face)->params;
}

uint64_t pj_task_index(const pj_task *face)
{
	return ((const pj__task *)face)->index;
}

pj__tally *pj__task_tally(pj__task *task)
{
	pj_error error;
	if (!task->tally)
		task->tally = calloc(1, sizeof *task->tally);
	if (!task->tally)
		pj__task_failed(task, pj__no_memory(&error, sizeof *task->tally), &error);
	return task->tally;
}

void pj_task_count(pj_task *face, pj_bytes group, pj_bytes name, int64_t amount)
{
	pj__tally *tally = pj__task_tally((pj__task *)face);
	if (tally)
		pj__tally_count(tally, group, name, amount);
}

pj_status pj_task_fail(pj_task *face, pj_status status, const char *at, const char *format, ...)
{
	pj__task *task = (pj__task *)face;
	/* a number that is no status: a leader believes only what it knows */
	if (!status || strcmp(pj_status_name(status), "?") == 0)
		status = PJ_ERR_USER;
	pj_error error;
	const bool known = is_in_text(task, at);
	pj__fail(&error, status, 0, known ? task->file : NULL, "%s",
		 status == PJ_ERR_RECORD ? "bad record" : "the user's code failed");
	if (known)
		error.offset = (int64_t)(task->file_offset + (uint64_t)(at - face->readable));
	va_list args;
	va_start(args, format);
	vsnprintf(error.reason, sizeof error.reason, format, args);
	va_end(args);
	pj__task_failed(task, status, &error);
	return status;
}

/* Room for a transformed key; NULL: none, and the task has failed. */
static char *scratch_room(pj__task *task, size_t len)
{
	if (len <= sizeof task->face.scratch / 2)
		return task->face.scratch;
	if (len > task->long_scratch_bytes) {
		free(task->long_scratch); /* the text does not lie in it: it is too long */
		task->long_scratch = malloc(len * 2);
		task->long_scratch_bytes = task->long_scratch ? len * 2 : 0;
		if (!task->long_scratch) {
			pj_error error;
			pj__task_failed(task, pj__no_memory(&error, len * 2), &error);
		}
	}
	return task->long_scratch;
}

pj_bytes pj_change_case(pj_task *face, pj_bytes text, int to_lower)
{
	char *const to = scratch_room((pj__task *)face, text.len);
	if (!to)
		return (pj_bytes){NULL, 0};
	for (size_t i = 0; i < text.len; i++) {
		const unsigned char byte = (unsigned char)text.ptr[i];
		const int turn = to_lower ? pj_is_upper(byte) : pj_is_lower(byte);
		to[i] = (char)(turn ? byte ^ 0x20 : byte);
	}
	return (pj_bytes){to, text.len};
}

int pj_parse_i64(pj_bytes text, int64_t *ret_value)
{
	return pj__parse_i64(text, ret_value);
}

int pj_parse_f64(pj_bytes text, double *ret_value)
{
	return pj__parse_f64(text, ret_value);
}

int pj_next_value(pj_values *values, pj_bytes *ret_value)
{
	return values->next(values, ret_value);
}

pj_bytes pj_value_key(const pj_values *values)
{
	return values->key(values);
}

/* A value that should be a number and is not. Always 0. */
static int not_a_number(pj_values *values, pj_bytes value, const char *kind)
{
	pj_task_fail(&values->task->face, PJ_ERR_RECORD, NULL, "the value \"%.*s\" is not %s",
		     value.len < 100 ? (int)value.len : 100, value.len ? value.ptr : "", kind);
	return 0;
}

int pj_next_i64(pj_values *values, int64_t *ret_value)
{
	pj_bytes value;
	if (!values->next(values, &value))
		return 0;
	return pj__parse_i64(value, ret_value) ? 1 : not_a_number(values, value, "an integer of 64 bits");
}

int pj_next_f64(pj_values *values, double *ret_value)
{
	pj_bytes value;
	if (!values->next(values, &value))
		return 0;
	return pj__parse_f64(value, ret_value) ? 1 : not_a_number(values, value, "a number");
}
