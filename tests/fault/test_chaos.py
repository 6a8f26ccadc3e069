"""Workers and leaders of all built-in jobs are killed at random moments: the short forms of `make chaos`, and what shows
that the harness sees what it is there to see. The trials are in trials.py.

$PAPJUICE_SEED repeats a failed test's dice.
"""

import os
import random
import signal
import stat
import subprocess
import time

import pytest

import chaos
from conftest import SEED, children_of, send, until
from trials import (  # noqa: F401 the last two are fixtures
    JOBS,
    KINDS,
    OUTPUTS,
    PAPJUICE,
    Hang,
    Left,
    Wrong,
    kill_leader,
    kill_workers,
    ground,
    inputs,
)

pytestmark = pytest.mark.usefixtures("time_limit")



def some_kinds(job, count):
    """Kinds of a job, each test run others."""
    return random.Random(f"{SEED} {job}").sample([kind for kind in KINDS if kind.job is job], count)


@pytest.mark.parametrize("job", JOBS, ids=repr)
def test_killed_workers(job, ground):
    for kind in some_kinds(job, 3):
        print(f"PAPJUICE_SEED={SEED}: {kind}")
        kill_workers(ground, kind, random.Random(f"{SEED} {kind}"))


@pytest.mark.parametrize("job", JOBS, ids=repr)
def test_killed_leaders(job, ground):
    for kind in some_kinds(job, 2):
        print(f"PAPJUICE_SEED={SEED}: {kind}")
        kill_leader(ground, kind, random.Random(f"{SEED} {kind}"))


def test_descriptors_do_not_become_more(ground):
    """A leader that has buried dozens of workers holds no more descriptors than one that has buried ten."""
    kind = next(kind for kind in KINDS if repr(kind).startswith("wordcount, a stream, little memory, 4"))
    data, counts = (ground.inputs.folder / "in").read_bytes(), []
    job = ["wordcount", "--workers", "4", "--memory", "28M", "--quiet", "--attempts", "999", "--output", "place/out", "--split-size", "50K"]
    with ground.start(job, stdin=subprocess.PIPE) as program:
        for at in range(0, len(data), 60_000):
            program.stdin.write(data[at : at + 60_000])
            program.stdin.flush()
            time.sleep(0.01)
            for worker in children_of(program.pid)[:1]:  # there are none while there is nothing to do for them
                send(worker, signal.SIGKILL)
                until(lambda worker=worker: worker not in children_of(program.pid))
                counts.append(len(os.listdir(f"/proc/{program.pid}/fd")))
        program.stdin.close()
        program.stdin = None
        errors = ground.finish(program)
    assert program.returncode == 0, errors
    assert OUTPUTS[0].read(ground.folder) == ground.expected(kind)
    assert len(counts) > 20 and max(counts[10:]) <= max(counts[:10]), counts


# -------------------------------------------------------------------------------------------- the harness is tested


def stand_in(folder, script):
    """A program that is run instead of PapJuice; "$real" is that."""
    path = folder / "stand-in"
    path.write_text(f"#!/bin/sh\nreal={PAPJUICE}\n{script}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


# The output is the last argument but --overwrite and --attempts' two; these find it by its name.
PLANTED = {
    "a byte of the output": (Wrong, '"$real" "$@" && printf x | dd of=place/out bs=1 seek=100 conv=notrunc 2>/dev/null'),
    "a line too few": (Wrong, '"$real" "$@" && sed -i "7d" place/out'),
    "no output": (Wrong, '"$real" "$@" && rm place/out'),
    "an exit code": (Wrong, '"$real" "$@"; exit 5'),
    "a hang": (Hang, "exec sleep 1000"),
    "a process": (Left, 'sleep 1000 >/dev/null 2>&1 & "$real" "$@"'),
    "a temporary file": (Left, 'touch "$TMPDIR/x"; "$real" "$@"'),
    "a file beside the output": (Left, 'touch place/x; "$real" "$@"'),
}


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_is_found(name, ground, tmp_path, monkeypatch):
    kind = next(kind for kind in KINDS if repr(kind) == "stats, plenty memory, 2 workers")
    ground.expected(kind)
    broken, script = PLANTED[name]
    monkeypatch.setattr(ground, "program", stand_in(tmp_path, script))
    monkeypatch.setattr(ground, "limit", 2)
    with pytest.raises(broken):
        kill_workers(ground, kind, NoKills())


class NoKills(random.Random):
    """Dice for a trial that is left alone."""

    def randint(self, _least, _most):
        return 0


def test_the_table_and_the_exit_code(tmp_path, capsys):
    """A few kills of each sort; then with a planted fault, which must be seen and counted."""
    assert chaos.main(["--kills", "3", "--leaders", "3", "--matrix", "0", "--seed", str(SEED)]) == 0
    told = capsys.readouterr().out
    assert f"PAPJUICE_SEED={SEED}" in told and "\nall" in told
    bad = stand_in(tmp_path, '"$real" "$@" && for word in "$@"; do test "$word" != --attempts || echo >>place/out; done')
    options = ["--kills", "9", "--leaders", "0", "--only", "stats, plenty", "--matrix", "0", "--seed", str(SEED), "--program", str(bad)]
    assert chaos.main(options) == 1
    assert "WRONG" in capsys.readouterr().out
