"""The whole of `grade verify` on the toy assignment, in real kernels."""

import io
import json

import pytest
from rich.console import Console

from grader.errors import AssignmentError
from grader.verify import as_json, render, render_markdown, verify_assignments
from grader.verify.report import exercise_rows

SURVIVOR = "Model.predict: dropped `2.0 *` in `2.0 * self.w`"


def verify(folder, **options):
    options = {"seeds": 3, "jobs": 0} | options
    (report,) = verify_assignments(["toy"], assignments=folder.parent, **options)
    return report


def test_a_weak_check_is_found_by_the_mutants_that_survive_it(write_toy):
    report = verify(write_toy(samples={}), seeds=0)
    status = {verdict.mutant.id: verdict for verdict in report.mutants}
    assert not report.passed
    assert status["mean_square: `p - y` -> `p + y`"].by == "a, a value"
    assert status["mean_square: `p - y` -> `y - p`"].status == "equivalent"
    assert status[SURVIVOR].status == "survived"
    assert status["Model.predict: lost: it raises"].status == "caught"
    assert any(SURVIVOR in problem for problem in report.problems)
    # Every mutant of the strong check's function is caught, or changes no value.
    assert not [m for m in report.survivors if m.mutant.function == "mean_square"]


def test_samples_alone_tell_how_many_checks_an_exercise_has(write_toy):
    report = verify(write_toy(samples={}), seeds=0, mutants=False)
    assert [row[2] for row in exercise_rows(report)] == ["1", "1"]
    assert report.checks == 2


def test_an_explained_survivor_is_accepted_and_a_stale_explanation_reported(write_toy):
    folder = write_toy(samples={})
    (folder / "survivors.toml").write_text(
        f"['toy.ipynb']\n'{SURVIVOR}' = 'the check is weak on purpose'\n'f: gone' = 'stale'\n"
    )
    report = verify(folder, seeds=0)
    (explained,) = [m for m in report.survivors if m.explanation]
    assert explained.mutant.id == SURVIVOR
    assert report.stale == ("toy.ipynb: f: gone",)
    assert not any(SURVIVOR in problem for problem in report.problems)


def test_reference_stub_samples_and_seeds_hold_and_worker_processes_tell_the_same(write_toy):
    folder = write_toy()
    told: list[str] = []
    report = verify(folder, mutants=False, jobs=2, progress=told.append)
    assert report.problems == ()
    assert (report.reference_score, report.max_score, report.stub_score) == (6.0, 6.0, 0.0)
    assert [v.sample.name for v in report.samples] == ["loop", "sum"]
    assert [(rate.name, rate.seeds) for rate in report.rates] == [
        ("a value", 3),
        ("b prediction", 3),
    ]
    done, total = told[-1].split()[1].split("/")
    assert done == total
    assert told[-1].endswith("(3/3 seeds)")


def test_what_does_not_hold_is_told_in_sentences(write_toy):
    lies = {
        "right": 'title = "t"\nkind = "right"\nnotebook = "toy.ipynb"\n'
        '[regions]\nmean_square = "return 1"\n'
    }
    checks = """
import pytest
from grader.errors import CheckFailed

@pytest.mark.exercise("a", points=4)
def test_a(student, rng):
    if rng.uniform() < 2 and student.mean_square is None:
        raise CheckFailed("no")

@pytest.mark.exercise("b", points=2)
def test_b(student, rng):
    raise ValueError("a mistake in the check itself")
"""
    report = verify(write_toy(checks=checks, samples=lies), mutants=False, seeds=1)
    assert any("the stub earns points: a, a: 4 of 4" in text for text in report.problems)
    assert any("the reference loses points" in text for text in report.problems)
    assert any("a mistake in the check itself" in text for text in report.warnings)


def test_the_report_is_a_table_markdown_and_json(write_toy):
    report = verify(write_toy(), seeds=2)
    out = io.StringIO()
    render(Console(file=out, width=80), report)
    assert "does not hold" in out.getvalue()
    assert SURVIVOR in out.getvalue()
    tables = out.getvalue().partition("What does not hold")[0]
    assert max(map(len, tables.splitlines())) <= 80
    assert "| samples, right | 1 of 1 as declared |" in render_markdown(report)
    (document,) = json.loads(as_json([report]))["assignments"]
    assert document["passed"] is False
    assert {m["id"] for m in document["mutants"]} == {m.mutant.id for m in report.mutants}


def test_an_unknown_assignment_is_named(write_toy):
    with pytest.raises(AssignmentError, match="there is no assignment 'other'; there is: toy"):
        verify_assignments(["other"], assignments=write_toy().parent)


def test_explanations_for_no_notebook_are_refused(write_toy):
    folder = write_toy()
    (folder / "survivors.toml").write_text('["other.ipynb"]\nx = "y"\n')
    with pytest.raises(AssignmentError, match=r"\[other.ipynb\] is not a notebook"):
        verify(folder)


def test_a_notebook_that_lacks_a_package_is_told_as_not_verified_and_nothing_fails(write_toy):
    folder = write_toy()
    toml = folder / "assignment.toml"
    toml.write_text(
        toml.read_text().replace("[[notebooks]]", '[[notebooks]]\nrequires = ["no_such_package"]')
    )
    (folder / "survivors.toml").write_text("['toy.ipynb']\n'f: gone' = 'of a run with it'\n")
    report = verify(folder)
    assert report.problems == () and report.stale == ()
    assert (report.reference_score, report.max_score, report.mutants) == (0.0, 0.0, ())
    (skipped,) = report.skipped
    assert "pip install no_such_package" in skipped and "(2 samples not graded)" in skipped
    assert "no_such_package" in render_markdown(report)
