"""The memory budget: the same bytes under every budget, nothing beyond it as seen from outside, and clear ends."""

import filecmp
import functools
import itertools
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import time

import pytest

from conftest import SANITIZED, children_of, command, good, limit_of, message, run, start, until

pytestmark = pytest.mark.usefixtures("trace")

MIB = 1 << 20
WORKERS = ("1", "2", "3", "8")
BUDGETS = ("least", "64M", "1G", None)
PARTITIONS = ("1", "7", "64", "1000")
# each pair of values once; the slow test has all
SAMPLE = [(w, m, PARTITIONS[(i + j) % 4]) for i, w in enumerate(WORKERS) for j, m in enumerate(BUDGETS)]
REST = [each for each in itertools.product(WORKERS, BUDGETS, PARTITIONS) if each not in SAMPLE]
FEW = [("8", "least", "7"), ("3", "64M", "1000")]
JOBS = {
    "wordcount": (["wordcount"], "rows"),
    "by count": (["wordcount", "--by-count"], "rows"),
    "stats": (["stats", "--key", "1", "--value", "2"], "rows"),
    "sort": (["sort"], "rows"),
    "distinct": (["distinct", "--count"], "rows"),
    "index": (["index"], "rows"),
    "general": (["run", "memory_fold"], "rows"),
    "pairs": (["run", "memory_pairs"], "rows"),
}


@pytest.fixture(scope="session")
def rows(tmp_path_factory):
    """Half a million rows, 10 MB, of 200,000 keys and a number."""
    dice = random.Random(11)
    keys = ["%x" % dice.getrandbits(dice.choice((20, 40, 60, 80))) for _ in range(200_000)]
    path = tmp_path_factory.mktemp("rows") / "rows.txt"
    with open(path, "w") as file:
        for _ in range(50):
            numbers = dice.choices(range(100_000), k=10_000)
            file.write("".join(map("%s\t%d.25\n".__mod__, zip(dice.choices(keys, k=10_000), numbers))))
    return path


@pytest.fixture
def arguments(job):
    """A job's own arguments, its plug-in compiled."""
    return lambda name: [job(arg) if arg.startswith("memory_") else arg for arg in JOBS[name][0]]


def least(workers):
    """The smallest budget that works, as the program itself names it."""
    done = run("wordcount", "--workers", workers, "--memory", "1M", os.devnull)
    message(done, 4)
    return re.search(rb"--memory (\d+M) is the least", done.stderr).group(1).decode()


def memory_of_run(path):
    return json.loads(pathlib.Path(path).read_text())["memory"]


def same_under(name, arguments, rows, ways):
    args = [*arguments(name), rows]
    wanted = good(*args, "--sorter", "simple")
    spilled = 0
    for workers, budget, partitions in ways:
        memory = ["--memory", least(workers) if budget == "least" else budget] if budget else []
        got = good(*args, "--workers", workers, *memory, "--partitions", partitions, "--stats", "s.json")
        assert got == wanted, (name, workers, budget, partitions)
        spilled += memory_of_run("s.json")["spilled_bytes"]
    assert spilled, "the least memory of few workers is less than the input"
    return wanted


@pytest.mark.parametrize("name", JOBS)
def test_same_bytes(name, arguments, rows):
    wanted = same_under(name, arguments, rows, SAMPLE if name == "wordcount" else FEW)
    c = {**os.environ, "LC_ALL": "C"}
    if name == "sort":
        assert wanted == subprocess.run(["sort", rows], env=c, stdout=subprocess.PIPE, check=True).stdout
    if name == "distinct":
        counted = subprocess.run(f"sort {rows} | uniq -c", env=c, shell=True, stdout=subprocess.PIPE, check=True).stdout
        ours = (line.rpartition(b"\t") for line in wanted.splitlines())
        assert [b"%7d %s" % (int(count), line) for line, _, count in ours] == counted.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("name", JOBS)
def test_same_bytes_in_full(name, arguments, rows):
    same_under(name, arguments, rows, SAMPLE + REST)


# ------------------------------------------------------------------------------------------------ seen from outside


def family(pid):
    return [pid, *itertools.chain.from_iterable(map(family, children_of(pid)))]


def memory_now(pid):
    """Bytes of a run's processes that are theirs alone, and of their memory files."""
    private, files = 0, {}
    for member in family(pid):
        try:
            rollup = pathlib.Path(f"/proc/{member}/smaps_rollup").read_text()
            private += sum(map(int, re.findall(r"^Pss_(?:Anon|Shmem): +(\d+) kB", rollup, re.MULTILINE))) * 1024
            for name in os.listdir(f"/proc/{member}/fd"):
                path = f"/proc/{member}/fd/{name}"
                if os.readlink(path).startswith("/memfd:"):
                    found = os.stat(path)
                    files[found.st_ino] = found.st_blocks * 512
        except OSError:
            continue  # gone meanwhile
    return private + sum(files.values())


def peak_of(*args, **more):
    """Runs papjuice and samples its memory. Returns the peak, and what --stats tells."""
    program = start(*args, "--stats", "s.json", stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **more)
    peak, deadline = 0, time.monotonic() + limit_of(60)
    while program.poll() is None:
        assert time.monotonic() < deadline
        peak = max(peak, memory_now(program.pid))
        time.sleep(0.02)
    assert program.returncode == 0, args
    return peak, memory_of_run("s.json")


PEAKS = [("wordcount", "least"), ("stats", "least"), ("sort", "least"), ("general", "32M"), ("index", "32M")]
MORE_PEAKS = [each for each in itertools.product(JOBS, ("least", "20M", "32M", "64M")) if each not in PEAKS]


@pytest.mark.skipif(SANITIZED, reason="sanitizers need memory of their own")
@pytest.mark.parametrize("name, budget", [*PEAKS, *(pytest.param(*each, marks=pytest.mark.slow) for each in MORE_PEAKS)])
def test_peak(name, budget, arguments, rows):
    for workers, *output in (("2", "--output", "out"), ("1", "--output", "folder/", "--partitions", "7")):
        memory = least(workers) if budget == "least" else budget
        if int(memory[:-1]) < int(least(workers)[:-1]):
            continue
        peak, told = peak_of(*arguments(name), rows, "--workers", workers, "--memory", memory, "--overwrite", *output)
        assert peak <= int(memory[:-1]) * MIB, (workers, output)
        assert told["peak_bytes"] <= told["memory_bytes"]
        assert told["spilled_bytes"] or (name, budget) not in PEAKS


@pytest.fixture(scope="session")
def long_lines(tmp_path_factory):
    """Files of one and of three lines of nearly a quarter of 32 MiB among short ones."""
    paths = [tmp_path_factory.mktemp("long") / name for name in ("one", "three")]
    for path, count in zip(paths, (1, 3)):
        write_long(path, count)
    return paths


def write_long(path, count):
    with open(path, "wb") as file:
        for number in range(count):
            file.write(b"".join(b"short\t%d.5\n" % i for i in range(50_000)))
            file.write((b"%d" % number) + b"abcdefg" * (8 * MIB // 7 - 1) + b"\t\n")
        file.write(b"".join(b"short\t%d.5\n" % i for i in range(50_000)))


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("distinct", "index", "pairs")]


@pytest.mark.parametrize("name", ["wordcount", "sort", "general", *SLOW])
def test_long_lines(name, arguments, long_lines):
    """Lines of a quarter of the budget have room; less memory is refused, and what is named is enough."""
    one, three = long_lines
    args = [*arguments(name), three]
    wanted = good(*args, "--sorter", "simple")
    for workers in ("1", "2"):
        assert good(*args, "--workers", workers, "--memory", "32M", "--output", "out", "--overwrite") == b""
        assert pathlib.Path("out").read_bytes() == wanted
        if not SANITIZED and name in ("wordcount", "sort", "distinct"):
            assert peak_of(name, one, "--workers", workers, "--memory", "32M", "--output", "out", "--overwrite")[0] <= 32 * MIB
        done = run(*args, "--workers", workers, "--memory", "31M")
        assert "a line is too long for the memory budget" in message(done, 4)
        assert b"--memory 32M is enough" in done.stderr


@pytest.mark.skipif(SANITIZED, reason="sanitizers need memory of their own")
@pytest.mark.parametrize("args", [["-n"], ["-r"], ["-k1,1", "-s"]])
def test_long_keys(args, tmp_path):
    """Several long keys in one bucket, which differ in their last bytes."""
    with open("in", "wb") as file:
        for number in (3, 1, 2, 0):
            file.write(b"7" * (8 * MIB - MIB // 8) + b"%d\n" % number)
            file.write(b"".join(b"%d short\n" % i for i in range(number, 20_000, 4)))
    wanted = good("sort", *args, "in", "--sorter", "simple")
    for workers in ("1", "2"):
        peak, _ = peak_of("sort", *args, "in", "--workers", workers, "--memory", "32M", "--output", "out", "--overwrite")
        assert pathlib.Path("out").read_bytes() == wanted
        assert peak <= 32 * MIB, workers


@pytest.fixture(scope="session")
def crowd(tmp_path_factory):
    """Files of four lines of nearly a quarter of the budget among so many short ones that all workers are at work."""
    dice = random.Random(12)
    short = [b"%d short\n" % dice.getrandbits(30) for _ in range(250_000)]

    def of(megabytes):
        path = tmp_path_factory.mktemp("crowd") / "lines"
        with open(path, "wb") as file:
            for number in (3, 1, 2, 0):
                file.write(b"7" * (megabytes * MIB // 4 - MIB // 8) + b"%d\n" % number)
                file.write(b"".join(short[number::4] * (megabytes // 8)))
        return path

    return functools.cache(of)


@pytest.mark.skipif(SANITIZED, reason="sanitizers need memory of their own")
@pytest.mark.parametrize("workers, megabytes", [("2", 32), pytest.param("2", 64, marks=pytest.mark.slow),
                                                pytest.param("8", 64, marks=pytest.mark.slow)])
@pytest.mark.parametrize("args", [["-n"], ["-r"], ["-k1,1", "-s"]])
def test_long_keys_in_a_crowd(args, workers, megabytes, crowd):
    """While one worker deals with a long line, the others do not use their shares."""
    path = crowd(megabytes)
    wanted = good("sort", *args, path, "--sorter", "simple")
    peak, _ = peak_of("sort", *args, path, "--workers", workers, "--memory", f"{megabytes}M", "--output", "out", "--overwrite")
    assert pathlib.Path("out").read_bytes() == wanted
    assert peak <= megabytes * MIB


def test_frequent_word(tmp_path):
    """All places of a word, as one value, are most of the budget and more than a worker's share."""
    with open("in", "wb") as file:
        file.write(b"".join(b"the %d\n" % (i % 1000) for i in range(500_000)))
    wanted = good("index", "in", "--sorter", "simple")
    peak, _ = peak_of("index", "in", "--workers", "1", "--memory", "10M", "--output", "out")
    assert pathlib.Path("out").read_bytes() == wanted
    assert SANITIZED or peak <= 10 * MIB
    assert good("index", "in", "--workers", "2", "--memory", "16M") == wanted


def test_streams(rows):
    """Standard input of more bytes than the budget."""
    for args in (["sort"], ["wordcount"], ["grep", "-n", "7"]):
        wanted = good(*args, "-", "--sorter", "simple", stdin=open(rows))
        for memory in ("16M", "64M"):
            with subprocess.Popen(["cat", rows], stdout=subprocess.PIPE) as cat:
                peak, _ = peak_of(*args, "--memory", memory, "--workers", "2", "--output", "out", "--overwrite", stdin=cat.stdout)
            assert pathlib.Path("out").read_bytes() == wanted
            assert SANITIZED or peak <= int(memory[:-1]) * MIB


def test_large_output(rows):
    """An output of more bytes than the budget: from there on it goes past the page cache, in whole blocks."""
    text = pathlib.Path(rows).read_bytes()
    with open("in", "wb") as file:
        for i in range(13):
            file.write(text.replace(b"\t", b"\t%d\t" % i))
    good("sort", "in", "--workers", "2", "--output", "wanted")
    for workers, memory in (("1", "64M"), ("2", "112M")):
        peak, _ = peak_of("sort", "in", "--workers", workers, "--memory", memory, "--output", "out", "--overwrite")
        assert filecmp.cmp("out", "wanted", shallow=False)
        assert os.path.getsize("out") > int(memory[:-1]) * MIB
        assert SANITIZED or peak <= int(memory[:-1]) * MIB


HARD = {
    "one key": lambda i: b"key\t%d\n" % i,
    "all the same": lambda i: b"key\t1\n",
    "all distinct": lambda i: b"%016x\t%d\n" % (i * 0x9E3779B97F4A7C15 % 2**64, i),
    "sorted": lambda i: b"%09d\t1\n" % i,
    "reversed": lambda i: b"%09d\t1\n" % (10**9 - i),
}


@pytest.mark.parametrize("kind", ["one key", "all the same", "reversed",
                                  *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("all distinct", "sorted"))])
def test_hard_keys(kind, arguments, tmp_path):
    """More than memory of each: no failure, and the same bytes."""
    with open("in", "wb") as file:
        file.write(b"".join(map(HARD[kind], range(300_000))))
    for name in ("wordcount", "sort", "stats", "distinct", "general", "pairs"):
        args = [*arguments(name), "in"]
        wanted = good(*args, "--sorter", "simple")
        assert good(*args, "--memory", "16M", "--workers", "2") == wanted, name
    wanted = good("wordcount", "--top", "1000", "--sorter", "simple", "in")
    assert good("wordcount", "--top", "1000", "--memory", "16M", "--workers", "2", "in") == wanted


def test_ten_thousand_inputs(tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(10_000):
        (folder / f"{number:05}").write_bytes(b"%d %d\n" % (number, number % 100) * 60)
    for args in (["index"], ["sort"]):
        wanted = good(*args, folder, "--sorter", "simple")
        peak, _ = peak_of(*args, folder, "--memory", "20M", "--workers", "2", "--output", "out", "--overwrite")
        assert pathlib.Path("out").read_bytes() == wanted
        assert SANITIZED or peak <= 20 * MIB


# --------------------------------------------------------------------------------------------------------- not enough


def test_least(rows):
    """The number that is named works, and not a MiB less."""
    wanted = good("wordcount", rows, "--workers", "2")
    for workers in map(str, range(1, 9)):
        memory = least(workers)
        assert good("wordcount", rows, "--workers", workers, "--memory", memory) == wanted
        message(run("wordcount", rows, "--workers", workers, "--memory", f"{int(memory[:-1]) - 1}M"), 4)


def test_long_lists(rows):
    """Many buckets and many tasks count, too: less than what their lists need is refused, and what is named is enough."""
    wanted = good("wordcount", rows, "--sorter", "simple")
    for more in (["--partitions", "16000"], ["--split-size", "1K"]):
        done = run("wordcount", rows, "--workers", "2", "--memory", "16M", *more)
        assert "too small" in message(done, 4) and b"long lists" in done.stderr
        memory = re.search(rb"--memory (\d+M) is the least", done.stderr).group(1).decode()
        peak, _ = peak_of("wordcount", rows, "--workers", "2", "--memory", memory, *more, "--output", "out", "--overwrite")
        assert pathlib.Path("out").read_bytes() == wanted
        assert SANITIZED or peak <= int(memory[:-1]) * MIB


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a few megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3M", "none", folder], check=False).returncode:
        pytest.skip("a file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_full_disk(small_disk, rows):
    """What is needed is told, as an estimate: a second one is enough even where the output is much more than its pairs."""
    pathlib.Path("out").write_text("old")
    for name in (["sort"], ["wordcount"], ["index"], ["wordcount", "--by-count"]):
        args = [*name, rows, "--memory", "16M", "--workers", "2", "--output", "out", "--overwrite", "--temp", small_disk]
        had = 3
        for tries in range(1, 4):
            subprocess.run(["mount", "-o", f"remount,size={had}M", small_disk], check=True)
            done = run(*args)
            if tries > 1 and not done.returncode:
                break
            told = message(done, 4)
            assert str(small_disk) in told and "No space left" in told, told
            hint = done.stderr.splitlines()[-1].decode()
            needed = re.search(rf"--temp .* about (\d+) MiB are needed there, {had} MiB were free", hint)
            assert needed and had < int(needed.group(1)) < 200, hint
            assert pathlib.Path("out").read_text() == "old" and not os.listdir(small_disk)
            had = int(needed.group(1))
        assert not done.returncode and (tries == 2 or name == ["index"]), (name, had)
        pathlib.Path("out").write_text("old")


def test_other_file_system(small_disk, rows):
    subprocess.run(["mount", "-o", "remount,size=200M", small_disk], check=True)
    assert good("sort", rows, "--memory", "16M", "--workers", "2", "--temp", small_disk) == good("sort", rows)


@pytest.mark.parametrize("what", ["missing", "a file", "read only"])
def test_no_temp(what, rows, tmp_path, nobody):
    """A folder that cannot be used is an error when it is needed, and not before."""
    temp = tmp_path / "there"
    if what == "a file":
        temp.write_text("")
    elif what == "read only":
        temp.mkdir(mode=0o555)
    (tmp_path / "words").write_text("a b a\n")
    tmp_path.chmod(0o777)
    more = {"preexec_fn": nobody} if what == "read only" else {}
    assert good("wordcount", "words", "--temp", temp, **more) == b"a\t2\nb\t1\n"
    with open(rows) as file:
        done = run("sort", "-", "--memory", "16M", "--workers", "2", "--temp", temp, stdin=file, **more)
    assert str(temp) in message(done, 4)
    assert b"--temp" in done.stderr.splitlines()[-1]


def spill_of(pid):
    """A worker's file on disk, if there is something in it."""
    for child in children_of(pid):
        try:
            for name in os.listdir(f"/proc/{child}/fd"):
                path = f"/proc/{child}/fd/{name}"
                target = os.readlink(path)
                if "(deleted)" in target and "memfd" not in target and os.stat(path).st_size > MIB:
                    return path
        except OSError:
            continue  # the worker, or a descriptor, is gone meanwhile
    return None


def test_flipped_bit(rows):
    """A spill that is not what was written is noticed: an error, or it is done again."""
    wanted, noticed = good("sort", rows), 0
    for number in range(8):
        program = start("sort", rows, rows, rows, "--memory", "16M", "--workers", "2", "--output", "out", "--overwrite")
        path = until(lambda: program.poll() is not None or spill_of(program.pid))
        if path is True:
            continue
        members = family(program.pid)
        for member in members:
            os.kill(member, signal.SIGSTOP)
        with open(path, "r+b", buffering=0) as file:
            at = 1000 + 9973 * number
            byte = os.pread(file.fileno(), 1, at)
            os.pwrite(file.fileno(), bytes([byte[0] ^ 1 << number]), at)
        for member in members:
            os.kill(member, signal.SIGCONT)
        _, errors = program.communicate(timeout=limit_of(60))
        assert program.returncode, "a flipped bit was not noticed"
        assert not os.path.exists("out")
        assert b"stored run" in errors, errors
        noticed += 1
    assert noticed >= 4 and wanted
