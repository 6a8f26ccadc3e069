"""Trials: a run of the program is disturbed, and then it is looked at what came out and what is left.

Used by the tests of this folder in their short forms, and by `make chaos` (tests/fault/chaos.py) in the long one. A
trial that went wrong raises Wrong, Hang or Left. Which run, which moment and which worker comes from the dice that it
is given, so a seed repeats it, as far as the machine's timing does.
"""

import collections
import gzip
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from conftest import (  # noqa: E402 pylint: disable=wrong-import-position
    LIMIT,
    MARK,
    PAPJUICE,
    SANITIZED,
    Trace,
    bgzf,
    children_of,
    in_members,
    limit_of,
    parts_of,
    send,
    without_leak_check,
)

FAULTY_PROGRAM = pathlib.Path(os.environ.get("PAPJUICE_BUILD", "build")).resolve() / "tests/fault/papjuice-faults"
OLD = b"what was there before\n"
WORKERS = (1, 2, 4, 13)
PLENTY, LITTLE = "plenty", "little"


class Broken(AssertionError):
    """A promise was broken in a trial."""


class Wrong(Broken):
    """Other bytes than they must be, or a failure where there should be none."""


class Hang(Broken):
    """It took longer than any run takes."""


class Left(Broken):
    """A process, a file or a name was left."""


# ------------------------------------------------------------------------------------------------------- what is run


class Inputs:
    """A folder with `in`: lines of a key, a number and words, many of them rare, so that tables become full, about 4 MB;
    `other`: some of them; `bad`: with one that has no number; `members`, `blocks` and `frames`: `in` compressed as gzip,
    so that it can be cut, and zstd. And what is known of runs on them."""

    def __init__(self, folder, lines=100_000, seed=7):
        dice, made = random.Random(seed), []
        for _ in range(lines):
            words = b" ".join(b"w%x" % int(dice.paretovariate(0.35) % 3_000_000) for _ in range(6))
            number = b"%d.%d" % (dice.randrange(-500, 500), dice.randrange(999))
            made.append(b"key%d %s %s\n" % (dice.randrange(60_000), number, words))
        self.folder = folder
        folder.mkdir()
        (folder / "in").write_bytes(b"".join(made))
        (folder / "members").write_bytes(in_members(gzip.compress)(b"".join(made)))
        (folder / "blocks").write_bytes(bgzf(b"".join(made)))
        (folder / "frames").write_bytes(in_members(self.zstd)(b"".join(made)))
        (folder / "other").write_bytes(b"".join(dice.sample(made, lines // 4)))
        made[lines // 2] = b"key none\n"
        (folder / "bad").write_bytes(b"".join(made))
        self.results, self.seconds = {}, {}

    @staticmethod
    def zstd(data):
        """Compressed by the program itself, which passes each line on as it is."""
        args = [PAPJUICE, "grep", "", "--compress", "zst", "--workers", "1"]
        return subprocess.run(args, input=data, stdout=subprocess.PIPE, check=bool(data)).stdout


class Job:
    """A job with its options. What is `kept` in memory knows no other memory than plenty; `pipe`: its input is one."""

    def __init__(self, name, *args, inputs=("in",), output="place/out", kept=False, pipe=False):
        self.name, self.args, self.inputs, self.output, self.kept, self.pipe = name, args, inputs, output, kept, pipe
        self.packed = not {"members", "blocks", "frames"}.isdisjoint(inputs)

    def __repr__(self):
        return self.name


BOTH = ("in", "other")
BY_SPACE = ("--sep", " ")
PROGRAMS = ("--map", "tr ' ' '\\t'", "--reduce", "cut -f 1,2,3")
JOBS = [
    Job("wordcount", "wordcount"),
    Job("wordcount --by-count", "wordcount", "--by-count"),
    Job("wordcount, a stream", "wordcount", pipe=True),
    Job("wordcount to a folder", "wordcount", "--partitions", "7", output="place/out/"),
    Job("wordcount, shared", "wordcount", "--sorter", "shared", kept=True),
    Job("stats", "stats", *BY_SPACE),
    Job("stats, total, to a folder", "stats", *BY_SPACE, "--sorter", "total", "--partitions", "5", output="place/out/"),
    Job("sort, ranges, to a folder", "sort", "--parts", "ranges", "--partitions", "4", output="place/out/"),
    Job("stats, shared", "stats", *BY_SPACE, "--sorter", "shared", kept=True),
    Job("sort", "sort"),
    Job("sort -k2,2nr -k1,1", "sort", "-k2,2nr", "-k1,1"),
    Job("sort -u -k1,1", "sort", "-u", "-k1,1"),
    Job("sort to a folder", "sort", "--partitions", "5", output="place/out/"),
    Job("sort, shared", "sort", "--sorter", "shared", kept=True),
    Job("distinct", "distinct"),
    Job("distinct --count --key 1", "distinct", "--count", "--key", "1", *BY_SPACE),
    Job("grep -v", "grep", "-v", "w[13579] "),
    Job("grep -n", "grep", "-n", "w[13579] "),
    Job("grep -c to a folder", "grep", "-c", "w[13579] ", inputs=BOTH, output="place/out/"),
    Job("index", "index"),
    Job("join", "join", "-a", "1", inputs=BOTH),
    Job("join to a folder", "join", "--partitions", "3", inputs=BOTH, output="place/out/"),
    Job("wordcount, gz members to zst", "wordcount", "--compress", "zst", inputs=("members",)),
    Job("sort, zst frames to gz", "sort", "--compress", "gz", inputs=("frames",)),
    Job("grep -n, bgzf", "grep", "-n", "w[13579] ", inputs=("blocks",)),
    Job("wordcount, gz members, shared", "wordcount", "--sorter", "shared", inputs=("members",), kept=True),
    Job("programs", "run", *PROGRAMS),
    Job("programs, zst frames", "run", *PROGRAMS, inputs=("frames",)),
]


class Kind:
    """A job in some memory with some workers. Thirteen workers need so much memory that nothing would go to disk: where
    they have little, the input is taken four times."""

    def __init__(self, job, memory, workers):
        self.job, self.memory, self.workers = job, memory, workers
        self.times = 4 if memory == LITTLE and workers > 4 and len(job.inputs) == 1 and not job.pipe else 1

    def __repr__(self):
        return f"{self.job}, {self.memory} memory, {self.workers} workers"

    def args(self, inputs):
        codecs = 6 + 3 * self.workers if self.job.packed else 0
        memory = f"{4 + 6 * self.workers + codecs}M" if self.memory == LITTLE else "1G"
        return [*self.job.args, *([] if self.job.pipe else inputs * self.times), "--quiet", "--workers", str(self.workers),
                "--memory", memory]


KINDS = [
    Kind(job, memory, workers)
    for job in JOBS
    for memory in (PLENTY, LITTLE)
    for workers in WORKERS
    if not (job.kept and memory == LITTLE)
]


class Output:
    """A form of output, and what may stand there."""

    def __init__(self, name, path, old):
        self.name, self.path, self.old = name, path, old

    def __repr__(self):
        return self.name

    def prepare(self, folder="."):
        """What stands there before the run. Returns it, as read() would."""
        place, path = pathlib.Path(folder, "place"), pathlib.Path(folder, self.path)
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        if self.old and self.path.endswith("/"):
            path.mkdir()
            for name, data in (("_SUCCESS", b""), ("part-00000", OLD)):
                (path / name).write_bytes(data)
        elif self.old:
            path.write_bytes(OLD)
        return self.read(folder)

    def args(self):
        return ["--output", self.path, *(["--overwrite"] if self.old else [])]

    def read(self, folder="."):
        """What stands there now; None: nothing."""
        path = pathlib.Path(folder, self.path)
        if not path.exists():
            return None
        return parts_of(path) if path.is_dir() else path.read_bytes()


OUTPUTS = [
    Output("new file", "place/out", False),
    Output("old file", "place/out", True),
    Output("new folder", "place/out/", False),
    Output("old folder", "place/out/", True),
]


def outputs_of(job):
    return [output for output in OUTPUTS if output.path == job.output]


# ------------------------------------------------------------------------------------------------- where it is run


class Ground:
    """A folder in which trials run, one after another, and what may be found there when one is over."""

    def __init__(self, folder, inputs):
        self.folder, self.inputs = folder, inputs
        self.temp = self.folder / "temp"
        self.temp.mkdir(parents=True)
        (self.folder / "place").mkdir()
        self.program, self.limit = PAPJUICE, LIMIT
        self.trace = Trace(self.folder)
        self.env = {**without_leak_check(), MARK: self.trace.mark, "TMPDIR": str(self.temp)}

    def start(self, args, before=(), program=None, fault="", **how):
        """Starts the program, or another one; `before` are words before it: strace and its options."""
        how.setdefault("stdin", subprocess.DEVNULL)
        how.setdefault("stdout", subprocess.DEVNULL)
        env = {**self.env, "PAPJUICE_FAULT": fault}
        line = [*before, program or self.program, *args]
        return subprocess.Popen(line, cwd=self.folder, env=env, stderr=subprocess.PIPE, **how)

    def start_kind(self, kind, output, *more, **how):
        """Starts a run of the kind; a pipe is fed by `cat`, which ends with it."""
        inputs = [str(self.inputs.folder / name) for name in kind.job.inputs]
        args = [*kind.args(inputs), *output.args(), *more]
        if not kind.job.pipe:
            return self.start(args, **how)
        with subprocess.Popen(["cat", *inputs], env=self.env, stdout=subprocess.PIPE) as cat:
            return self.start(args, stdin=cat.stdout, **how)

    def finish(self, program):
        """Waits for the program's end, and returns what it said."""
        try:
            return program.communicate(timeout=limit_of(self.limit))[1]
        except subprocess.TimeoutExpired:
            program.kill()
            program.communicate()
            raise Hang(f"not finished after {self.limit} s") from None

    def clear(self):
        """Removes what a trial that went wrong may have left, so that the next one is not blamed for it."""
        for pid in self.trace.processes():
            send(pid, signal.SIGKILL)
        for folder in (self.temp, self.folder / "place"):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()

    def expected(self, kind):
        """What the kind's run must give: what the reference gives undisturbed."""
        key = kind.job, kind.times
        if key not in self.inputs.results:
            output, begin = outputs_of(kind.job)[0], time.monotonic()
            output.prepare(self.folder)
            program = self.start_kind(kind, output, "--engine", "reference", "--memory", "1G")
            errors = self.finish(program)
            if program.returncode:
                raise Wrong(f"{kind} fails undisturbed: {errors.decode(errors='replace')[-500:]}")
            self.check()
            self.inputs.results[key] = output.read(self.folder)
            self.took(kind, time.monotonic() - begin)
        return self.inputs.results[key]

    def expected_seconds(self, kind):
        """How long such a run takes, as far as is known."""
        return self.inputs.seconds[kind.job, kind.times]

    def took(self, kind, seconds):
        """The least that was seen: what others do on the machine, and what has to be done again, is left out."""
        key = kind.job, kind.times
        self.inputs.seconds[key] = min(seconds, self.inputs.seconds.get(key, seconds))

    def check(self, private_may_stay=False):
        """No process, no shared memory, no file may be left of a run that has ended."""
        self.trace.private_may_stay = private_may_stay
        try:
            self.trace.check()
        except AssertionError as error:
            raise Left(str(error)) from None
        left = os.listdir(self.temp) + [name for name in os.listdir(self.folder / "place")
                                        if name != "out" and not (private_may_stay and name.startswith(".papjuice-"))]
        if left:
            raise Left(f"files were left: {left}")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return Inputs(tmp_path_factory.mktemp("inputs") / "in")


@pytest.fixture
def ground(inputs, tmp_path):
    return Ground(tmp_path / "ground", inputs)


def say(errors):
    return errors.decode("utf-8", "replace")[-500:]


# -------------------------------------------------------------------------------------------------- workers are killed


def kill_some(program, seconds, dice):
    """Kills one to five random workers of a run that takes some seconds, at times that are exponentially distributed.
    Returns how many."""
    times, killed, at = dice.randint(1, 5), 0, time.monotonic()
    for _ in range(times):
        at += dice.expovariate((times + 1) / seconds)
        time.sleep(max(0, at - time.monotonic()))
        if program.poll() is not None:
            break
        if workers := children_of(program.pid):
            killed += send(dice.choice(workers), signal.SIGKILL)
    return killed


def kill_workers(ground, kind, dice):
    """A run of the kind, whose workers are killed: the same bytes. Returns how many were."""
    expected, output = ground.expected(kind), dice.choice(outputs_of(kind.job))
    output.prepare(ground.folder)
    begin = time.monotonic()
    program = ground.start_kind(kind, output, "--attempts", "99")
    killed = kill_some(program, ground.expected_seconds(kind), dice)
    errors = ground.finish(program)
    ground.took(kind, time.monotonic() - begin)
    ground.check()
    if program.returncode:
        raise Wrong(f"exit code {program.returncode}: {say(errors)}")
    if output.read(ground.folder) != expected:
        raise Wrong("other bytes")
    return killed


# ------------------------------------------------------------------------------------------------ the leader is killed


def check_after_death(ground, output, expected, before):
    """All or nothing; then a run beside it cleans up what is left. True: the new output is there."""
    ground.check(private_may_stay=True)
    now = output.read(ground.folder)
    if now not in (before, expected):
        raise Wrong(f"neither the old output nor the new one: {str(now)[:200]}")
    (ground.folder / "small").write_bytes(b"small")
    beside = ground.start(["wordcount", "small", "--output", "place/next"])
    errors = ground.finish(beside)
    if beside.returncode or errors:
        raise Wrong(f"the next run: exit code {beside.returncode}: {say(errors)}")
    os.unlink(ground.folder / "place" / "next")
    ground.check()
    return now == expected


def kill_leader(ground, kind, dice):
    """A run of the kind, whose leader is killed at a random moment, with equal chances early on and near the end, where
    the output gets its name. Returns 1 if it was caught."""
    expected, output = ground.expected(kind), dice.choice(outputs_of(kind.job))
    reference = ["--engine", "reference", "--memory", "1G"] if dice.random() < 0.1 else []
    before, seconds = output.prepare(ground.folder), ground.expected_seconds(kind)
    begin = time.monotonic()
    program = ground.start_kind(kind, output, *reference)
    moment = dice.uniform(0, 0.9) if dice.random() < 0.5 else dice.uniform(0.8, 1.1)
    try:
        program.wait(seconds * moment)
    except subprocess.TimeoutExpired:
        program.kill()
    errors = ground.finish(program)
    caught = program.returncode == -signal.SIGKILL
    if not caught:
        ground.took(kind, time.monotonic() - begin)
        if program.returncode:
            raise Wrong(f"exit code {program.returncode}: {say(errors)}")
    if not check_after_death(ground, output, expected, before) and not caught:
        raise Wrong("a run that ended well left the old output")
    return int(caught)


# Calls that touch files, or the memory files of runs.
KILLED_AT = (
    "openat,mkdir,mkdirat,flock,linkat,renameat,renameat2,rename,unlinkat,unlink,fchmod,close,pwrite64,pread64,write,"
    "memfd_create"
)


def find_strace():
    """(strace, ""), if it may trace here; else (None, why not)."""
    if SANITIZED:
        return None, "the runtime of a sanitizer does not work under strace"
    path = shutil.which("strace")
    if not path:
        return None, "strace is not installed"
    probe = subprocess.run(
        [path, "--output", "/dev/null", "-e", "inject=getppid:retval=1", "true"], stderr=subprocess.PIPE, check=False
    )
    return (None, f"strace cannot work here: {say(probe.stderr).strip()[:100]}") if probe.returncode else (path, "")


class CallKiller:
    """Kills the leader of a small job as it enters a system call that touches files, the n-th of its kind. `calls` are
    those of an undisturbed run; `ends`: whether the new output was there when leaders died."""

    TEXT = b"".join(b"word%d of the text\n" % (i % 700) for i in range(3000))
    ARGS = ["wordcount", "small-text", "--workers", "2", "--split-size", "20K", "--partitions", "3"]

    def __init__(self, ground, strace, output):
        self.ground, self.strace, self.output = ground, strace, output
        (ground.folder / "small-text").write_bytes(self.TEXT)
        output.prepare(ground.folder)
        program = self.start("--output", "calls", "-e", f"trace={KILLED_AT}")
        errors = ground.finish(program)
        assert program.returncode == 0, errors
        self.expected, self.calls, self.ends, seen = output.read(ground.folder), [], set(), {}
        with open(ground.folder / "calls", encoding="utf-8", errors="replace") as file:
            for name in (line.partition("(")[0] for line in file if line[0].isalpha()):
                seen[name] = seen.get(name, 0) + 1
                self.calls.append((name, seen[name]))

    def start(self, *options):
        return self.ground.start([*self.ARGS, *self.output.args()], before=[self.strace, *options])

    def kill(self, name, number):
        """Returns 1; 0: the run made no such call, as not every run makes as many."""
        before = self.output.prepare(self.ground.folder)
        fault = f"inject={name}:signal=KILL:when={number}"
        program = self.start("--output", "/dev/null", "-e", f"trace={name}", "-e", fault)
        errors = self.ground.finish(program)
        if program.returncode not in (0, -signal.SIGKILL, 128 + signal.SIGKILL):
            raise Wrong(f"exit code {program.returncode}: {say(errors)}")
        done = check_after_death(self.ground, self.output, self.expected, before)
        if not program.returncode and not done:
            raise Wrong("a run that ended well left the old output")
        self.ends |= {done} if program.returncode else set()
        return int(program.returncode != 0)


# --------------------------------------------------------------------------------------------------- the crash matrix


# Ways to end: what tests/fault/fault.c is told, and what an error must say of it.
WAYS = {
    "SIGSEGV": (str(int(signal.SIGSEGV)), "(SIGSEGV)"),
    "SIGABRT": (str(int(signal.SIGABRT)), "(SIGABRT)"),
    "SIGKILL": (str(int(signal.SIGKILL)), "(SIGKILL)"),
    "SIGBUS": (str(int(signal.SIGBUS)), "(SIGBUS)"),
    "exit 0": ("exit=0", "exit code 0"),
    "exit 1": ("exit=1", "exit code 1"),
    "SIGSTOP": (str(int(signal.SIGSTOP)), "no progress"),
    "loop": ("loop", "no progress"),
}
# Stages of a task's life, as they are named in src/; "ack": the leader has just been told; "exit": a task has failed,
# the leader has been told so, and the worker ends.
STAGES = ("start", "read", "map", "combine", "spill", "publish", "merge", "reduce", "output", "ack", "exit")


def stages_of(ground, kind):
    """{stage: how often the workers of a run pass it}"""
    output, notes = outputs_of(kind.job)[0], ground.folder / "notes"
    output.prepare(ground.folder)
    program = ground.start_kind(kind, output, program=FAULTY_PROGRAM, fault=f"* note 1 always {notes}")
    errors = ground.finish(program)
    if program.returncode or output.read(ground.folder) != ground.expected(kind):
        raise Wrong(f"{kind} with fault points, which do nothing: {say(errors)}")
    passed = collections.Counter(notes.read_text().split())
    notes.unlink()
    return passed


def strike(ground, kind, stage, way, number=1, often="once"):
    """A run in which a worker ends in the given way when it passes the stage for the number-th time. Once: the bytes
    are right; always: the run fails, says why, and leaves nothing. Returns whether any worker passed it so often."""
    output, notes = outputs_of(kind.job)[-1], ground.folder / "notes"
    expected, before = ground.expected(kind), output.prepare(ground.folder)
    notes.unlink(missing_ok=True)
    told, words = WAYS[way]
    slow = ["--task-timeout", "0.5"] if words == "no progress" else []
    program = ground.start_kind(kind, output, "--attempts", "9" if often == "once" else "2", *slow,
                                program=FAULTY_PROGRAM, fault=f"{stage} {told} {number} {often} {notes}")
    errors = ground.finish(program)
    struck = notes.exists()
    notes.unlink(missing_ok=True)
    ground.check()
    now, code = output.read(ground.folder), program.returncode
    outcome = f"{kind}, {stage}, {way}, {often}: exit code {code}: {say(errors)}"
    if often == "once" or not struck:
        good = code == 0 and now == expected
    else:
        good = code == 5 and now == before and words in outcome and "\nhint: " in outcome
        # the next attempt has less to do and more memory for it: it may not come there, and may come to an end
        good = good or (stage in ("ack", "spill") and code == 0 and now == expected)
    if not good:
        raise Wrong(outcome)
    return struck


def strike_at_exit(ground, way, often="once"):
    """A task fails for good, and its worker ends in the given way instead of exiting: the error is the task's."""
    output, notes = OUTPUTS[1], ground.folder / "notes"
    before = output.prepare(ground.folder)
    program = ground.start(
        ["stats", *BY_SPACE, str(ground.inputs.folder / "bad"), "--workers", "2", "--task-timeout", "0.5", *output.args()],
        program=FAULTY_PROGRAM, fault=f"exit {WAYS[way][0]} 1 {often} {notes}")
    errors = ground.finish(program)
    struck = notes.exists()
    notes.unlink(missing_ok=True)
    ground.check()
    if program.returncode != 3 or b"none" not in errors or output.read(ground.folder) != before:
        raise Wrong(f"exit, {way}, {often}: exit code {program.returncode}: {say(errors)}")
    return struck


def kinds_named(names, memory=LITTLE, workers=2):
    """The kinds of these jobs; what is kept in memory has plenty."""
    return [kind for kind in KINDS for name in names.split("; ")
            if (kind.job.name, kind.workers) == (name, workers) and (kind.memory == memory or kind.job.kept)]


MATRIX = {
    "start": "wordcount",
    "read": "grep -n",
    "map": "sort to a folder",
    "combine": "stats",
    "spill": "sort; wordcount to a folder",
    "publish": "wordcount, a stream",
    "merge": "join; stats, shared",
    "reduce": "distinct --count --key 1",
    "output": "grep -v; sort",
    "ack": "wordcount --by-count",
    "exit": "stats",
}


def strike_cell(ground, stage, way, often, dice):
    """A cell of the matrix: raises what went wrong. Returns in how many runs workers were struck."""
    if stage == "exit":
        if not strike_at_exit(ground, way, often):
            raise Wrong(f"{stage}, {way}: no worker came there")
        return 1
    kinds = kinds_named(MATRIX[stage])
    for kind in kinds:
        # always: from the first time on, as the second attempt has less to do
        numbers = [dice.randint(2, 9), 1] if often == "once" else [1]
        if not any(strike(ground, kind, stage, way, number, often) for number in numbers):
            raise Wrong(f"{kind}, {stage}, {way}: no worker came there")
    return len(kinds)
