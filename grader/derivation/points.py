"""The points at which two sides are compared: random points of the domains, and special ones.

Values have two decimals, so that a reader can check them by hand.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from grader.derivation.context import Context, ContextError, Declared
from grader.derivation.evaluation import Point, index_range, size
from grader.derivation.values import Matrix, Real, Value, mp

RANDOM_POINTS = 6
# Neither near 0 nor near 1, where mistakes hide.
_HUNDREDTHS = [x for x in range(13, 240) if abs(x - 100) > 6]
MOST_CASES = 27
"""Most combinations of labels and indices: all pairs and triples of three classes."""


def points(context: Context, names: Sequence[str], seed: int = 0) -> Iterator[Point]:
    """Yield random points that give every name a value; each case comes at least once."""
    declared = [context.declared[name] for name in sorted(names) if name in context.declared]
    finite, others = _parted(declared)
    cases = _cases(context, finite, seed)
    for n in range(max(RANDOM_POINTS, 2 * len(cases) if len(cases) <= 4 else len(cases))):
        yield _point(context, others, finite, cases[n % len(cases)], f"{seed}:{n}", n)


def special_points(context: Context, names: Sequence[str]) -> Iterator[Point]:
    """Yield points at which formulas often break: 0, 1, and large numbers."""
    declared = [context.declared[name] for name in sorted(names) if name in context.declared]
    finite, others = _parted(declared)
    cases = _cases(context, finite, seed=0)[:6]
    for place in ("0", "1", "6", "-6"):
        for chosen in ([None] if len(others) == 1 else [None, *others])[:3]:
            for case in cases[:3]:
                base = _point(context, others, finite, case, "0:special")
                values = dict(base.values)
                for d in others:
                    if (chosen is None or d is chosen) and _contains(d, place):
                        values[d.name] = _filled(context, d, mp.mpf(place))
                yield Point(values, base.indices, special=True)


def _parted(declared: Sequence[Declared]) -> tuple[list[Declared], list[Declared]]:
    """Return the names with few possible values, and the others."""
    finite = [d for d in declared if (d.finite and not d.shape) or d.domain == "one-hot"]
    return finite, [d for d in declared if d not in finite]


def _cases(context: Context, finite: Sequence[Declared], seed: int) -> list[tuple[Any, ...]]:
    """Return combinations of the finite names' values: all if there are few, else a sample."""
    choices: list[list[Any]] = []
    for d in finite:
        if d.domain == "index":
            choices.append(list(index_range(context, d)))
        elif d.domain == "one-hot":
            choices.append(
                [_one_hot(size(context, d.shape[0]), n) for n in range(size(context, d.shape[0]))]
            )
        else:
            choices.append([mp.mpf(_fraction(text)) for text in d.values])
    total = 1
    for options in choices:
        total *= len(options)
    if total <= MOST_CASES:
        return list(product(*choices))
    rng = random.Random(f"{seed}:cases")
    drawn = [tuple(rng.choice(options) for options in choices) for _ in range(MOST_CASES)]
    level = [tuple(options[min(i, len(options) - 1)] for options in choices) for i in range(3)]
    return [*level, *drawn]


def _point(
    context: Context,
    others: Sequence[Declared],
    finite: Sequence[Declared],
    case: tuple[Any, ...],
    seed: str,
    number: int = 9,
) -> Point:
    values: dict[str, Value] = {}
    indices: dict[str, int] = {}
    for d, chosen in zip(finite, case, strict=True):
        if d.domain == "index":
            indices[d.name] = int(chosen)
        else:
            values[d.name] = chosen
    taken: set[str] = set()
    for d in others:
        value = _drawn(context, d, random.Random(f"{seed}:{d.name}"), taken)
        if d.domain in ("real", "nonzero") and number < 4 and not isinstance(value, Matrix):
            # Two points on each side of 0: |x| = x holds only on one side. Labels alternate from
            # point to point, so signs change every second time.
            negative = (number // 2 + len(d.name) + ord(d.name[-1])) % 2
            value = -abs(value) if negative else abs(value)
        values[d.name] = value
    return Point(values, indices)


def _drawn(context: Context, d: Declared, rng: random.Random, taken: set[str]) -> Value:
    if d.domain == "size":
        return mp.mpf(d.values[0])
    if not d.shape:
        return _one(d, rng, taken)
    rows = size(context, d.shape[0])
    cols = size(context, d.shape[1]) if len(d.shape) > 1 else 1
    entries = [[_one(d, rng, taken) for _ in range(cols)] for _ in range(rows)]
    if d.domain == "probabilities":
        total = sum((abs(row[0]) for row in entries), mp.mpf(0))
        return Matrix(tuple((abs(row[0]) / total,) for row in entries))
    return Matrix(tuple(tuple(row) for row in entries))


def _one_hot(rows: int, hot: int) -> Matrix:
    return Matrix(tuple((mp.mpf(i == hot),) for i in range(rows)))


def _one(d: Declared, rng: random.Random, taken: set[str]) -> Real:
    """Return a number of the domain, different for each name: x = w would hide a swap."""
    for _ in range(50):
        text = _draw_text(d, rng)
        if text.lstrip("-") not in taken:
            break
    taken.add(text.lstrip("-"))
    return mp.mpf(text)


def _draw_text(d: Declared, rng: random.Random) -> str:
    if d.domain == "set":
        return str(_fraction(rng.choice(d.values)))
    if d.domain == "interval":
        low, high = (_end(end) for end in d.values)
        return f"{rng.uniform(low + 0.04 * (high - low), high - 0.04 * (high - low)):.3f}"
    size_ = rng.choice(_HUNDREDTHS) / 100
    if d.domain in ("positive", "nonnegative", "probabilities"):
        return f"{size_:.2f}"
    if d.domain == "negative":
        return f"{-size_:.2f}"
    return f"{rng.choice((-1, 1)) * size_:.2f}"


def _end(text: str) -> float:
    if "inf" in text:
        return -8.0 if text.startswith("-") else 8.0
    return float(_fraction(text))


def _fraction(text: str) -> float | str:
    try:
        above, slash, below = text.partition("/")
        if slash:
            return float(above) / float(below)
        float(text)
    except (ValueError, ZeroDivisionError) as error:
        raise ContextError(f'symbols: "{text}" is not a number') from error
    return text.strip().lstrip("+")


def _contains(d: Declared, place: str) -> bool:
    x = float(place)
    if d.domain in ("size", "set", "one-hot", "probabilities", "function"):
        return False
    if d.domain == "interval":
        return _end(d.values[0]) < x < _end(d.values[1])
    return {
        "positive": x > 0, "nonnegative": x >= 0, "negative": x < 0, "nonzero": x != 0,
    }.get(d.domain, True)  # fmt: skip


def _filled(context: Context, d: Declared, x: Real) -> Value:
    if not d.shape:
        return x
    rows = size(context, d.shape[0])
    cols = size(context, d.shape[1]) if len(d.shape) > 1 else 1
    return Matrix(tuple(tuple(x for _ in range(cols)) for _ in range(rows)))
