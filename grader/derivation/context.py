"""The meaning of a formula's names: the sheet's declarations, and the student's definitions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from grader.derivation.tree import Big, Call, Indexed, Limit, Node, Symbol, bare, children

BUILT_IN = {
    "log": "log", "ln": "log", "lg": "log", "exp": "exp", "sin": "sin", "cos": "cos",
    "tan": "tan", "cot": "cot", "sec": "sec", "csc": "csc", "sinh": "sinh", "cosh": "cosh",
    "tanh": "tanh", "Tanh": "tanh", "coth": "coth", "arcsin": "arcsin", "arccos": "arccos",
    "arctan": "arctan", "artanh": "artanh", "arctanh": "artanh", "atanh": "artanh",
    "sqrt": "sqrt", "abs": "abs", "sign": "sign", "sgn": "sign", "sigmoid": "sigmoid",
    "Sigmoid": "sigmoid", "logistic": "sigmoid", "sigm": "sigmoid", "softplus": "softplus",
    "Softplus": "softplus", "relu": "relu", "ReLU": "relu", "rect": "relu", "logit": "logit",
    "erf": "erf", "max": "max", "min": "min", "softmax": "softmax", "Softmax": "softmax",
    "logsumexp": "logsumexp", "LSE": "logsumexp", "diag": "diag", "tr": "tr",
    "onehot": "onehot",
}  # fmt: skip
"""Functions that need no declaration, and the canonical name of each."""

OF_VECTORS = frozenset({"softmax", "logsumexp", "diag", "tr", "onehot"})


class ContextError(ValueError):
    """A declaration of the sheet is wrong; the message names the entry."""


@dataclass(frozen=True)
class Declared:
    """A declared name, which has a value of its own.

    domain : "real", "positive", "nonnegative", "negative", "nonzero", "interval", "set",
        "index", "size", "one-hot", "probabilities", "function"
    values : an interval's ends, a set's members, an index's bounds (as text), a size's number
    shape : () for a number, ("K",) for a vector, ("K", "d") for a matrix
    """

    name: str
    domain: str = "real"
    values: tuple[str, ...] = ()
    shape: tuple[str, ...] = ()

    @property
    def finite(self) -> bool:
        return self.domain in ("set", "index")


@dataclass(frozen=True)
class Definition:
    """A name with its expression.

    parameters : names of a function's arguments
    indices : index names, if the components are defined: s_k = ...
    given : True if the sheet defines it; False if the student does
    """

    name: str
    body: Node
    parameters: tuple[str, ...] = ()
    indices: tuple[str, ...] = ()
    given: bool = True


@dataclass(frozen=True)
class Context:
    """All names of a derivation.

    aliases : {another spelling of a name: the name}
    bare : the meaning of a function without its argument
    variable : the variable of a prime, if the function does not determine it
    einstein : whether a repeated index is summed
    swapped : pairs of functions that students confuse
    """

    declared: Mapping[str, Declared] = field(default_factory=dict)
    definitions: Mapping[str, Definition] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    bare: Mapping[str, Node] = field(default_factory=dict)
    variable: str = ""
    einstein: bool = False
    swapped: tuple[tuple[str, str], ...] = ()

    def name_of(self, name: str) -> str | None:
        """Return the declared name behind `name`, or None."""
        seen = self.aliases.get(name, name)
        if seen in self.declared or seen in self.definitions:
            return seen
        curly = re.fullmatch(r"\\mathcal\{(\w)\}", seen)
        if curly and (curly.group(1) in self.declared or curly.group(1) in self.definitions):
            return curly.group(1)
        return None

    def is_function(self, name: str) -> bool:
        definition = self.definitions.get(name)
        if definition is not None:
            return bool(definition.parameters)
        return name in self.declared and self.declared[name].domain == "function"

    def is_index(self, name: str) -> bool:
        return name in self.declared and self.declared[name].domain == "index"

    def rank(self, name: str) -> int:
        """Return how many indices a name takes."""
        if name in self.declared:
            return len(self.declared[name].shape)
        definition = self.definitions.get(name)
        if definition is None or definition.parameters:
            return 0
        return len(definition.indices) or self.rank_of(definition.body)

    def rank_of(self, node: Node) -> int:
        """Return how many indices an expression takes, as far as its form shows."""
        node = bare(node)
        if isinstance(node, Symbol):
            return self.rank(node.name)
        if isinstance(node, Indexed):
            return max(self.rank_of(node.base) - len(node.indices), 0)
        name = getattr(node, "name", "")
        if name in ("softmax", "onehot"):
            return 1
        if name in ("logsumexp", "tr") or type(node).__name__ in ("Norm", "Big", "Derivative"):
            return 0
        below = [self.rank_of(part) for part in children(node)]
        return max(below, default=0)

    def defining(self, definition: Definition) -> Context:
        """Return the context with a new definition, which may replace an old one."""
        return replace(self, definitions={**self.definitions, definition.name: definition})

    def forgetting(self, name: str) -> Context:
        """Return the context without the definition of a name that the student defined twice."""
        others = {key: value for key, value in self.definitions.items() if key != name}
        return replace(self, definitions=others)

    def declaring(self, *declared: Declared) -> Context:
        """Return the context with these declared names."""
        return replace(self, declared={**self.declared, **{d.name: d for d in declared}})

    def free_names(self, *nodes: Node) -> frozenset[str]:
        """Return the declared names that the nodes' values depend on, through all definitions."""
        found: set[str] = set()
        seen: set[tuple[str, bool]] = set()
        queue: list[tuple[Node, frozenset[str]]] = [(node, frozenset()) for node in nodes]
        while queue:
            node, bound = queue.pop()
            if isinstance(node, Big | Limit):
                bound = bound | {node.index}
            name = getattr(node, "name", None)
            if isinstance(name, str) and name not in bound:
                called = isinstance(node, Call)
                definition = self.definitions.get(name)
                if definition is None and name in self.declared:
                    found.add(name)
                elif definition is not None and (name, called) not in seen:
                    seen.add((name, called))
                    hidden = frozenset(definition.indices)
                    if called or name in self.bare:
                        hidden |= frozenset(definition.parameters)
                    queue.append((definition.body, hidden))
                    if not called and name in self.bare:
                        queue.append((self.bare[name], frozenset()))
            queue.extend((child, bound) for child in children(node))
        return frozenset(found)

    def words(self) -> frozenset[str]:
        """Return the names of several plain letters."""
        names = {*self.declared, *self.definitions, *self.aliases}
        return frozenset(name for name in names if len(name) > 1 and name.isalpha())


_SHAPED = re.compile(r"^(?P<domain>.*?)(?:,\s*(?P<shape>[\w\\]+(?:\s*x\s*[\w\\]+)?))?$")
_INTERVAL = re.compile(r"^[(\[\]]\s*(\S+)\s*,\s*(\S+?)\s*[)\]\[]$")
_SET = re.compile(r"^\{(.*)\}$")
_RANGE = re.compile(r"^(?:index|integer)\s+(\S+)\s*\.\.\s*(\S+)$")
_PLAIN = {"real", "positive", "nonnegative", "negative", "nonzero", "one-hot", "probabilities",
          "function"}  # fmt: skip


def read_domain(name: str, text: str) -> Declared:
    """Return the declaration for a domain: "real", "{0, 1}", "(0, 1)", "index 1..m", "real, K"."""
    text = text.strip()
    if size := re.fullmatch(r"size\s+(\d+)", text):
        return Declared(name, "size", (size.group(1),))
    if interval := _INTERVAL.match(text):
        return Declared(name, "interval", interval.groups())
    if ranged := _RANGE.match(text):
        return Declared(name, "index", ranged.groups())
    if (members := _SET.match(text)) and members.group(1).strip():
        return Declared(name, "set", tuple(m.strip() for m in members.group(1).split(",")))
    shaped = _SHAPED.match(text)
    domain, shape = (shaped.group("domain").strip(), shaped.group("shape")) if shaped else ("", "")
    sizes = tuple(s.strip() for s in shape.split(" x ")) if shape else ()
    if domain in _PLAIN:
        return Declared(name, domain, (), sizes)
    if sizes and (inner := read_domain(name, domain)).domain in ("interval", "set"):
        return replace(inner, shape=sizes)
    raise ContextError(
        f'symbols: {name} = "{text}" is not a domain. Write "real", "positive", "(0, 1)", '
        '"{0, 1}", "index 1..m", "one-hot, K" or "real, K" for a vector, "real, K x d" for a matrix'
    )
