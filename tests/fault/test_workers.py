"""Workers that die, hang or stop, at random moments and at chosen ones: the same bytes, or an error that tells which
task, where in the input, and why. The job is tests/jobs/faulty.c, a word count that goes wrong at the word "!".

Random moments come from a seed that a failure prints; $PAPJUICE_SEED repeats it.
"""

import json
import os
import random
import re
import signal
import subprocess
import threading
import time

import pytest

from conftest import (
    LIMIT,
    SEED,
    children_of,
    counts,
    good,
    limit_of,
    message,
    parts_of,
    run,
    send,
    start,
    state_of,
    survived,
    until,
    without_leak_check,
)

pytestmark = pytest.mark.usefixtures("trace")

TEXT = b"".join(b"some words of line %d of the text\n" % i for i in range(4000)) + b"a ! here\n" + b"the end\n" * 1000
ALL = ["--workers", "3", "--split-size", "10K"]


@pytest.fixture
def text(tmp_path):
    (tmp_path / "in").write_bytes(TEXT)
    return counts(TEXT)


@pytest.fixture(scope="module")
def long_text(words, tmp_path_factory):
    """Enough for a run to be caught in its middle. Each line begins with a key and a number, for `stats`."""
    lines = (b"%s%d %d.%d " % (b"key" * (i % 17), i % 503, i % 89 - 40, i % 1000) + line
             for i, line in enumerate(words.split(b"\n")))
    path = tmp_path_factory.mktemp("long") / "long.txt"
    path.write_bytes((b"\n".join(lines) + b"\n") * 6)
    return path


# ------------------------------------------------------------------------------------------------------- random moments


class Way:
    """A kind of run: its job (one of the program's own, or a plug-in of tests/jobs), its arguments, and how its output
    is read."""

    def __init__(self, name, what, args, output="out"):
        self.name, self.what, self.args, self.output = name, what, args, output

    def __repr__(self):
        return self.name

    def command(self, job, source):
        what = [self.what] if self.what in BUILT_IN else ["run", job(self.what)]
        return [*what, *self.args, source, "--output", self.output, "--overwrite", "--quiet"]

    def start(self, job, source):
        return start(*self.command(job, source), env=without_leak_check())

    def result(self):
        if self.output.endswith("/"):
            return parts_of(self.output)
        with open(self.output, "rb") as file:
            return file.read()


MORE = ["--attempts", "50", "--workers", "3", "--split-size", "400K"]
LITTLE = "24M"
SMALL = [*MORE, "--memory", LITTLE]  # tables are full several times in each task, and runs go to disk
BUILT_IN = ("wordcount", "sort")  # whose workers are killed in test_chaos.py
STATS = ["--key", "1", "--value", "2", "--sep", " "]
WAYS = [
    Way("combined", "wordcount", [*MORE, "--partitions", "20"]),
    Way("combined in small tables", "wordcount", SMALL),
    Way("own aggregate in small tables", "fold", [*SMALL, "--by", "many", "--key", "line"]),
    Way("general", "places", [*MORE, "--by", "join"]),
    Way("general in little memory", "places", [*SMALL, "--by", "join"]),
    Way("sort in little memory", "sort", SMALL),
    Way("no reducer to a folder", "places", [*MORE, "--by", "none", "--partitions", "5"], output="out/"),
    Way("map only", "places", [*MORE, "--by", "map"]),
    Way("map only to a folder", "places", [*MORE, "--by", "map"], output="out/"),
    Way("shared general", "places", [*MORE, "--sorter", "shared", "--by", "none"]),
    Way("total to a folder", "places", [*MORE, "--sorter", "total", "--by", "none", "--partitions", "5"], output="out/"),
]


def measured(way, job, source):
    """The right result, from a run that nobody disturbs, and how long it takes."""
    begin = time.monotonic()
    with way.start(job, source) as program:
        errors = program.communicate(timeout=limit_of(LIMIT))[1]
    assert (program.returncode, errors) == (0, b"")
    return way.result(), time.monotonic() - begin


def disturb(program, dice, seconds, signals):
    """Sends signals to random workers at random moments. Returns how many were sent."""
    sent, moments = 0, sorted(dice.uniform(0, seconds) for _ in range(dice.randint(1, 4)))
    # one child alone may be the one that looks at the plug-in
    until(lambda: len(children_of(program.pid)) > 1 or program.poll() is not None, step=0.001)
    begin = time.monotonic()
    for moment in moments:
        time.sleep(max(0, begin + moment - time.monotonic()))
        if workers := children_of(program.pid):
            sent += send(dice.choice(workers), dice.choice(signals))
    return sent


def disturbed_runs(way, job, source, trials, signals=(signal.SIGKILL,)):
    expected, seconds = measured(way, job, source)
    sent = 0
    for trial in range(12 * trials):
        if trial >= trials and sent > trials // 4:
            break  # on a busy machine it takes more trials to catch a worker
        dice = random.Random(f"{SEED} {way} {trial}")
        print(f"PAPJUICE_SEED={SEED}: {way}, trial {trial}")
        with way.start(job, source) as program:
            sent += disturb(program, dice, seconds * 1.1, signals)
            try:
                errors = program.communicate(timeout=limit_of(LIMIT))[1]
            except subprocess.TimeoutExpired:
                program.kill()
                raise
        assert program.returncode == 0, errors
        assert way.result() == expected
        os.system("rm -rf out")
    assert sent > trials // 4, "hardly any worker was caught"


@pytest.mark.parametrize("way", [way for way in WAYS if way.what not in BUILT_IN], ids=repr)
def test_killed_workers(way, job, long_text):
    disturbed_runs(way, job, long_text, 2)


@pytest.mark.slow
@pytest.mark.parametrize("way", [way for way in WAYS if way.what not in BUILT_IN], ids=repr)
def test_killed_workers_again_and_again(way, job, long_text):
    disturbed_runs(way, job, long_text, 100)


@pytest.mark.parametrize("way", [WAYS[0], WAYS[1], WAYS[4], WAYS[5]], ids=repr)
def test_stopped_workers(way, job, long_text):
    """A worker that is stopped makes no progress, whatever it was about: it is given up."""
    way = Way(way.name, way.what, [*way.args, "--task-timeout", "0.3"], way.output)
    disturbed_runs(way, job, long_text, 3, (signal.SIGSTOP, signal.SIGKILL))


def test_all_workers_killed_at_once(job, long_text):
    way = WAYS[0]
    expected, seconds = measured(way, job, long_text)
    for share in (0.2, 0.5, 0.8):
        with way.start(job, long_text) as program:
            time.sleep(seconds * share)
            for worker in children_of(program.pid):
                send(worker, signal.SIGKILL)
            errors = program.communicate(timeout=limit_of(LIMIT))[1]
        assert program.returncode == 0, errors
        assert way.result() == expected


def run_pairs(path):
    """How many pairs, keys with their states, were published."""
    return json.loads(path.read_text())["counters"]["run_pairs"]


def test_small_tables_are_full_in_each_task(long_text, tmp_path):
    """What the runs in small tables rely on: states leave them again and again, before their task is published."""
    published = []
    for memory in ("100%", LITTLE):
        for what, args in (("wordcount", []), ("stats", STATS)):
            good(what, *args, "--workers", "3", "--split-size", "400K", "--memory", memory, long_text, "--output", "/dev/null", "--stats",
                 "stats")
            published.append(run_pairs(tmp_path / "stats"))
    assert published[2] > 3 * published[0] and published[3] > 3 * published[1], published


@pytest.mark.parametrize("memory", ["100%", LITTLE])
def test_killed_workers_that_publish_by_time(memory, job, long_text, tmp_path):
    """The input comes slowly, for more than three seconds, so tables are published between tasks, about once a second;
    workers are killed before, between and after that."""
    text = long_text.read_bytes()
    expected = good("wordcount", long_text)
    print(f"PAPJUICE_SEED={SEED}")
    dice = random.Random(f"{SEED} {memory}")
    args = ["--attempts", "50", "--workers", "3", "--split-size", "100K", "--memory", memory, "--quiet", "-o", "out", "--stats", "stats"]
    with start("wordcount", *args, stdin=subprocess.PIPE, env=without_leak_check()) as program:
        feeder = threading.Thread(target=feed, args=(program.stdin, text, 3.3), daemon=True)
        feeder.start()
        sent = 0
        for _ in range(5):
            time.sleep(dice.uniform(0.3, 0.8))
            if workers := children_of(program.pid):
                sent += send(dice.choice(workers), signal.SIGKILL)
        feeder.join(limit_of(LIMIT))
        errors = program.stderr.read()
        program.wait(limit_of(LIMIT))
    assert program.returncode == 0 and sent >= 3, errors
    assert (tmp_path / "out").read_bytes() == expected
    counters = json.loads((tmp_path / "stats").read_text())["counters"]
    assert counters["map_tasks"] > 100 and counters["failures"] >= 3
    assert counters["run_pairs"] > 1.5 * counters["distinct_keys"], "each worker published just once"


def feed(stream, text, seconds):
    """Writes the text in pieces, which come evenly."""
    pieces, begin = 60, time.monotonic()
    with stream:
        for i in range(pieces):
            time.sleep(max(0, begin + seconds * i / pieces - time.monotonic()))
            stream.write(text[len(text) * i // pieces : len(text) * (i + 1) // pieces])


def test_what_dead_workers_did_is_not_counted(job, long_text, tmp_path):
    """The statistics of a disturbed run are those of an undisturbed one, but for attempts and failures."""

    def counters():
        found = json.loads((tmp_path / "stats").read_text())["counters"]
        return {
            name: found[name]
            for name in ("records", "input_bytes", "map_pairs", "distinct_keys", "output_pairs", "output_bytes")
        }

    way = Way("counted", "wordcount", [*MORE, "--stats", "stats"])
    _, seconds = measured(way, job, long_text)
    expected, dice = counters(), random.Random(SEED)
    print(f"PAPJUICE_SEED={SEED}")
    for _ in range(4):
        with way.start(job, long_text) as program:
            disturb(program, dice, seconds, (signal.SIGKILL,))
            program.communicate(timeout=limit_of(LIMIT))
        assert program.returncode == 0 and counters() == expected


# -------------------------------------------------------------------------------------------- chosen moments, once only


def kinds(at):
    return {
        "map": ("sum", "general", "map"),
        "begin": ("sum", "map"),
        "end": ("general", "map"),
        "reduce": ("general",),
    }[at]


@pytest.mark.parametrize("sorter", ["plex", "shared"])
@pytest.mark.parametrize("at", ["map", "begin", "end", "reduce"])
@pytest.mark.parametrize("how", ["crash", "abort", "kill", "exit=0", "exit=1", "exit=77", "hang", "stop"])
def test_the_first_attempt_fails(how, at, sorter, job, text):
    """Whatever it was, the second attempt gives the same bytes, and a note says what happened."""
    for kind in kinds(at):
        args = ["run", job("faulty"), "in", "--how", how, "--at", at, "--kind", kind, "--sorter", sorter, *ALL]
        if how in ("hang", "stop"):
            args += ["--task-timeout", "0.2"]
        output = survived(*args, "--once", f"once-{kind}")
        if kind == "map":
            assert output == b"".join(word + b"\t1\n" for word in TEXT.split())
        else:
            assert output == text


def test_the_note_and_the_statistics_of_a_failed_attempt(job, text, tmp_path):
    done = run("run", job("faulty"), "in", "--how", "crash", "--once", "once", "--stats", "stats", *ALL)
    assert done.returncode == 0 and done.stdout == text
    note = done.stderr.decode()
    # task 0 is that of a sample: whoever meets the word first makes the file
    assert re.fullmatch(
        r"papjuice: note: 1 attempt failed and was done again; the first: map task -?\d+: .*SIGSEGV.*\n", note
    )
    stats = json.loads((tmp_path / "stats").read_text())
    assert stats["counters"]["failures"] == 1 and len(stats["failures"]) == 1
    assert "SIGSEGV" in stats["failures"][0]["reason"] and stats["failures"][0]["phase"] == "map"


@pytest.mark.parametrize("kind", ["sum", "general"])
@pytest.mark.parametrize("how", ["crash", "exit=0", "hang"])
def test_the_first_sample_fails(how, kind, job, text, tmp_path):
    """With the sorter total the sample shows in the output: it is taken again, and is the same."""
    args = ["run", job("faulty"), "in", *ALL, "--kind", kind, "--sorter", "total", "--partitions", "6", "--task-timeout", "0.2"]
    good(*args, "--output", "undisturbed/")
    survived(*args, "--output", "out/", "--how", how, "--once", "once", "--stats", "stats")
    assert parts_of("out") == parts_of("undisturbed") and b"".join(parts_of("out").values()) == text
    failures = json.loads((tmp_path / "stats").read_text())["failures"]
    assert [failure["task"] for failure in failures] == [None]  # of no task: the sample comes before the first


def test_the_sample_always_fails(job, text, tmp_path):
    done = run("run", job("faulty"), "in", *ALL, "--how", "crash", "--sorter", "total", "--partitions", "6", "--output", "out/")
    assert "SIGSEGV" in message(done, 5)
    assert not (tmp_path / "out").exists()


# ----------------------------------------------------------------------------------------------- chosen moments, always


ENDS = {
    "crash": "signal 11 (SIGSEGV)",
    "abort": "signal 6 (SIGABRT)",
    "kill": "signal 9 (SIGKILL)",
    "exit=0": "exit code 0",
    "exit=1": "exit code 1",
    "hang": "no progress for 0.2 s",
    "stop": "no progress for 0.2 s",
}


@pytest.mark.parametrize("sorter", ["plex", "shared"])
@pytest.mark.parametrize("how", sorted(ENDS))
def test_it_always_fails(how, sorter, job, text, tmp_path):
    """The error names the task, the place in the input, the attempt and the signal; the old output stays."""
    (tmp_path / "out").write_bytes(b"old")
    task, place = TEXT.index(b"!") // 10240, TEXT.index(b"!")
    for attempts in ("1", "3"):
        done = run(
            "run",
            job("faulty"),
            "in",
            "--how",
            how,
            *ALL,
            "--sorter",
            sorter,
            "--attempts",
            attempts,
            "--output",
            "out",
            "--overwrite",
            "--task-timeout",
            "0.2",
        )
        line = message(done, 5)
        assert ENDS[how] in line
        tried = min(int(attempts), 2) if how.startswith("exit") else attempts
        assert f"(map task {task}, attempt {tried})" in line
        offset = int(re.search(r": in:(\d+)\b", line).group(1))
        if attempts == "1":
            assert offset <= place < offset + 8192, "what the scanner had come to begins before the word"
        else:
            assert offset == TEXT.index(b"a ! here") and f"in:{offset}: line 4001" in line
        assert (tmp_path / "out").read_bytes() == b"old"


def test_four_attempts_are_made(job, text, tmp_path):
    run("run", job("faulty"), "in", "--how", "crash", *ALL, "--partitions", "1", "--stats", "stats")
    stats = json.loads((tmp_path / "stats").read_text())
    assert stats["exit_code"] == 5 and stats["counters"]["failures"] == 4
    assert [failure["attempt"] for failure in stats["failures"]] == [1, 2, 3, 4]
    assert len({failure["task"] for failure in stats["failures"]}) == 1


@pytest.mark.parametrize("sorter", ["plex", "shared"])
@pytest.mark.parametrize("how", ["crash", "exit=0", "hang"])
def test_the_reducer_always_fails(how, sorter, job, text, tmp_path):
    for output in ("out", "folder/"):
        done = run(
            "run",
            job("faulty"),
            "in",
            "--how",
            how,
            "--at",
            "reduce",
            "--kind",
            "general",
            *ALL,
            "--sorter",
            sorter,
            "--attempts",
            "2",
            "--output",
            output,
            "--task-timeout",
            "0.2",
        )
        line = message(done, 5)
        assert ENDS[how] in line and re.search(r"\(reduce task \d+, attempt 2\)", line)
    assert not (tmp_path / "out").exists() and not (tmp_path / "folder").exists()


@pytest.mark.parametrize("how", ["crash", "exit=0", "exit=3", "hang"])
def test_code_that_fails_before_its_first_task(how, job, text):
    """A `begin` that fails each time is charged to the task at hand, never tried without end."""
    done = run(
        "run",
        job("faulty"),
        "in",
        "--how",
        how,
        "--at",
        "begin",
        *ALL,
        "--task-timeout",
        "0.2",
        "--attempts",
        "2",
        limit=30,
    )
    assert re.search(r"\(map task \d+, attempt 2\)", message(done, 5))


def test_a_timeout_of_zero_is_never(job, text):
    assert good("run", job("faulty"), "in", "--how", "sleep=700", "--task-timeout", "0", *ALL) == text
    done = run("run", job("faulty"), "in", "--how", "sleep=700", "--task-timeout", "0.1", "--attempts", "1", *ALL)
    assert "no progress" in message(done, 5)


# ------------------------------------------------------------------------------------------------------ parts that wait


def test_a_worker_that_stops_while_it_holds_parts(job, tmp_path):
    """It has no task, only parts that it is told to write: it is given up like one that has a task."""
    text = b"! first\n" + b"word\n" * 60
    (tmp_path / "in").write_bytes(text)
    with start(
        "run",
        job("faulty"),
        "in",
        "--kind",
        "map",
        "--how",
        "sleep=400",
        "--once",
        "once",
        "--workers",
        "2",
        "--split-size",
        "8",
        "--task-timeout",
        "0.8",
        "--output",
        "out",
    ) as program:
        until(lambda: (tmp_path / "once").exists())
        time.sleep(0.2)  # by now the other one has mapped the rest, and waits
        workers = children_of(program.pid)
        assert len(workers) == 2
        for worker in workers:
            send(worker, signal.SIGSTOP)
        until(lambda: all(state_of(worker) == "T" for worker in workers))
        try:
            errors = program.communicate(timeout=limit_of(15))[1]
        except subprocess.TimeoutExpired:
            program.kill()
            raise
    assert program.returncode == 0, errors
    assert (tmp_path / "out").read_bytes() == b"".join(word + b"\t1\n" for word in text.split())


@pytest.mark.parametrize("output", ["out", "-"])
def test_thousands_of_parts_wait_for_the_first(output, job, tmp_path):
    """All of them can be written at once then; the workers' queues are not that long."""
    text = b"! first\n" + b"word\n" * 30_000
    (tmp_path / "in").write_bytes(text)
    done = run(
        "run",
        job("faulty"),
        "in",
        "--kind",
        "map",
        "--how",
        "sleep=200",
        "--once",
        "once",
        "--workers",
        "2",
        "--split-size",
        "5",
        "--output",
        output,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    result = done.stdout if output == "-" else (tmp_path / "out").read_bytes()
    assert result == b"".join(word + b"\t1\n" for word in text.split())


def test_a_worker_dies_while_parts_are_taken(job, tmp_path):
    """The reader of standard output is slow, so parts lie parked, and their workers are killed."""
    text = b"".join(b"line %d\n" % i for i in range(60_000))
    (tmp_path / "in").write_bytes(text)
    expected = good("run", job("places"), "in", "--by", "map", "--sorter", "simple")
    args = ["--by", "map", "--workers", "3", "--split-size", "20K", "--quiet", "--attempts", "99"]
    with start("run", job("places"), "in", *args, env=without_leak_check()) as program:
        got = []
        reader = threading.Thread(target=lambda: got.extend(iter(lambda: slow_read(program.stdout), b"")), daemon=True)
        reader.start()
        for _ in range(8):
            time.sleep(0.03)
            for worker in children_of(program.pid):
                send(worker, signal.SIGKILL)
        reader.join(limit_of(LIMIT))
        assert not reader.is_alive()
        errors = program.stderr.read()
        program.wait(limit_of(5))
    assert (program.returncode, errors) == (0, b"")
    assert b"".join(got) == expected


def slow_read(stream):
    time.sleep(0.01)
    return stream.read1(30_000)
