"""What a check holds of the student's process: names to call, objects that stay over there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from grader.errors import (
    BadReply,
    Missing,
    NotDefined,
    ReferenceFault,
    StudentDied,
    StudentError,
    StudentFault,
    StudentTimeout,
)
from grader.in_kernel import codec
from grader.records import Notebook
from grader.session.stream import Budget, Stream

_TEXT_CHARS = 500
_NAME_CHARS = 80
_SHOWN_CHARS = 40
# Names by which Python, IPython and pytest ask any object what it can do. A question that went
# to the student's process would be answered by the student.
_PROTOCOL_PREFIXES = ("_repr_", "_ipython_", "_pytest")
_FUNCTION_TYPES = frozenset(("function", "method", "builtin_function_or_method", "ufunc", "type"))


@dataclass(frozen=True)
class Observation:
    """One call, watched.

    value : what it returned; None where it raised
    error : what it raised, or None
    arguments : the positional arguments as they are after the call; a Remote where one was given
    warnings : "RuntimeWarning: overflow encountered in exp", each time anew
    seconds : inside the process
    steps : bytecodes that Python ran, numpy's own Python code included; None where they were
        not asked for or the student's code traces itself
    printed : the beginning of what it printed
    """

    value: Any
    error: StudentError | None
    arguments: tuple[Any, ...]
    warnings: tuple[str, ...]
    seconds: float
    steps: int | None
    printed: str


class Wire:
    """Asks one check's process, and turns what it claims into values and faults.

    budget : the time for all its calls together
    end : ends the process and all that it started; told whether it is stuck or broken
    how_it_ended : "killed by SIGSEGV", "" where nobody knows
    """

    def __init__(
        self,
        stream: Stream,
        budget: Budget,
        *,
        end: Callable[[bool], None],
        how_it_ended: Callable[[], str] = lambda: "",
    ) -> None:
        self.stream = stream
        self.how_it_ended = how_it_ended
        self._budget = budget
        self._end_process = end
        self._fault: StudentFault | None = None
        self._closed = False
        self.is_reference = False
        self.methods: set[tuple[int | None, str]] = set()  # which attributes have been methods

    def ask(self, called: Callable[[], str], operation: str, *arguments: Any) -> Any:
        """Return the reply's value.

        called : words the call, for messages
        Raises StudentError, StudentTimeout, StudentDied, BadReply, Missing; for the solved
        notebook ReferenceFault in place of each.
        """
        try:
            return self._ask(called, operation, *arguments)
        except (StudentFault, Missing) as fault:
            if self.is_reference:
                raise ReferenceFault(f"the solved notebook: {fault}") from fault
            raise

    def _ask(self, called: Callable[[], str], operation: str, *arguments: Any) -> Any:
        if self._closed:
            raise RuntimeError(f"{called()}: the check's process was closed")
        if self._fault is not None:
            raise type(self._fault)(*self._fault.args)
        try:
            number = self.stream.request(
                operation, *arguments, budget=self._budget, keep=self._keep
            )
            status, content = self.stream.reply(number, budget=self._budget, handle=self._remote)
        except StudentTimeout:
            limit = f"{self._budget.limit_s:g} s"
            raise self._end(
                StudentTimeout(
                    f"{called()} did not return: all calls of a check together may take {limit}"
                )
            ) from None
        except StudentDied:
            how = self.how_it_ended()
            text = "ended the student's process" + (f" ({how})" if how else "")
            death = StudentDied(f"{called()} {text}")
            death.killed = how in ("", "killed by SIGKILL")
            raise self._end(death) from None
        except BadReply as fault:
            raise self._end(BadReply(f"{called()}: {fault}")) from fault
        if status == "value":
            return content
        if status == "raised":
            error = student_error(called(), content)
            raise error if isinstance(error, StudentError) else self._end(error)
        if status == "missing" and len(arguments) > 1:  # of figures, say, nothing can be missing
            base, path = arguments[:2]
            raise NotDefined(f"`{path if base is None else called()}` is not defined")
        if status == "too large" and type(content) is str:
            raise BadReply(f"{called()} returned {_clean(content, _TEXT_CHARS)}")
        raise self.bad_reply(called)

    def bad_reply(self, called: Callable[[], str]) -> StudentFault:
        """The fault of a process that answered what nothing honest answers; it is ended."""
        return self._end(BadReply(f"{called()}: no legal reply"))

    def close(self) -> None:
        """End the process."""
        if not self._closed:
            self._closed = True
            if self._fault is None:
                self._end_process(False)
                self.stream.close()

    def _end(self, fault: StudentFault) -> StudentFault:
        self._fault = fault
        self._end_process(True)
        self.stream.close()
        return fault

    def _keep(self, value: Any) -> codec.Handle:
        """The handle of what a check passes as an argument."""
        if isinstance(value, Remote | Function):
            place = _place(value)
            if place.wire is not self:
                raise TypeError(f"{place.label} belongs to another process")
            if place.base is not None and not place.path:
                return codec.Handle(place.base, "")
            remote = self.ask(lambda: place.label, "keep", place.base, place.path)
            if isinstance(remote, Remote):
                return codec.Handle(_handle_of(remote), "")
            raise self.bad_reply(lambda: place.label)
        raise TypeError(f"a {type(value).__name__} can't be sent to the student's process")

    def _remote(self, handle: codec.Handle) -> Remote:
        type_name = _clean(handle.type_name, _NAME_CHARS)
        return Remote(_Place(self, handle.id, "", type_name), type_name)


@dataclass(frozen=True)
class _Place:
    """Where an object is: a dotted path from the namespace (base None) or from a handle."""

    wire: Wire
    base: int | None
    path: str
    label: str


class _Callable:
    """What names and handles have in common: they can be called in three ways."""

    __slots__ = ("_place",)

    _place: _Place

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it; return its value or a Remote."""
        place = _place(self)

        def called() -> str:
            return show_call(place.label, args, kwargs)

        value = place.wire.ask(called, "call", place.base, place.path, args, kwargs)
        return _relabelled(value, f"{place.label}(...)")

    def map(self, items: Iterable[Any]) -> list[Any]:
        """Call it once for each item, all in one message each way; return the values.

        items : the one positional argument of a call, or a tuple of them
        Raises StudentError for the first call that raised, naming its index (from 0).
        """
        place = _place(self)
        inputs = list(items)

        def called() -> str:
            return f"{place.label} on each of {len(inputs)} inputs"

        try:
            values = place.wire.ask(called, "map", place.base, place.path, inputs)
        except _IndexedError as error:
            if not 0 <= error.index < len(inputs):
                raise place.wire.bad_reply(called) from None
            item = inputs[error.index]
            call = show_call(place.label, item if type(item) is tuple else (item,), {})
            raise StudentError(
                f"{call} (call {error.index} of {len(inputs)})",
                error.kind,
                error.text,
                error.where,
            ) from None
        if type(values) is not list or len(values) != len(inputs):
            raise place.wire.bad_reply(called)
        return values

    def observe(self, *args: Any, steps: bool = False, **kwargs: Any) -> Observation:
        """Call it and return all there is to see. Its exception is in the Observation.

        steps : count the bytecodes that Python runs; slow
        """
        place = _place(self)

        def called() -> str:
            return show_call(place.label, args, kwargs)

        seen = place.wire.ask(called, "observe", place.base, place.path, args, kwargs, steps)
        observation = _observation(seen, called(), len(args))
        if observation is None:
            raise place.wire.bad_reply(called)
        return observation

    def __reduce__(self) -> Any:
        raise TypeError("what lives in the student's process can't be copied")


class Function(_Callable):
    """A dotted name in the notebook's namespace, not looked up before it is used."""

    __slots__ = ()

    def __init__(self, place: _Place) -> None:
        object.__setattr__(self, "_place", place)

    def __getattr__(self, name: str) -> Function:
        _refuse_protocol(name)
        place = _place(self)
        path = f"{place.path}.{name}"
        return Function(_Place(place.wire, None, path, path))

    def __setattr__(self, name: str, value: Any) -> None:
        place = _place(self)
        path = f"{place.path}.{name}"
        place.wire.ask(lambda: f"{path} = {show(value)}", "set", None, path, value)

    def __repr__(self) -> str:
        return f"<{_place(self).path} of the student's process>"

    def _is_no_value(self, *_: object) -> NoReturn:
        path = _place(self).path
        raise TypeError(
            f"{path} names something in the student's process, and may be a function: "
            f"student.value({path!r}) fetches a value"
        )

    __lt__ = __le__ = __gt__ = __ge__ = __add__ = __radd__ = __sub__ = __rsub__ = _is_no_value
    __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __matmul__ = __rmatmul__ = _is_no_value
    __neg__ = __abs__ = __float__ = __len__ = __iter__ = __getitem__ = _is_no_value
    # `student.alpha != 0` would hold whatever alpha is.
    __eq__ = __ne__ = _is_no_value
    __hash__ = object.__hash__


class Remote(_Callable):
    """An object that stays in the student's process.

    Its attributes read, set and call like local ones; `item` indexes it, `get` fetches it where
    it has become a plain value. `attribute` reads names that Remote has itself ("item").
    type_name : of its class, as the process claims
    """

    __slots__ = ("_type_name",)

    _type_name: str

    def __init__(self, place: _Place, type_name: str) -> None:
        object.__setattr__(self, "_place", place)
        object.__setattr__(self, "_type_name", type_name)

    @property
    def type_name(self) -> str:
        return self._type_name

    def attribute(self, name: str) -> Any:
        """Return an attribute's value, or a Remote."""
        place = _place(self)
        label = f"{place.label}.{name}"
        if (place.base, name) in place.wire.methods:
            return Method(_Place(place.wire, place.base, name, label), "method")
        value = _relabelled(place.wire.ask(lambda: label, "get", place.base, name), label, True)
        if isinstance(value, Remote) and value.type_name == "method":
            place.wire.methods.add((place.base, name))
        return value

    def item(self, key: Any) -> Any:
        """Return what indexing it by `key` gives: a value or a Remote."""
        place = _place(self)
        label = f"{place.label}[{show(key)}]"
        return _relabelled(place.wire.ask(lambda: label, "item", place.base, key), label, True)

    def get(self) -> Any:
        """Return its value if it is a plain one by now, else this very Remote."""
        place = _place(self)
        value = place.wire.ask(lambda: place.label, "get", place.base, "")
        return self if isinstance(value, Remote) else value

    def __getattr__(self, name: str) -> Any:
        _refuse_protocol(name)
        return self.attribute(name)

    def __setattr__(self, name: str, value: Any) -> None:
        place = _place(self)
        label = f"{place.label}.{name}"
        place.wire.ask(lambda: f"{label} = {show(value)}", "set", place.base, name, value)

    def __repr__(self) -> str:
        return f"<{self._type_name} of the student's process>"


class Method(Remote):
    """An attribute that was a method before: looked up when it is called, in the same message."""

    __slots__ = ()

    def attribute(self, name: str) -> Any:
        return self._found().attribute(name)

    def item(self, key: Any) -> Any:
        return self._found().item(key)

    def get(self) -> Any:
        found = self._found()
        return self if isinstance(found, Remote) else found

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._found(), name, value)

    def _found(self) -> Any:
        place = _place(self)
        value = place.wire.ask(lambda: place.label, "get", place.base, place.path)
        return _relabelled(value, place.label, True)


class Student:
    """The state that the student's notebook left, in a process that is one check's own.

    Its attributes are the notebook's names: `student.sigmoid(z)` calls, `student.alpha = 0.5`
    sets. student["value"] reaches a name that Student has itself.
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

    def __enter__(self) -> Student:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the check's process, and all that it started."""
        self._wire.close()
        self._on_close(self)

    def keep(self, value: Any) -> Remote:
        """Send a value once; return what stands for it as an argument of many calls."""

        def called() -> str:
            return f"keep({show(value)})"

        remote = self._wire.ask(called, "store", value)
        if not isinstance(remote, Remote):
            raise self._wire.bad_reply(called)
        return _relabelled(remote, show(value), True)

    def tensor(self, values: Any) -> Remote:
        """Return what stands for a torch.Tensor with these values, as an argument of calls.

        Tensors that come back are arrays.
        """
        values = np.asarray(values)

        def called() -> str:
            return f"tensor({show(values)})"

        remote = self._wire.ask(called, "tensor", values)
        if not isinstance(remote, Remote):
            raise self._wire.bad_reply(called)
        return _relabelled(remote, f"tensor {values.shape} {values.dtype}", True)

    def value(self, name: str) -> Any:
        """Return a module-level variable's value, or a Remote. Raises Missing."""
        return _relabelled(self._wire.ask(lambda: name, "get", None, name), name, True)

    def has(self, name: str) -> bool:
        """Return whether a dotted name ("GradientDescent.predict") is defined."""

        def called() -> str:
            return f"has({name!r})"

        there = self._wire.ask(called, "has", None, name)
        if type(there) is not bool:
            raise self._wire.bad_reply(called)
        return there

    @property
    def figures(self) -> list[dict[str, Any]]:
        """The open figures: [{"cell", "axes": [{"title", "xlabel", "ylabel", "xscale", "yscale",
        "legend", "lines", "images", "extents", "contours", "bars", "points"}]}], arrays float64."""

        def called() -> str:
            return "figures"

        figures = _figures(self._wire.ask(called, "figures"))
        if figures is None:
            raise self._wire.bad_reply(called)
        return figures

    def source(self, name: str) -> str:
        """Return the text of a definition as handed in, "" where there is none."""
        definitions = {} if self._notebook is None else self._notebook.definitions
        return definitions[name].source if name in definitions else ""

    def __getitem__(self, name: str) -> Function:
        return Function(_Place(self._wire, None, name, name))

    def __setitem__(self, name: str, value: Any) -> None:
        self._wire.ask(lambda: f"{name} = {show(value)}", "set", None, name, value)

    def __getattr__(self, name: str) -> Function:
        _refuse_protocol(name)
        return self[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __repr__(self) -> str:
        return "<the student's process>"

    def __reduce__(self) -> Any:
        raise TypeError("the student's process can't be copied")


def wire_of(student: Student) -> Wire:
    """Return what it asks by. A function, since its attributes are the notebook's names."""
    return student._wire


def as_reference(student: Student) -> Student:
    """Return the same Student, every fault of which is a ReferenceFault from now on."""
    student._wire.is_reference = True
    return student


def _refuse_protocol(name: str) -> None:
    if (name.startswith("__") and name.endswith("__")) or name.startswith(_PROTOCOL_PREFIXES):
        raise AttributeError(name)


def _place(proxy: _Callable) -> _Place:
    return proxy._place


def _handle_of(remote: Remote) -> int:
    base = _place(remote).base
    if base is None:
        raise TypeError("a Remote without a handle")
    return base


def _relabelled(value: Any, label: str, always: bool = False) -> Any:
    """The same object, called by where it came from; an instance keeps its class's name."""
    if not isinstance(value, Remote) or not (always or value.type_name in _FUNCTION_TYPES):
        return value
    # A bound method reads "GradientDescent.predict", a variable by its name.
    place = _place(value)
    return Remote(_Place(place.wire, place.base, "", label), value.type_name)


# --- what a reply claims ----------------------------------------------------------------------


class _IndexedError(StudentError):
    """One of a map's calls raised."""

    index: int = 0


def student_error(called: str, failure: Any) -> StudentFault:
    """The StudentError that a reply's failure tells of; a BadReply where it tells nothing."""
    if type(failure) is not list or len(failure) != 6:
        return BadReply(f"{called}: no legal reply")
    kind, text, cell, line, source, index = failure
    if [type(part) for part in (kind, text, line, source)] != [str, str, int, str]:
        return BadReply(f"{called}: no legal reply")
    where = ""
    if type(cell) is int and abs(cell) < 1 << 31 and abs(line) < 1 << 31:
        code = _clean(source, _TEXT_CHARS)
        where = f"cell {cell}, line {line}" + (f": {code}" if code else "")
    error = _IndexedError if type(index) is int else StudentError
    fault = error(called, _clean(kind, _NAME_CHARS), _clean(text, _TEXT_CHARS), where)
    if isinstance(fault, _IndexedError):
        fault.index = index
    return fault


def _observation(seen: Any, called: str, argument_count: int) -> Observation | None:
    if type(seen) is not dict or set(seen) != {
        "value",
        "error",
        "arguments",
        "warnings",
        "seconds",
        "steps",
        "printed",
    }:
        return None
    arguments, warnings, seconds = seen["arguments"], seen["warnings"], seen["seconds"]
    steps, printed = seen["steps"], seen["printed"]
    error = None if seen["error"] is None else student_error(called, seen["error"])
    if (
        type(arguments) is not tuple
        or len(arguments) != argument_count
        or type(warnings) is not list
        or any(type(warning) is not str for warning in warnings)
        or type(seconds) is not float
        or not (steps is None or type(steps) is int)
        or type(printed) is not str
        or not (error is None or isinstance(error, StudentError))
    ):
        return None
    return Observation(
        value=seen["value"],
        error=error,
        arguments=arguments,
        warnings=tuple(_clean(warning, _TEXT_CHARS) for warning in warnings),
        seconds=seconds,
        steps=steps,
        printed=printed,
    )


_TEXTS = ("title", "xlabel", "ylabel", "xscale", "yscale")


def _figures(claimed: Any) -> list[dict[str, Any]] | None:
    """The figures, held against their form; None where they have another."""
    if type(claimed) is not list:
        return None
    try:
        return [
            {
                "cell": figure["cell"] if type(figure["cell"]) is int else None,
                "axes": [_axes(axes) for axes in figure["axes"]],
            }
            for figure in claimed
        ]
    except (LookupError, TypeError, ValueError, AttributeError):
        return None


def _axes(axes: dict[str, Any]) -> dict[str, Any]:
    """One checked axes. Raises what _figures catches where it has another form."""
    lines: list[dict[str, Any]] = [
        {
            "x": _numbers(line["x"], 1),
            "y": _numbers(line["y"], 1),
            "label": _clean(line["label"], _TEXT_CHARS),
        }
        for line in axes["lines"]
    ]
    bars = _numbers(axes["bars"], 2)
    points = [_numbers(cloud, 2) for cloud in axes["points"]]
    contours = [_numbers(vertices, 2) for vertices in axes["contours"]]
    images = [_numbers(image, image.ndim) for image in axes["images"]]
    extents = [_numbers(extent, 1) for extent in axes["extents"]]
    if (
        any(line["x"].shape != line["y"].shape for line in lines)
        or bars.shape[1] != 3
        or any(cloud.shape[1] != 2 for cloud in (*points, *contours))
        or [extent.shape for extent in extents] != [(4,)] * len(images)
    ):
        raise ValueError("coordinates that do not match")
    return {
        **{name: _clean(axes[name], _TEXT_CHARS) for name in _TEXTS},
        "legend": [_clean(text, _TEXT_CHARS) for text in axes["legend"]],
        "lines": lines,
        "images": images,
        "extents": extents,
        "contours": contours,
        "bars": bars,
        "points": points,
    }


def _numbers(value: Any, ndim: int) -> np.ndarray[Any, Any]:
    if type(value) is not np.ndarray or value.dtype.kind not in "biuf" or value.ndim != ndim:
        raise TypeError("no array of numbers")
    with np.errstate(all="ignore"):  # a longdouble may overflow
        return value.astype(np.float64)


# --- wording ------------------------------------------------------------------------------------


def show_call(label: str, args: Iterable[Any], kwargs: dict[str, Any]) -> str:
    """Return a call in words: "sigmoid(array (3, 4) float64)", "sigmoid(0.5)"."""
    parts = [show(value) for value in args]
    parts += [f"{name}={show(value)}" for name, value in kwargs.items()]
    return f"{label}({', '.join(parts)})"


def show(value: Any) -> str:
    """Return a value in a few words: short ones literally, arrays by shape and dtype."""
    if isinstance(value, Remote | Function):
        return _place(value).label
    if isinstance(value, np.ndarray) and value.ndim:
        return f"array {value.shape} {value.dtype}"
    if isinstance(value, np.ndarray | np.generic):
        value = value.item()
    if isinstance(value, list | tuple | dict):
        return _show_container(value)
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 3] + "..."


def _show_container(value: list[Any] | tuple[Any, ...] | dict[Any, Any]) -> str:
    if len(value) <= 4:
        if isinstance(value, dict):
            text = ", ".join(f"{key!r}: {show(item)}" for key, item in value.items())
        else:
            text = ", ".join(show(item) for item in value)
        brackets = "{}" if isinstance(value, dict) else "()" if isinstance(value, tuple) else "[]"
        if isinstance(value, tuple) and len(value) == 1:
            text += ","
        if len(text) <= _SHOWN_CHARS:
            return f"{brackets[0]}{text}{brackets[1]}"
    return f"{type(value).__name__} of {len(value)}"


def _clean(text: Any, limit: int) -> str:
    """A claimed text, harmless on a terminal and cut. Raises TypeError where it is none."""
    if type(text) is not str:
        raise TypeError("no text")
    cut = text[:limit] + ("..." if len(text) > limit else "")
    return "".join(
        char if char.isprintable() else " " if char.isspace() else "\N{REPLACEMENT CHARACTER}"
        for char in cut
    ).strip()
