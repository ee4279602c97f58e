"""Computes a table of known mistakes in the background of a batch, in a process of low priority."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from grader.batch import known_store
from grader.in_kernel.system import HAS_SIGNALS
from grader.records import Assignment, Sandbox

PARTS = 8
"""Of a notebook's table: each is written when it is done, so that the next batch goes on."""
CLASS = 10
"""Submissions from which on a table is worth its time."""
ENDING_S = 10.0


def is_whole(folder: Path, assignment: Assignment) -> bool:
    """Return whether every notebook's table is there."""
    return all(
        known_store.is_whole(folder, name)
        for name in assignment.notebooks
        if not assignment.lacking(name)
    )


@contextlib.contextmanager
def building(
    assignment: Assignment, folder: Path, *, seed: int, sandbox: Sandbox, count: int
) -> Iterator[None]:
    """Let a process fill the folder as long as the block runs; it ends with the block.

    count : of submissions; for a few nothing is begun
    """
    if count < CLASS or is_whole(folder, assignment):
        yield
        return
    life, lifeline = os.pipe()
    try:
        process = subprocess.Popen(
            [
                sys.executable,
                # -P: nothing in the current folder, a student's perhaps, is imported.
                *("-P", "-m", "grader.verify.known_build"),
                *(str(assignment.folder), str(folder), f"{seed}", sandbox, str(life)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(life,) if HAS_SIGNALS else (),
        )
    except BaseException:
        os.close(lifeline)
        raise
    finally:
        os.close(life)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(lifeline)
