/*
 * front.h: the command line of a job, inside. The only room that prints; it sees the public headers only.
 *
 * In the order of a run:
 *
 *     table.c       the options, as data: the parser, the help, the manual and the completions are made of this
 *     values.c      numbers, sizes and times as people write them; the name that was meant
 *     settings.c    argv -> settings
 *     help.c        -h, --help
 *     topics.c      the texts of the manual, as data        manual.c    the same as a topic, as roff
 *     complete.c    completions for bash, zsh and fish
 *     signals.c     the first signal stops the run, the second ends the process
 *     progress.c    one line on standard error
 *     stats.c       --stats
 *     message.c     errors, hints and notes
 *     apart.c       a run in a child process (user code that is not linked in, with the engine `reference`)
 *     main.c        pj_main: all of it, in this order
 */
#ifndef PJ_FRONT_FRONT_H
#define PJ_FRONT_FRONT_H

#include <papjuice/program.h>
#include <signal.h>
#include <stdio.h>
#include <sys/types.h>

/* ------------------------------------------------------------------------------------------------- settings, table */

enum pj__progress_when { PJ__PROGRESS_AUTO, PJ__PROGRESS_ALWAYS, PJ__PROGRESS_NEVER };

enum pj__action { PJ__ACTION_RUN, PJ__ACTION_SHORT_HELP, PJ__ACTION_HELP, PJ__ACTION_VERSION };

/* What a command line says. Strings are those of argv. */
struct pj__settings {
	enum pj__action action;
	pj_options run;
	enum pj__progress_when progress;
	bool quiet;
	const char *stats;   /* path, "-", or NULL */
	const char **paths;  /* run.input.paths, owned */
	const char **values; /* run.values, owned; one for each of the job's own options */
	char **joined;       /* of those that may be given several times: what was given, owned */
	size_t own;          /* how many these are */
};

/* How a value is completed. */
enum pj__completes { PJ__COMPLETES_NOTHING, PJ__COMPLETES_FILE, PJ__COMPLETES_FOLDER };

/* The type of an option's value, and of the field that it goes to (values.c). */
enum pj__type {
	PJ__FLAG,     /* bool */
	PJ__PATH,     /* const char *, as are FOLDER and NAME; none is empty */
	PJ__FOLDER,   /* */
	PJ__NAME,     /* */
	PJ__WORD,     /* an enum: `least` is the value of the first of the choices, the others follow */
	PJ__COUNT,    /* uint64_t from `least` to `most` */
	PJ__UNSIGNED, /* the same, to an unsigned */
	PJ__SIZE,     /* uint64_t: bytes */
	PJ__MEMORY,   /* uint64_t: bytes, or a share of the memory */
	PJ__SECONDS,  /* unsigned: milliseconds */
	PJ__WORKERS,  /* unsigned */
	PJ__ACTION    /* enum pj__action: `least` for the name of the option, `most` for its letter */
};

/* A common option. */
struct pj__option {
	const char *name;
	enum pj__type type;
	size_t at;                 /* offset of its field in struct pj__settings */
	uint64_t least, most;      /* as the type says */
	uint64_t usual;            /* the default, where it is a number; 0: see `initial` */
	const char *initial;       /* the default in words; NULL: off or none */
	char letter, other_letter; /* 0: none */
	const char *value;         /* what stands for its value in the help; NULL: a flag */
	const char *choices;       /* the values there are, separated by blanks; NULL: any */
	const char *good;          /* what a good value is, for the hint; NULL: as the type says */
	const char *help;          /* one line of at most 50 characters */
	const char *more;          /* sentences for the full help */
	bool rare;                 /* in the full help only: the short one has to fit a screen */
	const char *stats;         /* its name in --stats; NULL: not a part of them */
	const char *none;          /* a word of 0, in --stats; NULL: null */
};

/* The common options, in the order of the help; ended by one whose name is NULL. */
extern const struct pj__option pj__options[];

/*
 * The options of a job: its own first, then the common ones. A letter of the job's own takes it from the common option
 * that has it.
 */
struct pj__known {
	const char *name;
	char letter, other_letter;
	const char *value, *choices, *initial, *help, *more;
	enum pj__completes completes;
	char number[24];                 /* the text of `initial`, where that is a number */
	const struct pj__option *common; /* NULL: the job's own ... */
	size_t own;                      /* ... with this index */
};

size_t pj__own_count(const pj_job *job);

/* The index of the option whose value the first argument may be; the count of them: there is none. */
size_t pj__own_operand(const pj_job *job);

/* Does the job keep this letter from the common options, without one of its own that has it? */
bool pj__is_reserved(const pj_job *job, char letter);

/* Is the letter the job's, to give it a meaning or to leave it without one, and not that of a common option? */
bool pj__owns_letter(const pj_job *job, char letter);

/* The index-th option of the job (NULL: the common ones only); false after the last. */
bool pj__known_at(const pj_job *job, size_t index, struct pj__known *ret_known);

/* ------------------------------------------------------------------------------------------------ values, settings */

/* "12": from `min` to `max`. */
bool pj__read_count(const char *text, uint64_t min, uint64_t max, uint64_t *ret_count);

/* "64K": a number of at least 1, then nothing or one of K M G T, powers of 1024. */
bool pj__read_size(const char *text, uint64_t *ret_bytes);

/* "64M", or "50%" of the memory that is available (from 1 to 100); at most 2^62. */
bool pj__read_memory(const char *text, uint64_t *ret_bytes);

/* "2.5" seconds, to the millisecond; 0 is 0. */
bool pj__read_seconds(const char *text, unsigned *ret_ms);

/* "4", or "2x": so many times the processors; from 1 to PJ_WORKERS_MAX. */
bool pj__read_workers(const char *text, unsigned *ret_workers);

/* Takes a value into the settings ("" of a flag; "-" of one that was typed as a letter). False: it is bad. */
bool pj__value_take(const struct pj__option *option, struct pj__settings *settings, const char *value);

/* Prints a number of the option's type, as it would be typed. False: the type is not a number. */
bool pj__value_print(const struct pj__option *option, uint64_t number, char *text, size_t size);

/* Says to `text` what a good value of the option is. */
const char *pj__value_good(const struct pj__option *option, char *text, size_t size);

/* How its value is completed. */
enum pj__completes pj__completes(const struct pj__option *option);

/* The number in a field of the option's type: not for types that are text. */
uint64_t pj__value_number(const struct pj__option *option, const void *field);

/* The place of `word` in a list of words separated by blanks, from 0; -1: not there. */
int pj__word_index(const char *word, const char *words);

/*
 * Reads the command line. On success the settings are to be given back with pj__settings_fini. Inputs are not defaulted
 * here. PJ_ERR_USAGE, PJ_ERR_MEMORY; PJ_ERR_USER: the job's own table of options is wrong.
 */
PJ_MUST_USE pj_status pj__settings_read(struct pj__settings *settings, const pj_job *job, const char *program, int argc,
					char **argv, pj_error *error);
void pj__settings_fini(struct pj__settings *settings);

/* ---------------------------------------------------------------------------------------------------- help, manual */

/* The help of a job under the name of `program`: -h fits a screen, --help is all. */
void pj__help_short(FILE *out, const pj_job *job, const char *program);
void pj__help_full(FILE *out, const pj_job *job, const char *program);

/* The usage in three lines, for a user who typed nothing. */
void pj__usage_lines(FILE *out, const pj_job *job, const char *program);

/* "-w, -j, --workers N", to `line`. */
void pj__option_names(const struct pj__known *known, char *line, size_t size);

/* Prints text as a paragraph of lines of at most 80 columns, `indent` blanks before each. */
void pj__print_wrapped(FILE *out, const char *text, int indent);

/* A page of the manual: paragraphs ended by NULL. One that begins with a tab is printed as it is, after the tab. */
struct pj__topic {
	const char *name;
	const char *title;
	const char *const *paragraphs;
};

extern const struct pj__topic pj__topics[]; /* ended by one without a name */

/* A command of the program papjuice. */
struct pj__command {
	const char *name, *usage, *help;
};

extern const struct pj__command pj__commands[]; /* ended by one without a name */

/* The manual page papjuice(1), in roff. */
void pj__print_manual(FILE *out);

/* Completions of papjuice for "bash", "zsh" or "fish", knowing `jobs` (ended by NULL). False: no such shell. */
bool pj__print_completions(FILE *out, const char *shell, const pj_job *const *jobs);

/* Flushes standard output; returns 0, or the exit code (with a message) if something could not be written. */
int pj__flush_output(const char *program);

/* -------------------------------------------------------------------------------------- messages, signals, progress */

/* Fills `error` (NULL: not wanted): what failed, why (NULL: as the status says), a hint after printf (NULL: none). */
pj_status pj__front_fail(pj_error *error, pj_status status, const char *what, const char *reason, const char *hint, ...)
	__attribute__((format(printf, 5, 6)));

/* The word that messages of `program` begin with: "papjuice" for "papjuice wordcount", else the file's name. */
const char *pj__message_name(const char *program, char *name, size_t size);

/* Prints the error and its hint to standard error, under the name of `program`. */
void pj__print_error(const char *program, const pj_error *error);

/* Prints "NAME: note: ..." to standard error. */
void pj__print_note(const char *program, const char *format, ...) __attribute__((format(printf, 2, 3)));

enum { PJ__SIGNALS_HANDLED = 3, PJ__SIGNALS_IGNORED = 2 };

struct pj__signals {
	struct sigaction before[PJ__SIGNALS_HANDLED + PJ__SIGNALS_IGNORED];
};

/*
 * From here on the first SIGINT, SIGTERM or SIGHUP sets the word that is returned, a second one ends the process; if
 * `limits_patience`, it ends, with a message, when the first was not heard for 0.6 s. A signal that was ignored stays
 * so. SIGPIPE and SIGXFSZ are ignored.
 */
const volatile sig_atomic_t *pj__signals_catch(struct pj__signals *signals, bool limits_patience);

/* From here on they are handed on to `child`, which is killed 0.6 s after the first, which the word holds then. */
const volatile sig_atomic_t *pj__signals_forward(struct pj__signals *signals, pid_t child);

/* As it was before. */
void pj__signals_restore(const struct pj__signals *signals);

/* The state of the progress line. */
struct pj__progress {
	int fd;
	bool enabled, terminal, shown;
	char phase[16];
	double phase_start;  /* seconds of the run */
	uint64_t phase_done; /* what was done when it began */
	double next;         /* no line before this second of the run */
	double rate_seconds, rate;
	uint64_t rate_done;
};

/* Prepares to show progress on `fd`. */
void pj__progress_init(struct pj__progress *progress, int fd, enum pj__progress_when when, bool quiet);

/* A pj_options.progress function; `arg` is a struct pj__progress. */
void pj__progress_show(void *arg, const pj_progress *now);

/* Takes the line away. */
void pj__progress_erase(struct pj__progress *progress);

/* The line itself, without control codes, at most `size` - 1 bytes. For tests. */
size_t pj__progress_line(const struct pj__progress *progress, const pj_progress *now, char *line, size_t size);

/* ----------------------------------------------------------------------------------------------------- stats, main */

/* A record that was left out, as the run told of it. */
struct pj__left_out {
	char *file; /* owned */
	char *reason;
	uint64_t offset, record, bytes;
};

/* What a run was and how it ended. */
struct pj__outcome {
	const pj_job *job;
	const struct pj__settings *settings;
	pj_result result;
	pj_error error; /* of the run; status PJ_OK: none */
	int exit_code;
	struct pj__left_out *left_out; /* owned, in the order of the input */
	size_t left_out_count;
	bool left_out_lost; /* there was no memory for some */
};

/* A pj_options.bad_record function; `arg` is a struct pj__outcome. */
void pj__outcome_left_out(void *arg, const pj_bad_record *record);

void pj__outcome_free(struct pj__outcome *outcome);

/* Looks before the run if the statistics can be written, and would not go over an input, the output or bad records. */
PJ_MUST_USE pj_status pj__stats_check(const struct pj__settings *settings, pj_error *error);

/* Writes them to where --stats says, if it was given. */
PJ_MUST_USE pj_status pj__stats_write(const struct pj__outcome *outcome, pj_error *error);

/* The statistics as JSON text, to be freed; NULL: no memory. */
char *pj__stats_text(const struct pj__outcome *outcome);

/*
 * Runs body(arg) in a child process and waits for its end; *ret_code is what it returned. PJ_ERR_CRASH: it was killed;
 * PJ_ERR_RESOURCE: no process could be started.
 */
PJ_MUST_USE pj_status pj__run_apart(int (*body)(void *arg), void *arg, int *ret_code, pj_error *error);

#endif
