#!/usr/bin/python3
"""make chaos: kills workers and leaders of all built-in jobs, compares every output with that of an undisturbed run,
and looks for what is left. Prints a table; the exit code is 0 if no promise was broken.

    chaos.py                                    3,000 workers, 500 leaders, the crash matrix
    chaos.py --kills 300 --leaders 50           fewer
    chaos.py --seconds 600                      no longer than so, over all
    chaos.py --seed 7 --only 'sort, little'     a seed again, and the kinds of runs that have these words in their names

The same from the environment: CHAOS_KILLS, CHAOS_LEADERS, CHAOS_SECONDS, PAPJUICE_SEED. The kinds of runs (job, memory,
workers) take turns, in another order each time, so a run that is cut short has tried all of them about equally often.
The program is $PAPJUICE, the one with fault points lies in $PAPJUICE_BUILD.
"""

import argparse
import collections
import os
import pathlib
import random
import sys
import tempfile
import time

from trials import (
    KINDS,
    LITTLE,
    MATRIX,
    OUTPUTS,
    PAPJUICE,
    PLENTY,
    STAGES,
    WAYS,
    Broken,
    CallKiller,
    Ground,
    Hang,
    Inputs,
    Left,
    Wrong,
    find_strace,
    kill_leader,
    kill_workers,
    strike_cell,
)

HEAD = ("job", "memory", "workers", "runs", "kills", "wrong", "hangs", "left")
EACH_TOLD = 60  # seconds


class Row:
    """Counts of a line of the table."""

    def __init__(self):
        self.workers, self.runs, self.kills, self.wrong, self.hangs, self.left = set(), 0, 0, 0, 0, 0

    def add(self, other):
        self.workers |= other.workers
        for name in ("runs", "kills", "wrong", "hangs", "left"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def text(self, job, memory):
        workers = " ".join(map(str, sorted(self.workers)))
        numbers = (self.runs, self.kills, self.wrong, self.hangs, self.left)
        return f"{job:<34}{memory:<8}{workers:<10}" + "".join(f"{number:>7,}" for number in numbers)


class Chaos:
    """All trials of one call, and the table of what came of them."""

    def __init__(self, folder, options):
        self.options, self.rows = options, collections.defaultdict(Row)
        self.ground = Ground(folder / "ground", Inputs(folder / "in"))
        self.ground.program = options.program
        self.begin = self.told = time.monotonic()
        self.broken = 0
        self.kinds = [kind for kind in KINDS if options.only in repr(kind)]

    def over(self):
        return time.monotonic() - self.begin > self.options.seconds

    def tell(self, what):
        """From time to time, how far it is."""
        if time.monotonic() - self.told > EACH_TOLD:
            self.told = time.monotonic()
            print(f"  {self.told - self.begin:6.0f} s: {what}", flush=True)

    def row(self, workers, *names):
        """The line of the table for a run with so many workers."""
        row = self.rows[names]
        row.workers.add(workers)
        return row

    def trial(self, name, row, what, *args):
        """One run: counts it, and tells what broke. Returns the number of kills."""
        row.runs += 1
        try:
            kills = what(*args) or 0
        except Broken as broken:
            row.wrong += isinstance(broken, Wrong)
            row.hangs += isinstance(broken, Hang)
            row.left += isinstance(broken, Left)
            print(f"{type(broken).__name__.upper()}: PAPJUICE_SEED={self.options.seed} {name}: {broken}", flush=True)
            self.ground.clear()
            self.broken += 1
            return 0
        row.kills += kills
        return kills

    def turns(self, what):
        """Numbered kinds without end, and the dice of each trial."""
        number = 0
        while True:
            kinds = list(self.kinds)
            random.Random(f"{self.options.seed} {what} {number}").shuffle(kinds)
            for kind in kinds:
                yield f"{what} {number}, {kind}", kind, random.Random(f"{self.options.seed} {what} {number}")
                number += 1

    def kill_workers(self):
        killed = runs = 0
        for name, kind, dice in self.turns("workers"):
            # where runs cannot be caught, or are broken, it does not go on for ever
            if killed + self.broken >= self.options.kills or runs > 20 * self.options.kills or self.over():
                return
            row = self.row(kind.workers, "workers", kind.job.name, kind.memory)
            killed += self.trial(name, row, kill_workers, self.ground, kind, dice)
            runs += 1
            self.tell(f"{killed} workers killed")

    def kill_leaders(self):
        """In turn at a random moment, and at a system call of a small job, until each of those has been had."""
        calls, killed, runs = self.calls(), 0, 0
        for name, kind, dice in self.turns("leaders"):
            if killed >= self.options.leaders or runs > 20 * self.options.leaders or self.over():
                return
            if runs % 2 and calls:
                killer, call, number = calls.pop()
                row = self.row(2, "leader", f"at a system call, {killer.output}", PLENTY)
                killed += self.trial(f"{call} {number}, {killer.output}", row, killer.kill, call, number)
            else:
                row = self.row(kind.workers, "leader", kind.job.name, kind.memory)
                killed += self.trial(name, row, kill_leader, self.ground, kind, dice)
            runs += 1
            self.tell(f"{killed} leaders killed")

    def calls(self):
        strace, why_not = find_strace()
        if not strace or not self.options.leaders:
            print(f"  no leader is killed at a system call: {why_not}" if why_not else "", end="\n" if why_not else "")
            return []
        killers = [CallKiller(self.ground, strace, output) for output in OUTPUTS]
        calls = [(killer, *call) for killer in killers for call in killer.calls]
        random.Random(self.options.seed).shuffle(calls)
        return calls

    def matrix(self):
        """Prints stage times way: a worker that ends there once, and one that always does."""
        if not self.options.matrix:
            return
        print(f"\n{'stage':<9}" + "".join(f"{way:>9}" for way in WAYS) + "  of")
        for stage in STAGES:
            cells = [self.cell(stage, way) for way in WAYS]
            print(f"{stage:<9}" + "".join(f"{cell:>9}" for cell in cells) + f"  {MATRIX[stage]}", flush=True)

    def cell(self, stage, way):
        """Strikes once, and always. Returns how it went, in a word."""
        row, broken, done = self.row(2, "matrix", stage, LITTLE), self.broken, 0
        for often in ("once", "always"):
            if not self.over():
                dice = random.Random(f"{self.options.seed} {stage} {way} {often}")
                self.trial(f"{stage}, {way}, {often}", row, strike_cell, self.ground, stage, way, often, dice)
                done += 1
        return "BROKEN" if self.broken > broken else "ok" if done == 2 else "-"

    def table(self):
        """Prints what was counted."""
        print("\n" + f"{HEAD[0]:<34}{HEAD[1]:<8}{HEAD[2]:<10}" + "".join(f"{word:>7}" for word in HEAD[3:]))
        everything = Row()
        for what in ("workers", "leader", "matrix"):
            rows, total = {key: row for key, row in self.rows.items() if key[0] == what}, Row()
            for (_, job, memory), row in sorted(rows.items()):
                print(row.text(job, memory))
                total.add(row)
            if rows:
                print(total.text(f"{what}: all", ""))
            everything.add(total)
        print(everything.text("all", ""))


def parse(words):
    known = os.environ
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=int(known.get("CHAOS_KILLS", 3000)), help="of workers")
    parser.add_argument("--leaders", type=int, default=int(known.get("CHAOS_LEADERS", 500)), help="that are killed")
    parser.add_argument("--matrix", type=int, default=1, help="0: without the crash matrix")
    parser.add_argument("--seconds", type=float, default=float(known.get("CHAOS_SECONDS", 86400)), help="at most")
    parser.add_argument("--seed", type=int, default=int(known.get("PAPJUICE_SEED", random.randrange(10**9))))
    parser.add_argument("--only", default="", help="kinds of runs with these words in their names")
    parser.add_argument("--program", default=PAPJUICE, help="another program, to see that its faults are found")
    return parser.parse_args(words)


def main(words=None):
    options = parse(words)
    print(f"PAPJUICE_SEED={options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="papjuice-chaos-") as folder:
        chaos = Chaos(pathlib.Path(folder), options)
        chaos.kill_workers()
        chaos.kill_leaders()
        chaos.matrix()
        chaos.table()
        print(f"{time.monotonic() - chaos.begin:.0f} s")
    return 1 if chaos.broken else 0


if __name__ == "__main__":
    sys.exit(main())
