"""The same bytes, whoever runs it: word counts with each sorter, number of workers, split size, number of partitions
and form of output, held against a count in Python, `sort | uniq -c`, and the sequential reference.
"""

import hashlib
import itertools
import json
import random
import subprocess

import pytest

from conftest import counts, good, lines_of, make_text, parts_of, run

pytestmark = pytest.mark.usefixtures("trace")

WORKERS, SPLITS, PARTITIONS = ("1", "2", "3", "8"), ("64K", "1M", "16M"), ("1", "7", "64")
MATRIX = list(itertools.product(WORKERS, SPLITS, PARTITIONS))
FORMS = ("stdout", "file", "folder")
# Of gcide as it is in Debian 12. `sort | uniq -c`, Python and PapJuice agree on the sum, the number of words and the MD5.
GCIDE_WORDS, GCIDE_DISTINCT = 5399736, 668163
GCIDE_MD5 = "24707104ac039ee9c9cfe6334478e998"
GCIDE_26_MD5 = "2038d30317312ac61fa5ebd83851d819"


def sample(count, seed):
    """Some points of the matrix, in which each value of each axis occurs."""
    dice = random.Random(seed)
    while True:
        chosen = dice.sample(MATRIX, count)
        if all(set(axis) == set(values) for axis, values in zip(zip(*chosen), (WORKERS, SPLITS, PARTITIONS))):
            return chosen


def options(sorter, workers, split, partitions):
    return ["--sorter", sorter, "--workers", workers, "--split-size", split, "--partitions", partitions]


class Reference:
    """What the runs are held against: a count, and the part files of `simple` for each number of partitions."""

    def __init__(self, source, counted):
        self.source, self.counted, self.parts = source, counted, {}

    def parts_for(self, partitions):
        if partitions not in self.parts:
            folder = f"reference-{partitions}/"
            good("wordcount", self.source, "--sorter", "simple", "--partitions", partitions, "--output", folder)
            self.parts[partitions] = parts_of(folder)
            assert len(self.parts[partitions]) == int(partitions)
        return self.parts[partitions]

    def check(self, form, args, partitions):
        if form == "stdout":
            assert good("wordcount", self.source, *args) == self.counted
        elif form == "file":
            good("wordcount", self.source, *args, "--output", "out", "--overwrite")
            with open("out", "rb") as file:
                assert file.read() == self.counted
        else:
            good("wordcount", self.source, *args, "--output", "folder/", "--overwrite")
            parts = parts_of("folder")
            assert parts == self.parts_for(partitions)
            for part in parts.values():
                keys = [line.rpartition(b"\t")[0] for line in lines_of(part)]
                assert keys == sorted(set(keys))
            # keys that hold a newline are not possible here, so lines can be sorted
            assert b"".join(sorted(b"".join(parts.values()).splitlines(True), key=by_key)) == self.counted


def by_key(line):
    return line.rpartition(b"\t")[0]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sorter", ["plex", "shared"])
def test_word_counts(sorter, form, words_file, words_counted):
    reference = Reference(words_file, words_counted)
    for point in sample(12, f"{sorter} {form}"):
        reference.check(form, options(sorter, *point), point[2])


@pytest.mark.parametrize("form", FORMS)
def test_word_counts_of_the_reference(form, words_file, words_counted):
    """Workers, split size and memory do not change `simple`."""
    reference = Reference(words_file, words_counted)
    for split, partitions in (("64K", "7"), ("1M", "1"), ("16M", "64")):
        reference.check(form, options("simple", "3", split, partitions), partitions)


def test_defaults(words_file, words_counted):
    assert good("wordcount", words_file) == words_counted
    assert good("wordcount", words_file, "--sorter", "simple") == words_counted


@pytest.mark.parametrize("sorter", ["plex", "shared", "simple"])
@pytest.mark.parametrize("size", [0, 1, 2, 63, 64, 65, 4095, 4096, 4097, 20000])
def test_small_texts_at_tiny_splits(sorter, size, tmp_path):
    """Borders of splits fall on every byte."""
    text = make_text(30000, seed=3)[100 : 100 + size]
    (tmp_path / "text").write_bytes(text)
    for split in ("1", "2", "3", "7", "64", "1000") if size < 5000 else ("61", "1000"):
        assert good("wordcount", "text", "--sorter", sorter, "--workers", "2", "--split-size", split) == counts(text)


def test_each_time_anew(words_file, words_counted):
    """Twenty runs with more workers than processors: whoever is faster, the bytes are the same."""
    for _ in range(20):
        assert good("wordcount", words_file, "--workers", "5", "--split-size", "40K") == words_counted


def test_statistics_agree(words, words_file, tmp_path):
    """Counters do not depend on the sorter or the workers either: nothing is lost, nothing is counted twice."""
    expected = {
        "records": words.count(b"\n") + 1,
        "input_bytes": len(words),
        "map_pairs": len(words.split()),
        "distinct_keys": len(set(words.split())),
        "output_pairs": len(set(words.split())),
    }
    for sorter, workers in itertools.product(("plex", "shared", "simple"), ("1", "3")):
        good(
            "wordcount",
            words_file,
            "--sorter",
            sorter,
            "--workers",
            workers,
            "--split-size",
            "100K",
            "--output",
            "out",
            "--overwrite",
            "--stats",
            "stats.json",
        )
        counters = json.loads((tmp_path / "stats.json").read_text())["counters"]
        assert {name: counters[name] for name in expected} == expected
        assert counters["output_bytes"] == (tmp_path / "out").stat().st_size
        assert counters["failures"] == 0


# ------------------------------------------------------------------------------------------------------------ real text


def sorted_by_others(source, target):
    """The count as `tr | sort | uniq -c` makes it, reformatted."""
    script = (
        r"""tr -s '[:space:]' '\n' <"$1" | grep -a . | sort | uniq -c | sed -E 's/^ *([0-9]+) (.*)$/\2\t\1/' >"$2" """
    )
    subprocess.run(["sh", "-c", script, "sh", source, target], check=True, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"})


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sorter", ["plex", "shared"])
def test_dictionary(sorter, form, gcide, tmp_path):
    sorted_by_others(gcide, "counted")
    counted = (tmp_path / "counted").read_bytes()
    assert hashlib.md5(counted).hexdigest() == GCIDE_MD5, "this is another version of the dictionary"
    assert len(lines_of(counted)) == GCIDE_DISTINCT
    assert sum(int(line.rpartition(b"\t")[2]) for line in lines_of(counted)) == GCIDE_WORDS
    reference = Reference(gcide, counted)
    for point in MATRIX:
        reference.check(form, options(sorter, *point), point[2])


@pytest.mark.slow
def test_dictionary_by_the_reference(gcide):
    done = run("wordcount", gcide, "--sorter", "simple")
    assert done.returncode == 0 and hashlib.md5(done.stdout).hexdigest() == GCIDE_MD5


@pytest.mark.slow
def test_a_gigabyte(gcide, tmp_path):
    """The dictionary 26 times, with the defaults; and through a pipe."""
    with open(tmp_path / "gcide1g", "wb") as file:
        for _ in range(26):
            subprocess.run(["cat", gcide], stdout=file, check=True)
    good("wordcount", "gcide1g", "--output", "out", limit=300)
    assert hashlib.md5((tmp_path / "out").read_bytes()).hexdigest() == GCIDE_26_MD5
    with subprocess.Popen(["cat", "gcide1g"], stdout=subprocess.PIPE) as cat:
        done = run("wordcount", stdin=cat.stdout, limit=300)
    assert done.returncode == 0 and hashlib.md5(done.stdout).hexdigest() == GCIDE_26_MD5
