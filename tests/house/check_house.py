#!/usr/bin/python3
"""Checks what holds for the house as a whole: which room may use which, how long functions and files may be, what the
library exports, that all of it is documented, and what no file may contain.

    check_house.py [--root TREE] [--library LIBPAPJUICE.SO] [--junit FILE]

Each rule is a function that yields what breaks it. test_check_house.py shows that each of them can fail.
"""
import argparse
import collections
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

# What each room may use besides itself and the public headers: the table of docs/architecture.md.
ROOMS = {
    "base": [],
    "codec": ["base"],
    "mp": ["base"],
    "input": ["base", "codec"],
    "run": ["base"],
    "reduce": ["base"],
    "output": ["base", "codec"],
    "shuffle": ["base", "mp", "run", "reduce"],
    "program": ["base", "mp"],
    "command": ["base", "mp"],
    "job": ["base", "codec", "mp", "input", "run", "reduce", "output", "shuffle", "program", "command"],
    "engine": ["base", "codec", "mp", "input", "run", "reduce", "output", "shuffle", "program", "command", "job"],
    "front": [],
    "jobs": [],
    "streaming": ["base", "codec", "front"],
}
# Rooms outside of src/ that see the public headers only, and the public headers, which see each other only.
PUBLIC_ONLY = ("include", "cli", "examples")

FUNCTION_LINES, FILE_LINES = 70, 1000
COLUMNS = {".c": 120, ".h": 120, ".build": 120, ".py": 140}

# In every C file of the product.
BANNED_CALLS = {
    "strcpy strcat strncpy stpcpy sprintf vsprintf gets": "the length is not checked",
    "strtok atoi atol atoll atof": "errors are not seen",
    "system popen": "data must never reach a shell",
    "tmpnam tempnam mktemp": "the name can be taken meanwhile",
    "shm_open sem_open shmget": "a name that outlives its processes",
    "alloca": "the stack has no error",
    "signal": "use sigaction",
    "vfork": "the child shares the parent's memory",
    "setlocale umask": "belongs to the host program",
}
BANNED_PREFIXES = {
    "pthread_cond_": "hangs for ever after waiters were killed",
    "pthread_barrier_": "hangs for ever after a waiter was killed",
    "pthread_rwlock_": "is not robust",
    "sem_": "is not robust",
}
# In the library, the rooms `front` and `streaming` aside.
SILENT_CALLS = "printf vprintf puts putchar perror exit quick_exit abort".split()
PRINTS_TO = re.compile(r"\b(v?fprintf|fputs|fputc|putc|fwrite)\s*\(.*\b(stdout|stderr)\b")

TEXT_SUFFIXES = {".c", ".h", ".py", ".md", ".build", ".txt", ".ini", ".sh", ""}
SKIPPED_FOLDERS = re.compile(r"^(\.git|build.*|__pycache__|\.cache|corpus|seeds)$")
# In pieces, so that this file does not hold what it looks for.
UNFINISHED = re.compile(r"\b(" + "TO" + "DO|FIX" + "ME|X" + r"XX)\b")
MACHINE_PATH = re.compile(r"(?<![\w.])/(wor" + "k|roo" + r"t)/")
INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")

# Data that the compilers bring along, and what the signal handlers of src/front/signals.c write to and read.
RUNTIME_DATA = ("completed.0", "__dso_handle", "__TMC_END__", "_edata", "__bss_start", "_end", "__cpu_model",
                "__cpu_features2")
KEPT_DATA = ("stop_signal", "first_time", "forward_to", "patience", "watched")

Problem = collections.namedtuple("Problem", "place text")


class Tree:
    """The files of the project, read once."""

    def __init__(self, root, library):
        self.root, self.library = pathlib.Path(root), library
        self.files = sorted(self.walk(self.root))
        self.texts = {}

    def walk(self, folder):
        for path in folder.iterdir():
            if SKIPPED_FOLDERS.match(path.name):
                continue
            if path.is_dir():
                yield from self.walk(path)
            elif path.suffix in TEXT_SUFFIXES:
                yield path.relative_to(self.root).as_posix()

    def text(self, path):
        if path not in self.texts:
            self.texts[path] = (self.root / path).read_bytes().decode("utf-8", errors="surrogateescape")
        return self.texts[path]

    def c_files(self, *folders):
        c_files = (path for path in self.files if path.endswith((".c", ".h")))
        return [path for path in c_files if not folders or path.split("/")[0] in folders]

    def headers(self):
        return [path for path in self.files if path.startswith("include/") and path.endswith(".h")]


def blank(match):
    """As many lines as were there, and nothing in them."""
    return "\n" * match.group().count("\n")


def code_only(text):
    """C without comments, and with empty strings and characters; lines keep their numbers."""
    token = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
    return token.sub(lambda match: blank(match) if match.group()[0] == "/" else match.group()[0] * 2, text)


def without_directives(code):
    return re.sub(r"^[ \t]*#(?:[^\\\n]|\\\n|\\.)*", blank, code, flags=re.MULTILINE)


def calls(line):
    """Names that are called in a line of code; members of structs aside."""
    return re.findall(r"(?<![\w.>])(\w+)\s*\(", line)


def numbered_code(tree, path):
    return enumerate(code_only(tree.text(path)).split("\n"), 1)


# ------------------------------------------------------------------------------------------------------------- rooms


def room_of(path):
    parts = path.split("/")
    return parts[1] if parts[0] == "src" and len(parts) > 2 else parts[0]


def includes(tree, path):
    for number, line in enumerate(tree.text(path).splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
        if match:
            yield number, match.group(1), match.group(2)


def include_problem(tree, room, bracket, name):
    """What is wrong with an include in a file of `room`, or None."""
    if bracket == "<":
        if name.startswith("papjuice") and f"include/{name}" not in tree.files:
            return f"<{name}> is no public header"
        if f"src/{name}" in tree.files:
            return f"<{name}> is a header of a room: in quotes"
    elif room in PUBLIC_ONLY and f"{room}/{name}" in tree.files:
        return None
    elif f"src/{name}" not in tree.files:
        return f"\"{name}\" is not found: write \"ROOM/FILE\", public headers in angle brackets"
    elif (used := room_of(f"src/{name}")) != room and used not in ROOMS.get(room, []):
        return f"the room '{room}' may not use '{used}'"
    return None


def rooms_use_only_what_they_may(tree):
    """Includes follow the table of rooms."""
    for path in tree.c_files("src", *PUBLIC_ONLY):
        room = room_of(path)
        if room not in ROOMS and room not in PUBLIC_ONLY:
            yield Problem(path, f"the room '{room}' does not stand in the table")
            continue
        for number, bracket, name in includes(tree, path):
            problem = include_problem(tree, room, bracket, name)
            if problem:
                yield Problem(f"{path}:{number}", problem)


def rooms_are_those_of_the_document(tree):
    """The table of docs/architecture.md says of each room what is checked here."""
    path, above = "docs/architecture.md", []
    documented = {}
    for line in tree.text(path).splitlines() if path in tree.files else []:
        row = re.match(r"\| `src/(\w+)` \|.*\| ([^|]*) \|$", line)
        if row:
            room, words = row.group(1), row.group(2)
            documented[room] = list(above) if words == "all above" else [w for w in words.split(", ") if w in ROOMS]
            above.append(room)
    for room in [room for room in documented if sorted(documented[room]) != sorted(ROOMS.get(room, ["?"]))]:
        yield Problem(path, f"the room '{room}' may use {documented[room]} there, and {ROOMS.get(room)} here")
    for room in ROOMS.keys() - documented.keys() if documented else []:
        yield Problem(path, f"the room '{room}' is missing there")


def includes_run_in_no_circle(tree):
    """No header includes itself, over whatever others."""
    edges, done = {}, set()
    for path in tree.c_files("src", "include"):
        targets = [f"src/{name}" if bracket == '"' else f"include/{name}" for _, bracket, name in includes(tree, path)]
        edges[path] = [target for target in targets if target in tree.files]

    def visit(path, above):
        if path in above:
            yield Problem(path, "includes itself: " + " -> ".join([*above[above.index(path):], path]))
        elif path not in done:
            for target in edges.get(path, []):
                yield from visit(target, [*above, path])
            done.add(path)

    for path in edges:
        yield from visit(path, [])


# ---------------------------------------------------------------------------------------------------------- outliers


def first_line(lines, brace):
    """Where the definition begins whose opening brace stands in line `brace`, counted from 0."""
    start = brace
    while start > 0 and lines[start - 1].strip() and not lines[start - 1].lstrip().startswith("#") and \
            not lines[start - 1].rstrip().endswith((";", "}", "\\")):
        start -= 1
    return start


def functions(text):
    """(name, first line, lines) of each function: its braces stand in the first column."""
    lines, start = code_only(text).split("\n"), None
    for number, line in enumerate(lines):
        if line.rstrip() == "{":
            start = first_line(lines, number)
        elif line.startswith("}") and start is not None:
            signature = re.sub(r"__attribute__\s*\(\(.*?\)\)\s*", "", " ".join(lines[start:number]))
            name = re.search(r"(\w+)\s*\(", signature)
            yield name.group(1) if name else "?", start + 1, number - start + 1
            start = None


def measured_outliers(tree):
    """{(kind, path, name): lines} of what is too long."""
    found = {}
    for path in tree.c_files():
        length = tree.text(path).count("\n")
        if length > FILE_LINES:
            found["file", path, "-"] = length
        for name, _, lines in functions(tree.text(path)):
            if lines > FUNCTION_LINES:
                found["function", path, name] = lines
    return found


def outliers_only_shrink(tree):
    """Functions over 70 lines and files over 1,000 stand in outliers.txt, with their exact lengths."""
    listed, name = {}, "tests/house/outliers.txt"
    for number, line in enumerate(tree.text(name).splitlines() if name in tree.files else [], 1):
        fields = line.split("#")[0].split()
        if len(fields) == 4 and fields[3].isdigit():
            listed[tuple(fields[:3])] = int(fields[3]), number
        elif fields:
            yield Problem(f"{name}:{number}", "a line is: function PATH NAME LINES, or: file PATH - LINES")
    measured = measured_outliers(tree)
    for key, lines in measured.items():
        allowed, number = listed.get(key, (0, 0))
        if lines > allowed:
            what = f"the function {key[2]}" if key[0] == "function" else "the file"
            yield Problem(key[1], f"{what} has {lines} lines" + (f", it had {allowed}" if allowed else ""))
        elif lines < allowed:
            yield Problem(f"{name}:{number}", f"is down to {lines} lines: write so")
    for key in listed.keys() - measured.keys():
        yield Problem(f"{name}:{listed[key][1]}", "is no outlier any more: take it out")


# -------------------------------------------------------------------------------------------------- the library's face


def declared_names(code):
    """Names that headers declare with PJ_API: functions, and objects that share one declaration."""
    for match in re.finditer(r"\bPJ_API\b([^;{]*)[;{]", without_directives(code)):
        body = re.sub(r"__attribute__\s*\(\(.*\)\)", "", match.group(1), flags=re.DOTALL)
        function = re.search(r"(\w+)\s*\(", body)
        if function:
            yield function.group(1)
        else:
            yield from (re.sub(r"\[.*", "", part).split()[-1].lstrip("*") for part in body.split(","))


def symbols(library, *options):
    """(name, type, section or "-") of the library's symbols."""
    listed = subprocess.run(["nm", "--format=sysv", *options, str(library)], check=True, capture_output=True, text=True)
    for line in listed.stdout.splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) == 7 and fields[0] != "Name":
            yield fields[0].split("@")[0], fields[3], fields[6] or "-"


def of_sanitizer(name):
    return re.match(r"_*(odr_asan|asan|ubsan|tsan|sancov|sanitizer|llvm|lsan)", name) is not None


def exports_are_the_public_headers(tree):
    """The shared library exports what the headers declare with PJ_API: no more, no less, all beginning with pj_."""
    declared = {name for path in tree.headers() for name in declared_names(code_only(tree.text(path)))}
    exported = {name for name, kind, _ in symbols(tree.library, "--dynamic", "--defined-only")
                if not of_sanitizer(name) and kind in ("FUNC", "OBJECT", "IFUNC")}
    for name in sorted(exported):
        if not name.startswith("pj_") or name.startswith("pj__"):
            yield Problem(name, "is exported and does not begin with pj_")
        elif name not in declared:
            yield Problem(name, "is exported and stands in no public header")
    for name in sorted(declared - exported):
        yield Problem(name, "is declared in a public header and not in the library")


def library_keeps_no_mutable_global(tree):
    """Nothing of the library's own can be written but what a signal handler needs."""
    every = list(symbols(tree.library))
    if any(of_sanitizer(name) for name, _, _ in every):
        return "the library is built with a sanitizer, which adds data of its own"
    return [Problem(name, f"can be written (section {section})") for name, kind, section in every
            if section in (".data", ".bss", ".tdata", ".tbss") and kind in ("OBJECT", "TLS")
            and name not in RUNTIME_DATA and name not in KEPT_DATA]


def library_has_no_fault_points(tree):
    """Nothing of src/base/fault.h: that is for the program of tests/fault alone."""
    if b"PAPJUICE_FAULT" in pathlib.Path(tree.library).read_bytes():
        yield Problem("PAPJUICE_FAULT", "is a word of the library: it was built with PJ_FAULT_POINTS")
    for name, _, _ in symbols(tree.library):
        if name.startswith("pj__fault"):
            yield Problem(name, "is a symbol of the library: it was built with PJ_FAULT_POINTS")


def fault_points_are_compiled(tree):
    """The files with fault points are those that tests/fault/meson.build compiles a second time."""
    path = "tests/fault/meson.build"
    listed = {f"src/{name}" for name in re.findall(r"'(\w+/\w+\.c)'", tree.text(path) if path in tree.files else "")}
    have = {file for file in tree.c_files("src") if file.endswith(".c") and "PJ_FAULT(" in code_only(tree.text(file))}
    for file in sorted(have ^ listed):
        yield Problem(file, "has fault points and is not listed in " + path if file in have else f"is listed in {path} "
                      "and has no fault points")


def is_documented(raw, code, number):
    """True if a comment ends directly above line `number`, or above the declarations that stand directly above it."""
    above = number - 1
    while above >= 0 and code[above].strip():
        above -= 1
    return above >= 0 and raw[above].rstrip().endswith("*/")


def public_functions_are_documented(tree):
    """A comment stands directly above each function of the public headers, or above the first of a group."""
    for path in tree.headers():
        raw, code = tree.text(path).split("\n"), without_directives(code_only(tree.text(path))).split("\n")
        for number, line in enumerate(code):
            if re.match(r"(PJ_API|static inline)\b", line) and not is_documented(raw, code, number):
                yield Problem(f"{path}:{number + 1}", f"has no comment: {line.strip()}")


# ------------------------------------------------------------------------------------------------------- what is banned


def banned_calls_are_not_made(tree):
    """Calls that are known to end badly."""
    reasons = {name: reason for names, reason in BANNED_CALLS.items() for name in names.split()}
    for path in tree.c_files("src", "include", "cli", "examples", "bench"):
        for number, line in numbered_code(tree, path):
            for name in calls(line):
                by_prefix = (reason for prefix, reason in BANNED_PREFIXES.items() if name.startswith(prefix))
                reason = reasons.get(name) or next(by_prefix, None)
                if reason:
                    yield Problem(f"{path}:{number}", f"{name}: {reason}")


def library_neither_prints_nor_exits(tree):
    """Only the rooms `front` and `streaming` print, which are command lines; and PJ_VERIFY ends a process that has a bug."""
    for path in tree.c_files("src"):
        if room_of(path) in ("front", "streaming") or path == "src/base/verify.c":
            continue
        for number, line in numbered_code(tree, path):
            printed = [match.group(1) for match in [PRINTS_TO.search(line)] if match]
            for name in printed + [name for name in calls(line) if name in SILENT_CALLS]:
                yield Problem(f"{path}:{number}", f"{name}: the library neither prints nor exits")


def text_is_clean(tree):
    """No blanks at line ends, one newline at the end, nothing unfinished, no path of one machine."""
    for path in tree.files:
        text = tree.text(path)
        if text and (not text.endswith("\n") or text.endswith("\n\n")):
            yield Problem(path, "does not end with one newline")
        for number, line in enumerate(text.split("\n"), 1):
            place, columns = f"{path}:{number}", len(line.expandtabs(8))
            if line != line.rstrip():
                yield Problem(place, "blanks at the end of the line")
            if columns > COLUMNS.get(pathlib.PurePath(path).suffix, columns):
                yield Problem(place, f"{columns} columns")
            if UNFINISHED.search(line):
                yield Problem(place, "is marked as unfinished")
            if MACHINE_PATH.search(line):
                yield Problem(place, "a path of one machine")
            if INVISIBLE.search(line):
                yield Problem(place, "an invisible character")


def files_say_what_they_are_for(tree):
    """A C file begins with a comment that begins with its name, or is of one line."""
    for path in tree.c_files():
        if not re.match(rf"/\* .* \*/\n|/\*\n \* {re.escape(path.split('/')[-1])}: ", tree.text(path)):
            yield Problem(path, "does not begin with a comment \"NAME: what it is for\"")


RULES = [
    rooms_use_only_what_they_may,
    rooms_are_those_of_the_document,
    includes_run_in_no_circle,
    outliers_only_shrink,
    public_functions_are_documented,
    banned_calls_are_not_made,
    library_neither_prints_nor_exits,
    text_is_clean,
    files_say_what_they_are_for,
    fault_points_are_compiled,
]
LIBRARY_RULES = [exports_are_the_public_headers, library_keeps_no_mutable_global, library_has_no_fault_points]


def check(root, library=None):
    """[(rule, its problems, or why it was skipped)]"""
    tree = Tree(root, library)
    results = []
    for rule in RULES + (LIBRARY_RULES if library else []):
        found = rule(tree)
        results.append((rule, found if isinstance(found, str) else list(found)))
    return results


def write_junit(results, path):
    suite = ElementTree.Element("testsuite", name="house")
    for rule, found in results:
        case = ElementTree.SubElement(suite, "testcase", name=rule.__name__)
        if isinstance(found, str):
            ElementTree.SubElement(case, "skipped", message=found)
        elif found:
            text = "\n".join([rule.__doc__, *(f"{problem.place}: {problem.text}" for problem in found)])
            ElementTree.SubElement(case, "failure").text = text
    ElementTree.ElementTree(suite).write(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--library", help="the shared library; without it what it exports is not checked")
    parser.add_argument("--junit", help="write the results to this file, and print nothing")
    options = parser.parse_args()
    results = check(options.root, options.library)
    if options.junit:
        write_junit(results, options.junit)
        return 0
    for rule, found in results:
        state = f"skipped: {found}" if isinstance(found, str) else f"{len(found)} problems" if found else "good"
        print(f"{rule.__name__}: {state}")
        for problem in found if not isinstance(found, str) else []:
            print(f"    {problem.place}: {problem.text}")
    return 1 if any(found and not isinstance(found, str) for _, found in results) else 0


if __name__ == "__main__":
    sys.exit(main())
