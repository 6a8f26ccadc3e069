/*
 * probe.h: what the speed-of-light probes share: memory, an end in case of trouble, a vector quicksort.
 *
 * The probes show what the machine can do. They are not product code: one purpose each, AVX-512 only, few errors are
 * looked at, nothing is promised. `make bench` builds them with -O3 -march=native where the processor can run them.
 */
#ifndef PJ_BENCH_PROBE_H
#define PJ_BENCH_PROBE_H

#include <immintrin.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static inline void die(const char *what)
{
	perror(what);
	_exit(1);
}

/* Zeroed memory, aligned to 2 MB; it costs nothing until it is touched. */
static inline void *map_memory(size_t bytes, int shared, int huge)
{
	const uintptr_t page = 2 << 20;
	char *at = mmap(NULL, bytes + page, PROT_READ | PROT_WRITE,
			(shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		die("mmap");
	at = (char *)(((uintptr_t)at + page - 1) & ~(page - 1));
	if (huge)
		madvise(at, bytes, MADV_HUGEPAGE);
	return at;
}

static inline void read_at(int fd, void *to, size_t bytes, uint64_t offset)
{
	for (size_t got = 0; got < bytes;) {
		const ssize_t step = pread(fd, (char *)to + got, bytes - got, (off_t)(offset + got));
		if (step <= 0)
			die("pread");
		got += (size_t)step;
	}
}

static inline void write_at(int fd, const void *from, size_t bytes, uint64_t offset)
{
	for (size_t done = 0; done < bytes;) {
		const ssize_t step = pwrite(fd, (const char *)from + done, bytes - done, (off_t)(offset + done));
		if (step <= 0)
			die("pwrite");
		done += (size_t)step;
	}
}

/* The first 8 bytes, so that numbers compare as bytes do. */
static inline uint64_t first_8(const void *from)
{
	uint64_t word;
	memcpy(&word, from, sizeof word);
	return __builtin_bswap64(word);
}

static inline int by_u64(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static inline uint64_t middle_of(uint64_t x, uint64_t y, uint64_t z)
{
	return x < y ? (y < z ? y : (x < z ? z : x)) : (x < z ? x : (y < z ? z : y));
}

/* Moves what is less than the pivot to the front, the rest after it, through `spare`; returns how many are less. */
static inline uint64_t split_u64(uint64_t *items, uint64_t count, uint64_t pivot, uint64_t *spare)
{
	const __m512i pivots = _mm512_set1_epi64((long long)pivot);
	uint64_t *less = items, *rest = spare, i = 0;
	for (; i + 8 <= count; i += 8) {
		const __m512i some = _mm512_loadu_si512(items + i);
		const __mmask8 are_less = _mm512_cmplt_epu64_mask(some, pivots);
		_mm512_storeu_si512(less, _mm512_maskz_compress_epi64(are_less, some));
		less += __builtin_popcount(are_less);
		_mm512_storeu_si512(rest, _mm512_maskz_compress_epi64((__mmask8)~are_less, some));
		rest += 8 - __builtin_popcount(are_less);
	}
	for (; i < count; i++) {
		const uint64_t item = items[i];
		if (item < pivot)
			*less++ = item;
		else
			*rest++ = item;
	}
	const uint64_t below = (uint64_t)(less - items);
	memcpy(less, spare, (count - below) * sizeof *items);
	return below;
}

/* Sorts numbers that differ; `spare` has room for count + 16. */
static inline void sort_u64(uint64_t *items, uint64_t count, int depth, uint64_t *spare)
{
	while (count > 48) {
		if (depth-- < 0) {
			qsort(items, count, sizeof *items, by_u64);
			return;
		}
		const uint64_t pivot = middle_of(items[count / 8], items[count / 2], items[count - 1 - count / 8]);
		const uint64_t below = split_u64(items, count, pivot, spare);
		if (!below) { /* the pivot is the least: it goes to the front */
			uint64_t i = 0;
			while (items[i] != pivot)
				i++;
			items[i] = items[0];
			items[0] = pivot;
			items++;
			count--;
		} else if (below < count - below) {
			sort_u64(items, below, depth, spare);
			items += below;
			count -= below;
		} else {
			sort_u64(items + below, count - below, depth, spare);
			count = below;
		}
	}
	for (uint64_t i = 1; i < count; i++) {
		const uint64_t item = items[i];
		uint64_t j = i;
		for (; j && items[j - 1] > item; j--)
			items[j] = items[j - 1];
		items[j] = item;
	}
}

#endif
