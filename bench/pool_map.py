#!/usr/bin/python3
"""pj_pool_map beside Python's multiprocessing.Pool(4).map: a function that gives back its item, in turn, medians of five.

    bench/pool_map.py [--build BUILD] [--rounds 5]

Both pools exist before the time is taken, and the results are compared with the items.
"""
import argparse
import multiprocessing
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORKERS = 4
ROWS = [(1_000_000, 8), (100_000, 1000), (1_000, 100_000), (20, 10_000_000)]  # items, bytes of each


def give_back(item):
    return item


def python_seconds(count, size):
    items = [bytes([i & 255]) * size for i in range(count)]
    with multiprocessing.Pool(WORKERS) as pool:
        began = time.perf_counter()
        results = pool.map(give_back, items)
        took = time.perf_counter() - began
    assert results == items
    return took


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        program = f"{folder}/pool_map"
        subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", f"-I{ROOT}/include", str(ROOT / "bench/pool_map.c"), "-o", program,
                        f"-L{args.build}", "-lpapjuice", f"-Wl,-rpath,{args.build.resolve()}"], check=True)
        for count, size in ROWS:
            ours, theirs = [], []
            for _ in range(args.rounds):
                done = subprocess.run([program, str(WORKERS), str(count), str(size)], capture_output=True, text=True,
                                      check=True)
                ours.append(float(done.stdout))
                theirs.append(python_seconds(count, size))
            mine, other = statistics.median(ours), statistics.median(theirs)
            print(f"{count} items of {size} bytes: {mine:.4f} s, Python {other:.4f} s, ratio {mine / other:.3f}",
                  flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
