"""Forbidden imports and calls in a piece of source, found in its syntax tree.

Nothing is run. Names are followed through aliases (`import numpy as n; n.gradient`),
assignments (`g = np.gradient`), `__import__`, importlib, getattr and eval of strings.
Source that doesn't parse is searched by its tokens.
"""

from __future__ import annotations

import ast
import builtins
import re
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# Names that stand for these modules by convention, where no import says otherwise.
_CONVENTIONS = {
    "np": "numpy",
    "sp": "scipy",
    "pd": "pandas",
    "plt": "matplotlib.pyplot",
    "tf": "tensorflow",
    "jnp": "jax.numpy",
}
_PARSE_ERRORS = (SyntaxError, ValueError, RecursionError, MemoryError)
_RUNS_STRINGS = frozenset({"eval", "exec", "compile"})
_MAX_DEPTH = 8
_BINDING_LINE = re.compile(
    r"^(?:(?:async\s+)?(?:def|class)\s+(?P<defined>\w+)"
    r"|from\s[^\n(]*\([^)]*\)|(?:from|import)\s[^\n]*|\w+\s*=(?!=)[^\n]*)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Breach:
    """One use of what is forbidden.

    line : 1-based line of the source; name : the rule that it breaks ("sklearn")
    text : that line
    """

    line: int
    name: str
    text: str


def find_forbidden(
    source: str,
    *,
    imports: Sequence[str] = (),
    calls: Sequence[str] = (),
    context: str = "",
) -> list[Breach]:
    """Return the breaches in the source, by line; never raises for what the source holds.

    imports : module names; a name covers its submodules ("scipy", "sklearn.linear_model")
    calls : dotted names of functions ("np.gradient", "numpy.linalg.lstsq"), or a method
        of any object with a dot before it (".backward")
    context : the rest of the notebook's code, which names the modules (`import numpy as n`);
        it is not searched itself
    """
    scope = _scope_of(context, _Rules(tuple(imports), tuple(calls)))
    unique = {(breach.line, breach.name): breach for breach in _search(source, scope, 0)}
    return sorted(unique.values(), key=lambda breach: (breach.line, breach.name))


def names_meant(source: str, *, context: str = "") -> set[str]:
    """Return the dotted names that the source uses or imports; never raises.

    `m.f(x)` means "mine.f" where `import mine as m` stands in it or in the context;
    `from mine import *` means "mine.*", and every name that it may bring "mine.name".
    """
    found: set[str] = set()
    queue = [(source, _scope_of(context, _Rules((), ())), 0)]
    while queue:
        text, outer, depth = queue.pop()
        tree = _parse(text)
        if tree is None:
            scope = outer.copy()
            scope.bind_by_lines(textwrap.dedent(text))
            for match in _TOKEN.finditer(text):
                if match.lastgroup == "dotted":
                    head, dot, rest = re.sub(r"\s", "", match.group()).partition(".")
                    found.update(meaning + dot + rest for meaning in scope.meanings(head))
            continue
        scope = outer.copy()
        scope.bind(tree.body)
        for node, names in _nodes(tree, scope):
            found.update(_meanings(node, names))
            if isinstance(node, ast.Call) and depth < _MAX_DEPTH:
                run = _text_that_runs(node, names)
                queue += [(run, names, depth + 1)] if run is not None else []
    return {name.lstrip(".") for name in found}


def _meanings(node: ast.AST, scope: _Scope) -> Iterator[str]:
    """Return the dotted names that this one node means."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (f"{node.module or ''}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Name):
        yield from scope.meanings(node.id)
    elif isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        meaning = scope.resolve(node)
        if meaning:
            yield meaning


def _scope_of(context: str, rules: _Rules) -> _Scope:
    scope = _Scope(rules)
    tree = _parse(context)
    if tree is not None:
        scope.bind(tree.body)
    else:
        scope.bind_by_lines(context)
    return scope


# --- rules and names --------------------------------------------------------------------


@dataclass(frozen=True)
class _Rules:
    imports: tuple[str, ...]
    calls: tuple[str, ...]

    def forbids_module(self, name: str) -> str | None:
        """Return the rule that covers this dotted name as a module, or None."""
        for rule in self.imports:
            if name == rule or name.startswith(rule + "."):
                return rule
        return None

    def forbids_name(self, name: str) -> str | None:
        """Return the rule that covers this dotted name: of a module, or of a function."""
        for rule in self.calls:
            whole = _canonical(rule)
            if not rule.startswith(".") and (name == whole or name.startswith(whole + ".")):
                return rule
        return self.forbids_module(name)

    def forbids_method(self, name: str) -> str | None:
        rule = f".{name}"
        return rule if rule in self.calls else None


def _canonical(name: str) -> str:
    head, dot, rest = name.partition(".")
    return _CONVENTIONS.get(head, head) + dot + rest


class _Scope:
    """What each name stands for: a module or a function of one, by its dotted name."""

    def __init__(self, rules: _Rules) -> None:
        self.rules = rules
        self.names: dict[str, str | None] = {}
        self.stars: list[str] = []

    def copy(self) -> _Scope:
        other = _Scope(self.rules)
        other.names = dict(self.names)
        other.stars = list(self.stars)
        return other

    def bind(self, body: Sequence[ast.stmt]) -> None:
        """Take over what these statements bind, in order, without entering definitions."""
        for node in _statements(body):
            self.bind_one(node)

    def bind_one(self, node: ast.stmt) -> None:
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
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            self.names[node.name] = None
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            meaning = self.resolve(node.value) if node.value is not None else None
            for target in targets:
                if isinstance(target, ast.Name):
                    self.names[target.id] = meaning
                else:
                    for name in _bound_names(target):
                        self.names[name] = None
        elif isinstance(node, (ast.For, ast.AsyncFor)):
            for name in _bound_names(node.target):
                self.names[name] = None

    def bind_by_lines(self, source: str) -> None:
        """Take over what unindented lines bind, one by one: the whole doesn't parse."""
        for match in _BINDING_LINE.finditer(source.replace("\0", " ")):
            if match["defined"]:
                self.names[match["defined"]] = None
                continue
            try:
                self.bind(ast.parse(match.group()).body)
            except _PARSE_ERRORS:
                continue

    def resolve(self, node: ast.AST, depth: int = 0) -> str | None:
        """Return the dotted name that an expression stands for, or None."""
        if depth > 50:
            return None
        if isinstance(node, ast.Name):
            return self.resolve_name(node.id)
        if isinstance(node, ast.NamedExpr):
            return self.resolve(node.value, depth + 1)
        if isinstance(node, ast.Attribute):
            return self._attribute(self.resolve(node.value, depth + 1), node.attr)
        if isinstance(node, ast.Subscript):
            return self._subscript(node, depth + 1)
        if isinstance(node, ast.Call):
            return self._call(node, depth + 1)
        return None

    def resolve_name(self, name: str) -> str | None:
        if name in self.names:
            return self.names[name]
        for module in reversed(self.stars):
            full = f"{module}.{name}"
            if self.rules.forbids_name(full) and not hasattr(builtins, name):
                return full
        return _CONVENTIONS.get(name, name)

    def meanings(self, name: str) -> list[str]:
        """Return all that a name may stand for: what is bound, or what a star may have brought."""
        if name in self.names:
            meaning = self.names[name]
            return [meaning] if meaning else []
        return [_CONVENTIONS.get(name, name), *(f"{module}.{name}" for module in self.stars)]

    def _attribute(self, owner: str | None, name: str) -> str | None:
        if owner is None:
            return None
        if name in ("__dict__",):
            return owner
        return f"{owner}.{name}"

    def _subscript(self, node: ast.Subscript, depth: int) -> str | None:
        key = _text_of(node.slice)
        if key is None:
            return None
        if isinstance(node.value, ast.Attribute) and node.value.attr == "__dict__":
            return self._attribute(self.resolve(node.value.value, depth), key)
        if isinstance(node.value, ast.Call):
            function = self.resolve(node.value.func, depth)
            if function == "vars" and node.value.args:
                return self._attribute(self.resolve(node.value.args[0], depth), key)
            if function in ("globals", "locals"):
                return self.resolve_name(key)
        if self.resolve(node.value, depth) == "sys.modules":
            return key
        return None

    def _call(self, node: ast.Call, depth: int) -> str | None:
        function = self.resolve(node.func, depth)
        if function == "getattr" and len(node.args) >= 2:
            name = _text_of(node.args[1])
            if name is not None:
                return self._attribute(self.resolve(node.args[0], depth), name)
        return self.imported(node, depth)

    def imported(self, node: ast.Call, depth: int = 0) -> str | None:
        """Return the module that __import__("x") or import_module("x") gives."""
        function = self.resolve(node.func, depth + 1) or ""
        name = function.rpartition(".")[2]
        if name not in ("__import__", "import_module", "reload") or not node.args:
            return None
        module = _text_of(node.args[0])
        if module is None:
            return None
        package = _text_of(node.args[1]) if len(node.args) > 1 else None
        if module.startswith(".") and package:
            return package + "." + module.lstrip(".")
        # __import__("a.b") gives a, with a.b loaded: the rule is asked about a.b.
        return module


# --- the search -------------------------------------------------------------------------


def _search(source: str, outer: _Scope, depth: int) -> Iterator[Breach]:
    tree = _parse(source)
    lines = source.splitlines()
    if tree is None:
        yield from _search_tokens(source, outer)
        return
    scope = outer.copy()
    # What the source binds counts from its start: a function may use what stands below it.
    scope.bind(tree.body)
    yield from _search_nodes(tree, scope, lines, depth)


def _search_nodes(
    root: ast.AST, scope: _Scope, lines: Sequence[str], depth: int
) -> Iterator[Breach]:
    for node, names in _nodes(root, scope):
        for rule in _breaches_of(node, names):
            line = getattr(node, "lineno", 1)
            yield Breach(line, rule, _line(lines, line))
        if isinstance(node, ast.Call) and depth < _MAX_DEPTH:
            yield from _search_string(node, names, depth, lines)


def _nodes(root: ast.AST, scope: _Scope) -> Iterator[tuple[ast.AST, _Scope]]:
    """Walk a tree without recursion; a function's own names hide those around it."""
    queue: list[tuple[ast.AST, _Scope]] = [(root, scope)]
    while queue:
        node, names = queue.pop()
        yield node, names
        inner = names
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            inner = names.copy()
            a = node.args
            for arg in (*a.posonlyargs, *a.args, *a.kwonlyargs, a.vararg, a.kwarg):
                if arg is not None:
                    inner.names[arg.arg] = None
            if not isinstance(node, ast.Lambda):
                inner.bind(node.body)
        elif isinstance(node, ast.ClassDef):
            inner = names.copy()
            inner.bind(node.body)
        queue.extend((child, inner) for child in ast.iter_child_nodes(node))


def _breaches_of(node: ast.AST, scope: _Scope) -> Iterator[str]:
    """Return the rules that this one node breaks."""
    rules = scope.rules
    found: list[str | None] = []
    if isinstance(node, ast.Import):
        found = [rules.forbids_module(alias.name) for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and not node.level:
        module = node.module or ""
        found = [rules.forbids_module(module)]
        found += [rules.forbids_name(f"{module}.{alias.name}") for alias in node.names]
    elif isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
        if isinstance(node.ctx, ast.Load):
            meaning = scope.resolve(node)
            found = [rules.forbids_name(meaning)] if meaning else []
            if isinstance(node, ast.Attribute):
                found.append(rules.forbids_method(node.attr))
    elif isinstance(node, ast.Call):
        meaning = scope.resolve(node)
        found = [rules.forbids_name(meaning)] if meaning else []
        module_name = scope.imported(node)
        if module_name:
            found.append(rules.forbids_module(module_name))
        if scope.resolve(node.func) == "getattr" and len(node.args) >= 2:
            name = _text_of(node.args[1])
            found.append(rules.forbids_method(name) if name else None)
    yield from dict.fromkeys(name for name in found if name is not None)


def _search_string(
    node: ast.Call, scope: _Scope, depth: int, lines: Sequence[str]
) -> Iterator[Breach]:
    """Search the strings that eval and exec run."""
    text = _text_that_runs(node, scope)
    for breach in _search(text, scope, depth + 1) if text is not None else ():
        yield Breach(node.lineno, breach.name, _line(lines, node.lineno))


def _text_that_runs(node: ast.Call, scope: _Scope) -> str | None:
    function = scope.resolve(node.func) or ""
    if function.rpartition(".")[2] not in _RUNS_STRINGS or not node.args:
        return None
    return _text_of(node.args[0])


# --- parsing what students hand in ------------------------------------------------------


def _parse(source: str) -> ast.Module | None:
    """Return the tree, line numbers kept; None where no reading of the source parses."""
    source = source.replace("\0", " ")
    for text, shift in _readings(source):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # "invalid escape sequence" is no breach
                tree = ast.parse(text)
        except _PARSE_ERRORS:
            continue
        if shift:
            ast.increment_lineno(tree, -shift)
        return tree
    return None


def _readings(source: str) -> Iterator[tuple[str, int]]:
    """Give the source as it stands, dedented, without magics, and as half of an `if`."""
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
    """Replace lines that only IPython understands; % and a digit continue a format string."""
    lines = []
    for line in source.splitlines():
        if re.match(r"\s*(%{1,2}[A-Za-z]|[!?])", line) or re.match(
            r"\s*(pip|conda)\s+install", line
        ):
            lines.append(line[: len(line) - len(line.lstrip())] + "pass")
        else:
            lines.append(line)
    return "\n".join(lines)


_TOKEN = re.compile(
    r"(?P<comment>\#[^\n]*)"
    r"|(?P<string>(?:\b[rbuf]{1,2})?(?:'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"))"
    r"|(?P<dotted>[^\W\d]\w*(?:\s*\.\s*[^\W\d]\w*)*)"
    r"|(?P<other>.)",
    re.DOTALL | re.IGNORECASE,
)


def _search_tokens(source: str, scope: _Scope) -> Iterator[Breach]:
    """Search source that doesn't parse: imports by line, then dotted names."""
    source = source.replace("\0", " ")
    lines = source.splitlines()
    scope = scope.copy()
    rules = scope.rules
    for line in lines:
        scope.bind_by_lines(line.strip())
    for i, line in enumerate(lines, start=1):
        bare = line.strip()
        if re.match(r"(from|import)\s", bare):
            tree = _parse(bare.split("#")[0].rstrip(" ,\\("))
            for node in ast.walk(tree) if tree is not None else ():
                for name in _breaches_of(node, scope):
                    yield Breach(i, name, bare)
    position = 1
    dynamic = False
    for match in _TOKEN.finditer(source):
        text = match.group()
        line_number = position
        position += text.count("\n")
        if match.lastgroup == "dotted":
            dotted = re.sub(r"\s", "", text)
            dynamic = dotted.rpartition(".")[2] in ("__import__", "import_module")
            head, dot, rest = dotted.partition(".")
            meaning = scope.resolve_name(head)
            full = f"{meaning}{dot}{rest}" if meaning else ""
            rule = rules.forbids_name(full) if full else None
            rule = rule or next(filter(None, map(rules.forbids_method, rest.split("."))), None)
            if rule:
                yield Breach(line_number, rule, _line(lines, line_number))
        elif match.lastgroup == "string" and dynamic:
            module = text.strip("rbufRBUF").strip("'\"")
            rule = rules.forbids_module(module)
            if rule:
                yield Breach(line_number, rule, _line(lines, line_number))
            dynamic = False
        elif text not in "( \n\t":
            dynamic = False


# --- small things of the tree -----------------------------------------------------------


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Give the statements in order, those inside if, for, with and try too."""
    for node in body:
        yield node
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        for part in ("body", "orelse", "finalbody"):
            yield from _statements(getattr(node, part, []))
        for handler in getattr(node, "handlers", []):
            yield from _statements(handler.body)


def _bound_names(target: ast.AST) -> list[str]:
    return [
        n.id for n in ast.walk(target) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    ]


def _text_of(node: ast.AST, depth: int = 0) -> str | None:
    """Return the string that a constant expression holds: "sci" + "py" too."""
    if depth > 50:
        return None
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _text_of(node.left, depth + 1), _text_of(node.right, depth + 1)
        return None if left is None or right is None else left + right
    if isinstance(node, ast.JoinedStr):
        parts = [_text_of(part, depth + 1) for part in node.values]
        return None if None in parts else "".join(part or "" for part in parts)
    if isinstance(node, ast.FormattedValue):
        return _text_of(node.value, depth + 1)
    return None


def _line(lines: Sequence[str], number: int) -> str:
    return lines[number - 1].strip()[:200] if 0 < number <= len(lines) else ""
