"""papjuice streaming, from outside: Hadoop's own tests of its streaming, written anew, and what they leave out."""

import bz2
import gzip
import os
import re
import shutil
import signal
import subprocess
import tarfile
import time
import zipfile

import pytest

from conftest import command, limit_of, run

LIB = "org.apache.hadoop.mapred.lib."
ROSES = b"roses are red\nviolets are blue\nbunnies are pink\n"
TABBED = b"roses are \tred\t\n\tviolets are blue\nbunnies are pink\nthis is for testing a big\tinput line\nsmall input\n"


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    """Each test has a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TMPDIR", raising=False)
    (tmp_path / "in.txt").write_bytes(ROSES)


@pytest.fixture
def script(tmp_path):
    """Makes a shell script of the current folder."""

    def make(name, text):
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return f"./{name}"

    return make


def stream(*args, code=0, generic=(), output="out"):
    """Runs a job with in.txt, if no other input is named; returns what it printed on standard error."""
    inputs = [] if "-input" in args else ["-input", "in.txt"]
    done = run("streaming", *generic, *inputs, "-output", output, *args)
    assert done.returncode == code, done.stderr[-3000:]
    assert not [name for name in os.listdir(".") if name.startswith(".papjuice")], "something was left behind"
    return done.stderr.decode(errors="replace")


def part(number=0, output="out"):
    with open(f"{output}/part-{number:05}", "rb") as file:
        return file.read()


def files(output="out"):
    return sorted(os.listdir(output))


def define(**properties):
    """Generic options; '__' stands for '.'."""
    return [word for name, value in properties.items() for word in ("-D", f"{name.replace('__', '.')}={value}")]


# ------------------------------------------------------------------------------------------ Hadoop's tests of streaming


def test_streaming(script):
    stream("-mapper", "tr ' ' '\\n'", "-reducer", script("r.sh", "cut -f 1 | uniq | sed 's/^/R/'"))
    assert part() == b"Rare\t\nRblue\t\nRbunnies\t\nRpink\t\nRred\t\nRroses\t\nRviolets\t\n"
    assert files() == ["_SUCCESS", "part-00000"]


@pytest.mark.parametrize("how", [["-reducer", "NONE"], ["-numReduceTasks", "0"], ["-jobconf", "mapred.reduce.tasks=0"]])
def test_no_reducer(how):
    stream("-mapper", "tr ' ' '\\n'", *how)
    assert part() == b"roses\t\nare\t\nred\t\nviolets\t\nare\t\nblue\t\nbunnies\t\nare\t\npink\t\n"


def test_keys_only(script):
    stream("-mapper", "tr ' ' '\\n'", "-reducer", script("r.sh", "uniq"),
           generic=define(stream__reduce__input="keyonlytext", stream__reduce__output="keyonlytext"))
    assert part() == b"are\nblue\nbunnies\npink\nred\nroses\nviolets\n"


def test_key_and_value(tmp_path):
    (tmp_path / "in.txt").write_bytes(TABBED)
    stream("-mapper", "cat")
    assert part() == (b"\tviolets are blue\nbunnies are pink\t\nroses are \tred\t\nsmall input\t\n"
                      b"this is for testing a big\tinput line\n")


def test_offsets_are_keys(tmp_path):
    (tmp_path / "in.txt").write_bytes(TABBED)
    stream("-mapper", "cat", generic=define(stream__map__input__ignoreKey="false"))
    assert part() == (b"0\troses are \tred\t\n16\t\tviolets are blue\n34\tbunnies are pink\n"
                      b"51\tthis is for testing a big\tinput line\n88\tsmall input\n")


def test_separators(tmp_path):
    (tmp_path / "in.txt").write_bytes(b"roses1are.red\nviolets1are.blue\nbunnies1are.pink\n")
    generic = ["-D", "mapreduce.input.keyvaluelinerecordreader.key.value.separator=1",
               *define(stream__map__input__field__separator=2, stream__map__output__field__separator=3,
                       stream__reduce__input__field__separator=3, stream__reduce__output__field__separator=4,
                       mapreduce__output__textoutputformat__separator=5)]
    stream("-inputformat", "KeyValueTextInputFormat", "-mapper", "tr 2 3", "-reducer", "tr 3 4", generic=generic)
    assert part() == b"bunnies5are.pink\nroses5are.red\nviolets5are.blue\n"


def test_aggregate(script):
    stream("-mapper", script("m.sh", "tr ' ' '\\n' | sed 's/.*/LongValueSum:&\\t1/'"), "-reducer", "aggregate")
    assert part() == b"are\t3\nblue\t1\nbunnies\t1\npink\t1\nred\t1\nroses\t1\nviolets\t1\n"


def test_aggregate_wants_types():
    assert "TYPE:ID" in stream("-mapper", "cat", "-reducer", "aggregate", code=1)


def test_counters_and_status(script):
    said = stream("-reducer", "NONE", "-mapper",
                  script("m.sh", "cat; echo reporter:counter:UserCounters,InputLines,3 >&2; "
                                 "echo reporter:counter:UserCounters,InputLines,-1 >&2; echo reporter:counter:bad >&2;"
                                 "echo reporter:status:hello >&2; echo plain words >&2"))
    assert "\tUserCounters\n\t\tInputLines=2\n" in said
    assert "\nplain words\n" in said and "reporter:status" not in said


def test_much_is_said(script):
    said = stream("-mapper", script("m.sh", "cat; yes 'much is said' | head -c 20000000 >&2"), "-reducer", "NONE")
    assert 500000 < len(said) < 2000000 and "is not shown" in said


def test_exit_status_is_failure(script):
    said = stream("-mapper", script("m.sh", "cat; exit 3"), "-reducer", "NONE", code=1)
    assert "exit code 3" in said and "Job not successful!" in said and said.endswith("Streaming Command Failed!\n")
    assert not os.path.exists("out/_SUCCESS")
    stream("-mapper", script("m.sh", "cat; exit 3"), "-reducer", "NONE",
           generic=define(stream__non__zero__exit__is__failure="false"), output="out2")
    assert part(output="out2").startswith(b"roses are red\t\n")


def test_input_may_stay_unread(tmp_path):
    (tmp_path / "in.txt").write_bytes(b"a line\n" * 300000)
    stream("-mapper", "head -n 1", "-reducer", "NONE")
    assert part() == b"a line\t\n"


def test_files_and_links(tmp_path, script):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "one").write_text("1\n")
    (tmp_path / "data" / "two").write_text("2\n")
    stream("-reducer", "NONE", "-mapper", script("m.sh", "cat one link; ls"), "-file", "m.sh",
           generic=["-files", "data/one,data/two#link"])
    assert part() == b"1\t\n2\t\nlink\t\nm.sh\t\none\t\ntmp\t\n"


def test_archives(tmp_path, script):
    (tmp_path / "inside").write_text("within\n")
    with tarfile.open("a.tar.gz", "w:gz") as archive:
        archive.add("inside")
    with zipfile.ZipFile("b.zip", "w") as archive:
        archive.write("inside")
    if not shutil.which("unzip"):
        pytest.skip("there is no unzip")
    shutil.copy("b.zip", "c.jar")
    with tarfile.open("d.tgz", "w:gz") as archive:
        archive.add("inside", "sub/inside")
    stream("-reducer", "NONE", "-mapper", script("m.sh", "cat a.tar.gz/inside zip/inside c.jar/inside tgz/sub/inside"),
           "-file", "m.sh", "-cacheArchive", f"file:{tmp_path}/d.tgz#tgz", generic=["-archives", "a.tar.gz,b.zip#zip,c.jar"])
    assert part() == 4 * b"within\t\n"


@pytest.mark.parametrize("name, code, text", [
    ("broken.tar.gz", 5, "cannot unpack the archive with tar"),
    ("broken.rar", 1, "it may be a .zip, .jar, .tar, .tar.gz or .tgz"),
    ("missing.zip", 1, "File missing.zip does not exist."),
])
def test_archives_that_are_none(tmp_path, name, code, text):
    for there in ("broken.tar.gz", "broken.rar"):
        (tmp_path / there).write_bytes(b"no archive")
    assert text in stream("-mapper", "cat", generic=["-archives", name], code=code)
    assert not os.path.exists("out")


def test_raw_bytes(tmp_path):
    (tmp_path / "raw.py").write_text(
        "import struct, sys\n"
        "for line in sys.stdin.buffer:\n"
        "    key, _, value = line.rstrip(b'\\n').partition(b' ')\n"
        "    for item in (key, value):\n"
        "        sys.stdout.buffer.write(struct.pack('>I', len(item)) + item)\n")
    stream("-mapper", "python3 raw.py", "-file", "raw.py", generic=define(stream__map__output="rawbytes"))
    assert part() == (b"62 75 6e 6e 69 65 73\t61 72 65 20 70 69 6e 6b\n72 6f 73 65 73\t61 72 65 20 72 65 64\n"
                      b"76 69 6f 6c 65 74 73\t61 72 65 20 62 6c 75 65\n")


def test_typed_bytes_in_and_out(script):
    """With -io typedbytes a mapper gets a long and a string, and a list and an integer come out as Java shows them."""
    stream("-io", "typedbytes", "-reducer", "NONE", "-mapper",
           script("m.sh", "head -c 9 | od -An -tx1 >&2; cat >/dev/null; "
                          "printf '\\011\\003\\000\\000\\000\\001\\377\\003\\000\\000\\000\\007'"))
    assert part() == b"[1]\t7\n"


def test_binary_output_must_be_whole(script):
    said = stream("-reducer", "NONE", "-mapper", script("m.sh", "cat >/dev/null; printf '\\000\\000\\000\\005ab'"),
                  generic=define(stream__map__output="rawbytes"), code=1)
    assert "cut off" in said


# -------------------------------------------------------------------------------------------------------- order, parts


def test_keys_land_where_hadoop_puts_them(tmp_path):
    (tmp_path / "in.txt").write_bytes('the\nhello\n"word"\n\u00e9\n\n'.encode())
    stream("-mapper", "cat", "-numReduceTasks", "7")
    homes = {line.split(b"\t")[0].decode(): number for number in range(7) for line in part(number).splitlines()}
    assert homes == {"the": 0, "hello": 5, '"word"': 6, "\u00e9": 0, "": 1}


def test_secondary_sort(tmp_path):
    (tmp_path / "in.txt").write_text("".join(f"{key}\t{value}\tx\n" for key in "cab" for value in (3, 1, 2)))
    stream("-mapper", "cat", "-reducer", "cat", "-partitioner", LIB + "KeyFieldBasedPartitioner", "-numReduceTasks", "2",
           generic=["-D", "stream.num.map.output.key.fields=2", "-D", "mapred.text.key.partitioner.options=-k1,1"])
    assert (part(0) + part(1)).count(b"\n") == 9
    for number in range(2):
        lines = part(number).splitlines()
        assert lines == sorted(lines)
    assert {line[:1] for line in part(0).splitlines()}.isdisjoint(line[:1] for line in part(1).splitlines())


def test_fields_order_keys(tmp_path):
    (tmp_path / "in.txt").write_text("a.9.z\nb.10.y\nc.10.x\n")
    stream("-mapper", "cat", "-reducer", "cat",
           generic=["-D", "stream.map.output.field.separator=.", "-D", "stream.num.map.output.key.fields=2",
                    "-D", "mapreduce.map.output.key.field.separator=.",
                    "-D", f"mapreduce.job.output.key.comparator.class={LIB}KeyFieldBasedComparator",
                    "-D", "mapreduce.partition.keycomparator.options=-k2,2nr"])
    # the fields of b.10 and c.10 are equal, the keys are not: Hadoop 3.3.4 gives each value its own key
    assert part() == b"b.10\ty\nc.10\tx\na.9\tz\n"


def test_combiner_uses_the_reducers_separators(script):
    stream("-mapper", script("m.sh", "tr ' ' '\\n' | sed 's/$/:1/'"),
           "-combiner", script("c.sh", "sed 's/=/ /' | awk '{n[$1] += $2} END {for (k in n) print k \";\" n[k]}' | sort"),
           "-reducer", script("r.sh", "sed 's/=/ /' | awk '{n[$1] += $2} END {for (k in n) print k \";\" n[k]}' | sort"),
           generic=["-D", "stream.map.output.field.separator=:", "-D", "stream.reduce.input.field.separator==",
                    "-D", "stream.reduce.output.field.separator=;"])
    assert part() == b"are\t3\nblue\t1\nbunnies\t1\npink\t1\nred\t1\nroses\t1\nviolets\t1\n"


def test_classes_by_name():
    stream("-mapper", LIB + "TokenCountMapper", "-reducer", LIB + "LongSumReducer", "-combiner", LIB + "LongSumReducer")
    assert part() == b"are\t3\nblue\t1\nbunnies\t1\npink\t1\nred\t1\nroses\t1\nviolets\t1\n"
    stream("-inputformat", "org.apache.hadoop.mapred.KeyValueTextInputFormat", "-mapper", LIB + "InverseMapper",
           "-reducer", LIB + "IdentityReducer", output="out2")
    assert part(output="out2") == b"".join(b"\t" + line for line in ROSES.splitlines(keepends=True))
    stream("-mapper", LIB + "IdentityMapper", "-reducer", "NONE", output="out3")
    assert part(output="out3") == b"0\troses are red\n14\tviolets are blue\n31\tbunnies are pink\n"


@pytest.mark.parametrize("option, name", [("-mapper", "org.example.Mapper"), ("-reducer", "org.example.Reducer"),
                                          ("-inputformat", "SequenceFileInputFormat"), ("-partitioner", "org.x.Y"),
                                          ("-outputformat", "org.x.Y"), ("-inputreader", "StreamXmlRecordReader")])
def test_other_classes_are_refused(option, name):
    said = stream(option, name, *(["-mapper", "cat"] if option != "-mapper" else []), code=1)
    assert "class not found" in said and name in said
    assert not os.path.exists("out")


# ------------------------------------------------------------------------------------------------------ tasks, folders


def test_one_map_task_for_a_file(tmp_path, script):
    (tmp_path / "in").mkdir()
    for name, text in (("short", "x\n"), ("long", "yy\nzz\n"), ("_no", "n\n"), (".no", "n\n"), ("empty", "")):
        (tmp_path / "in" / name).write_text(text)
    stream("-input", "in", "-reducer", "NONE", "-mapper", script("m.sh", "wc -l"))
    # the longest first
    assert [part(number).split() for number in range(3)] == [[b"2"], [b"1"], [b"0"]]
    assert files() == ["_SUCCESS", "part-00000", "part-00001", "part-00002"]


def test_maps_cut_a_file(script):
    stream("-reducer", "NONE", "-mapper", script("m.sh", "wc -l"), generic=define(mapred__map__tasks=3))
    assert sum(int(part(number).split()[0]) for number in range(3)) == 3


def test_lines_for_each_map(tmp_path, script):
    (tmp_path / "in.txt").write_text("".join(f"line {i}\n" for i in range(7)) + "end")
    stream("-inputformat", LIB + "NLineInputFormat", "-reducer", "NONE", "-mapper",
           script("m.sh", 'cat; echo "$map_input_start $mapreduce_map_input_length"'),
           generic=["-D", "mapreduce.input.lineinputformat.linespermap=3"])
    # in the order of their lengths: 20 for the first, which counts one byte less, 21, and 10
    assert part(0) == b"21\tline 3\n28\tline 4\n35\tline 5\n20 21\t\n"
    assert part(1) == b"0\tline 0\n7\tline 1\n14\tline 2\n0 20\t\n"
    assert part(2) == b"42\tline 6\n49\tend\n41 10\t\n"


def test_environment(script, tmp_path):
    stream("-reducer", script("r.sh", "env"), "-mapper", script("m.sh", "cat; env | sort >&2; pwd >&2; echo $PWD >&2"),
           "-cmdenv", "MINE=a b", "-cmdenv", "OTHER=c", "-numReduceTasks", "3", "-jobconf", "x.y-z=1${mapred.job.name}",
           generic=["-D", "mapred.job.name=me", "-D", "stream.reduce.output.field.separator=="])
    env = dict(line.split(b"\t", 1) for number in range(3) for line in part(number).splitlines())
    assert env[b"MINE"] == b"a b" and env[b"OTHER"] == b"c" and env[b"x_y_z"] == b"1me"
    assert env[b"mapred_job_name"] == env[b"mapreduce_job_name"] == b"me"
    assert env[b"mapred_task_is_map"] == env[b"mapreduce_task_ismap"] == b"false"
    assert env[b"mapreduce_job_reduces"] == env[b"mapred_reduce_tasks"] == b"3"
    job = env[b"mapreduce_job_id"].decode().removeprefix("job_")
    assert re.fullmatch(r"\d{13}_0001", job)
    assert re.fullmatch(f"task_{job}_r_00000[012]", env[b"mapred_tip_id"].decode())
    assert re.fullmatch(f"attempt_{job}_r_00000[012]_0", env[b"mapred_task_id"].decode())
    assert env[b"mapreduce_output_fileoutputformat_outputdir"] == f"file:{tmp_path}/out".encode()
    assert b"mapreduce_map_input_file" not in env and env[b"HADOOP_ROOT_LOGGER"] == b""


def test_environment_of_a_map(script, tmp_path):
    stream("-reducer", "NONE", "-mapper", script("m.sh", "cat >/dev/null; env"),
           generic=["-D", "stream.map.output.field.separator=="])
    env = dict(line.split(b"\t", 1) for line in part().splitlines() if b"\t" in line)
    assert env[b"map_input_file"] == env[b"mapreduce_map_input_file"] == f"file:{tmp_path}/in.txt".encode()
    assert (env[b"map_input_start"], env[b"map_input_length"]) == (b"0", b"48")
    assert env[b"mapreduce_task_partition"] == b"0" and env[b"TMPDIR"] == env[b"PWD"] + b"/tmp"


def test_side_files_come_into_the_output(script):
    stream("-reducer", script("r.sh", 'cat; echo "$mapreduce_task_partition" >"$mapred_work_output_dir/side-$mapred_task_partition"'),
           "-mapper", script("m.sh", 'cat; mkdir "$mapreduce_task_output_dir/sub"; echo m >"$mapreduce_task_output_dir/sub/f"'),
           "-numReduceTasks", "2", "-jobconf", "mapreduce.fileoutputcommitter.marksuccessfuljobs=false")
    sides = [name for name in files() if name.startswith("side-")]
    assert sides and "sub" in files() and "_SUCCESS" not in files()
    with open("out/sub/f", encoding="ascii") as file:
        assert file.read() == "m\n"


@pytest.mark.parametrize("name", ["part-00000", "_SUCCESS"])
def test_side_files_take_no_names_of_the_output(script, name):
    said = stream("-mapper", script("m.sh", f'cat; echo side >"$mapreduce_task_output_dir/{name}"'), code=1)
    assert "a side file has the name of a file of the output" in said and name in said
    assert not os.path.exists("out")


def test_a_folder_that_is_gone_is_told(script):
    said = stream("-mapper", script("m.sh", 'cat; rmdir "$mapreduce_task_output_dir"'), code=1)
    assert re.search("cannot keep what an attempt has left: .*/side/attempt_.*: No such file or directory", said)


def test_of_side_files_with_one_name_the_last_tasks_stays(script):
    mapper = script("m.sh", 'cat; mkdir "$mapreduce_task_output_dir/d"; cd "$mapreduce_task_output_dir"; '
                            'echo $mapreduce_task_partition | tee same >d/same; touch d/$mapreduce_task_partition')
    stream("-input", "in.txt", "in.txt", "in.txt", "-mapper", mapper, "-reducer", "NONE",
           generic=define(mapreduce__job__maps=1))
    assert files() == ["_SUCCESS", "d", "part-00000", "part-00001", "part-00002", "same"]
    assert files("out/d") == ["0", "1", "2", "same"]
    for path in ("out/same", "out/d/same"):
        with open(path, encoding="ascii") as file:
            assert file.read() == "2\n"


def test_folders_that_may_not_be_changed_are_removed(nobody, tmp_path, script):
    tmp_path.chmod(0o777)
    mapper = script("m.sh", "cat; mkdir -p a/b; touch a/f a/b/f; chmod 555 a/b; chmod 0 a; mkdir tmp/c; chmod 111 tmp/c")
    done = run("streaming", "-input", "in.txt", "-output", "out", "-mapper", mapper, preexec_fn=nobody)
    assert done.returncode == 0 and files() == ["_SUCCESS", "part-00000"]
    assert not folders()


def test_failed_attempts_leave_nothing(script, tmp_path):
    first = tmp_path / "first"
    said = stream("-reducer", "NONE", "-mapper",
                  script("m.sh", f'echo "$mapreduce_task_attempt_id" >"$mapreduce_task_output_dir/$mapreduce_task_attempt_id"'
                                 f'\nif mkdir {first}; then cat; kill -9 $$; fi; cat'))
    assert part() == b"roses are red\t\nviolets are blue\t\nbunnies are pink\t\n"
    assert len([name for name in files() if name.startswith("attempt_")]) == 1
    assert "Status : FAILED" in said


def test_lazy_output():
    stream("-mapper", "grep roses", "-numReduceTasks", "5", "-lazyOutput",
           generic=define(stream__non__zero__exit__is__failure="false"))
    assert len(files()) == 2
    stream("-mapper", "grep roses", "-numReduceTasks", "5", output="out2")
    assert len(files("out2")) == 6


def test_a_reducer_of_nothing_writes_nothing():
    stream("-mapper", "grep roses", "-reducer", "wc -l", "-numReduceTasks", "2")
    assert sorted([part(0), part(1)]) == [b"", b"1\t\n"]


def test_programs_are_shipped_by_their_paths(tmp_path, script):
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "m.sh"
    program.write_text("#!/bin/sh\nsed s/^/X/\n")  # which may not be executed
    stream("-mapper", "bin/m.sh", "-file", "bin/m.sh", "-reducer", "NONE")
    assert part().startswith(b"Xroses")
    assert not os.access(program, os.X_OK)


def test_carriage_returns_and_marks(tmp_path):
    (tmp_path / "in.txt").write_bytes(b"\xef\xbb\xbfa\r\nb\rc\n\r\nlast")
    stream("-mapper", "cat", "-reducer", "NONE")
    assert part() == b"a\t\nb\t\nc\t\n\t\nlast\t\n"


# ------------------------------------------------------------------------------------------------------------ mistakes


def test_inputs_that_are_not_there(tmp_path):
    here = str(tmp_path)
    assert f"Input path does not exist: file:{here}/no" in stream("-input", "no", "-mapper", "cat", code=5)
    assert f"Input Pattern file:{here}/n* matches 0 files" in stream("-input", "n*", "-mapper", "cat", code=5)
    assert "No input paths specified in job" in stream("-input", ",", "-mapper", "cat", code=5)
    assert "not on this machine" in stream("-input", "hdfs://host/in", "-mapper", "cat", code=5)
    (tmp_path / "in" / "sub").mkdir(parents=True)
    assert "Not a file: file:" in stream("-input", "in", "-mapper", "cat", code=5)
    stream("-input", "in", "-mapper", "cat",
           generic=["-D", "mapreduce.input.fileinputformat.input.dir.recursive=true"])


def test_compressed_input_and_output(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.gz").write_bytes(gzip.compress(ROSES))
    (tmp_path / "in" / "b.bz2").write_bytes(bz2.compress(ROSES))
    (tmp_path / "in" / "c").write_bytes(ROSES)
    codec = ["-D", "mapred.output.compress=true", "-D"]
    stream("-input", "in", "-mapper", "cat", "-reducer", "uniq -c",
           generic=[*codec, "mapred.output.compression.codec=org.apache.hadoop.io.compress.GzipCodec"])
    assert files() == ["_SUCCESS", "part-00000.gz"]
    with gzip.open("out/part-00000.gz") as file:
        assert file.read().count(b"      3 ") == 3
    said = stream("-mapper", "cat", generic=[*codec, "mapred.output.compression.codec=SnappyCodec"], output="no", code=1)
    assert "SnappyCodec" in said and "GzipCodec" in said


def test_what_is_compressed_is_one_map_task(tmp_path):
    """By its name or by its first bytes, and also where lines are counted."""
    text = b"".join(b"%d\n" % i for i in range(20000))
    for name in ("in.gz", "packed"):
        (tmp_path / name).write_bytes(gzip.compress(text))
    (tmp_path / "in.bz2").write_bytes(bz2.compress(text, 1))
    expected = b"".join(b"%d\t\n" % i for i in range(20000))
    inputs = ["-input", "in.gz", "packed", "in.bz2"]
    stream(*inputs, "-mapper", "cat", "-reducer", "NONE", generic=define(mapreduce__job__maps=50))
    assert files() == ["_SUCCESS", "part-00000", "part-00001", "part-00002"]
    assert part(0) == part(1) == part(2) == expected
    stream(*inputs, "-mapper", "cut -f 2", "-reducer", "NONE", "-inputformat", LIB + "NLineInputFormat", output="lines")
    assert len(files("lines")) == 4 and part(2, "lines") == expected


def test_a_compressed_input_need_not_be_read(tmp_path, script):
    (tmp_path / "in.gz").write_bytes(gzip.compress(b"line\n" * 1000000))
    stream("-input", "in.gz", "-mapper", "head -n 1", "-reducer", script("r.sh", "head -n 1"))
    assert part() == b"line\t\n"


def test_a_damaged_input_is_an_error(tmp_path):
    packed = gzip.compress(os.urandom(100000))
    (tmp_path / "in.gz").write_bytes(packed[:-50000])
    assert "in.gz" in stream("-input", "in.gz", "-mapper", "cat", code=1)
    assert not os.path.exists("out")


@pytest.mark.parametrize("codec, end, tool", [
    ("GzipCodec", "gz", "gzip"), ("BZip2Codec", "bz2", "bzip2"), ("ZStandardCodec", "zst", "zstd")])
def test_part_files_are_compressed(tmp_path, codec, end, tool):
    if not shutil.which(tool):
        pytest.skip(f"there is no {tool}")
    (tmp_path / "in.txt").write_bytes(b"".join(b"%d\n" % (i * 7919 % 10007) for i in range(30000)))
    options = ["-mapper", "cat", "-reducer", "uniq -c", "-numReduceTasks", "3"]
    stream(*options, output="plain")
    stream(*options, generic=["-D", "mapreduce.output.fileoutputformat.compress=true", "-D",
                              f"mapreduce.output.fileoutputformat.compress.codec=org.apache.hadoop.io.compress.{codec}"])
    assert files() == ["_SUCCESS"] + [f"part-0000{i}.{end}" for i in range(3)]
    for i in range(3):
        text = subprocess.run([tool, "-dc", f"out/part-0000{i}.{end}"], capture_output=True, check=True).stdout
        assert text == part(i, "plain")


def test_globs_and_lists(tmp_path):
    for name in ("a1", "a2", "b1", "c1", "_a3"):
        (tmp_path / name).write_text(name + "\n")
    stream("-input", "{a,b}1,file:c1", "a[2-9]", "-input", "*a3,a2", "-mapper", "cat", code=5)
    stream("-input", "{a,b}1,file:c1", "a[2-9]", "-mapper", "cat")
    assert part() == b"a1\t\na2\t\nb1\t\nc1\t\n"


def test_names_that_look_like_patterns(tmp_path):
    """What is there by a name is meant by it."""
    for name in ("a[1]", "b\\c", "d{e,f}", "g\nh", b"\xff\xfe", "i j"):
        name = os.fsdecode(name)
        (tmp_path / name).write_text("x\n")
        stream("-input", name, "-mapper", "cat", output=f"out {name}")
        assert part(output=f"out {name}") == b"x\t\n"


@pytest.mark.parametrize("output", ["out", "out/", "file", "link", "out/.", "out/./", "new/..", "/"])
def test_the_output_must_not_exist(tmp_path, output):
    (tmp_path / "out").mkdir()
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to("nothing")
    before = sorted(os.listdir("."))
    assert "Error Launching job : Output directory file:/" in stream("-mapper", "cat", output=output, code=5)
    assert sorted(os.listdir(".")) == before and files() == []


def test_the_output_may_lie_in_new_folders():
    stream("-mapper", "cat", output="new/folders/out/.")
    assert files("new/folders/out") == ["_SUCCESS", "part-00000"] and files("new/folders") == ["out"]


@pytest.mark.parametrize("path", ["/dev/null", "pipe"])
def test_inputs_that_are_no_files(path):
    os.mkfifo("pipe")
    assert "Not a file: file:/" in stream("-input", path, "-mapper", "cat", code=5)


def test_nothing_is_shipped_as_tmp():
    assert "tmp cannot be the name" in stream("-mapper", "cat", generic=["-files", "in.txt#tmp"], code=1)


@pytest.mark.parametrize("text, line", [
    (b"", b""), (b"\n", b"\t\n"), (b"a", b"a\t\n"), (b"a\t", b"a\t\n"), (b"\t", b"\t\n"), (b"\t\t", b"\t\t\n"), (b"\tv\n", b"\tv\n")])
@pytest.mark.parametrize("reduces", [0, 1])
def test_edges_of_keys(tmp_path, text, line, reduces):
    """Keys without a byte, the separator at an end, the newline that is missing; a combiner where none is needed."""
    (tmp_path / "in.txt").write_bytes(text)
    stream("-mapper", "cat", "-reducer", "cat", "-combiner", "cat", "-numReduceTasks", str(reduces))
    assert part() == line


def test_environment_of_strange_names(script):
    stream("-mapper", script("m.sh", 'cat >/dev/null; echo "$A|$B"'), "-cmdenv", "=x", "-cmdenv", "A", "-cmdenv", "B=a = b",
           "-reducer", "NONE", generic=["-D", "=y", "-D", "a=${a}${a}", "-D", "b=${b}${a}${a}"])
    assert part() == b"|a = b\t\n"


@pytest.mark.parametrize("args, text", [
    ([], "No Arguments Given!"),
    (["-output", "o"], "Required argument: -input <name>"),
    (["-input", "in.txt"], "Required argument: -output "),
    (["-input", "in.txt", "-output", "o", "-D", "a=b"], "Unrecognized option: -D"),
    (["-input", "in.txt", "-output", "o", "--", "word"], "Found 1 unexpected arguments on the command line [word]"),
    (["-input", "in.txt", "-output", "o", "-numReduceTasks", "x"], "mapreduce.job.reduces"),
    (["-D", "mapreduce.partition.keypartitioner.options=-kx", "-input", "in.txt", "-output", "o", "-partitioner",
      "KeyFieldBasedPartitioner"], "Invalid -k argument"),
    (["dumptb", "x"], "dumptb"),
])
def test_wrong_command_lines(args, text):
    done = run("streaming", *args)
    assert done.returncode == 1 and text in done.stderr.decode()
    assert done.stderr.endswith(b"Streaming Command Failed!\n") or not args


def test_hints_are_about_this_command_line():
    assert "hint: -D papjuice.memory=10M is the least" in stream("-mapper", "cat", generic=["-D", "papjuice.memory=1"], code=1)
    said = stream("-mapper", "sh -c 'exit 3'", code=1)
    assert "exit code 3" in said and "--" not in said


def test_help():
    for word in ("-help", "-info"):
        done = run("streaming", word)
        assert done.returncode == 0 and b"-numReduceTasks" in done.stdout
    assert b"KeyFieldBasedPartitioner" in run("help", "streaming").stdout


# ------------------------------------------------------------------------------------------------------- sudden ends


def start(*args):
    """Starts a job whose mapper waits."""
    return subprocess.Popen(command("streaming", "-input", "in.txt", "-output", "out", *args),
                            stderr=subprocess.PIPE, start_new_session=True)


def folders():
    return [name for name in os.listdir(".") if name.startswith(".papjuice")]


def wait_for(what):
    end = time.monotonic() + 30
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_interrupted(script, tmp_path):
    job = start("-mapper", script("m.sh", "touch ../../../ready; sleep 1000"))
    wait_for((tmp_path / "ready").exists)
    job.send_signal(signal.SIGINT)
    assert job.wait(30) == 130
    assert not folders() and not os.path.exists("out")


def test_interrupted_while_lines_are_counted():
    os.truncate("in.txt", 1 << 40)  # a hole
    job = start("-mapper", "cat", "-inputformat", LIB + "NLineInputFormat")
    time.sleep(0.5)
    job.send_signal(signal.SIGINT)
    try:
        assert job.wait(limit_of(1)) == 130
    finally:
        job.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_ended_while_an_archive_is_unpacked(script, tmp_path, number):
    """What unpacks is called tar, waits, and has started something."""
    (tmp_path / "bin").mkdir()
    script("bin/tar", f"echo $$ >{tmp_path}/pids; sleep 1000 & echo $! >>{tmp_path}/pids; touch {tmp_path}/ready; wait")
    (tmp_path / "a.tar").write_bytes(b"")
    job = subprocess.Popen(command("streaming", "-archives", "a.tar", "-input", "in.txt", "-output", "out"),
                           env={**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"},
                           stderr=subprocess.DEVNULL, start_new_session=True)
    wait_for((tmp_path / "ready").exists)
    job.send_signal(number)
    assert job.wait(30) == (143 if number == signal.SIGTERM else -signal.SIGKILL)
    pids = (tmp_path / "pids").read_text(encoding="ascii").split()
    if number == signal.SIGKILL:
        os.kill(int(pids.pop()), signal.SIGKILL)  # what an unpacker has started has an input that ends; this has not
    wait_for(lambda: not any(alive(pid) for pid in pids))
    assert number == signal.SIGKILL or not folders()
    assert stream_again() == []


def alive(pid):
    """Does the process run? A dead one that nobody has reaped does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_what_a_killed_job_leaves_goes_with_the_next(script, tmp_path):
    job = start("-mapper", script("m.sh", "touch ../../../ready; sleep 1000"))
    wait_for((tmp_path / "ready").exists)
    job.kill()
    job.wait()
    assert folders()
    wait_for(lambda: stream_again() == [])


def stream_again():
    """Folders that are there after another job; those of the killed one are free when its workers are gone."""
    shutil.rmtree("out", ignore_errors=True)
    assert run("streaming", "-input", "in.txt", "-output", "out", "-mapper", "cat").returncode == 0
    return folders()
