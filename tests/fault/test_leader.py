"""The leader dies: its output is the old one, the new one or none, and whole; its workers are gone within a second;
nothing is left that the next run does not clean up. Killed at each of its system calls, which strace brings about; at
random moments: test_chaos.py. The same way each system call is made to fail: the run must then fail, with an exit code
that is documented, or be right.

What is chosen at random comes from a seed that is printed; $PAPJUICE_SEED repeats it.
"""

import os
import pathlib
import random
import subprocess

import pytest

from conftest import SEED, command, counts, good, limit_of, lines_of, parts_of, run, start, until
from trials import OUTPUTS, CallKiller, Ground, find_strace

TEXT = b"".join(b"word%d of the text\n" % (i % 700) for i in range(3000))


def test_killed_while_user_code_hangs(job, trace, tmp_path):
    """Workers that do nothing but hang go with their leader, and so does the process apart of the sorter simple."""
    (tmp_path / "in").write_bytes(b"a ! b\n" * 10)
    for options in (["--workers", "2"], ["--sorter", "simple"]):
        (tmp_path / "once").unlink(missing_ok=True)
        with start("run", job("faulty"), "in", "--how", "hang", "--once", "once", "--output", "out", *options) as program:
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
    with start("run", job("faulty"), "in", "--how", "sleep=600", "--once", "once", "--output", "slow/") as program:
        until((tmp_path / "once").exists)
        for _ in range(5):
            good("wordcount", "in", "--output", "quick", "--overwrite")
        assert program.communicate(timeout=limit_of(20))[1] == b"" and program.returncode == 0
    assert parts_of("slow") == {"part-00000": counts(b"a ! b\n")}
    assert all((folder / "note").read_bytes() == b"mine" for folder in kept)
    assert {path.name for path in trace.private_folders()} == {folder.name for folder in kept} - {".papjuice"}


# -------------------------------------------------------------------------------------------------- at each system call


@pytest.fixture(scope="module")
def strace():
    path, why_not = find_strace()
    return path or pytest.skip(why_not)


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


def kill_at_calls(output, strace, folder, choose):
    """Kills the leader as it enters a call, the n-th of its kind, for each of those that are chosen."""
    killer = CallKiller(Ground(folder / "ground", None), strace, output)
    assert len(killer.calls) > 30
    assert sum(killer.kill(name, number) for name, number in choose(killer.calls)) > 3
    assert killer.ends == {False, True}, "the leader must be caught before the commit and behind it"


@pytest.mark.parametrize("output", OUTPUTS, ids=repr)
def test_killed_at_some_system_calls(output, strace, tmp_path):
    """Among them those at the end, where the output gets its name and the old one goes."""
    print(f"PAPJUICE_SEED={SEED}")
    kill_at_calls(output, strace, tmp_path, lambda calls: [*random.Random(SEED).sample(calls, 4), *calls[-8:]])


@pytest.mark.slow
@pytest.mark.parametrize("output", OUTPUTS, ids=repr)
def test_killed_at_each_system_call(output, strace, tmp_path):
    kill_at_calls(output, strace, tmp_path, lambda calls: calls)


# What may fail, of the leader ("") or of any process ("all").
FAILURES = [
    ("pread64", "EIO", "all"),
    ("pread64", "EIO", ""),
    ("pwrite64", "ENOSPC", "all"),
    ("pwrite64", "ENOSPC", ""),
    ("write", "EIO", ""),
    ("linkat", "EIO", ""),
    ("renameat,renameat2", "ENOSPC", ""),
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
    args = ["wordcount", "in", "--workers", "2", "--split-size", "20K", "--partitions", "3"]
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
        good("wordcount", "in", "--output", "place/next", "--overwrite")  # ... the next run removes
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


def test_a_run_after_all_this(trace, tmp_path):
    """The tests above have not changed what a plain run does."""
    (tmp_path / "in").write_bytes(TEXT)
    done = run("wordcount", "in")
    assert (done.returncode, done.stdout, done.stderr) == (0, counts(TEXT), b"")
