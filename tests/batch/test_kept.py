"""Nothing is graded twice, and what a run has graded survives whatever ends it."""

import contextlib
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from types import SimpleNamespace

import pytest

from grader.batch import cache_key, worker
from grader.batch.collector import Collector, Job
from grader.batch.progress import Progress
from grader.batch.serialization import pack
from grader.batch.store import open_store
from grader.errors import StoreError
from grader.records import Options, Result

from .conftest import CHECKS, MODULE, notebook


def how(err):
    """{who: "kept" or "graded"} of what the command wrote while it went on."""
    lines = re.findall(r"^\d+/\d+ (.+?) \d.*?(, kept from an earlier run)?$", err, re.MULTILINE)
    return {name: "kept" if kept else "graded" for name, kept in lines}


def stored(klass):
    """How often each content was graded, by the file of results."""
    connection = sqlite3.connect(klass.results)
    try:
        return dict(
            connection.execute(
                "SELECT input_hash, count(*) FROM results WHERE status = 'graded' GROUP BY 1"
            )
        )
    finally:
        connection.close()


def test_a_second_run_grades_what_has_changed_and_reports_the_same(klass):
    klass.fill(3)
    first, _ = klass.grade("--jobs", "2")
    again, err = klass.grade("--jobs", "2")
    assert again == first  # to the byte, times and all: nothing was run
    assert set(how(err).values()) == {"kept"}
    klass.hand_in("Meier_Ax", more="def own(): return 'mended'")
    after, err = klass.grade("--jobs", "2")
    assert how(err) == {"Ax Meier": "graded", "Bx Meier": "kept", "Cx Meier": "kept"}
    assert json.loads(after)["submissions"][0]["score"] == 6.0


def test_kept_and_fresh_verdicts_are_the_same_on_every_page(klass, without_times):
    klass.fill(2, more="1 / 0")
    first, _ = klass.grade("--jobs", "1", "--html", str(klass.root / "fresh"))
    kept, _ = klass.grade("--jobs", "2", "--html", str(klass.root / "kept"))
    fresh, _ = klass.grade("--jobs", "2", "--regrade", "--html", str(klass.root / "again"))
    assert first == kept
    assert without_times(first) == without_times(fresh)
    for page in (klass.root / "fresh").iterdir():
        assert "ZeroDivisionError" in page.read_text() or page.name == "index.html"
        assert page.read_text() == (klass.root / "kept" / page.name).read_text()
        assert page.read_text() == (klass.root / "again" / page.name).read_text()


DRAWS = "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()"


def test_figures_are_drawn_where_a_page_shows_them_and_those_that_are_there_are_used(klass):
    klass.fill(2, more=DRAWS)
    klass.grade("--jobs", "1")
    drawn, err = klass.grade("--jobs", "1", "--html", str(klass.root / "pages"))
    assert set(how(err).values()) == {"graded"}
    page = (klass.root / "pages" / "Meier_Ax.html").read_text()
    assert page.count("data:image/png") == 1
    for options in ([], ["--html", str(klass.root / "again")]):
        kept, err = klass.grade("--jobs", "1", *options)
        assert set(how(err).values()) == {"kept"}
        assert kept == drawn
    assert (klass.root / "again" / "Meier_Ax.html").read_text() == page


def test_where_a_person_reads_answers_without_pages_their_figures_are_drawn(klass):
    file = klass.reference / "toy" / "assignment.toml"
    file.write_text(f'{file.read_text()}answer_cells = ["In words"]\n')  # of the last one, b
    own = json.loads(notebook(more=DRAWS))
    words = {"cell_type": "markdown", "id": "w", "metadata": {}, "source": "## In words"}
    own["cells"][1:1] = [{**own["cells"][-1], "id": "elsewhere"}, words]
    (klass.reference / "toy" / "toy.ipynb").write_text(json.dumps(own))
    with zipfile.ZipFile(klass.handed_in / "Meier_Ax.zip", "w") as archive:
        archive.writestr("toy.ipynb", json.dumps(own))
    pictures = []
    for run, options in (("1", []), ("2", ["--html", str(klass.root / "page")])):
        klass.grade("--jobs", "1", *options)
        again = [*(sys.executable, *MODULE, "results", run), *("--html", klass.root / run)]
        subprocess.run(again, env=klass.environment, stdout=subprocess.DEVNULL, check=True)
        (page,) = (klass.root / run).glob("*.html")
        pictures.append(page.read_text().count("data:image/png"))
    assert pictures == [1, 2]


@pytest.mark.parametrize("options", [["--regrade"], ["--seed", "1"], ["--only", "a"]])
def test_what_was_asked_otherwise_is_graded_again(klass, options):
    klass.fill(2)
    klass.grade("--jobs", "1")
    _, err = klass.grade("--jobs", "1", *options)
    assert set(how(err).values()) == {"graded"}


def test_a_changed_check_grades_everybody_again(klass):
    klass.fill(2)
    klass.grade("--jobs", "1")
    klass.add_to_checks("\n# changed\n")
    _, err = klass.grade("--jobs", "1")
    assert set(how(err).values()) == {"graded"}


def test_a_kept_result_follows_its_file_to_another_folder(klass):
    path = klass.hand_in("Meier_Ann")
    klass.hand_in("Meier_Bea")
    klass.grade("--jobs", "1")
    moved = klass.root / "late"
    moved.mkdir()
    path.rename(moved / path.name)
    report, err = klass.grade("--jobs", "1", paths=[moved, klass.handed_in])
    assert how(err) == {"Ann Meier": "kept", "Bea Meier": "kept"}
    assert json.loads(report)["submissions"][0]["path"] == str(moved / path.name)


def test_faults_of_the_grader_are_not_kept(klass):
    klass.fill(2)
    klass.add_to_checks("""
@pytest.mark.exercise("a", points=0)
def test_broken(student):
    student.double(1.0).no_such_method()
""")
    klass.grade("--jobs", "1", code=3)
    assert stored(klass) == {}
    _, err = klass.grade("--jobs", "1", code=3)
    assert "kept" not in err


def test_what_changed_before_it_was_read_is_told_from_what_was_asked_for(klass):
    path = klass.hand_in("Meier_Ann")
    asked = cache_key.input_hash(path)
    klass.hand_in("Meier_Ann", double="return x + x")
    told = SimpleNamespace(unchanged=[], doing=lambda number, text: None)
    told.done = lambda number, packed, *, unchanged, **of_all: told.unchanged.append(unchanged)
    jobs = [Job(0, str(path), asked), Job(1, str(path), cache_key.input_hash(path))]
    worker.grade_jobs(Options(str(klass.reference / "toy")), jobs, told)
    assert told.unchanged == [False, True]


def test_a_result_of_what_was_not_asked_for_is_not_kept_under_its_name(tmp_path):
    result = Result("a.zip", (), "graded")
    with open_store(tmp_path / "results.sqlite") as store:
        for unchanged in (False, True):
            run = store.begin(assignment="toy", title="", submissions=1, settings={}, key="now")
            collector = Collector(["a.zip"], run=run)
            assert collector.without_kept([Job(0, "a.zip", "abc")], regrade=False) != []
            collector.done(0, pack(result), unchanged=unchanged, isolation="")
        assert [run.results for run in store.runs()] == [1, 1]
        assert collector.without_kept([Job(0, "a.zip", "abc")], regrade=False) == []


def test_a_disk_that_is_full_ends_the_keeping_and_not_the_batch():
    warned = []

    class FullDisk:
        def add(self, *arguments, **options):
            raise StoreError("disk full")

    class Heard(Progress):
        def warn(self, text):
            warned.append(text)

    collector = Collector(["a.zip", "b.zip"], run=FullDisk(), progress=Heard())
    for number in (0, 1):
        collector.done(number, pack(Result("", (), "graded")), unchanged=True, isolation="")
    assert collector.finished == 2
    assert warned == ["from here on no result is kept: disk full"]


def test_two_runs_at_the_same_time_keep_each_result(klass):
    klass.fill(4)
    runs = [klass.start("--jobs", "2", "--json", "-") for _ in range(2)]
    reports = [run.communicate(timeout=200) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], reports
    _, err = klass.grade("--jobs", "2")
    assert set(how(err).values()) == {"kept"}


def test_a_results_file_that_can_not_be_used_costs_no_verdict(klass):
    klass.fill(2)
    klass.results.write_bytes(b"no database")
    report, err = klass.grade("--jobs", "1")
    assert [s["status"] for s in json.loads(report)["submissions"]] == ["graded", "graded"]
    assert "no result is kept" in err
    assert "move the file away" in err


def test_a_students_machine_keeps_nothing(klass, tmp_path, tmp_path_factory):
    home = tmp_path / "home"
    home.mkdir()
    course = tmp_path_factory.mktemp("course")  # a reference/ upwards would come first
    checks = course / "checks"
    (checks / "stubs").mkdir(parents=True)
    toy = klass.reference / "toy"
    (checks / "assignment.toml").write_text(
        (toy / "assignment.toml").read_text().replace('id = "toy"', 'id = "toy"\npublic = true', 1)
    )
    (checks / "stubs" / "toy.ipynb").write_text(notebook(mean_square="pass", double="pass"))
    (checks / "test_toy.py").write_text(CHECKS.partition('@pytest.mark.exercise("b"')[0])
    mine = course / "toy.ipynb"
    mine.write_text(notebook())
    before = sorted(course.rglob("*"))
    environment = klass.environment | {"HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    del environment["GRADE_RESULTS"]
    environment.pop("XDG_STATE_HOME", None)
    done = subprocess.run(
        [*klass.command()[:3], str(mine)],
        cwd=mine.parent,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "4 / 4" in done.stdout
    assert f"public checks beside the notebook, in {checks}" in done.stderr
    assert list(home.rglob("results.sqlite")) == []
    assert sorted(course.rglob("*")) == before


def test_a_run_that_is_killed_again_and_again_gets_through_and_grades_nothing_twice(
    klass, without_times
):
    """SIGKILL for the command at random moments; whatever it said was graded stays graded."""
    klass.fill(6)
    moments = random.Random(20261121)
    told: set[str] = set()
    for wanted in (0, 1, 1, 2, 1):  # new results; it is killed within the work on the next ones
        process = klass.start("--jobs", "2")
        seen = ""
        while len(how(seen)) < len(told) + wanted and (line := process.stderr.readline()):
            seen += line
        time.sleep(moments.uniform(0.0, 0.5 if wanted else 2.0))
        process.kill()
        _, rest = process.communicate()
        by = how(seen + rest.rpartition("\n")[0] + "\n")
        assert {name for name, state in by.items() if state == "graded"}.isdisjoint(told)
        told |= set(by)
        assert klass.processes() == []
    report, err = klass.grade("--jobs", "2")
    assert {name for name, state in how(err).items() if state == "kept"} >= told
    assert len(how(err)) == 6
    assert set(stored(klass).values()) == {1}
    fresh, _ = klass.grade("--jobs", "2", "--regrade")
    assert without_times(report) == without_times(fresh)


def test_a_worker_that_is_killed_at_any_moment_changes_no_verdict(klass, without_times):
    klass.fill(4)
    expected, _ = klass.grade("--jobs", "1")
    moments = random.Random(7)
    for run in range(1, 4):
        process = klass.start("--jobs", "2", "--regrade", "--json", "-")
        while len(victims := klass.workers(process)) < 2:
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(moments.uniform(0.0, 1.5))
        with contextlib.suppress(ProcessLookupError):
            os.kill(moments.choice(victims), signal.SIGKILL)
        report, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
        assert without_times(report) == without_times(expected)
        assert len(how(err)) == 4
        assert set(stored(klass).values()) == {1 + run}
        assert klass.processes() == []


def test_an_archive_of_the_same_work_packed_anew_is_another_submission(klass):
    path = klass.hand_in("Meier_Ann")
    klass.hand_in("Meier_Bea")
    klass.grade("--jobs", "1")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("notes.txt", "x")
    _, err = klass.grade("--jobs", "1")
    assert how(err) == {"Ann Meier": "graded", "Bea Meier": "kept"}
