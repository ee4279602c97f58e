"""Make an array of what a student's function returned, or refuse it with a reason.

The value comes from a process that is not trusted. It may be None, a string, a tuple, or an
object that stayed in that process. Each of these is a mistake with a name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from grader.checks.shapes import each_shape, fits, shape_hint, shape_text
from grader.checks.showing import (
    KIND_WORDS,
    Shape,
    describe_type,
    first_index,
    index_text,
    kind_in_words,
    kinds_in_words,
    show,
    type_name,
)
from grader.checks.tolerances import PRECISION
from grader.diagnosis.wording import Array
from grader.errors import CheckFailed, NonFiniteValue

# An inverse transform leaves an imaginary part of about this size, relative to the array.
_ROUNDING = 1e-12

# The hint for a type that is not an array, by the name of its class.
_SPARSE = "Return an array: matrix.toarray()."
_OPAQUE_HINTS = {
    "function": "Your code returned a function. Did you write f where you meant f(x)?",
    "method": "Your code returned a method. Did you write f where you meant f(x)?",
    "builtin_function_or_method": "Your code returned a function. Are its parentheses missing?",
    "generator": "Build a list or an array from it: np.array(list(...)).",
    "map": "Build a list or an array from it: np.array(list(...)).",
    "zip": "Build a list or an array from it: np.array(list(...)).",
    "range": "Build an array from it: np.arange(...).",
    "set": "A set has no order: build an array.",
    "DataFrame": "Return an array: frame.to_numpy().",
    "Series": "Return an array: series.to_numpy().",
    "csr_matrix": _SPARSE,
    "csr_array": _SPARSE,
    "csc_matrix": _SPARSE,
    "csc_array": _SPARSE,
    "coo_matrix": _SPARSE,
    "coo_array": _SPARSE,
    "Tensor": "Return an array: tensor.detach().numpy().",
    "NotImplementedType": "Is the function not written yet?",
    "ellipsis": "Is the function not written yet?",
}


def as_array(
    value: object,
    *,
    called: str = "",
    shape: Shape | Sequence[Shape] | None = None,
    dtype_kind: str | None = None,
) -> Array:
    """Return the value as a plain ndarray of its own dtype, or refuse it with a reason.

    value : numbers, ndarrays, and lists of them; a tuple only if it holds plain numbers
    shape : as in assert_shape; None accepts every shape
    dtype_kind : the accepted numpy kinds ("fiu": real numbers, "b": booleans). With None, booleans
        count as 0 and 1, and complex values without imaginary part as real
    Raises CheckFailed for None, strings, dicts, tuples of arrays, ragged lists, objects.
    """
    array = _convert(value, called=called)
    if dtype_kind is None:
        array, dtype_kind = _without_imaginary(array), "fiub"
    if array.dtype.kind not in dtype_kind:
        raise CheckFailed(
            f"got {kind_in_words(array.dtype.kind)}, expected {kinds_in_words(dtype_kind)}",
            hint=_kind_hint(array.dtype.kind, dtype_kind),
            called=called,
            got=f"dtype {array.dtype}",
        )
    if shape is not None:
        assert_shape(array, shape, called=called)
    return array


def refuse_empty(array: Array, *, called: str = "", noun: str = "the result") -> None:
    """Refuse an array without elements: whatever is asked of each of them, it would hold."""
    if not array.size:
        raise CheckFailed(
            f"{noun} is empty: shape {array.shape}",
            hint="Are its data empty, or does a slice or a mask take nothing?",
            called=called,
        )


def as_scalar(value: object, *, called: str = "") -> float | np.floating[Any]:
    """Return the value as a float; arrays of one element, such as shape (1, 1), count.

    A float32 or float16 keeps its type, so that its own tolerance applies later.
    Raises CheckFailed for an array of several elements, or of none.
    """
    if isinstance(value, tuple):
        raise _tuple_failure(value, "one number", called=called)
    array = as_array(value, called=called)
    if array.size != 1:
        raise CheckFailed(
            f"got an array of shape {array.shape}, expected one number",
            hint="Is the sum or the mean over all elements missing?" if array.size else "",
            called=called,
            got=show(array),
        )
    number = array.reshape(-1)[0]
    return number if str(array.dtype) in PRECISION else float(number)


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
    names : letters of the dimensions, {"m": 120}, for the message
    Raises CheckFailed: "got shape (120,) = (m,), expected (120, 1) = (m, 1)".
    """
    letters = dict(names or {})
    array = _convert(value, called=called)
    accepted = [
        tuple(letters.get(d, d) if isinstance(d, str) else d for d in s) for s in each_shape(shape)
    ]
    if any(fits(array.shape, one) for one in accepted):
        return
    expected = " or ".join(
        shape_text(one, spec, letters)
        for one, spec in zip(accepted, each_shape(shape), strict=True)
    )
    got = shape_text(array.shape, array.shape, letters)
    raise CheckFailed(
        f"got shape {got}, expected {expected}"
        if array.ndim
        else f"got {got}, expected shape {expected}",
        hint=shape_hint(array.shape, accepted),
        called=called,
    )


def assert_dtype(value: object, kind: str, *, called: str = "") -> None:
    """Accept a value whose dtype is of this kind.

    kind : "float", "int", "bool", "number", or a dtype by its name ("float64", "uint8")
    Raises CheckFailed, which names both dtypes.
    """
    array = _convert(value, called=called)
    kinds = {"float": "f", "int": "iu", "bool": "b", "number": "fiu"}.get(kind)
    if kinds is not None:
        if array.dtype.kind in kinds:
            return
        expected = kinds_in_words(kinds)
        hint = _kind_hint(array.dtype.kind, kinds)
    else:
        if array.dtype == np.dtype(kind):
            return
        expected = f"{np.dtype(kind)}"
        hint = f"Convert with .astype(np.{np.dtype(kind)}), or create the array with that dtype."
    raise CheckFailed(
        f"the values are of dtype {array.dtype}, expected {expected}",
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


def non_finite_hint(array: Array) -> str:
    """Return the hint about the usual causes of nan or inf."""
    if np.isnan(array).any():
        return (
            "nan comes from 0/0, inf - inf, 0 * inf or the logarithm of a negative number: "
            "guard the denominator, or rewrite the formula for large arguments."
        )
    return (
        "inf comes from an overflow (of exp, or of values that grow at each step), from log(0) or "
        "from a division by 0. Print where the first one comes up. If it is exp: rewrite the "
        "formula so that exp only sees arguments <= 0."
    )


def _convert(value: object, *, called: str) -> Array:
    if isinstance(value, np.ndarray):
        if isinstance(value, np.ma.MaskedArray) and np.ma.getmaskarray(value).any():
            raise CheckFailed(
                "got a masked array with masked values, expected numbers",
                hint="Replace the masked values with .filled(...), or drop them with "
                ".compressed().",
                called=called,
            )
        array = np.asarray(value)
        if array.dtype.kind in "OVMm":
            raise CheckFailed(
                f"got an array of {KIND_WORDS[array.dtype.kind]}, expected numbers",
                hint="Do its rows differ in length, or does it hold arrays, None or strings?",
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


def _without_imaginary(array: Array) -> Array:
    """Return the real part if the imaginary part is 0 up to rounding; else the array."""
    if array.dtype.kind != "c" or not array.size:
        return array
    size = float(np.max(np.abs(array)))
    if np.isfinite(size) and np.all(np.abs(array.imag) <= _ROUNDING * size):
        return array.real
    return array


def _is_number(value: object) -> bool:
    return isinstance(value, (bool, int, float, complex, np.number, np.bool_))


def _from_numbers(value: object, *, called: str) -> Array:
    array = np.asarray(value)
    if array.dtype.kind == "O":
        raise CheckFailed(
            "got an integer that is too large for 64 bits",
            hint="Compute with floats: 2.0 ** n for 2 ** n.",
            called=called,
        )
    return array


def _from_list(value: list[Any], *, called: str) -> Array:
    odd = _first_odd(value)
    if odd is not None:
        raise CheckFailed(
            f"got a list that holds {'None' if odd is _NONE else describe_type(odd)},"
            " expected numbers",
            hint="Does a function that fills the list lack its `return`?" if odd is _NONE else "",
            called=called,
        )
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError, TypeError) as error:
        raise CheckFailed(
            "got a list whose rows differ in length",
            hint="All rows of an array have one length. Is an index or a slice off by one?",
            called=called,
        ) from error
    return _from_numbers(array, called=called)


def _first_odd(value: object, depth: int = 0) -> object:
    """Return the first item, at any depth, that is neither a number nor an array."""
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

# Stands for a None inside a list, since None itself means that nothing is wrong.
_NONE = object()


def _tuple_failure(value: tuple[Any, ...], expected: str, *, called: str) -> CheckFailed:
    hint = "Return it alone."
    if not value:
        hint = "The tuple is empty. Print the value that you return, for this input."
    elif len(value) == 1:
        hint = "A comma after the value makes a tuple of it: write `return x`, not `return x,`."
    return CheckFailed(
        f"returned {describe_type(value)}, expected {expected}", hint=hint, called=called
    )


def _type_failure(value: object, *, called: str) -> CheckFailed:
    if value is None:
        return CheckFailed(
            "returned None: is a `return` missing?",
            hint="A function without `return` gives None. Printing a value doesn't return it.",
            called=called,
        )
    if isinstance(value, str):
        return CheckFailed(
            "returned a string, expected numbers",
            hint="Return the number itself, not its text.",
            called=called,
            got=show(value, limit=80),
        )
    return CheckFailed(
        f"returned {describe_type(value)}, expected an array",
        hint=_OPAQUE_HINTS.get(type_name(value), ""),
        called=called,
    )


def _kind_hint(kind: str, expected: str) -> str:
    if kind == "c":
        return "Does the code take a root or a power of a negative number?"
    if kind == "b" and "f" in expected:
        return "A comparison gives booleans. Convert them to numbers with .astype(float)."
    if kind in "iu" and "f" in expected:
        return "An integer array cuts off fractions: create it as float, e.g. np.zeros(n)."
    if kind == "f" and "i" in expected:
        return "Convert with .astype(int)."
    if kind in "US":
        return "Convert with .astype(float), or .astype(int) for labels."
    return ""
