/*
 * lines.h: parsing of text: command lines into words, bytes into lines, lines into key and value.
 */
#ifndef PJ_STREAMING_LINES_H
#define PJ_STREAMING_LINES_H

#include "base/text.h"

/*
 * Splits a command as Hadoop Streaming does, which is not as a shell does: blanks separate; '...' and "..." hold a word
 * together; a quote always ends the word before it; nothing escapes. *ret_words, ended by NULL, is one allocation to be
 * freed. PJ_ERR_USAGE: the command is empty.
 */
PJ_MUST_USE pj_status pj__command_words(const char *command, char ***ret_words, pj_error *error);

/*
 * Takes the next line from the front of *rest: it ends at LF, at CR, or at CR LF, and the end is dropped. False: there
 * is none, or, unless `is_end`, more bytes might belong to it.
 */
bool pj__next_line_of(pj_bytes *rest, bool is_end, pj_bytes *ret_line);

/*
 * Cuts a line at the count-th `separator`. With fewer of them, and with a count of 0, the line is the key, and the
 * value empty.
 */
void pj__cut_line(pj_bytes line, pj_bytes separator, unsigned count, pj_bytes *ret_key, pj_bytes *ret_value);

#endif
