#!/usr/bin/python3
"""Brings comments of C files to 120 columns, which clang-format does without taste: `make format` runs it.

    shorten_comments.py FILE...

A line of a paragraph hands its last words on to the next one; a comment that is too long for its line becomes a block;
a ruler loses dashes. Lines with gaps in them are drawings, and are left as they are, as is code.
"""
import pathlib
import re
import sys

COLUMNS = 120


def width(line):
    return len(line.expandtabs(8))


def split_words(line):
    """(what fits, the rest), cut between two words; the rest is "" if there is nowhere to cut."""
    start = len(re.match(r"\s*\* *(- )?", line).group())
    rest = ""
    while width(line) > COLUMNS and " " in line[start:]:
        line, word = line.rsplit(" ", 1)
        rest = f"{word} {rest}".strip()
    return line.rstrip(), rest


def goes_on(line, following):
    """True if `following` is the next line of the paragraph that `line` stands in."""
    here, there = (re.match(r"(\s*\* *)(- )?(\S)?", text) for text in (line, following))
    if not there or not there.group(3) or there.group(2) or there.group(3) == "@":
        return False
    return len(there.group(1)) == len(here.group(1) + (here.group(2) or ""))


def shorten(text):
    lines, at = text.split("\n"), 0
    while at < len(lines):
        line = lines[at]
        ruler = re.match(r"(\s*/\* )(-{20,})( .*\*/)$", line)
        single = re.match(r"(\s*)/\* (.*\S) \*/$", line)
        paragraph = re.match(r"\s* \* *(- )?\S", line) and not re.search(r"\S {2,}\S", line)
        if width(line) <= COLUMNS or line.endswith("\\"):
            pass
        elif ruler:
            lines[at] = ruler.group(1) + ruler.group(2)[: COLUMNS - width(line)] + ruler.group(3)
        elif single:
            indent, words = single.groups()
            lines[at:at + 1] = [f"{indent}/*", f"{indent} * {words}", f"{indent} */"]
            continue
        elif paragraph:
            lines[at], rest = split_words(line)
            if rest and goes_on(line, lines[at + 1]):
                prefix = re.match(r"\s*\* *", lines[at + 1]).group()
                lines[at + 1] = prefix + rest + " " + lines[at + 1][len(prefix):]
            elif rest:
                prefix = re.match(r"\s*\* *(- )?", line).group().replace("- ", "  ")
                lines.insert(at + 1, prefix + rest)
        at += 1
    return "\n".join(lines)


def main():
    for name in sys.argv[1:]:
        path = pathlib.Path(name)
        text = path.read_text(encoding="utf-8")
        shortened = shorten(text)
        if shortened != text:
            path.write_text(shortened, encoding="utf-8")
            print(f"shortened comments of {name}")


if __name__ == "__main__":
    main()
