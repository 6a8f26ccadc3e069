"""The leader dies, or is asked to end: its output is the old one, the new one or none, and whole; its workers are gone
within a second; nothing is left that the next run does not clean up.

Killed at random moments (the seed is printed; $PAPJUICE_SEED repeats it), and at each of its system calls, which strace
brings about. The same way each system call is made to fail: the run must then fail, with an exit code that is
documented, or be right.
"""

import os
import pathlib
import random
import shutil
import signal
import subprocess
import time

import pytest

from conftest import SANITIZED, command, counts, good, limit_of, lines_of, parts_of, run, start, until

SEED = int(os.environ.get("PAPJUICE_SEED", random.randrange(10**9)))
TEXT = b"".join(b"word%d of the text\n" % (i % 700) for i in range(3000))
OLD = b"what was there before\n"


@pytest.fixture(scope="module")
def long_text(words, tmp_path_factory):
    path = tmp_path_factory.mktemp("long") / "long.txt"
    path.write_bytes((words + b"\n") * 8)
    return path


class Output:
    """A form of output, and what may stand there."""

    def __init__(self, name, path, old):
        self.name, self.path, self.old = name, path, old

    def __repr__(self):
        return self.name

    def prepare(self):
        """What stands there before the run. Returns it, as read() would."""
        shutil.rmtree("place", ignore_errors=True)
        os.mkdir("place")
        if self.old and self.path.endswith("/"):
            os.mkdir(self.path)
            for name, data in (("_SUCCESS", b""), ("part-00000", OLD)):
                pathlib.Path(self.path, name).write_bytes(data)
        elif self.old:
            pathlib.Path(self.path).write_bytes(OLD)
        return self.read()

    def args(self):
        return ["-o", self.path, *(["--overwrite"] if self.old else [])]

    def read(self):
        """What stands there now; None: nothing."""
        path = pathlib.Path(self.path)
        if not path.exists():
            return None
        return parts_of(path) if path.is_dir() else path.read_bytes()


OUTPUTS = [
    Output("new file", "place/out", False),
    Output("old file", "place/out", True),
    Output("new folder", "place/out/", False),
    Output("old folder", "place/out/", True),
]


def check_after_death(output, trace, expected, before):
    """All or nothing; then a run beside it cleans up what is left."""
    trace.private_may_stay = True
    trace.check()
    now = output.read()
    assert now in (before, expected), f"neither old nor new: {str(now)[:200]}"
    names = {name for name in os.listdir("place") if not name.startswith(".papjuice-")}
    assert names <= {"out"}, names
    good("wordcount", "small", "-o", "place/next", "--overwrite")
    assert {"next"} <= set(os.listdir("place")) <= {"next", "out"}
    os.unlink("place/next")
    return now == expected


# --------------------------------------------------------------------------------------------------------------- killed


def still_running(program, seconds, share):
    """Waits for a share of the time that a run takes. Returns that time: less than was thought, if it has ended."""
    begin = time.monotonic()
    try:
        program.wait(seconds * share)
    except subprocess.TimeoutExpired:
        return seconds
    return min(seconds, time.monotonic() - begin)


def killed_runs(output, sorter, source, trace, trials):
    pathlib.Path("small").write_bytes(b"small")
    args = ["wordcount", source, "-w", "3", "--split-size", "300K", "--sorter", sorter, "-p", "7"]
    output.prepare()
    begin = time.monotonic()
    good(*args, *output.args())
    seconds, expected = time.monotonic() - begin, output.read()
    caught = 0
    for trial in range(12 * trials):
        if trial >= trials and caught > trials // 6:
            break  # on a busy machine it takes more trials to catch a leader
        dice = random.Random(f"{SEED} {output} {sorter} {trial}")
        print(f"PAPJUICE_SEED={SEED}: {output}, {sorter}, trial {trial}")
        before = output.prepare()
        with start(*args, *output.args()) as program:
            # half of the moments are near the end, where the output gets its name
            seconds = still_running(
                program, seconds, dice.uniform(0, 0.9) if trial % 2 == 0 else dice.uniform(0.85, 1.1)
            )
            program.kill()
            program.wait()
        caught += not check_after_death(output, trace, expected, before)
    assert caught > trials // 6, "hardly any leader was caught"


@pytest.mark.parametrize("sorter", ["plex", "shared", "simple"])
@pytest.mark.parametrize("output", OUTPUTS, ids=repr)
def test_killed_at_random_moments(output, sorter, long_text, trace):
    killed_runs(output, sorter, long_text, trace, 3)


@pytest.mark.slow
@pytest.mark.parametrize("sorter", ["plex", "shared", "simple"])
@pytest.mark.parametrize("output", OUTPUTS, ids=repr)
def test_killed_again_and_again(output, sorter, long_text, trace):
    killed_runs(output, sorter, long_text, trace, 60)


def test_killed_while_user_code_hangs(job, trace, tmp_path):
    """Workers that do nothing but hang go with their leader, and so does the process apart of the sorter simple."""
    (tmp_path / "in").write_bytes(b"a ! b\n" * 10)
    for options in (["-w", "2"], ["--sorter", "simple"]):
        (tmp_path / "once").unlink(missing_ok=True)
        with start("run", job("faulty"), "in", "--how", "hang", "--once", "once", "-o", "out", *options) as program:
            until((tmp_path / "once").exists)
            program.kill()
            program.wait()
        trace.check()
        assert not (tmp_path / "out").exists()


def test_a_private_folder_that_is_in_use_stays(job, trace, tmp_path):
    """A run beside one that goes on leaves its folder alone, and folders that are not PapJuice's."""
    (tmp_path / "in").write_bytes(b"a ! b\n")
    kept = [
        tmp_path / name
        for name in (".papjuice-my-notes-keep-me", ".papjuice-0123456789abcdef0", ".papjuice-", ".papjuice")
    ]
    for folder in kept:
        folder.mkdir()
        (folder / "note").write_bytes(b"mine")
    trace.private_may_stay = True
    with start("run", job("faulty"), "in", "--how", "sleep=600", "--once", "once", "-o", "slow/") as program:
        until((tmp_path / "once").exists)
        for _ in range(5):
            good("wordcount", "in", "-o", "quick", "--overwrite")
        assert program.communicate(timeout=limit_of(20))[1] == b"" and program.returncode == 0
    assert parts_of("slow") == {"part-00000": counts(b"a ! b\n")}
    assert all((folder / "note").read_bytes() == b"mine" for folder in kept)
    assert {path.name for path in trace.private_folders()} == {folder.name for folder in kept} - {".papjuice"}


# -------------------------------------------------------------------------------------------------- at each system call


@pytest.fixture(scope="module")
def strace():
    """strace, if it may trace here."""
    if SANITIZED:
        pytest.skip("the runtime of a sanitizer does not work under strace")
    path = shutil.which("strace") or pytest.skip("strace is not installed")
    probe = subprocess.run(
        [path, "-o", "/dev/null", "-e", "inject=getppid:retval=1", "true"], stderr=subprocess.PIPE, check=False
    )
    if probe.returncode:
        pytest.skip(f"strace cannot work here: {probe.stderr.decode().strip()[:100]}")
    return path


def traced(strace, what, args, follow=False, limit=60):
    """Runs papjuice with an injected fault; standard error and the exit code as they are."""
    tracing = [strace, *(["-f"] if follow else []), "-o", "/dev/null"]
    fault = ["-e", f"trace={what.partition(':')[0]}", "-e", f"inject={what}"]
    return subprocess.run(
        [*tracing, *fault, *command(*args)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=limit_of(limit),
        check=False,
    )


KILLED_AT = (
    "openat,mkdir,mkdirat,flock,linkat,renameat2,rename,unlinkat,unlink,fchmod,close,pwrite64,pread64,write,"
    "memfd_create"
)


def calls_in_order(strace, args):
    """The system calls of a run's leader, as (name, how often before)."""
    subprocess.run([strace, "-o", "calls", "-e", f"trace={KILLED_AT}", *command(*args)], check=True)
    seen, calls = {}, []
    with open("calls", encoding="utf-8", errors="replace") as file:
        for name in (line.partition("(")[0] for line in file if line[0].isalpha()):
            seen[name] = seen.get(name, 0) + 1
            calls.append((name, seen[name]))
    return calls


def kill_at_calls(output, strace, trace, choose):
    """Kills the leader as it enters a call, the n-th of its kind, for each of those that are chosen."""
    pathlib.Path("small").write_bytes(b"small")
    pathlib.Path("in").write_bytes(TEXT)
    args = ["wordcount", "in", "-w", "2", "--split-size", "20K", "-p", "3"]
    output.prepare()
    calls = calls_in_order(strace, [*args, *output.args()])
    expected, killed, ends = output.read(), 0, set()
    assert len(calls) > 30
    for name, number in choose(calls):
        before = output.prepare()
        done = traced(strace, f"{name}:signal=KILL:when={number}", [*args, *output.args()])
        if done.returncode == 0:  # not every run makes as many calls
            assert output.read() == expected
            continue
        assert done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), (name, number, done)
        killed += 1
        ends.add(check_after_death(output, trace, expected, before))
    assert killed > 3
    assert ends == {False, True}, "the leader must be caught before the commit and behind it"


@pytest.mark.parametrize("output", OUTPUTS, ids=repr)
def test_killed_at_some_system_calls(output, strace, trace):
    """Among them those at the end, where the output gets its name and the old one goes."""
    print(f"PAPJUICE_SEED={SEED}")
    kill_at_calls(output, strace, trace, lambda calls: [*random.Random(SEED).sample(calls, 4), *calls[-8:]])


@pytest.mark.slow
@pytest.mark.parametrize("output", OUTPUTS, ids=repr)
def test_killed_at_each_system_call(output, strace, trace):
    kill_at_calls(output, strace, trace, lambda calls: calls)


# What may fail, of the leader ("") or of any process ("all").
FAILURES = [
    ("pread64", "EIO", "all"),
    ("pread64", "EIO", ""),
    ("pwrite64", "ENOSPC", "all"),
    ("pwrite64", "ENOSPC", ""),
    ("write", "EIO", ""),
    ("linkat", "EIO", ""),
    ("renameat2", "ENOSPC", ""),
    ("mkdir", "EACCES", ""),
    ("mkdirat", "ENOSPC", ""),
    ("flock", "EINTR", ""),
    ("memfd_create", "EMFILE", ""),
    ("fchmod", "EPERM", ""),
    ("openat", "EMFILE", "all"),
    ("close", "EIO", "all"),
    ("fallocate", "ENOSPC", ""),
    ("socketpair", "EMFILE", ""),
    ("clone,clone3,vfork,fork", "EAGAIN", ""),
    ("pidfd_open", "EMFILE", ""),
    ("sendto", "ENOBUFS", "all"),
    ("recvfrom", "EIO", "all"),
    ("mmap", "ENOMEM", "all"),
    ("fstat,newfstatat", "EIO", ""),
    ("getrandom", "EIO", ""),
    ("poll,ppoll", "ENOMEM", ""),
]


def calls_of_the_loader(strace, call):
    """How often it is called before papjuice has anything to say about it."""
    done = subprocess.run(
        [strace, "-o", "calls", "-e", f"trace={call}", *command("--version")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0
    with open("calls", encoding="utf-8", errors="replace") as file:
        return sum("(" in line for line in file)


def fail_each_call(call, error, who, output, strace, trace, numbers):
    """The call fails at its number-th time: the run fails and leaves everything as it was, or survives and is right."""
    before_main = calls_of_the_loader(strace, call)
    pathlib.Path("in").write_bytes(TEXT)
    args = ["wordcount", "in", "-w", "2", "--split-size", "20K", "-p", "3"]
    output.prepare()
    good(*args, *output.args())
    expected, failed = output.read(), 0
    for number in numbers:
        before = output.prepare()
        done = traced(
            strace, f"{call}:error={error}:when={before_main + number}", [*args, *output.args()], follow=who == "all"
        )
        what = (call, error, who, number, done.returncode, done.stderr[-500:])
        now = output.read()
        trace.private_may_stay = call in (
            "openat",
            "fstat,newfstatat",
            "flock",
        )  # what could not be removed at the end ...
        trace.check()
        good("wordcount", "in", "-o", "place/next", "--overwrite")  # ... the next run removes
        trace.private_may_stay = False
        trace.check()
        os.unlink("place/next")
        if done.returncode == 0:
            assert now == expected, what
            continue
        failed += 1
        assert done.returncode in (3, 4, 5), what
        assert done.stderr.startswith(b"papjuice: ") and b"\nhint: " in done.stderr, what
        assert len(lines_of(done.stderr)) == 2, what
        assert now == before, what
    return failed


@pytest.mark.parametrize("call, error, who", FAILURES, ids=lambda value: value.partition(",")[0] or "leader")
def test_failing_system_calls(call, error, who, strace, trace):
    print(f"PAPJUICE_SEED={SEED}")
    numbers = random.Random(SEED).sample(range(1, 30), 3)
    for output in random.Random(SEED).sample(OUTPUTS, 2):
        fail_each_call(call, error, who, output, strace, trace, [1, *numbers])


@pytest.mark.slow
@pytest.mark.parametrize("output", OUTPUTS, ids=repr)
@pytest.mark.parametrize("call, error, who", FAILURES, ids=lambda value: value.partition(",")[0] or "leader")
def test_each_system_call_fails(call, error, who, output, strace, trace):
    fail_each_call(call, error, who, output, strace, trace, range(1, 80))


# --------------------------------------------------------------------------------------------------------- asked to end


@pytest.mark.parametrize("sorter", ["plex", "shared", "simple"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_asked_to_end_at_random_moments(number, sorter, long_text, trace):
    """Within a second, with the shell's exit code, the old output untouched and nothing left."""
    args = ["wordcount", long_text, "-w", "3", "--split-size", "300K", "--sorter", sorter]
    output = OUTPUTS[1]
    output.prepare()
    begin = time.monotonic()
    good(*args, *output.args())
    seconds, expected, ended = time.monotonic() - begin, output.read(), 0
    for trial in range(40):
        if trial >= 3 and ended:
            break
        dice = random.Random(f"{SEED} {number} {sorter} {trial}")
        print(f"PAPJUICE_SEED={SEED}: {number}, {sorter}, trial {trial}")
        output.prepare()
        with start(*args, *output.args()) as program:
            seconds = still_running(program, seconds, dice.uniform(0.1, 0.95))
            program.send_signal(number)
            asked = time.monotonic()
            errors = program.communicate(timeout=limit_of(20))[1]
            assert time.monotonic() - asked < limit_of(1)
        if program.returncode == 0:
            assert output.read() == expected
            continue
        ended += 1
        # before its handlers are there, and when it has done all, it ends by the signal itself
        assert program.returncode in (128 + number, -number)
        if program.returncode > 0:
            assert errors.startswith(b"papjuice: the run was stopped") and len(lines_of(errors)) == 2
        assert output.read() in ((OLD,) if program.returncode > 0 else (OLD, expected))
        trace.check()
    assert ended, "hardly any run was asked in time"


def blocked(name, job, tmp_path):
    """Runs that wait for something that does not come."""
    if name == "a pipe that nobody opens":
        os.mkfifo("fifo")
        return start("wordcount", "fifo", "-o", "out")
    if name.startswith("standard input"):
        return start(
            "wordcount", "-o", "out", *(["--sorter", "simple"] if "simple" in name else []), stdin=subprocess.PIPE
        )
    if name.startswith("standard output"):
        (tmp_path / "many").write_bytes(b"".join(b"word%d " % i for i in range(100_000)))
        return start("wordcount", "many", *(["--sorter", "simple"] if "simple" in name else []))
    if name == "an output that nobody reads":
        os.mkfifo("fifo")
        (tmp_path / "in").write_bytes(b"in")
        return start("wordcount", "in", "-o", "fifo")
    (tmp_path / "in").write_bytes(b"!")
    return start("run", job("faulty"), "in", "--how", "hang")


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


def test_a_run_after_all_this(trace, tmp_path):
    """The tests above have not changed what a plain run does."""
    (tmp_path / "in").write_bytes(TEXT)
    done = run("wordcount", "in")
    assert (done.returncode, done.stdout, done.stderr) == (0, counts(TEXT), b"")
