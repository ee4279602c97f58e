"""Fingerprints of a program's answers, and how two programs' fingerprints are compared.

A check sends the same requests to every submission. A fingerprint holds an answer's form and a few
sums of its numbers. So the answers of thousands of known mistakes need little memory, and two
answers that differ only in the order of a summation are equal. Of an object that is not a number, a
text, a list or a dictionary, only the type counts: a student's code could let it claim anything.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

RTOL = 1e-8
"""Relative to the sum of magnitudes. Other ways to compute the same value differ by less."""
RTOL_SINGLE = 1e-4
"""The same for float32 and float16."""
LEAST_EVIDENCE = 4.0
"""Three numbers may agree by chance with one of a thousand mistakes."""
_WHOLE_WEIGHT = 0.125
"""The evidence of a whole number, if a fraction has 1: masks and labels often agree by chance."""
_SINGLE = (np.dtype(np.float32), np.dtype(np.float16))
_RAISED = re.compile(r"raised:|value:\{.*error'")
"""The form of an answer that is an error, also of a call that was observed."""
_MAX_LEAVES = 400
_MAX_TEXT = 80
_NUMBERS = "fiubc"


@dataclass(frozen=True)
class Print:
    """The fingerprint of one answer.

    form : its structure without shapes; shapes : of its arrays
    sums : two weighted sums of its numbers, the sum of their magnitudes, and a weighted sum of the
        places that are not finite
    single : whether it holds float32 or float16
    weight : how much evidence it is, as a count of different numbers
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
        content = {key: content.get(key) for key in ("value", "arguments", "warnings", "error")}
        if isinstance(content["error"], list | tuple) and content["error"]:
            content["error"] = content["error"][0]
    elif status == "raised" and isinstance(content, list | tuple) and content:
        content = content[0]
    elif status != "value":
        content = None
    # The arguments of a call that raised are the check's own, so they are no evidence.
    raised = operation == "observe" and isinstance(content, dict) and bool(content.get("error"))
    reader = _Reader()
    reader.read(content, 0)
    text = f"{_short(status)}:{''.join(reader.form)}"
    leaves = reader.leaves
    # One array for all of them: this is fast enough for thousands of mistakes.
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
        array = _stacked(value)
        if array is not None:
            self._number(array)
            return
        self.form.append("[")
        for item in value:
            self.read(item, depth + 1)
        self.form.append("]")

    def _number(self, array: np.ndarray) -> None:
        if array.dtype.kind not in _NUMBERS:
            self.form.append(array.dtype.kind)
            return
        self.form.append("#")
        self.leaves.append(array)


def _stacked(value: Sequence[Any]) -> np.ndarray | None:
    """Return a list of numbers, or of arrays of one shape, as one array; None for anything else.

    So rows in a list are compared with the rows of an array.
    """
    if len(value) < 2:
        return None
    parts: list[np.ndarray] = []
    for item in value:
        if isinstance(item, list | tuple):
            item = _stacked(item)
        elif isinstance(item, np.ndarray | np.generic | float | int | complex):
            item = np.asarray(item)
        else:
            return None
        if item is None or item.dtype.kind not in _NUMBERS:
            return None
        if parts and item.shape != parts[0].shape:
            return None
        parts.append(item)
    return np.stack(parts)


def _short(text: object) -> str:
    return str(text)[:_MAX_TEXT]


def _plain(leaf: np.ndarray) -> np.ndarray:
    flat = leaf.ravel()
    if flat.dtype.kind == "c":
        flat = np.abs(flat) + flat.real
    return flat.astype(float, copy=False)


def _weight(flat: np.ndarray) -> float:
    """Return how much evidence the numbers are: each different fraction counts 1, others little."""
    values = flat[:256]
    values = values[np.isfinite(values)]
    whole = values == np.round(values)
    # In float32, numbers that differ only by rounding count once.
    fractions = set(values[~whole].astype(np.float32).tolist())
    return len(fractions) + _WHOLE_WEIGHT * int(np.count_nonzero(whole))


@lru_cache(maxsize=256)
def _weights(size: int) -> np.ndarray:
    """Return two rows of weights, the same for every array of this size."""
    return np.random.default_rng([size, 2026]).uniform(0.5, 1.5, size=(2, size))


def _sums(flat: np.ndarray) -> tuple[float, float, float, float]:
    finite = np.isfinite(flat)
    not_finite = 0.0
    weights = _weights(flat.size)
    if not finite.all():
        not_finite = float(weights[0] @ ~finite)
        flat = np.where(finite, flat, 0.0)
    with np.errstate(all="ignore"):
        first, second = (weights @ flat).tolist()
        total = float(np.abs(flat).sum())
    return first, second, total, not_finite


# --- comparing ----------------------------------------------------------------------------


def alike(a: Print, b: Print, *, shapes: bool = True) -> bool:
    """Return whether two answers hold the same values; with `shapes`, also the same shapes."""
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
    """Return how much evidence a trace of wrong answers is, as a count of different numbers."""
    return sum(answer.weight for _, answer in _telling(trace))


def _telling(trace: Trace) -> Iterator[tuple[int, Print]]:
    """Yield the answers up to the first one that is an error.

    What comes after it is no evidence: an object keeps its values whatever stopped its method.
    """
    for number, answer in sorted(trace.items()):
        if _RAISED.match(answer.form):
            return
        yield number, answer


# --- as text ------------------------------------------------------------------------------


def text_of(traces: Sequence[Trace], *, seen: int = 0) -> str:
    """Return traces as a text, to be stored with a result.

    seen : how many answers the check got until it failed; 0 if that is not known
    """
    plain = [
        [[n, p.form, p.shapes, p.sums, p.single, p.weight] for n, p in sorted(trace.items())]
        for trace in traces
    ]
    text = json.dumps({"seen": seen, "traces": plain} if seen else plain)
    return base64.b85encode(zlib.compress(text.encode(), 9)).decode()


def traces_of(text: str) -> list[dict[int, Print]]:
    """Return the traces in a text of `text_of`. Raises ValueError for any other text."""
    try:
        plain = _plain_of(text)
        return [
            {int(n): Print(one[0], one[1], tuple(one[2]), *one[3:]) for n, *one in trace}
            for trace in (plain["traces"] if isinstance(plain, dict) else plain)
        ]
    except (ValueError, TypeError, KeyError, IndexError, zlib.error) as error:
        raise ValueError(f"not a text of traces: {error}") from error


def seen_of(text: str) -> int:
    """Return how many answers the check got until it failed; 0 if the text doesn't tell."""
    try:
        plain = _plain_of(text)
        return int(plain["seen"]) if isinstance(plain, dict) else 0
    except (ValueError, TypeError, KeyError, zlib.error):
        return 0


def _plain_of(text: str) -> Any:
    return json.loads(zlib.decompress(base64.b85decode(text)))


def evidence_in_all(traces: Sequence[Trace]) -> float:
    """Return how much evidence the traces of all seeds are together.

    An answer that is the same at every seed counts once, and none after an error.
    """
    distinct: dict[int, list[Print]] = {}
    for trace in traces:
        for number, answer in _telling(trace):
            answers = distinct.setdefault(number, [])
            if not any(alike(answer, other) for other in answers):
                answers.append(answer)
    return sum(answer.weight for answers in distinct.values() for answer in answers)
