"""Short options of the jobs that replace a tool mean what they mean there, or are refused: grep, join, sort, distinct."""

import subprocess

import pytest

from conftest import good, message, run

pytestmark = pytest.mark.usefixtures("trace")


def tool(*args, **more):
    """(exit code, output) of the tool itself."""
    done = subprocess.run(args, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"}, capture_output=True, check=False, **more)
    return done.returncode, done.stdout


@pytest.fixture
def texts(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"foo bar\nfoobar foo\nbar\n\n  foo  \nfoo_1 foo-1\nFOO fo foo foo\n")
    (tmp_path / "b.txt").write_bytes(b"nothing here\n\nbaz\n")
    (tmp_path / "c.txt").write_bytes(b"foo\nfoo foo.foo\n404 4040 404\nx 404")
    (tmp_path / "empty.txt").write_bytes(b"")


FILES = ["a.txt", "b.txt", "c.txt", "empty.txt"]


@pytest.mark.parametrize(
    "options",
    [
        ["-o", "foo"],
        ["-o", "-n", "fo+"],
        ["-o", "-w", "foo"],
        ["-o", "-h", "o"],
        ["-o", "^foo"],
        ["-o", "-i", "foo|bar"],
        ["-w", "404"],
        ["-w", "foo|bar"],
        ["-w", "-v", "foo"],
        ["-w", "-c", "foo"],
        ["-w", "-.o"],
        ["-x", "foo"],
        ["-x", "foo|bar"],
        ["-x", "-v", "foo"],
        ["-l", "foo"],
        ["-l", "-v", "foo"],
        ["-L", "foo"],
        ["-L", "-i", "FOO"],
        ["-l", "there is none"],
        ["-h", "foo"],
        ["-h", "-n", "foo"],
        ["-q", "foo"],
        ["-q", "there is none"],
        ["-q", "-v", "foo"],
        ["-c", "-o", "foo"],
        ["-o", "o*|foo"],
        ["-o", "^|o"],
    ],
)
@pytest.mark.parametrize("files", [FILES, FILES[:1], FILES[1:2]])
@pytest.mark.usefixtures("texts")
def test_grep(options, files):
    code, expected = tool("grep", "-P", *options, *files)
    for workers, split in (("1", "16M"), ("2", "5")):
        done = run("grep", *options, *files, "--workers", workers, "--split-size", split)
        assert (done.returncode, done.stdout) == (code, expected), (options, files, split, done.stderr)


@pytest.mark.usefixtures("texts")
def test_grep_passes_over_empty_matches():
    """Lines with empty matches alone print nothing; the answer is whether something was printed."""
    assert tool("grep", "-oP", "(?:)|foo|o*", "a.txt")[1] == b""
    done = run("grep", "-o", "(?:)|foo|o*", "a.txt")
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")


@pytest.mark.usefixtures("texts")
def test_grep_of_several_patterns_takes_the_leftmost():
    assert good("grep", "-oh", "-e", "bar", "-e", "foob", "a.txt").splitlines() == [b"bar", b"foob", b"bar"]


@pytest.mark.usefixtures("texts")
def test_grep_keeps_settings_of_a_pattern_in_front():
    assert good("grep", "-ow", "(*UTF)fo{2}", "c.txt") == b"foo\n" * 4
    # a verb that is no setting belongs to its alternative, and a comment ends with the pattern
    assert good("grep", "-w", "(*F)|fo", "a.txt") == b"FOO fo foo foo\n"
    assert good("grep", "-w", "(?x) 4040 # a comment", "c.txt") == b"404 4040 404\n"


@pytest.mark.usefixtures("texts")
def test_grep_tells_a_wrong_pattern_as_typed():
    assert "at byte 1" in message(run("grep", "-w", "(", "a.txt"), 2)
    assert "exclude" in message(run("grep", "-o", "-v", "x", "a.txt"), 2)
    assert "exclude" in message(run("grep", "-l", "-L", "x", "a.txt"), 2)


@pytest.fixture
def sides(tmp_path):
    (tmp_path / "one").write_bytes(b"1 a x\n2 b y\n2 c y\n3 d z\n5 e z\n")
    (tmp_path / "two").write_bytes(b"9 a p\n8 b q\n7 b r\n6 f s\n5 g z\n")


@pytest.mark.parametrize(
    "options",
    [
        ["-j", "2"],
        ["-j", "2", "-v", "1"],
        ["-j", "2", "-v", "2"],
        ["-j", "2", "-v", "1", "-v", "2"],
        ["-j", "2", "-a", "1", "-v", "2"],
        ["-1", "2", "-2", "2", "-a", "1"],
    ],
)
@pytest.mark.usefixtures("sides")
def test_join(options):
    _, expected = tool("join", *options, "one", "two")
    for workers in ("1", "2"):
        assert good("join", *options, "one", "two", "--workers", workers) == expected
        assert good("join", *options, "one", "two", "--sorter", "simple") == expected


@pytest.mark.usefixtures("sides")
def test_join_has_a_key_for_both_or_for_each():
    assert "exclude each other" in message(run("join", "-j", "2", "-1", "3", "one", "two"), 2)


@pytest.mark.parametrize("options", [["-b"], ["-b", "-r"], ["-b", "-k2"], ["-b", "-k2,2", "-s"], ["-b", "-n"], ["-b", "-u"]])
def test_sort(options, tmp_path):
    (tmp_path / "in").write_bytes(b"  b 2\na   1\n\t c 10\n b  3\nb 2\n\n   \na 1\n")
    _, expected = tool("sort", *options, "in", cwd=tmp_path)
    assert good("sort", *options, "in") == expected


@pytest.mark.parametrize(
    "line, instead",
    [
        ("grep -m 1 x in", "--memory"),
        ("grep -p x in", "--partitions"),
        ("join -o 1.2,2.1 in in", "--output"),
        ("join -w 2 in in", "--workers"),
        ("sort -h in", "--help"),
        ("sort -m in", "--memory"),
        ("sort -p 2 in", "--partitions"),
        ("distinct -w 3 in", "--workers"),
    ],
)
def test_what_a_job_has_not_is_refused(line, instead, tmp_path):
    (tmp_path / "in").write_bytes(b"x\n")
    done = run(*line.split())
    assert "unknown option" in message(done, 2) and f"written {instead} here" in done.stderr.decode()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "temp"] and not done.stdout


def test_the_help_names_options_that_the_job_has():
    """Examples and hints are such as the job understands."""
    for job, option in (("grep", "--output"), ("join", "--output"), ("sort", "-o"), ("wordcount", "-o")):
        assert f" {option} result.tsv" in good(job, "--help").decode(), job
