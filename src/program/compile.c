/*
 * compile.c: a C source becomes a shared object.
 *
 *     $CC -O2 -std=gnu17 -shared -fPIC -I INCLUDES -o TARGET SOURCE -lm
 *
 * Commands are argument vectors: no name, however odd, meets a shell. The key of the result covers what the result is
 * made of: the source, the compiler (its file as it is, its words, the variables that steer it), PapJuice's headers,
 * the flags and the ABI. A source that includes files of its own by name in quotes, or headers we don't know the place
 * of, is covered by its preprocessed text instead of its bytes, which costs a run of the preprocessor.
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"
#include "base/machine.h"
#include "mp/child.h"
#include "program/program.h"

enum { COMPILE_TIMEOUT_MS = 300000, PRINTED_MAX = 1 << 26 };

static const char *const flags[] = {"-O2", "-std=gnu17", "-shared", "-fPIC"};

/* --------------------------------------------------------------------------------------------------------- compiler */

/* The program that `word` names, searched in $PATH if it has no '/'. NULL: there is none. */
static char *find_program(const char *word, struct stat *seen)
{
	if (strchr(word, '/'))
		return stat(word, seen) == 0 && S_ISREG(seen->st_mode) && access(word, X_OK) == 0 ? strdup(word) : NULL;
	const char *folders = getenv("PATH");
	if (!folders || !*folders)
		folders = "/usr/local/bin:/usr/bin:/bin";
	while (*folders) {
		const size_t len = strcspn(folders, ":");
		char *path = NULL;
		if (asprintf(&path, "%.*s%s%s", (int)len, folders, len ? "/" : "./", word) < 0)
			return NULL;
		if (stat(path, seen) == 0 && S_ISREG(seen->st_mode) && access(path, X_OK) == 0)
			return path;
		free(path);
		folders += len;
		folders += *folders == ':';
	}
	return NULL;
}

pj_status pj__compiler_find(struct pj__compiler *compiler, pj_error *error)
{
	enum { WORDS_MAX = sizeof compiler->words / sizeof *compiler->words };
	*compiler = (struct pj__compiler){0};
	const char *const given = getenv("CC");
	compiler->command = strdup(given && given[strspn(given, " \t")] ? given : "cc");
	if (!compiler->command)
		return pj__no_memory(error, strlen(given));
	char *rest = NULL;
	for (char *word = strtok_r(compiler->command, " \t", &rest); word; word = strtok_r(NULL, " \t", &rest))
		if (compiler->count < WORDS_MAX)
			compiler->words[compiler->count++] = word;
	compiler->path = find_program(compiler->words[0], &compiler->seen);
	if (!compiler->path) {
		pj__fail(error, PJ_ERR_USER, ENOENT, compiler->words[0], "there is no C compiler");
		pj__error_hint(error,
			       "install one (apt-get install gcc libc6-dev), or name one: CC=clang papjuice ...");
		pj__compiler_fini(compiler);
		return PJ_ERR_USER;
	}
	compiler->words[0] = compiler->path;
	return PJ_OK;
}

void pj__compiler_fini(struct pj__compiler *compiler)
{
	free(compiler->command);
	free(compiler->path);
	*compiler = (struct pj__compiler){0};
}

/* ------------------------------------------------------------------------------------------------------ run command */

struct command {
	const char *const *argv;
	int output, errors; /* where it writes */
};

static int command_main(void *arg)
{
	const struct command *const command = arg;
	const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(command->output, STDOUT_FILENO) < 0 ||
	    dup2(command->errors, STDERR_FILENO) < 0)
		return 126;
	execv(command->argv[0], (char *const *)command->argv);
	dprintf(STDERR_FILENO, "%s: %s\n", command->argv[0], strerror(errno));
	return 127;
}

/* In a process whose standard descriptors are closed a new one may have their number: moved out of their way. */
static int above_standard(int fd)
{
	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	const int moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	close(fd);
	return moved;
}

static pj_status new_memory_file(int *ret_fd, pj_error *error)
{
	int fd;
	const pj_status status = pj__memory_file("papjuice-compiler", &fd, error);
	if (status)
		return status;
	*ret_fd = above_standard(fd);
	return *ret_fd < 0 ? pj__fail(error, PJ_ERR_RESOURCE, errno, NULL, "cannot make a memory file") : PJ_OK;
}

/* Reads all of a file from its beginning. */
static pj_status read_file(int fd, const char *name, pj_text *text, pj_error *error)
{
	enum { CHUNK = 65536 };
	for (off_t offset = 0;;) {
		char *const to = pj__text_room(text, CHUNK);
		if (!to)
			return pj__no_memory(error, text->len + CHUNK);
		size_t got = 0;
		const int failed = pj__pread_full(fd, to, CHUNK, offset, &got);
		if (failed)
			return pj__fail(error, PJ_ERR_INPUT, failed, name, "cannot read");
		text->len += got;
		offset += (off_t)got;
		if (got < CHUNK)
			return PJ_OK;
		if (text->len > PRINTED_MAX)
			return pj__fail(error, PJ_ERR_USER, EFBIG, name, "there is too much of it");
	}
}

/* Waits for the command's end. It writes to memory files, so nothing needs to be read meanwhile. */
static pj_status await(pj__child *child, const char *path, bool *ret_ok, pj_error *error)
{
	const bool in_time = pj__child_wait(child, COMPILE_TIMEOUT_MS);
	if (!in_time)
		pj__child_signal(child, SIGKILL);
	pj__ending ending;
	pj__child_reap(child, true, &ending);
	if (!in_time) {
		pj__fail(error, PJ_ERR_USER, ETIMEDOUT, path, "the compiler hangs");
		return PJ_ERR_USER;
	}
	if (ending.signal) {
		pj__fail(error, PJ_ERR_USER, 0, path, "the compiler was killed");
		if (error)
			error->signal = ending.signal;
		return PJ_ERR_USER;
	}
	*ret_ok = ending.exit_code == 0;
	return PJ_OK;
}

pj_status pj__run_command(const char *const *argv, pj_text *output, pj_text *errors, bool *ret_ok, pj_error *error)
{
	struct command command = {argv, -1, -1};
	int printed = -1, complained = -1;
	pj_status status = new_memory_file(&complained, error);
	if (!status && output)
		status = new_memory_file(&printed, error);
	command.errors = complained;
	command.output = output ? printed : complained;
	pj__child child = PJ__NO_CHILD;
	if (!status)
		status = pj__child_start(&child, PJ__SIGNALS_DEFAULT, command_main, &command, error);
	if (!status)
		status = await(&child, argv[0], ret_ok, error);
	if (!status)
		status = read_file(complained, argv[0], errors, error);
	if (!status && output)
		status = read_file(printed, argv[0], output, error);
	pj__close(&printed);
	pj__close(&complained);
	return status;
}

/* -------------------------------------------------------------------------------------------------------------- key */

static void hash_string(XXH3_state_t *state, const char *string)
{
	const size_t len = string ? strlen(string) + 1 : 0; /* with the NUL: "a" "b" is not "ab" */
	XXH3_128bits_update(state, &len, sizeof len);
	XXH3_128bits_update(state, string, len);
}

static void hash_compiler(XXH3_state_t *state, const struct pj__compiler *compiler)
{
	static const char *const variables[] = {"CPATH", "C_INCLUDE_PATH", "LIBRARY_PATH", "COMPILER_PATH",
						"GCC_EXEC_PREFIX"};
	for (size_t i = 0; i < compiler->count; i++)
		hash_string(state, compiler->words[i]);
	const struct stat *const seen = &compiler->seen;
	const int64_t identity[] = {(int64_t)seen->st_dev, (int64_t)seen->st_ino, seen->st_size, seen->st_mtim.tv_sec,
				    seen->st_mtim.tv_nsec};
	XXH3_128bits_update(state, identity, sizeof identity);
	for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
		hash_string(state, getenv(variables[i]));
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		hash_string(state, flags[i]);
	hash_string(state, PJ_VERSION);
	const uint64_t abi = PJ_ABI;
	XXH3_128bits_update(state, &abi, sizeof abi);
}

static pj_status hash_file(XXH3_state_t *state, const char *path, pj_text *text, pj_error *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return pj__fail(error, PJ_ERR_INPUT, errno, path, "cannot open");
	pj__text_reset(text);
	const pj_status status = read_file(fd, path, text, error);
	pj__close(&fd);
	const size_t len = text->len;
	XXH3_128bits_update(state, &len, sizeof len);
	XXH3_128bits_update(state, text->data, len);
	return status;
}

/* PapJuice's own headers in `folder`: papjuice.h and papjuice/ *.h, in the order of their names. */
static pj_status hash_headers(XXH3_state_t *state, const char *folder, pj_text *text, pj_error *error)
{
	char *path = NULL;
	if (asprintf(&path, "%s/papjuice", folder) < 0)
		return pj__no_memory(error, strlen(folder));
	struct dirent **entries = NULL;
	const int count = scandir(path, &entries, NULL, alphasort);
	pj_status status =
		count < 0 ? pj__fail(error, PJ_ERR_INPUT, errno, path, "cannot read PapJuice's headers") : PJ_OK;
	free(path);
	for (int i = 0; i < count; i++) {
		const size_t len = strlen(entries[i]->d_name);
		if (!status && len > 2 && !strcmp(entries[i]->d_name + len - 2, ".h")) {
			path = NULL;
			if (asprintf(&path, "%s/papjuice/%s", folder, entries[i]->d_name) < 0)
				status = pj__no_memory(error, strlen(folder));
			else
				status = hash_file(state, path, text, error);
			free(path);
		}
		free(entries[i]);
	}
	free(entries);
	if (status)
		return status;
	if (asprintf(&path, "%s/papjuice.h", folder) < 0)
		return pj__no_memory(error, strlen(folder));
	status = hash_file(state, path, text, error);
	free(path);
	return status;
}

/* True if any #include has another form than <...>: then the bytes of the source are not all there is to it. */
static bool includes_by_quotes(const pj_text *text)
{
	static const char word[] = "include";
	const char *at = text->data, *const end = at + text->len;
	while (at < end && (at = memmem(at, (size_t)(end - at), word, sizeof word - 1))) {
		at += sizeof word - 1;
		while (at < end && (*at == ' ' || *at == '\t'))
			at++;
		if (at == end || *at != '<')
			return true;
	}
	return false;
}

enum { ARGUMENTS_MAX = 64 };

/* The compiler's words, then `mode` or the flags, then the place of the headers. Returns how many. */
static size_t begin_arguments(const char **argv, const struct pj__compiler *compiler, const char *mode,
			      const char *include_folder)
{
	size_t count = 0;
	for (size_t i = 0; i < compiler->count; i++)
		argv[count++] = compiler->words[i];
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		argv[count++] = flags[i];
	if (mode)
		argv[count++] = mode;
	if (include_folder) {
		argv[count++] = "-I";
		argv[count++] = include_folder;
	}
	return count;
}

static pj_status hash_preprocessed(XXH3_state_t *state, const struct pj__compiler *compiler, const char *source,
				   const char *include_folder, pj_error *error)
{
	const char *argv[ARGUMENTS_MAX];
	size_t count = begin_arguments(argv, compiler, "-E", include_folder);
	argv[count++] = source;
	argv[count] = NULL;
	pj_text output = {0}, errors = {0};
	bool ok = false;
	const pj_status status = pj__run_command(argv, &output, &errors, &ok, error);
	/* what is wrong with the source is for the compilation to say */
	XXH3_128bits_update(state, output.data, output.len);
	pj__text_fini(&output);
	pj__text_fini(&errors);
	return status;
}

pj_status pj__compile_key(const struct pj__compiler *compiler, const char *source, const char *name,
			  const char *include_folder, XXH128_hash_t *ret_key, pj_error *error)
{
	XXH3_state_t *const state = XXH3_createState();
	if (!state || XXH3_128bits_reset(state) != XXH_OK) {
		XXH3_freeState(state);
		return pj__no_memory(error, 1024);
	}
	pj_text text = {0};
	hash_compiler(state, compiler);
	pj_status status = include_folder ? hash_headers(state, include_folder, &text, error) : PJ_OK;
	if (!status) {
		status = hash_file(state, source, &text, error);
		if (status && error)
			snprintf(error->file, sizeof error->file, "%s", name);
	}
	if (!status && (!include_folder || includes_by_quotes(&text)))
		status = hash_preprocessed(state, compiler, source, include_folder, error);
	if (!status)
		*ret_key = XXH3_128bits_digest(state);
	pj__text_fini(&text);
	XXH3_freeState(state);
	return status;
}

/* ---------------------------------------------------------------------------------------------------------- compile */

/* The line that matters in what the compiler printed: the first with "error", else the last. */
static pj_bytes telling_line(const pj_text *errors)
{
	pj_bytes rest = pj__text_all(errors), line, telling = {"", 0};
	while (pj_next_line_plain(&rest, &line)) {
		if (line.len)
			telling = line;
		if (line.ptr && (memmem(line.ptr, line.len, "error:", 6) || memmem(line.ptr, line.len, "error ", 6)))
			break;
	}
	return telling;
}

pj_status pj__compile(const struct pj__compiler *compiler, const char *source, const char *name, const char *target,
		      const pj_program_options *options, pj_error *error)
{
	const char *argv[ARGUMENTS_MAX];
	size_t count = begin_arguments(argv, compiler, NULL, options->include_folder);
	argv[count++] = "-o";
	argv[count++] = target;
	argv[count++] = source;
	argv[count++] = "-lm"; /* after the source, so that what it needs is known */
	argv[count] = NULL;
	pj_text errors = {0};
	bool ok = false;
	pj_status status = pj__run_command(argv, NULL, &errors, &ok, error);
	if (!status && errors.len && options->compiler_said)
		options->compiler_said(options->arg, pj__text_all(&errors));
	if (!status && !ok) {
		const pj_bytes line = telling_line(&errors);
		status = pj__fail(error, PJ_ERR_USER, 0, name, "the source does not compile");
		pj__error_reason(error, "%.*s", (int)(line.len < 250 ? line.len : 250), line.ptr);
		if (!line.len)
			pj__error_reason(error, "%s failed and said nothing", compiler->path);
		pj__error_hint(error, "mend the source; another compiler is named so: CC=clang papjuice ...");
	}
	pj__text_fini(&errors);
	return status;
}
