"""The state of an evaluation: the point, the perturbations, and the remaining work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from grader.derivation import tree as t
from grader.derivation import values as v
from grader.derivation.context import Context, Declared
from grader.derivation.values import Real, Value, mp

MOST_NODES = 40_000
"""Nodes for one side at one point. A page of sums over three classes visits 2,000."""
DEEPEST = 80

Key = tuple[object, ...]


class NotRead(Exception):
    """The formula is not supported; the message gives a student the reason."""


@dataclass(frozen=True)
class Point:
    """The values of the declared names, and the indices, which are integers."""

    values: Mapping[str, Value]
    indices: Mapping[str, int]
    special: bool = False


@dataclass
class Budget:
    """Nodes that may still be visited. They are counted, not timed: equal on every machine."""

    left: int = MOST_NODES

    def spend(self, nodes: int = 1) -> None:
        """Raise NotRead if no nodes are left."""
        self.left -= nodes
        if self.left < 0:
            raise NotRead("it takes too long to compute")


@dataclass
class State:
    """One formula at one point.

    bare : meanings of functions without their argument, besides those of the context
    weak : reasons why a difference is not reliable
    """

    context: Context
    point: Point
    bare: Mapping[str, t.Node] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)
    weak: list[str] = field(default_factory=list)
    differenced: bool = False
    _scope: dict[str, Value] = field(default_factory=dict)
    _shift: dict[Key, Real] = field(default_factory=dict)
    _node_shift: list[tuple[t.Node, Real]] = field(default_factory=list)
    _touched: set[object] = field(default_factory=set)
    _memo: dict[object, Value] = field(default_factory=dict)
    _depth: int = 0

    def value(self, node: t.Node) -> Value:
        """Return the node's value. Raises Undefined, Impossible, NotRead."""
        raise NotImplementedError

    def _differences(self, function: Callable[[Real], Value], order: int) -> Value:
        raise NotImplementedError


def compare(sign: str, left: Real, right: Real, *, exact: bool = False) -> bool:
    """Return whether a relation between two numbers holds, up to the error of differences.

    exact : no derivative was taken, so 1e-30 is larger than 0
    """
    equal = abs(left - right) <= mp.mpf("1e-50") if exact else v.same(left, right)
    if sign in ("=", "!="):
        return equal == (sign == "=")
    if sign in ("<", ">"):
        return not equal and (left < right) == (sign == "<")
    return equal or (left < right) == (sign == "<=")


def size(context: Context, text: str) -> int:
    """Return a size that is a number or a declared name."""
    if text.lstrip("-").isdigit():
        return int(text)
    if (ends := text.partition("-"))[1] and ends[2].isdigit():
        return size(context, ends[0]) - int(ends[2])
    declared = context.declared.get(text)
    if declared is None or declared.domain != "size":
        raise NotRead(f"the size {text} is not declared")
    return int(declared.values[0])


def index_range(context: Context, declared: Declared) -> range:
    """Return the values of an index, such as 1..m with a declared size m."""
    low, high = declared.values
    return range(size(context, low), size(context, high) + 1)


def close(left: Real, right: Real) -> bool:
    if not (mp.isfinite(left) and mp.isfinite(right)):
        return bool(left == right)
    return bool(abs(left - right) <= mp.mpf("1e-6") * (1 + abs(left)))
