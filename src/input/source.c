/*
 * source.c: see source.h.
 */
#include "input/source.h"

#include <fcntl.h>
#include <fts.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/grow.h"
#include "base/io.h"
#include "base/text.h"

/* A compressed text is about four times as long as what it was compressed to. */
enum { TEXT_RATIO = 4 };

pj__extent pj__source_extent(const pj__source *source, int fd)
{
	const bool is_memory = source->kind == PJ__SOURCE_MEMORY;
	return (pj__extent){source->name, fd, source->base, source->size, is_memory ? source->memory.ptr : NULL};
}

pj_status pj__source_open(const pj__sources *sources, const pj__source *source, int *ret_fd, bool *ret_owned,
			  pj_error *error)
{
	*ret_owned = source->kind == PJ__SOURCE_FILE && source->fd < 0;
	const int from = sources->folder ? sources->folder : AT_FDCWD;
	*ret_fd = source->fd;
	if (*ret_owned)
		*ret_fd = pj__beyond_standard(openat(from, source->name, O_RDONLY | O_CLOEXEC | O_NOCTTY));
	if (*ret_owned && *ret_fd < 0) {
		*ret_owned = false;
		return pj__fail(error, pj__status_of_errno(errno, PJ_ERR_INPUT), errno, source->name,
				"cannot read the input");
	}
	return PJ_OK;
}

/* Looks whether a file or memory is compressed. */
static pj_status look_at(pj__sources *sources, pj__source *source, pj_error *error)
{
	char head[PJ__HEAD_BYTES];
	int fd;
	bool owned;
	size_t got = 0;
	sources->bytes += source->size;
	sources->text_bytes += source->size;
	if (source->size < 4)
		return PJ_OK;
	pj_status status = pj__source_open(sources, source, &fd, &owned, error);
	if (status)
		return status;
	const pj__extent extent = pj__source_extent(source, fd);
	status = pj__extent_read(&extent, head, sizeof head, 0, &got, error);
	if (owned)
		pj__close(&fd); /* read only: nothing can be lost */
	source->codec = status ? PJ__CODEC_NONE : pj__codec_of(head, got);
	if (source->codec == PJ__CODEC_NONE)
		return status;
	const uint64_t memory = pj__codec_memory(source->codec, head, got);
	sources->text_bytes += (TEXT_RATIO - 1) * source->size;
	if (sources->decoder_bytes < memory)
		sources->decoder_bytes = memory;
	return PJ_OK;
}

static pj_status add(pj__sources *sources, pj__source source, const char *name, pj_error *error)
{
	const pj_status status = pj__grow(&sources->at, &sources->capacity, sources->count + 1, sizeof source, error);
	if (status)
		return status;
	source.name = strdup(name);
	if (!source.name)
		return pj__no_memory(error, strlen(name) + 1);
	sources->at[sources->count++] = source;
	if (source.kind != PJ__SOURCE_STREAM)
		return look_at(sources, &sources->at[sources->count - 1], error);
	sources->has_stream = true;
	return PJ_OK;
}

/* Has a file of no size something to read? Those of /proc have. */
static bool holds_more(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	char byte;
	const bool more = fd >= 0 && read(fd, &byte, 1) == 1;
	pj__close(&fd);
	return more;
}

static pj_status add_regular(pj__sources *sources, const char *path, int fd, const struct stat *is, pj_error *error)
{
	uint64_t base = 0;
	if (fd >= 0) {
		const off_t at = lseek(fd, 0, SEEK_CUR);
		base = at > 0 ? (uint64_t)at : 0;
	}
	const uint64_t size = (uint64_t)is->st_size > base ? (uint64_t)is->st_size - base : 0;
	if (fd < 0 && !is->st_size && holds_more(path))
		return add(sources, (pj__source){.kind = PJ__SOURCE_STREAM, .fd = -1}, path, error);
	return add(sources,
		   (pj__source){.kind = PJ__SOURCE_FILE,
				.fd = fd,
				.base = base,
				.size = size,
				.device = is->st_dev,
				.inode = is->st_ino,
				.modified = is->st_mtim},
		   path, error);
}

static pj_status add_standard_input(pj__sources *sources, pj_error *error)
{
	static const char name[] = "standard input";
	struct stat is;
	for (size_t i = 0; i < sources->count; i++)
		if (sources->at[i].standard_input)
			return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "standard input ('-') is named twice");
	if (fstat(STDIN_FILENO, &is) < 0)
		return pj__fail(error, PJ_ERR_INPUT, errno, name, "cannot read the input");
	if (S_ISDIR(is.st_mode))
		return pj__fail(error, PJ_ERR_INPUT, EISDIR, name, "cannot read the input");
	if (!S_ISREG(is.st_mode))
		return add(sources, (pj__source){.kind = PJ__SOURCE_STREAM, .fd = STDIN_FILENO, .standard_input = true},
			   name, error);
	/* Workers have another standard input, so that user code takes nothing from this one. */
	int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (fd < 0)
		return pj__fail(error, pj__status_of_errno(errno, PJ_ERR_INPUT), errno, name, "cannot read the input");
	const pj_status status = add_regular(sources, name, fd, &is, error);
	if (status)
		pj__close(&fd);
	else
		sources->at[sources->count - 1].standard_input = true;
	return status;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static pj_status add_entry(pj__sources *sources, FTS *walk, FTSENT *entry, pj_error *error)
{
	const char first = entry->fts_name[0];
	if (entry->fts_level > FTS_ROOTLEVEL && (first == '.' || first == '_')) {
		if (entry->fts_info == FTS_D)
			(void)fts_set(walk, entry, FTS_SKIP); /* fails only for an unknown instruction */
		return PJ_OK;
	}
	switch (entry->fts_info) {
	case FTS_F:
		return add_regular(sources, entry->fts_path, -1, entry->fts_statp, error);
	case FTS_D:
	case FTS_DP:
	case FTS_DEFAULT: /* sockets, devices and pipes in a folder hold no records */
		return PJ_OK;
	case FTS_DC:
		pj__fail(error, PJ_ERR_INPUT, ELOOP, entry->fts_path, "cannot read the folder");
		pj__error_hint(error, "a symbolic link in it leads back to a folder above");
		return PJ_ERR_INPUT;
	default:
		return pj__fail(error, PJ_ERR_INPUT, entry->fts_errno ? entry->fts_errno : ENOENT, entry->fts_path,
				"cannot read the input");
	}
}

static pj_status add_folder(pj__sources *sources, const char *path, pj_error *error)
{
	char *const roots[] = {(char *)path, NULL};
	FTS *walk = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, by_name);
	if (!walk)
		return pj__fail(error, PJ_ERR_INPUT, errno, path, "cannot read the folder");
	pj_status status = PJ_OK;
	for (FTSENT *entry; !status && (errno = 0, entry = fts_read(walk));)
		status = add_entry(sources, walk, entry, error);
	if (!status && errno)
		status = pj__fail(error, PJ_ERR_INPUT, errno, path, "cannot read the folder");
	fts_close(walk);
	return status;
}

static pj_status add_glob(pj__sources *sources, const char *pattern, pj_error *error);

/* Adds one path; `patterns`: what does not exist may be a pattern. */
static pj_status add_path(pj__sources *sources, const char *path, bool patterns, pj_error *error)
{
	struct stat is;
	if (stat(path, &is) < 0) {
		if (patterns && errno == ENOENT && strpbrk(path, "*?["))
			return add_glob(sources, path, error);
		const int saved = errno;
		pj__fail(error, PJ_ERR_INPUT, saved, path, "cannot read the input");
		if (saved == ENOENT)
			pj__error_hint(error, "check the path; it is taken from the current folder");
		return PJ_ERR_INPUT;
	}
	if (S_ISDIR(is.st_mode))
		return add_folder(sources, path, error);
	if (access(path, R_OK) < 0)
		return pj__fail(error, PJ_ERR_INPUT, errno, path, "cannot read the input");
	if (S_ISREG(is.st_mode))
		return add_regular(sources, path, -1, &is, error);
	return add(sources, (pj__source){.kind = PJ__SOURCE_STREAM, .fd = -1}, path, error);
}

static pj_status add_glob(pj__sources *sources, const char *pattern, pj_error *error)
{
	glob_t found;
	const int failed = glob(pattern, GLOB_ERR, NULL, &found);
	if (failed == GLOB_NOMATCH)
		return pj__fail(error, PJ_ERR_INPUT, ENOENT, pattern, "no input matches");
	if (failed)
		return pj__fail(error, PJ_ERR_INPUT, errno, pattern, "cannot expand the pattern");
	pj_status status = PJ_OK;
	for (size_t i = 0; i < found.gl_pathc && !status; i++)
		status = add_path(sources, found.gl_pathv[i], false, error);
	globfree(&found);
	return status;
}

/* Reads all of a list of names, with room for a byte more behind it. */
static pj_status read_list(const char *path, pj_text *text, pj_error *error)
{
	enum { STEP_BYTES = 64 << 10 };
	const bool standard_input = strcmp(path, "-") == 0;
	int fd = standard_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int failed = fd < 0 ? errno : 0;
	for (size_t got = STEP_BYTES; !failed && got == STEP_BYTES;) {
		char *to = pj__text_room(text, STEP_BYTES + 1);
		failed = to ? pj__read_full(fd, to, STEP_BYTES, &got) : ENOMEM;
		text->len += failed ? 0 : got;
	}
	if (!standard_input)
		pj__close(&fd); /* read only: nothing can be lost */
	return failed ? pj__fail(error, pj__status_of_errno(failed, PJ_ERR_INPUT), failed, path,
				 "cannot read the list of inputs")
		      : PJ_OK;
}

/* "@FILE": a name on each line (or, if the file holds a NUL, names ended by NUL); "@-": from standard input. */
static pj_status add_list(pj__sources *sources, const char *path, pj_error *error)
{
	pj_text text = {0};
	pj_status status = read_list(path, &text, error);
	if (!status && text.len) {
		const char separator = memchr(text.data, 0, text.len) ? 0 : '\n';
		pj_bytes rest = pj__text_all(&text), name;
		pj__text_byte(&text, 0); /* in room that there is: the last name is ended, too */
		while (!status && pj_next_field_plain(&rest, separator, &name)) {
			text.data[name.ptr - text.data + (ptrdiff_t)name.len] = 0;
			if (name.len)
				status = add_path(sources, name.ptr, true, error);
		}
	}
	pj__text_fini(&text);
	return status;
}

static int open_folder(void)
{
	const int folder = pj__beyond_standard(open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
	return folder > 0 ? folder : 0;
}

pj_status pj__sources_expand(pj__sources *sources, const pj_input *input, pj_error *error)
{
	*sources = (pj__sources){.folder = open_folder()};
	pj_status status = PJ_OK;
	for (size_t i = 0; i < input->path_count && !status; i++) {
		const char *path = input->paths[i];
		if (strcmp(path, "-") == 0)
			status = add_standard_input(sources, error);
		else if (path[0] == '@')
			status = add_list(sources, path + 1, error);
		else
			status = add_path(sources, path, true, error);
	}
	for (size_t i = 0; i < input->memory_count && !status; i++) {
		char name[32];
		snprintf(name, sizeof name, "memory:%zu", i);
		status = add(sources,
			     (pj__source){.kind = PJ__SOURCE_MEMORY,
					  .fd = -1,
					  .size = input->memory[i].len,
					  .memory = input->memory[i].len ? input->memory[i] : pj_bytes_of("")},
			     name, error);
	}
	if (input->read && !status)
		status = add(sources,
			     (pj__source){.kind = PJ__SOURCE_STREAM, .fd = -1, .read = input->read, .arg = input->arg},
			     "function", error);
	return status;
}

void pj__sources_fini(pj__sources *sources)
{
	for (size_t i = 0; i < sources->count; i++) {
		if (sources->at[i].kind == PJ__SOURCE_FILE)
			pj__close(&sources->at[i].fd);
		free(sources->at[i].name);
	}
	free(sources->at);
	if (sources->folder)
		pj__close(&sources->folder);
	*sources = (pj__sources){0};
}

static pj_status changed(const pj__source *source, const char *how, pj_error *error)
{
	pj__fail(error, PJ_ERR_CHANGED, 0, source->name, "the input changed while it was read");
	pj__error_reason(error, "%s", how);
	pj__error_hint(error, "run again when nobody writes to it");
	return PJ_ERR_CHANGED;
}

pj_status pj__sources_check(const pj__sources *sources, uint64_t *ret_grown, pj_error *error)
{
	uint64_t grown = 0;
	for (size_t i = 0; i < sources->count; i++) {
		const pj__source *source = &sources->at[i];
		if (source->kind != PJ__SOURCE_FILE)
			continue;
		struct stat is;
		if ((source->fd >= 0 ? fstat(source->fd, &is) : stat(source->name, &is)) < 0)
			return changed(source, "it is gone", error);
		const uint64_t planned = source->base + source->size, now = (uint64_t)is.st_size;
		if (is.st_dev != source->device || is.st_ino != source->inode)
			return changed(source, "another file stands in its place", error);
		if (now < planned && source->size > 0)
			return changed(source, "it is shorter", error);
		const bool touched =
			is.st_mtim.tv_sec != source->modified.tv_sec || is.st_mtim.tv_nsec != source->modified.tv_nsec;
		if (now == planned && touched)
			return changed(source, "it was written to", error);
		grown += now > planned;
	}
	*ret_grown = grown;
	return PJ_OK;
}

static const char *name_of(const void *inputs, uint64_t number)
{
	const pj__sources *sources = inputs;
	return number < sources->count ? sources->at[number].name : NULL;
}

void pj__sources_attach(const pj__sources *sources, pj__task *task)
{
	task->inputs = sources;
	task->input_name = name_of;
}
