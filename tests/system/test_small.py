"""Small inputs: nothing at all, and ten thousand files of a kilobyte. What they may cost is measured by `make bench`; here
it is that they are right, and that no limit is far away.
"""
import json
import os
import random
import resource
import subprocess

import pytest

from conftest import SANITIZED, command, counts, good, limit_of, make_text

pytestmark = pytest.mark.usefixtures("trace")

FILES, FILE_BYTES = 10_000, 1024
SORTERS = ("simple", "plex", "shared")


def stats_of(path):
    return json.loads(path.read_text(encoding="utf-8"))


# ------------------------------------------------------------------------------------------------------------ nothing


@pytest.mark.parametrize("sorter", SORTERS)
def test_an_empty_file(sorter, tmp_path):
    """No word: an output is there, of no bytes, and the statistics say what was not done."""
    (tmp_path / "empty").write_bytes(b"")
    good("wordcount", "empty", "--sorter", sorter, "-o", "out", "--stats", "stats")
    assert (tmp_path / "out").read_bytes() == b""
    stats = stats_of(tmp_path / "stats")
    counters = stats["counters"]
    assert (stats["status"], counters["inputs"], counters["input_bytes"]) == ("PJ_OK", 1, 0)
    assert {name: counters[name] for name in ("records", "map_pairs", "distinct_keys", "output_bytes", "failures")} == \
        {"records": 0, "map_pairs": 0, "distinct_keys": 0, "output_bytes": 0, "failures": 0}
    assert good("wordcount", "empty", "--sorter", sorter) == b""


@pytest.mark.parametrize("sorter", SORTERS)
@pytest.mark.parametrize("partitions", [1, 7])
def test_an_empty_file_to_a_folder(sorter, partitions, tmp_path):
    """Each partition has its part file, whether anything is in it or not."""
    (tmp_path / "empty").write_bytes(b"")
    good("wordcount", "empty", "--sorter", sorter, "-p", str(partitions), "-o", "out/")
    assert sorted(os.listdir("out")) == ["_SUCCESS", *(f"part-{index:05}" for index in range(partitions))]
    assert all(os.path.getsize(os.path.join("out", name)) == 0 for name in os.listdir("out"))


@pytest.mark.parametrize("sorter", SORTERS)
@pytest.mark.parametrize("name", ["folder", "@list", "-"])
def test_no_input_bytes_at_all(name, sorter, tmp_path):
    """A folder without files, one with empty ones only, a list of them, a stream that ends at once."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "list").write_text("folder\n" * 3, encoding="ascii")
    assert good("wordcount", name, "--sorter", sorter) == b""
    for i in range(300):
        (tmp_path / "folder" / f"{i}").write_bytes(b"")
    assert good("wordcount", name, "--sorter", sorter, "-w", "3") == b""


def test_empty_files_between_others(tmp_path):
    """They are counted as inputs, and neither join the words of their neighbours nor cut them."""
    (tmp_path / "in").mkdir()
    for i in range(500):
        (tmp_path / "in" / f"{i:03}").write_bytes(b"" if i % 5 else b"one two")
    expected = b"one\t100\ntwo\t100\n"
    for options in ([], ["-w", "3", "--split-size", "4"], ["--sorter", "simple"], ["--sorter", "shared", "-w", "2"]):
        assert good("wordcount", "in", "--stats", "stats", *options) == expected
        assert stats_of(tmp_path / "stats")["counters"]["inputs"] == 500


# -------------------------------------------------------------------------------------------------------- many files


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Ten thousand files of 1 KB each in folders of a thousand, and the same bytes in one file."""
    folder = tmp_path_factory.mktemp("small")
    text = make_text(FILES * FILE_BYTES, seed=3)
    dice = random.Random(4)
    pieces = []
    for i in range(FILES):
        piece = text[i * FILE_BYTES:(i + 1) * FILE_BYTES].ljust(FILE_BYTES)[:-1] + dice.choice((b" ", b"\n"))
        place = folder / "many" / f"{i // 1000}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{i:05}").write_bytes(piece)
        pieces.append(piece)
    (folder / "one").write_bytes(b"".join(pieces))
    return folder


@pytest.fixture(scope="module")
def small_counted(small):
    return counts((small / "one").read_bytes())


@pytest.mark.parametrize("options", [[], ["-w", "1"], ["-w", "8"], ["-w", "3", "--split-size", "10K", "-p", "7"],
                                     ["--sorter", "shared", "-w", "2"], ["--sorter", "simple"]])
def test_ten_thousand_files(options, small, small_counted, tmp_path):
    """The counts of the same bytes in one file; every file is an input, and many of them are one task."""
    assert good("wordcount", small / "many", "--stats", "stats", *options) == small_counted
    counters = stats_of(tmp_path / "stats")["counters"]
    assert (counters["inputs"], counters["input_bytes"]) == (FILES, FILES * FILE_BYTES)
    assert counters["map_tasks"] <= FILES / 9, "a task takes as many files as fit a split"


def test_one_file_of_the_same(small, small_counted):
    assert good("wordcount", small / "one", "-w", "2") == small_counted


def test_no_descriptor_is_kept_for_a_file(small, small_counted, tmp_path):
    """As many files as there may be are open one after another, not at once."""
    few = 40
    done = subprocess.run(command("wordcount", small / "many", "-w", "3", "-o", "out"), stderr=subprocess.PIPE,
                          timeout=limit_of(60), check=False,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (few, few)))
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "out").read_bytes() == small_counted


@pytest.mark.skipif(SANITIZED, reason="sanitizers keep freed memory")
def test_a_file_costs_little_memory(tmp_path):
    """What a file costs is its name and some numbers: less than 2 KB."""
    tiny = tmp_path / "tiny"
    tiny.mkdir()
    peaks = []
    for count in (1, FILES):
        for i in range(count):
            (tiny / f"{i:05}").write_bytes(b"a")
        assert good("wordcount", tiny, "-w", "2", "--stats", "stats") == b"a\t%d\n" % count
        peaks.append(stats_of(tmp_path / "stats")["memory"]["peak_bytes"])
    assert 0 < peaks[0] and peaks[1] < peaks[0] + 2048 * FILES, peaks
