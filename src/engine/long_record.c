/*
 * long_record.c: long records, whose memory only one worker at a time may take, while no other has any to speak of.
 *
 * A worker that has private memory holds MEMORY, shared: from its first task on, between tasks, too. One with a long
 * record gives back what it can, and MEMORY with it, closes the GATE, and takes MEMORY for itself, which it gets when
 * all others have come to the end of what they were doing. They find the gate closed, give back what they can, and
 * wait behind it. Whoever waits for anything has nothing that another could wait for, so all get their turn.
 *
 * Both are locks of the kernel's, on the first bytes of the board: they go with the process that holds them. To wait
 * for a worker is to make progress, for that one is watched.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>

#include "engine/worker.h"
#include "mp/dispatcher.h"

enum { GATE = 0, MEMORY = 1 };
enum { LARGE_BLOCK = 1 << 20, WAIT_MS = 5, IDLE_MS = 10, IDLE_MOST_MS = 1000 };

size_t pj__strain_usual(const struct worker *worker)
{
	const size_t share = worker->local->budget.part / 2, least = 1 << 20;
	return share > least ? share : least;
}

/* Takes, changes or gives back `count` locks from `first` on. False: another worker is in the way, or *ret_errnum. */
static bool set_lock(const struct worker *worker, short type, off_t first, off_t count, int *ret_errnum)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = first, .l_len = count};
	int failed;
	while ((failed = fcntl(worker->local->board, F_SETLK, &lock)) && errno == EINTR)
		continue;
	*ret_errnum = failed && errno != EAGAIN && errno != EACCES ? errno : 0;
	return !failed;
}

static pj_status await_lock(const struct worker *worker, short type, off_t first, off_t count, pj_error *error)
{
	int errnum;
	while (!set_lock(worker, type, first, count, &errnum)) {
		if (errnum)
			return pj__fail(error, PJ_ERR_RESOURCE, errnum, NULL, "cannot wait for memory");
		++pj__page_of(worker->local, worker->slot)->here.progress;
		poll(NULL, 0, WAIT_MS);
	}
	return PJ_OK;
}

/* To give back what one has cannot be refused, unless the board is gone. */
static pj_status unlock(const struct worker *worker, off_t which, pj_error *error)
{
	int errnum;
	if (set_lock(worker, F_UNLCK, which, 1, &errnum))
		return PJ_OK;
	return pj__fail(error, PJ_ERR_RESOURCE, errnum, NULL, "cannot give back a lock on memory");
}

static bool is_gate_closed(const struct worker *worker)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = GATE, .l_len = 1};
	return !fcntl(worker->local->board, F_GETLK, &lock) && lock.l_type != F_UNLCK;
}

/* Gives back what need not stay, and then the lock. Pairs that were gathered become a run. */
static pj_status give_back(struct worker *worker, pj_error *error)
{
	if (!worker->has_memory)
		return PJ_OK;
	if (worker->writer)
		worker->writer->relieve(worker->writer);
	if (worker->can_map && worker->task.status) {
		if (error)
			*error = worker->task.error;
		return worker->task.status;
	}
	if (worker->reducing) {
		pj__groups_relieve(&worker->groups);
		if (pj__setup_combines(&worker->setup))
			pj__combined_relieve(&worker->combined);
	}
	for (size_t i = worker->held_count; i < worker->held_capacity; i++)
		pj__text_fini(&worker->held[i].bytes);
	(void)malloc_trim(0);
	worker->has_memory = false;
	return unlock(worker, MEMORY, error);
}

pj_status pj__strain_enter(struct worker *worker, pj_error *error)
{
	if (worker->has_memory && !is_gate_closed(worker))
		return PJ_OK;
	pj_status status = give_back(worker, error);
	/* Through the gate, which stays open behind us. */
	if (!status)
		status = await_lock(worker, F_RDLCK, GATE, 1 + MEMORY, error);
	if (!status)
		status = unlock(worker, GATE, error);
	worker->has_memory = !status;
	return status;
}

pj_status pj__strain_receive(struct worker *worker, int *ret_deaf, size_t *ret_got, pj_error *error)
{
	pj_status status = PJ_OK;
	int wait = IDLE_MS;
	*ret_got = 0;
	while (!status) {
		*ret_deaf =
			pj__channel_receive(worker->channel, worker->buffer, worker->has_memory ? wait : -1, ret_got);
		if (*ret_deaf || *ret_got)
			break;
		if (is_gate_closed(worker))
			status = give_back(worker, error);
		wait = wait < IDLE_MOST_MS ? wait * 2 : wait;
	}
	return status;
}

static pj_status take_all(struct worker *worker, pj_error *error)
{
	pj_status status = give_back(worker, error);
	if (!status)
		status = await_lock(worker, F_WRLCK, GATE, 1, error);
	if (!status)
		status = await_lock(worker, F_WRLCK, MEMORY, 1, error);
	worker->has_memory = !status;
	return status;
}

pj_status pj__strain(struct worker *worker, bool is, pj_error *error)
{
	if (is == worker->is_strained)
		return PJ_OK;
	/* Meanwhile large blocks go back at once when they are freed; before and after that, what is free anyway. */
	(void)mallopt(M_MMAP_THRESHOLD, is ? LARGE_BLOCK : PJ__MMAP_THRESHOLD);
	(void)malloc_trim(0);
	pj_status status = is ? take_all(worker, error) : await_lock(worker, F_RDLCK, MEMORY, 1, error);
	if (!status && !is)
		status = unlock(worker, GATE, error);
	worker->is_strained = is && !status;
	return status;
}
