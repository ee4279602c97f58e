"""A run of a class, held in memory while it is reviewed.

The machine's results never change. The marks are read again when the history has new lines.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from grader.batch.store import Store
from grader.errors import ReviewError
from grader.records import Assignment, ExerciseScore, Result, RunRecord
from grader.report.wording import label
from grader.review.answers import Answer, AnswerRow, answers_of, index_run, result_of
from grader.review.book import Book, Key, read_book
from grader.review.history import changes, latest
from grader.review.marking import Grading
from grader.review.merged import is_open, judged
from grader.text import one_line

T = TypeVar("T")
_ALL = 10**9
AT_ONCE = 100
"""Submissions that are read at once: another request waits for this many at most."""


@dataclass(frozen=True)
class Column:
    """An exercise of the class. place : its number from 0, used in addresses"""

    place: int
    id: str
    title: str
    points: float
    manual: bool


class Classroom:
    """A run under review. `update` brings it up to date with the file; it is called first."""

    def __init__(self, run: int, assignment: Assignment | None) -> None:
        self.run_id = run
        self.assignment = assignment
        self.lock = threading.RLock()
        self.run: RunRecord | None = None
        self.columns: list[Column] = []
        self.results: dict[int, Result] = {}
        self.judged: dict[int, Result] = {}
        self.answers: dict[int, dict[str, AnswerRow]] = {}
        self.book = Book()
        self.tasks: dict[str, dict[str, set[str]]] = {}
        """{exercise: {grader: subjects}}; the subject "" means all."""
        self.twice: dict[str, float] = {}
        self.version = 0
        """A counter of changes, so that a cache knows that it is out of date."""
        self.changed: dict[int, int] = {}
        """The version of each submission's last change."""
        self.waiting = 0
        """How many submissions of the file aren't read yet."""
        self.verdicts = 0
        """The version of the last change of a check's verdict."""
        self._scores: dict[int, dict[str, ExerciseScore]] = {}
        self._by_subject: dict[str, list[int]] = {}
        self._counts: dict[tuple[str, str], tuple[int, int]] = {}
        self._cache: dict[str, tuple[int, object]] = {}
        self._seen = -1
        """The number of the last line of the history that was read."""

    def update(self, store: Store, *, most: int = AT_ONCE) -> None:
        """Read what is new, at most `most` submissions. Raises ReviewError if the run is gone.

        The cost depends on how much has changed, not on the size of the class.
        """
        with self.lock:
            fresh = self._fresh(store)[:most]
            if fresh:
                self._add(store, fresh)
            self.waiting -= len(fresh)
            last = latest(store, self.name)
            if last != self._seen:
                self._read(store, last)
            elif fresh:
                self._judge(set(fresh))

    def _fresh(self, store: Store) -> list[int]:
        """Return the numbers of submissions that aren't read yet, in order; update the run."""
        with store.guarded():
            found = store.connection.execute(
                "SELECT ended, (SELECT count(*) FROM items WHERE run = :run) "
                "FROM runs WHERE id = :run",
                {"run": self.run_id},
            ).fetchone()
        if found is None:
            raise ReviewError(f"run {self.run_id} is not in the file of results any more")
        ended, count = found
        if self.run is None or self.run.ended != ended:
            self.run = next(iter(store.runs(self.run_id)))
        self.waiting = count - len(self.results)
        if not self.waiting:
            return []
        return [number for number in store.numbers(self.run_id) if number not in self.results]

    def once(self, key: str, make: Callable[[], T]) -> T:
        """Return make(), cached until anything in the class changes."""
        return self._once(key, self.version, make)

    def once_of_verdicts(self, key: str, make: Callable[[], T]) -> T:
        """Return make(), cached until a check's verdict changes or submissions arrive."""
        return self._once(key, self.verdicts, make)

    def once_of_work(self, key: str, make: Callable[[], T]) -> T:
        """Return make(), cached until submissions arrive."""
        return self._once(key, len(self.results), make)

    def _once(self, key: str, now: int, make: Callable[[], T]) -> T:
        version, value = self._cache.get(key, (-1, None))
        if version != now:
            value = make()
            self._cache[key] = (now, value)
        return value  # type: ignore[return-value]

    @property
    def name(self) -> str:
        assert self.run is not None
        return self.run.assignment

    def _add(self, store: Store, fresh: list[int]) -> None:
        seen: dict[int, Result] = {}
        index_run(store, self.run_id, self.assignment, numbers=fresh, seen=seen)
        rows = answers_of(store, self.run_id, numbers=fresh)
        # Other threads read meanwhile: their dictionaries are replaced, never changed.
        results, answers = dict(self.results), dict(self.answers)
        columns = {column.id: column for column in self.columns}
        for number in fresh:
            result = seen.get(number)
            if result is None:
                result = result_of(store, self.run_id, number, evidence=False)
            results[number], answers[number] = result, {}
            for exercise in result.exercises:
                if exercise.id not in columns:
                    columns[exercise.id] = Column(
                        len(columns),
                        exercise.id,
                        one_line(exercise.title),
                        exercise.max_points,
                        exercise.status == "manual",
                    )
        for (number, id_), row in rows.items():
            if not answers[number]:
                self._by_subject.setdefault(row.subject, []).append(number)
            answers[number][id_] = row
        in_order = not self.results or fresh[0] > next(reversed(self.results))
        self.results = results if in_order else dict(sorted(results.items()))
        self.answers = answers if in_order else dict(sorted(answers.items()))
        self.columns = [*columns.values()]

    def _read(self, store: Store, last: int) -> None:
        """Read again the marks that have changed since the last look at the history."""
        news = changes(store, self.name, after=max(self._seen, 0), limit=_ALL)
        subjects = {change.subject for change in news}
        if self._seen < 0 or "" in subjects or len(subjects) > 20:
            self.book = read_book(store, self.name)
            touched, whole = set(self.results), True
        else:
            gradings: dict[Key, Grading] = dict(self.book.gradings)
            for subject in subjects:
                gradings |= read_book(store, self.name, subject=subject).gradings
            whole = any(
                change.what.startswith(("verdict", "the check", "points kept")) for change in news
            )
            overrides = self.book.overrides
            if whole:
                overrides = read_book(store, self.name, subject="").overrides
            self.book = replace(self.book, gradings=gradings, overrides=overrides)
            touched = {n for subject in subjects for n in self._by_subject.get(subject, ())}
        with store.guarded():
            tasks = store.connection.execute(
                "SELECT exercise, grader, subject FROM tasks WHERE assignment = ?", (self.name,)
            ).fetchall()
            twice = store.connection.execute(
                "SELECT exercise, twice FROM rubrics WHERE assignment = ? AND twice > 0",
                (self.name,),
            ).fetchall()
        self.tasks = {}
        for exercise, grader, subject in tasks:
            self.tasks.setdefault(exercise, {}).setdefault(grader, set()).add(subject)
        self.twice = dict(twice)
        self._seen = last
        if whole:
            self.verdicts = self.version + 1
        self._judge(touched | (set(self.results) - set(self.judged)))

    def _judge(self, numbers: set[int]) -> None:
        """Apply the marks to these submissions again. The caller holds the lock."""
        self.version += 1
        made, scores = dict(self.judged), dict(self._scores)
        for number in numbers:
            made[number] = judged(self.results[number], self.answers[number], self.book)
            scores[number] = {exercise.id: exercise for exercise in made[number].exercises}
            self.changed[number] = self.version
        if not numbers <= self.judged.keys():
            made, self.verdicts = dict(sorted(made.items())), self.version
        self.judged, self._scores = made, scores
        self._counts = {}

    # --- one answer -------------------------------------------------------------------------------

    def column(self, place: int) -> Column:
        """Return an exercise by its place. Raises ReviewError."""
        if not 0 <= place < len(self.columns):
            raise ReviewError("there is no such exercise")
        return self.columns[place]

    def row(self, number: int, exercise: str) -> AnswerRow:
        """Return an answer of this run. Raises ReviewError where there is none."""
        try:
            return self.answers[number][exercise]
        except KeyError:
            raise ReviewError("this submission has no such answer: it was not graded") from None

    def answer(self, number: int, exercise: str, round_: int = 1) -> Answer:
        row = self.row(number, exercise)
        return Answer(self.name, row.subject, exercise, row.answer, round_)

    def grading(self, number: int, exercise: str, round_: int = 1) -> Grading:
        row = self.row(number, exercise)
        return self.book.grading(row.subject, exercise, row.answer, round_)

    def score(self, number: int, exercise: str) -> ExerciseScore:
        """Return an exercise of a submission, with its marks."""
        return self._scores[number][exercise]

    def machine_score(self, number: int, exercise: str) -> ExerciseScore:
        return next(e for e in self.results[number].exercises if e.id == exercise)

    def label(self, number: int, *, names: bool) -> str:
        """Return the student of a submission, or "Answer 7" where names are hidden."""
        if names:
            return self.once_of_work(
                "labels", lambda: {n: one_line(label(r)) for n, r in self.results.items()}
            )[number]
        places = self.once_of_work(
            "places", lambda: {n: p for p, n in enumerate(self.order("", ""), start=1)}
        )
        return f"Answer {places[number]}"

    # --- whose turn it is -------------------------------------------------------------------------

    def order(self, grader: str, exercise: str) -> list[int]:
        """Return the submissions in a random order, fixed for each grader and exercise."""
        return self.once_of_work(
            f"order of {exercise} for {grader}",
            lambda: sorted(
                self.results,
                key=lambda n: _chance(self.name, grader, exercise, self._subject(n), str(n)),
            ),
        )

    def _subject(self, number: int) -> str:
        rows = self.answers.get(number)
        return next(iter(rows.values())).subject if rows else ""

    def is_twice(self, number: int, exercise: str) -> bool:
        """Return whether this answer is in the sample that two people grade."""
        share = self.twice.get(exercise, 0.0) / 100.0
        if not share or exercise not in self.answers.get(number, {}):
            return False
        row = self.answers[number][exercise]
        draw = int(_chance("twice", self.name, exercise, row.subject, row.answer)[:13], 16)
        return draw / 16**13 < share

    def round_for(self, grader: str, number: int, exercise: str) -> int:
        """Return 2 if the grader is this answer's second reader, who sees no marks; else 1."""
        if not self.is_twice(number, exercise):
            return 1
        first, second = (self.grading(number, exercise, r) for r in (1, 2))
        mine_first = first.version and first.grader == grader
        return 2 if first.done and not mine_first and second.grader in ("", grader) else 1

    def needs(self, grader: str, number: int, exercise: str) -> bool:
        """Return whether an answer waits for that grader."""
        if exercise not in self.answers.get(number, {}):
            return False
        if not self.is_task_of(grader, number, exercise):
            return False
        if is_open(self.score(number, exercise)):
            return True
        if self.round_for(grader, number, exercise) == 2:
            return not self.grading(number, exercise, 2).done
        return False

    def is_task_of(self, grader: str, number: int, exercise: str) -> bool:
        """Return whether it is this grader's task; an unassigned task is everybody's."""
        given = self.tasks.get(exercise)
        if not given:
            return True
        subject = self.answers[number][exercise].subject
        owners = {name for name, subjects in given.items() if subjects & {"", subject}}
        if self.is_twice(number, exercise) and self.grading(number, exercise).done:
            return True  # the second reader need not be an owner
        return not owners or grader in owners

    def next_for(self, grader: str, exercise: str, after: int | None) -> int | None:
        """Return the next submission that waits for the grader; None if there is none.

        after : the submission to start behind
        """
        order = self.order(grader, exercise)
        start = order.index(after) + 1 if after in order else 0
        around = [*order[start:], *order[:start]]
        return next((n for n in around if n != after and self.needs(grader, n, exercise)), None)

    def neighbours(self, grader: str, exercise: str, number: int) -> tuple[int | None, int | None]:
        """Return the submissions before and after one, in the grader's order."""
        order = [n for n in self.order(grader, exercise) if exercise in self.answers[n]]
        place = order.index(number)
        before = order[place - 1] if place else None
        return before, order[place + 1] if place + 1 < len(order) else None

    def open_count(self, grader: str, exercise: str) -> tuple[int, int]:
        """Return how many answers wait for the grader, and how many there are."""
        # Another thread may replace the cache meanwhile: the counts go into the one that was read.
        counts = self._counts
        if (grader, exercise) not in counts:
            there = [n for n, rows in self.answers.items() if exercise in rows]
            waiting = sum(self.needs(grader, n, exercise) for n in there)
            counts[grader, exercise] = (waiting, len(there))
        return counts[grader, exercise]


def _chance(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
