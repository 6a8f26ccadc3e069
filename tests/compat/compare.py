#!/usr/bin/python3
"""Runs the same command lines of Hadoop Streaming by Hadoop and by PapJuice, and compares the part files byte by byte.

    HADOOP_HOME=/opt/hadoop compare.py [--papjuice build/papjuice] [--only NAME]
    HADOOP_CLASSPATH='/some/jars/*' compare.py

Hadoop runs as its local job runner, without a cluster. HADOOP_CLASSPATH names the jars of hadoop-streaming and of what it
needs; of HADOOP_HOME the program bin/hadoop and the streaming jar below share/hadoop/tools/lib are used. Each command
line is run with 1, 2 and 7 reducers, or, without reducers, as it is. In all of them the order of values cannot show,
since Hadoop leaves it open.
"""
import argparse
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

REDUCERS = (1, 2, 7)

LIB = "org.apache.hadoop.mapred.lib."
COUNT = "awk -F '\t' '{n[$1] += $2} END {for (k in n) print k \"\\t\" n[k]}' | LC_ALL=C sort"


def shell(command):
    """A pipeline as one word of a shell, quoted as Hadoop's own splitting allows."""
    return ["sh", command]


# name: (generic options, streaming options); a list ["sh", TEXT] becomes a script, which is shipped
CASES = {
    "words": ([], ["-input", "text", "-mapper", shell("tr -s ' ' '\\n'"), "-reducer", "uniq -c"]),
    "identity": ([], ["-input", "text", "-mapper", "cat"]),
    "two_fields": (["-D", "stream.num.map.output.key.fields=2"],
                   ["-input", "table", "-mapper", "cat", "-reducer", "cat"]),
    "secondary_sort": (["-D", "stream.num.map.output.key.fields=2",
                        "-D", "mapreduce.partition.keypartitioner.options=-k1,1"],
                       ["-input", "table", "-mapper", "cat", "-reducer", "cat",
                        "-partitioner", LIB + "KeyFieldBasedPartitioner"]),
    "numbers_down": (["-D", "stream.num.map.output.key.fields=3", "-D", "stream.map.output.field.separator=.",
                      "-D", "mapreduce.map.output.key.field.separator=.",
                      "-D", "mapreduce.job.output.key.comparator.class=" + LIB + "KeyFieldBasedComparator",
                      "-D", "mapreduce.partition.keycomparator.options=-k2,2nr -k1,1 -k3,3n",
                      "-D", "mapreduce.partition.keypartitioner.options=-k1,2"],
                     ["-input", "dotted", "-mapper", "cat", "-reducer", "cat",
                      "-partitioner", LIB + "KeyFieldBasedPartitioner"]),
    "aggregate": ([], ["-input", "text", "-mapper",
                       shell("tr -s ' ' '\\n' | awk 'NF {print \"LongValueSum:\" $1 \"\\t1\"; "
                             "print \"UniqValueCount:u\" length($1) \"\\t\" $1; "
                             "print \"ValueHistogram:h\" length($1) \"\\t\" $1; "
                             "print \"LongValueMax:m\" substr($1, 1, 1) \"\\t\" length($1); "
                             "print \"DoubleValueSum:d\" length($1) \"\\t0.5\"; "
                             "print \"StringValueMin:s\" length($1) \"\\t\" $1}'"),
                       "-reducer", "aggregate"]),
    "combiner": ([], ["-input", "text", "-mapper", shell("tr -s ' ' '\\n' | sed 's/$/\\t1/'"),
                      "-combiner", shell(COUNT), "-reducer", shell(COUNT)]),
    "key_value": (["-D", "mapreduce.input.keyvaluelinerecordreader.key.value.separator=.",
                   "-D", "stream.map.input.field.separator=:", "-D", "mapreduce.output.textoutputformat.separator=|"],
                  ["-input", "dotted", "-inputformat", "KeyValueTextInputFormat", "-mapper", shell("tr : '\\t'"),
                   "-reducer", shell("sort -u")]),
    "nline": (["-D", "mapreduce.input.lineinputformat.linespermap=40"],
              ["-input", "table", "-inputformat", LIB + "NLineInputFormat", "-mapper", "cut -f 2-",
               "-reducer", shell("sort")]),
    "bytes": ([], ["-input", "bytes", "-mapper", "cat", "-reducer", shell("LC_ALL=C sort")]),
    "typed": (["-D", "stream.map.output=typedbytes", "-D", "stream.reduce.input=typedbytes"],
              ["-input", "text", "-mapper", "python3 typed.py map", "-reducer", "python3 typed.py reduce",
               "-file", "typed.py"]),
    "keys_only": (["-D", "stream.reduce.input=keyonlytext", "-D", "stream.reduce.output=keyonlytext"],
                  ["-input", "text", "-mapper", shell("tr -s ' ' '\\n'"), "-reducer", "uniq -c"]),
}

TYPED = '''import struct
import sys


def take(stream):
    kind = stream.read(1)
    if not kind:
        return None
    if kind == b"\\x07":
        return stream.read(struct.unpack(">I", stream.read(4))[0])
    return struct.unpack(">i", stream.read(4))[0]


if sys.argv[1] == "map":
    for line in sys.stdin.buffer:
        for word in line.split():
            sys.stdout.buffer.write(b"\\x07" + struct.pack(">I", len(word)) + word + b"\\x03" + struct.pack(">i", len(word)))
else:
    sums = {}
    while (key := take(sys.stdin.buffer)) is not None:
        sums[key] = sums.get(key, 0) + take(sys.stdin.buffer)
    for key in sorted(sums):
        sys.stdout.buffer.write(key + b"\\t%d\\n" % sums[key])
'''


def make_inputs(folder):
    """Small files in which keys repeat, none of them with values that could come in another order and show."""
    rng = random.Random(8)
    words = ["the", "hello", "null", "\u00e9t\u00e9", "a", "zzzzzzzz", "\U0001f600", "word", "x" * 90]
    words += [f"w{rng.randrange(400)}" for _ in range(300)]
    (folder / "text").mkdir()
    for name in ("one", "two", "_hidden"):
        lines = (" ".join(rng.choices(words, k=rng.randrange(12))) for _ in range(500))
        (folder / "text" / name).write_text("".join(line + "\n" for line in lines))
    rows = {f"k{rng.randrange(30)}\t{rng.randrange(-50, 50)}\t{i}" for i in range(600)}
    keys = {tuple(row.split("\t")[:2]): row for row in sorted(rows)}
    (folder / "table").write_text("\n".join(keys.values()))
    dotted = {f"{rng.randrange(20)}.{rng.randrange(100)}.{rng.randrange(100)}" for _ in range(500)}
    (folder / "dotted").write_text("".join(key + ".rest\n" for key in sorted(dotted)))
    (folder / "bytes").write_bytes(b"".join(bytes(rng.choices([b for b in range(256) if b not in (9, 10)], k=9)) + b"\n"
                                            for _ in range(400)) + b"\xef\xbb\xbf\r\n\r\rlast")
    (folder / "typed.py").write_text(TYPED)


def command_line(name, folder, reducers, output):
    generic, options = CASES[name]
    words, shipped = [], []
    for number, word in enumerate(options):
        if isinstance(word, list):
            script = folder / f"{name}{number}.sh"
            script.write_text(f"#!/bin/sh\n{word[1]}\n")
            script.chmod(0o755)
            shipped += ["-file", str(script)]
            word = script.name
        words.append(word)
    return [*generic, "-D", f"mapreduce.job.reduces={reducers}", *words, *shipped, "-output", output]


def hadoop():
    """The words before a streaming command line."""
    jars, home = os.environ.get("HADOOP_CLASSPATH"), os.environ.get("HADOOP_HOME")
    if jars:
        return ["java", "-Xmx512m", "-cp", jars, "org.apache.hadoop.streaming.HadoopStreaming"]
    if home:
        found = sorted(pathlib.Path(home).glob("share/hadoop/tools/lib/hadoop-streaming*.jar"))
        if found:
            return [f"{home}/bin/hadoop", "jar", str(found[0])]
    sys.exit("compare.py: no Hadoop: set HADOOP_HOME, or HADOOP_CLASSPATH to its jars (see --help)")


def parts(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("part-*"))}


def run(words, folder):
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, errors="replace")
    if done.returncode:
        print(done.stdout[-1000:], done.stderr[-3000:], sep="\n")
    return done.returncode == 0


def compare(name, reducers, programs, folder):
    """What differs, or None."""
    outputs = []
    for who, words in programs.items():
        output = f"{name}-{reducers}-{who}"
        if not run([*words, *command_line(name, folder, reducers, output)], folder):
            return f"{who} failed"
        outputs.append(parts(folder / output))
    if outputs[0].keys() != outputs[1].keys():
        return f"other part files: {[sorted(output) for output in outputs]}"
    different = [part for part in outputs[0] if outputs[0][part] != outputs[1][part]]
    return f"{', '.join(different)} differ" if different else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--papjuice", default="build/papjuice", type=pathlib.Path)
    parser.add_argument("--only", choices=CASES)
    parser.add_argument("--keep", help="folder for inputs and outputs, which stay there", type=pathlib.Path)
    options = parser.parse_args()
    programs = {"hadoop": hadoop(), "papjuice": [str(options.papjuice.resolve()), "streaming"]}
    folder = options.keep or pathlib.Path(tempfile.mkdtemp(prefix="papjuice-compat-"))
    folder.mkdir(exist_ok=True)
    make_inputs(folder)
    passed = failed = 0
    for name in [options.only] if options.only else CASES:
        for reducers in REDUCERS:
            problem = compare(name, reducers, programs, folder)
            print(f"{name:16}{reducers} reducers: {problem or 'the same bytes'}", flush=True)
            passed, failed = passed + (not problem), failed + bool(problem)
    if not options.keep:
        shutil.rmtree(folder)
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
