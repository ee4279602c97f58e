"""A verdict from kept answers is that of the notebook, field by field, but for the times."""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from grader.assignment import load_assignment
from grader.assignment.check_fingerprints import fingerprints_by_check
from grader.batch.serialization import pack, unpack
from grader.grading import Grader, Work
from grader.notebook import compare_with_stub
from grader.records import Options
from grader.review.regrading import OneExercise
from grader.session import Kernels, start_fork_server
from grader.session.kept_answers import unpacked
from grader.session.several import Earlier
from grader.suite import open_suite
from grader.temporary import TemporaryFolder
from grader.verify.samples import apply_sample, exercises_of, load_samples

REFERENCE = Path(__file__).parents[1] / "reference" / "numerics"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A copy of numerics that runs in the grader's own Python."""
    pytest.importorskip("pandas")
    folder = tmp_path_factory.mktemp("course") / "numerics"
    shutil.copytree(REFERENCE, folder)
    file = folder / "assignment.toml"
    text, asked = re.subn(r"(?m)^requirements = \[[^]]*\]", "inherit = true", file.read_text())
    assert asked == 1
    file.write_text(text.replace("[environment]\n", "").replace("inherit = true\n", ""))
    return folder


CHANGES = {
    # A wider tolerance, and another one that is smaller.
    'p, rtol=1e-9, called="observed_order(h, C h^p)"': 'p, rtol=3.0, called="observed_order"',
    "abs(slope(h, errors) - order) > 0.2": "abs(slope(h, errors) - order) > 0.0001",
    # Other words.
    "raised nothing; it must raise {kind}": "went on; it has to raise {kind}",
    # Another expectation.
    'np.sqrt(c), rtol=1e-9, called="newton(f, df, x0)")\n    root': "c, rtol=1e-9)\n    root",
    # More is asked.
    "    assert_shape(t, (n + 1,), called": "    student.euler(turn, 0.0, y0, 1.0, 3)\n"
    "    assert_shape(t, (n + 1,), called",
}


SOME = {"mistake-order-two-points", "mistake-order-inverted", "mistake-trapezoid-ends",
        "mistake-newton-climbs", "mistake-euler-end-of-step", "right-weights"}  # fmt: skip


def graded(folder, earlier=None, only=None, check=None):
    """Return (result, kept answers) of each sample, by its name.

    earlier : a result and kept answers of each, which may stand for its notebook
    only : names of samples; check : an exercise and a name, to run this check alone
    """
    assignment = load_assignment(folder)
    options = Options(str(folder), keep_answers=True, checks=(check,) if check else ())
    found = {}
    with (
        Kernels(assignment, start_fork_server()) as kernels,
        open_suite(assignment) as suite,
        Grader(suite, kernels, options) as grader,
    ):
        for sample in load_samples(assignment):
            if only is not None and sample.name not in only:
                continue
            name = sample.notebook
            notebook = compare_with_stub(
                apply_sample(sample, assignment.notebooks[name]),
                assignment.stubs[name],
                functions=assignment.functions_in(name),
            )
            kept = None
            if earlier is not None:
                then, answers = earlier[sample.name]
                kept = Earlier(unpacked(answers), then.evidence.runs)
            grader.answers = b""
            with TemporaryFolder() as scratch:
                asked = [check[0]] if check else exercises_of(assignment, name)
                work = Work("", (), Path(scratch), {name: notebook}, only=frozenset(asked))
                result = grader.grade_notebooks(work, earlier=kept)
            found[sample.name] = unpack(pack(result)), grader.answers
    return found


def timeless(result):
    exercises = tuple(
        replace(exercise, checks=tuple(replace(check, seconds=0.0) for check in exercise.checks))
        for exercise in result.exercises
    )
    runs = {
        name: replace(
            run, seconds=0.0, cells=tuple(replace(cell, seconds=0.0) for cell in run.cells)
        )
        for name, run in result.evidence.runs.items()
    }
    return replace(result, exercises=exercises, evidence=replace(result.evidence, runs=runs))


def assert_same(one, other):
    for name in one:
        then, now = timeless(one[name][0]), timeless(other[name][0])
        for first, second in zip(then.exercises, now.exercises, strict=True):
            assert first == second, name
        assert then == now, name


@pytest.fixture(scope="module")
def first(course):
    """Every third sample, and those that are graded by changed checks, too."""
    every = [file.stem for file in sorted((course / "samples").glob("*.toml"))]
    return graded(course, only={*every[::3], *SOME})


def test_where_no_check_has_changed_every_sample_is_graded_alike_without_its_notebook(
    course, first
):
    again = graded(course, first, first)
    assert len(again) >= 12
    assert_same(first, again)
    assert [name for name, (_, answers) in again.items() if answers] == []


@pytest.fixture(scope="module")
def changed(course, first, tmp_path_factory):
    """The same with changed checks: wider, other words, another expectation, another request."""
    folder = tmp_path_factory.mktemp("changed") / "numerics"
    shutil.copytree(course, folder)
    checks = folder / "test_numerics.py"
    text = checks.read_text()
    for before, after in CHANGES.items():
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    checks.write_text(text)
    told = SimpleNamespace(afresh=graded(folder, only=SOME))
    told.kept = graded(folder, first, SOME)
    told.folder = folder
    told.before = {name: first[name] for name in SOME}
    return told


def test_a_changed_check_gives_kept_answers_the_verdict_of_the_notebook(changed):
    assert_same(changed.afresh, changed.kept)


def test_the_changes_are_seen(changed):
    """Of the test above: it compares verdicts that have changed, in each way."""
    for name, exercise, points in [
        ("mistake-order-inverted", "3-order", 1),  # the wider one accepts it
        ("right-weights", "1-newton", -2),  # the other expectation refuses it
        ("right-weights", "2-trapezoid", -1),  # and so does the smaller tolerance
    ]:
        then, now = (
            next(e for e in found[name][0].exercises if e.id == exercise).points
            for found in (changed.before, changed.kept)
        )
        assert now - then == points, (name, exercise)


def test_a_notebook_runs_only_where_more_is_asked(changed):
    """Which 4-euler's check does; and the verdicts of the others come from kept answers."""
    assert all(answers for _, answers in changed.kept.values())
    kept = [unpacked(answers) for _, answers in changed.kept.values()]
    afresh = [unpacked(answers) for _, answers in changed.afresh.values()]
    for few, many in zip(kept, afresh, strict=True):
        assert 0 < len(few.replies) < len(many.replies) / 2


def test_one_check_that_was_graded_again_makes_the_verdict_of_the_whole_exercise(
    course, first, changed
):
    check = ("3-order", "the order of a pure power")
    assignment = load_assignment(changed.folder)
    names = [name for name in fingerprints_by_check(assignment)["3-order"] if name]
    part = OneExercise(assignment, "3-order", [check[1]], names)
    again = graded(changed.folder, first, SOME, check)
    assert len(names) == 2
    for name, (result, answers) in again.items():
        assert answers == b""
        (alone,) = result.exercises
        assert [one.name for one in alone.checks] == [check[1]]
        whole, afresh = (
            next(e for e in timeless(found).exercises if e.id == "3-order")
            for found in (part.put_into(first[name][0], result), changed.afresh[name][0])
        )
        assert whole == afresh, name
