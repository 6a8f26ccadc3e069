/*
 * strain.c: long records, whose memory only one worker at a time may take.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>

#include "engine/worker.h"

enum { LARGE_BLOCK = 1 << 20, WAIT_MS = 5 };

size_t pj__strain_usual(const struct worker *worker)
{
	const size_t share = worker->local->budget.part / 2, least = 1 << 20;
	return share > least ? share : least;
}

/*
 * Longer ones are dealt with by one worker at a time, for a few of them together would take more than there is. The
 * lock is the kernel's, on the first byte of the board: it goes with the process that holds it.
 */
pj_status pj__strain(struct worker *worker, bool is, pj_error *error)
{
	struct flock lock = {.l_type = is ? F_WRLCK : F_UNLCK, .l_whence = SEEK_SET, .l_len = 1};
	if (is == worker->is_strained)
		return PJ_OK;
	/* Meanwhile large blocks go back at once when they are freed; before and after that, what is free anyway. */
	(void)mallopt(M_MMAP_THRESHOLD, is ? LARGE_BLOCK : PJ__MMAP_THRESHOLD);
	(void)malloc_trim(0);
	while (fcntl(worker->local->board, F_SETLK, &lock)) {
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return pj__fail(error, PJ_ERR_RESOURCE, errno, NULL, "cannot wait for memory");
		/* Its turn comes when the other one is done, and that one is watched: to wait is to make progress. */
		++pj__page_of(worker->local, worker->slot)->here.progress;
		poll(NULL, 0, WAIT_MS);
	}
	worker->is_strained = is;
	return PJ_OK;
}
