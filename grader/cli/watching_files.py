"""Does something again whenever a file changes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from time import sleep as _rest

import click

from grader.cli.output import complain
from grader.errors import GradeError, GraderFault

_LOOK_S = 0.3
_REST_S = 0.1
_PATIENCE_S = 2.0
"""For a file that is being written, or is gone while its successor gets its name."""
_LEFT_BEHIND = {"__pycache__", ".ipynb_checkpoints", ".git"}


def watched(
    work: Callable[[], int],
    places: Callable[[], Sequence[Path]],
    *,
    ready: Callable[[], bool] = lambda: True,
) -> int:
    """Do the work now and after each change, until Ctrl-C; return its last exit code.

    places : files, and folders with all that is in them
    ready : whether what is there is whole; for a while it is waited for

    One save may be several changes: the work begins when the files are at rest. What is wrong with
    them is told, and the next change may mend it.
    """
    code = 0
    try:
        while True:
            watch = places()
            before = _state(watch)
            try:
                code = work()
            except GraderFault:
                raise
            except GradeError as error:
                complain(str(error))
                code = 2
            click.echo(f"{time.strftime('%H:%M:%S')} waiting for a change; Ctrl-C ends", err=True)
            while _state(watch) == before:
                _rest(_LOOK_S)
            _wait_for_rest(watch, ready)
    except KeyboardInterrupt:
        click.echo(err=True)  # the terminal shows ^C
        return code


def _wait_for_rest(places: Sequence[Path], ready: Callable[[], bool]) -> None:
    """Return once nothing changes any more, and what is there is whole or stays as it is."""
    before = _state(places)
    since = time.monotonic()
    while True:
        _rest(_REST_S)
        now = _state(places)
        if now != before:
            before, since = now, time.monotonic()
        elif ready() or time.monotonic() - since > _PATIENCE_S:
            return


def _state(places: Sequence[Path]) -> dict[str, tuple[int, int, int]]:
    """Return of each file when it was changed last, its size, and which one it is."""
    found = {}
    for path in places:
        if not path.is_dir():
            with suppress(OSError):
                found[str(path)] = _stamp(path)
            continue
        for place, inside, names in os.walk(path):
            inside[:] = [name for name in inside if name not in _LEFT_BEHIND]
            for name in names:
                file = Path(place, name)
                with suppress(OSError):
                    found[str(file)] = _stamp(file)
    return found


def _stamp(file: Path) -> tuple[int, int, int]:
    status = file.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino
