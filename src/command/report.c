/*
 * report.c: see report.h. The protocol is that of Hadoop Streaming's standard error (MRErrorThread).
 */
#include "command/report.h"

#include <papjuice/task.h>
#include <string.h>

/* Takes `word` from the beginning of *rest. */
static bool take_word(pj_bytes *rest, pj_bytes word)
{
	if (rest->len < word.len || memcmp(rest->ptr, word.ptr, word.len) != 0)
		return false;
	*rest = (pj_bytes){rest->ptr + word.len, rest->len - word.len};
	return true;
}

/* Takes what stands before the next comma; false: there is none. */
static bool take_column(pj_bytes *rest, pj_bytes *ret_column)
{
	const char *comma = rest->len ? memchr(rest->ptr, ',', rest->len) : NULL;
	if (!comma)
		return false;
	const size_t len = (size_t)(comma - rest->ptr);
	*ret_column = pj_strip((pj_bytes){rest->ptr, len});
	*rest = (pj_bytes){comma + 1, rest->len - len - 1};
	return true;
}

pj__report pj__report_read(pj_bytes line, pj_bytes prefix)
{
	pj__report report = {.kind = PJ__REPORT_NONE};
	if (!prefix.len || !take_word(&line, prefix))
		return report;
	if (take_word(&line, pj_bytes_of("status:"))) {
		report.kind = PJ__REPORT_STATUS;
		report.text = pj_strip(line);
	} else if (take_word(&line, pj_bytes_of("counter:")) && take_column(&line, &report.group) &&
		   take_column(&line, &report.name) && pj_parse_i64(pj_strip(line), &report.amount)) {
		report.kind = PJ__REPORT_COUNTER;
	}
	return report;
}

static void forget_first(pj__tail *tail)
{
	const char *newline = memchr(tail->bytes, '\n', tail->len);
	const size_t len = newline ? (size_t)(newline - tail->bytes) + 1 : tail->len;
	memmove(tail->bytes, tail->bytes + len, tail->len - len);
	tail->len -= len;
	tail->lines--;
}

void pj__tail_add(pj__tail *tail, pj_bytes line)
{
	const size_t len = line.len < PJ__TAIL_LINE_BYTES ? line.len : PJ__TAIL_LINE_BYTES;
	/* one byte stays free: the tail becomes a string */
	while (tail->lines == PJ__TAIL_LINES || (tail->lines && tail->len + len + 2 > sizeof tail->bytes))
		forget_first(tail);
	if (len)
		memcpy(tail->bytes + tail->len, line.ptr, len);
	tail->bytes[tail->len + len] = '\n';
	tail->len += len + 1;
	tail->lines++;
}
