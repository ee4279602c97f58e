"""Whether two programs answered alike: a fingerprint of each answer, and how fingerprints compare.

A check asks the same of everybody. A fingerprint holds an answer's form and a few sums of its
numbers, so that the answers of thousands of known mistakes fit into little room, and two answers
that differ only in the order of a summation still compare equal. Answers are a student's claims:
what isn't a number, a text, a list or a dictionary of such counts by its kind alone.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

RTOL = 1e-8
"""Relative to the sum of magnitudes: what other ways of computing the same change, and more."""
RTOL_SINGLE = 1e-4
"""The same for float32 and float16."""
LEAST_EVIDENCE = 4.0
"""Three numbers may agree by chance with one of a thousand mistakes."""
_SMALL = 0.125
"""What a whole number tells, of what a fraction does: masks and labels agree often."""
_SINGLE = (np.dtype(np.float32), np.dtype(np.float16))
_MAX_LEAVES = 400
_MAX_TEXT = 80


@dataclass(frozen=True)
class Print:
    """The fingerprint of one answer.

    form : its structure without shapes; shapes : of its arrays
    sums : of all its numbers: two weighted sums, the sum of magnitudes, where they are not finite
    single : whether float32 was among it
    weight : how much evidence it is, in numbers that differ
    """

    form: str
    shapes: str
    sums: tuple[float, ...]
    single: bool = False
    weight: float = 0.0


Trace = Mapping[int, Print]
"""Answers by the number of their request: those that differ from the solved notebook's."""


def print_of(operation: str, reply: Sequence[Any]) -> Print:
    """Return the fingerprint of a reply [status, content]."""
    status, content = reply[:2] if len(reply) > 1 else ("none", None)
    if status == "value" and operation == "observe" and isinstance(content, dict):
        # Seconds and steps differ from run to run.
        kept = ("value", "arguments", "warnings", "error")
        content = {key: content.get(key) for key in kept}
        if isinstance(content["error"], list | tuple) and content["error"]:
            content["error"] = content["error"][0]
    elif status == "raised" and isinstance(content, list | tuple) and content:
        content = content[0]
    elif status != "value":
        content = None
    # Whose call raised, has its arguments still: they are the check's own.
    raised = operation == "observe" and isinstance(content, dict) and bool(content.get("error"))
    reader = _Reader()
    reader.read(content, 0)
    text = f"{_short(status)}:{''.join(reader.form)}"
    leaves = reader.leaves
    # One array for all of them: thousands of mistakes are told apart so.
    flat = np.concatenate([_plain(leaf) for leaf in leaves]) if leaves else np.zeros(0)
    return Print(
        text,
        ";".join([str(leaf.shape) for leaf in leaves]),
        _sums(flat),
        any(leaf.dtype in _SINGLE for leaf in leaves),
        0.0 if raised else _weight(flat),
    )


class _Reader:
    """Takes a value apart into its form and its arrays of numbers."""

    def __init__(self) -> None:
        self.form: list[str] = []
        self.leaves: list[np.ndarray] = []

    def read(self, value: Any, depth: int) -> None:
        if depth > 8 or len(self.leaves) >= _MAX_LEAVES:
            self.form.append("…")
        elif isinstance(value, np.ndarray | np.generic | float | int | complex):
            self._number(np.asarray(value))
        elif isinstance(value, list | tuple):
            self._sequence(value, depth)
        elif isinstance(value, dict):
            self.form.append("{")
            for key in sorted(map(str, value)):
                self.form.append(_short(key))
                self.read(value.get(key), depth + 1)
            self.form.append("}")
        elif isinstance(value, str):
            self.form.append(repr(_short(value)))
        else:
            self.form.append(type(value).__name__)

    def _sequence(self, value: Sequence[Any], depth: int) -> None:
        if len(value) > 1 and all(type(item) in (float, int, bool) for item in value):
            self._number(np.asarray(value))
            return
        self.form.append("[")
        for item in value:
            self.read(item, depth + 1)
        self.form.append("]")

    def _number(self, array: np.ndarray) -> None:
        if array.dtype.kind not in "fiubc":
            self.form.append(array.dtype.kind)
            return
        self.form.append("#")
        self.leaves.append(array)


def _short(text: object) -> str:
    return str(text)[:_MAX_TEXT]


def _plain(leaf: np.ndarray) -> np.ndarray:
    flat = leaf.ravel()
    if flat.dtype.kind == "c":
        flat = np.abs(flat) + flat.real
    return flat.astype(float, copy=False)


def _weight(flat: np.ndarray) -> float:
    """Return how many numbers of their own there are; whole ones count little."""
    values = flat[:256]
    values = values[np.isfinite(values)]
    whole = values == np.round(values)
    # Tiny errors of rounding tell nothing of a mistake.
    fractions = set(values[~whole].astype(np.float32).tolist())
    return len(fractions) + _SMALL * int(np.count_nonzero(whole))


@lru_cache(maxsize=256)
def _weights(size: int) -> np.ndarray:
    """Return two rows of weights, the same for every array of a size."""
    return np.random.default_rng([size, 2026]).uniform(0.5, 1.5, size=(2, size))


def _sums(flat: np.ndarray) -> tuple[float, float, float, float]:
    finite = np.isfinite(flat)
    odd = 0.0
    weights = _weights(flat.size)
    if not finite.all():
        odd = float(weights[0] @ ~finite)
        flat = np.where(finite, flat, 0.0)
    with np.errstate(all="ignore"):
        first, second = (weights @ flat).tolist()
        total = float(np.abs(flat).sum())
    return first, second, total, odd


# --- comparing ----------------------------------------------------------------------------


def alike(a: Print, b: Print, *, shapes: bool = True) -> bool:
    """Return whether two answers hold the same values; in the same layout, unless told not to."""
    if a.form != b.form or len(a.sums) != len(b.sums) or (shapes and a.shapes != b.shapes):
        return False
    rtol = RTOL_SINGLE if a.single or b.single else RTOL
    if not a.sums:
        return True
    room = rtol * max(a.sums[2], b.sums[2])
    return a.sums[3] == b.sums[3] and all(
        abs(x - y) <= room for x, y in zip(a.sums[:3], b.sums[:3], strict=True)
    )


def differing(
    expected: Sequence[Print], got: Sequence[Print], *, noisy: frozenset[int] = frozenset()
) -> dict[int, Print]:
    """Return the answers that are not the expected ones, by number.

    noisy : numbers of answers that differ between two runs of the same code
    """
    missing = Print("ended:", "", ())
    return {
        number: answer
        for number, right in enumerate(expected)
        if number not in noisy
        and not alike(right, answer := got[number] if number < len(got) else missing)
    }


def same_trace(a: Trace, b: Trace, *, shapes: bool = True) -> bool:
    """Return whether the same answers are wrong in the same way."""
    return a.keys() == b.keys() and all(alike(a[n], b[n], shapes=shapes) for n in a)


def evidence_of(trace: Trace) -> float:
    """Return how many numbers of its own a wrong trace holds."""
    return sum(answer.weight for answer in trace.values())


# --- as text ------------------------------------------------------------------------------


def text_of(traces: Sequence[Trace]) -> str:
    """Return traces as a text that goes with a result."""
    plain = [
        [[n, p.form, p.shapes, p.sums, p.single, p.weight] for n, p in sorted(trace.items())]
        for trace in traces
    ]
    return base64.b85encode(zlib.compress(json.dumps(plain).encode(), 9)).decode()


def traces_of(text: str) -> list[dict[int, Print]]:
    """Return what `text_of` made a text of. Raises ValueError for anything else."""
    try:
        plain = json.loads(zlib.decompress(base64.b85decode(text)))
        return [
            {int(n): Print(one[0], one[1], tuple(one[2]), *one[3:]) for n, *one in trace}
            for trace in plain
        ]
    except (ValueError, TypeError, KeyError, IndexError, zlib.error) as error:
        raise ValueError(f"no text of traces: {error}") from error


def evidence_in_all(traces: Sequence[Trace]) -> float:
    """Return how many numbers of their own several wrong traces hold together, one for each seed.

    What doesn't hang on the seed counts once.
    """
    told: dict[int, list[Print]] = {}
    for trace in traces:
        for number, answer in trace.items():
            seen = told.setdefault(number, [])
            if not any(alike(answer, other) for other in seen):
                seen.append(answer)
    return sum(answer.weight for answers in told.values() for answer in answers)
