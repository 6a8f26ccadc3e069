/*
 * sink.c: see sink.h.
 *
 * How an output gets its name:
 *
 *     a new file       linkat(unnamed file, output): fails if somebody has made one meanwhile
 *     an old file      linkat(unnamed file, private folder), then rename over it
 *     a new folder     renameat2(NOREPLACE), or what comes nearest to it (pj__rename_new)
 *     an old folder    renameat2(EXCHANGE), then the old one, now in the private folder, is looked at again and
 *                      removed, or, if it holds what no run has made, exchanged back
 */
#include "output/sink.h"

#include <dirent.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"
#include "base/private.h"

enum { WAIT_MS = 100, TRIES_MOST = 100 };
static const char inner_name[] = "output";

const char *pj__sink_name(const pj__sink *sink)
{
	return sink->path ? sink->path : sink->kind == PJ__SINK_FUNCTION ? "output function" : "standard output";
}

const char *pj__temp_folder(const char *given, const pj__sink *sink)
{
	const char *const common = given ? given : getenv("TMPDIR");
	if (common && *common)
		return common;
	return sink->kind == PJ__SINK_FILE || sink->kind == PJ__SINK_FOLDER ? sink->parent : "/var/tmp";
}

static pj_status exists(const char *path, pj_error *error)
{
	pj__fail(error, PJ_ERR_EXISTS, 0, path, "the output exists");
	pj__error_hint(error, "--overwrite replaces it, when the new output is complete");
	return PJ_ERR_EXISTS;
}

static pj_status cannot_replace(const char *path, const char *why, pj_error *error)
{
	pj__fail(error, PJ_ERR_EXISTS, 0, path, "the output cannot be replaced");
	pj__error_reason(error, "%s", why);
	pj__error_hint(error, "choose another path with -o");
	return PJ_ERR_EXISTS;
}

/* Is it a part file, or _SUCCESS? What has just gone was one: another run is replacing the folder, too. */
static bool is_of_a_run(int folder, const char *name)
{
	struct stat is;
	const size_t digits = strncmp(name, "part-", 5) == 0 ? strspn(name + 5, "0123456789") : 0;
	bool named = strcmp(name, "_SUCCESS") == 0 || (digits && !name[5 + digits]);
	for (pj_compression i = PJ_GZ; i <= PJ_ZST && digits && name[5 + digits] == '.'; i++)
		named |= strcmp(name + 5 + digits + 1, pj__compression_name(i)) == 0;
	if (fstatat(folder, name, &is, AT_SYMLINK_NOFOLLOW))
		return named && errno == ENOENT;
	return named && S_ISREG(is.st_mode);
}

/* Sets *ret_foreign if a folder holds more than what a run has put there. Returns 0 or an errno. */
static int look_into(int at, const char *path, bool *ret_foreign)
{
	int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), failed;
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	*ret_foreign = false;
	if (!folder) {
		failed = errno;
		pj__close(&fd);
		return failed;
	}
	for (;;) {
		errno = 0;
		const struct dirent *const entry = readdir(folder);
		failed = errno;
		if (!entry || *ret_foreign)
			break;
		const char *const name = entry->d_name;
		*ret_foreign = strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && !is_of_a_run(fd, name);
	}
	closedir(folder);
	return failed;
}

/* A folder may be replaced if it holds nothing but what a run has put there. */
static pj_status check_folder(const char *path, pj_error *error)
{
	bool foreign;
	const int failed = look_into(AT_FDCWD, path, &foreign);
	if (failed)
		return pj__fail(error, PJ_ERR_OUTPUT, failed, path, "cannot read the folder to be replaced");
	return foreign ? cannot_replace(path, "the folder holds more than part files and _SUCCESS", error) : PJ_OK;
}

/* Sets path, parent and name; a symbolic link is followed, so that its target is what is written. */
static pj_status resolve(pj__sink *sink, const char *given, pj_error *error)
{
	char *path = strdup(given), *real = NULL;
	if (!path)
		return pj__no_memory(error, strlen(given));
	for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--)
		path[n - 1] = 0;
	real = realpath(path, NULL);
	if (!real) {
		/* it does not exist: its folder must */
		char *copy = strdup(path), *folder = copy ? realpath(dirname(copy), NULL) : NULL;
		const int failed = errno;
		free(copy);
		if (folder && asprintf(&real, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, basename(path)) < 0)
			real = NULL;
		free(folder);
		if (!real) {
			free(path);
			pj__fail(error, PJ_ERR_OUTPUT, failed, given, "cannot write the output");
			pj__error_hint(error, "the folder in which it is to lie must exist");
			return PJ_ERR_OUTPUT;
		}
	}
	free(path);
	sink->path = real;
	sink->name = strrchr(real, '/') + 1;
	sink->parent = strndup(real, sink->name - real > 1 ? (size_t)(sink->name - real) - 1 : 1);
	return sink->parent ? PJ_OK : pj__no_memory(error, strlen(real));
}

/* Devices, pipes and sockets are written as they are, by whatever name: /dev/null, /dev/stdout, >(command). */
static bool is_stream(const char *path)
{
	struct stat is;
	return stat(path, &is) == 0 &&
	       (S_ISCHR(is.st_mode) || S_ISFIFO(is.st_mode) || S_ISBLK(is.st_mode) || S_ISSOCK(is.st_mode));
}

/* Looks at what stands at the path. */
static pj_status check_existing(pj__sink *sink, pj_error *error)
{
	struct stat is;
	if (lstat(sink->path, &is) < 0) {
		if (errno == ENOENT)
			return PJ_OK;
		return pj__fail(error, PJ_ERR_OUTPUT, errno, sink->path, "cannot write the output");
	}
	const bool folder = sink->kind == PJ__SINK_FOLDER;
	if (!sink->output.overwrite)
		return exists(sink->path, error);
	if (!folder && S_ISDIR(is.st_mode))
		return cannot_replace(sink->path, "it is a folder (end the path with '/' to write part files)", error);
	if (folder && !S_ISDIR(is.st_mode))
		return cannot_replace(sink->path, "it is not a folder", error);
	if (S_ISLNK(is.st_mode))
		return cannot_replace(sink->path, "it is a symbolic link to nothing", error);
	sink->exists = true;
	sink->mode = is.st_mode & 07777;
	sink->device = is.st_dev;
	sink->inode = is.st_ino;
	return folder ? check_folder(sink->path, error) : PJ_OK;
}

static pj_status make_private(pj__sink *sink, pj_error *error)
{
	return sink->private_fd >= 0 ? PJ_OK
				     : pj__private_create(sink->parent, &sink->private_fd, &sink->private_path, error);
}

static pj_status open_file(pj__sink *sink, pj_error *error)
{
	sink->fd = pj__beyond_standard(open(sink->parent, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666));
	if (sink->fd >= 0) {
		sink->unnamed = true;
		return PJ_OK;
	}
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT && errno != EINVAL)
		return pj__fail(error, PJ_ERR_OUTPUT, errno, sink->path, "cannot write the output");
	const pj_status status = make_private(sink, error);
	if (status)
		return status;
	sink->fd = pj__beyond_standard(
		openat(sink->private_fd, inner_name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0666));
	return sink->fd >= 0 ? PJ_OK : pj__fail(error, PJ_ERR_OUTPUT, errno, sink->path, "cannot write the output");
}

static pj_status open_folder(pj__sink *sink, pj_error *error)
{
	pj_status status = make_private(sink, error);
	if (!status && mkdirat(sink->private_fd, inner_name, 0777) < 0)
		status = pj__fail(error, PJ_ERR_OUTPUT, errno, sink->private_path, "cannot make a folder in");
	return status;
}

/* Opens the stream at the path. A pipe that nobody reads yet is tried again: a wait in open() could not be ended. */
static pj_status open_path(pj__sink *sink, pj_error *error)
{
	for (;;) {
		sink->fd = pj__beyond_standard(open(sink->path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
		const int failed = sink->fd < 0 ? errno : 0;
		struct stat is;
		if (failed != ENXIO || stat(sink->path, &is) < 0 || !S_ISFIFO(is.st_mode))
			return failed ? pj__fail(error, PJ_ERR_OUTPUT, failed, sink->path, "cannot write the output")
				      : PJ_OK;
		const pj_status status = pj__stopped_by(sink->stop, error);
		if (status)
			return status;
		poll(NULL, 0, WAIT_MS / 5);
	}
}

static pj_status open_stream(pj__sink *sink, pj_error *error)
{
	struct stat is;
	if (sink->path) {
		const pj_status status = open_path(sink, error);
		if (status)
			return status;
	} else {
		/* A closed standard output is found out now, not when the work is done. */
		sink->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	}
	if (sink->fd < 0 || fstat(sink->fd, &is) < 0)
		return pj__fail(error, PJ_ERR_OUTPUT, errno, pj__sink_name(sink), "cannot write the output");
	sink->waits = S_ISFIFO(is.st_mode) || S_ISSOCK(is.st_mode) || isatty(sink->fd);
	return PJ_OK;
}

/*
 * Writes to a pipe, a socket or a terminal. When poll() says that there is room, so much fits without waiting as a pipe
 * takes in one piece; thus the wait is always in poll(), which a signal ends, and never in write().
 */
static pj_status write_waiting(const pj__sink *sink, pj_bytes bytes, pj_error *error)
{
	for (size_t done = 0; done < bytes.len;) {
		const pj_status status = pj__stopped_by(sink->stop, error);
		if (status)
			return status;
		struct pollfd room = {.fd = sink->fd, .events = POLLOUT};
		if (poll(&room, 1, WAIT_MS) <= 0)
			continue; /* a signal, or nothing yet */
		const size_t rest = bytes.len - done;
		const ssize_t wrote = write(sink->fd, bytes.ptr + done, rest < PIPE_BUF ? rest : PIPE_BUF);
		if (wrote < 0 && errno != EINTR && errno != EAGAIN)
			return pj__fail(error, PJ_ERR_OUTPUT, errno, pj__sink_name(sink), "cannot write the output");
		done += wrote > 0 ? (size_t)wrote : 0;
	}
	return PJ_OK;
}

/* Writes what is to stand in the file or stream. */
static pj_status put_to_sink(void *arg, pj_bytes bytes, pj_error *error)
{
	const pj__sink *sink = arg;
	if (sink->waits)
		return write_waiting(sink, bytes, error);
	const int failed = pj__write_all(sink->fd, bytes.ptr, bytes.len);
	if (!failed)
		return PJ_OK;
	return pj__fail(error, pj__status_of_errno(failed, PJ_ERR_OUTPUT), failed, pj__sink_name(sink),
			"cannot write the output");
}

pj_status pj__sink_stream(const pj__sink *sink, pj_bytes bytes, pj_error *error)
{
	return sink->encoder ? pj__encoder_write(sink->encoder, bytes, error)
			     : put_to_sink((void *)(uintptr_t)sink, bytes, error);
}

pj_status pj__sink_open(pj__sink *sink, const pj_output *output, pj_error *error)
{
	return pj__sink_open_until(sink, output, NULL, error);
}

pj_status pj__sink_open_until(pj__sink *sink, const pj_output *output, const volatile sig_atomic_t *stop,
			      pj_error *error)
{
	*sink = (pj__sink){.output = *output, .fd = -1, .private_fd = -1, .stop = stop};
	const char *path = output->path;
	pj_status status = PJ_OK;
	if (output->pair) {
		sink->kind = PJ__SINK_FUNCTION;
		return PJ_OK;
	}
	if (!path || strcmp(path, "-") == 0) {
		sink->kind = PJ__SINK_STREAM;
	} else if (!*path) {
		return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "the path of the output is empty");
	} else if (is_stream(path)) {
		sink->kind = PJ__SINK_STREAM;
		sink->path = strdup(path);
		status = sink->path ? PJ_OK : pj__no_memory(error, strlen(path));
	} else {
		sink->kind = path[strlen(path) - 1] == '/' ? PJ__SINK_FOLDER : PJ__SINK_FILE;
		status = resolve(sink, path, error);
		if (!status)
			status = check_existing(sink, error);
		if (!status)
			pj__private_sweep(sink->parent);
	}
	if (!status)
		status = sink->kind == PJ__SINK_FILE     ? open_file(sink, error)
			 : sink->kind == PJ__SINK_FOLDER ? open_folder(sink, error)
							 : open_stream(sink, error);
	if (!status && output->compression && sink->kind != PJ__SINK_FOLDER)
		status = pj__encoder_create(output->compression, put_to_sink, sink, &sink->encoder, error);
	if (status)
		pj__sink_close(sink);
	return status;
}

static pj_status put_to_file(void *arg, pj_bytes bytes, pj_error *error)
{
	const pj__part_file *file = arg;
	const int failed = pj__write_all(file->fd, bytes.ptr, bytes.len);
	if (!failed)
		return PJ_OK;
	return pj__fail(error, pj__status_of_errno(failed, PJ_ERR_OUTPUT), failed, file->sink->path,
			"cannot write the output");
}

pj_status pj__part_file_open(pj__part_file *file, const pj__sink *sink, uint64_t part, pj_error *error)
{
	const pj_compression compression = sink->output.compression;
	char name[64];
	snprintf(name, sizeof name, "%s/part-%05llu%s%s", inner_name, (unsigned long long)part, compression ? "." : "",
		 pj__compression_name(compression));
	*file = (pj__part_file){.sink = sink};
	file->fd = pj__beyond_standard(
		openat(sink->private_fd, name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0666));
	if (file->fd < 0)
		return pj__fail(error, pj__status_of_errno(errno, PJ_ERR_OUTPUT), errno, sink->path,
				"cannot make part file %llu of the output", (unsigned long long)part);
	const pj_status status =
		compression ? pj__encoder_create(compression, put_to_file, file, &file->encoder, error) : PJ_OK;
	if (status)
		pj__close(&file->fd); /* it is given up */
	return status;
}

pj_status pj__part_file_write(pj__part_file *file, pj_bytes bytes, pj_error *error)
{
	return file->encoder ? pj__encoder_write(file->encoder, bytes, error) : put_to_file(file, bytes, error);
}

pj_status pj__part_file_close(pj__part_file *file, pj_status status, pj_error *error)
{
	if (!status && file->encoder)
		status = pj__encoder_end(file->encoder, error);
	pj__encoder_destroy(file->encoder);
	file->encoder = NULL;
	const int failed = pj__close(&file->fd);
	if (failed && !status)
		status = pj__fail(error, pj__status_of_errno(failed, PJ_ERR_OUTPUT), failed, file->sink->path,
				  "cannot write the output");
	return status;
}

static pj_status commit_failed(const pj__sink *sink, int failed, pj_error *error)
{
	if (failed == EEXIST)
		return exists(sink->path, error);
	return pj__fail(error, PJ_ERR_OUTPUT, failed, sink->path, "cannot give the output its name");
}

/* Names the unnamed file `path`. Returns 0 or an errno. */
static int name_file(const pj__sink *sink, int folder, const char *path)
{
	char self[64];
	snprintf(self, sizeof self, "/proc/self/fd/%d", sink->fd);
	return linkat(AT_FDCWD, self, folder, path, AT_SYMLINK_FOLLOW) == 0 ? 0 : errno;
}

/*
 * What a file system tells when a file is closed must be known before the file has a name: closing another descriptor
 * of it brings the same to light. Returns 0 or an errno.
 */
static int close_once(const pj__sink *sink)
{
	int again = fcntl(sink->fd, F_DUPFD_CLOEXEC, 3);
	return again < 0 ? errno : pj__close(&again);
}

static pj_status commit_file(pj__sink *sink, pj_error *error)
{
	int failed = close_once(sink);
	if (failed)
		return commit_failed(sink, failed, error);
	if (sink->exists && fchmod(sink->fd, sink->mode) < 0)
		return commit_failed(sink, errno, error);
	if (sink->unnamed && !sink->exists) {
		failed = name_file(sink, AT_FDCWD, sink->path);
	} else {
		if (sink->unnamed) {
			const pj_status status = make_private(sink, error);
			if (status)
				return status;
			failed = name_file(sink, sink->private_fd, inner_name);
		}
		if (!failed && !sink->exists)
			failed = pj__rename_new(sink->private_fd, inner_name, AT_FDCWD, sink->path);
		else if (!failed && renameat(sink->private_fd, inner_name, AT_FDCWD, sink->path) < 0)
			failed = errno;
	}
	return failed ? commit_failed(sink, failed, error) : PJ_OK;
}

/* What stood at the path, and is in the private folder now, gets its name back. */
static pj_status put_back(pj__sink *sink, pj_error *error)
{
	int failed = renameat2(sink->private_fd, inner_name, AT_FDCWD, sink->path, RENAME_EXCHANGE) < 0 ? errno : 0;
	if (failed == ENOENT)
		failed = pj__rename_new(sink->private_fd, inner_name, AT_FDCWD, sink->path);
	if (!failed)
		return exists(sink->path, error);
	sink->keeps_private = true;
	pj__fail(error, PJ_ERR_OUTPUT, failed, sink->path, "cannot put back what was put there during the run");
	pj__error_hint(error, "move it out of %s now: the next run removes it", sink->private_path);
	return PJ_ERR_OUTPUT;
}

/*
 * Exchanges the new folder for the old one, and looks at what came out: files that somebody has put there during the
 * run, or another folder that has the name now, are not ours to remove.
 */
static pj_status exchange_folder(pj__sink *sink, pj_error *error)
{
	bool foreign;
	if (renameat2(sink->private_fd, inner_name, AT_FDCWD, sink->path, RENAME_EXCHANGE) < 0)
		return commit_failed(sink, errno == ENOENT ? EEXIST : errno, error);
	const int failed = look_into(sink->private_fd, inner_name, &foreign);
	if (!failed && !foreign)
		return PJ_OK; /* it goes with the private folder */
	const pj_status status = put_back(sink, error);
	if (status != PJ_ERR_EXISTS || !failed || failed == ENOTDIR || failed == ELOOP)
		return status;
	return pj__fail(error, PJ_ERR_OUTPUT, failed, sink->path, "cannot read the folder to be replaced");
}

static pj_status commit_folder(pj__sink *sink, pj_error *error)
{
	char name[64];
	snprintf(name, sizeof name, "%s/_SUCCESS", inner_name);
	int done = openat(sink->private_fd, name, O_CREAT | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0666);
	int failed = done < 0 ? errno : pj__close(&done);
	if (!failed && sink->exists)
		return exchange_folder(sink, error);
	if (!failed)
		failed = pj__rename_new(sink->private_fd, inner_name, AT_FDCWD, sink->path);
	return failed ? commit_failed(sink, failed, error) : PJ_OK;
}

/* Gives the output its name. What another run has made or removed there meanwhile is looked at again. */
static pj_status commit_name(pj__sink *sink, pj_error *error)
{
	for (int tries = 0;; tries++) {
		pj_status status = sink->kind == PJ__SINK_FILE ? commit_file(sink, error) : commit_folder(sink, error);
		if (status != PJ_ERR_EXISTS || !sink->output.overwrite || tries == TRIES_MOST)
			return status;
		sink->exists = false;
		status = check_existing(sink, error);
		if (status)
			return status;
	}
}

pj_status pj__sink_commit(pj__sink *sink, pj_error *error)
{
	const pj_status encoded = sink->encoder ? pj__encoder_end(sink->encoder, error) : PJ_OK;
	if (encoded)
		return encoded;
	if (sink->kind == PJ__SINK_FILE || sink->kind == PJ__SINK_FOLDER)
		return commit_name(sink, error);
	const int failed = pj__close(&sink->fd); /* of the duplicate: standard output itself stays open */
	if (failed)
		return pj__fail(error, PJ_ERR_OUTPUT, failed, pj__sink_name(sink), "cannot write the output");
	return PJ_OK;
}

void pj__sink_close(pj__sink *sink)
{
	pj__encoder_destroy(sink->encoder);
	pj__close(&sink->fd);
	if (sink->private_fd >= 0) {
		/* After a failed open it is empty, and there may be no descriptor left to look into it. */
		if (!sink->keeps_private)
			(void)unlinkat(sink->private_fd, inner_name, AT_REMOVEDIR);
		if (!sink->keeps_private && rmdir(sink->private_path) < 0)
			(void)pj__remove_tree(AT_FDCWD, sink->private_path); /* the next run tries again */
		pj__close(&sink->private_fd);
	}
	free(sink->private_path);
	free(sink->parent);
	free(sink->path);
	*sink = (pj__sink){.fd = -1, .private_fd = -1};
}
