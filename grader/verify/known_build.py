"""The program that computes an assignment's table of known mistakes, part by part.

python -m grader.verify.known_build ASSIGNMENT_FOLDER TABLE_FOLDER SEED SANDBOX LIFELINE NOTEBOOK...

It ends when the program at the other end of LIFELINE, a pipe, ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import cast

from grader.assignment import load_assignment
from grader.batch import known_store
from grader.batch.known_builder import PARTS
from grader.environments import python_of
from grader.in_kernel.lifeline import end_with
from grader.records import Assignment, Sandbox
from grader.session import Kernels, start_fork_server
from grader.suite import Suite, open_suite
from grader.temporary import TemporaryFolder
from grader.verify.known_table import prepare, table_of
from grader.verify.samples import exercises_of

NICE = 19
"""The lowest priority: grading goes first."""


def main(arguments: list[str]) -> int:
    place, table, seed, sandbox, lifeline, *notebooks = arguments
    end_with(int(lifeline))
    signal.signal(signal.SIGTERM, _end)
    if hasattr(os, "nice"):
        os.nice(NICE)
    with contextlib.suppress(KeyboardInterrupt):
        _build(Path(place), Path(table), notebooks, seed=int(seed), sandbox=sandbox)
    return 0


def _build(place: Path, table: Path, notebooks: Sequence[str], *, seed: int, sandbox: str) -> None:
    assignment = load_assignment(place)
    assignment = replace(assignment, sandbox=cast("Sandbox", sandbox))
    server = start_fork_server(assignment.sandbox, python_of(assignment))
    with Kernels(assignment, server, draw=False) as kernels, open_suite(assignment) as suite:
        for notebook in notebooks:
            if exercises_of(assignment, notebook) and not assignment.lacking(notebook):
                build_missing(assignment, suite, kernels, notebook, table, seed=seed)


def build_missing(
    assignment: Assignment,
    suite: Suite,
    kernels: Kernels,
    notebook: str,
    folder: Path,
    *,
    seed: int,
    parts: int = PARTS,
) -> None:
    """Compute and write the missing parts of a notebook's table."""
    missing = [n for n in range(parts) if not known_store.has(folder, notebook, n, parts)]
    if not missing:
        return
    with TemporaryFolder() as empty:
        session = kernels.open(assignment.notebooks[notebook], folder=empty)
        try:
            prepared = prepare(suite, assignment.notebooks[notebook], session, seed=seed)
            for part in missing:
                table, _ = table_of(prepared, suite, session, part=part, of=parts)
                known_store.save(folder, notebook, part, parts, table)
        finally:
            session.close()


def _end(signum: int, frame: FrameType | None) -> None:
    # In a check, SystemExit would be its outcome, and the process would go on.
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
