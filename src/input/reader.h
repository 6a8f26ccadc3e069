/*
 * reader.h: the records of a split, as pieces of whole lines.
 *
 * A split is a range of bytes of one source. A line belongs to the split in which its first byte lies, wherever the
 * borders fall, so every line is read by exactly one split:
 *
 *     bytes     one\ntwo\nthree\nfour
 *     splits    |     |      |      |
 *     lines     one,two three four           (a split may own none)
 *
 * How: unless it begins the source, a split starts reading one byte early and passes over everything up to the first
 * newline; it ends behind the first newline at or after its last byte. A line that is longer than the buffer makes the
 * buffer grow, no further than it is long, and the memory goes back when the line is done; a split that lies inside
 * such a line looks at its own bytes only.
 *
 * The borders of a compressed source are places in its compressed bytes where units begin (codec.h), and which offset
 * in the text they stand for only decoding tells. So offsets are counted from the split's beginning there, and shifted
 * by a byte: a line belongs to the split if it begins behind its first byte, or with the first byte of the next split;
 * then nobody needs the byte before his first unit. The first split begins with the text, as ever. A border must turn
 * out to be one when the split before it is decoded, or the input is refused.
 *
 * Bytes are read with pread into one buffer that is used again and again (mapping costs page faults: performance.md).
 * Those of an input in memory are handed out where they are.
 */
#ifndef PJ_INPUT_READER_H
#define PJ_INPUT_READER_H

#include "base/space.h"
#include "codec/decoder.h"
#include "input/source.h"

typedef struct pj__split {
	uint32_t source;     /* index in the list of sources */
	uint64_t start, end; /* bytes of the source; places in it, if it is compressed */
	/*
	 * No byte of the source at or behind this is read: its size; of a stream, how far it is spooled, which is
	 * behind the first newline at or after end - 1, or the stream's end.
	 */
	uint64_t limit;
	uint64_t lines; /* of the source, before the first one that belongs to the split, if they were counted */
	/* of a compressed source: offset in the text of the split's first byte, if it was counted, ... */
	uint64_t origin;
	uint64_t
		most; /* ... and bytes of text behind which lines do not belong to it any more; 0: it has no such end */
} pj__split;

typedef struct pj__reader {
	const pj__sources *sources;
	size_t piece_bytes;
	uint64_t longest;    /* bytes that a line may have for there to be memory for it; 0: any number */
	uint64_t max_record; /* bytes that a line may have by order; 0: any number */
	/* Optional: a line of more than max_record bytes was found. True: it is passed over, instead of refused. */
	bool (*passes_over)(void *map, uint64_t offset, uint64_t bytes);
	void *map;
	uint64_t refused; /* where the line is that was refused */
	pj__space buffer; /* the text, and PJ_TEXT_PADDING more bytes */
	size_t capacity;  /* of the text */
	size_t touched;   /* bytes of the buffer that take memory */
	/* Optional: told when a line takes more than `usual` bytes, and when their memory has gone back. */
	void (*strained)(void *arg, bool is);
	void *arg;
	size_t usual;
	bool is_strained;
	/* Optional: becomes a signal's number when lines need not be counted, nor looked for, any more. */
	const volatile sig_atomic_t *stop;
	/* the open source */
	uint32_t source;
	int fd; /* -1: none */
	bool owns_fd;
	/* the split at hand */
	pj__split split;
	uint64_t next;             /* offset of the next byte to read */
	size_t taken, whole, held; /* in the buffer: bytes handed out, as far as whole lines are found, bytes read */
	bool skipping, last;
	/* of a compressed source */
	pj__decoder *decoder;
	uint64_t place;   /* where the split ends */
	bool landed;      /* its end has turned out to be a border, and split.end is known */
	bool ended;       /* there is no more text */
	pj__flow flow;    /* from `packed` */
	uint64_t in_next; /* offset of the next compressed byte to read */
	pj__space packed; /* compressed bytes */
} pj__reader;

/* piece_bytes: text handed out at a time, about; 0: 128 KB, which stays in the cache. */
PJ_MUST_USE pj_status pj__reader_init(pj__reader *reader, const pj__sources *sources, size_t piece_bytes,
				      pj_error *error);
void pj__reader_fini(pj__reader *reader);

/* Begins a split. */
PJ_MUST_USE pj_status pj__reader_begin(pj__reader *reader, pj__split split, pj_error *error);

/*
 * How many lines more stand before the first line of the split that follows than before the first line of this one, and
 * how many bytes of text. Not while a split is being read.
 */
PJ_MUST_USE pj_status pj__reader_count_lines(pj__reader *reader, pj__split split, uint64_t *ret_lines,
					     uint64_t *ret_bytes, pj_error *error);

/*
 * Hands the bytes of the line that begins at `offset`, its newline included, to `take`, a piece at a time. *ret_lines:
 * lines before it, where these had to be read, of a compressed source; else 0.
 */
PJ_MUST_USE pj_status pj__reader_record(pj__reader *reader, uint32_t source, uint64_t offset, uint64_t *ret_lines,
					pj_status (*take)(void *arg, pj_bytes piece, pj_error *error), void *arg,
					pj_error *error);

/*
 * The next piece of whole lines, and where in its source it begins. An empty piece: the split is done. The bytes live
 * until the next call, with PJ_TEXT_PADDING readable bytes behind them. In a compressed source the offset is one in the
 * text, if that of the split's beginning (`origin`) is known, else from there.
 */
PJ_MUST_USE pj_status pj__reader_next(pj__reader *reader, pj_bytes *ret_piece, uint64_t *ret_offset, pj_error *error);

#endif
