"""Does B follow where A = B (or <, >=) is written? Both sides are computed; facts are returned.

A step is right if any reading agrees at all points, and differs only if all readings differ.
What could be something else than a step (a definition, an equation to be solved, a case of its
own) is not read: silence costs a student nothing, a false remark costs trust.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

from grader.derivation import tree as t
from grader.derivation import values as v
from grader.derivation.context import OF_VECTORS, Context, Declared, Definition
from grader.derivation.cursor import Choices, split_at
from grader.derivation.evaluation import Budget, Evaluation, NotRead, Point, compare
from grader.derivation.parsing import Parser, readings
from grader.derivation.points import points, special_points
from grader.derivation.tokens import Token, Unreadable
from grader.derivation.values import SCALAR, Impossible, Matrix, Undefined, Value, mp
from grader.records import DerivationVerdict

MOST_PAIRS = 90
STEP_NODES = 100_000
"""Nodes visited for one step, over all readings and points: under a second."""


@dataclass(frozen=True)
class Witness:
    """A point at which two sides can be compared by hand.

    at : what is put in, as ("z", "0.31"); left, right : the sides' values
    """

    at: tuple[tuple[str, str], ...]
    left: str
    right: str


@dataclass(frozen=True)
class Judgement:
    """What is said of one step.

    why : for "not read", the reason; for "follows", a remark of form; else ""
    left, right : the trees that the verdict rests on; None where a side was not read
    holds_for : a case for which the sides do agree, as "i = j"
    slip : what makes the sides agree, where a side has no value as it stands
    """

    verdict: DerivationVerdict
    why: str = ""
    left: t.Node | None = None
    right: t.Node | None = None
    witness: Witness | None = None
    holds_for: str = ""
    slip: str = ""
    compared: Compared | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Circumstances:
    """Where a step stands.

    first : it begins a chain, so it may be a definition or an equation
    conditions : cases that the text states ("for i = j"), as conditions to hold at a point
    cases_stated : None where nothing is known of the text around
    solving : the text around speaks of solving, or of setting something to a value
    """

    first: bool = True
    conditions: tuple[t.Node, ...] = ()
    cases_stated: bool | None = None
    solving: bool = False


@dataclass
class Compared:
    """Both sides of a step, for some reading, at its points: what a remark is made from."""

    context: Context
    left: t.Node
    right: t.Node
    sign: str
    bare: Mapping[str, t.Node]
    rows: list[tuple[Point, Value, Value, bool]]


def judge(
    left: Sequence[Token],
    sign: str,
    right: Sequence[Token],
    context: Context,
    circumstances: Circumstances = Circumstances(),
    budget: Budget | None = None,
) -> tuple[Judgement, Context]:
    """Return what is said of `left sign right`, and the context after it (it may define a name)."""
    try:
        return _judge(left, sign, right, context, circumstances, budget or Budget(STEP_NODES))
    except (NotRead, RecursionError) as error:
        why = str(error) if isinstance(error, NotRead) else "it is nested too deeply"
        return Judgement("not read", why), context


def _judge(
    left: Sequence[Token],
    sign: str,
    right: Sequence[Token],
    context: Context,
    circumstances: Circumstances,
    budget: Budget,
) -> tuple[Judgement, Context]:
    if sign not in ("=", ":=", "<", "<=", ">", ">=", "!="):
        return Judgement("not read", "this relation is not read"), context
    defined = _definition(left, sign, right, context, circumstances)
    if defined is not None:
        return defined
    try:
        lefts = list(readings(left, context, budget.spend))
    except Unreadable as error:
        return Judgement("not read", f"left side: {error}", None, _tree(right, context)), context
    try:
        rights = list(readings(right, context, budget.spend))
    except Unreadable as error:
        return Judgement("not read", f"right side: {error}", lefts[0]), context
    if sign == ":=" and any(_base_name(lefts[0]) in _names_in(node) for node in rights):
        return Judgement("not read", "it may be an update", lefts[0], rights[0]), context
    sign = "=" if sign == ":=" else sign
    found = _compare_all(lefts, sign, rights, context, circumstances, budget)
    if found.verdict == "follows" and circumstances.first and _repeats(lefts[0], rights, context):
        found = replace(found, verdict="definition")
    if found.verdict == "differs" and (_unclosed(left, context) or _unclosed(right, context)):
        found = replace(found, verdict="not read", why="a bracket is not closed")
    if _OTHERWISE in found.why:
        context = context.forgetting(_base_name(lefts[0]))
    return found, context


_OTHERWISE = "was defined otherwise before"


def _base_name(node: t.Node) -> str:
    node = t.bare(node)
    return _base_name(node.base) if isinstance(node, t.Indexed) else getattr(node, "name", "")


def _names_in(node: t.Node) -> set[str]:
    return {getattr(part, "name", "") for part in t.walk(node)} - {""}


def _tree(tokens: Sequence[Token], context: Context) -> t.Node | None:
    try:
        return next(readings(tokens, context))
    except Unreadable:
        return None


def _unclosed(tokens: Sequence[Token], context: Context) -> bool:
    parser = Parser(tokens, context, Choices(()))
    parser.whole()
    return parser.unclosed


# --- comparing


def _compare_all(
    lefts: list[t.Node],
    sign: str,
    rights: list[t.Node],
    context: Context,
    circumstances: Circumstances,
    budget: Budget,
) -> Judgement:
    names = sorted(context.free_names(*lefts, *rights) | _condition_names(circumstances))
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
    return _differing(differing, circumstances)


def _swapped(left: t.Node, sign: str, right: t.Node, context: Context) -> str:
    """Return which function was taken for another: softmax of a number, where softplus is right."""
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
    """Return both sides with each index that is repeated in a term, on one side alone, summed."""
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


def _condition_names(circumstances: Circumstances) -> set[str]:
    return {
        node.name
        for condition in circumstances.conditions
        for node in t.walk(condition)
        if isinstance(node, t.Symbol)
    }


def _meanings(
    context: Context, lefts: list[t.Node], rights: list[t.Node]
) -> list[dict[str, t.Node]]:
    """Return what bare functions may stand for: first what is declared, then what is near.

    sigma alone is sigma(w x) where it is applied to w x alone: on the same side, else on the
    other, else in what the names on both sides stand for. Where it is applied to two things
    nearby, as z and -z, it is not guessed.
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
    """Return what the names on both sides stand for."""
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
    """Return both sides at all points where both have a value, up to the first disagreement.

    Raises Impossible or NotRead where this pair of readings has no values to compare.
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
            f"the sides agree, but not at {said(witness)}: there the left side is "
            f"{witness.left} and the right side {witness.right}"
        )
        return Judgement("not read", why, compared.left, compared.right, witness)
    return found


def said(witness: Witness) -> str:
    return ", ".join(f"{name} = {value}" for name, value in witness.at)


# --- what differs


def _differing(compared: Compared, circumstances: Circumstances) -> Judgement:
    """Return "differs", or "not read" where it may be something else than a step."""
    left, right, context = compared.left, compared.right, compared.context
    row = _simplest([r for r in compared.rows if not r[3]])
    witness = witness_of(compared, row)
    found = Judgement("differs", "", left, right, witness, compared=compared)

    def unread(why: str) -> Judgement:
        return replace(found, verdict="not read", why=why)

    name = _base_name(left)
    own = name in context.definitions and not context.definitions[name].given
    if circumstances.first and own and not getattr(left, "primes", 0):
        return unread(f"{name} {_OTHERWISE}")
    ours, theirs = free_indices(left, context), free_indices(right, context)
    # L = -log s_c rests on c without showing it.
    odd = (ours - theirs - context.free_names(right)) | (theirs - ours - context.free_names(left))
    named = _condition_names(circumstances)
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
    """Return letters of the right side that the left side does not rest on at all.

    (p - y) x, where p was meant to be sigma(w x), is no mistake.
    """
    context = compared.context
    ours = context.free_names(compared.left, *compared.bare.values())
    theirs = _without_sizes(compared.right, context)
    return sorted(n for n in theirs - ours if not context.declared[n].finite)


def _is_limit(node: t.Node) -> bool:
    """Whether a side begins with a limit: what it comes to is a claim."""
    node = t.bare(node)
    while isinstance(node, t.Negative):
        node = t.bare(node.of)
    return isinstance(node, t.Limit) or (
        isinstance(node, t.Product) and isinstance(node.factors[0], t.Limit)
    )


def _lost_operator(compared: Compared, odd: set[str]) -> bool:
    """Whether indices of one side belong to a d/dz_i of it, and no case makes the sides agree."""
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
    """Return why a first line may be an equation or a condition; "" where it is a claim."""
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
        return f"the sheet gives {_base_name(left)} otherwise"
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
    """Whether a side is the name of something to be computed."""
    if isinstance(node, t.Negative):
        return _is_named(t.bare(node.of))
    return isinstance(
        node, t.Derivative | t.Gradient | t.Call | t.Symbol | t.Prime | t.Limit | t.Indexed
    )


def _repeats(left: t.Node, rights: list[t.Node], context: Context) -> bool:
    """Whether a step repeats a definition, and is no step from it."""
    return _is_given(left, context) and context.definitions[_base_name(left)].body in rights


def _is_given(node: t.Node, context: Context) -> bool:
    """Whether a side is a name as it was defined."""
    if isinstance(node, t.Symbol):
        return not node.primes and node.name in context.definitions
    if isinstance(node, t.Indexed):
        return _is_given(node.base, context)
    if not isinstance(node, t.Call) or node.primes or node.name not in context.definitions:
        return False
    return all(isinstance(argument, t.Symbol) for argument in node.arguments)


def free_indices(node: t.Node, context: Context, bound: frozenset[str] = frozenset()) -> set[str]:
    """Return the indices of a formula that no sum binds."""
    if isinstance(node, t.Symbol):
        return {node.name} if context.is_index(node.name) and node.name not in bound else set()
    if isinstance(node, t.Big):
        bound = bound | {node.index}
    found: set[str] = set()
    for child in t.children(node):
        found |= free_indices(child, context, bound)
    return found


def _half_of(compared: Compared) -> str:
    """Return "x > 0" or "x < 0" where the sides agree on that half of a domain alone."""
    for name, value in compared.rows[0][0].values.items():
        if isinstance(value, Matrix) or compared.context.declared[name].finite:
            continue
        for sign, text in ((1, f"{name} > 0"), (-1, f"{name} < 0")):
            inside = [ok for point, *_, ok in compared.rows if sign * point.values[name] > 0]
            if len(inside) >= 2 and all(inside):
                return text
    return ""


def _case_of(compared: Compared) -> str:
    """Return the case for which the sides agree ("i = j", "y = 1"); "" where there is none."""
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


# --- definitions


def _definition(
    left: Sequence[Token],
    sign: str,
    right: Sequence[Token],
    context: Context,
    circumstances: Circumstances,
) -> tuple[Judgement, Context] | None:
    """Return the verdict where the left side is a new name; None where it is none."""
    if sign not in ("=", ":=") or not circumstances.first:
        return None
    form = _new_name(left, context)
    if form is None:
        return None
    name, parameters, indices = form
    inner = context.declaring(
        *(Declared(p) for p in parameters if context.name_of(p) is None),
        *(
            Declared(i, "index", ("1", _length_by(right, i, context)))
            for i in indices
            if context.name_of(i) is None and _length_by(right, i, context)
        ),
    )
    try:
        body = next(readings(right, inner))
    except Unreadable as error:
        return Judgement("not read", f"right side: {error}"), context
    if name in context.free_names(body) or any(
        isinstance(n, t.Symbol) and n.name == name for n in t.walk(body)
    ):
        return None
    known = context.name_of(name)
    if known is not None:
        # A letter that the sheet leaves free is said to be something: z = w x.
        declared = context.declared.get(known)
        reals = [
            n for n in inner.free_names(body) if not inner.declared[n].finite
            and inner.declared[n].domain != "size"
        ]  # fmt: skip
        if declared is None or declared.finite or declared.domain in ("size", "function"):
            return None
        if not reals:
            return Judgement("not read", f"it may say what {known} is here", None, body), context
        if len(declared.shape) != inner.rank_of(body):
            return None
    shown_left = (
        t.Symbol(name) if not parameters else t.Call(name, tuple(t.Symbol(p) for p in parameters))
    )
    definition = Definition(known or name, body, parameters, indices, given=False)
    try:
        for point in points(inner, sorted(inner.free_names(body)), seed=1):
            try:
                Evaluation(inner, point).value(body)
                break
            except Undefined:
                continue
    except NotRead as error:
        if indices or not parameters:
            return Judgement("not read", str(error), shown_left, body), context
    except Impossible as error:
        return Judgement("not read", str(error), shown_left, body), context
    after = inner.defining(definition) if indices else context.defining(definition)
    return Judgement("definition", "", shown_left, body), after


def _new_name(
    left: Sequence[Token], context: Context
) -> tuple[str, tuple[str, ...], tuple[str, ...]] | None:
    """Return (name, parameters, indices) of a side that may define a name; None otherwise."""
    tokens = [token for token in left if token.kind != "col"]
    if not tokens or tokens[0].kind != "sym":
        return None
    parser = Parser(tokens, context, Choices(()))
    base = parser.take().text
    try:
        sub, sup, primes = parser._decorations()
    except Unreadable:
        return None
    if primes or base in ("lim", "max", "min", "log", "exp", "d", "e"):
        return None
    resolved, rest_sub, rest_sup = parser._resolve(base, sub, sup)
    if resolved is not None:
        if rest_sub or rest_sup or parser.at < len(tokens) or resolved not in context.declared:
            return None
        return (resolved, (), ()) if resolved not in context.definitions else None
    sup_text = "".join(token.text for token in sup if token.text not in "{}")
    if (sup and not (sup_text.startswith("(") or sup_text.isalpha())) or sup_text in ("T", "\\top"):
        return None
    name = base + (f"^{sup_text}" if sup else "")
    indices: tuple[str, ...] = ()
    if sub:
        pieces = list(split_at(sub, ",")) if any(x.text == "," for x in sub) else [[x] for x in sub]
        symbols = [p[0].text for p in pieces if len(p) == 1 and p[0].kind == "sym"]
        known = [s for s in symbols if context.is_index(context.name_of(s) or "")]
        if len(symbols) == len(pieces) and (
            len(known) == len(symbols) or (len(symbols) == 1 and symbols[0] in "ijkln")
        ):
            indices = tuple(symbols)
        else:
            name += f"_{''.join(token.text for token in sub)}"
    parameters: tuple[str, ...] = ()
    if parser.at < len(tokens):
        if not parser.sees("("):
            return None
        try:
            inner = parser.bracketed()
        except Unreadable:
            return None
        pieces = split_at(inner, ",", ";", "\\mid", "|")
        names = []
        for piece in pieces:
            plain = [x for x in piece if x.kind != "col"]
            if len(plain) == 3 and plain[1].text == "=" and plain[0].kind == "sym":
                plain = plain[:1]  # L(z; y = a): the label's name for this case
            try:
                node: t.Node | None = Parser(plain, context, Choices(())).whole()
            except Unreadable:
                node = (
                    t.Symbol(plain[0].text) if len(plain) == 1 and plain[0].kind == "sym" else None
                )
            if not isinstance(node, t.Symbol):
                return None
            names.append(node.name)
        parameters = tuple(names)
        if len(set(parameters)) < len(parameters):
            return None
    if parser.at < len(tokens):
        return None
    if context.name_of(name) is not None:
        return None
    return name, parameters, indices


def _length_by(right: Sequence[Token], index: str, context: Context) -> str:
    """Return the size that an index of a new name runs to, by what it indexes on the right."""
    for n, token in enumerate(right[:-2]):
        if token.kind == "sym" and right[n + 1].text == "_":
            inside = [x.text for x in right[n + 2 : n + 5]]
            known = context.name_of(token.text)
            if index in inside and known and known in context.declared:
                shape = context.declared[known].shape
                if shape:
                    return shape[0]
    return ""


# --- showing values


def witness_of(compared: Compared, row: tuple[Point, Value, Value, bool]) -> Witness:
    """Return a row's values as a reader is told them."""
    point, left, right, _ = row
    context = compared.context
    used = context.free_names(compared.left, compared.right, *compared.bare.values())
    at = [
        (name, shown(value)) for name, value in sorted(point.values.items())
        if name in used and context.declared[name].domain != "size"
    ]  # fmt: skip
    indices = free_indices(compared.left, context) | free_indices(compared.right, context)
    at += [
        (name, str(i))
        for name, i in sorted(point.indices.items())
        if name in indices or name in used
    ]
    return Witness(tuple(dict.fromkeys(at)), shown(left), shown(right))


def _simplest(
    rows: list[tuple[Point, Value, Value, bool]],
) -> tuple[Point, Value, Value, bool]:
    """Return the row whose values are the easiest to follow: neither tiny nor huge."""

    def awkward(row: tuple[Point, Value, Value, bool]) -> float:
        numbers = [
            x for side in row[1:3] for x in (side.entries() if isinstance(side, Matrix) else [side])
        ]
        if not all(mp.isfinite(x) for x in numbers):
            return 1e9
        return float(sum(abs(mp.log(abs(x) + mp.mpf("1e-9"))) for x in numbers))

    return min(rows, key=awkward)


def shown(value: Value) -> str:
    """Return a value in four digits."""
    if isinstance(value, Matrix):
        rows = value.rows if value.shape[1] > 1 else value.transposed().rows
        return "; ".join("(" + ", ".join(shown(x) for x in row) + ")" for row in rows)
    if mp.isinf(value):
        return "infinity" if value > 0 else "-infinity"
    if value == mp.nint(value) and abs(value) < 10**6:
        return str(int(value))
    text = mp.nstr(value, 4)
    return "0" if abs(value) < mp.mpf("1e-15") else text.removesuffix(".0")
