"""`grade --watch`: grades on each save, with everything loaded that does not change."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from grader.cli.watching_files import watched
from grader.errors import GradeError, NotHeld

if TYPE_CHECKING:
    from grader.records import Report, Sandbox
    from grader.warm.held import Held


class Once(Protocol):
    """Grades, shows what is new against an earlier report, returns the report and an exit code."""

    def __call__(self, held: Held | None, before: Report | None = None) -> tuple[Report, int]: ...


def grade_again(once: Once, paths: Sequence[Path], sandbox: Sandbox) -> int:
    """Grade now and whenever one of the paths changes, until Ctrl-C; return the last exit code."""
    again = _Again(once, sandbox)
    try:
        return watched(again.grade, lambda: paths, ready=lambda: all(map(is_whole, paths)))
    finally:
        again.close()


def is_whole(path: Path) -> bool:
    """Tell a notebook from one that an editor is just writing; any other file counts as whole."""
    if not path.exists():
        return False
    if path.suffix.lower() != ".ipynb" or not path.is_file():
        return True
    text = b""
    with suppress(OSError), path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 64))
        text = file.read(64).strip()
    return text.endswith(b"}")


class _Again:
    """Keeps what one run has in common with the next."""

    def __init__(self, once: Once, sandbox: Sandbox) -> None:
        self._once = once
        self._sandbox = sandbox
        self._before: Report | None = None
        self._held: Held | None = None

    def grade(self) -> int:
        if self._held is not None and not self._held.alive:
            self.close()
        try:
            report, code = self._once(self._held, self._before)
        except NotHeld:  # the assignment has changed, or it is another one's notebook
            self.close()
            report, code = self._once(None, self._before)
        self._before = self._with_earlier(report)
        if self._held is None and report.checks_from:
            from grader.warm.held import Held

            with suppress(GradeError):  # told by the next run, which loads everything by itself
                self._held = Held(Path(report.checks_from), self._sandbox)
        return code

    def _with_earlier(self, report: Report) -> Report:
        """Return the report; what was refused this time stands as it was graded before."""
        graded = {r.path: r for r in self._before.results} if self._before else {}
        graded |= {result.path: result for result in report.results if result.status == "graded"}
        return replace(report, results=tuple(graded.values()))

    def close(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None
