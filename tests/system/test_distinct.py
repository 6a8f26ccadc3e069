"""The job `distinct` against GNU sort, uniq and cut."""

import random
import subprocess

import pytest

from conftest import good, message, run

pytestmark = pytest.mark.usefixtures("trace")

WAYS = [("--sorter", "simple"), ("--sorter", "shared", "--workers", "2"), ("--workers", "1"), ("--workers", "3", "--split-size", "500")]
TEXTS = {
    "empty": b"",
    "an empty line": b"\n",
    "no last newline": b"b\na\nb",
    "NUL": b"a\0\na\n\0\na\0\n\n\0\0\n",
    "long lines": (b"long" * 50000 + b"\n") * 3 + b"long" * 49999 + b"\n" + b"x" * 23 + b"\n" + b"x" * 24 + b"\n",
    "all equal": b"the same\n" * 5000,
    "carriage returns": b"a\r\na\na\r\n",
    "random": b"\n".join(b"%d" % random.Random(5).randrange(900) * random.Random(n).randrange(4) for n in range(3000)),
}


def shell(line, name):
    return subprocess.run(["sh", "-c", f"export LC_ALL=C; {line}", "sh", name], capture_output=True, check=True).stdout


@pytest.mark.parametrize("name", TEXTS)
def test_lines(name):
    with open("in", "wb") as file:
        file.write(TEXTS[name])
    lines = shell('sort -u "$1"', "in")
    counts = {}
    for line in TEXTS[name].removesuffix(b"\n").split(b"\n") if TEXTS[name] else []:
        counts[line] = counts.get(line, 0) + 1
    counted = b"".join(b"%s\t%d\n" % item for item in sorted(counts.items()))
    for way in WAYS:
        assert good("distinct", *way, "in") == lines, way
        assert good("distinct", "-c", *way, "in") == counted, way


def test_keys():
    dice = random.Random(7)
    with open("in", "wb") as file:
        for _ in range(2000):
            file.write(b"%d\t%d;x\t%s\n" % (dice.randrange(9), dice.randrange(50), b"z" * dice.randrange(40)))
    for key in "1", "2", "3":
        expected = shell(f'cut -f{key} "$1" | sort -u', "in")
        for way in WAYS:
            assert good("distinct", "--key", key, *way, "in") == expected, (key, way)
    counted = shell("cut -d';' -f1 \"$1\" | sort | uniq -c | sed 's/^ *\\([0-9]*\\) \\(.*\\)/\\2\\t\\1/'", "in")
    assert good("distinct", "-k1", "-t;", "--count", "in") == counted


def test_a_line_without_the_column():
    said = message(run("distinct", "-k3", text=b"a\tb\tc\na\tb\n"), 3)
    assert "no column 3, only 2" in said and "standard input:6" in said
    for bad in ("0", "x", "", "-1", "99999999999999999999"):
        assert "bad value for --key" in message(run("distinct", f"--key={bad}", text=b""), 2)
    assert "bad value for --sep" in message(run("distinct", "-k1", "-t", "ab", text=b""), 2)
