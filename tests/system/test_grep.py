"""The job `grep` against `grep -aP` with the same options, on random and on hostile input."""

import os
import random
import subprocess

import pytest

from conftest import good, message, run

pytestmark = pytest.mark.usefixtures("trace")

WAYS = [("--sorter", "simple"), ("--workers", "1", "--split-size", "99"), ("--workers", "3", "--split-size", "1K")]
SHARED = ("--sorter", "shared", "--workers", "2")
OPTIONS = [[], ["-v"], ["-c"], ["-n"], ["-H"], ["-i"], ["-vc"], ["-nH"], ["-ivn"], ["-cH"]]
FILES = {
    "empty": b"",
    "lines": b"\n\nab\n\nabc\n",
    "end": b"b\na\nxab",
    "NUL": b"a\0b\nab\0\n\0ab\n\0\n\xff\xfeab\n\xc3\xa4b\n",
    "long": b"long" * 50000 + b"ab\n" + b"x" * 100000 + b"\nab" + b"long" * 50000 + b"\n",
    "equal": b"ab\n" * 700,
    "returns": b"ab\r\nb\r\na\r\n\rab",
    "tabs": b"a\tb\n\tab\t\n",
}
PATTERNS = [
    "ab",
    "a",
    "",
    "^$",
    "b$",
    "^a",
    "a.b",
    "x*ab",
    "a+b?",
    "(ab|x)+",
    "a|b",
    "[^a]b",
    "[[:alpha:]]b",
    "\\bab\\b",
    "(?i)AB",
    "a(?=b)",
    "(.)\\1",
    "a{2,}|long{1}a",
    "\\x61b",
    "ab\\z",
    "\\s",
    "\\n",
    "a[^c]*+$",
    "nothing like it",
]


def reference(options, pattern, *paths):
    command = ["grep", "-aP", *options, "-e", pattern, *paths]
    done = subprocess.run(command, env=dict(os.environ, LC_ALL="C"), capture_output=True, check=False)
    assert done.returncode < 2, done.stderr
    return done.returncode, done.stdout


def check(options, pattern, *paths, ways=WAYS):
    expected = reference(options, pattern, *paths)
    for way in ways:
        done = run("grep", *options, *way, pattern, *paths)
        assert (done.returncode, done.stdout, done.stderr) == (*expected, b""), (options, pattern, way, paths)


@pytest.fixture(name="files")
def make_files(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_bytes(text)
    (tmp_path / "random").write_bytes(random_text(1, 900))
    return [*FILES, "random"]


def random_text(seed, count):
    dice = random.Random(seed)
    return b"".join(bytes(dice.choices(b"abcxAB \t\0\xff", k=dice.randrange(12))) + b"\n" for _ in range(count))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns(pattern, files):
    check(["-n"], pattern, *files, ways=WAYS[::2])
    check(["-c"], pattern, "random", ways=WAYS[1:2])


@pytest.mark.parametrize("options", OPTIONS, ids="".join)
def test_options(options, files):
    check(options, "ab", *files)
    for name in files:
        check(options, "a+b", name, ways=[*WAYS[2:], SHARED])


def test_several_patterns(files):
    expected = reference([], "x$|^ab|c.c", *files)[1]
    for way in WAYS:
        assert good("grep", *way, "-e", "x$", *files, "-e", "^ab", "--regexp=c.c") == expected
        assert good("grep", *way, "x$\n^ab\nc.c", *files) == expected


def test_names():
    """A name is shown if there are several inputs, or if it is wanted; standard input has one, too."""
    with open("one", "wb") as file:
        file.write(b"ab\n")
    assert good("grep", "ab", "one", "one") == b"one:ab\none:ab\n"
    assert good("grep", "--no-filename", "ab", "one", "one") == b"ab\nab\n"
    assert good("grep", "-c", "--no-filename", "ab", "one", "one") == b"1\n1\n"
    assert good("grep", "-Hn", "ab", text=b"\nab\n") == b"(standard input):2:ab\n"
    assert good("grep", "-c", "ab", text=b"\nab\nab") == b"2\n"
    assert good("grep", "ab", "one", "-", text=b"ab") == b"one:ab\n(standard input):ab\n"


@pytest.mark.parametrize("way", WAYS)
def test_line_numbers_of_a_stream(way):
    text = random_text(3, 400) + b"x" * 3000 + b"\n" * 300 + random_text(4, 9)
    numbered = b"".join(b"%d:%s\n" % item for item in enumerate(text.removesuffix(b"\n").split(b"\n"), 1))
    assert good("grep", "-n", "", *way, text=text) == numbered
    for count in range(40):
        short = text[-count:]
        lines = short.removesuffix(b"\n").split(b"\n") if short else []
        done = run("grep", "-n", "", *way[:-1], "3" if way[0] == "--workers" else way[-1], text=short)
        assert done.stdout == b"".join(b"%d:%s\n" % item for item in enumerate(lines, 1))


def test_no_is_1():
    for text, code in ((b"", 1), (b"a\n", 0), (b"b\n", 1)):
        for options in ([], ["-c"], ["-n"], ["--sorter", "simple"], ["-c", "--sorter", "simple"]):
            done = run("grep", *options, "a", text=text)
            assert (done.returncode, done.stderr) == (code, b""), (text, options)
            line = b"1:a\n" if "-n" in options else text
            assert done.stdout == (b"%d\n" % (not code) if "-c" in options else b"" if code else line)
    done = run("grep", "a", "--output", "out", text=b"b\n")
    assert done.returncode == 1 and os.path.getsize("out") == 0


def test_utf_only_where_it_is_asked_for():
    text = "ä\n".encode() + b"\xe4\n\xff.\n"
    assert good("grep", "^.$", text=text) == b"\xe4\n"
    assert good("grep", "(*UTF)^.$", text=text) == "ä\n".encode()


def test_wrong_patterns():
    for pattern in ("(", "[", "*a", "a)", "\\", "(?<x"):
        assert "the pattern is wrong" in message(run("grep", pattern, text=b"a\n"), 2)
    assert "the pattern is wrong" in message(run("grep", "-e", "a", "-e", "(", text=b"a\n"), 2)
    assert "there is no pattern" in message(run("grep", text=b"a\n"), 2)


def test_a_pattern_that_takes_too_long():
    said = message(run("grep", "(?:(?:a+)+)+(?:(?:a+)+)+$", "--attempts", "1", text=b"x\n" + b"a" * 5000 + b"b\n"), 3)
    assert "too many steps" in said and "standard input:2" in said
