"""Runs the instructor's first cells once, for all students who have them unchanged.

A copy of the fork server runs the first cells of the template, which load and prepare data. Each
student's kernel is then a fork of this copy: it has the state that these cells left, and sends
their outputs again. No student's code ever runs here.

While the cells run, the process has the surroundings of a student's process: no network, a root
folder in memory with the session's folders. Afterwards it leaves them, so that each fork enters its
own sandbox as usual. Then it looks for state that forks would share or lose: threads, open files,
shared memory, children, timers, signals, written files, another working folder. If it finds any, no
kernel is forked from here, and each kernel runs the cells by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import resource
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grader.in_kernel import figures
from grader.in_kernel.sandbox import confine, libc

_MIB = 2**20
_SPACES = {"mnt": 0x00020000, "uts": 0x04000000, "ipc": 0x08000000, "net": 0x40000000}


class Unfit(Exception):
    """No kernel may be forked from this process; the text says why."""


@dataclass
class Given:
    """What the cells left, for the forks.

    folder : the working folder in which they ran
    cells : (index, source, messages sent) of each cell that the fork has not shown yet
    environment : variables that they set; None for one that they removed
    random_state : of `random`, which Python seeds again in each fork
    """

    folder: str = ""
    cells: list[tuple[int, str, list[tuple[str, str, Any, Any]]]] = field(default_factory=list)
    environment: dict[str, str | None] = field(default_factory=dict)
    random_state: Any = None

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


def run_given(kernel: Any, request: Mapping[str, Any]) -> Given:
    """Run the cells in this process, which will be forked afterwards.

    request : {"cells": [[index, source], ...], "content": the content of an execute request without
        its code, "options": see launch.py, "plan": see confine.py, or null, "environment",
        "folder", "seconds": the time limit of everything}
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
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        signal.signal(signal.SIGINT, kernel.on_interrupt)
        before = _State.now(kernel, request)
        try:
            for index, source in request["cells"]:
                sent = loop.run_until_complete(
                    kernel.record(index, {**request["content"], "code": source})
                )
                if not any(kind == "execute_reply" for _, kind, _, _ in sent):
                    raise Unfit("a cell was not answered")
                for _, kind, content, _ in sent:
                    if kind == "execute_reply" and content.get("status") != "ok":
                        raise Unfit(f"cell {index} does not run to its end")
                given.cells.append((index, source, sent))
            if asyncio.all_tasks(loop):
                raise Unfit("a task goes on in the background")
            before.require_same(_State.now(kernel, request))
        finally:
            asyncio.set_event_loop(None)
        given.random_state = random.getstate()
        given.environment = _changes(dict(request["environment"]), dict(os.environ))
        scratch = os.path.dirname(request["folder"])
        if any(value is not None and scratch in value for value in given.environment.values()):
            raise Unfit("the environment names a folder of one kernel")
        loop.close()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.chdir("/")  # the folder in which the cells ran is gone
    signal.setitimer(signal.ITIMER_REAL, 0)
    kernel.given = given
    return given


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


@dataclass(frozen=True)
class _State:
    """The state that the cells must not change; differences are reported by name."""

    working_folder: str
    open_files: tuple[tuple[str, str], ...]
    shared_memory: tuple[str, ...]
    threads: int
    children: tuple[str, ...]
    children_used: tuple[float, ...]
    timers: tuple[tuple[float, float], ...]
    signals: tuple[object, ...]
    written_files: tuple[tuple[str, int, int], ...]
    modules_beside_the_notebook: tuple[str, ...]
    standard_streams: tuple[int, ...]
    umask: int

    @classmethod
    def now(cls, kernel: Any, request: Mapping[str, Any]) -> _State:
        work = request["folder"]
        plan = request["plan"] or {"work": work}
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        mask = os.umask(0o077)
        os.umask(mask)
        # Without the real-time timer, which this module uses.
        timers = (signal.getitimer(signal.ITIMER_VIRTUAL), signal.getitimer(signal.ITIMER_PROF))
        places = {plan[name] for name in ("work", "tmp", "home") if name in plan}
        return cls(
            os.getcwd(),
            tuple(sorted(_descriptors())),
            tuple(sorted(_shared())),
            len(os.listdir("/proc/self/task")),
            tuple(sorted(_children())),
            (used.ru_utime, used.ru_stime, used.ru_minflt, used.ru_maxrss),
            timers,
            tuple(_handler(number) for number in sorted(signal.valid_signals())),
            tuple(sorted(_files(places))),
            tuple(sorted(_modules_in(work))),
            tuple(map(id, (sys.stdin, sys.stdout, sys.stderr))),
            mask,
        )

    def require_same(self, other: _State) -> None:
        """Raise Unfit if any state differs that a fork would share or lose."""
        for name in self.__dataclass_fields__:
            was, now = getattr(self, name), getattr(other, name)
            if was != now:
                new = [one for one in now if one not in was] if isinstance(now, tuple) else now
                words = name.replace("_", " ")
                raise Unfit(f"the cells leave behind: {words} ({str(new)[:200]})")


def _descriptors() -> Iterator[tuple[str, str]]:
    # matplotlib keeps font files open; in a fork it closes them with this call.
    fonts = sys.modules.get("matplotlib.font_manager")
    getattr(getattr(fonts, "_get_font", None), "cache_clear", bool)()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # listdir's own is closed already
            yield name, os.readlink(f"/proc/self/fd/{name}")


def _shared() -> Iterator[str]:
    """Yield the memory mappings that a fork would share with this process."""
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
        for line in file:
            fields = line.split(maxsplit=5)
            if fields[1].endswith("s"):
                yield line.strip()


def _children() -> Iterator[str]:
    for task in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{task}/children", encoding="ascii") as file:
            yield from file.read().split()


def _handler(number: int) -> object:
    handler = signal.getsignal(number)
    return handler if isinstance(handler, int) else (number, getattr(handler, "__qualname__", ""))


def _files(places: set[str]) -> Iterator[tuple[str, int, int]]:
    for place in places:
        for folder, _, names in os.walk(place):
            for name in ("", *names):
                path = os.path.join(folder, name)
                with contextlib.suppress(OSError):
                    status = os.lstat(path)
                    yield path, status.st_size, status.st_mtime_ns


def _modules_in(work: str) -> Iterator[str]:
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "") or "").startswith(work + "/"):
            yield name


def _changes(before: dict[str, str], after: dict[str, str]) -> dict[str, str | None]:
    names = {n for n in before.keys() | after.keys() if before.get(n) != after.get(n)}
    return {name: after.get(name) for name in names}
