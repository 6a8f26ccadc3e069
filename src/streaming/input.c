/*
 * input.c: see input.h.
 *
 * Hadoop gives the line that begins exactly where a task ends to that task, the engine to the next one: so all borders
 * but a file's own are one byte further for the engine.
 */
#include "streaming/input.h"

#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/grow.h"
#include "base/io.h"
#include "codec/codec.h"

static bool is_hidden(const char *path)
{
	const char *const slash = strrchr(path, '/');
	const char first = slash ? slash[1] : path[0];
	return first == '_' || first == '.';
}

pj_status pj__plain_path(const char *path, const char **ret_path, pj_error *error)
{
	if (!strncmp(path, "file:", 5)) {
		path += 5;
		if (path[0] == '/' && path[1] == '/')
			path += 2;
	} else if (strstr(path, "://") && strchr(path, ':') < strchr(path, '/')) {
		pj__fail(error, PJ_ERR_INPUT, 0, NULL, "%s is not on this machine", path);
		pj__error_hint(error, "a path, or file:///path");
		return PJ_ERR_INPUT;
	}
	*ret_path = path;
	return PJ_OK;
}

static pj_status not_a_file(const char *path, pj_error *error)
{
	return pj__fail(error, PJ_ERR_INPUT, 0, NULL, "Not a file: file:%s", path);
}

static pj_status add_file(pj__files *files, const char *path, const struct stat *is, pj_error *error)
{
	if (!S_ISREG(is->st_mode))
		return not_a_file(path, error);
	pj_status status =
		pj__grow(&files->sizes, &files->size_capacity, files->paths.count + 1, sizeof *files->sizes, error);
	if (!status)
		status = pj__strings_add(&files->paths, path, strlen(path), error);
	if (!status)
		files->sizes[files->paths.count - 1] = (uint64_t)is->st_size;
	return status;
}

/* How folders within folders are taken. */
struct listing {
	pj__files *files;
	bool recursive, ignores_folders;
};

static pj_status cannot_list(const char *path, pj_error *error)
{
	return pj__fail(error, PJ_ERR_INPUT, errno, path, "cannot read the input");
}

static pj_status add_folder(const struct listing *listing, const char *folder, int depth, pj_error *error);

/* Adds what is found in a folder. */
static pj_status add_entry(const struct listing *listing, const char *path, int depth, pj_error *error)
{
	struct stat is;
	if (stat(path, &is) < 0)
		return cannot_list(path, error);
	if (!S_ISDIR(is.st_mode))
		return add_file(listing->files, path, &is, error);
	if (listing->recursive)
		return add_folder(listing, path, depth + 1, error);
	if (listing->ignores_folders)
		return PJ_OK;
	return not_a_file(path, error);
}

static pj_status add_folder(const struct listing *listing, const char *folder, int depth, pj_error *error)
{
	enum { DEEPEST = 200 };
	struct dirent **entries = NULL;
	const int count = depth < DEEPEST ? scandir(folder, &entries, NULL, alphasort) : (errno = ELOOP, -1);
	if (count < 0)
		return cannot_list(folder, error);
	pj_status status = PJ_OK;
	for (int i = 0; i < count; i++) {
		char *path = NULL;
		if (!status && !is_hidden(entries[i]->d_name)) {
			if (asprintf(&path, "%s/%s", folder, entries[i]->d_name) < 0)
				path = NULL;
			status = path ? add_entry(listing, path, depth, error) : pj__no_memory(error, 256);
		}
		free(path);
		free(entries[i]);
	}
	free(entries);
	return status;
}

/* A path as it was given, made absolute; NULL: no memory, or no current folder. */
static char *absolute(const char *path)
{
	char *whole = NULL, *const here = path[0] == '/' ? NULL : getcwd(NULL, 0);
	if (path[0] == '/')
		return strdup(path);
	if (here && asprintf(&whole, "%s/%s", here, path) < 0)
		whole = NULL;
	free(here);
	return whole;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Adds what matches one path or pattern. */
static pj_status add_matches(const struct listing *listing, const char *given, pj_error *error)
{
	const char *path;
	pj_status status = pj__plain_path(given, &path, error);
	if (status)
		return status;
	char *const pattern = absolute(path);
	if (!pattern)
		return pj__no_memory(error, strlen(path));
	for (size_t len = strlen(pattern); len > 1 && pattern[len - 1] == '/'; len--)
		pattern[len - 1] = 0;
	/* what is there by this name is meant, whatever characters are in it */
	const bool is_pattern = strpbrk(pattern, "*?[{") && access(pattern, F_OK) < 0;
	glob_t found = {0};
	const int failed = is_pattern ? glob(pattern, GLOB_BRACE | GLOB_NOSORT, NULL, &found) : 0;
	const size_t count = is_pattern ? found.gl_pathc : 1;
	size_t taken = 0;
	if (failed && failed != GLOB_NOMATCH)
		status = pj__fail(error, PJ_ERR_INPUT, errno, pattern, "cannot expand the pattern");
	else if (!is_pattern && access(pattern, F_OK) < 0)
		status = pj__fail(error, PJ_ERR_INPUT, 0, NULL, "Input path does not exist: file:%s", pattern);
	if (!status && found.gl_pathc)
		qsort(found.gl_pathv, found.gl_pathc, sizeof *found.gl_pathv, by_bytes);
	for (size_t i = 0; !status && i < count; i++) {
		const char *const match = is_pattern ? found.gl_pathv[i] : pattern;
		struct stat is;
		if (is_hidden(match))
			continue;
		taken++;
		if (stat(match, &is) < 0)
			status = cannot_list(match, error);
		else
			status = S_ISDIR(is.st_mode) ? add_folder(listing, match, 0, error)
						     : add_file(listing->files, match, &is, error);
	}
	if (!status && !taken)
		status = pj__fail(error, PJ_ERR_INPUT, 0, NULL, "Input Pattern file:%s matches 0 files", pattern);
	globfree(&found);
	free(pattern);
	return status;
}

pj_status pj__files_list(pj__files *files, const pj__strings *inputs, const pj__conf *conf, pj_error *error)
{
	*files = (pj__files){0};
	const struct listing listing = {
		files, pj__conf_bool(conf, "mapreduce.input.fileinputformat.input.dir.recursive", false),
		pj__conf_bool(conf, "mapreduce.input.fileinputformat.input.dir.nonrecursive.ignore.subdirs", false)};
	pj__strings paths = {0};
	pj_status status = PJ_OK;
	for (size_t i = 0; !status && i < inputs->count; i++)
		status = pj__strings_split(&paths, inputs->at[i], error);
	if (!status && !paths.count)
		status = pj__fail(error, PJ_ERR_INPUT, 0, NULL, "No input paths specified in job");
	for (size_t i = 0; !status && i < paths.count; i++)
		status = add_matches(&listing, paths.at[i], error);
	pj__strings_fini(&paths);
	return status;
}

/* ---------------------------------------------------------------------------------------------------------- cutting */

static pj_status add_cut(pj__files *files, pj__cut cut, pj_error *error)
{
	const pj_status status = pj__grow(&files->cuts, &files->cut_capacity, files->cut_count + 1, sizeof cut, error);
	if (!status)
		files->cuts[files->cut_count++] = cut;
	return status;
}

/* Hadoop goes by the name, the engine by the first bytes: a file that either takes for compressed is not cut. */
static bool is_compressed(const char *path)
{
	static const char *const ends[] = {".gz", ".bz2", ".deflate", ".lz4", ".snappy", ".zst", ".xz"};
	const size_t len = strlen(path);
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		const size_t end = strlen(ends[i]);
		if (len > end && !strcmp(path + len - end, ends[i]))
			return true;
	}
	char head[PJ__MAGIC_BYTES];
	size_t got = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd >= 0 && pj__read_full(fd, head, sizeof head, &got) != 0)
		got = 0; /* the engine will tell why it cannot be read */
	pj__close(&fd);  /* read only: nothing can be lost */
	return pj__codec_of(head, got) != PJ__CODEC_NONE;
}

static pj_status cut_by_size(pj__files *files, size_t file, uint64_t bytes, pj_error *error)
{
	const uint64_t size = files->sizes[file];
	uint64_t rest = size;
	pj_status status = PJ_OK;
	/* a last piece of a tenth more is not cut */
	const bool whole = !bytes || size <= bytes || is_compressed(files->paths.at[file]);
	while (!status && !whole && (double)rest / (double)bytes > 1.1) {
		status = add_cut(files, (pj__cut){file, size - rest, bytes}, error);
		rest -= bytes;
	}
	return status || (!rest && size) ? status : add_cut(files, (pj__cut){file, size - rest, rest}, error);
}

/* Cuts after every `lines` lines. */
static pj_status cut_by_lines(pj__files *files, size_t file, const pj__cutting *cutting, pj_error *error)
{
	enum { STEP_BYTES = 256 << 10 };
	const char *const path = files->paths.at[file];
	char *const bytes = malloc(STEP_BYTES);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int failed = fd < 0 ? errno : bytes ? 0 : ENOMEM;
	uint64_t begin = 0, offset = 0, seen = 0;
	pj_status status = PJ_OK;
	for (size_t got = STEP_BYTES; !failed && !status && got == STEP_BYTES; offset += got) {
		failed = pj__read_full(fd, bytes, STEP_BYTES, &got);
		if (failed)
			break;
		const char *at = bytes;
		status = pj__stopped_by(cutting->stop, error);
		for (const char *newline; !status && (newline = memchr(at, '\n', got - (size_t)(at - bytes)));
		     at = newline + 1) {
			if (++seen % cutting->lines)
				continue;
			const uint64_t end = offset + (size_t)(newline + 1 - bytes);
			status = add_cut(files, (pj__cut){file, begin ? begin - 1 : 0, end - begin - !begin}, error);
			begin = end;
		}
	}
	if (!failed && !status && begin < offset)
		status = add_cut(files, (pj__cut){file, begin ? begin - 1 : 0, offset - begin - !begin}, error);
	if (failed)
		status = pj__fail(error, pj__status_of_errno(failed, PJ_ERR_INPUT), failed, path,
				  "cannot read the input");
	pj__close(&fd); /* read only: nothing can be lost */
	free(bytes);
	return status;
}

/* The longest first, those of one length as they stood. */
static int by_length(const void *a, const void *b)
{
	const pj__cut *const x = a, *const y = b;
	if (x->length != y->length)
		return x->length > y->length ? -1 : 1;
	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	return (x->start > y->start) - (x->start < y->start);
}

static pj_piece piece_of(const pj__files *files, const pj__cut *cut)
{
	const uint64_t size = files->sizes[cut->file];
	const uint64_t start = cut->start + (cut->start > 0), end = cut->start + cut->length + 1;
	const uint64_t until = end < size ? end : size;
	return (pj_piece){.path = cut->file, .start = start, .length = until > start ? until - start : 0};
}

pj_status pj__files_cut(pj__files *files, const pj__cutting *cutting, pj_error *error)
{
	uint64_t total = 0;
	for (size_t i = 0; i < files->paths.count; i++)
		total += files->sizes[i];
	const uint64_t goal = total / cutting->maps, wanted = goal < cutting->most ? goal : cutting->most;
	const uint64_t bytes = wanted > cutting->least ? wanted : cutting->least;
	pj_status status = PJ_OK;
	for (size_t i = 0; !status && i < files->paths.count; i++)
		status = cutting->lines && !is_compressed(files->paths.at[i])
				 ? cut_by_lines(files, i, cutting, error)
				 : cut_by_size(files, i, cutting->lines ? 0 : bytes, error);
	/* one more, so that there is an array also of none */
	if (!status)
		status = pj__grow(&files->pieces, &files->piece_capacity, files->cut_count + 1, sizeof *files->pieces,
				  error);
	if (status)
		return status;
	if (files->cut_count)
		qsort(files->cuts, files->cut_count, sizeof *files->cuts, by_length);
	for (size_t i = 0; i < files->cut_count; i++)
		files->pieces[i] = piece_of(files, &files->cuts[i]);
	return PJ_OK;
}

void pj__files_fini(pj__files *files)
{
	pj__strings_fini(&files->paths);
	free(files->sizes);
	free(files->cuts);
	free(files->pieces);
	*files = (pj__files){0};
}
