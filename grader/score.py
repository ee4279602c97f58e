"""Sum points: from the outcomes of checks to exercises and a total."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from grader.records import (
    Assignment,
    Exercise,
    ExerciseScore,
    ExerciseStatus,
    Note,
    Outcome,
    Result,
)

FINE = "what the exercise allows"
"""The name of the outcome that takes points for a broken rule."""


@dataclass(frozen=True)
class Total:
    """A submission's points. manual_points are still open, and in neither of the others."""

    score: float
    max_score: float
    manual_points: float


def score_exercises(
    assignment: Assignment,
    outcomes: Sequence[Outcome],
    *,
    only: Collection[str] = (),
    breaches: Sequence[tuple[str, Note]] = (),
) -> tuple[ExerciseScore, ...]:
    """Return one line for each exercise, in the assignment's order.

    only : ids of the requested exercises; empty for all
    breaches : (exercise id, the broken rule) pairs; an exercise loses the deduction only once
    """
    return tuple(
        _score_exercise(
            assignment,
            exercise,
            [outcome for outcome in outcomes if outcome.exercise == exercise.id],
            [note for exercise_id, note in breaches if exercise_id == exercise.id],
        )
        for exercise in assignment.exercises
        if not only or exercise.id in only
    )


def total(exercises: Sequence[ExerciseScore]) -> Total:
    """Return the sum. Bonus points compensate lost ones; the sum stays within the maximum."""
    counted = [e for e in exercises if e.status not in ("manual", "not_gradable")]
    max_score = sum(e.max_points for e in counted if not e.bonus)
    score = sum(e.points for e in counted)
    manual = sum(e.max_points for e in exercises if e.status == "manual")
    return Total(min(score, max_score), max_score, manual)


def with_exercises(result: Result, exercises: tuple[ExerciseScore, ...]) -> Result:
    """Return a result with other exercises, and their sum."""
    points = total(exercises)
    return replace(
        result,
        exercises=exercises,
        score=points.score,
        max_score=points.max_score,
        manual_points=points.manual_points,
    )


def _score_exercise(
    assignment: Assignment, exercise: Exercise, outcomes: list[Outcome], breaches: list[Note]
) -> ExerciseScore:
    if exercise.manual:
        return ExerciseScore(
            exercise.id, exercise.title, 0.0, exercise.points, "manual", bonus=exercise.bonus
        )
    # Points that could not be checked here are neither earned nor lost.
    checked = [o for o in outcomes if o.missing or o.outcome != "skipped"]
    # A student's copy and --public have only some of the checks, and their maximum.
    max_points = sum(outcome.max_points for outcome in checked or outcomes)
    earned = sum(outcome.points for outcome in outcomes)
    if breaches and earned > 0:
        rules = exercise.rules or assignment.rules
        fine = _fine(exercise, breaches, rules.deduction * max_points)
        outcomes, checked = [*outcomes, fine], [*checked, fine]
        earned = max(0.0, earned + fine.points)
    return ExerciseScore(
        exercise.id,
        exercise.title,
        earned,
        max_points,
        _status(checked, earned, max_points),
        tuple(outcomes),
        bonus=exercise.bonus,
    )


def _fine(exercise: Exercise, breaches: list[Note], penalty: float) -> Outcome:
    return Outcome(
        exercise=exercise.id,
        name=FINE,
        outcome="failed",
        credit=0.0,
        max_points=0.0,
        message="\n".join(note.message for note in breaches),
        penalty=penalty,
    )


def _status(checked: list[Outcome], earned: float, max_points: float) -> ExerciseStatus:
    if not checked:
        return "not_gradable"
    if all(outcome.missing for outcome in checked):
        return "missing"
    # Points come from sums of thirds and tenths: compare beyond their rounding.
    if earned >= max_points - 1e-9:
        return "passed"
    if earned > 1e-9:
        return "partial"
    kinds = {outcome.outcome for outcome in checked}
    if "timeout" in kinds:
        return "timeout"
    return "error" if "error" in kinds else "failed"
