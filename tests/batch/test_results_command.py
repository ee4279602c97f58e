"""`grade results`: earlier runs, listed, reported again and compared."""

import json

import pytest

from grader import cli
from grader.batch.serialization import pack
from grader.batch.store import open_store
from grader.records import CellRun, Evidence, ExerciseScore, Outcome, Report, Result, Run
from grader.report import html_page, json_report, junit

PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)


def graded(name, points):
    check = Outcome("1", "sign", "failed", points / 4, 4.0, message="the sign", seconds=0.1)
    exercise = ExerciseScore("1", "One", points, 4.0, "partial", (check,))
    cell = CellRun(0, "ok", outputs=({"data": {"image/png": PNG}},))
    return Result(
        f"{name}.zip",
        (name,),
        "graded",
        score=points,
        max_score=4.0,
        exercises=(exercise,),
        evidence=Evidence(runs={"a.ipynb": Run((cell,))}),
    )


REFUSED = Result("Cem.zip", ("Cem",), "refused", "the zip is cut off")
FIRST = [graded("Ann", 1.0), graded("Bea", 2.0)]
SECOND = [graded("Ann", 3.0), graded("Bea", 2.0), REFUSED]


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A file with two runs of pw02, and one of hw1 between them."""
    path = tmp_path / "results.sqlite"
    monkeypatch.setenv("GRADE_RESULTS", str(path))
    monkeypatch.chdir(tmp_path)
    with open_store(path) as store:
        for assignment, results in (("pw02", FIRST), ("hw1", FIRST), ("pw02", SECOND)):
            run = store.begin(
                assignment=assignment,
                title="Descent",
                submissions=len(results),
                settings={"seed": 3, "only": [], "public": False, "sandbox": "auto"},
                key="now",
            )
            for number, result in enumerate(results):
                run.add(number, result, pack(result), input_hash=result.path, kept=False)
            run.end("")
    return path


def report(results=SECOND):
    return Report("pw02", "Descent", 3, tuple(results))


def test_the_runs_are_listed_the_latest_first(file, capsys):
    assert cli.run(["results"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["run", "3", "2", "1"]
    assert "2 of 3" in lines[1]
    assert cli.run(["results", "--json", "-"]) == 0
    assert [run["run"] for run in json.loads(capsys.readouterr().out)["runs"]] == [3, 2, 1]


def test_a_run_is_reported_again_to_the_byte(file, tmp_path, capsys):
    options = ["--json", "a.json", "--junit", "a.xml", "--html", "pages"]
    assert cli.run(["results", "latest", *options]) == 0
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == json_report.render(report())
    assert (tmp_path / "a.xml").read_text(encoding="utf-8") == junit.render(report())
    expected = html_page.Pages(tmp_path / "expected", report(), [r.path for r in SECOND])
    for number, result in enumerate(SECOND):
        expected.write(number, result)
    expected.write_index(report())
    for page in (tmp_path / "expected").iterdir():
        assert (tmp_path / "pages" / page.name).read_bytes() == page.read_bytes()
    assert PNG in (tmp_path / "pages" / "Ann.html").read_text()
    assert "2 of 3 submissions graded\n" in capsys.readouterr().out


def test_one_student_s_report_is_found_by_a_part_of_the_name(file, capsys):
    assert cli.run(["results", "3", "--student", "an"]) == 0
    out = capsys.readouterr().out
    assert "Total 3 / 4" in out
    assert "Bea" not in out


def test_two_runs_are_compared(file, capsys):
    assert cli.run(["results", "1", "3"]) == 0
    assert "Ann  1 / 4 → 3 / 4  +2" in capsys.readouterr().out
    assert cli.run(["results", "3", "1"]) == 0
    assert "Ann  3 / 4 → 1 / 4  -2" in capsys.readouterr().out


def test_changes_compares_with_the_run_before_of_the_same_assignment(file, capsys):
    assert cli.run(["results", "--changes", "--json", "-"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["before"], told["after"]) == (1, 3)
    assert [who["students"] for who in told["new"]] == [["Cem"]]


def test_the_comparison_can_be_about_one_student_who_is_in_one_of_the_runs(file, capsys):
    assert cli.run(["results", "1", "3", "--student", "cem"]) == 0
    assert "new: Cem" in capsys.readouterr().out


def test_a_run_can_be_forgotten(file, capsys):
    assert cli.run(["results", "1", "--forget"]) == 0
    assert capsys.readouterr().out == "run 1 is forgotten\n"
    with open_store(file) as store:
        assert [run.id for run in store.runs()] == [3, 2]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("9", "There is no run '9'; there is: 3, 2, 1, latest."),
        ("1 2 3", "Two runs at most"),
        ("--changes 1", "There is no run of pw02 before run 1."),
        ("--html pages", "Which run?"),
        ("1 3 --html pages", "A comparison is shown here or written by --json."),
        ("1 --student zoe", "Nobody in this run has 'zoe'"),
        ("--forget", "--forget takes one run."),
        ("1 3 --forget", "--forget takes one run."),
        ("1 --forget --student ann", "--forget deletes a whole run"),
        ("1 --forget --html pages", "--forget deletes a whole run"),
    ],
)
def test_a_mistake_is_told_and_changes_nothing(file, capsys, arguments, told):
    before = file.read_bytes()
    assert cli.run(["results", *arguments.split()]) == 2
    assert told in capsys.readouterr().err
    assert file.read_bytes() == before


def test_a_folder_in_the_place_of_the_results_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GRADE_RESULTS", str(tmp_path))
    assert cli.run(["results"]) == 2
    assert f"the results in {tmp_path} can't be used (it is a folder)" in capsys.readouterr().err


def test_a_user_without_a_home_is_told_to_name_a_file(monkeypatch, capsys):
    def homeless(*args, **kwargs):
        raise RuntimeError("no home")

    monkeypatch.delenv("GRADE_RESULTS", raising=False)
    monkeypatch.setattr("grader.batch.store.platformdirs.user_state_path", homeless)
    assert cli.run(["results"]) == 2
    assert "name a file by $GRADE_RESULTS" in capsys.readouterr().err


def test_where_nothing_was_kept_it_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GRADE_RESULTS", str(tmp_path / "none.sqlite"))
    assert cli.run(["results"]) == 2
    assert "no results are kept yet" in capsys.readouterr().err
    monkeypatch.setenv("GRADE_RESULTS", "none")
    assert cli.run(["results"]) == 2
    assert "No results are kept" in capsys.readouterr().err
