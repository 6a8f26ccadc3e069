"""Signals, and streams that fail: SIGINT, SIGTERM and SIGHUP end a run within a second, with the shell's exit code, the
old output untouched and nothing left; a reader that goes away ends it quietly; files that may not grow, and streams that
are closed or full, are errors with a message. Of which job, at which moment: by dice; $PAPJUICE_SEED repeats them.

More of it: test_outputs.py (standard output, RLIMIT_FSIZE), tests/system/test_cli.py (the second SIGINT).
"""

import itertools
import os
import pathlib
import random
import resource
import signal
import subprocess
import time

import pytest

from conftest import LIMIT, PAPJUICE, ROOT, SANITIZED, SEED, counts, limit_of, lines_of, message, run, start, until
from trials import JOBS, KINDS, LITTLE, PLENTY, ground, inputs, kinds_named, outputs_of  # noqa: F401 two are fixtures

pytestmark = pytest.mark.usefixtures("trace")

OLD = b"what was there before\n"
ASKED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def kind_of(job, dice):
    return dice.choice([kind for kind in KINDS if kind.job is job])


# --------------------------------------------------------------------------------------------------------- asked to end


def ask_to_end(ground, kind, number, dice, *more):
    """Sends the signal at a random moment. Returns whether it came before the end."""
    expected, output = ground.expected(kind), outputs_of(kind.job)[1]
    before = output.prepare(ground.folder)
    with ground.start_kind(kind, output, *more) as program:
        time.sleep(ground.expected_seconds(kind) * dice.uniform(0, 1))
        program.send_signal(number)
        asked = time.monotonic()
        errors = ground.finish(program)
        took = time.monotonic() - asked
    ground.check()
    now = output.read(ground.folder)
    if program.returncode == 0:
        assert now == expected
        return False
    assert took < limit_of(1), f"it took {took} s"
    # before its handlers are there, and when it has done all, it ends by the signal itself
    assert program.returncode in (128 + number, -number), errors
    assert now == before or (program.returncode < 0 and now == expected)
    if program.returncode > 0:
        assert errors.startswith(b"papjuice: the run was stopped") and len(lines_of(errors)) == 2
    return True


@pytest.mark.parametrize("job", JOBS, ids=repr)
def test_asked_to_end_at_random_moments(job, ground):
    dice = random.Random(f"{SEED} {job}")
    for number in ASKED:
        kind = kind_of(job, dice)
        print(f"PAPJUICE_SEED={SEED}: {kind}, {number.name}")
        ask_to_end(ground, kind, number, dice)


@pytest.mark.parametrize("number", ASKED, ids=lambda number: number.name)
def test_the_sequential_sorter_is_asked_to_end(number, ground):
    """At several moments, until some were in the middle."""
    dice = random.Random(f"{SEED} {number}")
    print(f"PAPJUICE_SEED={SEED}")
    kind = kinds_named("index", PLENTY)[0]
    assert any(ask_to_end(ground, kind, number, dice, "--sorter", "simple") for _ in range(40))


# -------------------------------------------------------------------------------------- asked to end while it waits


def blocked(name, job, tmp_path):
    """Runs that wait for something that does not come."""
    if name == "a pipe that nobody opens":
        os.mkfifo("fifo")
        return start("wordcount", "fifo", "--output", "out")
    if name.startswith("standard input"):
        return start(
            "wordcount", "--output", "out", *(["--sorter", "simple"] if "simple" in name else []), stdin=subprocess.PIPE
        )
    if name.startswith("standard output"):
        (tmp_path / "many").write_bytes(b"".join(b"word%d " % i for i in range(100_000)))
        return start("wordcount", "many", *(["--sorter", "simple"] if "simple" in name else []))
    if name == "an output that nobody reads":
        os.mkfifo("fifo")
        (tmp_path / "in").write_bytes(b"in")
        return start("wordcount", "in", "--output", "fifo")
    (tmp_path / "in").write_bytes(b"!")
    if name.startswith("a program's own code"):
        library = pathlib.Path(PAPJUICE).parent / "libpapjuice.so.0"
        source, include = ROOT / "tests" / "jobs" / "faulty.c", ROOT / "include"
        subprocess.run(["cc", source, "-I", include, "-o", "faulty", library, f"-Wl,-rpath,{library.parent}"], check=True)
        return subprocess.Popen(["./faulty", "in", "--how", "hang", "--sorter", "simple", "--output", "out"],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    how = "deaf" if "deaf" in name else "hang"
    return start("run", job("faulty"), "in", "--how", how, *(["--sorter", "simple"] if "simple" in name else []))


@pytest.mark.parametrize(
    "name",
    [
        "a pipe that nobody opens",
        "standard input",
        "standard input, simple",
        "standard output",
        "standard output, simple",
        "an output that nobody reads",
        "user code",
        "user code, simple",
        "user code that is deaf, simple",
        pytest.param("a program's own code, simple", marks=pytest.mark.skipif(SANITIZED, reason="it is built without")),
    ],
)
def test_asked_to_end_while_it_waits(name, job, trace, tmp_path):
    """Whatever the run waits for, the first SIGINT ends it within a second."""
    with blocked(name, job, tmp_path) as program:
        time.sleep(0.3)
        assert program.poll() is None
        program.send_signal(signal.SIGINT)
        try:
            code = program.wait(limit_of(1))
        except subprocess.TimeoutExpired:
            program.kill()
            raise
        errors = program.stderr.read()
    assert code == 130 and errors.startswith(b"papjuice: the run was stopped"), (code, errors)
    assert not (tmp_path / "out").exists()
    trace.check()


# --------------------------------------------------------------------------------------------- stopped, and continued


def test_a_leader_that_was_stopped_goes_on(ground):
    """It does not take its own standing still for that of its workers: none is given up."""
    kind = kinds_named("index", LITTLE, 4)[0]
    expected, output = ground.expected(kind), outputs_of(kind.job)[0]
    output.prepare(ground.folder)
    more = ["--task-timeout", "0.5", "--attempts", "1"]
    with ground.start_kind(kind, output, *more) as program:
        time.sleep(ground.expected_seconds(kind) / 3)
        program.send_signal(signal.SIGSTOP)
        time.sleep(0.8)
        program.send_signal(signal.SIGCONT)
        errors = ground.finish(program)
    assert (program.returncode, errors) == (0, b"")
    assert output.read(ground.folder) == expected


# ------------------------------------------------------------------------------------------ streams, and files that fail


STREAMED = [job for job in JOBS if not job.output.endswith("/")]


@pytest.mark.parametrize("job", STREAMED, ids=repr)
def test_a_reader_that_goes_away(job, ground):
    """`| head`: no message, and the exit code that a shell expects."""
    kind = kind_of(job, random.Random(f"{SEED} {job}"))
    print(f"PAPJUICE_SEED={SEED}: {kind}")
    expected = ground.expected(kind)
    with ground.start_kind(kind, TO_STREAM, stdout=subprocess.PIPE) as program:
        taken = program.stdout.read(1000)
        program.stdout.close()
        program.stdout = None
        errors = ground.finish(program)
    assert (taken, errors) == (expected[:1000], b"")
    assert program.returncode == 128 + signal.SIGPIPE
    ground.check()


class ToStream:
    """Like an Output: the result goes to standard output."""

    @staticmethod
    def args():
        return []


TO_STREAM = ToStream()


@pytest.mark.parametrize("job", STREAMED, ids=repr)
def test_standard_output_is_full(job, ground):
    kind = kind_of(job, random.Random(f"{SEED} {job}"))
    print(f"PAPJUICE_SEED={SEED}: {kind}")
    with open("/dev/full", "wb") as full, ground.start_kind(kind, TO_STREAM, stdout=full) as program:
        errors = ground.finish(program)
    assert program.returncode == 4 and b"standard output: No space left on device\nhint: " in errors, errors
    ground.check()


@pytest.mark.parametrize("name", ["sort", "wordcount", "index", "join"])
def test_spills_that_may_not_grow(name, ground):
    """RLIMIT_FSIZE, at different sizes: what would be SIGXFSZ is an error that names the file or its folder."""
    kind, failed = kinds_named(name)[0], 0
    expected, output = ground.expected(kind), outputs_of(kind.job)[1]
    for megabytes in (0.3, 1, 3, 9):
        before = output.prepare(ground.folder)

        def limit(most=int(megabytes * 1e6)):
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

        program = ground.start_kind(kind, output, preexec_fn=limit)
        errors = ground.finish(program)
        ground.check()
        now = output.read(ground.folder)
        if program.returncode == 0:
            assert now == expected
            continue
        failed += 1
        assert (program.returncode, now) == (4, before), errors
        assert b"File too large" in errors and b"\nhint: " in errors and len(lines_of(errors)) == 2
    assert failed


CLOSED = [closed for count in (1, 2, 3) for closed in itertools.combinations(range(3), count)]


@pytest.mark.parametrize("closed", CLOSED, ids=str)
def test_closed_descriptors(closed, tmp_path):
    """Files that are opened in their place are not taken for them; the exit code tells what a message cannot."""
    (tmp_path / "in").write_bytes(b"a b a\n" * 1000)

    def close():
        for fd in closed:
            os.close(fd)

    def code(*args):
        return run("wordcount", *args, "--workers", "2", preexec_fn=close, stdout=None).returncode

    assert code("in", "--output", "out") == 0
    assert (tmp_path / "out").read_bytes() == counts(b"a b a\n" * 1000)
    assert code("missing", "--output", "none") == 3 and not (tmp_path / "none").exists()
    assert code("in", "--output", "out") == 4
    assert (tmp_path / "out").read_bytes() == counts(b"a b a\n" * 1000)


@pytest.mark.parametrize("sorter", ["plex", "simple"])
@pytest.mark.parametrize("closed", CLOSED, ids=str)
def test_user_code_with_closed_descriptors(closed, sorter, job, tmp_path):
    """It reads from nothing and prints to nowhere, or to standard error; nothing of it comes among the results. It may
    also close what there is; in a process of its own, that is."""
    text = b"a b a\n" * 1000 + b"!\n"
    (tmp_path / "in").write_bytes(text)

    def close():
        for fd in closed:
            os.close(fd)

    def code(*args):
        return run("run", job("wild"), "in", "--workers", "2", "--sorter", sorter, *args, preexec_fn=close, stdout=None).returncode

    for more in ([], ["--map"]):
        assert code("--how", "print", "--output", "out", "--overwrite", *more) == 0
        expected = b"".join(word + b"\t1\n" for word in text.split()) if more else counts(text)
        assert (tmp_path / "out").read_bytes() == expected
    if sorter == "plex":
        for how in ("close", "babble"):
            assert code("--how", how, "--once", how, "--output", "out", "--overwrite") == 0
            assert (tmp_path / "out").read_bytes() == counts(text)


def test_statistics_that_cannot_be_written(tmp_path):
    (tmp_path / "in").write_bytes(b"a\n")
    assert "No space left on device" in message(run("wordcount", "in", "--stats", "/dev/full"), 4)
    with open("/dev/full", "wb") as full:
        with start("wordcount", "in", "--stats", "-", stderr=full) as program:
            program.communicate(timeout=LIMIT)
    assert program.returncode == 4
