"""What the names in a piece of source stand for: "np.gradient" for `g` after `g = n.gradient`.

No code is run. Names are followed through imports, aliases, assignments, `__import__`, importlib,
getattr and vars. The work of one search is counted and limited, so that no source takes long.
"""

from __future__ import annotations

import ast
import builtins
import re
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# Names that mean these modules by convention, unless an import says otherwise.
_CONVENTIONS = {
    "np": "numpy",
    "sp": "scipy",
    "pd": "pandas",
    "plt": "matplotlib.pyplot",
    "tf": "tensorflow",
    "jnp": "jax.numpy",
}
_PARSE_ERRORS = (SyntaxError, ValueError, RecursionError, MemoryError)
_DEEPEST = 50
"""The largest depth of an expression: `a.b.c` is three deep. Real code has at most ten."""
_LONGEST_CHAIN = 40
"""The longest chain of nested scopes that is searched one by one."""
# An import's parentheses. Without a bound, the pattern takes quadratic time if none closes.
_BINDING_LINE = re.compile(
    r"^(?:(?:async\s+)?(?:def|class)\s+(?P<defined>\w+)"
    r"|from\s[^\n(]*\([^)]{0,4000}\)|(?:from|import)\s[^\n]*|\w+\s*=(?!=)[^\n]*)",
    re.MULTILINE,
)


class TooMuch(Exception):
    """The search has used up the work that it is allowed."""


class Work:
    """Counts steps: visited nodes, and names that are looked up."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def spend(self, steps: int = 1) -> None:
        """Raise TooMuch if no steps are left."""
        self.left -= steps
        if self.left < 0:
            raise TooMuch


@dataclass(frozen=True)
class Rules:
    """What is forbidden: modules with their submodules, and functions or methods."""

    imports: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()

    def forbids_module(self, name: str) -> str | None:
        """Return the rule that covers this dotted name as a module, or None."""
        for rule in self.imports:
            if name == rule or name.startswith(rule + "."):
                return rule
        return None

    def forbids_name(self, name: str) -> str | None:
        """Return the rule that covers this dotted name, of a module or a function, or None."""
        for rule in self.calls:
            whole = _canonical(rule)
            if not rule.startswith(".") and (name == whole or name.startswith(whole + ".")):
                return rule
        return self.forbids_module(name)

    def forbids_method(self, name: str) -> str | None:
        """Return the rule that covers a method of this name, of any object, or None."""
        rule = f".{name}"
        return rule if rule in self.calls else None


def _canonical(name: str) -> str:
    head, dot, rest = name.partition(".")
    return _CONVENTIONS.get(head, head) + dot + rest


class Scope:
    """What each name stands for: the dotted name of a module or of a module's function.

    A name that a scope doesn't bind is looked up in the scope around it.
    """

    def __init__(self, rules: Rules, work: Work, around: Scope | None = None) -> None:
        self.rules = rules
        self.work = work
        self.names: dict[str, str | None] = {}
        self.stars: list[str] = [] if around is None else list(around.stars)
        self._around = around
        self._depth: int = 0 if around is None else around._depth + 1
        if around is not None and self._depth > _LONGEST_CHAIN:
            self.names = around._all_names()
            self._around, self._depth = None, 0
            work.spend(len(self.names))
        work.spend(len(self.stars))

    def inner(self) -> Scope:
        """Return a scope within this one."""
        return Scope(self.rules, self.work, self)

    def _all_names(self) -> dict[str, str | None]:
        chain = [self]
        while (around := chain[-1]._around) is not None:
            chain.append(around)
        merged: dict[str, str | None] = {}
        for scope in reversed(chain):
            merged |= scope.names
        return merged

    def _bound(self, name: str) -> tuple[bool, str | None]:
        """Return (whether a scope binds the name, the dotted name that it stands for)."""
        scope: Scope | None = self
        while scope is not None:
            self.work.spend()
            if name in scope.names:
                return True, scope.names[name]
            scope = scope._around
        return False, None

    # Binding.

    def bind(self, body: Sequence[ast.stmt]) -> None:
        """Record the names that these statements bind, in order, without entering definitions."""
        for node in _statements(body):
            self.work.spend()
            self._bind_one(node)

    def _bind_one(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    self.names[alias.asname] = alias.name
                else:
                    head = alias.name.partition(".")[0]
                    self.names[head] = head
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            for alias in node.names:
                if alias.name == "*":
                    self.stars.append(module)
                else:
                    self.names[alias.asname or alias.name] = f"{module}.{alias.name}"
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            self.names[node.name] = None
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            meaning = self.resolve(node.value) if node.value is not None else None
            for target in targets:
                if isinstance(target, ast.Name):
                    self.names[target.id] = meaning
                else:
                    self._hide(target)
        elif isinstance(node, ast.For | ast.AsyncFor):
            self._hide(node.target)

    def _hide(self, target: ast.AST) -> None:
        for node in ast.walk(target):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                self.names[node.id] = None

    def bind_by_lines(self, source: str) -> None:
        """Record the names that unindented lines bind, for source that doesn't parse."""
        for match in _BINDING_LINE.finditer(source.replace("\0", " ")):
            self.work.spend()
            if match["defined"]:
                self.names[match["defined"]] = None
                continue
            try:
                self.bind(ast.parse(match.group()).body)
            except _PARSE_ERRORS:
                continue

    # Looking up.

    def resolve(self, node: ast.AST, depth: int = 0) -> str | None:
        """Return the dotted name that an expression stands for, or None."""
        self.work.spend()
        if depth > _DEEPEST:
            return None
        if isinstance(node, ast.Name):
            return self.resolve_name(node.id)
        if isinstance(node, ast.NamedExpr):
            return self.resolve(node.value, depth + 1)
        if isinstance(node, ast.Attribute):
            return _attribute(self.resolve(node.value, depth + 1), node.attr)
        if isinstance(node, ast.Subscript):
            return self._subscript(node, depth + 1)
        if isinstance(node, ast.Call):
            return self._call(node, self.resolve(node.func, depth + 1), depth + 1)
        return None

    def resolve_name(self, name: str) -> str | None:
        """Return the dotted name that a name stands for, or None."""
        bound, meaning = self._bound(name)
        if bound:
            return meaning
        for module in reversed(self.stars):
            self.work.spend()
            full = f"{module}.{name}"
            if self.rules.forbids_name(full) and not hasattr(builtins, name):
                return full
        return _CONVENTIONS.get(name, name)

    def meanings(self, name: str) -> list[str]:
        """Return all meanings that a name may have: the bound one, or those of each `import *`."""
        bound, meaning = self._bound(name)
        if bound:
            return [meaning] if meaning else []
        self.work.spend(len(self.stars))
        return [_CONVENTIONS.get(name, name), *(f"{module}.{name}" for module in self.stars)]

    def imported(self, node: ast.Call) -> str | None:
        """Return the module that __import__("x") or import_module("x") gives."""
        return _module_by_call(node, self.resolve(node.func))

    # Each part is resolved only once: otherwise each link of a chain of calls doubles the time.

    def _subscript(self, node: ast.Subscript, depth: int) -> str | None:
        key = text_of(node.slice)
        if key is None:
            return None
        value = node.value
        if isinstance(value, ast.Attribute) and value.attr == "__dict__":
            return _attribute(self.resolve(value.value, depth), key)
        if isinstance(value, ast.Call):
            function = self.resolve(value.func, depth)
            if function == "vars" and value.args:
                return _attribute(self.resolve(value.args[0], depth), key)
            if function in ("globals", "locals"):
                return self.resolve_name(key)
            owner = self._call(value, function, depth)
        else:
            owner = self.resolve(value, depth)
        return key if owner == "sys.modules" else None

    def _call(self, node: ast.Call, function: str | None, depth: int) -> str | None:
        if function == "getattr" and len(node.args) >= 2:
            name = text_of(node.args[1])
            if name is not None:
                return _attribute(self.resolve(node.args[0], depth), name)
        return _module_by_call(node, function)


def _attribute(owner: str | None, name: str) -> str | None:
    if owner is None or name == "__dict__":
        return owner
    return f"{owner}.{name}"


def _module_by_call(node: ast.Call, function: str | None) -> str | None:
    name = (function or "").rpartition(".")[2]
    if name not in ("__import__", "import_module", "reload") or not node.args:
        return None
    module = text_of(node.args[0])
    if module is None:
        return None
    package = text_of(node.args[1]) if len(node.args) > 1 else None
    if module.startswith(".") and package:
        return package + "." + module.lstrip(".")
    # __import__("a.b") returns a, but loads a.b: the rule must see a.b.
    return module


# --- walking and parsing what students hand in ----------------------------------------------------


def walk(root: ast.AST, scope: Scope) -> Iterator[tuple[ast.AST, Scope]]:
    """Yield every node with its scope, without recursion; a function's names hide outer ones."""
    queue: list[tuple[ast.AST, Scope]] = [(root, scope)]
    while queue:
        node, names = queue.pop()
        names.work.spend()
        yield node, names
        inside = names
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            inside = names.inner()
            a = node.args
            for arg in (*a.posonlyargs, *a.args, *a.kwonlyargs, a.vararg, a.kwarg):
                if arg is not None:
                    inside.names[arg.arg] = None
            if not isinstance(node, ast.Lambda):
                inside.bind(node.body)
        elif isinstance(node, ast.ClassDef):
            inside = names.inner()
            inside.bind(node.body)
        queue.extend((child, inside) for child in ast.iter_child_nodes(node))


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements in order, also those inside if, for, with and try."""
    todo = list(reversed(body))
    while todo:
        node = todo.pop()
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        inside: list[ast.stmt] = []
        for part in ("body", "orelse", "finalbody"):
            inside += getattr(node, part, [])
        for part in ("handlers", "cases"):
            for branch in getattr(node, part, []):
                inside += branch.body
        todo += reversed(inside)


def parse(source: str) -> ast.Module | None:
    """Return the tree, with the source's line numbers; None if no reading of the source parses."""
    source = source.replace("\0", " ")
    for text, shift in _readings(source):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # "invalid escape sequence" is not a breach
                tree = ast.parse(text)
        except _PARSE_ERRORS:
            continue
        if shift:
            ast.increment_lineno(tree, -shift)
        return tree
    return None


def _readings(source: str) -> Iterator[tuple[str, int]]:
    """Yield (text, added lines): the source unchanged, dedented, without magics, inside an `if`."""
    yield source, 0
    plain = textwrap.dedent(source)
    yield plain, 0
    quiet = _without_magics(plain)
    yield quiet, 0
    yield "if True:\n" + textwrap.indent(quiet, "    "), 1
    # A region may start inside an `if` suite and end after its `else`.
    yield "if True:\n" + _without_magics(source), 1
    first = next((line for line in quiet.splitlines() if line.strip()), "")
    if re.match(r"\s*(else|elif|except|finally)\b", first):
        opening = "try:\n" if re.match(r"\s*(except|finally)", first) else "if True:\n"
        yield opening + "    pass\n" + quiet, 2


def _without_magics(source: str) -> str:
    """Replace lines that only IPython understands; `% 2` may continue a format string."""
    lines = []
    for line in source.splitlines():
        if re.match(r"\s*(%{1,2}[A-Za-z]|[!?])", line) or re.match(
            r"\s*(pip|conda)\s+install", line
        ):
            lines.append(line[: len(line) - len(line.lstrip())] + "pass")
        else:
            lines.append(line)
    return "\n".join(lines)


def text_of(node: ast.AST, depth: int = 0) -> str | None:
    """Return the string of a constant expression, such as "sci" + "py"; else None."""
    if depth > _DEEPEST:
        return None
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = text_of(node.left, depth + 1), text_of(node.right, depth + 1)
        return None if left is None or right is None else left + right
    if isinstance(node, ast.JoinedStr):
        parts = [text_of(part, depth + 1) for part in node.values]
        return None if None in parts else "".join(part or "" for part in parts)
    if isinstance(node, ast.FormattedValue):
        return text_of(node.value, depth + 1)
    return None
