"""Computes tables of known mistakes for a class that is through, in processes of low priority."""

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
"""Of a notebook's table: each is written when it is done, so that the next batch goes on."""
CLASS = 10
"""Submissions from which on a table is worth its time."""
LEAST_S = 10.0
SHARE = 0.1
"""The reports wait so long at most: a tenth of what the class took."""
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
    """Fill the folder with tables of notebooks, as far as there is time for it.

    unnamed : the notebooks with unknown wrong answers, and their submissions
    class_s : seconds that the class has taken
    doing : is called with the submission, the work for it, and the number of the process
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
            with contextlib.suppress(OSError):  # no process is left: less is known then
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
                # -P: nothing in the current folder, a student's perhaps, is imported.
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
