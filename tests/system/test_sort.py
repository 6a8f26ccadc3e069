"""The job `sort` against `LC_ALL=C sort` with the same options, on random and on hostile input."""

import os
import random
import subprocess

import pytest

from conftest import good, message, run

pytestmark = pytest.mark.usefixtures("trace")

WAYS = [
    ("--sorter", "simple"),
    ("--sorter", "shared", "--workers", "2", "--split-size", "5K"),
    ("--workers", "1", "--split-size", "999"),
    ("--workers", "3", "--split-size", "777", "--partitions", "5"),
]
LINES = [[], ["-r"], ["-u"], ["-ur"], ["-s"], ["-rs"]]
NUMBERS = [["-n"], ["-nr"], ["-nu"], ["-ns"], ["-k2n"], ["-k2nr", "-k1"], ["-k2,2n", "-r"], ["-rn", "-k2", "-k1b"]]
KEYS = [
    ["-k2"],
    ["-k2,2"],
    ["-k1.2,2.1"],
    ["-k1,1", "-k2,2nr", "-s"],
    ["-t:", "-k2"],
    ["-t:", "-k2,2n", "-u"],
    ["-t", " ", "-k2.2,3.1r"],
    ["-t", "\\0", "-k2"],
    ["-k2b,3b"],
    ["-k1.3b,2.2br"],
    ["-k3,2"],
    ["-k2.2,2.0"],
    ["-k1,1", "-r", "-u"],
    ["-k1.100"],
    ["-k99999999999999999999"],
]
HOSTILE = {
    "empty": b"",
    "empty lines": b"\n\n\nx\n\n",
    "no last newline": b"b\na\nc",
    "nothing but a byte": b"a",
    "NUL": b"a\0b\na\0\na\n\0\n\0\0\n\0\xff\n\xff\0\n\xff\xff\nb\n",
    "long lines": (b"long" * 50000 + b"b\n") + (b"long" * 50000 + b"a\n") + b"9" * 100000 + b"\n" + b"0" * 99999 + b"8.5\n",
    "all equal": b"the same\n" * 3000,
    "carriage returns": b"b\r\na\r\n\r\na\n\ra\r",
    "tabs": b"\t\n\t\t\na\tb\n a\t b\n\ta b\nb\t1\nb 1\n",
    "prefixes": b"".join(b"a" * n + b"\n" for n in range(40)),
}


def reference(options, path):
    done = subprocess.run(["sort", *options, path], env=dict(os.environ, LC_ALL="C"), capture_output=True, check=True)
    return done.stdout


def check(text, orders, ways=WAYS):
    with open("in", "wb") as file:
        file.write(text)
    for options in orders:
        expected = reference(options, "in")
        for way in ways:
            assert good("sort", *options, *way, "in") == expected, (options, way)


def random_field(dice):
    kind = dice.randrange(7)
    if kind == 0:
        sign, zeros = dice.choice((b"", b"-")), b"0" * dice.randrange(3)
        return sign + zeros + b"%d" % dice.randrange(300) + dice.choice((b"", b".", b".5", b".50", b".05"))
    if kind == 1:
        return dice.choice((b"-.5", b".0", b"-0", b"-", b"+3", b"1e5", b"0x1", b"-0.0", b".", b"-.", b"--1", b"- 1"))
    if kind == 2:
        return bytes(dice.choices([byte for byte in range(256) if byte != 10], k=dice.randrange(4)))
    if kind == 3:
        return dice.choice((b"a", b"ab", b"abc", b"b", b"\0", b"a\0", b"a\0\0", b"\xff", b"\xff\xff"))
    if kind == 4:  # around the borders of the exponent's short form
        return dice.choice((b"", b"-")) + b"%d" % dice.randrange(10 ** dice.choice((1, 5, 62, 63, 64, 65, 70)))
    if kind == 5:
        return b"." + b"0" * dice.choice((1, 2, 62, 63, 64, 65, 70)) + b"%d" % dice.randrange(100)
    return b""


def random_text(seed, count):
    dice = random.Random(seed)
    gaps, ends = (b" ", b"\t", b"  ", b" \t", b":", b""), (b"\n", b"\n", b"\n", b"\r\n")
    lines = (b"".join(random_field(dice) + dice.choice(gaps) for _ in range(dice.randrange(5))) for _ in range(count))
    return b"".join(line + dice.choice(ends) for line in lines)[: -1 if seed % 2 else None]


@pytest.mark.parametrize("orders", [LINES, NUMBERS, KEYS], ids=["lines", "numbers", "keys"])
def test_random_lines(orders):
    check(random_text(1, 700), orders)
    check(random_text(2, 60), orders, WAYS[:1])


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_input(name):
    check(HOSTILE[name], [[], ["-r"], ["-n"], ["-u"], ["-k2"], ["-k1n", "-k2r", "-s"]], [WAYS[0], WAYS[3]])


def test_several_inputs_and_a_stream():
    one, two = random_text(3, 100) + b"\n", random_text(4, 100)
    with open("one", "wb") as file:
        file.write(one)
    with open("whole", "wb") as file:
        file.write(one + two)
    for options in (["-k1,1", "-s"], ["-nu"], []):
        assert good("sort", *options, "one", "-", text=two) == reference(options, "whole")


def test_an_output_that_is_the_input():
    with open("both", "wb") as file:
        file.write(b"b\na\n")
    assert message(run("sort", "--output", "both", "both"), 4)
    good("sort", "--output", "both", "--overwrite", "both")
    with open("both", "rb") as file:
        assert file.read() == b"a\nb\n"
    assert "also an input" in message(run("distinct", "--output", "both", "--overwrite", "both"), 4)


@pytest.mark.parametrize("bad", ["0", "1.0", "x", "", "1,0", "1.", "1,", "1q", "1,2.3x", "-1", "1,,2"])
def test_bad_keys(bad):
    assert "bad value for --key" in message(run("sort", f"--key={bad}", text=b""), 2)


def test_bad_separators():
    for bad in ("", "ab", "\n"):
        assert "bad value for --sep" in message(run("sort", f"--sep={bad}", text=b""), 2)
