"""Programs as mapper and reducer that go wrong in every way: the right error with what they said last, or the same bytes;
and nothing of them is left."""

import os
import pathlib
import random
import resource
import signal
import time

import pytest

from conftest import SEED, children_of, good, limit_of, run, send, start, state_of, until, without_leak_check

pytestmark = pytest.mark.usefixtures("trace")

QUICK = ["--split-size", "100K", "--workers", "2"]


@pytest.fixture
def text(tmp_path):
    (tmp_path / "in").write_bytes(b"".join(b"k%d\t%d\n" % (i * 7919 % 1000, i) for i in range(60000)))
    return "in"


def failed(done, code=5):
    """What a program said last, and the error line."""
    lines = done.stderr.decode().splitlines()
    assert done.returncode == code, (done.returncode, done.stderr[-2000:])
    assert lines[-1].startswith("hint: ") and lines[-2].startswith("papjuice: "), lines[-3:]
    said = [line.removeprefix("  stderr: ") for line in lines if line.startswith("  stderr: ")]
    return said, lines[-2]


@pytest.mark.parametrize("side", ["--map", "--reduce"])
@pytest.mark.parametrize("sorter", ["plex", "simple"])
def test_an_exit_code(text, side, sorter):
    other = ["--reduce" if side == "--map" else "--map", "cat"]
    program = "cat > /dev/null; for i in $(seq 50); do echo line $i >&2; done; exit 3"
    done = run("run", side, f"sh -c '{program}'", *other, *QUICK, "--sorter", sorter, "--output", "out", text)
    said, error = failed(done)
    assert said == [f"line {i}" for i in range(31, 51)]
    assert f"the {'mapper' if side == '--map' else 'reducer'} sh failed" in error and "exit code 3" in error
    assert f"({side[2:]} task " in error and not os.path.exists("out")


def test_a_signal(text):
    said, error = failed(run("run", "--map", "sh -c 'echo dying >&2; kill -SEGV $$'", *QUICK, text))
    assert said == ["dying"] and "SIGSEGV" in error and "attempt 4" in error


def test_a_program_that_is_not_there(text):
    for name in ("no-such-program", "./no-such-program"):
        _, error = failed(run("run", "--map", name, *QUICK, text))
        assert f"cannot start the program {name}" in error and "No such file" in error
    _, error = failed(run("run", "--shell", "--map", "no-such-program", *QUICK, text))
    assert "exit code 127" in error


def test_reading_stops_early(text):
    """Exit code 0 is what counts."""
    assert good("run", "--map", "head -n 1", "--split-size", "1M", text) == b"k0\t0\n"
    assert good("run", "--map", "true", *QUICK, text) == b""
    assert good("run", "--map", "cat", "--reduce", "head -n 2", "--partitions", "1", *QUICK, text) == b"k0\t0\nk0\t1000\n"
    assert good("run", "--shell", "--map", "exec <&-; sleep 0.1; echo x", "--split-size", "1M", text) == b"x\n"
    _, error = failed(run("run", "--shell", "--map", "head -n 1; exit 9", *QUICK, text))
    assert "exit code 9" in error


@pytest.mark.parametrize("program", ["sleep 1000", "sh -c 'trap : TERM INT HUP; while :; do sleep 1000; done'"])
def test_a_program_that_hangs(text, program):
    """It reads nothing, and does not hear of SIGTERM."""
    begun = time.monotonic()
    done = run("run", "--map", program, "--task-timeout", "0.5", "--attempts", "1", *QUICK, text)
    _, error = failed(done)
    assert "no progress for 0.5 s" in error and time.monotonic() - begun < limit_of(20)


def test_slow_is_not_hanging(text):
    program = "while read line; do echo $line; sleep 0.4; done"
    head = b"a\nb\nc\nd\n"
    got = good("run", "--shell", "--map", program, "--task-timeout", "1.5", "--attempts", "1", text=head)
    assert got == head


def test_a_flood_of_errors(text):
    """A gigabyte; what is passed on has an end, and little memory is used."""
    flood = "sh -c 'yes 0123456789012345678901234567890123456789 | head -c 1000000000 >&2; cat'"
    done = run("run", "--map", flood, "--workers", "1", "--split-size", "1M", "--memory", "64M", text, limit=80)
    assert done.returncode == 0 and done.stdout == open(text, "rb").read()
    assert len(done.stderr) < 2 << 20 and b"more lines of standard error are left out" in done.stderr


def test_long_lines(text):
    assert good("run", "--map", "tr -d '\\n'", "--workers", "1", "--split-size", "1M", text).count(b"\n") == 1
    done = run("run", "--shell", "--map", "cat >/dev/null; head -c 64000000 /dev/zero", "--memory", "64M", *QUICK, text)
    assert done.returncode == 4 and b"a line that is too long" in done.stderr and b"--memory" in done.stderr
    done = run("run", "--shell", "--map", "cat; head -c 3000000 /dev/zero >&2", "--workers", "1", "--split-size", "1M", text)
    assert done.returncode == 0


@pytest.mark.parametrize("code", [0, 1])
def test_a_child_in_the_background(text, code):
    """It keeps the pipe open, and is ended when it has been silent for the time limit. The trace finds it, if it is left."""
    done = run("run", "--shell", "--map", f"sleep 1000 & nohup sleep 1000 >/dev/null 2>&1 & cat; exit {code}", *QUICK,
               "--task-timeout", "2", text)
    assert done.returncode == (5 if code else 0) and (code or done.stdout == open(text, "rb").read())
    assert code or b"programs whose background processes were ended: " in done.stderr


def test_patience_begins_with_the_end_of_the_program():
    """A program that was silent itself for most of the limit may still leave something that writes."""
    pathlib.Path("slow.sh").write_text("#!/bin/bash\ncat >/dev/null; sleep 3.4; echo a > >(sleep .3; cat)\n")
    os.chmod("slow.sh", 0o755)
    pathlib.Path("one").write_bytes(b"x\n")
    assert run("run", "--map", "./slow.sh", "--task-timeout", "4", "--workers", "1", "one").stdout == b"a\n"


@pytest.mark.parametrize("sorter", ["plex", "simple"])
def test_what_a_program_has_left_writes_on(text, sorter):
    """A script ends before the processes that it has put into its output: all that they write is read."""
    bash = ["bash", "-c", "cat > >(sleep .3; sed s/^/x/; echo reporter:counter:g,late,1 >&2)"]
    (pathlib.Path("slow.sh")).write_text(f"#!/bin/bash\n{bash[2]}\n")
    os.chmod("slow.sh", 0o755)
    lines = open(text, "rb").read().splitlines(keepends=True)
    for args in (["--map", "./slow.sh"], ["--map", "cat", "--reduce", "./slow.sh"]):
        done = run("run", *args, "--sorter", sorter, *QUICK, text)
        assert done.returncode == 0 and b"counter g, late: " in done.stderr, done.stderr
        written = done.stdout.splitlines(keepends=True)
        assert sorted(written) == sorted(b"x" + line for line in lines), args


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("sorter", ["plex", "simple"])
def test_the_leader_is_ended(text, number, sorter, trace):
    """In the middle of programs that do not want to end; the trace finds what is left a second later."""
    program = "trap : TERM INT HUP; touch started; sleep 1000 & wait; wait"
    leader = start("run", "--shell", "--map", program, "--sorter", sorter, *QUICK, "--output", "out", text)
    until(lambda: os.path.exists("started"))
    send(leader.pid, number)
    if number != signal.SIGKILL and sorter == "simple":
        # it waits for the program; the second signal ends it
        time.sleep(0.2)
        send(leader.pid, number)
    leader.communicate(timeout=limit_of(20))
    assert leader.returncode in (128 + number, -number)
    trace.private_may_stay = number == signal.SIGKILL
    assert not os.path.exists("out")


def programs_of(worker):
    return [child for child in children_of(worker) if state_of(child) not in "ZX"]


@pytest.mark.parametrize("round_", range(3))
def test_workers_and_programs_are_killed(text, round_):
    """At random moments: the same bytes. A program that is killed costs an attempt, as a worker does."""
    dice = random.Random(SEED + round_)
    mapper, reducer = "mawk '{print; print $1 \"\\t\" -$2}'", "mawk '{s[$1] += $2; n[$1]++} END {for (k in n) print k, n[k], s[k]}'"
    args = ["run", "--map", mapper, "--reduce", reducer, "--combine", "cat", "--split-size", "20K", "--workers", "3", "--partitions", "9"]
    expected = good(*args, text)
    leader = start(*args, "--attempts", "99", "--output", "out", text, env=without_leak_check())
    kills = 0
    while leader.poll() is None and kills < 12:
        time.sleep(dice.random() * 0.03)
        workers = children_of(leader.pid)
        targets = workers + [program for worker in workers for program in programs_of(worker) if kills % 4 == 0][:1]
        if targets:
            kills += send(dice.choice(targets), signal.SIGKILL)
    _, errors = leader.communicate(timeout=limit_of(60))
    assert leader.returncode == 0, (SEED, errors)
    with open("out", "rb") as file:
        assert file.read() == expected, SEED


def test_the_guard_is_killed(text):
    """As soon as it is there: it is the first child."""
    args = ["run", "--map", "cat", "--reduce", "cat", *QUICK]
    expected = good(*args, text)
    killed = 0
    for _ in range(20):
        program = start(*args, "--attempts", "99", "--output", "out", "--overwrite", text, env=without_leak_check())
        while program.poll() is None and not (children := children_of(program.pid)):
            pass
        killed += bool(children) and send(children[0], signal.SIGKILL)
        _, errors = program.communicate(timeout=limit_of(60))
        assert program.returncode == 0, errors
        with open("out", "rb") as file:
            assert file.read() == expected
    assert killed > 10


def test_few_descriptors(text):
    few = good("run", "--map", "cat", "--reduce", "cat", *QUICK, text,
               preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)))
    assert few == good("run", "--map", "cat", "--reduce", "cat", *QUICK, text)
