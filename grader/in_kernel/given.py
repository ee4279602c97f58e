"""Cells that are the instructor's own, run once for all students who have them unchanged.

A copy of the fork server runs the first cells of the template, which load and prepare data. Each
student's kernel is then a fork of it: it holds what these cells left, and shows again what they
showed. No student's code ever runs here.

While the cells run, the process lies where a student's would: no network, a root folder in memory
with the session's folders; afterwards it comes back, so that each fork enters a sandbox of its own
as ever. What a fork would share with its siblings, or lack, is looked for then: threads, open
files, shared memory, children, timers, signals, files that were written, another working folder.
If it finds any, no kernel is forked from here, and each kernel runs the cells by itself.
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
    """No kernel can be forked from this process; the text says why."""


@dataclass
class Given:
    """What the cells left, for the forks.

    cells : (index, source, what was sent while it ran) of each that is to come
    folder : where they ran
    environment : what they set, or with None removed
    drawn : the state of `random`, which Python seeds again in each fork
    """

    folder: str = ""
    cells: list[tuple[int, str, list[tuple[str, str, Any, Any]]]] = field(default_factory=list)
    environment: dict[str, str | None] = field(default_factory=dict)
    drawn: Any = None

    def take_over(self, draw: bool | list[int]) -> None:
        """Let a fork, in its own working folder and environment, go on where the cells ended.

        draw : as launch.py has it
        """
        figures.draw_in(draw)
        for name, value in self.environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        random.setstate(self.drawn)
        here = str(Path.cwd())
        sys.path[:] = [here if place == self.folder else place for place in sys.path]
        for finder in sys.meta_path:
            if getattr(finder, "folder", None) == self.folder:
                finder.folder = here  # type: ignore[attr-defined]

    def shown(self, index: int, source: str) -> list[tuple[str, str, Any, Any]] | None:
        """Return what a cell sent; None for one that is still to run: in between, or after them."""
        if not self.cells or self.cells[0][0] > index:
            return None
        known, text, sent = self.cells.pop(0)
        if (known, text) != (index, source):
            os._exit(1)  # the grader forks no other notebook from here
        return sent


def run_given(kernel: Any, request: Mapping[str, Any]) -> Given:
    """Run the cells in this process, which is to be forked afterwards.

    request : {"cells": [[index, source], ...], "content": of a request to execute one, "options":
        as launch.py has them, "plan": as confine.py has it, or null, "environment", "folder",
        "seconds": how long all of it may take}
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
        given.drawn = random.getstate()
        given.environment = _changes(dict(request["environment"]), dict(os.environ))
        scratch = os.path.dirname(request["folder"])
        if any(value is not None and scratch in value for value in given.environment.values()):
            raise Unfit("the environment names a folder of one kernel")
        loop.close()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.chdir("/")  # where the cells ran is gone
    signal.setitimer(signal.ITIMER_REAL, 0)
    kernel.given = given
    return given


def _prepare(kernel: Any, options: dict[str, Any]) -> None:
    """Do what launch.become_kernel() does before the first cell."""
    from grader.in_kernel import launch

    launch.begin_notebook(options)
    kernel.outlet.record(options["output_bytes"])
    kernel.open_streams()


@contextlib.contextmanager
def _enclosed(plan: dict[str, Any] | None) -> Iterator[None]:
    """Lie where a student's process would, for the time of the block. Raises Unfit."""
    if plan is None:
        yield
        return
    home = {kind: os.open(f"/proc/self/ns/{kind}", os.O_RDONLY) for kind in _SPACES}
    limits: dict[int, tuple[int, int]] = {}
    try:
        try:
            # Who could not come back must not go.
            libc.setns(home["mnt"], _SPACES["mnt"])
            libc.unshare(sum(_SPACES.values()))
        except OSError as error:
            raise Unfit(f"no namespaces to come back from: {error.strerror}") from error
        layers = confine.Layers(frozenset({"files"}))
        confine.set_up_files(plan, layers)
        if not layers.applied:
            raise Unfit("no root folder in memory")
        limits = _limited(plan)
        yield
    finally:
        for limit, both in limits.items():
            resource.setrlimit(limit, both)
        for kind, space in home.items():
            with contextlib.suppress(OSError):
                libc.setns(space, _SPACES[kind])
            os.close(space)


def _limited(plan: Mapping[str, Any]) -> dict[int, tuple[int, int]]:
    """Set the soft limits of a student's process; return those that were."""
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
        # The real-time one is this module's own.
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
        """Raise Unfit where something differs that a fork would share, or lack."""
        for name in self.__dataclass_fields__:
            was, now = getattr(self, name), getattr(other, name)
            if was != now:
                new = [one for one in now if one not in was] if isinstance(now, tuple) else now
                words = name.replace("_", " ")
                raise Unfit(f"the cells leave behind: {words} ({str(new)[:200]})")


def _descriptors() -> Iterator[tuple[str, str]]:
    # matplotlib keeps the files of fonts open, and closes them in a fork by this very call.
    fonts = sys.modules.get("matplotlib.font_manager")
    getattr(getattr(fonts, "_get_font", None), "cache_clear", bool)()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the one of this very listing
            yield name, os.readlink(f"/proc/self/fd/{name}")


def _shared() -> Iterator[str]:
    """Yield the mappings that a fork would share with this process, not copy."""
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
