"""The cases of tests/field: what people who do this job with other tools met (see its README)."""

import os
import shutil
import subprocess

import pytest

from conftest import PAPJUICE, TESTS, limit_of

CASES = sorted(path.parent for path in (TESTS / "field").glob("*/cmd"))
assert CASES


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case, tmp_path):
    shutil.copytree(case, tmp_path / "case")
    done = subprocess.run(["bash", "./cmd"], cwd=tmp_path / "case", env={**os.environ, "PAPJUICE": PAPJUICE},
                          stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=limit_of(60))
    assert done.stdout == (case / "expected").read_bytes(), ((case / "why").read_text(), done.stderr)
