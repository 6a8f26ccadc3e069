/*
 * line_sum.c: tells whether two files have the same lines, in whatever order: their number, and the sum of their
 * hashes.
 *
 *     cc -O2 -o line_sum line_sum.c
 *     line_sum FILE          prints "LINES SUM SUM": the halves of XXH3's 128 bits, added up modulo 2^64
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	FILE *const file = fopen(argv[1], "r");
	if (!file) {
		perror(argv[1]);
		return 3;
	}
	char *line = NULL;
	size_t room = 0;
	uint64_t lines = 0, low = 0, high = 0;
	for (ssize_t len; (len = getline(&line, &room, file)) > 0; lines++) {
		if (line[len - 1] == '\n')
			len--;
		const XXH128_hash_t hash = XXH3_128bits(line, (size_t)len);
		low += hash.low64;
		high += hash.high64;
	}
	const int whole = feof(file) && !ferror(file);
	free(line);
	if (fclose(file) || !whole) {
		perror(argv[1]);
		return 3;
	}
	return printf("%" PRIu64 " %016" PRIx64 " %016" PRIx64 "\n", lines, low, high) < 0 || fflush(stdout) ? 3 : 0;
}
