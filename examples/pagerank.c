/*
 * pagerank.c: ranks the nodes of a graph (Page, Brin, Motwani and Winograd, "The PageRank citation ranking", 1998), by
 * two jobs in one session.
 *
 *     pagerank --top 10 edges.txt     an edge to a line, "from to": two numbers; a line that begins with # is not one
 *
 * The first job counts the edges that leave each node. The second one is run again and again: what each node gives to
 * every node that it points to goes to the workers as the parameters of the run, an array; the mapper emits, for each
 * edge, where it leads and what goes along it; the sums come back and make the ranks of the next run. A node that
 * points nowhere gives its rank to all nodes alike.
 *
 * Ranks are whole numbers, parts of 2^60, which is the sum of all of them. So sums of them are exact in any order, and
 * the result is the same for any number of workers and after any death of one. What a division leaves is lost: for each
 * iteration at most one part of 2^60 for each edge.
 */
#include <papjuice.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { DIGITS_MOST = 9, NODES_MOST = 1 << 27, DAMPING = 85 /* percent of a rank that is handed on along edges */ };
static const uint64_t whole = (uint64_t)1 << 60;

__extension__ typedef unsigned __int128 wide;

struct settings {
	const char *edges; /* a file */
	uint64_t iterations, workers, top;
	bool check;
};

/* What is known of the nodes that occur; the other numbers have an entry with `known` false. */
struct graph {
	uint64_t count;   /* numbers of nodes below this may occur */
	uint64_t room;    /* of the arrays */
	uint64_t known_count;
	bool *known;
	uint64_t *leaving; /* edges that leave the node */
	uint64_t *rank;
	uint64_t *received; /* in the run at hand */
	uint64_t *share;   /* what goes along each edge that leaves the node: the parameters of a run */
};

/* ------------------------------------------------------------------------------------------------------ the edges */

struct edge {
	uint64_t from, to;
	pj_bytes from_text, to_text;
};

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r';
}

/* Takes a node's number from the front of *line. False: the line does not begin with one. */
static bool take_node(pj_bytes *line, uint64_t *ret_node, pj_bytes *ret_text)
{
	const char *at = line->ptr, *const end = at + line->len;
	while (at < end && is_blank(*at))
		at++;
	const char *const start = at;
	uint64_t node = 0;
	for (; at < end && (unsigned char)(*at - '0') < 10 && at - start < DIGITS_MOST; at++)
		node = node * 10 + (uint64_t)(*at - '0');
	*ret_node = node;
	*ret_text = (pj_bytes){ start, (size_t)(at - start) };
	*line = (pj_bytes){ at, (size_t)(end - at) };
	return at > start && (at == end || is_blank(*at)) && node < NODES_MOST;
}

/* What a line is. */
enum line_kind { LINE_EDGE, LINE_EMPTY, LINE_BAD };

static enum line_kind read_edge(pj_bytes line, struct edge *edge)
{
	while (line.len && is_blank(line.ptr[line.len - 1]))
		line.len--;
	if (!line.len || line.ptr[0] == '#')
		return LINE_EMPTY;
	const bool two = take_node(&line, &edge->from, &edge->from_text) && take_node(&line, &edge->to, &edge->to_text);
	return two && !line.len ? LINE_EDGE : LINE_BAD;
}

/* ------------------------------------------------------------------------------------------------------- the jobs */

/* Takes the next edge of the text: 1; 0: there is no more, or the task has failed. */
static int next_edge(pj_task *task, pj_bytes *text, struct edge *edge)
{
	pj_bytes line;
	while (pj_next_line(task, text, &line)) {
		const enum line_kind kind = read_edge(line, edge);
		if (kind == LINE_EDGE)
			return 1;
		if (kind == LINE_BAD) {
			(void)pj_task_fail(task, PJ_ERR_RECORD, line.ptr, "not an edge: two numbers below %d",
					   NODES_MOST);
			return 0;
		}
	}
	return 0;
}

/* A key for each node that occurs, even if no edge leaves it. */
static pj_status map_leaving(pj_task *task, pj_bytes text, void *arg)
{
	struct edge edge;
	while (next_edge(task, &text, &edge)) {
		pj_emit_i64(task, edge.from_text, 1);
		pj_emit_i64(task, edge.to_text, 0);
	}
	return PJ_OK;
}

static pj_status map_shares(pj_task *task, pj_bytes text, void *arg)
{
	const pj_bytes shares = pj_task_params(task);
	struct edge edge;
	while (next_edge(task, &text, &edge)) {
		int64_t share;
		memcpy(&share, shares.ptr + edge.from * sizeof share, sizeof share);
		pj_emit_i64(task, edge.to_text, share);
	}
	return PJ_OK;
}

enum { JOB_LEAVING, JOB_SHARES, JOBS };

static const pj_job jobs[JOBS] = {
	[JOB_LEAVING] = {
		.abi     = PJ_ABI,
		.name    = "leaving",
		.mapper  = { .text = map_leaving },
		.reducer = { .aggregate = &pj_sum_i64 },
	},
	[JOB_SHARES] = {
		.abi     = PJ_ABI,
		.name    = "shares",
		.mapper  = { .text = map_shares },
		.reducer = { .aggregate = &pj_sum_i64 },
	},
};

/* ------------------------------------------------------------------------------------------------------ the graph */

static void *grown(void *array, uint64_t room, size_t size, bool *failed)
{
	void *larger = reallocarray(array, room, size);
	if (larger)
		return larger;
	*failed = true;
	return array;
}

/* Gets the arrays ready for a node. False: no memory. */
static bool make_room(struct graph *graph, uint64_t node)
{
	bool failed = false;
	if (node >= graph->room) {
		const uint64_t room = node < NODES_MOST / 2 ? 2 * (node + 1) : NODES_MOST;
		graph->known = grown(graph->known, room, sizeof *graph->known, &failed);
		graph->leaving = grown(graph->leaving, room, sizeof *graph->leaving, &failed);
		graph->rank = grown(graph->rank, room, sizeof *graph->rank, &failed);
		graph->received = grown(graph->received, room, sizeof *graph->received, &failed);
		graph->share = grown(graph->share, room, sizeof *graph->share, &failed);
		if (failed)
			return false;
		graph->room = room;
	}
	for (; graph->count <= node; graph->count++) {
		graph->known[graph->count] = false;
		graph->leaving[graph->count] = graph->share[graph->count] = 0;
	}
	return true;
}

static void forget_graph(struct graph *graph)
{
	free(graph->known);
	free(graph->leaving);
	free(graph->rank);
	free(graph->received);
	free(graph->share);
}

/* Adds to the edges that leave a node. The same node may be told more than once. */
static bool add_leaving(struct graph *graph, uint64_t node, uint64_t count)
{
	if (!make_room(graph, node))
		return false;
	graph->known_count += !graph->known[node];
	graph->known[node] = true;
	graph->leaving[node] += count;
	return true;
}

/* All begin alike. */
static void begin_ranks(struct graph *graph)
{
	for (uint64_t i = 0; i < graph->count; i++)
		graph->rank[i] = graph->known[i] ? whole / graph->known_count : 0;
}

/* Says what each node gives; nothing is received yet. */
static void share_ranks(struct graph *graph)
{
	for (uint64_t i = 0; i < graph->count; i++) {
		graph->share[i] = graph->leaving[i] ? graph->rank[i] / graph->leaving[i] : 0;
		graph->received[i] = 0;
	}
}

static uint64_t percent(uint64_t number, unsigned hundredths)
{
	return (uint64_t)((wide)number * hundredths / 100);
}

/* Makes ranks of what was received. */
static void settle_ranks(struct graph *graph)
{
	uint64_t kept = 0; /* by nodes that point nowhere */
	for (uint64_t i = 0; i < graph->count; i++)
		kept += graph->leaving[i] ? 0 : graph->rank[i];
	const uint64_t count = graph->known_count;
	const uint64_t base = percent(whole, 100 - DAMPING) / count + percent(kept, DAMPING) / count;
	for (uint64_t i = 0; i < graph->count; i++)
		graph->rank[i] = graph->known[i] ? base + percent(graph->received[i], DAMPING) : 0;
}

/* ------------------------------------------------------------------------------------------------- the iterations */

/* Reads a result: of "7" and "007" each has a sum of its own. */
static bool read_result(pj_bytes key, pj_bytes value, uint64_t *ret_node, uint64_t *ret_sum)
{
	pj_bytes text;
	*ret_sum = 0;
	for (size_t i = 0; i < value.len; i++)
		*ret_sum = *ret_sum * 10 + (uint64_t)(value.ptr[i] - '0');
	return take_node(&key, ret_node, &text);
}

static pj_status take_leaving(void *arg, pj_bytes key, pj_bytes value)
{
	uint64_t node, count;
	if (!read_result(key, value, &node, &count))
		return PJ_ERR_INTERNAL;
	return add_leaving(arg, node, count) ? PJ_OK : PJ_ERR_MEMORY;
}

static pj_status take_share(void *arg, pj_bytes key, pj_bytes value)
{
	struct graph *graph = arg;
	uint64_t node, sum;
	if (!read_result(key, value, &node, &sum) || node >= graph->count)
		return PJ_ERR_INTERNAL;
	graph->received[node] += sum;
	return PJ_OK;
}

static double seconds(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static pj_status run_iterations(pj_session *session, uint64_t iterations, struct graph *graph, pj_error *error)
{
	const pj_output leaving = { .pair = take_leaving, .arg = graph }, shares = { .pair = take_share, .arg = graph };
	pj_result result;
	pj_status status = pj_session_run(session, JOB_LEAVING, (pj_bytes){ NULL, 0 }, &leaving, &result, error);
	uint64_t failures = result.failures;
	if (status || !graph->known_count)
		return status;
	begin_ranks(graph);
	for (uint64_t i = 0; i < iterations && !status; i++) {
		share_ranks(graph);
		const pj_bytes params = { (const char *)graph->share, graph->count * sizeof *graph->share };
		status = pj_session_run(session, JOB_SHARES, params, &shares, &result, error);
		failures += result.failures;
		settle_ranks(graph);
	}
	if (failures)
		fprintf(stderr, "pagerank: note: attempts failed and were done again: %llu\n",
			(unsigned long long)failures);
	return status;
}

static pj_status iterate(const struct settings *settings, struct graph *graph, pj_error *error)
{
	const pj_options options = {
		.input   = { .paths = &settings->edges, .path_count = 1 },
		.workers = (unsigned)settings->workers,
	};
	pj_session *session;
	pj_status status = pj_session_open(jobs, JOBS, &options, &session, error);
	if (status)
		return status;
	status = run_iterations(session, settings->iterations, graph, error);
	pj_session_close(session);
	return status;
}

/* -------------------------------------------------------------------------------------------------- the plain loop */

struct edges {
	struct edge *at;
	uint64_t count, room;
};

/* Reads all edges of a file, and counts those that leave each node. False: no memory, or the file cannot be read. */
static bool read_edges(FILE *file, struct edges *edges, struct graph *graph)
{
	char *line = NULL;
	size_t room = 0;
	bool failed = false;
	for (ssize_t len; !failed && (len = getline(&line, &room, file)) > 0;) {
		struct edge edge;
		if (read_edge((pj_bytes){ line, (size_t)len - (line[len - 1] == '\n') }, &edge) != LINE_EDGE)
			continue; /* a bad line would have failed the runs */
		if (edges->count == edges->room) {
			edges->room = 2 * edges->room + 1024;
			edges->at = grown(edges->at, edges->room, sizeof *edges->at, &failed);
		}
		if (failed || !add_leaving(graph, edge.from, 1) || !add_leaving(graph, edge.to, 0)) {
			failed = true;
			break;
		}
		edges->at[edges->count++] = edge;
	}
	free(line);
	return !failed && !ferror(file);
}

static bool iterate_plainly(FILE *file, uint64_t iterations, struct graph *graph)
{
	struct edges edges = { NULL, 0, 0 };
	const bool read = read_edges(file, &edges, graph);
	if (read && graph->known_count)
		begin_ranks(graph);
	for (uint64_t i = 0; i < iterations && read && graph->known_count; i++) {
		share_ranks(graph);
		for (uint64_t e = 0; e < edges.count; e++)
			graph->received[edges.at[e].to] += graph->share[edges.at[e].from];
		settle_ranks(graph);
	}
	free(edges.at);
	return read;
}

/* Holds the ranks against those of a plain loop. 0: they are the same; else an exit code. */
static int check(const struct settings *settings, const struct graph *graph)
{
	struct graph plain = { .count = 0 };
	FILE *file = fopen(settings->edges, "re");
	const bool done = file && iterate_plainly(file, settings->iterations, &plain);
	bool same = done && plain.count == graph->count;
	for (uint64_t i = 0; same && i < plain.count; i++)
		same = plain.known[i] == graph->known[i] && plain.leaving[i] == graph->leaving[i] &&
		       plain.rank[i] == graph->rank[i];
	fprintf(stderr, "%s\n", same ? "check: the same ranks from a plain loop"
				: done ? "pagerank: the plain loop comes to other ranks"
				       : "pagerank: the edges cannot be read for the check");
	forget_graph(&plain);
	if (file)
		fclose(file);
	return same ? 0 : done ? 6 : 4;
}

/* ---------------------------------------------------------------------------------------------------- the program */

struct ranked {
	uint64_t node, rank;
};

static int highest_first(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	if (x->rank != y->rank)
		return x->rank > y->rank ? -1 : 1;
	return (x->node > y->node) - (x->node < y->node);
}

static bool print_ranks(const struct graph *graph, uint64_t top)
{
	struct ranked *ranked = calloc(graph->known_count + 1, sizeof *ranked);
	uint64_t count = 0;
	if (!ranked)
		return false;
	for (uint64_t i = 0; i < graph->count; i++)
		if (graph->known[i])
			ranked[count++] = (struct ranked){ i, graph->rank[i] };
	qsort(ranked, count, sizeof *ranked, highest_first);
	for (uint64_t i = 0; i < count && (!top || i < top); i++)
		printf("%llu\t%.15f\n", (unsigned long long)ranked[i].node, (double)ranked[i].rank / (double)whole);
	free(ranked);
	return true;
}

static const char help[] =
	"usage: pagerank [OPTION]... FILE\n"
	"Prints the nodes of the highest ranks, and these; the ranks of all nodes together\n"
	"are 1. FILE holds an edge in each line: two numbers.\n\n"
	"  -n, --iterations N   how often ranks are handed on (20)\n"
	"  -w, --workers N      processes (as many as there are processors)\n"
	"  -t, --top N          how many nodes are printed; 0: all (10)\n"
	"      --check          hold the result against a plain loop\n";

static uint64_t number_of(const char *name, uint64_t least, uint64_t most)
{
	char *end;
	const unsigned long long number = strtoull(optarg, &end, 10);
	if ((unsigned char)(*optarg - '0') >= 10 || *end || number < least || number > most) {
		fprintf(stderr, "pagerank: --%s %s: from %llu to %llu\n", name, optarg, (unsigned long long)least,
			(unsigned long long)most);
		exit(2);
	}
	return number;
}

static struct settings read_options(int argc, char **argv)
{
	static const struct option known[] = {
		{ "iterations", required_argument, NULL, 'n' }, { "workers", required_argument, NULL, 'w' },
		{ "top", required_argument, NULL, 't' },        { "check", no_argument, NULL, 'x' },
		{ "help", no_argument, NULL, 'h' },             { NULL, 0, NULL, 0 },
	};
	struct settings settings = { .iterations = 20, .top = 10 };
	for (int letter; (letter = getopt_long(argc, argv, "n:w:t:h", known, NULL)) != -1;) {
		switch (letter) {
		case 'n': settings.iterations = number_of("iterations", 0, 1000000); break;
		case 'w': settings.workers = number_of("workers", 1, PJ_WORKERS_MAX); break;
		case 't': settings.top = number_of("top", 0, UINT64_MAX); break;
		case 'x': settings.check = true; break;
		case 'h': fputs(help, stdout); exit(0);
		default: exit(2);
		}
	}
	if (optind + 1 != argc) {
		fprintf(stderr, "pagerank: name one file of edges; see --help\n");
		exit(2);
	}
	settings.edges = argv[optind];
	return settings;
}

static int run(const struct settings *settings, struct graph *graph)
{
	const double begun = seconds(CLOCK_MONOTONIC);
	pj_error error;
	if (iterate(settings, graph, &error)) {
		char line[1024];
		fprintf(stderr, "pagerank: %s\n", pj_error_format(&error, line, sizeof line));
		return pj_error_exit_code(&error);
	}
	const double took = seconds(CLOCK_MONOTONIC) - begun;
	if (!print_ranks(graph, settings->top)) {
		fprintf(stderr, "pagerank: no memory for the list\n");
		return 4;
	}
	fprintf(stderr, "%llu nodes, %llu iterations in %.3f s\n", (unsigned long long)graph->known_count,
		(unsigned long long)settings->iterations, took);
	return settings->check ? check(settings, graph) : 0;
}

int main(int argc, char **argv)
{
	const struct settings settings = read_options(argc, argv);
	struct graph graph = { .count = 0 };
	const int code = run(&settings, &graph);
	forget_graph(&graph);
	return fflush(stdout) && !code ? 4 : code;
}
