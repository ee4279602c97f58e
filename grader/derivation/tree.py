"""The tree of a formula: the parser makes it; judging and rendering use it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Node:
    """A part of a formula. Equal trees are equal nodes."""


@dataclass(frozen=True)
class Number(Node):
    text: str


@dataclass(frozen=True)
class Constant(Node):
    """ "e", "pi" or "inf"."""

    name: str


@dataclass(frozen=True)
class Symbol(Node):
    """A name without arguments: a number, an index, a vector, a function without argument."""

    name: str
    primes: int = 0


@dataclass(frozen=True)
class Indexed(Node):
    """A component of a vector or matrix."""

    base: Node
    indices: tuple[Node, ...]


@dataclass(frozen=True)
class Call(Node):
    """A call of a function. named : named arguments, as in L(z; y = 1)"""

    name: str
    arguments: tuple[Node, ...]
    named: tuple[tuple[str, Node], ...] = ()
    primes: int = 0


@dataclass(frozen=True)
class Negative(Node):
    of: Node


@dataclass(frozen=True)
class Sum(Node):
    terms: tuple[Node, ...]


@dataclass(frozen=True)
class Product(Node):
    """A product. dots : with a written sign, such as a dot; elementwise : with \\odot"""

    factors: tuple[Node, ...]
    dots: bool = False
    elementwise: bool = False


@dataclass(frozen=True)
class Fraction(Node):
    above: Node
    below: Node


@dataclass(frozen=True)
class Power(Node):
    base: Node
    exponent: Node


@dataclass(frozen=True)
class Inverse(Node):
    """f^{-1}(x), read as the inverse function."""

    name: str
    argument: Node


@dataclass(frozen=True)
class Group(Node):
    """Brackets in the written formula. kind : "(", "[", "{"."""

    of: Node
    kind: str = "("


@dataclass(frozen=True)
class Derivative(Node):
    """`of` differentiated by each (target, order)."""

    of: Node
    by: tuple[tuple[Node, int], ...]
    sign: str = "d"


@dataclass(frozen=True)
class Gradient(Node):
    """The vector of derivatives by all components of `by` (None: by the main variable)."""

    of: Node
    by: Node | None


@dataclass(frozen=True)
class Prime(Node):
    """(...)': the derivative by the main variable."""

    of: Node
    order: int


@dataclass(frozen=True)
class Big(Node):
    """A sum or product over an index, a maximum or minimum.

    low, high : bounds; None if they are not written
    but : excluded values of the index, as in j != i
    """

    kind: str
    index: str
    low: Node | None
    high: Node | None
    but: tuple[Node, ...]
    of: Node


@dataclass(frozen=True)
class Limit(Node):
    """A limit. side : "+" from above, "-" from below, "" from both sides."""

    index: str
    to: Node
    side: str
    of: Node


@dataclass(frozen=True)
class Absolute(Node):
    of: Node


@dataclass(frozen=True)
class Norm(Node):
    of: Node
    order: str = "2"


@dataclass(frozen=True)
class Transpose(Node):
    of: Node


@dataclass(frozen=True)
class Relation(Node):
    """A condition. sign : "=", "!=", "<", "<=", ">", ">=", "and", "otherwise"."""

    sign: str
    left: Node | None
    right: Node | None


@dataclass(frozen=True)
class Indicator(Node):
    """1 if the condition holds, else 0."""

    condition: Node


@dataclass(frozen=True)
class Cases(Node):
    rows: tuple[tuple[Node, Node], ...]


@dataclass(frozen=True)
class Vector(Node):
    """A matrix that is written row by row."""

    rows: tuple[tuple[Node, ...], ...]


@dataclass(frozen=True)
class Ones(Node):
    """A vector of ones of unknown length."""


@dataclass(frozen=True)
class At(Node):
    """An expression with a name replaced by a value: df/dx at x = 0."""

    of: Node
    name: str
    value: Node


def children(node: Node) -> Iterator[Node]:
    """Yield the direct children of a node."""
    for field in fields(node):
        yield from _nodes(getattr(node, field.name))


def _nodes(value: object) -> Iterator[Node]:
    if isinstance(value, Node):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _nodes(item)


def walk(node: Node) -> Iterator[Node]:
    """Yield the node and all nodes below it."""
    stack = [node]
    while stack:
        here = stack.pop()
        yield here
        stack.extend(children(here))


def bare(node: Node) -> Node:
    """Return the node without the brackets around it."""
    while isinstance(node, Group):
        node = node.of
    return node
