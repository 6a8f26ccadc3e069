/*
 * verify.h: invariants, stated where they hold.
 *
 * PJ_VERIFY(condition) says what must be true whatever the input, the user's code and the system do: if it is false
 * there is a bug in PapJuice. What can come from outside is an error with a pj_status, never this. All builds check
 * it except releases (meson's `buildtype=release`, which defines NDEBUG). There the condition is compiled and not
 * evaluated, so it must have no side effects. In loops over single pairs it is left out.
 */
#ifndef PJ_BASE_VERIFY_H
#define PJ_BASE_VERIFY_H

#include <stddef.h>

/* Writes the text to standard error, whatever the streams of the process are up to, and aborts. */
_Noreturn __attribute__((cold)) void pj__verify_failed(const char *text, size_t bytes);

#define PJ__VERIFY_TEXT(file, line, text) file ":" #line ": this must hold: " text "\n"
#define PJ__VERIFY(condition, file, line, text)                                                                        \
	(__builtin_expect(!(condition), 0)                                                                             \
		 ? pj__verify_failed(PJ__VERIFY_TEXT(file, line, text), sizeof PJ__VERIFY_TEXT(file, line, text) - 1)  \
		 : (void)0)

#ifdef NDEBUG
#define PJ_VERIFY(condition) ((void)sizeof(!(condition)))
#else
#define PJ_VERIFY(condition) PJ__VERIFY_AT(condition, __FILE__, __LINE__, #condition)
#define PJ__VERIFY_AT(condition, file, line, text) PJ__VERIFY(condition, file, line, text)
#endif

#endif
