"""Computes tables of known mistakes after a class is graded, in processes of low priority."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

from grader.batch import known_store
from grader.batch.workers import cores
from grader.in_kernel.system import HAS_SIGNALS
from grader.records import Assignment, Sandbox

PARTS = 8
"""A notebook's table has this many parts. Each is written when it is done, so that the next batch
continues."""
CLASS = 10
"""From this many submissions on, a table is worth its time."""
LEAST_S = 10.0
SHARE = 0.1
"""The reports wait at most a tenth of the time that the class took, but LEAST_S."""
ENDING_S = 10.0


def build(
    assignment: Assignment,
    folder: Path,
    unnamed: Mapping[str, Collection[int]],
    *,
    seed: int,
    sandbox: Sandbox,
    class_s: float,
    doing: Callable[[int, str, int], None],
) -> None:
    """Compute the missing tables of notebooks into the folder, as far as time permits.

    unnamed : the submissions with unknown wrong answers, by notebook
    class_s : the seconds that the class has taken
    doing : called with a submission's number, a text, and the number of the process
    """
    wanted = [
        name
        for name in unnamed
        if name in assignment.notebooks
        and not assignment.lacking(name)
        and not known_store.is_whole(folder, name)
    ]
    if not wanted:
        return
    shares = [wanted[n :: cores()] for n in range(min(cores(), len(wanted)))]
    with contextlib.ExitStack() as stack:
        until = time.monotonic() + max(LEAST_S, SHARE * class_s)
        started = []
        for worker, names in enumerate(shares, start=1):
            with contextlib.suppress(OSError):  # too many processes: fewer mistakes get a name
                begun = _builder(assignment, folder, names, seed=seed, sandbox=sandbox)
                started.append(stack.enter_context(begun))
                doing(min(unnamed[names[0]]), "wrong answers: which known mistakes?", worker)
        for process in started:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, until - time.monotonic()))


@contextlib.contextmanager
def _builder(
    assignment: Assignment, folder: Path, names: Sequence[str], *, seed: int, sandbox: Sandbox
) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a process that computes tables of these notebooks; it ends with the block."""
    life, lifeline = os.pipe()
    try:
        process = subprocess.Popen(
            [
                sys.executable,
                # -P: nothing is imported from the current folder, which may be a student's.
                *("-P", "-m", "grader.verify.known_build"),
                *(str(assignment.folder), str(folder), f"{seed}", sandbox, str(life), *names),
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
        yield process
    finally:
        process.terminate()
        try:
            process.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(lifeline)
