"""What is settled before anything is graded: which assignment, which exercises, whose checks."""

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
"""Submissions that stay open when they were looked at: those of a class would fill the memory."""
_CLEARLY = 1.1
"""How much better than the assignment of most another one must fit."""

Kept = Callable[[Mapping[str, Assignment], Sequence[Incoming]], Mapping[int, str]]


def tell_apart(
    assignment_id: str | None,
    folders: Mapping[str, Path],
    submissions: Sequence[Incoming],
    warn: Callable[[str], None],
    kept: Kept = lambda assignments, submissions: {},
) -> list[tuple[Assignment, list[int]]]:
    """Return each assignment that was handed in, with the places of the submissions that answer it.

    assignment_id : answered by all, where it is given
    folders : of the assignments there are, by their ids
    warn : gets a line for each that can't be read, and is left out
    kept : tells which assignment those answered that an earlier run has graded, by their place
    What goes wrong with a submission stays with it: it is refused, or has failed. Whoever answers
    nothing is in the list of most, so that nobody is lost. Empty where nobody answers anything.
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
        except Exception as error:  # its own result tells of it; another one may be recognised
            incoming.failed = error
        if place >= _HELD_OPEN and place not in unfit and incoming.failed is None:
            incoming.let_go()
    count = Counter(chosen.values())
    for scores in fits.values():
        count.update(name for name in scores if max(scores.values()) <= _CLEARLY * scores[name])
    for place, problem in unfit.items():
        # What one assignment refuses when it is graded, it refuses in better words.
        if len(count) != 1:
            submissions[place].refuse(problem)
    if not count:
        return []
    most = count.most_common(1)[0][0]
    for place, scores in fits.items():
        # Two editions of one sheet are nearly alike: a doubt is no reason to part a class.
        if scores and max(scores.values()) > _CLEARLY * scores.get(most, 0.0):
            chosen[place] = max(scores, key=scores.__getitem__)
    places: dict[str, list[int]] = {}
    for place in everybody:
        places.setdefault(chosen.get(place, most), []).append(place)
    return [(known[name], places[name]) for name in known if name in places]


def _first(known: Mapping[str, Assignment], submissions: Sequence[Incoming]) -> Assignment | None:
    """Return the first submission's assignment that is recognised; None for none."""
    for incoming in submissions:
        try:
            if incoming.read():
                return known[recognise_assignment(incoming.notebooks, known)]
        except SubmissionError as error:
            incoming.refuse(error)
        except Exception as error:  # its own result tells of it; another one may be recognised
            incoming.failed = error
    return None


def load_sound(folders: Mapping[str, Path], warn: Callable[[str], None]) -> dict[str, Assignment]:
    """Return the assignments that can be read, by their ids; tell of the others.

    One that somebody is writing must not stop the grading of the rest.
    Raises AssignmentError where none can be read: the first one's.
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
        warn(f"left out, until it is mended: {why}")
    return known


def require_exercises(assignment: Assignment, only: Sequence[str]) -> None:
    """Raise AssignmentError where one of the wanted exercises is not the assignment's."""
    ids = [exercise.id for exercise in assignment.exercises]
    for wanted in only:
        if wanted not in ids:
            raise AssignmentError(
                f"{assignment.id} has no exercise {wanted!r}; it has: {', '.join(ids)}"
            )


def require_known_course(
    chosen: Assignment, named: Path | None, warn: Callable[[str], None]
) -> None:
    """Remember the course that is graded with. Raises AssignmentError for one that may be no one's.

    named : the folder of assignments that the user named; None where one was found upwards
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
    """Say whose checks run, where they are those beside the notebook.

    Raises AssignmentError where solutions were graded with: there the notebook is a student's,
    and so may be the checks beside it, which would run with the instructor's rights.
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
