/*
 * io.c: see io.h.
 */
#include "base/io.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/machine.h"

int pj__pread_full(int fd, void *to, size_t size, off_t offset, size_t *got)
{
	size_t done = 0;
	while (done < size) {
		const ssize_t n = pread(fd, (char *)to + done, size - done, offset + (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	*got = done;
	return 0;
}

int pj__read_full(int fd, void *to, size_t size, size_t *got)
{
	size_t done = 0;
	while (done < size) {
		const ssize_t n = read(fd, (char *)to + done, size - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	*got = done;
	return 0;
}

int pj__pwrite_all(int fd, const void *from, size_t size, off_t offset)
{
	for (size_t done = 0; done < size;) {
		const ssize_t n = pwrite(fd, (const char *)from + done, size - done, offset + (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : EIO;
		done += (size_t)n;
	}
	return 0;
}

int pj__write_all(int fd, const void *from, size_t size)
{
	for (size_t done = 0; done < size;) {
		const ssize_t n = write(fd, (const char *)from + done, size - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : EIO;
		done += (size_t)n;
	}
	return 0;
}

pj_status pj__pread_exactly(int fd, const char *name, void *to, size_t size, off_t offset, pj_error *error)
{
	size_t got = 0;
	const int failed = pj__pread_full(fd, to, size, offset, &got);
	if (failed) {
		pj__fail(error, PJ_ERR_INPUT, failed, name, "cannot read");
		pj__error_at(error, NULL, -1, offset);
		return PJ_ERR_INPUT;
	}
	if (got < size) {
		pj__fail(error, PJ_ERR_CORRUPT, 0, name, "stored bytes end too early");
		pj__error_at(error, NULL, -1, offset + (off_t)got);
		return PJ_ERR_CORRUPT;
	}
	return PJ_OK;
}

pj_status pj__pwrite_failed(const char *name, size_t size, off_t offset, int failed, pj_error *error)
{
	const pj_status status = pj__status_of_errno(failed, PJ_ERR_OUTPUT);
	pj__fail(error, status, failed, name, "cannot write %zu bytes", size);
	pj__error_at(error, NULL, -1, offset);
	return status;
}

pj_status pj__pwrite_checked(int fd, const char *name, const void *from, size_t size, off_t offset, pj_error *error)
{
	const int failed = pj__pwrite_all(fd, from, size, offset);
	return failed ? pj__pwrite_failed(name, size, offset, failed, error) : PJ_OK;
}

pj_status pj__pwritev_checked(int fd, const char *name, struct iovec *pieces, size_t count, off_t offset,
			      pj_error *error)
{
	for (size_t i = 0; i < count;) {
		const size_t some = count - i < IOV_MAX ? count - i : IOV_MAX;
		ssize_t wrote = pwritev(fd, pieces + i, (int)some, offset);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0) {
			const int failed = wrote ? errno : EIO;
			const pj_status status = pj__status_of_errno(failed, PJ_ERR_OUTPUT);
			pj__fail(error, status, failed, name, "cannot write");
			pj__error_at(error, NULL, -1, offset);
			return status;
		}
		offset += wrote;
		/* A count may end within a piece. */
		for (; i < count && (size_t)wrote >= pieces[i].iov_len; i++)
			wrote -= (ssize_t)pieces[i].iov_len;
		if (wrote)
			pieces[i] =
				(struct iovec){(char *)pieces[i].iov_base + wrote, pieces[i].iov_len - (size_t)wrote};
	}
	return PJ_OK;
}

int pj__beyond_standard(int fd)
{
	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	const int moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1), saved = errno;
	close(fd);
	errno = saved;
	return moved;
}

void pj__park_position(int fd)
{
	/* the farthest that the file system knows; a step too far moves nothing */
	off_t most = 0;
	for (int bit = 62; bit >= 0; bit--)
		if (lseek(fd, most | (off_t)1 << bit, SEEK_SET) >= 0)
			most |= (off_t)1 << bit;
}

/* Without renameat2's flags: a link replaces nothing, and the rename of a folder at most one without anything in it. */
static int rename_plainly(int from_folder, const char *from, int to_folder, const char *to)
{
	struct stat is;
	if (fstatat(from_folder, from, &is, AT_SYMLINK_NOFOLLOW) < 0)
		return errno;
	if (!S_ISDIR(is.st_mode))
		return linkat(from_folder, from, to_folder, to, 0) < 0 ? errno : 0;
	if (fstatat(to_folder, to, &is, AT_SYMLINK_NOFOLLOW) == 0)
		return EEXIST;
	return errno != ENOENT || renameat(from_folder, from, to_folder, to) < 0 ? errno : 0;
}

int pj__rename_new(int from_folder, const char *from, int to_folder, const char *to)
{
	if (renameat2(from_folder, from, to_folder, to, RENAME_NOREPLACE) == 0)
		return 0;
	return errno == EINVAL || errno == ENOSYS ? rename_plainly(from_folder, from, to_folder, to) : errno;
}

pj_status pj__memory_file(const char *label, int *ret_fd, pj_error *error)
{
	const int fd = pj__beyond_standard(memfd_create(label, MFD_CLOEXEC));
	if (fd < 0)
		return pj__fail(error, pj__status_of_errno(errno, PJ_ERR_RESOURCE), errno, NULL,
				"cannot make a memory file (%s)", label);
	*ret_fd = fd;
	return PJ_OK;
}

static pj_status no_temp_file(const char *folder, pj_error *error)
{
	const pj_status status = pj__status_of_errno(errno, PJ_ERR_OUTPUT);
	pj__fail(error, status, errno, folder, "cannot make a temporary file");
	pj__error_hint(error, "--temp names another folder");
	return status;
}

/* A process that is killed between the two calls leaves an empty file: no call does both. */
static int make_and_remove(const char *folder)
{
	char path[PATH_MAX];
	const int len = snprintf(path, sizeof path, "%s/.papjuice-XXXXXX", folder);
	if (len < 0 || (size_t)len >= sizeof path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	int fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0 && unlink(path) < 0) {
		const int failed = errno;
		close(fd);
		errno = failed;
		fd = -1;
	}
	return fd;
}

pj_status pj__temp_file(const char *folder, int *ret_fd, pj_error *error)
{
	int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL))
		fd = make_and_remove(folder);
	fd = pj__beyond_standard(fd);
	if (fd < 0)
		return no_temp_file(folder, error);
	pj__park_position(fd);
	*ret_fd = fd;
	return PJ_OK;
}

pj_status pj__map_shared(size_t size, void **ret_address, pj_error *error)
{
	int fd;
	/* The kernel would take all there is, and kill whomever it likes, before it said no. */
	if (size > pj__memory_available())
		return pj__fail(error, PJ_ERR_MEMORY, ENOMEM, NULL, "cannot get %zu bytes of shared memory", size);
	pj_status status = pj__memory_file("papjuice-shared", &fd, error);
	if (status)
		return status;
	int failed = 0;
	while ((failed = fallocate(fd, 0, 0, (off_t)size)) < 0 && errno == EINTR)
		;
	void *address = failed ? MAP_FAILED : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	const int saved = errno;
	close(fd); /* the mapping keeps the memory */
	if (address == MAP_FAILED)
		return pj__fail(error, PJ_ERR_MEMORY, saved, NULL, "cannot get %zu bytes of shared memory", size);
	*ret_address = address;
	return PJ_OK;
}

int pj__close(int *fd)
{
	if (*fd < 0)
		return 0;
	const int failed = close(*fd);
	*fd = -1;
	return failed && errno != EINTR ? errno : 0;
}
