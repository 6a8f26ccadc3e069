"""Each rule of check_house.py is turned on a small tree that breaks it, and on a small tree that is good."""
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import check_house  # noqa: E402

GOOD = {
    "include/papjuice/thing.h": """\
/*
 * thing.h: a thing.
 */
#pragma once
#define PJ_API __attribute__((visibility("default")))

/* A group of two. */
PJ_API int pj_thing_count(const char *text);
PJ_API int pj_thing_more(int a,
			 int b);

/* Objects. */
PJ_API extern const int pj_one, pj_two[2];

/* Inline. */
static inline int pj_thing_twice(int a)
{
	return 2 * a;
}
""",
    "src/base/thing.h": "/*\n * thing.h: inside.\n */\n#include <papjuice/thing.h>\n",
    "src/base/thing.c": """\
/*
 * thing.c: see thing.h. It says "printf(" and system() in a comment only.
 */
#include "base/thing.h"

#include <stdio.h>

const int pj_one = 1, pj_two[2] = {1, 2};

int pj_thing_count(const char *text)
{
	return text[0] == '"' || text[0] == '\\'' ? 0 : snprintf(NULL, 0, "strcpy( %s", text);
}

int pj_thing_more(int a, int b)
{
	return a + b;
}
""",
    "src/mp/pool.c": "/*\n * pool.c: a pool.\n */\n#include \"base/thing.h\"\n",
    "src/front/main.c": "/*\n * main.c: prints.\n */\n#include <stdio.h>\nvoid f(void)\n{\n\tputs(\"x\");\n}\n",
    "docs/text.md": "# A text\n",
}


def long_function(lines):
    """A function of this many lines, from its first to its brace, in a good file."""
    body = "\tx++;\n" * (lines - 4)
    return f"/*\n * long.c: long.\n */\nint f(int x)\n{{\n{body}\treturn x;\n}}\n"


def c_file(name, code):
    return f"/*\n * {name}: for the test.\n */\n{code}"


DOCUMENT = "".join(f"| `src/{room}` | what lives there | {', '.join(uses) or 'libc'} |\n"
                   for room, uses in check_house.ROOMS.items())

BAD = {
    # what the rule is expected to say: the rule, the files that differ from the good tree, a part of the problem
    "up": ("rooms_use_only_what_they_may", {"src/base/up.c": c_file("up.c", '#include "mp/pool.h"\n'),
                                            "src/mp/pool.h": c_file("pool.h", "")}, "may not use 'mp'"),
    "beside": ("rooms_use_only_what_they_may", {"src/run/side.c": c_file("side.c", '#include "mp/pool.h"\n'),
                                                "src/mp/pool.h": c_file("pool.h", "")}, "may not use 'mp'"),
    "front": ("rooms_use_only_what_they_may", {"src/front/in.c": c_file("in.c", '#include "base/thing.h"\n')},
              "may not use 'base'"),
    "cli": ("rooms_use_only_what_they_may", {"cli/main.c": c_file("main.c", '#include "base/thing.h"\n')},
            "may not use 'base'"),
    "example": ("rooms_use_only_what_they_may", {"examples/x.c": c_file("x.c", '#  include "base/thing.h"\n')},
                "may not use 'base'"),
    "public": ("rooms_use_only_what_they_may", {"include/papjuice/x.h": c_file("x.h", '#include "base/thing.h"\n')},
               "may not use 'base'"),
    "angle": ("rooms_use_only_what_they_may", {"src/front/in.c": c_file("in.c", "#include <base/thing.h>\n")},
              "in quotes"),
    "beside-file": ("rooms_use_only_what_they_may", {"src/base/in.c": c_file("in.c", '#include "thing.h"\n')},
                    "is not found"),
    "no-public": ("rooms_use_only_what_they_may", {"src/base/in.c": c_file("in.c", "#include <papjuice/no.h>\n")},
                  "no public header"),
    "new-room": ("rooms_use_only_what_they_may", {"src/cellar/x.c": c_file("x.c", "")}, "does not stand in the table"),
    "document": ("rooms_are_those_of_the_document", {"docs/architecture.md": DOCUMENT.replace("base, mp |", "base |")},
                 "the room 'program' may use"),
    "no-room": ("rooms_are_those_of_the_document", {"docs/architecture.md": DOCUMENT + "| `src/new` | x | base |\n"},
                "the room 'new' may use"),
    "lost-room": ("rooms_are_those_of_the_document", {"docs/architecture.md": DOCUMENT.replace("src/jobs", "jobs")},
                  "the room 'jobs' is missing"),
    "circle": ("includes_run_in_no_circle",
               {f"src/base/{a}.h": c_file(f"{a}.h", f'#include "base/{b}.h"\n') for a, b in ("ab", "bc", "ca")},
               "includes itself"),
    "function": ("outliers_only_shrink", {"src/base/long.c": long_function(71)}, "the function f has 71 lines"),
    "file": ("outliers_only_shrink", {"src/base/long.c": c_file("long.c", "int x;\n" * 998)}, "file has 1001 lines"),
    "grown": ("outliers_only_shrink", {"src/base/long.c": long_function(81),
                                       "tests/house/outliers.txt": "function src/base/long.c f 80\n"}, "it had 80"),
    "shrunk": ("outliers_only_shrink", {"src/base/long.c": long_function(79),
                                        "tests/house/outliers.txt": "function src/base/long.c f 80\n"}, "down to 79"),
    "stale": ("outliers_only_shrink", {"tests/house/outliers.txt": "function src/base/long.c f 80\n"}, "take it out"),
    "list": ("outliers_only_shrink", {"tests/house/outliers.txt": "everything\n"}, "a line is:"),
    "undocumented": ("public_functions_are_documented",
                     {"include/papjuice/x.h": c_file("x.h", "\nPJ_API int pj_x(void);\n")}, "pj_x"),
    "undocumented-inline": ("public_functions_are_documented",
                            {"include/papjuice/x.h": c_file("x.h", "\nstatic inline int pj_x(void)\n{\n}\n")},
                            "pj_x"),
    "behind-type": ("public_functions_are_documented",
                    {"include/papjuice/x.h": c_file("x.h", "\n/* A type. */\ntypedef int pj_t;\n\n"
                                                           "PJ_API int pj_x(void);\n")}, "pj_x"),
    "call": ("banned_calls_are_not_made", {"src/base/x.c": c_file("x.c", "int y = system (z);\n")}, "shell"),
    "prefix": ("banned_calls_are_not_made", {"cli/x.c": c_file("x.c", "int y = pthread_cond_wait(z);\n")}, "hangs"),
    "fault": ("fault_points_are_compiled", {"src/base/x.c": c_file("x.c", "void f(void)\n{\n\tPJ_FAULT(\"x\");\n}\n")},
              "is not listed"),
    "no fault": ("fault_points_are_compiled", {"tests/fault/meson.build": "files('base/thing.c')\n"},
                 "has no fault points"),
    "print": ("library_neither_prints_nor_exits", {"src/base/x.c": c_file("x.c", "int y = puts(z);\n")}, "prints"),
    "stderr": ("library_neither_prints_nor_exits",
               {"src/base/x.c": c_file("x.c", "int y = fprintf(stderr, z);\n")}, "fprintf"),
    "exit": ("library_neither_prints_nor_exits", {"src/mp/x.c": c_file("x.c", "int y = exit(1);\n")}, "exit"),
    "blanks": ("text_is_clean", {"docs/x.md": "text \n"}, "blanks"),
    "end": ("text_is_clean", {"docs/x.md": "text"}, "newline"),
    "ends": ("text_is_clean", {"docs/x.md": "text\n\n"}, "newline"),
    "wide": ("text_is_clean", {"src/base/x.c": c_file("x.c", "\t" + "x" * 113 + "\n")}, "121 columns"),
    "unfinished": ("text_is_clean", {"docs/x.md": "TO" + "DO: more\n"}, "unfinished"),
    "machine": ("text_is_clean", {"Makefile": "X = /roo" + "t/x\n"}, "one machine"),
    "invisible": ("text_is_clean", {"docs/x.md": "a\u200bb\n"}, "invisible"),
    "nameless": ("files_say_what_they_are_for", {"src/base/x.c": "int x;\n"}, "does not begin"),
    "other-name": ("files_say_what_they_are_for", {"src/base/x.c": c_file("y.c", "")}, "does not begin"),
}


def make_tree(folder, files):
    files = {"docs/architecture.md": DOCUMENT, **files}
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def problems(tree, library=None):
    """{rule: [text, ...]} of the rules that were broken."""
    results = check_house.check(tree, library)
    return {rule.__name__: [f"{problem.place} {problem.text}" for problem in found] for rule, found in results if found}


def test_a_good_tree_passes(tmp_path):
    make_tree(tmp_path, GOOD)
    assert problems(tmp_path) == {}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_tree_does_not(tmp_path, name):
    rule, files, text = BAD[name]
    make_tree(tmp_path, {**GOOD, **files})
    found = problems(tmp_path)
    assert list(found) == [rule]
    assert any(text in problem for problem in found[rule]), found


def test_limits_are_allowed(tmp_path):
    long_file = c_file("file.c", "int x;\n" * 997)
    make_tree(tmp_path, {**GOOD, "src/base/long.c": long_function(70), "src/base/file.c": long_file})
    assert problems(tmp_path) == {}


def test_an_outlier_that_is_listed_passes(tmp_path):
    make_tree(tmp_path, {**GOOD, "src/base/long.c": long_function(80),
                         "tests/house/outliers.txt": "function src/base/long.c f 80 # why\n"})
    assert problems(tmp_path) == {}


def make_library(folder, files):
    make_tree(folder, {**GOOD, **files})
    library = folder / "build" / "lib.so"
    library.parent.mkdir()
    sources = sorted((folder / "src" / "base").glob("*.c"))
    subprocess.run(["cc", "-shared", "-fPIC", "-fvisibility=hidden", f"-I{folder}/include", f"-I{folder}/src", "-w",
                    "-include", "papjuice/thing.h", "-o", library, *sources], check=True)
    return library


def test_a_good_library_passes(tmp_path):
    assert problems(tmp_path, make_library(tmp_path, {})) == {}


EXPORTS, GLOBALS = "exports_are_the_public_headers", "library_keeps_no_mutable_global"
BAD_LIBRARIES = {
    "name": (EXPORTS, "PJ_API int other(void)\n{\n\treturn 1;\n}\n", "does not begin with pj_"),
    "inside": (EXPORTS, "PJ_API int pj__other(void)\n{\n\treturn 1;\n}\n", "does not begin with pj_"),
    "undeclared": (EXPORTS, "PJ_API int pj_other(void)\n{\n\treturn 1;\n}\n", "in no public header"),
    "global": (GLOBALS, "static int counter;\nint inside(void)\n{\n\treturn ++counter;\n}\n", "counter"),
    "initialised": (GLOBALS, "int counter = 5;\n", "counter"),
    "fault points": ("library_has_no_fault_points", "int pj__fault(void)\n{\n\treturn 1;\n}\n", "pj__fault"),
    "fault text": ("library_has_no_fault_points", "const char *const x = \"PAPJUICE_FAULT\";\n", "PAPJUICE_FAULT"),
    "thread-local": (GLOBALS, "__thread int counter;\n", "counter"),
}


@pytest.mark.parametrize("name", BAD_LIBRARIES)
def test_a_bad_library_does_not(tmp_path, name):
    rule, code, text = BAD_LIBRARIES[name]
    found = problems(tmp_path, make_library(tmp_path, {"src/base/x.c": c_file("x.c", code)}))
    assert list(found) == [rule]
    assert any(text in problem for problem in found[rule]), found


def test_what_is_declared_must_be_there(tmp_path):
    header = c_file("x.h", "/* Not there. */\nPJ_API const char *pj_absent(int a, int (*b)(void))"
                           " __attribute__((format(printf, 1, 2)));\n")
    found = problems(tmp_path, make_library(tmp_path, {"include/papjuice/x.h": header}))
    assert found == {EXPORTS: ["pj_absent is declared in a public header and not in the library"]}


def test_the_command_tells_what_it_found(tmp_path):
    make_tree(tmp_path, {**GOOD, "docs/x.md": "text \n"})
    command = [sys.executable, check_house.__file__, "--root", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "docs/x.md:1: blanks at the end of the line" in done.stdout
    (tmp_path / "docs" / "x.md").unlink()
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
