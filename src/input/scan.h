/*
 * scan.h: the borders of words and the ends of lines, found a window at a time for pj_next_word and pj_next_line.
 */
#ifndef PJ_INPUT_SCAN_H
#define PJ_INPUT_SCAN_H

#include "base/task.h"

/* Gives the task the functions that index its text. */
void pj__scan_attach(pj__task *task);

#endif
