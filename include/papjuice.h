/*
 * papjuice.h: MapReduce at the speed of the machine. Includes every public header:
 *
 *     bytes.h     a pointer and a length          status.h    what a failing call tells
 *     task.h      words, lines, emit              reducer.h   aggregates and general reducers
 *     job.h       the five components and pj_run  program.h   a job as program, plug-in or source
 *     keys.h      the order, groups and parts of keys
 *     session.h   a pool of workers that stays, for iterations
 *     process.h   pool.h   lock.h   manager.h     multiprocessing for C, useful by itself
 */
#ifndef PAPJUICE_H
#define PAPJUICE_H

#include <papjuice/bytes.h>
#include <papjuice/command.h>
#include <papjuice/job.h>
#include <papjuice/keys.h>
#include <papjuice/lock.h>
#include <papjuice/manager.h>
#include <papjuice/pool.h>
#include <papjuice/process.h>
#include <papjuice/program.h>
#include <papjuice/reducer.h>
#include <papjuice/session.h>
#include <papjuice/status.h>
#include <papjuice/task.h>

#endif
