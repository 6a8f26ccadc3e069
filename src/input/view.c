/*
 * view.c: see view.h.
 */
#include "input/view.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"

/* A mapping for each file: of many small ones, to copy the lines is cheaper. */
static const uint64_t mean_least = 64 << 10;
enum { FILES_MOST = 4096 /* the kernel lets a process have 65530 mappings, if it was not told otherwise */ };

/* What the signal handler looks into. */
static struct {
	const pj__view *view;
	const pj__sources *sources;
	void (*lost)(void *arg, const pj__source *source);
	void *arg;
	struct sigaction before;
} watched;

static uint64_t whole_pages(uint64_t bytes)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	return (bytes + page - 1) / page * page;
}

bool pj__view_place(pj__sources *sources)
{
	uint64_t end = 0;
	if (sources->has_stream || sources->decoder_bytes || sources->bytes / mean_least < sources->count ||
	    sources->count > FILES_MOST || sources->bytes > PJ__VIEW_MOST)
		return false;
	for (size_t i = 0; i < sources->count; i++) {
		pj__source *source = &sources->at[i];
		if (source->kind != PJ__SOURCE_FILE || source->base || pj__source_is_packed(source))
			return false;
		source->position = end;
		end += whole_pages(source->size);
	}
	return true;
}

static const pj__source *source_at(uint64_t position)
{
	size_t low = 0, high = watched.sources->count;
	while (high - low > 1) {
		const size_t middle = low + (high - low) / 2;
		if (watched.sources->at[middle].position <= position)
			low = middle;
		else
			high = middle;
	}
	return &watched.sources->at[low];
}

/*
 * Any other bad address takes its usual course: it is met again on return, then without a handler. A signal that was
 * sent would not come again by itself.
 */
static void on_bad_address(int signal, siginfo_t *info, void *context)
{
	(void)context;
	const bool is_sent = info->si_code <= 0;
	const uintptr_t at = (uintptr_t)info->si_addr, start = (uintptr_t)watched.view->at;
	if (!is_sent && at >= start && at - start < watched.view->bytes)
		watched.lost(watched.arg, source_at(at - start));
	(void)sigaction(signal, &watched.before, NULL);
	if (is_sent)
		(void)raise(signal);
}

static pj_status map_source(const pj__view *view, const pj__sources *sources, const pj__source *source, pj_error *error)
{
	int fd;
	bool owned;
	if (!source->size)
		return PJ_OK;
	const pj_status status = pj__source_open(sources, source, &fd, &owned, error);
	if (status)
		return status;
	const void *at = mmap(view->at + source->position, source->size, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
	const int failed = at == MAP_FAILED ? errno : 0;
	if (owned)
		pj__close(&fd);
	return failed ? pj__fail(error, PJ_ERR_RESOURCE, failed, source->name, "cannot map the input") : PJ_OK;
}

pj_status pj__view_open(pj__view *view, const pj__sources *sources, void (*lost)(void *arg, const pj__source *source),
			void *arg, pj_error *error)
{
	const pj__source *last = &sources->at[sources->count - 1];
	*view = (pj__view){.bytes = last->position + whole_pages(last->size)};
	void *at = mmap(NULL, view->bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		return pj__fail(error, PJ_ERR_RESOURCE, errno, NULL, "cannot map the inputs");
	view->at = at;
	for (size_t i = 0; i < sources->count; i++) {
		const pj_status status = map_source(view, sources, &sources->at[i], error);
		if (status)
			return status;
	}
	watched.view = view;
	watched.sources = sources;
	watched.lost = lost;
	watched.arg = arg;
	struct sigaction action = {.sa_sigaction = on_bad_address, .sa_flags = SA_SIGINFO};
	if (sigaction(SIGBUS, &action, &watched.before))
		return pj__fail(error, PJ_ERR_INTERNAL, errno, NULL, "cannot watch for bad addresses");
	return PJ_OK;
}

void pj__view_close(pj__view *view)
{
	if (!view->at)
		return;
	if (watched.view == view) {
		(void)sigaction(SIGBUS, &watched.before, NULL);
		watched.view = NULL;
	}
	munmap(view->at, view->bytes);
	*view = (pj__view){0};
}
