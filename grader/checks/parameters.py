"""The numbers that a model keeps in its attributes, whatever it calls them.

A class to be filled in leaves its attributes to the student: `self.W1`, `self.weights[0]`,
`self.params["W1"]`, (h, n) or (n, h). These functions find the numbers, read and replace them,
so that a check needs no names. A model is a handle on an object in the student's process, or
an object at hand.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grader.diagnosis.wording import Array
from grader.errors import CheckFailed, Missing, StudentFault

# Of one list: a longer one is a history of losses, not parameters.
_MAX_ITEMS = 32
_MAX_DEPTH = 3
_MAX_WAYS = 24
# Types that have attributes, but no parameters in them.
_NO_OWNERS = frozenset(("function", "method", "builtin_function_or_method", "module", "type"))


def read_parameters(model: Any) -> dict[str, Array]:
    """Return the model's floats and float arrays by name: "W1", "weights[0]", "hidden.W"."""
    return dict(_leaves(model, "", 0))


def write_parameters(model: Any, values: Mapping[str, Any]) -> None:
    """Put these values in the place of the model's own; names as in read_parameters.

    An array that is an attribute is filled in place. Other names of the same array, as in
    `self.weights = [self.W1, self.W2]`, then hold the value, too.
    """
    _write(model, "", values, 0)


@dataclass(frozen=True)
class Layers:
    """One reading of a model as dense layers: which parameter is which weight or bias.

    sizes : (n, h, ..., k) units; names : of W1, b1, W2, b2, ...
    others : other names of the same parameter in the model; they are written to with it
    written : what was put in last, by name
    """

    model: Any
    sizes: tuple[int, ...]
    names: tuple[str, ...]
    others: dict[str, set[str]] = field(default_factory=dict, compare=False)
    written: dict[str, Array] = field(default_factory=dict, compare=False)

    def read(self) -> list[Array]:
        """Return [W1, b1, W2, b2, ...]: W1 (h, n), b1 (h,), whatever the model's own layout."""
        kept = read_parameters(self.model)
        if missing := [name for name in self.names if name not in kept]:
            raise CheckFailed(f"the parameter {missing[0]} is no longer an array of floats")
        found = []
        for name, shape in zip(self.names, _shapes(self.sizes), strict=True):
            array = self._live(name, kept)
            if array.size != np.prod(shape):
                raise CheckFailed(f"the parameter {name} has changed its shape to {array.shape}")
            found.append(array.T if _is_transposed(array, shape) else array.reshape(shape))
        return found

    def write(self, *arrays: Array) -> None:
        """Put W1, b1, W2, b2, ... into the model, each in the model's own layout."""
        kept = read_parameters(self.model)
        for name, shape, array in zip(self.names, _shapes(self.sizes), arrays, strict=True):
            turned = array.T if _is_transposed(kept[name], shape) else array
            self.written[name] = np.array(turned.reshape(kept[name].shape))
            copies = self.others.setdefault(name, set())
            if np.any(kept[name]):  # zeros are equal to the zeros of a momentum, too
                copies |= _equal_names(kept, name, kept[name])
        write_parameters(self.model, self.written)
        now = read_parameters(self.model)
        stale = {}
        for name, value in self.written.items():
            # What has changed with it is the same array by another name, for as long as the
            # student's code does not assign a new one to either.
            self.others[name] |= _equal_names(now, name, value)
            for other in self.others[name] - set(self.names):
                if other in now and not np.array_equal(now[other], value):
                    stale[other] = value
        if stale:
            write_parameters(self.model, stale)

    def _live(self, name: str, kept: Mapping[str, Array]) -> Array:
        """Return the parameter under the name that the model's own code has written to."""
        if name in self.written:
            for one in (name, *sorted(self.others.get(name, ()))):
                if one in kept and not np.array_equal(kept[one], self.written[name]):
                    return kept[one]
        return kept[name]


def find_layers(model: Any, sizes: Sequence[int], *, called: str = "") -> list[Layers]:
    """Return the readings of the model as dense layers of these sizes, the likeliest first.

    sizes : (n, h, ..., k) units. Arrays of one size, such as b1 (h,) and W2 (1, h), may be either;
        an array of zeros is taken for a bias first.
    Raises Missing where the model does not keep one of W1, b1, W2, b2, ...; the message lists what
    it keeps. Raises CheckFailed where it keeps arrays of other sizes than were asked for.
    """
    kept = read_parameters(model)
    choices = []
    for number, shape in enumerate(_shapes(tuple(sizes))):
        fitting = [name for name, array in kept.items() if _fits(array, shape)]
        if not fitting:
            role = f"{'Wb'[number % 2]}{number // 2 + 1}"
            arrays = {name: array.shape for name, array in kept.items() if array.ndim}
            own = sorted({n for one in arrays.values() for n in one} - {1, *sizes})
            raise (CheckFailed if own else Missing)(
                f"the model keeps no array {role} of shape {shape} in its attributes",
                hint=_what_it_keeps(arrays, sizes, own),
                called=called,
            )
        choices.append(fitting)
    ways = itertools.islice(itertools.product(*choices), 10_000)
    distinct = [names for names in ways if len(set(names)) == len(names)]

    def unlikely(names: tuple[str, ...]) -> int:
        """Return how many biases are not zero, and how many weights are zero."""
        return sum(bool(np.any(kept[name])) == bool(i % 2) for i, name in enumerate(names))

    if not distinct:
        raise Missing("the model keeps fewer arrays than its layers need", called=called)
    likely = sorted(distinct, key=unlikely)[:_MAX_WAYS]
    return [Layers(model, tuple(sizes), names) for names in likely]


def _what_it_keeps(
    arrays: Mapping[str, tuple[int, ...]], sizes: Sequence[int], own: Sequence[int]
) -> str:
    """Return the hint for a missing layer: all arrays, and a size that was not asked for."""
    if not arrays:
        return (
            "Create weights and biases in __init__, as floats: self.W1 = ..., self.b1 = "
            "np.zeros(...)."
        )
    listed = ", ".join(f"{name} {shape}" for name, shape in itertools.islice(arrays.items(), 8))
    more = ", ..." if len(arrays) > 8 else ""
    asked = ", ".join(map(str, sizes))
    hint = f"Its arrays are {listed}{more}; the sizes that were asked for are {asked}."
    return hint + (f" Is {own[0]} written as a number in __init__?" if own else "")


def _equal_names(kept: Mapping[str, Array], name: str, value: Array) -> set[str]:
    return {
        other for other, array in kept.items() if other != name and np.array_equal(array, value)
    }


def _shapes(sizes: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return the shapes of W1, b1, W2, b2, ..."""
    pairs = itertools.pairwise(sizes)
    return [shape for fan_in, units in pairs for shape in ((units, fan_in), (units,))]


def _fits(array: Array, shape: tuple[int, ...]) -> bool:
    if array.size != np.prod(shape):
        return False
    long = [size for size in array.shape if size > 1]
    due = [size for size in shape if size > 1]
    return long in (due, due[::-1])


def _is_transposed(array: Array, shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 and array.shape == shape[::-1] and array.shape != shape


# --- attributes -------------------------------------------------------------------------


def _attributes(owner: Any) -> dict[str, Any]:
    """Return an object's own attributes; {} for what has none."""
    if getattr(owner, "type_name", type(owner).__name__) in _NO_OWNERS:
        return {}
    reader = getattr(owner, "attribute", None)
    try:
        found = reader("__dict__") if callable(reader) else vars(owner)
    except (Missing, TypeError):
        return {}
    return {k: v for k, v in found.items() if isinstance(k, str)} if isinstance(found, dict) else {}


def _leaves(owner: Any, prefix: str, depth: int) -> Iterator[tuple[str, Array]]:
    for name, value in _attributes(owner).items():
        yield from _leaves_of(value, prefix + name, depth)


def _leaves_of(value: Any, name: str, depth: int) -> Iterator[tuple[str, Array]]:
    if _is_number(value):
        yield name, np.array(value, dtype=np.float64)
    elif isinstance(value, (list, tuple, dict)):
        if len(value) <= _MAX_ITEMS and depth < _MAX_DEPTH:
            for key, item in _items(value):
                yield from _leaves_of(item, f"{name}[{key!r}]", depth + 1)
    elif not _is_plain(value) and depth < _MAX_DEPTH:
        yield from _leaves(value, f"{name}.", depth + 1)


def _write(owner: Any, prefix: str, values: Mapping[str, Any], depth: int) -> None:
    for name, value in _attributes(owner).items():
        path = prefix + name
        if any(key == path or key.startswith((f"{path}[", f"{path}.")) for key in values):
            if path in values and _fill(owner, name, value, np.asarray(values[path], dtype=float)):
                continue
            changed = _rebuilt(value, path, values, depth)
            if changed is not value:
                setattr(owner, name, changed)


def _fill(owner: Any, name: str, value: Any, new: Array) -> bool:
    """Put new values into an array that is an attribute; False where that can't be."""
    if not isinstance(value, np.ndarray) or value.shape != new.shape or not value.ndim:
        return False
    reader = getattr(owner, "attribute", None)
    try:
        put = reader(f"{name}.put") if callable(reader) else value.put
        put(np.arange(value.size), new.reshape(-1))
    except (StudentFault, Missing, ValueError, TypeError):  # it may be read-only
        return False
    return True


def _rebuilt(value: Any, name: str, values: Mapping[str, Any], depth: int) -> Any:
    if name in values:
        new = np.asarray(values[name], dtype=np.float64)
        return new.copy() if isinstance(value, np.ndarray) else float(new.reshape(()))
    if isinstance(value, (list, tuple, dict)):
        made = {k: _rebuilt(v, f"{name}[{k!r}]", values, depth + 1) for k, v in _items(value)}
        return made if isinstance(value, dict) else type(value)(made.values())
    if not _is_plain(value) and depth < _MAX_DEPTH:
        _write(value, f"{name}.", values, depth + 1)
    return value


def _items(value: Any) -> list[tuple[Any, Any]]:
    return list(value.items()) if isinstance(value, dict) else list(enumerate(value))


def _is_number(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return bool(value.dtype.kind == "f")
    return isinstance(value, (float, np.floating))


def _is_plain(value: Any) -> bool:
    plain = (bool, int, float, complex, str, bytes, np.ndarray, np.generic)
    return value is None or isinstance(value, plain)
