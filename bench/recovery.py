#!/usr/bin/python3
"""What a worker's death costs: one of four is killed at half time.

    bench/recovery.py PAPJUICE INPUT [TRIALS]

Counts the words of INPUT undisturbed and disturbed, in turn, and prints the best and the median time of both, their
ratio; how long the kernel took to take the killed process and its memory apart; and how soon after that its death was
noticed: the time to the worker that replaces it.
"""
import os
import signal
import statistics
import subprocess
import sys
import time

WORKERS = 4


def children_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(child) for child in file.read().split()]
    except OSError:
        return []


def is_gone(pid):
    """Has the kernel taken the process apart? Before that its death cannot be noticed."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def replaced_after(pid, victim, before, limit=1.0):
    """Kills a worker; the seconds until it is gone, and from then until there is a new one; None if none comes."""
    begin = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    gone = None
    while time.monotonic() - begin < limit:
        if gone is None and is_gone(victim):
            gone = time.monotonic()
        if set(children_of(pid)) - before:
            now = time.monotonic()
            return (gone or now) - begin, now - (gone or now)
    return None


def run(papjuice, source, kill_at=None):
    """Runs once; returns the seconds it took, and those to a replacement."""
    noticed = None
    begin = time.monotonic()
    command = [papjuice, "wordcount", source, "-w", str(WORKERS), "-o", "/dev/null", "-q"]
    with subprocess.Popen(command) as program:
        if kill_at:
            time.sleep(kill_at)
            workers = children_of(program.pid)
            if workers:
                noticed = replaced_after(program.pid, workers[0], set(workers))
        if program.wait():
            sys.exit("the run failed")
    return time.monotonic() - begin, noticed


def main():
    papjuice, source = sys.argv[1:3]
    trials = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    alone, disturbed, noticed = [], [], []
    run(papjuice, source)
    for _ in range(trials):
        alone.append(run(papjuice, source)[0])
        seconds, after = run(papjuice, source, statistics.median(alone) / 2)
        disturbed.append(seconds)
        if after is not None:
            noticed.append(after)
    for name, times in (("undisturbed", alone), ("one of four killed", disturbed)):
        print(f"{name}: best {min(times):.3f} s, median {statistics.median(times):.3f} s of {trials}")
    print(f"cost: {100 * (statistics.median(disturbed) / statistics.median(alone) - 1):.1f} %")
    for name, times in zip(("gone after", "replaced after that in"), zip(*noticed)):
        print(f"{name}: median {1000 * statistics.median(times):.2f} ms, at most {1000 * max(times):.2f} ms")


if __name__ == "__main__":
    main()
