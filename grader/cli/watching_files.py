"""Does something again whenever a file changes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from grader.cli.output import complain
from grader.errors import GradeError, GraderFault

_LOOK_S = 0.3
_LEFT_BEHIND = {"__pycache__", ".ipynb_checkpoints", ".git"}


def watched(work: Callable[[], int], folders: Callable[[], Sequence[Path]]) -> int:
    """Do the work now and after each change, until Ctrl-C; return its last exit code.

    What is wrong with the files is told, and the next change may mend it.
    """
    code = 0
    try:
        while True:
            places = folders()
            before = _state(places)
            try:
                code = work()
            except GraderFault:
                raise
            except GradeError as error:
                complain(str(error))
                code = 2
            click.echo(f"{time.strftime('%H:%M:%S')} waiting for a change; Ctrl-C ends", err=True)
            while _state(places) == before:
                time.sleep(_LOOK_S)
    except KeyboardInterrupt:
        return code


def _state(folders: Sequence[Path]) -> dict[str, tuple[int, int]]:
    """Return when each file was changed last, and its size."""
    found = {}
    for folder in folders:
        for place, inside, names in os.walk(folder):
            inside[:] = [name for name in inside if name not in _LEFT_BEHIND]
            for name in names:
                path = Path(place, name)
                try:
                    status = path.stat()
                except OSError:
                    continue
                found[str(path)] = (status.st_mtime_ns, status.st_size)
    return found
