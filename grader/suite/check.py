"""A check as pytest collected it, and the problems that an assignment's checks may have."""

from __future__ import annotations

import ast
import inspect
import math
import textwrap
import traceback
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from grader.assignment.check_files import HIDDEN, MARKER, is_hidden
from grader.assignment.check_names import near_checks
from grader.errors import AssignmentError
from grader.records import Assignment, Exercise, Outcome

# More than a student's process may use by default.
MAX_REPLY_MIB = 4096


@dataclass
class Check:
    """A collected check: its pytest item, and the values from its marker and name.

    reply_mib : the largest reply to it; None for the assignment's limit
    shares : whether it changes nothing that another check sees, so that both may use one process
    """

    item: pytest.Item
    exercise: Exercise
    name: str
    points: float
    hidden: bool
    reply_mib: int | None = None
    shares: bool = False

    def outcome(self, kind: Any, credit: float, message: str, **more: Any) -> Outcome:
        return Outcome(
            exercise=self.exercise.id,
            name=self.name,
            outcome=kind,
            credit=credit,
            max_points=self.points,
            hidden=self.hidden,
            message=message,
            **more,
        )


def checks_of(
    assignment: Assignment,
    items: Sequence[pytest.Item],
    unloadable: Sequence[str],
    *,
    wanted: str = "",
) -> list[Check]:
    """Return the checks in their order. Raises AssignmentError, which names all problems.

    items : as pytest collected them
    unloadable : a line for each check file that can't be loaded
    wanted : a check's name or an exercise's id; other checks are not validated
    """
    exercises = {exercise.id: exercise for exercise in assignment.exercises}
    if wanted:
        items = _selected(assignment, items, unloadable, wanted)
        unloadable = ()
    problems = [*unloadable]
    unwritten: list[str] = []
    checks: list[Check] = []
    for item in items:
        marker = item.get_closest_marker("exercise")
        hidden = is_hidden(item.path, assignment.folder)
        if marker is None:
            problems.append(f"{item.name} has no @pytest.mark.exercise(id, points=...)")
        elif problem := _problem_of(marker, exercises, hidden=hidden):
            problems.append(f"{item.name}: {problem}")
        elif todo := _unwritten(item):
            unwritten.append(f"{item.name} is not written yet{todo}")
        else:
            checks.append(
                Check(
                    item,
                    exercises[marker.args[0]],
                    item.name.removeprefix("test_").replace("_", " "),
                    float(marker.kwargs["points"]),
                    hidden,
                    marker.kwargs.get("reply_mib"),
                    marker.kwargs.get("shares", False),
                )
            )
    if wanted and checks:
        unwritten = []
    if len(unwritten) > 1:
        names = ", ".join(line.partition(" ")[0] for line in unwritten)
        unwritten = [f"{len(unwritten)} checks are not written yet: {names}"]
    problems += unwritten
    if not wanted:
        problems += _namesakes(checks)
        # A check that could not be loaded has no points, so sums count only without problems.
        problems = problems or _wrong_sums(assignment, checks)
    if problems:
        raise AssignmentError(f"assignment {assignment.id}: " + "; ".join(problems))
    return checks


def _selected(
    assignment: Assignment, items: Sequence[pytest.Item], unloadable: Sequence[str], wanted: str
) -> list[pytest.Item]:
    """Return the items of that name or exercise; if none, those whose names contain it."""
    name = wanted.removeprefix("test_").replace(" ", "_")
    names = [(item.name.partition("[")[0].removeprefix("test_"), item) for item in items]
    markers = [(item.get_closest_marker("exercise"), item) for item in items]
    for found in (
        [item for known, item in names if known == name or item.name == wanted],
        [item for marker, item in markers if marker and marker.args[:1] == (wanted,)],
        [item for known, item in names if name in known],
    ):
        if found:
            return found
    known_names = [f"test_{known}" for known, _ in names]
    near = near_checks(name, known_names)
    ids = {marker.args[0]: None for marker, _ in markers if marker and marker.args}
    hint = (
        f"did you mean {' or '.join(near)}?"
        if near
        else f"its {len(names)} checks are of the exercises {', '.join(map(str, ids))}"
    )
    broken = f" ({'; '.join(unloadable)})" if unloadable else ""
    raise AssignmentError(
        f"assignment {assignment.id} has no check {wanted!r}, nor an exercise of that id"
        f"; {hint}{broken}"
    )


def _problem_of(marker: pytest.Mark, exercises: Collection[str], *, hidden: bool) -> str:
    """Return the problem of a check's marker, or "".

    hidden : whether the check is in the folder of hidden checks
    """
    if not marker.args or marker.args[0] not in tuple(exercises):
        named = marker.args[0] if marker.args else None
        return f"assignment.toml has no exercise {named}; it has: {', '.join(exercises)}"
    unknown = [repr(value) for value in marker.args[1:]]
    unknown += [name for name in marker.kwargs if name not in MARKER]
    if unknown:
        names = ", ".join(f"{name}=..." for name in MARKER[:-1])
        return f"its marker takes {names} and {MARKER[-1]}=..., not {unknown[0]}"
    points: Any = marker.kwargs.get("points")
    marked_hidden = marker.kwargs.get("hidden", hidden)
    reply_mib: Any = marker.kwargs.get("reply_mib", 1)
    if type(points) not in (int, float) or not 0 <= points < math.inf:
        return f"its marker must say points=..., a number from 0 on, not {points!r}"
    if type(marked_hidden) is not bool:
        return f"`hidden` must be True or False, not {marked_hidden!r}"
    shares: Any = marker.kwargs.get("shares", False)
    if type(shares) is not bool:
        return f"`shares` must be True or False, not {shares!r}"
    if type(reply_mib) is not int or not 1 <= reply_mib <= MAX_REPLY_MIB:
        return (
            f"`reply_mib` is how many MiB an answer to it may have, 1 to {MAX_REPLY_MIB}, "
            f"not {reply_mib!r}"
        )
    if marked_hidden is hidden:
        return ""
    if marked_hidden:
        return f"it says hidden=True, but students get its file: move it to the folder {HIDDEN}/"
    return f"it says hidden=False, but is in {HIDDEN}/: move it to the folder above"


def _unwritten(item: pytest.Item) -> str:
    """Return the note on a check that only raises NotImplementedError; "" for any other."""
    function = getattr(item, "function", None)
    try:
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body  # type: ignore[arg-type]
    except (OSError, TypeError, ValueError, SyntaxError):
        return ""
    body = getattr(tree, "body", [])
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]  # its docstring
    match body:
        case [ast.Raise(exc=ast.Name(id="NotImplementedError"))]:
            return ": it only raises NotImplementedError"
        case [ast.Raise(exc=ast.Call(func=ast.Name(id="NotImplementedError"), args=arguments))]:
            match arguments:
                case [ast.Constant(value=str(text))]:
                    return f": {text}"
            return ": it only raises NotImplementedError"
    return ""


def _namesakes(checks: Sequence[Check]) -> list[str]:
    """Return a line for each name that several checks of one exercise have.

    A report could not tell them apart.
    """
    counts = Counter((check.exercise.id, check.item.name) for check in checks)
    return [
        f"{name}: exercise {exercise} has {count} checks of this name"
        for (exercise, name), count in counts.items()
        if count > 1
    ]


def _wrong_sums(assignment: Assignment, checks: Sequence[Check]) -> list[str]:
    """Return a line for each exercise whose checks don't sum to its points."""
    problems = []
    for exercise in assignment.exercises:
        points = sum(c.points for c in checks if c.exercise.id == exercise.id)
        if exercise.manual:
            if points:
                problems.append(
                    f"exercise {exercise.id}: a person grades it (manual = true), so its "
                    f"checks, of {points:g} points, would count for nothing"
                )
            continue
        # A student's copy holds only the public checks, whose points may sum to less.
        more = points > exercise.points + 1e-9
        less = points < exercise.points - 1e-9 and not assignment.public_only
        if more or less:
            problems.append(
                f"exercise {exercise.id}: its checks sum to {points:g} points, "
                f"assignment.toml says {exercise.points:g}"
            )
    return problems


def breakage(error: BaseException) -> str:
    """Return where and why a check file can't be loaded, without pytest's own frames."""
    error = error.__cause__ or error
    if isinstance(error, SyntaxError):
        file, line, text = error.filename or "", error.lineno, error.text or ""
        what = f"{type(error).__name__}: {error.msg}"
    else:
        # Only frames of the check file: the instructor did not write the modules that it imports.
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if Path(frame.filename).name.startswith("test_")]
        file, line, _, text = (own or frames)[-1]
        what = f"{type(error).__name__}: {error}"
    shown = f": `{text.strip()}`" if text and text.strip() else ""
    return f"{Path(file).name}, line {line}: {what}{shown}"
