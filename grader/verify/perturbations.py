"""Distinguish a mutant that changes a value from one that is equivalent to the original.

Each check's requests to the reference are recorded in order. They are replayed on a mutant, with
the same and with changed arguments. A mutant with the reference's replies is equivalent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from grader.in_kernel.codec.forms import apart

Perturbation = Callable[[np.ndarray, np.random.Generator], np.ndarray]

RTOL = 1e-12
"""Relative to the largest magnitude of an array: the effect of another order of summation."""


# --- other arguments ----------------------------------------------------------------------


# Changed arguments stay of the kind that the check sent, so that a mutant isn't blamed for its
# result with a negative probability: only numbers of both signs change sign, labels stay labels,
# values in [0, 1] stay there, and a symmetric matrix stays symmetric (a covariance positive).


def _as_called(a: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return a


def _extreme(a: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Multiply numbers of both signs by -1000; round values in [0, 1]."""
    if a.dtype.kind not in "fc" or not a.size:
        return a
    if a.dtype.kind == "c" or a.min() < 0:
        return (1e3 if _is_symmetric(a) and _is_positive(a) else -1e3) * a
    return np.round(a) if a.max() <= 1 else a


def _drawn_anew(a: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if a.dtype.kind not in "fiu" or not a.size:
        return a
    low, high = a.min(), a.max()
    labels = low == 0 and high == 1 and np.isin(a, (0.0, 1.0)).all()
    if a.dtype.kind != "f" or labels:  # integers are pixels or digits
        return rng.permutation(a.ravel()).reshape(a.shape)
    if _is_symmetric(a):
        drawn = rng.normal(size=a.shape) if low < 0 else rng.uniform(0, high, size=a.shape)
        drawn = drawn @ drawn.T + np.eye(len(a)) if _is_positive(a) else (drawn + drawn.T) / 2
        return drawn.astype(a.dtype)
    if not np.isfinite(a).all() or low < 0 or high == 0:  # weights may start at zero
        return rng.normal(size=a.shape).astype(a.dtype)
    if low == high:
        low, high = 0.0, 2 * high
    return rng.uniform(low, high, size=a.shape).astype(a.dtype)


def _not_symmetric(a: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add random numbers to a symmetric matrix."""
    return a + rng.normal(size=a.shape).astype(a.dtype) if _is_symmetric(a) else a


def _is_symmetric(a: np.ndarray) -> bool:
    """Tell whether an array is a symmetric matrix; a diagonal one is not meant as one."""
    if a.dtype.kind != "f" or a.ndim != 2 or a.shape[0] != a.shape[1] or len(a) < 2:
        return False
    return bool(np.array_equal(a, a.T) and np.any(a != np.diag(np.diag(a))))


def _is_positive(a: np.ndarray) -> bool:
    return bool(np.isfinite(a).all() and np.linalg.eigvalsh(a.astype(float))[0] > 0)


def holds_symmetric(value: Any) -> bool:
    """Tell whether a value holds a symmetric matrix."""
    if isinstance(value, np.ndarray):
        return _is_symmetric(value)
    if isinstance(value, dict):
        value = [*value.values()]
    return isinstance(value, list | tuple) and any(map(holds_symmetric, value))


def _shorter(a: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Drop the last row: arrays that belong together all lose it."""
    return a[:-1] if a.ndim and len(a) > 1 else a


AS_CALLED = "as the check called it"
NOT_SYMMETRIC = "with a matrix that is not symmetric, as each one of the check's is"
"""Only where a check sends symmetric matrices. The instructor decides whether others matter."""

PERTURBATIONS: dict[str, Perturbation] = {
    AS_CALLED: _as_called,
    "with extreme arguments": _extreme,
    "with arguments drawn anew": _drawn_anew,
    "with one row less": _shorter,
    NOT_SYMMETRIC: _not_symmetric,
}


def perturb(value: Any, change: Perturbation, rng: np.random.Generator) -> Any:
    """Return the value with every array and float in it changed.

    Integers don't change: they count epochs, name handles, or are indices.
    """
    if isinstance(value, np.ndarray):
        return change(value, rng)
    if isinstance(value, float):  # np.float64 too
        return type(value)(change(np.array(value), rng))
    if isinstance(value, list | tuple):
        return type(value)(perturb(item, change, rng) for item in value)
    if isinstance(value, dict):
        return {key: perturb(item, change, rng) for key, item in value.items()}
    return value


def jittered(change: Perturbation) -> Perturbation:
    """Return the change, followed by a change of each float in its last digits."""

    def changed(a: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        other = change(a, rng)
        if other.dtype.kind != "f":
            return other
        # A generator of its own: the change itself draws the same numbers as without it.
        last_digits = np.random.default_rng(other.size).uniform(-_DIGITS, _DIGITS, other.shape)
        return (other * (1 + last_digits)).astype(other.dtype)

    return changed


_DIGITS = 8 * float(np.finfo(float).eps)
_AMPLIFIED = 100.0
_UNDETERMINED = 1e-6


def is_rounding(right: Any, got: Any, right_jittered: Any) -> bool:
    """Tell whether two replies differ by no more than a change of the last digits makes.

    right_jittered : the reply of the right code to arguments with other last digits
    """
    a, b, c = (_floats_in(value) for value in (right, got, right_jittered))
    if not a.size or a.shape != b.shape or a.shape != c.shape:
        return False
    if not (np.isfinite(a).all() and np.isfinite(b).all() and np.isfinite(c).all()):
        return False
    own = float(np.max(np.abs(a - c)))
    if own > _UNDETERMINED * np.max(np.abs(a)):
        return True  # the right code's own reply is noise: it tells nothing of the mutant
    return bool(np.max(np.abs(a - b)) <= _AMPLIFIED * own)


def _floats_in(value: Any) -> np.ndarray:
    """Return all floats of a reply in one row."""
    if isinstance(value, np.ndarray | float):
        array = np.asarray(value)
        return array.ravel() if array.dtype.kind == "f" else np.zeros(0)
    if isinstance(value, dict):
        value = [*value.values()]
    if isinstance(value, list | tuple) and value:
        return np.concatenate([_floats_in(item) for item in value])
    return np.zeros(0)


def payload(value: Any) -> int:
    """Return the approximate size of a request's arguments, in numbers."""
    if isinstance(value, np.ndarray):
        return value.size
    if isinstance(value, list | tuple):
        return 1 + sum(map(payload, value))
    if isinstance(value, dict):
        return 1 + sum(map(payload, value.values()))
    return 1


# --- the same reply -----------------------------------------------------------------------


def same_value(a: Any, b: Any) -> bool:
    """Return whether two replies hold the same values, to RTOL; nan equals nan."""
    if _is_plain_array(a) or _is_plain_array(b):
        return _same_array(a, b)
    if isinstance(a, float) and isinstance(b, float):
        return _same_array(np.array(a), np.array(b))
    if type(a) is not type(b):
        return False
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same_value, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same_value(a[key], b[key]) for key in a)
    form = apart(a)
    if form is not None:
        other = apart(b)
        return other is not None and form[0] == other[0] and same_value(form[1], other[1])
    return bool(a == b)


def _is_plain_array(value: Any) -> bool:
    if isinstance(value, np.ma.MaskedArray) or not isinstance(value, np.ndarray | np.generic):
        return False
    return value.dtype.names is None


def _same_array(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) is not isinstance(b, np.ndarray):
        return False
    x, y = np.asarray(a), np.asarray(b)
    if x.dtype != y.dtype or x.shape != y.shape:
        return False
    if x.dtype.kind not in "fc":
        return bool(np.array_equal(x, y))
    finite = np.isfinite(x)
    if not np.array_equal(finite, np.isfinite(y)):
        return False
    if not np.array_equal(x[~finite], y[~finite], equal_nan=True):
        return False
    scale = np.abs(x[finite]).max(initial=0.0)
    return bool(np.all(np.abs(x[finite] - y[finite]) <= RTOL * scale))


def first_difference(expected: list[Any], got: list[Any]) -> int | None:
    """Return the index of the first reply that differs; None if all are equal."""
    for index, (a, b) in enumerate(zip(expected, got, strict=False)):
        if not same_value(a, b):
            return index
    return None if len(expected) == len(got) else min(len(expected), len(got))


def generator_of(variant: str) -> np.random.Generator:
    """Return a generator that draws the same numbers in every replay of a variant."""
    return np.random.default_rng(list(PERTURBATIONS).index(variant))
