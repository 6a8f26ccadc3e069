/*
 * gen.c: makes inputs to measure with, the same bytes for the same arguments on every machine.
 *
 *     cc -O2 -o gen gen.c -lm
 *     gen text BYTES VOCABULARY SEED     lines of words, whose frequencies are about Zipf's (s = 1)
 *     gen rows COUNT KEYS SEED           lines "key;number", the number with one decimal, from -99.9 to 99.9
 *     gen records COUNT SEED             lines of 100 bytes: 10 random printable ones (the key), then a payload
 *     gen points COUNT PLACES SEED       lines "x y", six decimals, in squares around random places
 *     gen keys KIND COUNT DIFFERENT LENGTH SEED
 *                                        lines of one key: COUNT of them, LENGTH bytes, so many different ones, which
 *                                        come in the same order in each kind (each once, if all are different):
 *         random     printable bytes
 *         sorted     the same keys, in the order of their bytes
 *         prefix     all bytes but the last 4 are the same in all keys
 *         counted    decimal numbers with zeros in front, in an order that jumps
 *         collide    a third of them have one value of h = 31 h + byte, a third one of h = 33 h + byte, and a third one
 *                    sum and one exclusive or of their words of 4 bytes
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

static int points(uint64_t count, size_t places)
{
	const uint64_t width = 2000000000, side = 300000000; /* millionths */
	int64_t *const at = malloc(2 * places * sizeof *at);
	if (!at)
		return 1;
	for (size_t i = 0; i < 2 * places; i++)
		at[i] = (int64_t)below(width) - (int64_t)(width / 2);
	while (count--) {
		const size_t place = below(places);
		for (int axis = 0; axis < 2; axis++) {
			const int64_t value = at[2 * place + (size_t)axis] + (int64_t)below(side) - (int64_t)(side / 2);
			const unsigned long long size = (unsigned long long)(value < 0 ? -value : value);
			printf("%s%llu.%06llu%c", value < 0 ? "-" : "", size / 1000000, size % 1000000,
			       axis ? '\n' : ' ');
		}
	}
	free(at);
	return 0;
}

/* ------------------------------------------------------------------------------------------------- chosen keys */

static size_t key_len; /* of all keys of a set */

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, key_len);
}

/* Pairs of bytes (a, b) with one value of factor * a + b: there are seven, above the space, for factors up to 34. */
static void put_pairs(char *key, uint64_t index, int factor, char first)
{
	for (size_t at = 0; at + 2 <= key_len; at += 2, index /= 7) {
		const int step = (int)(index % 7);
		key[at] = letter(first, (uint64_t)step);
		key[at + 1] = (char)(240 - factor * step);
	}
}

/* The letters at the same place of each word of 4 bytes are turned round: sums over the words stay. */
static void put_turned(char *key, uint64_t index)
{
	const size_t words = key_len / 4;
	for (size_t lane = 0; lane < 4; lane++) {
		size_t left[64];
		for (size_t i = 0; i < words; i++)
			left[i] = i;
		for (size_t i = 0; i < words; i++) {
			const size_t choice = i + index % (words - i);
			index /= words - i;
			key[4 * i + lane] = letter('a', left[choice]);
			left[choice] = left[i];
		}
	}
}

static void put_key(char *key, const char *kind, uint64_t index, uint64_t different)
{
	memset(key, 'k', key_len);
	if (!strcmp(kind, "prefix")) {
		for (size_t i = key_len - 4; i < key_len; i++, index /= 94)
			key[i] = letter('!', index % 94);
	} else if (!strcmp(kind, "counted")) {
		index = (uint64_t)((__uint128_t)index * 6700417 % different); /* a prime */
		for (size_t i = key_len; i--; index /= 10)
			key[i] = letter('0', index % 10);
	} else if (!strcmp(kind, "collide")) {
		if (index % 3 == 2)
			put_turned(key, index / 3);
		else
			put_pairs(key, index / 3, index % 3 ? 33 : 31, index % 3 ? 'a' : 'A');
	} else {
		for (size_t i = 0; i < key_len; i++)
			key[i] = letter('!', below(94));
	}
}

static int keys(const char *kind, uint64_t count, uint64_t different)
{
	char *const all = malloc(different * key_len);
	if (!all)
		return 1;
	const int sorted = !strcmp(kind, "sorted");
	const uint64_t seed = state;
	for (uint64_t i = 0; i < different; i++)
		put_key(all + i * key_len, kind, i, different);
	if (sorted)
		qsort(all, different, key_len, by_bytes);
	state = ~seed;
	for (uint64_t i = 0; i < count; i++) {
		const uint64_t in_order = (uint64_t)((__uint128_t)i * different / count);
		fwrite(all + (sorted || different == count ? in_order : below(different)) * key_len, 1, key_len,
		       stdout);
		putchar('\n');
	}
	free(all);
	return 0;
}

static int make_keys(char **argv)
{
	static const char kinds[] = " random sorted prefix counted collide ";
	char kind[16];
	snprintf(kind, sizeof kind, " %.12s ", argv[2]);
	const uint64_t count = strtoull(argv[3], NULL, 10), different = strtoull(argv[4], NULL, 10);
	key_len = strtoull(argv[5], NULL, 10);
	state = strtoull(argv[6], NULL, 10);
	if (!strstr(kinds, kind) || !different || different > count || key_len < 20 || key_len > 100 || key_len % 4)
		return 2;
	return keys(argv[2], count, different);
}

static int make(int argc, char **argv)
{
	if (argc == 7 && !strcmp(argv[1], "keys"))
		return make_keys(argv);
	const uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	const uint64_t second = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
	state = argc > 4 ? strtoull(argv[4], NULL, 10) : second;
	if (argc == 5 && !strcmp(argv[1], "text") && second)
		return text(first, second);
	if (argc == 5 && !strcmp(argv[1], "rows") && second)
		return rows(first, second);
	if (argc == 4 && !strcmp(argv[1], "records"))
		return records(first);
	if (argc == 5 && !strcmp(argv[1], "points") && second)
		return points(first, second);
	return 2;
}

int main(int argc, char **argv)
{
	const int failed = make(argc, argv);
	if (failed == 2)
		fputs("usage: see the top of gen.c\n", stderr);
	else if (failed)
		fputs("gen: not enough memory\n", stderr);
	if (!failed && (fflush(stdout) || ferror(stdout))) {
		perror("gen");
		return 1;
	}
	return failed;
}
