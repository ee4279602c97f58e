"""The JSON report: its keys, their order, finite numbers."""

import json
from dataclasses import replace

import pytest

from grader.records import ExerciseScore, Note, Outcome, Report
from grader.report import json_report


def loaded(report):
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    return json.loads(json_report.render(report), parse_constant=refuse)


def test_the_keys_stand_in_the_documented_order(report):
    document = loaded(report)
    assert list(document) == ["schema", "assignment", "seed", "checks_from", "submissions"]
    submission = document["submissions"][0]
    assert list(submission) == [
        "path", "students", "status", "message", "score", "max_score", "manual_points",
        "exercises", "notes", "origin", "final",
    ]  # fmt: skip
    exercise = submission["exercises"][1]
    assert list(exercise) == ["id", "title", "points", "max_points", "status", "checks"]
    assert list(exercise["checks"][1]) == [
        "name", "outcome", "points", "max_points", "hidden", "message", "seconds",
    ]  # fmt: skip
    assert list(submission["notes"][0]) == ["kind", "cell", "message"]


def test_the_text_reads_back_as_what_was_written(report):
    assert loaded(report) == json_report.as_dict(report)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_it_is_written_piece_by_piece_as_it_would_be_whole(report, count):
    several = replace(report, results=tuple(report.results[:1]) * count)
    whole = json.dumps(json_report.as_dict(several), indent=2, ensure_ascii=False) + "\n"
    assert "".join(json_report.pieces(several)) == whole
    assert len(list(json_report.pieces(several))) == count + 2


def test_the_same_report_gives_the_same_text(report):
    assert json_report.render(report) == json_report.render(report)


def test_values_are_the_records_own(report):
    submission = loaded(report)["submissions"][0]
    assert submission["students"] == ["Anne Dupont", "Jean-Luc Meier"]
    assert (submission["score"], submission["max_score"]) == (7.5, 24.0)
    assert submission["exercises"][3]["status"] == "missing"
    assert submission["exercises"][2]["checks"][0]["hidden"] is True


def test_points_are_rounded_and_are_floats(result):
    check = Outcome("1", "values", "failed", 1 / 3, 1.0)
    exercise = ExerciseScore("1", "One", 0.1 + 0.2, 1, "partial", (check,))
    text = json_report.render(Report("a", "", 0, (replace(result, exercises=(exercise,)),)))
    assert '"points": 0.3,' in text
    assert '"max_points": 1.0,' in text
    assert '"points": 0.3333,' in text


def test_a_note_names_its_notebook_since_a_cell_number_alone_is_ambiguous(report):
    notes = loaded(report)["submissions"][0]["notes"]
    assert notes[0] == {
        "kind": "cell_error",
        "cell": 4,
        "message": "sigmoid.ipynb: NameError: name 'x' is not defined",
    }


def test_a_note_that_names_its_notebook_already_is_left_alone(result):
    note = Note("wrong_name", "a.ipynb was recognised as sigmoid.ipynb", notebook="a.ipynb")
    report = Report("a", "", 0, (replace(result, notes=(note,)),))
    assert loaded(report)["submissions"][0]["notes"][0]["message"] == note.message
    assert loaded(report)["submissions"][0]["notes"][0]["cell"] is None


def test_what_was_not_graded_has_no_score(refused):
    submission = loaded(Report("a", "", 0, (refused,)))["submissions"][0]
    assert submission["score"] is None


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_points_that_are_no_number_are_a_fault_of_ours_and_of_that_submission_alone(
    result, refused, number
):
    broken = replace(result, score=number)
    first, second = loaded(Report("a", "", 0, (broken, refused)))["submissions"]
    assert (first["status"], first["score"], first["exercises"]) == ("grader_fault", None, [])
    assert second["status"] == "refused"


def test_seconds_that_are_no_number_become_zero(result):
    check = Outcome("1", "values", "passed", 1.0, 1.0, seconds=float("nan"))
    exercise = ExerciseScore("1", "One", 1.0, 1.0, "passed", (check,))
    document = loaded(Report("a", "", 0, (replace(result, exercises=(exercise,)),)))
    assert document["submissions"][0]["exercises"][0]["checks"][0]["seconds"] == 0.0


def test_nothing_that_a_student_writes_leaves_its_string(hostile):
    text = json_report.render(hostile)
    assert all(c.isprintable() or c == "\n" for c in text)
    submission = loaded(hostile)["submissions"][0]
    assert submission["students"][0].startswith("<script>alert(1)</script>")
    assert "\\u202eevil" in submission["students"][0]
