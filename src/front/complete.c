/*
 * complete.c: completions for bash, zsh and fish, made of the table of options and the jobs.
 *
 * The first word is a command or a job, then come options and files. A job's own options are offered after its name
 * only. Nothing is asked of the program while the user types: the scripts are complete in themselves.
 */
#include <string.h>

#include "front/front.h"

/* The commands that are words, and not a stand-in for a job's name. */
static bool is_word(const struct pj__command *command)
{
	return command->name[0] >= 'a';
}

/* Text for inside of single quotes of a shell; `special` are the bytes to put a backslash before. */
static void put_inside(FILE *out, const char *text, const char *special)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\'", out);
		else if (strchr(special, *text))
			fputc('\\', out);
		fputc(*text, out);
	}
}

static void put_quoted(FILE *out, const char *text, const char *special)
{
	fputc('\'', out);
	put_inside(out, text, special);
	fputc('\'', out);
}

/* ------------------------------------------------------------------------------------------------------------ bash */

static void bash_names(FILE *out, const pj_job *job, size_t from, size_t to)
{
	struct pj__known known;
	for (size_t i = from; i < to && pj__known_at(job, i, &known); i++)
		fprintf(out, "%s--%s", i > from ? " " : "", known.name);
}

/* How the value of the option before the cursor is completed: words, folders, or else files. */
static void bash_values(FILE *out, const struct pj__known *known)
{
	if (!known->choices && known->completes != PJ__COMPLETES_FOLDER)
		return;
	fprintf(out, "\t--%s", known->name);
	if (known->letter)
		fprintf(out, " | -%c", known->letter);
	if (known->choices)
		fprintf(out, ")\n\t\tmapfile -t COMPREPLY < <(compgen -W '%s' -- \"$cur\")\n", known->choices);
	else
		fputs(")\n\t\tmapfile -t COMPREPLY < <(compgen -d -- \"$cur\")\n", out);
	fputs("\t\treturn\n\t\t;;\n", out);
}

static void print_bash(FILE *out, const pj_job *const *jobs)
{
	struct pj__known known;
	fputs("# papjuice(1) completion for bash\n_papjuice()\n{\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} own=\n\tCOMPREPLY=()\n"
	      "\t# bash takes --name=value apart at the sign\n"
	      "\tif [[ $cur == = ]]; then cur=; elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
	      "\tif ((COMP_CWORD == 1)); then\n\t\tmapfile -t COMPREPLY < <(compgen -W '",
	      out);
	for (const struct pj__command *command = pj__commands; command->name; command++)
		if (is_word(command))
			fprintf(out, "%s ", command->name);
	for (size_t i = 0; jobs[i]; i++)
		fprintf(out, "%s ", jobs[i]->name);
	fputs("--help --version' -- \"$cur\")\n\t\treturn\n\tfi\n\tcase $prev in\n", out);
	for (size_t i = 0; pj__known_at(NULL, i, &known); i++)
		bash_values(out, &known);
	fputs("\tesac\n\tcase ${COMP_WORDS[1]} in\n", out);
	for (size_t i = 0; jobs[i]; i++) {
		fprintf(out, "\t%s) own='", jobs[i]->name);
		bash_names(out, jobs[i], 0, pj__own_count(jobs[i]));
		fputs("' ;;\n", out);
	}
	fputs("\tesac\n\tif [[ $cur == -* ]]; then\n\t\tmapfile -t COMPREPLY < <(compgen -W \"$own ", out);
	bash_names(out, NULL, 0, (size_t)-1);
	/* no reply: -o default completes names of files */
	fputs("\" -- \"$cur\")\n\tfi\n}\ncomplete -o default -F _papjuice papjuice\n", out);
}

/* ------------------------------------------------------------------------------------------------------------- zsh */

/* One argument of _arguments: 'NAME[help]:VALUE:how to complete it'. */
static void zsh_spec(FILE *out, const struct pj__known *known, const char *name, const char *joint)
{
	fprintf(out, " \\\n\t\t'%s%s[", name, known->value ? joint : "");
	put_inside(out, known->help, "[]:\\");
	fputc(']', out);
	if (known->value) {
		fputc(':', out);
		put_inside(out, known->value, ":\\");
		fputc(':', out);
	}
	if (known->choices)
		fprintf(out, "(%s)", known->choices);
	else if (known->completes == PJ__COMPLETES_FOLDER)
		fputs("_files -/", out);
	else if (known->completes == PJ__COMPLETES_FILE)
		fputs("_files", out);
	fputc('\'', out);
}

static void zsh_option(FILE *out, const struct pj__known *known)
{
	const char letters[2] = {known->letter, known->other_letter};
	for (size_t i = 0; i < 2; i++) {
		const char name[] = {'-', letters[i], 0};
		if (letters[i])
			zsh_spec(out, known, name, "+");
	}
	char name[128];
	snprintf(name, sizeof name, "--%s", known->name);
	zsh_spec(out, known, name, "=");
}

static void print_zsh(FILE *out, const pj_job *const *jobs)
{
	struct pj__known known;
	fputs("#compdef papjuice\n# papjuice(1) completion for zsh\n_papjuice()\n{\n\tlocal -a words_first own\n"
	      "\twords_first=(",
	      out);
	for (const struct pj__command *command = pj__commands; command->name; command++) {
		if (!is_word(command))
			continue;
		fprintf(out, "\n\t\t'%s:", command->name);
		put_inside(out, command->help, "\\");
		fputc('\'', out);
	}
	for (size_t i = 0; jobs[i]; i++) {
		fprintf(out, "\n\t\t'%s:", jobs[i]->name);
		put_inside(out, jobs[i]->summary ? jobs[i]->summary : "", "\\");
		fputc('\'', out);
	}
	fputs("\n\t)\n\tif ((CURRENT == 2)); then\n\t\t_describe command words_first\n\t\treturn\n\tfi\n"
	      "\tcase ${words[2]} in\n",
	      out);
	for (size_t i = 0; jobs[i]; i++) {
		fprintf(out, "\t%s) own=(", jobs[i]->name);
		for (size_t own = 0; own < pj__own_count(jobs[i]) && pj__known_at(jobs[i], own, &known); own++)
			zsh_option(out, &known);
		fputs(") ;;\n", out);
	}
	fputs("\tesac\n\t_arguments -s $own", out);
	for (size_t i = 0; pj__known_at(NULL, i, &known); i++)
		zsh_option(out, &known);
	fputs(" \\\n\t\t'*:input:_files'\n}\n_papjuice \"$@\"\n", out);
}

/* ------------------------------------------------------------------------------------------------------------ fish */

static void fish_option(FILE *out, const struct pj__known *known, const char *job)
{
	fputs("complete -c papjuice", out);
	if (job)
		fprintf(out, " -n '__fish_seen_subcommand_from %s'", job);
	if (known->letter)
		fprintf(out, " -s %c", known->letter);
	if (known->other_letter)
		fprintf(out, " -s %c", known->other_letter);
	fprintf(out, " -l %s", known->name);
	if (known->choices)
		fprintf(out, " -x -a '%s'", known->choices);
	else if (known->completes == PJ__COMPLETES_FOLDER)
		fputs(" -x -a '(__fish_complete_directories)'", out);
	else if (known->completes == PJ__COMPLETES_FILE)
		fputs(" -r -F", out);
	else if (known->value)
		fputs(" -x", out);
	fputs(" -d ", out);
	put_quoted(out, known->help, "\\");
	fputc('\n', out);
}

static void print_fish(FILE *out, const pj_job *const *jobs)
{
	fputs("# papjuice(1) completion for fish\n", out);
	for (const struct pj__command *command = pj__commands; command->name; command++) {
		if (!is_word(command))
			continue;
		fprintf(out, "complete -c papjuice -f -n __fish_use_subcommand -a %s -d ", command->name);
		put_quoted(out, command->help, "\\");
		fputc('\n', out);
	}
	struct pj__known known;
	for (size_t i = 0; jobs[i]; i++) {
		fprintf(out, "complete -c papjuice -f -n __fish_use_subcommand -a %s -d ", jobs[i]->name);
		put_quoted(out, jobs[i]->summary ? jobs[i]->summary : "", "\\");
		fputc('\n', out);
		for (size_t own = 0; own < pj__own_count(jobs[i]) && pj__known_at(jobs[i], own, &known); own++)
			fish_option(out, &known, jobs[i]->name);
	}
	for (size_t i = 0; pj__known_at(NULL, i, &known); i++)
		fish_option(out, &known, NULL);
}

bool pj__print_completions(FILE *out, const char *shell, const pj_job *const *jobs)
{
	if (!strcmp(shell, "bash"))
		print_bash(out, jobs);
	else if (!strcmp(shell, "zsh"))
		print_zsh(out, jobs);
	else if (!strcmp(shell, "fish"))
		print_fish(out, jobs);
	else
		return false;
	return true;
}
