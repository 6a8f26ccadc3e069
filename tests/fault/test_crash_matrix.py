"""Every stage of a task times every way for its worker to end, once and always, by way of the program with fault points
(src/base/fault.h). Once: the same bytes; always: an error that tells how it ended, and nothing left.

The columns of a test's failure are the ways; `make chaos` prints the whole matrix. $PAPJUICE_SEED repeats the numbers.
"""

import concurrent.futures
import random

import pytest

from conftest import SEED
from trials import (
    FAULTY_PROGRAM,
    KINDS,
    LITTLE,
    MATRIX,
    STAGES,
    WAYS,
    Broken,
    Ground,
    Inputs,
    kinds_named,
    stages_of,
    strike_cell,
)

pytestmark = pytest.mark.usefixtures("time_limit")

AT_ONCE = 4  # runs that mostly wait for each other's time limits


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    if not FAULTY_PROGRAM.exists():
        pytest.skip("the program with fault points is not built: ninja fault-program")
    return Inputs(tmp_path_factory.mktemp("inputs") / "in")


def cells(stage, inputs, folder):
    """{(way, often): what went wrong, or None}"""
    before = Ground(folder / "before", inputs)
    for kind in kinds_named(MATRIX[stage]):
        before.expected(kind)

    def cell(way, often):
        ground = Ground(folder / f"{way} {often}".replace(" ", "-"), inputs)
        try:
            strike_cell(ground, stage, way, often, random.Random(f"{SEED} {stage} {way}"))
        except Broken as broken:
            return broken
        return None

    names = [(way, often) for way in WAYS for often in ("once", "always")]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(names, pool.map(cell, *zip(*names))))


@pytest.mark.parametrize("stage", STAGES)
def test_a_worker_ends_at_each_stage(stage, inputs, tmp_path):
    print(f"PAPJUICE_SEED={SEED}")
    found = cells(stage, inputs, tmp_path)
    assert not any(found.values()), [f"{name}: {broken!r}" for name, broken in found.items() if broken]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.workers == 2], ids=repr)
def test_stages_that_the_jobs_pass(kind, inputs, tmp_path):
    """What the matrix and the memory column of `make chaos` rely on: with little memory there are spills."""
    passed = stages_of(Ground(tmp_path / "ground", inputs), kind)
    assert {"start", "read", "map", "output", "ack"} <= passed.keys()
    assert "spill" in passed or kind.memory != LITTLE or kind.job.args[0] == "grep", passed
