"""The job `stats` against sums in exact fractions: numbers of all kinds, over sorters, workers, partitions, split sizes
and instruction sets; where lines are wrong, what is said about it.
"""
import fractions
import itertools
import json
import math
import random
import re

import pytest

from conftest import good, message, parts_of, run

pytestmark = pytest.mark.usefixtures("trace")

ISAS = ("plain", "avx2", "avx512")
MOST_PLACES = 342  # decimals behind these are dropped
NUMBER = re.compile(rb"([+-]?)(?=\.?[0-9])([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?")


# --------------------------------------------------------------------------------------------------------- the reference


class Number:
    """What a number's text says: its exact value, how many decimals, how many digits before the point."""

    def __init__(self, text):
        sign, whole, part, exponent = NUMBER.fullmatch(text).groups()
        digits, exponent = int((whole + (part or b"")) or b"0"), int(exponent or 0)
        scale = len(part or b"") - exponent
        self.places = max(scale, 0)
        dropped = max(scale - MOST_PLACES, 0)
        digits_kept = digits // 10 ** min(dropped, 5000)
        self.value = fractions.Fraction(digits_kept) * fractions.Fraction(10) ** (dropped - scale if dropped < 5000 else 0)
        self.value *= -1 if sign == b"-" else 1
        self.whole = max(len(str(digits)) - scale, 0) if digits else 0


def double(value):
    """The nearest double to a fraction, as text."""
    try:
        value = float(value)
    except OverflowError:
        return b"inf" if value > 0 else b"-inf"
    return repr(value or 0.0).removesuffix(".0").encode()


def decimal(value, places):
    scaled = value * 10**places
    assert scaled.denominator == 1
    digits = str(abs(scaled.numerator)).rjust(places + 1, "0")
    text = digits[: len(digits) - places] + ("." + digits[len(digits) - places :] if places else "")
    return (("-" if scaled < 0 else "") + text).encode()


def stats_of(texts):
    numbers = [Number(text) for text in texts]
    total, places = sum(number.value for number in numbers), max(number.places for number in numbers)
    exact = places <= 36 and all(number.whole <= 36 for number in numbers)
    least, most = min(number.value for number in numbers), max(number.value for number in numbers)
    total_text, least_text, most_text = (decimal(x, places) if exact else double(x) for x in (total, least, most))
    return b"\t".join((b"%d" % len(numbers), total_text, least_text, double(total / len(numbers)), most_text))


def expected(rows):
    groups = {}
    for key, text in rows:
        groups.setdefault(key, []).append(text)
    return b"".join(b"%s\t%s\n" % (key, stats_of(groups[key])) for key in sorted(groups))


def test_the_reference():
    """The reference itself, on what can be seen with the naked eye."""
    assert stats_of([b"1.5", b"-2.25", b"+7"]) == b"3\t6.25\t-2.25\t2.0833333333333335\t7.00"
    assert stats_of([b"1e3", b".5", b"5."]) == b"3\t1005.5\t0.5\t335.1666666666667\t1000.0"
    assert stats_of([b"1e300", b"-1e300", b"2.5e-3"]) == b"3\t0.0025\t-1e+300\t0.0008333333333333334\t1e+300"
    assert stats_of([b"-0.00"]) == b"1\t0.00\t0.00\t0\t0.00"
    assert stats_of([b"1e15", b"1e15"]) == b"2\t2000000000000000\t1000000000000000\t1000000000000000\t1000000000000000"


# ---------------------------------------------------------------------------------------------------------------- rows


def random_digits(dice, most):
    return bytes(dice.choices(b"0123456789", k=dice.randint(1, most)))


def simple_number(dice, most=4):
    """Digits, perhaps with a point, perhaps with a sign."""
    text = random_digits(dice, most)
    if dice.random() < 0.7:
        point = dice.randint(0, len(text))
        text = text[:point] + b"." + text[point:]
    return dice.choice((b"", b"", b"-", b"+")) + text


def any_number(dice):
    """All that is a number, with a liking for the borders between the forms in which they are kept."""
    kind = dice.randrange(8)
    if kind == 0:
        return b"%d" % dice.randint(-100, 100)
    if kind == 1:
        return simple_number(dice, 20)
    if kind == 2:
        return simple_number(dice, 60)
    if kind == 3:  # as programs write doubles
        return repr(dice.uniform(-1, 1) * 10.0 ** dice.randint(-320, 308)).encode()
    if kind == 4:
        return repr(dice.gauss(0, 1)).encode()
    if kind == 5:
        return simple_number(dice, 18) + dice.choice((b"e", b"E")) + b"%+d" % dice.randint(-25, 25)
    if kind == 6:  # around 17 digits, 18 decimals, 10^13, 10^36
        power = dice.choice((8, 12, 13, 16, 17, 18, 35, 36, 37))
        return dice.choice((b"-", b"")) + b"%d" % (10**power + dice.randint(-1, 1)) + dice.choice((b"", b".5", b"e-18", b"e-36"))
    return dice.choice((b"0", b"-0", b"0.000", b"1e308", b"-1.7976931348623157e308", b"5e-324", b"-2.5e-324", b"1e-342",
                        b"1.9e-342", b"1e-400", b"9007199254740993", b"0e9", b"0e-40", b"000000000000000000000000001.5",
                        b"99999999999999999", b"9999999999999.9999", b"0." + b"0" * 300 + b"123456789", b"1" * 300))


def make_key(dice, count):
    number = dice.randrange(count)
    return b"%d" % number if number % 3 else b"a key that is longer than a slot: " + b"x" * (number % 80) + b"%d" % number


def make_rows(seed, count, keys, number):
    dice = random.Random(seed)
    return [(make_key(dice, keys), number(dice)) for _ in range(count)]


def text_of(rows, separator=b"\t", end=b"\n"):
    return b"".join(key + separator + text + end for key, text in rows)


def ways(splits, partitions, seed, count):
    """Some of all ways to run it, in which each value of each axis occurs."""
    axes = ("plex", "shared"), ("1", "2", "3", "8"), partitions, splits, ISAS
    every, dice = list(itertools.product(*axes)), random.Random(seed)
    while True:
        chosen = dice.sample(every, count)
        if all(set(axis) == set(values) for axis, values in zip(zip(*chosen), axes)):
            return chosen


def check(source, wanted, monkeypatch, seed, count=16, *args):
    assert good("stats", source, "--sorter", "simple", *args) == wanted
    for sorter, workers, partitions, split, isa in ways(("3K", "100K", "16M"), ("1", "7", "64", "1000"), seed, count):
        monkeypatch.setenv("PAPJUICE_ISA", isa)
        done = good("stats", source, "--sorter", sorter, "-w", workers, "-p", partitions, "--split-size", split, *args)
        assert done == wanted, (sorter, workers, partitions, split, isa)


# --------------------------------------------------------------------------------------------------------------- tests


@pytest.mark.parametrize("keys", [1, 40, 3000])
def test_ordinary_numbers(keys, tmp_path, monkeypatch):
    """One decimal, as temperatures have."""
    rows = make_rows(keys, 12000, keys, lambda dice: b"%.1f" % dice.uniform(-99.9, 99.9))
    (tmp_path / "rows").write_bytes(text_of(rows))
    check("rows", expected(rows), monkeypatch, f"ordinary {keys}")


@pytest.mark.parametrize("keys", [1, 40, 3000])
def test_numbers_of_mixed_lengths(keys, tmp_path, monkeypatch):
    """Those that go through the slots, of all lengths and decimals."""
    rows = make_rows(keys, 12000, keys, lambda dice: simple_number(dice, 12))
    (tmp_path / "rows").write_bytes(text_of(rows))
    check("rows", expected(rows), monkeypatch, f"mixed {keys}")


@pytest.mark.parametrize("keys", [2, 60, 2000])
def test_all_kinds_of_numbers(keys, tmp_path, monkeypatch):
    rows = make_rows(keys, 6000, keys, any_number)
    (tmp_path / "rows").write_bytes(text_of(rows))
    check("rows", expected(rows), monkeypatch, f"all {keys}")


def test_few_numbers_of_each_kind(tmp_path):
    """Two or three numbers to a key, so that each result shows its numbers' forms."""
    dice = random.Random(11)
    rows = [(b"%d" % (i // dice.randint(2, 3)), any_number(dice)) for i in range(8000)]
    (tmp_path / "rows").write_bytes(text_of(rows))
    wanted = expected(rows)
    assert good("stats", "rows", "--sorter", "simple") == wanted
    assert good("stats", "rows", "-w", "3", "--split-size", "10K") == wanted


def test_many_of_the_largest(tmp_path):
    """Sums of the largest numbers of the slots, up, down, and both, which leaves next to nothing."""
    rows = [(b"up", b"9999999999999.999"), (b"down", b"-9999999999999.999"), (b"both", b"9999999999999"),
            (b"both", b"-9999999999999.0001")] * 20000
    (tmp_path / "rows").write_bytes(text_of(rows))
    wanted = expected(rows)
    for args in (("--sorter", "simple"), ("-w", "2", "--split-size", "200K"), ("--sorter", "shared", "--split-size", "1M")):
        assert good("stats", "rows", *args) == wanted


def test_columns(tmp_path):
    """Any columns, any separator; more columns than are asked for; CR at the end of a line."""
    dice = random.Random(4)
    columns = [[make_key(dice, 30), simple_number(dice), b"", simple_number(dice, 20), b"x" * dice.randint(0, 70)]
               for _ in range(3000)]
    for separator, end in ((b"\t", b"\n"), (b";", b"\r\n"), (b",", b"\n"), (b"\xff", b"\n"), (b"|", b"\r\n")):
        (tmp_path / "rows").write_bytes(b"".join(separator.join(row) + end for row in columns))
        given = ["--sep", separator.decode("utf-8", "surrogateescape")] if separator != b"\t" else []
        for key, value in ((1, 2), (1, 4), (2, 4), (4, 2), (5, 2), (2, 2), (3, 4)):
            wanted = expected([(row[key - 1], row[value - 1]) for row in columns])
            assert good("stats", "rows", "--key", str(key), "--value", str(value), *given, "-w", "2", "--split-size",
                        "20K") == wanted, (separator, key, value)
    assert good("stats", "--sep", "\\t", text=b"a\t1\n") == good("stats", text=b"a\t1\n") == b"a\t1\t1\t1\t1\t1\n"


def test_two_columns_with_cr_and_no_end(tmp_path):
    assert good("stats", text=b"a\t1.5\r\na\t2\r\nb\t3\r") == b"a\t2\t3.5\t1.5\t1.75\t2.0\nb\t1\t3\t3\t3\t3\n"
    assert good("stats", "-k", "2", "--value", "1", text=b"1\ta\r\n2\ta") == b"a\t2\t3\t1\t1.5\t2\n"
    assert good("stats", text=b"") == b""


def test_lines_longer_than_all_windows(tmp_path):
    """Keys and numbers of every length around those that are read at a stretch, up to the very end of the input."""
    for extra in range(0, 140):
        rows = [(b"k" * extra, b"1" + b"0" * (extra % 40)), (b"k" * (140 - extra), b"0" * extra + b"2.5"), (b"", b"7")]
        for text in (text_of(rows), text_of(rows)[:-1]):
            assert good("stats", text=text, *["-w", "1"]) == expected(rows), extra


def test_parts_and_counters(tmp_path):
    rows = make_rows(5, 20000, 500, any_number)
    (tmp_path / "rows").write_bytes(text_of(rows))
    good("stats", "rows", "--sorter", "simple", "-p", "7", "-o", "reference/")
    good("stats", "rows", "-w", "3", "-p", "7", "--split-size", "50K", "-o", "out/", "--stats", "stats.json")
    assert parts_of("out") == parts_of("reference")
    counters = json.loads((tmp_path / "stats.json").read_text())["counters"]
    assert counters["map_pairs"] == counters["records"] == len(rows)
    assert counters["distinct_keys"] == len({key for key, _ in rows})


def is_number(text):
    return NUMBER.fullmatch(text) is not None


def test_what_is_no_number():
    """Texts that differ from a number in a byte or two: told from numbers as the reference does."""
    dice = random.Random(8)
    refused = taken = 0
    samples = [b"", b"-", b"+", b".", b"-.", b"+.e1", b"e1", b"1e", b"1e+", b"1e1.5", b"1 ", b" 1", b"1,5", b"0x10", b"nan",
               b"NaN", b"inf", b"-Infinity", b"--1", b"+-1", b"1-", b"1..2", b"1.2.3", b"1/2", b"1:2", b"\xb2", b"1\0", b"12345678a",
               b"1234567.8.9012", b"1234567890123456x", b"1_000", b"1e5e5", "\u0661".encode(), b"1\r2"]
    for _ in range(250):
        text = bytearray(any_number(dice)[:24])
        for _ in range(dice.randint(0, 2)):
            text[dice.randrange(len(text))] = dice.choice(b"0123456789..+-eE/: \x1e,\xae0")
        samples.append(bytes(text))
    for text in samples:
        done = run("stats", "-w", "1", "--attempts", "1", text=b"k\t1\nk\t" + text + b"\n")
        if is_number(text) and math.isfinite(float(text)):
            assert done.returncode == 0, (text, done.stderr)
            taken += 1
        else:
            assert done.returncode == 3, text
            assert b"is not a number" in done.stderr or b"blank" in done.stderr or b"too large" in done.stderr
            refused += 1
    assert refused > 60 and taken > 60


@pytest.mark.parametrize("sorter", ["simple", "plex", "shared"])
def test_the_place_of_a_wrong_line(sorter, tmp_path):
    rows = [(b"key %d" % (i % 10), b"%d.5" % i) for i in range(20000)]
    lines = [key + b"\t" + number + b"\n" for key, number in rows]
    for bad, reason in ((b"key\t1.5.2\n", '"1.5.2" is not a number'), (b"key\t\n", "the number is blank"),
                        (b"key\t1 \n", '"1 " is not a number'), (b"key\tNaN\n", '"NaN" is not a number'),
                        (b"key 1\n", "the line has no column 2, only 1"), (b"\n", "the line has no column 2, only 1"),
                        (b"key\t1e309\n", '"1e309" is too large: a number must be below 1.8e308'),
                        (b"key\t-1.8e308\r\n", '"-1.8e308" is too large: a number must be below 1.8e308')):
        at = 13456
        (tmp_path / "rows").write_bytes(b"".join(lines[:at] + [bad] + lines[at:]))
        (tmp_path / "good").write_bytes(b"".join(lines))
        offset = sum(map(len, lines[:at])) + (bad.index(b"\t") + 1 if b"\t" in bad else 0)
        done = run("stats", "good", "rows", "--sorter", sorter, "-w", "2", "--split-size", "30K", "--attempts", "2", "-o", "out")
        line = message(done, 3)
        assert line.startswith(f"papjuice: bad record: rows:{offset}: line {at + 1}: {reason}"), line
        assert not (tmp_path / "out").exists()


def test_the_largest_numbers():
    largest = b"1.7976931348623157e308"
    assert good("stats", text=b"a\t%s\na\t-%s\na\t1\n" % (largest, largest)) == (
        b"a\t3\t1\t-1.7976931348623157e+308\t0.3333333333333333\t1.7976931348623157e+308\n")
    assert good("stats", text=b"a\t%s\na\t%s\n" % (largest, largest)) == (
        b"a\t2\tinf\t1.7976931348623157e+308\t1.7976931348623157e+308\t1.7976931348623157e+308\n")
    assert math.isinf(float(b"1.8e308"))
    message(run("stats", text=b"a\t1.8e308\n"), 3)
    message(run("stats", text=b"a\t1" + b"0" * 309 + b"\n"), 3)


def test_wrong_options():
    for args, what in ((["--key", "0"], "--key"), (["--key", "x"], "--key"), (["--value", "-1"], "--value"),
                       (["--value", "99999999"], "--value"), (["--sep", ""], "--sep"), (["--sep", "ab"], "--sep"),
                       (["--sep", "\n"], "--sep")):
        assert what in message(run("stats", *args, text=b"a\t1\n"), 2)
