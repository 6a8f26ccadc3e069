/*
 * probe.c: what is the job in this shared object? A child process loads it and tells.
 *
 * The child writes one message to a pipe, {kind, length} and then a description or a pj_error, and exits. It is given a
 * time limit; a crash, an exit() in a constructor and a hang are errors that say so. Its standard input is empty and
 * its standard output goes to standard error: what a constructor prints is not data.
 *
 * In a child that was forked from a process with threads only this thread lives on; dlopen and malloc work there, as
 * the C library sees to its own locks over a fork.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"
#include "base/machine.h"
#include "mp/child.h"
#include "program/program.h"

enum message_kind { MESSAGE_JOB = 1, MESSAGE_ERROR = 2 };

struct message_head {
	uint64_t kind, len;
};

static const uint64_t message_max = UINT64_C(1) << 32;

/* ------------------------------------------------------------------------------------------------------------- load */

static bool same_object(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static pj_status check_job(const pj_job *job, const char *name, pj_error *error)
{
	if (job && job->abi == PJ_ABI && job->name)
		return PJ_OK;
	pj__fail(error, PJ_ERR_USER, 0, name, "the plug-in cannot be used");
	if (!job)
		pj__error_reason(error, "its pj_plugin_job() gives no job");
	else if (job->abi != PJ_ABI)
		pj__error_reason(error, "it was built for version %u of the interface, and this is version %u",
				 job->abi, PJ_ABI);
	else
		pj__error_reason(error, "its job has no name");
	pj__error_hint(error, "build it again, with the headers of version " PJ_VERSION " and PJ_PROGRAM(...)");
	return PJ_ERR_USER;
}

pj_status pj__object_load(const struct pj__object *object, const char *name, const pj_job **ret_job, pj_error *error)
{
	struct stat now;
	if (stat(object->path, &now) < 0)
		return pj__fail(error, PJ_ERR_USER, errno, name, "cannot load the plug-in");
	if (!same_object(&object->seen, &now)) {
		pj__fail(error, PJ_ERR_USER, 0, name, "the plug-in was replaced while it was in use");
		pj__error_hint(error, "run it again; build into a new file and rename that");
		return PJ_ERR_USER;
	}
	void *const handle = dlopen(object->path, RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		pj__fail(error, PJ_ERR_USER, 0, name, "cannot load the plug-in");
		pj__error_reason(error, "%s", dlerror());
		pj__error_hint(error, "build it with: cc -O2 -shared -fPIC job.c -o job.so");
		return PJ_ERR_USER;
	}
	const pj_job *(*entry)(void);
	void *const symbol = dlsym(handle, "pj_plugin_job");
	if (!symbol) {
		dlclose(handle);
		pj__fail(error, PJ_ERR_USER, 0, name, "not a plug-in");
		pj__error_reason(error, "it has no pj_plugin_job()");
		pj__error_hint(error, "PJ_PROGRAM(...) in its source makes one; see: papjuice help own-jobs");
		return PJ_ERR_USER;
	}
	/* the way of dlsym(3): ISO C has no cast from an object's pointer to a function's */
	memcpy(&entry, &symbol, sizeof entry);
	const pj_job *const job = entry();
	const pj_status status = check_job(job, name, error);
	if (status)
		return status;
	*ret_job = job;
	return PJ_OK;
}

/* ------------------------------------------------------------------------------------------------------------ child */

struct probe {
	const struct pj__object *object;
	const char *name;
	const char *const *values;
	int pipe[2];
};

static void settle_descriptors(void)
{
	const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (nothing >= 0)
		dup2(nothing, STDIN_FILENO);
	if (dup2(STDERR_FILENO, STDOUT_FILENO) < 0 && nothing >= 0)
		dup2(nothing, STDOUT_FILENO);
}

static int send_message(int fd, enum message_kind kind, const void *bytes, size_t len)
{
	const struct message_head head = {kind, len};
	const int failed = pj__write_all(fd, &head, sizeof head);
	return failed ? failed : pj__write_all(fd, bytes, len);
}

static int probe_main(void *arg)
{
	struct probe *const probe = arg;
	close(probe->pipe[0]);
	/* should a standard descriptor be closed, the pipe may have its number */
	probe->pipe[1] = fcntl(probe->pipe[1], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (probe->pipe[1] < 0)
		return 1;
	settle_descriptors();
	const pj_job *loaded = NULL;
	pj_job job;
	pj_error error;
	pj_text text = {0};
	pj_status status = pj__object_load(probe->object, probe->name, &loaded, &error);
	if (!status) {
		job = *loaded;
		if (probe->values && job.configure) {
			pj__fail(&error, PJ_ERR_USAGE, 0, NULL, "the job %s refuses its options", job.name);
			status = job.configure(&job, probe->values, &error);
		}
	}
	if (!status) {
		status = pj__describe(&job, &text, &error);
		if (status)
			snprintf(error.file, sizeof error.file, "%s", probe->name);
	}
	error.status = status; /* user code may have filled the error, and returned something else */
	const int failed = status ? send_message(probe->pipe[1], MESSAGE_ERROR, &error, sizeof error)
				  : send_message(probe->pipe[1], MESSAGE_JOB, text.data, text.len);
	return failed != 0;
}

/* ----------------------------------------------------------------------------------------------------------- parent */

/* True when `text` holds a whole message. */
static bool is_whole(const pj_text *text, struct message_head *head)
{
	if (text->len < sizeof *head)
		return false;
	memcpy(head, text->data, sizeof *head);
	return head->len <= message_max && text->len - sizeof *head >= head->len;
}

/* Reads what is in the pipe. False: its end, or a failure. */
static bool read_some(int fd, pj_text *text)
{
	enum { CHUNK = 65536 };
	char *const to = pj__text_room(text, CHUNK);
	if (!to)
		return false;
	const ssize_t n = read(fd, to, CHUNK);
	if (n > 0)
		text->len += (size_t)n;
	return n > 0 || (n < 0 && errno == EINTR);
}

/*
 * Reads until there is a whole message, the pipe ends or is empty after the child's death, or the time is over. (The
 * pipe need not end with the child: a constructor may have started processes that hold it.)
 */
static bool receive(const pj__child *child, int fd, int timeout_ms, pj_text *text)
{
	const uint64_t end_ns = pj__now_ns() + (uint64_t)timeout_ms * 1000000u;
	struct message_head head;
	while (!is_whole(text, &head)) {
		const uint64_t now_ns = pj__now_ns();
		if (now_ns >= end_ns)
			return false;
		struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = child->pidfd, .events = POLLIN}};
		if (pj__poll(fds, 2, (int64_t)((end_ns - now_ns) / 1000000u + 1)) <= 0)
			continue;
		if (fds[0].revents) {
			if (!read_some(fd, text))
				return true;
		} else if (fds[1].revents) {
			return true;
		}
	}
	return true;
}

static pj_status ended_early(const char *name, const pj__ending *ending, pj_error *error)
{
	pj__fail(error, PJ_ERR_USER, 0, name,
		 ending->signal ? "the plug-in crashed while it was loaded"
				: "the plug-in ended its process while it was loaded");
	if (ending->signal && error)
		error->signal = ending->signal;
	else if (!ending->signal)
		pj__error_reason(error, "exit code %d", ending->exit_code);
	pj__error_hint(error, "look at its constructors, at pj_plugin_job() and at the job's configure()");
	return PJ_ERR_USER;
}

static pj_status hung(const char *name, int timeout_ms, pj_error *error)
{
	pj__fail(error, PJ_ERR_USER, 0, name, "the plug-in hangs while it is loaded");
	pj__error_reason(error, "no job after %.3g seconds", timeout_ms / 1000.0);
	pj__error_hint(error, "look at its constructors, at pj_plugin_job() and at the job's configure()");
	return PJ_ERR_USER;
}

/* What the message says. */
static pj_status understand(const pj_text *text, const struct message_head *head, const char *name,
			    pj__described **ret_described, pj_error *error)
{
	const char *const body = text->data + sizeof *head;
	if (head->kind == MESSAGE_JOB)
		return pj__described_create((pj_bytes){body, (size_t)head->len}, name, ret_described, error);
	pj_error told;
	if (head->kind != MESSAGE_ERROR || head->len != sizeof told)
		return pj__described_create((pj_bytes){"", 0}, name, ret_described, error);
	memcpy(&told, body, sizeof told);
	if (!told.status)
		told.status = PJ_ERR_USER;
	if (error)
		*error = told;
	return told.status;
}

pj_status pj__probe(const struct pj__object *object, const char *name, const char *const *values, int timeout_ms,
		    pj__described **ret_described, pj_error *error)
{
	struct probe probe = {object, name, values, {-1, -1}};
	if (pipe2(probe.pipe, O_CLOEXEC) < 0)
		return pj__fail(error, pj__status_of_errno(errno, PJ_ERR_RESOURCE), errno, NULL, "cannot make a pipe");
	pj__child child = PJ__NO_CHILD;
	pj_status status = pj__child_start(&child, PJ__SIGNALS_DEFAULT, probe_main, &probe, error);
	pj__close(&probe.pipe[1]);
	if (status) {
		pj__close(&probe.pipe[0]);
		return status;
	}
	pj_text text = {0};
	struct message_head head;
	const bool in_time = receive(&child, probe.pipe[0], timeout_ms, &text);
	const bool whole = is_whole(&text, &head);
	/* after a whole message, as after the time limit, it has nothing more to say; else it is ending */
	if (whole || !in_time || text.failed)
		pj__child_signal(&child, SIGKILL);
	pj__ending ending;
	if (!whole && in_time && !pj__child_wait(&child, 1000))
		pj__child_signal(&child, SIGKILL);
	pj__child_reap(&child, true, &ending);
	if (whole)
		status = understand(&text, &head, name, ret_described, error);
	else if (text.failed)
		status = pj__no_memory(error, text.capacity);
	else
		status = in_time ? ended_early(name, &ending, error) : hung(name, timeout_ms, error);
	pj__close(&probe.pipe[0]);
	pj__text_fini(&text);
	return status;
}
