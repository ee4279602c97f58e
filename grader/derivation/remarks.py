"""The remark on two sides that differ: a fact that a reader can check, and the likely slip.

A slip is found by trial: one sign, one factor or one function of a side is changed. If both sides
then agree at all points, the remark names the change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import TypeAlias

from grader.derivation import tree as t
from grader.derivation import values as v
from grader.derivation.evaluation import Budget, Evaluation, NotRead
from grader.derivation.rendering import plain
from grader.derivation.values import Impossible, Matrix, Real, Undefined, mp
from grader.derivation.witness import Compared, Judgement, point_text

Edits: TypeAlias = Iterator[tuple[t.Node, str]]
"""Edited trees, each with the name of the edit."""

MOST_EDITS = 60
EDIT_NODES = 60_000


def remark_of(judgement: Judgement) -> tuple[str, str]:
    """Return (the fact, the likely slip) of a step whose sides differ; the slip may be ""."""
    witness, compared = judgement.witness, judgement.compared
    if witness is None or compared is None:
        slip = judgement.slip
        return (slip[:1].upper() + slip[1:] + ".", slip) if slip else ("", "")
    where = f"at {point_text(witness)} " if witness.at else ""
    fact = f"{where}the left side is {witness.left}, the right side {witness.right}"
    if compared.sign != "=":
        sign = {"<=": "≤", ">=": "≥", "!=": "≠"}.get(compared.sign, compared.sign)
        fact += f"; so {sign} does not hold there"
        slip = _relation_slip(compared)
    else:
        slip = _edited(compared, _signs) or _holds_for(judgement) or _likely_slip(compared)
    fact = fact[0].upper() + fact[1:]
    return (f"{fact}: {slip}?" if slip else f"{fact}."), slip


def _holds_for(judgement: Judgement) -> str:
    if not judgement.holds_for:
        return ""
    return f"does it hold only for {judgement.holds_for.replace('!=', '≠')}"


def _relation_slip(compared: Compared) -> str:
    _, left, right, _ = compared.rows[0]
    if not isinstance(left, Matrix) and not isinstance(right, Matrix) and v.same(left, right):
        return {"<": "is ≤ meant", ">": "is ≥ meant"}.get(compared.sign, "")
    return ""


def _likely_slip(compared: Compared) -> str:
    """Return the change that makes both sides agree; "" if none is found."""
    ratio = _constant_ratio(compared)
    if ratio is not None:
        if v.same(ratio, mp.mpf(-1)):
            return _edited(compared, _signs) or "a sign"
        return f"a factor of {_nice(ratio)}"
    if _agrees(compared, lambda left, right: (left, right * right)):
        return "a square"
    if _agrees(compared, lambda left, right: (left * left, right)):
        return "a square"
    if _agrees(compared, lambda left, right: (left * right, mp.mpf(1))):
        return "the reciprocal"
    return (
        _edited(compared, _signs)
        or _edited(compared, _functions)
        or _edited(compared, _numbers)
        or _edited(compared, _indices)
        or _inner_derivative(compared)
    )


def _constant_ratio(compared: Compared) -> Real | None:
    """Return right / left if it is the same simple number at all points; else None."""
    ratios = []
    for _, left, right, _ in compared.rows:
        if isinstance(left, Matrix) or isinstance(right, Matrix):
            return None
        if left == 0 or right == 0 or not (mp.isfinite(left) and mp.isfinite(right)):
            if v.same(left, right):
                continue
            return None
        ratios.append(right / left)
    if len(ratios) < 2 or not all(v.same(ratio, ratios[0]) for ratio in ratios):
        return None
    plain_ratio = any(v.same(ratios[0] * n, mp.nint(ratios[0] * n)) for n in (1, 2, 3, 4, 6, 8))
    return ratios[0] if plain_ratio else None


def _nice(ratio: Real) -> str:
    for below in (1, 2, 3, 4, 6, 8):
        if v.same(ratio * below, mp.nint(ratio * below)):
            above = int(mp.nint(ratio * below))
            return str(above) if below == 1 else f"{above}/{below}"
    return str(mp.nstr(ratio, 4))


def _agrees(compared: Compared, change: Callable[[Real, Real], tuple[Real, Real]]) -> bool:
    count = 0
    for _, left, right, _ in compared.rows:
        if isinstance(left, Matrix) or isinstance(right, Matrix):
            return False
        if not (mp.isfinite(left) and mp.isfinite(right)):
            return False
        a, b = change(left, right)
        if not v.same(a, b):
            return False
        count += 1
    return count > 1


def _edited(compared: Compared, edits: Callable[[t.Node, Compared], Edits]) -> str:
    """Return the name of an edit of one side that makes the sides agree; else ""."""
    budget = Budget(EDIT_NODES)
    tried = 0
    for side, other in ((compared.right, "left"), (compared.left, "right")):
        for edited, name in edits(side, compared):
            tried += 1
            if tried > MOST_EDITS or budget.left <= 0:
                return ""
            if _makes_agree(compared, edited, other, budget):
                return str(name)
    return ""


def _makes_agree(compared: Compared, edited: t.Node, other: str, budget: Budget) -> bool:
    count = 0
    for point, left, right, _ in compared.rows:
        try:
            value = Evaluation(compared.context, point, compared.bare, budget).value(edited)
            if not v.same(value, left if other == "left" else right):
                return False
        except (Undefined, Impossible, NotRead):
            return False
        count += 1
    return count > 1


def _everywhere(node: t.Node, change: Callable[[t.Node], Edits]) -> Edits:
    """Yield the tree with one changed part, for each part and each change."""
    yield from change(node)
    for field in fields(node):
        value = getattr(node, field.name)
        if isinstance(value, t.Node):
            for edited, name in _everywhere(value, change):
                yield replace(node, **{field.name: edited}), name
        elif isinstance(value, tuple):
            for n, item in enumerate(value):
                if isinstance(item, t.Node):
                    for edited, name in _everywhere(item, change):
                        changed = (*value[:n], edited, *value[n + 1 :])
                        yield replace(node, **{field.name: changed}), name


def _signs(side: t.Node, compared: Compared) -> Edits:
    def change(node: t.Node) -> Edits:
        if isinstance(node, t.Negative):
            yield node.of, f"the sign of {plain(node.of)}"
        elif isinstance(node, t.Sum):
            for n, term in enumerate(node.terms):
                if not isinstance(term, t.Negative):
                    turned = (*node.terms[:n], t.Negative(term), *node.terms[n + 1 :])
                    yield replace(node, terms=turned), f"the sign of {plain(term)}"
        elif isinstance(node, t.Power):
            yield (
                replace(node, exponent=t.Negative(node.exponent)),
                (f"the sign of the exponent {plain(node.exponent)}"),
            )
        elif isinstance(node, t.Call) and len(node.arguments) == 1:
            turned_call = replace(node, arguments=(t.Negative(node.arguments[0]),))
            yield turned_call, f"the sign inside {plain(node)}"

    yield from _everywhere(side, change)


def _functions(side: t.Node, compared: Compared) -> Edits:
    pairs = [*compared.context.swapped, ("sin", "cos"), ("softmax", "softplus"), ("exp", "log"),
             ("tanh", "sigmoid"), ("sinh", "cosh"), ("max", "min")]  # fmt: skip
    swaps: dict[str, list[str]] = {}
    for a, b in pairs:
        swaps.setdefault(a, []).append(b)
        swaps.setdefault(b, []).append(a)

    def change(node: t.Node) -> Edits:
        if not isinstance(node, t.Call):
            return
        for other in swaps.get(node.name, []):
            yield (
                replace(node, name=other),
                f"{plain_name(other)} in place of {plain_name(node.name)}",
            )
        if node.primes:
            yield replace(node, primes=0), f"{plain_name(node.name)} without its prime"
        else:
            yield replace(node, primes=1), f"the derivative of {plain_name(node.name)}"

    yield from _everywhere(side, change)


def plain_name(name: str) -> str:
    return name.lstrip("\\")


def _numbers(side: t.Node, compared: Compared) -> Edits:
    def change(node: t.Node) -> Edits:
        if isinstance(node, t.Number) and node.text.isdigit() and len(node.text) < 4:
            for other in (int(node.text) + 1, int(node.text) - 1):
                if other >= 0:
                    yield t.Number(str(other)), f"{other} in place of {node.text}"
        elif isinstance(node, t.Power) and node.exponent == t.Number("2"):
            yield node.base, f"the square of {plain(node.base)}"
        elif isinstance(node, t.Call | t.Symbol | t.Group) and not isinstance(node, t.Number):
            yield t.Power(node, t.Number("2")), f"the square of {plain(node)}"
        if isinstance(node, t.Product) and len(node.factors) > 1:
            for n, factor in enumerate(node.factors):
                rest = (*node.factors[:n], *node.factors[n + 1 :])
                less = rest[0] if len(rest) == 1 else replace(node, factors=rest)
                yield less, f"the factor {plain(factor)}"
        if isinstance(node, t.Sum):
            for n, term in enumerate(node.terms):
                rest = (*node.terms[:n], *node.terms[n + 1 :])
                yield (
                    (rest[0] if len(rest) == 1 else replace(node, terms=rest)),
                    (f"the term {plain(term)}"),
                )

    yield from _everywhere(side, change)


def _indices(side: t.Node, compared: Compared) -> Edits:
    names = sorted(compared.rows[0][0].indices)

    def change(node: t.Node) -> Edits:
        if isinstance(node, t.Indexed):
            for n, index in enumerate(node.indices):
                for other in names:
                    if index != t.Symbol(other):
                        changed = (*node.indices[:n], t.Symbol(other), *node.indices[n + 1 :])
                        yield (
                            replace(node, indices=changed),
                            (f"the index {other} in place of {plain(index)}"),
                        )

    yield from _everywhere(side, change)


def _inner_derivative(compared: Compared) -> str:
    """Return the name of a missing inner derivative: a declared name times the right side."""
    names = sorted(compared.context.free_names(compared.left, compared.right))
    for name in names:
        factor = t.Symbol(name)
        for edited, slip in (
            (t.Product((factor, t.Group(compared.right))), f"the inner derivative {plain(factor)}"),
            (t.Product((t.Power(factor, t.Number("2")), t.Group(compared.right))),
             f"the inner derivative {plain(factor)}, twice"),
            (t.Fraction(compared.right, factor), f"a factor {plain(factor)}"),
        ):  # fmt: skip
            if _makes_agree(compared, edited, "left", Budget(EDIT_NODES)):
                return slip
    return ""
