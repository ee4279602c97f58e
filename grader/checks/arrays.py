"""What came back, made into an array or refused with a reason.

Values come from a process that nobody trusts: None, a string, a tuple, an object that
stayed over there. Each of these is a mistake with a name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grader.errors import CheckFailed, NonFiniteValue

Array = NDArray[Any]
Dimension = int | str | None
Shape = Sequence[Dimension]

# Values in float32 or float16 can't be closer than their dtype; these leave room for the
# rounding of a short computation (about 80 and 2 units in the last place). More of float16 would
# let a lost sample of a hundred pass.
_RTOL_OF_DTYPE = {"float32": 1e-5, "float16": 2e-3}

# What a hint may say about a type that is no array, by the name of its class.
_OPAQUE_HINTS = {
    "function": "A function came back: is it returned without being called, f for f(x)?",
    "method": "A method came back: is it returned without being called, f for f(x)?",
    "builtin_function_or_method": "A function came back: are its parentheses missing?",
    "generator": "Build a list or an array from it: np.array(list(...)).",
    "map": "Build a list or an array from it: np.array(list(...)).",
    "zip": "Build a list or an array from it: np.array(list(...)).",
    "range": "Build an array from it: np.arange(...).",
    "set": "A set has no order; build an array.",
    "DataFrame": "Return an array: frame.to_numpy().",
    "Series": "Return an array: series.to_numpy().",
    "Tensor": "Return an array: tensor.detach().numpy().",
    "NotImplementedType": "Is the function still to be written?",
    "ellipsis": "Is the function still to be written?",
}

_KIND_WORDS = {
    "b": "booleans",
    "i": "integers",
    "u": "integers",
    "f": "floating-point numbers",
    "c": "complex numbers",
    "S": "bytes",
    "U": "strings",
    "O": "Python objects",
    "M": "dates",
    "m": "time spans",
    "V": "records",
}


def as_array(
    value: object,
    *,
    called: str = "",
    shape: Shape | Sequence[Shape] | None = None,
    dtype_kind: str = "fiu",
) -> Array:
    """Return the value as a plain ndarray of its own dtype, or refuse it with a reason.

    value : numbers, ndarrays, and lists of them; a tuple only where it holds plain numbers
    shape : as in assert_shape; None accepts every shape
    dtype_kind : the numpy kinds that are right ("fiu": real numbers, "b": booleans)
    Raises CheckFailed for None, strings, dicts, tuples of arrays, ragged lists, objects.
    """
    array = _convert(value, called=called)
    if array.dtype.kind not in dtype_kind:
        raise CheckFailed(
            f"{_came(array.dtype.kind)} came where {_kinds_due(dtype_kind)} were due",
            hint=_kind_hint(array.dtype.kind, dtype_kind),
            called=called,
            got=f"dtype {array.dtype}",
        )
    if shape is not None:
        assert_shape(array, shape, called=called)
    return array


def as_scalar(value: object, *, called: str = "") -> float:
    """Return the value as a float; arrays of one element, such as shape (1, 1), count.

    Raises CheckFailed where more than one number came, or none.
    """
    if isinstance(value, tuple):
        raise _tuple_failure(value, "one number", called=called)
    array = as_array(value, called=called)
    if array.size != 1:
        raise CheckFailed(
            f"an array of shape {array.shape} came where one number was due",
            hint="Is the sum or the mean over all elements missing?" if array.size else "",
            called=called,
            got=show(array),
        )
    return float(array.reshape(-1)[0])


def assert_shape(
    value: object,
    shape: Shape | Sequence[Shape],
    *,
    called: str = "",
    names: Mapping[str, int] | None = None,
) -> None:
    """Accept a value of this shape, or of one of these shapes.

    shape : dimensions as int, as a letter of `names` ("m"), or None for any length;
        a list of such tuples accepts each of them
    names : letters of the dimensions, {"m": 120}, which the message then speaks in
    Raises CheckFailed: "an array of shape (120,) came where (120, 1) = (m, 1) was due".
    """
    letters = dict(names or {})
    array = _convert(value, called=called)
    due = [tuple(letters.get(d, d) if isinstance(d, str) else d for d in s) for s in _each(shape)]
    if any(_fits(array.shape, wanted) for wanted in due):
        return
    wanted_text = " or ".join(
        _shape_text(wanted, spec, letters) for wanted, spec in zip(due, _each(shape), strict=True)
    )
    came = "a single number" if array.ndim == 0 else f"an array of shape {_tuple(array.shape)}"
    named = _shape_text(array.shape, array.shape, letters) if array.ndim else ""
    if "=" in named:
        came = f"an array of shape {named}"
    raise CheckFailed(
        f"{came} came where {wanted_text} was due",
        hint=_shape_hint(array.shape, due),
        called=called,
    )


def assert_dtype(value: object, kind: str, *, called: str = "") -> None:
    """Accept a value whose dtype is of this kind.

    kind : "float", "int", "bool", "number", or a dtype by its name ("float64", "uint8")
    Raises CheckFailed, which names the dtype that came.
    """
    array = _convert(value, called=called)
    kinds = {"float": "f", "int": "iu", "bool": "b", "number": "fiu"}.get(kind)
    if kinds is not None:
        if array.dtype.kind in kinds:
            return
        due = _kinds_due(kinds)
        hint = _kind_hint(array.dtype.kind, kinds)
    else:
        if array.dtype == np.dtype(kind):
            return
        due = f"{np.dtype(kind)}"
        hint = f"Convert with .astype(np.{np.dtype(kind)}), or create the array with that dtype."
    raise CheckFailed(
        f"the values are of dtype {array.dtype} where {due} {'was' if kinds is None else 'were'}"
        " due",
        hint=hint,
        called=called,
    )


def assert_finite(value: object, *, called: str = "") -> None:
    """Accept a value without nan and inf.

    Raises NonFiniteValue, which names the first bad index.
    """
    array = _convert(value, called=called)
    if array.dtype.kind not in "fc":
        return
    bad = ~np.isfinite(array)
    if not bad.any():
        return
    index = first_index(bad)
    first = array[index]
    name = "nan" if np.isnan(first) else "inf" if np.real(first) > 0 else "-inf"
    if array.size == 1:
        problem = f"the value is {name}"
    else:
        problem = f"{int(bad.sum())} of {array.size} values are not finite; the first is {name}"
    raise NonFiniteValue(
        problem,
        hint=non_finite_hint(array),
        called=called,
        where=f"index {index_text(index)}" if array.size > 1 else "",
        got=show(array),
    )


def rtol_for(array: Array, rtol: float) -> float:
    """Return the relative tolerance, or what the array's own dtype asks for where that is more."""
    return max(rtol, _RTOL_OF_DTYPE.get(str(array.dtype), 0.0))


def non_finite_hint(array: Array) -> str:
    """Return what usually makes nan and inf."""
    if np.isnan(array).any():
        return (
            "nan comes from 0/0, inf - inf, 0 * inf or the logarithm of a negative number: "
            "guard the denominator, or rewrite the formula for large arguments."
        )
    return (
        "inf comes from an overflow of exp, from log(0) or from a division by 0: "
        "rewrite the formula so that exp only sees arguments <= 0."
    )


# --- how values are shown ---------------------------------------------------------------


def show(value: object, *, limit: int = 240) -> str:
    """Return a short printable text of a value; never the repr of an unknown object."""
    if isinstance(value, np.ndarray):
        # Of every axis its ends: the more axes, the fewer of each say the most in a line.
        ends = max(1, 4 - value.ndim)
        with np.printoptions(precision=6, threshold=12, edgeitems=ends, suppress=False):
            text = " ".join(np.array2string(np.asarray(value), separator=", ").split())
        text = re.sub(r"(?<=\[) | (?=[],])", "", text)  # numpy's columns: this is one line
        if value.size > 12:
            shape = f", shape {_tuple(value.shape)}"
            text = _cut(text, limit - len(shape)) + shape
    elif isinstance(value, (bool, np.bool_)) or value is None:
        text = str(value)
    elif isinstance(value, (int, float, np.number)):
        text = f"{value:.8g}" if not isinstance(value, int) else f"{value}"[:limit]
    elif isinstance(value, str):
        text = repr(value[:limit])
    else:
        text = describe_type(value)
    return _cut(text, limit)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 4] + " ..."


def describe_type(value: object) -> str:
    """Return the value's kind in words: "None", "a string", "a tuple of 2 values"."""
    if value is None:
        return "None"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, bytes):
        return "bytes"
    if isinstance(value, dict):
        return f"a dict of {len(value)} entries"
    if isinstance(value, tuple):
        return f"a tuple of {len(value)} value{'s' * (len(value) != 1)}"
    if isinstance(value, list):
        return f"a list of {len(value)} value{'s' * (len(value) != 1)}"
    if isinstance(value, np.ndarray):
        return f"an array of shape {_tuple(value.shape)}"
    return f"an object of type {_type_name(value)}"


def number(value: float) -> str:
    """Return a number as one writes it: integers whole, others with four digits."""
    nearest = round(value) if np.isfinite(value) and abs(value) < 1e15 else None
    if nearest is not None and abs(value - nearest) <= 1e-9 * max(1.0, abs(value)):
        return str(nearest)
    return f"{value:.4g}"


def first_index(mask: Array) -> tuple[int, ...]:
    """Return the index of the first True, in row-major order."""
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(mask)), mask.shape))


def index_text(index: tuple[int, ...]) -> str:
    """Return an index as one writes it: [3, 0]; "the value" for a scalar."""
    return "[" + ", ".join(str(i) for i in index) + "]" if index else "the value"


# --- conversion -------------------------------------------------------------------------


def _convert(value: object, *, called: str) -> Array:
    if isinstance(value, np.ndarray):
        array = np.asarray(value)
        if array.dtype.kind in "OV":
            raise CheckFailed(
                f"an array of {_KIND_WORDS[array.dtype.kind]} came where numbers were due",
                hint="Its rows may differ in length, or it holds arrays, None or strings.",
                called=called,
            )
        return array
    if isinstance(value, (bool, int, float, complex, np.generic)):
        return _from_numbers(value, called=called)
    if isinstance(value, tuple):
        if value and all(_is_number(item) for item in value):
            return _from_numbers(value, called=called)
        raise _tuple_failure(value, "one array", called=called)
    if isinstance(value, list):
        return _from_list(value, called=called)
    raise _type_failure(value, called=called)


def _is_number(value: object) -> bool:
    return isinstance(value, (bool, int, float, complex, np.number, np.bool_))


def _from_numbers(value: object, *, called: str) -> Array:
    array = np.asarray(value)
    if array.dtype.kind == "O":
        raise CheckFailed(
            "an integer came that is too large for 64 bits",
            hint="Compute with floats: 2.0 ** n for 2 ** n.",
            called=called,
        )
    return array


def _from_list(value: list[Any], *, called: str) -> Array:
    odd = _first_odd(value)
    if odd is not None:
        raise CheckFailed(
            f"a list came that holds {'None' if odd is _NONE else describe_type(odd)}"
            " where numbers were due",
            hint="Does a function that fills the list lack its `return`?" if odd is _NONE else "",
            called=called,
        )
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError, TypeError) as error:
        raise CheckFailed(
            "a list came whose rows differ in length",
            hint="An array needs rows of one length; is an index or a slice off by one?",
            called=called,
        ) from error
    return _from_numbers(array, called=called)


def _first_odd(value: object, depth: int = 0) -> object:
    """Return the first item, however nested, that is no number and no array."""
    if depth > 32:
        return value
    if isinstance(value, (list, tuple)):
        if set(map(type, value)) <= _PLAIN_NUMBERS:  # a long list of numbers, at once
            return None
        for item in value:
            if item is None:
                return _NONE
            odd = _first_odd(item, depth + 1)
            if odd is not None:
                return odd
        return None
    if isinstance(value, (np.ndarray, str)) or _is_number(value):
        return None
    return value


_PLAIN_NUMBERS: frozenset[type] = frozenset({bool, int, float, complex, np.float64})

# Stands for a None found inside a list, since None itself means "all fine".
_NONE = object()


def _tuple_failure(value: tuple[Any, ...], due: str, *, called: str) -> CheckFailed:
    hint = "Return that one alone."
    if len(value) == 1:
        hint = "A comma after the value makes a tuple of it: `return x,` for `return x`."
    return CheckFailed(
        f"returned {describe_type(value)} where {due} was due", hint=hint, called=called
    )


def _type_failure(value: object, *, called: str) -> CheckFailed:
    if value is None:
        return CheckFailed(
            "returned None: is a `return` missing?",
            hint="A function without `return` gives None; printing a value doesn't return it.",
            called=called,
        )
    if isinstance(value, str):
        return CheckFailed(
            "returned a string where numbers were due",
            hint="Return the number itself, not its text.",
            called=called,
            got=show(value, limit=80),
        )
    return CheckFailed(
        f"returned {describe_type(value)} where an array was due",
        hint=_OPAQUE_HINTS.get(_type_name(value), ""),
        called=called,
    )


def _type_name(value: object) -> str:
    """Return the class's name; a handle's own `type_name` is a claim, so it is trimmed."""
    try:
        name = getattr(value, "type_name", None)
    except Exception:
        name = None
    if not isinstance(name, str):
        name = type(value).__name__
    return "".join(c for c in name[:60] if c.isalnum() or c in "._") or "unknown"


# --- wording ----------------------------------------------------------------------------


def _came(kind: str) -> str:
    return _KIND_WORDS.get(kind, "values of another kind")


def _kinds_due(kinds: str) -> str:
    if set("fiu") <= set(kinds) or kinds == "fi":
        return "numbers"
    words = list(dict.fromkeys(_KIND_WORDS.get(kind, kind) for kind in kinds))
    return " or ".join(words)


def _kind_hint(kind: str, due: str) -> str:
    if kind == "c":
        return "Is the root or the power of a negative number taken?"
    if kind == "b" and "f" in due:
        return "A comparison gives booleans; convert with .astype(float) where numbers are due."
    if kind in "iu" and "f" in due:
        return "An array of integers cuts off fractions: create it as float, e.g. np.zeros(n)."
    if kind == "f" and "i" in due:
        return "Convert with .astype(int)."
    if kind in "US":
        return "Convert with .astype(float), or .astype(int) for labels."
    return ""


def _each(shape: Shape | Sequence[Shape]) -> list[Shape]:
    if any(isinstance(part, (tuple, list)) for part in shape):
        return [tuple(part) for part in shape]  # type: ignore[arg-type]
    return [tuple(shape)]  # type: ignore[arg-type]


def _fits(came: tuple[int, ...], due: Shape) -> bool:
    return len(came) == len(due) and all(
        d is None or c == d for c, d in zip(came, due, strict=True)
    )


def _tuple(shape: Sequence[Dimension]) -> str:
    parts = ["any" if d is None else str(d) for d in shape]
    return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"


def _shape_text(shape: Shape, spec: Shape, names: Mapping[str, int]) -> str:
    """Return "(120, 1) = (m, 1)", or the numbers alone where no letter fits."""
    if not shape:
        return "a single number"
    letters = {size: letter for letter, size in reversed(list(names.items())) if size != 1}
    named = [
        s if isinstance(s, str) else letters.get(d, d) if isinstance(d, int) else d
        for d, s in zip(shape, spec, strict=True)
    ]
    plain = _tuple(shape)
    return plain if list(named) == list(shape) else f"{plain} = {_tuple(named)}"


def _shape_hint(came: tuple[int, ...], dues: Sequence[Shape]) -> str:
    for shape in dues:
        due = tuple(d if isinstance(d, int) else -1 for d in shape)
        if hint := _one_shape_hint(came, due):
            return hint
    return ""


def _one_shape_hint(came: tuple[int, ...], due: tuple[int, ...]) -> str:
    if came == ():
        return "Does a sum or a mean run over every axis? Name the axis: axis=0 or axis=1."
    if due == ():
        return "Is the sum or the mean over the elements missing?"
    if len(came) == 2 and came[0] == came[1] > 1 and came[0] in due and due.count(came[0]) == 1:
        return (
            "An array (m,) met an array (m, 1): broadcasting made every pair of them. "
            "Give both the same shape before you subtract or multiply."
        )
    if len(came) == 1 and due == (came[0], 1):
        return "Make it a column: x.reshape(-1, 1), or keepdims=True in the sum."
    if len(came) == 1 and due == (1, came[0]):
        return "Make it a row: x.reshape(1, -1), or keepdims=True in the sum."
    if len(due) == 1 and len(came) == 2 and sorted(came) == sorted((1, due[0])):
        return "Flatten it: x.ravel(), or x[:, 0]."
    if len(came) > 1 and came == due[::-1]:
        return "It is transposed: return x.T, or swap the factors of the product."
    if len(came) == len(due):
        off = [c - d for c, d in zip(came, due, strict=True) if c != d]
        if len(off) == 1 and abs(off[0]) == 1 and -1 not in due:
            return (
                f"One {'too many' if off[0] == 1 else 'too few'} along axis "
                f"{[c != d for c, d in zip(came, due, strict=True)].index(True)}: "
                "is a range or a slice off by one?"
            )
    if len(came) < len(due) and _is_subsequence(came, due):
        return "An axis was summed away: keepdims=True keeps it, or name another axis."
    if -1 not in due and int(np.prod(came)) == int(np.prod(due)):
        return "The number of elements is right: reshape it."
    return ""


def _is_subsequence(short: tuple[int, ...], long: tuple[int, ...]) -> bool:
    rest = iter(long)
    return all(any(d == c for d in rest) for c in short)
