"""The live display of a batch on a terminal: its progress, and what each worker does.

A submission that was not graded leaves a line; the rest vanishes at the end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from grader.records import Result
from grader.report.progress_lines import ProgressLines, result_line
from grader.text import one_line

# Enough to see movement; more would take processor time from grading.
_REFRESHES_A_SECOND = 4
_WORKERS_SHOWN = 16


class LiveTable(ProgressLines):
    """Shows progress, rate, time left, and what each worker does. Close it."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(lambda line: console.print(Text(line), no_wrap=True, overflow="ellipsis"))
        self.clock = clock
        self.began = clock()
        self.kept = 0
        self.refused = 0
        self.bad = 0
        self.names: list[str] = []
        self.workers: dict[int, tuple[int, str]] = {}
        self.lock = threading.Lock()
        self.live = Live(
            get_renderable=self.render,
            console=console,
            transient=True,
            refresh_per_second=_REFRESHES_A_SECOND,
        )
        self.live.start()

    def begin(
        self,
        assignment: str,
        title: str,
        seed: int,
        paths: Sequence[str],
        checks_from: str = "",
    ) -> None:
        super().begin(assignment, title, seed, paths, checks_from)
        self.names = [one_line(path.rstrip("/").rpartition("/")[2], 80) for path in paths]
        self.began = self.clock()

    def doing(self, number: int, text: str, worker: int) -> None:
        with self.lock:
            self.workers[worker] = number, one_line(text, 80)

    def done(self, number: int, result: Result, kept: bool) -> None:
        with self.lock:
            self.finished += 1
            self.kept += kept
            self.refused += result.status == "refused"
            self.bad += result.status != "graded"
            for worker, (at, _) in list(self.workers.items()):
                if at == number:
                    del self.workers[worker]
        if result.status != "graded" and self.total > 1:
            self.write(result_line(result))

    def close(self) -> None:
        self.live.stop()

    def render(self) -> RenderableType:
        """Return the table as it is now."""
        with self.lock:
            workers = sorted(self.workers.items())[:_WORKERS_SHOWN]
        if self.total <= 1:
            return Text(workers[0][1][1] if workers else "", no_wrap=True, overflow="ellipsis")
        head = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=self.total, completed=self.finished, width=24)
        head.add_row(bar, Text(self.headline(), no_wrap=True, overflow="ellipsis"))
        rows = Table.grid(padding=(0, 1))
        for worker, (number, text) in workers:
            name = self.names[number] if number < len(self.names) else ""
            rows.add_row(
                Text(f"{worker:4d}", style="dim"),
                Text(name, style="bold", no_wrap=True, overflow="ellipsis"),
                Text(text, style="dim", no_wrap=True, overflow="ellipsis"),
            )
        return Group(head, rows)

    def headline(self) -> str:
        """Return "12 of 40 · 3 kept · 1 not graded · 9.5 a minute · 3 min left"."""
        parts = [f"{self.finished} of {self.total}"]
        if self.kept:
            parts.append(f"{self.kept} kept")
        if self.bad:
            parts.append(f"{self.bad} not graded")
        # Kept and refused submissions take no time: they don't count for the time left.
        fresh, seconds = self.finished - self.kept - self.refused, self.clock() - self.began
        if fresh and seconds > 0:
            parts.append(f"{60 * fresh / seconds:.3g} a minute")
            if left := self.total - self.finished:
                parts.append(f"{_duration(left * seconds / fresh)} left")
        return " · ".join(parts)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
