"""Results merged with their marks: the points follow the marks.

The kept result never changes. Every report shows the merged one: the terminal, JSON, HTML, JUnit,
tables, worksheets and feedback pages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import overload

from grader.batch.store import Store
from grader.records import (
    Assignment,
    ExerciseScore,
    ExerciseStatus,
    Judgement,
    Result,
    RubricMark,
    RunRecord,
)
from grader.review.answers import AnswerRow, answers_of, index_run
from grader.review.book import Book, has_marks, read_book
from grader.review.marking import Grading
from grader.review.overrides import overruled
from grader.review.rubric import Item
from grader.score import with_exercises

Answers = Mapping[str, AnswerRow]
"""A submission's answers, by exercise."""


def judged(result: Result, answers: Answers, book: Book) -> Result:
    """Return a result merged with the marks of its answers."""
    if result.status != "graded":
        return result
    exercises = tuple(
        judged_exercise(exercise, answers[exercise.id], book)
        if exercise.id in answers
        else exercise
        for exercise in result.exercises
    )
    if exercises == result.exercises:
        return result
    return with_exercises(result, exercises)


def judged_exercise(exercise: ExerciseScore, row: AnswerRow, book: Book) -> ExerciseScore:
    """Return an exercise merged with its changed verdicts and its marks."""
    exercise = overruled(exercise, row.subject, row.answer, book.overrides)
    grading = book.grading(row.subject, exercise.id, row.answer)
    manual = exercise.status == "manual"
    empty = manual and not row.answered and not grading.done
    if not grading.version and not empty:
        return exercise
    items = book.items.get(exercise.id, [])
    judgement = Judgement(
        tuple(RubricMark(i.words, i.points, i.id in grading.items) for i in items),
        grading.comment,
        grading.adjustment,
        grading.reason,
        row.answered,
        grading.done,
    )
    if empty:
        return replace(exercise, points=0.0, status="missing", judgement=judgement)
    if manual and not grading.done:
        # Started, but still open: it shows the comment, and has no points yet.
        return replace(exercise, judgement=judgement)
    points = points_of(exercise, items, grading, book.starts.get(exercise.id, "none"))
    status = _status(points, exercise.max_points) if manual else exercise.status
    if not manual and abs(points - exercise.points) > 1e-9:
        status = _status(points, exercise.max_points)
    return replace(exercise, points=points, status=status, judgement=judgement)


def points_of(
    exercise: ExerciseScore, items: Sequence[Item], grading: Grading, start: str = "none"
) -> float:
    """Return the points of an answer, in [0, exercise.max_points].

    They start at the checks' points. For a manual exercise they start at 0, or at the maximum if
    `start` is "full". Then the applying items and the points beside the rubric are added.
    """
    begin = exercise.points
    if exercise.status == "manual":
        begin = exercise.max_points if start == "full" else 0.0
    more = sum(item.points for item in items if item.id in grading.items)
    return round(min(max(begin + more + grading.adjustment, 0.0), exercise.max_points), 6)


def is_open(exercise: ExerciseScore) -> bool:
    """Return whether a person still has to give points."""
    return exercise.status == "manual" and exercise.max_points > 0


def _status(points: float, most: float) -> ExerciseStatus:
    if points >= most - 1e-9:
        return "passed"
    return "partial" if points > 1e-9 else "failed"


class JudgedResults(Sequence[Result]):
    """Results with their marks, each merged on access."""

    def __init__(
        self, results: Sequence[Result], answers: Mapping[int, Answers], numbers: Sequence[int],
        book: Book,
    ) -> None:  # fmt: skip
        self.results = results
        self.answers = answers
        self.numbers = numbers
        self.book = book

    @overload
    def __getitem__(self, index: int) -> Result: ...

    @overload
    def __getitem__(self, index: slice) -> list[Result]: ...

    def __getitem__(self, index: int | slice) -> Result | list[Result]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        answers = self.answers.get(self.numbers[index], {})
        return judged(self.results[index], answers, self.book)

    def __len__(self) -> int:
        return len(self.results)


def judged_results(
    store: Store, run: RunRecord, assignment: Assignment | None = None
) -> Sequence[Result]:
    """Return a run's results, merged with their marks if there are any.

    assignment : holds the template, to find prompts that were left unchanged
    """
    results = store.results_in_place(run.id)
    if not has_marks(store, run.assignment):
        return results
    index_run(store, run.id, assignment)
    by_number: dict[int, dict[str, AnswerRow]] = {}
    for (number, exercise), row in answers_of(store, run.id).items():
        by_number.setdefault(number, {})[exercise] = row
    return JudgedResults(
        results, by_number, store.numbers(run.id), read_book(store, run.assignment)
    )
