/*
 * fault.h: named places where a process can be made to die, for tests of what that does.
 *
 * A release build has nothing there: no code, no name. tests/fault compiles the files that hold such places a second
 * time, with PJ_FAULT_POINTS defined, and links them with what strikes (tests/fault/fault.c) into a program of its own.
 */
#ifndef PJ_BASE_FAULT_H
#define PJ_BASE_FAULT_H

#ifdef PJ_FAULT_POINTS
/* Dies or hangs here if the environment says so of `point`; else returns. */
void pj__fault(const char *point);
#define PJ_FAULT(point) pj__fault(point)
#else
#define PJ_FAULT(point) ((void)0)
#endif

#endif
