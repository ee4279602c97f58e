"""Tasks of one assignment, in worker processes, and their progress.

A task may take minutes: of the seeds and mutants that are done, its process adds a line each to a
file that all share.

The pool is of its own (pool.py), not batch/workers.py. A task is a function of ours with its
arguments and returns our own records, so pickles are safe; the first task that fails ends
the run. The processes of a batch stay at one submission after the other, send no object but bytes
and JSON, report while they work, get a clone of the fork server, and are replaced when a submission
kills them. A protocol for both would be longer than the two are. Both end with the program by the
same lifeline.
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
    """What processes have done of what they have to do, by kind ("seeds", "mutants").

    file : where it is written; None for nowhere
    """

    def __init__(self, file: Path | None) -> None:
        self.file = file

    def begin(self, kind: str, count: int) -> Callable[[], None]:
        """Announce so many steps; return what is to be called after each."""
        self._add(f"{kind} {count}\n")
        return lambda: self._add(f"{kind}\n")

    def _add(self, line: str) -> None:
        if self.file is not None:
            # One write of a few bytes at the end: lines of several processes don't mix.
            with contextlib.suppress(OSError), self.file.open("ab", buffering=0) as stream:
                stream.write(line.encode())

    def progress_text(self) -> str:
        """Return "31/50 seeds, 120/404 mutants"; "" where nothing has begun."""
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
    """Tasks of one assignment: in a pool, or here and now without one."""

    def __init__(self, pool: Executor | None, title: str, tell: Progress, steps: Steps) -> None:
        self.pool = pool
        self.title = title
        self.tell = tell
        self.steps = steps
        self.names: dict[Future[Any], str] = {}

    def add(self, name: str, function: Callable[..., T], *arguments: object) -> Callable[[], T]:
        """Start a task; return what gives its result once it is there."""
        if self.pool is not None:
            future = self.pool.submit(function, *arguments)
        else:
            future = Future()
            future.set_result(function(*arguments))
        self.names[future] = name
        return future.result

    def wait(self) -> None:
        """Wait for all; the first failure comes out at once, the rest is called off."""
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
