"""The fifty runs: each function of the story by its name, hundreds of runs that must all be right, what is lost without
a lock, and the speed on real text.
"""
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("PAPJUICE_BUILD", ROOT / "build")).resolve()
PROGRAM = BUILD / "examples" / "fifty_runs"
SANITIZED = bool(os.environ.get("PAPJUICE_SANITIZE"))
RUNS = 20 if SANITIZED else 60

STREAMS = ["Java Hadoop RDBMS Prolog Lisp Pascal", "Java Java RDBMS Prolog Prolog", "Java Hadoop RDBMS Prolog Lisp Pascal"]
COUNTS = {"Hadoop": 2, "Java": 4, "Lisp": 2, "Pascal": 2, "Prolog": 4, "RDBMS": 3}
PAIRS = [", ".join(f"{word} 1" for word in stream.split()) for stream in STREAMS]
GROUPS = ", ".join(f"{word} {' '.join('1' * count)}" for word, count in COUNTS.items())
RESULTS = ", ".join(f"{word} {count}" for word, count in COUNTS.items())

# What each function shows, line by line.
STEPS = {
    "get_input_stream": STREAMS,
    "simple_mapper": [PAIRS[1]],
    "map_data": PAIRS,
    "map_pool": PAIRS,
    "simple_sorter": ["Java 1 1, Prolog 1 1, RDBMS 1"],
    "sort_data": [GROUPS],
    "plex_sorter": [GROUPS],
    "plex_merge_dicts": ["Hadoop 1, Java 1 1 1, Lisp 1, Pascal 1, Prolog 1 1 1, RDBMS 1 1"],
    "plex_sort_data": [GROUPS],
    "simple_reducer": ["Java 2, Prolog 2, RDBMS 1"],
    "reduce_data": [RESULTS],
    "plex_reducer": [RESULTS],
    "simple_output": ["", *(f"{word:<9}{count}" for word, count in COUNTS.items())],
    "start": [RESULTS],
}


def run(*arguments, limit=240):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=limit, check=False)


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """The whole story told once, as paragraphs: {first line: the other lines}."""
    text = tmp_path_factory.mktemp("text") / "book.txt"
    text.write_text("".join(f"the {number} quick brown foxes of {number % 977}\n" for number in range(40000)))
    done = run(RUNS, text)
    assert (done.returncode, done.stderr) == (0, ""), done
    paragraphs = [paragraph.splitlines() for paragraph in done.stdout.split("\n\n")]
    assert len(paragraphs) == 5, done.stdout
    return {lines[0]: lines[1:] for lines in paragraphs}


def paragraph(story, beginning):
    return next(lines for first, lines in story.items() if first.startswith(beginning))


@pytest.mark.parametrize("function", STEPS)
def test_function(story, function):
    """What the function makes of the three streams stands behind its name, and below it."""
    lines = paragraph(story, "One run")
    begin = next(number for number, line in enumerate(lines) if line.split()[0] == function)
    shown = [lines[begin].strip().removeprefix(function).strip()]
    for line in lines[begin + 1:]:
        if not line.startswith(" " * 19):
            break
        shown.append(line.strip())
    assert shown == STEPS[function]


def test_no_function_is_left_out(story):
    names = {line.split()[0] for line in paragraph(story, "One run") if line[2] != " "}
    assert names == set(STEPS)


def test_every_run_is_right(story):
    lines = paragraph(story, f"{RUNS} runs")
    assert len(lines) == 6
    for line in lines:
        counted = re.search(r"^  (simple|plex|shared) .* (\d+) right +(\d+) wrong", line)
        assert counted and counted.group(2, 3) == (str(RUNS), "0"), line


def losses(line):
    return tuple(map(int, re.search(r"(\d+) of (\d+) lost", line).groups()))


def test_the_lock_matters(story):
    """Nothing is lost with it; without it something is, in twenty tries; lists that grow in place need none."""
    locked, unlocked, in_place = paragraph(story, "The same merge")
    assert losses(locked) == (0, 30000)
    assert 0 < losses(unlocked)[0] < 30000 and losses(unlocked)[1] == 30000
    assert losses(in_place) == (0, 30000)


def test_a_pool_does_not_share_memory(story):
    in_memory, shared = paragraph(story, "A pool's map")
    assert losses(in_memory) == (17, 17)
    assert losses(shared) == (0, 17)


def test_real_text(story):
    """Sequentially, in one worker and in all of them: the same result."""
    lines = paragraph(story, "Real text")
    assert len(lines) == 4 and lines[3].startswith("  The results are the same."), lines
    speeds = [float(re.search(r"([\d.]+) s ", line).group(1)) for line in lines[:3]]
    assert all(seconds > 0 for seconds in speeds)


@pytest.mark.skipif(SANITIZED, reason="sanitizers say nothing about speed")
def test_processes_are_faster_than_the_reference(story):
    sequential, _, workers = (float(re.search(r"([\d.]+) s ", line).group(1))
                              for line in paragraph(story, "Real text")[:3])
    assert workers < sequential


def test_quiet_is_one_line():
    done = run(3, "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "18 runs, 0 wrong\n", "")


def test_wrong_usage():
    done = run("--loud")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: ")


def test_missing_text():
    done = run(1, "no/such/book.txt")
    assert done.returncode == 3
    assert "no/such/book.txt" in done.stderr


def test_nothing_is_left_behind():
    """No process of a story that was cut off lives on."""
    process = subprocess.Popen([PROGRAM, "1000000", "--quiet"], stdout=subprocess.DEVNULL)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.7)
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    process.wait()
    subprocess.run(["sleep", "1"], check=True)
    assert [child for child in children if pathlib.Path(f"/proc/{child}").exists()
            and pathlib.Path(f"/proc/{child}/stat").read_text().split()[2] != "Z"] == []
