/*
 * help.c: -h, which fits on a screen, and --help, which is all. Both begin with examples.
 */
#include <string.h>

#include "front/front.h"

enum { COLUMNS = 80, NAMES_COLUMN = 2, HELP_COLUMN = 26 };

/* Prints words of which the first goes to column `indent`, where the line already is. */
static void print_words(FILE *out, const char *text, int indent)
{
	int column = indent;
	for (bool first = true; *text; first = false) {
		const size_t len = strcspn(text, " ");
		const bool fits = column + !first + (int)len <= COLUMNS;
		if (!first && !fits)
			column = fprintf(out, "\n%*s", indent, "") - 1;
		else if (!first)
			column += fprintf(out, " ");
		column += fprintf(out, "%.*s", (int)len, text);
		text += len;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

void pj__print_wrapped(FILE *out, const char *text, int indent)
{
	fprintf(out, "%*s", indent, "");
	print_words(out, text, indent);
}

void pj__option_names(const struct pj__known *known, char *line, size_t size)
{
	char letters[16] = "";
	if (known->letter && known->other_letter)
		snprintf(letters, sizeof letters, "-%c, -%c, ", known->letter, known->other_letter);
	else if (known->letter || known->other_letter)
		snprintf(letters, sizeof letters, "-%c, ", known->letter ? known->letter : known->other_letter);
	snprintf(line, size, "%s--%s%s%s", letters, known->name, known->value ? " " : "",
		 known->value ? known->value : "");
}

/* One line: names, help, default. Names of options without a letter stand below the others' names. */
static void print_option_line(FILE *out, const struct pj__known *known)
{
	char names[128];
	pj__option_names(known, names, sizeof names);
	const bool bare = names[1] == '-';
	const int used = fprintf(out, "%*s%s", bare ? NAMES_COLUMN + 4 : NAMES_COLUMN, "", names);
	if (used > HELP_COLUMN - 2)
		fprintf(out, "\n%*s", HELP_COLUMN, "");
	else
		fprintf(out, "%*s", HELP_COLUMN - used, "");
	char help[1024];
	const bool has_default = known->value && known->initial;
	snprintf(help, sizeof help, "%s%s%s%s", known->help, has_default ? " [" : "", has_default ? known->initial : "",
		 has_default ? "]" : "");
	print_words(out, help, HELP_COLUMN);
}

/* What stands before the inputs: "" or " PATTERN". */
static const char *operand_of(const pj_job *job, char *text, size_t size)
{
	const size_t own = pj__own_operand(job);
	const bool has = own < pj__own_count(job);
	snprintf(text, size, "%s%s", has ? " " : "", has && job->options[own].value ? job->options[own].value : "");
	return text;
}

static void print_usage(FILE *out, const pj_job *job, const char *program)
{
	char operand[64];
	fprintf(out, "usage: %s [options]%s ", program, operand_of(job, operand, sizeof operand));
	for (uint32_t i = 0; i < job->input_count; i++)
		fprintf(out, "%sINPUT", i ? " " : "");
	fprintf(out, "%s\n", job->input_count ? "" : "[INPUT...]");
}

static const char *output_option(const pj_job *job)
{
	return pj__owns_letter(job, 'o') ? "--output" : "-o";
}

static void print_examples(FILE *out, const pj_job *job, const char *program)
{
	char operand[64];
	operand_of(job, operand, sizeof operand);
	if (job->summary)
		fprintf(out, "%s: %s\n\n", program, job->summary);
	if (job->input_count) {
		fprintf(out, "  %s%s %s result.tsv", program, operand, output_option(job));
		for (uint32_t i = 0; i < job->input_count; i++)
			fprintf(out, " %u.txt", i + 1);
		fprintf(out, "\n\n");
	} else {
		fprintf(out, "  %s%s book.txt\n", program, operand);
		fprintf(out, "  %s%s %s result.tsv --overwrite folder/ '*.gz'\n\n", program, operand,
			output_option(job));
	}
	print_usage(out, job, program);
}

static void print_own_options(FILE *out, const pj_job *job, bool full)
{
	const size_t own = pj__own_count(job);
	struct pj__known known;
	if (own)
		fprintf(out, "\noptions of the job:\n%s", full ? "\n" : "");
	for (size_t i = 0; i < own && pj__known_at(job, i, &known); i++)
		print_option_line(out, &known);
}

void pj__help_short(FILE *out, const pj_job *job, const char *program)
{
	print_examples(out, job, program);
	print_own_options(out, job, false);
	struct pj__known known;
	fprintf(out, "%s", pj__own_count(job) ? "\ncommon options:\n" : "\n");
	for (size_t i = pj__own_count(job); pj__known_at(job, i, &known); i++)
		if (!known.common->rare)
			print_option_line(out, &known);
}

/* The common options with all that is to be said of them. */
static void print_common_options(FILE *out, const pj_job *job)
{
	struct pj__known known;
	for (size_t i = pj__own_count(job); pj__known_at(job, i, &known); i++) {
		print_option_line(out, &known);
		pj__print_wrapped(out, known.more, HELP_COLUMN);
		fputc('\n', out);
	}
}

static void print_topic(FILE *out, const struct pj__topic *topic)
{
	fprintf(out, "%s\n\n", topic->title);
	for (const char *const *paragraph = topic->paragraphs; *paragraph; paragraph++) {
		if (**paragraph == '\t')
			fprintf(out, "    %s\n", *paragraph + 1);
		else
			pj__print_wrapped(out, *paragraph, 2);
		/* lines that are printed as they are stand together */
		if (!(**paragraph == '\t' && paragraph[1] && *paragraph[1] == '\t'))
			fputc('\n', out);
	}
}

static const struct pj__topic *find_topic(const char *name)
{
	for (const struct pj__topic *topic = pj__topics; topic->name; topic++)
		if (!strcmp(topic->name, name))
			return topic;
	return NULL;
}

void pj__help_full(FILE *out, const pj_job *job, const char *program)
{
	print_examples(out, job, program);
	print_own_options(out, job, true);
	fprintf(out, "\n%soptions:\n\n", pj__own_count(job) ? "common " : "");
	print_common_options(out, job);
	static const char *const shown[] = {"inputs", "output", "exit-codes"};
	for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
		print_topic(out, find_topic(shown[i]));
}

void pj__usage_lines(FILE *out, const pj_job *job, const char *program)
{
	print_usage(out, job, program);
	fprintf(out, "       an INPUT is a file, a folder, a glob, @LIST, or - for standard input\n");
	fprintf(out, "       %s %s shows the options\n", program, pj__owns_letter(job, 'h') ? "--help" : "-h");
}

/* ----------------------------------------------------------------------------------------------- topics of pj_help */

static void print_jobs(FILE *out)
{
	const pj_job *job;
	for (size_t i = 0; (job = pj_builtin_job(i)); i++)
		fprintf(out, "  %-14s%s\n", job->name, job->summary ? job->summary : "");
}

static void print_overview(FILE *out)
{
	fputs("PapJuice: MapReduce at the speed of the machine\n\n", out);
	fputs("  papjuice wordcount book.txt               count the words of a file\n", out);
	fputs("  papjuice wordcount -o counts.tsv texts/   of a folder, into a file\n", out);
	fputs("  papjuice run myjob.c -o out/ 'logs/*'     a job of your own, in C\n", out);
	fputs("  papjuice run --map CMD --reduce CMD logs/ of programs in any language\n\nusage:\n", out);
	for (const struct pj__command *command = pj__commands; command->name; command++)
		fprintf(out, "  %-42s%s\n", command->usage, command->help);
	fputs("\njobs:\n", out);
	print_jobs(out);
	fputs("\ntopics (papjuice help TOPIC):\n", out);
	fprintf(out, "  %-14s%s\n", "options", "the options that every job has");
	for (const struct pj__topic *topic = pj__topics; topic->name; topic++)
		fprintf(out, "  %-14s%s\n", topic->name, topic->title);
	fprintf(out, "  %-14s%s\n", "jobs", "the built-in jobs");
	fprintf(out, "  %-14s%s\n", "completions", "for a shell: papjuice help completions bash|zsh|fish");
	fprintf(out, "  %-14s%s\n", "man", "the manual page, in roff: papjuice help man | man -l -");
}

static pj_status print_completions(FILE *out, const char *shell, pj_error *error)
{
	enum { JOBS_MAX = 64 };
	const pj_job *jobs[JOBS_MAX + 1] = {NULL};
	for (size_t i = 0; i < JOBS_MAX && (jobs[i] = pj_builtin_job(i)); i++)
		;
	if (shell && pj__print_completions(out, shell, jobs))
		return PJ_OK;
	return pj__front_fail(error, PJ_ERR_USAGE, "no completions for this shell", shell ? shell : "(none named)",
			      "papjuice help completions bash, or zsh, or fish");
}

static pj_status unknown_topic(const char *name, pj_error *error)
{
	const char *names[32] = {"options", "jobs", "completions", "man"};
	size_t count = 4;
	for (const struct pj__topic *topic = pj__topics; topic->name && count < 32; topic++)
		names[count++] = topic->name;
	const char *const nearest = pj_nearest(name, names, count);
	if (nearest)
		return pj__front_fail(error, PJ_ERR_USAGE, "unknown help topic", name,
				      "the nearest is %s; all of them: papjuice help", nearest);
	return pj__front_fail(error, PJ_ERR_USAGE, "unknown help topic", name, "all topics: papjuice help");
}

int pj_help(const char *name, const char *detail)
{
	pj_error error = {.status = PJ_OK};
	pj_status status = PJ_OK;
	const struct pj__topic *const topic = name ? find_topic(name) : NULL;
	if (!name)
		print_overview(stdout);
	else if (topic)
		print_topic(stdout, topic);
	else if (!strcmp(name, "options"))
		print_common_options(stdout, NULL);
	else if (!strcmp(name, "jobs"))
		print_jobs(stdout);
	else if (!strcmp(name, "man"))
		pj__print_manual(stdout);
	else if (!strcmp(name, "completions"))
		status = print_completions(stdout, detail, &error);
	else
		status = unknown_topic(name, &error);
	return status ? pj_error_report(&error) : pj__flush_output("papjuice");
}
