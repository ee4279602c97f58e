"""The JUnit report, read back the way that test tabs read it."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from grader.records import ExerciseScore, Outcome, Report
from grader.report import junit


def suites(report):
    return ElementTree.fromstring(junit.render(report).encode()).findall("testsuite")


def cases(report):
    return {case.get("name"): case for suite in suites(report) for case in suite.iter("testcase")}


def test_a_submission_is_a_suite_and_a_check_a_case(report):
    (suite,) = suites(report)
    assert suite.get("name") == "Dupont_Anne - Meier_Jean-Luc.zip"
    case = cases(report)["values and shapes"]
    assert case.get("classname") == "pw02.2a-sigmoid"
    assert case.get("time") == "0.012"
    assert len(case) == 0


def test_a_failed_check_has_its_first_line_as_message_and_the_rest_as_text(report):
    failure = cases(report)["cross entropy matches the definition"].find("failure")
    assert failure.get("message") == "cost_funct(p, y): the value has the wrong sign"
    assert "is the minus sign missing?" in failure.text
    assert failure.text.endswith("0.5 of 3 points")


@pytest.mark.parametrize("name", ["gradient of the cross entropy", "gradient of the squares"])
def test_an_exception_and_a_timeout_are_errors(report, name):
    assert cases(report)[name].find("error") is not None


def test_what_a_person_grades_is_skipped(report):
    case = cases(report)["graded by a person"]
    assert case.get("classname") == "pw02.4-review"
    assert case.find("skipped").get("message") == "10 points are open: a person grades them"


def test_what_was_not_filled_in_is_a_failure_and_what_can_not_run_here_is_none(result):
    stub = Outcome("1", "values", "skipped", 0.0, 4.0, message="not filled in yet", missing=True)
    other = Outcome("2", "torch", "skipped", 0.0, 4.0, message="torch is not installed here")
    exercises = (
        ExerciseScore("1", "One", 0.0, 4.0, "missing", (stub,)),
        ExerciseScore("2", "Two", 0.0, 4.0, "not_gradable", (other,)),
    )
    report = Report("a", "", 0, (replace(result, exercises=exercises),))
    assert cases(report)["values"].find("failure").get("message") == "not filled in yet"
    assert cases(report)["torch"].find("skipped") is not None


def test_counts_add_up(report):
    root = ElementTree.fromstring(junit.render(report).encode())
    for element in (root, root.find("testsuite")):
        counts = [int(element.get(key)) for key in ("tests", "failures", "errors", "skipped")]
        assert counts == [10, 3, 2, 2]
        assert element.get("time") == "0.522"


def test_a_refused_submission_and_a_fault_of_ours_are_errors(several):
    _, refused, fault = suites(several)
    assert refused.find("testcase/error").get("message") == "the zip is cut off: hand it in again"
    assert fault.find("testcase/error").get("message") == "the kernel did not start"


@pytest.mark.parametrize(
    ("paths", "suffix"),
    [(("in/a.zip", "in/b.zip"), " [b.zip]"), (("in/a.zip", "out/a.zip"), " [out/a.zip]")],
)
def test_cases_of_several_submissions_differ_in_name_since_gitlab_drops_repeated_ones(
    result, paths, suffix
):
    report = Report("pw02", "", 0, tuple(replace(result, path=path) for path in paths))
    keys = [
        (case.get("classname"), case.get("name"))
        for suite in suites(report)
        for case in suite.iter("testcase")
    ]
    assert len(keys) == len(set(keys)) == 20
    assert keys[-1] == ("pw02.4-review", "graded by a person" + suffix)


def test_a_deduction_fails_although_every_check_passed(result):
    check = Outcome("1", "values", "passed", 1.0, 4.0)
    exercise = ExerciseScore("1", "One", 1.0, 4.0, "partial", (check,))
    report = Report("a", "", 0, (replace(result, exercises=(exercise,)),))
    assert cases(report)["rules"].find("failure").get("message").startswith("3 points deducted")


def test_whatever_a_student_writes_the_xml_stays_legal_and_holds_no_element_of_theirs(hostile):
    text = junit.render(hostile)
    root = ElementTree.fromstring(text.encode())
    assert {element.tag for element in root.iter()} == {
        "testsuites", "testsuite", "properties", "property", "testcase", "failure", "skipped",
    }  # fmt: skip
    assert all(c.isprintable() or c == "\n" for c in text)
