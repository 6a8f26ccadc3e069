"""The sorter `total`: the part files of a folder, one after another, are one sorted sequence, and which key is in which
of them depends on the input, the job, the number of partitions and the split size alone. The job is tests/jobs/keys.c;
with --total its own sorter is `total`, so that `--sorter simple` is the reference.
"""

import json
import random

import pytest

from conftest import counts, good, lines_of, parts_of

pytestmark = pytest.mark.usefixtures("trace")

PAIRS = 6000


def some_keys(kind):
    dice = random.Random(kind)
    if kind == "spread":
        return [dice.randbytes(dice.randint(1, 30)) for _ in range(PAIRS)]
    if kind == "skewed":  # half of all pairs have one key, most of the others few
        return [b"the" if dice.random() < 0.5 else b"%d" % int(dice.expovariate(0.01)) for _ in range(PAIRS)]
    if kind == "equal":
        return [b"one key"] * PAIRS
    if kind == "alike":
        return [b"x" * 40 + b"%d" % dice.randrange(2000) for _ in range(PAIRS)]
    if kind == "alike beyond what splitters hold":
        return [b"x" * dice.randint(250, 260) + b"%d" % dice.randrange(2000) for _ in range(PAIRS // 6)]
    if kind == "zero bytes":  # none is also a key
        return [b"a" * dice.randint(0, 20) + b"\0" * dice.randint(0, 3) for _ in range(PAIRS)]
    if kind == "sorted":
        return [b"%08d" % index for index in range(PAIRS)]
    assert kind == "few"
    return [b"a", b"b", b"c"]


KINDS = ["spread", "skewed", "equal", "alike", "alike beyond what splitters hold", "zero bytes", "sorted", "few"]


@pytest.fixture
def keys(tmp_path):
    """keys("spread"): writes pairs of such keys, each with its number, to the file "pairs"."""

    def write(kind):
        lines = [b"%s\t%s\n" % (key.hex().encode(), b"%x" % (i + 4096)) for i, key in enumerate(some_keys(kind))]
        (tmp_path / "pairs").write_bytes(b"".join(lines))
        return b"".join(lines)

    return write


def joined(parts):
    return b"".join(parts[name] for name in sorted(parts))


@pytest.mark.parametrize("by", ["count", "join", "none"])
@pytest.mark.parametrize("kind", [*list(KINDS)[:4], *(pytest.param(k, marks=pytest.mark.slow) for k in list(KINDS)[4:])])
def test_parts_are_one_sequence(kind, by, keys, job):
    keys(kind)
    what = ["run", job("keys"), "pairs", "--by", by, "--split-size", "8K", "-q"]
    whole = good(*what, "--sorter", "simple")
    assert whole == good(*what, "--sorter", "total", "--workers", "2")
    for partitions in ("1", "7", "64"):
        folder = f"reference-{partitions}/"
        good(*what, "--total", "--sorter", "simple", "--partitions", partitions, "--output", folder)
        expected = parts_of(folder)
        assert len(expected) == int(partitions) and joined(expected) == whole
        for workers in ("1", "2", "3", "8"):
            sorter = ["--sorter", "total"] if workers != "2" else ["--total"]
            good(*what, *sorter, "--workers", workers, "--partitions", partitions, "--output", "out/", "--overwrite")
            assert parts_of("out") == expected, (partitions, workers)


def test_parts_are_of_like_size(keys, job):
    """As far as keys can be parted at all."""
    for kind in ("spread", "alike", "sorted"):
        keys(kind)
        good("run", job("keys"), "pairs", "--by", "none", "--sorter", "total", "-p7", "--output", "out/", "--overwrite")
        sizes = [len(lines_of(part)) for part in parts_of("out").values()]
        assert max(sizes) < 2 * sum(sizes) / 7, (kind, sizes)


@pytest.mark.parametrize("by", ["count", "none"])
def test_streams(by, keys, job):
    """Of a stream the first split is the sample, wherever reads end."""
    text = keys("spread")
    for split in ("3K", "8M"):
        what = ["run", job("keys"), "-", "--by", by, "--split-size", split, "-q", "--partitions", "7"]
        good(*what, "--total", "--sorter", "simple", "--output", "reference/", "--overwrite", text=text)
        expected = parts_of("reference")
        assert joined(expected) == good(*what, "--sorter", "plex", text=text)
        for workers in ("1", "3", "8"):
            good(*what, "--sorter", "total", "--workers", workers, "--output", "out/", "--overwrite", text=text)
            assert parts_of("out") == expected
            # a task without text before it changes nothing
            good(*what, "--begins", "--sorter", "total", "--workers", workers, "--output", "out/", "--overwrite", text=text)
            assert parts_of("out") == expected
    good(*what, "--begins", "--total", "--sorter", "simple", "--output", "out/", "--overwrite", text=text)
    assert parts_of("out") == expected
    # a file before the stream is the sample, then
    what = ["run", job("keys"), "pairs", "-", "--by", by, "--split-size", "3K", "-q", "--partitions", "7"]
    good(*what, "--total", "--sorter", "simple", "--output", "reference/", "--overwrite", text=text)
    good(*what, "--sorter", "total", "--workers", "3", "--output", "out/", "--overwrite", text=text)
    assert parts_of("out") == parts_of("reference")


def test_no_input_makes_empty_parts(job, tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "no-pairs").write_bytes(b"\n" * 100)
    for source, text in (("empty", b""), ("no-pairs", b""), ("-", b""), ("-", b"\n")):
        for by in ("count", "none"):
            for sorter in (["--sorter", "total"], ["--total", "--sorter", "simple"]):
                what = ["run", job("keys"), source, "--by", by, *sorter, "--partitions", "5", "--output", "out/", "--overwrite"]
                good(*what, text=text)
                assert parts_of("out") == {f"part-{index:05}": b"" for index in range(5)}


def test_words_of_the_default_partitions(words, words_file, words_counted):
    good("wordcount", words_file, "--sorter", "total", "--partitions", "9", "--output", "out/", "--stats", "stats")
    parts = parts_of("out")
    assert joined(parts) == words_counted and len(parts) == 9 and all(parts.values())
    with open("stats", encoding="utf-8") as file:
        stats = json.load(file)
    assert stats["options"]["sorter"] == "total" and stats["counters"]["reduce_tasks"] == 9
    assert good("wordcount", words_file, "--sorter", "total") == words_counted


def test_what_has_no_ranges(job, keys, tmp_path):
    """Results by value are one part file; what is only mapped has one for each map task."""
    text = b"a b b c c c " * 1000
    (tmp_path / "words").write_bytes(text)
    good("wordcount", "words", "--by-count", "--sorter", "total", "--partitions", "7", "--output", "out/")
    assert parts_of("out") == {"part-00000": b"c\t3000\nb\t2000\na\t1000\n"}
    assert good("wordcount", "words", "--sorter", "total", "--partitions", "7") == counts(text)
    keys("spread")
    what = ["run", job("keys"), "pairs", "--by", "map", "--split-size", "8K", "--partitions", "7"]
    good(*what, "--output", "plex/")
    good(*what, "--sorter", "total", "--output", "total/")
    assert parts_of("plex") == parts_of("total")


def test_budgets(tmp_path):
    """What is written to disk on the way does not move a part's borders."""
    dice = random.Random(5)
    lines = [b"%x %d\n" % (dice.getrandbits(60), i) for i in range(400000)]
    (tmp_path / "lines").write_bytes(b"".join(lines))
    expected, spilled = None, []
    for budget in ("24M", "64M", "1G"):
        args = ["--sorter", "total", "--partitions", "7", "--workers", "2", "--memory", budget, "--stats", "stats"]
        good("sort", "lines", *args, "--output", "out/", "--overwrite")
        parts = parts_of("out")
        expected = expected or parts
        assert parts == expected, budget
        spilled.append(json.loads((tmp_path / "stats").read_text())["memory"]["spilled_bytes"])
    assert joined(expected) == b"".join(sorted(lines))
    assert spilled[0] > 0 == spilled[2], spilled
