"""Compare both sides of a step: all pairs of readings, at all points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace

from grader.derivation import tree as t
from grader.derivation import values as v
from grader.derivation.context import OF_VECTORS, Context
from grader.derivation.doubts import differing_verdict
from grader.derivation.evaluation import Budget, Evaluation, NotRead, Point, compare
from grader.derivation.points import points, special_points
from grader.derivation.values import SCALAR, Impossible, Matrix, Undefined, Value
from grader.derivation.witness import (
    Circumstances,
    Compared,
    Judgement,
    condition_names,
    free_indices,
    point_text,
    witness_of,
)

MOST_PAIRS = 90
STEP_NODES = 100_000
"""Nodes that are visited for one step, for all readings and points: under a second."""


def compare_all(
    lefts: list[t.Node],
    sign: str,
    rights: list[t.Node],
    context: Context,
    circumstances: Circumstances,
    budget: Budget,
) -> Judgement:
    names = sorted(context.free_names(*lefts, *rights) | condition_names(circumstances))
    reasons: list[str] = []
    differing: Compared | None = None
    weak: list[str] = []
    pairs = [
        (a, b, bare) for bare in _meanings(context, lefts, rights) for a in lefts for b in rights
    ]
    if context.einstein:
        pairs = [(*_contracted_pair(a, b, context), bare) for a, b, bare in pairs]
        lefts, rights = [a for a, _, _ in pairs], [b for _, b, _ in pairs]
    pairs.sort(key=lambda p: lefts.index(p[0]) + rights.index(p[1]))
    cache: dict[object, Value | Exception] = {}
    try:
        where = list(points(context, names))
        for a, b, bare in pairs[:MOST_PAIRS]:
            try:
                compared, notes = _compare(
                    a, sign, b, context, bare, where, circumstances, budget, cache
                )
            except (Impossible, NotRead) as error:
                reasons.append(str(error))
                continue
            if all(ok for *_, ok in compared.rows):
                return _agreeing(compared, names, circumstances, budget)
            weak += notes
            differing = differing or compared
    except NotRead as error:
        return Judgement("not read", str(error), lefts[0], rights[0])
    if differing is None and (slip := _swapped(lefts[0], sign, rights[0], context)):
        return Judgement("differs", "", lefts[0], rights[0], slip=slip)
    if differing is None:
        why = reasons[0] if reasons else "it could not be computed"
        return Judgement("not read", why, lefts[0], rights[0])
    inverse = [r for r in reasons if r.startswith("the inverse")]
    if inverse or weak:
        return Judgement("not read", (inverse or weak)[0], differing.left, differing.right)
    return differing_verdict(differing, circumstances)


def _swapped(left: t.Node, sign: str, right: t.Node, context: Context) -> str:
    """Return a sentence on a confused function: softmax of a number instead of softplus; or ""."""
    pairs = [*context.swapped, ("softmax", "softplus")]
    for name, other in [*pairs, *((b, a) for a, b in pairs)]:
        if name not in OF_VECTORS or not any(
            isinstance(n, t.Call) and n.name == name for n in t.walk(right)
        ):
            continue
        changed = _renamed(right, name, other)
        where = list(points(context, sorted(context.free_names(left, right))))
        try:
            compared, _ = _compare(
                left, sign, changed, context, {}, where, Circumstances(), Budget(STEP_NODES), {}
            )
        except (Impossible, NotRead):
            continue
        if all(ok for *_, ok in compared.rows):
            return f"{name} takes a vector, and gets a number here; with {other} both sides agree"
    return ""


def _renamed(node: t.Node, name: str, other: str) -> t.Node:
    """Return a tree with one function's name replaced."""

    def changed(value: object) -> object:
        if isinstance(value, t.Node):
            return _renamed(value, name, other)
        return tuple(changed(item) for item in value) if isinstance(value, tuple) else value

    made = replace(node, **{f.name: changed(getattr(node, f.name)) for f in fields(node)})
    return replace(made, name=other) if isinstance(made, t.Call) and made.name == name else made


def _contracted_pair(left: t.Node, right: t.Node, context: Context) -> tuple[t.Node, t.Node]:
    """Return both sides; each index that a term repeats on only one side is summed."""
    ours, theirs = free_indices(left, context), free_indices(right, context)
    return _contracted(left, ours - theirs, context), _contracted(right, theirs - ours, context)


def _contracted(node: t.Node, indices: set[str], context: Context) -> t.Node:
    def rebuilt(value: object) -> object:
        if isinstance(value, t.Node):
            return _contracted(value, indices, context)
        return tuple(rebuilt(item) for item in value) if isinstance(value, tuple) else value

    if isinstance(node, t.Product | t.Fraction):
        names = [n.name for n in t.walk(node) if isinstance(n, t.Symbol)]
        free = free_indices(node, context)
        for index in sorted(indices & free):
            if names.count(index) >= 2:
                node = t.Big("sum", index, None, None, (), node)
        return node
    return replace(node, **{f.name: rebuilt(getattr(node, f.name)) for f in fields(node)})


def _meanings(
    context: Context, lefts: list[t.Node], rights: list[t.Node]
) -> list[dict[str, t.Node]]:
    """Return the possible meanings of functions without argument: as declared, then by context.

    sigma alone means sigma(w x) if it is applied only to w x: on the same side, else on the other
    side, else in the definitions of the names on both sides. If it is applied to two arguments
    there, such as z and -z, no meaning is guessed.
    """
    found: list[dict[str, t.Node]] = [{}]
    sides = [lefts, rights]
    names = {n.name for side in sides for node in side for n in t.walk(node)
             if isinstance(n, t.Symbol)
             and (context.is_function(n.name) or n.name in SCALAR)}  # fmt: skip
    for name in sorted(names):
        near: list[t.Call] = []
        for nodes in (
            *(s for s in sides if _stands_bare(name, s)),
            *sides,
            _bodies(context, sides),
        ):
            applied = _applications(name, nodes)
            if len(applied) == 1 and applied[0] not in near:
                near.append(applied[0])
            if applied and nodes is not sides[0]:
                break
        near = [call for call in near if context.free_names(call)]
        found += [{**base, name: call} for base in found for call in near][:6]
    return found


def _stands_bare(name: str, nodes: list[t.Node]) -> bool:
    return any(isinstance(n, t.Symbol) and n.name == name for node in nodes for n in t.walk(node))


def _applications(name: str, nodes: list[t.Node]) -> list[t.Call]:
    """Return the different calls of a function of one argument, without their primes."""
    found: list[t.Call] = []
    for node in nodes:
        for part in t.walk(node):
            if isinstance(part, t.Call) and part.name == name and len(part.arguments) == 1:
                call = t.Call(name, (t.bare(part.arguments[0]),))
                if call not in found:
                    found.append(call)
    return found


def _bodies(context: Context, sides: list[list[t.Node]]) -> list[t.Node]:
    """Return the definitions of the names on both sides."""
    names = {getattr(n, "name", "") for side in sides for node in side for n in t.walk(node)}
    return [context.definitions[n].body for n in sorted(names) if n in context.definitions]


def _compare(
    left: t.Node,
    sign: str,
    right: t.Node,
    context: Context,
    bare: Mapping[str, t.Node],
    where: Sequence[Point],
    circumstances: Circumstances,
    budget: Budget,
    cache: dict[object, Value | Exception],
) -> tuple[Compared, list[str]]:
    """Return the values of both sides at all points where both have one, and doubts.

    Raises Impossible or NotRead if this pair of readings has no values to compare.
    """
    rows: list[tuple[Point, Value, Value, bool]] = []
    weak: list[str] = []
    undefined = ""
    bare_key = tuple(bare.items())
    for n, point in enumerate(where):
        if not _stated(circumstances, context, point):
            continue
        values: list[Value] = []
        try:
            for node in (left, right):
                key = (node, bare_key, n)
                if key not in cache:
                    evaluation = Evaluation(context, point, bare, budget)
                    try:
                        cache[key] = evaluation.value(node)
                    except (Impossible, Undefined, NotRead) as error:
                        cache[key] = error
                    weak += [w for w in evaluation.weak if w not in weak]
                found = cache[key]
                if isinstance(found, Exception):
                    raise found
                values.append(found)
            agrees = _agree(values[0], sign, values[1])
        except Undefined as error:
            undefined = str(error)
            continue
        rows.append((point, values[0], values[1], agrees))
    if not rows:
        raise NotRead(undefined or "the case that the text states has no point here")
    return Compared(context, left, right, sign, bare, rows), weak


def _stated(circumstances: Circumstances, context: Context, point: Point) -> bool:
    try:
        return all(Evaluation(context, point).holds(c) for c in circumstances.conditions)
    except (Undefined, Impossible):
        return False


def _agree(left: Value, sign: str, right: Value, *, exact: bool = False) -> bool:
    if sign == "=":
        return v.same(left, right)
    if isinstance(left, Matrix) or isinstance(right, Matrix):
        raise Impossible("a relation of vectors")
    return compare(sign, left, right, exact=exact)


def _agreeing(
    compared: Compared, names: Sequence[str], circumstances: Circumstances, budget: Budget
) -> Judgement:
    """Return "follows", unless the sides differ at a special point."""
    found = Judgement("follows", "", compared.left, compared.right, compared=compared)
    budget = Budget(min(budget.left, STEP_NODES // 4))
    for point in special_points(compared.context, names):
        if not _stated(circumstances, compared.context, point):
            continue
        here = Evaluation(compared.context, point, compared.bare, budget)
        try:
            left, right = here.value(compared.left), here.value(compared.right)
            if _agree(left, compared.sign, right, exact=not here.differenced):
                continue
        except (Undefined, Impossible, NotRead):
            continue
        row = (point, left, right, False)
        worse = replace(compared, rows=[row])
        witness = witness_of(worse, row)
        if compared.sign != "=":
            return Judgement("differs", "", compared.left, compared.right, witness, compared=worse)
        why = (
            f"the sides agree, but not at {point_text(witness)}: there the left side is "
            f"{witness.left} and the right side {witness.right}"
        )
        return Judgement("not read", why, compared.left, compared.right, witness)
    return found
