/*
 * kmeans.c: groups points around centers, by Lloyd's algorithm ("Least squares quantization in PCM", 1982): a job that
 * is run again and again on one pool of workers, each time with new parameters.
 *
 *     kmeans --points points.txt --clusters 16      a point to a line: "-12.5 3.25", up to 8 numbers
 *     kmeans --workers 2 --check                    points of its own making, held against a plain loop
 *
 * The points stay in memory, where the workers read them. The centers begin at the first points. An iteration is one
 * run: the centers go to the workers as its parameters; the mapper finds the nearest center of each point and adds the
 * point to that center's total, on its stack; for each piece of text it emits the totals, a few pairs for thousands of
 * points; an aggregate adds them up; and the function that gets the results moves the centers.
 *
 * The centers are the same to the last digit for any number of workers and after any death of a worker: coordinates are
 * whole millionths, and their sums are kept in 128 bits, so totals can be added in any order; the nearest center is
 * worked out for each point alone.
 */
#include <papjuice.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { CLUSTERS_MOST = 128, DIMENSIONS_MOST = 8, LANES = 8, WHOLE_DIGITS = 9, DECIMALS = 6, MILLION = 1000000 };
enum { LARGE_PAGE = 2 << 20 /* bytes; on aarch64 it may be another, and then pages are small */ };

/* The parameters of a run. Centers lie side by side, so that one point is held against several of them at once. */
struct model {
	uint64_t clusters, dimensions;
	double center[DIMENSIONS_MOST][CLUSTERS_MOST]; /* whole millionths; beyond `clusters`: infinity */
};

/* Aligned as states are. */
__extension__ typedef __int128 wide __attribute__((aligned(8)));

/* The points of one center: value and state of the aggregate. */
struct total {
	uint64_t points;
	wide sum[DIMENSIONS_MOST];
};

struct settings {
	const char *points; /* a file; NULL: made */
	uint64_t clusters, dimensions, count, iterations, workers;
	bool check;
};

/* ------------------------------------------------------------------------------------------------ the arithmetic */

static bool is_digit(char byte)
{
	return (unsigned char)(byte - '0') < 10;
}

static const char *skip_blanks(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t' || *at == '\r'))
		at++;
	return at;
}

/*
 * Reads a decimal number as millionths; further digits are skipped. Returns where it ends, or NULL if there is no
 * number.
 */
static const char *read_number(const char *at, const char *end, int64_t *ret_number)
{
	at = skip_blanks(at, end);
	const bool minus = at < end && *at == '-';
	at += minus;
	const char *const start = at;
	int64_t number = 0;
	while (at < end && is_digit(*at) && at - start < WHOLE_DIGITS)
		number = number * 10 + (*at++ - '0');
	if (at == start)
		return NULL;
	int64_t unit = MILLION;
	if (at < end && *at == '.') {
		at++;
		for (; at < end && is_digit(*at) && unit > 1; at++, unit /= 10)
			number = number * 10 + (*at - '0');
		while (at < end && is_digit(*at))
			at++;
	}
	if (at < end && *at != ' ' && *at != '\n' && *at != '\t' && *at != '\r')
		return NULL;
	number *= unit;
	*ret_number = minus ? -number : number;
	return at;
}

/* Reads a line of `dimensions` numbers. Returns where the next one begins, NULL: the line is not such a point. */
static const char *read_point(const char *at, const char *end, size_t dimensions, int64_t *point)
{
	for (size_t d = 0; d < dimensions && at; d++)
		at = read_number(at, end, &point[d]);
	if (!at)
		return NULL;
	at = skip_blanks(at, end);
	return at == end ? end : *at == '\n' ? at + 1 : NULL;
}

/* The nearest center; of several as near the first. */
static size_t nearest(const struct model *model, const int64_t *point)
{
	size_t found = 0;
	double least = INFINITY;
	for (size_t first = 0; first < model->clusters; first += LANES) {
		double distance[LANES] = {0};
		for (size_t d = 0; d < model->dimensions; d++) {
			const double *center = &model->center[d][first], coordinate = (double)point[d];
			for (size_t i = 0; i < LANES; i++)
				distance[i] += (center[i] - coordinate) * (center[i] - coordinate);
		}
		for (size_t i = 0; i < LANES; i++) {
			if (distance[i] < least) {
				least = distance[i];
				found = first + i;
			}
		}
	}
	return found;
}

/*
 * Adds each point of the text to the total of its nearest center. Returns NULL, or the line that is not a point. It is
 * not to be inlined, so that there is one code, and one rounding of distances, for the workers and the plain loop.
 */
__attribute__((noinline)) static const char *add_points(const struct model *model, pj_bytes text, struct total *totals)
{
	const char *at = text.ptr, *const end = at + text.len;
	while (at < end) {
		int64_t point[DIMENSIONS_MOST];
		const char *const line = at;
		if (*at == '\n') {
			at++;
			continue;
		}
		at = read_point(at, end, model->dimensions, point);
		if (!at)
			return line;
		struct total *total = &totals[nearest(model, point)];
		total->points++;
		for (size_t d = 0; d < model->dimensions; d++)
			total->sum[d] += point[d];
	}
	return NULL;
}

/* The center goes to the mean of its points, rounded to millionths, a half upwards. */
static void move_center(struct model *model, size_t center, const struct total *total)
{
	for (size_t d = 0; d < model->dimensions; d++) {
		const wide doubled = 2 * (wide)total->points, over = 2 * total->sum[d] + total->points;
		const wide mean = over / doubled - (over % doubled < 0);
		model->center[d][center] = (double)(int64_t)mean;
	}
}

/* -------------------------------------------------------------------------------------------------------- the job */

static pj_status map_points(pj_task *task, pj_bytes text, void *arg)
{
	struct model model;
	struct total totals[CLUSTERS_MOST];
	memcpy(&model, pj_task_params(task).ptr, sizeof model);
	memset(totals, 0, model.clusters * sizeof *totals);
	const char *bad = add_points(&model, text, totals);
	if (bad)
		return pj_task_fail(task, PJ_ERR_RECORD, bad, "the line is not a point of %u numbers",
				    (unsigned)model.dimensions);
	for (size_t i = 0; i < model.clusters; i++) {
		const char key = (char)i;
		if (totals[i].points)
			pj_emit(task, (pj_bytes){&key, 1}, (pj_bytes){(const char *)&totals[i], sizeof totals[i]});
	}
	return PJ_OK;
}

static void merge_totals(void *state, const void *other, void *arg)
{
	struct total *total = state;
	const struct total *more = other;
	total->points += more->points;
	for (size_t d = 0; d < DIMENSIONS_MOST; d++)
		total->sum[d] += more->sum[d];
}

static void add_total(void *state, pj_bytes value, void *arg)
{
	struct total more; /* the bytes of a value lie anywhere */
	memcpy(&more, value.ptr, sizeof more);
	merge_totals(state, &more, arg);
}

static pj_status write_total(const void *state, pj_text *text, void *arg)
{
	pj_text_bytes(text, (pj_bytes){state, sizeof(struct total)});
	return PJ_OK;
}

static const pj_aggregate totals_of_centers = {
	.name = "totals", .takes = PJ_TAKES_BYTES, .exact = true, .state_bytes = sizeof(struct total),
	.add_bytes = add_total, .merge = merge_totals, .finish = write_total,
};

static const pj_job job = {
	.abi     = PJ_ABI,
	.name    = "kmeans",
	.mapper  = { .text = map_points },
	.reducer = { .aggregate = &totals_of_centers },
};

/* ------------------------------------------------------------------------------------------------- the iterations */

/* Where the centers are, and how many points were nearest to each before they last moved. */
struct state {
	struct model model;
	uint64_t points[CLUSTERS_MOST];
};

/* Gets a result of a run, in this process. */
static pj_status take_total(void *arg, pj_bytes key, pj_bytes value)
{
	struct state *state = arg;
	const size_t center = (unsigned char)key.ptr[0];
	struct total total;
	memcpy(&total, value.ptr, sizeof total);
	state->points[center] = total.points;
	move_center(&state->model, center, &total);
	return PJ_OK;
}

static double seconds(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* By the clock on the wall: all iterations, with the pool's beginning and end; and those after the first, without. */
struct times {
	double all, standing;
};

static pj_status iterate(const struct settings *settings, const pj_bytes *points, struct state *state,
			 struct times *times, pj_error *error)
{
	const pj_options options = {
		.input       = { .memory = points, .memory_count = 1 },
		.workers     = (unsigned)settings->workers,
		.partitions  = 1,       /* there are few keys */
		.split_bytes = 2 << 20, /* small tasks: the workers of an iteration end together */
	};
	const pj_output output = { .pair = take_total, .arg = state };
	const double begun = seconds(CLOCK_MONOTONIC);
	double stood = begun;
	uint64_t failures = 0;
	pj_session *session;
	pj_status status = pj_session_open(&job, 1, &options, &session, error);
	if (status)
		return status;
	for (uint64_t i = 0; i < settings->iterations && !status; i++) {
		const pj_bytes params = { (const char *)&state->model, sizeof state->model };
		pj_result result;
		memset(state->points, 0, sizeof state->points); /* a center without points is in no result */
		status = pj_session_run(session, 0, params, &output, &result, error);
		failures += result.failures;
		stood = i ? stood : seconds(CLOCK_MONOTONIC);
	}
	times->standing = seconds(CLOCK_MONOTONIC) - stood;
	pj_session_close(session);
	times->all = seconds(CLOCK_MONOTONIC) - begun;
	if (failures)
		fprintf(stderr, "kmeans: note: attempts failed and were done again: %llu\n",
			(unsigned long long)failures);
	return status;
}

/* The same without PapJuice; *ret_seconds: processor time. */
static void iterate_plainly(const struct settings *settings, pj_bytes text, struct state *state, double *ret_seconds)
{
	const double begun = seconds(CLOCK_PROCESS_CPUTIME_ID);
	for (uint64_t i = 0; i < settings->iterations; i++) {
		struct total totals[CLUSTERS_MOST] = {0};
		(void)add_points(&state->model, text, totals); /* a bad line would have failed the runs */
		for (size_t center = 0; center < settings->clusters; center++) {
			state->points[center] = totals[center].points;
			if (totals[center].points)
				move_center(&state->model, center, &totals[center]);
		}
	}
	*ret_seconds = seconds(CLOCK_PROCESS_CPUTIME_ID) - begun;
}

/* ------------------------------------------------------------------------------------------------------- points */

static uint64_t next_random(uint64_t *state)
{
	/* splitmix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014 */
	uint64_t z = *state += 0x9e3779b97f4a7c15;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static void print_number(FILE *file, int64_t number, char behind)
{
	const int64_t size = number < 0 ? -number : number;
	fprintf(file, "%s%lld.%0*lld%c", number < 0 ? "-" : "", (long long)(size / MILLION), DECIMALS,
		(long long)(size % MILLION), behind);
}

/* Makes points in squares around random places, the same ones each time. The caller frees the text; NULL: no memory. */
static char *make_points(const struct settings *settings, size_t *ret_len)
{
	static const int64_t reach = 1000 * (int64_t)MILLION, side = 300 * (int64_t)MILLION;
	int64_t place[CLUSTERS_MOST][DIMENSIONS_MOST];
	uint64_t random = 1;
	char *text = NULL;
	FILE *file = open_memstream(&text, ret_len);
	if (!file)
		return NULL;
	for (size_t i = 0; i < settings->clusters; i++)
		for (size_t d = 0; d < settings->dimensions; d++)
			place[i][d] = (int64_t)(next_random(&random) % (uint64_t)(2 * reach)) - reach;
	for (uint64_t n = 0; n < settings->count; n++) {
		const int64_t *around = place[next_random(&random) % settings->clusters];
		for (size_t d = 0; d < settings->dimensions; d++) {
			const int64_t off = (int64_t)(next_random(&random) % (uint64_t)side) - side / 2;
			print_number(file, around[d] + off, d + 1 < settings->dimensions ? ' ' : '\n');
		}
	}
	const int failed = ferror(file);
	if (fclose(file) || failed) {
		free(text);
		return NULL;
	}
	return text;
}

/*
 * Twice as much memory, or the first, in pages as large as there are: a worker gets a copy of the table of pages when
 * it is forked, and a large page is one entry instead of 512. NULL: there is none, and the old memory is as it was.
 */
static char *enlarge(char *old, size_t len, size_t room)
{
	char *const larger = aligned_alloc(LARGE_PAGE, room);
	if (!larger)
		return NULL;
	(void)madvise(larger, room, MADV_HUGEPAGE); /* where there are no large pages small ones will do */
	memcpy(larger, old ? old : "", len);
	free(old);
	return larger;
}

/* The text of a file, or NULL, and errno tells why. The caller frees it. */
static char *read_file(const char *path, size_t *ret_len)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t len = 0, room = 0;
	bool failed = !file;
	while (!failed && !feof(file)) {
		if (len == room) {
			char *const larger = enlarge(text, len, room = room ? 2 * room : LARGE_PAGE);
			failed = !larger;
			text = larger ? larger : text;
		}
		len += failed ? 0 : fread(text + len, 1, room - len, file);
		failed = failed || ferror(file);
	}
	const int why = errno;
	if (file)
		fclose(file);
	if (failed)
		free(text);
	errno = why;
	*ret_len = len;
	return failed ? NULL : text;
}

/* How many numbers the line holds; more than a point may have: it is not one. */
static size_t count_numbers(const char *at, const char *end)
{
	int64_t number;
	size_t count = 0;
	while (at && count <= DIMENSIONS_MOST && skip_blanks(at, end) < end && *skip_blanks(at, end) != '\n') {
		at = read_number(at, end, &number);
		count++;
	}
	return at ? count : DIMENSIONS_MOST + 1;
}

/* The centers begin at the first points, which also tell how many numbers make a point. False: they are not points. */
static bool place_centers(pj_bytes text, uint64_t clusters, struct model *model)
{
	const char *at = text.ptr, *const end = at + text.len;
	size_t placed = 0;
	*model = (struct model){ .clusters = clusters };
	for (size_t d = 0; d < DIMENSIONS_MOST; d++)
		for (size_t i = 0; i < CLUSTERS_MOST; i++)
			model->center[d][i] = INFINITY;
	while (placed < clusters && at && at < end) {
		int64_t point[DIMENSIONS_MOST];
		if (*at == '\n') {
			at++;
			continue;
		}
		if (!placed)
			model->dimensions = count_numbers(at, end);
		if (!model->dimensions || model->dimensions > DIMENSIONS_MOST)
			return false;
		at = read_point(at, end, model->dimensions, point);
		for (size_t d = 0; d < model->dimensions && at; d++)
			model->center[d][placed] = (double)point[d];
		placed += at != NULL;
	}
	return placed == clusters;
}

/* ---------------------------------------------------------------------------------------------------- the program */

static const char help[] =
	"usage: kmeans [OPTION]...\n"
	"Moves centers to the means of the points nearest to them; prints each center's\n"
	"number of points, and where it is.\n\n"
	"      --points FILE    a point to a line: 1 to 8 numbers (without it: made)\n"
	"  -k, --clusters N     number of centers, 1 to 128 (16)\n"
	"  -n, --iterations N   how often they are moved (10)\n"
	"  -w, --workers N      processes (as many as there are processors)\n"
	"      --count N        made points (500000)\n"
	"      --dimensions N   their numbers (2)\n"
	"      --check          hold the result and the time against a plain loop\n";

static uint64_t number_of(const char *name, uint64_t least, uint64_t most)
{
	char *end;
	const unsigned long long number = strtoull(optarg, &end, 10);
	if (!is_digit(*optarg) || *end || number < least || number > most) {
		fprintf(stderr, "kmeans: --%s %s: from %llu to %llu\n", name, optarg, (unsigned long long)least,
			(unsigned long long)most);
		exit(2);
	}
	return number;
}

static struct settings read_options(int argc, char **argv)
{
	static const struct option known[] = {
		{ "points", required_argument, NULL, 'p' },  { "clusters", required_argument, NULL, 'k' },
		{ "iterations", required_argument, NULL, 'n' }, { "workers", required_argument, NULL, 'w' },
		{ "count", required_argument, NULL, 'c' },   { "dimensions", required_argument, NULL, 'd' },
		{ "check", no_argument, NULL, 'x' },         { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct settings settings = { .clusters = 16, .dimensions = 2, .count = 500000, .iterations = 10 };
	for (int letter; (letter = getopt_long(argc, argv, "k:n:w:h", known, NULL)) != -1;) {
		switch (letter) {
		case 'p': settings.points = optarg; break;
		case 'k': settings.clusters = number_of("clusters", 1, CLUSTERS_MOST); break;
		case 'n': settings.iterations = number_of("iterations", 1, MILLION); break;
		case 'w': settings.workers = number_of("workers", 1, PJ_WORKERS_MAX); break;
		case 'c': settings.count = number_of("count", 1, 1000 * (uint64_t)MILLION); break;
		case 'd': settings.dimensions = number_of("dimensions", 1, DIMENSIONS_MOST); break;
		case 'x': settings.check = true; break;
		case 'h': fputs(help, stdout); exit(0);
		default: exit(2);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "kmeans: what is %s? see --help\n", argv[optind]);
		exit(2);
	}
	return settings;
}

static void print_centers(const struct state *state)
{
	const struct model *model = &state->model;
	for (size_t i = 0; i < model->clusters; i++) {
		printf("%llu\t", (unsigned long long)state->points[i]);
		for (size_t d = 0; d < model->dimensions; d++)
			print_number(stdout, (int64_t)model->center[d][i], d + 1 < model->dimensions ? ' ' : '\n');
	}
}

static bool same(const struct state *a, const struct state *b)
{
	bool equal = true;
	for (size_t i = 0; i < a->model.clusters; i++) {
		equal &= a->points[i] == b->points[i];
		for (size_t d = 0; d < a->model.dimensions; d++)
			equal &= a->model.center[d][i] == b->model.center[d][i];
	}
	return equal;
}

/* Runs the plain loop from the same beginning. 0: it comes to the same result; else an exit code. */
static int check(const struct settings *settings, pj_bytes text, struct state *plain, const struct state *state,
		 double wall)
{
	double processor;
	iterate_plainly(settings, text, plain, &processor);
	if (!same(plain, state)) {
		fprintf(stderr, "kmeans: the plain loop moves them elsewhere\n");
		return 6;
	}
	const long workers = (long)settings->workers, online = sysconf(_SC_NPROCESSORS_ONLN);
	const long used = workers && workers < online ? workers : online;
	fprintf(stderr, "check: the same from a plain loop, in %.3f s of a processor; shared by %ld: %.3f times that\n",
		processor, used, wall / processor * (double)used);
	return 0;
}

static int run(const struct settings *settings, pj_bytes text)
{
	static struct state state, plain;
	struct times times = {0};
	pj_error error;
	if (!place_centers(text, settings->clusters, &state.model)) {
		fprintf(stderr, "kmeans: the first %llu lines must be points, all of 1 to %d numbers\n",
			(unsigned long long)settings->clusters, DIMENSIONS_MOST);
		return 3;
	}
	plain = state;
	if (iterate(settings, &text, &state, &times, &error)) {
		char line[1024];
		if (settings->points && strcmp(error.file, "memory:0") == 0)
			snprintf(error.file, sizeof error.file, "%s", settings->points);
		fprintf(stderr, "kmeans: %s\n", pj_error_format(&error, line, sizeof line));
		return pj_error_exit_code(&error);
	}
	print_centers(&state);
	fprintf(stderr, "%llu iterations in %.3f s, those after the first in %.3f s\n",
		(unsigned long long)settings->iterations, times.all, times.standing);
	return settings->check ? check(settings, text, &plain, &state, times.all) : 0;
}

int main(int argc, char **argv)
{
	const struct settings settings = read_options(argc, argv);
	size_t len = 0;
	char *text = settings.points ? read_file(settings.points, &len) : make_points(&settings, &len);
	int code = settings.points ? 3 : 4;
	if (text)
		code = run(&settings, (pj_bytes){ text, len });
	else
		fprintf(stderr, "kmeans: %s: %s\n", settings.points ? settings.points : "the points", strerror(errno));
	free(text);
	return fflush(stdout) && !code ? 4 : code;
}
