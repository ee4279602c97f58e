"""`grade results 1 2 --join`: a late export is added to its class, and nobody is lost."""

import json

import pytest

from grader.batch.serialization import pack
from grader.batch.store import open_store
from grader.cli.commands import run as grade
from grader.records import ExerciseScore, Origin, Outcome, Result


def handed_in(name, score=4.0, *, work="", ids=None):
    check = Outcome("a", "c", "passed", score / 4, 4.0)
    exercise = ExerciseScore("a", "A", score, 4.0, "passed", (check,))
    return Result(
        f"{name.replace(' ', '_')}.zip",
        (name,),
        "graded",
        score=score,
        max_score=4.0,
        exercises=(exercise,),
        origin=Origin("moodle", ids=ids or {}),
        work=work or f"work of {name}",
    )


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """runs(one, other, settings=...) -> a file with these runs."""
    file = tmp_path / "results.sqlite"
    monkeypatch.setenv("GRADE_RESULTS", str(file))
    monkeypatch.chdir(tmp_path)

    def made(*classes, settings=({"seed": 0}, {"seed": 0}), titles=("toy", "toy")):
        with open_store(file) as store:
            for results, asked, title in zip(classes, settings, titles, strict=True):
                run = store.begin(assignment=title, title="Toy", submissions=len(results),
                                  settings=asked, key="now")  # fmt: skip
                for number, result in enumerate(results):
                    run.add(number, result, pack(result), input_hash="", kept=False)
                run.end("")

    return made


def joined(capsys, code=0):
    assert grade(["results", "1", "2", "--join", "--json", "r.json"]) == code
    told = capsys.readouterr().err
    if code:
        return [], told
    with open("r.json", encoding="utf-8") as file:  # noqa: PTH123
        submissions = json.load(file)["submissions"]
    return [(s["students"][0], s["score"]) for s in submissions], told


def test_who_is_new_is_added_and_who_was_there_stays(runs, capsys):
    runs([handed_in("Anna"), handed_in("Ben")], [handed_in("Cleo", 1.0)])
    found, told = joined(capsys)
    assert found == [("Anna", 4.0), ("Ben", 4.0), ("Cleo", 1.0)]
    assert "run 3: 1 new, 0 handed in again, 2 as before" in told


def test_who_hands_in_again_has_both_and_the_same_work_is_there_once(runs, capsys):
    runs(
        [handed_in("Anna", 1.0), handed_in("Ben")],
        [handed_in("Anna", 3.0, work="better"), handed_in("Ben")],
    )
    found, told = joined(capsys)
    assert found == [("Anna", 1.0), ("Ben", 4.0), ("Anna", 3.0)]
    assert "0 new, 1 handed in again, 1 as before" in told


def test_two_of_one_name_stay_two(runs, capsys):
    runs(
        [handed_in("Luca Rossi", ids={"participant": "1"})],
        [handed_in("Luca Rossi", 2.0, ids={"participant": "2"}, work="the same name")],
    )
    assert "1 new, 0 handed in again, 1 as before" in joined(capsys)[1]


def test_a_later_attempt_on_the_platform_is_the_same_student_again(runs, capsys):
    runs(
        [handed_in("Anna", ids={"user": "7", "attachment": "100"})],
        [handed_in("Anna", 2.0, ids={"user": "7", "attachment": "101"}, work="better")],
    )
    assert "0 new, 1 handed in again, 0 as before" in joined(capsys)[1]


def test_equal_work_of_two_students_is_kept_for_both(runs, capsys):
    runs([handed_in("Anna", work="w")], [handed_in("Ben", work="w")])
    assert [name for name, _ in joined(capsys)[0]] == ["Anna", "Ben"]


def test_runs_that_were_asked_for_differently_are_not_joined(runs, capsys):
    runs([handed_in("Anna")], [handed_in("Ben")], settings=({"seed": 0}, {"seed": 1}))
    _, told = joined(capsys, code=2)
    assert "only runs with the same assignment and settings can be joined" in told


def test_a_run_is_named(runs, capsys):
    runs([handed_in("Anna")], [handed_in("Ben")])
    assert grade(["results", "--join"]) == 2
    assert "name both" in capsys.readouterr().err


def test_the_late_run_alone_is_joined_with_the_run_before_of_its_assignment(runs, capsys):
    runs(
        [handed_in("Anna")],
        [handed_in("Zoe")],
        [handed_in("Ben", 1.0)],
        settings=({"seed": 0},) * 3,
        titles=("toy", "other", "toy"),
    )
    assert grade(["results", "3", "--join", "--json", "r.json"]) == 0
    assert "run 4: 1 new, 0 handed in again, 1 as before" in capsys.readouterr().err
    assert grade(["results", "2", "--join"]) == 2
    assert "There is no run of other before run 2" in capsys.readouterr().err
