"""Finds what cells left in their process that forks of it would share, or would lack.

Kernels may be forked from a process that has run cells (given.py) only if the fork then has what
the cells would have left in it. Python objects and the memory are copied; the rest is here.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import re
import resource
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from grader.in_kernel import figures

MOST_VALUES = 10_000
"""How many values of the cells' globals are looked at; arrays and frames count as one."""
_LIMITS = ("RLIMIT_DATA", "RLIMIT_NOFILE", "RLIMIT_FSIZE", "RLIMIT_CORE")
_UTC = datetime.timezone.utc  # noqa: UP017  before Python 3.11
_CLOCKS = re.compile(r"\b(time|time_ns|perf_counter\w*|monotonic\w*|now|utcnow|today|timer)\b")
_SHOWN = {"open_files": 1}
"""Which part of a record is shown, if it is not the first."""
_WORDS = {
    "working_folder": "changes the working folder",
    "open_files": "leaves files open: {}",
    "shared_memory": "maps memory that processes share: {}",
    "threads": "leaves threads running",
    "children": "leaves processes running",
    "children_used": "starts a process",
    "timers": "sets a timer",
    "signals": "handles signals",
    "written_files": "writes files: {}",
    "modules_beside_the_notebook": "imports what lies beside the notebook: {}",
    "standard_streams": "replaces a standard stream",
    "umask": "changes the mode of new files",
    "limits": "changes the limits of its process",
}


class Unfit(Exception):
    """No kernel may be forked from this process; the text says why."""


@dataclass(frozen=True)
class Clocks:
    """What the clocks show, in seconds."""

    time: float
    perf_counter: float
    monotonic: float

    @classmethod
    def now(cls) -> Clocks:
        return cls(time.time(), time.perf_counter(), time.monotonic())

    def shown_since(self, value: object) -> bool:
        """Return whether a value may be a time that a clock has shown since then."""
        now = Clocks.now()
        if isinstance(value, datetime.datetime):
            with contextlib.suppress(OverflowError, OSError, ValueError):
                # A naive one may be of this place or of UTC.
                places = (value, value.replace(tzinfo=value.tzinfo or _UTC))
                return any(self.time - 1 <= place.timestamp() <= now.time for place in places)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if isinstance(value, int) and value > 10**12:
            value = value / 1e9
        pairs = zip(vars(self).values(), vars(now).values(), strict=True)
        # A time in whole seconds may be one less.
        return any(then - isinstance(value, int) <= value <= later for then, later in pairs)


def require_nothing_kept(
    kept: Mapping[str, Any], source: str, *, folder: str, since: Clocks
) -> None:
    """Raise Unfit if a global or a variable of the environment is about this very run.

    kept : their values by name
    source : the cell that has just run
    folder : of this process alone
    """
    asks_time = _CLOCKS.search(source) is not None
    for name, value in _values(kept):
        if isinstance(value, str | PurePath):
            if folder in str(value):
                raise Unfit(f"keeps the name of a folder in `{name}`")
        elif asks_time and since.shown_since(value):
            raise Unfit(f"keeps a time in `{name}`")


def _values(kept: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the values, and those in containers and in objects of the notebook's own classes."""
    found: list[tuple[str, Any]] = [
        (name, value) for name, value in kept.items() if not _is_the_shells(name)
    ]
    seen: set[int] = set()
    for _ in range(MOST_VALUES):
        if not found:
            return
        name, value = found.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        yield name, value
        inner: list[Any] = []
        if type(value) in (list, tuple, set, frozenset):
            inner = [*value]
        elif type(value) is dict:
            inner = [*value.values()]
        elif type(value).__module__ == "__main__":
            inner = [*getattr(value, "__dict__", {}).values()]
        found += [(name, one) for one in inner[:MOST_VALUES]]


def _is_the_shells(name: str) -> bool:
    return (
        name in ("In", "Out", "exit", "quit", "get_ipython")
        or re.match(r"_[\di]*\b", name) is not None
    )


@dataclass(frozen=True)
class State:
    """The state that the cells must not change; differences are reported by name."""

    working_folder: str
    modules_beside_the_notebook: tuple[str, ...]
    open_files: tuple[tuple[str, str], ...]
    shared_memory: tuple[str, ...]
    threads: int
    children: tuple[str, ...]
    children_used: tuple[float, ...]
    timers: tuple[tuple[float, float], ...]
    signals: tuple[object, ...]
    written_files: tuple[tuple[str, int, int], ...]
    standard_streams: tuple[int, ...]
    umask: int
    limits: tuple[tuple[int, int], ...]

    @classmethod
    def now(cls, request: Mapping[str, Any]) -> State:
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
            tuple(sorted(_modules_in(work))),
            tuple(sorted(_descriptors())),
            tuple(sorted(_shared())),
            len(os.listdir("/proc/self/task")),
            tuple(sorted(_children())),
            (used.ru_utime, used.ru_stime, used.ru_minflt, used.ru_maxrss),
            timers,
            tuple(_handler(number) for number in sorted(signal.valid_signals())),
            tuple(sorted(_files(places))),
            tuple(map(id, (sys.stdin, sys.stdout, sys.stderr))),
            mask,
            tuple(resource.getrlimit(getattr(resource, name)) for name in _LIMITS),
        )

    def require_same(self, other: State) -> None:
        """Raise Unfit if any state differs that a fork would share or lose."""
        for name in self.__dataclass_fields__:
            was, now = getattr(self, name), getattr(other, name)
            if was != now:
                new = [one for one in now if one not in was] if isinstance(now, tuple) else []
                shown = [one if isinstance(one, str) else str(one[_SHOWN.get(name, 0)])
                         for one in new if isinstance(one, str | tuple)]  # fmt: skip
                raise Unfit(_WORDS[name].format(", ".join(shown)[:200]))


def _descriptors() -> Iterator[tuple[str, str]]:
    figures.close_fonts()
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
