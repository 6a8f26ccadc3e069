"""The aggregating path: word counts, statistics, and aggregates of the user's own, with one value at a time and with
many, over workers, partitions and instruction sets, to a file and to a folder; on text, and on keys that are chosen to
be hard. Held against the sequential reference, part by part, and against what Python makes of the same input.
"""
import itertools
import pathlib
import random

import pytest

from conftest import counts, good, make_text, parts_of
from test_jobs import fold_exact, grouped, lines, words_and_places
from test_stats import expected as stats_expected
from test_stats import make_rows, simple_number, text_of

pytestmark = pytest.mark.usefixtures("trace")

WORKERS, PARTITIONS, ISAS = ("1", "2", "3", "8"), ("1", "7", "64", "1000"), ("plain", "avx2", "avx512")
EVERY = list(itertools.product(WORKERS, PARTITIONS, ISAS))
# every pair of values of two axes occurs
SOME = [(w, p, ISAS[(i + j) % 3]) for (i, w), (j, p) in itertools.product(enumerate(WORKERS), enumerate(PARTITIONS))]


class Work:
    """A job on an input, with the right result, and the parts of the reference for each number of partitions."""

    def __init__(self, command, source, expected, split):
        self.command, self.source, self.expected, self.split = command, source, expected, split
        self.parts = {}
        assert good(*self.command, self.source, "--sorter", "simple") == expected

    def parts_for(self, partitions):
        if partitions not in self.parts:
            good(*self.command, self.source, "--sorter", "simple", "-p", partitions, "-o", f"simple-{partitions}/",
                 "--overwrite")
            self.parts[partitions] = parts_of(f"simple-{partitions}")
        return self.parts[partitions]

    def check(self, points, forms, monkeypatch):
        """Each point with each form in turn."""
        for (workers, partitions, isa), form in zip(points, itertools.cycle(forms)):
            monkeypatch.setenv("PAPJUICE_ISA", isa)
            good(*self.command, self.source, "-w", workers, "-p", partitions, "--split-size", self.split, "-o", form,
                 "--overwrite")
            if form == "file":
                assert pathlib.Path(form).read_bytes() == self.expected, (workers, partitions, isa)
            else:
                assert parts_of(form) == self.parts_for(partitions), (workers, partitions, isa)


# ---------------------------------------------------------------------------------------------------------------- text


def folded(groups):
    return lines((key, fold_exact(places)) for key, places in sorted(groups.items()))


@pytest.fixture
def work(request, job, tmp_path):
    """The job of that name on a text of a third of a megabyte."""
    name, path = request.param, tmp_path / "text"
    if name == "stats":
        rows = make_rows(17, 20_000, 4000, lambda dice: simple_number(dice, 9))
        path.write_bytes(text_of(rows))
        return Work(["stats"], path, stats_expected(rows), "25K")
    text = make_text(300_000, seed=23)
    path.write_bytes(text)
    if name == "wordcount":
        return Work(["wordcount"], path, counts(text), "25K")
    groups = grouped((word[:2], place) for word, place in words_and_places(text))
    return Work(["run", job("fold"), "--by", name], path, folded(groups), "25K")


JOBS = pytest.mark.parametrize("work", ["wordcount", "stats", "exact", "many"], indirect=True)


@JOBS
def test_the_same_bytes(work, monkeypatch):
    work.check(SOME, ["file", "folder/", "file", "folder/", "folder/"], monkeypatch)


@pytest.mark.slow
@JOBS
def test_the_same_bytes_over_the_whole_product(work, monkeypatch):
    work.check(EVERY, ["file"], monkeypatch)
    work.check(EVERY, ["folder/"], monkeypatch)


# -------------------------------------------------------------------------------------------------------- hostile keys


def colliding(count):
    """Keys of 20 bytes with one value of h = 31 h + byte, others with one of h = 33 h + byte, and others whose words of
    4 bytes have one sum and one exclusive or."""
    dice, keys = random.Random(2), []
    for _ in range(count // 3):
        for factor, first in ((31, 65), (33, 97)):
            steps = [dice.randrange(7) for _ in range(10)]
            keys.append(b"".join(bytes((first + step, 240 - factor * step)) for step in steps))
        lanes = [dice.sample(b"abcde", 5) for _ in range(4)]
        keys.append(bytes(lanes[i % 4][i // 4] for i in range(20)))
    return keys


def of_one_part(count):
    """Keys that all go to the same part of 64, as the program itself says, among 64 times as many."""
    text = b"".join(b"key %d\t1\n" % i for i in range(64 * count))
    good("stats", "--sorter", "simple", "-p", "64", "-o", "all-parts/", text=text)
    return [line.split(b"\t")[0] for line in parts_of("all-parts")["part-00000"].splitlines()]


def of_lengths(*lengths):
    """Keys of these lengths, which differ in the first, the middle and the last byte, or are a prefix of another."""
    keys = []
    for length in lengths:
        for at in (0, length // 2, length - 1) if length else ():
            keys += [b"x" * at + bytes((byte,)) + b"x" * (length - at - 1) for byte in (1, 65, 120, 121, 255)]
        keys.append(b"x" * length)
    return keys


def repeated(keys, count):
    """So many keys, drawn from these."""
    return random.Random(6).choices(keys, k=count)


HOSTILE = {
    "colliding": lambda: repeated(colliding(6000), 12_000),
    "all to one part": lambda: repeated(of_one_part(400), 8_000),
    "one prefix of 16 bytes": lambda: repeated([b"0123456789abcdef%d" % i for i in range(5000)], 12_000),
    "one prefix of 64 bytes": lambda: repeated([b"0123456789abcdef" * 4 + b"%d" % i for i in range(2000)], 6_000),
    "NUL bytes": lambda: repeated([b"\0" * n + end for n in range(130) for end in (b"", b"\1", b"a\0")], 8_000),
    "lengths at the borders": lambda: repeated(of_lengths(0, 1, 22, 23, 24, 25, 95, 96, 97, 5000), 4_000),
    "one short key": lambda: [b"the"] * 20_000,
    "one long key": lambda: [b"a key that is longer than a slot"] * 12_000,
    "all different": lambda: random.Random(4).sample([b"%x" % (i * i) for i in range(15_000)], 15_000),
    "all different and long": lambda: [b"%030d%s" % (i, b"-" * (i % 90)) for i in range(4_000)],
    "in order": lambda: [b"%06d" % (i // 2) for i in range(15_000)],
    "in reverse order": lambda: [b"%06d" % (i // 2) for i in range(15_000, 0, -1)],
}


@pytest.mark.parametrize("name", [*list(HOSTILE)[:7], *(pytest.param(k, marks=pytest.mark.slow) for k in list(HOSTILE)[7:])])
def test_hostile_keys(name, job, tmp_path, monkeypatch):
    keys, points = HOSTILE[name](), SOME[:]
    random.Random(name).shuffle(points)
    text, values = b"".join(key + b"\n" for key in keys), itertools.cycle((b"1", b"-2.5", b"30.25"))
    rows = list(zip(keys, values))
    (tmp_path / "keys").write_bytes(text)
    (tmp_path / "rows").write_bytes(text_of(rows))
    places = itertools.accumulate((len(key) + 1 for key in keys), initial=0)
    fold = ["run", job("fold"), "--key", "line", "--by"]
    by_places = folded(grouped(zip(keys, places)))
    split = f"{len(text) // 10}"
    for command, source, expected in ((["wordcount"], "keys", counts(text)), (["stats"], "rows", stats_expected(rows)),
                                      ([*fold, "exact"], "keys", by_places), ([*fold, "many"], "keys", by_places)):
        points = points[2:] + points[:2]
        Work(command, source, expected, split).check(points[:1], ["file", "folder/"], monkeypatch)
