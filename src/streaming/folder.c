/*
 * folder.c: see folder.h.
 */
#include "streaming/folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <papjuice/process.h>

#include "base/io.h"
#include "base/private.h"
#include "streaming/input.h"

/* A path put together after printf; NULL: no memory. */
static char *path_of(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *path_of(const char *format, ...)
{
	va_list list;
	char *path;
	va_start(list, format);
	if (vasprintf(&path, format, list) < 0)
		path = NULL;
	va_end(list);
	return path;
}

enum { CANNOT_RUN = 127 }; /* the exit code of who could not become a program, as in a shell */

static pj_status cannot(const char *what, const char *path, pj_error *error)
{
	return pj__fail(error, pj__status_of_errno(errno, PJ_ERR_OUTPUT), errno, path, "cannot %s", what);
}

static pj_status make_folder(const char *path, bool may_exist, pj_error *error)
{
	if (mkdir(path, 0777) == 0 || (may_exist && errno == EEXIST))
		return PJ_OK;
	return cannot("make the folder", path, error);
}

/* -------------------------------------------------------------------------------------------- the folder as a whole */

/* Makes the folders above the last component of an absolute path. */
static pj_status make_above(const char *path, pj_error *error)
{
	pj_status status = PJ_OK;
	for (const char *slash = path; !status && (slash = strchr(slash + 1, '/'));) {
		char *const above = strndup(path, (size_t)(slash - path));
		status = above ? make_folder(above, true, error) : pj__no_memory(error, strlen(path));
		free(above);
	}
	return status;
}

pj_status pj__folder_create(pj__folder *folder, const char *output, const volatile sig_atomic_t *stop, pj_error *error)
{
	static const char *const inside[] = {"files", "archives", "work", "side", "done"};
	*folder = (pj__folder){.fd = -1, .stop = stop};
	pj_status status = make_above(output, error);
	const char *const slash = strrchr(output, '/');
	char *const above = strndup(output, slash > output ? (size_t)(slash - output) : 1);
	if (!status && !above)
		status = pj__no_memory(error, strlen(output));
	if (!status) {
		pj__private_sweep(above);
		status = pj__private_create(above, &folder->fd, &folder->path, error);
	}
	free(above);
	for (size_t i = 0; !status && i < sizeof inside / sizeof *inside; i++) {
		char *const name = path_of("%s/%s", folder->path, inside[i]);
		status = name ? make_folder(name, false, error) : pj__no_memory(error, strlen(folder->path));
		free(name);
	}
	if (status)
		pj__folder_destroy(folder);
	return status;
}

void pj__folder_destroy(pj__folder *folder)
{
	if (!folder->path)
		return;
	(void)pj__remove_tree(AT_FDCWD, folder->path); /* the next run beside the output tries again */
	pj__close(&folder->fd);                        /* read only: nothing can be lost */
	free(folder->path);
	pj__strings_fini(&folder->links);
	pj__strings_fini(&folder->targets);
	*folder = (pj__folder){0};
}

/* --------------------------------------------------------------------------------------------------------- shipping */

/* The index of the link `name`; if there is no such link, the count of links. */
static size_t find_link(const pj__folder *folder, const char *name)
{
	size_t i = 0;
	while (i < folder->links.count && strcmp(folder->links.at[i], name) != 0)
		i++;
	return i;
}

static pj_status add_link(pj__folder *folder, const char *name, const char *target, pj_error *error)
{
	/* tmp/ is in each attempt's folder */
	if (!*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, "..") || !strcmp(name, "tmp"))
		return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "%s cannot be the name of what is shipped", name);
	const size_t there = find_link(folder, name);
	if (there < folder->links.count && !strcmp(folder->targets.at[there], target))
		return PJ_OK;
	if (there < folder->links.count)
		return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "two files are shipped as %s", name);
	pj_status status = pj__strings_add(&folder->targets, target, strlen(target), error);
	return status ? status : pj__strings_add(&folder->links, name, strlen(name), error);
}

/* The absolute path of "PATH#LINK", to be freed, and LINK, or the path's last name. */
static pj_status read_spec(const char *spec, char **ret_path, const char **ret_name, pj_error *error)
{
	const char *plain;
	const pj_status status = pj__plain_path(spec, &plain, error);
	if (status)
		return status;
	const char *const hash = strchr(plain, '#');
	char *const given = strndup(plain, hash ? (size_t)(hash - plain) : strlen(plain));
	char *const path = given ? realpath(given, NULL) : NULL;
	const int failed = errno;
	if (!path)
		pj__fail(error, given ? PJ_ERR_INPUT : PJ_ERR_MEMORY, failed, given, "cannot ship the file");
	size_t len = strcspn(plain, "#");
	while (len && plain[len - 1] != '/')
		len--;
	free(given);
	*ret_path = path;
	*ret_name = hash ? hash + 1 : plain + len;
	return path ? PJ_OK : PJ_ERR_INPUT;
}

pj_status pj__folder_ship(pj__folder *folder, const char *file, pj_error *error)
{
	char *path = NULL;
	const char *name;
	pj_status status = read_spec(file, &path, &name, error);
	if (!status)
		status = add_link(folder, name, path, error);
	free(path);
	return status;
}

/* In the new process. It has no terminal, where unzip would ask for a password, and no input. */
static int unpacker(void *arg)
{
	char *const *const argv = arg;
	(void)setsid();
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0)
		return CANNOT_RUN;
	execvp(argv[0], argv);
	return CANNOT_RUN;
}

/* Waits for the end of an unpacker, or for a signal, which ends it with all that it has started. */
static pj_status await(const pj__folder *folder, pj_process *process, pj_ending *ret_ending, pj_error *error)
{
	enum { LOOK_MS = 50 };
	pj_status status;
	do {
		status = pj_process_join_timed(process, LOOK_MS, ret_ending, error);
	} while (status == PJ_ERR_TIMEOUT && !(folder->stop && *folder->stop));
	if (status != PJ_ERR_TIMEOUT)
		return status;
	(void)kill(-pj_process_id(process), SIGKILL); /* it may not lead its group yet: then it is alone */
	return pj__stopped_by(folder->stop, error);
}

/* Runs a program and waits for its end. */
static pj_status run(const pj__folder *folder, const char *const *argv, const char *path, pj_error *error)
{
	pj_process *process = NULL;
	pj_ending ending = {.exit_code = -1};
	pj_status status = pj_process_start(unpacker, (void *)(uintptr_t)argv, &process, error);
	if (!status)
		status = await(folder, process, &ending, error);
	pj_process_destroy(process);
	if (status || !ending.exit_code)
		return status;
	pj__fail(error, PJ_ERR_INPUT, 0, path, "cannot unpack the archive with %s", argv[0]);
	if (ending.exit_code == CANNOT_RUN)
		pj__error_hint(error, "install %s, or ship the files themselves", argv[0]);
	return PJ_ERR_INPUT;
}

static bool ends_in(const char *text, const char *end)
{
	const size_t len = strlen(text), end_len = strlen(end);
	return len > end_len && !strcmp(text + len - end_len, end);
}

static pj_status unpack(const pj__folder *folder, const char *archive, const char *into, pj_error *error)
{
	if (ends_in(archive, ".zip") || ends_in(archive, ".jar"))
		return run(folder, (const char *const[]){"unzip", "-q", "-o", archive, "-d", into, NULL}, archive,
			   error);
	if (ends_in(archive, ".tar") || ends_in(archive, ".tar.gz") || ends_in(archive, ".tgz"))
		return run(folder, (const char *const[]){"tar", "-x", "-f", archive, "-C", into, NULL}, archive, error);
	pj__fail(error, PJ_ERR_USAGE, 0, archive, "cannot unpack the archive");
	pj__error_hint(error, "it may be a .zip, .jar, .tar, .tar.gz or .tgz");
	return PJ_ERR_USAGE;
}

pj_status pj__folder_ship_archive(pj__folder *folder, const char *archive, pj_error *error)
{
	char *path = NULL;
	const char *name;
	pj_status status = read_spec(archive, &path, &name, error);
	if (status)
		return status;
	char *const into = path_of("%s/archives/%zu", folder->path, folder->links.count);
	status = into ? make_folder(into, false, error) : pj__no_memory(error, strlen(path));
	if (!status)
		status = add_link(folder, name, into, error);
	if (!status)
		status = unpack(folder, path, into, error);
	free(into);
	free(path);
	return status;
}

/* --------------------------------------------------------------------------------------------------------- programs */

/* Copies a program that may not be executed, and lets the link lead there. */
static pj_status make_executable(pj__folder *folder, size_t link, pj_error *error)
{
	const char *const from = folder->targets.at[link];
	char *const to = path_of("%s/files/%s", folder->path, folder->links.at[link]);
	if (!to)
		return pj__no_memory(error, strlen(from));
	enum { STEP_BYTES = 64 << 10 };
	char bytes[STEP_BYTES];
	int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	int failed = in < 0 || out < 0 ? errno : 0;
	off_t at = 0;
	for (size_t got = STEP_BYTES; !failed && got == STEP_BYTES; at += (off_t)got) {
		failed = pj__read_full(in, bytes, sizeof bytes, &got);
		if (!failed)
			failed = pj__pwrite_all(out, bytes, got, at);
	}
	pj__close(&in); /* read only: nothing can be lost */
	const int closed = pj__close(&out);
	failed = failed ? failed : closed;
	if (failed) {
		free(to);
		return pj__fail(error, PJ_ERR_OUTPUT, failed, from, "cannot copy the program");
	}
	free(folder->targets.at[link]);
	folder->targets.at[link] = to;
	return PJ_OK;
}

pj_status pj__folder_program(pj__folder *folder, const char *word, char **ret_word, pj_error *error)
{
	char *const real = realpath(word, NULL);
	char *settled = NULL;
	pj_status status = PJ_OK;
	const char *name = !strncmp(word, "./", 2) ? word + 2 : word;
	const size_t len = strcspn(name, "/");
	size_t link = find_link(folder, name);
	/* the path of a shipped file may be given for its name */
	for (size_t i = 0; real && link == folder->links.count && i < folder->targets.count; i++)
		if (!strcmp(folder->targets.at[i], real))
			link = i;
	if (link < folder->links.count) {
		if (access(folder->targets.at[link], X_OK) < 0)
			status = make_executable(folder, link, error);
		settled = path_of("./%s", folder->links.at[link]);
	} else if (word[0] == '/' || !strchr(word, '/')) {
		/* absolute, or in $PATH; but a file of the current folder comes before that */
		settled = strdup(word[0] != '/' && real && access(real, X_OK) == 0 ? real : word);
	} else {
		/* in an archive, or in the current folder */
		char *const first = strndup(name, len);
		const bool shipped = first && find_link(folder, first) < folder->links.count;
		settled = strdup(shipped || !real ? word : real);
		free(first);
	}
	free(real);
	if (!status && !settled)
		status = pj__no_memory(error, strlen(word));
	if (status)
		free(settled);
	else
		*ret_word = settled;
	return status;
}

/* --------------------------------------------------------------------------------------------------------- attempts */

/* A new, empty folder, in the place of whatever is there. */
static pj_status make_anew(const char *path, pj_error *error)
{
	(void)pj__remove_tree(AT_FDCWD, path); /* usually there is nothing; if this fails, so does mkdir */
	return make_folder(path, false, error);
}

static pj_status fill(const pj__folder *folder, const char *work, pj_error *error)
{
	char *const temp = path_of("%s/tmp", work);
	pj_status status = temp ? make_folder(temp, false, error) : pj__no_memory(error, strlen(work));
	free(temp);
	for (size_t i = 0; !status && i < folder->links.count; i++) {
		char *const link = path_of("%s/%s", work, folder->links.at[i]);
		if (!link)
			status = pj__no_memory(error, strlen(work));
		else if (symlink(folder->targets.at[i], link) < 0)
			status = cannot("link to what is shipped", link, error);
		free(link);
	}
	return status;
}

pj_status pj__folder_begin(const pj__folder *folder, const char *attempt, char **ret_work, char **ret_side,
			   pj_error *error)
{
	char *const work = path_of("%s/work/%s", folder->path, attempt);
	char *const side = path_of("%s/side/%s", folder->path, attempt);
	pj_status status = work && side ? make_anew(work, error) : pj__no_memory(error, strlen(folder->path));
	if (!status)
		status = fill(folder, work, error);
	if (!status)
		status = make_anew(side, error);
	if (status) {
		free(work);
		free(side);
		return status;
	}
	*ret_work = work;
	*ret_side = side;
	return PJ_OK;
}

pj_status pj__folder_done(const pj__folder *folder, const char *attempt, const char *task, pj_error *error)
{
	char *const work = path_of("%s/work/%s", folder->path, attempt);
	char *const side = path_of("%s/side/%s", folder->path, attempt);
	char *const done = path_of("%s/done/%s", folder->path, task);
	pj_status status = work && side && done ? PJ_OK : pj__no_memory(error, strlen(folder->path));
	if (!status)
		(void)pj__remove_tree(AT_FDCWD, work); /* else it goes with the job's folder */
	/* usually the attempt left nothing, and there is nothing to move */
	if (!status && rmdir(side) < 0) {
		(void)pj__remove_tree(AT_FDCWD, done); /* of an attempt that was lost; else rename tells */
		if (rename(side, done) < 0)
			status = cannot("keep what an attempt has left", side, error);
	}
	free(work);
	free(side);
	free(done);
	return status;
}

static pj_status taken(const char *name, pj_error *error)
{
	pj__fail(error, PJ_ERR_OUTPUT, 0, NULL, "a side file has the name of a file of the output");
	pj__error_reason(error, "%s", name);
	pj__error_hint(error, "what goes to $mapreduce_task_output_dir needs names of its own");
	return PJ_ERR_OUTPUT;
}

/* Gives what is at `from` the name `to`. Returns 0 or an errno. */
static int move_one(const char *from, const char *to, bool replaces)
{
	if (replaces)
		return rename(from, to) < 0 ? errno : 0;
	return pj__rename_new(AT_FDCWD, from, AT_FDCWD, to);
}

/* Moves what is in `from` into `to`, replacing files or not; folders that are there already are joined. */
static pj_status move_all(const char *from, const char *to, bool replaces, int depth, pj_error *error)
{
	enum { DEEPEST = 100 };
	struct dirent **entries = NULL;
	const int count = depth < DEEPEST ? scandir(from, &entries, NULL, alphasort) : (errno = ELOOP, -1);
	if (count < 0)
		return cannot("read the folder", from, error);
	pj_status status = PJ_OK;
	for (int i = 0; i < count; i++) {
		const struct dirent *const entry = entries[i];
		char *const source = path_of("%s/%s", from, entry->d_name);
		char *const target = path_of("%s/%s", to, entry->d_name);
		const bool is_entry = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
		struct stat is[2];
		if (!source || !target)
			status = pj__no_memory(error, strlen(from));
		else if (!status && is_entry && (errno = move_one(source, target, replaces)) != 0) {
			const bool there = errno == ENOTEMPTY || errno == EEXIST;
			if (there && lstat(source, &is[0]) == 0 && lstat(target, &is[1]) == 0)
				status = S_ISDIR(is[0].st_mode) && S_ISDIR(is[1].st_mode)
						 ? move_all(source, target, replaces, depth + 1, error)
						 : taken(entry->d_name, error);
			else
				status = cannot("move a file to the output", target, error);
		}
		free(source);
		free(target);
		free(entries[i]);
	}
	free(entries);
	return status;
}

/* Joins what tasks have left; of equal names the last task's stays. */
static pj_status join_sides(const char *done, const char *sides, pj_error *error)
{
	struct dirent **tasks = NULL;
	pj_status status = make_folder(sides, false, error);
	const int count = status ? 0 : scandir(done, &tasks, NULL, alphasort);
	if (count < 0)
		status = cannot("read the folder", done, error);
	for (int i = 0; i < count; i++) {
		const bool is_task = tasks[i]->d_name[0] != '.';
		char *const task = is_task ? path_of("%s/%s", done, tasks[i]->d_name) : NULL;
		if (!status && is_task)
			status = task ? move_all(task, sides, true, 0, error) : pj__no_memory(error, strlen(done));
		free(task);
		free(tasks[i]);
	}
	free(tasks);
	return status;
}

pj_status pj__folder_promote(const pj__folder *folder, const char *output, pj_error *error)
{
	char *const done = path_of("%s/done", folder->path), *const sides = path_of("%s/sides", folder->path);
	pj_status status = done && sides ? PJ_OK : pj__no_memory(error, strlen(folder->path));
	if (!status)
		status = join_sides(done, sides, error);
	if (!status)
		status = move_all(sides, output, false, 0, error);
	free(done);
	free(sides);
	return status;
}
