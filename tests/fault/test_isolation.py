"""User code that does to its process what it should not: it damages its own attempt, and the message says what
happened. The job is tests/jobs/wild.c; it is run with the first attempt wild, and with all of them.
"""

import json
import re
import resource
import signal
import subprocess
import time

import pytest

from conftest import SANITIZED, children_of, counts, limit_of, message, run, start, until

pytestmark = pytest.mark.usefixtures("trace")

TEXT = b"".join(b"some words of line %d of the text\n" % i for i in range(6000)) + b"a ! here\n" + b"the end\n" * 4000
ARGS = ["--workers", "3", "--split-size", "20K", "--task-timeout", "2"]
MAPPED = b"".join(word + b"\t1\n" for word in TEXT.split())

# What ends the attempt, and what the message says; and what does no harm at all.
DEADLY = {
    "scribble": r"SIGSEGV|SIGBUS|SIGABRT|SIGILL",
    "unmap": r"SIGSEGV|SIGBUS|SIGABRT",
    "close": r"the user's code closed the worker's descriptors",
    "babble": r"what it said to its leader makes no sense",
    "exit": r"exit code 0",
    "longjmp": r"SIGSEGV|SIGABRT|SIGBUS|SIGILL",
}
HARMLESS = ["chdir", "mask", "locale", "print", "fork", "orphan"]


@pytest.fixture(autouse=True)
def text(tmp_path):
    (tmp_path / "in").write_bytes(TEXT)
    (tmp_path / "more").write_bytes(TEXT)


@pytest.mark.parametrize("map_only", [False, True])
@pytest.mark.parametrize("how", sorted(DEADLY))
def test_one_wild_attempt(how, map_only, job, tmp_path):
    """The bytes are right, and a note tells of the attempt."""
    args = ["run", job("wild"), "in", "--how", how, "--once", "once", *ARGS, "--stats", "stats"]
    done = run(*args, *(["--map"] if map_only else []))
    assert done.returncode == 0, done.stderr
    assert done.stdout == (MAPPED if map_only else counts(TEXT))
    assert (tmp_path / "once").exists()
    failures = json.loads((tmp_path / "stats").read_text())["failures"]
    # the attempt at a sample may be the wild one
    assert len(failures) == 1 and re.search(DEADLY[how], failures[0]["reason"]), failures
    assert re.search(DEADLY[how], done.stderr.decode())


@pytest.mark.parametrize("how", sorted(DEADLY))
def test_wild_each_time(how, job, tmp_path):
    """The job fails, naming the record; with leave to, it goes on without it."""
    args = ["run", job("wild"), "in", "--how", how, *ARGS]
    line = message(run(*args, "--output", "out"), 5)
    assert re.search(DEADLY[how], line) and not (tmp_path / "out").exists()
    if how in ("scribble", "babble"):
        return  # over its status page, too; or went on for a while: nobody knows what was in work
    assert f"in:{TEXT.index(b'a ! here')}: line 6001" in line
    done = run(*args, "--skip-bad", "1", "--quiet")
    assert done.returncode == 0 and done.stdout == counts(TEXT.replace(b"a ! here\n", b""))


@pytest.mark.parametrize("sorter", ["plex", "shared"])
@pytest.mark.parametrize("map_only", [False, True])
@pytest.mark.parametrize("how", HARMLESS)
def test_what_does_no_harm(how, map_only, sorter, job, tmp_path):
    """Neither to the bytes nor to what comes after it in the same worker; relative names are found from another folder."""
    args = ["run", job("wild"), "in", "more", "--how", how, *ARGS, "--sorter", sorter, "--stats", "stats"]
    done = run(*args, *(["--map"] if map_only else []))
    assert done.returncode == 0, done.stderr
    assert done.stdout == (MAPPED * 2 if map_only else counts(TEXT * 2))
    assert json.loads((tmp_path / "stats").read_text())["failures"] == []
    if how == "print":
        assert b"printed by user code" in done.stderr and b"printed" not in done.stdout


@pytest.mark.parametrize("sorter", ["simple", "plex", "shared", "total"])
@pytest.mark.parametrize("phase", ["map", "reduce"])
def test_what_leaks_into_later_tasks(phase, sorter, job, tmp_path):
    """Rounding, exceptions, flush-to-zero, signals, limits: each task begins with the same ones."""
    words = ["run", job("leaky"), "in", "--in", phase, "--sorter", sorter, "--split-size", "10K", "--workers", "2"]
    done = run(*words, "--output", "out/", "--partitions", "8")
    assert (done.returncode, done.stderr) == (0, b"")
    lines = b"".join(path.read_bytes() for path in sorted((tmp_path / "out").glob("part-*"))).splitlines()
    states = {line.rsplit(b"\t", 1)[0] for line in lines}
    assert len(states) == 1, states
    state = states.pop().split()
    assert state[:5] == [b"0x1.5555555555555p-2", b"1", b"0", b"0", b"0"]
    tasks = sum(int(line.rsplit(b"\t", 1)[1]) for line in lines)
    assert tasks >= (10 if phase == "map" else 6)


@pytest.mark.parametrize("more", [[], ["--map"], ["--compress", "gz"], ["--sorter", "total"], ["--memory", "24M"]], ids=str)
@pytest.mark.parametrize("output", ["out", "out/", "-"])
def test_writing_to_every_descriptor(output, more, job, tmp_path):
    """Among them are the runs of all workers, and the output, when some of it is there: the bytes are right."""
    big = TEXT * 4 + b"! at the end\n"
    (tmp_path / "in").write_bytes(big)
    args = ["run", job("wild"), "in", *more, "--output", output, "--partitions", "3", *ARGS]
    good = run(*args, "--how", "nothing", "--workers", "1", "--overwrite")
    expected = good.stdout if output == "-" else read(tmp_path / output)
    done = run(*args, "--how", "babble", "--once", "once", "--overwrite", "--stats", "stats")
    assert done.returncode == 0, done.stderr
    assert (done.stdout if output == "-" else read(tmp_path / output)) == expected
    assert len(json.loads((tmp_path / "stats").read_text())["failures"]) == 1


def read(path):
    """A file, or all of a folder."""
    return {one.name: one.read_bytes() for one in path.iterdir()} if path.is_dir() else path.read_bytes()


@pytest.mark.parametrize("how", ["chdir", "print", "fork"])
def test_no_harm_to_a_file(how, job, tmp_path):
    done = run("run", job("wild"), "in", "more", "--how", how, *ARGS, "--output", "out", "--memory", "40M")
    assert done.returncode == 0 and (tmp_path / "out").read_bytes() == counts(TEXT * 2)


def test_standard_input_is_not_the_workers(job, tmp_path):
    """Code that reads it takes nothing from the input."""
    with open("in", "rb") as file:
        done = run("run", job("wild"), "-", "--how", "print", *ARGS, stdin=file)
    assert done.returncode == 0 and done.stdout == counts(TEXT)


def test_orphans_are_killed_with_the_attempt(job, tmp_path):
    """They would hold the terminal, or memory, for ever; the fixture looks that none lives on."""
    with start("run", job("wild"), "in", "--how", "orphan", "--map", *ARGS) as program:
        output, errors = program.communicate(timeout=limit_of(20))
    assert program.returncode == 0 and output == MAPPED, errors


@pytest.mark.skipif(SANITIZED, reason="sanitizers take memory without end themselves")
def test_allocating_without_end(job):
    """Beyond what it may have, there is none; the message tells how much it had."""

    def limit():
        resource.setrlimit(resource.RLIMIT_DATA, (300 << 20, 300 << 20))

    args = ["run", job("wild"), "in", "--how", "allocate", "--memory", "64M", *ARGS]
    done = run(*args, preexec_fn=limit)
    assert done.returncode == 5, done.stderr
    assert re.search(rb"SIGSEGV.*\nhint: it had \d+ MiB of memory, and may take 300", done.stderr), done.stderr
    done = run(*args, "--once", "once", "--quiet", preexec_fn=limit)
    assert done.returncode == 0 and done.stdout == counts(TEXT)


def test_nobody_else_has_the_status_page_of_a_worker(job, tmp_path):
    """What is mapped shared and can be written is one page: its own."""
    with start("run", job("wild"), "-", "--workers", "3", "--map", stdin=subprocess.PIPE) as program:
        program.stdin.write(TEXT)
        program.stdin.flush()
        until(lambda: len(children_of(program.pid)) == 3)
        time.sleep(0.2)
        for worker in children_of(program.pid):
            with open(f"/proc/{worker}/maps", encoding="ascii") as maps:
                shared = [line.split() for line in maps if " rw-s " in line]
            assert len(shared) == 1, shared
            begin, end = (int(address, 16) for address in shared[0][0].split("-"))
            assert end - begin == 4096
        program.send_signal(signal.SIGTERM)
        program.communicate(timeout=limit_of(20))


@pytest.mark.parametrize("map_only", [False, True])
@pytest.mark.parametrize("engine", [["--engine", "reference"], ["--sorter", "simple"]])
def test_the_reference_sees_exits(engine, map_only, job, tmp_path):
    """User code runs in the process of the run there: its exit is no good end, and nothing appears."""
    (tmp_path / "out").write_bytes(b"old")
    args = ["run", job("wild"), "in", "--how", "exit", *engine, *(["--map"] if map_only else [])]
    line = message(run(*args, "--output", "out", "--overwrite"), 5)
    assert "the user's code ended the process" in line and "exit(0)" in line
    assert (tmp_path / "out").read_bytes() == b"old"


@pytest.mark.parametrize("map_only", [False, True])
def test_the_reference_has_no_copies(map_only, job, tmp_path):
    """User code forks, and both return: one of them goes on."""
    args = ["run", job("wild"), "in", "--how", "fork", "--engine", "reference", *(["--map"] if map_only else [])]
    expected = MAPPED if map_only else counts(TEXT)
    done = run(*args)
    assert (done.returncode, done.stdout) == (0, expected), done.stderr
    done = run(*args, "--output", "out")
    assert (done.returncode, (tmp_path / "out").read_bytes()) == (0, expected), done.stderr


@pytest.mark.parametrize("more", [[], ["--skip-bad", "1"]])
def test_the_reference_comes_home(more, job):
    """User code leaves for another folder; names of inputs count from where the run began."""
    args = ["run", job("wild"), "in", "more", "--how", "chdir", "--split-size", "20K", *more]
    assert run(*args, "--engine", "reference").stdout == run(*args).stdout == counts(TEXT + TEXT)


def test_the_reference_counts_what_is_good(job, tmp_path):
    """Counters of a try that failed do not count, as in workers."""
    (tmp_path / "poor").write_bytes(b"".join(b"w%d\n" % i if i != 50 else b"! bad\n" for i in range(100)))
    ends = []
    for engine in ("local", "reference"):
        done = run("run", job("counting"), "poor", "--engine", engine, "--skip-bad", "1")
        assert done.returncode == 0, done.stderr
        ends.append((done.stdout, re.findall(rb"counter lines, seen: \d+", done.stderr)))
    assert ends[0] == ends[1] and ends[0][1] == [b"counter lines, seen: 99"]
