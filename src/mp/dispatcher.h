/*
 * dispatcher.h: worker processes, messages to and from them, and their deaths, as one stream of events.
 *
 * The one loop in PapJuice that spreads work over processes stands on this; it has two users, pj_pool_map and the
 * local engine. It knows nothing of what the messages mean.
 *
 * In order: create (forks `count` workers) ... send / wait ... (start again in a slot after a death) ... destroy.
 *
 *   leader                                 worker `slot`
 *     send(slot) ------- SOCK_SEQPACKET -------> pj__channel_receive
 *     wait() <---------- SOCK_SEQPACKET -------- pj__channel_send
 *     wait() <---------- pidfd (death)
 *
 * Message boundaries are kept. All messages that a worker sent before it died are delivered before its death is. A
 * worker is killed by the kernel when the leading thread dies (PR_SET_PDEATHSIG), and reads end of file when the leader
 * is gone, so no worker outlives its leader. A worker ignores SIGINT and SIGTSTP: the leader decides.
 *
 * A dispatcher belongs to the thread that created it; that thread must live as long as the dispatcher.
 */
#ifndef PJ_MP_DISPATCHER_H
#define PJ_MP_DISPATCHER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

/* Longest message either way, in bytes. Anything larger travels in a file or shared memory. */
enum { PJ__MESSAGE_MAX = 32768 };

typedef struct pj__dispatcher pj__dispatcher;

/* What a worker runs. `channel` is its end of the socket pair. Its result (0 to 255) is its exit status. */
typedef int pj__worker_main(void *arg, unsigned slot, int channel);

typedef enum pj__event_kind {
	PJ__EVENT_TIMEOUT, /* nothing happened in time */
	PJ__EVENT_MESSAGE, /* `message` of `size` bytes came from `slot` */
	PJ__EVENT_DEATH,   /* the worker of `slot` is gone and reaped: `exit_code` or `signal` */
	PJ__EVENT_READABLE /* the watched descriptor `fd` can be read (or has reached its end) */
} pj__event_kind;

typedef struct pj__event {
	pj__event_kind kind;
	unsigned slot;
	int exit_code; /* of a death by exit, else -1 */
	int signal;    /* of a death by signal, else 0 */
	bool cut_off;  /* it was killed, because it had closed its channel */
	int fd;
	const void *message; /* lives until the next call of wait; aligned to 16 bytes */
	size_t size;
} pj__event;

/*
 * Forks `count` (at least 1) workers, each of which runs main(arg, slot, channel) and exits without running the
 * host's atexit handlers or flushing its streams. On failure nothing is left.
 */
PJ_MUST_USE pj_status pj__dispatcher_create(unsigned count, pj__worker_main *main, void *arg,
					    pj__dispatcher **ret_dispatcher, pj_error *error);

/* Kills and reaps all workers that still live. NULL is fine. */
void pj__dispatcher_destroy(pj__dispatcher *dispatcher);

/* Process id of the slot's worker, 0 when it is dead. */
pid_t pj__dispatcher_pid(const pj__dispatcher *dispatcher, unsigned slot);

/*
 * Sends `size` bytes (1 to PJ__MESSAGE_MAX) without blocking. PJ_ERR_CRASH: the worker is gone, its death will come as
 * an event. PJ_ERR_BUSY: its queue is full. Both fill no error.
 */
PJ_MUST_USE pj_status pj__dispatcher_send(pj__dispatcher *dispatcher, unsigned slot, const void *message, size_t size);

/*
 * Waits for the next event, at most `timeout_ms` milliseconds (-1: for ever, 0: not at all). Slots are served in turn,
 * so that a talkative worker cannot starve the others. A signal handler of the host may run meanwhile; the wait goes on
 * with the time that is left.
 */
PJ_MUST_USE pj_status pj__dispatcher_wait(pj__dispatcher *dispatcher, int timeout_ms, pj__event *ret_event,
					  pj_error *error);

/* Forks a new worker in a slot whose death has been told. */
PJ_MUST_USE pj_status pj__dispatcher_start(pj__dispatcher *dispatcher, unsigned slot, pj_error *error);

/* Sends SIGKILL to the slot's worker; its death comes as an event. A dead slot is left alone. */
void pj__dispatcher_kill(pj__dispatcher *dispatcher, unsigned slot);

/* From now on wait() also tells when `fd` becomes readable; -1 ends it. One such descriptor at a time. */
void pj__dispatcher_watch(pj__dispatcher *dispatcher, int fd);

/* In a worker. Sends a message, blocking; returns 0, or an errno (EPIPE: the leader is gone). */
int pj__channel_send(int channel, const void *message, size_t size);

/*
 * In a worker. Receives the next message to `to` (PJ__MESSAGE_MAX bytes), waiting at most `timeout_ms` (-1: for ever,
 * 0: not at all). Returns 0 with its size in *got; *got = 0 and 0: nothing came in time; EPIPE: the leader is gone.
 */
int pj__channel_receive(int channel, void *to, int timeout_ms, size_t *got);

#endif
