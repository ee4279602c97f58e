"""Tell a mistake in one exercise from its consequence in another one that builds on it.

    outcomes = Echoes(suite, references).explained(job, outcomes, notebooks)

Suppose a check fails, and its exercise calls a function of another exercise that lost points. Then
the check runs once more with a stand-in for that function, which answers what the solved notebook
answers. Only values travel: the stand-in reports its arguments, the solved notebook is called in
its own process, and the check runs again from the start with one more answer. If the check then
passes, the message says so. If the assignment lets points follow through (`follows` in
assignment.toml), they are given as if the other function were right.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from grader.records import Assignment, Exercise, Notebook, Outcome
from grader.session import Session
from grader.session.recordings import Recorder, paths_of
from grader.stand_ins import StandIns
from grader.suite import CheckJob, Suite

QUICK_S = 2.0
"""For which the student's code computes or sleeps: in an exercise's checks together; within one
exercise, in the check. It is no time of the clock: a busy machine tells a submission the same."""

FOLLOWED = "points are given as if "
"""Part of the message of a check whose points follow through."""

_EPSILON = 1e-9


@dataclass(frozen=True)
class BuiltOn:
    """The functions of another exercise, which lost points, that an exercise calls.

    functions : qualified names; empty : none of the other exercise's gaps is filled in
    """

    exercise: Exercise
    functions: tuple[str, ...]
    empty: bool

    @property
    def text(self) -> str:
        names = " and ".join(f"`{name.rpartition('.')[2]}`" for name in self.functions)
        state = "is not filled in yet" if self.empty else "failed"
        return f"builds on {names} ({self.exercise.id}), which {state}: look there first"


class Echoes:
    """Finds the checks that failed only because of another exercise.

    references : sessions on the solved notebooks, by name
    """

    def __init__(self, suite: Suite, references: Mapping[str, Session]) -> None:
        self.suite = suite
        self.assignment: Assignment = suite.assignment
        self.references = references
        self.stand_ins = StandIns(suite, references)
        self._paths: dict[tuple[int, str], Mapping[tuple[str, str], Collection[str]]] = {}

    def explained(
        self, job: CheckJob, outcomes: Sequence[Outcome], notebooks: Mapping[str, Notebook]
    ) -> list[Outcome]:
        """Return the outcomes, those of failing checks with what they build on.

        notebooks : as handed in, by the assignment's own names
        """
        found = [*outcomes]
        for exercise in self.assignment.exercises:
            mine = [n for n, one in enumerate(found) if one.exercise == exercise.id]
            echoes = [n for n in mine if _is_wrong(found[n])]
            notebook = notebooks.get(exercise.notebook)
            if not echoes or notebook is None or exercise.notebook not in job.sessions:
                continue
            built_on = self._built_on(exercise, notebook, outcomes)
            if not built_on:
                self._tell_inside(job, exercise, notebook, found)
                continue
            # If no points depend on it, a slow check is not worth a second run.
            declared = all(one.exercise.id in exercise.follows for one in built_on)
            quick = sum(found[number].used_s for number in mine) < QUICK_S
            again = None
            # Figures were drawn when the cells ran: a stand-in comes too late for them.
            if (declared or quick) and not self._draws(exercise):
                names = [name for one in built_on for name in one.functions]
                again = self.stand_ins.outcomes(job, exercise, names)
            for number in echoes:
                found[number] = _with_other_exercise(found[number], exercise, built_on, again)
        return [replace(one, used_s=0.0) for one in found]

    def _draws(self, exercise: Exercise) -> bool:
        solved = self.assignment.notebooks.get(exercise.notebook)
        definitions = {} if solved is None else solved.definitions
        return any(
            "plt." in definitions[name].source for name in exercise.functions if name in definitions
        )

    def _built_on(
        self, exercise: Exercise, notebook: Notebook, outcomes: Sequence[Outcome]
    ) -> list[BuiltOn]:
        """Return the exercises that lost points and whose functions this exercise calls."""
        called = names_called(notebook, exercise.functions) | {*exercise.needs}
        listed = []
        for other in self.assignment.exercises:
            own = set(exercise.functions)
            functions = [f for f in other.functions if f in called and f not in own]
            if other.id == exercise.id or other.notebook != exercise.notebook or not functions:
                continue
            theirs = [o for o in outcomes if o.exercise == other.id]
            if any(_is_wrong(o) or o.missing for o in theirs):
                empty = all(o.missing for o in theirs)
                listed.append(BuiltOn(other, tuple(functions), empty))
        return listed

    # --- within one exercise ------------------------------------------------------------------

    def _tell_inside(
        self, job: CheckJob, exercise: Exercise, notebook: Notebook, found: list[Outcome]
    ) -> None:
        """Add to each failing check which of the exercise's own functions it builds on.

        A function that the check calls itself gets no stand-in: that check is about it.
        """
        mine = [n for n, one in enumerate(found) if one.exercise == exercise.id]
        failing = [n for n in mine if _is_wrong(found[n])]
        declared = exercise.id in exercise.follows
        if (
            len(exercise.functions) < 2
            or len(failing) < 2
            or exercise.notebook not in self.references
            or self._draws(exercise)
        ):
            return
        called = self._called_by_checks(job, exercise)
        asked = {n: called.get((exercise.id, found[n].name), frozenset()) for n in failing}
        # A function is at fault if a check that calls it fails.
        wrong = {f for names in asked.values() for f in exercise.functions if _is_asked(f, names)}
        for number, names in asked.items():
            own = [f for f in exercise.functions if _is_asked(f, names)]
            behind = names_called(notebook, own)
            built_on = [f for f in exercise.functions if f in wrong & behind and f not in own]
            quick = found[number].used_s < QUICK_S
            if not own or not built_on or not (declared or quick):
                continue
            check = (exercise.id, found[number].name)
            again = self.stand_ins.outcomes(job, exercise, built_on, checks=[check])
            better = None if again is None else again.get(found[number].name)
            if better is None or better.credit <= found[number].credit + _EPSILON:
                continue
            shown = " and ".join(f"`{name.rpartition('.')[2]}`" for name in built_on)
            line = f"builds on {shown}, which failed: look there first"
            if not declared:
                found[number] = _with_line(found[number], line, found[number])
                continue
            given = replace(found[number], outcome=better.outcome, credit=better.credit, trace="")
            verb = "were" if len(built_on) > 1 else "was"
            found[number] = _with_line(given, f"{line}; {FOLLOWED}{shown} {verb} right", better)

    def _called_by_checks(
        self, job: CheckJob, exercise: Exercise
    ) -> Mapping[tuple[str, str], Collection[str]]:
        """Return the names that each check of an exercise uses, recorded on the solution."""
        key = job.seed, exercise.id
        if key not in self._paths:
            session = self.references[exercise.notebook]
            recorder = Recorder(session, lambda: self.suite.running)
            self.suite.run(
                replace(
                    job,
                    sessions={exercise.notebook: recorder},
                    skip={},
                    only=[exercise.id],
                    reference=lambda name: self.references[name],
                )
            )
            self._paths[key] = {
                check: paths_of(recording) for check, recording in recorder.recordings.items()
            }
        return self._paths[key]


def _is_asked(function: str, names: Collection[str]) -> bool:
    """Tell whether a check calls a function itself; creating an object calls its __init__."""
    owner, _, last = function.rpartition(".")
    return (owner.rpartition(".")[2] if last == "__init__" else last) in names


def names_called(notebook: Notebook, functions: Collection[str]) -> set[str]:
    """Return the qualified names of all functions that these functions call, directly or not.

    `self.name` is the method of the function's own class, or of the class that it extends; of
    any other object's attribute each method of that name counts.
    """
    methods: dict[str, set[str]] = {}
    for name in notebook.definitions:
        methods.setdefault(name.rpartition(".")[2], set()).add(name)
    seen: set[str] = set()
    waiting = [*functions]
    while waiting:
        definition = notebook.definitions.get(waiting.pop())
        if definition is None:
            continue
        for name, of_self in _names_in(definition.source):
            own = _method_of(notebook, definition.name.rpartition(".")[0], name) if of_self else ""
            new = ({own} if own else methods.get(name, set())) - seen - {definition.name}
            seen |= new
            waiting += new
    return seen


def _method_of(notebook: Notebook, owner: str, name: str) -> str:
    """Return the qualified name of a class's own or inherited method, "" if it has none."""
    waiting, seen = [owner], set[str]()
    while waiting:
        one = waiting.pop(0)
        if not one or one in seen:
            continue
        seen.add(one)
        if f"{one}.{name}" in notebook.definitions:
            return f"{one}.{name}"
        if one in notebook.definitions:
            waiting += _bases_in(notebook.definitions[one].source)
    return ""


def _bases_in(source: str) -> list[str]:
    """Return the names of the classes that a class extends, in order."""
    for node in ast.walk(_parsed(source)):
        if isinstance(node, ast.ClassDef):
            return [base.id for base in node.bases if isinstance(base, ast.Name)]
    return []


def _names_in(source: str) -> Iterator[tuple[str, bool]]:
    """Yield each name that is read, and each attribute, with whether it is one of `self`."""
    for node in ast.walk(_parsed(source)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id, False
        elif isinstance(node, ast.Attribute):
            yield node.attr, isinstance(node.value, ast.Name) and node.value.id == "self"


def _parsed(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return ast.Module([], [])


def _with_other_exercise(
    outcome: Outcome,
    exercise: Exercise,
    built_on: Sequence[BuiltOn],
    again: Mapping[str, Outcome] | None,
) -> Outcome:
    """Return the outcome with what it builds on, and with the points that follow through."""
    line = "; ".join(one.text for one in built_on)
    if again is None:
        return _with_line(outcome, line, outcome)
    better = again.get(outcome.name)
    if better is None:
        return outcome
    if better.credit <= outcome.credit + _EPSILON:
        # It is wrong by itself, too. The message with the other one right is clearer.
        if better.outcome != outcome.outcome or better.message == outcome.message:
            return outcome
        return _with_line(outcome, f"{line}\nWith a right one:", better)
    if any(one.exercise.id not in exercise.follows for one in built_on):
        return _with_line(outcome, line, outcome)
    names = ", ".join(one.exercise.id for one in built_on)
    # The wrong answers are those of the other exercise.
    given = replace(outcome, outcome=better.outcome, credit=better.credit, trace="")
    return _with_line(given, f"{line}; {FOLLOWED}{names} were right", better)


def _with_line(outcome: Outcome, line: str, said: Outcome) -> Outcome:
    """Return the outcome with a line and the message of another outcome, which may have passed."""
    return replace(
        outcome,
        message=f"{line}\n{said.message}".rstrip(),
        # The solved notebook's answers contain nothing that student code said.
        for_students=f"{line}\n{said.for_students}".rstrip(),
    )


def _is_wrong(outcome: Outcome) -> bool:
    lost = outcome.credit < 1.0 - _EPSILON and outcome.max_points > 0
    judged = outcome.outcome in ("failed", "error")
    return judged and lost and not (outcome.missing or outcome.fault or outcome.suspect)
