"""`wordcount` with --lower, --by-count and --top, against counts in Python."""
import collections
import random

import pytest

from conftest import good, lines_of, message, parts_of, run

pytestmark = pytest.mark.usefixtures("trace")

WAYS = [("simple", "1", "16M", "7"), ("plex", "1", "16M", "1"), ("plex", "2", "100K", "64"), ("plex", "8", "20K", "7"),
        ("shared", "3", "300K", "64")]
ISAS = ("plain", "avx2", "avx512")


def counted(text, lower=False, by_count=False, top=None):
    pairs = collections.Counter((text.lower() if lower else text).split()).items()  # of bytes: ASCII letters alone
    pairs = sorted(pairs, key=(lambda pair: (-pair[1], pair[0])) if by_count else None)
    return b"".join(b"%s\t%d\n" % pair for pair in pairs[:top])


def runs(source, *args):
    for sorter, workers, split, partitions in WAYS:
        yield good("wordcount", source, "--sorter", sorter, "-w", workers, "--split-size", split, "-p", partitions, *args)


@pytest.fixture(scope="module")
def mixed(words):
    """The words with letters of both cases, and bytes next to them in the table."""
    dice = random.Random(9)
    letters = bytearray(words)
    for i in range(0, len(letters), 3):
        letters[i] = letters[i] if chr(letters[i]).isspace() else dice.choice(b"AZaz@[`{MqP\xc1\xe1\xda\xc3\x84")
    return bytes(letters)


@pytest.fixture(scope="module")
def mixed_file(mixed, tmp_path_factory):
    path = tmp_path_factory.mktemp("mixed") / "mixed.txt"
    path.write_bytes(mixed)
    return path


def test_lower(mixed, mixed_file, monkeypatch):
    wanted = counted(mixed, lower=True)
    assert wanted != counted(mixed)
    for isa in ISAS:
        monkeypatch.setenv("PAPJUICE_ISA", isa)
        for output in runs(mixed_file, "--lower"):
            assert output == wanted, isa


def test_lower_of_long_words():
    """Words of all lengths around those that are changed at a stretch, and one that is longer than a piece of text."""
    text = b"".join(b"Q" * length + b" " + b"xY" * length + b"\n" for length in range(1, 140)) + b"Zz" * 300000
    assert good("wordcount", "--lower", text=text) == counted(text, lower=True)


def test_by_count(words, words_file):
    wanted = counted(words, by_count=True)
    for output in runs(words_file, "--by-count"):
        assert output == wanted


@pytest.mark.parametrize("top", [1, 10, 1000, 10**9])
def test_top(top, words, words_file, mixed, mixed_file):
    wanted = counted(words, by_count=True, top=top)
    for output in runs(words_file, "--top", str(top)):
        assert output == wanted
    assert good("wordcount", mixed_file, "--lower", "--top", str(top)) == counted(mixed, True, True, top)


def test_ties_are_in_key_order():
    assert good("wordcount", "--top", "3", text=b"d c b a a \xff d") == b"a\t2\nd\t2\nb\t1\n"


def test_top_to_a_file_and_a_folder(words, words_file, tmp_path):
    wanted = counted(words, by_count=True, top=50)
    good("wordcount", words_file, "--top", "50", "-o", "out")
    assert (tmp_path / "out").read_bytes() == wanted
    good("wordcount", words_file, "--top", "50", "-p", "7", "-o", "folder/")
    assert list(parts_of("folder").values()) == [wanted]


def test_wrong_top():
    for value in ("0", "-1", "x", "", "99999999999999999999"):
        assert "--top" in message(run("wordcount", "--top", value, text=b"a\n"), 2)


def test_nothing_to_count():
    for args in ([], ["--lower"], ["--by-count"], ["--top", "5"]):
        assert lines_of(good("wordcount", *args, text=b" \n")) == []
