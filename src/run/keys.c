/*
 * keys.c: see keys.h.
 *
 * One level is sorted as if there were no other; then each range of items that are equal in it is sorted by the next.
 * So byte order stays a radix sort (sort.c) even where it is one level of several, and a user's function is called for
 * one level at a time. Its merge sort compares neighbours first: what is in order costs one call for each item.
 */
#include "run/keys.h"

enum level { BEGINNING, KEY, VALUE, LEVELS };
enum { SMALL = 8 };

struct sorter {
	const pj_keys *keys;
	const char *end;
	enum level level;
};

/* Is there such a level? */
static bool has_level(const pj_keys *keys, enum level level)
{
	return level == BEGINNING ? keys->group != NULL : level == KEY || keys->sort_values;
}

/* What a level compares of a pair. */
static pj_bytes piece_of(const pj_keys *keys, enum level level, pj_bytes key, pj_bytes value)
{
	return level == BEGINNING ? pj__keys_beginning(keys, key) : level == KEY ? key : value;
}

static int compare_pieces(const pj_keys *keys, enum level level, pj_bytes a, pj_bytes b)
{
	return level == VALUE ? pj_bytes_compare(a, b) : pj__keys_compare(keys, a, b);
}

int pj__keys_compare_pairs(const pj_keys *keys, pj_bytes key_a, pj_bytes value_a, pj_bytes key_b, pj_bytes value_b)
{
	int order = 0;
	for (enum level level = BEGINNING; level < LEVELS && !order; level++)
		if (has_level(keys, level))
			order = compare_pieces(keys, level, piece_of(keys, level, key_a, value_a),
					       piece_of(keys, level, key_b, value_b));
	return order;
}

static pj_bytes piece_at(const void *context, uint64_t at)
{
	const struct sorter *sorter = context;
	pj_bytes key = {NULL, 0}, value = {NULL, 0};
	(void)pj__get_record((const char *)(uintptr_t)at, sorter->end, &key, &value, NULL);
	return piece_of(sorter->keys, sorter->level, key, value);
}

static int compare_items(const struct sorter *sorter, const pj__item *a, const pj__item *b)
{
	return compare_pieces(sorter->keys, sorter->level, piece_at(sorter, a->at), piece_at(sorter, b->at));
}

static void merge_sort(const struct sorter *sorter, pj__item *items, size_t count, pj__item *scratch)
{
	if (count <= SMALL) {
		for (size_t i = 1; i < count; i++) {
			const pj__item item = items[i];
			size_t j = i;
			for (; j > 0 && compare_items(sorter, &item, &items[j - 1]) < 0; j--)
				items[j] = items[j - 1];
			items[j] = item;
		}
		return;
	}
	const size_t half = count / 2;
	merge_sort(sorter, items, half, scratch);
	merge_sort(sorter, items + half, count - half, scratch);
	if (compare_items(sorter, &items[half - 1], &items[half]) <= 0)
		return;
	memcpy(scratch, items, half * sizeof *items);
	size_t left = 0, right = half, to = 0;
	while (left < half)
		items[to++] = right < count && compare_items(sorter, &items[right], &scratch[left]) < 0
				      ? items[right++]
				      : scratch[left++];
}

static void sort_level(struct sorter sorter, pj__item *items, size_t count, pj__item *scratch)
{
	if (sorter.level != VALUE && sorter.keys->compare) {
		merge_sort(&sorter, items, count, scratch);
		return;
	}
	for (size_t i = 0; i < count; i++)
		items[i].prefix = pj__prefix(piece_at(&sorter, items[i].at), 0);
	pj__sort(items, count, scratch, piece_at, &sorter);
}

/* Sorts by `level` and those behind it. */
static void sort_from(struct sorter sorter, pj__item *items, size_t count, pj__item *scratch)
{
	while (sorter.level < LEVELS && !has_level(sorter.keys, sorter.level))
		sorter.level++;
	if (sorter.level == LEVELS || count < 2)
		return;
	sort_level(sorter, items, count, scratch);
	struct sorter next = sorter;
	next.level++;
	if (next.level == LEVELS || (next.level == VALUE && !sorter.keys->sort_values))
		return;
	for (size_t i = 0, same; i < count; i += same) {
		for (same = 1; i + same < count && !compare_items(&sorter, &items[i + same - 1], &items[i + same]);)
			same++;
		sort_from(next, items + i, same, scratch);
	}
}

void pj__keys_sort(const pj_keys *keys, pj__item *items, size_t count, pj__item *scratch, const char *end)
{
	sort_from((struct sorter){keys, end, BEGINNING}, items, count, scratch);
}
