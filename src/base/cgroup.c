/*
 * cgroup.c: see cgroup.h.
 *
 * /proc/self/cgroup names the process's own group, /proc/self/mountinfo where the tree of groups is mounted, and which
 * of its folders is the root of the mount: in a container that is often the own group itself, whose name means nothing
 * inside. From the own group the way leads up to the mount; the tightest of the limits on it counts. A limit bounds all
 * processes of its group together, so what is left of it is what matters (admin-guide/cgroup-v2 and cgroup-v1/memory of
 * the kernel's documentation).
 */
#include "base/cgroup.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The files of a version. */
struct files {
	const char *type;       /* of the mounted file system */
	const char *controller; /* in the list of a group's line and of a mount's options; "": version 2 has no lists */
	const char *limit, *used;
	const char *cache[2]; /* file pages, which go when memory is wanted */
	const char *kills;    /* has a line "oom_kill" */
};

static const struct files versions[] = {
	{"cgroup",
	 "memory",
	 "memory.limit_in_bytes",
	 "memory.usage_in_bytes",
	 {"total_inactive_file", "total_active_file"},
	 "memory.oom_control"},
	{"cgroup2", "", "memory.max", "memory.current", {"inactive_file", "active_file"}, "memory.events"},
};

/* Is `word` in a list that is separated by commas? */
static bool is_listed(const char *list, const char *word)
{
	const size_t len = strlen(word);
	for (;; list++) {
		const size_t next = strcspn(list, ",");
		if (next == len && !memcmp(list, word, len))
			return true;
		list += next;
		if (!*list)
			return false;
	}
}

static FILE *open_below(const char *root, const char *path)
{
	char whole[PATH_MAX];
	const int len = snprintf(whole, sizeof whole, "%s%s", root, path);
	return len > 0 && (size_t)len < sizeof whole ? fopen(whole, "re") : NULL;
}

/* The name of the own group: lines are "number:controllers:/name", and the name may hold colons. */
static bool find_group(const char *root, const struct files *files, char group[PATH_MAX])
{
	char line[PATH_MAX + 256];
	bool found = false;
	FILE *file = open_below(root, "/proc/self/cgroup");
	while (file && !found && fgets(line, sizeof line, file)) {
		char *const list = strchr(line, ':'), *const name = list ? strchr(list + 1, ':') : NULL;
		if (!name)
			continue;
		*name = 0;
		name[1 + strcspn(name + 1, "\n")] = 0;
		found = is_listed(list + 1, files->controller) && strlen(name + 1) < PATH_MAX;
		if (found)
			memcpy(group, name + 1, strlen(name + 1) + 1);
	}
	if (file)
		fclose(file);
	return found;
}

/* Blanks and the like stand in mountinfo as \040: in place. */
static void unescape(char *path)
{
	char *to = path;
	for (const char *at = path; *at; at++) {
		const bool code = at[0] == '\\' && at[1] >= '0' && at[1] <= '3' && at[2] >= '0' && at[2] <= '7' &&
				  at[3] >= '0' && at[3] <= '7';
		*to++ = code ? (char)((at[1] - '0') * 64 + (at[2] - '0') * 8 + at[3] - '0') : *at;
		at += code ? 3 : 0;
	}
	*to = 0;
}

/*
 * Where the tree is mounted, and which of its folders is there. A line of mountinfo is "id parent device root point
 * options [fields] - type source options".
 */
static bool find_mount(const char *root, const struct files *files, char top[PATH_MAX], char point[PATH_MAX])
{
	char line[2 * PATH_MAX + 1024];
	bool found = false;
	FILE *file = open_below(root, "/proc/self/mountinfo");
	while (file && !found && fgets(line, sizeof line, file)) {
		char type[32], options[512];
		const char *const rest = strstr(line, " - ");
		_Static_assert(PATH_MAX >= 4096, "the widths below");
		found = rest && sscanf(line, "%*s %*s %*s %4095s %4095s", top, point) == 2 &&
			sscanf(rest, " - %31s %*s %511s", type, options) == 2 && !strcmp(type, files->type) &&
			(!*files->controller || is_listed(options, files->controller));
	}
	if (file)
		fclose(file);
	if (found) {
		unescape(top);
		unescape(point);
	}
	return found;
}

/* The first number in a file; UINT64_MAX: the file has no number ("max") or does not exist. */
static uint64_t read_number(const char *root, const char *folder, const char *name)
{
	char path[PATH_MAX];
	unsigned long long number;
	const int len = snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *file = len > 0 && (size_t)len < sizeof path ? open_below(root, path) : NULL;
	if (!file)
		return UINT64_MAX;
	const bool read = fscanf(file, "%llu", &number) == 1;
	fclose(file);
	return read ? number : UINT64_MAX;
}

/* The number in a line "name number" of a file; `otherwise` if the file has no such line. */
static uint64_t read_named(const char *root, const char *folder, const char *from, const char *name, uint64_t otherwise)
{
	char path[PATH_MAX], line[256], word[128];
	unsigned long long number;
	uint64_t found = otherwise;
	const int len = snprintf(path, sizeof path, "%s/%s", folder, from);
	FILE *file = len > 0 && (size_t)len < sizeof path ? open_below(root, path) : NULL;
	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "%127s %llu", word, &number) == 2 && !strcmp(word, name))
			found = number;
	if (file)
		fclose(file);
	return found;
}

static uint64_t read_stat(const char *root, const char *folder, const char *name)
{
	return read_named(root, folder, "memory.stat", name, 0);
}

static uint64_t left_in(const char *root, const struct files *files, const char *folder)
{
	const uint64_t limit = read_number(root, folder, files->limit), used = read_number(root, folder, files->used);
	if (limit >= (uint64_t)INT64_MAX / 4096 * 4096 || used == UINT64_MAX) /* how version 1 says "none" */
		return UINT64_MAX;
	const uint64_t cache = read_stat(root, folder, files->cache[0]) + read_stat(root, folder, files->cache[1]);
	const uint64_t kept = used - (cache < used ? cache : used);
	return kept < limit ? limit - kept : 0;
}

/* Finds the folder of the own group; *ret_top: how much of its name is the mount. */
static bool find_folder(const char *root, const struct files *files, char folder[2 * PATH_MAX], size_t *ret_top)
{
	char group[PATH_MAX], top[PATH_MAX], point[PATH_MAX];
	if (!find_group(root, files, group) || !find_mount(root, files, top, point))
		return false;
	/* the part of the group's name below the root of the mount; a name from outside of it says nothing */
	const size_t above = strcmp(top, "/") ? strlen(top) : 0;
	const bool inside = !strncmp(group, top, above) && (group[above] == '/' || !group[above]);
	snprintf(folder, 2 * PATH_MAX, "%s%s", point, inside && strcmp(group, "/") ? group + above : "");
	*ret_top = strlen(point);
	return true;
}

static uint64_t left_by(const char *root, const struct files *files)
{
	char folder[2 * PATH_MAX];
	size_t length;
	if (!find_folder(root, files, folder, &length))
		return UINT64_MAX;
	uint64_t least = UINT64_MAX;
	for (char *end = folder + strlen(folder);;) {
		const uint64_t left = left_in(root, files, folder);
		least = left < least ? left : least;
		if (end <= folder + length)
			return least;
		while (end > folder + length && *--end != '/')
			;
		*end = 0;
	}
}

uint64_t pj__cgroup_memory_left(const char *root)
{
	uint64_t least = UINT64_MAX;
	for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
		const uint64_t left = left_by(root, &versions[i]);
		least = left < least ? left : least;
	}
	return least;
}

uint64_t pj__oom_kills(const char *root)
{
	char folder[2 * PATH_MAX];
	size_t length;
	for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
		if (!find_folder(root, &versions[i], folder, &length))
			continue;
		const uint64_t kills = read_named(root, folder, versions[i].kills, "oom_kill", UINT64_MAX);
		if (kills != UINT64_MAX)
			return kills;
	}
	return read_named(root, "/proc", "vmstat", "oom_kill", 0);
}
