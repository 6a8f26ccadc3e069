/*
 * private.c: see private.h.
 *
 * A folder is owned by whoever holds its lock. Between mkdir and flock it has no owner and may be swept; so the owner
 * looks, once it has the lock, if the folder is still there, and tries again if it is not. The lock belongs to the open
 * folder, which the workers inherit: it is free when the leader and all of them are gone.
 */
#include "base/private.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

static const char prefix[] = ".papjuice-";

/* Opens and locks a folder. Returns 0, or an errno: ENOENT: it is gone; EWOULDBLOCK: somebody owns it. */
static int own(int parent_fd, const char *name, int *ret_fd)
{
	const int fd = pj__beyond_standard(openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
	if (fd < 0)
		return errno;
	struct stat locked, there;
	int failed;
	while ((failed = flock(fd, LOCK_EX | LOCK_NB) < 0 ? errno : 0) == EINTR)
		;
	if (!failed && (fstat(fd, &locked) < 0 || fstatat(parent_fd, name, &there, AT_SYMLINK_NOFOLLOW) < 0))
		failed = errno;
	if (!failed && (locked.st_ino != there.st_ino || locked.st_dev != there.st_dev))
		failed = ENOENT;
	if (failed)
		close(fd);
	else
		*ret_fd = fd;
	return failed;
}

pj_status pj__private_create(const char *parent, int *ret_fd, char **ret_path, pj_error *error)
{
	for (int tries = 0; tries < 100; tries++) {
		uint64_t number;
		char *path;
		if (getrandom(&number, sizeof number, 0) != sizeof number)
			return pj__fail(error, PJ_ERR_RESOURCE, errno, NULL, "cannot get a random number");
		if (asprintf(&path, "%s/%s%016llx", parent, prefix, (unsigned long long)number) < 0)
			return pj__no_memory(error, strlen(parent) + 32);
		const bool made = mkdir(path, 0700) == 0;
		const int failed = made ? own(AT_FDCWD, path, ret_fd) : errno;
		if (!failed) {
			*ret_path = path;
			return PJ_OK;
		}
		if (made)
			(void)rmdir(path); /* if it is not swept, but cannot be opened: for lack of descriptors, say */
		free(path);
		if (made ? failed != ENOENT && failed != EWOULDBLOCK : failed != EEXIST)
			return pj__fail(error, pj__status_of_errno(failed, PJ_ERR_OUTPUT), failed, parent,
					made ? "cannot open a folder in" : "cannot make a folder in");
	}
	return pj__fail(error, PJ_ERR_OUTPUT, EEXIST, parent, "cannot make a folder in");
}

/* Opens a folder that is to be emptied. */
static int open_to_empty(int parent_fd, const char *name)
{
	enum { FLAGS = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW };
	int fd = openat(parent_fd, name, FLAGS);
	if (fd < 0 && errno == EACCES && fchmodat(parent_fd, name, 0700, AT_SYMLINK_NOFOLLOW) == 0)
		fd = openat(parent_fd, name, FLAGS);
	struct stat is;
	if (fd >= 0 && fstat(fd, &is) == 0 && (is.st_mode & 0300) != 0300)
		(void)fchmod(fd, 0700); /* another user's: then what is in it cannot be removed, and that is told */
	return fd;
}

int pj__remove_tree(int parent_fd, const char *name)
{
	const int fd = open_to_empty(parent_fd, name);
	DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
	if (!folder) {
		const int failed = errno;
		if (fd >= 0)
			close(fd);
		return failed;
	}
	int failed = 0;
	for (struct dirent *entry; (errno = 0, entry = readdir(folder));) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (unlinkat(fd, entry->d_name, 0) == 0)
			continue;
		const int inner = errno == EISDIR || errno == EPERM ? pj__remove_tree(fd, entry->d_name) : errno;
		failed = failed ? failed : inner;
	}
	closedir(folder);
	if (unlinkat(parent_fd, name, AT_REMOVEDIR) < 0 && !failed)
		failed = errno;
	return failed;
}

static bool is_private_name(const char *name)
{
	const size_t len = sizeof prefix - 1;
	return strncmp(name, prefix, len) == 0 && strspn(name + len, "0123456789abcdef") == 16 && !name[len + 16];
}

void pj__private_sweep(const char *parent)
{
	DIR *folder = opendir(parent);
	if (!folder)
		return;
	for (struct dirent *entry; (entry = readdir(folder));) {
		int fd;
		if (!is_private_name(entry->d_name) || own(dirfd(folder), entry->d_name, &fd))
			continue;
		(void)pj__remove_tree(dirfd(folder), entry->d_name); /* another user's: not ours to judge */
		close(fd);
	}
	closedir(folder);
}
