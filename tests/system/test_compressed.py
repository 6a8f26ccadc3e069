"""Compressed input and output: the bytes are those of the plain text, in whatever format, piece and stream it comes, and
whoever reads it.
"""

import bz2
import gzip
import lzma
import pathlib
import random
import re
import shutil
import subprocess
import zlib

import pytest

from conftest import bgzf, counts, good, in_members, make_text, message, run

pytestmark = pytest.mark.usefixtures("trace")

SPLIT = ["--split-size", "8K"]


def by(*command):
    def packed(data):
        if not shutil.which(command[0]):
            pytest.skip(f"there is no {command[0]}")
        return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout

    return packed


FORMATS = {
    "gz": gzip.compress,
    "gz-members": in_members(gzip.compress),
    "bgzf": bgzf,
    "bz2": lambda data: bz2.compress(data, 1),
    "bz2-streams": in_members(bz2.compress),
    "xz": lzma.compress,
    "xz-streams": in_members(lzma.compress),
    "xz-blocks": by("xz", "-2c", "-T1", "--block-size=20KiB"),
    "zst": by("zstd", "-qc"),
    "zst-frames": in_members(by("zstd", "-qc")),
    "lz4": by("lz4", "-qc"),
    "lz4-frames": in_members(by("lz4", "-qc")),
}
JOBS = (["wordcount"], ["sort"], ["grep", "-n", "e.*a"], ["index"])


@pytest.fixture(scope="module")
def text():
    return make_text(300_000, seed=6)


@pytest.mark.parametrize("kind", FORMATS)
def test_same_bytes_as_the_plain_text(kind, text, tmp_path):
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "in").write_bytes(text)
    (tmp_path / "in").write_bytes(FORMATS[kind](text))
    for job in JOBS:
        wanted = good(*job, "in", cwd=tmp_path / "plain")
        for workers in ("1", "2", "3"):
            assert good(*job, "in", "--workers", workers, *SPLIT) == wanted, (job, workers)
        assert good(*job, "in", "--sorter", "simple", *SPLIT) == wanted, job
        assert good(*job, "in") == wanted, job


@pytest.mark.parametrize("kind", FORMATS)
def test_streams(kind, text):
    data = FORMATS[kind](text)
    wanted = counts(text)
    assert good("wordcount", "-", "--workers", "2", "--split-size", "64K", text=data) == wanted
    assert good("wordcount", "-", "--sorter", "simple", text=data) == wanted
    numbered = good("grep", "-n", "e.*a", "-", text=text)
    assert good("grep", "-n", "e.*a", "-", text=data) == numbered


def test_a_folder_of_all_formats(text, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    plain = 0
    for kind, pack in FORMATS.items():
        if "-" not in kind and kind not in ("zst", "lz4"):
            (folder / kind).write_bytes(pack(text))
            plain += 1
    (folder / "plain").write_bytes(text)
    wanted = counts((text + b"\n") * (plain + 1))
    for options in (["--workers", "2"], ["--workers", "3", *SPLIT], ["--sorter", "simple"]):
        assert good("wordcount", "in", *options) == wanted, options


@pytest.mark.parametrize("kind", ["gz-members", "bgzf", "bz2", "xz-blocks", "zst-frames", "lz4-frames"])
def test_it_is_cut(kind, text, tmp_path):
    (tmp_path / "in").write_bytes(FORMATS[kind](text))
    done = run("wordcount", "in", "--workers", "2", *SPLIT, "--stats", "-")
    tasks = int(done.stderr.decode().split('"map_tasks": ')[1].split(",")[0])
    assert tasks >= (2 if kind == "bz2" else 3)


def test_a_border_that_is_none(text, tmp_path):
    """A compressed file that holds compressed files as they are: no text, and never counted twice."""
    inner = b"".join(gzip.compress(random.Random(at).randbytes(9000)) for at in range(9))
    packer = zlib.compressobj(0, zlib.DEFLATED, 31)
    (tmp_path / "in").write_bytes(packer.compress(inner) + packer.flush())
    line = message(run("wordcount", "in", "--workers", "2", *SPLIT), 3)
    # who comes to it first tells: the worker before it, or the one that began there
    assert re.search(r" in:\d+: .*(looks like|gzip: )", line), line
    assert good("wordcount", "in", "--split-size", "1M") == counts(inner)


@pytest.mark.parametrize("sorter", ["plex", "simple"])
@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zst", "lz4"])
def test_no_text(kind, sorter, tmp_path):
    """A compressed file of no bytes, alone and before another one."""
    (tmp_path / "none").write_bytes(FORMATS[kind](b""))
    (tmp_path / "in").write_bytes(FORMATS[kind](b"some words\n"))
    assert good("sort", "none", "--sorter", sorter) == b""
    assert good("sort", "none", "in", "--sorter", sorter) == b"some words\n"


def test_streams_of_other_levels(text, tmp_path):
    """Blocks behind the first stream may be larger than its header says."""
    middle = len(text) // 5
    (tmp_path / "in").write_bytes(bz2.compress(text[:middle], 1) + bz2.compress(text[middle:] * 3, 9))
    (tmp_path / "plain").write_bytes(text + 2 * text[middle:])
    assert good("sort", "in", *SPLIT) == good("sort", "plain")


@pytest.mark.parametrize("kind", ["gz", "bgzf", "bz2", "bz2-streams", "xz-blocks", "zst-frames", "lz4-frames"])
def test_bad_records(kind, tmp_path):
    """Records behind as many bytes of text as the file has: left out, kept and numbered."""
    lines = [b"line %d\n" % (i % 10) for i in range(40000)]
    lines[5] = lines[20000] = lines[39990] = b"long" * 30000 + b"\n"
    (tmp_path / "in").write_bytes(FORMATS[kind](b"".join(lines)))
    (tmp_path / "plain").write_bytes(b"".join(line for line in lines if len(line) < 100))
    skip = ["--max-record", "1000", "--skip-bad", "3", "--overwrite", "--bad-records", "bad"]
    for sorter in ("plex", "simple"):
        done = run("wordcount", "in", *skip, "--split-size", "500", "--sorter", sorter)
        assert done.returncode == 0, done.stderr
        assert done.stdout == good("wordcount", "plain")
        assert pathlib.Path("bad").read_bytes() == lines[5] * 3
        assert all(b": line %d: " % number in done.stderr for number in (6, 20001, 39991)), done.stderr


@pytest.mark.parametrize("kind", ["gz", "bgzf", "bz2", "xz-blocks", "zst-frames", "lz4-frames"])
def test_damage(kind, text, tmp_path):
    """Cut off, or with a byte changed: file and offset, and no output."""
    data = FORMATS[kind](text)
    middle = len(data) * 2 // 3
    for wrong in (data[:-3], data[:middle], data[:middle] + bytes([data[middle] ^ 0x55]) + data[middle + 1 :]):
        (tmp_path / "in").write_bytes(wrong)
        for options in (["--workers", "2", *SPLIT], ["--sorter", "simple"]):
            line = message(run("wordcount", "in", *options, "--output", "out"), 3)
            assert re.search(r" in:\d+: .*compressed bytes", line), line
            assert not pathlib.Path("out").exists()
        line = message(run("wordcount", "-", text=wrong), 3)
        assert re.search(r"standard input:\d+: ", line), line


def test_a_bomb_without_lines(tmp_path):
    """A gigabyte that is one line: no more memory than there may be."""
    if not shutil.which("zstd"):
        pytest.skip("there is no zstd")
    with open(tmp_path / "in", "wb") as file:
        zeros = subprocess.Popen(["head", "-c", "1G", "/dev/zero"], stdout=subprocess.PIPE)
        subprocess.run(["zstd", "-qc"], stdin=zeros.stdout, stdout=file, check=True)
        zeros.wait()
    for words, more in ((["in"], {}), (["-"], {"stdin": open(tmp_path / "in", "rb")})):
        line = message(run("wordcount", *words, "--workers", "1", "--memory", "64M", **more), 4)
        assert "line is too long" in line


def test_a_bomb(tmp_path):
    """More than a gigabyte of lines from a few kilobytes."""
    if not shutil.which("zstd"):
        pytest.skip("there is no zstd")
    with open(tmp_path / "in", "wb") as file:
        lines = subprocess.Popen("yes '' | head -c 1100M", shell=True, stdout=subprocess.PIPE)
        subprocess.run(["zstd", "-qc"], stdin=lines.stdout, stdout=file, check=True)
        lines.wait()
    for job in (["wordcount"], ["run", "--map", "true"]):
        line = message(run(*job, "in", "--workers", "2", "--output", "out"), 3)
        assert re.search(r"looks like a decompression bomb: in:\d+: Zstandard: \d+ bytes were decoded from \d+", line), line
        assert not pathlib.Path("out").exists()


@pytest.mark.parametrize("kind", ["gz", "bgzf", "bz2", "xz-blocks", "zst-frames", "lz4-frames"])
def test_programs_read_the_text(kind, text, tmp_path):
    (tmp_path / "plain").write_bytes(text)
    (tmp_path / "in").write_bytes(FORMATS[kind](text))
    programs = ["run", "--map", "tr a-f A-F", "--reduce", "uniq -c", "--fields", "0"]
    wanted = good(*programs, "plain")
    for options in (["--workers", "1"], ["--workers", "3", *SPLIT], ["--sorter", "simple"]):
        assert good(*programs, "in", *options) == wanted, options
    assert good(*programs, "-", text=FORMATS[kind](text)) == wanted
    # the order of the input, whatever is read of it; and a program that reads nothing, or a line
    assert good("run", "--map", "cat", "in", *SPLIT) == text + b"\n" * (text[-1:] != b"\n")
    assert good("run", "--map", "true", "in", *SPLIT) == b""
    assert good("run", "--map", "head -n 1", "in", "--split-size", "1G") == text[: text.index(b"\n") + 1]


DECODERS = {"gz": gzip.decompress, "bz2": bz2.decompress, "zst": by("zstd", "-qdc")}


@pytest.mark.parametrize("kind", DECODERS)
def test_compressed_output(kind, text, tmp_path):
    (tmp_path / "in").write_bytes(text)
    wanted = counts(text)
    one = good("wordcount", "in", "--compress", kind)
    assert DECODERS[kind](one) == wanted
    for options in (["--sorter", "simple"], ["--workers", "1"], ["--workers", "3", "--memory", "32M"]):
        good("wordcount", "in", "--output", "out", "--overwrite", "--compress", kind, *options)
        assert (tmp_path / "out").read_bytes() == one, options
    top = good("wordcount", "in", "--top", "5")
    assert DECODERS[kind](good("wordcount", "in", "--top", "5", "--compress", kind)) == top
    parts = {}
    for options in (["--sorter", "simple"], ["--workers", "1"], ["--workers", "3"]):
        good("wordcount", "in", "--partitions", "3", "--output", "parts/", "--overwrite", "--compress", kind, *options)
        names = sorted(path.name for path in (tmp_path / "parts").iterdir())
        assert names == ["_SUCCESS", *(f"part-0000{i}.{kind}" for i in range(3))]
        made = [(tmp_path / "parts" / name).read_bytes() for name in names[1:]]
        assert parts.setdefault("made", made) == made, options
    lines = b"".join(DECODERS[kind](part) for part in parts["made"]).splitlines(True)
    assert b"".join(sorted(lines, key=lambda line: line.split(b"\t")[0])) == wanted
    assert good("sort", "parts", "-k", "1,1") == good("sort", "-k", "1,1", text=wanted)


@pytest.mark.parametrize("kind", DECODERS)
def test_compressed_output_of_programs(kind, text, tmp_path):
    (tmp_path / "in").write_bytes(text)
    programs = ["run", "--map", "cat", "--reduce", "uniq -c", "--fields", "0", "in", "--partitions", "3"]
    assert DECODERS[kind](good(*programs, "--compress", kind)) == good(*programs)
    good(*programs, "--output", "plain/")
    for workers in ("1", "3"):
        good(*programs, "--workers", workers, "--output", "parts/", "--overwrite", "--compress", kind)
        for number in range(3):
            packed = (tmp_path / "parts" / f"part-0000{number}.{kind}").read_bytes()
            assert DECODERS[kind](packed) == (tmp_path / "plain" / f"part-0000{number}").read_bytes()


def test_compressed_output_of_nothing(tmp_path):
    (tmp_path / "in").write_bytes(b"")
    for kind, decode in DECODERS.items():
        assert decode(good("wordcount", "in", "--compress", kind)) == b""
    assert "gz, bz2 or zst" in run("wordcount", "in", "--compress", "rar").stderr.decode()
