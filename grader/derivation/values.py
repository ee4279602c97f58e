"""Numbers of 50 digits and small matrices of them; the cost of every operation is bounded.

A value is an mpf (one number) or a Matrix (a vector is a column). An operation without a result at
a point raises Undefined, and so does one with numbers so large that it would hang the process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeAlias

from mpmath.ctx_mp import MPContext

Real: TypeAlias = Any
"""An mpf; mpmath has no types."""
mp = MPContext()
# 50 digits count; differences of up to fourth order lose the others.
mp.dps = 62
ZERO, ONE = mp.mpf(0), mp.mpf(1)
LARGEST_EXPONENT = mp.mpf(10) ** 15
"""The largest x for exp(x): mpmath can hold exp(1e15), but not a tower of exponents."""


class Undefined(Exception):
    """There is no value at this point: a division by 0, the logarithm of a negative number."""


class Impossible(Exception):
    """This reading of a formula has no meaning: shapes that don't fit, an index of a number."""


@dataclass(frozen=True)
class Matrix:
    """Rows of numbers; shape (n, 1) is a vector."""

    rows: tuple[tuple[Real, ...], ...]

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.rows), len(self.rows[0])

    def transposed(self) -> Matrix:
        return Matrix(tuple(zip(*self.rows, strict=True)))

    def map(self, function: Callable[[Real], Real]) -> Matrix:
        return Matrix(tuple(tuple(function(x) for x in row) for row in self.rows))

    def entries(self) -> list[Real]:
        return [x for row in self.rows for x in row]


Value: TypeAlias = Any
"""A Real or a Matrix."""


def column(entries: list[Real]) -> Matrix:
    return Matrix(tuple((x,) for x in entries))


def number(value: Value) -> Real:
    if isinstance(value, Matrix):
        raise Impossible("a vector stands in the place of a number")
    return value


def add(left: Value, right: Value) -> Value:
    if isinstance(left, Matrix) and isinstance(right, Matrix):
        if left.shape != right.shape:
            raise Impossible(f"a sum of the shapes {left.shape} and {right.shape}")
        return Matrix(
            tuple(
                tuple(a + b for a, b in zip(x, y, strict=True))
                for x, y in zip(left.rows, right.rows, strict=True)
            )
        )
    if isinstance(left, Matrix) or isinstance(right, Matrix):
        if left == 0:
            return right
        if right == 0:
            return left
        raise Impossible("a sum of a number and a vector")
    return _checked(left + right)


def scale(value: Value, factor: Real) -> Value:
    return value.map(lambda x: x * factor) if isinstance(value, Matrix) else value * factor


def multiply(left: Value, right: Value, *, elementwise: bool = False, dot: bool = False) -> Value:
    """Return the product; with `dot`, that of two vectors of one shape is the inner product."""
    if not isinstance(left, Matrix) or not isinstance(right, Matrix):
        if isinstance(left, Matrix):
            return scale(left, number(right))
        return scale(right, left) if isinstance(right, Matrix) else _checked(left * right)
    if elementwise:
        if left.shape != right.shape:
            raise Impossible(f"a product of the shapes {left.shape} and {right.shape}")
        pairs = zip(left.rows, right.rows, strict=True)
        return Matrix(tuple(tuple(a * b for a, b in zip(x, y, strict=True)) for x, y in pairs))
    if dot and left.shape == right.shape and left.shape[1] == 1:
        return sum((a * b for a, b in zip(left.entries(), right.entries(), strict=True)), ZERO)
    if left.shape[1] != right.shape[0]:
        raise Impossible(f"a product of the shapes {left.shape} and {right.shape}")
    columns = tuple(zip(*right.rows, strict=True))
    rows = tuple(
        tuple(sum((a * b for a, b in zip(row, col, strict=True)), ZERO) for col in columns)
        for row in left.rows
    )
    return rows[0][0] if len(rows) == len(columns) == 1 else Matrix(rows)


def divide(left: Value, right: Value) -> Value:
    below = number(right)
    if below == 0:
        raise Undefined("a division by 0")
    if isinstance(left, Matrix):
        return left.map(lambda x: x / below)
    return _checked(left / below)


def power(base: Value, exponent: Value) -> Value:
    if isinstance(base, Matrix):
        raise Impossible("a power of a vector")
    x, n = base, number(exponent)
    if not (mp.isfinite(x) and mp.isfinite(n)):
        raise Undefined("a power at infinity")
    if x == 0:
        if n > 0:
            return ZERO
        if n == 0:
            return ONE
        raise Undefined("a division by 0")
    whole = abs(n) < 1000 and n == int(n)
    if whole:
        return x ** int(n)
    if x < 0:
        if n != mp.floor(n) or abs(n) > LARGEST_EXPONENT:
            raise Undefined("a root of a negative number")
        size = exp(n * mp.log(-x))
        return size if int(n) % 2 == 0 else -size
    return exp(n * mp.log(x))


def exp(x: Real) -> Real:
    if x > LARGEST_EXPONENT:
        raise Undefined("a number too large")
    if x < -LARGEST_EXPONENT:
        return ZERO
    return mp.exp(x)


def log(x: Real) -> Real:
    if x <= 0 or not mp.isfinite(x):
        raise Undefined("the logarithm of a number that is not positive")
    return mp.log(x)


def sigmoid(x: Real) -> Real:
    return 1 / (1 + exp(-x))


def _tame(function: Callable[[Real], Real]) -> Callable[[Real], Real]:
    """Return an mpmath function that refuses large arguments, which would take long."""

    def bounded(x: Real) -> Real:
        if abs(x) > 10**6:
            raise Undefined("an argument too large")
        value = function(x)
        if not isinstance(value, mp.mpf):
            raise Undefined("no real number")
        return _checked(value)

    return bounded


def _tanh(x: Real) -> Real:
    return mp.tanh(x) if abs(x) < 10**6 else mp.sign(x)


def _inside(function: Callable[[Real], Real]) -> Callable[[Real], Real]:
    def bounded(x: Real) -> Real:
        if abs(x) > 1:
            raise Undefined("an argument outside [-1, 1]")
        return function(x)

    return bounded


def _artanh(x: Real) -> Real:
    if abs(x) >= 1:
        raise Undefined("an argument outside (-1, 1)")
    return mp.atanh(x)


SCALAR: dict[str, Callable[[Real], Real]] = {
    "exp": exp,
    "log": log,
    "sqrt": lambda x: power(x, mp.mpf("0.5")),
    "sin": _tame(mp.sin), "cos": _tame(mp.cos), "tan": _tame(mp.tan), "cot": _tame(mp.cot),
    "sec": _tame(mp.sec), "csc": _tame(mp.csc), "sinh": _tame(mp.sinh), "cosh": _tame(mp.cosh),
    "coth": _tame(mp.coth), "arctan": mp.atan, "arcsin": _inside(mp.asin),
    "arccos": _inside(mp.acos), "artanh": _artanh, "erf": _tame(mp.erf),
    "tanh": _tanh,
    "abs": abs,
    "sign": lambda x: mp.mpf(mp.sign(x)),
    "sigmoid": sigmoid,
    "softplus": lambda x: log(1 + exp(x)),
    "relu": lambda x: x if x > 0 else ZERO,
    "logit": lambda x: log(x) - log(1 - x),
}  # fmt: skip
"""Functions of one number; for a vector they work on each element."""

INVERSE = {
    "exp": "log", "log": "exp", "sigmoid": "logit", "tanh": "artanh", "sin": "arcsin",
    "cos": "arccos", "tan": "arctan", "logit": "sigmoid",
}  # fmt: skip


def softmax(value: Value) -> Matrix:
    if not isinstance(value, Matrix):
        raise Impossible("the softmax of a number")
    powers = value.map(exp)
    total = sum(powers.entries(), ZERO)
    return powers.map(lambda x: x / total)


def of_vector(name: str, value: Value) -> Value:
    """Return softmax, logsumexp, diag or trace of a value."""
    if name == "softmax":
        return softmax(value)
    if not isinstance(value, Matrix):
        raise Impossible(f"{name} of a number")
    if name == "logsumexp":
        return log(sum(value.map(exp).entries(), ZERO))
    size = value.shape[0]
    if name == "diag" and value.shape[1] == 1:
        rows = tuple(
            tuple(value.rows[i][0] if i == j else ZERO for j in range(size)) for i in range(size)
        )
        return Matrix(rows)
    if name == "tr" and value.shape[0] == value.shape[1]:
        return sum((value.rows[i][i] for i in range(size)), ZERO)
    raise Impossible(f"{name} of the shape {value.shape}")


def extremum(name: str, values: list[Value]) -> Real:
    numbers = [number(value) for value in values]
    return reduce(max if name == "max" else min, numbers)


def norm(value: Value, order: str) -> Real:
    entries = value.entries() if isinstance(value, Matrix) else [value]
    if order == "1":
        return sum((abs(x) for x in entries), ZERO)
    if order == "\\infty":
        return max(abs(x) for x in entries)
    return mp.sqrt(sum((x * x for x in entries), ZERO))


def _checked(value: Real) -> Real:
    if mp.isnan(value):
        raise Undefined("no number")
    return value


def same(left: Value, right: Value) -> bool:
    """Return whether two values agree in 12 digits: enough to exclude chance and rounding."""
    if isinstance(left, Matrix) or isinstance(right, Matrix):
        if not (isinstance(left, Matrix) and isinstance(right, Matrix)):
            # "= 0" stands for the zero vector.
            matrix, plain = (left, right) if isinstance(left, Matrix) else (right, left)
            if plain != 0:
                raise Impossible("a vector on one side and a number on the other")
            return all(same(x, ZERO) for x in matrix.entries())
        if left.shape != right.shape:
            if left.shape == right.shape[::-1] and 1 in left.shape:
                return same(left, right.transposed())  # a gradient is a row or a column
            raise Impossible(f"the shapes {left.shape} and {right.shape}")
        return all(same(a, b) for a, b in zip(left.entries(), right.entries(), strict=True))
    if not (mp.isfinite(left) and mp.isfinite(right)):
        return bool(left == right)
    room = mp.mpf("1e-12") * (abs(left) + abs(right)) + mp.mpf("1e-15")
    return bool(abs(left - right) <= room)
