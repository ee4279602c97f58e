"""When a table of known mistakes is computed for a class, and who reads of it."""

import html
import json
import time
from dataclasses import replace

import pytest

from grader.batch import known_builder
from grader.batch.serialization import unpack
from grader.batch.store import open_store

SUM = "return ((p - y) ** 2).sum()"
# How long a table takes is the machine's: here there is time for the whole of it.
IN_TIME = "from grader.batch import known_builder; known_builder.LEAST_S = 240.0"
NAMED = "`mean_square` behaves exactly as the solution would "


def tables(klass):
    return sorted(klass.root.glob("known/*/*.json.z"))


def ask_four_times(klass):
    """Of one number alone nobody tells what made it."""
    checks = klass.reference / "toy" / "test_toy.py"
    line = "    assert_close(student.mean_square"
    checks.write_text(
        checks.read_text()
        .replace("    p = rng.normal(size=7)", "    for p in rng.normal(size=(4, 7)):")
        .replace(line, f"    {line}")
    )


@pytest.mark.slow
def test_wrong_answers_of_a_class_are_named_at_its_end_wherever_one_reads_of_them(klass):
    ask_four_times(klass)
    for n in range(known_builder.CLASS):
        klass.hand_in(f"Meier_{chr(65 + n)}x", mean_square=SUM, more=f"n = {n}")
    pages = klass.root / "pages"
    report = json.loads(klass.grade("--html", str(pages), first=IN_TIME)[0])
    assert tables(klass)
    for submission in report["submissions"]:
        assert submission["score"] == 2.0
        assert NAMED in submission["exercises"][0]["checks"][0]["message"]
    for page in sorted(pages.glob("Meier*.html")):
        assert "behaves exactly as the solution would" in html.unescape(page.read_text())
    with open_store(klass.results) as store:
        kept = [unpack(item.packed) for item in store.items(1, evidence=True)]
    assert all(NAMED in result.exercises[0].checks[0].message for result in kept)
    assert all(result.evidence.regions for result in kept)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_small_class_is_told_its_known_mistakes_at_once_and_they_are_kept(klass, jobs):
    ask_four_times(klass)
    for n in range(2):
        klass.hand_in(f"Meier_{chr(65 + n)}x", mean_square=SUM, more=f"n = {n}")
    report = json.loads(klass.grade("--jobs", jobs)[0])
    assert not tables(klass)
    for submission in report["submissions"]:
        assert submission["score"] == 2.0
        assert NAMED in submission["exercises"][0]["checks"][0]["message"]
    with open_store(klass.results) as store:
        kept = [unpack(item.packed) for item in store.items(1, evidence=True)]
    assert all(NAMED in result.exercises[0].checks[0].message for result in kept)


def test_mistakes_are_tried_where_no_table_is_and_never_on_a_students_copy(klass):
    from grader.assignment import load_assignment
    from grader.explaining import Explainer, notebooks_without_table

    assignment = load_assignment(klass.reference / "toy")
    none = Explainer(assignment, lambda name: None)
    whole = Explainer(assignment, lambda name: None, has_table=lambda name: True)
    assert notebooks_without_table(assignment, None) == ("toy.ipynb",)
    assert notebooks_without_table(assignment, none) == ("toy.ipynb",)
    assert notebooks_without_table(assignment, whole) == ()
    assert notebooks_without_table(replace(assignment, public_only=True), None) == ()


@pytest.mark.slow
def test_a_class_of_right_answers_costs_no_table(klass):
    for n in range(known_builder.CLASS):
        klass.hand_in(f"Meier_{chr(65 + n)}x", more=f"n = {n}")
    klass.grade()
    assert not tables(klass)


class NoProcess:
    def __init__(self, *arguments, **options):
        raise AssertionError("a process is begun")


def build(assignment, folder, unnamed):
    known_builder.build(
        assignment, folder, unnamed, seed=0, sandbox="none", class_s=1.0, doing=lambda *_: None
    )


def test_a_process_is_begun_for_notebooks_with_unknown_mistakes_alone(klass, tmp_path, monkeypatch):
    from grader.assignment import load_assignment

    assignment = load_assignment(klass.reference / "toy")
    monkeypatch.setattr(known_builder.subprocess, "Popen", NoProcess)
    build(assignment, tmp_path, {})
    build(assignment, tmp_path, {"no such.ipynb": {0}})
    with pytest.raises(AssertionError, match="a process is begun"):
        build(assignment, tmp_path, {"toy.ipynb": {0}})


def test_nothing_is_begun_where_the_table_is_whole(klass, tmp_path, monkeypatch):
    from grader.assignment import load_assignment
    from grader.batch import known_store
    from grader.diagnosis.known import Known

    assignment = load_assignment(klass.reference / "toy")
    known_store.save(tmp_path, "toy.ipynb", 0, 1, Known())
    monkeypatch.setattr(known_builder.subprocess, "Popen", NoProcess)
    build(assignment, tmp_path, {"toy.ipynb": {0}})


@pytest.mark.slow
def test_a_process_whose_time_is_over_ends_in_the_middle_of_a_check(klass, tmp_path):
    from grader.assignment import load_assignment

    began = tmp_path / "began"
    checks = klass.reference / "toy" / "test_toy.py"
    slow = f"    open({str(began)!r}, 'w').close(); __import__('time').sleep(600)\n"
    lines = checks.read_text().splitlines(keepends=True)
    first = next(n for n, line in enumerate(lines) if line.startswith("def test_"))
    checks.write_text("".join([*lines[: first + 1], slow, *lines[first + 1 :]]))
    assignment = load_assignment(klass.reference / "toy")
    begun = known_builder._builder(assignment, tmp_path, ["toy.ipynb"], seed=0, sandbox="none")
    with begun as process:
        while not began.exists():
            assert process.poll() is None
            time.sleep(0.05)
    assert process.returncode == 0  # it was not killed
