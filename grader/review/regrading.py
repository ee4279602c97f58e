"""Grade a class again where checks have changed: the other exercises keep their verdicts.

regraded = regrade(store, before, partial, who_is=who_is)   the new results of all students
found = compare(store, before, regraded, assignment)        who gains and who loses
run = keep(store, before, regraded, about=...)              a new run with these results
write_down(store, before, run, found, ...)                  a line in the history for each change
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

from grader.batch.serialization import Packed, pack, unpack
from grader.batch.store import Store
from grader.records import Assignment, ExerciseScore, Note, Outcome, Result, RunRecord
from grader.report.changes import Changes, find_changes
from grader.report.wording import points_text
from grader.review.answers import AnswerRow, answers_of, index_run
from grader.review.book import read_book
from grader.review.history import note
from grader.review.merged import judged
from grader.score import FINE, score_exercises, with_exercises


@dataclass(frozen=True)
class Regraded:
    """The results of a class after it was graded again.

    results : by the submission's number in the run before
    same : numbers of the submissions that keep their old verdict
    missing, other_work, failed : why they keep it: the submission was not found; it was found
        with other work; it was refused, or a fault of the grader stopped it
    """

    results: Mapping[int, Result]
    same: frozenset[int]
    missing: tuple[Result, ...]
    other_work: tuple[Result, ...]
    failed: tuple[Result, ...]


@dataclass(frozen=True)
class OneExercise:
    """The checks of one exercise that were graded again.

    changed : the names of these checks, without parameters
    names : those of all checks of the exercise, in their order
    """

    assignment: Assignment
    id: str
    changed: Collection[str]
    names: Sequence[str]

    def put_into(self, old: Result, new: Result) -> Result:
        """Return the old result with the outcomes of these checks from the new one."""
        then, now = (
            next((e for e in result.exercises if e.id == self.id), None) for result in (old, new)
        )
        if then is None or now is None:
            return old
        found = {True: _by_check(now), False: _by_check(then)}
        outcomes = [o for name in self.names for o in found[name in self.changed].get(name, ())]
        fines = [o for one in (then, now) for o in one.checks if o.name == FINE]
        breaches = [(self.id, Note("", fine.message)) for fine in fines[:1]]
        (score,) = score_exercises(self.assignment, outcomes, only=[self.id], breaches=breaches)
        whole = replace(score, derivation=now.derivation)
        return joined(old, replace(new, exercises=(whole,)))


def regrade(
    store: Store,
    before: RunRecord,
    partial: RunRecord,
    *,
    who_is: Callable[[Result], str],
    part: OneExercise | None = None,
) -> Regraded:
    """Return a run's results, with the exercises of `partial` in their place. Writes nothing.

    partial : a run of some exercises of the same class
    who_is : returns the identity of a result's students
    part : the checks that were graded; None if all checks of these exercises were
    """
    again: dict[tuple[str, str], Result] = {}
    people: set[str] = set()
    for result in store.results(partial.id):
        again[_whose(result, who_is), result.work] = result
        people.add(_whose(result, who_is))
    results: dict[int, Result] = {}
    same: set[int] = set()
    missing: list[Result] = []
    other_work: list[Result] = []
    failed: list[Result] = []
    for item in store.items(before.id):
        old = unpack(Packed(item.relabelled().verdict))
        results[item.number] = old
        if old.status != "graded":
            same.add(item.number)
            continue
        who = _whose(old, who_is)
        new = again.get((who, old.work))
        if new is not None and new.status == "graded":
            results[item.number] = part.put_into(old, new) if part else joined(old, new)
            continue
        same.add(item.number)
        reason = failed if new is not None else other_work if who in people else missing
        reason.append(old)
    return Regraded(results, frozenset(same), tuple(missing), tuple(other_work), tuple(failed))


def joined(old: Result, new: Result) -> Result:
    """Return the old result with the new one's exercises in their place."""
    found = {exercise.id: exercise for exercise in new.exercises}
    exercises = tuple(found.pop(exercise.id, exercise) for exercise in old.exercises)
    exercises += tuple(found.values())
    notes = tuple(dict.fromkeys([*old.notes, *new.notes]))
    return replace(with_exercises(old, exercises), notes=notes)


def compare(
    store: Store, before: RunRecord, regraded: Regraded, assignment: Assignment | None
) -> Changes:
    """Return who gains and who loses points; the marks apply before and after."""
    index_run(store, before.id, assignment)
    book = read_book(store, before.assignment)
    answers: dict[int, dict[str, AnswerRow]] = {}
    for (number, exercise), row in answers_of(store, before.id).items():
        answers.setdefault(number, {})[exercise] = row
    old = zip(store.numbers(before.id), store.results(before.id), strict=True)
    return find_changes(
        [judged(result, answers.get(number, {}), book) for number, result in old],
        [judged(one, answers.get(number, {}), book) for number, one in regraded.results.items()],
    )


def write_down(
    store: Store,
    before: RunRecord,
    after: RunRecord,
    found: Changes,
    assignment: Assignment | None,
    *,
    grader: str,
    reason: str,
) -> None:
    """Write each grade that changed into the history."""
    index_run(store, after.id, assignment)
    subjects = {number: row.subject for (number, _), row in answers_of(store, after.id).items()}
    results = zip(store.numbers(after.id), store.results(after.id), strict=True)
    whose = {(r.path, r.students): subjects[number] for number, r in results if number in subjects}
    why = f": {reason}" if reason else ""
    with store.writing():
        for change in found.changed:
            touched = dict.fromkeys(check.exercise for check in change.checks)
            note(
                store,
                grader,
                after.assignment,
                f"graded again: {', '.join(touched)}",
                subject=whose.get((change.after.path, change.after.students), ""),
                before=f"{points_text(change.before.score)} (run {before.id})",
                after=f"{points_text(change.after.score)} (run {after.id}){why}",
            )


def keep(
    store: Store, before: RunRecord, regraded: Regraded, *, about: Mapping[str, Any]
) -> RunRecord:
    """Write a new run with these results and return it; the run before does not change.

    about : see RunRecord
    """
    made = store.begin(
        assignment=before.assignment,
        title=before.title,
        submissions=before.submissions,
        settings=before.settings,
        key="",
        about=about,
    )
    for number, result in regraded.results.items():
        evidence = store.item(before.id, number, evidence=True).packed.evidence
        made.add(
            number,
            result,
            Packed(pack(result).verdict, evidence),
            input_hash="",
            kept=False,
        )
    made.end(before.isolation)
    (run,) = store.runs(made.id)
    return run


def _by_check(exercise: ExerciseScore) -> dict[str, list[Outcome]]:
    """Return the outcomes by the names of their checks, without parameters."""
    found: dict[str, list[Outcome]] = {}
    for outcome in exercise.checks:
        found.setdefault(outcome.name.partition("[")[0], []).append(outcome)
    return found


def _whose(result: Result, who_is: Callable[[Result], str]) -> str:
    """Return the identity of a result's students, independent of the submission's folder."""
    return who_is(replace(result, path=PurePath(result.path).name))
