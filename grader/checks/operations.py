"""How often a function multiplies matrices, runs through a loop, or reads one element.

Two right answers may differ in this: one product for all rows, or one for each row in a loop. Only
the operations of the student's own lines count, not those inside numpy. The counts repeat exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grader.checks.calls import observed
from grader.errors import CheckFailed

_WORDS = {
    "products": ("product of matrices (@, np.dot, np.einsum, ...)", "products of matrices"),
    "arithmetic": ("operator of arithmetic", "operators of arithmetic"),
    "items": ("item x[i]", "items x[i]"),
    "rounds": ("round of a loop", "rounds of loops"),
}
_TOO_MANY = {
    "products": "Multiply once and keep the result. One product can take all rows.",
    "arithmetic": "Compute what does not change once, before the loop.",
    "items": "Let numpy take all elements at once: x[1:] - x[:-1], x[mask], x.sum(axis=1).",
    "rounds": "Let numpy do the loop: broadcasting, a product, a sum over an axis.",
}
_TOO_FEW = {
    "products": "Write it as a product: X @ w is all rows times w.",
    "rounds": "The exercise asks for a loop.",
}


def assert_operations(
    function: Any,
    *arguments: Any,
    most: Mapping[str, int] | None = None,
    least: Mapping[str, int] | None = None,
    called: str = "",
) -> Any:
    """Accept a call that does each kind of operation within its limits; return the counts.

    most, least : by "products" (@ and names such as dot, matmul, einsum), "arithmetic" (other
        operators), "items" (x[i] read or set) and "rounds" (of loops and comprehensions)
    Only the student's own lines count, not operations inside numpy, and not np.dot under another
    name. Raises CheckFailed, or the call's own exception; ValueError for another kind.
    """
    for word in (*(most or ()), *(least or ())):
        if word not in _WORDS:
            raise ValueError(f"{word!r} is not counted: it may be {', '.join(_WORDS)}")
    counts = observed(function, arguments, operations=True).operations
    if counts is None:
        raise CheckFailed(
            "its operations can't be counted",
            hint="Remove sys.settrace, a debugger or a coverage tool from the notebook.",
            called=called,
        )
    for word, limit in (most or {}).items():
        count = getattr(counts, word)
        if count > limit:
            raise CheckFailed(
                f"it takes {_counted(count, word)}, {limit} are enough",
                hint=_TOO_MANY[word],
                called=called,
            )
    for word, limit in (least or {}).items():
        count = getattr(counts, word)
        if count < limit:
            raise CheckFailed(
                f"it takes {_counted(count, word)}, expected at least {limit}",
                hint=_TOO_FEW.get(word, ""),
                called=called,
            )
    return counts


def _counted(count: int, word: str) -> str:
    one, many = _WORDS[word]
    return f"{count} {one if count == 1 else many}"
