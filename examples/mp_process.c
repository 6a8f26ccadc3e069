/*
 * mp_process.c: a process for each argument; how each of them ended.
 *
 *	$ mp_process 3 0 crash
 *	3: exit code 3
 *	0: exit code 0
 *	crash: signal 6
 */
#include <papjuice/process.h>
#include <stdio.h>
#include <stdlib.h>

static int work(void *arg)
{
	const char *text = arg;
	if (strcmp(text, "crash") == 0)
		abort();
	return (int)strtol(text, NULL, 10);
}

int main(int argc, char **argv)
{
	pj_process *processes[16];
	const int count = argc - 1 < 16 ? argc - 1 : 16;
	pj_error error;
	char line[512];
	for (int i = 0; i < count; i++) {
		if (pj_process_start(work, argv[i + 1], &processes[i], &error)) {
			fprintf(stderr, "%s\n", pj_error_format(&error, line, sizeof line));
			return pj_error_exit_code(&error);
		}
	}
	for (int i = 0; i < count; i++) {
		pj_ending ending;
		if (pj_process_join(processes[i], &ending, &error))
			return pj_error_exit_code(&error);
		if (ending.signal)
			printf("%s: signal %d\n", argv[i + 1], ending.signal);
		else
			printf("%s: exit code %d\n", argv[i + 1], ending.exit_code);
		pj_process_destroy(processes[i]);
	}
	return 0;
}
