/*
 * fold.c: aggregates of the user's own over the places of words, the key being a word's first two bytes; or, with
 * --key line, over the places of lines, which are keys as they are.
 *
 *     --by order     not exact: every value changes what the next one does, so only plan order gives the right result
 *     --by order_f64, order_bytes    the same over doubles and bytes
 *     --by exact     exact, with `add` only; its states begin with a value that is not zero
 *     --by many      the same with add_many
 */
#include <inttypes.h>
#include <papjuice.h>
#include <stdio.h>

struct state {
	uint64_t mix, count;
	int64_t least;
};

static void init(void *state, void *arg)
{
	*(struct state *)state = (struct state){.mix = 7, .least = INT64_MAX};
}

static void add_order(void *state, int64_t value, void *arg)
{
	struct state *const own = state;
	own->mix = (own->mix ^ (uint64_t)value) * 1099511628211u;
	own->count++;
	own->least = value < own->least ? value : own->least;
}

static void add_order_f64(void *state, double value, void *arg)
{
	add_order(state, (int64_t)value, arg);
}

static void add_order_bytes(void *state, pj_bytes value, void *arg)
{
	int64_t number = 0;
	for (size_t i = 0; i < value.len; i++)
		number = number * 10 + (value.ptr[i] - '0');
	add_order(state, number, arg);
}

static void add_exact(void *state, int64_t value, void *arg)
{
	struct state *const own = state;
	own->mix ^= (uint64_t)value * 1099511628211u;
	own->count++;
	own->least = value < own->least ? value : own->least;
}

static void add_many_exact(void *const *states, const int64_t *values, size_t count, void *arg)
{
	for (size_t i = 0; i < count; i++)
		add_exact(states[i], values[i], arg);
}

static void merge(void *state, const void *other, void *arg)
{
	struct state *const own = state;
	const struct state *const more = other;
	own->mix ^= more->mix ^ 7; /* each has begun with 7 */
	own->count += more->count;
	own->least = more->least < own->least ? more->least : own->least;
}

static pj_status finish(const void *state, pj_text *text, void *arg)
{
	const struct state *const own = state;
	char line[80];
	snprintf(line, sizeof line, "%" PRIx64 " %" PRIu64 " %" PRId64, own->mix, own->count, own->least);
	pj_text_bytes(text, pj_bytes_of(line));
	return PJ_OK;
}

#define STATE .state_bytes = sizeof(struct state), .init = init, .finish = finish

static const pj_aggregate aggregates[] = {
	{.name = "order", STATE, .takes = PJ_TAKES_I64, .add_i64 = add_order},
	{.name = "order_f64", STATE, .takes = PJ_TAKES_F64, .add_f64 = add_order_f64},
	{.name = "order_bytes", STATE, .takes = PJ_TAKES_BYTES, .add_bytes = add_order_bytes},
	{.name = "exact", STATE, .takes = PJ_TAKES_I64, .exact = true, .add_i64 = add_exact, .merge = merge},
	{.name = "many",
	 STATE,
	 .takes = PJ_TAKES_I64,
	 .exact = true,
	 .add_i64 = add_exact,
	 .add_many_i64 = add_many_exact,
	 .merge = merge},
};

static pj_status map_words(pj_task *task, pj_bytes text, void *arg)
{
	pj_bytes word;
	while (pj_next_word(task, &text, &word))
		pj_emit_i64(task, (pj_bytes){word.ptr, word.len < 2 ? word.len : 2},
			    (int64_t)pj_task_place(task, word.ptr).offset);
	return PJ_OK;
}

static pj_status map_lines(pj_task *task, pj_bytes text, void *arg)
{
	pj_bytes line;
	while (pj_next_line(task, &text, &line))
		pj_emit_i64(task, line, (int64_t)pj_task_place(task, line.ptr).offset);
	return PJ_OK;
}

static pj_status configure(pj_job *job, const char *const *values, pj_error *error)
{
	(void)error;
	job->mapper.text = strcmp(values[1], "line") == 0 ? map_lines : map_words;
	job->reducer.aggregate = NULL;
	for (size_t i = 0; i < sizeof aggregates / sizeof *aggregates; i++)
		if (strcmp(values[0], aggregates[i].name) == 0)
			job->reducer.aggregate = &aggregates[i];
	return job->reducer.aggregate ? PJ_OK : PJ_ERR_USAGE;
}

static const pj_job_option options[] = {
	{"by", 0, "NAME", "order", "aggregate"}, {"key", 0, "WHAT", "start", "start or line"}, {NULL}};

PJ_PROGRAM(.name = "fold", .mapper = {.text = map_words}, .options = options, .configure = configure)
