/*
 * gen.c: makes inputs to measure with, the same bytes for the same arguments on every machine.
 *
 *     cc -O2 -o gen gen.c -lm
 *     gen text BYTES VOCABULARY SEED     lines of words, whose frequencies are about Zipf's (s = 1)
 *     gen rows COUNT KEYS SEED           lines "key;number", the number with one decimal, from -99.9 to 99.9
 *     gen records COUNT SEED             lines of 100 bytes: 10 random printable ones (the key), then a payload
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state;

/* splitmix64 (Steele, Lea, Flood 2014), public domain. */
static uint64_t next(void)
{
	uint64_t mix = (state += 0x9e3779b97f4a7c15u);
	mix = (mix ^ (mix >> 30)) * 0xbf58476d1ce4e5b9u;
	mix = (mix ^ (mix >> 27)) * 0x94d049bb133111ebu;
	return mix ^ (mix >> 31);
}

static uint64_t below(uint64_t limit)
{
	return (uint64_t)(((__uint128_t)next() * limit) >> 64);
}

static char letter(char first, uint64_t index)
{
	return (char)(first + (char)index);
}

static void free_names(char **names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
}

/* A name for each index, of up to about `most` letters, unlike all others: the index in base 26 is part of it. */
static char **make_names(size_t count, size_t most)
{
	char **names = malloc(count * sizeof *names);
	for (size_t i = 0; names && i < count; i++) {
		char name[160];
		size_t len = 0, rest = i;
		do
			name[len++] = letter('a', rest % 26);
		while (rest /= 26);
		size_t more = below(most > len ? most - len + 1 : 1);
		name[len++] = letter('A', below(26));
		while (more-- && len < sizeof name - 1)
			name[len++] = letter('a', below(26));
		name[len] = 0;
		names[i] = strdup(name);
		if (!names[i]) {
			free_names(names, i);
			return NULL;
		}
	}
	return names;
}

static int text(uint64_t bytes, size_t vocabulary)
{
	char **const names = make_names(vocabulary, 12);
	if (!names)
		return 1;
	const double harmonic = log((double)vocabulary) + 0.5772156649; /* Euler's constant */
	uint64_t column = 0;
	for (uint64_t done = 0; done < bytes;) {
		const double even = (double)(next() >> 11) * 0x1p-53;
		size_t rank = (size_t)exp(even * harmonic) - 1; /* about the inverse of the distribution */
		if (rank >= vocabulary)
			rank = vocabulary - 1;
		const size_t len = strlen(names[rank]);
		fwrite(names[rank], 1, len, stdout);
		column += len + 1;
		putchar(column > 70 ? '\n' : ' ');
		if (column > 70)
			column = 0;
		done += len + 1;
	}
	putchar('\n');
	free_names(names, vocabulary);
	return 0;
}

static int rows(uint64_t count, size_t keys)
{
	char **const names = make_names(keys, keys <= 1000 ? 16 : 90);
	if (!names)
		return 1;
	while (count--) {
		const int64_t tenths = (int64_t)below(1999) - 999;
		const int size = (int)(tenths < 0 ? -tenths : tenths);
		printf("%s;%s%d.%d\n", names[below(keys)], tenths < 0 ? "-" : "", size / 10, size % 10);
	}
	free_names(names, keys);
	return 0;
}

static int records(uint64_t count)
{
	char line[101];
	for (uint64_t i = 0; i < count; i++) {
		for (int k = 0; k < 10; k++)
			line[k] = letter('!', below(94));
		snprintf(line + 10, sizeof line - 10, " %032llu ", (unsigned long long)i);
		memset(line + 44, 'A' + (int)(i % 26), 55);
		line[99] = '\n';
		fwrite(line, 1, 100, stdout);
	}
	return 0;
}

static int make(int argc, char **argv)
{
	const uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	const uint64_t second = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
	state = argc > 4 ? strtoull(argv[4], NULL, 10) : second;
	if (argc == 5 && !strcmp(argv[1], "text") && second)
		return text(first, second);
	if (argc == 5 && !strcmp(argv[1], "rows") && second)
		return rows(first, second);
	if (argc == 4 && !strcmp(argv[1], "records"))
		return records(first);
	fputs("usage: gen text BYTES VOCABULARY SEED | rows COUNT KEYS SEED | records COUNT SEED\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	const int failed = make(argc, argv);
	if (!failed && (fflush(stdout) || ferror(stdout))) {
		perror("gen");
		return 1;
	}
	return failed;
}
