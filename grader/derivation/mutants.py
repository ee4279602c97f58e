"""Make mistakes in a right derivation, and count how many of them are reported.

A mutant is a step's right side with one changed sign, number, index or function. A change without
effect on the value does not count. Mutants are counted by verdict: those that differ, those that
are not read, and those that pass. No mutant may pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from grader.derivation.context import Context
from grader.derivation.document import source
from grader.derivation.following import Following, Place
from grader.derivation.judging import judge
from grader.derivation.tokens import Token

MOST_A_STEP = 16
_SWAPS = {
    "sin": "cos", "cos": "sin", "log": "exp", "exp": "log", "tanh": "sigmoid",
    "softmax": "softplus", "softplus": "softmax", "max": "min", "min": "max",
    "sigmoid": "tanh", "sinh": "cosh", "cosh": "sinh",
}  # fmt: skip


@dataclass(frozen=True)
class MutantCount:
    """The number of mutants that differ and that are not read; the names of those that pass."""

    differ: int = 0
    not_read: int = 0
    passing: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        return self.differ + self.not_read + len(self.passing)


def count_mutants(text: str, context: Context) -> MutantCount:
    """Return the counts of the mutants of a right derivation's steps."""
    following = Following(context, rendered=False)
    following.run(text, ())
    differ = not_read = 0
    passing: list[str] = []
    for place in following.places:
        if place.sign not in ("=", ":="):
            continue  # another bound may hold as well
        for name, mutant in mutants_of(place.right, place.context):
            verdict = _verdict(place, mutant)
            if verdict in ("follows", "definition") and _changes_value(place, mutant):
                shown = f"{source(place.left)} {place.sign} {source(mutant)}"
                passing.append(f"line {place.line}: {name}: {shown}")
            differ += verdict == "differs"
            not_read += verdict == "not read"
    return MutantCount(differ, not_read, tuple(passing))


def _verdict(place: Place, mutant: Sequence[Token]) -> str:
    return judge(place.left, place.sign, mutant, place.context, place.circumstances)[0].verdict


def _changes_value(place: Place, mutant: Sequence[Token]) -> bool:
    """Return whether a mutant has another value than the step that it was made from."""
    within = replace(place.circumstances, first=False)
    same, _ = judge(place.right, "=", mutant, place.context, within)
    return same.verdict == "differs"


def mutants_of(right: Sequence[Token], context: Context) -> Iterator[tuple[str, tuple[Token, ...]]]:
    """Yield (description of the change, changed tokens), at most MOST_A_STEP."""
    made = list(_changes(right, context))
    step = max(1, -(-len(made) // MOST_A_STEP))
    yield from made[::step]


def _changes(right: Sequence[Token], context: Context) -> Iterator[tuple[str, tuple[Token, ...]]]:
    swaps = {**_SWAPS, **dict(context.swapped), **{b: a for a, b in context.swapped}}
    indices = [name for name in context.declared if context.is_index(name)]
    yield "a sign in front", (Token("p", "-"), Token("p", "("), *right, Token("p", ")"))
    yield "a factor of 2", (Token("num", "2"), Token("p", "("), *right, Token("p", ")"))
    for n, token in enumerate(right):
        rest = right[n + 1 :]
        if token.kind == "p" and token.text in "+-":
            turned = Token("p", "-" if token.text == "+" else "+")
            yield f"the sign {token.text}", (*right[:n], turned, *rest)
        elif token.kind == "num" and token.text.isdigit() and len(token.text) < 3:
            for other in (int(token.text) + 1, max(int(token.text) - 1, 0)):
                if other != int(token.text):
                    changed = Token("num", str(other))
                    yield f"{other} for {token.text}", (*right[:n], changed, *rest)
        elif token.kind == "sym" and token.text in swaps:
            other_name = swaps[token.text]
            yield f"{other_name} for {token.text}", (*right[:n], Token("sym", other_name), *rest)
        elif token.kind == "sym" and token.text in indices:
            for other_index in indices:
                if other_index != token.text:
                    changed = Token("sym", other_index)
                    yield f"{other_index} for {token.text}", (*right[:n], changed, *rest)
        elif token == Token("p", "'"):
            yield "a prime", (*right[:n], *rest)
