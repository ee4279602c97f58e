"""Which cell a kernel's death is charged to: the one that ran, or one that left something running.

A thread or a process that a cell started may end the kernel much later, while an innocent cell
runs. The first death is charged to the cell that ran. Where the kernel dies again, the cells that
left something running are under suspicion: the notebook is tried without one of them at a time,
then without all. Where it dies all the same, they were not the cause.
"""

from __future__ import annotations

from collections.abc import Set

from grader.session.kernel import KernelDied

MAX_TRIES = 4
"""Each runs the notebook again, within its budget of time."""


class Culprits:
    """Learns from the deaths of one notebook's kernels.

    lethal : cells that killed a kernel while they ran
    starters : cells whose threads or processes killed one afterwards
    skipped : statements that did, by cell and line
    tries : how often the notebook was tried without suspects
    """

    def __init__(self) -> None:
        self.lethal: dict[int, KernelDied] = {}
        self.starters: dict[int, KernelDied] = {}
        self.skipped: set[tuple[int, int]] = set()
        self._deaths = 0
        # Charged while something was under suspicion: given back if that was the cause.
        self._doubtful: list[tuple[int, int]] = []
        self._suspects: set[int] = set()
        self._tried: list[set[int]] = []
        self._died_in: set[int] = set()
        self._running: Set[int] = frozenset()
        self._left: dict[int, Set[int]] = {}

    def begin(self, running: Set[int]) -> None:
        """A kernel has started. running : its threads and processes, by their numbers"""
        self._running = running
        self._left = {}

    def after(self, cell: int, running: Set[int]) -> None:
        """A cell has run, and these are there now."""
        if left := running - self._running:
            self._left[cell] = left
        self._running = running

    def charge(self, cell: int | None, line: int, death: KernelDied) -> bool:
        """Charge a death to the cell that caused it; False where none is found.

        cell : what ran; None where the notebook had run. line : of the statement, 0 for a cell
        """
        self._deaths += 1
        self._suspects |= self._left_running()
        without = self._next_try(cell) if cell is None or self._deaths > 1 else set()
        if without:
            self._tried.append(without)
            for charged, at in self._doubtful:
                self.lethal.pop(charged, None)
                self.skipped.discard((charged, at))
            self._doubtful.clear()
            self.starters = dict.fromkeys(without, death)
            self._died_in |= set() if cell is None else {cell}
            return True
        if cell is None:
            self.starters.clear()
            return False
        if cell in self._died_in:
            # It dies there without them as well.
            self.starters.clear()
        self._died_in.add(cell)
        if self._suspects and not self._tried:
            self._doubtful.append((cell, line))
        if line:
            self.skipped.add((cell, line))
        else:
            self.lethal.setdefault(cell, death)
        return True

    @property
    def tries(self) -> int:
        return len(self._tried)

    def _next_try(self, cell: int | None) -> set[int]:
        """Return the cells to leave out in the next try; none if there is no further try."""
        suspects = self._suspects - {cell}
        # The earliest first: its processes may have started more while others ran.
        ways = [*[{one} for one in sorted(suspects)][: MAX_TRIES - 1], suspects]
        return next((way for way in ways if way not in self._tried), set())

    def _left_running(self) -> set[int]:
        """Return the cells that left something running that is still there."""
        return {cell for cell, left in self._left.items() if left & self._running}
