"""Tells a mutant that changes a value from one that is the same function in other words.

What the checks ask of the reference is recorded, a story a check: its requests, in order.
Replayed against a mutant, with the same and with changed arguments, the stories give the
reference's replies or they don't.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Perturbation = Callable[[np.ndarray, np.random.Generator], np.ndarray]

RTOL = 1e-12
"""Relative to the largest magnitude of an array: what another order of summation changes."""


# --- other arguments ----------------------------------------------------------------------


def _same(a: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return a


def _negated(a: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if a.dtype.kind == "u":
        return np.iinfo(a.dtype).max - a
    return -a if a.dtype.kind in "ifc" else a


def _scaled(a: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return a * 1e3 if a.dtype.kind in "fc" else a


def _shuffled(a: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(a.ravel()).reshape(a.shape)


def _drawn_anew(a: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if a.dtype.kind == "f":
        return rng.normal(size=a.shape).astype(a.dtype)
    if a.dtype.kind in "iu" and a.size:
        return rng.integers(a.min(), int(a.max()) + 1, size=a.shape).astype(a.dtype)
    return a


def _shorter(a: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One row less: arrays that belong together lose it together."""
    return a[:-1] if a.ndim and len(a) > 1 else a


PERTURBATIONS: dict[str, Perturbation] = {
    "as the check called it": _same,
    "arguments negated": _negated,
    "arguments times 1000": _scaled,
    "arguments shuffled": _shuffled,
    "arguments drawn anew": _drawn_anew,
    "one row less": _shorter,
}


def perturb(value: Any, change: Perturbation, rng: np.random.Generator) -> Any:
    """Return the value with every array and float in it changed; the rest is left alone.

    Integers stay: they count epochs, name handles and index.
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


# --- the same reply -----------------------------------------------------------------------


def same_value(a: Any, b: Any) -> bool:
    """True where two replies hold the same values, to RTOL; nan equals nan."""
    if isinstance(a, np.ndarray | np.generic) or isinstance(b, np.ndarray | np.generic):
        return _same_array(a, b)
    if isinstance(a, float) and isinstance(b, float):
        return _same_array(np.array(a), np.array(b))
    if type(a) is not type(b):
        return False
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same_value, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same_value(a[key], b[key]) for key in a)
    return bool(a == b)


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
    """Return the index of the first reply that differs, None where none does."""
    for index, (a, b) in enumerate(zip(expected, got, strict=False)):
        if not same_value(a, b):
            return index
    return None if len(expected) == len(got) else min(len(expected), len(got))


def variants(count: int) -> Iterator[tuple[str, Perturbation, np.random.Generator]]:
    """Yield each perturbation with a generator of its own, the same for every replay."""
    for number, (name, change) in enumerate(PERTURBATIONS.items()):
        yield name, change, np.random.default_rng([number, count])
