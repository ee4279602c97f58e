"""The report as JUnit XML, for the test tabs of GitLab and GitHub.

There is one testsuite for each submission, and one testcase for each check. classname is
"assignment.exercise". A check that failed, or whose answer is missing, has a failure. A check that
met an exception or the time limit has an error. Manual exercises, and checks that can't run here,
are skipped. A submission that was refused or met a fault of the grader is one testcase with an
error.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from xml.etree import ElementTree

from grader.records import ExerciseScore, Outcome, Report, Result
from grader.report.judgement_words import judgement_lines
from grader.report.wording import (
    REFUSAL_WORDS,
    complaints,
    deducted,
    open_text,
    points_text,
    status_text,
)
from grader.text import one_line, printable

_COUNTED = ("tests", "failures", "errors", "skipped")


def render(report: Report) -> str:
    """Return the report as JUnit XML text."""
    return "".join(pieces(report))


def pieces(report: Report) -> Iterator[str]:
    """Yield the same text piece by piece: that of a class is too large for memory."""
    root = ElementTree.Element("testsuites", name=f"grade {report.assignment}".strip())
    _add_totals(root, _suites(report))
    yield "<?xml version='1.0' encoding='utf-8'?>\n"
    empty = ElementTree.tostring(root, encoding="unicode")
    if not report.results:
        yield empty + "\n"
        return
    yield empty.removesuffix(" />") + ">\n"
    for suite in _suites(report):
        ElementTree.indent(suite, level=1)
        # No character here is forbidden in XML: all text has gone through `printable`.
        yield f"  {ElementTree.tostring(suite, encoding='unicode')}\n"
    yield "</testsuites>\n"


def _suites(report: Report) -> Iterator[ElementTree.Element]:
    # GitLab drops testcases whose classname and name repeat, whatever their suite: with several
    # submissions, the name has to tell them apart.
    names = _short_names([result.path for part in report.each for result in part.results])
    both = [(part, result) for part in report.each for result in range(len(part.results))]
    for name, (part, place) in zip(names, both, strict=True):
        yield _suite(part, part.results[place], f" [{name}]" if len(names) > 1 else "")


def _short_names(paths: list[str]) -> list[str]:
    """Return the paths' last parts if all of them differ, else the paths."""
    last = [re.split(r"[/\\]", path.rstrip("/\\"))[-1] for path in paths]
    return last if len(set(last)) == len(paths) else paths


def _suite(report: Report, result: Result, suffix: str) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", name=one_line(result.path, 300))
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in (
        ("students", one_line(", ".join(result.students), 300)),
        ("status", result.status),
        ("score", points_text(result.score)),
        ("max_score", points_text(result.max_score)),
        ("manual_points", points_text(result.manual_points)),
        ("seed", str(report.seed)),
    ):
        ElementTree.SubElement(properties, "property", name=name, value=value)
    if result.status != "graded":
        words = REFUSAL_WORDS[result.status]
        case = _case(suite, report.assignment or "grade", words + suffix)
        _add_verdict(case, "error", result.status, result.message or words)
    for exercise in result.exercises:
        classname = f"{report.assignment}.{exercise.id}"
        for check in exercise.checks:
            case = _case(suite, classname, check.name + suffix, check.seconds)
            _judge(case, check)
        for name, kind, text in _beyond_checks(exercise):
            _add_verdict(_case(suite, classname, name + suffix), kind, exercise.status, text)
    _add_counts(suite)
    return suite


def _judge(case: ElementTree.Element, check: Outcome) -> None:
    for complaint in complaints([check]):
        kind = {"failed": "failure", "skipped": "skipped"}.get(check.outcome, "error")
        if check.missing:  # its outcome is "skipped", but it has lost its points
            kind = "failure"
        earned = f"{points_text(check.points)} of {points_text(check.max_points)} points"
        text = complaint.message or f"{check.outcome}, without a message"
        _add_verdict(case, kind, check.outcome, f"{text}\n{earned}" if check.max_points else text)


def _beyond_checks(exercise: ExerciseScore) -> Iterator[tuple[str, str, str]]:
    """Yield (name, element, text) of an exercise's verdicts beside its checks."""
    if exercise.status == "manual":
        yield "graded by a person", "skipped", open_text(exercise.max_points)
    elif exercise.judgement is not None:
        lost = exercise.points < exercise.max_points
        text = "\n".join(judgement_lines(exercise))
        yield "graded by a person", "failure" if lost else "", text
    elif not exercise.checks and exercise.status != "passed":
        kind = "skipped" if exercise.status == "not_gradable" else "failure"
        yield "verdict", kind, status_text(exercise)
    if taken := deducted(exercise):
        yield "rules", "failure", f"{points_text(taken)} points deducted: see the notes"


def _case(
    suite: ElementTree.Element, classname: str, name: str, seconds: float = 0.0
) -> ElementTree.Element:
    time = f"{seconds if math.isfinite(seconds) else 0.0:.3f}"
    return ElementTree.SubElement(
        suite, "testcase", classname=one_line(classname), name=one_line(name, 400), time=time
    )


def _add_verdict(case: ElementTree.Element, kind: str, type_: str, text: str) -> None:
    if not kind:
        return
    text = printable(text)
    head = one_line(text.partition("\n")[0], 300)
    element = ElementTree.SubElement(case, kind, message=head)
    if kind != "skipped":
        element.set("type", type_)
        element.text = text


def _add_counts(element: ElementTree.Element) -> None:
    cases = list(element.iter("testcase"))
    element.set("tests", str(len(cases)))
    for attribute, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(attribute, str(sum(case.find(kind) is not None for case in cases)))
    element.set("time", f"{sum(float(case.get('time', '0')) for case in cases):.3f}")


def _add_totals(root: ElementTree.Element, suites: Iterable[ElementTree.Element]) -> None:
    totals = dict.fromkeys(_COUNTED, 0)
    seconds = 0.0
    for suite in suites:
        for name in _COUNTED:
            totals[name] += int(suite.get(name, "0"))
        seconds += float(suite.get("time", "0"))
    for name in _COUNTED:
        root.set(name, str(totals[name]))
    root.set("time", f"{seconds:.3f}")
