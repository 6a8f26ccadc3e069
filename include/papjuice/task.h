/*
 * task.h: what user code does while a task runs: take words and lines from its text, and emit pairs.
 *
 *     static pj_status count_words(pj_task *task, pj_bytes text, void *arg)
 *     {
 *             pj_bytes word;
 *             while (pj_next_word(task, &text, &word))
 *                     pj_emit_i64(task, word, 1);
 *             return PJ_OK;
 *     }
 *
 * A pj_task belongs to the process and thread that calls the mapper or reducer, and to the one call: keep no pointer to
 * it. The functions here are inline over what the engine has prepared, so that a job compiled without any flag is as
 * fast as a built-in. A failure inside an emit is remembered by the task; returning PJ_OK does not hide it.
 *
 * How it works. The engine puts the text into a buffer with at least 64 readable bytes after it, and finds the borders
 * of words, the ends of lines and the first separators in them for some kilobytes at a time; pj_next_word, pj_next_line
 * and pj_next_pair read these positions. Keys of up to 23 bytes are copied into a batch of slots (below), which is
 * handed to the engine when it is full. On bytes that are not the task's own text everything falls back to plain loops
 * with the same meaning.
 *
 *     slot   0                      22 23 24             31
 *           +-------------------------+--+-----------------+
 *           | key, then zero bytes    |t | value: 64 bits  |      t: length of the key + 1
 *           +-------------------------+--+-----------------+
 */
#ifndef PAPJUICE_TASK_H
#define PAPJUICE_TASK_H

#include <papjuice/status.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

enum { PJ_SLOT_KEY_BYTES = 23, PJ_TEXT_PADDING = 64 };

typedef struct pj_slot {
	char key[PJ_SLOT_KEY_BYTES];
	uint8_t key_tag;
	uint64_t value;
} pj_slot;

/* What the 64-bit values of a task's slots are. */
typedef enum pj_number { PJ_NUMBER_I64 = 1, PJ_NUMBER_F64 = 2 } pj_number;

typedef struct pj_task pj_task;

/*
 * The part of a task that the inline functions below read. It is laid out for them and belongs to the engine: user
 * code calls the functions and touches no field.
 */
struct pj_task {
	pj_slot *next_slot, *end_slot; /* the batch: where the next pair goes, and its end */
	const char *readable;          /* 32 bytes can be read from any address of ... */
	size_t readable_len;           /* ... [readable, readable + readable_len) */
	const char *text;              /* the text whose words and lines are indexed */
	size_t text_len;
	const uint32_t *word; /* next border in the index of words: start, end, start, ... */
	const uint32_t *word_end;
	const char *word_base;  /* the borders count from here */
	const char *word_taken; /* words that start before this address were taken */
	const uint32_t *line;   /* next newline in the index of lines */
	const uint32_t *line_end;
	const char *line_base;
	const char *line_taken;   /* lines that start before this address were taken */
	const uint32_t *cut;      /* next line in the index of pairs: its first separator, or its newline; ... */
	const uint32_t *cut_line; /* ... its newline; ... */
	const uint32_t *cut_end;  /* ... and the end of the former */
	const char *cut_base;
	const char *cut_taken; /* lines that start before this address were taken */
	uint64_t separator;    /* for which the index of pairs was made */
	uint64_t number;       /* pj_number of the slots' values */
	void (*batch_full)(pj_task *task);
	void (*emit_long)(pj_task *task, pj_bytes key, uint64_t value);
	int (*more_words)(pj_task *task, const char *from);
	int (*more_lines)(pj_task *task, const char *from);
	int (*more_pairs)(pj_task *task, pj_bytes rest, char separator);
	char scratch[64]
		__attribute__((aligned(16))); /* a short key that was transformed: 32 bytes, and room to read */
};

/* 32 bytes of ones, then 32 of zeros: loading from (pj_key_mask + 32 - n) keeps the first n of 32 bytes. */
PJ_API extern const unsigned char pj_key_mask[64];

/* ------------------------------------------------------------------------------------------------ words and lines */

/* 1 if `byte` is ASCII white space (space, \t \n \v \f \r), else 0. */
static inline int pj_is_space(unsigned char byte)
{
	return byte == ' ' || (unsigned)(byte - 9) < 5;
}

/* The plain form of pj_next_word, for bytes that are in no task. */
static inline int pj_next_word_plain(pj_bytes *rest, pj_bytes *ret_word)
{
	const char *at = rest->ptr, *const end = at + rest->len;
	while (at < end && pj_is_space((unsigned char)*at))
		at++;
	const char *const start = at;
	while (at < end && !pj_is_space((unsigned char)*at))
		at++;
	*rest = (pj_bytes){at, (size_t)(end - at)};
	*ret_word = (pj_bytes){start, (size_t)(at - start)};
	return at > start;
}

/* The plain form of pj_next_line. */
static inline int pj_next_line_plain(pj_bytes *rest, pj_bytes *ret_line)
{
	if (!rest->len)
		return 0;
	const char *const newline = (const char *)memchr(rest->ptr, '\n', rest->len);
	const size_t len = newline ? (size_t)(newline - rest->ptr) : rest->len;
	const size_t used = newline ? len + 1 : len;
	*ret_line = (pj_bytes){rest->ptr, len};
	*rest = (pj_bytes){rest->ptr + used, rest->len - used};
	return 1;
}

/*
 * Takes the next word (a longest sequence of bytes that are not ASCII white space) from the front of *rest.
 *
 * Returns 1 and sets *ret_word, with *rest cut to what follows the word; or 0, with *rest empty, when there is none.
 * The word points into the text and lives until the mapper returns. Best on the text or the lines the mapper was given,
 * from front to back; right on any bytes in any order.
 */
static inline int pj_next_word(pj_task *task, pj_bytes *rest, pj_bytes *ret_word)
{
	const char *const from = rest->ptr, *const end = from + rest->len;
	/* The index holds if `from` is where the last word ended, or a byte after it (a line's end was skipped). */
	if (!PJ_LIKELY(task->word != task->word_end && (uintptr_t)(from - task->word_taken) <= 1)) {
		if ((uintptr_t)(from - task->text) >= task->text_len ||
		    rest->len > task->text_len - (size_t)(from - task->text))
			return pj_next_word_plain(rest, ret_word);
		if (!task->more_words(task, from)) {
			task->word_taken = end;
			*rest = (pj_bytes){end, 0};
			return 0;
		}
	}
	const char *const start = task->word_base + task->word[0], *const stop = task->word_base + task->word[1];
	if (!PJ_LIKELY(stop <= end)) {
		if (start > end) {
			task->word_taken = end;
			*rest = (pj_bytes){end, 0};
			return 0;
		}
		/* The bytes end where a word begins, or inside it: index anew the next time, wherever that is. */
		task->word = task->word_end;
		task->word_taken = NULL;
		return pj_next_word_plain(rest, ret_word);
	}
	task->word += 2;
	task->word_taken = stop;
	*ret_word = (pj_bytes){start, (size_t)(stop - start)};
	*rest = (pj_bytes){stop, (size_t)(end - stop)};
	return 1;
}

/*
 * Takes the next line from the front of *rest, without its newline; a carriage return before it is part of the line.
 *
 * Returns 1 and sets *ret_line, with *rest cut to what follows the newline; or 0 when *rest is empty. A last line
 * without newline counts. The line points into the text and lives until the mapper returns.
 */
static inline int pj_next_line(pj_task *task, pj_bytes *rest, pj_bytes *ret_line)
{
	const char *const from = rest->ptr, *const end = from + rest->len;
	if (!PJ_LIKELY(task->line != task->line_end && from == task->line_taken)) {
		if (!rest->len)
			return 0;
		if ((uintptr_t)(from - task->text) >= task->text_len ||
		    rest->len > task->text_len - (size_t)(from - task->text) || !task->more_lines(task, from))
			return pj_next_line_plain(rest, ret_line);
	}
	const char *const newline = task->line_base + *task->line;
	if (!PJ_LIKELY(newline < end)) {
		task->line = task->line_end;
		task->line_taken = NULL;
		return pj_next_line_plain(rest, ret_line);
	}
	task->line++;
	task->line_taken = newline + 1;
	*ret_line = (pj_bytes){from, (size_t)(newline - from)};
	*rest = (pj_bytes){newline + 1, (size_t)(end - newline - 1)};
	return 1;
}

/* The plain form of pj_next_field. */
static inline int pj_next_field_plain(pj_bytes *rest, char separator, pj_bytes *ret_field)
{
	if (!rest->ptr)
		return 0;
	const char *const hit = rest->len ? (const char *)memchr(rest->ptr, separator, rest->len) : NULL;
	const size_t len = hit ? (size_t)(hit - rest->ptr) : rest->len;
	*ret_field = (pj_bytes){rest->ptr, len};
	*rest = hit ? (pj_bytes){hit + 1, rest->len - len - 1} : (pj_bytes){NULL, 0};
	return 1;
}

#if defined(__SSE2__)
/* The bytes among 16 that are `wanted`, a bit for each. For the functions below. */
static inline uint64_t pj_find_16(const char *at, char wanted)
{
	const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
	return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(wanted)));
}
#endif

/*
 * Takes the next field from the front of *rest, up to the byte `separator` or the end.
 *
 * Returns 1 and sets *ret_field; *rest is what follows the separator. A line of n separators has n + 1 fields, of which
 * any may be empty. After the last one rest->ptr is NULL, and the call returns 0; an empty *rest with a pointer is one
 * empty field. The field points into the text. Best on the text of the task; right on any bytes.
 */
static inline int pj_next_field(pj_task *task, pj_bytes *rest, char separator, pj_bytes *ret_field)
{
#if defined(__SSE2__)
	const char *const from = rest->ptr;
	const uintptr_t at = (uintptr_t)from - (uintptr_t)task->readable;
	if (PJ_LIKELY(at < task->readable_len)) {
		uint64_t hits = pj_find_16(from, separator) | pj_find_16(from + 16, separator) << 16;
		size_t skipped = 0;
		/* A longer field: another 64 bytes, where they can be read. */
		if (!hits && rest->len > 32 && at + 64 < task->readable_len) {
			skipped = 32;
			hits = pj_find_16(from + 32, separator) | pj_find_16(from + 48, separator) << 16 |
			       pj_find_16(from + 64, separator) << 32 | pj_find_16(from + 80, separator) << 48;
		}
		const size_t len = hits ? skipped + (size_t)__builtin_ctzll(hits) : skipped + skipped + 32;
		if (PJ_LIKELY(hits && len < rest->len)) {
			*ret_field = (pj_bytes){from, len};
			*rest = (pj_bytes){from + len + 1, rest->len - len - 1};
			return 1;
		}
		if (PJ_LIKELY(rest->len <= len)) {
			*ret_field = *rest;
			*rest = (pj_bytes){NULL, 0};
			return 1;
		}
	}
#else
	(void)task;
#endif
	return pj_next_field_plain(rest, separator, ret_field);
}

/* The plain form of pj_next_pair. */
static inline int pj_next_pair_plain(pj_bytes *rest, char separator, pj_bytes *ret_key, pj_bytes *ret_value)
{
	pj_bytes line;
	if (!pj_next_line_plain(rest, &line))
		return 0;
	pj_next_field_plain(&line, separator, ret_key);
	*ret_value = line;
	return 1;
}

/*
 * Takes the next line from the front of *rest and cuts it at the first `separator`, which is not '\n': pj_next_line and
 * pj_next_field in one, and faster than the two.
 *
 * Returns 1 and sets *ret_key to what is before the separator and *ret_value to all that comes after it; in a line
 * without one the key is the line, and ret_value->ptr is NULL. 0 when *rest is empty. Both point into the text and live
 * until the mapper returns.
 */
static inline int pj_next_pair(pj_task *task, pj_bytes *rest, char separator, pj_bytes *ret_key, pj_bytes *ret_value)
{
	const char *const from = rest->ptr, *const end = from + rest->len;
	if (!PJ_LIKELY(task->cut != task->cut_end && from == task->cut_taken &&
		       (unsigned char)separator == task->separator)) {
		if (!rest->len)
			return 0;
		if ((uintptr_t)(from - task->text) >= task->text_len ||
		    rest->len > task->text_len - (size_t)(from - task->text) ||
		    !task->more_pairs(task, *rest, separator))
			return pj_next_pair_plain(rest, separator, ret_key, ret_value);
	}
	const char *const cut = task->cut_base + *task->cut, *const newline = task->cut_base + *task->cut_line;
	if (!PJ_LIKELY(newline < end)) {
		task->cut = task->cut_end;
		return pj_next_pair_plain(rest, separator, ret_key, ret_value);
	}
	task->cut++;
	task->cut_line++;
	task->cut_taken = newline + 1;
	*ret_key = (pj_bytes){from, (size_t)(cut - from)};
	*ret_value = PJ_LIKELY(cut < newline) ? (pj_bytes){cut + 1, (size_t)(newline - cut - 1)} : (pj_bytes){NULL, 0};
	*rest = (pj_bytes){newline + 1, (size_t)(end - newline - 1)};
	return 1;
}

/* ------------------------------------------------------------------------------------------------- key transforms */

/* 1 if `byte` is one of the 26 letters of that case in ASCII, else 0. */
static inline int pj_is_upper(unsigned char byte)
{
	return (unsigned)(byte - 'A') < 26;
}

/* The same of small letters. */
static inline int pj_is_lower(unsigned char byte)
{
	return (unsigned)(byte - 'a') < 26;
}

/*
 * Changes the case of ASCII letters, for pj_lower and pj_upper where they do not do it inline; and as their plain twin.
 */
PJ_API pj_bytes pj_change_case(pj_task *task, pj_bytes text, int to_lower);

/* The work of pj_lower and pj_upper: letters from `first` on (26 of them) get bit 5 turned over. */
static inline pj_bytes pj_turn_case(pj_task *task, pj_bytes text, char first)
{
#if defined(__SSE2__)
	if (PJ_LIKELY(text.len <= 32 && (uintptr_t)text.ptr - (uintptr_t)task->readable < task->readable_len)) {
		/*
		 * A byte minus `first`, shifted so that 0 is the smallest signed number: letters are the 26 smallest.
		 */
		const __m128i shift = _mm_set1_epi8((char)(-128 - first)), end = _mm_set1_epi8(-128 + 26);
		const __m128i bit = _mm_set1_epi8(0x20);
		for (int i = 0; i < 32; i += 16) {
			const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(text.ptr + i));
			const __m128i letters = _mm_cmplt_epi8(_mm_add_epi8(bytes, shift), end);
			_mm_store_si128((__m128i *)(void *)(task->scratch + i),
					_mm_xor_si128(bytes, _mm_and_si128(letters, bit)));
		}
		return (pj_bytes){task->scratch, text.len};
	}
#endif
	return pj_change_case(task, text, first == 'A');
}

/*
 * The text with its ASCII capitals made small; every other byte stays as it is, so UTF-8 stays UTF-8.
 *
 *     pj_emit_i64(task, pj_lower(task, word), 1);
 *
 * The result lives until the next pj_lower or pj_upper of the task, whose own memory it is; `text` itself is left as it
 * is. Costs little for up to 32 bytes of the task's text. Without memory for a long text the task fails, and the result
 * is empty.
 */
static inline pj_bytes pj_lower(pj_task *task, pj_bytes text)
{
	return pj_turn_case(task, text, 'A');
}

/* The same with small letters made capitals. */
static inline pj_bytes pj_upper(pj_task *task, pj_bytes text)
{
	return pj_turn_case(task, text, 'a');
}

/* A set of bytes. {0} is empty. */
typedef struct pj_byte_set {
	uint64_t bits[4];
} pj_byte_set;

/* The set of the bytes in `bytes`. */
static inline pj_byte_set pj_byte_set_of(pj_bytes bytes)
{
	pj_byte_set set = {{0, 0, 0, 0}};
	for (size_t i = 0; i < bytes.len; i++)
		set.bits[(unsigned char)bytes.ptr[i] / 64] |= (uint64_t)1 << (unsigned char)bytes.ptr[i] % 64;
	return set;
}

/* 1 if the byte is in the set, else 0. */
static inline int pj_byte_set_has(const pj_byte_set *set, unsigned char byte)
{
	return (int)(set->bits[byte / 64] >> byte % 64 & 1);
}

/* The text without the bytes of `set` at its two ends; part of the same memory. */
static inline pj_bytes pj_strip_set(pj_bytes text, const pj_byte_set *set)
{
	while (text.len && pj_byte_set_has(set, (unsigned char)text.ptr[text.len - 1]))
		text.len--;
	while (text.len && pj_byte_set_has(set, (unsigned char)*text.ptr)) {
		text.ptr++;
		text.len--;
	}
	return text;
}

/* The text without ASCII white space at its two ends; part of the same memory. */
static inline pj_bytes pj_strip(pj_bytes text)
{
	while (text.len && pj_is_space((unsigned char)text.ptr[text.len - 1]))
		text.len--;
	while (text.len && pj_is_space((unsigned char)*text.ptr)) {
		text.ptr++;
		text.len--;
	}
	return text;
}

/* -------------------------------------------------------------------------------------------------------- numbers */

/*
 * Reads the whole of `text` as an optional sign and decimal digits. Returns 1 and sets *ret_value; or 0 when it is
 * anything else, or does not fit. Any thread or process, no locale.
 */
PJ_API int pj_parse_i64(pj_bytes text, int64_t *ret_value);

/*
 * Reads the whole of `text` as a decimal number (an optional sign, digits with at most one point, an exponent) or "nan"
 * or "inf", and rounds it to the nearest double; what is too large becomes infinite. Returns 1 and sets *ret_value, or
 * 0 when it is anything else. Any thread or process, no locale.
 */
PJ_API int pj_parse_f64(pj_bytes text, double *ret_value);

/* ------------------------------------------------------------------------------------------------------------ emit */

/*
 * Emits a pair of any key and value. The bytes are copied; both may be empty and hold anything. For a reducer that
 * takes numbers, and no bytes beside them, the value is read as decimal text.
 */
PJ_API void pj_emit(pj_task *task, pj_bytes key, pj_bytes value);

/* Sets *ret_piece to the next piece of a value, which lives until the next call, and returns 1; or 0: that was all. */
typedef int pj_next_piece(void *arg, pj_bytes *ret_piece);

/*
 * Emits a pair whose value is too long to be put together: it comes piece by piece from `next`, which gets `arg`, may
 * take values of a reducer, and must not emit. In a reducer and in a mapper of a map-only job the pieces go to the
 * output, or to disk, as they come. They are put together in memory where others need the value whole: on its way to a
 * reducer, and for an output that is a function, ordered by value, or limited.
 *
 * If `next` fails the task, with pj_task_fail, and returns 0, the pair is never seen.
 */
PJ_API void pj_emit_pieces(pj_task *task, pj_bytes key, pj_next_piece *next, void *arg);

/* Emits a number of the other kind than the reducer takes: it is converted. Called by the two functions below. */
PJ_API void pj_emit_converted(pj_task *task, pj_bytes key, uint64_t value, pj_number number);

/* Puts key and value into the next slot. For the two functions below. */
static inline void pj_emit_slot(pj_task *task, pj_bytes key, uint64_t value)
{
	if (!PJ_LIKELY(key.len <= PJ_SLOT_KEY_BYTES)) {
		task->emit_long(task, key, value);
		return;
	}
	pj_slot *const slot = task->next_slot;
#if defined(__SSE2__)
	if (PJ_LIKELY((uintptr_t)(key.ptr - task->readable) < task->readable_len || key.ptr == task->scratch)) {
		const char *from = key.ptr;
		/* Or compilers warn of constants, whose ends they see, and which never come here. */
		__asm__("" : "+r"(from));
		const unsigned char *const mask = pj_key_mask + 32 - key.len;
		const __m128i low = _mm_and_si128(_mm_loadu_si128((const __m128i *)(const void *)from),
						  _mm_loadu_si128((const __m128i *)(const void *)mask));
		const __m128i high = _mm_and_si128(_mm_loadl_epi64((const __m128i *)(const void *)(from + 16)),
						   _mm_loadl_epi64((const __m128i *)(const void *)(mask + 16)));
		const __m128i tail = _mm_set_epi64x((long long)value, (long long)((uint64_t)(key.len + 1) << 56));
		_mm_store_si128((__m128i *)(void *)slot, low);
		_mm_store_si128((__m128i *)(void *)((char *)slot + 16), _mm_or_si128(high, tail));
	} else
#endif
	{
		memset(slot, 0, sizeof *slot);
		if (key.len)
			memcpy(slot->key, key.ptr, key.len);
		slot->key_tag = (uint8_t)(key.len + 1);
		slot->value = value;
	}
	task->next_slot = slot + 1;
	if (!PJ_LIKELY(slot + 1 != task->end_slot))
		task->batch_full(task);
}

/*
 * Emits a pair whose value is an integer. For a reducer over numbers it stays one; for a general reducer, or none, the
 * value is its decimal text.
 */
static inline void pj_emit_i64(pj_task *task, pj_bytes key, int64_t value)
{
	if (PJ_LIKELY(task->number == PJ_NUMBER_I64))
		pj_emit_slot(task, key, (uint64_t)value);
	else
		pj_emit_converted(task, key, (uint64_t)value, PJ_NUMBER_I64);
}

/* Emits a pair whose value is a double; as text it is what pj_text_f64 makes of it. */
static inline void pj_emit_f64(pj_task *task, pj_bytes key, double value)
{
	uint64_t bits;
	memcpy(&bits, &value, sizeof bits);
	if (PJ_LIKELY(task->number == PJ_NUMBER_F64))
		pj_emit_slot(task, key, bits);
	else
		pj_emit_converted(task, key, bits, PJ_NUMBER_F64);
}

/* --------------------------------------------------------------------------------------------------- about the task */

/* Where a byte of the text lies in the input. */
typedef struct pj_place {
	const char *file; /* the input's name; lives as long as the task */
	uint64_t offset;  /* in bytes from the input's start */
	uint64_t input;   /* the number of the input, from 0, in the order in which inputs are read */
} pj_place;

/*
 * The place of `at`, an address inside the text (or at its end) that the mapper was given. {"", 0, 0} for any other
 * address, and in a reducer.
 */
PJ_API pj_place pj_task_place(const pj_task *task, const char *at);

/*
 * The number, from 1, of the line of its input in which `at` lies, an address as above. 0 for any other address, in a
 * reducer, and in a job that does not have `counts_lines`. Cheap when it is asked from front to back.
 */
PJ_API uint64_t pj_task_line(pj_task *task, const char *at);

/*
 * The name of an input by its number; NULL after the last one. In mappers and reducers; it lives as long as the task.
 */
PJ_API const char *pj_task_input(const pj_task *task, uint64_t number);

/* The parameters of the run (pj_options.params), the same in every worker; they live as long as the task. */
PJ_API pj_bytes pj_task_params(const pj_task *task);

/* The index of the map or reduce task. */
PJ_API uint64_t pj_task_index(const pj_task *task);

/*
 * Adds to a counter of the run, which shows in its result when the attempt is published. Names are cut to 63 bytes.
 */
PJ_API void pj_task_count(pj_task *task, pj_bytes group, pj_bytes name, int64_t amount);

/*
 * Records that the task has failed, with a reason after printf, and returns `status`, so that user code can write
 * `return pj_task_fail(task, PJ_ERR_RECORD, "...")`. `at` is the place in the text that is to blame, or NULL. What is
 * no failure's number becomes PJ_ERR_USER.
 */
PJ_API pj_status pj_task_fail(pj_task *task, pj_status status, const char *at, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#ifdef __cplusplus
}
#endif
#endif
