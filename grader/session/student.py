"""The Student that a check gets: the state that a notebook left, in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from grader.closing import Closing
from grader.records import Notebook
from grader.session.mirror import Mirror
from grader.session.proxies import Function, Method, Remote, refuse_protocol, relabelled
from grader.session.replies import copied
from grader.session.replies import figures as checked_figures
from grader.session.showing import show
from grader.session.wire import Place, Wire

LEAST_REPEATED = 1000
"""Requests that may be sent to explain a failed test, or else as many as it has sent itself."""


class Student(Closing):
    """The state that the student's notebook left, in a process for one check.

    Its attributes are the notebook's names: `student.sigmoid(z)` calls one, `student.alpha = 0.5`
    sets one. `student["value"]` reaches a name that Student itself has as well.
    """

    __slots__ = ("_notebook", "_on_close", "_wire")

    _wire: Wire
    _notebook: Notebook | None
    _on_close: Callable[[Student], None]

    def __init__(
        self,
        wire: Wire,
        notebook: Notebook | None = None,
        *,
        on_close: Callable[[Student], None] = lambda student: None,
    ) -> None:
        object.__setattr__(self, "_wire", wire)
        object.__setattr__(self, "_notebook", notebook)
        object.__setattr__(self, "_on_close", on_close)

    def close(self) -> None:
        """End the check's process, and all that it started."""
        self._wire.close()
        self._on_close(self)

    def keep(self, value: Any) -> Remote:
        """Send a value once; return a reference, to pass it to many calls."""
        return _store(self, "store", value, f"keep({show(value)})", show(value))

    def tensor(self, values: Any) -> Remote:
        """Return a reference to a new torch.Tensor with these values, to pass it to calls.

        values : array-like; the tensor has the array's shape and dtype
        Tensors in results come back as arrays.
        """
        values = np.asarray(values)
        label = f"tensor {values.shape} {values.dtype}"
        return _store(self, "tensor", values, f"tensor({show(values)})", label)

    def value(self, name: str) -> Any:
        """Return the value of a module-level variable, or a Remote. Raises Missing."""
        wire = self._wire
        if wire.mirror is not None and (None, name) in wire.methods:
            return Method(Place(wire, None, name, name), "function")
        value = relabelled(wire.ask(lambda: name, "get", None, name), name, True)
        if wire.mirror is not None:
            if isinstance(value, Remote) and value.type_name == "function":
                # A test reads the name before each call: the call will look it up itself.
                wire.methods.add((None, name))
            wire.mirror.note(name, self[name], "", value)
        return value

    @contextmanager
    def __mirrored__(self) -> Iterator[None]:
        """While it lasts, what a test changes in fetched arrays and dicts changes over there."""
        wire = self._wire

        def send(root: Any, name: str, keys: tuple[Any, ...], value: Any) -> None:
            place = "".join(f"[{key!r}]" for key in keys)
            wire.ask(lambda: f"{name}{place} = ...", "operate", "fill", root, name, keys, value)

        before, wire.mirror = wire.mirror, Mirror(send)
        try:
            yield
        finally:
            wire.mirror = before

    @contextmanager
    def __repeated__(self) -> Iterator[Callable[[], bool]]:
        """While it lasts, a part of a failed test is asked again, to explain the failure.

        Yields a function that tells whether it would take more requests than it may.
        """
        wire = self._wire
        begun, most, refused = wire.requests, wire.most_requests, wire.was_refused
        wire.most_requests = min(most, begun + max(LEAST_REPEATED, begun))
        wire.was_refused = False
        try:
            yield lambda: wire.was_refused
        finally:
            wire.repeated += wire.requests - begun
            wire.most_requests, wire.was_refused = most, refused

    def has(self, name: str) -> bool:
        """Return whether a dotted name ("GradientDescent.predict") is defined."""

        def called() -> str:
            return f"has({name!r})"

        there = self._wire.ask(called, "has", None, name)
        if type(there) is not bool:
            raise self._wire.bad_reply(called)
        return there

    def names(self) -> list[str]:
        """Return the public names that the notebook defined or imported, in that order."""

        def called() -> str:
            return "names()"

        names = self._wire.ask(called, "names")
        if type(names) is not list or not all(type(n) is str and n.isidentifier() for n in names):
            raise self._wire.bad_reply(called)
        return names

    @property
    def figures(self) -> list[dict[str, Any]]:
        """The open figures: [{"cell", "axes": [{"title", "xlabel", "ylabel", "xscale", "yscale",
        "legend", "lines", "images", "extents", "contours", "bars", "points"}]}], arrays float64."""

        def called() -> str:
            return "figures"

        # No student code has run since they came, so they are the same.
        figures = self._wire.figures
        if figures is None:
            figures = checked_figures(self._wire.ask(called, "figures"))
            if figures is None:
                raise self._wire.bad_reply(called)
            self._wire.figures = figures
        return copied(figures)

    def source(self, name: str) -> str:
        """Return the source of a definition as handed in; "" if there is none."""
        definitions = {} if self._notebook is None else self._notebook.definitions
        return definitions[name].source if name in definitions else ""

    def __getitem__(self, name: str) -> Function:
        return Function(Place(self._wire, None, name, name))

    def __setitem__(self, name: str, value: Any) -> None:
        self._wire.ask(lambda: f"{name} = {show(value)}", "set", None, name, value)

    def __getattr__(self, name: str) -> Function:
        refuse_protocol(name)
        return self[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __repr__(self) -> str:
        return "<the student's process>"

    def __reduce__(self) -> Any:
        raise TypeError("the student's process can't be copied")


def _store(student: Student, operation: str, value: Any, called: str, label: str) -> Remote:
    """Send a value; return a reference to it, with a label for messages."""
    wire = wire_of(student)
    remote = wire.ask(lambda: called, operation, value)
    if not isinstance(remote, Remote):
        raise wire.bad_reply(lambda: called)
    kept: Remote = relabelled(remote, label, True)
    return kept


def wire_of(student: Student) -> Wire:
    """Return a Student's wire. Not a method, since its attributes are the notebook's names."""
    return student._wire


def used_s_of(student: Student) -> float:
    """Return how many seconds its process has computed or slept in the check's calls."""
    return student._wire.deadline.used_s()


def requests_of(student: Student) -> tuple[int, int]:
    """Return how many requests a check has sent until it ended, and how often it was called."""
    return student._wire.requests - student._wire.repeated, student._wire.calls


def renew(student: Student, limit_s: float) -> bool:
    """Let another check use the same process; return False if the process has ended.

    limit_s : seconds for all the calls of that check together
    """
    return student._wire.renew(limit_s)


def as_reference(student: Student) -> Student:
    """Return the same Student; from now on its faults are raised as ReferenceFault."""
    student._wire.is_reference = True
    return student
