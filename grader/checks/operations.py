"""How often a function multiplies matrices, goes through a loop, or looks at one element.

Two right answers may differ in that: one product for all rows, or one for each row in a loop. What
is counted is what the student's own lines do, not what numpy does for them, and repeats exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grader.errors import CheckFailed

_WORDS = {
    "products": ("product of matrices (@, np.dot, np.einsum, ...)", "products of matrices"),
    "arithmetic": ("operator of arithmetic", "operators of arithmetic"),
    "items": ("item x[i]", "items x[i]"),
    "rounds": ("round of a loop", "rounds of loops"),
}
_TOO_MANY = {
    "products": "Multiply once, and keep what is needed again; all rows go through one product.",
    "arithmetic": "Compute once what does not change, before the loop.",
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
    """Accept a call that does each kind of operation so often; return what was counted.

    most, least : by "products" (@ and names such as dot, matmul, einsum), "arithmetic" (other
        operators), "items" (x[i] read or set) and "rounds" (of loops and comprehensions)
    Of the student's own lines: what numpy does inside is not seen, nor is a name given to np.dot.
    Raises CheckFailed, and what the call raises. ValueError for another word.
    """
    for word in (*(most or ()), *(least or ())):
        if word not in _WORDS:
            raise ValueError(f"{word!r} is not counted: it may be {', '.join(_WORDS)}")
    seen = function.observe(*arguments, operations=True)
    if seen.error is not None:
        raise seen.error
    if seen.operations is None:
        raise CheckFailed(
            "what it does can't be counted",
            hint="Take sys.settrace, a debugger or a coverage tool out of the notebook.",
            called=called,
        )
    for word, limit in (most or {}).items():
        count = getattr(seen.operations, word)
        if count > limit:
            raise CheckFailed(
                f"it takes {_counted(count, word)} where {limit} will do",
                hint=_TOO_MANY[word],
                called=called,
            )
    for word, limit in (least or {}).items():
        count = getattr(seen.operations, word)
        if count < limit:
            raise CheckFailed(
                f"it takes {_counted(count, word)} where {limit} are due",
                hint=_TOO_FEW.get(word, ""),
                called=called,
            )
    return seen.operations


def _counted(count: int, word: str) -> str:
    one, many = _WORDS[word]
    return f"{count} {one if count == 1 else many}"
