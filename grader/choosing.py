"""Decide before grading: which assignment, which exercises, and whether to trust the checks."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from grader.assignment import ENVIRONMENT_VARIABLE, folder_of, load_assignment
from grader.errors import AssignmentError, SubmissionError
from grader.records import Assignment
from grader.submission.incoming import Incoming
from grader.submission.matching import assignment_fits, no_assignment, recognise_assignment

_HELD_OPEN = 8
"""So many opened submissions are kept open; a whole class would fill the memory."""
_CLEARLY = 1.1
"""How much better than the most common assignment another one must fit."""

Kept = Callable[[Mapping[str, Assignment], Sequence[Incoming]], Mapping[int, str]]


def group_by_assignment(
    assignment_id: str | None,
    folders: Mapping[str, Path],
    submissions: Sequence[Incoming],
    warn: Callable[[str], None],
    kept: Kept = lambda assignments, submissions: {},
) -> list[tuple[Assignment, list[int]]]:
    """Return each assignment that was handed in, with the indices of its submissions.

    assignment_id : of all submissions; None to recognise it for each
    folders : of the known assignments, by their ids
    warn : gets a line for each assignment that can't be read and is left out
    kept : returns the assignment of submissions that an earlier run has graded, by index
    An error in one submission concerns only that one: it is refused, or has failed. A submission of
    no assignment is listed with the most common one, so that none is lost. Empty if no submission
    answers an assignment.
    Raises AssignmentError.
    """
    everybody = list(range(len(submissions)))
    if assignment_id is not None:
        return [(load_assignment(folder_of(assignment_id, folders)), everybody)]
    known = load_sound(folders, warn)
    if len(known) == 1 or len(submissions) == 1:
        first = _first(known, submissions)
        return [(first, everybody)] if first is not None else []
    fits: dict[int, dict[str, float]] = {}
    unfit: dict[int, SubmissionError] = {}
    chosen = dict(kept(known, submissions))
    for place, incoming in enumerate(submissions):
        if place in chosen:
            continue
        try:
            if incoming.read():
                fits[place] = assignment_fits(incoming.notebooks, known)
                if not fits[place]:
                    unfit[place] = SubmissionError(
                        no_assignment(incoming.notebooks, known, "name it with --assignment")
                    )
        except Exception as error:  # its own result says so; another one may be recognised
            incoming.failed = error
        if place >= _HELD_OPEN and place not in unfit and incoming.failed is None:
            incoming.let_go()
    count = Counter(chosen.values())
    for scores in fits.values():
        count.update(name for name in scores if max(scores.values()) <= _CLEARLY * scores[name])
    for place, problem in unfit.items():
        # Grading with the only assignment gives a better message than a refusal here.
        if len(count) != 1:
            submissions[place].refuse(problem)
    if not count:
        return []
    most = count.most_common(1)[0][0]
    for place, scores in fits.items():
        # Two editions of one sheet are nearly equal: if in doubt, keep the class together.
        if scores and max(scores.values()) > _CLEARLY * scores.get(most, 0.0):
            chosen[place] = max(scores, key=scores.__getitem__)
    places: dict[str, list[int]] = {}
    for place in everybody:
        places.setdefault(chosen.get(place, most), []).append(place)
    return [(known[name], places[name]) for name in known if name in places]


def _first(known: Mapping[str, Assignment], submissions: Sequence[Incoming]) -> Assignment | None:
    """Return the first assignment that is recognised in a submission; None for none."""
    for incoming in submissions:
        try:
            if incoming.read():
                return known[recognise_assignment(incoming.notebooks, known)]
        except SubmissionError as error:
            incoming.refuse(error)
        except Exception as error:  # its own result says so; another one may be recognised
            incoming.failed = error
    return None


def load_sound(folders: Mapping[str, Path], warn: Callable[[str], None]) -> dict[str, Assignment]:
    """Return the assignments that can be read, by their ids; warn about the others.

    An unfinished assignment must not stop the grading of the others.
    Raises the first AssignmentError if none can be read.
    """
    known: dict[str, Assignment] = {}
    broken: list[AssignmentError] = []
    for name, folder in folders.items():
        try:
            known[name] = load_assignment(folder)
        except AssignmentError as error:
            broken.append(error)
    if broken and not known:
        raise broken[0]
    for why in broken:
        warn(f"left out, until it is repaired: {why}")
    return known


def require_exercises(assignment: Assignment, only: Sequence[str]) -> None:
    """Raise AssignmentError if the assignment lacks one of the requested exercises."""
    ids = [exercise.id for exercise in assignment.exercises]
    for wanted in only:
        if wanted not in ids:
            raise AssignmentError(
                f"{assignment.id} has no exercise {wanted!r}; it has: {', '.join(ids)}"
            )


def require_known_course(
    chosen: Assignment, named: Path | None, warn: Callable[[str], None]
) -> None:
    """Remember the course's folder. Raises AssignmentError for one that may not be trusted.

    named : the folder of assignments that the user named; None if it was found upwards
    """
    # Imported here, as the store is: a student's machine has no use for it.
    from grader.batch.trusted import require_known

    is_named = named is not None or bool(os.environ.get(ENVIRONMENT_VARIABLE))
    if require_known(chosen.folder, os.environ, named=is_named) and not is_named:
        warn(
            f"the checks in {chosen.folder.parent} run with your rights; from now on others that "
            "lie upwards of where you are must be named once"
        )


def require_students_machine(copy: Assignment, warn: Callable[[str], None]) -> None:
    """Say which checks run, if they are those beside the notebook.

    Raises AssignmentError on a machine that has graded with solutions. There the notebook is a
    student's; so may be the checks beside it, and they would run with the instructor's rights.
    """
    # Imported here, as the store is: a folder that the user names needs no such question.
    from grader.batch.store import graded_with_solutions

    if os.environ.get(ENVIRONMENT_VARIABLE):
        return
    if graded_with_solutions(os.environ):
        raise AssignmentError(
            f"{copy.folder} lies beside what is graded, and may be a student's; this machine has "
            "graded with solutions, so its checks are not used: name the course's folder with "
            "--assignments"
        )
    warn(f"graded by the public checks beside the notebook, in {copy.folder}")
