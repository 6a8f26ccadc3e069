"""Outputs that cannot be written, must not be written, or are written to while somebody else is at them: the documented
exit code and message, what stood there untouched, nothing left behind.
"""

import os
import pathlib
import resource
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest

from conftest import command, counts, good, lines_of, message, parts_of, run, start, until
from trials import find_strace

pytestmark = pytest.mark.usefixtures("trace")

SORTERS = ("simple", "plex", "shared")
TEXT = b"to be or not to be\n"
COUNTED = counts(TEXT)


@pytest.fixture(autouse=True)
def place(trace, tmp_path):
    """A folder with an input, and an empty one for outputs."""
    (tmp_path / "in").write_bytes(TEXT)
    (tmp_path / "place").mkdir()
    return tmp_path / "place"


@pytest.fixture
def large(tmp_path):
    """An input whose count does not fit a pipe or a small disk."""
    (tmp_path / "large").write_bytes(b"".join(b"a-rather-long-word-%d " % i for i in range(150_000)))
    return tmp_path / "large"


# ---------------------------------------------------------------------------------------------- what must stay as it is


def tree(folder):
    """Everything below a folder: names, kinds, modes and contents."""
    found = {}
    for path in sorted(pathlib.Path(folder).rglob("*")):
        is_ = path.lstat()
        what = os.readlink(path) if path.is_symlink() else path.read_bytes() if stat.S_ISREG(is_.st_mode) else None
        found[str(path)] = (is_.st_mode, what)
    return found


def refused(place, output, reason, *more, sorters=SORTERS, code=4, **options):
    """The output is refused, with each sorter, and nothing in its place has changed."""
    before = tree(place)
    for sorter in sorters:
        done = run("wordcount", "in", "--sorter", sorter, "--output", output, *more, **options)
        line = message(done, code)
        assert reason in line, line
        assert done.stdout == b"" and tree(place) == before
    return line


def test_an_output_that_exists(place):
    (place / "file").write_bytes(b"old")
    (place / "folder").mkdir()
    (place / "dead").symlink_to("nowhere")
    (place / "link").symlink_to("file")
    for output in ("file", "folder", "folder/", "file/", "dead", "link"):
        assert "--overwrite" in run("wordcount", "in", "--output", f"place/{output}").stderr.decode()
        refused(place, f"place/{output}", "the output exists")
    refused(place, ".", "the output exists")
    refused(place, "./", "the output exists")


def test_what_overwrite_does_not_replace(place, monkeypatch):
    """Folders with anything but part files in them, files where a folder is to be, links that lead nowhere."""
    (place / "file").write_bytes(b"old")
    (place / "dead").symlink_to("nowhere")
    for name, inner in (
        ("other", "note"),
        ("hidden", ".x"),
        ("named", "part-"),
        ("named2", "part-1x"),
        ("upper", "_success"),
    ):
        (place / name).mkdir()
        (place / name / inner).write_bytes(b"precious")
    (place / "deep" / "part-00000").mkdir(parents=True)
    (place / "deep" / "part-00000" / "note").write_bytes(b"precious")
    (place / "linked").mkdir()
    (place / "linked" / "part-00000").symlink_to("../file")
    (place / "piped").mkdir()
    os.mkfifo(place / "piped" / "part-00001")
    for name in ("other/", "hidden/", "named/", "named2/", "upper/", "deep/", "linked/", "piped/"):
        refused(place, f"place/{name}", "more than part files and _SUCCESS", "--overwrite")
    refused(place, "place/other", "it is a folder", "--overwrite")
    refused(place, "place/file/", "it is not a folder", "--overwrite")
    refused(place, "place/dead", "a symbolic link to nothing", "--overwrite")
    refused(place, ".", "it is a folder", "--overwrite")
    refused(place, "./", "more than part files", "--overwrite")
    refused(place, "/", "more than part files", "--overwrite")
    monkeypatch.chdir(place / "other")
    assert "more than part files" in message(run("wordcount", "../../in", "--output", "./", "--overwrite"), 4)
    assert "more than part files" in message(run("wordcount", "../../in", "--output", "..//", "--overwrite"), 4)
    assert (place / "other" / "note").read_bytes() == b"precious"


def test_an_output_without_a_place(place):
    for output in (
        "place/none/out",
        "place/none/",
        "in/out",
        "in/out/",
        "place/none/out/",
        "x" * 256,
        "place/" + "x" * 5000,
    ):
        if output == "place/none/":
            continue  # a folder that is made
        refused(place, output, "cannot ")
    refused(place, "", "empty", code=2)


def test_an_output_where_nothing_may_be_written(nobody, place):
    (place / "old").write_bytes(b"old")
    place.chmod(0o555)
    try:
        for output in ("place/new", "place/new/", "place/old"):
            refused(place, output, "Permission denied", "--overwrite", preexec_fn=nobody)
    finally:
        place.chmod(0o755)


def test_bad_words_on_the_command_line(place):
    (place / "out").write_bytes(b"old")
    for words in (
        ["--no-such"],
        ["--split-size", "0"],
        ["--split-size", "x"],
        ["--split-size", "1Q"],
        ["--split-size", "-1"],
        ["--workers", "0"],
        ["--workers", "1.5"],
        ["--workers", "99999"],
        ["--partitions", "0"],
        ["--partitions", "x"],
        ["--attempts", "0"],
        ["--sorter", "quick"],
        ["--task-timeout", "-1"],
        ["--split-size", "99999999999999999999"],
        ["--split-size"],
    ):
        refused(place, "place/out", "", "--overwrite", *words, sorters=["plex"], code=2)


# ------------------------------------------------------------------------------------------------------------- replaced


@pytest.mark.parametrize("sorter", SORTERS)
def test_a_file_is_replaced(sorter, place):
    """With its mode; through a link its target; other names of the old file keep what it held."""
    (place / "out").write_bytes(b"old")
    (place / "out").chmod(0o640)
    os.link(place / "out", place / "other name")
    (place / "link").symlink_to("out")
    good("wordcount", "in", "--sorter", sorter, "--output", "place/link", "--overwrite")
    assert (place / "link").is_symlink() and (place / "out").read_bytes() == COUNTED
    assert stat.S_IMODE((place / "out").stat().st_mode) == 0o640
    assert (place / "other name").read_bytes() == b"old"
    assert sorted(os.listdir(place)) == ["link", "other name", "out"]


@pytest.mark.parametrize("sorter", SORTERS)
def test_a_folder_is_replaced(sorter, place):
    """Parts that the new output does not have are gone with the old ones."""
    good("wordcount", "in", "--sorter", sorter, "--output", "place/out/", "--partitions", "9")
    assert len(parts_of("place/out")) == 9
    good("wordcount", "in", "--sorter", sorter, "--output", "place/out/", "--partitions", "2", "--overwrite")
    parts = parts_of("place/out")
    assert len(parts) == 2 and sorted(lines_of(b"".join(parts.values()))) == sorted(lines_of(COUNTED))
    (place / "empty").mkdir()
    good("wordcount", "in", "--sorter", sorter, "--output", "place/empty/", "--overwrite")
    assert sorted(os.listdir(place)) == ["empty", "out"]


def test_the_mask_of_new_files_is_honoured(place):
    for mask, mode in ((0o077, 0o600), (0o022, 0o644), (0o002, 0o664)):
        subprocess.run(
            command("wordcount", "in", "--output", f"place/{mask}", "--quiet"),
            preexec_fn=lambda mask=mask: os.umask(mask),
            check=True,
        )
        subprocess.run(
            command("wordcount", "in", "--output", f"place/d{mask}/", "--quiet"),
            preexec_fn=lambda mask=mask: os.umask(mask),
            check=True,
        )
        assert stat.S_IMODE((place / str(mask)).stat().st_mode) == mode
        assert stat.S_IMODE((place / f"d{mask}" / "part-00000").stat().st_mode) == mode


@pytest.mark.parametrize("sorter", SORTERS)
def test_the_output_is_also_an_input(sorter, place, tmp_path):
    """By whatever name: the same file, a link to it, a part of the folder, standard input, behind a pipe."""
    (place / "out").write_bytes(TEXT)
    (place / "link").symlink_to("out")
    os.link(place / "out", place / "hard")
    good("wordcount", "in", "--output", "place/folder/")
    (tmp_path / "far").symlink_to("place/folder/part-00000")
    before = tree(place)
    reason = "the output is also an input"
    for names, output in (
        (["place/out"], "out"),
        (["in", "place/link"], "out"),
        (["place/hard"], "out"),
        (["place/out"], "link"),
        (["place/folder"], "folder/"),
        (["place/folder/part-00000"], "folder/"),
        (["far"], "folder/"),
        (["-", "place/out"], "out"),
        (["-", "place/folder"], "folder/"),
    ):
        done = run("wordcount", *names, "--sorter", sorter, "--output", f"place/{output}", "--overwrite", text=b"in")
        assert reason in message(done, 4), (names, output)
        assert tree(place) == before
    for name, output in (("place/out", "out"), ("place/folder/part-00000", "folder/")):
        with open(name, "rb") as file:
            done = run("wordcount", "--sorter", sorter, "--output", f"place/{output}", "--overwrite", stdin=file)
        assert reason in message(done, 4) and tree(place) == before
    # a folder beside, whose name begins alike, is another one
    good("wordcount", "in", "--output", "place/folder2/")
    good("wordcount", "place/folder2", "--output", "place/folder/", "--overwrite")


@pytest.mark.parametrize("output", ["place/out", "place/out/"])
def test_two_runs_to_one_output(output, job, place, tmp_path):
    """The first one to end has it; the other one fails and changes nothing."""
    (tmp_path / "slow").write_bytes(b"! slow")
    with start("run", job("faulty"), "slow", "--how", "sleep=400", "--once", "once", "--output", output) as slow:
        until((tmp_path / "once").exists)
        good("wordcount", "in", "--output", output)
        errors = slow.communicate(timeout=30)[1]
    assert slow.returncode == 4 and b"the output exists" in errors
    data = b"".join(parts_of(place / "out").values()) if output.endswith("/") else (place / "out").read_bytes()
    assert data == COUNTED and os.listdir(place) == ["out"]


@pytest.mark.parametrize("output", ["place/out", "place/out/"])
def test_many_runs_to_one_output(output, place):
    """With --overwrite the last one has it, and from the first one on it is always there, and whole."""
    runs = [start("wordcount", "in", "--output", output, "--overwrite") for _ in range(16)]
    until((place / "out").exists)
    while any(program.poll() is None for program in runs):
        if output.endswith("/"):
            assert (place / "out" / "_SUCCESS").exists()
        else:
            assert (place / "out").read_bytes() == COUNTED
    for program in runs:
        errors = program.communicate(timeout=10)[1]
        assert (program.returncode, errors) == (0, b"")
    assert os.listdir(place) == ["out"]


def put_a_file(out):
    (out / "thesis.tex").write_bytes(b"years of work")


def put_a_folder(out):
    (out / "notes").mkdir()
    (out / "notes" / "thesis.tex").write_bytes(b"years of work")


def another_folder(out):
    out.rename(out.with_name("moved"))
    out.mkdir()
    put_a_file(out)


def a_file_instead(out):
    out.rename(out.with_name("moved"))
    out.write_bytes(b"years of work")


@pytest.mark.parametrize("sorter", SORTERS)
@pytest.mark.parametrize("put", [put_a_file, put_a_folder, another_folder, a_file_instead])
def test_what_is_put_into_the_old_folder_during_the_run(put, sorter, place):
    """It was nobody's to replace when the run began, and is not removed when the run ends."""
    good("wordcount", "in", "--output", "place/out/")
    words = ["wordcount", "--sorter", sorter, "--output", "place/out/", "--overwrite"]
    with start(*words, stdin=subprocess.PIPE) as slow:
        until(lambda: list(place.glob(".papjuice-*")))
        put(place / "out")
        before = {name: what for name, what in tree(place).items() if ".papjuice-" not in name}
        errors = slow.communicate(b"other words", timeout=30)[1].decode()
    assert slow.returncode == 4 and "the output cannot be replaced" in errors and "hint: " in errors
    assert tree(place) == before


def test_what_cannot_be_listed_is_not_replaced(place):
    """A disk that fails while the old folder is listed: nobody knows what else it holds."""
    strace, why_not = find_strace()
    if not strace:
        pytest.skip(why_not)
    good("wordcount", "in", "--output", "place/out/")
    before = tree(place)
    words = command("wordcount", "in", "--workers", "1", "--output", "place/out/", "--overwrite")
    failing = [strace, "-f", "-o", "/dev/null", "-P", os.path.realpath("place/out")]
    failing += ["-e", "trace=getdents64", "-e", "inject=getdents64:error=EIO"]
    done = subprocess.run([*failing, *words], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert "cannot read the folder to be replaced" in message(done, 4)
    assert tree(place) == before


def test_a_folder_is_replaced_while_it_is_looked_at(place):
    """The names of its files have been read when another run puts a new folder in its place, and takes them away."""
    strace, why_not = find_strace()
    if not strace:
        pytest.skip(why_not)
    good("wordcount", "in", "--output", "place/out/")
    slowly = [strace, "-o", "/dev/null", "-e", "trace=getdents64", "-e", "inject=getdents64:delay_exit=100000"]
    with subprocess.Popen(
        [*slowly, *command("wordcount", "in", "--workers", "1", "--output", "place/out/", "--overwrite")],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as slow:
        others = 0
        while slow.poll() is None:
            good("wordcount", "in", "--workers", "1", "--output", "place/out/", "--overwrite")
            others += 1
        assert (slow.returncode, slow.stderr.read()) == (0, b"")
    assert others > 1


def test_file_systems_without_such_renames(place):
    """As networks have: RENAME_NOREPLACE is EINVAL there. A folder appears all the same, and replaces nothing."""
    strace, why_not = find_strace()
    if not strace:
        pytest.skip(why_not)
    plainly = [strace, "-f", "-o", "/dev/null", "-e", "trace=renameat2", "-e", "inject=renameat2:error=EINVAL"]

    def end_of(*args):
        done = subprocess.run([*plainly, *command(*args)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        return done.returncode, done.stderr

    (place / "empty").mkdir()
    slow = "sleep 0.5; mkdir place/other; echo"
    assert end_of("wordcount", "in", "--partitions", "1", "--output", "place/out/") == (0, b"")
    assert (place / "out" / "part-00000").read_bytes() == COUNTED
    assert end_of("run", "--map", slow, "--shell", "in", "--output", "place/other/")[0] == 4
    assert os.listdir(place / "other") == []
    side = 'sh -c "cat; echo side >$mapreduce_task_output_dir/side; mkdir $mapreduce_task_output_dir/folder"'
    code, said = end_of("streaming", "-input", "in", "-output", "place/streamed", "-mapper", side)
    assert code == 0, said
    assert sorted(os.listdir(place / "streamed")) == ["_SUCCESS", "folder", "part-00000", "side"]


# ----------------------------------------------------------------------------------------------------------- full disks


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 300 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k,mode=777", "tmpfs", folder], stderr=subprocess.PIPE, check=False
    )
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.decode().strip()[:100]}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("sorter", SORTERS)
@pytest.mark.parametrize("output", ["out", "out/"])
def test_a_full_disk(output, sorter, large, small_disk):
    """Exit code 4, the old output untouched, and the disk as full as before."""
    good("wordcount", "in", "--output", f"disk/{output}")
    before, free = tree(small_disk), os.statvfs(small_disk).f_bfree
    for place in (f"disk/{output}", f"disk/new-{output}"):
        line = message(run("wordcount", large, "--workers", "2", "--sorter", sorter, "--output", place, "--overwrite"), 4)
        assert "No space left on device" in line
        assert tree(small_disk) == before and os.statvfs(small_disk).f_bfree == free
    good("wordcount", "in", "--sorter", sorter, "--output", f"disk/{output}", "--overwrite")


def test_a_full_disk_and_map_only(job, large, small_disk):
    for output in ("disk/out", "disk/out/"):
        line = message(run("run", job("places"), large, "--by", "map", "--output", output), 4)
        assert "No space left on device" in line and os.listdir(small_disk) == []


@pytest.mark.parametrize("sorter", SORTERS)
@pytest.mark.parametrize("output", ["place/out", "place/out/"])
def test_files_that_may_not_grow(output, sorter, large, place):
    """`ulimit -f`: an error like a full disk's, no signal."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    line = message(run("wordcount", large, "--sorter", sorter, "--workers", "2", "--output", output, preexec_fn=limit), 4)
    assert "File too large" in line and os.listdir(place) == []


# -------------------------------------------------------------------------------------------------------------- streams


@pytest.mark.parametrize("sorter", SORTERS)
def test_devices_are_written_as_they_are(sorter, place, tmp_path):
    for more in ([], ["--overwrite"]):
        assert good("wordcount", "in", "--sorter", sorter, "--output", "/dev/null", *more) == b""
        assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
        assert "No space left on device" in message(
            run("wordcount", "in", "--sorter", sorter, "--output", "/dev/full", *more), 4
        )
        assert good("wordcount", "in", "--sorter", sorter, "--output", "/dev/stdout", *more) == COUNTED
        # as a shell's >(command)
        read_end, write_end = os.pipe()
        assert (
            good("wordcount", "in", "--sorter", sorter, "--output", f"/dev/fd/{write_end}", *more, pass_fds=[write_end])
            == b""
        )
        os.close(write_end)
        with open(read_end, "rb") as pipe:
            assert pipe.read() == COUNTED
    # standard output is a file that is there
    with open(tmp_path / "there", "wb") as file:
        assert "the output exists" in message(run("wordcount", "in", "--output", "/dev/stdout", stdout=file), 4)


@pytest.mark.parametrize("sorter", SORTERS)
def test_a_named_pipe(sorter, place, large):
    """Its reader comes late, and reads slowly."""
    os.mkfifo(place / "fifo")
    got = []

    def read():
        time.sleep(0.2)
        with open(place / "fifo", "rb", buffering=0) as pipe:
            while data := pipe.read(100_000):
                got.append(data)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    good("wordcount", large, "--sorter", sorter, "--output", "place/fifo", "--overwrite")
    reader.join(20)
    assert not reader.is_alive() and b"".join(got) == counts(large.read_bytes())
    assert stat.S_ISFIFO(os.stat(place / "fifo").st_mode)


def test_a_socket_as_standard_output(large):
    ours, theirs = socket.socketpair()
    with start("wordcount", large, stdout=theirs) as program:
        theirs.close()
        with ours.makefile("rb") as stream:
            assert stream.read() == counts(large.read_bytes())
        assert program.wait(20) == 0
    ours.close()


@pytest.mark.parametrize("sorter", SORTERS)
def test_standard_output_that_fails(sorter, large):
    done = run("wordcount", "in", "--sorter", sorter, stdout=None, preexec_fn=lambda: os.close(1))
    assert "standard output: Bad file descriptor" in message(done, 4)
    with open("/dev/full", "wb") as full:
        for source in ("in", large):
            assert "standard output: No space left on device" in message(
                run("wordcount", source, "--sorter", sorter, stdout=full), 4
            )


@pytest.mark.parametrize("sorter", SORTERS)
@pytest.mark.parametrize("lines", ["0", "1", "5000"])
def test_a_reader_that_has_read_enough(lines, sorter, large):
    """`| head`: no message, and the exit code that a shell expects."""
    with start("wordcount", large, "--sorter", sorter, "--workers", "3") as program:
        with subprocess.Popen(["head", "-n", lines], stdin=program.stdout, stdout=subprocess.PIPE) as head:
            program.stdout.close()
            taken = head.communicate(timeout=20)[0]
        errors = program.stderr.read()
        program.stdout = None
        assert program.wait(20) == 128 + signal.SIGPIPE and errors == b""
    assert lines_of(taken) == lines_of(counts(large.read_bytes()))[: int(lines)]


def test_a_failure_behind_written_parts(job, tmp_path):
    """What went to standard output cannot be taken back, but it is a beginning of the right output, of whole parts."""
    text = b"".join(b"line %d\n" % i for i in range(5000)) + b"!\n" + b"x\n" * 5000
    (tmp_path / "long").write_bytes(text)
    done = run(
        "run",
        job("faulty"),
        "long",
        "--kind",
        "map",
        "--how",
        "crash",
        "--attempts",
        "2",
        "--workers",
        "2",
        "--split-size",
        "4K",
    )
    assert "SIGSEGV" in message(done, 5)
    right = b"".join(word + b"\t1\n" for word in text.split())
    assert right.startswith(done.stdout) and len(done.stdout) < len(right) and done.stdout.endswith(b"\n")
