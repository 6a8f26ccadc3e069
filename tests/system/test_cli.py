"""The command line, from outside: commands, options, inputs, outputs, messages, exit codes, signals, plug-ins.

The program is found by $PAPJUICE, else in build/. Nothing here depends on the size of the machine.
"""
import collections
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAPJUICE = os.path.abspath(os.environ.get("PAPJUICE", ROOT / "build" / "papjuice"))
INCLUDE = ROOT / "include"
EXAMPLES = ROOT / "examples"
TEXT = b"to be or not to be\nthat is\tthe  question\r\nto\x00sleep \xff\xfe end"
LIMIT = 60  # seconds after which a run has hung


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    """Each test has a working folder and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))
    (tmp_path / ".cache").mkdir()
    for name in ("CC", "TMPDIR"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "in.txt").write_bytes(TEXT)


def run(*args, stdin=subprocess.DEVNULL, text=None, **more):
    """Runs papjuice; output and errors are bytes."""
    if text is not None:
        more["input"] = text
    else:
        more["stdin"] = stdin
    more.setdefault("stdout", subprocess.PIPE)
    return subprocess.run([PAPJUICE, *map(os.fspath, args)], stderr=subprocess.PIPE, timeout=LIMIT, check=False, **more)


def good(*args, **more):
    """Runs papjuice, which must succeed and have nothing to say; returns its output."""
    done = run(*args, **more)
    assert (done.returncode, done.stderr) == (0, b""), done
    return done.stdout


def counts(text):
    """What wordcount should print."""
    return b"".join(b"%s\t%d\n" % pair for pair in sorted(collections.Counter(text.split()).items()))


def message(done, code):
    """The error line of a run that failed with `code`; it must be followed by a hint, and nothing by data."""
    lines = done.stderr.decode("ascii").splitlines()
    assert done.returncode == code, done
    assert len(lines) == 2, done.stderr
    assert lines[0].startswith("papjuice: "), lines
    assert lines[1].startswith("hint: ") and len(lines[1]) > len("hint: "), lines
    return lines[0]


def hint(done):
    return done.stderr.decode("ascii").splitlines()[-1]


# ------------------------------------------------------------------------------------------------------ help, commands


def test_no_command_is_a_short_usage():
    done = run()
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"usage: papjuice ") and len(done.stderr.splitlines()) <= 5
    for word in (b"papjuice run --map", b"papjuice streaming", b"papjuice help"):
        assert word in done.stderr


@pytest.mark.parametrize("args", [["help"], ["--help"], ["-h"]])
def test_overview(args):
    text = good(*args).decode("ascii")
    for word in ("papjuice wordcount", "papjuice run", "papjuice jobs", "wordcount", "exit-codes"):
        assert word in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("topic", ["options", "inputs", "output", "exit-codes", "own-jobs", "statistics", "jobs"])
def test_topics(topic):
    text = good("help", topic).decode("ascii")
    assert len(text) > 40 and max(map(len, text.splitlines())) <= 80
    assert topic == "jobs" or topic in good("help").decode("ascii")


def test_help_of_a_job():
    short = good("wordcount", "-h").decode("ascii")
    full = good("wordcount", "--help").decode("ascii")
    assert len(short.splitlines()) <= 30 and max(map(len, (short + full).split("\n"))) <= 80
    assert len(full) > 2 * len(short)
    for text in (short, full):
        assert text.index("papjuice wordcount book.txt") < text.index("usage:")
    assert good("jobs", "wordcount") == good("help", "wordcount") == good("run", "wordcount", "-h").replace(
        b"papjuice run wordcount", b"papjuice wordcount"
    )
    # asked for among other things, even wrong ones
    assert good("wordcount", "--overwrite", "--help", "--no-such").decode("ascii") == full


def test_jobs():
    assert b"\n  wordcount " in good("jobs")


def test_version():
    header = (INCLUDE / "papjuice" / "program.h").read_text()
    version = re.search(r'#define PJ_VERSION "(.*)"', header).group(1)
    assert good("--version").decode() == good("-V").decode() == good("wordcount", "-V").decode() == f"papjuice {version}\n"


@pytest.mark.parametrize(
    "args, what, near",
    [
        (["wordcuont", "in.txt"], "papjuice: unknown command: wordcuont", "wordcount"),
        (["hlep"], "papjuice: unknown command: hlep", "help"),
        (["run", "wordcont"], "papjuice: unknown job: wordcont", "wordcount"),
        (["jobs", "words"], "papjuice: unknown job: words", "papjuice jobs"),
        (["help", "optoins"], "papjuice: unknown help topic: optoins", "options"),
        (["./job.so", "in.txt"], "papjuice: unknown command: ./job.so", "papjuice run ./job.so"),
        (["job.c", "in.txt"], "papjuice: unknown command: job.c", "papjuice run job.c"),
        (["run"], "papjuice: no job to run: JOB is missing", "papjuice run JOB"),
        (["run", "-w2", "wordcount"], "papjuice: the job comes first: -w2", "papjuice run JOB"),
        (["wordcount", "--ouput", "x"], "papjuice: unknown option: --ouput", "--output"),
        (["wordcount", "--zzzzzz", "1G"], "papjuice: unknown option: --zzzzzz", "papjuice wordcount --help"),
        (["wordcount", "--memroy", "1G"], "papjuice: unknown option: --memroy", "--memory"),
        (["wordcount", "-Z"], "papjuice: unknown option: -Z", "papjuice wordcount --help"),
        (["help", "completions", "tcsh"], "papjuice: no completions for this shell: tcsh", "bash"),
        (["\x1b[31mred"], "papjuice: unknown command: \\x1b[31mred", "papjuice help"),
    ],
)
def test_unknown_names_have_a_near_one(args, what, near):
    done = run(*args)
    assert message(done, 2) == what
    assert near in hint(done)
    assert done.stdout == b""


@pytest.mark.parametrize(
    "args, what",
    [
        (["-w", "0"], "--workers: 0"),
        (["-w", "2y"], "--workers: 2y"),
        (["-j", "-1"], "--workers: -1"),
        (["--workers=1025"], "--workers: 1025"),
        (["-p", "0"], "--partitions: 0"),
        (["-p", "1.5"], "--partitions: 1.5"),
        (["--split-size", "0"], "--split-size: 0"),
        (["--split-size", "12Q"], "--split-size: 12Q"),
        (["--split-size", "-5M"], "--split-size: -5M"),
        (["--split-size", "99999999999T"], "--split-size: 99999999999T"),
        (["--split-size="], "--split-size: (empty)"),
        (["--sorter", "bubble"], "--sorter: bubble"),
        (["--memory", "0"], "--memory: 0"),
        (["-m", "much"], "--memory: much"),
        (["-m", "0%"], "--memory: 0%"),
        (["-m", "101%"], "--memory: 101%"),
        (["-m-1G"], "--memory: -1G"),
        (["--memory", "4194305T"], "--memory: 4194305T"),  # more than 2^62
        (["--temp="], "--temp: (empty)"),
        (["--attempts", "none"], "--attempts: none"),
        (["--task-timeout", "-1"], "--task-timeout: -1"),
        (["--progress", "yes"], "--progress: yes"),
    ],
)
def test_bad_values_change_nothing(args, what, tmp_path):
    (tmp_path / "out").write_bytes(b"old")
    done = run("wordcount", "in.txt", "-o", "out", "--overwrite", *args)
    assert message(done, 2) == "papjuice: bad value for " + what
    assert (tmp_path / "out").read_bytes() == b"old"


# ------------------------------------------------------------------------------------------------------ inputs, outputs


@pytest.mark.parametrize(
    "args",
    [
        ["in.txt"],
        ["-w2", "in.txt", "-p", "3"],
        ["in.txt", "--workers=1", "--split-size", "1K"],
        ["-qj2x", "in.txt"],
        ["-m", "1G", "in.txt"],
        ["--memory=50%", "in.txt"],
        ["--sorter", "simple", "in.txt"],
        ["--sorter=shared", "in.txt"],
        ["--sorter=total", "in.txt"],
        ["-o", "-", "--", "in.txt"],
    ],
)
def test_words_are_counted(args):
    assert good("wordcount", *args) == counts(TEXT)


def test_run_knows_built_in_jobs():
    assert good("run", "wordcount", "in.txt") == counts(TEXT)


def test_standard_input():
    assert good("wordcount", text=TEXT) == good("wordcount", "-", text=TEXT) == counts(TEXT)
    assert good("wordcount", text=b"") == b""
    with open("in.txt", "rb") as file:
        assert good("wordcount", stdin=file) == counts(TEXT)
    assert good("wordcount", "in.txt", "-", text=b" to to ") == counts(TEXT + b" to to ")


def test_a_dash_in_front_is_no_option_behind_two(tmp_path):
    (tmp_path / "-w9").write_bytes(b"one one")
    assert good("wordcount", "--", "-w9") == b"one\t2\n"
    assert message(run("wordcount", "-w9", "missing"), 3)


def test_outputs(tmp_path):
    good("wordcount", "in.txt", "-o", "file")
    assert (tmp_path / "file").read_bytes() == counts(TEXT)
    good("wordcount", "in.txt", "-o", "folder/", "-p", "3")
    names = sorted(os.listdir(tmp_path / "folder"))
    assert names == ["_SUCCESS", "part-00000", "part-00001", "part-00002"]
    parts = b"".join((tmp_path / "folder" / name).read_bytes() for name in names)
    assert sorted(parts.splitlines()) == sorted(counts(TEXT).splitlines())
    # nothing else is left
    assert sorted(os.listdir(tmp_path)) == [".cache", "file", "folder", "in.txt"]


@pytest.mark.parametrize("output", ["out", "out/"])
def test_an_output_that_exists_is_refused(tmp_path, output):
    good("wordcount", "in.txt", "-o", output)
    (tmp_path / "in.txt").write_bytes(b"new")
    done = run("wordcount", "in.txt", "-o", output)
    assert re.match(r"papjuice: .*exists: .*out", message(done, 4))
    assert "--overwrite" in hint(done)
    good("wordcount", "in.txt", "-o", output, "--overwrite")
    path = tmp_path / "out"
    if path.is_dir():
        assert b"".join(p.read_bytes() for p in sorted(path.glob("part-*"))) == b"new\t1\n"
    else:
        assert path.read_bytes() == b"new\t1\n"


def test_a_missing_input(tmp_path):
    done = run("wordcount", "in.txt", "no\x1bsuch\n.txt", "-o", "out")
    assert message(done, 3).endswith(r": no\x1bsuch\x0a.txt: No such file or directory")
    assert not (tmp_path / "out").exists()


def test_no_input_and_a_terminal():
    leader, follower = pty.openpty()
    try:
        done = run("wordcount", stdin=follower)
    finally:
        os.close(leader)
        os.close(follower)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"usage: papjuice wordcount ")


def closing(fd):
    """For preexec_fn: the program starts without this descriptor."""
    return lambda: os.close(fd)


@pytest.mark.parametrize("args", [["wordcount", "in.txt"], ["--version"], ["help"], ["wordcount", "-h"]])
def test_standard_output_that_cannot_be_written(args):
    done = run(*args, stdout=None, preexec_fn=closing(1))
    assert message(done, 4).endswith("Bad file descriptor")
    with open("/dev/full", "wb") as full:
        assert message(run(*args, stdout=full), 4).endswith("No space left on device")


def test_closed_standard_descriptors(tmp_path):
    done = run("wordcount", stdin=None, preexec_fn=closing(0))
    assert message(done, 3).endswith("Bad file descriptor")
    # with standard error closed messages must not end in the first file that is opened
    done = run("wordcount", "in.txt", "-o", "out", preexec_fn=closing(2))
    assert done.returncode == 0 and (tmp_path / "out").read_bytes() == counts(TEXT)
    done = run("wordcount", "in.txt", "missing", "-o", "out2", preexec_fn=closing(2))
    assert done.returncode == 3 and not (tmp_path / "out2").exists()


def test_a_reader_that_goes_away(tmp_path):
    (tmp_path / "many").write_bytes(b"".join(b"word%d " % i for i in range(200000)))
    for args in (["wordcount", "many"], ["wordcount", "many", "--sorter", "simple"], ["help", "man"]):
        with subprocess.Popen([PAPJUICE, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
            program.stdout.read(1)
            program.stdout.close()
            errors = program.stderr.read()
            code = program.wait(LIMIT)
        if args[0] == "wordcount":
            assert (code, errors) == (128 + signal.SIGPIPE, b"")
        else:  # short enough for the pipe, or killed by it
            assert code in (0, -signal.SIGPIPE) and errors == b""


# ------------------------------------------------------------------------------------------------------- statistics


def test_statistics(tmp_path):
    good("wordcount", "in.txt", "-o", "out", "-w2", "-p3", "--stats", "stats.json")
    stats = json.loads((tmp_path / "stats.json").read_text())
    assert (stats["job"], stats["status"], stats["exit_code"], stats["error"]) == ("wordcount", "PJ_OK", 0, None)
    counters = stats["counters"]
    assert counters["inputs"] == 1 and counters["input_bytes"] == len(TEXT)
    assert counters["records"] == TEXT.count(b"\n") + 1
    assert counters["map_pairs"] == len(TEXT.split())
    assert counters["distinct_keys"] == counters["output_pairs"] == len(set(TEXT.split()))
    assert counters["output_bytes"] == (tmp_path / "out").stat().st_size
    assert counters["failures"] == 0 and stats["failures"] == []
    assert stats["partitions"] == 3 and stats["options"]["partitions"] == 3
    assert stats["options"]["workers"] == 2 and 1 <= stats["workers"] <= 2
    assert stats["options"]["inputs"] == ["in.txt"] and stats["options"]["output"] == "out"
    seconds = stats["seconds"]
    assert 0 < seconds["total"] < LIMIT and sum(seconds.values()) <= 2.5 * seconds["total"]
    assert stats["memory"]["peak_bytes"] > 100000
    assert {"memory_bytes", "spilled_bytes", "merge_passes"} < stats["memory"].keys()


def statistics(*args):
    """Those of a run that succeeds."""
    good(*args, "--overwrite", "--stats", "stats.json")
    with open("stats.json", "rb") as file:
        return json.load(file)


def test_statistics_tell_the_split_size_that_was_used(tmp_path):
    (tmp_path / "text").write_bytes(b"some words of a line\n" * 30000)
    stats = statistics("wordcount", "text", "-o", "out")
    assert stats["counters"]["map_tasks"] == 3
    assert stats["options"]["split_bytes"] == stats["plan"]["split_bytes"] == 256 << 10
    stats = statistics("wordcount", "text", "-o", "out", "--split-size", "100K")
    assert stats["options"]["split_bytes"] == stats["plan"]["split_bytes"] == 100 << 10
    assert stats["counters"]["map_tasks"] == 7
    help_text = good("help", "options").decode()
    assert "a 64th of the input" in " ".join(help_text.split())


def test_plan_tells_what_depends_on_memory(tmp_path):
    (tmp_path / "lines").write_bytes(b"".join(b"%07d\n" % (i * 7919 % 2700001) for i in range(2700000)))
    plans, outputs = [], []
    for memory in "40M", "400M":
        plans.append(statistics("sort", "lines", "--memory", memory, "-o", "out")["plan"])
        outputs.append((tmp_path / "out").read_bytes())
    assert outputs[0] == outputs[1]
    assert [plan.pop("in_place") for plan in plans] == [False, True]
    assert [plan.pop("ranges") for plan in plans] == [5, 20]
    assert plans[0] == plans[1] and plans[0]["part_files"] == 1


def test_statistics_of_a_failure(tmp_path):
    done = run("wordcount", b"no\xffne", "-o", "out", "--stats", "stats.json")
    assert done.returncode == 3
    stats = json.loads((tmp_path / "stats.json").read_text("utf-8"))
    assert stats["exit_code"] == 3 and stats["status"] == "PJ_ERR_INPUT"
    assert stats["error"]["file"] == "no\\xffne" and stats["error"]["errno"] == 2
    assert "No such file" in stats["error"]["message"]
    assert stats["plan"] is stats["options"]["split_bytes"] is None


def test_statistics_go_to_standard_error():
    done = run("wordcount", "in.txt", "--stats", "-", "-q")
    assert done.stdout == counts(TEXT)
    assert json.loads(done.stderr)["counters"]["map_pairs"] == len(TEXT.split())


def test_statistics_that_cannot_be_written(tmp_path):
    done = run("wordcount", "in.txt", "-o", "out", "--stats", "none/stats.json")
    assert message(done, 4).endswith("none/stats.json: No such file or directory")
    assert not (tmp_path / "out").exists()  # told before the work, not after
    assert "replace an input" in message(run("wordcount", "in.txt", "--stats", "in.txt"), 2)
    assert (tmp_path / "in.txt").read_bytes() == TEXT
    assert "replace the output" in message(run("wordcount", "in.txt", "-o", "x", "--stats", "x"), 2)
    done = run("wordcount", "in.txt", "-o", "out", "--stats", "/dev/full")
    assert message(done, 4).endswith("/dev/full: No space left on device")
    assert (tmp_path / "out").read_bytes() == counts(TEXT)


# ----------------------------------------------------------------------------------------------- jobs of the user's own

HEAD = "#define _GNU_SOURCE\n#include <papjuice.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n"

# Takes its time over each line, and makes a file when it has begun.
SLOW = HEAD + """
static pj_status slow(pj_task *task, pj_bytes line, void *arg)
{
	(void)arg;
	fclose(fopen("begun", "w"));
	usleep(100000);
	pj_emit_i64(task, line, 1);
	return PJ_OK;
}
PJ_PROGRAM(.name = "slow", .mapper = {.line = slow}, .reducer = {.aggregate = &pj_sum_i64})
"""

STUCK = SLOW.replace("usleep(100000)", "for (;;) pause()")

CRASHING = HEAD + """
static pj_status crash(pj_task *task, pj_bytes text, void *arg)
{
	(void)task; (void)text; (void)arg;
	abort();
}
PJ_PROGRAM(.name = "crash", .mapper = {.text = crash}, .reducer = {.aggregate = &pj_sum_i64})
"""

# Notes down the processes it is loaded in.
NOSY = HEAD + """
__attribute__((constructor)) static void note(void)
{
	FILE *file = fopen("pids", "a");
	fprintf(file, "%d %d\\n", (int)getpid(), (int)getppid());
	fclose(file);
	printf("noise on standard output\\n");
	fflush(stdout);
}
static pj_status map(pj_task *task, pj_bytes text, void *arg)
{
	(void)arg;
	pj_bytes word;
	while (pj_next_word(task, &text, &word))
		pj_emit_i64(task, word, 1);
	return PJ_OK;
}
PJ_PROGRAM(.name = "nosy", .mapper = {.text = map}, .reducer = {.aggregate = &pj_sum_i64})
"""


def build(source, target):
    """A plug-in, as a user builds it."""
    compiler = shutil.which("cc")
    assert compiler, "no C compiler"
    subprocess.run(
        [compiler, "-O2", "-shared", "-fPIC", "-I", INCLUDE, source, "-o", target], check=True, timeout=LIMIT
    )


def test_a_source_is_compiled_and_says_so(tmp_path):
    shutil.copy(EXAMPLES / "wordcount.c", tmp_path / "my job.c")
    done = run("run", "my job.c", "in.txt")
    assert (done.returncode, done.stderr) == (0, b"papjuice: note: compiled: my job.c\n")
    assert done.stdout == counts(TEXT)
    # the second time it is there already
    assert good("run", "my job.c", "in.txt") == counts(TEXT)
    assert good("run", "./my job.c", text=TEXT) == counts(TEXT)
    assert good("run", "my job.c", "--sorter", "simple", "in.txt") == counts(TEXT)
    with open("my job.c", "a") as file:
        file.write("/* changed */\n")
    assert good("run", "my job.c", "-q", "in.txt") == counts(TEXT)


def test_a_plug_in(tmp_path):
    build(EXAMPLES / "wordcount.c", tmp_path / "words.so")
    for sorter in ("plex", "simple", "shared"):
        assert good("run", "./words.so", "in.txt", "--sorter", sorter) == counts(TEXT)
    assert good("run", "words.so", "in.txt", "-w3", "-p5", "--split-size=1K") == counts(TEXT)
    assert b"papjuice run ./words.so book.txt" in good("run", "./words.so", "-h")


@pytest.mark.parametrize("sorter", ["plex", "shared", "simple"])
def test_user_code_is_never_in_the_leader(tmp_path, sorter):
    (tmp_path / "nosy.c").write_text(NOSY)
    build("nosy.c", "nosy.so")
    with subprocess.Popen(
        [PAPJUICE, "run", "./nosy.so", "in.txt", "--sorter", sorter], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as program:
        output = program.communicate(timeout=LIMIT)[0]
    assert program.returncode == 0
    assert output == counts(TEXT)
    pids = [line.split() for line in (tmp_path / "pids").read_text().splitlines()]
    assert len(pids) >= 2  # the probe and a worker
    assert all(int(pid) != program.pid for pid, _ in pids)
    assert all(int(parent) == program.pid for _, parent in pids)


def test_jobs_that_cannot_be_opened(tmp_path):
    assert message(run("run", "./none.so", "in.txt"), 3) == (
        "papjuice: cannot open the job: ./none.so: No such file or directory"
    )
    (tmp_path / "text.so").write_bytes(b"no object")
    assert message(run("run", "text.so", "in.txt"), 5).startswith("papjuice: cannot load the plug-in: text.so: ")
    (tmp_path / "lib.c").write_text("int x;\n")
    done = run("run", "lib.c", "in.txt", "-q")
    assert message(done, 5) == "papjuice: not a plug-in: lib.c: it has no pj_plugin_job()"
    (tmp_path / "boom.c").write_text("#include <stdlib.h>\n__attribute__((constructor)) void f(void) { abort(); }\n")
    done = run("run", "boom.c", "in.txt")
    assert message(done, 5) == (
        "papjuice: the plug-in crashed while it was loaded: boom.c: signal 6 (SIGABRT)"
    )


def test_a_source_that_does_not_compile(tmp_path):
    (tmp_path / "bad.c").write_text("#include <papjuice.h>\nint x = ;\n")
    done = run("run", "bad.c", "in.txt")
    lines = done.stderr.decode("utf-8").splitlines()
    assert done.returncode == 5 and done.stdout == b""
    assert lines[-1].startswith("hint: ")
    assert lines[-2].startswith("papjuice: the source does not compile: bad.c: ") and "bad.c:2:9: error: " in lines[-2]
    assert len(lines) >= 4  # what the compiler said stands above it
    done = run("run", "bad.c", "in.txt", env={**os.environ, "CC": "no-such-compiler"})
    assert message(done, 5).startswith("papjuice: there is no C compiler: no-such-compiler")


def test_a_crash_in_the_sequential_reference(tmp_path):
    (tmp_path / "crash.c").write_text(CRASHING)
    build("crash.c", "crash.so")
    done = run("run", "./crash.so", "in.txt", "--sorter", "simple", "-o", "out", "--stats", "s.json")
    assert message(done, 5) == "papjuice: the process that ran the job was killed: signal 6 (SIGABRT)"
    assert not (tmp_path / "out").exists()
    stats = json.loads((tmp_path / "s.json").read_text())
    assert (stats["exit_code"], stats["error"]["signal"]) == (5, 6)


def test_a_crash_in_a_worker(tmp_path):
    (tmp_path / "crash.c").write_text(CRASHING)
    build("crash.c", "crash.so")
    done = run("run", "./crash.so", "in.txt", "--attempts", "2", "-o", "out", "--stats", "s.json")
    line = message(done, 5)
    assert "SIGABRT" in line and "in.txt" in line and "task 0" in line
    assert not (tmp_path / "out").exists()
    stats = json.loads((tmp_path / "s.json").read_text())
    assert stats["counters"]["failures"] >= 2 and "SIGABRT" in stats["failures"][0]["reason"]


def test_options_of_a_job(tmp_path):
    job = EXAMPLES / "matching_lines.c"
    good("run", job, "-h", "-q")
    assert b"-e, --word WORD" in good("run", job, "-h")
    (tmp_path / "log").write_bytes(b"an error\nall well\nno errors\n")
    for args in (["--word", "error"], ["-e", "error"], ["-eerror"], ["--word=error"]):
        for sorter in ("plex", "simple"):
            assert good("run", job, "log", *args, "--sorter", sorter) == b"an error\nno errors\n"
    done = run("run", job, "log")
    assert message(done, 2).endswith(": --word is missing")
    assert "unknown option: --wrod" in message(run("run", job, "--wrod", "x"), 2)
    assert "the nearest is --word" in hint(run("run", job, "--wrod", "x"))


CONFIGURED = HEAD + """
static pj_status map(pj_task *task, pj_bytes text, void *arg)
{
	(void)arg;
	pj_bytes word;
	while (pj_next_word(task, &text, &word))
		pj_emit_i64(task, word, 1);
	return PJ_OK;
}
static pj_status configure(pj_job *job, const char *const *values, pj_error *error)
{
	if (values[0])
		job->output.columns = PJ_KEY_ONLY;
	if (strcmp(values[1], "sum") == 0)
		return PJ_OK;
	if (strcmp(values[1], "max") != 0) {
		snprintf(error->reason, sizeof error->reason, "--by %s: sum or max", values[1]);
		return PJ_ERR_USAGE;
	}
	job->reducer.aggregate = &pj_max_i64;
	return PJ_OK;
}
static const pj_job_option options[] = {
	{"only-keys", 'o', NULL, NULL, "no values"}, {"by", 'b', "NAME", "sum", "sum or max"}, {NULL}};
PJ_PROGRAM(.name = "configured", .mapper = {.text = map}, .reducer = {.aggregate = &pj_sum_i64}, .options = options,
	   .configure = configure)
"""


def as_program(source, target):
    """The same source as a program of its own, linked with the library that is tested."""
    library = pathlib.Path(PAPJUICE).parent / "libpapjuice.so.0"
    if not library.exists():
        pytest.skip("libpapjuice.so.0 is not beside the program")
    subprocess.run(
        [shutil.which("cc"), "-O2", "-I", INCLUDE, source, "-o", target, library, f"-Wl,-rpath,{library.parent}"],
        check=True,
        timeout=LIMIT,
    )
    tried = subprocess.run([f"./{target}", "--version"], stderr=subprocess.PIPE, timeout=LIMIT, check=False)
    if b"runtime does not come first" in tried.stderr:
        pytest.skip("the library is built with a sanitizer, which a program without it cannot load")


def test_one_source_is_plug_in_source_and_program(tmp_path):
    """Options, and what configure() makes of them, are the same in all forms and with all sorters."""
    (tmp_path / "job.c").write_text(CONFIGURED)
    build("job.c", "job.so")
    as_program("job.c", "job")
    keys, ones = (re.sub(rb"\t\d+", by, counts(TEXT)) for by in (b"", b"\t1"))
    forms = [[PAPJUICE, "run", "./job.so"], [PAPJUICE, "run", "job.c", "-q"], ["./job"]]
    for form in forms:
        for sorter in ("plex", "simple", "shared"):
            for args, expected in (([], counts(TEXT)), (["-o"], keys), (["-b", "max"], ones), (["-obmax"], keys)):
                done = subprocess.run(
                    [*form, "in.txt", "--sorter", sorter, *args],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    timeout=LIMIT,
                    check=False,
                )
                assert (done.returncode, done.stdout, done.stderr) == (0, expected, b""), (form, sorter, args)
        done = subprocess.run([*form, "in.txt", "--by=min"], stderr=subprocess.PIPE, timeout=LIMIT, check=False)
        assert done.returncode == 2 and b": --by min: sum or max\nhint: " in done.stderr
    # a program speaks under its own name
    done = subprocess.run(["./job", "--ouput", "x"], stderr=subprocess.PIPE, timeout=LIMIT, check=False)
    assert done.returncode == 2
    assert done.stderr == b"job: unknown option: --ouput\nhint: the nearest is --output; all of them: job --help\n"
    version = subprocess.run(["./job", "--version"], stdout=subprocess.PIPE, timeout=LIMIT, check=True).stdout
    assert version == b"job (" + good("--version").strip() + b")\n"


def test_examples(tmp_path):
    """Each does what its comment says; those that are programs are tested where they are built."""
    (tmp_path / "n.tsv").write_bytes(b"a\t1\nb\t5\na\t4\nb\t-9223372036854775808\nb\t-9223372036854775808\n")
    assert good("run", EXAMPLES / "mean.c", "-q", "n.tsv") == b"a\t2.5\nb\t-6.148914691236517e+18\n"
    assert message(run("run", EXAMPLES / "mean.c", text=b"a\t1\nb\tx\n"), 3)
    log = b'h - - [d] "GET / HTTP/1.0" 200 23\nx "G" 404 1\nx "G" 200 1\n'
    assert good("run", EXAMPLES / "status_codes.c", "-q", text=log) == b"200\t2\n404\t1\n"
    assert "access log" in message(run("run", EXAMPLES / "status_codes.c", text=b"no log\n"), 3)
    for name, text in (("t1", b"a b a\n"), ("t2", b"c b\n")):
        (tmp_path / name).write_bytes(text)
    assert good("run", EXAMPLES / "inverted_index.c", "-q", "t1", "t2") == b"a\tt1\nb\tt1 t2\nc\tt2\n"
    weather = b"1950\t0\n1950\t22\n1949\t111\n1950\t-11\n1949\t78\n1950\t9\n"
    for sorter in ("plex", "simple"):
        expected = b"1949\t111\n1949\t78\n1950\t22\n1950\t9\n1950\t0\n"
        assert good("run", EXAMPLES / "warmest.c", "-q", "--sorter", sorter, text=weather) == expected
    assert "a whole number" in message(run("run", EXAMPLES / "warmest.c", text=b"1950 22\n"), 3)
    embed = pathlib.Path(PAPJUICE).parent / "examples" / "embed"
    if not embed.exists():
        pytest.skip("examples/embed is not built beside the program")
    output = subprocess.run([embed], stdout=subprocess.PIPE, timeout=LIMIT, check=True).stdout.decode()
    assert output.startswith("Hadoop occurs 2 times\nJava occurs 4 times\n") and "\n6 words in " in output


# ------------------------------------------------------------------------------------------------- signals and progress


def start(*args, stderr=subprocess.PIPE, **more):
    """Starts papjuice and waits until the job has begun its work."""
    if os.path.exists("begun"):
        os.unlink("begun")
    program = subprocess.Popen(
        [PAPJUICE, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, **more
    )
    end = time.monotonic() + LIMIT
    while not os.path.exists("begun") and program.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    return program


def slow_job(tmp_path, source=SLOW, lines=100):
    (tmp_path / "slow.c").write_text(source)
    build("slow.c", "slow.so")
    (tmp_path / "lines").write_bytes(b"".join(b"line %d\n" % i for i in range(lines)))


@pytest.mark.parametrize("sorter", ["plex", "simple"])
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_ends_the_run_cleanly(tmp_path, sorter, sent):
    slow_job(tmp_path, lines=30 if sorter == "plex" else 10)
    (tmp_path / "out").write_bytes(b"old")
    args = ["run", "./slow.so", "lines", "-o", "out", "--overwrite", "--sorter", sorter, "--stats", "s.json"]
    program = start(*args)
    began = time.monotonic()
    program.send_signal(sent)
    output, errors = program.communicate(timeout=LIMIT)
    # in `simple` nobody looks before the piece of text ends, which takes its time: the process is killed
    assert time.monotonic() - began < 1.5
    assert program.returncode == 128 + sent and output == b""
    lines = errors.decode().splitlines()
    assert len(lines) == 2 and sent.name in lines[0] and lines[1].startswith("hint: ")
    assert (tmp_path / "out").read_bytes() == b"old"
    assert json.loads((tmp_path / "s.json").read_text())["exit_code"] == 128 + sent
    assert not [name for name in os.listdir(tmp_path) if name not in FILES_OF_SLOW]


FILES_OF_SLOW = {".cache", "begun", "in.txt", "lines", "out", "s.json", "slow.c", "slow.so"}


def test_a_second_signal_ends_it_at_once(tmp_path):
    slow_job(tmp_path, STUCK)
    program = start("run", "./slow.so", "lines", "--sorter", "simple")
    program.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert program.poll() is None  # user code is stuck: it cannot stop by itself, and is not killed yet
    program.send_signal(signal.SIGINT)
    program.communicate(timeout=10)
    assert program.returncode == 128 + signal.SIGINT


def test_an_ignored_signal_stays_ignored(tmp_path):
    slow_job(tmp_path, lines=15)

    def ignore():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    program = start("run", "./slow.so", "lines", preexec_fn=ignore)
    for sent in (signal.SIGINT, signal.SIGHUP, signal.SIGINT):
        program.send_signal(sent)
        time.sleep(0.15)
    output, errors = program.communicate(timeout=LIMIT)
    assert (program.returncode, errors) == (0, b"") and len(output.splitlines()) == 15


def test_progress_keeps_away_from_files(tmp_path):
    slow_job(tmp_path, lines=8)
    assert len(good("run", "./slow.so", "lines").splitlines()) == 8
    done = run("run", "./slow.so", "lines", "--progress", "always")
    lines = done.stderr.decode("ascii").splitlines()
    assert done.returncode == 0 and lines and all(re.match(r"(map|merge|reduce) .* workers?$", line) for line in lines)
    assert "\r" not in done.stderr.decode() and "\x1b" not in done.stderr.decode()
    assert good("run", "./slow.so", "lines", "--progress", "always", "-q") != b""


def on_terminal(args, **environment):
    """Runs papjuice with standard error on a terminal; returns its exit code and what was drawn."""
    leader, follower = pty.openpty()
    env = {**os.environ, "TERM": "xterm", **environment}
    program = subprocess.Popen(
        [PAPJUICE, *args], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=follower, env=env
    )
    os.close(follower)
    drawn = b""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        if not select.select([leader], [], [], 1)[0]:
            continue
        try:
            some = os.read(leader, 65536)
        except OSError:  # the other side is closed
            break
        drawn += some
    os.close(leader)
    return program.wait(LIMIT), drawn.decode("ascii")


def test_progress_on_a_terminal(tmp_path):
    slow_job(tmp_path, lines=15)
    code, drawn = on_terminal(["run", "./slow.so", "lines", "-w1"])
    assert code == 0
    shown = [line for line in drawn.split("\r") if line.strip()]
    assert 2 <= len(shown) <= 25  # of 1.5 seconds, from the first half second on, at most ten a second
    for line in shown[:-1]:
        assert re.match(r"(map|merge|reduce) .*\x1b\[K$", line), line
    assert "worker" in shown[0]
    assert drawn.endswith("\r\x1b[K")  # and it is gone
    slow_job(tmp_path, lines=7)
    assert on_terminal(["run", "./slow.so", "lines", "-w1", "-q"]) == (0, "")
    assert on_terminal(["run", "./slow.so", "lines", "-w1", "--progress=never"]) == (0, "")
    assert on_terminal(["run", "./slow.so", "lines", "-w1"], TERM="dumb") == (0, "")


# ----------------------------------------------------------------------------------------------- manual and completions


def tool(name):
    path = shutil.which(name)
    if not path:
        pytest.skip(f"{name} is not installed")
    return path


def test_the_manual_is_sound():
    page = good("help", "man")
    assert page.startswith(b".TH PAPJUICE 1 ")
    for name in re.findall(rb"--([a-z-]+)", good("wordcount", "-h")):
        assert b"\\-\\-" + name.replace(b"-", b"\\-") in page
    done = subprocess.run(
        [tool("groff"), "-man", "-ww", "-Tascii", "-P-cbou"],
        input=page,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=LIMIT,
        check=True,
    )
    assert done.stderr == b"" and b"EXIT CODES" in done.stdout and b"--task-timeout SEC" in done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_parse(shell, tmp_path):
    (tmp_path / "script").write_bytes(good("help", "completions", shell))
    subprocess.run([tool(shell), "-n", "script"], check=True, timeout=LIMIT)


@pytest.mark.parametrize(
    "words, offered",
    [
        (["papjuice", "wor"], ["wordcount"]),
        (["papjuice", "r"], ["run"]),
        (["papjuice", "wordcount", "--sp"], ["--split-size"]),
        (["papjuice", "wordcount", "--mem"], ["--memory"]),
        (["papjuice", "wordcount", "--sorter", ""], ["simple", "plex", "shared", "total"]),
        (["papjuice", "wordcount", "--sorter", "=", "s"], ["simple", "shared"]),
        (["papjuice", "wordcount", "--progress", "=", ""], ["auto", "always", "never"]),
        (["papjuice", "wordcount", "--temp", "fol"], ["folder"]),
        (["papjuice", "wordcount", "--zz"], []),
        (["papjuice", "wordcount", "fil"], []),  # left to bash itself
    ],
)
def test_bash_completes(words, offered, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "script").write_bytes(good("help", "completions", "bash"))
    script = 'source ./script; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _papjuice; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(
        [tool("bash"), "-c", script, "bash", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=LIMIT,
        check=True,
    )
    assert done.stderr == b"" and done.stdout.decode().split() == offered


def test_the_program_is_the_one_that_is_tested():
    assert os.access(PAPJUICE, os.X_OK), f"{PAPJUICE} is not built"


if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))


@pytest.mark.parametrize("exists, one, two", [(exists, one, "same") for exists in (False, True)
                                              for one in ("same", "./same", "sub/../same")] + [(True, "link", "same")])
@pytest.mark.parametrize("pair", [("--stats", "--output"), ("--stats", "--bad-records"), ("--output", "--stats")])
def test_no_file_is_written_twice(pair, exists, one, two, tmp_path):
    (tmp_path / "in.txt").write_bytes(b"a\n")
    (tmp_path / "sub").mkdir()
    if exists:
        (tmp_path / "same").write_bytes(b"old")
        (tmp_path / "link").symlink_to("same")
    done = run("wordcount", "in.txt", pair[0], one, pair[1], two, "--overwrite")
    assert "the statistics would replace" in message(done, 2) and b"with --stats" in done.stderr
    assert not exists or (tmp_path / "same").read_bytes() == b"old"
    assert good("wordcount", "in.txt", "--stats", "/dev/null", "--output", "/dev/null") == b""


def test_statistics_are_no_part_of_the_output(tmp_path):
    (tmp_path / "in.txt").write_bytes(b"a\n")
    good("wordcount", "in.txt", "-o", "parts/", "-p", "1")
    for stats in ("parts/part-00000", "parts/new.json", "new/x.json", "new"):
        output = stats.split("/", maxsplit=1)[0] + "/"
        done = run("wordcount", "in.txt", "-o", output, "--overwrite", "--stats", stats)
        assert done.returncode in (2, 4) and b"statistics" in done.stderr, (stats, done)
        assert not (tmp_path / "new").exists()
    assert (tmp_path / "parts/part-00000").read_bytes() == b"a\t1\n"
    (tmp_path / "link").symlink_to("nothing")
    assert "symbolic link" in message(run("wordcount", "in.txt", "--stats", "link", "-o", "nothing"), 4)
    assert not (tmp_path / "nothing").exists()
