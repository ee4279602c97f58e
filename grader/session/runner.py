"""Runs a notebook's cells in a process of its own, whatever the cells contain.

When a cell hangs, crashes or does not parse, its imports, definitions and constants run in its
place, so that later cells and the checks find every function that was filled in. When a kernel
dies, another one starts, without the cell that killed it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from grader import records
from grader.errors import GraderFault, StudentDied, StudentFault
from grader.notebook.plain import parsed
from grader.session.code_cells import (
    MAX_PIECES,
    CodeCell,
    Extracted,
    code_cells,
    notes_of,
    worth_naming,
)
from grader.session.culprits import Culprits
from grader.session.deadline import Deadline
from grader.session.ending import KILLED, how_it_ended
from grader.session.extraction import extract, grouped, joined
from grader.session.fork_server import ForkServer
from grader.session.kernel import ENDING_S, Executed, Kernel, KernelDied
from grader.session.provisioner import KernelSetup, Provisioner
from grader.session.scratch import Scratch
from grader.session.server import AgentServer
from grader.session.shared_files import place_files
from grader.session.stopping import Stop
from grader.session.student import Student
from grader.text import one_line

# After a kernel died, the other cells run again, at most twice. Then only definitions run, without
# any statement that kills the kernel.
MAX_RERUNS = 2
MAX_KERNELS = 12
PIECE_S = 20.0
ERROR_CHARS = 300
HELLO_S = 5.0  # a kernel that is told to serve says hello at once


class Runner:
    """Runs the cells, in as many kernels as needed. For the arguments, see open_session()."""

    def __init__(
        self,
        notebook: records.Notebook,
        folder: Path | None,
        setup: KernelSetup,
        on_cell: Callable[[int, int], None] | None,
        stop: Stop,
    ) -> None:
        self.notebook = notebook
        self.folder = folder
        self.setup = setup
        self.limits = setup.limits
        self.forks_first: ForkServer | None = None
        """Forks the first kernel; it has run the first cells. Later kernels run all cells."""
        self.isolation = records.Isolation()
        self.on_cell = on_cell
        self.stop = stop
        self.code = code_cells(notebook)
        self.server: AgentServer | None = None
        self.kernel: Kernel | None = None
        self.scratch: Scratch | None = None
        self._start = time.monotonic()
        self._seconds = 0.0
        self._notebook_deadline = Deadline(self.limits.notebook_s, self)
        self._runs: dict[int, records.CellRun] = {}
        self._extracted: dict[int, Extracted] = {}
        self._culprits = Culprits()
        self._definitions_only = False
        self._died_late = ""  # how it died after the notebook had run, if no cell caused it
        self._once_more = False  # whether it was killed and the whole notebook ran again
        self._serves_badly = False  # the state that the cells left does not answer the grader
        self._now: tuple[int, int] | None = None  # the cell that runs, and the piece's line or 0
        self._progress = 0

    # Kernels.

    def run(self) -> None:
        """Run all cells and start the server."""
        for number in range(MAX_KERNELS + 1):
            reruns = number - self._culprits.tries
            self._definitions_only = (
                bool(self._died_late) or reruns > MAX_RERUNS or self._serves_badly
            )
            kernel = self._new_kernel()
            try:
                kernel.start()
                assert kernel.provisioner is not None
                self.isolation = kernel.provisioner.isolation
                self._culprits.begin(kernel.provisioner.running())
                if number < MAX_KERNELS:
                    self._run_cells(kernel)
                self._serve(kernel)
                self._seconds = time.monotonic() - self._start
                return
            except KernelDied as death:
                self._learn_from(death)
            finally:
                kernel.disconnect()
        raise GraderFault("the kernel dies before it has run anything")

    def revive(self, death: StudentDied) -> None:
        """Start again after a kernel died while it served.

        The cell whose thread or process killed it does not run again. If no such cell is known,
        only the definitions run.
        """
        how = self._why_dead()
        gave_up = self.server is not None and self.server.gave_up
        if how == KILLED and not gave_up and self._may_run_once_more():
            self.run()
            return
        if not self._died_late and self._charge(None, 0, KernelDied(how or str(death))):
            self.run()
            return
        self._died_late = self._died_late or f"({how or death}){self._after_what()}"
        self.run()

    def _after_what(self) -> str:
        """Return words that name the function which a check had called when the kernel died."""
        name = self.server.last_called if self.server is not None else ""
        known = {*self.notebook.definitions}
        known |= {one.rpartition(".")[2] for one in known}
        return f", after a check had called `{name}`" if name in known else ""

    def _charge(self, cell: int | None, line: int, death: KernelDied) -> bool:
        tries = self._culprits.tries
        charged = self._culprits.charge(cell, line, death)
        if not tries and self._culprits.tries:
            # The cells that suspects killed get their time back, once.
            self._notebook_deadline = Deadline(self.limits.notebook_s, self)
        return charged

    def _may_run_once_more(self) -> bool:
        """Return True once: a kernel that an unknown process killed may run the notebook again.

        The machine may have killed it to free memory. The student's code would kill it again.
        """
        if self._once_more:
            return False
        self._once_more = True
        self._notebook_deadline = Deadline(self.limits.notebook_s, self)
        return True

    def _why_dead(self) -> str:
        """Return how the last kernel ended, by itself or at a limit; "" if unknown."""
        provisioner = self._provisioner
        if provisioner is None:
            return ""
        # The stream ends a little before the process.
        end = time.monotonic() + ENDING_S
        while (code := provisioner.poll_now()) is None and time.monotonic() < end:
            time.sleep(0.01)
        return provisioner.why_killed() or (how_it_ended(code) if code is not None else "")

    def open_student(self, limit_s: float, reply_mib: int | None = None) -> Student:
        if self.server is None:
            raise GraderFault("this session is closed")
        return self.server.student(limit_s, reply_mib=reply_mib)

    def _new_kernel(self) -> Kernel:
        """Return a kernel with new folders, without the files that a dead kernel changed."""
        self._notebook_deadline.follow_new_process()
        self.close()
        self.scratch = Scratch(self.folder, self._lay_files if self.setup.shared else None)
        forks_first, self.forks_first = self.forks_first, None
        setup = replace(self.setup, fork_server=forks_first or self.setup.fork_server)
        self.kernel = Kernel(self.scratch, setup, self.stop)
        return self.kernel

    def _lay_files(self, work: Path) -> None:
        """Put the instructor's files beside the notebook, in place of submitted ones."""
        assert self.setup.shared is not None
        beside = work / self.setup.options["beside"]
        beside.mkdir(parents=True, exist_ok=True)
        place_files(self.setup.shared, beside, sandbox=self.setup.sandbox)

    def _learn_from(self, death: KernelDied) -> None:
        """Note what ran when the kernel died, so that it is left out in the next run."""
        if death.killed and self._may_run_once_more():
            return
        if self._now is not None:
            self._charge(*self._now, death)
        elif not self._serves_badly:
            self._charge(None, 0, death)

    def _serve(self, kernel: Kernel) -> None:
        self._now = None
        provisioner = kernel.provisioner
        assert provisioner is not None and self.scratch is not None
        provisioner.begin_serving()
        patience = Deadline(HELLO_S, self)
        patience.start()
        self.server = AgentServer(
            limits=self.limits,
            notebook=self.notebook,
            kill=provisioner.kill_now,
            why_killed=provisioner.why_killed,
            folder=self.scratch.calls,
        )

        def alive() -> bool:
            self.stop.check()
            kernel.read_on()
            return provisioner.poll_now() is None and not patience.expired()

        try:
            kernel.serve(self.server.address, self.server.token)
            self.server.wait(timeout_s=60.0, alive=alive)
        except StudentFault as fault:
            self.server.close()
            self.server = None
            self._serves_badly = True
            raise KernelDied(str(fault)) from fault

    @property
    def _provisioner(self) -> Provisioner | None:
        return self.kernel.provisioner if self.kernel is not None else None

    # A deadline's Meter, of the current kernel.

    def cpu_s(self) -> float | None:
        return self._provisioner.cpu_s() if self._provisioner else None

    def waited_s(self) -> float | None:
        return self._provisioner.waited_s() if self._provisioner else None

    def resume(self) -> bool:
        return self._provisioner.resume() if self._provisioner else False

    def begin_end(self) -> None:
        """Have the kernel end while something else is done; close() does the rest."""
        if self.kernel is not None:
            self.kernel.begin_end()

    def close(self) -> None:
        """End the kernel and delete its files."""
        if self.server is not None:
            self.server.close()
            self.server = None
        if self.kernel is not None:
            self.kernel.kill()
            self.kernel = None
        if self.scratch is not None:
            self.scratch.remove()
            self.scratch = None

    # Cells.

    def _run_cells(self, kernel: Kernel) -> None:
        self._extracted.clear()
        patience = Deadline(self.limits.notebook_s, self)  # for the extraction of all cells
        assert kernel.provisioner is not None
        for done, cell in enumerate(self.code, start=1):
            self._run_cell(kernel, cell, patience)
            self._culprits.after(cell.index, kernel.provisioner.running())
            if self.on_cell is not None and done > self._progress:
                self._progress = done
                self.on_cell(done, len(self.code))

    def _run_cell(self, kernel: Kernel, cell: CodeCell, patience: Deadline) -> None:
        self._now = (cell.index, 0)
        before = self._runs.get(cell.index, records.CellRun(cell.index, "not_run"))
        from_line = 1
        killed = self._culprits.lethal | self._culprits.starters
        if cell.index in killed:
            run = self._record_death(before, killed[cell.index])
        elif self._definitions_only:
            # The result of an earlier run says more than "not run".
            known = before.status in ("error", "timeout", "crashed")
            if before.status == "ok" and self._died_late:
                self._extract(kernel, cell, 1, patience)
                return
            run = before if known else replace(
                before, status="not_run", error=f"the kernel had died{self._in_which_cells()}"
            )  # fmt: skip
        elif self._notebook_deadline.expired():
            run = replace(before, status="not_run", error=self._budget_text())
        else:
            executed = kernel.run(
                cell.index, cell.source, Deadline(self.limits.cell_s, self), self._notebook_deadline
            )
            run = self._record(cell, executed)
            for earlier, outputs in executed.changed.items():
                self._runs[earlier] = replace(self._runs[earlier], outputs=outputs)
            # A cell that does not parse has not run at all, whatever line the mistake is on.
            if executed.line is not None and parsed(cell.source) is not None:
                from_line = executed.line
        self._runs[cell.index] = run
        if run.status == "ok":
            return
        self._extract(kernel, cell, from_line, patience)
        if run.status == "not_run" and self._extracted[cell.index].names:
            self._runs[cell.index] = replace(run, status="extracted")

    def _record(self, cell: CodeCell, executed: Executed) -> records.CellRun:
        error = ""
        if executed.status == "timeout":
            error = f"the limit of a cell is {self.limits.cell_s:g} s"
            if self._notebook_deadline.expired():
                error = self._budget_text()
        elif executed.status == "error":
            text = f"{executed.kind}: {executed.text}" if executed.text else executed.kind
            error = one_line(text, ERROR_CHARS)
        return records.CellRun(
            cell.index, executed.status, executed.seconds, error, executed.outputs
        )

    def _in_which_cells(self) -> str:
        cells = sorted(self._culprits.lethal.keys() | self._culprits.starters.keys())
        cells = cells or sorted({cell for cell, _ in self._culprits.skipped})
        if not cells:
            return ""
        return f" in cell{'s' * (len(cells) > 1)} {', '.join(map(str, cells))}"

    def _record_death(self, before: records.CellRun, death: KernelDied) -> records.CellRun:
        if not death.hung:
            return replace(before, status="crashed", error=death.reason)
        limit = f"the limit of a cell is {self.limits.cell_s:g} s"
        return replace(before, status="timeout", error=f"{limit}, and {death.reason}")

    def _budget_text(self) -> str:
        return f"the notebook's {self.limits.notebook_s:g} s are used up"

    def _extract(self, kernel: Kernel, cell: CodeCell, from_line: int, patience: Deadline) -> None:
        """Run the definitions after the line where the cell stopped, one by one."""
        found = self._extracted.setdefault(cell.index, Extracted())
        limit_s = min(PIECE_S, self.limits.cell_s)
        # Calm pieces run together. All others run one by one, also a group that failed.
        todo = deque(grouped(extract(cell.source, from_line=from_line)))
        while todo:
            group = todo.popleft()
            places = [(cell.index, piece.line) for piece in group]
            if len(group) > 1 and not self._culprits.skipped.isdisjoint(places):
                todo.extendleft([piece] for piece in reversed(group))
                continue
            self._now = places[0]
            found.messages += 1
            if found.messages > MAX_PIECES:
                found.left_from = found.left_from or group[0].line
            if found.left_from or self._now in self._culprits.skipped or patience.expired():
                found.failed.extend(name for piece in group for name in piece.names)
                continue
            deadline = Deadline(limit_s, self)
            executed = kernel.run(cell.index, joined(group), deadline, patience, shown=False)
            if executed.status == "ok":
                found.names.extend(name for piece in group for name in worth_naming(piece))
            elif len(group) > 1:
                todo.extendleft([piece] for piece in reversed(group))
            else:
                found.failed.extend(group[0].names)

    # The record.

    def record(self) -> records.Run:
        """Return the run of each cell, with a note on each that did not run to its end."""
        runs = [self._runs.get(c.index, records.CellRun(c.index, "not_run")) for c in self.code]
        notes = [
            note
            for cell, run in zip(self.code, runs, strict=True)
            for note in notes_of(
                self.notebook.name,
                cell,
                run,
                self._extracted.get(cell.index),
                self._how_it_killed(cell.index),
            )
        ]
        if self._once_more:
            text = "the kernel was killed, by itself or by this machine: the notebook ran once more"
            notes.append(records.Note("rerun", text, None, self.notebook.name))
        if self._died_late:
            text = f"the kernel died after the notebook had run {self._died_late}"
            text += ": only its definitions are left"
            notes.append(records.Note("cell_crash", text, None, self.notebook.name))
        return records.Run(tuple(runs), tuple(notes), self._seconds)

    def _how_it_killed(self, cell: int) -> str:
        if cell in self._culprits.starters:
            return f"the kernel was killed after cell {cell} had run, by what it started"
        return f"the kernel died in cell {cell}"
