/*
 * test_mp_dispatcher.c: messages arrive in order and before the death that follows them, every death is told, nothing
 * waits for ever (alarm) and nothing is left behind.
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/machine.h"
#include "mp/child.h"
#include "mp/dispatcher.h"

/* What the test worker does on a message: its first byte. */
enum { ECHO = 'e', EXIT = 'x', ABORT = 'a', FLOOD = 'f', LAST_WORDS = 'l', DEAF = 'd', SLEEP = 's', SIGNALS = 'g' };

enum { FLOOD_COUNT = 3000, LAST_COUNT = 5 };

static int count_descriptors(void)
{
	int count = 0;
	DIR *folder = opendir("/proc/self/fd");
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

static void send_numbers(int channel, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (pj__channel_send(channel, &i, sizeof i))
			_exit(99);
}

static char dispositions(void)
{
	struct sigaction interrupt, pipe_broken, user;
	sigaction(SIGINT, NULL, &interrupt);
	sigaction(SIGPIPE, NULL, &pipe_broken);
	sigaction(SIGUSR1, NULL, &user);
	sigset_t mask;
	sigprocmask(SIG_SETMASK, NULL, &mask);
	return interrupt.sa_handler == SIG_IGN && pipe_broken.sa_handler == SIG_IGN && user.sa_handler == SIG_DFL &&
	       !sigismember(&mask, SIGUSR2);
}

static int worker(void *arg, unsigned slot, int channel)
{
	static _Alignas(16) char message[PJ__MESSAGE_MAX];
	size_t size;
	(void)arg;
	while (pj__channel_receive(channel, message, -1, &size) == 0) {
		switch (message[0]) {
		case ECHO:
			if (pj__channel_send(channel, message, size))
				return 98;
			break;
		case EXIT:
			return 40 + (int)slot;
		case ABORT:
			abort();
		case FLOOD:
			send_numbers(channel, FLOOD_COUNT);
			break;
		case LAST_WORDS:
			send_numbers(channel, LAST_COUNT);
			raise(SIGKILL);
			break;
		case DEAF: /* closes everything, as bad user code might, and stays */
			close_range(3, ~0U, 0);
			sleep(100);
			break;
		case SLEEP:
			sleep(100);
			break;
		case SIGNALS:
			message[0] = dispositions();
			if (pj__channel_send(channel, message, 1))
				return 98;
			break;
		default:
			return 97;
		}
	}
	return 0;
}

static pj__dispatcher *create(unsigned count)
{
	pj__dispatcher *dispatcher = NULL;
	pj_error error;
	assert_int_equal(pj__dispatcher_create(count, worker, NULL, &dispatcher, &error), PJ_OK);
	return dispatcher;
}

static void tell(pj__dispatcher *dispatcher, unsigned slot, char what)
{
	assert_int_equal(pj__dispatcher_send(dispatcher, slot, &what, 1), PJ_OK);
}

static pj__event next(pj__dispatcher *dispatcher, int timeout_ms)
{
	pj__event event;
	pj_error error;
	assert_int_equal(pj__dispatcher_wait(dispatcher, timeout_ms, &event, &error), PJ_OK);
	return event;
}

static void messages_keep_their_bounds(void **state)
{
	(void)state;
	const int before = count_descriptors();
	pj__dispatcher *dispatcher = create(3);
	static char big[PJ__MESSAGE_MAX];
	memset(big, 'q', sizeof big);
	big[0] = ECHO;
	for (unsigned slot = 0; slot < 3; slot++) {
		assert_int_equal(pj__dispatcher_send(dispatcher, slot, big, sizeof big), PJ_OK);
		assert_int_equal(pj__dispatcher_send(dispatcher, slot, big, slot + 1), PJ_OK);
	}
	unsigned seen[3] = {0};
	for (int i = 0; i < 6; i++) {
		const pj__event event = next(dispatcher, -1);
		assert_int_equal(event.kind, PJ__EVENT_MESSAGE);
		assert_int_equal((uintptr_t)event.message % 16, 0);
		assert_int_equal(event.size, seen[event.slot]++ ? event.slot + 1 : sizeof big);
		assert_memory_equal(event.message, big, event.size);
	}
	assert_int_equal(pj__dispatcher_send(dispatcher, 0, big, 0), PJ_ERR_INTERNAL);
	assert_int_equal(pj__dispatcher_send(dispatcher, 0, big, sizeof big + 1), PJ_ERR_INTERNAL);
	pj__dispatcher_destroy(dispatcher);
	assert_int_equal(count_descriptors(), before);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
}

static void deaths_are_told(void **state)
{
	(void)state;
	pj__dispatcher *dispatcher = create(2);
	const pid_t first = pj__dispatcher_pid(dispatcher, 0);
	assert_true(first > 0);
	tell(dispatcher, 0, EXIT);
	pj__event event = next(dispatcher, -1);
	assert_int_equal(event.kind, PJ__EVENT_DEATH);
	assert_int_equal(event.slot, 0);
	assert_int_equal(event.exit_code, 40);
	assert_int_equal(event.signal, 0);
	assert_int_equal(pj__dispatcher_pid(dispatcher, 0), 0);
	char byte = ECHO;
	assert_int_equal(pj__dispatcher_send(dispatcher, 0, &byte, 1), PJ_ERR_CRASH);
	pj__dispatcher_kill(dispatcher, 0);
	assert_int_equal(next(dispatcher, 0).kind, PJ__EVENT_TIMEOUT);

	tell(dispatcher, 1, ABORT);
	event = next(dispatcher, -1);
	assert_int_equal(event.kind, PJ__EVENT_DEATH);
	assert_int_equal(event.signal, SIGABRT);
	assert_int_equal(event.exit_code, -1);

	assert_int_equal(pj__dispatcher_start(dispatcher, 0, NULL), PJ_OK);
	assert_int_not_equal(pj__dispatcher_start(dispatcher, 0, NULL), PJ_OK); /* it lives */
	tell(dispatcher, 0, ECHO);
	assert_int_equal(next(dispatcher, -1).kind, PJ__EVENT_MESSAGE);
	pj__dispatcher_kill(dispatcher, 0);
	event = next(dispatcher, -1);
	assert_int_equal(event.kind, PJ__EVENT_DEATH);
	assert_int_equal(event.signal, SIGKILL);
	pj__dispatcher_destroy(dispatcher);
}

static void messages_come_before_the_death(void **state)
{
	(void)state;
	pj__dispatcher *dispatcher = create(4);
	for (unsigned round = 0; round < 25; round++) {
		uint32_t got[4] = {0};
		for (unsigned slot = 0; slot < 4; slot++) {
			tell(dispatcher, slot, LAST_WORDS);
			/* what the worker will never read makes the kernel report a reset: it must not eat messages */
			const char echo = ECHO;
			const pj_status status = pj__dispatcher_send(dispatcher, slot, &echo, 1);
			assert_true(status == PJ_OK || status == PJ_ERR_CRASH);
		}
		for (unsigned dead = 0; dead < 4;) {
			const pj__event event = next(dispatcher, -1);
			if (event.kind == PJ__EVENT_DEATH) {
				assert_int_equal(got[event.slot], LAST_COUNT);
				assert_int_equal(event.signal, SIGKILL);
				assert_int_equal(pj__dispatcher_start(dispatcher, event.slot, NULL), PJ_OK);
				dead++;
				continue;
			}
			uint32_t number;
			memcpy(&number, event.message, sizeof number);
			assert_int_equal(number, got[event.slot]++);
		}
	}
	pj__dispatcher_destroy(dispatcher);
}

static void the_talkative_do_not_starve_the_others(void **state)
{
	(void)state;
	pj__dispatcher *dispatcher = create(2);
	tell(dispatcher, 0, FLOOD);
	assert_int_equal(next(dispatcher, -1).slot, 0);
	usleep(20000); /* its queue is full by now */
	tell(dispatcher, 1, ECHO);
	usleep(20000);
	unsigned before = 0;
	while (next(dispatcher, -1).slot == 0)
		before++;
	assert_in_range(before, 0, 4);
	pj__dispatcher_destroy(dispatcher);
}

static void a_full_queue_is_busy(void **state)
{
	(void)state;
	pj__dispatcher *dispatcher = create(1);
	tell(dispatcher, 0, SLEEP);
	static char big[PJ__MESSAGE_MAX] = {ECHO};
	pj_status status = PJ_OK;
	for (int i = 0; i < 10000 && !status; i++)
		status = pj__dispatcher_send(dispatcher, 0, big, sizeof big);
	assert_int_equal(status, PJ_ERR_BUSY);
	pj__dispatcher_destroy(dispatcher);
}

static void a_deaf_worker_is_killed(void **state)
{
	(void)state;
	pj__dispatcher *dispatcher = create(1);
	tell(dispatcher, 0, DEAF);
	const pj__event event = next(dispatcher, -1);
	assert_int_equal(event.kind, PJ__EVENT_DEATH);
	assert_int_equal(event.signal, SIGKILL);
	pj__dispatcher_destroy(dispatcher);
}

static void tick(int number)
{
	(void)number;
}

static void waiting_has_a_limit_and_survives_signals(void **state)
{
	(void)state;
	pj__dispatcher *dispatcher = create(1);
	struct sigaction action = {.sa_handler = tick}, old;
	sigaction(SIGUSR1, &action, &old);
	const pid_t self = getpid(), ticker = fork();
	if (ticker == 0) {
		for (int i = 0; i < 20; i++) {
			usleep(5000);
			kill(self, SIGUSR1);
		}
		_exit(0);
	}
	const uint64_t begin = pj__now_ns();
	assert_int_equal(next(dispatcher, 150).kind, PJ__EVENT_TIMEOUT);
	const uint64_t took_ms = (pj__now_ns() - begin) / 1000000u;
	assert_in_range(took_ms, 149, 1500);
	pid_t waited;
	while ((waited = waitpid(ticker, NULL, 0)) < 0 && errno == EINTR)
		;                         /* it ticks on */
	assert_int_equal(waited, ticker); /* the host's child was left for the host */
	sigaction(SIGUSR1, &old, NULL);
	pj__dispatcher_destroy(dispatcher);
}

static void a_descriptor_is_watched(void **state)
{
	(void)state;
	pj__dispatcher *dispatcher = create(1);
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	pj__dispatcher_watch(dispatcher, ends[0]);
	assert_int_equal(next(dispatcher, 0).kind, PJ__EVENT_TIMEOUT);
	assert_int_equal(write(ends[1], "x", 1), 1);
	const pj__event event = next(dispatcher, -1);
	assert_int_equal(event.kind, PJ__EVENT_READABLE);
	assert_int_equal(event.fd, ends[0]);
	pj__dispatcher_watch(dispatcher, -1);
	assert_int_equal(next(dispatcher, 0).kind, PJ__EVENT_TIMEOUT);
	close(ends[0]);
	close(ends[1]);
	pj__dispatcher_destroy(dispatcher);
}

static void the_hosts_handlers_stay_with_the_host(void **state)
{
	(void)state;
	struct sigaction action = {.sa_handler = tick}, old;
	sigaction(SIGUSR1, &action, &old);
	sigset_t mask, old_mask;
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	sigprocmask(SIG_BLOCK, &mask, &old_mask);
	pj__dispatcher *dispatcher = create(1);
	struct sigaction now;
	sigaction(SIGUSR1, NULL, &now);
	assert_ptr_equal(now.sa_handler, tick);
	tell(dispatcher, 0, SIGNALS);
	const pj__event event = next(dispatcher, -1);
	assert_int_equal(*(const char *)event.message, 1);
	pj__dispatcher_destroy(dispatcher);
	sigprocmask(SIG_SETMASK, &old_mask, NULL);
	sigaction(SIGUSR1, &old, NULL);
}

/* A leader is killed: the workers, one of them asleep, are gone within a second. */
static void workers_die_with_their_leader(void **state)
{
	(void)state;
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	const pid_t leader = fork();
	if (leader == 0) {
		pj__dispatcher *dispatcher;
		if (pj__dispatcher_create(3, worker, NULL, &dispatcher, NULL))
			_exit(1);
		const char sleep_now = SLEEP;
		if (pj__dispatcher_send(dispatcher, 1, &sleep_now, 1))
			_exit(1);
		if (write(ends[1], "r", 1) != 1)
			_exit(1);
		pause();
	}
	char byte;
	assert_int_equal(read(ends[0], &byte, 1), 1);
	close(ends[1]); /* now the leader and its workers alone hold the pipe: its end is theirs */
	kill(leader, SIGKILL);
	assert_int_equal(waitpid(leader, NULL, 0), leader);
	struct pollfd gone = {.fd = ends[0], .events = POLLIN};
	assert_int_equal(pj__poll(&gone, 1, 1000), 1);
	assert_int_equal(read(ends[0], &byte, 1), 0);
	close(ends[0]);
}

static void a_host_that_ignores_its_children(void **state)
{
	(void)state;
	struct sigaction action = {.sa_handler = SIG_IGN}, old;
	sigaction(SIGCHLD, &action, &old);
	pj__dispatcher *dispatcher = create(2);
	tell(dispatcher, 0, EXIT);
	const pj__event event = next(dispatcher, -1);
	assert_int_equal(event.kind, PJ__EVENT_DEATH);
	assert_int_equal(event.exit_code, -1);
	assert_int_equal(event.signal, 0);
	pj__dispatcher_destroy(dispatcher);
	sigaction(SIGCHLD, &old, NULL);
}

int main(void)
{
	alarm(60);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_keep_their_bounds),
		cmocka_unit_test(deaths_are_told),
		cmocka_unit_test(messages_come_before_the_death),
		cmocka_unit_test(the_talkative_do_not_starve_the_others),
		cmocka_unit_test(a_full_queue_is_busy),
		cmocka_unit_test(a_deaf_worker_is_killed),
		cmocka_unit_test(waiting_has_a_limit_and_survives_signals),
		cmocka_unit_test(a_descriptor_is_watched),
		cmocka_unit_test(the_hosts_handlers_stay_with_the_host),
		cmocka_unit_test(workers_die_with_their_leader),
		cmocka_unit_test(a_host_that_ignores_its_children),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
