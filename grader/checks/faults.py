"""Which elements of a gradient are wrong, each compared with its own central difference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from grader.checks.differences import CountedFunction, differentiate, slope_along
from grader.checks.ladder import Difference
from grader.checks.showing import index_text
from grader.checks.slopes import CERTAIN, KNOWN, RESOLVED, Function, GradientEvidence, signs, unit
from grader.checks.tolerances import PRECISION
from grader.diagnosis.case import Factor
from grader.diagnosis.wording import Array

# At most this many elements are differentiated; of larger gradients, a sample.
_MAX_ELEMENTS = 1024
_SAMPLE = 128


@dataclass(frozen=True)
class Fault:
    """The elements that were differentiated: all of them, or a sample with the worst one.

    whole : whether these are all elements
    got, expected : arrays of the parameter's shape if `whole`, else (k,)
    indices : flat indices; uncertainty : of each numeric element, (k,)
    rtol, room : relative and absolute tolerance of an element, besides its uncertainty
    """

    whole: bool
    got: Array
    expected: Array
    indices: Array
    uncertainty: Array
    rtol: float
    room: float

    @property
    def scale(self) -> float:
        return float(np.max(np.abs(self.expected), initial=0.0))

    @property
    def noise(self) -> float:
        finite = self.uncertainty[np.isfinite(self.uncertainty)]
        return float(np.max(finite, initial=0.0))

    @property
    def is_flat(self) -> bool:
        return self.scale <= 10 * self.noise

    @property
    def wrong(self) -> Array:
        """The mask, (k,), of elements that differ by more than those of a right answer."""
        got, expected = self.got.reshape(-1), self.expected.reshape(-1)
        off = np.abs(got - expected)
        # An element with an unknown uncertainty is never called wrong.
        known = np.isfinite(self.uncertainty)
        allowed = self.rtol * np.abs(expected) + self.room + CERTAIN * self.uncertainty
        wrong: Array = known & ~(off <= allowed)
        return wrong

    @property
    def decided(self) -> bool:
        """Whether all elements were differentiated, each precisely enough for a verdict."""
        known = KNOWN * np.abs(self.expected.reshape(-1)) + RESOLVED * self.scale + self.room
        return self.whole and bool(np.all(self.uncertainty <= known))

    def where(self, shape: tuple[int, ...]) -> str:
        got, expected = self.got.reshape(-1), self.expected.reshape(-1)
        off = np.abs(got - expected)
        wrong = self.wrong
        worst = int(np.argmax(np.where(wrong, off, -1.0) if wrong.any() else off))
        index = tuple(int(i) for i in np.unravel_index(int(self.indices[worst]), shape))
        place = f"element {index_text(index)}: " if index else ""
        return (
            f"{place}central differences give {expected[worst]:.6g}, "
            f"the gradient is {got[worst]:.6g}"
        )

    def of(self, values: Mapping[str, Any]) -> dict[str, Array]:
        """Return the named arrays at these elements; those of another size are left out."""
        size = self.got.size if self.whole else None
        found = {}
        for name, value in values.items():
            array = np.asarray(value, dtype=float)
            if size is None and array.size > int(self.indices.max()):
                found[name] = array.reshape(-1)[self.indices]
            elif array.size == size:
                found[name] = array.reshape(self.got.shape)
        return found

    def of_factors(
        self, factors: Mapping[str, Factor] | None, shape: tuple[int, ...]
    ) -> dict[str, Factor]:
        """Return the factors, elementwise ones at these elements."""
        found: dict[str, Factor] = {}
        for name, value in (factors or {}).items():
            if np.size(value) == 1:
                found[name] = value
                continue
            try:
                array = np.broadcast_to(np.asarray(value, dtype=float), shape)
            except ValueError:
                continue
            found[name] = array if self.whole else array.reshape(-1)[self.indices]
        return found


def locate(f: Function, evidence: GradientEvidence, *, rng: np.random.Generator) -> Fault:
    """Return the elements with their differences: all of them, or a sample with the worst one."""
    x = evidence.at
    g = evidence.gradient.reshape(-1)
    function = CountedFunction(f, x.shape)
    function.eps = evidence.function.eps  # the steps depend on the precision
    f0 = evidence.value
    powers = [s.power for s in evidence.slopes if not s.term]
    power = int(np.median(powers)) if powers else 0
    if x.size <= _MAX_ELEMENTS:
        indices = np.arange(x.size)
    else:
        largest = np.argsort(-np.abs(g), kind="stable")[: _SAMPLE // 4]
        chosen = rng.choice(x.size, size=_SAMPLE, replace=False)
        worst = _bisect(function, x, g, f0, rng)
        indices = np.unique(np.concatenate([largest, chosen, [worst]]))
    precision = PRECISION.get(evidence.dtype)
    size = float(np.sqrt(np.mean(g**2))) if g.size else 0.0
    room = precision.rtol_of_sums * size if precision else 0.0

    def doubtful(found: Difference) -> Array:
        """Return which elements are neither clearly right nor clearly wrong."""
        off = np.abs(g[indices] - found.slope)
        allowed = evidence.rtol * np.abs(found.slope) + room
        doubt: Array = ~(found.error <= 0.1 * allowed) & ~(off > allowed + 20 * found.error)
        return doubt

    found = differentiate(
        function,
        x,
        indices,
        f0=f0,
        repeat=evidence.repeat * abs(f0),
        power=power,
        doubtful=doubtful,
    )
    slope, error = found.slope, found.error
    if indices.size == x.size:
        got, slope = evidence.gradient, slope.reshape(x.shape)
        return Fault(True, got, slope, indices, error, evidence.rtol, room)
    return Fault(False, g[indices], slope, indices, error, evidence.rtol, room)


def _bisect(
    function: CountedFunction, x: Array, g: Array, f0: float, rng: np.random.Generator
) -> int:
    """Return the flat index of a wrong element: halve the worse block until one is left."""
    flat = x.reshape(-1)
    block = np.arange(flat.size)
    while block.size > 1:
        halves = (block[: block.size // 2], block[block.size // 2 :])
        wrong = []
        for half in halves:
            v = np.zeros(flat.size)
            v[half] = signs(half.size, rng) * np.maximum(1.0, np.abs(flat[half]))
            slope = slope_along(
                function, flat, unit(v), f0=f0, repeat=0.0, good=lambda _: True
            ).slope
            wrong.append(abs(float(g @ v) - float(slope) * float(np.sqrt(v @ v))))
        block = halves[int(not wrong[0] >= wrong[1])]
    return int(block[0])
