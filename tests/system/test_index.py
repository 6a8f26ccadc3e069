"""The job `index` against a computation in Python, and against awk and sort."""

import random
import re
import subprocess

import pytest

from conftest import good

pytestmark = pytest.mark.usefixtures("trace")

WAYS = [
    ("--sorter", "simple"),
    ("--sorter", "shared", "-w", "2", "--split-size", "2K"),
    ("-w", "1", "-p", "3"),
    ("-w", "3", "--split-size", "700"),
]


def index_of(files, lower=False):
    places = {}
    for name, text in files:
        for match in re.finditer(rb"[^ \t\n\v\f\r]+", text):
            word = match.group().lower() if lower else match.group()
            places.setdefault(word, []).append(b"%s:%d" % (name.encode(), match.start()))
    return b"".join(word + b"\t" + b" ".join(list_) + b"\n" for word, list_ in sorted(places.items()))


def random_text(seed, count):
    dice = random.Random(seed)
    words = [bytes(dice.choices(b"abcdefgABC\0\xff", k=dice.choice((1, 2, 3, 22, 23, 24, 40)))) for _ in range(90)]
    return b"".join(dice.choice(words) + dice.choice((b" ", b"\n", b"\t\r\n", b"  ", b"\v\f")) for _ in range(count))


def test_places_in_their_order(tmp_path):
    files = [
        ("z", random_text(1, 2000)),
        ("empty", b""),
        ("a", random_text(2, 900)[:-1]),
        ("blanks", b" \n\t\n\n"),
        ("long", b"word" * 30000 + b" x\n" + b"word" * 30000),
        ("one", b"a"),
    ]
    for name, text in files:
        (tmp_path / name).write_bytes(text)
    names = [name for name, _ in files]
    for way in WAYS:
        assert good("index", *way, *names) == index_of(files), way
        assert good("index", "--lower", *way, *names) == index_of(files, lower=True), way
        assert good("index", *way, "empty", "blanks") == b""
    text = random_text(3, 800)
    assert good("index", "-w3", "--split-size", "1K", text=text) == index_of([("standard input", text)])


def test_as_awk_and_sort_do_it():
    with open("in", "wb") as file:
        file.write(random_text(4, 3000).translate(None, b"\0\xff\v\f\r\t"))
    pairs = (
        "{ at = here + 0; n = split($0, w, / /);"
        ' for (i = 1; i <= n; i++) { if (w[i] != "") print w[i] "\\t" at; at += length(w[i]) + 1 }'
        " here += length($0) + 1 }"
    )
    lists = (
        '$1 != word { if (NR > 1) print line; word = $1; line = $1 "\\tin:" $2; next }'
        ' { line = line " in:" $2 } END { print line }'
    )
    pipe = f"export LC_ALL=C; awk '{pairs}' in | sort -s -t '\t' -k1,1 | awk -F '\t' '{lists}'"
    expected = subprocess.run(["sh", "-c", pipe], capture_output=True, check=True).stdout
    assert good("index", "in") == expected
