"""Runs the instructor's first cells once, for all students who have them unchanged.

A copy of the fork server runs the first cells of the template, which load and prepare data. Each
student's kernel is then a fork of this copy: it has the state that these cells left, and sends
their outputs again. No student's code ever runs here.

While the cells run, the process has the surroundings of a student's process: no network, a root
folder in memory with the session's folders. Afterwards it leaves them, so that each fork enters its
own sandbox as usual. After each cell it looks for state that forks would share or lose
(left_behind.py). If it finds any, no kernel is forked from here.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import os
import random
import resource
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grader.in_kernel import figures
from grader.in_kernel.left_behind import Clocks, State, Unfit, require_nothing_kept
from grader.in_kernel.sandbox import confine, libc

_MIB = 2**20
_SPACES = {"mnt": 0x00020000, "uts": 0x04000000, "ipc": 0x08000000, "net": 0x40000000}


@dataclass
class Given:
    """What the cells left, for the forks.

    folder : the working folder in which they ran
    cells : (index, source, messages sent) of each cell that the fork has not shown yet
    environment : variables that they set; None for one that they removed
    random_state : of `random`, which Python seeds again in each fork
    context : the context variables; numpy's print options and the precision of `decimal` are some
    collects : whether the garbage collector is on
    """

    folder: str = ""
    cells: list[tuple[int, str, list[tuple[str, str, Any, Any]]]] = field(default_factory=list)
    environment: dict[str, str | None] = field(default_factory=dict)
    random_state: Any = None
    context: contextvars.Context = field(default_factory=contextvars.Context)
    collects: bool = True

    def take_over(self, draw: bool | list[int]) -> None:
        """Continue after the cells in a fork, which has its own working folder and environment.

        draw : see launch.py
        """
        figures.draw_in(draw)
        for name, value in self.environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        random.setstate(self.random_state)
        if not self.collects:
            gc.disable()
        here = str(Path.cwd())
        sys.path[:] = [here if place == self.folder else place for place in sys.path]
        for finder in sys.meta_path:
            if getattr(finder, "folder", None) == self.folder:
                finder.folder = here  # type: ignore[attr-defined]

    def shown(self, index: int, source: str) -> list[tuple[str, str, Any, Any]] | None:
        """Return the messages of a cell that has run; None for any other cell, which must run."""
        if not self.cells or self.cells[0][0] > index:
            return None
        known, text, sent = self.cells.pop(0)
        if (known, text) != (index, source):
            os._exit(1)  # the grader forks only notebooks with the same cells from here
        return sent


def run_given(
    kernel: Any, request: Mapping[str, Any], on_cell: Callable[[int], None] = lambda count: None
) -> Given:
    """Run the cells in this process, which will be forked afterwards.

    request : {"cells": [[index, source], ...], "content": the content of an execute request without
        its code, "options": see launch.py, "plan": see confine.py, or null, "environment",
        "folder", "seconds": the time limit of everything}
    on_cell : called with the number of cells that have run and left nothing behind
    Raises Unfit; then no kernel may be forked from here, and this process must end.
    """
    options = request["options"]
    given = Given()
    signal.setitimer(signal.ITIMER_REAL, request["seconds"])  # its signal ends the process
    with _enclosed(request["plan"]):
        os.environ.clear()
        os.environ.update(request["environment"])
        tempfile.tempdir = None
        os.chdir(request["folder"])
        with contextlib.suppress(OSError):
            os.chdir(options["beside"])
        _prepare(kernel, options)
        given.folder = str(Path.cwd())
        loop = kernel.begin_loop()
        signal.signal(signal.SIGINT, kernel.on_interrupt)
        try:
            # All in one task, as in a kernel: a task of its own would drop context variables.
            loop.run_until_complete(_run_cells(kernel, request, given, on_cell))
        finally:
            asyncio.set_event_loop(None)
        given.random_state = random.getstate()
        given.collects = gc.isenabled()
        given.environment = _changes(dict(request["environment"]), dict(os.environ))
        loop.close()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.chdir("/")  # the folder in which the cells ran is gone
    signal.setitimer(signal.ITIMER_REAL, 0)
    kernel.given = given
    return given


async def _run_cells(
    kernel: Any, request: Mapping[str, Any], given: Given, on_cell: Callable[[int], None]
) -> None:
    before = State.now(request)
    scratch = os.path.dirname(request["folder"])
    clocks = Clocks.now()
    for index, source in request["cells"]:
        sent = await kernel.record(index, {**request["content"], "code": source})
        replies = [content for _, kind, content, _ in sent if kind == "execute_reply"]
        if any(reply.get("status") != "ok" for reply in replies) or not replies:
            raise Unfit(f"cell {index} does not run to its end")
        try:
            if len(asyncio.all_tasks()) > 1:
                raise Unfit("leaves a task running in the background")
            before.require_same(State.now(request))
            environment = _changes(dict(request["environment"]), dict(os.environ))
            kept = {**kernel.shell.user_ns, **environment}
            require_nothing_kept(kept, source, folder=scratch, since=clocks)
            if not 0.0 < signal.getitimer(signal.ITIMER_REAL)[0] <= request["seconds"]:
                raise Unfit("sets a timer")  # in place of the one that limits its time
        except Unfit as why:
            raise Unfit(f"cell {index} {why}".replace(scratch, "...")) from why
        given.cells.append((index, source, sent))
        on_cell(len(given.cells))
    given.context = contextvars.copy_context()


def _prepare(kernel: Any, options: dict[str, Any]) -> None:
    """Prepare the kernel as launch.become_kernel() does before the first cell."""
    from grader.in_kernel import launch

    launch.begin_notebook(options)
    kernel.outlet.record(options["output_bytes"])
    kernel.open_streams()


@contextlib.contextmanager
def _enclosed(plan: dict[str, Any] | None) -> Iterator[None]:
    """Within the block, give this process the surroundings of a student's. Raises Unfit."""
    if plan is None:
        yield
        return
    home = {kind: os.open(f"/proc/self/ns/{kind}", os.O_RDONLY) for kind in _SPACES}
    limits: dict[int, tuple[int, int]] = {}
    try:
        try:
            # Try first whether the process may come back.
            libc.setns(home["mnt"], _SPACES["mnt"])
            libc.unshare(sum(_SPACES.values()))
        except OSError as error:
            raise Unfit(f"no namespaces to come back from: {error.strerror}") from error
        layers = confine.Layers(frozenset({"files"}))
        confine.set_up_files(plan, layers)
        if not layers.applied:
            raise Unfit("no root folder in memory")
        limits = _set_limits(plan)
        yield
    finally:
        for limit, both in limits.items():
            resource.setrlimit(limit, both)
        for kind, space in home.items():
            with contextlib.suppress(OSError):
                libc.setns(space, _SPACES[kind])
            os.close(space)


def _set_limits(plan: Mapping[str, Any]) -> dict[int, tuple[int, int]]:
    """Set the soft limits of a student's process; return the earlier limits."""
    wanted = {
        resource.RLIMIT_DATA: plan["memory_mib"] * _MIB,
        resource.RLIMIT_NOFILE: plan["open_files"],
        resource.RLIMIT_FSIZE: plan["scratch_mib"] * _MIB,
        resource.RLIMIT_CORE: 0,
    }
    before = {}
    for limit, value in wanted.items():
        soft, hard = before[limit] = resource.getrlimit(limit)
        most = [x for x in (soft, hard) if x != resource.RLIM_INFINITY]
        resource.setrlimit(limit, (min([value, *most]), hard))
    return before


def _changes(before: dict[str, str], after: dict[str, str]) -> dict[str, str | None]:
    names = {n for n in before.keys() | after.keys() if before.get(n) != after.get(n)}
    return {name: after.get(name) for name in names}
