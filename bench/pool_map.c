/*
 * pool_map.c: the time of one pj_pool_map, for bench/pool_map.py: COUNT items of SIZE bytes, results as large.
 *
 *	pool_map WORKERS COUNT SIZE      prints the seconds of the map; the pool exists before
 */
#include <papjuice.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static pj_status give_back(pj_bytes item, pj_reply *result, void *arg)
{
	(void)arg;
	return pj_reply_append(result, item);
}

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Maps the items and prints the time. False: it failed, or a result is not its item. */
static bool map(pj_pool *pool, const pj_bytes *items, size_t count)
{
	pj_results *results;
	pj_error error;
	const double began = seconds();
	if (pj_pool_map(pool, give_back, NULL, items, count, 0, &results, &error))
		return false;
	printf("%.6f\n", seconds() - began);
	bool same = true;
	for (size_t i = 0; i < count; i++)
		same &= pj_bytes_equal(results->items[i], items[i]);
	pj_results_destroy(results);
	return same;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	const unsigned workers = (unsigned)strtoul(argv[1], NULL, 10);
	const size_t count = (size_t)strtoull(argv[2], NULL, 10), size = (size_t)strtoull(argv[3], NULL, 10);
	pj_bytes *items = malloc(count * sizeof *items);
	char *bytes = malloc(count * size + sizeof(uint64_t));
	pj_pool *pool = NULL;
	bool good = items && bytes && pj_pool_create(workers, &pool, NULL) == PJ_OK;
	for (size_t i = 0; i < count && good; i++) {
		items[i] = (pj_bytes){bytes + i * size, size};
		memset(bytes + i * size, (int)(i & 255), size);
	}
	good = good && map(pool, items, count);
	pj_pool_destroy(pool);
	free(bytes);
	free(items);
	return good ? 0 : 1;
}
