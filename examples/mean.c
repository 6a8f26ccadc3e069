/*
 * mean.c: the mean of the whole numbers of each key, from lines of key, tab, number. An aggregate of the user's own.
 *
 * Its state is a sum wide enough never to overflow, and a count. Adding to it gives the same bits in whatever order and
 * grouping it is done, so it may call itself exact, and states are merged before the reduce.
 *
 *     papjuice run mean.c numbers.tsv
 */
#include <papjuice.h>

__extension__ typedef __int128 wide;

struct mean {
	uint64_t low;  /* of the sum: 128 bits in two words, as states are aligned to 8 bytes */
	int64_t high;
	uint64_t count;
};

static void add(void *state, int64_t value, void *arg)
{
	struct mean *mean = state;
	const uint64_t before = mean->low;
	mean->low += (uint64_t)value;
	mean->high += (value < 0 ? -1 : 0) + (mean->low < before);
	mean->count++;
}

static void merge(void *state, const void *other, void *arg)
{
	struct mean *mean = state;
	const struct mean *more = other;
	const uint64_t before = mean->low;
	mean->low += more->low;
	mean->high += more->high + (mean->low < before);
	mean->count += more->count;
}

static pj_status finish(const void *state, pj_text *text, void *arg)
{
	const struct mean *mean = state;
	const wide sum = (wide)mean->high * ((wide)1 << 64) + mean->low;
	pj_text_f64(text, (double)((long double)sum / (long double)mean->count));
	return PJ_OK;
}

static const pj_aggregate mean = {
	.name = "mean", .takes = PJ_TAKES_I64, .exact = true, .state_bytes = sizeof(struct mean),
	.add_i64 = add, .merge = merge, .finish = finish,
};

/*
 * The value is text; for a reducer that takes numbers it is read as one, and text that is not a number fails the
 * record.
 */
static pj_status split(pj_task *task, pj_bytes line, void *arg)
{
	pj_bytes key = {0};
	if (!pj_next_field(task, &line, '\t', &key) || !line.ptr)
		return pj_task_fail(task, PJ_ERR_RECORD, key.ptr, "the line has no tab");
	pj_emit(task, key, line);
	return PJ_OK;
}

PJ_PROGRAM(
	.name    = "mean",
	.summary = "mean of the whole numbers of each key",
	.mapper  = { .line = split },
	.reducer = { .aggregate = &mean },
)
