"""Doubts about a step whose sides differ: it may be something else than a step."""

from __future__ import annotations

from dataclasses import replace

from grader.derivation import tree as t
from grader.derivation import values as v
from grader.derivation.context import Context
from grader.derivation.values import Impossible, Matrix
from grader.derivation.witness import (
    Circumstances,
    Compared,
    Judgement,
    condition_names,
    free_indices,
    shown,
    simplest,
    witness_of,
)

OTHERWISE = "was defined otherwise before"


def differing_verdict(compared: Compared, circumstances: Circumstances) -> Judgement:
    """Return "differs", or "not read" if it may be something else than a step."""
    left, right, context = compared.left, compared.right, compared.context
    row = simplest([r for r in compared.rows if not r[3]])
    witness = witness_of(compared, row)
    found = Judgement("differs", "", left, right, witness, compared=compared)

    def unread(why: str) -> Judgement:
        return replace(found, verdict="not read", why=why)

    name = base_name(left)
    own = name in context.definitions and not context.definitions[name].given
    if circumstances.first and own and not getattr(left, "primes", 0):
        return unread(f"{name} {OTHERWISE}")
    ours, theirs = free_indices(left, context), free_indices(right, context)
    # L = -log s_c depends on c, but L does not show it.
    odd = (ours - theirs - context.free_names(right)) | (theirs - ours - context.free_names(left))
    named = condition_names(circumstances)
    if odd - named and not _lost_operator(compared, odd):
        return unread(f"the index {', '.join(sorted(odd))} is free on one side alone")
    if compared.sign == "=" and t.bare(right) == t.Number("0") and not _is_limit(left):
        return unread("it may be an equation to be solved")
    if foreign := _foreign_names(compared):
        return unread(f"{', '.join(foreign)} may stand for something that is not said")
    half = _half_of(compared)
    if half and circumstances.first:
        return unread(f"it holds for {half} alone: a case?")
    case = _case_of(compared)
    if case:
        found = replace(found, holds_for=case)
        if circumstances.cases_stated is not False:
            return replace(found, verdict="not read", why=f"it holds for {case} alone: a case?")
    if circumstances.first:
        why = _maybe_no_step(compared, circumstances)
        if why:
            return unread(why)
    return found


def _foreign_names(compared: Compared) -> list[str]:
    """Return letters of the right side that the left side does not depend on.

    (p - y) x is not a mistake if p means sigma(w x).
    """
    context = compared.context
    ours = context.free_names(compared.left, *compared.bare.values())
    theirs = _without_sizes(compared.right, context)
    return sorted(n for n in theirs - ours if not context.declared[n].finite)


def _is_limit(node: t.Node) -> bool:
    """Return whether a side begins with a limit: then its value is a claim."""
    node = t.bare(node)
    while isinstance(node, t.Negative):
        node = t.bare(node.of)
    return isinstance(node, t.Limit) or (
        isinstance(node, t.Product) and isinstance(node.factors[0], t.Limit)
    )


def _lost_operator(compared: Compared, odd: set[str]) -> bool:
    """Return whether the odd indices belong to a d/dz_i, and the sides agree in no case."""
    if any(ok for *_, ok in compared.rows):
        return False
    by: set[str] = set()
    elsewhere: set[str] = set()
    for side in (compared.left, compared.right):
        for node in t.walk(side):
            if isinstance(node, t.Derivative):
                elsewhere |= free_indices(node.of, compared.context)
                for target, _ in node.by:
                    by |= free_indices(target, compared.context)
        if not any(isinstance(node, t.Derivative) for node in t.walk(side)):
            elsewhere |= free_indices(side, compared.context)
    return odd <= by - elsewhere


def _maybe_no_step(compared: Compared, circumstances: Circumstances) -> str:
    """Return why a first line may be an equation or a condition; "" if it is a claim."""
    context, left, right = compared.context, t.bare(compared.left), t.bare(compared.right)
    agrees = [ok for *_, ok in compared.rows]
    if compared.sign != "=":
        if any(agrees) or isinstance(left, t.Symbol):
            return "it may be a condition"
        return ""
    if isinstance(left, t.Limit):
        return ""
    free_left, free_right = _without_sizes(left, context), _without_sizes(right, context)
    if circumstances.solving:
        return "it may be an equation to be solved"
    if not free_right and free_left and not _is_constant(compared, 1):
        return "it may be an equation to be solved"
    differentiated = isinstance(left, t.Derivative)
    if isinstance(right, t.Symbol) and right.name in context.declared and not differentiated:
        return "it may be an equation to be solved"
    if isinstance(left, t.Symbol) and left.name in context.declared:
        return f"it may say what {left.name} is here"
    defined = isinstance(left, t.Symbol) and not left.primes and left.name in context.definitions
    if defined and free_left != free_right:
        return f"the sheet gives {base_name(left)} otherwise"
    if not _is_named(left) and free_left != free_right:
        return "it may be an equation to be solved"
    return ""


def _without_sizes(node: t.Node, context: Context) -> frozenset[str]:
    names = context.free_names(node)
    return frozenset(n for n in names if context.declared[n].domain != "size")


def _is_constant(compared: Compared, side: int) -> bool:
    values = [row[side] for row in compared.rows]
    try:
        return len(values) > 1 and all(v.same(values[0], value) for value in values[1:])
    except Impossible:
        return False


def _is_named(node: t.Node) -> bool:
    """Return whether a side is the name of something to be computed."""
    if isinstance(node, t.Negative):
        return _is_named(t.bare(node.of))
    return isinstance(
        node, t.Derivative | t.Gradient | t.Call | t.Symbol | t.Prime | t.Limit | t.Indexed
    )


def _half_of(compared: Compared) -> str:
    """Return "x > 0" or "x < 0" if the sides agree only on that half of a domain."""
    for name, value in compared.rows[0][0].values.items():
        if isinstance(value, Matrix) or compared.context.declared[name].finite:
            continue
        for sign, text in ((1, f"{name} > 0"), (-1, f"{name} < 0")):
            inside = [ok for point, *_, ok in compared.rows if sign * point.values[name] > 0]
            if len(inside) >= 2 and all(inside):
                return text
    return ""


def _case_of(compared: Compared) -> str:
    """Return a case in which the sides agree ("i = j", "y = 1"); "" if there is none."""
    context = compared.context
    indices = sorted(
        set(compared.rows[0][0].indices)
        & (free_indices(compared.left, context) | free_indices(compared.right, context))
    )
    options: list[tuple[str, list[bool]]] = []
    for n, a in enumerate(indices):
        for b in indices[n + 1 :]:
            equal = [p.indices[a] == p.indices[b] for p, *_ in compared.rows]
            options.append((f"{a} = {b}", equal))
            options.append((f"{a} != {b}", [not e for e in equal]))
    literal = [
        {s.name for s in t.walk(side) if isinstance(s, t.Symbol)}
        for side in (compared.left, compared.right)
    ]
    names = {name for name in compared.rows[0][0].values if context.declared[name].finite
             and not context.declared[name].shape}  # fmt: skip
    for name in sorted(names):
        if name in literal[0] and name in literal[1]:
            continue  # a case would have put its value in
        for value in {str(p.values[name]): p.values[name] for p, *_ in compared.rows}.values():
            holds = [p.values[name] == value for p, *_ in compared.rows]
            options.append((f"{name} = {shown(value)}", holds))
    for text, holds in options:
        inside = [row[3] for row, h in zip(compared.rows, holds, strict=True) if h]
        if len(inside) >= 2 and all(inside):
            return text
    return ""


def base_name(node: t.Node) -> str:
    node = t.bare(node)
    return base_name(node.base) if isinstance(node, t.Indexed) else getattr(node, "name", "")
