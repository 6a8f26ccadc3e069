"""What a job decides about its keys: order, groups, part files, values in order; and combiners. The job is
tests/jobs/order.c. Everything is held against the sequential reference; where Python or GNU sort does the same thing,
against that, too.
"""

import functools
import itertools
import json
import os
import random
import subprocess

import pytest

from conftest import good, lines_of, message, parts_of, run

pytestmark = pytest.mark.usefixtures("trace")

# With 22M a worker's share of the reduce does not hold a bucket of the large input: it is sorted in pieces and merged.
ENGINES = [("-w", "1"), ("-w", "3"), ("-w", "3", "--memory", "22M"), ("-w", "1", "-p", "5"), ("-w", "3", "-p", "40")]


def some_lines(count=4000, seed=1):
    """Keys "field|more" of few letters in both cases, numbers, empty ones; some longer than what splitters hold."""
    dice = random.Random(seed)
    lines = []
    for i in range(count):
        field = dice.choice(
            [
                b"%d" % dice.randrange(-40, 300),
                bytes(dice.choices(b"abAB", k=dice.randint(0, 4))),
                b"x" * dice.choice((1, 255, 256, 257, 300)),
            ]
        )
        rest = dice.choice([b"", b"|", b"|%d" % dice.randrange(30), b"|Q", b"|q"])
        lines.append(b"%s%s\t%d\n" % (field, rest, dice.randrange(90)))
    return lines


@pytest.fixture
def lines(tmp_path):
    written = some_lines()
    (tmp_path / "pairs").write_bytes(b"".join(written))
    return written


@pytest.fixture(scope="session")
def large(tmp_path_factory):
    """Sixteen megabytes, for runs whose buckets do not fit into memory."""
    path = tmp_path_factory.mktemp("large") / "pairs"
    lines = some_lines(60000, 2)
    path.write_bytes(b"".join(lines) * (16_000_000 // sum(map(len, lines))))
    return path


def order(job, *options):
    return ("run", job("order"), *options)


def split(line):
    key, _, value = line[:-1].partition(b"\t")
    return key, value


def number(key):
    """What the job's order `number` makes of a key."""
    try:
        return int(key.partition(b"|")[0])
    except ValueError:
        return 0


ORDERS = {
    "byte": lambda a, b: (a > b) - (a < b),
    "reverse": lambda a, b: (b > a) - (b < a),
    "case": lambda a, b: (a.lower() > b.lower()) - (a.lower() < b.lower()),
    "number": lambda a, b: number(a) - number(b),
}


@pytest.mark.parametrize("by", ["none", "join", "sum", "fold", "count", "first", "combined"])
@pytest.mark.parametrize("group", ["none", "field", "beyond", "half"])
@pytest.mark.parametrize("name", ORDERS)
def test_as_the_reference(name, group, by, lines, job):
    for values in ([], ["--values"]) if by in ("none", "join", "first") else ([],):
        args = order(job, "pairs", "--order", name, "--group", group, "--by", by, *values)
        expected = good(*args, "--sorter", "simple")
        assert expected
        for engine in ENGINES[1::2]:
            assert good(*args, "--split-size", "10K", *engine) == expected


@pytest.mark.parametrize("values", [False, True])
@pytest.mark.parametrize("name", ORDERS)
def test_order_is_stable(name, values, lines, job):
    """Python's sort is stable, too."""
    by = functools.cmp_to_key(ORDERS[name])
    expected = sorted(lines, key=lambda line: (by(split(line)[0]), split(line)[1] if values else b""))
    args = order(job, "pairs", "--order", name, *(["--values"] if values else []))
    for engine in (("--sorter", "simple"), *ENGINES):
        assert good(*args, "--split-size", "20K", *engine) == b"".join(expected)


@pytest.mark.parametrize("name", ["byte", "case", "number"])
def test_groups(name, lines, job):
    """Secondary sort: groups by field, whole keys in order within them, each value behind its own key."""
    by = functools.cmp_to_key(ORDERS[name])
    pairs = sorted(map(split, lines), key=lambda pair: (by(pair[0].partition(b"|")[0]), by(pair[0])))
    expected = []
    for _, group in itertools.groupby(pairs, key=lambda pair: by(pair[0].partition(b"|")[0])):
        group = list(group)
        expected.append(b"%s\t%s\n" % (group[0][0], b"".join(b"%s=%s," % pair for pair in group)))
    args = order(job, "pairs", "--order", name, "--group", "field", "--by", "join")
    for engine in (("--sorter", "simple"), *ENGINES):
        assert good(*args, "--split-size", "20K", *engine) == b"".join(expected)


def test_as_gnu_sort(job, words_file, tmp_path):
    """Words, upside down and by the value of small letters, as `sort -r` and `sort -f` have them."""
    words = sorted(set(word for word in words_file.read_bytes().split() if word.isalnum()))
    dice = random.Random(5)
    dice.shuffle(words)
    (tmp_path / "words").write_bytes(b"".join(b"%s\t\n" % word for word in words))
    for name, option in (("reverse", "-r"), ("case", "-f")):
        done = subprocess.run(["sort", "-s", option, "words"], env={**os.environ, "LC_ALL": "C"}, capture_output=True)
        assert good(*order(job, "words", "--order", name, "-w", "2", "--split-size", "64K")) == done.stdout


@pytest.mark.parametrize("args", ["--order case", "--order number --values", "--group field --by join", "--values",
                                  "--order case --group field --by join"])
def test_more_than_memory(args, large, job, tmp_path):
    args = order(job, large, *args.split())
    good(*args, "--sorter", "simple", "-o", "expected")
    good(*args, "-w", "2", "--memory", "22M", "-p", "2", "-o", "out", "--stats", "stats.json")
    assert (tmp_path / "out").read_bytes() == (tmp_path / "expected").read_bytes()
    assert json.loads((tmp_path / "stats.json").read_text())["memory"]["merge_passes"] > 0


@pytest.mark.parametrize("name, group, part", list(itertools.product(["byte", "case"], ["none", "field"], ["none", "first"])))
def test_folders(name, group, part, lines, job):
    args = order(job, "pairs", "--order", name, "--group", group, "--part", part, "--by", "join", "--split-size", "10K")
    for partitions in ("1", "7", "64"):
        good(*args, "-p", partitions, "--sorter", "simple", "-o", "expected/", "--overwrite")
        expected = parts_of("expected")
        for engine in (("-w", "1"), ("-w", "3"), ("-w", "3", "--memory", "22M")):
            good(*args, "-p", partitions, *engine, "-o", "out/", "--overwrite")
            assert parts_of("out") == expected
        keys = [line.split(b"\t")[0] for name in sorted(expected) for line in lines_of(expected[name])]
        if part == "first":
            for index, name_of_part in enumerate(sorted(expected)):
                for line in lines_of(expected[name_of_part]):
                    first = line.split(b"\t")[0].partition(b"|")[0][:1].lower()
                    if group == "field" or line[:1] != b"|":
                        assert (first[0] if first else 0) % int(partitions) == index
        elif name == "case":  # one sorted sequence, and no group in two files
            whole = good(*args, "--sorter", "simple")
            assert keys == [line.split(b"\t")[0] for line in lines_of(whole)]
            assert b"".join(expected[name] for name in sorted(expected)) == whole


def test_a_partitioner_with_an_aggregate(lines, job):
    """The combining table parts its entries by it, too."""
    for partitions in ("1", "7"):
        args = order(job, "pairs", "--part", "first", "--by", "sum", "-p", partitions, "--split-size", "10K")
        good(*args, "--sorter", "simple", "-o", "expected/", "--overwrite")
        for engine in (("-w", "3"), ("-w", "2", "--sorter", "shared")):
            good(*args, *engine, "-o", "out/", "--overwrite")
            assert parts_of("out") == parts_of("expected")


@pytest.mark.parametrize("by", ["none", "sum", "join"])
def test_a_part_that_there_is_not(by, lines, job):
    args = order(job, "pairs", "--part", "out", "--by", by, "-p", "4")
    assert good(*args) == good(*order(job, "pairs", "--by", by))  # to one file it is not asked
    for sorter in ("plex", "simple", "shared"):
        assert "into part 4 of 4" in message(run(*args, "--sorter", sorter, "-o", "out/"), 5)
    assert not os.path.exists("out")


@pytest.mark.parametrize("name", ["wild", "never"])
@pytest.mark.parametrize("by", ["none", "join", "combined"])
def test_orders_that_contradict_themselves(name, by, lines, large, job):
    """Some order: but it ends, and no pair is lost or comes twice."""
    for engine in (("--sorter", "simple"), *ENGINES[1:4]):
        out = good(*order(job, "pairs", "--order", name, "--by", by, "--split-size", "10K", *engine))
        if by == "none":
            assert sorted(out.splitlines(True)) == sorted(lines)
        elif by == "join":
            values = b"".join(line.partition(b"\t")[2] for line in lines_of(out))
            assert sorted(values.split(b",")[:-1]) == sorted(b"%s=%s" % split(line) for line in lines)
    if by == "none":
        good(*order(job, large, "--order", name, "-w", "2", "--memory", "22M", "-p", "2", "-o", "out"))
        assert os.path.getsize("out") == os.path.getsize(large)


def test_what_cannot_be_had(lines, job):
    for args in ("--order case --sorter shared", "--group field --sorter shared", "--values --sorter shared",
                 "--part first --sorter total", "--by sum --values"):
        assert "the job order" in message(run(*order(job, "pairs", *args.split())), 2)


# ------------------------------------------------------------------------------------------------------- combiners


@pytest.fixture
def counted(tmp_path):
    """Pairs whose keys repeat, then pairs whose keys do not, then both, and one pair longer than a window."""
    dice = random.Random(7)
    pairs = [(b"k%d" % int(dice.paretovariate(0.8)), dice.randrange(-9, 99)) for _ in range(60000)]
    pairs += [(b"once%d" % index, 1) for index in range(60000)] + pairs[:40000]
    pairs.insert(50000, (b"long" * 100000, 1))
    sums = {}
    for key, value in pairs:
        sums[key] = sums.get(key, 0) + value
    (tmp_path / "counted").write_bytes(b"".join(b"%s\t%d\n" % pair for pair in pairs))
    return b"".join(b"%s\t%d\n" % pair for pair in sorted(sums.items()))


def written_pairs(tmp_path):
    counters = json.loads((tmp_path / "stats.json").read_text())["counters"]
    assert counters["map_pairs"] == 160001
    return counters["run_pairs"]


@pytest.mark.parametrize("by", ["combined", "wide"])
def test_combiners(by, counted, job, tmp_path):
    """What is written is the same with any number of workers and any memory: it depends on the task's pairs alone."""
    args = order(job, "counted", "--by", by, "--stats", "stats.json", "--split-size", "700K")
    assert good(*args, "--sorter", "simple") == counted
    written = set()
    for engine in (*ENGINES, ("--sorter", "shared", "-w", "3")):
        assert good(*args, *engine) == counted
        written.add(written_pairs(tmp_path))
    assert len(written) == 1
    assert written.pop() < 110000 or by == "wide"


def test_combiners_see_equal_keys(counted, job, tmp_path):
    for options in ("--order case", "--order number", "--group half --order case"):
        args = order(job, "counted", "--by", "combined", "--split-size", "700K", *options.split())
        expected = good(*args, "--sorter", "simple")
        assert good(*args, "-w", "3") == expected == good(*args, "-w", "2", "--memory", "22M")


def test_a_combiner_that_fails(counted, job):
    assert "the combiner does not like it" in message(run(*order(job, "counted", "--by", "late")), 5)
