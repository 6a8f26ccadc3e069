"""Iterations on a pool that stays: the examples kmeans and pagerank, held against references in Python and against their
own plain loops, for several numbers of workers; workers that are killed meanwhile; what stays the same from run to run.
"""
import os
import pathlib
import random
import re
import signal
import subprocess
import time

import pytest

from conftest import LIMIT, PAPJUICE, SANITIZED, children_of, limit_of, send, until

pytestmark = pytest.mark.usefixtures("trace")

EXAMPLES = pathlib.Path(PAPJUICE).parent / "examples"
WORKERS = ("1", "2", "3", "8")
MILLION, WHOLE, DAMPING = 10**6, 1 << 60, 85


def command(name, *args):
    program = EXAMPLES / name
    if not program.exists():
        pytest.skip(f"examples/{name} is not built beside the program")
    return [program, *map(str, args)]


def run(name, *args, code=0):
    """Runs an example; returns its output and what it says, as text."""
    done = subprocess.run(command(name, *args), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=limit_of(LIMIT), check=False)
    assert done.returncode == code, (done.returncode, done.stderr[-2000:], args)
    return done.stdout.decode(), done.stderr.decode()


# -------------------------------------------------------------------------------------------------------------- k-means


def make_points(count, dimensions, seed):
    """Points as text, in all the forms that a number may have."""
    dice = random.Random(seed)
    forms = ("%.6f", "%.6f", "%.2f", "%d", "%.9f")
    separators = (" ", " ", "\t", "   ")
    lines = []
    for _ in range(count):
        numbers = [dice.choice(forms) % (dice.choice((-700, 0, 10, 900)) + dice.gauss(0, 150)) for _ in range(dimensions)]
        lines.append(dice.choice(separators).join(numbers) + dice.choice(("\n", "\n", "\n", " \r\n", "\n\n")))
    return "".join(lines).rstrip("\n")  # the last line without its end


def millionths(text):
    """Digits beyond the sixth decimal are passed over."""
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    before, _, behind = digits.partition(".")
    return sign * (int(before) * MILLION + int(behind[:6].ljust(6, "0")))


def decimal(number):
    return f"{'-' if number < 0 else ''}{abs(number) // MILLION}.{abs(number) % MILLION:06}"


def kmeans(text, clusters, iterations):
    """What the program must print."""
    points = [[millionths(field) for field in line.split()] for line in text.splitlines() if line.strip()]
    centers, members = [list(point) for point in points[:clusters]], []
    for _ in range(iterations):
        members = [[] for _ in centers]
        as_floats = [[float(number) for number in center] for center in centers]
        for point in points:
            distances = []
            for center in as_floats:
                distance = 0.0
                for to, number in zip(center, point):
                    distance += (to - float(number)) * (to - float(number))
                distances.append(distance)
            members[distances.index(min(distances))].append(point)
        for index, mine in enumerate(members):
            if mine:  # a center without points stays
                centers[index] = [(2 * sum(axis) + len(mine)) // (2 * len(mine)) for axis in zip(*mine)]
    return "".join(f"{len(mine)}\t{' '.join(map(decimal, center))}\n" for mine, center in zip(members, centers))


@pytest.mark.parametrize("dimensions, clusters", [(1, 3), (2, 16), (3, 9), (8, 5)])
def test_kmeans_comes_to_the_centers_of_a_reference(dimensions, clusters):
    text = make_points(3000, dimensions, seed=dimensions)
    pathlib.Path("points").write_text(text, encoding="ascii")
    expected = kmeans(text, clusters, iterations=5)
    for workers in WORKERS:
        output, said = run("kmeans", "--points", "points", "-k", clusters, "-n", 5, "-w", workers, "--check")
        assert output == expected
        assert "check: the same" in said


def test_kmeans_is_the_same_for_any_number_of_workers():
    """On more than one split, and on points of its own making."""
    pathlib.Path("points").write_text("".join(make_points(20000, 2, seed) + "\n" for seed in range(12)), encoding="ascii")
    assert os.path.getsize("points") > 2 * (2 << 20)  # the splits of the example
    for source in (["--points", "points"], ["--count", 150000, "--dimensions", 3]):
        outputs = {run("kmeans", *source, "-n", 4, "-w", workers, "--check")[0] for workers in WORKERS}
        assert len(outputs) == 1
        assert sum(int(line.split("\t")[0]) for line in outputs.pop().splitlines()) in (150000, 240000)


def test_kmeans_keeps_a_center_without_points():
    pathlib.Path("points").write_text("0\n0\n7\n", encoding="ascii")  # of centers as near the first gets the point
    for workers in WORKERS:
        assert run("kmeans", "--points", "points", "-k", 3, "-w", workers)[0] == "2\t0.000000\n0\t0.000000\n1\t7.000000\n"


def test_kmeans_sums_beyond_64_bits():
    """Ten thousand points at the edge of what a coordinate may be, which together are 10^19 millionths."""
    pathlib.Path("points").write_text("999999999.999999\n-999999999.999999\n" + "999999999.999999\n" * 10000)
    expected = "10001\t999999999.999999\n1\t-999999999.999999\n"
    assert run("kmeans", "--points", "points", "-k", 2, "-w", 2, "--check")[0] == expected


@pytest.mark.parametrize("bad", ["1 x", "1", "1 2 3", "1 2e3", "1 1234567890", "- 1", "1 2;", "1 ."])
def test_kmeans_names_a_line_that_is_no_point(bad):
    pathlib.Path("points").write_text("1 2\n3 4\n" + bad + "\n5 6\n", encoding="ascii")
    said = run("kmeans", "--points", "points", "-k", 2, "-w", 2, code=3)[1]
    assert "points:8: " in said and "not a point of 2 numbers" in said, said


def test_kmeans_says_what_is_wrong():
    pathlib.Path("points").write_text("1 2\n3 4\n", encoding="ascii")
    pathlib.Path("wide").write_text("1 2 3 4 5 6 7 8 9\n" * 9, encoding="ascii")
    assert "must be points" in run("kmeans", "--points", "points", "-k", 3, code=3)[1]
    assert "must be points" in run("kmeans", "--points", "wide", "-k", 3, code=3)[1]
    assert "missing: No such file" in run("kmeans", "--points", "missing", code=3)[1]
    for wrong in (["-k", 0], ["-k", 129], ["-n", "x"], ["-n", "-1"], ["-w", 0], ["--nothing"], ["word"]):
        assert run("kmeans", *wrong, code=2)[0] == ""


# ------------------------------------------------------------------------------------------------------------- PageRank


def make_edges(count, nodes, seed):
    """Edges as text: some nodes are pointed to often, some point nowhere, some numbers are not used; edges twice and to
    oneself, comments, numbers with zeros in front."""
    dice = random.Random(seed)
    lines = ["# from to", ""]
    for _ in range(count):
        origin = 3 * int(nodes * dice.random())
        if origin % 4 == 2:
            origin += 3
        target = 3 * int(nodes * dice.random() ** 3)
        form = dice.choice(("%d %d", "%d\t%d", "%d   %d", " %d %d \r", "%d %05d"))
        lines.append(form % (origin, target))
        if dice.random() < 0.02:
            lines += dice.choice((["# nothing"], [""], [lines[-1]], [f"{origin} {origin}"]))
    return "\n".join(lines)


def percent(number, hundredths):
    return number * hundredths // 100


def pagerank(text, iterations):
    """What the program must print."""
    edges = [tuple(map(int, line.split())) for line in text.split("\n") if line.strip() and not line.startswith("#")]
    nodes = {node for edge in edges for node in edge}
    leaving = dict.fromkeys(nodes, 0)
    for origin, _ in edges:
        leaving[origin] += 1
    rank = dict.fromkeys(nodes, WHOLE // len(nodes) if nodes else 0)
    for _ in range(iterations):
        received = dict.fromkeys(nodes, 0)
        for origin, target in edges:
            received[target] += rank[origin] // leaving[origin]
        kept = sum(rank[node] for node in nodes if not leaving[node])
        base = percent(WHOLE, 100 - DAMPING) // len(nodes) + percent(kept, DAMPING) // len(nodes) if nodes else 0
        rank = {node: base + percent(received[node], DAMPING) for node in nodes}
    order = sorted(nodes, key=lambda node: (-rank[node], node))
    return "".join(f"{node}\t{rank[node] / WHOLE:.15f}\n" for node in order)


def test_pagerank_comes_to_the_ranks_of_a_reference():
    text = make_edges(20000, 3000, seed=5)
    pathlib.Path("edges").write_text(text, encoding="ascii")
    for iterations in (0, 1, 12):
        expected = pagerank(text, iterations)
        for workers in WORKERS:
            output, said = run("pagerank", "edges", "-n", iterations, "-w", workers, "--top", 0, "--check")
            assert output == expected
            assert "check: the same ranks" in said
    assert sum(float(line.split("\t")[1]) for line in expected.splitlines()) == pytest.approx(1, abs=1e-9)
    assert run("pagerank", "edges", "-n", 12)[0] == "".join(expected.splitlines(True)[:10])


def test_pagerank_is_the_same_for_any_number_of_workers():
    """With several tasks, and ranges of keys that are reduced side by side."""
    pathlib.Path("edges").write_text(make_edges(250000, 60000, seed=6), encoding="ascii")
    assert os.path.getsize("edges") > 2 << 20
    outputs = {run("pagerank", "edges", "-n", 4, "-w", workers, "--top", 0, "--check")[0] for workers in WORKERS}
    assert len(outputs) == 1 and outputs.pop().count("\n") > 50000


def test_pagerank_of_small_graphs():
    third = f"{WHOLE // 3 / WHOLE:.15f}"
    for text, expected in (("", ""), ("# nothing\n", ""), ("7 7\n", "7\t1.000000000000000\n"),
                           ("1 2\n2 3\n3 1", f"1\t{third}\n2\t{third}\n3\t{third}\n")):
        pathlib.Path("edges").write_text(text, encoding="ascii")
        assert run("pagerank", "edges", "-w", 2, "--check")[0] == expected


@pytest.mark.parametrize("bad", ["1", "1 2 3", "1 x", "-1 2", "1 1234567890", "1 134217728", "x"])
def test_pagerank_names_a_line_that_is_no_edge(bad):
    pathlib.Path("edges").write_text("1 2\n3 4\n" + bad + "\n", encoding="ascii")
    said = run("pagerank", "edges", "-w", 2, code=3)[1]
    assert "edges:8: " in said and "not an edge" in said, said


def test_pagerank_says_what_is_wrong():
    assert "missing" in run("pagerank", "missing", code=3)[1]
    for wrong in ([], ["a", "b"], ["-w", 0, "a"], ["-n", "x", "a"], ["--nothing", "a"]):
        assert run("pagerank", *wrong, code=2)[0] == ""


# -------------------------------------------------------------------------------------------------- the pool that stays


@pytest.fixture
def edges():
    """A file of edges on which an iteration takes long enough to be watched."""
    pathlib.Path("edges").write_text(make_edges(100000, 20000, seed=7), encoding="ascii")
    return "edges"


def watched(name):
    """The arguments of an example with which it runs for a second or some, with tasks for three workers."""
    return ["--count", 60000, "--dimensions", 8, "-n", 200] if name == "kmeans" else ["edges", "-n", 100]


def start(name, *args):
    return subprocess.Popen(command(name, *args), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)


@pytest.mark.parametrize("name", ["kmeans", "pagerank"])
def test_killed_workers_change_nothing(name, edges):
    """One at a time, then all at once; some of them have a task in hand."""
    assert edges == "edges"
    expected = run(name, *watched(name), "-w", 3)[0]
    program = start(name, *watched(name), "-w", 3)
    dice, killed = random.Random(name), set()
    for at_once in (1, 1, 3):
        time.sleep(dice.uniform(0.02, 0.1))
        # a worker is replaced when there is work for it
        alive = until(lambda: sorted(set(children_of(program.pid)) - killed))
        for pid in dice.sample(alive, min(at_once, len(alive))):
            assert send(pid, signal.SIGKILL)
            killed.add(pid)
    assert len(killed) >= 3 and program.poll() is None, "the run was too short"
    output, said = program.communicate(timeout=limit_of(LIMIT))
    assert (program.returncode, output.decode()) == (0, expected), said
    assert b"note: attempts failed and were done again: " in said


def memory_of(pid):
    """Anonymous memory of a process, in bytes; of one that is gone: 0."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except FileNotFoundError:
        return 0
    found = re.search(r"RssAnon:\s+(\d+) kB", status)
    return int(found.group(1)) * 1024 if found else 0


def faults_of(pid):
    """How often the process has touched a page that it did not have."""
    return int(pathlib.Path(f"/proc/{pid}/stat").read_text("latin-1").rpartition(")")[2].split()[7])


def memory_files_of(pid):
    """What the memory files hold that a process has open, in bytes."""
    total = 0
    for descriptor in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            if os.readlink(descriptor).startswith("/memfd:"):
                total += os.stat(descriptor).st_blocks * 512
        except FileNotFoundError:
            continue  # it was closed meanwhile
    return total


@pytest.mark.parametrize("name", ["kmeans", "pagerank"])
def test_workers_and_their_memory_stay(name, edges):
    """Watched for two seconds or more, in which there are dozens of iterations, from one without an end."""
    assert edges == "edges"
    program = start(name, *watched(name), "-w", 3, "-n", MILLION)
    pool = until(lambda: len(children := children_of(program.pid)) == 3 and children)
    seen, bytes_used, faults, begun = set(), [], [], time.monotonic()
    try:
        while len(faults) < 60 or time.monotonic() < begun + 2:
            assert program.poll() is None, program.communicate()
            seen.update(children_of(program.pid))
            assert seen == set(pool), "a process was forked between iterations"
            bytes_used.append(sum(map(memory_of, [program.pid, *pool])) + memory_files_of(program.pid))
            faults.append(sum(map(faults_of, pool)))
            time.sleep(0.01)
    finally:
        program.kill()
        program.communicate()
    if SANITIZED:
        return  # a sanitizer keeps memory that was given back
    # a worker's table grows when it happens to get more tasks than before
    early, late = max(bytes_used[:20]), max(bytes_used[-20:])
    assert late <= 1.25 * early + (1 << 20), f"memory grows: {early:,} bytes, then {late:,}"
    assert faults[-1] - faults[20] <= 5000, f"iterations touch fresh memory: {faults[20:]}"
