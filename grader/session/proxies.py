"""Names and objects of the student's process that a check calls, reads and sets.

A check writes local code (`student.f(x)`, `model.w = w0`); each step becomes one request. An
operation on a name or an object is added here as a method; one on the whole process in student.py.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any, NoReturn

import numpy as np

from grader.errors import StudentError
from grader.session.callbacks import is_function, name_of
from grader.session.replies import IndexedError, Observation, observation
from grader.session.wire import Place, Proxy, place_of

_SHOWN_CHARS = 40
# Names by which Python, IPython and pytest ask any object what it can do. A question that went
# to the student's process would be answered by the student.
_PROTOCOL_PREFIXES = ("_repr_", "_ipython_", "_pytest")
_FUNCTION_TYPES = frozenset(("function", "method", "builtin_function_or_method", "ufunc", "type"))


class _Callable(Proxy):
    """What names and handles have in common: they can be called in three ways."""

    __slots__ = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it; return its value or a Remote."""
        place = place_of(self)

        def called() -> str:
            return show_call(place.label, args, kwargs)

        value = place.wire.ask(called, "call", place.base, place.path, args, kwargs)
        return relabelled(value, f"{place.label}(...)")

    def map(self, items: Iterable[Any]) -> list[Any]:
        """Call it once for each item, all in one message each way; return the values.

        items : the one positional argument of a call, or a tuple of them
        Raises StudentError for the first call that raised, naming its index (from 0).
        """
        place = place_of(self)
        inputs = list(items)

        def called() -> str:
            return f"{place.label} on each of {len(inputs)} inputs"

        try:
            values = place.wire.ask(called, "map", place.base, place.path, inputs)
        except IndexedError as error:
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
        place = place_of(self)

        def called() -> str:
            return show_call(place.label, args, kwargs)

        seen = place.wire.ask(called, "observe", place.base, place.path, args, kwargs, steps)
        seen_call = observation(seen, called(), len(args))
        if seen_call is None:
            raise place.wire.bad_reply(called)
        return seen_call

    def __reduce__(self) -> Any:
        raise TypeError("what lives in the student's process can't be copied")


class Function(_Callable):
    """A dotted name in the notebook's namespace, not looked up before it is used."""

    __slots__ = ()

    def __init__(self, place: Place) -> None:
        object.__setattr__(self, "_place", place)

    def __getattr__(self, name: str) -> Function:
        refuse_protocol(name)
        place = place_of(self)
        path = f"{place.path}.{name}"
        return Function(Place(place.wire, None, path, path))

    def __setattr__(self, name: str, value: Any) -> None:
        place = place_of(self)
        path = f"{place.path}.{name}"
        place.wire.ask(lambda: f"{path} = {show(value)}", "set", None, path, value)

    def __repr__(self) -> str:
        return f"<{place_of(self).path} of the student's process>"

    def _is_no_value(self, *_: object) -> NoReturn:
        path = place_of(self).path
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

    def __init__(self, place: Place, type_name: str) -> None:
        object.__setattr__(self, "_place", place)
        object.__setattr__(self, "_type_name", type_name)

    @property
    def type_name(self) -> str:
        return self._type_name

    def attribute(self, name: str) -> Any:
        """Return an attribute's value, or a Remote."""
        place = place_of(self)
        label = f"{place.label}.{name}"
        if (place.base, name) in place.wire.methods:
            return Method(Place(place.wire, place.base, name, label), "method")
        value = relabelled(place.wire.ask(lambda: label, "get", place.base, name), label, True)
        if isinstance(value, Remote) and value.type_name == "method":
            place.wire.methods.add((place.base, name))
        return value

    def item(self, key: Any) -> Any:
        """Return what indexing it by `key` gives: a value or a Remote."""
        place = place_of(self)
        label = f"{place.label}[{show(key)}]"
        return relabelled(place.wire.ask(lambda: label, "item", place.base, key), label, True)

    def get(self) -> Any:
        """Return its value if it is a plain one by now, else this very Remote."""
        place = place_of(self)
        value = place.wire.ask(lambda: place.label, "get", place.base, "")
        return self if isinstance(value, Remote) else value

    def __getattr__(self, name: str) -> Any:
        refuse_protocol(name)
        return self.attribute(name)

    def __setattr__(self, name: str, value: Any) -> None:
        place = place_of(self)
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
        place = place_of(self)
        value = place.wire.ask(lambda: place.label, "get", place.base, place.path)
        return relabelled(value, place.label, True)


def refuse_protocol(name: str) -> None:
    if (name.startswith("__") and name.endswith("__")) or name.startswith(_PROTOCOL_PREFIXES):
        raise AttributeError(name)


def relabelled(value: Any, label: str, always: bool = False) -> Any:
    """The same object, called by where it came from; an instance keeps its class's name."""
    if not isinstance(value, Remote) or not (always or value.type_name in _FUNCTION_TYPES):
        return value
    # A bound method reads "GradientDescent.predict", a variable by its name.
    place = place_of(value)
    return Remote(Place(place.wire, place.base, "", label), value.type_name)


# --- wording ------------------------------------------------------------------------------------


def show_call(label: str, args: Iterable[Any], kwargs: dict[str, Any]) -> str:
    """Return a call in words: "sigmoid(array (3, 4) float64)", "sigmoid(0.5)"."""
    parts = [show(value) for value in args]
    parts += [f"{name}={show(value)}" for name, value in kwargs.items()]
    return f"{label}({', '.join(parts)})"


def show(value: Any) -> str:
    """Return a value in a few words: short ones literally, arrays by shape and dtype."""
    if isinstance(value, Proxy):
        return place_of(value).label
    if isinstance(value, np.ndarray) and value.ndim:
        return f"array {value.shape} {value.dtype}"
    if isinstance(value, np.ndarray | np.generic):
        value = value.item()
    if isinstance(value, list | tuple | dict):
        return _show_container(value)
    if isinstance(value, np.random.Generator | np.random.RandomState | random.Random):
        return f"a {type(value).__name__}"
    if is_function(value):
        name = name_of(value)
        return "a lambda" if name == "<lambda>" else name
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
