"""The values of both sides of a step at its points, and their text for a reader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from grader.derivation import tree as t
from grader.derivation.context import Context
from grader.derivation.evaluation import Point
from grader.derivation.values import Matrix, Value, mp
from grader.records import DerivationVerdict


@dataclass(frozen=True)
class Witness:
    """A point at which a reader can compare two sides by hand.

    at : (name, value) pairs, such as ("z", "0.31"); left, right : the sides' values
    """

    at: tuple[tuple[str, str], ...]
    left: str
    right: str


@dataclass
class Compared:
    """Both sides of a step in one reading. rows : (point, left value, right value, agrees)"""

    context: Context
    left: t.Node
    right: t.Node
    sign: str
    bare: Mapping[str, t.Node]
    rows: list[tuple[Point, Value, Value, bool]]


def witness_of(compared: Compared, row: tuple[Point, Value, Value, bool]) -> Witness:
    """Return a row's values for a message."""
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


def simplest(
    rows: list[tuple[Point, Value, Value, bool]],
) -> tuple[Point, Value, Value, bool]:
    """Return the row with the simplest values: neither tiny nor huge."""

    def awkward(row: tuple[Point, Value, Value, bool]) -> float:
        numbers = [
            x for side in row[1:3] for x in (side.entries() if isinstance(side, Matrix) else [side])
        ]
        if not all(mp.isfinite(x) for x in numbers):
            return 1e9
        return float(sum(abs(mp.log(abs(x) + mp.mpf("1e-9"))) for x in numbers))

    return min(rows, key=awkward)


def point_text(witness: Witness) -> str:
    return ", ".join(f"{name} = {value}" for name, value in witness.at)


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


def free_indices(node: t.Node, context: Context, bound: frozenset[str] = frozenset()) -> set[str]:
    """Return the indices of a formula that are not bound by a sum."""
    if isinstance(node, t.Symbol):
        return {node.name} if context.is_index(node.name) and node.name not in bound else set()
    if isinstance(node, t.Big):
        bound = bound | {node.index}
    found: set[str] = set()
    for child in t.children(node):
        found |= free_indices(child, context, bound)
    return found


@dataclass(frozen=True)
class Judgement:
    """The verdict on one step.

    why : for "not read", the reason; for "follows", a remark on its form; else ""
    left, right : the trees that the verdict is based on; None if a side was not read
    holds_for : a case in which the sides agree, such as "i = j"
    slip : a change that makes the sides agree, if a side has no value otherwise
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
    """The surroundings of a step.

    first : it begins a chain, so it may be a definition or an equation
    conditions : cases in the text ("for i = j"); they must hold at a point
    cases_stated : whether the text speaks of cases; None if the text is unknown
    solving : the text speaks of solving, or of setting something to a value
    """

    first: bool = True
    conditions: tuple[t.Node, ...] = ()
    cases_stated: bool | None = None
    solving: bool = False


def condition_names(circumstances: Circumstances) -> set[str]:
    return {
        node.name
        for condition in circumstances.conditions
        for node in t.walk(condition)
        if isinstance(node, t.Symbol)
    }
