"""Several grading processes: the same verdicts, and none lost with a process that ends."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import zipfile

import pytest

from grader.batch.collector import Collector, Job
from grader.batch.serialization import pack
from grader.batch.store import open_store
from grader.batch.workers import Workers
from grader.errors import AssignmentError
from grader.records import Options, Result

from .conftest import RIGHT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")


def scores(report):
    return [s["score"] for s in json.loads(report)["submissions"]]


def test_one_process_and_several_give_the_same_report(klass, without_times):
    klass.fill(5)
    klass.hand_in("Broken_Zip").write_bytes(b"PK\3\4 cut off")
    one, _ = klass.grade("--jobs", "1", "--regrade")
    several, _ = klass.grade("--jobs", "3", "--regrade")
    assert without_times(one) == without_times(several)
    assert scores(one) == [None, 2.0, 6.0, 6.0, 2.0, 6.0]


def test_cells_that_run_once_change_no_report_and_it_says_which_notebooks_share_them(
    klass, without_times
):
    klass.fill(4)
    odd = klass.hand_in("Odd_Ann")
    with zipfile.ZipFile(odd) as archive:
        text = archive.read("toy.ipynb")
    with zipfile.ZipFile(odd, "w") as archive:
        archive.writestr("toy.ipynb", text.replace(b"import numpy as np", b"import numpy  as np"))
    # An ordinary user's processes can't leave a sandbox again.
    options = ["--jobs", "2", "--regrade", *([] if os.geteuid() == 0 else ["--sandbox", "none"])]
    alone, err = klass.grade(*options)
    assert "share" not in err
    shared, err = klass.grade(*options, "--share-cells")
    assert without_times(shared) == without_times(alone)
    assert [line for line in err.splitlines() if "share" in line] == [
        "grade: --share-cells: 4 of 5 notebooks shared all first cells",
        "grade: --share-cells: 1 of 5 shared none or not all: toy.ipynb: cell 0 differs from the "
        "template's",
    ]


def test_of_many_reasons_not_to_share_cells_the_most_common_are_told():
    collector = Collector(["a.zip"] * 20)
    packed = pack(Result("a.zip", (), "graded"))
    for number in range(20):
        whys = ["", f"reason {number}", "common"]
        collector.done(number, packed, unchanged=True, isolation="", sharing=whys)
    lines = [line.removeprefix("--share-cells: ") for line in collector.sharing_lines()]
    assert lines[0] == "20 of 60 notebooks shared all first cells"
    assert lines[1] == "20 of 60 shared none or not all: common"
    assert len(lines) == 10
    assert lines[-1] == "13 of 60 shared none or not all, for other reasons"


def test_the_report_has_the_order_of_the_input_whoever_is_through_first(klass):
    slow = klass.hand_in("Zander_Zoe", more="import time; time.sleep(2)")
    quick = klass.hand_in("Adler_Ann", more="own = 1")
    report, err = klass.grade("--jobs", "2", paths=[slow, quick])
    assert [s["students"] for s in json.loads(report)["submissions"]] == [
        ["Zoe Zander"],
        ["Ann Adler"],
    ]
    assert err.index("Ann Adler") < err.index("Zoe Zander")


# A check runs in the worker: one that ends it stands for whatever else may.
KILLS = """

@pytest.fixture(autouse=True)
def end_of_the_worker(student):
    import os, signal
    from pathlib import Path
    if student.own() == "kills" and {condition}:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_worker_that_is_killed_once_costs_nobody_a_point(klass):
    klass.fill(4)
    klass.hand_in("Meier_Aa", more="def own(): return 'kills'")
    mark = klass.root / "was here"
    once = f"not Path({str(mark)!r}).exists() and not Path({str(mark)!r}).write_text('x') == 0"
    klass.add_to_checks(KILLS.format(condition=once))
    report, _ = klass.grade("--jobs", "2")
    assert mark.exists()
    assert scores(report) == [6.0, 2.0, 6.0, 6.0, 2.0]
    assert klass.processes() == []
    assert list(klass.tmp.rglob("*")) == []


def test_a_submission_on_which_every_worker_ends_is_a_fault_and_the_rest_goes_on(klass):
    klass.fill(4)
    klass.hand_in("Meier_Aa", more="def own(): return 'kills'")
    klass.add_to_checks(KILLS.format(condition="True"))
    report, _ = klass.grade("--jobs", "2", code=3)
    (lost,) = (s for s in json.loads(report)["submissions"] if s["status"] != "graded")
    assert (lost["students"], lost["status"]) == (["Aa Meier"], "grader_fault")
    assert "its worker process ended twice (killed by SIGKILL)" in lost["message"]
    assert scores(report) == [None, 2.0, 6.0, 6.0, 2.0]
    assert klass.processes() == []


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_checks_that_do_not_load_are_one_line_before_a_kernel_starts(klass, jobs):
    klass.fill(3)
    klass.add_to_checks("import no_such_module\n")
    report, err = klass.grade("--jobs", jobs, code=2)
    assert report == ""
    (line,) = err.splitlines()
    assert re.fullmatch(
        "grade: assignment toy: a check file can't be loaded: test_toy.py, line [0-9]+: "
        "ModuleNotFoundError: No module named 'no_such_module': `import no_such_module`",
        line,
    )
    assert klass.processes() == []
    assert list(klass.tmp.rglob("*")) == []
    with open_store(klass.results) as store:
        assert store.runs() == []


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_keeps_what_is_done_and_leaves_no_process(klass, jobs):
    klass.limit("cell_s", 3600)
    klass.fill(2)
    klass.hand_in("Zander_Zoe", more="while True: pass")
    process = klass.start("--jobs", jobs)
    lines = []
    while len(lines) < 2:
        lines.append(process.stderr.readline())
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "grade: interrupted: 2 of 3 are done and kept; the same command goes on\n" in err
    assert klass.processes() == []
    assert list(klass.tmp.rglob("*")) == []


class Heard:
    """What is told of each submission, in the order in which it is."""

    def __init__(self):
        self.told = []

    def doing(self, number, text, worker):
        pass

    def done(self, number, packed, **more):
        self.told.append(("done", number))

    def lost(self, number, how, said):
        self.told.append(("lost", number, how))


def test_processes_that_are_kept_begin_anew_after_checks_that_do_not_load(klass):
    checks = klass.reference / "toy" / "test_toy.py"
    text, path = checks.read_text(), str(klass.hand_in("Meier_Ann"))
    checks.write_text(text + "\nimport no_such_module\n")
    heard = Heard()
    with Workers(Options(str(klass.reference / "toy")), count=1) as workers:
        with pytest.raises(AssignmentError, match="no_such_module"):
            workers.run([Job(0, path)], heard)
        checks.write_text(text)
        workers.run([Job(1, path)], heard)
    assert heard.told == [("done", 1)]


def test_where_no_process_begins_the_rest_is_not_tried(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    heard = Heard()
    with Workers(Options("nowhere"), count=8) as workers:
        workers.run([Job(number, "a.zip") for number in range(20)], heard)
    why = "worker processes end before they begin (exit code 1)"
    assert sorted(heard.told) == [("lost", number, why) for number in range(20)]
    assert workers.started < 20


def test_workers_end_when_the_command_is_killed(klass, until):
    klass.fill(2, more="while True: pass")
    process = klass.start("--jobs", "2")
    until(lambda: len(klass.workers(process)) == 2)
    time.sleep(2.0)
    process.kill()
    process.communicate()
    assert klass.processes() == []


def refusing(monkeypatch, refused):
    """Let the workers whose numbers are refused not be started; count the attempts."""
    started = []
    popen = subprocess.Popen

    def start(command, **options):
        started.append(command)
        if refused(len(started)):
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return popen(command, **options)

    monkeypatch.setattr("grader.batch.workers.subprocess.Popen", start)
    return started


def test_a_worker_that_can_not_be_started_leaves_its_work_to_the_others(klass, monkeypatch):
    klass.fill(3)
    started = refusing(monkeypatch, lambda attempt: attempt > 1)
    heard = Heard()
    jobs = [Job(n, str(path)) for n, path in enumerate(sorted(klass.handed_in.iterdir()))]
    with Workers(Options(str(klass.reference / "toy")), count=3) as workers:
        workers.run(jobs, heard)
    assert heard.told == [("done", 0), ("done", 1), ("done", 2)]
    assert len(started) == 2


def test_a_first_worker_is_tried_again_and_one_that_never_starts_loses_nobody(monkeypatch):
    monkeypatch.setattr("grader.batch.workers.START_AGAIN_S", 0.0)
    started = refusing(monkeypatch, lambda attempt: True)
    heard = Heard()
    with Workers(Options("nowhere"), count=2) as workers:
        workers.run([Job(0, "a.zip"), Job(1, "b.zip")], heard)
    why = "no worker process can be started (Resource temporarily unavailable)"
    assert heard.told == [("lost", 0, why), ("lost", 1, why)]
    assert len(started) > 1


def test_a_worker_that_can_not_be_started_leaves_neither_folder_nor_descriptor(monkeypatch):
    monkeypatch.setattr("grader.batch.workers.START_AGAIN_S", 0.0)
    refusing(monkeypatch, lambda attempt: True)
    with Workers(Options("nowhere"), count=1) as workers:
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        workers.run([Job(0, "a.zip")], Heard())
        assert list(workers.scratch.glob("w*")) == []
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


class Cloned:
    """A fork server that notes whether its clones are to fork many kernels, and makes none."""

    def __init__(self):
        self.many = []

    def clone(self, *, many):
        self.many.append(many)
        raise OSError("no copy")


@pytest.mark.parametrize(
    ("jobs", "announced", "many"), [(1, False, False), (1, True, True), (15, False, True)]
)
def test_a_fork_server_hears_whether_many_kernels_will_come(monkeypatch, jobs, announced, many):
    monkeypatch.setattr("grader.batch.workers.START_AGAIN_S", 0.0)
    server = Cloned()
    with Workers(Options("nowhere"), count=1, fork_server=server, many=announced) as workers:
        workers.run([Job(n, "a.zip") for n in range(jobs)], Heard())
    assert set(server.many) == {many}


def test_the_timer_that_kills_what_does_not_stop_ends_with_the_workers():
    with Workers(Options("nowhere"), count=1) as workers:
        workers.stop()
        assert any(isinstance(thread, threading.Timer) for thread in threading.enumerate())
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(5)
            assert not thread.is_alive()


BURNS = (
    "import time; end = time.process_time() + 2\n    while time.process_time() < end: pass\n    "
)


def test_a_submission_that_uses_the_time_of_all_checks_is_told_and_costs_no_other(klass):
    file = klass.reference / "toy" / "assignment.toml"
    file.write_text(file.read_text().replace("[limits]", "[limits]\nchecks_s = 1"))
    klass.hand_in("Meier_Ann", mean_square=BURNS + RIGHT["mean_square"])
    klass.hand_in("Meier_Bea")
    report, _ = klass.grade("--jobs", "1")
    slow, other = json.loads(report)["submissions"]
    outcomes = {c["name"]: c for e in slow["exercises"] for c in e["checks"]}
    assert outcomes["double"]["outcome"] == "timeout"
    assert outcomes["double"]["message"].startswith(
        "not run: the time budget is used up: all checks of a submission together may take 1 s,"
    )
    assert (slow["score"], other["score"]) == (4.0, 6.0)
