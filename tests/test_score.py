"""Points: from outcomes to exercises and a total."""

from pathlib import Path

import pytest

from grader.records import Assignment, Exercise, ExerciseScore, Note, Outcome, Result, Rules
from grader.score import score_exercises, total, with_exercises

FOUR = Exercise("a", "Four points", 4.0)


def assignment(*exercises, rules=None):
    return Assignment("toy", "Toy", Path(), exercises, (), (), rules=rules or Rules())


def outcome(kind="passed", credit=1.0, points=2.0, exercise="a", **more):
    return Outcome(exercise, "check", kind, credit, points, **more)


def scored(*outcomes, exercise=FOUR, breaches=(), rules=None):
    (line,) = score_exercises(assignment(exercise, rules=rules), outcomes, breaches=breaches)
    return line


def test_all_checks_passed_earn_all_points():
    line = scored(outcome(), outcome())
    assert (line.points, line.max_points, line.status) == (4.0, 4.0, "passed")


def test_a_failed_check_keeps_its_partial_credit():
    line = scored(outcome(), outcome("failed", credit=0.25))
    assert (line.points, line.status) == (2.5, "partial")


def test_a_score_of_zero_stays_zero():
    line = scored(outcome("failed", 0.0), outcome("failed", 0.0))
    assert (line.points, line.status) == (0.0, "failed")
    assert total([line]).score == 0.0


def test_a_result_with_other_exercises_has_their_sum_and_keeps_the_rest():
    old = Result("Ann", ("Ann",), "graded", score=9.0, max_score=9.0, message="said")
    lines = (
        scored(outcome(), outcome("failed", 0.25)),
        ExerciseScore("b", "B", 0.0, 3.0, "manual"),
    )
    assert with_exercises(old, lines) == Result(
        "Ann", ("Ann",), "graded", message="said",
        score=2.5, max_score=4.0, manual_points=3.0, exercises=lines,
    )  # fmt: skip


def test_an_exercise_with_nothing_to_check_is_missing():
    line = scored(outcome("skipped", 0.0, missing=True), outcome("skipped", 0.0, missing=True))
    assert (line.points, line.max_points, line.status) == (0.0, 4.0, "missing")


@pytest.mark.parametrize("kind", ["timeout", "error"])
def test_an_exercise_without_points_is_named_by_what_stopped_it(kind):
    assert scored(outcome("failed", 0.0), outcome(kind, 0.0)).status == kind


def test_what_cannot_be_graded_here_is_no_zero():
    line = scored(outcome("skipped", 0.0))
    assert line.status == "not_gradable"
    assert total([line]).max_score == 0.0


def test_a_check_that_can_not_run_here_is_neither_earned_nor_lost():
    line = scored(outcome(), outcome("skipped", 0.0))
    assert (line.points, line.max_points, line.status) == (2.0, 2.0, "passed")
    line = scored(outcome("failed", 0.5), outcome("skipped", 0.0))
    assert (line.points, line.max_points, line.status) == (1.0, 2.0, "partial")


def test_what_is_missing_stays_missing_beside_a_check_that_can_not_run_here():
    line = scored(outcome("failed", 0.0, missing=True), outcome("skipped", 0.0))
    assert (line.points, line.max_points, line.status) == (0.0, 2.0, "missing")


def test_manual_points_stay_open():
    line = scored(exercise=Exercise("a", "Words", 10.0, manual=True))
    assert line.status == "manual"
    sums = total([line])
    assert (sums.score, sums.max_score, sums.manual_points) == (0.0, 0.0, 10.0)


def test_bonus_points_make_up_for_lost_ones_but_never_exceed_the_maximum():
    bonus = Exercise("b", "More", 5.0, bonus=True)
    both = assignment(FOUR, bonus)
    extra = outcome(points=5.0, exercise="b")
    lost = score_exercises(both, [outcome(), outcome("failed", 0.0), extra])
    full = score_exercises(both, [outcome(), outcome(), extra])
    assert (total(lost).score, total(lost).max_score) == (4.0, 4.0)
    assert (total(full).score, total(full).max_score) == (4.0, 4.0)


def test_a_broken_rule_costs_its_share_once():
    breach = ("a", Note("forbidden", "`sklearn` is not allowed here"))
    line = scored(outcome(), outcome(), breaches=[breach, breach], rules=Rules(deduction=0.5))
    assert (line.points, line.status) == (2.0, "partial")
    assert line.checks[-1].penalty == 2.0


def test_a_fine_never_takes_more_than_was_earned():
    breach = ("a", Note("forbidden", "`sklearn` is not allowed here"))
    line = scored(outcome(), outcome("failed", 0.0), breaches=[breach])
    assert (line.points, line.status) == (0.0, "failed")


def test_only_the_wanted_exercises_are_scored():
    both = assignment(FOUR, Exercise("b", "Other", 1.0))
    lines = score_exercises(both, [outcome(), outcome(exercise="b", points=1.0)], only={"b"})
    assert [line.id for line in lines] == ["b"]


def test_thirds_sum_to_the_whole():
    line = scored(*(outcome(points=4 / 3) for _ in range(3)))
    assert line.status == "passed"


def test_an_exercise_s_own_deduction_goes_before_the_assignment_s():
    own = Exercise("a", "Four points", 4.0, rules=Rules(deduction=0.25))
    breach = ("a", Note("forbidden", "torch"))
    line = scored(outcome(), outcome(), exercise=own, breaches=[breach], rules=Rules(deduction=1.0))
    assert (line.points, line.status) == (3.0, "partial")


def test_a_time_limit_is_named_before_an_error():
    assert scored(outcome("error", 0.0), outcome("timeout", 0.0)).status == "timeout"
    assert scored(outcome("timeout", 0.0), outcome("error", 0.0)).status == "timeout"


def test_what_can_not_be_graded_here_is_shown_with_its_points():
    line = scored(outcome("skipped", 0.0), outcome("skipped", 0.0))
    assert (line.points, line.max_points, line.status) == (0.0, 4.0, "not_gradable")


def test_a_rule_that_is_broken_where_nothing_was_earned_costs_nothing_more():
    line = scored(outcome("failed", 0.0), breaches=[("a", Note("forbidden", "torch"))])
    assert (line.points, line.status) == (0.0, "failed")
    assert [check.name for check in line.checks] == ["check"]


def test_a_breach_in_another_exercise_costs_this_one_nothing():
    line = scored(outcome(), outcome(), breaches=[("b", Note("forbidden", "torch"))])
    assert (line.points, line.status) == (4.0, "passed")


def test_a_fine_says_every_rule_that_was_broken():
    breaches = [("a", Note("forbidden", "torch")), ("a", Note("forbidden", "scipy"))]
    fine = scored(outcome(), outcome(), breaches=breaches, rules=Rules(deduction=0.5)).checks[-1]
    assert (fine.outcome, fine.penalty, fine.max_points) == ("failed", 2.0, 0.0)
    assert fine.message == "torch\nscipy"


def test_a_deduction_is_a_share_of_the_exercise_not_of_what_was_earned():
    half = outcome("failed", 0.5)
    line = scored(half, half, breaches=[("a", Note("f", "x"))], rules=Rules(deduction=0.25))
    assert line.points == 1.0  # 2 earned, a quarter of 4 taken


def test_bonus_is_no_part_of_the_maximum_and_manual_points_of_neither():
    exercises = (
        FOUR,
        Exercise("b", "Bonus", 2.0, bonus=True),
        Exercise("c", "By hand", 3.0, manual=True),
    )
    outcomes = [outcome(), outcome("failed", 0.0), outcome(exercise="b")]
    points = total(score_exercises(assignment(*exercises), outcomes))
    assert (points.score, points.max_score, points.manual_points) == (4.0, 4.0, 3.0)


def test_an_exercise_is_partial_only_beyond_the_rounding_of_its_points():
    assert scored(outcome("failed", 1e-12)).status == "failed"
    assert scored(outcome("failed", 1 - 1e-12)).status == "passed"
    assert scored(outcome("failed", 1e-6)).status == "partial"


def test_a_line_bears_the_exercise_s_own_id_title_and_bonus():
    checked = scored(outcome(exercise="b"), exercise=Exercise("b", "Bonus", 2.0, bonus=True))
    assert (checked.id, checked.title, checked.bonus) == ("b", "Bonus", True)
    by_hand = scored(exercise=Exercise("w", "Words", 3.0, manual=True, bonus=True))
    assert by_hand == ExerciseScore("w", "Words", 0.0, 3.0, "manual", bonus=True)


def test_a_fine_is_shown_as_an_outcome_of_the_exercise_that_earns_nothing():
    breach = ("a", Note("forbidden", "sklearn is not allowed here"))
    *_, fine = scored(outcome(), outcome(), breaches=[breach], rules=Rules(deduction=0.5)).checks
    assert (fine.exercise, fine.name, fine.outcome) == ("a", "what the exercise allows", "failed")
    assert (fine.credit, fine.max_points, fine.points) == (0.0, 0.0, -2.0)


def test_a_fine_is_taken_from_less_than_one_point_too():
    breach = ("a", Note("forbidden", "sklearn is not allowed here"))
    little = scored(outcome(credit=0.25), breaches=[breach], rules=Rules(deduction=0.1))
    assert little.points == pytest.approx(0.3)
