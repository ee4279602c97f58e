"""Find what is still the template: an exercise, or one function that a check calls."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from grader.notebook import region_of, regions_that_set
from grader.records import Assignment, Exercise, Notebook, Outcome, Region, RegionStatus


def nothing_to_check(assignment: Assignment, notebooks: Mapping[str, Notebook]) -> dict[str, str]:
    """Return the reason, by exercise id, for each exercise where nothing is filled in."""
    reasons = {}
    for exercise in assignment.exercises:
        if exercise.manual:
            continue
        notebook = notebooks.get(exercise.notebook)
        if notebook is None:
            reasons[exercise.id] = f"{exercise.notebook} was not handed in"
            continue
        # Where nothing of that name exists the checks decide: a plot may be right without
        # the helper that the template asks for.
        own = {name: _state(region_of(notebook, name)) for name in exercise.functions}
        own |= _values(assignment, exercise, notebook)
        needed = {name: _state(region_of(notebook, name)) for name in exercise.needs}
        for states in (own, own | needed):
            if "untouched" in states.values() and "filled" not in states.values():
                reasons[exercise.id] = _still_the_template(states)
                break
    return reasons


def with_template_hint(
    outcome: Outcome, assignment: Assignment, notebooks: Mapping[str, Notebook]
) -> Outcome:
    """Return the outcome; it says so if a function that is not filled in was called."""
    if outcome.missing or outcome.credit > 0 or outcome.outcome not in ("failed", "error"):
        return outcome
    exercise = next(e for e in assignment.exercises if e.id == outcome.exercise)
    notebook = notebooks.get(exercise.notebook)
    if notebook is None:
        return outcome
    called = outcome.message.partition("(")[0].rpartition(".")[2]
    states = {
        name: _state(region_of(notebook, name))
        for name in exercise.functions
        if name.rpartition(".")[2] == called
    }
    first = re.match(r"\w+", outcome.message)
    states |= {
        name: state
        for name, state in _values(assignment, exercise, notebook).items()
        if first and first[0] == name
    }
    for name, state in states.items():
        if state == "untouched":
            text = f"not filled in yet: `{name}`"
            return replace(outcome, outcome="failed", message=text, for_students=text, missing=True)
    return outcome


def _values(
    assignment: Assignment, exercise: Exercise, notebook: Notebook
) -> dict[str, RegionStatus]:
    """Return the content of the gaps outside any function that the exercise's values depend on."""
    given = assignment.given(exercise.notebook)
    return {name: _state(regions_that_set(notebook, given, name)) for name in exercise.values}


def _still_the_template(states: Mapping[str, RegionStatus]) -> str:
    """Return the line that says which functions hold the placeholder, and which are absent."""
    untouched = [f"`{name}`" for name, state in states.items() if state == "untouched"]
    missing = [f"`{name}`" for name, state in states.items() if state == "missing"]
    text = f"not filled in yet: {', '.join(untouched)}"
    return text + (f"; not defined: {', '.join(missing)}" if missing else "")


def _state(regions: Sequence[Region]) -> RegionStatus:
    """Return the state of a function's gaps together: one filled gap counts as filled."""
    states = {region.status for region in regions}
    if "filled" in states:
        return "filled"
    return "untouched" if "untouched" in states else "missing"
