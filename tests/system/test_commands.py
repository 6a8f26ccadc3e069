"""Programs as mapper, combiner and reducer, against the same programs in a pipeline of the shell."""

import json
import os
import random
import subprocess

import pytest

from conftest import good, message, parts_of, run

pytestmark = pytest.mark.usefixtures("trace")

WAYS = [
    ("--sorter", "simple"),
    ("-w", "1"),
    ("-w", "3", "--split-size", "20K"),
    ("-w", "2", "--sorter", "shared", "-p", "5"),
    ("-w", "3", "--split-size", "64K", "-p", "7", "-m", "64M"),
    ("-w", "2", "--sorter", "total", "-p", "3"),
]
COUNT = "mawk -F'\t' '$1 != k || NR == 1 {if (NR > 1) print k, n; k = $1; n = 0} {n++} END {if (NR) print k, n}'"
SUM = "mawk '{s[$1] += $2} END {for (k in s) print k \"\\t\" s[k]}'"


SPLIT = "mawk '{for (i = 1; i <= NF; i++) print $i \"\\t1\"}'"


def shell(line, *names):
    return subprocess.run(["sh", "-c", f"export LC_ALL=C; {line}", "sh", *names], capture_output=True, check=True).stdout


@pytest.fixture
def pairs(tmp_path):
    """Keys that occur often and seldom, some without a value, empty ones, bytes of all kinds, no newline at the end."""
    dice = random.Random(3)
    lines = []
    for number in range(20000):
        key = b"k%d" % min(dice.randrange(2000), dice.randrange(2000))
        odd = (b"", b"\xff\xfe", b"caf\xc3\xa9 au lait", b"\x01", b"a b", b"a\\tb", b"k" * 700)
        key = odd[number % len(odd)] if number % 97 == 0 else key
        lines.append(key if number % 13 == 0 else key + b"\t%d\tx" % number)
    (tmp_path / "in").write_bytes(b"\n".join(lines))
    return "in"


@pytest.mark.parametrize("way", WAYS, ids=" ".join)
def test_a_pipeline(pairs, way):
    expected = shell("cat \"$1\" | sort -s -t'\t' -k1,1", pairs)
    assert good("run", "--map", "cat", "--reduce", "cat", *way, pairs) == expected
    assert good("run", "--reduce", "cat", *way, pairs) == expected
    counted = shell(f"cat \"$1\" | sort -s -t'\t' -k1,1 | {COUNT}", pairs)
    assert good("run", "--map", "cat", "--reduce", COUNT, *way, pairs) == counted
    assert good("run", "--shell", "--map", "cat | cat", "--reduce", f"cat | {COUNT}", *way, pairs) == counted


@pytest.mark.parametrize("way", WAYS, ids=" ".join)
def test_map_only(pairs, way):
    assert good("run", "--map", "tr a-k A-K", *way, pairs) == shell('tr a-k A-K < "$1"; echo', pairs)


def test_map_only_into_a_folder(pairs):
    good("run", "--map", "cat", "--split-size", "40K", "-o", "out/", pairs)
    parts = parts_of("out")
    assert len(parts) > 5 and b"".join(parts.values()) == shell('cat "$1"; echo', pairs)


def test_part_files(pairs):
    """A key is in one part file, which is the reducer's output as it is; all have the same, whatever the way."""
    whole = {}
    for index, way in enumerate(WAYS[:4]):
        folder = f"out{index}"
        reduce = "sh -c 'echo begin; cut -f1; echo end'"
        good("run", "--map", "cat", "--reduce", reduce, *way[:4], "-p", "4", "-o", folder + "/", pairs)
        whole[index] = parts_of(folder)
        assert len(whole[index]) == 4 and whole[index] == whole[0]
    seen = set()
    for part in whole[0].values():
        lines = part.splitlines()
        assert (lines[0], lines[-1]) == (b"begin", b"end") and lines[1:-1] == sorted(lines[1:-1])
        assert not seen & set(lines[1:-1])
        seen |= set(lines[1:-1])


def test_keys(tmp_path):
    (tmp_path / "in").write_bytes(b"b;1;z\na;2;y\nb;1;x\na;2\na;10;w\nb\n")
    assert good("run", "--reduce", "cat", "-t;", "in") == b"a;2;y\na;2\na;10;w\nb;1;z\nb;1;x\nb\n"
    both = b"a;10;w\na;2;y\na;2\nb\nb;1;z\nb;1;x\n"
    assert good("run", "--reduce", "cat", "-t;", "--fields", "2", "in") == both
    assert good("run", "--map", "cat", "--reduce", "cat", "-t;", "--fields", "2", "in") == both
    lines = shell('sort "$1"', "in")
    assert good("run", "--reduce", "cat", "-t;", "--fields", "0", "in") == lines
    assert good("run", "--map", "cat", "--reduce", "cat", "-t;", "--fields", "0", "in") == lines


@pytest.fixture
def plain_words(words, tmp_path):
    """Words of letters only: programs differ in what they think of the rest."""
    (tmp_path / "in").write_bytes(bytes(byte if 97 <= byte < 123 or byte == 10 else 32 for byte in words))
    return "in"


@pytest.mark.parametrize("way", WAYS, ids=" ".join)
def test_a_combiner(plain_words, way):
    expected = shell(f'{SPLIT} "$1" | {SUM} | sort', plain_words)
    for combine in ([], ["--combine", SUM]):
        got = good("run", "--map", SPLIT, "--reduce", SUM, *combine, *way, plain_words)
        assert sorted(got.splitlines()) == expected.splitlines(), (way, combine)


def test_a_combiner_gets_every_pair_once(plain_words):
    """As in Hadoop: so it may change what pairs look like."""
    mark = "mawk -F'\\t' '{print $1 \"\\t<\" $2 \">\"}'"
    got = good("run", "--map", SPLIT, "--combine", mark, "--reduce", "cat", plain_words)
    assert set(line.rpartition(b"\t")[2] for line in got.splitlines()) == {b"<1>"}


def test_order_within_a_key_is_that_of_the_input(tmp_path):
    (tmp_path / "in").write_bytes(b"".join(b"key%d\t%d\n" % (i % 3, i) for i in range(30000)))
    expected = b"".join(b"key%d\t%d\n" % (key, i) for key in range(3) for i in range(key, 30000, 3))
    for way in WAYS:
        assert good("run", "--map", "cat", "--reduce", "cat", *way, "in") == expected


def test_much_in_both_directions(tmp_path):
    """Reads all before it writes; writes before it reads; more comes out than goes in."""
    (tmp_path / "in").write_bytes(b"".join(b"%07d\tvalue\n" % (i * 7919 % 400000) for i in range(400000)))
    reverse = good("run", "--map", "sort -r", "--reduce", "sort -r", "-w", "2", "-p", "1", "in")
    assert reverse == shell("sort -r in")
    many = good("run", "--map", "sh -c 'seq 1000000; cat'", "--split-size", "8M", "in")
    assert many == shell("seq 1000000; cat in")
    doubled = good("run", "--map", "mawk '{print; print}'", "--reduce", "mawk '{print; print}'", "in")
    assert len(doubled) == 4 * os.path.getsize("in")


def test_bytes_go_through_as_they_are(tmp_path):
    dice = random.Random(9)
    lines = [bytes(dice.choices(range(256), k=dice.randrange(300))).replace(b"\n", b"") for _ in range(3000)]
    (tmp_path / "in").write_bytes(b"\n".join(lines) + b"\n")
    expected = sorted(lines, key=lambda line: line.partition(b"\t")[0])
    assert good("run", "--map", "cat", "--reduce", "cat", "in") == b"".join(line + b"\n" for line in expected)


def test_edges(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "line").write_bytes(b"no newline")
    (tmp_path / "newlines").write_bytes(b"\n\n\n")
    for way in (["-w", "2"], ["--sorter", "simple"]):
        assert good("run", "--map", "cat", "--reduce", "wc -l", *way, "empty") == b""
        assert good("run", "--map", "cat", *way, "line") == b"no newline\n"
        assert good("run", "--map", "printf x", *way, "line", "newlines") == b"x\n"
        assert good("run", "--map", "cat", "--reduce", "wc -l", *way, "newlines", "line", "line") == b"5\n"
        assert good("run", "--map", "true", "--reduce", "wc -l", *way, "line") == b""
    assert good("run", "--map", "cat", "--reduce", "uniq -c", text=b"a\nb\na\n") == b"      2 a\n      1 b\n"


def test_standard_input_in_pieces(pairs):
    with open(pairs, "rb") as file:
        text = file.read()
    expected = shell("sort -s -t'\t' -k1,1 < \"$1\"", pairs)
    assert good("run", "--map", "cat", "--reduce", "cat", "--split-size", "10K", text=text) == expected


def test_quotes(tmp_path):
    (tmp_path / "in").write_bytes(b"a b\n")
    for command in ("sed 's/a b/c  d/'", 'sed "s/a b/c  d/"', "sed s/a\\ b/c\\ \\ d/", "sed 's/a b'\"/c  d/\""):
        assert good("run", "--map", command, "in") == b"c  d\n"
    assert good("run", "--map", "echo $HOME *", "in") == b"$HOME *\n"
    assert good("run", "--shell", "--map", "echo 'a  b' | tr a A", "in") == b"A  b\n"


def test_counters_and_programs_are_told(tmp_path):
    (tmp_path / "in").write_bytes(b"1\n2\n3\n4\n" * 1000)
    mapper = ("mawk '{print > \"/dev/stdout\"} $1 % 2 {n++} "
              "END {print \"reporter:counter:Numbers,odd,\" n > \"/dev/stderr\"; "
              "print \"reporter:status:done\" > \"/dev/stderr\"; print \"hello\" > \"/dev/stderr\"}'")
    for way in (["-w", "3"], ["--sorter", "simple"]):
        done = run("run", "--map", mapper, "--reduce", "uniq -c", "--split-size", "2K", "--stats", "stats", *way, "in")
        assert done.returncode == 0, done.stderr
        assert done.stdout == b"".join(b"   1000 %d\n" % i for i in range(1, 5))
        assert done.stderr == b"hello\n" * 4 + b"papjuice: note: counter Numbers, odd: 2000\n"
        with open("stats", encoding="utf-8") as file:
            stats = json.load(file)
        assert stats["user_counters"] == {"Numbers": {"odd": 2000}}
        assert stats["programs"]["count"] == 5 and stats["programs"]["peak_bytes"] > 0


def test_environment_and_folder(tmp_path):
    (tmp_path / "in").write_bytes(b"x\n")
    seen = good("run", "--shell", "--map", "echo $PWD $GREETING", "in", env={**os.environ, "GREETING": "hello"})
    assert seen == b"%s hello\n" % os.fsencode(tmp_path)


def test_wrong_usage(tmp_path):
    (tmp_path / "in").write_bytes(b"x\n")
    for args, said in [
        (["--combine", "cat", "in"], "no program to run"),
        (["--map", "cat", "--combine", "cat", "in"], "a combiner without a reducer"),
        (["--map", "", "in"], "it names no program"),
        (["--map", "cat 'x", "in"], "a quote is not closed"),
        (["--map", "cat", "--reduce", "cat", "--sep", "ab", "in"], "bad value for --sep"),
        (["--map", "cat", "--reduce", "cat", "--fields", "-1", "in"], "bad value for --fields"),
        (["--map", "cat", "--sep", ";", "in"], "a key without a reducer: --sep"),
        (["--map", "cat", "--fields", "1", "in"], "a key without a reducer: --fields"),
        (["in", "--shell"], "unknown job: in"),
    ]:
        assert said in message(run("run", *args), 2)
    assert "papjuice run --map CMD --reduce CMD" in run("--map", "cat", "in").stderr.decode()


def test_inputs_may_come_first(tmp_path):
    """Only what is a job's name is a job."""
    (tmp_path / "in.txt").write_bytes(b"b\na\n")
    (tmp_path / "other").write_bytes(b"c\n")
    assert good("run", "in.txt", "--map", "cat") == b"b\na\n"
    assert good("run", "./in.txt", "other", "--reduce=cat") == b"a\nb\nc\n"
    assert good("run", "in.txt", "--map", "cat", "--", "other") == b"b\na\nc\n"
    assert "unknown option" in message(run("run", "wordcount", "--map", "cat", "in.txt"), 2)
    assert "unknown job" in message(run("run", "in.txt", "--", "--map", "cat"), 2)


def test_help():
    for word in ("-h", "--help"):
        text = good("run", word).decode("ascii")
        assert "--map CMD --reduce CMD" in text and "job.c" in text and max(map(len, text.splitlines())) <= 80
    text = good("run", "--map", "cat", "-h").decode("ascii")
    assert max(map(len, text.splitlines())) <= 80
    assert text.index("papjuice run --map CMD --reduce CMD book.txt") < text.index("usage:") < text.index("--combine")
