#!/usr/bin/python3
"""What ten iterations on a pool that stays cost beside their arithmetic: the example k-means against a plain loop.

    bench/kmeans.py BUILD [FILE]

Without a file, a block of random points is repeated until it is 128 MiB long (put into BUILD/points.txt). The example
is run with --check, as many workers as there are processors: it takes the time of the iterations by the clock on the
wall, the pool's beginning and end included, and the processor time of the same iterations as a plain loop over the text
in memory, which is the same code without PapJuice. The ratio is the time taken, times the processors, over the loop's;
it is worth something only on a machine that does nothing else. Behind it is the processor time that all processes of a
run without --check take, over the loop's: what the ratio would be if no processor ever waited. The last line holds the
medians of five.
"""
import os
import pathlib
import random
import re
import resource
import statistics
import subprocess
import sys

ROUNDS, BLOCK_POINTS, MADE_BYTES = 5, 300_000, 128 << 20
ITERATIONS, CLUSTERS = 10, 16
TIMES = re.compile(r"iterations in ([0-9.]+) s\n.*in ([0-9.]+) s of a processor; shared by (\d+): ([0-9.]+) times")


def made_points(build):
    """Points in squares around random places."""
    path = build / "points.txt"
    if path.exists() and path.stat().st_size >= MADE_BYTES:
        return path
    dice = random.Random(1)
    places = [(dice.uniform(-1000, 1000), dice.uniform(-1000, 1000)) for _ in range(CLUSTERS)]
    lines = []
    for _ in range(BLOCK_POINTS):
        x, y = dice.choice(places)
        lines.append(f"{x + dice.uniform(-150, 150):.6f} {y + dice.uniform(-150, 150):.6f}\n")
    block = "".join(lines).encode()
    with open(path, "wb") as out:
        for _ in range(MADE_BYTES // len(block) + 1):
            out.write(block)
    return path


def processor_seconds(command):
    """User and system time of a command, its processes included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: bench/kmeans.py BUILD [FILE]")
    build = pathlib.Path(sys.argv[1]).resolve()
    points = pathlib.Path(sys.argv[2]) if len(sys.argv) == 3 else made_points(build)
    workers = len(os.sched_getaffinity(0))
    command = [build / "examples" / "kmeans", "--points", points, "-k", str(CLUSTERS), "-n", str(ITERATIONS), "-w",
               str(workers)]
    ratios, by_processor = [], []
    print(f"k-means, {ITERATIONS} iterations over {points.stat().st_size / 1e6:,.0f} MB, {CLUSTERS} centers")
    for turn in range(ROUNDS + 1):
        done = subprocess.run([*command, "--check"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        found = TIMES.search(done.stderr.decode())
        if done.returncode or not found:
            sys.exit(f"bench/kmeans.py: {done.stderr.decode()}")
        if turn:  # the first one warms up the page cache
            wall, loop, shared, ratio = found.groups()
            ratios.append(float(ratio))
            by_processor.append(processor_seconds(command) / float(loop))
            print(f"  {wall} s; the plain loop {loop} s / {shared} processors: {ratio}, {by_processor[-1]:.3f}")
    print(f"kmeans_ratio {statistics.median(ratios):.3f}, processor time {statistics.median(by_processor):.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
