"""Records that kill or fail their task: without --skip-bad the error names the first one by file, offset and line; with
it exactly these are left out, listed and kept, and with one less the job fails. The job is tests/jobs/faulty.c, a word
count that goes wrong at the word "!"; its ways to go wrong are those of test_workers.py.
"""

import gzip
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import time

import pytest

from conftest import (
    LIMIT,
    PAPJUICE,
    children_of,
    command,
    counts,
    good,
    in_members,
    limit_of,
    message,
    parts_of,
    run,
    start,
    until,
)
from trials import find_strace

pytestmark = pytest.mark.usefixtures("trace")

WAYS = ["crash", "abort", "fail", "hang", "exit=0"]
ENDS = {"crash": "SIGSEGV", "abort": "SIGABRT", "fail": 'the word is "!"', "hang": "no progress", "exit=0": "exit code 0"}
QUICK = ["--workers", "3", "--split-size", "20K", "--task-timeout", "0.2"]


class Poisoned:
    """Lines of text, some of them with the poison in them."""

    def __init__(self, count, bad, seed=1):
        dice = random.Random(seed)
        self.lines = [b"line %d of %s\n" % (i, b"some words" * (i % 3)) for i in range(count)]
        self.numbers = sorted(dice.sample(range(count), bad))
        for i in self.numbers:
            self.lines[i] = b"poison %d ! here\n" % i
        self.text = b"".join(self.lines)
        self.offsets = [len(b"".join(self.lines[:i])) for i in self.numbers]
        self.healthy = b"".join(line for i, line in enumerate(self.lines) if i not in self.numbers)
        self.bad = b"".join(self.lines[i] for i in self.numbers)

    def named(self, index, name="in"):
        return f"{name}:{self.offsets[index]}: line {self.numbers[index] + 1}"


def listed(path):
    return [(one["file"], one["offset"], one["record"], one["bytes"]) for one in
            json.loads(pathlib.Path(path).read_text())["bad_records"]]


def check_left_out(poisoned, output, name="in"):
    """What was to be left out, and nothing else, is missing, listed and kept."""
    assert output == counts(poisoned.healthy)
    assert pathlib.Path("bad").read_bytes() == poisoned.bad
    assert listed("stats") == [
        (name, offset, number + 1, len(poisoned.lines[number]))
        for offset, number in zip(poisoned.offsets, poisoned.numbers)
    ]


@pytest.mark.parametrize("how", WAYS)
def test_three_bad_records(how, job, tmp_path):
    poisoned = Poisoned(12000, 3)
    (tmp_path / "in").write_bytes(poisoned.text)
    args = ["run", job("faulty"), "in", "--how", how, *QUICK]
    first = ENDS[how] if how == "fail" else f"{poisoned.named(0)}"
    line = message(run(*args), 3 if how == "fail" else 5)
    assert ENDS[how] in line and f"line {poisoned.numbers[0] + 1}" in line and first in line
    done = run(*args, "--skip-bad", "3", "--bad-records", "bad", "--stats", "stats")
    assert done.returncode == 0, done.stderr
    check_left_out(poisoned, done.stdout)
    assert json.loads((tmp_path / "stats").read_text())["counters"]["skipped"] == 3
    notes = done.stderr.decode()
    assert all(f"bad record: {poisoned.named(i)}: " in notes for i in range(3)) and "3 bad records were left out" in notes
    done = run(*args, "--skip-bad", "2", "--output", "out", "--bad-records", "bad2")
    assert done.returncode == (3 if how == "fail" else 5)
    assert all(poisoned.named(i) in done.stderr.decode() for i in range(3)) and b"as many as --skip-bad" in done.stderr
    assert not (tmp_path / "out").exists() and not (tmp_path / "bad2").exists()


@pytest.mark.parametrize("kind", ["sum", "general", "map"])
@pytest.mark.parametrize("sorter", ["plex", "shared", "simple", "total"])
def test_every_engine_leaves_out_the_same(sorter, kind, job, tmp_path):
    poisoned = Poisoned(5000, 5, seed=2)
    (tmp_path / "in").write_bytes(poisoned.text)
    how = "fail" if sorter == "simple" else "crash"
    args = ["run", job("faulty"), "in", "--how", how, "--kind", kind, "--sorter", sorter, *QUICK, "--skip-bad", "5"]
    done = run(*args, "--bad-records", "bad", "--stats", "stats", "--output", "out/", "--partitions", "3")
    assert done.returncode == 0, done.stderr
    output = b"".join(parts_of("out").values())
    if kind == "map":
        assert output == b"".join(word + b"\t1\n" for word in poisoned.healthy.split())
        assert pathlib.Path("bad").read_bytes() == poisoned.bad
    else:
        check_left_out(poisoned, b"".join(sorted(output.splitlines(keepends=True))))


@pytest.mark.parametrize("attempts", ["1", "4"])
@pytest.mark.parametrize("workers", ["1", "4"])
def test_the_same_set_whatever_the_workers(workers, attempts, job, tmp_path):
    """Also when every record of a task is bad, and the first and the last of the input."""
    poisoned = Poisoned(3000, 2)
    lines = poisoned.lines
    for i in (0, 1, 2, 1500, 1501, 2999):
        lines[i] = b"! %d\n" % i
    text = b"".join(lines)
    bad = [line for line in lines if b"!" in line]
    (tmp_path / "in").write_bytes(text[:-1])
    done = run("run", job("faulty"), "in", "--how", "crash", "--workers", workers, "--attempts", attempts, "--split-size", "4K",
               "--skip-bad", "20", "--bad-records", "bad")
    assert done.returncode == 0 and done.stdout == counts(b"".join(line for line in lines if line not in bad))
    assert (tmp_path / "bad").read_bytes() == b"".join(bad), "the last one gets a newline"


def test_a_stream(job, tmp_path):
    poisoned = Poisoned(12000, 4, seed=3)
    (tmp_path / "in").write_bytes(poisoned.text)
    with open("in", "rb") as file, subprocess.Popen(["cat"], stdin=file, stdout=subprocess.PIPE) as cat:
        done = run("run", job("faulty"), "-", "--how", "crash", *QUICK, "--skip-bad", "4", "--bad-records", "bad", "--stats",
                   "stats", stdin=cat.stdout)
    assert done.returncode == 0, done.stderr
    check_left_out(poisoned, done.stdout, "standard input")


def test_where_compressed_records_and_programs_fail(job, tmp_path):
    """As README.md and docs/reliability.md have it."""
    poisoned = Poisoned(6000, 1)
    (tmp_path / "in").write_bytes(poisoned.text)
    (tmp_path / "in.gz").write_bytes(in_members(gzip.compress)(poisoned.text))
    args = ["run", job("faulty"), "in.gz", "--how", "crash", "--workers", "2"]
    number = poisoned.text.count(b"\n", 0, poisoned.offsets[0]) + 1
    told = f"in.gz:{poisoned.offsets[0]}: line {number}: signal 11"
    for more in ([], ["--split-size", "2K"]):
        assert told in message(run(*args, *more), 5)
    # not looked at record by record: where the mapper began with what it had last
    found = re.search(r"in.gz:(\d+): signal 11", message(run(*args, "--split-size", "2K", "--attempts", "1"), 5))
    assert 0 <= poisoned.offsets[0] - int(found.group(1)) < 4096
    done = run(*args, "--split-size", "2K", "--skip-bad", "1", "--bad-records", "bad", "--stats", "stats")
    assert done.returncode == 0, done.stderr
    check_left_out(poisoned, done.stdout, "in.gz")
    program = "awk '/!/ { exit 7 } { print }'"
    for skip in ([], ["--skip-bad", "1"]):
        done = run("run", "--map", program, *skip, "in", "--workers", "2")
        told = r"the mapper awk failed: in:\d+: it ended with exit code 7 \(map task 0, attempt [23]\)"
        assert re.search(told, message(done, 5))


def test_a_flaky_failure_costs_no_record(job, tmp_path):
    poisoned = Poisoned(2000, 1)
    (tmp_path / "in").write_bytes(poisoned.text)
    done = run("run", job("faulty"), "in", "--how", "crash", "--once", "once", *QUICK, "--skip-bad", "1", "--stats", "stats")
    assert done.returncode == 0 and done.stdout == counts(poisoned.text) and listed("stats") == []


def test_numbers_that_are_none(tmp_path):
    """A job of the program's own, which tells the place itself."""
    lines = [b"k%d\t%d\n" % (i % 7, i) for i in range(3000)]
    lines[1234] = b"k1\tmany\n"
    (tmp_path / "in").write_bytes(b"".join(lines))
    (tmp_path / "healthy").write_bytes(b"".join(lines[:1234] + lines[1235:]))
    assert "line 1235" in message(run("stats", "in"), 3)
    for sorter in ("plex", "simple"):
        done = run("stats", "in", "--skip-bad", "1", "--sorter", sorter)
        assert done.returncode == 0 and done.stdout == good("stats", "healthy")


@pytest.mark.parametrize("sorter", ["plex", "simple"])
@pytest.mark.parametrize("most", ["100", "64K", "300K"])
def test_records_that_are_too_long(most, sorter, tmp_path):
    length = {"100": 101, "64K": 65537, "300K": 300 * 1024 + 1}[most]
    lines = [b"short %d\n" % i for i in range(4000)]
    long = [b"x" * length + b"\n", b"y" * (4 * length) + b"\n"]
    lines[77], lines[3999] = long
    lines.insert(2000, b"z" * (length - 1) + b"\n")
    (tmp_path / "in").write_bytes(b"".join(lines))
    args = ["wordcount", "in", "--max-record", most, "--split-size", "10K", "--sorter", sorter, "--workers", "2"]
    line = message(run(*args), 3)
    assert f"in:{len(b''.join(lines[:77]))}: line 78: it has {length} bytes, and may have {length - 1}" in line
    done = run(*args, "--skip-bad", "2", "--bad-records", "bad", "--stats", "stats")
    assert done.returncode == 0, done.stderr
    assert done.stdout == counts(b"".join(line for line in lines if line not in long))
    assert (tmp_path / "bad").read_bytes() == b"".join(long)
    assert [record for _, _, record, _ in listed("stats")] == [78, 4001]


def test_a_key_that_kills_its_reducer_is_named(job, tmp_path):
    (tmp_path / "in").write_bytes(Poisoned(500, 1).text)
    for how in ("crash", "fail", "hang"):
        done = run("run", job("faulty"), "in", "--how", how, "--at", "reduce", "--kind", "general", *QUICK)
        assert 'at the key "!"' in message(done, 3 if how == "fail" else 5)


def test_the_file_of_bad_records(job, tmp_path):
    (tmp_path / "in").write_bytes(Poisoned(500, 1).text)
    (tmp_path / "old").write_bytes(b"old")
    args = ["run", job("faulty"), "in", "--how", "crash", *QUICK, "--skip-bad", "1", "--bad-records"]
    assert "exists" in message(run(*args, "old"), 4)
    assert (tmp_path / "old").read_bytes() == b"old"
    for path, what in (("folder/", "file"), ("-", "file"), ("out", "also")):
        message(run(*args, path, "--output", "out"), 4 if path == "out" else 2)
        assert not (tmp_path / "out").exists() and not (tmp_path / "folder").exists(), what
    (tmp_path / "in").rename("in2")
    message(run("run", job("faulty"), "in2", "--bad-records", "in2", "--overwrite", "--output", "out"), 4)
    good("run", job("faulty"), "in2", "--bad-records", "none", "--output", "out")
    assert (tmp_path / "none").read_bytes() == b""


@pytest.mark.parametrize("old", [False, True])
def test_no_bad_records_without_an_output(old, job, trace, tmp_path):
    """Output and bad records get their names one after another: whatever fails or dies there, bad records are never
    those of a run whose output is not there. An error behind the output's commit says that it is there."""
    strace, why_not = find_strace()
    if not strace:
        pytest.skip(why_not)
    poisoned = Poisoned(300, 1)
    (tmp_path / "in").write_bytes(poisoned.text)
    args = [*command("run", job("faulty"), "in", "--how", "fail", "--workers", "1", "--skip-bad", "1", "--output", "out"),
            "--bad-records", "bad", *(["--overwrite"] if old else [])]
    names, ends = (tmp_path / "out", tmp_path / "bad"), set()
    call = "renameat,renameat2" if old else "linkat"  # without flags the C library takes the older one
    for fault in ("error=EIO", "signal=KILL"):
        for number in (1, 2, 3):
            for path in names:
                path.unlink(missing_ok=True)
                if old:
                    path.write_bytes(b"old")
            done = subprocess.run(
                [strace, "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:{fault}:when={number}", *args],
                stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=limit_of(LIMIT), check=False)
            new = [path.exists() and path.read_bytes() != b"old" for path in names]
            assert new != [False, True], (fault, number)
            assert all(new) == (done.returncode == 0), (fault, number, done)
            assert (b"the output is there" in done.stderr) == (new == [True, False] and fault == "error=EIO"), done
            ends.add((fault, *new))
            trace.private_may_stay = True
    run("wordcount", "in", "--output", "next")  # removes what killed ones have left
    trace.private_may_stay = False
    assert len(ends) == 6, ends  # neither, the output alone; and both, as there are but two such calls


def test_a_line_that_cannot_be_counted(job, tmp_path):
    """The run is stopped while the bad record's line is not counted yet: the note does without."""
    poisoned = Poisoned(300, 1)
    (tmp_path / "in").write_bytes(poisoned.text)
    os.mkfifo("fifo")
    seen = set()
    args = ["in", "fifo", "--how", "hang", "--task-timeout", "0.3", "--kind", "map", "--workers", "1", "--skip-bad", "1"]
    with start("run", job("faulty"), *args, "--output", "out") as program:
        with open("fifo", "wb"):
            until(lambda: seen.update(children_of(program.pid)) or len(seen) > 3)
            time.sleep(0.2)
            program.send_signal(signal.SIGINT)
            errors = program.communicate(timeout=limit_of(20))[1].decode()
    assert program.returncode == 130, errors
    assert f"bad record: in:{poisoned.offsets[0]}: a worker made no progress" in errors and "line" not in errors


@pytest.mark.slow
@pytest.mark.parametrize("how", ["crash", "abort", "fail", "hang"])
def test_ten_among_ten_million(how, job, tmp_path):
    count, dice = 10_000_000, random.Random(11)
    numbers = sorted(dice.sample(range(count), 10))
    places, offset = {}, 0
    with open("in", "wb", buffering=1 << 20) as file:
        for begin in range(0, count, 10000):
            lines = [b"key%d %d words\n" % (i % 1000, i % 10) for i in range(begin, begin + 10000)]
            for i in numbers:
                if begin <= i < begin + 10000:
                    lines[i - begin] = b"poison ! %d\n" % i
                    places[i] = offset + len(b"".join(lines[: i - begin]))
            file.write(b"".join(lines))
            offset += sum(map(len, lines))
    with open("in", "rb") as file, open("healthy", "wb") as to:
        subprocess.run(["grep", "-v", "!"], stdin=file, stdout=to, check=True)
    expected = subprocess.run([PAPJUICE, "wordcount", "healthy"], stdout=subprocess.PIPE, check=True).stdout
    limit = limit_of(10 * LIMIT)

    def attempt(*args):
        return subprocess.run([PAPJUICE, "run", job("faulty"), "in", "--how", how, "--task-timeout", "1", *args],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=limit, check=False)

    done = attempt()
    named = rf"in:{places[numbers[0]]}(\d*): line {numbers[0] + 1}\b" if how != "fail" else rf"line {numbers[0] + 1}\b"
    assert done.returncode in (3, 5) and re.search(named, done.stderr.decode()), done.stderr
    done = attempt("--skip-bad", "10", "--stats", "stats", "--bad-records", "bad")
    assert done.returncode == 0 and done.stdout == expected, done.stderr
    assert listed("stats") == [("in", places[i], i + 1, len(b"poison ! %d\n" % i)) for i in numbers]
    assert (tmp_path / "bad").read_bytes() == b"".join(b"poison ! %d\n" % i for i in numbers)
    done = attempt("--skip-bad", "9")
    assert done.returncode in (3, 5) and b"as many as --skip-bad" in done.stderr
