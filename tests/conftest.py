"""What the system and fault tests share: running the program, looking for what a run leaves behind, texts, jobs.

Nothing here happens by itself: a test asks for a fixture, or imports a function (`from conftest import run`). The
program is found by $PAPJUICE, else in build/.
"""

import collections
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import time
import uuid
import zlib

import pytest

TESTS = pathlib.Path(__file__).resolve().parent
ROOT = TESTS.parent
PAPJUICE = os.path.abspath(os.environ.get("PAPJUICE", ROOT / "build" / "papjuice"))
SANITIZED = bool(os.environ.get("PAPJUICE_SANITIZE"))
MARK = "PAPJUICE_TRIAL"
SEED = int(os.environ.get("PAPJUICE_SEED", random.randrange(10**9)))  # of the dice of tests that tell it
LIMIT = 60  # seconds after which a run has hung
GONE = 1.0  # seconds in which all processes of a run must be gone once its leader is
DICTIONARY = "/usr/share/dictd/gcide.dict.dz"


def limit_of(seconds):
    """A time limit, for a build with sanitizers a longer one."""
    return seconds * 5 if SANITIZED else seconds


# -------------------------------------------------------------------------------------------------- running the program


def command(*args):
    return [PAPJUICE, *map(os.fspath, args)]


def run(*args, text=None, stdin=subprocess.DEVNULL, limit=LIMIT, **more):
    """Runs papjuice; output and errors are bytes."""
    if text is not None:
        more["input"] = text
    else:
        more["stdin"] = stdin
    more.setdefault("stdout", subprocess.PIPE)
    return subprocess.run(command(*args), stderr=subprocess.PIPE, timeout=limit_of(limit), check=False, **more)


def good(*args, **more):
    """Runs papjuice, which must succeed and have nothing to say; returns its output."""
    done = run(*args, **more)
    assert (done.returncode, done.stderr) == (0, b""), (done.returncode, done.stderr[-2000:], args)
    return done.stdout


def survived(*args, **more):
    """Runs papjuice, which must succeed, and tell that attempts failed; returns its output."""
    done = run(*args, **more)
    assert done.returncode == 0, (done.stderr[-2000:], args)
    assert b" note: " in done.stderr and b"done again" in done.stderr, done.stderr
    return done.stdout


def message(done, code):
    """The error line of a run that failed with `code`: one line, then a hint; no data between."""
    lines = done.stderr.decode("utf-8", "replace").splitlines()
    assert done.returncode == code, (done.returncode, done.stderr[-2000:])
    assert len(lines) == 2 and lines[0].startswith("papjuice: ") and lines[1].startswith("hint: "), lines
    assert len(lines[1]) > len("hint: ")
    return lines[0]


def start(*args, **more):
    """Starts papjuice, for tests that send it something."""
    more.setdefault("stdin", subprocess.DEVNULL)
    more.setdefault("stdout", subprocess.PIPE)
    more.setdefault("stderr", subprocess.PIPE)
    return subprocess.Popen(command(*args), **more)


def without_leak_check():
    """An environment for programs whose children are killed: a sanitizer looks for leaks in such a child, too."""
    return {**os.environ, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}


def until(what, seconds=10.0, step=0.005):
    """Waits until what() is true, and returns it; fails after `seconds`."""
    deadline = time.monotonic() + limit_of(seconds)
    while not (value := what()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(step)
    return value


def state_of(pid):
    """The letter of a process's state; X: there is none."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text("latin-1").rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def children_of(pid):
    """Process ids of the children that live, zombies aside."""
    try:
        pids = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [int(child) for child in pids if state_of(child) not in "ZX"]


def send(pid, number):
    """Sends a signal to a process that may be gone."""
    try:
        os.kill(pid, number)
        return True
    except ProcessLookupError:
        return False


# --------------------------------------------------------------------------------------------- what a run leaves behind


class Trace:
    """Finds what runs leave behind: processes, by a mark in their environment; names in /dev/shm; private folders."""

    def __init__(self, *folders):
        self.mark = uuid.uuid4().hex
        self.folders = folders
        self.shared = self.shared_memory()
        self.private_may_stay = False

    @staticmethod
    def shared_memory():
        # other programs may run beside the tests: these are the names that Python's multiprocessing makes
        return {name for name in os.listdir("/dev/shm") if not name.startswith(("sem.mp-", "psm_"))}

    def processes(self):
        needle, found = f"{MARK}={self.mark}".encode(), []
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) == os.getpid():
                continue
            try:
                with open(f"/proc/{entry}/environ", "rb") as file:
                    if needle in file.read().split(b"\0") and state_of(entry) not in "ZX":
                        found.append(int(entry))
            except OSError:
                continue  # gone meanwhile, or another user's
        return found

    def private_folders(self):
        return [path for folder in self.folders for path in pathlib.Path(folder).rglob(".papjuice-*")]

    def check(self):
        """All processes must be gone within a second, nothing may have a name."""
        deadline = time.monotonic() + limit_of(GONE)
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.005)
        names = []
        for pid in left:
            try:
                names.append(pathlib.Path(f"/proc/{pid}/cmdline").read_bytes())
            except OSError:
                names.append(b"?")
            send(pid, signal.SIGKILL)
        assert not names, f"processes live on: {names}"
        assert self.shared_memory() <= self.shared, "a name was left in /dev/shm"
        assert self.private_may_stay or not self.private_folders(), "a private folder was left"


@pytest.fixture
def time_limit(request):
    """No test may take for ever, whatever it waits for."""
    seconds = limit_of(900 if request.node.get_closest_marker("slow") else 90)

    def stop(_signal, _frame):
        raise TimeoutError(f"the test took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def trace(time_limit, tmp_path, monkeypatch):
    """A working folder of the test's own, and a time limit; after the test nothing of its runs may be left."""
    temp = tmp_path / "temp"
    temp.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(temp))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = Trace(tmp_path)
    monkeypatch.setenv(MARK, found.mark)
    yield found
    found.check()
    assert os.listdir(temp) == [], "something was left in the temporary folder"


# ------------------------------------------------------------------------------------------------------- texts and jobs


def counts(text):
    """What wordcount must print, by other means than PapJuice's."""
    return b"".join(b"%s\t%d\n" % pair for pair in sorted(collections.Counter(text.split()).items()))


def make_text(size, seed=1):
    """Words about as frequent as in real text, all kinds of white space, and what makes trouble: bytes above 127, NULs,
    words longer than a slot's key, long lines and empty ones, no newline at the end."""
    dice = random.Random(seed)
    letters = bytes(range(97, 123)) + b"AZ09-'\xc3\xa4\x00\xff"
    words = {bytes(dice.choices(letters, k=min(dice.randint(1, 12), dice.randint(1, 12)))) for _ in range(12000)}
    words |= {bytes(dice.choices(letters, k=dice.choice((22, 23, 24, 25, 31, 32, 33, 200)))) for _ in range(400)}
    words = sorted(words)
    dice.shuffle(words)
    weights = [1 / (rank + 3) for rank in range(len(words))]
    spaces = [b" "] * 40 + [b"\n"] * 8 + [b"\r\n", b"\t", b"  ", b"\n\n", b" \v\f "]
    count = size // 4
    text = b"".join(map(bytes.__add__, dice.choices(words, weights, k=count), dice.choices(spaces, k=count)))[:size]
    return text.rstrip() + b" end"


def bgzf(data, step=20000):
    """Members whose headers tell how long they are, and the empty one at the end."""
    made = b""
    for at in [*range(0, len(data), step), len(data)]:
        packer = zlib.compressobj(6, zlib.DEFLATED, -15)
        text = data[at : at + step]
        body = packer.compress(text) + packer.flush()
        made += b"\x1f\x8b\x08\x04" + bytes(5) + b"\xff\x06\0BC\x02\0" + struct.pack("<H", len(body) + 25)
        made += body + struct.pack("<II", zlib.crc32(text), len(text))
    return made


def in_members(pack):
    """Several files behind one another, an empty one among them."""

    def packed(data):
        step = len(data) // 7 + 1
        pieces = [data[at : at + step] for at in range(0, len(data), step)]
        return b"".join(pack(piece) for piece in [*pieces[:3], b"", *pieces[3:]])

    return packed


@pytest.fixture(scope="session")
def words():
    """A megabyte and a half of text."""
    return make_text(1_500_000)


@pytest.fixture(scope="session")
def words_file(words, tmp_path_factory):
    path = tmp_path_factory.mktemp("words") / "words.txt"
    path.write_bytes(words)
    return path


@pytest.fixture(scope="session")
def words_counted(words):
    return counts(words)


@pytest.fixture(scope="session")
def gcide(tmp_path_factory):
    """The text of a dictionary, 40 MB."""
    if not os.path.exists(DICTIONARY):
        pytest.skip("Debian's package dict-gcide is not installed")
    path = tmp_path_factory.mktemp("gcide") / "gcide.txt"
    with open(DICTIONARY, "rb") as packed, open(path, "wb") as file:
        subprocess.run(["gzip", "-dc"], stdin=packed, stdout=file, check=True)
    return path


@pytest.fixture(scope="session")
def job(tmp_path_factory):
    """job("name"): the plug-in made of tests/jobs/name.c."""
    folder = tmp_path_factory.mktemp("jobs")
    compiler = shutil.which("cc") or pytest.skip("there is no C compiler")

    def build(name):
        target = folder / f"{name}.so"
        if not target.exists():
            subprocess.run(
                [
                    compiler,
                    "-O1",
                    "-g",
                    "-Wall",
                    "-Werror",
                    "-shared",
                    "-fPIC",
                    "-I",
                    ROOT / "include",
                    TESTS / "jobs" / f"{name}.c",
                    "-o",
                    target,
                ],
                check=True,
                timeout=LIMIT,
            )
        return target

    return build


def become_nobody():
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)


@pytest.fixture
def nobody(tmp_path):
    """preexec_fn for a run as a user who is not root and may enter the test's folder; None: we are such a user."""
    if os.geteuid() != 0:
        return None
    folder = tmp_path
    while folder.stat().st_mode & 0o055 != 0o055:
        folder.chmod(folder.stat().st_mode | 0o055)
        folder = folder.parent
    try:
        probe = subprocess.run(
            [PAPJUICE, "--version"],
            preexec_fn=become_nobody,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    except OSError:
        probe = None
    if probe is None or probe.returncode:
        pytest.skip("the user nobody may not run the program where it lies")
    return become_nobody


def lines_of(data):
    """What ends in a newline, as a list."""
    assert not data or data.endswith(b"\n"), data[-100:]
    return data.split(b"\n")[:-1]


def parts_of(folder):
    """The part files of a folder by name; the folder must hold them and _SUCCESS, and nothing else."""
    names = sorted(os.listdir(folder))
    assert names and names[0] == "_SUCCESS" and os.path.getsize(os.path.join(folder, "_SUCCESS")) == 0
    assert names[1:] == [f"part-{index:05}" for index in range(len(names) - 1)]
    return {name: pathlib.Path(folder, name).read_bytes() for name in names[1:]}
