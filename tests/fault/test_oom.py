"""The kernel kills a worker because there is no memory: a control group with 300 MB of its own, and user code (the job
tests/jobs/hoard.c) that takes memory without end. The run says that it was that, tries the task again, the last time
alone on the machine, and leaves nothing. Skipped where no such group can be made, as without being root.
"""

import json
import os
import pathlib
import signal
import time

import pytest

from conftest import SANITIZED, message, run

pytestmark = [
    pytest.mark.usefixtures("trace"),
    pytest.mark.skipif(SANITIZED, reason="sanitizers take memory of their own"),
]

LIMIT_BYTES = 300 << 20
TEXT = b"".join(b"some words of line %d\n" % i for i in range(2000)) + b"a ! here\n" + b"the end\n" * 2000
MAPPED = b"".join(word + b"\t1\n" for word in TEXT.split())
ARGS = ["--workers", "3", "--memory", "64M", "--split-size", "2K", "--stats", "stats"]

# The versions of control groups: where, the limits, and the file in which oom_kill stands.
VERSIONS = [
    ("/sys/fs/cgroup/memory", ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"), "memory.oom_control"),
    ("/sys/fs/cgroup", ("memory.max", "memory.swap.max"), "memory.events"),
]


class Group:
    """A control group with little memory."""

    def __init__(self, top, limits, kills):
        self.folder, self.kills = pathlib.Path(top, f"papjuice-{os.getpid()}"), kills
        self.folder.mkdir()
        try:
            (self.folder / limits[0]).write_text(str(LIMIT_BYTES))
            if (self.folder / limits[1]).exists():
                (self.folder / limits[1]).write_text("0" if "swap" in limits[1] else str(LIMIT_BYTES))
            self.killed()
        except (OSError, StopIteration):
            self.folder.rmdir()
            raise

    def enter(self):
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def killed(self):
        lines = (self.folder / self.kills).read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))

    def remove(self):
        for _ in range(100):
            left = (self.folder / "cgroup.procs").read_text().split()
            try:
                self.folder.rmdir()
                return
            except OSError:  # the kernel has not noticed yet that the last one is gone
                for pid in left:
                    os.kill(int(pid), signal.SIGKILL)
                time.sleep(0.05)
        raise AssertionError("the control group cannot be removed")


@pytest.fixture
def group():
    made, why = None, []
    for version in VERSIONS:
        try:
            made = Group(*version)
            break
        except (OSError, StopIteration) as error:
            why.append(f"{version[0]}: {error}")
    if not made:
        print(why)
        pytest.skip(f"no control group can be made: {'; '.join(why)}")
    yield made
    made.remove()


@pytest.fixture(autouse=True)
def text(tmp_path):
    (tmp_path / "in").write_bytes(TEXT)


def failures(folder):
    return json.loads((folder / "stats").read_text())["failures"]


def test_without_end(group, job, tmp_path):
    done = run("run", job("hoard"), "in", "--log", "log", *ARGS, "--output", "out", preexec_fn=group.enter)
    line = message(done, 4)
    assert "the kernel killed it (SIGKILL) for lack of memory" in line and "attempt 4" in line
    assert b"hint: the user's code takes it" in done.stderr and not (tmp_path / "out").exists()
    assert [failure["kind"] for failure in failures(tmp_path)] == ["memory"] * 4
    assert group.killed() == 4 and not (group.folder / "cgroup.procs").read_text()
    # who had begun a task and not ended it, when memory was taken for the last time
    at_work, company = set(), []
    for what, pid in ((line[0], line[1:]) for line in (tmp_path / "log").read_text().split()):
        at_work = at_work | {pid} if what == "+" else at_work - {pid} if what == "-" else at_work
        if what == "!":
            company.append(at_work - {pid})
            at_work.discard(pid)
    assert len(company) == 4 and not company[3], company


def test_once(group, job, tmp_path):
    done = run("run", job("hoard"), "in", "--once", "once", *ARGS, preexec_fn=group.enter)
    assert done.returncode == 0 and done.stdout == MAPPED, done.stderr
    assert [failure["kind"] for failure in failures(tmp_path)] == ["memory"] and group.killed() == 1
    assert b"for lack of memory" in done.stderr
