"""Tell a mistake in one exercise from its consequence in another one that builds on it.

    outcomes = Echoes(suite, references).explained(job, outcomes, notebooks)

Suppose a check fails, and its exercise calls a function of another exercise that lost points. Then
the check runs once more with a stand-in for that function, which answers what the solved notebook
answers. Only values travel: the stand-in reports its arguments, the solved notebook is called in
its own process, and the check runs again from the start with one more answer. If the check then
passes, the message says so. If the assignment lets points follow through (`follows` in
assignment.toml), they are given as if the other function were right.

A message names only functions whose stand-ins the check needs: a right function answers
what its stand-in answers. Where that can't be decided, it names the exercise alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from grader.notebook import names_called
from grader.records import Assignment, Exercise, Notebook, Outcome
from grader.session import Session
from grader.session.recordings import Recorder, paths_of
from grader.stand_ins import Looks, StandIns
from grader.suite import CheckJob, Suite

QUICK_S = 2.0
"""For which the student's code computes or sleeps: in an exercise's checks together; within one
exercise, in the check. It is no time of the clock: a busy machine tells a submission the same."""

FOLLOWED = "points are given as if "
"""Part of the message of a check whose points follow through."""

LOOK_THERE = "look there first"

_EPSILON = 1e-9


@dataclass(frozen=True)
class BuiltOn:
    """The functions of another exercise, which lost points, that an exercise calls.

    functions : qualified names; () if it is not known which of them is wrong
    empty : none of the other exercise's gaps is filled in
    """

    exercise: Exercise
    functions: tuple[str, ...]
    empty: bool

    @property
    def text(self) -> str:
        if not self.functions:
            return self.exercise.id
        return f"{_shown(self.functions)} ({self.exercise.id})"


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
            looks = None
            names = [name for one in built_on for name in one.functions]
            # Figures were drawn when the cells ran: a stand-in comes too late for them.
            if (declared or quick) and not self._draws(exercise):
                looks = self.stand_ins.looks(
                    job, exercise, failed=[found[n] for n in echoes], gives_points=declared
                )
            again = None if looks is None else looks.outcomes(names)
            if looks is None or again is None:
                roots = self._roots(built_on, notebook, outcomes)
                for number in echoes:
                    line = _line_of(_without_names(roots))
                    found[number] = _with_line(found[number], line, found[number])
                continue
            order = self._right_ones_first(job, built_on, notebook, outcomes) if quick else []
            for number in echoes:
                better = again.get(found[number].name)
                if better is None or not _tells_something(found[number], better):
                    continue
                needed = _needed(looks, found[number], better, names, order)
                found[number] = _with_other_exercise(
                    found[number], exercise, _with_names(built_on, needed), better
                )
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

    def _roots(
        self, built_on: Sequence[BuiltOn], notebook: Notebook, outcomes: Sequence[Outcome]
    ) -> list[BuiltOn]:
        """Return the failed exercises behind these, which build on no failed one themselves."""
        roots: dict[str, BuiltOn] = {}
        seen: set[str] = set()
        waiting = [*built_on]
        while waiting:
            one = waiting.pop(0)
            if one.exercise.id in seen:
                continue
            seen.add(one.exercise.id)
            behind = [] if one.empty else self._built_on(one.exercise, notebook, outcomes)
            if not behind:
                roots[one.exercise.id] = one
            waiting += behind
        return [*roots.values()] or [*built_on]

    def _right_ones_first(
        self,
        job: CheckJob,
        built_on: Sequence[BuiltOn],
        notebook: Notebook,
        outcomes: Sequence[Outcome],
    ) -> list[str]:
        """Return the functions in the order in which their stand-ins are left out.

        First those whose own checks pass. Of two functions with checks that fail, the one that
        calls the other comes first: it may be right itself.
        """
        ranks: dict[str, int] = {}
        for one in built_on:
            theirs = [o for o in outcomes if o.exercise == one.exercise.id]
            called: Mapping[tuple[str, str], Collection[str]] = {}
            if len(one.exercise.functions) > 1 and sum(o.used_s for o in theirs) < QUICK_S:
                called = self._called_by_checks(job, one.exercise)
            for function in one.functions:
                asking = [o for o in theirs if _is_asked(function, called.get(_check(o), ()))]
                fails = any(_is_wrong(o) or o.missing for o in asking)
                ranks[function] = 2 if fails else 0 if asking else 1
        return _callers_first(notebook, sorted(ranks, key=lambda name: ranks[name]), ranks)

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
            looks = self.stand_ins.looks(
                job, exercise, failed=[found[number]], gives_points=declared
            )
            again = looks.outcomes(built_on)
            better = None if again is None else again.get(found[number].name)
            if better is None or better.credit <= found[number].credit + _EPSILON:
                continue
            order = _callers_first(notebook, built_on) if quick else []
            needed = _needed(looks, found[number], better, built_on, order)
            shown = "another function of this exercise" if needed is None else _shown(needed)
            line = f"builds on {shown}, which failed: {LOOK_THERE}"
            if not declared:
                found[number] = _with_line(found[number], line, found[number])
                continue
            given = replace(found[number], outcome=better.outcome, credit=better.credit, trace="")
            right = "it was" if needed is None else f"{shown} {'were' if needed[1:] else 'was'}"
            found[number] = _with_line(given, f"{line}; {FOLLOWED}{right} right", better)

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


def _needed(
    looks: Looks,
    outcome: Outcome,
    better: Outcome,
    names: Sequence[str],
    order: Sequence[str],
) -> list[str] | None:
    """Return the fewest functions with whose stand-ins the check ends as with all of them.

    better : the outcome with all of them; order : in which they are left out, [] to leave out none
    Returns None if it can't be decided. A function that another one calls may be wrong, too, where
    the stand-in of the other one leaves it unused: it is not named.
    """
    needed = [*names]
    if len(needed) > 1 and not order:
        return None
    for name in order:
        fewer = [one for one in needed if one != name]
        if not fewer:
            break
        found = looks.outcomes(fewer)
        if found is None or outcome.name not in found:
            return None
        if _ends_alike(found[outcome.name], better, outcome):
            needed = fewer
    return needed


def _ends_alike(one: Outcome, better: Outcome, before: Outcome) -> bool:
    if better.credit > before.credit + _EPSILON:
        return one.credit >= better.credit - _EPSILON
    return one.outcome == better.outcome and one.message == better.message


def _tells_something(before: Outcome, better: Outcome) -> bool:
    """Tell whether the check ends otherwise with the stand-ins."""
    if better.credit > before.credit + _EPSILON:
        return True
    # It is wrong by itself, too. The message with the other one right is clearer.
    return better.outcome == before.outcome and better.message != before.message


def _callers_first(
    notebook: Notebook, names: Sequence[str], ranks: Mapping[str, int] | None = None
) -> list[str]:
    """Return the functions, those that call more of the others first, within their ranks."""
    ranks = ranks or {}
    calls = {name: len(names_called(notebook, [name]) & {*names}) for name in names}
    return sorted(names, key=lambda name: (ranks.get(name, 0), -calls[name]))


def _with_names(built_on: Sequence[BuiltOn], needed: Sequence[str] | None) -> list[BuiltOn]:
    """Return what is built on, with the needed functions alone; None : it is not known which."""
    if needed is None:
        return _without_names(built_on)
    kept = [(one, tuple(f for f in one.functions if f in needed)) for one in built_on]
    return [replace(one, functions=functions) for one, functions in kept if functions]


def _without_names(built_on: Sequence[BuiltOn]) -> list[BuiltOn]:
    """Return what is built on, without functions that may be right."""
    alone = len(built_on) == 1 and len(built_on[0].exercise.functions) == 1
    return [one if alone or one.empty else replace(one, functions=()) for one in built_on]


def _with_other_exercise(
    outcome: Outcome, exercise: Exercise, built_on: Sequence[BuiltOn], better: Outcome
) -> Outcome:
    """Return the outcome with what it builds on, and with the points that follow through.

    better : the outcome with the other functions right
    """
    line = _line_of(built_on)
    if better.credit <= outcome.credit + _EPSILON:
        return _with_line(outcome, f"{line}\nWith a right one:", better)
    if any(one.exercise.id not in exercise.follows for one in built_on):
        return _with_line(outcome, line, outcome)
    names = ", ".join(one.exercise.id for one in built_on)
    # The wrong answers are those of the other exercise.
    given = replace(outcome, outcome=better.outcome, credit=better.credit, trace="")
    return _with_line(given, f"{line}; {FOLLOWED}{names} were right", better)


def _line_of(built_on: Sequence[BuiltOn]) -> str:
    """Return the message's first line: "builds on `f` (a) and `g` (b), which failed: ..."."""
    parts = []
    for empty, state in ((False, "failed"), (True, "is not filled in yet")):
        texts = [one.text for one in built_on if one.empty == empty]
        if texts:
            state = state.replace("is", "are") if len(texts) > 1 else state
            parts.append(f"{' and '.join(texts)}, which {state}")
    return f"builds on {'; on '.join(parts)}: {LOOK_THERE}"


def _shown(functions: Sequence[str]) -> str:
    return " and ".join(f"`{name.rpartition('.')[2]}`" for name in functions)


def _check(outcome: Outcome) -> tuple[str, str]:
    return outcome.exercise, outcome.name


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
