"""The parameters in a model's attributes, whatever their names are.

If students fill in a class, they choose its attributes: `self.W1`, `self.weights[0]`,
`self.params["W1"]`, (h, n) or (n, h). These functions find, read and replace the numbers, so that
a check needs no names. A model is a stand-in for an object in the student's process, or an object
of this process.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grader.diagnosis.wording import Array
from grader.errors import CheckFailed, Missing, StudentFault

# A longer list is not parameters, but, for example, the losses of each epoch.
_MAX_ITEMS = 32
_MAX_DEPTH = 3
_MAX_WAYS = 24
# Types that have attributes, but no parameters in them.
_NO_OWNERS = frozenset(("function", "method", "builtin_function_or_method", "module", "type"))


def read_parameters(model: Any) -> dict[str, Array]:
    """Return the model's floats and float arrays by name: "W1", "weights[0]", "hidden.W"."""
    return dict(_leaves(model, "", 0))


def write_parameters(model: Any, values: Mapping[str, Any]) -> None:
    """Replace the model's parameters by these values; names as in read_parameters.

    An array that is an attribute is filled in place. So other names of the same array, as in
    `self.weights = [self.W1, self.W2]`, get the value, too.
    """
    _write(model, "", values, 0)


@dataclass(frozen=True)
class Layers:
    """One way to read a model as dense layers: which parameter is which weight or bias.

    sizes : (n, h, ..., k) units; names : of W1, b1, W2, b2, ...
    others : by name, the other names of the same parameter; `write` sets them, too
    written : the values of the last `write`, by name
    """

    model: Any
    sizes: tuple[int, ...]
    names: tuple[str, ...]
    others: dict[str, set[str]] = field(default_factory=dict, compare=False)
    written: dict[str, Array] = field(default_factory=dict, compare=False)

    def read(self) -> list[Array]:
        """Return [W1, b1, W2, b2, ...]: W1 (h, n), b1 (h,), whatever the model's own layout."""
        parameters = read_parameters(self.model)
        if missing := [name for name in self.names if name not in parameters]:
            raise CheckFailed(f"the parameter {missing[0]} is no longer an array of floats")
        found = []
        for name, shape in zip(self.names, _shapes(self.sizes), strict=True):
            array = self._live(name, parameters)
            if array.size != np.prod(shape):
                raise CheckFailed(f"the parameter {name} has changed its shape to {array.shape}")
            found.append(array.T if _is_transposed(array, shape) else array.reshape(shape))
        return found

    def write(self, *arrays: Array) -> None:
        """Put W1, b1, W2, b2, ... into the model, each in the model's own layout."""
        parameters = read_parameters(self.model)
        for name, shape, array in zip(self.names, _shapes(self.sizes), arrays, strict=True):
            turned = array.T if _is_transposed(parameters[name], shape) else array
            self.written[name] = np.array(turned.reshape(parameters[name].shape))
            copies = self.others.setdefault(name, set())
            if np.any(parameters[name]):  # zeros are equal to the zeros of a momentum, too
                copies |= _equal_names(parameters, name, parameters[name])
        write_parameters(self.model, self.written)
        now = read_parameters(self.model)
        stale = {}
        for name, value in self.written.items():
            # A parameter that changed with it is the same array by another name, until the
            # student's code assigns a new one to either.
            self.others[name] |= _equal_names(now, name, value)
            for other in self.others[name] - set(self.names):
                if other in now and not np.array_equal(now[other], value):
                    stale[other] = value
        if stale:
            write_parameters(self.model, stale)

    def _live(self, name: str, parameters: Mapping[str, Array]) -> Array:
        """Return the parameter under the name that the model's own code has changed since."""
        if name in self.written:
            for one in (name, *sorted(self.others.get(name, ()))):
                if one in parameters and not np.array_equal(parameters[one], self.written[name]):
                    return parameters[one]
        return parameters[name]


def find_layers(model: Any, sizes: Sequence[int], *, called: str = "") -> list[Layers]:
    """Return the ways to read the model as dense layers of these sizes, the likeliest first.

    sizes : (n, h, ..., k) units. If two arrays have the same size, such as b1 (h,) and W2 (1, h),
        both assignments are possible; an array of zeros is first taken for a bias.
    Raises Missing if the model has no array for one of W1, b1, W2, b2, ...; the message lists the
    arrays that it has. Raises CheckFailed instead if these have other sizes than `sizes`.
    """
    parameters = read_parameters(model)
    choices = []
    for number, shape in enumerate(_shapes(tuple(sizes))):
        fitting = [name for name, array in parameters.items() if _fits(array, shape)]
        if not fitting:
            role = f"{'Wb'[number % 2]}{number // 2 + 1}"
            arrays = {name: array.shape for name, array in parameters.items() if array.ndim}
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
        """Return how many biases are not zero, plus how many weights are zero."""
        return sum(bool(np.any(parameters[name])) == bool(i % 2) for i, name in enumerate(names))

    if not distinct:
        raise Missing("the model keeps fewer arrays than its layers need", called=called)
    likely = sorted(distinct, key=unlikely)[:_MAX_WAYS]
    return [Layers(model, tuple(sizes), names) for names in likely]


def _what_it_keeps(
    arrays: Mapping[str, tuple[int, ...]], sizes: Sequence[int], own: Sequence[int]
) -> str:
    """Return the hint for a missing layer: all arrays, and a size that is not in `sizes`."""
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


def _equal_names(parameters: Mapping[str, Array], name: str, value: Array) -> set[str]:
    """Return the names, except this one, of all parameters that equal the value."""
    equal = {other for other, array in parameters.items() if np.array_equal(array, value)}
    return equal - {name}


def _shapes(sizes: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return the shapes of W1, b1, W2, b2, ..."""
    pairs = itertools.pairwise(sizes)
    return [shape for fan_in, units in pairs for shape in ((units, fan_in), (units,))]


def _fits(array: Array, shape: tuple[int, ...]) -> bool:
    if array.size != np.prod(shape):
        return False
    long = [size for size in array.shape if size > 1]
    wanted = [size for size in shape if size > 1]
    return long in (wanted, wanted[::-1])


def _is_transposed(array: Array, shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 and array.shape == shape[::-1] and array.shape != shape


# --- attributes -------------------------------------------------------------------------


def _attributes(owner: Any) -> dict[str, Any]:
    """Return an object's own attributes; {} if it has none."""
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
    """Put new values into an array that is an attribute; return False if that is impossible."""
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
