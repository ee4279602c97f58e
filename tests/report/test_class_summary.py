"""What a class's results say together."""

from grader.records import ExerciseScore, Outcome, Result
from grader.report.class_summary import FailingCheck, summarise


def handed_in(score, *checks, open_points=0.0, path="a.zip"):
    """A submission of one exercise; checks are ("name", "outcome")."""
    outcomes = tuple(Outcome("1", name, how, 0.0, 1.0) for name, how in checks)
    exercise = ExerciseScore("1", "One", score, 4.0, "partial", outcomes)
    return Result(
        path, (), "graded", score=score, max_score=4.0, manual_points=open_points,
        exercises=(exercise,),
    )  # fmt: skip


REFUSED = Result("b.zip", (), "refused", "the zip is cut off")
FAULT = Result("c.zip", ("Zoé Ng",), "grader_fault", "no kernel starts")


def test_it_counts_what_is_graded_what_is_open_and_what_is_neither():
    summary = summarise([handed_in(4.0, open_points=2.0), handed_in(1.0), REFUSED, FAULT])
    assert (summary.submissions, summary.graded, summary.open) == (4, 2, 1)
    assert summary.lines()[:4] == [
        "2 of 4 submissions graded, 1 open",
        "not graded: 2",
        "- b.zip: refused: the zip is cut off",
        "- Zoé Ng: grader fault: no kernel starts",
    ]


def test_a_refused_submission_is_in_no_mean():
    summary = summarise([handed_in(4.0), handed_in(3.0), handed_in(2.0), handed_in(0.0), REFUSED])
    assert (summary.mean_percent, summary.median_percent) == (56.25, 62.5)
    assert "mean 56 %, median 62 % of the automatic points" in summary.lines()


def test_it_names_the_check_that_fails_most():
    summary = summarise(
        [
            handed_in(1.0, ("shape", "passed"), ("values", "failed")),
            handed_in(1.0, ("shape", "failed"), ("values", "timeout")),
            handed_in(1.0, ("shape", "passed"), ("values", "skipped")),
        ]
    )
    assert summary.fails_most == FailingCheck("1", "values", False, failed=2, ran=2)
    assert summary.lines()[-1] == "fails most often: 1, values, in 2 of 2"


def test_what_was_not_written_at_all_is_no_failure_of_a_check():
    nothing = Outcome("1", "values", "failed", 0.0, 1.0, missing=True)
    exercise = ExerciseScore("1", "One", 0.0, 4.0, "missing", (nothing,))
    absent = Result("a.zip", (), "graded", max_score=4.0, exercises=(exercise,))
    assert summarise([absent] * 3).fails_most is None


def test_where_nothing_is_graded_there_is_no_mean():
    summary = summarise([REFUSED])
    assert summary.mean_percent is None
    assert summary.lines() == [
        "0 of 1 submission graded",
        "not graded: 1",
        "- b.zip: refused: the zip is cut off",
    ]
    assert summarise([]).lines() == ["0 of 0 submissions graded"]


def test_of_many_that_are_not_graded_ten_are_named():
    lines = summarise([REFUSED] * 25).lines()
    assert lines[1] == "not graded: 25"
    assert len(lines) == 2 + 10 + 1
    assert lines[-1] == "- and 15 more"
