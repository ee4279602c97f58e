"""Tasks of one assignment in worker processes, and their progress.

A task may take minutes. So its process writes a line for each seed and mutant that is done into a
file that all processes share.

The tasks use pool.py, not batch/workers.py. A task here is one of our functions and returns our own
records, so pickles are safe; the first task that fails ends the run. The processes of a batch
grade one submission after the other, send only bytes and JSON, report progress, get a clone of the
fork server, and are replaced if a submission kills them. One protocol for both would be longer than
the two together. Both end with the program by the same lifeline.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TypeVar

from grader.errors import GraderFault

Progress = Callable[[str], None]
T = TypeVar("T")

_LOOK_S = 0.5


class Steps:
    """The progress of the processes by kind of step ("seeds", "mutants").

    file : that the progress is written to; None for no file
    """

    def __init__(self, file: Path | None) -> None:
        self.file = file

    def begin(self, kind: str, count: int) -> Callable[[], None]:
        """Announce `count` steps; return a function to call after each step."""
        self._add(f"{kind} {count}\n")
        return lambda: self._add(f"{kind}\n")

    def _add(self, line: str) -> None:
        if self.file is not None:
            # A single write of a few bytes: lines of several processes don't mix.
            with contextlib.suppress(OSError), self.file.open("ab", buffering=0) as stream:
                stream.write(line.encode())

    def progress_text(self) -> str:
        """Return "31/50 seeds, 120/404 mutants"; "" before the first step."""
        if self.file is None or not self.file.exists():
            return ""
        wanted: Counter[str] = Counter()
        done: Counter[str] = Counter()
        for line in self.file.read_text().splitlines():
            kind, _, count = line.partition(" ")
            if count:
                wanted[kind] += int(count)
            else:
                done[kind] += 1
        return ", ".join(f"{done[kind]}/{count} {kind}" for kind, count in wanted.items() if count)


class Tasks:
    """Tasks of one assignment, in a pool; without a pool they run in this process at once."""

    def __init__(self, pool: Executor | None, title: str, tell: Progress, steps: Steps) -> None:
        self.pool = pool
        self.title = title
        self.tell = tell
        self.steps = steps
        self.names: dict[Future[Any], str] = {}

    def add(self, name: str, function: Callable[..., T], *arguments: object) -> Callable[[], T]:
        """Start a task; return a function that waits for the result and returns it."""
        if self.pool is not None:
            future = self.pool.submit(function, *arguments)
        else:
            future = Future()
            future.set_result(function(*arguments))
        self.names[future] = name
        return future.result

    def wait(self) -> None:
        """Wait for all tasks. The first failure is raised at once, and cancels the rest."""
        waiting = set(self.names)
        before = ""
        while waiting:
            ended, waiting = wait(waiting, timeout=_LOOK_S, return_when=FIRST_COMPLETED)
            for future in ended:
                if future.exception() is not None:
                    for other in self.names:
                        other.cancel()
                    try:
                        future.result()
                    except BrokenProcessPool as broken:
                        raise GraderFault(f"a worker process of verify ended: {broken}") from broken
            last = "".join(f" {self.names[future]}" for future in ended)
            steps = self.steps.progress_text()
            done = f"{len(self.names) - len(waiting)}/{len(self.names)}"
            if ended or steps != before:
                before = steps
                self.tell(f"{self.title}: {done}{last}{f' ({steps})' if steps else ''}")
