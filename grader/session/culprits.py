"""Decides which cell caused a kernel's death: the cell that ran, or one that left threads running.

A cell may start a thread or a process that ends the kernel much later, while an innocent cell
runs. The first death is charged to the cell that ran. When the kernel dies again, the cells that
left something running are suspects: the notebook runs again without one of them at a time, then
without all of them. If the kernel still dies, they were not the cause.
"""

from __future__ import annotations

from collections.abc import Set

from grader.session.kernel import KernelDied

MAX_TRIES = 4
"""Each try runs the notebook again, within its time budget."""


class Culprits:
    """The cells and statements that killed kernels of one notebook.

    lethal : cells that killed a kernel while they ran
    starters : cells whose threads or processes killed a kernel later
    skipped : statements that killed a kernel, by cell and line
    tries : how often the notebook ran without suspects
    """

    def __init__(self) -> None:
        self.lethal: dict[int, KernelDied] = {}
        self.starters: dict[int, KernelDied] = {}
        self.skipped: set[tuple[int, int]] = set()
        self._deaths = 0
        # Cells and lines that were charged while there were suspects: cleared of the charge if a
        # suspect was the cause.
        self._doubtful: list[tuple[int, int]] = []
        self._suspects: set[int] = set()
        self._tried: list[set[int]] = []
        self._died_in: set[int] = set()
        self._running: Set[int] = frozenset()
        self._left: dict[int, Set[int]] = {}

    def begin(self, running: Set[int]) -> None:
        """Note that a kernel has started. running : the ids of its threads and processes"""
        self._running = running
        self._left = {}

    def after(self, cell: int, running: Set[int]) -> None:
        """Note that a cell has run. running : the ids of threads and processes that exist now"""
        if left := running - self._running:
            self._left[cell] = left
        self._running = running

    def charge(self, cell: int | None, line: int, death: KernelDied) -> bool:
        """Charge a death to the cell that caused it; return False if no cell is found.

        cell : the cell that ran; None if the whole notebook had run
        line : of the statement that ran; 0 if the cell ran as a whole
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
            # The kernel died in this cell before: with and without the suspects.
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
        # The earliest cell first: its processes may have started others while later cells ran.
        choices = [*[{cell} for cell in sorted(suspects)][: MAX_TRIES - 1], suspects]
        return next((choice for choice in choices if choice not in self._tried), set())

    def _left_running(self) -> set[int]:
        """Return the cells whose threads or processes still run."""
        return {cell for cell, left in self._left.items() if left & self._running}
