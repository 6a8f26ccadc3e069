"""shorten_comments.py changes comments that are too long, and nothing else."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from shorten_comments import COLUMNS, shorten, width  # noqa: E402

LONG = "word " * 22 + "is the end"  # 120 columns, so that any beginning is too much

CASES = {
    "paragraph": (f" * {LONG}\n * and more\n", " * " + "word " * 22 + "is the\n * end and more\n"),
    "last-line": (f" * {LONG}\n */\n", " * " + "word " * 22 + "is the\n * end\n */\n"),
    "next-paragraph": (f" * {LONG}\n *\n * More.\n", " * " + "word " * 22 + "is the\n * end\n *\n * More.\n"),
    "next-item": (f" * - {LONG}\n * - more\n", " * - " + "word " * 22 + "is\n *   the end\n * - more\n"),
    "indented": (f"\t * {LONG}\n\t */\n", "\t * " + "word " * 21 + "word\n\t * is the end\n\t */\n"),
    "single": (f"\t/* {LONG} */\n", "\t/*\n\t * " + "word " * 21 + "word\n\t * is the end\n\t */\n"),
    "ruler": ("/* " + "-" * 115 + " a */\n", "/* " + "-" * 112 + " a */\n"),
}


@pytest.mark.parametrize("name", CASES)
def test_long_comments_are_shortened(name):
    before, after = CASES[name]
    assert shorten(before) == after
    assert all(width(line) <= COLUMNS for line in shorten(before).split("\n"))
    assert shorten(after) == after


@pytest.mark.parametrize("text", [
    " * short\n", f" *     drawing   with  gaps {LONG}\n", f'\tcall("{LONG}");\n', " * " + "x" * 130 + "\n",
    f"\tint a; /* {LONG} */\n",
])
def test_all_else_is_left(text):
    assert shorten(text) == text
