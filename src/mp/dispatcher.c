/*
 * dispatcher.c: see dispatcher.h.
 *
 * One poll over 2 descriptors per slot and the watched one:
 *
 *   polls[]   0        1       2        3             2n
 *           channel  pidfd  channel  pidfd  ...     watched
 *           `--- slot 0 --'  `--- slot 1 -'
 *
 * The answers of one poll are served one per call of wait, in a circle that goes on where it stopped; only when the
 * circle finds nothing is poll asked again. So a worker with a full queue is served once in a round.
 *
 * When a pidfd says that a worker has ended, its channel is read until it is empty, and only then is the death told.
 * The end of file of the channel is never waited for: a process that the worker left behind may hold the other end.
 * The other way round, a worker that closed its end without dying (user code that closes every descriptor) can neither
 * be given work nor say that it is done: it is killed.
 *
 * A queue that still held something when its reader died makes the kernel report ECONNRESET once, before the messages
 * that are waiting on this side are delivered (sock_error() in the kernel's net/core/datagram.c): it is not the end.
 */
#include "mp/dispatcher.h"

#include <poll.h>
#include <signal.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "base/machine.h"
#include "mp/child.h"

struct slot {
	pj__child child;
	int channel; /* the leader's end, -1: dead */
	bool cut_off;
};

struct pj__dispatcher {
	unsigned count;
	pj__worker_main *main;
	void *arg;
	struct slot *slots;
	struct pollfd *polls; /* 2 * count + 1 */
	size_t turn;          /* the entry of `polls` that is served next */
	alignas(16) char message[PJ__MESSAGE_MAX];
};

static size_t poll_count(const pj__dispatcher *dispatcher)
{
	return 2 * (size_t)dispatcher->count + 1;
}

/* What a new worker needs; lives on the leader's stack, of which the fork has a copy. */
struct birth {
	pj__dispatcher *dispatcher;
	unsigned slot;
	int channel;
};

static int run_worker(void *arg)
{
	const struct birth *birth = arg;
	pj__dispatcher *dispatcher = birth->dispatcher;
	for (unsigned i = 0; i < dispatcher->count; i++) {
		pj__close(&dispatcher->slots[i].channel);
		pj__close(&dispatcher->slots[i].child.pidfd);
	}
	return dispatcher->main(dispatcher->arg, birth->slot, birth->channel);
}

/* Room for a few of the longest messages; the kernel's limit may give less, the default is enough for six. */
static void widen(int channel)
{
	const int size = 16 * PJ__MESSAGE_MAX;
	setsockopt(channel, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

pj_status pj__dispatcher_start(pj__dispatcher *dispatcher, unsigned slot_index, pj_error *error)
{
	struct slot *slot = &dispatcher->slots[slot_index];
	if (slot->child.pid)
		return pj__fail(error, PJ_ERR_INTERNAL, 0, NULL, "worker %u lives already", slot_index);
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return pj__fail(error, pj__status_of_errno(errno, PJ_ERR_RESOURCE), errno, NULL,
				"cannot make a channel to a worker");
	ends[0] = pj__beyond_standard(ends[0]);
	ends[1] = pj__beyond_standard(ends[1]);
	if (ends[0] < 0 || ends[1] < 0) {
		const int failed = errno;
		pj__close(&ends[0]);
		pj__close(&ends[1]);
		return pj__fail(error, pj__status_of_errno(failed, PJ_ERR_RESOURCE), failed, NULL,
				"cannot make a channel to a worker");
	}
	widen(ends[0]);
	widen(ends[1]);
	slot->cut_off = false;
	slot->channel = ends[0]; /* set before the fork: the child closes it with the others */
	struct birth birth = {dispatcher, slot_index, ends[1]};
	const pj_status status = pj__child_start(&slot->child, PJ__SIGNALS_WORKER, run_worker, &birth, error);
	close(ends[1]);
	if (status) {
		pj__close(&slot->channel);
		return status;
	}
	struct pollfd *polls = &dispatcher->polls[2 * slot_index];
	polls[0] = (struct pollfd){.fd = slot->channel, .events = POLLIN};
	polls[1] = (struct pollfd){.fd = slot->child.pidfd, .events = POLLIN};
	return PJ_OK;
}

pj_status pj__dispatcher_create(unsigned count, pj__worker_main *main, void *arg, pj__dispatcher **ret_dispatcher,
				pj_error *error)
{
	if (!count || !main)
		return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "a dispatcher needs workers and what they run");
	pj__dispatcher *dispatcher = calloc(1, sizeof *dispatcher);
	if (!dispatcher)
		return pj__no_memory(error, sizeof *dispatcher);
	pj_status status = PJ_OK;
	*dispatcher = (pj__dispatcher){.count = count, .main = main, .arg = arg};
	dispatcher->slots = calloc(count, sizeof *dispatcher->slots);
	dispatcher->polls = calloc(poll_count(dispatcher), sizeof *dispatcher->polls);
	if (!dispatcher->slots || !dispatcher->polls) {
		free(dispatcher->slots);
		dispatcher->slots = NULL;
		status = pj__no_memory(error, count * (sizeof *dispatcher->slots + 2 * sizeof *dispatcher->polls));
		goto fail;
	}
	for (size_t i = 0; i < poll_count(dispatcher); i++)
		dispatcher->polls[i].fd = -1;
	for (unsigned i = 0; i < count; i++)
		dispatcher->slots[i] = (struct slot){PJ__NO_CHILD, -1, false};
	for (unsigned i = 0; i < count && !status; i++)
		status = pj__dispatcher_start(dispatcher, i, error);
	if (!status) {
		*ret_dispatcher = dispatcher;
		return PJ_OK;
	}
fail:
	pj__dispatcher_destroy(dispatcher);
	return status;
}

void pj__dispatcher_destroy(pj__dispatcher *dispatcher)
{
	if (!dispatcher)
		return;
	/* first all signals, then all waits: the workers die side by side */
	for (unsigned i = 0; dispatcher->slots && i < dispatcher->count; i++)
		pj__child_signal(&dispatcher->slots[i].child, SIGKILL);
	for (unsigned i = 0; dispatcher->slots && i < dispatcher->count; i++) {
		if (dispatcher->slots[i].child.pid)
			pj__child_reap(&dispatcher->slots[i].child, true, NULL);
		pj__close(&dispatcher->slots[i].channel);
	}
	free(dispatcher->slots);
	free(dispatcher->polls);
	free(dispatcher);
}

pid_t pj__dispatcher_pid(const pj__dispatcher *dispatcher, unsigned slot)
{
	return dispatcher->slots[slot].child.pid;
}

pj_status pj__dispatcher_send(pj__dispatcher *dispatcher, unsigned slot, const void *message, size_t size)
{
	if (!size || size > PJ__MESSAGE_MAX)
		return PJ_ERR_INTERNAL;
	const int channel = dispatcher->slots[slot].channel;
	if (channel < 0)
		return PJ_ERR_CRASH;
	for (;;) {
		if (send(channel, message, size, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return PJ_OK;
		if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)
			return PJ_ERR_BUSY;
		if (errno != EINTR)
			return PJ_ERR_CRASH;
	}
}

enum received { GOT_MESSAGE, GOT_NOTHING, GOT_END };

/* The next waiting message of the slot, if there is one. */
static enum received receive(pj__dispatcher *dispatcher, unsigned slot, pj__event *event)
{
	for (;;) {
		const ssize_t got = recv(dispatcher->slots[slot].channel, dispatcher->message,
					 sizeof dispatcher->message, MSG_DONTWAIT);
		if (got > 0) {
			*event = (pj__event){.kind = PJ__EVENT_MESSAGE,
					     .slot = slot,
					     .exit_code = -1,
					     .fd = -1,
					     .message = dispatcher->message,
					     .size = (size_t)got};
			return GOT_MESSAGE;
		}
		if (got == 0)
			return GOT_END;
		if (errno == EAGAIN)
			return GOT_NOTHING;
		if (errno != EINTR && errno != ECONNRESET)
			return GOT_END;
	}
}

/* The worker's process has ended. True: an event was made of it, a last message or the death. */
static bool bury(pj__dispatcher *dispatcher, unsigned slot_index, pj__event *event)
{
	struct slot *slot = &dispatcher->slots[slot_index];
	struct pollfd *polls = &dispatcher->polls[2 * slot_index];
	if (receive(dispatcher, slot_index, event) == GOT_MESSAGE)
		return true; /* the pidfd stays readable: we come here again */
	pj__ending ending;
	if (!pj__child_reap(&slot->child, false, &ending))
		return false;
	pj__close(&slot->channel);
	polls[0] = polls[1] = (struct pollfd){.fd = -1};
	*event = (pj__event){.kind = PJ__EVENT_DEATH,
			     .slot = slot_index,
			     .exit_code = ending.exit_code,
			     .signal = ending.signal,
			     .cut_off = slot->cut_off && ending.signal == SIGKILL,
			     .fd = -1};
	return true;
}

/* Serves one ready entry of `polls`; true: there is an event. */
static bool serve(pj__dispatcher *dispatcher, size_t entry, pj__event *event)
{
	struct pollfd *ready = &dispatcher->polls[entry];
	const unsigned slot = (unsigned)(entry / 2);
	if (ready->fd < 0 || !ready->revents)
		return false;
	ready->revents = 0;
	if (slot == dispatcher->count) {
		*event = (pj__event){.kind = PJ__EVENT_READABLE, .exit_code = -1, .fd = ready->fd};
		return true;
	}
	if (entry % 2)
		return bury(dispatcher, slot, event);
	const enum received received = receive(dispatcher, slot, event);
	if (received == GOT_END) {
		ready->fd = -1; /* nothing more comes from here; the pidfd tells the rest */
		/* a worker that ends closes its channel as well, a moment before it has ended */
		const pid_t pid = dispatcher->slots[slot].child.pid;
		dispatcher->slots[slot].cut_off = !pj__is_ending(pid, pid);
		pj__child_signal(&dispatcher->slots[slot].child, SIGKILL);
	}
	return received == GOT_MESSAGE;
}

static bool serve_ready(pj__dispatcher *dispatcher, pj__event *event)
{
	const size_t entries = poll_count(dispatcher);
	for (size_t tried = 0; tried < entries; tried++) {
		const size_t entry = dispatcher->turn;
		dispatcher->turn = entry + 1 == entries ? 0 : entry + 1;
		if (serve(dispatcher, entry, event))
			return true;
	}
	return false;
}

pj_status pj__dispatcher_wait(pj__dispatcher *dispatcher, int timeout_ms, pj__event *ret_event, pj_error *error)
{
	if (serve_ready(dispatcher, ret_event))
		return PJ_OK;
	const uint64_t end_ns = timeout_ms < 0 ? 0 : pj__now_ns() + (uint64_t)timeout_ms * 1000000u;
	for (;;) {
		const int ready = pj__poll(dispatcher->polls, poll_count(dispatcher), timeout_ms);
		if (ready < 0)
			return pj__fail(error, pj__status_of_errno(errno, PJ_ERR_INTERNAL), errno, NULL,
					"cannot wait for the workers");
		if (ready && serve_ready(dispatcher, ret_event))
			return PJ_OK;
		/* what was ready may be no event (the end of a channel): wait on for the time that is left */
		const uint64_t now_ns = timeout_ms < 0 ? 0 : pj__now_ns();
		if (timeout_ms >= 0 && (ready == 0 || now_ns >= end_ns)) {
			*ret_event = (pj__event){.kind = PJ__EVENT_TIMEOUT, .exit_code = -1, .fd = -1};
			return PJ_OK;
		}
		if (timeout_ms > 0)
			timeout_ms = (int)((end_ns - now_ns + 999999u) / 1000000u);
	}
}

void pj__dispatcher_kill(pj__dispatcher *dispatcher, unsigned slot)
{
	pj__child_signal(&dispatcher->slots[slot].child, SIGKILL);
}

void pj__dispatcher_watch(pj__dispatcher *dispatcher, int fd)
{
	dispatcher->polls[2 * (size_t)dispatcher->count] = (struct pollfd){.fd = fd, .events = POLLIN};
}

int pj__channel_send(int channel, const void *message, size_t size)
{
	while (send(channel, message, size, MSG_NOSIGNAL) < 0) {
		if (errno == EINTR)
			continue;
		if (errno == ENOBUFS || errno == ENOMEM) {
			struct pollfd room = {.fd = channel, .events = POLLOUT};
			poll(&room, 1, 10); /* the kernel is short of memory for a moment */
			continue;
		}
		return errno == ECONNRESET || errno == ECONNREFUSED || errno == ENOTCONN ? EPIPE : errno;
	}
	return 0;
}

int pj__channel_receive(int channel, void *to, int timeout_ms, size_t *got)
{
	struct pollfd ready = {.fd = channel, .events = POLLIN};
	if (timeout_ms >= 0) {
		const int count = pj__poll(&ready, 1, timeout_ms);
		if (count < 0)
			return errno;
		if (count == 0) {
			*got = 0;
			return 0;
		}
	}
	for (;;) {
		const ssize_t size = recv(channel, to, PJ__MESSAGE_MAX, 0);
		if (size > 0) {
			*got = (size_t)size;
			return 0;
		}
		if (size == 0)
			return EPIPE;
		if (errno != EINTR && errno != ECONNRESET)
			return errno;
	}
}
