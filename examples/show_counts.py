#!/usr/bin/python3
"""What `make run` does: counts the words of real files with papjuice, and shows what came out.

    show_counts.py BUILD [INPUT...]

The inputs are Debian's licences, or where there are none the project's own documents. The counts go to
BUILD/counts.tsv, in the order of the words; the ten most frequent are picked here.
"""
import heapq
import json
import pathlib
import subprocess
import sys

LICENCES = pathlib.Path("/usr/share/common-licenses")
SHOWN = 10


def default_inputs():
    if LICENCES.is_dir() and any(LICENCES.iterdir()):
        return [str(LICENCES)]
    root = pathlib.Path(__file__).resolve().parent.parent
    return [str(root / name) for name in ("README.md", "docs")]


def readable(word):
    return word.decode("utf-8", errors="backslashreplace")


def human(count, unit):
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= factor:
            return f"{count / factor:.1f} {prefix}{unit}"
    return f"{count:.0f} {unit}"


def most_frequent(path):
    with open(path, "rb") as file:
        rows = (line.rstrip(b"\n").rpartition(b"\t") for line in file)
        return heapq.nsmallest(SHOWN, ((-int(count), word) for word, _, count in rows))


def main():
    build = pathlib.Path(sys.argv[1])
    inputs = sys.argv[2:] or default_inputs()
    result, stats_file = build / "counts.tsv", build / "counts.json"
    command = [str(build / "papjuice"), "wordcount", *inputs, "-o", str(result), "--overwrite",
               "--stats", str(stats_file)]
    print("$", " ".join(command), flush=True)
    code = subprocess.run(command, check=False).returncode
    if code:
        return code
    stats = json.loads(stats_file.read_text(encoding="utf-8"))
    counters, seconds = stats["counters"], max(stats["seconds"]["total"], 1e-6)
    top = most_frequent(result)
    width = max([len("word"), *(len(readable(word)) for _, word in top)])
    print(f"\n  {'word':<{width}}  {'count':>10}\n  {'-' * width}  {'-' * 10}")
    for negative, word in top:
        print(f"  {readable(word):<{width}}  {-negative:>10,}")
    print(f"\n  {counters['map_pairs']:,} words, {counters['distinct_keys']:,} distinct,"
          f" in {counters['inputs']:,} files ({human(counters['input_bytes'], 'B')})")
    print(f"  {seconds * 1000:.1f} ms, {human(counters['input_bytes'] / seconds, 'B/s')},"
          f" {human(counters['map_pairs'] / seconds, 'words/s')}")
    print(f"  workers: {stats['workers']}, of which {stats['workers_used']} had work"
          f" ({counters['map_tasks']} map tasks, {counters['reduce_tasks']} reduce tasks)")
    print(f"  result:  {result}\n  numbers: {stats_file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
