/*
 * manual.c: the manual page papjuice(1), in roff with the man macros of man(7), made of the table of options and the
 * topics.
 */
#include <ctype.h>
#include <string.h>

#include "front/front.h"

/* A line in which nothing is a request or an escape; '-' is a minus, so that options can be copied from the page. */
static void put_line(FILE *out, const char *text, size_t len)
{
	if (len && (*text == '.' || *text == '\''))
		fputs("\\&", out);
	for (; len; text++, len--) {
		if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '-')
			fputs("\\-", out);
		else
			fputc(*text, out);
	}
	fputc('\n', out);
}

static void put_whole_line(FILE *out, const char *text)
{
	put_line(out, text, strlen(text));
}

/* Text to be filled, in lines of bearable length, as is the custom in roff. */
static void put_text(FILE *out, const char *text)
{
	enum { LINE = 72 };
	while (*text) {
		size_t len = strcspn(text, " ");
		while (text[len] && len + 1 + strcspn(text + len + 1, " ") <= LINE)
			len += 1 + strcspn(text + len + 1, " ");
		put_line(out, text, len);
		text += len;
		text += strspn(text, " ");
	}
}

static void put_heading(FILE *out, const char *title)
{
	fputs(".SH ", out);
	fputc('"', out);
	for (; *title; title++)
		fputc(toupper((unsigned char)*title), out);
	fputs("\"\n", out);
}

static void put_option(FILE *out, const struct pj__known *known)
{
	char line[512];
	pj__option_names(known, line, sizeof line);
	fputs(".TP\n.B ", out);
	put_whole_line(out, line);
	const bool shown = known->value && known->initial;
	snprintf(line, sizeof line, "%s%s%s%s.", known->help, shown ? " (default: " : "", shown ? known->initial : "",
		 shown ? ")" : "");
	put_text(out, line);
	put_text(out, known->more);
}

static void put_topic(FILE *out, const struct pj__topic *topic)
{
	put_heading(out, topic->title);
	bool verbatim = false;
	for (const char *const *paragraph = topic->paragraphs; *paragraph; paragraph++) {
		const bool is_line = **paragraph == '\t';
		if (is_line && !verbatim)
			fputs(paragraph == topic->paragraphs ? ".RS 4\n.nf\n" : ".PP\n.RS 4\n.nf\n", out);
		else if (verbatim && !is_line)
			fputs(".fi\n.RE\n", out);
		verbatim = is_line;
		if (is_line) {
			put_whole_line(out, *paragraph + 1);
		} else {
			if (paragraph != topic->paragraphs)
				fputs(".PP\n", out);
			put_text(out, *paragraph);
		}
	}
	if (verbatim)
		fputs(".fi\n.RE\n", out);
}

static void put_jobs(FILE *out)
{
	put_heading(out, "built-in jobs");
	const pj_job *job;
	for (size_t i = 0; (job = pj_builtin_job(i)); i++) {
		fputs(".TP\n.B ", out);
		put_whole_line(out, job->name);
		put_text(out, job->summary ? job->summary : "");
		struct pj__known known;
		for (size_t own = 0; own < pj__own_count(job) && pj__known_at(job, own, &known); own++) {
			fputs(".RS\n", out);
			put_option(out, &known);
			fputs(".RE\n", out);
		}
	}
}

void pj__print_manual(FILE *out)
{
	fputs(".TH PAPJUICE 1 \"\" \"PapJuice " PJ_VERSION "\" \"User Commands\"\n", out);
	fputs(".SH NAME\npapjuice \\- MapReduce at the speed of the machine\n.SH SYNOPSIS\n", out);
	for (const struct pj__command *command = pj__commands; command->name; command++) {
		fputs(command == pj__commands ? ".B " : ".br\n.B ", out);
		put_whole_line(out, command->usage);
	}
	fputs(".SH DESCRIPTION\n", out);
	put_text(
		out,
		"Runs a job over inputs in several processes: a mapper takes the text apart and emits pairs of key and "
		"value, a sorter brings the pairs of each key together, a reducer makes a result of them.");
	fputs(".SH EXAMPLES\n.nf\npapjuice wordcount book.txt\npapjuice wordcount \\-o counts.tsv texts/\n"
	      "papjuice run myjob.c \\-o out/ 'logs/*'\n"
	      "papjuice run \\-\\-map 'grep \\-o ERROR:.*' \\-\\-reduce 'uniq \\-c' logs/\n.fi\n",
	      out);
	put_jobs(out);
	put_heading(out, "options");
	struct pj__known known;
	for (size_t i = 0; pj__known_at(NULL, i, &known); i++)
		put_option(out, &known);
	for (const struct pj__topic *topic = pj__topics; topic->name; topic++)
		put_topic(out, topic);
}
