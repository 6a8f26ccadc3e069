/*
 * sort_limit.c: speed-of-light probe: lines of 100 bytes sorted by all of their bytes.
 *
 *     cc -O3 -march=native -o sort_limit sort_limit.c
 *     sort_limit IN OUT [WORKERS]
 *
 * First each worker reads chunks, and puts the first 8 bytes and the index of each line to one of 1,024 ranges, whose
 * borders come from a sample. Then it takes the next range, sorts its prefixes, packed with what is left of 64 bits for
 * the place in the range, gathers the lines from the page cache, and writes them to where they belong. Lines whose
 * packed prefixes are equal are sorted by insertion: many equal ones make it slow.
 */
#include "probe.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { LINE = 100, RANGES = 1024, WORKERS_MOST = 8, CHUNK = 1024, SIDE_BY_SIDE = 64, AHEAD = 24, SAMPLED = 16 };

struct common {
	_Atomic uint64_t next_line;
	char apart[56];
	_Atomic uint64_t next_range;
	_Atomic unsigned arrived;
	uint64_t counts[WORKERS_MOST][RANGES];
};

/* Room for one range, used again and again. */
struct room {
	uint64_t *packed, *spare;
	uint32_t *given, *order;
	char *text;
};

static unsigned workers = 2;
static struct common *common;
static uint64_t splitters[RANGES];
static uint64_t *prefixes[WORKERS_MOST]; /* [range * region + i], one after another */
static uint32_t *indexes[WORKERS_MOST];
static uint64_t region;
static uint64_t lines;
static const char *input;

static void sample(int fd)
{
	enum { PLACES = 1250 };
	uint64_t *const keys = malloc(PLACES * SAMPLED * sizeof *keys), found = 0;
	char some[LINE * SAMPLED];
	for (uint64_t place = 0; place < PLACES; place++) {
		const ssize_t got = pread(fd, some, sizeof some, (off_t)(lines * place / PLACES * LINE));
		for (ssize_t i = 0; i < got / LINE; i++)
			keys[found++] = first_8(some + i * LINE);
	}
	qsort(keys, found, sizeof *keys, by_u64);
	for (uint64_t i = 0; i + 1 < RANGES; i++)
		splitters[i] = found ? keys[(i + 1) * found / RANGES] : 0;
	splitters[RANGES - 1] = UINT64_MAX;
	free(keys);
}

/* The first pass over some lines: their ranges are searched side by side. */
static inline void place_some(unsigned worker, const char *text, uint64_t first, uint32_t count)
{
	uint64_t key[SIDE_BY_SIDE];
	uint32_t range[SIDE_BY_SIDE];
	for (uint32_t i = 0; i < count; i++) {
		key[i] = first_8(text + (size_t)i * LINE);
		range[i] = 0;
	}
	for (uint32_t half = RANGES / 2; half; half /= 2) {
		for (uint32_t i = 0; i < count; i++) {
			uint32_t above = splitters[range[i] + half - 1] <= key[i];
			__asm__("" : "+r"(above));
			range[i] += half & -above;
		}
	}
	for (uint32_t i = 0; i < count; i++) {
		const uint64_t at = range[i] * region + common->counts[worker][range[i]]++;
		prefixes[worker][at] = key[i];
		indexes[worker][at] = (uint32_t)(first + i);
	}
}

static void place_all(unsigned worker, int fd)
{
	char *const text = map_memory(CHUNK * LINE + 64, 0, 0);
	for (;;) {
		const uint64_t first = atomic_fetch_add(&common->next_line, CHUNK);
		if (first >= lines)
			return;
		const uint64_t count = lines - first < CHUNK ? lines - first : CHUNK;
		read_at(fd, text, count * LINE, first * LINE);
		for (uint64_t i = 0; i < count; i += SIDE_BY_SIDE)
			place_some(worker, text + i * LINE, first + i,
				   count - i < SIDE_BY_SIDE ? (uint32_t)(count - i) : SIDE_BY_SIDE);
	}
}

static const char *line_of(uint32_t index)
{
	return input + (uint64_t)index * LINE;
}

static void insertion_sort(uint32_t *order, uint64_t count)
{
	for (uint64_t i = 1; i < count; i++) {
		const uint32_t item = order[i];
		uint64_t j = i;
		for (; j && memcmp(line_of(order[j - 1]), line_of(item), LINE) > 0; j--)
			order[j] = order[j - 1];
		order[j] = item;
	}
}

/* Puts the lines of a range in order, in room->order; returns how many they are. */
static uint64_t sort_range(struct room *room, uint64_t range)
{
	uint64_t count = 0, least = UINT64_MAX, most = 0;
	for (unsigned worker = 0; worker < workers; worker++) {
		const uint64_t some = common->counts[worker][range];
		memcpy(room->packed + count, prefixes[worker] + range * region, some * sizeof *room->packed);
		memcpy(room->given + count, indexes[worker] + range * region, some * sizeof *room->given);
		count += some;
	}
	for (uint64_t i = 0; i < count; i++) {
		least = room->packed[i] < least ? room->packed[i] : least;
		most = room->packed[i] > most ? room->packed[i] : most;
	}
	const uint64_t index = count > 1 ? (1ull << (64 - __builtin_clzll(count - 1))) - 1 : 0;
	const int shift = most > least ? __builtin_clzll(most - least) : 0;
	for (uint64_t i = 0; i < count; i++)
		room->packed[i] = (((room->packed[i] - least) << shift) & ~index) | i;
	sort_u64(room->packed, count, 60, room->spare);
	for (uint64_t i = 0; i < count; i++)
		room->order[i] = room->given[room->packed[i] & index];
	for (uint64_t i = 0, j; i < count; i = j) {
		for (j = i + 1; j < count && (room->packed[j] | index) == (room->packed[i] | index); j++)
			;
		if (j - i > 1)
			insertion_sort(room->order + i, j - i);
	}
	return count;
}

static void gather(struct room *room, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		if (i + AHEAD < count) {
			__builtin_prefetch(line_of(room->order[i + AHEAD]));
			__builtin_prefetch(line_of(room->order[i + AHEAD]) + 64);
		}
		const char *const from = line_of(room->order[i]);
		char *const to = room->text + i * LINE;
		const __m512i front = _mm512_loadu_si512(from), back = _mm512_loadu_si512(from + LINE - 64);
		_mm512_storeu_si512(to, front);
		_mm512_storeu_si512(to + LINE - 64, back);
	}
}

static void write_ranges(int out)
{
	uint64_t before[RANGES + 1] = {0}, most = 0;
	for (uint64_t range = 0; range < RANGES; range++) {
		uint64_t count = 0;
		for (unsigned worker = 0; worker < workers; worker++)
			count += common->counts[worker][range];
		before[range + 1] = before[range] + count;
		most = count > most ? count : most;
	}
	struct room room = {map_memory(most * 8 + 64, 0, 0), map_memory(most * 8 + 128, 0, 0),
			    map_memory(most * 4 + 64, 0, 0), map_memory(most * 4 + 64, 0, 0),
			    map_memory(most * LINE + 128, 0, 0)};
	for (;;) {
		const uint64_t range = atomic_fetch_add(&common->next_range, 1);
		if (range >= RANGES)
			return;
		const uint64_t count = sort_range(&room, range);
		gather(&room, count);
		write_at(out, room.text, count * LINE, before[range] * LINE);
	}
}

static void work(unsigned worker, int in, int out)
{
	place_all(worker, in);
	atomic_fetch_add(&common->arrived, 1);
	while (atomic_load(&common->arrived) < workers)
		usleep(50);
	write_ranges(out);
	_exit(0);
}

int main(int argc, char **argv)
{
	workers = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 2;
	if (argc < 3 || argc > 4 || !workers || workers > WORKERS_MOST)
		return 2;
	const int in = open(argv[1], O_RDONLY), out = open(argv[2], O_RDWR | O_CREAT, 0644);
	struct stat is;
	if (in < 0 || out < 0 || fstat(in, &is) < 0)
		die("open");
	lines = (uint64_t)is.st_size / LINE;
	input = mmap(NULL, (size_t)is.st_size, PROT_READ, MAP_SHARED, in, 0);
	if (input == MAP_FAILED)
		die("mmap");
	common = map_memory(sizeof *common, 1, 0);
	region = (lines + 511) & ~511ull; /* whatever the input, a range has room for all */
	for (unsigned worker = 0; worker < workers; worker++) {
		prefixes[worker] = map_memory(region * 8 * RANGES, 1, 0);
		indexes[worker] = map_memory(region * 4 * RANGES, 1, 0);
	}
	sample(in);
	for (unsigned worker = 0; worker < workers; worker++)
		if (fork() == 0)
			work(worker, in, out);
	int how, failed = 0;
	while (wait(&how) > 0)
		failed |= how;
	if (failed || ftruncate(out, (off_t)(lines * LINE)) < 0)
		die("failed");
	return 0;
}
