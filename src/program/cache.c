/*
 * cache.c: the folder of compiled objects.
 *
 *     $XDG_CACHE_HOME/papjuice, else ~/.cache/papjuice     (0700, the user's own, or it is not used)
 *         0123...cdef.so     an object, named by the 128 bits of its key
 *         tmp-XXXXXX         one that is being compiled; gets its name by a rename
 *
 * Any number of processes use it at once: names are given by one rename, to which the first wins, and no object is ever
 * written to under its name. Where no such folder can be used (no home, another's, a full or read-only disk),
 * objects go to a new folder in $TMPDIR or /tmp, and that goes with the program.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "program/program.h"

enum { UNFINISHED_SECONDS = 24 * 60 * 60, UNUSED_SECONDS = 90 * UNFINISHED_SECONDS };

/* The folder in which caches of all programs lie, owned by the caller; NULL: none. */
static char *base_folder(void)
{
	const char *const xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	char *folder = NULL;
	/* a relative path is to be ignored, says the XDG Base Directory Specification */
	if (xdg && *xdg == '/')
		return strdup(xdg);
	char room[4096];
	struct passwd entry, *found = NULL;
	if (!home || *home != '/')
		home = getpwuid_r(geteuid(), &entry, room, sizeof room, &found) == 0 && found ? found->pw_dir : NULL;
	if (!home || *home != '/' || asprintf(&folder, "%s/.cache", home) < 0)
		return NULL;
	return folder;
}

/* A folder that is ours alone: whoever could write to it could have his code run. */
static bool is_safe(const char *folder)
{
	struct stat seen;
	return lstat(folder, &seen) == 0 && S_ISDIR(seen.st_mode) && seen.st_uid == geteuid() &&
	       !(seen.st_mode & (S_IWGRP | S_IWOTH)) && access(folder, R_OK | W_OK | X_OK) == 0;
}

static char *lasting_folder(void)
{
	char *const base = base_folder();
	char *folder = NULL;
	if (!base)
		return NULL;
	mkdir(base, 0700); /* if it can't be made, or is there, the next line tells */
	if (asprintf(&folder, "%s/papjuice", base) < 0)
		folder = NULL;
	free(base);
	if (folder && ((mkdir(folder, 0700) < 0 && errno != EEXIST) || !is_safe(folder))) {
		free(folder);
		return NULL;
	}
	return folder;
}

pj_status pj__cache_open(struct pj__cache *cache, pj_error *error)
{
	*cache = (struct pj__cache){lasting_folder(), false};
	if (cache->folder)
		return PJ_OK;
	const char *const given = getenv("TMPDIR");
	char *folder = NULL;
	if (asprintf(&folder, "%s/papjuice-XXXXXX", given && *given == '/' ? given : "/tmp") < 0)
		return pj__no_memory(error, 64);
	if (!mkdtemp(folder)) {
		const int saved = errno;
		pj_status status =
			pj__fail(error, PJ_ERR_OUTPUT, saved, folder, "cannot find a folder for the compiled source");
		pj__error_hint(error, "set XDG_CACHE_HOME or TMPDIR to a folder that can be written");
		free(folder);
		return status;
	}
	*cache = (struct pj__cache){folder, true};
	return PJ_OK;
}

/* Calls `each` for every file in the folder that may be one of ours. */
static void for_each_file(const struct pj__cache *cache, void (*each)(int folder, const char *name))
{
	DIR *const folder = opendir(cache->folder);
	if (!folder)
		return;
	const struct dirent *entry;
	while ((entry = readdir(folder)))
		if (entry->d_name[0] != '.')
			each(dirfd(folder), entry->d_name);
	closedir(folder);
}

static void remove_file(int folder, const char *name)
{
	unlinkat(folder, name, 0);
}

void pj__cache_fini(struct pj__cache *cache)
{
	if (cache->temporary && cache->folder) {
		for_each_file(cache, remove_file);
		rmdir(cache->folder);
	}
	free(cache->folder);
	*cache = (struct pj__cache){0};
}

static void sweep_file(int folder, const char *name)
{
	struct stat seen;
	const size_t len = strlen(name);
	const bool unfinished = !strncmp(name, "tmp-", 4);
	const bool object = len == 32 + 3 && !strcmp(name + 32, ".so");
	if ((!unfinished && !object) || fstatat(folder, name, &seen, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	const time_t used = seen.st_atime > seen.st_mtime ? seen.st_atime : seen.st_mtime;
	if (time(NULL) - used > (unfinished ? UNFINISHED_SECONDS : UNUSED_SECONDS))
		unlinkat(folder, name, 0);
}

void pj__cache_sweep(const struct pj__cache *cache)
{
	if (!cache->temporary)
		for_each_file(cache, sweep_file);
}

char *pj__cache_path(const struct pj__cache *cache, XXH128_hash_t key)
{
	char *path = NULL;
	if (asprintf(&path, "%s/%016llx%016llx.so", cache->folder, (unsigned long long)key.high64,
		     (unsigned long long)key.low64) < 0)
		return NULL;
	return path;
}

bool pj__cache_has(const char *path)
{
	struct stat seen;
	if (lstat(path, &seen) < 0 || !S_ISREG(seen.st_mode) || seen.st_uid != geteuid())
		return false;
	/* used now, for the sweep; the time of modification tells workers that the object is the same, and stays */
	const struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_OMIT}};
	utimensat(AT_FDCWD, path, times, 0);
	return true;
}

pj_status pj__cache_new_file(const struct pj__cache *cache, char **ret_path, pj_error *error)
{
	char *path = NULL;
	if (asprintf(&path, "%s/tmp-XXXXXX", cache->folder) < 0)
		return pj__no_memory(error, strlen(cache->folder));
	int fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0) {
		const int saved = errno;
		const pj_status status = pj__fail(error, pj__status_of_errno(saved, PJ_ERR_OUTPUT), saved, path,
						  "cannot write the compiled source");
		free(path);
		return status;
	}
	pj__close(&fd);
	*ret_path = path;
	return PJ_OK;
}

/* An object that is there after a power cut should be whole. */
static int sync_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno;
	const int failed = fsync(fd) < 0 ? errno : 0;
	pj__close(&fd);
	return failed;
}

pj_status pj__cache_put(const char *file, const char *path, bool replace, pj_error *error)
{
	int failed = sync_file(file);
	if (!failed && !replace) {
		failed = renameat2(AT_FDCWD, file, AT_FDCWD, path, RENAME_NOREPLACE) < 0 ? errno : 0;
		if (failed == EEXIST) { /* another process was first, with the same */
			unlink(file);
			return PJ_OK;
		}
	}
	/* file systems that know no such rename say EINVAL */
	if (failed == EINVAL || failed == ENOSYS || (!failed && replace))
		failed = rename(file, path) < 0 ? errno : 0;
	if (!failed)
		return PJ_OK;
	unlink(file);
	return pj__fail(error, pj__status_of_errno(failed, PJ_ERR_OUTPUT), failed, path,
			"cannot keep the compiled source");
}
