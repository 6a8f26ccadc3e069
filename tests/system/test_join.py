"""The job `join` against GNU join on the same lines, sorted by their keys."""

import os
import random
import subprocess

import pytest

from conftest import good, message, run

pytestmark = pytest.mark.usefixtures("trace")

WAYS = [
    ("--sorter", "simple"),
    ("--sorter", "shared", "--workers", "2", "--split-size", "300"),
    ("--workers", "1"),
    ("--workers", "3", "--split-size", "200", "--partitions", "5"),
]
OPTIONS = [
    [],
    ["-t:"],
    ["-t", "\\0"],
    ["-1", "2"],
    ["-t:", "-1", "2", "-2", "3"],
    ["-a1"],
    ["-t:", "-a", "2"],
    ["-a1", "-a2"],
    ["-t:", "-a1", "-a2", "-2", "2"],
]
HOSTILE = {
    "empty": b"",
    "an empty line": b"\n",
    "empty lines": b"\n\n\na x\n",
    "no last newline": b"b 1\na 2",
    "NUL": b"a\0 1\na 2\n\0 3\na\0\0 4\n",
    "long": b"a " + b"long" * 40000 + b"\n" + b"key" * 30000 + b" x\na\n",
    "equal": b"a x\n" * 70,
    "returns": b"a x\r\nb\r\nb y\n",
    "tabs": b"\ta\tx y\t\n a \t b\na::x:\n:\n",
    "some": b"a 1\nb 2\na 3\n" + b"key" * 30000 + b"\n a\n",
}


def shell_words(options):
    """For GNU tools, without what they need not know."""
    words = {"-1": "1", "-2": "1", "-t": None}
    rest = iter(options)
    for word in rest:
        if word[:2] in words:
            words[word[:2]] = word[2:] or next(rest)
    return words


def reference(options, one, two):
    words = shell_words(options)
    separator = [] if words["-t"] is None else ["-t", words["-t"]]
    sides = []
    for number, path in (("-1", one), ("-2", two)):
        key = words[number] + ("b," if words["-t"] is None else ",") + words[number]
        sides.append(f"{path}.sorted")
        with open(sides[-1], "wb") as file:
            command = ["sort", "-s", *separator, "-k", key, path]
            subprocess.run(command, env=dict(os.environ, LC_ALL="C"), stdout=file, check=True)
    command = ["join", "--nocheck-order", *options, *sides]
    return subprocess.run(command, env=dict(os.environ, LC_ALL="C"), capture_output=True, check=True).stdout


def random_text(seed, count):
    dice = random.Random(seed)
    fields = [b"", b"a", b"ab", b"b", b"c\xff", b"\0", b"d1", b"d2", b"d3", b"x"]
    gaps = [b" ", b":", b"\t", b"  "]
    return b"".join(
        b"".join(dice.choice(fields) + dice.choice(gaps) for _ in range(dice.randrange(5))) + dice.choice(fields) + b"\n"
        for _ in range(count)
    )


@pytest.mark.parametrize("options", OPTIONS, ids="".join)
def test_random_lines(options):
    for name, seed, count in (("one", 1, 150), ("two", 2, 100)):
        with open(name, "wb") as file:
            file.write(random_text(seed, count))
    expected = reference(options, "one", "two")
    assert expected
    for way in WAYS:
        assert good("join", *options, *way, "one", "two") == expected, way


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_input(name):
    for path, text in (("one", HOSTILE[name]), ("two", HOSTILE["some"])):
        with open(path, "wb") as file:
            file.write(text)
    for options in ([], ["-a1", "-a2"], ["-t:", "-a1"]):
        for one, two in (("one", "two"), ("two", "one"), ("one", "one")):
            expected = reference(options, one, two)
            for way in WAYS[::3]:
                assert good("join", *options, *way, one, two) == expected, (options, way, one, two)


def test_one_of_them_a_stream():
    with open("one", "wb") as file:
        file.write(b"b 1\na 2\n")
    assert good("join", "one", "-", text=b"a x\nb y\n") == b"a 2 x\nb 1 y\n"
    assert good("join", "-", "one", text=b"a x\nb y\n") == b"a x 2\nb y 1\n"


def test_two_inputs_it_must_be(tmp_path):
    for name in "abc":
        (tmp_path / name).write_bytes(b"a\n")
    for names in (["a"], ["a", "b", "c"], []):
        assert "the number of inputs" in message(run("join", *names, text=b"a\n"), 2)
    for option in ("-1", "-2", "--key1", "--key2", "-t", "-a", "--unpaired"):
        for bad in ("0", "x1", "", "3.5"):
            if option == "-t" and bad == "0":
                continue
            assert "bad value for --" in message(run("join", option, bad, "a", "b"), 2)
