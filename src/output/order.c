/*
 * order.c: see order.h.
 *
 * By value: the largest number first, ties by key. A number is an integer of 64 bits or a double; both are compared as
 * long double, which holds every integer of 64 bits exactly where we run. The merge is a heap of cursors, one for each
 * part; with a limit each part brings at most that many records, so a short list is merged in no time.
 */
#include "output/order.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/grow.h"
#include "base/io.h"
#include "base/number.h"

_Static_assert(LDBL_MANT_DIG >= 64, "a long double must hold every integer of 64 bits");

enum { CURSOR_LEAST = 4 << 10, CURSOR_MOST = 256 << 10, POUR_BYTES = 256 << 10 };

/* A record and what decides its place. */
struct ranked {
	long double number; /* -inf of a value that is no number, which `is_number` tells from a real one */
	bool is_number;
	pj_bytes key, value;
};

static struct ranked rank(pj_bytes key, pj_bytes value, pj_order order)
{
	struct ranked ranked = {.number = -INFINITY, .key = key, .value = value};
	int64_t integer;
	double real;
	if (order == PJ_BY_KEY)
		return ranked;
	if (pj__parse_i64(value, &integer)) {
		ranked.number = (long double)integer;
		ranked.is_number = true;
	} else if (pj__parse_f64(value, &real) && !isnan(real)) {
		ranked.number = (long double)real;
		ranked.is_number = true;
	}
	return ranked;
}

/* Negative: a comes first. By key order the parts are in order as they stand: only their sequence decides. */
static int compare(const struct ranked *a, const struct ranked *b, pj_order order)
{
	if (order == PJ_BY_KEY)
		return 0;
	if (a->is_number != b->is_number)
		return b->is_number - a->is_number;
	if (a->number != b->number)
		return a->number > b->number ? -1 : 1;
	return pj_bytes_compare(a->key, b->key);
}

static int by_value(const void *a, const void *b)
{
	return compare(a, b, PJ_BY_VALUE_DOWN);
}

pj_status pj__part_order(pj__part *part, const pj_output *output, pj_error *error)
{
	const char *at = part->bytes.data, *end = at + part->bytes.len;
	if (part->bytes.failed)
		return pj__no_memory(error, part->bytes.capacity * 2);
	size_t count = 0, room = 0;
	struct ranked *all = NULL;
	pj_bytes key, value;
	while (at < end) {
		const pj_status status = pj__grow(&all, &room, count + 1, sizeof *all, error);
		if (status) {
			free(all);
			return status;
		}
		at = pj__part_take(at, end, &key, &value);
		all[count++] = rank(key, value, output->order);
	}
	if (output->order == PJ_BY_VALUE_DOWN && count)
		qsort(all, count, sizeof *all, by_value);
	pj__part ordered = {.as_records = true};
	for (size_t i = 0; i < count && (!output->limit || i < output->limit); i++)
		pj__part_add(&ordered, all[i].key, all[i].value);
	free(all);
	pj__text_fini(&part->bytes);
	part->bytes = ordered.bytes;
	part->pairs = ordered.pairs;
	return part->bytes.failed ? pj__no_memory(error, part->bytes.capacity * 2) : PJ_OK;
}

/* ------------------------------------------------------------------------------------------------------- the merge */

struct cursor {
	pj__parked part;
	uint64_t read;
	char *buffer;
	size_t at, held, room, index;
	struct ranked record;
};

/* Steps to the next record. *ret_more = false: there is none. */
static pj_status step(struct cursor *cursor, size_t first_room, pj_order order, bool *ret_more, pj_error *error)
{
	for (;;) {
		pj_bytes key, value;
		const char *start = cursor->buffer + cursor->at;
		const char *next = start ? pj__part_take(start, cursor->buffer + cursor->held, &key, &value) : NULL;
		if (next) {
			cursor->at = (size_t)(next - cursor->buffer);
			cursor->record = rank(key, value, order);
			*ret_more = true;
			return PJ_OK;
		}
		const size_t rest = cursor->held - cursor->at;
		const uint64_t unread = cursor->part.bytes - cursor->read;
		if (!unread) {
			*ret_more = false;
			return rest ? pj__fail(error, PJ_ERR_CORRUPT, 0, NULL, "a parked part is cut off") : PJ_OK;
		}
		if (rest)
			memmove(cursor->buffer, start, rest);
		if (rest > cursor->room / 2 || !cursor->room) {
			const size_t room = cursor->room ? cursor->room * 2 : first_room;
			char *grown = realloc(cursor->buffer, room);
			if (!grown)
				return pj__no_memory(error, room);
			cursor->buffer = grown;
			cursor->room = room;
		}
		const size_t space = cursor->room - rest, want = unread < space ? (size_t)unread : space;
		const pj_status status = pj__pread_exactly(cursor->part.fd, "parked part", cursor->buffer + rest, want,
							   (off_t)(cursor->part.offset + cursor->read), error);
		if (status)
			return status;
		cursor->read += want;
		cursor->at = 0;
		cursor->held = rest + want;
	}
}

static bool comes_first(const struct cursor *a, const struct cursor *b, pj_order order)
{
	const int which = compare(&a->record, &b->record, order);
	return which ? which < 0 : a->index < b->index;
}

static void sink_down(struct cursor **heap, size_t count, size_t at, pj_order order)
{
	for (;;) {
		size_t least = at;
		for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++)
			if (comes_first(heap[child], heap[least], order))
				least = child;
		if (least == at)
			return;
		struct cursor *moved = heap[at];
		heap[at] = heap[least];
		heap[least] = moved;
		at = least;
	}
}

/* Takes records from the heap until there are none, the limit is reached, or they cannot be put away any more. */
static pj_status merge_heap(pj__part *to, struct cursor **heap, size_t count, const pj_output *output,
			    const pj_status *failed, pj_error *error)
{
	pj_status status = PJ_OK;
	while (count && (!output->limit || to->pairs < output->limit) && !status && !*failed) {
		bool more;
		pj__part_add(to, heap[0]->record.key, heap[0]->record.value);
		status = step(heap[0], 0, output->order, &more, error);
		if (!status && !more)
			heap[0] = heap[--count];
		sink_down(heap, count, 0, output->order);
	}
	return status;
}

static pj_status open_cursors(struct cursor *cursors, struct cursor **heap, const pj__parked *parts, size_t *count,
			      size_t room, pj_order order, pj_error *error)
{
	size_t open = 0;
	for (size_t i = 0; i < *count; i++) {
		bool more;
		cursors[i] = (struct cursor){.part = parts[i], .index = i};
		const pj_status status = step(&cursors[i], room, order, &more, error);
		if (status)
			return status;
		if (more)
			heap[open++] = &cursors[i];
	}
	for (size_t i = open / 2; i-- > 0;)
		sink_down(heap, open, i, order);
	*count = open;
	return PJ_OK;
}

pj_status pj__part_merge(pj__part *to, const pj__parked *parts, size_t count, const pj_output *output,
			 size_t memory_bytes, const pj_status *failed, pj_error *error)
{
	struct cursor *cursors = calloc(count + 1, sizeof *cursors), **heap = calloc(count + 1, sizeof *heap);
	size_t open = count, room = memory_bytes / (count + 1);
	room = room < CURSOR_LEAST ? CURSOR_LEAST : room > CURSOR_MOST ? CURSOR_MOST : room;
	pj_status status = cursors && heap ? open_cursors(cursors, heap, parts, &open, room, output->order, error)
					   : pj__no_memory(error, count * sizeof *cursors);
	if (!status)
		status = merge_heap(to, heap, open, output, failed, error);
	for (size_t i = 0; cursors && i < count; i++)
		free(cursors[i].buffer);
	free(cursors);
	free(heap);
	return status;
}

/* A sink that takes what a part puts away. */
struct pouring {
	pj__pour pour;
	pj_status (*stopped)(void *, pj_error *);
	void *arg;
	pj_status status;
	pj_error error;
};

static void pour_some(pj__part *part, void *arg)
{
	struct pouring *pouring = arg;
	if (!pouring->status)
		pouring->status = pj__pour_write(&pouring->pour, part, &pouring->error);
	if (!pouring->status && pouring->stopped)
		pouring->status = pouring->stopped(pouring->arg, &pouring->error);
	pj__text_reset(&part->bytes);
}

pj_status pj__pour_ordered(pj__sink *sink, const pj__parked *parts, size_t count, size_t memory_bytes,
			   pj_status (*stopped)(void *arg, pj_error *error), void *arg, uint64_t *ret_pairs,
			   uint64_t *ret_bytes, pj_error *error)
{
	struct pouring pouring = {.stopped = stopped, .arg = arg};
	pj__part part = {.columns = sink->output.columns,
			 .escape = sink->output.escape,
			 .as_records = sink->kind == PJ__SINK_FUNCTION,
			 .overflow = pour_some,
			 .arg = &pouring,
			 .most = POUR_BYTES};
	pj__pour_init(&pouring.pour, sink);
	pj_status status = pj__pour_begin(&pouring.pour, 0, error);
	if (!status)
		status = pj__part_merge(&part, parts, count, &sink->output, memory_bytes, &pouring.status, error);
	if (!status)
		pour_some(&part, &pouring);
	if (!status && pouring.status) {
		status = pouring.status;
		if (error)
			*error = pouring.error;
	}
	status = pj__pour_end(&pouring.pour, status, error);
	*ret_pairs = part.pairs;
	*ret_bytes = pouring.pour.bytes;
	pj__text_fini(&part.bytes);
	return status;
}
