"""Answers a check's requests inside the student's process, from the state the notebook left.

An operation of the protocol (protocol.py) is a method of Check, listed in its `_operations`.

By the time a request comes, student code may have replaced any function of builtins, numpy or the
standard library. So this module keeps what it needs when it is imported: functions by name, the
builtins in a private copy. Replies then report the real values, unless the student rewrites this
module. The grader treats every reply as a claim anyway.
"""

from __future__ import annotations

import _tracemalloc
import builtins
import linecache
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from types import CodeType, ModuleType
from typing import Any

from numpy import errstate, ndarray

from grader.in_kernel import codec, counting
from grader.in_kernel.functions import Functions, builtin_base
from grader.in_kernel.operators import OPERATORS
from grader.in_kernel.printing import Printed
from grader.in_kernel.protocol import Closed, Stream
from grader.in_kernel.sandbox import limits

_NOTHING = object()

globals()["__builtins__"] = dict(vars(builtins))

_TEXT_CHARS = 2000
_SHARED = frozenset((type(None), bool, int, float, complex, str, bytes, tuple))
_NAMES = 2000
_OF_IPYTHON = frozenset(("In", "Out", "exit", "quit", "open", "get_ipython"))
_WARNINGS = 100
# numpy's default, even if the notebook changed it: a check must see an overflow.
_default_errstate = partial(errstate, divide="warn", over="warn", under="ignore", invalid="warn")
_catch_warnings = warnings.catch_warnings
_simplefilter = warnings.simplefilter
_getline = linecache.getline
_count = counting.count
_limit_behind = limits.limit_behind
_name_of = type.__dict__["__name__"].__get__


@dataclass
class State:
    """The state of the notebook that a fork inherits. The arguments are those of agent.serve."""

    namespace: dict[str, Any]
    figures: Callable[[], list[dict[str, Any]]] | None
    find_cell: Callable[[str], int | None] | None
    printed: Printed = field(default_factory=lambda: Printed())

    def locate(self, filename: str) -> int | None:
        """Return the cell number for a code object's file name, or None."""
        if self.find_cell is None:
            return None
        try:
            cell = self.find_cell(filename)
        except Exception:  # the student may have changed the data that it reads
            return None
        return cell if type(cell) is int else None


class Missing(Exception):
    """A name that is not defined."""


class Raised(Exception):
    """The student's code raised; holds the reply's status and failure."""

    def __init__(self, failure: list[Any], status: str = "raised") -> None:
        self.failure = failure
        self.status = status


class Check:
    """Answers one check's requests in order."""

    def __init__(self, stream: Stream, state: State, reply_bytes: int) -> None:
        self._stream = stream
        self._state = state
        self._limits = codec.Limits(size=reply_bytes)
        self._number = 0
        self._functions = Functions(self._exchange)
        self._objects: list[Any] = []
        self._handles: dict[int, codec.Handle] = {}
        self._operations: dict[str, Callable[..., Any]] = {
            "call": self._call,
            "map": self._map,
            "observe": self._observe,
            "get": self._get,
            "keep": self._keep,
            "set": self._set,
            "item": self._item,
            "has": self._has,
            "names": self._names,
            "operate": self._operate,
            "store": self._store,
            "tensor": self._tensor,
            "figures": self._figures,
        }

    def serve(self) -> None:
        """Answer until the grader closes the stream."""
        self._stream.read_ahead()
        while True:
            try:
                number, operation, *arguments = self._stream.receive(self._object)
                self._number = number
                self._functions.begin()
                pieces = self._answer(number, operation, arguments)
                self._functions.end()
                del arguments
                self._stream.send(pieces)
            except (Closed, OSError):
                return

    def _exchange(self, call: list[Any]) -> list[Any]:
        """Have the grader call a function of the check; return its answer.

        Before the answer the grader may send requests: the function may call the notebook's code.
        """
        number = self._number
        try:
            pieces = self._encode([number, "calls", *call])
        except codec.TooLarge as large:
            raise ValueError(f"a function of the check got {large.args[0]}") from None
        while True:
            self._stream.send(pieces)
            inner, operation, *arguments = self._stream.receive(self._object)
            if inner == number:
                return [operation, *arguments]
            self._number = inner
            try:
                pieces = self._answer(inner, operation, arguments)
            finally:
                self._number = number
            del arguments

    def _answer(self, number: int, operation: str, arguments: list[Any]) -> list[codec.Buffer]:
        try:
            value = self._operations[operation](*arguments)
            return self._encode([number, "value", value])
        except Raised as raised:
            answer = [number, raised.status, raised.failure]
        except Missing as missing:
            answer = [number, "missing", missing.args[0]]
        except codec.TooLarge as large:
            answer = [number, "too large", large.args[0]]
        except BaseException as error:  # MemoryError in the encoder, a property's error
            report = self._raised(error)
            answer = [number, report.status, report.failure]
        return self._encode(answer)

    def _raised(self, error: BaseException, index: int | None = None) -> Raised:
        """Return the report on an error; an exception of the check's is reported by its number."""
        report = failure(error, self._state, index)
        own = self._functions.number_of(error)
        return Raised(report) if own is None else Raised([own, report], "passed on")

    def _encode(self, answer: list[Any]) -> list[codec.Buffer]:
        return codec.encode(answer, keep=self._array_or_handle, limits=self._limits)

    # Handles.

    def _array_or_handle(self, value: Any) -> ndarray | codec.Handle | codec.Function:
        values = _values_of_tensor(value)
        if values is not None:
            return values
        return self._functions.of(value) or self._handle(value)

    def _handle(self, value: Any) -> codec.Handle:
        """Return the handle of an object; for the same object always the same one."""
        known = self._handles.get(id(value))
        if known is None:
            known = codec.Handle(len(self._objects), type_name(value))
            self._objects.append(value)
            self._handles[id(value)] = known
        return known

    def _object(self, handle: codec.Handle | codec.Function) -> Any:
        if type(handle) is codec.Function:
            return self._functions.standing_for(handle)
        return self._objects[handle.id]

    def _target(self, base: int | None, path: str) -> Any:
        """Return the object of a dotted name. Raises Missing, Raised."""
        names = path.split(".") if path else []
        if base is not None:
            target = self._objects[base]
        else:
            name = names.pop(0)
            target = dict.get(self._state.namespace, name, _NOTHING)
            if names and name in ("np", "numpy") and not isinstance(target, ModuleType):
                # The notebook may not have numpy under this name: `import numpy as n`, or a loop
                # variable np.
                target = sys.modules["numpy"]
            if target is _NOTHING:
                raise Missing(f"`{name}` is not defined")
        for name in names:
            target = self._attribute(target, name)
        return target

    def _attribute(self, target: Any, name: str) -> Any:
        try:
            return getattr(target, name)
        except AttributeError as error:
            # An AttributeError inside a student's property names another object or attribute.
            if error.obj is target and error.name == name:
                raise Missing(f"no attribute `{name}`") from None
            raise

    # Operations.

    def _call(self, base: int | None, path: str, args: Any, kwargs: dict[str, Any]) -> Any:
        function = self._target(base, path)
        try:
            value = function(*args, **kwargs)
        except BaseException as error:
            raise self._raised(error) from None
        return self._returned(function, value)

    def _returned(self, function: Any, value: Any) -> Any:
        """Return a call's result; a class's instance as a handle, even if it extends dict."""
        if _is_class(function) and codec.base_value(value) is not value:
            return self._handle(value)
        return value

    def _map(self, base: int | None, path: str, items: list[Any]) -> list[Any]:
        function = self._target(base, path)
        values: list[Any] = []
        append = values.append
        try:
            for item in items:
                append(function(*item) if type(item) is tuple else function(item))
        except BaseException as error:
            raise self._raised(error, len(values)) from None
        if _is_class(function):
            return [self._returned(function, value) for value in values]
        return values

    def _observe(
        self,
        base: int | None,
        path: str,
        args: Any,
        kwargs: dict[str, Any],
        count_steps: bool,
        count_memory: bool = False,
        count_operations: bool = False,
    ) -> dict[str, Any]:
        function = self._target(base, path)
        value = raised = steps = memory = operations = None
        own = (lambda file: self._state.locate(file) is not None) if count_operations else None
        printed = self._state.printed
        printed.take()
        with _catch_warnings(record=True) as caught, _default_errstate():
            _simplefilter("always")
            away_s = self._functions.away_s
            if count_memory:
                _tracemalloc.start(1)
            start = perf_counter()
            try:
                if count_steps or count_operations:
                    value, steps, operations = _count(function, args, kwargs, own)
                else:
                    value = function(*args, **kwargs)
            except BaseException as error:
                seconds = perf_counter() - start
                raised = failure(error, self._state)
            else:
                seconds = perf_counter() - start
            if count_memory:
                memory = [*_tracemalloc.get_traced_memory()]
                _tracemalloc.stop()
        # An argument that came as a handle goes back as one: it may be a data set. Scalars go back
        # as values: Python shares small ones, so a handle of the same id may be another's.
        after = tuple(
            argument if type(argument) in _SHARED else self._handles.get(id(argument), argument)
            for argument in args
        )
        return {
            "value": self._returned(function, value),
            "error": raised,
            "arguments": after,
            "warnings": [_warning_text(one) for one in caught[:_WARNINGS]],
            # Without the time of the check's own functions.
            "seconds": max(0.0, seconds - (self._functions.away_s - away_s)),
            "steps": steps,
            "operations": operations,
            "memory": memory,
            "printed": printed.take(),
        }

    def _get(self, base: int | None, path: str) -> Any:
        return self._target(base, path)

    def _keep(self, base: int | None, path: str) -> codec.Handle:
        return self._handle(self._target(base, path))

    def _set(self, base: int | None, path: str, value: Any) -> None:
        owner, _, name = path.rpartition(".")
        if base is None and not owner:
            self._state.namespace[name] = value
        else:
            setattr(self._target(base, owner), name, value)

    def _item(self, base: int | None, key: Any) -> Any:
        return self._target(base, "")[key]

    def _has(self, base: int | None, path: str) -> bool:
        try:
            self._target(base, path)
        except Missing:
            return False
        return True

    def _operate(self, name: str, *operands: Any) -> Any:
        operate = OPERATORS[name]
        try:
            value = operate(*operands)
        except BaseException as error:
            raise self._raised(error) from None
        return self._handle(value) if name == "iter" else value

    def _names(self) -> list[str]:
        names = [name for name in dict.keys(self._state.namespace) if type(name) is str]
        names = [name for name in names if name.isidentifier() and name not in _OF_IPYTHON]
        return [name for name in names if name[0] != "_"][-_NAMES:]

    def _store(self, value: Any) -> codec.Handle:
        return self._handle(value)

    def _tensor(self, values: ndarray) -> codec.Handle:
        import torch  # an exercise whose check sends tensors requires it

        return self._handle(torch.tensor(values))

    def _figures(self) -> list[dict[str, Any]]:
        return [] if self._state.figures is None else self._state.figures()


# --- what went wrong, in plain values -------------------------------------------------------


def failure(error: BaseException, state: State, index: int | None = None) -> list[Any]:
    """Return the failure for a reply: [kind, text, cell, line, source, index, base, sizes]."""
    cell, line, source, sizes = _innermost(error, state)
    text = text_of(error)
    if limit := _limit_behind(error):
        text = f"{text} ({limit})" if text else limit
    return [type_name(error), text, cell, line, source, index, builtin_base(error), sizes]


def _innermost(error: BaseException, state: State) -> tuple[int | None, int, str, list[int]]:
    """Return cell, line and text of the last line of the student's that the error passed.

    And the integers in that line's function: one of them may be a size.
    """
    found: tuple[CodeType, int, int] | None = None
    step = error.__traceback__
    cells: dict[CodeType, int | None] = {}
    while step is not None:
        code = step.tb_frame.f_code
        if code not in cells:
            cells[code] = state.locate(code.co_filename)
        cell = cells[code]
        if cell is not None:
            found = code, cell, step.tb_lineno
        step = step.tb_next
    if found is None:
        return None, 0, "", []
    code, cell, line = found
    return cell, line or 0, _source_line(code.co_filename, line or 0), _sizes_in(code)


def _sizes_in(code: CodeType) -> list[int]:
    """Return a function's integer constants that may be sizes, the smallest first."""
    found: set[int] = set()
    waiting = list(code.co_consts)[:1000]
    while waiting:
        constant = waiting.pop()
        if type(constant) is tuple:
            waiting += constant[:20]
        elif type(constant) is int and _SMALLEST_SIZE <= constant < 1 << 31:
            found.add(constant)
    return sorted(found)[:_MOST_SIZES]


def _source_line(filename: str, line: int) -> str:
    try:
        return str(_getline(filename, line)).strip()[:_TEXT_CHARS]
    except Exception:  # the student may have changed linecache's entries
        return ""


def _values_of_tensor(value: Any) -> ndarray | None:
    """Return the values of a torch.Tensor, without its gradient; None for anything else."""
    # torch is not imported here: a process without torch has no tensors.
    torch = dict.get(sys.modules, "torch")
    if torch is None or not issubclass(type(value), getattr(torch, "Tensor", ())):
        return None
    try:
        plain = value.detach().cpu()
        values = (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()
    except Exception:  # a sparse tensor or one without storage: it gets a handle
        return None
    return values if type(values) is ndarray else None


def _is_class(value: Any) -> bool:
    """Return whether an object is a class. Not by isinstance, which calls the object's code."""
    return issubclass(type(value), type)


def type_name(value: Any) -> str:
    """Return the name of an object's class, read in C: a metaclass can't change it."""
    return str(_name_of(type(value)))[:_TYPE_NAME_CHARS]


_TYPE_NAME_CHARS = 200

# 0 to 3 are powers, axes and channels much more often than sizes.
_SMALLEST_SIZE = 4
_MOST_SIZES = 20


def text_of(value: Any) -> str:
    """Return str(value), cut; if its __str__ raises, a text that says so."""
    try:
        text = str(value)
        return str.__str__(text)[:_TEXT_CHARS]
    except BaseException as error:
        return f"<its text raises {type_name(error)}>"


def _warning_text(caught: warnings.WarningMessage) -> str:
    kind = caught.category
    return f"{_name_of(kind) if _is_class(kind) else 'Warning'}: {text_of(caught.message)}"
