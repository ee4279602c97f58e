"""Checks of random numbers: their distribution, frequencies, mean and variance.

Each check has a declared rate of false failures: how often it refuses correct draws. `false_fail`
sets it. The default is one in a million: of a hundred students with ten such checks a year, one is
refused in a thousand years. tests/benchmarks/distributions.py measures the rates.

Sources: Stephens, Use of the Kolmogorov-Smirnov statistics without extensive tables, J. R.
Stat. Soc. B 32 (1970); Wilson and Hilferty, The distribution of chi-square, PNAS 17 (1931).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from statistics import NormalDist
from typing import Any

import numpy as np

from grader.checks.arrays import as_array, assert_finite
from grader.checks.showing import show
from grader.diagnosis.wording import Array, number
from grader.errors import CheckFailed

FALSE_FAIL = 1e-6
# Fewer numbers than this can't show that they were drawn.
_FEWEST = 8
# Chi-square says nothing of cells with fewer expected hits than this.
_FEW_HITS = 5.0
# A series this long is in order once in 80 million times.
_ORDERED = 11


def assert_drawn(
    weights: object,
    *,
    mean: float,
    std: float,
    called: str = "",
    noun: str = "the weights",
    false_fail: float = FALSE_FAIL,
) -> None:
    """Accept values that look drawn from a normal distribution with this mean and deviation.

    It compares the standard deviation, the mean and the shape of the distribution. It also refuses
    numbers that no generator gives: a few values repeated, equal rows, numbers in order.
    Raises CheckFailed, which names the first fault.
    """
    values = _numbers(weights, called)
    seen = f"mean {values.mean():.3g} and standard deviation {values.std():.3g}"
    _refuse_patterns(values, called=called, noun=noun)
    level = false_fail / 3
    if not _variance_fits(values, None, std**2, level):
        problem = f"{noun} do not have standard deviation {std:g}"
        raise CheckFailed(problem, hint=_spread_hint(values, mean, std), called=called, got=seen)
    if abs(values.mean() - mean) > _normal_quantile(level) * std / math.sqrt(values.size):
        raise CheckFailed(f"{noun} do not have mean {mean:g}", called=called, got=seen)
    normal = NormalDist(mean, std)
    assert_distribution(
        values,
        lambda x: np.array([normal.cdf(v) for v in x]),
        called=called,
        noun=noun,
        name=f"a normal distribution with mean {mean:g} and standard deviation {std:g}",
        false_fail=level,
    )


def assert_uniform(
    values: object,
    low: float,
    high: float,
    *,
    called: str = "",
    noun: str = "the numbers",
    false_fail: float = FALSE_FAIL,
) -> None:
    """Accept values that look drawn from a uniform distribution on [low, high].

    Raises CheckFailed for a number outside, a few values repeated, equal rows, numbers in order,
    and for another distribution.
    """
    array = _numbers(values, called)
    outside = (array < low) | (array > high)
    if outside.any():
        raise CheckFailed(
            f"{int(outside.sum())} of {array.size} of {noun} are not between {low:g} and {high:g}",
            called=called,
            got=f"from {array.min():.6g} to {array.max():.6g}",
        )
    _refuse_patterns(array, called=called, noun=noun)
    assert_distribution(
        array,
        lambda x: (x - low) / (high - low),
        called=called,
        noun=noun,
        name=f"a uniform distribution from {low:g} to {high:g}",
        false_fail=false_fail,
    )


def assert_distribution(
    values: object,
    cdf: Callable[[Array], Any],
    *,
    name: str,
    called: str = "",
    noun: str = "the numbers",
    false_fail: float = FALSE_FAIL,
) -> None:
    """Accept values that look drawn from a continuous distribution, by Kolmogorov and Smirnov.

    cdf : (n,) -> (n,), the cumulative distribution function
    name : of the distribution, for the message
    Raises CheckFailed, with the place where the two cumulative functions differ most.
    """
    array = np.sort(_numbers(values, called).reshape(-1))
    p = np.asarray(cdf(array), dtype=float)
    steps = np.arange(array.size + 1) / array.size
    distance = float(max(np.max(steps[1:] - p), np.max(p - steps[:-1])))
    if kolmogorov(distance, array.size) < false_fail:
        at = int(np.argmax(np.maximum(steps[1:] - p, p - steps[:-1])))
        raise CheckFailed(
            f"{noun} are not drawn from {name}",
            hint="A histogram of them (plt.hist) shows how they differ.",
            called=called,
            where=f"{100 * steps[at + 1]:.3g} % are at most {array[at]:.4g}, expected "
            f"{100 * p[at]:.3g} %",
        )


def assert_frequencies(
    values: object,
    probabilities: Mapping[Any, float],
    *,
    called: str = "",
    noun: str = "the values",
    false_fail: float = FALSE_FAIL,
) -> None:
    """Accept values that are as frequent as their probabilities say, by Pearson's chi-square.

    probabilities : {value: p}, with sum 1; values with few expected hits are counted together
    Raises CheckFailed for a value that is not among them, and for wrong frequencies.
    """
    array = np.asarray(as_array(values, called=called, dtype_kind="fiubSU")).reshape(-1)
    if abs(sum(probabilities.values()) - 1) > 1e-9:
        raise ValueError("the probabilities of this check do not sum to 1")
    hits = np.array([int(np.sum(array == value)) for value in probabilities])
    expected_hits = array.size * np.array(list(probabilities.values()), dtype=float)
    if hits.sum() < array.size or np.any(hits[expected_hits == 0]):
        raise CheckFailed(
            f"{noun} hold values other than {', '.join(map(str, probabilities))}", called=called
        )
    few = expected_hits < _FEW_HITS
    if few.any():
        hits = np.append(hits[~few], hits[few].sum())
        expected_hits = np.append(expected_hits[~few], expected_hits[few].sum())
    if expected_hits.size < 2 or expected_hits.min() < _FEW_HITS:
        raise ValueError(f"{array.size} values are too few to tell their frequencies")
    statistic = float(np.sum((hits - expected_hits) ** 2 / expected_hits))
    if statistic > _chi_square_quantile(expected_hits.size - 1, _one_sided(false_fail)):
        worst = int(np.argmax((hits - expected_hits) ** 2 / expected_hits))
        names = [str(v) for v, rare in zip(probabilities, few, strict=True) if not rare]
        raise CheckFailed(
            f"{noun} are not as frequent as they should be",
            called=called,
            where=f"{[*names, 'the rare ones'][worst]}: {int(hits[worst])} of {array.size}, "
            f"expected {number(float(expected_hits[worst]))}",
        )


def assert_mean(
    values: object,
    mean: float,
    *,
    std: float | None = None,
    called: str = "",
    noun: str = "the numbers",
    false_fail: float = FALSE_FAIL,
) -> None:
    """Accept independent numbers that may come from a distribution with this mean.

    std : the distribution's standard deviation; None if it is unknown: the numbers' own is used
    Raises CheckFailed, with the interval of means that chance can give.
    """
    array = _numbers(values, called).reshape(-1)
    known = std is not None
    spread = float(std if std is not None else array.std(ddof=1))
    times = _normal_quantile(false_fail)
    room = (times if known else _student(times, array.size - 1)) * spread / math.sqrt(array.size)
    found = float(array.mean())
    if not abs(found - mean) <= room + 1e-12 * abs(mean):
        raise CheckFailed(
            f"{noun} do not have mean {mean:g}",
            called=called,
            got=f"mean {found:.4g}; {mean - room:.4g} to {mean + room:.4g} can happen by chance",
        )


def assert_variance(
    values: object,
    variance: float,
    *,
    mean: float | None = None,
    called: str = "",
    noun: str = "the numbers",
    false_fail: float = FALSE_FAIL,
) -> None:
    """Accept independent normal numbers that may come from a distribution with this variance.

    mean : the distribution's mean; None if it is unknown: the numbers' own is used
    Raises CheckFailed, with the variance of the numbers.
    """
    array = _numbers(values, called).reshape(-1)
    if _variance_fits(array, mean, variance, false_fail):
        return
    found = float(array.var(ddof=1))
    wide = abs(found - variance**2) < 0.1 * variance**2 and abs(variance - 1) > 0.2
    raise CheckFailed(
        f"{noun} do not have variance {variance:g}",
        hint="Is the variance taken for the standard deviation?" if wide else "",
        called=called,
        got=f"variance {found:.4g}",
    )


def kolmogorov(distance: float, n: int) -> float:
    """Return the probability that n correct draws are this far from their distribution."""
    root = math.sqrt(n)
    x = (root + 0.12 + 0.11 / root) * distance
    if x < 0.2:
        return 1.0
    terms = ((-1) ** (k - 1) * math.exp(-2 * (k * x) ** 2) for k in range(1, 101))
    return min(1.0, max(0.0, 2 * math.fsum(terms)))


# --- patterns ---------------------------------------------------------------------------


def _refuse_patterns(values: Array, *, called: str, noun: str) -> None:
    """Refuse numbers that no generator of a continuous distribution gives."""
    flat = values.reshape(-1)
    distinct = np.unique(flat).size
    if distinct == 1:
        raise CheckFailed(
            f"{noun} are all {number(float(flat[0]))}",
            hint="Draw each of them: units that start with equal weights stay equal.",
            called=called,
        )
    # A generator has at least 2**24 different numbers in float32: it repeats few of many thousand.
    if distinct < 0.9 * flat.size:
        raise CheckFailed(
            f"{noun} take only {distinct} different values in {flat.size} elements",
            hint="Draw a number for each element: pass the shape to the generator.",
            called=called,
        )
    if values.ndim == 2:
        for axis, line in ((0, "rows"), (1, "columns")):
            lines = np.moveaxis(values, axis, 0)
            if lines.shape[1] > 1 and len(np.unique(lines, axis=0)) < len(lines):
                raise CheckFailed(
                    f"two {line} of {noun} are equal",
                    hint="Draw each of them: units that start with equal weights stay equal.",
                    called=called,
                )
    for order in (flat, values.T.reshape(-1)):
        steps = np.diff(order)
        in_order = flat.size >= _ORDERED and (np.all(steps >= 0) or np.all(steps <= 0))
        if in_order or _follows_itself(order):
            raise CheckFailed(
                f"{noun} are in order; random numbers are not",
                hint="Do they come from np.linspace or np.arange, or are they sorted?",
                called=called,
                got=show(flat),
            )


def _follows_itself(series: Array) -> bool:
    """Return whether neighbours are similar: their correlation is beyond 6 standard errors."""
    centred = series - series.mean()
    size = float(centred @ centred)
    if size == 0 or series.size < _FEWEST:
        return False
    correlation = float(centred[1:] @ centred[:-1]) / size
    return abs(correlation) * math.sqrt(series.size) > 6.0


# --- quantiles --------------------------------------------------------------------------


def _numbers(values: object, called: str) -> Array:
    array = as_array(values, called=called).astype(np.float64)
    assert_finite(array, called=called)
    if array.size < _FEWEST:
        raise ValueError(f"{array.size} numbers are too few to tell how they were drawn")
    return array


def _variance_fits(values: Array, mean: float | None, variance: float, level: float) -> bool:
    flat = values.reshape(-1)
    degrees = flat.size - (mean is None)
    centre = float(flat.mean()) if mean is None else mean
    statistic = float(np.sum((flat - centre) ** 2)) / variance
    z = _normal_quantile(level)
    low, high = (_chi_square_quantile(degrees, side * z) for side in (-1, 1))
    return low <= statistic <= high


def _spread_hint(values: Array, mean: float, std: float) -> str:
    """Return the likely cause of a wrong standard deviation; "" if none is known."""
    seen, centre = float(values.std()), float(values.mean())
    near = max(0.03, 4 / math.sqrt(2 * values.size))

    def is_about(value: float, other: float) -> bool:
        return other != 0 and abs(value / other - 1) <= near

    if seen > 0 and mean and not is_about(seen, std) and is_about(centre / seen, mean / std):
        times = std / seen
        size = f"{times if times > 1 else 1 / times:.2g} times too"
        what = "divided, or multiplied by a small number," if times > 1 else "multiplied"
        return (
            f"Mean and standard deviation are both about {size} {'small' if times > 1 else 'large'}"
            f". Are the numbers {what} once more after they are drawn?"
        )
    if is_about(seen, std**2) or is_about(seen, math.sqrt(std)):
        return "np.random.normal takes the standard deviation, not the variance."
    for of, scale in (("He", 2.0), ("Xavier", 1.0)):
        for size_of in values.shape if values.ndim == 2 else ():
            if is_about(seen, math.sqrt(scale / size_of)):
                text = f"sqrt({scale:g}/{size_of})"
                return (
                    f"{text} is the standard deviation of {of}'s initialisation, not the one "
                    "asked here."
                )
    return ""


def _normal_quantile(false_fail: float) -> float:
    """Return the z that the magnitude of a normal number exceeds with this probability."""
    return NormalDist().inv_cdf(1 - false_fail / 2)


def _one_sided(false_fail: float) -> float:
    return NormalDist().inv_cdf(1 - false_fail)


def _chi_square_quantile(degrees: int, z: float) -> float:
    """Return the quantile of chi-square that belongs to z (Wilson and Hilferty)."""
    spread = 2 / (9 * degrees)
    return float(degrees * max(0.0, 1 - spread + z * math.sqrt(spread)) ** 3)


def _student(z: float, degrees: int) -> float:
    """Return the quantile of Student's t that belongs to z (Cornish and Fisher's expansion)."""
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / degrees + second / degrees**2 + third / degrees**3
