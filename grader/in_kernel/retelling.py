"""Asks what checks ask of many wrong solutions, inside one fork of the solved notebook's process.

A fork a mistake would cost more than all its calls. So each mistake is put in the place of the
solution here, asked, and taken back: names, the notebook's classes and the global generators are
as before. What changes an array that the notebook made is found, and ends the fork's work: the
grader goes on in a fresh one.

This text is sent to a process of ours alone, the solved notebook's; no student's process gets it.
"""

from __future__ import annotations

import random
import signal
import sys
import types
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from grader.in_kernel import codec
from grader.in_kernel.operations import Check, State

_WATCHED = 200_000
"""Elements of arrays that are looked at after each mistake."""


class _TooLong(BaseException):
    pass


class Teller:
    """What asks stories of changed notebooks.

    namespace : the notebook's own
    stories : of each story its requests, frames as bytes
    fingerprints : gives plain values of (operation, reply) that tell answers apart
    limit_s : of one story; budget_s : of one call of `tell`
    """

    def __init__(
        self,
        namespace: dict[str, Any],
        stories: Sequence[Sequence[Any]],
        fingerprints: Callable[[str, Any], Any],
        limit_s: float,
        budget_s: float,
    ) -> None:
        self.namespace = namespace
        self.stories = [[bytes(bytearray(frame)) for frame in story] for story in stories]
        self.fingerprints = fingerprints
        self.limit_s = limit_s
        self.budget_s = budget_s
        self.names = dict(namespace)
        self.classes = [
            (value, dict(vars(value)))
            for value in self.names.values()
            if isinstance(value, type) and value.__module__ == "__main__"
        ]
        self.objects = [
            (value, dict(vars(value)))
            for value in self.names.values()
            if type(value).__module__ == "__main__" and hasattr(value, "__dict__")
        ]
        self.arrays = list(self._arrays())
        self.sums = [_sum(array) for array in self.arrays]
        self.numpy_state = np.random.get_state()
        self.python_state = random.getstate()

    def tell(self, patches: Sequence[str], wanted: Sequence[Sequence[int]]) -> list[Any]:
        """Return, for each patch in turn, the fingerprints of each wanted story's answers.

        Fewer than the patches where time is up, or where one has changed an array for good. None
        stands for a patch that raises.
        """
        began = perf_counter()
        told: list[Any] = []
        for patch, numbers in zip(patches, wanted, strict=True):
            told.append(self._one(patch, numbers))
            self._restore()
            if perf_counter() - began > self.budget_s or self._is_changed():
                break
        return told

    def _one(self, patch: str, numbers: Sequence[int]) -> list[Any] | None:
        answers = []
        try:
            code = compile(patch, "<mistake>", "exec")
        except (SyntaxError, ValueError):
            return None
        for number in numbers:
            self._restore()
            try:
                exec(code, self.namespace)
            except Exception:
                return None
            answers.append(self._ask(self.stories[number]))
        return answers

    def _ask(self, story: Sequence[bytes]) -> list[Any]:
        check = Check(None, State(self.namespace, None, None), 64 << 20)  # type: ignore[arg-type]
        prints = []
        due = perf_counter() + self.limit_s
        old = signal.signal(signal.SIGALRM, _raise)
        try:
            signal.setitimer(signal.ITIMER_REAL, self.limit_s, 0.05)
            for frame in story:
                number, operation, *arguments = codec.decode_bytes(frame, handle=check._object)
                try:
                    pieces = check._answer(number, operation, arguments)
                    reply = codec.decode_bytes(b"".join(pieces), handle=_object)[1:]
                except _TooLong:
                    reply = ["ended", "StudentTimeout"]
                except Exception:
                    reply = ["raised", ["Exception"]]
                if perf_counter() > due:
                    reply = ["ended", "StudentTimeout"]
                prints.append(self.fingerprints(operation, reply))
                if reply[0] == "ended":
                    break
        except _TooLong:
            prints.append(self.fingerprints("", ["ended", "StudentTimeout"]))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, old)
        return prints

    def _restore(self) -> None:
        for name in [name for name in self.namespace if name not in self.names]:
            del self.namespace[name]
        self.namespace.update(self.names)
        for owner, members in (*self.classes, *self.objects):
            for name in [name for name in vars(owner) if name not in members]:
                delattr(owner, name)
            for name, value in members.items():
                if vars(owner).get(name) is not value:
                    setattr(owner, name, value)
        np.random.set_state(self.numpy_state)
        random.setstate(self.python_state)

    def _arrays(self) -> Any:
        for value in self.names.values():
            inside = [value]
            if isinstance(value, list | tuple):
                inside = list(value)
            elif isinstance(value, dict):
                inside = list(value.values())
            elif any(value is one for one, _ in self.objects):
                inside = list(vars(value).values())
            for one in inside:
                if (
                    isinstance(one, np.ndarray)
                    and one.size <= _WATCHED
                    and one.dtype.kind in "fiub"
                ):
                    yield one

    def _is_changed(self) -> bool:
        return any(_sum(a) != before for a, before in zip(self.arrays, self.sums, strict=True))


def _sum(array: Any) -> tuple[Any, float]:
    with np.errstate(all="ignore"):
        return array.shape, float(np.sum(array, dtype=float))


def _raise(*_: object) -> None:
    raise _TooLong


def _object(handle: codec.Handle | codec.Function) -> Any:
    if isinstance(handle, codec.Function):
        return ("function", handle.name)
    return ("object", handle.type_name)


def module_of(name: str, source: str) -> Any:
    """Return the module that a text holds."""
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(compile(source, name, "exec"), vars(module))
    return module
