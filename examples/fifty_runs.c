/*
 * fifty_runs.c: the story of a word count, from one process to many, and why it must be right every time.
 *
 *	$ fifty_runs                      the whole story, fifty runs of every kind
 *	$ fifty_runs 200 book.txt         two hundred runs; the speed on a text of your own
 *	$ fifty_runs 10000 --quiet        only the runs; one line, unless one of them is wrong
 *
 * Three streams of words are counted. It takes five components, and each can be swapped for another:
 *
 *	input       get_input_stream
 *	mapper      simple_mapper                     words -> pairs of word and 1
 *	sorter      simple_sorter | plex_sorter | plex_sort_data     pairs -> groups: a word and its list of values
 *	reducer     simple_reducer | plex_reducer     groups -> a word and the sum of its list
 *	output      simple_output
 *
 * First by hand: every step is a function from text to text, so that the same function runs here, one stream after
 * another (map_data), or in the processes of a pool, all streams at once (map_pool). A pair is a line, "Java<tab>1"; a
 * group is a line as well, "Java<tab>1 1 1 1", and so is a result, "Java<tab>4". Then with the library, where `start`
 * runs the five components as one job.
 */
#include <papjuice.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { STREAMS = 3, WORDS = 6, PROCESSES = 3, LOSSY_VALUES = 10000, LOSSY_TRIES = 20 };
enum { REAL_BYTES = 128 << 20 };

static const char *const streams[STREAMS] = {
	"Java Hadoop RDBMS Prolog Lisp Pascal",
	"Java Java RDBMS Prolog Prolog",
	"Java Hadoop RDBMS Prolog Lisp Pascal",
};

static const char *const words[WORDS] = {"Java", "Hadoop", "RDBMS", "Prolog", "Lisp", "Pascal"};

/* What every run must come to, in the order of the words' bytes. */
static const char right_result[] = "Hadoop\t2\nJava\t4\nLisp\t2\nPascal\t2\nProlog\t4\nRDBMS\t3\n";

/* ----------------------------------------------------------------------------------------------------- small things */

/* Nothing here can go on after a failure: it is told, and the program ends with the fitting exit code. */
static void must(pj_status status, const pj_error *error)
{
	if (status)
		exit(pj_error_report(error));
}

/* Bytes that grow. */
struct text {
	char *ptr;
	size_t len, room;
};

static void add(struct text *text, pj_bytes bytes)
{
	if (text->room - text->len < bytes.len) {
		text->room = (text->len + bytes.len) * 2;
		text->ptr = realloc(text->ptr, text->room);
		if (!text->ptr) {
			fputs("fifty_runs: not enough memory\n", stderr);
			exit(4);
		}
	}
	if (bytes.len)
		memcpy(text->ptr + text->len, bytes.ptr, bytes.len);
	text->len += bytes.len;
}

static pj_bytes all_of(const struct text *text)
{
	return (pj_bytes){text->ptr, text->len};
}

static void forget(struct text *texts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(texts[i].ptr);
		texts[i] = (struct text){0};
	}
}

/* Adds the line "key<tab>value". */
static void add_line(struct text *text, pj_bytes key, pj_bytes value)
{
	add(text, key);
	add(text, pj_bytes_of("\t"));
	add(text, value);
	add(text, pj_bytes_of("\n"));
}

/* Takes the next such line. */
static int next_pair(pj_bytes *rest, pj_bytes *key, pj_bytes *value)
{
	pj_bytes line;
	return pj_next_line_plain(rest, &line) && pj_next_field_plain(&line, '\t', key) &&
	       pj_next_field_plain(&line, '\t', value);
}

/* How many values a list has: "1 1 1" has three. */
static long count_values(pj_bytes list)
{
	pj_bytes value;
	long count = 0;
	while (pj_next_word_plain(&list, &value))
		count++;
	return count;
}

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* ------------------------------------------------------------------------------------- the steps, one after another */

/* A step of the work, from text to text. */
typedef void step(pj_bytes in, struct text *out);

/* The words of one stream. */
static pj_bytes get_input_stream(size_t number)
{
	return pj_bytes_of(streams[number]);
}

/* Words become pairs: "Java Lisp" -> "Java<tab>1", "Lisp<tab>1". */
static void simple_mapper(pj_bytes in, struct text *out)
{
	pj_bytes word;
	while (pj_next_word_plain(&in, &word))
		add_line(out, word, pj_bytes_of("1"));
}

struct line {
	pj_bytes key, value;
	size_t number;
};

/* By key; equal keys stay in the order in which they came. */
static int compare_lines(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	const int order = pj_bytes_compare(x->key, y->key);
	return order ? order : (x->number > y->number) - (x->number < y->number);
}

/* Pairs become groups, and groups of the same word become one: their lists are joined; keys are put in order. */
static void simple_sorter(pj_bytes in, struct text *out)
{
	struct text lines = {0};
	struct line line = {.number = 0};
	for (; next_pair(&in, &line.key, &line.value); line.number++)
		add(&lines, (pj_bytes){(const char *)&line, sizeof line});
	struct line *sorted = (struct line *)(void *)lines.ptr;
	if (line.number)
		qsort(sorted, line.number, sizeof *sorted, compare_lines);
	for (size_t i = 0; i < line.number; i++) {
		const int is_new = !i || !pj_bytes_equal(sorted[i].key, sorted[i - 1].key);
		if (is_new && i)
			add(out, pj_bytes_of("\n"));
		if (is_new)
			add(out, sorted[i].key);
		add(out, pj_bytes_of(is_new ? "\t" : " "));
		add(out, sorted[i].value);
	}
	if (line.number)
		add(out, pj_bytes_of("\n"));
	forget(&lines, 1);
}

/* Groups become results: "Java<tab>1 1 1 1" -> "Java<tab>4". */
static void simple_reducer(pj_bytes in, struct text *out)
{
	pj_bytes key, list, value;
	while (next_pair(&in, &key, &list)) {
		long sum = 0;
		char decimal[24];
		while (pj_next_word_plain(&list, &value))
			sum += strtol(value.ptr, NULL, 10); /* it ends at the blank or newline after the value */
		add_line(out, key, (pj_bytes){decimal, (size_t)snprintf(decimal, sizeof decimal, "%ld", sum)});
	}
}

/* ------------------------------------------------------------------------------------------- one loop for all steps */

/* A step for each text, one after another, in this process. */
static void map_data(step *function, const pj_bytes *in, size_t count, struct text *out)
{
	for (size_t i = 0; i < count; i++)
		function(in[i], &out[i]);
}

/* What runs in a worker of the pool. `arg` points to the step; it is older than the pool, so it is the same there. */
static pj_status work(pj_bytes item, pj_reply *result, void *arg)
{
	step *const *function = arg;
	struct text out = {0};
	(*function)(item, &out);
	const pj_status status = pj_reply_append(result, all_of(&out));
	forget(&out, 1);
	return status;
}

/* A step for each text, all at once, in the processes of a pool. Mapping, sorting, reducing: all come through here. */
static void map_pool(pj_pool *pool, step *const *function, const pj_bytes *in, size_t count, struct text *out)
{
	pj_results *results;
	pj_error error;
	must(pj_pool_map(pool, work, (void *)(uintptr_t)function, in, count, 1, &results, &error), &error);
	for (size_t i = 0; i < count; i++)
		add(&out[i], results->items[i]);
	pj_results_destroy(results);
}

/* The steps as they are given to a pool. */
static step *const mapper = simple_mapper, *const sorter = simple_sorter, *const reducer = simple_reducer;

static void join(const struct text *texts, size_t count, struct text *out)
{
	for (size_t i = 0; i < count; i++)
		add(out, all_of(&texts[i]));
}

/* Sorting in one process: the pairs of all streams as one. */
static void sort_data(const struct text *pairs, struct text *groups)
{
	struct text joined = {0};
	join(pairs, STREAMS, &joined);
	const pj_bytes all = all_of(&joined);
	map_data(simple_sorter, &all, 1, groups);
	forget(&joined, 1);
}

/* Sorting in a pool: the pairs of each stream are grouped in a process of their own, then merged here. */
static void plex_sorter(pj_pool *pool, const struct text *pairs, struct text *groups)
{
	struct text grouped[STREAMS] = {{0}}, joined = {0};
	pj_bytes in[STREAMS];
	for (size_t i = 0; i < STREAMS; i++)
		in[i] = all_of(&pairs[i]);
	map_pool(pool, &sorter, in, STREAMS, grouped);
	join(grouped, STREAMS, &joined);
	simple_sorter(all_of(&joined), groups);
	forget(grouped, STREAMS);
	forget(&joined, 1);
}

/* Reducing in one process. */
static void reduce_data(pj_bytes groups, struct text *results)
{
	map_data(simple_reducer, &groups, 1, results);
}

/* Reducing in a pool: each group is an item. */
static void plex_reducer(pj_pool *pool, pj_bytes groups, struct text *results)
{
	pj_bytes in[WORDS], rest = groups;
	struct text out[WORDS] = {{0}};
	size_t count = 0;
	while (count < WORDS && pj_next_line_plain(&rest, &in[count]))
		in[count++].len++; /* with its newline */
	map_pool(pool, &reducer, in, count, out);
	join(out, count, results);
	forget(out, WORDS);
}

/* ------------------------------------------------------------------------------------- sorting into one shared dict */

/* What a process needs that merges a stream into the shared dict. */
struct merging {
	pj_dict dict;
	pj_lock *lock; /* NULL: it goes without */
	pj_bytes groups;
};

/*
 * Merges the groups of one stream into the dict that all processes share: get the list, extend it, set it. Between
 * getting and setting another process may have set a longer list, which is lost then; so it takes the lock around all
 * three. The yield makes the bad moment likely, as a busy machine would.
 */
static pj_status plex_merge_dicts(const struct merging *merging, pj_error *error)
{
	pj_bytes rest = merging->groups, key, values;
	pj_buffer list = {0};
	struct text longer = {0};
	pj_status status = PJ_OK;
	while (!status && next_pair(&rest, &key, &values)) {
		if (merging->lock && (status = pj_lock_acquire(merging->lock, NULL, error)))
			break;
		status = pj_dict_get(merging->dict, key, &list, error);
		if (status == PJ_ERR_NOT_FOUND) {
			list.len = 0;
			status = PJ_OK;
		}
		longer.len = 0;
		add(&longer, (pj_bytes){list.ptr, list.len});
		add(&longer, pj_bytes_of(list.len ? " " : ""));
		add(&longer, values);
		if (!merging->lock)
			sched_yield();
		if (!status)
			status = pj_dict_set(merging->dict, key, all_of(&longer), error);
		if (merging->lock)
			(void)pj_lock_release(merging->lock, NULL);
	}
	pj_buffer_free(&list);
	forget(&longer, 1);
	return status;
}

static int merge_process(void *arg)
{
	pj_error error;
	return plex_merge_dicts(arg, &error) ? pj_error_report(&error) : 0;
}

/* The library's own way: the list is a list, and grows where it lies. Each call is whole; no lock is needed. */
static int append_process(void *arg)
{
	const struct merging *merging = arg;
	pj_bytes rest = merging->groups, key, value;
	pj_list list;
	pj_error error;
	while (next_pair(&rest, &key, &value))
		if (pj_dict_list(merging->dict, key, &list, &error) || pj_list_append(list, value, &error))
			return pj_error_report(&error);
	return 0;
}

/* A process for each stream, all at once, until all have ended. */
static void run_processes(pj_process_main *main, struct merging *mergings)
{
	pj_process *processes[STREAMS];
	pj_error error;
	for (size_t i = 0; i < STREAMS; i++)
		must(pj_process_start(main, &mergings[i], &processes[i], &error), &error);
	for (size_t i = 0; i < STREAMS; i++) {
		pj_ending ending;
		must(pj_process_join(processes[i], &ending, &error), &error);
		pj_process_destroy(processes[i]);
		if (ending.exit_code)
			exit(6);
	}
}

/* Merges three texts of groups into a new dict, each in a process of its own; then calls `look` on the dict. */
static void merge_all(pj_process_main *main, bool locked, const pj_bytes *groups, size_t memory,
		      void look(pj_dict dict, void *arg), void *arg)
{
	struct merging mergings[STREAMS] = {{.lock = NULL}};
	pj_manager *manager;
	pj_error error;
	must(pj_manager_create(memory, &manager, &error), &error);
	must(pj_manager_dict(manager, &mergings[0].dict, &error), &error);
	if (locked)
		must(pj_lock_create(&mergings[0].lock, &error), &error);
	for (size_t i = 0; i < STREAMS; i++) {
		mergings[i] = mergings[0];
		mergings[i].groups = groups[i];
	}
	run_processes(main, mergings);
	look(mergings[0].dict, arg);
	pj_lock_destroy(mergings[0].lock);
	pj_manager_destroy(manager);
}

static void dict_to_groups(pj_dict dict, void *arg)
{
	struct text groups = {0};
	pj_item item;
	for (uint64_t cursor = 0; pj_dict_walk(dict, &cursor, &item);)
		add_line(&groups, item.key, item.value);
	simple_sorter(all_of(&groups), arg); /* the dict keeps the order of insertion */
	forget(&groups, 1);
}

/* Sorting over shared state: each stream is grouped, and merged into one shared dict by a process of its own. */
static void plex_sort_data(const struct text *pairs, struct text *groups)
{
	struct text grouped[STREAMS] = {{0}};
	pj_bytes in[STREAMS];
	for (size_t i = 0; i < STREAMS; i++) {
		simple_sorter(all_of(&pairs[i]), &grouped[i]);
		in[i] = all_of(&grouped[i]);
	}
	merge_all(merge_process, true, in, 128 << 10, dict_to_groups, groups);
	forget(grouped, STREAMS);
}

/* ------------------------------------------------------------------------------------- the five components as a job */

static pj_status map_words(pj_task *task, pj_bytes text, void *arg)
{
	(void)arg;
	pj_bytes word;
	while (pj_next_word(task, &text, &word))
		pj_emit_i64(task, word, 1);
	return PJ_OK;
}

static pj_status sum_values(pj_task *task, pj_bytes key, pj_values *values, void *arg)
{
	(void)arg;
	int64_t value, sum = 0;
	while (pj_next_i64(values, &value))
		sum += value;
	pj_emit_i64(task, key, sum);
	return PJ_OK;
}

static pj_status output_to_text(void *arg, pj_bytes key, pj_bytes value)
{
	add_line(arg, key, value);
	return PJ_OK;
}

/* The streams as a function that gives them one by one, a line each. */
static pj_status read_streams(void *arg, char *to, size_t size, size_t *got)
{
	size_t *next = arg;
	*got = *next < STREAMS ? (size_t)snprintf(to, size, "%s\n", streams[*next]) : 0;
	++*next;
	return PJ_OK;
}

/* Runs five components as one job, in `workers` processes (0: one for each processor). */
static void start(pj_input input, pj_mapper maps, pj_sorter sorts, pj_reducer reduces, pj_output output,
		  unsigned workers, pj_result *result)
{
	const pj_job job = {
		.abi     = PJ_ABI,
		.name    = "fifty-runs",
		.input   = input,
		.mapper  = maps,
		.sorter  = sorts,
		.reducer = reduces,
		.output  = output,
	};
	const pj_options options = {.workers = workers};
	pj_error error;
	must(pj_run(&job, &options, result, &error), &error);
}

/* --------------------------------------------------------------------------------------------------------- the runs */

/* By hand, `number` says nothing; of the library's runs, every other one has another input, mapper and reducer. */
typedef void way(pj_pool *pool, size_t number, struct text *results);

static void read_and_map(pj_pool *pool, struct text *pairs)
{
	pj_bytes in[STREAMS];
	for (size_t i = 0; i < STREAMS; i++)
		in[i] = get_input_stream(i);
	if (pool)
		map_pool(pool, &mapper, in, STREAMS, pairs);
	else
		map_data(simple_mapper, in, STREAMS, pairs);
}

static void by_hand_simple(pj_pool *pool, size_t number, struct text *results)
{
	(void)pool;
	(void)number;
	struct text pairs[STREAMS] = {{0}}, groups = {0};
	read_and_map(NULL, pairs);
	sort_data(pairs, &groups);
	reduce_data(all_of(&groups), results);
	forget(pairs, STREAMS);
	forget(&groups, 1);
}

static void by_hand_plex(pj_pool *pool, size_t number, struct text *results)
{
	(void)number;
	struct text pairs[STREAMS] = {{0}}, groups = {0};
	read_and_map(pool, pairs);
	plex_sorter(pool, pairs, &groups);
	plex_reducer(pool, all_of(&groups), results);
	forget(pairs, STREAMS);
	forget(&groups, 1);
}

static void by_hand_shared(pj_pool *pool, size_t number, struct text *results)
{
	(void)number;
	struct text pairs[STREAMS] = {{0}}, groups = {0};
	read_and_map(pool, pairs);
	plex_sort_data(pairs, &groups);
	plex_reducer(pool, all_of(&groups), results);
	forget(pairs, STREAMS);
	forget(&groups, 1);
}

static void by_library(pj_sorter sorts, size_t number, struct text *results)
{
	pj_bytes in[STREAMS];
	size_t next = 0;
	for (size_t i = 0; i < STREAMS; i++)
		in[i] = get_input_stream(i);
	const pj_input inputs[] = {{.memory = in, .memory_count = STREAMS}, {.read = read_streams, .arg = &next}};
	const pj_mapper mappers[] = {{.text = map_words}, {.line = map_words}};
	const pj_reducer reducers[] = {{.aggregate = &pj_sum_i64}, {.general = sum_values}};
	const pj_output output = {.pair = output_to_text, .arg = results};
	start(inputs[number & 1], mappers[number >> 1 & 1], sorts, reducers[number >> 2 & 1], output, 0, NULL);
}

static void by_library_simple(pj_pool *pool, size_t number, struct text *results)
{
	(void)pool;
	by_library(PJ_SORTER_SIMPLE, number, results);
}

static void by_library_plex(pj_pool *pool, size_t number, struct text *results)
{
	(void)pool;
	by_library(PJ_SORTER_PLEX, number, results);
}

static void by_library_shared(pj_pool *pool, size_t number, struct text *results)
{
	(void)pool;
	by_library(PJ_SORTER_SHARED, number, results);
}

static const struct {
	const char *name, *how;
	way *run;
} ways[] = {
	{"simple", "by hand, in one process", by_hand_simple},
	{"plex", "by hand, sorted and reduced in a pool", by_hand_plex},
	{"shared", "by hand, into one dict under a lock", by_hand_shared},
	{"simple", "the library, in one process", by_library_simple},
	{"plex", "the library, in worker processes", by_library_plex},
	{"shared", "the library, into one dict under a lock", by_library_shared},
};

enum { WAYS = sizeof ways / sizeof *ways };

/* Runs one way several times. Returns how many results were wrong, and shows the first of them. */
static size_t run_often(pj_pool *pool, size_t w, size_t runs)
{
	size_t wrong = 0;
	for (size_t i = 0; i < runs; i++) {
		struct text results = {0};
		ways[w].run(pool, i, &results);
		if (!pj_bytes_equal(all_of(&results), pj_bytes_of(right_result)) && !wrong++)
			fprintf(stderr, "fifty_runs: run %zu of %s, %s, is wrong:\n%.*s", i, ways[w].name, ways[w].how,
				(int)results.len, results.ptr);
		forget(&results, 1);
	}
	return wrong;
}

/* Runs all ways, several times each. Returns the number of wrong results. */
static size_t run_all(size_t runs, bool quiet)
{
	pj_pool *pool;
	pj_error error;
	size_t wrong = 0;
	must(pj_pool_create(PROCESSES, &pool, &error), &error);
	if (!quiet)
		printf("\n%zu runs with each sorter\n", runs);
	for (size_t w = 0; w < WAYS; w++) {
		const double begun = now();
		const size_t of_this = run_often(pool, w, runs);
		wrong += of_this;
		if (!quiet)
			printf("  %-7s %-40s %6zu right  %3zu wrong %9.2f ms each\n", ways[w].name, ways[w].how,
			       runs - of_this, of_this, (now() - begun) * 1e3 / (double)(runs ? runs : 1));
		fflush(stdout);
	}
	pj_pool_destroy(pool);
	if (quiet)
		printf("%zu runs, %zu wrong\n", runs * WAYS, wrong);
	return wrong;
}

/* ----------------------------------------------------------------------------------------------------- step by step */

/* A text of lines as one: "Java 1, Hadoop 1". */
static void show(const char *function, pj_bytes text)
{
	printf("  %-17s", function);
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '\n')
			fputs(i + 1 < text.len ? ", " : "", stdout);
		else
			putchar(text.ptr[i] == '\t' ? ' ' : text.ptr[i]);
	}
	putchar('\n');
}

/* Prints the results. */
static void simple_output(pj_bytes results)
{
	pj_bytes key, value;
	while (next_pair(&results, &key, &value))
		printf("  %17s%-8.*s%2.*s\n", "", (int)key.len, key.ptr, (int)value.len, value.ptr);
}

/* Shows a text for each stream. */
static void show_streams(const char *function, const struct text *texts)
{
	for (size_t i = 0; i < STREAMS; i++)
		show(i ? "" : function, all_of(&texts[i]));
}

/* Two streams, merged into one dict, one after another and here. */
static void show_merged(const struct text *pairs)
{
	struct merging merging = {.lock = NULL};
	struct text groups = {0};
	pj_manager *manager;
	pj_error error;
	must(pj_manager_create(64 << 10, &manager, &error), &error);
	must(pj_manager_dict(manager, &merging.dict, &error), &error);
	for (size_t i = 0; i < 2; i++) {
		merging.groups = all_of(&pairs[i]);
		must(plex_merge_dicts(&merging, &error), &error);
	}
	dict_to_groups(merging.dict, &groups);
	show("plex_merge_dicts", all_of(&groups));
	forget(&groups, 1);
	pj_manager_destroy(manager);
}

/* One run, with what each function makes of it. */
static void tell_steps(void)
{
	struct text pairs[STREAMS] = {{0}}, again[STREAMS] = {{0}}, groups[4] = {{0}}, results[3] = {{0}};
	pj_pool *pool;
	pj_error error;
	must(pj_pool_create(PROCESSES, &pool, &error), &error);
	puts("One run, step by step");
	for (size_t i = 0; i < STREAMS; i++)
		show(i ? "" : "get_input_stream", get_input_stream(i));
	simple_mapper(get_input_stream(1), &groups[3]);
	show("simple_mapper", all_of(&groups[3]));
	groups[3].len = 0;
	read_and_map(NULL, pairs);
	show_streams("map_data", pairs);
	read_and_map(pool, again);
	show_streams("map_pool", again);
	simple_sorter(all_of(&pairs[1]), &groups[3]);
	show("simple_sorter", all_of(&groups[3]));
	sort_data(pairs, &groups[0]);
	show("sort_data", all_of(&groups[0]));
	plex_sorter(pool, pairs, &groups[1]);
	show("plex_sorter", all_of(&groups[1]));
	show_merged(pairs);
	plex_sort_data(pairs, &groups[2]);
	show("plex_sort_data", all_of(&groups[2]));
	simple_reducer(all_of(&groups[3]), &results[0]);
	show("simple_reducer", all_of(&results[0]));
	reduce_data(all_of(&groups[0]), &results[1]);
	show("reduce_data", all_of(&results[1]));
	plex_reducer(pool, all_of(&groups[1]), &results[2]);
	show("plex_reducer", all_of(&results[2]));
	puts("  simple_output");
	simple_output(all_of(&results[2]));
	results[2].len = 0;
	by_library(PJ_SORTER_PLEX, 0, &results[2]);
	show("start", all_of(&results[2]));
	forget(pairs, STREAMS);
	forget(again, STREAMS);
	forget(groups, 4);
	forget(results, 3);
	pj_pool_destroy(pool);
}

/* ----------------------------------------------------------------------------------------------- what a lock is for */

static void count_lists(pj_dict dict, void *arg)
{
	pj_item item;
	for (uint64_t cursor = 0; pj_dict_walk(dict, &cursor, &item);) {
		size_t count = 0;
		pj_error error;
		if (item.kind == PJ_LIST)
			must(pj_list_count(item.list, &count, &error), &error);
		*(long *)arg += item.kind == PJ_LIST ? (long)count : count_values(item.value);
	}
}

/* Three streams of ten thousand values are merged, one value at a time. Returns how many are in the dict at the end. */
static long merge_many(pj_process_main *main, bool locked)
{
	struct text pairs = {0};
	long found = 0;
	for (size_t i = 0; i < LOSSY_VALUES; i++)
		add_line(&pairs, pj_bytes_of(words[i % WORDS]), pj_bytes_of("1"));
	const pj_bytes in[STREAMS] = {all_of(&pairs), all_of(&pairs), all_of(&pairs)};
	merge_all(main, locked, in, 8 << 20, count_lists, &found);
	forget(&pairs, 1);
	return found;
}

/* Merges with the lock, without it until something is lost, and in place. Returns 1 if it is not as it should be. */
static int tell_of_the_lock(void)
{
	const long all = (long)STREAMS * LOSSY_VALUES;
	printf("\nThe same merge, %d values from each of %d processes\n", LOSSY_VALUES, STREAMS);
	const long locked = merge_many(merge_process, true);
	printf("  %-48s %6ld of %ld lost\n", "get, extend, set: under the lock", all - locked, all);
	long kept = all;
	int tries = 0;
	while (kept == all && tries < LOSSY_TRIES) {
		kept = merge_many(merge_process, false);
		tries++;
	}
	printf("  %-48s %6ld of %ld lost%s\n", "get, extend, set: without it", all - kept, all,
	       tries > 1 ? "  (not at once)" : "");
	const long appended = merge_many(append_process, false);
	printf("  %-48s %6ld of %ld lost\n", "lists that grow in place: no lock is needed", all - appended, all);
	if (kept == all)
		printf("  Nothing was lost in %d tries: that the lock matters is not shown.\n", LOSSY_TRIES);
	return locked != all || kept == all || appended != all;
}

/* ------------------------------------------------------------------------------------- a pool does not share memory */

struct counters {
	long in_memory;
	pj_dict shared;
};

/* Counts the words of a stream in two places: in ordinary memory, and in a shared dict. */
static pj_status count_in_both(pj_bytes item, pj_reply *result, void *arg)
{
	struct counters *counters = arg;
	pj_bytes word;
	(void)result;
	while (pj_next_word_plain(&item, &word)) {
		counters->in_memory++;
		if (pj_dict_add_i64(counters->shared, pj_bytes_of("words"), 1, NULL, NULL))
			return PJ_ERR_MEMORY;
	}
	return PJ_OK;
}

/* A worker has a copy of the memory: no other process sees what it changes there. */
static int tell_of_the_pool(void)
{
	struct counters counters = {0};
	pj_manager *manager;
	pj_pool *pool;
	pj_results *results;
	pj_error error;
	int64_t shared = 0;
	long all = 0;
	pj_bytes in[STREAMS];
	for (size_t i = 0; i < STREAMS; i++) {
		in[i] = get_input_stream(i);
		all += count_values(in[i]);
	}
	must(pj_manager_create(64 << 10, &manager, &error), &error);
	must(pj_manager_dict(manager, &counters.shared, &error), &error);
	must(pj_pool_create(PROCESSES, &pool, &error), &error);
	must(pj_pool_map(pool, count_in_both, &counters, in, STREAMS, 1, &results, &error), &error);
	must(pj_dict_get_i64(counters.shared, pj_bytes_of("words"), &shared, &error), &error);
	puts("\nA pool's map that changes what it was given");
	printf("  %-48s %6ld of %ld lost\n", "counted in ordinary memory", all - counters.in_memory, all);
	printf("  %-48s %6ld of %ld lost\n", "counted in a shared dict", all - (long)shared, all);
	pj_results_destroy(results);
	pj_pool_destroy(pool);
	pj_manager_destroy(manager);
	return counters.in_memory != 0 || shared != all;
}

/* -------------------------------------------------------------------------------------------------------- real text */

/* What a run comes to, so that two can be compared without being kept. */
struct digest {
	uint64_t hash, pairs;
};

/* FNV-1a (Fowler, Noll, Vo), over keys, values and where they end. */
static pj_status digest_pair(void *arg, pj_bytes key, pj_bytes value)
{
	struct digest *digest = arg;
	const pj_bytes both[] = {key, value};
	for (int i = 0; i < 2; i++) {
		for (size_t b = 0; b < both[i].len; b++)
			digest->hash = (digest->hash ^ (unsigned char)both[i].ptr[b]) * 0x100000001b3u;
		digest->hash = (digest->hash ^ 256) * 0x100000001b3u;
	}
	digest->pairs++;
	return PJ_OK;
}

/* Counts the words of the files. Returns the seconds it took. */
static double count_files(const char *const *paths, size_t count, pj_sorter sorts, unsigned workers,
			  struct digest *digest, pj_result *result)
{
	const pj_input input = {.paths = paths, .path_count = count};
	const pj_output output = {.pair = digest_pair, .arg = digest};
	*digest = (struct digest){0xcbf29ce484222325u, 0};
	start(input, (pj_mapper){.text = map_words}, sorts, (pj_reducer){.aggregate = &pj_sum_i64}, output, workers,
	      result);
	return result->total_seconds;
}

/* The paths again and again, until there is so much text that the time it takes says something. */
static const char **repeat_paths(char **paths, size_t count, uint64_t bytes, size_t *ret_count)
{
	const size_t times = bytes && bytes < REAL_BYTES ? (size_t)(REAL_BYTES / bytes) + 1 : 1;
	const char **repeated = calloc(count * times, sizeof *repeated);
	if (!repeated) {
		fputs("fifty_runs: not enough memory\n", stderr);
		exit(4);
	}
	for (size_t i = 0; i < count * times; i++)
		repeated[i] = paths[i % count];
	*ret_count = count * times;
	return repeated;
}

static void tell_speed(const char *how, const pj_result *result)
{
	const double megabytes = (double)result->input_bytes / 1e6, seconds = result->total_seconds;
	printf("  %-30s %3u %s %8.2f s %8.0f MB/s\n", how, result->workers,
	       result->workers == 1 ? "process  " : "processes", seconds, megabytes / seconds);
}

static bool is_same(const struct digest *a, const struct digest *b)
{
	return a->hash == b->hash && a->pairs == b->pairs;
}

/* The words of real text, in one process and in several. Returns 1 if they come to different results. */
static int tell_of_real_text(char **paths, size_t count)
{
	pj_result result;
	struct digest sequential, one_worker, parallel;
	size_t many;
	/* how much is it? */
	(void)count_files((const char *const *)paths, count, PJ_SORTER_PLEX, 0, &parallel, &result);
	const char **repeated = repeat_paths(paths, count, result.input_bytes, &many);
	const double reference = count_files(repeated, many, PJ_SORTER_SIMPLE, 1, &sequential, &result);
	printf("\nReal text: %s%s, %.0f MB, %llu words, %llu different\n", paths[0], count > 1 ? " and so on" : "",
	       (double)result.input_bytes / 1e6, (unsigned long long)result.map_pairs,
	       (unsigned long long)sequential.pairs);
	tell_speed("sequentially (sorter simple)", &result);
	const double one = count_files(repeated, many, PJ_SORTER_PLEX, 1, &one_worker, &result);
	tell_speed("in a worker (sorter plex)", &result);
	const double all = count_files(repeated, many, PJ_SORTER_PLEX, 0, &parallel, &result);
	tell_speed("in workers (sorter plex)", &result);
	free(repeated);
	const bool same = is_same(&sequential, &one_worker) && is_same(&sequential, &parallel);
	printf("  The results are %s. %.1f times as fast as one worker, %.1f times as fast as sequentially.\n",
	       same ? "the same" : "DIFFERENT", one / all, reference / all);
	return !same;
}

/* -------------------------------------------------------------------------------------------------------- the story */

static int usage(void)
{
	fputs("usage: fifty_runs [RUNS] [--quiet] [FILE...]\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	static char licenses[] = "/usr/share/common-licenses";
	char *fallback[] = {licenses}, **files = argv + 1;
	size_t runs = 50, count = 0;
	bool quiet = false;
	for (int i = 1; i < argc; i++) {
		char *end;
		const unsigned long number = strtoul(argv[i], &end, 10);
		if (!strcmp(argv[i], "--quiet"))
			quiet = true;
		else if (i == 1 && argv[i][0] >= '0' && argv[i][0] <= '9' && !*end)
			runs = number;
		else if (argv[i][0] == '-')
			return usage();
		else
			files[count++] = argv[i]; /* moves to the front */
	}
	if (quiet)
		return run_all(runs, true) ? 1 : 0;
	tell_steps();
	int failed = run_all(runs, false) != 0;
	failed |= tell_of_the_lock();
	failed |= tell_of_the_pool();
	failed |= tell_of_real_text(count ? files : fallback, count ? count : 1);
	return failed;
}
