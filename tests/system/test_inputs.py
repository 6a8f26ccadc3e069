"""Inputs of all kinds and shapes: what names mean, what bytes may hold, what is refused; with each sorter, the same
count as in Python.
"""

import bz2
import gzip
import lzma
import os
import pathlib
import random
import subprocess
import sys
import threading
import time

import pytest

from conftest import LIMIT, counts, good, lines_of, make_text, message, run, start, until

pytestmark = pytest.mark.usefixtures("trace")

SORTERS = ("simple", "plex", "shared")
SMALL = ["--workers", "3", "--split-size", "7"]


def check(expected, *args, **more):
    """All three sorters, the parallel ones with splits that cut lines and words."""
    for options in (["--sorter", "simple"], SMALL, ["--workers", "2"], ["--sorter", "shared", *SMALL]):
        assert good("wordcount", *options, *args, **more) == expected, options


# ------------------------------------------------------------------------------------------------------ what bytes hold


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b" ",
        b"\n\n\n",
        b"a",
        b"a\n",
        b"\na",
        b"no newline at the end",
        b"one\r\ntwo\r\n\r\ntwo",
        b"\0",
        b"\0\n\0",
        b"a\0b a\0 \0a",
        b"\xff\xfe\xff \x80",
        b"\t\v\f\r x \t",
        b"a" * 23 + b" " + b"a" * 24,
        b"x " * 200,
        b"\n" * 500 + b"y",
        "größe größe\u00a0ü\u2028ü".encode(),
        b"a\n" * 300,
        b"word" * 100 + b"\nend",
        bytes(range(256)) * 3,
    ],
)
def test_any_bytes(text, tmp_path):
    (tmp_path / "in").write_bytes(text)
    check(counts(text), "in")


@pytest.mark.parametrize("seed", range(4))
def test_random_binary(seed, tmp_path):
    text = random.Random(seed).randbytes(20000)
    (tmp_path / "in").write_bytes(text)
    for split in ("1K", "333", "16M"):
        for sorter in SORTERS:
            assert good("wordcount", "in", "--sorter", sorter, "--workers", "2", "--split-size", split) == counts(text)


@pytest.mark.parametrize("ending", [b"", b"\n", b" end\n"])
def test_lines_longer_than_splits_and_buffers(ending, tmp_path):
    """A line of two megabytes between short ones, at splits of 1 KB: most of them own no line."""
    text = b"first line\n" + b"a " * 600_000 + b"b" * 800_000 + b"\nlast" + ending
    (tmp_path / "in").write_bytes(text)
    for split in ("1K", "100K", "1M"):
        for sorter in ("plex", "shared"):
            assert good("wordcount", "in", "--workers", "2", "--sorter", sorter, "--split-size", split) == counts(text)
            assert good("wordcount", "--workers", "2", "--sorter", sorter, "--split-size", split, text=text) == counts(text)
    assert good("wordcount", "in", "--sorter", "simple", "--split-size", "1K") == counts(text)


@pytest.mark.slow
def test_a_line_of_200_megabytes(tmp_path):
    expected = b"x\t100000000\ny\t1\nz\t1\n"
    with open(tmp_path / "in", "wb") as file:
        file.write(b"y\n")
        for _ in range(100):
            file.write(b"x " * 1_000_000)
        file.write(b"\nz\n")
    for args in (
        ["--workers", "2"],
        ["--workers", "2", "--split-size", "1M"],
        ["--sorter", "simple"],
        ["--sorter", "shared", "--workers", "2"],
    ):
        assert good("wordcount", "in", *args, limit=120) == expected
    with open(tmp_path / "in", "rb") as file, subprocess.Popen(["cat"], stdin=file, stdout=subprocess.PIPE) as cat:
        assert good("wordcount", "--workers", "2", stdin=cat.stdout, limit=120) == expected


@pytest.mark.slow
def test_a_line_through_a_pipe_longer_than_what_is_kept(tmp_path):
    """More than the 512 MB of a stream that are kept ahead of the workers: none of it is ready before its end."""
    writer = "import sys\nfor _ in range(640): sys.stdout.buffer.write(b'x ' * 524288)\n"
    with subprocess.Popen([sys.executable, "-c", writer], stdout=subprocess.PIPE) as source:
        assert good("wordcount", "--workers", "2", stdin=source.stdout, limit=120) == b"x\t335544320\n"


# ------------------------------------------------------------------------------------------------------ what names mean


def test_folders_lists_and_globs(tmp_path):
    """What a folder holds, hidden names aside; what a list names; what a pattern matches."""
    for name, text in {
        "d/b": b"b",
        "d/a": b"a",
        "d/.hidden": b"no",
        "d/_SUCCESS": b"no",
        "d/sub/c": b"c",
        "d/.git/x": b"no",
        "d/_temporary/x": b"no",
        "d/sub/_x": b"no",
        "d/empty": b"",
        "e/1.txt": b"one",
        "e/2.txt": b"two",
        "e/3.log": b"three",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(text)
    folder = counts(b"a b c")
    check(folder, "d")
    check(folder, "d/")
    check(folder, "./d/../d")
    check(counts(b"a b c a"), "d", "d/a")
    check(counts(b"no"), "d/.hidden")
    check(counts(b"no"), "d/.git")
    check(counts(b"no no"), "d/.git", "d/_temporary/x")
    check(counts(b"one two"), "e/*.txt")
    check(counts(b"one three"), "e/[13]*")
    check(counts(b"a b c one two three"), "?")
    (tmp_path / "list").write_bytes(b"e/1.txt\n\nd\ne/*.log\n")
    check(counts(b"one a b c three"), "@list")
    check(counts(b"one a b c three"), "@-", text=b"e/1.txt\nd\ne/*.log")
    check(counts(b"two one a b c three"), "e/2.txt", "@list")
    (tmp_path / "nothing").write_bytes(b"")
    (tmp_path / "d" / "none").mkdir()
    check(b"", "d/none")


def test_names_of_all_kinds(tmp_path):
    """Blanks, newlines, control bytes, bytes that are no UTF-8, and what looks like a pattern."""
    names = [
        b"a name",
        b"new\nline",
        b"tab\t",
        b"\xff",
        b"a\xffb",
        b"star*",
        b"[x]",
        b"quote'\"",
        b"-dash",
        b"@at",
        b"~",
        b"#",
        "ü".encode(),
        b"\x1b[31m",
        b"$(reboot)",
        b"x" * 255,
    ]
    os.mkdir("names")
    for name in names:
        pathlib.Path(os.fsdecode(b"names/" + name)).write_bytes(b"word ")
    expected = b"word\t%d\n" % len(names)
    paths = [b"names/" + name for name in names]
    check(expected, "names")
    check(expected, *paths)
    pathlib.Path("list").write_bytes(b"\0".join(paths))
    check(expected, "@list")
    pathlib.Path("list").write_bytes(b"\n".join(path for path in paths if b"\n" not in path))
    check(b"word\t%d\n" % (len(names) - 1), "@list")


def test_many_small_files(tmp_path):
    """Ten thousand files, packed into tasks; one in ten is empty."""
    dice = random.Random(6)
    folder, texts = tmp_path / "many", []
    for i in range(10_000):
        if i % 100 == 0:
            (folder / f"{i:05}").mkdir(parents=True)
        text = b" ".join(b"w%d" % dice.randrange(500) for _ in range(i % 10))
        (folder / f"{i // 100 * 100:05}" / f"{i}").write_bytes(text)
        texts.append(text)
    expected = counts(b" ".join(texts))
    for sorter in SORTERS:
        assert good("wordcount", "many", "--sorter", sorter, "--workers", "2") == expected
    assert good("wordcount", "many", "--workers", "3", "--split-size", "500") == expected


def test_symbolic_links(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "real").write_bytes(b"real")
    (tmp_path / "d" / "link").symlink_to("../real")
    (tmp_path / "folder").symlink_to("d")
    check(b"real\t1\n", "d")
    check(b"real\t2\n", "folder", "d/link")
    (tmp_path / "d" / "dead").symlink_to("nowhere")
    assert message(run("wordcount", "d"), 3).endswith("d/dead: No such file or directory")
    (tmp_path / "d" / "dead").unlink()
    (tmp_path / "d" / "up").symlink_to("..")
    assert "d/up" in message(run("wordcount", "d"), 3)  # it leads back to where we came from: never without end
    (tmp_path / "d" / "up").unlink()
    (tmp_path / "loop").symlink_to("loop")
    assert message(run("wordcount", "loop"), 3).endswith("loop: Too many levels of symbolic links")


def test_what_is_in_a_folder_and_is_no_file(tmp_path):
    """Pipes and devices in a folder are passed over: nobody could tell what they would give."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x").write_bytes(b"x")
    os.mkfifo(tmp_path / "d" / "fifo")
    check(b"x\t1\n", "d")


# ---------------------------------------------------------------------------------------------------- streams and files


def test_standard_input_as_a_file(tmp_path):
    text = make_text(5000, seed=2)
    (tmp_path / "in").write_bytes(text)
    for offset in (0, 1, 777, len(text) - 1, len(text)):
        for options in (["--sorter", "simple"], ["--workers", "2", "--split-size", "100"], ["--sorter", "shared"]):
            with open("in", "rb", buffering=0) as file:
                file.seek(offset)
                assert good("wordcount", *options, stdin=file) == counts(text[offset:])
    with open("in", "rb") as file:
        assert good("wordcount", "in", "-", "in", stdin=file) == counts(text + b" " + text + b" " + text)
    with open("in", "rb") as file:
        assert "named twice" in message(run("wordcount", "-", "-", stdin=file), 2)


def trickle(fd, text, seed):
    """Writes to a pipe in pieces of all sizes."""
    dice = random.Random(seed)
    with open(fd, "wb", buffering=0) as pipe:
        while text:
            size = dice.choice((1, 2, 100, 5000, 70000))
            pipe.write(text[:size])
            text = text[size:]
            if dice.random() < 0.05:
                time.sleep(0.001)


@pytest.mark.parametrize(
    "options",
    [
        ["--sorter", "simple"],
        ["--workers", "1"],
        ["--workers", "3", "--split-size", "10K"],
        ["--workers", "2", "--split-size", "1K", "--sorter", "shared"],
        ["--workers", "2", "--partitions", "5"],
    ],
)
def test_a_pipe(options):
    text = make_text(400_000, seed=4)
    read_end, write_end = os.pipe()
    writer = threading.Thread(target=trickle, args=(write_end, text, repr(options)), daemon=True)
    writer.start()
    with open(read_end, "rb") as pipe:
        assert good("wordcount", *options, stdin=pipe) == counts(text)
    writer.join(LIMIT)
    assert not writer.is_alive()


def test_named_pipes_between_files(tmp_path):
    """A file, a pipe, a file and another pipe, in this order, though pipes are read as they come."""
    texts = [make_text(size, seed=size) for size in (3000, 150_000, 40_000, 9000)]
    (tmp_path / "a").write_bytes(texts[0])
    os.mkfifo("b")
    (tmp_path / "c").write_bytes(texts[2])
    os.mkfifo("d")
    for options in (["--sorter", "simple"], ["--workers", "3", "--split-size", "5K"], ["--sorter", "shared", "--workers", "2"]):
        writers = [
            threading.Thread(target=trickle, args=(name, text, 1), daemon=True)
            for name, text in (("b", texts[1]), ("d", texts[3]))
        ]
        for writer in writers:
            writer.start()
        assert good("wordcount", "a", "b", "c", "d", *options) == counts(b" ".join(texts))
        for writer in writers:
            writer.join(LIMIT)
    assert not writer.is_alive()


def test_order_of_files_and_pipes(job, tmp_path):
    """The plan's order is that of the names, so a pipe's values come where the pipe is named."""
    (tmp_path / "a").write_bytes(b"a1 a2\n" * 500)
    (tmp_path / "c").write_bytes(b"c1\n" * 700)
    expected = b"".join(
        b"%s\t%s \n" % (key, b" ".join(values))
        for key, values in (
            (b"a", [b"a1", b"a2"] * 500),
            (b"c", [b"c1"] * 700),
            (b"x", [b"x%d" % i for i in range(3000)]),
        )
    )
    pipe = b"".join(b"x%d\n" % i for i in range(3000))
    for options in (["--sorter", "simple"], ["--workers", "3", "--split-size", "500"], ["--sorter", "shared", "--workers", "2"]):
        assert good("run", job("places"), "a", "-", "c", *options, text=pipe) == expected


def test_a_stream_that_pauses():
    """What has come is counted when the end comes, however late."""
    with start("wordcount", "--workers", "2", "--split-size", "10", stdin=subprocess.PIPE) as program:
        program.stdin.write(b"a b\n" * 100)
        program.stdin.flush()
        time.sleep(0.3)
        program.stdin.write(b"c")
        program.stdin.flush()
        time.sleep(0.3)
        out, errors = program.communicate(b"d")
    assert (program.returncode, out, errors) == (0, b"a\t100\nb\t100\ncd\t1\n", b"")


@pytest.mark.parametrize("options", [["--workers", "2"], ["--sorter", "simple"]])
def test_a_descriptor_that_does_not_block(options):
    """As a terminal's or another program's may be: "nothing yet" is not the end."""
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    with start("wordcount", *options, stdin=read_end) as program:
        os.close(read_end)
        for _ in range(3):
            time.sleep(0.05)
            os.write(write_end, b"a b\n" * 10)
        os.close(write_end)
        out, errors = program.communicate(timeout=20)
    assert (program.returncode, out, errors) == (0, b"a\t30\nb\t30\n", b"")


# ------------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    "name, data",
    [
        ("gzip", gzip.compress(b"some words " * 100)[:-1]),
        ("bzip2", bz2.compress(b"some words " * 100)[:-1]),
        ("xz", lzma.compress(b"some words")[:-1]),
        ("Zstandard", b"\x28\xb5\x2f\xfd\x04\x58\x29\x00\x00hello" + b"\0" * 20),
        ("lz4", b"\x04\x22\x4d\x18\x64\x40\xa7" + b"\0" * 20),
    ],
)
def test_damaged_compressed_input_is_refused(name, data, tmp_path):
    """Wherever it comes from; and never counted as text."""
    (tmp_path / "in").write_bytes(data)
    (tmp_path / "text").write_bytes(b"text")
    for options in (["--sorter", "simple"], ["--workers", "2"], SMALL, ["--sorter", "shared"]):
        for args, more in (
            (["in"], {}),
            (["text", "in"], {}),
            (["-"], {"text": data}),
            (["text", "-"], {"text": data}),
        ):
            done = run("wordcount", *options, *args, **more)
            line = message(done, 3)
            assert done.stdout == b"" and name in line
            assert ("standard input:" if more else "the input: in:") in line


def test_text_that_begins_like_a_compressed_file(tmp_path):
    for text in (b"BZh9 is a word", b"BZh91AY", b"\x1f\x8b is none", b"PK words", b"(\xb5/"):
        (tmp_path / "in").write_bytes(text)
        check(counts(text), "in")


def test_what_cannot_be_read(nobody, tmp_path):
    """A file and a folder without permission, as a user who is not root; the old output stays."""
    (tmp_path / "out").write_bytes(b"old")
    for folder in ("locked", "open/locked"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "open" / "fine").write_bytes(b"fine")
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "open" / "secret").write_bytes(b"secret")
    for name in ("secret", "open/secret", "locked", "open/locked"):
        (tmp_path / name).chmod(0)
    tmp_path.chmod(0o777)
    try:
        for sorter in SORTERS:
            for args, name in (
                (["secret"], "secret"),
                (["open/fine", "secret"], "secret"),
                (["locked"], "locked"),
                (["open"], "open/"),
                (["open/secret"], "open/secret"),
                (["@secret"], "secret"),
            ):
                done = run("wordcount", *args, "--sorter", sorter, "--output", "out", "--overwrite", preexec_fn=nobody)
                line = message(done, 3)
                assert line.endswith(": Permission denied") or ": Permission denied (map task" in line
                assert name in line and (tmp_path / "out").read_bytes() == b"old"
    finally:
        for name in ("locked", "open/locked"):
            (tmp_path / name).chmod(0o755)


@pytest.mark.parametrize(
    "args, name",
    [
        (["none"], "none"),
        (["in", "none"], "none"),
        (["none/"], "none/"),
        (["in/x"], "in/x"),
        (["*.none"], "*.none"),
        (["@none"], "none"),
        (["@list"], "gone"),
        (["d/*"], "d/*"),
    ],
)
def test_what_is_missing(args, name, tmp_path):
    (tmp_path / "in").write_bytes(b"in")
    (tmp_path / "list").write_bytes(b"in\ngone\n")
    (tmp_path / "d").mkdir()
    for sorter in SORTERS:
        line = message(run("wordcount", *args, "--sorter", sorter, "--output", "out"), 3)
        assert name in line and not (tmp_path / "out").exists()


# ---------------------------------------------------------------------------------------- what changes while it is read


def changing(job, tmp_path, change, *options):
    """Runs a job that waits in its mapper, changes the input meanwhile, and lets it go on."""
    (tmp_path / "in").write_bytes(b"a ! b\n" * 3)
    with start("run", job("faulty"), "in", "--how", "sleep=300", "--once", "begun", "--output", "out", *options) as program:
        until(lambda: (tmp_path / "begun").exists())
        change(tmp_path / "in")
        errors = program.communicate(timeout=20)[1]
    return program.returncode, errors


@pytest.mark.parametrize("sorter", ["simple", "plex"])
def test_an_input_that_changes(sorter, job, tmp_path):
    def grow(path):
        with open(path, "ab") as file:
            file.write(b"more\n")

    def shrink(path):
        os.truncate(path, 4)

    def rewrite(path):
        path.write_bytes(b"x ! y\n" * 3)

    def replace(path):
        (tmp_path / "new").write_bytes(b"a ! b\n" * 3)
        os.replace(tmp_path / "new", path)

    for change, reason in (
        (shrink, b"shorter"),
        (rewrite, b"written"),
        (replace, b"another file"),
        (os.unlink, b"gone"),
    ):
        code, errors = changing(job, tmp_path, change, "--sorter", sorter)
        assert code == 3 and reason in errors and b"in: " in errors, (change, errors)
        assert not (tmp_path / "out").exists()
        (tmp_path / "begun").unlink()
    code, errors = changing(job, tmp_path, grow, "--sorter", sorter)
    assert code == 0 and b"1 input grew meanwhile: read as far as planned" in errors
    assert lines_of((tmp_path / "out").read_bytes()) == [b"!\t3", b"a\t3", b"b\t3"]
