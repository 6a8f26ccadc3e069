"""Jobs of the user's own, with each kind of reducer and none, over sorters, workers and splits: the same bytes as a
computation in Python. The jobs are the plug-ins of tests/jobs.
"""

import collections
import fractions
import itertools
import math
import random
import re

import pytest

from conftest import counts, good, lines_of, message, parts_of, run

pytestmark = pytest.mark.usefixtures("trace")

SORTERS = ("simple", "plex", "shared")
# sorter, workers, split size, partitions: few, and each unlike the others
WAYS = [
    ("simple", "1", "16M", "1"),
    ("simple", "1", "10K", "5"),
    ("plex", "1", "16M", "1"),
    ("plex", "1", "30K", "7"),
    ("plex", "2", "100K", "64"),
    ("plex", "3", "1M", "1"),
    ("plex", "8", "20K", "9"),
    ("shared", "1", "16M", "1"),
    ("shared", "2", "50K", "7"),
    ("shared", "3", "300K", "64"),
]
FEW_WAYS = [WAYS[i] for i in (0, 4, 6, 8)]


def results(plug_in, source, *args, ways=WAYS, **more):
    """The output of each way in turn, with the way."""
    for sorter, workers, split, partitions in ways:
        yield good(
            "run",
            plug_in,
            source,
            "--sorter",
            sorter,
            "-w",
            workers,
            "--split-size",
            split,
            "-p",
            partitions,
            *args,
            **more,
        ), (sorter, workers, split, partitions)


def check(expected, plug_in, source, *args, **more):
    for output, way in results(plug_in, source, *args, **more):
        assert output == expected, (way, len(output), len(expected))


def words_and_places(text):
    return [(match.group(), match.start()) for match in re.finditer(rb"[^ \t\n\v\f\r]+", text)]


def grouped(pairs):
    groups = collections.defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return groups


def lines(pairs):
    return b"".join(key + b"\t" + value + b"\n" for key, value in pairs)


# ---------------------------------------------------------------------------------------------------------------- order


def test_values_come_in_plan_order(job, words, words_file):
    """A general reducer sees the values in the order of the input, however it was cut and whoever mapped it."""
    groups = grouped((word[:1], word) for word, _ in words_and_places(words))
    expected = lines((key, b" ".join(values) + b" ") for key, values in sorted(groups.items()))
    check(expected, job("places"), words_file, "--by", "join")


def test_no_reducer(job, words, words_file):
    """The pairs themselves, in key order, values in plan order."""
    groups = grouped((word[:2], b"%d" % place) for word, place in words_and_places(words))
    expected = lines((key, value) for key, values in sorted(groups.items()) for value in values)
    check(expected, job("places"), words_file, "--by", "none")


def test_map_only(job, words, words_file):
    """What mappers emit comes out in plan order."""
    place, expected = 0, []
    for line in words.split(b"\n"):
        expected.append((line, b"%d" % place))
        place += len(line) + 1
    check(lines(expected), job("places"), words_file, "--by", "map")


def test_map_only_to_a_folder(job, words_file, words):
    """A part for each map task; one after another they are the output to a file."""
    whole = good("run", job("places"), words_file, "--by", "map")
    reference = None
    for sorter, workers, split, _ in WAYS:
        if split == "100K":
            good(
                "run",
                job("places"),
                words_file,
                "--by",
                "map",
                "--sorter",
                "simple",
                "--split-size",
                split,
                "-o",
                "ref/",
            )
            reference = parts_of("ref")
            good(
                "run",
                job("places"),
                words_file,
                "--by",
                "map",
                "--sorter",
                sorter,
                "-w",
                workers,
                "--split-size",
                split,
                "-o",
                "out/",
            )
            assert parts_of("out") == reference
            assert b"".join(reference[name] for name in sorted(reference)) == whole
            assert len(reference) == -(-len(words) // (100 << 10))
    assert reference


def test_several_inputs_keep_their_order(job, words, tmp_path):
    """Files of all sizes, packed into tasks and cut into several, named in an order that is not that of their names."""
    dice = random.Random(5)
    names, whole, rest = [], [], words.split(b"\n")
    while rest:
        count = dice.choice((1, 2, 5, 30, 1000, 5000))
        piece, rest = b"\n".join(rest[:count]), rest[count:]
        if not piece:
            continue
        name = f"{dice.randrange(10**6)}-{len(names)}"
        (tmp_path / name).write_bytes(piece)
        names.append(name)
        whole.append(piece)
    assert len(names) > 10
    groups = grouped((word[:1], word) for piece in whole for word in piece.split())
    expected = lines((key, b" ".join(values) + b" ") for key, values in sorted(groups.items()))
    for sorter, workers, split, partitions in FEW_WAYS:
        assert (
            good(
                "run",
                job("places"),
                *names,
                "--by",
                "join",
                "--sorter",
                sorter,
                "-w",
                workers,
                "--split-size",
                split,
                "-p",
                partitions,
            )
            == expected
        )


# ----------------------------------------------------------------------------------------------------------- aggregates


def fold_in_order(values):
    mix, least = 7, 2**63 - 1
    for value in values:
        mix = (mix ^ value) * 1099511628211 % 2**64
        least = min(least, value)
    return b"%x %d %d" % (mix, len(values), least)


def fold_exact(values):
    mix = 7
    for value in values:
        mix ^= value * 1099511628211 % 2**64
    return b"%x %d %d" % (mix, len(values), min(values))


@pytest.mark.parametrize("by", ["order", "order_f64", "order_bytes", "exact", "many"])
def test_aggregates_of_the_users_own(by, job, words, words_file):
    groups = grouped((word[:2], place) for word, place in words_and_places(words))
    fold = fold_in_order if by.startswith("order") else fold_exact
    expected = lines((key, fold(values)) for key, values in sorted(groups.items()))
    check(expected, job("fold"), words_file, "--by", by)


def test_sums_of_doubles_are_exact(job, tmp_path):
    """Whatever the order, the rounded true sum: 1e16 + 1 - 1e16 is 1, at every grouping."""
    dice = random.Random(11)
    values = {
        "cancels": [1e16, 1.0, -1e16] * 300,
        "tiny": [5e-324] * 1001,
        "huge": [1.7e308, 1.7e308, -1.7e308, -1.7e308],
        "mixed": [dice.uniform(-1, 1) * 10.0 ** dice.randint(-300, 300) for _ in range(5000)],
        "tenths": [0.1] * 1000,
        "zero": [0.0, -0.0],
        "key longer than twenty-three bytes": [0.1, 0.2, 0.3],
    }
    pairs = [(key, value) for key, numbers in values.items() for value in numbers]
    outputs = set()
    for order in range(3):
        dice.shuffle(pairs)
        (tmp_path / "in").write_text("".join(f"{key}\t{value!r}\n" for key, value in pairs))
        for emit in ("text", "f64"):
            outputs |= {
                output
                for output, _ in results(
                    job("numbers"), "in", "--by", "sum_f64", "--emit", emit, ways=WAYS if not order else FEW_WAYS
                )
            }
    assert len(outputs) == 1
    found = dict(line.split(b"\t") for line in lines_of(outputs.pop()))
    true = {key: float(sum(map(fractions.Fraction, numbers))) for key, numbers in values.items()}
    assert {key.decode(): float(value) for key, value in found.items()} == true


def test_sums_of_integers(job, tmp_path):
    """Overflow on the way does not matter, the true sum does: it is judged at the end."""
    most, least = 2**63 - 1, -(2**63)
    values = {
        "up and down": [most] * 40 + [least] * 40 + [41],
        "at the top": [most, 1, -1],
        "at the bottom": [least, -1, 1],
        "a key longer than twenty-three bytes": [most, most, least, least, 5],
        "": [most, 1, -1],
        "x": [-7],
    }
    pairs = [(key, value) for key, numbers in values.items() for value in numbers]
    random.Random(3).shuffle(pairs)
    (tmp_path / "in").write_text("".join(f"{key}\t{value}\n" for key, value in pairs))
    expected = lines((key.encode(), b"%d" % sum(numbers)) for key, numbers in sorted(values.items()))
    ways = [
        (sorter, workers, split, "3")
        for sorter in SORTERS
        for workers, split in (("1", "16M"), ("2", "20"), ("3", "300"))
    ]
    for emit in ("text", "i64"):
        check(expected, job("numbers"), "in", "--emit", emit, ways=ways)


@pytest.mark.parametrize("sorter", SORTERS)
def test_a_sum_that_does_not_fit_names_its_key(sorter, job, tmp_path):
    (tmp_path / "in").write_text(f"fine\t1\ntoo much\t{2**63 - 1}\ntoo much\t1\nfine\t2\n")
    (tmp_path / "out").write_bytes(b"old")
    done = run("run", job("numbers"), "in", "--sorter", sorter, "-o", "out", "--overwrite")
    line = message(done, 3)
    assert '"too much"' in line and "does not fit 64 bits" in line and "sum_i64" in line
    assert (tmp_path / "out").read_bytes() == b"old"


@pytest.mark.parametrize("by, fold", [("min_i64", min), ("max_i64", max), ("count", len)])
def test_extremes_of_integers(by, fold, job, tmp_path):
    dice = random.Random(4)
    values = {f"k{i}": [dice.randint(-(2**63), 2**63 - 1) for _ in range(dice.randint(1, 60))] for i in range(300)}
    values["ends"] = [-(2**63), 2**63 - 1, 0]
    pairs = [(key, value) for key, numbers in values.items() for value in numbers]
    dice.shuffle(pairs)
    (tmp_path / "in").write_text("".join(f"{key}\t{value}\n" for key, value in pairs))
    expected = lines((key.encode(), b"%d" % fold(numbers)) for key, numbers in sorted(values.items()))
    for emit in ("text", "i64"):
        check(expected, job("numbers"), "in", "--by", by, "--emit", emit, ways=FEW_WAYS)


def test_extremes_of_doubles(job, tmp_path):
    values = {"a": [1.5, -2.0, 3e300], "b": [0.0, -0.0], "c": [-0.0, 0.0], "d": [math.inf, -math.inf, 1], "e": [5e-324]}
    pairs = [(key, value) for key, numbers in values.items() for value in numbers]
    (tmp_path / "in").write_text("".join(f"{key}\t{value!r}\n" for key, value in pairs))
    for by, expected in (
        ("min_f64", {"a": "-2.0", "b": "-0.0", "c": "-0.0", "d": "-inf", "e": "5e-324"}),
        ("max_f64", {"a": "3e+300", "b": "0.0", "c": "0.0", "d": "inf", "e": "5e-324"}),
    ):
        outputs = {output for output, _ in results(job("numbers"), "in", "--by", by, ways=FEW_WAYS)}
        assert len(outputs) == 1
        found = dict(line.split("\t") for line in outputs.pop().decode().splitlines())
        assert {key: repr(float(value)) for key, value in found.items()} == expected


@pytest.mark.parametrize("value", ["", "x", "1x", "1.5", " 1", "9223372036854775808", "nan", "1e3", "--1", "1\x00"])
@pytest.mark.parametrize("sorter", ["simple", "plex"])
def test_text_that_is_no_integer(sorter, value, job, tmp_path):
    """The value is shown, and where its text lies."""
    (tmp_path / "in").write_text(f"key\t1\nkey\t{value}\n", newline="")
    line = message(run("run", job("numbers"), "in", "--sorter", sorter), 3)
    assert "is not an integer" in line and re.search(r"\bin:\d+:", line), line


def test_a_bad_record_is_named(job, tmp_path):
    (tmp_path / "in").write_bytes(b"key\t1\nkey 2\nkey\t3\n")
    for sorter in SORTERS:
        line = message(run("run", job("numbers"), "in", "--sorter", sorter), 3)
        assert "in:6: " in line and "there is no tab (map task 0" in line


# ------------------------------------------------------------------------------------------------------ keys and values


def hexed(pairs):
    return b"".join(key.hex().encode() + b"\t" + value.hex().encode() + b"\n" for key, value in pairs)


def hostile_keys():
    dice = random.Random(8)
    keys = [b"", b"\0", b"\0\0", b"a", b"a\0", b"a\0\0", b"a\0b", b"\xff", b"\xff" * 8, b"\xff" * 16, b"\xff" * 17]
    keys += [b"k" * length for length in (7, 8, 9, 15, 16, 17, 22, 23, 24, 25, 31, 32, 33, 254, 255, 256, 1000)]
    keys += [b"the same sixteen" + b"%d" % i for i in range(3000)]
    keys += [b"the same beginning of a key that is longer than a slot %d" % i for i in range(500)]
    keys += [b"the same sixteen" + b"\0" * i for i in range(60)]
    keys += [bytes(dice.choices(range(256), k=dice.randint(0, 40))) for _ in range(3000)]
    keys += [b"\t", b"\n", b"a\tb", b"a\nb", b"\\"]
    return keys


@pytest.mark.parametrize("by", ["count", "text"])
def test_hostile_keys_are_counted(by, job, tmp_path):
    pairs = [(key, b"") for key in hostile_keys() for _ in range(1 + len(key) % 3)]
    random.Random(9).shuffle(pairs)
    (tmp_path / "in").write_bytes(hexed(pairs))
    expected = lines((key, b"%d" % n) for key, n in sorted(collections.Counter(key for key, _ in pairs).items()))
    check(expected, job("keys"), "in", "--by", by)


@pytest.mark.parametrize("by", ["join", "first", "none"])
def test_hostile_keys_are_grouped(by, job, tmp_path):
    """Nine pairs in ten are one of the hostile keys, values of any bytes and of none."""
    dice = random.Random(10)
    keys = hostile_keys()
    pairs = [(dice.choice(keys), bytes(dice.choices(range(256), k=dice.choice((0, 1, 5, 300))))) for _ in range(12000)]
    (tmp_path / "in").write_bytes(hexed(pairs))
    groups = sorted(grouped(pairs).items())
    if by == "join":
        expected = lines((key, b"".join(value + b"," for value in values)) for key, values in groups)
    elif by == "first":
        expected = lines((key, values[0]) for key, values in groups)
    else:
        expected = lines((key, value) for key, values in groups for value in values)
    check(expected, job("keys"), "in", "--by", by)


def test_what_a_reducer_emits_keeps_its_order(job, tmp_path):
    """Through the slots, past them, with keys too long for them: one after another, as it was emitted."""
    dice = random.Random(12)
    pairs = [(dice.choice([b"a", b"b", b"c" * 30]), b"%d" % dice.randrange(1000)) for _ in range(3000)]
    (tmp_path / "in").write_bytes(hexed(pairs))
    expected, longer = [], b"a key that is longer than a slot"
    for key, values in sorted(grouped(pairs).items()):
        for i, value in enumerate(values):
            expected += [(key, b"%d" % i), (key, value), (longer, b"%r.5" % i), (longer, b"%d" % -i)]
    check(lines(expected), job("keys"), "in", "--by", "each", ways=FEW_WAYS)


def test_one_key_for_all(job, tmp_path):
    pairs = [(b"all the same", b"%d" % i) for i in range(30000)]
    (tmp_path / "in").write_bytes(hexed(pairs))
    check(b"all the same\t30000\n", job("keys"), "in", "--by", "count", ways=FEW_WAYS)
    check(
        lines([(b"all the same", b"".join(value + b"," for _, value in pairs))]),
        job("keys"),
        "in",
        "--by",
        "join",
        ways=FEW_WAYS,
    )


def test_large_keys_and_values(job, tmp_path):
    """Keys of a megabyte that differ in their last byte, values of ten megabytes, beside small ones."""
    megabyte = bytes(range(1, 256)) * 4112
    pairs = [
        (b"small", b"1"),
        (megabyte + b"b", b"x"),
        (megabyte + b"a", b"y"),
        (b"value", b"v" * 10_000_000),
        (megabyte + b"b", b"z"),
        (b"value", b""),
        (b"value", b"w" * 10_000_000),
        (megabyte, b""),
        (b"small", b"2"),
    ]
    (tmp_path / "in").write_bytes(hexed(pairs))
    expected = lines(
        (key, b"".join(value + b"," for value in values)) for key, values in sorted(grouped(pairs).items())
    )
    ways = [
        ("simple", "1", "16M", "1"),
        ("plex", "1", "1M", "1"),
        ("plex", "3", "64K", "7"),
        ("shared", "2", "1M", "3"),
    ]
    check(expected, job("keys"), "in", "--by", "join", ways=ways)
    counted = lines((key, b"%d" % len(values)) for key, values in sorted(grouped(pairs).items()))
    check(counted, job("keys"), "in", "--by", "count", ways=ways)


@pytest.mark.slow
def test_more_pairs_than_a_worker_holds(job, tmp_path):
    """Several runs of one task: a task has more pairs, and more distinct keys, than a worker keeps at a time."""
    with open(tmp_path / "in", "wb") as file:
        for i in range(3_000_000):
            file.write(b"%07x0\t%04x\n" % (i * 2654435761 % 2**28, i % 65536))
    for by in ("count", "none"):
        reference = good("run", job("keys"), "in", "--by", by, "--sorter", "simple", limit=200)
        for workers, split in (("1", "100M"), ("2", "7M")):
            assert good("run", job("keys"), "in", "--by", by, "-w", workers, "--split-size", split) == reference


# --------------------------------------------------------------------------------------------------- pieces of the text


def both(job, source, by):
    for sorter in ("simple", "plex"):
        yield good("run", job("pieces"), source, "--by", by, "--sorter", sorter)


def test_words_of_fields(job, tmp_path):
    """A field's words are those between its separators, though the text's words reach over them."""
    text = b"alice |bob |carol\na|b|c\n |x y| z\n|||\nlast one |\n" * 2000
    (tmp_path / "in").write_bytes(text)
    expected = []
    for line in text.splitlines():
        for field in line.split(b"|"):
            expected.append((b"[", b""))
            expected += [(b"field", word) for word in field.split()]
    for output in both(job, "in", "fields"):
        assert output == lines(expected)


def test_words_of_half_a_line_and_of_the_whole(job, words, tmp_path):
    text = b"ab cd\nx\n\nabc  \n" + words[:60000] + b"\n"
    (tmp_path / "in").write_bytes(text)
    expected = []
    for line in text.split(b"\n")[:-1]:
        expected += [(b"half", word) for word in line[: len(line) // 2].split()]
        expected += [(b"whole", word) for word in line.split()]
    for output in both(job, "in", "peek"):
        assert output == lines(expected)


def test_lines_of_half_a_text_and_of_the_whole(job, words, tmp_path):
    text = (b"a\nbb\n\nccc\n" + words[:60000]).rstrip(b"\n") + b"\n"
    (tmp_path / "in").write_bytes(text)
    half = text[: len(text) // 2]
    expected = [(b"half", line) for line in (half[:-1] if half.endswith(b"\n") else half).split(b"\n")]
    rest = text
    while rest:
        line, _, rest = rest.partition(b"\n")
        expected.append((b"whole", line))
        if rest:
            expected.append((b"begun", rest[:2].partition(b"\n")[0]))
    for output in both(job, "in", "lines"):
        assert output == lines(expected)


def test_words_from_back_to_front(job, words, tmp_path):
    text = words[:60000]
    (tmp_path / "in").write_bytes(text)
    expected = [(b"back", word) for line in reversed(text.split(b"\n")) for word in line.split()]
    for output in both(job, "in", "back"):
        assert output == lines(expected)


# ---------------------------------------------------------------------------------------------------- what code returns


@pytest.mark.parametrize("sorter", SORTERS)
@pytest.mark.parametrize("at, kind", [("map", "sum"), ("begin", "sum"), ("end", "general"), ("reduce", "general")])
def test_a_failure_with_a_message(at, kind, sorter, job, tmp_path):
    (tmp_path / "in").write_bytes(b"one two\nthree ! four\n")
    line = message(run("run", job("faulty"), "in", "--how", "fail", "--at", at, "--kind", kind, "--sorter", sorter), 3)
    assert 'the word is "!"' in line
    assert ("reduce task 0" if at == "reduce" else "map task 0") in line
    if at == "map":
        assert "in:14:" in line


@pytest.mark.parametrize("sorter", SORTERS)
@pytest.mark.parametrize(
    "returned, code", [(50, 5), (22, 3), (30, 4), (1, 5), (7, 5), (99, 5), (-3, 5), (60, 5), (61, 5), (71, 5)]
)
@pytest.mark.parametrize("at, kind", [("map", "sum"), ("reduce", "general")])
def test_what_a_function_returns(at, kind, returned, code, sorter, job, tmp_path):
    """A status that is nobody's to return is the user's failure, not a fault of PapJuice, a "no" or an interruption."""
    if returned < 0:
        returned += 1 << 31  # the test's job reads numbers without a sign
    (tmp_path / "in").write_bytes(b"one two\nthree ! four\n")
    done = run(
        "run", job("faulty"), "in", "--how", f"status={returned}", "--at", at, "--kind", kind, "--sorter", sorter
    )
    assert "task 0" in message(done, code)


@pytest.mark.parametrize("sorter", SORTERS)
def test_nothing_goes_wrong(sorter, job, words_file, words_counted):
    for kind in ("sum", "general"):
        assert good("run", job("faulty"), words_file, "--kind", kind, "--sorter", sorter, "-w", "3") == words_counted


def test_sorters_have_no_say_in_map_only(job, tmp_path):
    (tmp_path / "in").write_bytes(b"c b a a")
    for sorter, workers in itertools.product(SORTERS, "12"):
        assert (
            good("run", job("faulty"), "in", "--kind", "map", "--sorter", sorter, "-w", workers)
            == b"c\t1\nb\t1\na\t1\na\t1\n"
        )
    assert counts(b"c b a a") == good("run", job("faulty"), "in")
