"""tests/run must see what goes wrong: a bad end, a hang, a skip without a reason, a process or a report left behind; and
run programs beside each other, but for those that have to be alone.
"""
import importlib.machinery
import importlib.util
import os
import pathlib
import signal
import sys
import threading
import time

import pytest

PATH = pathlib.Path(__file__).resolve().parents[1] / "run"
loader = importlib.machinery.SourceFileLoader("run_tests", str(PATH))
run_tests = importlib.util.module_from_spec(importlib.util.spec_from_loader("run_tests", loader))
loader.exec_module(run_tests)

JUNIT = """<testsuite><testcase name="a"/><testcase name="b">{}</testcase></testsuite>"""


def finish(tmp_path, script, limit=20):
    return run_tests.run_program(["sh", "-c", script], limit, {}, str(tmp_path))


def junit(tmp_path, script, inside=""):
    finished = finish(tmp_path, script)
    (tmp_path / "result.xml").write_text(JUNIT.format(inside))
    return run_tests.parse_junit(str(tmp_path), finished)


def test_good_tests_are_counted(tmp_path):
    assert junit(tmp_path, "exit 0") == (2, [], [])


def test_failures_and_skips_are_counted(tmp_path):
    assert junit(tmp_path, "exit 1", "<failure>the reason</failure>") == (1, [("b", "the reason")], [])
    assert junit(tmp_path, "exit 0", '<skipped message="no root"/>') == (1, [], [("b", "no root")])


def test_output_is_told_with_a_failure(tmp_path):
    finished = finish(tmp_path, "echo the output; exit 1")
    assert run_tests.with_output((1, [("b", "why")], []), finished) == (1, [("b", "why\nthe output\n")], [])
    assert run_tests.with_output((1, [], []), finished) == (1, [], [])


def test_a_bad_end_is_a_failure(tmp_path):
    assert junit(tmp_path, "echo words; exit 3") == (2, [("exit code 3", "words\n")], [])
    assert junit(tmp_path, "kill -SEGV $$") == (2, [("killed by SIGSEGV", "")], [])


def test_no_test_at_all_is_a_failure(tmp_path):
    finished = finish(tmp_path, "exit 0")
    assert run_tests.parse_junit(str(tmp_path), finished) == (0, [("no test ran", "")], [])
    (tmp_path / "result.xml").write_text("<testsuite>")
    assert len(run_tests.parse_junit(str(tmp_path), finished)[1]) > 0


def test_a_hang_is_a_failure(tmp_path):
    begin = time.monotonic()
    finished = finish(tmp_path, "sleep 50 & sleep 50", limit=1)
    assert finished.end == "not finished after 1 seconds"
    assert time.monotonic() - begin < 10


def test_what_is_left_behind_is_a_failure(tmp_path):
    finished = finish(tmp_path, "setsid sleep 50 & exit 0")
    assert finished.end == "" and len(finished.leftovers) == 1 and "sleep 50" in finished.leftovers[0]
    assert run_tests.with_leftovers((1, [], []), finished)[1][0][0] == "left behind"
    assert not finish(tmp_path, "setsid sleep 0.3 & exit 0").leftovers


def test_a_sanitizer_report_is_a_failure(tmp_path):
    finished = finish(tmp_path, "echo a leak >${ASAN_OPTIONS##*log_path=}.123")
    assert finished.end == "" and finished.leftovers == ["a leak\n"]


def test_skipping_needs_a_reason(tmp_path):
    finished = finish(tmp_path, "echo skip: no root; echo other words")
    one, two = [("a", "")], [("a", ""), ("b", "")]
    assert run_tests.cmocka_skip_reasons((1, [], one), finished) == (1, [], [("a", "no root")])
    passed, failures, skips = run_tests.cmocka_skip_reasons((1, [], two), finished)
    assert (passed, [name for name, _ in failures], skips) == (1, ["b"], [("a", "no root")])


@pytest.fixture
def runner(monkeypatch, tmp_path):
    """Runs scripts: each knows $HERE, a folder for all of them, and succeeds if the script does."""
    monkeypatch.setattr(sys, "argv", ["run", "--jobs", "2"])
    monkeypatch.setenv("HERE", str(tmp_path))
    made = run_tests.Runner(run_tests.parse_arguments())

    def add(name, script, alone=False):
        def outcome(_, finished):
            return run_tests.crash_outcome((0 if finished.end else 1, [], []), finished)

        made.add("unit", name, lambda temp: ["sh", "-c", script], 20, outcome, alone=alone)

    made.script = add
    return made


WAIT_FOR = "until [ -e $HERE/{} ]; do sleep 0.01; done"


def test_programs_run_beside_each_other(runner, capsys):
    runner.script("one", "touch $HERE/one; " + WAIT_FOR.format("two"))
    runner.script("two", "touch $HERE/two; " + WAIT_FOR.format("one") + "; exit 3")
    runner.run_all()
    assert runner.report.finish() == 1
    told = capsys.readouterr().out
    assert "unit/two: exit code 3" in told and told.splitlines()[-1] == "1 passed, 1 failed"


def test_some_run_alone(runner):
    runner.script("first", "[ -e $HERE/done ] && touch $HERE/first", alone=True)
    runner.script("second", "[ -e $HERE/first ]", alone=True)
    runner.script("other", "sleep 0.2; touch $HERE/done")
    runner.run_all()
    assert (runner.report.passed, runner.report.failures) == (3, [])


def test_what_takes_long_comes_first(runner):
    runner.options.jobs = 1
    last = run_tests.LONGEST[-1].partition("/")[0]
    for suite, name in (("house", "rules"), (last, "short"), ("unit", "short"), run_tests.LONGEST[0].split("/")):
        runner.add(suite, name, lambda temp: ["true"], 20, lambda *_: (1, [], []))
    order = []
    runner.report.add = lambda suite, name, *_: order.append(f"{suite}/{name}")
    runner.run_all()
    assert order == [run_tests.LONGEST[0], f"{last}/short", "house/rules", "unit/short"]


def test_an_interrupt_ends_all(runner, tmp_path):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    for name in ("one", "two", "three"):
        runner.script(name, f"touch $HERE/{name}; setsid sleep 50 & sleep 50")

    def interrupt():
        while not (tmp_path / "one").exists() or not (tmp_path / "two").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        runner.run_all()
    thread.join()
    signal.signal(signal.SIGINT, before)
    assert time.monotonic() - begin < 20 and not (tmp_path / "three").exists()
    assert not run_tests.marked_processes(f"{os.getpid()}-")


@pytest.mark.parametrize("outcome, code, line", [
    ((3, [], []), 0, "3 passed, 0 failed"),
    ((3, [], [("t", "why")]), 0, "3 passed, 0 failed, 1 skipped"),
    ((2, [("t", "text")], []), 1, "2 passed, 1 failed"),
    ((0, [], []), 1, "0 passed, 0 failed"),
])
def test_the_last_line_and_the_exit_code(capsys, outcome, code, line):
    report = run_tests.Report()
    report.add("unit", "name", outcome, 0.1)
    assert report.finish() == code
    assert capsys.readouterr().out.splitlines()[-1] == line


def test_the_whole_command_fails_without_tests(tmp_path):
    done = finish(tmp_path, f"{sys.executable} {PATH} --suites none")
    assert done.end == "exit code 1" and "no suite is called 'none'" in done.output
