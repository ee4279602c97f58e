"""The stages in order: submission -> notebook -> session -> checks -> score -> report.

`grade` takes paths and gives a Report. It finds who handed in what, tells the assignments apart,
and has each class graded (grading_class.py), one submission after the other (grading.py). What
goes wrong with one submission stays inside its Result. The cause decides what follows: broken
student code costs the exercises that it breaks, an unreadable submission is refused, and a fault of
the grader stops the grading of that submission and costs no points.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from grader.assignment import find_assignments
from grader.batch.collector import Collector
from grader.batch.serialization import Results
from grader.batch.workers import cores
from grader.choosing import group_by_assignment
from grader.errors import GraderFault
from grader.grading_class import grade_class
from grader.plugins import take_export_apart
from grader.records import Report
from grader.request import Request
from grader.session import (
    remove_session_leftovers,
    require_open_files,
    require_sandbox,
    start_fork_server,
)
from grader.session.fork_server import ForkServer
from grader.submission.incoming import Incoming, find_incoming
from grader.temporary import TemporaryFolder

if TYPE_CHECKING:
    from grader.warm.held import Held

__all__ = ["cores", "grade"]


def grade(paths: Sequence[Path], request: Request, *, held: Held | None = None) -> Report:
    """Return the verdict on every submission found in paths, in order.

    If several assignments were handed in, each is graded by itself, and the report has parts.

    held : checks and a fork server of an earlier run. Raises NotHeld if this run needs others
    Raises AssignmentError and SubmissionError for what the user must correct first, before any
    kernel starts: no such path, no such assignment or exercise, checks that don't load. Raises
    SandboxError, ClusterError, Interrupted.
    """
    require_open_files()
    require_sandbox(request.sandbox)
    remove_session_leftovers()
    folders = find_assignments(Path.cwd(), request.assignments, os.environ, graded=paths)
    warn = request.progress.warn
    with ExitStack() as stack:
        # It warms up while submissions are read, checks are loaded and pytest is imported.
        fork_server = _fork_server(request, held)
        if fork_server is not None:
            stack.callback(fork_server.close)

        # Find who handed in what.
        scratch = stack.enter_context(TemporaryFolder())
        submissions, remarks = find_incoming(
            paths,
            scratch,
            split=request.split,
            apart=request.apart,
            shard=request.shard,
            unpacker=take_export_apart,
        )
        for line in remarks:
            warn(line)

        # Find the assignment of each submission.
        chosen = group_by_assignment(
            request.assignment, folders, submissions, warn, request.kept_assignments
        )
        if not chosen:
            return _without_assignment(submissions, request)
        for assignment, _ in chosen:
            # Errors in any assignment are reported before a kernel starts.
            if held is not None:
                held.require(assignment, request.sandbox)
            request.require(assignment)
        if len(chosen) > 1:
            request.progress.several([assignment.id for assignment, _ in chosen])

        # Grade each class.
        parts: list[Report] = []
        for assignment, places in chosen:
            if parts:  # the class before has closed its fork server
                fork_server = _fork_server(request, held)
            part = grade_class(
                assignment,
                [submissions[place] for place in places],
                request,
                request.options(assignment, alone=len(submissions) == 1),
                fork_server=fork_server,
                held=held,
                about=_places(paths, request),
            )
            parts.append(part)
        return parts[0] if len(parts) == 1 else _joined(parts)


def _fork_server(request: Request, held: Held | None) -> ForkServer | None:
    """Return the process that kernels are forked from; None if they start in another way."""
    if request.dask is not None:
        return None
    try:
        return held.fork_server() if held else start_fork_server(request.sandbox)
    except GraderFault as fault:
        # Each kernel starts by itself instead; one that can't start is reported with its
        # submission.
        request.progress.warn(f"{fault}: grading goes on without it, more slowly")
        return None


def _without_assignment(submissions: Sequence[Incoming], request: Request) -> Report:
    """Return the report if no submission answers an assignment."""
    found = [incoming.shown for incoming in submissions]
    origins = [incoming.origin for incoming in submissions]
    collector = Collector(found, progress=request.progress, origins=origins)
    request.progress.begin("", "", request.seed, found)
    for number, incoming in enumerate(submissions):
        collector.put(number, incoming.result())
    return Report("", "", request.seed, collector.results())


def _places(paths: Sequence[Path], request: Request) -> dict[str, object]:
    """Return where the submissions lie, for the kept run."""
    absolute = [os.path.abspath(path) for path in paths]  # noqa: PTH100  # links stay links
    places: dict[str, object] = {
        "paths": absolute,
        "split": request.split,
        "shard": request.shard,
    }
    if request.apart:
        places["apart"] = True
    return places if request.part_of is None else {**places, "part_of": request.part_of}


def _joined(parts: Sequence[Report]) -> Report:
    """Return one report of several assignments."""
    results = Results([])
    for part in parts:
        assert isinstance(part.results, Results)
        results += part.results
    names = ", ".join(part.assignment for part in parts)
    isolation = next((part.isolation for part in parts if part.isolation), "")
    return Report(names, "", parts[0].seed, results, isolation, parts=tuple(parts))
